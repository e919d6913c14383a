"""``compare``: how far apart two corpora are, column by column."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ..frames import Coded, encode, lists_of, narrow
from ..languages import with_languages
from ..licenses.counts import with_licenses
from ..schema import CardlabError, NoFigure, at_least, column_names, require
from ..shares.authors import (
    DESIGN,
    author_codes,
    author_column,
    author_columns,
    designs,
    difference,
    interval,
)
from ..shares.counting import Draws, numbered
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
_ID, _IN_A, _AUTHOR = "__id", "__in_a", "__author"
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
    """A column of both corpora under the same codes, and the authors of the cards of each.

    `numbers` are theirs by :func:`numbered`. `ordered` if the values are bins of numbers. A null is
    an author of one card.
    """

    a: Coded
    b: Coded
    authors: tuple[pl.Series, pl.Series]
    numbers: list[Any]
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
    a: Any, b: Any, columns: Sequence[str], *, cluster: str | None, leave_out_shared: bool = False
) -> tuple[dict[str, Pair], int]:
    """Read columns of two corpora, each corpus once, and count the cards of b whose id a has too.

    An error names the side that lacks a column, has no cards, or a column that holds neither
    strings, lists of strings nor numbers.
    """
    authors = _authors(a, b, cluster)
    sides = [_query(cards, side, columns, authors) for side, cards in (("a", a), ("b", b))]
    types = [frame.collect_schema() for frame in sides]
    numbers = {name: [kind[name] for kind in types] for name in columns if _numeric(name, *types)}
    listed = [name for name in columns if name not in numbers]
    single = {name for name in listed if not any(isinstance(kind[name], pl.List) for kind in types)}
    # one frame of both, so that a code means the same on both sides
    both = pl.concat(
        frame.select(
            *(
                pl.col(name).cast(pl.String) if name in single else lists_of(name, kind[name])
                for name in listed
            ),
            *(pl.col(name).cast(pl.Float64).fill_nan(None) for name in numbers),
            (_id_key() if "id" in kind else pl.lit(None, pl.UInt64)).alias(_ID),
            pl.lit(in_a).alias(_IN_A),
            _AUTHOR,
        )
        for frame, kind, in_a in zip(sides, types, (True, False), strict=True)
    )
    read, rows = encode(both, listed, pl.col(*numbers, _ID, _IN_A, _AUTHOR))
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
    by = rows[_AUTHOR].filter(in_a), rows[_AUTHOR].filter(kept)
    own = np.split(numbered(pl.concat(by)), [len(by[0])])
    if any(n.min() == n.max() or not who.count() for who, n in zip(by, own, strict=True)):
        # of one author, whose cards are all there is to draw
        by = by[0].clear(len(by[0])), by[1].clear(len(by[1]))
        own = np.split(numbered(pl.concat(by)), [len(by[0])])
    pairs = {
        name: Pair(coded[name].of_cards(in_a), coded[name].of_cards(kept), by, own, name in numbers)
        for name in columns
    }
    return pairs, int(shared.sum())


def _id_key() -> pl.Expr:
    """Give 64 bits that stand for an id."""
    return pl.when(pl.col("id").is_not_null()).then(pl.col("id").cast(pl.String).hash(seed=0))


def asked(columns: str | Sequence[str]) -> list[str]:
    """Give the columns that are asked for, each once."""
    return list(dict.fromkeys([columns] if isinstance(columns, str) else columns))


def _authors(a: Any, b: Any, cluster: str | None) -> str | None:
    """Name the column of authors; None where a corpus has none."""
    found = []
    for side, cards in (("a", a), ("b", b)):
        with naming(side):
            found.append(author_column(cards, cluster, "sample"))
    return cluster if all(found) else None


def _query(cards: Any, side: str, columns: Sequence[str], authors: str | None) -> pl.LazyFrame:
    """Give the columns lazily, made from others where need be, with authors and any ids."""
    have = columns_of(cards, side)
    base = [DERIVED[c][0] if c not in have and c in DERIVED else c for c in columns]
    require_of(cards, side, *base)
    ids = ["id"] if "id" in have else []
    frame = narrow(cards, list(dict.fromkeys([*base, *ids, *filter(None, [authors])])))
    makers = [DERIVED[c][1] for c, b in zip(columns, base, strict=True) if b != c]
    for make in dict.fromkeys(makers):
        frame = make(frame)
    by = pl.lit(None, pl.String) if authors is None else pl.col(authors).cast(pl.String)
    return frame.select(*dict.fromkeys([*columns, *ids]), by.alias(_AUTHOR))


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
    "column": pl.String, "distance": pl.Float64, "distance_beyond_chance": pl.Float64,
    "divergence": pl.Float64, "null_mean": pl.Float64, "null_high": pl.Float64,
    "p_value": pl.Float64, "n_values": pl.Int64, "n_cards_a": pl.Int64, "n_declared_a": pl.Int64,
    "n_authors_a": pl.Int64, "n_cards_b": pl.Int64, "n_declared_b": pl.Int64,
    "n_authors_b": pl.Int64, "n_shared": pl.Int64, "name_a": pl.String, "name_b": pl.String,
}  # fmt: skip

#: Numbers that are held at once while authors are drawn.
_AT_ONCE = 4_000_000


def compare(
    a: Any,
    b: Any,
    *,
    columns: Sequence[str] | None = None,
    leave_out_shared: bool = False,
    cluster: str | None = "author",
    names: Sequence[str] = ("a", "b"),
    n_permutations: int = 200,
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
    cluster : str or None, default "author"
        Cards that belong together, which chance moves together. None, and the default where a
        corpus has no such column: each card by itself; so does a card of which it is null.
    names : sequence of two str
        What the corpora are called, for charts and tables. Two paths go by what tells them apart.
    n_permutations : int, default 200
        Random parts for the level of chance; at least 1.
    random_state : int, default 0
        Seed of these.

    Returns
    -------
    pl.DataFrame
        One row a column, the farthest beyond chance first, then by name:

        - ``column``;
        - ``distance``: the Jensen-Shannon distance of its values, 0 (equal shares) to 1 (no value
          in common); ``divergence`` is its square, in bits. Null where a corpus declares no value;
        - ``distance_beyond_chance``: root of the divergence less what chance gives on average, 0-1;
        - ``null_mean``, ``null_high``: mean and 95th percentile of the distance that chance gives,
          between random parts of both corpora together, as many authors in each;
        - ``p_value``: share of such parts that are as far apart, counting the true one
          (Monte Carlo, at least ``1 / (n_permutations + 1)``);
        - ``n_values`` (different ones), ``n_cards_a``, ``n_declared_a`` (cards with a value),
          ``n_authors_a`` (authors of these), the same of `b`, and ``n_shared``: cards of `b` whose
          ``id`` is in `a` (left out of ``n_cards_b`` with `leave_out_shared`);
        - ``name_a``, ``name_b``: `names`.

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

    Two samples of one population are never at distance 0, and the fewer authors and the more
    values, the farther: so the distance has no interval, and only ``distance_beyond_chance`` may
    be held against that of other corpora. Chance deals the authors out anew, each with all its
    cards of one corpus, as many to each part as before and only among authors of about as many
    cards (1, 2-3, 4-7 ...): corpora whose authors differ in nothing but size are not apart.
    What an author has in `a` and in `b` are two, so that for corpora which share authors, as two
    states of one do, the level of chance is rather too high. A few authors are hardly ever beyond
    chance; a corpus of a single author, which says nothing of others, is held against the other
    card by card.

    Examples
    --------
    >>> a, b = cl.make_cards(200), cl.make_cards(200, random_state=1)
    >>> apart = cl.compare(a, b, columns=["license_class"], n_permutations=50)
    >>> apart["distance", "distance_beyond_chance", "p_value"].row(0)
    (0.133..., 0.064..., 0.215...)
    """
    at_least(n_permutations, 1, name="n_permutations")
    at_least(random_state, 0, name="random_state")
    called = two_names(names)
    chosen = _chosen(a, b, columns)
    pairs, n_shared = read_pairs(a, b, chosen, cluster=cluster, leave_out_shared=leave_out_shared)

    def row(column: str) -> dict[str, Any]:
        pair = pairs[column]
        # each column has a seed of its own: its figures do not depend on the others
        seed = np.random.SeedSequence([random_state, *column.encode()])
        return {
            "column": column,
            **_distance(pair, n_permutations, np.random.default_rng(seed)),
            "n_values": int(np.count_nonzero(pair.a.counts() + pair.b.counts())),
            **pair.sizes(),
            "n_shared": n_shared,
            **dict(zip(("name_a", "name_b"), called, strict=True)),
        }

    with ThreadPoolExecutor(2) as two:  # most of it is done without Python's lock
        found = pl.DataFrame([*two.map(row, pairs)], schema=_SCHEMA)
    order = ["distance_beyond_chance", "distance", "column"]
    return found.sort(order, descending=[True, True, False], nulls_last=True)


def two_names(names: Sequence[str]) -> list[str]:
    """Give the names of two corpora; a CardlabError unless they are two different ones."""
    named = [str(name) for name in names] if not isinstance(names, str) else [names]
    if len(named) != 2 or named[0] == named[1]:
        raise CardlabError(f"names must be two different strings, not {names!r}.")
    return named


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


def _distance(pair: Pair, n_permutations: int, generator: np.random.Generator) -> dict[str, Any]:
    """Measure the distance of two sides, and what chance gives."""
    a, b = pair.a, pair.b
    if not a.n_declared or not b.n_declared:
        return {}
    divergence = float(min(contributions(a.weights(), b.weights()).sum(), 1))
    lengths = np.append(a.lengths, b.lengths)
    declared = lengths > 0
    both = Coded(a.names, np.append(a.code, b.code), lengths[declared])
    # what an author has in a and in b is dealt out apart
    unit = np.concatenate([2 * number + at for at, number in enumerate(pair.numbers)])
    size = np.bincount(unit[declared])
    own = np.flatnonzero(size)
    unit, size, in_a = (np.cumsum(size > 0) - 1)[unit[declared]], size[own], own % 2 == 0
    # dealt out among authors of 1, 2-3, 4-7 ... cards
    stratum = np.frexp(size)[1]
    dealt = [
        (at, int(in_a[at].sum()))
        for at in (np.flatnonzero(stratum == level) for level in np.unique(stratum))
    ]
    draws, whole, chance = Draws(both, unit, generator), both.weights(), np.empty(0)
    # what is drawn in one go hangs on how many there are, unless each part is drawn by itself
    at_once = max(1, (8 if draws.one_by_one else 1) * _AT_ONCE // sum(draws.table.shape))

    def apart(times: Any) -> list[float]:
        # kind by kind, since the sums of the commonest values stay in the processor's cache
        drawn = np.ascontiguousarray((draws.table.T @ times.T.astype(float, order="C")).T)
        # rounding may leave of a value that is wholly in the first part an ulp below 0
        return [_divergence(row, np.maximum(whole - row, 0)) for row in drawn]

    with ThreadPoolExecutor(2) as two:  # the column of most values takes as long as all others
        for begin in range(0, n_permutations, at_once):
            times = draws.times(dealt, min(at_once, n_permutations - begin), replace=False)
            chance = np.append(chance, [*chain(*two.map(apart, np.array_split(times, 2)))])
    found = {
        "distance": divergence**0.5,
        "distance_beyond_chance": max(divergence - float(chance.mean()), 0) ** 0.5,
        "divergence": divergence,
        "null_mean": float(np.sqrt(chance).mean()),
        "null_high": float(np.quantile(np.sqrt(chance), 0.95)),
        "p_value": (1 + int((chance >= divergence - 1e-12).sum())) / (1 + len(chance)),
    }
    for name, side, number in zip("ab", (a, b), pair.numbers, strict=True):
        found[f"n_authors_{name}"] = np.count_nonzero(np.bincount(number[side.lengths > 0]))
    return found


def _divergence(a: Any, b: Any) -> float:
    """Give the sum of :func:`contributions`, from entropies in a quarter of the time."""
    p, q = a / a.sum(), b / b.sum()
    middle = (p + q) / 2
    p_sum, q_sum, both = ((side * np.log2(side + 1e-300)).sum() for side in (p, q, middle))
    return max(float((p_sum + q_sum) / 2 - both), 0.0)


# ---- ``compare_values``: which values set two corpora apart.

_COLUMNS = (
    "value", "n_a", "share_a", "share_a_low", "share_a_high", "n_b", "share_b", "share_b_low",
    "share_b_high", "share_difference", "share_difference_low", "share_difference_high",
    "q_value", "is_apart", "n_authors", "is_reliable", "share_weighted_a", "share_weighted_b",
    "contribution_share",
    "n_cards_a", "n_declared_a", "n_cards_b", "n_declared_b", "n_shared", "name_a", "name_b",
)  # fmt: skip

#: Values of fewer authors in both corpora together cannot be told apart.
_MIN_AUTHORS = 10
#: Authors that a value of fewer counts for in its quantile of t: it is not relied on anyway.
_FEWEST = 5


def compare_values(
    a: Any,
    b: Any,
    *,
    column: str,
    leave_out_shared: bool = False,
    cluster: str | None = "author",
    names: Sequence[str] = ("a", "b"),
) -> pl.DataFrame:
    """Compare the share of cards that each value of a column has in two corpora.

    Parameters
    ----------
    a, b, leave_out_shared, cluster, names
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
          of all cards of the corpus, with or without a value; ``share_a_low`` ... the ends of 95 %
          intervals, for this value alone;
        - ``share_difference``: ``share_a - share_b``, -1 to 1, with ``share_difference_low`` and
          ``share_difference_high``, a 95 % interval for this value alone;
        - ``q_value`` (0-1): of the values that are as clearly apart, at most this share is so by
          chance; null for those of fewer than ten authors (cards, without authors), not tested;
        - ``is_apart`` (bool): ``q_value`` is at most 0.05, and the interval leaves 0 out;
        - ``n_authors``: authors with the value in either corpus; ``is_reliable`` (bool): whether
          both shares have enough authors and cards behind them, as in
          :func:`cardlab.license_counts`;
        - ``share_weighted_a``, ``share_weighted_b``: its share (0-1) of the cards that have any
          value, a card with several being shared equally among them: what the distance is of;
        - ``contribution_share``: its part (0-1) of the Jensen-Shannon divergence of the column;
        - ``n_cards_a``, ``n_declared_a`` (cards with any value), ``n_cards_b``,
          ``n_declared_b``, ``n_shared``, ``name_a``, ``name_b`` as in :func:`cardlab.compare`.

        The last row has the value null: the cards without a value; it has no part in the
        divergence, so its weights and its ``contribution_share`` are null. All contributions are
        null where a corpus declares no value.

    Raises
    ------
    MissingColumn, NoFigure, CardlabError
        As in :func:`cardlab.compare`.

    Notes
    -----
    The interval is Newcombe's hybrid of two Wilson intervals that know authors: R. G. Newcombe,
    "Interval estimation for the difference between independent proportions", Statistics in
    Medicine 17 (1998), 873-890, method 10; with the correlation of both shares over authors that
    are in both corpora, as he has it for pairs (the same, 2635-2650, method 10). The quantile is
    that of t for the effective authors of the cards with a value, of which a rare one has few, as
    far as cards of one author are alike: so the interval of a share may be wider than that of
    :func:`cardlab.license_counts`. ``q_value``
    is by Benjamini and Hochberg (1995), over scores of authors: ``sum(s) / sqrt(sum(s**2))``,
    where s is what an author's cards add to the difference beyond the share in both together.

    Examples
    --------
    >>> a, b = cl.make_cards(200), cl.make_cards(200, random_state=1)
    >>> values = cl.compare_values(a, b, column="license_class")
    >>> values["value", "share_a", "share_b", "is_apart"].row(0)
    ('permissive', 0.525, 0.47, False)
    """
    called = two_names(names)
    pairs, n_shared = read_pairs(a, b, [column], cluster=cluster, leave_out_shared=leave_out_shared)
    pair = pairs[column]
    part = np.full(len(pair.a.names), np.nan)
    if pair.a.n_declared and pair.b.n_declared:
        part = contributions(pair.a.weights(), pair.b.weights())
        part = part / part.sum() if part.sum() else part
    figures: dict[str, Any] = {"contribution_share": np.append(part, np.nan)}
    for name, side in (("a", pair.a), ("b", pair.b)):
        weights = side.weights() / max(side.n_declared, 1)
        figures[f"share_weighted_{name}"] = np.append(weights, np.nan)
    # the last row is that of the cards without a value
    values = pl.concat([pair.a.names, pl.Series([None], dtype=pl.String)])
    rows = pl.DataFrame({"value": values, **figures, **_differences(pair)})
    rows = rows.with_columns(pl.col(pl.Float64).fill_nan(None))
    rows = rows.filter((pl.col("n_a") + pl.col("n_b") > 0) | pl.col("value").is_null())
    order = [-pl.col("share_difference").abs(), pl.col("value")]
    sizes = {**pair.sizes(), "n_shared": n_shared}
    return (
        rows.with_columns(
            *(pl.lit(n, pl.Int64).alias(name) for name, n in sizes.items()),
            name_a=pl.lit(called[0]),
            name_b=pl.lit(called[1]),
        )
        .sort(pl.col("value").is_null(), *([pl.int_range(pl.len())] if pair.ordered else order))
        .select(_COLUMNS)
    )


def _differences(pair: Pair) -> dict[str, Any]:
    """Give the shares of both sides, their differences, intervals, and which are sure."""
    from scipy.special import ndtr

    tables, sizes = _by_author(pair)
    totals = np.array([pair.a.n_cards, pair.b.n_cards])
    n = np.array([table.sum(axis=0) for table in tables])
    share, whole = n / totals[:, None], n.sum(axis=0) / totals.sum()
    gap = share[0] - share[1]
    products = {at: _product(tables, sizes, *at) for at in ((0, 0), (1, 1), (0, 1))}
    # what each author adds to the difference, beyond what its number of cards would, squared
    square = products[0, 0](whole, whole) / totals[0] ** 2
    square += products[1, 1](whole, whole) / totals[1] ** 2
    square -= 2 * products[0, 1](whole, whole) / totals.prod()
    p_value = 2 * ndtr(-np.abs(gap) / np.sqrt(np.maximum(square, 1e-300)))
    n_authors = sum((np.bincount(of.indices, minlength=len(gap)) for of in tables), 0 * n[0])
    tested, q_value = n_authors >= _MIN_AUTHORS, np.full(len(gap), np.nan)
    # Benjamini and Hochberg, from the greatest p down (scipy.stats takes a second to import)
    falling = np.flatnonzero(tested)[np.argsort(-p_value[tested], kind="stable")]
    share_of = p_value[falling] * len(falling) / np.arange(len(falling), 0, -1)
    q_value[falling] = np.minimum(np.minimum.accumulate(share_of), 1)
    low_a, high_a, sure_a, effect_a = _share_ends(pair.a, pair.authors[0], tables[0], sizes[0])
    low_b, high_b, sure_b, effect_b = _share_ends(pair.b, pair.authors[1], tables[1], sizes[1])
    spread = effect_a * effect_b * (n * (1 - share)).prod(axis=0)
    alike = products[0, 1](*share) / np.sqrt(np.maximum(spread, 1e-12))
    ends = (share[0], low_a, high_a), (share[1], low_b, high_b)
    _, low, high = difference(*ends, alike)
    return {
        **{"n_a": n[0].astype(np.int64), "n_b": n[1].astype(np.int64)},
        **{"share_a": share[0], "share_a_low": low_a, "share_a_high": high_a},
        **{"share_b": share[1], "share_b_low": low_b, "share_b_high": high_b},
        "share_difference": gap,
        **{"share_difference_low": low, "share_difference_high": high, "q_value": q_value},
        "is_apart": tested & (q_value <= 0.05) & ((low > 0) | (high < 0)),
        **{"n_authors": n_authors.astype(np.int64), "is_reliable": sure_a & sure_b},
    }


def _values(side: Coded) -> tuple[Any, Any]:
    """Give the card and the code of each value, where having none is the last of the values."""
    none = np.flatnonzero(side.lengths == 0)
    card = np.append(side.of_each(np.arange(side.n_cards)), none)
    return card, np.append(side.code, np.full(len(none), len(side.names)))


def _by_author(pair: Pair) -> tuple[list[Any], list[Any]]:
    """Count each author's cards with each value, and all its cards."""
    from scipy.sparse import csr_array

    shape = (int(max(own.max() for own in pair.numbers)) + 1, len(pair.a.names) + 1)
    tables = []
    for side, own in zip((pair.a, pair.b), pair.numbers, strict=True):
        card, code = _values(side)
        tables.append(csr_array((np.ones(len(code)), (own[card], code)), shape=shape))
    return tables, [np.bincount(own, minlength=shape[0]).astype(float) for own in pair.numbers]


def _product(tables: list[Any], sizes: list[Any], at: int, to: int) -> Callable[[Any, Any], Any]:
    """Give the sum over authors of the products of what each has beyond given shares."""
    size = float(sizes[at] @ sizes[to])
    if not size:  # no author is in both
        return lambda p, q: 0 * p
    own = tables[at].multiply(tables[to]).sum(axis=0)
    first, second = sizes[to] @ tables[at], sizes[at] @ tables[to]
    return lambda p, q: own - q * first - p * second + p * q * size


def _share_ends(side: Coded, authors: pl.Series, table: Any, size: Any) -> tuple[Any, ...]:
    """Give the interval of each share of one side, if it is reliable, and its design effect."""
    (card, code), (who, names) = _values(side), author_codes(authors)
    group = np.zeros(len(side.names) + 1, dtype=np.int64)
    everyone = np.zeros(side.n_cards, dtype=np.int64), who
    design = designs((code, who[card]), everyone, group=group, names=names)[0]
    n = pl.Series(np.bincount(code, minlength=len(group)))
    known = None
    if authors.null_count() < len(authors):
        known = design.with_columns(n_all_authors=_behind(design, table, size))
    ends = pl.DataFrame(interval(n, side.n_cards, "share", "share", design=known))
    found = author_columns(ends, design, total=pl.lit(side.n_cards), share="share")
    columns = ("share_low", "share_high", "is_reliable", "design_effect")
    return tuple(found[name].to_numpy() for name in columns)


def _behind(design: pl.DataFrame, table: Any, size: Any) -> pl.Series:
    """Give for how many authors a share counts in the quantile of t.

    The effective ones of the cards with the value, or without it where these are fewer: so many
    say how much authors differ, which is what the design effect is made of. Where their cards are
    hardly alike there are more; by the root, since few authors let cards look less alike.
    """
    effect, n_authors, effective = (design[name].to_numpy() for name in DESIGN[:3])
    n, squares, total = table.sum(axis=0), table.multiply(table).sum(axis=0), size.sum()
    others = size @ size - 2 * (size @ table) + squares
    alike = np.sqrt(np.clip((effect - 1) / np.maximum(total / effective - 1, 1e-9), 0, 1))
    found = n_authors.astype(float)
    for cards, square in ((n, squares), (total - n, others)):
        each = np.maximum(square / np.maximum(cards, 1), 1)  # cards of the author of a card
        found = np.where(cards > 0, np.minimum(found, cards / (1 + (each - 1) * alike)), found)
    return pl.Series(np.clip(found, np.minimum(_FEWEST, n_authors), n_authors))
