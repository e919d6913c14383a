"""Every card read once, in batches: small rows that say what answers what, and how."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from hashlib import blake2b
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
import polars as pl

from ..schema import NoFigure, SourceError, collect, count, lazy, printable, require, shorten
from .blocks import BOILERPLATE, blocks
from .headings import definitions, fields_of, find_standard

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
#: Columns that a census reads where they are there.
OPTIONAL = ("metadata", *_FIELD_OF)

#: Put before the names of columns that are kept, which may be any.
KEPT = "kept: "

_TEXT_ROW = {
    "card": pl.UInt32,
    "block": pl.UInt32,
    "meaning": pl.UInt32,
    "heading": pl.String,
    "state": pl.Int8,
    "n_words": pl.UInt32,
    "key": pl.UInt64,
    "evidence": pl.String,
}
_FIELD_ROW = {"card": pl.UInt32, "field": pl.String}


class Census(NamedTuple):
    """What the cards say.

    Attributes
    ----------
    cards : pl.DataFrame
        ``card`` (its place among the cards), ``whole`` (a hash of its text, null where blank),
        ``id`` and the columns kept, their names after :data:`KEPT`, of the cards with a text.
    texts : pl.DataFrame
        ``card``, ``block`` (the text's place in the card), ``meaning``, ``heading``, ``state``
        (by itself, as a number of ``bodies.STATES``), ``n_words``, ``is_shared`` (whether other
        cards have the same), ``evidence`` (what shows that it answers, where no heading does).
    meanings : pl.DataFrame
        ``meaning``, ``concept``: what a text answers, a row for each concept.
    fields : pl.DataFrame
        ``card``, ``field``: the fields of the front matter that say anything.
    """

    cards: pl.DataFrame
    texts: pl.DataFrame
    meanings: pl.DataFrame
    fields: pl.DataFrame


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
        raise SourceError(
            f"the cards could not be read to the end: {shorten(printable(str(error)), 300)}. "
            "The file may be damaged or may have changed while it was read."
        ) from error


def take_census(
    cards: Any, *, keep: tuple[str, ...] = (), min_shared: int = MIN_SHARED, headings: bool = False
) -> Census:
    """Read all cards.

    Parameters
    ----------
    cards : frame
        With ``id`` and ``text``, and :data:`OPTIONAL` for the front matter.
    keep : tuple of str
        Further columns to keep of each card.
    min_shared : int
        As :data:`MIN_SHARED`.
    headings : bool
        Whether to keep the headings' words, which take memory.

    Raises
    ------
    MissingColumn
        The cards lack ``id``, ``text`` or a column to keep.
    NoFigure
        No card has a text.
    """
    have = require(cards, "id", "text", *keep)
    columns = ("id", "text", *(name for name in OPTIONAL if name in have))
    columns = tuple(dict.fromkeys((*columns, *keep)))
    kept: list[pl.DataFrame] = []
    texts: list[pl.DataFrame] = []
    fields: list[pl.DataFrame] = []
    meanings: dict[tuple[str, ...], int] = {}
    place = 0
    for batch in batches(cards, columns):
        numbers = pl.int_range(place, place + batch.height, dtype=pl.UInt32, eager=True)
        place += batch.height
        known = batch["text"].is_not_null()
        batch, numbers = batch.filter(known), numbers.filter(known)
        own = pl.Series(
            [_text_hash(text) for text in batch["text"].cast(pl.String)], dtype=pl.UInt64
        )
        says = batch["text"].cast(pl.String).str.contains(r"\S")
        kept.append(
            batch.select(
                numbers.alias("card"),
                own.set(~says, None).alias("whole"),
                "id",
                *(pl.col(name).alias(KEPT + name) for name in keep),
            )
        )
        texts.append(_texts(batch, numbers, meanings, headings))
        fields.append(_fields(batch, numbers))
    if not kept or not any(frame.height for frame in kept):
        raise NoFigure(f"none of the {count(cards):,} cards has a text, so none has sections.")
    everyone = pl.concat(kept)
    rows = pl.DataFrame(
        [(number, concept) for concepts, number in meanings.items() for concept in concepts],
        schema={"meaning": pl.UInt32, "concept": pl.String},
        orient="row",
    )
    found = _with_shared(pl.concat(texts), everyone, min_shared)
    return Census(everyone, found, rows, pl.concat(fields).unique())


def _texts(
    batch: pl.DataFrame, numbers: pl.Series, meanings: dict[tuple[str, ...], int], headings: bool
) -> pl.DataFrame:
    """Give a row for each text that answers anything."""
    rows: dict[str, list[Any]] = {name: [] for name in _TEXT_ROW}
    names = batch["id"].cast(pl.String)
    for card, name, text in zip(numbers, names, batch["text"].cast(pl.String), strict=True):
        for place, block in enumerate(blocks(name, text)):
            if block.body is None or not block.concepts:
                continue
            rows["card"].append(card)
            rows["block"].append(place)
            rows["meaning"].append(meanings.setdefault(block.concepts, len(meanings)))
            rows["heading"].append(printable(block.heading) if headings else None)
            rows["state"].append(block.body.state)
            rows["n_words"].append(block.body.n_words)
            rows["key"].append(block.body.key)
            rows["evidence"].append(block.evidence)
    return pl.DataFrame(rows, schema=_TEXT_ROW)


def _with_shared(texts: pl.DataFrame, cards: pl.DataFrame, min_shared: int) -> pl.DataFrame:
    """Mark the texts that are the same on cards which are not the same as a whole.

    A text that is one on whole copies of a card says no more of itself than the copies do.
    """
    long_enough = pl.col("n_words") >= definitions()["boilerplate"]["min_words"]
    judged = (pl.col("key") > 0) & long_enough
    shared = (
        texts.lazy()
        .filter(judged)
        .select("card", "key")
        .join(cards.lazy().select("card", "whole"), on="card")
        .group_by("key")
        .agg(pl.col("whole").n_unique().alias("n"))
        .filter(pl.col("n") >= min_shared)
        .collect()
    )
    is_shared = judged & pl.col("key").is_in(shared["key"].implode())
    return texts.with_columns(is_shared.alias("is_shared")).drop("key")


def _fields(batch: pl.DataFrame, numbers: pl.Series) -> pl.DataFrame:
    """Give a row for each field of the front matter that says anything."""
    rows: list[tuple[int, str]] = []
    wanted = _wanted()
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


@cache
def _wanted() -> tuple[str, ...]:
    return tuple(definitions()["metadata"])


def _text_hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest())


def states_of(census: Census, standard: str) -> pl.DataFrame:
    """Give the state of each section that a card has any text for.

    Returns
    -------
    pl.DataFrame
        ``card``, ``section``, ``state`` (number), ``n_words`` (of the texts in that state),
        ``heading`` (of the first of them), ``evidence`` (of the first, where all have any).
    """
    concepts = definitions()["concepts"]
    answers = pl.DataFrame(
        [
            (c, item.name, not concepts[c].get("shared", False))
            for item in find_standard(standard).sections
            for c in item.concepts
        ],
        schema={"concept": pl.String, "section": pl.String, "own": pl.Boolean},
        orient="row",
    )
    # a text that answers a section by two concepts is judged by the laxer
    asked = (
        census.meanings.join(answers, on="concept")
        .group_by("meaning", "section")
        .agg(pl.col("own").all())
    )
    boilerplate = pl.col("is_shared") & pl.col("own") & (pl.col("state") > BOILERPLATE)
    best = pl.col("state") == pl.col("state").max()
    return (
        census.texts.lazy()
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
            pl.col("heading").filter(best).first(),
            pl.when(pl.col("evidence").filter(best).is_not_null().all()).then(
                pl.col("evidence").filter(best).first()
            ),
        )
        .collect()
    )


def stated_by(census: Census, standard: str) -> pl.DataFrame:
    """Give ``card``, ``section`` of what the front matter answers."""
    rows = [(field, name) for field, names in fields_of(standard).items() for name in names]
    table = pl.DataFrame(rows, {"field": pl.String, "section": pl.String}, orient="row")
    return census.fields.join(table, on="field").select("card", "section").unique()
