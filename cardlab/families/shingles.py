"""Texts as sets of word shingles, read batch by batch; of a text only numbers are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ..schema import SourceError, printable, shorten

#: Consecutive words that make one shingle.
SHINGLE = 3

# scripts that set no blanks between words: each of their characters stands for a word
_NO_BLANKS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = rf"[{_NO_BLANKS}]|[[\p{{L}}\p{{M}}\p{{N}}_]--[{_NO_BLANKS}]]+"

#: Cards of a batch: a few megabytes of text, however many cards there are.
_BATCH = 1024
#: Words that are handled at once, so that a batch of very long cards is taken in parts.
_WORDS_AT_ONCE = 2_000_000

# odd constants that spread 64 bits (splitmix64, and the golden ratio)
_SPREAD = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)


class Batch(NamedTuple):
    """Some cards, and the shingles of those of their texts that no earlier batch had.

    `rows` has ``id`` and ``key`` of every card. `keys` are those of the new texts; `hashes` are
    their shingles, one text after another and repeated as in the text, which end at `ends`.
    """

    rows: pl.DataFrame
    keys: Any
    hashes: Any
    ends: Any


def text_key(column: str = "text") -> pl.Expr:
    """Give 64 bits that stand for a text; null where it is blank or there is none."""
    text = pl.col(column).cast(pl.String)
    return pl.when(text.str.contains(r"\S")).then(text.hash(seed=0))


def read_shingles(cards: pl.LazyFrame, *, only: Any = None) -> Iterator[Batch]:
    """Read the texts that are not blank as shingles, a batch at a time.

    Parameters
    ----------
    cards : pl.LazyFrame
        With ``id`` and ``text``.
    only : array of uint64, optional
        Keys of the texts to read; all by default.
    """
    kept = cards.select("id", pl.col("text").cast(pl.String), text_key().alias("key"))
    wanted = pl.col("key").is_not_null()
    if only is not None:
        wanted &= pl.col("key").is_in(pl.Series(only, dtype=pl.UInt64).implode())
    words = pl.col("text").str.extract_all(_WORD).list.eval(pl.element().hash(seed=0))
    seen: set[int] = set()
    for rows in stream(kept.filter(wanted)):
        new = rows.select("key", "text").unique("key", keep="first", maintain_order=True)
        new = new.filter([key not in seen for key in new["key"]])
        seen.update(new["key"])
        new = new.select("key", words.alias("words"))
        n_words = new["words"].list.len().to_numpy().astype(np.int64)
        part = np.cumsum(n_words) // _WORDS_AT_ONCE
        starts = np.flatnonzero(np.diff(part, prepend=-1)) if len(part) else np.zeros(1, int)
        for begin, end in zip(starts, np.append(starts[1:], new.height), strict=True):
            some = new[int(begin) : int(end)]
            values = some["words"].explode(empty_as_null=False, keep_nulls=False).to_numpy()
            hashes, ends = _shingles(values, n_words[begin:end])
            cards_of = (
                rows.select("id", "key") if begin == starts[0] else rows.select("id", "key").clear()
            )
            yield Batch(cards_of, some["key"].to_numpy(), hashes, ends)


def stream(query: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Run a query a batch of rows at a time."""
    try:
        batches = query.collect_batches(chunk_size=_BATCH, engine="streaming")
        for batch in batches:  # a row group may come whole, however large
            yield from batch.iter_slices(_BATCH)
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError, OSError) as error:
        raise SourceError(
            f"the texts could not be read to the end: {shorten(printable(str(error)), 300)}. "
            "The file may be damaged or may have changed while it was read."
        ) from error


def _shingles(words: Any, n_words: Any) -> tuple[Any, Any]:
    """Make shingles of the hashes of words, and say where those of each text end."""
    n_shingles = np.where(n_words > 0, np.maximum(n_words - SHINGLE + 1, 1), 0)
    ends, text_ends = np.cumsum(n_shingles), np.cumsum(n_words)
    place = np.arange(int(n_shingles.sum())) - np.repeat(ends - n_shingles, n_shingles)
    place += np.repeat(text_ends - n_words, n_shingles)
    # a text of fewer words is one shingle: what would lie beyond it counts as no word
    last = np.repeat(text_ends, n_shingles)
    padded = np.append(words, np.zeros(SHINGLE, dtype=np.uint64))
    mixed = np.zeros(len(place), dtype=np.uint64)
    for step in range(SHINGLE):
        word = np.where(place + step < last, padded[place + step], np.uint64(0))
        mixed = spread(mixed + word + _SPREAD[0])
    return mixed, ends


def spread(numbers: Any) -> Any:
    """Spread numbers evenly over 64 bits (the finaliser of splitmix64)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _SPREAD[1]
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _SPREAD[2]
    return numbers ^ (numbers >> np.uint64(31))
