"""Who has a card, and whose downloads those are."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from .base import ACCENT, INK, clean, finish, need, not_declared, percent, tooltips, values

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
        From :func:`cardlab.card_rates` with ``by``; its first column names the groups.
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
