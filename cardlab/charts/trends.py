"""How common tags are on new cards, tag by tag."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import polars as pl

from ..schema import NoFigure, at_least, shorten
from ..tags.trends import THIN
from .base import (
    ACCENT,
    FAINT,
    SOFT,
    WARM,
    clean,
    finish,
    floor_marks,
    floor_rule,
    floor_words,
    need,
    percent,
    tooltips,
    values,
)

_COLUMNS = 3
_RISES, _FALLS, _UNCLEAR = "rises", "falls", "neither is clear"
_FIGURES = ("n_cards", "n_period", "card_share", "share_low", "share_high")
_LEFT_OUT = ("n_at_floor", "n_undated", "n_implausible", "floors")


def plot_trends(trends: pl.DataFrame, *, top: int = 12) -> Any:
    """Draw the share of new cards with each tag, a small panel for each.

    Parameters
    ----------
    trends : pl.DataFrame
        From :func:`cardlab.tag_trends`.
    top : int
        Panels: those of the tags on most cards, in the order of `trends` (steepest rise first).

    Returns
    -------
    alt.FacetChart
        Line: share of the period's new cards; band: its 95 % interval; dashed rule: the Hub's
        date floor, whose cards are left out. Periods with fewer than 10 new cards are neither in
        the slope nor drawn. Each panel has a scale of its own: compare shapes, not heights. Blue
        rises and brown falls where the interval of the slope leaves out zero.

    Raises
    ------
    NoFigure
        The frame has no rows.
    """
    need(trends, "tag", "period", "slope", *_LEFT_OUT, *_FIGURES, made_by="tag_trends")
    at_least(top, 1, name="top")
    if not trends.height:
        raise NoFigure("there is no tag with cards in any period.")
    per_period = trends.unique("period").select("period", "n_period")
    thin = per_period.filter(pl.col("n_period") < THIN)
    if thin.height == per_period.height:
        raise NoFigure(f"none of the {thin.height} periods has {THIN} new cards or more.")
    sizes = trends.group_by("tag").agg(pl.col("n_cards").sum())
    kept = sizes.sort(["n_cards", "tag"], descending=[True, False]).head(top)["tag"].to_list()
    shown = clean(trends.filter(pl.col("tag").is_in(kept))).with_columns(_direction())
    heads = {
        row["tag"]: _head(row) for row in shown.unique("tag", keep="first").iter_rows(named=True)
    }
    shown = shown.with_columns(pl.col("tag").replace_strict(heads).alias("panel"))
    order = shown["panel"].unique(maintain_order=True).to_list()
    drawn = shown.filter(pl.col("n_period") >= THIN).select(
        "panel", "tag", "period", *_FIGURES, "direction", "slope"
    )
    facet = alt.Facet(
        "panel:N",
        sort=order,
        title=None,
        header=alt.Header(
            labelExpr="split(datum.label, '\\n')", labelAlign="left", labelAnchor="start",
            labelFontSize=11, labelLineHeight=14, labelPadding=4, labelLimit=260,
        ),
    )  # fmt: skip
    total = int(per_period["n_period"].sum())
    few = f"{thin.height} of {per_period.height}, {thin['n_period'].sum():,} cards"
    ends = shown["period"].min(), shown["period"].max()
    panel = _panel(drawn, floor_marks(trends, time="period"))
    chart = panel.facet(
        data=values(drawn), facet=facet, columns=min(_COLUMNS, len(order)), spacing=18
    )
    chart = chart.resolve_scale(y="independent")
    return finish(
        chart,
        title="Tags on new cards: what rises, what falls",
        subtitle=[
            f"Share of the {total:,} new cards by period, with 95 % interval; the {len(order)} "
            f"most frequent of {sizes.height:,} tags, steepest rise first",
            floor_words(trends, int(trends["n_at_floor"][0]), left_out=True),
            f"Periods with fewer than {THIN} new cards ({few}) are left out of lines and slopes; "
            "scales differ between panels",
        ],
        description=(
            f"{len(order)} panels of tags by period, {str(ends[0])[:7]} to {str(ends[1])[:7]}. "
            f"Steepest first: {'; '.join(head.replace(chr(10), ', ') for head in order)}."
        ),
    )


def _panel(drawn: pl.DataFrame, marks: list[str]) -> Any:
    """Draw band, line and points of all tags; the facets take them apart."""
    domain = [_RISES, _FALLS, _UNCLEAR]
    colour = alt.Color(
        "direction:N",
        scale=alt.Scale(domain=domain, range=[ACCENT, WARM, FAINT]),
        legend=alt.Legend(title=None, orient="bottom"),
    )
    n_periods = drawn["period"].n_unique()
    x = alt.X(
        "period:T",
        title=None,
        scale=alt.Scale(type="utc"),
        axis=alt.Axis(format="%Y" if n_periods > 8 else "%Y-%m", tickCount=4, labelOverlap=True),
    )
    names = {"tag": "tag", "n_cards": "new cards with it", "n_period": "new cards"}
    names |= {"card_share": "share", "share_low": "95 % interval from", "share_high": "to"}
    date = alt.Tooltip("utcyearmonthdate(period):T", title="period from", format="%Y-%m-%d")
    base = alt.Chart().encode(x=x, color=colour)
    axis = alt.Axis(format="~%", tickCount=3, minExtent=38)
    band = base.mark_area(opacity=0.18).encode(
        y=alt.Y("share_low:Q", title=None, axis=axis), y2="share_high:Q"
    )
    line = base.mark_line(strokeWidth=1.8, point={"size": 14}).encode(
        y=alt.Y("card_share:Q", title=None, axis=axis), tooltip=[date, *tooltips(drawn, names)]
    )
    layers = [band, line, *([floor_rule(x, marks, field="period")] if marks else [])]
    return alt.layer(*layers).properties(width=205, height=96)


def _direction() -> pl.Expr:
    if_rises = pl.when(pl.col("slope_low") > 0).then(pl.lit(_RISES))
    return if_rises.when(pl.col("slope_high") < 0).then(pl.lit(_FALLS)).otherwise(
        pl.lit(_UNCLEAR)
    ).alias("direction")  # fmt: skip


def _head(row: dict[str, Any]) -> str:
    """Write the two lines above a panel: the tag, and how its odds change."""
    name = shorten(str(row["tag"]).replace("\n", " "), 34)
    if row["slope"] is None:
        return f"{name}\ntoo few periods for a slope"
    if row["slope_low"] is None:
        return f"{name}\non all new cards, or on none"
    change, low, high = (_change(row[key]) for key in ("slope", "slope_low", "slope_high"))
    return f"{name}\nodds {change} a period ({low} to {high})"


def _change(slope: float) -> str:
    percent = 100 * math.expm1(min(slope, 5.0))
    return f"{percent:+.0f} %" if percent < 1000 else f"x {math.exp(min(slope, 5.0)):.0f}"


# ---- What new cards declare, period by period.

#: New cards in a period below which its share is too unsure to be compared.
FEW = 30

_COLUMNS_periods = 3
_ENOUGH, _SMALL = f"{FEW} new cards or more", f"fewer than {FEW}"
_FIGURES_periods = ("n_cards", "n_period", "card_share", "share_low", "share_high")
_LEFT_OUT_periods = ("n_at_floor", "n_undated", "n_implausible", "floors")


def plot_share_trends(trends: pl.DataFrame, *, title: str | None = None) -> Any:
    """Draw the share of new cards with each value by period, a panel for each.

    Parameters
    ----------
    trends : pl.DataFrame
        From :func:`cardlab.share_trends`.
    title : str, optional
        Instead of the general one.

    Returns
    -------
    alt.VConcatChart
        Line: share of the period's new cards; band: its 95 % interval; above it: the share in the
        first and the last period of the line. Periods with fewer than 30 new cards are left out,
        unless only one has more: then all are drawn hollow, and none is compared. All panels have
        one scale. Below: new cards by period. A dashed rule marks the Hub's date floor, whose
        cards are left out.

    Raises
    ------
    NoFigure
        The frame has no rows.
    """
    need(
        trends,
        "value",
        "part",
        "period",
        *_LEFT_OUT_periods,
        *_FIGURES_periods,
        made_by="share_trends",
    )
    if not trends.height:
        raise NoFigure("there are no rows to draw.")
    sums = pl.col("n_cards").sum().over("value", "part")
    kept = clean(trends.filter((sums > 0) | (pl.col("part") == "value"))).with_columns(
        pl.coalesce(pl.col("value").str.replace_all("\n", " "), pl.col("part")).alias("shown")
    )
    heads = {}
    for key, rows in kept.group_by("shown", "part", maintain_order=True):
        heads[key] = _head_periods(str(key[0]), str(key[1]), rows)
    shown = kept.with_columns(
        pl.struct("shown", "part")
        .map_elements(lambda row: heads[row["shown"], row["part"]], return_dtype=pl.String)
        .alias("panel"),
        pl.when(pl.col("n_period") < FEW)
        .then(pl.lit(_SMALL))
        .otherwise(pl.lit(_ENOUGH))
        .alias("n"),
    )
    order = shown["panel"].unique(maintain_order=True).to_list()
    first, last = shown["period"].min(), shown["period"].max()
    marks = floor_marks(trends, time="period")
    facet = alt.Facet(
        "panel:N",
        sort=order,
        title=None,
        header=alt.Header(
            labelExpr="split(datum.label, '\\n')", labelAlign="left", labelAnchor="start",
            labelFontSize=11, labelLineHeight=14, labelPadding=4, labelLimit=260,
        ),
    )  # fmt: skip
    per_period = shown.unique("period").sort("period")
    total, few = int(per_period["n_period"].sum()), per_period.filter(pl.col("n_period") < FEW)
    compared = per_period.height - few.height > 1
    drawn = shown.drop_nulls("card_share").select(
        "panel", "shown", "period", "n", *_FIGURES_periods
    )
    drawn = drawn.filter(n=_ENOUGH) if compared else drawn
    panels = _panel_periods(drawn, marks).facet(
        facet=facet, columns=min(_COLUMNS_periods, len(order)), spacing=16, data=values(drawn)
    )
    n_values = int(shown["n_values"][0])
    n_shown = shown.filter(part="value")["value"].n_unique()
    return finish(
        alt.vconcat(panels, _bars(per_period, marks), spacing=10).resolve_scale(
            color="independent"
        ),
        title=title or "What new cards declare, by period",
        subtitle=[
            f"Share of the {total:,} new cards by period, with 95 % interval; the {n_shown} most "
            f"frequent of {n_values:,} values",
            floor_words(trends, int(trends["n_at_floor"][0]), left_out=True),
            f"{'Left out' if compared else 'Hollow'}: periods with fewer than {FEW} new cards "
            f"({few.height} of {per_period.height}, {few['n_period'].sum():,} cards); the last "
            "period may not be over",
        ],
        description=(
            f"{len(order)} panels by period, {str(first)[:7]} to {str(last)[:7]}, of "
            f"{total:,} new cards. {'; '.join(head.replace(chr(10), ', ') for head in order)}."
        ),
    )


def _head_periods(name: str, part: str, rows: pl.DataFrame) -> str:
    """Write the two lines above a panel: the value, and its first and last sure share."""
    label = shorten(name, 34) if part == "value" else f"({name})"
    sure = rows.filter(pl.col("n_period") >= FEW).drop_nulls("card_share").sort("period")
    if sure.height < 2:
        return f"{label}\n{rows['n_cards'].sum():,} cards"
    ends = sure.row(0, named=True), sure.row(-1, named=True)
    return f"{label}\n" + " to ".join(percent(row["card_share"]) for row in ends)


def _time(drawn: pl.DataFrame, **axis: Any) -> alt.X:
    many = drawn["period"].n_unique() > 8
    style = {"format": "%Y" if many else "%Y-%m", "tickCount": 4, "labelOverlap": True} | axis
    return alt.X("period:T", title=None, scale=alt.Scale(type="utc"), axis=alt.Axis(**style))


def _panel_periods(drawn: pl.DataFrame, marks: list[str]) -> Any:
    x = _time(drawn)
    axis = alt.Axis(format="~%", tickCount=4, minExtent=38)
    names = {"shown": "value", "n_cards": "new cards with it", "n_period": "new cards"}
    names |= {"card_share": "share", "share_low": "95 % interval from", "share_high": "to"}
    date = alt.Tooltip("utcyearmonthdate(period):T", title="period from", format="%Y-%m-%d")
    base = alt.Chart().encode(x=x)
    top = alt.Y("card_share:Q", title=None, axis=axis)
    band = base.mark_area(opacity=0.18, color=ACCENT).encode(
        y=alt.Y("share_low:Q", title=None, axis=axis), y2="share_high:Q"
    )
    line = base.mark_line(strokeWidth=1.8, color=ACCENT).encode(y=top)
    fill = alt.Scale(domain=[_ENOUGH, _SMALL], range=[ACCENT, "#ffffff"])
    points = base.mark_point(size=26, filled=True, opacity=1, stroke=ACCENT, strokeWidth=1).encode(
        y=top,
        fill=alt.Fill("n:N", scale=fill, legend=None),
        tooltip=[date, *tooltips(drawn, names)],
    )
    layers = [band, line, points]
    if marks:
        layers.append(floor_rule(x, marks, field="period"))
    return alt.layer(*layers).properties(width=205, height=96)


def _bars(per_period: pl.DataFrame, marks: list[str]) -> Any:
    x = _time(per_period)
    tips = [
        alt.Tooltip("utcyearmonthdate(period):T", title="period from", format="%Y-%m-%d"),
        alt.Tooltip("n_period:Q", title="new cards", format=",d"),
    ]
    base = alt.Chart(values(per_period.select("period", "n_period"))).encode(
        x=x,
        y=alt.Y(
            "n_period:Q", title="new cards", axis=alt.Axis(tickCount=3, tickMinStep=1, format=",d")
        ),
    )
    width = max(1.5, min(30.0, 600 / max(per_period.height, 1) * 0.7))
    layers = [base.mark_bar(width=width, color=SOFT).encode(tooltip=tips)]
    if per_period.height <= 12:
        numbers = base.mark_text(dy=-6, color=FAINT, fontSize=10)
        layers.append(numbers.encode(text=alt.Text("n_period:Q", format=",d")))
    if marks:
        layers.append(floor_rule(x, marks, field="period"))
    return alt.layer(*layers).properties(width=640, height=70)
