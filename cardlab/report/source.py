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
    elif isinstance(source, (list, tuple)) and not source:
        raise MissingSourceError("The list of sources is empty.")
    elif isinstance(source, (list, tuple)) and all(
        isinstance(item, (str, os.PathLike)) for item in source
    ):
        yield Source([_absolute(item) for item in source], labelled(source))
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
        from ..cards.sources import matches

        if matches(Path(path)):
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


def _write_frame(source: Any, path: Path) -> int:
    """Write a frame, or whatever else holds cards, to parquet; return its number of rows."""
    import polars as pl

    from ..cards import scan_cards

    for method in ("to_polars", "toArrow"):  # ibis and others; Spark 4
        source = getattr(source, method)() if hasattr(source, method) else source
    frame = source if isinstance(source, (pl.DataFrame, pl.LazyFrame)) else scan_cards(source)
    frame.lazy().sink_parquet(path)  # streams: the corpus may be larger than memory
    return int(pl.scan_parquet(path).select(pl.len()).collect().item())
