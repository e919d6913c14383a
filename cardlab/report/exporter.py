"""Executed notebook to HTML: templates, scripts by hash, and the policy that names the hashes.

This module imports nbconvert; the rest of the package imports it only when a page is written.
``jupyter nbconvert --to cardlab.report.exporter.ReportExporter mine.ipynb`` works as well, for a
notebook that was run and saved.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from nbconvert.exporters.templateexporter import TemplateExporter
from traitlets import default

from .charts import vega_script
from .outputs import Outputs
from .page import Page, build_page
from .sanitize import json_block, packed

TEMPLATES = Path(__file__).resolve().parent / "template"


class ReportExporter(TemplateExporter):
    """nbconvert's exporter with our own templates only, and with escaping by default."""

    export_from_notebook = "cardlab report"
    output_mimetype = "text/html"

    @default("file_extension")
    def _file_extension_default(self) -> str:
        return ".html"

    @default("template_file")
    def _template_file_default(self) -> str:
        return "report.html.j2"

    @default("template_paths")
    def _template_paths_default(self) -> list[str]:
        return [str(TEMPLATES)]  # never a folder of the user's or the working directory

    def _create_environment(self) -> Environment:
        return template_environment()

    def from_notebook_node(  # type: ignore[override]  # so do nbconvert's own exporters
        self, nb: Any, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[str, dict[str, Any]]:
        """Return the page of an executed notebook and the resources, ``page`` among them.

        ``resources["cardlab"]`` may hold the arguments of
        :func:`~cardlab.report.page.build_page` other than the notebook.
        """
        resources = dict(resources or {})
        name = resources.get("metadata", {}).get("name") or "report"
        about: dict[str, Any] = {"name": name, "corpus": "", "day": "", "parameters": {}}
        about["outputs"] = Outputs()
        about.update(resources.get("cardlab", {}))
        page = build_page(nb, **about)
        resources.update(page=page, output_extension=".html")
        return self.template.render(**page_values(page)).strip() + "\n", resources


def page_values(page: Page) -> dict[str, Any]:
    """Return what the report template needs; a page gets only the scripts that it uses."""
    outputs = page.outputs
    parts = ["page.js"]
    drawn = {
        "tables.js": outputs.n_tables,
        "charts.js": outputs.n_charts,
        "points.js": outputs.n_maps,
        "maps.js": outputs.n_maps,
    }
    used = [part for part, n in drawn.items() if n]
    parts += ["shared.js", *used] if used else []
    script = "\n".join(asset(part) for part in parts)
    vega = vega_script(outputs.version) if outputs.n_charts else ""
    return {
        "page": page,
        "card": json_block(page.card),
        "style": asset("report.css"),
        "script": script,
        "vega": packed_script(vega),
        "policy": content_policy([script, *([vega] if vega else [])]),
    }


def render_index(cards: list[dict[str, Any]], *, day: str) -> str:
    """Return the index page of a folder of reports."""
    script = asset("page.js")
    html = (
        template_environment()
        .get_template("index.html.j2")
        .render(
            cards=cards,
            day=day,
            style=asset("report.css"),
            script=script,
            policy=content_policy([script]),
        )
    )
    return html.strip() + "\n"


def content_policy(scripts: list[str]) -> str:
    """Return a Content-Security-Policy that lets these scripts run and nothing else load."""
    hashes = [
        "'sha256-"
        + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
        + "'"
        for script in scripts
    ]
    return (
        f"default-src 'none'; script-src {' '.join(hashes)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; connect-src 'none'; base-uri 'none'; "
        "form-action 'none'"
    )


@lru_cache(maxsize=1)
def template_environment() -> Environment:
    """Return the templates; what they print is escaped unless they say ``safe``."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,  # nbconvert's own environment does not
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@lru_cache(maxsize=16)
def asset(name: str) -> str:
    """Return the text of a file of the template folder."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


@lru_cache(maxsize=4)
def packed_script(script: str) -> str:
    """Return a script gzipped in base64; compressing Vega once a run is enough."""
    return packed(script) if script else ""
