"""Tags that are spellings of one tag: proposed here, changed only where one asks for it."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from ..schema import CardlabError, lazy, require, to_lazy_polars
from .codes import as_lists, encode
from .kinds import evidence, tag_kind

#: Columns of names, where another spelling is another thing.
_NAMES = ("datasets", "base_model", "arxiv", "license")
_KNOWN = ("library", "task")
_WORDS = ("library", "task", "hub", "free")  # kinds without a prefix; codes are no words
# between two digits a separator counts: 3.1 is not 31
_SEPARATORS = re.compile(r"(?<=\d)[\s_.\-]+(?=\d)|[\s_.\-]+")
_SHORTEST_PLURAL = 5


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
    proposed, nor a language code: ``IT`` is not ``it``. The plural is a guess: look before
    :func:`apply_variants`.
    """
    if column in _NAMES:
        raise CardlabError(
            f"column {column!r} holds names, where another spelling is another thing: "
            "tag_variants is for words, as in column='tags'."
        )
    coded = encode(cards, column)
    counts = coded.counts()
    number = {
        tag: int(n)
        for tag, n in zip(coded.names, counts, strict=True)
        if n and tag_kind(tag) in _WORDS and ":" not in tag
    }
    rows = []
    for tags in _groups(number):
        first = min(tags, key=lambda tag: (-number[tag], tag_kind(tag) not in _KNOWN, tag))
        rows += [
            (tag, first, number[tag], number[first], _reason(tag, first))
            for tag in tags
            if tag != first
        ]
    schema = {
        "tag": pl.String,
        "canonical": pl.String,
        "n_cards": pl.Int64,
        "n_canonical": pl.Int64,
        "reason": pl.String,
    }
    found = pl.DataFrame(rows, schema=schema, orient="row")
    return found.sort(["n_cards", "tag"], descending=[True, False])


def apply_variants(
    cards: Any, variants: Any, *, column: str = "tags"
) -> pl.LazyFrame | pl.DataFrame:
    """Put the canonical form in the place of each variant.

    Parameters
    ----------
    cards : frame
        With `column`.
    variants : pl.DataFrame or mapping
        ``tag`` and ``canonical`` as :func:`tag_variants` proposes them, filtered to what one
        agrees with; or a mapping of tag to canonical form.
    column : str
        The list of strings to change.

    Returns
    -------
    pl.DataFrame or pl.LazyFrame
        The same cards in the same order; a DataFrame for a DataFrame, else lazy. The changed
        list has each tag once, in the old order. Pass it on to any analysis.

    Raises
    ------
    MissingColumn, CardlabError
        The cards have no such column, or `variants` is neither a mapping nor such a frame.
    """
    if isinstance(variants, pl.DataFrame):
        require(variants, "tag", "canonical")
        mapping = dict(variants.select("tag", "canonical").rows())
    elif isinstance(variants, Mapping):
        mapping = {str(tag): str(canonical) for tag, canonical in variants.items()}
    else:
        raise CardlabError(
            "variants must be a frame with tag and canonical, or a mapping of one to the other, "
            f"not {type(variants).__name__}."
        )
    require(cards, column)
    frame = as_lists(to_lazy_polars(cards), column, column)
    if mapping:
        item = pl.element().replace(list(mapping), list(mapping.values()))
        changed = pl.col(column).list.eval(item).list.unique(maintain_order=True)
        touched = pl.col(column).list.eval(pl.element().is_in(list(mapping))).list.any()
        frame = frame.with_columns(pl.when(touched).then(changed).otherwise(column).alias(column))
    return frame.collect() if isinstance(cards, pl.DataFrame) else frame


def merged(cards: Any, variants: Any, *, column: str, families: str | None) -> Any:
    """Apply variants where there are any; other engines hand over only what counting needs."""
    if variants is None:
        return cards
    if not isinstance(cards, (pl.DataFrame, pl.LazyFrame)):
        have = require(cards, column)
        needed = dict.fromkeys([column, *evidence(cards, column), "id", families])
        cards = lazy(cards).select(*(name for name in needed if name in have)).to_native()
    return apply_variants(cards, variants, column=column)


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
    return _SEPARATORS.sub(lambda m: "." if _between_digits(text, m) else "", text)


def _between_digits(text: str, match: re.Match[str]) -> bool:
    return (
        match.start() > 0
        and match.end() < len(text)
        and text[match.start() - 1].isdigit()
        and text[match.end()].isdigit()
    )


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
