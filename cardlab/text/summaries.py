"""Lengths of many cards: summaries, curves and histograms, in all or by group."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl

from ..overview.time import judge
from ..schema import INSTANT, CardlabError, NoFigure, collect, count
from .lengths import measured

#: Most points of one curve of :func:`length_ecdf`.
MAX_POINTS = 200


def length_summary(
    cards: Any, *, measure: str = "n_words", by: str | None = None, every: str = "1y"
) -> pl.DataFrame:
    """Summarise a length of the cards, in all or by group.

    Parameters
    ----------
    cards : frame
        With ``text``, or with the column `measure`.
    measure : str
        One of :data:`MEASURES`, or any numeric column of the cards.
    by : str, optional
        A column to group by: ``pipeline_tag``, ``library_name``, ``author``, ``license_class``
        (of :func:`with_licenses`), a date ... With a list column a card counts in each of its
        groups. Cards whose ``created_at`` or ``last_modified`` is no true date, as
        :func:`with_period` says, are in the group null.
    every : str
        The period, where `by` is a date (``"1mo"``, ``"1q"``, ``"1y"``).

    Returns
    -------
    pl.DataFrame
        ``group`` (null: not declared; ``"all"`` without `by`), ``n_cards`` (cards with a value),
        ``mean``, ``p05``, ``p25``, ``p50``, ``p75``, ``p95``, ``p99`` (linear interpolation),
        ``max``, ``median_low``, ``median_high`` (95 % bootstrap interval of the median). Most
        cards first.

    Raises
    ------
    MissingColumn
        There is neither the measure nor ``text``, or no column `by`.

    Notes
    -----
    The interval is the percentile interval of infinitely many resamples, so it needs no random
    numbers: a resample's median is at most the k-th of n values where at least half of its draws
    are, which a binomial distribution gives (Efron 1979, "Bootstrap methods: another look at the
    jackknife", section 3).
    """
    values = _values(cards, measure, by, every)
    value = pl.col("value")
    values = values.join(_ranks(values), on="group", nulls_equal=True)
    levels = {"p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}
    return (
        values.group_by("group")
        .agg(
            pl.len().cast(pl.Int64).alias("n_cards"),
            value.mean().alias("mean"),
            *(value.quantile(q, "linear").alias(name) for name, q in levels.items()),
            value.max().alias("max"),
            value.sort().get(pl.col("low").first()).alias("median_low"),
            value.sort().get(pl.col("high").first()).alias("median_high"),
        )
        .sort(["n_cards", "group"], descending=[True, False], nulls_last=True)
    )


def length_ecdf(
    cards: Any, *, measure: str = "n_words", by: str | None = None, every: str = "1y"
) -> pl.DataFrame:
    """Give the share of cards that are at most so long, in all or by group.

    Parameters
    ----------
    cards, measure, by, every
        As in :func:`length_summary`.

    Returns
    -------
    pl.DataFrame
        ``group``, ``value``, ``cumulative_share`` (0-1, exact at that value), ``n_cards`` (of the
        group). At most 200 points a group, evenly spaced in rank, first and last included.

    Raises
    ------
    MissingColumn
        As in :func:`length_summary`.
    """
    values = _values(cards, measure, by, every)
    steps = (
        values.group_by("group", "value")
        .agg(pl.len().alias("n"))
        .sort("group", "value", nulls_last=True)
        .with_columns(
            pl.col("n").cum_sum().over("group").alias("below"),
            pl.col("n").sum().over("group").cast(pl.Int64).alias("n_cards"),
            pl.int_range(pl.len()).over("group").alias("rank"),
            pl.len().over("group").alias("n_values"),
        )
    )
    # a point is kept where it is the first to reach the next of evenly spaced shares
    slot = (pl.col("below") * (MAX_POINTS - 2) / pl.col("n_cards")).floor()
    kept = (
        (pl.col("n_values") <= MAX_POINTS)
        | (pl.col("rank") == 0)
        | (slot != slot.shift(1).over("group"))
    )
    return steps.filter(kept.fill_null(True)).select(
        "group",
        "value",
        (pl.col("below") / pl.col("n_cards")).alias("cumulative_share"),
        "n_cards",
    )


def length_histogram(
    cards: Any, *, measure: str = "n_words", by: str | None = None, every: str = "1y"
) -> pl.DataFrame:
    """Count cards in bins that widen with length.

    Parameters
    ----------
    cards, measure, by, every
        As in :func:`length_summary`.

    Returns
    -------
    pl.DataFrame
        ``group``, ``low`` (included), ``high`` (excluded), ``n_cards``. The bins are 0, 1 and
        then a third of a power of ten wide (2, 5, 10, 20, 50 ...); empty ones are left out.

    Raises
    ------
    MissingColumn
        As in :func:`length_summary`.
    """
    values = _values(cards, measure, by, every)
    edges = [0, *(step * 10**power for power in range(12) for step in (1, 2, 5))]
    bins = pl.DataFrame({"low": edges[:-1], "high": edges[1:]}).with_columns(
        pl.col("low").cast(pl.Float64).alias("value")
    )
    return (
        values.with_columns(pl.col("value").cast(pl.Float64))
        .sort("value")
        .join_asof(bins, on="value")
        .group_by("group", "low", "high")
        .agg(pl.len().cast(pl.Int64).alias("n_cards"))
        .sort("group", "low", nulls_last=True)
    )


def _values(cards: Any, measure: str, by: str | None, every: str) -> pl.DataFrame:
    """Give one row a card and group: ``group, value``, without null values."""
    frame = measured(cards, measure, [by] if by else [])
    values = collect(
        grouped(frame, by, every).select("group", "value").filter(pl.col("value").is_not_null())
    )
    if not values.height:
        raise NoFigure(f"none of the {count(cards):,} cards has a value for {measure!r}.")
    return values


def grouped(frame: pl.LazyFrame, by: str | None, every: str = "1y") -> pl.LazyFrame:
    """Add ``group``, the text of column `by` or its period; a row for each item of a list."""
    if by is None:
        return frame.with_columns(pl.lit("all").alias("group"))
    dtype = frame.collect_schema()[by]
    group = pl.col(by)
    if isinstance(dtype, pl.List):
        frame = frame.with_columns(group.list.unique()).explode(by)
    elif dtype.is_temporal():
        try:
            start = pl.Series([dt.datetime(2024, 1, 1)]).dt.truncate(every)
        except (pl.exceptions.PolarsError, TypeError):
            start = None
        if start is None or dtype == pl.Time or isinstance(dtype, pl.Duration):
            raise CardlabError(
                f"every must be a period such as '1mo', '1q' or '1y', and by={by!r} a date; they "
                f"are {every!r} and {dtype}."
            )
        pattern = "%Y" if every.endswith("y") else "%Y-%m" if every[-1:] in "oq" else "%Y-%m-%d"
        if by in ("created_at", "last_modified"):  # where no date is true, the group is null
            crowds = by == "created_at"
            group = group.map_batches(lambda s: judge(s, crowds=crowds).true, return_dtype=INSTANT)
        group = group.dt.truncate(every).dt.strftime(pattern)
    return frame.with_columns(group.cast(pl.String).alias("group"))


def _ranks(values: pl.DataFrame) -> pl.DataFrame:
    """Give which of each group's sorted values bound its median: ``group, low, high`` from 0."""
    sizes = values.group_by("group").agg(pl.len().alias("n"))
    low, high = median_ranks(sizes["n"].to_numpy())
    return sizes.select("group", pl.Series("low", low), pl.Series("high", high))


def median_ranks(n: Any) -> tuple[Any, Any]:
    """Give the ranks, from 0, of the 95 % bootstrap interval of the median of `n` values.

    P(median of a resample <= k-th value) = P(Binomial(n, k/n) >= n/2), an incomplete beta
    function, which is inverted here. Of an even number the lower of the two middle values counts
    for the lower bound, the higher for the upper one.
    """
    import numpy as np
    from scipy.special import betaincinv

    n = np.asarray(n, dtype=float)
    at_low, at_high = np.ceil(n / 2), np.floor(n / 2) + 1
    low = np.ceil(n * betaincinv(at_low, n - at_low + 1, 0.025))
    high = np.ceil(n * betaincinv(at_high, n - at_high + 1, 0.975))
    ranks = (np.clip(rank, 1, n).astype(np.int64) - 1 for rank in (low, high))
    return tuple(ranks)  # type: ignore[return-value]
