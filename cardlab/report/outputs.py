"""One output of a code cell to HTML, by the richest representation that is safe to keep."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..charts import canvas
from ..charts.canvas import compact, json_block, packed
from .findings import checked_findings, findings_html
from .sanitize import (
    MAX_PRINTED,
    MAX_TEXT,
    Cuts,
    clean_html,
    escape,
    markdown,
    strip_ansi,
    text_of,
    visible,
    visible_values,
)

# ---- A Vega-Lite spec as a page may hold it, and the one copy of Vega that draws all of them.

VEGALITE = "application/vnd.vegalite.v5+json"

# The keys under which data stand: their rows may hold any key, also one called "url".
_DATA_KEYS = {"datasets", "values"}
# Under these stand formulas, which half a text would break.
_FORMULAS = {
    *("and", "calculate", "expr", "filter", "labelExpr", "not", "or", "signal", "test", "update")
}
_BIND_INPUTS = {"range", "select", "radio", "checkbox", "text", "number", "date", "color"}
_BIND_KEYS = {"input", "min", "max", "step", "options", "labels", "name", "debounce", "placeholder"}
_SCHEMA = re.compile(r"https://vega\.github\.io/schema/vega-lite/v(\d+)(?:\.(\d+))?[\d.]*\.json")
_bundle_lock = threading.Lock()


class RefusedChartError(ValueError):
    """A spec that a page must not hold; the message says why."""


def checked_spec(
    spec: Any, shown: Callable[[str], str] = visible
) -> tuple[dict[str, Any], tuple[int, int]]:
    """Return a spec without anything that loads or overrides, and its Vega-Lite version.

    `shown` makes every text but formulas visible, and may cut it. A RefusedChartError says that
    the spec wants data from a URL, draws images, or is not Vega-Lite.
    """
    if not isinstance(spec, dict):
        raise RefusedChartError("it is not a Vega-Lite specification")
    schema = _SCHEMA.fullmatch(str(spec.get("$schema", "")))
    if schema is None:
        raise RefusedChartError("it is not a Vega-Lite specification")
    # usermeta can replace the loader and every other option that we set.
    kept = {key: value for key, value in spec.items() if key not in {"$schema", "usermeta"}}
    return _walk(kept, shown), (int(schema[1]), int(schema[2] or 0))


def _walk(value: Any, shown: Callable[[str], str], key: str = "") -> Any:
    """Copy a spec, refusing what would load and trimming what would set attributes."""
    if isinstance(value, list):
        return [_walk(item, shown, key) for item in value]
    if not isinstance(value, dict):
        return visible_values(value, visible if key in _FORMULAS else shown)
    if "url" in value:
        raise RefusedChartError("it takes data or images from a URL, and a report asks for nothing")
    mark = value.get("mark")
    if "image" in (mark, mark.get("type") if isinstance(mark, dict) else None):
        raise RefusedChartError("it draws images, and a report asks for nothing")
    result: dict[str, Any] = {}
    for name, item in value.items():
        if name in _DATA_KEYS:
            result[name] = visible_values(item, shown)
        elif name == "bind" and isinstance(item, (dict, str)):
            result[name] = visible_values(_bind(item), shown)
        elif name == "bind":
            continue  # a list would be searched for a field's input by its number
        else:
            result[shown(str(name))] = _walk(item, shown, name)
    return result


def _bind(bind: Any) -> Any:
    """Keep of an input element's attributes those that only say what it asks for.

    Vega sets every other key as an attribute: ``onfocus`` is one, and so is ``src``.
    """
    if not isinstance(bind, dict):
        return bind
    if "input" not in bind:
        return {key: _bind(item) for key, item in bind.items() if isinstance(item, dict)}
    kept = {key: item for key, item in bind.items() if key in _BIND_KEYS}
    if not isinstance(kept["input"], str) or kept["input"] not in _BIND_INPUTS:
        kept["input"] = "text"
    return kept


def vega_script(version: tuple[int, int]) -> str:
    """Return Vega, Vega-Lite and vega-embed as one script, for specs up to ``version``."""
    with _bundle_lock:
        return _vega_script(version)


@lru_cache(maxsize=4)
def _vega_script(version: tuple[int, int]) -> str:
    import vl_convert

    shipped = {
        (int(major), int(minor)): name
        for name in vl_convert.get_vegalite_versions()
        for major, minor in [name.lstrip("v").replace("_", ".").split(".")[:2]]
    }
    # Never older than the spec: an older Vega-Lite ignores what it does not know.
    fitting = [known for known in sorted(shipped) if known[0] == version[0] and known >= version]
    chosen = shipped[fitting[0] if fitting else max(shipped)]
    bundle = vl_convert.javascript_bundle(vl_version=chosen)  # type: ignore[call-arg]
    # Its top level declares names such as n and t, which must not become the page's.
    return f"(()=>{{{bundle}\n}})();"


# ---- A map of points as a page may hold it.

_MAX_POINTS = 2_000_000
_MAX_COLUMNS = 24
_MAX_NAMES = 5_000
_COLOR = re.compile(r"#[0-9a-f]{6}|other|missing")


def checked_map(found: Any, cuts: Cuts | None = None) -> dict[str, Any]:
    """Return what a page holds of a map, as ``PointMap.to_dict`` gives it, or raise ValueError."""
    if not isinstance(found, Mapping):
        raise ValueError("it is no map")
    cuts = cuts or Cuts()
    n = _number(found.get("n_points"), 1, _MAX_POINTS, what="points")
    columns = [_column(column, cuts) for column in _list(found.get("columns"), _MAX_COLUMNS)]
    if not columns:
        raise ValueError("it has no column to colour by")
    size = n * (4 + 2 * len(columns))
    data = _unpacked(found.get("points"), size)
    if len(data) != size:
        raise ValueError(f"its data are not those of {n:,} points and {len(columns)} columns")
    codes = np.frombuffer(data, np.uint8, offset=4 * n).reshape(len(columns), 2, n)
    for column, (low, high) in zip(columns, codes.astype(int), strict=True):
        if int((low + 256 * high).max()) >= len(column["groups"]):
            raise ValueError(f"points are in groups that column {column['name']!r} lacks")
    cards = canvas.lines_of(_unpacked(found.get("cards"), 4 * MAX_TEXT * n), n)
    cards = [card if len(card) <= MAX_TEXT else cuts(card) for card in map(visible, cards)]
    return {
        "title": _text_maps(found.get("title"), cuts),
        "subtitle": [_text_maps(line, cuts) for line in _list(found.get("subtitle"), 20)],
        "n_points": n,
        "columns": columns,
        "names": [_name(name, n, columns, cuts) for name in _list(found.get("names"), _MAX_NAMES)],
        "points": packed(data),
        "cards": canvas.packed_lines(cards),
    }


def _column(column: Any, cuts: Cuts) -> dict[str, Any]:
    groups = [
        {
            "label": _text_maps(group["label"], cuts),
            "n": _number(group["n"], 0, 2**53, what="cards of a group"),
            "color": _one_of(group["color"], _COLOR.fullmatch(str(group["color"])), "colour"),
        }
        for group in _list(column["groups"], 2**16)
    ]
    layer = column.get("layer")
    return {
        "name": _text_maps(column["name"], cuts),
        "label": _text_maps(column["label"], cuts),
        "layer": None if layer is None else _number(layer, 0, _MAX_COLUMNS, what="layer"),
        "groups": groups,
    }


def _name(name: Any, n_points: int, columns: list[Any], cuts: Cuts) -> dict[str, Any]:
    column = _number(name["column"], 0, len(columns) - 1, what="column of a name")
    last = len(columns[column]["groups"]) - 1
    return {
        "text": _text_maps(name["text"], cuts),
        "column": column,
        "group": _number(name["group"], 0, last, what="group of a name"),
        "point": _number(name["point"], 0, n_points - 1, what="point of a name"),
    }


def _number(value: Any, low: int, high: int, *, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{what}: {visible(str(value))[:40]!r} is not from {low:,} to {high:,}")
    return value


def _one_of(value: Any, known: object, what: str) -> str:
    if not known:
        raise ValueError(f"{visible(str(value))[:40]!r} is no {what} of a map")
    return str(value)


def _list(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"a list of at most {most} was expected")
    return value


def _text_maps(value: Any, cuts: Cuts) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a text was expected, not {type(value).__name__}")
    return cuts(value)


def _unpacked(value: Any, most: int) -> bytes:
    """Unpack, but no more than there may be: a few bytes can hold gigabytes of zeros."""
    text = "".join(value) if isinstance(value, list) else value
    if not isinstance(text, str):
        raise ValueError("its data are missing")
    try:
        unzip = zlib.decompressobj(wbits=31)
        data = unzip.decompress(base64.b64decode(text, validate=True), most + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"its data are damaged ({error})") from error
    if len(data) > most or not unzip.eof:
        raise ValueError("its data are damaged or too long")
    return data


# ---- One output of a code cell to HTML, by the richest representation that is safe to keep.

#: Bytes of one part of an explorer, unpacked.
_MAX_PART = 80_000_000
WIDGET = "application/vnd.jupyter.widget-view+json"
#: How a chart begins, and what is folded until somebody asks for it.
CHART, BEHIND = '<figure class="chart"', '<details class="behind">'

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

    `hidden` are paths of this machine and what stands for them in printed text, `siblings` the
    reports that links in Markdown may lead to, `links` whether the cards are on the Hub.
    """

    hidden: Mapping[str, str] = field(default_factory=dict)
    siblings: Collection[str] = ()
    links: bool = True
    #: How many figures there are of each kind.
    figures: Counter[str] = field(default_factory=Counter)
    #: Parts of explorers that stand in the page: several of them share what is alike.
    held: set[str] = field(default_factory=set)
    version: tuple[int, int] = (0, 0)
    facts: list[dict[str, str]] | None = None
    #: What the index reads of a page: its findings, what is to be done (sentence, table), what it
    #: was made from, its first chart; the charts by title and topic; and what the corpus lacks.
    findings: dict[str, list[dict[str, Any]]] | None = None
    todo: list[dict[str, str]] = field(default_factory=list)
    made_from: list[dict[str, str]] = field(default_factory=list)
    first_chart: dict[str, Any] | None = None
    titles: dict[str, str] = field(default_factory=dict)
    topics: dict[str, str] = field(default_factory=dict)
    lacks: list[str] = field(default_factory=list)
    room: int = PAGE_ROOM
    cuts: Cuts = field(default_factory=Cuts)

    @property
    def nothing(self) -> str:
        """Why a page has nothing to say; empty where it has figures, findings or no reason."""
        n_figures = self.figures.total() - self.figures["explorer"] - bool(self.made_from)
        said = n_figures or (self.findings and self.findings["said"])
        return "" if said or not self.lacks else self.lacks[0]

    def render(self, output: Any) -> str:
        """Return the HTML of one output; empty when there is nothing to show.

        What makes no sense, or has no room in the page, leaves a line that says so.
        """
        self.cuts.n = 0
        before = self.figures.copy()
        try:
            html = self._output(output)
        except Exception as error:  # of the notebook's making: one bad figure must not end a page
            html = _refused("An output", f"it is malformed ({type(error).__name__}: {error})")
        if self.cuts.n and html:
            texts = f"{self.cuts.n:,} text{'s' if self.cuts.n > 1 else ''}"
            html += f'<p class="cut">{texts} too long for a page: cut, and marked [cut].</p>'
        if len(html) > self.room:
            self.figures = before
            return _refused("An output", f"of its {len(html):,} characters the page has no room")
        self.room -= len(html)
        return html

    def _id(self, kind: str) -> str:
        """Count a figure and give its name in the page."""
        self.figures[kind] += 1
        return f"{kind}-{self.figures[kind]}"

    def _output(self, output: Any) -> str:
        if output.output_type == "stream":
            return self._stream(str(output.text), is_error=output.name == "stderr")
        if output.output_type == "error":
            return self._error(output)
        return self._bundle(output.get("data", {}))

    def _bundle(self, data: Mapping[str, Any]) -> str:
        note = WIDGET_NOTE if WIDGET in data else ""
        ways: dict[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
            canvas.EXPLORER: ("An explorer", self._explorer),
            canvas.MIME: ("A map", self._map),
            VEGALITE: ("A chart", self._chart),
            canvas.TABLE: ("A table", self._table),
            canvas.FACTS: ("A list of figures", self._facts),
            canvas.FINDINGS: ("A list of findings", self._findings),
        }
        if canvas.LACKING in data:
            self.lacks.append(self._words(data, "").removeprefix("No figure here: "))
        for mime, (what, render) in ways.items():
            if mime in data:
                try:
                    return render(data) + note
                except (KeyError, TypeError, ValueError, RecursionError) as error:
                    image = _image(data) if mime == VEGALITE else ""
                    return _refused(what, str(error)) + image + note
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
        spec, version = checked_spec(data[VEGALITE], self.cuts)
        title = spec.get("title") or ""
        if isinstance(title, dict):
            if isinstance(title.get("text"), list):  # which the page breaks into lines by itself
                title["text"] = " ".join(map(str, title["text"]))
            title = title.get("text") or ""
        block = json_block(spec)
        if len(block) > min(FIGURE_ROOM, self.room):
            raise RefusedChartError(f"of its {len(block):,} characters the page has no room")
        self.version = max(self.version, version)
        self.first_chart = self.first_chart or spec
        own = self._id("chart")
        self.titles.setdefault(str(title), own)
        meta = data[VEGALITE].get("usermeta")
        for topic in meta.get("topics", []) if isinstance(meta, dict) else []:
            self.topics.setdefault(str(topic), own)
        return (
            f'{CHART} id="{own}" aria-label="{escape(description)}">'
            '<div class="canvas" tabindex="0"><noscript>This chart is drawn by a script; its '
            "description stands below.</noscript></div>"
            f'<figcaption dir="auto">{escape(description)}</figcaption>'
            f'<script type="application/json" class="spec">{block}</script></figure>'
        )

    def _table(self, data: Mapping[str, Any]) -> str:
        table = checked_table(data[canvas.TABLE], self.cuts) | {"links": self.links}
        n_rows = len(table["data"][0])
        content = self._fitting(table)
        own, caption = self._id("table"), escape(table["caption"])
        n_here = len(table["data"][0])
        cut = f"The first {n_here:,} of {n_rows:,} rows: a page has no room for more."
        asked = data[canvas.TABLE]
        if asked.get("todo"):
            text = self.cuts(str(asked["todo"]), 300)
            self.todo.append({"text": text, "table": own})
        if asked.get("about"):
            cells = zip(*table["data"][:2], strict=True)
            self.made_from += [{"label": str(k), "value": str(v), "note": ""} for k, v in cells]
        html = (
            f'<section class="table" id="{own}" aria-label="{caption or "Table"}">'
            f'<p class="caption" dir="auto">{caption}</p>'
            f"<noscript><p>This table of {n_here:,} rows is shown by a script.</p></noscript>"
            f'<script type="application/octet-stream" class="packed">{content}</script></section>'
            + (f'<p class="cut">{cut}</p>' if n_here < n_rows else "")
        )
        if not asked.get("folded"):
            return html
        return f"{BEHIND}<summary>{caption or 'Table'}</summary>{html}</details>"

    def _fitting(self, table: dict[str, Any]) -> str:
        """Pack a table, without its last rows where a page has no room for them."""
        while True:
            text = compact(table)
            content = packed(text)
            fits = min(FIGURE_ROOM / len(text), (self.room - 10_000) / len(content))
            if fits >= 1:
                return content
            n_rows = int(len(table["data"][0]) * max(fits, 0) * 0.9)
            if not n_rows:
                raise ValueError(f"of its {len(text):,} characters the page has no room")
            table["data"] = [values[:n_rows] for values in table["data"]]

    def _map(self, data: Mapping[str, Any]) -> str:
        found = checked_map(data[canvas.MIME], self.cuts)
        return canvas.figure(found, self._words(data, "A map of points."), self._id("map"))

    def _explorer(self, data: Mapping[str, Any]) -> str:
        about, parts = checked_explorer(data[canvas.EXPLORER])
        new = {key: part for key, part in parts.items() if key not in self.held}
        self.held |= new.keys()
        note = escape(about["note"])
        script = '<script type="application/octet-stream" data-part="{}">{}</script>'
        return (
            f'<figure class="explorer" id="{self._id("explorer")}" aria-label="{note}">'
            f"<noscript><p>This explorer is drawn by a script.</p></noscript><figcaption>{note}"
            f'</figcaption><script type="application/json" class="data">{json_block(about)}'
            f"</script>{''.join(script.format(key, part) for key, part in new.items())}</figure>"
        )

    def _facts(self, data: Mapping[str, Any]) -> str:
        facts = checked_facts(data[canvas.FACTS], self.cuts)
        if self.facts is None:
            self.facts = facts
        tiles = "".join(
            f'<div><dt dir="auto">{escape(fact["label"])}</dt>'
            f'<dd dir="auto">{escape(fact["value"])}</dd>'
            + (f'<dd class="note" dir="auto">{escape(fact["note"])}</dd>' if fact["note"] else "")
            + "</div>"
            for fact in facts
        )
        return f'<dl class="facts">{tiles}</dl>' if tiles else ""

    def _findings(self, data: Mapping[str, Any]) -> str:
        found = checked_findings(data[canvas.FINDINGS], self.cuts)
        if self.findings is None:
            self.findings = found
        return findings_html(found)

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


def checked_explorer(found: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what a page holds of an explorer, its parts by what they are, or raise ValueError.

    Every text is made visible; that none becomes markup is the script's work.
    """
    if not isinstance(found, Mapping) or not isinstance(found.get("parts"), Mapping):
        raise ValueError("it is no explorer")
    about = visible_values({key: value for key, value in found.items() if key != "parts"})
    names, parts = {}, {}
    for name, part in found["parts"].items():
        content = visible_values(json.loads(_unpacked(part, _MAX_PART)))
        text = compact(content)
        key = hashlib.sha256(text.encode()).hexdigest()[:20]
        names[visible(str(name))], parts[key] = key, packed(text)
    return {"note": "", **about, "parts": names}, parts


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
