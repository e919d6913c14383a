"""Explorers in a real JupyterLab: by mouse and by keyboard, and what they leave in the kernel."""

from __future__ import annotations

import json
import re
from typing import Any

import nbformat
import polars as pl
import pytest
from browser import opened_report
from conftest import ROOT
from lab import RUN, jupyterlab, opened_lab, run_all
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import cardlab as cl
from cardlab.charts.canvas import EXPLORER as MIME
from cardlab.report.outputs import Outputs
from cardlab.report.page import render_page

pytestmark = pytest.mark.browser

#: The cells of a notebook, which must stay as many as they were whatever keys are pressed.
CELLS = "window.jupyterapp.shell.currentWidget.content.widgets.length"
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
        kept = ["ids", "any", "between", "contains"]  # in the order in which they were chosen
        assert seen.page.evaluate(UNDER_WAY) == [1, 2, kept, kept]
        assert (seen.requests, seen.errors, seen.dialogs) == ([], [], [])


#: Choose while what was chosen before is on its way: a lasso that is asked, a tick and a brush that
#: wait; a search when the wait is over, before any answer; then the answers, the oldest first.
UNDER_WAY = """
async () => {
  const [explorer] = await Promise.all(window.cardlabTwins);
  const { model, panels } = explorer;
  while (!panels.get("points").map) await new Promise((done) => setTimeout(done));
  explorer.set({ conditions: [] });
  const [answer, held] = [model.send.bind(model), []];
  model.send = (message) =>
    ["card", "rows"].includes(message.type) ? answer(message) : held.push(message);
  panels.get("points").map.onselect([...Array(150).keys()]);
  explorer.where("pipeline_tag", "any", ["text-generation", null]);
  explorer.where("n_words", "between", [50, null]);
  const found = [held.length];
  explorer.asked = -Infinity;
  explorer.where("id", "contains", "a");
  found.push(held.length);
  answer(held.shift());
  found.push(explorer.state.conditions.map((one) => one.op));
  while (held.length) answer(held.shift());
  return [...found, model.state.conditions.map((one) => one.op)];
}
"""


#: Cards whose places and clusters are known: 600 on a grid of 25 columns and 24 rows.
PLACED = """
import polars as pl
import cardlab as cl
cards = cl.read_cards(cl.make_cards(600))
n = pl.int_range(600)
places = {"x": n % 25 * 1.0, "y": n // 25 * 1.0, "cluster": n % 4}
points = cards.select("id", "pipeline_tag").with_columns(**places)
"""
#: Each explorer, and two controls of it: what they are called, and what is chosen or pressed.
FIVE = {
    "browser": ("cl.CardBrowser(cards)", ("Order", "newest"), ("Show", None)),
    "tags": ("cl.TagExplorer(cards)", ("Measure", "jaccard"), ("On at least (cards)", "100")),
    "lengths": ("cl.LengthExplorer(cards)", ("Length in", "n_chars"), ("By", "library_name")),
    "clusters": (
        "cl.ClusterExplorer(cards, points=points)",
        ("Colour by", "pipeline_tag"),
        ("Enlarge", None),
    ),
    "together": (
        "cl.explore(cards, points=points)",
        ("Measure", "n_cards"),
        ("By", "pipeline_tag"),
    ),
}
#: What is drawn: canvases, bars, shades, and the cards that are listed.
LOOK = """
(node) => JSON.stringify([
  [...node.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL()),
  [...node.querySelectorAll(".clx-bar, .clx-grid [data-i], .clx-spark span")]
    .map((one) => one.style.cssText),
  [...node.querySelectorAll(".clx-row, .clx-value, .clx-ranked")].map((one) => one.textContent),
])
"""
#: How light the paper of a canvas is: red, green and blue together.
CORNER = """
(canvas) => canvas.getContext("2d").getImageData(3, 3, 1, 1).data.slice(0, 3)
  .reduce((sum, v) => sum + v)
"""
#: How much wider than its place an explorer is; the parts of it that scroll sideways are not.
WIDER = "(node) => node.scrollWidth - node.clientWidth"


@pytest.mark.verify
def test_each_explorer_in_jupyterlab(tmp_path):
    """Two controls, a selection by mouse and one by keys; both themes, 200 %, 390 px."""
    cells = [PLACED, *(f"{name} = {call}\n{name}" for name, (call, *_) in FIVE.items())]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = [new_code_cell(source) for source in cells]
    notebook = new_notebook(cells=made, metadata={"kernelspec": kernel})
    with (
        jupyterlab({"a.ipynb": nbformat.writes(notebook).encode()}) as (address, _),
        opened_lab(address, "a.ipynb") as seen,
    ):
        page = seen.page
        page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
        run_all(seen)
        explorers = {name: page.locator(".clx").nth(place) for place, name in enumerate(FIVE)}
        for name, explorer in explorers.items():
            explorer.locator(".clx-row").first.wait_for(timeout=120_000)
            page.wait_for_function("() => !document.body.innerText.includes('reading …')")
            waited(explorer, 600)
            explorer.scroll_into_view_if_needed()
            for control in FIVE[name][1:]:
                before = explorer.evaluate(LOOK)
                moved(explorer, *control)
                other(explorer, before)
            selects_by_mouse_and_keys(page, explorer, name)
        assert page.evaluate(CELLS) == len(cells)
        for theme in ("Light", "Dark"):
            chosen = f"{{ theme: 'JupyterLab {theme}' }}"
            page.evaluate(f"window.jupyterapp.commands.execute('apputils:change-theme', {chosen})")
            for width, height in ((1500, 1100), (750, 550), (390, 800)):  # 750: as at 200 %
                page.set_viewport_size({"width": width, "height": height})
                page.wait_for_timeout(500)
                for name, explorer in explorers.items():
                    assert explorer.evaluate(WIDER) == 0, (name, width)
                    explorer.screenshot(path=tmp_path / f"{name}-{theme}-{width}.png")
                lightness = explorers["clusters"].locator(".plane canvas").evaluate(CORNER)
                assert (lightness > 600) == (theme == "Light")
        assert (seen.requests, seen.errors, seen.dialogs) == ([], [], [])


def moved(explorer: Any, called: str, value: str | None) -> None:
    """Choose, type or press."""
    if value is None:
        explorer.get_by_role("button", name=called).first.click()
        return
    named = explorer.page.get_by_text(called, exact=True)
    control = explorer.locator("label", has=named).locator("select, input").first
    if control.evaluate("(node) => node.localName") == "select":
        control.select_option(value)
    else:
        control.fill(value)
        control.press("Enter")


def other(explorer: Any, before: str) -> None:
    """Wait until an explorer looks otherwise."""
    for _ in range(100):
        if explorer.evaluate(LOOK) != before:
            return
        explorer.page.wait_for_timeout(100)
    pytest.fail("nothing changed on the screen")


def selects_by_mouse_and_keys(page: Any, explorer: Any, name: str) -> None:
    """Leave fewer cards by mouse, and again by keys: in the picture, the frame and the code."""
    by_mouse = {"browser": ticked, "tags": crossed, "lengths": brushed}.get(name, roped)
    by_keys = {"tags": crossed_by_keys, "lengths": ended}.get(name, ticked_by_keys)
    n, code, look = 600, page.evaluate(RUN, f"print({name}.code)"), explorer.evaluate(LOOK)
    for act in (by_mouse, by_keys):
        act(page, explorer)
        changed(explorer, n)
        explorer.locator(":scope:not([aria-busy])").wait_for()
        now, _ = left(page, name)
        new, seen = page.evaluate(RUN, f"print({name}.code)"), explorer.evaluate(LOOK)
        assert 0 < now < 600
        assert (now != n, new != code, seen != look) == (True, True, True), (name, act)
        n, code, look = now, new, seen
    if by_mouse is roped:  # the upper half of the map has the last rows of the grid
        said = f"print((points.join({name}.selection.collect(), on='id')['y'] >= 11).all())"
        assert page.evaluate(RUN, said).strip() == "True"


def ticked(page: Any, explorer: Any) -> None:
    explorer.get_by_role("group", name="task").locator("label").first.click()


def ticked_by_keys(page: Any, explorer: Any) -> None:
    """Tick by the space bar, after which the focus is where it was."""
    named = explorer.get_by_role("group", name=re.compile("^(task|cluster)$"))
    box = named.last.locator("input[type=checkbox]").nth(1)
    box.focus()
    page.keyboard.press("Space")
    assert box.evaluate("(node) => node === document.activeElement")


def crossed(page: Any, explorer: Any) -> None:
    explorer.locator(".clx-grid [data-i='3'][data-j='1']").click()


def crossed_by_keys(page: Any, explorer: Any) -> None:
    explorer.locator(".clx-grid [tabindex='0']").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")


def brushed(page: Any, explorer: Any) -> None:
    dragged(page, explorer.locator(".clx-large canvas"), [(0.5, 0.3), (0.7, 0.3)])


def ended(page: Any, explorer: Any) -> None:
    explorer.locator(".clx-large select").first.focus()
    page.keyboard.press("ArrowUp")


def roped(page: Any, explorer: Any) -> None:
    explorer.get_by_role("button", name="Show all of the map").click()
    explorer.get_by_role("button", name="Rope points in by dragging").click()
    around = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.5), (0.02, 0.5)]
    dragged(page, explorer.locator(".clx-points canvas").first, around)


def dragged(page: Any, canvas: Any, spots: list[tuple[float, float]]) -> None:
    """Press the mouse at the first of some places in a picture, and let it go at the last."""
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    places = [(box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in spots]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()
