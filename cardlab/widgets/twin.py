"""What a page holds of an explorer, so that it works there without a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ..charts.canvas import compact, packed
from ..frames import in_batches
from ..schema import collect, printable
from ..tags.kinds import KINDS, parted, tag_kind
from ..tags.variants import folded
from ..text.lengths import MEASURES
from . import conditions
from .engine import Engine, as_html, shown
from .facets import Facet, unpack
from .panels import PAIRED

if TYPE_CHECKING:
    from .explorer import Explorer

#: Cards of a page at most, and values of a column.
MAX_CARDS, _MAX_VALUES = 20_000, 100
#: Bytes of all texts, with which a page has less than 1.5 MB; characters of one.
_BYTES, _MOST, _LEAST = 900_000, 2_000, 150


def twin(explorer: Explorer) -> dict[str, Any]:
    """Give what an explorer shows, with the cards that it needs, as plain data.

    Returns
    -------
    dict
        What the page says and how the explorer stands; ``parts`` (name -> JSON, gzipped in base64):
        ``cards``, ``map``, and for each column its values and which of them each card has.
    """
    whole = explorer._engine
    engine = whole if whole.n <= MAX_CARDS else _sampled(whole)
    panels = explorer.shown
    columns = [
        c for c in explorer._columns if "facets" in panels or c != "tags" or "pairs" in panels
    ]
    lengths = ["n_words", explorer.state["length"]] if "lengths" in panels else []
    wanted = dict.fromkeys([*columns, *lengths])
    wanted |= dict.fromkeys([*engine.layers, *(["section"] if whole.loaded("section") else [])])
    facets = {name: engine.facet(name) for name in wanted if engine.has(name)}
    parts: dict[str, Any] = {"cards": _cards(engine)}
    parts |= {name: _codes(facet, engine.n) for name, facet in facets.items()}
    if "points" in panels:
        parts["map"] = {"data": engine.map, "order": engine.order.tolist()}
    tags = parts.get("tags", {}).get("values", [])
    known = [
        one
        for one in explorer.state["conditions"]
        if one["op"] == "contains" or _in_parts(one, facets.get(one["column"]))
    ]
    cut = "" if engine is whole else f", an even sample of {engine.n:,}"
    return {
        "shown": panels,
        "state": {**explorer.state, "conditions": known, "open": None},
        "columns": [name for name in columns if name in facets],
        "labels": {name: conditions.label_of(name) for name in [*facets, *MEASURES]},
        "sorts": engine.sorts,
        "lengths": [name for name in dict.fromkeys(lengths) if name in facets],
        "layers": {name: conditions.label_of(name) for name in engine.layers},
        "kinds": list(KINDS),
        "measures": PAIRED,
        "tag_kinds": [tag_kind(tag or "") for tag in tags],
        "tag_keys": [folded(parted(tag or "")[1]) for tag in tags],
        "note": f"Explorer of {whole.n:,} cards{cut}. Here it works on what this file holds of "
        "them: the beginning of each text, and the commonest values.",
        "parts": {name: packed(compact(part)) for name, part in parts.items()},
    }


def _in_parts(condition: dict[str, Any], facet: Facet | None) -> bool:
    """Say whether a page can ask a condition: of values that it holds."""
    if facet is None or condition["op"] == "search":
        return False
    value = condition["value"]
    asked = [end for end in value if end is not None] if facet.kind == "bins" else value
    values = facet.values if facet.kind == "bins" else _kept(facet)
    return set([asked] if isinstance(asked, str) else asked) <= {*values}


def _kept(facet: Facet) -> list[Any]:
    most = _MAX_VALUES if facet.column == "tags" else len(facet.values)
    return [*facet.values[:-1][:most], None]


def _codes(facet: Facet, n: int) -> dict[str, Any]:
    """Give the values of a column, and the numbers of those that each card has."""
    head: dict[str, Any] = {"kind": facet.kind, "n_distinct": facet.n_distinct}
    if facet.kind == "bins":
        codes = np.full(n, -1)
        for i, row in enumerate(facet.bits):
            codes[unpack(row, n)] = i
        return {**head, "values": facet.values, "codes": codes.tolist()}
    values = _kept(facet)
    has = np.stack([unpack(row, n) for row in facet.bits[: len(values) - 1]] or [np.zeros(n, bool)])
    card, code = np.nonzero(has.T)
    words = [value if value is None else printable(value)[:200] for value in values]
    lengths = np.bincount(card, minlength=n)
    return {**head, "values": words, "codes": code.tolist(), "lengths": lengths.tolist()}


def _cards(engine: Engine) -> dict[str, Any]:
    """Give ids, what stands beside them, and of each text as much as there is room for."""
    cells = {name: shown(engine.listed[name]) for name in engine.listed.columns}
    found: dict[str, Any] = {"ids": cells.pop("id"), "beside": cells}
    if "text" not in engine.schema:
        return found
    width = _MOST
    while True:
        html, more = _beginnings(engine, width)
        size = len(packed(compact(html)))
        if size <= _BYTES or width <= _LEAST:
            return {**found, "html": html, "more": more}
        width = max(int(width * _BYTES / size * 0.92), _LEAST)


def _beginnings(engine: Engine, width: int) -> tuple[list[str | None], list[int]]:
    html: list[str | None] = []
    more: list[int] = []
    text = pl.col("text")
    query = engine.cards.select(text.str.slice(0, width), more=text.str.len_chars() - width)
    for batch in in_batches(query, 2_000):
        html += [None if part is None else as_html(part) for part in batch["text"]]
        more += [max(n or 0, 0) for n in batch["more"]]
    return html, more


def _sampled(engine: Engine) -> Engine:
    """Give some of the cards as an engine of their own, with their places on the map."""
    rows = np.sort(np.random.default_rng(0).choice(engine.n, MAX_CARDS, replace=False))
    chosen = engine.cards.with_row_index("__row").filter(pl.col("__row").is_in(rows.tolist()))
    few = Engine(collect(chosen.drop("__row", "embeddings", strict=False)))
    if engine.points is not None:
        points, labels = engine.points
        few.lay_out(points[rows], labels)
    return few
