"""Tags that are spellings of one tag: proposed here, changed only where one asks for it."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from ..schema import CardlabError, require
from .kinds import read_tags, tag_kind

#: Columns of names, where another spelling is another thing.
_NAMES = ("datasets", "base_model", "arxiv", "license")
_KNOWN = ("library", "task")
_WORDS = ("library", "task", "hub", "free")  # kinds without a prefix; codes are no words
# between two digits a separator counts: 3.1 is not 31
_SEPARATORS = re.compile(r"(?<=\d)([\s_.\-]+)(?=\d)|[\s_.\-]+")
_SHORTEST_PLURAL = 5
_SCHEMA = {
    **{"tag": pl.String, "canonical": pl.String},
    **{"n_cards": pl.Int64, "n_canonical": pl.Int64, "reason": pl.String},
}


def tag_variants(cards: Any, *, column: str = "tags") -> pl.DataFrame:
    """Propose which tags are other spellings of a more frequent one; changes nothing.

    Parameters
    ----------
    cards : frame
        With `column`, a list of strings.
    column : str
        Not a column of names (``datasets``, ``base_model``, ``arxiv``, ``license``): there another
        spelling is another thing.

    Returns
    -------
    pl.DataFrame
        ``tag``, ``canonical`` (the form on most cards; of as many, the name of a library or a
        task, then the first by name), ``n_cards``, ``n_canonical`` (cards with each), ``reason``
        (in words: how the two differ). Most cards first, then by name.

    Raises
    ------
    MissingColumn, CardlabError
        The cards have no such column, or it is one of names.

    Notes
    -----
    Two tags are forms of one if they are equal without regard to case, to separators (blanks,
    ``-``, ``_``, ``.``; but between digits ``3.1`` is not ``31``) and to Unicode's forms of
    compatibility, or if one is the plural of the other in English (``-s``, ``-es``, ``-ies``; of
    five letters or more). A tag with a prefix (``license:``, ``dataset:``, ``word:``) is never
    proposed, nor a language code: ``IT`` is not ``it``. The plural is a guess: look before you
    count with ``variants=``, as :func:`tag_counts` and :func:`cooccurrence` do.

    Examples
    --------
    >>> cards = {"id": ["a", "b", "c"], "tags": [["speech"], ["speech"], ["Speech"]]}
    >>> cl.tag_variants(cards).row(0)
    ('Speech', 'speech', 1, 2, 'differs in case')
    """
    if column in _NAMES:
        raise CardlabError(
            f"column {column!r} holds names, where another spelling is another thing: "
            "tag_variants is for words, as in column='tags'."
        )
    coded, *_ = read_tags(cards, column, with_kinds=False)
    number = {
        tag: int(n)
        for tag, n in zip(coded.names, coded.counts(), strict=True)
        if n and tag_kind(tag) in _WORDS and ":" not in tag
    }
    rows = []
    for tags in _groups(number):
        first = min(tags, key=lambda tag: (-number[tag], tag_kind(tag) not in _KNOWN, tag))
        others = (tag for tag in tags if tag != first)
        rows += [(tag, first, number[tag], number[first], _reason(tag, first)) for tag in others]
    found = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    return found.sort(["n_cards", "tag"], descending=[True, False])


def mapping_of(variants: Any) -> dict[str, str]:
    """Give what is counted as what: ``tag`` and ``canonical`` of a frame, or a mapping."""
    if variants is None:
        return {}
    if isinstance(variants, pl.DataFrame):
        require(variants, "tag", "canonical")
        return dict(variants.select("tag", "canonical").drop_nulls().rows())
    if isinstance(variants, Mapping):
        return {str(tag): str(canonical) for tag, canonical in variants.items()}
    raise CardlabError(
        "variants must be a frame with tag and canonical, or a mapping of one to the other, "
        f"not {type(variants).__name__}."
    )


def _groups(tags: Iterable[str]) -> list[list[str]]:
    """Group the tags that are forms of one."""
    keys = {tag: key for tag in tags if (key := folded(tag))}
    known = set(keys.values())
    groups: dict[str, list[str]] = defaultdict(list)
    for tag, key in keys.items():
        groups[_singular(key, known)].append(tag)
    return [group for group in groups.values() if len(group) > 1]


def folded(tag: str) -> str:
    """Give what all spellings of a tag share; empty for a tag of separators only."""
    text = unicodedata.normalize("NFKC", tag).casefold().strip(" \t\r\n_.-")
    return _SEPARATORS.sub(lambda found: "." if found[1] else "", text)


def _singular(key: str, known: set[str]) -> str:
    """Give the singular of a plural whose singular occurs as well; else the word itself."""
    if len(key) < _SHORTEST_PLURAL or not key.endswith("s") or key.endswith(("ss", "us", "is")):
        return key
    stems = [key[:-1]]
    if key.endswith("ies"):
        stems = [key[:-3] + "y", key[:-1]]
    elif key.endswith(("ses", "xes", "zes", "ches", "shes")):
        stems = [key[:-2], key[:-1]]
    return next((stem for stem in stems if stem in known and stem[-1].isalpha()), key)


def _reason(tag: str, canonical: str) -> str:
    """Say in words how a tag differs from the canonical form."""
    ways = []
    if folded(tag) != folded(canonical):
        ways.append("plural")
    bare = [re.sub(r"[\s_.\-]+", "", text) for text in (tag, canonical)]
    if bare[0].casefold().rstrip("s") == bare[1].casefold().rstrip("s"):
        if any(a != b for a, b in zip(*bare, strict=False)):
            ways.append("case")
        if re.sub(r"[^\s_.\-]+", "x", tag) != re.sub(r"[^\s_.\-]+", "x", canonical):
            ways.append("separators")
    ways = ways or ["Unicode form"]
    return f"differs in {' and '.join([', '.join(ways[:-1]), ways[-1]] if ways[1:] else ways)}"
