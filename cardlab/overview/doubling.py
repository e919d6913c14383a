"""In what time the new cards of a week double, where they grow exponentially."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ..schema import INSTANT, CardlabError
from .time import Dated, check_every, read_dates

_WEEK, _MONTH = dt.timedelta(weeks=1), dt.timedelta(days=30)

#: Whole periods and cards in them below which a fit cannot be checked.
MIN_PERIODS, MIN_CARDS = 10, 30
#: P-values of a departure and of a rhythm below which growth is not called exponential, and
#: dispersion above which it is not.
_DEPARTS, _RHYTHM, _BURSTS = 0.2, 0.01, 2.0

#: How long what a period brings beyond the line may last (the correlation of neighbours), how much
#: of it does beside what does not, and what is thought of each before the periods are seen: a
#: third that nothing lasts, and the rest that it lasts long, for that is what misleads.
_LASTS, _PARTS = (
    np.append(0.0, of.ravel())
    for of in np.meshgrid([0.8, 0.9, 0.95, 0.98, 0.99], [0.03, 0.1, 0.3, 1.0, 3.0, 10.0])
)
_PRIOR = np.append(1 / 3, np.full(_LASTS.size - 1, 2 / 3 / (_LASTS.size - 1)))

#: Parts of the periods that `sensitivity` fits beside all of them.
_WINDOWS = {
    "all": (0.0, 1.0),
    "first half": (0.0, 0.5),
    "second half": (0.5, 1.0),
    "without the first quarter": (0.25, 1.0),
    "without the last quarter": (0.0, 0.75),
}
_FIGURES: dict[str, Any] = {
    **dict.fromkeys(("doubling_weeks", "low", "high", "rate"), pl.Float64),
    "reason": pl.String,
    **dict.fromkeys(("departure", "dispersion", "autocorrelation"), pl.Float64),
    **dict.fromkeys(("start", "end"), INSTANT),
    **dict.fromkeys(("n_periods", "n_cards"), pl.Int64),
    **dict.fromkeys(("dated_share", "floor_share", "newest_share"), pl.Float64),
}


def doubling_time(
    cards: Any,
    *,
    start: str | dt.date | None = None,
    end: str | dt.date | None = None,
    every: str = "1w",
    sensitivity: bool = False,
    curve: bool = False,
) -> pl.DataFrame:
    """Say in how many weeks the new cards of a week double, or why no number can be given.

    Parameters
    ----------
    cards : frame
        With ``created_at``, of which only that column is read (dates or instants; without a time
        zone in UTC). Polars, or any that narwhals knows.
    start, end : str, date or datetime, optional
        Only periods that lie between them are fitted. An instant without a time zone is in UTC.
        Default: all periods but those of the oldest and of the newest card, which are not seen
        whole.
    every : str
        Length of a period: a number and ``d``, ``w``, ``mo``, ``q`` or ``y``.
    sensitivity : bool
        A row for each of several parts of these periods as well, with its name in ``window``.
    curve : bool
        The new cards of each period beside the line, of all these periods.

    Returns
    -------
    pl.DataFrame
        One row: ``doubling_weeks``, ``low``, ``high`` (95 % interval; ``high`` is null where
        growth may be so slow that it has no bound), ``rate`` (growth of the log of the new cards
        a week); all null where no number can be given, with the ``reason`` (str, else null).
        ``departure`` (0-1, p-value of a departure from the exponential, see Notes),
        ``dispersion`` (squared coefficient of variation of what a period brings, beyond chance),
        ``autocorrelation`` (0-0.99, how much of it the next period is thought to keep); null where
        nothing could be fitted. ``start``, ``end`` (instants, of the periods in
        the fit), ``n_periods``, ``n_cards`` (in the fit), ``dated_share`` (0-1, cards with a
        possible date), ``floor_share`` (0-1, of these at a floor), ``newest_share`` (0-1, of the
        cards with a true date those of the 30 days up to the newest), ``n_at_floor``, ``n_null``,
        ``n_implausible`` (cards left out: see :func:`with_period`), ``floors`` (list of the
        instants of the cards at a floor).

        With `curve` a row for each period: ``period`` (its start), ``n_new``, ``in_fit`` (bool),
        ``fitted``, ``fitted_low``, ``fitted_high`` (new cards, with the 95 % interval of the line;
        null outside the fit and without a number), then on all rows the columns above.

    Raises
    ------
    MissingColumn, NoFigure
        There is no ``created_at``, or no card has a true date.
    CardlabError
        An argument is not what it must be.

    Notes
    -----
    A regression of the new cards of each period on time with log link and the variance of a
    negative binomial, whose covariance knows that neighbouring periods go together: S. Zeger, "A
    regression model for time series of counts", Biometrika 75 (1988), 621-629. How long deviations
    last can hardly be seen in a few dozen periods, so that no one estimate of it is trusted: the
    interval is that of a mean over autocorrelations of 0 to 0.99, each weighed by its likelihood
    (P. Whittle, "Estimation and information in stationary time series", Arkiv foer Matematik 2
    (1953), 423-434). A corpus whose new cards grow exponentially doubles in the same time as they
    do.

    A number is given where the new cards doubled within the fit, the interval of the rate is no
    wider than the rate, and nothing speaks against an exponential: no `departure` below 0.2 (twice
    the smaller p-value of a bend, and of bend, swing and a level of the newest month together), no
    straight line through the new cards that fits as well, no rhythm (Fisher's g of the residuals'
    periodogram, p < 0.01), no dispersion above 2, and in the newest
    month no more than twice the cards that the line expects. The interval allows for its being
    given only where growth is that clear.

    Examples
    --------
    >>> cl.doubling_time(cl.make_cards(2000, text=False))["doubling_weeks", "low", "high"].row(0)
    (30.968..., 28.049..., 34.564...)
    """
    check_every(every)
    first, last = (_instant(at, name) for at, name in ((start, "start"), (end, "end")))
    if first and last and first > last:
        raise CardlabError(f"start must not be later than end: {first:%Y-%m-%d}, {last:%Y-%m-%d}.")
    _, dated = read_dates(cards)
    if not dated.true.count():
        raise dated.none_is_true()
    new = _new_cards(dated.true.drop_nulls(), every, first, last)
    inside = new.filter("in_fit")
    found = []
    for name, ends in _WINDOWS.items() if sensitivity else [("all", (0.0, 1.0))]:
        begin, stop = (round(share * inside.height) for share in ends)
        figures, lines = _figures(inside[begin:stop], dated)
        found.append({"window": name, **figures})
    left_out = dated.columns("n_at_floor", "n_undated", "n_implausible")
    table = pl.DataFrame(found, {"window": pl.String, **_FIGURES}).with_columns(left_out)
    table = table.rename({"n_undated": "n_null"})
    if sensitivity:
        return table
    table = table.drop("window")
    if not curve:
        return table
    names = ("fitted", "fitted_low", "fitted_high")
    drawn = inside.select("period", *(pl.Series(*line) for line in zip(names, lines, strict=True)))
    points = new.select("period", "n_new", "in_fit").join(drawn, on="period", how="left")
    return points.with_columns(pl.col(names).fill_nan(None)).sort("period").join(table, how="cross")


def _instant(value: Any, name: str) -> dt.datetime | None:
    """Give the instant of a date, a datetime or ISO 8601 text; without a zone it is in UTC."""
    if value is None:
        return None
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


def _new_cards(
    true: pl.Series, every: str, start: dt.datetime | None, end: dt.datetime | None
) -> pl.DataFrame:
    """Count the cards of each period, and say which are seen whole and lie in the window."""
    counts = true.dt.truncate(every).alias("period").value_counts(name="n_new")
    at, until = pl.col("period"), pl.col("period").dt.offset_by(every)
    grid = counts.select(pl.datetime_range(at.min(), at.max(), every, time_unit="us"))
    inside = (at > at.min()) & (at < at.max())
    inside &= pl.lit(True) if start is None else at >= start
    inside &= pl.lit(True) if end is None else until <= end
    new = grid.join(counts, on="period", how="left").sort("period")
    return new.select(
        "period",
        pl.col("n_new").fill_null(0).cast(pl.Int64),
        inside.alias("in_fit"),
        until.alias("until"),
        ((until - at) / pl.lit(_WEEK)).alias("weeks"),
    )


def _figures(part: pl.DataFrame, dated: Dated) -> tuple[dict[str, Any], np.ndarray]:
    """Fit some periods: the row of their figures, and the line with its ends."""
    n_cards, possible = dated.true.len(), dated.possible.count()
    newest: Any = dated.true.max()
    recent = int((dated.true > newest - _MONTH).sum())
    row: dict[str, Any] = {
        "start": part["period"].min(),
        "end": part["until"].max(),
        "n_periods": part.height,
        "n_cards": int(part["n_new"].sum()),
        "dated_share": possible / n_cards,
        "floor_share": dated.n_at_floor / possible,
        "newest_share": recent / dated.true.count(),
    }
    nothing = np.full((3, part.height), np.nan)
    if 2 * possible < n_cards:
        why = f"only {possible:,} of the {n_cards:,} cards have a creation date, and how many cards"
        return row | {"reason": f"{why} there were says little of how many there are"}, nothing
    if part.height < MIN_PERIODS or row["n_cards"] < MIN_CARDS:
        why = f"{row['n_cards']:,} cards in {part.height} whole periods; at least {MIN_CARDS} in "
        return row | {"reason": f"{why}{MIN_PERIODS} are needed"}, nothing
    new, weeks = part["n_new"].to_numpy().astype(float), part["weeks"].to_numpy()
    ahead = (newest - row["end"]) / _WEEK
    figures, lines = exponential(new, weeks, ahead, recent if ahead <= weeks[-1] else 0)
    return row | figures, lines


class _Fit(NamedTuple):
    """A count regression: its covariance for each way in which deviations may last."""

    coefficient: np.ndarray
    covariance: np.ndarray
    chance: np.ndarray
    freedom: int
    expected: np.ndarray
    residual: np.ndarray
    dispersion: float
    autocorrelation: float

    def p_value(self, first: int) -> float:
        """Test whether the coefficients from `first` on are all 0."""
        from scipy.special import fdtrc

        rest = self.coefficient[first:]
        inverse = np.linalg.pinv(self.covariance[:, first:, first:])
        form = np.einsum("i,kij,j->k", rest, inverse, rest) / rest.size
        return float(self.chance @ fdtrc(rest.size, self.freedom, form))

    def reach(self) -> float:
        """Give half the width of the 95 % interval of the slope."""
        from scipy.optimize import brentq
        from scipy.special import stdtr

        error = np.sqrt(self.covariance[:, 1, 1])

        def beyond(half: float) -> float:
            return float(self.chance @ stdtr(self.freedom, -half / error)) - 0.025

        return float(brentq(beyond, 0, 100 * error.max()))


def regression(new: np.ndarray, weeks: np.ndarray, terms: np.ndarray) -> _Fit:
    """Regress counts of periods of so many weeks on terms; see :func:`doubling_time`."""
    from scipy.fft import dct

    n, n_terms = terms.shape
    coefficient = np.linalg.lstsq(terms, np.log((new + 0.5) / weeks), rcond=None)[0]
    dispersion = 0.0
    for round_ in range(100):
        expected = weeks * np.exp(np.clip(terms @ coefficient, -25, 25))
        missed = (new - expected) ** 2
        if round_ > 1:  # a step towards a Pearson's chi-squared that is its expectation
            extra = 1 + dispersion * expected
            excess = (missed / (expected * extra)).sum() - (n - n_terms)
            dispersion = max(0.0, dispersion + excess / max((missed / extra**2).sum(), 1e-300))
        deviation = np.sqrt(expected * (1 + dispersion * expected))
        design, residual = terms * (expected / deviation)[:, None], (new - expected) / deviation
        step = np.linalg.lstsq(design, residual, rcond=None)[0]
        change = np.abs(terms @ step).max()
        coefficient = coefficient + step * min(1, 2 / max(change, 1e-300))
        if change < 1e-11 and round_ > 5:
            break
    inverse = np.linalg.pinv(design.T @ design)
    # of the deviations of a period the part that is a count's own
    counted = float(np.mean(1 / (1 + dispersion * expected)))
    chance, spectra = _lasting(residual, n_terms, counted)
    waves = dct(design, axis=0, norm="ortho")
    middle = np.einsum("ki,jk,kl->jil", waves, spectra, waves)
    return _Fit(
        coefficient=coefficient,
        covariance=inverse @ middle @ inverse,
        chance=chance,
        freedom=n - n_terms,
        expected=expected,
        residual=residual,
        dispersion=dispersion,
        autocorrelation=float(chance @ _LASTS) if dispersion else 0.0,
    )


def _lasting(residual: np.ndarray, n_terms: int, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Weigh how long deviations may last: the chance of each of :data:`_LASTS`, and its spectrum.

    By Whittle's likelihood of the cosine transform, whose first waves are those that a trend took;
    no spectrum is below `least`, which counts have by themselves.
    """
    from scipy.fft import dct

    n = residual.size
    angle = np.cos(np.pi * np.arange(n) / n)
    waves = (1 - _LASTS[:, None] ** 2) / (1 + _LASTS[:, None] ** 2 - 2 * _LASTS[:, None] * angle)
    spectra = 1 + _PARTS[:, None] * waves
    own, free = dct(residual, norm="ortho")[n_terms:] ** 2, spectra[:, n_terms:]
    scale = np.maximum((own / free).mean(axis=1), least)
    fit = -0.5 * (own / free / scale[:, None] + np.log(free * scale[:, None])).sum(axis=1)
    chance = _PRIOR * np.exp(fit - fit.max())
    return chance / chance.sum(), spectra * scale[:, None]


def exponential(
    new: np.ndarray, weeks: np.ndarray, ahead: float = 0.0, recent: int = 0
) -> tuple[dict[str, Any], np.ndarray]:
    """Fit an exponential to the new cards of periods of so many weeks.

    `recent` cards are of the 30 days up to the newest, which is `ahead` weeks after the periods.
    Gives the figures, and the line with its ends, NaN where there is a reason not to give any.
    """
    from scipy import stats

    half = weeks.sum() / 2
    place = (np.cumsum(weeks) - weeks / 2) / half - 1
    terms = np.polynomial.legendre.legvander(place, 3)
    month = np.cumsum(weeks[::-1])[::-1] - weeks < _MONTH / _WEEK - 1e-9
    line, bent, free = (
        regression(new, weeks, of)
        for of in (terms[:, :2], terms[:, :3], np.column_stack([terms, month]))
    )
    departure = min(1.0, 2 * min(bent.p_value(2), free.p_value(2)))
    rate, reach = line.coefficient[1] / half, line.reach() / half
    figures: dict[str, Any] = {
        "departure": departure,
        "dispersion": line.dispersion,
        "autocorrelation": line.autocorrelation,
    }
    span = (place[-1] - place[0]) * half
    expected = math.exp(min(line.coefficient @ [1, 1 + ahead / half], 25)) * (_MONTH / _WEEK)
    rhythm = _rhythm(free.residual, weeks.sum())
    lines = np.full((3, new.size), np.nan)
    reason = None
    if recent > 2 * expected + 10:
        reason = (
            f"{recent:,} cards came in the 30 days up to the newest, where the line through the "
            f"weeks before expects {expected:,.0f}"
        )
    elif departure < _DEPARTS:
        how = "slowed down" if bent.coefficient[2] < 0 else "sped up"
        steady = bent.p_value(2) > _DEPARTS
        reason = f"the growth of the new cards {'was not steady' if steady else how}"
    elif rhythm:
        reason = f"the new cards come in a rhythm of about {rhythm:.0f} weeks"
    elif line.dispersion > _BURSTS:
        reason = "a few periods brought most of the new cards"
    elif rate <= reach:
        low, high = (100 * math.expm1(rate + side * reach) for side in (-1, 1))
        reason = f"the new cards did not grow beyond chance: by {low:.1f} to {high:.1f} % a week"
    elif rate * span < math.log(2):
        reason = f"the new cards did not double: they grew by {100 * math.expm1(rate * span):.0f} %"
    elif _straight(new, weeks, terms[:, :2], line):
        reason = "a straight line through the new cards of a week fits no worse than an exponential"
    elif rate < 2 * reach:
        low, high = (math.log(2) / (rate + side * reach) for side in (1, -1))
        reason = f"it is too unsure: between {low:.0f} and {high:.0f} weeks"
    if reason:
        return figures | {"reason": reason}, lines
    spread = reach / float(stats.norm.ppf(0.975))
    slow, fast = _ends(rate, spread, max(math.log(2) / span, 2 * reach))
    fast = max(fast, rate + reach)
    figures |= {"rate": rate, "doubling_weeks": math.log(2) / rate, "low": math.log(2) / fast}
    figures["high"] = math.log(2) / slow if slow > 0 else None
    mean = np.einsum("k,kij->ij", line.chance, line.covariance)
    wide = np.sqrt(np.einsum("ti,ij,tj->t", terms[:, :2], mean / mean[1, 1], terms[:, :2]))
    wide *= reach * half
    return figures, line.expected * np.exp(np.outer([0, -1, 1], wide))


def _ends(rate: float, spread: float, least: float) -> tuple[float, float]:
    """Give the 95 % interval of a rate that would not be given were it below `least`."""
    from scipy.optimize import brentq
    from scipy.special import log_ndtr

    def beyond(true: float) -> float:
        """Give the log of the chance of such a rate or a higher one among those given."""
        return float(log_ndtr((true - rate) / spread) - log_ndtr((true - least) / spread))

    far = 40 * spread
    low, high = (
        brentq(lambda true, p=p: beyond(true) - math.log(p), rate - far, rate + far)
        if beyond(rate - far) < math.log(p)
        else -math.inf
        for p in (0.025, 0.975)
    )
    return low, high


def _rhythm(residual: np.ndarray, weeks: float) -> float | None:
    """Give the weeks of a rhythm of a month or more that chance does not make."""
    residual = residual - residual.mean()
    lasts = residual[1:] @ residual[:-1] / max(residual @ residual, 1e-300)
    power = np.abs(np.fft.rfft(residual[1:] - lasts * residual[:-1])) ** 2
    power = power[2 : int(weeks / (_MONTH / _WEEK)) + 1]
    if power.size < 2:
        return None
    strongest = int(power.argmax())
    # of counts no less than what chance makes of them
    share = min(power[strongest] / max(power.sum(), residual.size * power.size), 1.0)
    p_value = power.size * (1 - share) ** (power.size - 1)
    return weeks / (strongest + 2) if p_value < _RHYTHM else None


def _straight(new: np.ndarray, weeks: np.ndarray, terms: np.ndarray, line: _Fit) -> bool:
    """Say whether new cards that grow by a constant number a week fit as well as the line."""
    size, other = 1 / max(line.dispersion, 1e-9), line.expected
    design = terms * weeks[:, None]
    for _ in range(20):
        deviation = np.sqrt(other * (1 + other / size))
        found = np.linalg.lstsq(design / deviation[:, None], new / deviation, rcond=None)[0]
        other = np.maximum(design @ found, 1e-2 * new.mean())
    likelihood = [
        (new * np.log(mean) - (new + size) * np.log1p(mean / size)).sum()
        for mean in (other, line.expected)
    ]
    return bool(likelihood[0] >= likelihood[1])
