"""What each column of a corpus holds."""

from __future__ import annotations

from typing import Any

import polars as pl

from ..frames import as_polars
from ..schema import collect, printable, shorten

#: Distinct values up to which a column of strings is shown as classes.
MAX_CLASSES = 1000

#: Columns whose values are too long to be held all at once.
_LONG = ("text", "metadata")


def profile(cards: Any) -> pl.DataFrame:
    """Describe every column of a corpus.

    Parameters
    ----------
    cards : frame

    Returns
    -------
    pl.DataFrame
        One row per column, in the frame's order: ``column``, ``dtype``, ``n_null``,
        ``null_share`` (0-1 of all cards), ``n_unique`` (distinct values; of lists their distinct
        items; null for vectors and structs), ``length_min``, ``length_median``, ``length_max``
        (characters of strings, items of lists; null otherwise), ``examples`` (list of str: the
        commonest values with their number of cards where there are few, else the first different
        ones; cut to 60 characters, control characters replaced).

    Notes
    -----
    Exact, from one pass over the cards (and a second over the columns shown as classes). Only
    the distinct values of ``text`` and ``metadata`` and the distinct items of lists are counted by
    64-bit hashes: among two million different ones, the chance that any two share a hash is about
    one in ten million.

    Examples
    --------
    >>> cl.profile(cl.make_cards(200))["column", "dtype", "null_share", "n_unique"].row(3)
    ('text', 'String', 0.0, 176)
    """
    frame = as_polars(cards).lazy()
    schema = frame.collect_schema()
    wanted = [
        statistic.alias(f"{number}:{name}")
        for number, (column, dtype) in enumerate(schema.items())
        for name, statistic in _statistics(column, dtype).items()
    ]
    row = collect(frame.select(pl.len().alias("n"), *wanted)).row(0, named=True)
    found: list[dict[str, Any]] = []
    for number, (column, dtype) in enumerate(schema.items()):
        value = {key.split(":")[1]: row[key] for key in row if key.startswith(f"{number}:")}
        found.append({"column": column, "dtype": str(dtype), **value})
    classes = _classes(frame, schema, found)
    for item in found:
        first = item.pop("first")
        item["null_share"] = item["n_null"] / row["n"] if row["n"] else None
        item["examples"] = classes.get(item["column"]) or _first_ones(first)
    layout: dict[str, Any] = {
        "column": pl.String,
        "dtype": pl.String,
        "n_null": pl.Int64,
        "null_share": pl.Float64,
        "n_unique": pl.Int64,
        "length_min": pl.Int64,
        "length_median": pl.Float64,
        "length_max": pl.Int64,
        "examples": pl.List(pl.String),
    }
    return pl.DataFrame(found, schema=layout)


def _statistics(column: str, dtype: pl.DataType) -> dict[str, pl.Expr]:
    """Give the expressions of one column's row in the profile."""
    values = pl.col(column)
    none = pl.lit(None, pl.Int64)
    found = {
        "n_null": values.null_count().cast(pl.Int64),
        "n_unique": none,
        "length_min": none,
        "length_median": none,
        "length_max": none,
    }
    some = values.filter(values.list.len() > 0) if isinstance(dtype, pl.List) else values
    some = some.drop_nulls()
    # of the longer kinds the first cards only, as their different values would fill the memory
    some = some.head(1000) if dtype.is_nested() or dtype == pl.String else some
    unlike = dtype in (pl.Struct, pl.Array, pl.Object)  # polars knows no different ones of these
    first = some.head(3) if unlike else some.unique(maintain_order=True).head(3)
    if isinstance(dtype, pl.Datetime):  # as text: Python has no year beyond 9999
        first = first.dt.strftime("%Y-%m-%d %H:%M:%S" + ("%:z" if dtype.time_zone else ""))
    found["first"] = first.implode()
    lengths = None
    if dtype == pl.String:
        lengths = values.str.len_chars()
    elif isinstance(dtype, pl.List):
        lengths = values.list.len()
        if dtype.inner == pl.String:
            items = values.explode(empty_as_null=False, keep_nulls=False)
            found["n_unique"] = items.drop_nulls().hash().n_unique().cast(pl.Int64)
    elif isinstance(dtype, pl.Array):
        lengths = values.arr.len()
    if not dtype.is_nested():
        known = values.drop_nulls()
        # distinct texts of a whole Hub would fill the memory; their hashes do not
        long = column in _LONG and dtype == pl.String
        found["n_unique"] = (known.hash() if long else known).n_unique().cast(pl.Int64)
    if lengths is not None:
        found["length_min"] = lengths.min().cast(pl.Int64)
        found["length_median"] = lengths.median()
        found["length_max"] = lengths.max().cast(pl.Int64)
    return found


def _classes(frame: pl.LazyFrame, schema: pl.Schema, found: list[Any]) -> dict[str, list[str]]:
    """Give the commonest values of the columns that have few, with their numbers of cards."""
    few = [
        item["column"]
        for item in found
        if item["n_unique"]
        and item["n_unique"] <= MAX_CLASSES
        and (item["length_max"] or 0) <= 60
        and schema[item["column"]] in (pl.String, pl.Boolean)
    ]
    if not few:
        return {}
    counts = collect(frame.select(pl.col(c).drop_nulls().value_counts().implode() for c in few))
    shown = {}
    for column in few:
        pairs = [tuple(item.values()) for item in counts[column][0].to_list()]
        pairs.sort(key=lambda pair: (-pair[1], str(pair[0])))
        shown[column] = [f"{printable(str(value))} ({n:,})" for value, n in pairs[:3]]
    return shown


def _first_ones(values: Any) -> list[str]:
    shown = []
    for value in values or []:
        if isinstance(value, (list, tuple)):
            value = ", ".join(str(item) for item in value[:5]) + (", …" if len(value) > 5 else "")
        shown.append(shorten(printable(" ".join(str(value)[:200].split())), 60))
    return list(dict.fromkeys(shown))
