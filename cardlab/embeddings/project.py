"""Two dimensions to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Literal, get_args, overload

import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from .._public import taking_sources
from ..overview.time import judge
from .points import Axes, Indices, Points, drawn, in_blocks, one_thread, row_hashes
from .vectors import Floats, matrix, same_size, usable, whole_number

Method = Literal["auto", "pca", "tsne", "opentsne"]

#: Distinct vectors that each method is fitted on at most; it places the others.
_FITTED = {"pca": 20_000, "tsne": 5_000, "opentsne": 20_000}

#: Rows in one go: 50 MB of vectors with 768 numbers.
BLOCK = 16_384

#: Columns that t-SNE works on; more cost time and add noise to the distances.
_COMPONENTS = 50

#: Distinct vectors below which t-SNE has no neighbourhoods to keep.
_MIN_TSNE = 10


@dataclass(frozen=True)
class Projection:
    """How places on a map were found; its text is a line for the map's subtitle.

    ``method`` is what ``"auto"`` came to, ``library`` the package with its version; of
    ``n_distinct`` usable vectors the method was fitted on ``n_fitted``, the others were placed;
    ``variance_share`` (0-1) is what the two axes hold, None but for ``"pca"``.
    """

    method: str
    library: str
    n_distinct: int
    n_fitted: int
    variance_share: float | None = None

    def __str__(self) -> str:
        if self.variance_share is not None:
            name = f"first two principal components ({100 * self.variance_share:.0f} % of variance)"
        else:
            name = f"t-SNE ({self.library})"
        if self.n_fitted == self.n_distinct:
            return f"{name} of {self.n_distinct:,} distinct vectors"
        fitted = f"{self.n_fitted:,} of {self.n_distinct:,} distinct vectors"
        if self.variance_share is not None:
            return f"{name}, found on {fitted}"
        return f"{name} of {fitted}, the others placed beside their nearest"


#: What a map is coloured by, where the cards have it.
_FACTS = ("pipeline_tag", "library_name", "license_class", "created_at")


@taking_sources
def map_points(
    cards: Any,
    *,
    x: npt.ArrayLike,
    labels: npt.ArrayLike | None = None,
    columns: Sequence[str] | None = None,
    method: Method = "auto",
    random_state: int = 0,
) -> pl.DataFrame:
    """Lay the cards out in the plane, with all that :func:`plot_map` draws.

    Parameters
    ----------
    cards : frame
        With ``id``.
    x : array-like of numbers, shape (n_cards, d)
        Their vectors, in the order of the cards.
    labels : array-like of int, shape (n_cards,), optional
        Their clusters, as :func:`cluster` gives them.
    columns : sequence of str, optional
        Columns of the cards to colour by. Default: ``pipeline_tag``, ``library_name``,
        ``license_class`` (of :func:`with_licenses`; null where undeclared) and ``created_at``
        (null where it can be no date of a card), as far as they are there.
    method, random_state
        As in :func:`project`.

    Returns
    -------
    pl.DataFrame
        A row for each card, in their order: ``id``, ``x``, ``y`` (float; null where the vector is
        not usable), ``cluster`` (int, with `labels`), the `columns`, and in every row ``method``
        (str: how the places were found) and ``trustworthiness`` (float, 0-1, of
        :func:`~.trustworthiness`; null where the cards are too few).

    Raises
    ------
    MissingColumn
        The cards lack ``id`` or one of `columns`.
    NoFigure
        Fewer than 3 vectors are usable.
    CardlabError
        `x` or `labels` have more or fewer rows than there are cards.

    Examples
    --------
    >>> from cardlab.embeddings.project import map_points
    >>> cards = cl.make_cards(200)
    >>> points = map_points(cards, x=cl.vectors(cards), columns=["topic"], method="pca")
    >>> points.columns
    ['id', 'x', 'y', 'topic', 'method', 'trustworthiness']
    """
    have = schema.require(cards, "id", *(columns or ()))
    chosen = [name for name in (_FACTS if columns is None else columns) if name in have]
    kept = dict.fromkeys(["id", *(name for name in chosen if name != "cluster")])
    frame = schema.collect(schema.lazy(cards).select(*kept))
    if "license_class" in frame.columns:  # as with any other column, null is "not declared"
        frame = frame.with_columns(pl.col("license_class").replace({"undeclared": None}))
    if isinstance(frame.schema.get("created_at"), pl.Datetime):  # of no year that cannot be
        possible = judge(frame["created_at"], crowds=False).possible
        frame = frame.with_columns(possible.alias("created_at"))
    values = matrix(x)
    same_size(len(values), frame.height, name="x", of="cards")
    xy, info = project(values, method=method, random_state=random_state, return_info=True)
    try:
        trust: float | None = trustworthiness(values, xy, random_state=random_state)
    except schema.NoFigure:
        trust = None
    own = {}
    if labels is not None:
        own["cluster"] = pl.Series(np.asarray(labels))
        same_size(len(own["cluster"]), frame.height, name="labels", of="cards")
    return frame.select(
        "id",
        x=pl.Series(xy[:, 0], nan_to_null=True),
        y=pl.Series(xy[:, 1], nan_to_null=True),
        **own,
        **{name: pl.col(name) for name in frame.columns if name != "id"},
        method=pl.lit(str(info)),
        trustworthiness=pl.lit(trust, pl.Float64),
    )


@overload
def project(
    x: npt.ArrayLike,
    *,
    method: Method = ...,
    random_state: int = ...,
    return_info: Literal[False] = ...,
) -> Floats: ...
@overload
def project(
    x: npt.ArrayLike, *, method: Method = ..., random_state: int = ..., return_info: Literal[True]
) -> tuple[Floats, Projection]: ...
def project(
    x: npt.ArrayLike, *, method: Method = "auto", random_state: int = 0, return_info: bool = False
) -> Floats | tuple[Floats, Projection]:
    """Lay vectors out in the plane.

    Parameters
    ----------
    x : array-like of numbers, shape (n, d)
        Vectors, one a row. Distances are Euclidean: normalise the rows first where only their
        direction matters. A memory-mapped array is read block by block, three times.
    method : {"auto", "pca", "tsne", "opentsne"}, default "auto"
        - ``"pca"``: the first two principal components, found on at most 20,000 of the distinct
          vectors. Linear, quick at any size; far apart means different, near does not mean
          alike.
        - ``"tsne"``: scikit-learn's t-SNE, fitted on at most 5,000 of the distinct vectors. Keeps
          near what is near; distances between groups and their sizes mean nothing. Starts from
          the principal components; perplexity 30, or a third of the distinct vectors where they
          are few. All other vectors are placed beside the nearest of those 5,000.
        - ``"opentsne"``: the same by openTSNE, fitted on at most 20,000 of the distinct vectors;
          needs the extra ``cardlab[map]``.
        - ``"auto"``: ``"tsne"`` for ten distinct vectors or more, else ``"pca"``. It does not look
          at what is installed: the same call gives the same picture everywhere.
    random_state : int, default 0
        Seed. The same vectors and seed give the same picture, in whichever order they come.
    return_info : bool, default False
        Give beside the places how they were found, for the subtitle of the map.

    Returns
    -------
    xy : np.ndarray of float32, shape (n, 2)
        NaN where the vector is not usable; equal vectors lie on one spot. Of each axis the
        sign is such that its largest value by size is positive.
    info : Projection
        Only with `return_info`: ``method``, ``library``, ``n_distinct``, ``n_fitted``,
        ``variance_share``.

    Raises
    ------
    NoFigure
        Fewer than 3 rows are usable.
    CardlabError
        An unknown method, ``"tsne"`` or ``"opentsne"`` for fewer than 10 distinct vectors, or
        ``"opentsne"`` where it is not installed.

    Notes
    -----
    van der Maaten and Hinton (2008), Visualizing data using t-SNE; Kobak and Berens (2019), The
    art of using t-SNE for single-cell transcriptomics, for the start from principal components;
    Poličar, Stražar and Zupan (2024), openTSNE: a modular Python library for t-SNE dimensionality
    reduction and embedding, also for placing points on a fitted map.

    Examples
    --------
    >>> cl.project(cl.vectors(cl.make_cards(200)), method="pca").shape
    (200, 2)
    """
    schema.one_of(method, get_args(Method), name="method")
    seed = whole_number(random_state, 0, name="random_state")
    if method == "opentsne" and find_spec("openTSNE") is None:
        raise schema.CardlabError(
            "method 'opentsne' needs the package openTSNE, which is not installed: "
            "pip install 'cardlab[map]'. Without it there are 'tsne' and 'pca'."
        )
    with one_thread():
        points = Points.of(matrix(x), seed)
        flat, info = _flatten(points, method, seed)
    # It must not flip by chance: of each axis the largest value by size is positive.
    largest = flat[np.abs(flat).argmax(axis=0), [0, 1]]
    xy = points.spread(np.where(largest < 0, -flat, flat), np.nan)
    return (xy, info) if return_info else xy


def _flatten(points: Points, method: str, seed: int) -> tuple[Floats, Projection]:
    """Fit on some of the distinct vectors, and place all of them."""
    n = len(points.copies)
    if method == "auto":
        method = "tsne" if n >= _MIN_TSNE else "pca"
    if method != "pca" and n < _MIN_TSNE:
        raise schema.CardlabError(
            f"method {method!r} needs at least {_MIN_TSNE} distinct vectors; here are {n}. "
            "Use 'pca'."
        )
    # Drawn and looked at in the order of digests: what t-SNE draws turns on the order.
    order = np.argsort(row_hashes(points.x, points.first))
    chosen = order[drawn(n, _FITTED[method], seed)]
    axes = Axes.of(points.gathered(points.first[chosen]), _COMPONENTS, seed, turned=True)
    library = "openTSNE" if method == "opentsne" else "scikit-learn"
    info = Projection(
        method=method,
        library=f"{library} {version(library)}",
        n_distinct=n,
        n_fitted=len(chosen),
        variance_share=float(axes.shares[:2].sum()) if method == "pca" else None,
    )
    flat = np.empty((n, 2), dtype=np.float32)
    if method == "pca":
        flat[order] = points.take(order, axes, BLOCK)[:, :2]
        return flat, info
    values = points.take(chosen, axes, BLOCK)
    flat[chosen] = fitted = _tsne(values, method, seed)
    others = np.setdiff1d(np.arange(n), chosen)
    if len(others):
        flat[others] = place(values, fitted, points.take(others, axes, BLOCK))
    return flat, info


def _tsne(values: Floats, method: str, seed: int) -> Floats:
    """Fit t-SNE, from the first two columns at the size that it is made to start from."""
    perplexity = min(30.0, (len(values) - 1) / 3)
    spread = float(values[:, 0].std())
    if spread > 0:
        start: npt.NDArray[Any] = values[:, :2] / spread * 1e-4
    else:
        start = np.random.default_rng(seed).normal(scale=1e-4, size=(len(values), 2))
    if method == "opentsne":
        tsne = import_module("openTSNE").TSNE(  # by name: type checkers need not have the extra
            perplexity=perplexity,
            initialization=start.astype(np.float64),
            neighbors="exact",  # the usual index is another one for each number of processors
            n_jobs=1,
            random_state=seed,
        )
        return np.asarray(tsne.fit(values), dtype=np.float32)
    from sklearn.manifold import TSNE

    tsne = TSNE(
        perplexity=perplexity,
        init=start,
        learning_rate="auto",
        # A quarter less than usual: the last steps only spread the picture.
        max_iter=750,
        random_state=seed,
    )
    return np.asarray(tsne.fit_transform(values))


# ---- Points placed beside those that were fitted.

#: A point is placed a quarter of the way from the nearest one to the middle of its three nearest:
#: on the nearest many would lie on one spot, and the middle is among strangers more often (on
#: planted clusters 18 % of the true neighbours stayed neighbours there, here 27 %).
_AMONG = 3
_PULL = 0.25


def place(values: Floats, flat: Floats, queries: Floats) -> Floats:
    """Place points on a map beside the nearest that is on it, on the side of the next ones.

    Of these only those count that lie with the nearest, within a 25th of the map's size: between
    two far groups is a place where nothing is.
    """
    from sklearn.neighbors import NearestNeighbors

    tree = NearestNeighbors(n_neighbors=min(_AMONG, len(values)), algorithm="brute").fit(values)
    blocks = in_blocks(lambda block: tree.kneighbors(queries[block]), len(queries))
    distances, found = map(np.concatenate, zip(*blocks, strict=True))
    at = flat[found].astype(np.float64)
    away = np.linalg.norm(at - at[:, :1], axis=2)
    together = away <= float(np.linalg.norm(np.ptp(flat, axis=0))) / 25
    weight = together / np.maximum(distances, 1e-12).astype(np.float64)
    weight /= weight.sum(axis=1, keepdims=True)
    middle = np.einsum("nk,nkc->nc", weight, at)
    placed: Floats = (at[:, 0] + _PULL * (middle - at[:, 0])).astype(np.float32)
    return placed


# ---- How far the neighbours that a map shows are neighbours in truth.

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
        Seed of the sample of 1,000 rows whose neighbours are judged where more are usable, among
        all usable rows; between seeds the figure moved by about 0.002.

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

    Examples
    --------
    >>> from cardlab.embeddings.project import trustworthiness
    >>> x = cl.vectors(cl.make_cards(200))
    >>> round(trustworthiness(x, cl.project(x, method="pca")), 2)
    0.79
    """
    from scipy.spatial import cKDTree

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
        judged = np.arange(n)
        if n > TRUST_SAMPLE:  # drawn by content and not by position
            order = np.argsort(row_hashes(x, rows), kind="stable")
            judged = order[np.random.default_rng(seed).choice(n, TRUST_SAMPLE, replace=False)]
        shown = cKDTree(xy[rows]).query(xy[rows[judged]], k + 1)[1]
        itself = shown == judged[:, None]
        # Where many places are equal, a point need not be among its own nearest.
        itself[~itself.any(axis=1), -1] = True
        shown = shown[~itself].reshape(-1, k)
        excess = np.maximum(_ranks(x, rows, judged, shown) - k, 0)
    return 1 - 2 * float(excess.sum()) / (len(judged) * k * (2 * n - 3 * k - 1))


def _ranks(x: Floats, rows: Indices, judged: Indices, shown: Indices) -> Indices:
    """Rank the shown neighbours by their true distance among all rows, the nearest as 1."""
    middle = x[rows[judged]].mean(axis=0, dtype=np.float64).astype(np.float32)
    queries = x[rows[judged]] - middle
    squares = _squares(queries)
    limits = []
    for column in shown.T:
        other = x[rows[column]] - middle
        # Less what float32 may err in the sums below: what is as near does not come before.
        limits.append(_squares(queries - other) - 4e-6 * (squares + _squares(other)))
    ranks = np.ones(shown.shape, dtype=np.int64)
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        block = x[rows[part]] - middle
        away = _squares(block) - 2 * (queries @ block.T) + squares[:, None]
        inside = np.flatnonzero((judged >= start) & (judged < start + BLOCK))
        away[inside, judged[inside] - start] = np.inf
        for j, limit in enumerate(limits):
            ranks[:, j] += (away < limit[:, None]).sum(axis=1)
    return ranks


def _squares(x: Floats) -> Floats:
    """Give the sum of squares of each row."""
    squares: Floats = np.einsum("ij,ij->i", x, x)
    return squares
