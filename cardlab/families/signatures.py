"""MinHash signatures and bands: which texts may be alike, without comparing all pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .shingles import Batch, spread

#: Numbers of a signature: four bytes each, 512 for a text.
SIZE = 128
#: Share of the pairs at the threshold that the bands must let through.
_RECALL = 0.999
#: Hashes of a text that are kept to compare it exactly; longer texts are compared by a sample.
_KEPT = 1024
_SEED = 1


def signatures(texts: Batch) -> Any:
    """Give the signature of each text, an array of `SIZE` numbers a row."""
    from rensa import RMinHash

    starts = np.append(0, texts.ends).astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(texts.hashes, starts, SIZE, _SEED)
    return np.array(matrix.to_rows(), dtype=np.uint32).reshape(-1, SIZE)


def rows_per_band(threshold: float) -> int:
    """Choose the longest bands that still meet nearly all pairs at the threshold.

    Two texts of Jaccard similarity s share a band of r numbers with a chance of ``s**r``, and any
    of the bands with ``1 - (1 - s**r)**(SIZE / r)``.
    """
    for rows in (32, 16, 8, 4, 2):
        if 1 - (1 - threshold**rows) ** (SIZE // rows) >= _RECALL:
            return rows
    return 1


@dataclass
class Buckets:
    """Texts that share a band: for each band, its texts bucket by bucket, and where each is."""

    order: list[Any]
    first: list[Any]
    bucket: list[Any]

    def degree(self) -> Any:
        """Count, over all bands, the others in each text's buckets."""
        return sum(
            np.diff(first)[bucket] - 1
            for first, bucket in zip(self.first, self.bucket, strict=True)
        )

    def mates(self, text: int, free: Any) -> Any:
        """Give the texts that share a bucket with one, those that are `free` only."""
        found = [mates[free[mates]] for mates in self._shared(text)]
        return np.unique(np.concatenate(found))

    def _shared(self, text: int) -> Iterator[Any]:
        for order, first, bucket in zip(self.order, self.first, self.bucket, strict=True):
            at = bucket[text]
            yield order[first[at] : first[at + 1]]


def bucketed(signs: Any, rows: int) -> Buckets:
    """Put texts into buckets, band by band."""
    order, first, bucket = [], [], []
    for begin in range(0, SIZE, rows):
        band = np.full(len(signs), begin, dtype=np.uint64)
        for column in range(begin, begin + rows):
            band = spread(band + signs[:, column])
        sort = np.argsort(band, kind="stable").astype(np.int32)
        new = np.append(True, np.diff(band[sort]) != 0)
        which = np.empty(len(signs), dtype=np.int32)
        which[sort] = np.cumsum(new, dtype=np.int32) - 1
        order.append(sort)
        first.append(np.append(np.flatnonzero(new), len(signs)).astype(np.int32))
        bucket.append(which)
    return Buckets(order, first, bucket)


class Sets:
    """The distinct shingles of some texts, 32 bits each, to compare pairs by.

    Of a text with more than `_KEPT` shingles only the smallest hashes are kept: those below the
    largest of them are a random sample, in which any two texts can be compared.
    """

    def __init__(self) -> None:
        self._begin: dict[int, int] = {}
        self._parts: list[Any] = []
        self._size = 0
        self._all: Any = None
        self._ends: dict[int, int] = {}
        self._cut: dict[int, bool] = {}

    def add(self, texts: Batch, places: list[int]) -> None:
        """Keep the shingles of texts, which are known by `places`, before any is compared."""
        lengths = np.diff(texts.ends, prepend=0)
        row = np.repeat(np.arange(len(lengths), dtype=np.uint64), lengths)
        hashes = np.sort(row << np.uint64(32) | texts.hashes >> np.uint64(32))
        hashes = hashes[np.append(True, hashes[1:] != hashes[:-1])[: len(hashes)]]
        row = (hashes >> np.uint64(32)).astype(np.int64)
        count = np.bincount(row, minlength=len(lengths))
        rank = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        self._parts.append((hashes & np.uint64(0xFFFFFFFF)).astype(np.uint32)[rank < _KEPT])
        for place, n in zip(places, count.tolist(), strict=True):
            self._begin[place] = self._size
            self._size += min(n, _KEPT)
            self._ends[place] = self._size
            self._cut[place] = n > _KEPT

    def of(self, place: int) -> Any:
        """Give the hashes of one text, ascending."""
        if self._all is None:
            self._all = np.concatenate(self._parts)
            self._parts = []
        return self._all[self._begin[place] : self._ends[place]]

    def similarity(self, place: int, others: Any) -> Any:
        """Give the Jaccard similarity of one text to each of some others, 0-1."""
        own = self.of(place)
        found = np.empty(len(others))
        for at, other in enumerate(others.tolist()):
            found[at] = self._pair(own, self._cut[place], self.of(other), self._cut[other])
        return found

    @staticmethod
    def _pair(a: Any, a_cut: bool, b: Any, b_cut: bool) -> float:
        tops = [side[-1] for side, cut in ((a, a_cut), (b, b_cut)) if cut]
        if tops:
            a, b = (side[: np.searchsorted(side, min(tops), side="right")] for side in (a, b))
        both = len(np.intersect1d(a, b, assume_unique=True))
        return both / (len(a) + len(b) - both)
