"""A column of two corpora, read as the same values on both sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl

from ..languages import with_languages
from ..licenses import with_licenses
from ..schema import (
    STRINGS,
    CardlabError,
    MissingColumn,
    NoFigure,
    collect,
    column_names,
    lazy,
    require,
)
from ..shares import Side, side_of
from ..text import MEASURES, with_text_lengths

#: Columns that follow from another one, and what makes them.
DERIVED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "license_spdx": ("license", with_licenses),
    "license_class": ("license", with_licenses),
    "language_codes": ("languages", with_languages),
    **dict.fromkeys(MEASURES, ("text", with_text_lengths)),
}

_WHICH = {"a": "the first corpus (a)", "b": "the second corpus (b)"}
_ID = "__id"
# bins of numbers, which widen: 0, 1, 2, 5, 10, 20, 50 ...
_EDGES = np.array([0, *(step * 10.0**power for power in range(12) for step in (1, 2, 5))])


def columns_of(cards: Any, side: str) -> list[str]:
    """Give the columns of a corpus; an error says which of the two it is."""
    try:
        return column_names(cards)
    except CardlabError as error:
        raise CardlabError(f"{_WHICH[side]}: {error}") from None


def require_of(cards: Any, side: str, *names: str) -> None:
    """Check that a corpus has some columns; the error says which of the two lacks them."""
    columns_of(cards, side)
    try:
        require(cards, *names)
    except MissingColumn as error:
        raise MissingColumn(f"{_WHICH[side]}: {error}") from None


def has(cards: Any, side: str, column: str) -> bool:
    """Say whether a corpus has a column, or the one that it follows from."""
    have = columns_of(cards, side)
    return column in have or (column in DERIVED and DERIVED[column][0] in have)


def narrowed(cards: Any, columns: list[str]) -> pl.LazyFrame:
    """Give some columns as a lazy polars frame; other engines hand over just these."""
    if isinstance(cards, (pl.DataFrame, pl.LazyFrame)):
        return cards.lazy().select(columns)
    return collect(lazy(cards).select(*(nw.col(name) for name in columns))).lazy()


@dataclass(frozen=True)
class Pair:
    """A column of both corpora: the names of its values in order, and the two sides.

    `ordered` where the values are bins of numbers, by size.
    """

    names: pl.Series
    a: Side
    b: Side
    ordered: bool = False


def read_pairs(
    a: Any, b: Any, columns: Sequence[str], *, leave_out_shared: bool = False
) -> tuple[dict[str, Pair], int]:
    """Read columns of two corpora, each corpus once, and count the cards of b whose id a has too.

    Raises
    ------
    MissingColumn, NoFigure
        Names the side that lacks a column, or has no cards.
    CardlabError
        A column holds neither strings, lists of strings nor numbers.
    """
    queries = {side: _query(cards, side, columns) for side, cards in (("a", a), ("b", b))}
    schemas = {side: query.collect_schema() for side, query in queries.items()}
    codes = [_coding(column, *(schemas[side][column] for side in "ab")) for column in columns]
    rows = {}
    for side, query in queries.items():
        ids = [_ID] if _ID in schemas[side] else []
        coded = [
            _as_codes(column, schemas[side][column], code) if code is not None else pl.col(column)
            for column, code in zip(columns, codes, strict=True)
        ]
        rows[side] = collect(query.select(*ids, *coded))
        if not rows[side].height:
            raise NoFigure(f"{_WHICH[side]} has no cards, so there is nothing to compare.")
    n_shared = 0
    if all(_ID in frame.columns for frame in rows.values()):
        apart = rows["b"].join(rows["a"].select(_ID), on=_ID, how="anti")
        n_shared = rows["b"].height - apart.height
        if leave_out_shared:
            rows["b"] = apart
    elif leave_out_shared:
        for side, cards in (("a", a), ("b", b)):
            require_of(cards, side, "id")
    if not rows["b"].height:
        raise NoFigure(
            f"{_WHICH['b']} has no cards but those that {_WHICH['a']} has too, and these were "
            "left out (leave_out_shared=True)."
        )
    pairs = {}
    for column, code in zip(columns, codes, strict=True):
        read = _pair_of_numbers if code is None else _pair_of_codes
        pairs[column] = read(rows["a"][column], rows["b"][column])
    return pairs, n_shared


def _query(cards: Any, side: str, columns: Sequence[str]) -> pl.LazyFrame:
    """Give the columns lazily, made from others where need be, with the ids if there are any."""
    have = columns_of(cards, side)
    base = [DERIVED[c][0] if c not in have and c in DERIVED else c for c in columns]
    require_of(cards, side, *base)
    frame = narrowed(cards, list(dict.fromkeys([*base, *(["id"] if "id" in have else [])])))
    makers = [DERIVED[c][1] for c, b in zip(columns, base, strict=True) if b != c]
    for make in dict.fromkeys(makers):
        frame = make(frame)
    ids = [pl.col("id").cast(pl.String).alias(_ID)] if "id" in have else []
    return frame.select(*ids, *dict.fromkeys(columns))


def _coding(column: str, a: Any, b: Any) -> pl.Categories | None:
    """Choose how a column is read: as strings with codes common to both, or as numbers (None)."""
    if a.is_numeric() and b.is_numeric():
        return None
    for side, dtype in (("a", a), ("b", b)):
        inner = dtype.inner if isinstance(dtype, pl.List) else dtype
        odd = inner.is_nested() or inner.is_temporal() or inner == pl.Object
        if odd or dtype.is_numeric():
            raise CardlabError(
                f"column {column!r} of {_WHICH[side]} is {dtype}: to be compared, it must hold "
                "strings or lists of strings in both corpora, or numbers in both."
            )
    return pl.Categories.random()


def _as_codes(column: str, dtype: Any, categories: pl.Categories) -> pl.Expr:
    """Give each card's values, each once, as codes; none where it has no value."""
    value = pl.col(column)
    if not isinstance(dtype, pl.List):
        one = pl.concat_list(value.cast(pl.String))
        value = pl.when(value.is_not_null()).then(one)
    once = value.cast(STRINGS).list.drop_nulls().list.unique().fill_null([])
    return once.cast(pl.List(pl.Categorical(categories))).alias(column)


def _pair_of_codes(a: pl.Series, b: pl.Series) -> Pair:
    names = pl.Series(a.dtype.inner.categories.to_series(), dtype=pl.String)  # type: ignore[attr-defined]
    # codes come in the order of reading, which threads decide: number them by name
    order = names.arg_sort().to_numpy()
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return Pair(names.gather(order), _side_of_lists(a, rank), _side_of_lists(b, rank))


def _side_of_lists(lists: pl.Series, rank: Any) -> Side:
    items = lists.explode(empty_as_null=False, keep_nulls=False).to_physical().to_numpy()
    return side_of(lists.list.len().to_numpy(), rank[items], len(rank))


def _pair_of_numbers(a: pl.Series, b: pl.Series) -> Pair:
    """Put numbers into bins that widen; those below 0 are one bin of their own."""
    whole = a.dtype.is_integer() and b.dtype.is_integer()
    ends = [*_EDGES[1:], None]
    names = [_bin_name(low, high, whole) for low, high in zip(_EDGES, ends, strict=True)]
    none = np.empty(0, dtype=np.int64)
    sides = []
    for values in (a, b):
        numbers = values.cast(pl.Float64).fill_nan(None).drop_nulls().to_numpy()
        place = np.searchsorted(_EDGES, numbers, side="right")
        single = np.bincount(place, minlength=len(names) + 1)
        sides.append(Side(values.len(), single, none, none))
    return Pair(pl.Series(["below 0", *names]), sides[0], sides[1], ordered=True)


def _bin_name(low: float, high: float | None, whole: bool) -> str:
    if high is None:
        return f"{low:,.0f} and more"
    if whole:
        return f"{low:,.0f}" if high - low == 1 else f"{low:,.0f} to {high - 1:,.0f}"
    return f"{low:,.0f} to below {high:,.0f}"
