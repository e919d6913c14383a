"""Clusters of vectors: so many as are asked for, by k-means, or as dense regions."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from .. import schema
from .points import Indices, Ints, Points, Sample, drawn, in_blocks, on_all_cores, one_thread
from .vectors import Floats, matrix, whole_number


def cluster(
    x: npt.ArrayLike,
    *,
    n_clusters: int | None = None,
    method: Literal["kmeans", "hdbscan"] = "kmeans",
    min_cluster_size: int = 15,
    random_state: int = 0,
) -> Ints:
    """Group vectors that lie near each other into one number of clusters.

    How many there are, and how sure each is, says :func:`atlas`.

    Parameters
    ----------
    x : array-like of numbers, shape (n, d)
        Vectors, one a row; a memory-mapped float32 array is read block by block. Distances are
        Euclidean: normalise the rows first where only their direction matters. Of more than 100
        columns the first 100 principal components (of 30,000 distinct rows) are taken.
    n_clusters : int, optional
        Needed for ``"kmeans"``; ``"hdbscan"`` finds its number by itself.
    method : {"kmeans", "hdbscan"}, default "kmeans"
        - ``"kmeans"``: the best of ten k-means++ starts and one from Ward's hierarchy of at most
          2,500 rows. Above 50,000 usable rows centres are fitted on 50,000 (four starts
          compete on 20,000 of these), and every row gets the nearest.
        - ``"hdbscan"``: regions that are denser than what is around them, in the first 15
          principal components, on the distinct rows, as copies would be dense wherever they
          are. Above 10,000 distinct rows, 10,000 of them are drawn; another row is in the
          cluster of the nearest drawn one if it lies as near to that as its fifth neighbour.
    min_cluster_size : int, default 15
        The least distinct rows of a cluster with ``"hdbscan"``, of those drawn.
    random_state : int, default 0
        Seed. The same vectors and seed give the same clusters, in whichever order the vectors
        come and on any number of cores, and equal vectors are always in the same cluster.

    Returns
    -------
    np.ndarray of int32, shape (n,)
        The cluster of each row: 0 is the largest, and so on; of two clusters of the same size
        the one whose first row comes first. -1 where the vector is not usable, and -2 where
        ``"hdbscan"`` finds it in no cluster ("noise"): whatever is negative is in no cluster.

    Raises
    ------
    NoFigure
        Fewer than 3 rows are usable.
    CardlabError
        More clusters are asked for than there are distinct usable rows, no number of them from
        ``"kmeans"``, or one from ``"hdbscan"``.

    Notes
    -----
    Arthur and Vassilvitskii (2007), k-means++; Ward (1963), Hierarchical grouping to optimize an
    objective function; Campello, Moulavi and Sander (2013), Density-based clustering based on
    hierarchical density estimates.

    Examples
    --------
    >>> labels = cl.cluster(cl.vectors(cl.make_cards(200)), n_clusters=12)
    >>> labels[:5].tolist()
    [6, 1, 4, 0, 2]
    """
    schema.one_of(method, ("kmeans", "hdbscan"), name="method")
    seed = whole_number(random_state, 0, name="random_state")
    min_cluster_size = whole_number(min_cluster_size, 2, name="min_cluster_size")
    if method == "hdbscan":
        if n_clusters is not None:
            raise schema.CardlabError(
                f"method 'hdbscan' finds the number of clusters by itself: leave out n_clusters="
                f"{n_clusters}, and set min_cluster_size for fewer or more, or use 'kmeans'."
            )
        points = Points.of(matrix(x), seed)
        labels = dense(points, seed, min_cluster_size)
    else:
        if n_clusters is None or isinstance(n_clusters, str):
            raise schema.CardlabError(
                f"n_clusters must be a whole number of at least 2, not {n_clusters!r}: "
                "atlas(cards, x) finds clusters without one, method='hdbscan' dense regions."
            )
        n_clusters = whole_number(n_clusters, 2, name="n_clusters")
        points = Points.of(matrix(x), seed)
        if n_clusters > len(points.copies):
            raise schema.CardlabError(
                f"n_clusters is {n_clusters}, but there are only {len(points.copies):,} distinct "
                f"vectors among the {len(points.rows):,} usable rows."
            )
        labels = fit_all(points, n_clusters, seed)
        if labels.max() + 1 < n_clusters:
            raise schema.CardlabError(
                f"n_clusters is {n_clusters}, but the vectors are so near each other that only "
                f"{labels.max() + 1} clusters can be told apart."
            )
    labels = points.spread(labels, -1)
    found, first, sizes = np.unique(labels[labels >= 0], return_index=True, return_counts=True)
    rank = np.zeros(found.max(initial=0) + 1, dtype=np.int32)
    rank[found[np.lexsort((first, -sizes))]] = np.arange(len(found))
    return np.where(labels >= 0, rank[np.maximum(labels, 0)], labels)


# ---- K-means on distinct points, from several starts, and the assignment of all points.

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


def _one_fit(sample: Sample, k: int, start: Floats | int) -> tuple[float, Floats, Indices]:
    """Run k-means from given centres, or from k-means++ with a seed.

    Gives the sum of squared distances, the centres, and the label of each point of the sample.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    given = {"random_state": start} if isinstance(start, int) else {"init": start}
    with warnings.catch_warnings():
        # Raised for points too near each other; the numbers that come out say so as well.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(k, n_init=1, **given)
        model.fit(sample.values, sample_weight=sample.copies.astype(np.float32))
    found, labels = np.unique(model.labels_, return_inverse=True)
    return float(model.inertia_), model.cluster_centers_[found], labels.astype(np.int64)


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
    """Cluster all points, each weighing as much as it has copies; gives a label for each.

    There are fewer than `k` clusters where points are so near each other that float32 cannot tell
    their distances apart.
    """
    sample = points.sample(drawn(len(points.rows), FIT_ROWS, seed))
    hierarchy = sample.smaller(seed, WARD_ROWS).centres(k)
    if k > len(sample.values):  # fewer points were drawn, though there are enough of them
        sample = points.sample(np.arange(len(points.rows)))
    race = sample.smaller(seed, _RACE_ROWS)
    n_starts = _STARTS if race is sample else _RACE_STARTS
    seeds = np.random.SeedSequence(seed).generate_state(n_starts)
    starts = [*map(int, seeds), *([] if hierarchy is None else [hierarchy])]
    if len(race.values) < k:
        race = sample
    found = on_all_cores(partial(_one_fit, race, k), starts)
    _, centres, labels = min(found, key=lambda one: one[0])
    if race is not sample and len(centres) == k:
        race, (_, centres, labels) = sample, _one_fit(sample, k, centres)
    everything = race is sample and len(sample.values) == len(points.copies)
    return (labels if everything else assign(points, centres)).astype(np.int32)


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
