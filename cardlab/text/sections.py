"""The headings of a card and the source beneath them, as CommonMark reads it.

The parser is comrak. In one pass over a card it gives HTML in which what the author wrote as text
or code is escaped, so that a ``<`` is nearly always a tag, and in which each Markdown heading
bears the lines it came from. Headings written in HTML bear none: they get a mark before parsing,
and where the mark comes out inside a tag there is a heading, and not code or a comment.

Everything here is done on UTF-8 bytes: one emoji would make a Python string four times as large,
and every search in it as much slower.
"""

from __future__ import annotations

import html as entities
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
import polars as pl

#: What the parser gets of a card: so many characters, so many columns of a table, and of one that
#: has more cells than these as many as four for each of its characters.
MAX_CHARS = 2_000_000
MAX_COLUMNS = 128
FEW_CELLS = 2_000


class Section(NamedTuple):
    """A part of a card: what stands between one heading and the next.

    Attributes
    ----------
    level : int
        1-6, or 0 for what stands before the first heading.
    title : str
        The heading without markup, links, pictures and emoji shortcodes; ``""`` at level 0.
    body : str
        The Markdown source after the heading, up to the next heading of any level.
    """

    level: int
    title: str
    body: str


class Outline(NamedTuple):
    """A parsed card, as UTF-8.

    Attributes
    ----------
    source : bytes
        The card, without YAML that was left at its top.
    levels, titles : list of int, list of str
        Of each heading.
    pieces : list of bytes
        The HTML before the first heading and after each of them, without code blocks and tables.
    lines : list of (bytes, bytes)
        First and last line of each heading, from 1; none where `spans` are known already.
    spans : list of (int, int)
        Where each heading begins and ends in the source.
    """

    source: bytes
    levels: list[int]
    titles: list[str]
    pieces: list[bytes]
    lines: list[tuple[bytes, bytes]]
    spans: list[tuple[int, int]]


def sections(markdown: str) -> list[Section]:
    """Split a card at its headings.

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
    """
    source, levels, titles, _, lines, spans = outline(markdown)
    if lines:
        spans = _spans(source, lines)
    ends = [start for start, _ in spans] + [len(source)]
    intro = source[: ends[0]]
    found = [] if _SAYS_NOTHING(intro) else [Section(0, "", intro.decode())]
    return found + [
        Section(level, title, source[start:end].decode())
        for level, title, (_, start), end in zip(levels, titles, spans, ends[1:], strict=True)
    ]


@lru_cache(maxsize=1)  # whoever asks for the text and the sections of a card parses it once
def outline(markdown: str) -> Outline:
    """Parse a card."""
    # half a surrogate pair, which a string in Python may hold and a file may not, becomes "?"
    source = markdown.encode("utf-8", "replace")
    front = _FRONT(source) if b"---" in source[:80] else None
    if front:
        source = source[front.end() :]
    if _HTML_HEADING.search(source):
        return _with_html_headings(source)
    html = _prose(to_html(markdown if not front else source.decode()), source)
    # per heading: level, first and last line, title, and the HTML up to the next
    parts = _HEADING.split(html) if b"<h" in html else [html]
    levels, titles = [int(x) for x in parts[1::5]], [plain_title(x) for x in parts[4::5]]
    lines = list(zip(parts[2::5], parts[3::5], strict=True))
    return Outline(source, levels, titles, parts[::5], lines, [])


def _with_html_headings(source: bytes) -> Outline:
    """Parse a card in which there may be headings in HTML."""
    nonce = b"cardlab-h"
    while nonce in source:  # nothing in the card may pass for a mark
        nonce += b"h"
    places: list[int] = []

    def mark(match: re.Match[bytes]) -> bytes:
        places.append(match.start())
        return b"%b %b%d" % (match[0], nonce, len(places) - 1)

    marked = _HTML_HEADING.sub(mark, source)
    html = _prose(to_html(marked.decode()), source)
    marks = re.compile(b" %b[0-9]+" % nonce)
    closers = [match.end() for match in _CLOSING.finditer(source)]
    lines = line_starts(source)
    found = Outline(source, [], [], [], [], [])
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
            end = _end_of_html_heading(source, start, limit, closers)
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
    if b"<" in html:
        html = _TAG.sub(b"", html.replace(b"<br", b" <br"))
    title = html.decode()
    if "&" in title:
        title = entities.unescape(title)
    if ":" in title:
        title = _SHORTCODE.sub(" ", title)
    return " ".join(title.split())


def to_html(markdown: str) -> bytes:
    """Render CommonMark with GitHub's tables, each block with its place in the source."""
    markdown = bounded(markdown)[0]
    try:
        html = _renderer()(markdown)
    except UnicodeEncodeError:
        html = _renderer()(markdown.encode("utf-8", "replace").decode())
    return html.encode()


def bounded(markdown: str) -> tuple[str, list[str]]:
    """Cut what the parser would take more time for than the length of a card accounts for.

    It fills each row of a table up to the width of the first, so that a few kilobytes can make
    millions of cells, and before each cell it counts those before it. No real card comes near
    what it gets to see: a card takes 5 seconds at worst.

    Returns
    -------
    markdown : str
        As long in lines as what came in.
    cut : list of str
        What was cut, in words; empty for nearly every card.
    """
    parts: list[str] = []
    cut: list[str] = []
    done = at = 0
    if len(markdown) > MAX_CHARS:
        cut.append(f"{len(markdown):,} characters, of which {MAX_CHARS:,} were taken apart")
        markdown = markdown[:MAX_CHARS]
    while maybe := _NEXT_CELL(markdown, at):
        start = max(markdown.rfind(sign, at, maybe.start()) for sign in "\r\n") + 1
        row = _DELIMITER_ROW.match(markdown, max(start, at))
        if not row:
            at = maybe.end()
            continue
        after = _TABLE_ENDS(markdown, row.end())
        at = end = after.start() if after else len(markdown)
        start -= 2 if markdown[max(start - 2, 0) : start] == "\r\n" else 1
        start = max(markdown.rfind(sign, done, max(start, done)) for sign in "\r\n") + 1
        start = max(start, done)
        n_rows = len(_LINE_END.findall(markdown, row.start(), end)) + 2
        room = max(1, min(MAX_COLUMNS, max(FEW_CELLS, 4 * (end - start)) // n_rows))
        widest = max(found[0].count("|") for found in _DELIMITER_ROW.finditer(markdown, start, end))
        if widest > room:
            parts += [markdown[done:start], _narrowed(markdown[start:end], room, cut)]
            done = end
    return ("".join(parts) + markdown[done:] if parts else markdown), cut


def _narrowed(block: str, room: int, cut: list[str]) -> str:
    """Cut the first two rows of each table in a block to `room` cells."""
    lines = _LINE_END.split(block)
    for at in range(2, len(lines), 2):  # every other one is what ends a line
        if _DELIMITER_ROW.fullmatch(lines[at]):
            first, second = (_pipes(line) for line in (lines[at - 2], lines[at]))
            if len(second) == len(first) > room + 1:
                lines[at - 2] = lines[at - 2][: first[room] + 1]
                lines[at] = lines[at][: second[room] + 1]
                cut.append(f"a table of {len(first) - 1:,} columns, of which {room:,} were read")
    return "".join(lines)


def _pipes(row: str) -> list[int]:
    """Give where the cells of a row begin and end: at its signs, and where none stands first."""
    marks = _CONTAINER.match(row)
    start = marks.end() if marks else 0
    found = [at.start() for at in _PIPE.finditer(row, start)]
    if not row.startswith("|", start):
        found.insert(0, start - 1)
    if found[-1] < len(row.rstrip()) - 1:
        found.append(len(row))
    return found


def _prose(html: bytes, source: bytes) -> bytes:
    """Drop comments, scripts, style sheets, code blocks and tables.

    Of the first three the source tells whether there are any. The names of tags that the author
    wrote in capitals become small.
    """
    if b"\0" in source:
        html = html.replace(b"\0", b"\xef\xbf\xbd")  # as CommonMark has it, in HTML too
    if _CAPITALS.search(source):
        html = _CAPITALS.sub(lambda match: match[0].lower(), html)
    if b"<!--" in source:
        html = _COMMENT.sub(b"", html)
    if _UNSEEN_OPENS.search(source):
        html = _UNSEEN.sub(b"", html)
    return _without_blocks(html)


def _without_blocks(html: bytes) -> bytes:
    """Drop code blocks and tables, but none that holds a heading or never ends."""
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


@cache
def _renderer() -> Callable[[str], str]:
    import comrak

    extensions = comrak.ExtensionOptions()
    extensions.table = True
    rendering = comrak.RenderOptions()
    rendering.unsafe_ = True  # only read here, never shown
    rendering.sourcepos = True
    render = comrak.render_markdown
    return lambda markdown: render(markdown, extensions, render_options=rendering)


def line_starts(source: bytes) -> list[int]:
    """Give where each line begins, and the end of the text; lines end as in CommonMark."""
    if b"\r" in source:
        return [0, *(match.end() for match in _LINE_BREAK.finditer(source)), len(source)]
    ends = np.flatnonzero(np.frombuffer(source, np.uint8) == ord("\n")) + 1
    return [0, *ends.tolist(), len(source)]


def _spans(source: bytes, lines: list[tuple[bytes, bytes]]) -> list[tuple[int, int]]:
    """Give where the lines of each heading begin and end."""
    starts = line_starts(source)
    last = len(starts) - 1
    return [(starts[int(a) - 1], starts[min(int(b), last)]) for a, b in lines]


def _end_of_html_heading(source: bytes, start: int, limit: int, closers: list[int]) -> int:
    """Give where ``</h1>`` ends in the source, or the line where it never comes."""
    nearest = bisect_right(closers, start)
    if nearest < len(closers) and closers[nearest] <= limit:
        return closers[nearest]
    line = _LINE_BREAK.search(source, start, limit)
    return line.end() if line else limit


def _end_of_title(html: bytes, start: int) -> tuple[int, int]:
    """Give where the title of a heading in HTML ends, and where its closing tag ends."""
    tag = _HEADING_TAG.search(html, start)
    if tag and tag[1]:
        return tag.start(), tag.end()
    limit = tag.start() if tag else len(html)
    line = html.find(b"\n", start, limit)
    end = line if line >= 0 else limit
    return end, end


# A row that divides the head of a table from its body, within quotes and items of lists
_DELIMITER_ROW = re.compile(
    r"(?<![^\r\n])[ \t>]*+\|?+(?:[ \t]*+:?+-++:?+[ \t]*+\|)++[ \t:-]*+(?![^\r\n])"
)
_NEXT_CELL = re.compile(r"-:?[ \t]*+\|").search
_TABLE_ENDS = re.compile(r"(?:\r\n|\n|\r)(?:[ \t>]*+(?![^\r\n])| {0,3}#{1,6}[ \t])").search
_LINE_END = re.compile(r"(\r\n|\n|\r)")
_CONTAINER = re.compile(r"(?:[ \t>]|[-+*][ \t]|[0-9]{1,9}[.)][ \t])*+")
_PIPE = re.compile(r"(?<!\\)\|")

# Each pattern ends in time linear in the text: it either stops at the next "<", or takes all that
# is left where what it looks for never comes
_TAG = re.compile(rb"<[/!?a-zA-Z][^<>]*>")
_BLOCK = re.compile(rb"<(pre|table)\b").search
_HTML_HEADING = re.compile(rb"<[hH][1-6](?=[\s/>])")
_PLACE = rb' data-sourcepos="([0-9]+):[0-9]+-([0-9]+):[0-9]+"'
_HEADING = re.compile(rb"<h([1-6])" + _PLACE + rb">(.*?)</h\1>", re.DOTALL)
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
