"""On how many cards a value is, of how many, and how sure the share is.

Licences, languages and tags are counted here, so that a card, a group and a denominator mean the
same in all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl

from .schema import STRINGS, CardlabError, collect, lazy, require

# names of our own for the columns that are read, so that `by` may be any column, even the counted
_VALUE, _GROUP, _WEIGHT = "__value", "__group", "__weight"
_N_ITEMS, _IS_GROUP = "__n_items", "__is_group"


def wilson(n: Any, total: Any, *, confidence: float = 0.95) -> tuple[Any, Any]:
    """Give the Wilson score interval of a share, n of total.

    Parameters
    ----------
    n, total : number or array of numbers
        Cards with the value, and all cards; 0 <= n <= total.
    confidence : float
        How often such intervals hold the true share: above 0, below 1.

    Returns
    -------
    low, high : float or array of float
        0-1, with low <= n / total <= high; NaN where `total` is 0 or a number is missing.

    Raises
    ------
    CardlabError
        `confidence` is not between 0 and 1, or a count is not between 0 and its total.

    Notes
    -----
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22 (1927), 209-212; without correction for
    continuity. It treats the cards as a random sample of cards that could have been written; for
    the whole Hub at one moment the share itself is exact.
    """
    if not 0 < confidence < 1:
        raise CardlabError(f"confidence must be above 0 and below 1, not {confidence!r}.")
    n, total = np.asarray(n, dtype=float), np.asarray(total, dtype=float)
    if np.any(n < 0) or np.any(n > total):
        raise CardlabError("a share needs counts between 0 and their total: 0 <= n <= total.")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = n / total
        scale = 1 + z**2 / total
        middle = (share + z**2 / (2 * total)) / scale
        half = z / scale * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    # rounding may put an end an ulp beyond the share, or beyond 0 and 1
    low = np.clip(middle - half, 0, share)
    high = np.clip(middle + half, share, 1)
    return low[()], high[()]


def count_values(
    cards: Any,
    column: str,
    *,
    by: str | None = None,
    derive: Callable[[pl.Series], pl.Series] | None = None,
) -> pl.DataFrame:
    """Count on how many cards each value of a column is.

    Parameters
    ----------
    cards : frame
        With `column`, a string or a list of strings, and `by`. Polars, or an engine that
        narwhals knows; only these two columns are read.
    column : str
        What to count. A value counts once a card, however often the card repeats it.
    by : str, optional
        A column to group by. With a list column a card is in each of its groups; without a value
        (null, an empty list) it is in the group null, "not declared".
    derive : callable, optional
        Counts what this makes of the column: a Series in, a Series of strings or of lists of
        strings of the same length out. It gets the distinct values or lists of each group only.

    Returns
    -------
    pl.DataFrame
        ``[by,] value`` (str), ``n_cards`` (cards of the group with the value), ``n_group`` (cards
        of the group), ``n_declared`` (those with any value: null, an empty list and a list of
        nulls are none). Most cards first, then by value and group. A group in which no card has a
        value has no row.

    Raises
    ------
    MissingColumn
        The cards lack `column` or `by`.
    CardlabError
        `column` holds neither strings nor lists of strings, or `by` is no column of its own.
    """
    check_by(by, ("value", "n_cards", "n_group", "n_declared"))
    require(cards, column, *([] if by is None else [by]))
    keys = [] if by is None else [_GROUP]
    names = {_VALUE: column} if by is None else {_VALUE: column, _GROUP: by}
    frame = lazy(cards).select(nw.col(name).alias(own) for own, name in names.items())
    if frame.implementation.is_pandas_like() or frame.implementation.is_pyarrow():
        frame = lazy(collect(frame))  # in memory already, and without aggregations over lists
    frame = _as_strings(frame, column)
    if derive is None:
        frame = frame.with_columns(nw.lit(1, dtype=nw.Int64).alias(_WEIGHT))
    else:
        distinct = collect(frame.group_by(*names).agg(nw.len().alias(_WEIGHT)))
        derived = distinct.with_columns(derive(distinct[_VALUE]).alias(_VALUE))
        frame = lazy(derived.with_columns(pl.col(_WEIGHT).cast(pl.Int64)))
    for key in keys:
        frame = _one_row_per_item(frame, key)
    return _summarise(frame, keys, by)


def with_share(counts: pl.DataFrame) -> pl.DataFrame:
    """Add the share of the group's cards and its 95 % Wilson interval.

    Parameters
    ----------
    counts : pl.DataFrame
        ``n_cards`` and ``n_group``, as :func:`count_values` gives them.

    Returns
    -------
    pl.DataFrame
        `counts` with ``card_share`` (0-1, n_cards / n_group), ``share_low``, ``share_high``.
    """
    low, high = wilson(counts["n_cards"].to_numpy(), counts["n_group"].to_numpy())
    return counts.with_columns(
        (pl.col("n_cards") / pl.col("n_group")).alias("card_share"),
        pl.Series("share_low", low, dtype=pl.Float64),
        pl.Series("share_high", high, dtype=pl.Float64),
    )


def gini(values: Any, *, zeros: bool = True) -> Any:
    """Give the Gini coefficient of the last axis of an array.

    Parameters
    ----------
    values : array of numbers
        0 or more each, in any order.
    zeros : bool
        Whether a 0 is a member with nothing; else it is no member.

    Returns
    -------
    float or array of float
        0 (all equal) to below 1 (one has all): ``2 * sum(i * x_i) / (n * sum(x)) - (n + 1) / n``
        over the members in ascending order, i from 1 to n. NaN where the sum is 0.

    Notes
    -----
    C. Gini, "Variabilita e mutabilita" (1912). Without correction for small n: of n members of
    which one has all it is 1 - 1 / n.
    """
    ordered = np.sort(np.asarray(values, dtype=float), axis=-1)
    length = ordered.shape[-1]
    n = length if zeros else np.count_nonzero(ordered, axis=-1)
    total = ordered.sum(axis=-1)
    ranked = ordered @ np.arange(1.0, length + 1) - (length - n) * total
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 2 * ranked / (n * total) - (n + 1) / np.asarray(n, dtype=float)
    return np.clip(found, 0, 1)[()]  # rounding may put it an ulp below 0


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
    items = lists.explode(empty_as_null=False, keep_nulls=False).drop_nulls().unique()
    changed = {item: new for item in items if (new := function(item)) != item}
    lists = lists.list.drop_nulls()
    if changed:
        lists = lists.list.eval(pl.element().replace(changed))
    return lists.list.unique(maintain_order=True)


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


def check_by(by: str | None, results: tuple[str, ...]) -> None:
    """Raise a CardlabError unless `by` is one column name that no result column has too."""
    if by is not None and not isinstance(by, str):
        raise CardlabError(f"by must be the name of one column, not {by!r}.")
    if by in results:
        raise CardlabError(
            f"by={by!r}: the result has a column of that name already. Rename yours first, for "
            f"example cards.rename({{{by!r}: 'own_{by}'}})."
        )


def _as_strings(frame: nw.LazyFrame[Any], column: str) -> nw.LazyFrame[Any]:
    """Cast what is counted to strings or lists of strings, unless it is."""
    dtype = frame.collect_schema()[_VALUE]
    if isinstance(dtype, nw.List):
        wanted: Any = nw.List(nw.String)
    elif isinstance(dtype, (nw.Struct, nw.Array, nw.Object)):
        raise CardlabError(
            f"column {column!r} is {dtype}, which cannot be counted: it must hold strings or lists "
            "of strings. cardlab.scan_cards(source) reads the cards' columns as such."
        )
    else:
        wanted = nw.String()
    return frame if dtype == wanted else frame.with_columns(nw.col(_VALUE).cast(wanted))


def _one_row_per_item(frame: nw.LazyFrame[Any], name: str) -> nw.LazyFrame[Any]:
    """Give each card a row for each distinct item of a list column, or one with null for none."""
    if not isinstance(frame.collect_schema()[name], nw.List):
        return frame
    items = nw.col(name).list.unique()
    n_items = items.list.len().cast(nw.Int64).fill_null(0)
    return (
        frame.with_columns(items.alias(name), n_items.alias(_N_ITEMS))
        .explode(name, empty_as_null=True, keep_nulls=True)
        .filter(~nw.col(name).is_null() | (nw.col(_N_ITEMS) <= 1))  # a null beside an item is none
        .drop(_N_ITEMS)
    )


def _summarise(frame: nw.LazyFrame[Any], keys: list[str], by: str | None) -> pl.DataFrame:
    """Count the cards of each value and of each group, from a row for each card and group."""
    n_cards = nw.col(_WEIGHT).sum()
    no_value = nw.lit(None, dtype=nw.String).alias(_VALUE)
    groups = frame.group_by(*keys).agg(n_cards) if keys else frame.select(n_cards)
    values = _one_row_per_item(frame, _VALUE).group_by(*keys, _VALUE).agg(n_cards)
    # one query for both, so that a source is read once
    parts = [
        values.select(*keys, _VALUE, _WEIGHT, nw.lit(False).alias(_IS_GROUP)),
        groups.select(*keys, no_value, _WEIGHT, nw.lit(True).alias(_IS_GROUP)),
    ]
    found = collect(nw.concat(parts, how="vertical")).with_columns(pl.col(_WEIGHT).cast(pl.Int64))
    weight, value, is_group = pl.col(_WEIGHT), pl.col(_VALUE), pl.col(_IS_GROUP)
    n_group = weight.filter(is_group).sum()
    n_none = weight.filter(value.is_null() & ~is_group).sum()
    if keys:
        n_group, n_none = n_group.over(keys), n_none.over(keys)
    return (
        found.with_columns(n_group.alias("n_group"), (n_group - n_none).alias("n_declared"))
        .filter(value.is_not_null())
        .sort(
            _WEIGHT, _VALUE, *keys, descending=[True, False] + [False] * len(keys), nulls_last=True
        )
        .select(
            *(pl.col(key).alias(str(by)) for key in keys),
            value.alias("value"),
            weight.alias("n_cards"),
            "n_group",
            "n_declared",
        )
    )
