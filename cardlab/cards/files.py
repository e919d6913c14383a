"""Parquet, Arrow, CSV and database files -> lazy frames; what could crash is checked first.

A wrong length in a damaged file makes polars ask for exabytes, which aborts the process. So the
lengths in parquet files are compared before polars reads them; Arrow files are read by pyarrow,
which compares them itself; CSV files that are not as regular as they should be are written
anew, so that no row is lost or shifted in silence; SQLite and DuckDB read their own.
"""

from __future__ import annotations

import csv
import io
import json
import mmap
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ..schema import (
    COLUMNS,
    KNOWN,
    PROBLEMS,
    SourceError,
    canonical_name,
    printable,
    problem,
    shorten,
)
from .records import IDS, NOT_UTF8, encoding_of, is_packed, lazily, open_bytes, scan_rows, whole

#: Bytes of CSV that are not read to the end for the types of columns that no rule knows.
_LARGE = 2**28
#: Bytes that are looked at together.
_CHUNK = 2**26
#: The line that Excel takes and writes before the header, to name the separator.
_EXCEL = re.compile(rb"(?:\xef\xbb\xbf)?\"?sep=(.)\"?\r?\n")

# ---------------------------------------------------------------------------------------- parquet


def check_parquet(file: Path) -> None:
    """Refuse, with a ValueError, a parquet file whose lengths contradict each other."""
    metadata = pq.read_metadata(file)
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    if sum(group.num_rows for group in groups) != metadata.num_rows:
        raise ValueError("the row groups have not as many rows as the file should have")
    flat = [
        metadata.schema.column(number).max_repetition_level == 0
        for number in range(metadata.num_columns)
    ]
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        for group in groups:
            for number, is_flat in enumerate(flat):
                column = group.column(number)
                if is_flat and column.num_values != group.num_rows:
                    raise ValueError(f"column {number} has not as many values as there are rows")
                try:
                    _check_pages(whole, column)
                except (IndexError, KeyError, TypeError, AttributeError, RecursionError):
                    raise ValueError(f"a page of column {number} cannot be read") from None


def _check_pages(content: mmap.mmap, column: Any) -> None:
    """Walk over the headers of a column's pages: their numbers of values and their sizes."""
    left = column.num_values
    at = min(at for at in (column.dictionary_page_offset, column.data_page_offset) if at)
    limit = column.total_uncompressed_size + (1 << 20)
    while left > 0:
        header, at = _thrift(content, at)
        unpacked, packed = header[2], header[3]
        page = header.get(5) or header.get(7) or header.get(8) or {1: 0}
        inside = [page.get(field, 0) for field in (2, 3, 5, 6)] if 8 in header else [0]
        at += packed
        sizes = 0 <= unpacked <= limit and packed >= 0 and at <= len(content)
        numbers = 0 <= page[1] <= max(left, limit) and 0 <= min(inside) <= max(inside) <= limit
        left -= 0 if 7 in header else page[1]  # a dictionary's values are no rows
        if not sizes or not numbers or left < 0:
            raise ValueError("a page has a size or a number of values that cannot be")


def _thrift(content: mmap.mmap, at: int) -> tuple[dict[int, Any], int]:
    """Read a struct of Thrift's compact protocol, as a page's header is: field -> value."""
    found: dict[int, Any] = {}
    field = 0
    while kind := content[at]:
        at += 1
        if kind >> 4:
            field += kind >> 4
        else:
            number, at = _varint(content, at)
            field = number >> 1
        kind &= 15
        if kind == 12:
            found[field], at = _thrift(content, at)
        elif kind in (1, 2):
            found[field] = kind == 1
        elif kind in (4, 5, 6, 8):
            number, at = _varint(content, at)
            found[field] = (number >> 1) ^ -(number & 1)
            at += number if kind == 8 else 0  # a text's length
        else:
            raise ValueError("a page has a header that cannot be")
    return found, at + 1


def _varint(content: mmap.mmap, at: int) -> tuple[int, int]:
    number = shift = 0
    while (byte := content[at]) & 128:
        number |= (byte & 127) << shift
        shift += 7
        at += 1
        if shift > 63:
            raise ValueError("a page has a number that cannot be")
    return number | byte << shift, at + 1


# ------------------------------------------------------------------------------------------ Arrow


def scan_arrow(files: list[Any]) -> pl.LazyFrame:
    """Scan Arrow files, or streams as `datasets` writes them; every batch is checked when read."""
    if not isinstance(files[0], Path):
        return pl.scan_ipc(files)
    fields = open_arrow(files[0])[0].schema
    if "" in fields.names:
        raise ValueError("it has a column without a name")
    schema = dict(pl.DataFrame(fields.empty_table()).schema)

    def batches(names: list[str]) -> Iterator[pl.DataFrame]:
        for file in files:
            for batch in arrow_batches(file, names):
                batch.validate(full=True)
                yield pl.DataFrame(batch).select(names)

    return lazily(batches, schema)


def check_arrow(file: Path) -> None:
    """Refuse, with a ValueError, an Arrow file whose footer leaves some of its batches out."""
    reader, content = open_arrow(file)
    if not hasattr(reader, "num_record_batches"):
        return
    content.seek(0)
    whole = content.read_buffer()
    # polars writes the schema without the mark of a message, files before 2019 have no marks
    first = re.compile(b"\xff\xff\xff\xff").search(whole, 8)
    messages = pa.ipc.MessageReader.open_stream(whole[first.start() if first else 8 :])
    if sum(message.type == "record batch" for message in messages) != reader.num_record_batches:
        raise ValueError("its list of batches leaves something out")


def open_arrow(file: Path, options: Any = None) -> tuple[Any, Any]:
    """Open an Arrow file or stream; gives the reader and the content, which is mapped."""
    content = pa.memory_map(str(file))
    is_file = content.read(6) == b"ARROW1"
    content.seek(0)
    opened = pa.ipc.open_file if is_file else pa.ipc.open_stream
    return opened(content, options=options), content


def arrow_batches(file: Path, names: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Give some columns of an Arrow file or stream, copied, or all of them where they lie."""
    options = None
    if names is not None:
        schema = open_arrow(file)[0].schema
        fields = [schema.get_field_index(name) for name in names]
        options = pa.ipc.IpcReadOptions(included_fields=fields or [0])
    reader, content = open_arrow(file, options)
    if hasattr(reader, "get_batch"):
        yield from (reader.get_batch(number) for number in range(reader.num_record_batches))
        return
    yield from reader
    size = content.size()
    mark = content.read_at(min(size, 8), max(size - 8, 0))
    # a wrong length, or a cut, ends a stream as if there were no more
    if content.tell() != size or mark != b"\xff\xff\xff\xff\0\0\0\0":
        raise ValueError("the stream ends before the file does, or has no mark of its end")


# -------------------------------------------------------------------------------------------- CSV


class CsvFile(NamedTuple):
    """A CSV file: what polars reads, its separator and columns; mended where it was not regular."""

    source: Any
    separator: str
    names: tuple[str, ...]
    mended: bool


def open_csv(file: Any) -> CsvFile:
    """Look at a CSV file: its encoding, its separator, and whether all rows have as many fields.

    A file that is regular and UTF-8 is left to polars as it is. Of another a copy is made in
    memory, with nulls for missing fields and a column ``__problems`` (as JSON) that names the rows
    with too few or too many and the cells that were not UTF-8.
    """
    if not isinstance(file, Path):
        return CsvFile(file, ",", _names(file, ","), mended=False)
    content: Any
    with open_bytes(file) as opened:
        if is_packed(file.name):
            content = opened.read()
        else:
            content = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    original = content
    encoding = encoding_of(content[:4])
    if not encoding.startswith("utf-8"):
        text = bytes(content).decode(encoding, "surrogatepass")
        content = text.lstrip("\ufeff").encode("utf-8", "surrogatepass")
    named = _EXCEL.match(content)
    if named:  # a first line that only names the separator
        content = content[named.end() :]
    fields = _headers(content[: 1 << 16].decode("utf-8-sig", "replace"))
    separator = named[1].decode() if named else max(fields, key=lambda by: _rank(fields[by]))
    source = content if is_packed(file.name) or content is not original else file
    mended = not (_is_utf8(content) and _is_regular(content, separator, len(fields[separator])))
    if mended:
        source = _mended(bytes(content), separator)
    return CsvFile(source, separator, _names(source, separator), mended)


def scan_csv(files: list[CsvFile]) -> pl.LazyFrame:
    """Scan CSV files lazily that have the same columns, separator and kind of source."""
    first = files[0]
    # known columns stay text, to be typed by the same rules as everywhere; others by their values,
    # which all have to be read for it: in a large file they stay text too
    sizes = [file.source.stat().st_size for file in files if isinstance(file.source, Path)]
    text = {name: pl.String for name in first.names if name in {*KNOWN, "__problems"}}
    typed: dict[str, Any] = {"schema_overrides": text, "infer_schema_length": None}
    if sum(sizes) > _LARGE:
        typed = {"infer_schema": False}
    frame = _scanned([file.source for file in files], first.separator, **typed)
    if not first.mended:
        return frame
    return frame.with_columns(pl.col("__problems").str.json_decode(PROBLEMS))


def _scanned(sources: list[Any], separator: str, **types: Any) -> pl.LazyFrame:
    is_glob = isinstance(sources[0], str)
    return pl.scan_csv(sources, separator=separator, encoding="utf8-lossy", glob=is_glob, **types)


def _names(source: Any, separator: str) -> tuple[str, ...]:
    return tuple(_scanned([source], separator, infer_schema=False).collect_schema().names())


def _headers(head: str) -> dict[str, list[str]]:
    """Read the header by each separator that is known."""
    return {by: next(csv.reader(io.StringIO(head, ""), delimiter=by), []) for by in ",;\t|"}


def _rank(header: list[str]) -> tuple[bool, int]:
    """Prefer a separator that leaves an id, then one that gives the most columns."""
    return bool({*IDS} & {*header}), len(header)


def _is_utf8(content: Any) -> bool:
    offsets = pa.array([0, len(content)], pa.int64()).buffers()[1]
    try:
        pa.LargeStringArray.from_buffers(1, offsets, pa.py_buffer(content)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _is_regular(content: Any, separator: str, width: int) -> bool:
    """Tell whether all rows have as many fields, and quotes stand around whole fields only."""
    by = re.escape(separator.encode())
    field = rb'(?:"(?:[^"]++|"")*+"|[^"%b\r\n]*+)' % by
    row = rb"%b(?:%b%b){%d}" % (field, by, field, max(width - 1, 0))
    # possessive (`*+`): what has matched is never tried again, so time and memory are linear
    rows, last = re.compile(rb"(?:%b\r?\n)*+" % row), re.compile(rb"(?:%b)?\Z" % row)
    at, size = 3 if content[:3] == b"\xef\xbb\xbf" else 0, _CHUNK
    while found := rows.match(content, at, at + size):
        if found.end() == at and at + size >= len(content):
            break
        size = _CHUNK if found.end() > at else 2 * size  # a row may be longer
        at = found.end()
    return last.match(content, at) is not None


def _mended(content: bytes, separator: str) -> bytes:
    text = content.decode("utf-8-sig", "surrogateescape")
    rows = csv.reader(io.StringIO(text, ""), delimiter=separator, strict=True)
    limit = csv.field_size_limit(sys.maxsize)
    written = io.StringIO(newline="")
    write = csv.writer(written, delimiter=separator, lineterminator="\r\n").writerow
    try:
        header = [whole(name) for name in next(rows)]
        write([*header, "__problems"])
        for row in rows:
            if not row:
                continue
            found = []
            if len(row) != len(header):
                more = f"; left out: {row[len(header) :]}" if len(row) > len(header) else ""
                detail = f"line {rows.line_num}: {len(row)} fields, the header has {len(header)}"
                found.append(problem("id", "bad_row", detail + more))
            cells = [whole(cell) for cell in row[: len(header)]]
            for name, old, new in zip(header, row, cells, strict=False):
                if old != new:
                    found.append(problem(name, "not_utf8", NOT_UTF8))
            cells += [""] * (len(header) - len(cells))
            write([*cells, json.dumps(found) if found else ""])
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num}: {error}; look for a quote too many") from error
    finally:
        csv.field_size_limit(limit)
    return written.getvalue().encode()


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
