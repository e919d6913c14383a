"""How long cards are: characters, words, lines, tokens and Markdown parts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import polars as pl

from ..schema import CardlabError, collect, lazy, one_of, require, to_lazy_polars
from .batches import with_batches
from .outline import bounded
from .tokens import TOKEN_ESTIMATE

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

# Where an address may end, and the lines that may hold addresses of e-mail
_MAX_MARKS, _MAX_SIGNS = 200, 100
_MARKS = re.compile(rf"[).,:;?!*_~'\"]{{{_MAX_MARKS + 1},}}")
_SIGNS = re.compile(rf"(?<![^\r\n])((?:[^@\r\n]*+@){{{_MAX_SIGNS}}})([^\r\n]*@[^\r\n]*)")


def with_text_lengths(cards: Any, *, measures: Iterable[str] | None = None) -> Any:
    """Add the lengths of each card's body.

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
    """
    asked = list(measures) if measures is not None else None
    for name in asked or ():
        one_of(name, MEASURES, name="each of measures")
    have = require(cards, *needs_of(asked if asked is not None else ["n_chars"]))
    if asked is None:
        asked = [name for name in MEASURES if name != "n_metadata_chars" or "metadata" in have]
    frame = cards if isinstance(cards, (pl.DataFrame, pl.LazyFrame)) else to_lazy_polars(cards)
    text = pl.col("text")
    ends_open = (text.str.len_bytes() > 0) & ~text.str.contains(f"(?:{_LINE_BREAK})\\z")
    counts = {
        "n_chars": text.str.len_chars(),
        "n_words": text.str.count_matches(_WORD),
        "n_lines": text.str.count_matches(_LINE_BREAK) + ends_open,
        "n_tokens": text.str.count_matches(TOKEN_ESTIMATE),
        "n_metadata_chars": pl.col("metadata").str.len_chars(),
    }
    parts = [name for name in asked if name in _PARTS]
    helper = "__html"
    html = text.map_batches(_to_html, return_dtype=pl.String, is_elementwise=True).alias(helper)
    frame = frame.with_columns(
        *(counts[name].cast(pl.Int64).alias(name) for name in asked if name in counts),
        *([html] if parts else []),
    )
    if parts:
        frame = frame.with_columns(
            pl.col(helper).str.count_matches(_PARTS[name]).cast(pl.Int64).alias(name)
            for name in parts
        ).drop(helper)
    return frame.select(*[name for name in have if name not in asked], *asked)


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
    native = lazy(cards).select(*dict.fromkeys(needs + columns)).to_native()
    frame = native if isinstance(native, pl.LazyFrame) else to_lazy_polars(native)
    if measure not in have:
        frame = with_text_lengths(frame, measures=[measure])
    dtype = frame.collect_schema()[measure]
    if not dtype.is_numeric():
        raise CardlabError(
            f"measure must name a number; column {measure!r} holds {dtype}. "
            f"Lengths: {', '.join(MEASURES)}."
        )
    return frame.select(*columns, pl.col(measure).alias("value"))


def _to_html(texts: pl.Series) -> pl.Series:
    """Render Markdown to HTML with the author's own HTML left in, comments left out."""
    import comrak

    extensions = comrak.ExtensionOptions()
    extensions.table = True
    extensions.autolink = True
    rendering = comrak.RenderOptions()
    rendering.unsafe_ = True  # only counted here, never shown
    html = [
        None
        if text is None
        else comrak.render_markdown(countable(text)[0], extensions, render_options=rendering)
        for text in texts
    ]
    return pl.Series(html, dtype=pl.String).str.replace_all(_COMMENT, "")


def countable(markdown: str) -> tuple[str, list[str]]:
    """Cut what the parser would take a time for that grows with the square of the card.

    Beside what :func:`cardlab.text.outline.bounded` does: the marks that end an address are
    shortened, which changes no count, and of a line's addresses of e-mail the first are looked at.
    """
    markdown, cut = bounded(markdown)
    markdown = _MARKS.sub(lambda run: run[0][:_MAX_MARKS], markdown)
    if markdown.count("@") > _MAX_SIGNS:
        markdown, n = _SIGNS.subn(lambda line: line[1] + line[2].replace("@", " "), markdown)
        cut = [*cut, *[f"a line of more than {_MAX_SIGNS} signs @, of which so many were read"] * n]
    return markdown, cut


def text_problems(cards: Any, *, jobs: int | None = None) -> pl.DataFrame:
    """List the cards whose text was not taken apart as a whole.

    Parameters
    ----------
    cards : frame
        With ``id`` and ``text``.
    jobs : int, optional
        As in :func:`with_plain_text`.

    Returns
    -------
    pl.DataFrame
        As :func:`cardlab.problems`: ``id``, ``column`` (``"text"``), ``problem``
        (``"too_large"``), ``detail`` (what was left out). Of such a card characters, words, lines
        and tokens are counted in full; headings, links, tables and the words of sections in what
        was read: the first 2,000,000 characters, 128 columns of a table (fewer where its rows
        are all but empty), 100 addresses of e-mail in a line.

    Raises
    ------
    MissingColumn
        The cards lack ``id`` or ``text``.
    """
    require(cards, "id", "text")
    frame = to_lazy_polars(lazy(cards).select("id", "text").to_native())
    cut = with_batches(frame, ["text"], _cuts, {"detail": pl.List(pl.String)}, jobs=jobs)
    listed = collect(cut.select("id", "detail").filter(pl.col("detail").list.len() > 0))
    return (
        listed.explode("detail")
        .select(
            pl.col("id").cast(pl.String),
            pl.lit("text").alias("column"),
            pl.lit("too_large").alias("problem"),
            "detail",
        )
        .sort("id", "detail", nulls_last=True)
    )


def _cuts(batch: pl.DataFrame) -> pl.DataFrame:
    found = [countable(text)[1] if text else [] for text in batch["text"]]
    return pl.DataFrame({"detail": pl.Series(found, dtype=pl.List(pl.String))})
