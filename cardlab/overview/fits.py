"""The line behind a doubling time, point by point."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl

from .rates import fit_growth


def growth_fit(
    cards: Any,
    *,
    origin: str | dt.date | None = None,
    start: str | dt.date | None = None,
    end: str | dt.date | None = None,
    every: str = "1w",
    n_boot: int = 1000,
    random_state: int = 0,
) -> pl.DataFrame:
    """Give the cumulative count at each cut-off beside the line that a doubling time comes from.

    Parameters
    ----------
    cards, origin, start, end, every, n_boot, random_state
        As in :func:`doubling_time`.

    Returns
    -------
    pl.DataFrame
        A row for each cut-off that has cards before it, in their order: ``cut_off`` (instant,
        UTC), ``n_total`` (cards created strictly before it), ``in_fit`` (bool), ``fitted``,
        ``fitted_low``, ``fitted_high`` (cards; the line, and the lines through the same centre
        with the ends of the slope's 95 % interval; null outside the fit), then the columns of
        :func:`doubling_time`, the same on all rows.

    Raises
    ------
    MissingColumn, NoFigure, CardlabError
        As in :func:`doubling_time`.

    Notes
    -----
    The band is that of the rate, not of the height of the line: all its lines meet in the middle.
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
    log = np.log(fit.counts[fit.kept])
    x = np.arange(log.size) - (log.size - 1) / 2
    lines = {"fitted": fit.slopes[0], "fitted_low": fit.slopes[1], "fitted_high": fit.slopes[2]}
    columns: dict[str, Any] = {"cut_off": fit.cuts, "n_total": fit.counts, "in_fit": fit.kept}
    for name, slope in lines.items():
        height = np.full(fit.counts.size, np.nan)
        height[fit.kept] = np.exp(log.mean() + slope * x)
        columns[name] = height
    # the steepest line is the lowest one before the middle
    band = [pl.min_horizontal("fitted_low", "fitted_high").alias("fitted_low")]
    band += [pl.max_horizontal("fitted_low", "fitted_high").alias("fitted_high")]
    figures = pl.DataFrame(fit.figures, schema_overrides={"high": pl.Float64})
    return (
        pl.DataFrame(columns)
        .with_columns(pl.col("fitted", "fitted_low", "fitted_high").fill_nan(None))
        .with_columns(band)
        .filter(pl.col("n_total") > 0)
        .join(figures, how="cross")
    )
