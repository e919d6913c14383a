"""A hash that says whether two reports were made from the same cards."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import polars as pl

from .folder import find_cards
from .sources import data_files, matches


def corpus_hash(source: Any) -> str | None:
    """Hash a source: SHA-256 over its files' names and bytes, or over a frame's columns.

    Parameters
    ----------
    source : str, path, frame, or list of these
        As :func:`cardlab.scan_cards` takes it.

    Returns
    -------
    str or None
        64 hexadecimal digits; None for a remote or lazy source, which is not read for this.
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
