"""Clusters of vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .. import schema
from .choice import MAX_CLUSTERS, curve
from .density import dense
from .kmeans import fit_all
from .matrix import matrix
from .points import Ints, Points, whole_number
from .stability import STARTS


def cluster(
    x: npt.ArrayLike,
    *,
    n_clusters: int | str = "auto",
    method: str = "kmeans",
    min_cluster_size: int = 15,
    random_state: int = 0,
) -> Ints:
    """Group vectors that lie near each other.

    Parameters
    ----------
    x : array-like of numbers, shape (n, d)
        Vectors, one a row, as :func:`vectors` and :func:`embed` give them; a memory-mapped
        float32 array is read block by block. Distances are Euclidean: normalise the rows first
        where only their direction matters. With more than 100 columns the first 100 principal
        components (of 30,000 distinct rows) stand for them.
    n_clusters : int or "auto", default "auto"
        ``"auto"`` takes the number that :func:`cluster_curve` marks as chosen. Where none is
        stable all cards are left in one cluster: no stable clusters were found. With
        ``"hdbscan"`` the number comes by itself and cannot be asked for.
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
        More clusters are asked for than there are distinct usable rows, or a number of them
        from ``"hdbscan"``.

    Notes
    -----
    Arthur and Vassilvitskii (2007), k-means++; Ward (1963), Hierarchical grouping to optimize an
    objective function; Campello, Moulavi and Sander (2013), Density-based clustering based on
    hierarchical density estimates.
    """
    schema.one_of(method, ("kmeans", "hdbscan"), name="method")
    seed = whole_number(random_state, 0, name="random_state")
    min_cluster_size = whole_number(min_cluster_size, 2, name="min_cluster_size")
    if isinstance(n_clusters, str):
        schema.one_of(n_clusters, ("auto",), name="n_clusters, unless a number,")
    else:
        n_clusters = whole_number(n_clusters, 2, name="n_clusters")
        if method == "hdbscan":
            raise schema.CardlabError(
                f"method 'hdbscan' finds the number of clusters by itself: leave out n_clusters="
                f"{n_clusters}, and set min_cluster_size for fewer or more, or use 'kmeans'."
            )
    points = Points.of(matrix(x), seed)
    if method == "hdbscan":
        return _by_size(points.spread(dense(points, seed, min_cluster_size)))
    if not isinstance(n_clusters, str):
        labels = fit_all(points, [points.allow(n_clusters)], seed, n_starts=STARTS)[0]
        if labels.max() + 1 < n_clusters:
            raise schema.CardlabError(
                f"n_clusters is {n_clusters}, but the vectors are so near each other that only "
                f"{labels.max() + 1} clusters can be told apart."
            )
        return _by_size(points.spread(labels))
    chosen = curve(points, seed, MAX_CLUSTERS).filter("is_chosen")
    if not chosen.height:
        return points.spread(np.zeros(len(points.copies), dtype=np.int32))
    k = int(chosen["n_clusters"][0])
    return _by_size(points.spread(fit_all(points, [k], seed, n_starts=STARTS)[0]))


def _by_size(labels: Ints) -> Ints:
    """Give the largest cluster number 0; of equal ones the one whose first row comes first."""
    found, first, sizes = np.unique(labels[labels >= 0], return_index=True, return_counts=True)
    if not len(found):
        return labels
    rank = np.empty(found.max() + 1, dtype=np.int32)
    rank[found[np.lexsort((first, -sizes))]] = np.arange(len(found))
    return np.where(labels >= 0, rank[labels], labels)
