"""The distinct usable vectors of a matrix, in an order that depends on nothing but themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from .vectors import Bools, Floats, usable

# ---- Work on the rows of a matrix block by block, on all cores, with one and the same result.

Given = TypeVar("Given")
Result = TypeVar("Result")

#: Rows of a block: of 768 columns 3 MB, so that a block stays in the cache of its core.
BLOCK = 1_024


def one_thread() -> AbstractContextManager[Any]:
    """Keep numerical libraries to one thread: sums of several depend on which ends first."""
    limits: AbstractContextManager[Any] = _libraries().limit(limits=1)
    return limits


@cache
def _libraries() -> Any:
    """Find the numerical libraries; looking for them takes as long as a small fit."""
    # Only libraries that are loaded can be limited, and these load all of them.
    import scipy.linalg  # noqa: F401
    import sklearn.cluster  # noqa: F401
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


def on_all_cores(work: Callable[[Given], Result], items: Iterable[Given]) -> list[Result]:
    """Do independent pieces of work side by side; the results come in the order of the pieces.

    Each is done by one thread alone, so that the number of cores cannot change a digit.
    """

    def alone(item: Given) -> Result:
        # The number of threads of OpenMP is a setting of each thread.
        with one_thread():
            return work(item)

    todo = list(items)
    if len(todo) < 2:
        return [alone(item) for item in todo]
    with one_thread(), ThreadPoolExecutor(_n_cores()) as pool:
        return list(pool.map(alone, todo))


def in_blocks(work: Callable[[slice], Result], n: int, size: int = BLOCK) -> list[Result]:
    """Do a piece of work on each block of `n` rows; the blocks are the same on every machine.

    What a matrix product gives for a row can depend on the number of rows beside it.
    """
    return on_all_cores(work, [slice(i, min(i + size, n)) for i in range(0, n, size)])


def _n_cores() -> int:
    """Count the cores that this process may use."""
    from joblib import cpu_count

    return int(cpu_count())


def row_hashes(x: Floats, rows: Indices) -> npt.NDArray[np.uint64]:
    """Give equal rows equal numbers; that different rows collide is out of the question."""

    def digests(block: slice) -> bytes:
        part = _unsigned_zero(x[rows[block]])
        return b"".join(hashlib.blake2b(row.data, digest_size=8).digest() for row in part)

    return np.frombuffer(b"".join(in_blocks(digests, len(rows))), dtype=np.uint64)


def drawn(n: int, size: int, seed: int) -> Indices:
    """Draw `size` of `n` places without putting any back, in rising order; all of fewer."""
    if n <= size:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, size, replace=False))


def _unsigned_zero(x: Floats) -> Floats:
    """Turn -0.0 into 0.0, to which it is equal; gives a copy."""
    return np.ascontiguousarray(x + np.float32(0))


# ---- The distinct usable vectors of a matrix.

Ints = npt.NDArray[np.int32]
Indices = npt.NDArray[np.int64]

#: Vectors with more columns are first reduced to as many principal components. Fewer lose
#: clusters, more cost time without finding better ones.
_COMPONENTS = 100

#: Distinct vectors from which mean and principal components are taken, if there are more (with
#: fewer, clusters that are hard to tell apart are lost), and numbers in them at most.
_PCA_ROWS = 30_000
_PCA_CELLS = 30_000_000


@dataclass(frozen=True)
class Axes:
    """The place and the directions in which vectors are looked at."""

    mean: Floats
    #: Principal components, one a row; None where the columns are used as they are.
    components: Floats | None
    #: Share of the variance on each component.
    shares: Floats

    @classmethod
    def of(cls, values: Floats, n_components: int, seed: int, *, turned: bool = False) -> Axes:
        """Find them of some vectors, which are overwritten; at least two components.

        Vectors that have no more columns are left as they are, but centred, unless `turned`.
        """
        from sklearn.decomposition import PCA

        mean = values.mean(axis=0, dtype=np.float64).astype(np.float32)
        if values.shape[1] <= n_components and not turned:
            return cls(mean, None, np.zeros(0, dtype=np.float32))
        values -= mean
        n = min(n_components, *values.shape)
        components = np.zeros((max(n, 2), values.shape[1]), dtype=np.float32)
        shares = np.zeros(max(n, 2), dtype=np.float32)
        if len(values) > 1:
            # The share of the variance is 0 / 0 where all squares vanish.
            with one_thread(), np.errstate(invalid="ignore"):
                pca = PCA(n, copy=False, random_state=seed).fit(values)
            components[:n] = pca.components_
            shares[:n] = np.nan_to_num(pca.explained_variance_ratio_)
        return cls(mean, components, shares)

    @property
    def width(self) -> int:
        """Columns of a reduced vector."""
        return len(self.mean) if self.components is None else len(self.components)

    def apply(self, values: Floats) -> Floats:
        """Give the coordinates of vectors, which are overwritten, on the axes."""
        values -= self.mean
        return values if self.components is None else values @ self.components.T


@dataclass(frozen=True)
class Points:
    """The distinct usable vectors in an order of their own.

    Cards are copied, so one vector can stand for many; fitted once with its number of copies as
    its weight it cannot fall into two clusters. Ordered by content instead of by position, the
    same vectors give the same fit in whichever order they come.

    The caller's matrix is never copied as a whole: vectors are gathered from it block by block.
    """

    x: Floats
    #: Row in the caller's matrix of each usable vector; copies of one point stand together.
    rows: Indices
    copies: Indices
    #: A power of two that brings vectors of extreme sizes near 1; 0 for all others.
    exponent: int
    seed: int

    @classmethod
    def of(cls, x: Floats, seed: int) -> Points:
        """Take the usable rows of a matrix; needs at least three."""
        good, keys, largest = _scan(x)
        rows = np.flatnonzero(good)
        if len(rows) < 3:
            raise schema.NoFigure(
                f"at least 3 usable vectors are needed; {len(rows)} of {len(x):,} are usable."
            )
        ordered, copies = _grouped(x, rows, keys[rows])
        # Squares of larger or smaller numbers are beyond float32.
        exponent = 0 if 1e-12 < largest < 1e12 else -int(np.frexp(largest)[1])
        return cls(x, ordered, copies, exponent, seed)

    @cached_property
    def first(self) -> Indices:
        """One row of the caller's matrix for each point."""
        first: Indices = self.rows[np.cumsum(self.copies) - self.copies]
        return first

    @cached_property
    def axes(self) -> Axes:
        """Mean and principal components, of some of the points where they are many."""
        width = self.x.shape[1]
        chosen = drawn(len(self.first), min(_PCA_ROWS, _PCA_CELLS // width), self.seed)
        return Axes.of(self.gathered(self.first[chosen]), _COMPONENTS, self.seed)

    @cached_property
    def values(self) -> Floats:
        """All points, centred, in their principal components."""
        return self.take(np.arange(len(self.copies)))

    def take(self, points: Indices, axes: Axes | None = None, size: int = BLOCK) -> Floats:
        """Give some points, centred, in their principal components or on other axes."""
        first, axes = self.first[points], axes or self.axes
        result = np.empty((len(first), axes.width), dtype=np.float32)

        def reduce(block: slice) -> None:
            result[block] = axes.apply(self.gathered(first[block]))

        in_blocks(reduce, len(first), size)
        return result

    def gathered(self, rows: Indices) -> Floats:
        """Copy rows of the caller's matrix, at a size that can be squared."""
        values = np.take(self.x, rows, axis=0)
        return np.ldexp(values, self.exponent) if self.exponent else values

    @property
    def point_of_row(self) -> Indices:
        """The point of each usable row, in the order of `rows`."""
        return np.repeat(np.arange(len(self.copies)), self.copies)

    def sample(self, chosen: Indices) -> Sample:
        """Take some of the usable rows, by their place in `rows`."""
        points, rows = np.unique(self.point_of_row[chosen], return_inverse=True)
        return Sample(self.take(points), rows)

    def spread(self, of_point: npt.NDArray[Any], missing: float) -> npt.NDArray[Any]:
        """Give each row of the matrix what its point has, `missing` where it is not usable."""
        result = np.full((len(self.x), *of_point.shape[1:]), missing, dtype=of_point.dtype)
        result[self.rows] = of_point[self.point_of_row]
        return result


@dataclass(frozen=True)
class Sample:
    """Some of the usable rows: their distinct points, and which of these each row has."""

    values: Floats
    rows: Indices

    @cached_property
    def copies(self) -> Indices:
        """The number of rows of each point."""
        return np.bincount(self.rows, minlength=len(self.values))

    def centres(self, k: int) -> Floats | None:
        """Cut Ward's hierarchy into `k` clusters and give their centres; None where ties forbid it.

        Drawn starts put two centres into a large cluster and one between two small ones, and
        k-means does not get out of that by itself. A hierarchy seldom makes this mistake.
        """
        from scipy.cluster.hierarchy import fcluster, linkage

        if not 1 < len(self.values) >= k:
            return None
        labels = fcluster(linkage(self.values, "ward"), k, criterion="maxclust") - 1
        if labels.max() + 1 != k:
            return None
        sums = np.zeros((k, self.values.shape[1]))
        np.add.at(sums, labels, self.values * self.copies[:, None])
        return (sums / np.bincount(labels, weights=self.copies)[:, None]).astype(np.float32)

    def smaller(self, seed: int, size: int) -> Sample:
        """Draw rows without putting any back; all where there are no more than `size`."""
        if len(self.rows) <= size:
            return self
        rows = self.rows[drawn(len(self.rows), size, seed)]
        there, of_row = np.unique(rows, return_inverse=True)
        return Sample(self.values[there], of_row)


def _scan(x: Floats) -> tuple[Bools, npt.NDArray[np.uint64], float]:
    """Find the usable rows, a key for each row, and the largest number by size, in one pass."""
    good = np.zeros(len(x), dtype=bool)
    keys = np.zeros(len(x), dtype=np.uint64)
    # Odd, so that no column is lost.
    factors = np.random.default_rng(0).integers(2**64, size=x.shape[1], dtype=np.uint64) | 1

    def scan(block: slice) -> float:
        good[block] = usable(x[block])
        words = _unsigned_zero(x[block]).view(np.uint32)
        keys[block] = np.einsum("ij,j->i", words, factors, dtype=np.uint64, casting="unsafe")
        return float(np.abs(x[block][good[block]]).max(initial=0))

    return good, keys, max(in_blocks(scan, len(x)), default=0.0)


def _grouped(x: Floats, rows: Indices, keys: npt.NDArray[np.uint64]) -> tuple[Indices, Indices]:
    """Order rows by content, equal ones side by side; gives the rows and the sizes of groups.

    Keys are quick but can be equal by chance, so rows that share one are told apart by a digest.
    """
    frame = pl.DataFrame({"row": rows, "key": keys})
    shared = np.flatnonzero(frame["key"].is_duplicated())
    digests = np.zeros(len(rows), dtype=np.uint64)
    digests[shared] = row_hashes(x, rows[shared])
    frame = frame.with_columns(digest=digests).sort("key", "digest", "row")
    groups = frame.group_by("key", "digest", maintain_order=True).len()
    return frame["row"].to_numpy(), groups["len"].cast(pl.Int64).to_numpy()
