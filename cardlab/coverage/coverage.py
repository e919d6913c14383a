"""How many cards document what: the states of a standard's sections."""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl

from ..schema import STRINGS, CardlabError, NoFigure, at_least, count, one_of, printable, require
from ..shares.counting import check_by, wilson
from ..shares.frames import first_of_families
from .blocks import STATES, blocks
from .census import KEPT, MIN_SHARED, Census, batches, stated_by, states_of, take_census
from .headings import MAX_CHARS, STANDARDS, find_standard, fold

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


# ---- What each heading of a corpus was taken to mean, and which mean nothing.

#: Why a heading is listed that another standard asks for.
ASKED_ELSEWHERE = "this standard has no section for it"


def heading_meanings(
    cards: Any, *, standard: str = "huggingface", top: int | None = None
) -> pl.DataFrame:
    """List the headings of the cards, and which section of a standard each answers.

    Parameters
    ----------
    cards : frame
        With ``id`` and ``text``.
    standard : str
        As in :func:`section_coverage`.
    top : int, optional
        Only the headings on most cards; all by default.

    Returns
    -------
    pl.DataFrame
        ``heading`` (its most frequent spelling, without control characters, cut at 200
        characters), ``n_cards`` (cards that have it with this meaning), ``n_headings`` (how often
        it stands there), ``concepts`` (list of str), ``sections`` (list of str, of the standard),
        ``reason`` (why it answers none; null where it does, or where nothing is known of it),
        ``example_id``. One heading can have several rows, since it can mean what the section does
        that it stands in. Most cards first, then by heading and meaning.

    Raises
    ------
    MissingColumn
        The cards lack ``id`` or ``text``.
    CardlabError
        There is no such standard.
    NoFigure
        No card has a heading.
    """
    one_of(standard, STANDARDS, name="standard")
    if top is not None:
        at_least(top, 1, name="top")
    require(cards, "id", "text")
    n_cards: Counter[_Key] = Counter()
    n_headings: Counter[_Key] = Counter()
    spellings: dict[_Key, Counter[str]] = {}
    examples: dict[_Key, str] = {}
    for batch in batches(cards, ("id", "text")):
        for name, text in zip(
            batch["id"].cast(pl.String), batch["text"].cast(pl.String), strict=True
        ):
            if text is None:
                continue
            seen = set()
            for block in blocks(name, text):
                if not block.is_heading:
                    continue
                title = printable(block.heading[:MAX_CHARS])
                key = (fold(title), block.concepts, block.reason)
                n_headings[key] += 1
                spellings.setdefault(key, Counter())[title] += 1
                seen.add(key)
            for key in seen:
                n_cards[key] += 1
                if name is not None:
                    examples[key] = min(name, examples.get(key, name))
    if not n_cards:
        raise NoFigure(f"none of the {count(cards):,} cards has a heading.")
    answers = [(item.name, frozenset(item.concepts)) for item in find_standard(standard).sections]
    rows = []
    for key, number in n_cards.items():
        concepts = frozenset(key[1])
        sections = [name for name, asked in answers if not asked.isdisjoint(concepts)]
        best = min(spellings[key].items(), key=lambda item: (-item[1], item[0]))[0]
        reason = None if sections else key[2] or (ASKED_ELSEWHERE if concepts else None)
        row = (best, number, n_headings[key], list(key[1]), sections, reason, examples.get(key))
        rows.append(row)
    rows.sort(key=lambda row: (-row[1], row[0], row[3], row[5] or ""))
    return pl.DataFrame(rows[:top], schema=_LAYOUT, orient="row")


def unmapped_headings(
    cards: Any, *, standard: str = "huggingface", top: int | None = None
) -> pl.DataFrame:
    """List the headings that answer no section of a standard, with the reason where it is known.

    Parameters
    ----------
    cards, standard, top
        As in :func:`heading_meanings`.

    Returns
    -------
    pl.DataFrame
        ``heading``, ``n_cards``, ``n_headings``, ``reason`` (null: nothing is known of it),
        ``example_id``; most cards first. No rows where every heading answers a section.

    Raises
    ------
    MissingColumn, CardlabError, NoFigure
        As in :func:`heading_meanings`.
    """
    if top is not None:
        at_least(top, 1, name="top")
    found = heading_meanings(cards, standard=standard).filter(pl.col("sections").list.len() == 0)
    kept = found.select("heading", "n_cards", "n_headings", "reason", "example_id")
    return kept if top is None else kept.head(top)


_Key = tuple[str, tuple[str, ...], str | None]
_LAYOUT: dict[str, Any] = {
    "heading": pl.String,
    "n_cards": pl.Int64,
    "n_headings": pl.Int64,
    "concepts": STRINGS,
    "sections": STRINGS,
    "reason": pl.String,
    "example_id": pl.String,
}
