"""How far the neighbours that a map shows are neighbours in truth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .. import schema
from .blocks import row_hashes
from .matrix import Floats, matrix, same_size, usable
from .placing import BLOCK
from .points import Indices, one_thread, whole_number

#: Rows whose neighbours are judged, among all rows.
TRUST_SAMPLE = 1_000


def trustworthiness(
    x: npt.ArrayLike, xy: npt.ArrayLike, *, n_neighbors: int = 10, random_state: int = 0
) -> float:
    """Measure how far the neighbours that a picture shows are neighbours in truth.

    Parameters
    ----------
    x : array-like of numbers, shape (n, d)
        The vectors.
    xy : array-like of numbers, shape (n, 2)
        Their places in the picture, as :func:`project` gives them.
    n_neighbors : int, default 10
        The size of a neighbourhood.
    random_state : int, default 0
        Seed of the sample of 1,000 rows whose neighbours are judged where more are usable. Their
        neighbours are sought, and ranked, among all usable rows, so that the figure estimates
        that of the whole picture; between seeds it moved by about 0.002.

    Returns
    -------
    float
        0-1: 1 where every neighbour shown is one; places at random give about 0.5. A neighbour
        that is none costs the more the further off it truly is, as a share of all rows: on a
        large map a high figure says that no far things are shown together, not that the very
        nearest are. Does not depend on the order of the rows.

    Raises
    ------
    NoFigure
        There are not more than twice as many usable rows as neighbours.
    CardlabError
        `x` and `xy` have different numbers of rows.

    Notes
    -----
    Venna and Kaski (2001), Neighborhood preservation in nonlinear projection methods.
    """
    k = whole_number(n_neighbors, 1, name="n_neighbors")
    seed = whole_number(random_state, 0, name="random_state")
    x, xy = matrix(x), matrix(xy, name="xy")
    same_size(len(xy), len(x), name="xy", of="vectors")
    # A place at the origin is a place, a vector of zeros is no vector.
    rows = np.flatnonzero(usable(x) & np.isfinite(xy).all(axis=1))
    n = len(rows)
    if n <= 2 * k:
        raise schema.NoFigure(
            f"{k} neighbours need more than {2 * k} usable rows; {n} of {len(x):,} are usable."
        )
    with one_thread():
        judged = _judged(x, rows, seed)
        shown = _neighbours(xy[rows], judged, k)
        excess = np.maximum(_ranks(x, rows, judged, shown) - k, 0)
    return 1 - 2 * float(excess.sum()) / (len(judged) * k * (2 * n - 3 * k - 1))


def _judged(x: Floats, rows: Indices, seed: int) -> Indices:
    """Draw positions among `rows`, by content and not by position."""
    if len(rows) <= TRUST_SAMPLE:
        return np.arange(len(rows))
    blocks = [
        row_hashes(x[rows[i : i + BLOCK]] + np.float32(0)) for i in range(0, len(rows), BLOCK)
    ]
    order = np.argsort(np.concatenate(blocks), kind="stable")
    return order[np.random.default_rng(seed).choice(len(rows), TRUST_SAMPLE, replace=False)]


def _neighbours(xy: Floats, judged: Indices, k: int) -> Indices:
    """Give the `k` nearest places of each judged one, itself left out."""
    from scipy.spatial import cKDTree

    found = cKDTree(xy).query(xy[judged], k + 1)[1]
    own = found == judged[:, None]
    # Where many places are equal, it need not be among its own nearest.
    own[~own.any(axis=1), -1] = True
    return np.asarray(found[~own].reshape(len(judged), k), dtype=np.int64)


def _ranks(x: Floats, rows: Indices, judged: Indices, shown: Indices) -> Indices:
    """Rank the shown neighbours by their true distance among all rows, the nearest as 1."""
    middle = x[rows[judged]].mean(axis=0, dtype=np.float64).astype(np.float32)
    queries = x[rows[judged]] - middle
    squares = np.einsum("ij,ij->i", queries, queries)
    limits = np.empty(shown.shape, dtype=np.float32)
    for j in range(shown.shape[1]):
        other = x[rows[shown[:, j]]] - middle
        own = np.einsum("ij,ij->i", other, other)
        between = np.einsum("ij,ij->i", queries - other, queries - other)
        # Less what float32 may err in the sums below: what is as near does not come before.
        limits[:, j] = between - 4e-6 * (squares + own)
    ranks = np.ones(shown.shape, dtype=np.int64)
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        block = x[rows[part]] - middle
        away = np.einsum("ij,ij->i", block, block) - 2 * (queries @ block.T) + squares[:, None]
        inside = np.flatnonzero((judged >= start) & (judged < start + BLOCK))
        away[inside, judged[inside] - start] = np.inf
        for j in range(shown.shape[1]):
            ranks[:, j] += (away < limits[:, j, None]).sum(axis=1)
    return ranks
