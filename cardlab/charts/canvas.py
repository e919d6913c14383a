"""The page around a map: its data as a script reads them, and the frame that JupyterLab shows.

The script, ``map.js``, stands with the others in ``report/template``, whose pages hold maps too.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..colors import style
from ..schema import printable

MIME = "application/vnd.cardlab.map.v1+json"
#: Colours that depend on the page: of groups that are not told apart, and of what is not known.
OTHER, MISSING = "other", "missing"

_TEMPLATES = Path(__file__).resolve().parent.parent / "report" / "template"
#: A frame that runs its own script and no other, in an origin of its own; links open beside it.
_SANDBOX = "allow-scripts allow-downloads allow-popups allow-popups-to-escape-sandbox"
#: JupyterLab leaves the frame and the style out of what it does not trust: a picture is left.
_STYLE = (
    ".cardlab-map iframe{width:100%;border:0}.cardlab-map iframe~*{display:none}"
    "[data-jp-theme-light=false] .cardlab-map iframe{color-scheme:dark}"
    "[data-jp-theme-light=true] .cardlab-map iframe{color-scheme:light}"
)


def packed(data: bytes) -> str:
    """Gzip in base64, the same bytes each time."""
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode("ascii")


def figure(data: Mapping[str, Any], description: str, number: int = 1) -> str:
    """Write the element that the script finds a map in."""
    words = html.escape(printable(description))
    block = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    block = block.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return (
        f'<figure class="map" id="map-{number}" aria-label="{words}"><noscript><p>This map is '
        "drawn by a script; its description stands below.</p></noscript>"
        f'<figcaption dir="auto">{words}</figcaption>'
        f'<script type="application/json" class="data">{block}</script></figure>'
    )


def framed(data: Mapping[str, Any], picture: str) -> str:
    """Write a map as a cell's output: a frame of its own, and a picture where none is shown."""
    words = html.escape(data["description"])
    shown = (
        f'<img alt="{words}" width="560" src="data:image/png;base64,{picture}">' if picture else ""
    )
    body, parts = figure(data, data["description"]), ("map.js", "maps.js")
    return in_frame(body, data["description"], parts, "map.css", kind="map", beside=shown)


def in_frame(
    body: str,
    words: str,
    scripts: tuple[str, ...],
    look: str,
    *,
    kind: str,
    beside: str,
    height: int = 820,
) -> str:
    """Write a cell's output as a frame with a page of its own that can load nothing.

    `beside` it stands what is seen where the frame is left out.
    """
    parts = [(_TEMPLATES / name).read_text("utf-8") for name in ("shared.js", *scripts)]
    script = "\n".join(parts)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'"
    page = (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" '
        f'content="light dark"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{html.escape(printable(words))}</title>"
        f"<style>{style()}{(_TEMPLATES / look).read_text('utf-8')}"
        "* { box-sizing: border-box; } body { margin: 0; color: var(--text); "
        f"font: 1rem/1.5 system-ui, sans-serif; }}</style>{body}<script>{script}</script></html>"
    )
    return (
        f'<div class="cardlab-map cardlab-{kind}"><style>{_STYLE}</style>'
        f'<iframe title="{html.escape(printable(words))}" style="height:{height}px" '
        f'sandbox="{_SANDBOX}" srcdoc="{html.escape(page)}"></iframe>{beside}</div>'
    )
