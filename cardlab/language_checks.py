"""Declared languages that are no code, not the usual code, or probably not the code meant.

A topic that stands after ``languages`` and says of each value what that module makes of it, and
why. What may have been meant is proposed, never counted.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import polars as pl

from .languages import AROUND, SUSPICIOUS, WIKIPEDIA, language_code, language_codes, language_name
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

#: Of these, what as a second part hardly anybody means as a region: `en-jp`, English of Japan.
_MEANT = ("cn", "cz", "dk", "gr", "jp", "ua", "vn")

#: Codes of ISO 639-2 that stand for no language in particular.
SPECIAL = ("mis", "mul", "und", "zxx")

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

        - ``blanks around it``, ``marks around it``, ``_ for -``, ``upper case`` (in the language's
          own part);
        - ``three letters for two``, ``retired code``, ``a code of Wikipedia``;
        - ``extended language dropped``, ``script dropped``, ``region dropped``,
          ``variant dropped``, ``extension dropped``;
        - ``a language's name``; ``several languages in one value``, all of which count;
        - ``no particular language``: :data:`SPECIAL`;

        or one of these where there is no code:

        - ``empty``; ``a word of the Hub, no language`` (:data:`HUB_WORDS`);
        - ``a country's code`` (:data:`COUNTRIES`); ``no valid code``;
        - ``valid, but perhaps not meant``: :data:`cardlab.languages.SUSPICIOUS`.

        A value that is its own code has no row, unless that is special or suspicious.

    Raises
    ------
    MissingColumn
        The cards have no ``languages``.
    CardlabError
        ``languages`` holds neither strings nor lists of strings.

    Notes
    -----
    ``perhaps`` is a guess from short lists and changes nothing: ``kr`` is Kanuri by ISO 639, and
    counts neither as that nor as Korean. Valid codes that are only rare are not suspected.
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
    codes = language_codes(value)
    tag = value.strip(AROUND).replace("_", "-").lower()
    if not codes:
        return _why_invalid(tag)
    if len(codes) > 1:
        return _Finding("several languages in one value")
    if value == codes[0]:
        return _Finding("no particular language") if value in SPECIAL else None
    reasons = _why_changed(value, codes[0])
    region = tag.partition("-")[2]
    pair = region in _MEANT and COUNTRIES[region] != codes[0] and value.endswith(region)
    return _Finding("; ".join(reasons), f"{codes[0]}, {COUNTRIES[region]}" if pair else None)


def _why_changed(value: str, code: str) -> list[str]:
    """Name all that `language_codes` did to a value of one language."""
    from langcodes.tag_parser import LanguageTagError, parse_tag  # imported when first used

    tag = value.strip(AROUND)
    reasons = []
    if tag != value:
        reasons.append("blanks around it" if value.strip() == tag else "marks around it")
    if tag.replace("_", "-").lower() in WIKIPEDIA:
        return [*reasons, "a code of Wikipedia"]
    try:
        found = parse_tag(tag.replace("_", "-").lower())  # type: ignore[no-untyped-call]
    except LanguageTagError:
        return [*reasons, "a language's name"]
    primary, *_ = tag.replace("_", "-").split("-")
    if len(primary) > 3:
        return [*reasons, "a language's name"]
    if "_" in tag:
        reasons.append("_ for -")
    if primary != primary.lower():
        reasons.append("upper case")
    parts = {part for part, _ in found}
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


def _why_invalid(tag: str) -> _Finding:
    """Say what a value without a code may be."""
    if not tag:
        return _Finding("empty")
    if tag.replace("-", "") in HUB_WORDS:
        return _Finding("a word of the Hub, no language")
    if tag in SUSPICIOUS:
        return _Finding("valid, but perhaps not meant", SUSPICIOUS[tag])
    if tag in COUNTRIES:
        return _Finding("a country's code", COUNTRIES[tag])
    return _Finding("no valid code")
