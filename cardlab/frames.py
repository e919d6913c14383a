"""What all analyses read: narrow columns of any engine, lists as codes, first of families."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl

from .schema import STRINGS, CardlabError, collect, lazy

#: Gives the name, or the several names, under which a distinct string is counted.
Rename = Callable[[str], str | tuple[str, ...]]

_LOW = (1 << 32) - 1
_BATCH = 1 << 18


def as_polars(cards: Any, *columns: str) -> Any:
    """Give a polars frame as it is, eager or lazy; other engines hand over `columns`, or all."""
    if isinstance(cards, (pl.DataFrame, pl.LazyFrame)):
        return cards
    frame = lazy(cards)
    return collect(frame.select(*columns) if columns else frame).lazy()


def narrow(cards: Any, columns: Iterable[str] | Mapping[str, str]) -> pl.LazyFrame:
    """Give some columns lazily, under their names or new ones (new -> old).

    A lazy polars frame stays lazy, so that only these columns are read; other engines hand over
    just these.
    """
    names = columns if isinstance(columns, Mapping) else dict(zip(columns, columns, strict=True))
    frame = lazy(cards).select(nw.col(old).alias(new) for new, old in names.items())
    native = nw.to_native(frame)
    return native if isinstance(native, pl.LazyFrame) else collect(frame).lazy()


# ---- Columns of strings or of lists of strings, item by item.


def check_countable(dtype: pl.DataType, column: str) -> None:
    """Raise a CardlabError unless a column holds strings, or lists of strings."""
    inner = dtype.inner if isinstance(dtype, pl.List) else dtype
    if inner.is_nested() or inner == pl.Object:
        raise CardlabError(
            f"column {column!r} is {dtype}, which cannot be counted: it must hold strings or lists "
            "of strings. cardlab.scan_cards(source) reads the cards' columns as such."
        )


def lists_of(column: str, dtype: pl.DataType) -> pl.Expr:
    """Read a column as lists of strings: a string is a list of one, null stays null."""
    value = pl.col(column)
    if isinstance(dtype, pl.List):
        return value.cast(STRINGS)
    return pl.when(value.is_not_null()).then(pl.concat_list(value.cast(pl.String))).alias(column)


def lists_in(frame: pl.LazyFrame, column: str) -> pl.Expr:
    """Read a column as :func:`lists_of` does; what holds anything else ends in a CardlabError."""
    dtype = frame.collect_schema()[column]
    inner = dtype.inner if isinstance(dtype, pl.List) else dtype
    if inner not in (pl.String, pl.Null, pl.Categorical):
        raise CardlabError(
            f"column {column!r} is {dtype}: it must hold strings or lists of strings. "
            "cardlab.scan_cards(source) reads the cards' columns as such; with_licenses(cards) and "
            "with_languages(cards) add more."
        )
    return lists_of(column, dtype)


def as_lists(values: pl.Series) -> pl.Series:
    """Give strings as lists of one string, and lists as they are; null stays null."""
    return values.to_frame().select(lists_of(values.name, values.dtype)).to_series()


def map_items(values: pl.Series, function: Rename) -> pl.Series:
    """Map the items of lists, calling Python once for each distinct one.

    A list has each new item once, in the order of the old ones, without nulls. Null stays null, an
    empty list empty; strings are taken as lists of one.
    """
    lists = as_lists(values)
    items = set(lists.explode(empty_as_null=False, keep_nulls=False).unique().to_list()) - {None}
    found = {item: _several(function(item)) for item in items}
    changed = {item: new[0] for item, new in found.items()}
    # does the same as list.drop_nulls in a fraction of the time
    known = pl.col(lists.name).list.filter(pl.element().is_not_null())
    mapped = known.list.eval(pl.element().replace(changed)) if changed else known
    # in one query, since a streaming engine brings many small batches
    mapped_lists = lists.to_frame().select(mapped.list.unique(maintain_order=True)).to_series()
    several = [item for item, new in found.items() if len(new) > 1]
    if not several:
        return mapped_lists
    parted = lists.list.eval(pl.element().is_in(several)).list.any().fill_null(False)
    rows = [
        list(dict.fromkeys(part for item in row if item is not None for part in found[item]))
        for row in lists.filter(parted).to_list()
    ]
    together = mapped_lists.append(pl.Series(rows, dtype=STRINGS))
    place = pl.Series(range(lists.len()), dtype=pl.Int64).scatter(
        parted.arg_true(), range(lists.len(), together.len())
    )
    return together.gather(place)


def _several(new: str | tuple[str, ...]) -> tuple[str, ...]:
    return (new,) if isinstance(new, str) else new


# ---- Lists as codes: strings, the costly part of counting, are read once as numbers, batch by
# batch while a source is read; everything after that is arithmetic.


@dataclass(frozen=True)
class Coded:
    """The values of all cards as codes, one card after another, ascending and once in each card.

    `lengths` says how many of them each card has. `names`, what the codes stand for, is in
    alphabetical order, so that codes compare as names do.
    """

    names: pl.Series
    code: Any
    lengths: Any

    @property
    def n_cards(self) -> int:
        """All cards, also those without a value."""
        return len(self.lengths)

    @property
    def n_declared(self) -> int:
        """Cards with any value."""
        return int(np.count_nonzero(self.lengths))

    def counts(self) -> Any:
        """Count the cards of each value, in the order of `names`."""
        return np.bincount(self.code, minlength=len(self.names))

    def weights(self) -> Any:
        """Count the cards of each value, one with several being shared equally among them."""
        several = self.of_each(self.lengths > 1)
        each = self.of_each(1 / np.maximum(self.lengths, 1))[several]
        size = len(self.names)
        alone = np.bincount(self.code[~several], minlength=size)  # apart, since it is exact
        return alone + np.bincount(self.code[several], weights=each, minlength=size)

    def of_each(self, numbers: Any) -> Any:
        """Repeat what each card has for each of its values."""
        return np.repeat(numbers, self.lengths)

    def of_cards(self, kept: Any) -> Coded:
        """Keep some cards, of an array of bool."""
        return Coded(self.names, self.code[self.of_each(kept)], self.lengths[kept])

    def only(self, kept: Any) -> Coded:
        """Keep the values of the codes `kept`, which are ascending, and number them anew."""
        place = np.full(len(self.names), -1, dtype=np.int32)
        place[kept] = np.arange(len(kept), dtype=np.int32)
        code = place[self.code]
        lengths = _per_card(self.lengths, code >= 0)
        return Coded(self.names.gather(kept), code[code >= 0], lengths)


def encode(
    frame: pl.LazyFrame,
    columns: Iterable[str],
    *others: pl.Expr,
    together: bool = False,
    rename: Rename | None = None,
) -> tuple[list[Coded], pl.DataFrame]:
    """Read columns of lists as codes, and what `others` give beside them, in one pass.

    With `together` a code means the same in all columns. `rename` gives the name or names under
    which a value of the first column is counted; it is called once for each distinct one.
    """
    schema = frame.collect_schema()
    common = pl.Categories.random()
    sets = {name: common if together else pl.Categories.random() for name in columns}
    read = (
        lists_of(name, schema[name]).cast(pl.List(pl.Categorical(categories)))
        for name, categories in sets.items()
    )
    rows = collect(frame.select(*read, *others))
    coded: list[Coded] = []
    for at, (name, categories) in enumerate(sets.items()):
        if at == 0 or not together:
            names, plain, renamed, size = _number(categories, rename)
        numbers = (renamed, size) if at == 0 else (plain, np.ones_like(plain))
        coded.append(Coded(names, *_codes(rows[name], *numbers)))
    return coded, rows.drop(list(sets))


def _number(categories: pl.Categories, rename: Rename | None) -> tuple[pl.Series, Any, Any, Any]:
    """Sort the strings that were read by name, since threads decide in which order they came.

    Gives the names, the number of each string as it is, and the numbers as which it is counted,
    one string after another, with how many these are.
    """
    old = categories.to_series().cast(pl.String)
    every, size = old, np.ones(len(old), dtype=np.int64)
    if rename is not None:
        new = [_several(rename(name)) for name in old]
        every = pl.concat(
            [old, pl.Series([name for names in new for name in names], dtype=old.dtype)]
        )
        size = np.array([len(names) for names in new], dtype=np.int64)
    rank = every.rank("dense").to_numpy().astype(np.int64) - 1
    place = np.zeros(rank.max(initial=-1) + 1, dtype=np.int64)
    place[rank] = np.arange(len(rank))
    return every.gather(place), rank[: len(old)], rank[len(rank) - size.sum() :], size


def _codes(lists: pl.Series, rank: Any, size: Any) -> tuple[Any, Any]:
    """Give the codes of each card, ascending and each once, and how many they are.

    A string with the physical code i has the `size[i]` next ones of `rank`. Cards with one value
    are in order as they are. Of the others, card and code stand in one number, so that one sort of
    whole numbers puts all in order; a batch of them stays in the processor's cache, without which
    that takes twice as long.
    """
    lengths = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    rank, start = rank.astype(np.int32), np.cumsum(size) - size
    one_each = bool((size == 1).all())
    codes = [rank[:0]]
    for first, last in _card_batches(np.cumsum(lengths)):
        items = lists.slice(first, last - first).explode(empty_as_null=False, keep_nulls=False)
        n = lengths[first:last]
        if items.null_count():
            n = _per_card(n, items.is_not_null().to_numpy())
            items = items.drop_nulls()
        place = items.to_physical().to_numpy()
        if not one_each:
            times = size[place]
            n = _per_card(n, times)
            place = runs(start[place], times)
        code = rank[place]
        cards = np.flatnonzero(n > 1)
        if len(cards):
            several = np.flatnonzero(np.repeat(n > 1, n))
            key = np.repeat(cards << 32, n[cards]) | code[several]
            key.sort()
            code[several] = key & _LOW
            new = np.ones(len(code), dtype=np.int64)
            new[several[1:][key[1:] == key[:-1]]] = 0
            if len(new) > new.sum():
                n, code = _per_card(n, new), code[new > 0]
        lengths[first:last] = n
        codes.append(code)
    return np.concatenate(codes), lengths


def runs(start: Any, n: Any) -> Any:
    """Give the places of runs of `n` items from each `start` on, one run after another."""
    return np.repeat(start - (np.cumsum(n) - n), n) + np.arange(n.sum())


def _per_card(n: Any, numbers: Any) -> Any:
    """Add up the numbers of each card's items, which are `n`."""
    return np.diff(np.append(0, np.cumsum(numbers, dtype=np.int64))[np.cumsum(n)], prepend=0)


def _card_batches(ends: Any) -> Iterator[tuple[int, int]]:
    """Part cards into batches of about as many values: first card, and the one after the last."""
    first = 0
    while first < len(ends):
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + _BATCH, side="right")))
        yield first, last
        first = last


# ---- Which cards are copies of each other, so that a family can count once.


def text_key(column: str = "text") -> pl.Expr:
    """Give 64 bits that stand for a text; null where it is blank or there is none."""
    text = pl.col(column).cast(pl.String)
    return pl.when(text.str.contains(r"\S")).then(text.hash(seed=0)).alias(column)


def family_key(families: str, own: str) -> pl.Expr:
    """Give what cards of one family share, from a column that goes by the name `own`.

    Of texts (`families` is ``"text"``) only a hash, so that none is kept.
    """
    return text_key(own) if families == "text" else pl.col(own)


def first_of_families(family: pl.Series, ids: pl.Series) -> Any:
    """Mark the first card by id of each family, and every card without one: an array of bool."""
    first = (
        pl.DataFrame({"family": family, "id": ids})
        .with_row_index("row")
        .drop_nulls("family")
        .sort("family", "id", "row", nulls_last=True)
        .unique("family", keep="first", maintain_order=True)
    )
    stands = family.is_null().to_numpy().copy()
    stands[first["row"].to_numpy()] = True
    return np.asarray(stands)
