"""On how many cards each licence, and each class of licence, is declared."""

from __future__ import annotations

from typing import Any

import polars as pl

from ..shares import SHARE_COLUMNS, check_by, count_values, with_share
from .named import with_names_for_other
from .names import classes_of, find_license


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
        ``share_low``, ``share_high`` (its 95 % Wilson interval, see :func:`cardlab.shares.wilson`),
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
