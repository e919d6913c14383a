"""The parts of a page, gathered from an executed notebook before any template sees them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from nbconvert.exporters.templateexporter import TemplateExporter
from traitlets import default

from .. import colors
from ..schema import NotebookFailure
from .notebooks import INJECTED_TAG, PARAMETERS_TAG, tags_of
from .outputs import Outputs, checked_facts, vega_script
from .sanitize import json_block, markdown, packed, text_of, visible

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
        if "remove-cell" in tags_of(cell):
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
    return (
        cell.cell_type == "code" and bool(cell.source.strip()) and INJECTED_TAG not in tags_of(cell)
    )


def _add_code_cell(cell: Any, page: Page, number: int) -> None:
    marked = tags_of(cell)
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


# ---- Executed notebook to HTML: templates, scripts by hash, and the policy that names the
# hashes.

TEMPLATES = Path(__file__).resolve().parent / "template"


class ReportExporter(TemplateExporter):
    """nbconvert's exporter with our own templates only, and with escaping by default."""

    export_from_notebook = "cardlab report"
    output_mimetype = "text/html"

    @default("file_extension")
    def _file_extension_default(self) -> str:
        return ".html"

    @default("template_file")
    def _template_file_default(self) -> str:
        return "report.html.j2"

    @default("template_paths")
    def _template_paths_default(self) -> list[str]:
        return [str(TEMPLATES)]  # never a folder of the user's or the working directory

    def _create_environment(self) -> Environment:
        return template_environment()

    def from_notebook_node(  # type: ignore[override]  # so do nbconvert's own exporters
        self, nb: Any, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[str, dict[str, Any]]:
        """Return the page of an executed notebook and the resources, ``page`` among them.

        ``resources["cardlab"]`` may hold the arguments of
        :func:`~cardlab.report.page.build_page` other than the notebook.
        """
        resources = dict(resources or {})
        name = resources.get("metadata", {}).get("name") or "report"
        about: dict[str, Any] = {"name": name, "corpus": "", "day": "", "parameters": {}}
        about["outputs"] = Outputs()
        about.update(resources.get("cardlab", {}))
        page = build_page(nb, **about)
        resources.update(page=page, output_extension=".html")
        return self.template.render(**page_values(page)).strip() + "\n", resources


def page_values(page: Page) -> dict[str, Any]:
    """Return what the report template needs; a page gets only the scripts that it uses."""
    outputs = page.outputs
    parts = ["page.js"]
    drawn = {
        "tables.js": outputs.n_tables,
        "charts.js": outputs.n_charts,
        "points.js": outputs.n_maps,
        "maps.js": outputs.n_maps,
    }
    used = [part for part, n in drawn.items() if n]
    parts += ["shared.js", *used] if used else []
    script = "\n".join(asset(part) for part in parts)
    vega = vega_script(outputs.version) if outputs.n_charts else ""
    return {
        "page": page,
        "card": json_block(page.card),
        "style": style_sheet(),
        "script": script,
        "vega": packed_script(vega),
        "policy": content_policy([script, *([vega] if vega else [])]),
    }


def style_sheet() -> str:
    """Return the style sheet, its colours first."""
    return colors.style() + asset("report.css")


def render_index(cards: list[dict[str, Any]], *, day: str) -> str:
    """Return the index page of a folder of reports."""
    script = asset("page.js")
    html = (
        template_environment()
        .get_template("index.html.j2")
        .render(
            cards=cards,
            day=day,
            style=style_sheet(),
            script=script,
            policy=content_policy([script]),
        )
    )
    return html.strip() + "\n"


def content_policy(scripts: list[str]) -> str:
    """Return a Content-Security-Policy that lets these scripts run and nothing else load."""
    hashes = [
        "'sha256-"
        + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
        + "'"
        for script in scripts
    ]
    return (
        f"default-src 'none'; script-src {' '.join(hashes)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; connect-src 'none'; base-uri 'none'; "
        "form-action 'none'"
    )


@lru_cache(maxsize=1)
def template_environment() -> Environment:
    """Return the templates; what they print is escaped unless they say ``safe``."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,  # nbconvert's own environment does not
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@lru_cache(maxsize=16)
def asset(name: str) -> str:
    """Return the text of a file of the template folder."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


@lru_cache(maxsize=4)
def packed_script(script: str) -> str:
    """Return a script gzipped in base64; compressing Vega once a run is enough."""
    return packed(script) if script else ""


# ---- The index page of a folder of reports, read back from the pages themselves.

# The block stands in the head, before anything long.
_CARD = re.compile(r'<script type="application/json" id="cardlab-report">(.*?)</script>', re.DOTALL)
_HEAD_CHARS = 200_000


def read_card(path: Path) -> dict[str, Any] | None:
    """Return what a report says of itself; None for a page that is none of ours."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            found = _CARD.search(file.read(_HEAD_CHARS))
        card = json.loads(found[1]) if found else None
    except (OSError, ValueError):
        return None
    if not isinstance(card, dict) or card.get("name") != path.stem:
        return None
    texts = {key: visible(str(card.get(key, ""))) for key in ("title", "question", "corpus", "day")}
    return {"name": path.stem, "facts": checked_facts(card), **texts}


def index_cards(
    folder: Path,
    *,
    failures: Mapping[str, NotebookFailure],
    introductions: Mapping[str, tuple[str, str]],
) -> list[dict[str, Any]]:
    """Return a card for every report in the folder and every notebook that failed.

    Parameters
    ----------
    folder : Path
        Reports of earlier runs are listed too: a run may make only one of them again.
    failures : mapping of str to NotebookFailure
        By notebook name. Where an earlier page exists, it is linked and said to be earlier.
    introductions : mapping of str to (str, str)
        Title and question of the notebooks that failed.
    """
    cards: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.html")):
        card = read_card(path)
        if card is not None and path.name != "index.html":
            cards[path.stem] = {**card, "exists": True, "failure": ""}
    for name, failure in failures.items():
        title, question = introductions.get(name, (name, ""))
        fresh = {"name": name, "title": title, "question": question, "exists": False}
        card = cards.get(name, {**fresh, "facts": [], "corpus": "", "day": ""})
        place = f"cell {failure.cell}: " if failure.cell else ""
        first_line = next(iter(failure.error.splitlines()), "")
        cards[name] = {**card, "failure": visible(f"{place}{first_line}")[:300]}
    return [cards[name] for name in sorted(cards)]
