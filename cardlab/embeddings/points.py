"""The distinct usable vectors of a matrix, in an order that depends on nothing but themselves."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import schema
from .matrix import Floats, usable

Ints = npt.NDArray[np.int32]
Indices = npt.NDArray[np.int64]

#: Vectors with more columns are first reduced to as many principal components. Fewer lose
#: clusters, more cost time without finding better ones.
_COMPONENTS = 100

#: Rows on which numbers of clusters are compared: all their distances are held at once.
SAMPLE = 5_000


@dataclass(frozen=True)
class Points:
    """The distinct usable vectors in an order of their own.

    Cards are copied, so one vector can stand for many; fitted once with its number of copies as
    its weight it cannot fall into two clusters. Ordered by content instead of by position, the
    same vectors give the same fit in whichever order they come.
    """

    values: Floats
    copies: Indices
    #: Row in the caller's matrix of each usable vector; copies of one point stand together.
    rows: Indices
    n_rows: int

    @classmethod
    def of(cls, x: Floats, seed: int, *, n_components: int = _COMPONENTS) -> Points:
        """Take the usable rows of a matrix; needs at least three."""
        rows = np.flatnonzero(usable(x))
        if len(rows) < 3:
            raise schema.NoFigure(
                f"at least 3 usable vectors are needed; {len(rows)} of {len(x):,} are usable."
            )
        good = x[rows] + np.float32(0)  # A copy; turns -0.0 into 0.0, which must hash alike.
        _, first, which, copies = np.unique(
            _hashes(good), return_index=True, return_inverse=True, return_counts=True
        )
        return cls(
            values=_reduced(_centred(good[first]), n_components, seed),
            copies=copies,
            rows=rows[np.argsort(which, kind="stable")],
            n_rows=len(x),
        )

    @property
    def point_of_row(self) -> Indices:
        """The point of each usable row, in the order of `rows`."""
        return np.repeat(np.arange(len(self.copies)), self.copies)

    def allow(self, n_clusters: int) -> int:
        """Check that there are points enough for a number of clusters."""
        if n_clusters > len(self.values):
            raise schema.CardlabError(
                f"n_clusters is {n_clusters}, but there are only {len(self.values):,} distinct "
                f"vectors among the {len(self.rows):,} usable rows."
            )
        return n_clusters

    def sample(self, seed: int) -> Sample:
        """Draw 5,000 usable rows without putting any back; all where there are no more."""
        drawn = self.point_of_row
        if len(drawn) > SAMPLE:
            drawn = np.sort(np.random.default_rng(seed).choice(drawn, SAMPLE, replace=False))
        points, rows = np.unique(drawn, return_inverse=True)
        return Sample(points, self.values[points], rows)

    def spread(self, labels: npt.NDArray[Any]) -> Ints:
        """Give each row the label of its point, -1 where it is not usable."""
        result = np.full(self.n_rows, -1, dtype=np.int32)
        result[self.rows] = labels[self.point_of_row]
        return result


@dataclass(frozen=True)
class Sample:
    """Some of the usable rows: their distinct points, and which of these each row has."""

    #: Index of each of these points among all of them.
    points: Indices
    values: Floats
    rows: Indices

    @cached_property
    def copies(self) -> Indices:
        """The number of rows of each point."""
        return np.bincount(self.rows, minlength=len(self.values))

    @cached_property
    def distances(self) -> Floats:
        """Euclidean distances between all points, at most 100 MB."""
        squares = np.einsum("ij,ij->i", self.values, self.values)
        result: Floats = squares[:, None] + squares[None, :] - 2 * (self.values @ self.values.T)
        np.fill_diagonal(result, 0)
        np.maximum(result, 0, out=result)
        return np.sqrt(result, out=result)


def one_thread() -> AbstractContextManager[Any]:
    """Keep numerical libraries to one thread: sums of several depend on which ends first."""
    # Only libraries that are loaded can be limited.
    import sklearn.cluster  # noqa: F401
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    limits: AbstractContextManager[Any] = threadpool_limits(limits=1)
    return limits


def whole_number(value: Any, minimum: int, *, name: str) -> int:
    """Check an argument that must be a whole number; numpy's integers count as such."""
    number = int(value) if isinstance(value, np.integer) else value
    schema.at_least(number, minimum, name=name)
    if number >= 2**32:
        raise schema.CardlabError(f"{name} must be less than 2**32, not {number}.")
    return int(number)


def _hashes(x: Floats) -> npt.NDArray[np.uint64]:
    """Give equal rows equal numbers; that different rows collide is out of the question."""
    digests = (hashlib.blake2b(row.data, digest_size=8).digest() for row in np.ascontiguousarray(x))
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def _centred(x: Floats) -> Floats:
    """Move the mean to the origin, and bring sizes whose squares float32 cannot hold near 1."""
    largest = float(np.abs(x).max())
    if not 1e-12 < largest < 1e12:
        # A power of two: no digit changes.
        x = np.ldexp(x, -int(np.frexp(largest)[1]))
    mean: Floats = x.mean(axis=0, dtype=np.float64).astype(np.float32)
    return x - mean


def _reduced(x: Floats, n_components: int, seed: int) -> Floats:
    """Keep the strongest principal components where there are more columns than asked for."""
    if x.shape[1] <= n_components or len(x) < 2:
        return x
    from sklearn.decomposition import PCA

    pca = PCA(min(n_components, len(x)), svd_solver="auto", random_state=seed)
    # The share of the variance, which is not used, is 0 / 0 where squares of all rows vanish.
    with np.errstate(invalid="ignore"):
        return np.asarray(pca.fit_transform(x), dtype=np.float32)
