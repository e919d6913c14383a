"""How fast a corpus doubles."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import polars as pl

from ..schema import INSTANT, CardlabError, NoFigure, at_least
from .time import Dated, check_every, read_dates

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
    curve: bool = False,
) -> pl.DataFrame:
    """Say how many weeks a corpus takes to double, from a straight line through its log count.

    Parameters
    ----------
    cards : frame
        With ``created_at``, of which only that column is read (dates or instants; without a time
        zone in UTC). Polars, or any that narwhals knows.
    origin : str, date or datetime, optional
        The first cut-off; the others follow every `every`. Default: the start of the period of
        the oldest card (weeks start on Monday). An instant without a time zone is in UTC.
    start, end : str, date or datetime, optional
        The first and the last cut-off that the line may be fitted to, both inclusive. The last
        one is never later than the first cut-off after the newest card, which is the default:
        the cards of a last, unfinished period count. Give `end` to leave that period out. `start`
        is by default the first cut-off, or where growth from there is not exponential, the first
        with an eighth of the cards (see Notes).
    every : str
        Length of a period: a number and ``d``, ``w``, ``mo``, ``q`` or ``y``.
    n_boot : int, default 1000
        Bootstrap samples of the interval, at least 1.
    random_state : int, default 0
        Seed of the bootstrap.
    curve : bool
        Give the cumulative count at each cut-off beside the line as well.

    Returns
    -------
    pl.DataFrame
        One row: ``rate`` (growth of the natural log of the count per period; the count grows by
        ``exp(rate) - 1`` a period), ``doubling_weeks`` (``ln 2 / rate`` periods, in weeks; a
        period has its mean length over the fit), ``low``, ``high`` (95 % interval of
        ``doubling_weeks``; ``high`` is null where no growth at all lies within it),
        ``n_periods`` (cut-offs in the fit), ``n_cards`` (cards before the last of them),
        ``n_at_floor`` (cards left out because their date is a floor, see :func:`with_period`),
        ``n_null`` (left out without a date), ``n_implausible`` (left out with one that cannot be),
        ``floors`` (list of the instants of the cards at a floor).

        With `curve` a row for each cut-off that has cards before it, in their order: ``cut_off``
        (instant, UTC), ``n_total`` (cards created strictly before it), ``in_fit`` (bool),
        ``fitted``, ``fitted_low``, ``fitted_high`` (cards; the line, and the lines through the
        same centre with the ends of the rate's 95 % interval, so that all meet in the middle;
        null outside the fit), then on all rows the columns above.

    Raises
    ------
    MissingColumn, NoFigure
        There is no ``created_at``; no card has a true date, or fewer than half have a date at all;
        fewer than three cut-offs have cards before them; or the count does not double between
        them, or not exponentially: the line misses it by more than a factor of 2 at some cut-off,
        or the last doubling time brought less than a third or more than two thirds of the cards
        (half, if it doubles so fast).
    CardlabError
        An argument is not what it must be.

    Notes
    -----
    Least squares on the natural log of the number of cards created strictly before each cut-off
    that has any: the method of W. Liang and others, "What's documented in AI? Systematic analysis
    of 32K AI model cards" (arXiv 2402.05160), whose figure is
    ``doubling_time(cards, origin="2018-11-01", start="2020-04-30", every="1w")``.

    The interval is a circular block bootstrap of the residuals (blocks of the square root of the
    number of cut-offs, rounded up; residuals scaled by ``sqrt(n / (n - 2))``), percentiles of the
    rate, widened where needed to hold the estimate. Neighbouring points of a cumulative count
    share almost all their cards: resampled one by one, they would give far too narrow an interval.
    Bends that are longer than a block are not in it.

    A count that starts near zero rises too steeply at first, as on listings of today's Hub, where
    all that is older than the floor is left out. Hence the default of `start`: from an eighth of
    the cards on, the line must miss the count by at most a factor of 1.2, the last doubling time
    must have brought 40 to 60 % of the cards, and a third of the cut-offs must be left.
    """
    check_every(every)
    at_least(n_boot, 1, name="n_boot")
    at_least(random_state, 0, name="random_state")
    first, start, end = (
        None if value is None else _instant(value, name)
        for name, value in (("origin", origin), ("start", start), ("end", end))
    )
    dated = _half_dated(cards)
    dates = dated.true.drop_nulls().sort()
    cuts = _cut_offs(dates, every, origin=first, start=start, end=end)
    counts = dates.search_sorted(cuts, side="left").to_numpy().astype(np.int64)
    kept = counts > 0
    kept &= True if start is None else (cuts >= start).to_numpy()
    kept &= True if end is None else (cuts <= end).to_numpy()
    later = kept & (8 * counts >= counts[kept].max(initial=0))
    attempts = [(kept, 2.0, 1 / 6), (later, 1.2, 0.1)]
    if start is not None or 3 * later.sum() < kept.sum():
        attempts.pop()
    errors = []
    for inside, factor, margin in attempts:
        try:
            _check_growth(counts[inside], cuts, dates)
            slopes = _slope(np.log(counts[inside]), n_boot, random_state)
            inner = cuts.filter(pl.Series(inside))
            _check_exponential(counts[inside], slopes[0], inner, factor, margin)
        except NoFigure as error:
            errors.append(error)
            continue
        weeks = _mean_weeks(inner)
        figures = {
            "rate": slopes[0],
            "doubling_weeks": math.log(2) / slopes[0] * weeks,
            "low": math.log(2) / slopes[2] * weeks,
            "high": math.log(2) / slopes[1] * weeks if slopes[1] > 0 else None,
            "n_periods": inner.len(),
            "n_cards": int(counts[inside][-1]),
        }
        left_out = dated.columns("n_at_floor", "n_undated", "n_implausible")
        table = pl.DataFrame(figures, schema_overrides={"high": pl.Float64}).with_columns(left_out)
        table = table.rename({"n_undated": "n_null"})
        return _curve(cuts, counts, inside, slopes).join(table, how="cross") if curve else table
    raise errors[0]


def _mean_weeks(cuts: pl.Series) -> float:
    """Give the mean length of a period."""
    return float((cuts[-1] - cuts[0]) / _WEEK / (cuts.len() - 1))


def _curve(
    cuts: pl.Series, counts: Any, inside: Any, slopes: tuple[float, float, float]
) -> pl.DataFrame:
    """Give the counts beside the line and its band; the steepest is the lowest at the start."""
    log = np.log(counts[inside])
    x = np.arange(log.size) - (log.size - 1) / 2
    heights = np.full((3, counts.size), np.nan)
    heights[:, inside] = np.exp(log.mean() + np.array(slopes)[:, None] * x)
    lines = {
        "fitted": heights[0],
        "fitted_low": heights[1:].min(axis=0),
        "fitted_high": heights[1:].max(axis=0),
    }
    points = pl.DataFrame({"cut_off": cuts, "n_total": counts, "in_fit": inside, **lines})
    return points.with_columns(pl.col(*lines).fill_nan(None)).filter(pl.col("n_total") > 0)


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


def _half_dated(cards: Any) -> Dated:
    """Judge the creation dates of cards of which at least half have one, and some a true one."""
    rows, dated = read_dates(cards)
    if not dated.true.count():
        raise dated.none_is_true()
    if 2 * dated.possible.count() < rows.height:
        raise NoFigure(
            f"only {dated.possible.count():,} of the {rows.height:,} cards have a creation date: "
            "their growth need not be that of the corpus. Filter to cards that are dated, if they "
            "are what you mean."
        )
    return dated


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


def _check_exponential(
    counts: np.ndarray, rate: float, cuts: pl.Series, most: float, margin: float
) -> None:
    """Raise NoFigure where the count did not double, or not as the line through its log says.

    The line may miss it by a factor of `most`, and the share of the last doubling time in all
    cards, which should be a half, by `margin`.
    """
    log, n = np.log(counts), counts.size
    said = f"from {cuts[0]:%Y-%m-%d} to {cuts[-1]:%Y-%m-%d}"
    if counts[-1] < 2 * counts[0]:
        raise NoFigure(
            f"the corpus did not double {said}: it grew from {counts[0]:,} to {counts[-1]:,} "
            "cards. A doubling time would be a guess at the future."
        )
    doubling = math.log(2) / rate
    time = f"{doubling * _mean_weeks(cuts):.1f} weeks"
    said = (
        f"the corpus did not grow exponentially {said}. A line through the log of its counts would "
        f"have it double every {time}, but "
    )
    advice = ". Give a start and an end between which its growth is steady."
    before = np.interp(max(n - 1 - doubling, 0), np.arange(n), log)
    recent = -math.expm1(before - log[-1])
    if abs(recent - 0.5) > margin:
        raise NoFigure(
            f"{said}{100 * recent:.0f} % of the cards came in the last {time}, "
            f"where half of them should have{advice}"
        )
    missed = log - log.mean() - rate * (np.arange(n) - (n - 1) / 2)
    worst = int(np.abs(missed).argmax())
    factor = math.exp(abs(missed[worst]))
    if factor > most:
        raise NoFigure(
            f"{said}at {cuts[worst]:%Y-%m-%d} the line is off by a factor of {factor:.1f}{advice}"
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
