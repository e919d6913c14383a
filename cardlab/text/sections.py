"""The headings of a card and the source beneath them, as CommonMark reads it.

In one pass over a card the parser gives HTML in which what the author wrote as text or code is
escaped, so that a ``<`` is nearly always a tag, and in which each Markdown heading bears the lines
it came from. Headings written in HTML bear none: they get a mark before parsing,
and where the mark comes out inside a tag there is a heading, and not code or a comment.

Everything here is done on UTF-8 bytes: one emoji would make a Python string four times as large,
and every search in it as much slower.
"""

from __future__ import annotations

import html as entities
import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .markdown import to_html


class Section(NamedTuple):
    r"""A part of a card: what stands between one heading and the next.

    Attributes
    ----------
    level : int
        1-6, or 0 for what stands before the first heading.
    title : str
        The heading without markup, links, pictures and emoji shortcodes; ``""`` at level 0.
    body : str
        The Markdown source after the heading, up to the next heading of any level.

    Examples
    --------
    >>> cl.sections("## Uses\n\nFor speech.")[0].title
    'Uses'
    """

    level: int
    title: str
    body: str


class Outline(NamedTuple):
    """A parsed card, as UTF-8.

    `source` is the card without YAML that was left at its top, `pieces` the HTML before the first
    heading and after each of them, without code blocks and tables. Of each heading there is its
    level, its title and its span: where it begins and ends in the source. `html` is all of it.
    """

    source: bytes
    levels: list[int]
    titles: list[str]
    pieces: list[bytes]
    spans: list[tuple[int, int]]
    html: bytes

    def sections(self) -> list[Section]:
        """Give what :func:`sections` gives."""
        source = self.source
        ends = [start for start, _ in self.spans] + [len(source)]
        intro = source[: ends[0]]
        found = [] if _SAYS_NOTHING(intro) else [Section(0, "", intro.decode())]
        heads = zip(self.levels, self.titles, self.spans, ends[1:], strict=True)
        return found + [
            Section(level, title, source[start:end].decode())
            for level, title, (_, start), end in heads
        ]


def sections(markdown: str) -> list[Section]:
    r"""Split a card at its headings.

    Headings are those of CommonMark, in both styles (``#`` and underlined), in lists and quotes
    too, and ``<h1>`` to ``<h6>`` written in HTML. A ``#`` in code, in HTML or in a comment is none.

    Parameters
    ----------
    markdown : str
        The body of one card.

    Returns
    -------
    list of Section
        ``level`` (0 for what precedes the first heading, which is given only if it is more than
        blanks and opening tags), ``title`` (plain text, may be empty), ``body`` (Markdown
        source). YAML that was left at the top between ``---`` lines is in no section.

    Examples
    --------
    >>> cl.sections("Words first.\n\n## Uses\n\nFor speech.")
    [Section(level=0, title='', body='Words first.\n\n'), Section(level=2, title='Uses',
    body='\nFor speech.')]
    """
    return outline(markdown).sections()


@lru_cache(maxsize=1)  # whoever asks for the text and the sections of a card parses it once
def outline(markdown: str, *, links: bool = False) -> Outline:
    """Parse a card; with `links`, so that all its parts can be counted in the HTML."""
    # half a surrogate pair, which a string in Python may hold and a file may not, becomes "?"
    source = markdown.encode("utf-8", "replace")
    front = _FRONT(source) if b"---" in source[:80] else None
    if front:
        source = source[front.end() :]
    nonce = b"cardlab-h"
    while nonce in source:  # nothing in the card may pass for a mark
        nonce += b"h"
    places: list[int] = []

    def mark(match: re.Match[bytes]) -> bytes:
        places.append(match.start())
        return b"%b %b%d" % (match[0], nonce, len(places) - 1)

    whole = to_html(_HTML_HEADING.sub(mark, source).decode(), links=links).encode()
    html = _prose(whole, source)
    marks = re.compile(b" %b[0-9]+" % nonce)
    lines = line_starts(source) if b"<h" in html else []
    found = Outline(source, [], [], [], [], marks.sub(b"", whole))
    done = html_done = 0
    for match in re.compile(_ANY_HEADING.replace(b"MARK", nonce)).finditer(html):
        if match[2]:
            start, end = lines[int(match[2]) - 1], lines[min(int(match[3]), len(lines) - 1)]
            close = html.find(b"</h%b>" % match[1], match.end())
            # a script that never ends has swallowed what closes the heading
            close, close_end = (close, close + len("</h1>")) if close >= 0 else (len(html),) * 2
        else:
            number = int(match[4])
            start = places[number]
            limit = places[number + 1] if number + 1 < len(places) else len(source)
            closed = _CLOSING.search(source, start, limit) or _LINE_BREAK.search(
                source, start, limit
            )
            end = closed.end() if closed else limit  # the line, where what closes it never comes
            close, close_end = _end_of_title(html, match.end())
        if start < done or match.start() < html_done:
            continue  # an HTML heading in the line of a Markdown heading is part of its title
        found.spans.append((start, end))
        found.levels.append(int(match[1]))
        found.titles.append(plain_title(marks.sub(b"", html[match.end() : close])))
        found.pieces.append(marks.sub(b"", html[html_done : match.start()]))
        done, html_done = end, close_end
    found.pieces.append(marks.sub(b"", html[html_done:]))
    return found


def plain_title(html: bytes) -> str:
    """Give the text of a heading's HTML."""
    title = entities.unescape(_TAG.sub(b"", html.replace(b"<br", b" <br")).decode())
    return " ".join(_SHORTCODE.sub(" ", title).split())


def _prose(html: bytes, source: bytes) -> bytes:
    """Drop comments, scripts, style sheets, and code blocks and tables that end without a heading.

    Of the first three the source tells whether there are any. The names of tags that the author
    wrote in capitals become small.
    """
    html = html.replace(b"\0", b"\xef\xbf\xbd")  # as CommonMark has it, in HTML too
    if _CAPITALS.search(source):
        html = _CAPITALS.sub(lambda match: match[0].lower(), html)
    if b"<!--" in source:
        html = _COMMENT.sub(b"", html)
    if _UNSEEN_OPENS.search(source):
        html = _UNSEEN.sub(b"", html)
    found = _BLOCK(html)
    if not found:
        return html
    parts, done = [], 0
    unclosed = set()
    while found:
        name, start = found[1], found.start()
        end = html.find(b"</%b>" % name, start) if name not in unclosed else -1
        if end < 0:
            unclosed.add(name)  # nor does any later one end
            place = found.end()
        else:
            place = end + len(name) + 3
            if not _HTML_HEADING.search(html, start, end):
                parts.append(html[done:start])
                done = place
        found = _BLOCK(html, place)
    parts.append(html[done:])
    return b"\n".join(parts)


def line_starts(source: bytes) -> list[int]:
    """Give where each line begins, and the end of the text; lines end as in CommonMark."""
    if b"\r" in source:
        return [0, *(match.end() for match in _LINE_BREAK.finditer(source)), len(source)]
    ends = np.flatnonzero(np.frombuffer(source, np.uint8) == ord("\n")) + 1
    return [0, *ends.tolist(), len(source)]


def _end_of_title(html: bytes, start: int) -> tuple[int, int]:
    """Give where the title of a heading in HTML ends, and where its closing tag ends."""
    tag = _HEADING_TAG.search(html, start)
    if tag and tag[1]:
        return tag.start(), tag.end()
    limit = tag.start() if tag else len(html)
    line = html.find(b"\n", start, limit)
    end = line if line >= 0 else limit
    return end, end


# Each pattern ends in time linear in the text: it either stops at the next "<", or takes all that
# is left where what it looks for never comes
_TAG = re.compile(rb"<[/!?a-zA-Z][^<>]*>")
_BLOCK = re.compile(rb"<(pre|table)\b").search
_HTML_HEADING = re.compile(rb"<[hH][1-6](?=[\s/>])")
_PLACE = rb' data-sourcepos="([0-9]+):[0-9]+-([0-9]+):[0-9]+"'
_ANY_HEADING = rb"<h([1-6])(?:" + _PLACE + rb"| MARK([0-9]+)[^<>]*)>"
_HEADING_TAG = re.compile(rb"<(/?)h[1-6](?=[\s/>])[^<>]*>")
_CLOSING = re.compile(rb"</[hH][1-6]\s*>")
_CAPITALS = re.compile(rb"</?[A-Z][A-Za-z]*")
_COMMENT = re.compile(rb"<!--(?:-?>|.*?(?:-->|\Z))", re.DOTALL)
_UNSEEN_OPENS = re.compile(rb"<[sS](?:[cC][rR]|[tT][yY])")
_UNSEEN = re.compile(rb"<(script|style)\b.*?(?:</\1\b[^<>]*>|\Z)", re.DOTALL)
_SHORTCODE = re.compile(r"(?<![\w:]):[a-z+-][a-z0-9_+-]*:(?![\w:])")
_LINE_BREAK = re.compile(rb"\r\n|\n|\r")
_FRONT = re.compile(
    rb"(?:\s|\xef\xbb\xbf)*+---[ \t]*(?:\r\n?|\n)(?=[A-Za-z_][\w-]*:)"
    rb"(?:(?:[A-Za-z_][\w-]*:|[ \t#]|-[ \t])[^\r\n]*(?:\r\n?|\n)|(?:\r\n?|\n))*+"
    rb"---[ \t]*(?:\r\n?|\n|\Z)"
).match
_SAYS_NOTHING = re.compile(
    rb"(?:\s|<!--(?s:.*?)-->|</?(?:div|p|center|span|br|hr|section|header)\b[^<>]*>)*+",
    re.IGNORECASE,
).fullmatch


# ---- The words of a card: no code, tables, pictures, addresses or HTML; every sentence kept.


def plain_text(markdown: str) -> str:
    r"""Give the words of a card, for counting words and for embedding.

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

    Examples
    --------
    >>> cl.plain_text("# A **model**\n\nSee [the paper](https://example.org).")
    '# A model\n\nSee the paper.'
    """
    return "\n\n".join(section_texts(markdown))


def section_texts(markdown: str) -> list[str]:
    """Give the words of each section, its heading first; the intro only where it has words.

    Joined by blank lines they are :func:`plain_text`.
    """
    card = outline(markdown)
    # a NUL, which no HTML of the parser holds, stands for each heading
    html = b"\0".join(card.pieces).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"&" in card.source:
        html = _ENTITY.sub(_character, html)
    for step, words in _STEPS:
        html = step.sub(words, html)
    intro, *bodies = html.decode().split("\0")
    texts = [intro.strip()] if intro and not intro.isspace() else []
    for level, title, body in zip(card.levels, card.titles, bodies, strict=True):
        head = f"{'#' * level} {_ADDRESS.sub('URL', title)}".rstrip()
        texts.append(f"{head}\n\n{body.strip()}".rstrip())
    return texts


def _character(match: re.Match[bytes]) -> bytes:
    character = entities.unescape(match[0].decode()).replace("\0", "")
    return entities.escape(character, quote=False).encode("utf-8", "replace")


# The parser writes four entities; any other one is the author's, within HTML
_ENTITY = re.compile(
    rb"&(?!amp;|lt;|gt;|quot;)(?:[a-zA-Z][a-zA-Z0-9]{1,31}|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});"
)
# Up to a blank, a bracket or a quote, less the sentence's own marks at its end
_URL = r"(?:(?:https?|ftp|s3|hf)://|www\.)[^\x00-\x20<>\"'`|]*[^\x00-\x20<>\"'`|.,;:!?)\]}*_~]"
_ADDRESS = re.compile(_URL)
# Each takes time linear in the text
_STEPS = [
    (re.compile(pattern), new)
    for pattern, new in [
        (rb"</?code[^<>]*>", b"'"),
        (rb"<li(?: [^<>]*)?>\n?(?:<p(?: [^<>]*)?>)?", b"* "),
        (rb"<br[^<>]*>\n?|</p>", b"\n"),
        (rb"<[/!?a-zA-Z][^<>]*>", b""),
        (_URL.encode(), b"URL"),
        (rb"\n[ \t\n]*\n[ \t]*", b"\n\n"),
        (rb"\n[ \t]+", b"\n"),
        *[(b"&lt;", b"<"), (b"&gt;", b">"), (b"&quot;", b'"'), (b"&amp;", b"&")],
    ]
]
