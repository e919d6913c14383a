"""Which model was made from which: the ``base_model`` of each card, its roots and its families."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl

from .languages import with_languages
from .licenses.counts import with_licenses
from .schema import STRINGS, CardlabError, at_least, collect, column_names, lazy, one_of, require
from .shares.counting import wilson
from .shares.frames import as_lists

# ---- The graph of ``base_model`` by number: who names whom, where the lines lead, what is a
# cycle.

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


# ---- What changes from a model to what is made from it, and how it is made: counts of edges.

#: What may have become of a value along an edge, and why an edge cannot be compared.
CHANGES = (
    *("same", "earlier", "later", "wider", "narrower", "differs"),
    *("parent undeclared", "child undeclared", "both undeclared", "parent not in corpus"),
)

_TAG = rf"^base_model:({'|'.join(RELATIONS)}):(.+)$"
#: What these are made from.
_FROM = {"license", "license_name", "license_link", "languages"}
#: Columns that are made where the cards lack them: from which column, and how.
_MADE: dict[str, tuple[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("license_class", "license_spdx"), ("license", with_licenses)),
    "language_codes": ("languages", with_languages),
}


def lineage_relations(cards: Any) -> pl.DataFrame:
    """Count the edges of the ``base_model`` graph by how the child was made from its parent.

    Parameters
    ----------
    cards : frame
        With ``id``, ``base_model`` and ``tags``; polars, or any that narwhals knows.

    Returns
    -------
    pl.DataFrame
        ``relation`` (one of :data:`RELATIONS`; null where no tag says how), ``n_edges`` (pairs of
        model and named parent), ``edge_share`` (0-1, of all edges), ``edge_low``, ``edge_high``
        (its 95 % Wilson interval), ``n_known`` (edges whose parent is in the corpus),
        ``n_models`` (models with such an edge), ``n_all`` (all edges). Most edges first, then by
        name. No edges give no rows.

    Raises
    ------
    MissingColumn
        The cards have no ``id``, ``base_model`` or ``tags``.
    CardlabError
        ``base_model`` or ``tags`` holds neither strings nor lists of strings.

    Notes
    -----
    The relation is that of the tag ``base_model:RELATION:PARENT`` for that very parent; of several
    the first. Edges are as in :func:`lineage_summary`: a parent named twice counts once, a model
    that names itself is no edge.
    """
    require(cards, "id", "base_model", "tags")
    graph = read_graph(cards, relations=False)
    edges = _with_relations(graph, cards)
    counts = edges.group_by("relation").agg(
        pl.len().cast(pl.Int64).alias("n_edges"),
        pl.col("known").count().cast(pl.Int64).alias("n_known"),
        pl.col("child").n_unique().cast(pl.Int64).alias("n_models"),
    )
    counts = counts.with_columns(pl.lit(edges.height, pl.Int64).alias("n_all"))
    return (
        counts.with_columns(*_share(counts, "n_all", "edge"))
        .sort("n_edges", "relation", descending=[True, False], nulls_last=True)
        .select(
            *("relation", "n_edges", "edge_share", "edge_low", "edge_high"),
            *("n_known", "n_models", "n_all"),
        )
    )


def lineage_changes(
    cards: Any,
    *,
    column: str = "license_class",
    order: Sequence[str] | None = None,
    by: str | None = None,
    relations: Sequence[str] | None = None,
    pairs: bool = True,
) -> pl.DataFrame:
    """Count the edges of the ``base_model`` graph by the parent's value and the child's.

    Parameters
    ----------
    cards : frame
        With ``id``, ``base_model``, `column`, and ``tags`` where `by` or `relations` is given.
    column : str
        Strings, such as ``license_class`` (:func:`with_licenses`) or ``pipeline_tag``, or lists,
        such as ``license_spdx`` or ``language_codes`` (:func:`with_languages`), compared as sets.
        These three are made from ``license`` and ``languages`` where the cards lack them.
    order : sequence of str, optional
        The values of a column of strings in an order that means something, such as
        ``cardlab.licenses.problems.ORDERED`` for ``license_class``: what asks for least first.
    by : {"relation"}, optional
        Count for each relation (see :func:`lineage_relations`) by itself.
    relations : sequence of str, optional
        Only edges of these relations.
    pairs : bool
        False counts by ``change`` alone, without the pairs of values: how often it changes.

    Returns
    -------
    pl.DataFrame
        - ``[relation,] parent_value``, ``child_value``: the type of `column`, lists sorted; null
          where nothing is declared or the parent is not in the corpus;
        - ``change`` (str): ``same``; with `order` ``earlier`` or ``later`` (the child's value
          stands before or after the parent's); for lists ``wider`` (all of the parent's and more)
          or ``narrower``; else ``differs``; or why there is nothing to compare: ``parent
          undeclared``, ``child undeclared``, ``both undeclared``, ``parent not in corpus``;
        - ``n_edges``, ``edge_share`` (0-1, of all edges [of the relation]), ``edge_low``,
          ``edge_high`` (its 95 % Wilson interval), ``n_all`` (all edges);
        - ``declared_share`` (0-1, of the edges whose two ends are in the corpus and declare a
          value; null for the others), ``declared_low``, ``declared_high``, ``n_declared``;
        - ``column`` (str, its name on all rows).

        Most edges first, then by the values.

    Raises
    ------
    MissingColumn
        The cards lack a column that is needed.
    CardlabError
        A column holds neither strings nor lists of strings, or an argument is not allowed.

    Notes
    -----
    Direct parents only, each of them: a merge of two models is two edges. Of an id on several
    cards the first that declares a value speaks for the model. An empty list, and the class
    ``undeclared``, is nothing declared. Edges of one family are not independent, so that the
    intervals are too narrow where a few parents have most of the children.
    """
    if by is not None:
        one_of(by, ("relation",), name="by")
    for relation in relations or ():
        one_of(relation, RELATIONS, name="relations")
    tagged = by is not None or relations is not None
    have = column_names(cards)
    make = None
    if column in _MADE and column not in have and _MADE[column][0] in have:
        make = _MADE[column][1]
    require(cards, *([] if make else [column]), *(["tags"] if tagged else []))
    graph = read_graph(cards, relations=False)
    edges = _with_relations(graph, cards) if tagged else graph.edges
    if relations is not None:
        edges = edges.filter(pl.col("relation").is_in(list(relations)))
    own = ("id", column) if make is None else ("id", *_FROM & set(have))
    narrow = _narrowed(cards, *own)
    edges = _with_values(edges, graph, narrow if make is None else make(narrow), column)
    edges = edges.with_columns(_change(edges, order).alias("change"))
    keys = [] if by is None else ["relation"]
    ends = pl.col("change").is_in(CHANGES[-4:])
    edges = edges.with_columns(
        (pl.len().over(keys) if keys else pl.len()).cast(pl.Int64).alias("n_all"),
        ((~ends).sum().over(keys) if keys else (~ends).sum()).cast(pl.Int64).alias("n_declared"),
    )
    values = ["parent_value", "child_value"] if pairs else []
    cells = [*keys, *values, "change", "n_all", "n_declared"]
    counts = edges.group_by(cells).agg(pl.len().cast(pl.Int64).alias("n_edges"))
    compared = counts.with_columns(pl.when(~ends).then("n_declared").alias("n_declared"))
    texts = [_text(counts, name).alias(f"__{name}") for name in values]
    names = [*keys, *(f"__{name}" for name in values), "change"]
    return (
        counts.with_columns(*_share(counts, "n_all", "edge"), *texts)
        .with_columns(*_share(compared, "n_declared", "declared"))
        .sort("n_edges", *names, descending=[True] + [False] * len(names), nulls_last=True)
        .select(
            *(*keys, *values, "change"),
            *("n_edges", "edge_share", "edge_low", "edge_high", "n_all"),
            *("declared_share", "declared_low", "declared_high", "n_declared"),
            pl.lit(column).alias("column"),
        )
    )


def _with_relations(graph: Graph, cards: Any) -> pl.DataFrame:
    """Give the edges with their ``relation``."""
    said = _relations(graph, cards)
    return graph.edges.join(said, on=["child", "parent"], how="left", maintain_order="left")


def _relations(graph: Graph, cards: Any) -> pl.DataFrame:
    """Read ``child, parent, relation`` from the tags; of several relations the first."""
    tag = pl.element()
    rows = _narrowed(cards, "id", "tags")
    dtype = rows.collect_schema()["tags"]
    if not isinstance(dtype, pl.List):
        rows = rows.with_columns(pl.concat_list(pl.col("tags").cast(pl.String)))
    said = collect(
        rows.select(
            pl.col("id").cast(pl.String),
            pl.col("tags").cast(STRINGS).list.eval(tag.filter(tag.str.contains(_TAG))),
        ).filter(pl.col("tags").list.len() > 0)
    ).explode("tags")
    number = pl.DataFrame({"id": graph.ids, "child": np.arange(len(graph.ids))})
    parts = pl.col("tags").str.extract_groups(_TAG).struct
    return (
        said.select("id", parts.field("1").alias("relation"), parts.field("2").alias("parent"))
        .join(number, on="id", maintain_order="left")
        .unique(["child", "parent"], keep="first", maintain_order=True)
        .select("child", "parent", "relation")
    )


def _narrowed(cards: Any, *names: str) -> pl.LazyFrame:
    """Give some columns lazily; engines other than polars hand over just these."""
    if isinstance(cards, (pl.LazyFrame, pl.DataFrame)):
        return cards.lazy().select(names)
    return collect(lazy(cards).select(nw.col(name) for name in names)).lazy()


def _with_values(
    edges: pl.DataFrame, graph: Graph, cards: pl.LazyFrame, column: str
) -> pl.DataFrame:
    """Add the values of both ends, null where nothing is declared."""
    rows = collect(cards.select(pl.col("id").cast(pl.String), value=column))
    dtype = rows.schema["value"]
    inner = dtype.inner if isinstance(dtype, pl.List) else dtype
    if inner not in (pl.String, pl.Null, pl.Categorical):
        raise CardlabError(
            f"column {column!r} is {dtype}: it must hold strings or lists of strings. "
            "with_licenses(cards) and with_languages(cards) add columns that can be compared."
        )
    value = pl.col("value")
    if isinstance(dtype, pl.List):
        rows = rows.with_columns(
            as_lists(rows["value"]).list.drop_nulls().list.unique().list.sort()
        )
        rows = rows.filter(value.list.len() > 0)
    else:
        rows = rows.with_columns(value.cast(pl.String)).filter(value != "undeclared")
    rows = rows.drop_nulls().unique("id", keep="first", maintain_order=True)
    place = pl.DataFrame({"id": graph.ids, "number": np.arange(len(graph.ids))})
    known = rows.join(place, on="id").select("number", "value")
    return edges.join(
        known.rename({"number": "known", "value": "parent_value"}), on="known", how="left"
    ).join(known.rename({"number": "child", "value": "child_value"}), on="child", how="left")


def _change(edges: pl.DataFrame, order: Sequence[str] | None) -> pl.Expr:
    """Say what became of the parent's value."""
    parent, child = pl.col("parent_value"), pl.col("child_value")
    if isinstance(edges.schema["parent_value"], pl.List):
        same = parent.list.join("\n") == child.list.join("\n")
        common = parent.list.set_intersection(child).list.len()
        later, earlier = common == parent.list.len(), common == child.list.len()
        words = ("wider", "narrower")
    else:
        same = parent == child
        place = {value: i for i, value in enumerate(order or ())}
        before, after = (
            value.replace_strict(place, default=None, return_dtype=pl.Int64)
            if place
            else pl.lit(None, pl.Int64)
            for value in (parent, child)
        )
        later, earlier = before < after, before > after
        words = ("later", "earlier")
    return (
        pl.when(pl.col("known").is_null())
        .then(pl.lit("parent not in corpus"))
        .when(parent.is_null() & child.is_null())
        .then(pl.lit("both undeclared"))
        .when(parent.is_null())
        .then(pl.lit("parent undeclared"))
        .when(child.is_null())
        .then(pl.lit("child undeclared"))
        .when(same)
        .then(pl.lit("same"))
        .when(later)
        .then(pl.lit(words[0]))
        .when(earlier)
        .then(pl.lit(words[1]))
        .otherwise(pl.lit("differs"))
    )


def _share(counts: pl.DataFrame, total: str, name: str) -> list[Any]:
    """Give the share of ``n_edges`` in a column of totals, and its interval; null without one."""
    low, high = wilson(counts["n_edges"].to_numpy(), counts[total].to_numpy())
    return [
        (counts["n_edges"] / counts[total]).alias(f"{name}_share"),
        pl.Series(f"{name}_low", low, dtype=pl.Float64).fill_nan(None),
        pl.Series(f"{name}_high", high, dtype=pl.Float64).fill_nan(None),
    ]


def _text(counts: pl.DataFrame, name: str) -> pl.Expr:
    """Give a value as text, to sort by: a list is no key."""
    is_list = isinstance(counts.schema[name], pl.List)
    return pl.col(name).list.join(",") if is_list else pl.col(name)


# ---- Which model was made from which: the ``base_model`` of each card, its roots and its
# families.

__all__ = [
    "CHANGES",
    "RELATIONS",
    "lineage",
    "lineage_changes",
    "lineage_families",
    "lineage_relations",
    "lineage_summary",
]


def lineage(cards: Any) -> pl.DataFrame:
    """Say for each card what it was made from, how far from its root, and what was made from it.

    Parameters
    ----------
    cards : frame
        With ``id``, ``base_model`` (list of str, or str), and ``tags`` where there are any;
        polars, or any that narwhals knows.

    Returns
    -------
    pl.DataFrame
        One row for each card that has an id, most descendants first, then by id:

        - ``id`` (str);
        - ``n_parents``, ``n_known_parents`` (int): models named in ``base_model``, and those of
          them that are in the corpus; null where ``base_model`` is null;
        - ``parent_ids`` (list of str): the named models in their order, each once, the model
          itself left out; null where ``base_model`` is null, empty where it names none;
        - ``root`` (str): the model that one reaches by following the first known parent, a model
          without a known parent being its own root; null where that way runs into a cycle;
        - ``depth`` (int): steps to the root on that way, 0 for a root; null without one;
        - ``in_cycle`` (bool): whether the model is its own ancestor, through any known parents.
          A model below a cycle is not in it, but has no root either; one whose second parent
          closes the cycle has the root to which its first parents lead;
        - ``n_children`` (int): models that name this one, in any place;
        - ``n_descendants`` (int): models whose line of first known parents passes through this
          one. A merge counts for the line of its first known parent only, so that the
          descendants of all roots add up to the models that have a root but are none;
        - ``relation`` (str): the first of :data:`RELATIONS` in the ``base_model:...:`` tags; null
          where no tag says one.

    Raises
    ------
    MissingColumn
        The cards have no ``id`` or no ``base_model``.
    CardlabError
        ``base_model`` or ``tags`` holds neither strings nor lists of strings.

    Notes
    -----
    Ids are compared exactly, case included. Blank names are no parents. Cards of one id are one
    model: its parents are those of all its cards in the order of the cards, and their rows are
    equal. Cards without an id have no row; :func:`lineage_summary` counts them.
    """
    graph = read_graph(cards)
    lines = follow(graph.first())
    child, parent = graph.known()
    n = len(graph.ids)
    declared = pl.Series(graph.declared)
    per_child = graph.edges.group_by("child", maintain_order=True).agg("parent")
    models = (
        pl.DataFrame({"id": graph.ids, "child": np.arange(n), "declared": declared})
        .join(per_child, on="child", how="left", maintain_order="left")
        .with_columns(
            pl.Series("n_parents", np.bincount(graph.edges["child"].to_numpy(), minlength=n)),
            pl.Series("n_known_parents", np.bincount(child, minlength=n)),
            pl.col("parent").fill_null(pl.lit([], STRINGS)).alias("parent_ids"),
            graph.ids.gather(_or_null(lines.root)).alias("root"),
            _or_null(lines.depth).alias("depth"),
            pl.Series("in_cycle", cycles(graph) >= 0),
            pl.Series("n_children", np.bincount(parent, minlength=n)),
            pl.Series("n_descendants", lines.n_descendants),
            graph.relation.alias("relation"),
        )
        .with_columns(
            pl.when("declared").then(pl.col(name)).alias(name)
            for name in ("n_parents", "n_known_parents", "parent_ids")
        )
        .drop("child", "declared", "parent")
    )
    names = ["id", "n_parents", "n_known_parents", "parent_ids", *models.columns[4:]]
    rows = models[pl.Series(graph.node)] if len(graph.node) != n else models
    return rows.select(names).sort("n_descendants", "id", descending=[True, False])


def lineage_summary(cards: Any) -> pl.DataFrame:
    """Count the edges, roots, merges and cycles of the ``base_model`` graph.

    Parameters
    ----------
    cards : frame
        As in :func:`lineage`; ``tags`` are not read.

    Returns
    -------
    pl.DataFrame
        One row of whole numbers:

        - ``n_cards``, ``n_without_id`` (cards left out of all that follows), ``n_models``
          (distinct ids);
        - ``n_declared`` (models whose ``base_model`` is not null), ``n_with_parent`` (models that
          name any other), ``n_with_known_parent``, ``n_merges`` (those that name several);
        - ``n_edges`` (pairs of model and named parent), ``n_dangling`` (those whose parent is not
          in the corpus), ``n_dangling_parents`` (distinct such parents), ``n_self`` (models that
          name themselves; not among the edges);
        - ``n_cycles`` (groups of models that are all ancestors of each other), ``n_in_cycle``
          (models in them), ``n_without_root`` (models in or below a cycle of first known parents);
        - ``n_roots`` (models without a known parent), ``n_families`` (roots that have any
          descendant), ``max_depth`` (of :func:`lineage`; null where no model has a root).

    Raises
    ------
    MissingColumn
        The cards have no ``id`` or no ``base_model``.
    CardlabError
        ``base_model`` holds neither strings nor lists of strings.
    """
    graph = read_graph(cards, relations=False)
    lines = follow(graph.first())
    label = cycles(graph)
    dangling = graph.edges.filter(pl.col("known").is_null())
    n = len(graph.ids)
    n_parents = np.bincount(graph.edges["child"].to_numpy(), minlength=n)
    is_root = lines.depth == 0
    figures = {
        "n_cards": len(graph.node) + graph.n_without_id,
        "n_without_id": graph.n_without_id,
        "n_models": n,
        "n_declared": graph.declared.sum(),
        "n_with_parent": (n_parents > 0).sum(),
        "n_with_known_parent": len(np.unique(graph.known()[0])),
        "n_merges": (n_parents > 1).sum(),
        "n_edges": graph.edges.height,
        "n_dangling": dangling.height,
        "n_dangling_parents": dangling["parent"].n_unique(),
        "n_self": graph.n_self,
        "n_cycles": len(np.unique(label[label >= 0])),
        "n_in_cycle": (label >= 0).sum(),
        "n_without_root": (lines.root < 0).sum(),
        "n_roots": is_root.sum(),
        "n_families": (is_root & (lines.n_descendants > 0)).sum(),
        "max_depth": lines.depth.max() if is_root.any() else None,
    }
    plain = {name: None if n is None else int(n) for name, n in figures.items()}
    return pl.DataFrame([plain], schema=dict.fromkeys(plain, pl.Int64))


def lineage_families(cards: Any, *, top: int | None = 20) -> pl.DataFrame:
    """List the largest families: a root and all models whose first known parents lead to it.

    Parameters
    ----------
    cards : frame
        As in :func:`lineage`; ``tags`` are not read.
    top : int, optional
        How many families to give; None gives all.

    Returns
    -------
    pl.DataFrame
        ``root`` (id), ``n_cards`` (models of the family, the root included; an id on several
        cards counts once), ``card_share`` (0-1, of all models of the corpus), ``max_depth``
        (int, steps from the root to the farthest). Most cards first, then by root. A model that
        neither has a known parent nor is one is no family; models in or below a cycle have no
        root and are in none. The root is the oldest ancestor *in this corpus*: it may itself name
        a parent that is not in it.

    Raises
    ------
    MissingColumn
        The cards have no ``id`` or no ``base_model``.
    CardlabError
        `top` is no whole number of at least 1, or ``base_model`` holds neither strings nor lists
        of strings.
    """
    if top is not None:
        at_least(top, 1, name="top")
    graph = read_graph(cards, relations=False)
    lines = follow(graph.first())
    has_root = lines.root >= 0
    deepest = np.zeros(len(graph.ids), dtype=np.int64)
    np.maximum.at(deepest, lines.root[has_root], lines.depth[has_root])
    roots = np.flatnonzero((lines.depth == 0) & (lines.n_descendants > 0))
    n_cards = lines.n_descendants[roots] + 1
    families = pl.DataFrame(
        {
            "root": graph.ids.gather(roots),
            "n_cards": n_cards,
            "card_share": n_cards / max(1, len(graph.ids)),
            "max_depth": deepest[roots],
        }
    ).sort("n_cards", "root", descending=[True, False])
    return families if top is None else families.head(top)


def _or_null(numbers: Any) -> pl.Series:
    """Give what is below 0 as null."""
    return pl.Series(numbers).to_frame("n").select(pl.when(pl.col("n") >= 0).then("n")).to_series()
