"""From a column of embeddings to a matrix that stays aligned with the cards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

#: Rows that are looked at in one go, so that a check never copies the whole matrix.
_BLOCK = 65_536


def vectors(cards: Any, *, normalize: bool = False) -> Floats:
    """Give the embeddings of the cards as one matrix, a row per card.

    Parameters
    ----------
    cards : frame
        Cards with a column ``embeddings``: lists or fixed-size arrays of numbers. Only that
        column is read.
    normalize : bool, default False
        Scale every usable row to length 1, so that Euclidean distances rank like cosines.

    Returns
    -------
    np.ndarray of float32, shape (n_cards, d)
        ``d`` is the commonest length (the longer on a tie). A row is all NaN where the card has
        no usable vector: null, of another length, with a NaN, an infinity or a null inside, or
        all zeros; see :func:`usable`. Where no row had to be changed the matrix may share the
        memory of the frame and is then read-only.

    Raises
    ------
    MissingColumn
        The cards have no column ``embeddings``.
    NoFigure
        Not one card has a usable vector; the message counts why.
    CardlabError
        The column holds something other than lists of numbers.
    """
    column = _embeddings(cards)
    n_null = column.null_count()
    if n_null == len(column):
        raise schema.NoFigure(
            f"no card has an embedding: `embeddings` is null for {n_null:,} of {len(column):,} "
            "cards. Compute vectors with cardlab.embed(cards)."
        )
    x, aligned = _fill(column)
    good = _usable(x)
    if not good.any():
        n_odd = int((~aligned).sum()) - n_null
        raise schema.NoFigure(
            f"no card has a usable vector: of {len(column):,} cards {n_null:,} have none, "
            f"{n_odd:,} have one of a length other than {x.shape[1]}, and "
            f"{int(aligned.sum()):,} have one that is all zeros or holds NaN or infinity."
        )
    return blanked(x, good, normalize=normalize)


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


def blanked(x: Floats, good: Bools, *, normalize: bool = False) -> Floats:
    """Fill the rows that are not `good` with NaN; `x` itself is left as it is."""
    if not normalize and good.all():
        return x
    result = np.where(good[:, None], x, np.float32(np.nan))
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


def _embeddings(cards: Any) -> pl.Series:
    schema.require(cards, "embeddings")
    native = nw.to_native(cards, pass_through=True)
    if not isinstance(native, pl.DataFrame):
        # A frame in memory is used where it lies; all others hand over this one column.
        native = schema.collect(schema.lazy(cards).select("embeddings"))
    column = native["embeddings"]
    dtype = column.dtype
    if dtype == pl.Null:
        return column
    inner = dtype.inner if isinstance(dtype, (pl.List, pl.Array)) else None
    if not (inner == pl.Null or (isinstance(inner, pl.DataType) and inner.is_numeric())):
        raise schema.CardlabError(
            f"column 'embeddings' must hold lists of numbers, one list a card; it is {dtype}."
        )
    return column


def _fill(column: pl.Series) -> tuple[Floats, Bools]:
    """Copy the vectors of the commonest length into their rows, as they are.

    Returns the matrix and a mask of the rows that were filled; the others are NaN.
    """
    if isinstance(column.dtype, pl.Array):
        width, fits = column.dtype.size, column.is_not_null()
    else:
        lengths = column.list.len()
        width = _commonest(lengths)
        fits = (lengths == width).fill_null(False)
    aligned = fits.to_numpy()
    if width == 0:
        return np.full((len(column), 1), np.nan, dtype=np.float32), np.zeros(
            len(column), dtype=bool
        )
    whole = bool(aligned.all())
    flat = (column if whole else column.filter(fits)).explode().cast(pl.Float32, strict=False)
    values = flat.to_numpy().reshape(-1, width)
    if whole:
        return values, aligned
    x = np.full((len(column), width), np.nan, dtype=np.float32)
    x[aligned] = values
    return x, aligned


def _commonest(lengths: pl.Series) -> int:
    """Give the commonest length above zero, the longer on a tie; 0 when there is none."""
    seen = lengths.drop_nulls().value_counts(name="n").filter(pl.nth(0) > 0)
    return int(seen.sort("n", seen.columns[0], descending=True).item(0, 0)) if seen.height else 0


def _usable(x: Floats) -> Bools:
    checked = [np.isfinite(block).all(axis=1) & (block != 0).any(axis=1) for block in _blocks(x)]
    return np.concatenate(checked) if checked else np.zeros(0, dtype=bool)


def _blocks(x: Floats) -> Iterator[Floats]:
    for start in range(0, len(x), _BLOCK):
        yield x[start : start + _BLOCK]
