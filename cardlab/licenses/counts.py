"""On how many cards each licence, and each class of licence, is declared."""

from __future__ import annotations

import json
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from ..frontmatter import strings
from ..schema import STRINGS, CardlabError, collect, column_names, lazy, require, to_lazy_polars
from ..shares.counting import SHARE_COLUMNS, check_by, count_values, with_share
from ..shares.frames import as_lists
from .reading import CLASSES, License, fold, read_license, reasons

# ---- The names of licences that the front matter gives beside ``other``.

#: Columns that say which licence `other` is, the surest first.
_NAMES = ("license_name", "license_link")


def with_license_names(cards: Any) -> Any:
    """Add the name and the link that the front matter gives for a licence of its own.

    Parameters
    ----------
    cards : frame
        With ``license`` (list of str, or str) and ``metadata`` (str, the front matter as JSON).

    Returns
    -------
    pl.DataFrame or pl.LazyFrame
        A lazy frame where `cards` is lazy, with ``license_name`` and ``license_link`` (str, as
        declared; the first of a list) added. Null where the front matter does not give it or
        cannot be read, and where the card's licence is a keyword of the Hub other than ``other``:
        the front matter of such cards is not read.

    Raises
    ------
    MissingColumn
        The cards have no ``license`` or no ``metadata``.
    CardlabError
        ``metadata`` is no column of strings.

    Notes
    -----
    The Hub asks for both fields where ``license`` is ``other``. Analyses of licences use them
    where this function was called, and never read ``metadata`` by themselves, since that takes
    ten times as long as the count: see :func:`cardlab.with_licenses`.
    """
    require(cards, "license", "metadata")
    frame = cards if isinstance(cards, (pl.DataFrame, pl.LazyFrame)) else to_lazy_polars(cards)
    schema = frame.lazy().select("license", "metadata").collect_schema()
    if schema["metadata"] not in (pl.String, pl.Null, pl.Categorical):
        raise CardlabError(
            f"column 'metadata' is {schema['metadata']}: it must hold the front matter as JSON. "
            "cardlab.scan_cards(source) reads it as such."
        )
    declared = pl.col("license")
    if not isinstance(schema["license"], pl.List):
        declared = pl.concat_list(declared.cast(pl.String))
    # list.any takes no null items, and a null or empty list has no keyword
    settled = declared.cast(STRINGS).list.eval(
        pl.element().str.strip_chars().str.to_lowercase().is_in([*(set(reasons()) - {"other"})])
    )
    other = declared.cast(STRINGS).list.eval(_is_other(pl.element()))
    wanted = ~settled.list.any().fill_null(False) | other.list.any().fill_null(False)
    front = pl.when(wanted).then(pl.col("metadata").cast(pl.String))
    return frame.with_columns(
        front.str.json_path_match(f"$.{name}")
        .map_batches(_first, return_dtype=pl.String, is_elementwise=True)
        .alias(name)
        for name in _NAMES
    )


def _is_other(text: pl.Expr) -> pl.Expr:
    return text.str.strip_chars().str.to_lowercase() == "other"


def _first(texts: pl.Series) -> pl.Series:
    """Give what JSON's path gave: a string as it is, of a list its first, null for the rest."""
    texts = texts.str.strip_chars()
    texts = texts.set(texts == "", None)
    if not texts.str.contains(r"^[\[{]").any():
        return texts
    return pl.Series(texts.name, [_first_of(text) for text in texts], dtype=pl.String)


def _first_of(text: str | None) -> str | None:
    if text is None or not text.startswith(("[", "{")):
        return text
    try:
        return next(iter(strings(json.loads(text))), None)
    except (ValueError, RecursionError):
        return text


def declared_licenses(frame: pl.DataFrame | pl.LazyFrame) -> pl.Expr:
    """Give the licences as declared, ``other`` by its name where a column has a known one."""
    have = [name for name in _NAMES if name in column_names(frame)]
    if not have:
        return pl.col("license")
    types = frame.lazy().select(have).collect_schema()
    for name, dtype in types.items():
        if dtype not in (pl.String, pl.Null, pl.Categorical):
            raise CardlabError(
                f"column {name!r} is {dtype}: it must hold strings, as "
                "cardlab.with_license_names(cards) gives them. Rename or drop yours first."
            )
    columns = pl.struct("license", *(pl.col(name).cast(pl.String) for name in have))
    named = columns.map_batches(_by_their_names, return_dtype=STRINGS, is_elementwise=True)
    return named.alias("license")


def _by_their_names(cards: pl.Series) -> pl.Series:
    """Put the declared name, or else the link, for each ``other`` if it says which licence."""
    frame = cards.struct.unnest()
    lists = as_lists(frame["license"])
    known = [_known(frame[name]) for name in _NAMES if name in frame.columns]
    rows = pl.DataFrame({"license": lists, "known": pl.select(pl.coalesce(known)).to_series()})
    has_other = pl.col("license").list.eval(_is_other(pl.element())).list.any()
    rows = rows.with_row_index("row")
    changed = rows.filter(pl.col("known").is_not_null() & has_other)
    lists_by_name = [
        [name if text is not None and fold(text) == "other" else text for text in declared]
        for declared, name in changed.select("license", "known").iter_rows()
    ]
    changed = changed.select("row", pl.Series("named", lists_by_name, dtype=STRINGS))
    return (
        rows.join(changed, on="row", how="left", maintain_order="left")
        .select(pl.coalesce("named", "license").alias("license"))
        .to_series()
    )


def _known(texts: pl.Series) -> pl.Series:
    """Keep the texts that name a licence we know; null for the rest."""
    distinct = texts.drop_nulls().unique()
    known = [text for text in distinct if read_license(text).license_class != "unknown"]
    return texts.set(~texts.is_in(pl.Series(known, dtype=pl.String).implode()), None)


def with_names_for_other(cards: Any, *columns: str | None) -> Any:
    """Give the cards with ``other`` by its name, if they have the names; else as they are.

    `columns` are the others that the caller needs: engines other than polars hand over only those.
    """
    have = require(cards, "license")
    if not set(_NAMES) & set(have):
        return cards
    if not isinstance(cards, (pl.DataFrame, pl.LazyFrame)):
        wanted = {"license", *_NAMES, *columns} & set(have)
        cards = collect(lazy(cards).select(nw.col(name) for name in have if name in wanted))
    return cards.with_columns(declared_licenses(cards))


# ---- The one name and the class of each licence of a card.


def with_licenses(cards: Any) -> Any:
    """Add each card's licences under one name each, and the class of what they ask for.

    Parameters
    ----------
    cards : frame
        With ``license`` (list of str, or str); ``license_name`` and ``license_link`` are used
        where :func:`with_license_names` added them.

    Returns
    -------
    pl.DataFrame or pl.LazyFrame
        A lazy frame where `cards` is lazy, with these columns added:

        - ``license_spdx`` (list of str): the SPDX id where it is known, else the Hub's keyword in
          lower case, else the name as declared in lower case with hyphens for blanks where its
          family is known, else the string as declared; each once. Null where ``license`` is null,
          empty where it is empty.
        - ``license_class`` (str): one of :data:`CLASSES`, never null. ``undeclared`` where there
          is no licence. Of several licences the most restrictive class, in this order:
          public domain < permissive < weak copyleft < share-alike < strong copyleft < unknown <
          custom < use-restricted < model-specific < non-commercial. A card that names several
          licences is thus read as bound by all of them, since cards do not say whether the reader
          may choose. ``share-alike`` is the copyleft of data, documents and art (``odbl``,
          ``cc-by-sa-4.0``, ``cdla-sharing-1.0``, ``gfdl``), the two others that of programs.

    Raises
    ------
    MissingColumn
        The cards have no ``license``.

    Notes
    -----
    The Hub's keywords and their classes, each with its reason and the address of the terms it goes
    by, are in ``data/licenses.csv``; classes follow the categories of ScanCode LicenseDB where it
    has the licence, but where the text says otherwise (the reason then says so). The keywords
    ``gpl-3.0`` and the like do not say "only" or "or later": the id stays ``GPL-3.0``.

    What else is understood, as a whole string and never from words inside a text: case, blanks,
    underscores, words such as "license" and "version"; exact SPDX ids beyond the keywords;
    spellings (``data/license_spellings.csv``); addresses of a licence's text
    (``data/license_urls.csv``); SPDX expressions and lists of known licences (``AND``: the most
    restrictive class, ``OR``: the least); families (``data/license_families.csv``: patterns, each
    with its reason and its source, which is ``assumed`` where nobody here has read the terms). A
    member of a family keeps the name that was declared and takes the family's class, so that no two
    licences are merged: ``lfm1.0`` and ``lfm-1.0`` stay two names.

    ``other`` is custom, and so is a licence that has a name of its own (``acme-license``) but
    terms that no table knows. All else is unknown and kept as written;
    :func:`license_problems` lists it, with the reason.

    Where the cards have a ``license_name``, a licence ``other`` is read as that name, or else as
    the address in ``license_link``, if either is known; else it stays ``other``.
    """
    require(cards, "license")
    frame = cards if isinstance(cards, (pl.DataFrame, pl.LazyFrame)) else to_lazy_polars(cards)
    declared = declared_licenses(frame)
    both = declared.map_batches(
        licenses_of,
        return_dtype=pl.Struct({"license_spdx": STRINGS, "license_class": pl.String}),
        is_elementwise=isinstance(frame, pl.LazyFrame),  # batches of an eager frame are its chunks
    )
    return frame.with_columns(both.struct.unnest())


def find_license(text: str) -> License:
    """Give the one name and the class of a licence as declared.

    Parameters
    ----------
    text : str
        A keyword of the Hub, an SPDX id or expression, an address, a name, or anything else.

    Returns
    -------
    License
        ``name`` and ``license_class`` as in :func:`with_licenses`; what is not recognised keeps
        its text and is ``unknown``.
    """
    return License(*read_license(text)[:2])


def licenses_of(declared: pl.Series) -> pl.Series:
    """Give the names of each card's licences, and their most restrictive class, as a struct.

    One query for both, since a streaming engine brings many small batches.
    """
    lists = as_lists(declared)
    items = set(lists.explode(empty_as_null=False, keep_nulls=False).unique().to_list()) - {None}
    found = {text: find_license(text) for text in items}
    # does the same as list.drop_nulls in a fraction of the time
    known = pl.col(lists.name).list.filter(pl.element().is_not_null())
    names = known.list.eval(_replaced({text: known.name for text, known in found.items()}))
    classes = known.list.eval(_replaced({text: known[1] for text, known in found.items()}))
    # an Enum is in the order of its names; replace_strict within list.eval goes list by list
    ranks = classes.cast(pl.List(pl.Enum(CLASSES))).list.eval(pl.element().to_physical())
    worst = ranks.list.max().fill_null(CLASSES.index("undeclared"))
    both = lists.to_frame().select(
        names.list.unique(maintain_order=True).alias("license_spdx"),
        pl.lit(pl.Series(CLASSES)).gather(worst).alias("license_class"),
    )
    return both.to_struct(declared.name)


def classes_of(declared: pl.Series) -> pl.Series:
    """Give the one class of each card, that of its most restrictive licence."""
    return licenses_of(declared).struct.field("license_class").alias(declared.name)


def _replaced(new: dict[str, str]) -> pl.Expr:
    return pl.element().replace(new) if new else pl.element()


# ---- On how many cards each licence, and each class of licence, is declared.


def license_counts(
    cards: Any,
    *,
    by: str | None = None,
    raw: bool = False,
    families: str | None = None,
    weight: str | None = None,
) -> pl.DataFrame:
    """Count on how many cards each licence is declared.

    Parameters
    ----------
    cards : frame
        With ``license`` (list of str, or str), and what `by`, `families` and `weight` name;
        polars, or any that narwhals knows. Nothing else is read, but a
        ``license_name`` and ``license_link``, which are used as in :func:`with_licenses`.
    by : str, optional
        A column to group by. With a list column a card counts in each of its groups; without a
        value it is in the group null, "not declared". For periods see :func:`with_period`.
    raw : bool
        Count the strings as they are declared, instead of one name for each licence; the name is
        then in ``license_spdx``, so that the table shows both.
    families : str, optional
        Count copies once as well: a column of family ids (null: in no family), or ``"text"``
        (cards with exactly equal text are a family, a blank or no text is in none). A family has
        the licence and the groups of its first card by ``id``; a card in no family is one of its
        own. An engine other than polars hands over the columns.
    weight : str, optional
        Add up a column of numbers of at least 0 as well, such as ``"downloads"``. A null weighs
        nothing.

    Returns
    -------
    pl.DataFrame
        ``[by,] license`` (named as in :func:`with_licenses`, or as declared), ``license_spdx``
        (only with `raw`: the name of the declared string), ``license_class`` (never
        ``undeclared``), ``n_cards``, ``n_declared`` (cards of the group that declare any
        licence), ``card_share`` (0-1, of all cards of the group, with or without a licence),
        ``share_low``, ``share_high`` (its 95 % Wilson interval, see ``shares.counting.wilson``),
        ``n_group`` (cards of the group; of the corpus without `by`), ``declared_share`` (0-1, of
        the cards that declare any licence), ``declared_low``, ``declared_high`` (its interval).

        With `families` also ``n_families``, ``family_share`` (0-1, of all families of the group).
        With `weight` also ``weight`` (sum over the cards with the licence), ``weight_share`` (0-1,
        of the sum over all cards of the group; null where that is 0), ``n_weighted`` (cards of the
        group whose weight is known; the others count as 0).

        Most cards first, then by licence and group. A licence counts once a card; a card with two
        licences counts in both, so shares may add to more than the share of declaring cards. A
        group that declares no licence has no row; :func:`class_counts` has it.

    Raises
    ------
    MissingColumn
        The cards have no ``license``, or lack a column that an argument names.
    CardlabError
        `by` is the name of a result column, or `weight` holds no numbers or some below 0.
    """
    check_by(by, ("license", "license_spdx", "license_class"))
    if not raw:
        cards = with_names_for_other(cards, by, families, weight, "id" if families else None)
    rename = None if raw else _name
    counts = count_values(cards, "license", by=by, rename=rename, families=families, weight=weight)
    names = counts["value"].unique()
    found = [find_license(name) for name in names]
    known = {"license_spdx": [f.name for f in found], "license_class": [f[1] for f in found]}
    counts = counts.with_columns(
        pl.col("value").replace_strict(names, new, return_dtype=pl.String).alias(column)
        for column, new in known.items()
    )
    shares = with_share(counts)
    return shares.select(
        *([] if by is None else [by]),
        pl.col("value").alias("license"),
        *(["license_spdx"] if raw else []),
        "license_class",
        *(name for name in SHARE_COLUMNS if name in shares.columns),
    )


def class_counts(
    cards: Any, *, by: str | None = None, families: str | None = None, weight: str | None = None
) -> pl.DataFrame:
    """Count the cards of each class of licence, those without one included.

    Parameters
    ----------
    cards : frame
        With ``license`` (list of str, or str), and what `by`, `families` and `weight` name;
        polars, or any that narwhals knows. Nothing else is read, but a
        ``license_name`` and ``license_link``, which are used as in :func:`with_licenses`.
    by, families, weight : str, optional
        As in :func:`license_counts`.

    Returns
    -------
    pl.DataFrame
        ``[by,] license_class`` (see :func:`with_licenses`: each card has one class),
        ``n_cards``, ``card_share`` (0-1, of all cards of the group; the shares of a group add to
        1), ``share_low``, ``share_high`` (its 95 % Wilson interval), ``n_group`` (cards of the
        group), ``n_declared`` (those that declare a licence), ``declared_share`` (0-1, of the
        latter; null for the class ``undeclared``), ``declared_low``, ``declared_high`` (its
        interval), and with `families` and `weight` the columns of :func:`license_counts`. Most
        cards first, then by class and group. A class without cards has no row.

    Raises
    ------
    MissingColumn
        The cards have no ``license``, or lack a column that an argument names.
    CardlabError
        `by` is the name of a result column, or `weight` holds no numbers or some below 0.
    """
    check_by(by, ("license_class",))
    cards = with_names_for_other(cards, by, families, weight, "id" if families else None)
    counts = count_values(
        cards, "license", by=by, derive=classes_of, families=families, weight=weight
    )
    undeclared = pl.col("value") == "undeclared"
    n_none = pl.col("n_cards").filter(undeclared).sum()
    n_declared = pl.col("n_group") - (n_none if by is None else n_none.over(by))
    shares = with_share(
        counts.with_columns(pl.when(~undeclared).then(n_declared).alias("n_declared"))
    ).with_columns(n_declared.alias("n_declared"))
    return shares.select(
        *([] if by is None else [by]),
        pl.col("value").alias("license_class"),
        *(name for name in SHARE_COLUMNS if name in shares.columns and name != "n_declared"),
        "n_declared",
    )


def _name(text: str) -> str:
    return find_license(text).name
