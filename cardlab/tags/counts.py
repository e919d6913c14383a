"""On how many cards each tag is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from ..schema import count, one_of, require
from ..shares import count_values, wilson
from .kinds import KINDS, with_tag_kinds


def tag_counts(
    cards: Any, *, column: str = "tags", kinds: Sequence[str] | None = None, top: int | None = None
) -> pl.DataFrame:
    """Count on how many cards each tag is.

    Parameters
    ----------
    cards : frame
        With `column`, a list of strings.
    column : str
        ``"tags"``, ``"languages"``, ``"arxiv"``, ``"datasets"``, ``"base_model"``, ``"license"``.
    kinds : sequence of str, optional
        Only tags of these kinds; see :func:`tag_kind`.
    top : int, optional
        Only the most frequent.

    Returns
    -------
    pl.DataFrame
        ``tag``, ``kind``, ``n_cards`` (a tag counts once a card), ``card_share`` (0-1, of all
        cards), ``share_low``, ``share_high`` (Wilson, 95 %). Most cards first, then by name.

    Raises
    ------
    MissingColumn
        The cards have no such column.
    """
    found = ranked(cards, column, kinds)
    found = found.head(top) if top is not None else found
    total = count(cards)
    low, high = wilson(found["n_cards"].to_numpy(), np.full(found.height, total))
    return found.with_columns(
        (pl.col("n_cards") / total).alias("card_share"),
        pl.Series("share_low", low, dtype=pl.Float64),
        pl.Series("share_high", high, dtype=pl.Float64),
    )


def ranked(cards: Any, column: str, kinds: Sequence[str] | None) -> pl.DataFrame:
    """Count the values of a list column.

    Returns
    -------
    pl.DataFrame
        ``tag``, ``kind``, ``n_cards``; most cards first, then by name.
    """
    require(cards, column)
    found = count_values(cards, column).select(pl.col("value").alias("tag"), "n_cards")
    if column == "tags":
        found = with_tag_kinds(found)
    else:  # a column of its own says what its values are
        own = {"languages": "language", "datasets": "dataset"}.get(column, column)
        found = found.with_columns(pl.lit(own if own in KINDS else "free").alias("kind"))
    if kinds is not None:
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        for kind in kinds:
            one_of(kind, KINDS, name="kinds")
        found = found.filter(pl.col("kind").is_in(kinds))
    return found.select("tag", "kind", "n_cards").sort(["n_cards", "tag"], descending=[True, False])
