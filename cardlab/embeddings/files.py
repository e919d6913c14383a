"""Vectors in files beside the cards: ``.npy``, Arrow IPC, Parquet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from .. import schema
from ..cards.files import arrow_batches, check_arrow, check_parquet, open_arrow
from .blocks import Block, Source, rows_of
from .frames import check, in_one_piece

#: Rows that are decoded from Parquet at a time.
_BATCH = 8_192

_ARROW = (".arrow", ".arrows", ".feather", ".ipc")
_NAMES = ("embeddings", *schema.ALIASES["embeddings"])


def open_vectors(path: str | os.PathLike[str]) -> Source:
    """Open a file of vectors; nothing is read that can be mapped."""
    file = Path(path).expanduser()
    suffix = file.suffix.lower()
    if suffix not in (".npy", ".parquet", *_ARROW):
        raise schema.SourceError(
            f"vectors lie in .npy, .parquet or Arrow files ({', '.join(_ARROW)}), not in "
            f"{schema.printable(file.name)!r}."
        )
    if not file.is_file():
        raise schema.SourceError(f"there is no file {schema.printable(str(file))!r} of vectors.")
    opened = {".npy": _npy, ".parquet": _parquet}.get(suffix, _arrow)
    with _readable(file):
        source = opened(file)

    def blocks() -> Iterator[Block]:
        with _readable(file):
            yield from source.blocks()

    def ids() -> pl.Series | None:
        with _readable(file):
            return source.ids()

    return replace(source, blocks=blocks, ids=ids)


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Turn whatever reading a damaged file raises into our own error."""
    try:
        yield
    except schema.CardlabError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:
        reason = schema.shorten(schema.printable(" ".join(str(error).split())), 200)
        raise schema.SourceError(
            f"{schema.printable(file.name)!r} could not be read as a {file.suffix} file of "
            f"vectors: {reason or type(error).__name__}. It may be damaged or of another kind."
        ) from error


def align(source: Source, cards: Any) -> Source:
    """Give each card its row of a file: by its id where the file has ids, else by its place."""
    stored = source.ids()
    if stored is None:
        n_cards = schema.count(cards)
        if source.n_rows != n_cards:
            raise schema.CardlabError(
                f"the file has {source.n_rows:,} vectors and no ids, so that it must have one for "
                f"each of the {n_cards:,} cards, in their order."
            )
        return source
    schema.require(cards, "id")
    ids = schema.collect(schema.lazy(cards).select("id"))["id"].cast(pl.String)
    if len(ids) == len(stored) and bool((ids.eq_missing(stored)).all()):
        return source
    there = pl.DataFrame({"id": stored, "row": np.arange(len(stored))}).drop_nulls()
    there = there.filter(pl.col("id").is_in(ids.drop_nulls().unique().implode()))
    twice = there.filter(pl.col("id").is_duplicated())["id"].unique().sort()
    if len(twice):
        raise schema.CardlabError(
            f"the file has {len(twice):,} of the cards' ids more than once, such as "
            f"{schema.printable(twice[0])!r}, so that it does not say which vector is theirs."
        )
    found = ids.to_frame("id").join(there, on="id", how="left", maintain_order="left")
    rows = found["row"].fill_null(-1).to_numpy()
    return Source(len(ids), source.blocks, lambda: ids, rows=rows)


def _npy(file: Path) -> Source:
    # Private pages: what is written to the matrix never reaches the file.
    x = np.load(file, mmap_mode="c", allow_pickle=False)
    if x.ndim != 2 or x.shape[1] == 0 or x.dtype.kind not in "fiu":
        raise schema.CardlabError(
            f"{schema.printable(file.name)!r} must hold a matrix of real numbers of shape (n, d), "
            f"d at least 1; it has shape {x.shape}, type {x.dtype}."
        )
    mapped = x.dtype == np.float32 and x.flags.c_contiguous and len(x) > 0
    step = rows_of(x.shape[1])
    return Source(
        len(x),
        lambda: (x[start : start + step] for start in range(0, len(x), step)),
        lambda: None,
        whole=np.asarray(x) if mapped else None,
        owned=True,
    )


def _parquet(file: Path) -> Source:
    import pyarrow.parquet as pq

    check_parquet(file)
    with pq.ParquetFile(file) as opened:
        fields, n_rows = opened.schema_arrow, opened.metadata.num_rows
    name = _column(fields.names, file)
    check(pl.from_arrow(fields.empty_table().select([name])).to_series().dtype)  # type: ignore

    def blocks() -> Iterator[Block]:
        # Page by page: a row group can hold the whole file.
        with pq.ParquetFile(file, pre_buffer=False, buffer_size=2**20) as opened:
            for batch in opened.iter_batches(_BATCH, columns=[name]):
                yield pl.Series(batch.column(0))

    def ids() -> pl.Series | None:
        if "id" not in fields.names:
            return None
        return pl.Series(pq.read_table(file, columns=["id"]).column(0)).cast(pl.String)

    return Source(n_rows, blocks, ids)


def _arrow(file: Path) -> Source:
    check_arrow(file)
    layout = open_arrow(file)[0].schema
    name = _column(layout.names, file)
    has_ids = "id" in layout.names
    table = list(arrow_batches(file))
    for batch in table:
        batch.validate(full=True)

    def column(batch: Any) -> pl.Series:
        return pl.Series(batch.column(name))

    check(pl.from_arrow(layout.empty_table().select([name])).to_series().dtype)  # type: ignore

    def ids() -> pl.Series | None:
        if not has_ids:
            return None
        parts = [pl.Series(batch.column("id")).cast(pl.String) for batch in table]
        return pl.concat(parts) if parts else pl.Series([], dtype=pl.String)

    whole = in_one_piece(column(table[0])) if len(table) == 1 else None
    n_rows = sum(batch.num_rows for batch in table)
    return Source(n_rows, lambda: (column(batch) for batch in table), ids, whole=whole)


def _column(names: list[str], file: Path) -> str:
    for name in _NAMES:
        if name in names:
            return name
    raise schema.MissingColumn(
        f"{schema.printable(file.name)!r} has no column 'embeddings'. It has: "
        f"{schema.shorten(', '.join(map(schema.printable, names)), 400)}."
    )
