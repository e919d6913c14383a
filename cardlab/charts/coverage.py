"""How many cards document each section: bars of states, in the standard's order."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from ..schema import CardlabError, NoFigure
from .base import (
    ACCENT,
    FAINT,
    INK,
    SOFT,
    WARM,
    clean,
    finish,
    need,
    number,
    percent,
    tooltips,
    values,
)

#: State, its words, and its fill: by lightness as well as by hue, and in this order on every bar,
#: so that no state is told by colour alone. What is absent is an outline.
_STATES = (
    ("filled", "filled", ACCENT),
    ("boilerplate", "boilerplate (shared or machine-written)", SOFT),
    ("placeholder", "placeholder", WARM),
    ("empty", "heading only", "#f3c69b"),
    ("absent", "absent", "#ffffff"),
)
_MADE_BY = "section_coverage"


def plot_coverage(coverage: pl.DataFrame, *, title: str | None = None) -> Any:
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
    """
    counts = [f"n_{state}" for state, _, _ in _STATES]
    need(coverage, "section", *counts, "filled_share", "n_cards", made_by=_MADE_BY)
    if not coverage.height:
        raise NoFigure("there are no rows to draw.")
    if coverage["section"].n_unique() < coverage.height:
        raise CardlabError(
            "plot_coverage draws one group, and this frame has sections more than once. Draw the "
            "rows of one group: coverage.filter(pl.col(by) == group)."
        )
    n_cards = int(coverage["n_cards"].to_list()[0])
    if not n_cards:
        raise NoFigure("no card has a text, so there are no sections to draw.")
    shown = clean(coverage)
    shown = shown.with_columns(
        (pl.col("n_filled") + _column(shown, "n_only_in_metadata")).alias("n_either")
    ).with_columns((pl.col("n_either") / pl.col("n_cards")).alias("either_share"))
    order = shown["section"].to_list()
    y = alt.Y("section:N", sort=order, title=None, axis=alt.Axis(labelLimit=330, labelPadding=6))
    bars = _bars(shown, y)
    base = alt.Chart(values(shown))
    tips = _tips(shown)
    layers = [bars.encode(tooltip=tips)]
    if {"share_low", "share_high"} <= set(shown.columns):
        layers.append(base.mark_rule(color=INK).encode(x="share_low:Q", x2="share_high:Q", y=y))
    adds = shown.filter(pl.col("n_either") > pl.col("n_filled"))
    if adds.height:
        marks = alt.Chart(values(adds)).mark_point(
            shape="diamond", size=55, color=INK, filled=False, fill="#ffffff", opacity=1
        )
        layers.append(marks.encode(x=alt.X("either_share:Q"), y=y, tooltip=tips))
    layers.append(
        base.mark_text(align="left", dx=6, color=FAINT).encode(
            x=alt.datum(1), y=y, text=alt.Text("n_filled:Q", format=",d")
        )
    )
    first = shown.sort("n_filled", descending=True, maintain_order=True).row(0, named=True)
    last = shown.sort("n_filled", maintain_order=True).row(0, named=True)
    diamond = "; diamond: with what front matter states" if adds.height else ""
    return finish(
        alt.layer(*layers),
        title=title or "What the cards document",
        subtitle=[
            f"Share of {number(n_cards, 'card')} with a text, by section; beside each bar the "
            "cards that have it filled",
            f"thin line: 95 % interval of that share{diamond}",
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


def _bars(shown: pl.DataFrame, y: alt.Y) -> Any:
    """Give the stacked bars, a row for each section and state."""
    place = pl.struct("section")
    rows = pl.concat(
        shown.with_columns(
            pl.lit(words).alias("state"),
            pl.lit(number).alias("rank"),
            pl.col(f"n_{state}").alias("n"),
            (pl.col(f"n_{state}") / pl.col("n_cards")).alias("share"),
        )
        for number, (state, words, _) in enumerate(_STATES)
    ).sort(place, "rank", maintain_order=True)
    words = [text for _, text, _ in _STATES]
    fills = [fill for _, _, fill in _STATES]
    return (
        alt.Chart(values(rows), height=alt.Step(19))
        .mark_bar(stroke=FAINT, strokeWidth=0.5)
        .encode(
            x=alt.X(
                "share:Q",
                title="share of cards",
                stack="zero",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format=".0%", tickCount=6),
            ),
            y=y,
            order=alt.Order("rank:Q"),
            color=alt.Color(
                "state:N",
                sort=words,
                scale=alt.Scale(domain=words, range=fills),
                legend=alt.Legend(
                    title=None, orient="top", columns=3, labelLimit=260, symbolStrokeWidth=0.5
                ),
            ),
        )
    )


def _tips(shown: pl.DataFrame) -> list[alt.Tooltip]:
    names = {
        "section": "section",
        "filled_share": "filled",
        "share_low": "95 % interval from",
        "share_high": "to",
        **{f"n_{state}": words for state, words, _ in _STATES},
        "n_cards": "cards",
        "n_in_metadata": "stated in front matter",
    }
    return tooltips(shown, names)


def _column(frame: pl.DataFrame, name: str) -> pl.Expr:
    return pl.col(name) if name in frame.columns else pl.lit(0)
