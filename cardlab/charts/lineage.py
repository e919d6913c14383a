"""What changes from a base model to what is made from it."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from .._lineage import CHANGES
from ..licenses.reading import CLASSES
from ..schema import NoFigure
from .base import (
    ACCENT,
    CATEGORIES,
    FAINT,
    INK,
    SEQUENTIAL,
    clean,
    finish,
    need,
    percent,
    tooltips,
    values,
)

#: Edges that can be compared.
_COMPARED = CHANGES[:6]
#: How a change of licence class is said.
_CLASS_WORDS = {
    "earlier": "less restrictive",
    "later": "more restrictive",
    "differs": "differs, not ranked",
}
_FIGURES = ("n_edges", "declared_share", "declared_low", "declared_high", "n_declared", "n_all")


def plot_lineage(changes: pl.DataFrame, *, title: str | None = None, top: int = 12) -> Any:
    """Draw what becomes of a base model's value in the models made from it.

    Parameters
    ----------
    changes : pl.DataFrame
        From :func:`cardlab.lineage_changes`: with pairs of values a heatmap of the parent's by the
        child's, with ``pairs=False`` bars of what changes, by relation where it was asked for.
    title : str, optional
        Instead of the general one.
    top : int
        Only so many values of the parents and of the children, the most frequent ones.

    Returns
    -------
    alt.LayerChart or alt.FacetChart
        Only edges whose two ends are in the corpus and declare a value; the subtitle counts the
        others.

    Raises
    ------
    NoFigure
        No edge can be compared.
    """
    need(changes, "change", "column", *_FIGURES, made_by="lineage_changes")
    compared = changes.filter(pl.col("change").is_in(_COMPARED))
    if not compared["n_edges"].sum():
        n = changes["n_edges"].sum()
        raise NoFigure(
            f"none of the {n:,} edges between models and their base models has both ends in this "
            "corpus with a declared value."
        )
    if "parent_value" in changes.columns:
        return _heatmap(compared, changes, title, top)
    return _bars(compared, changes, title)


def _left_out(changes: pl.DataFrame) -> str:
    """Count the edges that are not drawn, by reason."""
    sums = changes.group_by("change").agg(pl.col("n_edges").sum())
    known = dict(sums.iter_rows())
    told = [f"{known[why]:,} {why}" for why in CHANGES[6:] if known.get(why)]
    return f"Left out: {', '.join(told)}" if told else "No edge is left out"


def _said(compared: pl.DataFrame) -> str:
    """Say how often a value stays and how often it changes."""
    sums = compared.group_by("change").agg(pl.col("n_edges").sum())
    known, total = dict(sums.iter_rows()), compared["n_edges"].sum()
    words = _words(compared)
    return ", ".join(
        f"{words.get(change, change)} {percent(known[change] / total)} ({known[change]:,})"
        for change in _COMPARED
        if known.get(change)
    )


def _words(compared: pl.DataFrame) -> dict[str, str]:
    if compared["column"][0] == "license_class":
        return _CLASS_WORDS
    return {"earlier": "earlier in the order", "later": "later in the order"}


def _heatmap(compared: pl.DataFrame, changes: pl.DataFrame, title: str | None, top: int) -> Any:
    ends = ("parent_value", "child_value")
    if isinstance(compared.schema["parent_value"], pl.List):
        compared = compared.with_columns(pl.col(name).list.join(", ") for name in ends)
    words = _words(compared)
    is_class = words is _CLASS_WORDS
    cells = compared.group_by(*ends, "change").agg(pl.col("n_edges").sum())
    cells = clean(cells.sort(*ends, "change"))
    order = [_ranked(cells, name, is_class, top) for name in ends]
    n_row = pl.col("n_edges").sum().over("parent_value")
    cells = cells.with_columns(
        n_row.alias("n_parent"),
        (pl.col("n_edges") / n_row).alias("row_share"),
        pl.col("change").replace(words),
        pl.when(pl.col("change") == "same")
        .then(pl.lit("same"))
        .otherwise(pl.lit(""))
        .alias("diagonal"),
    )
    shown = cells.filter(
        pl.col("parent_value").is_in(order[0]) & pl.col("child_value").is_in(order[1])
    )
    names = {"parent_value": "base model", "child_value": "made from it", "change": "change"}
    names |= {"n_edges": "edges", "n_parent": "edges from such base models", "row_share": "share"}
    base = alt.Chart(values(shown), width=alt.Step(56), height=alt.Step(26)).encode(
        x=alt.X("child_value:N", sort=order[1], title="the model made from it",
                axis=alt.Axis(labelAngle=-40, labelLimit=160)),
        y=alt.Y("parent_value:N", sort=order[0], title="base model",
                axis=alt.Axis(labelLimit=160)),
    )  # fmt: skip
    scale = alt.Scale(domain=[0, 1], range=SEQUENTIAL)
    legend = alt.Legend(orient="top", format=".0%", gradientLength=200)
    heat = base.mark_rect().encode(
        color=alt.Color("row_share:Q", title="share of the base models' row", scale=scale,
                        legend=legend),
        tooltip=tooltips(shown, names),
    )  # fmt: skip
    kept = base.transform_filter("datum.diagonal === 'same'").mark_rect(
        fillOpacity=0, stroke=INK, strokeWidth=1.5
    )
    numbers = base.mark_text(fontSize=10).encode(
        text=alt.Text("n_edges:Q", format=",d"),
        color=alt.condition("datum.row_share > 0.55", alt.value("#ffffff"), alt.value(INK)),
    )
    total, n_all = int(compared["n_edges"].sum()), int(changes["n_edges"].sum())
    said = _said(compared)
    drawn = int(shown["n_edges"].sum())
    cut = f" ({drawn:,} in the most frequent values shown)" if drawn < total else ""
    return finish(
        alt.layer(heat, kept, numbers),
        title=title or "From base model to what is made from it",
        subtitle=[
            f"{total:,} of {n_all:,} edges have both ends in the corpus and declared{cut}",
            f"Of these: {said}",
            _left_out(changes),
            "Framed: no change; number: edges; colour: share of the row",
        ],
        description=f"Table of base models by the models made from them, {total:,} edges: {said}.",
    )


def _ranked(cells: pl.DataFrame, name: str, is_class: bool, top: int) -> list[str]:
    sums = cells.group_by(name).agg(pl.col("n_edges").sum())
    kept = sums.sort(["n_edges", name], descending=[True, False]).head(top)[name].to_list()
    return [value for value in CLASSES if value in kept] if is_class else kept


def _bars(compared: pl.DataFrame, changes: pl.DataFrame, title: str | None) -> Any:
    by_relation = "relation" in changes.columns
    shown = compared.with_columns(
        (pl.col("relation").fill_null("not said") if by_relation else pl.lit("all edges")).alias(
            "row"
        ),
    ).with_columns(pl.format("{} (of {})", "row", "n_declared").alias("row"))
    ranked = shown.sort("n_declared", "row", descending=[True, False])["row"]
    order = ranked.unique(maintain_order=True).to_list()
    words = _words(compared)
    found = set(shown["change"])
    changed = [words.get(change, change) for change in _COMPARED if change in found]
    data = shown.with_columns(pl.col("change").replace(words)).select("row", "change", *_FIGURES)
    names = {"row": "edges", "change": "change", "n_edges": "edges with it"}
    names |= {"declared_share": "share", "declared_low": "95 % interval from"}
    base = alt.Chart(height=alt.Step(20), width=440).encode(
        y=alt.Y("change:N", sort=changed, title=None)
    )
    x = alt.X("declared_share:Q", title="share of the edges that can be compared",
              axis=alt.Axis(format=".0%", tickCount=6), scale=alt.Scale(domain=[0, 1]))  # fmt: skip
    colour = alt.Color(
        "change:N", legend=None, scale=alt.Scale(domain=changed, range=[FAINT, *CATEGORIES])
    )
    tips = [
        *tooltips(data, names),
        alt.Tooltip("declared_high:Q", title="to", format=".1%"),
    ]
    bars = base.mark_bar(opacity=0.85, color=ACCENT).encode(x=x, color=colour, tooltip=tips)
    rule = base.mark_rule(color=INK).encode(x="declared_low:Q", x2="declared_high:Q")
    text = base.mark_text(align="left", dx=5, color=FAINT).encode(
        x="declared_high:Q", text=alt.Text("n_edges:Q", format=",d")
    )
    header = alt.Header(labelAngle=0, labelAlign="left", labelAnchor="start", labelFontWeight=600)
    chart = alt.layer(bars, rule, text, data=values(data)).facet(
        facet=alt.Facet("row:N", sort=order, title=None, header=header), columns=1, spacing=8
    )
    total, n_all = int(compared["n_edges"].sum()), int(changes["n_edges"].sum())
    said = _said(compared)
    return finish(
        chart,
        title=title or "What changes from base model to what is made from it",
        subtitle=[
            f"{total:,} of {n_all:,} edges have both ends in the corpus and declared",
            f"Of these: {said}",
            _left_out(changes),
            "Thin lines: 95 % interval; number: edges",
        ],
        description=f"Bars of {total:,} edges by what changes: {said}.",
    )
