"""What front matter says, a batch of cards at a time: the part of loading that needs Python."""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from .. import frontmatter
from ..schema import PROBLEMS, STRINGS, printable, shorten

FRONT = pl.Struct(
    {
        "metadata": pl.String,
        "library_name": pl.String,
        "pipeline_tag": pl.String,
        "languages": STRINGS,
        "license": STRINGS,
        "base_model": STRINGS,
        "datasets": STRINGS,
        "arxiv": STRINGS,
        "tags": STRINGS,
        "problems": PROBLEMS,
    }
)
_UNREADABLE = dict.fromkeys(FRONT.to_schema())


def read_cards(cards: pl.Series) -> pl.Series:
    """Read the front matter of whole cards; null fields where a card is null or broken."""
    return pl.Series([_front_of_card(card) for card in cards], dtype=FRONT)


def _front_of_card(card: str | None) -> dict[str, Any]:
    if card is None:
        return _UNREADABLE
    metadata, _, problems = frontmatter.read_card(card)
    arxiv = frontmatter.arxiv_ids(card)
    if metadata is None:
        return {**_UNREADABLE, "arxiv": arxiv, "problems": [p._asdict() for p in problems]}
    known = frontmatter.fields(metadata)
    return {
        **known,
        "metadata": frontmatter.to_json(metadata),
        "arxiv": arxiv,
        "tags": frontmatter.hub_tags(known, arxiv),
        "problems": [p._asdict() for p in problems],
    }


def read_metadata(metadata: pl.Series) -> pl.Series:
    """Take the canonical columns out of front matter that a source gives as JSON."""
    return pl.Series([_front_of_json(text) for text in metadata], dtype=FRONT)


def _front_of_json(text: str | None) -> dict[str, Any]:
    try:
        value = None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return _UNREADABLE
    known = frontmatter.fields(value)
    return {**_UNREADABLE, **known, "tags": frontmatter.hub_tags(known, [])}


def json_problems(metadata: pl.Series) -> pl.Series:
    """List what is wrong with front matter that should be JSON; null where nothing is given."""
    return pl.Series([_problems_of_json(text) for text in metadata], dtype=PROBLEMS)


def _problems_of_json(text: str | None) -> list[dict[str, str]] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return [_problem("bad_json", str(error))]
    if isinstance(value, dict):
        return []
    detail = f"the front matter is JSON, but {type(value).__name__}, not an object"
    return [_problem("not_a_mapping", detail)]


def bodies(cards: pl.Series) -> pl.Series:
    """Give the bodies of whole cards, without parsing their front matter."""
    found = [None if card is None else frontmatter.split_card(card)[1] for card in cards]
    return pl.Series(found, dtype=pl.String)


def _problem(kind: str, detail: str) -> dict[str, str]:
    return {"column": "metadata", "problem": kind, "detail": shorten(printable(detail), 300)}
