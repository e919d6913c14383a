"""The values of a list column as whole numbers: read once, each value once a card.

Strings are the costly part of counting tags: they are turned into codes while a source is read,
batch by batch, and everything after that is arithmetic on whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl

from ..schema import STRINGS, CardlabError, collect, lazy, require
from ..shares.frames import family_key, first_of_families

# names of our own, so that a column may have any name
_VALUE, _FAMILY, _ID, _DATE, _BESIDE = "__value", "__family", "__id", "__date", "__beside_"
_LOW = (1 << 32) - 1
_BATCH = 1 << 18


@dataclass(frozen=True)
class Coded:
    """The codes of all cards' values, one card after another, ascending and once in each card.

    `lengths` says how many of them each card has. `names` is in alphabetical order, so that codes
    compare as names do. `is_first` says which cards stand for their family; without families it
    is None. `n_same` counts, for some other columns, the cards on which both hold the value.
    """

    names: pl.Series
    code: Any
    lengths: Any
    n_cards: int
    is_first: Any = None
    n_same: dict[str, Any] = field(default_factory=dict)

    @property
    def n_families(self) -> int:
        """Families, a card without one being its own."""
        return int(self.is_first.sum())

    def counts(self) -> Any:
        """Count the cards of each value, in the order of `names`."""
        counts = np.zeros(len(self.names), dtype=np.int64)
        for at in range(0, len(self.code), _BATCH):  # bincount makes a copy of what it counts
            counts += np.bincount(self.code[at : at + _BATCH], minlength=len(counts))
        return counts

    def of_each(self, numbers: Any) -> Any:
        """Repeat what each card has for each of its values."""
        return np.repeat(numbers, self.lengths)

    def of_families(self) -> Coded:
        """Keep the cards that stand for their family."""
        code = self.code[self.of_each(self.is_first)]
        return Coded(self.names, code, self.lengths * self.is_first, self.n_families)

    def only(self, kept: Any) -> Coded:
        """Keep the values of the codes `kept`, which are ascending, and number them anew."""
        place = np.full(len(self.names), -1, dtype=np.int32)
        place[kept] = np.arange(len(kept), dtype=np.int32)
        ends = np.cumsum(self.lengths)
        codes, lengths, begin = [self.code[:0]], np.zeros_like(self.lengths), 0
        for first, last in _card_batches(ends):
            end = ends[last - 1]
            code = place[self.code[begin:end]]
            there = code >= 0
            codes.append(code[there])
            card = np.repeat(np.arange(last - first), self.lengths[first:last])
            lengths[first:last] = np.bincount(card[there], minlength=last - first)
            begin = end
        names = self.names.gather(kept)
        return Coded(names, np.concatenate(codes), lengths, self.n_cards, self.is_first)


def _card_batches(ends: Any) -> Iterator[tuple[int, int]]:
    """Part cards into batches of about as many values: first card, and the one after the last."""
    first = 0
    while first < len(ends):
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + _BATCH, side="right")))
        yield first, last
        first = last


def selected(cards: Any, columns: dict[str, str]) -> pl.LazyFrame:
    """Give some columns under names of our own; engines other than polars hand over their rows.

    A frame that is lazy stays lazy, so that only these columns are read, a batch at a time.
    """
    require(cards, *columns.values())
    if isinstance(cards, (pl.LazyFrame, pl.DataFrame)):
        return cards.lazy().select(pl.col(name).alias(own) for own, name in columns.items())
    narrow = lazy(cards).select(nw.col(name).alias(own) for own, name in columns.items())
    return collect(narrow).lazy()


def as_lists(values: pl.LazyFrame, own: str, column: str) -> pl.LazyFrame:
    """Make a column hold lists of strings; a single string becomes a list of one."""
    dtype = values.collect_schema()[own]
    if isinstance(dtype, pl.List) and not dtype.inner.is_nested():
        return values if dtype == STRINGS else values.with_columns(pl.col(own).cast(STRINGS))
    if dtype == pl.Null:
        return values.with_columns(pl.lit(None, dtype=STRINGS).alias(own))
    if dtype.is_nested() or dtype == pl.Object:
        raise CardlabError(
            f"column {column!r} is {dtype}, which cannot be counted: it must hold strings or lists "
            "of strings. cardlab.scan_cards(source) reads the cards' columns as such."
        )
    one = pl.concat_list(pl.col(own).cast(pl.String))
    return values.with_columns(pl.when(pl.col(own).is_not_null()).then(one).alias(own))


def encode(
    cards: Any, column: str, *, families: str | None = None, beside: Sequence[str] = ()
) -> Coded:
    """Read a column of lists as codes.

    Parameters
    ----------
    cards : frame
        With `column`, and what `families` names.
    column : str
        A column of lists of strings, or of strings.
    families : str, optional
        As in :func:`cardlab.tag_counts`.
    beside : sequence of str
        Columns to compare with: `n_same` then has an array for each, on how many cards a value
        of `column` is a value of that column too.
    """
    own = {_VALUE: column} | {_BESIDE + name: name for name in beside}
    more = []
    if families is not None:
        own |= {_FAMILY: families, _ID: "id"}
        more = [family_key(families, _FAMILY), pl.col(_ID)]
    coded, others, rows = _encode(cards, own, more)
    if families is not None:
        coded = replace(coded, is_first=first_of_families(rows[_FAMILY], rows[_ID]))
    if not beside:
        return coded
    n_same = {name: _same(coded, others[name]) for name in beside}
    return replace(coded, n_same=n_same)


def encode_dated(cards: Any, column: str, dates: str) -> tuple[Coded, pl.Series]:
    """Read a column as codes, and the column of dates beside it."""
    coded, _, rows = _encode(cards, {_VALUE: column, _DATE: dates}, [pl.col(_DATE)])
    return coded, rows[_DATE]


def _encode(
    cards: Any, own: dict[str, str], more: list[pl.Expr]
) -> tuple[Coded, dict[str, Coded], pl.DataFrame]:
    """Read the columns `own` in one pass: values as codes, columns beside them, and `more`."""
    frame = selected(cards, own)
    valued = [name for name in own if name == _VALUE or name.startswith(_BESIDE)]
    for name in valued:
        frame = as_lists(frame, name, own[name])
    categories = pl.Categories.random()
    codes = pl.List(pl.Categorical(categories))
    rows = collect(frame.select(pl.col(valued).cast(codes), *more))
    # codes come in the order of reading, which threads decide: number them by name
    names = categories.to_series().cast(pl.String)
    order = names.arg_sort().to_numpy()
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    names = names.gather(order)
    coded = {name: Coded(names, *_codes(rows[name], rank), rows.height) for name in valued}
    value = coded.pop(_VALUE)
    return value, {own[name]: other for name, other in coded.items()}, rows.drop(valued)


def _codes(lists: pl.Series, rank: Any) -> tuple[Any, Any]:
    """Give the codes of each card, ascending and each once, and how many they are."""
    lengths = lists.list.len().fill_null(0).to_numpy().astype(np.int32)
    ends = np.cumsum(lengths, dtype=np.int64)
    code = np.empty(int(ends[-1]) if len(ends) else 0, dtype=np.int32)
    end = 0
    for first, last in _card_batches(ends):
        rows = lists.slice(first, last - first)
        items = rows.explode(empty_as_null=False, keep_nulls=False).to_physical()
        key = np.repeat(np.arange(last - first, dtype=np.int64) << 32, lengths[first:last])
        if items.null_count():
            key, items = key[items.is_not_null().to_numpy()], items.drop_nulls()
        key |= rank[items.to_numpy()]
        key.sort()
        again = key[1:] == key[:-1]
        if again.any():
            key = key[np.append(True, ~again)]
        if len(key) < ends[last - 1] - (ends[first - 1] if first else 0):
            lengths[first:last] = np.bincount(key >> 32, minlength=last - first)
        code[end : end + len(key)] = key & _LOW
        end += len(key)
    return code[:end], lengths


def _same(coded: Coded, other: Coded) -> Any:
    """Count, for each value, the cards that have it in both."""
    ends, other_ends = np.cumsum(coded.lengths), np.cumsum(other.lengths)
    counts = np.zeros(len(coded.names), dtype=np.int64)
    for first, last in _card_batches(ends):
        keys = []
        for side, side_ends in ((coded, ends), (other, other_ends)):
            begin = side_ends[first - 1] if first else 0
            card = np.arange(last - first, dtype=np.int64) << 32
            key = np.repeat(card, side.lengths[first:last])
            keys.append(key | side.code[begin : side_ends[last - 1]])
        # both ascend: quicker than sorting them together
        there = np.append(keys[0], -1)
        same = keys[1][there[np.searchsorted(keys[0], keys[1])] == keys[1]]
        counts += np.bincount(same & _LOW, minlength=len(counts))
    return counts
