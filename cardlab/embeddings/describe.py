"""What the cards of a cluster have in common, in words: keywords, tags, licence, examples."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from .matrix import Floats, blanked, matrix, same_size, usable
from .points import whole_number
from .words import card_texts, free_tags, strings, word_counts

#: In a cluster with fewer cards a word or tag need only occur in one of them.
_TINY_CLUSTER = 4

#: Keywords of a cluster among which its label is sought, and words in a label.
_CANDIDATES = 25
_LABEL_WORDS = 3

_KEYWORDS = {"cluster": pl.Int32, "keyword": pl.String, "score": pl.Float64}


def cluster_keywords(cards: Any, *, labels: npt.ArrayLike, top: int = 8) -> pl.DataFrame:
    """Find the words that tell each cluster from the others.

    Parameters
    ----------
    cards : frame
        Cards with ``text``, ``tags`` or both: the first 20,000 characters of the text without
        code, HTML and addresses, and the free tags, are read as words of three letters or more.
        Stop words are the English ones and those of markup. Scripts that put no blanks between
        words (Chinese, Thai ...) give whole runs of letters.
    labels : array-like of int, shape (n_cards,)
        The cluster of each card, in the order of the cards; negative for none.
    top : int, default 8
        Keywords of each cluster at most.

    Returns
    -------
    pl.DataFrame
        ``cluster`` (int), ``keyword`` (str), ``score`` (float, above 0): the c-TF-IDF, the share
        of the word among the words of the cluster times log(1 + A / f), where f is how often
        it occurs in all clusters and A the mean number of words of a cluster. Within one card a
        word counts as 1 + log(occurrences), so that one card cannot speak for its cluster. A
        keyword occurs in two cards of its cluster, or in one where the cluster has fewer than
        four. By cluster, then falling score, then keyword; a cluster whose cards share no word
        has no rows.

    Raises
    ------
    MissingColumn
        The cards have neither ``text`` nor ``tags``.
    NoFigure
        No card is in a cluster, or none has a word.
    CardlabError
        There are more or fewer labels than cards, or they are not whole numbers.

    Notes
    -----
    Grootendorst (2022), BERTopic: neural topic modeling with a class-based TF-IDF procedure.
    """
    whole_number(top, 1, name="top")
    label = _labels(labels, schema.count(cards))
    counts, words = word_counts(card_texts(cards).filter(pl.Series(label >= 0)))
    clusters, member = np.unique(label[label >= 0], return_inverse=True)
    sizes = np.bincount(member)
    counts.data = 1 + np.log(counts.data.astype(np.float64))
    groups = [counts[member == i] for i in range(len(clusters))]
    total = np.asarray(counts.sum(axis=0)).ravel()
    weight = np.log1p(total.sum() / len(clusters) / np.maximum(total, 1e-300))
    frames = []
    for i, group in enumerate(groups):
        n_cards = np.bincount(group.indices, minlength=len(words))
        score = np.asarray(group.sum(axis=0)).ravel() / max(group.sum(), 1) * weight
        kept = np.flatnonzero(n_cards >= (2 if sizes[i] >= _TINY_CLUSTER else 1))
        best = kept[np.lexsort((words[kept], -score[kept]))][:top]
        rows = {"cluster": int(clusters[i]), "keyword": words[best], "score": score[best]}
        frames.append(pl.DataFrame(rows, schema=_KEYWORDS))
    return pl.concat(frames)


def cluster_summary(
    cards: Any, *, labels: npt.ArrayLike, x: npt.ArrayLike | None = None, top: int = 5
) -> pl.DataFrame:
    """Describe each cluster in one row.

    Parameters
    ----------
    cards : frame
        Cards with ``id``; ``text``, ``tags`` and ``license`` are used where they are there.
    labels : array-like of int, shape (n_cards,)
        The cluster of each card, in the order of the cards; negative for none.
    x : array-like of numbers, shape (n_cards, d), optional
        The vectors of the cards, for the examples and the cohesion.
    top : int, default 5
        Tags and examples of each cluster at most.

    Returns
    -------
    pl.DataFrame
        One row for each cluster, by its number; cards without a cluster are not listed.

        - ``cluster`` (int), ``n_cards`` (int), ``card_share`` (float, 0-1, of the clustered).
        - ``label`` (str): up to three keywords, each in the label of one cluster only, the one
          where it scores highest; where none is left, the cluster's best keyword. Null where
          the cards have no words.
        - ``top_tags`` (list of str): the tags without a prefix, not added by the Hub, with the
          largest share of the cluster's cards *minus* share of the other cards in clusters. Like
          a lift it prefers what is special to the cluster, but what only a few of its cards
          have cannot win. Only differences above 0, and tags on two cards of the cluster
          (one where it has fewer than four). Ties by name. Empty where there are none.
        - ``top_license`` (str): what most of its cards declare, from ``license``, else from the
          ``license:`` tags; of equals the first by name. Null where none is declared.
        - ``example_ids`` (list of str): the cards whose direction is nearest the cluster's
          centre, ties by id; without `x` the first by id.
        - ``cohesion`` (float): mean cosine of the cards to the centre, the mean of their unit
          vectors; 1 where all point one way, about 0 where they point anywhere. Null without `x`.

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
    names = [name for name in ("id", "tags", "license") if name in have]
    frame = schema.collect(schema.lazy(cards).select(*map(nw.col, names)))
    label = _labels(labels, frame.height)
    cosine = None if x is None else _cosines(matrix(x), label)
    # A column that is null throughout, unless there are vectors.
    near = pl.lit(None, pl.Float64) if cosine is None else pl.Series(cosine, nan_to_null=True)
    frame = frame.with_columns(
        pl.col("id").cast(pl.String), cluster=pl.Series(label), cosine=near
    ).filter(pl.col("cluster") >= 0)
    summary = _members(frame, top)
    for part in (_label_texts(cards, label, have), _top_tags(frame, top), _top_licenses(frame)):
        summary = summary.join(part, on="cluster", how="left")
    return summary.sort("cluster").select(
        "cluster",
        "n_cards",
        (pl.col("n_cards") / frame.height).alias("card_share"),
        "label",
        pl.col("top_tags").fill_null([]),
        "top_license",
        "example_ids",
        "cohesion",
    )


def _labels(labels: npt.ArrayLike, n_cards: int) -> npt.NDArray[np.int32]:
    """Check the labels of the cards; negative ones become -1."""
    given = np.asarray(labels)
    if given.ndim != 1 or (given.dtype.kind not in "iu" and given.size):
        raise schema.CardlabError(
            "labels must be a sequence of whole numbers, one a card, such as cardlab.cluster(x) "
            f"gives; these have shape {given.shape}, type {given.dtype}."
        )
    same_size(len(given), n_cards, name="labels", of="cards")
    if not (given >= 0).any():
        raise schema.NoFigure(f"none of the {n_cards:,} cards is in a cluster (all labels are -1).")
    return np.where(given >= 0, given, -1).astype(np.int32)


def _cosines(x: Floats, label: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """Give the cosine of each row to the centre of its cluster, NaN (null) where there is none."""
    same_size(len(x), len(label), name="x", of="cards")
    good = usable(x)
    unit = blanked(x, good, normalize=True)
    result = np.full(len(x), np.nan)
    for cluster in np.unique(label[good & (label >= 0)]):
        rows = np.flatnonzero(good & (label == cluster))
        members = unit[rows].astype(np.float64)
        centre = members.mean(axis=0)
        length = np.linalg.norm(centre)
        result[rows] = members @ centre / length if length > 0 else 0.0
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
            else pl.DataFrame(schema=_KEYWORDS)
        )
    except schema.NoFigure:
        # Cards without words can be described all the same.
        keywords = pl.DataFrame(schema=_KEYWORDS)
    strongest = keywords.sort("score", "cluster", descending=[True, False])
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
    tags = frame.select("cluster", tag=free_tags(strings(frame, "tags", schema.STRINGS)))
    counts = (
        tags.explode("tag")
        .drop_nulls()
        .group_by("cluster", "tag")
        .agg(n=pl.len())
        .join(sizes, on="cluster")
    )
    everywhere = pl.col("n").sum().over("tag")
    outside = (everywhere - pl.col("n")) / (frame.height - pl.col("size")).clip(1)
    needed = pl.when(pl.col("size") >= _TINY_CLUSTER).then(2).otherwise(1)
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
