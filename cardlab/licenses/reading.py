"""What a declared string says: which licence, of which class, and how that is known.

The ways, the surest first: a keyword of the Hub, an SPDX id, a spelling of one of these, the
address of its text, an expression of several, a family of licences that a pattern describes.
"""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple

from .tables import (
    CLASSES,
    License,
    exceptions,
    keywords,
    patterns,
    reasons,
    sources,
    spdx_ids,
    squeeze,
    squeezed_keywords,
    squeezed_spdx_ids,
)

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
        exception = exceptions().get(node.exception_symbol.key)
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
