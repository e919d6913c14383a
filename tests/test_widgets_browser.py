"""Explorers in a real JupyterLab: by mouse and by keyboard, and what they leave in the kernel."""

from __future__ import annotations

import json
import re
from typing import Any

import polars as pl
import pytest
from browser import opened_report
from conftest import ROOT
from lab import jupyterlab, opened_lab, run_all
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import cardlab as cl
from cardlab.report.outputs import Outputs
from cardlab.report.page import render_page
from cardlab.widgets.twin import MIME

pytestmark = pytest.mark.browser

#: The cells of a notebook, which must stay as many as they were whatever keys are pressed.
CELLS = "window.jupyterapp.shell.currentWidget.content.widgets.length"
#: Runs code in the kernel and gives what it printed.
RUN = """
async (code) => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const future = kernel.requestExecute({ code });
  let printed = "";
  future.onIOPub = (message) => {
    printed += message.content.text ?? "";
    if (message.msg_type === "error") printed += message.content.evalue;
  };
  await future.done;
  return printed;
}
"""
#: How many cards an explorer leaves: by its selection, by its code when that is run.
AGREE = """
names = {"cards": cards}
exec(WHICH.code, names)
found = WHICH.selection.select("id").collect()["id"].to_list()
import json
same = names["selection"].select("id").collect()["id"].to_list() == found
print(json.dumps([len(found), same, WHICH.view["selected"], found[:3]]))
"""


def left(page: Any, which: str) -> tuple[int, list[str]]:
    """Give the number of cards that are left, on which frame, code and screen agree."""
    n, same, seen, first = json.loads(page.evaluate(RUN, AGREE.replace("WHICH", which)))
    assert same
    assert n == seen
    return n, first


def waited(explorer: Any, n: int) -> None:
    from playwright.sync_api import expect

    expect(explorer.locator(".clx-status")).to_have_text(re.compile(rf"^{n:,} of "), timeout=30_000)


def changed(explorer: Any, before: int) -> None:
    from playwright.sync_api import expect

    expect(explorer.locator(".clx-status")).not_to_have_text(
        re.compile(rf"^{before:,} of "), timeout=30_000
    )


def test_explorers_in_jupyterlab(tmp_path):
    name = "06-explore-cards.ipynb"
    with (
        jupyterlab({name: (ROOT / "notebooks" / name).read_bytes()}) as (address, _),
        opened_lab(address, name) as seen,
    ):
        page = seen.page
        run_all(seen)
        browser, tags, lengths = (page.locator(".clx").nth(i) for i in range(3))
        n_cells = page.evaluate(CELLS)
        browse(page, browser)
        pairs(page, tags)
        brush(page, lengths)
        assert page.evaluate(CELLS) == n_cells
        assert page.locator(".clx").locator("script, iframe, a, svg").count() == 0
        assert not page.evaluate("window.__pwned")
        assert (seen.requests, seen.errors) == ([], [])
        page.screenshot(path=tmp_path / "lab.png")


def browse(page: Any, explorer: Any) -> None:
    """Tick a value by mouse, another by key; type letters that are shortcuts; read by arrows."""
    from playwright.sync_api import expect

    explorer.locator(".clx-facet").first.wait_for(timeout=300_000)
    explorer.scroll_into_view_if_needed()
    waited(explorer, 2000)
    task = explorer.get_by_role("group", name="task")
    task.locator("label").first.click(timeout=60_000)
    changed(explorer, 2000)
    one, _ = left(page, "browser")
    assert 0 < one < 2000
    box = task.locator("input[type=checkbox]").nth(1)
    box.focus()
    page.keyboard.press("Space")
    changed(explorer, one)
    assert box.evaluate("(node) => node === document.activeElement")
    two, _ = left(page, "browser")
    assert two > one
    # letters that add, cut and merge cells of a notebook are letters here
    part = explorer.get_by_label("Id contains")
    part.focus()
    page.keyboard.type("abxm")
    assert part.input_value() == "abxm"
    part.fill("er")
    page.keyboard.press("Enter")
    changed(explorer, two)
    three, first = left(page, "browser")
    explorer.get_by_role("listbox").focus()
    for key in ("a", "d", "d", "x", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    expect(explorer.locator(".clx-card h3")).to_have_text(first[2], timeout=30_000)
    assert explorer.locator(".clx-row[aria-selected=true] bdi").inner_text() == first[2]
    page.keyboard.press("Enter")
    assert explorer.locator(".clx-card").evaluate("(node) => node === document.activeElement")
    explorer.get_by_role("button", name="Remove all").click()
    waited(explorer, 2000)
    assert three < two
    page.evaluate(
        RUN,
        "browser.state = {'conditions': [{'column': 'id', 'op': 'contains', 'value': 'mallory/'}]}",
    )
    changed(explorer, 2000)
    n, _ = left(page, "browser")
    listed = explorer.get_by_role("listbox")
    listed.focus()
    for _ in range(n):
        page.keyboard.press("ArrowDown")
        page.wait_for_timeout(100)
    assert n >= 6


def pairs(page: Any, explorer: Any) -> None:
    """Choose a pair of tags by mouse in the list, and another by keys in the table."""
    explorer.scroll_into_view_if_needed()
    pair = explorer.locator(".clx-ranked button").first
    pair.click(timeout=60_000)
    changed(explorer, 2000)
    one, _ = left(page, "tags")
    assert f"{one:,} cards" in pair.inner_text()
    pair.click()
    waited(explorer, 2000)
    explorer.get_by_label("Measure").select_option("n_cards")
    explorer.locator(".clx-grid [tabindex='0']").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    changed(explorer, 2000)
    assert explorer.locator(".clx-grid [aria-selected=true]").count() == 1
    left(page, "tags")


def brush(page: Any, explorer: Any) -> None:
    """Draw over the bars of lengths, then choose an end by keys."""
    explorer.scroll_into_view_if_needed()
    canvas = explorer.locator(".clx-large canvas")
    canvas.wait_for(timeout=60_000)
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 20, steps=4)
    page.mouse.up()
    changed(explorer, 2000)
    page.wait_for_timeout(500)
    one, _ = left(page, "lengths")
    explorer.get_by_label("words: from").focus()
    page.keyboard.press("ArrowUp")
    changed(explorer, one)
    two, _ = left(page, "lengths")
    assert one < two < 2000


def test_explorers_live_on_in_a_page(tmp_path, monkeypatch):
    """Without a kernel the same cards are left, and nothing of a hostile card acts."""
    monkeypatch.setenv("CARDLAB_PICTURES", "0")
    cards = cl.read_cards(cl.make_cards(200))
    n = pl.int_range(200)
    points = cards.select("id").with_columns(x=n % 17 * 1.0, y=n / 17, cluster=n % 4)
    bundle, _ = cl.explore(cards, points=points)._repr_mimebundle_()
    shown = new_output("display_data", bundle)
    damaged = new_output("display_data", {MIME: {**bundle[MIME], "parts": {"cards": "AAAA"}}})
    outputs = Outputs()
    first, second = outputs.render(shown), outputs.render(shown)
    assert len(second) < len(first) / 4  # what both hold stands in the page once
    assert "An explorer was left out" in outputs.render(damaged)
    cells = [
        new_markdown_cell("# A\n\nWhich cards are these?"),
        new_code_cell("x", outputs=[shown]),
    ]
    page = render_page(new_notebook(cells=cells), name="a", outputs=Outputs())
    (tmp_path / "a.html").write_text(page, "utf-8")
    with opened_report(tmp_path / "a.html") as seen:
        explorer = seen.page.locator(".clx").first
        waited(explorer, 200)
        chosen = cards.filter(pl.col("pipeline_tag") == "text-generation")
        explorer.get_by_role("group", name="task").get_by_label("text-generation").check()
        waited(explorer, chosen.height)
        words = cl.with_text_lengths(chosen)["n_words"]
        explorer.get_by_label("words: from").select_option(label="200")
        waited(explorer, (words >= 200).sum())
        explorer.get_by_role("button", name="Remove all").click()
        explorer.get_by_label("Id contains").fill("mallory/")
        explorer.get_by_label("Id contains").press("Enter")
        waited(explorer, cards["id"].str.contains("mallory/").sum())
        explorer.get_by_role("listbox").focus()
        for _ in range(cards["id"].str.contains("mallory/").sum()):
            seen.page.keyboard.press("ArrowDown")
        assert explorer.locator("script, iframe, a, svg, img").count() == 0
        assert not seen.page.evaluate("window.__pwned")
        assert (seen.requests, seen.errors, seen.dialogs) == ([], [], [])
