"""The text-derived columns of the 18-column schema, in the manner of that data set.

`text_lists` has only what follows a line that begins with `#`, as there: cards whose headings
are underlined have none. A token is a word or a punctuation mark here; no tokenizer is needed.
"""

from __future__ import annotations

import re

import polars as pl

MAX_TOKENS = 512
_TOKEN = r"\w+|[^\w\s]"
_FENCE = re.compile(r"^```.*?^```[^\n]*$|<!--.*?-->", re.MULTILINE | re.DOTALL)
_IMAGE = re.compile(r"!\[[^\]\n]*\]\([^)\n]*\)")
_LINK = re.compile(r"\[([^\]\n]*)\]\([^)\n]*\)")
_URL = re.compile(r"https?://\S+")
_MARKUP = re.compile(r"[*`]{1,3}(\S[^*`\n]*)[*`]{1,3}")
_TOP_HEADING = re.compile(r"^(##?) +(\S[^\n]*)$", re.MULTILINE)
_BREAK = re.compile(r"\n{2,}")
_SECTION = re.compile(r"^(?=#)", re.MULTILINE)


def with_passages(cards: pl.DataFrame) -> pl.DataFrame:
    """Add the six derived columns, from `tags_str` to `input_texts`."""
    plain = [plain_text(text) for text in cards["text"]]
    sections = [sections_of(text) for text in plain]
    out = cards.with_columns(
        tags_str=pl.when(pl.col("tags").list.len() > 0)
        .then("TAGS\n#" + pl.col("tags").list.join(" #").str.replace_all(":", "-", literal=True))
        .otherwise(pl.lit("TAGS\n")),
        text_str=pl.Series(plain, dtype=pl.String),
        text_lists=pl.Series(sections, dtype=pl.List(pl.String)),
    )
    out = out.with_columns(
        processed_texts=pl.concat_list(pl.col("tags_str") + " \n", "text_lists")
    ).with_columns(
        tokens_length=pl.col("processed_texts").list.eval(
            pl.element().str.count_matches(_TOKEN).cast(pl.Int64)
        )
    )
    packed = [
        _packed(texts, lengths)
        for texts, lengths in zip(
            out["processed_texts"].to_list(), out["tokens_length"].to_list(), strict=True
        )
    ]
    return out.with_columns(input_texts=pl.Series(packed, dtype=pl.List(pl.String)))


def plain_text(text: str) -> str:
    """Drop code, images, addresses and emphasis; underline headings of level 1 and 2."""
    text = _FENCE.sub("", text)
    text = _LINK.sub(r"\1", _IMAGE.sub("", text))
    text = _MARKUP.sub(r"\1", _URL.sub("URL", text))
    text = _TOP_HEADING.sub(_underlined, text)
    return _BREAK.sub("\n\n\n", text).strip()


def _underlined(match: re.Match[str]) -> str:
    title = match[2]
    return f"{title}\n{('=' if match[1] == '#' else '-') * max(3, len(title))}"


def sections_of(plain: str) -> list[str]:
    """Split into the parts that begin with a `#` line."""
    parts = (part.strip() for part in _SECTION.split(plain))
    return [part for part in parts if part.startswith("#")]


def _packed(texts: list[str], lengths: list[int]) -> list[str]:
    """Join the texts in their order; a passage is full before it passes `MAX_TOKENS`."""
    passages: list[str] = []
    room = -1
    for text, length in zip(texts, lengths, strict=True):
        if room < length:
            passages.append("passage: ")
            room = MAX_TOKENS
        passages[-1] += text
        room -= length
    return passages
