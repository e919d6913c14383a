"""What is wrong with each vector of a source, without a matrix of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from .blocks import Block, Source, commonest, flat, rows_of


def classified(source: Source) -> pl.DataFrame:
    """Name what is wrong with each row that is not usable: `row`, `problem`, `length`."""
    length = np.full(source.n_rows, -1, dtype=np.int64)
    finite, some = np.zeros(source.n_rows, dtype=bool), np.zeros(source.n_rows, dtype=bool)
    for rows, block in source.placed():
        start = 0
        step = max(rows_of(1024), 1)
        own = np.arange(source.n_rows)[rows] if isinstance(rows, slice) else rows
        for start in range(0, len(block), step):
            part = own[start : start + step]
            length[part], finite[part], some[part] = _examined(block[start : start + step])
    seen, n = np.unique(length[length > 0], return_counts=True)
    width = commonest({int(k): int(m) for k, m in zip(seen, n, strict=True)})
    kinds = [length < 0, length != width, ~finite, ~some]
    problem = np.select(kinds, ["null", "wrong_length", "not_finite", "zero"], default="")
    rows = np.flatnonzero(problem != "")
    return pl.DataFrame(
        {
            "row": rows,
            "problem": pl.Series(problem[rows].tolist(), dtype=pl.String),
            "length": pl.Series(length[rows]).replace(-1, None),
        }
    )


def _examined(block: Block) -> tuple[npt.NDArray, npt.NDArray, npt.NDArray]:
    """Give the length of each vector (-1 for null), and whether all of it is finite, any not 0."""
    if isinstance(block, np.ndarray):
        with np.errstate(over="ignore"):
            x = block.astype(np.float32, copy=False)
        n = np.full(len(x), x.shape[1])
        return n, np.asarray(np.isfinite(x).all(axis=1)), (x != 0).any(axis=1)
    if not isinstance(block.dtype, (pl.List, pl.Array)):
        n = np.full(len(block), -1)
        none = np.zeros(len(n), dtype=bool)
        return n, none, none
    lists = block.arr.to_list() if isinstance(block.dtype, pl.Array) else block
    n = lists.list.len().cast(pl.Int64).fill_null(-1).to_numpy()
    filled = n > 0
    finite, some = np.zeros(len(n), dtype=bool), np.zeros(len(n), dtype=bool)
    if filled.any():
        values = flat(lists)
        first = np.concatenate([[0], np.cumsum(n[filled])[:-1]])
        finite[filled] = np.logical_and.reduceat(np.isfinite(values), first)
        some[filled] = np.logical_or.reduceat(values != 0, first)
    return n, finite, some
