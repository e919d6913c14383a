"""Names of clusters: the task, library or author that dominates, and words that are their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from .lsa import card_texts, own_words, stem, word_counts
from .points import Indices

Shares = npt.NDArray[np.float64]

#: Names of classes, which name no subject: words that half of their cards write in this way.
_CODE = r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+[A-Za-z]*\b"

#: Names of arguments, and of classes with a digit: their parts ("skip", "ids") name no subject.
_ARGUMENT = r"[A-Za-z]+(?:_[A-Za-z]+)+|\b(?:[A-Z][a-z]+){2,}\d\w*"

#: Words of papers and of how a thing is done, which name no subject either.
_NO_SUBJECT = (
    "abstract architecture auto clone dataset datasets device direct efficient existing exp "
    "experimental extract git install instance log objective page pages paper performance "
    "precision presented project research strategy support texts tokenization tokenizer total "
    "transfer version view"
)

#: Words of a name; authors that must say one; cards that are read of a large corpus.
_WORDS, _SAYERS, _READ = 4, 3, 20_000

#: Words of a cluster among which those of its name are sought.
_CANDIDATES = 25

#: What dominates: so much of a cluster has it, and so many times the share of all cards.
_DOMINATES, _LIFT = 0.5, 1.5
_FACTS = ("pipeline_tag", "library_name")


def name_clusters(
    cards: pl.DataFrame, labels: pl.DataFrame, weights: Shares, author: Indices
) -> tuple[pl.DataFrame, Shares]:
    """Name the clusters of each layer, from coarse to fine; and the template share of each card.

    `labels` has a column for each layer. Gives ``layer``, ``cluster``, ``name`` and ``parent``
    (the cluster of the layer before with most of its cards, null in the first).
    """
    texts, share = None, np.full(len(weights), np.nan)
    if {"text", "tags"} & set(cards.columns):
        texts, of_template = own_words(card_texts(cards), labels=True)
        share = of_template if "text" in cards.columns else share
    rows = np.arange(len(weights))
    if len(rows) > _READ:
        rows = np.argsort(cards["id"].hash().to_numpy(), kind="stable")[:_READ]
    subjects = None if texts is None else _subjects(texts[rows])
    tables: list[pl.DataFrame] = []
    upper, above = np.zeros(0), dict[int | None, str]()  # the layer before, and its names
    for layer in labels.columns:
        label = labels[layer].fill_null(-1).to_numpy()
        n = int(label.max(initial=-1)) + 1
        scored: list[list[str]] = [[] for _ in range(n)]
        if subjects and n:
            scored = _words(*subjects, label[rows], weights[rows], author[rows], n)
        facts = _facts(cards, label, weights)
        parents: list[int | None] = [None] * n
        if tables:
            parents = [int(np.bincount(upper[label == i] + 1).argmax()) - 1 for i in range(n)]
        names: dict[int | None, str] = {}
        for i in range(n):
            name = parent = above.get(parents[i])
            if parent is None or (label == i).sum() < 0.9 * (upper == parents[i]).sum():
                name = _name(facts.get(i), scored[i], parent) or f"cluster {i}"
            names[i] = f"{name} ({i})" if name in names.values() else str(name)
        data = {"cluster": range(n), "name": names.values(), "parent": parents}
        dtypes: Any = {"cluster": pl.Int32, "name": pl.String, "parent": pl.Int32}
        table = pl.DataFrame({name: list(of) for name, of in data.items()}, dtypes)
        tables.append(table.select(pl.lit(layer).alias("layer"), pl.all()))
        upper, above = label, names
    return pl.concat(tables), share


def _subjects(texts: pl.DataFrame) -> tuple[Any, pl.Series] | None:
    """Give which cards say which words that can name a subject, and the words, if there are any."""
    texts = texts.with_columns(pl.col("text").str.replace_all(_ARGUMENT, " "))
    try:
        counts, counter = word_counts(texts)
    except schema.NoFigure:
        return None
    said, words = counts.sign(), pl.Series(counter.get_feature_names_out())
    found = texts["text"].str.extract_all(_CODE)
    code = found.list.eval(pl.element().str.to_lowercase().unique()).explode().drop_nulls()
    in_code = code.value_counts()
    as_code = words.replace_strict(in_code.to_series(0), in_code.to_series(1), default=0)
    n_cards = pl.Series(np.asarray(said.sum(axis=0)).ravel())
    plain = ((as_code < n_cards / 2) & ~words.is_in(_NO_SUBJECT.split())).arg_true()
    return said[:, plain.to_numpy()], words.gather(plain)


def _facts(cards: pl.DataFrame, label: Indices, weights: Shares) -> dict[int, str]:
    """Give the task that dominates a cluster, else the library, else the author."""
    result: dict[int, str] = {}
    weight = pl.col("weight")
    for column in (*_FACTS, "author"):
        if column not in cards.columns:
            continue
        frame = cards.select(value=column, weight=pl.Series(weights), cluster=pl.Series(label))
        frame = frame.with_columns(all=weight.sum().over("value") / weight.sum())
        frame = frame.with_columns(weight / weight.sum().over("cluster"))
        found = frame.group_by("cluster", "value", "all").agg(weight.sum())
        found = found.drop_nulls("value").filter(
            weight >= _DOMINATES, weight >= _LIFT * pl.col("all")
        )
        best = found.sort("weight", "value", descending=[False, True])
        result = dict(best.select("cluster", pl.col("value").cast(pl.String)).rows()) | result
    return result


def _words(
    said: Any, words: pl.Series, label: Indices, weights: Shares, author: Indices, n: int
) -> list[list[str]]:
    """Rank the words of each cluster by c-TF-IDF of cards that say them, each word in one cluster.

    Grootendorst (2022), BERTopic. A word that too few authors say in a cluster is none of it; one
    that is left with fewer than two has its best ones, of whichever cluster they are.
    """
    from scipy.sparse import csr_matrix

    inside = np.flatnonzero(label >= 0)
    own = label[inside]
    totals = np.bincount(own, weights=weights[inside], minlength=n)
    share = weights[inside] / totals[own]
    rate = (csr_matrix((share, (own, inside)), (n, len(label))) @ said).tocoo()
    pair, of_pair = np.unique(np.stack([own, author[inside]]), axis=1, return_inverse=True)
    ones = np.ones(len(inside))
    spoken = (
        csr_matrix((ones, (of_pair.ravel(), inside)), (pair.shape[1], len(label))) @ said
    ).sign()
    ones = np.ones(pair.shape[1])
    sayers = csr_matrix((ones, (pair[0], np.arange(pair.shape[1]))), (n, pair.shape[1])) @ spoken
    everywhere = np.asarray(rate.sum(axis=0)).ravel()
    # Rounded, so that the order of the cards does not decide between equal ones.
    score = (rate.data * np.log1p(n / everywhere[rate.col])).round(6)
    word = pl.col("word")
    table = (
        pl.DataFrame({"cluster": rate.row, "word": words.gather(rate.col), "score": score})
        .filter(pl.Series(sayers.tocsr()[rate.row, rate.col].A1 >= _SAYERS))
        .with_columns(stem=stem(word))
        .sort("score", "cluster", "word", descending=[True, False, False])
        .with_columns(is_own=pl.col("stem").is_first_distinct())
        .filter(pl.struct("cluster", "stem").is_first_distinct())
    )
    every, firsts = word.head(_WORDS), word.filter("is_own").head(_CANDIDATES)
    ranked = table.group_by("cluster", maintain_order=True).agg(every=every, own=firsts)
    best = {i: own if len(own) > 1 else own + each for i, each, own in ranked.iter_rows()}
    return [list(dict.fromkeys(best.get(i, []))) for i in range(n)]


def _name(fact: str | None, words: list[str], parent: str | None) -> str:
    """Put a name together: at most four words, of which one is not in that of the parent."""
    first = [fact] if fact else []
    parts = set((fact or "").lower().replace("-", " ").replace("_", " ").split())
    fresh = [word for word in words if word not in parts]
    chosen = fresh[: _WORDS - len(first)]
    known = set((parent or "").replace(":", "").replace(",", "").split())
    new = next((word for word in fresh if word not in known), None)
    if new and not set(chosen) - known:
        chosen[-1] = new
    said = ", ".join(chosen)
    return f"{fact}: {said}" if fact and said else fact or said
