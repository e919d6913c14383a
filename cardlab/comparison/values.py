"""``compare_values``: which values set two corpora apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ..shares import wilson
from .distances import contributions
from .sides import read_pairs

_COLUMNS = (
    "value", "n_a", "share_a", "n_b", "share_b", "share_difference", "share_difference_low",
    "share_difference_high", "is_apart", "share_weighted_a", "share_weighted_b",
    "contribution_share",
    "n_cards_a", "n_declared_a", "n_cards_b", "n_declared_b", "n_shared",
)  # fmt: skip

#: Values on fewer cards of both corpora cannot be told apart.
_MIN_CARDS = 5


def compare_values(a: Any, b: Any, *, column: str, leave_out_shared: bool = False) -> pl.DataFrame:
    """Compare the share of cards that each value of a column has in two corpora.

    Parameters
    ----------
    a, b, leave_out_shared
        As in :func:`cardlab.compare`.
    column : str
        One column, as there.

    Returns
    -------
    pl.DataFrame
        One row a value that either corpus has: bins of numbers by size, all else by the difference
        of the shares, the largest first, then by name:

        - ``value`` (str; numbers as bins such as ``"100 to 199"``);
        - ``n_a``, ``share_a``, ``n_b``, ``share_b``: cards with the value, and their share (0-1)
          of all cards of the corpus, with or without a value;
        - ``share_difference``: ``share_a - share_b``, -1 to 1, with ``share_difference_low`` and
          ``share_difference_high``, a 95 % interval for this value alone;
        - ``is_apart`` (bool): whether an interval leaves 0 out that holds for all values of five
          cards or more together (each at 1 - 0.05 / values: Bonferroni);
        - ``share_weighted_a``, ``share_weighted_b``: its share (0-1) of the cards that have any
          value, a card with several being shared equally among them: what the distance is of;
        - ``contribution_share``: its part (0-1) of the Jensen-Shannon divergence of the column;
        - ``n_cards_a``, ``n_declared_a`` (cards with any value), ``n_cards_b``,
          ``n_declared_b``, ``n_shared`` as in :func:`cardlab.compare`.

        The last row has the value null: the cards without a value; it has no part in the
        divergence, so its weights and its ``contribution_share`` are null. All contributions are
        null where a corpus declares no value.

    Raises
    ------
    MissingColumn, NoFigure, CardlabError
        As in :func:`cardlab.compare`.

    Notes
    -----
    The interval is Newcombe's hybrid of two Wilson intervals: R. G. Newcombe, "Interval estimation
    for the difference between independent proportions", Statistics in Medicine 17 (1998), 873-890,
    method 10. Of a hundred values, five such intervals leave out the true difference.
    """
    pairs, n_shared = read_pairs(a, b, [column], leave_out_shared=leave_out_shared)
    names, side_a, side_b = pairs[column].names, pairs[column].a, pairs[column].b
    counts_a, counts_b = side_a.counts, side_b.counts
    part = np.full(len(names), np.nan)
    if side_a.n_declared and side_b.n_declared:
        part = contributions(side_a.weights, side_b.weights)
        part = part / part.sum() if part.sum() else part
    none_a, none_b = (side.n_cards - side.n_declared for side in (side_a, side_b))
    weights = [side.weights / max(side.n_declared, 1) for side in (side_a, side_b)]
    rows = pl.DataFrame(
        {
            "value": pl.concat([names, pl.Series([None], dtype=pl.String)]),
            "n_a": np.append(counts_a, none_a).astype(np.int64),
            "n_b": np.append(counts_b, none_b).astype(np.int64),
            "share_weighted_a": np.append(weights[0], np.nan),
            "share_weighted_b": np.append(weights[1], np.nan),
            "contribution_share": np.append(part, np.nan),
        }
    )
    rows = rows.filter((pl.col("n_a") + pl.col("n_b") > 0) | pl.col("value").is_null())
    order = [pl.col("value").is_null()]
    if pairs[column].ordered:
        order += [pl.int_range(pl.len())]
    else:
        order += [-pl.col("share_difference").abs(), pl.col("value")]
    return (
        rows.with_columns(_differences(rows, side_a.n_cards, side_b.n_cards))
        .with_columns(
            pl.col("share_weighted_a", "share_weighted_b", "contribution_share").fill_nan(None),
            pl.lit(side_a.n_cards, pl.Int64).alias("n_cards_a"),
            pl.lit(side_a.n_declared, pl.Int64).alias("n_declared_a"),
            pl.lit(side_b.n_cards, pl.Int64).alias("n_cards_b"),
            pl.lit(side_b.n_declared, pl.Int64).alias("n_declared_b"),
            pl.lit(n_shared, pl.Int64).alias("n_shared"),
        )
        .sort(order)
        .select(_COLUMNS)
    )


def _differences(rows: pl.DataFrame, total_a: int, total_b: int) -> list[pl.Series]:
    """Give the shares of both sides, their difference, its interval, and whether it is sure."""
    n_a, n_b = rows["n_a"].to_numpy(), rows["n_b"].to_numpy()
    share_a, share_b = n_a / total_a, n_b / total_b
    found = share_a - share_b
    common = n_a + n_b >= _MIN_CARDS
    ends = []
    for confidence in (0.95, 1 - 0.05 / max(int(common.sum()), 1)):
        low_a, high_a = wilson(n_a, np.full(len(n_a), total_a), confidence=confidence)
        low_b, high_b = wilson(n_b, np.full(len(n_b), total_b), confidence=confidence)
        ends.append(found - np.hypot(share_a - low_a, high_b - share_b))
        ends.append(found + np.hypot(high_a - share_a, share_b - low_b))
    return [
        pl.Series("share_a", share_a),
        pl.Series("share_b", share_b),
        pl.Series("share_difference", found),
        pl.Series("share_difference_low", ends[0]),
        pl.Series("share_difference_high", ends[1]),
        pl.Series("is_apart", common & ((ends[2] > 0) | (ends[3] < 0))),
    ]
