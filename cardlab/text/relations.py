"""Which cards are unlike the others in length, and what length goes with."""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from ..schema import CardlabError, NoFigure, at_least, collect, count, one_of
from .lengths import measured
from .summaries import grouped, median_ranks

#: Fewest cards of a group in which a card is called far from the others.
MIN_GROUP = 20
#: Fewest cards that a rank correlation is given for.
MIN_CARDS = 10


def length_outliers(
    cards: Any,
    *,
    measure: str = "n_words",
    by: str | None = None,
    side: str = "long",
    top: int = 20,
    min_cards: int = MIN_GROUP,
) -> pl.DataFrame:
    """List the cards that are longest, or shortest, beside the others of their group.

    Parameters
    ----------
    cards : frame
        With ``id``, and ``text`` or the column `measure`.
    measure, by
        As in :func:`length_summary`.
    side : str
        ``"long"`` or ``"short"``.
    top : int
        Most rows.
    min_cards : int
        Groups of fewer cards say too little of what is usual, and are left out.

    Returns
    -------
    pl.DataFrame
        ``id``, ``group`` (``"all"`` without `by`), ``value``, ``group_median``, ``ratio`` (of the
        two; null where the median is 0), ``robust_z`` (distance from the median of the logarithm
        of the value and 1, in 1.4826 median absolute deviations; beyond 3.5 Iglewicz and Hoaglin
        1993 speak of an outlier. Where more than half of the group are of one length, in 1.2533
        mean absolute deviations). Farthest first by ``robust_z``, ties by id and group. A group
        of one length has no rows.

    Raises
    ------
    MissingColumn
        There is no ``id``, or neither the measure nor ``text``.
    NoFigure
        No card has a value.
    """
    one_of(side, ("long", "short"), name="side")
    at_least(top, 1, name="top")
    at_least(min_cards, 1, name="min_cards")
    columns = list(dict.fromkeys(["id", *([by] if by else [])]))
    frame = grouped(measured(cards, measure, columns), by)
    rows = collect(frame.select("id", "group", "value").filter(pl.col("value").is_not_null()))
    if not rows.height:
        raise NoFigure(f"none of the {count(cards):,} cards has a value for {measure!r}.")
    size = (pl.col("value").cast(pl.Float64).clip(0) + 1).log()
    away = size - size.median().over("group")
    spread = away.abs().median().over("group") / 0.6745
    # half of a group or more at its median: the mean deviation, as Iglewicz and Hoaglin have it
    unit = pl.when(spread > 0).then(spread).otherwise(away.abs().mean().over("group") * 1.2533)
    median = pl.col("value").median().over("group")
    return (
        rows.with_columns(
            median.alias("group_median"),
            away.alias("away"),
            (away / unit).alias("robust_z"),
            pl.len().over("group").alias("n"),
        )
        .filter(pl.col("n") >= min_cards)
        .filter(pl.col("away") > 0 if side == "long" else pl.col("away") < 0)
        .sort(pl.col("robust_z").abs(), "id", "group", descending=[True, False, False])
        .head(top)
        .select(
            "id",
            "group",
            "value",
            "group_median",
            pl.when(pl.col("group_median") != 0)
            .then(pl.col("value") / pl.col("group_median"))
            .alias("ratio"),
            "robust_z",
        )
    )


def length_relation(
    cards: Any, *, measure: str = "n_words", to: str = "downloads", bins: int = 10
) -> pl.DataFrame:
    """Say whether longer cards have more downloads, or likes.

    Parameters
    ----------
    cards : frame
        With `to`, and ``text`` or the column `measure`.
    measure : str
        As in :func:`length_summary`.
    to : str
        A column of numbers: ``downloads``, ``likes``.
    bins : int
        Parts of about as many cards each, by length; equal lengths stay together.

    Returns
    -------
    pl.DataFrame
        ``bin`` (from 1, shortest first), ``low``, ``high`` (shortest and longest of the bin),
        ``n_cards``, ``median``, ``median_low``, ``median_high`` (of `to`, with a 95 % bootstrap
        interval), and in every row ``spearman`` (-1 to 1, mean ranks for ties), ``spearman_low``,
        ``spearman_high`` (95 %; Bonett and Wright 2000), ``n_total`` (cards that have both),
        ``to``.

    Raises
    ------
    MissingColumn
        A column is not there.
    NoFigure
        Fewer than 10 cards have both, or all have the same.
    """
    at_least(bins, 2, name="bins")
    frame = measured(cards, measure, [to])
    if not frame.collect_schema()[to].is_numeric():
        raise CardlabError(
            f"to must name a column of numbers, such as 'downloads' or 'likes'; {to!r} holds "
            f"{frame.collect_schema()[to]}."
        )
    rows = collect(frame.select("value", pl.col(to).alias("other")).drop_nulls())
    n = rows.height
    if n < MIN_CARDS or rows["value"].n_unique() < 2 or rows["other"].n_unique() < 2:
        raise NoFigure(
            f"{n:,} of {count(cards):,} cards have both {measure!r} and {to!r}, with "
            f"{rows['value'].n_unique():,} and {rows['other'].n_unique():,} different values; a "
            f"rank correlation needs {MIN_CARDS} cards that differ."
        )
    rank = {name: pl.col(name).rank("average") for name in ("value", "other")}
    rho = float(rows.select(pl.corr(rank["value"], rank["other"])).item())
    low, high = _spearman_interval(rho, n)
    part = ((pl.col("value").rank("min") - 1) * bins / n).floor().cast(pl.Int64)
    medians = (
        rows.with_columns(part.alias("bin"))
        .group_by("bin")
        .agg(
            pl.col("value").min().alias("low"),
            pl.col("value").max().alias("high"),
            pl.len().cast(pl.Int64).alias("n_cards"),
            pl.col("other").median().alias("median"),
            pl.col("other").sort().alias("sorted"),
        )
        .sort("bin")
    )
    first, last = median_ranks(medians["n_cards"].to_numpy())
    return medians.with_columns(pl.Series("first", first), pl.Series("last", last)).select(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("bin"),
        *("low", "high", "n_cards", "median"),
        pl.col("sorted").list.get(pl.col("first")).alias("median_low"),
        pl.col("sorted").list.get(pl.col("last")).alias("median_high"),
        pl.lit(rho).alias("spearman"),
        pl.lit(low).alias("spearman_low"),
        pl.lit(high).alias("spearman_high"),
        pl.lit(n, dtype=pl.Int64).alias("n_total"),
        pl.lit(to).alias("to"),
    )


def _spearman_interval(rho: float, n: int) -> tuple[float, float]:
    if abs(rho) >= 1 - 1e-12:
        return rho, rho
    half = 1.959964 * math.sqrt((1 + rho * rho / 2) / (n - 3))
    return math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half)
