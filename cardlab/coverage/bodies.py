"""What stands beneath a heading: text of the card's own, a placeholder, boilerplate, nothing."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from types import SimpleNamespace
from typing import NamedTuple

from ..text.sections import Section
from .headings import asked_for, definitions, folded, listed, meaning, under

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
_ADDRESS = re.compile(rf"{_LINK.pattern}|https?://\S+")
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

#: Code in a section that asks for sentences.
_CODE = re.compile(r"^[ \t]{0,3}```.*?(?:^[ \t]{0,3}```|\Z)", re.MULTILINE | re.DOTALL)
_FENCE = r"^[ \t]{0,3}(?P<fence>```|~~~)(?s:.*?)(?:^[ \t]{0,3}(?P=fence)|\Z)"
_FIELD = re.compile(
    rf"{_FENCE}|^(?P<lead>[ \t|]{{0,30}}(?:(?:[-*+•]|\d{{1,2}}[.)])[ \t|]{{0,9}})?)(?:<p>)?"
    r"(?:(?:\*\*|__|<b>|<strong>)[ \t]*(?P<bold>[^*\n<>|]{1,60}?)[ \t]*"
    r"(?:\*\*|__|</b>|</strong>)[ \t|]{0,9}[:：]?"
    r"|(?:(?<=[-*+•] )|(?<![^\n]))"
    r"(?P<plain>[^\s:：*`|<>\[\]][^\n:：*`|<>\[\]]{0,40})(?::(?=[ \t\[]|$)|：))",
    re.MULTILINE,
)
_BLANK_LINE = re.compile(r"(?<=\S)[ \t]*\n[ \t]*\n")
_END_OF_ITEM = re.compile(r"\n(?:[ \t]*\n(?![ \t]{2,}\S)|[ \t]*(?:[-*+•]|\d{1,2}[.)])[ \t]|\|)")


class Body(NamedTuple):
    """A text as it is judged: its state, its words, and what tells equal texts (0: short)."""

    state: int
    n_words: int
    key: int


class Block(NamedTuple):
    """A text of a card and what it answers.

    `heading` is the heading or label above it (``""`` before the first), `concepts` what it
    answers, `reason` why nothing, where that is known. `body` is None for a heading that only
    holds others; `is_heading` is False for a field and for what precedes the first heading.
    `evidence` names what of the content answers, where no heading says so.
    """

    heading: str
    concepts: tuple[str, ...]
    reason: str | None
    body: Body | None
    is_heading: bool
    evidence: str | None = None


def judge(body: str, concepts: tuple[str, ...] = (), *, generated: bool = False) -> Body:
    """Judge a text by itself; whether other cards share it shows only when all were read.

    What most `concepts` ask for takes more than one word. Where a machine wrote the card
    (`generated`), "more information needed" without brackets is boilerplate.
    """
    if concepts and "```" in body and listed("filled", "sentences").issuperset(concepts):
        body = _CODE.sub("", body)  # code says neither what it is for nor what it cannot do
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
        shows &= concepts != ("summary",)
        return Body(FILLED if shows else PLACEHOLDER if asks else EMPTY, 0, 0)
    if concepts == ("summary",) and not _WORD.search(_ADDRESS.sub("", _ADDRESS.sub("", bare))):
        return Body(EMPTY, 0, 0)  # addresses alone say nothing of the model
    words = bare.split()
    state = FILLED if len(bare) > _MAX_CHARS else _short(bare, generated)
    if state == FILLED and not shows and len(words) < _MIN_COMMENT and not _says(words, concepts):
        state = EMPTY
    return Body(state, len(words), _key(words) if state == FILLED else 0)


def _says(words: list[str], concepts: tuple[str, ...]) -> bool:
    """Say whether a few words answer what is asked: one does only where a name or number does."""
    own = [word for word in words if _WORD.search(word)]
    if len(own) > 1 or not concepts or not listed("filled", "one_word").isdisjoint(concepts):
        return True
    return "://" in own[0] or _UNSPACED.search(own[0]) is not None


def _short(text: str, generated: bool) -> int:
    """Say what is left of a text without the phrases that say nothing."""
    small, known = text.casefold(), _known()
    places, phrases, promises = (
        [pattern for hint, pattern in table if hint in small]
        for table in (known.anywhere, known.phrases, known.announced)
    )
    if not (places or phrases or promises) and len(text) > _MAX_VALUE:
        return FILLED
    if "](" in text:
        text = _LINK.sub(lambda match: match[1] or "picture", text)
    rest = _MARKUP.sub(" ", text).casefold()
    if known.whole.fullmatch(rest.strip(" .:;!…\n\t-")):
        return PLACEHOLDER
    n_phrases = n_placeholders = 0
    for pattern in phrases:
        rest, n = pattern.subn(" ", rest)
        n_phrases += n
    brackets = "[" in rest or "{" in rest
    if promises:
        rest, n_placeholders = _without_promises(rest, promises)
    for pattern in places:
        rest, n = pattern.subn(_MARK, rest)
        n_placeholders += n
    if n_placeholders:
        rest = _UNANSWERED.sub("\n", rest)
    if _WORD.search(rest) or not n_phrases + n_placeholders:
        return FILLED
    by_machine = generated and not brackets and "more information" in small
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
            if short and not _known().says.search(before) and not _known().goes_on.search(after):
                n += 1
                return _MARK
        return sentence[0]

    return _SENTENCE.sub(judged, text), n


def _key(words: list[str]) -> int:
    """Hash a text without case and blanks, the same in each process; 0 where it is short."""
    if len(words) < definitions()["boilerplate"]["min_words"]:
        return 0
    plain = " ".join(words).casefold().encode("utf-8", "replace")
    return int.from_bytes(blake2b(plain, digest_size=8).digest(), signed=True) or 1


def shown_by(part: Section, concepts: tuple[str, ...], card_id: str) -> list[Block]:
    """Find content that shows by itself that something is there, beside `concepts`, its title's."""
    bare = _COMMENT.sub("", part.body) if "<!--" in part.body else part.body
    small = bare.casefold()
    elsewhere = not listed("evidence", "elsewhere").isdisjoint(concepts)
    # an example, whatever it stands in
    elsewhere &= "samples" not in meaning(part.title).concepts
    found: dict[str, Block] = {}
    for concept, name, word, pattern in _known().evidence:
        if word not in small or concept in found or concept in concepts:
            continue
        for match in itertools.islice(pattern.finditer(small), _MAX_SHOWN):
            start = small.rfind("\n\n", 0, match.start()) + 1
            end = small.find("\n\n", match.end())
            shown = small[start : end if end >= 0 else len(small)]
            if elsewhere and concept == "getting_started" and not (card_id and card_id in bare):
                continue
            words = shown.split()
            body = Body(FILLED, len(words), _key(words))
            found[concept] = Block(part.title, (concept,), None, body, False, name)
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
    if not any(sign in body for sign in (":", "：", "**", "__", "<b", "<s")):
        return body, []
    found: list[tuple[re.Match[str], str, tuple[str, ...]]] = []
    for match in _FIELD.finditer(body):
        label = match["bold"] or match["plain"]
        concepts = _of_label(label.strip(" :：.。"), section) if label else ()
        if match["plain"] and not match["lead"].strip():
            named = listed("labels", "on_a_line").issuperset(concepts)
            concepts = concepts if named and not label[0].islower() else ()
        if concepts:
            found.append((match, label, concepts))
    starts = [match.start() for match, _, _ in found] + [len(body)]
    fields, rest, done = list[Field](), list[str](), 0
    for (match, label, concepts), limit in zip(found, starts[1:], strict=True):
        rest.append(body[done : match.start()])
        done = _end_of_field(body, match, limit)
        fields.append(Field(label, concepts, body[match.end() : done]))
    rest.append(body[done:])
    return "".join(rest), fields


def _end_of_field(body: str, match: re.Match[str], limit: int) -> int:
    """Give where a field ends: with its item, which may hold a list, or with its paragraph."""
    if match["lead"].strip(" \t"):
        own = body[body.rfind("\n", 0, match.end()) + 1 : match.end()]
        for stop in _END_OF_ITEM.finditer(body, match.end(), limit):
            if _indent(body[stop.start() + 1 : stop.end()]) <= _indent(own):
                return stop.start()
    elif match["plain"] and (blank := _BLANK_LINE.search(body, match.end() + 1, limit)):
        return blank.start()
    return limit


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


@functools.lru_cache(maxsize=50_000)
def _of_label(label: str, section: tuple[str, ...]) -> tuple[str, ...]:
    if special := under(label, section):
        return (special,)
    told = meaning(label)
    if not told.complete or told.weak or told.words in folded("labels", "ignore"):
        return ()
    return tuple(concept for concept in told.concepts if concept in asked_for())


def own_texts(
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
    both = own and own.state == FILLED and {"intended_use", "limitations"}.issubset(concepts)
    if both and not _known().limits.search(rest):
        concepts = tuple(concept for concept in concepts if concept != "limitations")
    yield Block(part.title, concepts, reason, own, part.level > 0)
    for field, body in zip(fields, judged, strict=True):
        yield Block(field.label, field.concepts, None, body, False)


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """Join patterns; a blank in them (but not in ``[^ ]``) is any white space."""
    spaced = (re.sub(r"(?<!\^) ([*?]?)", lambda m: r"\s*" if m[1] else r"\s+", p) for p in patterns)
    return re.compile("|".join(f"(?:{pattern})" for pattern in spaced))


@functools.cache
def _known() -> SimpleNamespace:
    """Compile the patterns of the data file, some with a word that a text then has."""
    placeholders, boilerplate = definitions()["placeholders"], definitions()["boilerplate"]

    def hinted(table: list[tuple[str, str]]) -> list[tuple[str, re.Pattern[str]]]:
        return [(hint, _any_of([pattern])) for hint, pattern in table]

    return SimpleNamespace(
        anywhere=hinted(placeholders["anywhere"]),
        announced=hinted(placeholders["announced"]),
        phrases=hinted(boilerplate["phrases"]),
        whole=_any_of(placeholders["whole"]),
        says=re.compile(placeholders["says"]),
        goes_on=re.compile(placeholders["goes_on"]),
        limits=re.compile(definitions()["filled"]["limits"], re.IGNORECASE),
        evidence=[
            (*found, re.compile(pattern, re.MULTILINE))
            for *found, pattern in definitions()["evidence"]["shown"]
        ],
    )
