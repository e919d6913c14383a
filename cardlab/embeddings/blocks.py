"""Vectors in blocks: what every source of them gives, and the matrix that is filled from it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float32]

#: Numbers that are looked at in one go, 16 MB of float32: a check never copies the whole matrix.
_BLOCK = 2**22

#: A block of vectors: lists or arrays of numbers, or a part of a matrix.
Block = pl.Series | npt.NDArray


@dataclass(frozen=True)
class Source:
    """Vectors that lie somewhere, not yet read.

    Attributes
    ----------
    n_rows : int
        Rows of the matrix to be.
    blocks : callable
        Gives the vectors from the first to the last, in blocks of any size; may be called again.
    ids : callable
        Gives the id of each row, or None where there are none.
    whole : np.ndarray, optional
        All vectors where they lie as float32 in one piece; nothing is copied.
    owned : bool
        Whether `whole` may be written to without changing what it came from.
    rows : np.ndarray of int, optional
        For each row of the matrix its place among the blocks' rows, -1 for none; without it
        they are the same.
    """

    n_rows: int
    blocks: Callable[[], Iterator[Block]]
    ids: Callable[[], pl.Series | None]
    whole: Floats | None = None
    owned: bool = False
    rows: npt.NDArray[np.int64] | None = None

    def placed(self) -> Iterator[tuple[slice | npt.NDArray[np.int64], Block]]:
        """Give each block with the rows of the matrix that it belongs to."""
        start = 0
        if self.rows is None:
            for block in self.blocks():
                yield slice(start, start + len(block)), block
                start += len(block)
            return
        order = np.argsort(self.rows, kind="stable")
        wanted = self.rows[order]
        for block in self.blocks():
            low, high = np.searchsorted(wanted, (start, start + len(block)))
            if low < high:
                chosen = wanted[low:high] - start
                yield order[low:high], block[chosen]
            start += len(block)


def rows_of(width: int) -> int:
    """Give how many rows of a width are looked at in one go."""
    return max(_BLOCK // max(width, 1), 1)


def fill(source: Source) -> tuple[Floats, bool]:
    """Give the vectors of the commonest length, each in its row; the other rows are NaN.

    Returns the matrix, and whether it may be written to without changing the source.
    """
    if source.whole is not None:
        return source.whole, source.owned
    width, lengths = 0, Counter[int]()
    x: Floats | None = None
    for rows, block in source.placed():
        for part in _parts(rows, block):
            found = _lengths(part[1])
            lengths.update(found)
            if x is None and (width := commonest(found)):
                x = _empty(source, width)
            if x is not None:
                _put(x, *part)
    right = commonest(lengths)
    if x is None or right == 0:
        return np.full((source.n_rows, 1), np.nan, dtype=np.float32), True
    if right != width:
        # The first vectors were not of the commonest length, so the sweep was for nothing.
        del x
        x = _empty(source, right)
        for rows, block in source.placed():
            for part in _parts(rows, block):
                _put(x, *part)
    return x, True


def commonest(lengths: Mapping[int, int]) -> int:
    """Give the commonest length above zero, the longer on a tie; 0 when there is none."""
    return max(((n, length) for length, n in lengths.items() if length > 0), default=(0, 0))[1]


def flat(column: pl.Series) -> npt.NDArray:
    """Give the numbers of lists one after the other as float32; a null inside becomes NaN."""
    return (
        column.explode(empty_as_null=False, keep_nulls=False)
        .cast(pl.Float32, strict=False)
        .to_numpy()
    )


def _empty(source: Source, width: int) -> Floats:
    x = np.empty((source.n_rows, width), dtype=np.float32)
    if source.rows is not None:
        x[source.rows < 0] = np.nan
    return x


def _parts(
    rows: slice | npt.NDArray[np.int64], block: Block
) -> Iterator[tuple[slice | npt.NDArray[np.int64], Block]]:
    """Cut a block into pieces small enough to be converted without a second copy of it all."""
    width = block.shape[1] if isinstance(block, np.ndarray) else _mean_length(block)
    step = rows_of(width)
    for start in range(0, len(block), step):
        stop = min(start + step, len(block))
        if isinstance(rows, slice):
            yield slice(rows.start + start, rows.start + stop), block[start:stop]
        else:
            yield rows[start:stop], block[start:stop]


def _mean_length(block: pl.Series) -> int:
    if isinstance(block.dtype, pl.Array):
        return block.dtype.size
    if not isinstance(block.dtype, pl.List):
        return 1
    return int(block.list.len().sum() or 0) // max(len(block), 1)


def _lengths(block: Block) -> Counter[int]:
    if isinstance(block, np.ndarray):
        return Counter({block.shape[1]: len(block)})
    if isinstance(block.dtype, pl.Array):
        return Counter({block.dtype.size: len(block) - block.null_count()})
    if not isinstance(block.dtype, pl.List):
        return Counter()
    seen = block.list.len().drop_nulls().value_counts(name="n")
    return Counter(dict(seen.iter_rows()))


def _put(x: Floats, rows: slice | npt.NDArray[np.int64], block: Block) -> None:
    """Write a block into its rows, NaN where a vector is of another length."""
    width = x.shape[1]
    # What is too large for float32 becomes infinite, and with it the row unusable.
    with np.errstate(over="ignore"):
        if isinstance(block, np.ndarray):
            x[rows] = block
            return
        if isinstance(block.dtype, pl.Array):
            fits = block.is_not_null() if block.dtype.size == width else None
        elif isinstance(block.dtype, pl.List):
            fits = (block.list.len() == width).fill_null(False)
        else:
            fits = None
        if fits is None or not fits.any():
            x[rows] = np.nan
        elif fits.all():
            x[rows] = flat(block).reshape(-1, width)
        else:
            part = np.full((len(block), width), np.nan, dtype=np.float32)
            part[fits.to_numpy()] = flat(block.filter(fits)).reshape(-1, width)
            x[rows] = part


def row_hashes(x: Floats) -> npt.NDArray[np.uint64]:
    """Give equal rows equal numbers; that different rows collide is out of the question."""
    hashes = np.empty(len(x), dtype=np.uint64)
    step = rows_of(x.shape[1])
    for start in range(0, len(x), step):
        part = np.ascontiguousarray(x[start : start + step] + np.float32(0))  # -0.0 is 0.0
        digests = b"".join(hashlib.blake2b(row.data, digest_size=8).digest() for row in part)
        hashes[start : start + len(part)] = np.frombuffer(digests, dtype=np.uint64)
    return hashes
