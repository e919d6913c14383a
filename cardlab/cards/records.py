"""JSON, JSON lines and objects in memory -> raw rows, where a field may change its type.

The Hub's own listings have `cardData` of any shape, and `license` now as a string, now as a list,
so no fixed schema reads them. What is not an object is kept as a row with a problem.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from polars.io.plugins import register_io_source

from ..schema import (
    ALIASES,
    COLUMNS,
    GUESSES,
    KNOWN,
    PROBLEM,
    PROBLEMS,
    STRINGS,
    SourceError,
    problem,
    unreadable,
)

_BATCH = 10_000
IDS = ("id", *ALIASES["id"])
#: Names of rows that are sure to be such.
_ALSO_IDS = {*IDS, *GUESSES["id"]}
_LISTS = {name for name, dtype in COLUMNS.items() if dtype == STRINGS}
_CANONICAL = {a: n for names in (GUESSES, ALIASES) for n, also in names.items() for a in also}
_VECTOR = pl.List(pl.Float32)
_PROBLEM = set(PROBLEM.to_schema())
_MANY = (list, tuple, set, frozenset)
#: Key of what was found wrong with a row: no key of any JSON object.
_FOUND: Any = object()
NOT_UTF8 = "what is not UTF-8 here became U+FFFD"
_PACKED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".lz4": "lz4"}
_HALF = re.compile("[\ud800-\udfff]")
#: pyarrow makes lists from Python ten times as fast as polars does.
_ARROW = {
    STRINGS: pa.large_list(pa.large_string()),
    _VECTOR: pa.large_list(pa.float32()),
    PROBLEMS: pa.large_list(pa.struct([(name, pa.large_string()) for name in PROBLEM.to_schema()])),
}


def lazily(
    batches: Callable[[list[str]], Iterator[pl.DataFrame]], schema: dict[str, Any]
) -> pl.LazyFrame:
    """Scan what a function gives in batches, each with the columns that it is asked for."""

    def source(
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        left = n_rows
        try:
            for batch in batches(list(schema) if with_columns is None else with_columns):
                frame = batch if left is None else batch.head(left)
                yield frame if predicate is None else frame.filter(predicate)
                if left is not None:
                    left -= frame.height
                    if left <= 0:
                        return
        except SourceError:
            raise
        except (pa.ArrowException, OSError, ValueError) as error:
            raise unreadable(error) from error

    return register_io_source(source, schema=schema, is_pure=True)


def series(name: str, values: list[Any], dtype: Any) -> pl.Series:
    """Make a column of Python values that have its type already."""
    if dtype in _ARROW:
        return pl.Series(name, pa.array(values, type=_ARROW[dtype])).cast(dtype)
    return pl.Series(name, values, dtype=dtype)


def is_packed(name: str) -> bool:
    """Tell by a file's name whether it is compressed."""
    return Path(name.lower()).suffix in _PACKED


def open_bytes(file: Any) -> Any:
    """Open a local file to read its bytes; ``.gz``, ``.zst``, ``.bz2`` and ``.lz4`` unpacked."""
    if not isinstance(file, Path):
        raise SourceError(f"{file}: JSON is read from local files; download it first.")
    if not is_packed(file.name):
        return file.open("rb", 1 << 20)
    packed = pa.input_stream(str(file), compression=_PACKED[file.suffix.lower()])
    return io.BufferedReader(packed, 1 << 20)


def _starts(file: Any) -> bytes:
    with open_bytes(file) as content:
        return bytes(content.peek(1))


def encoding_of(content: bytes) -> str:
    """Tell UTF-8, UTF-16 and UTF-32 by the first bytes, with or without a mark."""
    return json.detect_encoding(content[:4].ljust(4, b" "))


def scan_json_lines(files: list[Any]) -> pl.LazyFrame:
    """Scan JSON lines lazily: one object a line, read in batches, only the columns asked for.

    All lines are looked at first, so that a column or a type that comes late is not lost.
    """
    if any(_starts(file).lstrip().startswith(b"[") for file in files):
        with suppress(ValueError):
            return scan_json(files)  # a document under this name

    return scan_rows(lambda: (row for file in files for row in _lines(file)))


def scan_rows(
    make: Callable[[], Iterator[dict[str, Any]]], names: Iterable[str] = ()
) -> pl.LazyFrame:
    """Scan rows that can be made anew lazily, in batches, only the columns asked for.

    Columns of these `names` are there though no row is.
    """

    def batches(names: list[str]) -> Iterator[pl.DataFrame]:
        rows = make()
        while batch := list(islice(rows, _BATCH)):
            yield _frame(batch, schema, names)

    schema = {**dict.fromkeys(names, pl.Null()), **_schema(make())}
    return lazily(batches, schema)


def scan_json(files: list[Any]) -> pl.LazyFrame:
    """Scan JSON files: see :func:`records_of` for what one may hold."""
    return frame_of_records([row for file in files for row in _document(file)]).lazy()


def frame_of_records(rows: Iterable[Any]) -> pl.DataFrame:
    """Give dictionaries or objects, one a card, as a frame of raw columns."""
    rows = [_row(row, f"record {number}") for number, row in enumerate(rows, start=1)]
    schema = _schema(rows)
    return _frame(rows, schema, list(schema))


def records_of(value: Any) -> list[Any]:
    """Give the records that one value holds.

    A list of them; one; one per id; one list of them among other things (``rows``, ``data``,
    ``models``); or columns, as lists or as mappings by row (pandas' default), or as ``columns``
    and ``data`` (pandas' ``split``).
    """
    if not isinstance(value, dict):
        return value if isinstance(value, list) else [value]
    name = next((name for name in IDS if name in value), None)
    if name is not None:
        return _transposed(value, name)
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        names = [str(name) for name in value["columns"]]
        return [dict(zip(names, row, strict=True)) for row in value["data"]]
    if value and all(isinstance(item, dict) for item in value.values()):
        named = any(set(IDS) & set(item) for item in value.values())
        return [item if named else {"id": key, **item} for key, item in value.items()]
    for items in value.values():
        if isinstance(items, list) and items and all(isinstance(item, dict) for item in items):
            rows = [_row_of(item) for item in items]
            if _ALSO_IDS & {*rows[0]}:
                return rows
    return [value]


def _row_of(item: dict[Any, Any]) -> dict[Any, Any]:
    """Give a record, or the row that stands in it among what the Hub's viewer cut off."""
    if not isinstance(item.get("row"), dict):
        return item
    cut = [str(name) for name in item.get("truncated_cells") or ()]
    found = [problem(name, "truncated", "the source gives only the beginning") for name in cut]
    return {**item["row"], **({_FOUND: found} if found else {})}


def _transposed(value: dict[str, Any], name: str) -> list[Any]:
    """Give columns as rows where the id is a column; else the one record that it is."""
    columns = {key: _listed(column) for key, column in value.items()}
    ids = columns[name]
    if isinstance(ids, dict):
        by_row = {key: v if isinstance(v, dict) else {} for key, v in columns.items()}
        return [{key: column.get(row) for key, column in by_row.items()} for row in ids]
    if not isinstance(ids, list):
        return [value]
    lists = {k: v if isinstance(v, list) else [v] * len(ids) for k, v in columns.items()}
    for key, column in lists.items():
        if len(column) != len(ids):
            raise ValueError(f"{len(ids):,} values of {name!r}, but {len(column):,} of {key!r}")
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def _listed(value: Any) -> Any:
    for method in ("tolist", "to_list", "to_pylist"):  # numpy, pandas; polars; pyarrow
        if hasattr(value, method):
            return getattr(value, method)()
    return list(value) if isinstance(value, tuple) else value


def _document(file: Any) -> list[Any]:
    with open_bytes(file) as content:
        whole = content.read()
    try:
        return records_of(json.loads(_decoded(whole, encoding_of(whole))))
    except RecursionError as error:
        raise ValueError("its values nest too deep") from error
    except json.JSONDecodeError as error:
        rows = list(_lines(file)) if error.msg == "Extra data" else []
        if any(_ALSO_IDS & set(row) for row in rows):  # `datasets` writes lines under this name
            return rows
        raise


def _decoded(content: bytes, encoding: str) -> str:
    """Decode a text; what cannot be becomes halves of characters, which the columns tell."""
    odd = "surrogateescape" if encoding.startswith("utf-8") else "surrogatepass"
    return content.decode(encoding, odd)


def _lines(file: Any) -> Iterator[dict[str, Any]]:
    with open_bytes(file) as content:
        encoding = encoding_of(content.peek(4))
        lines: Iterable[Any] = content
        if not encoding.startswith("utf-8"):
            lines = io.TextIOWrapper(content, encoding, "surrogatepass", newline="\n")
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _parsed(line, number)


def _parsed(line: Any, number: int) -> dict[str, Any]:
    marked = "utf-8-sig" if number == 1 else "utf-8"
    text = line if isinstance(line, str) else _decoded(line, marked)
    try:
        return _row(json.loads(text), f"line {number}")
    except (ValueError, RecursionError) as error:
        detail = f"line {number} is not JSON: {error}: {whole(text.strip()[:200])}"
        return {_FOUND: [problem("id", "bad_json", detail)]}


def _row(value: Any, where: str) -> dict[str, Any]:
    fields = fields_of(value)
    if fields is None:
        detail = f"{where} is not an object but {type(value).__name__}: {str(value)[:200]}"
        return {_FOUND: [problem("id", "bad_json", detail)]}
    if all(isinstance(name, str) for name in fields) and not _HALF.search("".join(fields)):
        return fields
    named = {name if name is _FOUND else whole(str(name)): item for name, item in fields.items()}
    if odd := named.keys() - {name if name is _FOUND else str(name) for name in fields}:
        named[_FOUND] = [problem(name, "not_utf8", NOT_UTF8) for name in sorted(odd)]
    return named


def fields_of(value: Any) -> dict[Any, Any] | None:
    """Give a record's fields: a mapping's, a named tuple's, an object's such as ``ModelInfo``."""
    if isinstance(value, dict):
        return value
    if isinstance(value, Mapping) or hasattr(value, "_asdict"):
        return dict(value) if isinstance(value, Mapping) else value._asdict()
    names = getattr(value, "__dict__", None) or getattr(value, "__dataclass_fields__", None)
    if names is None or isinstance(value, (str, type)):
        return None
    return {name: getattr(value, name) for name in names if not name.startswith("_")}


def whole(value: Any) -> Any:
    """Replace halves of characters, wherever they stand in a value of JSON."""
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {whole(key): whole(item) for key, item in value.items()}
    return value


def _schema(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    kinds: dict[str, set[type]] = {}
    for row in rows:
        for name, value in row.items():
            kinds.setdefault(name, set()).add(type(value) if name in KNOWN else _kind(value))
    kinds.pop(_FOUND, None)
    schema = {name: _dtype(name, found - {type(None)}) for name, found in kinds.items()}
    return {**schema, "__problems": PROBLEMS}


def _kind(value: Any) -> type:
    if isinstance(value, _MANY):
        if not value:
            return tuple
        plain = all(isinstance(item, (str, type(None))) for item in value)
        return list if plain else dict
    return type(value)


def _dtype(name: str, kinds: set[type]) -> Any:
    if name == "problems" and kinds and kinds <= {tuple, dict}:  # records of a canonical frame
        return PROBLEMS
    kinds = {list if kind is tuple else kind for kind in kinds}
    canonical = _CANONICAL.get(name, name)
    if canonical in _LISTS:
        # a string may be a list in disguise (`a;b`): keep it as text for the canonical rules
        text = kinds == {str} or (canonical == "tags" and str in kinds)
        return pl.String if text else STRINGS
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


def _frame(rows: list[dict[str, Any]], schema: dict[str, Any], names: list[str]) -> pl.DataFrame:
    problems: list[list[Any]] = [list(row.get(_FOUND, ())) for row in rows]
    data = {}
    # values are looked at in every column, so that what is listed does not depend on the query
    for name in schema if "__problems" in names else names:
        if name != "__problems":
            column = _column(name, [row.get(name) for row in rows], schema[name], problems)
            if name in names:
                data[name] = column
    if "__problems" in names:
        data["__problems"] = series("__problems", problems, PROBLEMS)
    return pl.DataFrame(data).select(names)


def _column(name: str, values: list[Any], dtype: Any, problems: list[Any]) -> pl.Series:
    fitted = [_fit(value, dtype) for value in values]
    for value, new, found in zip(values, fitted, problems, strict=True):
        if new is None and not _missing(value):
            detail = f"{type(value).__name__} where {dtype} was expected: {str(value)[:200]}"
            found.append(problem(name, "bad_value", detail))
    try:
        return series(name, fitted, dtype)
    except UnicodeEncodeError:  # records in memory with halves of characters
        mended = [whole(value) for value in fitted]
        for old, new, found in zip(fitted, mended, problems, strict=True):
            if old != new:
                found.append(problem(name, "not_utf8", NOT_UTF8))
        return series(name, mended, dtype)


def _missing(value: Any) -> bool:
    return (
        value is None
        or (isinstance(value, float) and value != value)
        or type(value).__name__ in ("NaTType", "NAType")
    )


def _fit(value: Any, dtype: Any) -> Any:
    """Give a value in the type of its column, or None where it does not fit."""
    if value is None or _missing(value):
        return None
    if dtype == pl.String:
        return value if type(value) is str else _text(value)
    if dtype == STRINGS:
        value = _listed(value)
        items = value if isinstance(value, _MANY) else [value]
        return [i if isinstance(i, str) else _text(i) for i in items if i is not None]
    if dtype == _VECTOR:
        value = _listed(value)
        fits = isinstance(value, list) and all(isinstance(i, (int, float)) for i in value)
        return value if fits else None
    if dtype == PROBLEMS:
        fits = isinstance(value, list) and all(set(item) <= _PROBLEM for item in value)
        return (
            [{k: _fit(v, pl.String) for k, v in item.items()} for item in value] if fits else None
        )
    if dtype == pl.Boolean:
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if dtype == pl.Int64:
        return value if isinstance(value, int) and abs(value) < 2**63 else None
    return float(value)


def _text(value: Any) -> str | None:
    """Write a value as text: dates as ISO 8601, all else as JSON; None where that cannot be."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    try:
        return json.dumps(value, ensure_ascii=False, default=_plain)
    except (TypeError, ValueError, RecursionError):
        return None


def _plain(value: Any) -> Any:
    """Give what JSON does not know as what it knows: objects by their fields."""
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    for method in ("to_dict", "tolist", "_asdict"):
        if hasattr(value, method):
            return getattr(value, method)()
    if hasattr(value, "__dict__") and not isinstance(value, type):
        return {k: v for k, v in vars(value).items() if v is not None and not k.startswith("_")}
    return str(value)
