"""The vectors of a frame: in memory, lazy, or of another engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from .. import schema
from .blocks import Block, Floats, Source

#: Rows that a lazy frame is asked for at a time, and in how many slices one that can skip to a
#: row is read at most: each slice of one row group decodes again what stands before it, but with
#: fewer the largest row groups would take more than 0.6 of the matrix besides.
_BATCH = 8_192
_SLICES = 20


#: Words of a query plan that make a slice read more than itself.
_WHOLE = ("FILTER", "SELECTION", "UNION", "JOIN", "SORT", "AGGREGATE")


def from_frame(cards: Any) -> Source:
    """Take the column ``embeddings`` of cards."""
    schema.require(cards, "embeddings")
    native = nw.to_native(cards, pass_through=True)
    ids = _ids(cards)
    if isinstance(native, pl.LazyFrame):
        wanted = native.select("embeddings")
        check(wanted.collect_schema()["embeddings"])
        n_rows = schema.count(native)
        return Source(n_rows, lambda: _batches(wanted, n_rows), ids)
    if not isinstance(native, pl.DataFrame):
        # A frame in memory is used where it lies; other engines hand over this one column.
        native = schema.collect(schema.lazy(cards).select("embeddings"))
    column = native["embeddings"]
    check(column.dtype)
    return Source(len(column), lambda: iter([column]), ids, whole=in_one_piece(column))


def check(dtype: pl.DataType, *, name: str = "column 'embeddings'") -> None:
    """Raise a CardlabError unless a column can hold vectors."""
    if dtype == pl.Null:
        return
    inner = dtype.inner if isinstance(dtype, (pl.List, pl.Array)) else None
    if not (inner == pl.Null or (isinstance(inner, pl.DataType) and inner.is_numeric())):
        raise schema.CardlabError(
            f"{name} must hold lists of numbers, one list a card; it is {dtype}."
        )


def in_one_piece(column: pl.Series) -> Floats | None:
    """Give a column as a matrix that shares its memory, or None where it cannot be shared."""
    dtype = column.dtype
    if column.n_chunks() > 1 or column.null_count() or not len(column):
        return None
    if not isinstance(dtype, (pl.List, pl.Array)) or dtype.inner != pl.Float32:
        return None
    if isinstance(dtype, pl.Array):
        width = dtype.size
    else:
        lengths = column.list.len()
        width = int(lengths.item(0))
        if not (lengths == width).all():
            return None
    values = column.explode(empty_as_null=False, keep_nulls=False) if width else None
    if values is None or values.null_count():
        return None
    return values.to_numpy().reshape(-1, width)


def _batches(wanted: pl.LazyFrame, n_rows: int) -> Iterator[Block]:
    """Read one column of a lazy frame from its beginning to its end."""
    n_seen = 0
    for frame in _slices(wanted, n_rows) if _skips(wanted) else stream(wanted):
        n_seen += frame.height
        yield frame.to_series()
    if n_seen != n_rows:
        raise schema.SourceError(
            f"the cards changed while they were read: {n_rows:,} rows, then {n_seen:,}."
        )


def _skips(wanted: pl.LazyFrame) -> bool:
    """Tell whether a slice reaches the reader of the files, so that it reads no more than it."""
    plan = wanted.slice(_BATCH, _BATCH).explain()
    return "SCAN" in plan and "SLICE:" in plan and not any(word in plan for word in _WHOLE)


def _slices(wanted: pl.LazyFrame, n_rows: int) -> Iterator[pl.DataFrame]:
    """Read slice by slice: the engine's own batches hold several row groups, decoded, at once."""
    step = max(_BATCH, -(-n_rows // _SLICES))
    for start in range(0, n_rows, step):
        yield schema.collect(wanted.slice(start, step))


def stream(wanted: pl.LazyFrame, rows: int = _BATCH) -> Iterator[pl.DataFrame]:
    """Read a lazy frame from its beginning to its end, some rows at a time."""
    try:
        yield from wanted.collect_batches(chunk_size=rows, maintain_order=True)
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError, OSError) as error:
        reason = schema.shorten(schema.printable(str(error)), 300)
        raise schema.SourceError(
            f"the cards could not be read to the end: {reason}. The file may be damaged or may "
            "have changed while it was read."
        ) from error


def _ids(cards: Any) -> Any:
    def ids() -> pl.Series | None:
        if "id" not in schema.column_names(cards):
            return None
        frame = schema.collect(schema.lazy(cards).select("id"))
        return frame["id"].cast(pl.String)

    return ids
