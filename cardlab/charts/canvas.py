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
    ".cardlab-map iframe{width:100%;height:820px;border:0}.cardlab-map iframe~img{display:none}"
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
    """Write a map as a cell's output: a frame with a page of its own that can load nothing."""
    shared, script, begin, look = (
        (_TEMPLATES / name).read_text("utf-8")
        for name in ("shared.js", "map.js", "maps.js", "map.css")
    )
    script = "\n".join([shared, script, begin])
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'"
    page = (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" '
        f'content="light dark"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>Map</title><style>{style()}{look}"
        "* { box-sizing: border-box; } body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; }"
        f"</style>{figure(data, data['description'])}<script>{script}</script></html>"
    )
    words = html.escape(data["description"])
    shown = (
        f'<img alt="{words}" width="560" src="data:image/png;base64,{picture}">' if picture else ""
    )
    return (
        f'<div class="cardlab-map"><style>{_STYLE}</style><iframe title="{words}" '
        f'sandbox="{_SANDBOX}" srcdoc="{html.escape(page)}"></iframe>{shown}</div>'
    )
