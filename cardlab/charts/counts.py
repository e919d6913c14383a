"""Ranked bars of a count, and of the sections that cards document."""

from __future__ import annotations

from typing import Any, cast

import altair as alt
import polars as pl

from ..colors import ACCENT, FAINT, INK, PAPER, PEACH, SOFT, WARM
from ..schema import CardlabError, NoFigure, label
from .base import (
    bars,
    beside,
    clean,
    cut_to,
    each,
    finish,
    interval,
    interval_words,
    layered,
    need,
    not_declared,
    number,
    one_group,
    percent,
    share_axis,
    tooltips,
)

#: Columns of names: what a row of theirs is called, and several of them.
_NOUNS = {
    "tag": ("tag", "tags"),
    "license": ("licence", "licences"),
    "language": ("language", "languages"),
    "license_class": ("licence class", "licence classes"),
    "value": ("value", "values"),
    "group": ("group", "groups"),
    "problem": ("problem", "problems"),
    "family": ("family", "families"),
}


def plot_counts(
    counts: pl.DataFrame,
    *,
    title: str | None = None,
    label: str | None = None,
    top: int = 25,
    declared: bool = False,
) -> alt.LayerChart:
    """Draw the most frequent values as bars with their share of the cards.

    Parameters
    ----------
    counts : pl.DataFrame
        From :func:`cardlab.tag_counts`, :func:`cardlab.license_counts`,
        :func:`cardlab.language_counts` or :func:`cardlab.template_families`: a column of names,
        ``n_cards``, ``card_share`` and, for the interval, ``share_low`` and ``share_high``. Of
        counts by a column the rows of one group.
    title : str, optional
        Instead of the one made from the names.
    label : str, optional
        The column of names, where it is none of the usual ones.
    top : int
        Only the first rows.
    declared : bool
        Shares of the cards that declare any value (``declared_share``), instead of all cards.

    Raises
    ------
    NoFigure
        The frame has no rows.
    CardlabError
        It has several groups, which are not shares of one number of cards.

    Examples
    --------
    >>> cl.plot_counts(cl.license_counts(cl.make_cards(200), classes=True)).description
    'Bars: licence classes by share of 200 cards. Most frequent: permissive on 105 (52.5 %).'
    """
    made_by = "tag_counts, license_counts or language_counts"
    need(counts, "n_cards", "card_share", *([label] if label else []), made_by=made_by)
    by, label = _columns(counts, label)
    if declared:
        need(counts, "declared_share", made_by="license_counts or language_counts")
        as_drawn = {"card_share": "declared_share"}
        as_drawn |= {f"share_{end}": f"declared_{end}" for end in ("low", "high")}
        counts = counts.drop_nulls("declared_share").with_columns(**as_drawn)
    if by is not None:
        one_group(counts, by, made_by=made_by)
    one, noun = _NOUNS.get(label, (label.removesuffix("s"), label))
    shown = clean(counts.head(top)).with_columns(_names(counts, label).alias("shown"))
    # what differs in characters that are not shown only would be one bar over the other
    again = pl.col("shown").cum_count().over("shown")
    twice = pl.when(again > 1).then(pl.format("{} ({})", "shown", again))
    shown = shown.with_columns(twice.otherwise("shown").alias("shown"))
    ends = {"share_low", "share_high"} <= set(shown.columns)
    has_interval = ends and shown["share_low"].count() > 0
    sure = "thin lines: 95 % interval" if has_interval else "a census, without intervals"
    end = "share_high" if has_interval else "card_share"
    # ticks of whole percents would repeat where even the largest bar is a few percent long
    small = shown.filter(pl.max_horizontal("card_share", end) > 0.05).is_empty()
    x = share_axis("card_share", ends=False, format=".2~%" if small else ".0%")
    tips = ["shown", "kind", "example_id", *(["license_class"] if label != "license_class" else [])]
    tips += ["n_cards", "card_share", "share_low", "share_high"]
    base = each(shown)
    first, whole = shown.row(0, named=True), ""
    if first["card_share"]:  # the number of cards that the shares are of
        whole = f"of {number(round(first['n_cards'] / first['card_share']), 'card')}"
        if by is not None:
            whole += f" of {by}: {'not declared' if first[by] is None else first[by]}"
        whole += " that declare any" * declared
    return finish(
        layered(
            bars(base, x, tooltips(shown, *tips, shown=one)),
            *([interval(base, "share")] if has_interval else []),
            beside(base, f"{end}:Q", "n_cards", dx=5),
        ),
        title=title or f"The most frequent {noun}",
        subtitle=f"{cut_to(shown.height, counts.height, noun)}Share {whole}; number of cards "
        f"beside each bar{f'; {sure}' if ends else ''}",
        description=(
            f"Bars: {noun} by share {whole}. Most frequent: {first['shown']} on "
            f"{first['n_cards']:,} ({percent(first['card_share'])})."
        ),
        width=520,
    )


def _columns(counts: pl.DataFrame, label: str | None) -> tuple[str | None, str]:
    """Tell the column of groups, if there is one, from that of the names.

    Counts by a column have it first, and the names next to it; a licence has its class beside it.
    """
    before = counts.columns[: counts.columns.index("n_cards")]
    named = [name for name in before if name in _NOUNS]
    if label is None and len(named) > 1 and named[0] == before[0]:
        # counts of classes, which end with n_declared, by licence looks like license_counts
        of_class = named[1] == "license_class" and counts.columns[-1] != "n_declared"
        label = named[0] if named[0] == "license" and of_class else named[1]
    label = label or (named[0] if named else counts.columns[0])
    by = before[0] if before and before[0] not in (label, "name", "kind") else None
    return by, label


def _names(counts: pl.DataFrame, label: str) -> pl.Expr:
    """Give distinct names for the axis: a language by its name and code, a family by number."""
    if label == "language" and "name" in counts.columns:
        return pl.coalesce(pl.format("{} ({})", "name", "language"), "language")
    if label == "family" and "name" in counts.columns:  # two families can have one name
        return pl.format("{}: {}", "family", pl.coalesce("name", "example_id"))
    return not_declared(label)


# ---- Who has a card, and whose downloads those are.

#: The columns of the chart and their titles.
_PANELS = {
    "model_share": "of all models",
    "card_rate": "of these, with a card",
    "download_share": "of all downloads",
}
_TIPS = (
    *("shown", "n_models", "n_with_card", "card_rate", "rate_low", "rate_high", "downloads"),
    *("download_share", "card_download_share", "n_no_downloads"),
)


def plot_card_rates(
    rates: pl.DataFrame, *, title: str | None = None, top: int = 20
) -> alt.HConcatChart:
    """Draw each group's share of the models, how many of them have a card, and its downloads.

    Parameters
    ----------
    rates : pl.DataFrame
        From :func:`cardlab.replication.card_rates` with ``by``; its first column names the groups.
    title, top
        As in :func:`plot_counts`.

    Raises
    ------
    NoFigure
        The frame has no rows.
    """
    need(rates, "n_models", "card_rate", "n_with_card", made_by="card_rates(by=...)")
    if (label := rates.columns[0]) == "n_models":  # made without by: one bar
        label = "group"
        rates = rates.select(pl.lit("all models").alias(label), pl.all())
    shown = clean(rates.head(top)).with_columns(not_declared(label).alias("shown"))
    n_models, n_cards = rates["n_models"].sum(), rates["n_with_card"].sum()
    panels: list[alt.Chart | alt.LayerChart] = []
    for field in filter(shown.columns.__contains__, _PANELS):
        # the names stand at the first panel only
        axis: dict[str, Any] = {"labels": False, "ticks": False} if panels else {}
        base = each(shown, **axis).properties(width=170)
        x, tips = share_axis(field, _PANELS[field], ticks=4), tooltips(shown, *_TIPS, shown="group")
        bar = bars(base, x, tips)
        panels.append(layered(bar, interval(base, "rate")) if field == "card_rate" else bar)
    noun = label.replace("_", " ")
    first = shown.row(0, named=True)
    return finish(
        alt.hconcat(*panels, spacing=18),
        title=title or f"Models, cards and downloads by {noun}",
        subtitle=f"{cut_to(shown.height, rates.height, 'groups')}{n_cards:,} of {n_models:,} "
        f"models have a card; {interval_words(shown['rate_low'], 'thin lines: 95 % interval')}",
        description=(
            f"Bars: share of models, of models with a card and of downloads by {noun}. Largest: "
            f"{first['shown']} with {first['n_models']:,} of {n_models:,} models, "
            f"{percent(first['card_rate'])} of them with a card."
        ),
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
_COVERAGE_TIPS = (
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
    tips, axis = tooltips(shown, *_COVERAGE_TIPS), {"labelLimit": 330, "labelPadding": 6}
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
