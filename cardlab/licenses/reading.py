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


class Reading(NamedTuple):
    """What a declared string was taken for: name, class, the way there, the reason, the terms."""

    name: str
    license_class: str
    reason: str
    detail: str
    source: str | None = None


def rows_of(table: str) -> list[dict[str, str]]:
    """Read one of the tables in ``data``."""
    text = files("cardlab").joinpath("data", f"{table}.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


@functools.cache
def patterns(table: str) -> tuple[tuple[re.Pattern[str], dict[str, str]], ...]:
    """Read a table whose first column is a pattern (of the whole), in its order."""
    return tuple((re.compile(row["pattern"], re.ASCII), row) for row in rows_of(table))


@functools.cache
def keywords() -> dict[str, Reading]:
    """Read the Hub's keywords."""
    return {
        row["keyword"]: Reading(
            row["spdx"] or row["keyword"],
            row["license_class"],
            "keyword",
            row["reason"],
            row["source"] if row["license_class"] != "unknown" else None,
        )
        for row in rows_of("licenses")
    }


@functools.cache
def keyword_ids() -> dict[str, Reading]:
    """Give the names of the Hub's keywords in lower case."""
    detail = "the id that SPDX has for a keyword of the Hub"
    return {
        known.name.lower(): known._replace(reason="SPDX id", detail=detail)
        for known in keywords().values()
    }


@functools.cache
def spdx() -> tuple[dict[str, Reading], dict[str, Reading]]:
    """List the ids and the exceptions of SPDX in lower case, retired ones under today's id.

    An exception has the class of what it leaves of a licence's demands.
    """
    # imported when the first licence outside the table turns up: most corpora never need it
    from license_expression import get_license_index

    ids: dict[str, Reading] = {}
    exceptions: dict[str, Reading] = {}
    sources = {known.name: known.source for known in keywords().values()}
    for entry in get_license_index():
        name = entry.get("spdx_license_key") or ""
        if not name or name.startswith("LicenseRef-"):
            continue
        kind = _CATEGORIES.get(entry["category"], "unknown")
        if not entry["is_exception"]:
            kind = next((own for pattern, own in _BY_TEXT if pattern.fullmatch(name)), kind)
        known = exceptions if entry["is_exception"] else ids
        source = sources.get(name) or f"https://spdx.org/licenses/{name}.html"
        detail = "class as ScanCode LicenseDB has it"
        found = Reading(name, kind, "SPDX id", detail, None if kind == "unknown" else source)
        for key in (name, *entry["other_spdx_license_keys"]):
            if not key.startswith("LicenseRef-"):
                known[key.lower()] = found
    return ids, exceptions


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
def squeezed_keywords() -> dict[str, Reading]:
    """Give the Hub's keywords, their ids and their titles, squeezed."""
    titles = [(row["name"], keywords()[row["keyword"]]) for row in rows_of("licenses")]
    return _unambiguous([*keywords().items(), *keyword_ids().items(), *titles])


@functools.cache
def squeezed_spdx_ids() -> dict[str, Reading]:
    """Give the SPDX ids, squeezed; forms that two ids share are left out."""
    return _unambiguous(list(spdx()[0].items()))


def _unambiguous(pairs: list[tuple[str, Reading]]) -> dict[str, Reading]:
    found: dict[str, dict[str, Reading]] = {}
    for text, known in pairs:
        detail = "the same words and version, but for words such as license, version, the"
        reading = known._replace(reason="spelling", detail=detail)
        found.setdefault(squeeze(text), {})[known.name] = reading
    return {
        key: next(iter(names.values())) for key, names in found.items() if key and len(names) == 1
    }


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


@functools.lru_cache(maxsize=2**16)
def read_license(text: str) -> Reading:
    """Say what a declared string was taken for, and why."""
    plain = text.strip()
    if not plain:
        return Reading(text, "unknown", "empty", "nothing but blanks")
    if len(plain) <= LONGEST_URL and (url := _URL.fullmatch(plain.lower())):
        return _by_url(text, url[1])
    if len(plain) > LONGEST:
        detail = f"longer than {LONGEST} characters: free text is not searched"
        return Reading(text, "unknown", "free text", detail)
    if plain in keywords():
        return keywords()[plain]
    folded = fold(plain)
    if _PLAIN.fullmatch(folded) and "://" not in folded:
        for step in (_by_id, _by_expression, _by_family):
            if (found := step(folded)) is not None:
                # what says no licence keeps its text, so that it can be found again
                says_none = found.reason == "no licence"
                return found._replace(name=text) if says_none else found
    return Reading(text, "unknown", "free text", "names no licence that is known here")


def name_of(text: str) -> str:
    """Give the one name of a licence as declared."""
    return read_license(text).name


def class_of(text: str) -> str:
    """Give the class of a licence as declared."""
    return read_license(text).license_class


def fold(text: str) -> str:
    """Give a string in lower case, with hyphens for dashes, blanks and underscores."""
    return _BLANKS.sub("-", text.strip().lower().translate(_DASHES))


def _by_id(folded: str) -> Reading | None:
    """Read a keyword or an SPDX id, as it is or in another spelling."""
    if (found := keywords().get(folded)) is not None:
        detail = "a keyword of the Hub but for case and blanks"
        return found._replace(reason="case", detail=detail)
    if (found := keyword_ids().get(folded) or spdx()[0].get(folded)) is not None:
        return found
    if "?" in folded or "*" in folded:
        return None
    squeezed = squeeze(folded)
    if (found := squeezed_keywords().get(squeezed)) is not None:
        return found
    for pattern, row in patterns("license_spellings"):
        if (match := pattern.fullmatch(folded)) is not None:
            meant = _by_id(match.expand(row["license"]))
            return meant and meant._replace(reason="spelling", detail=row["reason"])
    return squeezed_spdx_ids().get(squeezed)


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
    return None if tree is None else _evaluate(tree)


def _evaluate(node: Any) -> Reading | None:
    """Read a part of an expression; None where a part of it is not known."""
    if hasattr(node, "exception_symbol"):
        found = _evaluate(node.license_symbol)
        exception = spdx()[1].get(node.exception_symbol.key)
        if found is None or exception is None:
            return None
        # an exception only takes demands away
        least = min(found.license_class, exception.license_class, key=CLASSES.index)
        return _joined(f"{found.name} WITH {exception.name}", least)
    if getattr(node, "operator", None) is None:
        folded = fold(node.key)
        found = _by_id(folded) or _by_family(folded)
        if found is None or found.license_class in ("custom", "unknown"):
            return None
        return _joined(found.name, found.license_class, found.source)
    parts = [_evaluate(part) for part in node.args]
    known = list(dict.fromkeys(part for part in parts if part is not None))
    if None in parts or len(known) == 1:
        return None if None in parts else known[0]
    word = node.operator.strip().upper()
    inner = [f"({p.name})" if " OR " in p.name and word == "AND" else p.name for p in known]
    worst = max if word == "AND" else min
    classes = [part.license_class for part in known]
    return _joined(f" {word} ".join(inner), worst(classes, key=CLASSES.index))


def _joined(name: str, license_class: str, source: str | None = None) -> Reading:
    detail = "all licences hold: the most restrictive class; of a choice (OR) the least restrictive"
    return Reading(name, license_class, "expression", detail, source)


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
