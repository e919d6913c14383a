"""The sections of all cards, read once: small rows that say what answers what, and how."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
import polars as pl

from ..schema import (
    STRINGS,
    NoFigure,
    Read,
    collect,
    count,
    lazy,
    printable,
    require,
    unreadable,
)
from ..text.lengths import MEASURES, counted, html_column
from ..text.markdown import to_html
from ..text.sections import Section, outline
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
from .headings import (
    Meaning,
    asked_for,
    definitions,
    fields_of,
    listed,
    meaning,
    phrase,
    sections_of,
    under,
)

#: Cards that are held at a time; no result depends on it.
BATCH = 2_000

#: On how many cards of different texts a section's text must be the same to be boilerplate.
MIN_SHARED = 10

#: Columns that say what a field of the front matter does, as on listings of the Hub.
_FIELD_OF = {
    "license": "license",
    "languages": "language",
    "base_model": "base_model",
    "datasets": "datasets",
    "library_name": "library_name",
    "pipeline_tag": "pipeline_tag",
}
#: Columns that are read where they are there.
OPTIONAL = ("metadata", *_FIELD_OF)
#: Columns that are not kept unless they are asked for.
_LARGE = {"text", "metadata", "card", "embeddings", "problems"}
_CARD = "__cardlab_card"

_TEXT_ROW = {
    "card": pl.UInt32,
    "block": pl.UInt32,
    "meaning": pl.UInt32,
    "title": pl.UInt32,
    "is_heading": pl.Boolean,
    "state": pl.Int8,
    "n_words": pl.UInt32,
    "key": pl.UInt64,
    "evidence": pl.String,
}
_FIELD_ROW = {"card": pl.UInt32, "field": pl.String}


def batches(cards: Any, columns: tuple[str, ...]) -> Iterator[pl.DataFrame]:
    """Give some columns of the cards in small frames, in the order of the cards."""
    if isinstance(cards, pl.DataFrame):
        yield from cards.select(columns).iter_slices(BATCH)
        return
    if not isinstance(cards, pl.LazyFrame):
        yield from collect(lazy(cards).select(nw.col(*columns))).iter_slices(BATCH)
        return
    stream = cards.select(columns).collect_batches(
        chunk_size=BATCH, maintain_order=True, engine="streaming"
    )
    try:
        for batch in stream:
            yield from batch.iter_slices(BATCH)
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError, OSError) as error:
        raise unreadable(error) from error


@dataclass(frozen=True, repr=False)
class Sections(Read):
    """The sections of a corpus, read once: what :func:`read_sections` gives.

    Attributes
    ----------
    cards : pl.DataFrame
        The cards, their columns that were kept, and the lengths of their bodies.
    """

    cards: pl.DataFrame
    #: ``card`` (its row in `cards`), ``whole`` (a hash of the text, null where blank), ``id``; of
    #: the cards that have a text.
    places: pl.DataFrame
    #: A row for each heading and each text that answers anything: :data:`_TEXT_ROW`, and
    #: ``shared``, on how many cards of different texts the same stands.
    texts: pl.DataFrame
    #: ``meaning, concepts, reason``: what texts answer, and why headings answer nothing.
    meanings: pl.DataFrame
    #: Headings and labels, by the numbers in ``title``.
    titles: pl.Series
    #: ``card, field``: the fields of the front matter that say anything.
    fields: pl.DataFrame

    def __repr__(self) -> str:
        """Say what was read, and not the frames."""
        n_headings = self.texts["is_heading"].sum()
        return f"<sections of {self.places.height:,} cards: {n_headings:,} headings>"

    def column(self, name: str) -> pl.Series:
        """Give a column that was kept, of the cards that have a text."""
        return self.cards[name].gather(self.places["card"])


def read_sections(
    cards: Any, *, keep: Iterable[str] | None = None, lengths: bool = True
) -> Sections:
    """Parse the cards once, for all that asks for their sections.

    Parameters
    ----------
    cards : frame
        With ``id`` and ``text``, as for :func:`section_coverage`.
    keep : iterable of str, optional
        Further columns, for groups, families and rankings; by default all but the large ones
        (``text``, ``metadata``, ``embeddings``).
    lengths : bool, default True
        Whether the lengths of :func:`with_text_lengths` are counted in the same parse.

    Returns
    -------
    Sections
        :func:`section_coverage`, :func:`card_coverage`, :func:`documentation_gaps` and
        :func:`unmapped_headings` take it in place of cards. Its frame ``cards`` has ``id``, the
        columns kept and the lengths, for :func:`length_summary` and the like. Of a card about
        a kilobyte is kept, and not its text.

    Raises
    ------
    MissingColumn
        The cards lack ``id``, ``text`` or a column to keep.
    NoFigure
        No card has a text.
    """
    keep = None if keep is None else list(keep)
    have = require(cards, "id", "text", *(keep or ()))
    measures = [name for name in MEASURES if name != "n_metadata_chars" or "metadata" in have]
    asked = {"id", *(keep if keep is not None else set(have) - _LARGE)}
    kept = [name for name in have if name in asked and not (lengths and name in measures)]
    read = ["text", *kept, *(name for name in OPTIONAL if name in have)]
    own: list[pl.DataFrame] = []
    places: list[pl.DataFrame] = []
    texts: list[pl.DataFrame] = []
    fields: list[pl.DataFrame] = []
    known = _Known({}, {})
    n_cards = 0
    for batch in batches(cards, tuple(dict.fromkeys(read))):
        batch = batch.with_columns(pl.col("text").cast(pl.String)).with_columns(
            pl.int_range(n_cards, n_cards + pl.len(), dtype=pl.UInt32).alias(_CARD)
        )
        n_cards += batch.height
        said = batch.filter(pl.col("text").is_not_null())
        html = _parsed(said, texts, known, links=lengths)
        whole = pl.Series("whole", map(_hash, said["text"]), dtype=pl.UInt64)
        whole = whole.set(~said["text"].str.contains(r"\S"), None)
        places.append(said.select(pl.col(_CARD).alias("card"), whole, pl.col("id")))
        fields.append(_fields(said, said[_CARD]))
        if lengths:
            batch = batch.join(
                said.select(_CARD, html_column(html)), on=_CARD, how="left", maintain_order="left"
            ).with_columns(counted(measures))
        own.append(batch.select(*kept, *(measures if lengths else [])))
    if not texts or not any(frame.height for frame in places):
        raise NoFigure(f"none of the {count(cards):,} cards has a text, so none has sections.")
    everyone = pl.concat(places)
    return Sections(
        cards=pl.concat(own),
        places=everyone,
        texts=_with_shared(pl.concat(texts), everyone),
        meanings=pl.DataFrame(
            [(number, list(key[0]), key[1]) for key, number in known.meanings.items()],
            schema={"meaning": pl.UInt32, "concepts": STRINGS, "reason": pl.String},
            orient="row",
        ),
        titles=pl.Series("heading", list(known.titles), dtype=pl.String),
        fields=pl.concat(fields).unique(),
    )


def as_sections(cards: Any, keep: Iterable[str] = ()) -> Sections:
    """Give what was read as it is, if it has these columns; else read the cards."""
    if isinstance(cards, Sections):
        require(cards.cards, *keep)
        return cards
    return read_sections(cards, keep=keep, lengths=False)


class _Known(NamedTuple):
    """What texts mean and what stands above them, with a number for each."""

    meanings: dict[tuple[tuple[str, ...], str | None], int]
    titles: dict[str, int]


def _parsed(
    said: pl.DataFrame, texts: list[pl.DataFrame], known: _Known, *, links: bool
) -> list[str]:
    """Parse some cards: add their rows to `texts`, and give their HTML where it has `links`."""
    rows: list[tuple[Any, ...]] = []
    html: list[str] = []
    ids = said["id"].cast(pl.String)
    for card, name, text in zip(said[_CARD], ids, said["text"], strict=True):
        parsed = outline(text, links=links)
        if links:
            # YAML that was left at the top is in no section, but in the lengths
            cut = len(parsed.source) < len(text.encode())
            html.append(to_html(text, links=True) if cut else parsed.html.decode())
        for place, block in enumerate(blocks(name, text, parsed.sections())):
            answers = block.body if block.concepts else None
            if answers or block.is_heading:
                meaning = known.meanings.setdefault(block[1:3], len(known.meanings))
                title = known.titles.setdefault(printable(block.heading), len(known.titles))
                body = answers or (None, None, None)
                rows.append((card, place, meaning, title, block.is_heading, *body, block.evidence))
    texts.append(pl.DataFrame(rows, schema=_TEXT_ROW, orient="row"))
    return html


def _with_shared(texts: pl.DataFrame, cards: pl.DataFrame) -> pl.DataFrame:
    """Count for each text the cards that have it and are not the same as a whole.

    A text that is one on whole copies of a card says no more of itself than the copies do.
    """
    shared = (
        texts.lazy()
        .filter(pl.col("key") > 0)
        .select("card", "key")
        .join(cards.lazy().select("card", "whole"), on="card")
        .group_by("key")
        .agg(pl.col("whole").n_unique().alias("shared"))
        .collect()
    )
    return texts.join(shared, on="key", how="left", maintain_order="left").drop("key")


def _fields(batch: pl.DataFrame, numbers: pl.Series) -> pl.DataFrame:
    """Give a row for each field of the front matter that says anything."""
    rows: list[tuple[int, str]] = []
    wanted = definitions()["metadata"]
    if "metadata" in batch.columns:
        for card, text in zip(numbers, batch["metadata"].cast(pl.String), strict=True):
            if text and len(text) > 2:
                try:
                    front = json.loads(text)
                except (ValueError, RecursionError):
                    continue
                if isinstance(front, dict):
                    rows += [(card, name) for name in wanted if front.get(name) not in _NOTHING]
    frames = [pl.DataFrame(rows, schema=_FIELD_ROW, orient="row")]
    for column, field in _FIELD_OF.items():
        if column not in batch.columns:
            continue
        value = batch[column]
        says = value.drop_nulls().list.len() > 0 if isinstance(value.dtype, pl.List) else None
        if says is None:
            says = value.drop_nulls().cast(pl.String).str.len_bytes() > 0
        there = numbers.filter(value.is_not_null()).filter(says)
        frames.append(pl.DataFrame({"card": there, "field": [field] * len(there)}, _FIELD_ROW))
    return pl.concat(frames)


_NOTHING: tuple[Any, ...] = (None, "", [], {})


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest())


def states_of(read: Sections, standard: str, min_shared: int) -> pl.DataFrame:
    """Give the state of each section that a card has any text for.

    ``card``, ``section``, ``state`` (number), ``n_words`` (of the texts in that state), ``title``
    (of the first of them), ``evidence`` (of the first, where all have any).
    """
    concepts = definitions()["concepts"]
    answers = pl.DataFrame(
        [
            (c, item.name, not concepts[c].get("shared", False))
            for item in sections_of(standard)
            for c in item.concepts
        ],
        schema={"concept": pl.String, "section": pl.String, "own": pl.Boolean},
        orient="row",
    )
    # a text that answers a section by two concepts is judged by the laxer
    asked = (
        read.meanings.explode("concepts")
        .join(answers, left_on="concepts", right_on="concept")
        .group_by("meaning", "section")
        .agg(pl.col("own").all())
    )
    shared = (pl.col("shared") >= min_shared).fill_null(False)
    boilerplate = shared & pl.col("own") & (pl.col("state") > BOILERPLATE)
    best = pl.col("state") == pl.col("state").max()
    return (
        read.texts.lazy()
        .filter(pl.col("state").is_not_null())
        .join(asked.lazy(), on="meaning")
        .with_columns(
            pl.when(boilerplate)
            .then(pl.lit(BOILERPLATE, pl.Int8))
            .otherwise("state")
            .alias("state")
        )
        .sort("card", "block")
        .group_by("card", "section")
        .agg(
            pl.col("state").max(),
            pl.col("n_words").filter(best).sum().cast(pl.Int64),
            pl.col("title").filter(best).first(),
            pl.when(pl.col("evidence").filter(best).is_not_null().all()).then(
                pl.col("evidence").filter(best).first()
            ),
        )
        .collect()
    )


def stated_by(read: Sections, standard: str) -> pl.DataFrame:
    """Give ``card``, ``section`` of what the front matter answers."""
    rows = [(field, name) for field, names in fields_of(standard).items() for name in names]
    table = pl.DataFrame(rows, {"field": pl.String, "section": pl.String}, orient="row")
    return read.fields.join(table, on="field").select("card", "section").unique()


# ---- One card taken apart: which text answers which concept, and which headings answer none.

#: Why a heading answers no section, where no list of words says it.
NAMES_THE_MODEL = "the name of the model, or of one beside it"
IS_THE_TITLE = "the card's title"
SAYS_NO_WORD = "no word: a number, a sign or a picture"
IS_A_SLOGAN = "a greeting or a slogan"


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


class _Place(NamedTuple):
    """Where a heading stands: what the headings above it mean."""

    level: int
    concepts: tuple[str, ...]
    reason: str | None


def blocks(card_id: str | None, text: str, parts: list[Section]) -> list[Block]:
    """Take a card apart, in its order: each section's text, and the labelled fields in it.

    By the id the headings that are only the model's name are told.
    """
    found: list[Block] = []
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
    return any(
        len(word) > 2 and word not in listed("words", "in_many_names") and word in squeezed
        for word in joined
    )


_GENERAL = frozenset(("summary", "description"))
