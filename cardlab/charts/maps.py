"""Clusters as a map of points, and how far they can be trusted."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from ..schema import NoFigure, at_least
from .base import ACCENT, CATEGORIES, INK, MAX_ROWS_SHOWN, clean, finish, need, tooltips, values

_SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"]


def plot_map(
    points: pl.DataFrame,
    *,
    color: str = "cluster",
    labels: pl.DataFrame | None = None,
    title: str = "Map of the cards",
    max_points: int = 5000,
    random_state: int = 0,
) -> Any:
    """Draw cards as points; near points have similar vectors.

    Parameters
    ----------
    points : pl.DataFrame
        ``x``, ``y`` (from :func:`cardlab.project`), ``id`` and the column `color`. Points without
        coordinates are left out.
    color : str
        The column that gives colour and shape.
    labels : pl.DataFrame, optional
        ``cluster``, ``label`` from :func:`cardlab.cluster_summary`, for the legend.
    title : str
    max_points : int
        Beyond, an even sample by `random_state` is drawn, and the subtitle says so.
    random_state : int

    Returns
    -------
    alt.Chart

    Raises
    ------
    NoFigure
        No point has coordinates.
    """
    need(points, "x", "y", color, made_by="project, with the cards' ids and labels beside it")
    at_least(max_points, 1, name="max_points")
    placed = points.filter(pl.col("x").is_finite() & pl.col("y").is_finite())
    if not placed.height:
        raise NoFigure(f"none of the {points.height:,} cards has a place on the map.")
    names = clean(_group_names(placed, color, labels))
    shown = names.sample(min(max_points, MAX_ROWS_SHOWN, names.height), seed=random_state)
    order = names.group_by("group").len().sort(["len", "group"], descending=[True, False])
    groups = order["group"].to_list()
    chart = _scatter(shown, groups, color)
    sampled = f"an even sample of {shown.height:,} of " if shown.height < names.height else ""
    left_out = points.height - placed.height
    missing = f"; {left_out:,} without a usable vector left out" if left_out else ""
    return finish(
        chart,
        title=title,
        subtitle=f"{sampled}{names.height:,} cards{missing}; click the legend to pick a group",
        description=(
            f"Scatter of {shown.height:,} cards in two dimensions by likeness of their vectors, "
            f"{len(groups)} groups; largest: {groups[0]}. Distances between far groups mean little."
        ),
    )


def _scatter(shown: pl.DataFrame, groups: list[str], color: str) -> Any:
    """Draw the points; colours and shapes follow `groups`, a click in the legend picks one."""
    hide = alt.Axis(labels=False, ticks=False, grid=False, domain=False, title=None)
    scale = alt.Scale(domain=groups, range=(CATEGORIES * (len(groups) // 10 + 1))[: len(groups)])
    shapes = [shape for shape in _SHAPES for _ in CATEGORIES] * (len(groups) // 60 + 1)
    legend = alt.Legend(columns=1 if len(groups) <= 36 else 2, symbolLimit=60, labelLimit=230)
    pick = alt.selection_point(fields=["group"], bind="legend")
    return (
        alt.Chart(values(shown.select("x", "y", "id", "group")), width=560, height=480)
        .mark_point(filled=True, size=22)
        .encode(
            x=alt.X("x:Q", axis=hide, scale=alt.Scale(zero=False)),
            y=alt.Y("y:Q", axis=hide, scale=alt.Scale(zero=False)),
            color=alt.Color("group:N", sort=groups, title=color, scale=scale, legend=legend),
            shape=alt.Shape(
                "group:N",
                sort=groups,
                legend=legend,
                title=color,
                scale=alt.Scale(domain=groups, range=shapes[: len(groups)]),
            ),
            opacity=alt.condition(pick, alt.value(0.75), alt.value(0.06)),
            tooltip=tooltips(shown, {"id": "card", "group": color}),
        )
        .add_params(pick)
    )


def _group_names(placed: pl.DataFrame, color: str, labels: pl.DataFrame | None) -> pl.DataFrame:
    group = pl.col(color).cast(pl.String).fill_null("not declared")
    if labels is not None and color == "cluster":
        named = {
            str(row["cluster"]): f"{row['cluster']} {row['label']}" for row in labels.to_dicts()
        }
        group = group.replace({**named, "-1": "no cluster"})
    id_column = pl.col("id") if "id" in placed.columns else pl.lit("")
    return placed.select("x", "y", id_column.alias("id"), group.alias("group"))


def plot_stability(stability: pl.DataFrame, *, chosen: int | None = None) -> Any:
    """Draw how well clusters come back from run to run, for each number of clusters.

    Parameters
    ----------
    stability : pl.DataFrame
        From :func:`cardlab.cluster_stability`.
    chosen : int, optional
        The number of clusters in use, marked.

    Returns
    -------
    alt.LayerChart

    Raises
    ------
    NoFigure
        The frame has no rows.
    """
    need(stability, "n_clusters", "ari_mean", "ari_low", "silhouette", made_by="cluster_stability")
    base = alt.Chart(values(stability), height=240)
    x = alt.X(
        "n_clusters:Q",
        title="number of clusters",
        axis=alt.Axis(tickMinStep=1, format="d"),
        scale=alt.Scale(zero=False, nice=False, padding=12),
    )
    tips = tooltips(
        stability,
        {
            "n_clusters": "clusters",
            "ari_mean": "mean adjusted Rand",
            "ari_low": "5 % of runs below",
            "silhouette": "silhouette",
        },
    )
    y = alt.Y(
        "ari_mean:Q", title="agreement between runs (adjusted Rand)", scale=alt.Scale(domain=[0, 1])
    )
    layers = [
        base.mark_line(color=ACCENT).encode(x=x, y=y),
        base.mark_rule(color=ACCENT, opacity=0.5).encode(x=x, y="ari_low:Q", y2="ari_mean:Q"),
        base.mark_point(filled=True, color=ACCENT, size=60, opacity=1).encode(
            x=x, y=y, tooltip=tips
        ),
    ]
    if chosen is not None:
        mark = alt.Chart(alt.InlineData(values=[{"n_clusters": int(chosen)}]))
        layers.append(mark.mark_rule(color=INK, strokeDash=[4, 3]).encode(x="n_clusters:Q"))
    best = stability.sort(["ari_mean", "n_clusters"], descending=[True, False]).row(0, named=True)
    marked = f"; dashed: the {chosen} in use" if chosen is not None else ""
    return finish(
        alt.layer(*layers),
        title="Would the clusters come back?",
        subtitle=f"1: the same clusters in every run, 0: no better than chance; lines down to the "
        f"weakest 5 % of pairs of runs{marked}",
        description=(
            f"Mean adjusted Rand between runs for {stability.height} numbers of clusters; highest "
            f"at {best['n_clusters']} ({best['ari_mean']:.2f})."
        ),
        width=520,
    )
