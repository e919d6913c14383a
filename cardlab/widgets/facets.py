"""Columns as a reader filters by them: a bit for each card and value, so that counts are quick."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..frames import check_countable, in_batches, lists_of, strings_of
from ..schema import collect

Bits = npt.NDArray[np.uint8]

#: Values of a column that are counted at once; tags are many.
_TOP, _TOP_TAGS = 60, 200
#: Bins of dates at most: of months, else of quarters or years.
_MAX_BINS = 48
#: Cards of which the bits are made at once, so that little more than the bits is held.
_BLOCK = 2**15


@dataclass(frozen=True)
class Facet:
    """A column, its commonest values or its bins, and which cards have each.

    `values` are strings, the last None for the cards without any; of bins their lower ends, and
    one more for the end of the last. `bits` has a row for each value or bin: a bit a card.
    """

    column: str
    kind: str
    values: list[Any]
    bits: Bits
    n_distinct: int

    @cached_property
    def of(self) -> Any:
        """How many cards have each value."""
        return count(self.bits)

    def mask(self, condition: dict[str, Any]) -> Any:
        """Give the cards that fit a condition, or None where it asks for what is not counted."""
        value, op = condition["value"], condition["op"]
        if op == "between" and self.kind == "bins":
            low, high = self._place(value[0], 0), self._place(value[1], len(self.values) - 1)
            if low is None or high is None:
                return None
            return np.bitwise_or.reduce(self.bits[low:high], axis=0, initial=0)
        if op == "section":
            value = [value]
        if (
            op not in ("any", "all", "section")
            or self.kind != "values"
            or not set(value) <= {*self.values}
        ):
            return None
        rows = self.bits[[self.values.index(v) for v in value]]
        if op != "all":
            return np.bitwise_or.reduce(rows, axis=0, initial=0)
        return np.bitwise_and.reduce(rows, axis=0) if len(value) else np.zeros_like(self.bits[0])

    def _place(self, end: Any, otherwise: int) -> int | None:
        """Give the bin that begins at an end of a range."""
        if end is None:
            return otherwise
        return self.values.index(end) if end in self.values else None


def pack(mask: Any) -> Bits:
    """Give a bit for each card, in whole numbers of 64."""
    bits = np.packbits(np.asarray(mask, dtype=bool), bitorder="little")
    return np.pad(bits, (0, -len(bits) % 8))


def unpack(bits: Bits, n: int) -> npt.NDArray[np.bool_]:
    """Give back what was packed."""
    return np.unpackbits(bits, count=n, bitorder="little").view(bool)


def count(bits: Bits, left: Bits | None = None) -> Any:
    """Count the cards, of one row of bits or of each; only those that are left."""
    if bits.ndim > 1:  # row by row, which the processor's cache holds
        return np.array([count(row, left) for row in bits], dtype=np.int64)
    kept = bits if left is None else bits & left
    return np.bitwise_count(kept.view(np.uint64)).sum(dtype=np.int64)


def facet_of(cards: pl.LazyFrame, column: str, top: int | None = None) -> Facet:
    """Read a column of strings, of lists of them, of numbers or of dates."""
    dtype = cards.collect_schema()[column]
    if dtype.is_numeric() or dtype.is_temporal():
        return _bins(collect(cards.select(column))[column])
    check_countable(dtype, column)
    categories = pl.Categories.random()
    read = lists_of(column, dtype).cast(pl.List(pl.Categorical(categories)))
    batches = chain(
        [collect(cards.select(column).head(0))], in_batches(cards.select(column), _BLOCK)
    )
    lists = pl.concat((batch.select(read) for batch in batches), rechunk=False).to_series()
    blocks = [lists[start : start + _BLOCK] for start in range(0, len(lists), _BLOCK)]
    names = strings_of(categories, *blocks)
    counts, none = np.zeros(len(names), np.int64), [np.zeros(0, bool)]
    for block in blocks:
        once = block.list.unique().list.drop_nulls() if isinstance(dtype, pl.List) else block
        code = once.explode(empty_as_null=False, keep_nulls=False).to_physical()
        counts += np.bincount(code, minlength=len(names))
        none.append(once.list.len().fill_null(0).to_numpy() == 0)
    most = top or (_TOP_TAGS if column == "tags" else _TOP)
    first = np.lexsort((names.rank("ordinal").to_numpy(), -counts))[:most]
    place = np.full(len(names) + 1, len(first), dtype=np.int32)  # one more for null
    place[first] = np.arange(len(first))
    bits = np.stack([pack(np.concatenate(none))] * (len(first) + 1))
    for n, block in enumerate(blocks):
        card = np.repeat(np.arange(len(block)), block.list.len().fill_null(0).to_numpy())
        items = block.explode(empty_as_null=False, keep_nulls=False).to_physical()
        has = np.zeros((len(first) + 1, len(block)), dtype=bool)
        has[place[items.fill_null(len(names)).to_numpy()], card] = True
        part = np.packbits(has[:-1], axis=1, bitorder="little")
        bits[:-1, n * _BLOCK // 8 : n * _BLOCK // 8 + part.shape[1]] = part
    return Facet(column, "values", [*names.gather(first), None], bits, len(names))


def _bins(values: pl.Series) -> Facet:
    """Cut numbers at 1, 2, 5, 10 ..., dates at months, quarters or years."""
    known = values.drop_nulls()
    known = known.filter(known.is_finite()) if known.dtype.is_float() else known
    if values.dtype.is_temporal():
        edges: list[Any] = _dates(known)
        at = [dt.datetime.fromisoformat(edge) for edge in edges]
        naive = values.cast(pl.Datetime("us")).dt.replace_time_zone(None)
        numbers, ends = naive.to_physical(), pl.Series(at, dtype=pl.Datetime("us")).to_physical()
    else:
        edges = _numbers(known)
        numbers, ends = values, pl.Series(edges)
    bin_ = ends.cast(pl.Float64).search_sorted(numbers.cast(pl.Float64), side="right").to_numpy()
    bin_ = np.where(numbers.is_null().to_numpy(), 0, bin_)
    n_bins = max(len(edges) - 1, 0)
    bits = [pack(bin_ == i + 1) for i in range(n_bins)]
    empty = np.zeros((0, len(pack(np.zeros(len(values), bool)))), dtype=np.uint8)
    return Facet(values.name, "bins", edges, np.stack(bits) if bits else empty, n_bins)


def _numbers(values: pl.Series) -> list[int | float]:
    if not len(values):
        return []
    low, high = float(values.min()), float(values.max())  # type: ignore[arg-type]
    whole = values.dtype.is_integer()
    if low < 0 or (not whole and high <= 10):  # no lengths or counts: ten equal steps
        step = 10.0 ** np.floor(np.log10(max(high - low, 1e-9))) / 2
        first = np.floor(low / step)
        steps = int(np.floor(high / step) - first) + 2
        return [round(float((first + i) * step), 10) for i in range(steps)]
    edges = [0, *(factor * 10**power for power in range(310) for factor in (1, 2, 5))]
    return edges[: next(i for i, edge in enumerate(edges) if edge > high) + 1]


def _dates(values: pl.Series) -> list[str]:
    if not len(values):
        return []
    first, last = values.min(), values.max()
    months = (last.year - first.year) * 12 + last.month - first.month + 1  # type: ignore[union-attr]
    step = next((s for s in (1, 3) if months / s <= _MAX_BINS), 12)
    start = first.year * 12 + (first.month - 1) // step * step  # type: ignore[union-attr]
    n = (first.year * 12 + first.month - 1 + months - start + step - 1) // step  # type: ignore[union-attr]
    ends = (divmod(start + i * step, 12) for i in range(n + 1))
    return [f"{year:04}-{month + 1:02}-01" for year, month in ends if year <= 9999]
