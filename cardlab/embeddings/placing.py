"""The distinct vectors of a matrix block by block, and the nearest of a few to each of many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .. import schema
from .blocks import row_hashes
from .matrix import Floats, usable
from .points import Indices

#: Rows in one go: 50 MB of vectors with 768 numbers.
BLOCK = 16_384

#: Numbers in a block of distances: 64 MB.
_CELLS = 2**24

#: A point is placed a quarter of the way from the nearest one to the middle of its three nearest:
#: on the nearest many would lie on one spot, and the middle is among strangers more often (on
#: planted clusters 18 % of the true neighbours stayed neighbours there, here 27 %).
_AMONG = 3
_PULL = 0.25


@dataclass(frozen=True)
class Distinct:
    """The distinct usable rows of a matrix, ordered by content; nothing of it is copied.

    Like :class:`~.points.Points`, but for matrices of which a second copy is too much.
    """

    x: Floats
    #: Rows of the matrix that are usable, and the distinct vector of each.
    rows: Indices
    which: Indices
    #: For each distinct vector a row that holds it.
    first: Indices
    #: What brings the largest number near 1: squares of very large or small ones are lost.
    exponent: int

    @classmethod
    def of(cls, x: Floats) -> Distinct:
        """Find the distinct rows; at least three must be usable."""
        rows = np.flatnonzero(usable(x))
        if len(rows) < 3:
            raise schema.NoFigure(
                f"at least 3 usable vectors are needed; {len(rows)} of {len(x):,} are usable."
            )
        hashes = np.empty(len(rows), dtype=np.uint64)
        largest = 0.0
        for start in range(0, len(rows), BLOCK):
            # Turns -0.0 into 0.0, which must hash alike.
            block = x[rows[start : start + BLOCK]] + np.float32(0)
            hashes[start : start + BLOCK] = row_hashes(block)
            largest = max(largest, float(np.abs(block).max()))
        _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
        exponent = 0 if 1e-12 < largest < 1e12 else -int(np.frexp(largest)[1])
        return cls(x, rows, which, rows[first], exponent)

    def __len__(self) -> int:
        return len(self.first)

    def values(self, chosen: Indices | slice) -> Floats:
        """Copy some of the distinct vectors."""
        found = self.x[self.first[chosen]] + np.float32(0)
        if self.exponent:
            found = np.ldexp(found, self.exponent)
        return found

    def blocks(self) -> Iterator[tuple[slice, Floats]]:
        """Copy all of them, one block after another."""
        for start in range(0, len(self), BLOCK):
            part = slice(start, start + BLOCK)
            yield part, self.values(part)

    def sample(self, n: int, seed: int) -> Indices:
        """Draw `n` of the distinct vectors; all where there are no more."""
        if n >= len(self):
            return np.arange(len(self))
        return np.sort(np.random.default_rng(seed).choice(len(self), n, replace=False))

    def spread(self, flat: Floats) -> Floats:
        """Give each row of the matrix the place of its vector, NaN where it is not usable."""
        result = np.full((len(self.x), flat.shape[1]), np.nan, dtype=np.float32)
        result[self.rows] = flat[self.which]
        return result


@dataclass(frozen=True)
class Axes:
    """Principal axes of a sample."""

    mean: Floats
    components: Floats
    #: Share of the variance of the sample on each.
    shares: Floats

    @classmethod
    def of(cls, values: Floats, n_components: int, seed: int) -> Axes:
        """Fit them; there are as many as the values have directions, at least two."""
        from sklearn.decomposition import PCA

        mean = values.mean(axis=0, dtype=np.float64).astype(np.float32)
        n = min(n_components, *values.shape)
        components = np.zeros((max(n, 2), values.shape[1]), dtype=np.float32)
        shares = np.zeros(max(n, 2), dtype=np.float32)
        if len(values) > 1:
            # The share of the variance is 0 / 0 where all squares vanish.
            with np.errstate(invalid="ignore"):
                pca = PCA(n, svd_solver="auto", random_state=seed).fit(values - mean)
            components[:n] = pca.components_
            shares[:n] = np.nan_to_num(pca.explained_variance_ratio_)
        return cls(mean, components, shares)

    def apply(self, values: Floats) -> Floats:
        """Give the coordinates of vectors on the axes."""
        return np.asarray((values - self.mean) @ self.components.T, dtype=np.float32)


@dataclass(frozen=True)
class Nearest:
    """Finds among a few thousand points those nearest to others, by exact distances."""

    points: Floats

    @cached_property
    def _squares(self) -> Floats:
        squares: Floats = np.einsum("ij,ij->i", self.points, self.points)
        return squares

    def find(self, queries: Floats, k: int) -> tuple[Indices, Floats]:
        """Give the `k` nearest of each query and their distances, the nearest first."""
        k = min(k, len(self.points))
        found = np.empty((len(queries), k), dtype=np.int64)
        distances = np.empty((len(queries), k), dtype=np.float32)
        step = max(1, _CELLS // len(self.points))
        for start in range(0, len(queries), step):
            part = queries[start : start + step]
            # Without the square of the query, which changes no order.
            ranked = self._squares - 2 * (part @ self.points.T)
            near = np.argpartition(ranked, k - 1, axis=1)[:, :k]
            away = np.take_along_axis(ranked, near, axis=1)
            order = np.lexsort((near, away), axis=1)
            found[start : start + step] = np.take_along_axis(near, order, axis=1)
            own = np.einsum("ij,ij->i", part, part)[:, None]
            squares = np.maximum(np.take_along_axis(away, order, axis=1) + own, 0)
            distances[start : start + step] = np.sqrt(squares)
        return found, distances


def place(nearest: Nearest, flat: Floats, queries: Floats) -> Floats:
    """Place points on a map beside the nearest that is on it, on the side of the next ones.

    Of these only those count that lie together on the map with the nearest: between two far
    groups is a place where nothing is.
    """
    found, distances = nearest.find(queries, _AMONG)
    at = flat[found].astype(np.float64)
    away = np.linalg.norm(at - at[:, :1], axis=2)
    together = away <= _spacing(flat)
    weight = together / np.maximum(distances, 1e-12).astype(np.float64)
    weight /= weight.sum(axis=1, keepdims=True)
    middle = np.einsum("nk,nkc->nc", weight, at)
    placed: Floats = (at[:, 0] + _PULL * (middle - at[:, 0])).astype(np.float32)
    return placed


def _spacing(flat: Floats) -> float:
    """Give a distance on the map within which points belong together: a 25th of its size."""
    size: npt.NDArray[np.float32] = np.ptp(flat, axis=0)
    return float(np.linalg.norm(size)) / 25
