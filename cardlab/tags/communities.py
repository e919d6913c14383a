"""Groups of tags that go together, and how far one may trust them."""

from __future__ import annotations

import itertools
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from ..schema import CardlabError, at_least, one_of, require

#: Edges that are searched for communities at most: beyond, a search takes minutes.
MAX_EDGES = 200_000
#: What an edge weighs.
Weight = Literal["npmi", "lift"]
_SCHEMA = {
    **{"tag": pl.String, "community": pl.Int64, "n_cards": pl.Int64},
    **{"centrality": pl.Float64, "label": pl.String},
}


def tag_communities(
    pairs: pl.DataFrame,
    *,
    weight: Weight = "npmi",
    q_value: float = 0.01,
    random_state: int = 0,
    n_runs: int = 10,
    quality: bool = False,
) -> pl.DataFrame:
    """Find groups of tags that are on the same cards more often than chance would have it.

    Parameters
    ----------
    pairs : pl.DataFrame
        From :func:`cooccurrence`. Its pairs with a positive NPMI and a q-value below the bound
        are the edges of a graph of tags, but not those that are ``derived`` or were not tested.
    weight : {"npmi", "lift"}
        What an edge weighs. Lift gives pairs of rare tags more weight than NPMI does.
    q_value : float
        The bound, above 0, at most 1.
    random_state : int
        Seed of the first run; run i has ``random_state + i``.
    n_runs : int
        The search depends on chance: of so many runs, that of the highest modularity is given
        (the first, if several have it).
    quality : bool
        Say also how clear the communities are, and whether another run would find them (of 2
        runs or more).

    Returns
    -------
    pl.DataFrame
        ``tag``, ``community`` (0 is that of most tags; of as many, that with the first tag by
        name), ``n_cards``, ``centrality`` (weight of the tag's edges inside its community, as a
        share of that of all its members: 0-1, the sum of a community is 1), ``label`` (of the
        community: its two most central tags). By community, then most central first, then by
        name. Tags without an edge are in no community and left out. With `quality` also, the same
        on all rows: ``n_tags``, ``n_edges``, ``n_communities``, ``modularity`` (-0.5 to 1; 0 as if
        the edges were put down by chance; above about 0.3 is taken for structure), ``n_runs``,
        ``ari_mean`` and ``ari_low`` (mean and lowest adjusted Rand index of any two runs: 1 is
        the same communities, 0 no more agreement than by chance).

    Raises
    ------
    CardlabError
        `pairs` is not the frame it should be, or has too many edges to be searched.

    Notes
    -----
    Louvain's method (Blondel and others 2008) as in networkx.

    Examples
    --------
    >>> pairs = cl.cooccurrence(cl.make_cards(500), kinds=["free"])
    >>> cl.tag_communities(pairs)["tag", "community", "n_cards"].row(0)
    ('amber-lattice', 0, 8)
    """
    graph, tags = _graph(pairs, weight, q_value)
    at_least(n_runs, 2 if quality else 1, name="n_runs")
    runs = _runs(graph, random_state, n_runs) if graph.number_of_edges() else []
    modularity, best = max(runs, key=lambda run: run[0], default=(None, []))
    sizes = {tag: n for side in "ba" for tag, n in pairs.select(f"tag_{side}", f"n_{side}").rows()}
    rows: list[tuple[str, int, int, float, str]] = []
    for number, members in enumerate(sorted(best, key=lambda group: (-len(group), min(group)))):
        inside = graph.subgraph(members).degree(weight="weight")
        total = sum(degree for _, degree in inside)
        central = sorted(((-degree / total, tags[place]) for place, degree in inside))
        label = ", ".join(tag for _, tag in central[:2])
        rows += [(tag, number, sizes[tag], -share, label) for share, tag in central]
    found = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    if not quality:
        return found
    agreement = _agreement(graph.number_of_nodes(), [groups for _, groups in runs])
    return found.with_columns(
        n_tags=pl.lit(graph.number_of_nodes(), pl.Int64),
        n_edges=pl.lit(graph.number_of_edges(), pl.Int64),
        n_communities=pl.lit(len(best), pl.Int64),
        modularity=pl.lit(modularity, pl.Float64),
        n_runs=pl.lit(len(runs), pl.Int64),
        ari_mean=pl.lit(float(np.mean(agreement)) if agreement else None, pl.Float64),
        ari_low=pl.lit(min(agreement, default=None), pl.Float64),
    )


def _agreement(n_tags: int, runs: list[list[set[int]]]) -> list[float]:
    """Give the adjusted Rand index of any two runs."""
    from sklearn.metrics import adjusted_rand_score

    labels = np.empty((len(runs), n_tags), dtype=np.int64)
    for run, groups in zip(labels, runs, strict=True):
        for number, members in enumerate(groups):
            run[list(members)] = number
    return [float(adjusted_rand_score(a, b)) for a, b in itertools.combinations(labels, 2)]


def findings(pairs: pl.DataFrame) -> pl.DataFrame:
    """Leave out the pairs that follow from one another by how tags are made."""
    return pairs.filter(~pl.col("derived")) if "derived" in pairs.columns else pairs


def edges(pairs: pl.DataFrame, *, weight: Weight = "npmi", q_value: float = 0.01) -> pl.DataFrame:
    """Give the pairs that are beyond chance: ``tag_a``, ``tag_b``, ``weight``; sorted by name."""
    require(pairs, "tag_a", "tag_b", "n_a", "n_b", "npmi", "lift", "q_value")
    one_of(weight, get_args(Weight), name="weight")
    if not isinstance(q_value, (int, float)) or not 0 < q_value <= 1:
        raise CardlabError(f"q_value must be above 0 and at most 1, not {q_value!r}.")
    beyond = findings(pairs).filter((pl.col("npmi") > 0) & (pl.col("q_value") < q_value))
    return beyond.select("tag_a", "tag_b", pl.col(weight).alias("weight")).sort("tag_a", "tag_b")


def _graph(pairs: pl.DataFrame, weight: Weight, q_value: float) -> tuple[Any, pl.Series]:
    """Give the graph of tags by their numbers, and the tags.

    Numbers, as the order of a set of strings differs from run to run, and with it the rounding.
    """
    import networkx as nx

    rows = edges(pairs, weight=weight, q_value=q_value)
    if rows.height > MAX_EDGES:
        raise CardlabError(
            f"{rows.height:,} pairs are beyond chance; at most {MAX_EDGES:,} are searched for "
            "communities. Set top= or min_cards= of cooccurrence to keep fewer pairs."
        )
    tags = pl.concat([rows["tag_a"], rows["tag_b"]]).unique().sort()
    ends = (tags.search_sorted(rows[name]).to_list() for name in ("tag_a", "tag_b"))
    graph = nx.Graph()
    graph.add_nodes_from(range(tags.len()))
    graph.add_weighted_edges_from(zip(*ends, rows["weight"], strict=True))
    return graph, tags


def _runs(graph: Any, random_state: int, n_runs: int) -> list[tuple[float, list[set[int]]]]:
    """Search `n_runs` times: modularity and communities of each run."""
    from networkx.algorithms.community import louvain_communities, modularity

    runs = []
    for number in range(n_runs):
        found = louvain_communities(graph, weight="weight", seed=random_state + number)
        runs.append((float(modularity(graph, found, weight="weight")), found))
    return runs
