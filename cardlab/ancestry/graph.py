"""The graph of ``base_model`` by number: who names whom, where the lines lead, what is a cycle.

Ids become whole numbers once; all that follows is arithmetic on arrays without recursion, so that
cycles and lines of any depth end in figures. Lines are followed by doubling: each round jumps
twice as far as the one before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl

from ..schema import STRINGS, CardlabError, collect, lazy, require
from ..shares import as_lists

#: What a card may say about how it was made from its parents, as the Hub tags it.
RELATIONS = ("finetune", "adapter", "merge", "quantized")

_LISTED = rf"^base_model:({'|'.join(RELATIONS)}):"


@dataclass(frozen=True)
class Graph:
    """The models of a corpus by number, and who names whom.

    `node` is the number of each card with an id. `edges` has ``child`` (number), ``parent`` (id)
    and ``known`` (number of the parent, null where it is not in the corpus), each pair once, by
    child and then in the order in which the parents are named; self-parents are only counted.
    """

    ids: pl.Series
    node: Any
    edges: pl.DataFrame
    declared: Any
    relation: pl.Series
    n_self: int
    n_without_id: int

    def known(self) -> tuple[Any, Any]:
        """Give child and parent of the edges within the corpus."""
        edges = self.edges.filter(pl.col("known").is_not_null())
        return edges["child"].to_numpy(), edges["known"].to_numpy()

    def first(self) -> Any:
        """Give the number of each model's first known parent, its own where there is none."""
        first = np.arange(len(self.ids))
        child, parent = self.known()
        first[child[::-1]] = parent[::-1]  # the last to be written is the first named
        return first


@dataclass(frozen=True)
class Lines:
    """Where the lines of first known parents lead; `root` and `depth` are -1 without a root."""

    root: Any
    depth: Any
    n_descendants: Any


def read_graph(cards: Any, *, relations: bool = True) -> Graph:
    """Read the columns that are needed and give every id a number, in the order of the cards."""
    rows = _columns(cards, relations=relations)
    with_id = rows.filter(pl.col("id").is_not_null())
    ids = with_id["id"].unique(maintain_order=True).alias("id")
    number = pl.DataFrame({"id": ids, "number": np.arange(len(ids))})
    with_id = with_id.join(number, on="id", how="left", maintain_order="left")
    node = with_id["number"].to_numpy()
    declared = np.zeros(len(ids), dtype=bool)
    declared[node[with_id["base_model"].is_not_null().to_numpy()]] = True
    named = (
        with_id.select("id", pl.col("number").alias("child"), pl.col("base_model").alias("parent"))
        .explode("parent", empty_as_null=False, keep_nulls=False)
        .filter(pl.col("parent").str.contains(r"\S"))
        .unique(["child", "parent"], keep="first", maintain_order=True)
    )
    parents = number.select(pl.col("id").alias("parent"), pl.col("number").alias("known"))
    edges = named.filter(pl.col("parent") != pl.col("id")).join(
        parents, on="parent", how="left", maintain_order="left"
    )
    said = with_id.filter(pl.col("relation").is_not_null()).unique(
        "number", keep="first", maintain_order=True
    )
    relation = number.join(said, on="number", how="left", maintain_order="left")["relation"]
    return Graph(
        ids=ids,
        node=node,
        edges=edges.select("child", "parent", "known").sort("child", maintain_order=True),
        declared=declared,
        relation=relation,
        n_self=named.height - edges.height,
        n_without_id=rows.height - with_id.height,
    )


def _columns(cards: Any, *, relations: bool) -> pl.DataFrame:
    """Collect ``id``, ``base_model`` as lists, and the relation that the tags say, else null."""
    have = require(cards, "id", "base_model")
    tagged = relations and "tags" in have
    names = ["id", "base_model", *(["tags"] if tagged else [])]
    if isinstance(cards, (pl.LazyFrame, pl.DataFrame)):
        frame = cards.lazy().select(names)
    else:
        frame = collect(lazy(cards).select(nw.col(name) for name in names)).lazy()
    dtypes = frame.collect_schema()
    for name in names[1:]:
        dtype = dtypes[name]
        inner = dtype.inner if isinstance(dtype, pl.List) else dtype
        if inner not in (pl.String, pl.Null, pl.Categorical):
            raise CardlabError(
                f"column {name!r} is {dtype}: it must hold strings or lists of strings. "
                "cardlab.scan_cards(source) reads the cards' columns as such."
            )
    said = pl.lit(None, pl.String)
    if tagged and isinstance(dtypes["tags"], pl.List):
        said = (
            pl.col("tags")
            .cast(STRINGS)
            .list.eval(pl.element().str.extract(_LISTED).drop_nulls())
            .list.first()
        )
    elif tagged:
        said = pl.col("tags").cast(pl.String).str.extract(_LISTED)
    rows = collect(frame.select(pl.col("id").cast(pl.String), "base_model", said.alias("relation")))
    return rows.with_columns(as_lists(rows["base_model"]))


def follow(first: Any) -> Lines:
    """Follow the first known parents of all models at once; a root is its own first parent."""
    n = len(first)
    is_root = first == np.arange(n)
    to, depth = first, (~is_root).astype(np.int64)
    for _ in range(n.bit_length()):
        if np.array_equal(further := to[to], to):
            break
        depth += depth[to]
        to = further
    # models of a cycle lead to each other: a jump never ends at a root, and hits each of them
    has_root = is_root[to]
    loop = np.unique(to[~has_root])
    cut = first.copy()
    cut[loop] = loop
    size = _tree_sizes(cut)
    label, around = np.arange(n), np.arange(n)
    around[loop] = first[loop]
    for _ in range(len(loop).bit_length()):
        label = np.minimum(label, label[around])
        around = around[around]
    size[loop] = np.bincount(label[loop], weights=size[loop], minlength=n)[label[loop]]
    return Lines(
        root=np.where(has_root, to, -1),
        depth=np.where(has_root, depth, -1),
        n_descendants=size.astype(np.int64) - 1,
    )


def _tree_sizes(first: Any) -> Any:
    """Count the models whose line passes through each one, itself included; without cycles."""
    n = len(first)
    to = np.append(np.where(first == np.arange(n), n, first), n)  # one beyond the roots ends all
    size = np.append(np.ones(n), 0.0)
    while (to < n).any():
        size += np.bincount(to, weights=size, minlength=n + 1)
        size[n] = 0
        to = to[to]
    return size[:n]


def cycles(graph: Graph) -> Any:
    """Give each model the number of its cycle of known parents, in any place; -1 is in none."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(graph.ids)
    child, parent = graph.known()
    if not len(child):
        return np.full(n, -1)
    links = coo_array((np.ones(len(child), dtype=np.int8), (child, parent)), shape=(n, n))
    _, label = connected_components(links, directed=True, connection="strong")
    return np.where(np.bincount(label)[label] > 1, label, -1)
