"""Findings first: on a page, linked to their figures, and on the index, which is the report."""

from __future__ import annotations

import re

import polars as pl
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import cardlab as cl
from cardlab import notebook as nb
from cardlab.report.findings import checked_findings, picture
from cardlab.report.formats import joined
from cardlab.report.outputs import Outputs
from cardlab.report.page import check_page, render_index, render_page, thumbnail

HOSTILE = "<script>x</script>\x1b[2J"


@pytest.fixture(scope="module")
def found() -> pl.DataFrame:
    rows = {
        "topic": ["licences", "contrasts", "growth", "tags"],
        "finding": [
            f"Half of the cards are {HOSTILE}: 5 of 10.",
            "Of those, fewer.",
            "No.",
            "Maybe.",
        ],
        "value": [0.5, -0.3, None, 0.2],
        "low": [0.4, -0.5, None, 0.1],
        "high": [0.6, -0.1, None, 0.3],
        "strength": [2.0, 1.0, 0.0, 0.0],
        "held": [True, True, False, False],
        "reason": [None, None, "too few dates", "chance gives as much"],
        "figure": ["cl.plot_counts(x)", "cl.plot_counts(x)", "cl.plot_growth(y)", "z"],
    }
    return pl.DataFrame(rows)


@pytest.fixture(scope="module")
def cells(found) -> list:
    counts = cl.tag_counts(cl.make_cards(60, text=False, embedding_dim=0))
    chart = nb.titled(cl.plot_counts(counts, title="Tags"), found, "licences")
    frame = pl.DataFrame({"id": ["o/a", HOSTILE], "problem": ["x", "y"]})
    table = nb.show_table(frame, caption="Behind", folded=True, todo="Mend 2 cards.")
    parts = [
        ("## In short", nb.show_findings(found, "licences", "contrasts", "growth")._bundle),
        ("## Drawn", {"application/vnd.vegalite.v5+json": chart.to_dict()}),
        ("", table._bundle),
        (
            "## Gone",
            {nb.LACKING: ["x"], "text/plain": "No figure here: no x", "text/html": "no x"},
        ),
    ]
    made = [new_markdown_cell("# Title\n\nWhat is there?")]
    for heading, data in parts:
        made += [new_markdown_cell(heading)] if heading else []
        made.append(new_code_cell("x", outputs=[new_output("display_data", data=data)]))
        made[-1].metadata["tags"] = ["remove-input"]
    return made


def test_a_page_begins_with_its_findings_and_links_their_figures(cells):
    outputs = Outputs()
    html = render_page(new_notebook(cells=cells), name="p", outputs=outputs)
    check_page(html, name="p", figures=outputs.figures)
    first, second = re.findall(r'<ol class="findings">(.*?)</ol>', html, re.DOTALL)[0].split(
        "</li>"
    )[:2]
    # the second has no chart of its own, but its call is that of the first
    assert "#chart-1" in first and "#chart-1" in second
    assert "<script>x" not in html and "\x1b" not in html
    assert "Looked for, not found or not said (1)" in html and "too few dates" in html
    assert "Maybe." not in html  # another topic
    # the table stands within the figure, and a section without a figure has no heading
    figure = re.search(r'<figure class="chart".*?</figure>', html, re.DOTALL)[0]
    assert '<details class="behind">' in figure and 'id="table-1"' in figure
    assert "Gone" in re.search(r'class="lack">(.*?)</li>', html)[1]
    assert ">Gone</h2>" not in html


def test_the_title_is_the_finding_and_the_topic_stands_beneath(found):
    counts = cl.tag_counts(cl.make_cards(60, text=False, embedding_dim=0))
    chart = cl.plot_counts(counts, title="Tags")
    title = nb.titled(chart, found, "licences", figure="plot_counts").to_dict()["title"]
    assert " ".join(title["text"]).startswith("Half of the cards are")
    assert title["subtitle"][0] == "Tags"
    known = found.with_columns(of=pl.lit(7))
    assert nb.titled(chart, known, "licences", of=7).to_dict()["title"]["text"] == title["text"]
    other = nb.titled(chart, known, "licences", of=8).to_dict()
    assert other["title"]["text"] == "Tags" and other["usermeta"] == {"topics": ["licences"]}
    for topics, figure in ((["growth"], ""), (["licences"], "plot_growth")):  # held by none
        assert nb.titled(chart, found, *topics, figure=figure) is chart


def test_an_index_without_findings_says_why(found, tmp_path):
    none = found.with_columns(held=pl.lit(False), reason=pl.col("reason").fill_null("few & far"))
    few = pl.when(pl.col("topic") == "contrasts").then(pl.lit("only 4 authors, of 7"))
    none = none.with_columns(
        reason=few.when(pl.col("topic") == "growth")
        .then(pl.lit("only 5 authors, of 7"))
        .otherwise("reason")
    )
    bundle = nb.show_findings(none, "licences", "contrasts", "growth")._bundle
    cell = new_code_cell("x", outputs=[new_output("display_data", data=bundle)])
    for name in "pq":  # the same is looked for by two pages
        notebook = new_notebook(cells=[new_markdown_cell("# Title\n\nWhat?"), cell])
        html = render_page(notebook, name=name, outputs=Outputs(), corpus="c")
        (tmp_path / f"{name}.html").write_text(html, "utf-8")
    index = render_index(tmp_path, day="2026-01-02", failures={}, introductions={})
    check_page(index, name="index")
    section = re.search(r'<h2 id="found">.*?</section>', index, re.DOTALL)[0]
    reasons = [" ".join(line.split()) for line in re.findall(r"<li[^>]*>(.*?)</li>", section)]
    assert reasons == ["only … authors, of … (2 times)", "few &amp; far"]


def test_the_index_says_what_was_found_and_what_is_to_be_done(cells, tmp_path):
    html = render_page(
        new_notebook(cells=cells), name="p", outputs=Outputs(), corpus="c", thumbnail=thumbnail
    )
    (tmp_path / "p.html").write_text(html, "utf-8")
    index = render_index(
        tmp_path, day="2026-01-02", failures={}, introductions={}, nothing={"q": HOSTILE}
    )
    check_page(index, name="index", figures={"table": 1})
    assert index.index("What was found") < index.index("What to do") < index.index("The pages")
    assert 'href="p.html#chart-1"' in index
    assert index.count('<svg class="pic"') == 2
    assert "Mend 2 cards." in index and 'id="todo-1"' in index
    packed = re.findall(r'class="packed">([^<]+)<', index)[0]
    assert 'id="table-1" aria-label="Behind"' in html and packed in html
    assert 'src="data:image/png;base64,iVBOR' in index
    assert "<bdi>q</bdi> has no page" in index and "<script>x" not in index


def test_a_finding_from_elsewhere_is_text_and_numbers():
    odd = {"text": HOSTILE, "value": "1", "low": float("nan"), "kind": "share", "link": 5}
    item = checked_findings({"said": [odd, 3], "others": "x"})["said"]
    assert len(item) == 1 and item[0]["value"] is None and "\x1b" not in item[0]["text"]
    assert checked_findings(None) == {"said": [], "others": []}
    share = {"kind": "share", "value": 2.0, "low": -1.0, "high": 0.5}
    drawn = [float(x) for x in re.findall(r'(?:x|width)="([\d.]+)"', picture(share))]
    assert max(drawn) <= 100 and min(drawn) >= 0  # outside of the axis is its end
    assert picture({"kind": "weeks", "value": 3.0}) == '<span class="pic"></span>'


def test_index_and_single_page_say_what_the_cards_are_of(tmp_path):
    cards = pl.DataFrame({"id": ["a/x", "b/y"], "kind": "dataset"})
    table = nb.show_table(cards, caption="Behind", todo="Mend 2 cards.")
    bundles = [nb.provenance(cards)._bundle, table._bundle]
    outputs = [new_output("display_data", data=bundle) for bundle in bundles]
    parts = [new_markdown_cell("# Title\n\nWhat is there?"), new_code_cell("x", outputs=outputs)]
    page, index = tmp_path / "p.html", tmp_path / "index.html"
    page.write_text(render_page(new_notebook(cells=parts), name="p", outputs=Outputs()), "utf-8")
    index.write_text(render_index(tmp_path, day="", failures={}, introductions={}), "utf-8")
    for html in (page.read_text("utf-8"), index.read_text("utf-8"), joined([page, index])):
        assert "<dt>Cards of</dt><dd>data sets;" in html
        assert html.count('"hub":"datasets/"') == html.count('"hub":') > 0
    assert "<h1>Reports on cards of data sets" in html.replace(' dir="auto"', "")
