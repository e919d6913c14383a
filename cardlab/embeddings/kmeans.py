"""K-means on distinct points, and the measures by which a number of clusters is chosen."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import combinations
from math import isqrt

import numpy as np
import numpy.typing as npt

from .matrix import Floats
from .points import Indices, Points, Sample

#: Distinct vectors above which k-means works on small batches.
_MANY = 50_000

_MAX_AUTO = 30
_AUTO_RUNS = 4


def fit(
    values: Floats, copies: Indices, k: int, seed: int, *, ward: Floats | None, n_starts: int
) -> Indices:
    """Cluster distinct points, each weighing as much as it has copies; gives a label for each.

    Of `n_starts` k-means++ starts and one from the centres `ward`, the one that ends with the
    least spread is kept. There are fewer than `k` clusters where points are so near each other
    that float32 cannot tell their distances apart.
    """
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    k = min(k, len(values))
    kind, options = KMeans, {}
    if len(values) > _MANY:
        kind, options, n_starts = MiniBatchKMeans, {"batch_size": 1024}, min(n_starts, 3)
    models = []
    if n_starts or ward is None:
        models.append(kind(k, n_init=max(1, n_starts), random_state=seed, **options))
    if ward is not None:
        models.append(kind(k, init=ward, n_init=1, random_state=seed, **options))
    with warnings.catch_warnings():
        # Raised for points too near each other; the numbers that come out say so as well.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for model in models:
            model.fit(values, sample_weight=copies.astype(values.dtype))
    best = min(models, key=lambda model: float(model.inertia_))
    return np.unique(best.labels_, return_inverse=True)[1].astype(np.int64)


def ward_tree(values: Floats) -> npt.NDArray[np.float64]:
    """Build Ward's hierarchy of at most a few thousand points."""
    from scipy.cluster.hierarchy import linkage

    return np.asarray(linkage(values, "ward"))


def ward_centres(
    tree: npt.NDArray[np.float64], values: Floats, copies: Indices, k: int
) -> Floats | None:
    """Cut a hierarchy into `k` clusters and give their centres; None where ties forbid it.

    Drawn starts put two centres into a large cluster and one between two small ones, and k-means
    does not get out of that by itself. A hierarchy seldom makes this mistake.
    """
    from scipy.cluster.hierarchy import fcluster

    labels = fcluster(tree, k, criterion="maxclust") - 1
    if labels.max() + 1 != k:
        return None
    sums = np.zeros((k, values.shape[1]))
    np.add.at(sums, labels, values * copies[:, None])
    return (sums / np.bincount(labels, weights=copies)[:, None]).astype(np.float32)


def choose(points: Points, seed: int) -> int:
    """Choose the number of clusters with the largest stability x silhouette."""
    largest = min(max(2, min(_MAX_AUTO, isqrt(len(points.rows)))), len(points.values))
    candidates = range(min(2, largest), largest + 1)
    if len(candidates) == 1:
        return candidates[0]
    sample = points.sample(seed)
    stable = agreement(sample, candidates, _AUTO_RUNS, seed, n_starts=0).mean(axis=1)
    tree = ward_tree(sample.values)
    widths = []
    for k in candidates:
        start = ward_centres(tree, sample.values, sample.copies, k)
        labels = fit(sample.values, sample.copies, k, seed, ward=start, n_starts=0)
        widths.append(silhouette(sample, labels))
    return candidates[int(np.argmax(np.maximum(stable, 0) * widths))]


def agreement(
    sample: Sample, candidates: Sequence[int], n_runs: int, seed: int, *, n_starts: int
) -> npt.NDArray[np.float64]:
    """Repeat fits, each with its own seed on its own 80 % of the rows of a sample.

    Gives a row for each candidate, with the adjusted Rand index of each pair of runs on the rows
    that both have seen.
    """
    from sklearn.metrics import adjusted_rand_score

    n = len(sample.rows)
    seeds = np.random.SeedSequence(seed).generate_state(n_runs)
    labels = np.full((len(candidates), n_runs, n), -1, dtype=np.int32)
    for run, run_seed in enumerate(int(s) for s in seeds):
        mask = np.zeros(n, dtype=bool)
        mask[np.random.default_rng(run_seed).permutation(n)[: max(2, round(0.8 * n))]] = True
        there, rows, copies = np.unique(sample.rows[mask], return_inverse=True, return_counts=True)
        values = sample.values[there]
        tree = ward_tree(values) if len(there) > 1 else None
        for i, k in enumerate(min(k, len(there)) for k in candidates):
            start = None if tree is None else ward_centres(tree, values, copies, k)
            found = fit(values, copies, k, run_seed, ward=start, n_starts=n_starts)
            labels[i, run, mask] = found[rows]
    scores = [
        [adjusted_rand_score(a[common], b[common]) for a, b, common in _pairs(of_candidate)]
        for of_candidate in labels
    ]
    return np.array(scores)


def silhouette(sample: Sample, labels: Indices) -> float:
    """Give the mean silhouette over the rows of a sample, 0 for a row alone in its cluster.

    The same as scikit-learn's, but the distances of all points to all clusters are one matrix
    product, and copies are counted instead of repeated.
    """
    found, own = np.unique(labels, return_inverse=True)
    if len(found) < 2:
        return 0.0
    points = np.arange(len(own))
    member = np.zeros((len(own), len(found)), dtype=np.float32)
    member[points, own] = sample.copies
    sizes = np.bincount(own, weights=sample.copies)
    sums = (sample.distances @ member).astype(np.float64)
    within = sums[points, own] / np.maximum(sizes[own] - 1, 1)
    others = sums / sizes
    others[points, own] = np.inf
    between = others.min(axis=1)
    larger = np.maximum(within, between)
    width = np.divide(between - within, larger, out=np.zeros_like(larger), where=larger > 0)
    return float(np.average(np.where(sizes[own] > 1, width, 0), weights=sample.copies))


def _pairs(runs: npt.NDArray[np.int32]) -> list[tuple[npt.NDArray[np.int32], ...]]:
    """Pair all runs, with the mask of the rows that both have seen."""
    return [(a, b, (a >= 0) & (b >= 0)) for a, b in combinations(runs, 2)]
