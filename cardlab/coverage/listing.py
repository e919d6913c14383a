"""What each heading of a corpus was taken to mean, and which mean nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl

from ..schema import STRINGS, NoFigure, at_least, count, one_of, printable, require
from .blocks import blocks
from .census import batches
from .headings import MAX_CHARS, fold
from .standards import STANDARDS, find_standard

#: Why a heading is listed that another standard asks for.
ASKED_ELSEWHERE = "this standard has no section for it"


def heading_meanings(
    cards: Any, *, standard: str = "huggingface", top: int | None = None
) -> pl.DataFrame:
    """List the headings of the cards, and which section of a standard each answers.

    Parameters
    ----------
    cards : frame
        With ``id`` and ``text``.
    standard : str
        As in :func:`section_coverage`.
    top : int, optional
        Only the headings on most cards; all by default.

    Returns
    -------
    pl.DataFrame
        ``heading`` (its most frequent spelling, without control characters, cut at 200
        characters), ``n_cards`` (cards that have it with this meaning), ``n_headings`` (how often
        it stands there), ``concepts`` (list of str), ``sections`` (list of str, of the standard),
        ``reason`` (why it answers none; null where it does, or where nothing is known of it),
        ``example_id``. One heading can have several rows, since it can mean what the section does
        that it stands in. Most cards first, then by heading and meaning.

    Raises
    ------
    MissingColumn
        The cards lack ``id`` or ``text``.
    CardlabError
        There is no such standard.
    NoFigure
        No card has a heading.
    """
    one_of(standard, STANDARDS, name="standard")
    if top is not None:
        at_least(top, 1, name="top")
    require(cards, "id", "text")
    n_cards: Counter[_Key] = Counter()
    n_headings: Counter[_Key] = Counter()
    spellings: dict[_Key, Counter[str]] = {}
    examples: dict[_Key, str] = {}
    for batch in batches(cards, ("id", "text")):
        for name, text in zip(
            batch["id"].cast(pl.String), batch["text"].cast(pl.String), strict=True
        ):
            if text is None:
                continue
            seen = set()
            for block in blocks(name, text):
                if not block.is_heading:
                    continue
                title = printable(block.heading[:MAX_CHARS])
                key = (fold(title), block.concepts, block.reason)
                n_headings[key] += 1
                spellings.setdefault(key, Counter())[title] += 1
                seen.add(key)
            for key in seen:
                n_cards[key] += 1
                if name is not None:
                    examples[key] = min(name, examples.get(key, name))
    if not n_cards:
        raise NoFigure(f"none of the {count(cards):,} cards has a heading.")
    answers = [(item.name, frozenset(item.concepts)) for item in find_standard(standard).sections]
    rows = []
    for key, number in n_cards.items():
        concepts = frozenset(key[1])
        sections = [name for name, asked in answers if not asked.isdisjoint(concepts)]
        best = min(spellings[key].items(), key=lambda item: (-item[1], item[0]))[0]
        reason = None if sections else key[2] or (ASKED_ELSEWHERE if concepts else None)
        row = (best, number, n_headings[key], list(key[1]), sections, reason, examples.get(key))
        rows.append(row)
    rows.sort(key=lambda row: (-row[1], row[0], row[3], row[5] or ""))
    return pl.DataFrame(rows[:top], schema=_LAYOUT, orient="row")


def unmapped_headings(
    cards: Any, *, standard: str = "huggingface", top: int | None = None
) -> pl.DataFrame:
    """List the headings that answer no section of a standard, with the reason where it is known.

    Parameters
    ----------
    cards, standard, top
        As in :func:`heading_meanings`.

    Returns
    -------
    pl.DataFrame
        ``heading``, ``n_cards``, ``n_headings``, ``reason`` (null: nothing is known of it),
        ``example_id``; most cards first. No rows where every heading answers a section.

    Raises
    ------
    MissingColumn, CardlabError, NoFigure
        As in :func:`heading_meanings`.
    """
    if top is not None:
        at_least(top, 1, name="top")
    found = heading_meanings(cards, standard=standard).filter(pl.col("sections").list.len() == 0)
    kept = found.select("heading", "n_cards", "n_headings", "reason", "example_id")
    return kept if top is None else kept.head(top)


_Key = tuple[str, tuple[str, ...], str | None]
_LAYOUT: dict[str, Any] = {
    "heading": pl.String,
    "n_cards": pl.Int64,
    "n_headings": pl.Int64,
    "concepts": STRINGS,
    "sections": STRINGS,
    "reason": pl.String,
    "example_id": pl.String,
}
