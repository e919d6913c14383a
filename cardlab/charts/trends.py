"""How common tags are on new cards, or what new cards declare, period by period."""

from __future__ import annotations

import math
from typing import Any, cast

import altair as alt
import polars as pl

from ..colors import ACCENT, FAINT, PAPER, SOFT, WARM
from ..labels import label
from ..schema import NoFigure, at_least, shorten
from ..tags.trends import THIN
from .base import (
    clean,
    finish,
    floor_words,
    floors,
    interval_words,
    layered,
    need,
    percent,
    time_axis,
    tooltips,
    values,
)

#: New cards in a period below which its share is too unsure to be compared.
FEW = 30

_COLUMNS = 3
_DIRECTIONS = ("rises", "falls", "neither is clear")
_ENOUGH, _SMALL = f"{FEW} new cards or more", f"fewer than {FEW}"
_FIGURES = ("n_cards", "n_period", "card_share", "share_low", "share_high")
_LEFT_OUT = ("n_at_floor", "n_undated", "n_implausible", "floors")


def plot_trends(
    trends: pl.DataFrame, *, top: int = 12, title: str | None = None
) -> alt.FacetChart | alt.VConcatChart:
    """Draw the share of new cards with each tag or value by period, a small panel for each.

    Parameters
    ----------
    trends : pl.DataFrame
        From :func:`cardlab.tag_trends` or :func:`cardlab.share_trends`.
    top : int
        Panels of tags: those on most cards, in the order of `trends` (steepest rise first). The
        values of shares are all drawn.
    title : str, optional
        Instead of the general one.

    Returns
    -------
    alt.FacetChart or alt.VConcatChart
        Line: share of the period's new cards; band: its 95 % interval; dashed rule: the Hub's
        date floor, whose cards are left out.

        Of tags periods with fewer than 10 new cards are neither in the slope nor drawn. Each panel
        has a scale of its own: compare shapes, not heights. Blue rises and brown falls where the
        interval of the slope leaves out zero and enough cards and authors stand behind it.

        Of shares there stands above a line the share in its first and its last period. Periods
        with fewer than 30 new cards are left out, unless only one has more: then all are drawn
        hollow, and none is compared. All panels have one scale. Below: new cards by period.

    Raises
    ------
    NoFigure
        The frame has no rows.

    Examples
    --------
    >>> cl.plot_trends(cl.tag_trends(cl.make_cards(500), kinds=["task"], every="1y")).description
    '12 panels of tags by period, 2022-01 to 2024-01. Steepest first: ...'
    """
    at_least(top, 1, name="top")
    figures = ("period", *_LEFT_OUT, *_FIGURES)
    if "part" in getattr(trends, "columns", ()):
        need(trends, "value", *figures, made_by="share_trends")
        return _shares(trends, title or "What new cards declare, by period")
    none, made_by = "there is no tag with cards in any period.", "tag_trends or share_trends"
    need(trends, "tag", "slope", "is_reliable", *figures, made_by=made_by, none=none)
    return _tags(trends, top, title or "Tags on new cards: what rises, what falls")


def _tags(trends: pl.DataFrame, top: int, title: str) -> alt.FacetChart:
    per_period = trends.unique("period").select("period", "n_period")
    thin = per_period.filter(pl.col("n_period") < THIN)
    if thin.height == per_period.height:
        raise NoFigure(f"none of the {thin.height} periods has {THIN} new cards or more.")
    sizes = trends.group_by("tag").agg(pl.col("n_cards").sum())
    kept = sizes.sort(["n_cards", "tag"], descending=[True, False]).head(top)["tag"].to_list()
    sure = pl.col("is_reliable")
    low, high = (pl.coalesce(f"slope_{end}", "slope") for end in ("low", "high"))
    rises = pl.when(sure & (low > 0)).then(pl.lit(_DIRECTIONS[0]))
    falls = rises.when(sure & (high < 0)).then(pl.lit(_DIRECTIONS[1]))
    shown = clean(trends.filter(pl.col("tag").is_in(kept)))
    heads = {row["tag"]: _odds(row) for row in shown.unique("tag", keep="first").to_dicts()}
    shown = shown.with_columns(
        direction=falls.otherwise(pl.lit(_DIRECTIONS[2])),
        panel=pl.col("tag").replace_strict(heads),
    )
    color = alt.Color("direction:N").scale(domain=_DIRECTIONS, range=[ACCENT, WARM, FAINT])
    color = color.legend(title=None, orient="bottom")
    drawn = shown.filter(pl.col("n_period") >= THIN)
    drawn = drawn.select("panel", "tag", "period", *_FIGURES, "direction", "slope")
    base = alt.Chart().encode(x=_time(drawn), color=color)
    order = shown["panel"].unique(maintain_order=True).to_list()
    band, line = base.mark_area(opacity=0.18), base.mark_line(strokeWidth=1.8, point={"size": 14})
    chart = _panels(trends, drawn, order, [band, line], name="tag")
    return finish(
        cast(alt.FacetChart, chart.resolve_scale(y="independent")),
        title=title,
        subtitle=[
            f"Share of the {per_period['n_period'].sum():,} new cards by period, "
            f"{interval_words(drawn['share_low'], 'with 95 % interval')}; the {len(order)} most "
            f"frequent of {sizes.height:,} tags, steepest rise first",
            floor_words(trends, int(trends["n_at_floor"][0]), left_out=True),
            f"Periods with fewer than {THIN} new cards ({_counted(thin, per_period)}) are left out "
            "of lines and slopes; scales differ between panels",
        ],
        description=(
            f"{len(order)} panels of tags by period, {_span(shown)}. Steepest first: "
            f"{'; '.join(head.replace(chr(10), ', ') for head in order)}."
        ),
    )


def _shares(trends: pl.DataFrame, title: str) -> alt.VConcatChart:
    sums = pl.col("n_cards").sum().over("value", "part")
    kept = clean(trends.filter((sums > 0) | (pl.col("part") == "value"))).with_columns(
        pl.coalesce(pl.col("value").str.replace_all("\n", " "), "part").alias("shown")
    )
    heads = pl.DataFrame(
        [
            {"shown": shown, "part": part, "panel": _ends(str(shown), str(part), rows)}
            for (shown, part), rows in kept.group_by("shown", "part", maintain_order=True)
        ]
    )
    shown = kept.with_columns(
        n=pl.when(pl.col("n_period") < FEW).then(pl.lit(_SMALL)).otherwise(pl.lit(_ENOUGH))
    ).join(heads, on=["shown", "part"], how="left", maintain_order="left")
    per_period = shown.unique("period").sort("period")
    few = per_period.filter(pl.col("n_period") < FEW)
    compared = per_period.height - few.height > 1
    drawn = shown.drop_nulls("card_share").select("panel", "shown", "period", "n", *_FIGURES)
    drawn = drawn.filter(n=_ENOUGH) if compared else drawn
    base = alt.Chart().encode(x=_time(drawn))
    fill = alt.Fill("n:N", legend=None).scale(domain=[_ENOUGH, _SMALL], range=[ACCENT, PAPER])
    points = base.mark_point(size=26, filled=True, opacity=1, stroke=ACCENT, strokeWidth=1)
    band, line = base.mark_area(opacity=0.18, color=ACCENT), base.mark_line(strokeWidth=1.8)
    layers = [band, line, points.encode(fill=fill)]
    order = heads["panel"].unique(maintain_order=True).to_list()
    panels = _panels(trends, drawn, order, layers, name="shown")
    total = per_period["n_period"].sum()
    chart = alt.vconcat(panels, _bars(per_period, trends), spacing=10)
    return finish(
        cast(alt.VConcatChart, chart.resolve_scale(color="independent")),
        title=title,
        subtitle=[
            f"Share of the {total:,} new cards by period, "
            f"{interval_words(drawn['share_low'], 'with 95 % interval')}; the "
            f"{shown.filter(part='value')['value'].n_unique()} most frequent of "
            f"{shown['n_values'][0]:,} values",
            floor_words(trends, int(trends["n_at_floor"][0]), left_out=True),
            f"{'Left out' if compared else 'Hollow'}: periods with fewer than {FEW} new cards "
            f"({_counted(few, per_period)}); the last period may not be over",
        ],
        description=(
            f"{heads.height} panels by period, {_span(shown)}, of {total:,} new cards. "
            f"{'; '.join(head.replace(chr(10), ', ') for head in heads['panel'])}."
        ),
    )


def _panels(
    trends: pl.DataFrame,
    drawn: pl.DataFrame,
    order: list[str],
    layers: list[alt.Chart],
    *,
    name: str,
) -> alt.FacetChart:
    """Draw a band and, above it, lines of all tags or values; the facets take them apart."""
    axis = alt.Axis(format="~%", tickCount=3, minExtent=38)
    y, low = (alt.Y(f"{name}:Q", title=None, axis=axis) for name in ("card_share", "share_low"))
    tips = tooltips(drawn, "period", name, *_FIGURES, shown="value", n_cards="new cards with it")
    band, *below, last = (layer.encode(y=y) for layer in layers)
    look: Any = {"labelAlign": "left", "labelAnchor": "start", "labelFontSize": 11}
    look |= {"labelLineHeight": 14, "labelPadding": 4, "labelLimit": 260}
    header = alt.Header(labelExpr="split(datum.label, '\\n')", **look)
    facet = alt.Facet("panel:N", sort=order, title=None, header=header)
    rule = floors(trends, _time(drawn))
    panel = layered(band.encode(y=low, y2="share_high:Q"), *below, last.encode(tooltip=tips), *rule)
    chart: alt.FacetChart = panel.properties(width=205, height=96).facet(
        data=values(drawn), facet=facet, columns=min(_COLUMNS, len(order)), spacing=16
    )
    return chart


def _time(drawn: pl.DataFrame) -> alt.X:
    return time_axis(format="%Y" if drawn["period"].n_unique() > 8 else "%Y-%m", tickCount=4)


def _span(shown: pl.DataFrame) -> str:
    return f"{str(shown['period'].min())[:7]} to {str(shown['period'].max())[:7]}"


def _counted(few: pl.DataFrame, periods: pl.DataFrame) -> str:
    return f"{few.height} of {periods.height}, {few['n_period'].sum():,} cards"


def _odds(row: dict[str, Any]) -> str:
    """Write the two lines above a panel: the tag, and how its odds change."""
    name = shorten(str(row["tag"]).replace("\n", " "), 34)
    if row["slope"] is None:
        return f"{name}\ntoo few periods for a slope"
    if row["slope_low"] is None and not row["slope"]:
        return f"{name}\non all new cards, or on none"
    ends = [_change(row[key]) for key in ("slope_low", "slope_high") if row[key] is not None]
    between = f" ({' to '.join(ends)})" if ends else ""  # of a census there are none
    few = "" if row["is_reliable"] else ", too few to say"
    return f"{name}\nodds {_change(row['slope'])} a period{between}{few}"


def _change(slope: float) -> str:
    percent = 100 * math.expm1(min(slope, 5.0))
    return f"{percent:+.0f} %" if percent < 1000 else f"x {math.exp(min(slope, 5.0)):.0f}"


def _ends(name: str, part: str, rows: pl.DataFrame) -> str:
    """Write the two lines above a panel: the value, and its first and last sure share."""
    label = shorten(name, 34) if part == "value" else f"({name})"
    sure = rows.filter(pl.col("n_period") >= FEW).drop_nulls("card_share").sort("period")
    if sure.height < 2:
        return f"{label}\n{rows['n_cards'].sum():,} cards"
    return f"{label}\n{percent(sure['card_share'][0])} to {percent(sure['card_share'][-1])}"


def _bars(per_period: pl.DataFrame, trends: pl.DataFrame) -> alt.LayerChart:
    """Draw the number of new cards a period."""
    x, axis = _time(per_period), alt.Axis(tickCount=3, tickMinStep=1, format=",d")
    base = alt.Chart(values(per_period.select("period", "n_period"))).encode(
        x=x, y=alt.Y("n_period:Q", title=label("n_period"), axis=axis)
    )
    width = max(1.5, min(30.0, 600 / max(per_period.height, 1) * 0.7))
    bars = base.mark_bar(width=width, color=SOFT)
    layers = [bars.encode(tooltip=tooltips(per_period, "period", "n_period"))]
    if per_period.height <= 12:
        numbers = base.mark_text(dy=-6, color=FAINT, fontSize=10)
        layers.append(numbers.encode(text=alt.Text("n_period:Q", format=",d")))
    return layered(*layers, *floors(trends, x)).properties(width=640, height=70)
