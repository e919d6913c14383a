"""What a corpus says: sentences with their numbers, of which only those that hold are said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from ._claims import (
    APART,
    AUTHOR,
    FACTS,
    GROUP_CARDS,
    MAX_GROUPS,
    WORDS,
    Claim,
    Fact,
    Facts,
    apart,
    capital,
    difference_claims,
    in_words,
    named,
    p_value_of,
    percent,
    read_facts,
    share_claims,
    share_of,
    written_range,
)
from .comparison.compare import DERIVED, TOPICS, compare, compare_values
from .frames import Coded, as_lists, as_polars
from .overview.doubling import doubling_time
from .schema import CardlabError, NoFigure, at_least, collect, column_names, one_of
from .shares.authors import MIN_AUTHORS, MIN_EFFECTIVE, Population, author_column
from .shares.counting import numbered
from .tags.cooccurrence import FOLLOWS, considered, cooccurrence, table_of_pairs
from .tags.kinds import KINDS, NOT_PAIRED, parted, tag_kind
from .tags.trends import tag_trends
from .text.passages import Progress

#: Findings of one topic that are said, and the false discovery rate over all that was looked at.
PER_TOPIC, LEVEL = 2, 0.05
_SCHEMA = {
    "topic": pl.String, "finding": pl.String, "value": pl.Float64, "low": pl.Float64,
    "high": pl.Float64, "n": pl.Int64, "of": pl.Int64, "strength": pl.Float64,
    "held": pl.Boolean, "reason": pl.String, "figure": pl.String,
}  # fmt: skip
# ---- Pairs of tags, trends, growth, authors, another corpus: each from its own analysis.


def _tells(one: str, other: str, surer: float) -> bool:
    """Say whether a pair tells of the cards, and not of how tags are made.

    A paper that a template cites, two values of one list, and the task that the Hub takes from the
    kind of model do not.
    """
    prefixes = {parted(tag)[0] for tag in (one, other)}
    if "arxiv" in prefixes or (len(prefixes) == 1 and "" not in prefixes):
        return False
    return surer < FOLLOWS or "task" not in (tag_kind(one), tag_kind(other))


def _pair_claims(cards: Any, facts: Facts, cluster: str | None) -> Iterator[Claim]:
    """Say of the tags that are on the same cards beyond chance how often they are."""
    pairs = cooccurrence(cards, cluster=cluster)
    # a rare pair says little of a corpus
    frequent_enough = (pl.col("n_cards") >= GROUP_CARDS) & (pl.col("lift") > 1)
    shown = pairs.filter(~pl.col("derived") & frequent_enough)
    surer = pl.max_horizontal("confidence_ab", "confidence_ba")
    told = [_tells(*row) for row in shown.select("tag_a", "tag_b", surer).iter_rows()]
    shown = shown.filter(told).head(MAX_GROUPS)
    tags = pl.concat([shown["tag_a"], shown["tag_b"]]).unique().to_list()
    lists = as_lists(collect(as_polars(cards).lazy().select("tags"))["tags"]).alias("tags")
    rows = {tag: lists.list.contains(tag).fill_null(False).to_numpy() for tag in tags}
    for row in shown.iter_rows(named=True):
        frequent, rare = ("tag_a", "tag_b") if row["n_a"] >= row["n_b"] else ("tag_b", "tag_a")
        inside, has = rows[row[rare]], rows[row[frequent]]
        here = share_of(facts, inside.nonzero()[0], has[inside])
        whole = share_of(facts, np.arange(len(has)), has)
        does = f"are tagged “{named(row[frequent])}” too"
        figure = "cl.plot_cooccurrence(cl.cooccurrence(cards))"
        fact = Fact("tags", row[rare], "cards", does, figure)
        for claim in apart(facts, fact, f"tagged “{named(row[rare])}”", here, whole):
            # the analysis has q-values of its own, over all pairs
            claim.p_value = max(claim.p_value, 1.0 if row["q_value"] is None else row["q_value"])
            yield claim


def _trend_claims(cards: Any, facts: Facts, cluster: str | None) -> Iterator[Claim]:
    kinds = [kind for kind in KINDS if kind not in NOT_PAIRED]
    trends = tag_trends(cards, kinds=kinds, cluster=cluster)
    periods = trends.unique("period")
    dated = _sum(periods, "n_period")
    most = max(periods["n_period"].to_list(), default=0) / max(dated, 1)
    whole = _undated(dated / facts.frame.height)
    if whole is None and most > 0.5:
        whole = f"{percent(most)} of the dated cards are of one quarter"
    of_tags = trends.drop_nulls("card_share").group_by("tag", maintain_order=True)
    for (tag,), rows in of_tags:
        reliable, *ends = rows.select("is_reliable", "slope", "slope_low", "slope_high").row(0)
        if None in ends:
            continue
        slope, low, high = ends
        ratio, ratio_low, ratio_high = np.exp(ends).tolist()
        in_order, n_quarters = rows.sort("period"), max(rows.height // 3, 1)
        thirds = in_order.head(n_quarters), in_order.tail(n_quarters)
        first, last = (_sum(part, "n_cards") / _sum(part, "n_period") for part in thirds)
        fewest = min(_sum(part, "n_period") for part in thirds)
        n, of = _sum(rows, "n_cards"), _sum(rows, "n_period")
        third = "quarter" if n_quarters == 1 else f"{n_quarters} quarters"
        yield Claim(
            "trends",
            str(tag),
            f"“{named(str(tag))}” becomes {'more' if slope > 0 else 'less'} common: on "
            f"{percent(first)} of the new cards in the first {third} and {percent(last)} in the "
            f"last; its odds change {ratio:.2f}-fold a quarter "
            f"({ratio_low:.2f} to {ratio_high:.2f}).",
            "cl.plot_trends(cl.tag_trends(cards))",
            *(ratio, ratio_low, ratio_high, n, of),
            expected=1.0,
            p_value=p_value_of(slope, low, high, 1000),
            scope=n / of,
            reason=whole or _unsure(reliable, fewest, turns=(last > first) != (slope > 0)),
        )


def _unsure(is_reliable: bool, fewest: int, *, turns: bool) -> str | None:
    """Say that the slope of a tag is not to be relied on, or not the whole story."""
    if fewest < MIN_EFFECTIVE:
        return f"a third of the time has only {fewest} new cards"
    if not is_reliable:
        return "too few of its cards or authors to tell, or too few early cards"
    return "its share turns" if turns else None


def _sum(frame: pl.DataFrame, column: str) -> int:
    return int(frame[column].sum())


def _undated(dated: float) -> str | None:
    """Say that time says little of a corpus most of whose cards have no true date."""
    return f"{percent(1 - dated)} of the cards have no true date" if dated < 0.5 else None


def _growth_claims(cards: Any) -> Iterator[Claim]:
    row = doubling_time(cards).row(0, named=True)
    weeks, low, high = (row[name] for name in ("doubling_weeks", "low", "high"))
    ends = "" if low is None else f" ({low:.0f} to {'more' if high is None else f'{high:.0f}'})"
    said = f"the new cards of a week double every {weeks or 0:.0f} weeks{ends}"
    yield Claim(
        "growth",
        "growth",
        f"{said}, between {row['start']:%B %Y} and {row['end']:%B %Y}: {row['n_cards']:,} cards."
        if weeks
        else "no doubling time.",
        "cl.plot_doubling(cl.doubling_time(cards, curve=True))",
        *(weeks, low, high, row["n_cards"], row["n_cards"]),
        # nothing is given where the interval of the rate holds 0
        p_value=0.0 if weeks else 1.0,
        scope=row["dated_share"],
        reason=row["reason"] or _undated(row["dated_share"] * (1 - row["floor_share"])),
    )


def _author_claims(facts: Facts) -> Iterator[Claim]:
    """Say what share of the cards the ten largest authors made."""
    from scipy.special import bdtrc

    sizes = facts.frame[AUTHOR].drop_nulls().value_counts(name="n")
    sizes = sizes.sort("n", AUTHOR, descending=[True, False])
    n_authors, total = sizes.height, int(sizes["n"].sum())
    if n_authors < 5 * MIN_AUTHORS:
        return
    top = int(sizes["n"].head(10).sum())
    # among authors of equal chances, the largest of all would have so many by luck
    largest = int(sizes["n"][0])
    chance = min(1.0, n_authors * float(bdtrc(largest - 1, total, 1 / n_authors)))
    yield Claim(
        "authors",
        "authors",
        f"ten of {n_authors:,} authors made {in_words(top / total)} of the cards: {top:,} of "
        f"{total:,} ({100 * top / total:.1f} %), the largest, {named(sizes[AUTHOR][0])}, "
        f"{percent(largest / total)}.",
        "cl.plot_concentration(cl.concentration(cards, column=None, curve=True))",
        value=top / total,
        n=top,
        of=total,
        expected=10 / n_authors,
        p_value=chance,
        scope=0.05,
        reason=None if top / total >= 0.1 else "ten authors made less than a tenth of the cards",
    )


def _other_claims(cards: Any, baseline: Any, names: tuple[str, str]) -> Iterator[Claim]:
    ours, theirs = names
    for column, does in WORDS["compared"].items():
        try:
            rows = compare_values(cards, baseline, column=column)
        except NoFigure:
            continue
        shown = rows.drop_nulls("value").head(MAX_GROUPS)
        for row in shown.drop_nulls(["share_difference_low", "share_difference_high"]).to_dicts():
            gap, low, high = (row[f"share_difference{end}"] for end in ("", "_low", "_high"))
            yield Claim(
                "comparison",
                column,
                f"{percent(row['share_a'])} of the cards of {ours} "
                f"{does.format(named(row['value']))}, against {percent(row['share_b'])} of "
                f"{theirs}: {row['n_a']:,} of {row['n_cards_a']:,} against {row['n_b']:,} of "
                f"{row['n_cards_b']:,} (a difference of {written_range(low, high, ' points')}).",
                f"cl.plot_comparison(cl.compare_values(cards, baseline, column={column!r}))",
                *(gap, low, high, row["n_a"], row["n_cards_a"]),
                p_value=1.0 if row["q_value"] is None else row["q_value"],
                reason=None if abs(gap) >= APART else "the shares differ by less than 10 points",
            )


# ---- Which of them hold.


def findings(
    cards: Any,
    *,
    baseline: Any = None,
    names: tuple[str, str] = ("these cards", "the baseline"),
    cluster: str | None = "author",
    population: Population = "sample",
    random_state: int = 0,
) -> pl.DataFrame:
    """Say what a corpus shows, in sentences of which each holds, and what was looked for in vain.

    Parameters
    ----------
    cards : frame
        Whatever of the columns of :func:`scan_cards` is there is looked at: licences, languages,
        models they were made from, tasks, libraries, tags, dates, texts.
    baseline : frame, optional
        Another corpus to hold the shares against, by the name `names` has for it.
    names : tuple of str
        What the sentences call the two.
    cluster : str or None
        The column of authors, whose cards are alike; see :func:`license_counts`. None: cards count
        as independent.
    population : {"sample", "census"}
        Of a census, such as all models of one's organisation, shares are exact: they have no
        interval, and are said where they are 10 points from what one would expect, however few
        the authors. Pairs, trends and growth are tested as those of a sample.
    random_state : int
        Seed of the part that is read of more than 50,000 texts.

    Returns
    -------
    pl.DataFrame
        ``topic``; ``finding``, a sentence with its number, denominator and 95 % interval;
        ``value``, ``low``, ``high`` (a share 0-1, a difference of shares -1 to 1, a ratio, or
        weeks; the ends null where there is no interval); ``n``, ``of`` (cards, and of how many);
        ``strength`` (0 and up: how far from what one would expect without the corpus - half of the
        cards, equal shares of values, no difference - in half widths of the interval, of which
        many count little more than a few, times the share of the cards that it is true of);
        ``held`` (bool); ``reason`` (why not, else null); ``figure`` (the call that shows it, of
        ``cards`` and ``cl``). Those that hold come first, the strongest of each topic before the
        second of any; then the others, by strength.

    Raises
    ------
    NoFigure
        There are no cards.

    Notes
    -----
    A sentence holds where: its value is farther from what is expected than chance gives (false
    discovery rate of 0.05 over all that was looked at: Y. Benjamini and Y. Hochberg, Journal of the
    Royal Statistical Society B 57, 1995); enough independent cards and authors stand behind it, and
    a share's interval is narrow enough for it (see ``is_reliable`` of :func:`license_counts`);
    without the author, and without the family of copies, that has most of its cards, it is on the
    same side of what is expected and at least half as far from it, which is said where it changes
    much. At most two of a topic are said. A doubling time is given where :func:`doubling_time`
    gives one.

    Examples
    --------
    >>> found = cl.findings(cl.make_cards(200).drop("text"))
    >>> found.filter("held")["finding"][0]
    'The new cards of a week double every 26 weeks (20 to 38), between April 2022 and September
    2024: 190 cards.'
    """
    one_of(population, get_args(Population), name="population")
    author = author_column(cards, cluster, "sample")
    facts = read_facts(cards, author, random_state, census=population == "census")
    if not facts.frame.height:
        raise NoFigure("there are no cards, and nothing to find. Check the source, or a filter.")
    counted = (f for f in FACTS if f.column in facts.frame.columns and f.topic != "length")
    claims = [claim for fact in counted for claim in share_claims(facts, fact)]
    claims += difference_claims(facts)
    claims += _author_claims(facts) if author else []
    looks: dict[str, tuple[set[str], Callable[[], Iterator[Claim]]]] = {
        "tags": ({"tags"}, lambda: _pair_claims(cards, facts, author)),
        "growth": ({"created_at"}, lambda: _growth_claims(cards)),
        "trends": ({"tags", "created_at"}, lambda: _trend_claims(cards, facts, author)),
    }
    if baseline is not None:
        looks["comparison"] = (set(), lambda: _other_claims(cards, baseline, names))
    have = column_names(cards)
    for topic, (needs, look) in looks.items():
        try:
            claims += list(look()) if needs <= {*have} else []
        except NoFigure as why:
            claims.append(Claim(topic, topic, f"nothing on {topic}.", "", reason=str(why)))
    return _table(claims)


def _table(claims: list[Claim]) -> pl.DataFrame:
    """Decide what holds, choose what is said, and give all as a frame."""
    from scipy.stats import false_discovery_control

    p_values = np.array([claim.p_value for claim in claims])
    sure = false_discovery_control(p_values) <= LEVEL if len(claims) else p_values > 0
    for claim, is_sure in zip(claims, sure, strict=True):
        if claim.reason is None and not is_sure:
            claim.reason = "chance gives as much among all that was looked at"
    said: dict[str, list[str]] = {}
    for claim in sorted(claims, key=lambda claim: -claim.strength):
        if claim.reason is None:
            _without_one(claim)
        if claim.reason is None:
            about = said.setdefault(claim.topic, [])
            if len(about) < PER_TOPIC and claim.about not in about:
                about.append(claim.about)
            else:
                claim.reason = f"it holds, but something stronger on {claim.topic} is said"
    named_alike = _SCHEMA.keys() - {"finding", "held"}
    rows = [
        {name: getattr(claim, name) for name in named_alike}
        | {"finding": capital(claim.sentence), "held": claim.reason is None}
        for claim in claims
    ]
    table = pl.DataFrame(rows, schema=_SCHEMA)
    # the interval of what is counted, and not estimated, is the value itself
    ends = pl.when(pl.col("low").ne_missing(pl.col("high"))).then(pl.col("low", "high"))
    table = table.with_columns(ends)
    order = pl.col("strength").rank("ordinal", descending=True).over("topic", "held")
    return (
        table.with_columns(place=pl.when("held").then(order).otherwise(0))
        .sort(["held", "place", "strength", "finding"], descending=[True, False, True, False])
        .drop("place")
    )


def _without_one(claim: Claim) -> None:
    """Hold a claim against its value without the largest author and family."""
    if (value := claim.value) is None:
        return
    gap = value - claim.expected
    others = {name: left for name, left in claim.without().items() if left == left}
    if not others:
        return
    name, left = min(others.items(), key=lambda one: (one[1] - claim.expected) / gap)
    if not (left - claim.expected) / gap >= 0.5:
        claim.reason = f"it rests on one: without {named(name)}, {claim.say(left)}"
        return
    name, left = max(others.items(), key=lambda one: abs(one[1] - value))
    if abs(left - value) > min(0.03, 0.2 * abs(value)):
        claim.sentence += f" Without {named(name)}, {claim.say(left)}."


# ---- How often it is said where nothing is.

Control = Literal["cooccurrence", "compare"]
_CONTROLS = {
    **{"what": pl.String, "column": pl.String, "author_share": pl.Float64},
    **{"n_draws": pl.Int64, "n_tests": pl.Int64, "n_false": pl.Int64, "false_share": pl.Float64},
    **{"n_false_q": pl.Int64, "false_q_share": pl.Float64},
}
_FALSE = 0.05


def negative_control(
    cards: Any,
    *,
    of: Control = "cooccurrence",
    author_shares: Sequence[float] = (0.5, 0.2, 0.05),
    n_draws: int = 20,
    cluster: str | None = "author",
    random_state: int = 0,
    **options: Any,
) -> pl.DataFrame:
    """Say how often pairs of tags, or two corpora, come out as beyond chance where nothing is.

    Parameters
    ----------
    cards : frame
        As for :func:`cooccurrence` or :func:`compare`.
    of : {"cooccurrence", "compare"}
        What is tried: pairs of the tags with properties that are drawn at random for each author,
        or two random halves of the authors as two corpora.
    author_shares : sequence of float
        The chance (0-1) of an author to have a property; halves are at 0.5.
    n_draws : int
        Properties of each chance, or halves.
    cluster : str or None, default "author"
        The column of authors. None takes cards as independent in the tests, though the
        properties are those of ``author`` still: what is then found is what authors pretend.
    random_state : int
        Seed of the draws.
    **options
        What else :func:`cooccurrence` takes, but `families`; or ``columns`` of :func:`compare`.

    Returns
    -------
    pl.DataFrame
        One row a chance, or a column that is compared:

        - ``what`` (`of`), ``column``, ``author_share``, ``n_draws``;
        - ``n_tests``: pairs of a tag with a random property that were tested, or halves;
        - ``n_false`` of them with p < 0.05, ``false_share`` (0-1; 0.05 is what p promises);
        - ``n_false_q``, ``false_q_share``: the same with q < 0.05; null for corpora, which have no
          q. Shares are null without a test.

    Raises
    ------
    NoFigure
        The cards have no column of authors, fewer than two authors, or nothing to be tested.
    MissingColumn, CardlabError
        As those two raise them.

    Notes
    -----
    M. Lipsitch and others, "Negative controls: a tool for detecting confounding and bias in
    observational studies", Epidemiology 21 (2010), 383-388. All properties of one chance are tags
    of the same cards at once, beside the true ones.

    Examples
    --------
    >>> control = cl.negative_control(cl.make_cards(500), author_shares=[0.5], n_draws=5)
    >>> control["n_tests", "n_false", "false_share"].row(0)
    (366, 32, 0.087...)
    """
    one_of(of, get_args(Control), name="of")
    at_least(n_draws, 1, name="n_draws")
    at_least(random_state, 0, name="random_state")
    for share in author_shares:
        if not 0 < share < 1:
            raise CardlabError(f"author_shares must be above 0 and below 1, not {share!r}.")
    by = author_column(cards, "author" if cluster is None else cluster, "sample")
    if by is None:
        raise NoFigure("the cards have no column 'author'; name another with cluster=.")
    draws = n_draws, np.random.default_rng(random_state)
    if of == "compare":
        rows = _halves(cards, by, cluster, *draws, **options)
    else:
        rows = _properties(cards, by, cluster, author_shares, *draws, **options)
    found = pl.DataFrame(list(rows), schema=_CONTROLS)
    found = found.with_columns(what=pl.lit(of), n_draws=pl.lit(n_draws, pl.Int64))
    if not found["n_tests"].sum():
        raise NoFigure("nothing could be tested: too few cards or authors have the same values.")
    return found.with_columns(
        pl.when(pl.col("n_tests") > 0).then(pl.col(f"n_{part}") / pl.col("n_tests")).alias(share)
        for part, share in (("false", "false_share"), ("false_q", "false_q_share"))
    )


def _properties(
    cards: Any,
    by: str,
    cluster: str | None,
    author_shares: Sequence[float],
    n_draws: int,
    generator: np.random.Generator,
    *,
    min_authors: int = 5,
    **options: Any,
) -> Iterator[dict[str, Any]]:
    """Give the false alarms of the tags with random properties of authors, for each chance."""
    coded, author, _ = considered(cards, by, **options)
    n_authors = _enough(author)
    progress = Progress(len(author_shares), "chances")
    for share in author_shares:
        has = generator.random((n_authors, n_draws)) < share
        more = _with_properties(coded, has[author])
        least = {"min_cards": options.get("min_cards", 5), "min_authors": min_authors}
        found = table_of_pairs(more, None if cluster is None else author, **least)
        # the tag that comes first in a pair is one of the cards', the other a property
        is_random = [
            pl.col(f"tag_{side}").is_in(more.names[len(coded.names) :].implode()) for side in "ab"
        ]
        found = found.filter(~is_random[0] & is_random[1]).drop_nulls("p_value")
        n_false, n_false_q = (int((found[of] < _FALSE).sum()) for of in ("p_value", "q_value"))
        tests = {"n_tests": found.height, "n_false": n_false, "n_false_q": n_false_q}
        yield {"column": options.get("column", "tags"), "author_share": share, **tests}
        progress.step(1)
    progress.end()


def _with_properties(coded: Coded, has: Any) -> Coded:
    """Add a value for each column of `has`, whose rows are the cards; their names come last."""
    names = pl.Series([f"\U0010ffff{number:06}" for number in range(has.shape[1])])
    card, code = np.nonzero(has)
    every = np.append(coded.of_each(np.arange(coded.n_cards)), card)
    order = np.argsort(every, kind="stable")
    codes = np.append(coded.code, code + len(coded.names))[order]
    return Coded(pl.concat([coded.names, names]), codes, coded.lengths + has.sum(axis=1))


def _halves(
    cards: Any,
    by: str,
    cluster: str | None,
    n_draws: int,
    generator: np.random.Generator,
    *,
    columns: Sequence[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """Give how many random halves of the authors are found apart, for each column."""
    have, asked = column_names(cards), list(TOPICS if columns is None else columns)
    frame = as_polars(cards).lazy()
    made = [DERIVED[name] for name in asked if name not in have and name in DERIVED]
    for make in dict.fromkeys(make for base, make in made if base in have):
        frame = make(frame)
    have = frame.collect_schema().names()
    kept = [name for name in asked if name in have]
    held = frame.select(list(dict.fromkeys([by, *kept]))).collect()
    compared = kept if columns is None and kept else columns
    author = numbered(held[by])
    n_authors = _enough(author)
    progress, found = Progress(n_draws, "draws"), []
    for _ in range(n_draws):
        half = pl.Series(generator.permutation(n_authors)[author] < n_authors // 2)
        seed = int(generator.integers(1 << 31))
        halves = held.filter(half), held.filter(~half)
        apart = compare(*halves, columns=compared, cluster=cluster, random_state=seed)
        found.append(apart.drop_nulls("p_value").select("column", "p_value"))
        progress.step(1)
    progress.end()
    counts = (
        pl.concat(found)
        .group_by("column")
        .agg(author_share=0.5, n_tests=pl.len(), n_false=(pl.col("p_value") <= _FALSE).sum())
    )
    yield from counts.sort("column").to_dicts()


def _enough(author: Any) -> int:
    """Count the authors, or say that there are too few to draw."""
    n_authors = int(author.max(initial=-1)) + 1
    if n_authors < 2:
        raise NoFigure(
            f"the cards have {n_authors} author(s); a negative control draws among two or more."
        )
    return n_authors
