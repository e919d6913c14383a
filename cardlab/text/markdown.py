"""Markdown -> HTML, by comrak or, where that has no wheel, by markdown-it-py.

Nothing of the HTML is ever shown: it is read for headings, words and what else a card is made of.
"""

from __future__ import annotations

import html as entities
import re
from collections.abc import Callable
from functools import cache
from typing import Any

#: What the parser gets of a card: so many characters, so many columns of a table, and of one that
#: has more cells than these as many as four for each of its characters.
MAX_CHARS = 2_000_000
MAX_COLUMNS = 128
FEW_CELLS = 2_000
#: Quotes and lists inside each other that the slower parser follows.
MAX_NESTING = 100


def to_html(markdown: str, *, links: bool = False) -> str:
    """Render CommonMark with GitHub's tables, each heading with its place in the source.

    With `links`, bare addresses become links, as on GitHub.
    """
    markdown = (countable if links else bounded)(markdown)[0]
    # half a surrogate pair, which a string in Python may hold, becomes "?"
    return _renderer(links)(markdown.encode("utf-8", "replace").decode())


@cache
def _renderer(links: bool) -> Callable[[str], str]:
    try:
        import comrak
    except ImportError:
        return _markdown_it(links)
    extensions = comrak.ExtensionOptions()
    extensions.table = True
    extensions.autolink = links
    rendering = comrak.RenderOptions()
    rendering.unsafe_ = True
    rendering.sourcepos = True
    return lambda markdown: comrak.render_markdown(markdown, extensions, render_options=rendering)


def _markdown_it(links: bool) -> Callable[[str], str]:
    """Do what comrak does, some forty times slower; bare addresses are told by a pattern."""
    from markdown_it import MarkdownIt

    def link_addresses(state: Any) -> None:
        for token in state.tokens:
            depth = 0
            for child in token.children or ():
                depth += child.nesting if child.type.startswith("link_") else 0
                if child.type == "text" and not depth:
                    shown = entities.escape(child.content, quote=False)
                    child.type = "html_inline"
                    child.content = _ADDRESS.sub(r'<a href="">\g<0></a>', shown)

    parser = MarkdownIt("commonmark", {"maxNesting": MAX_NESTING}).enable("table")
    if links:
        parser.core.ruler.push("addresses", link_addresses)

    def render(markdown: str) -> str:
        tokens = parser.parse(markdown)
        for token in tokens:
            if token.type == "heading_open" and token.map:
                first, end = token.map
                token.attrSet("data-sourcepos", f"{first + 1}:1-{end}:1")
        return str(parser.renderer.render(tokens, parser.options, {}))

    return render


def bounded(markdown: str) -> tuple[str, list[str]]:
    """Cut what the parser would take more time for than the length of a card accounts for.

    It fills each row of a table up to the width of the first, so that a few kilobytes can make
    millions of cells, and before each cell it counts those before it. No real card comes near what
    it gets to see: a card takes seven seconds at worst. Lines stay lines; what was cut is said in
    words.
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


def countable(markdown: str) -> tuple[str, list[str]]:
    """Cut what the parser would take a time for that grows with the square of the card.

    Beside what :func:`bounded` does: the marks that end an address are
    shortened, which changes no count, and of a line's addresses of e-mail the first are looked at.
    """
    markdown, cut = bounded(markdown)
    markdown = _MARKS.sub(lambda run: run[0][:_MAX_MARKS], markdown)
    if markdown.count("@") > _MAX_SIGNS:
        markdown, n = _SIGNS.subn(lambda line: line[1] + line[2].replace("@", " "), markdown)
        cut = [*cut, *[f"a line of more than {_MAX_SIGNS} signs @, of which so many were read"] * n]
    return markdown, cut


# A row that divides the head of a table from its body, within quotes and items of lists
_DELIMITER_ROW = re.compile(
    r"(?<![^\r\n])[ \t>]*+\|?+(?:[ \t]*+:?+-++:?+[ \t]*+\|)++[ \t:-]*+(?![^\r\n])"
)
_NEXT_CELL = re.compile(r"-:?[ \t]*+\|").search
_TABLE_ENDS = re.compile(r"(?:\r\n|\n|\r)(?:[ \t>]*+(?![^\r\n])| {0,3}#{1,6}[ \t])").search
_LINE_END = re.compile(r"(\r\n|\n|\r)")
_CONTAINER = re.compile(r"(?:[ \t>]|[-+*][ \t]|[0-9]{1,9}[.)][ \t])*+")
_PIPE = re.compile(r"(?<!\\)\|")

# Where an address may end, and the lines that may hold addresses of e-mail
_MAX_MARKS, _MAX_SIGNS = 200, 100
_MARKS = re.compile(rf"[).,:;?!*_~'\"]{{{_MAX_MARKS + 1},}}")
_SIGNS = re.compile(rf"(?<![^\r\n])((?:[^@\r\n]*+@){{{_MAX_SIGNS}}})([^\r\n]*@[^\r\n]*)")

# What GitHub makes a link of by itself
_ADDRESS = re.compile(
    r"(?:(?:https?|ftp)://|(?<![\w.])www\.)[^\s<]*[^\s<.]"
    r"|(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+"
)
