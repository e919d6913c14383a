"""Clusters of vectors, and how far they can be trusted."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from .kmeans import agreement, choose, fit, silhouette, ward_centres, ward_tree
from .matrix import matrix
from .points import Indices, Ints, Points, one_thread, whole_number

#: K-means++ starts beside Ward's, of the clusters and of each run of a stability estimate.
_STARTS = 10
_RUN_STARTS = 3


def cluster(
    x: npt.ArrayLike,
    *,
    n_clusters: int | str = "auto",
    method: str = "kmeans",
    random_state: int = 0,
) -> Ints:
    """Group vectors that lie near each other.

    Parameters
    ----------
    x : array-like of numbers, shape (n, d)
        Vectors, one a row, as :func:`vectors` and :func:`embed` give them. Distances are
        Euclidean: normalise the rows first where only their direction matters. With more than
        100 columns the first 100 principal components stand for them.
    n_clusters : int or "auto", default "auto"
        ``"auto"`` tries every number from 2 to the smaller of 30 and the square root of the
        number of usable rows, on at most 5,000 of them, and takes the one with the largest
        *stability x silhouette*: the mean adjusted Rand index between four fits, each with its
        own seed and its own 80 % of those rows (0 where it is negative), times the mean
        silhouette of a fit on all of them. These fits start from Ward's hierarchy alone. The
        smallest number wins a tie.
    method : {"kmeans"}, default "kmeans"
        K-means, the best of ten k-means++ starts and one from Ward's hierarchy of at most 5,000
        rows; above 50,000 distinct rows its mini-batch variant, with three k-means++ starts.
    random_state : int, default 0
        Seed. The same vectors and seed give the same clusters, in whichever order the vectors
        come, and equal vectors are always in the same cluster.

    Returns
    -------
    np.ndarray of int32, shape (n,)
        The cluster of each row: 0 is the largest, and so on; of two clusters of the same size
        the one whose first row comes first. -1 where the vector is not usable.

    Raises
    ------
    NoFigure
        Fewer than 3 rows are usable.
    CardlabError
        More clusters are asked for than there are distinct usable rows.

    Notes
    -----
    Arthur and Vassilvitskii (2007), k-means++; Sculley (2010), Web-scale k-means clustering;
    stability after Ben-Hur, Elisseeff and Guyon (2002), A stability based method for
    discovering structure in clustered data; Rousseeuw (1987), Silhouettes; Ward (1963),
    Hierarchical grouping to optimize an objective function.
    """
    schema.one_of(method, ("kmeans",), name="method")
    seed = whole_number(random_state, 0, name="random_state")
    if isinstance(n_clusters, str):
        schema.one_of(n_clusters, ("auto",), name="n_clusters, unless a number,")
    else:
        n_clusters = whole_number(n_clusters, 2, name="n_clusters")
    with one_thread():
        points = Points.of(matrix(x), seed)
        k = choose(points, seed) if isinstance(n_clusters, str) else points.allow(n_clusters)
        labels = _fit(points, [k], seed)[0]
    if not isinstance(n_clusters, str) and labels.max() + 1 < k:
        raise schema.CardlabError(
            f"n_clusters is {k}, but the vectors are so near each other that only "
            f"{labels.max() + 1} clusters can be told apart."
        )
    return _by_size(points.spread(labels))


def cluster_stability(
    x: npt.ArrayLike,
    *,
    n_clusters: int | Iterable[int],
    n_runs: int = 10,
    random_state: int = 0,
) -> pl.DataFrame:
    """Measure how well clusters come back when the fit is repeated on other cards and seeds.

    Parameters
    ----------
    x : array-like of numbers, shape (n, d)
        Vectors, one a row; rows that are not usable are left out.
    n_clusters : int or iterable of int
        The numbers of clusters to judge.
    n_runs : int, default 10
        Fits for each number, at least 2, each with its own seed on its own random 80 % of the
        usable rows (of 5,000 of them, drawn once, where there are more), from Ward's hierarchy
        of these and three k-means++ starts.
    random_state : int, default 0
        Seed of all draws and fits.

    Returns
    -------
    pl.DataFrame
        One row for each number, in the order given: ``n_clusters``; ``ari_mean`` and
        ``ari_low``, the mean and the 5 % quantile over all pairs of runs of the adjusted Rand
        index on the rows that both runs saw (1 the same clusters, 0 what chance gives; slightly
        negative values occur); ``silhouette``, the mean silhouette (-1 to 1, on at most 5,000
        rows) of the clusters that :func:`cluster` gives for this number and seed.

    Raises
    ------
    NoFigure
        Fewer than 3 rows are usable.
    CardlabError
        More clusters are asked for than there are distinct usable rows.

    Notes
    -----
    Hubert and Arabie (1985), Comparing partitions; Ben-Hur, Elisseeff and Guyon (2002).
    """
    asked = n_clusters if isinstance(n_clusters, Iterable) else [n_clusters]
    candidates = [whole_number(k, 2, name="n_clusters") for k in asked]
    n_runs = whole_number(n_runs, 2, name="n_runs")
    seed = whole_number(random_state, 0, name="random_state")
    with one_thread():
        points = Points.of(matrix(x), seed)
        for k in candidates:
            points.allow(k)
        sample = points.sample(seed)
        ari = agreement(sample, candidates, n_runs, seed, n_starts=_RUN_STARTS)
        widths = [
            silhouette(sample, labels[sample.points]) for labels in _fit(points, candidates, seed)
        ]
    columns = {
        "n_clusters": pl.Series(candidates, dtype=pl.Int32),
        "ari_mean": ari.mean(axis=1),
        "ari_low": np.quantile(ari, 0.05, axis=1),
        "silhouette": pl.Series(widths, dtype=pl.Float64),
    }
    return pl.DataFrame(columns)


def _fit(points: Points, candidates: list[int], seed: int) -> list[Indices]:
    """Cluster all points once for each number of clusters."""
    sample = points.sample(seed)
    tree = ward_tree(sample.values) if len(sample.values) > 1 else None
    found = []
    for k in candidates:
        start = None
        if tree is not None and k <= len(sample.values):
            start = ward_centres(tree, sample.values, sample.copies, k)
        found.append(fit(points.values, points.copies, k, seed, ward=start, n_starts=_STARTS))
    return found


def _by_size(labels: Ints) -> Ints:
    """Give the largest cluster number 0; of equal ones the one whose first row comes first."""
    found, first, sizes = np.unique(labels[labels >= 0], return_index=True, return_counts=True)
    rank = np.empty(found.max() + 1, dtype=np.int32)
    rank[found[np.lexsort((first, -sizes))]] = np.arange(len(found))
    return np.where(labels >= 0, rank[labels], np.int32(-1))
