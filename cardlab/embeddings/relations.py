"""How clusters stand to what the cards declare, and to each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from .cosine import checked_ids
from .matrix import Floats, matrix
from .parallel import in_blocks
from .points import Ints, Points, checked_labels, whole_number

#: Parts of which each is left out once for an interval.
_PARTS = 20

#: Rows of which an interval is taken: expected agreement takes time that grows with them.
_INTERVAL_ROWS = 20_000

_AGREEMENT = {
    "column": pl.String,
    "n_cards": pl.Int64,
    "n_values": pl.Int64,
    "ami": pl.Float64,
    "ami_low": pl.Float64,
    "ami_high": pl.Float64,
    "ari": pl.Float64,
}


def cluster_agreement(
    cards: Any,
    *,
    labels: npt.ArrayLike,
    columns: Iterable[str] = ("pipeline_tag", "library_name"),
    random_state: int = 0,
) -> pl.DataFrame:
    """Measure how far clusters follow what the cards declare, such as task and library.

    Parameters
    ----------
    cards : frame
        Cards with the columns asked for; only these are read.
    labels : array-like of int, shape (n_cards,)
        The cluster of each card, in the order of the cards; negative for none.
    columns : iterable of str
        Columns with one value a card. Lists (tags, languages) cannot be compared.
    random_state : int, default 0
        Seed of the parts for the interval.

    Returns
    -------
    pl.DataFrame
        One row for each column, the largest ``ami`` first, ties by name.

        - ``column`` (str); ``n_cards`` (int), the cards in a cluster that declare a value: the
          others are left out; ``n_values`` (int), how many different ones they declare.
        - ``ami`` (float): adjusted mutual information, 1 where cluster and value tell each
          other exactly, 0 where no more than by chance (slightly negative values occur).
        - ``ami_low``, ``ami_high`` (float): 95 % interval from the jackknife over 20 random
          parts of the cards, of at most 20,000 cards. Null with fewer than 40 cards.
        - ``ari`` (float): adjusted Rand index; lower where clusters split a value in parts.

        The agreement is null where no card declares a value.

    Raises
    ------
    MissingColumn
        A column is not there.
    NoFigure
        No card is in a cluster.
    CardlabError
        A column holds lists, or there are more or fewer labels than cards.

    Notes
    -----
    Vinh, Epps and Bailey (2010), Information theoretic measures for clusterings comparison, with
    the arithmetic mean of the entropies; Hubert and Arabie (1985), Comparing partitions.
    """
    names = [columns] if isinstance(columns, str) else list(columns)
    seed = whole_number(random_state, 0, name="random_state")
    schema.require(cards, *names)
    frame = schema.collect(schema.lazy(cards).select(*map(nw.col, dict.fromkeys(names))))
    label = checked_labels(labels, frame.height, of="cards")
    for name, dtype in frame.schema.items():
        if dtype.is_nested():
            raise schema.CardlabError(
                f"column {name!r} is {dtype}; clusters can be compared with columns of one value a "
                "card only, such as pipeline_tag and library_name."
            )
    rows = [_agreement(name, frame[name], label, seed) for name in frame.columns]
    table = pl.DataFrame(rows, schema=_AGREEMENT, orient="row")
    return table.sort("ami", "column", descending=[True, False], nulls_last=True)


def _agreement(name: str, values: pl.Series, label: Ints, seed: int) -> tuple[Any, ...]:
    from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

    known = values.is_not_null().to_numpy() & (label >= 0)
    codes = values.filter(known).rank("dense").to_numpy().astype(np.int64)
    own = label[known]
    n = len(own)
    n_values = len(np.unique(codes))
    if not n:
        return (name, 0, 0, None, None, None, None)
    ami = float(adjusted_mutual_info_score(codes, own))
    ari = float(adjusted_rand_score(codes, own))
    if n < 2 * _PARTS:
        return (name, n, n_values, ami, None, None, ari)
    # In the order of the pairs, so that the order of the cards has no say.
    order = np.lexsort((own, codes))
    drawn = np.random.default_rng(seed).permutation(n)[:_INTERVAL_ROWS]
    parts = np.arange(len(drawn)) % _PARTS
    left_out = [
        adjusted_mutual_info_score(
            codes[order[drawn[parts != part]]], own[order[drawn[parts != part]]]
        )
        for part in range(_PARTS)
    ]
    deviation = np.sqrt((_PARTS - 1) * np.var(left_out)) * np.sqrt(len(drawn) / n)
    low, high = max(-1.0, ami - 1.96 * deviation), min(1.0, ami + 1.96 * deviation)
    return (name, n, n_values, ami, float(low), float(high), ari)


def between_clusters(
    x: npt.ArrayLike,
    *,
    labels: npt.ArrayLike,
    ids: Any,
    top: int = 20,
) -> pl.DataFrame:
    """List the cards that lie between two clusters.

    Parameters
    ----------
    x : array-like of numbers, shape (n, d)
        The vectors of the cards.
    labels : array-like of int, shape (n,)
        The cluster of each, negative for none.
    ids : sequence of str, length n, or frame with ``id``
        Their names.
    top : int, default 20
        Cards at most.

    Returns
    -------
    pl.DataFrame
        ``id`` (str), ``cluster`` (int), ``second`` (int, the other cluster whose centre is
        nearest), ``margin`` (float, -1 to 1): the distance to that centre less the distance to
        the own one, as a share of the larger. 0 is half way; negative where another centre is
        nearer than the own, as can be with HDBSCAN. Smallest margin first, ties by id. Centres
        are means of the vectors in their principal components. Copies of one vector are all
        listed.

    Raises
    ------
    NoFigure
        Fewer than 3 vectors are usable, or fewer than two clusters have a usable one.
    CardlabError
        `labels` or `ids` have more or fewer rows than `x`.

    Notes
    -----
    The simplified silhouette of Hruschka, Campello and Castro (2006), Evolving clusters in
    gene-expression data.
    """
    whole_number(top, 1, name="top")
    x = matrix(x)
    label = checked_labels(labels, len(x), of="vectors")
    names = checked_ids(ids, len(x))
    points = Points.of(x, 0)
    values = points.values
    found, centres = _centres(points, values, label)
    if len(found) < 2:
        raise schema.NoFigure(
            "there is nothing between clusters: only one cluster has usable vectors."
        )
    inside = label[points.rows] >= 0
    rows, of_row = points.rows[inside], points.point_of_row[inside]
    own = np.searchsorted(found, label[rows])

    def measure(block: slice) -> npt.NDArray[np.float64]:
        given = values[of_row[block]].astype(np.float64)
        at = np.arange(len(given))
        squares = (given**2).sum(axis=1)[:, None] - 2 * given @ centres.T + (centres**2).sum(axis=1)
        distance = np.sqrt(np.maximum(squares, 0))
        near = distance[at, own[block]]
        distance[at, own[block]] = np.inf
        second = distance.argmin(axis=1)
        far = distance[at, second]
        larger = np.maximum(near, far)
        margin = np.divide(far - near, larger, out=np.zeros_like(far), where=larger > 0)
        return np.stack([second, margin])

    second, margin = np.concatenate(in_blocks(measure, len(rows)), axis=1)
    table = pl.DataFrame(
        {
            "id": names[rows],
            "cluster": label[rows],
            "second": found[second.astype(np.int64)].astype(np.int32),
            # Rounded, so that ids decide between equal vectors.
            "margin": margin.round(6),
        }
    )
    return table.sort("margin", "id", "cluster").head(top)


def _centres(points: Points, values: Floats, label: Ints) -> tuple[Ints, npt.NDArray[np.float64]]:
    """Give the clusters that have usable rows, and the mean of the rows of each."""
    of_row = label[points.rows]
    inside = of_row >= 0
    found, member = np.unique(of_row[inside], return_inverse=True)
    sizes = np.bincount(member)
    sums = np.zeros((len(found), values.shape[1]))
    of_point = points.point_of_row[inside]
    for cluster in range(len(found)):
        there = of_point[member == cluster]
        sums[cluster] = values[there].sum(axis=0, dtype=np.float64)
    return found, sums / sizes[:, None]
