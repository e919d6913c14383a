"""K-means on distinct points, from several starts, and the assignment of all points."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial

import numpy as np

from .points import Indices, Ints, Points, Sample, drawn, in_blocks, on_all_cores, one_thread
from .vectors import Floats

#: Rows on which k-means is fitted at most: centres of clusters of any size worth naming do not
#: move when more are looked at, and all other rows only need to be assigned.
FIT_ROWS = 50_000

#: K-means++ starts beside Ward's.
_STARTS = 10

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


def fit(sample: Sample, k: int, seed: int, *, ward: Sample, n_starts: int) -> Fit:
    """Cluster the points of a sample, each weighing as much as it has copies.

    Of `n_starts` k-means++ starts and one from the hierarchy of `ward` the one that ends with the
    least spread is kept; of a large sample a part decides which. There are fewer than `k` clusters
    where points are so near each other that float32 cannot tell their distances apart.
    """
    k = min(k, len(sample.values))
    race = sample.smaller(seed, _RACE_ROWS)
    if race is not sample:
        n_starts = min(n_starts, _RACE_STARTS)
    centres = ward.centres(k)
    starts: list[Floats | int] = [*seeds_of(seed, n_starts or int(centres is None))]
    if centres is not None:
        starts.append(centres)
    if len(race.values) < k:
        race = sample
    best = min(on_all_cores(partial(_one_fit, race, k), starts), key=lambda found: found.inertia)
    if race is sample:
        return best
    if len(best.centres) < k:
        return Fit(best.centres, nearest(sample.values, best.centres), float("nan"))
    return _one_fit(sample, k, best.centres)


def seeds_of(seed: int, n: int) -> list[int]:
    """Draw `n` seeds."""
    return [int(s) for s in np.random.SeedSequence(seed).generate_state(n)]


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


def nearest(values: Floats, centres: Floats) -> Indices:
    """Give the index of the nearest centre of each row; of equally near ones the first."""
    # The square of the row is left out of its distances: it changes no order. One product of a
    # block takes a quarter of the time of scikit-learn's pairwise_distances_argmin.
    half = np.einsum("ij,ij->i", centres, centres) / 2
    across = np.ascontiguousarray(centres.T)

    def of_block(block: slice) -> Indices:
        best: Indices = (values[block] @ across - half).argmax(axis=1)
        return best

    return np.concatenate([np.zeros(0, dtype=np.int64), *in_blocks(of_block, len(values))])


def assign(points: Points, centres: Floats) -> Indices:
    """Give the nearest of some centres for each of all points, of which a block is held."""
    every = np.arange(len(points.copies))
    found = in_blocks(lambda block: nearest(points.take(every[block]), centres), len(every))
    return np.concatenate(found)


def fit_all(points: Points, k: int, seed: int) -> Ints:
    """Cluster all points; gives a label for each."""
    sample = points.sample(drawn(len(points.rows), FIT_ROWS, seed))
    ward = sample.smaller(seed, WARD_ROWS)
    if k > len(sample.values):  # fewer points were drawn, though there are enough of them
        sample = points.sample(np.arange(len(points.rows)))
    best = fit(sample, k, seed, ward=ward, n_starts=_STARTS)
    everything = len(sample.values) == len(points.copies)
    return (best.labels if everything else assign(points, best.centres)).astype(np.int32)


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
    from sklearn.neighbors import NearestNeighbors

    result = np.full(len(points.copies), NOISE, dtype=np.int32)
    chosen = drawn(len(result), _MANY, seed)
    values = np.ascontiguousarray(points.take(chosen)[:, :_COMPONENTS])
    if len(values) < max(min_cluster_size, _NEIGHBORS + 1):
        return result
    model = HDBSCAN(min_cluster_size=min_cluster_size, min_samples=_NEIGHBORS, copy=True)
    with one_thread():
        found = model.fit_predict(values.astype(np.float64))
    result[chosen] = labels = np.where(found >= 0, found, NOISE).astype(np.int32)
    rest = np.setdiff1d(np.arange(len(result)), chosen)
    if not len(rest):
        return result
    # Another point is in the cluster of the nearest drawn one, if it is near enough to that.
    with one_thread():
        tree = NearestNeighbors(n_neighbors=_NEIGHBORS + 1).fit(values)
        reach = tree.kneighbors(values)[0][:, -1]

    def of_nearest(block: slice) -> Ints:
        others = points.take(rest[block])[:, :_COMPONENTS]
        distance, at = tree.kneighbors(others, n_neighbors=1)
        return np.where(distance[:, 0] <= reach[at[:, 0]], labels[at[:, 0]], NOISE)

    result[rest] = np.concatenate(in_blocks(of_nearest, len(rest)))
    return result
