"""How many cards document each section: bars of states, in the standard's order."""

from __future__ import annotations

from typing import Any, cast

import altair as alt
import polars as pl

from ..colors import ACCENT, FAINT, INK, PAPER, PEACH, SOFT, WARM
from ..labels import label
from ..schema import CardlabError, NoFigure
from .base import (
    beside,
    clean,
    each,
    finish,
    interval,
    layered,
    need,
    number,
    percent,
    share_axis,
    tooltips,
)

#: State, its words, and its fill: by lightness as well as by hue, and in this order on every bar,
#: so that no state is told by colour alone. What is absent is an outline.
_STATES = (
    ("filled", "filled", ACCENT),
    ("boilerplate", "boilerplate (shared or machine-written)", SOFT),
    ("placeholder", "placeholder", WARM),
    ("empty", "heading only", PEACH),
    ("absent", "absent", PAPER),
)
_TIPS = (
    *("section", "filled_share", "share_low", "share_high"),
    *(f"n_{state}" for state, _, _ in _STATES),
    *("n_cards", "n_in_metadata"),
)


def plot_coverage(coverage: pl.DataFrame, *, title: str | None = None) -> alt.LayerChart:
    """Draw, section by section, how many cards have it filled, begun, or not at all.

    Parameters
    ----------
    coverage : pl.DataFrame
        From :func:`cardlab.section_coverage` without `by`, or the rows of one of its groups.
    title : str, optional
        Instead of "What the cards document".

    Returns
    -------
    alt.LayerChart
        A bar a section, in the order of the frame: filled, boilerplate, placeholder, heading
        only, absent. Beside it the number of cards that have it filled, on the bar the 95 %
        interval of their share, and a diamond where front matter adds to the text (the share of
        cards that have it in either).

    Raises
    ------
    NoFigure
        The frame has no rows, or counts no cards.
    CardlabError
        The frame is none of :func:`cardlab.section_coverage`, or has several groups.

    Examples
    --------
    >>> chart = cl.plot_coverage(cl.section_coverage(cl.make_cards(200), standard="mitchell2019"))
    >>> chart.description
    'Bars: 9 sections, the share of 200 cards in which each is filled, boilerplate, ...'
    """
    counts = [f"n_{state}" for state, _, _ in _STATES]
    made_by = "section_coverage"
    need(coverage, "section", *counts, "filled_share", "n_cards", made_by=made_by)
    if coverage["section"].n_unique() < coverage.height:
        raise CardlabError(
            "plot_coverage draws one group, and this frame has sections more than once. Draw the "
            "rows of one group: coverage.filter(pl.col(by) == group)."
        )
    n_cards = int(coverage["n_cards"][0])
    if not n_cards:
        raise NoFigure("no card has a text, so there are no sections to draw.")
    # what is only in front matter, where the frame counts that
    added = pl.col("n_only_in_metadata") if "n_only_in_metadata" in coverage.columns else pl.lit(0)
    shown = clean(coverage).with_columns(
        either_share=pl.when(added > 0).then((pl.col("n_filled") + added) / pl.col("n_cards"))
    )
    adds = shown["either_share"].null_count() < shown.height
    tips, axis = tooltips(shown, *_TIPS), {"labelLimit": 330, "labelPadding": 6}
    base = each(shown, "section", step=19, **axis)
    layers = [_bars(shown, axis).encode(tooltip=tips)]
    sampled = "share_low" in shown.columns and shown["share_low"].count() > 0
    if sampled:
        layers.append(interval(base, "share"))
    if adds:
        marks = base.transform_filter("datum.either_share !== null").mark_point(
            shape="diamond", size=55, color=INK, filled=False, fill=PAPER, opacity=1
        )
        layers.append(marks.encode(x="either_share:Q", tooltip=tips))
    layers.append(beside(base, alt.datum(1), "n_filled", dx=6))
    first = shown.sort("n_filled", descending=True, maintain_order=True).row(0, named=True)
    last = shown.sort("n_filled", maintain_order=True).row(0, named=True)
    diamond = "; diamond: with what front matter states" if adds else ""
    return finish(
        layered(*layers),
        title=title or "What the cards document",
        subtitle=[
            f"Share of {number(n_cards, 'card')} with a text, by section; beside each bar the "
            "cards that have it filled",
            f"{'thin line: 95 % interval of that share' if sampled else 'a census'}{diamond}",
        ],
        description=(
            f"Bars: {number(shown.height, 'section')}, the share of {number(n_cards, 'card')} in "
            "which each is filled, boilerplate, a placeholder, a heading only or absent. "
            + _ends(first, last)
        ),
        width=460,
    )


def _ends(first: dict[str, Any], last: dict[str, Any]) -> str:
    """Say which sections are filled most and least often, where they differ."""
    most, least = (
        f"{number(row['n_filled'], 'card')} ({percent(row['filled_share'])})"
        for row in (first, last)
    )
    if first["n_filled"] == last["n_filled"]:
        return f"Each is filled in {most}."
    return f"Most often filled: {first['section']}, {most}; least: {last['section']}, {least}."


def _bars(shown: pl.DataFrame, axis: dict[str, Any]) -> alt.Chart:
    """Give the stacked bars, a row for each section and state."""
    rows = pl.concat(
        shown.with_row_index("place").with_columns(
            state=pl.lit(words),
            rank=rank,
            n=f"n_{state}",
            share=pl.col(f"n_{state}") / pl.col("n_cards"),
        )
        for rank, (state, words, _) in enumerate(_STATES)
    ).sort("place", "rank")
    _, words, fills = map(list, zip(*_STATES, strict=True))
    legend = alt.Legend(title=None, orient="top", columns=3, labelLimit=260, symbolStrokeWidth=0.5)
    color = alt.Color("state:N", sort=words, legend=legend).scale(domain=words, range=fills)
    bar = each(rows, "section", step=19, **axis).mark_bar(stroke=FAINT, strokeWidth=0.5)
    x = share_axis("share", label("card_share")).stack("zero")
    return cast(alt.Chart, bar.encode(x=x, order=alt.Order("rank:Q"), color=color))
