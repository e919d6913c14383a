"""Lengths of cards: how many are at most so long, and how groups differ."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from ..text import MEASURES
from .base import ACCENT, INK, SOFT, clean, finish, need, not_declared, tooltips, values


def plot_lengths(lengths: pl.DataFrame, *, measure: str = "n_words", top: int = 20) -> Any:
    """Draw lengths: a curve, a histogram, or one line for each group.

    Parameters
    ----------
    lengths : pl.DataFrame
        From :func:`cardlab.length_ecdf` (a curve for each of at most seven groups),
        :func:`cardlab.length_histogram` (bars), :func:`cardlab.length_summary` (medians with
        interval and middle half, the `top` largest groups), or :func:`cardlab.length_relation`
        (medians of downloads or likes with interval, by length).
    measure : str
        What was measured, for the axis.
    top : int
        Groups of a summary that are drawn.

    Returns
    -------
    alt.Chart or alt.LayerChart

    Raises
    ------
    NoFigure
        The frame has no rows.
    """
    unit = MEASURES.get(measure, measure)
    if isinstance(lengths, pl.DataFrame):
        lengths = clean(lengths)
    if "cumulative_share" in getattr(lengths, "columns", ()):
        return _curves(lengths, unit)
    if "p50" in getattr(lengths, "columns", ()):
        return _medians(lengths.head(top), unit, lengths.height)
    if "spearman" in getattr(lengths, "columns", ()):
        return _relation(lengths, unit)
    need(
        lengths, "low", "high", "n_cards", made_by="length_ecdf, length_histogram or length_summary"
    )
    return _histogram(lengths, unit)


def _curves(curve: pl.DataFrame, unit: str) -> Any:
    sizes = curve.group_by("group").agg(pl.col("n_cards").first())
    kept = sizes.sort(["n_cards", "group"], descending=[True, False], nulls_last=True).head(7)
    names = kept.select(not_declared("group"))["group"].to_list()
    shown = curve.with_columns(not_declared("group")).filter(pl.col("group").is_in(names))
    one = len(names) == 1
    encodings = (
        {}
        if one
        else {
            "color": alt.Color("group:N", sort=names, title=None),
            "strokeDash": alt.StrokeDash("group:N", sort=names, legend=None),
        }
    )
    tips = {"group": "group", "value": unit, "cumulative_share": "cards at most so long"}
    chart = (
        alt.Chart(values(shown), height=280)
        .mark_line(interpolate="step-after")
        .encode(
            x=_log_axis("value:Q", unit),
            y=alt.Y("cumulative_share:Q", title="share of cards", axis=alt.Axis(format=".0%")),
            tooltip=tooltips(shown, tips),
            **encodings,
        )
    )
    total = int(kept["n_cards"].sum()) if one else None
    whole = f"{total:,} cards" if one else f"the {len(names)} largest of {sizes.height:,} groups"
    half = _at_half(shown.filter(pl.col("group") == names[0]))
    return finish(
        chart,
        title=f"How long cards are: {unit}",
        subtitle=f"Share of cards with at most so many {unit}; {whole}",
        description=(
            f"Cumulative share of cards by {unit}, {whole}. "
            f"{'All' if one else names[0]}: half of the cards have at most about {half:,.0f}."
        ),
        width=560,
    )


def _at_half(curve: pl.DataFrame) -> float:
    return float(curve.filter(pl.col("cumulative_share") >= 0.5)["value"].min() or 0)  # type: ignore[arg-type]


def _histogram(bins: pl.DataFrame, unit: str) -> Any:
    shown = bins.with_columns(not_declared("group"))
    total = int(shown["n_cards"].sum())
    chart = (
        alt.Chart(values(shown), height=220)
        .mark_bar(color=SOFT, stroke=ACCENT, strokeWidth=0.5)
        .encode(
            x=_log_axis("low:Q", unit),
            x2="high:Q",
            y=alt.Y("n_cards:Q", title="cards"),
            y2=alt.Y2(datum=0),
            tooltip=tooltips(shown, {"low": f"{unit} from", "high": "below", "n_cards": "cards"}),
        )
    )
    return finish(
        chart,
        title=f"Distribution of {unit}",
        subtitle=f"{total:,} cards; bars widen with length (logarithmic axis)",
        description=f"Histogram of {unit} over {total:,} cards on a logarithmic axis.",
        width=560,
    )


def _medians(summary: pl.DataFrame, unit: str, n_groups: int) -> Any:
    shown = summary.with_columns(not_declared("group"))
    order = shown.sort("p50", descending=True)["group"].to_list()
    base = alt.Chart(values(shown), height=alt.Step(20)).encode(
        y=alt.Y("group:N", sort=order, title=None)
    )
    tips = tooltips(
        shown,
        {
            "group": "group",
            "n_cards": "cards",
            "p50": f"median {unit}",
            "median_low": "95 % interval from",
            "median_high": "to",
            "p25": "a quarter below",
            "p75": "a quarter above",
        },
    )
    half = base.mark_bar(color=SOFT, height=8).encode(
        x=_log_axis("p25:Q", unit), x2="p75:Q", tooltip=tips
    )
    interval = base.mark_rule(color=INK).encode(x="median_low:Q", x2="median_high:Q")
    median = base.mark_point(filled=True, color=ACCENT, size=50, opacity=1).encode(
        x="p50:Q", tooltip=tips
    )
    total = int(shown["n_cards"].sum())
    return finish(
        alt.layer(half, interval, median),
        title=f"Median {unit} by group",
        subtitle=(
            f"The {shown.height:,} largest of {n_groups:,} groups, {total:,} cards; dot: median, "
            "line: its 95 % interval, bar: middle half"
        ),
        description=f"Median {unit} of {shown.height:,} groups; longest: {order[0]}.",
        width=460,
    )


def _relation(bins: pl.DataFrame, unit: str) -> Any:
    to = str(bins["to"][0]) if bins.height else ""
    shown = bins.drop("to")
    tips = tooltips(
        shown,
        {
            "low": f"{unit} from",
            "high": "to",
            "n_cards": "cards",
            "median": f"median {to}",
            "median_low": "95 % interval from",
            "median_high": "to",
        },
    )
    base = alt.Chart(values(shown), height=240).encode(tooltip=tips)
    scale, axis = alt.Scale(type="symlog", constant=1), _log_ticks()
    span = base.mark_rule(color=SOFT, strokeWidth=8).encode(
        x=_log_axis("low:Q", unit),
        x2="high:Q",
        y=alt.Y("median:Q", title=f"median {to}", scale=scale, axis=axis),
    )
    middle = alt.expr.sqrt((alt.datum.low + 1) * (alt.datum.high + 1)) - 1
    placed = base.transform_calculate(middle=middle)
    interval = placed.mark_rule(color=INK).encode(
        x="middle:Q", y=alt.Y("median_low:Q", scale=scale, axis=axis), y2="median_high:Q"
    )
    median = placed.mark_point(filled=True, color=ACCENT, size=50, opacity=1).encode(
        x="middle:Q", y=alt.Y("median:Q", scale=scale, axis=axis)
    )
    row = bins.row(0, named=True) if bins.height else {}
    figure = "Spearman {spearman:+.2f} (95 % {spearman_low:+.2f} to {spearman_high:+.2f})"
    rank = figure.format(**row) + f" over {row['n_total']:,} cards" if row else ""
    return finish(
        alt.layer(span, interval, median),
        title=f"{to.capitalize()} by {unit}",
        subtitle=f"{rank}; dot: median of the cards of a bar, line: its 95 % interval",
        description=f"Median {to} of cards by {unit}, in {bins.height} parts. {rank}.",
        width=560,
    )


def _log_axis(field: str, unit: str) -> alt.X:
    # symlog, because some cards have no words at all and log(0) has no place
    scale = alt.Scale(type="symlog", constant=1)
    return alt.X(field, title=unit, scale=scale, axis=_log_ticks())


def _log_ticks() -> alt.Axis:
    ticks = [0, *(step * 10**power for power in range(9) for step in (1, 3))]
    return alt.Axis(values=ticks, format=",d", labelOverlap="greedy")
