"""``compare``: how far apart two corpora are, column by column."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ..frames import Coded, encode, lists_of, narrow
from ..languages import with_languages
from ..licenses.counts import with_licenses
from ..schema import CardlabError, NoFigure, at_least, column_names, require
from ..shares.counting import Draws, wilson
from ..text.lengths import MEASURES, with_text_lengths

# ---- A column of two corpora, read as the same values on both sides.

#: Columns that follow from another one, and what makes them.
DERIVED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "license_spdx": ("license", with_licenses),
    "license_class": ("license", with_licenses),
    "language_codes": ("languages", with_languages),
    **dict.fromkeys(MEASURES, ("text", with_text_lengths)),
}

_WHICH = {"a": "the first corpus (a)", "b": "the second corpus (b)"}
_ID, _IN_A = "__id", "__in_a"
# bins of numbers, which widen: 0, 1, 2, 5, 10, 20, 50 ...
_EDGES = np.array([0, *(step * 10.0**power for power in range(12) for step in (1, 2, 5))])


@contextmanager
def naming(side: str) -> Iterator[None]:
    """Let an error say which of the two corpora it is about."""
    try:
        yield
    except CardlabError as error:
        raise type(error)(f"{_WHICH[side]}: {error}") from None


def columns_of(cards: Any, side: str) -> list[str]:
    """Give the columns of a corpus; an error says which of the two it is."""
    with naming(side):
        return column_names(cards)


def require_of(cards: Any, side: str, *names: str) -> None:
    """Check that a corpus has some columns; the error says which of the two lacks them."""
    with naming(side):
        require(cards, *names)


class Pair(NamedTuple):
    """A column of both corpora, under the same codes; `ordered` if they are bins of numbers."""

    a: Coded
    b: Coded
    ordered: bool

    def sizes(self) -> dict[str, int]:
        """Give the cards of both sides, and those with a value."""
        return {
            "n_cards_a": self.a.n_cards,
            "n_declared_a": self.a.n_declared,
            "n_cards_b": self.b.n_cards,
            "n_declared_b": self.b.n_declared,
        }


def read_pairs(
    a: Any, b: Any, columns: Sequence[str], *, leave_out_shared: bool = False
) -> tuple[dict[str, Pair], int]:
    """Read columns of two corpora, each corpus once, and count the cards of b whose id a has too.

    An error names the side that lacks a column, has no cards, or a column that holds neither
    strings, lists of strings nor numbers.
    """
    sides = [_query(cards, side, columns) for side, cards in (("a", a), ("b", b))]
    types = [frame.collect_schema() for frame in sides]
    numbers = {name: [kind[name] for kind in types] for name in columns if _numeric(name, *types)}
    listed = [name for name in columns if name not in numbers]
    # one frame of both, so that a code means the same on both sides
    both = pl.concat(
        frame.select(
            *(lists_of(name, kind[name]) for name in listed),
            *(pl.col(name).cast(pl.Float64).fill_nan(None) for name in numbers),
            (pl.col("id").cast(pl.String) if "id" in kind else pl.lit(None, pl.String)).alias(_ID),
            pl.lit(in_a).alias(_IN_A),
        )
        for frame, kind, in_a in zip(sides, types, (True, False), strict=True)
    )
    read, rows = encode(both, listed, pl.col(*numbers, _ID, _IN_A))
    in_a = rows[_IN_A].to_numpy()
    for side, there in (("a", in_a), ("b", ~in_a)):
        if not there.any():
            raise NoFigure(f"{_WHICH[side]} has no cards, so there is nothing to compare.")
    ids = rows[_ID].filter(in_a).drop_nulls()
    shared = rows[_ID].is_in(ids.implode()).fill_null(False).to_numpy() & ~in_a
    kept = ~in_a
    if leave_out_shared:
        require_of(a, "a", "id")
        require_of(b, "b", "id")
        kept &= ~shared
    if not kept.any():
        raise NoFigure(
            f"{_WHICH['b']} has no cards but those that {_WHICH['a']} has too, and these were "
            "left out (leave_out_shared=True)."
        )
    coded = dict(zip(listed, read, strict=True))
    coded |= {name: _bins(rows[name], kinds) for name, kinds in numbers.items()}
    pairs = {
        name: Pair(coded[name].of_cards(in_a), coded[name].of_cards(kept), name in numbers)
        for name in columns
    }
    return pairs, int(shared.sum())


def asked(columns: str | Sequence[str]) -> list[str]:
    """Give the columns that are asked for, each once."""
    return list(dict.fromkeys([columns] if isinstance(columns, str) else columns))


def _query(cards: Any, side: str, columns: Sequence[str]) -> pl.LazyFrame:
    """Give the columns lazily, made from others where need be, with the ids if there are any."""
    have = columns_of(cards, side)
    base = [DERIVED[c][0] if c not in have and c in DERIVED else c for c in columns]
    require_of(cards, side, *base)
    ids = ["id"] if "id" in have else []
    frame = narrow(cards, list(dict.fromkeys([*base, *ids])))
    makers = [DERIVED[c][1] for c, b in zip(columns, base, strict=True) if b != c]
    for make in dict.fromkeys(makers):
        frame = make(frame)
    return frame.select(list(dict.fromkeys([*columns, *ids])))


def _numeric(column: str, *types: Any) -> bool:
    """Say whether a column holds numbers, and refuse what cannot be compared."""
    if all(kind[column].is_numeric() for kind in types):
        return True
    for side, kind in zip("ab", types, strict=True):
        dtype = kind[column]
        inner = dtype.inner if isinstance(dtype, pl.List) else dtype
        odd = inner.is_nested() or inner.is_temporal() or inner == pl.Object
        if odd or dtype.is_numeric():
            raise CardlabError(
                f"column {column!r} of {_WHICH[side]} is {dtype}: to be compared, it must hold "
                "strings or lists of strings in both corpora, or numbers in both."
            )
    return False


def _bins(values: pl.Series, kinds: list[pl.DataType]) -> Coded:
    """Put numbers into bins that widen; those below 0 are one bin of their own."""
    whole = all(kind.is_integer() for kind in kinds)
    ends = [*_EDGES[1:], None]
    names = [_bin_name(low, high, whole) for low, high in zip(_EDGES, ends, strict=True)]
    place = np.searchsorted(_EDGES, values.drop_nulls().to_numpy(), side="right")
    lengths = values.is_not_null().to_numpy().astype(np.int64)
    return Coded(pl.Series(["below 0", *names]), place, lengths)


def _bin_name(low: float, high: float | None, whole: bool) -> str:
    if high is None:
        return f"{low:,.0f} and more"
    if whole:
        return f"{low:,.0f}" if high - low == 1 else f"{low:,.0f} to {high - 1:,.0f}"
    return f"{low:,.0f} to below {high:,.0f}"


# ---- ``compare``: how far apart two corpora are, column by column.

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
        n_values = int(np.count_nonzero(pair.a.counts() + pair.b.counts()))
        rows.append(
            {
                "column": column,
                **_distance(pair.a, pair.b, n_boot, np.random.default_rng(seed)),
                "n_values": n_values,
                **pair.sizes(),
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
        return asked(columns)
    have = [columns_of(cards, side) for side, cards in (("a", a), ("b", b))]
    found = [
        name
        for name in TOPICS
        if all(name in own or DERIVED.get(name, (None,))[0] in own for own in have)
    ]
    if not found:
        raise NoFigure(
            f"the two corpora have none of {', '.join(TOPICS)} in common, nor what these follow "
            "from (license, languages, text). Name columns of your own with columns=[...]."
        )
    return found


def _distance(a: Coded, b: Coded, n_boot: int, generator: np.random.Generator) -> dict[str, Any]:
    """Measure the distance of two sides, its interval, and what chance gives."""
    if not a.n_declared or not b.n_declared:
        return {}
    divergence = float(min(contributions(a.weights(), b.weights()).sum(), 1))
    distance = divergence**0.5
    both = Coded(a.names, np.append(a.code, b.code), np.append(a.lengths, b.lengths))
    draws = [Draws(side, generator) for side in (a, b, both)]
    whole = both.weights()
    drawn, chance = [], []
    at_once = max(1, _AT_ONCE // draws[2].n_numbers)
    for begin in range(0, n_boot, at_once):
        size = min(at_once, n_boot - begin)
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


def _roots(a: Any, b: Any) -> Any:
    """Give the distance of each row of two tables; NaN where a draw has no value at all."""
    there = (a.sum(axis=-1) > 0) & (b.sum(axis=-1) > 0)
    found = np.full(len(a), np.nan)
    found[there] = np.sqrt(contributions(a[there], b[there]).sum(axis=-1))
    return found


# ---- ``compare_values``: which values set two corpora apart.

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
    side_a, side_b, ordered = pair = pairs[column]
    part = np.full(len(side_a.names), np.nan)
    if side_a.n_declared and side_b.n_declared:
        part = contributions(side_a.weights(), side_b.weights())
        part = part / part.sum() if part.sum() else part
    figures: dict[str, Any] = {"contribution_share": np.append(part, np.nan)}
    for name, side in (("a", side_a), ("b", side_b)):
        # the last row is that of the cards without a value
        figures[f"n_{name}"] = np.append(side.counts(), side.n_cards - side.n_declared)
        weights = side.weights() / max(side.n_declared, 1)
        figures[f"share_weighted_{name}"] = np.append(weights, np.nan)
    names = pl.concat([side_a.names, pl.Series([None], dtype=pl.String)])
    rows = pl.DataFrame({"value": names, **figures}).with_columns(pl.col(pl.Float64).fill_nan(None))
    rows = rows.filter((pl.col("n_a") + pl.col("n_b") > 0) | pl.col("value").is_null())
    order = [-pl.col("share_difference").abs(), pl.col("value")]
    sizes = {**pair.sizes(), "n_shared": n_shared}
    return (
        rows.with_columns(_differences(rows, side_a.n_cards, side_b.n_cards))
        .with_columns(pl.lit(n, pl.Int64).alias(name) for name, n in sizes.items())
        .sort(pl.col("value").is_null(), *([pl.int_range(pl.len())] if ordered else order))
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
        low_a, high_a = wilson(n_a, total_a, confidence=confidence)
        low_b, high_b = wilson(n_b, total_b, confidence=confidence)
        ends.append(found - np.hypot(share_a - low_a, high_b - share_b))
        ends.append(found + np.hypot(high_a - share_a, share_b - low_b))
    columns = {
        **{"share_a": share_a, "share_b": share_b, "share_difference": found},
        **{"share_difference_low": ends[0], "share_difference_high": ends[1]},
        "is_apart": common & ((ends[2] > 0) | (ends[3] < 0)),
    }
    return [pl.Series(name, values) for name, values in columns.items()]
