"""Cards whose strings would do harm, if anything of a card were run or obeyed.

Every one belongs to the author `mallory`; what they say stands in ``data/sample.toml``. They
replace the last rows of the corpus, so that `cards.head()` is fit to be shown.
"""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from ._topics import WORDS

AUTHOR = "mallory"
_KINDS: list[dict[str, Any]] = WORDS["hostile"]


def n_hostile(n_cards: int) -> int:
    """Count the hostile of `n_cards`: one in fifty, at most one of each kind."""
    return min(len(_KINDS), n_cards // 50)


def with_hostile(cards: pl.DataFrame) -> pl.DataFrame:
    """Make the last cards of the corpus hostile; `cards` need not have `text`."""
    count = n_hostile(cards.height)
    if not count:
        return cards
    rows = zip(cards.tail(count).to_dicts(), _KINDS, strict=False)
    changed = [row | _hostile(wanted, row["pipeline_tag"]) for row, wanted in rows]
    return pl.concat([cards.head(-count), pl.from_dicts(changed, schema=cards.schema)])


def _hostile(wanted: dict[str, Any], task: str | None) -> dict[str, Any]:
    """Return the values of a card that says what is wanted, and nothing else but a licence."""
    license, own = wanted.get("license", "mit"), wanted.get("tags", [])
    front: dict[str, Any] = {"license": license}
    tags = [*own, *([task] if task else []), "license:mit", "region:us"]
    if own:
        front["tags"] = own
    if "license" in wanted:
        tags = [tag for tag in tags if tag != "license:mit"] + [f"license:{license}"]
    if "n_tags" in wanted:
        tags = [f"bulk-label-{number:03d}" for number in range(wanted["n_tags"])]
        front = {"tags": tags}
    return {
        "id": f"{AUTHOR}/{wanted.get('name', wanted['kind'])}",
        "author": AUTHOR,
        "family": None,
        "tags": tags,
        "license": [license],
        **{name: [] for name in ("languages", "arxiv", "datasets", "base_model")},
        "library_name": None,
        "metadata": json.dumps(front),
        "text": wanted["text"],
    }
