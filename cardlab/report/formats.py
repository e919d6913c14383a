"""A folder of reports in other forms: one page that holds all, a PDF of it, Markdown."""

from __future__ import annotations

import base64
import csv
import gzip
import html as markup
import io
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from markdownify import MarkdownConverter

from ..charts.canvas import json_block
from ..schema import ReportError, one_of
from .outputs import vega_script
from .page import CARD, PLACES, check_page, figures_in, packed_script, page_script, rendered

FORMATS = ("html", "single", "md", "pdf")
#: What pages of one corpus say alike.
_WHOLE = ("corpus", "day", "versions", "hub")
_MAIN = re.compile(r'<main id="main"[^>]*>(.*)</main>', re.DOTALL)
_CONTENTS = re.compile(r'<li class="level-(\d)"><a href="#([^"]*)" dir="auto">(.*?)</a>')
#: What is data of a page stays as it is; of the tags of the rest, what names another place.
_SCRIPT = re.compile(r"(<script\b.*?</script>)", re.DOTALL)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_NAMES = re.compile(r' (id|for|aria-labelledby|aria-describedby|href)="([^"]*)"')
_LEVEL = re.compile(r"^(</?h)([2-5])\b")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Rows of a table that Markdown shows; its CSV has all that the page had.
_ROWS = 10


def export_as(format: str, output: str | Path, export: Callable[[Path], list[Path]]) -> list[Path]:
    """Write reports in another form; `export` writes the pages to a folder and returns them.

    `output` is a folder, or for one file its name. Nothing is written where a notebook fails.
    """
    one_of(format, FORMATS, name="format")
    target = Path(output)
    ending = {"single": ".html", "pdf": ".pdf"}.get(format, "")
    if ending and target.suffix != ending:
        target = target / f"report{ending}"
    browser = found_browser() if format == "pdf" else ""  # before anything runs
    with tempfile.TemporaryDirectory(prefix="cardlab-") as place:
        pages = export(Path(place) / "pages")
        folder = Path(place) / "made"
        folder.mkdir()
        if format == "md":
            made = as_markdown(pages, folder)
        else:
            made = [folder / "report.html"]
            made[0].write_text(joined(pages), encoding="utf-8", newline="\n")
            made = [print_to_pdf(made[0], browser)] if format == "pdf" else made
        into = target if format == "md" else target.parent
        try:
            into.mkdir(parents=True, exist_ok=True)
            written = []
            for path in made:
                to = target / path.relative_to(folder) if format == "md" else target
                to.parent.mkdir(exist_ok=True)
                shutil.move(path, to)
                written.append(to)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ReportError(
                f"A report cannot be written to {str(target)!r}: {reason}."
            ) from error
    return written


# ---- One page that holds all.


def joined(pages: list[Path]) -> str:
    """Join pages, whose last is their index, into one that works offline."""
    stems = [path.stem for path in pages]
    blocks, headings, kept = [], list[tuple[int, str, str]](), dict[str, Any]()
    for path in [pages[-1], *pages[:-1]]:
        html, stem = path.read_text("utf-8"), path.stem
        card, main = _card(html), _MAIN.search(html)
        if main is None:
            raise ReportError(f"{path.name} is no page of a report. Please report this.")
        kept = kept | {key: card[key] for key in _WHOLE if card.get(key)}
        title = str(card.get("title") or stem)
        headings.append((2, stem, title))
        headings += [
            (3, f"{stem}-{anchor}", markup.unescape(text))
            for level, anchor, text in _CONTENTS.findall(html)
            if level == "2"
        ]
        body = _moved(main[1], stem, stems)
        said = f'<script type="application/json" class="about-page">{json_block(card)}</script>'
        head = f'<h2 class="page-title" id="{stem}" dir="auto">{markup.escape(title)}</h2>'
        blocks.append(("page", "", f"<div data-page>{said}{head}{body}</div>"))
    whole = "".join(html for *_, html in blocks)
    vega = vega_script((6, 0)) if '<figure class="chart"' in whole else ""
    about = {"title": headings[0][2], "corpus": "", "day": "", "hub": "", **kept}
    page = rendered(
        "report.html.j2",
        [page_script(whole), *([vega] if vega else [])],
        **{name: about[name] for name in ("title", "corpus", "day")},
        of=PLACES.get(about["hub"], ""),
        card=json_block(about | {"name": "report"}),
        siblings=False,
        n_cells=whole.count('<div class="code">'),
        parameters={},
        headings=headings,
        blocks=blocks,
        vega=packed_script(vega),
    )
    check_page(page, name="report", figures=figures_in(whole))
    return page


def _card(html: str) -> dict[str, Any]:
    """Return what a page says of itself, without what only an index reads."""
    found = CARD.search(html)
    card = json.loads(found[1]) if found else {}
    return {key: card.get(key, "") for key in ("title", *_WHOLE)}


def _moved(html: str, stem: str, stems: list[str]) -> str:
    """Give what a page names a name of its own in the whole, lead links there, lower headings."""

    def place(match: re.Match[str]) -> str:
        name, value = match[1], match[2]
        if name != "href":
            return f' {name}="{" ".join(f"{stem}-{one}" for one in value.split())}"'
        file, _, anchor = value.partition("#")
        to = file.removesuffix(".html") if file else stem
        if to not in stems or (file and not file.endswith(".html")):
            return match[0]
        return f' href="#{to}{"-" + anchor if anchor else ""}"'

    def tag(match: re.Match[str]) -> str:
        levels = 0 if stem == "index" else 1  # beneath the heading of their page
        return _NAMES.sub(place, _LEVEL.sub(lambda h: f"{h[1]}{int(h[2]) + levels}", match[0]))

    parts = _SCRIPT.split(html)
    return "".join(part if i % 2 else _TAG.sub(tag, part) for i, part in enumerate(parts))


# ---- Printed.


def found_browser() -> str:
    """Return where Chromium is: ``CARDLAB_CHROMIUM``, or the first on the path."""
    named = os.environ.get("CARDLAB_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, _BROWSERS)), None)
    if not found:
        raise ReportError(
            "A PDF is printed by Chromium, and none was found. Nothing was run. Install Chromium "
            "or Chrome, name it in CARDLAB_CHROMIUM, or write one page (--format single) and "
            "print that from a browser."
        )
    return found


def print_to_pdf(page: Path, browser: str) -> Path:
    """Print a page to A4 by a browser without a window and without a network."""
    target = page.with_suffix(".pdf")
    flags = ["--headless", "--disable-gpu", "--no-pdf-header-footer", "--no-first-run"]
    flags += ["--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=120000"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        flags.append("--no-sandbox")  # root has none
    with tempfile.TemporaryDirectory(prefix="cardlab-", ignore_cleanup_errors=True) as profile:
        flags += [f"--user-data-dir={profile}", f"--print-to-pdf={target}", page.as_uri()]
        try:
            done = subprocess.run([browser, *flags], capture_output=True, timeout=600, check=False)
            said = done.stderr.decode(errors="replace").strip().splitlines()
        except (OSError, subprocess.TimeoutExpired) as error:
            said = [str(error)]
    if not target.exists():
        last = said[-1][:300] if said else "it said nothing"
        raise ReportError(f"{browser} did not print the report: {last}.")
    return target


# ---- Markdown for a repository: pictures of charts, the first rows of tables, files of all rows.


def as_markdown(pages: list[Path], folder: Path) -> list[Path]:
    """Write pages as Markdown, the index as README.md; their pictures and tables to ``files``."""
    (folder / "files").mkdir()
    written = []
    for page in pages:
        html = page.read_text("utf-8")
        main = _MAIN.search(html)
        stem = "README" if page.stem == "index" else page.stem
        writer = _Writer(stem, folder / "files")
        text = writer.convert(main[1]) if main else ""
        card = _card(html)
        about = " · ".join(filter(None, (card["corpus"], card["day"], card["versions"])))
        head = f"# {escaped(str(card['title']))}\n\n{escaped(about)}\n\n"
        path = folder / f"{stem}.md"
        path.write_text(f"{head}{text}\n", encoding="utf-8", newline="\n")
        written += [path, *writer.files]
    return written


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is: no markup, mention or HTML comes of it."""
    return re.sub(r"([\\`*_{}\[\]<>()#|~$!])", r"\\\1", text).replace("@", "&#64;")


def _guarded(value: Any) -> Any:
    """Keep a spreadsheet from running a text that begins like a formula."""
    if isinstance(value, list):
        return "; ".join(str(_guarded(item)) for item in value)
    risky = isinstance(value, str) and value.lstrip("\t\r\n \u200b\ufeff")[:1] in set("=+-@\u2212")
    return f"'{value}" if risky else value


class _Writer(MarkdownConverter):
    """Writes the main part of one of our own pages as Markdown."""

    def __init__(self, stem: str, folder: Path) -> None:
        super().__init__(heading_style="atx", bullets="-")
        self.stem, self.folder = stem, folder
        self.files: list[Path] = []

    def escape(self, text: str, parent_tags: set[str]) -> str:
        """Let text be seen as it is."""
        return escaped(text)

    def convert_a(self, el: Any, text: str, parent_tags: set[str]) -> str:
        """Link the other pages; the parts of this one have no names in Markdown."""
        link = str(el.get("href", ""))
        if re.fullmatch(r"[\w-]+\.html(#.*)?", link):
            el["href"] = re.sub(r"^index(?=\.md)", "README", link.replace(".html", ".md", 1))
        return text if link.startswith("#") else str(super().convert_a(el, text, parent_tags))  # type: ignore[misc]

    def convert_div(self, el: Any, text: str, parent_tags: set[str]) -> str:
        """Leave code out, which a page hides as well."""
        is_code = "code" in el.get("class", [])
        return "" if is_code else str(super().convert_div(el, text, parent_tags))  # type: ignore[misc]

    def convert_pre(self, el: Any, text: str, parent_tags: set[str]) -> str:
        """Fence a block by more backticks than it has in a row."""
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
        return f"\n\n{fence}\n{text.strip()}\n{fence}\n\n"

    def convert_dt(self, el: Any, text: str, parent_tags: set[str]) -> str:
        """Make a list of terms, which not every Markdown has."""
        return f"\n- **{text.strip()}**: "

    def convert_dd(self, el: Any, text: str, parent_tags: set[str]) -> str:
        """End the line of a term."""
        return f"{' '.join(text.split())}\n"

    def _left_out(self, el: Any, text: str, parent_tags: set[str]) -> str:
        return ""

    convert_svg = convert_button = convert_noscript = convert_form = convert_img = _left_out

    def convert_script(self, el: Any, text: str, parent_tags: set[str]) -> str:
        """Write what a block of data shows: a chart's picture, a table's first rows."""
        figure, kind = el.parent, el.get("class", [])
        if "spec" in kind:
            return self._chart(figure, json.loads(el.string))
        if "data" in kind and "map" in figure.get("class", []):
            from ..charts.map import PointMap

            picture = PointMap.read(json.loads(el.string)).picture()
            return self._picture(figure, base64.b64decode(picture))
        if "packed" in kind:
            return self._table(figure, json.loads(gzip.decompress(base64.b64decode(el.string))))
        return ""

    def _save(self, figure: Any, ending: str, content: bytes) -> str:
        path = self.folder / f"{self.stem}-{figure['id']}.{ending}"
        path.write_bytes(content)
        self.files.append(path)
        return f"files/{path.name}"

    def _chart(self, figure: Any, spec: Mapping[str, Any]) -> str:
        import vl_convert

        with suppress(ValueError):  # what Vega refuses, the words beneath say
            png = vl_convert.vegalite_to_png(dict(spec), scale=1.5, allowed_base_urls=[])
            return self._picture(figure, png)
        return ""

    def _picture(self, figure: Any, png: bytes) -> str:
        return f"\n\n![{escaped(figure['aria-label'])}]({self._save(figure, 'png', png)})\n\n"

    def _table(self, figure: Any, table: Mapping[str, Any]) -> str:
        file = io.StringIO()
        rows = list(zip(*table["data"], strict=True))
        names = [column["name"] for column in table["columns"]]
        csv.writer(file).writerows([names, *([_guarded(v) for v in row] for row in rows)])
        place = self._save(figure, "csv", file.getvalue().encode())
        heads = [escaped(column["label"]) for column in table["columns"]]
        kinds = [column["kind"] for column in table["columns"]]
        lines = [heads, ["---"] * len(heads)]
        for row in rows[:_ROWS]:
            cells = (_said(value, kind) for value, kind in zip(row, kinds, strict=True))
            lines.append([escaped(" ".join(cell.split()))[:400] for cell in cells])
        written = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        shown = f"{min(_ROWS, len(rows)):,} of {table['n_total']:,} rows"
        return f"\n\n{written}\n\n{shown}; [CSV of {len(rows):,}]({place})\n\n"


def _said(value: Any, kind: str) -> str:
    """Write what stands in a cell."""
    if value is None:
        return "–"
    if isinstance(value, list):
        return ", ".join(map(str, value[:10])) + (" …" if len(value) > 10 else "")
    if kind == "share":
        return f"{100 * value:.1f} %"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if kind == "int" else str(value)
