"""Columns of lists of strings, item by item."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from ..schema import STRINGS


def map_items(values: pl.Series, function: Callable[[str], str]) -> pl.Series:
    """Map the items of a Series of lists, calling Python once for each distinct item.

    Parameters
    ----------
    values : pl.Series
        Lists of strings; strings are taken as lists of one.
    function : callable
        Gives the new string for an item.

    Returns
    -------
    pl.Series
        Lists of strings of the same length: each new item once, in the order of the old ones,
        without nulls. Null stays null, an empty list empty.
    """
    lists = as_lists(values)
    items = set(lists.explode(empty_as_null=False, keep_nulls=False).unique().to_list()) - {None}
    changed = {item: new for item in items if (new := function(item)) != item}
    # does the same as list.drop_nulls in a fraction of the time
    mapped = pl.col(lists.name).list.filter(pl.element().is_not_null())
    if changed:
        mapped = mapped.list.eval(pl.element().replace(changed))
    # in one query, since a streaming engine brings many small batches
    return lists.to_frame().select(mapped.list.unique(maintain_order=True)).to_series()


def as_lists(values: pl.Series) -> pl.Series:
    """Give strings as lists of one string, and lists as they are; null stays null."""
    if isinstance(values.dtype, pl.List):
        return values.cast(STRINGS)
    text = pl.col(values.name)
    return (
        values.cast(pl.String)
        .to_frame()
        .select(pl.when(text.is_not_null()).then(pl.concat_list(text)).alias(values.name))
        .to_series()
    )
