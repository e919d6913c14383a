"""On how many cards each licence, and each class of licence, is declared."""

from __future__ import annotations

from typing import Any

import polars as pl

from ..shares import check_by, count_values, with_share
from .named import with_names_for_other
from .names import classes_of, find_license, names_of


def license_counts(cards: Any, *, by: str | None = None, raw: bool = False) -> pl.DataFrame:
    """Count on how many cards each licence is declared.

    Parameters
    ----------
    cards : frame
        With ``license`` (list of str, or str), and `by`; polars, or any that narwhals knows. A
        ``license_name`` and ``license_link`` are used as in :func:`with_licenses`.
    by : str, optional
        A column to group by. With a list column a card counts in each of its groups; without a
        value it is in the group null, "not declared".
    raw : bool
        Count the strings as they are declared, instead of one name for each licence.

    Returns
    -------
    pl.DataFrame
        ``[by,] license`` (named as in :func:`with_licenses`, or as declared), ``license_class``
        (never ``undeclared``), ``n_cards``, ``n_declared`` (cards of the group that declare any
        licence), ``card_share`` (0-1, of all cards of the group, with or without a licence),
        ``share_low``, ``share_high`` (its 95 % Wilson interval, see :func:`cardlab.shares.wilson`).
        Most cards first, then by licence and group. A licence counts once a card; a card with two
        licences counts in both, so shares may add to more than the share of declaring cards. A
        group that declares no licence has no row; :func:`class_counts` has it.

    Raises
    ------
    MissingColumn
        The cards have no ``license``, or no column `by`.
    CardlabError
        `by` is the name of a result column.
    """
    check_by(by, ("license", "license_class", "card_share", "share_low", "share_high"))
    if not raw:
        cards = with_names_for_other(cards, by)
    counts = count_values(cards, "license", by=by, derive=None if raw else names_of)
    names = counts["value"].unique()
    classes = [find_license(name).license_class for name in names]
    counts = counts.with_columns(
        pl.col("value")
        .replace_strict(names, classes, return_dtype=pl.String)
        .alias("license_class")
    )
    return with_share(counts).select(
        *([] if by is None else [by]),
        pl.col("value").alias("license"),
        "license_class",
        "n_cards",
        "n_declared",
        "card_share",
        "share_low",
        "share_high",
    )


def class_counts(cards: Any, *, by: str | None = None) -> pl.DataFrame:
    """Count the cards of each class of licence, those without one included.

    Parameters
    ----------
    cards : frame
        With ``license`` (list of str, or str), and `by`; polars, or any that narwhals knows.
    by : str, optional
        As in :func:`license_counts`.

    Returns
    -------
    pl.DataFrame
        ``[by,] license_class`` (see :func:`with_licenses`: each card has one class),
        ``n_cards``, ``card_share`` (0-1, of all cards of the group; the shares of a group add to
        1), ``share_low``, ``share_high`` (its 95 % Wilson interval). Most cards first, then by
        class and group. A class without cards has no row.

    Raises
    ------
    MissingColumn
        The cards have no ``license``, or no column `by`.
    CardlabError
        `by` is the name of a result column.
    """
    check_by(by, ("license_class", "card_share", "share_low", "share_high"))
    cards = with_names_for_other(cards, by)
    counts = with_share(count_values(cards, "license", by=by, derive=classes_of))
    return counts.rename({"value": "license_class"}).drop("n_group", "n_declared")
