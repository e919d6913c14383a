"""Exponential growth: the cumulative count, and the line that a doubling time comes from."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import polars as pl

from ..schema import NoFigure
from .base import ACCENT, INK, WARM, finish, need, values
from .floor import floor_marks, floor_rule, floor_words

_MOST = 2_000
_LEFT_OUT = ("n_at_floor", "n_null", "n_implausible", "floors")


def plot_doubling(fit: pl.DataFrame, *, title: str = "How fast the corpus doubles") -> Any:
    """Draw the cumulative number of cards on a log scale with the fitted line.

    Parameters
    ----------
    fit : pl.DataFrame
        From :func:`cardlab.growth_fit`.
    title : str

    Returns
    -------
    alt.LayerChart
        Points: cards before each cut-off, hollow where it is not in the fit; line and band: the
        fit and the 95 % interval of its slope. A dashed rule marks the Hub's date floor, whose
        cards are left out.

    Raises
    ------
    NoFigure
        The frame has no rows.
    """
    figures = ("doubling_weeks", "low", "high", "n_periods", "n_cards", *_LEFT_OUT)
    lines = ("fitted", "fitted_low", "fitted_high")
    need(fit, "cut_off", "n_total", "in_fit", *lines, *figures, made_by="growth_fit")
    if not fit.height:
        raise NoFigure("there are no rows to draw.")
    row = fit.row(0, named=True)
    shown = fit.select("cut_off", "n_total", "in_fit", *lines)
    step = math.ceil(shown.height / _MOST)
    shown = shown.gather_every(step) if step > 1 else shown
    shown = shown.with_columns(
        pl.when("in_fit")
        .then(pl.lit("in the fit"))
        .otherwise(pl.lit("not in the fit"))
        .alias("use")
    )
    dates = alt.Axis(format="%Y-%m", labelOverlap="greedy", labelSeparation=10)
    x = alt.X("cut_off:T", title=None, scale=alt.Scale(type="utc"), axis=dates)
    low = min(shown["n_total"].min(), shown["fitted_low"].min())  # type: ignore[type-var]
    high = max(shown["n_total"].max(), shown["fitted_high"].max())  # type: ignore[type-var]
    log = alt.Scale(type="log", domain=[max(float(low) * 0.8, 0.5), float(high) * 1.25])  # type: ignore[arg-type]
    axis = alt.Axis(format="~s", tickCount=6)
    base = alt.Chart(values(shown)).encode(x=x)
    inside = base.transform_filter("datum.in_fit")
    y = alt.Y("n_total:Q", title="cards so far (log scale)", scale=log, axis=axis)
    tips = [
        alt.Tooltip("utcyearmonthdate(cut_off):T", title="before", format="%Y-%m-%d"),
        alt.Tooltip("n_total:Q", title="cards", format=",d"),
        alt.Tooltip("fitted:Q", title="line", format=",.0f"),
        alt.Tooltip("use:N", title="this point is"),
    ]
    fill = alt.Scale(domain=["in the fit", "not in the fit"], range=[ACCENT, "#ffffff"])
    layers = [
        inside.mark_area(color=WARM, opacity=0.22).encode(
            y=alt.Y("fitted_low:Q", scale=log, title=""), y2="fitted_high:Q"
        ),
        base.mark_point(size=18, filled=True, opacity=1, stroke=ACCENT, strokeWidth=0.8).encode(
            y=y,
            fill=alt.Fill("use:N", title=None, scale=fill, legend=alt.Legend(orient="top")),
            tooltip=tips,
        ),
        inside.mark_line(color=INK, strokeWidth=1.6).encode(y=alt.Y("fitted:Q", scale=log)),
    ]
    if marks := floor_marks(fit, time="cut_off"):
        layers.append(floor_rule(x, marks, field="cut_off"))
    upper = f"{row['high']:.1f}" if row["high"] is not None else "no growth"
    doubling = f"{row['doubling_weeks']:.1f} weeks (95 % interval {row['low']:.1f} to {upper})"
    return finish(
        alt.layer(*layers).properties(height=320),
        title=title,
        subtitle=[
            f"Doubles every {doubling}; line through {row['n_periods']:,} cut-offs, "
            f"{row['n_cards']:,} cards",
            floor_words(fit, row["n_at_floor"], left_out=True),
        ],
        description=(
            f"Cumulative number of cards on a log scale, with a straight line fitted to "
            f"{row['n_periods']:,} cut-offs: the corpus doubles every {doubling}."
        ),
    )
