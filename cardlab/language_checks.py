"""Declared languages that are no code, not the usual code, or probably not the code meant.

A topic that stands after ``languages`` and says of each value what that module makes of it, and
why. What may have been meant is proposed, never counted.
"""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple

import polars as pl

from .languages import language_code, language_name
from .shares import count_values, with_share

#: Words that the Hub lists among the languages.
HUB_WORDS = ("code", "multilingual")

#: Codes of countries that are no codes of languages, and the language that is likely meant.
COUNTRIES = {
    **{"al": "sq", "bd": "bn", "by": "be", "cn": "zh", "cz": "cs", "dk": "da", "ge": "ka"},
    **{"gb": "en", "gr": "el", "hk": "zh", "il": "he", "ir": "fa", "jp": "ja", "kh": "km"},
    **{"kz": "kk", "lk": "si", "mx": "es", "np": "ne", "ph": "fil", "pk": "ur", "rs": "sr"},
    **{"sp": "es", "ua": "uk", "us": "en", "vn": "vi"},
}

#: Valid codes that are also what people write for another language: the code of its country, or
#: a word (`unk` for "unknown"). Lists of a hundred languages mean these codes as they stand.
SUSPICIOUS = {"kr": "ko", "se": "sv", "unk": "und"}

_SEPARATORS = re.compile(r"[\s,;/|+&_-]+")
_LONGEST = 100

_DROPPED = {
    "extlang": "extended language dropped",
    "script": "script dropped",
    "territory": "region dropped",
    "variant": "variant dropped",
    "extension": "extension dropped",
    "private": "extension dropped",
}


class _Finding(NamedTuple):
    reason: str
    perhaps: str | None = None


def language_problems(cards: Any) -> pl.DataFrame:
    """List the declared languages that are not their own code, or probably another language.

    Parameters
    ----------
    cards : frame
        With ``languages`` (list of str, or str); polars, or any that narwhals knows.

    Returns
    -------
    pl.DataFrame
        ``value`` (str, as declared), ``code`` (str, what :func:`cardlab.with_languages` takes it
        for; null where it is no valid code), ``name`` (str, of that code in English; null without
        one), ``n_cards`` (cards that declare the value), ``card_share`` (0-1, of all cards, with
        or without a language), ``reason`` (str), ``perhaps`` (str, the code that may have been
        meant; null where nothing suggests one). Most cards first, then by value. Reasons, joined
        by ``; `` where several apply to a valid code:

        - ``blanks around it``, ``_ for -``, ``upper case`` (in the language's own part);
        - ``three letters for two``, ``retired code``;
        - ``extended language dropped``, ``script dropped``, ``region dropped``,
          ``variant dropped``, ``extension dropped``;
        - ``valid, but perhaps not meant``: see :data:`SUSPICIOUS`;

        or one of these where there is no code:

        - ``empty``; ``a word of the Hub, no language`` (:data:`HUB_WORDS`);
        - ``a country's code`` (:data:`COUNTRIES`); ``a language's name`` (in English);
        - ``several codes in one value``; ``no valid code``.

        A value that is its own code and not suspicious has no row.

    Raises
    ------
    MissingColumn
        The cards have no ``languages``.
    CardlabError
        ``languages`` holds neither strings nor lists of strings.

    Notes
    -----
    ``perhaps`` is a guess from short lists and changes nothing: ``kr`` is Kanuri, and counts as
    Kanuri, even where Korean was meant. Valid codes that are only rare are not suspected.
    """
    counts = with_share(count_values(cards, "languages"))
    findings = [_check(value) for value in counts["value"]]
    valid = [language_code(value) for value in counts["value"]]
    names = [language_name(value) for value in counts["value"]]
    return counts.select(
        "value",
        pl.Series("code", valid, dtype=pl.String),
        pl.Series("name", names, dtype=pl.String),
        "n_cards",
        "card_share",
        pl.Series("reason", [f and f.reason for f in findings], dtype=pl.String),
        pl.Series("perhaps", [f and f.perhaps for f in findings], dtype=pl.String),
    ).filter(pl.col("reason").is_not_null())


def _check(value: str) -> _Finding | None:
    """Say what is odd about a value; None where nothing is."""
    code = language_code(value)
    if code is None:
        return _why_invalid(value)
    reasons = [] if value == code else _why_changed(value, code)
    perhaps = SUSPICIOUS.get(value.strip().lower())
    if perhaps is not None:
        reasons.append("valid, but perhaps not meant")
    return _Finding("; ".join(reasons), perhaps) if reasons else None


def _why_changed(value: str, code: str) -> list[str]:
    """Name all that `language_code` did to a valid value."""
    from langcodes.tag_parser import parse_tag  # imported when first used, with its tables

    tag = value.strip()
    reasons = ["blanks around it"] if tag != value else []
    if "_" in tag:
        reasons.append("_ for -")
    primary, *_ = tag.replace("_", "-").split("-")
    if primary != primary.lower():
        reasons.append("upper case")
    parts = {part for part, _ in parse_tag(tag.replace("_", "-").lower())}  # type: ignore[no-untyped-call]
    if "grandfathered" in parts or language_code(primary) != code:  # replaced as a whole
        reasons.append("retired code")
        parts -= {"territory", "extlang"}
    elif primary.lower() != code:
        longer = primary.lower() in _three_letters(code)
        reasons.append("three letters for two" if longer else "retired code")
    dropped = [reason for part, reason in _DROPPED.items() if part in parts]
    return reasons + list(dict.fromkeys(dropped))


@functools.cache
def _three_letters(code: str) -> set[str]:
    """Give the codes of three letters that ISO 639 has for one of two; empty for the others."""
    from langcodes import Language

    if len(code) != 2:
        return set()
    try:
        return {Language.get(code, normalize=False).to_alpha3(variant=kind) for kind in "TB"}
    except LookupError:
        return set()


def _why_invalid(value: str) -> _Finding:
    """Say what a value without a code may be."""
    plain = value.strip().lower()
    if not plain:
        return _Finding("empty")
    if plain in HUB_WORDS:
        return _Finding("a word of the Hub, no language")
    if plain in COUNTRIES:
        return _Finding("a country's code", COUNTRIES[plain])
    if len(plain) <= _LONGEST:
        if (named := _named(plain)) is not None:
            return _Finding("a language's name", named)
        parts = [part for part in _SEPARATORS.split(plain) if part]
        if len(parts) > 1 and all(len(p) <= 3 and language_code(p) is not None for p in parts):
            return _Finding("several codes in one value")
    return _Finding("no valid code")


def _named(plain: str) -> str | None:
    """Give the code of a language's English name."""
    if len(plain) <= 3 or not plain.replace(" ", "").isalpha():
        return None
    import langcodes

    try:
        return language_code(str(langcodes.find(plain, language="en")))
    except LookupError:
        return None
