"""The part of a card that answers a query, in a line."""

from __future__ import annotations

import re
from bisect import bisect_left

import polars as pl

from .. import schema

#: Where words of the query stand in a snippet.
HITS = pl.List(pl.Struct({"start": pl.Int32, "end": pl.Int32}))

#: Letters of scripts that put no blanks between words.
SPACED = re.compile("[぀-ヿ㐀-鿿\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")

_WIDTH = 240
#: Characters of a card among which the best part is sought, and hits that are looked at.
_MAX_TEXT = 2_000_000
_MAX_HITS = 10_000


def query_words(query: str) -> list[str]:
    """Give the distinct words of a query in alphabetical order, as the words of cards are read."""
    lower = pl.select(
        pl.lit(query).str.to_lowercase().str.extract_all(r"[\p{L}\p{M}\p{N}]+")
    ).item()
    return sorted(set(lower))


def snippet(text: str, words: list[str]) -> tuple[str, list[dict[str, int]]]:
    """Cut the part of a text with the most different words of a query, and say where they are."""
    text = text[:_MAX_TEXT]
    found = _places(text, words)
    start = _window(found)
    if start > 0:
        # Begin at a word, a little before the first hit.
        blank = text.find(" ", max(start - 40, 0), start)
        start = blank + 1 if blank >= 0 else start
    # White space shrinks: more is cut than can be shown, but not all of a long line.
    part = schema.printable(" ".join(text[start : start + 4 * _WIDTH].split()))
    ahead, room = "… " if start > 0 else "", _WIDTH
    shown = ahead + schema.shorten(part, room - len(ahead))
    return shown, [{"start": a, "end": b} for a, b, _ in _places(shown, words)]


def _places(text: str, words: list[str]) -> list[tuple[int, int, str]]:
    """Find the words of the query in a text, in their order."""
    if not words:
        return []
    # The longest first, so that of two words with one beginning the whole one is found.
    ordered = sorted(words, key=lambda word: (-len(word), word))
    whole = [re.escape(word) for word in ordered if not SPACED.search(word)]
    parts = [re.escape(word) for word in ordered if SPACED.search(word)]
    if whole:
        parts.append(rf"(?<![^\W_])(?:{'|'.join(whole)})(?![^\W_])")
    found = []
    for match in re.finditer("|".join(parts), text, re.IGNORECASE):
        found.append((match.start(), match.end(), match.group().lower()))
        if len(found) == _MAX_HITS:
            break
    return found


def _window(found: list[tuple[int, int, str]]) -> int:
    """Give where the part begins that has the most different words, then the most hits."""
    starts = [start for start, _, _ in found]
    best, at = (0, 0), 0
    inside: dict[str, int] = {}
    last = 0
    for i, (start, _, word) in enumerate(found):
        end = bisect_left(starts, start + _WIDTH - 60)
        for _, _, other in found[last:end]:
            inside[other] = inside.get(other, 0) + 1
        last = max(last, end)
        if (len(inside), end - i) > best:
            best, at = (len(inside), end - i), start
        inside[word] -= 1
        if not inside[word]:
            del inside[word]
    return at
