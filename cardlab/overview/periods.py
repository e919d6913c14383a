"""The period in which a card was new, and what new cards declare from period to period."""

from __future__ import annotations

import datetime as dt
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl

from ..schema import (
    DATE_FLOOR,
    INSTANT,
    CardlabError,
    NoFigure,
    at_least,
    collect,
    lazy,
    require,
    to_lazy_polars,
)
from ..shares import count_values, wilson
from .dates import check_every

#: What a row of shares is about: a value, all values beyond the largest, or cards without any.
PARTS = ("value", "other values", "not declared")

_DATE, _VALUE, _PERIOD = "__date", "__value", "__period"


def with_period(cards: Any, *, every: str = "1y", column: str = "created_at") -> Any:
    """Add the period of each card's date, so that counts can be made ``by="period"``.

    Parameters
    ----------
    cards : frame
        With `column`, dates or instants; those without a time zone are UTC.
    every : str
        Length of a period: a number and ``d``, ``w``, ``mo``, ``q`` or ``y``.
    column : str
        ``"created_at"`` or ``"last_modified"``, for example.

    Returns
    -------
    pl.DataFrame or pl.LazyFrame
        A lazy frame where `cards` is lazy, with these columns added:

        - ``period`` (date): the first day of the period. Null where there is no date, and where
          the date is the Hub's floor, 2022-03-02T23:29:04Z, since the true period is unknown;
        - ``at_floor`` (bool): whether the date is that floor; null where there is no date.

    Raises
    ------
    MissingColumn
        The cards have no such column.
    CardlabError
        `every` is not a period, or `column` holds no dates.

    Examples
    --------
    ``class_counts(with_period(cards, every="1q"), by="period")``: its group null has the cards
    that are left out of all periods; ``at_floor`` tells them apart.
    """
    check_every(every)
    require(cards, column)
    frame = cards if isinstance(cards, (pl.DataFrame, pl.LazyFrame)) else to_lazy_polars(cards)
    dtype = frame.lazy().collect_schema()[column]
    if not isinstance(dtype, (pl.Datetime, pl.Date, pl.Null)):
        raise CardlabError(
            f"column {column!r} must hold dates, not {dtype}. cardlab.scan_cards(source) reads the "
            "dates of cards as such."
        )
    known = pl.col(column).cast(INSTANT)
    at_floor = known == dt.datetime.fromisoformat(DATE_FLOOR)
    return frame.with_columns(
        pl.when(~at_floor).then(known.dt.truncate(every).dt.date()).alias("period"),
        at_floor.alias("at_floor"),
    )


def share_trends(cards: Any, *, column: str, every: str = "1y", top: int = 8) -> pl.DataFrame:
    """Give the share of new cards with each value of a column, period by period.

    Parameters
    ----------
    cards : frame
        With ``created_at`` and `column`; only these two are read.
    column : str
        Strings or lists of strings: ``license_class`` (:func:`with_licenses`),
        ``language_codes`` (:func:`with_languages`), ``pipeline_tag``. In a list column a card is
        in each of its values, so that shares may add to more than 1.
    every : str
        Length of a period: a number and ``d``, ``w``, ``mo``, ``q`` or ``y``.
    top : int
        The values on most of the cards that are counted here; the others are put together.

    Returns
    -------
    pl.DataFrame
        A row for each value and period, from the first period to the last: ``value`` (str, null
        for the last two of :data:`PARTS`), ``part`` (``value``; ``other values``: cards with any
        value beyond the `top`; ``not declared``: cards without a value), ``period`` (date, its
        first day), ``n_cards`` (new cards), ``n_period`` (all new cards of the period),
        ``card_share`` (0-1, of ``n_period``; null in a period without cards), ``share_low``,
        ``share_high`` (its 95 % Wilson interval), and the same on all rows: ``n_values`` (values
        on any card), ``n_at_floor``, ``n_undated`` (cards left out, see below). Most cards first,
        then by name, the other parts last; each by period.

    Raises
    ------
    MissingColumn, NoFigure
        The cards have no ``created_at`` or no such column, or no card has a true date.
    CardlabError
        `every` is not a period, or an argument is out of range.

    Notes
    -----
    Left out are cards without a date and those created exactly at 2022-03-02T23:29:04Z, the
    Hub's instant for everything older: their true period is unknown. The last period may not be
    over; shares stand that, numbers do not.
    """
    at_least(top, 1, name="top")
    check_every(every)
    require(cards, "created_at", column)
    columns = (nw.col("created_at").alias(_DATE), nw.col(column).alias(_VALUE))
    rows = with_period(
        collect(lazy(cards).select(*columns)).lazy(), every=every, column=_DATE
    ).rename({"period": _PERIOD})
    found = collect(rows.group_by(_PERIOD, "at_floor").agg(pl.len().alias("n").cast(pl.Int64)))
    left_out = {
        "n_at_floor": int(found.filter("at_floor")["n"].sum()),
        "n_undated": int(found.filter(pl.col("at_floor").is_null())["n"].sum()),
    }
    periods = found.drop_nulls(_PERIOD).select(_PERIOD, pl.col("n").alias("n_period"))
    if not periods.height:
        raise NoFigure(
            f"none of the {found['n'].sum():,} cards has a true creation date: "
            f"{left_out['n_undated']:,} have none, {left_out['n_at_floor']:,} have the Hub's "
            f"floor, {DATE_FLOOR}."
        )
    dated = rows.filter(pl.col(_PERIOD).is_not_null()).select(_PERIOD, _VALUE)
    values = count_values(dated, _VALUE)["value"]
    return _rows(dated, periods, values, top, every).with_columns(
        pl.lit(n, pl.Int64).alias(name)
        for name, n in ({"n_values": len(values)} | left_out).items()
    )


def _rows(
    dated: pl.LazyFrame, periods: pl.DataFrame, values: pl.Series, top: int, every: str
) -> pl.DataFrame:
    """Count the largest values, the others together and the cards without any, by period."""
    # a mark before each name, so that no name is taken for "all others"
    shown = {name: f"={name}" for name in values.head(top)}
    counts = count_values(dated, _VALUE, by=_PERIOD, rename=lambda name: shown.get(name, "others"))
    kinds = [*shown.values(), *(["others"] if len(values) > top else []), "none"]
    none = counts.unique(_PERIOD).select(_PERIOD, "n_declared")
    ends = pl.col(_PERIOD)
    spanned = periods.select(pl.date_range(ends.min(), ends.max(), every))
    grid = spanned.join(periods, on=_PERIOD, how="left").join(none, on=_PERIOD, how="left")
    grid = grid.with_columns(pl.col("n_period", "n_declared").fill_null(0))
    kind = pl.DataFrame({"kind": kinds}).with_row_index("place")
    cells = counts.select(_PERIOD, pl.col("value").alias("kind"), "n_cards")
    table = (
        kind.join(grid, how="cross")
        .join(cells, on=[_PERIOD, "kind"], how="left")
        .with_columns(
            pl.when(pl.col("kind") == "none")
            .then(pl.col("n_period") - pl.col("n_declared"))
            .otherwise(pl.col("n_cards").fill_null(0))
            .alias("n_cards")
        )
        .sort("place", _PERIOD)
    )
    low, high = wilson(table["n_cards"].to_numpy(), table["n_period"].to_numpy())
    n_period = pl.when(pl.col("n_period") > 0).then("n_period")
    part = {"others": PARTS[1], "none": PARTS[2]}
    is_value = pl.col("kind").str.starts_with("=")
    return table.select(
        pl.when(is_value).then(pl.col("kind").str.slice(1)).alias("value"),
        pl.when(is_value)
        .then(pl.lit(PARTS[0]))
        .otherwise(pl.col("kind").replace(part))
        .alias("part"),
        pl.col(_PERIOD).alias("period"),
        "n_cards",
        "n_period",
        (pl.col("n_cards") / n_period).alias("card_share"),
        pl.Series("share_low", np.asarray(low), dtype=pl.Float64).fill_nan(None),
        pl.Series("share_high", np.asarray(high), dtype=pl.Float64).fill_nan(None),
    )
