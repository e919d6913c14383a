"""Languages of cards: one code for each, its name, and how many cards declare it."""

from __future__ import annotations

import functools
from typing import Any

import polars as pl

from .schema import STRINGS, CardlabError, require, to_lazy_polars
from .shares import SHARE_COLUMNS, check_by, count_values, map_items, with_share

#: Codes that CLDR, the source of `langcodes`, folds into a code of another meaning, and what the
#: IANA registry has for them: Serbo-Croatian is not Serbian, Dari not all Persian, Tagalog not
#: only Filipino.
_OWN = {
    "cnr": "cnr",
    "drw": "prs",
    "hbs": "sh",
    "prs": "prs",
    "sh": "sh",
    "swc": "swc",
    "tgl": "tl",
    "tl": "tl",
    "tnf": "prs",
}

#: RFC 5646 (4.4.1) sees no use for longer tags.
_LONGEST = 35


def with_languages(cards: Any) -> Any:
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
        is written (``code``, ``multilingual``, ``English``). Null where ``languages`` is null,
        empty where it is empty.

    Raises
    ------
    MissingColumn
        The cards have no ``languages``.

    Notes
    -----
    Case, blanks around a code, and ``_`` for ``-`` make no difference. Retired codes become those
    that replaced them (``iw`` -> ``he``), three letters two (``eng`` -> ``en``). Script, region
    and variant are dropped: ``zh-Hant`` and ``pt-BR`` count as ``zh`` and ``pt``, because most
    cards do not give them, so that counts of what is given would compare unlike cards; count with
    ``raw=True`` to see them. Codes are read by the rules of BCP 47 and nothing is guessed:
    ``fr-de`` is French of Germany, not a pair, while ``de-en`` has no valid region and stays.
    Macrolanguages are kept as declared (``nb`` is not ``no``); see :func:`language_counts`.
    Valid codes are those that the package `langcodes` knows.
    """
    require(cards, "languages")
    frame = cards if isinstance(cards, (pl.DataFrame, pl.LazyFrame)) else to_lazy_polars(cards)
    batches = isinstance(frame, pl.LazyFrame)  # of an eager frame they would be its chunks
    codes = pl.col("languages").map_batches(_codes, return_dtype=STRINGS, is_elementwise=batches)
    return frame.with_columns(codes.alias("language_codes"))


def language_counts(
    cards: Any,
    *,
    by: str | None = None,
    macrolanguages: bool = False,
    raw: bool = False,
    families: str | None = None,
    weight: str | None = None,
) -> pl.DataFrame:
    """Count on how many cards each language is declared.

    A card has any number of languages and counts once in each: shares add to more than 1 where
    cards declare several.

    Parameters
    ----------
    cards : frame
        With ``languages`` (list of str, or str), and what `by`, `families` and `weight` name;
        polars, or any that narwhals knows. Nothing else is read.
    by : str, optional
        A column to group by. With a list column a card counts in each of its groups; without a
        value it is in the group null, "not declared". For periods see :func:`with_period`.
    macrolanguages : bool
        Count members of an ISO 639-3 macrolanguage as the macrolanguage: ``cmn`` and ``yue`` as
        ``zh``, ``nb`` and ``nn`` as ``no``. By the same table Indonesian (``id``) counts as Malay
        (``ms``), and Bosnian, Croatian and Serbian as Serbo-Croatian (``sh``).
    raw : bool
        Count the strings as they are declared, instead of one code for each language; the code is
        then in ``language_code``, so that the table shows both.
    families, weight : str, optional
        Count copies once as well, and add up a column such as ``"downloads"``; see
        :func:`license_counts`.

    Returns
    -------
    pl.DataFrame
        ``[by,] language`` (as in :func:`with_languages`, or as declared), ``language_code`` (only
        with `raw`: the code of the declared string, null where it is no valid one), ``name`` (in
        English, of the language without script and region; null where `language` is no valid
        code, or one without a name), ``n_cards``, ``n_declared`` (cards of the group that declare
        any language), ``card_share`` (0-1, of all cards of the group, with or without a
        language), ``share_low``, ``share_high`` (its 95 % Wilson interval, see
        :func:`cardlab.shares.wilson`), ``n_group`` (cards of the group; of the corpus without
        `by`), ``declared_share`` (0-1, of the cards that declare any language), ``declared_low``,
        ``declared_high`` (its interval), and with `families` and `weight` the columns of
        :func:`license_counts`. Most cards first, then by language and group. A group that
        declares no language has no row.

    Raises
    ------
    MissingColumn
        The cards have no ``languages``, or no column `by`.
    CardlabError
        `by` is the name of a result column, or both `raw` and `macrolanguages` are asked for.
    """
    if raw and macrolanguages:
        raise CardlabError(
            "raw=True counts strings as they are declared, macrolanguages=True changes them: "
            "ask for one of the two."
        )
    check_by(by, ("language", "language_code", "name"))
    rename = None if raw else functools.partial(_code_or_text, macrolanguages=macrolanguages)
    counts = count_values(
        cards, "languages", by=by, rename=rename, families=families, weight=weight
    )
    declared = counts["value"].unique()
    known = {
        "language_code": pl.Series([language_code(text) for text in declared], dtype=pl.String),
        "name": pl.Series([language_name(text) for text in declared], dtype=pl.String),
    }
    shares = with_share(counts).with_columns(
        pl.col("value").replace_strict(declared, new, return_dtype=pl.String).alias(column)
        for column, new in known.items()
    )
    return shares.select(
        *([] if by is None else [by]),
        pl.col("value").alias("language"),
        *(["language_code"] if raw else []),
        "name",
        *(name for name in SHARE_COLUMNS if name in shares.columns),
    )


@functools.lru_cache(maxsize=2**16)
def language_code(text: str) -> str | None:
    """Give the one code of a language as declared.

    Parameters
    ----------
    text : str
        A language tag (BCP 47), or anything else.

    Returns
    -------
    str or None
        The code as in :func:`with_languages`; None where `text` is no valid tag, or a private one
        (``x-...``).
    """
    tag = text.strip().replace("_", "-").lower()
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


def language_name(text: str) -> str | None:
    """Give the English name of a language as declared.

    Parameters
    ----------
    text : str
        As in :func:`language_code`.

    Returns
    -------
    str or None
        The name of the language without script and region; None where `text` is no valid tag, or
        its code has no name.
    """
    code = language_code(text)
    if code is None:
        return None
    from language_data.names import code_to_names

    name: str | None = code_to_names(code).get("en")
    return name


def _macrolanguage(code: str) -> str:
    from langcodes.data_dicts import MACROLANGUAGES

    return MACROLANGUAGES.get(code, code)


def _code_or_text(text: str, *, macrolanguages: bool = False) -> str:
    code = language_code(text)
    if code is None:
        return text
    return _macrolanguage(code) if macrolanguages else code


def _codes(declared: pl.Series) -> pl.Series:
    return map_items(declared, _code_or_text)
