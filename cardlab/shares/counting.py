"""On how many cards each value of a column is, and which shares follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
import polars.selectors as cs

from ..frames import (
    Coded,
    Rename,
    as_lists,
    check_countable,
    family_key,
    first_of_families,
    map_items,
    narrow,
)
from ..schema import CardlabError, collect, lazy, require
from .authors import AUTHOR_COLUMNS, author_codes, author_columns, designs
from .authors import interval as interval
from .authors import wilson as wilson

# ---- How unequal numbers are.


def gini(values: Any, *, zeros: bool = True) -> Any:
    """Give the Gini coefficient of the last axis of an array: 0 (all equal) to below 1.

    ``2 * sum(i * x_i) / (n * sum(x)) - (n + 1) / n`` over the n members in ascending order, NaN
    where the sum is 0; with `zeros` a 0 is a member with nothing, else it is no member. C. Gini,
    "Variabilita e mutabilita" (1912); without correction for small n: of n members of which one has
    all it is 1 - 1 / n.
    """
    ordered = np.sort(np.asarray(values, dtype=float), axis=-1)
    length = ordered.shape[-1]
    n = length if zeros else np.count_nonzero(ordered, axis=-1)
    total = ordered.sum(axis=-1)
    ranked = ordered @ np.arange(1.0, length + 1) - (length - n) * total
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 2 * ranked / (n * total) - (n + 1) / np.asarray(n, dtype=float)
    return np.clip(found, 0, 1)[()]  # rounding may put it an ulp below 0


# ---- On how many cards each value of a column is, and which shares follow.

# names of our own for the columns that are read, so that `by` may be any column, even the counted
_VALUE, _GROUP, _WEIGHT, _FAMILY, _ID = "__value", "__group", "__weight", "__family", "__id"
_N_ITEMS, _BAD, _AUTHOR, _CARDS = "__n_items", "__bad", "__author", "__cards"

#: Columns of a table of shares in their order, the last only where authors are known or they were
#: asked for.
SHARE_COLUMNS = (
    *("n_cards", "n_declared", "card_share", "share_low", "share_high", "n_group"),
    *("declared_share", "declared_low", "declared_high", *AUTHOR_COLUMNS),
    *("n_families", "family_share", "weight", "weight_share", "n_weighted"),
)
_OWN = ("value", *SHARE_COLUMNS, "n_group_families", "weight_group")


def count_values(
    cards: Any,
    column: str,
    *,
    by: str | None = None,
    derive: Callable[[pl.Series], pl.Series] | None = None,
    rename: Rename | None = None,
    families: str | None = None,
    weight: str | None = None,
    author: str | None = None,
    none: str | None = None,
) -> pl.DataFrame:
    """Count on how many cards each value of a column of strings or of lists of strings is.

    A value counts once a card. Polars, or an engine that narwhals knows; only the columns that are
    named are read. With a list column `by` a card is in each of its groups; without a value it is
    in the group null. `derive` makes of the column what is counted, from its distinct values or
    lists; `rename` gives the name, or the names, under which a distinct string is counted.
    `families` counts copies once as well: a column of family ids (null: in no family), or
    ``"text"`` (cards with exactly equal text that is not blank). A family has the values and
    groups of its first card by ``id``. `weight` adds up a column of numbers of at least 0; a null
    weighs nothing. `none` is a value that is counted, but declares nothing. `author` is the column
    whose cards belong together, which other engines hand over with what is counted.

    Gives ``[by,] value`` (str), ``n_cards`` (of the group with the value), ``n_group``,
    ``n_declared`` (cards of the group with any value: null, an empty list and a list of nulls are
    none); with `families` ``n_families`` and ``n_group_families``; with `weight` ``weight``,
    ``weight_group`` (over all cards of the group) and ``n_weighted`` (cards of the group that have
    a weight); with `author` ``design`` and ``declared_design``, structs of
    :func:`~.authors.designs` for the share of the group and of those that declare any value. Where
    cards are grouped by author they are independent. Most cards first, then by value and group; a
    group without values has no row.
    """
    check_by(by, _OWN)
    named = {_VALUE: column, _GROUP: by, _WEIGHT: weight, _FAMILY: families}
    named[_AUTHOR] = None if author == by else author
    names = {own: name for own, name in named.items() if name is not None}
    if families is not None:
        names[_ID] = "id"
    require(cards, *names.values())
    if families is None:
        frame = lazy(cards).select(nw.col(name).alias(own) for own, name in names.items())
        if frame.implementation.is_pandas_like() or frame.implementation.is_pyarrow():
            frame = lazy(collect(frame))  # in memory already, and without aggregations over lists
    else:
        frame = lazy(_with_first(cards, names, families))
    frame, numbers = _with_numbers(frame, weight, families)
    rows, authors = _distinct(frame, numbers)
    values = rows[_VALUE] if derive is None else derive(rows[_VALUE])
    check_countable(values.dtype, column)
    lists = as_lists(values.alias(_VALUE)) if rename is None else map_items(values, rename)
    rows = rows.with_columns(lists.list.drop_nulls().list.unique().alias(_VALUE))
    if weight is not None and (rows[_BAD].sum() or 0) > 0:
        raise CardlabError(
            f"weight={weight!r} has values below 0 or infinite, of which no shares can be made. "
            "Filter the cards first."
        )
    table = _table(rows, ["n", *numbers], none)
    if authors is not None:
        table = _with_designs(table, rows, authors, none)
    return table.rename({_GROUP: by}) if by is not None else table.drop(_GROUP)


def with_share(counts: pl.DataFrame, *, population: str = "sample") -> pl.DataFrame:
    """Add the shares of a table of :func:`count_values`, 0-1, with 95 % Wilson intervals.

    ``card_share`` of ``n_group``, ``declared_share`` of ``n_declared``, and where the counts have
    them ``family_share`` and ``weight_share``; weights are no sample, so that their shares have no
    interval. With designs they hold for cards that come in bundles, and the columns that say so are
    added. Null where the denominator is null or 0; of a census shares have no interval.
    """
    census, names = population == "census", {"card": "design", "declared": "declared_design"}
    held = {
        share: counts[name].struct.unnest() if name in counts.columns else None
        for share, name in names.items()
    }
    counts = counts.drop(names.values(), strict=False)
    columns: list[Any] = []
    for total, share, ends in (
        ("n_group", "card", "share"),
        ("n_declared", "declared", "declared"),
    ):
        columns += interval(
            *(counts["n_cards"], counts[total], f"{share}_share", ends),
            design=held[share],
            census=census,
        )
    for part, whole, name in (
        ("n_families", "n_group_families", "family_share"),
        ("weight", "weight_group", "weight_share"),
    ):
        if part in counts.columns:
            some = pl.col(whole) > 0  # of a group no card may be the first of its family
            columns.append(pl.when(some).then(pl.col(part) / pl.col(whole)).alias(name))
    shares = counts.with_columns(columns)
    if held["card"] is None:
        return shares
    return author_columns(shares, held["card"], total="n_group", share="card_share", ends="share")


def named_shares(
    counts: pl.DataFrame,
    name: str,
    /,
    *,
    by: str | None = None,
    also: Mapping[str, Callable[[str], str | None]] | None = None,
    population: str = "sample",
) -> pl.DataFrame:
    """Add the shares of counts whose values go by `name`, and what is said of each value."""
    values, also = counts["value"].unique(), also or {}
    shares = with_share(counts, population=population).with_columns(
        pl.col("value")
        .replace_strict(values, pl.Series([say(value) for value in values], dtype=pl.String))
        .alias(column)
        for column, say in also.items()
    )
    return shares.select(
        *([] if by is None else [by]),
        pl.col("value").alias(name),
        *also,
        *(column for column in SHARE_COLUMNS if column in shares.columns),
    )


def check_by(by: str | None, results: tuple[str, ...]) -> None:
    """Raise a CardlabError unless `by` is one column name that no result column has too."""
    if by is not None and not isinstance(by, str):
        raise CardlabError(f"by must be the name of one column, not {by!r}.")
    if by in results:
        raise CardlabError(
            f"by={by!r}: the result has a column of that name already. Rename yours first, for "
            f"example cards.rename({{{by!r}: 'own_{by}'}})."
        )


def one_row_per_item(frame: nw.LazyFrame[Any], name: str) -> nw.LazyFrame[Any]:
    """Give each card a row for each distinct item of a list column, or one with null for none."""
    if not isinstance(frame.collect_schema()[name], nw.List):
        return frame
    items = nw.col(name).list.unique()
    n_items = items.list.len().cast(nw.Int64).fill_null(0)
    return (
        frame.with_columns(items.alias(name), n_items.alias(_N_ITEMS))
        .explode(name, empty_as_null=True, keep_nulls=True)
        .filter(~nw.col(name).is_null() | (nw.col(_N_ITEMS) <= 1))  # a null beside an item is none
        .drop(_N_ITEMS)
    )


def _with_first(cards: Any, names: dict[str, str], families: str) -> pl.LazyFrame:
    """Read the columns with a mark on the first card of each family; of texts only a hash."""
    rows = collect(narrow(cards, names).with_columns(family_key(families, _FAMILY)))
    first = first_of_families(rows[_FAMILY], rows[_ID])
    stands = pl.Series("n_families", first).cast(pl.Int64)  # so that a sum counts families
    return rows.drop(_FAMILY, _ID).with_columns(stands).lazy()


def _with_numbers(
    frame: nw.LazyFrame[Any], weight: str | None, families: str | None
) -> tuple[nw.LazyFrame[Any], list[str]]:
    """Make columns of what is added up over cards, and name them."""
    numbers = [] if families is None else ["n_families"]
    if weight is None:
        return frame, numbers
    dtype = frame.collect_schema()[_WEIGHT]
    if not dtype.is_numeric():
        raise CardlabError(
            f"weight={weight!r}: the column must hold numbers, such as downloads, not {dtype}."
        )
    held = nw.col(_WEIGHT).cast(nw.Int64 if dtype.is_integer() else nw.Float64)
    bad = held < 0
    if not dtype.is_integer():
        held = nw.when(~held.is_nan()).then(held)
        bad = bad | ~held.is_finite()
    frame = frame.with_columns(
        held.fill_null(0).alias("weight"),
        (~held.is_null()).cast(nw.Int64).alias("n_weighted"),
        bad.fill_null(False).cast(nw.Int64).alias(_BAD),
    )
    return frame, [*numbers, "weight", "n_weighted", _BAD]


def _distinct(
    frame: nw.LazyFrame[Any], numbers: list[str]
) -> tuple[pl.DataFrame, pl.Series | None]:
    """Let any engine add up the cards of each distinct list of a group; these are few.

    Where authors are asked for, they are given for each card, and ``__cards`` says where.
    """
    names = frame.collect_schema().names()
    keys = [name for name in names if name == _GROUP]
    for key in keys:
        frame = one_row_per_item(frame, key)
    authors = None
    if _AUTHOR in names:
        cards = collect(frame)
        authors = cards[_AUTHOR]
        sums = [pl.len().alias("n"), pl.col(numbers).sum(), pl.col(_CARDS)]
        found = cards.with_row_index(_CARDS).group_by(*keys, _VALUE).agg(*sums)
    else:
        each = [nw.len().alias("n"), *(nw.col(name).sum() for name in numbers)]
        found = collect(frame.group_by(*keys, _VALUE).agg(*each))
    if not keys:
        found = found.with_columns(pl.lit(0).alias(_GROUP))
    exact = [name for name in ("n", *numbers) if not found.schema[name].is_float()]
    return found.with_columns(pl.col(exact).cast(pl.Int64)), authors  # engines differ in sums


def _table(rows: pl.DataFrame, numbers: list[str], none: str | None) -> pl.DataFrame:
    """Put the sums of each value beside those of its group, most cards first."""
    sums = pl.col(numbers).sum()
    # the last digits of a sum of floats hang on their order, which threads decide
    once = (cs.by_name("weight", require_all=False) & cs.float()).round_sig_figs(12)
    groups = rows.group_by(_GROUP).agg(sums).with_columns(once)
    groups = groups.rename(
        {"n": "n_group", "n_families": "n_group_families", "weight": "weight_group"}, strict=False
    )
    have = rows.filter(pl.col(_VALUE).list.len() > 0)
    declares = pl.lit(True) if none is None else pl.col(_VALUE).list.first() != none
    declared = have.group_by(_GROUP).agg(pl.col("n").filter(declares).sum().alias("n_declared"))
    values = have.explode(_VALUE).group_by(_GROUP, _VALUE).agg(sums).with_columns(once)
    values = values.rename({"n": "n_cards", _VALUE: "value"}).drop("n_weighted", strict=False)
    for part in (groups, declared):
        values = values.join(part, on=_GROUP, how="left", nulls_equal=True)
    order = ["n_group", "n_declared", "n_families", "n_group_families"]
    order += ["weight", "weight_group", "n_weighted"]
    return values.sort(
        "n_cards", "value", _GROUP, descending=[True, False, False], nulls_last=True
    ).select(_GROUP, "value", "n_cards", cs.by_name(order, require_all=False))


def _with_designs(
    table: pl.DataFrame, rows: pl.DataFrame, authors: pl.Series, none: str | None
) -> pl.DataFrame:
    """Add how many independent cards the shares of each row are worth."""
    code, names = author_codes(authors)
    code = code[rows[_CARDS].explode().to_numpy()]
    of_card = np.repeat(np.arange(rows.height), rows[_CARDS].list.len().to_numpy())
    groups = rows.select(pl.col(_GROUP).unique(maintain_order=True)).with_row_index("group")
    listed = rows.select(_GROUP, _VALUE).with_row_index("row")
    listed = listed.join(groups, on=_GROUP, nulls_equal=True, maintain_order="left")
    at = table.select(_GROUP, pl.col("value").alias(_VALUE)).with_row_index("at")
    items = listed.explode(_VALUE, empty_as_null=False, keep_nulls=False)
    items = items.join(at, on=[_GROUP, _VALUE], nulls_equal=True).sort("row")
    group = items.unique("at").sort("at")["group"].cast(pl.Int64).to_numpy()
    # each card has the values of its row, which stand one after another
    n_items = np.bincount(items["row"], minlength=rows.height)
    several = n_items[of_card]
    first = (np.cumsum(n_items) - n_items)[of_card] - (np.cumsum(several) - several)
    place = np.repeat(first, several) + np.arange(several.sum())
    value = items["at"].to_numpy()[place], np.repeat(code, several)
    of = listed["group"].cast(pl.Int64).to_numpy()[of_card]
    declares = listed[_VALUE].list.len() > 0
    if none is not None:
        declares &= listed[_VALUE].list.first() != none
    declared = declares.fill_null(False).to_numpy()[of_card]
    parts = (of, code), (of[declared], code[declared])
    held = designs(value, *parts, group=group, names=names)
    columns = ("design", "declared_design")
    return table.with_columns(
        design.to_struct(name) for name, design in zip(columns, held, strict=True)
    )


# ---- Random draws of authors, or of cards: the values of each stay together.


def numbered(authors: pl.Series, coded: tuple[Any, pl.Series] | None = None) -> Any:
    """Give authors numbers in the order of their names; a card without one is one of its own.

    `coded` are their :func:`~.authors.author_codes`, where these are known already.
    """
    # by codes, since sorting a million strings takes a second
    code, names = coded or author_codes(authors)
    if not len(code):
        return code
    first = np.zeros(len(names), dtype=np.int64)
    first[code[::-1]] = np.arange(len(code))[::-1]
    rank = authors.gather(first).rank("dense").fill_null(0).to_numpy().astype(np.int64) - 1
    number = rank[code]
    alone = number < 0
    number[alone] = number.max(initial=-1) + 1 + np.arange(alone.sum())
    return number


#: Kinds beyond which those that a group has none of are left out.
_MANY = 2000


class Draws:
    """Random draws of the units of a corpus, each with the values of all its cards.

    `units` has a number for each card, such as that of its author. A card with several values
    counts in each of them, or with `shared` is shared equally among them.
    """

    def __init__(
        self, coded: Coded, units: Any, generator: np.random.Generator, *, shared: bool = True
    ) -> None:
        from scipy.sparse import csr_array

        self._generator, self.n_units = generator, int(units.max(initial=0)) + 1
        each = coded.of_each(1 / np.maximum(coded.lengths, 1) if shared else 1.0 + 0 * units)
        shape = (self.n_units, len(coded.names))
        table = csr_array((each, (coded.of_each(units), coded.code)), shape=shape)
        # units with the same values are alike: only their number is drawn
        marks = table @ np.random.default_rng(0).random(shape[1])
        _, first, self.kind = np.unique(marks, return_index=True, return_inverse=True)
        self.table = table[first]
        self.one_by_one = 8 * len(first) > self.n_units  # which is quicker then

    def times(self, groups: Sequence[tuple[Any, int]], size: int, *, replace: bool) -> Any:
        """Draw so many of each group of units, `size` times, and count the kinds drawn."""
        generator, n_kinds = self._generator, self.table.shape[0]
        times = np.zeros((size, n_kinds), dtype=np.int64)
        if self.one_by_one:
            kinds = [(self.kind[of], n) for of, n in groups]
            for row in times:
                drawn = (generator.choice(k, n, replace=replace, shuffle=False) for k, n in kinds)
                row += np.bincount(np.concatenate([*drawn]), minlength=n_kinds)
            return times
        for of, n in groups:
            alike = np.bincount(self.kind[of], minlength=n_kinds)
            # of many kinds a group has few, and each that it lacks would be drawn for as well
            there = np.flatnonzero(alike) if n_kinds > _MANY else np.arange(n_kinds)
            alike = alike[there]
            if replace:
                found = generator.multinomial(n, alike / len(of), size=size)
            else:
                found = generator.multivariate_hypergeometric(alike, n, size, method="marginals")
            times[:, there] += found
        return times
