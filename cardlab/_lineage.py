"""Which model was made from which: the ``base_model`` of each card, its roots and its families."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl

from .frames import lists_in, narrow
from .languages import with_languages
from .licenses.counts import with_licenses
from .schema import RELATIONS, STRINGS, at_least, collect, column_names, one_of, require
from .shares.authors import (
    AUTHOR_COLUMNS,
    Population,
    author_column,
    designs_of,
    interval,
    with_interval,
)

# ---- The graph of ``base_model``: who names whom, where the lines lead, what is a cycle.

Relation = Literal["finetune", "adapter", "merge", "quantized"]

_HOW = rf"({'|'.join(RELATIONS)}):(.*)"
#: The columns that may say how a card was made from a parent, and how they do.
_SAY_HOW = {"tags": rf"(?s)^base_model:{_HOW}", "base_model_relation": rf"(?s)^{_HOW}"}


class Graph(NamedTuple):
    """The models of a corpus, and who names whom.

    `models` has ``id``, ``model`` (its number), ``n_cards`` and ``declared`` (whether any of them
    has a ``base_model``), in the order of the cards. `edges` has ``id`` and ``child`` (number),
    ``parent`` (id) and ``known`` (number of the parent, null where it is not in the corpus), each
    pair once, in the order in which the parents are named; self-parents are only counted.
    """

    models: pl.DataFrame
    edges: pl.DataFrame
    n_self: int
    n_without_id: int


def read_graph(cards: Any) -> Graph:
    """Read who names whom, and give every id a number."""
    frame = _ids_and(cards, "base_model")
    rows = collect(frame.with_columns(lists_in(frame, "base_model").alias("parent")))
    with_id = rows.drop_nulls("id")
    models = (
        with_id.group_by("id", maintain_order=True)
        .agg(pl.len().alias("n_cards"), pl.col("parent").is_not_null().any().alias("declared"))
        .with_row_index("model")
    )
    named = (
        with_id.select("id", "parent")
        .explode("parent", empty_as_null=False, keep_nulls=False)
        .filter(pl.col("parent").str.contains(r"\S"))
        .unique(["id", "parent"], keep="first", maintain_order=True)
    )
    child, known = (models.select(pl.col("id").alias(end), "model") for end in ("id", "parent"))
    edges = (
        named.filter(pl.col("parent") != pl.col("id"))
        .join(child.rename({"model": "child"}), on="id", how="left", maintain_order="left")
        .join(known.rename({"model": "known"}), on="parent", how="left", maintain_order="left")
    )
    return Graph(models, edges, named.height - edges.height, rows.height - with_id.height)


def _ids_and(cards: Any, *names: str) -> pl.LazyFrame:
    """Give ids as strings and some columns lazily; engines other than polars hand over these."""
    require(cards, "id", *names)
    return narrow(cards, ["id", *names]).with_columns(pl.col("id").cast(pl.String))


def _relations(cards: Any) -> pl.DataFrame:
    """Read ``id, parent, relation`` from the tags, then columns; of several relations the first."""
    patterns = {name: _SAY_HOW[name] for name in _SAY_HOW if name in column_names(cards)}
    frame = _ids_and(cards, *(patterns or ["tags"]))
    item, said = pl.element(), []
    for name, pattern in patterns.items():
        lists = lists_in(frame, name).list.eval(item.filter(item.str.contains(pattern)))
        rows = frame.select("id", lists.alias("said")).filter(pl.col("said").list.len() > 0)
        parts = pl.col("said").str.extract_groups(pattern).struct
        told = (parts.field("1").alias("relation"), parts.field("2").alias("parent"))
        said.append(collect(rows).explode("said").select("id", *told))
    return pl.concat(said).unique(["id", "parent"], keep="first", maintain_order=True)


def _placed(graph: Graph) -> pl.DataFrame:
    """Say of each model what :func:`lineage` does, and the number of its cycle."""
    edges, within = graph.edges, graph.edges.drop_nulls("known")
    child, parent = within["child"].to_numpy(), within["known"].to_numpy()
    n = graph.models.height
    first = np.arange(n)
    first[child[::-1]] = parent[::-1]  # the last to be written is the first named
    named = edges.group_by("child").agg(
        n_parents=pl.len(), n_known_parents=pl.count("known"), parent_ids="parent"
    )
    lines = follow(first)
    return (
        graph.models.hstack(lines)
        .with_columns(
            graph.models["id"].gather(lines["root"]).alias("root"),
            pl.Series("n_children", np.bincount(parent, minlength=n)),
            pl.Series("cycle", _cycles(child, parent, n)),
        )
        .join(named, left_on="model", right_on="child", how="left")
        .with_columns(
            pl.when("declared").then(pl.col("parent_ids").fill_null(pl.lit([], STRINGS))),
            pl.when("declared").then(pl.col("n_parents", "n_known_parents").fill_null(0)),
        )
    )


def follow(first: Any) -> pl.DataFrame:
    """Follow the first known parents to ``root, depth, n_descendants``; a root is its own first.

    Lines end at roots and at the models of a cycle, which have no root, nor has what is below them.
    """
    n, itself = len(first), np.arange(len(first))
    moves = first != itself
    cycle = _cycles(itself[moves], first[moves], n)
    ends = ~moves | (cycle >= 0)
    top = np.where(ends, itself, first)
    step = np.append(np.where(ends, n, first), n)  # n is nowhere
    depth, size = np.append(~ends, False).astype(np.int64), np.ones(n + 1)
    while (step < n).any():  # each round looks twice as far up: a line of a million takes twenty
        size = size + np.bincount(step, weights=size, minlength=n + 1)
        depth, step, top = depth + depth[step], step[step], top[top]
    # the line of each model of a cycle passes through all of them
    around = np.bincount(cycle[cycle >= 0], weights=size[:n][cycle >= 0], minlength=n)
    below = np.where(cycle >= 0, around[cycle], size[:n]).astype(np.int64) - 1
    lines = pl.DataFrame({"root": top, "depth": depth[:n], "n_descendants": below})
    has_root = pl.Series(cycle[top] < 0, dtype=pl.Boolean)
    return lines.with_columns(pl.when(has_root).then(pl.col("root", "depth")))


def _cycles(child: Any, parent: Any, n: int) -> Any:
    """Give each model the number of its cycle of known parents, in any place; -1 is in none."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

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
    cluster: str | None = "author",
    population: Population = "sample",
) -> pl.DataFrame:
    """Count the edges of the ``base_model`` graph by the parent's value and the child's.

    Parameters
    ----------
    cards : frame
        With ``id``, ``base_model``, `column`, and ``tags`` or ``base_model_relation`` where `by` or
        `relations` is given.
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
    cluster, population : str, optional
        Whose models are alike, those that were made from others, and whether the cards are a
        sample: as in :func:`license_counts`.

    Returns
    -------
    pl.DataFrame
        - ``[relation,] parent_value``, ``child_value``: the type of `column`, lists sorted; null
          where nothing is declared or the parent is not in the corpus;
        - ``change`` (str): ``same``; with `order` ``earlier`` or ``later``; for lists ``wider``
          (all of the parent's and more) or ``narrower``; else ``differs``; or one of the last four
          of :data:`CHANGES`, which say why there is nothing to compare;
        - ``n_edges``, ``edge_share`` (0-1, of all edges [of the relation]), ``edge_low``,
          ``edge_high`` (its 95 % interval), ``n_all`` (all edges);
        - ``declared_share`` (0-1, of the edges that can be compared; null for the others),
          ``declared_low``, ``declared_high``, ``n_declared``;
        - where authors are known ``design_effect`` to ``is_reliable``, of ``edge_share``, as in
          :func:`license_counts`;
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
    A merge of two models is two edges. Of an id on several cards the first that declares a value
    speaks for the model. An empty list, and the class ``undeclared``, is nothing declared. Edges
    of one family are not independent either: the intervals are too narrow where few parents have
    most of the children.

    Examples
    --------
    >>> cards = {"id": ["a", "b"], "base_model": [[], ["a"]], "license": [["mit"], ["gpl-3.0"]]}
    >>> cl.lineage_changes(cards)["parent_value", "child_value", "change", "n_edges"].row(0)
    ('permissive', 'strong copyleft', 'differs', 1)
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
    require(cards, source)
    author = author_column(cards, cluster, population)
    edges = _edges(cards, read_graph(cards), author, related=tagged)
    if relations is not None:
        edges = edges.filter(pl.col("relation").is_in(list(relations)))
    names = [column] if make is None else [name for name in have if name in _FROM]
    frame = _ids_and(cards, *names)
    edges = _with_values(edges, frame if make is None else make(frame), column)
    edges = edges.with_columns(change=_change(edges, order))
    keys = [] if by is None else ["relation"]
    ends = pl.col("change").is_in(CHANGES[-4:])
    of_all = (pl.len().alias("n_all"), (~ends).sum().alias("n_declared"))
    edges = edges.with_columns((n.over(keys) if keys else n).cast(pl.Int64) for n in of_all)
    values = ["parent_value", "child_value"] if pairs else []
    cells = [*keys, *values, "change"]
    group = pl.lit(0) if by is None else pl.col(by)
    edges = edges.with_columns(pl.struct(cells).hash().alias(_CELL), group.alias(_GROUP))
    counts = edges.group_by(*cells, "n_all", "n_declared", _CELL, _GROUP).agg(
        pl.len().cast(pl.Int64).alias("n_edges")
    )
    compared = counts.select(pl.when(~ends).then("n_declared")).to_series()
    census = population == "census"
    shares = _with_share(counts, edges, census)
    design = _design(counts, edges, edges.filter(~ends))
    n, ends_of = counts["n_edges"], ("declared_share", "declared")
    shares = shares.with_columns(interval(n, compared, *ends_of, design=design, census=census))
    # a list is no key to sort by
    lists = [name for name in cells if isinstance(counts.schema[name], pl.List)]
    order_by = [pl.col(name).list.join(",") if name in lists else name for name in cells]
    down = [True] + [False] * len(cells)
    return shares.sort("n_edges", *order_by, descending=down, nulls_last=True).select(
        *cells,
        *("n_edges", "edge_share", "edge_low", "edge_high", "n_all"),
        *("declared_share", "declared_low", "declared_high", "n_declared"),
        *(name for name in AUTHOR_COLUMNS if name in shares.columns),
        pl.lit(column).alias("column"),
    )


_AUTHOR, _CELL, _GROUP = "__author", "__cell", "__group"


def _edges(cards: Any, graph: Graph, author: str | None, *, related: bool) -> pl.DataFrame:
    """Give the edges, with their ``relation`` and who made the child where these are asked for."""
    edges = graph.edges
    if related:
        edges = edges.join(_relations(cards), on=["id", "parent"], how="left")
    if author is not None:
        made = collect(_ids_and(cards, author).select("id", pl.col(author).alias(_AUTHOR)))
        made = made.unique("id", keep="first", maintain_order=True)
        edges = edges.join(made, on="id", how="left")
    return edges


def _design(counts: pl.DataFrame, edges: pl.DataFrame, of: pl.DataFrame) -> pl.DataFrame | None:
    """Say how many independent edges the share of each cell is worth."""
    if _AUTHOR not in edges.columns:
        return None
    return designs_of(counts, edges, of, by=[_GROUP], value=[_CELL], author=_AUTHOR)


def _with_share(counts: pl.DataFrame, edges: pl.DataFrame, census: bool) -> pl.DataFrame:
    design, named = _design(counts, edges, edges), {"name": "edge_share", "ends": "edge"}
    return with_interval(counts, "n_edges", "n_all", design, census=census, **named)


def _with_values(edges: pl.DataFrame, cards: pl.LazyFrame, column: str) -> pl.DataFrame:
    """Add the values of both ends, null where nothing is declared."""
    lists = lists_in(cards, column).list
    if isinstance(cards.collect_schema()[column], pl.List):
        known = lists.drop_nulls().list.unique().list.sort()
        declares = pl.col("value").list.len() > 0
    else:
        known, declares = lists.first(), pl.col("value") != "undeclared"
    rows = collect(cards.select("id", known.alias("value"))).filter(declares).drop_nulls()
    rows = rows.unique("id", keep="first", maintain_order=True)
    for name, end in (("parent_value", "parent"), ("child_value", "id")):
        edges = edges.join(
            rows.select(pl.col("id").alias(end), pl.col("value").alias(name)), on=end, how="left"
        )
    return edges


def _change(edges: pl.DataFrame, order: Sequence[str] | None) -> pl.Expr:
    """Say what became of the parent's value."""
    parent, child = pl.col("parent_value"), pl.col("child_value")
    cases = {
        "parent not in corpus": pl.col("known").is_null(),
        "both undeclared": parent.is_null() & child.is_null(),
        "parent undeclared": parent.is_null(),
        "child undeclared": child.is_null(),
    }
    if isinstance(edges.schema["parent_value"], pl.List):
        common = parent.list.set_intersection(child).list.len()
        cases["same"] = parent.list.join("\n") == child.list.join("\n")
        cases["wider"] = common == parent.list.len()
        cases["narrower"] = common == child.list.len()
    else:
        cases["same"] = parent == child
        place = {value: number for number, value in enumerate(order or ())}
        before, after = (
            end.replace_strict(place, default=None, return_dtype=pl.Int64)
            for end in (parent, child)
        )
        cases |= {"later": before < after, "earlier": before > after}
    said = [pl.when(case).then(pl.lit(word)) for word, case in cases.items()]
    return pl.coalesce(*said, pl.lit("differs"))


# ---- For each card what it was made from, and what the whole graph amounts to.


def lineage(cards: Any) -> pl.DataFrame:
    """Say for each card what it was made from, how far from its root, and what was made from it.

    Parameters
    ----------
    cards : frame
        With ``id``, ``base_model`` (list of str, or str), and ``tags`` or ``base_model_relation``
        (list of str: ``finetune:ORG/NAME``, from columns of the source) where there are any;
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
        - ``root`` (str): where the line of first known parents ends, for a model without any the
          model itself; null where it runs into a cycle;
        - ``depth`` (int): steps to the root on that line, 0 for a root; null without one;
        - ``in_cycle`` (bool): whether the model is its own ancestor, through any known parents;
        - ``n_children`` (int): models that name this one, in any place;
        - ``n_descendants`` (int): models whose line passes through this one. A merge counts for
          the line of its first known parent only;
        - ``relation`` (str): the first of :data:`RELATIONS` in the ``base_model:...:`` tags, then
          in ``base_model_relation``; null where neither says one.

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

    Examples
    --------
    >>> cards = {"id": ["a", "b", "c"], "base_model": [[], ["a"], ["b"]]}
    >>> cl.lineage(cards)["id", "root", "depth", "n_descendants"].rows()
    [('a', 'a', 0, 2), ('b', 'a', 1, 1), ('c', 'a', 2, 0)]
    """
    models = _placed(read_graph(cards))
    relations = pl.DataFrame(schema={"id": pl.String, "relation": pl.String})
    if {*_SAY_HOW} & {*column_names(cards)}:
        relations = _relations(cards).unique("id", keep="first", maintain_order=True)
    rows = models.join(relations, on="id", how="left").select(
        *("id", pl.col("n_parents", "n_known_parents").cast(pl.Int64), "parent_ids"),
        *("root", "depth", (pl.col("cycle") >= 0).alias("in_cycle")),
        *("n_children", "n_descendants", "relation"),
    )
    rows = rows[np.repeat(np.arange(models.height), models["n_cards"])]  # a row for each card
    return rows.sort("n_descendants", "id", descending=[True, False])


def lineage_summary(
    cards: Any,
    *,
    by: Literal["relation", "family"] | None = None,
    top: int | None = 20,
    cluster: str | None = "author",
    population: Population = "sample",
) -> pl.DataFrame:
    """Count the edges, roots, merges and cycles of the ``base_model`` graph, or parts of it.

    Parameters
    ----------
    cards : frame
        With ``id`` and ``base_model`` as in :func:`lineage`; ``tags`` and ``base_model_relation``
        are only read ``by="relation"``.
    by : {"relation", "family"}, optional
        Count the edges by how the child was made from its parent, or the models of each family: a
        root and all models whose first known parents lead to it.
    top : int, optional
        How many families to give; None gives all.
    cluster, population : str, optional
        Of the shares of relations, as in :func:`lineage_changes`.

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

        By relation ``relation`` (that of the first tag ``base_model:RELATION:PARENT`` for that
        very parent; null where no tag says how), ``n_edges``, ``edge_share`` (0-1, of all edges),
        ``edge_low``, ``edge_high`` (its 95 % interval), ``n_known`` (edges whose parent is in the
        corpus), ``n_models`` (models with such an edge), ``n_all`` (all edges), and where authors
        are known ``design_effect`` to ``is_reliable``. Most edges first, then by name.

        By family of two models or more ``root`` (id, of the oldest ancestor *in this corpus*),
        ``n_cards`` (its models, each id once), ``card_share`` (0-1, of all models of the corpus),
        ``max_depth`` (int, steps from the root to the farthest). Most cards first, then by root.

    Raises
    ------
    MissingColumn
        The cards have no ``id``, no ``base_model``, or no ``tags`` where they are needed.
    CardlabError
        `by` or `top` is not allowed, or ``base_model`` or ``tags`` holds neither strings nor lists
        of strings.

    Examples
    --------
    >>> cards = {"id": ["a", "b", "c"], "base_model": [[], ["a"], ["gone"]]}
    >>> cl.lineage_summary(cards)["n_models", "n_edges", "n_dangling", "max_depth"].row(0)
    (3, 2, 1, 1)
    """
    if by is not None:
        one_of(by, ("relation", "family"), name="by")
    if top is not None:
        at_least(top, 1, name="top")
    graph = read_graph(cards)
    if by == "relation":
        author = author_column(cards, cluster, population)
        return _by_relation(_edges(cards, graph, author, related=True), population == "census")
    models = _placed(graph)
    if by is None:
        return _figures(graph, models)
    share = (pl.col("n_cards") / models.height).alias("card_share")
    with_root = models.drop_nulls("root").group_by("root")
    families = with_root.agg(n_cards=pl.len().cast(pl.Int64), max_depth=pl.max("depth"))
    found = families.filter(pl.col("n_cards") > 1).select("root", "n_cards", share, "max_depth")
    found = found.sort("n_cards", "root", descending=[True, False])
    return found if top is None else found.head(top)


def _by_relation(edges: pl.DataFrame, census: bool) -> pl.DataFrame:
    """Count the edges of each relation."""
    edges = edges.with_columns(pl.lit(0).alias(_GROUP), pl.col("relation").alias(_CELL))
    counts = edges.group_by("relation", _CELL, _GROUP).agg(
        pl.len().cast(pl.Int64).alias("n_edges"),
        pl.col("known").count().cast(pl.Int64).alias("n_known"),
        pl.col("child").n_unique().cast(pl.Int64).alias("n_models"),
        pl.lit(edges.height, pl.Int64).alias("n_all"),
    )
    shares = _with_share(counts, edges, census)
    known = (name for name in AUTHOR_COLUMNS if name in shares.columns)
    columns = ("n_edges", "edge_share", "edge_low", "edge_high", "n_known", "n_models", "n_all")
    shares = shares.sort("n_edges", "relation", descending=[True, False], nulls_last=True)
    return shares.select("relation", *columns, *known)


def _figures(graph: Graph, models: pl.DataFrame) -> pl.DataFrame:
    """Count what there is in the whole graph."""
    edges = graph.edges
    dangling = edges.filter(pl.col("known").is_null())
    cycles = models.filter(pl.col("cycle") >= 0)["cycle"]
    roots = models.filter(pl.col("depth") == 0)
    figures = {
        "n_cards": models["n_cards"].sum() + graph.n_without_id,
        "n_without_id": graph.n_without_id,
        "n_models": models.height,
        "n_declared": models["declared"].sum(),
        "n_with_parent": (models["n_parents"] > 0).sum(),
        "n_with_known_parent": (models["n_known_parents"] > 0).sum(),
        "n_merges": (models["n_parents"] > 1).sum(),
        "n_edges": edges.height,
        "n_dangling": dangling.height,
        "n_dangling_parents": dangling["parent"].n_unique(),
        "n_self": graph.n_self,
        "n_cycles": cycles.n_unique(),
        "n_in_cycle": cycles.len(),
        "n_without_root": models["root"].null_count(),
        "n_roots": roots.height,
        "n_families": roots.filter(pl.col("n_descendants") > 0).height,
        "max_depth": models["depth"].max(),
    }
    return pl.DataFrame([figures], schema=dict.fromkeys(figures, pl.Int64))
