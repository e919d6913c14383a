"""From embeddings, in a frame or in a file, to a matrix that stays aligned with the cards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import schema
from .blocks import Floats as Floats
from .blocks import Source, fill, rows_of
from .faults import classified
from .files import align, open_vectors
from .frames import from_frame

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
