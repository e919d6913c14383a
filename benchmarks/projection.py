"""Maps of planted clusters: cardlab beside the libraries that it might have used.

Every way gets the same vectors (40 clusters in eight families, each spread along directions of
its own, 100 columns) and gives a place for each. Of each map are told: trustworthiness and kept
neighbours (share of the ten nearest that are among the ten nearest on the map), both for 1,000
cards among all, and the share of these whose cluster their ten neighbours on the map tell; and
whether a second run draws the same map.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .apart import Figures, Later, Options, Run, Task, digest

cl, openTSNE, pacmap, umap = map(Later, ("cardlab", "openTSNE", "pacmap", "umap"))
neighbors, maps = Later("sklearn.neighbors"), Later("cardlab.embeddings.project")

SIZES, SUFFIX = "20000,100000", ".npz"
N_CLUSTERS = 40
N_NEIGHBORS = 10
N_JUDGED = 1_000


def planted(n: int, d: int = 100) -> tuple[Any, Any]:
    """Give vectors, and the cluster of each."""
    rng = np.random.default_rng(1)
    families = rng.normal(size=(8, d)) * 1.2
    centres = families[rng.integers(0, 8, N_CLUSTERS)] + rng.normal(size=(N_CLUSTERS, d)) * 0.6
    topic = rng.choice(N_CLUSTERS, n, p=rng.dirichlet(np.full(N_CLUSTERS, 2.0)))
    along = rng.normal(size=(N_CLUSTERS, 6, d)) * 0.35
    x = np.empty((n, d), dtype=np.float32)
    for start in range(0, n, 5_000):
        part = topic[start : start + 5_000]
        spread = np.einsum("nr,nrd->nd", rng.normal(size=(len(part), 6)), along[part])
        noise = rng.normal(size=(len(part), d)) * 0.35
        x[start : start + 5_000] = centres[part] + spread + noise
    return x, topic


def write(path: str, size: int, options: Options) -> None:
    x, topic = planted(size)
    np.savez(path, x=x, topic=topic)


def quality(x: Any, topic: Any, xy: Any) -> Figures:
    """Compare the neighbours on the map with those in truth, for some cards among all."""
    judged = np.random.default_rng(0).choice(len(x), min(N_JUDGED, len(x)), replace=False)
    shown, true = (_nearest(points, judged) for points in (xy, x))
    kept = [np.isin(near, there).mean() for near, there in zip(shown, true, strict=True)]
    told = [np.bincount(topic[near]).argmax() for near in shown] == topic[judged]
    trust = maps.trustworthiness(x, xy, n_neighbors=N_NEIGHBORS)
    return {"trustworthiness": trust, "kept": float(np.mean(kept)), "told": float(told.mean())}


def _nearest(points: Any, rows: Any) -> list[Any]:
    fitted = neighbors.NearestNeighbors(n_neighbors=N_NEIGHBORS + 1).fit(points)
    found = fitted.kneighbors(points[rows], return_distance=False)
    return [near[near != row][:N_NEIGHBORS] for row, near in zip(rows, found, strict=True)]


def judge(run: Run) -> Figures:
    xy = np.asarray(run.found, dtype=np.float32)
    found = {"import, s": run.imports, "peak MB": run.peak, "result": digest(xy)}
    return found | quality(run.data, np.load(run.path)["topic"], xy)


MAPS = Task(
    "Maps of planted clusters",
    load=lambda path, options: np.load(path)["x"],
    judge=judge,
    against=("cardlab tsne",),
)
TASKS = {"maps": MAPS}


way = partial(MAPS.way, compared=False)
way("cardlab pca", "sklearn.decomposition")(lambda x: cl.project(x, method="pca"))
way("cardlab tsne", "sklearn.manifold")(lambda x: cl.project(x, method="tsne"))
way("cardlab opentsne", "openTSNE")(lambda x: cl.project(x, method="opentsne"))
way("openTSNE, all vectors", "openTSNE")(
    lambda x: np.asarray(openTSNE.TSNE(n_jobs=1, random_state=0).fit(x))
)
way("UMAP", "umap")(lambda x: umap.UMAP(random_state=0, n_jobs=1).fit_transform(x))
way("PaCMAP", "pacmap")(lambda x: pacmap.PaCMAP(random_state=0).fit_transform(x))
