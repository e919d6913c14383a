"""Names for families: the words of their examples."""

from __future__ import annotations

from typing import Any

import polars as pl

from .shingles import stream, text_key

_WORD = r"\p{L}[\p{L}\p{M}\p{N}_-]+"
#: What no reader sees: addresses, comments, tags of HTML.
_UNSEEN = r"(?is)<!--.*?-->|</?[a-z][^<>]*>|\bhttps?://\S*"
_SHORTEST, _LONGEST = 3, 24
_WORDS = 4


def names_of(cards: pl.LazyFrame, keys: Any) -> list[str | None]:
    """Name texts by their commonest words, those before others that few of the texts use.

    Words are ranked by how often the text has them, times ``log((1 + n) / m)`` where m of the n
    texts have the word, then by name; addresses and HTML tags are no
    words.

    Parameters
    ----------
    cards : pl.LazyFrame
        With ``text``.
    keys : array of uint64
        Which texts.

    Returns
    -------
    list of str or None
        Up to four words in lower case each; None where a text has none of 3 to 24 letters.
    """
    wanted = pl.Series("key", keys, dtype=pl.UInt64)
    rows = cards.select(text_key().alias("key"), pl.col("text").cast(pl.String))
    rows = rows.filter(pl.col("key").is_in(wanted.implode()))
    plain = pl.col("text").str.replace_all(_UNSEEN, " ").str.to_lowercase()
    words = plain.str.extract_all(_WORD)
    length = pl.col("word").str.len_chars()
    counted: list[pl.DataFrame] = []
    seen: set[int] = set()
    for batch in stream(rows):
        new = batch.unique("key", keep="first").filter(~pl.col("key").is_in(list(seen)))
        seen.update(new["key"])
        counted.append(
            new.select("key", words.alias("word"))
            .explode("word", empty_as_null=False, keep_nulls=False)
            .filter(length.is_between(_SHORTEST, _LONGEST))
            .group_by("key", "word")
            .len()
        )
    found = pl.concat(counted) if counted else pl.DataFrame(schema={"key": pl.UInt64})
    if not found.height:
        return [None] * wanted.len()
    rare = ((1 + wanted.len()) / pl.len().over("word")).log()
    ranked = (
        found.with_columns((pl.col("len") * rare).alias("weight"))
        .sort("key", "weight", "word", descending=[False, True, False])
        .group_by("key", maintain_order=True)
        .agg(pl.col("word").head(_WORDS).str.join(", "))
    )
    named = wanted.to_frame().join(ranked, on="key", how="left", maintain_order="left")
    return named["word"].to_list()
