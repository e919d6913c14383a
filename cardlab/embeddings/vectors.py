"""From embeddings, in a frame or in a file, to a matrix that stays aligned with the cards."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
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

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]

#: Numbers that are looked at in one go, 16 MB of float32: a check never copies the whole matrix.
_CELLS = 2**22


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
        all zeros; :func:`problems` lists these cards.

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
    Memory, in sizes of the result: *nothing* is copied from float32 that lies in one piece (an
    ``Array`` or ``List`` column of a frame in memory, a ``.npy`` file, an uncompressed Arrow file
    with one record batch; files are mapped), unless it must be normalised or, in a frame or an
    Arrow file, a row is not usable. Everything else is filled into one matrix block by block:
    measured on 200,000 x 768 in Parquet, 1.3 from the path; 1.2 from ``pl.scan_parquet`` with row
    groups of 20,000 cards, 1.6 with a single one, which is also slow: give the path. A lazy frame
    with filters or joins holds some decoded row groups besides. The matrix may be read-only.
    """
    source = source_of(cards, file)
    x = fill(source)
    good = usable(x)
    if not good.any():
        _no_vector(source)
    # What a frame or an Arrow file holds cannot be written to; all else is a matrix of our own.
    return blanked(x, good, normalize=normalize, owned=x.flags.writeable)


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
    x = matrix(x)
    checked = [np.isfinite(x[b]).all(axis=1) & (x[b] != 0).any(axis=1) for b in pieces(x)]
    return np.concatenate(checked) if checked else np.zeros(0, dtype=bool)


def pieces(x: npt.NDArray, cells: int = _CELLS) -> Iterator[slice]:
    """Cut the rows of a matrix into pieces that are looked at in one go."""
    step = max(cells // x.shape[1], 1)
    return (slice(at, min(at + step, len(x))) for at in range(0, len(x), step))


def blanked(x: Floats, good: Bools, *, normalize: bool = False, owned: bool = False) -> Floats:
    """Fill the rows that are not `good` with NaN; `x` itself is left as it is unless `owned`."""
    if not normalize and good.all():
        return x
    result = x if owned else x.copy()
    result[~good] = np.nan
    if normalize:
        for piece in pieces(result):
            exact = result[piece].astype(np.float64)
            result[piece] = exact / np.sqrt(np.einsum("ij,ij->i", exact, exact))[:, None]
    return result


def source_of(cards: Any, file: str | os.PathLike[str] | None) -> Source:
    """Find the vectors of the cards: in their frame, or in a file."""
    if isinstance(cards, (str, os.PathLike)):
        if file is not None:
            raise schema.CardlabError(
                "give the cards and the file of their vectors, or the file alone: vectors(file)."
            )
        return open_vectors(cards)[0]
    return from_frame(cards) if file is None else align(*open_vectors(file), cards)


def _no_vector(source: Source) -> None:
    """Raise the error of a corpus without a usable vector, with the reasons."""
    found = classified(source)["problem"].value_counts()
    n = dict(found.iter_rows())
    if n.get("null") == source.n_cards:
        raise schema.NoFigure(
            f"no card has an embedding: `embeddings` is null for {source.n_cards:,} of "
            f"{source.n_cards:,} cards. Compute vectors with cardlab.embed(cards)."
        )
    raise schema.NoFigure(
        f"no card has a usable vector: of {source.n_cards:,} cards {n.get('null', 0):,} have none, "
        f"{n.get('wrong_length', 0):,} have one of a length other than the commonest, and "
        f"{n.get('zero', 0) + n.get('not_finite', 0):,} have one that is all zeros or holds NaN "
        "or infinity."
    )


# ---- What the arguments of all that takes vectors must be.


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


def same_size(n: int, expected: int, *, name: str, of: str) -> None:
    """Raise a CardlabError with both sizes unless they are equal."""
    if n != expected:
        raise schema.CardlabError(
            f"{name} must have one row for each of the {expected:,} {of}, in their order; "
            f"it has {n:,}."
        )


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


def checked_ids(ids: Any, n: int) -> pl.Series:
    """Take the ids of the rows, as strings: a sequence, a column, or a frame with ``id``."""
    if schema.is_frame(ids):
        ids = schema.unindexed(ids)
        schema.require(ids, "id")
        values = schema.collect(schema.lazy(ids).select("id")).to_series()
    elif schema.is_series(ids):
        values = nw.from_native(ids, series_only=True).to_polars()
    elif isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
        values = pl.Series([ids], dtype=pl.Object)
    else:
        values = pl.Series(ids if hasattr(ids, "__arrow_c_array__") else list(ids), strict=False)
    if values.dtype.is_nested() or values.dtype == pl.Object:
        raise schema.CardlabError(
            "ids must be the ids of the cards in the order of the vectors: a list of strings, a "
            f"column such as cards['id'], or the cards themselves; not {type(ids).__name__}"
            + (f" of {values.dtype}." if values.dtype.is_nested() else ".")
        )
    same_size(len(values), n, name="ids", of="vectors")
    return values.cast(pl.String).alias("id")


# ---- Vectors where they lie, and the matrix that is filled from them.

#: Rows whose numbers are held beside the matrix.
_PIECE = 4_096


@dataclass(frozen=True)
class Source:
    """Vectors that lie somewhere, not yet read."""

    #: A column or a matrix in memory, or what reads columns from the first row to the last.
    vectors: pl.Series | npt.NDArray | Callable[[], Iterator[pl.Series]]
    n_stored: int
    #: For each card the row of its vector, -1 for none; without it the first is of the first.
    rows: Rows | None = None

    @property
    def n_cards(self) -> int:
        """Rows of the matrix."""
        return self.n_stored if self.rows is None else len(self.rows)

    def read(self) -> Iterator[tuple[Rows, Rows, Floats]]:
        """Give piece by piece some cards, the lengths of their vectors, and all their numbers."""
        rows = np.arange(self.n_stored) if self.rows is None else self.rows
        cards = np.argsort(rows, kind="stable")
        rows = rows[cards]
        start = 0
        for block in self.vectors() if callable(self.vectors) else (self.vectors,):
            for at in range(0, len(block), _PIECE):
                piece = block[at : at + _PIECE]
                low, high = np.searchsorted(rows, (start, start + len(piece)))
                yield cards[low:high], *_numbers(piece[rows[low:high] - start])
                start += len(piece)
        if start != self.n_stored:
            raise schema.SourceError(
                f"the cards changed while they were read: {self.n_stored:,} rows, then {start:,}."
            )


def _numbers(block: pl.Series | npt.NDArray) -> tuple[Rows, Floats]:
    """Give the length of each vector, -1 for null, and their numbers one after the other.

    A null among the numbers becomes NaN, and what is too large for float32 infinite.
    """
    if isinstance(block, np.ndarray):
        with np.errstate(over="ignore"):
            return np.full(len(block), block.shape[1]), block.astype(np.float32).ravel()
    lists = block.cast(pl.List(pl.Float32), strict=False)
    numbers = lists.explode(empty_as_null=False, keep_nulls=False)
    return lists.list.len().cast(pl.Int64).fill_null(-1).to_numpy(), numbers.to_numpy()


def fill(source: Source, width: int = 0) -> Floats:
    """Give the vectors of the commonest length, each in its row; the other rows are NaN.

    The matrix can be written to unless it is that of the source.
    """
    whole = None if source.rows is not None else in_one_piece(source.vectors)
    if whole is not None:
        return whole
    x, lengths = None, Counter[int]()
    for cards, length, numbers in source.read():
        lengths.update(length[length > 0].tolist())
        width = width or commonest(lengths)
        if not width:
            continue
        if x is None:
            x = np.full((source.n_cards, width), np.nan, dtype=np.float32)
        fits = length == width
        if not fits.all():
            cards, numbers = cards[fits], numbers[np.repeat(fits, np.maximum(length, 0))]
        x[cards] = numbers.reshape(-1, width)
    if commonest(lengths) != width:  # The first vectors are not of the commonest length.
        return fill(source, commonest(lengths))
    return np.full((source.n_cards, 1), np.nan, dtype=np.float32) if x is None else x


def commonest(lengths: Mapping[int, int]) -> int:
    """Give the commonest length above zero, the longer on a tie; 0 when there is none."""
    return max(((n, length) for length, n in lengths.items()), default=(0, 0))[1]


def in_one_piece(values: Any) -> Floats | None:
    """Give float32 that lies in one piece as a matrix that shares its memory; else None."""
    if isinstance(values, np.ndarray):
        mapped = values.dtype == np.float32 and values.flags.c_contiguous and len(values) > 0
        return np.asarray(values) if mapped else None
    if (
        getattr(getattr(values, "dtype", None), "inner", None) != pl.Float32
        or values.n_chunks() > 1
    ):
        return None
    lists = values.cast(pl.List(pl.Float32))
    if lists.list.len().n_unique() != 1:
        return None
    numbers = lists.explode(empty_as_null=False, keep_nulls=False)
    if not len(numbers) or numbers.null_count():
        return None
    whole: Floats = numbers.to_numpy().reshape(len(lists), -1)
    return whole


def classified(source: Source) -> pl.DataFrame:
    """Name what is wrong with each row that is not usable: `row`, `problem`, `length`.

    Read piece by piece, without the matrix.
    """
    length = np.full(source.n_cards, -1, dtype=np.int64)
    finite, some = np.zeros(source.n_cards, dtype=bool), np.zeros(source.n_cards, dtype=bool)
    for cards, n, numbers in source.read():
        own = np.repeat(np.arange(len(n)), np.maximum(n, 0))
        length[cards] = n
        finite[cards] = np.bincount(own, ~np.isfinite(numbers), minlength=len(n)) == 0
        some[cards] = np.bincount(own, numbers != 0, minlength=len(n)) > 0
    width = commonest(Counter(length[length > 0].tolist()))
    kinds = [length < 0, length != width, ~finite, ~some]
    problem = np.select(kinds, ["null", "wrong_length", "not_finite", "zero"], default="")
    return (
        pl.DataFrame(
            {"problem": problem, "length": length}, schema_overrides={"problem": pl.String}
        )
        .with_row_index("row")
        .filter(pl.col("problem") != "")
        .with_columns(pl.col("length").replace(-1, None))
    )


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
    if isinstance(native, pl.LazyFrame):
        wanted = native.select("embeddings")
        _check(wanted.collect_schema()["embeddings"])
        n_rows = schema.count(native)
        return Source(lambda: _batches(wanted, n_rows), n_rows)
    if not isinstance(native, pl.DataFrame):
        # A frame in memory is used where it lies; other engines hand over this one column.
        native = schema.collect(schema.lazy(cards).select("embeddings"))
    column = native["embeddings"]
    _check(column.dtype)
    return Source(column, len(column))


def _check(dtype: pl.DataType) -> None:
    """Raise a CardlabError unless a column can hold vectors."""
    inner = dtype.inner if isinstance(dtype, (pl.List, pl.Array)) else None
    if dtype != pl.Null and not (inner == pl.Null or (inner is not None and inner.is_numeric())):
        raise schema.CardlabError(
            f"column 'embeddings' must hold lists of numbers, one list a card; it is {dtype}."
        )


def _batches(wanted: pl.LazyFrame, n_rows: int) -> Iterator[pl.Series]:
    """Read one column of a lazy frame from its beginning to its end."""
    frames = stream(wanted)
    # Where a slice reaches the reader of the files, so that it reads no more than it: the
    # engine's own batches hold several row groups, decoded, at once.
    plan = wanted.slice(_BATCH, _BATCH).explain()
    if "SCAN" in plan and "SLICE:" in plan and not any(word in plan for word in _WHOLE):
        step = max(_BATCH, -(-n_rows // _SLICES))
        frames = (schema.collect(wanted.slice(at, step)) for at in range(0, n_rows, step))
    return (frame.to_series() for frame in frames)


def stream(wanted: pl.LazyFrame, rows: int = _BATCH) -> Iterator[pl.DataFrame]:
    """Read a lazy frame from its beginning to its end, some rows at a time."""
    try:
        yield from wanted.collect_batches(chunk_size=rows, maintain_order=True)
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError, OSError) as error:
        raise schema.unreadable(error) from error


def ids_of(cards: Any) -> pl.Series:
    """Collect the ids of the cards as strings."""
    return schema.collect(schema.lazy(cards).select("id"))["id"].cast(pl.String)


# ---- Vectors in files beside the cards: ``.npy``, Arrow IPC, Parquet.

_ARROW = (".arrow", ".arrows", ".feather", ".ipc")
_NAMES = ("embeddings", *schema.ALIASES["embeddings"])


def open_vectors(path: str | os.PathLike[str]) -> tuple[Source, Any]:
    """Open a file of vectors: where they lie, and the frame of its columns if it has any."""
    file = Path(path).expanduser()
    suffix = file.suffix.lower()
    if suffix not in (".npy", ".parquet", *_ARROW):
        raise schema.SourceError(
            f"vectors lie in .npy, .parquet or Arrow files ({', '.join(_ARROW)}), not in "
            f"{schema.printable(file.name)!r}."
        )
    if not file.is_file():
        raise schema.SourceError(f"there is no file {schema.printable(str(file))!r} of vectors.")
    with _readable(file):
        return {".npy": _npy, ".parquet": _parquet}.get(suffix, _arrow)(file)


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


def _npy(file: Path) -> tuple[Source, None]:
    # Private pages: what is written to the matrix never reaches the file.
    x = np.load(file, mmap_mode="c", allow_pickle=False)
    if x.ndim != 2 or x.shape[1] == 0 or x.dtype.kind not in "fiu":
        raise schema.CardlabError(
            f"{schema.printable(file.name)!r} must hold a matrix of real numbers of shape (n, d), "
            f"d at least 1; it has shape {x.shape}, type {x.dtype}."
        )
    return Source(x, len(x)), None


def _parquet(file: Path) -> tuple[Source, pl.LazyFrame]:
    import pyarrow.parquet as pq

    check_parquet(file)
    frame = pl.scan_parquet(file)
    name = _column(file, frame.collect_schema().names())

    def batches() -> Iterator[pl.Series]:
        # Page by page: a row group can hold the whole file.
        with (
            _readable(file),
            pq.ParquetFile(file, pre_buffer=False, buffer_size=2**20) as opened,
        ):
            for batch in opened.iter_batches(_BATCH, columns=[name]):
                yield pl.Series(batch.column(0))

    return replace(from_frame(frame.rename({name: "embeddings"})), vectors=batches), frame


def _arrow(file: Path) -> tuple[Source, pl.DataFrame]:
    import pyarrow as pa

    check_arrow(file)
    table = pa.Table.from_batches(arrow_batches(file), open_arrow(file)[0].schema)
    name = _column(file, table.column_names)
    table = table.select([name, *({"id"} & set(table.column_names))])
    table.validate(full=True)
    frame = pl.DataFrame(pl.from_arrow(table, rechunk=False))
    return from_frame(frame.rename({name: "embeddings"})), frame


def _column(file: Path, names: list[str]) -> str:
    """Give the name of the column of vectors of a file of columns."""
    name = next((name for name in _NAMES if name in names), None)
    if name is None:
        raise schema.MissingColumn(
            f"{schema.printable(file.name)!r} has no column 'embeddings'. It has: "
            f"{schema.shorten(', '.join(map(schema.printable, names)), 400)}."
        )
    return name


def align(source: Source, frame: Any, cards: Any) -> Source:
    """Give each card its row of a file: by its id where the file has ids, else by its place."""
    if frame is None or "id" not in schema.column_names(frame):
        n_cards = schema.count(cards)
        if source.n_stored != n_cards:
            raise schema.CardlabError(
                f"the file has {source.n_stored:,} vectors and no ids, so that it must have one "
                f"for each of the {n_cards:,} cards, in their order."
            )
        return source
    schema.require(cards, "id")
    ids, stored = ids_of(cards), ids_of(frame)
    if ids.equals(stored):
        return source
    wanted = ids.to_frame("id")
    there = stored.to_frame("id").with_row_index("row").join(wanted, on="id", how="semi")
    twice = there.filter(pl.col("id").is_duplicated())["id"].unique().sort()
    if len(twice):
        raise schema.CardlabError(
            f"the file has {len(twice):,} of the cards' ids more than once, such as "
            f"{schema.printable(twice[0])!r}, so that it does not say which vector is theirs."
        )
    found = wanted.join(there, on="id", how="left", maintain_order="left")["row"]
    return replace(source, rows=found.cast(pl.Int64).fill_null(-1).to_numpy())
