"""Lengths of cards: how many are at most so long, and how groups differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl

from ..colors import ACCENT, CATEGORIES, INK, SOFT
from ..schema import CardlabError, printable
from ..text.lengths import MEASURES
from .base import (
    bars,
    clean,
    each,
    finish,
    interval,
    interval_words,
    layered,
    need,
    not_declared,
    number,
    one_group,
    tooltips,
    values,
)

#: Groups that have a curve: as many as one can tell apart.
_CURVES = 7

#: Ticks of an axis that does not begin at 0.
_CLOSE = (1, 1.5, 2, 3, 4, 5, 7)

#: Dashes beside the colours, so that no curve is told by its colour alone.
_DASHES = [[1, 0], [4, 2], [2, 1], [1, 1], [1, 2, 4, 2], [6, 2], [8, 2, 1, 2]]


def plot_lengths(
    lengths: pl.DataFrame,
    *,
    measure: str = "n_words",
    top: int = 20,
    order: Sequence[str | None] | None = None,
    title: str | None = None,
) -> alt.Chart | alt.LayerChart:
    """Draw lengths: a curve, a histogram, or one line for each group.

    Parameters
    ----------
    lengths : pl.DataFrame
        From :func:`cardlab.length_ecdf` (a curve for each of at most seven groups),
        :func:`~.length_histogram` (bars), :func:`cardlab.length_summary` (medians with
        interval and middle half, the `top` largest groups), or :func:`~.length_relation`
        (medians of downloads or likes with interval, by length).
    measure : str
        What was measured, for the axis.
    top : int
        Groups of a summary that are drawn.
    order : sequence of str or None, optional
        Groups in the order of their colours and of the legend, or of the rows; by default curves
        come by size and medians by length. A group has the colour of its place here whether or
        not the others are in the frame. Groups that are not named follow, the largest first;
        None is "not declared".
    title : str, optional
        Instead of the one made from the measure.

    Raises
    ------
    NoFigure
        The frame has no rows.
    CardlabError
        The frame is of none of these, or `order` is no list of groups.

    Examples
    --------
    >>> cl.plot_lengths(cl.length_summary(cl.make_cards(200), by="pipeline_tag")).description
    'Median words of 13 groups; longest: reinforcement-learning, 444.'
    """
    if isinstance(order, str) or not isinstance(order, (Sequence, type(None))):
        raise CardlabError(f"order must be a list of groups, not {order!r}: order=['a', 'b'].")
    ranks = ["not declared" if name is None else printable(str(name)) for name in order or ()]
    unit = MEASURES.get(measure, measure)
    have = lengths.columns if isinstance(lengths, pl.DataFrame) else []
    made_by = "length_ecdf, length_histogram or length_summary"
    known = {"cumulative_share", "p50", "spearman"}.intersection(have)
    need(lengths, *(known or ("low", "high", "n_cards")), made_by=made_by)
    if "cumulative_share" in known:
        return _curves(clean(lengths), unit, ranks, title)
    if "p50" in known:
        return _medians(clean(lengths.head(top)), unit, lengths.height, ranks, title)
    if "spearman" in known:
        return _relation(clean(lengths), unit, title)
    return _histogram(clean(lengths), unit, title)


def _curves(curve: pl.DataFrame, unit: str, ranks: list[str], title: str | None) -> alt.Chart:
    curve = curve.with_columns(not_declared("group"))
    sizes = curve.group_by("group").agg(pl.col("n_cards").first())
    kept = sizes.sort(["n_cards", "group"], descending=[True, False]).head(_CURVES)
    names = sorted(kept["group"], key=lambda name: _rank(name, ranks))
    shown = curve.filter(pl.col("group").is_in(names))
    one = len(names) == 1
    # each curve rises from 0 at its shortest card, so that a single length is a line too
    least = shown.group_by("group", maintain_order=True).first().with_columns(cumulative_share=0.0)
    shown = pl.concat([least.select(shown.columns), shown])
    line: alt.Chart = alt.Chart(values(shown), height=280).mark_line(interpolate="step-after")
    largest = f"the {len(names)} largest of " if sizes.height > len(names) else ""
    n_cards = number(int(kept["n_cards"].sum()), "card")
    whole = n_cards if one else f"{largest}{sizes.height:,} groups"
    half = shown.filter(pl.col("group") == names[0], pl.col("cumulative_share") >= 0.5)["value"]
    return finish(
        line.encode(
            x=_log_axis("value:Q", unit, shown["value"]),
            y=alt.Y("cumulative_share:Q", title="share of cards", axis=alt.Axis(format=".0%")),
            tooltip=tooltips(shown, "group", "value", "cumulative_share", value=unit),
            **({} if one else _told_apart(names, ranks)),
        ),
        title=title or f"How long cards are: {unit}",
        subtitle=f"Share of cards with at most so many {unit}; {whole}",
        description=(
            f"Cumulative share of cards by {unit}, {whole}. "
            f"{'All' if one else names[0]}: half of the cards have at most about "
            f"{float(half.min() or 0):,.0f}."  # type: ignore[arg-type]
        ),
        width=560,
    )


def _rank(name: str, ranks: list[str]) -> int:
    return ranks.index(name) if name in ranks else len(ranks)


def _told_apart(names: list[str], ranks: list[str]) -> dict[str, Any]:
    """Give each group a colour and a dash by its place in `ranks`, the others what is left."""
    n = len(CATEGORIES)
    spare = iter([*range(len(ranks), n), *range(min(len(ranks), n))])
    places = [_rank(name, ranks) if name in ranks else next(spare) for name in names]
    colors, dashes = ([looks[i % len(looks)] for i in places] for looks in (CATEGORIES, _DASHES))
    group: dict[str, Any] = {"shorthand": "group:N", "sort": names, "title": None}
    return {  # with the same title the two make one legend
        "color": alt.Color(**group).scale(domain=names, range=colors),
        "strokeDash": alt.StrokeDash(**group).scale(domain=names, range=dashes),
    }


def _histogram(bins: pl.DataFrame, unit: str, title: str | None) -> alt.Chart:
    one_group(bins, "group", made_by="length_histogram")
    shown = bins.with_columns(not_declared("group"))
    n_cards = number(int(shown["n_cards"].sum()), "card")
    most = min(max(shown["n_cards"].to_list(), default=1), 8)
    bar: alt.Chart = alt.Chart(values(shown), height=220).mark_bar(
        color=SOFT, stroke=ACCENT, strokeWidth=0.5
    )
    return finish(
        bar.encode(
            x=_log_axis("low:Q", unit, pl.concat([shown["low"], shown["high"]])),
            x2="high:Q",
            y=alt.Y("n_cards:Q", title="cards", axis=alt.Axis(tickCount=most, format=",d")),
            y2=alt.Y2(datum=0),
            tooltip=tooltips(shown, "low", "high", "n_cards", low=f"{unit} from", high="below"),
        ),
        title=title or f"Distribution of {unit}",
        subtitle=f"{n_cards}; bars widen with length (logarithmic axis)",
        description=f"Histogram of {unit} over {n_cards} on a logarithmic axis.",
        width=560,
    )


def _medians(
    summary: pl.DataFrame, unit: str, n_groups: int, ranks: list[str], title: str | None
) -> alt.LayerChart:
    shown = summary.with_columns(not_declared("group"))
    longest = shown.sort(["p50", "group"], descending=[True, False])
    order = shown["group"].to_list()  # what is not named keeps the order of the frame
    order = sorted(order, key=lambda name: _rank(name, ranks))
    ordered = pl.DataFrame({"group": order}).join(shown, on="group", maintain_order="left")
    shown = ordered if ranks else longest
    fields = ("group", "n_cards", "p50", "median_low", "median_high", "p25", "p75")
    tips = tooltips(shown, *fields, p50=f"median {unit}")
    drawn = pl.concat(shown[name].cast(pl.Float64) for name in fields[2:])
    x = _log_axis("p25:Q", unit, drawn, _CLOSE)
    base = each(shown, "group")
    half = bars(base, x, tips, color=SOFT, opacity=1, height=8).encode(x2="p75:Q")
    median = base.mark_point(filled=True, color=ACCENT, size=50, opacity=1)
    largest = f"The {shown.height:,} largest of " if n_groups > shown.height else ""
    first = longest.row(0, named=True)
    return finish(
        layered(half, interval(base, "median"), median.encode(x="p50:Q", tooltip=tips)),
        title=title or f"Median {unit} by group",
        subtitle=(
            f"{largest}{number(n_groups, 'group')}, {number(int(shown['n_cards'].sum()), 'card')}; "
            f"dot: median, {interval_words(shown['median_low'], 'line: its 95 % interval')}, "
            "bar: middle half"
        ),
        description=(
            f"Median {unit} of {number(shown.height, 'group')}; longest: {first['group']}, "
            f"{first['p50'] or 0:,.0f}."
        ),
        width=460,
    )


def _relation(bins: pl.DataFrame, unit: str, title: str | None) -> alt.LayerChart:
    row = bins.row(0, named=True)
    to, shown = row["to"], bins.drop("to")
    fields = ("low", "high", "n_cards", "median", "median_low", "median_high")
    tips = tooltips(shown, *fields, low=f"{unit} from", high="to", median=f"median {to}")
    middle = alt.expr.sqrt((alt.datum.low + 1) * (alt.datum.high + 1)) - 1
    base = alt.Chart(values(shown), height=240).transform_calculate(middle=middle)
    base = base.encode(tooltip=tips)
    # where all medians are 0 there is nothing to scale by
    low = min(0.0, float(shown["median_low"].min() or 0))  # type: ignore[arg-type]
    high = max(1.0, float(shown["median_high"].max() or 0))  # type: ignore[arg-type]
    y = alt.Y("median:Q", title=f"median {to}", axis=_log_ticks((1, 3)))
    x = _log_axis("low:Q", unit, pl.concat([shown["low"], shown["high"]]))
    layers = [
        base.mark_rule(color=SOFT, strokeWidth=8).encode(
            x=x, x2="high:Q", y=y.scale(type="symlog", constant=1, domain=[low, high], nice=False)
        ),
        base.mark_rule(color=INK).encode(x="middle:Q", y="median_low:Q", y2="median_high:Q"),
        base.mark_point(filled=True, color=ACCENT, size=50, opacity=1).encode(
            x="middle:Q", y="median:Q"
        ),
    ]
    figure = "Spearman {spearman:+.2f}"
    if row["spearman_low"] is not None:
        figure += " (95 % {spearman_low:+.2f} to {spearman_high:+.2f})"
    rank = f"{figure.format(**row)} over {number(row['n_total'], 'card')}"
    return finish(
        layered(*layers),
        title=title or f"{to.capitalize()} by {unit}",
        subtitle=f"{rank}; dot: median of the cards of a bar, "
        + interval_words(bins["median_low"], "line: its 95 % interval"),
        description=f"Median {to} of cards by {unit}, in {bins.height} parts. {rank}.",
        width=560,
    )


def _log_axis(field: str, unit: str, drawn: pl.Series, steps: tuple[float, ...] = (1, 3)) -> alt.X:
    """Give an axis that ends at ticks, so that it has two of them, however little is drawn."""
    axis = _log_ticks(steps)
    low, high = float(drawn.min() or 0), float(drawn.max() or 0)  # type: ignore[arg-type]
    below = [tick for tick in axis["values"] if tick <= low]
    above = [tick for tick in axis["values"] if tick >= high]
    if below and above and below[-1] == above[0]:
        below, above = below[:-1] or below, above[1:]
    domain = [below[-1] if below else low, above[0] if above else high]
    # symlog, because some cards have no words at all and log(0) has no place
    scale = alt.Scale(type="symlog", constant=1, domain=domain, nice=False)
    return alt.X(field, title=unit, scale=scale, axis=axis)


def _log_ticks(steps: tuple[float, ...]) -> alt.Axis:
    ticks = [0, *sorted({int(step * 10**power) for power in range(12) for step in steps})]
    return alt.Axis(values=ticks, format=",d", labelOverlap="greedy")
