"""Facets that no column of the cards gives: clusters on a map, and the sections that are filled."""

from __future__ import annotations

from functools import partial
from typing import Any

import polars as pl

from ..charts.map import plot_map
from ..coverage.coverage import card_coverage
from ..embeddings.atlas import Atlas, atlas
from ..embeddings.consensus import LAYERS
from ..embeddings.vectors import same_size
from .engine import Engine
from .facets import Facet, facet_of


def with_map(engine: Engine, points: Any, labels: Any) -> None:
    """Lay the cards out, and let their clusters be filtered by."""
    if points is None:
        points = atlas(engine.cards)
    if isinstance(points, Atlas):
        points = points.map
    same_size(points.height, engine.n, name="points", of="cards")
    layers = [name for name in LAYERS if name in points.columns]
    made = plot_map(points, labels=labels, layers=layers, max_points=max(engine.n, 1))
    engine.map, engine.points = made.to_dict(), (points, labels)
    placed = points.with_row_index("row").filter(pl.col("x").is_finite() & pl.col("y").is_finite())
    engine.order = placed.sort("id", "x", "y", maintain_order=True)["row"].to_numpy()
    if not layers and "cluster" in points.columns:
        layers = ["cluster"]
        points = points.with_columns(cluster_names(points["cluster"], labels))
    for layer in layers:
        engine.makers[layer] = partial(facet_of, points.lazy(), layer, 1_000)
    engine.layers = layers


def cluster_names(clusters: pl.Series, labels: Any) -> pl.Series:
    """Give each card the number and name of its cluster; null where it has none."""
    named = dict(labels.select("cluster", "label").iter_rows()) if labels is not None else {}
    words = {
        number: f"{number}: {named[number]}" if named.get(number) else f"{number}"
        for number in clusters.drop_nulls().unique()
        if number >= 0
    }
    return clusters.replace_strict(words, default=None, return_dtype=pl.String).alias("cluster")


def with_sections(engine: Engine) -> None:
    """Let the sections that cards fill be filtered by, once they are asked for."""

    def read() -> Facet:
        states = card_coverage(engine.cards).filter(pl.col("state") == "filled")
        filled = states.group_by("id", maintain_order=True).agg(section=pl.col("section"))
        cards = (
            engine.listed.lazy()
            .select("id")
            .join(filled.lazy(), on="id", how="left", maintain_order="left")
        )
        return facet_of(cards, "section")

    engine.makers["section"] = read
