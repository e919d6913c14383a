"""Of what kind a tag is."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import Any

import numpy as np
import polars as pl

from ..frames import Coded, check_countable, encode, family_key, first_of_families, narrow
from ..schema import FRONT_MATTER, column_names, one_of, require
from ..shares.authors import author_codes

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

    Examples
    --------
    >>> cl.tag_kind("license:mit"), cl.tag_kind("text-generation"), cl.tag_kind("my-tag")
    ('license', 'task', 'free')
    """
    prefix = tag.partition(":")[0]
    if prefix in _PREFIXES and prefix != tag:
        return prefix
    return _known_tags().get(tag) or ("other prefix" if parted(tag)[0] else "free")


def _tag_kinds(tags: pl.Series) -> list[str]:
    """Give the :func:`tag_kind` of many tags, calling it for the rarer prefixes only."""
    prefix = tags.str.extract("^([^:]*):")
    plain = tags.replace_strict(_known_tags(), default="free")
    kinds: list[str] = prefix.zip_with(prefix.is_in(_PREFIXES).fill_null(False), plain).to_list()
    for at in (prefix.is_not_null() & ~prefix.is_in(_PREFIXES)).arg_true():
        kinds[at] = tag_kind(tags[at])
    return kinds


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

    Examples
    --------
    >>> tags = pl.DataFrame({"tag": ["pytorch", "en", "arxiv:1706.03762"]})
    >>> cl.with_tag_kinds(tags)["kind"].to_list()
    ['library', 'language', 'arxiv']
    """
    require(counts, column)
    shown: dict[str, str] = {}
    if cards is not None and evidence(cards, "tags"):
        coded, kinds, *_ = read_tags(cards, "tags")
        shown = dict(zip(coded.names, kinds if kinds is not None else [], strict=True))
    tags = counts[column].cast(pl.String)
    known = tags.replace_strict(shown, default=None, return_dtype=pl.String)
    own = tags.drop_nulls().unique()
    named = tags.replace_strict(own, pl.Series(_tag_kinds(own), dtype=pl.String), default=None)
    return counts.with_columns(known.fill_null(named).alias("kind"))


# names of our own, so that a column may have any name
_VALUE, _FAMILY, _ID, _BESIDE = "__value", "__family", "__id", "__beside_"
_AUTHOR = "__author"


def read_tags(
    cards: Any,
    column: str,
    *,
    families: str | None = None,
    mapping: Mapping[str, str] | None = None,
    with_kinds: bool = True,
    author: str | None = None,
) -> tuple[Coded, pl.Series | None, Any, Any]:
    """Read a column of tags as codes, with kinds, cards that stand for a family, and authors.

    `mapping` has the tags that are counted as another. Where a column shows what kind a tag is,
    all are read in one pass. `author` names a column, which is given with its
    :func:`~..shares.authors.author_codes`. Without kinds, families or authors these are None.
    """
    shown = evidence(cards, column) if with_kinds else []
    own = {_VALUE: column} | {_BESIDE + name: name for name in shown}
    valued, more = list(own), []
    if families is not None:
        own |= {_FAMILY: families, _ID: "id"}
        more = [family_key(families, _FAMILY), pl.col(_ID)]
    if author is not None:
        own |= {_AUTHOR: author}
        more.append(pl.col(_AUTHOR))
    require(cards, *own.values())
    frame = narrow(cards, own)
    schema = frame.collect_schema()
    for name in valued:
        check_countable(schema[name], own[name])
    (coded, *beside), rows = encode(frame, valued, *more, together=True, rename=mapping)
    first = None if families is None else first_of_families(rows[_FAMILY], rows[_ID])
    with ThreadPoolExecutor(1) as aside:  # both take a second, and most of it without Python's lock
        who = None if author is None else aside.submit(author_codes, rows[_AUTHOR])
        kind = (
            _kinds_of(coded, column, dict(zip(shown, beside, strict=True))) if with_kinds else None
        )
    return coded, kind, first, None if who is None else (rows[_AUTHOR], who.result())


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


def _kinds_of(coded: Coded, column: str, beside: dict[str, Coded]) -> pl.Series:
    """Give the kind of each value: for tags by name and evidence, else that of the column.

    A tag is of the kind of a column whose value it is on more than half of the cards that carry it.
    If two columns name it, it is what the more cards say, and of as many the first of library,
    task and language.
    """
    if column != "tags":
        own = _OF_COLUMN.get(column, column)
        own = own if own in KINDS else "free"
        return pl.repeat(own, len(coded.names), dtype=pl.String, eager=True).alias("kind")
    kinds = _tag_kinds(coded.names)
    if beside:
        # of the tags those that are a value of these columns, which are few
        shown = np.zeros(len(coded.names), dtype=bool)
        shown[np.concatenate([other.code for other in beside.values()])] = True
        kept = shown[coded.code]
        few = Coded(coded.names, coded.code[kept], coded.lengths_of(kept))
        there = np.append(_placed(few), -1)
        n_same = np.stack([_same(there, other) for other in beside.values()])
        best = n_same.argmax(axis=0)
        for code in np.flatnonzero(2 * n_same.max(axis=0) > coded.counts()):
            if kinds[code] in _NOT_PREFIXED:
                kinds[code] = _EVIDENCE[list(beside)[best[code]]]
    return pl.Series("kind", kinds, dtype=pl.String)


def _placed(coded: Coded) -> Any:
    """Give card and code of each value in one number; they ascend."""
    return coded.of_each(np.arange(coded.n_cards) << 32) | coded.code


def _same(there: Any, other: Coded) -> Any:
    """Count, for each value, the cards that have it in both."""
    own = _placed(other)  # sought in order, which is quicker than sorting both together
    same = other.code[there[np.searchsorted(there[:-1], own)] == own]
    return np.bincount(same, minlength=len(other.names))


def checked_kinds(kinds: Sequence[str] | None) -> list[str] | None:
    """Give `kinds` as a list of known kinds; None stays None, and stands for all of them."""
    if kinds is None:
        return None
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    for kind in kinds:
        one_of(kind, KINDS, name="kinds")
    return None if {*kinds} == {*KINDS} else kinds
