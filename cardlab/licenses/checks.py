"""Declared licences that are no keyword of the Hub, and what each was taken for."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from ..schema import STRINGS, collect, lazy, one_of, require
from ..shares import count_values, with_share
from .reading import read_license


def license_problems(cards: Any, *, column: str = "license") -> pl.DataFrame:
    """List the declared licences that are no keyword of the Hub, and what they were taken for.

    Parameters
    ----------
    cards : frame
        With `column`; polars, or any that narwhals knows.
    column : {"license", "tags", "license_name"}
        What to list: the column ``license`` (list of str, or str), the ``license:`` tags, or the
        names that :func:`cardlab.with_license_names` adds.

    Returns
    -------
    pl.DataFrame
        ``value`` (str, as declared), ``license`` (str, the name that
        :func:`cardlab.with_licenses` gives it), ``license_class`` (str, one of
        :data:`cardlab.licenses.CLASSES`), ``n_cards`` (cards that declare the value),
        ``card_share`` (0-1, of all cards, with or without a licence), ``reason`` (str, how it was
        recognised or why not), ``detail`` (str, the reason in words; of a keyword that of its
        class), ``source`` (str, where the terms are published that its class goes by; ``the name
        itself`` where that says it; ``assumed`` where nobody here has read the terms; null of an
        expression and of what is unknown). Most cards first, then by value. Reasons:

        - ``case``: a keyword but for case, blanks and underscores; ``SPDX id``; ``spelling``;
          ``address`` (of a licence's text, or of nothing known); ``expression``: several
          licences; ``family``: a pattern of ``data/license_families.csv``;
        - ``keyword``: a keyword that says no class (``unknown``, ``cc``);
        - ``no licence``: says that there is none, or only where to look; ``free text``: nothing
          that is known; ``empty``. Their class is ``unknown``.

        A keyword with a class has no row; every other value has one.

    Raises
    ------
    MissingColumn
        The cards have no such column.
    CardlabError
        `column` is none of the three, or holds neither strings nor lists of strings.
    """
    one_of(column, ("license", "tags", "license_name"), name="column")
    require(cards, column)
    counts = with_share(count_values(_tagged(cards) if column == "tags" else cards, column))
    readings = [read_license(value) for value in counts["value"]]
    names = ("license", "license_class", "reason", "detail", "source")
    found = pl.DataFrame(readings, schema=dict.fromkeys(names, pl.String), orient="row")
    return (
        counts.select("value", "n_cards", "card_share")
        .hstack(found)
        .select("value", *names[:2], "n_cards", "card_share", *names[2:])
        .filter((pl.col("reason") != "keyword") | (pl.col("license_class") == "unknown"))
    )


def _tagged(cards: Any) -> Any:
    """Give the values of the ``license:`` tags; engines other than polars hand over the tags."""
    if not isinstance(cards, (pl.DataFrame, pl.LazyFrame)):
        cards = collect(lazy(cards).select(nw.col("tags")))
    tags = pl.col("tags")
    if not isinstance(cards.lazy().select("tags").collect_schema()["tags"], pl.List):
        tags = pl.concat_list(tags.cast(pl.String))
    tag = pl.element()
    values = tag.filter(tag.str.starts_with("license:")).str.strip_prefix("license:")
    return cards.select(tags.cast(STRINGS).list.eval(values))
