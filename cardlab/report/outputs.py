"""One output of a code cell to HTML, by the richest representation that is safe to keep."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .charts import VEGALITE, RefusedChartError, checked_spec
from .maps import MAP, checked_map
from .sanitize import (
    MAX_PRINTED,
    MAX_TEXT,
    Cuts,
    clean_html,
    escape,
    json_block,
    markdown,
    packed,
    strip_ansi,
    text_of,
    visible_values,
)

TABLE = "application/vnd.cardlab.table.v1+json"
FACTS = "application/vnd.cardlab.facts.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"

#: Characters that the outputs of one page take at most, and the data of one table or chart.
PAGE_ROOM, FIGURE_ROOM = 12_000_000, 4_000_000
#: Characters of markup that are cleaned; of more only the text is kept. Cleaning takes the square.
MAX_MARKUP = 2_000_000

_KINDS = {"text", "int", "float", "share", "list", "date"}
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")
# from the start of a word on: a search from each of its letters would take a long word's square
_KERNEL_FILE = re.compile(r"(?<!\S)\S*?ipykernel_\d+[/\\]\d+\.py")
_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")
WIDGET_NOTE = (
    '<p class="widget-note">An interactive widget stands here when the notebook is open in '
    "JupyterLab (<code>make lab</code>, or copy the notebooks with "
    "<code>cardlab notebooks DIR</code>).</p>"
)


@dataclass
class Outputs:
    """Renders outputs and remembers what a page has to know of them.

    Parameters
    ----------
    hidden : mapping of str to str, optional
        Paths of this machine and what stands for them in printed text.
    siblings : collection of str, optional
        The reports that links in Markdown may lead to.
    """

    hidden: Mapping[str, str] = field(default_factory=dict)
    siblings: Collection[str] = ()
    n_charts: int = 0
    n_tables: int = 0
    n_maps: int = 0
    version: tuple[int, int] = (0, 0)
    facts: list[dict[str, str]] | None = None
    room: int = PAGE_ROOM
    cuts: Cuts = field(default_factory=Cuts)

    def render(self, output: Any) -> str:
        """Return the HTML of one output; empty when there is nothing to show.

        What makes no sense, or has no room in the page, leaves a line that says so.
        """
        self.cuts.n = 0
        counts = (self.n_charts, self.n_tables, self.n_maps)
        try:
            html = self._output(output)
        except Exception as error:  # of the notebook's making: one bad figure must not end a page
            html = _refused("An output", f"it is malformed ({type(error).__name__}: {error})")
        if self.cuts.n and html:
            texts = f"{self.cuts.n:,} text{'s' if self.cuts.n > 1 else ''}"
            html += f'<p class="cut">{texts} too long for a page: cut, and marked [cut].</p>'
        if len(html) > self.room:
            self.n_charts, self.n_tables, self.n_maps = counts
            return _refused("An output", f"of its {len(html):,} characters the page has no room")
        self.room -= len(html)
        return html

    def _output(self, output: Any) -> str:
        if output.output_type == "stream":
            return self._stream(str(output.text), is_error=output.name == "stderr")
        if output.output_type == "error":
            return self._error(output)
        return self._bundle(output.get("data", {}))

    def _bundle(self, data: Mapping[str, Any]) -> str:
        note = WIDGET_NOTE if WIDGET in data else ""
        ways: list[tuple[str, Callable[[Mapping[str, Any]], str]]] = [
            (MAP, self._map),  # before the chart of a sample that stands beside it
            (VEGALITE, self._chart),
            (TABLE, self._table),
            (FACTS, self._facts),
        ]
        for mime, render in ways:
            if mime in data:
                return render(data) + note
        if note:  # the rest of such a bundle is only the widget's repr
            return note
        written = next((m for m in ("text/html", "text/markdown") if m in data), "")
        if written and len(text := _text(data[written])) > MAX_MARKUP:
            return f'<pre class="plain">{escape(self.cuts(text_of(text), MAX_PRINTED))}</pre>'
        if "text/html" in data:
            content = self.cuts.markup(clean_html(_text(data["text/html"])))
            return f'<div class="html">{content}</div>'
        if "text/markdown" in data:
            content = markdown(_text(data["text/markdown"]), siblings=self.siblings)
            return f'<div class="prose">{self.cuts.markup(content)}</div>'
        return _image(data) or self._plain(data)

    def _chart(self, data: Mapping[str, Any]) -> str:
        description = self._words(data, "A chart.")
        try:
            spec, version = checked_spec(data[VEGALITE], self.cuts)
            block = json_block(spec)
            if len(block) > min(FIGURE_ROOM, self.room):
                raise RefusedChartError(f"of its {len(block):,} characters the page has no room")
        except (RefusedChartError, TypeError, ValueError, RecursionError) as error:
            return _refused("A chart", str(error)) + _image(data)
        self.n_charts += 1
        self.version = max(self.version, version)
        number = self.n_charts
        return (
            f'<figure class="chart" id="chart-{number}" aria-label="{escape(description)}">'
            '<div class="canvas" tabindex="0"><noscript>This chart is drawn by a script; its '
            "description stands below.</noscript></div>"
            f'<figcaption dir="auto">{escape(description)}</figcaption>'
            '<p class="tools" hidden><button type="button" data-save="csv">Download data</button>'
            '<button type="button" data-save="png">Download PNG</button></p>'
            f'<script type="application/json" class="spec">{block}</script></figure>'
        )

    def _table(self, data: Mapping[str, Any]) -> str:
        try:
            table = checked_table(data[TABLE], self.cuts)
            n_rows = len(table["data"][0])
            content = self._fitting(table)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            return _refused("A table", str(error))
        self.n_tables += 1
        number = self.n_tables
        caption = escape(table["caption"])
        n_here = len(table["data"][0])
        cut = f"The first {n_here:,} of {n_rows:,} rows: a page has no room for more."
        return (
            f'<section class="table" id="table-{number}" aria-label="{caption or "Table"}">'
            f'<p class="caption" dir="auto">{caption}</p>'
            f"<noscript><p>This table of {n_here:,} rows is shown by a script.</p></noscript>"
            f'<script type="application/octet-stream" class="packed">{content}</script></section>'
            + (f'<p class="cut">{cut}</p>' if n_here < n_rows else "")
        )

    def _fitting(self, table: dict[str, Any]) -> str:
        """Pack a table, without its last rows where a page has no room for them."""
        while True:
            text = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
            content = packed(text)
            fits = min(FIGURE_ROOM / len(text), (self.room - 10_000) / len(content))
            if fits >= 1:
                return content
            n_rows = int(len(table["data"][0]) * max(fits, 0) * 0.9)
            if not n_rows:
                raise ValueError(f"of its {len(text):,} characters the page has no room")
            table["data"] = [values[:n_rows] for values in table["data"]]

    def _map(self, data: Mapping[str, Any]) -> str:
        description = self._words(data, "A map of points.")
        try:
            words, points, cards = checked_map(data[MAP], self.cuts)
        except (KeyError, TypeError, ValueError) as error:
            return _refused("A map", str(error))
        self.n_maps += 1
        octets = '<script type="application/octet-stream" class="{}">{}</script>'
        return (
            f'<figure class="map" id="map-{self.n_maps}" aria-label="{escape(description)}">'
            "<noscript><p>This map is drawn by a script; its description stands below.</p>"
            f'</noscript><figcaption dir="auto">{escape(description)}</figcaption>'
            f'<script type="application/json" class="words">{json_block(words)}</script>'
            f"{octets.format('points', points)}{octets.format('ids', cards)}</figure>"
        )

    def _facts(self, data: Mapping[str, Any]) -> str:
        facts = checked_facts(data[FACTS], self.cuts)
        if self.facts is None:
            self.facts = facts
        return facts_html(facts)

    def _stream(self, text: str, *, is_error: bool) -> str:
        text = self.cuts(self.scrub(strip_ansi(text)).strip("\n"), MAX_PRINTED)
        if not text.strip():
            return ""
        n_lines = text.count("\n") + 1
        word = "Messages" if is_error else "Printed output"
        lines = f"{n_lines:,} line{'s' if n_lines > 1 else ''}"
        return (
            f'<details class="stream"><summary>{word} ({lines})</summary>'
            f"<pre>{escape(text)}</pre></details>"
        )

    def _error(self, output: Any) -> str:
        head = escape(self.cuts(strip_ansi(self.scrub(f"{output.ename}: {output.evalue}"))))
        trace = escape(self.cuts(strip_ansi(self.scrub("\n".join(output.traceback))), MAX_PRINTED))
        return (
            f'<div class="error" role="note"><p><strong>{head}</strong></p>'
            f"<details><summary>Traceback</summary><pre>{trace}</pre></details></div>"
        )

    def _plain(self, data: Mapping[str, Any]) -> str:
        text = self.cuts(strip_ansi(self.scrub(_text(data.get("text/plain", "")))), MAX_PRINTED)
        return f'<pre class="plain">{escape(text)}</pre>' if text.strip() else ""

    def _words(self, data: Mapping[str, Any], otherwise: str) -> str:
        """Return what a figure says of itself in words."""
        return self.cuts(_text(data.get("text/plain", "")).strip()) or otherwise

    def scrub(self, text: str) -> str:
        """Take out of printed text what differs from run to run or tells of this machine."""
        text = _ADDRESS.sub("at 0x…", _KERNEL_FILE.sub("cell", text))
        for path, shown in self.hidden.items():
            text = text.replace(path, shown)
        return text


def hidden_paths(source: Any, *, label: str, scratch: Path) -> dict[str, str]:
    """Return the paths that no page should show, the longest first."""
    paths = {str(scratch / "work"): "."}
    for value in source if isinstance(source, list) else [source]:
        if value and os.path.isabs(value):
            paths[str(value)] = label
    home = str(Path.home())
    if len(home) > 1:
        paths[home + os.sep] = "~" + os.sep
    return dict(sorted(paths.items(), key=lambda item: -len(item[0])))


def checked_table(table: Any, cuts: Cuts | None = None) -> dict[str, Any]:
    """Return a table's data with every text made visible and cut, or raise ValueError."""
    cuts = cuts or Cuts()
    columns = [
        {
            "name": cuts(str(column["name"])),
            "label": cuts(str(column.get("label") or column["name"])),
            "kind": kind
            if isinstance(kind := column.get("kind"), str) and kind in _KINDS
            else "text",
        }
        for column in table["columns"]
    ]
    if not all(isinstance(values, (list, tuple)) for values in table["data"]):
        raise ValueError("each of its columns must be a list")
    data = [[cuts.items(visible_values(v, cuts)) for v in values] for values in table["data"]]
    if not columns or len(columns) != len(data):
        raise ValueError(f"it names {len(columns)} columns and holds {len(data)}")
    lengths = {len(values) for values in data}
    if len(lengths) != 1:
        raise ValueError("its columns differ in length")
    n_rows = lengths.pop()
    n_total = max(n_rows, int(table.get("n_total") or 0))
    caption = cuts(str(table.get("caption") or ""))
    return {"caption": caption, "columns": columns, "data": data, "n_total": n_total}


def checked_facts(facts: Any, cuts: Cuts | None = None) -> list[dict[str, str]]:
    """Return key figures as short text; what is no list of them gives none."""
    cuts = cuts or Cuts()
    items = facts.get("facts", []) if isinstance(facts, Mapping) else []
    names = ("label", "value", "note")
    return [
        {name: cuts(str(item.get(name) or ""), 200) for name in names}
        for item in items
        if isinstance(item, Mapping)
    ]


def _refused(what: str, why: str) -> str:
    return f'<p class="refused">{what} was left out: {escape(why[:MAX_TEXT])}.</p>'


def facts_html(facts: list[dict[str, str]]) -> str:
    """Return key figures as tiles."""
    tiles = "".join(
        f'<div><dt dir="auto">{escape(fact["label"])}</dt>'
        f'<dd dir="auto">{escape(fact["value"])}</dd>'
        + (f'<dd class="note" dir="auto">{escape(fact["note"])}</dd>' if fact["note"] else "")
        + "</div>"
        for fact in facts
    )
    return f'<dl class="facts">{tiles}</dl>' if tiles else ""


def _text(value: Any) -> str:
    """Return the text of a MIME value, which may be split into lines."""
    return "".join(map(str, value)) if isinstance(value, list) else str(value)


def _image(data: Mapping[str, Any]) -> str:
    alt = escape(_text(data.get("text/plain", "")).strip()[:MAX_TEXT] or "Image")
    for mime in ("image/png", "image/jpeg"):
        content = _text(data.get(mime, "")).strip()
        if content and _BASE64.fullmatch(content):
            packed_image = "".join(content.split())
            return f'<p class="image"><img src="data:{mime};base64,{packed_image}" alt="{alt}"></p>'
    if "image/svg+xml" in data:
        # Inside <img> an SVG neither runs scripts nor loads anything.
        svg = base64.b64encode(_text(data["image/svg+xml"]).encode(errors="replace")).decode()
        return f'<p class="image"><img src="data:image/svg+xml;base64,{svg}" alt="{alt}"></p>'
    return ""
