"""What each standard asks for, and what answers it: ``data/sections.toml``, read and checked."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, NamedTuple

import polars as pl

from ..schema import STRINGS, CardlabError, one_of

#: Standards that a card's sections can be held against.
STANDARDS = ("huggingface", "mitchell2019", "liang2024", "eu_gpai")


class Item(NamedTuple):
    """A section of a standard: what it asks for, and the concepts that answer it."""

    name: str
    concepts: tuple[str, ...]
    asks: str
    weight: float


class Standard(NamedTuple):
    """A standard: its name, where it is written, and its sections in its own order."""

    name: str
    source: str
    sections: tuple[Item, ...]


@functools.cache
def definitions() -> dict[str, Any]:
    """Read the data file."""
    return tomllib.loads(files("cardlab").joinpath("data/sections.toml").read_text("utf-8"))


@functools.cache
def find_standard(standard: str) -> Standard:
    """Give a standard by its key.

    Raises
    ------
    CardlabError
        There is no such standard.
    """
    one_of(standard, STANDARDS, name="standard")
    found = definitions()["standards"][standard]
    items = tuple(
        Item(item["name"], tuple(item["concepts"]), item["asks"], float(item.get("weight", 1)))
        for item in found["sections"]
    )
    return Standard(found["name"], found["source"], items)


@functools.cache
def fields_of(standard: str) -> dict[str, tuple[str, ...]]:
    """Give the sections that each field of the front matter answers."""
    items = find_standard(standard).sections
    return {
        field: tuple(item.name for item in items if set(item.concepts) & set(concepts))
        for field, concepts in definitions()["metadata"].items()
    }


def coverage_sections(standard: str = "huggingface") -> pl.DataFrame:
    """List the sections of a standard and what is taken to answer each.

    Parameters
    ----------
    standard : str
        ``"huggingface"`` (the Hub's model card template), ``"mitchell2019"``, ``"liang2024"`` or
        ``"eu_gpai"`` (the topics of the EU's Model Documentation Form).

    Returns
    -------
    pl.DataFrame
        ``section``, ``asks`` (what it asks for), ``weight`` (in a score; 1 unless the data file
        says otherwise), ``concepts`` (list of str: what headings and labels mean),
        ``metadata_fields`` (list of str: fields of the front matter that answer it), in the
        standard's own order.

    Raises
    ------
    CardlabError
        There is no such standard.

    Notes
    -----
    All of it, with the headings in nine languages, is in ``cardlab/data/sections.toml``.
    """
    items = find_standard(standard).sections
    fields = fields_of(standard)
    return pl.DataFrame(
        {
            "section": [item.name for item in items],
            "asks": [item.asks for item in items],
            "weight": [item.weight for item in items],
            "concepts": [list(item.concepts) for item in items],
            "metadata_fields": [
                [field for field, names in fields.items() if item.name in names] for item in items
            ],
        },
        schema_overrides={"concepts": STRINGS, "metadata_fields": STRINGS},
    )


def weights_of(standard: str, weights: Mapping[str, float] | None) -> pl.DataFrame:
    """Give ``section, weight``: those of the data file, or what the caller puts in their place.

    Raises
    ------
    CardlabError
        A name is no section of the standard, a weight is no number of at least 0, or all are 0.
    """
    own = {item.name: item.weight for item in find_standard(standard).sections}
    for name, weight in (weights or {}).items():
        one_of(name, own, name="weights: a section")
        good = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if not good or not 0 <= weight < float("inf"):
            raise CardlabError(
                f"weights[{name!r}] must be a number of at least 0, not {weight!r}. Sections that "
                "are not named keep their weight; 0 leaves one out."
            )
        own[name] = float(weight)
    if not any(own.values()):
        raise CardlabError("weights: all are 0, so there is nothing to score by. Give one above 0.")
    return pl.DataFrame({"section": list(own), "weight": list(own.values())})
