"""Executed notebook to one HTML page, its scripts and the policy of their hashes; and the index."""

from __future__ import annotations

import base64
import copy
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from html.parser import HTMLParser
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .. import __version__, colors
from ..charts.base import smaller
from ..charts.canvas import FINDINGS, LACKING, TEMPLATES, asset, hashed, json_block, packed
from ..colors import PAPER
from ..schema import NotebookFailure, ReportError
from .findings import checked_findings, findings_html, linked, picture
from .notebooks import INJECTED_TAG, PARAMETERS_TAG, tags_of
from .outputs import BEHIND, CHART, Outputs, checked_facts, vega_script
from .sanitize import escape, markdown, text_of, visible

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
    thumbnail: Callable[[Any], str] = lambda spec: "",
) -> str:
    """Return the page of an executed notebook; `outputs` then knows what it holds.

    `thumbnail` draws the first chart for the index.
    """
    title, question = introduction(notebook, name=name)
    parts = _Parts(outputs)
    for cell in notebook.cells:
        parts.add(cell)
    headings, blocks = parts.finished()
    small = thumbnail(outputs.first_chart)
    about: dict[str, Any] = {"title": title, "corpus": visible(corpus), "day": day}
    of = next((fact["value"] for fact in outputs.made_from if fact["label"] == "cards of"), "")
    hub = next((place for place, words in PLACES.items() if words == of), "")
    # what the index reads of a page, from its first characters
    card: dict[str, Any] = {"name": visible(name), "title": title, "question": question}
    card |= about | {"facts": (outputs.facts or [])[:4], "todo": outputs.todo}
    card |= {"findings": outputs.findings, "made_from": outputs.made_from, "thumbnail": small}
    made_with = f"cardlab {__version__}, polars {version('polars')}, altair {version('altair')}"
    card |= {"versions": made_with, "hub": hub}
    script = page_script("".join(html for _, _, html in blocks))
    vega = vega_script(outputs.version) if outputs.figures["chart"] else ""
    return rendered(
        "report.html.j2",
        [script, *([vega] if vega else [])],
        **about,
        of=PLACES.get(hub, ""),
        card=json_block(card),
        siblings=outputs.siblings,
        n_cells=parts.number,
        parameters={visible(key): visible(value) for key, value in (parameters or {}).items()},
        headings=headings,
        blocks=blocks,
        vega=packed_script(vega),
    )


#: Where on the Hub repositories lie that are no models.
PLACES = {"datasets/": "data sets", "spaces/": "Spaces"}
_STYLES = ("report.css", "tables.css", "map.css", "findings.css")
_EXPLORER = '<figure class="explorer"'
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
    twins = _EXPLORER in html
    if twins and "map.js" not in used:
        used.append("map.js")
    # a module that needs more than a page without explorers
    own = [import_module("cardlab.widgets.explorer").twin_script()] if twins else []
    return "\n".join([colors.script(), *map(asset, used), *own])


class _Parts:
    """The blocks of a page as its cells come, each with the number of its section."""

    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs
        self.headings: list[tuple[int, tuple[int, str, str]]] = []  # level, anchor, text
        self.blocks: list[tuple[int, tuple[str, str, str]]] = []  # kind, label, HTML
        self.number = self.section = 0
        self.anchors: set[str] = set()
        self.has_title = False
        #: What the corpus lacks -> its words, and the headings above what it leaves out.
        self.lacking: dict[str, tuple[str, list[str]]] = {}
        self.shown: set[int] = {0}
        self.left_out: set[int] = set()
        self.findings: int | None = None

    def add(self, cell: Any) -> None:
        """Add the blocks of a cell."""
        marks, is_code = tags_of(cell), cell.cell_type == "code"
        own = is_code and bool(cell.source.strip()) and INJECTED_TAG not in marks
        self.number += own
        if "remove-cell" in marks:
            return
        if cell.cell_type == "markdown":
            self._prose(cell.source)
        if own and "remove-input" not in marks:
            label = "Parameters" if PARAMETERS_TAG in marks else f"Code of cell {self.number}"
            self._put("code", label, highlighted(cell.source))
        for output in cell.get("outputs", []) if is_code and "remove-output" not in marks else []:
            self._output(output)

    def _put(self, kind: str, label: str, html: str) -> None:
        self.blocks.append((self.section, (kind, label, html)))

    def _prose(self, source: str) -> None:
        html = markdown(source, siblings=self.outputs.siblings)
        if not self.has_title:
            html, n_titles = _TITLE.subn("", html, count=1)
            self.has_title = bool(n_titles)
        html = _HEADING.sub(self._anchored, html)
        if html.strip():
            self._put("prose", "", html)

    def _anchored(self, match: re.Match[str]) -> str:
        """Give a heading an id and a line in the contents; a page has one h1, in its head."""
        level, text = max(2, int(match[1])), text_of(match[2])
        # an id that no other heading has, and that is none of the template's own
        slug = re.sub(r"[^\w]+", "-", text.lower(), flags=re.ASCII).strip("-")[:60]
        anchor = base = f"s-{slug or 'section'}"
        number = 2
        while anchor in self.anchors:
            anchor, number = f"{base}-{number}", number + 1
        self.anchors.add(anchor)
        self.section += level == 2
        if level <= 3 and text:
            self.headings.append((self.section, (level, anchor, text)))
        return f'<h{level} id="{anchor}">{match[2]}</h{level}>'

    def _output(self, output: Any) -> None:
        data = output.get("data", {})
        html = self.outputs.render(output)
        if LACKING in data:
            heading = self.headings[-1][1][2] if self.headings else "the beginning"
            words = text_of(html).removeprefix("No figure here: ")
            self.lacking.setdefault(json.dumps(data[LACKING]), (words, []))[1].append(heading)
            self.left_out.add(self.section)
            return
        if not html:
            return
        self.shown.add(self.section)
        before = self.blocks[-1][1] if self.blocks else ("", "", "")
        if html.startswith(BEHIND) and before[2].startswith(CHART):  # a table of its numbers
            body, _, rest = before[2].rpartition("</figure>")
            self.blocks[-1] = (self.section, (*before[:2], f"{body}{html}</figure>{rest}"))
            return
        if FINDINGS in data and self.findings is None:
            self.findings = len(self.blocks)
        self._put("output", "", html)

    def finished(self) -> tuple[list[Any], list[Any]]:
        """Return the contents and the blocks, without the sections that have nothing to show.

        What the corpus lacks is said once, at the end.
        """
        found = self.outputs.findings
        if self.findings is not None and found:  # now all charts are known
            linked(found["said"], self.outputs.titles, self.outputs.topics)
            section, _ = self.blocks[self.findings]
            self.blocks[self.findings] = (section, ("output", "", findings_html(found)))
        empty = self.left_out - self.shown
        headings = [line for section, line in self.headings if section not in empty]
        blocks = [block for section, block in self.blocks if section not in empty]
        if self.lacking:
            lines = "".join(
                f'<li class="lack">{escape(words)} <em>'
                + "; ".join(f"“{escape(text)}”" for text in dict.fromkeys(sections))
                + "</em></li>"
                for words, sections in self.lacking.values()
            )
            html = f'<div class="cl-note"><p>No figure here, and why:</p><ul>{lines}</ul></div>'
            blocks.append(("output", "", html))
        return headings, blocks


def highlighted(source: str) -> str:
    """Return Python source as HTML with one class a kind of word."""
    # by their modules: a second thread may not see what their packages put in their own place
    from pygments import highlight
    from pygments.formatters.html import HtmlFormatter
    from pygments.lexers.python import Python3Lexer

    return str(highlight(visible(source), Python3Lexer(), HtmlFormatter(nowrap=True)))


def rendered(template: str, scripts: list[str], **values: Any) -> str:
    """Fill a template; the scripts of a page (its own, then Vega) are named by its policy."""
    twins = any(_EXPLORER in html for *_, html in values.get("blocks", ()))
    styles = [*_STYLES, *(["../../widgets/explorer.css"] if twins else [])]
    style = colors.style() + "".join(map(asset, styles))
    policy = _POLICY.format(" ".join(map(hashed, scripts)))
    found = _ENVIRONMENT.get_template(template)
    return found.render(**values, style=style, script=scripts[0], policy=policy).strip() + "\n"


#: Lets some scripts run and nothing else load.
_POLICY = (
    "default-src 'none'; script-src {}; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; connect-src 'none'; base-uri 'none'; form-action 'none'"
)
#: The templates; what they print is escaped unless they say ``safe``.
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


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


#: The element of each kind of figure.
_FIGURES = {"chart": "figure", "table": "section", "map": "figure", "explorer": "figure"}


def figures_in(html: str) -> dict[str, int]:
    """Count the figures of each kind in the body of a page."""
    return {kind: html.count(f'<{tag} class="{kind}"') for kind, tag in _FIGURES.items()}


def check_page(html: str, *, name: str, figures: Mapping[str, int] | None = None) -> None:
    """Raise a ReportError unless a page is whole, loads nothing and holds its `figures`."""
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
    expected = {f"{tag}.{kind}": (figures or {}).get(kind, 0) for kind, tag in _FIGURES.items()}
    problems += [
        f"{counts[key]} {key.split('.')[-1]}s instead of {n}"
        for key, n in ({"h1": 1} | expected).items()
        if counts[key] != n
    ]
    if problems:
        raise ReportError(
            f"The page of {name} was not written, because it has {'; '.join(problems[:5])}. "
            "Please report this: a page should never come out so."
        )


#: Findings of the index, and pixels of a page's small picture.
MOST, _WIDE = 9, 320
# The block stands in the head, before anything long.
CARD = re.compile(r'<script type="application/json" id="cardlab-report">(.*?)</script>', re.DOTALL)
_PNG = re.compile(r"[A-Za-z0-9+/=]*")


def thumbnail(spec: Mapping[str, Any] | None) -> str:
    """Draw a checked chart small and without its title: a PNG in base64; empty where it cannot."""
    if spec is None:
        return ""
    import vl_convert

    bare = {key: value for key, value in copy.deepcopy(dict(spec)).items() if key != "title"}
    # without a colour of its own the ground would be black; what Vega refuses, the page itself says
    with suppress(ValueError):
        bare["config"] = bare.get("config", {}) | {"background": PAPER}
        svg = vl_convert.vegalite_to_svg(bare, allowed_base_urls=[])
        width = re.search(r'<svg[^>]* width="([\d.]+)"', svg)
        if width and "<image" not in svg and len(svg) < 1_000_000:
            png = vl_convert.svg_to_png(svg, scale=min(_WIDE / float(width[1]), 1))
            return base64.b64encode(smaller(png)).decode()
    return ""


def read_card(path: Path) -> dict[str, Any] | None:
    """Return what a report says of itself; None for a page that is none of ours."""
    try:
        html = path.read_text("utf-8", errors="replace")
        found = CARD.search(html)
        card = json.loads(found[1]) if found else None
    except (OSError, ValueError):
        return None
    if not isinstance(card, dict) or card.get("name") != path.stem:
        return None
    texts = {key: visible(str(card.get(key, ""))) for key in ("title", "question", "corpus", "day")}
    made = card.get("made_from")
    thumb = str(card.get("thumbnail", ""))
    return {
        "name": path.stem,
        "facts": checked_facts(card),
        "findings": checked_findings(card.get("findings")),
        "todo": [_task(html, item) for item in card.get("todo", []) if isinstance(item, dict)],
        "made_from": checked_facts({"facts": made}) if isinstance(made, list) else [],
        "hub": hub if (hub := card.get("hub")) in PLACES else "",
        "thumbnail": thumb if _PNG.fullmatch(thumb) else "",
        **texts,
    }


def _task(html: str, item: Mapping[str, Any]) -> dict[str, str]:
    """Return what is to be done, and the packed table of a page that lists it."""
    table = re.escape(str(item.get("table", "")))
    packed = re.search(
        rf'<section class="table" id="{table}".*?class="packed">([A-Za-z0-9+/=]*)</script>',
        html,
        re.DOTALL,
    )
    packed_text = packed[1] if packed else ""
    return {"text": visible(str(item.get("text", "")))[:300], "packed": packed_text}


def render_index(
    folder: Path,
    *,
    day: str,
    failures: Mapping[str, NotebookFailure],
    introductions: Mapping[str, tuple[str, str]],
    nothing: Mapping[str, str] | None = None,
) -> str:
    """Return the index page of a folder: its reports, of earlier runs too, and what failed.

    `failures` and `introductions` (title and question of what failed or has `nothing` to say, and
    why) go by the notebooks' names. Where an earlier page of such a one exists, it is linked and
    said to be earlier.
    """
    cards: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.html")):
        card = read_card(path)
        if card is not None and path.name != "index.html":
            cards[path.stem] = {**card, "exists": True, "failure": ""}
    fresh: dict[str, Any] = {"facts": [], "findings": checked_findings({}), "todo": []}
    fresh |= {"made_from": [], "thumbnail": "", "corpus": "", "day": "", "hub": "", "exists": False}
    for name, failure in failures.items():
        title, question = introductions.get(name, (name, ""))
        card = cards.get(name, {**fresh, "name": name, "title": title, "question": question})
        place = f"cell {failure.cell}: " if failure.cell else ""
        first_line = next(iter(failure.error.splitlines()), "")
        cards[name] = {**card, "failure": visible(f"{place}{first_line}")[:300]}
    listed = [cards[name] for name in sorted(cards)]
    # a folder may hold pages of several corpora: what is said together is of the commonest
    corpora = Counter(card["corpus"] for card in listed if card["exists"])
    corpus = corpora.most_common(1)[0][0] if corpora else ""
    own = [card for card in listed if card["exists"] and card["corpus"] == corpus]
    hub = next((card["hub"] for card in own if card["hub"]), "")
    of = PLACES.get(hub, "")
    title = f"Reports on cards of {of}" if of else "Model card reports"
    todo = [task for card in own for task in card["todo"] if task["packed"]]
    script = page_script('<section class="table"' if todo else "")
    return rendered(
        "index.html.j2",
        [script],
        cards=listed,
        day=day,
        corpus=corpus,
        of=of,
        title=title,
        card=json_block({"title": title, "corpus": corpus, "day": day, "hub": hub}),
        made_from=next((card["made_from"] for card in own if card["made_from"]), []),
        findings=_strongest(own),
        unsaid=_reasons(own),
        todo=todo,
        without=[
            (introductions.get(name, (name, ""))[0], visible(why.split(". ")[0])[:300])
            for name, why in sorted((nothing or {}).items())
        ],
    )


def _strongest(cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Choose of the findings of all pages: the first of each, then the second, at most MOST."""
    found: dict[str, tuple[int, float, dict[str, Any]]] = {}
    for card in cards:
        for place, item in enumerate(card["findings"]["said"]):
            more = {"page": card["name"], "title": card["title"], "picture": picture(item)}
            found.setdefault(item["text"], (place, -(item["strength"] or 0), item | more))
    ranked = sorted(found.values(), key=lambda one: (*one[:2], one[2]["text"]))
    return [item for *_, item in ranked[:MOST]]


def _reasons(cards: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Count why findings were not said, each once though several pages looked for it.

    Reasons that differ in their numbers are one, without them.
    """
    others = {item["text"]: item["reason"] for card in cards for item in card["findings"]["others"]}
    alike: dict[str, list[str]] = {}
    for reason in filter(None, others.values()):
        alike.setdefault(re.sub(r"\d[\d,.]*", "…", reason), []).append(reason)
    said = [(of[0] if len({*of}) == 1 else without, len(of)) for without, of in alike.items()]
    return sorted(said, key=lambda one: -one[1])[:MOST]
