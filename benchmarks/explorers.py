"""Explorers on the screen: from an event to what is drawn, in JupyterLab and in a page.

With Chromium, as the tests drive it. ``--source`` names files of cards, with commas between; else
they are a million synthetic cards without texts, and 100,000 with them. Cards without texts are
read before the clock starts, others stay in their file. A page is of the first 20,000 cards, with
all explorers and the map.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from .apart import CARDS, Figures, Later, Options, markdown

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

cl, pl, browser, lab, nbformat = map(Later, ("cardlab", "polars", "browser", "lab", "nbformat.v4"))
#: Cards of a page.
_OF_PAGE = 20_000
_LOAD = """
import cardlab as cl
cards = cl.scan_cards({path!r})
if "text" not in cards.collect_schema():
    cards = cards.collect()
def memory(of):
    status = open("/proc/self/status").read()
    return int(status.split(of + ":")[1].split()[0]) / 2**10
import time; time.sleep(3)  # what reading took has been given back
open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
before = memory("VmRSS")
"""
#: Seconds that a kernel has worked.
_CPU = "import time; print(time.process_time())"
#: Do each of some things and give how long it took until it was drawn: a frame after the change.
_TIMED = """
const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
const until = (node, attribute, fits) => new Promise((done) => {
  const seen = new MutationObserver(() => fits() && (seen.disconnect(), done()));
  seen.observe(node, { attributes: true, attributeFilter: [attribute] });
});
const timed = async (acts, wait) => {
  const found = [];
  for (const act of acts) {
    await new Promise((done) => setTimeout(done, 250));
    const start = performance.now();
    const changed = wait();
    act();
    await changed;
    await painted();
    found.push(performance.now() - start);
  }
  return found;
};
const pick = (node, i) => () => {
  node.selectedIndex = i;
  node.dispatchEvent(new Event("change"));
};
"""
#: Each facet filtered by and let go, the order changed: what a kernel answers.
_INTERACT = f"""
async (root) => {{{_TIMED}
  const acts = [];
  for (const facet of root.querySelectorAll(".clx-facet")) {{
    const box = facet.querySelector("input[type=checkbox]");
    const from = facet.querySelector("select");
    if (box) acts.push(() => box.click(), () => box.click());
    else if (from) acts.push(pick(from, from.length >> 1), pick(from, 0));
  }}
  const order = [...root.querySelectorAll("select")].find((one) => one.value === "as they come");
  for (let i = 1; i <= order.length; i++) acts.push(pick(order, i % order.length));
  const drawn = () => until(root, "aria-busy", () => !root.hasAttribute("aria-busy"));
  return timed(acts.slice(0, 20), drawn);
}}
"""
#: One card after another, and from one end of the list to the other.
_OPEN = f"""
async (root) => {{{_TIMED}
  const list = root.querySelector(".clx-list");
  const press = (key) => () => list.dispatchEvent(new KeyboardEvent("keydown", {{ key }}));
  const keys = [...Array(10).fill("ArrowDown"), "End", ...Array(9).fill("ArrowUp")];
  const card = root.querySelector(".clx-card");
  return timed(keys.map(press), () => until(card, "data-row", () => true));
}}
"""
#: A brush drawn over the bars of lengths, or the first bars there are: from bar to bar, and back.
_BRUSH = f"""
async (root) => {{{_TIMED}
  const canvas = root.querySelector(".clx-large canvas") ?? root.querySelector("canvas.clx-bins");
  canvas.setPointerCapture = () => {{}}; // no pointer is there to be held
  const box = canvas.getBoundingClientRect();
  const at = (kind, share) => () => canvas.dispatchEvent(
    new PointerEvent(kind, {{ clientX: box.left + share * box.width, clientY: box.top + 9 }}));
  at("pointerdown", 0.1)();
  const n = canvas.parentElement.querySelector("select").length - 2;
  const bar = (i) => Math.abs((i % (2 * n - 2)) - n + 1);
  const steps = Array.from({{ length: 20 }}, (_, i) => at("pointermove", (bar(i) + 0.5) / n));
  return timed(steps, () => null);
}}
"""


def report(options: Options) -> str:
    """Give a row for each file of cards."""
    with tempfile.TemporaryDirectory() as folder:
        files = options.source.split(",") if options.source else _written(Path(folder))
        rows = [{**_in_lab(file), **_in_page(file, Path(folder))} for file in files]
    table, load = markdown(pl.DataFrame(rows)), os.getloadavg()[0]
    return f"{table}\n\nMedians of 20 events, of CPU means; load of the machine {load:.1f}"


def _written(folder: Path) -> list[str]:
    files = {f"metadata{CARDS}": (1_000_000, False), f"texts{CARDS}": (100_000, True)}
    for name, (size, text) in files.items():
        cl.make_cards(size, text=text, embedding_dim=0).write_parquet(folder / name)
    return [str(folder / name) for name in files]


def _watched(root: Any, script: str, worked: Callable[[], float]) -> tuple[list[float], float]:
    """Give the milliseconds that each event took, and those that a processor worked for one."""
    began = worked()
    events = root.evaluate(script)
    return events, 1000 * (worked() - began) / len(events)


def _in_lab(file: str) -> Figures:
    """Open a CardBrowser, filter by each column and read cards."""
    cell = nbformat.new_code_cell("explorer = cl.CardBrowser(cards)\nexplorer")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.new_notebook(cells=[cell], metadata={"kernelspec": kernel})
    files = {"a.ipynb": Later("nbformat").writes(notebook).encode()}
    with ExitStack() as opened:
        address, _ = opened.enter_context(lab.jupyterlab(files))
        page = opened.enter_context(lab.opened_lab(address, "a.ipynb")).page
        page.evaluate(lab.RUN, _LOAD.format(path=str(Path(file).resolve())))
        start = time.perf_counter()
        page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        root = page.locator(".clx")
        root.locator(".clx-row").first.wait_for(timeout=600_000)
        first = time.perf_counter() - start
        waits = "() => document.querySelector('.clx').innerText.includes('reading …')"
        page.wait_for_function(f"!({waits})()", timeout=600_000)
        whole = time.perf_counter() - start
        kernel = partial(page.evaluate, lab.RUN)
        events, cpu = _watched(root, _INTERACT, lambda: float(kernel(_CPU)))
        cards, cpu_of_card = _watched(root, _OPEN, lambda: float(kernel(_CPU)))
        n, added = kernel("print(explorer.view['n'], memory('VmHWM') - before)").split()
    return {
        "file": Path(file).name,
        "cards": int(n),
        "first view, s": first,
        "all columns, s": whole,
        "event, ms": median(events),
        "slowest, ms": max(events),
        "kernel's CPU, ms": cpu,
        "card opens, ms": median(cards),
        "its CPU, ms": cpu_of_card,
        "added MB": float(added),
    }


def _in_page(file: str, folder: Path) -> Figures:
    """Export all explorers of some cards, and draw a brush in the page."""
    from cardlab.charts.base import SWITCH
    from cardlab.embeddings.project import map_points
    from cardlab.report.outputs import Outputs
    from cardlab.report.page import render_page

    os.environ[SWITCH] = "0"  # as in a report
    cards = cl.scan_cards(file).head(_OF_PAGE).collect()
    points = map_points(cards, x=cl.embed(cards), method="pca") if "text" in cards else None
    bundle: Any = cl.explore(cards, points=points)._repr_mimebundle_()
    del os.environ[SWITCH]  # the next kernel is none of a report
    shown = nbformat.new_output("display_data", bundle[0])
    cells = [nbformat.new_markdown_cell("# A"), nbformat.new_code_cell("x", outputs=[shown])]
    notebook = nbformat.new_notebook(cells=cells)
    path = folder / "page.html"
    path.write_text(render_page(notebook, name="a", outputs=Outputs()), "utf-8")
    with browser.opened_report(path) as seen:
        root = seen.page.locator(".clx").first
        root.locator(".clx-row").first.wait_for(timeout=120_000)
        inside = seen.page.context.new_cdp_session(seen.page)
        inside.send("Performance.enable", {"timeDomain": "threadTicks"})
        steps, cpu = _watched(root, _BRUSH, partial(_worked, inside))
    figures = {"cards of the page": cards.height, "page, MB": path.stat().st_size / 1e6}
    return {**figures, "brush, ms": median(steps), "its CPU in the page, ms": cpu}


def _worked(page: Any) -> float:
    """Give the seconds of the processor that a page has taken."""
    found = page.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in found if one["name"] == "TaskDuration"))
