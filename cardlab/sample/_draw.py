"""Drawing for all cards at once: ragged arrays, heavy-tailed draws, invented words.

A million cards have about nine million tags. They are drawn as arrays of codes into a small
dictionary and become strings once, at the end; nothing here loops over cards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# 64 syllables: a word is its number written in base 64. No pair of them makes an English word
# that one would not want in a notebook.
_ONSETS = ("l", "m", "n", "r", "s", "t", "v", "d", "w", "fl", "h", "kr", "th", "br", "gl", "pl")
_SYLLABLES = tuple(onset + vowel for vowel in "aeio" for onset in _ONSETS)


@dataclass(frozen=True)
class Ragged:
    """Several values a card: `counts[i]` values belong to card i, in the order of the cards."""

    counts: Ints
    values: Ints

    @classmethod
    def from_columns(cls, codes: Ints) -> Ragged:
        """Take one row a card, where -1 is no value."""
        present: Bools = codes >= 0
        counts = np.asarray(np.count_nonzero(present, axis=1), dtype=np.int64)
        return cls(counts, codes[present])

    @classmethod
    def from_flags(cls, flags: Bools, codes: Sequence[int] | Ints) -> Ragged:
        """Take one row of flags a card; `codes` names the columns."""
        counts = np.asarray(np.count_nonzero(flags, axis=1), dtype=np.int64)
        return cls(counts, np.asarray(codes, dtype=np.int64)[np.nonzero(flags)[1]])

    @classmethod
    def from_pairs(cls, card: Ints, value: Ints, n_cards: int) -> Ragged:
        """Take (card, value) pairs in any order; a pair that occurs twice counts once."""
        if not len(card):
            return cls(np.zeros(n_cards, dtype=np.int64), np.zeros(0, dtype=np.int64))
        width = int(value.max()) + 1
        keys = np.sort(card * width + value)
        keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
        return cls(np.bincount(keys // width, minlength=n_cards), keys % width)

    def where(self, keep: Bools) -> Ragged:
        """Drop the values of the cards that are not kept."""
        return Ragged(np.where(keep, self.counts, 0), self.values[np.repeat(keep, self.counts)])

    def shifted(self, offset: int) -> Ragged:
        return Ragged(self.counts, self.values + offset)

    def to_lists(self, dictionary: pl.Series) -> pl.Series:
        """Make a list of strings a card; a card without values has the empty list."""
        n_cards = len(self.counts)
        card = pl.Series("card", np.repeat(np.arange(n_cards), self.counts)).set_sorted()
        lists = (
            pl.DataFrame({"card": card, "value": dictionary.gather(self.values)})
            .group_by("card", maintain_order=True)
            .agg("value")
        )
        # group_by knows only cards with a value; the others get row `lists.height`, the empty one.
        filled = self.counts > 0
        row = np.where(filled, np.cumsum(filled) - 1, lists.height)
        empty = pl.Series([[]], dtype=pl.List(pl.String))
        return pl.concat([lists["value"], empty]).gather(row)


def interleave(parts: Sequence[Ragged]) -> Ragged:
    """Join ragged arrays card by card, the values of the first part first."""
    counts: Ints = np.asarray(np.sum([part.counts for part in parts], axis=0), dtype=np.int64)
    values = np.empty(int(counts.sum()), dtype=np.int64)
    start = np.cumsum(counts) - counts
    for part in parts:
        first = np.cumsum(part.counts) - part.counts
        rank = np.arange(len(part.values)) - np.repeat(first, part.counts)
        values[np.repeat(start, part.counts) + rank] = part.values
        start = start + part.counts
    return Ragged(counts, values)


def zipf_shares(n: int, *, exponent: float = 1.0, shift: float = 0.0) -> npt.NDArray[np.float64]:
    """Return the Zipf-Mandelbrot shares of n things; `shift` flattens the head."""
    weights = (np.arange(1, n + 1, dtype=np.float64) + shift) ** -exponent
    return np.asarray(weights / weights.sum())


def draw(
    rng: np.random.Generator, shares: npt.NDArray[np.float64], size: int
) -> npt.NDArray[np.int64]:
    """Draw codes with these shares (searching the sums is quicker than `choice`)."""
    codes = np.searchsorted(np.cumsum(shares), rng.random(size), side="right")
    return np.minimum(codes, len(shares) - 1).astype(np.int64)


def invented_words(start: int, n: int, *, n_syllables: int) -> list[str]:
    """Make n distinct words without meaning; the word of a number never changes."""
    return word_series(np.arange(start, start + n), n_syllables=n_syllables).to_list()


def word_series(numbers: Ints, *, n_syllables: int) -> pl.Series:
    """Spell each number as a word; different numbers below 64**n_syllables differ."""
    syllables = pl.Series(_SYLLABLES)
    size = 64**n_syllables
    # Multiplying by an odd number permutes the numbers, so that neighbours do not look alike.
    scrambled = (numbers * 2_654_435_761 + 40_503) % size
    digits = [
        syllables.gather((scrambled // 64**place) % 64).alias(str(place))
        for place in range(n_syllables)
    ]
    return pl.DataFrame(digits).select(pl.concat_str(pl.all()))[:, 0]
