"""The names of licences that the front matter gives beside ``other``."""

from __future__ import annotations

import json
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from ..frontmatter import strings
from ..schema import STRINGS, CardlabError, collect, column_names, lazy, require, to_lazy_polars
from ..shares import as_lists
from .reading import fold, read_license
from .tables import reasons

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
