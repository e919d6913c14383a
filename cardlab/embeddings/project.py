"""Two dimensions to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from ..overview.time import judge
from .points import Indices, one_thread, whole_number
from .vectors import Floats, matrix, row_hashes, same_size, usable

# ---- The distinct vectors of a matrix block by block, and the nearest of a few to each of many.

#: Rows in one go: 50 MB of vectors with 768 numbers.
BLOCK = 16_384

#: Numbers in a block of distances: 64 MB.
_CELLS = 2**24

#: A point is placed a quarter of the way from the nearest one to the middle of its three nearest:
#: on the nearest many would lie on one spot, and the middle is among strangers more often (on
#: planted clusters 18 % of the true neighbours stayed neighbours there, here 27 %).
_AMONG = 3
_PULL = 0.25


@dataclass(frozen=True)
class Distinct:
    """The distinct usable rows of a matrix, ordered by content; nothing of it is copied.

    Like :class:`~.points.Points`, but for matrices of which a second copy is too much.
    """

    x: Floats
    #: Rows of the matrix that are usable, and the distinct vector of each.
    rows: Indices
    which: Indices
    #: For each distinct vector a row that holds it.
    first: Indices
    #: What brings the largest number near 1: squares of very large or small ones are lost.
    exponent: int

    @classmethod
    def of(cls, x: Floats) -> Distinct:
        """Find the distinct rows; at least three must be usable."""
        rows = np.flatnonzero(usable(x))
        if len(rows) < 3:
            raise schema.NoFigure(
                f"at least 3 usable vectors are needed; {len(rows)} of {len(x):,} are usable."
            )
        hashes = np.empty(len(rows), dtype=np.uint64)
        largest = 0.0
        for start in range(0, len(rows), BLOCK):
            # Turns -0.0 into 0.0, which must hash alike.
            block = x[rows[start : start + BLOCK]] + np.float32(0)
            hashes[start : start + BLOCK] = row_hashes(block)
            largest = max(largest, float(np.abs(block).max()))
        _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
        exponent = 0 if 1e-12 < largest < 1e12 else -int(np.frexp(largest)[1])
        return cls(x, rows, which, rows[first], exponent)

    def __len__(self) -> int:
        return len(self.first)

    def values(self, chosen: Indices | slice) -> Floats:
        """Copy some of the distinct vectors."""
        found = self.x[self.first[chosen]] + np.float32(0)
        if self.exponent:
            found = np.ldexp(found, self.exponent)
        return found

    def blocks(self) -> Iterator[tuple[slice, Floats]]:
        """Copy all of them, one block after another."""
        for start in range(0, len(self), BLOCK):
            part = slice(start, start + BLOCK)
            yield part, self.values(part)

    def sample(self, n: int, seed: int) -> Indices:
        """Draw `n` of the distinct vectors; all where there are no more."""
        if n >= len(self):
            return np.arange(len(self))
        return np.sort(np.random.default_rng(seed).choice(len(self), n, replace=False))

    def spread(self, flat: Floats) -> Floats:
        """Give each row of the matrix the place of its vector, NaN where it is not usable."""
        result = np.full((len(self.x), flat.shape[1]), np.nan, dtype=np.float32)
        result[self.rows] = flat[self.which]
        return result


@dataclass(frozen=True)
class Axes:
    """Principal axes of a sample."""

    mean: Floats
    components: Floats
    #: Share of the variance of the sample on each.
    shares: Floats

    @classmethod
    def of(cls, values: Floats, n_components: int, seed: int) -> Axes:
        """Fit them; there are as many as the values have directions, at least two."""
        from sklearn.decomposition import PCA

        mean = values.mean(axis=0, dtype=np.float64).astype(np.float32)
        n = min(n_components, *values.shape)
        components = np.zeros((max(n, 2), values.shape[1]), dtype=np.float32)
        shares = np.zeros(max(n, 2), dtype=np.float32)
        if len(values) > 1:
            # The share of the variance is 0 / 0 where all squares vanish.
            with np.errstate(invalid="ignore"):
                pca = PCA(n, svd_solver="auto", random_state=seed).fit(values - mean)
            components[:n] = pca.components_
            shares[:n] = np.nan_to_num(pca.explained_variance_ratio_)
        return cls(mean, components, shares)

    def apply(self, values: Floats) -> Floats:
        """Give the coordinates of vectors on the axes."""
        return np.asarray((values - self.mean) @ self.components.T, dtype=np.float32)


@dataclass(frozen=True)
class Nearest:
    """Finds among a few thousand points those nearest to others, by exact distances."""

    points: Floats

    @cached_property
    def _squares(self) -> Floats:
        squares: Floats = np.einsum("ij,ij->i", self.points, self.points)
        return squares

    def find(self, queries: Floats, k: int) -> tuple[Indices, Floats]:
        """Give the `k` nearest of each query and their distances, the nearest first."""
        k = min(k, len(self.points))
        found = np.empty((len(queries), k), dtype=np.int64)
        distances = np.empty((len(queries), k), dtype=np.float32)
        step = max(1, _CELLS // len(self.points))
        for start in range(0, len(queries), step):
            part = queries[start : start + step]
            # Without the square of the query, which changes no order.
            ranked = self._squares - 2 * (part @ self.points.T)
            near = np.argpartition(ranked, k - 1, axis=1)[:, :k]
            away = np.take_along_axis(ranked, near, axis=1)
            order = np.lexsort((near, away), axis=1)
            found[start : start + step] = np.take_along_axis(near, order, axis=1)
            own = np.einsum("ij,ij->i", part, part)[:, None]
            squares = np.maximum(np.take_along_axis(away, order, axis=1) + own, 0)
            distances[start : start + step] = np.sqrt(squares)
        return found, distances


def place(nearest: Nearest, flat: Floats, queries: Floats) -> Floats:
    """Place points on a map beside the nearest that is on it, on the side of the next ones.

    Of these only those count that lie together on the map with the nearest: between two far
    groups is a place where nothing is.
    """
    found, distances = nearest.find(queries, _AMONG)
    at = flat[found].astype(np.float64)
    away = np.linalg.norm(at - at[:, :1], axis=2)
    together = away <= _spacing(flat)
    weight = together / np.maximum(distances, 1e-12).astype(np.float64)
    weight /= weight.sum(axis=1, keepdims=True)
    middle = np.einsum("nk,nkc->nc", weight, at)
    placed: Floats = (at[:, 0] + _PULL * (middle - at[:, 0])).astype(np.float32)
    return placed


def _spacing(flat: Floats) -> float:
    """Give a distance on the map within which points belong together: a 25th of its size."""
    size: npt.NDArray[np.float32] = np.ptp(flat, axis=0)
    return float(np.linalg.norm(size)) / 25


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


# ---- Two dimensions to look at.

_METHODS = ("auto", "pca", "tsne", "opentsne")

#: Distinct vectors that each method is fitted on at most; it places the others.
_FITTED = {"pca": 20_000, "tsne": 5_000, "opentsne": 20_000}

#: Columns that t-SNE works on; more cost time and add noise to the distances.
_COMPONENTS = 50

#: Distinct vectors below which t-SNE has no neighbourhoods to keep.
_MIN_TSNE = 10

_PERPLEXITY = 30


@dataclass(frozen=True)
class Projection:
    """How places on a map were found; its text is a line for the map's subtitle.

    Attributes
    ----------
    method : str
        ``"pca"``, ``"tsne"`` or ``"opentsne"``: what ``"auto"`` came to.
    library : str
        The package that did it, with its version.
    n_distinct : int
        Different usable vectors.
    n_fitted : int
        How many of them the method was fitted on; the others were placed.
    variance_share : float or None
        Share (0-1) of the variance that the two axes hold, for ``"pca"``.
    """

    method: str
    library: str
    n_distinct: int
    n_fitted: int
    variance_share: float | None = None

    def __str__(self) -> str:
        """Say it in a line."""
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


def map_points(
    cards: Any,
    *,
    x: npt.ArrayLike,
    labels: npt.ArrayLike | None = None,
    columns: Sequence[str] | None = None,
    method: str = "auto",
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
        :func:`trustworthiness`; null where the cards are too few).

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
    >>> import cardlab as cl
    >>> cards = cl.make_cards(200)
    >>> x = cl.embed(cards)
    >>> chart = cl.plot_map(cl.map_points(cards, x=x, labels=cl.cluster(x, n_clusters=4)))
    """
    have = schema.require(cards, "id", *(columns or ()))
    chosen = [name for name in (_FACTS if columns is None else columns) if name in have]
    frame = schema.collect(
        schema.lazy(cards).select(*dict.fromkeys(["id", *(c for c in chosen if c != "cluster")]))
    )
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
    own = {} if labels is None else {"cluster": np.asarray(labels)}
    for given in own.values():
        same_size(len(given), frame.height, name="labels", of="cards")
    places = {name: pl.Series(xy[:, at], nan_to_null=True) for at, name in enumerate("xy")}
    return frame.select(
        "id",
        **places,
        **{name: pl.Series(given) for name, given in own.items()},
        **{name: pl.col(name) for name in frame.columns if name != "id"},
        method=pl.lit(str(info)),
        trustworthiness=pl.lit(trust, pl.Float64),
    )


@overload
def project(
    x: npt.ArrayLike,
    *,
    method: str = ...,
    random_state: int = ...,
    return_info: Literal[False] = ...,
) -> Floats: ...
@overload
def project(
    x: npt.ArrayLike, *, method: str = ..., random_state: int = ..., return_info: Literal[True]
) -> tuple[Floats, Projection]: ...
def project(
    x: npt.ArrayLike, *, method: str = "auto", random_state: int = 0, return_info: bool = False
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
    """
    schema.one_of(method, _METHODS, name="method")
    seed = whole_number(random_state, 0, name="random_state")
    if method == "opentsne":
        _need_opentsne()
    with one_thread():
        distinct = Distinct.of(matrix(x))
        flat, info = _flatten(distinct, method, seed)
    xy = distinct.spread(_signed(flat))
    return (xy, info) if return_info else xy


def _flatten(distinct: Distinct, method: str, seed: int) -> tuple[Floats, Projection]:
    """Fit on some of the distinct vectors, and place all of them."""
    n = len(distinct)
    if method == "auto":
        method = "tsne" if n >= _MIN_TSNE else "pca"
    if method != "pca" and n < _MIN_TSNE:
        raise schema.CardlabError(
            f"method {method!r} needs at least {_MIN_TSNE} distinct vectors; here are {n}. "
            "Use 'pca'."
        )
    chosen = distinct.sample(_FITTED[method], seed)
    sample = distinct.values(chosen)
    axes = Axes.of(sample, _COMPONENTS, seed)
    values = axes.apply(sample)
    library = "openTSNE" if method == "opentsne" else "scikit-learn"
    info = Projection(
        method=method,
        library=f"{library} {version(library)}",
        n_distinct=n,
        n_fitted=len(chosen),
        variance_share=float(axes.shares[:2].sum()) if method == "pca" else None,
    )
    if method == "pca":
        blocks = [axes.apply(block)[:, :2] for _, block in distinct.blocks()]
        return np.concatenate(blocks), info
    fitted = _opentsne(values, seed) if method == "opentsne" else _tsne(values, seed)
    if len(chosen) == n:
        return fitted, info
    flat = np.empty((n, 2), dtype=np.float32)
    nearest = Nearest(values)
    for part, block in distinct.blocks():
        flat[part] = place(nearest, fitted, axes.apply(block))
    flat[chosen] = fitted
    return flat, info


def _start(values: Floats) -> Floats | None:
    """Give the first two columns at the size that t-SNE is made to start from."""
    spread = float(values[:, 0].std())
    return values[:, :2] / spread * 1e-4 if spread > 0 else None


def _tsne(values: Floats, seed: int) -> Floats:
    from sklearn.manifold import TSNE

    start = _start(values)
    tsne = TSNE(
        perplexity=min(float(_PERPLEXITY), (len(values) - 1) / 3),
        init="random" if start is None else start,
        learning_rate="auto",
        # A quarter less than usual: the last steps only spread the picture.
        max_iter=750,
        random_state=seed,
    )
    return np.asarray(tsne.fit_transform(values))


def _opentsne(values: Floats, seed: int) -> Floats:
    # By name: type checkers need not have the extra.
    package = import_module("openTSNE")
    affinity = import_module("openTSNE.affinity")
    neighbors = import_module("openTSNE.nearest_neighbors")
    perplexity = min(float(_PERPLEXITY), (len(values) - 1) / 3)
    n_neighbors = min(int(3 * perplexity), len(values) - 1)
    # Its own index is approximate, and another one for each number of processors.
    found, distances = Nearest(values).find(values, n_neighbors + 1)
    own = found == np.arange(len(values))[:, None]
    own[~own.any(axis=1), -1] = True
    shape = len(values), n_neighbors
    known = neighbors.PrecomputedNeighbors(
        found[~own].reshape(shape), distances[~own].reshape(shape)
    )
    affinities = affinity.PerplexityBasedNN(perplexity=perplexity, knn_index=known, n_jobs=1)
    start = _start(values)
    if start is None:
        begin = np.random.default_rng(seed).normal(scale=1e-4, size=(len(values), 2))
    else:
        begin = start.astype(np.float64)
    tsne = package.TSNE(n_jobs=1, random_state=seed)
    fitted = tsne.fit(affinities=affinities, initialization=begin)
    return np.asarray(fitted, dtype=np.float32)


def _need_opentsne() -> None:
    if find_spec("openTSNE") is None:
        raise schema.CardlabError(
            "method 'opentsne' needs the package openTSNE, which is not installed: "
            "pip install 'cardlab[map]'. Without it there are 'tsne' and 'pca'."
        )


def _signed(flat: Floats) -> Floats:
    """Turn each axis so that its largest value by size is positive: it must not flip by chance."""
    largest = flat[np.abs(flat).argmax(axis=0), [0, 1]]
    return np.where(largest < 0, -flat, flat)
