"""What a source is, and how its rows are read as they are."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import Any

import polars as pl

from ..schema import KNOWN, SourceError, not_a_frame, printable, shorten
from .folder import find_cards, scan_folder
from .records import frame_of_records, scan_json, scan_json_lines

#: Endings that are read, best first where a folder holds several kinds.
READERS = {
    ".parquet": "parquet",
    ".arrow": "Arrow",
    ".feather": "Arrow",
    ".ipc": "Arrow",
    ".jsonl": "JSON lines",
    ".ndjson": "JSON lines",
    ".csv": "CSV",
    ".json": "JSON",
}
ACCEPTED = (
    "Accepted: .parquet, .arrow, .feather, .ipc, .jsonl, .ndjson, .json or .csv files, globs and "
    "folders of these, a folder of cards (ORG/NAME/README.md), hf://, s3://, gs:// and https:// "
    "URLs, and frames in memory."
)
_REMOTE = ("hf://", "s3://", "gs://", "gcs://", "az://", "abfs://", "http://", "https://")


def open_source(source: Any) -> tuple[list[pl.LazyFrame], str]:
    """Open a source as it is.

    Returns
    -------
    frames : list of pl.LazyFrame
        Its rows and columns, unchanged, a frame for each set of columns that its files have;
        ``__problems`` where rows could not be read.
    label : str
        Its name for messages.

    Raises
    ------
    SourceError
        Names the source, what was found, and what is accepted.
    """
    if not isinstance(source, (str, os.PathLike)):
        return [_in_memory(source)], f"frame in memory ({type(source).__name__})"
    name = os.fspath(source)
    label = printable(name)
    if isinstance(name, str) and name.startswith(_REMOTE):
        if not Path(name.split("?")[0]).suffix:  # a data set or a folder of shards
            name = name.rstrip("/") + "/**/*.parquet"
        return _scan([name], _kind(name, label), label), label
    path = Path(name).expanduser()
    if path.is_dir():
        return _open_folder(path, label), label
    if path.exists():
        if path.name.lower().endswith(".md"):
            return [scan_folder(find_cards(path))], label
        return _scan([path], _kind(path.name, label), label), label
    matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
    files = [match for match in matches if match.is_file()]
    if files:
        return _scan(files, _one_kind(files, label), label), label
    if glob.has_magic(name):
        raise SourceError(f"{label}: no file matches this pattern. {ACCEPTED}")
    folder = path.parent
    detail = "its folder is there, this file is not" if folder.is_dir() else "nor is its folder"
    raise SourceError(f"{label}: there is no such file or folder ({detail}). {ACCEPTED}")


def _open_folder(path: Path, label: str) -> list[pl.LazyFrame]:
    try:
        shards = sorted(f for f in path.rglob("*") if f.suffix.lower() in READERS and f.is_file())
        cards = find_cards(path)
    except OSError as error:
        raise SourceError(f"{label}: the folder cannot be read: {error}. {ACCEPTED}") from error
    # a model's folder holds config.json and the like; a data set's holds a README of its own
    top = [shard for shard in shards if shard.parent == path and shard.suffix.lower() != ".json"]
    nested = [card for card in cards if card.path.parent != path]
    if nested and top:
        raise SourceError(
            f"{label}: this folder holds both {len(top):,} data files and {len(nested):,} cards in "
            f"folders below it. Name the file ({printable(top[0].name)}), a glob "
            f"(*{top[0].suffix}), or the folder of cards."
        )
    tables = [shard for shard in shards if shard.suffix.lower() != ".json"]
    if cards and (nested or not tables):
        return [scan_folder(cards)]
    if shards:
        files = tables or shards
        return _scan(files, _one_kind(files, label), label)
    found = sorted(printable(item.name) for item in path.iterdir())[:10]
    raise SourceError(
        f"{label}: this folder holds no cards and no data files. Found: "
        f"{shorten(', '.join(found), 200) or 'nothing; it is empty'}. {ACCEPTED}"
    )


def _kind(name: str, label: str) -> str:
    suffix = Path(name.split("?")[0]).suffix.lower()
    if suffix not in READERS:
        raise SourceError(
            f"{label}: cannot tell the format from {suffix or 'no ending'!r}. {ACCEPTED}"
        )
    return READERS[suffix]


def _one_kind(files: list[Path], label: str) -> str:
    kinds = sorted({_kind(file.name, label) for file in files})
    if len(kinds) > 1:
        raise SourceError(
            f"{label}: {len(files):,} files of several formats ({', '.join(kinds)}). Name one of "
            "them with a glob such as 'folder/**/*.parquet'."
        )
    return kinds[0]


def _scan(files: list[Any], kind: str, label: str) -> list[pl.LazyFrame]:
    """Scan files of one format, and open each to see that it is what it says.

    Shards may differ: one lacks a column that another has, or has it in another type. Those that
    are alike are read together, the others beside them, so that no column is dropped.
    """
    for file in files:
        if isinstance(file, Path) and file.stat().st_size == 0:
            raise SourceError(f"{label}: {printable(file.name)} is empty (0 bytes). {ACCEPTED}")
    try:
        alike: dict[Any, list[Any]] = {}
        for file in files:
            alike.setdefault(_layout(file, kind), []).append(file)
        frames = [_READ[kind](group) for group in alike.values()]
        for frame in frames:
            frame.collect_schema()
    except SourceError:
        raise
    except (pl.exceptions.PolarsError, OSError, ValueError, UnicodeError) as error:
        reason = shorten(printable(" ".join(str(error).split())), 300)
        raise SourceError(
            f"{label}: cannot be read as {kind}: {reason}. The file may be truncated, damaged, not "
            f"readable by you, or of another format. {ACCEPTED}"
        ) from error
    return frames


def _layout(file: Any, kind: str) -> Any:
    """Give what files that are read together must share; JSON's reader takes any."""
    if kind == "parquet" and isinstance(file, Path):
        return tuple(sorted((name, str(t)) for name, t in pl.read_parquet_schema(file).items()))
    if kind == "CSV":
        return tuple(_csv_names(file))
    if kind == "Arrow" and isinstance(file, Path):
        return tuple(sorted((n, str(t)) for n, t in _scan_arrow([file]).collect_schema().items()))
    return None


def _scan_arrow(files: list[Any]) -> pl.LazyFrame:
    try:
        frame = pl.scan_ipc(files)
        frame.collect_schema()
        return frame
    except pl.exceptions.PolarsError:  # the streaming format, as `datasets` writes it
        return pl.concat(
            [pl.read_ipc_stream(file).lazy() for file in files], how="diagonal_relaxed"
        )


def _scan_csv(files: list[Any]) -> pl.LazyFrame:
    # known columns stay text, to be typed by the same rules as everywhere; others by their values
    text = {name: pl.String for name in _csv_names(files[0]) if name in KNOWN}
    return pl.scan_csv(
        files, schema_overrides=text, infer_schema_length=None, encoding="utf8-lossy"
    )


def _csv_names(file: Any) -> list[str]:
    return pl.scan_csv(file, infer_schema=False, encoding="utf8-lossy").collect_schema().names()


def _scan_parquet(files: list[Any]) -> pl.LazyFrame:
    return pl.scan_parquet(files)


_READ = {
    "parquet": _scan_parquet,
    "Arrow": _scan_arrow,
    "CSV": _scan_csv,
    "JSON": scan_json,
    "JSON lines": scan_json_lines,
}


def _in_memory(source: Any) -> pl.LazyFrame:
    if isinstance(source, pl.LazyFrame):
        return source
    if isinstance(source, pl.DataFrame):
        return source.lazy()
    if isinstance(source, (list, tuple)) and all(isinstance(row, dict) for row in source):
        if not source:
            raise SourceError("frame in memory: an empty list has no cards and no columns.")
        return frame_of_records(source).lazy()
    table = getattr(getattr(source, "data", None), "table", None)  # datasets.Dataset
    if table is not None and getattr(source, "_indices", None) is None:
        source = table
    elif hasattr(source, "with_format") and hasattr(source, "features"):
        source = source.with_format("arrow")[:]
    module = type(source).__module__.split(".")[0]
    try:
        if module == "pandas":
            frame: pl.DataFrame = pl.from_pandas(source)
            return frame.lazy()
        if hasattr(source, "__arrow_c_stream__"):
            return pl.DataFrame(source).lazy()
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        if module != "pandas":
            raise SourceError(f"frame in memory ({type(source).__name__}): {error}") from error
        # a column that mixes strings and lists has no Arrow type: read it row by row
        records: list[Any] = source.to_dict("records")
        return frame_of_records(records).lazy()
    except ImportError as error:
        raise SourceError(f"reading pandas frames needs pyarrow: {error}") from error
    raise not_a_frame(source)
