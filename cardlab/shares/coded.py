"""Counting in polars by codes: strings are read once as numbers, then it is arithmetic.

It gives what the way over distinct lists in ``counting`` gives, in half the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ..schema import STRINGS, collect

#: Gives the name, or the several names, under which a distinct string is counted.
Rename = Callable[[str], str | tuple[str, ...]]


@dataclass(frozen=True)
class Codes:
    """The items of all cards: the number of the card, which ascends, and that of its name."""

    row: Any
    code: Any
    names: pl.Series


def count_codes(
    frame: pl.LazyFrame,
    *,
    value: str,
    group: str | None,
    numbers: Sequence[str],
    rename: Rename | None,
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Count the cards of each value, of each group, and those of a group that have any value.

    Parameters
    ----------
    frame : pl.LazyFrame
        With the columns `value` and `group`.
    value, group : str
        What is counted, and what it is counted by.
    numbers : sequence of str
        Columns to add up over the cards beside ``n``, their number.
    rename : callable, optional
        The name under which a distinct value is counted.

    Returns
    -------
    values, groups, declared : pl.DataFrame
        ``[group,] [value,] n`` and the sums of `numbers`.
    """
    columns = [value, *([] if group is None else [group])]
    schema = frame.collect_schema()
    casts = [_categories(name, schema[name]) for name in columns]
    rows = collect(frame.select(*casts, *numbers))
    if group is None and not numbers and isinstance(rows.schema[value], pl.List):
        counted = _count_plain(rows[value], rename)
        if counted is not None:
            return counted
    items = _once(_renamed(_codes(rows[value]), rename))
    groups = None if group is None else _with_none(_once(_codes(rows[group])), rows.height)
    sums = [pl.len().cast(pl.Int64).alias("n"), *(pl.col(name).sum() for name in numbers)]

    def added(row: Any, code: Any = None) -> pl.DataFrame:
        if code is not None and groups is None and not numbers:  # the commonest question
            n_each = pl.Series("n", np.bincount(code, minlength=len(items.names)), pl.Int64)
            return pl.DataFrame([items.names.alias(value), n_each]).filter(pl.col("n") > 0)
        which, of_group = _expand(groups, row)
        keys = {} if of_group is None or group is None else {group: of_group}
        keys |= {} if code is None else {value: code[which]}
        add = rows.select(numbers)[row[which]] if numbers else None
        if not keys:
            n = pl.DataFrame({"n": [len(row)]}, schema={"n": pl.Int64})
            return n if add is None else n.hstack(add.sum())
        table = pl.DataFrame(keys) if add is None else pl.DataFrame(keys).hstack(add)
        table = table.group_by(list(keys)).agg(sums)
        for name, coded in ((value, items), (group, groups)):
            if name in keys and coded is not None:
                table = table.with_columns(coded.names.gather(table[name]).alias(name))
        return table

    first = np.append(True, items.row[1:] != items.row[:-1])[: len(items.row)]
    every = np.arange(rows.height)
    return added(items.row, items.code), added(every), added(items.row[first])


def _count_plain(
    values: pl.Series, rename: Rename | None
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame] | None:
    """Count a column without groups: only cards with several items can repeat one.

    None where lists hold nulls, which needs to be told card by card.
    """
    inner = values.dtype.inner  # type: ignore[attr-defined]
    if not isinstance(inner, pl.Categorical):
        return None
    items = values.explode(empty_as_null=False, keep_nulls=False).to_physical()
    if items.null_count():
        return None
    lengths = values.list.len().fill_null(0).to_numpy()
    names = inner.categories.to_series().cast(pl.String)
    code = items.to_numpy()
    used = np.bincount(code, minlength=max(len(names), 1))
    place, new, several = _places(names, used, rename)
    if several:
        return None
    n = np.zeros(len(place), dtype=np.int64)
    np.add.at(n, place, used)
    again = _repeated(code, lengths, place)
    n -= np.bincount(again, minlength=len(n))
    table = pl.DataFrame({values.name: new, "n": n[: len(new)]})
    whole = [pl.DataFrame({"n": [n]}) for n in (len(values), int((lengths > 0).sum()))]
    return table.filter(pl.col("n") > 0), whole[0], whole[1]


def _repeated(code: Any, lengths: Any, place: Any) -> Any:
    """Give the number of each item that its card has already, once for each time too many."""
    several = np.flatnonzero(lengths > 1)
    length = lengths[several].astype(np.int64)
    # where the items of these cards lie among all
    first = np.cumsum(lengths, dtype=np.int64)[several] - np.cumsum(length)
    item = place[code[np.arange(length.sum()) + np.repeat(first, length)]]
    small = len(length) * len(place) < 2**32  # half as many bytes to sort
    kind: Any = np.uint32 if small else np.uint64
    key = np.repeat(np.arange(len(length), dtype=kind) * kind(len(place)), length)
    key += item.astype(kind)
    key.sort()
    return (key[1:][key[1:] == key[:-1]] % kind(len(place))).astype(np.int64)


def _categories(name: str, dtype: pl.DataType) -> pl.Expr:
    """Read strings as codes; other types stay as they are."""
    if dtype == STRINGS:
        return pl.col(name).cast(pl.List(pl.Categorical(pl.Categories.random())))
    if dtype == pl.String:
        return pl.col(name).cast(pl.Categorical(pl.Categories.random()))
    return pl.col(name)


def _codes(values: pl.Series) -> Codes:
    """Give numbers to the items of a column; a list may give an item several times."""
    if not isinstance(values.dtype, pl.List):
        code, names = _numbered(values)
        row = np.flatnonzero(values.is_not_null().to_numpy())
        return Codes(row, code[row], names)
    lengths = values.list.len().fill_null(0).to_numpy().astype(np.int64)
    flat = values.explode(empty_as_null=False, keep_nulls=False)
    row = np.repeat(np.arange(len(lengths)), lengths)
    code, names = _numbered(flat)
    if flat.null_count():
        known = flat.is_not_null().to_numpy()
        row, code = row[known], code[known]
    return Codes(row, code, names)


def _numbered(values: pl.Series) -> tuple[Any, pl.Series]:
    """Give each item's number (any where it is null) and the names that the numbers stand for."""
    if isinstance(values.dtype, pl.Categorical):
        names = values.dtype.categories.to_series().cast(pl.String)
        return values.to_physical().fill_null(0).to_numpy().astype(np.int64), names
    names = values.drop_nulls().unique(maintain_order=True)
    number = pl.DataFrame({"name": names, "number": np.arange(len(names))})
    found = (
        values.alias("name").to_frame().join(number, on="name", how="left", maintain_order="left")
    )
    return found["number"].fill_null(0).to_numpy(), names


def _once(codes: Codes) -> Codes:
    """Keep each item once a card; mostly a card has one item only."""
    row, code = codes.row, codes.code
    same = row[1:] == row[:-1]
    if not same.any():
        return codes
    place = np.flatnonzero(np.append(same, False) | np.append(False, same))
    # as rows ascend, sorting by card and item leaves each card its places
    key = row[place] * len(codes.names) + code[place]
    key.sort()
    code = code.copy()
    code[place] = key % len(codes.names)
    kept = np.ones(len(row), dtype=bool)
    kept[place[1:][key[1:] == key[:-1]]] = False
    return Codes(row[kept], code[kept], codes.names)


def _renamed(codes: Codes, rename: Rename | None) -> Codes:
    """Count under other names: Python is called once for each distinct one."""
    if rename is None:
        return codes
    used = np.bincount(codes.code, minlength=len(codes.names))
    place, names, several = _places(codes.names, used, rename)
    if not several:
        return Codes(codes.row, place[codes.code], names)
    olds = [[at, new] for at, first in enumerate(place) for new in several.get(at, [first])]
    old, new = np.array(olds, dtype=np.int64).T
    which, code = _expand(Codes(old, new, names), codes.code)
    return Codes(codes.row[which], code, names)


def _places(
    names: pl.Series, used: Any, rename: Rename | None
) -> tuple[Any, pl.Series, dict[int, list[int]]]:
    """Give the new number of each old one that is used, and what the new ones stand for.

    The last are the new numbers of the old ones that are counted under several names.
    """
    if rename is None:
        return np.arange(max(len(names), 1)), names, {}
    number: dict[str, int] = {}
    several = {}
    place = np.zeros(max(len(names), 1), dtype=np.int64)
    for old in np.flatnonzero(used).tolist():
        new = rename(names[old])
        found = [new] if isinstance(new, str) else new
        several[old] = [number.setdefault(name, len(number)) for name in found]
        place[old] = several[old][0]
    several = {old: new for old, new in several.items() if len(new) > 1}
    return place, pl.Series(list(number), dtype=pl.String), several


def _with_none(codes: Codes, n: int) -> Codes:
    """Put the cards without a group into the group null."""
    none = np.flatnonzero(np.bincount(codes.row, minlength=n) == 0)
    row = np.concatenate([codes.row, none])
    code = np.concatenate([codes.code, np.full(len(none), len(codes.names))])
    order = np.argsort(row, kind="stable")
    names = codes.names.clone().extend_constant(None, 1)
    return Codes(row[order], code[order], names)


def _expand(groups: Codes | None, row: Any) -> tuple[Any, Any]:
    """Repeat each of some cards for each of its groups: their places in `row`, and the groups."""
    if groups is None:
        return slice(None), None
    n_groups = np.bincount(groups.row)
    first = np.cumsum(n_groups) - n_groups
    size = n_groups[row]
    which = np.repeat(np.arange(len(row)), size)
    place = np.arange(len(which)) - np.repeat(np.cumsum(size) - size, size)
    return which, groups.code[first[row][which] + place]
