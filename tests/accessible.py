"""What axe-core finds in an open page, and the contrast of texts that it cannot decide."""

from __future__ import annotations

import base64
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from browser import opened_report

#: How a page is opened.
LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 800}},
}
_READY = """
async () => {
  const all = [window.cardlabTwins, window.cardlabViews, window.cardlabTables, window.cardlabMaps];
  await Promise.allSettled(all.flatMap((one) => one ?? []));
}
"""

# What axe says of a page: rules that are broken, and the texts whose contrast it cannot tell.
_RUN = """
async () => {
  const one = (id, { target, html }) => [id, target.flat().join(" "), html.slice(0, 160)];
  const said = (found) => found.flatMap(({ id, nodes }) => nodes.map((node) => one(id, node)));
  const found = await axe.run(document, { resultTypes: ["violations", "incomplete"] });
  const open = found.incomplete.filter(({ id }) => id === "color-contrast");
  return { broken: said(found.violations), open: said(open).map(([, where]) => where) };
}
"""

# Of each text the least contrast with any colour that a tenth of its box is drawn in without it;
# null where something else is drawn at its place.
_DRAWN = """
async ([places, picture]) => {
  const image = new Image();
  image.src = `data:image/png;base64,${picture}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: image.width, height: image.height });
  const ctx = canvas.getContext("2d", { willReadFrequently: true });
  const light = (key) => [key >> 16, (key >> 8) & 255, key & 255]
    .map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0.05);
  const colours = (x, y, width, height) => {
    const { data } = ctx.getImageData(x, y, Math.max(width, 1), Math.max(height, 1));
    const counts = new Map();
    for (let p = 0; p < data.length; p += 4) {
      if (!data[p + 3]) continue; // beside the picture
      const key = (data[p] << 16) | (data[p + 1] << 8) | data[p + 2];
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return [...counts].filter(([, n]) => n > data.length / 40).map(([key]) => light(key));
  };
  return places.map((place) => {
    const node = document.querySelector(place);
    const { x, y, width, height } = node.getBoundingClientRect();
    const there = document.elementFromPoint(x + width / 2, y + height / 2);
    if (!there || !(node.contains(there) || there.contains(node))) return null;
    const { color, fontSize, fontWeight } = getComputedStyle(node);
    ctx.fillStyle = color;
    ctx.fillRect(0, 0, 1, 1);
    const [text] = colours(0, 0, 1, 1);
    ctx.drawImage(image, 0, 0);
    const all = colours(x, y, width, height);
    const ratios = all.map((ground) => Math.max(text, ground) / Math.min(text, ground));
    const size = parseFloat(fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && fontWeight >= 700);
    return [Math.min(...ratios, 21), isLarge ? 3 : 4.5];
  });
}
"""
#: Pixels of a picture's height that a canvas holds.
_TALLEST = 16_000


@cache
def _axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


def looked_at(path: Path, look: str) -> list[tuple[str, ...]]:
    """Open a page of a report and give its faults."""
    with opened_report(path, **LOOKS[look]) as seen:
        seen.page.evaluate(_READY)
        seen.page.wait_for_timeout(300)
        return faults(seen.page)


def faults(page: Any) -> list[tuple[str, ...]]:
    """Give what breaks a rule of axe, and texts that are drawn too pale."""
    page.evaluate(_axe())  # as a script of the page its policy would refuse it
    found = page.evaluate(_RUN)
    return [*map(tuple, found["broken"]), *_pale(page, found["open"])]


def _pale(page: Any, places: list[str]) -> list[tuple[str, ...]]:
    """Measure texts on the page as it is drawn without any text, all of it at once."""
    if not places:
        return []
    wide = page.viewport_size["width"]
    tall = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": wide, "height": min(tall, _TALLEST)})
    page.add_style_tag(content="* { -webkit-text-fill-color: transparent !important; }")
    page.wait_for_timeout(300)  # charts and lists follow the size
    picture = base64.b64encode(page.screenshot(animations="disabled")).decode()
    drawn = page.evaluate(_DRAWN, [places, picture])
    found = [(place, *one) for place, one in zip(places, drawn, strict=True) if one]
    return [("drawn-contrast", place, f"{r:.2f}") for place, r, wanted in found if r < wanted]
