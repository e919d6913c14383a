"""What a page may hold: hostile text, charts, tables and whole pages, without a kernel."""

from __future__ import annotations

import re
from typing import Any

import nbformat
import pytest

from cardlab.report.outputs import Outputs, RefusedChartError, checked_spec, checked_table
from cardlab.report.page import check_page
from cardlab.report.sanitize import clean_html, escape, markdown, strip_ansi, visible
from cardlab.schema import ReportError

SPEC: dict[str, Any] = {
    "$schema": "https://vega.github.io/schema/vega-lite/v6.4.1.json",
    "data": {"values": [{"tag": "a", "n": 1}]},
    "mark": "bar",
    "encoding": {"x": {"field": "n", "type": "quantitative"}, "y": {"field": "tag"}},
}


def test_links_between_notebooks_become_links_between_reports() -> None:
    text = "[a](02-b.ipynb#s-x) [b](03-c.ipynb) [c](../x.ipynb) [d](https://e.example/)"
    html = markdown(text, siblings={"02-b"})
    assert re.findall(r'href="([^"]*)"', html) == ["02-b.html#s-x", "https://e.example/"]


FRAME = (
    "<!DOCTYPE html><meta charset='utf-8'><meta http-equiv='Content-Security-Policy' "
    "content='x'><h1>T</h1>some words for the page {}</html>"
)
HOSTILE_HTML = [
    "<script>window.__pwned=1</script>",
    "<img src=x onerror=window.__pwned=1>",
    "<img src='data:image/svg+xml;base64,AAAA'>",
    "<a href='javascript:window.__pwned=1'>x</a>",
    "<a href=' java\tscript:window.__pwned=1'>x</a>",
    "<meta http-equiv=refresh content='0;url=http://evil.example/'>",
    "<style>@import 'http://evil.example/';</style>",
    "<iframe src='http://evil.example/'></iframe>",
    "<svg onload=window.__pwned=1><script>window.__pwned=1</script></svg>",
    "<p style='background:url(http://evil.example/)'>x</p>",
    "<form action='http://evil.example/'><button>x</button></form>",
    "<base href='http://evil.example/'>",
    "<p id=cardlab-report class='table chart cl-ok'>x</p>",
    "<details ontoggle=window.__pwned=1 open>x</details>",
    "<math><mtext><table><mglyph><style><!--</style><img src onerror=window.__pwned=1>",
    "<link rel=stylesheet href='http://evil.example/'>",
    "<video poster='http://evil.example/'></video>",
]


@pytest.mark.parametrize("fragment", HOSTILE_HTML)
def test_nothing_harmful_is_left_of_html(fragment: str) -> None:
    for clean in (clean_html(fragment), markdown(fragment)):
        assert not re.search(r"<[^>]*(__pwned|evil\.example|javascript:| id=| style=)", clean)
        check_page(FRAME.format(clean), name="x")


def test_our_own_classes_are_kept() -> None:
    html = clean_html(
        "<table class='dataframe x cl-wide'><tr><td class='chart'>1</td></tr></table>"
    )
    assert '<table class="dataframe cl-wide">' in html
    assert "chart" not in html


def test_controls_are_made_visible() -> None:
    assert visible("a\u202eb\x00c\x9bd\u2066\te\n") == "a\ufffdb\ufffdc\ufffdd\ufffd\te\n"
    text = "\x1b[31m<red>\x1b[0m\x1b]8;;http://x\x07link\x1b]8;;\x07"
    assert escape(strip_ansi(text)) == "&lt;red&gt;link"
    assert "\u202e" not in clean_html("a&#x202e;b")
    assert "\u202e" not in markdown("a&#x202e;b")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data": {"url": "http://evil.example/"}}, "URL"),
        ({"layer": [{"data": {"url": "data.json"}, "mark": "bar"}]}, "URL"),
        ({"encoding": {"url": {"field": "image"}}}, "URL"),
        ({"mark": "image"}, "images"),
        ({"mark": {"type": "image"}}, "images"),
        ({"$schema": "https://vega.github.io/schema/vega/v6.json"}, "not a Vega-Lite"),
        ({"$schema": "https://evil.example/vega-lite/v6.json"}, "not a Vega-Lite"),
    ],
)
def test_a_chart_that_would_load_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(RefusedChartError, match=reason):
        checked_spec({**SPEC, **change})


def test_a_chart_keeps_its_data_and_loses_what_overrides() -> None:
    spec = {
        **SPEC,
        "data": {"values": [{"url": "x", "image": "y", "bind": 1}]},
        "usermeta": {"embedOptions": {"loader": {"target": "x"}, "actions": True}},
        "params": [
            {"name": "a", "bind": {"input": "text", "onfocus": "x()", "src": "http://e.example"}},
            {"name": "b", "bind": {"k": {"input": "image", "src": "http://e.example"}}},
            {"name": "c", "bind": "scales"},
        ],
    }
    clean, version = checked_spec(spec)
    assert version == (6, 4)
    assert "usermeta" not in clean
    assert clean["data"] == spec["data"]
    binds = [param["bind"] for param in clean["params"]]
    assert binds == [{"input": "text"}, {"k": {"input": "text"}}, "scales"]


def test_the_richest_safe_representation_wins() -> None:
    outputs = Outputs()

    def render(**data: Any) -> str:
        return outputs.render(
            nbformat.from_dict({"output_type": "display_data", "data": data, "metadata": {}})
        )

    everything = {"text/html": "<b>h</b>", "text/markdown": "*m*", "text/plain": "p<"}
    assert "<b>h</b>" in render(**everything)
    del everything["text/html"]
    assert "<em>m</em>" in render(**everything)
    png = {"image/png": "aGk=\n", "text/plain": "a 'plot' <"}
    assert 'src="data:image/png;base64,aGk=" alt="a &#x27;plot&#x27; &lt;"' in render(**png)
    assert "<img" not in render(**{"image/png": '"onerror="x', "text/plain": "t"})
    assert render(**{"text/plain": "p<"}) == '<pre class="plain">p&lt;</pre>'
    widget = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "IntSlider()"}
    assert "interactive widget" in render(**widget)
    for mime in ("text/vnd.mermaid", "application/javascript", "text/latex"):
        assert render(**{mime: "<script>"}) == ""


def test_a_table_must_be_whole() -> None:
    columns = [{"name": "a", "label": "A", "kind": "text"}, {"name": "b", "kind": "odd"}]
    table = checked_table({"columns": columns, "data": [["\u202e"], [float("nan")]]})
    assert table["data"] == [["\ufffd"], [None]]
    assert [column["kind"] for column in table["columns"]] == ["text", "text"]
    assert table["n_total"] == 1
    with pytest.raises(ValueError, match="2 columns and holds 1"):
        checked_table({"columns": columns, "data": [[]]})
    with pytest.raises(ValueError, match="differ in length"):
        checked_table({"columns": columns, "data": [[], [1]]})


@pytest.mark.parametrize(
    "bad",
    [
        "<script src='http://evil.example/x.js'></script>",
        "<img src='x.png'>",
        "<p onclick='x()'>x</p>",
        "<style>p { background: url(x) }</style>",
        "<script type='application/json'>{</script>",
        "<h1>another</h1>",
        "<figure class='chart'></figure>",
    ],
)
def test_a_page_with_a_flaw_is_not_written(bad: str) -> None:
    check_page(FRAME.format(""), name="x")
    with pytest.raises(ReportError, match="was not written"):
        check_page(FRAME.format(bad), name="x")
    with pytest.raises(ReportError):
        check_page(FRAME.format("")[:-9], name="x")
