"""Growth of a corpus, with the dates that are none marked."""

from __future__ import annotations

import math

import altair as alt
import polars as pl

from ..colors import ACCENT, INK, PAPER, WARM
from ..labels import label
from ..schema import printable
from .base import clean, finish, floor_words, floors, layered, need, time_axis, tooltips, values

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
    counted = (
        f"{row['n_cards']:,} cards in {row['n_periods']:,} {'cut-offs' if study else 'periods'}"
    )
    empty = fit.filter(pl.col(of) == 0).height
    counted += f"; {empty:,} periods without a card are not drawn" if empty else ""
    return finish(
        layered(*layers).properties(height=320),
        title=title,
        subtitle=[said, f"{counted}; {floor_words(fit, row['n_at_floor'], left_out=True)}"],
        description=f"{label(of).capitalize()} on a log scale by period, {counted}. {said}.",
    )
