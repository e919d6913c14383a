"""K-means on distinct points, from several starts, and the assignment of all points."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from .points import Indices, Ints, Points, Sample, in_blocks, on_all_cores, one_thread
from .vectors import Floats

#: Rows on which k-means is fitted at most: centres of clusters of any size worth naming do not
#: move when more are looked at, and all other rows only need to be assigned.
FIT_ROWS = 50_000

#: Rows on which the starts compete, and the k-means++ starts that do so if there are more rows;
#: rows of which Ward's hierarchy is built.
_RACE_ROWS = 20_000
_RACE_STARTS = 3
WARD_ROWS = 2_500


@dataclass(frozen=True)
class Fit:
    """Centres, the label of each point that was fitted, and the sum of squared distances."""

    centres: Floats
    labels: Indices
    inertia: float


def fit(sample: Sample, k: int, seed: int, *, ward: Floats | None, n_starts: int) -> Fit:
    """Cluster the points of a sample, each weighing as much as it has copies.

    Of `n_starts` k-means++ starts and one from the centres `ward` the one that ends with the
    least spread is kept; of a large sample a part decides which. There are fewer than `k`
    clusters where points are so near each other that float32 cannot tell their distances apart.
    """
    k = min(k, len(sample.values))
    if len(sample.rows) > _RACE_ROWS:
        n_starts = min(n_starts, _RACE_STARTS)
    seeds = np.random.SeedSequence(seed).generate_state(max(n_starts, 1))
    starts: list[Floats | int] = [int(s) for s in seeds[: n_starts or int(ward is None)]]
    if ward is not None:
        starts.append(ward)
    race = sample.smaller(seed, _RACE_ROWS)
    if len(race.values) < k:
        race = sample
    fits = on_all_cores(partial(_one_fit, race, k), starts)
    best = min(fits, key=lambda found: found.inertia)
    if race is sample or len(best.centres) < k:
        return best if race is sample else _labelled(sample, best.centres)
    return _one_fit(sample, k, best.centres)


def _one_fit(sample: Sample, k: int, start: Floats | int) -> Fit:
    """Run k-means from given centres, or from k-means++ with a seed."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    given = {"random_state": start} if isinstance(start, int) else {"init": start}
    with warnings.catch_warnings():
        # Raised for points too near each other; the numbers that come out say so as well.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(k, n_init=1, **given)
        model.fit(sample.values, sample_weight=sample.copies.astype(np.float32))
    found, labels = np.unique(model.labels_, return_inverse=True)
    return Fit(model.cluster_centers_[found], labels.astype(np.int64), float(model.inertia_))


def _labelled(sample: Sample, centres: Floats) -> Fit:
    return Fit(centres, nearest(sample.values, centres), float("nan"))


def nearest(values: Floats, centres: Floats) -> Indices:
    """Give the index of the nearest centre of each row; of equally near ones the first."""
    half = np.einsum("ij,ij->i", centres, centres) / 2
    across = np.ascontiguousarray(centres.T)

    def assign(block: slice) -> Indices:
        score = values[block] @ across
        score -= half
        best: Indices = score.argmax(axis=1)
        return best

    return np.concatenate([np.zeros(0, dtype=np.int64), *in_blocks(assign, len(values))])


def assign(points: Points, centres: Floats) -> Indices:
    """Give the nearest of some centres in principal components for each of all points.

    The centres lie in the space of the components, so that the nearest of them is the same in
    full width: one product with the vectors as they are does for reducing and comparing.
    """
    # So small a product takes longer when threads wait for each other.
    with one_thread():
        full = np.ascontiguousarray(points.frame.back(centres).T)
    half = np.einsum("ij,ij->i", centres, centres) / 2
    first = points.first

    def of_block(block: slice) -> Indices:
        score = points.centred(first[block]) @ full
        score -= half
        best: Indices = score.argmax(axis=1)
        return best

    return np.concatenate(in_blocks(of_block, len(first)))


def fit_all(points: Points, candidates: list[int], seed: int, *, n_starts: int) -> list[Indices]:
    """Cluster all points once for each number of clusters; gives a label for each point."""
    sample = points.sample(seed, FIT_ROWS)
    small = sample.smaller(seed, WARD_ROWS)
    tree = ward_tree(small.values)
    found = []
    for k in candidates:
        start = ward_centres(tree, small, k)
        if k > len(sample.values):
            # More clusters than points were drawn, though there are enough of them.
            sample = points.sample(seed, len(points.rows))
        best = fit(sample, k, seed, ward=start, n_starts=n_starts)
        everything = len(sample.values) == len(points.copies)
        found.append(best.labels if everything else assign(points, best.centres))
    return found


def ward_tree(values: Floats) -> npt.NDArray[np.float64] | None:
    """Build Ward's hierarchy of at most a few thousand points; None of a single one."""
    from scipy.cluster.hierarchy import linkage

    return np.asarray(linkage(values, "ward")) if len(values) > 1 else None


def ward_centres(tree: npt.NDArray[np.float64] | None, sample: Sample, k: int) -> Floats | None:
    """Cut a hierarchy into `k` clusters and give their centres; None where ties forbid it.

    Drawn starts put two centres into a large cluster and one between two small ones, and k-means
    does not get out of that by itself. A hierarchy seldom makes this mistake.
    """
    from scipy.cluster.hierarchy import fcluster

    if tree is None or k > len(sample.values):
        return None
    labels = fcluster(tree, k, criterion="maxclust") - 1
    if labels.max() + 1 != k:
        return None
    sums = np.zeros((k, sample.values.shape[1]))
    np.add.at(sums, labels, sample.values * sample.copies[:, None])
    return (sums / np.bincount(labels, weights=sample.copies)[:, None]).astype(np.float32)


# ---- Clusters as dense regions, with what lies in none of them left out.

#: Label of a usable vector in no cluster; -1 is a vector that is not usable.
NOISE = -2

#: Distinct vectors that are clustered; the time grows with their square.
_MANY = 10_000

#: In more dimensions all distances are alike, and nothing is denser than anything else.
_COMPONENTS = 15

#: Neighbours that say how dense it is around a vector.
_NEIGHBORS = 5


def dense(points: Points, seed: int, min_cluster_size: int) -> Ints:
    """Give each point the number of its dense region, or `NOISE`."""
    from sklearn.cluster import HDBSCAN

    n = len(points.copies)
    drawn = np.arange(n)
    if n > _MANY:
        drawn = np.sort(np.random.default_rng(seed).choice(n, _MANY, replace=False))
    values = np.ascontiguousarray(points.take(drawn)[:, :_COMPONENTS])
    if len(values) < max(min_cluster_size, _NEIGHBORS + 1):
        return np.full(n, NOISE, dtype=np.int32)
    model = HDBSCAN(min_cluster_size=min_cluster_size, min_samples=_NEIGHBORS, copy=True)
    with one_thread():
        found = model.fit_predict(values.astype(np.float64))
    labels = np.where(found >= 0, found, NOISE).astype(np.int32)
    if len(drawn) == n:
        return labels
    result = np.empty(n, dtype=np.int32)
    result[drawn] = labels
    rest = np.setdiff1d(np.arange(n), drawn)
    result[rest] = _of_nearest(points, rest, values, labels)
    return result


def _of_nearest(points: Points, rest: npt.NDArray[np.int64], values: Floats, labels: Ints) -> Ints:
    """Give other points the label of the nearest drawn one, if they are near enough to it."""
    from sklearn.neighbors import NearestNeighbors

    with one_thread():
        tree = NearestNeighbors(n_neighbors=_NEIGHBORS + 1).fit(values)
        reach = tree.kneighbors(values)[0][:, -1]

        def of_block(block: slice) -> Ints:
            others = points.take(rest[block])[:, :_COMPONENTS]
            distance, nearest = tree.kneighbors(others, n_neighbors=1)
            near = distance[:, 0] <= reach[nearest[:, 0]]
            return np.where(near, labels[nearest[:, 0]], NOISE).astype(np.int32)

        return np.concatenate(in_blocks(of_block, len(rest)))
