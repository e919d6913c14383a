"""The worklist: which cards to mend first, and what each lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from ..overview.time import judge
from ..schema import STRINGS, CardlabError, at_least, column_names, one_of
from .blocks import FILLED
from .census import KEPT, MIN_SHARED, Census, stated_by, states_of, take_census
from .headings import STANDARDS, weights_of

_SECONDS_A_DAY = 86_400


def documentation_gaps(
    cards: Any,
    *,
    standard: str = "huggingface",
    top: int | None = 100,
    rank_by: str | None = None,
    weights: Mapping[str, float] | None = None,
    metadata: bool = True,
    min_shared: int = MIN_SHARED,
) -> pl.DataFrame:
    """List the cards whose gaps matter most, and what each lacks.

    Parameters
    ----------
    cards, standard, min_shared
        As in :func:`section_coverage`; with ``downloads``, ``created_at`` or the column `rank_by`.
    top : int, optional
        Only so many cards; None for all.
    rank_by : str, optional
        By what a gap weighs more: ``"downloads"``, ``"age"`` (days from ``created_at`` to the
        newest ``created_at`` of these cards; null where the date cannot be) or any numeric column.
        By default downloads; where no card has any, age; where there is none either, ``"gaps"``
        alone. What was taken is in ``ranked_by``.
    weights : mapping of str to number, optional
        Weights of sections in place of those of :func:`coverage_sections` (1 each); 0 leaves a
        section out.
    metadata : bool
        Whether a section that the front matter states is no gap.

    Returns
    -------
    pl.DataFrame
        ``id``, ``downloads`` (null where unknown), ``missing`` (list of str: the sections that
        are not filled, in the standard's order), ``unfinished`` (list of str: those of them that
        have a heading, a placeholder or boilerplate), ``n_missing``, ``missing_share`` (0-1, by
        weight), ``score`` (``missing_share`` times the value ranked by), ``ranked_by``. Highest
        score first; cards without a value follow with a null score, by ``missing_share``; ties by
        id. Cards without a gap are left out, and so are those whose text is null.

    Raises
    ------
    MissingColumn
        The cards lack ``id``, ``text`` or what `rank_by` needs.
    CardlabError
        There is no such standard or section, or `rank_by` is not numeric.
    NoFigure
        No card has a text.

    Notes
    -----
    As CSV, which knows no lists: ``gaps.with_columns(pl.col("missing", "unfinished")
    .list.join("; ")).write_csv("gaps.csv")``. The Hub gives every model older than
    2 March 2022 that very date, so these are all of one age.
    """
    one_of(standard, STANDARDS, name="standard")
    at_least(min_shared, 2, name="min_shared")
    if top is not None:
        at_least(top, 1, name="top")
    table = weights_of(standard, weights)
    have = column_names(cards)
    column = "created_at" if rank_by == "age" else rank_by
    wanted = [column] if column else [name for name in ("downloads", "created_at") if name in have]
    keep = [*wanted, *(["downloads"] if "downloads" in have else [])]
    census = take_census(cards, keep=tuple(dict.fromkeys(keep)), min_shared=min_shared)
    value, ranked_by = _values(census.cards, rank_by)
    done = _done(census, standard, metadata=metadata)
    ranked = _rank(census.cards.with_columns(value.alias("value")), done, table, top)
    return _describe(ranked, census, done, table, standard).with_columns(
        pl.lit(ranked_by).alias("ranked_by")
    )


def _values(cards: pl.DataFrame, rank_by: str | None) -> tuple[pl.Series, str]:
    """Give each card's weight in the ranking, null where unknown, and what it is."""
    if rank_by is None:
        known = [
            name
            for name, column in (("downloads", "downloads"), ("age", "created_at"))
            if KEPT + column in cards.columns and cards[KEPT + column].count()
        ]
        if not known:
            return pl.Series([1.0] * cards.height, dtype=pl.Float64), "gaps"
        rank_by = known[0]
    if rank_by == "age":
        made = cards[KEPT + "created_at"]
        if made.dtype == pl.String:
            made = made.str.to_datetime(time_zone="UTC", strict=False)
        if not made.dtype.is_temporal():
            raise CardlabError(
                f"column 'created_at' is {made.dtype}: rank_by='age' needs dates. "
                "cardlab.scan_cards(source) reads them as such."
            )
        date = pl.col("made")
        days = (date.max() - date).dt.total_seconds().cast(pl.Float64) / _SECONDS_A_DAY
        possible = judge(made).possible.alias("made").to_frame()
        return possible.select(days.alias("days")).to_series(), "age"
    value = cards[KEPT + rank_by]
    if not value.dtype.is_numeric():
        raise CardlabError(
            f"rank_by must name a number; column {rank_by!r} holds {value.dtype}. Use 'downloads', "
            "'age', or a numeric column."
        )
    number = value.cast(pl.Float64)
    return number.set((~number.is_finite()).fill_null(False), None), rank_by


def _done(census: Census, standard: str, *, metadata: bool) -> pl.DataFrame:
    """Give ``card, section`` of what needs no mending."""
    states = states_of(census, standard)
    filled = states.filter(pl.col("state") == FILLED).select("card", "section")
    if not metadata:
        return filled
    # in an order, as sums of weights are rounded as they come
    return pl.concat([filled, stated_by(census, standard)]).unique().sort("card", "section")


def _rank(
    cards: pl.DataFrame, done: pl.DataFrame, table: pl.DataFrame, top: int | None
) -> pl.DataFrame:
    """Put the cards with a gap in order and keep the first."""
    whole = float(table["weight"].sum())
    weighed = done.join(table.filter(pl.col("weight") > 0), on="section")
    got = weighed.group_by("card").agg(
        pl.col("weight").sum().alias("got"), pl.len().cast(pl.Int64).alias("n_done")
    )
    n_asked = table.filter(pl.col("weight") > 0).height
    ranked = (
        cards.join(got, on="card", how="left")
        .with_columns(
            (n_asked - pl.col("n_done").fill_null(0)).alias("n_missing"),
            (1 - pl.col("got").fill_null(0) / whole).clip(0, 1).alias("missing_share"),
        )
        .filter(pl.col("n_missing") > 0)
        .with_columns((pl.col("missing_share") * pl.col("value")).alias("score"))
        .sort(
            ["score", "missing_share", "id", "card"],
            descending=[True, True, False, False],
            nulls_last=True,
        )
        .with_row_index("rank")
    )
    return ranked if top is None else ranked.head(top)


def _describe(
    ranked: pl.DataFrame,
    census: Census,
    done: pl.DataFrame,
    table: pl.DataFrame,
    standard: str,
) -> pl.DataFrame:
    """Name what each card lacks, and what of it is begun."""
    asked = table.filter(pl.col("weight") > 0).with_row_index("order").select("section", "order")
    begun = states_of(census, standard).select("card", "section", pl.lit(True).alias("begun"))
    lacks = (
        ranked.select("card")
        .join(asked, how="cross")
        .join(done, on=["card", "section"], how="anti")
        .join(begun, on=["card", "section"], how="left")
        .sort("card", "order")
        .group_by("card", maintain_order=True)
        .agg(
            pl.col("section").alias("missing"),
            pl.col("section").filter(pl.col("begun").fill_null(False)).alias("unfinished"),
        )
    )
    downloads = (
        pl.col(KEPT + "downloads")
        if KEPT + "downloads" in ranked.columns
        else pl.lit(None, pl.Int64)
    )
    return (
        ranked.join(lacks, on="card", how="left")
        .sort("rank")
        .select(
            "id",
            downloads.alias("downloads"),
            pl.col("missing", "unfinished").cast(STRINGS),
            "n_missing",
            "missing_share",
            "score",
        )
    )
