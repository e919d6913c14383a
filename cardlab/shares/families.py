"""Which cards are copies of each other, so that a family can count once."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl


def family_key(families: str, own: str) -> pl.Expr:
    """Give what cards of one family share, from a column that goes by the name `own`.

    Of texts (`families` is ``"text"``) only a hash of 64 bits, so that none is kept; a blank text
    is no copy of another and has none.
    """
    if families != "text":
        return pl.col(own)
    text = pl.col(own).cast(pl.String)
    return pl.when(text.str.contains(r"\S")).then(text.hash(seed=0)).alias(own)


def first_of_families(family: pl.Series, ids: pl.Series) -> Any:
    """Mark the first card by id of each family, and every card without one: an array of bool."""
    first = (
        pl.DataFrame({"family": family, "id": ids})
        .with_row_index("row")
        .drop_nulls("family")
        .sort("family", "id", "row", nulls_last=True)
        .unique("family", keep="first", maintain_order=True)
    )
    stands = family.is_null().to_numpy().copy()
    stands[first["row"].to_numpy()] = True
    return np.asarray(stands)
