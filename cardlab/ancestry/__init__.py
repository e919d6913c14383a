"""Which model was made from which: the ``base_model`` of each card, its roots and its families."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ..schema import STRINGS, at_least
from .changes import CHANGES, lineage_changes, lineage_relations
from .graph import RELATIONS, cycles, follow, read_graph

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
