"""How long cards are: characters, words, lines and Markdown parts, summaries and curves."""

from __future__ import annotations

from typing import Any

import polars as pl

from ..schema import CardlabError, NoFigure, collect, count, lazy, one_of, require, to_lazy_polars

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
}

#: Most points of one curve of :func:`length_ecdf`.
MAX_POINTS = 200

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


def with_text_lengths(cards: Any) -> Any:
    """Add the lengths of each card's body.

    Parameters
    ----------
    cards : frame
        With ``text``.

    Returns
    -------
    pl.DataFrame or pl.LazyFrame
        `cards` (lazy if it was lazy) with these Int64 columns, null where ``text`` is null:

        - ``n_chars``: Unicode characters, ``len(text)``;
        - ``n_words``: ``len(text.split())``;
        - ``n_lines``: ``len(text.splitlines())``;
        - ``n_sections``, ``n_code_blocks``, ``n_tables``, ``n_links``, ``n_images``: headings of
          both styles, fenced or indented code, tables, links (bare URLs too) and images as
          CommonMark with GitHub's tables and links reads them, those written in HTML included.

    Raises
    ------
    MissingColumn
        The cards have no ``text``.

    Notes
    -----
    A lazy frame parses Markdown only when one of the last five columns is asked for.
    """
    require(cards, "text")
    frame = cards if isinstance(cards, (pl.DataFrame, pl.LazyFrame)) else to_lazy_polars(cards)
    text = pl.col("text")
    ends_open = (text.str.len_bytes() > 0) & ~text.str.contains(f"(?:{_LINE_BREAK})\\z")
    html = text.map_batches(_to_html, return_dtype=pl.String, is_elementwise=True)
    helper = "__html"
    return (
        frame.with_columns(
            text.str.len_chars().cast(pl.Int64).alias("n_chars"),
            text.str.count_matches(_WORD).cast(pl.Int64).alias("n_words"),
            (text.str.count_matches(_LINE_BREAK) + ends_open).cast(pl.Int64).alias("n_lines"),
            html.alias(helper),
        )
        .with_columns(
            pl.col(helper).str.count_matches(pattern).cast(pl.Int64).alias(name)
            for name, pattern in _PARTS.items()
        )
        .drop(helper)
    )


def length_summary(cards: Any, *, measure: str = "n_words", by: str | None = None) -> pl.DataFrame:
    """Summarise a length of the cards, in all or by group.

    Parameters
    ----------
    cards : frame
        With ``text``, or with the column `measure`.
    measure : str
        One of :data:`MEASURES`, or any numeric column of the cards.
    by : str, optional
        A column to group by. With a list column a card counts in each of its groups.

    Returns
    -------
    pl.DataFrame
        ``group`` (null: not declared; ``"all"`` without `by`), ``n_cards`` (cards with a value),
        ``mean``, ``p05``, ``p25``, ``p50``, ``p75``, ``p95``, ``p99`` (linear interpolation),
        ``max``, ``median_low``, ``median_high`` (the order statistics that hold the median with
        95 % confidence; Conover 1999, 3.2). Most cards first.

    Raises
    ------
    MissingColumn
        There is neither the measure nor ``text``, or no column `by`.
    """
    values = _values(cards, measure, by)
    value = pl.col("value")
    half = 1.959964 * pl.len().sqrt() / 2
    low = (pl.len() / 2 - half).floor().clip(1, pl.len()).cast(pl.Int64) - 1
    high = (pl.len() / 2 + half + 1).ceil().clip(1, pl.len()).cast(pl.Int64) - 1
    levels = {"p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}
    return (
        values.group_by("group")
        .agg(
            pl.len().cast(pl.Int64).alias("n_cards"),
            value.mean().alias("mean"),
            *(value.quantile(q, "linear").alias(name) for name, q in levels.items()),
            value.max().alias("max"),
            value.sort().get(low).alias("median_low"),
            value.sort().get(high).alias("median_high"),
        )
        .sort(["n_cards", "group"], descending=[True, False], nulls_last=True)
    )


def length_ecdf(cards: Any, *, measure: str = "n_words", by: str | None = None) -> pl.DataFrame:
    """Give the share of cards that are at most so long, in all or by group.

    Parameters
    ----------
    cards, measure, by
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
    """
    values = _values(cards, measure, by)
    steps = (
        values.group_by("group", "value")
        .agg(pl.len().alias("n"))
        .sort("group", "value", nulls_last=True)
        .with_columns(
            pl.col("n").cum_sum().over("group").alias("below"),
            pl.col("n").sum().over("group").cast(pl.Int64).alias("n_cards"),
            pl.int_range(pl.len()).over("group").alias("rank"),
            pl.len().over("group").alias("n_values"),
        )
    )
    # a point is kept where it is the first to reach the next of evenly spaced shares
    slot = (pl.col("below") * (MAX_POINTS - 2) / pl.col("n_cards")).floor()
    kept = (
        (pl.col("n_values") <= MAX_POINTS)
        | (pl.col("rank") == 0)
        | (slot != slot.shift(1).over("group"))
    )
    return steps.filter(kept.fill_null(True)).select(
        "group",
        "value",
        (pl.col("below") / pl.col("n_cards")).alias("cumulative_share"),
        "n_cards",
    )


def length_histogram(
    cards: Any, *, measure: str = "n_words", by: str | None = None
) -> pl.DataFrame:
    """Count cards in bins that widen with length.

    Parameters
    ----------
    cards, measure, by
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
    """
    values = _values(cards, measure, by)
    edges = [0, *(step * 10**power for power in range(12) for step in (1, 2, 5))]
    bins = pl.DataFrame({"low": edges[:-1], "high": edges[1:]}).with_columns(
        pl.col("low").cast(pl.Float64).alias("value")
    )
    return (
        values.with_columns(pl.col("value").cast(pl.Float64))
        .sort("value")
        .join_asof(bins, on="value")
        .group_by("group", "low", "high")
        .agg(pl.len().cast(pl.Int64).alias("n_cards"))
        .sort("group", "low", nulls_last=True)
    )


def _values(cards: Any, measure: str, by: str | None) -> pl.DataFrame:
    """Give one row a card and group: ``group, value``, without null values."""
    have = require(cards, *([by] if by else []))
    needs = [measure] if measure in have else ["text"]
    if measure not in have:
        one_of(measure, MEASURES, name="measure")
        require(cards, "text")
    native = lazy(cards).select(*dict.fromkeys(needs + ([by] if by else []))).to_native()
    frame = native if isinstance(native, pl.LazyFrame) else to_lazy_polars(native)
    if measure not in have:
        frame = with_text_lengths(frame)
    if not frame.collect_schema()[measure].is_numeric():
        raise CardlabError(
            f"measure must name a number; column {measure!r} holds "
            f"{frame.collect_schema()[measure]}. Lengths: {', '.join(MEASURES)}."
        )
    if by and isinstance(frame.collect_schema()[by], pl.List):
        frame = frame.with_columns(pl.col(by).list.unique()).explode(by)
    group = pl.col(by).cast(pl.String) if by else pl.lit("all")
    values = collect(
        frame.select(group.alias("group"), pl.col(measure).alias("value")).drop_nulls("value")
    )
    if not values.height:
        raise NoFigure(f"none of the {count(cards):,} cards has a value for {measure!r}.")
    return values


def _to_html(texts: pl.Series) -> pl.Series:
    """Render Markdown to HTML with the author's own HTML left in, comments left out."""
    import comrak

    extensions = comrak.ExtensionOptions()
    extensions.table = True
    extensions.autolink = True
    rendering = comrak.RenderOptions()
    rendering.unsafe_ = True  # only counted here, never shown
    html = [
        None if text is None else comrak.render_markdown(text, extensions, render_options=rendering)
        for text in texts
    ]
    return pl.Series(html, dtype=pl.String).str.replace_all(_COMMENT, "")
