"""Which tags are on the same cards, and how far beyond chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from ..schema import CardlabError, at_least, collect, count, to_lazy_polars
from .counts import ranked

#: Pairs that one call counts or returns at most: beyond, memory is measured in tens of GiB.
MAX_PAIRS_COUNTED = 500_000_000
MAX_PAIRS_RETURNED = 20_000_000
_CHUNK = 4_000_000


def cooccurrence(
    cards: Any,
    *,
    column: str = "tags",
    kinds: Sequence[str] | None = None,
    top: int | None = 200,
    min_cards: int = 5,
) -> pl.DataFrame:
    """Say which tags are on the same cards, and how far beyond chance.

    Parameters
    ----------
    cards : frame
        With `column`, a list of strings. A value counts once a card.
    column : str
        As in :func:`tag_counts`.
    kinds : sequence of str, optional
        Only tags of these kinds; see :func:`tag_kind`.
    top : int or None
        Only the most frequent tags (ties by name); None takes all.
    min_cards : int
        Only pairs on at least so many cards.

    Returns
    -------
    pl.DataFrame
        One row a pair with ``tag_a < tag_b``; with N = all cards and n = cards with:

        - ``n_cards`` (both), ``n_a``, ``n_b``;
        - ``support`` n_ab/N, ``confidence_ab`` n_ab/n_a, ``confidence_ba`` n_ab/n_b (0-1);
        - ``lift`` n_ab N/(n_a n_b) (0-inf, 1 by chance), ``leverage`` n_ab/N - n_a n_b/N^2;
        - ``jaccard`` n_ab/(n_a + n_b - n_ab) (0-1);
        - ``npmi`` ln(lift)/-ln(support) (-1 to 1, 0 by chance; 1 where both are on all cards;
          Bouma 2009);
        - ``p_value`` of the G-test of independence, 1 degree of freedom; ``q_value`` after
          Benjamini and Hochberg 1995 over all pairs of the tags considered, those never seen
          together counted as p = 1.

        Highest NPMI first, then most cards, then names.

    Raises
    ------
    MissingColumn
        The cards have no such column.
    CardlabError
        The pairs would not fit in memory; the message says which argument to set.

    Notes
    -----
    A card with n tags has n(n-1)/2 pairs. They are counted in chunks, so a card with 4,000 tags
    costs time, never more memory than its pairs; with `top` set it has at most `top` tags.
    """
    at_least(min_cards, 1, name="min_cards")
    tags = ranked(cards, column, kinds).filter(pl.col("n_cards") >= min_cards)
    if top is not None:
        at_least(top, 2, name="top")
        tags = tags.head(top)
    tags = tags.sort("tag")  # codes in the order of names, so that a < b in both
    total = count(cards)
    card, code = _codes(cards, column, tags["tag"])
    key, n_both = _count_pairs(card, code, tags.height, len(card))
    enough = n_both >= min_cards
    key, n_both = key[enough], n_both[enough]
    if len(key) > MAX_PAIRS_RETURNED:
        raise CardlabError(
            f"{len(key):,} pairs of {tags.height:,} tags are on at least {min_cards:,} cards; at "
            f"most {MAX_PAIRS_RETURNED:,} are returned. Set top= (now {top}) to consider fewer "
            f"tags, or min_cards= (now {min_cards}) to a higher number."
        )
    return _measures(key, n_both, tags, total)


def _codes(cards: Any, column: str, names: pl.Series) -> tuple[Any, Any]:
    """Give card numbers and tag codes (places in `names`), sorted by card, then code."""
    codes = pl.LazyFrame({"tag": names, "code": np.arange(len(names), dtype=np.int32)})
    rows = collect(
        to_lazy_polars(cards)
        .select(pl.col(column).alias("tag"))
        .with_row_index("card")
        .explode("tag")
        .join(codes, on="tag")
        .select("card", "code")
        .unique()
        .sort("card", "code")
    )
    return rows["card"].to_numpy(), rows["code"].to_numpy()


def _count_pairs(card: Any, code: Any, n_tags: int, n_rows: int) -> tuple[Any, Any]:
    """Count the pairs of codes on the same card: keys ``a * n_tags + b`` and numbers of cards.

    Cards with the same number of tags form one matrix, whose pairs of columns are counted in
    chunks of bounded size; see the figures of "pairs by list length" in the benchmarks.
    """
    starts = np.flatnonzero(np.diff(card, prepend=-1)) if n_rows else np.empty(0, np.int64)
    lengths = np.diff(np.append(starts, n_rows))
    n_pairs = int((lengths.astype(np.int64) * (lengths - 1) // 2).sum())
    if n_pairs > MAX_PAIRS_COUNTED:
        raise CardlabError(
            f"the cards have {n_pairs:,} pairs of {n_tags:,} tags, the longest card "
            f"{int(lengths.max()):,} tags; at most {MAX_PAIRS_COUNTED:,} pairs are counted. Set "
            "top= to consider fewer tags, or min_cards= to leave out rare ones."
        )
    dense = n_tags * n_tags <= 4 * _CHUNK
    counts = np.zeros(n_tags * n_tags if dense else 0, dtype=np.int64)
    sparse: list[tuple[Any, Any]] = []
    for length in np.unique(lengths[lengths > 1]):
        first, second = np.triu_indices(int(length), 1)
        begin = starts[lengths == length]
        step = max(1, _CHUNK // len(first))
        for at in range(0, len(begin), step):
            matrix = code[begin[at : at + step, None] + np.arange(length)].astype(np.int64)
            keys = (matrix[:, first] * n_tags + matrix[:, second]).ravel()
            if dense:
                counts += np.bincount(keys, minlength=counts.size)
            else:
                sparse.append(np.unique(keys, return_counts=True))
                sparse = _merge(sparse, at_most=2 * _CHUNK)
    if dense:
        key = np.flatnonzero(counts)
        return key, counts[key]
    merged = _merge(sparse, at_most=0)
    return merged[0] if merged else (np.empty(0, np.int64), np.empty(0, np.int64))


def _merge(parts: list[tuple[Any, Any]], *, at_most: int) -> list[tuple[Any, Any]]:
    """Add up partial counts once they hold more than `at_most` keys beyond the first part."""
    if len(parts) < 2 or sum(len(key) for key, _ in parts[1:]) <= at_most:
        return parts
    keys, place = np.unique(np.concatenate([key for key, _ in parts]), return_inverse=True)
    n = np.concatenate([n for _, n in parts])
    return [(keys, np.bincount(place, weights=n, minlength=len(keys)).astype(np.int64))]


def _measures(key: Any, n_both: Any, tags: pl.DataFrame, total: int) -> pl.DataFrame:
    from scipy.special import chdtrc

    a, b = np.divmod(key, max(tags.height, 1))
    n = tags["n_cards"].to_numpy().astype(np.float64)
    n_a, n_b, n_ab = n[a], n[b], n_both.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        support = n_ab / total
        lift = n_ab * total / (n_a * n_b)
        # ln(1) / -ln(1) where a pair is on every card: bound together as far as can be
        npmi = np.where(n_ab == total, 1.0, np.log(lift) / -np.log(support))
    p_value = chdtrc(1, _g_statistic(n_ab, n_a, n_b, total))
    n_tests = tags.height * (tags.height - 1) // 2
    data = {
        "tag_a": tags["tag"].gather(a),
        "tag_b": tags["tag"].gather(b),
        "n_cards": n_both,
        "n_a": n_a.astype(np.int64),
        "n_b": n_b.astype(np.int64),
        "support": support,
        "confidence_ab": n_ab / n_a,
        "confidence_ba": n_ab / n_b,
        "lift": lift,
        "leverage": support - (n_a / total) * (n_b / total),
        "jaccard": n_ab / (n_a + n_b - n_ab),
        "npmi": np.clip(npmi, -1.0, 1.0),
        "p_value": p_value,
        "q_value": _benjamini_hochberg(p_value, n_tests),
    }
    return pl.DataFrame(data).sort(
        ["npmi", "n_cards", "tag_a", "tag_b"], descending=[True, True, False, False]
    )


def _g_statistic(n_ab: Any, n_a: Any, n_b: Any, total: int) -> Any:
    """Give 2 sum(O ln(O/E)) over the four cells of a pair (Sokal and Rohlf 1995, 17.4)."""
    from scipy.special import xlogy

    cells = (n_ab, n_a - n_ab, n_b - n_ab, total - n_a - n_b + n_ab)
    margins = (n_a, total - n_a, n_b, total - n_b)
    inside = sum(xlogy(cell, cell) for cell in cells) - sum(xlogy(m, m) for m in margins)
    return np.maximum(2 * (inside + xlogy(total, total)), 0.0)


def _benjamini_hochberg(p_value: Any, n_tests: int) -> Any:
    order = np.argsort(p_value, kind="stable")
    scaled = p_value[order] * n_tests / np.arange(1, len(order) + 1)
    q_value = np.empty_like(p_value)
    q_value[order] = np.minimum.accumulate(scaled[::-1])[::-1].clip(max=1.0)
    return q_value
