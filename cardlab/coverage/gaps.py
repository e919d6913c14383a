"""The worklist: which cards to mend first, and what each lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from ..overview.time import check_dates, judge
from ..schema import CardlabError, at_least, column_names
from .bodies import ABSENT, FILLED
from .headings import Standard, check_standard, weights_of
from .reading import MIN_SHARED, Sections, as_sections, states_of

_SECONDS_A_DAY = 86_400


def documentation_gaps(
    cards: Any,
    *,
    standard: Standard = "huggingface",
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
        Weights of sections in place of its own (1 each); 0 leaves a
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

    Examples
    --------
    >>> gaps = cl.documentation_gaps(cl.make_cards(200), standard="mitchell2019", top=1)
    >>> gaps["id", "downloads", "n_missing", "score"].row(0)
    ('ai-thihople/bert-ner-vodavira-finetuned', 1030, 6, 686.666...)
    """
    check_standard(standard)
    at_least(min_shared, 2, name="min_shared")
    if top is not None:
        at_least(top, 1, name="top")
    weights = weights_of(standard, weights)
    have = column_names(cards.cards if isinstance(cards, Sections) else cards)
    column = "created_at" if rank_by == "age" else rank_by
    wanted = [column] if column else [name for name in ("downloads", "created_at") if name in have]
    read = as_sections(cards, dict.fromkeys([*wanted, *({"downloads"} & {*have})]))
    if rank_by is None:
        known = [name for name in wanted if read.column(name).count()]
        rank_by = {"created_at": "age"}.get(known[0], known[0]) if known else "gaps"
    downloads = read.column("downloads") if "downloads" in have else pl.lit(None, pl.Int64)
    own = read.places.with_columns(_values(read, rank_by).alias("value"), downloads=downloads)
    weights = {name: weight for name, weight in weights.items() if weight > 0}
    done = (pl.col("state") == FILLED) | (pl.col("stated") & metadata)
    missing = pl.col("section").filter(~done).cast(pl.String)
    weight = pl.col("section").cast(pl.String).replace_strict(weights, return_dtype=pl.Float64)
    ranked = (
        states_of(read, standard, min_shared)
        .filter(pl.col("section").cast(pl.String).is_in(list(weights)))
        .sort("card", "section")
        .group_by("card", maintain_order=True)
        .agg(
            missing.alias("missing"),
            missing.filter(pl.col("state").filter(~done) > ABSENT).alias("unfinished"),
            (~done).sum().cast(pl.Int64).alias("n_missing"),
            (1 - weight.filter(done).sum() / weight.sum()).clip(0, 1).alias("missing_share"),
        )
        .filter(pl.col("n_missing") > 0)
        .join(own.lazy(), on="card")
        .with_columns((pl.col("missing_share") * pl.col("value")).alias("score"))
        .sort(
            ["score", "missing_share", "id", "card"],
            descending=[True, True, False, False],
            nulls_last=True,
        )
        .select(
            *("id", "downloads", "missing", "unfinished", "n_missing", "missing_share", "score"),
            pl.lit(rank_by).alias("ranked_by"),
        )
        .collect()
    )
    return ranked if top is None else ranked.head(top)


def _values(read: Sections, rank_by: str) -> pl.Expr:
    """Give each card's weight in the ranking, null where unknown."""
    if rank_by == "gaps" and rank_by not in read.cards.columns:
        return pl.lit(1.0)
    if rank_by == "age":
        made = read.column("created_at")
        if made.dtype == pl.String:
            made = made.str.to_datetime(time_zone="UTC", strict=False)
        check_dates(made.dtype, "created_at")
        possible: Any = judge(made).possible
        days = (possible.max() - possible).dt.total_seconds().cast(pl.Float64)
        return pl.lit(days / _SECONDS_A_DAY)
    value = read.column(rank_by)
    if not value.dtype.is_numeric():
        raise CardlabError(
            f"rank_by must name a number; column {rank_by!r} holds {value.dtype}. Use 'downloads', "
            "'age', or a numeric column."
        )
    number = value.cast(pl.Float64)
    return pl.lit(number.set((~number.is_finite()).fill_null(False), None))
