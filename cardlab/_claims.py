"""Shares and differences of shares of a corpus as claims: a row of numbers, and its sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from .coverage.bodies import FILLED
from .coverage.headings import Standard, sections_of, standard_for
from .coverage.reading import MIN_SHARED, read_sections, states_of
from .families import with_families
from .frames import as_lists, as_polars, text_key
from .languages import language_name, with_languages
from .licenses.counts import with_licenses
from .overview.time import judge
from .schema import collect, column_names, printable, shorten, words_of
from .shares.authors import (
    MIN_AUTHORS,
    MIN_EFFECTIVE,
    NARROW,
    WIDE,
    WIDE_RATIO,
    difference,
    share_effect,
    wilson,
)
from .text.lengths import with_text_lengths

#: Cards and authors from which on a group is looked at, groups of a column and values at most.
GROUP_CARDS, GROUP_AUTHORS, MAX_GROUPS, TOP_VALUES = 20, 5, 12, 3
#: Texts up to which near copies are looked for and sections are read; of more, copies to the
#: letter, and the sections and words of so many drawn at random.
MAX_TEXTS, MAX_READ = 50_000, 10_000
#: Smallest difference of shares that is worth a sentence.
APART = 0.10

#: Half widths from what is expected that weigh half as much as any number of them.
SURE = 4

#: The sections that are looked at: of models those counted on the Hub before.
STANDARDS: dict[Standard, str] = {
    "liang2024": "model card section",
    "huggingface_datasets": "data set card section",
}

AUTHOR, FAMILY, _ROW = "__author", "__family", "__row"


@dataclass
class Claim:
    """One row of numbers and the sentence that is made of it.

    `about` is what no second finding of the topic is said about, `expected` what a reader would
    expect without the corpus, `p_value` how easily chance gives a value as far from it, `scope` the
    share of the cards that it is about. `without` gives the value without the largest author and
    without the largest family, by what is left out. A `reason` says why it does not hold.
    """

    topic: str
    about: str
    sentence: str
    figure: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    of: int | None = None
    expected: float = 0.0
    p_value: float = 1.0
    scope: float = 1.0
    without: Callable[[], dict[str, float]] = dict
    say: Callable[[float], str] = field(default=lambda value: percent(value))
    reason: str | None = None

    @property
    def strength(self) -> float:
        """How far the value is from what is expected, in half widths, times the cards concerned.

        What is far beyond chance is hardly surer for being farther: else a rare property, whose
        interval is narrow, would stand before what most cards have.
        """
        if self.value is None:
            return 0.0
        low, high = (self.value if end is None else end for end in (self.low, self.high))
        # what is counted, and not estimated, is told from what is expected by five points
        half = max((high - low) / 2, 1e-3 * max(abs(self.value), 1e-3)) if high > low else 0.05
        distance = abs(self.value - self.expected) / half
        return distance / (1 + distance / SURE) * self.scope


# ---- Words for numbers.

_FRACTIONS = {
    1 / 10: "one in ten", 1 / 5: "one in five", 1 / 4: "a quarter", 1 / 3: "a third",
    1 / 2: "half", 2 / 3: "two thirds", 3 / 4: "three quarters", 4 / 5: "four in five",
    9 / 10: "nine in ten",
}  # fmt: skip


def in_words(share: float) -> str:
    """Say a share by a plain fraction where one is within a percent of all, else in percent."""
    near = min(_FRACTIONS, key=lambda fraction: abs(fraction - share))
    return _FRACTIONS[near] if abs(near - share) <= 0.01 else percent(share)


def percent(share: float) -> str:
    """Write a share in percent, small and large ones with a digit after the point."""
    value = 100 * share
    return f"{value:.0f} %" if 10 <= value <= 90 or value in (0, 100) else f"{value:.1f} %"


def interval_of(share: float, low: float | None, high: float | None) -> str:
    """Write the interval of a share, after the share itself where words stand for it."""
    said = [] if in_words(share) == percent(share) else [f"{100 * share:.1f} %"]
    said += [written_range(low, high)] if low != high else []
    return f" ({'; '.join(said)})" if said else ""


def written_range(low: float | None, high: float | None, unit: str = " %") -> str:
    if low is None or high is None:
        return ""
    if low == high:
        return f"{abs(100 * low):.0f}{unit}"
    if high < 0:  # "11 to 46 points" says it, since both shares are there
        low, high = -high, -low
    digits = 0 if high - low >= 0.02 and low >= 0.005 else 1
    ends = f"{100 * low:.{digits}f} to {100 * high:.{digits}f}{unit}"
    return f"{ends} where authors are taken as drawn"


def capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def named(value: str) -> str:
    return shorten(printable(value), 60)


# ---- What is known of each card: one row a card, narrow columns.


@dataclass(frozen=True)
class Fact:
    """A row of ``facts`` in ``data/findings.toml``, which says what is what."""

    topic: str
    column: str
    among: str
    does: str
    figure: str
    expected: float = 0.5

    @property
    def has_values(self) -> bool:
        """Say whether it is about the values of its column, which is true or false otherwise."""
        return "{}" in self.does

    def said_of(self, value: Any) -> str:
        """Say what cards do that have a value."""
        name = language_name(value) if self.column == "language_codes" else None
        return self.does.format(named(name or value)) if self.has_values else self.does


WORDS = words_of("findings")
FACTS = [Fact(**row) for row in WORDS["facts"]]
FACTS += [
    Fact(
        *("documentation", f"{what} {section.name}", "cards with a text"),
        f"fill in the {what} “{section.name}”",
        f'cl.plot_coverage(cl.section_coverage(cards, standard="{standard}"))',
    )
    for standard, what in STANDARDS.items()
    for section in sections_of(standard)
]


@dataclass(frozen=True)
class Facts:
    """What is known of each card, a row for each, and whose it is: `author` has the codes of names.

    A card without an author has a code of its own; `family` are codes of the same kind. Of a census
    shares are exact.
    """

    frame: pl.DataFrame
    author: Any
    names: pl.Series
    census: bool
    family: Any = None

    def known(self, fact: Fact) -> tuple[Any, pl.Series]:
        """Give the rows that can have a fact, and its value there."""
        values = self.frame[fact.column]
        known = values.is_not_null()
        if values.dtype == pl.List:
            known &= values.list.len() > 0
        rows = known.fill_null(False).arg_true()
        return rows.to_numpy(), values.gather(rows)

    def drawn(self, fact: Fact) -> str:
        """Say that only a random part of the texts was read for a fact."""
        if fact.column != "long" and fact.topic != "documentation":
            return ""
        read, whole = (self.frame[name].count() for name in ("long", "copied"))
        return " drawn at random" if read < whole else ""


def _coded(values: pl.Series) -> tuple[Any, pl.Series]:
    """Give values numbers in the order of their names, and each null one of its own."""
    names = values.drop_nulls().unique().sort()
    code = names.search_sorted(values).cast(pl.Int64).to_numpy(writable=True)
    none = values.is_null().to_numpy()
    code[none] = len(names) + np.arange(none.sum())
    return code, names


def read_facts(cards: Any, author: str | None, seed: int, *, census: bool) -> Facts:
    """Read what the facts need; a column that cannot be is not there."""
    have = column_names(cards)
    frame = as_polars(cards).lazy()
    columns = [(pl.col(author) if author else pl.lit(None)).cast(pl.String).alias(AUTHOR)]
    if "license" in have:
        frame = with_licenses(frame)
        declared = pl.col("license_spdx").list.len().fill_null(0) > 0
        classes = pl.when(declared).then("license_class").alias("license_class")
        columns += [declared.alias("licensed"), classes]
    if "languages" in have:
        frame = with_languages(frame)
        codes = pl.col("language_codes")
        columns += [(codes.list.len().fill_null(0) > 0).alias("speaks"), codes]
    plain = ("base_model", "pipeline_tag", "library_name", "created_at")
    columns += [pl.col(name) for name in plain if name in have]
    columns += [text_key().alias(FAMILY)] if "text" in have else []
    facts = collect(frame.select(columns))
    if "base_model" in have:
        bases = as_lists(facts["base_model"]).list.drop_nulls().alias("base_model")
        facts = facts.with_columns(bases, descends=bases.list.len().fill_null(0) > 0)
    if "text" in have and facts[FAMILY].count():
        written = _written(cards, facts[FAMILY], seed)
        facts = facts.with_columns(_copies(cards, facts[FAMILY])).with_row_index(_ROW)
        facts = facts.join(written, on=_ROW, how="left", maintain_order="left")
    if "created_at" in have:
        true = judge(facts["created_at"]).true
        # a corpus of whose cards few have a date, or most the same, has no halves
        if true.count() >= facts.height / 2 and true.n_unique() > 20:
            half = pl.when(true > true.median()).then(pl.lit("newer")).otherwise(pl.lit("older"))
            facts = facts.with_columns(pl.when(true.is_not_null()).then(half).alias("half"))
    family = _coded(facts[FAMILY])[0] if "copied" in facts.columns else None
    return Facts(facts, *_coded(facts[AUTHOR]), census, family)


def _copies(cards: Any, key: pl.Series) -> list[pl.Series]:
    """Give the family of each text, and whether another card shares it; of many, to the letter."""
    family = key
    if key.count() <= MAX_TEXTS and "id" in column_names(cards):
        found = collect(
            with_families(as_polars(cards).lazy().select("id", "text")).select("family")
        )
        family = found["family"]
    copied = family.is_not_null() & family.is_duplicated()
    return [family.cast(pl.String).alias(FAMILY), copied.set(key.is_null(), None).alias("copied")]


def _written(cards: Any, key: pl.Series, seed: int) -> pl.DataFrame:
    """Say which texts are longer than the median, and which fill in the sections of a standard.

    By the number of their row; of many texts a random part is read.
    """
    rows = key.is_not_null().arg_true()
    if len(rows) > MAX_READ:
        rows = rows.sample(MAX_READ, seed=seed).sort()
    frame = as_polars(cards).lazy().with_row_index(_ROW)
    frame = frame.filter(pl.col(_ROW).is_in(rows.implode())) if len(rows) < len(key) else frame
    long = (pl.col("n_words") > pl.col("n_words").median()).alias("long")
    found = collect(with_text_lengths(frame, measures=["n_words"]).select(_ROW, long))
    if "id" not in column_names(cards):
        return found
    standard = standard_for(cards)
    states = states_of(read_sections(frame, keep=[_ROW], lengths=False), standard, MIN_SHARED)
    name = pl.format(f"{STANDARDS[standard]} {{}}", "section").alias("section")
    filled = states.select("card", name, filled=pl.col("state") == FILLED).collect()
    wide = filled.pivot("section", index="card", values="filled")
    # `card` is the row among those that were read
    numbered = found.with_columns(card=pl.int_range(pl.len()).cast(wide["card"].dtype))
    return numbered.join(wide, on="card", how="left", maintain_order="left")


# ---- Shares: how many cards do what.


@dataclass(frozen=True)
class Share:
    """How many cards of some have a value: `of` and `n` have the cards of each author."""

    of: Any
    n: Any
    census: bool = False

    @cached_property
    def numbers(self) -> dict[str, Any]:
        """Give the share, its 95 % interval (of a census no wider than itself), and the cards."""
        n, of = int(self.n.sum()), int(self.of.sum())
        effect, n_authors = self.design
        low, high = wilson(n, of, design_effect=effect, n_authors=n_authors)
        if self.census:
            low = high = n / of
        return {"value": n / of, "low": float(low), "high": float(high), "n": n, "of": of}

    @property
    def residual(self) -> Any:
        """Give what each author's cards have beyond the share."""
        return self.n - self.numbers["value"] * self.of

    @property
    def spread(self) -> float:
        """Give the variance of the sum of the residuals."""
        return float(self.design[0] * self.numbers["n"] * (1 - self.numbers["value"]))

    @cached_property
    def design(self) -> tuple[float, int]:
        """Give the design effect, and the authors who have any of the cards."""
        return share_effect(self.n, self.of)

    @property
    def weakness(self) -> str | None:
        """Say that too few cards or authors stand behind it, after the rules of shares."""
        of, (effect, n_authors) = self.of.astype(float), self.design
        if self.census:
            return None
        if of.sum() / effect < MIN_EFFECTIVE:
            worth = f"{of.sum() / effect:.0f} drawn one by one"
            return f"its {self.of.sum():,} cards tell only as much as {worth}"
        if n_authors < MIN_AUTHORS:
            return f"only {n_authors} authors stand behind it"
        if of.sum() ** 2 / (of**2).sum() < MIN_AUTHORS:
            return "a few authors have most of its cards"
        return None

    def without(self, one: int) -> float:
        """Give the share without one author; NaN where nothing is left."""
        of = self.of.sum() - self.of[one]
        return float((self.n.sum() - self.n[one]) / of) if of else np.nan

    def leading(self) -> set[int]:
        """Name who has most of the cards with the value, and most of all."""
        return {int(self.n.argmax()), int(self.of.argmax())}


def share_of(facts: Facts, rows: Any, has: Any, code: Any = None) -> Share:
    """Count the cards of some rows, and those that have a value, by author or another code."""
    code = facts.author if code is None else code
    size = int(code.max(initial=-1)) + 1
    of, n = (np.bincount(code[at], minlength=size) for at in (rows, rows[has]))
    return Share(of, n, facts.census)


def p_value_of(
    value: float, low: float, high: float, n_authors: float, expected: float = 0.0
) -> float:
    """Say how easily chance gives a value as far from the expected, by its 95 % interval."""
    from scipy.special import stdtr, stdtrit

    half = value - low if value > expected else high - value
    df = max(n_authors - 1, 1)
    return float(2 * stdtr(df, -abs(value - expected) / max(half, 1e-12) * stdtrit(df, 0.975)))


def _top_values(fact: Fact, values: pl.Series, n: int) -> tuple[list[Any], int]:
    """Give the most frequent values of a fact, and how many there are."""
    if not fact.has_values:
        return [True], 1
    items = values.explode() if values.dtype == pl.List else values
    counts = items.drop_nulls().value_counts(name="n")
    top = counts.sort("n", values.name, descending=[True, False])[values.name]
    return top.head(n).to_list(), len(top)


def _has(values: pl.Series, value: Any) -> Any:
    has = values.list.contains(value) if values.dtype == pl.List else values == value
    return has.fill_null(False).to_numpy()


def share_claims(facts: Facts, fact: Fact) -> Iterator[Claim]:
    """Say on how many cards a fact is, or its most frequent value."""
    rows, values = facts.known(fact)
    tops, n_values = _top_values(fact, values, 1)
    if not len(rows) or not tops:
        return
    has = _has(values, tops[0])
    share = share_of(facts, rows, has)
    value, low, high, n, of = share.numbers.values()
    expected = 1 / max(n_values, 2) if fact.has_values else fact.expected
    none = None if n else "no card has any"
    if fact.column == "copied" and value <= expected:
        none = "copies are few"
    elif n and not facts.census and high - low > max(NARROW, min(WIDE, WIDE_RATIO * value)):
        none = f"its interval is wide: {written_range(low, high)}"
    elif facts.census and abs(value - expected) < APART:
        none = f"it is within {100 * APART:.0f} points of what one would expect"

    def without() -> dict[str, float]:
        left = {_author(facts, one): share.without(one) for one in share.leading()}
        if facts.family is not None and fact.column != "copied":
            of_families = share_of(facts, rows, has, facts.family)
            most = int(of_families.n.argmax())
            left["the largest family of copies"] = of_families.without(most)
        return left

    yield Claim(
        fact.topic,
        fact.column,
        f"{in_words(value)} of the {fact.among} {fact.said_of(tops[0])}: {n:,} of {of:,}"
        f"{facts.drawn(fact)}{interval_of(value, low, high)}.",
        fact.figure,
        **share.numbers,
        expected=expected,
        # among many values a reader looks at the first: chance has as many tries
        p_value=min(1.0, n_values * p_value_of(value, low, high, share.design[1], expected)),
        scope=n / facts.frame.height,
        without=without,
        reason=none or share.weakness,
    )


def _author(facts: Facts, code: int) -> str:
    return facts.names[code] if code < len(facts.names) else "one card without an author"


# ---- Differences: what the cards of a group do that others do not.


def _groups(facts: Facts, group: str) -> dict[str, Any]:
    """Give the rows of the groups of a column that have cards and authors enough, largest first."""
    column = facts.frame[group]
    sizes = column.drop_nulls().value_counts(name="n").filter(pl.col("n") >= GROUP_CARDS)
    found = {}
    for name in sizes.sort("n", group, descending=[True, False])[group].head(3 * MAX_GROUPS):
        rows = (column == name).arg_true().to_numpy()
        if facts.census or len(np.unique(facts.author[rows])) >= GROUP_AUTHORS:
            found[name] = rows
        if len(found) == (1 if group == "half" else MAX_GROUPS):
            break
    return found


def difference_claims(facts: Facts) -> Iterator[Claim]:
    """Say where the cards of a task, a library or a time differ from all others."""
    columns = facts.frame.columns
    phrases = {name: phrase for name, phrase in WORDS["groups"].items() if name in columns}
    groups = {name: _groups(facts, name) for name in phrases}
    grouped = {name: facts.frame[name].is_not_null().to_numpy() for name in groups}
    for fact in FACTS:
        if fact.column not in columns or fact.topic in ("tasks", "libraries"):
            continue
        rows, values = facts.known(fact)
        for value in _top_values(fact, values, TOP_VALUES)[0]:
            known, has = np.zeros((2, facts.frame.height), dtype=bool)
            known[rows], has[rows] = True, _has(values, value)
            contrast = replace(fact, topic="contrasts", does=fact.said_of(value))
            for group, parts in groups.items():
                both = (known & grouped[group]).nonzero()[0]
                whole = share_of(facts, both, has[both])
                for name, inside in parts.items():
                    part = inside[known[inside]]
                    here = share_of(facts, part, has[part])
                    phrase = phrases[group].format(named(name))
                    yield from apart(facts, contrast, phrase, here, whole)


def apart(facts: Facts, fact: Fact, phrase: str, here: Share, whole: Share) -> Iterator[Claim]:
    """Compare the cards of a group, `here`, with all others, by whether they have it."""
    others = Share(whole.of - here.of, whole.n - here.n, facts.census)
    if not here.of.sum() or not others.of.sum():
        return
    a, b = here.numbers, others.numbers
    ends = [(side["value"], side["low"], side["high"]) for side in (a, b)]
    spread = max(here.spread * others.spread, 1e-12) ** 0.5
    alike = float(here.residual @ others.residual) / spread  # authors may have cards on both sides
    gap, low, high = map(float, difference(ends[0], ends[1], alike))
    weak = here.weakness or others.weakness
    if weak is None and abs(gap) < APART:
        weak = f"the difference is below {100 * APART:.0f} points"
    yield Claim(
        fact.topic,
        fact.column,
        f"of the cards {phrase}{fact.among.removeprefix('cards')}, {percent(a['value'])} "
        f"{fact.does}, against {percent(b['value'])} of the others: {a['n']:,} of {a['of']:,} "
        f"against {b['n']:,} of {b['of']:,}{facts.drawn(fact)} (a difference of "
        f"{written_range(low, high, ' points')}).",
        fact.figure,
        **a | {"value": gap, "low": low, "high": high},
        p_value=p_value_of(gap, low, high, min(here.design[1], others.design[1])),
        scope=a["of"] / facts.frame.height,
        without=lambda: {
            _author(facts, one): here.without(one) - others.without(one) for one in here.leading()
        },
        say=lambda value: (
            f"a difference of {abs(100 * value):.0f} points{' the other way' * (value * gap < 0)}"
        ),
        reason=weak,
    )
