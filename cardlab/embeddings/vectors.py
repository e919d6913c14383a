"""From embeddings, in a frame or in a file, to a matrix that stays aligned with the cards."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from ..cards.files import arrow_batches, check_arrow, check_parquet, open_arrow

# ---- Vectors in blocks: what every source of them gives, and the matrix that is filled from it.

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


# ---- What is wrong with each vector of a source, without a matrix of them.


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


# ---- The vectors of a frame: in memory, lazy, or of another engine.

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


# ---- Vectors in files beside the cards: ``.npy``, Arrow IPC, Parquet.

#: Rows that are decoded from Parquet at a time.
_BATCH_files = 8_192

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
            for batch in opened.iter_batches(_BATCH_files, columns=[name]):
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


# ---- From embeddings, in a frame or in a file, to a matrix that stays aligned with the cards.

Bools = npt.NDArray[np.bool_]


def vectors(
    cards: Any, *, file: str | os.PathLike[str] | None = None, normalize: bool = False
) -> Floats:
    """Give the embeddings of the cards as one matrix, a row per card.

    Parameters
    ----------
    cards : frame or path
        Cards with a column ``embeddings``: lists or fixed-size arrays of numbers (float16,
        float32, float64, integers). Only that column is read. Or the path of a file of vectors
        (see `file`), whose rows are then the rows of the result.
    file : path, optional
        Vectors that lie beside the cards; `cards` then needs no ``embeddings``.

        - ``.npy``: a matrix with a row for each card, in the order of the cards.
        - Arrow IPC (``.arrow``, ``.feather``, ``.ipc``) or ``.parquet``: a column ``embeddings``
          (or ``embedding``). With a column ``id`` each card gets the vector of its id, and a card
          that the file does not have gets none; without, the rows are those of the cards.
    normalize : bool, default False
        Scale every usable row to length 1, so that Euclidean distances rank like cosines.

    Returns
    -------
    np.ndarray of float32, shape (n_cards, d)
        ``d`` is the commonest length (the longer on a tie). A row is all NaN where the card has
        no usable vector: null, of another length, with a NaN, an infinity or a null inside, or
        all zeros. :func:`vector_problems` lists these cards, :func:`usable` marks the others.

    Raises
    ------
    MissingColumn
        The cards, or the file, have no column ``embeddings``.
    NoFigure
        Not one card has a usable vector; the message counts why.
    SourceError
        The file is not there, cannot be read, or is of another kind.
    CardlabError
        The column holds something other than lists of numbers, the ``.npy`` file has another
        number of rows than there are cards, or the file has an id of the cards twice.

    Notes
    -----
    Memory, in sizes of the result (n x d x 4 bytes): *nothing* is copied from float32 that lies
    in one piece, which is an ``Array`` or ``List`` column of a frame in memory, a ``.npy`` file,
    or an uncompressed Arrow file with one record batch; files are then mapped, so that the system
    may drop pages again, and only the pages of rows that are not usable are private. Everything
    else (other types, nulls, several chunks, Parquet, lazy frames, another order) is filled into
    one matrix block by block. Measured on 200,000 x 768 in Parquet, file pages included: 1.3 from
    the path; 1.2 from ``pl.scan_parquet`` with row groups of 20,000 cards, 1.6 with a single one,
    which is also slow, as each slice of it is decoded from its beginning: give the path. A lazy
    frame with filters or joins is streamed, and holds some decoded row groups besides. A frame in
    memory of which a row must be changed, or that is to be normalised, is copied: its own 1 and
    1 more. The matrix may be read-only.
    """
    source = source_of(cards, file)
    x, owned = fill(source)
    good = _usable(x)
    if not good.any():
        _no_vector(source)
    return blanked(x, good, normalize=normalize, owned=owned)


def usable(x: npt.ArrayLike) -> Bools:
    """Tell which rows of a matrix can be worked with.

    Parameters
    ----------
    x : array-like of numbers, shape (n, d)
        Vectors, one a row.

    Returns
    -------
    np.ndarray of bool, shape (n,)
        True where all entries are finite and at least one is not zero.

    Raises
    ------
    CardlabError
        `x` is not a matrix of real numbers with at least one column.
    """
    return _usable(matrix(x))


def matrix(x: npt.ArrayLike, *, name: str = "x") -> Floats:
    """Check that `x` is a matrix of real numbers and give it as float32, copied only if needed."""
    try:
        values = np.asarray(x)
    except ValueError as error:
        raise schema.CardlabError(f"{name} must be a matrix of numbers: {error}") from error
    if values.ndim != 2 or values.shape[1] == 0 or values.dtype.kind not in "fiub":
        raise schema.CardlabError(
            f"{name} must be a matrix of real numbers of shape (n, d), d at least 1, such as "
            f"cardlab.vectors(cards) gives; this has shape {values.shape}, type {values.dtype}."
        )
    # What is too large for float32 becomes infinite, and with it the row unusable.
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False)


def blanked(x: Floats, good: Bools, *, normalize: bool = False, owned: bool = False) -> Floats:
    """Fill the rows that are not `good` with NaN; `x` itself is left as it is unless `owned`."""
    if not normalize and good.all():
        return x
    result = x if owned else x.copy()
    result[~good] = np.nan
    if normalize:
        for block in _blocks(result):
            exact = block.astype(np.float64)
            block[:] = exact / np.sqrt(np.einsum("ij,ij->i", exact, exact))[:, None]
    return result


def same_size(n: int, expected: int, *, name: str, of: str) -> None:
    """Raise a CardlabError with both sizes unless they are equal."""
    if n != expected:
        raise schema.CardlabError(
            f"{name} must have one row for each of the {expected:,} {of}, in their order; "
            f"it has {n:,}."
        )


def source_of(cards: Any, file: str | os.PathLike[str] | None) -> Source:
    """Find the vectors of the cards: in their frame, or in a file."""
    if isinstance(cards, (str, os.PathLike)):
        if file is not None:
            raise schema.CardlabError(
                "give the cards and the file of their vectors, or the file alone: vectors(file)."
            )
        return open_vectors(cards)
    if file is None:
        return from_frame(cards)
    return align(open_vectors(file), cards)


def _no_vector(source: Source) -> None:
    """Raise the error of a corpus without a usable vector, with the reasons."""
    found = classified(source)["problem"].value_counts()
    n = dict(found.iter_rows())
    if n.get("null") == source.n_rows:
        raise schema.NoFigure(
            f"no card has an embedding: `embeddings` is null for {source.n_rows:,} of "
            f"{source.n_rows:,} cards. Compute vectors with cardlab.embed(cards)."
        )
    raise schema.NoFigure(
        f"no card has a usable vector: of {source.n_rows:,} cards {n.get('null', 0):,} have none, "
        f"{n.get('wrong_length', 0):,} have one of a length other than the commonest, and "
        f"{n.get('zero', 0) + n.get('not_finite', 0):,} have one that is all zeros or holds NaN "
        "or infinity."
    )


def _usable(x: Floats) -> Bools:
    checked = [np.isfinite(block).all(axis=1) & (block != 0).any(axis=1) for block in _blocks(x)]
    return np.concatenate(checked) if checked else np.zeros(0, dtype=bool)


def _blocks(x: Floats) -> Iterator[Floats]:
    step = rows_of(x.shape[1])
    for start in range(0, len(x), step):
        yield x[start : start + step]
