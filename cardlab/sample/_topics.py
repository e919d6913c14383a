"""The themes of the synthetic corpus: task, library, model types, words and tags of a topic.

A topic is one planted cluster. Twelve are written out in ``data/sample.toml``; more are made of
invented words, so that any number of topics can be asked for.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import numpy as np

from ._draw import word_series

#: All the words of the corpus, as they stand in the file.
WORDS: dict[str, Any] = tomllib.loads(
    files("cardlab").joinpath("data/sample.toml").read_text("utf-8")
)


@dataclass(frozen=True)
class Topic:
    """One planted theme. `licenses` multiplies the weight of a licence named in it."""

    task: str
    library: str
    model_types: tuple[str, ...]
    tags: tuple[str, ...]
    datasets: tuple[str, ...]
    nouns: tuple[str, ...]
    verbs: tuple[str, ...]
    adjectives: tuple[str, ...]
    licenses: dict[str, float] = field(default_factory=dict)
    language_share: float = 0.5


def _written_topic(table: dict[str, Any]) -> Topic:
    lists = ("model_types", "tags", "datasets", "nouns", "verbs", "adjectives")
    return Topic(**table | {name: tuple(table[name].split()) for name in lists})


WRITTEN_TOPICS = tuple(map(_written_topic, WORDS["topics"]))


def topics(n_topics: int) -> tuple[Topic, ...]:
    """Return the first `n_topics` themes; beyond the written ones, of invented words."""
    made = [_made_topic(i) for i in range(max(0, n_topics - len(WRITTEN_TOPICS)))]
    return (*WRITTEN_TOPICS[:n_topics], *made)


def _made_topic(index: int) -> Topic:
    tasks = list(WORDS["more_tasks"].items())
    task, library = tasks[index % len(tasks)]
    # Two syllables more than a background tag has, so that no word can be one.
    words = tuple(word_series(np.arange(60 * index, 60 * index + 60), n_syllables=5))
    return Topic(
        task=task,
        library=library,
        model_types=words[:3],
        tags=words[3:13],
        datasets=tuple(f"{word}-set" for word in words[13:16]),
        nouns=words[16:36],
        verbs=tuple(f"{word}s" for word in words[36:46]),
        adjectives=words[46:58],
    )
