"""Of what kind a tag is."""

from __future__ import annotations

import functools
import json
from importlib.resources import files

import polars as pl

from ..schema import require

#: Kinds of tags, in the order in which :func:`tag_kind` tries them.
KINDS = (
    "license",
    "dataset",
    "arxiv",
    "base_model",
    "region",
    "hub",
    "library",
    "task",
    "language",
    "other prefix",
    "free",
)
_PREFIXES = ("license", "dataset", "arxiv", "base_model", "region")


@functools.cache
def _known_tags() -> dict[str, str]:
    """Map the tags that are known by name to their kinds."""
    names = json.loads(files("cardlab").joinpath("data/tag_kinds.json").read_text("utf-8"))
    return {tag: kind for kind in ("language", "task", "library", "hub") for tag in names[kind]}


def tag_kind(tag: str) -> str:
    """Say of what kind a tag is.

    Parameters
    ----------
    tag : str
        As the Hub gives it.

    Returns
    -------
    str
        One of :data:`KINDS`: ``license``, ``dataset``, ``arxiv``, ``base_model``, ``region`` by
        prefix; ``hub`` (added by the Hub itself), ``library``, ``task``, ``language`` (two-letter
        code of ISO 639-1) by the lists of ``data/tag_kinds.json``; ``other prefix`` for
        ``word:value``; else ``free``.
    """
    prefix, colon, rest = tag.partition(":")
    if colon and prefix in _PREFIXES:
        return prefix
    known = _known_tags().get(tag)
    if known:
        return known
    if colon and rest and prefix.replace("_", "").replace("-", "").isalnum() and rest[:2] != "//":
        return "other prefix"
    return "free"


def with_tag_kinds(counts: pl.DataFrame, *, column: str = "tag") -> pl.DataFrame:
    """Add ``kind`` to a frame with one tag a row.

    Parameters
    ----------
    counts : pl.DataFrame
        With a string column of tags.
    column : str
        Its name.

    Returns
    -------
    pl.DataFrame
        With ``kind``, one of :data:`KINDS`; null where the tag is null.
    """
    require(counts, column)
    kinds = [None if tag is None else tag_kind(tag) for tag in counts[column]]
    return counts.with_columns(pl.Series("kind", kinds, dtype=pl.String))
