"""Which cards could not be taken as they were, and why."""

from __future__ import annotations

from typing import Any

import polars as pl

from ..schema import INSTANT, PROBLEMS, collect, printable, require, shorten, to_lazy_polars
from .time import implausible

_LICENSE_SHAPE = r"^[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}$"
#: A code of ISO 639 with or without region and script, and the two words that the Hub lists.
_LANGUAGE_SHAPE = r"^(?:[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8})*|multilingual|code)$"


def problems(cards: Any) -> pl.DataFrame:
    """List every card whose front matter or value could not be taken as it was.

    Parameters
    ----------
    cards : frame
        From :func:`cardlab.scan_cards`, whose ``problems`` column says what went wrong while
        reading; any other frame is only checked for the last five kinds.

    Returns
    -------
    pl.DataFrame
        ``id``, ``column``, ``problem``, ``detail``, sorted by problem and id. Kinds:

        - reading: ``unterminated``, ``not_a_mapping``, ``yaml_error``, ``null_metadata`` (the
          source has none), ``key_alias``, ``bad_json``, ``bad_row`` (too few or too many fields),
          ``not_utf8``, ``unreadable``, ``lfs_pointer`` (the file itself was not fetched),
          ``passed_over`` (README files below a card, taken as parts of it);
        - values: ``bad_date``, ``bad_value``, ``no_id``;
        - ``implausible_date``: a date before 2016 or later than tomorrow, which no figure counts;
        - ``duplicate_id``: an id on several cards (each of them is listed);
        - ``not_a_license``, ``not_a_language``: values that do not have the shape of an id;
        - ``tags_disagree``: front matter and tags both name licences, and not the same ones, as in
          :func:`cardlab.license_conflicts`.
    """
    have = require(cards, "id")
    frame = to_lazy_polars(cards)
    found = [_duplicates(frame)]
    if "problems" in have and frame.collect_schema()["problems"] == PROBLEMS:
        found.append(
            collect(
                frame.select("id", "problems")
                .filter(pl.col("problems").list.len() > 0)
                .explode("problems")
                .select("id", pl.col("problems").struct.unnest())
            )
        )
    found += [_impossible(frame, name) for name in ("created_at", "last_modified") if name in have]
    for column, kind, shape in (
        ("license", "not_a_license", _LICENSE_SHAPE),
        ("languages", "not_a_language", _LANGUAGE_SHAPE),
    ):
        if column in have:
            found.append(_misshapen(frame, column, kind, shape))
    if "metadata" in have and "tags" in have:
        found.append(_disagreeing(frame))
    return pl.concat(found).sort("problem", "id", "column", "detail", nulls_last=True)


def _duplicates(frame: pl.LazyFrame) -> pl.DataFrame:
    ids = collect(frame.select("id").drop_nulls()).group_by("id").len().filter(pl.col("len") > 1)
    ids = ids.select("id", "len", pl.int_ranges(pl.col("len")).alias("copy")).explode("copy")
    detail = pl.format("one of {} cards with this id", "len")
    return ids.select("id", *_labels("id", "duplicate_id", detail))


def _impossible(frame: pl.LazyFrame, column: str) -> pl.DataFrame:
    """List the dates that cannot be those of a card."""
    dtype = frame.collect_schema()[column]
    if not isinstance(dtype, (pl.Datetime, pl.Date)):
        return pl.DataFrame(schema=_LAYOUT)
    date = pl.col(column)
    wrong = implausible(date.cast(INSTANT, strict=False)).fill_null(True) & date.is_not_null()
    cards = collect(frame.select("id", column).filter(wrong))
    detail = date.dt.strftime("%Y-%m-%dT%H:%M:%SZ" if isinstance(dtype, pl.Datetime) else "%F")
    return cards.select("id", *_labels(column, "implausible_date", detail))


def _misshapen(frame: pl.LazyFrame, column: str, kind: str, shape: str) -> pl.DataFrame:
    """List the cards that have a value which cannot be an id of its kind."""
    wrong = pl.element().filter(~pl.element().str.contains(shape))
    value = pl.col(column)
    if not isinstance(frame.collect_schema()[column], pl.List):
        value = pl.when(value.is_not_null()).then(pl.concat_list(value.cast(pl.String)))
    cards = collect(
        frame.select("id", value.list.eval(wrong).alias("wrong")).filter(
            pl.col("wrong").list.len() > 0
        )
    )
    details = []
    for values in cards["wrong"].to_list():
        text = ", ".join(repr(printable(value[:60])) for value in values[:5])
        details.append(f"{text}{f' and {len(values) - 5} more' if len(values) > 5 else ''}")
    return cards.select("id", *_labels(column, kind, pl.Series(details, dtype=pl.String)))


def _disagreeing(frame: pl.LazyFrame) -> pl.DataFrame:
    """List the cards whose front matter and tags name different licences, as conflicts have it."""
    # what licences are is told by a topic that stands after this one
    from ..licenses.problems import license_conflicts

    found = license_conflicts(frame.select("id", "metadata", "tags")).filter(kind="tags_disagree")
    front, tags = (pl.col(name).list.sort().list.join(", ") for name in ("declared", "tagged"))
    said = pl.format("front matter: {}; tags: {}", front, tags)
    detail = said.map_elements(lambda text: shorten(printable(text), 300), return_dtype=pl.String)
    return found.select("id", *_labels("license", "tags_disagree", detail))


_LAYOUT = {"id": pl.String, "column": pl.String, "problem": pl.String, "detail": pl.String}


def _labels(column: str, kind: str, detail: pl.Expr | pl.Series) -> list[Any]:
    return [
        pl.lit(column).alias("column"),
        pl.lit(kind).alias("problem"),
        detail.alias("detail"),
    ]
