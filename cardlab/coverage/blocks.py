"""One card taken apart: which text answers which concept, and which headings answer none."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import NamedTuple

from ..text.sections import Section, sections
from .headings import Meaning, asked_for, definitions, meaning, phrase, under

# ---- What stands beneath a heading: text of the card's own, a placeholder, boilerplate, nothing.

#: States of a section's text, the least first: where several texts answer one section, the last
#: of these that any of them has is its state. ``absent`` is no text at all.
STATES = ("absent", "empty", "placeholder", "boilerplate", "filled")
ABSENT, EMPTY, PLACEHOLDER, BOILERPLATE, FILLED = range(5)

#: A longer text is not all placeholder: it is not looked through.
_MAX_CHARS = 3_000
#: A comment of a template has so many words, its two signs included.
_MIN_COMMENT = 6
#: A longer one is no single word such as "TODO".
_MAX_VALUE = 60

_COMMENT = re.compile(r"<!--(?:.*?-->|.*\Z)", re.DOTALL)
_TAG = re.compile(r"<(?!https?:|mailto:|[\w.+-]+@)[/!?a-zA-Z][^<>]*>")
_SHOWS = re.compile(
    r"!\[|\]\(|<(?:img|video|audio|iframe|svg|picture|object|embed|gallery|a )", re.I
)
_FOLD_LINE = re.compile(r"<summary[^<>]*>[^<]{0,60}</summary>", re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\[\]]{0,300})\]\([^()\s]{0,500}\)")
_MARKUP = re.compile(r"[*_`#>|~\\]+|^[ \t]*[-+•=:][-+=:\s]*", re.MULTILINE)
_WORD = re.compile(r"\w")
_MARK = "\x00"
_SENTENCE = re.compile(
    r"[^.!?;…。！？；()（）\n\x00]+(?:[.!?;…。！？；]+(?![^\s。！？；])|[.!?;…][^.!?;…。！？；()（）\n\x00]+)*"
)
#: A text of four letters of scripts that set no blanks is more than one word.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]{4}"
)
#: What may stand before and after a promise in its sentence.
_MAX_PROMISE = 90
#: Places of one kind of evidence that are looked at.
_MAX_SHOWN = 20
_UNANSWERED = re.compile(rf"(?:^|\n)[^\n:\x00]{{1,60}}:[*_\s]*(?={_MARK})")

_FENCE = r"^[ \t]{0,3}(?P<fence>```|~~~)(?s:.*?)(?:^[ \t]{0,3}(?P=fence)|\Z)"
_FIELD = re.compile(
    rf"{_FENCE}|^(?P<lead>[ \t|]{{0,30}}(?:(?:[-*+•]|\d{{1,2}}[.)])[ \t|]{{0,9}})?)"
    r"(?:(?:\*\*|__|<b>|<strong>)[ \t]*(?P<bold>[^*\n<>|]{1,60}?)[ \t]*"
    r"(?:\*\*|__|</b>|</strong>)[ \t|]{0,9}[:：]?"
    r"|(?<=[-*+•] )(?P<plain>[^\s:*`|<>\[\]][^\n:*`|<>\[\]]{0,40})[:：](?=[ \t]|$))",
    re.MULTILINE,
)
_END_OF_ITEM = re.compile(r"\n(?:[ \t]*\n(?![ \t]{2,}\S)|[ \t]*(?:[-*+•]|\d{1,2}[.)])[ \t]|\|)")


class Body(NamedTuple):
    """A text as it is judged: its state, its words, and what tells equal texts."""

    state: int
    n_words: int
    key: int


def judge(body: str, concepts: tuple[str, ...] = (), *, generated: bool = False) -> Body:
    """Judge a text by itself; whether other cards share it shows only when all were read.

    Parameters
    ----------
    body : str
        Markdown source.
    concepts : tuple of str
        What it answers: most of it takes more than one word.
    generated : bool
        Whether the card says that a machine wrote it: there "more information needed" without
        brackets is boilerplate.

    Returns
    -------
    Body
        ``key`` is 0 unless the state is FILLED.
    """
    comments = _COMMENT.findall(body) if "<!--" in body else []
    bare = _COMMENT.sub("", body) if comments else body
    if "<" in bare and len(bare) <= _MAX_CHARS:
        shows = _SHOWS.search(bare) is not None
        bare = _TAG.sub(" ", _FOLD_LINE.sub(" ", bare))
    else:
        shows = "![" in bare or "](" in bare
    if not _WORD.search(bare):
        # a comment of a word or two marks a place and asks for nothing
        asks = any(len(text.split()) >= _MIN_COMMENT for text in comments)
        return Body(FILLED if shows else PLACEHOLDER if asks else EMPTY, 0, 0)
    words = bare.split()
    state = FILLED if len(bare) > _MAX_CHARS else _short(bare, generated)
    if state == FILLED and not shows and len(words) < _MIN_COMMENT and not _says(words, concepts):
        state = EMPTY
    return Body(state, len(words), _key(words) if state == FILLED else 0)


def _says(words: list[str], concepts: tuple[str, ...]) -> bool:
    """Say whether a few words answer what is asked: one does only where a name or number does."""
    own = [word for word in words if _WORD.search(word)]
    if len(own) > 1 or not concepts or not _one_word().isdisjoint(concepts):
        return True
    return "://" in own[0] or _UNSPACED.search(own[0]) is not None


def _short(text: str, generated: bool) -> int:
    """Say what is left of a text without the phrases that say nothing."""
    folded = text.casefold()
    here = [[p for hint, p in table if hint in folded] for table in _patterns()]
    if not any(here) and len(text) > _MAX_VALUE:
        return FILLED
    if "](" in text:
        text = _LINK.sub(lambda match: match[1] or "picture", text)
    rest = _MARKUP.sub(" ", text).casefold()
    if _whole_placeholder().fullmatch(rest.strip(" .:;!…\n\t-")):
        return PLACEHOLDER
    n_phrases = n_placeholders = 0
    for pattern in here[1]:
        rest, n = pattern.subn(" ", rest)
        n_phrases += n
    brackets = "[" in rest or "{" in rest
    if here[2]:
        rest, n_placeholders = _without_promises(rest, here[2])
    for pattern in here[0]:
        rest, n = pattern.subn(_MARK, rest)
        n_placeholders += n
    if n_placeholders:
        rest = _UNANSWERED.sub("\n", rest)
    if _WORD.search(rest) or not n_phrases + n_placeholders:
        return FILLED
    by_machine = generated and not brackets and "more information" in folded
    return PLACEHOLDER if n_placeholders and not by_machine else BOILERPLATE


def _without_promises(text: str, promises: list[re.Pattern[str]]) -> tuple[str, int]:
    """Put a mark for each sentence that only promises what is not there."""
    n = 0

    def judged(sentence: re.Match[str]) -> str:
        nonlocal n
        for promise in promises:
            found = promise.search(sentence[0])
            if not found:
                continue
            before, after = sentence[0][: found.start()], sentence[0][found.end() :]
            short = len(before) <= _MAX_PROMISE and len(after) <= _MAX_PROMISE
            if short and not _says_more()[0].search(before) and not _says_more()[1].search(after):
                n += 1
                return _MARK
        return sentence[0]

    return _SENTENCE.sub(judged, text), n


def _key(words: list[str]) -> int:
    """Hash a text without case and blanks, the same in each process; 0 where it is short."""
    if len(words) < definitions()["boilerplate"]["min_words"]:
        return 0
    plain = " ".join(words).casefold().encode("utf-8", "replace")
    return int.from_bytes(blake2b(plain, digest_size=8).digest()) or 1


class Evidence(NamedTuple):
    """Content that shows by itself that something is there."""

    concept: str
    name: str
    n_words: int
    key: int


def shown_by(text: str, title: str, concepts: tuple[str, ...], card_id: str) -> list[Evidence]:
    """Find what a text shows beside what it stands under, which is `concepts`."""
    bare = _COMMENT.sub("", text) if "<!--" in text else text
    folded = bare.casefold()
    elsewhere = not set(definitions()["evidence"]["elsewhere"]).isdisjoint(concepts)
    elsewhere &= "samples" not in meaning(title).concepts  # an example, whatever it stands in
    found: dict[str, Evidence] = {}
    for concept, name, word, pattern in _evidence():
        if word not in folded or concept in found or concept in concepts:
            continue
        for match in itertools.islice(pattern.finditer(bare), _MAX_SHOWN):
            start = bare.rfind("\n\n", 0, match.start()) + 1
            end = bare.find("\n\n", match.end())
            part = bare[start : end if end >= 0 else len(bare)]
            if elsewhere and concept == "getting_started" and not (card_id and card_id in part):
                continue
            words = part.split()
            found[concept] = Evidence(concept, name, len(words), _key(words))
            break
    return list(found.values())


def is_generated(text: str) -> bool:
    """Say whether a card names a machine as its author."""
    start = text[:_MAX_CHARS].casefold()
    return any(phrase in start for phrase in definitions()["boilerplate"]["generated_by"])


class Field(NamedTuple):
    """A labelled field, as in ``- **Developed by:** someone``."""

    label: str
    concepts: tuple[str, ...]
    value: str


def take_fields(body: str, section: tuple[str, ...] = ()) -> tuple[str, list[Field]]:
    """Separate the labelled fields whose label is a known heading from the rest of a text.

    A field in a list ends with its item, else it ends at the next field. Code is left alone.
    `section` is what the section around it answers.
    """
    if not ("**" in body or "__" in body or ": " in body or "<b" in body or "<s" in body):
        return body, []
    found: list[Field] = []
    rest: list[str] = []
    done = 0
    pending: tuple[str, tuple[str, ...], int, bool] | None = None
    for match in _FIELD.finditer(body):
        label = match["bold"] or match["plain"]
        concepts = _of_label(label.strip(" :："), section) if label else ()
        if not concepts:
            continue
        if pending:
            done = _close(body, pending, match.start(), found)
        rest.append(body[done : match.start()])
        listed = any(sign not in " \t" for sign in match["lead"])
        pending = (label, concepts, match.end(), listed)
    if pending:
        done = _close(body, pending, len(body), found)
    rest.append(body[done:])
    return "".join(rest), found


def _close(
    body: str, pending: tuple[str, tuple[str, ...], int, bool], limit: int, found: list[Field]
) -> int:
    label, concepts, start, listed = pending
    end = limit
    if listed:
        indent = start - body.rfind("\n", 0, start) - 1
        own = body[start - indent : start]
        depth = len(own) - len(own.lstrip(" \t"))
        for stop in _END_OF_ITEM.finditer(body, start, limit):
            line = body[stop.start() + 1 : stop.end()]
            if len(line) - len(line.lstrip(" \t")) <= depth:  # not an item of the field's own list
                end = stop.start()
                break
    found.append(Field(label, concepts, body[start:end]))
    return end


@functools.lru_cache(maxsize=50_000)
def _of_label(label: str, section: tuple[str, ...]) -> tuple[str, ...]:
    if special := under(label, section):
        return (special,)
    told = meaning(label)
    if not told.complete or told.weak or told.words in _not_labels():
        return ()
    return tuple(concept for concept in told.concepts if concept in asked_for())


@functools.cache
def _not_labels() -> frozenset[str]:
    return frozenset(meaning(label).words for label in definitions()["labels"]["ignore"])


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """Join patterns; a blank in them (but not in ``[^ ]``) is any white space."""
    spaced = (re.sub(r"(?<!\^) ([*?]?)", lambda m: r"\s*" if m[1] else r"\s+", p) for p in patterns)
    return re.compile("|".join(f"(?:{pattern})" for pattern in spaced))


@functools.cache
def _patterns() -> list[list[tuple[str, re.Pattern[str]]]]:
    """Give placeholders, boilerplate and promises, each with a word that it must have."""
    placeholders, boilerplate = definitions()["placeholders"], definitions()["boilerplate"]
    tables = placeholders["anywhere"], boilerplate["phrases"], placeholders["announced"]
    return [[(hint, _any_of([p])) for hint, p in table] for table in tables]


@functools.cache
def _says_more() -> tuple[re.Pattern[str], re.Pattern[str]]:
    placeholders = definitions()["placeholders"]
    return re.compile(placeholders["says"]), re.compile(placeholders["goes_on"])


@functools.cache
def _one_word() -> frozenset[str]:
    return frozenset(definitions()["filled"]["one_word"])


@functools.cache
def _evidence() -> list[tuple[str, str, str, re.Pattern[str]]]:
    return [
        (concept, name, word, re.compile(pattern, re.IGNORECASE | re.MULTILINE))
        for concept, name, word, pattern in definitions()["evidence"]["shown"]
    ]


@functools.cache
def _whole_placeholder() -> re.Pattern[str]:
    return _any_of(definitions()["placeholders"]["whole"])


# ---- One card taken apart: which text answers which concept, and which headings answer none.

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
