"""The index page of a folder of reports, read back from the pages themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import NotebookFailure
from .outputs import checked_facts
from .sanitize import visible

# The block stands in the head, before anything long.
_CARD = re.compile(r'<script type="application/json" id="cardlab-report">(.*?)</script>', re.DOTALL)
_HEAD_CHARS = 200_000


def read_card(path: Path) -> dict[str, Any] | None:
    """Return what a report says of itself; None for a page that is none of ours."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            found = _CARD.search(file.read(_HEAD_CHARS))
        card = json.loads(found[1]) if found else None
    except (OSError, ValueError):
        return None
    if not isinstance(card, dict) or card.get("name") != path.stem:
        return None
    texts = {key: visible(str(card.get(key, ""))) for key in ("title", "question", "corpus", "day")}
    return {"name": path.stem, "facts": checked_facts(card), **texts}


def index_cards(
    folder: Path,
    *,
    failures: Mapping[str, NotebookFailure],
    introductions: Mapping[str, tuple[str, str]],
) -> list[dict[str, Any]]:
    """Return a card for every report in the folder and every notebook that failed.

    Parameters
    ----------
    folder : Path
        Reports of earlier runs are listed too: a run may make only one of them again.
    failures : mapping of str to NotebookFailure
        By notebook name. Where an earlier page exists, it is linked and said to be earlier.
    introductions : mapping of str to (str, str)
        Title and question of the notebooks that failed.
    """
    cards: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.html")):
        card = read_card(path)
        if card is not None and path.name != "index.html":
            cards[path.stem] = {**card, "exists": True, "failure": ""}
    for name, failure in failures.items():
        title, question = introductions.get(name, (name, ""))
        fresh = {"name": name, "title": title, "question": question, "exists": False}
        card = cards.get(name, {**fresh, "facts": [], "corpus": "", "day": ""})
        place = f"cell {failure.cell}: " if failure.cell else ""
        first_line = next(iter(failure.error.splitlines()), "")
        cards[name] = {**card, "failure": visible(f"{place}{first_line}")[:300]}
    return [cards[name] for name in sorted(cards)]
