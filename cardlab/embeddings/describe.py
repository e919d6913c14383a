"""What the cards of a cluster have in common: label, tags, licence, languages, examples."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from .keywords import KEYWORDS, TINY_CLUSTER, cluster_keywords
from .matrix import Floats, matrix, same_size, usable
from .parallel import in_blocks
from .points import checked_labels, whole_number
from .stability import marked
from .words import free_tags, strings

#: Keywords of a cluster among which its label is sought, and words in a label.
_CANDIDATES = 25
_LABEL_WORDS = 3

#: Columns whose values stand among the tags of a card, but are no subject.
_DECLARED = ("library_name", "pipeline_tag", "languages")

#: Languages of a cluster that are named.
_LANGUAGES = 3


def cluster_summary(
    cards: Any,
    *,
    labels: npt.ArrayLike,
    x: npt.ArrayLike | None = None,
    top: int = 5,
    stability: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Describe each cluster in one row.

    Parameters
    ----------
    cards : frame
        Cards with ``id``; ``text``, ``tags``, ``license`` and ``languages`` are used where they
        are there.
    labels : array-like of int, shape (n_cards,)
        The cluster of each card, in the order of the cards; negative for none.
    x : array-like of numbers, shape (n_cards, d), optional
        The vectors of the cards, for the examples and the cohesion.
    top : int, default 5
        Tags and examples of each cluster at most.
    stability : pl.DataFrame, optional
        From :func:`cluster_jaccard`, of the same labels: adds ``jaccard`` and ``is_stable``, and
        "(unstable)" to the label of a cluster that is not stable.

    Returns
    -------
    pl.DataFrame
        One row for each cluster, by its number; cards without a cluster are not listed.

        - ``cluster`` (int), ``n_cards`` (int), ``card_share`` (float, 0-1, of the clustered).
        - ``label`` (str): up to three keywords, each in the label of one cluster only, the one
          where it scores highest; where none is left, the cluster's best keyword. Null where
          the cards have no words.
        - ``top_tags`` (list of str): the free tags (no prefix, not added by the Hub, and neither
          the library, the task nor a language, as :func:`tag_kind` or the card says) with the
          largest share of the cluster's cards *minus* share of the other cards in clusters. Like
          a lift it prefers what is special to the cluster, but what only a few of its cards
          have cannot win. Only differences above 0, and tags on two cards of the cluster
          (one where it has fewer than four). Ties by name. Empty where there are none.
        - ``top_license`` (str): what most of its cards declare, from ``license``, else from the
          ``license:`` tags; of equals the first by name. Null where none is declared.
        - ``top_languages`` (list of str): the three that most of its cards declare, as they are
          written there; ties by name.
        - ``example_ids`` (list of str): the cards whose direction is nearest the cluster's
          centre, ties by id; without `x` the first by id.
        - ``cohesion`` (float): mean cosine of the cards to the centre, the mean of their unit
          vectors; 1 where all point one way, about 0 where they point anywhere. Null without `x`.
        - ``jaccard`` (float, 0-1), ``is_stable`` (bool), with `stability` only: its
          ``jaccard_mean`` and ``is_stable``; null for a cluster that it does not list.

    Raises
    ------
    MissingColumn
        The cards have no column ``id``.
    NoFigure
        No card is in a cluster.
    CardlabError
        `labels` or `x` has more or fewer rows than there are cards.
    """
    whole_number(top, 1, name="top")
    have = schema.require(cards, "id")
    names = [name for name in ("id", "tags", "license", *_DECLARED) if name in have]
    frame = schema.collect(schema.lazy(cards).select(*map(nw.col, names)))
    label = checked_labels(labels, frame.height, of="cards")
    cosine = None if x is None else _cosines(matrix(x), label)
    # A column that is null throughout, unless there are vectors.
    near = pl.lit(None, pl.Float64) if cosine is None else pl.Series(cosine, nan_to_null=True)
    frame = frame.with_columns(
        pl.col("id").cast(pl.String), cluster=pl.Series(label), cosine=near
    ).filter(pl.col("cluster") >= 0)
    summary = _members(frame, top)
    parts = (
        _label_texts(cards, label, have),
        _top_tags(frame, top),
        _top_licenses(frame),
        _top_languages(frame),
    )
    for part in parts:
        summary = summary.join(part, on="cluster", how="left")
    summary = summary.sort("cluster").select(
        "cluster",
        "n_cards",
        (pl.col("n_cards") / frame.height).alias("card_share"),
        "label",
        pl.col("top_tags").fill_null([]),
        "top_license",
        pl.col("top_languages").fill_null([]),
        "example_ids",
        "cohesion",
    )
    return summary if stability is None else marked(summary, stability)


def _cosines(x: Floats, label: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """Give the cosine of each row to the centre of its cluster, NaN (null) where there is none."""
    same_size(len(x), len(label), name="x", of="cards")
    rows = np.flatnonzero((label >= 0) & usable(x))
    clusters, member = np.unique(label[rows], return_inverse=True)

    def units(block: slice) -> npt.NDArray[np.float64]:
        wide = x[rows[block]].astype(np.float64)
        wide /= np.linalg.norm(wide, axis=1, keepdims=True)
        return wide

    def sums(block: slice) -> npt.NDArray[np.float64]:
        total = np.zeros((len(clusters), x.shape[1]))
        np.add.at(total, member[block], units(block))
        return total

    centres = np.zeros((len(clusters), x.shape[1]))
    for total in in_blocks(sums, len(rows)):
        centres += total
    lengths = np.linalg.norm(centres, axis=1, keepdims=True)
    # A centre at the origin has no direction; the cosine to it is 0.
    centres = np.divide(centres, lengths, out=np.zeros_like(centres), where=lengths > 0)

    def cosines(block: slice) -> npt.NDArray[np.float64]:
        near: npt.NDArray[np.float64] = (units(block) * centres[member[block]]).sum(axis=1)
        return near

    result = np.full(len(x), np.nan)
    result[rows] = np.concatenate([np.zeros(0), *in_blocks(cosines, len(rows))])
    return result


def _members(frame: pl.DataFrame, top: int) -> pl.DataFrame:
    """Count the cards of each cluster and pick its examples, the nearest to its centre."""
    # Rounded, so that copies of one card tie and their ids decide.
    near = pl.col("cosine").round(6)
    ordered = frame.sort(near, "id", descending=[True, False], nulls_last=True)
    return ordered.group_by("cluster", maintain_order=True).agg(
        n_cards=pl.len().cast(pl.Int64),
        example_ids=pl.col("id").drop_nulls().head(top),
        cohesion=pl.col("cosine").mean(),
    )


def _label_texts(cards: Any, label: npt.NDArray[np.int32], have: list[str]) -> pl.DataFrame:
    """Put the keywords that a cluster has for itself into its label."""
    texts: dict[int, str] = {}
    try:
        keywords = (
            cluster_keywords(cards, labels=label, top=_CANDIDATES)
            if {"text", "tags"} & set(have)
            else pl.DataFrame(schema=KEYWORDS)
        )
    except schema.NoFigure:
        # Cards without words can be described all the same.
        keywords = pl.DataFrame(schema=KEYWORDS)
    strongest = keywords.sort("score", "cluster", descending=[True, False], maintain_order=True)
    owner = dict(reversed([(_stem(word), c) for c, word, _ in strongest.iter_rows()]))
    for (cluster,), rows in keywords.group_by("cluster", maintain_order=True):
        own: dict[str, str] = {}
        for word in rows["keyword"]:
            if owner[_stem(word)] == cluster:
                own.setdefault(_stem(word), word)
        texts[int(cluster)] = ", ".join(list(own.values())[:_LABEL_WORDS] or [rows["keyword"][0]])
    schema_of = {"cluster": pl.Int32, "label": pl.String}
    return pl.DataFrame({"cluster": list(texts), "label": list(texts.values())}, schema=schema_of)


def _stem(word: str) -> str:
    """Make singular and plural one, as far as a label needs it."""
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 4 else word


def _top_tags(frame: pl.DataFrame, top: int) -> pl.DataFrame:
    if "tags" not in frame.columns:
        return pl.DataFrame(schema={"cluster": pl.Int32, "top_tags": schema.STRINGS})
    sizes = frame.group_by("cluster").agg(size=pl.len())
    free = free_tags(strings(frame, "tags", schema.STRINGS))
    for name in _DECLARED:  # what the card declares is no subject, whether a list knows it or not
        if name in frame.columns:
            said = strings(frame, name, schema.STRINGS if name == "languages" else pl.String)
            said = said if name == "languages" else pl.concat_list(said)
            free = free.list.set_difference(said.fill_null(pl.lit([], schema.STRINGS)))
    tags = frame.select("cluster", tag=free)
    counts = (
        tags.explode("tag")
        .drop_nulls()
        .group_by("cluster", "tag")
        .agg(n=pl.len())
        .join(sizes, on="cluster")
    )
    everywhere = pl.col("n").sum().over("tag")
    outside = (everywhere - pl.col("n")) / (frame.height - pl.col("size")).clip(1)
    needed = pl.when(pl.col("size") >= TINY_CLUSTER).then(2).otherwise(1)
    return (
        counts.with_columns(more=pl.col("n") / pl.col("size") - outside)
        .filter(pl.col("more") > 0, pl.col("n") >= needed)
        .sort("cluster", "more", "tag", descending=[False, True, False])
        .group_by("cluster", maintain_order=True)
        .agg(top_tags=pl.col("tag").head(top))
    )


def _top_licenses(frame: pl.DataFrame) -> pl.DataFrame:
    if "license" in frame.columns:
        declared = strings(frame, "license", schema.STRINGS)
    elif "tags" in frame.columns:
        tag = pl.element()
        declared = strings(frame, "tags", schema.STRINGS).list.eval(
            tag.filter(tag.str.starts_with("license:")).str.strip_prefix("license:")
        )
    else:
        return pl.DataFrame(schema={"cluster": pl.Int32, "top_license": pl.String})
    return (
        frame.select("cluster", top_license=declared.list.unique())
        .explode("top_license")
        .drop_nulls()
        .group_by("cluster", "top_license")
        .len()
        .sort("len", "top_license", descending=[True, False])
        .group_by("cluster", maintain_order=True)
        .agg(pl.col("top_license").first())
    )


def _top_languages(frame: pl.DataFrame) -> pl.DataFrame:
    if "languages" not in frame.columns:
        return pl.DataFrame(schema={"cluster": pl.Int32, "top_languages": schema.STRINGS})
    declared = strings(frame, "languages", schema.STRINGS)
    return (
        frame.select("cluster", top_languages=declared.list.unique())
        .explode("top_languages")
        .drop_nulls()
        .group_by("cluster", "top_languages")
        .len()
        .sort("len", "top_languages", descending=[True, False])
        .group_by("cluster", maintain_order=True)
        .agg(pl.col("top_languages").head(_LANGUAGES))
    )
