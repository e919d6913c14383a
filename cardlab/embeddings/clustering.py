"""One clustering of a corpus, with all that the figures of a notebook need of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..frames import narrow
from ..schema import NoFigure, collect, column_names, count
from .cluster import cluster, cluster_jaccard, cluster_stability
from .describe_clusters import cluster_summary
from .embed import embed
from .vectors import usable, vector_problems, vectors

Rows = npt.NDArray[np.intp]

_WANTED = (
    *("id", "text", "tags", "license", "languages", "pipeline_tag", "library_name", "created_at"),
    "embeddings",
)


@dataclass(frozen=True)
class Clustering:
    """The cards that were clustered, their vectors, and the clusters that were found.

    ``problems`` lists the cards without a usable vector, as ``vector_problems`` does. ``labels``
    (the cluster of each card, negative for none) and ``summary`` (what
    :func:`cardlab.cluster_summary` says) are None where no stable clusters were found;
    ``clusters``, ``names`` and ``named`` raise NoFigure then.
    """

    cards: Any
    n_corpus: int
    ids: pl.Series
    x: npt.NDArray[np.float32]
    origin: str
    problems: pl.DataFrame
    curve: pl.DataFrame
    n_clusters: int | None
    is_asked: bool
    labels: npt.NDArray[np.int32] | None
    summary: pl.DataFrame | None

    @property
    def n_usable(self) -> int:
        """Cards that have a usable vector."""
        return int(usable(self.x).sum())

    @property
    def how_chosen(self) -> str:
        """How the number of clusters came about, in a sentence."""
        best = self.curve.filter("is_chosen")["jaccard_mean"]
        if self.n_clusters is None:
            return "No stable clusters were found, for no number from 2 up."
        if self.is_asked:
            return f"The number in use, {self.n_clusters}, was asked for."
        came = f"a card's cluster comes back with a Jaccard similarity of {best[0]:.2f}."
        return f"{self.n_clusters} clusters were chosen: {came}"

    @property
    def clusters(self) -> pl.DataFrame:
        """The summary, where there are clusters."""
        if self.summary is None:
            raise NoFigure("no stable clusters were found, so none is described.")
        return self.summary

    @property
    def names(self) -> pl.DataFrame:
        """``cluster`` (int) and ``name`` (its number and its words)."""
        name = pl.format("{} {}", "cluster", pl.col("label").fill_null("")).str.strip_chars()
        return self.clusters.select("cluster", name=name)

    @property
    def named(self) -> pl.DataFrame:
        """The name of each card's cluster, in the cards' order: ``id``, ``cluster``, ``name``."""
        names = self.names
        rows = pl.DataFrame({"id": self.ids, "cluster": np.asarray(self.labels, dtype=np.int32)})
        return rows.join(names, on="cluster", how="left", maintain_order="left")

    def distinct_rows(self, shared: pl.DataFrame, *, limit: int, random_state: int = 0) -> Rows:
        """Give the usable rows, of cards with one vector the first, drawn down to the limit.

        `shared` is what :func:`cardlab.shared_vectors` says of the same cards.
        """
        first = shared["ids"].list.first()
        again = shared["ids"].list.slice(1).explode()
        again = again.filter(~again.is_in(first.implode()))  # an id that two cards have stays
        kept = usable(self.x) & ~self.ids.is_in(again.implode()).to_numpy()
        if kept.sum() > limit:
            kept &= np.random.default_rng(random_state).permutation(len(kept)) < limit
        return np.flatnonzero(kept)


def cluster_cards(
    cards: Any,
    *,
    file: str | os.PathLike[str] | None = None,
    model: Any = "lsa",
    n_clusters: int | str = "auto",
    max_cards: int = 50_000,
    random_state: int = 0,
) -> Clustering:
    """Take or compute the vectors of a corpus, and cluster them.

    Parameters
    ----------
    cards : frame
        Lazy or not; ``embeddings`` are taken where they are usable.
    file, model, random_state
        As :func:`cardlab.vectors`, and where none are given :func:`cardlab.embed`, take them.
    n_clusters : int or "auto"
        The number of clusters; ``"auto"`` takes the one that is most sure, if any is.
    max_cards : int
        Of a larger corpus so many cards are drawn evenly where vectors must be computed.

    Raises
    ------
    NoFigure
        There are no usable vectors, and nothing to compute them from.
    """
    have = column_names(cards)
    held: Any = narrow(cards, [name for name in _WANTED if name in have])
    n_corpus = count(held)
    if n_corpus <= max_cards:
        held = collect(held)
    x, origin = None, ""
    if file is not None or "embeddings" in have:
        try:
            x, origin = vectors(held, file=file), "given with the corpus"
            problems = vector_problems(held, file=file)
        except NoFigure as reason:
            if not {"text", "tags"} & set(have):
                raise
            origin = f"; those of the corpus are of no use: {reason}".rstrip(".")
    if x is None:
        if n_corpus > max_cards:  # the same cards, wherever they stand in the file
            key = pl.col("id").hash(seed=random_state)
            last = collect(held.select(key)).to_series().sort()[max_cards - 1]
            held = collect(held.filter(key <= last))
        x = embed(held, model=model, random_state=random_state)
        origin = f"computed here by {'LSA of texts and tags' if model == 'lsa' else model}{origin}"
        without = held.select("id").with_row_index("row").filter(~usable(x))
        problems = without.select("id", "row", problem=pl.lit("nothing_to_embed"))
    ids = collect(held.lazy().select("id")).to_series()
    # Where a number is given as well: the page shows how sure the others are.
    curve = cluster_stability(x, random_state=random_state)
    chosen = curve.filter("is_chosen")["n_clusters"].to_list()
    k = int(n_clusters) if n_clusters != "auto" else chosen[0] if chosen else None
    labels = summary = None
    if k is not None:
        labels = cluster(x, n_clusters=k, random_state=random_state)
        marks = cluster_jaccard(x, labels=labels, random_state=random_state)
        summary = cluster_summary(held, labels=labels, x=x, stability=marks)
    asked = n_clusters != "auto"
    return Clustering(held, n_corpus, ids, x, origin, problems, curve, k, asked, labels, summary)
