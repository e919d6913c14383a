"""Clusters of vectors: so many as are asked for, or as dense regions."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from .. import schema
from .kmeans import dense, fit_all
from .points import Ints, Points
from .vectors import matrix, whole_number


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
        labels = fit_all(points, points.allow(n_clusters), seed)
        if labels.max() + 1 < n_clusters:
            raise schema.CardlabError(
                f"n_clusters is {n_clusters}, but the vectors are so near each other that only "
                f"{labels.max() + 1} clusters can be told apart."
            )
    return _by_size(points.spread(labels, -1))


def _by_size(labels: Ints) -> Ints:
    """Give the largest cluster number 0; of equal ones the one whose first row comes first."""
    found, first, sizes = np.unique(labels[labels >= 0], return_index=True, return_counts=True)
    if not len(found):
        return labels
    rank = np.empty(found.max() + 1, dtype=np.int32)
    rank[found[np.lexsort((first, -sizes))]] = np.arange(len(found))
    return np.where(labels >= 0, rank[labels], labels)
