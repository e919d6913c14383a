"""Tables of SQLite and DuckDB databases -> lazy frames."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa

from ..schema import COLUMNS, SourceError, canonical_name, printable, shorten
from .records import lazily, scan_rows

#: The kinds of databases, and the bytes near the beginning of a file that tell them.
_MARKS = {"SQLite": slice(0, 16), "DuckDB": slice(8, 12)}
#: Types of DuckDB that polars has not: read as text.
_UNKNOWN = re.compile("INTERVAL|UNION|TIMETZ|TIME WITH|BIGNUM|VARINT|VARIANT|GEOMETRY|BIT")
_MARKED = {b"SQLite format 3\0": "SQLite", b"DUCK": "DuckDB"}


def database(name: str) -> tuple[str, Path, str] | None:
    """Tell a database by its first bytes: its kind, its file, and the table that `name` ends in.

    None for any other file, and where there is none.
    """
    file, _, table = name.partition("::")
    path = Path(file).expanduser()
    try:
        with path.open("rb") as opened:
            head = opened.read(16)
    except (OSError, ValueError):
        return None
    kinds = (_MARKED.get(head[place]) for place in _MARKS.values())
    kind = next((kind for kind in kinds if kind), None)
    return None if kind is None else (kind, path, table)


class _Table(NamedTuple):
    """Where a table stands, and what its columns are selected by."""

    place: str
    columns: dict[str, str]


def scan_table(kind: str, path: Path, table: str) -> pl.LazyFrame:
    """Scan a table of a database lazily; without a name the only one that has ids."""
    if kind == "SQLite":
        _refuse_cut(path)
    tables = _sqlite_tables(path) if kind == "SQLite" else _duckdb_tables(path)
    with_ids = [n for n, t in tables.items() if any(canonical_name(c) == "id" for c in t.columns)]
    if not table and len(with_ids) == 1:
        table = with_ids[0]
    if table not in tables:
        known = shorten(", ".join(map(printable, tables)), 300) or "none"
        what = f"no table {printable(table)!r}" if table else "not one table of cards"
        example = f"{path.name}::{(with_ids or [*tables, 'models'])[0]}"
        raise SourceError(
            f"{printable(str(path))}: {what} in this {kind} database. It has the tables: {known}. "
            f"Name one: scan_cards({printable(example)!r})."
        )
    if kind == "SQLite":
        every = f"SELECT * FROM {tables[table].place}"
        return scan_rows(lambda: _asked(path, every), tables[table].columns)
    return _scan_duckdb(path, tables[table])


def _refuse_cut(path: Path) -> None:
    """Refuse a file that is shorter than its head says: SQLite reads what is missing as zeros."""
    with path.open("rb") as opened:
        head = opened.read(32)
    size = int.from_bytes(head[16:18]) or 1
    pages = int.from_bytes(head[28:32])
    whole, found = pages * (65_536 if size == 1 else size), path.stat().st_size
    if found < whole:
        raise ValueError(f"it has {found:,} bytes of {whole:,}, the file is truncated")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _sqlite_tables(path: Path) -> dict[str, _Table]:
    listed = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
    places = {row["name"]: _quoted(row["name"]) for row in _asked(path, listed)}
    have = {name: _asked(path, f"PRAGMA table_info({place})") for name, place in places.items()}
    return {
        name: _Table(place, {row["name"]: _quoted(row["name"]) for row in have[name]})
        for name, place in places.items()
        if not name.startswith("sqlite_")
    }


def _asked(path: Path, query: str) -> Iterator[dict[str, Any]]:
    """Give the rows of a query; what is not UTF-8 becomes halves of characters, which are told."""
    address = f"{path.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as opened:
            opened.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
            found = opened.execute(query)
            names = [column[0] for column in found.description]
            known = [canonical_name(name) in (*COLUMNS, "card") for name in names]
            for row in found:
                # a text that was kept as bytes is a text
                values = (
                    value.decode("utf-8", "surrogateescape")
                    if text and type(value) is bytes
                    else value
                    for value, text in zip(row, known, strict=True)
                )
                yield dict(zip(names, values, strict=True))
    except sqlite3.Error as error:
        raise ValueError(f"SQLite says: {error}") from error


@contextmanager
def _duckdb(path: Path) -> Iterator[Any]:
    try:
        import duckdb
    except ImportError:
        raise SourceError(
            f"{printable(str(path))} is a DuckDB database, and reading it needs DuckDB's package: "
            "pip install 'cardlab[duckdb]'. Or write the table to a parquet file with it."
        ) from None
    try:
        with closing(duckdb.connect(str(path), read_only=True)) as opened:
            yield opened
    except duckdb.Error as error:
        raise ValueError(f"DuckDB says: {error}") from error


def _duckdb_tables(path: Path) -> dict[str, _Table]:
    """Give the tables of the schema ``main`` by their names, others as ``schema.table``."""
    tables: dict[str, _Table] = {}
    with _duckdb(path) as opened:
        listed = opened.sql(
            "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE database_name = current_database() AND NOT internal "
            "ORDER BY schema_name, table_name, column_index"
        ).fetchall()
    for schema, table, column, dtype in listed:
        name = table if schema == "main" else f"{schema}.{table}"
        place = f"{_quoted(schema)}.{_quoted(table)}"
        as_text = "::VARCHAR" if _UNKNOWN.search(dtype) else ""
        columns = tables.setdefault(name, _Table(place, {})).columns
        columns[column] = f"{_quoted(column)}{as_text} AS {_quoted(column)}"
    return tables


def _scan_duckdb(path: Path, table: _Table) -> pl.LazyFrame:
    def selected(opened: Any, names: list[str]) -> Any:
        chosen = ", ".join(table.columns[name] for name in names) or "1"
        return pa.RecordBatchReader.from_stream(opened.sql(f"SELECT {chosen} FROM {table.place}"))

    def batches(names: list[str]) -> Iterator[pl.DataFrame]:
        with _duckdb(path) as opened:
            for batch in selected(opened, names):
                yield pl.DataFrame(batch).select(names)

    with _duckdb(path) as opened:
        empty = selected(opened, [*table.columns]).schema.empty_table()
        schema = dict(pl.DataFrame(empty).schema)
    return lazily(batches, schema)
