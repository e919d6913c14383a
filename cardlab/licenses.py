"""Licences of cards: one name for each, what it asks for, and how many cards declare it."""

from __future__ import annotations

import csv
import functools
import re
from importlib.resources import files
from typing import Any, NamedTuple

import polars as pl

from .schema import STRINGS, require, to_lazy_polars
from .shares import check_by, count_values, map_items, with_share

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
    names = declared.map_batches(_names, return_dtype=STRINGS, is_elementwise=True)
    classes = declared.map_batches(_classes, return_dtype=pl.String, is_elementwise=True)
    return frame.with_columns(names.alias("license_spdx"), classes.alias("license_class"))


def license_counts(cards: Any, *, by: str | None = None, raw: bool = False) -> pl.DataFrame:
    """Count on how many cards each licence is declared.

    Parameters
    ----------
    cards : frame
        With ``license`` (list of str, or str), and `by`; polars, or any that narwhals knows.
    by : str, optional
        A column to group by. With a list column a card counts in each of its groups; without a
        value it is in the group null, "not declared".
    raw : bool
        Count the strings as they are declared, instead of one name for each licence.

    Returns
    -------
    pl.DataFrame
        ``[by,] license`` (named as in :func:`with_licenses`, or as declared), ``license_class``
        (never ``undeclared``), ``n_cards``, ``n_declared`` (cards of the group that declare any
        licence), ``card_share`` (0-1, of all cards of the group, with or without a licence),
        ``share_low``, ``share_high`` (its 95 % Wilson interval, see :func:`cardlab.shares.wilson`).
        Most cards first, then by licence and group. A licence counts once a card; a card with two
        licences counts in both, so shares may add to more than the share of declaring cards. A
        group that declares no licence has no row; :func:`class_counts` has it.

    Raises
    ------
    MissingColumn
        The cards have no ``license``, or no column `by`.
    CardlabError
        `by` is the name of a result column.
    """
    check_by(by, ("license", "license_class", "card_share", "share_low", "share_high"))
    counts = count_values(cards, "license", by=by, derive=None if raw else _names)
    names = counts["value"].unique()
    classes = [find_license(name).license_class for name in names]
    counts = counts.with_columns(
        pl.col("value")
        .replace_strict(names, classes, return_dtype=pl.String)
        .alias("license_class")
    )
    return with_share(counts).select(
        *([] if by is None else [by]),
        pl.col("value").alias("license"),
        "license_class",
        "n_cards",
        "n_declared",
        "card_share",
        "share_low",
        "share_high",
    )


def class_counts(cards: Any, *, by: str | None = None) -> pl.DataFrame:
    """Count the cards of each class of licence, those without one included.

    Parameters
    ----------
    cards : frame
        With ``license`` (list of str, or str), and `by`; polars, or any that narwhals knows.
    by : str, optional
        As in :func:`license_counts`.

    Returns
    -------
    pl.DataFrame
        ``[by,] license_class`` (see :func:`with_licenses`: each card has one class),
        ``n_cards``, ``card_share`` (0-1, of all cards of the group; the shares of a group add to
        1), ``share_low``, ``share_high`` (its 95 % Wilson interval). Most cards first, then by
        class and group. A class without cards has no row.

    Raises
    ------
    MissingColumn
        The cards have no ``license``, or no column `by`.
    CardlabError
        `by` is the name of a result column.
    """
    check_by(by, ("license_class", "card_share", "share_low", "share_high"))
    counts = with_share(count_values(cards, "license", by=by, derive=_classes))
    return counts.rename({"value": "license_class"}).drop("n_group", "n_declared")


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
    text = files(__package__).joinpath("data", "licenses.csv").read_text("utf-8")
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


def _names(declared: pl.Series) -> pl.Series:
    return map_items(declared, lambda text: find_license(text).name)


def _classes(declared: pl.Series) -> pl.Series:
    rank = {name: i for i, name in enumerate(CLASSES)}
    classes = map_items(declared, lambda text: find_license(text).license_class)
    ranks = classes.list.eval(pl.element().replace_strict(rank, return_dtype=pl.UInt8)).list.max()
    return pl.Series(CLASSES).gather(ranks.fill_null(rank["undeclared"])).alias(declared.name)
