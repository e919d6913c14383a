"""Of what kind a tag is."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import polars as pl

from ..schema import FRONT_MATTER, column_names, one_of, require
from .codes import Coded, encode

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
#: What :func:`cooccurrence` leaves out unless it is asked for: the codes of one multilingual card
#: make thousands of pairs, and what the Hub adds by itself is on nearly all cards.
NOT_PAIRED = ("language", "hub", "region")
_PREFIXES = ("license", "dataset", "arxiv", "base_model", "region")
_NOT_PREFIXED = ("hub", "library", "task", "language", "free")

#: Columns whose values show what kind a tag is, first those that decide where two say as much.
_EVIDENCE = {"library_name": "library", "pipeline_tag": "task", "languages": "language"}
_OF_COLUMN = {**_EVIDENCE, "datasets": "dataset"}


@functools.cache
def _known_tags() -> dict[str, str]:
    """Map the tags that are known by name to their kinds."""
    names = json.loads(files("cardlab").joinpath("data/tag_kinds.json").read_text("utf-8"))
    return {tag: kind for kind in ("language", "task", "library", "hub") for tag in names[kind]}


def known_tags(*kinds: str) -> list[str]:
    """Give the tags of the list that are of these kinds: hub, library, task, language."""
    return [tag for tag, kind in _known_tags().items() if kind in kinds]


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
        prefix; ``hub`` (added by the Hub itself), ``library``, ``task``, ``language`` (a
        code of ISO 639) by the lists of ``data/tag_kinds.json``; ``other prefix`` for
        ``word:value``; else ``free``.
    """
    prefix = tag.partition(":")[0]
    if prefix in _PREFIXES and prefix != tag:
        return prefix
    return _known_tags().get(tag) or ("other prefix" if parted(tag)[0] else "free")


def parted(tag: str) -> tuple[str, str]:
    """Part a tag into prefix and value: ``base_model:finetune:x`` is ``base_model`` and ``x``."""
    prefix, _, rest = tag.partition(":")
    if rest and prefix.replace("_", "").replace("-", "").isalnum() and rest[:2] != "//":
        return prefix, rest.rpartition(":")[2]
    return "", tag


def with_tag_kinds(counts: pl.DataFrame, *, column: str = "tag", cards: Any = None) -> pl.DataFrame:
    """Add ``kind`` to a frame with one tag a row.

    Parameters
    ----------
    counts : pl.DataFrame
        With a string column of tags.
    column : str
        Its name.
    cards : frame, optional
        With ``tags`` and any of ``library_name``, ``pipeline_tag``, ``languages``: a tag without
        a prefix that is the value of one of these columns on more than half of the cards that
        carry it is of that kind (``library``, ``task``, ``language``), whatever the lists say. So
        three-letter language codes and new libraries are recognised. Columns that a lazy frame
        would have to parse out of each card's front matter are not used: collect them first.

    Returns
    -------
    pl.DataFrame
        With ``kind``, one of :data:`KINDS`; null where the tag is null.
    """
    require(counts, column)
    tags = counts[column].cast(pl.String)
    kinds = {tag: tag_kind(tag) for tag in tags.drop_nulls().unique()}
    if cards is not None and (beside := evidence(cards, "tags")):
        coded = encode(cards, "tags", beside=beside)
        kinds |= {tag: kind for tag, kind in _shown(coded) if kinds.get(tag) in _NOT_PREFIXED}
    return counts.with_columns(
        pl.Series("kind", [None if tag is None else kinds[tag] for tag in tags], dtype=pl.String)
    )


def evidence(cards: Any, column: str) -> list[str]:
    """Name the columns of the cards that show of what kind the values of `column` are.

    Counting tags must not parse each card's front matter, so a lazy column that Python would have
    to compute is left out where the tags themselves are simply read.
    """
    names = column_names(cards)
    if column != "tags" or column not in names:
        return []
    have = [name for name in _EVIDENCE if name in names]
    if isinstance(cards, pl.LazyFrame) and not _by_python(cards, column):
        have = [name for name in have if not _by_python(cards, name)]
    return have


def _by_python(cards: pl.LazyFrame, column: str) -> bool:
    return FRONT_MATTER in cards.select(column).explain()


def kinds_of(coded: Coded, column: str) -> pl.Series:
    """Give the kind of each value: for tags by name and evidence, else that of the column."""
    if column != "tags":
        own = _OF_COLUMN.get(column, column)
        own = own if own in KINDS else "free"
        return pl.repeat(own, len(coded.names), dtype=pl.String, eager=True).alias("kind")
    kinds = dict(zip(coded.names, map(tag_kind, coded.names), strict=True))
    kinds |= {tag: kind for tag, kind in _shown(coded) if kinds[tag] in _NOT_PREFIXED}
    return pl.Series("kind", list(kinds.values()), dtype=pl.String)


def _shown(coded: Coded) -> list[tuple[str, str]]:
    """Find tags that are a column's value on more than half of the cards that carry them.

    A tag that two columns name is what the more cards say, and of as many the first of library,
    task and language.
    """
    if not coded.n_same:
        return []
    n_same = np.stack([coded.n_same[name] for name in coded.n_same])
    kinds = [_EVIDENCE[name] for name in coded.n_same]
    best = n_same.argmax(axis=0)
    shown = np.flatnonzero(2 * n_same.max(axis=0) > coded.counts())
    names = coded.names.gather(shown)
    return [(tag, kinds[at]) for tag, at in zip(names, best[shown], strict=True)]


def checked_kinds(kinds: Sequence[str] | None) -> list[str] | None:
    """Give `kinds` as a list of known kinds; None stays None."""
    if kinds is None:
        return None
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    for kind in kinds:
        one_of(kind, KINDS, name="kinds")
    return kinds
