"""JSON and JSON lines -> raw rows, where a field may change its type from card to card.

The Hub's own listings have `cardData` of any shape, and `license` now as a string, now as a list,
so no fixed schema reads them. Lines that are not JSON are kept as rows with a problem.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from ..schema import ALIASES, COLUMNS, PROBLEMS, STRINGS, SourceError, printable, shorten

_BATCH = 10_000
#: Rows looked at to name the columns and to type those that cardlab does not know.
_LOOK_AT = 10_000

_LISTS = {name for name, dtype in COLUMNS.items() if dtype == STRINGS}
_CANONICAL = {alias: name for name, aliases in ALIASES.items() for alias in aliases}
_VECTOR = pl.List(pl.Float32)


def scan_json_lines(files: list[Any]) -> pl.LazyFrame:
    """Scan JSON lines lazily: one object a line, read in batches, only the columns asked for."""
    rows = (row for row in _lines(files) if isinstance(row, dict))
    schema = _schema(row for row, _ in zip(rows, range(_LOOK_AT), strict=False))
    return _lazy(lambda: _lines(files), schema)


def scan_json(files: list[Any]) -> pl.LazyFrame:
    """Scan JSON files: a list of objects, one object per id, or one card's object each."""
    rows = [row for file in files for row in _objects(file)]
    return frame_of_records(rows).lazy()


def frame_of_records(rows: Iterable[Any]) -> pl.DataFrame:
    """Give dictionaries, one a card, as a frame of raw columns."""
    rows = list(rows)
    schema = _schema(row for row in rows if isinstance(row, dict))
    return _frame(rows, schema, list(schema), first=1)


def _lazy(make: Any, schema: dict[str, Any]) -> pl.LazyFrame:
    def batches(
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        names = list(schema) if with_columns is None else with_columns
        left, first, rows = n_rows, 1, iter(make())
        while left is None or left > 0:
            size = _BATCH if left is None else min(_BATCH, left)
            batch = [row for row, _ in zip(rows, range(size), strict=False)]
            if not batch:
                return
            frame = _frame(batch, schema, names, first=first)
            first += len(batch)
            left = None if left is None else left - len(batch)
            yield frame if predicate is None else frame.filter(predicate)

    return register_io_source(batches, schema=schema, is_pure=True)


def _lines(files: list[Any]) -> Iterator[Any]:
    for file in files:
        if not isinstance(file, Path):
            raise SourceError(f"{file}: JSON lines are read from local files; download it first.")
        with open(file, encoding="utf-8-sig", errors="replace", newline="\n") as lines:
            for line in lines:
                if line.strip():
                    yield _parsed(line)


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        return shorten(f"{error}: {line.strip()}", 200)


def _objects(file: Any) -> list[Any]:
    if not isinstance(file, Path):
        raise SourceError(f"{file}: JSON is read from local files; download it first.")
    try:
        value = json.loads(file.read_text(encoding="utf-8-sig", errors="replace"))
    except RecursionError as error:
        raise ValueError("its values nest too deep") from error
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and not {"id", *ALIASES["id"]} & set(value):
        if value and all(isinstance(item, dict) for item in value.values()):
            return [{"id": key, **item} for key, item in value.items()]
        if len(value) == 1 and isinstance(next(iter(value.values())), list):
            return list(next(iter(value.values())))
    return [value]


def _schema(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    kinds: dict[str, set[type]] = {}
    for row in rows:
        for name, value in row.items():
            kinds.setdefault(str(name), set()).add(_kind(value))
    schema = {name: _dtype(name, found - {type(None)}) for name, found in kinds.items()}
    return {**schema, "__problems": PROBLEMS}


def _kind(value: Any) -> type:
    if isinstance(value, list) and all(isinstance(item, (str, type(None))) for item in value):
        return list
    return dict if isinstance(value, (list, dict)) else type(value)


def _dtype(name: str, kinds: set[type]) -> Any:
    canonical = _CANONICAL.get(name, name)
    if canonical in _LISTS:
        # a string may be a list in disguise (`a;b`): keep it as text for the canonical rules
        return pl.String if kinds == {str} else STRINGS
    if canonical == "embeddings":
        return _VECTOR
    if canonical in COLUMNS or canonical == "card":
        return pl.String
    if kinds == {bool}:
        return pl.Boolean
    if kinds == {int}:
        return pl.Int64
    if kinds and kinds <= {int, float}:
        return pl.Float64
    return STRINGS if kinds == {list} else pl.String


def _frame(
    rows: list[Any], schema: dict[str, Any], names: list[str], *, first: int
) -> pl.DataFrame:
    problems: list[list[dict[str, str]]] = [[] for _ in rows]
    for number, (row, found) in enumerate(zip(rows, problems, strict=True), start=first):
        if not isinstance(row, dict):
            found.append(_problem("id", "bad_json", f"record {number} is not an object: {row}"))
    data = {}
    for name in names:
        if name == "__problems":
            continue
        values = [row.get(name) if isinstance(row, dict) else None for row in rows]
        data[name] = _series(name, values, schema[name], problems)
    if "__problems" in names:
        # values are looked at in every column, so that what is listed does not depend on the query
        for name in (n for n in schema if n not in data and n != "__problems"):
            values = [row.get(name) if isinstance(row, dict) else None for row in rows]
            _series(name, values, schema[name], problems)
        data["__problems"] = pl.Series(problems, dtype=PROBLEMS)
    return pl.DataFrame(data, schema={name: schema[name] for name in names})


def _series(name: str, values: list[Any], dtype: Any, problems: list[Any]) -> pl.Series:
    fitted = [_fit(value, dtype) for value in values]
    for value, new, found in zip(values, fitted, problems, strict=True):
        if value is not None and new is None and value == value:
            detail = f"{type(value).__name__} where {dtype} was expected: {value!r}"
            found.append(_problem(name, "bad_value", detail))
    return pl.Series(name, fitted, dtype=dtype)


def _fit(value: Any, dtype: Any) -> Any:
    """Give a JSON value in the type of its column, or None where it does not fit."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if dtype == pl.String:
        if isinstance(value, str):
            return value
        return json.dumps(value, ensure_ascii=False, default=str)
    if dtype in (STRINGS, _VECTOR):
        return _fit_list(value, dtype)
    if dtype == pl.Boolean:
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if dtype == pl.Int64:
        return value if isinstance(value, int) and abs(value) < 2**63 else None
    return float(value)


def _fit_list(value: Any, dtype: Any) -> Any:
    if hasattr(value, "tolist"):  # a numpy array in a pandas cell
        value = value.tolist()
    if dtype == STRINGS:
        items = value if isinstance(value, (list, tuple)) else [value]
        return [i if isinstance(i, str) else json.dumps(i) for i in items if i is not None]
    if isinstance(value, list) and all(isinstance(item, (int, float)) for item in value):
        return value
    return None


def _problem(column: str, kind: str, detail: str) -> dict[str, str]:
    return {"column": column, "problem": kind, "detail": shorten(printable(detail), 300)}
