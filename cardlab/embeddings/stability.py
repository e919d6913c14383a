"""Would clusters come back from other cards and other seeds, all of them and each of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from .kmeans import WARD_ROWS, fit, fit_all, nearest, ward_centres, ward_tree
from .matrix import matrix
from .parallel import on_all_cores
from .points import Indices, Ints, Points, Sample, checked_labels, whole_number

#: K-means++ starts beside Ward's of each run of a stability estimate, and of a cluster.
_RUN_STARTS = 3
STARTS = 10

#: Mean Jaccard similarity below which a cluster is unstable; Hennig calls 0.6 the least at which
#: a cluster shows any pattern, and 0.75 that of a valid one.
STABLE_JACCARD = 0.6

#: Rows of which the clusters are drawn again.
_JACCARD_ROWS = 10_000


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
        Fits for each number, at least 2, each with its own seed on its own bootstrap sample of
        the usable rows (of 5,000 of them, drawn once, where there are more), from Ward's
        hierarchy and three k-means++ starts. All rows then get the nearest centre.
    random_state : int, default 0
        Seed of all draws and fits.

    Returns
    -------
    pl.DataFrame
        One row for each number, in the order given: ``n_clusters``; ``ari_mean`` and
        ``ari_low``, the mean and the 5 % quantile over all pairs of runs of the adjusted Rand
        index (1 the same clusters, 0 what chance gives; slightly negative values occur);
        ``ari_seeds``, the mean over pairs of as many runs that differ in the seed alone;
        ``silhouette``, the mean silhouette (-1 to 1, on at most 5,000 rows) of the clusters that
        :func:`cluster` gives for this number and seed.

    Raises
    ------
    NoFigure
        Fewer than 3 rows are usable.
    CardlabError
        More clusters are asked for than there are distinct usable rows.

    Notes
    -----
    Hubert and Arabie (1985), Comparing partitions; Ben-Hur, Elisseeff and Guyon (2002), A
    stability based method for discovering structure in clustered data; Fang and Wang (2012),
    Selection of the number of clusters via the bootstrap method.
    """
    asked = n_clusters if isinstance(n_clusters, Iterable) else [n_clusters]
    candidates = [whole_number(k, 2, name="n_clusters") for k in asked]
    n_runs = whole_number(n_runs, 2, name="n_runs")
    seed = whole_number(random_state, 0, name="random_state")
    points = Points.of(matrix(x), seed)
    for k in candidates:
        points.allow(k)
    sample = points.sample(seed)
    runs = bootstrap_runs(sample, candidates, n_runs, seed, n_starts=_RUN_STARTS)
    ari = pairwise_ari(sample, runs)
    seeds = pairwise_ari(sample, _seed_runs(sample, candidates, n_runs, seed))
    widths = [
        silhouette(sample, labels[sample.points])
        for labels in fit_all(points, candidates, seed, n_starts=STARTS)
    ]
    columns = {
        "n_clusters": pl.Series(candidates, dtype=pl.Int32),
        "ari_mean": ari.mean(axis=1),
        "ari_low": np.quantile(ari, 0.05, axis=1),
        "ari_seeds": seeds.mean(axis=1),
        "silhouette": pl.Series(widths, dtype=pl.Float64),
    }
    return pl.DataFrame(columns)


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
    of_row = np.searchsorted(clusters, label[label >= 0])[points.rows]
    scores = _jaccards(points, of_row, len(clusters), n_runs, seed)
    known = ~np.isnan(scores).all(axis=0)
    mean, low = np.full((2, len(clusters)), np.nan)
    mean[known] = np.nanmean(scores[:, known], axis=0)
    low[known] = np.nanquantile(scores[:, known], 0.05, axis=0)
    return pl.DataFrame(
        {
            "cluster": pl.Series(clusters, dtype=pl.Int32),
            "n_cards": pl.Series(sizes, dtype=pl.Int64),
            "jaccard_mean": pl.Series(mean, nan_to_null=True),
            "jaccard_low": pl.Series(low, nan_to_null=True),
        }
    ).with_columns(is_stable=pl.col("jaccard_mean") >= STABLE_JACCARD)


def _jaccards(
    points: Points, of_row: Indices, k: int, n_runs: int, seed: int
) -> npt.NDArray[np.float64]:
    """Give the best Jaccard similarity of each run and cluster, NaN where it has too few rows."""
    chosen = np.arange(len(points.rows))
    if len(chosen) > _JACCARD_ROWS:
        drawn = np.random.default_rng(seed).choice(len(chosen), _JACCARD_ROWS, replace=False)
        chosen = np.sort(drawn)
    there, rows = np.unique(points.point_of_row[chosen], return_inverse=True)
    sample = Sample(there, points.take(there), rows)
    # A row of the vectors and its cluster belong together: copies may be in different ones.
    own = of_row[chosen]

    def run(run_seed: int) -> npt.NDArray[np.float64]:
        drawn = np.random.default_rng(run_seed).integers(len(rows), size=len(rows))
        part = sample.part(drawn)
        small = part.smaller(run_seed, WARD_ROWS)
        start = ward_centres(ward_tree(small.values), small, k)
        found = fit(part, k, run_seed, ward=start, n_starts=_RUN_STARTS)
        best = best_jaccard(own[drawn], found.labels[part.rows], k)
        return np.where(np.bincount(own[drawn], minlength=k) >= 2, best, np.nan)

    return np.array(on_all_cores(run, _seeds(seed, n_runs)))


def best_jaccard(labels: Indices, others: npt.NDArray[Any], k: int) -> npt.NDArray[np.float64]:
    """Give for each of `k` clusters of some rows the largest similarity with one of others."""
    both = np.zeros((k, int(others.max(initial=0)) + 1))
    np.add.at(both, (labels, others), 1)
    union = both.sum(axis=1)[:, None] + both.sum(axis=0) - both
    best: npt.NDArray[np.float64] = (both / np.maximum(union, 1)).max(axis=1)
    return best


def bootstrap_runs(
    sample: Sample, candidates: Sequence[int], n_runs: int, seed: int, *, n_starts: int
) -> list[list[Ints]]:
    """Repeat fits, each with its own seed on its own bootstrap sample of the rows.

    Gives for each run and candidate the labels of all points of the sample.
    """

    def run(run_seed: int) -> list[Ints]:
        n = len(sample.rows)
        part = sample.part(np.random.default_rng(run_seed).integers(n, size=n))
        return _labels_of_run(sample, part, candidates, run_seed, n_starts)

    return on_all_cores(run, _seeds(seed, n_runs))


def _seed_runs(
    sample: Sample, candidates: Sequence[int], n_runs: int, seed: int
) -> list[list[Ints]]:
    """Repeat fits on all rows of the sample with other seeds; as `bootstrap_runs`."""

    def run(run_seed: int) -> list[Ints]:
        return _labels_of_run(sample, sample, candidates, run_seed, _RUN_STARTS)

    return on_all_cores(run, _seeds(seed, n_runs))


def _labels_of_run(
    sample: Sample, part: Sample, candidates: Sequence[int], seed: int, n_starts: int
) -> list[Ints]:
    tree = ward_tree(part.values)
    found = []
    for k in candidates:
        best = fit(part, k, seed, ward=ward_centres(tree, part, k), n_starts=n_starts)
        found.append(nearest(sample.values, best.centres).astype(np.int32))
    return found


def pairwise_ari(sample: Sample, runs: list[list[Ints]]) -> npt.NDArray[np.float64]:
    """Give a row for each candidate, with the adjusted Rand index of each pair of runs."""
    from sklearn.metrics import adjusted_rand_score

    rows = sample.rows
    scores = [
        [adjusted_rand_score(a[rows], b[rows]) for a, b in combinations(of_candidate, 2)]
        for of_candidate in zip(*runs, strict=True)
    ]
    return np.array(scores)


def _seeds(seed: int, n: int) -> list[int]:
    return [int(s) for s in np.random.SeedSequence(seed).generate_state(n)]


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


def marked(table: pl.DataFrame, stability: pl.DataFrame) -> pl.DataFrame:
    """Add how well each cluster comes back, and say so in the label of one that does not."""
    schema.require(stability, "cluster", "jaccard_mean", "is_stable")
    marks = stability.select(
        pl.col("cluster").cast(pl.Int32), pl.col("jaccard_mean").alias("jaccard"), "is_stable"
    )
    joined = table.join(marks, on="cluster", how="left", maintain_order="left")
    if "label" not in table.columns:
        return joined
    mark = pl.when(pl.col("is_stable").not_()).then(pl.lit(" (unstable)")).otherwise(pl.lit(""))
    return joined.with_columns(label=pl.col("label") + mark)
