"""Tables of two things against each other as heatmaps."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import polars as pl

from ..schema import NoFigure, one_of
from .base import (
    DIVERGING,
    INK,
    SEQUENTIAL,
    clean,
    finish,
    need,
    not_declared,
    percent,
    tooltips,
    values,
)

_MEASURES = {
    "npmi": "NPMI",
    "lift": "lift",
    "jaccard": "Jaccard",
    "n_cards": "cards with both",
}


def plot_cooccurrence(pairs: pl.DataFrame, *, measure: str = "npmi", top: int = 30) -> Any:
    """Draw pairs of tags as a heatmap, with tags that go together side by side.

    Parameters
    ----------
    pairs : pl.DataFrame
        From :func:`cardlab.cooccurrence`.
    measure : {"npmi", "lift", "jaccard", "n_cards"}
        What the colour shows.
    top : int
        Only the tags on most cards.

    Returns
    -------
    alt.Chart
        Empty cells are pairs that `pairs` does not have: never, or on too few cards, together.

    Raises
    ------
    NoFigure
        There are no pairs.
    """
    need(pairs, "tag_a", "tag_b", "n_cards", "npmi", made_by="cooccurrence")
    one_of(measure, _MEASURES, name="measure")
    if not pairs.height:
        raise NoFigure("no two tags are together on enough cards.")
    pairs = clean(pairs)
    sizes = _tag_sizes(pairs)
    kept = sizes.head(top)["tag"].to_list()
    inside = pairs.filter(pl.col("tag_a").is_in(kept) & pl.col("tag_b").is_in(kept))
    order = _seriated(inside, kept)
    mirrored = inside.rename({"tag_a": "tag_b", "tag_b": "tag_a", "n_a": "n_b", "n_b": "n_a"})
    cells = pl.concat([inside, mirrored.select(inside.columns)])
    size = max(14, min(26, 560 // max(len(order), 1)))
    x = alt.X("tag_a:N", sort=order, title=None, axis=alt.Axis(labelAngle=-45, labelLimit=140))
    y = alt.Y("tag_b:N", sort=order, title=None, axis=alt.Axis(labelLimit=180))
    names = {
        "tag_a": "tag",
        "tag_b": "with",
        "n_cards": "cards with both",
        "n_a": "cards with the first",
        "n_b": "cards with the second",
        "npmi": "NPMI",
        "lift": "lift",
        "jaccard": "Jaccard",
        "confidence_ab": "first then second",
        "q_value": "q",
    }
    chart = (
        alt.Chart(values(cells), width=alt.Step(size), height=alt.Step(size))
        .mark_rect()
        .encode(
            x=x,
            y=y,
            color=alt.Color(f"{measure}:Q", title=_MEASURES[measure], scale=_scale(measure, cells)),
            tooltip=tooltips(cells, names),
        )
    )
    best = inside.row(0, named=True) if inside.height else None
    strongest = f" Strongest: {best['tag_a']} and {best['tag_b']}." if best else ""
    total = round(pairs["n_cards"][0] / pairs["support"][0])
    return finish(
        chart,
        title="Tags that go together",
        subtitle=f"{len(order)} most frequent of {sizes.height:,} tags in pairs; {total:,} cards",
        description=(
            f"Heatmap of {len(order)} by {len(order)} tags, coloured by {measure}.{strongest} "
            "Empty cells: on too few cards together."
        ),
    )


def _scale(measure: str, cells: pl.DataFrame) -> alt.Scale:
    if measure == "npmi":
        return alt.Scale(domain=[-1, 1], domainMid=0, range=DIVERGING)
    if measure == "lift":
        top = float(cells["lift"].max() or 1)  # type: ignore[arg-type]
        return alt.Scale(type="log", domain=[1 / max(top, 1.01), max(top, 1.01)], range=DIVERGING)
    return alt.Scale(range=SEQUENTIAL)


def _tag_sizes(pairs: pl.DataFrame) -> pl.DataFrame:
    sides = [
        pairs.select(pl.col(f"tag_{side}").alias("tag"), pl.col(f"n_{side}").alias("n"))
        for side in ("a", "b")
    ]
    return pl.concat(sides).unique().sort(["n", "tag"], descending=[True, False])


def _seriated(pairs: pl.DataFrame, tags: list[str]) -> list[str]:
    """Order tags so that those with a high NPMI stand side by side (average linkage)."""
    if len(tags) < 3:
        return tags
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    place = {tag: at for at, tag in enumerate(tags)}
    distance = np.full((len(tags), len(tags)), 1.0)
    np.fill_diagonal(distance, 0.0)
    for a, b, npmi in pairs.select("tag_a", "tag_b", "npmi").iter_rows():
        distance[place[a], place[b]] = distance[place[b], place[a]] = 1 - max(npmi, 0.0)
    tree = linkage(squareform(distance, checks=False), method="average", optimal_ordering=True)
    return [tags[at] for at in leaves_list(tree)]


def plot_crosstab(
    table: pl.DataFrame, *, rows: str = "row", columns: str = "column", title: str | None = None
) -> Any:
    """Draw a cross table as a heatmap: cards in each cell, colour by what chance would not give.

    Parameters
    ----------
    table : pl.DataFrame
        From :func:`cardlab.crosstab`.
    rows, columns : str
        What the rows and columns are, for the axes.
    title : str, optional
        Instead of the one made from them.

    Returns
    -------
    alt.LayerChart
        Colour: the standardised residual, cut at -10 and 10; blue more, brown fewer cards than
        if rows and columns were independent.

    Raises
    ------
    NoFigure
        The table has no rows.
    """
    need(table, "row", "column", "n_cards", "residual", "n_total", made_by="crosstab")
    shown = clean(table).with_columns(
        not_declared("row"),
        not_declared("column"),
        pl.col("residual").clip(-10, 10).alias("shade"),
    )
    data = values(shown)
    row_order = shown["row"].unique(maintain_order=True).to_list()
    column_order = shown["column"].unique(maintain_order=True).to_list()
    names = {
        "row": rows,
        "column": columns,
        "n_cards": "cards",
        "row_share": "share of the row's cards",
        "expected": "expected by chance",
        "residual": "standardised residual",
    }
    base = alt.Chart(data, width=alt.Step(46), height=alt.Step(22)).encode(
        x=alt.X("column:N", sort=column_order, title=columns, axis=alt.Axis(labelAngle=-45)),
        y=alt.Y("row:N", sort=row_order, title=rows),
    )
    scale = alt.Scale(domain=[-10, 10], domainMid=0, range=DIVERGING)
    heat = base.mark_rect().encode(
        color=alt.Color("shade:Q", title="residual", scale=scale),
        tooltip=tooltips(shown, names),
    )
    numbers = base.mark_text(fontSize=10, color=INK).encode(
        text=alt.Text("n_cards:Q", format=",d"),
        color=alt.condition("abs(datum.shade) > 6.5", alt.value("#ffffff"), alt.value(INK)),
    )
    most = shown.sort("residual", descending=True, nulls_last=True).row(0, named=True)
    return finish(
        alt.layer(heat, numbers),
        title=title or f"{rows.capitalize()} by {columns}",
        subtitle=(
            f"{shown['n_total'][0]:,} cards with both; {len(row_order)} by {len(column_order)} "
            "most frequent values; colour: more (blue) or fewer (brown) than by chance"
        ),
        description=(
            f"Table of {rows} by {columns}. Most above chance: {most['row']} with "
            f"{most['column']}, {most['n_cards']:,} cards, {percent(most['row_share'])} of its row."
        ),
    )
