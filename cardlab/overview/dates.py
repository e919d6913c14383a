"""How a corpus grew, and where its dates are none."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from ..schema import (
    DATE_FLOOR,
    INSTANT,
    CardlabError,
    NoFigure,
    collect,
    count,
    lazy,
    require,
)
from ..shares import one_row_per_item

_EVERY = re.compile(r"[1-9]\d*(?:d|w|mo|q|y)")


def growth(cards: Any, *, every: str = "1mo", by: str | None = None) -> pl.DataFrame:
    """Count new and all cards by period.

    Parameters
    ----------
    cards : frame
        With ``created_at``.
    every : str
        Length of a period: a number and ``d``, ``w``, ``mo``, ``q`` or ``y``.
    by : str, optional
        A column to group by. With a list column a card counts in each of its groups; without a
        value it is in the group null.

    Returns
    -------
    pl.DataFrame
        With `by` first ``group`` (null: not declared), then ``period`` (start, UTC), ``n_new``,
        ``n_total`` (cumulative), ``at_floor`` (cards of ``n_new`` created exactly at
        2022-03-02T23:29:04Z, the Hub's instant for everything older: not a true date). Every
        period from the first to the last is there. Cards without a date are left out.

    Raises
    ------
    MissingColumn, NoFigure
        There is no ``created_at``, or none of its values is known.
    CardlabError
        `every` is not a period.
    """
    require(cards, "created_at", *([by] if by else []))
    check_every(every)
    frame = lazy(cards).select(*dict.fromkeys(["created_at", *([by] if by else [])]))
    frame = frame.filter(~nw.col("created_at").is_null())
    if by:
        frame = one_row_per_item(frame, by)
    frame = frame.with_columns(
        nw.col("created_at").dt.truncate("1d").alias("__day"),
        (nw.col("created_at") == nw.lit(dt.datetime.fromisoformat(DATE_FLOOR))).alias("__floor"),
    )
    # days are few: periods and their range are polars' work then, the same on every engine
    keys = ["__day", "__floor", *([by] if by else [])]
    days = collect(frame.group_by(*keys).agg(nw.len().alias("n")))
    if not days.height:
        raise NoFigure(f"none of the {count(cards):,} cards has a creation date.")
    group = [pl.col(by).cast(pl.String).alias("group")] if by else []
    period = pl.col("__day").cast(INSTANT).dt.truncate(every).alias("period")
    counted = days.group_by(*group, period).agg(
        pl.col("n").sum().cast(pl.Int64).alias("n_new"),
        pl.col("n").filter("__floor").sum().cast(pl.Int64).alias("at_floor"),
    )
    ends = pl.col("period")
    periods = counted.select(pl.datetime_range(ends.min(), ends.max(), every, time_unit="us"))
    names = ["group"] if by else []
    grid = counted.select("group").unique().join(periods, how="cross") if by else periods
    return (
        grid.join(counted, on=[*names, "period"], how="left", nulls_equal=True)
        .with_columns(pl.col("n_new", "at_floor").fill_null(0))
        .sort(*names, "period", nulls_last=True)
        .with_columns(
            (pl.col("n_new").cum_sum().over("group") if by else pl.col("n_new").cum_sum()).alias(
                "n_total"
            )
        )
        .select(*names, "period", "n_new", "n_total", "at_floor")
    )


def check_every(every: Any) -> None:
    """Raise a CardlabError unless `every` is the length of a period."""
    if not isinstance(every, str) or not _EVERY.fullmatch(every):
        raise CardlabError(f"every must be like '1mo', '2w', '1d', '1q' or '1y', not {every!r}.")
