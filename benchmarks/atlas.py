"""Layers of clusters: cardlab beside BERTopic, EVoC and plain k-means, on the same LSA vectors.

Cards are those of ``--source`` (all of them, whatever the size), or drawn by `make_cards`. Told of
the layer that agrees best with the declared tasks: adjusted mutual information with task and
library (of the cards in clusters that declare one), the share of the cards in a cluster, the
number of clusters, and how far a second seed gives the same (adjusted Rand, cards in clusters of
both). BERTopic stands for UMAP to five dimensions and HDBSCAN, which is what it clusters by.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl

from .apart import Figures, Later, Options, Run, Task

cl, evoc, umap = map(Later, ("cardlab", "evoc", "umap"))
metrics, cluster = Later("sklearn.metrics"), Later("sklearn.cluster")

SIZES, SUFFIX = "2500", ".parquet"


def write(path: str, size: int, options: Options) -> None:
    """Keep the ids, what the cards declare, and their vectors."""
    cards = cl.read_cards(options.source) if options.source else cl.make_cards(size)
    cards = cards.with_columns(embeddings=pl.Series(cl.embed(cards)))
    good = np.isfinite(cl.vectors(cards)[:, 0])
    cards.filter(pl.Series(good)).select(
        "id", "author", "pipeline_tag", "library_name", "embeddings"
    ).write_parquet(path)


def load(path: str, options: Options) -> Any:
    cards = pl.read_parquet(path)
    return SimpleNamespace(cards=cards.drop("embeddings"), x=cl.vectors(cards))


def agreement(values: pl.Series, labels: Any) -> float:
    """Give the adjusted mutual information of clusters with what cards declare."""
    both = values.is_not_null().to_numpy() & (labels >= 0)
    return float(metrics.adjusted_mutual_info_score(values.filter(both), labels[both]))


def judge(run: Run) -> Figures:
    cards, again = run.data.cards, TASK.ways[run.way].run(run.data, seed=1)
    task = [agreement(cards["pipeline_tag"], labels) for labels in run.found]
    best = int(np.argmax(task))
    labels = run.found[best]
    # of another number of layers the one that is most like
    both = [(labels >= 0) & (other >= 0) for other in again]
    pairs = zip(both, again, strict=True)
    same = [metrics.adjusted_rand_score(labels[both], other[both]) for both, other in pairs]
    return {
        "import, s": run.imports,
        "layers": len(run.found),
        "clusters": len(set(labels[labels >= 0])),
        "task": task[best],
        "library": agreement(cards["library_name"], labels),
        "in clusters": float((labels >= 0).mean()),
        "two seeds": float(max(same)),
    }


TASK = Task("Layers of clusters of cards", load=load, judge=judge)
TASKS = {"atlas": TASK}


@TASK.way("cardlab", "cardlab.embeddings.atlas", "sklearn.cluster", "scipy.cluster.hierarchy")
def by_cardlab(data: Any, *, seed: int = 0) -> Any:
    found = cl.atlas(data.cards, data.x, random_state=seed).labels.drop("id", "coarse")
    return [each.fill_null(-1).to_numpy() for each in found.get_columns()]


TASK.way("KMeans, 20", "sklearn.cluster")(
    lambda data, seed=0: [cluster.KMeans(20, n_init=10, random_state=seed).fit_predict(data.x)]
)


@TASK.way("EVoC", "evoc")
def by_evoc(data: Any, *, seed: int = 0) -> Any:
    model = evoc.EVoC(random_state=seed)
    model.fit_predict(data.x)
    return model.cluster_layers_


@TASK.way("UMAP and HDBSCAN (BERTopic)", "umap")
def by_bertopic(data: Any, *, seed: int = 0) -> Any:
    model = umap.UMAP(15, 5, min_dist=0.0, metric="cosine", random_state=seed)
    places = model.fit_transform(data.x)
    return [cluster.HDBSCAN(min_cluster_size=10, copy=True).fit_predict(places)]
