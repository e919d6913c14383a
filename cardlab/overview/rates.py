"""How fast a corpus doubles."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ..schema import (
    DATE_FLOOR,
    INSTANT,
    CardlabError,
    NoFigure,
    at_least,
    collect,
    count,
    lazy,
    require,
)
from .dates import check_every

#: Cut-offs below which a line and its interval say nothing.
MIN_PERIODS = 3

_WEEK = dt.timedelta(weeks=1)


def doubling_time(
    cards: Any,
    *,
    origin: str | dt.date | None = None,
    start: str | dt.date | None = None,
    end: str | dt.date | None = None,
    every: str = "1w",
    n_boot: int = 1000,
    random_state: int = 0,
) -> pl.DataFrame:
    """Say how many weeks a corpus takes to double, from a straight line through its log count.

    Parameters
    ----------
    cards : frame
        With ``created_at``, of which only that column is read. Polars, or any that narwhals knows.
    origin : str, date or datetime, optional
        The first cut-off; the others follow every `every`. Default: the start of the period of
        the oldest card (weeks start on Monday). An instant without a time zone is in UTC.
    start, end : str, date or datetime, optional
        The first and the last cut-off that the line may be fitted to, both inclusive. The last
        one is never later than the first cut-off after the newest card, which is the default:
        the cards of a last, unfinished period count. Give `end` to leave that period out.
    every : str
        Length of a period: a number and ``d``, ``w``, ``mo``, ``q`` or ``y``.
    n_boot : int, default 1000
        Bootstrap samples of the interval, at least 1.
    random_state : int, default 0
        Seed of the bootstrap.

    Returns
    -------
    pl.DataFrame
        One row: ``rate`` (growth of the natural log of the count per period; the count grows by
        ``exp(rate) - 1`` a period), ``doubling_weeks`` (``ln 2 / rate`` periods, in weeks; a
        period has its mean length over the fit), ``low``, ``high`` (95 % interval of
        ``doubling_weeks``; ``high`` is null where no growth at all lies within it),
        ``n_periods`` (cut-offs in the fit), ``n_cards`` (cards before the last of them),
        ``n_at_floor`` (cards left out because they carry exactly 2022-03-02T23:29:04Z, the
        instant that the Hub gives to everything older), ``n_null`` (left out without a date).

    Raises
    ------
    MissingColumn, NoFigure
        There is no ``created_at``; or no card has a true date; or fewer than three cut-offs have
        cards before them; or the count does not grow between them.
    CardlabError
        An argument is not what it must be.

    Notes
    -----
    Least squares on the natural log of the cumulative count: the number of cards created strictly
    before each cut-off. Cut-offs without any card before them are left out. This is the method of
    W. Liang and others, "What's documented in AI? Systematic analysis of 32K AI model cards"
    (arXiv 2402.05160), whose figure is
    ``doubling_time(cards, origin="2018-11-01", start="2020-04-30", every="1w")``.

    The interval is a circular block bootstrap of the residuals (blocks of the square root of the
    number of cut-offs, rounded up; residuals scaled by ``sqrt(n / (n - 2))``), percentiles of the
    rate, widened where needed to hold the estimate. Neighbouring points of a cumulative count
    share almost all their cards, so resampling them one by one would give far too narrow an
    interval. It is about the line through these cut-offs; whether growth is exponential at all is
    not tested, and bends that are longer than a block are not in the interval.

    On listings of today's Hub all cards older than the floor are left out, so that the count
    starts near zero there and rises too steeply at first: give a `start` some months later.
    """
    fit = fit_growth(
        cards,
        origin=origin,
        start=start,
        end=end,
        every=every,
        n_boot=n_boot,
        random_state=random_state,
    )
    return pl.DataFrame(fit.figures, schema_overrides={"high": pl.Float64})


@dataclass(frozen=True)
class Fit:
    """The line through the log counts: figures of the result, all cut-offs, and the band."""

    figures: dict[str, Any]
    cuts: pl.Series
    counts: Any
    kept: Any
    slopes: tuple[float, float, float]


def fit_growth(
    cards: Any,
    *,
    origin: str | dt.date | None,
    start: str | dt.date | None,
    end: str | dt.date | None,
    every: str,
    n_boot: int,
    random_state: int,
) -> Fit:
    """Fit the line of :func:`doubling_time`."""
    check_every(every)
    at_least(n_boot, 1, name="n_boot")
    at_least(random_state, 0, name="random_state")
    bounds = {
        name: None if value is None else _instant(value, name)
        for name, value in (("origin", origin), ("start", start), ("end", end))
    }
    dates, left_out = _true_dates(cards)
    cuts = _cut_offs(dates, every, **bounds)
    every_count = dates.search_sorted(cuts, side="left").to_numpy().astype(np.int64)
    kept = every_count > 0
    for bound, inside in ((bounds["start"], cuts.__ge__), (bounds["end"], cuts.__le__)):
        if bound is not None:
            kept &= inside(bound).to_numpy()
    position = np.flatnonzero(kept)
    counts = every_count[kept]
    _check_growth(counts, cuts, dates)
    length = (cuts[int(position[-1])] - cuts[int(position[0])]) / _WEEK
    weeks = length / (position[-1] - position[0])
    # of consecutive cut-offs only the first can be without cards, so that positions have no gaps
    rate, low, high = _slope(np.log(counts), n_boot, random_state)
    figures = {
        "rate": rate,
        "doubling_weeks": math.log(2) / rate * weeks,
        "low": math.log(2) / high * weeks,
        "high": math.log(2) / low * weeks if low > 0 else None,
        "n_periods": counts.size,
        "n_cards": int(counts[-1]),
        **left_out,
    }
    return Fit(figures, cuts, every_count, kept, (rate, low, high))


def _instant(value: Any, name: str) -> dt.datetime:
    """Give the instant of a date, a datetime or ISO 8601 text; without a zone it is in UTC."""
    found = value
    if isinstance(value, str):
        try:
            found = dt.datetime.fromisoformat(value)
        except ValueError:
            found = None
    if isinstance(found, dt.date) and not isinstance(found, dt.datetime):
        found = dt.datetime(found.year, found.month, found.day)
    if not isinstance(found, dt.datetime):
        raise CardlabError(
            f"{name} must be a date, a datetime or text like '2020-04-30', not {value!r}."
        )
    return found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _true_dates(cards: Any) -> tuple[pl.Series, dict[str, int]]:
    """Give the sorted creation dates, and how many cards have none or only the Hub's floor."""
    require(cards, "created_at")
    values = collect(lazy(cards).select("created_at"))["created_at"]
    if not isinstance(values.dtype, (pl.Datetime, pl.Date, pl.Null)):
        raise CardlabError(
            f"created_at must hold dates, not {values.dtype}. cardlab.scan_cards(source) reads it "
            "as such."
        )
    known = values.cast(INSTANT).drop_nulls()
    dates = known.filter(known != dt.datetime.fromisoformat(DATE_FLOOR)).sort()
    left_out = {
        "n_at_floor": known.len() - dates.len(),
        "n_null": values.len() - known.len(),
    }
    if not dates.len():
        raise NoFigure(
            f"none of the {count(cards):,} cards has a true creation date: {left_out['n_null']:,} "
            f"have none, {left_out['n_at_floor']:,} have the Hub's floor, {DATE_FLOOR}."
        )
    return dates, left_out


def _cut_offs(
    dates: pl.Series,
    every: str,
    *,
    origin: dt.datetime | None,
    start: dt.datetime | None,
    end: dt.datetime | None,
) -> pl.Series:
    """Give the cut-offs from the origin to the first one after the newest card."""
    if start and end and start > end:
        raise CardlabError(f"start must not be later than end: {start:%Y-%m-%d}, {end:%Y-%m-%d}.")
    newest = pl.lit(dates[-1], INSTANT)
    first = pl.lit(origin, INSTANT) if origin else pl.lit(dates[0], INSTANT).dt.truncate(every)
    # two periods, as months differ in length: the next cut-off can be more than one away
    last = newest.dt.offset_by(every).dt.offset_by(every)
    cuts = pl.select(pl.datetime_range(first, last, every, time_unit="us")).to_series()
    return cuts.head(int(cuts.search_sorted(dates[-1], side="right")) + 1)


def _check_growth(counts: np.ndarray, cuts: pl.Series, dates: pl.Series) -> None:
    """Raise NoFigure where no line can be fitted, and say what there is."""
    grid = (
        f"cut-offs from {cuts[0]:%Y-%m-%d} to {cuts[-1]:%Y-%m-%d}" if cuts.len() else "no cut-off"
    )
    spread = f"{dates.len():,} dated cards, {dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d}"
    if counts.size < MIN_PERIODS:
        raise NoFigure(
            f"a doubling time needs at least {MIN_PERIODS} cut-offs with cards before them, and "
            f"there are {counts.size} within start and end ({grid}; {spread}). Choose a shorter "
            "period, an earlier origin or start, or a later end."
        )
    if counts[0] == counts[-1]:
        raise NoFigure(
            f"the corpus does not grow within start and end: it has {counts[0]:,} cards at each of "
            f"{counts.size} cut-offs ({spread})."
        )


def _slope(y: np.ndarray, n_boot: int, random_state: int) -> tuple[float, float, float]:
    """Fit a line to equally spaced values: its slope, and the 95 % interval of the slope."""
    n = y.size
    x = np.arange(n) - (n - 1) / 2
    weight = x / (x @ x)
    centred = y - y.mean()
    slope = float(weight @ centred)
    residual = (centred - slope * x) * math.sqrt(n / (n - 2))
    size = math.ceil(math.sqrt(n))
    n_blocks = math.ceil(n / size)
    # what the block of residuals that begins at s adds to the slope where it stands at place b
    blocks = residual[(np.arange(n)[:, None] + np.arange(size)) % n]
    places = np.pad(weight, (0, n_blocks * size - n)).reshape(n_blocks, size)
    adds = places @ blocks.T
    begins = np.random.default_rng(random_state).integers(n, size=(n_boot, n_blocks))
    slopes = slope + adds[np.arange(n_blocks), begins].sum(axis=1)
    low, high = np.quantile(slopes, [0.025, 0.975])
    return slope, min(float(low), slope), max(float(high), slope)
