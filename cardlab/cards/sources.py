"""What a source is, and how its rows are read as they are."""

from __future__ import annotations

import glob
import hashlib
import io
import os
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPException
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from urllib.request import Request, urlopen

import polars as pl
import pyarrow as pa

from ..schema import SourceError, is_frame, printable, shorten, unindexed
from .files import check_arrow, check_parquet, database, open_csv, scan_arrow, scan_csv, scan_table
from .folder import find_cards, scan_folder
from .records import (
    IDS,
    fields_of,
    frame_of_records,
    is_packed,
    records_of,
    scan_json,
    scan_json_lines,
)

#: Endings that are read, best first where a folder holds several kinds.
READERS = {
    ".parquet": "parquet",
    ".arrow": "Arrow",
    ".feather": "Arrow",
    ".ipc": "Arrow",
    ".jsonl": "JSON lines",
    ".ndjson": "JSON lines",
    ".csv": "CSV",
    ".tsv": "CSV",
    ".json": "JSON",
}
ACCEPTED = (
    "Accepted: .parquet, .arrow, .feather, .ipc, .jsonl, .ndjson, .json, .csv or .tsv files (the "
    "last five also with .gz, .zst, .bz2 or .lz4), globs and folders of these, a table of a SQLite "
    "or DuckDB database (hub.sqlite::models), a folder of cards "
    "(ORG/NAME/README.md), hf://, s3://, gs:// and https:// URLs, and in memory frames, records "
    "(dictionaries, huggingface_hub.ModelInfo), a dictionary of columns, lists and iterators of "
    "these."
)
#: Seconds for which a server may say nothing; polars would wait without end.
PATIENCE = 30
REMOTE = ("hf://", "s3://", "gs://", "gcs://", "az://", "abfs://", "http://", "https://")
_UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException)
_POINTERS = (b"version https://git-lfs.github.com/spec/", b"# xet version")


def open_source(source: Any) -> tuple[list[pl.LazyFrame], str]:
    """Open a source as it is: a frame for each set of columns that its files have, and its name.

    ``__problems`` is there where rows could not be read. A SourceError names the source, what was
    found, and what is accepted.
    """
    if isinstance(source, tuple):
        label = f"{len(source):,} files, {printable(str(source[0]))} the first"
        return _open_files([*source], label), label
    if not isinstance(source, (str, os.PathLike)):
        return [_in_memory(source)], f"frame in memory ({type(source).__name__})"
    name = os.fspath(source)
    label = printable(str(name))
    try:
        return _open_path(name, label), label
    except (OSError, RuntimeError, ValueError) as error:  # a name too long, no rights, no home
        if isinstance(error, SourceError):
            raise
        raise SourceError(
            f"{label}: cannot be opened: {printable(str(error))}. {ACCEPTED}"
        ) from error


def _open_path(name: str, label: str) -> list[pl.LazyFrame]:
    if name.startswith(REMOTE):
        version_of(name)  # fails where nobody answers
        whole = name.split("?")[0]
        if not Path(whole).suffix:  # a data set or a folder of shards
            name = whole = name.rstrip("/") + "/**/*.parquet"
        return _scan([name], _kind([whole], label), label)
    path = Path(name).expanduser()
    if path.is_dir():
        return _open_folder(path, label)
    if (found := database(name)) is not None:
        return [scan_table(*found)]
    if path.exists():
        return _open_files([path], label)
    files = matches(path)
    if files:
        return _open_files(files, label, top=_fixed(path))
    if glob.has_magic(name):
        raise SourceError(f"{label}: no file matches this pattern. {ACCEPTED}")
    folder = path.parent
    detail = "its folder is there, this file is not" if folder.is_dir() else "nor is its folder"
    raise SourceError(f"{label}: there is no such file or folder ({detail}). {ACCEPTED}")


def version_of(url: str) -> list[str | None]:
    """Ask what tells a file from its next version; of the Hub's repositories, for the commit.

    Null is what the server does not tell, and all of an address that is none of the web.

    Raises
    ------
    SourceError
        The server does not answer.
    """
    asked, told = url, ["ETag", "Last-Modified", "Content-Length"]
    if url.startswith("hf://"):
        kind, owner, name, *_ = f"{url.removeprefix('hf://')}//".split("/")
        name, _, revision = name.partition("@")
        hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
        asked = f"{hub}/{kind}/{owner}/{name}/resolve/{revision or 'main'}/.gitattributes"
        told = ["X-Repo-Commit"]
    try:
        with urlopen(Request(asked, method="HEAD"), timeout=PATIENCE) as answer:
            return [answer.headers.get(name) for name in told]
    except (OSError, ValueError, HTTPException) as error:  # polars says what is wrong
        if not isinstance(getattr(error, "reason", error), TimeoutError):
            return [None]
    raise SourceError(
        f"{printable(url)}: the server has not answered for {PATIENCE} seconds. Check the address "
        "and the connection and try again, or download the files and give their folder."
    )


def grouped(sources: list[Any]) -> Iterator[Any]:
    """Give sources one by one, but neighbours that are files of one kind together, as a tuple."""

    def kind(source: Any) -> str | None:
        if not isinstance(source, (str, os.PathLike)) or not os.path.isfile(source):
            return None
        name = os.fspath(source).lower()
        return "card" if name.endswith(".md") else _reader(name)

    for found, group in groupby(sources, key=kind):
        if found is None:
            yield from group
        else:
            yield tuple(Path(item) for item in group)


def _open_files(files: list[Path], label: str, *, top: Path | None = None) -> list[pl.LazyFrame]:
    if all(file.name.lower().endswith(".md") for file in files):
        return [scan_folder([card for file in files for card in find_cards(file)])]
    return _scan(files, _kind([file.name for file in files], label), label, top=top)


def matches(path: Path) -> list[Path]:
    """Give the files that a pattern means; its folders that exist are no pattern."""
    fixed = _fixed(path)
    pattern = os.path.join(glob.escape(str(fixed)), path.relative_to(fixed))
    found = sorted(Path(match) for match in glob.glob(pattern, recursive=True))
    return [match for match in found if match.is_file()]


def _fixed(path: Path) -> Path:
    return next((folder for folder in path.parents if folder.is_dir()), Path())


def data_files(folder: Path) -> list[Path]:
    """Give the data files below a folder, sorted; not the hidden ones."""
    found = (f for f in folder.rglob("*") if _reader(f.name) and f.is_file())
    return sorted(
        f for f in found if not any(p.startswith(".") for p in f.relative_to(folder).parts)
    )


def _open_folder(path: Path, label: str) -> list[pl.LazyFrame]:
    shards = data_files(path)
    cards = find_cards(path, warn=True)
    # a model's folder holds config.json and the like; a data set's holds a README of its own
    tables = [shard for shard in shards if _reader(shard.name) != "JSON"]
    top = [shard for shard in tables if shard.parent == path]
    nested = [card for card in cards if card.path.parent != path]
    if nested and top:
        raise SourceError(
            f"{label}: this folder holds both {len(top):,} data files and {len(nested):,} cards in "
            f"folders below it. Name the file ({printable(top[0].name)}), a glob "
            f"(*{top[0].suffix}), or the folder of cards."
        )
    if cards and (nested or not tables):
        return [scan_folder(cards)]
    if shards:
        return _open_files(tables or shards, label, top=path)
    found = sorted(printable(item.name) for item in path.iterdir())[:10]
    raise SourceError(
        f"{label}: this folder holds no cards and no data files. Found: "
        f"{shorten(', '.join(found), 200) or 'nothing; it is empty'}. {ACCEPTED}"
    )


def _reader(name: str) -> str | None:
    packed = is_packed(name)
    kind = READERS.get(Path(Path(name).stem if packed else name).suffix.lower())
    return None if packed and kind in ("parquet", "Arrow") else kind


def _kind(names: list[str], label: str) -> str:
    """Tell the one format of files, by their names."""
    kinds: dict[Any, str] = {_reader(name): name for name in names}
    if None in kinds:
        ending = "".join(Path(kinds[None]).suffixes[-2:]) or "no ending"
        raise SourceError(f"{label}: cannot tell the format from {ending!r}. {ACCEPTED}")
    if len(kinds) > 1:
        raise SourceError(
            f"{label}: {len(names):,} files of several formats ({', '.join(sorted(kinds))}). Name "
            "one of them with a glob such as 'folder/**/*.parquet'."
        )
    return str(*kinds)


def _scan(
    files: list[Any], kind: str, label: str, *, top: Path | None = None
) -> list[pl.LazyFrame]:
    """Scan files of one format, and open each to see that it is what it says.

    Shards may differ: one lacks a column that another has, or has it in another type. Those that
    are alike are read together, the others beside them, so that no column is dropped.
    """
    for file in files:
        if isinstance(file, Path):
            _refuse_empty(file, label)
    try:
        alike: dict[Any, list[Any]] = {}
        for file in files:
            opened = open_csv(file) if kind == "CSV" else file
            alike.setdefault((_layout(opened, kind), _keys(file, top)), []).append(opened)
        frames = []
        for (_, keys), group in alike.items():
            frame = _READ[kind](group)
            have = frame.collect_schema()
            values = [pl.lit(v, pl.String).alias(k) for k, v in keys if k not in have]
            frames.append(frame.with_columns(values) if values else frame)
    except SourceError:
        raise
    except (*_UNREADABLE, OSError, ValueError) as error:
        reason = shorten(printable(" ".join(str(error).split())), 300).rstrip(".")
        raise SourceError(
            f"{label}: cannot be read as {kind}: {reason}. The file may be truncated, damaged, not "
            f"readable by you, or of another format. {ACCEPTED}"
        ) from error
    return frames


def _refuse_empty(file: Path, label: str) -> None:
    size = file.stat().st_size
    if size == 0:
        raise SourceError(f"{label}: {printable(file.name)} is empty (0 bytes). {ACCEPTED}")
    if size < 1024 and file.read_bytes().startswith(_POINTERS):
        raise SourceError(
            f"{label}: {printable(file.name)} is a Git LFS pointer, not the file itself. Fetch it "
            "with `git lfs pull`, or download it from the Hub."
        )


def _keys(file: Any, top: Path | None) -> tuple[tuple[str, str | None], ...]:
    """Give the columns that folders are named after: ``license=mit/0.parquet``."""
    if top is None or not isinstance(file, Path):
        return ()
    parts = [part.split("=", 1) for part in file.relative_to(top).parts[:-1] if "=" in part]
    null = "__HIVE_DEFAULT_PARTITION__"
    return tuple((unquote(k), None if v == null else unquote(v)) for k, v in parts if k)


def _layout(file: Any, kind: str) -> Any:
    """Give what files that are read together must share; JSON's reader takes any."""
    if kind == "CSV":
        return file._replace(source=type(file.source))
    if kind not in _CHECKED or not isinstance(file, Path):
        return None
    _CHECKED[kind](file)
    return tuple(sorted((n, str(t)) for n, t in _READ[kind]([file]).collect_schema().items()))


#: What refuses a damaged file before it is read.
_CHECKED = {"parquet": check_parquet, "Arrow": check_arrow}
_READ: dict[str, Callable[[list[Any]], pl.LazyFrame]] = {
    "parquet": lambda files: pl.scan_parquet(files, glob=not isinstance(files[0], Path)),
    "Arrow": scan_arrow,
    "CSV": scan_csv,
    "JSON": scan_json,
    "JSON lines": scan_json_lines,
}


def listed(source: Any) -> Any:
    """Give iterators and other collections as a list, and the splits of a ``DatasetDict`` too."""
    if isinstance(source, Mapping):
        source, parts = dict(source), list(source.values())
        whole = all(_is_corpus(part) or hasattr(part, "with_format") for part in parts)
        objects = all(is_record(part) and not isinstance(part, Mapping) for part in parts)
        return parts if parts and not {*IDS} & {*source} and (whole or objects) else source
    if hasattr(source, "read"):
        raise SourceError(f"an open file ({type(source).__name__}) is no source. {ACCEPTED}")
    if isinstance(source, (str, bytes, os.PathLike, list)) or _is_corpus(source):
        return source
    if is_record(source):
        return [source]
    return (
        list(source)
        if hasattr(source, "__iter__") and not is_frame(source, series=True)
        else source
    )


def is_record(item: Any) -> bool:
    """Tell one card's record: a dictionary, or an object with an id such as ``ModelInfo``."""
    return isinstance(item, Mapping) or bool({*IDS} & {*(fields_of(item) or ())})


def _is_corpus(source: Any) -> bool:
    # a streamed data set has no items to get, it is an iterator
    is_dataset = hasattr(source, "with_format") and hasattr(source, "__getitem__")
    return is_frame(source) or is_dataset or isinstance(source, os.PathLike)


def together(frames: list[pl.LazyFrame]) -> pl.LazyFrame:
    """Put corpora below each other; a column of types that do not go together becomes text."""
    if len(frames) == 1:
        return frames[0]
    types: dict[str, set[Any]] = {}
    for frame in frames:
        for name, dtype in frame.collect_schema().items():
            types.setdefault(name, set()).add(dtype)
    apart = {name for name, found in types.items() if not _go_together(found - {pl.Null()})}
    frames = [
        frame.with_columns(_as_text(name, schema[name]) for name in schema if name in apart)
        for frame, schema in ((frame, frame.collect_schema()) for frame in frames)
    ]
    whole = pl.concat(frames, how="diagonal_relaxed")
    return whole.select(pl.exclude("problems"), "problems")


def _go_together(types: set[Any]) -> bool:
    if len(types) < 2:
        return True
    one_kind = all(t.is_numeric() for t in types) or len({t.is_nested() for t in types}) == 1
    if not one_kind or any(t.is_temporal() for t in types):
        return False
    try:
        empty = [pl.LazyFrame(schema={"x": dtype}) for dtype in types]
        pl.concat(empty, how="vertical_relaxed").collect_schema()
    except pl.exceptions.PolarsError:
        return False
    return True


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype.is_nested():  # polars writes JSON of structs only: {"x":...}
        written = pl.struct(column.alias("x")).struct.json_encode()
        column = pl.when(column.is_not_null()).then(written.str.slice(5).str.head(-1))
    return column.cast(pl.String, strict=False).alias(name)


def _in_memory(source: Any) -> pl.LazyFrame:
    if isinstance(source, (pl.LazyFrame, pl.DataFrame)):
        return source.lazy()
    name = f"{type(source).__module__}.{type(source).__name__}".removeprefix("builtins.")
    source = unindexed(source)
    if is_frame(source, series=True):
        raise SourceError(f"{name}: one column is no corpus; give its whole frame. {ACCEPTED}")
    table = getattr(getattr(source, "data", None), "table", None)  # datasets.Dataset
    if table is not None and getattr(source, "_indices", None) is None:
        source = table
    elif hasattr(source, "with_format") and hasattr(source, "features"):
        source = source.with_format("arrow")[:]
    is_pandas = name.startswith("pandas.")
    rows: Any = None
    try:
        if isinstance(source, (list, dict)):
            rows = records_of(source)
        elif is_pandas:
            return pl.DataFrame(pl.from_pandas(source)).lazy()
        elif hasattr(source, "__arrow_c_stream__"):
            return pl.DataFrame(source).lazy()
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        if not is_pandas:
            raise SourceError(f"frame in memory ({name}): {error}") from error
        # a column that mixes strings and lists has no Arrow type: read it row by row
        rows = source.to_dict("records")
    except ImportError as error:
        raise SourceError(f"reading pandas frames needs pyarrow: {error}") from error
    if rows is None:
        raise SourceError(f"{name} is no source of cards. {ACCEPTED}")
    if not rows:
        raise SourceError(
            f"frame in memory: an empty {name}, or an iterator that was read before, has no cards "
            "and no columns."
        )
    return frame_of_records(rows).lazy()


# ---- A hash that says whether two reports were made from the same cards.


def told_apart(a: Any, b: Any) -> tuple[str, str] | None:
    """Give what tells two paths apart: names of files, or the last folders that differ.

    None where either is no path, or both are the same.
    """
    if not all(isinstance(source, (str, os.PathLike)) for source in (a, b)):
        return None
    names = [os.fspath(source) for source in (a, b)]
    names = [name if "://" in name else os.path.abspath(name) for name in names]
    for parts in zip(*(Path(name).parts[::-1] for name in names), strict=False):
        if parts[0] != parts[1]:
            short = [Path(part).stem if Path(part).suffix[1:].isalpha() else part for part in parts]
            return (short[0], short[1]) if short[0] != short[1] else parts
    return None


def corpus_hash(source: Any) -> str | None:
    """Hash a source with SHA-256: its files' names and bytes, or a frame's columns.

    None for a remote or lazy source, which is not read for this.
    """
    digest = hashlib.sha256()
    items = source if isinstance(source, (list, tuple)) else [source]
    for item in items:
        if isinstance(item, pl.DataFrame):
            digest.update(_frame_bytes(item))
            continue
        files = _files(item) if isinstance(item, (str, os.PathLike)) else None
        if not files:
            return None
        top = Path(os.path.commonpath([file.parent for file in files]))
        for file in files:
            digest.update(os.fsencode(file.relative_to(top).as_posix()) + b"\0")
            try:
                with file.open("rb") as content:
                    digest.update(hashlib.file_digest(content, "sha256").digest())
            except OSError:
                digest.update(b"unreadable")
    return digest.hexdigest()


def _files(source: str | os.PathLike[str]) -> list[Path]:
    path = Path(source).expanduser()
    if (found := database(os.fspath(source))) is not None:
        path = found[1]
    if path.is_file():
        return [path.resolve()]
    if path.is_dir():
        cards = [card.path for card in find_cards(path)]
        return sorted(file.resolve() for file in cards or data_files(path))
    return sorted(file.resolve() for file in matches(path))


def _frame_bytes(frame: pl.DataFrame) -> bytes:
    digest = hashlib.sha256()
    for column in frame.iter_columns():  # one by one: a copy of one column, never of all
        buffer = io.BytesIO()
        column.to_frame().rechunk().write_ipc(buffer)
        digest.update(buffer.getbuffer())
    return digest.digest()
