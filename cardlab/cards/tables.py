"""Tables of SQLite and DuckDB databases -> lazy frames."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from ..schema import SourceError, canonical_name, printable, shorten
from .records import lazily, scan_rows

#: The kinds of databases, and the bytes near the beginning of a file that tell them.
_MARKS = {"SQLite": slice(0, 16), "DuckDB": slice(8, 12)}
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


def scan_table(kind: str, path: Path, table: str) -> pl.LazyFrame:
    """Scan a table of a database lazily; without a name the only one that has ids."""
    columns = {name: _columns(kind, path, name) for name in _names(kind, path)}
    with_ids = [n for n, have in columns.items() if any(canonical_name(c) == "id" for c in have)]
    if not table and len(with_ids) == 1:
        table = with_ids[0]
    if table not in columns:
        known = shorten(", ".join(map(printable, columns)), 300) or "none"
        what = f"no table {printable(table)!r}" if table else "not one table of cards"
        example = f"{path.name}::{(with_ids or [*columns, 'models'])[0]}"
        raise SourceError(
            f"{printable(str(path))}: {what} in this {kind} database. It has the tables: {known}. "
            f"Name one: scan_cards({printable(example)!r})."
        )
    if kind == "SQLite":
        return scan_rows(lambda: _rows(path, table))
    return _scan_duckdb(path, table)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _names(kind: str, path: Path) -> list[str]:
    if kind == "SQLite":
        listed = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
        return [row["name"] for row in _asked(path, listed) if row["name"][:7] != "sqlite_"]
    with closing(_duckdb(path)) as opened:
        return sorted(name for (name,) in opened.execute("SHOW TABLES").fetchall())


def _columns(kind: str, path: Path, table: str) -> list[str]:
    if kind == "SQLite":
        return [row["name"] for row in _asked(path, f"PRAGMA table_info({_quoted(table)})")]
    with closing(_duckdb(path)) as opened:
        return list(opened.sql(f"SELECT * FROM {_quoted(table)} LIMIT 0").columns)


def _rows(path: Path, table: str) -> Iterator[dict[str, Any]]:
    return _asked(path, f"SELECT * FROM {_quoted(table)}")


def _asked(path: Path, query: str) -> Iterator[dict[str, Any]]:
    """Give the rows of a query; what is not UTF-8 becomes halves of characters, which are told."""
    address = f"{path.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as opened:
            opened.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
            found = opened.execute(query)
            names = [column[0] for column in found.description]
            for row in found:
                yield dict(zip(names, row, strict=True))
    except sqlite3.Error as error:
        raise ValueError(f"SQLite says: {error}") from error


def _duckdb(path: Path) -> Any:
    try:
        import duckdb
    except ImportError:
        raise SourceError(
            f"{printable(str(path))} is a DuckDB database, and reading it needs DuckDB's package: "
            "pip install 'cardlab[duckdb]'. Or write the table to a parquet file with it."
        ) from None
    try:
        return duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        raise ValueError(f"DuckDB says: {error}") from error


def _scan_duckdb(path: Path, table: str) -> pl.LazyFrame:
    def batches(names: list[str]) -> Iterator[pl.DataFrame]:
        chosen = ", ".join(map(_quoted, names)) or "1"
        with closing(_duckdb(path)) as opened:
            query = opened.sql(f"SELECT {chosen} FROM {_quoted(table)}")
            for batch in pa.RecordBatchReader.from_stream(query):
                yield pl.DataFrame(batch).select(names)

    with closing(_duckdb(path)) as opened:
        empty = opened.sql(f"SELECT * FROM {_quoted(table)} LIMIT 0")
        schema = dict(pl.DataFrame(pa.RecordBatchReader.from_stream(empty).read_all()).schema)
    return lazily(batches, schema)
