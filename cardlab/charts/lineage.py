"""What changes from a base model to what is made from it."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import polars as pl

from .._lineage import CHANGES
from ..colors import CATEGORIES, FAINT, INK, SEQUENTIAL
from ..labels import label
from ..licenses.reading import CLASSES
from ..schema import NoFigure
from .base import (
    bars,
    beside,
    cells,
    clean,
    finish,
    interval,
    interval_words,
    layered,
    need,
    percent,
    share_axis,
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
_WORDS = {"earlier": "earlier in the order", "later": "later in the order"}
_FIGURES = ("n_edges", "declared_share", "declared_low", "declared_high", "n_declared", "n_all")


def plot_lineage(
    changes: pl.DataFrame, *, title: str | None = None, top: int = 12
) -> alt.LayerChart | alt.FacetChart:
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

    Examples
    --------
    >>> cl.plot_lineage(cl.lineage_changes(cl.make_cards(500, text=False))).description
    'Table of base models by the models made from them, 57 edges: same 35.1 % (20), ...'
    """
    nothing = (
        "none of the {:,} edges between models and their base models has both ends in this corpus "
        "with a declared value."
    )
    need(changes, "change", "column", *_FIGURES, made_by="lineage_changes", none=nothing.format(0))
    sums = dict(changes.group_by("change").agg(pl.col("n_edges").sum()).iter_rows())
    total, n_all = sum(sums.get(change, 0) for change in _COMPARED), sum(sums.values())
    if not total:
        raise NoFigure(nothing.format(n_all))
    compared = changes.filter(pl.col("change").is_in(_COMPARED))
    is_class = compared["column"][0] == "license_class"
    words = _CLASS_WORDS if is_class else _WORDS
    said = ", ".join(
        f"{words.get(change, change)} {percent(sums[change] / total)} ({sums[change]:,})"
        for change in _COMPARED
        if sums.get(change)
    )
    left = [f"{sums[why]:,} {why}" for why in CHANGES[6:] if sums.get(why)]
    chart: alt.LayerChart | alt.FacetChart
    if "parent_value" in changes.columns:
        usual = "From base model to what is made from it"
        about = f"Table of base models by the models made from them, {total:,} edges: {said}."
        marks = "Framed: no change; number: edges; colour: share of the row"
        chart, drawn = _heatmap(compared, words, CLASSES if is_class else None, top)
    else:
        usual, about = "What changes from base model to what is made from it", f"Bars of {total:,}"
        about = f"{about} edges by what changes: {said}."
        marks = (
            f"{interval_words(changes['declared_low'], 'Thin lines: 95 % interval')}; number: edges"
        )
        chart, drawn = _bars(compared, words), total
    cut = f" ({drawn:,} in the most frequent values shown)" if drawn < total else ""
    return finish(
        chart,
        title=title or usual,
        subtitle=[
            f"{total:,} of {n_all:,} edges have both ends in the corpus and declared{cut}",
            f"Of these: {said}",
            f"Left out: {', '.join(left)}" if left else "No edge is left out",
            marks,
        ],
        description=about,
    )


def _heatmap(
    compared: pl.DataFrame, words: dict[str, str], ranked: Sequence[str] | None, top: int
) -> tuple[alt.LayerChart, int]:
    """Draw the base models' values by those made from them; give the number of edges drawn too."""
    ends = ("parent_value", "child_value")
    found = clean(compared.select(*ends, "change", "n_edges"))
    found = found.group_by(*ends, "change").agg(pl.col("n_edges").sum())
    orders = []
    for name in ends:
        sums = found.group_by(name).agg(pl.col("n_edges").sum())
        kept = sums.sort(["n_edges", name], descending=[True, False]).head(top)[name].to_list()
        orders.append([value for value in ranked if value in kept] if ranked else kept)
    n_row = pl.col("n_edges").sum().over("parent_value")
    shown = found.sort(*ends, "change").with_columns(
        n_parent=n_row,
        row_share=pl.col("n_edges") / n_row,
        change=pl.col("change").replace(words),
        same=pl.col("change") == "same",
    )
    shown = shown.filter(
        pl.col(name).is_in(order) for name, order in zip(ends, orders, strict=True)
    )
    tips = tooltips(shown, *ends, "change", "n_edges", "n_parent", "row_share")
    x = alt.X("child_value:N", sort=orders[1], title="the model made from it")
    y = alt.Y("parent_value:N", sort=orders[0], title=label("parent_value"))
    base = alt.Chart(values(shown), width=alt.Step(56), height=alt.Step(26)).encode(
        x=x.axis(labelAngle=-40, labelLimit=160), y=y.axis(labelLimit=160)
    )
    color = alt.Color("row_share:Q", title="share of the base models' row")
    color = color.scale(domain=[0, 1], range=SEQUENTIAL)
    dark = "datum.row_share > 0.55"
    heat, numbers = cells(base, color, tips, "n_edges", dark=dark, format=".0%")
    kept_same = base.transform_filter("datum.same")
    frames = kept_same.mark_rect(fillOpacity=0, stroke=INK, strokeWidth=1.5)
    return layered(heat, frames, numbers), int(shown["n_edges"].sum())


def _bars(compared: pl.DataFrame, words: dict[str, str]) -> alt.FacetChart:
    relation = pl.col("relation").fill_null("not said")
    row = relation if "relation" in compared.columns else pl.lit("all edges")
    shown = compared.with_columns(pl.format("{} (of {})", row, "n_declared").alias("row"))
    ranked = shown.sort("n_declared", "row", descending=[True, False])["row"]
    found = set(shown["change"])
    changed = [words.get(change, change) for change in _COMPARED if change in found]
    data = shown.with_columns(pl.col("change").replace(words)).select("row", "change", *_FIGURES)
    fields = ("row", "change", "n_edges", "declared_share", "declared_low", "declared_high")
    y = alt.Y("change:N", sort=changed, title=None)
    base = alt.Chart(height=alt.Step(20), width=440).encode(y=y)
    color = alt.Color("change:N", legend=None).scale(domain=changed, range=[FAINT, *CATEGORIES])
    x = share_axis("declared_share", "share of the edges that can be compared")
    bar = bars(base, x, tooltips(data, *fields, row="edges from")).encode(color=color)
    text = beside(base, "declared_high:Q", "n_edges", dx=5)
    facet = alt.Facet("row:N", sort=ranked.unique(maintain_order=True).to_list(), title=None)
    facet = facet.header(labelAngle=0, labelAlign="left", labelAnchor="start", labelFontWeight=600)
    layers = layered(bar, interval(base, "declared"), text, data=values(data))
    return layers.facet(facet=facet, columns=1, spacing=8)
