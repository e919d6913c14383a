"""What is wrong with vectors: cards without one, and cards whose vector is another card's too."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from ..frames import narrow
from .points import row_hashes
from .vectors import classified, column_of, ids_of, matrix, same_size, usable, vectors

_PROBLEMS = {"id": pl.String, "row": pl.Int64, "problem": pl.String, "length": pl.Int64}
_GROUPS = {
    "group": pl.Int32,
    "n_cards": pl.Int64,
    "card_share": pl.Float64,
    "n_texts": pl.Int64,
    "same_text": pl.Boolean,
    "ids": pl.List(pl.String),
}


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
        .select(*_PROBLEMS)
        .cast(_PROBLEMS)  # type: ignore[arg-type]
    )


def shared_vectors(
    cards: Any, *, x: npt.ArrayLike | None = None, same_text: bool | None = None
) -> pl.DataFrame:
    """Find cards that have one and the same vector, and whether they say the same.

    A vector that stands for different texts is not the cards' own: it was made from what they
    share, or by mistake. Everything made of it takes these cards for copies.

    Parameters
    ----------
    cards : frame
        Cards with ``id`` and ``text``, of which only hashes are held, and with ``embeddings``
        unless `x` is given. Without ``text`` it is not known whether the texts are the same.
    x : array-like of numbers, shape (n_cards, d), optional
        The vectors of the cards.
    same_text : bool, optional
        Only groups whose cards all have one text (True: copies), or have different ones (False:
        the fault).

    Returns
    -------
    pl.DataFrame
        One row for each vector that several cards have, the largest group first, ties by the
        first id: ``group`` (int, from 0), ``n_cards`` (int), ``card_share`` (float, 0-1, of the
        cards with a usable vector), ``n_texts`` (int, distinct texts; a missing one counts as
        one text; null without ``text``), ``same_text`` (bool), ``ids`` (list of str, sorted).
        The sum of ``card_share`` over ``same_text=False`` is the share of cards whose vector is
        not their own.

    Raises
    ------
    MissingColumn
        The cards have no ``id``, or neither they nor the call have vectors.
    NoFigure
        No card has a usable vector.
    CardlabError
        `x` has more or fewer rows than there are cards.
    """
    if same_text is not None:
        schema.one_of(same_text, (True, False), name="same_text")
    have = schema.require(cards, "id")
    given = vectors(cards) if x is None else matrix(x)
    columns = narrow(cards, [name for name in ("id", "text") if name in have])
    text = pl.col("text").cast(pl.String).hash() if "text" in have else pl.lit(None, pl.UInt64)
    frame = schema.collect(columns.select(pl.col("id").cast(pl.String), text=text))
    same_size(len(given), frame.height, name="x", of="cards")
    rows = np.flatnonzero(usable(given))
    if not len(rows):
        raise schema.NoFigure(f"none of the {len(given):,} vectors is usable.")
    frame = frame[rows].with_columns(vector=pl.Series(row_hashes(given, rows)))
    n_texts = pl.col("text").n_unique() if "text" in have else pl.lit(None, pl.Int64)
    groups = (
        frame.filter(pl.col("vector").is_duplicated())
        .group_by("vector")
        .agg(n_cards=pl.len(), n_texts=n_texts, ids=pl.col("id").sort())
        .with_columns(same_text=pl.col("n_texts") == 1, card_share=pl.col("n_cards") / len(rows))
        .sort("n_cards", pl.col("ids").list.first(), "vector", descending=[True, False, False])
    )
    if same_text is not None:
        groups = groups.filter(pl.col("same_text") == same_text)
    return groups.with_row_index("group").select(*_GROUPS).cast(_GROUPS)  # type: ignore[arg-type]
