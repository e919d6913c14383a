"""The map of a report in a real browser: drawn, hovered, coloured, moved, and nothing loaded."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from browser import opened_report
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from test_maps import COLORS, HOSTILE, NAMES, cards

import cardlab as cl
from cardlab.charts.canvas import MIME
from cardlab.report.outputs import Outputs
from cardlab.report.page import render_page
from cardlab.schema import printable

pytestmark = pytest.mark.browser

N = 20_000

#: Keeps the words that are written on canvases from now on.
_LISTEN = """() => {
  const pen = CanvasRenderingContext2D.prototype;
  const { fillText } = pen;
  window.said = [];
  pen.fillText = function (text, ...at) {
    window.said.push(text);
    fillText.call(this, text, ...at);
  };
}"""
#: Waits for the map and runs a function of it.
_RUN = "async (args) => {{ const m = await window.cardlabMaps[0]; return ({}) (m, args); }}"


@pytest.fixture(scope="module")
def frame():
    return cards(N)


@pytest.fixture(scope="module")
def page_path(frame, tmp_path_factory) -> Path:
    made = cl.plot_map(frame, color=COLORS, labels=NAMES, title=HOSTILE, trust=0.9)
    return page_at(made, tmp_path_factory.mktemp("maps") / "map.html")


def page_at(made: Any, path: Path) -> Path:
    """Write the page of a report that holds a map."""
    bundle = json.loads(json.dumps({MIME: made.to_dict(), "text/plain": made.description}))
    cells = [
        new_markdown_cell("# A map\n\nWhere are the cards?"),
        new_code_cell("m", outputs=[new_output("display_data", data=bundle)]),
    ]
    about = {"corpus": "c.parquet", "day": "2026-01-02"}
    html = render_page(new_notebook(cells=cells), name="map", outputs=Outputs(), **about)
    path.write_text(html, encoding="utf-8")
    return path


def run(page: Any, function: str, args: Any = None) -> Any:
    return page.evaluate(_RUN.format(function), args)


def until(page: Any, function: str) -> None:
    """Wait until something is so of the map, whose promise `wait_for_function` takes for a yes."""
    for _ in range(200):
        if run(page, function):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not within ten seconds: {function}")


def on_canvas(page: Any, index: int) -> tuple[float, float]:
    """Where on the screen a point is."""
    box = page.locator(".plane canvas").bounding_box()
    x, y = run(page, "(m, i) => m.at(i)", index)
    return box["x"] + x, box["y"] + y


def has_colours(page: Any, wanted: list[str]) -> list[bool]:
    """Tell of each colour whether the canvas has it; points let a little of the ground through."""
    return run(
        page,
        """(m, wanted) => {
            m.paint();
            const { width, height } = m.canvas;
            const { data } = m.canvas.getContext("2d").getImageData(0, 0, width, height);
            return wanted.map((colour) => {
              const rgb = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
              let n = 0;
              for (let p = 0; p < data.length; p += 4) {
                n += rgb.every((value, c) => Math.abs(data[p + c] - value) <= 16);
              }
              return n > 20;
            });
        }""",
        wanted,
    )


def tip_of(page: Any) -> dict[str, str]:
    page.wait_for_function(
        "() => { const t = document.querySelector('.tip');"
        " return t && !t.hidden && !t.textContent.includes('card…'); }"
    )
    rows = page.locator(".tip div").all()
    return {
        row.locator("bdi").nth(0).inner_text(): row.locator("bdi").nth(1).inner_text()
        for row in rows
    }


def test_the_card_under_the_pointer_is_the_right_one(page_path, frame):
    about = {row["id"]: row for row in frame.iter_rows(named=True)}
    with opened_report(page_path) as seen:
        page = seen.page
        assert run(page, "(m) => [m.n, m.ids === undefined]") == [N, True]  # not unpacked yet
        assert "H4sI" not in page.inner_text("body")  # the data are not for reading
        ids = run(page, "async (m) => await m.cards()")
        page.reload()
        for i in (1, 7_777, ids.index("__proto__")):
            # Close by, so that the point is alone.
            run(
                page,
                "(m, i) => { m.fit(); m.cx = m.x[i]; m.cy = m.y[i]; m.zoom(60); m.paint(); }",
                i,
            )
            page.locator(".plane canvas").hover()
            page.mouse.move(*on_canvas(page, i))
            tip = tip_of(page)
            assert tip["card"] == ids[i]
            assert tip["cluster"].split()[0] == str(about[ids[i]]["cluster"])
            assert tip["year"] == str(about[ids[i]]["created_at"].year)
        assert (seen.requests, seen.errors, seen.dialogs) == ([], [], [])


def test_one_group_stays_in_colour(page_path):
    with opened_report(page_path) as seen:
        page = seen.page
        groups = run(page, "(m) => m.data.columns[0].groups")
        wanted = [group["color"] for group in groups]
        assert len(set(wanted)) == len(wanted) == 6
        assert page.locator(".map .tools button", has_text="Cite").count() == 1
        assert has_colours(page, wanted) == [True] * len(groups)
        page.locator(".legend button").nth(1).click()
        assert has_colours(page, wanted) == [i == 1 for i in range(len(groups))]
        assert has_colours(page, ["#dfe3e9"]) == [True]
        pressed = page.locator(".legend [aria-pressed=true]").inner_text()
        assert pressed.startswith(groups[1]["label"])
        # Another column has its own groups, with hostile names as text.
        page.select_option(".map .by", label="task")
        labels = page.locator(".legend bdi").all_inner_texts()
        assert {"text-generation", "__proto__", "constructor", "not declared"} < set(labels)
        assert any(label.startswith("</script>") for label in labels)
        assert page.locator(".map img").count() == 0
        assert page.evaluate("window.__pwned") is None
        assert (seen.requests, seen.errors, seen.dialogs) == ([], [], [])


def test_a_dark_page_has_a_dark_map_and_prints_a_light_one(page_path):
    paper = (
        "(m) => { m.paint(); return [...m.canvas.getContext('2d').getImageData(2, 2, 1, 1).data] }"
    )
    with opened_report(page_path, color_scheme="dark") as seen:
        page = seen.page
        assert run(page, paper) == [0x1B, 0x21, 0x28, 255]
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert run(page, paper) == [255] * 4
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert run(page, paper) == [0x1B, 0x21, 0x28, 255]
        page.locator(".theme span", has_text="Light").click()
        assert run(page, paper) == [255] * 4


def test_a_search_marks_cards_and_a_click_leads_to_the_hub(page_path, frame):
    with opened_report(page_path) as seen:
        page = seen.page
        wanted = frame.filter(pl.col("id").str.starts_with("org-13/"))["id"].to_list()
        page.fill(".map .query", "ORG-13/")
        until(page, "(m) => m.marks?.length > 0")
        assert run(page, "(m) => m.marks.map((i) => m.ids[i])") == sorted(wanted)
        assert f"{len(wanted)} of them marked" in page.inner_text(".map .status")
        page.locator(".map .query").press("Enter")
        page.fill(".map .query", "translation")  # the name of a cluster
        n = frame.filter(pl.col("cluster") == 5).height
        until(page, f"(m) => m.marks?.length === {n}")
        page.fill(".map .query", "")
        until(page, "(m) => m.marks === null")
        ids = run(page, "async (m) => await m.cards()")
        for name, is_link in ((wanted[0], True), ("__proto__", False)):
            run(page, "async (m, i) => { m.fit(); await m.open(i); }", ids.index(name))
            card = page.locator(".map .card-of")
            assert card.locator("p").inner_text() == name
            assert card.locator("a").count() == is_link
            assert "cluster" in card.inner_text() and "year" in card.inner_text()
            if is_link:
                link = card.locator("a")
                assert link.get_attribute("href") == f"https://huggingface.co/{name}"
                assert link.get_attribute("rel") == "noopener noreferrer"
            page.locator(".plane canvas").press("Escape")
            assert card.is_hidden()
        box = page.locator(".plane canvas").bounding_box()
        x, y = on_canvas(page, ids.index(wanted[0]))
        run(page, "(m) => m.setColour('cluster')")
        page.mouse.click(x, y)
        page.locator(".map .card-of").wait_for()
        assert box["x"] < x < box["x"] + box["width"]
        assert (seen.requests, seen.errors, seen.dialogs) == ([], [], [])


def test_finer_names_come_on_zooming_in(tmp_path):
    region = pl.format("region {}", pl.col("cluster") // 2)
    fine = pl.format("fine {}", "cluster")
    layered = cards(3_000).select("id", "x", "y", region=region, fine=fine)
    made = cl.plot_map(layered, layers=["region", "fine"], color=["region", "fine", "id"])
    path = page_at(made, tmp_path / "layers.html")
    named = "(m) => { m.paint(); return m.names.map((n) => n.text).sort(); }"
    with opened_report(path) as seen:
        page = seen.page
        assert run(page, named) == ["region 0", "region 1", "region 2"]
        run(page, "(m) => m.setColour('fine')")
        assert run(page, named) == [f"fine {i}" for i in range(6)]
        at = next(n for n in made.to_dict()["names"] if n["text"] == "fine 3")["point"]
        run(
            page,
            "(m, i) => { m.setColour('region'); [m.cx, m.cy] = [m.x[i], m.y[i]]; m.zoom(3); }",
            at,
        )
        assert "fine 3" in run(page, named)


def test_who_shows_the_map_hears_what_is_roped_in(tmp_path):
    made = cl.plot_map(cards(500), color=COLORS)
    path = page_at(made, tmp_path / "rope.html")
    with opened_report(path) as seen:
        page = seen.page
        page.evaluate("""async () => {
          const old = await window.cardlabMaps[0];
          const { data } = old;
          old.dispose();
          const onselect = (found) => (window.roped = found);
          window.cardlabMaps = [cardlabMap.create(old.root, data, { onselect })];
        }""")
        box = page.locator(".plane canvas").bounding_box()
        corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.6), (0.02, 0.6)]
        spots = [(box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in corners]
        page.get_by_role("button", name="Rope points in").click()
        page.mouse.move(*spots[0])
        page.mouse.down()
        for spot in spots[1:]:
            page.mouse.move(*spot, steps=3)
        page.mouse.up()
        inside = run(
            page, "(m) => [...Array(m.n).keys()].filter((i) => m.at(i)[1] < 0.6 * m.height)"
        )
        assert 20 < len(inside) < 480
        assert page.evaluate("window.roped") == inside == run(page, "(m) => m.marks")
        run(page, "(m) => { m.highlight([3]); m.paint(); }")
        assert "1 of them marked" in page.inner_text(".map .status")
        assert (seen.requests, seen.errors) == ([], [])


def overlapping(boxes: list[dict[str, float]]) -> bool:
    return any(
        a["left"] < b["left"] + b["w"]
        and b["left"] < a["left"] + a["w"]
        and a["top"] < b["top"] + b["h"]
        and b["top"] < a["top"] + a["h"]
        for i, a in enumerate(boxes)
        for b in boxes[:i]
    )


@pytest.mark.parametrize("width", [1280, 400])
def test_names_never_overlap_and_keys_do_what_the_mouse_does(page_path, width):
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": "dark"}
    with opened_report(page_path, **options) as seen:
        page = seen.page
        page.locator(".plane canvas").focus()
        for keys in ([], ["+", "+", "ArrowLeft"], ["-", "ArrowDown", "ArrowRight", "ArrowUp"]):
            for key in keys:
                page.keyboard.press(key)
            boxes = run(page, "(m) => { m.paint(); return m.names; }")
            assert boxes and not overlapping(boxes)
            inside = run(page, "(m) => [m.width, m.height]")
            for box in boxes:
                assert box["left"] >= 0 and box["left"] + box["w"] <= inside[0]
                assert box["top"] >= 0 and box["top"] + box["h"] <= inside[1]
        page.keyboard.press("Enter")
        page.wait_for_function("!document.querySelector('.map .card-of').hidden")
        page.keyboard.press("0")
        assert run(page, "(m) => m.k === m.kAll")
        assert not page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )
        assert (seen.requests, seen.errors) == ([], [])


def test_moving_enlarging_and_saving(page_path, frame, tmp_path):
    with opened_report(page_path, accept_downloads=True) as seen:
        page = seen.page
        box = page.locator(".plane canvas").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        start = run(page, "(m) => [m.cx, m.cy, m.k]")
        page.mouse.move(x, y)
        page.mouse.wheel(0, -100)  # only scrolls past
        assert run(page, "(m) => m.k") == start[2]
        page.evaluate("scrollTo(0, 0)")
        page.mouse.down()
        page.mouse.move(x + 80, y + 30, steps=4)
        page.mouse.up()
        moved = run(page, "(m) => [m.cx, m.cy, m.k]")
        assert moved[0] < start[0] and moved[1] > start[1] and moved[2] == start[2]
        page.locator(".plane canvas").focus()
        page.mouse.wheel(0, -100)
        until(page, "(m) => m.k > m.kAll")
        page.get_by_role("button", name="Show all of the map").click()
        assert run(page, "(m) => [m.cx, m.cy, m.k]") == start
        with page.expect_download() as info:
            page.get_by_role("button", name="Download data").click()
        info.value.save_as(tmp_path / "saved.csv")
        rows = list(csv.reader(io.StringIO((tmp_path / "saved.csv").read_text("utf-8-sig"))))
        assert rows[0] == ["card", "x", "y", *COLORS]
        assert len(rows) == N + 1
        assert set(frame["id"][:100]) <= {row[0] for row in rows}
        page.evaluate(_LISTEN)
        with page.expect_download():
            page.get_by_role("button", name="Download PNG").click()
        words = [printable(HOSTILE), "c.parquet · 2026-01-02 · cardlab"]
        assert page.evaluate("window.said")[-2:] == words
        assert (seen.requests, seen.errors) == ([], [])


def test_a_hundred_thousand_cards_fit_into_two_megabytes(tmp_path):
    sample = cl.read_cards(cl.make_cards(100_000, text=False, embedding_dim=2))
    points = sample.select("id", "pipeline_tag", "library_name", "created_at").with_columns(
        cards(100_000).select("x", "y", "cluster")
    )
    made = cl.plot_map(
        points, color=["cluster", "pipeline_tag", "library_name", "created_at"], labels=NAMES
    )
    path = page_at(made, tmp_path / "large.html")
    assert path.stat().st_size < 2_000_000
