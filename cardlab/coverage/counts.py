"""How many cards document what: the states of a standard's sections."""

from __future__ import annotations

from typing import Any

import polars as pl

from ..schema import at_least, one_of
from ..shares import check_by, wilson
from .bodies import STATES
from .census import KEPT, MIN_SHARED, Census, stated_by, states_of, take_census
from .standards import STANDARDS, find_standard

_COUNTS = tuple(f"n_{state}" for state in reversed(STATES))


def section_coverage(
    cards: Any,
    *,
    standard: str = "huggingface",
    by: str | None = None,
    min_shared: int = MIN_SHARED,
) -> pl.DataFrame:
    """Count the cards that document each section of a standard.

    Parameters
    ----------
    cards : frame
        With ``id`` and ``text``; for what the front matter states also ``metadata``, ``license``,
        ``languages``, ``base_model``, ``datasets``, ``library_name``, ``pipeline_tag``, as far as
        they are there.
    standard : str
        ``"huggingface"`` (the Hub's model card template), ``"mitchell2019"``, ``"liang2024"`` or
        ``"eu_gpai"`` (the topics of the EU's Model Documentation Form). What headings answer a
        section is in :func:`coverage_sections` and ``cardlab/data/sections.toml``.
    by : str, optional
        A column to group by. With a list column a card is in each of its groups; without a value
        it is in the group null.
    min_shared : int
        A text of eight words or more that is the same on at least so many cards, of which no two
        are copies as a whole, is boilerplate; except licences, citations, links and the like,
        which many cards may rightly share.

    Returns
    -------
    pl.DataFrame
        ``[by,] section``, then the cards by the best state of what they have for it, which add up
        to ``n_cards``:

        - ``n_filled``: text of the card's own;
        - ``n_placeholder``: nothing but "[More Information Needed]", "TODO", "coming soon" or
          comments of a template;
        - ``n_boilerplate``: nothing but text shared by many cards, or written by a machine;
        - ``n_empty``: a heading with nothing beneath it;
        - ``n_absent``: no heading, no labelled field.

        ``filled_share`` (0-1), ``share_low``, ``share_high`` (95 % Wilson), ``n_cards`` (with a
        text, of the group; an empty text counts, a null does not), ``n_in_metadata`` (cards whose
        front matter states it) and ``n_only_in_metadata`` (of these, those whose text is not
        filled). Groups by size, sections in the standard's own order.

    Raises
    ------
    MissingColumn
        The cards lack ``id``, ``text`` or `by`.
    CardlabError
        There is no such standard, or `by` is no column of its own.
    NoFigure
        No card has a text.

    Notes
    -----
    "Filled" says that something stands there, not that it is right or enough, and nothing here
    says whether a duty is met. A heading answers the section that its own words name; one that
    says nothing known answers the section it stands in. Labelled fields (``- **Developed by:**
    someone``) count as headings. Of a text that many cards share, the card it was first written for
    is not told from the others. The sources of the standards are in the data file.
    """
    one_of(standard, STANDARDS, name="standard")
    at_least(min_shared, 2, name="min_shared")
    check_by(by, ("section", *_COUNTS, "n_cards", "filled_share"))
    census = take_census(cards, keep=() if by is None else (by,), min_shared=min_shared)
    groups = _groups(census, by)
    states = states_of(census, standard).select("card", "section", "state")
    stated = stated_by(census, standard).with_columns(pl.lit(True).alias("stated"))
    both = states.join(stated, on=["card", "section"], how="full", coalesce=True).with_columns(
        pl.col("state").fill_null(0), pl.col("stated").fill_null(False)
    )
    filled = pl.col("state") == len(STATES) - 1
    found = (
        both.join(groups, on="card")
        .group_by("group", "section")
        .agg(
            *(
                (pl.col("state") == number).sum().cast(pl.Int64).alias(f"n_{state}")
                for number, state in enumerate(STATES)
                if number
            ),
            pl.col("stated").sum().cast(pl.Int64).alias("n_in_metadata"),
            (pl.col("stated") & ~filled).sum().cast(pl.Int64).alias("n_only_in_metadata"),
        )
    )
    return _complete(found, groups, standard, by)


def _groups(census: Census, by: str | None) -> pl.DataFrame:
    """Give ``card, group``: one group without `by`, each of a list's items else."""
    if by is None:
        return census.cards.select("card", pl.lit("all").alias("group"))
    own = census.cards.select("card", pl.col(KEPT + by).alias("group"))
    if isinstance(own.schema["group"], pl.List):
        items = pl.col("group").list.drop_nulls().list.unique()
        own = own.with_columns(items).explode("group", empty_as_null=True, keep_nulls=True)
    return own


def _complete(
    found: pl.DataFrame, groups: pl.DataFrame, standard: str, by: str | None
) -> pl.DataFrame:
    """Give each group a row for each section, with what is absent and the shares."""
    sections = [item.name for item in find_standard(standard).sections]
    sizes = groups.group_by("group").agg(pl.len().cast(pl.Int64).alias("n_cards"))
    sizes = sizes.sort(["n_cards", "group"], descending=[True, False], nulls_last=True)
    own = pl.DataFrame({"section": sections}).with_row_index("order")
    counted = [f"n_{state}" for state in reversed(STATES[1:])]
    whole = (
        sizes.with_row_index("rank")
        .join(own, how="cross")
        .join(found, on=["group", "section"], how="left", nulls_equal=True)
        .sort("rank", "order")
        .with_columns(pl.col(*counted, "n_in_metadata", "n_only_in_metadata").fill_null(0))
        .with_columns((pl.col("n_cards") - pl.sum_horizontal(counted)).alias("n_absent"))
    )
    low, high = wilson(whole["n_filled"].to_numpy(), whole["n_cards"].to_numpy())
    return whole.select(
        *([] if by is None else [pl.col("group").alias(by)]),
        "section",
        "n_filled",
        "n_placeholder",
        "n_boilerplate",
        "n_empty",
        "n_absent",
        (pl.col("n_filled") / pl.col("n_cards")).alias("filled_share"),
        pl.Series("share_low", low, dtype=pl.Float64),
        pl.Series("share_high", high, dtype=pl.Float64),
        "n_cards",
        "n_in_metadata",
        "n_only_in_metadata",
    )


def card_coverage(
    cards: Any, *, standard: str = "huggingface", min_shared: int = MIN_SHARED
) -> pl.DataFrame:
    """Give the state of each section of a standard, card by card.

    Parameters
    ----------
    cards, standard, min_shared
        As in :func:`section_coverage`.

    Returns
    -------
    pl.DataFrame
        ``id``, ``section``, ``state`` (``filled``, ``boilerplate``, ``placeholder``, ``empty``,
        ``absent``), ``n_words`` (of the texts in that state, 0 where absent), ``heading`` (the
        first of them; null where absent, ``""`` for what precedes the first heading),
        ``in_metadata`` (whether the front matter states it). A row for each card with a text and
        each section, in the order of the cards and of the standard.

    Raises
    ------
    MissingColumn, CardlabError, NoFigure
        As in :func:`section_coverage`.

    Notes
    -----
    A row for each card:
    ``card_coverage(cards).pivot("section", index="id", values="state")``, where ids are unique.
    """
    one_of(standard, STANDARDS, name="standard")
    at_least(min_shared, 2, name="min_shared")
    census = take_census(cards, min_shared=min_shared, headings=True)
    names = [item.name for item in find_standard(standard).sections]
    own = pl.DataFrame({"section": names}).with_row_index("order")
    stated = stated_by(census, standard).with_columns(pl.lit(True).alias("in_metadata"))
    state = pl.col("state").fill_null(0)
    return (
        census.cards.join(own, how="cross")
        .join(states_of(census, standard), on=["card", "section"], how="left")
        .join(stated, on=["card", "section"], how="left")
        .sort("card", "order")
        .select(
            "id",
            "section",
            state.replace_strict(range(len(STATES)), STATES, return_dtype=pl.String),
            pl.col("n_words").fill_null(0),
            "heading",
            pl.col("in_metadata").fill_null(False),
        )
    )
