"""Drawing for all cards at once: ragged arrays, heavy-tailed draws, invented words.

A million cards have about nine million tags. They are drawn as arrays of codes into a small
dictionary and become strings once, at the end; nothing here loops over cards.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

# 64 syllables: a word is its number written in base 64. No pair of them makes an English word
# that one would not want in a notebook.
_ONSETS = ("l", "m", "n", "r", "s", "t", "v", "d", "w", "fl", "h", "kr", "th", "br", "gl", "pl")
_SYLLABLES = tuple(onset + vowel for vowel in "aeio" for onset in _ONSETS)


@dataclass(frozen=True)
class Ragged:
    """Several strings a card: `counts[i]` codes belong to card i, in the order of the cards."""

    counts: Ints
    codes: Ints
    strings: pl.Series  # what the codes stand for

    @classmethod
    def from_columns(cls, codes: Ints, strings: pl.Series) -> Ragged:
        """Take one row of codes a card, where -1 is no value."""
        return cls(np.count_nonzero(codes >= 0, axis=1), codes[codes >= 0], strings)

    @classmethod
    def from_flags(cls, flags: Bools, strings: pl.Series) -> Ragged:
        """Take one row of flags a card, a flag for each of the strings."""
        return cls(np.count_nonzero(flags, axis=1), np.nonzero(flags)[1], strings)

    @classmethod
    def from_pairs(cls, card: Ints, code: Ints, n_cards: int, strings: pl.Series) -> Ragged:
        """Take (card, code) pairs in any order; a pair that occurs twice counts once."""
        width = len(strings)
        keys = np.sort(card * width + code)
        keys = keys[np.diff(keys, prepend=-1) > 0]
        return cls(np.bincount(keys // width, minlength=n_cards), keys % width, strings)

    @classmethod
    def joined(cls, parts: Sequence[Ragged]) -> Ragged:
        """Join card by card, the strings of the first part first."""
        counts = np.sum([part.counts for part in parts], axis=0)
        codes = np.empty(int(counts.sum()), dtype=np.int64)
        start = np.cumsum(counts) - counts
        n_strings = 0
        for part in parts:
            first = np.cumsum(part.counts) - part.counts
            rank = np.arange(len(part.codes)) - np.repeat(first, part.counts)
            codes[np.repeat(start, part.counts) + rank] = part.codes + n_strings
            start = start + part.counts
            n_strings += len(part.strings)
        return cls(counts, codes, pl.concat([part.strings.alias("value") for part in parts]))

    def where(self, keep: Bools) -> Ragged:
        """Drop the values of the cards that are not kept."""
        codes = self.codes[np.repeat(keep, self.counts)]
        return Ragged(np.where(keep, self.counts, 0), codes, self.strings)

    def prefixed(self, prefix: str) -> Ragged:
        return Ragged(self.counts, self.codes, prefix + self.strings)

    def to_lists(self, name: str) -> pl.Series:
        """Make a list of strings a card; a card without values has the empty list."""
        offsets = np.concatenate([[0], np.cumsum(self.counts)])
        values = self.strings.gather(self.codes).to_arrow(compat_level=pl.CompatLevel.newest())
        return pl.Series(name, pa.LargeListArray.from_arrays(offsets, values))


def zipf_shares(n: int, *, exponent: float = 1.0, shift: float = 0.0) -> Floats:
    """Return the Zipf-Mandelbrot shares of n things; `shift` flattens the head."""
    weights = (np.arange(1, n + 1, dtype=np.float64) + shift) ** -exponent
    return np.asarray(weights / weights.sum())


def draw(rng: np.random.Generator, shares: Floats, size: int) -> Ints:
    """Draw codes with these shares (searching the sums is quicker than `choice`)."""
    codes = np.searchsorted(np.cumsum(shares), rng.random(size), side="right")
    return np.minimum(codes, len(shares) - 1).astype(np.int64)


def word_series(numbers: Ints, *, n_syllables: int) -> pl.Series:
    """Spell each number as a word without meaning, always the same one.

    Different numbers below 64**n_syllables have different words.
    """
    syllables = pl.Series(_SYLLABLES)
    size = 64**n_syllables
    # Multiplying by an odd number permutes the numbers, so that neighbours do not look alike.
    scrambled = (numbers * 2_654_435_761 + 40_503) % size
    digits = [
        syllables.gather((scrambled // 64**place) % 64).alias(str(place))
        for place in range(n_syllables)
    ]
    return pl.DataFrame(digits).select(pl.concat_str(pl.all()))[:, 0]


# ---- The themes of the synthetic corpus: task, library, model types, words and tags of a topic.

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


_LISTS = ("model_types", "tags", "datasets", "nouns", "verbs", "adjectives")
WRITTEN_TOPICS = tuple(
    Topic(**table | {name: tuple(table[name].split()) for name in _LISTS})
    for table in WORDS["topics"]
)


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
