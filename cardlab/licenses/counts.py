"""On how many cards each licence, and each class of licence, is declared."""

from __future__ import annotations

import functools
import json
from typing import Any

import polars as pl

from ..frames import as_lists, as_polars, lists_in, map_items
from ..frontmatter import strings
from ..schema import STRINGS, CardlabError, Frame, require
from ..shares.authors import Population, author_column
from ..shares.counting import check_by, count_values, named_shares
from .reading import CLASSES, class_of, fold, keywords, name_of

#: Columns that say which licence `other` is, the surest first.
_NAMES = ("license_name", "license_link")
#: Types of a column of strings.
TEXTS = (pl.String, pl.Null, pl.Categorical)

# ---- The one name and the class of each licence of a card.


def with_licenses(cards: Frame, *, names: bool = False) -> Frame:
    """Add each card's licences under one name each, and the class of what they ask for.

    Parameters
    ----------
    cards : frame
        With ``license`` (list of str, or str), and ``metadata`` (str, the front matter as JSON)
        where `names` are asked for.
    names : bool
        Add the name and the link that the front matter gives for a licence of its own as well.

    Returns
    -------
    pl.DataFrame or pl.LazyFrame
        A lazy frame where `cards` is lazy, with these columns added:

        - ``license_spdx`` (list of str): the SPDX id where it is known, else the Hub's keyword in
          lower case, else the name as declared in lower case with hyphens for blanks where its
          family is known, else the string as declared; each once. Null where ``license`` is null,
          empty where it is empty.
        - ``license_class`` (str): one of :data:`CLASSES`, never null. ``undeclared`` where there
          is no licence. Of several licences the most restrictive class (public domain <
          permissive < weak copyleft < share-alike < strong copyleft < unknown < custom <
          use-restricted < model-specific < non-commercial), since cards do not say whether the
          reader may choose. ``share-alike`` is the copyleft of data, documents and art (``odbl``,
          ``cc-by-sa-4.0``, ``gfdl``), the two others that of programs.

        With `names` before them ``license_name`` and ``license_link`` (str, as declared; the
        first of a list). Null where the front matter does not give it or cannot be read, and
        where the card's licence is a keyword of the Hub other than ``other``: the front matter of
        such cards is not read.

    Raises
    ------
    MissingColumn
        The cards have no ``license``, or no ``metadata`` where `names` are asked for.
    CardlabError
        ``metadata``, ``license_name`` or ``license_link`` is no column of strings.

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
    ``cardlab.licenses.problems.license_problems`` lists it, with the reason.

    Where the cards have a ``license_name``, as with `names`, a licence ``other`` is read as that
    name, or else as the address in ``license_link``, if either is known. Analyses of licences use
    the two columns where they are, and never read ``metadata`` by themselves, since that takes
    ten times as long as the count.

    Examples
    --------
    >>> cards = cl.read_cards({"id": ["a", "b"], "license": [["Apache 2.0"], []]})
    >>> cl.with_licenses(cards)["license_spdx", "license_class"].rows()
    [(['Apache-2.0'], 'permissive'), ([], 'undeclared')]
    """
    require(cards, "license", *(["metadata"] if names else []))
    frame = as_polars(cards)
    if names:
        frame = _with_names(frame)
    both = declared_licenses(frame).map_batches(
        licenses_of,
        return_dtype=pl.Struct({"license_spdx": STRINGS, "license_class": pl.String}),
        is_elementwise=isinstance(frame, pl.LazyFrame),  # batches of an eager frame are its chunks
    )
    added: Frame = frame.with_columns(both.struct.unnest())
    return added


def licenses_of(declared: pl.Series) -> pl.Series:
    """Give the names of each card's licences, and their most restrictive class, as a struct."""
    classes = map_items(declared, class_of).cast(pl.List(pl.Enum(CLASSES)))
    # an Enum is in the order of its names, so that the number is what stands for its place
    worst = classes.list.eval(pl.element().to_physical()).list.max()
    worst = worst.fill_null(CLASSES.index("undeclared"))
    return pl.DataFrame(
        {
            "license_spdx": map_items(declared, name_of),
            "license_class": pl.Series(CLASSES).gather(worst),
        }
    ).to_struct(declared.name)


# ---- The names of licences that the front matter gives beside ``other``.


def _with_names(frame: Any) -> Any:
    """Add ``license_name`` and ``license_link`` from the front matter, where they matter."""
    said = "the front matter as JSON. cardlab.scan_cards(source) reads it as such."
    _must_hold(said, frame, "metadata")
    declared = lists_in(frame.lazy(), "license")
    plain = pl.element().str.strip_chars().str.to_lowercase()
    # list.any takes no null items, and a null or empty list has no keyword
    settled = declared.list.eval(plain.is_in([*(set(keywords()) - {"other"})])).list.any()
    other = declared.list.eval(plain == "other").list.any()
    wanted = ~settled.fill_null(False) | other.fill_null(False)
    front = pl.when(wanted).then(pl.col("metadata").cast(pl.String))
    return frame.with_columns(
        front.str.json_path_match(f"$.{name}")
        .map_batches(_first, return_dtype=pl.String, is_elementwise=True)
        .alias(name)
        for name in _NAMES
    )


def _first(texts: pl.Series) -> pl.Series:
    """Give what JSON's path gave: a string as it is, of a list its first, null for the rest."""
    texts = texts.str.strip_chars()
    odd = texts.filter(texts.str.contains(r"^(?:[\[{]|$)")).unique().to_list()
    new = [next(iter(in_json(text)), None) if text else None for text in odd]
    return texts.replace(odd, pl.Series(new, dtype=pl.String)) if odd else texts


def in_json(text: str) -> list[str]:
    """Give what JSON's path gave as a list: a string as it is, a list or mapping as JSON."""
    try:
        return strings(json.loads(text) if text.startswith(("[", "{")) else text)
    except (ValueError, RecursionError):
        return [text]


def declared_licenses(frame: pl.DataFrame | pl.LazyFrame) -> pl.Expr:
    """Give the licences as declared, ``other`` by its name where a column has a known one."""
    have = [name for name in _NAMES if name in frame.lazy().collect_schema()]
    if not have:
        return pl.col("license")
    said = "strings, as cardlab.with_licenses(cards, names=True) gives them. Rename or drop yours."
    _must_hold(said, frame, *have)
    columns = pl.struct("license", *(pl.col(name).cast(pl.String) for name in have))
    named = columns.map_batches(_by_their_names, return_dtype=STRINGS, is_elementwise=True)
    return named.alias("license")


def _must_hold(what: str, frame: pl.DataFrame | pl.LazyFrame, *columns: str) -> None:
    types = frame.lazy().collect_schema()
    for name in columns:
        if types[name] not in TEXTS:
            raise CardlabError(f"column {name!r} is {types[name]}: it must hold {what}")


def _by_their_names(cards: pl.Series) -> pl.Series:
    """Put the declared name, or else the link, for each ``other`` if it says which licence."""
    frame = cards.struct.unnest()
    lists = as_lists(frame["license"])
    known = pl.select(
        pl.coalesce(_known(frame[name]) for name in _NAMES if name in frame.columns)
    ).to_series()
    is_other = pl.element().str.strip_chars().str.to_lowercase() == "other"
    changed = (lists.list.eval(is_other).list.any() & known.is_not_null()).arg_true()
    named = [
        [name if text is not None and fold(text) == "other" else text for text in declared]
        for declared, name in zip(lists.gather(changed), known.gather(changed), strict=True)
    ]
    together = lists.append(pl.Series(named, dtype=STRINGS))
    place = pl.Series(range(len(known)), dtype=pl.Int64)
    return together.gather(place.scatter(changed, range(len(known), len(together))))


def _known(texts: pl.Series) -> pl.Series:
    """Keep the texts that name a licence we know; null for the rest."""
    distinct = texts.drop_nulls().unique()
    known = [text for text in distinct if class_of(text) != "unknown"]
    return texts.set(~texts.is_in(pl.Series(known, dtype=pl.String).implode()), None)


def with_names_for_other(cards: Any, *columns: str | None) -> Any:
    """Give the cards with ``other`` by its name, if they have the names; else as they are.

    `columns` are the others that the caller needs: engines other than polars hand over only those.
    """
    have = require(cards, "license")
    if not set(_NAMES) & set(have):
        return cards
    wanted = {"license", *_NAMES, *columns} & set(have)
    cards = as_polars(cards, *(name for name in have if name in wanted))
    return cards.with_columns(declared_licenses(cards))


# ---- On how many cards each licence, and each class of licence, is declared.


def license_counts(
    cards: Any,
    *,
    by: str | None = None,
    raw: bool = False,
    classes: bool = False,
    families: str | None = None,
    weight: str | None = None,
    cluster: str | None = "author",
    population: Population = "sample",
) -> pl.DataFrame:
    """Count on how many cards each licence, or each class of licence, is declared.

    Parameters
    ----------
    cards : frame
        With ``license`` (list of str, or str), and what `by`, `families`, `weight` and `cluster`
        name; polars, or any that narwhals knows. Nothing else is read, but a
        ``license_name`` and ``license_link``, which are used as in :func:`with_licenses`.
    by : str, optional
        A column to group by. With a list column a card counts in each of its groups; without a
        value it is in the group null, "not declared". For periods see :func:`with_period`.
    raw : bool
        Count the strings as they are declared, instead of one name for each licence; the name is
        then in ``license_spdx``, so that the table shows both.
    classes : bool
        Count the cards of each class of licence instead, those without a licence included.
    families : str, optional
        Count copies once as well: a column of family ids (null: in no family), or ``"text"``
        (cards with exactly equal text are a family, a blank or no text is in none). A family has
        the licence and the groups of its first card by ``id``; a card in no family is one of its
        own. An engine other than polars hands over the columns.
    weight : str, optional
        Add up a column of numbers of at least 0 as well, such as ``"downloads"``. A null weighs
        nothing.
    cluster : str, optional
        Whose cards are alike, so that they say less than as many of different authors: a column
        of single values, in which a null is an author of its own. None, or where the cards have
        no ``author``: cards are independent. So they are within the groups of `by` this column.
    population : {"sample", "census"}
        Whether the cards are a sample of what could have been written, or all there are, such as
        the whole Hub or one's own organisation: of these a share is exact, and its interval null.

    Returns
    -------
    pl.DataFrame
        ``[by,] license`` (named as in :func:`with_licenses`, or as declared), ``license_spdx``
        (only with `raw`: the name of the declared string), ``license_class`` (never
        ``undeclared``), ``n_cards``, ``n_declared`` (cards of the group that declare any
        licence), ``card_share`` (0-1, of all cards of the group, with or without a licence),
        ``share_low``, ``share_high`` (its 95 % interval), ``n_group`` (cards of the group; of the
        corpus without `by`), ``declared_share`` (0-1, of the cards that declare any licence),
        ``declared_low``, ``declared_high`` (its interval).

        Where authors are known, of ``card_share``: ``design_effect`` (at least 1: the variance of
        the share beside that of as many independent cards), ``n_effective`` (``n_group`` divided
        by it), ``n_authors`` (authors of the cards with the licence), ``top_author`` (of most of
        them; null where no one is known), ``top_author_share`` (0-1, of them) and ``is_reliable``
        (bool: see Notes).

        With `families` also ``n_families``, ``family_share`` (0-1, of all families of the group).
        With `weight` also ``weight`` (sum over the cards with the licence), ``weight_share`` (0-1,
        of the sum over all cards of the group; null where that is 0), ``n_weighted`` (cards of the
        group whose weight is known; the others count as 0).

        Most cards first, then by licence and group. A card with two licences counts once in each.
        A group that declares no licence has no row, nor has a class without cards.

        With `classes` there is ``[by,] license_class`` without ``license``; the shares of a group
        add to 1. The class ``undeclared`` has the cards without a licence, ``declared_share`` and
        its interval are null there, and ``n_declared`` stands last.

    Raises
    ------
    MissingColumn
        The cards have no ``license``, or lack a column that an argument names.
    CardlabError
        `by` is the name of a result column, `weight` holds no numbers or some below 0, `cluster`
        names a list column, or both `raw` and `classes` are asked for.

    Notes
    -----
    Intervals are Wilson's with the effective number of cards and the t quantile of the number of
    authors less one (E. L. Korn and B. I. Graubard, "Confidence intervals for proportions with
    small expected number of positive counts estimated from survey data", Survey Methodology 24
    (1998), 193-201); ``shares.authors.designs`` has the design effect. A share is reliable with at
    least 30 effective cards, 10 authors of cards that have it and 15 effective authors of the
    group (1 / the sum of their squared shares of its cards), and an interval at most 0.05 wide, or
    at most 0.30 and 1.3 times the share (after the standards of the National Center for Health
    Statistics: J. D. Parker and others 2017).

    Examples
    --------
    >>> counts = cl.license_counts(cl.make_cards(200), classes=True)
    >>> counts["license_class", "n_cards", "card_share", "share_low", "share_high"].row(0)
    ('permissive', 105, 0.525, 0.449..., 0.599...)
    """
    author = author_column(cards, cluster, population)
    if raw and classes:
        raise CardlabError(
            "raw=True counts strings as they are declared, classes=True what they ask for: ask for "
            "one of the two."
        )
    check_by(by, ("license_class", *(() if classes else ("license", "license_spdx"))))
    if not raw:
        also = (by, families, weight, author, "id" if families else None)
        cards = with_names_for_other(cards, *also)
    count = functools.partial(
        count_values, cards, "license", by=by, families=families, weight=weight, author=author
    )
    if classes:
        counts = count(
            derive=lambda lists: licenses_of(lists).struct.field("license_class"), none="undeclared"
        )
        total, is_class = counts["n_declared"], pl.col("value") != "undeclared"
        counts = counts.with_columns(pl.when(is_class).then("n_declared").alias("n_declared"))
        shares = named_shares(counts, "license_class", by=by, population=population)
        return shares.drop("n_declared").with_columns(total)
    name = {"license_spdx": name_of} if raw else {}
    counts = count(rename=None if raw else name_of)
    return named_shares(
        counts, "license", by=by, also=name | {"license_class": class_of}, population=population
    )
