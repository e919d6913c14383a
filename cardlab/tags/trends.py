"""Which tags become more common on new cards, and which less."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl

from ..frames import Coded, check_countable, encode, narrow
from ..overview.time import Dated, check_dates, check_every, judge
from ..schema import INSTANT, NoFigure, at_least, require
from ..shares.counting import wilson
from .counts import ranked
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
    return _trends(coded, judge(rows["created_at"]), kinds, top, every)


def _trends(
    coded: Coded, dated: Dated, kinds: list[str] | None, top: int, every: str
) -> pl.DataFrame:
    periods, of_card = _periods(dated.true, every)
    if not periods.len():
        raise dated.none_is_true()
    n_period = np.bincount(of_card[of_card >= 0], minlength=periods.len())
    tags, number = _chosen(coded, of_card, periods.len(), kinds, top)
    if not tags.height:
        raise NoFigure("no card with a usable creation date has a tag that was asked for.")
    seen = _first_seen(coded, dated.possible, tags["code"].to_numpy())
    found = _rows(tags["tag"], periods, number, n_period, seen)
    found = found.with_columns(dated.columns("n_at_floor", "n_undated", "n_implausible"))
    return found.sort(["slope", "tag", "period"], descending=[True, False, False], nulls_last=True)


def _periods(dated: pl.Series, every: str) -> tuple[pl.Series, Any]:
    """Give the starts of all periods, and the number of each card's period (-1: no date)."""
    starts = dated.dt.truncate(every)
    if starts.null_count() == starts.len():
        return starts.clear(), np.full(starts.len(), -1)
    ends = pl.col("start")
    spanned = pl.datetime_range(ends.min(), ends.max(), every, time_unit="us")
    periods = starts.alias("start").to_frame().select(spanned).to_series()
    places = pl.DataFrame({"start": periods, "place": np.arange(periods.len())})
    of_card = pl.DataFrame({"start": starts}).join(
        places, on="start", how="left", maintain_order="left"
    )
    return periods, of_card["place"].fill_null(-1).to_numpy()


def _chosen(
    coded: Coded, of_card: Any, n_periods: int, kinds: list[str] | None, top: int
) -> tuple[pl.DataFrame, Any]:
    """Choose the tags on most dated cards: their rows, and cards by tag and period."""
    usable = coded.of_cards(of_card >= 0)
    period = usable.of_each(of_card[of_card >= 0])
    tags = ranked(usable, None, None)
    if kinds is not None:
        tags = tags.filter(
            pl.Series([tag_kind(tag) in kinds for tag in tags["tag"]], dtype=pl.Boolean)
        )
    tags = tags.head(top)
    place = np.full(len(coded.names), -1)
    place[tags["code"].to_numpy()] = np.arange(tags.height)
    row = place[usable.code]
    key = row[row >= 0] * n_periods + period[row >= 0]
    number = np.bincount(key, minlength=tags.height * n_periods)
    return tags, number.reshape(tags.height, n_periods)


def _first_seen(coded: Coded, created: pl.Series, codes: Any) -> pl.Series:
    place = np.full(len(coded.names), -1)
    place[codes] = np.arange(len(codes))
    row = place[coded.code]
    latest = np.iinfo(np.int64).max
    instants = coded.of_each(created.to_physical().fill_null(latest).to_numpy())
    first = np.full(len(codes), latest)
    np.minimum.at(first, row[row >= 0], instants[row >= 0])
    return pl.Series(first).cast(INSTANT)


def _rows(
    tags: pl.Series, periods: pl.Series, number: Any, n_period: Any, seen: pl.Series
) -> pl.DataFrame:
    """Put shares and slopes into one row a tag and period."""
    n_tags, n_periods = number.shape
    total = np.broadcast_to(n_period, number.shape)
    low, high = wilson(number, total)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = number / total
    slope, error = slopes(number, n_period)
    each = np.repeat(np.arange(n_tags), n_periods)
    columns = {
        "tag": tags.gather(each),
        "period": pl.concat([periods] * n_tags),
        "n_cards": number.ravel().astype(np.int64),
        "n_period": total.ravel().astype(np.int64),
        "card_share": share.ravel(),
        "share_low": low.ravel(),
        "share_high": high.ravel(),
        "slope": slope[each],
        "slope_low": (slope - _Z * error)[each],
        "slope_high": (slope + _Z * error)[each],
        "first_seen": seen.gather(each),
    }
    return pl.DataFrame(columns).with_columns(pl.col(pl.Float64).fill_nan(None))


def slopes(number: Any, total: Any) -> tuple[Any, Any]:
    """Fit a logistic regression on the number of the period to each row of `number`.

    Parameters
    ----------
    number : array of shape (n_tags, n_periods)
        Cards with the tag in each period.
    total : array of shape (n_periods,)
        All cards of each period.

    Returns
    -------
    slope, error : array of shape (n_tags,)
        Change of the log-odds a period, and its standard error; NaN where fewer than three
        periods have :data:`THIN` cards. Of a row with none or with all cards of these periods the
        slope is 0, and its error NaN.
    """
    used = total >= THIN
    if used.sum() < 3:
        return np.full(len(number), np.nan), np.full(len(number), np.nan)
    time = np.flatnonzero(used).astype(float)
    number, total = number[:, used].astype(float), total[used].astype(float)
    centre, scale = np.average(time, weights=total), max(float(np.ptp(time)), 1.0)
    x = (time - centre) / scale
    start = (number.sum(axis=1) + 0.5) / (total.sum() + 1)
    share = (number / total).mean(axis=1, keepdims=True)
    alpha, beta = np.log(start / (1 - start)), np.zeros(len(number))
    for _ in range(_STEPS):
        p, inverse = _fit_at(alpha, beta, x, total)
        weight = total * p * (1 - p)
        # Firth's weights, but towards the mean share of a period instead of a half
        hat = weight * (inverse[0] + 2 * inverse[1] * x + inverse[2] * x**2)
        score = number - total * p + hat * (share - p)
        first = score.sum(axis=1, keepdims=True)
        second = (score * x).sum(axis=1, keepdims=True)
        step = np.stack(
            [inverse[0] * first + inverse[1] * second, inverse[1] * first + inverse[2] * second]
        )[:, :, 0]
        step *= np.minimum(1, 2 / np.maximum(np.abs(step).max(axis=0), 1e-300))
        alpha, beta = alpha + step[0], beta + step[1]
        if np.abs(step).max(initial=0) < 1e-10:
            break
    p, inverse = _fit_at(alpha, beta, x, total)
    error = np.sqrt(inverse[2][:, 0] * _dispersion(number, total, p))
    still = (share[:, 0] == 0) | (share[:, 0] == 1)
    return np.where(still, 0.0, beta / scale), np.where(still, np.nan, error / scale)


def _fit_at(alpha: Any, beta: Any, x: Any, total: Any) -> tuple[Any, Any]:
    """Give the fitted shares, and the inverse of the information: its three cells, as columns."""
    logit = np.clip(alpha[:, None] + beta[:, None] * x, -30, 30)
    p = 1 / (1 + np.exp(-logit))
    weight = total * p * (1 - p)
    cells = [(weight * x**power).sum(axis=1, keepdims=True) for power in (0, 1, 2)]
    determinant = np.maximum(cells[0] * cells[2] - cells[1] ** 2, 1e-300)
    inverse = cells[2] / determinant, -cells[1] / determinant, cells[0] / determinant
    return p, inverse


def _dispersion(number: Any, total: Any, p: Any) -> Any:
    """Say how many times the shares scatter as much as by chance (at least 1)."""
    chi_squared = ((number - total * p) ** 2 / (total * p * (1 - p))).sum(axis=1)
    return np.maximum(chi_squared / (len(total) - 2), 1.0)
