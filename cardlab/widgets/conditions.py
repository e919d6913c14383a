"""What a selection is made of: conditions kept as data, read as polars and written as code."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from ..coverage.coverage import card_coverage
from ..embeddings.search import search
from ..languages import with_languages
from ..licenses.counts import with_licenses
from ..schema import CardlabError, MissingColumn, label, one_of, printable, shorten
from ..text.lengths import MEASURES, with_text_lengths

#: Gives the ids of :func:`ids_found`.
Find = Callable[[dict[str, Any]], pl.Series]
#: Cards that a search leaves at most: the best.
MAX_FOUND = 1_000

#: Columns that follow from others: what is needed, how they are made, and how code says so.
_LENGTHS = {
    name: (
        "metadata" if "metadata" in name else "text",
        lambda cards, name=name: with_text_lengths(cards, measures=[name]),
        f"cl.with_text_lengths, measures=[{name!r}]",
    )
    for name in MEASURES
}
DERIVED: dict[str, tuple[str, Any, str]] = {
    "license_class": ("license", with_licenses, "cl.with_licenses"),
    "language_codes": ("languages", with_languages, "cl.with_languages"),
    **_LENGTHS,
}
#: How cards can be sorted: what it is called, the column, and whether downwards.
SORTS = {
    "as they come": ("", False),
    "by id": ("id", False),
    "most downloads": ("downloads", True),
    "newest": ("created_at", True),
}
#: What a condition can ask, and what its value must be.
_LIST, _RANGE = "a list of strings", "[from, to] in numbers or ISO dates, null for an open end"
_OPS = {"any": _LIST, "all": _LIST, "between": _RANGE}
_OPS |= {**dict.fromkeys(("contains", "search", "section"), "a string"), "ids": _LIST}


def checked(condition: Any, schema: Mapping[str, pl.DataType]) -> dict[str, Any]:
    """Give a condition as plain data, or raise a CardlabError that says what it lacks."""
    if not isinstance(condition, Mapping) or not {"column", "op", "value"} <= set(condition):
        raise CardlabError(
            "a condition is a mapping with column, op and value, such as "
            "{'column': 'tags', 'op': 'all', 'value': ['pytorch']}, "
            f"not {shorten(printable(repr(condition)), 80)}."
        )
    column, op, value = (condition[key] for key in ("column", "op", "value"))
    one_of(op, _OPS, name="op")
    if op not in ("search", "section"):
        needs = DERIVED.get(column, (column,))[0]
        if column not in schema and needs not in schema:
            raise MissingColumn(
                f"the cards have no column {column!r} for a condition. They have: "
                f"{shorten(', '.join(map(printable, schema)), 300)}.",
                str(column),
            )
    good = isinstance(value, (list, tuple))
    if op == "between":
        good = good and len(value) == 2 and all(map(_is_end, value))
    elif _OPS[op] == _LIST:
        good = good and all(isinstance(v, str | None) for v in value)
    else:
        good = isinstance(value, str) and bool(value.strip())
    if not good:
        raise CardlabError(
            f"the value of a condition {op!r} on {printable(str(column))!r} is "
            f"{shorten(printable(repr(value)), 80)}: it must be {_OPS[op]}."
        )
    return {"column": column, "op": op, "value": value if isinstance(value, str) else [*value]}


def _is_end(value: Any) -> bool:
    if isinstance(value, str):
        try:
            dt.datetime.fromisoformat(value)
        except ValueError:
            return False
        return True
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value is None or (number and math.isfinite(value))


def with_columns(cards: pl.LazyFrame, conditions: list[dict[str, Any]]) -> tuple[Any, list[str]]:
    """Add the columns that conditions need and the cards lack, and say how."""
    have, lines = {*cards.collect_schema()}, []
    for condition in conditions:
        column = condition["column"]
        if column in DERIVED and column not in have:
            _, add, code = DERIVED[column]
            cards, have = add(cards), {*have, column}
            lines.append(f".pipe({code})")
    return cards, lines


def ids_found(cards: pl.LazyFrame, condition: dict[str, Any]) -> pl.Series:
    """Give the ids of the cards that a search finds, or that fill a section."""
    if condition["op"] == "search":
        return search(cards, condition["value"], top=MAX_FOUND)["id"]
    filled = card_coverage(cards).filter(pl.col("state") == "filled")
    return filled.filter(pl.col("section") == condition["value"])["id"]


def expression(
    condition: dict[str, Any], dtype: pl.DataType | None, find: Find, name: str
) -> tuple[pl.Expr, str]:
    """Give a condition as an expression and as its code, in which the cards are called `name`."""
    column, op, value = condition["column"], condition["op"], condition["value"]
    one, code = pl.col(column), f"pl.col({column!r})"
    if op in ("any", "all"):
        return _among(one, code, op, value, is_list=isinstance(dtype, pl.List))
    if op == "between":
        return _between(one, code, value, dtype)
    if op == "contains":
        query = value.strip().lower()
        found = one.str.to_lowercase().str.contains(query, literal=True)
        return found, f"{code}.str.to_lowercase().str.contains({query!r}, literal=True)"
    own = pl.col("id")
    if op == "ids":
        return own.is_in(value), f"pl.col('id').is_in({value!r})"
    if op == "search":
        code = f"cl.search({name}, {value!r}, top={MAX_FOUND})"
    else:
        code = (
            f"cl.card_coverage({name}).filter(pl.col('section') == {value!r}, "
            "pl.col('state') == 'filled')"
        )
    return own.is_in(find(condition).implode()), f"pl.col('id').is_in({code}['id'].implode())"


def _among(
    one: pl.Expr, code: str, op: str, value: list[Any], *, is_list: bool
) -> tuple[pl.Expr, str]:
    """Of a card's values one, or all, are among these; None stands for a card that has none."""
    known = [v for v in value if v is not None]
    if not is_list:
        found, said = one.is_in(known), f"{code}.is_in({known!r})"
        nothing, none = one.is_null(), f"{code}.is_null()"
    else:
        together = pl.all_horizontal if op == "all" else pl.any_horizontal
        each = [f"{code}.list.contains({v!r})" for v in known]
        found = together([one.list.contains(v) for v in known] or [pl.lit(False)])
        said = f" {'&' if op == 'all' else '|'} ".join(each) or "pl.lit(False)"
        nothing = one.list.len().fill_null(0) == 0
        none = f"({code}.list.len().fill_null(0) == 0)"
    if len(known) == len(value):
        return found, said
    return (found | nothing, f"({said}) | {none}") if known else (nothing, none)


def _between(
    one: pl.Expr, code: str, value: list[Any], dtype: pl.DataType | None
) -> tuple[pl.Expr, str]:
    """Read a range whose upper end does not belong to it."""
    zone = getattr(dtype, "time_zone", None)
    if dtype is not None and dtype.is_float():  # polars takes NaN for the largest number
        one, code = one.fill_nan(None), f"{code}.fill_nan(None)"
    parts: list[tuple[pl.Expr, str]] = []
    for end, is_low in zip(value, (True, False), strict=True):
        if end is None:
            continue
        bound, said = pl.lit(end), repr(end)
        if isinstance(end, str):
            day = dt.datetime.fromisoformat(end).replace(tzinfo=None)
            at = [day.year, day.month, day.day, day.hour, day.minute, day.second]
            while len(at) > 3 and not at[-1]:
                at.pop()
            bound = pl.datetime(*at, time_zone=zone)
            zoned = f", time_zone={zone!r}" if zone else ""
            said = f"pl.datetime({', '.join(map(str, at))}{zoned})"
        sign = ">=" if is_low else "<"
        parts.append((one >= bound if is_low else one < bound, f"({code} {sign} {said})"))
    if not parts:
        return one.is_not_null(), f"{code}.is_not_null()"
    return pl.all_horizontal(part for part, _ in parts), " & ".join(text for _, text in parts)


def label_of(column: str) -> str:
    """Give what a column is called."""
    return MEASURES.get(column) or label(column)


def said(condition: dict[str, Any]) -> str:
    """Say a condition in a few words, for the button that takes it away."""
    op, value, name = condition["op"], condition["value"], label_of(condition["column"])
    if op == "ids":
        return f"{len(value):,} chosen cards"
    if op == "between":
        low, high = ("…" if end is None else str(end)[:10] for end in value)
        return f"{name}: {low} to {high}"
    words = (
        value if isinstance(value, str) else ", ".join("none" if v is None else v for v in value)
    )
    verb = {"contains": " contains", "search": "", "section": ""}.get(op, ":")
    return printable(shorten(f"{name}{verb} {words}", 80))
