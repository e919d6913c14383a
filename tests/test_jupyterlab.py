"""A hostile corpus in a real JupyterLab: nothing runs, loads, is typeset or becomes a link.

JupyterLab typesets what stands between dollar signs in a notebook's HTML, and its tooltips load
what is called `image`. Cards of this corpus try both, beside all that reports are tried with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import polars as pl
import pytest
from browser import Opened, hostile_texts, listener
from conftest import ROOT
from lab import jupyterlab, opened_lab, run_all
from nbformat.v4 import new_code_cell, new_notebook

import cardlab as cl

pytestmark = pytest.mark.browser

CORPUS = "hostile.parquet"
#: Notebooks, with the charts they have of a corpus that has every column, and their parameters.
CURATED: dict[str, tuple[int, dict[str, Any]]] = {
    "01-corpus-overview": (4, {}),
    "02-tag-cooccurrence": (4, {}),
    "03-licenses": (5, {}),
    "04-text-lengths": (5, {"by": "image"}),
    "05-embedding-clusters": (0, {}),  # no stable clusters; its map is no chart of Vega
    "06-explore-cards": (0, {}),
    "08-compare-corpora": (2, {}),  # one column is further apart than chance
    "09-languages": (3, {}),
}
#: What a mark shows that is pointed at; and what MathJax, links and loaders would leave.
HOVER = """
async () => {
  const seen = { charts: 0, items: 0, shown: 0, lines: new Set(), failed: [] };
  const found = [];
  const walk = (widget) => {
    if ("_result" in widget) found.push(widget._result.view);
    for (const child of widget.children?.() ?? widget.widgets ?? []) walk(child);
  };
  const cells = window.jupyterapp.shell.currentWidget.content.widgets;
  for (const cell of cells) if (cell.outputArea) walk(cell.outputArea);
  for (const view of found) {
    seen.charts += 1;
    const items = [];
    const gather = (node, x, y) => {
      for (const item of node.items ?? []) {
        if (node.marktype === "group") {
          for (const part of item.items ?? []) gather(part, x + (item.x ?? 0), y + (item.y ?? 0));
        } else if (item.tooltip != null) items.push([item, x, y]);
      }
    };
    gather(view.scenegraph().root, 0, 0);
    seen.items += items.length;
    const handler = view._handler;
    const canvas = handler.canvas();
    canvas.scrollIntoView();
    const corner = canvas.getBoundingClientRect();
    const step = Math.ceil(items.length / 300);
    for (const [i, [item, x, y]] of items.entries()) {
      // the points of a line are found where they are, other marks anywhere
      const onLine = ["line", "trail", "area"].includes(item.mark.marktype);
      const { x1, x2, y1, y2 } = onLine
        ? { x1: item.x, x2: item.x, y1: item.y, y2: item.y } : item.bounds;
      const at = {
        clientX: corner.left + handler._origin[0] + x + (x1 + x2) / 2,
        clientY: corner.top + handler._origin[1] + y + (y1 + y2) / 2,
        bubbles: true,
      };
      const event = new PointerEvent("pointermove", at);
      if (i % step === 0) canvas.dispatchEvent(event);
      handler.handleTooltip(event, item, true);  // also what another mark hides
      const tip = document.getElementById("vg-tooltip-element");
      if (tip?.classList.contains("visible")) seen.shown += 1;
      for (const key of tip?.querySelectorAll(".key") ?? []) seen.lines.add(key.textContent);
      if (tip?.querySelector("img, a, h2, script, svg")) seen.failed.push(tip.innerHTML);
      handler.handleTooltip(event, item, false);
    }
  }
  return { ...seen, lines: [...seen.lines] };
}
"""
FOUND = """
() => {
  const inside = ".jp-OutputArea-output, #vg-tooltip-element";
  // of a map: a frame without an origin that holds its page itself, or its picture
  const ours = ".cardlab-map > iframe[sandbox][srcdoc]:not([src], [sandbox*=allow-same-origin])," +
    ".cardlab-map > img[src^='data:image/png;base64,']";
  const count = (what) => [...document.querySelectorAll(inside)].flatMap((place) =>
    [...place.querySelectorAll(what)]
      .filter((node) => !node.closest(".vega-actions, summary, .control") && !node.matches(ours))
      .map((node) => node.outerHTML.slice(0, 300)));
  return {
    math: [...document.querySelectorAll("mjx-container, .MathJax, math")]
      .filter((node) => !node.closest(".control")).map((node) => node.outerHTML.slice(0, 300)),
    links: count("a"),
    loaders: count("img, iframe, object, embed, script, link, base, meta, svg, video, audio"),
    handlers: count("[onerror], [onload], [onclick], [onfocus], [ontoggle], [autofocus]"),
    forms: count("form:not(.vega-bindings)"),
    errors: [...document.querySelectorAll("[data-mime-type='application/vnd.jupyter.error']," +
      "[data-mime-type='application/vnd.jupyter.stderr']")].map((node) => node.innerText)
      // what takes long on a busy machine says how far it is
      .filter((text) => !/^([\\d,]+( of [\\d,]+)? \\w+\\s*)+$/.test(text)),
    pwned: window.__pwned ?? null,
  };
}
"""
#: HTML that was sent by the kernel and does not have its words on the page.
CHANGED = """
() => window.jupyterapp.shell.currentWidget.content.widgets.flatMap((cell) => {
  const sent = [...(cell.model.outputs?.toJSON() ?? [])].map((output) => output.data?.["text/html"])
    .filter(Boolean).map((text) => [].concat(text).join(""));
  const shown = cell.outputArea?.node.querySelectorAll(".jp-RenderedHTML") ?? [];
  const words = (node) => {
    const copy = node.cloneNode(true);
    copy.querySelectorAll("style").forEach((style) => style.remove()); // left out where untrusted
    return copy.textContent.replaceAll(/\\s+/g, " ");
  };
  return sent
    .map((text) => new DOMParser().parseFromString(text, "text/html").body)
    .filter((body) => !body.querySelector(".control"))
    .filter((body, i) => words(body) !== words(shown[i] ?? body.ownerDocument.head)).map(words);
})
"""
#: The text of a cell's outputs, as they are seen and as they would be copied.
TEXTS = """
(place) => [...document.querySelectorAll(place)].map((node) => {
  const chosen = window.getSelection();
  chosen.selectAllChildren(node);
  const copied = chosen.toString();
  chosen.removeAllRanges();
  return [node.innerText, copied];
})
"""


def mathematics(address: str) -> list[str]:
    return [
        rf"$\href{{{address}/math}}{{click}}$",
        "price $5 and $6",
        rf"\(\href{{{address}/round}}{{x}}\)",
        r"\[\sum_i x_i^2\]",
        r"$$\href{javascript:window.__pwned=1}{x}$$",
        r"\begin{align}a &= b\end{align}",
        rf"$\require{{html}}\style{{background:url({address}/css)}}{{x}}\cssId{{main}}{{y}}$",
    ]


def attacks(address: str) -> list[str]:
    picture = f'{address}/"onerror="window.__pwned=1'
    return [*mathematics(address), f"{address}/picture.png", picture, *hostile_texts(address)]


def corpus(address: str, n: int = 400) -> pl.DataFrame:
    """Cards that hold hostile texts wherever a card may hold a text, each text many times."""
    texts = attacks(address)
    rows = cl.make_cards(n, random_state=1).drop("embeddings").to_dicts()
    ids = [f"{texts[i % len(texts)]}/n{i}" if i % 3 else row["id"] for i, row in enumerate(rows)]
    for i, row in enumerate(rows):
        one, two, three = (texts[(step * i + i // 7) % len(texts)] for step in (1, 3, 5))
        row["id"] = ids[i]
        del row["author"]  # so that it is read from the id
        row["tags"] = [one, two, three, f"license:{one}", f"dataset:{two}", "transformers"]
        row["base_model"] = [ids[i // 2]] if i % 4 == 0 else [two]
        row["datasets"] = [three]
        row["text"] = f"# {one}\n\n{two}\n\n## {three}\n\n{one} {row['text']}"
        if i % 5:
            row["license"] = [one] if i % 2 else ["other", two]
            row["languages"] = [two]
        if i % 2:
            row["pipeline_tag"] = one
            row["library_name"] = three
        known = {"license": row["license"], "license_name": one, "language": two, "title": three}
        row["metadata"] = json.dumps(known) if i % 11 else f"{one}: ["
        row["created_at"] = row["created_at"].isoformat() if i % 13 else one
        row |= {"image": f"{address}/{i % 3}.png", "url": two, "href": texts[i % 2 + 7]}
        row |= {"src": one, "description": one, "title": two, "constructor": three}
    return pl.DataFrame(rows, infer_schema_length=None)


def code_cells(*cells: str) -> bytes:
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    made = new_notebook(
        cells=[new_code_cell(cell) for cell in cells], metadata={"kernelspec": kernel}
    )
    return nbformat.writes(made).encode()


def of_hostile(name: str, **parameters: Any) -> bytes:
    """Give a curated notebook that reads the hostile corpus, with a control at its end."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    (cell,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    given = {"source": CORPUS, **parameters}
    cell.source += "".join(f"\n{key} = {value!r}" for key, value in given.items())
    notebook.cells.append(new_code_cell(CONTROL))
    return nbformat.writes(notebook).encode()


# MathJax does work here; it goes through the outputs in their order, so it has been through all
# when it has typeset the last.
CONTROL = """
from IPython.display import HTML
HTML("<p class='control'>$x^2$</p>")
"""

KINDS = """
import polars as pl
import cardlab as cl
from cardlab import notebook as nb
cards = cl.read_cards("hostile.parquet")
texts = pl.read_parquet("texts.parquet")["text"].to_list()
table = pl.DataFrame({"id": texts, "tags": [[t, t] for t in texts]})
display(nb.show_table(table, caption=texts[0]))
for t in texts:
    display(nb.note("{x} and {x}", x=t))
display(nb.key_figures({t: t for t in texts}))
for t in texts[:7]:
    with nb.where_possible():
        raise cl.NoFigure(t)
nb.provenance(cards, source=texts[0], query=texts[1])
"""
CHARTS = """
display(cl.plot_counts(cl.tag_counts(cards), title=texts[0]))
for rows, columns in [("image", "href"), ("title", "constructor"), ("url", "image"), ("src", "id")]:
    table = cl.crosstab(cards, rows=rows, columns=columns, top=12)
    display(cl.plot_crosstab(table, rows=rows, columns=columns))
display(cl.plot_counts(cards.group_by("image").len("n_cards").with_columns(
    n_total=400, card_share=pl.col("n_cards") / 400), label="image"))
points = cards.with_row_index("n").with_columns(x=pl.col("n") % 21 * 1.0, y=pl.col("n") / 21)
colors = ["image", "title", "href", "url", "description", "src", "constructor", "pipeline_tag"]
display(cl.plot_map(points, color=colors, title=texts[0]))
"""
LARGE = """
import polars as pl
import cardlab as cl
from cardlab import notebook as nb
cards = cl.read_cards("hostile.parquet")
n = pl.col("n")
many = pl.concat([cards.select("image", "title")] * 26).with_row_index("n")
many = many.with_columns(id=pl.col("title") + n.cast(str), x=n % 97 * 1.0, y=n / 97)
display(cl.plot_map(many, color=["image", "title"]))
"""
NAIVE = """
import altair as alt
import cardlab.charts.base
import polars as pl
from IPython.display import HTML, display
display(HTML(r"<p>$\\href{https://x.example/}{click}$</p>"))
(address,) = pl.read_parquet("texts.parquet")["text"].gather([7])
rows = pl.DataFrame({"image": [address, address + '" onerror="window.__pwned=1']})
alt.Chart(rows).mark_bar().encode(y="image:N", tooltip=["image:N", "image:N"])
"""
BROWSER = "browser = cl.CardBrowser(cards)\nbrowser"


@dataclass
class Lab:
    """A JupyterLab with the hostile corpus, and a listener that should never be asked."""

    address: str
    work: Path
    tracker: str
    asked: list[str]

    @contextmanager
    def opened(self, name: str) -> Iterator[Opened]:
        """Open a notebook that has not been opened before."""
        self.asked.clear()
        with opened_lab(self.address, f"{name}.ipynb") as seen:
            yield seen

    def untrusted(self, name: str) -> str:
        """Copy a saved notebook so that its signature is no longer its own."""
        notebook = json.loads((self.work / f"{name}.ipynb").read_text("utf-8"))
        notebook["metadata"]["foreign"] = True
        (self.work / f"{name}-foreign.ipynb").write_text(json.dumps(notebook), "utf-8")
        return f"{name}-foreign"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    files = {f"{name}.ipynb": of_hostile(name, **given) for name, (_, given) in CURATED.items()}
    files["kinds.ipynb"] = code_cells(KINDS, CHARTS, BROWSER, CONTROL)
    files["naive.ipynb"] = code_cells(NAIVE, CONTROL)
    files["large.ipynb"] = code_cells(LARGE, CONTROL)
    with listener() as (tracker, asked), jupyterlab(files) as (address, work):
        corpus(tracker).write_parquet(work / CORPUS)
        pl.DataFrame({"text": attacks(tracker)}).write_parquet(work / "texts.parquet")
        yield Lab(address, work, tracker, asked)


def settle(seen: Opened) -> None:
    """Wait until MathJax has been through all outputs and every chart is there."""
    seen.page.wait_for_selector(".control mjx-container", timeout=120_000)
    seen.page.wait_for_function(
        "[...document.querySelectorAll('[class*=jp-RenderedVega]')]"
        ".every((place) => place.querySelector('canvas'))",
        timeout=120_000,
    )


def assert_harmless(seen: Opened, asked: list[str], *, n_charts: int) -> dict[str, Any]:
    """Point at everything, and find that nothing ran, was loaded, typeset or linked."""
    settle(seen)
    where = seen.page.url
    hovered = seen.page.evaluate(HOVER)
    assert hovered["charts"] >= n_charts
    if n_charts:
        assert hovered["items"] > 10 * n_charts
        assert hovered["shown"] == hovered["items"]
    assert hovered["failed"] == []
    seen.page.wait_for_timeout(300)
    found = seen.page.evaluate(FOUND)
    assert found.pop("pwned") is None
    assert found == {kind: [] for kind in found}
    assert seen.dialogs == []
    assert seen.requests == []
    assert seen.errors == []
    assert asked == []
    assert seen.page.url == where
    return hovered


def assert_as_written(seen: Opened, place: str, texts: list[str]) -> None:
    """Find each text in an output, both as it is seen and as it is copied."""
    pairs = seen.page.evaluate(TEXTS, place)
    for frame in seen.page.frames:  # long tables stand in frames of their own
        if frame.url == "about:srcdoc":
            pairs += frame.evaluate(TEXTS, place.split()[-1])
    for text in texts:
        assert any(text in shown for shown, _ in pairs), text
        assert any(text in copied for _, copied in pairs), text


IS_TRUSTED = """
() => window.jupyterapp.shell.currentWidget.content.widgets
  .filter((cell) => cell.model.type === "code").map((cell) => cell.model.trusted)
"""


def save(seen: Opened) -> None:
    seen.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    seen.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")


def test_every_kind_of_output_in_jupyterlab(lab):
    texts = mathematics(lab.tracker)
    with lab.opened("kinds") as seen:
        run_all(seen)
        hovered = assert_harmless(seen, lab.asked, n_charts=6)
        assert {"image\u200b:", "title\u200b:", "href:", "url:"} <= set(hovered["lines"])
        assert all(seen.page.evaluate(IS_TRUSTED))
        assert map_in(seen) == "image"
        for place in ("table", ".cl-note", ".cl-fact"):
            assert_as_written(seen, f".jp-OutputArea-output {place}", texts)
        assert_as_written(seen, ".jp-OutputArea-output :is(caption,.caption)", texts[:1])
        browse(seen, texts)
        assert_harmless(seen, lab.asked, n_charts=6)
        save(seen)
    with lab.opened(lab.untrusted("kinds")) as seen:
        assert not any(seen.page.evaluate(IS_TRUSTED))
        assert_harmless(seen, lab.asked, n_charts=6)
        assert map_in(seen) is None
        assert seen.page.locator(".cardlab-map img").is_visible()
        assert_as_written(seen, ".jp-OutputArea-output table", texts)


def map_in(seen: Opened) -> str | None:
    """Point at a map in its frame, and give the column that colours it."""
    frames = [frame for frame in seen.page.frames if frame.url == "about:srcdoc"]
    frames = [frame for frame in frames if frame.locator(".map").count()]  # tables have some too
    if not frames:
        return None
    (frame,) = frames
    assert not seen.page.locator(".cardlab-map img").is_visible()
    return frame.evaluate(
        """async () => {
          const map = await window.cardlabMaps[0];
          await map.open(5);
          if (document.querySelector("img") || map.card.hidden) throw new Error("not as it should");
          return map.by.value;
        }"""
    )


def browse(seen: Opened, texts: list[str]) -> None:
    """Search for each text in the browser, and read a card that is called so."""
    from playwright.sync_api import expect

    page = seen.page
    part = (
        page.get_by_role("textbox", name="Id contains")
        .or_(page.get_by_role("searchbox", name="Id contains"))
        .first
    )
    for text in texts:
        part.fill(text)
        part.press("Enter")
        first = page.locator(".clx-row bdi").first
        expect(first).to_contain_text(text, timeout=30_000)
        name = first.inner_text()
        expect(page.locator(".cardlab-card h3").first).to_have_text(name, timeout=30_000)
        assert_as_written(seen, ".cardlab-card", [name, text])


def test_the_checks_see_what_they_are_for(lab):
    """Without what keeps them away, there is a link, a picture, and a script that runs."""
    with lab.opened("naive") as seen:
        run_all(seen)
        settle(seen)
        hovered = seen.page.evaluate(HOVER)
        seen.page.wait_for_timeout(500)
        found = seen.page.evaluate(FOUND)
        assert found["math"]
        assert len(found["links"]) == 1
        assert hovered["failed"]
        assert found["pwned"] == 1
        assert "/picture.png" in lab.asked
        assert f"{lab.tracker}/picture.png" in seen.requests
        assert len(seen.page.evaluate(CHANGED)) == 1


@pytest.mark.verify
@pytest.mark.parametrize("name", [*CURATED, "large"])
def test_notebook_in_jupyterlab(lab, name):
    n_charts = CURATED[name][0] if name in CURATED else 0
    with lab.opened(name) as seen:
        run_all(seen)
        assert_harmless(seen, lab.asked, n_charts=n_charts)
        assert all(seen.page.evaluate(IS_TRUSTED))
        assert seen.page.evaluate(CHANGED) == []
        if name.startswith("06"):
            browse(seen, mathematics(lab.tracker))
            assert_harmless(seen, lab.asked, n_charts=n_charts)
        save(seen)
    with lab.opened(lab.untrusted(name)) as seen:
        assert not any(seen.page.evaluate(IS_TRUSTED))
        assert_harmless(seen, lab.asked, n_charts=n_charts)
        assert seen.page.evaluate(CHANGED) == []
