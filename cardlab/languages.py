"""Languages of cards: one code for each, its name, and how many cards declare it."""

from __future__ import annotations

import functools
import re
from typing import Any

import polars as pl

from .frames import as_polars, map_items
from .schema import STRINGS, CardlabError, Frame, require
from .shares.authors import Population, author_column
from .shares.counting import check_by, count_values, named_shares, with_share

#: Codes that CLDR, the source of `langcodes`, folds into a code of another meaning, and what the
#: IANA registry has for them: Serbo-Croatian is not Serbian, Dari not all Persian, Tagalog not
#: only Filipino. Toki Pona's code is younger than CLDR's list.
_OWN = {
    **{code: code for code in ("cnr", "prs", "sh", "swc", "tl", "tok")},
    **{"drw": "prs", "hbs": "sh", "tgl": "tl", "tnf": "prs"},
}

#: Valid codes that are also what people write for something else, and the code of that: the code
#: of a country (Korea, Sweden), or a word (`unk` for "unknown"). They stay as written, without a
#: code, since cards that mean Kanuri or Allar and cards that do not look the same.
SUSPICIOUS = {
    **{"all": "mul", "any": "mul", "kr": "ko", "se": "sv", "unk": "und"},
    **{"css": "zxx", "dna": "zxx", "xml": "zxx"},
}

#: Wikipedia's names of its editions that are no tags of BCP 47, or tags of another meaning, by
#: https://meta.wikimedia.org/wiki/Special_language_codes.
WIKIPEDIA = {
    **{"bat-smg": "sgs", "be-x-old": "be", "cbk-zam": "cbk", "en-simple": "en", "fiu-vro": "vro"},
    **{"map-bms": "jv", "nds-nl": "nds", "roa-rup": "rup", "roa-tara": "nap", "simple": "en"},
    **{"zh-classical": "lzh", "zh-min-nan": "nan", "zh-yue": "yue"},
}

#: Languages and regions whose letters are a language's code as well, where the region is meant all
#: the same, even in lower case: `pt-br` is no pair with Breton. All else, `en-fr`, is a pair.
_VARIETIES = {
    **{"af": "za", "am": "et", "ar": "ae bh dz kw lb om ps sa sd tn", "bm": "ml", "bs": "ba"},
    **{"de": "be ch li lu", "el": "cy", "en": "ca ie ng sg za", "es": "ar bo co cr cu pa ve"},
    **{"et": "ee", "fa": "af", "fr": "be ca ch lu", "ga": "ie", "ha": "ne ng", "hr": "ba"},
    **{"hy": "am", "ig": "ng", "it": "ch sm", "kl": "gl", "ko": "kr", "ky": "kg", "lb": "lu"},
    **{"lo": "la", "ms": "my sg", "nb": "no", "nl": "be", "nn": "no", "om": "et", "pt": "br"},
    **{"rm": "ch", "rn": "bi", "sl": "si", "sr": "ba", "sv": "se", "sw": "ug", "ta": "my sg"},
    **{"ti": "et", "xh": "za", "yo": "ng", "zh": "my sg tw", "zu": "za"},
}

#: RFC 5646 (4.4.1) sees no use for longer tags, and several names are no longer.
_LONGEST, _LONGEST_TEXT = 35, 100

#: What stands around a value, and between several.
AROUND = " \t\r\n\f\v[]{}'\"`“”‘’,;.:"
_BETWEEN = re.compile(r"\s*(?:->|[,;/|&+>→]|\b(?:and|to)\b)\s*|\s+")
_QUALIFIED = re.compile(r"([^()]+?)\s*\(([^()]+)\)")


def with_languages(cards: Frame) -> Frame:
    """Add each card's languages, one code for each.

    Parameters
    ----------
    cards : frame
        With ``languages`` (list of str, or str).

    Returns
    -------
    pl.DataFrame or pl.LazyFrame
        A lazy frame where `cards` is lazy, with ``language_codes`` (list of str) added: ISO 639
        codes, the two-letter one where there is one, each once; what is no valid code stays as it
        is written (``code``, ``multilingual``, ``jp``). Null where ``languages`` is null, empty
        where it is empty.

    Raises
    ------
    MissingColumn
        The cards have no ``languages``.

    Notes
    -----
    Case, blanks and quotes around a code, and ``_`` for ``-`` make no difference. Retired codes
    become those that replaced them (``iw`` -> ``he``), three letters two (``eng`` -> ``en``), names
    in English or in the language itself codes (``English``, ``Français``), Wikipedia's own names of
    its editions the codes of their languages (``fiu-vro`` -> ``vro``). Script, region and variant
    are dropped (``pt-BR`` counts as ``pt``), because most cards do not give them; count with
    ``raw=True`` to see them.

    Several in one value count each: ``en-fr``, ``en_fr``, ``eng-fra``, ``en, fr``, ``English and
    French``. A second part in capitals is a region (``en-FR``, English of France), as BCP 47 writes
    it; one in small letters is a region where no language has these letters (``en-us``) or where
    that variety is known (``pt-br``, ``fr-ca``), else a language.

    Codes that probably mean something else (:data:`SUSPICIOUS`: ``kr``, ``unk`` ...) stay as they
    are written; :func:`cardlab.language_problems` lists them. Macrolanguages are kept as declared
    (``nb`` is not ``no``). Valid codes are those that the package `langcodes` knows.

    Examples
    --------
    >>> cards = cl.read_cards({"id": ["a"], "languages": [["English", "pt-BR", "iw"]]})
    >>> cl.with_languages(cards)["language_codes"].to_list()
    [['en', 'pt', 'he']]
    """
    require(cards, "languages")
    frame = as_polars(cards)
    batches = isinstance(frame, pl.LazyFrame)  # of an eager frame they would be its chunks
    read = functools.partial(map_items, function=_codes_or_text)
    codes = pl.col("languages").map_batches(read, return_dtype=STRINGS, is_elementwise=batches)
    added: Frame = frame.with_columns(codes.alias("language_codes"))
    return added


def language_counts(
    cards: Any,
    *,
    by: str | None = None,
    macrolanguages: bool = False,
    raw: bool = False,
    families: str | None = None,
    weight: str | None = None,
    cluster: str | None = "author",
    population: Population = "sample",
) -> pl.DataFrame:
    """Count on how many cards each language is declared.

    A card has any number of languages and counts once in each: shares add to more than 1 where
    cards declare several.

    Parameters
    ----------
    cards : frame
        With ``languages`` (list of str, or str), and what `by`, `families`, `weight` and
        `cluster` name; polars, or any that narwhals knows. Nothing else is read.
    macrolanguages : bool
        Count members of an ISO 639-3 macrolanguage as the macrolanguage: ``cmn`` and ``yue`` as
        ``zh``, ``nb`` and ``nn`` as ``no``. By the same table Indonesian (``id``) counts as Malay
        (``ms``), and Bosnian, Croatian and Serbian as Serbo-Croatian (``sh``).
    raw : bool
        Count the strings as they are declared, instead of one code for each language; the code is
        then in ``language_code``, so that the table shows both.
    by, families, weight, cluster : str, optional
        A column to group by; count copies once as well; add up a column such as ``"downloads"``;
        whose cards are alike: as in :func:`license_counts`, and so is `population`.
    population : {"sample", "census"}
        Of a census shares have no interval.

    Returns
    -------
    pl.DataFrame
        ``[by,] language`` (as in :func:`with_languages`, or as declared), ``language_code`` (only
        with `raw`: the code of the declared string, or several with commas between; null where it
        is no valid one), ``name`` (in English, of the language without script and region; null
        where `language` is no valid code, or one without a name), and from ``n_cards`` on the
        columns of :func:`license_counts`, of languages. Most cards first, then by language and
        group. A group that declares no language has no row.

    Raises
    ------
    MissingColumn
        The cards have no ``languages``, or no column `by`.
    CardlabError
        `by` is the name of a result column, or both `raw` and `macrolanguages` are asked for.

    Examples
    --------
    >>> cl.language_counts(cl.make_cards(200))["language", "name", "n_cards", "n_declared"].row(0)
    ('en', 'English', 61, 88)
    """
    if raw and macrolanguages:
        raise CardlabError(
            "raw=True counts strings as they are declared, macrolanguages=True changes them: "
            "ask for one of the two."
        )
    check_by(by, ("language", "language_code", "name"))
    rename = None if raw else functools.partial(_codes_or_text, macrolanguages=macrolanguages)
    author = author_column(cards, cluster, population)
    counts = count_values(
        *(cards, "languages"), by=by, rename=rename, families=families, weight=weight, author=author
    )
    code = {"language_code": language_code} if raw else {}
    return named_shares(
        counts, "language", by=by, also=code | {"name": language_name}, population=population
    )


def _as_tag(text: str) -> str:
    """Give a declared value as BCP 47 writes a tag, in lower case."""
    return text.strip(AROUND).replace("_", "-").lower()


@functools.lru_cache(maxsize=2**16)
def language_codes(text: str) -> tuple[str, ...]:
    """Give the codes of the languages that a declared value names, each once.

    Empty where `text` is no valid tag or name, a private tag (``x-...``), or suspicious.
    """
    plain, tag = text.strip(AROUND), _as_tag(text)
    if not plain or len(plain) > _LONGEST_TEXT or tag in SUSPICIOUS:
        return ()
    if tag in WIKIPEDIA:
        return (WIKIPEDIA[tag],)
    if several := _joined(plain):
        return several
    code = _code(tag) or _named(plain)
    return (code,) if code is not None else _listed(plain)


def language_code(text: str) -> str | None:
    """Give the codes of :func:`language_codes` with commas between; None where there are none."""
    return ", ".join(language_codes(text)) or None


def language_name(text: str) -> str | None:
    """Give the English name of a language as declared, of several with commas between.

    None where `text` has no code, or its code has no name.
    """
    from language_data.names import code_to_names  # imported when first used, with its tables

    names = [code_to_names(code).get("en") for code in language_codes(text)]
    return ", ".join(name for name in names if name) or None


def _code(tag: str) -> str | None:
    """Read a tag of BCP 47 in lower case."""
    if not tag.isascii() or len(tag) > _LONGEST:
        return None
    from langcodes import Language  # imported when first used, with its tables
    from langcodes.tag_parser import LanguageTagError

    primary, dash, rest = tag.partition("-")
    own = _OWN.get(primary)
    try:
        # with a code of our own, only the rest is left to check
        language = Language.get(tag if own is None else f"en{dash}{rest}")
    except LanguageTagError:
        return None
    if not language.is_valid():
        return None
    code = own or language.language or "und"
    return None if code.startswith("x-") else code


def _joined(plain: str) -> tuple[str, ...]:
    """Read codes that are joined as a tag joins its parts; empty where it is a tag."""
    parts = plain.replace("_", "-").split("-")
    tag = "-".join(parts).lower()
    if len(parts) < 2 or not all(part.isalpha() and len(part) in (2, 3) for part in parts):
        return ()
    from langcodes.data_dicts import LANGUAGE_REPLACEMENTS, MACROLANGUAGES

    first, second = (part.lower() for part in parts[:2])
    is_member = MACROLANGUAGES.get(second) == first  # an extended language, as in zh-yue
    if tag in LANGUAGE_REPLACEMENTS or is_member:
        return ()
    if len(parts) == 2 and len(second) == 2 and first != second and _code(tag) is not None:
        as_region = parts[1].isupper() and not parts[0].isupper()
        variety = second in _VARIETIES.get(str(_code(first)), "")
        if as_region or variety or language_codes(second) != (second,):
            return ()
    found = [language_codes(part) for part in parts]
    return tuple(dict.fromkeys(code for codes in found for code in codes)) if all(found) else ()


def _named(plain: str) -> str | None:
    """Give the code of a language's name, in English or in the language itself."""
    if (plain.isascii() and len(plain) <= 3) or not plain.isprintable():  # a code, or nothing
        return None
    from language_data import names

    key = names.normalize_name(plain)
    for language in ("en", "und"):  # the second holds the names in all languages
        code = names.name_to_code("language", plain, language)
        if code is None or key not in names.TRIES[f"{language}/name_to_language"]:
            continue  # the look-up also finds names that only begin alike
        own = names.normalize_name(names.code_to_names(code).get(code) or "")
        if language == "en" or (own and (own in key or key in own)):
            return _code(code.lower())
    return None


def _listed(plain: str) -> tuple[str, ...]:
    """Read several codes or names in one value; empty unless each of them is known."""
    if (parts := _QUALIFIED.fullmatch(plain)) is not None:  # Chinese (Simplified), English (en)
        base = language_codes(parts[1])
        return tuple(dict.fromkeys([*base, *language_codes(parts[2])])) if base else ()
    for pieces in (_BETWEEN.split(plain), plain.split("-"), plain.split("_")):
        found = [language_codes(piece) for piece in pieces] if len(pieces) > 1 else []
        if found and all(found):
            return tuple(dict.fromkeys(code for codes in found for code in codes))
    return ()


def _codes_or_text(text: str, *, macrolanguages: bool = False) -> tuple[str, ...]:
    codes = language_codes(text)
    if macrolanguages:
        from langcodes.data_dicts import MACROLANGUAGES

        codes = tuple(MACROLANGUAGES.get(code, code) for code in codes)
    return codes or (text,)


# ---- Declared languages that are no code, not the usual code, or probably not the code meant.

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
        by semicolons where several apply to a valid code:

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

    Examples
    --------
    >>> wrong = cl.language_problems({"id": ["a"], "languages": [["jp"]]})
    >>> wrong["value", "reason", "perhaps"].row(0)
    ('jp', "a country's code", 'ja')
    """
    counts = with_share(count_values(cards, "languages"))
    known = [
        (language_code(value), language_name(value), *_check(value)) for value in counts["value"]
    ]
    names = ("code", "name", "reason", "perhaps")
    found = pl.DataFrame(known, schema=dict.fromkeys(names, pl.String), orient="row")
    columns = ("value", *names[:2], "n_cards", "card_share", *names[2:])
    return counts.hstack(found).select(columns).filter(pl.col("reason").is_not_null())


def _check(value: str) -> tuple[str | None, str | None]:
    """Say what is odd about a value, and what may be meant; None where nothing is."""
    codes, tag = language_codes(value), _as_tag(value)
    if not codes:
        return _why_invalid(tag)
    if len(codes) > 1:
        return "several languages in one value", None
    if value == codes[0]:
        return "no particular language" if value in SPECIAL else None, None
    reasons = _why_changed(value, codes[0])
    region = tag.partition("-")[2]
    pair = region in _MEANT and COUNTRIES[region] != codes[0] and value.endswith(region)
    return "; ".join(reasons), f"{codes[0]}, {COUNTRIES[region]}" if pair else None


def why_no_code(value: str) -> str | None:
    """Say why a value has no code, and what may be meant; None where it has, or is the Hub's."""
    tag = _as_tag(value)
    if language_codes(value) or tag.replace("-", "") in HUB_WORDS:
        return None
    reason, perhaps = _why_invalid(tag)
    return reason if perhaps is None else f"{reason}; perhaps {perhaps}"


def _why_changed(value: str, code: str) -> list[str]:
    """Name all that `language_codes` did to a value of one language."""
    from langcodes.tag_parser import LanguageTagError, parse_tag  # imported when first used

    tag = value.strip(AROUND)
    reasons = []
    if tag != value:
        reasons.append("blanks around it" if value.strip() == tag else "marks around it")
    if _as_tag(tag) in WIKIPEDIA:
        return [*reasons, "a code of Wikipedia"]
    try:
        found = parse_tag(_as_tag(tag))  # type: ignore[no-untyped-call]
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


def _why_invalid(tag: str) -> tuple[str, str | None]:
    """Say what a value without a code may be, and what may be meant."""
    if not tag:
        return "empty", None
    if tag.replace("-", "") in HUB_WORDS:
        return "a word of the Hub, no language", None
    if tag in SUSPICIOUS:
        return "valid, but perhaps not meant", SUSPICIOUS[tag]
    if tag in COUNTRIES:
        return "a country's code", COUNTRIES[tag]
    return "no valid code", None
