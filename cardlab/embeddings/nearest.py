"""The cards whose vectors point most nearly where another card's, or another vector, points."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from .blocks import Floats
from .cosine import Directions, Rows, alphabetical, checked_ids, unknown
from .points import whole_number

#: Cosines that are held at once: 64 MB.
_COSINES = 2**24


def neighbors(x: npt.ArrayLike, *, ids: Any, query: Any, top: int = 10) -> pl.DataFrame:
    """Find the cards nearest to a card or to a vector, by cosine, exactly.

    Parameters
    ----------
    x : array-like of numbers, shape (n, d)
        The vectors of the cards.
    ids : sequence of str, length n, or frame with ``id``
        The ids of the cards.
    query : str, list of str, or array-like of numbers
        The id of a card, or several; or a vector of d numbers, or a matrix of several.
    top : int, default 10
        Neighbours of each at most.

    Returns
    -------
    pl.DataFrame
        ``query`` (str: the id that was asked for; of vectors their number, from 0), ``rank``
        (int, from 1), ``id`` (str), ``similarity`` (float, the cosine, -1 to 1, in float64 and
        rounded to 12 decimals). In the order of the queries, then by rank; ties by id. A card is
        no neighbour of itself. Rows without a usable vector are nobody's neighbours.

    Raises
    ------
    NoFigure
        No card, or no card or vector that is asked for, has a usable vector.
    CardlabError
        An id that is not among the cards or is there twice, a vector of another length, or more
        or fewer ids than vectors.

    Notes
    -----
    All cosines are computed, as float32 products in blocks of 64 MB; every card that they
    cannot exclude is then judged in float64, so that the result is that of brute force in
    float64. Memory: the vectors, and these blocks. 1,000 queries among a million vectors of 768
    are 1.5e12 operations, some 10 to 30 seconds on two cores.
    """
    whole_number(top, 1, name="top")
    cards = Directions.of(x)
    names = checked_ids(ids, len(cards.x))
    if not len(cards.rows):
        raise schema.NoFigure(f"none of the {len(cards.x):,} vectors is usable.")
    asked, labels, own = _asked(cards, names, query)
    good = np.isin(np.arange(len(labels)), asked.rows) if own is None else None
    kept = [i for i in range(len(labels)) if good is None or good[i]]
    if own is not None:
        kept = [i for i in kept if np.isfinite(cards.length[own[i]])]
    if not kept:
        raise schema.NoFigure("none of what is asked for has a usable vector.")
    place = alphabetical(names)
    numbers_of: list[Rows] = []
    rows_of: list[Rows] = []
    similarity: list[npt.NDArray[np.float64]] = []
    step = max(_COSINES // len(cards.rows), 1)
    for start in range(0, len(kept), step):
        numbers = np.array(kept[start : start + step])
        rows = numbers if own is None else own[numbers]
        near = _near(cards, asked.unit(rows), top)
        for number, row, candidates in zip(numbers, rows, near, strict=True):
            if own is not None:
                candidates = candidates[candidates != row]
            exact = cards.exact(candidates, np.full(len(candidates), row), other=asked)
            best = np.lexsort((place[candidates], -exact))[:top]
            numbers_of.append(np.full(len(best), number))
            rows_of.append(candidates[best])
            similarity.append(exact[best])
    return pl.DataFrame(
        {
            "query": pl.Series(labels, dtype=pl.String).gather(np.concatenate(numbers_of)),
            "rank": np.concatenate([np.arange(1, len(found) + 1) for found in rows_of]),
            "id": names.gather(np.concatenate(rows_of)),
            "similarity": np.concatenate(similarity),
        },
        schema_overrides={"rank": pl.Int32},
    )


def _asked(
    cards: Directions, names: pl.Series, query: Any
) -> tuple[Directions, list[str], Rows | None]:
    """Give the vectors asked for, what each is called, and the rows of cards among them."""
    if isinstance(query, str):
        query = [query]
    if isinstance(query, pl.Series):
        query = query.to_list()
    if isinstance(query, (list, tuple)) and query and all(isinstance(q, str) for q in query):
        wanted = pl.DataFrame({"id": query})
        there = names.to_frame("id").with_row_index("row").filter(pl.col("id").is_in(query))
        missing = wanted.join(there, on="id", how="anti")["id"].unique(maintain_order=True)
        if len(missing):
            raise unknown(missing.to_list(), len(names))
        twice = there.filter(pl.col("id").is_duplicated())["id"]
        if len(twice):
            raise schema.CardlabError(
                f"the id {schema.printable(twice[0])!r} is there more than once, so that it does "
                "not say which card is meant. Ask with the card's vector instead."
            )
        rows = wanted.join(there, on="id", how="left", maintain_order="left")["row"]
        return cards, list(query), rows.to_numpy().astype(np.int64)
    try:
        values = np.atleast_2d(np.asarray(query))
    except ValueError:
        values = np.empty(0)
    if values.ndim != 2 or values.shape[1] != cards.x.shape[1] or values.dtype.kind not in "fiu":
        raise schema.CardlabError(
            f"query must be an id, a list of ids, or vectors of {cards.x.shape[1]} numbers as the "
            "cards have them."
        )
    return Directions.of(values, name="query"), [str(i) for i in range(len(values))], None


def _near(cards: Directions, asked: Floats, top: int) -> list[Rows]:
    """Give for each vector the rows that can be among the `top` and one more (itself)."""
    n = len(cards.rows)
    cosine = np.empty((len(asked), n), dtype=np.float32)
    step = max(_COSINES // max(cards.x.shape[1], len(asked)), 1)
    for start in range(0, n, step):
        rows = cards.rows[start : start + step]
        np.matmul(asked, cards.unit(rows).T, out=cosine[:, start : start + step])
    k = min(top + 1, n)
    found = []
    for row in cosine:
        least = np.partition(row, n - k)[n - k]
        found.append(cards.rows[np.flatnonzero(row >= least - 2 * cards.error)])
    return found
