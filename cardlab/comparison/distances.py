"""``compare``: how far apart two corpora are, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from ..schema import NoFigure, at_least
from ..shares import Draws, Side
from .sides import has, read_pairs

#: What is compared unless the caller says otherwise, those that both corpora have.
TOPICS = (
    "tags",
    "license_spdx",
    "license_class",
    "language_codes",
    "pipeline_tag",
    "library_name",
    "n_words",
)

_SCHEMA = {
    "column": pl.String, "distance": pl.Float64, "distance_low": pl.Float64,
    "distance_high": pl.Float64, "divergence": pl.Float64, "null_mean": pl.Float64,
    "null_high": pl.Float64, "p_value": pl.Float64, "n_values": pl.Int64, "n_cards_a": pl.Int64,
    "n_declared_a": pl.Int64, "n_cards_b": pl.Int64, "n_declared_b": pl.Int64, "n_shared": pl.Int64,
}  # fmt: skip

#: Numbers that are held at once while cards are drawn.
_AT_ONCE = 4_000_000


def compare(
    a: Any,
    b: Any,
    *,
    columns: Sequence[str] | None = None,
    leave_out_shared: bool = False,
    n_boot: int = 200,
    random_state: int = 0,
) -> pl.DataFrame:
    """Say how far apart two corpora are: their tags, licences, languages, tasks and lengths.

    Parameters
    ----------
    a, b : frame
        The corpora: one's own and the Hub, or the newer and the older state of one. Of a lazy
        polars frame only the compared columns are read; another engine hands over these.
    columns : sequence of str, optional
        Columns of strings, of lists of strings, or of numbers. ``license_spdx``,
        ``license_class``, ``language_codes`` and the lengths (``n_words``, ``n_chars`` ...) are
        made from ``license``, ``languages`` and ``text`` where they are not there. Default: those
        of :data:`TOPICS` that both corpora have.
    leave_out_shared : bool
        Leave the cards of `b` out whose ``id`` is in `a` too: one's own organisation is a part
        of the Hub.
    n_boot : int, default 200
        Bootstrap samples of the intervals, and random halves for the level of chance; at least 1.
    random_state : int, default 0
        Seed of both.

    Returns
    -------
    pl.DataFrame
        One row a column, the most distant first, then by name:

        - ``column``;
        - ``distance``: the Jensen-Shannon distance of its values, 0 (equal shares) to 1 (no value
          in common), with ``distance_low`` and ``distance_high``, a 95 % interval;
          ``divergence`` is its square, in bits. Null where a corpus declares no value;
        - ``null_mean``, ``null_high``: mean and 95th percentile of the distance between two
          random parts, as large as `a` and `b`, of both corpora together: what chance gives;
        - ``p_value``: share of such parts that are as far apart, counting the true one
          (Monte Carlo, at least ``1 / (n_boot + 1)``). These three are null where no random part
          has values on both sides;
        - ``n_values`` (different ones), ``n_cards_a``, ``n_declared_a`` (cards with a value),
          ``n_cards_b``, ``n_declared_b``, and ``n_shared``: cards of `b` whose ``id`` is in `a`
          (left out of ``n_cards_b`` with `leave_out_shared`).

    Raises
    ------
    MissingColumn, NoFigure
        A corpus lacks a column that was asked for (the message says which), or has no cards; or
        the two have none of :data:`TOPICS` in common.
    CardlabError
        A column cannot be compared, or an argument is not what it must be.

    Notes
    -----
    J. Lin, "Divergence measures based on the Shannon entropy", IEEE Transactions on Information
    Theory 37 (1991), 145-151; its square root is a metric: D. M. Endres and J. E. Schindelin, "A
    new metric for probability distributions", the same 49 (2003), 1858-1860. Each card that has a
    value weighs the same: one with several is shared equally among them, so that a card of 4,000
    languages does not outweigh all others. Cards without a value have no part in the distance.
    Numbers are compared by bins that widen (0, 1, 2-4, 5-9, 10-19 ...).

    Two samples of one population are never at distance 0, and the fewer cards and the more values,
    the farther: read a distance against ``null_high``, and never compare distances of corpora of
    different size as such. The interval resamples whole cards, and lays the spread of the
    resamples around the distance, since resampling, too, only adds to it.

    Interval and level of chance take the cards as drawn independently. For two states of one
    corpus, whose cards are mostly the same, both are too wide.
    """
    at_least(n_boot, 1, name="n_boot")
    at_least(random_state, 0, name="random_state")
    chosen = _chosen(a, b, columns)
    pairs, n_shared = read_pairs(a, b, chosen, leave_out_shared=leave_out_shared)
    rows = []
    for column, pair in pairs.items():
        # each column has a seed of its own: its figures do not depend on the others
        seed = np.random.SeedSequence([random_state, *column.encode()])
        n_values = int(np.count_nonzero(pair.a.counts + pair.b.counts))
        rows.append(
            {
                "column": column,
                **_distance(pair.a, pair.b, n_boot, np.random.default_rng(seed)),
                "n_values": n_values,
                "n_cards_a": pair.a.n_cards,
                "n_declared_a": pair.a.n_declared,
                "n_cards_b": pair.b.n_cards,
                "n_declared_b": pair.b.n_declared,
                "n_shared": n_shared,
            }
        )
    found = pl.DataFrame(rows, schema=_SCHEMA)
    return found.sort("distance", "column", descending=[True, False], nulls_last=True)


def contributions(a: Any, b: Any) -> Any:
    """Give each value's part of the divergence of two tables of weights, in bits.

    The last axis is that of the values; every row needs a count above 0.
    """
    p = a / a.sum(axis=-1, keepdims=True)
    q = b / b.sum(axis=-1, keepdims=True)
    middle = (p + q) / 2
    parts = np.zeros(np.broadcast(p, q).shape)
    for side in (p, q):
        ratio = np.divide(side, middle, out=np.ones_like(parts), where=side > 0)
        parts += side * np.log2(ratio) / 2
    return np.maximum(parts, 0)  # rounding may put it an ulp below 0


def _chosen(a: Any, b: Any, columns: Sequence[str] | None) -> list[str]:
    if columns is not None:
        return list(dict.fromkeys([columns] if isinstance(columns, str) else columns))
    found = [name for name in TOPICS if has(a, "a", name) and has(b, "b", name)]
    if not found:
        raise NoFigure(
            f"the two corpora have none of {', '.join(TOPICS)} in common, nor what these follow "
            "from (license, languages, text). Name columns of your own with columns=[...]."
        )
    return found


def _distance(a: Side, b: Side, n_boot: int, generator: np.random.Generator) -> dict[str, Any]:
    """Measure the distance of two sides, its interval, and what chance gives."""
    if not a.n_declared or not b.n_declared:
        return {}
    divergence = float(min(contributions(a.weights, b.weights).sum(), 1))
    distance = divergence**0.5
    both = Side(
        a.n_cards + b.n_cards,
        a.single + b.single,
        np.append(a.code, b.code),
        np.append(a.lengths, b.lengths),
    )
    draws = [Draws(side, generator) for side in (a, b, both)]
    whole = both.weights
    drawn, chance = [], []
    for size in _sizes(n_boot, both):
        drawn.append(_roots(draws[0].resamples(size), draws[1].resamples(size)))
        first = draws[2].parts(a.n_cards, size)
        # rounding may leave of a value that is wholly in the first part an ulp below 0
        chance.append(_roots(first, np.maximum(whole - first, 0)))
    drawn, chance = (values[~np.isnan(values)] for values in map(np.concatenate, (drawn, chance)))
    found: dict[str, Any] = {"distance": distance, "divergence": divergence}
    if len(drawn):
        # resampling moves the sides apart: only its spread is taken over
        low, high = distance + np.quantile(drawn, [0.025, 0.975]) - drawn.mean()
        found |= {
            "distance_low": float(np.clip(low, 0, distance)),
            "distance_high": float(np.clip(high, distance, 1)),
        }
    if len(chance):
        found |= {
            "null_mean": float(chance.mean()),
            "null_high": float(np.quantile(chance, 0.95)),
            "p_value": (1 + int((chance >= distance - 1e-12).sum())) / (1 + len(chance)),
        }
    return found


def _sizes(n_boot: int, both: Side) -> list[int]:
    """Part the draws into as many at a time as memory is given for."""
    size = max(1, _AT_ONCE // (len(both.single) + len(both.lengths) + 1))
    return [min(size, n_boot - begin) for begin in range(0, n_boot, size)]


def _roots(a: Any, b: Any) -> Any:
    """Give the distance of each row of two tables; NaN where a draw has no value at all."""
    there = (a.sum(axis=-1) > 0) & (b.sum(axis=-1) > 0)
    found = np.full(len(a), np.nan)
    found[there] = np.sqrt(contributions(a[there], b[there]).sum(axis=-1))
    return found
