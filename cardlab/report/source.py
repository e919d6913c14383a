"""From whatever names a corpus to something a kernel in another folder can read."""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from .errors import MissingSourceError, ReportError

BUNDLED = "bundled synthetic corpus"
_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True)
class Source:
    """A corpus as a notebook gets it (``value``) and as a reader sees it (``label``)."""

    value: str | list[str] | None
    label: str


@contextmanager
def prepared_source(source: Any, *, folder: Path) -> Iterator[Source]:
    """Check and resolve a source; a frame lives in ``folder`` as parquet while the block runs.

    Raises
    ------
    MissingSourceError
        When a local path does not exist or a glob matches nothing.
    """
    if source is None:
        yield Source(None, BUNDLED)
    elif isinstance(source, (str, os.PathLike)):
        yield Source(_absolute(source), _label(source))
    elif isinstance(source, (list, tuple)):
        if not source:
            raise MissingSourceError("The list of sources is empty.")
        if not all(isinstance(item, (str, os.PathLike)) for item in source):
            raise ReportError("A list of sources must hold paths, globs, folders or URLs only.")
        paths = [_absolute(item) for item in source]
        yield Source(paths, labelled(source))
    else:
        # A notebook may show the last parts of this path, which must not differ from run to run.
        path = folder / "in-memory" / "frame.parquet"
        path.parent.mkdir()
        n_rows = _write_frame(source, path)
        try:
            yield Source(str(path), f"a frame in memory ({n_rows:,} rows)")
        finally:
            shutil.rmtree(path.parent, ignore_errors=True)


def resolved(source: Any) -> str | list[str]:
    """Check a path, glob, URL or list of these, and give it as any working directory can read it.

    Raises
    ------
    MissingSourceError
        When a local path does not exist or a glob matches nothing.
    """
    if isinstance(source, (str, os.PathLike)):
        return _absolute(source)
    items = source if isinstance(source, (list, tuple)) else []
    if items and all(isinstance(item, (str, os.PathLike)) for item in items):
        return [_absolute(item) for item in items]
    raise ReportError("A baseline must be a path, a glob, a folder, a URL or a list of these.")


def labelled(source: Any) -> str:
    """Name a path, glob, URL or list of these without telling where it lies."""
    if not isinstance(source, (list, tuple)):
        return _label(source)
    more = f" and {len(source) - 1} more" if len(source) > 1 else ""
    return _label(source[0]) + more


def _absolute(source: str | os.PathLike[str]) -> str:
    """Return the source as it can be read from any working directory."""
    text = os.fspath(source)
    if not isinstance(text, str):
        raise ReportError("The source must be text, not bytes.")
    if _URL.match(text):
        return text
    path = os.path.abspath(os.path.expanduser(text))
    if os.path.exists(path):
        return path
    if glob.has_magic(path):
        if next(glob.iglob(path, recursive=True), None) is not None:
            return path
        raise MissingSourceError(f"No file matches {text!r} (looked for {path}). Nothing was run.")
    raise MissingSourceError(f"There is no file or folder {text!r} ({path}). Nothing was run.")


def _label(source: str | os.PathLike[str]) -> str:
    """Return a name for the corpus that tells nothing about the machine it lies on."""
    text = str(os.fspath(source))
    if _URL.match(text):
        parts = [unquote(part) for part in urlsplit(text).path.split("/") if part]
        if text.startswith("hf://"):
            return "/".join(parts[:2]) or "Hugging Face Hub"
        return parts[-1] if parts else "a URL"
    path = Path(os.path.abspath(os.path.expanduser(text)))
    if glob.has_magic(path.name) and path.parent.name:
        return f"{path.parent.name}/{path.name}"
    return path.name or "a folder"


def _write_frame(frame: Any, path: Path) -> int:
    """Write a frame of any common kind to parquet; return its number of rows."""
    import polars as pl

    if isinstance(frame, pl.LazyFrame):
        frame.sink_parquet(path)  # streams: the corpus may be larger than memory
        return int(pl.scan_parquet(path).select(pl.len()).collect().item())
    if not isinstance(frame, pl.DataFrame):
        frame = _to_polars(frame)
    frame.write_parquet(path)
    return int(frame.height)


def _to_polars(frame: Any) -> Any:
    import polars as pl

    kind = f"{type(frame).__module__.split('.')[0]} {type(frame).__name__}"
    try:
        if hasattr(frame, "to_polars"):
            return frame.to_polars()
        if type(frame).__module__.startswith("pandas"):
            return pl.from_pandas(frame)
        if hasattr(frame, "__arrow_c_stream__"):
            return pl.DataFrame(frame)
        if hasattr(frame, "to_arrow"):
            return pl.from_arrow(frame.to_arrow())
        if hasattr(frame, "toArrow"):  # Spark 4
            return pl.from_arrow(frame.toArrow())
    except Exception as error:
        raise ReportError(f"The {kind} could not be turned into a polars frame: {error}") from error
    raise ReportError(
        f"A source must be a path, a glob, a folder, a URL, a list of these, or a frame; "
        f"this is a {kind}."
    )
