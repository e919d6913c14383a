"""How many clusters: stability and silhouette of every number, against data without clusters."""

from __future__ import annotations

from math import isqrt

import numpy as np
import numpy.typing as npt
import polars as pl

from .kmeans import fit, ward_centres, ward_tree
from .matrix import Floats, matrix
from .parallel import on_all_cores
from .points import Frame, Indices, Ints, Points, Sample, whole_number
from .stability import (
    STABLE_JACCARD,
    best_jaccard,
    bootstrap_runs,
    pairwise_ari,
    silhouette,
)

#: The largest number of clusters that is tried: more than that nobody reads.
MAX_CLUSTERS = 100

#: Numbers up to this one are all tried; beyond, each is about an eighth larger than the last.
_DENSE = 16

#: Bootstrap samples of each number.
_RUNS = 6

#: Rows on which the numbers are judged: the time grows with their square.
_ROWS = 3_000

#: Mean Jaccard similarity from which a number of clusters counts as stable: what Hennig asks of
#: a valid cluster, here of the cluster of a card.
STABLE = 0.75

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


def cluster_curve(
    x: npt.ArrayLike, *, max_clusters: int = MAX_CLUSTERS, random_state: int = 0
) -> pl.DataFrame:
    """Show what ``cluster(x, n_clusters="auto")`` sees: how sure every number of clusters is.

    Parameters
    ----------
    x : array-like of numbers, shape (n, d)
        Vectors, one a row; rows that are not usable are left out.
    max_clusters : int, default 100
        The largest number that is tried; never more than the square root of the usable rows
        (but at least 2).
    random_state : int, default 0
        Seed of all draws and fits.

    Returns
    -------
    pl.DataFrame
        One row for each number tried, in rising order: all up to 16, then steps of an eighth,
        and all between the neighbours of the best of these. All figures are of at most 3,000
        usable rows. No rows where all vectors are equal.

        - ``n_clusters`` (int).
        - ``ari_mean``, ``ari_low`` (float): mean and 5 % quantile, over the pairs of six fits,
          of the adjusted Rand index. Each fit has its own bootstrap sample of the rows and starts
          from Ward's hierarchy of it; every row then gets the nearest centre.
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
          ``jaccard_mean * silhouette``, the smallest on a tie. No number is chosen where none is
          stable: no stable clusters were found.

    Raises
    ------
    NoFigure
        Fewer than 3 rows are usable.

    Notes
    -----
    Fang and Wang (2012), Selection of the number of clusters via the bootstrap method; Hennig
    (2007), Cluster-wise assessment of cluster stability; Rousseeuw (1987), Silhouettes; the
    comparison with data without clusters after Tibshirani, Walther and Hastie (2001), Estimating
    the number of clusters in a data set via the gap statistic.

    A long cloud can be cut in two in the same place every time, so stability alone is no sign of
    clusters; and any cloud gets a silhouette above 0, so the silhouette alone is none either.
    """
    max_clusters = whole_number(max_clusters, 2, name="max_clusters")
    seed = whole_number(random_state, 0, name="random_state")
    return curve(Points.of(matrix(x), seed), seed, max_clusters)


def curve(points: Points, seed: int, max_clusters: int = MAX_CLUSTERS) -> pl.DataFrame:
    """Judge a grid of numbers of clusters, then all numbers around the best of the grid."""
    largest = min(max(2, min(max_clusters, isqrt(len(points.rows)))), len(points.copies))
    sample = points.sample(seed, _ROWS)
    largest = min(largest, len(sample.values))
    if largest < 2:
        return pl.DataFrame(schema=_CURVE)
    grid = [k for k in _grid(largest) if k <= largest]
    clouds = _without_clusters(sample, points.frame, seed)
    table = _judged(sample, clouds, grid, seed)
    best = _best(table)
    if best is not None:
        at = grid.index(best)
        around = range(grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)] + 1)
        finer = [k for k in around if k not in grid]
        if finer:
            table = pl.concat([table, _judged(sample, clouds, finer, seed)]).sort("n_clusters")
            best = _best(table)
    chosen = pl.lit(False) if best is None else pl.col("n_clusters") == best
    return table.with_columns(is_chosen=chosen).cast(_CURVE)  # type: ignore[arg-type]


def _grid(largest: int) -> list[int]:
    steps = list(range(2, _DENSE + 1))
    while steps[-1] < largest:
        steps.append(min(steps[-1] + max(1, round(steps[-1] / 8)), largest))
    return steps


def _best(table: pl.DataFrame) -> int | None:
    stable = table.filter("is_stable").with_columns(
        score=pl.col("jaccard_mean") * pl.col("silhouette")
    )
    ranked = stable.sort(["score", "n_clusters"], descending=[True, False])
    return int(ranked["n_clusters"][0]) if ranked.height else None


def _judged(sample: Sample, clouds: list[Sample], candidates: list[int], seed: int) -> pl.DataFrame:
    runs = bootstrap_runs(sample, candidates, _RUNS, seed, n_starts=0)
    ari = pairwise_ari(sample, runs)
    asked = [candidates, *([_thinned(candidates)] * len(clouds))]
    fits = on_all_cores(
        lambda task: _fits(*task, seed), list(zip([sample, *clouds], asked, strict=True))
    )
    back = [_come_back(sample, own, runs, i) for i, (own, _) in enumerate(fits[0])]
    null = np.max([[width for _, width in of_cloud] for of_cloud in fits[1:]], axis=0)
    table = pl.DataFrame(
        {
            "n_clusters": candidates,
            "ari_mean": ari.mean(axis=1),
            "ari_low": np.quantile(ari, 0.05, axis=1),
            "jaccard_mean": [of_rows.mean() for of_rows in back],
            "stable_share": [(of_rows >= STABLE_JACCARD).mean() for of_rows in back],
            "silhouette": [width for _, width in fits[0]],
            "silhouette_null": np.interp(np.log(candidates), np.log(asked[1]), null),
        }
    )
    return table.with_columns(
        is_stable=(pl.col("jaccard_mean") >= STABLE)
        & (pl.col("silhouette") > _FACTOR * pl.col("silhouette_null") + _MARGIN)
    )


def _thinned(candidates: list[int]) -> list[int]:
    """Leave out numbers between which a curve without clusters is all but straight."""
    kept = [candidates[0]]
    for k in candidates:
        if k >= kept[-1] * 1.25 or k == candidates[-1]:
            kept.append(k)
    return sorted(set(kept))


def _come_back(
    sample: Sample, own: Indices, runs: list[list[Ints]], candidate: int
) -> npt.NDArray[np.float64]:
    """Give for each row of a sample how well its cluster comes back in the runs."""
    of_row = own[sample.rows]
    found = [best_jaccard(of_row, run[candidate][sample.rows], own.max() + 1) for run in runs]
    mean: npt.NDArray[np.float64] = np.mean(found, axis=0)
    return mean[of_row]


def _fits(sample: Sample, candidates: list[int], seed: int) -> list[tuple[Indices, float]]:
    """Cluster a sample into each number of clusters; gives labels and mean silhouette."""
    tree = ward_tree(sample.values)
    found = []
    for k in candidates:
        labels = fit(sample, k, seed, ward=ward_centres(tree, sample, k), n_starts=0).labels
        found.append((labels, silhouette(sample, labels)))
    return found


def _without_clusters(sample: Sample, frame: Frame, seed: int) -> list[Sample]:
    """Draw normal and uniform clouds with the spread of a sample in each of its columns."""
    rng = np.random.default_rng(seed)
    weights = sample.copies
    mean = np.average(sample.values, axis=0, weights=weights)
    spread = np.sqrt(np.average((sample.values - mean) ** 2, axis=0, weights=weights))
    shape = (len(sample.rows), sample.values.shape[1])
    # Vectors of one length lie on a sphere, where a cloud is not what it is elsewhere.
    length = _common_length(sample.values + frame.mean) if frame.axes is None else None

    def of(draws: npt.NDArray[np.float64]) -> Sample:
        values: Floats = (draws * spread).astype(np.float32)
        if length is not None:
            values += frame.mean
            values *= length / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
            values -= frame.mean
        return Sample(np.arange(len(values)), values, np.arange(len(values)))

    n_draws = max(1, min(_DRAWS, _ROWS // shape[0]))
    normal = [of(rng.standard_normal(shape)) for _ in range(n_draws)]
    return normal + [of(rng.uniform(-(3**0.5), 3**0.5, shape)) for _ in range(n_draws)]


def _common_length(vectors: Floats) -> float | None:
    """Give the length that all vectors have, None where they differ."""
    lengths = np.linalg.norm(vectors, axis=1)
    same = np.ptp(lengths) < _SAME_LENGTH * lengths.max()
    return float(lengths.mean()) if same else None
