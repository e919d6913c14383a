"""Facets that no column of the cards gives: clusters on a map, and the sections that are filled."""

from __future__ import annotations

from typing import Any

import polars as pl

from ..charts.map import plot_map
from ..coverage.coverage import card_coverage
from ..embeddings.cluster import cluster
from ..embeddings.describe_clusters import cluster_summary
from ..embeddings.embed import embed
from ..embeddings.project import map_points
from ..embeddings.vectors import same_size, vectors
from .engine import Engine
from .facets import Facet, facet_of


def with_map(engine: Engine, points: Any, labels: Any) -> None:
    """Lay the cards out, and let their clusters be filtered by."""
    if points is None:
        x = vectors(engine.cards) if "embeddings" in engine.schema else embed(engine.cards)
        found = cluster(x)
        points = map_points(engine.cards, x=x, labels=found)
        labels = cluster_summary(engine.cards, labels=found)
    same_size(points.height, engine.n, name="points", of="cards")
    made = plot_map(points, labels=labels, max_points=max(engine.n, 1))
    engine.map, engine.points = made.to_dict(), (points, labels)
    placed = points.with_row_index("row").filter(pl.col("x").is_finite() & pl.col("y").is_finite())
    engine.order = placed.sort("id", "x", "y", maintain_order=True)["row"].to_numpy()
    if "cluster" in points.columns:
        names = points.select("cluster").with_columns(cluster_names(points["cluster"], labels))
        engine.makers["cluster"] = lambda: facet_of(names.lazy(), "cluster", 1_000)


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
