"""From embeddings, in a frame or in a file, to a matrix that stays aligned with the cards."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
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
    *Nothing* is copied from float32 that lies in one piece (an ``Array`` or ``List`` column of a
    frame in memory, a ``.npy`` file, an uncompressed Arrow file with one record batch; files are
    mapped), unless it must be normalised or, in a frame or an Arrow file, a row is not usable.
    Everything else, Parquet files and lazy frames among it, is read as a column and copied into
    the matrix, and both are held at once. The matrix may be read-only.

    Examples
    --------
    >>> cl.vectors(cl.make_cards(200, embedding_dim=16)).shape
    (200, 16)
    """
    column = column_of(cards, file)
    x = fill(column)
    good = usable(x)
    if not good.any():
        n = Counter(classified(column)["problem"])
        if n["null"] == len(column):
            raise schema.NoFigure(
                f"no card has an embedding: `embeddings` is null for {len(column):,} of "
                f"{len(column):,} cards. Compute vectors with cardlab.embed(cards)."
            )
        raise schema.NoFigure(
            f"no card has a usable vector: of {len(column):,} cards {n['null']:,} have none, "
            f"{n['wrong_length']:,} have one of a length other than the commonest, and "
            f"{n['zero'] + n['not_finite']:,} have one that is all zeros or holds NaN or infinity."
        )
    # What a frame or an Arrow file holds cannot be written to; all else is a matrix of our own.
    return blanked(x, good, normalize=normalize, owned=x.flags.writeable)


def usable(x: npt.ArrayLike) -> Bools:
    """Tell which rows of a matrix can be worked with: all numbers finite, and one not zero."""
    x, none = matrix(x), np.zeros(0, dtype=bool)
    checked = [np.isfinite(x[b]).all(axis=1) & (x[b] != 0).any(axis=1) for b in pieces(x)]
    return np.concatenate([none, *checked])


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
    elif schema.is_frame(ids, series=True):
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


# ---- The matrix that is filled from vectors where they lie: a column, or a matrix.

Column = pl.Series | npt.NDArray[Any]

#: Rows that are copied into the matrix in one go.
_PIECE = 4_096
_LISTS = pl.List(pl.Float32)


def fill(column: Column) -> Floats:
    """Give the vectors of the commonest length, each in its row; the other rows are NaN.

    A null among the numbers becomes NaN, and what is too large for float32 infinite. The matrix
    can be written to unless it is that of the column.
    """
    if isinstance(column, np.ndarray):
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(column, dtype=np.float32)
    lists = _lists(column)
    length, width = _lengths(lists)
    rows = np.flatnonzero(length == width) if width else np.zeros(0, dtype=np.int64)
    if 0 < len(rows) == len(lists) and lists.dtype == _LISTS and lists.n_chunks() == 1:
        return _matrix_of(lists, width)
    x = np.full((len(lists), width or 1), np.nan, dtype=np.float32)
    for at in range(0, len(rows), _PIECE):
        some = rows[at : at + _PIECE]
        x[some] = _matrix_of(lists.gather(some), width)
    return x


def _matrix_of(lists: pl.Series, width: int) -> Floats:
    """Give lists of one length as a matrix, which shares the memory of float32 without a null."""
    lists = lists.cast(_LISTS, strict=False)
    numbers: Floats = lists.explode(empty_as_null=False, keep_nulls=False).to_numpy()
    return numbers.reshape(-1, width)


def _lists(column: pl.Series) -> pl.Series:
    """Give vectors as lists of their own numbers, which become float32 piece by piece only."""
    return column.cast(pl.List(getattr(column.dtype, "inner", pl.Float32)))


def _lengths(lists: pl.Series) -> tuple[Rows, int]:
    """Give the length of each list, -1 for null, and the commonest, the longer on a tie.

    The commonest is 0 where none is longer.
    """
    length = lists.list.len().cast(pl.Int64).fill_null(-1).to_numpy()
    sizes, n = np.unique(length[length > 0], return_counts=True)
    return length, int(max(zip(n, sizes, strict=True), default=(0, 0))[1])


def classified(column: Column) -> pl.DataFrame:
    """Name what is wrong with each row that is not usable: `row`, `problem`, `length`."""
    x = fill(column)
    rows = np.flatnonzero(~usable(x))
    length, width = np.full(len(x), x.shape[1]), x.shape[1]
    if isinstance(column, pl.Series):
        length, width = _lengths(_lists(column))
    length = length[rows]
    infinite = ~np.isfinite(x[rows]).all(axis=1) & (length > 0)
    kinds = [length < 0, length != width, infinite]
    problem = np.select(kinds, ["null", "wrong_length", "not_finite"], default="zero")
    found = pl.DataFrame({"row": rows, "problem": pl.Series(problem, dtype=pl.String)})
    return found.with_columns(length=pl.Series(length).replace(-1, None))


def vector_problems(cards: Any, *, file: str | os.PathLike[str] | None = None) -> pl.DataFrame:
    """List the cards whose row in :func:`vectors` is all NaN, and why.

    ``id`` (null where the cards have none), ``row``, ``problem`` (``null``, ``wrong_length``: not
    the commonest, ``not_finite``, ``zero``), ``length``; the commonest problem first.
    """
    found = classified(column_of(cards, file))
    has_ids = "id" in schema.column_names(cards)
    ids = ids_of(cards).gather(found["row"]) if has_ids else pl.lit(None, pl.String)
    return (
        found.with_columns(id=ids, n=pl.len().over("problem"))
        .sort("n", "problem", "id", "row", descending=[True, False, False, False])
        .select("id", "row", "problem", "length")
    )


# ---- Where the vectors of cards lie: in their frame, or in a file.

_ARROW = (".arrow", ".arrows", ".feather", ".ipc")
_NAMES = ("embeddings", *schema.ALIASES["embeddings"])


def column_of(cards: Any, file: str | os.PathLike[str] | None) -> Column:
    """Find the vectors of the cards, in their frame or in a file, each in the place of its card."""
    if isinstance(cards, (str, os.PathLike)):
        if file is not None:
            raise schema.CardlabError(
                "give the cards and the file of their vectors, or the file alone: vectors(file)."
            )
        return _open(cards)[0]
    if file is not None:
        return _aligned(*_open(file), cards)
    schema.require(cards, "embeddings")
    native = nw.to_native(cards, pass_through=True)
    if not isinstance(native, pl.DataFrame):
        # A frame in memory is used where it lies; others hand over this one column.
        native = schema.collect(schema.lazy(cards).select("embeddings"))
    return _checked(native["embeddings"])


def _checked(column: pl.Series) -> pl.Series:
    """Raise a CardlabError unless a column can hold vectors."""
    inner = getattr(column.dtype, "inner", None)
    if column.dtype != pl.Null and not (inner == pl.Null or (inner and inner.is_numeric())):
        raise schema.CardlabError(
            "column 'embeddings' must hold lists of numbers, one list a card; it is "
            f"{column.dtype}."
        )
    return column


def ids_of(cards: Any) -> pl.Series:
    """Collect the ids of the cards as strings."""
    return schema.collect(schema.lazy(cards).select("id"))["id"].cast(pl.String)


def rows_of(wanted: pl.Series, ids: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Give the row of each wanted id, null for none, and those of them that several rows have."""
    names = wanted.to_frame("id")
    there = ids.to_frame("id").with_row_index("row").join(names, on="id", how="semi")
    twice = there.filter(pl.col("id").is_duplicated())["id"].unique().sort()
    there = there.unique("id", keep="first")
    return names.join(there, on="id", how="left", maintain_order="left")["row"], twice


def _aligned(column: Column, ids: pl.Series | None, cards: Any) -> Column:
    """Give each card its vector of a file: by its id where the file has ids, else by its place."""
    if ids is None or isinstance(column, np.ndarray):
        n_cards = schema.count(cards)
        if len(column) != n_cards:
            raise schema.CardlabError(
                f"the file has {len(column):,} vectors and no ids, so that it must have one "
                f"for each of the {n_cards:,} cards, in their order."
            )
        return column
    schema.require(cards, "id")
    wanted = ids_of(cards)
    if wanted.equals(ids):
        return column
    rows, twice = rows_of(wanted, ids)
    if len(twice):
        raise schema.CardlabError(
            f"the file has {len(twice):,} of the cards' ids more than once, such as "
            f"{schema.printable(twice[0])!r}, so that it does not say which vector is theirs."
        )
    return column.gather(rows)


def _open(path: str | os.PathLike[str]) -> tuple[Column, pl.Series | None]:
    """Open a file of vectors: its matrix or column of them, and its ids if it has any."""
    file = Path(path).expanduser()
    suffix = file.suffix.lower()
    if suffix not in (".npy", ".parquet", *_ARROW):
        raise schema.SourceError(
            f"vectors lie in .npy, .parquet or Arrow files ({', '.join(_ARROW)}), not in "
            f"{schema.printable(file.name)!r}."
        )
    if not file.is_file():
        raise schema.SourceError(f"there is no file {schema.printable(str(file))!r} of vectors.")
    try:
        if suffix != ".npy":
            return _table(file, suffix)
        # Private pages: what is written to the matrix never reaches the file.
        x = np.load(file, mmap_mode="c", allow_pickle=False)
        return matrix(x, name=repr(schema.printable(file.name))), None
    except schema.CardlabError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:
        reason = schema.shorten(schema.printable(" ".join(str(error).split())), 200)
        raise schema.SourceError(
            f"{schema.printable(file.name)!r} could not be read as a {file.suffix} file of "
            f"vectors: {reason or type(error).__name__}. It may be damaged or of another kind."
        ) from error


def _table(file: Path, suffix: str) -> tuple[pl.Series, pl.Series | None]:
    """Read the columns of vectors and of ids of a Parquet file, or map those of an Arrow file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    is_parquet = suffix == ".parquet"
    fields = pq.read_schema(file) if is_parquet else open_arrow(file)[0].schema
    name = next((name for name in _NAMES if name in fields.names), None)
    if name is None:
        raise schema.MissingColumn(
            f"{schema.printable(file.name)!r} has no column 'embeddings'. It has: "
            f"{schema.shorten(', '.join(map(schema.printable, fields.names)), 400)}."
        )
    names = [name, *({"id"} & set(fields.names))]
    if is_parquet:
        frame = parquet_columns(file, names)
    else:
        check_arrow(file)
        table = pa.Table.from_batches(arrow_batches(file), fields).select(names)
        table.validate(full=True)
        frame = pl.DataFrame(pl.from_arrow(table, rechunk=False))
    return _checked(frame[name]), frame["id"].cast(pl.String) if "id" in names else None


def parquet_columns(file: Path, names: list[str]) -> pl.DataFrame:
    """Read some columns of a Parquet file that may be damaged."""
    check_parquet(file)
    return schema.collect(pl.scan_parquet(file, glob=False).select(names))
