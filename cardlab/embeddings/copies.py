"""Pairs of cards whose vectors are nearly the same, all of them, without comparing all numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from .blocks import Floats, row_hashes
from .cosine import Directions, Rows, alphabetical, checked_ids
from .points import whole_number

#: Rows of a block: a block of cosines is 16 MB.
_ROWS = 2_048

#: Directions in which pairs are looked at first, and rows on which these are found.
_FIRST = 64
_SAMPLE = 20_000

#: Where more than this share of a block's pairs remains, the whole block is multiplied out.
_DENSE = 1e-3

_PAIRS = {"id_a": pl.String, "id_b": pl.String, "similarity": pl.Float64}


def near_duplicates(
    x: npt.ArrayLike, *, ids: Any, threshold: float = 0.98, max_pairs: int = 5_000_000
) -> pl.DataFrame:
    """Find all pairs of cards whose vectors have a cosine of at least `threshold`.

    Parameters
    ----------
    x : array-like of numbers, shape (n, d)
        The vectors of the cards; rows that are not usable are in no pair.
    ids : sequence of str, length n, or frame with ``id``
        The ids of the cards.
    threshold : float, default 0.98
        The least cosine: above 0, at most 1.
    max_pairs : int, default 5,000,000
        Pairs at most. 10,000 copies of one card alone are 50 million pairs:
        :func:`shared_vectors` gives such copies as groups.

    Returns
    -------
    pl.DataFrame
        ``id_a``, ``id_b`` (str, in alphabetical order), ``similarity`` (float, the cosine in
        float64, rounded to 12 decimals): the most similar first, ties by id. Each pair of rows
        once.

    Raises
    ------
    CardlabError
        There are more than `max_pairs` pairs, or more or fewer ids than vectors.

    Notes
    -----
    Exact at any size: the pairs of a brute-force search in float64. In a basis of the first 64
    principal directions, a cosine is at most the product in these plus the product of the two
    remainders' lengths (Cauchy-Schwarz); what this cannot exclude is multiplied out in float32,
    and what that cannot exclude in float64. Rows are ordered so that blocks are alike, and pairs
    of blocks too far apart (triangle inequality) are not compared at all. Copies are compared
    once. Memory: the vectors, 65 / d of them again, and blocks of 16 MB; time grows with the
    square of the distinct vectors, by a factor that depends on how they cluster.
    """
    if not isinstance(threshold, (int, float)) or not 0 < threshold <= 1:
        raise schema.CardlabError(f"threshold must be above 0 and at most 1, not {threshold!r}.")
    whole_number(max_pairs, 1, name="max_pairs")
    cards = Directions.of(x)
    names = checked_ids(ids, len(cards.x))
    groups = _copies(cards)
    n_pairs = sum(len(rows) * (len(rows) - 1) // 2 for rows in groups)
    _allow(n_pairs, max_pairs, threshold)
    first: list[Rows] = []
    second: list[Rows] = []
    similarity: list[npt.NDArray[np.float64]] = []
    for rows in groups:
        a, b = np.triu_indices(len(rows), 1)
        first.append(rows[a])
        second.append(rows[b])
        similarity.append(np.ones(len(a)))
    n_copies = np.ones(len(cards.x), dtype=np.int64)
    n_copies[[rows[0] for rows in groups]] = [len(rows) for rows in groups]
    copies = {int(rows[0]): rows for rows in groups}
    heads = np.setdiff1d(cards.rows, np.concatenate([np.empty(0, int), *(g[1:] for g in groups)]))
    for a, b in _close(cards, heads.astype(np.int64), threshold):
        exact = cards.exact(a, b)
        kept = exact >= threshold
        a, b, exact = a[kept], b[kept], exact[kept]
        stands_for = n_copies[a] * n_copies[b]
        n_pairs += int(stands_for.sum())
        _allow(n_pairs, max_pairs, threshold)
        alone = stands_for == 1
        first.append(a[alone])
        second.append(b[alone])
        similarity.append(exact[alone])
        for one, other, cosine in zip(a[~alone], b[~alone], exact[~alone], strict=True):
            left, right = copies.get(int(one), [one]), copies.get(int(other), [other])
            first.append(np.repeat(left, len(right)))
            second.append(np.tile(right, len(left)))
            similarity.append(np.full(len(left) * len(right), cosine))
    if not first:
        return pl.DataFrame(schema=_PAIRS)
    a, b = np.concatenate(first), np.concatenate(second)
    place = alphabetical(names)
    swap = place[a] > place[b]
    a, b = np.where(swap, b, a), np.where(swap, a, b)
    found = {"id_a": names.gather(a), "id_b": names.gather(b)}
    return pl.DataFrame({**found, "similarity": np.concatenate(similarity)}).sort(
        "similarity", "id_a", "id_b", descending=[True, False, False], nulls_last=True
    )


def _allow(n_pairs: int, max_pairs: int, threshold: float) -> None:
    if n_pairs > max_pairs:
        raise schema.CardlabError(
            f"more than {max_pairs:,} pairs have a cosine of at least {threshold}. Raise threshold "
            "or max_pairs; cardlab.shared_vectors(cards) gives exact copies as groups."
        )


def _copies(cards: Directions) -> list[Rows]:
    """Give the rows of each vector that occurs more than once."""
    if not len(cards.rows):
        return []
    hashes = row_hashes(cards.x)[cards.rows]
    order = np.argsort(hashes, kind="stable")
    starts = np.flatnonzero(np.diff(hashes[order], prepend=~hashes[order[:1]]) != 0)
    return [cards.rows[group] for group in np.split(order, starts[1:]) if len(group) > 1]


def _close(cards: Directions, rows: Rows, threshold: float) -> Iterator[tuple[Rows, Rows]]:
    """Give pairs of rows, among them all whose cosine is at least `threshold`."""
    if len(rows) < 2:
        return
    head, rows = _ordered(cards, rows)
    slack = 8 * cards.error
    blocks = [slice(start, start + _ROWS) for start in range(0, len(rows), _ROWS)]
    centre, radius = _balls(head, blocks)
    # The distance of two unit vectors with that cosine; in the first directions it is no larger.
    reach = np.sqrt(2 * (1 - min(threshold - slack, 1)))
    for i, one in enumerate(blocks):
        gap = np.sqrt(((centre[i:] - centre[i]) ** 2).sum(axis=1)) - radius[i:] - radius[i]
        unit = None
        for j in i + np.flatnonzero(gap <= reach + slack):
            other = blocks[j]
            open_ = head[one] @ head[other].T >= threshold - slack
            dense = np.count_nonzero(open_) > _DENSE * open_.size
            if dense and cards.x.shape[1] > head.shape[1]:
                unit = cards.unit(rows[one]) if unit is None else unit
                others = unit if j == i else cards.unit(rows[other])
                open_ = unit @ others.T >= threshold - slack
            a, b = np.nonzero(open_)
            if j == i:
                a, b = a[a < b], b[a < b]
            for start in range(0, len(a), 2**20):
                part = slice(start, start + 2**20)
                yield rows[one][a[part]], rows[other][b[part]]


def _ordered(cards: Directions, rows: Rows) -> tuple[Floats, Rows]:
    """Give the rows in an order in which near ones are near, and their first coordinates.

    The last coordinate is the length of what the others leave out, so that the product of two
    such rows is never less than their cosine.
    """
    d = cards.x.shape[1]
    if d <= _FIRST + 1:
        head = cards.unit(rows)
    else:
        chosen = rows
        if len(rows) > _SAMPLE:
            chosen = rows[np.random.default_rng(0).choice(len(rows), _SAMPLE, replace=False)]
        sample = cards.unit(chosen)
        basis = np.linalg.eigh((sample.T @ sample).astype(np.float64))[1][:, -_FIRST:]
        basis = np.ascontiguousarray(basis, dtype=np.float32)
        head = np.empty((len(rows), _FIRST + 1), dtype=np.float32)
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            first = cards.unit(rows[part]) @ basis
            head[part, :-1] = first
            left = 1 - np.einsum("ij,ij->i", first, first, dtype=np.float64)
            # Rounding may make the rest too small, and the bound with it: never.
            head[part, -1] = np.sqrt(np.maximum(left, 0) + 4 * cards.error)
    order = _halved(head)
    return head[order], rows[order]


def _halved(head: Floats) -> npt.NDArray[np.int64]:
    """Order points by halving them, again and again, along the coordinate that varies most."""
    done: list[npt.NDArray[np.int64]] = []
    waiting = [np.arange(len(head))]
    while waiting:
        points = waiting.pop()
        if len(points) <= _ROWS:
            done.append(points)
            continue
        values = head[points]
        axis = values.var(axis=0).argmax()
        # Whole blocks on the left, so that blocks do not straddle two halves.
        middle = -(-len(points) // (2 * _ROWS)) * _ROWS
        split = np.argsort(values[:, axis], kind="stable")
        waiting += [points[split[middle:]], points[split[:middle]]]
    return np.concatenate(done)


def _balls(head: Floats, blocks: list[slice]) -> tuple[Floats, Floats]:
    """Give a centre of each block and how far the farthest of its rows is from it."""
    centre = np.stack([head[block].mean(axis=0) for block in blocks])
    radius = [
        np.sqrt(((head[block] - centre[i]) ** 2).sum(axis=1).max())
        for i, block in enumerate(blocks)
    ]
    return centre, np.array(radius, dtype=np.float32)
