"""The distinct usable vectors of a matrix, in an order that depends on nothing but themselves."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .. import schema
from .vectors import Bools, Floats, same_size, usable

# ---- Work on the rows of a large matrix block by block, on all cores, with one and the same
# result.

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

    Each piece is done by one thread alone, so that neither their number nor which of them ends
    first can change a digit: two cores give what one gives, sooner.
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


def in_blocks(work: Callable[[slice], Result], n: int) -> list[Result]:
    """Do a piece of work on each block of `n` rows.

    The blocks are the same whatever the machine, as what a matrix product gives for a row can
    depend on the number of rows beside it.
    """
    blocks = [slice(i, min(i + BLOCK, n)) for i in range(0, n, BLOCK)]
    with one_thread():
        if len(blocks) < 2:
            return [work(block) for block in blocks]
        with ThreadPoolExecutor(_n_cores()) as pool:
            return list(pool.map(work, blocks))


def _n_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


# ---- The distinct usable vectors of a matrix, in an order that depends on nothing but
# themselves.

__all__ = [
    "SAMPLE",
    "Indices",
    "Ints",
    "Points",
    "Sample",
    "checked_labels",
    "one_thread",
    "whole_number",
]

Ints = npt.NDArray[np.int32]
Indices = npt.NDArray[np.int64]

#: Vectors with more columns are first reduced to as many principal components. Fewer lose
#: clusters, more cost time without finding better ones.
_COMPONENTS = 100

#: Distinct vectors from which mean and principal components are taken, if there are more: with
#: fewer, clusters that are hard to tell apart are lost. And those of which a copy is made, where
#: the columns are too many for a matrix of their products.
_PCA_ROWS = 30_000
_COPIED_ROWS = 10_000
_SQUARED_COLUMNS = 2_048

#: Rows on which numbers of clusters are compared: all their distances are held at once.
SAMPLE = 5_000


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
    frame: Frame

    @classmethod
    def of(cls, x: Floats, seed: int, *, n_components: int = _COMPONENTS) -> Points:
        """Take the usable rows of a matrix; needs at least three."""
        good, keys, largest = _scan(x)
        rows = np.flatnonzero(good)
        if len(rows) < 3:
            raise schema.NoFigure(
                f"at least 3 usable vectors are needed; {len(rows)} of {len(x):,} are usable."
            )
        order, copies = _grouped(x, rows, keys[rows])
        rows = rows[order]
        first = rows[np.cumsum(copies) - copies]
        if len(first) > _PCA_ROWS:
            drawn = np.random.default_rng(seed).choice(len(first), _PCA_ROWS, replace=False)
            first = first[np.sort(drawn)]
        return cls(x, rows, copies, Frame.of(x, first, largest, n_components, seed))

    @property
    def n_rows(self) -> int:
        """The rows of the caller's matrix."""
        return len(self.x)

    @cached_property
    def first(self) -> Indices:
        """One row of the caller's matrix for each point."""
        first: Indices = self.rows[np.cumsum(self.copies) - self.copies]
        return first

    @cached_property
    def values(self) -> Floats:
        """All points, centred, in their principal components."""
        return self.take(np.arange(len(self.copies)))

    def take(self, points: Indices) -> Floats:
        """Give some points, centred, in their principal components."""
        first, axes = self.first[points], self.frame.axes
        result = np.empty((len(first), self.frame.width), dtype=np.float32)

        def reduce(block: slice) -> None:
            centred = self.centred(first[block])
            result[block] = centred if axes is None else centred @ axes.T

        in_blocks(reduce, len(first))
        return result

    def centred(self, rows: Indices) -> Floats:
        """Gather rows of the caller's matrix and move them as the frame says."""
        return self.frame.centre(np.take(self.x, rows, axis=0))

    @property
    def point_of_row(self) -> Indices:
        """The point of each usable row, in the order of `rows`."""
        return np.repeat(np.arange(len(self.copies)), self.copies)

    def allow(self, n_clusters: int) -> int:
        """Check that there are points enough for a number of clusters."""
        if n_clusters > len(self.copies):
            raise schema.CardlabError(
                f"n_clusters is {n_clusters}, but there are only {len(self.copies):,} distinct "
                f"vectors among the {len(self.rows):,} usable rows."
            )
        return n_clusters

    def sample(self, seed: int, size: int = SAMPLE) -> Sample:
        """Draw usable rows without putting any back; all where there are no more than `size`."""
        drawn = self.point_of_row
        if len(drawn) > size:
            drawn = np.sort(np.random.default_rng(seed).choice(drawn, size, replace=False))
        points, rows = np.unique(drawn, return_inverse=True)
        return Sample(points, self.take(points), rows)

    def spread(self, labels: npt.NDArray[Any]) -> Ints:
        """Give each row the label of its point, -1 where it is not usable."""
        result = np.full(self.n_rows, -1, dtype=np.int32)
        result[self.rows] = labels[self.point_of_row]
        return result


@dataclass(frozen=True)
class Frame:
    """The place and the directions in which points are looked at."""

    #: A power of two that brings vectors of extreme sizes near 1; 0 for all others.
    exponent: int
    mean: Floats
    #: Principal components, one a row; None where the columns are used as they are.
    axes: Floats | None

    @classmethod
    def of(cls, x: Floats, rows: Indices, largest: float, n_components: int, seed: int) -> Frame:
        """Find mean and principal components of some rows of a matrix."""
        # Squares of larger or smaller numbers are beyond float32.
        exponent = 0 if 1e-12 < largest < 1e12 else -int(np.frexp(largest)[1])
        unmoved = cls(exponent, np.zeros(x.shape[1], dtype=np.float32), None)
        sums = in_blocks(lambda b: unmoved.centre(x[rows[b]]).sum(0, dtype=np.float64), len(rows))
        placed = replace(unmoved, mean=(np.sum(sums, axis=0) / len(rows)).astype(np.float32))
        if x.shape[1] <= n_components or len(rows) < 2:
            return placed
        # As scikit-learn decides which way is the quickest.
        if x.shape[1] <= _SQUARED_COLUMNS and len(rows) >= 10 * x.shape[1]:
            axes = placed._axes_of_products(x, rows, n_components)
        else:
            axes = placed._axes_of_copy(
                x, rows[:: -(-len(rows) // _COPIED_ROWS)], n_components, seed
            )
        return replace(placed, axes=np.ascontiguousarray(axes, dtype=np.float32))

    def _axes_of_products(self, x: Floats, rows: Indices, n_components: int) -> Floats:
        """Find principal components from products of columns, block by block."""

        def products(block: slice) -> Floats:
            centred = self.centre(x[rows[block]])
            squares: Floats = centred.T @ centred
            return squares

        total = np.zeros((x.shape[1], x.shape[1]))
        for squares in in_blocks(products, len(rows)):
            total += squares
        with one_thread():
            found = np.linalg.eigh(total)[1][:, ::-1].T[:n_components]
        return found.astype(np.float32)

    def _axes_of_copy(self, x: Floats, rows: Indices, n_components: int, seed: int) -> Floats:
        """Find principal components of a copy of some rows."""
        from sklearn.decomposition import PCA

        pca = PCA(min(n_components, len(rows)), copy=False, random_state=seed)
        # The share of the variance, which is not used, is 0 / 0 where squares of all rows vanish.
        with one_thread(), np.errstate(invalid="ignore"):
            pca.fit(self.centre(x[rows]))
        found: Floats = pca.components_
        return found

    @property
    def width(self) -> int:
        """Columns of a reduced vector."""
        return len(self.mean) if self.axes is None else len(self.axes)

    def centre(self, block: Floats) -> Floats:
        """Move gathered rows, which are overwritten, so that their mean is the origin."""
        if self.exponent:
            block = np.ldexp(block, self.exponent)
        block -= self.mean
        return block

    def back(self, values: Floats) -> Floats:
        """Give reduced vectors as centred ones of full width."""
        return values if self.axes is None else values @ self.axes


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

    def part(self, rows: Indices) -> Sample:
        """Take some of the rows; a row that is given twice is there twice."""
        there, of_row = np.unique(self.rows[rows], return_inverse=True)
        return Sample(self.points[there], self.values[there], of_row)

    def smaller(self, seed: int, size: int) -> Sample:
        """Draw rows without putting any back; all where there are no more than `size`."""
        if len(self.rows) <= size:
            return self
        drawn = np.random.default_rng(seed).choice(len(self.rows), size, replace=False)
        return self.part(np.sort(drawn))


def whole_number(value: Any, minimum: int, *, name: str) -> int:
    """Check an argument that must be a whole number; numpy's integers count as such."""
    number = int(value) if isinstance(value, np.integer) else value
    schema.at_least(number, minimum, name=name)
    if number >= 2**32:
        raise schema.CardlabError(f"{name} must be less than 2**32, not {number}.")
    return int(number)


def checked_labels(labels: npt.ArrayLike, n: int, *, of: str) -> Ints:
    """Check the labels of cards or vectors; negative ones become -1."""
    given = np.asarray(labels)
    if given.ndim != 1 or (given.dtype.kind not in "iu" and given.size):
        raise schema.CardlabError(
            "labels must be a sequence of whole numbers, one a card, such as cardlab.cluster(x) "
            f"gives; these have shape {given.shape}, type {given.dtype}."
        )
    same_size(len(given), n, name="labels", of=of)
    if not (given >= 0).any():
        raise schema.NoFigure(f"none of the {n:,} {of} is in a cluster (all labels are negative).")
    return np.where(given >= 0, given, -1).astype(np.int32)


def _scan(x: Floats) -> tuple[Bools, npt.NDArray[np.uint64], float]:
    """Find the usable rows, a key for each row, and the largest number by size, in one pass."""
    good = np.zeros(len(x), dtype=bool)
    keys = np.zeros(len(x), dtype=np.uint64)
    # Odd, so that no column is lost.
    factors = np.random.default_rng(0).integers(2**64, size=x.shape[1], dtype=np.uint64) | 1

    def scan(block: slice) -> float:
        good[block] = usable(x[block])
        words = np.ascontiguousarray(_unsigned_zero(x[block])).view(np.uint32)
        keys[block] = np.einsum("ij,j->i", words, factors, dtype=np.uint64, casting="unsafe")
        return float(np.abs(x[block][good[block]]).max(initial=0))

    return good, keys, max(in_blocks(scan, len(x)), default=0.0)


def _grouped(x: Floats, rows: Indices, keys: npt.NDArray[np.uint64]) -> tuple[Indices, Indices]:
    """Order rows by content, equal ones side by side; gives the order and the sizes of groups.

    Keys are quick but can be equal by chance, so rows that share one are told apart by a digest.
    """
    _, group, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    shared = np.flatnonzero(sizes[group] > 1)
    digests = np.zeros(len(rows), dtype=np.uint64)

    def digest(block: slice) -> None:
        of_rows = _unsigned_zero(x[rows[shared[block]]])
        found = (hashlib.blake2b(row.data, digest_size=8).digest() for row in of_rows)
        digests[shared[block]] = np.frombuffer(b"".join(found), dtype=np.uint64)

    in_blocks(digest, len(shared))
    order = np.lexsort((digests, keys))
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = (np.diff(keys[order]) != 0) | (np.diff(digests[order]) != 0)
    return order, np.diff(np.append(np.flatnonzero(starts), len(order)))


def _unsigned_zero(x: Floats) -> Floats:
    """Turn -0.0 into 0.0, to which it is equal; gives a copy."""
    return x + np.float32(0)
