"""Two dimensions to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from ..overview.time import judge
from .matrix import Floats, matrix, same_size
from .placing import Axes, Distinct, Nearest, place
from .points import one_thread, whole_number
from .trust import trustworthiness

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
