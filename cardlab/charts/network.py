"""Tags as a network: which go together, and in which groups."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import polars as pl

from ..colors import CATEGORIES, FAINT, INK, PAPER, TIE
from ..schema import at_least, shorten
from ..tags.communities import edges as beyond_chance
from .base import Box, clean, finish, layered, need, overlap, place, tooltips, values

_SIZE = (760, 560)
_PHONE = 290
_SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"]
_OTHERS = "other groups"
_SHOWN_GROUPS = 9
_MAX_EDGES = 400
_LONGEST = 32


def plot_network(
    pairs: pl.DataFrame,
    communities: pl.DataFrame,
    *,
    top: int = 60,
    random_state: int = 0,
    q_value: float = 0.01,
) -> alt.LayerChart:
    """Draw tags as points, joined where they go together, coloured by community.

    Parameters
    ----------
    pairs : pl.DataFrame
        From :func:`cardlab.cooccurrence`.
    communities : pl.DataFrame
        From :func:`cardlab.tag_communities` on these pairs.
    top : int
        Only the tags on most cards, of those in a community.
    random_state : int
        Seed of the layout.
    q_value : float
        Only edges with a q-value below this, and a positive NPMI.

    Returns
    -------
    alt.LayerChart
        Size: number of cards; width of an edge: NPMI; the legend has the numbers of the groups
        as in `communities`. Where a point stands is computed here,
        once: it means no more than that joined tags are near each other. Labels that would
        cover another are left out, rarest tags first; every point names itself on hover.

    Raises
    ------
    NoFigure
        There is no community.

    Examples
    --------
    >>> pairs = cl.cooccurrence(cl.make_cards(500), kinds=["free"])
    >>> cl.plot_network(pairs, cl.tag_communities(pairs)).description
    'Network of 20 tags with 10 edges, in 10 groups of tags that go together. ...'
    """
    at_least(top, 2, name="top")
    none = (
        "no two tags are known to go together beyond chance, so there are no communities. Pairs of "
        "fewer authors than cooccurrence(min_authors=) are not tested."
    )
    of_tags = ("tag", "community", "n_cards", "label")
    need(communities, *of_tags, made_by="tag_communities", none=none)
    of_pairs = ("tag_a", "tag_b", "n_cards", "npmi", "q_value")
    need(pairs, *of_pairs, made_by="cooccurrence", none=none)
    kept = communities.sort(["n_cards", "tag"], descending=[True, False]).head(top)
    ends = kept["tag"].implode()
    edges = pairs.join(beyond_chance(pairs, q_value=q_value), on=["tag_a", "tag_b"], how="semi")
    edges = edges.filter(pl.col("tag_a").is_in(ends) & pl.col("tag_b").is_in(ends)).sort(
        ["npmi", "tag_a", "tag_b"], descending=[True, False, False]
    )
    n_edges, edges = edges.height, edges.head(_MAX_EDGES)
    nodes = _placed(kept, edges, random_state)
    chart: alt.LayerChart = layered(*_layers(nodes, edges)).resolve_scale(
        strokeWidth="independent", size="independent"
    )
    total = round(pairs["n_cards"][0] / pairs["support"][0])
    cut = f"; the {edges.height:,} strongest edges" if n_edges > edges.height else ""
    first = nodes.row(0, named=True)
    shown, groups = (frame["community"].n_unique() for frame in (kept, communities))
    n_groups = f"{groups:,} groups" if shown == groups else f"{shown:,} of {groups:,} groups"
    return finish(
        chart,
        title="Which tags go together, in groups",
        subtitle=[
            f"{kept.height:,} most frequent of {communities.height:,} tags, in {n_groups}; "
            f"{total:,} cards",
            f"Edge: {n_edges:,} of {kept.height * (kept.height - 1) // 2:,} pairs go together "
            f"beyond chance (q < {q_value:g}), wider by NPMI{cut}",
        ],
        description=(
            f"Network of {kept.height} tags with {edges.height} edges, in {n_groups} of tags that "
            "go together. Most frequent: "
            f"{first['tag']} on {first['n_cards']:,} cards, in the group {first['label']}."
        ),
        width=_SIZE[0],
        height=_SIZE[1],
    )


def _placed(kept: pl.DataFrame, edges: pl.DataFrame, random_state: int) -> pl.DataFrame:
    """Add ``x``, ``y`` in pixels: joined tags near, groups apart, no two points on one spot."""
    import networkx as nx
    from scipy.stats import rankdata

    graph = nx.Graph()
    graph.add_nodes_from(kept["tag"])
    group = dict(kept.select("tag", "community").rows())
    for a, b, npmi in edges.select("tag_a", "tag_b", "npmi").iter_rows():
        graph.add_edge(a, b, weight=npmi * (1.0 if group[a] == group[b] else 0.15))
    # weak holds keep a group together, and groups without an edge between them in the figure
    for _, part in kept.group_by("community", maintain_order=True):
        hub, *others = part["tag"]
        graph.add_edge(hub, 0, weight=0.25)  # tags are strings: 0 is a point in between
        for tag in others:
            if not graph.has_edge(hub, tag):
                graph.add_edge(hub, tag, weight=0.2)
    spread = 1.9 / np.sqrt(max(kept.height, 1))
    found = nx.spring_layout(graph, k=spread, iterations=300, seed=random_state, weight="weight")
    place = np.array([found[tag] for tag in kept["tag"]], dtype=float).reshape(-1, 2)
    # spread over the figure: between where they are and equal steps
    straight = (place - place.min(axis=0)) / np.maximum(np.ptp(place, axis=0), 1e-9)
    even = (rankdata(place, method="ordinal", axis=0) - 1) / max(len(place) - 1, 1)
    places = 30 + (0.35 * straight + 0.65 * even) * (np.array(_SIZE) - 60)
    n_cards = kept["n_cards"].to_numpy()
    # the area of a point is in proportion to the cards, but never tiny
    size = (40 + 760 * n_cards / max(n_cards.max(initial=1), 1)).round(1)
    x, y = _apart(places, np.sqrt(size / np.pi)).round(1).T
    return kept.with_columns(x=pl.Series(x), y=pl.Series(y), size=pl.Series(size))


def _apart(place: Any, radius: Any) -> Any:
    """Push points off each other until none covers another (or 200 rounds are over)."""
    least = radius[:, None] + radius[None, :] + 7
    np.fill_diagonal(least, 0)
    for _ in range(200):
        offset = place[:, None, :] - place[None, :, :]
        distance = np.sqrt((offset**2).sum(axis=2)) + 1e-9
        short = np.maximum(least - distance, 0)
        if short.max() < 0.5:
            break
        place = place + (offset / distance[:, :, None] * short[:, :, None]).sum(axis=1) / 2.5
        place = place.clip(24, np.array(_SIZE) - 24)
    return place


def _labelled(nodes: pl.DataFrame) -> pl.DataFrame:
    """Give the names of tags that cover no point and no other name, and where they stand.

    ``narrow`` says which cover no other name either where the picture is as wide as a phone.
    """
    texts = (shorten(tag, _LONGEST) for tag in nodes["tag"])
    names = zip(range(nodes.height), texts, nodes["x"], nodes["y"], strict=True)
    radius = np.sqrt(nodes["size"].to_numpy() / np.pi).tolist()
    placed = place(names, width=_SIZE[0], height=_SIZE[1], radius=radius)
    rows, taken, scale = [], list[Box](), _PHONE / _SIZE[0]
    for name in placed:
        (x, y), half = name.middle, name.width / 2
        box = (x * scale - half, name.top, x * scale + half, name.top + name.height)
        narrow = not any(overlap(box, other) for other in taken)
        taken += [box] if narrow else []
        rows.append((nodes["tag"][name.group], name.text, x, y, narrow))
    kinds = {"tag": pl.String, "text": pl.String, "text_x": pl.Float64, "text_y": pl.Float64}
    return pl.DataFrame(rows, schema=kinds | {"narrow": pl.Boolean}, orient="row")


def _layers(kept: pl.DataFrame, edges: pl.DataFrame) -> list[alt.Chart]:
    nodes, labels = clean(kept), _labelled(kept)
    groups = nodes.unique("community", maintain_order=True).sort("community").head(_SHOWN_GROUPS)
    named = [f"{number}  {label}" for number, label in groups.select("community", "label").rows()]
    of_group = dict(zip(groups["community"], named, strict=True))
    group = pl.col("community").replace_strict(of_group, default=_OTHERS, return_dtype=pl.String)
    nodes = nodes.with_columns(group.alias("group"))
    domain = [*named, _OTHERS] if _OTHERS in nodes["group"] else named
    colors = [*CATEGORIES[: len(named)], FAINT][: len(domain)]
    shapes = [*(_SHAPES[i % len(_SHAPES)] for i in range(len(named))), "circle"][: len(domain)]
    legend = alt.Legend(title="group", orient="bottom", columns=3, symbolSize=90, labelLimit=230)
    x = alt.X("x:Q", axis=None).scale(domain=[0, _SIZE[0]], nice=False, zero=False)
    y = alt.Y("y:Q", axis=None).scale(domain=[_SIZE[1], 0], nice=False, zero=False)
    layers = []
    if edges.height:
        spots = kept.select("tag", "x", "y")
        ends = (
            edges.select("tag_a", "tag_b", "n_cards", "npmi", "lift")
            .join(spots, left_on="tag_a", right_on="tag", maintain_order="left")
            .join(spots, left_on="tag_b", right_on="tag", suffix="2", maintain_order="left")
        )
        width = alt.StrokeWidth("npmi:Q", legend=None).scale(domain=[0, 1], range=[0.4, 4])
        tips = tooltips(ends, *ends.columns[:5], n_cards="cards with both")
        rule = alt.Chart(values(ends)).mark_rule(color=TIE, opacity=0.45)
        layers.append(rule.encode(x=x, y=y, x2="x2:Q", y2="y2:Q", strokeWidth=width, tooltip=tips))
    look: dict[str, Any] = {"filled": True, "opacity": 0.95, "stroke": PAPER, "strokeWidth": 1}
    points = alt.Chart(values(nodes)).mark_point(**look)
    layers.append(
        points.encode(
            x=x,
            y=y,
            size=alt.Size("size:Q", scale=None, legend=None),
            color=alt.Color("group:N", legend=legend).scale(domain=domain, range=colors),
            shape=alt.Shape("group:N", legend=legend).scale(domain=domain, range=shapes),
            tooltip=tooltips(nodes, "tag", "n_cards", "group", "centrality"),
        )
    )
    if labels.height:
        text = alt.Chart(values(labels)).mark_text(baseline="middle", color=INK)
        text = text.transform_filter(f"width > {_SIZE[0] / 2} || datum.narrow")
        layers.append(text.encode(x="text_x:Q", y="text_y:Q", text="text:N"))
    return layers
