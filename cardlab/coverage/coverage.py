"""How many cards document what, and which to mend first: the states of a standard's sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from .._public import taking_sources
from ..frames import first_of_families
from ..overview.time import check_dates, judge
from ..schema import STRINGS, CardlabError, NoFigure, at_least, column_names
from ..shares.authors import AUTHOR_COLUMNS, Population, author_column, designs_of, with_interval
from ..shares.counting import check_by
from .bodies import ABSENT, FILLED, STATES
from .headings import (
    CORRECTED,
    MAX_CHARS,
    Standard,
    check_standard,
    fold,
    sections_of,
    weights_of,
    with_corrected,
)
from .reading import MIN_SHARED, Sections, as_sections, states_of

_FAMILIES = ("n_filled_families", "n_families", "family_share")


def section_coverage(
    cards: Any,
    *,
    standard: Standard | Sequence[Standard] = "huggingface",
    by: str | None = None,
    families: str | None = None,
    min_shared: int = MIN_SHARED,
    cluster: str | None = "author",
    population: Population = "sample",
) -> pl.DataFrame:
    """Count the cards that document each section of a standard.

    Parameters
    ----------
    cards : frame or Sections
        What :func:`read_sections` gives, or cards with ``id`` and ``text``; for what the front
        matter states also ``metadata``, ``license``, ``languages``, ``base_model``, ``datasets``,
        ``library_name``, ``pipeline_tag``, as far as they are there.
    standard : str, list or tuple of str
        ``"huggingface"`` (the Hub's model card template), ``"mitchell2019"``, ``"liang2024"``,
        ``"eu_gpai"`` (the topics of the EU's Model Documentation Form) or
        ``"huggingface_datasets"`` (the Hub's template for data sets); of several, all are
        counted. What headings answer a section is in ``cardlab/data/sections.toml``.
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
    cluster, population : str, optional
        Whose cards are alike, and whether the cards are a sample: as in :func:`license_counts`.

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

        ``filled_share`` (0-1), ``share_low``, ``share_high`` (its 95 % interval),
        ``filled_share_corrected`` with ``corrected_low`` and ``corrected_high`` (the share that
        readers would find, see the notes; null where fewer than 10 labelled cards have the section
        or lack it), ``n_cards`` (with a text, of the group; an empty text counts, a null does not),
        ``n_in_metadata`` (cards whose front matter states it), ``n_only_in_metadata`` (of these,
        those whose text is not filled) and ``n_by_evidence`` (of those filled, the cards where no
        heading or label says so but the content shows it: a BibTeX entry, code that loads a model,
        a table of scores ...). With `families` also ``n_filled_families``, ``n_families`` (of the
        group) and ``family_share`` (0-1, of the two), and where authors are known ``design_effect``
        to ``is_reliable``, of ``filled_share``, as in :func:`license_counts`. Standards as they
        were asked for, groups by size, sections in the standard's own order.

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
    someone``) count as headings.

    The corrected share is that of W. J. Rogan and B. Gladen (1978), with the interval of Z. Lang
    and J. Reiczigel (2014), which holds the uncertainty of both; :func:`corrected
    <cardlab.coverage.headings.corrected>` has the sources. It takes the sections of these cards
    to be missed and seen wrongly as often as those of 150 cards that were read, whose figures
    :func:`coverage_validation <cardlab.coverage.headings.coverage_validation>` gives: of some
    other kind of cards (in one foreign language, of one template) it need not be true.

    Of a text that many cards share, the card it was first written for
    is not told from the others. The sources of the standards are in the data file.

    Examples
    --------
    >>> covered = cl.section_coverage(cl.make_cards(200), standard="mitchell2019")
    >>> covered["section", "n_filled", "n_placeholder", "n_absent", "n_cards"].row(0)
    ('Model Details', 197, 0, 2, 200)
    """
    several = isinstance(standard, (list, tuple))
    asked: list[Any] = list(standard) if several else [standard]
    for key in asked:
        check_standard(key)
    if not asked or len(set(asked)) < len(asked):
        raise CardlabError(
            f"standard must name at least one standard, and none twice, not {standard!r}."
        )
    at_least(min_shared, 2, name="min_shared")
    taken = ("standard", "section", *map("n_{}".format, STATES), "n_cards", "filled_share")
    check_by(by, (*taken, *CORRECTED, *_FAMILIES))
    known = cards.cards if isinstance(cards, Sections) else cards
    author, census = author_column(known, cluster, population, by), population == "census"
    keep = {name for name in (by, families, author) if name is not None and name != "text"}
    read = as_sections(cards, sorted(keep))
    groups = _groups(read, by, families, author)
    tables = []
    for key in asked:
        states = states_of(read, key, min_shared).join(groups.lazy(), on="card")
        table = _counted(states, key, None if author is None else groups, census=census)
        named = [pl.lit(key).alias("standard")] if several else []
        named += [] if by is None else [pl.col("group").alias(by)]
        left_out = () if families is not None else _FAMILIES
        tables.append(table.select(*named, pl.exclude("group", *left_out)))
    return pl.concat(tables)


def _counted(
    states: pl.LazyFrame, standard: Standard, groups: pl.DataFrame | None, *, census: bool
) -> pl.DataFrame:
    """Count the states of each section, by group; `groups` say who made the cards of each."""
    filled = pl.col("state") == FILLED
    counts = {
        **{f"n_{name}": pl.col("state") == number for number, name in enumerate(STATES)},
        "n_in_metadata": pl.col("stated"),
        "n_only_in_metadata": pl.col("stated") & ~filled,
        "n_by_evidence": filled & pl.col("evidence").is_not_null(),
        "n_filled_families": filled & pl.col("stands"),
        "n_families": pl.col("stands"),
    }
    sums = {name: true.sum().cast(pl.Int64) for name, true in counts.items()}
    found = (
        states.group_by("group", "section")
        .agg(pl.len().cast(pl.Int64).alias("n_cards"), **sums)
        .sort("n_cards", "group", "section", descending=[True, False, False], nulls_last=True)
        .collect()
    )
    design = None
    if groups is not None:
        have = states.filter(filled).select("group", "section", "author").collect()
        design = designs_of(found, have, groups, by=["group"], value=["section"], author="author")
    found = with_interval(found, "n_filled", "n_cards", design, name="filled_share", census=census)
    found = with_corrected(found.with_columns(pl.col("section").cast(pl.String)), standard)
    # of a group no card may be the first of its family
    n_families = pl.when(pl.col("n_families") > 0).then("n_families")
    return found.select(
        *("group", "section", "n_filled", "n_placeholder", "n_boilerplate", "n_empty", "n_absent"),
        *("filled_share", "share_low", "share_high", *CORRECTED),
        *("n_cards", "n_in_metadata", "n_only_in_metadata", "n_by_evidence"),
        *("n_filled_families", "n_families"),
        (pl.col("n_filled_families") / n_families).alias("family_share"),
        *(AUTHOR_COLUMNS if design is not None else ()),
    )


def _groups(
    read: Sections, by: str | None, families: str | None, author: str | None
) -> pl.DataFrame:
    """Give ``card, group, stands, author``: one group without `by`, each of a list's items else.

    ``stands`` marks the cards that are the first of their family.
    """
    stands: Any = True
    if families is not None:
        family = read.places["whole"] if families == "text" else read.column(families)
        stands = pl.Series(first_of_families(family, read.places["id"]))
    group = "all" if by is None else read.column(by)
    names = {"group": group, "stands": stands}
    names["author"] = None if author is None else read.column(author)
    own = read.places.select("card", *(pl.lit(of).alias(name) for name, of in names.items()))
    if isinstance(own.schema["group"], pl.List):
        items = pl.col("group").list.drop_nulls().list.unique()
        own = own.with_columns(items).explode("group", empty_as_null=True, keep_nulls=True)
    return own


def card_coverage(
    cards: Any, *, standard: Standard = "huggingface", min_shared: int = MIN_SHARED
) -> pl.DataFrame:
    r"""Give the state of each section of a standard, card by card.

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

    Examples
    --------
    >>> cards = {"id": ["a"], "text": ["# Uses\n\nTo turn speech into words."]}
    >>> states = cl.card_coverage(cards, standard="mitchell2019")
    >>> states.filter(state="filled")["section", "heading"].rows()
    [('Intended Use', 'Uses')]
    """
    check_standard(standard)
    at_least(min_shared, 2, name="min_shared")
    read = as_sections(cards)
    states = states_of(read, standard, min_shared).join(read.places.lazy(), on="card")
    name = pl.col("state").replace_strict(range(len(STATES)), STATES, return_dtype=pl.String)
    found = states.sort("card", "section").select(
        *("id", pl.col("section").cast(pl.String), name, "n_words"),
        *(pl.col("title").cast(pl.String).alias("heading"), "evidence"),
        in_metadata="stated",
    )
    return found.collect()


# ---- What each heading of a corpus was taken to mean, and which mean nothing.


def heading_meanings(cards: Any, *, standard: Standard = "huggingface") -> pl.DataFrame:
    """List the headings of the cards, and which sections of a standard each answers.

    As :func:`~.unmapped_headings`, with ``concepts`` and ``sections`` (lists of str, of the
    standard); ``reason`` is null where it answers any.
    """
    check_standard(standard)
    read = as_sections(cards)
    found = read.texts.filter("is_heading")
    if not found.height:
        raise NoFigure(f"none of the {read.cards.height:,} cards has a heading.")
    heading = pl.col("title").cast(pl.String).str.slice(0, MAX_CHARS)
    titles = found.select(pl.col("title").unique()).with_columns(heading=heading)
    folded = pl.Series("folded", map(fold, titles["heading"]), dtype=pl.String)
    rows = (
        found.join(titles.with_columns(folded), on="title")
        .join(read.places.select("card", pl.col("id").cast(pl.String)), on="card")
        .group_by("folded", "concepts", "reason")
        .agg(
            pl.col("heading").mode().min(),
            pl.col("card").n_unique().cast(pl.Int64).alias("n_cards"),
            pl.len().cast(pl.Int64).alias("n_headings"),
            pl.col("id").min().alias("example_id"),
        )
        .with_columns(pl.col("concepts", "reason").cast(pl.String))
    )
    answers = [(item.name, set(item.concepts)) for item in sections_of(standard)]
    sections = [
        [name for name, asked in answers if not asked.isdisjoint(concepts.split())]
        for concepts in rows["concepts"]
    ]
    elsewhere = pl.lit("this standard has no section for it")  # but another one has
    elsewhere = pl.when(pl.col("concepts") != "").then(elsewhere)
    reason = pl.when(pl.col("sections").list.len() == 0).then(pl.coalesce("reason", elsewhere))
    return (
        rows.with_columns(pl.Series("sections", sections, dtype=STRINGS))
        .with_columns(reason.alias("reason"))
        .sort(-pl.col("n_cards"), "heading", "concepts", pl.col("reason").fill_null(""))
        .with_columns(pl.col("concepts").str.extract_all(r"\S+"))
        .select("heading", "n_cards", "n_headings", "concepts", "sections", "reason", "example_id")
    )


@taking_sources
def unmapped_headings(
    cards: Any, *, standard: Standard = "huggingface", top: int | None = None
) -> pl.DataFrame:
    r"""List the headings that answer no section of a standard, with the reason where it is known.

    Parameters
    ----------
    cards, standard, top
        As in :func:`section_coverage`; `top` only the headings on most cards, all by default.

    Returns
    -------
    pl.DataFrame
        ``heading`` (its most frequent spelling, without control characters, cut at 200
        characters), ``n_cards`` (cards that have it with this meaning), ``n_headings`` (how often
        it stands there), ``reason`` (null: nothing is known of it), ``example_id``. One heading
        can have several rows, since it can mean what the section does that it stands in. Most
        cards first. No rows where every heading answers a section.

    Raises
    ------
    MissingColumn
        The cards lack ``id`` or ``text``.
    CardlabError
        There is no such standard.
    NoFigure
        No card has a heading.

    Examples
    --------
    >>> from cardlab.coverage.coverage import unmapped_headings
    >>> cards = {"id": ["a"], "text": ["# Uses\n\nSpeech.\n\n# My dog\n\nIs a good one."]}
    >>> unmapped_headings(cards)["heading", "n_cards"].rows()
    [('My dog', 1)]
    """
    if top is not None:
        at_least(top, 1, name="top")
    found = heading_meanings(cards, standard=standard).filter(pl.col("sections").list.len() == 0)
    kept = found.select("heading", "n_cards", "n_headings", "reason", "example_id")
    return kept if top is None else kept.head(top)


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
        Weights of sections in place of its own (1 each); 0 leaves a section out.
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
    down = [True, True, False, False]
    ranked = (
        states_of(read, standard, min_shared)
        .filter(pl.col("section").cast(pl.String).is_in(list(weights)))
        .sort("card", "section")
        .group_by("card", maintain_order=True)
        .agg(
            missing=missing,
            unfinished=missing.filter(pl.col("state").filter(~done) > ABSENT),
            n_missing=(~done).sum().cast(pl.Int64),
            missing_share=(1 - weight.filter(done).sum() / weight.sum()).clip(0, 1),
        )
        .filter(pl.col("n_missing") > 0)
        .join(own.lazy(), on="card")
        .with_columns(score=pl.col("missing_share") * pl.col("value"), ranked_by=pl.lit(rank_by))
        .sort("score", "missing_share", "id", "card", descending=down, nulls_last=True)
        .select(
            *("id", "downloads", "missing", "unfinished", "n_missing", "missing_share", "score"),
            "ranked_by",
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
        days = (possible.max() - possible).dt.total_seconds().cast(pl.Float64) / 86_400
        return pl.lit(days)
    value = read.column(rank_by)
    if not value.dtype.is_numeric():
        raise CardlabError(
            f"rank_by must name a number; column {rank_by!r} holds {value.dtype}. Use 'downloads', "
            "'age', or a numeric column."
        )
    number = value.cast(pl.Float64)
    return pl.lit(number.set((~number.is_finite()).fill_null(False), None))
