"""Period by period: how a corpus grows, and what is on its new cards."""

from __future__ import annotations

import math
from typing import Any, cast

import altair as alt
import polars as pl

from ..colors import ACCENT, FAINT, INK, PAPER, SOFT, WARM
from ..schema import NoFigure, at_least, label, printable, shorten
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

_LEFT_OUT = ("n_undated", "n_implausible", "floors")


def plot_growth(
    grown: pl.DataFrame, *, title: str = "Growth of the corpus"
) -> alt.VConcatChart | alt.LayerChart:
    """Draw new cards a period above and all cards so far below.

    Parameters
    ----------
    grown : pl.DataFrame
        From :func:`cardlab.growth`; with groups, the seven largest are drawn as lines.
    title : str

    Returns
    -------
    alt.VConcatChart, or of groups alt.LayerChart
        Cards at a date floor (the Hub's, or another second that holds more cards than can have
        been made in it) stand in a colour of their own and a dashed rule marks it: their true date
        is unknown. The subtitle counts the cards that are left out.

    Raises
    ------
    NoFigure
        The frame has no rows.

    Examples
    --------
    >>> cl.plot_growth(cl.growth(cl.make_cards(200))).description
    'New cards a period and cumulative number, 2022-03 to 2024-09: 200 cards ...'
    """
    need(grown, "period", "n_new", "n_total", "at_floor", *_LEFT_OUT, made_by="growth")
    if "group" in grown.columns:
        return _by_group(grown, title)
    kinds, at_floor = ["dated", "at the date floor"], pl.col("at_floor")
    bars = grown.select(
        "period", (pl.col("n_new") - at_floor).alias(kinds[0]), at_floor.alias(kinds[1])
    )
    bars = bars.unpivot(index="period", variable_name="kind", value_name="cards")
    bars = bars.filter(pl.col("cards") > 0)
    color = alt.Color("kind:N", title=None).legend(orient="top")
    new = alt.Chart(values(bars), height=180).mark_bar(
        width=max(1.5, min(40.0, 560 / grown.height * 0.8))
    )
    line = alt.Chart(values(grown.select("period", "n_total", "n_new")), height=140).mark_line(
        interpolate="step-after", point=grown.height < 40
    )
    charts = [
        new.encode(
            x=_X,
            y=alt.Y("cards:Q", title=label("n_new")),
            color=color.scale(domain=kinds, range=[ACCENT, WARM]),
            tooltip=tooltips(bars, "period", "kind", "cards", cards=label("n_new")),
        ),
        line.encode(
            x=_X,
            y=alt.Y("n_total:Q", title="all cards so far"),
            tooltip=tooltips(grown, "period", "n_new", "n_total"),
        ),
    ]
    total, floor = int(grown["n_total"].max()), int(grown["at_floor"].sum())  # type: ignore[arg-type]
    first, last = grown["period"].min(), grown["period"].max()
    rule = floors(grown, _X)
    return finish(
        alt.vconcat(*(layered(chart, *rule).properties(width=600) for chart in charts)),
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


_X = time_axis(labelSeparation=6)


def _by_group(grown: pl.DataFrame, title: str) -> alt.LayerChart:
    sums = grown.group_by("group").agg(pl.col("n_new").sum()).drop_nulls("group")
    largest = sums.sort(["n_new", "group"], descending=[True, False]).head(7)["group"].to_list()
    shown = clean(grown.filter(pl.col("group").is_in(largest)).drop("floors"))
    largest = [printable(group) for group in largest]
    lines = alt.Chart(values(shown), height=280).mark_line()
    lines = lines.encode(
        x=_X,
        y=alt.Y("n_total:Q", title="cards so far"),
        color=alt.Color("group:N", sort=largest, title=None),
        strokeDash=alt.StrokeDash("group:N", sort=largest, legend=None),
        tooltip=tooltips(shown, "group", "period", "n_total"),
    )
    undeclared = int(grown.filter(pl.col("group").is_null())["n_new"].sum())
    return finish(
        layered(lines, *floors(grown, _X)),
        title=title,
        subtitle=[
            f"The {len(largest)} largest of {sums.height:,} groups; {undeclared:,} dated cards in "
            "none",
            floor_words(grown, int(shown["at_floor"].sum()), left_out=False),
        ],
        description=f"Cumulative cards of the groups {', '.join(largest)}.",
        width=560,
    )


# ---- Exponential growth: new cards, or all cards, beside an exponential line.

_MOST = 2_000
_USES = ("in the fit", "not in the fit")


def plot_doubling(
    fit: pl.DataFrame, *, title: str = "How fast the new cards double"
) -> alt.LayerChart:
    """Draw the new cards of each period on a log scale, with the exponential fitted to them.

    Parameters
    ----------
    fit : pl.DataFrame
        From :func:`cardlab.doubling_time` with ``curve=True``, or from
        :func:`cardlab.replication.published_growth`, which fits the number of all cards.
    title : str

    Returns
    -------
    alt.LayerChart
        Points: cards of each period that has any, hollow where it is not in the fit; line and
        band: the fit and the 95 % interval of its height (none in the study). Where growth is not
        exponential there is no line, and the subtitle says why. A dashed rule marks the Hub's date
        floor, whose cards are left out.

    Raises
    ------
    NoFigure
        The frame has no rows.

    Examples
    --------
    >>> cl.plot_doubling(cl.doubling_time(cl.make_cards(500, text=False), curve=True)).description
    'New cards on a log scale by period, 473 cards in 134 periods; ...'
    """
    study = "cut_off" in getattr(fit, "columns", ())
    at, of = ("cut_off", "n_total") if study else ("period", "n_new")
    lines = ["fitted"] if study else ["fitted", "fitted_low", "fitted_high"]
    figures = ("doubling_weeks", "n_periods", "n_cards", "n_at_floor", "n_null", "n_implausible")
    made_by = "doubling_time(curve=True)"
    need(fit, at, of, "in_fit", *lines, *figures, "floors", made_by=made_by)
    row = fit.row(0, named=True)
    use = pl.when("in_fit").then(pl.lit(_USES[0])).otherwise(pl.lit(_USES[1])).alias("use")
    shown = fit.select(at, of, "in_fit", *lines, use).filter(pl.col(of) > 0)
    shown = shown.gather_every(math.ceil(max(shown.height, 1) / _MOST))
    x = time_axis(at, labelOverlap="greedy", labelSeparation=10)
    drawn = pl.concat(shown[name].cast(pl.Float64) for name in (of, *lines))
    low, high = float(drawn.min() or 0), float(drawn.max() or 0)  # type: ignore[arg-type]
    log = alt.Scale(type="log", domain=[max(low * 0.8, 0.5), high * 1.25])
    base = alt.Chart(values(shown)).encode(x=x)
    inside = base.transform_filter("isValid(datum.fitted)")
    axis = alt.Axis(format="~s", tickCount=6)
    named = "cards so far" if study else label(of)
    points = base.mark_point(size=18, filled=True, opacity=1, stroke=ACCENT, strokeWidth=0.8)
    fill = alt.Fill("use:N", title=None).scale(domain=_USES, range=[ACCENT, PAPER])
    layers = [
        points.encode(
            y=alt.Y(f"{of}:Q", title=f"{named} (log scale)", scale=log, axis=axis),
            fill=fill.legend(orient="top"),
            tooltip=tooltips(shown, at, of, "fitted", "use", use="this point is"),
        ),
        *floors(fit, x, at),
    ]
    if shown["fitted"].count():  # Vega finds no ends of an axis among no rows, and says so
        line = inside.mark_line(color=INK, strokeWidth=1.6)
        layers.insert(1, line.encode(y=alt.Y("fitted:Q", scale=log)))
        if not study:
            band = inside.mark_area(color=WARM, opacity=0.22)
            ends = alt.Y("fitted_low:Q", scale=log, title="")
            layers.insert(0, band.encode(y=ends, y2="fitted_high:Q"))
    if row["doubling_weeks"] is None:
        said = f"No doubling time: {row['reason']}"
    elif study:
        said = f"Doubles every {row['doubling_weeks']:.1f} weeks by the study's method"
    else:
        upper = f"{row['high']:.1f}" if row["high"] is not None else "no bound"
        said = f"New cards double every {row['doubling_weeks']:.1f} weeks (95 % interval "
        said += f"{row['low']:.1f} to {upper})"
    counted = f"{row['n_cards']:,} cards in {row['n_periods']:,} "
    counted += "cut-offs" if study else "periods"
    empty = fit.filter(pl.col(of) == 0).height
    counted += f"; {empty:,} periods without a card are not drawn" if empty else ""
    return finish(
        layered(*layers).properties(height=320),
        title=title,
        subtitle=[said, f"{counted}; {floor_words(fit, row['n_at_floor'], left_out=True)}"],
        description=f"{label(of).capitalize()} on a log scale by period, {counted}. {said}.",
    )


#: New cards in a period below which its share is too unsure to be compared.
FEW = 30

_COLUMNS = 3
_DIRECTIONS = ("rises", "falls", "neither is clear")
_ENOUGH, _SMALL = f"{FEW} new cards or more", f"fewer than {FEW}"
_FIGURES = ("n_cards", "n_period", "card_share", "share_low", "share_high")
_NOT_DATED = ("n_at_floor", "n_undated", "n_implausible", "floors")


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
    figures = ("period", *_NOT_DATED, *_FIGURES)
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
        direction=falls.otherwise(pl.lit(_DIRECTIONS[2])), panel=pl.col("tag").replace_strict(heads)
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
    groups = kept.group_by("shown", "part", maintain_order=True)
    heads = pl.DataFrame(
        [(name, part, _ends(str(name), str(part), rows)) for (name, part), rows in groups],
        schema=["shown", "part", "panel"],
        orient="row",
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
