"""Ranked bars of a count, and the trust to put in it."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from .base import (
    ACCENT,
    FAINT,
    INK,
    clean,
    finish,
    need,
    not_declared,
    one_group,
    percent,
    tooltips,
    values,
)

_LABELS = ("tag", "license", "language", "license_class", "value", "group", "problem", "family")
_NOUN = {
    "tag": "tags",
    "license": "licences",
    "language": "languages",
    "license_class": "licence classes",
    "value": "values",
    "group": "groups",
    "problem": "problems",
    "family": "families",
}
_ENDS = ("card_share", "share_high")
_ONE = {"licence classes": "licence class", "families": "family"}


def plot_counts(
    counts: pl.DataFrame, *, title: str | None = None, label: str | None = None, top: int = 25
) -> Any:
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

    Returns
    -------
    alt.LayerChart

    Raises
    ------
    NoFigure
        The frame has no rows.
    CardlabError
        It has several groups, which are not shares of one number of cards.
    """
    made_by = "tag_counts, license_counts or language_counts"
    need(counts, "n_cards", "card_share", *([label] if label else []), made_by=made_by)
    by, label = _columns(counts, label)
    if by is not None:
        one_group(counts, by, made_by=made_by)
    noun = _NOUN.get(label, label)
    shown = clean(counts.head(top)).with_columns(_names(counts, label).alias("shown"))
    # what differs in characters that are not shown only would be one bar over the other
    again = pl.col("shown").cum_count().over("shown")
    shown = shown.with_columns(
        pl.when(again > 1)
        .then(pl.format("{} ({})", "shown", again))
        .otherwise("shown")
        .alias("shown")
    )
    data = values(shown)
    total = _denominator(counts)
    order = shown["shown"].to_list()
    y = alt.Y("shown:N", sort=order, title=None)
    base = alt.Chart(data, height=alt.Step(20))
    one = _ONE.get(noun, noun[:-1] if noun.endswith("s") else noun)
    names = {"shown": one, "kind": "kind", "example_id": "for example"}
    names |= {"license_class": "class"} if label != "license_class" else {}
    tips = tooltips(shown, names | {"n_cards": "cards", "card_share": "share of all cards"})
    if "share_low" in shown.columns:
        tips += tooltips(shown, {"share_low": "95 % interval from", "share_high": "to"})
    # ticks of whole percents would repeat where even the largest bar is a few percent long
    largest = max(float(shown[name].max() or 0) for name in _ENDS if name in shown.columns)  # type: ignore[arg-type]
    ticks = alt.Axis(format=".0%" if largest > 0.05 else ".2~%", tickCount=6)
    x = alt.X("card_share:Q", title="share of cards", axis=ticks)
    layers = [base.mark_bar(color=ACCENT, opacity=0.85).encode(x=x, y=y, tooltip=tips)]
    end = "card_share"
    if {"share_low", "share_high"} <= set(shown.columns):
        end = "share_high"
        layers.append(base.mark_rule(color=INK).encode(x="share_low:Q", x2="share_high:Q", y=y))
    layers.append(
        base.mark_text(align="left", dx=5, color=FAINT).encode(
            x=alt.X(f"{end}:Q"), y=y, text=alt.Text("n_cards:Q", format=",d")
        )
    )
    first = shown.row(0, named=True)
    cut = f"The first {shown.height:,} of {counts.height:,} {noun}. " if counts.height > top else ""
    whole = f"of {total:,} card{'s' * (total != 1)}" if total else ""
    interval = "; thin lines: 95 % interval" if len(layers) > 2 else ""
    if by is not None and total:
        group = first[by]
        whole += f" of {by}: {'not declared' if group is None else group}"
    return finish(
        alt.layer(*layers),
        title=title or f"The most frequent {noun}",
        subtitle=f"{cut}Share {whole}; number of cards beside each bar{interval}",
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
    named = [name for name in before if name in _LABELS]
    if label is None and len(named) > 1 and named[0] == before[0]:
        # counts of classes, which end with n_declared, by licence looks like license_counts
        beside = named[1] == "license_class" and counts.columns[-1] != "n_declared"
        label = named[0] if named[0] == "license" and beside else named[1]
    label = label or (named[0] if named else counts.columns[0])
    by = before[0] if before and before[0] not in (label, "name", "kind") else None
    return by, label


def _names(counts: pl.DataFrame, label: str) -> pl.Expr:
    """Give distinct names for the axis: a language by its name and code, a family by number."""
    if label == "language" and "name" in counts.columns:
        named = pl.format("{} ({})", pl.col("name"), pl.col("language"))
        return pl.coalesce(named, pl.col("language"))
    if label == "family" and "name" in counts.columns:  # two families can have one name
        return pl.format("{}: {}", "family", pl.coalesce("name", "example_id"))
    return not_declared(label)


def _denominator(counts: pl.DataFrame) -> int:
    """Give the number of cards that the shares are of."""
    if not counts.height or not counts["card_share"][0]:
        return 0
    n_cards: int = round(counts["n_cards"][0] / counts["card_share"][0])
    return n_cards


# ---- Who has a card, and whose downloads those are.

#: The columns of the chart: field, title, its interval.
_PANELS = (
    ("model_share", "of all models", None),
    ("card_rate", "of these, with a card", ("rate_low", "rate_high")),
    ("download_share", "of all downloads", None),
)


def plot_card_rates(rates: pl.DataFrame, *, title: str | None = None, top: int = 20) -> Any:
    """Draw each group's share of the models, how many of them have a card, and its downloads.

    Parameters
    ----------
    rates : pl.DataFrame
        From :func:`cardlab.replication.card_rates` with ``by``; its first column names the groups.
    title : str, optional
        Instead of the one made from the name of the groups.
    top : int
        Only the first groups.

    Returns
    -------
    alt.HConcatChart

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
    panels = [
        _panel(shown, field, head, interval, label=i == 0)
        for i, (field, head, interval) in enumerate(_PANELS)
        if field in shown.columns
    ]
    cut = f"The first {shown.height} of {rates.height:,} groups. " if rates.height > top else ""
    noun = label.replace("_", " ")
    first = shown.row(0, named=True)
    return finish(
        alt.hconcat(*panels, spacing=18),
        title=title or f"Models, cards and downloads by {noun}",
        subtitle=f"{cut}{n_cards:,} of {n_models:,} models have a card; thin lines: 95 % interval",
        description=(
            f"Bars: share of models, of models with a card and of downloads by {noun}. Largest: "
            f"{first['shown']} with {first['n_models']:,} of {n_models:,} models, "
            f"{percent(first['card_rate'])} of them with a card."
        ),
    )


def _panel(
    shown: pl.DataFrame, field: str, head: str, interval: tuple[str, str] | None, *, label: bool
) -> Any:
    """Draw one share of all groups; the names stand at the first panel only."""
    axis = alt.Axis() if label else alt.Axis(labels=False, ticks=False)
    y = alt.Y("shown:N", sort=shown["shown"].to_list(), title=None, axis=axis)
    x = alt.X(
        f"{field}:Q",
        title=head,
        axis=alt.Axis(format=".0%", tickCount=4),
        scale=alt.Scale(domain=[0, 1]),
    )
    tips = tooltips(
        shown,
        {
            "shown": "group",
            "n_models": "models",
            "n_with_card": "with a card",
            "card_rate": "share with a card",
            "rate_low": "95 % interval from",
            "rate_high": "to",
            "downloads": "downloads",
            "download_share": "share of all downloads",
            "card_download_share": "of these, to models with a card",
            "n_no_downloads": "models without known downloads",
        },
    )
    base = alt.Chart(values(shown), width=170, height=alt.Step(20))
    bars = base.mark_bar(color=ACCENT, opacity=0.85).encode(x=x, y=y, tooltip=tips)
    if interval is None:
        return bars
    low, high = interval
    return bars + base.mark_rule(color=INK).encode(x=alt.X(f"{low}:Q"), x2=f"{high}:Q", y=y)
