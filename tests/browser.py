"""A headless Chromium without a network, and what a report did in it.

Tests that need a browser ask for it with ``browser_or_skip`` or open a page with ``open_report``.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

# Which marks a drawn chart holds, by walking the scene graph, and whether its canvas has ink.
_CHART_STATE = """
async () => {
  const views = await Promise.allSettled(window.cardlabViews ?? []);
  const figures = [...document.querySelectorAll("figure.chart")];
  return views.map((result, i) => {
    if (result.status !== "fulfilled") return { error: String(result.reason), marks: {}, ink: 0 };
    const marks = {};
    const walk = (node) => {
      const kind = node.marktype;
      if (node.role === "mark") marks[kind] = (marks[kind] ?? 0) + node.items.length;
      for (const item of node.items ?? []) if (item.items) item.items.forEach(walk);
    };
    walk(result.value.scenegraph().root);
    const canvas = figures[i].querySelector("canvas");
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const colours = new Set();
    for (let p = 0; p < pixels.length; p += 4) {
      colours.add((pixels[p] << 24) | (pixels[p + 1] << 16) | (pixels[p + 2] << 8) | pixels[p + 3]);
    }
    return { error: null, marks, ink: colours.size };
  });
}
"""


@dataclass
class Opened:
    """A page in the browser and what it did since it was opened."""

    page: Any
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    charts: list[dict[str, Any]] = field(default_factory=list)
    n_tables: int = 0

    def dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    @property
    def n_charts(self) -> int:
        """Charts that were drawn: something other than one colour is on their canvas."""
        return sum(chart["error"] is None and chart["ink"] > 1 for chart in self.charts)

    @property
    def marks(self) -> list[dict[str, int]]:
        """For each chart, the number of drawn marks of each type."""
        return [chart["marks"] for chart in self.charts]


def chromium_path() -> str | None:
    """Return where Chromium is: ``CARDLAB_CHROMIUM``, or the first one on the path."""
    named = os.environ.get("CARDLAB_CHROMIUM")
    if named:
        return named
    return next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


def browser_or_skip() -> str:
    """Return Chromium's path; without one skip the test, but fail it where CI is set."""
    reason = ""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        reason = "playwright is not installed"
    path = chromium_path()
    if not reason and path is None:
        reason = "no Chromium found (set CARDLAB_CHROMIUM to its path)"
    if reason and os.environ.get("CI"):
        pytest.fail(f"{reason}, and in CI the browser tests must run")
    if reason:
        pytest.skip(reason)
    assert path is not None
    return path


#: What the tests of a module share, closed after the last of them: a browser starts in two seconds.
_OPEN = ExitStack()
_BROWSER: list[Any] = []


def close_browser() -> None:
    """Close the browser of a module's tests."""
    _BROWSER.clear()
    _OPEN.close()


@contextmanager
def browser_context(**options: Any) -> Iterator[Any]:
    """Yield a playwright context, new as a new profile; ``options`` go to it (viewport, ...)."""
    path = browser_or_skip()
    from playwright.sync_api import sync_playwright

    if not _BROWSER:
        chromium = _OPEN.enter_context(sync_playwright()).chromium
        browser = chromium.launch(executable_path=path, headless=True, args=list(CHROMIUM_FLAGS))
        _OPEN.callback(browser.close)
        _BROWSER.append(browser)
    context = _BROWSER[0].new_context(**options)
    try:
        yield context
    finally:
        context.close()


@contextmanager
def opened_report(path: Path, **options: Any) -> Iterator[Opened]:
    """Open a page and wait until its charts and tables are there; watch what it does.

    ``requests`` are all but the page itself: also those that its policy blocked.
    """
    options = {"viewport": {"width": 1280, "height": 900}, **options}
    with browser_context(**options) as context:
        page = context.new_page()
        seen = Opened(page)
        url = path.resolve().as_uri()
        quiet = (url, "data:", "blob:")
        page.on(
            "request", lambda r: None if r.url.startswith(quiet) else seen.requests.append(r.url)
        )
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        kept = {"error": seen.errors, "warning": seen.warnings}
        page.on("console", lambda message: kept.get(message.type, []).append(message.text))
        page.on("dialog", seen.dialog)
        page.goto(url)
        refresh(seen)
        yield seen


def refresh(seen: Opened) -> None:
    """Wait for the page's scripts and take stock of it again."""
    seen.charts = seen.page.evaluate(_CHART_STATE)
    seen.n_tables = seen.page.evaluate(
        "async () => (await Promise.allSettled(window.cardlabTables ?? []))"
        ".filter((r) => r.status === 'fulfilled').length"
    )


def open_report(path: Path, **options: Any) -> dict[str, Any]:
    """Open a page, close it, and return what was seen as plain values."""
    with opened_report(path, **options) as seen:
        # what is folded is to be read too
        unfold = "() => document.querySelectorAll('.behind').forEach((one) => (one.open = true))"
        seen.page.evaluate(unfold)
        return {
            "requests": list(seen.requests),
            "errors": list(seen.errors),
            "dialogs": list(seen.dialogs),
            "n_charts": seen.n_charts,
            "n_tables": seen.n_tables,
            "marks": seen.marks,
            "title": seen.page.title(),
            "text": seen.page.inner_text("body"),
            "pwned": seen.page.evaluate("window.__pwned"),
            "overflows": seen.page.evaluate(
                "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            ),
        }


@contextmanager
def listener() -> Iterator[tuple[str, list[str]]]:
    """Yield the address of a server on this machine, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        do_POST = do_HEAD = do_OPTIONS = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def hostile_texts(address: str) -> list[str]:
    return [
        "</script><script>window.__pwned=1;alert(1)</script>",
        "<!--<script>",
        "-->]]></style></textarea></title></noscript><script>window.__pwned=1</script>",
        f"<img src='{address}/img' onerror='window.__pwned=1'>",
        '"><svg onload="window.__pwned=1"><use href="data:,x"/></svg>',
        "' autofocus onfocus='window.__pwned=1",
        "[x](javascript:window.__pwned=1)",
        f"![x]({address}/md.png)",
        f"<meta http-equiv=refresh content='0;url={address}/refresh'>",
        f"<style>@import '{address}/css';</style>",
        f"<iframe src='{address}/frame' srcdoc='<script>parent.__pwned=1</script>'></iframe>",
        f"<link rel=stylesheet href='{address}/link'><base href='{address}/'>",
        "{{ 7*7 }}{% raw %}${7*7}",
        "right\u202eleft\x1b[31m\x9b\x00\u2066",
        "__proto__",
        "constructor",
        "=HYPERLINK(1)",
    ]


def write_notebook(path: Path, cells: Sequence[str | tuple[str, ...]]) -> Path:
    """Write a notebook: text is a Markdown cell, a tuple is code and the tags of its cell."""
    made = []
    for number, cell in enumerate(cells):
        if isinstance(cell, str):
            node = new_markdown_cell(cell)
        else:
            node = new_code_cell(cell[0], metadata={"tags": list(cell[1:])})
        node["id"] = f"cell-{number}"
        made.append(node)
    nbformat.write(new_notebook(cells=made), path)
    return path
