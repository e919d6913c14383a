"""Take the pictures of explorers, and of findings: ``python docs/pictures.py``, with Chromium.

They are kept in git, as a book is built where no browser is.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser import opened_report, write_notebook  # noqa: E402 (found through the path above)

import cardlab as cl  # noqa: E402

CELLS = {
    "CardBrowser": "cl.CardBrowser(cards)",
    "TagExplorer": "cl.TagExplorer(cards)",
    "LengthExplorer": 'cl.LengthExplorer(cards, state={"by": "pipeline_tag"})',
    "ClusterExplorer": "cl.ClusterExplorer(cards, points=regions)",
    "explore": "cl.explore(cards, points=regions)",
}
BEGIN = "import cardlab as cl\ncards = cl.make_cards(1000)\nregions = cl.atlas(cards)"

with tempfile.TemporaryDirectory() as folder:
    page = Path(folder) / "explorers.html"
    code = [("source = None", "parameters"), (BEGIN,), *((cell,) for cell in CELLS.values())]
    notebook = write_notebook(Path(folder) / "explorers.ipynb", ["# Explorers", *code])
    cl.export_report(notebook, page)
    with opened_report(page, viewport={"width": 1100, "height": 1000}) as seen:
        figures = seen.page.locator("figure.explorer")
        for name, figure in zip(CELLS, figures.all(), strict=True):
            figure.scroll_into_view_if_needed()
            seen.page.wait_for_timeout(4000)
            figure.screenshot(path=str(ROOT / f"docs/_static/{name}.png"))

    cl.export_reports(None, Path(folder) / "pages", notebooks=["01", "03"])
    index = Path(folder) / "pages/index.html"
    with opened_report(index, viewport={"width": 1100, "height": 760}) as seen:
        seen.page.wait_for_timeout(1000)
        seen.page.screenshot(path=str(ROOT / "docs/findings.png"))
