"""Code that a page shows and runs, with what it gives below it: a frame, a chart, what it prints.

A page is one program: what one block assigns, the next one has. It runs in a folder of its own.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import hashlib
import html
import inspect
import io
import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import altair as alt
import polars as pl
import vl_convert
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import cardlab
from cardlab.charts.map import PointMap
from cardlab.schema import HEADINGS, is_share

_PAGES: dict[str, tuple[dict[str, Any], tempfile.TemporaryDirectory[str]]] = {}


def run(code: str, names: dict[str, Any]) -> tuple[Any, str]:
    """Run the statements of a block; give the value of its last expression, and what it printed."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pl.Config(tbl_rows=12, tbl_cols=8, fmt_str_lengths=60):
        exec(compile(tree, "<page>", "exec"), names)
        value = None
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "<page>", "eval"), names)
        silent = value is None or isinstance(value, (PointMap, alt.TopLevelMixin))
        return value, said.getvalue() + ("" if silent else str(value))


def picture(value: Any) -> tuple[bytes, str, str] | None:
    """Draw a chart or a map: its bytes, the end of its file's name, and its description."""
    if isinstance(value, PointMap):
        return base64.b64decode(value.picture()), "png", value.description
    if isinstance(value, alt.TopLevelMixin):
        spec = value.to_dict()
        svg = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
        return svg.encode(), "svg", str(spec.get("description", ""))
    return None


def literal(text: str, language: str) -> nodes.Node:
    """Show text as it is."""
    return nodes.literal_block(text, text, language=language)


class Run(SphinxDirective):
    """A block of Python, and what it gives; shown only where what it ``needs`` is not there."""

    has_content = True
    option_spec: ClassVar = {
        **dict.fromkeys(("hidden", "only-output"), lambda _: True),
        "needs": str.split,  # commands and packages
    }

    def run(self) -> list[nodes.Node]:
        """Run the block where the page's earlier blocks ran."""
        page = self.env.docname
        if page not in _PAGES:
            _PAGES[page] = ({"__name__": page}, tempfile.TemporaryDirectory())
        names, folder = _PAGES[page]
        code = "\n".join(self.content)
        for need in self.options.get("needs", ()):
            if not (shutil.which(need) or find_spec(need)):
                said = f"Not run when this page was built, as there was no {need}."
                return [literal(code, "python"), nodes.paragraph(text=said)]
        before = Path.cwd()
        os.chdir(folder.name)
        try:
            value, said = run(code, names)
        finally:
            os.chdir(before)
        if "hidden" in self.options:
            return []
        shown = [] if "only-output" in self.options else [literal(code, "python")]
        drawn = picture(value)
        if drawn:
            return [*shown, self._kept(*drawn)]
        return [*shown, *([literal(said, "text")] if said else [])]

    def _kept(self, data: bytes, end: str, description: str) -> nodes.Node:
        name = f"{hashlib.sha256(data).hexdigest()[:16]}.{end}"
        folder = Path(self.env.app.outdir) / "_images"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        up = "../" * self.env.docname.count("/")
        words = html.escape(description, quote=True)
        markup = f'<p><img class="chart" src="{up}_images/{name}" alt="{words}" loading="lazy"></p>'
        return nodes.raw("", markup, format="html")


class Columns(SphinxDirective):
    """All columns of results: heading, unit, and the functions whose docstrings name them."""

    def run(self) -> list[nodes.Node]:
        """Write them as a list of terms, in the order of the alphabet."""
        documented = {
            name: inspect.getdoc(getattr(cardlab, name)) or ""
            for name in cardlab.__all__
            if not name.startswith("plot_")
        }
        lines = []
        for column, heading in sorted(HEADINGS.items()):
            given = [
                f"{{func}}`~cardlab.{name}`"
                for name, said in documented.items()
                if f"``{column}``" in said.partition("\nReturns\n")[2].partition("\nRaises\n")[0]
            ]
            unit = "0 to 1" if is_share(column) else "a number" if column[:2] == "n_" else ""
            where = ", ".join([unit] * bool(unit) + [f"from {', '.join(given)}"] * bool(given))
            lines += [f"`{column}`", f": {heading}" + (f"; {where}" if where else ""), ""]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Any) -> dict[str, Any]:
    """Say to Sphinx what is here."""
    app.add_directive("ran", Run)
    app.add_directive("columns", Columns)
    return {"parallel_read_safe": False}
