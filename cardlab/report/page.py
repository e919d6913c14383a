"""The parts of a page, gathered from an executed notebook before any template sees them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .notebooks import INJECTED_TAG, PARAMETERS_TAG, tags
from .outputs import Outputs
from .sanitize import markdown, text_of, visible

_HEADING = re.compile(r"<h([1-6])>(.*?)</h\1>", re.DOTALL)
_PARAGRAPH = re.compile(r"<p>(.*?)</p>", re.DOTALL)


@dataclass(frozen=True)
class Heading:
    """A line of the table of contents."""

    level: int
    anchor: str
    text: str


@dataclass(frozen=True)
class Block:
    """One piece of a page: finished HTML of ``kind`` prose, code or output."""

    kind: str
    html: str
    label: str = ""


@dataclass
class Page:
    """Everything a template needs to write one report."""

    name: str
    title: str
    question: str
    corpus: str
    day: str
    n_cells: int
    parameters: dict[str, str]
    outputs: Outputs
    headings: list[Heading] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    @property
    def card(self) -> dict[str, Any]:
        """What the index page shows of this report."""
        return {
            "name": self.name,
            "title": self.title,
            "question": self.question,
            "corpus": self.corpus,
            "day": self.day,
            "facts": (self.outputs.facts or [])[:4],  # read again from the page's first characters
        }


def introduction(notebook: Any, *, name: str) -> tuple[str, str]:
    """Return a notebook's title and its first paragraph, which says what it asks."""
    title = question = ""
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        html = markdown(cell.source)
        heading = next((m for m in _HEADING.finditer(html) if m[1] == "1"), None)
        if not title and heading:
            title = text_of(heading[2])
            html = html[heading.end() :]
        paragraph = _PARAGRAPH.search(html)
        if paragraph:
            question = text_of(paragraph[1])
            break
    return title or visible(name), question


def build_page(
    notebook: Any,
    *,
    name: str,
    corpus: str,
    day: str,
    parameters: Mapping[str, str],
    outputs: Outputs,
) -> Page:
    """Gather an executed notebook into a page."""
    title, question = introduction(notebook, name=name)
    page = Page(
        name=visible(name),
        title=title,
        question=question,
        corpus=visible(corpus),
        day=day,
        n_cells=sum(_is_own_code(cell) for cell in notebook.cells),
        parameters={visible(key): visible(value) for key, value in parameters.items()},
        outputs=outputs,
    )
    anchors: set[str] = set()
    seen_title = False
    number = 0
    for cell in notebook.cells:
        number += _is_own_code(cell)
        if "remove-cell" in tags(cell):
            continue
        if cell.cell_type == "markdown":
            html = markdown(cell.source, siblings=outputs.siblings)
            if not seen_title:
                html, seen_title = _without_title(html)
            html = _with_anchors(html, page, anchors)
            if html.strip():
                page.blocks.append(Block("prose", html))
        elif cell.cell_type == "code":
            _add_code_cell(cell, page, number)
    return page


def _is_own_code(cell: Any) -> bool:
    return cell.cell_type == "code" and bool(cell.source.strip()) and INJECTED_TAG not in tags(cell)


def _add_code_cell(cell: Any, page: Page, number: int) -> None:
    marked = tags(cell)
    if not marked & {"remove-input", INJECTED_TAG} and cell.source.strip():
        label = "Parameters" if PARAMETERS_TAG in marked else f"Code of cell {number}"
        page.blocks.append(Block("code", highlighted(cell.source), label))
    if "remove-output" in marked:
        return
    for output in cell.get("outputs", []):
        html = page.outputs.render(output)
        if html:
            page.blocks.append(Block("output", html))


def highlighted(source: str) -> str:
    """Return Python source as HTML with one class a kind of word."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import Python3Lexer

    return str(highlight(visible(source), Python3Lexer(), HtmlFormatter(nowrap=True)))


def _without_title(html: str) -> tuple[str, bool]:
    """Cut the first h1: the page's head shows it."""
    for match in _HEADING.finditer(html):
        if match[1] == "1":
            return html[: match.start()] + html[match.end() :], True
    return html, False


def _with_anchors(html: str, page: Page, anchors: set[str]) -> str:
    """Give each heading an id and a line in the table of contents; a page has one h1."""

    def replace(match: re.Match[str]) -> str:
        level = max(2, int(match[1]))
        text = text_of(match[2])
        anchor = _anchor(text, anchors)
        if level <= 3 and text:
            page.headings.append(Heading(level, anchor, text))
        return f'<h{level} id="{anchor}">{match[2]}</h{level}>'

    return _HEADING.sub(replace, html)


def _anchor(text: str, taken: set[str]) -> str:
    """Return an id that no other heading has, and that is none of the template's own."""
    slug = re.sub(r"[^\w]+", "-", text.lower(), flags=re.ASCII).strip("-")[:60]
    anchor = base = f"s-{slug or 'section'}"
    number = 2
    while anchor in taken:
        anchor, number = f"{base}-{number}", number + 1
    taken.add(anchor)
    return anchor
