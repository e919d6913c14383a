"""Clusters as dense regions, with what lies in none of them left out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .matrix import Floats
from .parallel import in_blocks, one_thread
from .points import Ints, Points

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
