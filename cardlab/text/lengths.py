"""How long cards are: characters, words, lines, tokens and Markdown parts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import polars as pl

from .._public import taking_sources
from ..frames import as_polars, narrow
from ..overview.time import check_dates, check_every, judge
from ..schema import (
    INSTANT,
    STRINGS,
    CardlabError,
    Frame,
    NoFigure,
    at_least,
    collect,
    count,
    one_of,
    require,
)
from ..shares.authors import (
    AUTHOR_COLUMNS,
    Population,
    author_column,
    author_columns,
    designs_of,
    mean_effect,
)
from .markdown import countable, to_html
from .passages import TOKEN_ESTIMATE

#: What :func:`with_text_lengths` counts, with its meaning for captions.
MEASURES = {
    "n_chars": "characters",
    "n_words": "words",
    "n_lines": "lines",
    "n_sections": "sections (headings)",
    "n_code_blocks": "code blocks",
    "n_tables": "tables",
    "n_links": "links",
    "n_images": "images",
    "n_tokens": "tokens (estimate)",
    "n_metadata_chars": "characters of metadata",
}

# Python's str.split() and str.splitlines() go by these characters; a regex's \s does not name
# the same ones, so they are spelled out
_WORD = "[^\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"
_LINE_BREAK = "\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]"

# Patterns over the HTML that the Markdown parser gives. What a card shows as text or code is
# escaped there, so a `<` is always a tag: of Markdown's own making or the author's
_COMMENT = r"<!--(?s:.*?)(?:-->|\z)"
_PARTS = {
    "n_sections": r"(?i)<h[1-6][\s>]",
    "n_code_blocks": r"(?i)<pre[\s>]",
    "n_tables": r"(?i)<table[\s>]",
    "n_links": r"(?i)<a\s[^>]*href",
    "n_images": r"(?i)<img[\s/>]",
}
_HTML, _AUTHOR = "__cardlab_html", "__author"


def with_text_lengths(cards: Frame, *, measures: Iterable[str] | None = None) -> Frame:
    r"""Add the lengths of each card's body.

    Parameters
    ----------
    cards : frame
        With ``text``; with ``metadata`` its size is added too.
    measures : iterable of str, optional
        Only these of :data:`MEASURES`; by default all that the cards have columns for.

    Returns
    -------
    pl.DataFrame or pl.LazyFrame
        `cards` (lazy if it was lazy) with these Int64 columns, null where ``text`` is null:

        - ``n_chars``: Unicode characters, ``len(text)``;
        - ``n_words``: ``len(text.split())``;
        - ``n_lines``: ``len(text.splitlines())``;
        - ``n_sections``, ``n_code_blocks``, ``n_tables``, ``n_links``, ``n_images``: headings of
          both styles, fenced or indented code, tables, links (bare URLs too) and images as
          CommonMark with GitHub's tables and links reads them, those written in HTML included;
        - ``n_tokens``: an **estimate** of the word pieces of the body as it stands, code included
          (see :func:`passages`; for a model's own tokens give its tokenizer to
          :func:`with_passages`);
        - ``n_metadata_chars``: characters of ``metadata`` (JSON), null where that is null.

    Raises
    ------
    MissingColumn
        The cards have no ``text``, or no ``metadata`` and its size is asked for.
    CardlabError
        One of `measures` is none.

    Notes
    -----
    Markdown is parsed only when one of its parts is asked for, by `measures` or from a lazy frame.

    Examples
    --------
    >>> cards = cl.read_cards({"id": ["a"], "text": ["# Uses\n\nFor [speech](x)."]})
    >>> cl.with_text_lengths(cards)["n_chars", "n_words", "n_links"].row(0)
    (24, 4, 1)
    """
    asked = list(["n_chars"] if measures is None else measures)
    for name in asked:
        one_of(name, MEASURES, name="each of measures")
    have = require(cards, *needs_of(asked))
    if measures is None:
        asked = measures_of(have)
    frame = as_polars(cards)
    if not _PARTS.keys().isdisjoint(asked):

        def parsed(texts: pl.Series) -> pl.Series:
            return html_column(None if t is None else to_html(t, links=True) for t in texts)

        html = pl.col("text").map_batches(parsed, return_dtype=pl.String, is_elementwise=True)
        frame = frame.with_columns(html.alias(_HTML))
    frame = frame.with_columns(counted(asked)).drop(_HTML, strict=False)
    added: Frame = frame.select(*[name for name in have if name not in asked], *asked)
    return added


def html_column(html: Iterable[str | None]) -> pl.Series:
    """Give the HTML of cards, without comments, as the column that :func:`counted` reads."""
    return pl.Series(_HTML, list(html), dtype=pl.String).str.replace_all(_COMMENT, "")


def counted(measures: Iterable[str]) -> list[pl.Expr]:
    """Give the expressions of some of :data:`MEASURES`."""
    text = pl.col("text")
    open_end = (text.str.len_bytes() > 0) & ~text.str.contains(f"(?:{_LINE_BREAK})\\z")
    counts = {
        "n_chars": text.str.len_chars(),
        "n_words": text.str.count_matches(_WORD),
        "n_lines": text.str.count_matches(_LINE_BREAK) + open_end,
        "n_tokens": text.str.count_matches(TOKEN_ESTIMATE),
        "n_metadata_chars": pl.col("metadata").str.len_chars(),
        **{name: pl.col(_HTML).str.count_matches(pattern) for name, pattern in _PARTS.items()},
    }
    return [counts[name].cast(pl.Int64).alias(name) for name in measures]


def measures_of(columns: Iterable[str]) -> list[str]:
    """Name the lengths of cards that have a text and these columns."""
    return [name for name in MEASURES if name != "n_metadata_chars" or "metadata" in columns]


def needs_of(measures: list[str]) -> list[str]:
    """Name the columns that lengths are counted from."""
    return sorted({"metadata" if name == "n_metadata_chars" else "text" for name in measures})


def measured(cards: Any, measure: str, columns: list[str]) -> pl.LazyFrame:
    """Give the `columns` of the cards and ``value``, the measure, and read nothing else."""
    have = require(cards, *columns)
    if measure not in have:
        one_of(measure, MEASURES, name="measure")
    needs = [measure] if measure in have else needs_of([measure])
    require(cards, *needs)
    frame = narrow(cards, list(dict.fromkeys(needs + columns)))
    if measure not in have:
        frame = with_text_lengths(frame, measures=[measure])
    dtype = frame.collect_schema()[measure]
    if not dtype.is_numeric():
        raise CardlabError(
            f"measure must name a number; column {measure!r} holds {dtype}. "
            f"Lengths: {', '.join(MEASURES)}."
        )
    return frame.select(*columns, pl.col(measure).alias("value"))


def text_problems(cards: Any) -> pl.DataFrame:
    """List the cards whose text was not taken apart as a whole, as :func:`cardlab.problems` does.

    Of such a card characters, words, lines and tokens are counted in full; headings, links, tables
    and the words of sections in what was read: the first 2,000,000 characters, 128 columns of a
    table (fewer where its rows are all but empty), 100 addresses of e-mail in a line.
    """
    require(cards, "id", "text")

    def cuts(texts: pl.Series) -> pl.Series:
        return pl.Series([countable(text)[1] if text else [] for text in texts], dtype=STRINGS)

    detail = pl.col("text").map_batches(cuts, return_dtype=STRINGS, is_elementwise=True)
    frame = narrow(cards, ["id", "text"]).select(pl.col("id").cast(pl.String), detail=detail)
    found = collect(frame).explode("detail").drop_nulls("detail")
    found = found.sort("id", "detail", nulls_last=True)
    return found.select("id", column=pl.lit("text"), problem=pl.lit("too_large"), detail="detail")


# ---- Lengths of many cards: summaries, curves and histograms, in all or by group.

#: Most points of one curve of :func:`length_ecdf`.
MAX_POINTS = 200


def length_summary(
    cards: Any,
    *,
    measure: str = "n_words",
    by: str | None = None,
    every: str = "1y",
    cluster: str | None = "author",
    population: Population = "sample",
) -> pl.DataFrame:
    """Summarise a length of the cards, in all or by group.

    Parameters
    ----------
    cards : frame
        With ``text``, or with the column `measure`.
    measure : str
        One of :data:`MEASURES`, or any numeric column of the cards.
    by : str, optional
        A column to group by: ``pipeline_tag``, ``library_name``, ``author``, ``license_class``
        (of :func:`with_licenses`), a date ... With a list column a card counts in each of its
        groups. Cards whose ``created_at`` or ``last_modified`` is no true date, as
        :func:`with_period` says, are in the group null.
    every : str
        The period, where `by` is a date (``"1mo"``, ``"1q"``, ``"1y"``).
    cluster, population : str, optional
        Whose cards are alike, and whether the cards are a sample: as in :func:`license_counts`.

    Returns
    -------
    pl.DataFrame
        ``group`` (null: not declared; ``"all"`` without `by`), ``n_cards`` (cards with a value),
        ``mean``, ``p05``, ``p25``, ``p50``, ``p75``, ``p95``, ``p99`` (linear interpolation),
        ``max``, ``median_low``, ``median_high`` (95 % interval of the median; null of a census).
        Where authors are known also ``design_effect`` to ``is_reliable`` as in
        :func:`license_counts`: of the share of cards up to the median, and of the authors of the
        group. Most cards first.

    Raises
    ------
    MissingColumn
        There is neither the measure nor ``text``, or no column `by`.

    Notes
    -----
    The interval is the percentile interval of infinitely many resamples, so it needs no random
    numbers: a resample's median is at most the k-th of n values where at least half of its draws
    are, which a binomial distribution gives (Efron 1979, "Bootstrap methods: another look at the
    jackknife", section 3). Where authors are known it is that distribution for the effective number
    of cards (R. S. Woodruff, "Confidence intervals for medians and other position measures",
    Journal of the American Statistical Association 47 (1952), 635-646).

    Examples
    --------
    >>> lengths = cl.length_summary(cl.make_cards(200), by="pipeline_tag")
    >>> lengths["group", "n_cards", "p50", "median_low", "median_high"].row(0)
    (None, 64, 194.5, 160, 247)
    """
    author = author_column(cards, cluster, population, by)
    values = _values(cards, measure, by, every, author=author)
    value = pl.col("value")
    levels = {"p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}
    summary = values.group_by("group").agg(
        pl.len().cast(pl.Int64).alias("n_cards"),
        value.mean().alias("mean"),
        *(value.quantile(q, "linear").alias(name) for name, q in levels.items()),
        value.max().alias("max"),
        value.sort().alias("sorted"),
    )
    summary = _with_median_interval(summary, values, "p50", population)
    return summary.sort(["n_cards", "group"], descending=[True, False], nulls_last=True)


def length_ecdf(
    cards: Any, *, measure: str = "n_words", by: str | None = None, every: str = "1y"
) -> pl.DataFrame:
    """Give the share of cards that are at most so long, in all or by group.

    Parameters
    ----------
    cards, measure, by, every
        As in :func:`length_summary`.

    Returns
    -------
    pl.DataFrame
        ``group``, ``value``, ``cumulative_share`` (0-1, exact at that value), ``n_cards`` (of the
        group). At most 200 points a group, evenly spaced in rank, first and last included.

    Raises
    ------
    MissingColumn
        As in :func:`length_summary`.

    Examples
    --------
    >>> cl.length_ecdf(cl.make_cards(200))["value", "cumulative_share"].row(100)
    (360, 0.72)
    """
    values = _values(cards, measure, by, every)
    steps = (
        values.group_by("group", "value")
        .agg(pl.len().alias("n"))
        .sort("group", "value", nulls_last=True)
        .with_columns(
            below=pl.col("n").cum_sum().over("group"),
            n_cards=pl.col("n").sum().over("group").cast(pl.Int64),
            n_values=pl.len().over("group"),
        )
    )
    # a point is kept where it is the first to reach the next of evenly spaced shares
    slot = (pl.col("below") * (MAX_POINTS - 2) / pl.col("n_cards")).floor()
    kept = (pl.col("n_values") <= MAX_POINTS) | (slot != slot.shift(1).over("group"))
    share = (pl.col("below") / pl.col("n_cards")).alias("cumulative_share")
    return steps.filter(kept.fill_null(True)).select("group", "value", share, "n_cards")


@taking_sources
def length_histogram(
    cards: Any, *, measure: str = "n_words", by: str | None = None, every: str = "1y"
) -> pl.DataFrame:
    """Count cards in bins that widen with length.

    Parameters
    ----------
    cards, measure, by, every
        As in :func:`length_summary`.

    Returns
    -------
    pl.DataFrame
        ``group``, ``low`` (included), ``high`` (excluded), ``n_cards``. The bins are 0, 1 and
        then a third of a power of ten wide (2, 5, 10, 20, 50 ...); empty ones are left out.

    Raises
    ------
    MissingColumn
        As in :func:`length_summary`.

    Examples
    --------
    >>> from cardlab.text.lengths import length_histogram
    >>> length_histogram(cl.make_cards(200))["low", "high", "n_cards"].row(-1)
    (5000, 10000, 1)
    """
    edges = [0, *(step * 10**power for power in range(12) for step in (1, 2, 5))]
    bins = pl.DataFrame({"low": edges[:-1], "high": edges[1:], "value": map(float, edges[:-1])})
    values = _values(cards, measure, by, every).with_columns(pl.col("value").cast(pl.Float64))
    in_bins = values.sort("value").join_asof(bins, on="value").group_by("group", "low", "high")
    counts = in_bins.agg(n_cards=pl.len().cast(pl.Int64))
    return counts.sort("group", "low", nulls_last=True)


def _values(
    cards: Any,
    measure: str,
    by: str | None,
    every: str = "1y",
    also: tuple[str, ...] = (),
    author: str | None = None,
) -> pl.DataFrame:
    """Give one row a card and group: ``*also, group, value[, __author]``, without null values."""
    frame = measured(cards, measure, [*also, *filter(None, [author, by])])
    kept = [*also, "group", "value"]
    if author is not None:
        frame, kept = frame.with_columns(pl.col(author).alias(_AUTHOR)), [*kept, _AUTHOR]
    values = collect(_grouped(frame, by, every).select(kept).drop_nulls("value"))
    if not values.height:
        raise NoFigure(f"none of the {count(cards):,} cards has a value for {measure!r}.")
    return values


def _grouped(frame: pl.LazyFrame, by: str | None, every: str) -> pl.LazyFrame:
    """Add ``group``, the text of column `by` or its period; a row for each item of a list."""
    if by is None:
        return frame.with_columns(pl.lit("all").alias("group"))
    dtype = frame.collect_schema()[by]
    group = pl.col(by)
    if isinstance(dtype, pl.List):
        frame = frame.with_columns(group.list.unique()).explode(by)
    elif dtype.is_temporal():
        check_every(every)
        check_dates(dtype, by)
        pattern = "%Y" if every.endswith("y") else "%Y-%m" if every[-1:] in "oq" else "%Y-%m-%d"
        if by in ("created_at", "last_modified"):  # where no date is true, the group is null
            crowds = by == "created_at"
            group = group.map_batches(lambda s: judge(s, crowds=crowds).true, return_dtype=INSTANT)
        group = group.dt.truncate(every).dt.strftime(pattern)
    return frame.with_columns(group.cast(pl.String).alias("group"))


def _with_median_interval(
    groups: pl.DataFrame, cards: pl.DataFrame, median: str, population: str
) -> pl.DataFrame:
    """Add the 95 % bootstrap interval of the `median` of the values of each list in ``sorted``.

    P(median of a resample <= k-th value) = P(Binomial(n, k/n) >= n/2), an incomplete beta
    function, which is inverted here. Of an even number the lower of the two middle values counts
    for the lower bound, the higher for the upper one. `cards` (``group, value``) may have authors.
    """
    import numpy as np
    from scipy.special import betaincinv, ndtri, stdtrit

    n, design = groups["n_cards"].to_numpy().astype(float), None
    size = n
    if _AUTHOR in cards.columns and population == "sample":
        middle = groups.select("group", __median=median)
        below = cards.join(middle, on="group", nulls_equal=True)
        below = below.filter(pl.col("value") <= pl.col("__median"))
        design, behind = (
            designs_of(groups, of, cards, by=["group"], author=_AUTHOR) for of in (below, cards)
        )
        design = design.with_columns(behind.select(AUTHOR_COLUMNS[2:5]))
        t = stdtrit(np.maximum(design["n_all_authors"].to_numpy() - 1, 1), 0.975)
        effect = design["design_effect"].to_numpy() * (t / ndtri(0.975)) ** 2
        size = np.maximum(np.floor(n / effect), 1)
    ends = ("median_low", np.ceil(size / 2), 0.025), ("median_high", np.floor(size / 2) + 1, 0.975)
    for name, at, level in ends:
        rank = np.clip(np.ceil(n * betaincinv(at, size - at + 1, level)), 1, n) - 1
        end = pl.col("sorted").list.get(pl.lit(pl.Series(rank.astype(int))))
        groups = groups.with_columns(pl.when(population == "sample").then(end).alias(name))
    groups = groups.drop("sorted")
    return groups if design is None else author_columns(groups, design, total="n_cards")


# ---- Which cards are unlike the others in length, and what length goes with.

#: Fewest cards of a group in which a card is called far from the others.
MIN_GROUP = 20
#: Fewest cards that a rank correlation is given for.
MIN_CARDS = 10


@taking_sources
def length_outliers(
    cards: Any,
    *,
    measure: str = "n_words",
    by: str | None = None,
    side: Literal["long", "short"] = "long",
    top: int = 20,
    min_cards: int = MIN_GROUP,
) -> pl.DataFrame:
    """List the cards that are longest, or shortest, beside the others of their group.

    Parameters
    ----------
    cards : frame
        With ``id``, and ``text`` or the column `measure`.
    measure, by
        As in :func:`length_summary`.
    side : {"long", "short"}
        The longest, or the shortest.
    top : int
        Most rows.
    min_cards : int
        Groups of fewer cards say too little of what is usual, and are left out.

    Returns
    -------
    pl.DataFrame
        ``id``, ``group`` (``"all"`` without `by`), ``value``, ``group_median``, ``ratio`` (of the
        two; null where the median is 0), ``robust_z`` (distance from the median of the logarithm
        of the value and 1, in 1.4826 median absolute deviations; beyond 3.5 Iglewicz and Hoaglin
        1993 speak of an outlier. Where more than half of the group are of one length, in 1.2533
        mean absolute deviations). Farthest first by ``robust_z``, ties by id and group. A group
        of one length has no rows.

    Raises
    ------
    MissingColumn
        There is no ``id``, or neither the measure nor ``text``.
    NoFigure
        No card has a value.

    Examples
    --------
    >>> from cardlab.text.lengths import length_outliers
    >>> length_outliers(cl.make_cards(200))["id", "value", "group_median", "robust_z"].row(0)
    ('team-floglethi/stable-diffusion-tebrawire-small', 7826, 208.5, 5.043...)
    """
    one_of(side, ("long", "short"), name="side")
    at_least(top, 1, name="top")
    at_least(min_cards, 1, name="min_cards")
    rows = _values(cards, measure, by, also=("id",))
    size = (pl.col("value").cast(pl.Float64).clip(0) + 1).log()
    away = size - size.median().over("group")
    spread = away.abs().median().over("group") / 0.6745
    # half of a group or more at its median: the mean deviation, as Iglewicz and Hoaglin have it
    unit = pl.when(spread > 0).then(spread).otherwise(away.abs().mean().over("group") * 1.2533)
    median = pl.col("value").median().over("group")
    return (
        rows.with_columns(group_median=median, robust_z=away / unit)
        .filter(pl.len().over("group") >= min_cards, away > 0 if side == "long" else away < 0)
        .sort(pl.col("robust_z").abs(), "id", "group", descending=[True, False, False])
        .head(top)
        .with_columns(ratio=pl.col("value") / pl.col("group_median").replace(0, None))
        .select("id", "group", "value", "group_median", "ratio", "robust_z")
    )


@taking_sources
def length_relation(
    cards: Any,
    *,
    measure: str = "n_words",
    to: str = "downloads",
    bins: int = 10,
    cluster: str | None = "author",
    population: Population = "sample",
) -> pl.DataFrame:
    """Say whether longer cards have more downloads, or likes.

    Parameters
    ----------
    cards : frame
        With `to`, and ``text`` or the column `measure`.
    measure : str
        As in :func:`length_summary`.
    to : str
        A column of numbers: ``downloads``, ``likes``.
    bins : int
        Parts of about as many cards each, by length; equal lengths stay together.
    cluster, population : str, optional
        Whose cards are alike, and whether the cards are a sample: as in :func:`license_counts`.

    Returns
    -------
    pl.DataFrame
        ``bin`` (from 1, shortest first), ``low``, ``high`` (shortest and longest of the bin),
        ``n_cards``, ``median``, ``median_low``, ``median_high`` (of `to`, with a 95 % interval as
        in :func:`length_summary`), and in every row ``spearman`` (-1 to 1, mean ranks for ties),
        ``spearman_low``, ``spearman_high`` (95 %; Bonett and Wright 2000, with the effective number
        of cards; as the others null of a census), ``n_total`` (cards that have both), ``to``.

    Raises
    ------
    MissingColumn
        A column is not there.
    NoFigure
        Fewer than 10 cards have both, or all have the same.

    Examples
    --------
    >>> from cardlab.text.lengths import length_relation
    >>> relation = length_relation(cl.make_cards(200), to="downloads", bins=4)
    >>> relation["low", "high", "n_cards", "median", "spearman"].row(0)
    (0, 152, 53, 5.0, 0.015...)
    """
    at_least(bins, 2, name="bins")
    author = author_column(cards, cluster, population)
    frame = measured(cards, measure, list(dict.fromkeys(filter(None, [to, author]))))
    if not (dtype := frame.collect_schema()[to]).is_numeric():
        raise CardlabError(
            f"to must name a column of numbers, such as 'downloads' or 'likes'; {to!r} holds "
            f"{dtype}."
        )
    made = [] if author is None else [pl.col(author).alias(_AUTHOR)]
    rows = collect(frame.select("value", pl.col(to).alias("other"), *made))
    rows = rows.drop_nulls(["value", "other"])
    n, n_lengths, n_others = rows.height, rows["value"].n_unique(), rows["other"].n_unique()
    if n < MIN_CARDS or n_lengths < 2 or n_others < 2:
        raise NoFigure(
            f"{n:,} of {count(cards):,} cards have both {measure!r} and {to!r}, with {n_lengths:,} "
            f"and {n_others:,} different values; a rank correlation needs {MIN_CARDS} cards that "
            "differ."
        )
    ranks = rows.select(pl.col(name).rank("average") for name in ("value", "other"))
    rho = float(ranks.select(pl.corr("value", "other")).item())
    low, high = _spearman_interval(rho, ranks, rows[_AUTHOR] if made else None)
    census = population == "census"
    part = ((pl.col("value").rank("min") - 1) * bins / n).floor().cast(pl.Int64)
    rows = rows.with_columns(group=part)
    medians = rows.group_by("group").agg(
        *(pl.min("value").alias("low"), pl.max("value").alias("high")),
        n_cards=pl.len().cast(pl.Int64),
        median=pl.median("other"),
        sorted=pl.col("other").sort(),
    )
    others = rows.drop("value").rename({"other": "value"})
    medians = medians.sort("group")
    return _with_median_interval(medians, others, "median", population).select(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("bin"),
        *("low", "high", "n_cards", "median", "median_low", "median_high"),
        spearman=pl.lit(rho),
        spearman_low=pl.lit(None if census else low, pl.Float64),
        spearman_high=pl.lit(None if census else high, pl.Float64),
        n_total=pl.lit(n, dtype=pl.Int64),
        to=pl.lit(to),
    )


def _spearman_interval(
    rho: float, ranks: pl.DataFrame, authors: pl.Series | None
) -> tuple[float, float]:
    """Give the 95 % interval of a rank correlation, with authors by what each card adds to it."""
    from scipy.special import stdtrit

    if abs(rho) >= 1 - 1e-12:
        return rho, rho
    n, z = float(ranks.height), 1.959964
    if authors is not None:
        x, y = ((of - of.mean()) / of.std() for of in ranks)  # type: ignore[operator]
        adds = x * y - rho * (x**2 + y**2) / 2
        effect, n_authors = mean_effect((adds - adds.mean()).to_numpy(), authors)  # type: ignore[operator]
        n, z = max(n / effect, 4.0), float(stdtrit(max(n_authors - 1, 1), 0.975))
    half = z * math.sqrt((1 + rho * rho / 2) / (n - 3))
    return math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half)
