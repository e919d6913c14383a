"""What new cards declare, period by period."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from ..schema import NoFigure, shorten
from .base import ACCENT, FAINT, SOFT, clean, finish, need, percent, tooltips, values
from .floor import floor_marks, floor_rule, floor_words

#: New cards in a period below which its share is too unsure to be compared.
FEW = 30

_COLUMNS = 3
_ENOUGH, _SMALL = f"{FEW} new cards or more", f"fewer than {FEW}"
_FIGURES = ("n_cards", "n_period", "card_share", "share_low", "share_high")
_LEFT_OUT = ("n_at_floor", "n_undated", "n_implausible", "floors")


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
    need(trends, "value", "part", "period", *_LEFT_OUT, *_FIGURES, made_by="share_trends")
    if not trends.height:
        raise NoFigure("there are no rows to draw.")
    sums = pl.col("n_cards").sum().over("value", "part")
    kept = clean(trends.filter((sums > 0) | (pl.col("part") == "value"))).with_columns(
        pl.coalesce(pl.col("value").str.replace_all("\n", " "), pl.col("part")).alias("shown")
    )
    heads = {}
    for key, rows in kept.group_by("shown", "part", maintain_order=True):
        heads[key] = _head(str(key[0]), str(key[1]), rows)
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
    drawn = shown.drop_nulls("card_share").select("panel", "shown", "period", "n", *_FIGURES)
    drawn = drawn.filter(n=_ENOUGH) if compared else drawn
    panels = _panel(drawn, marks).facet(
        facet=facet, columns=min(_COLUMNS, len(order)), spacing=16, data=values(drawn)
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


def _head(name: str, part: str, rows: pl.DataFrame) -> str:
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


def _panel(drawn: pl.DataFrame, marks: list[str]) -> Any:
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
