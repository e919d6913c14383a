"""How common tags are on new cards, tag by tag."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import polars as pl

from ..schema import NoFigure, at_least, shorten
from ..tags.trends import THIN
from .base import ACCENT, FAINT, WARM, clean, finish, need, tooltips, values
from .floor import floor_marks, floor_rule, floor_words

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
