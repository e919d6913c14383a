"""Which tags become more common on new cards, and which less."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl

from ..frames import Coded, check_countable, encode, narrow
from ..overview.time import Dated, check_dates, check_every, judge
from ..schema import NoFigure, at_least, require
from ..shares.counting import interval
from .kinds import checked_kinds, tag_kind

#: New cards in a period below which it does not enter a slope.
THIN = 10

_STEPS = 100
_Z = NormalDist().inv_cdf(0.975)


def tag_trends(
    cards: Any,
    *,
    column: str = "tags",
    kinds: Sequence[str] | None = None,
    top: int = 20,
    every: str = "1q",
) -> pl.DataFrame:
    """Give the share of new cards with each tag by period, and whether it rises.

    Parameters
    ----------
    cards : frame
        With `column` and ``created_at`` (dates or instants; without a time zone in UTC); only
        these two are read.
    column : str
        As in :func:`tag_counts`.
    kinds : sequence of str, optional
        Only tags of these kinds, by :func:`tag_kind` (by name alone).
    top : int
        The tags on most of the cards that are counted here.
    every : str
        Length of a period: a number and ``d``, ``w``, ``mo``, ``q`` or ``y``.

    Returns
    -------
    pl.DataFrame
        A row for each tag and period, from the first period to the last: ``tag``, ``period``
        (start, UTC), ``n_cards`` (new cards with the tag), ``n_period`` (new cards),
        ``card_share``, ``share_low``, ``share_high`` (0-1, Wilson, 95 %; null in a period without
        cards), then the same on all rows of a tag: ``slope``, ``slope_low``, ``slope_high`` (how
        much the log-odds of the tag change a period, 95 %; null if fewer than three periods have
        10 new cards or more; of a tag that is on all cards of these periods, or on none, the slope
        is 0 without an interval), ``first_seen`` (earliest ``created_at`` of a card with it), and
        on all rows ``n_at_floor``, ``n_undated``, ``n_implausible`` (cards left out, see below)
        and ``floors`` (list of the instants of the cards at a floor). Steepest rise first, then by
        tag and period.

    Raises
    ------
    MissingColumn, NoFigure
        There is no such column, or no card has a tag and a date that can be used.
    CardlabError
        `every` is not a period, ``created_at`` holds no dates, or an argument is out of range.

    Notes
    -----
    Left out are cards without a date, with one that cannot be, and those at a floor: their true
    period is unknown (:func:`cardlab.with_period` says what these are). ``first_seen`` does count
    the last, as "by then". The last period may not be over; shares stand that, numbers do not.

    The slope is that of a logistic regression of the tag on the number of the period, finite even
    where a tag is only in the last one: Firth's correction, but drawn towards the mean of the
    tag's shares instead of a half. (A half draws small periods more than large ones, so that a
    rare tag falls, and one that nearly all cards have rises, as soon as periods differ in size.)
    Its interval is widened where the shares scatter more than chance would have it (dispersion by
    Pearson's chi-squared, never below 1). A straight line in log-odds is a summary: look at the
    shares.
    """
    at_least(top, 1, name="top")
    check_every(every)
    kinds = checked_kinds(kinds)
    require(cards, column, "created_at")
    frame = narrow(cards, {"tags": column, "created_at": "created_at"})
    schema = frame.collect_schema()
    check_countable(schema["tags"], column)
    check_dates(schema["created_at"], "created_at")
    (coded,), rows = encode(frame, ["tags"], pl.col("created_at"))
    dated = judge(rows["created_at"])
    grid = _grid(coded, dated, kinds, top, every)
    number = grid["n_cards"].to_numpy().reshape(-1, grid["period"].n_unique())
    slope, error = slopes(number, grid["n_period"].head(number.shape[1]).to_numpy())
    fits = {"slope": slope, "slope_low": slope - _Z * error, "slope_high": slope + _Z * error}
    found = grid.select(
        *("tag", "period", "n_cards", "n_period"),
        *interval(grid["n_cards"], grid["n_period"], "card_share", "share"),
        *(pl.Series(name, np.repeat(fit, number.shape[1])) for name, fit in fits.items()),
        "first_seen",
    ).with_columns(
        pl.col(pl.Float64).fill_nan(None),
        *dated.columns("n_at_floor", "n_undated", "n_implausible"),
    )
    return found.sort(["slope", "tag", "period"], descending=[True, False, False], nulls_last=True)


def _grid(
    coded: Coded, dated: Dated, kinds: list[str] | None, top: int, every: str
) -> pl.DataFrame:
    """Count the cards of each of the `top` tags in each period, also where there are none."""
    cards = pl.DataFrame({"period": dated.true.dt.truncate(every), "seen": dated.possible})
    if not cards["period"].count():
        raise dated.none_is_true()
    items: pl.DataFrame = cards[coded.of_each(np.arange(coded.n_cards))]
    items = items.with_columns(pl.Series("code", coded.code))
    found = items.group_by("code").agg(
        pl.col("period").count().alias("n"), pl.col("seen").min().alias("first_seen")
    )
    found = found.filter(pl.col("n") > 0).sort("n", "code", descending=[True, False])
    tags = coded.names.gather(found["code"]).alias("tag")
    found = found.with_columns(tags)
    if kinds is not None:
        found = found.filter(pl.Series([tag_kind(tag) in kinds for tag in tags], dtype=pl.Boolean))
    if not found.height:
        raise NoFigure("no card with a usable creation date has a tag that was asked for.")
    dates = pl.col("period")
    n_cards, n_period = (pl.len().cast(pl.Int64).alias(name) for name in ("n_cards", "n_period"))
    return (
        found.head(top)
        .join(
            cards.select(pl.datetime_range(dates.min(), dates.max(), every, time_unit="us")),
            how="cross",
        )
        .join(cards.group_by("period").agg(n_period), on="period", how="left")
        .join(items.group_by("code", "period").agg(n_cards), on=["code", "period"], how="left")
        .with_columns(pl.col("n_cards", "n_period").fill_null(0))
        .sort("n", "code", "period", descending=[True, False, False])
    )


def slopes(number: Any, total: Any) -> tuple[Any, Any]:
    """Fit a logistic regression on the number of the period to each row of `number`.

    `number` has the cards with each tag in each period, `total` all cards of each period. Gives the
    change of the log-odds a period, and its standard error: NaN where fewer than three periods have
    :data:`THIN` cards. Of a row with none or with all cards of these the slope is 0, the error NaN.
    """
    used = total >= THIN
    if used.sum() < 3:
        return np.full(len(number), np.nan), np.full(len(number), np.nan)
    time = np.flatnonzero(used).astype(float)
    number, total = number[:, used].astype(float), total[used].astype(float)
    scale = max(float(np.ptp(time)), 1.0)
    x = (time - np.average(time, weights=total)) / scale
    terms = np.stack([np.ones_like(x), x], axis=1)
    start = (number.sum(axis=1) + 0.5) / (total.sum() + 1)
    share = (number / total).mean(axis=1, keepdims=True)
    line = np.stack([np.log(start / (1 - start)), np.zeros(len(number))], axis=1)
    for _ in range(_STEPS):
        p, weight, inverse = _fit_at(line, terms, total)
        # Firth's weights, but towards the mean share of a period instead of a half
        hat = weight * np.einsum("pi,tij,pj->tp", terms, inverse, terms)
        score = (number - total * p + hat * (share - p)) @ terms
        step = np.einsum("tij,tj->ti", inverse, score)
        most = np.abs(step).max(axis=1, keepdims=True)
        line += step * np.minimum(1, 2 / np.maximum(most, 1e-300))
        if most.max(initial=0) < 1e-10:
            break
    p, weight, inverse = _fit_at(line, terms, total)
    # how many times the shares scatter as much as by chance, by Pearson's chi-squared
    dispersion = ((number - total * p) ** 2 / weight).sum(axis=1) / (len(total) - 2)
    error = np.sqrt(inverse[:, 1, 1] * np.maximum(dispersion, 1))
    still = (share[:, 0] == 0) | (share[:, 0] == 1)
    return np.where(still, 0.0, line[:, 1] / scale), np.where(still, np.nan, error / scale)


def _fit_at(line: Any, terms: Any, total: Any) -> tuple[Any, Any, Any]:
    """Give the fitted shares, their weights, and the inverse of the information of each line."""
    p = 1 / (1 + np.exp(-np.clip(line @ terms.T, -30, 30)))
    weight = total * p * (1 - p)
    information = np.einsum("tp,pi,pj->tij", weight, terms, terms)
    # a trace more than nothing on the diagonal, or where one period has all weight none exists
    ridge = 1e-13 * np.trace(information, axis1=1, axis2=2)[:, None, None] * np.eye(2)
    return p, weight, np.linalg.inv(information + ridge)
