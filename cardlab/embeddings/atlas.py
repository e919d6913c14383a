"""An atlas of a corpus: layers of clusters, their names, how sure they are, and the map."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from ..frames import narrow
from .consensus import LAYERS, Nodes, author_weights, consensus, kept, layers, nearness, sureness
from .embed import embed
from .lsa import authors
from .names import name_clusters
from .points import Indices, Points
from .project import map_points
from .vectors import Floats, matrix, same_size, vectors, whole_number

_WANTED = (
    *("id", "author", "text", "tags", "pipeline_tag", "library_name", "license_class"),
    *("created_at", "embeddings"),
)

#: Examples of a cluster.
_EXAMPLES = 3


@dataclass(frozen=True)
class Atlas:
    """Layers of clusters within clusters, from coarse to fine; :func:`cardlab.atlas` makes it.

    Attributes
    ----------
    labels : pl.DataFrame
        ``id``, and for each layer a column with the cluster of each card (int, 0 is the largest of
        its layer), in the order of the cards; null where it is between clusters, or has no
        usable vector.
    layers : pl.DataFrame
        ``layer`` (str), ``share`` (float, 0-1: in so many of the runs its cards are together; null
        for the coarse layer), ``n_clusters``, ``n_cards`` (int, in clusters), ``card_share`` (of
        all cards), ``largest_share`` (of all cards, in the largest cluster). No rows where there
        are no stable clusters.
    names : pl.DataFrame
        ``layer``, ``cluster``, ``name`` (str, at most four words), ``parent`` (int, the cluster of
        the layer before in which it lies; null in the first).
    stability : pl.DataFrame
        By layer and cluster: ``n_cards``, ``n_authors`` (int); ``together`` (float, 0-1: the share
        of the runs in which two of its cards are together, mean of all pairs); ``comes_back``
        (float, 0-1: the largest Jaccard similarity with a cluster that is found from half of the
        authors alone, mean of four halves); ``top_author`` (str), ``top_author_share`` (0-1, of
        its cards); ``template_share`` (0-1, mean over its cards: letters in lines that three
        authors have word for word; null without texts); ``example_ids`` (list of
        str, nearest the middle, of different authors).
    vectors : np.ndarray of float32
        The vectors that were grouped, a row for each card.
    origin : str
        Where they came from, in words.

    Examples
    --------
    >>> cl.atlas(cl.make_cards(200)).layers["layer", "n_clusters", "card_share"].row(0)
    ('coarse', 7, 1.0)
    """

    labels: pl.DataFrame
    layers: pl.DataFrame
    names: pl.DataFrame
    stability: pl.DataFrame
    vectors: Floats
    origin: str
    _cards: pl.DataFrame
    _random_state: int

    @cached_property
    def named(self) -> pl.DataFrame:
        """``id``, and for each layer the name of each card's cluster, null where between."""
        of_layer = {layer: self.names.filter(layer=layer) for layer in LAYERS}
        return self.labels.with_columns(
            pl.col(layer).replace_strict(
                names["cluster"], names["name"], default=None, return_dtype=pl.String
            )
            for layer, names in of_layer.items()
        )

    @cached_property
    def map(self) -> pl.DataFrame:
        """What :func:`cardlab.plot_map` draws: :func:`~.map_points`, and the layers by name."""
        points = map_points(self._cards, x=self.vectors, random_state=self._random_state)
        return points.with_columns(self.named.drop("id").get_columns())

    def __repr__(self) -> str:
        if not self.layers.height:
            return f"Atlas of {self.labels.height:,} cards: no stable clusters"
        share = (pl.col("card_share") * 100).round()
        part = pl.format("{} in {} ({} %)", "n_clusters", "layer", share)
        parts = self.layers.select(part).to_series()
        return f"Atlas of {self.labels.height:,} cards: clusters {', '.join(parts)}"


def atlas(
    cards: Any,
    vectors: npt.ArrayLike | str | os.PathLike[str] | None = None,
    *,
    random_state: int = 0,
) -> Atlas:
    """Find what cards are grouped together again and again, in layers, with names.

    Vectors are grouped by k-means 480 times: each time of other authors, drawn with replacement,
    and into another number of clusters, from 6 to 42. A layer are the groups whose cards are
    together in 70, 50 or 30 % of these runs on the mean; the coarse layer joins those of 30 % to
    8-15 regions for a reader, where the corpus has as many. A cluster has at least 10 cards of
    3 authors. A card of fewer than 10 joins the cluster to whose middle its cosine is largest, if
    that is 0.7, 0.5 or 0.3 (each card a vector of the groups that it was in: to a cluster whose
    cards are always together, the share of the runs in which it is with them); what is in none is
    *between*. Each lies within one of the layer before.

    Parameters
    ----------
    cards : frame
        Cards with ``id``; ``author`` (else what stands before the slash of the id), ``text``,
        ``tags``, ``pipeline_tag`` and ``library_name`` are used where they are there.
    vectors : array-like of shape (n_cards, d), or path, optional
        A vector for each card, or a file of them as :func:`cardlab.vectors` takes it. By default
        the column ``embeddings``, and where that has none :func:`cardlab.embed` with LSA.
    random_state : int, default 0
        Seed of LSA and the map, and above 5,000 distinct vectors of groups of near ones that are
        grouped in their place. The runs are the same for every seed, and for any order.

    Returns
    -------
    Atlas
        Without clusters where cards that are together once are together again hardly more often
        (by less than 0.1) than in clouds of points that are spread as widely.

    Raises
    ------
    MissingColumn
        The cards have no ``id``, or nothing to make vectors of.
    NoFigure
        Fewer than 3 vectors are usable.
    CardlabError
        There are more or fewer vectors than cards.

    Notes
    -----
    Fred and Jain (2005), Combining multiple clusterings using evidence accumulation; Monti and
    others (2003), Consensus clustering; Hornik and others (2012), Spherical k-means clustering. An
    author weighs the root of the number of its cards, so that none decides alone. That every seed
    gives the same is how the runs are drawn, not how sure the clusters are: that says
    ``comes_back``. On one corpus of 2,577 cards runs of other draws agreed at 0.91-0.98 (adjusted
    Rand) in the layer of 70 %, 0.96-0.97 in that of 50 %, 0.83-0.97 in that of 30 %, and 0.66-0.84
    in the coarse one, which is for reading.

    Examples
    --------
    >>> regions = cl.atlas(cl.make_cards(200))
    >>> regions.names["layer", "cluster", "name"].row(0)
    ('coarse', 0, 'text-generation: reply, prompt, story')
    """
    seed = whole_number(random_state, 0, name="random_state")
    have = schema.require(cards, "id")
    frame = schema.collect(narrow(cards, [name for name in _WANTED if name in have]))
    x, origin = _given(frame, vectors, seed)
    frame = frame.drop("embeddings", strict=False)
    author = authors(frame)
    frame = frame.with_columns(author=author)
    code = author.rank("dense").to_numpy().astype(np.int64) - 1
    points = Points.of(x, seed)
    rows = points.rows
    # numbered anew, as some authors may have no usable vector
    own = np.unique(code[rows], return_inverse=True)[1]
    order, point = _by_id(points, frame["id"])
    nodes = Nodes.of(points.gathered(points.first[order]), point, own, seed)
    found = consensus(nodes) if len(order) > 2 else None
    labels = np.full((len(LAYERS), len(x)), -1)
    back: dict[str, pl.DataFrame] = {}
    if found:
        cut = layers(nodes, found[0], coarse=True)
        for i, name in enumerate(LAYERS):
            labels[i, rows] = kept(nodes, cut[name])
        back = sureness(nodes, found, labels[:, rows])
    of_layer = (pl.Series(name, each) for name, each in zip(LAYERS, labels, strict=True))
    table = frame.select("id", *(each.replace(-1, None).cast(pl.Int32) for each in of_layer))
    names, template = name_clusters(frame, table.drop("id"), author_weights(code), code)
    near = np.full((len(LAYERS), len(x)), np.nan)
    near[:, rows] = nearness(nodes, labels[:, rows])
    stability = pl.concat(
        _described(name, frame, labels[i], near[i], template, back.get(name))
        for i, name in enumerate(LAYERS)
    )
    counted = _layers(table) if found else _layers(table).clear()
    return Atlas(table, counted, names, stability, x, origin, frame, seed)


def _by_id(points: Points, ids: pl.Series) -> tuple[Indices, Indices]:
    """Order points by the first id of their cards, and give the place of each card's.

    Whom the runs draw goes by the order, and in their own, that of hashes, the last digit would
    have a say: machines differ in it.
    """
    rank = ids.cast(pl.String).rank("dense").fill_null(0).to_numpy()[points.rows]
    first = np.full(len(points.first), len(ids) + 1)
    np.minimum.at(first, points.point_of_row, rank)
    order = np.argsort(first, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return order, place[points.point_of_row]


def _given(frame: pl.DataFrame, given: Any, seed: int) -> tuple[Floats, str]:
    """Take the vectors of the cards, or compute them; and say which."""
    if isinstance(given, (str, os.PathLike)):
        return vectors(frame, file=given), "a file beside the cards"
    if given is not None:
        x = matrix(given, name="vectors")
        same_size(len(x), frame.height, name="vectors", of="cards")
        return x, "given with the call"
    if "embeddings" in frame.columns:
        try:
            return vectors(frame), "given with the corpus"
        except schema.NoFigure:
            if not {"text", "tags"} & set(frame.columns):
                raise
    return embed(frame, random_state=seed), "LSA of texts and tags, computed here"


def _layers(labels: pl.DataFrame) -> pl.DataFrame:
    """Count what is in each layer."""
    rows = []
    for name, share in LAYERS.items():
        sizes = np.bincount(labels[name].drop_nulls().to_numpy())
        held, total = int(sizes.sum()), max(labels.height, 1)
        largest = int(sizes.max(initial=0)) / total
        rows.append((name, share, len(sizes), held, held / total, largest))
    columns: Any = {
        **{"layer": pl.String, "share": pl.Float64, "n_clusters": pl.Int64, "n_cards": pl.Int64},
        **{"card_share": pl.Float64, "largest_share": pl.Float64},
    }
    return pl.DataFrame(rows, columns, orient="row")


def _described(
    layer: str,
    frame: pl.DataFrame,
    label: Indices,
    near: Floats,
    template: npt.NDArray[np.float64],
    sure: pl.DataFrame | None,
) -> pl.DataFrame:
    """Describe the clusters of a layer: size, sureness, authors, template, examples."""
    if sure is None:
        sure = pl.DataFrame(
            schema={"cluster": pl.Int32, "together": pl.Float64, "comes_back": pl.Float64}
        )
    cards = frame.select(
        pl.col("id").cast(pl.String),
        "author",
        cluster=pl.Series(label, dtype=pl.Int32),
        near=pl.Series(near).cast(pl.Float64).round(5),
        template=pl.Series(template, nan_to_null=True),
    ).filter(pl.col("cluster") >= 0)
    authors = cards.group_by("cluster", "author").agg(n=pl.len(), best=pl.col("near").max())
    top = (
        authors.sort("n", "author", descending=[True, False])
        .group_by("cluster", maintain_order=True)
        .agg(n_authors=pl.len(), top_author=pl.col("author").first(), n_top=pl.col("n").first())
    )
    examples = (
        cards.sort("near", "id", descending=[True, False])
        .unique(["cluster", "author"], keep="first", maintain_order=True)
        .group_by("cluster", maintain_order=True)
        .agg(example_ids=pl.col("id").head(_EXAMPLES))
    )
    sizes = cards.group_by("cluster").agg(n_cards=pl.len(), template_share=pl.mean("template"))
    return (
        sizes.join(top, on="cluster")
        .join(sure, on="cluster")
        .join(examples, on="cluster")
        .sort("cluster")
        .with_columns(pl.col(pl.Float64).round(6))  # sums do not depend on the order of the cards
        .with_columns(pl.col("n_cards", "n_authors").cast(pl.Int64), layer=pl.lit(layer))
        .select(
            *("layer", "cluster", "n_cards", "n_authors", "together", "comes_back", "top_author"),
            top_author_share=pl.col("n_top") / pl.col("n_cards"),
            template_share="template_share",
            example_ids="example_ids",
        )
    )
