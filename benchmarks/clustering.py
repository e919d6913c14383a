"""Clusters of vectors: cardlab beside what a user would write with the usual libraries.

Every way gets the same float32 vectors: those of `make_cards` with 50 planted topics of unequal
size, and normal noise on top that is several times as long as the vectors, so that the clusters
are hard to find but still there. The time is from the vectors in memory to the labels. Memory is
told as the peak of the whole process, imports included, over the vectors. Agreement is the
adjusted Rand index with the planted topics. Inertia is the mean squared distance of a vector to
the mean of its cluster, in the full space, whatever the way fitted in.

The assignment of all vectors to 50 centres is timed next to plain float32 matrix products as
well: of the same two matrices, and of square ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from .apart import Figures, Later, Options, Run, Task, Way

cl, faiss = Later("cardlab"), Later("faiss")
kmeans, points = Later("cardlab.embeddings.cluster"), Later("cardlab.embeddings.points")
cluster, metrics = Later("sklearn.cluster"), Later("sklearn.metrics")

SIZES, SUFFIX = "50000,100000,200000", ".npz"
K, DIM, SEED = 50, 768, 0
SQUARE = 4096
PRODUCT, SQUARES = "product of the same shape", f"product {SQUARE} x {DIM} x {SQUARE}"
OWN = ("cardlab.embeddings.cluster", "sklearn.cluster", "scipy.cluster.hierarchy")


def write(path: str, size: int, options: Options) -> None:
    """Draw cards and add noise to their vectors."""
    if size < 2 * SQUARE:  # two blocks of which a product is timed
        raise SystemExit(f"clustering needs at least {2 * SQUARE:,} cards, not {size:,}.")
    cards = cl.make_cards(size, n_topics=K, embedding_dim=DIM, text=False, random_state=SEED)
    x = cl.vectors(cards).copy()
    rng = np.random.default_rng(SEED)
    scale = np.float32(options.noise / DIM**0.5)
    for start in range(0, size, 10_000):
        block = x[start : start + 10_000]
        block += rng.standard_normal(block.shape, dtype=np.float32) * scale
    np.savez(path, x=x, topic=cards["topic"].to_numpy())


def judge(run: Run) -> Figures:
    x, labels, topic = run.data, run.found, np.load(run.path)["topic"]
    groups = (x[labels == label].astype(np.float64) for label in np.unique(labels))
    return {
        "peak / vectors": run.peak * 2**20 / x.nbytes,
        "adjusted Rand": float(metrics.adjusted_rand_score(topic, labels)),
        "inertia": sum(len(group) * group.var(axis=0).sum() for group in groups) / len(x),
    }


def rate(run: Run) -> Figures:
    rows, columns = (SQUARE, SQUARE) if run.way == SQUARES else (len(run.data), K)
    return {"GFLOP/s": 2.0 * rows * columns * DIM / run.seconds / 1e9}


CLUSTERS = Task(
    f"{K} clusters of vectors of {DIM} numbers",
    load=lambda path, options: np.load(path)["x"],
    judge=judge,
)
ASSIGNMENT = replace(
    CLUSTERS,
    title=f"Assignment to the nearest of {K} centres",
    warm=lambda call: call,
    judge=rate,
    against=("cardlab", PRODUCT),
    ways={},
)
TASKS = {"clusters": CLUSTERS, "assignment": ASSIGNMENT}


CLUSTERS.way("cardlab", *OWN)(lambda x: cl.cluster(x, n_clusters=K, random_state=SEED))
CLUSTERS.way("KMeans(n_init=1)", "sklearn.cluster")(
    lambda x: cluster.KMeans(K, n_init=1, random_state=SEED).fit_predict(x)
)
CLUSTERS.way("MiniBatchKMeans", "sklearn.cluster")(
    lambda x: cluster.MiniBatchKMeans(K, n_init=3, random_state=SEED).fit_predict(x)
)


@CLUSTERS.way("faiss Kmeans", "faiss")
def with_faiss(x: Any) -> Any:
    model = faiss.Kmeans(x.shape[1], K, seed=SEED, niter=25)
    model.train(x)
    return model.index.search(x, 1)[1].ravel()


def assignment(x: Any, *, way: str) -> Callable[[], Any]:
    """Make the call that is timed."""
    model = cluster.KMeans(K, n_init=1, max_iter=2, random_state=SEED).fit(x[: 20 * K])
    if way == "cardlab":
        distinct = points.Points.of(x, SEED)
        return partial(kmeans.assign, distinct, distinct.values[:K].copy())
    if way == "KMeans.predict":
        return partial(model.predict, x)
    if way == PRODUCT:
        return partial(np.matmul, x, np.ascontiguousarray(model.cluster_centers_.T))
    return partial(np.matmul, x[:SQUARE].copy(), np.ascontiguousarray(x[SQUARE : 2 * SQUARE].T))


for name in ("cardlab", "KMeans.predict", PRODUCT, SQUARES):
    prepare = partial(assignment, way=name)
    ASSIGNMENT.ways[name] = Way(lambda call: call(), OWN, prepare=prepare)
