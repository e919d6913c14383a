"""The words of a card: no code, tables, pictures, addresses or HTML; every sentence kept."""

from __future__ import annotations

import html as entities
import re
from collections.abc import Iterable

import polars as pl

from .outline import Outline, outline


def plain_text(markdown: str) -> str:
    """Give the words of a card, for counting words and for embedding.

    Parameters
    ----------
    markdown : str
        The body of one card.

    Returns
    -------
    str
        Blocks with a blank line between them. Headings of every level are ``#`` lines, items of
        lists begin with ``* ``, lines end where the author's do. Code within a sentence stands in
        single quotes; code blocks, tables, pictures, comments, tags and YAML left at the top are
        left out. Of a link its text is kept, of a bare address ``URL``. A table written in HTML
        is kept where it holds headings: there it only arranges the page.
    """
    return "\n\n".join(section_texts(markdown))


def section_texts(markdown: str) -> list[str]:
    """Give the words of each section, its heading first; the intro only where it has words.

    Parameters
    ----------
    markdown : str
        The body of one card.

    Returns
    -------
    list of str
        In the order of the card. Joined by blank lines they are :func:`plain_text`.
    """
    card = outline(markdown)
    words = _joined(card)
    for step, new in _STEPS_HERE:
        words = step.sub(new, words)
    for old, letter in _LETTERS.items():
        words = words.replace(old.encode(), letter.encode())
    return _assembled(card.levels, card.titles, words.decode())


def section_texts_of_many(markdowns: Iterable[str]) -> list[list[str]]:
    """Do what :func:`section_texts` does for many cards, several times as fast.

    The same steps are taken by polars' expressions over all cards at once.
    """
    heads: list[tuple[list[int], list[str]]] = []
    prose: list[str] = []
    for markdown in markdowns:
        card = outline(markdown)
        heads.append((card.levels, card.titles))
        prose.append(_joined(card).decode())
    words = pl.Series(prose, dtype=pl.String)
    for pattern, new in _STEPS:
        words = words.str.replace_all(pattern, new)
    for old, new in _LETTERS.items():
        words = words.str.replace_all(old, new, literal=True)
    return [_assembled(*head, text) for head, text in zip(heads, words.to_list(), strict=True)]


def _assembled(levels: list[int], titles: list[str], words: str) -> list[str]:
    intro, *bodies = words.split("\0")
    texts = [intro.strip()] if intro and not intro.isspace() else []
    for level, title, body in zip(levels, titles, bodies, strict=True):
        if "://" in title or "www." in title:
            title = _ADDRESS.sub("URL", title)
        head = "#" * level + " " + title if title else "#" * level
        below = body.strip()
        texts.append(f"{head}\n\n{below}" if below else head)
    return texts


def _joined(card: Outline) -> bytes:
    """Give a card's HTML; a NUL, which no HTML of the parser holds, stands for each heading."""
    html = b"\0".join(card.pieces)
    if b"\r" in html:
        html = html.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    # the parser writes four entities; any other one is the author's, within HTML
    return _ENTITY.sub(_character, html) if b"&" in card.source else html


def _character(match: re.Match[bytes]) -> bytes:
    character = entities.unescape(match[0].decode()).replace("\0", "")
    return entities.escape(character, quote=False).encode("utf-8", "replace")


_ENTITY = re.compile(
    rb"&(?!amp;|lt;|gt;|quot;)(?:[a-zA-Z][a-zA-Z0-9]{1,31}|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});"
)
# No look-around, no classes of Unicode: Python (over bytes) and polars read these alike. Each
# takes time linear in the text
_STEPS = [
    (r"</?code[^<>]*>", "'"),
    (r"<li(?: [^<>]*)?>\n?(?:<p(?: [^<>]*)?>)?", "* "),
    (r"<br[^<>]*>\n?|</p>", "\n"),
    (r"<[/!?a-zA-Z][^<>]*>", ""),
    (
        # up to a blank, a bracket or a quote, less the sentence's own marks at its end
        r"(?:(?:https?|ftp|s3|hf)://|www\.)[^\x00-\x20<>\"'`|]*[^\x00-\x20<>\"'`|.,;:!?)\]}*_~]",
        "URL",
    ),
    (r"\n[ \t\n]*\n[ \t]*", "\n\n"),
    (r"\n[ \t]+", "\n"),
]
_ADDRESS = re.compile(next(pattern for pattern, new in _STEPS if new == "URL"))
_STEPS_HERE = [(re.compile(pattern.encode()), new.encode()) for pattern, new in _STEPS]
_LETTERS = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&amp;": "&"}
