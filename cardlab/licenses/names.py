"""Licences of cards: one name for each, what it asks for, and how many cards declare it."""

from __future__ import annotations

import csv
import functools
import re
from importlib.resources import files
from typing import Any, NamedTuple

import polars as pl

from ..schema import STRINGS, require, to_lazy_polars
from ..shares import map_items

#: Classes of licences, the least restrictive first. Terms that nobody has classified (unknown,
#: custom) stand above the free licences and below the restrictions that are certain.
CLASSES = (
    "undeclared",
    "public domain",
    "permissive",
    "weak copyleft",
    "strong copyleft",
    "unknown",
    "custom",
    "use-restricted",
    "model-specific",
    "non-commercial",
)

#: Other spellings that are read as a keyword of the Hub, after case is folded and runs of blanks
#: and underscores have become hyphens. Only what leaves no doubt belongs here.
SPELLINGS = {
    "agplv3": "agpl-3.0",
    "apache-2": "apache-2.0",
    "apache-2.0-license": "apache-2.0",
    "apache-license-2.0": "apache-2.0",
    "apache-license-version-2.0": "apache-2.0",
    "apache-license,-version-2.0": "apache-2.0",
    "apache2": "apache-2.0",
    "apache2.0": "apache-2.0",
    "cc0": "cc0-1.0",
    "creativeml-open-rail-m": "creativeml-openrail-m",
    "gplv2": "gpl-2.0",
    "gplv3": "gpl-3.0",
    "lgplv3": "lgpl-3.0",
    "mit-license": "mit",
    "the-mit-license": "mit",
}

#: Categories of ScanCode LicenseDB, which `license-expression` ships with the SPDX list.
_CATEGORIES = {
    "Public Domain": "public domain",
    "Permissive": "permissive",
    "Copyleft Limited": "weak copyleft",
    "Copyleft": "strong copyleft",
    "Free Restricted": "use-restricted",
    "Proprietary Free": "use-restricted",
    "Source-available": "use-restricted",
}
#: SPDX ids whose licences forbid commercial use; LicenseDB has no category for that.
_NON_COMMERCIAL = re.compile(r"(?i)-NC-|noncommercial|^NCGL-")

#: No id and no spelling is longer; free text is not searched.
_LONGEST = 100


class License(NamedTuple):
    """One name for a licence, and its class."""

    name: str
    license_class: str


def with_licenses(cards: Any) -> Any:
    """Add each card's licences under one name each, and the class of what they ask for.

    Parameters
    ----------
    cards : frame
        With ``license`` (list of str, or str).

    Returns
    -------
    pl.DataFrame or pl.LazyFrame
        A lazy frame where `cards` is lazy, with these columns added:

        - ``license_spdx`` (list of str): the SPDX id where it is known, else the Hub's keyword in
          lower case, else the string as declared; each once. Null where ``license`` is null, empty
          where it is empty.
        - ``license_class`` (str): one of :data:`CLASSES`, never null. ``undeclared`` where there
          is no licence. Of several licences the most restrictive class, in this order:
          public domain < permissive < weak copyleft < strong copyleft < unknown < custom <
          use-restricted < model-specific < non-commercial. A card that names several licences is
          thus read as bound by all of them, since cards do not say whether the reader may choose.

    Raises
    ------
    MissingColumn
        The cards have no ``license``.

    Notes
    -----
    The Hub's keywords and their classes, each with its reason, are in ``data/licenses.csv``;
    classes follow the categories of ScanCode LicenseDB where it has the licence. The keywords
    ``gpl-3.0`` and the like do not say "only" or "or later": the id stays ``GPL-3.0``. Case, and
    blanks or underscores for hyphens, make no difference; :data:`SPELLINGS` lists what else is
    understood. Exact SPDX ids beyond the Hub's keywords are recognised too. ``other`` is custom;
    all else is unknown and kept as written, never guessed from its words.
    """
    require(cards, "license")
    frame = cards if isinstance(cards, (pl.DataFrame, pl.LazyFrame)) else to_lazy_polars(cards)
    declared = pl.col("license")
    names = declared.map_batches(names_of, return_dtype=STRINGS, is_elementwise=True)
    classes = declared.map_batches(classes_of, return_dtype=pl.String, is_elementwise=True)
    return frame.with_columns(names.alias("license_spdx"), classes.alias("license_class"))


@functools.lru_cache(maxsize=2**16)
def find_license(text: str) -> License:
    """Give the one name and the class of a licence as declared.

    Parameters
    ----------
    text : str
        A keyword of the Hub, an SPDX id, one of :data:`SPELLINGS`, or anything else.

    Returns
    -------
    License
        ``name`` and ``license_class`` as in :func:`with_licenses`; what is not recognised keeps
        its text and is ``unknown``.
    """
    if len(text) <= _LONGEST:
        plain = text.strip().lower()
        hyphened = re.sub(r"[\s_]+", "-", plain)
        for key in (plain, hyphened, SPELLINGS.get(hyphened)):
            if key in _keywords():
                return _keywords()[key]
        for key in (plain, hyphened):
            if key in _spdx_ids():
                return _spdx_ids()[key]
    return License(text, "unknown")


@functools.cache
def _keywords() -> dict[str | None, License]:
    """Read the Hub's keywords, and their SPDX ids in lower case."""
    text = files("cardlab").joinpath("data", "licenses.csv").read_text("utf-8")
    known: dict[str | None, License] = {}
    for row in csv.DictReader(text.splitlines()):
        found = License(row["spdx"] or row["keyword"], row["license_class"])
        known[row["keyword"]] = known[found.name.lower()] = found
    return known


@functools.cache
def _spdx_ids() -> dict[str, License]:
    """List all SPDX ids in lower case, retired ones under the id that replaced them."""
    # imported when the first licence outside the table turns up: most corpora never need it
    from license_expression import get_license_index

    known: dict[str, License] = {}
    for entry in get_license_index():
        name = entry.get("spdx_license_key") or ""
        if not name or entry["is_exception"] or name.startswith("LicenseRef-"):
            continue
        own = _CATEGORIES.get(entry["category"], "unknown")
        found = License(name, "non-commercial" if _NON_COMMERCIAL.search(name) else own)
        for key in (name, *entry["other_spdx_license_keys"]):
            if not key.startswith("LicenseRef-"):
                known[key.lower()] = found
    return known


def names_of(declared: pl.Series) -> pl.Series:
    """Give the names of the licences of each card, a list for each."""
    return map_items(declared, lambda text: find_license(text).name)


def classes_of(declared: pl.Series) -> pl.Series:
    """Give the one class of each card, that of its most restrictive licence."""
    rank = {name: i for i, name in enumerate(CLASSES)}
    classes = map_items(declared, lambda text: find_license(text).license_class)
    ranks = classes.list.eval(pl.element().replace_strict(rank, return_dtype=pl.UInt8)).list.max()
    return pl.Series(CLASSES).gather(ranks.fill_null(rank["undeclared"])).alias(declared.name)
