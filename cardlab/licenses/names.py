"""The one name and the class of each licence of a card."""

from __future__ import annotations

from typing import Any

import polars as pl

from ..schema import STRINGS, require, to_lazy_polars
from ..shares import as_lists
from .named import declared_licenses
from .reading import read_license
from .tables import CLASSES, License


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
