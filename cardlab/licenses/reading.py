"""What a declared string says: which licence, of which class, and how that is known.

The ways, the surest first: a keyword of the Hub, an SPDX id, a spelling of one of these, the
address of its text, an expression of several, a family of licences that a pattern describes.
"""

from __future__ import annotations

import csv
import functools
import re
from importlib.resources import files
from typing import Any, NamedTuple

# ---- What is known of licences: the tables in ``data``, and the SPDX list.

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
def spdx() -> tuple[dict[str, License], dict[str, License]]:
    """List the ids and the exceptions of SPDX in lower case, retired ones under today's id.

    An exception has the class of what it leaves of a licence's demands.
    """
    # imported when the first licence outside the table turns up: most corpora never need it
    from license_expression import get_license_index

    ids: dict[str, License] = {}
    exceptions: dict[str, License] = {}
    for entry in get_license_index():
        name = entry.get("spdx_license_key") or ""
        if not name or name.startswith("LicenseRef-"):
            continue
        kinds = [_CATEGORIES.get(entry["category"], "unknown")]
        if not entry["is_exception"]:
            kinds = [kind for pattern, kind in _BY_TEXT if pattern.fullmatch(name)] + kinds
        for key in (name, *entry["other_spdx_license_keys"]):
            if not key.startswith("LicenseRef-"):
                known = exceptions if entry["is_exception"] else ids
                known[key.lower()] = License(name, kinds[0])
    return ids, exceptions


def spdx_ids() -> dict[str, License]:
    """Give all SPDX ids in lower case."""
    return spdx()[0]


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


# ---- What a declared string says: which licence, of which class, and how that is known.

#: No id, name or expression is longer, and no address; free text is not searched.
LONGEST, LONGEST_URL = 100, 200
#: A name of a licence has no more words.
MOST_WORDS = 8

_BLANKS = re.compile(r"[\s_]+")
_DASHES = dict.fromkeys([*range(0x2010, 0x2016), 0x2212], "-")
_PLAIN = re.compile(r"[a-z0-9.,+()'\"/:;&*?-]*")
_URL = re.compile(r"https?://(?:www\.)?([^\s?#]*[^\s?#/])/*(?:[?#]\S*)?")
_OPERATORS = re.compile(r"-(and|or(?!-later)|with)-")
#: What license-expression dies of rather than refuse: a bracket before no licence.
_EMPTY_BRACKET = re.compile(r"\([\s(]*(?:(?:and|or|with)\b|\)|$)")
_JOINTS = re.compile(r"-?[,;&/]-?|-\+-")


class Reading(NamedTuple):
    """What a declared string was taken for: name, class, the way there, the reason, the terms."""

    name: str
    license_class: str
    reason: str
    detail: str
    source: str | None = None


@functools.lru_cache(maxsize=2**16)
def read_license(text: str) -> Reading:
    """Say what a declared string was taken for, and why."""
    found = _read(text)
    if found.source is not None or found.license_class == "unknown":
        return found
    if (listed := sources().get(found.name)) is None and found.reason != "expression":
        listed = f"https://spdx.org/licenses/{found.name}.html"
    return found._replace(source=listed)


def _read(text: str) -> Reading:
    plain = text.strip()
    if not plain:
        return Reading(text, "unknown", "empty", "nothing but blanks")
    if len(plain) <= LONGEST_URL and (url := _URL.fullmatch(plain.lower())):
        return _by_url(text, url[1])
    if len(plain) > LONGEST:
        detail = f"longer than {LONGEST} characters: free text is not searched"
        return Reading(text, "unknown", "free text", detail)
    if plain in reasons():
        return Reading(*keywords()[plain], "keyword", reasons()[plain])
    folded = fold(plain)
    if _PLAIN.fullmatch(folded) and "://" not in folded:
        for step in (_by_id, _by_expression, _by_family):
            if (found := step(folded)) is not None:
                # what says no licence keeps its text, so that it can be found again
                says_none = found.reason == "no licence"
                return found._replace(name=text) if says_none else found
    return Reading(text, "unknown", "free text", "names no licence that is known here")


def fold(text: str) -> str:
    """Give a string in lower case, with hyphens for dashes, blanks and underscores."""
    return _BLANKS.sub("-", text.strip().lower().translate(_DASHES))


def _by_id(folded: str) -> Reading | None:
    """Read a keyword or an SPDX id, as it is or in another spelling."""
    if (found := keywords().get(folded)) is not None:
        if folded in reasons():
            return Reading(*found, "case", "a keyword of the Hub but for case and blanks")
        return Reading(*found, "SPDX id", "the id that SPDX has for a keyword of the Hub")
    if (found := spdx_ids().get(folded)) is not None:
        return Reading(*found, "SPDX id", "class as ScanCode LicenseDB has it")
    if "?" in folded or "*" in folded:
        return None
    squeezed = squeeze(folded)
    if (found := squeezed_keywords().get(squeezed)) is not None:
        return _spelling(found)
    for pattern, row in patterns("license_spellings"):
        if (match := pattern.fullmatch(folded)) is not None:
            meant = _by_id(match.expand(row["license"]))
            return meant and meant._replace(reason="spelling", detail=row["reason"])
    if (found := squeezed_spdx_ids().get(squeezed)) is not None:
        return _spelling(found)
    return None


def _spelling(found: License) -> Reading:
    detail = "the same words and version, but for words such as license, version, the"
    return Reading(*found, "spelling", detail)


def _by_url(text: str, address: str) -> Reading:
    """Read the address of a licence's text."""
    for pattern, row in patterns("license_urls"):
        if (match := pattern.fullmatch(address)) is not None:
            name = match.expand(row["license"])
            found = _by_id(name) or _by_family(name)
            if found is not None and found.license_class != "unknown":
                return found._replace(reason="address", detail=row["reason"])
    return Reading(text, "unknown", "address", "an address that names no licence known here")


def _by_expression(folded: str) -> Reading | None:
    """Read several licences that are joined, if each of them is known."""
    spaced = _OPERATORS.sub(r" \1 ", folded)
    if spaced == folded or _JOINTS.search(folded):
        spaced = _JOINTS.sub(" and ", spaced)
    if spaced == folded or _EMPTY_BRACKET.search(spaced):
        return None
    # imported when the first expression turns up: most corpora have none
    from license_expression import ExpressionError, Licensing

    try:
        tree = Licensing().parse(spaced)
    except ExpressionError:
        return None
    found = None if tree is None else _evaluate(tree)
    if found is None:
        return None
    detail = "all licences hold: the most restrictive class; of a choice (OR) the least restrictive"
    return Reading(*found, "expression", detail)


def _evaluate(node: Any) -> License | None:
    """Give the name and the class of an expression; None where a part of it is not known."""
    operator = getattr(node, "operator", None)
    if operator is None:
        return _evaluate_symbol(node)
    parts = dict.fromkeys(_evaluate(part) for part in node.args)
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if len(known) == 1:
        return known[0]
    word = operator.strip().upper()
    inner = [f"({name})" if " OR " in name and word == "AND" else name for name, _ in known]
    worst = max if word == "AND" else min
    return License(f" {word} ".join(inner), worst((c for _, c in known), key=CLASSES.index))


def _evaluate_symbol(node: Any) -> License | None:
    if hasattr(node, "exception_symbol"):
        found = _part(node.license_symbol.key)
        exception = spdx()[1].get(node.exception_symbol.key)
        if found is None or exception is None:
            return None
        # an exception only takes demands away
        least = min(found.license_class, exception.license_class, key=CLASSES.index)
        return License(f"{found.name} WITH {exception.name}", least)
    return _part(node.key)


def _part(text: str) -> License | None:
    """Read one licence of an expression; what is custom or unknown is no part of one."""
    folded = fold(text)
    found = _by_id(folded) or _by_family(folded)
    if found is None or found.license_class in ("custom", "unknown"):
        return None
    return License(found.name, found.license_class)


def _by_family(folded: str) -> Reading | None:
    """Find the family that a name belongs to; the name stays its own."""
    if folded.count("-") >= MOST_WORDS or "," in folded:
        return None
    for pattern, row in patterns("license_families"):
        if pattern.fullmatch(folded) is not None:
            kind = "no licence" if row["license_class"] == "unknown" else "family"
            detail = f"{row['name']}: {row['reason']}"
            return Reading(folded, row["license_class"], kind, detail, row["source"])
    return None
