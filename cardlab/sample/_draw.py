"""Drawing for all cards at once: lists of strings, heavy-tailed draws, invented words.

A million cards have about nine million tags: codes into a small dictionary, then strings, and no
loop over cards.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from ..schema import words_of

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

# 64 syllables: a word is its number written in base 64. No pair of them makes an English word
# that one would not want in a notebook.
_ONSETS = ("l", "m", "n", "r", "s", "t", "v", "d", "w", "fl", "h", "kr", "th", "br", "gl", "pl")
_SYLLABLES = tuple(onset + vowel for vowel in "aeio" for onset in _ONSETS)


def lists(card: Ints, code: Ints, n_cards: int, strings: pl.Series) -> pl.Series:
    """Make a list of strings a card of (card, code) pairs, in order of the cards; empty without."""
    offsets = np.append(0, np.cumsum(np.bincount(card, minlength=n_cards)))
    values = strings.gather(code).to_arrow(compat_level=pl.CompatLevel.newest())
    return pl.Series(pa.LargeListArray.from_arrays(offsets, values))


def lists_of_rows(codes: Ints, strings: pl.Series) -> pl.Series:
    """Make the lists of one row of codes a card, where -1 is no value."""
    card, place = np.nonzero(codes >= 0)
    return lists(card, codes[card, place], len(codes), strings)


def lists_of_pairs(card: Ints, code: Ints, n_cards: int, strings: pl.Series) -> pl.Series:
    """Make the lists of pairs in any order; a pair that occurs twice counts once."""
    keys = np.sort(card * len(strings) + code)
    card, code = np.divmod(keys[np.diff(keys, prepend=-1) > 0], len(strings))
    return lists(card, code, n_cards, strings)


def joined(parts: list[pl.Series], keep: Bools) -> pl.Series:
    """Join lists card by card; empty where a card is not kept."""
    every = np.arange(len(keep))
    card = np.concatenate([np.repeat(every, part.list.len()) for part in parts])
    order = np.argsort(card, kind="stable")  # runs in order already: quicker than concat_list
    order = order[keep[card[order]]]
    values = [part.explode(empty_as_null=False, keep_nulls=False).alias("") for part in parts]
    return lists(card[order], order, len(keep), pl.concat(values))


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
WORDS = words_of("sample")


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
