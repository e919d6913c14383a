"""The words that tell clusters apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from .points import checked_labels, whole_number
from .stability import marked
from .words import card_texts, word_counts

#: In a cluster with fewer cards a word or tag need only occur in one of them.
TINY_CLUSTER = 4

KEYWORDS = {"cluster": pl.Int32, "keyword": pl.String, "score": pl.Float64}


def cluster_keywords(
    cards: Any,
    *,
    labels: npt.ArrayLike,
    top: int = 8,
    stability: pl.DataFrame | None = None,
) -> pl.DataFrame:
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
    stability : pl.DataFrame, optional
        ``cluster`` and ``is_stable`` from :func:`cluster_jaccard`; adds ``is_stable`` (bool).

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
    label = checked_labels(labels, schema.count(cards), of="cards")
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
        kept = np.flatnonzero(n_cards >= (2 if sizes[i] >= TINY_CLUSTER else 1))
        best = kept[np.lexsort((words[kept], -score[kept]))][:top]
        rows = {"cluster": int(clusters[i]), "keyword": words[best], "score": score[best]}
        frames.append(pl.DataFrame(rows, schema=KEYWORDS))
    keywords = pl.concat(frames)
    return keywords if stability is None else marked(keywords, stability).drop("jaccard")
