"""Executed notebook to one HTML page: parts, scripts, and the policy that names their hashes."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .. import __version__, colors
from ..schema import NotebookFailure, ReportError
from .notebooks import INJECTED_TAG, PARAMETERS_TAG, tags_of
from .outputs import LACKING, Outputs, checked_facts, vega_script
from .sanitize import escape, json_block, markdown, packed, text_of, visible

TEMPLATES = Path(__file__).resolve().parent / "template"
_HEADING = re.compile(r"<h([1-6])>(.*?)</h\1>", re.DOTALL)
_TITLE = re.compile(r"<h1>(.*?)</h1>", re.DOTALL)
_PARAGRAPH = re.compile(r"<p>(.*?)</p>", re.DOTALL)


def introduction(notebook: Any, *, name: str) -> tuple[str, str]:
    """Return a notebook's title and its first paragraph, which says what it asks."""
    title = ""
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        html = markdown(cell.source)
        heading = None if title else _TITLE.search(html)
        if heading:
            title, html = text_of(heading[1]), html[heading.end() :]
        if paragraph := _PARAGRAPH.search(html):
            return title or visible(name), text_of(paragraph[1])
    return title or visible(name), ""


def render_page(
    notebook: Any,
    *,
    name: str,
    outputs: Outputs,
    corpus: str = "",
    day: str = "",
    parameters: Mapping[str, str] | None = None,
) -> str:
    """Return the page of an executed notebook; `outputs` then knows what it holds."""
    title, question = introduction(notebook, name=name)
    headings, blocks, n_cells = _parts(notebook, outputs)
    about: dict[str, Any] = {"title": title, "corpus": visible(corpus), "day": day}
    # what the index reads of a page, from its first characters
    card = {"name": visible(name), "title": title, "question": question}
    card |= about | {"facts": (outputs.facts or [])[:4], "versions": _versions()}
    script = page_script("".join(html for _, _, html in blocks))
    vega = vega_script(outputs.version) if outputs.n_charts else ""
    return rendered(
        "report.html.j2",
        [script, *([vega] if vega else [])],
        **about,
        card=json_block(card),
        siblings=outputs.siblings,
        n_cells=n_cells,
        parameters={visible(key): visible(value) for key, value in (parameters or {}).items()},
        headings=headings,
        blocks=blocks,
        vega=packed_script(vega),
    )


#: The scripts of a page, and by what in it they are needed.
_PARTS = {
    "tables.js": '<section class="table"',
    "fit.js": '<figure class="chart"',
    "charts.js": '<figure class="chart"',
    "map.js": '<figure class="map"',
    "maps.js": '<figure class="map"',
}


def page_script(html: str) -> str:
    """Return the script of a page that holds this."""
    used = ["shared.js", "page.js", *(part for part, mark in _PARTS.items() if mark in html)]
    return "\n".join([colors.script(), *map(asset, used)])


@lru_cache(maxsize=1)
def _versions() -> str:
    """Name what a page was made with, for whoever cites it."""
    named = f"cardlab {__version__}"
    return ", ".join([named, *(f"{name} {version(name)}" for name in ("polars", "altair"))])


def _parts(notebook: Any, outputs: Outputs) -> tuple[list[Any], list[Any], int]:
    """Return the lines of the contents, the blocks of finished HTML, and the number of cells."""
    headings: list[tuple[int, str, str]] = []  # level, anchor, text
    blocks: list[tuple[str, str, str]] = []  # prose, code or output; label; HTML
    anchors: set[str] = set()
    #: What the corpus lacks -> the block that says so, and the headings above what it leaves out.
    lacking: dict[str, tuple[int, list[str]]] = {}
    number, has_title = 0, False

    def anchored(match: re.Match[str]) -> str:
        """Give a heading an id and a line in the contents; a page has one h1, in its head."""
        level, text = max(2, int(match[1])), text_of(match[2])
        anchor = _anchor(text, anchors)
        if level <= 3 and text:
            headings.append((level, anchor, text))
        return f'<h{level} id="{anchor}">{match[2]}</h{level}>'

    for cell in notebook.cells:
        marks, is_code = tags_of(cell), cell.cell_type == "code"
        is_injected = INJECTED_TAG in marks
        own = is_code and bool(cell.source.strip()) and not is_injected
        number += own
        if "remove-cell" in marks:
            continue
        if cell.cell_type == "markdown":
            html = markdown(cell.source, siblings=outputs.siblings)
            if not has_title:
                html, n_titles = _TITLE.subn("", html, count=1)
                has_title = bool(n_titles)
            html = _HEADING.sub(anchored, html)
            blocks += [("prose", "", html)] if html.strip() else []
        if own and "remove-input" not in marks:
            label = "Parameters" if PARAMETERS_TAG in marks else f"Code of cell {number}"
            blocks.append(("code", label, highlighted(cell.source)))
        for output in cell.get("outputs", []) if is_code and "remove-output" not in marks else []:
            lacks = json.dumps(output.get("data", {}).get(LACKING))
            section = headings[-1][2] if headings else "the beginning"
            if lacks in lacking:
                lacking[lacks][1].append(section)
                continue
            html = outputs.render(output)
            if html and lacks != "null":
                lacking[lacks] = len(blocks), [section]
            blocks += [("output", "", html)] if html else []
    for place, sections in lacking.values():
        if len(sections) > 1:
            named = escape("; ".join(f"“{text}”" for text in dict.fromkeys(sections)))
            more = f"{len(sections)} figures of this page are left out for this reason, in {named}."
            html = f'{blocks[place][2]}<p class="cl-note">{more}</p>'
            blocks[place] = ("output", "", html)
    return headings, blocks, number


def highlighted(source: str) -> str:
    """Return Python source as HTML with one class a kind of word."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import Python3Lexer

    return str(highlight(visible(source), Python3Lexer(), HtmlFormatter(nowrap=True)))


def _anchor(text: str, taken: set[str]) -> str:
    """Return an id that no other heading has, and that is none of the template's own."""
    slug = re.sub(r"[^\w]+", "-", text.lower(), flags=re.ASCII).strip("-")[:60]
    anchor = base = f"s-{slug or 'section'}"
    number = 2
    while anchor in taken:
        anchor, number = f"{base}-{number}", number + 1
    taken.add(anchor)
    return anchor


def rendered(template: str, scripts: list[str], **values: Any) -> str:
    """Fill a template; the scripts of a page (its own, then Vega) are named by its policy."""
    html = (
        template_environment()
        .get_template(template)
        .render(
            **values,
            style=colors.style() + "".join(map(asset, ["report.css", "tables.css", "map.css"])),
            script=scripts[0],
            policy=content_policy(scripts),
        )
    )
    return html.strip() + "\n"


def content_policy(scripts: list[str]) -> str:
    """Return a Content-Security-Policy that lets these scripts run and nothing else load."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; connect-src 'none'; base-uri 'none'; "
        "form-action 'none'"
    )


@lru_cache(maxsize=1)
def template_environment() -> Environment:
    """Return the templates; what they print is escaped unless they say ``safe``."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
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


# ---- A look at a finished page before it takes the place of an older one.

_LOADING_TAGS = {"iframe", "object", "embed", "link", "base", "frame", "video", "audio", "source"}
_LOADING_ATTRIBUTES = {"src", "srcset", "data", "poster", "background", "action", "formaction"}
_STYLE_LOADS = re.compile(r"url\(|@import|image-set\(", re.IGNORECASE)


class _Reader(HTMLParser):
    """Collects what a page would load, and counts what it shows."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.problems: list[str] = []
        self.counts: Counter[str] = Counter()
        self._inside = ""  # json, style, or what else is no text
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.counts.update([tag, *(f"{tag}.{name}" for name in found.get("class", "").split())])
        if tag in _LOADING_TAGS:
            self.problems.append(f"a <{tag}> element")
        for name, value in found.items():
            loads = name in _LOADING_ATTRIBUTES and not value.startswith("data:")
            if loads or name.startswith("on") or (name == "style" and _STYLE_LOADS.search(value)):
                self.problems.append(f"<{tag} {name}=...>")
        if tag == "meta" and "http-equiv" in found:
            self.counts[found["http-equiv"]] += 1
            if found["http-equiv"] != "Content-Security-Policy":
                self.problems.append(f"<meta http-equiv={found['http-equiv']!r}>")
        if tag in {"script", "style"}:
            self._inside, self._text = found.get("type", "") or tag, ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self._text += data
        else:
            self.counts["words"] += len(data.split())

    def handle_endtag(self, tag: str) -> None:
        if self._inside == "application/json":
            try:
                json.loads(self._text)
            except ValueError as error:
                self.problems.append(f"a block of broken JSON ({error})")
        elif self._inside == "style" and _STYLE_LOADS.search(self._text):
            self.problems.append("a style sheet that loads something")
        self._inside = ""


def check_page(
    html: str, *, name: str, n_charts: int = 0, n_tables: int = 0, n_maps: int = 0
) -> None:
    """Raise a ReportError unless a page is whole, loads nothing and holds what it should."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    problems, counts = reader.problems, reader.counts
    if not html.rstrip().endswith("</html>"):
        problems.append("it does not end with </html>")
    if not counts["Content-Security-Policy"]:
        problems.append("no Content-Security-Policy")
    if counts["words"] < 5:
        problems.append("no text")
    expected = {"h1": 1, "figure.chart": n_charts, "section.table": n_tables, "figure.map": n_maps}
    words = ("h1 headings", "charts", "tables", "maps")
    problems += [
        f"{counts[key]} {word} instead of {n}"
        for word, (key, n) in zip(words, expected.items(), strict=True)
        if counts[key] != n
    ]
    if problems:
        raise ReportError(
            f"The page of {name} was not written, because it has {'; '.join(problems[:5])}. "
            "Please report this: a page should never come out so."
        )


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


def render_index(
    folder: Path,
    *,
    day: str,
    failures: Mapping[str, NotebookFailure],
    introductions: Mapping[str, tuple[str, str]],
) -> str:
    """Return the index page of a folder: its reports, of earlier runs too, and what failed.

    `failures` and `introductions` (title and question of what failed) go by the notebooks' names.
    Where an earlier page of such a one exists, it is linked and said to be earlier.
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
    listed = [cards[name] for name in sorted(cards)]
    return rendered("index.html.j2", [asset("page.js")], cards=listed, day=day)
