"""Distinct texts, and the families that stand around some of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from .shingles import read_shingles
from .signatures import SIZE, Buckets, Sets, bucketed, rows_per_band, signatures

#: Standard errors of a signature's estimate within which a pair is compared exactly.
_DOUBT = 3.0


@dataclass
class Texts:
    """All distinct texts that are not blank, and what was found of each.

    `copies` counts the cards of each and `first_id` is their first id. `family` is -1 where the
    text is in none, and `like` is its likeness to the text that the family stands around, whose
    place among the texts is in `example`, family by family.
    """

    key: Any
    copies: Any
    first_id: pl.Series
    family: Any
    like: Any
    example: list[int]


def find_families(cards: pl.LazyFrame, *, threshold: float) -> Texts:
    """Read the texts of cards with ``id`` and ``text``, and put them into families."""
    texts, signs = _read(cards)
    if not len(texts.key):
        return texts
    # a text without words is like no other
    worded = np.flatnonzero((signs != np.iinfo(np.uint32).max).any(axis=1))
    degree = np.zeros(len(texts.key), dtype=np.int64)
    buckets = bucketed(signs[worded], rows_per_band(threshold))
    degree[worded] = buckets.degree()
    sets = _sets(cards, texts.key, np.flatnonzero(degree))
    rank = pl.DataFrame(
        {"copies": texts.copies, "degree": degree, "id": texts.first_id, "key": texts.key}
    ).select(
        pl.arg_sort_by(
            "copies", "degree", "id", "key", descending=[True, True, False, False], nulls_last=True
        )
    )
    _grow(
        texts,
        _Near(buckets, sets, signs, worded, threshold),
        order=rank.to_series().to_list(),
        degree=degree,
    )
    _number(texts)
    return texts


def _read(cards: pl.LazyFrame) -> tuple[Texts, Any]:
    """Read all texts once: those that differ, with their signatures."""
    keys, signs, rows = [], [], []
    for batch in read_shingles(cards):
        keys.append(batch.keys)
        signs.append(signatures(batch))
        rows.append(batch.rows)
    key = np.concatenate(keys) if keys else np.empty(0, dtype=np.uint64)
    signed = np.concatenate(signs) if signs else np.empty((0, SIZE), dtype=np.uint32)
    found = pl.DataFrame({"key": pl.Series(key, dtype=pl.UInt64)})
    if rows:
        known = pl.concat(rows).group_by("key").agg(pl.len().alias("copies"), pl.col("id").min())
        found = found.join(known, on="key", how="left", maintain_order="left")
    else:
        found = found.with_columns(copies=pl.lit(0), id=pl.lit(None, dtype=pl.String))
    return Texts(
        key=key,
        copies=found["copies"].cast(pl.Int64).to_numpy(),
        first_id=found["id"].cast(pl.String),
        family=np.full(len(key), -1, dtype=np.int64),
        like=np.ones(len(key)),
        example=[],
    ), signed


def _sets(cards: pl.LazyFrame, key: Any, maybe: Any) -> Sets:
    """Read the texts that share a bucket with another once more, and keep their shingles."""
    sets = Sets()
    if len(maybe):
        place = dict(zip(key[maybe].tolist(), maybe.tolist(), strict=True))
        for batch in read_shingles(cards, only=key[maybe]):
            sets.add(batch, [place[text] for text in batch.keys.tolist()])
    return sets


@dataclass
class _Near:
    """Near copies of a text, among those that have no family yet."""

    buckets: Buckets
    sets: Sets
    signs: Any
    worded: Any
    threshold: float

    def __post_init__(self) -> None:
        self._row = np.full(len(self.signs), -1, dtype=np.int64)
        self._row[self.worded] = np.arange(len(self.worded))
        spread = np.sqrt(self.threshold * (1 - self.threshold) / SIZE)
        self._doubt = self.threshold - _DOUBT * spread

    def of(self, text: int, free: Any) -> tuple[Any, Any]:
        """Give the near copies of a text that are `free`, ascending, and their likeness to it."""
        mates = self.worded[self.buckets.mates(int(self._row[text]), free[self.worded])]
        estimate = (self.signs[mates] == self.signs[text]).mean(axis=1)
        mates = mates[estimate >= self._doubt]
        like = self.sets.similarity(text, mates)
        near = like >= self.threshold
        return mates[near], like[near]


def _grow(texts: Texts, near: _Near, *, order: list[int], degree: Any) -> None:
    """Let families grow around texts, those with the most copies first."""
    free = np.ones(len(order), dtype=bool)
    for centre in order:
        if not free[centre]:
            continue
        free[centre] = False
        members = [centre]
        if degree[centre]:
            for member in members:  # grows while it is read
                mates, like = near.of(member, free)
                if member != centre and len(mates):
                    like = near.sets.similarity(centre, mates)
                    inside = like >= 2 * near.threshold - 1
                    mates, like = mates[inside], like[inside]
                texts.like[mates] = like
                free[mates] = False
                members.extend(mates.tolist())
        if texts.copies[members].sum() > 1:
            texts.family[members] = len(texts.example)
            texts.example.append(centre)


def _number(texts: Texts) -> None:
    """Put the families in order: the most cards first, then by the id of the example."""
    if not texts.example:
        return
    grouped = texts.family >= 0
    n_cards = np.bincount(texts.family[grouped], weights=texts.copies[grouped])
    order = pl.DataFrame(
        {"n": n_cards, "id": texts.first_id.gather(texts.example), "key": texts.key[texts.example]}
    ).select(pl.arg_sort_by("n", "id", "key", descending=[True, False, False], nulls_last=True))
    old = order.to_series().to_numpy()
    new = np.empty(len(old), dtype=np.int64)
    new[old] = np.arange(len(old))
    texts.family[grouped] = new[texts.family[grouped]]
    texts.example[:] = [texts.example[at] for at in old]
