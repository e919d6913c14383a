"""Growth of a corpus, with the dates that are none marked."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import polars as pl

from ..schema import NoFigure, printable
from .base import (
    ACCENT,
    INK,
    WARM,
    clean,
    finish,
    floor_marks,
    floor_rule,
    floor_words,
    need,
    tooltips,
    values,
)

_LEFT_OUT = ("n_undated", "n_implausible", "floors")


def plot_growth(grown: pl.DataFrame, *, title: str = "Growth of the corpus") -> Any:
    """Draw new cards a period above and all cards so far below.

    Parameters
    ----------
    grown : pl.DataFrame
        From :func:`cardlab.growth`; with groups, the seven largest are drawn as lines.
    title : str

    Returns
    -------
    alt.VConcatChart
        Cards at a date floor (the Hub's, or another second that holds more cards than can have
        been made in it) stand in a colour of their own and a dashed rule marks it: their true date
        is unknown. The subtitle counts the cards that are left out.

    Raises
    ------
    NoFigure
        The frame has no rows.
    """
    need(grown, "period", "n_new", "n_total", "at_floor", *_LEFT_OUT, made_by="growth")
    if "group" in grown.columns:
        return _by_group(grown, title)
    shown = grown.with_columns((pl.col("n_new") - pl.col("at_floor")).alias("dated"))
    bars = shown.unpivot(["dated", "at_floor"], index="period", value_name="cards").with_columns(
        pl.col("variable")
        .replace({"dated": "dated", "at_floor": "at the date floor"})
        .alias("kind")
    )
    bars = bars.filter(pl.col("cards") > 0).select("period", "kind", "cards")
    scale = alt.Scale(domain=["dated", "at the date floor"], range=[ACCENT, WARM])
    names = {"period": "period from", "kind": "kind", "cards": "new cards"}
    new = (
        alt.Chart(values(bars), height=180)
        .mark_bar(width=_bar_width(shown))
        .encode(
            x=_time_axis(),
            y=alt.Y("cards:Q", title="new cards"),
            color=alt.Color("kind:N", title=None, scale=scale, legend=alt.Legend(orient="top")),
            tooltip=_period_tip() + tooltips(bars, names)[1:],
        )
    )
    line = (
        alt.Chart(values(shown.select("period", "n_total", "n_new")), height=140)
        .mark_line(interpolate="step-after", point=shown.height < 40)
        .encode(
            x=_time_axis(),
            y=alt.Y("n_total:Q", title="all cards so far"),
            tooltip=_period_tip() + tooltips(shown, {"n_new": "new cards", "n_total": "so far"}),
        )
    )
    total, floor = int(shown["n_total"].max()), int(shown["at_floor"].sum())  # type: ignore[arg-type]
    first, last = shown["period"].min(), shown["period"].max()
    charts: list[Any] = [new, line]
    if marks := floor_marks(grown, time="period"):
        rule = floor_rule(_time_axis(), marks, field="period")
        charts = [alt.layer(chart, rule) for chart in charts]
    return finish(
        alt.vconcat(*(chart.properties(width=600) for chart in charts)),
        title=title,
        subtitle=[
            f"{total:,} cards with a creation date, by period",
            floor_words(grown, floor, left_out=False),
        ],
        description=(
            f"New cards a period and cumulative number, {str(first)[:7]} to {str(last)[:7]}: "
            f"{total:,} cards with a creation date; {floor:,} at a date floor, whose true date is "
            "unknown."
        ),
    )


def _by_group(grown: pl.DataFrame, title: str) -> Any:
    sums = grown.group_by("group").agg(pl.col("n_new").sum()).drop_nulls("group")
    largest = sums.sort(["n_new", "group"], descending=[True, False]).head(7)["group"].to_list()
    shown = clean(grown.filter(pl.col("group").is_in(largest)))
    largest = [printable(group) for group in largest]
    lines = (
        alt.Chart(values(shown), height=280)
        .mark_line()
        .encode(
            x=_time_axis(),
            y=alt.Y("n_total:Q", title="cards so far"),
            color=alt.Color("group:N", sort=largest, title=None),
            strokeDash=alt.StrokeDash("group:N", sort=largest, legend=None),
            tooltip=[
                alt.Tooltip("group:N"),
                *_period_tip(),
                *tooltips(shown, {"n_total": "cards"}),
            ],
        )
    )
    n_at_floor = int(shown["at_floor"].sum())
    chart: Any = lines
    if marks := floor_marks(grown, time="period"):
        chart = alt.layer(lines, floor_rule(_time_axis(), marks, field="period"))
    undeclared = int(grown.filter(pl.col("group").is_null())["n_new"].sum())
    return finish(
        chart,
        title=title,
        subtitle=[
            f"The {len(largest)} largest of {sums.height:,} groups; {undeclared:,} dated cards in "
            "none",
            floor_words(grown, n_at_floor, left_out=False),
        ],
        description=f"Cumulative cards of the groups {', '.join(largest)}.",
        width=560,
    )


def _time_axis() -> alt.X:
    # periods are UTC: a reader's own time zone would move months
    axis = alt.Axis(format="%Y-%m", labelOverlap=True, labelSeparation=6)
    return alt.X("period:T", title=None, scale=alt.Scale(type="utc"), axis=axis)


def _period_tip() -> list[alt.Tooltip]:
    return [alt.Tooltip("utcyearmonthdate(period):T", title="period from", format="%Y-%m-%d")]


def _bar_width(shown: pl.DataFrame) -> float:
    return max(1.5, min(40.0, 560 / max(shown.height, 1) * 0.8))


# ---- Exponential growth: the cumulative count, and the line that a doubling time comes from.

_MOST = 2_000
_LEFT_OUT_doubling = ("n_at_floor", "n_null", "n_implausible", "floors")


def plot_doubling(fit: pl.DataFrame, *, title: str = "How fast the corpus doubles") -> Any:
    """Draw the cumulative number of cards on a log scale with the fitted line.

    Parameters
    ----------
    fit : pl.DataFrame
        From :func:`cardlab.doubling_time` with ``curve=True``.
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
    figures = ("doubling_weeks", "low", "high", "n_periods", "n_cards", *_LEFT_OUT_doubling)
    lines = ("fitted", "fitted_low", "fitted_high")
    need(fit, "cut_off", "n_total", "in_fit", *lines, *figures, made_by="doubling_time(curve=True)")
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
