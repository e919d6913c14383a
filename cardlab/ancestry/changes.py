"""What changes from a model to what is made from it, and how it is made: counts of edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl

from ..languages import with_languages
from ..licenses import with_licenses
from ..schema import (
    STRINGS,
    CardlabError,
    collect,
    column_names,
    lazy,
    one_of,
    require,
)
from ..shares import as_lists, wilson
from .graph import RELATIONS, Graph, read_graph

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
        ``cardlab.conflicts.ORDERED`` for ``license_class``: what asks for least first.
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
