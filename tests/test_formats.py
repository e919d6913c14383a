"""A folder of reports as one page, as Markdown, as PDF; and the commands that ask for it."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import webbrowser
from pathlib import Path

import nbformat
import pytest
from browser import browser_or_skip, opened_report
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from cardlab import __main__, schema
from cardlab.report import formats, page
from cardlab.report.outputs import Outputs
from cardlab.report.page import render_index

SPEC = {
    "$schema": "https://vega.github.io/schema/vega-lite/v6.4.1.json",
    "title": "Cards by tag",
    "data": {"values": [{"tag": ' id="x"', "n": 3}, {"tag": "b", "n": 1}]},
    "mark": "bar",
    "encoding": {"x": {"field": "n", "type": "quantitative"}, "y": {"field": "tag"}},
}
NAMES = ["=HYPERLINK(1)", "a|b <img src=x> @someone", "*c*"]


def made(name: str, other: str) -> str:
    """Render a page with a heading, links, a chart and a table, without a kernel."""
    columns = [{"name": "tag", "label": "Tag", "kind": "text"}]
    columns += [{"name": "card_share", "label": "Share", "kind": "share"}]
    table = {"caption": "Tags", "columns": columns, "data": [NAMES, [0.5, None, 0.25]]}
    bundles = [
        {"application/vnd.vegalite.v5+json": SPEC, "text/plain": "Bars of two tags."},
        {"application/vnd.cardlab.table.v1+json": table},
    ]
    outputs = [
        nbformat.from_dict({"output_type": "display_data", "metadata": {}, "data": bundle})
        for bundle in bundles
    ]
    printed = "```\n<img src=x>\n````"
    outputs.append(nbformat.v4.new_output("stream", text=printed))
    text = f"# Page {name}\n\nWhy *so*?\n\n## Part\n\nSee [the other]({other}.ipynb#s-part)."
    text += " Or [elsewhere](https://example.org/index.html)."
    notebook = new_notebook(
        cells=[new_markdown_cell(text), new_code_cell("cards", outputs=outputs)]
    )
    known = Outputs(siblings=[name, other])
    return page.render_page(
        notebook, name=name, outputs=known, corpus="c.parquet", day="2026-01-02"
    )


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, other in (("01-a", "02-b"), ("02-b", "01-a")):
        (folder / f"{name}.html").write_text(made(name, other), "utf-8")
    index = render_index(folder, day="2026-01-02", failures={}, introductions={})
    (folder / "index.html").write_text(index, "utf-8")
    return [folder / f"{name}.html" for name in ("01-a", "02-b", "index")]


@pytest.mark.browser
def test_one_page_holds_all_and_its_links_stay_inside(pages: list[Path], tmp_path: Path) -> None:
    whole = formats.joined(pages)
    assert whole == formats.joined(pages)
    ids = re.findall(r' id="([^"]*)"', whole)
    assert len(ids) == len(set(ids))
    (tmp_path / "report.html").write_text(whole, "utf-8")
    with opened_report(tmp_path / "report.html") as seen:
        assert seen.n_charts == seen.n_tables == 2
        links = seen.page.locator("main a[href^='#']").all()
        assert {"#01-a", "#02-b", "#02-b-s-part"} <= {a.get_attribute("href") for a in links}
        missing = "[...document.querySelectorAll('a:not([href^=https])')].filter((a) => !a.hash ||"
        missing += " !document.getElementById(a.hash.slice(1))).map((a) => a.outerHTML)"
        assert seen.page.evaluate(missing) == []
        assert seen.page.locator("h1").count() == 1
        assert seen.page.locator("h3", has_text="Part").count() == 2
        assert seen.requests == seen.errors == []


def test_markdown_shows_a_hostile_text_as_it_is(pages: list[Path], tmp_path: Path) -> None:
    written = formats.as_markdown(pages, tmp_path)
    assert {path.name for path in written} >= {"01-a.md", "README.md", "01-a-chart-1.png"}
    text = (tmp_path / "01-a.md").read_text("utf-8")
    assert text.startswith("# Page 01-a\n\nc.parquet · 2026-01-02")
    assert "## Part" in text
    assert "Why *so*?" in text
    assert "[the other](02-b.md#s-part)" in text
    assert r"| a\|b \<img src=x\> &#64;someone | – |" in text
    assert "50.0 %" in text
    assert "[elsewhere](https://example.org/index.html)" in text
    assert "`````\n```\n<img src=x>\n````\n`````" in text  # stays in its block
    assert "![Bars of two tags.](files/01-a-chart-1.png)" in text
    table = (tmp_path / "files" / "01-a-table-1.csv").read_text("utf-8")
    rows = list(csv.reader(table.splitlines()))
    assert rows == [
        ["tag", "card_share"],
        ["'=HYPERLINK(1)", "0.5"],
        [NAMES[1], ""],
        [NAMES[2], "0.25"],
    ]
    assert (tmp_path / "files" / "01-a-chart-1.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.browser
def test_a_pdf_has_all_pages(pages: list[Path], tmp_path: Path) -> None:
    browser_or_skip()
    into = tmp_path / "out" / "all.pdf"
    (written,) = formats.export_as("pdf", into, lambda folder: pages)
    assert written == into
    content = into.read_bytes()
    assert content.startswith(b"%PDF")
    assert len(content) > 15_000


def test_a_pdf_without_a_browser_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CARDLAB_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(schema.ReportError, match=r"--format single"):
        formats.export_as("pdf", tmp_path / "x.pdf", lambda folder: pytest.fail("it ran"))
    with pytest.raises(schema.CardlabError, match="docx"):
        formats.export_as("docx", tmp_path, lambda folder: pytest.fail("it ran"))


def test_the_command_lists_opens_and_starts_the_lab(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main(["report", "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].split() == ["01-corpus-overview", "Corpus", "overview"]
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    written = [tmp_path / "02.html", tmp_path / "index.html"]
    monkeypatch.setattr("cardlab.report.export.export_reports", lambda *_, **given: written)
    assert __main__.main(["report", "--open"]) == 0
    assert opened == [(tmp_path / "index.html").as_uri()]
    started: list[list[str]] = []
    monkeypatch.setattr(subprocess, "call", lambda words: started.append(words) or 0)
    own = tmp_path / "mine" / "01-corpus-overview.ipynb"
    own.parent.mkdir()
    own.write_text("mine")
    assert __main__.main(["lab", str(own.parent)]) == 0
    assert started == [[sys.executable, "-m", "jupyterlab", str(own.parent)]]
    assert own.read_text() == "mine"
    assert len(list(own.parent.glob("*.ipynb"))) == len(listed)
