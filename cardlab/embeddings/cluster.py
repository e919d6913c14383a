"""Clusters of vectors, and how far they can be trusted."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from itertools import combinations
from math import isqrt
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from .kmeans import WARD_ROWS, dense, fit, fit_all, nearest, seeds_of
from .points import Axes, Indices, Ints, Points, Sample, drawn, on_all_cores
from .vectors import Floats, checked_labels, matrix, whole_number

# ---- Clusters of vectors.


def cluster(
    x: npt.ArrayLike,
    *,
    n_clusters: int | Literal["auto"] = "auto",
    method: Literal["kmeans", "hdbscan"] = "kmeans",
    min_cluster_size: int = 15,
    random_state: int = 0,
) -> Ints:
    """Group vectors that lie near each other.

    Parameters
    ----------
    x : array-like of numbers, shape (n, d)
        Vectors, one a row; a memory-mapped float32 array is read block by block. Distances are
        Euclidean: normalise the rows first where only their direction matters. Of more than 100
        columns the first 100 principal components (of 30,000 distinct rows) are taken.
    n_clusters : int or "auto", default "auto"
        ``"auto"`` takes the number that :func:`cluster_stability` marks as chosen, and leaves all
        cards in one cluster where none is. ``"hdbscan"`` finds its number by itself.
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
        labels = dense(points, seed, min_cluster_size)
    elif isinstance(n_clusters, str):
        chosen = _curve(points, seed, _RUNS, MAX_CLUSTERS).filter("is_chosen")["n_clusters"]
        labels = np.zeros(len(points.copies), dtype=np.int32)
        if len(chosen):
            labels = fit_all(points, int(chosen[0]), seed)
    else:
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


# ---- How many clusters: stability and silhouette of every number, against data without clusters.

#: The largest number of clusters that is tried: more than that nobody reads.
MAX_CLUSTERS = 100

#: Numbers up to this one are all tried; beyond, each is about an eighth larger than the last.
_DENSE = 16

#: Bootstrap samples of each number.
_RUNS = 6

#: Rows on which the numbers are judged: the time grows with their square.
_ROWS = 3_000

#: K-means++ starts beside Ward's of a run of which the clusters are judged one by one.
_RUN_STARTS = 3

#: Mean Jaccard similarity below which a cluster is unstable; Hennig calls 0.6 the least at which
#: a cluster shows any pattern, and 0.75 that of a valid one: here of the cluster of a card, from
#: which a number of clusters counts as stable.
_UNSTABLE = 0.6
_VALID = 0.75

#: How far the silhouette must lie above that of data without clusters. Other shapes without
#: clusters (a square, a circle) come up to a twentieth above those that are drawn here, and draws
#: differ by some thousandths; of 1,500 rows or less there are up to three of each kind.
_FACTOR = 1.1
_MARGIN = 0.01
_DRAWS = 3

#: Lengths that differ by less than this share of the longest are equal.
_SAME_LENGTH = 1e-3

_CURVE = {
    "n_clusters": pl.Int32,
    "ari_mean": pl.Float64,
    "ari_low": pl.Float64,
    "jaccard_mean": pl.Float64,
    "stable_share": pl.Float64,
    "silhouette": pl.Float64,
    "silhouette_null": pl.Float64,
    "is_stable": pl.Boolean,
    "is_chosen": pl.Boolean,
}


def cluster_stability(
    x: npt.ArrayLike,
    *,
    n_clusters: int | Iterable[int] | Literal["auto"] = "auto",
    n_runs: int = _RUNS,
    max_clusters: int = MAX_CLUSTERS,
    random_state: int = 0,
) -> pl.DataFrame:
    """Measure how sure numbers of clusters are: what ``cluster(x, n_clusters="auto")`` sees.

    Parameters
    ----------
    x : array-like of numbers, shape (n, d)
        Vectors, one a row; rows that are not usable are left out.
    n_clusters : int, iterable of int or "auto", default "auto"
        The numbers of clusters to judge. ``"auto"``: all up to 16, then steps of an eighth, and
        all between the neighbours of the best of these.
    n_runs : int, default 6
        Bootstrap samples for each number, at least 2. :func:`cluster` looks at six.
    max_clusters : int, default 100
        The largest number that ``"auto"`` tries; never more than the square root of the usable
        rows (but at least 2).
    random_state : int, default 0
        Seed of all draws and fits.

    Returns
    -------
    pl.DataFrame
        One row for each number, in rising order. All figures are of at most 3,000 usable rows.
        No rows where ``"auto"`` finds all vectors equal.

        - ``n_clusters`` (int).
        - ``ari_mean``, ``ari_low`` (float): mean and 5 % quantile, over the pairs of the fits,
          of the adjusted Rand index (1 the same clusters, 0 what chance gives; slightly negative
          values occur). Each fit has its own bootstrap sample of the rows and starts from Ward's
          hierarchy of it; every row then gets the nearest centre.
        - ``ari_seeds`` (float), not with ``"auto"``: the mean over pairs of as many fits of all
          rows, from the hierarchy and three k-means++ starts, that differ in the seed alone.
        - ``jaccard_mean`` (float, 0-1): mean over the rows of how well the cluster of a row comes
          back: its largest Jaccard similarity with a cluster of a bootstrap fit, mean of the fits.
        - ``stable_share`` (float, 0-1): share of the rows in clusters where that is 0.6 or more.
        - ``silhouette`` (float, -1 to 1): mean silhouette of a fit on all the rows.
        - ``silhouette_null`` (float): the largest of fits on data without clusters: normal and
          uniform draws that are spread as widely in each principal component (and of one
          length, if the vectors are and have no more than 100 columns).
        - ``is_stable`` (bool): ``jaccard_mean`` is at least 0.75, and ``silhouette`` more than
          a tenth and 0.01 above ``silhouette_null``.
        - ``is_chosen`` (bool): of the stable numbers the one with the largest
          ``jaccard_mean * silhouette``, the smallest on a tie; none where none is stable.

    Raises
    ------
    NoFigure
        Fewer than 3 rows are usable.
    CardlabError
        More clusters are asked for than there are distinct usable rows.

    Notes
    -----
    Hubert and Arabie (1985), Comparing partitions; Fang and Wang (2012), Selection of the number
    of clusters via the bootstrap method; Hennig (2007), Cluster-wise assessment of cluster
    stability; Rousseeuw (1987), Silhouettes; the comparison with data without clusters after
    Tibshirani, Walther and Hastie (2001), Estimating the number of clusters in a data set via the
    gap statistic.

    A long cloud can be cut in two in the same place every time, so stability alone is no sign of
    clusters; and any cloud gets a silhouette above 0, so the silhouette alone is none either.
    """
    n_runs = whole_number(n_runs, 2, name="n_runs")
    max_clusters = whole_number(max_clusters, 2, name="max_clusters")
    seed = whole_number(random_state, 0, name="random_state")
    points = Points.of(matrix(x), seed)
    if isinstance(n_clusters, str):
        schema.one_of(n_clusters, ("auto",), name="n_clusters, unless a number,")
        return _curve(points, seed, n_runs, max_clusters)
    asked = n_clusters if isinstance(n_clusters, Iterable) else [n_clusters]
    candidates = sorted({points.allow(whole_number(k, 2, name="n_clusters")) for k in asked})
    sample = points.sample(drawn(len(points.rows), _ROWS, seed))
    clouds = _without_clusters(sample, points.axes, seed)
    table = _chosen(_judged(sample, clouds, candidates, n_runs, seed))
    runs = _runs(sample, candidates, seeds_of(seed, n_runs), resampled=False)
    seeds = pl.Series("ari_seeds", _pairwise_ari(sample, runs).mean(axis=1))
    return table.insert_column(3, seeds)


def _curve(points: Points, seed: int, n_runs: int, max_clusters: int) -> pl.DataFrame:
    """Judge a grid of numbers of clusters, then all numbers around the best of the grid."""
    sample = points.sample(drawn(len(points.rows), _ROWS, seed))
    largest = min(max(2, min(max_clusters, isqrt(len(points.rows)))), len(sample.values))
    if largest < 2:
        return pl.DataFrame(schema=_CURVE)
    grid = list(range(2, min(_DENSE, largest) + 1))
    while grid[-1] < largest:
        grid.append(min(grid[-1] + round(grid[-1] / 8), largest))
    clouds = _without_clusters(sample, points.axes, seed)
    table = _chosen(_judged(sample, clouds, grid, n_runs, seed))
    best = table.filter("is_chosen")["n_clusters"].to_list()
    near = grid[max(grid.index(best[0]) - 1, 0) :][:3] if best else [0]
    finer = [k for k in range(near[0], near[-1]) if k not in grid]
    if not finer:
        return table
    return _chosen(pl.concat([table, _judged(sample, clouds, finer, n_runs, seed)]))


def _chosen(table: pl.DataFrame) -> pl.DataFrame:
    """Mark of the stable numbers the best one, the smallest on a tie."""
    score = pl.when("is_stable").then(pl.col("jaccard_mean") * pl.col("silhouette"))
    is_best = pl.int_range(pl.len()) == score.arg_max()
    return table.sort("n_clusters").with_columns(is_chosen=is_best.fill_null(value=False))


def _judged(
    sample: Sample, clouds: list[Sample], candidates: list[int], n_runs: int, seed: int
) -> pl.DataFrame:
    """Hold numbers of clusters against bootstrap runs and against clouds without clusters."""
    runs = _runs(sample, candidates, seeds_of(seed, n_runs))
    ari = _pairwise_ari(sample, runs)
    # Between near numbers a curve without clusters is all but straight.
    few = [candidates[0]]
    for k in candidates:
        if k >= few[-1] * 1.25 or (k == candidates[-1] and k > few[-1]):
            few.append(k)

    def fitted(task: tuple[Sample, list[int]]) -> list[tuple[Indices, float]]:
        part, numbers = task
        fits = [fit(part, k, seed, ward=part, n_starts=0).labels for k in numbers]
        return [(labels, silhouette(part, labels)) for labels in fits]

    own, *null = on_all_cores(fitted, [(sample, candidates), *((cloud, few) for cloud in clouds)])
    back = [_come_back(sample, labels, runs, i) for i, (labels, _) in enumerate(own)]
    highest = np.max([[width for _, width in of_cloud] for of_cloud in null], axis=0)
    return (
        pl.DataFrame(
            {
                "n_clusters": candidates,
                "ari_mean": ari.mean(axis=1),
                "ari_low": np.quantile(ari, 0.05, axis=1),
                "jaccard_mean": [of_rows.mean() for of_rows in back],
                "stable_share": [(of_rows >= _UNSTABLE).mean() for of_rows in back],
                "silhouette": [width for _, width in own],
                "silhouette_null": np.interp(np.log(candidates), np.log(few), highest),
            }
        )
        .with_columns(
            is_stable=(pl.col("jaccard_mean") >= _VALID)
            & (pl.col("silhouette") > _FACTOR * pl.col("silhouette_null") + _MARGIN),
            is_chosen=False,
        )
        .cast(_CURVE)  # type: ignore[arg-type]
    )


def _runs(
    sample: Sample, candidates: list[int], seeds: list[int], *, resampled: bool = True
) -> list[list[Ints]]:
    """Repeat fits, each with its own seed on its own bootstrap sample of the rows, or on all.

    Gives for each run and candidate the labels of all points of the sample.
    """

    def run(seed: int) -> list[Ints]:
        n = len(sample.rows)
        part = sample.part(np.random.default_rng(seed).integers(n, size=n)) if resampled else sample
        n_starts = 0 if resampled else _RUN_STARTS
        fits = [fit(part, k, seed, ward=part, n_starts=n_starts) for k in candidates]
        return [nearest(sample.values, best.centres).astype(np.int32) for best in fits]

    return on_all_cores(run, seeds)


def _pairwise_ari(sample: Sample, runs: list[list[Ints]]) -> npt.NDArray[np.float64]:
    """Give a row for each candidate, with the adjusted Rand index of each pair of runs."""
    from sklearn.metrics import adjusted_rand_score

    rows = sample.rows
    scores = [
        [adjusted_rand_score(a[rows], b[rows]) for a, b in combinations(of_candidate, 2)]
        for of_candidate in zip(*runs, strict=True)
    ]
    return np.array(scores)


def _come_back(
    sample: Sample, own: Indices, runs: list[list[Ints]], candidate: int
) -> npt.NDArray[np.float64]:
    """Give for each row of a sample how well its cluster comes back in the runs."""
    of_row = own[sample.rows]
    found = [_best_jaccard(of_row, run[candidate][sample.rows], own.max() + 1) for run in runs]
    mean: npt.NDArray[np.float64] = np.mean(found, axis=0)
    return mean[of_row]


def _best_jaccard(labels: Indices, others: npt.NDArray[Any], k: int) -> npt.NDArray[np.float64]:
    """Give for each of `k` clusters of some rows the largest similarity with one of others."""
    both = np.zeros((k, int(others.max(initial=0)) + 1))
    np.add.at(both, (labels, others), 1)
    union = both.sum(axis=1)[:, None] + both.sum(axis=0) - both
    best: npt.NDArray[np.float64] = (both / np.maximum(union, 1)).max(axis=1)
    return best


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


def _without_clusters(sample: Sample, axes: Axes, seed: int) -> list[Sample]:
    """Draw normal and uniform clouds with the spread of a sample in each of its columns."""
    rng = np.random.default_rng(seed)
    weights = sample.copies
    mean = np.average(sample.values, axis=0, weights=weights)
    spread = np.sqrt(np.average((sample.values - mean) ** 2, axis=0, weights=weights))
    shape = (len(sample.rows), sample.values.shape[1])
    # Vectors of one length lie on a sphere, where a cloud is not what it is elsewhere.
    lengths = np.linalg.norm(sample.values + axes.mean, axis=1) if axes.components is None else [0]
    on_sphere = np.ptp(lengths) < _SAME_LENGTH * np.max(lengths)

    def of(draws: npt.NDArray[np.float64]) -> Sample:
        values: Floats = (draws * spread).astype(np.float32)
        if on_sphere:
            values += axes.mean
            values *= np.mean(lengths) / np.maximum(
                np.linalg.norm(values, axis=1, keepdims=True), 1e-12
            )
            values -= axes.mean
        return Sample(values, np.arange(len(values)))

    n_draws = max(1, min(_DRAWS, _ROWS // shape[0]))
    normal = [of(rng.standard_normal(shape)) for _ in range(n_draws)]
    return normal + [of(rng.uniform(-(3**0.5), 3**0.5, shape)) for _ in range(n_draws)]


# ---- Would each of them come back from other cards.

#: Rows of which the clusters are drawn again.
_JACCARD_ROWS = 10_000


def cluster_jaccard(
    x: npt.ArrayLike, *, labels: npt.ArrayLike, n_runs: int = 20, random_state: int = 0
) -> pl.DataFrame:
    """Measure for each cluster whether it comes back from other samples of the cards.

    Parameters
    ----------
    x : array-like of numbers, shape (n, d)
        Vectors, one a row.
    labels : array-like of int, shape (n,)
        The cluster of each row, negative for none, as :func:`cluster` gives them.
    n_runs : int, default 20
        Bootstrap samples, at least 2, of the usable rows in clusters (of 10,000 of them, drawn
        once, where there are more). Each is clustered again by k-means into as many clusters,
        from Ward's hierarchy and three k-means++ starts, whichever method made the labels.
    random_state : int, default 0
        Seed of all draws and fits.

    Returns
    -------
    pl.DataFrame
        One row for each cluster, by its number.

        - ``cluster`` (int), ``n_cards`` (int): its rows, usable or not.
        - ``jaccard_mean``, ``jaccard_low`` (float, 0-1): mean and 5 % quantile over the runs of
          the largest Jaccard similarity that the cluster has with a cluster of the run, on the
          rows of the bootstrap sample. Null where no sample has two of its rows.
        - ``is_stable`` (bool): ``jaccard_mean`` is at least 0.6. Null where that is null.

    Raises
    ------
    NoFigure
        Fewer than 3 rows are usable and in a cluster.
    CardlabError
        There are more or fewer labels than rows, or they are not whole numbers.

    Notes
    -----
    Hennig (2007), Cluster-wise assessment of cluster stability. A single cluster comes back
    always: that all cards are one is no finding.
    """
    n_runs = whole_number(n_runs, 2, name="n_runs")
    seed = whole_number(random_state, 0, name="random_state")
    x = matrix(x)
    label = checked_labels(labels, len(x), of="vectors")
    clusters, sizes = np.unique(label[label >= 0], return_counts=True)
    # What is in no cluster is no part of the question.
    points = Points.of(x if (label >= 0).all() else x[label >= 0], seed)
    chosen = drawn(len(points.rows), _JACCARD_ROWS, seed)
    sample = points.sample(chosen)
    # A row of the vectors and its cluster belong together: copies may be in different ones.
    own = np.searchsorted(clusters, label[label >= 0])[points.rows[chosen]]
    k = len(clusters)

    def run(run_seed: int) -> npt.NDArray[np.float64]:
        rows = np.random.default_rng(run_seed).integers(len(own), size=len(own))
        part = sample.part(rows)
        ward = part.smaller(run_seed, WARD_ROWS)
        found = fit(part, k, run_seed, ward=ward, n_starts=_RUN_STARTS)
        best = _best_jaccard(own[rows], found.labels[part.rows], k)
        return np.where(np.bincount(own[rows], minlength=k) >= 2, best, np.nan)

    scores = np.column_stack(on_all_cores(run, seeds_of(seed, n_runs)))
    with warnings.catch_warnings():
        # Of a cluster of which no sample has two rows nothing is known.
        warnings.simplefilter("ignore", RuntimeWarning)
        mean, low = np.nanmean(scores, axis=1), np.nanquantile(scores, 0.05, axis=1)
    found = {"cluster": clusters, "n_cards": sizes, "jaccard_mean": mean, "jaccard_low": low}
    table = pl.DataFrame(found, nan_to_null=True)
    return table.with_columns(is_stable=pl.col("jaccard_mean") >= _UNSTABLE)
