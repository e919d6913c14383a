"""From what a card says to passages short enough for a model."""

from __future__ import annotations

import re
from collections.abc import Callable

#: Tells how many tokens each of some texts has.
Count = Callable[[list[str]], list[int]]

#: Words and signs; of scripts without blanks between words each letter.
_TOKEN = re.compile(r"[぀-ヿ㐀-鿿가-힯฀-๿]|[^\W]+|[^\w\s]")


def card_passages(document: str, *, max_tokens: int, count: Count | None = None) -> list[str]:
    """Split one document into passages of at most `max_tokens` tokens, whole lines where possible.

    Parameters
    ----------
    document : str
        What the card says.
    max_tokens : int
        Tokens of a passage at most, by `count`; by an estimate (words and signs) without it.

    Returns
    -------
    list of str
        In their order; together they have every character of the document but blanks at the
        ends of lines. Empty for a blank document.
    """
    count = count or _estimate
    lines = [line.rstrip() for line in document.splitlines() if line.strip()]
    pieces = list(zip(lines, count(lines), strict=True)) if lines else []
    passages: list[str] = []
    held: list[str] = []
    room = max_tokens
    for line, n in pieces:
        if n > room and held:
            passages.append("\n".join(held))
            held, room = [], max_tokens
        if n > max_tokens:
            passages += _cut(line, -(-n // max_tokens))
        else:
            held.append(line)
            room -= n
    if held:
        passages.append("\n".join(held))
    return passages


def _cut(line: str, n_parts: int) -> list[str]:
    """Cut a line into parts of about the same length, at a blank where there is one near."""
    width = -(-len(line) // n_parts)
    parts, start = [], 0
    while start < len(line):
        stop = start + width
        if stop < len(line):
            blank = line.rfind(" ", start + width // 2, stop)
            stop = blank if blank > start else stop
        if part := line[start:stop].strip():
            parts.append(part)
        start = stop
    return parts


def _estimate(texts: list[str]) -> list[int]:
    return [sum(1 + len(word.group()) // 8 for word in _TOKEN.finditer(text)) for text in texts]
