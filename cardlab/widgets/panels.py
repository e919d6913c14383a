"""What each part of an explorer shows of the cards that are left."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..schema import CardlabError, at_least, label, one_of, printable
from ..tags.kinds import KINDS, NOT_PAIRED, parted, tag_kind
from ..tags.variants import folded
from ..text.lengths import MEASURES
from .engine import Engine, counted
from .facets import count, pack, unpack

#: Measures of how two tags go together, and what they are called.
PAIRED = {
    "n_cards": "cards with both",
    "npmi": "NPMI (0 by chance)",
    "lift": "lift (1 by chance)",
    "jaccard": "Jaccard",
}
#: Tags in the table of pairs, and pairs that are listed.
_TAGS, _PAIRS = 24, 40
#: Groups of lengths.
_GROUPS = 5

#: What each part adds to the state, and where it begins.
OPTIONS: dict[str, dict[str, Any]] = {
    "pairs": {
        "measure": "npmi",
        "kinds": [kind for kind in KINDS if kind not in NOT_PAIRED],
        "support": 5,
    },
    "lengths": {"length": "n_words", "by": ""},
    "points": {"layer": ""},
}


def check_option(name: str, value: Any, default: Any) -> None:
    """Raise a CardlabError unless an option of the state is allowed."""
    if name == "support":
        at_least(value, 1, name=name)
    elif name == "kinds":
        for kind in value if isinstance(value, list) else [value]:
            one_of(kind, KINDS, name="each of kinds")
    elif name in ("measure", "length"):
        one_of(value, PAIRED if name == "measure" else MEASURES, name=name)
    elif not isinstance(value, type(default)):
        raise CardlabError(f"{name} must be a {type(default).__name__}, not {value!r}.")


def facets(engine: Engine, state: dict[str, Any], columns: list[str]) -> dict[str, Any]:
    """Give the columns that a reader filters by."""
    return {"columns": [counted(engine, column, state["conditions"]) for column in columns]}


def cards(engine: Engine, state: dict[str, Any], columns: list[str]) -> dict[str, Any]:
    """Say which card is open, and where it stands in the list."""
    row = state["open"]
    if row is None or not 0 <= row < engine.n:
        return {"open": None, "place": -1}
    left = engine.left(state["conditions"])
    return {"open": row, "place": engine.place(left, state["sort"], row)}


def pairs(engine: Engine, state: dict[str, Any], columns: list[str]) -> dict[str, Any]:
    """Count the commonest tags of some kinds, two by two, on the cards that are left."""
    head = {"kinds": list(KINDS), "measures": PAIRED}
    if not engine.has("tags"):
        return {**head, "lacking": "these cards have no tags"}
    if not engine.loaded("tags"):
        return {**head, "load": "tags"}
    facet = engine.facet("tags")
    left = engine.left(state["conditions"], but="tags")
    kinds = [None if tag is None else tag_kind(tag) for tag in facet.values]
    fits = np.array([kind in state["kinds"] for kind in kinds], dtype=bool)
    n_each = engine.counts("tags", state["conditions"])
    order = np.lexsort((np.arange(len(fits)), -n_each))
    top = [int(i) for i in order if fits[i] and n_each[i] >= state["support"]][:_TAGS]
    bits = facet.bits[top] & left
    both = np.stack([count(bits, row) for row in bits]) if top else np.zeros((0, 0), np.int64)
    values = _measured(both, int(count(left)), state["measure"])
    tags = [facet.values[i] for i in top]
    keys = [folded(parted(tag)[1]) for tag in tags]
    ranked = sorted(
        (
            (float(values[i, j]), int(both[i, j]), i, j)
            for i in range(len(top))
            for j in range(i)
            if both[i, j] >= state["support"] and keys[i] != keys[j]
        ),
        key=lambda pair: (-pair[0], -pair[1], pair[2], pair[3]),
    )
    return {
        **head,
        "tags": tags,
        "words": [printable(tag)[:60] for tag in tags],
        "both": both.tolist(),
        "values": [
            [None if not np.isfinite(v) else round(v, 4) for v in row] for row in values.tolist()
        ],
        "ranked": [[i, j] for *_, i, j in ranked[:_PAIRS]],
        "n_ranked": len(ranked),
        "n": int(count(left)),
    }


def _measured(both: Any, n: int, measure: str) -> Any:
    """Measure how far pairs go together, of the cards with each on the diagonal."""
    each = np.diag(both).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        if measure == "n_cards":
            return both.astype(float)
        if measure == "jaccard":
            return both / (each[:, None] + each - both)
        lift = both * n / (each[:, None] * each)
        if measure == "lift":
            return lift
        return np.where(both == 0, -1, np.where(both == n, 1, np.log(lift) / -np.log(both / n)))


def lengths(engine: Engine, state: dict[str, Any], columns: list[str]) -> dict[str, Any]:
    """Give the distribution of a length, of all cards that are left and by group."""
    length, by = state["length"], state["by"]
    measures = {name: said for name, said in MEASURES.items() if engine.has(name)}
    groups = [c for c in columns if c not in ("created_at", "downloads")]
    head = {"measures": measures, "groups": groups}
    if not engine.has(length):
        return {**head, "lacking": "these cards have no texts"}
    if not engine.loaded(length):
        return {**head, "load": length}
    if by and engine.has(by) and not engine.loaded(by):
        return {**head, "load": by}
    found = counted(engine, length, state["conditions"])
    left = engine.left(state["conditions"], but=length)
    facet, parts = engine.facet(length), []
    if by and engine.has(by):
        group = engine.facet(by)
        n_each = count(group.bits, left)
        for i in np.lexsort((np.arange(len(n_each)), -n_each))[:_GROUPS]:
            own = group.bits[i] & left
            name = group.values[i]
            word = "none" if name is None else printable(str(name))[:60]
            parts.append(
                {"label": word, "of": int(n_each[i]), "n": count(facet.bits, own).tolist()}
            )
    sections = counted(engine, "section", state["conditions"]) if engine.has("section") else None
    return {**head, "found": found, "parts": parts, "sections": sections}


def points(engine: Engine, state: dict[str, Any], columns: list[str]) -> dict[str, Any]:
    """Say which points of the map are left, and how many cards of each cluster."""
    found, order, layers = state["conditions"], engine.order, engine.layers
    layer = state["layer"] if state["layer"] in layers else next(iter(layers), "")
    left = engine.left(found)
    return {
        "n": len(order),
        "layers": {name: label(name) for name in layers},
        "clusters": counted(engine, layer, found) if layer else None,
        "all": bool((left == engine.everything).all()),
        "lit": pack(unpack(left, engine.n)[order]).tobytes(),
        "roped": any(one["op"] == "ids" for one in found),
    }
