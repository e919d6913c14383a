"""How many cards document what: the states of a standard's sections."""

from __future__ import annotations

from typing import Any

import polars as pl

from ..schema import CardlabError, at_least, one_of
from ..shares import check_by, first_of_families, wilson
from .bodies import STATES
from .census import KEPT, MIN_SHARED, Census, stated_by, states_of, take_census
from .standards import STANDARDS, find_standard

_COUNTS = tuple(f"n_{state}" for state in reversed(STATES))
_FAMILIES = ("n_filled_families", "n_families", "family_share")


def section_coverage(
    cards: Any,
    *,
    standard: str | list[str] | tuple[str, ...] = "huggingface",
    by: str | None = None,
    families: str | None = None,
    min_shared: int = MIN_SHARED,
) -> pl.DataFrame:
    """Count the cards that document each section of a standard.

    Parameters
    ----------
    cards : frame
        With ``id`` and ``text``; for what the front matter states also ``metadata``, ``license``,
        ``languages``, ``base_model``, ``datasets``, ``library_name``, ``pipeline_tag``, as far as
        they are there.
    standard : str, list or tuple of str
        ``"huggingface"`` (the Hub's model card template), ``"mitchell2019"``, ``"liang2024"`` or
        ``"eu_gpai"`` (the topics of the EU's Model Documentation Form); of several, all are
        counted in one reading. What headings answer a section is in :func:`coverage_sections` and
        ``cardlab/data/sections.toml``.
    by : str, optional
        A column to group by. With a list column a card is in each of its groups; without a value
        it is in the group null.
    families : str, optional
        Counts copies once as well: a column of family ids (null: in no family), such as
        ``family`` of :func:`with_families`, or ``"text"``: cards with exactly equal text are a
        family, those with a blank text are in none. A family has what its first card by ``id``
        has; a card in no family is one of its own.
    min_shared : int
        A text of eight words or more that is the same on at least so many cards, of which no two
        are copies as a whole, is boilerplate; except licences, citations, links and the like,
        which many cards may rightly share.

    Returns
    -------
    pl.DataFrame
        ``[standard,] [by,] section`` (``standard`` where several were asked for), then the cards
        by the best state of what they have for it, which add up to ``n_cards``:

        - ``n_filled``: text of the card's own;
        - ``n_placeholder``: nothing but "[More Information Needed]", "TODO", promises ("will be
          released later") or comments of a template;
        - ``n_boilerplate``: nothing but text shared by many cards, or written by a machine;
        - ``n_empty``: a heading with nothing beneath it, or one word where a sentence is asked for;
        - ``n_absent``: no heading, no labelled field.

        ``filled_share`` (0-1), ``share_low``, ``share_high`` (95 % Wilson), ``n_cards`` (with a
        text, of the group; an empty text counts, a null does not), ``n_in_metadata`` (cards whose
        front matter states it), ``n_only_in_metadata`` (of these, those whose text is not filled)
        and ``n_by_evidence`` (of those filled, the cards where no heading or label says so but the
        content shows it: a BibTeX entry, code that loads a model, a table of scores ...). With
        `families` also ``n_filled_families``, ``n_families`` (of the group) and ``family_share``
        (0-1, of the two). Standards as they were asked for, groups by size, sections in the
        standard's own order.

    Raises
    ------
    MissingColumn
        The cards lack ``id``, ``text``, `by` or `families`.
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
    asked = _asked(standard)
    at_least(min_shared, 2, name="min_shared")
    check_by(by, ("standard", "section", *_COUNTS, "n_cards", "filled_share", *_FAMILIES))
    keep = {name for name in (by, families) if name is not None and name != "text"}
    census = take_census(cards, keep=tuple(sorted(keep)), min_shared=min_shared)
    groups = _groups(census, by, families)
    tables = []
    for key in asked:
        table = _count(census, groups, key, by)
        if families is None:
            table = table.drop(_FAMILIES)
        tables.append(
            table
            if isinstance(standard, str)
            else table.insert_column(0, _named(key, table.height))
        )
    return pl.concat(tables)


def _asked(standard: str | list[str] | tuple[str, ...]) -> list[str]:
    """Give the standards that are asked for, each known and only once."""
    asked = list(standard) if isinstance(standard, (list, tuple)) else [standard]
    for key in asked:
        one_of(key, STANDARDS, name="standard")
    if not asked or len(set(asked)) < len(asked):
        raise CardlabError(
            f"standard must name at least one standard, and none twice, not {standard!r}. "
            f"Allowed: {', '.join(STANDARDS)}."
        )
    return asked


def _named(standard: str, n: int) -> pl.Series:
    return pl.Series("standard", [standard] * n, dtype=pl.String)


def _count(census: Census, groups: pl.DataFrame, standard: str, by: str | None) -> pl.DataFrame:
    """Count the states of one standard's sections, by group."""
    states = states_of(census, standard).select("card", "section", "state", "evidence")
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
            (filled & pl.col("evidence").is_not_null()).sum().cast(pl.Int64).alias("n_by_evidence"),
            (pl.col("stands") & filled).sum().cast(pl.Int64).alias("n_filled_families"),
        )
    )
    return _complete(found, groups, standard, by)


def _groups(census: Census, by: str | None, families: str | None) -> pl.DataFrame:
    """Give ``card, group, stands``: one group without `by`, each of a list's items else.

    ``stands`` marks the cards that are the first of their family.
    """
    stands = pl.lit(True)
    if families is not None:
        family = census.cards["whole" if families == "text" else KEPT + families]
        stands = pl.lit(pl.Series(first_of_families(family, census.cards["id"])))
    group = pl.lit("all") if by is None else pl.col(KEPT + by)
    own = census.cards.select("card", group.alias("group"), stands.alias("stands"))
    if isinstance(own.schema["group"], pl.List):
        items = pl.col("group").list.drop_nulls().list.unique()
        own = own.with_columns(items).explode("group", empty_as_null=True, keep_nulls=True)
    return own


def _complete(
    found: pl.DataFrame, groups: pl.DataFrame, standard: str, by: str | None
) -> pl.DataFrame:
    """Give each group a row for each section, with what is absent and the shares."""
    sections = [item.name for item in find_standard(standard).sections]
    sizes = groups.group_by("group").agg(
        pl.len().cast(pl.Int64).alias("n_cards"),
        pl.col("stands").sum().cast(pl.Int64).alias("n_families"),
    )
    sizes = sizes.sort(["n_cards", "group"], descending=[True, False], nulls_last=True)
    own = pl.DataFrame({"section": sections}).with_row_index("order")
    counted = [f"n_{state}" for state in reversed(STATES[1:])]
    further = ("n_in_metadata", "n_only_in_metadata", "n_by_evidence", "n_filled_families")
    whole = (
        sizes.with_row_index("rank")
        .join(own, how="cross")
        .join(found, on=["group", "section"], how="left", nulls_equal=True)
        .sort("rank", "order")
        .with_columns(pl.col(*counted, *further).fill_null(0))
        .with_columns((pl.col("n_cards") - pl.sum_horizontal(counted)).alias("n_absent"))
    )
    low, high = wilson(whole["n_filled"].to_numpy(), whole["n_cards"].to_numpy())
    # of a group no card may be the first of its family
    n_families = pl.when(pl.col("n_families") > 0).then("n_families")
    return whole.select(
        *([] if by is None else [pl.col("group").alias(by)]),
        "section",
        *("n_filled", "n_placeholder", "n_boilerplate", "n_empty", "n_absent"),
        (pl.col("n_filled") / pl.col("n_cards")).alias("filled_share"),
        pl.Series("share_low", low, dtype=pl.Float64),
        pl.Series("share_high", high, dtype=pl.Float64),
        "n_cards",
        *further,
        "n_families",
        (pl.col("n_filled_families") / n_families).alias("family_share"),
    )


def card_coverage(
    cards: Any, *, standard: str = "huggingface", min_shared: int = MIN_SHARED
) -> pl.DataFrame:
    """Give the state of each section of a standard, card by card.

    Parameters
    ----------
    cards, min_shared
        As in :func:`section_coverage`.
    standard : str
        One of those named there.

    Returns
    -------
    pl.DataFrame
        ``id``, ``section``, ``state`` (``filled``, ``boilerplate``, ``placeholder``, ``empty``,
        ``absent``), ``n_words`` (of the texts in that state, 0 where absent), ``heading`` (the
        first of them; null where absent, ``""`` for what precedes the first heading), ``evidence``
        (what of the content shows that it is there, such as "a BibTeX entry"; null where a heading
        or label says so), ``in_metadata`` (whether the front matter states it). A row for each
        card with a text and each section, in the order of the cards and of the standard.

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
            "evidence",
            pl.col("in_metadata").fill_null(False),
        )
    )
