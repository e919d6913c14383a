"""What all analyses read: narrow columns of any engine, lists as codes, first of families."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl

from .schema import STRINGS, CardlabError, collect, lazy, unreadable

#: Gives the name, or the several names, under which a distinct string is counted.
Rename = Callable[[str], str | tuple[str, ...]]

_BATCH = 1 << 17


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


def in_batches(query: pl.LazyFrame, rows: int) -> Iterator[pl.DataFrame]:
    """Run a query and give its rows in order, at most so many at a time; all are never held."""
    stream = query.collect_batches(chunk_size=rows, maintain_order=True, engine="streaming")
    try:
        for batch in stream:
            yield from batch.iter_slices(rows)  # a row group may come whole, however large
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError, OSError) as error:
        raise unreadable(error) from error


# ---- Columns of strings or of lists of strings, item by item.


def _not_strings(column: str, dtype: pl.DataType) -> CardlabError:
    return CardlabError(
        f"column {column!r} is {dtype}, which cannot be counted: it must hold strings or lists of "
        "strings. cardlab.scan_cards(source) reads the cards' columns as such; "
        "with_licenses(cards) and with_languages(cards) add more."
    )


def check_countable(dtype: pl.DataType, column: str) -> None:
    """Raise a CardlabError unless a column holds single values, or lists of them."""
    inner = dtype.inner if isinstance(dtype, pl.List) else dtype
    if inner.is_nested() or inner == pl.Object:
        raise _not_strings(column, dtype)


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
        raise _not_strings(column, dtype)
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
    items = lists.explode(empty_as_null=False, keep_nulls=False).drop_nulls().unique()
    found = {item: function(item) for item in items}
    found = {item: (new,) if isinstance(new, str) else new for item, new in found.items()}
    one = {item: new[0] for item, new in found.items() if len(new) == 1}
    # does the same as list.drop_nulls in a fraction of the time
    known = pl.col(lists.name).list.filter(pl.element().is_not_null())
    mapped = known.list.eval(pl.element().replace(one)) if one else known
    # in one query, since a streaming engine brings many small batches
    new_lists = lists.to_frame().select(mapped.list.unique(maintain_order=True)).to_series()
    several = [item for item in items if item not in one]
    if not several:
        return new_lists
    parted = lists.list.eval(pl.element().is_in(several)).list.any().fill_null(False)
    rows = [
        row and list(dict.fromkeys(new for x in row if x is not None for new in found[x]))
        for row in lists.zip_with(parted, pl.Series([None], dtype=STRINGS)).to_list()
    ]
    return new_lists.zip_with(~parted, pl.Series(rows, dtype=STRINGS))


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
        size, one = len(self.names), self.lengths == 1
        first = np.cumsum(self.lengths) - self.lengths
        alone = np.bincount(self.code[first[one]], minlength=size)  # apart, since it is exact
        each = np.where(one, 0.0, 1 / np.maximum(self.lengths, 1))
        return alone + np.bincount(self.code, weights=self.of_each(each), minlength=size)

    def of_each(self, numbers: Any) -> Any:
        """Repeat what each card has for each of its values."""
        return np.repeat(numbers, self.lengths)

    def lengths_of(self, kept: Any) -> Any:
        """Count the values of each card that are kept, of an array of bool."""
        ends = np.append(0, np.cumsum(self.lengths))
        # places are found sooner than sums of all values are made
        return np.diff(np.searchsorted(np.flatnonzero(kept), ends))

    def of_cards(self, kept: Any) -> Coded:
        """Keep some cards, of an array of bool."""
        return Coded(self.names, self.code[self.of_each(kept)], self.lengths[kept])

    def only(self, kept: Any) -> Coded:
        """Keep the values of the codes `kept`, which are ascending, and number them anew."""
        place = np.full(len(self.names), -1)
        place[kept] = np.arange(len(kept))
        code = place[self.code]
        there = code >= 0
        return Coded(self.names.gather(kept), code[there], self.lengths_of(there))


def encode(
    frame: pl.LazyFrame,
    columns: Iterable[str],
    *others: pl.Expr,
    together: bool = False,
    rename: Mapping[str, str] | None = None,
) -> tuple[list[Coded], pl.DataFrame]:
    """Read columns of strings, or of lists, as codes, and what `others` give, in one pass.

    With `together` a code means the same in all columns. `rename` has the values of the first
    column that are counted under another name.
    """
    schema = frame.collect_schema()
    common = pl.Categories.random()
    sets = {name: common if together else pl.Categories.random() for name in columns}
    read = []
    for name, categories in sets.items():
        is_list = isinstance(schema[name], pl.List)
        dtype = pl.List(pl.Categorical(categories)) if is_list else pl.Categorical(categories)
        read.append(pl.col(name).cast(STRINGS if is_list else pl.String).cast(dtype))
    rows = collect(frame.select(*read, *others))
    coded: list[Coded] = []
    for name, categories in sets.items():
        if not coded or not together:
            alike = rows.select([*sets] if together else name).get_columns()
            old = strings_of(categories, *alike)
            new = old.replace(rename) if rename and not coded else old
            # sorted by name, since threads decide in which order the strings came
            names = (old if new is old else pl.concat([old, new]).unique()).sort()
            number = names.search_sorted(new).cast(pl.Int64).to_numpy()
        coded.append(Coded(names, *codes_of(rows[name], number)))
        if rename and len(coded) == 1:  # the other columns keep their values
            number = names.search_sorted(old).cast(pl.Int64).to_numpy()
    return coded, rows.drop(list(sets))


def strings_of(categories: pl.Categories, *coded: pl.Series) -> pl.Series:
    """Give the strings of the codes of some columns, or of lists, up to the highest code.

    ``Categories.to_series`` asks for them one by one in Python.
    """
    highest: list[Any] = [of.explode(empty_as_null=False).to_physical().max() for of in coded]
    n = 1 + max((code for code in highest if code is not None), default=-1)
    codes = pl.Series(np.arange(n, dtype=np.uint32))
    return codes.cat.to(pl.Categorical(categories)).cast(pl.String)


def codes_of(lists: pl.Series, number: Any) -> tuple[Any, Any]:
    """Give the codes of each card, ascending and each once, and how many they are.

    A string with the physical code i has `number[i]`. A batch of cards stays in the processor's
    cache. Most is done without Python's lock, so that two at a time take half as long.
    """
    if not isinstance(lists.dtype, pl.List):
        known = lists.is_not_null()
        physical = lists.drop_nulls().to_physical().to_numpy()
        return number[physical], known.to_numpy().astype(np.int64)
    own = number.astype(np.int32)

    def of_batch(start: int) -> tuple[Any, Any]:
        batch = lists.slice(start, _BATCH)
        card = np.repeat(np.arange(len(batch), dtype=np.int32), batch.list.len().fill_null(0))
        items = batch.explode(empty_as_null=False, keep_nulls=False)
        if items.null_count():
            card = card[items.is_not_null().to_numpy()]
        card, code, _ = runs(card, own[items.drop_nulls().to_physical().to_numpy()])
        return code.astype(np.int64), np.bincount(card, minlength=len(batch))

    with ThreadPoolExecutor(2) as two:
        found = [*two.map(of_batch, range(0, len(lists), _BATCH))]
    codes, lengths = zip((number[:0],) * 2, *found, strict=True)
    return np.concatenate(codes), np.concatenate(lengths)


def runs(first: Any, second: Any) -> tuple[Any, Any, Any]:
    """Give pairs of whole numbers of at least 0 each once, ascending, and how often it is there.

    A sparse array that is turned round is in order, by counting: a third of the time of any sort.
    """
    from scipy.sparse import coo_array

    if not first.any():
        n = np.bincount(second)
        second = np.flatnonzero(n)
        return np.zeros_like(second), second, n[second]
    shape = int(second.max(initial=0)) + 1, int(first.max(initial=0)) + 1
    table = coo_array((np.ones(len(first), dtype=np.int32), (second, first)), shape=shape)
    table.has_canonical_format = True  # nothing is added up until all is in order
    table = table.tocsr().tocsc()
    table.sum_duplicates()
    return np.repeat(np.arange(shape[1]), np.diff(table.indptr)), table.indices, table.data


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
    stands = family.is_null().to_numpy(writable=True)
    stands[first["row"].to_numpy()] = True
    return stands
