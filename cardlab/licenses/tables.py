"""What is known of licences: the tables in ``data``, and the SPDX list."""

from __future__ import annotations

import csv
import functools
import re
from importlib.resources import files
from typing import NamedTuple

#: Classes of licences, the least restrictive first. Terms that nobody has classified (unknown,
#: custom) stand above the free licences and below the restrictions that are certain.
CLASSES = (
    "undeclared",
    "public domain",
    "permissive",
    "weak copyleft",
    "share-alike",
    "strong copyleft",
    "unknown",
    "custom",
    "use-restricted",
    "model-specific",
    "non-commercial",
)

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
#: SPDX ids whose own texts say otherwise than their category: no commercial use, for which
#: LicenseDB has no category; copyleft of data, documents and art; two editions of one licence
#: (EUPL, LPPL, CeCILL) in two categories; files that stay under it (MS-LPL); the author's right
#: (FSFUL).
_BY_TEXT = tuple(
    (re.compile(pattern, re.IGNORECASE), license_class)
    for pattern, license_class in (
        (r".*-NC-.*|.*noncommercial.*|NCGL-.*|PPL|Aladdin", "non-commercial"),
        (r"CC-(?:BY-)?SA-.*|ODbL-.*|CDLA-Sharing-.*|GFDL-.*|LAL-.*|LGPLLR", "share-alike"),
        (r"EUPL-.*|LPPL-.*|CECILL-C|MS-LPL", "weak copyleft"),
        (r"CECILL-[\d.]+", "strong copyleft"),
        (r"FSFUL", "permissive"),
    )
)

#: Numbers, signs and words; the v before a number is no part of the word before it.
_PARTS = re.compile(r"\d+(?:\.\d+)*|\+|v(?=\d)|[a-z]+?(?=v\d|[^a-z]|$)")
#: Words that say nothing about which licence it is.
_FILLERS = frozenset(
    (
        *("license", "licenses", "licensed", "licence", "licences", "agreement", "family", "the"),
        *("v", "ver", "version", "generic", "international", "intl", "universal", "unported"),
    )
)


class License(NamedTuple):
    """One name for a licence, and its class."""

    name: str
    license_class: str


class Row(NamedTuple):
    """A row of a table of patterns: what it matches as a whole, and what that stands for."""

    pattern: re.Pattern[str]
    cells: dict[str, str]


def rows_of(table: str) -> list[dict[str, str]]:
    """Read one of the tables in ``data``."""
    text = files("cardlab").joinpath("data", f"{table}.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


@functools.cache
def patterns(table: str) -> tuple[Row, ...]:
    """Read a table whose first column is a pattern, in its order."""
    return tuple(Row(re.compile(row["pattern"], re.ASCII), row) for row in rows_of(table))


@functools.cache
def keywords() -> dict[str, License]:
    """Read the Hub's keywords, and their SPDX ids in lower case."""
    known: dict[str, License] = {}
    for row in rows_of("licenses"):
        found = License(row["spdx"] or row["keyword"], row["license_class"])
        known[row["keyword"]] = known[found.name.lower()] = found
    return known


@functools.cache
def reasons() -> dict[str, str]:
    """Give the reason of the class of each of the Hub's keywords."""
    return {row["keyword"]: row["reason"] for row in rows_of("licenses")}


@functools.cache
def sources() -> dict[str, str]:
    """Give the source of the class of each of the Hub's keywords, by name."""
    return {row["spdx"] or row["keyword"]: row["source"] for row in rows_of("licenses")}


@functools.cache
def spdx_ids() -> dict[str, License]:
    """List all SPDX ids in lower case, retired ones under the id that replaced them."""
    known: dict[str, License] = {}
    for name, others, category, is_exception in _index():
        if is_exception:
            continue
        own = _CATEGORIES.get(category, "unknown")
        by_text = (known_as for pattern, known_as in _BY_TEXT if pattern.fullmatch(name))
        found = License(name, next(by_text, own))
        for key in (name, *others):
            known[key.lower()] = found
    return known


@functools.cache
def exceptions() -> dict[str, License]:
    """List the exceptions of SPDX in lower case, with what they leave of a licence's demands."""
    return {
        key.lower(): License(name, _CATEGORIES.get(category, "unknown"))
        for name, others, category, is_exception in _index()
        if is_exception
        for key in (name, *others)
    }


@functools.cache
def _index() -> list[tuple[str, list[str], str, bool]]:
    """Give the SPDX list: id, other ids, category, and whether it is an exception."""
    # imported when the first licence outside the table turns up: most corpora never need it
    from license_expression import get_license_index

    found = []
    for entry in get_license_index():
        name = entry.get("spdx_license_key") or ""
        if name and not name.startswith("LicenseRef-"):
            other = [k for k in entry["other_spdx_license_keys"] if not k.startswith("LicenseRef-")]
            found.append((name, other, entry["category"], bool(entry["is_exception"])))
    return found


def squeeze(text: str) -> str:
    """Give what spellings of one licence share: words without fillers, versions without ``.0``.

    ``Apache License, Version 2.0``, ``apache-2.0`` and ``apache2`` are all ``apache2``; what
    stands twice in a row, as in ``The MIT License (MIT)``, counts once.
    """
    parts: list[str] = []
    for part in _PARTS.findall(text.lower()):
        if part in _FILLERS or (parts and part == parts[-1]):
            continue
        if part[0].isdigit() and parts and parts[-1][0].isdigit():
            parts[-1] += f".{part}"
        else:
            parts.append(part)
    return "".join(re.sub(r"(?:\.0)+$", "", part) for part in parts)


@functools.cache
def squeezed_keywords() -> dict[str, License]:
    """Give the Hub's keywords, their ids and their titles, squeezed."""
    names = [(key, found) for key, found in keywords().items()]
    titles = [(row["name"], keywords()[row["keyword"]]) for row in rows_of("licenses")]
    return _unambiguous([*names, *titles])


@functools.cache
def squeezed_spdx_ids() -> dict[str, License]:
    """Give the SPDX ids, squeezed; forms that two ids share are left out."""
    return _unambiguous(list(spdx_ids().items()))


def _unambiguous(pairs: list[tuple[str, License]]) -> dict[str, License]:
    found: dict[str, set[License]] = {}
    for text, known in pairs:
        found.setdefault(squeeze(text), set()).add(known)
    return {key: next(iter(names)) for key, names in found.items() if key and len(names) == 1}
