"""The sections of all cards, read once: small rows that say what answers what, and how."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import polars as pl

from ..frames import in_batches, narrow, text_key
from ..schema import NoFigure, Read, count, printable, require
from ..text.lengths import counted, html_column, measures_of
from ..text.markdown import to_html
from ..text.sections import Section, outline
from .bodies import BOILERPLATE, FILLED, Block, is_generated, own_texts, shown_by
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
_ALIKE = ("license", "base_model", "datasets", "library_name", "pipeline_tag")
_FIELD_OF = {name: name for name in _ALIKE} | {"languages": "language"}
#: Columns that are read where they are there.
OPTIONAL = ("metadata", *_FIELD_OF)
#: Columns that are not kept unless they are asked for.
_LARGE = {"text", "metadata", "card", "embeddings", "problems"}
_CARD = "__cardlab_card"

_TEXT_ROW = {
    "card": pl.UInt32,
    "block": pl.UInt32,
    "concepts": pl.Categorical,
    "reason": pl.Categorical,
    "title": pl.Categorical,
    "is_heading": pl.Boolean,
    "state": pl.Int8,
    "n_words": pl.UInt32,
    "key": pl.Int64,
    "evidence": pl.String,
}
_FIELD_ROW = {"card": pl.UInt32, "field": pl.String}

#: Column with what was read of each card, where an engine has had its cards read one by one. All
#: hashes are signed, as other engines have no others.
READ = "__cardlab_read"
_WHOLE = text_key().reinterpret(signed=True).alias("whole")
_ROW = {n: pl.String if t == pl.Categorical else t for n, t in _TEXT_ROW.items() if n != "card"}
_ROWS, _FIELDS = (pl.List(pl.Struct(row)) for row in (_ROW, {"field": pl.String}))
_READ = pl.Struct({"whole": pl.Int64, "rows": _ROWS, "fields": _FIELDS})


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
    #: A row for each heading and each text that answers anything: where it stands (``card``,
    #: ``block``), the ``concepts`` it answers, a blank between them, or the ``reason`` why it
    #: answers none, its heading or label (``title``), and of a text its ``state``, ``n_words``,
    #: ``evidence`` and on how many cards of different texts the same stands (``shared``).
    texts: pl.DataFrame
    #: ``card, field``: the fields of the front matter that say anything.
    fields: pl.DataFrame

    def __repr__(self) -> str:
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
        :func:`~.unmapped_headings` take it in place of cards. Its frame ``cards`` has ``id``, the
        columns kept and the lengths, for :func:`length_summary` and the like. Of a card about
        a kilobyte is kept, and not its text.

    Raises
    ------
    MissingColumn
        The cards lack ``id``, ``text`` or a column to keep.
    NoFigure
        No card has a text.

    Examples
    --------
    >>> read = cl.read_sections(cl.make_cards(200))
    >>> cl.section_coverage(read).height, cl.length_summary(read.cards)["p50"].item()
    (36, 208.5)
    """
    keep = None if keep is None else list(keep)
    have = require(cards, "id", "text", *(keep or ()))
    measures = measures_of(have) if lengths else []
    asked = {"id", *(keep if keep is not None else set(have) - {*_LARGE, READ})}
    kept = [name for name in have if name in asked and name not in measures]
    read = ["text", *kept, *(name for name in OPTIONAL if name in have)]
    if READ in have:  # with the lengths, which are columns then
        read = ["id", READ, *kept, *measures]
    parts: list[tuple[pl.DataFrame, ...]] = []
    n_cards = 0
    for batch in in_batches(narrow(cards, list(dict.fromkeys(read))), BATCH):
        numbers = pl.int_range(n_cards, n_cards + pl.len(), dtype=pl.UInt32)
        batch = batch.with_columns(numbers.alias(_CARD))
        n_cards += batch.height
        if READ in have:
            found = _taken(batch)
        else:
            batch = batch.with_columns(pl.col("text").cast(pl.String))
            rows, html = _parsed(batch, links=lengths)
            said = batch.filter(pl.col("text").is_not_null())
            places = said.select(pl.col(_CARD).alias("card"), _WHOLE, "id")
            found = places, rows, _fields(said)
            if lengths:
                batch = batch.with_columns(html_column(html)).with_columns(counted(measures))
        parts.append((batch.select(*kept, *measures), *found))
    if not any(places.height for _, places, *_ in parts):
        raise NoFigure(f"none of the {count(cards):,} cards has a text, so none has sections.")
    own, places, texts, fields = map(pl.concat, zip(*parts, strict=True))
    # of cards that are the same as a whole one counts: a text says no more of itself than they do
    keyed = texts.filter(pl.col("key") != 0).select("card", "key")
    keyed = keyed.join(places.select("card", "whole"), on="card")
    shared = keyed.group_by("key").agg(shared=pl.col("whole").n_unique())
    texts = texts.join(shared, on="key", how="left", maintain_order="left").drop("key")
    return Sections(own, places, texts, fields.unique())


def with_read(cards: pl.LazyFrame) -> pl.LazyFrame:
    """Add what is read of each card by itself, for :func:`read_sections` to put together."""
    have = cards.collect_schema()

    def read(values: pl.Series) -> pl.Series:
        batch = values.struct.unnest().with_columns(
            pl.int_range(pl.len(), dtype=pl.UInt32).alias(_CARD)
        )
        said = batch.filter(pl.col("text").is_not_null())
        parts = {"rows": _parsed(batch, links=False)[0], "fields": _fields(said)}
        found = batch.select(pl.col(_CARD).alias("card"), _WHOLE)
        for name, rows in parts.items():
            each = rows.group_by("card", maintain_order=True).agg(
                pl.struct(pl.exclude("card")).alias(name)
            )
            found = found.join(each, on="card", how="left", maintain_order="left")
        return found.select(pl.struct("whole", "rows", "fields").cast(_READ)).to_series()

    reads = pl.struct(name for name in ("id", "text", *OPTIONAL) if name in have)
    made = reads.map_batches(read, return_dtype=_READ, is_elementwise=True)
    return cards.with_columns(pl.when(pl.col("text").is_not_null()).then(made).alias(READ))


def _taken(batch: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Give the places, texts and fields of cards that were read by :func:`with_read`."""
    said = batch.filter(pl.col(READ).is_not_null()).select(
        pl.col(_CARD).alias("card"), "id", pl.col(READ).struct.unnest()
    )

    def rows(name: str, layout: Any) -> pl.DataFrame:
        each = said.select("card", name).explode(name, empty_as_null=False, keep_nulls=False)
        return each.unnest(name).cast(layout)

    return said.select("card", "whole", "id"), rows("rows", _TEXT_ROW), rows("fields", _FIELD_ROW)


def as_sections(cards: Any, keep: Iterable[str] = ()) -> Sections:
    """Give what was read as it is, if it has these columns; else read the cards."""
    if isinstance(cards, Sections):
        require(cards.cards, *keep)
        return cards
    return read_sections(cards, keep=keep, lengths=False)


def _parsed(batch: pl.DataFrame, *, links: bool) -> tuple[pl.DataFrame, list[str | None]]:
    """Parse some cards: give the rows of their texts, and with `links` the HTML of each card."""
    rows: list[tuple[Any, ...]] = []
    html: list[str | None] = []
    ids = batch["id"].cast(pl.String)
    for card, name, text in zip(batch[_CARD], ids, batch["text"], strict=True):
        if text is None:
            html.append(None)
            continue
        parsed = outline(text, links=links)
        if links:
            # YAML that was left at the top is in no section, but in the lengths
            cut = len(parsed.source) < len(text.encode())
            html.append(to_html(text, links=True) if cut else parsed.html.decode())
        for place, block in enumerate(blocks(name or "", text, parsed.sections())):
            means = (" ".join(block.concepts), block.reason, printable(block.heading))
            body = (block.body if block.concepts else None) or (None, None, None)
            rows.append((card, place, *means, block.is_heading, *body, block.evidence))
    return pl.DataFrame(rows, schema=_TEXT_ROW, orient="row"), html


def _fields(batch: pl.DataFrame) -> pl.DataFrame:
    """Give a row for each field of the front matter that says anything."""
    rows: list[tuple[int, str]] = []
    wanted = definitions()["metadata"]
    if "metadata" in batch.columns:
        for card, text in zip(batch[_CARD], batch["metadata"].cast(pl.String), strict=True):
            try:
                front = json.loads(text or "{}")
            except (ValueError, RecursionError):
                continue
            if isinstance(front, dict):
                rows += [(card, name) for name in wanted if front.get(name) not in _NOTHING]
    for column in _FIELD_OF.keys() & set(batch.columns):
        listed = isinstance(batch.schema[column], pl.List)
        value = pl.col(column)
        size = value.list.len() if listed else value.cast(pl.String).str.len_bytes()
        rows += [(card, _FIELD_OF[column]) for card in batch.filter(size > 0)[_CARD]]
    return pl.DataFrame(rows, schema=_FIELD_ROW, orient="row")


_NOTHING: tuple[Any, ...] = (None, "", [], {})


def states_of(read: Sections, standard: str, min_shared: int) -> pl.LazyFrame:
    """Give the state of each section of a standard for each card that has a text.

    ``card``, ``section`` (in the standard's order), ``state`` (number), ``n_words`` (of the texts
    in that state), ``title`` (of the first of them), ``evidence`` (of the first, where all have
    any), ``stated`` (by the front matter).
    """
    concepts = definitions()["concepts"]
    sections = sections_of(standard)
    name = pl.Enum([item.name for item in sections])
    answers = pl.LazyFrame(
        [(c, s.name, not concepts[c].get("shared", False)) for s in sections for c in s.concepts],
        schema={"concept": pl.String, "section": name, "own": pl.Boolean},
        orient="row",
    )
    texts = read.texts.lazy().filter(pl.col("state").is_not_null())
    # a text that answers a section by two concepts is judged by the laxer
    concept = pl.col("concepts").cast(pl.String).str.split(" ").alias("concept")
    each = texts.select(pl.col("concepts").unique()).with_columns(concept).explode("concept")
    each = each.join(answers, on="concept")
    asked = each.group_by("concepts", "section").agg(pl.col("own").all())
    shared = (pl.col("shared") >= min_shared).fill_null(False)
    boilerplate = shared & pl.col("own") & (pl.col("state") > BOILERPLATE)
    best = pl.col("state") == pl.col("state").max()
    evidence = pl.col("evidence").filter(best)
    found = (
        texts.join(asked, on="concepts")
        .with_columns(pl.when(boilerplate).then(BOILERPLATE).otherwise("state").alias("state"))
        .sort("card", "block")
        .group_by("card", "section")
        .agg(
            pl.max("state"),
            pl.col("n_words").filter(best).sum().cast(pl.Int64),
            pl.col("title").filter(best).first(),
            pl.when(evidence.is_not_null().all()).then(evidence.first()),
        )
    )
    rows = [(field, item) for field, items in fields_of(standard).items() for item in items]
    stating = pl.LazyFrame(rows, {"field": pl.String, "section": name}, orient="row")
    stated = read.fields.lazy().join(stating, on="field").select("card", "section").unique()
    return (
        read.places.lazy()
        .select("card")
        .join(pl.LazyFrame({"section": name.categories}, {"section": name}), how="cross")
        .join(found, on=["card", "section"], how="left")
        .join(stated.with_columns(stated=True), on=["card", "section"], how="left")
        .with_columns(pl.col("state", "n_words").fill_null(0), pl.col("stated").fill_null(False))
    )


# ---- One card taken apart: which text answers which concept, and which headings answer none.

#: Why a heading answers no section that only names the card.
_IS_THE_TITLE = "the card's title"


class _Place(NamedTuple):
    """Where a heading stands: what the headings above it mean."""

    level: int
    concepts: tuple[str, ...]
    reason: str | None


def blocks(card_id: str, text: str, parts: list[Section]) -> Iterator[Block]:
    """Take a card apart, in its order: each section's text, and the labelled fields in it.

    By the id the headings that are only the model's name are told.
    """
    generated = is_generated(text)
    above, first = list[_Place](), True
    for at, part in enumerate(parts):
        concepts: tuple[str, ...] = ("summary",)
        reason = None
        if part.level:
            while above and above[-1].level >= part.level:
                above.pop()
            concepts, reason = _place(part, above, card_id, first)
            # below a title without a text, the model's name alone is a title too
            if first := first and not part.body.strip() and at + 1 < len(parts):
                names = _squeezed(card_id), _squeezed(card_id.rpartition("/")[2])
                first = _squeezed(parts[at + 1].title) in names
            # unknown headings below the title are not about what the title's own text is about
            titled = reason == _IS_THE_TITLE
            above.append(_Place(part.level, *(((), None) if titled else (concepts, reason))))
        holds = 0 < part.level < parts[min(at + 1, len(parts) - 1)].level
        for block in own_texts(part, concepts, reason, generated, holds=holds):
            yield block
            yield from _wholes(block, above)
        yield from shown_by(part, concepts, card_id)


def _wholes(block: Block, above: list[_Place]) -> Iterator[Block]:
    """Give the section again for what the sections around it are, where it is a part of that."""
    if block.body and block.body.state == FILLED:
        parts = definitions()["concepts"]
        wholes = {parts[concept].get("part_of") for concept in block.concepts}
        for whole in wholes.intersection(c for place in above for c in place.concepts):
            yield block._replace(concepts=(whole,), is_heading=False)


def _place(
    part: Section, above: list[_Place], card_id: str, first: bool
) -> tuple[tuple[str, ...], str | None]:
    """Say what a heading answers where it stands, else why nothing."""
    told = meaning(part.title)
    if first and _is_title(part, told, card_id):
        return ("summary",), _IS_THE_TITLE
    inner = next((p.concepts for p in reversed(above) if set(p.concepts) & asked_for()), ())
    if inner and (special := under(part.title, inner)):
        return (special,), None
    asked = tuple(concept for concept in told.concepts if concept in asked_for())
    if asked and not (told.weak and inner):
        return asked, None
    idle = [definitions()["concepts"][c] for c in told.concepts if c not in asked_for()]
    if idle and not (idle[0].get("yields") and not _GENERAL.issuperset(inner)):
        return (), idle[0]["reason"]
    if inner:
        return inner, None
    if told.words.startswith("about "):  # "About X": X is who made the model, or else the model
        is_maker = _in_name(told.words, card_id.rpartition("/")[0])
        return ("developers" if is_maker else "description",), None
    reason = _reason(told.words, part.title, card_id)
    return (), reason or next((p.reason for p in reversed(above) if p.reason), None)


def _is_title(part: Section, told: Meaning, card_id: str) -> bool:
    """Say whether the first heading is the card's title and not its first section."""
    if _reasons().get(told.words, "a language") != "a language":
        return True
    signs = not told.complete, _in_name(told.words, card_id.rpartition("/")[2])
    return any(signs) if part.level == 1 else all(signs)


def _reason(words: str, title: str, card_id: str) -> str | None:
    """Say why a heading without a known word answers nothing."""
    bare = words.replace(" | ", " ")
    if not re.search(r"[^\W\d_]", bare):
        return "no word: a number, a sign or a picture"
    said = {_reasons().get(word) for word in bare.split()}
    if reason := _reasons().get(bare) or (said.pop() if len(said) == 1 else None):
        return reason
    if _in_name(words, card_id.rpartition("/")[2]):
        return "the name of the model, or of one beside it"
    if title.rstrip(" *_").endswith(("!", "！")):
        return "a greeting or a slogan"
    return None


@functools.cache
def _reasons() -> dict[str, str]:
    return {
        phrase(word): reason for reason, words in definitions()["reasons"].items() for word in words
    }


def _squeezed(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def _in_name(words: str, name: str) -> bool:
    """Say whether a heading has a word that tells this name, however either is spaced."""
    squeezed, common = _squeezed(name), listed("words", "in_many_names")
    joined = (re.sub(r"\W+", "", word) for word in words.split())
    return any(len(word) > 2 and word not in common and word in squeezed for word in joined)


_GENERAL = frozenset(("summary", "description"))
