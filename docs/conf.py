"""How Sphinx builds the book: ``make docs``. Nothing is fetched, neither now nor by the pages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sphinx.util.nodes import make_refnode

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent)]

import cardlab  # noqa: E402 (found through the path above)

project = "cardlab"
author = "The cardlab authors"
copyright = author  # without a year, so that two builds are equal
version = release = cardlab.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "ran",  # docs/ran.py: code that is shown, run, and answers
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates"]
root_doc = "index"

html_theme = "furo"
html_title = f"cardlab {version}"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_show_sphinx = False
html_copy_source = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say more
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

# A name that a docstring links to must be there; those of Python and polars are not linked.
nitpicky = True
nitpick_ignore_regex = [("py:(class|exc|obj|attr)", ".*"), ("py:meth", "str.*")]


def named_within(app: Any, env: Any, node: Any, text: Any) -> Any:
    """Link a name that a docstring gives as its own module knows it, such as ``KINDS``."""
    objects = env.domains.python_domain.objects
    found = [name for name in objects if name.endswith("." + node.get("reftarget", "-"))]
    if node.get("refdomain") != "py" or len(found) != 1:
        return None
    at = objects[found[0]]
    return make_refnode(app.builder, node["refdoc"], at.docname, at.node_id, text, found[0])


#: What the theme's pages lack for readers by ear and by keyboard.
MENDED = {
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="The book">',
    '<aside class="toc-drawer">': '<aside class="toc-drawer" aria-label="This page">',
    '<aside class="toc-drawer no-toc">': '<aside class="toc-drawer no-toc" aria-label="This page">',
    "<pre>": '<pre tabindex="0">',
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
    '<div id="search-results"': '<h1>Search</h1><div id="search-results"',
}


def mended(app: Any, error: Exception | None) -> None:
    """Add it, once all pages are written."""
    for path in Path(app.outdir).rglob("*.html") if error is None else ():
        text = path.read_text("utf-8")
        for old, new in MENDED.items():
            text = text.replace(old, new)
        path.write_text(text, "utf-8")


def setup(app: Any) -> None:
    """Tell Sphinx of both."""
    app.connect("missing-reference", named_within)
    app.connect("build-finished", mended)
