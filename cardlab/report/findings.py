"""What a page says first: its findings, each with a small picture and a link to its figure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from .sanitize import Cuts, escape

#: Findings of a page at most, and sentences on what did not hold.
_MOST, _MOST_OTHERS = 12, 60
#: Where the axis of a small picture begins, and how long it is, by what the value is.
_AXES = {"share": (0.0, 1.0), "difference": (-1.0, 2.0)}
_WORDS, _NUMBERS = ("text", "topic", "figure", "kind", "link"), ("value", "low", "high", "strength")


def checked_findings(found: Any, cuts: Cuts | None = None) -> dict[str, list[dict[str, Any]]]:
    """Return what was found (``said``) and what was not (``others``) as short texts and numbers."""
    cuts, found = cuts or Cuts(), found if isinstance(found, Mapping) else {}
    said = [
        {name: cuts(str(item.get(name) or ""), 600) for name in _WORDS}
        | {name: _finite(item.get(name)) for name in _NUMBERS}
        for item in _items(found.get("said"), _MOST)
    ]
    others = [
        {name: cuts(str(item.get(name) or ""), 600) for name in ("text", "reason")}
        for item in _items(found.get("others"), _MOST_OTHERS)
    ]
    return {"said": said, "others": others}


def _items(found: Any, most: int) -> list[Mapping[str, Any]]:
    kept = found if isinstance(found, list) else []
    return [item for item in kept[:most] if isinstance(item, Mapping)]


def _finite(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


def linked(
    said: Iterable[dict[str, Any]], titles: Mapping[str, str], topics: Mapping[str, str]
) -> None:
    """Link each finding to the chart of its title, else to that of its figure or its topic."""
    figures = {item["figure"]: titles[item["text"]] for item in said if item["text"] in titles}
    for item in said:
        item["link"] = titles.get(item["text"]) or figures.get(item["figure"], "")
        item["link"] = item["link"] or topics.get(item["topic"], "")


def findings_html(found: Mapping[str, list[dict[str, Any]]]) -> str:
    """Return the findings of a page, then, folded, what was looked for and not found."""
    lines = [
        f'<li>{picture(item)}<p dir="auto">{escape(item["text"])}'
        + (f' <a href="#{escape(item["link"])}">See the figure</a>' if item["link"] else "")
        + "</p></li>"
        for item in found["said"]
    ]
    none = (
        '<p class="cl-note">Of what was looked for on this page, nothing is certain enough to be '
        "said of more than these cards.</p>"
    )
    html = f'<ol class="findings">{"".join(lines)}</ol>' if lines else none
    if found["others"]:
        rest = "".join(
            f'<li dir="auto">{escape(item["text"])} <em>{escape(item["reason"])}</em></li>'
            for item in found["others"]
        )
        summary = f"Looked for, not found or not said ({len(found['others']):,})"
        html += f'<details class="behind"><summary>{summary}</summary><ul>{rest}</ul></details>'
    return html


def picture(item: Mapping[str, Any]) -> str:
    """Draw a share, or a difference of shares, and its interval, on the whole of its axis."""
    value, axis = item["value"], _AXES.get(item["kind"])
    if value is None or axis is None:
        return '<span class="pic"></span>'

    def at(x: float) -> float:
        return round(100 * min(max((x - axis[0]) / axis[1], 0), 1), 1)

    def rect(name: str, start: float, end: float, y: float, height: float) -> str:
        x, width = min(start, end), max(abs(end - start), 0.8)
        return f'<rect class="{name}" x="{x}" y="{y}" width="{width:.1f}" height="{height}"/>'

    parts = rect("axis", 0, 100, 3, 10) + rect("bar", at(0), at(value), 3, 10)
    low, high = item["low"], item["high"]
    if low is not None and high is not None:
        parts += rect("interval", at(low), at(high), 7, 2)
    return f'<svg class="pic" viewBox="0 0 100 16" aria-hidden="true">{parts}</svg>'
