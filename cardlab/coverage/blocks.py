"""One card taken apart: which text answers which concept, and which headings answer none."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

from ..text.outline import Section, sections
from .bodies import (
    ABSENT,
    BOILERPLATE,
    FILLED,
    PLACEHOLDER,
    Body,
    is_generated,
    judge,
    shown_by,
    take_fields,
)
from .headings import Meaning, asked_for, meaning, phrase, under
from .standards import definitions

#: Why a heading answers no section, where no list of words says it.
NAMES_THE_MODEL = "the name of the model, or of one beside it"
IS_THE_TITLE = "the card's title"
SAYS_NO_WORD = "no word: a number, a sign or a picture"
IS_A_SLOGAN = "a greeting or a slogan"


class Block(NamedTuple):
    """A text of a card and what it answers.

    Attributes
    ----------
    heading : str
        The heading or label it stands under; ``""`` for what precedes the first heading.
    concepts : tuple of str
        What the text answers; empty where that is nothing a standard asks for.
    reason : str or None
        Why the heading answers nothing, where that is known.
    body : Body or None
        How the text was judged; None for a heading that only holds other headings.
    is_heading : bool
        False for a labelled field and for what precedes the first heading.
    evidence : str or None
        What of the text's own content answers it, where no heading says so.
    """

    heading: str
    concepts: tuple[str, ...]
    reason: str | None
    body: Body | None
    is_heading: bool
    evidence: str | None = None


class _Place(NamedTuple):
    """Where a heading stands: what the headings above it mean."""

    level: int
    concepts: tuple[str, ...]
    reason: str | None


def blocks(card_id: str | None, text: str) -> list[Block]:
    """Take a card apart.

    Parameters
    ----------
    card_id : str or None
        The id, of which the headings that are only the model's name are told.
    text : str
        The body of the card.

    Returns
    -------
    list of Block
        In the order of the card: each heading, and the labelled fields beneath it.
    """
    found: list[Block] = []
    parts = sections(text)
    generated = is_generated(text)
    above: list[_Place] = []
    own_id = card_id or ""
    titled = False
    for at, part in enumerate(parts):
        if part.level == 0:
            found += _texts(part, ("summary",), None, generated, holds=False)
            found += _shown(part, ("summary",), own_id)
            continue
        while above and above[-1].level >= part.level:
            above.pop()
        first, titled = not titled, True
        concepts, reason, is_title = _place(part, above, own_id, first)
        # unknown headings below the title are not about what the title's own text is about
        above.append(_Place(part.level, () if is_title else concepts, None if is_title else reason))
        holds = at + 1 < len(parts) and parts[at + 1].level > part.level
        found += _texts(part, concepts, reason, generated, holds=holds)
        found += _shown(part, concepts, own_id)
    return found


def _shown(part: Section, concepts: tuple[str, ...], card_id: str) -> Iterator[Block]:
    """Give what a section's content answers by itself."""
    for concept, name, n_words, key in shown_by(part.body, part.title, concepts, card_id):
        yield Block(part.title, (concept,), None, Body(FILLED, n_words, key), False, name)


def _texts(
    part: Section, concepts: tuple[str, ...], reason: str | None, generated: bool, *, holds: bool
) -> Iterator[Block]:
    """Give a section's own text, then its labelled fields."""
    rest, fields = take_fields(part.body, concepts)
    judged = [judge(field.value, field.concepts, generated=generated) for field in fields]
    own: Body | None = judge(rest, concepts, generated=generated)
    if own is not None and own.state != FILLED:
        # a section that is a list of fields says what they say
        best = max((body.state for body in judged), default=ABSENT)
        if best == PLACEHOLDER and own.state == BOILERPLATE:
            own = own._replace(state=PLACEHOLDER)  # a template's words around its blanks
        elif best > own.state:
            own = Body(best, sum(body.n_words for body in judged), 0)
        elif holds and not own.n_words and not fields and "<!--" not in rest:
            own = None
    yield Block(part.title, concepts, reason, own, part.level > 0)
    for field, body in zip(fields, judged, strict=True):
        yield Block(field.label, field.concepts, None, body, False)


def _place(
    part: Section, above: list[_Place], card_id: str, first: bool
) -> tuple[tuple[str, ...], str | None, bool]:
    """Say what a heading answers where it stands, else why nothing; and whether it is the title."""
    told = meaning(part.title)
    if first and _is_title(part, told, card_id):
        return ("summary",), IS_THE_TITLE, True
    inner = next((p.concepts for p in reversed(above) if set(p.concepts) & asked_for()), ())
    if inner and (special := under(part.title, inner)):
        return (special,), None, False
    asked = tuple(concept for concept in told.concepts if concept in asked_for())
    if asked and not (told.weak and inner):
        return asked, None, False
    idle = [definitions()["concepts"][c] for c in told.concepts if c not in asked_for()]
    if idle and not (idle[0].get("yields") and not _GENERAL.issuperset(inner)):
        return (), idle[0]["reason"], False
    if inner:
        return inner, None, False
    if about := _about(told.words, card_id):
        return (about,), None, False
    reason = _reason(told.words, part.title, card_id)
    return (), reason or next((p.reason for p in reversed(above) if p.reason), None), False


def _is_title(part: Section, told: Meaning, card_id: str) -> bool:
    """Say whether the first heading is the card's title and not its first section."""
    if told.words in _reasons() and told.words not in _languages():
        return True
    if told.complete and part.level > 1:
        return False
    if _in_name(told.words, card_id.rpartition("/")[2]):
        return True
    return part.level == 1 and not told.complete


def _reason(words: str, title: str, card_id: str) -> str | None:
    """Say why a heading without a known word answers nothing."""
    bare = words.replace(" | ", " ")
    if not re.search(r"[^\W\d_]", bare):
        return SAYS_NO_WORD
    if reason := _reasons().get(bare) or _all_of_one_reason(bare):
        return reason
    if _in_name(words, card_id.rpartition("/")[2]):
        return NAMES_THE_MODEL
    if title.rstrip(" *_").endswith(("!", "！")):
        return IS_A_SLOGAN
    return None


def _all_of_one_reason(words: str) -> str | None:
    reasons = {_reasons().get(word) for word in words.split()}
    return reasons.pop() if len(reasons) == 1 else None


@functools.cache
def _reasons() -> dict[str, str]:
    return {
        phrase(word): reason for reason, words in definitions()["reasons"].items() for word in words
    }


@functools.cache
def _languages() -> frozenset[str]:
    return frozenset(word for word, reason in _reasons().items() if reason == "a language")


def _about(words: str, card_id: str) -> str | None:
    """Read "About X": X is who made the model, or else the model."""
    if not words.startswith("about "):
        return None
    return "developers" if _in_name(words, card_id.rpartition("/")[0]) else "description"


def _in_name(words: str, name: str) -> bool:
    """Say whether a heading has a word that tells this name, however either is spaced."""
    squeezed = re.sub(r"[\W_]+", "", name.casefold())
    joined = [re.sub(r"\W+", "", word) for word in words.split()]
    return any(len(word) > 2 and word not in _common() and word in squeezed for word in joined)


_GENERAL = frozenset(("summary", "description"))


@functools.cache
def _common() -> frozenset[str]:
    return frozenset(definitions()["words"]["in_many_names"])
