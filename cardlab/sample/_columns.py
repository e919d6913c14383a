"""Who, when and how popular: the scalar columns of the synthetic corpus."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from ._draw import Bools, Ints, draw, word_series, zipf_shares
from ._topics import Topic

# The Hub began to record creation dates here; every older model has this instant.
DATE_FLOOR = datetime(2022, 3, 2, 23, 29, 4, tzinfo=UTC)
LAST_DATE = datetime(2024, 10, 1, tzinfo=UTC)
FLOOR_SHARE = 0.06
_SPAN_SECONDS = (LAST_DATE - DATE_FLOOR).total_seconds()
_GROWTH_RATE = -np.log(FLOOR_SHARE) / _SPAN_SECONDS
# The number of cards, those at the floor included, doubles in this time from floor to end.
DOUBLING_WEEKS = float(np.log(2) / _GROWTH_RATE / (7 * 86_400))

_NO_TAGS_SHARE = 0.01
_NO_FRONT_MATTER_SHARE = 0.08
_UNREADABLE_SHARE = 0.002
_FAMILY_SHARE = 0.15
_MEAN_FAMILY = 12
_MAX_FAMILIES_A_TOPIC = 40


@dataclass(frozen=True)
class Plan:
    """What is planted in each card, and what its front matter is like."""

    topic: Ints
    family: Ints  # -1: a text of its own
    declares: Bools  # has front matter that could be read
    unreadable: Bools  # has front matter that could not
    tagless: Bools

    @property
    def n_cards(self) -> int:
        return len(self.topic)


def topic_shares(n_topics: int) -> np.ndarray:
    """Return Zipf-like shares, none below 2 % (or half an even share of many topics)."""
    floor = min(0.02, 0.5 / n_topics)
    return floor + (1 - n_topics * floor) * zipf_shares(n_topics)


def make_plan(n_cards: int, n_topics: int, n_regular: int, rng: np.random.Generator) -> Plan:
    """Draw what each card is; rows from `n_regular` on stay bare, as hostile ones replace them."""
    topic = draw(rng, topic_shares(n_topics), n_cards)
    state = rng.random(n_cards)
    unreadable = state < _UNREADABLE_SHARE
    if n_cards >= 50 and not unreadable.any():
        unreadable[int(state[:n_regular].argmin())] = True
    tagless = (state >= 1 - _NO_TAGS_SHARE) & ~unreadable
    bare = (state >= 1 - _NO_TAGS_SHARE - _NO_FRONT_MATTER_SHARE) | unreadable
    bare[n_regular:] = True
    family = _families(topic, n_topics, n_regular, rng)
    return Plan(topic, family, ~bare, unreadable, tagless)


def _families(topic: Ints, n_topics: int, n_regular: int, rng: np.random.Generator) -> Ints:
    """Give 15 % of the cards a family: of one topic, and with two members at least."""
    n_cards = len(topic)
    wanted = int(n_cards * _FAMILY_SHARE / (_MEAN_FAMILY * n_topics))
    a_topic = min(max(1, wanted), _MAX_FAMILIES_A_TOPIC)
    member = rng.random(n_cards) < _FAMILY_SHARE
    member[n_regular:] = False
    number = topic * a_topic + draw(rng, zipf_shares(a_topic, exponent=0.7), n_cards)
    size = np.bincount(number[member], minlength=n_topics * a_topic)
    return np.where(member & (size[number] >= 2), number, -1)


def dates(plan: Plan, rng: np.random.Generator) -> pl.DataFrame:
    """Draw `created_at` (exponential growth from the floor on) and `last_modified`, in seconds."""
    n_cards = plan.n_cards
    u = rng.random(n_cards)
    age = np.log1p(u * np.expm1(_GROWTH_RATE * _SPAN_SECONDS)) / _GROWTH_RATE
    age[rng.random(n_cards) < FLOOR_SHARE] = 0
    # Which card gets which date leans with the topic: even topics rise, odd ones fall. Only the
    # order is drawn here, so the growth of the whole stays what it is.
    lean = np.where(plan.topic % 2 == 0, 0.35, -0.35) + rng.normal(size=n_cards)
    created = np.empty(n_cards, dtype=np.int64)
    created[np.argsort(lean)] = np.sort(age).astype(np.int64)
    untouched = rng.random(n_cards) < 0.3
    later = np.where(untouched, 0, rng.exponential(60 * 86_400, n_cards)).astype(np.int64)
    modified = np.minimum(created + later, int(_SPAN_SECONDS))
    start = int(DATE_FLOOR.timestamp())
    return pl.DataFrame(
        {
            name: pl.Series((seconds + start) * 1_000_000).cast(pl.Datetime("us", "UTC"))
            for name, seconds in (("created_at", created), ("last_modified", modified))
        }
    )


def shas(n_cards: int, rng: np.random.Generator) -> pl.Series:
    """Draw 40 hexadecimal digits a card."""
    digits = pl.Series("sha", [rng.bytes(20 * n_cards).hex()])
    if n_cards == 0:
        return digits.clear()
    return digits.str.extract_all("[0-9a-f]{40}").explode()


def names(plan: Plan, topics: tuple[Topic, ...], rng: np.random.Generator) -> pl.DataFrame:
    """Make `id` (unique) and `author`: few authors with many cards, many with one.

    Two in a hundred ids have no organisation; their `author` is null.
    """
    n_cards = plan.n_cards
    n_authors = max(3, int(0.6 * n_cards**0.93))
    number = draw(rng, zipf_shares(n_authors, exponent=0.95, shift=5), n_cards)
    kind = pl.Series(["", "ai-", "team-", "lab-"]).gather(number % 4)
    author = kind + word_series(number, n_syllables=3 if n_cards < 200_000 else 4)
    width = max(len(topic.model_types) for topic in topics)
    stems = pl.Series([t.model_types[i % len(t.model_types)] for t in topics for i in range(width)])
    stem = stems.gather(plan.topic * width + rng.integers(width, size=n_cards))
    endings = pl.Series(["", "-v2", "-7b", "-small", "-finetuned", "-base", "-gguf", "-en"])
    ending = endings.gather(draw(rng, zipf_shares(len(endings)), n_cards))
    # The word of a permuted row number is what makes the id unique.
    word = word_series(rng.permutation(n_cards), n_syllables=4)
    frame = pl.DataFrame({"author": author, "name": stem + "-" + word + ending})
    alone = pl.Series(rng.random(n_cards) < 0.02)
    return frame.select(
        pl.when(alone).then("name").otherwise(pl.format("{}/{}", "author", "name")).alias("id"),
        pl.when(~alone).then("author").alias("author"),
    )


def popularity(n_cards: int, rng: np.random.Generator) -> pl.DataFrame:
    """Draw `downloads` (three in ten none, else a Pareto tail) and `likes` that follow them."""
    tail = rng.random(n_cards).clip(1e-9) ** (-1 / 0.85) - 1
    downloads = np.where(rng.random(n_cards) < 0.3, 0, 1 + 8 * tail).clip(max=2e8)
    liking = 0.03 * downloads**0.6 * rng.lognormal(0, 0.8, n_cards)
    return pl.DataFrame(
        {"downloads": downloads.astype(np.int64), "likes": rng.poisson(liking.clip(max=50_000))},
        schema={"downloads": pl.Int64, "likes": pl.Int64},
    )


def kinds(plan: Plan, topics: tuple[Topic, ...], rng: np.random.Generator) -> pl.DataFrame:
    """Draw `library_name` (four in ten null) and `pipeline_tag` (about a third null)."""
    n_cards = plan.n_cards
    libraries = pl.Series([topic.library for topic in topics] + ["transformers", "peft", "keras"])
    # Mostly the topic's own library; now and then one of the three that occur everywhere.
    other = len(topics) + draw(rng, np.array([0.6, 0.3, 0.1]), n_cards)
    code = np.where(rng.random(n_cards) < 0.85, plan.topic, other)
    no_library = plan.tagless | (rng.random(n_cards) < 0.4)
    no_task = plan.tagless | (rng.random(n_cards) < 0.34)
    tasks = pl.Series([topic.task for topic in topics])
    return pl.DataFrame(
        {"library_name": libraries.gather(code), "pipeline_tag": tasks.gather(plan.topic)}
    ).select(
        pl.when(~pl.Series(no_library)).then("library_name").alias("library_name"),
        pl.when(~pl.Series(no_task)).then("pipeline_tag").alias("pipeline_tag"),
    )
