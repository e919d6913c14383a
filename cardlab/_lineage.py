"""Which model was made from which: the ``base_model`` of each card, its roots and its families."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from .frames import lists_in, narrow
from .languages import with_languages
from .licenses.counts import with_licenses
from .schema import STRINGS, at_least, collect, column_names, one_of, require
from .shares.counting import wilson

# ---- The graph of ``base_model`` by number: who names whom, where the lines lead, what is a
# cycle.

Relation = Literal["finetune", "adapter", "merge", "quantized"]
#: What a card may say about how it was made from its parents, as the Hub tags it.
RELATIONS: tuple[Relation, ...] = ("finetune", "adapter", "merge", "quantized")

_TAG = rf"(?s)^base_model:({'|'.join(RELATIONS)}):(.*)"


@dataclass(frozen=True)
class Graph:
    """The models of a corpus by number, and who names whom.

    `number` has ``id`` and ``number`` of each model; `node` is the number of each card with an id.
    `edges` has ``child`` (number), ``parent`` (id) and ``known`` (number of the parent, null where
    it is not in the corpus), each pair once, by child and then in the order in which the parents
    are named; self-parents are only counted.
    """

    number: pl.DataFrame
    node: Any
    edges: pl.DataFrame
    declared: Any
    n_self: int
    n_without_id: int

    def known(self) -> tuple[Any, Any]:
        """Give child and parent of the edges within the corpus."""
        edges = self.edges.filter(pl.col("known").is_not_null())
        return edges["child"].to_numpy(), edges["known"].to_numpy()

    def first(self) -> Any:
        """Give the number of each model's first known parent, its own where there is none."""
        first = np.arange(self.number.height)
        child, parent = self.known()
        first[child[::-1]] = parent[::-1]  # the last to be written is the first named
        return first


@dataclass(frozen=True)
class Lines:
    """Where the lines of first known parents lead; `root` and `depth` are -1 without a root."""

    root: Any
    depth: Any
    n_descendants: Any


def read_graph(cards: Any) -> Graph:
    """Read who names whom and give every id a number, in the order of the cards."""
    frame = _ids_and(cards, "base_model")
    rows = collect(frame.with_columns(lists_in(frame, "base_model")))
    with_id = rows.filter(pl.col("id").is_not_null())
    number = with_id.select(pl.col("id").unique(maintain_order=True))
    number = number.with_columns(pl.Series("number", np.arange(number.height)))
    with_id = with_id.join(number, on="id", how="left", maintain_order="left")
    node = with_id["number"].to_numpy()
    declared = np.zeros(number.height, dtype=bool)
    declared[node[with_id["base_model"].is_not_null().to_numpy()]] = True
    named = (
        with_id.select("id", pl.col("number").alias("child"), pl.col("base_model").alias("parent"))
        .explode("parent", empty_as_null=False, keep_nulls=False)
        .filter(pl.col("parent").str.contains(r"\S"))
        .unique(["child", "parent"], keep="first", maintain_order=True)
    )
    edges = named.filter(pl.col("parent") != pl.col("id")).join(
        number.rename({"id": "parent", "number": "known"}),
        on="parent",
        how="left",
        maintain_order="left",
    )
    return Graph(
        number=number,
        node=node,
        edges=edges.select("child", "parent", "known").sort("child", maintain_order=True),
        declared=declared,
        n_self=named.height - edges.height,
        n_without_id=rows.height - with_id.height,
    )


def _ids_and(cards: Any, *names: str) -> pl.LazyFrame:
    """Give ids as strings and some columns lazily; engines other than polars hand over these."""
    require(cards, "id", *names)
    return narrow(cards, ["id", *names]).with_columns(pl.col("id").cast(pl.String))


def _relations(graph: Graph, cards: Any) -> pl.DataFrame:
    """Read ``child, parent, relation`` from the tags; of several relations the first."""
    tag = pl.element()
    frame = _ids_and(cards, "tags")
    tags = lists_in(frame, "tags").list.eval(tag.filter(tag.str.contains(_TAG)))
    said = collect(frame.with_columns(tags).filter(pl.col("tags").list.len() > 0)).explode("tags")
    parts = pl.col("tags").str.extract_groups(_TAG).struct
    return (
        said.select("id", parts.field("1").alias("relation"), parts.field("2").alias("parent"))
        .join(graph.number, on="id", maintain_order="left")
        .select(pl.col("number").alias("child"), "parent", "relation")
        .unique(["child", "parent"], keep="first", maintain_order=True)
    )


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

    n = graph.number.height
    child, parent = graph.known()
    if not len(child):
        return np.full(n, -1)
    links = coo_array((np.ones(len(child), dtype=np.int8), (child, parent)), shape=(n, n))
    _, label = connected_components(links, directed=True, connection="strong")
    return np.where(np.bincount(label)[label] > 1, label, -1)


# ---- What changes from a model to what is made from it: counts of edges.

#: What may have become of a value along an edge, and why an edge cannot be compared.
CHANGES = (
    *("same", "earlier", "later", "wider", "narrower", "differs"),
    *("parent undeclared", "child undeclared", "both undeclared", "parent not in corpus"),
)

#: What these are made from.
_FROM = {"license", "license_name", "license_link", "languages"}
#: Columns that are made where the cards lack them: from which column, and how.
_MADE: dict[str, tuple[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("license_class", "license_spdx"), ("license", with_licenses)),
    "language_codes": ("languages", with_languages),
}


def lineage_changes(
    cards: Any,
    *,
    column: str = "license_class",
    order: Sequence[str] | None = None,
    by: Literal["relation"] | None = None,
    relations: Sequence[Relation] | None = None,
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
        Count for each relation (see :func:`lineage_summary`) by itself.
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
    source, make = _MADE.get(column, (column, None))
    if column in have or source not in have:
        source, make = column, None
    require(cards, source, *(["tags"] if tagged else []))
    names = [column] if make is None else [name for name in have if name in _FROM]
    graph = read_graph(cards)
    edges = _with_relations(graph, cards) if tagged else graph.edges
    if relations is not None:
        edges = edges.filter(pl.col("relation").is_in(list(relations)))
    frame = _ids_and(cards, *names)
    edges = _with_values(edges, graph, frame if make is None else make(frame), column)
    edges = edges.with_columns(_change(edges, order).alias("change"))
    keys = [] if by is None else ["relation"]
    ends = pl.col("change").is_in(CHANGES[-4:])
    of_all = [pl.len().alias("n_all"), (~ends).sum().alias("n_declared")]
    edges = edges.with_columns((n.over(keys) if keys else n).cast(pl.Int64) for n in of_all)
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


def _with_values(
    edges: pl.DataFrame, graph: Graph, cards: pl.LazyFrame, column: str
) -> pl.DataFrame:
    """Add the values of both ends, null where nothing is declared."""
    lists = lists_in(cards, column).list
    if isinstance(cards.collect_schema()[column], pl.List):
        known = lists.drop_nulls().list.unique().list.sort()
        declares = pl.col("value").list.len() > 0
    else:
        known, declares = lists.first(), pl.col("value") != "undeclared"
    rows = collect(cards.select("id", known.alias("value"))).filter(declares).drop_nulls()
    rows = rows.unique("id", keep="first", maintain_order=True)
    found = rows.join(graph.number, on="id").select("number", "value")
    return edges.join(
        found.rename({"number": "known", "value": "parent_value"}), on="known", how="left"
    ).join(found.rename({"number": "child", "value": "child_value"}), on="child", how="left")


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


# ---- For each card what it was made from, and what the whole graph amounts to.


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
    n = graph.number.height
    named = graph.edges.group_by("child", maintain_order=True).agg(pl.col("parent"))
    models = graph.number.join(
        named, left_on="number", right_on="child", how="left", maintain_order="left"
    )
    relation = pl.lit(None, pl.String).alias("relation")
    if "tags" in column_names(cards):
        said = _relations(graph, cards).unique("child", keep="first")
        models = models.join(
            said.select("child", "relation"),
            left_on="number",
            right_on="child",
            how="left",
            maintain_order="left",
        )
        relation = pl.col("relation")
    declared = pl.Series(graph.declared)
    n_parents = pl.Series(np.bincount(graph.edges["child"].to_numpy(), minlength=n))
    n_known = pl.Series(np.bincount(child, minlength=n))
    rows = models.select(
        "id",
        pl.when(declared).then(n_parents).alias("n_parents"),
        pl.when(declared).then(n_known).alias("n_known_parents"),
        pl.when(declared).then(pl.col("parent").fill_null(pl.lit([], STRINGS))).alias("parent_ids"),
        graph.number["id"].gather(_or_null(lines.root)).alias("root"),
        _or_null(lines.depth).alias("depth"),
        pl.Series("in_cycle", cycles(graph) >= 0),
        pl.Series("n_children", np.bincount(parent, minlength=n)),
        pl.Series("n_descendants", lines.n_descendants),
        relation,
    )
    if len(graph.node) != n:  # several cards of one id
        rows = rows[pl.Series(graph.node)]
    return rows.sort("n_descendants", "id", descending=[True, False])


def lineage_summary(
    cards: Any, *, by: Literal["relation", "family"] | None = None, top: int | None = 20
) -> pl.DataFrame:
    """Count the edges, roots, merges and cycles of the ``base_model`` graph, or parts of it.

    Parameters
    ----------
    cards : frame
        With ``id`` and ``base_model`` as in :func:`lineage`; ``tags`` are only read
        ``by="relation"``.
    by : {"relation", "family"}, optional
        Count the edges by how the child was made from its parent, or the models of each family: a
        root and all models whose first known parents lead to it.
    top : int, optional
        How many families to give; None gives all.

    Returns
    -------
    pl.DataFrame
        Without `by` one row of whole numbers:

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

        By relation ``relation`` (one of :data:`RELATIONS`; null where no tag says how),
        ``n_edges``, ``edge_share`` (0-1, of all edges), ``edge_low``, ``edge_high`` (its 95 %
        Wilson interval), ``n_known`` (edges whose parent is in the corpus), ``n_models`` (models
        with such an edge), ``n_all`` (all edges). Most edges first, then by name. No edges give no
        rows.

        By family ``root`` (id), ``n_cards`` (models of the family, the root included; an id on
        several cards counts once), ``card_share`` (0-1, of all models of the corpus),
        ``max_depth`` (int, steps from the root to the farthest). Most cards first, then by root. A
        model that neither has a known parent nor is one is no family; models in or below a cycle
        have no root and are in none. The root is the oldest ancestor *in this corpus*: it may
        itself name a parent that is not in it.

    Raises
    ------
    MissingColumn
        The cards have no ``id``, no ``base_model``, or no ``tags`` where they are needed.
    CardlabError
        `by` or `top` is not allowed, or ``base_model`` or ``tags`` holds neither strings nor lists
        of strings.

    Notes
    -----
    The relation is that of the tag ``base_model:RELATION:PARENT`` for that very parent; of several
    the first.
    """
    if by is not None:
        one_of(by, ("relation", "family"), name="by")
    if top is not None:
        at_least(top, 1, name="top")
    require(cards, "id", "base_model", *(["tags"] if by == "relation" else []))
    graph = read_graph(cards)
    if by == "relation":
        return _by_relation(_with_relations(graph, cards))
    lines = follow(graph.first())
    return _figures(graph, lines) if by is None else _by_family(graph, lines, top)


def _by_relation(edges: pl.DataFrame) -> pl.DataFrame:
    """Count the edges of each relation."""
    counts = edges.group_by("relation").agg(
        pl.len().cast(pl.Int64).alias("n_edges"),
        pl.col("known").count().cast(pl.Int64).alias("n_known"),
        pl.col("child").n_unique().cast(pl.Int64).alias("n_models"),
        pl.lit(edges.height, pl.Int64).alias("n_all"),
    )
    columns = ("relation", "n_edges", "edge_share", "edge_low", "edge_high")
    return (
        counts.with_columns(*_share(counts, "n_all", "edge"))
        .sort("n_edges", "relation", descending=[True, False], nulls_last=True)
        .select(*columns, "n_known", "n_models", "n_all")
    )


def _by_family(graph: Graph, lines: Lines, top: int | None) -> pl.DataFrame:
    """List the roots that have any descendant."""
    has_root = lines.root >= 0
    deepest = np.zeros(len(lines.root), dtype=np.int64)
    np.maximum.at(deepest, lines.root[has_root], lines.depth[has_root])
    roots = np.flatnonzero((lines.depth == 0) & (lines.n_descendants > 0))
    n_cards = lines.n_descendants[roots] + 1
    families = pl.DataFrame(
        {
            "root": graph.number["id"].gather(roots),
            "n_cards": n_cards,
            "card_share": n_cards / max(1, graph.number.height),
            "max_depth": deepest[roots],
        }
    ).sort("n_cards", "root", descending=[True, False])
    return families if top is None else families.head(top)


def _figures(graph: Graph, lines: Lines) -> pl.DataFrame:
    """Count what there is in the whole graph."""
    label = cycles(graph)
    dangling = graph.edges.filter(pl.col("known").is_null())
    n = graph.number.height
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


def _or_null(numbers: Any) -> pl.Series:
    """Give what is below 0 as null."""
    return pl.Series(numbers).to_frame("n").select(pl.when(pl.col("n") >= 0).then("n")).to_series()
