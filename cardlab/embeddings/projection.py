"""Two dimensions to look at, and how far they can be trusted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .. import schema
from .matrix import Floats, matrix, same_size, usable
from .points import Points, one_thread, whole_number

#: Rows above which t-SNE takes too long to wait for.
_MAX_TSNE = 5_000

#: Columns that t-SNE works on; more cost time and add noise to the distances.
_TSNE_COMPONENTS = 50

#: Distinct vectors below which t-SNE has no neighbourhoods to keep.
_MIN_TSNE = 10

#: Rows on which trustworthiness is computed: it ranks all of their distances.
_TRUST_SAMPLE = 2_000


def project(x: npt.ArrayLike, *, method: str = "auto", random_state: int = 0) -> Floats:
    """Lay vectors out in the plane.

    Parameters
    ----------
    x : array-like of numbers, shape (n, d)
        Vectors, one a row. Distances are Euclidean: normalise the rows first where only their
        direction matters.
    method : {"auto", "pca", "tsne"}, default "auto"
        - ``"pca"``: the first two principal components of the distinct vectors. Linear, quick
          at any size; far apart means different, near does not mean alike.
        - ``"tsne"``: keeps near what is near, up to 5,000 usable rows; distances between
          groups and their sizes mean nothing. Starts from the principal components; perplexity
          30, or a third of the distinct vectors where they are few. About ten seconds for
          2,000 rows, half a minute for 5,000.
        - ``"auto"``: ``"tsne"`` for 10 to 5,000 usable rows, else ``"pca"``.
    random_state : int, default 0
        Seed. The same vectors and seed give the same picture, in whichever order they come.

    Returns
    -------
    np.ndarray of float32, shape (n, 2)
        NaN where the vector is not usable; equal vectors lie on one spot. Of each axis the
        sign is such that its largest value by size is positive.

    Raises
    ------
    NoFigure
        Fewer than 3 rows are usable.
    CardlabError
        An unknown method, or ``"tsne"`` for more than 5,000 or fewer than 10 distinct vectors.

    Notes
    -----
    van der Maaten and Hinton (2008), Visualizing data using t-SNE; Kobak and Berens (2019), The
    art of using t-SNE for single-cell transcriptomics, for the start from principal components.
    """
    schema.one_of(method, ("auto", "pca", "tsne"), name="method")
    seed = whole_number(random_state, 0, name="random_state")
    x = matrix(x)
    n_usable = int(usable(x).sum())
    with one_thread():
        points = Points.of(x, seed, n_components=_TSNE_COMPONENTS)
        n = len(points.values)
        fits = n_usable <= _MAX_TSNE and n >= _MIN_TSNE
        if method == "tsne" and not fits:
            raise schema.CardlabError(
                f"method 'tsne' needs {_MIN_TSNE} to {_MAX_TSNE:,} usable rows with at least "
                f"{_MIN_TSNE} distinct vectors; here are {n_usable:,} with {n:,}. Use 'pca', or "
                "a sample of the cards."
            )
        flat = _tsne(points.values, seed) if fits and method != "pca" else _pca(points.values)
    result = np.full((len(x), 2), np.nan, dtype=np.float32)
    result[points.rows] = _signed(flat)[points.point_of_row]
    return result


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
        Seed of the sample of 2,000 rows that is looked at where more are usable.

    Returns
    -------
    float
        0-1: 1 where every neighbour shown is one; places at random give about 0.5.

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
    from sklearn.manifold import trustworthiness as measure

    n_neighbors = whole_number(n_neighbors, 1, name="n_neighbors")
    seed = whole_number(random_state, 0, name="random_state")
    x, xy = matrix(x), matrix(xy, name="xy")
    same_size(len(xy), len(x), name="xy", of="vectors")
    # A place at the origin is a place, a vector of zeros is no vector.
    rows = np.flatnonzero(usable(x) & np.isfinite(xy).all(axis=1))
    if len(rows) > _TRUST_SAMPLE:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _TRUST_SAMPLE, replace=False))
    if len(rows) <= 2 * n_neighbors:
        raise schema.NoFigure(
            f"{n_neighbors} neighbours need more than {2 * n_neighbors} usable rows; "
            f"{len(rows)} of {len(x):,} are usable."
        )
    with one_thread():
        return float(measure(x[rows], xy[rows], n_neighbors=n_neighbors))


def _pca(values: Floats) -> Floats:
    """Give the first two principal components of centred values, zeros where there are fewer."""
    left, strength, _ = np.linalg.svd(values, full_matrices=False)
    result = np.zeros((len(values), 2), dtype=np.float32)
    result[:, : len(strength)] = left[:, :2] * strength[:2]
    return result


def _tsne(values: Floats, seed: int) -> Floats:
    from sklearn.manifold import TSNE

    start = _pca(values)
    spread = float(start[:, 0].std())
    tsne = TSNE(
        perplexity=min(30.0, (len(values) - 1) / 3),
        # The size of start that the method is made for.
        init=start / spread * 1e-4 if spread > 0 else "random",
        learning_rate="auto",
        # A quarter less than usual: the last steps only spread the picture.
        max_iter=750,
        random_state=seed,
    )
    return np.asarray(tsne.fit_transform(values))


def _signed(flat: Floats) -> Floats:
    """Turn each axis so that its largest value by size is positive: it must not flip by chance."""
    largest = flat[np.abs(flat).argmax(axis=0), [0, 1]]
    return np.where(largest < 0, -flat, flat)
