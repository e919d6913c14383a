"""Reports in a real browser without a network: nothing loads, nothing hostile runs, all is drawn.

The hostile texts stand for what a card's author may write into tags, titles and metadata.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import nbformat
import pytest
from browser import (
    Opened,
    hostile_texts,
    listener,
    open_report,
    opened_report,
    write_notebook,
)
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from cardlab.report.export import export_report, export_reports
from cardlab.report.outputs import Outputs
from cardlab.report.page import render_page
from cardlab.schema import ReportError

pytestmark = pytest.mark.browser

SETUP = """
import random
random.seed(0)
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.4.1.json"
def chart(spec, text):
    bundle = {"application/vnd.vegalite.v5+json": {"$schema": SCHEMA, **spec}, "text/plain": text}
    display(bundle, raw=True)
def table(columns, data, caption="", n_total=0):
    columns = [dict(zip(("name", "label", "kind"), column)) for column in columns]
    table = {"caption": caption, "columns": columns, "data": data, "n_total": n_total}
    display({"application/vnd.cardlab.table.v1+json": table}, raw=True)
def facts(*items):
    items = [dict(zip(("label", "value", "note"), item)) for item in items]
    display({"application/vnd.cardlab.facts.v1+json": {"facts": items}}, raw=True)
"""

BARS = """
rows = [{"tag": f"tag {i}", "n": 100 - i, "kind": "free" if i % 3 else "task"} for i in range(20)]
rows[0]["tag"] = "=cmd()"
bars = {
    "data": {"name": "rows"}, "datasets": {"rows": rows}, "title": "Cards for each tag",
    "width": 600, "mark": {"type": "bar", "tooltip": True},
    "params": [{"name": "kind", "select": {"type": "point", "fields": ["kind"]},
                "bind": {"input": "select", "options": [None, "free", "task"], "name": "Kind "}}],
    "encoding": {"x": {"field": "n", "type": "quantitative"}, "y": {"field": "tag", "sort": "-x"},
                 "color": {"field": "kind"},
                 "opacity": {"condition": {"param": "kind", "value": 1}, "value": 0.2},
                 "tooltip": [{"field": "tag"}, {"field": "n"}]},
}
chart(bars, "Bars: cards for each of 20 tags.")
"""

POINTS = """
points = [{"x": random.gauss(0, 1), "y": random.gauss(0, 1), "c": i % 5} for i in range(2000)]
layer = {
    "data": {"values": points}, "width": 900, "height": 300,
    "layer": [
        {"mark": "circle", "encoding": {"color": {"field": "c", "type": "nominal"}},
         "params": [{"name": "zoom", "select": "interval", "bind": "scales"}]},
        {"mark": "rule", "transform": [{"aggregate": [{"op": "mean", "field": "x", "as": "x"}]}]},
    ],
    "encoding": {"x": {"field": "x", "type": "quantitative"},
                 "y": {"field": "y", "type": "quantitative"}},
}
del layer["layer"][1]["transform"]
layer["layer"][1]["encoding"] = {"x": {"aggregate": "mean", "field": "x"}, "y": None}
chart(layer, "Scatter plot of 2,000 cards, with the mean.")
"""

TABLE = """
n = 1000
table(
    [("tag", "Tag", "text"), ("n_cards", "Cards", "int"), ("lift", "Lift", "float"),
     ("card_share", "Share", "share"), ("day", "First seen", "date"), ("more", "More", "list")],
    [[f"tag {i}" if i != 3 else None for i in range(n)], [100000 - 97 * i for i in range(n)],
     [None if i == 5 else 20 / (i + 1) for i in range(n)], [1 / (i + 1) for i in range(n)],
     [f"2024-01-{i % 28 + 1:02d}" for i in range(n)], [[f"a{i}", "b"] for i in range(n)]],
    "Pairs of tags, strongest first", 52310)
"""

GOOD: list[str | tuple[str, ...]] = [
    "# Which tags go together?\n\nMore often than chance would have it?",
    ("source = None\ntop = 20", "parameters"),
    (SETUP, "remove-input"),
    "## Key figures",
    ("facts(('Cards', '2,000', 'all of them'), ('Tags a card', '7.2', 'median 6'))",),
    "## Charts\n\n### Bars",
    (BARS,),
    "### Points",
    (POINTS,),
    "## A table",
    (TABLE,),
    ("table([('a', 'A', 'text'), ('b', 'B', 'list')], [['x' * 999, ''], [['y'] * 4000, []]])",),
    ("print('printed')",),
]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    notebook = write_notebook(folder / "01-good.ipynb", GOOD)
    failing = write_notebook(folder / "02-bad.ipynb", ["# Fails\n\nWhy?", ("1 / 0",)])
    with pytest.raises(ReportError, match="02-bad, cell 1"):
        export_reports(
            output=folder / "out", notebooks=[notebook, failing], progress=lambda line: None
        )
    return folder / "out" / "01-good.html"


def assert_quiet(seen: Opened) -> None:
    assert seen.requests == []
    assert seen.errors == []
    assert seen.dialogs == []


def test_every_chart_is_drawn_and_nothing_is_asked_for(good: Path) -> None:
    with opened_report(good) as seen:
        assert_quiet(seen)
        assert seen.warnings == []
        assert seen.n_charts == 2
        assert seen.n_tables == 2
        assert seen.marks[0]["rect"] == 20
        assert seen.marks[1] == {"symbol": 2000, "rule": 1}
    assert good.stat().st_size < 650_000


def test_a_chart_answers_its_reader(good: Path) -> None:
    with opened_report(good) as seen:
        page = seen.page
        before = page.locator("#chart-1 canvas").screenshot()
        page.locator("#chart-1 canvas").hover(position={"x": 300, "y": 60})
        page.wait_for_selector(".tip:not([hidden])")
        assert "tag" in page.inner_text(".tip")
        page.locator("#chart-1 select").select_option(label="task")
        page.mouse.move(5, 5)
        assert page.locator("#chart-1 canvas").screenshot() != before
        assert_quiet(seen)


def test_downloads(good: Path, tmp_path: Path) -> None:
    with opened_report(good, accept_downloads=True) as seen:
        page = seen.page

        def saved(selector: str) -> tuple[str, bytes]:
            with page.expect_download() as info:
                page.click(selector)
            path = tmp_path / "saved"
            info.value.save_as(path)
            return info.value.suggested_filename, path.read_bytes()

        name, content = saved("#chart-1 [data-save=csv]")
        assert name == "01-good-chart-1.csv"
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
        assert rows[0] == ["tag", "n", "kind"]
        assert rows[1] == ["'=cmd()", "100", "task"]
        assert len(rows) == 21
        name, content = saved("#chart-1 [data-save=png]")
        assert name == "01-good-chart-1.png"
        assert content.startswith(b"\x89PNG")
        name, content = saved("#table-1 .top button")
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
        assert rows[0] == ["tag", "n_cards", "lift", "card_share", "day", "more"]
        assert rows[1] == ["tag 0", "100000", "20", "1", "2024-01-01", "a0; b"]
        assert len(rows) == 1001
        assert_quiet(seen)


def column(page: Any, number: int) -> list[str]:
    return [str(x) for x in page.locator(f"#table-1 td:nth-child({number})").all_inner_texts()]


def test_a_table_sorts_filters_and_pages(good: Path) -> None:
    with opened_report(good) as seen:
        page = seen.page
        status = page.locator("#table-1 .status")
        assert status.inner_text() == "1,000 of 1,000 rows (first 1,000 of 52,310)"
        assert column(page, 1)[:4] == ["tag 0", "tag 1", "tag 2", "—"]
        assert page.locator("#table-1 td.null").first.get_attribute("title") == "no value"
        assert column(page, 2)[0] == "100,000"
        assert column(page, 3)[0] == "20.00"
        assert column(page, 4)[:3] == ["100.0%", "50.0%", "33.3%"]
        assert column(page, 6)[0] == "a0, b"
        headers = page.locator("#table-1 th")
        for expected, first in (("descending", "100,000"), ("ascending", "3,097")):
            headers.nth(1).locator("button").press("Enter")
            assert headers.nth(1).get_attribute("aria-sort") == expected
            assert column(page, 2)[0] == first
        headers.nth(2).locator("button").press("Enter")  # the most first, no value last
        headers.nth(2).locator("button").press("Enter")
        assert headers.nth(1).get_attribute("aria-sort") == "none"
        assert column(page, 3)[0] == "0.02"
        headers.nth(2).locator("button").press("Enter")
        assert headers.nth(2).get_attribute("aria-sort") == "none"
        assert column(page, 1)[0] == "tag 0"
        page.fill("#table-1 input[type=search]", "TAG 99")
        assert status.inner_text().startswith("11 of 1,000 rows")
        page.click("#table-1 .pager button:text('Next')")
        assert column(page, 1) == ["tag 999"]
        assert page.locator("#table-1 .range").inner_text() == "11–11"
        page.fill("#table-1 input[type=search]", "")
        page.select_option("#table-1 .pager select", "100")
        assert len(column(page, 1)) == 100
        assert page.locator("#table-2 .pager").is_hidden()
        long_text, long_list, _, no_items = page.locator("#table-2 td").all_inner_texts()
        assert long_text == "x" * 300 + "…"
        assert long_list == "y, " * 19 + "y and 3,980 more"
        assert no_items == "none"
        assert_quiet(seen)


def until(page: Any, condition: str) -> None:
    """Wait until a condition of JavaScript holds; playwright's own way is against our policy."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {condition}")


# Alpha of a chart's corner, and the lightest of the names left of its bars.
_SHADES = """() => {
    const canvas = document.querySelector("#chart-1 canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, 35, canvas.height);
    let lightest = 0;
    for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3] > 200) lightest = Math.max(lightest, data[i]);
    }
    return [data[3], lightest];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(good: Path, scheme: str, tmp_path: Path) -> None:
    with opened_report(good, color_scheme=scheme) as seen:
        page = seen.page
        background = "getComputedStyle(document.body).backgroundColor"
        bright = page.evaluate(background)
        assert (bright == "rgb(247, 248, 250)") == (scheme == "light")
        assert page.evaluate(_SHADES)[0] == 0  # the page shows through
        assert (page.evaluate(_SHADES)[1] > 200) == (scheme == "dark")  # its letters
        page.screenshot(path=tmp_path / "first.png", full_page=True)
        other = "dark" if scheme == "light" else "light"
        page.locator(f".theme input[value={other}]").check(force=True)
        assert page.evaluate(background) != bright
        until(page, f"({_SHADES})()[1] > 200 === {str(other == 'dark').lower()}")
        page.locator(".theme input[value=auto]").check(force=True)
        assert page.evaluate(background) == bright
        assert (tmp_path / "first.png").stat().st_size > 20_000
        assert page.evaluate("localStorage.length + sessionStorage.length") == 0
        assert_quiet(seen)


_KEEP = """() => Object.defineProperty(navigator, "clipboard", {
    value: { writeText: async (text) => { window.__copied = text; } } })"""


def test_code_is_hidden_until_asked_for_and_can_be_copied(good: Path) -> None:
    with opened_report(good) as seen:
        page = seen.page
        code = page.locator(".code")
        assert not code.first.is_visible()
        assert "source = None" not in page.inner_text("main")
        page.locator("#show-code").check()
        assert code.first.is_visible()
        assert "def chart" not in page.inner_text("main")
        page.evaluate(_KEEP)
        code.first.get_by_role("button", name="Copy").click()
        assert page.evaluate("window.__copied").strip() == "source = None\ntop = 20"


_WIDTHS = """() => [...document.querySelectorAll("figure.chart")].map((figure) =>
    figure.querySelector("canvas").getBoundingClientRect().width /
    figure.querySelector(".canvas").clientWidth)"""


def test_charts_follow_the_width_and_keep_what_was_chosen(good: Path) -> None:
    with opened_report(good) as seen:
        page = seen.page
        assert all(0.97 < width <= 1 for width in page.evaluate(_WIDTHS))
        page.locator("#chart-1 select").select_option(label="task")
        page.set_viewport_size({"width": 390, "height": 800})
        until(page, f"({_WIDTHS})().every((width) => width <= 1)")
        assert all(width > 0.97 for width in page.evaluate(_WIDTHS))
        assert page.locator("#chart-1 select").input_value() == "task"
        assert page.locator("#chart-1 .title").inner_text() == "Cards for each tag"
        wider = "table, canvas, figure, svg, section"
        assert not page.evaluate(
            f"[...document.querySelectorAll({wider!r})]"
            ".some((e) => e.getBoundingClientRect().right > 390)"
        )
        assert_quiet(seen)


def test_what_is_printed_is_light_and_as_wide_as_a_sheet(good: Path) -> None:
    with opened_report(good, color_scheme="dark") as seen:
        page = seen.page
        page.evaluate(
            f"""addEventListener("afterprint", () => {{
                const width = document.querySelector("#chart-2 canvas").width / devicePixelRatio;
                window.__printed = [width, ({_SHADES})()[1]];
            }})"""
        )
        page.pdf(prefer_css_page_size=True)
        width, lightest = page.evaluate("window.__printed")
        assert width == 640
        assert lightest < 200
        until(page, f"({_SHADES})()[1] > 200")  # and dark again
        # a third of a sheet at most, lest half of one stay empty before the next chart
        page.emulate_media(media="print")
        canvas = "document.querySelector('#chart-1 canvas')"
        until(page, f"{canvas}?.height > 345 && {canvas}.getBoundingClientRect().height < 345")
        assert page.evaluate(f"{canvas}.getBoundingClientRect().height") > 330


def test_a_figure_can_be_passed_on(good: Path, tmp_path: Path) -> None:
    with opened_report(good, accept_downloads=True) as seen:
        page = seen.page
        page.evaluate(_KEEP)
        page.click("#chart-1 .tools button:text('Copy link')")
        assert page.evaluate("window.__copied") == f"{good.as_uri()}#chart-1"
        page.click("#table-1 .tools button:text('Cite')")
        cited = page.evaluate("window.__copied")
        for part in ("Pairs of tags, strongest first", "Which tags go together?", "cardlab 0."):
            assert part in cited
        assert "bundled synthetic corpus" in cited
        with page.expect_download() as info:
            page.click("#chart-1 [data-save=svg]")
        info.value.save_as(tmp_path / "saved.svg")
        svg = (tmp_path / "saved.svg").read_text("utf-8")
        assert svg.startswith("<svg")
        assert "Cards for each tag" in svg
        assert "bundled synthetic corpus · 20" in svg
        assert "bundled synthetic corpus" in page.title()
        assert_quiet(seen)


def test_the_contents_say_where_one_is(good: Path) -> None:
    with opened_report(good) as seen:
        page = seen.page
        current = page.locator(".toc [aria-current=location]")
        assert current.all_inner_texts() == ["Key figures"]
        page.evaluate("document.getElementById('s-points').scrollIntoView()")
        until(page, "document.querySelector('.toc [aria-current]').textContent === 'Points'")
        assert current.count() == 1


def test_only_well_formed_ids_lead_to_the_hub(tmp_path: Path) -> None:
    ids = ["org/name", "gpt2", "javascript:alert(1)", "a/b/c", "../x", "org/", "a b/c", "//x.org"]
    columns = [{"name": name, "label": name, "kind": "text"} for name in ("id", "tag")]
    shown = {"caption": "Cards", "columns": columns, "data": [ids, ids], "n_total": len(ids)}
    output = {"output_type": "display_data", "metadata": {}}
    output["data"] = {"application/vnd.cardlab.table.v1+json": shown}
    found: dict[bool, list[tuple[str, str]]] = {}
    for links in (True, False):
        cell = new_code_cell("cards", outputs=[nbformat.from_dict(output)])
        notebook = new_notebook(cells=[new_markdown_cell("# A table of cards\n\nWhich?"), cell])
        html = render_page(notebook, name="t", outputs=Outputs(links=links))
        (tmp_path / "t.html").write_text(html, "utf-8")
        with opened_report(tmp_path / "t.html") as seen:
            anchors = seen.page.locator("#table-1 td a")
            assert {a.get_attribute("rel") for a in anchors.all()} <= {"noopener noreferrer"}
            found[links] = [(a.inner_text(), a.get_attribute("href")) for a in anchors.all()]
            assert_quiet(seen)
    hub = "https://huggingface.co/"
    assert found == {True: [(name, hub + name) for name in ("org/name", "gpt2")], False: []}


@pytest.mark.parametrize("name", ["01-good.html", "index.html"])
def test_a_narrow_window_needs_no_sideways_scroll(good: Path, name: str) -> None:
    seen = open_report(good.with_name(name), viewport={"width": 400, "height": 800})
    assert not seen["overflows"]
    assert seen["requests"] == seen["errors"] == []


def test_the_index_links_what_is_there(good: Path) -> None:
    with opened_report(good.with_name("index.html")) as seen:
        page = seen.page
        assert page.locator(".card").count() == 2
        assert "Tags a card" in page.inner_text(".card:first-child")
        assert "More often than chance would have it?" in page.inner_text(".card:first-child")
        failed = page.inner_text(".card.failed")
        assert "cell 1: ZeroDivisionError" in failed
        assert "earlier run" not in failed
        page.click("text=Which tags go together?")
        page.wait_for_selector("#chart-1 canvas")
        assert page.url.endswith("01-good.html")


def test_without_scripts_a_page_says_what_is_missing(good: Path) -> None:
    # Evaluating in the page works without scripts of its own; only these do not run.
    with opened_report(good, java_script_enabled=False) as seen:
        text = seen.page.inner_text("main")
        assert "This table of 1,000 rows is shown by a script." in text
        assert "This chart is drawn by a script" in text


HOSTILE = """
texts = TEXTS
address = ADDRESS
rows = [{"t": t, "image": address + "/tooltip.png", "url": address + "/u", "n": i + 1}
        for i, t in enumerate(texts)]
chart({"title": {"text": texts[0], "subtitle": texts[3]}, "data": {"values": rows},
       "usermeta": {"embedOptions": {
           "actions": True, "defaultStyle": "x", "renderer": "svg",
           "config": address + "/config", "loader": {"baseURL": address}}},
       "mark": {"type": "bar", "tooltip": {"content": "data"}}, "width": 300,
       "params": [{"name": "p", "bind": {"input": "select", "options": texts, "name": texts[3],
                                        "onchange": "window.__pwned=1"}, "value": texts[0]},
                  {"name": "q", "value": "", "bind": {"input": "image", "src": address + "/b"}}],
       "encoding": {"x": {"field": "n", "type": "quantitative"}, "y": {"field": "t"},
                    "href": {"value": "javascript:window.__pwned=1"},
                    "color": {"field": "t"}}}, texts[0] + texts[13])
chart({"data": {"url": address + "/data.json"}, "mark": "bar"}, "loads")
chart({"data": {"values": rows}, "mark": "image",
       "encoding": {"url": {"field": "image"}, "x": {"field": "n"}}}, "pictures")
table([(t, t, "text" if i % 2 else "list") for i, t in enumerate(texts)],
      [[t] * 12 if i % 2 else [[t, t]] * 12 for i, t in enumerate(texts)], texts[0], 99)
facts(*[(t, t, t) for t in texts])
for t in texts:
    display({"text/html": t}, raw=True)
    display({"text/html": f"<table class='dataframe chart'><tr><td>{t}</table>"}, raw=True)
    display({"text/markdown": t}, raw=True)
    display({"text/plain": t}, raw=True)
    display({"image/png": t, "text/plain": t}, raw=True)
    for mime in ("text/vnd.mermaid", "application/javascript", "text/latex"):
        display({mime: t}, raw=True)
    print(t)
svg = f"<svg xmlns='http://www.w3.org/2000/svg' onload='window.__pwned=1'>" \\
      f"<image href='{address}/svg.png'/><script>window.__pwned=1</script></svg>"
display({"image/svg+xml": svg, "text/plain": texts[0]}, raw=True)
display({"text/vnd.mermaid": "graph TD; A[<img src=x onerror=alert(1)>]"}, raw=True)
import sys
print(texts[0], file=sys.stderr)
"""


def test_nothing_of_a_hostile_card_runs(tmp_path: Path) -> None:
    with listener() as (address, asked):
        texts = hostile_texts(address)
        code = HOSTILE.replace("TEXTS", repr(texts)).replace("ADDRESS", repr(address))
        body: list[str | tuple[str, ...]] = [
            f"# {texts[0]} {texts[3]}\n\n{texts[4]} {texts[6]}",
            ('x = ["a text"]', "parameters"),
            (SETUP, "remove-input"),
            "\n\n".join(f"## {text}\n\n{text}\n\n- {text}\n" for text in texts),
            (f"# {texts[0]}\n" + code,),
            ("raise ValueError(texts[0] + texts[3] + texts[13])", "raises-exception"),
        ]
        path = write_notebook(tmp_path / "01-hostile.ipynb", body)
        failing = write_notebook(
            tmp_path / "02-bad.ipynb", [body[0], (f"raise ValueError({texts!r})",)]
        )
        out = tmp_path / "out"
        with pytest.raises(ReportError, match="1 of 2"):
            export_reports(
                output=out,
                notebooks=[path, failing],
                progress=lambda line: None,
            )
        export_report(path, out, parameters={"x": texts})
        for name in ("01-hostile.html", "index.html"):
            with opened_report(out / name) as seen:
                page = seen.page
                if name != "index.html":
                    assert seen.n_charts == 1
                    assert seen.n_tables == 1
                    assert seen.marks[0]["rect"] == len(texts)
                    assert page.locator(".refused").count() == 2
                    page.locator("#show-code").check()
                    page.evaluate(
                        "document.querySelectorAll('details').forEach(d => d.open = true)"
                    )
                    page.locator("#chart-1 canvas").hover(position={"x": 420, "y": 60})
                    page.locator("#chart-1 canvas").click(position={"x": 420, "y": 60})
                    page.locator("#table-1 th button").first.click()
                    page.fill("#table-1 input[type=search]", "<script>")
                    assert "\u202e" not in page.inner_text("body")
                page.wait_for_timeout(500)
                assert page.evaluate("window.__pwned") is None
                assert page.url == (out / name).as_uri()
                assert_quiet(seen)
                loaders = (
                    "iframe, object, embed, link, base, body style, svg, form:not(.vega-bindings)"
                )
                assert page.locator(loaders).count() == 0
                assert "</script><script>window.__pwned=1" in page.inner_text("body")
    assert asked == []


def test_ten_charts_share_one_copy_of_vega(tmp_path: Path) -> None:
    body: list[str | tuple[str, ...]] = ["# Ten\n\nHow large is it?", (SETUP,)]
    body += [(BARS,)] * 10
    output = export_report(write_notebook(tmp_path / "ten.ipynb", body), tmp_path / "ten.html")
    assert output.stat().st_size < 600_000
    seen = open_report(output)
    assert seen["n_charts"] == 10
    assert seen["requests"] == seen["errors"] == []
