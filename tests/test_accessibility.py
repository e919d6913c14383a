"""Pages of reports by the rules of axe-core: in light, in dark, and on a phone."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from accessible import looked_at
from browser import browser_or_skip
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import cardlab as cl
from cardlab import notebook as nb
from cardlab.report.outputs import Outputs
from cardlab.report.page import render_page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Make a page of a chart, a table and key figures, and one of all explorers."""
    browser_or_skip()
    cards = cl.read_cards(cl.make_cards(120))
    n = pl.int_range(120)
    points = cards.select("id").with_columns(x=n % 9 * 1.0, y=n / 9, cluster=n % 3)
    counts = cl.license_counts(cards, classes=True)
    shown = {
        "figures": [
            cl.plot_counts(counts),
            nb.show_table(counts, caption="Classes"),
            nb.key_figures({"cards": 120}),
        ],
        "explorers": [cl.explore(cards, points=points)],
    }
    folder = tmp_path_factory.mktemp("pages")
    for name, made in shown.items():
        with pytest.MonkeyPatch.context() as report:
            report.setenv("CARDLAB_PICTURES", "0")
            bundles = [one._repr_mimebundle_() for one in made]
        bundles = [bundle[0] if isinstance(bundle, tuple) else bundle for bundle in bundles]
        outputs = [new_output("display_data", bundle) for bundle in bundles]
        cells = [new_markdown_cell(f"# {name}\n\nWhat?\n\n## Part")]
        cells.append(new_code_cell("x", outputs=outputs))
        html = render_page(new_notebook(cells=cells), name=name, outputs=Outputs())
        (folder / f"{name}.html").write_text(html, "utf-8")
    return [folder / f"{name}.html" for name in shown]


@pytest.mark.parametrize("look", ["light", "dark"])
def test_figures_and_explorers_break_no_rule(pages, look):
    assert [found for path in pages for found in looked_at(path, look)] == []


def test_what_is_too_pale_or_unnamed_is_found(tmp_path):
    """The measure itself: on a drawn ground, where axe cannot tell."""
    page = tmp_path / "page.html"
    style = "background: linear-gradient(#777, #777 90%, #888); height: 40px"
    page.write_text(
        f"<!doctype html><html lang=en><title>t</title><main><h1>h</h1><img src='data:,'>"
        f"<p id=pale style='{style}; color: #999'>pale</p>"
        f"<p style='{style}; color: #fff; font-size: 30px'>clear</p></main>"
    )
    found = looked_at(page, "light")
    assert {(name, where) for name, where, *_ in found} == {
        ("image-alt", "img"),
        ("drawn-contrast", "#pale"),
    }
