"""The index of a folder of reports: what all of them found, what is to be done, and the pages."""

from __future__ import annotations

import base64
import copy
import json
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..charts.base import smaller
from ..colors import PAPER
from ..schema import NotebookFailure
from .findings import checked_findings, picture
from .outputs import checked_facts
from .page import PLACES, page_script, rendered
from .sanitize import json_block, visible

#: Findings of the index, and pixels of a page's small picture.
MOST, _WIDE = 9, 320
# The block stands in the head, before anything long.
CARD = re.compile(r'<script type="application/json" id="cardlab-report">(.*?)</script>', re.DOTALL)
_PNG = re.compile(r"[A-Za-z0-9+/=]*")


def thumbnail(spec: Mapping[str, Any] | None) -> str:
    """Draw a checked chart small and without its title: a PNG in base64; empty where it cannot."""
    if spec is None:
        return ""
    import vl_convert

    bare = {key: value for key, value in copy.deepcopy(dict(spec)).items() if key != "title"}
    # without a colour of its own the ground would be black; what Vega refuses, the page itself says
    with suppress(ValueError):
        bare["config"] = bare.get("config", {}) | {"background": PAPER}
        svg = vl_convert.vegalite_to_svg(bare, allowed_base_urls=[])
        width = re.search(r'<svg[^>]* width="([\d.]+)"', svg)
        if width and "<image" not in svg and len(svg) < 1_000_000:
            png = vl_convert.svg_to_png(svg, scale=min(_WIDE / float(width[1]), 1))
            return base64.b64encode(smaller(png)).decode()
    return ""


def read_card(path: Path) -> dict[str, Any] | None:
    """Return what a report says of itself; None for a page that is none of ours."""
    try:
        html = path.read_text("utf-8", errors="replace")
        found = CARD.search(html)
        card = json.loads(found[1]) if found else None
    except (OSError, ValueError):
        return None
    if not isinstance(card, dict) or card.get("name") != path.stem:
        return None
    texts = {key: visible(str(card.get(key, ""))) for key in ("title", "question", "corpus", "day")}
    made = card.get("made_from")
    thumb = str(card.get("thumbnail", ""))
    return {
        "name": path.stem,
        "facts": checked_facts(card),
        "findings": checked_findings(card.get("findings")),
        "todo": [_task(html, item) for item in card.get("todo", []) if isinstance(item, dict)],
        "made_from": checked_facts({"facts": made}) if isinstance(made, list) else [],
        "hub": hub if (hub := card.get("hub")) in PLACES else "",
        "thumbnail": thumb if _PNG.fullmatch(thumb) else "",
        **texts,
    }


def _task(html: str, item: Mapping[str, Any]) -> dict[str, str]:
    """Return what is to be done, and the packed table of a page that lists it."""
    table = re.escape(str(item.get("table", "")))
    packed = re.search(
        rf'<section class="table" id="{table}".*?class="packed">([A-Za-z0-9+/=]*)</script>',
        html,
        re.DOTALL,
    )
    packed_text = packed[1] if packed else ""
    return {"text": visible(str(item.get("text", "")))[:300], "packed": packed_text}


def render_index(
    folder: Path,
    *,
    day: str,
    failures: Mapping[str, NotebookFailure],
    introductions: Mapping[str, tuple[str, str]],
    nothing: Mapping[str, str] | None = None,
) -> str:
    """Return the index page of a folder: its reports, of earlier runs too, and what failed.

    `failures` and `introductions` (title and question of what failed or has `nothing` to say, and
    why) go by the notebooks' names. Where an earlier page of such a one exists, it is linked and
    said to be earlier.
    """
    cards: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.html")):
        card = read_card(path)
        if card is not None and path.name != "index.html":
            cards[path.stem] = {**card, "exists": True, "failure": ""}
    fresh: dict[str, Any] = {"facts": [], "findings": checked_findings({}), "todo": []}
    fresh |= {"made_from": [], "thumbnail": "", "corpus": "", "day": "", "hub": "", "exists": False}
    for name, failure in failures.items():
        title, question = introductions.get(name, (name, ""))
        card = cards.get(name, {**fresh, "name": name, "title": title, "question": question})
        place = f"cell {failure.cell}: " if failure.cell else ""
        first_line = next(iter(failure.error.splitlines()), "")
        cards[name] = {**card, "failure": visible(f"{place}{first_line}")[:300]}
    listed = [cards[name] for name in sorted(cards)]
    # a folder may hold pages of several corpora: what is said together is of the commonest
    corpora = Counter(card["corpus"] for card in listed if card["exists"])
    corpus = corpora.most_common(1)[0][0] if corpora else ""
    own = [card for card in listed if card["exists"] and card["corpus"] == corpus]
    hub = next((card["hub"] for card in own if card["hub"]), "")
    of = PLACES.get(hub, "")
    title = f"Reports on cards of {of}" if of else "Model card reports"
    todo = [task for card in own for task in card["todo"] if task["packed"]]
    script = page_script('<section class="table"' if todo else "")
    return rendered(
        "index.html.j2",
        [script],
        cards=listed,
        day=day,
        corpus=corpus,
        of=of,
        title=title,
        card=json_block({"title": title, "corpus": corpus, "day": day, "hub": hub}),
        made_from=next((card["made_from"] for card in own if card["made_from"]), []),
        findings=_strongest(own),
        todo=todo,
        without=[
            (introductions.get(name, (name, ""))[0], visible(why.split(". ")[0])[:300])
            for name, why in sorted((nothing or {}).items())
        ],
    )


def _strongest(cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Choose of the findings of all pages: the first of each, then the second, at most MOST."""
    found: dict[str, tuple[int, float, dict[str, Any]]] = {}
    for card in cards:
        for place, item in enumerate(card["findings"]["said"]):
            more = {"page": card["name"], "title": card["title"], "picture": picture(item)}
            found.setdefault(item["text"], (place, -(item["strength"] or 0), item | more))
    ranked = sorted(found.values(), key=lambda one: (*one[:2], one[2]["text"]))
    return [item for *_, item in ranked[:MOST]]
