"""The cards behind explorers: which are left, how many of each value, and one by its row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np
import polars as pl

from .. import schema
from ..charts.map import plot_map
from ..coverage.coverage import card_coverage
from ..embeddings.atlas import Atlas, atlas
from ..embeddings.consensus import LAYERS
from ..embeddings.vectors import same_size
from ..schema import FRONT_MATTER, collect, printable, require, shorten
from . import conditions
from .facets import Bits, Facet, count, facet_of, pack, unpack

#: Characters of a body that are shown, and tags of a card.
MAX_SHOWN, MAX_TAGS = 60_000, 100
#: What a list of cards says beside the id, where it need not be read out of each card.
_BESIDE = ("downloads", "created_at")
#: Columns a reader filters by, where the cards have them.
USUAL = (
    *("license_class", "language_codes", "pipeline_tag", "library_name", "author", "tags"),
    *("created_at", "downloads"),
)
_FACTS = (
    *("pipeline_tag", "library_name", "license", "languages", "downloads", "likes"),
    *("created_at", "last_modified", "base_model", "datasets"),
)
_KEPT_MASKS, _KEPT_FOUND = 64, 8
#: Runs searches one after another, so that what is quick is answered meanwhile.
_ASIDE = ThreadPoolExecutor(1, "cardlab-search")


class Engine:
    """Cards that are filtered by conditions; what was read of a column is kept as bits."""

    def __init__(self, cards: Any) -> None:
        given = schema.as_frame(cards)
        own = isinstance(given, (pl.DataFrame, pl.LazyFrame)) and given is cards
        if not own:
            from ..cards import scan_cards

            given = scan_cards(cards)
        #: How code begins, and what it hands to functions that take cards.
        self.start, self.name = (
            ("cards.lazy()", "cards") if own else ("cl.scan_cards(cards)", "cl.scan_cards(cards)")
        )
        require(given, "id")
        self.cards: pl.LazyFrame = given.lazy()
        self.schema = self.cards.collect_schema()
        self._facets: dict[str, Facet] = {}
        #: The cards that fit a condition, and the ids that it finds; the last are kept.
        self._fitting = lru_cache(_KEPT_MASKS)(lambda asked: self._mask(json.loads(asked)))
        look = partial(conditions.ids_found, self.cards)
        self._looked = lru_cache(_KEPT_FOUND)(lambda key: _ASIDE.submit(look, json.loads(key)))
        self._order = lru_cache(len(conditions.SORTS))(self._sorted)
        #: Of each column the cards that were left when it was last counted, and its counts.
        self._counted: dict[str, tuple[Bits, Any]] = {}
        self._places: tuple[Any, Any] = (None, None)
        #: A map of the cards as its script reads it, and the row of the card of each point.
        self.map: dict[str, Any] | None = None
        self.order: Any = np.zeros(0, dtype=np.int64)
        #: Columns of clusters on the map, from coarse to fine.
        self.layers: list[str] = []
        #: What the map was made of: points, and names of clusters.
        self.points: tuple[Any, Any] | None = None
        #: Facets that no column of the cards gives, by name: how they are made.
        self.makers: dict[str, Any] = {}

    def has(self, column: str) -> bool:
        """Say whether the cards have a column, or what it follows from."""
        needs = conditions.DERIVED.get(column, (column,))[0]
        return column in self.schema or needs in self.schema or column in self.makers

    @cached_property
    def listed(self) -> pl.DataFrame:
        """What the list of cards shows, one row a card."""
        beside = [c for c in _BESIDE if c in self.schema and not self.by_python(c)]
        return collect(self.cards.select(pl.col("id").cast(pl.String), *beside))

    @property
    def n(self) -> int:
        """How many cards there are."""
        return self.listed.height

    def by_python(self, column: str) -> bool:
        """Say whether a column must be read out of each card: its front matter, or what follows."""
        plan = self.cards.select(column).explain()
        return FRONT_MATTER in plan or (column == "text" and "python_udf" in plan)

    @cached_property
    def slow(self) -> list[str]:
        """Name the columns that must be read out of each card."""
        return [column for column in self.schema if self.by_python(column)]

    def loaded(self, column: str) -> bool:
        """Say whether a column was read."""
        return column in self._facets

    def facet(self, column: str) -> Facet:
        """Read a column once."""
        if column not in self._facets:
            if column in self.makers:
                self._facets[column] = self.makers[column]()
            else:
                wanted = [{"column": column}]
                frame, _ = conditions.with_columns(self.cards, wanted)
                self._facets[column] = facet_of(frame, column)
        return self._facets[column]

    def in_code(self, condition: dict[str, Any]) -> dict[str, Any]:
        """Give a condition as code can say it, from the cards alone: else their ids are named."""
        column = condition["column"]
        if column not in self.makers or column in self.schema or condition["op"] == "section":
            return condition
        return self.as_ids(condition)

    def as_ids(self, condition: dict[str, Any]) -> dict[str, Any]:
        """Name the cards that fit a condition, where it cannot be said otherwise."""
        ids = self.listed["id"].filter(unpack(self.mask(condition), self.n))
        return {"column": "id", "op": "ids", "value": ids.drop_nulls().to_list()}

    # ---- which cards are left

    def selected(
        self, state: Mapping[str, Any], without: Iterable[str] = ()
    ) -> tuple[pl.LazyFrame, str]:
        """Give the cards that a state leaves, lazily, `without` some columns, and the code."""
        found = [self.in_code(one) for one in state["conditions"] if self.knows(one)]
        frame, lines = conditions.with_columns(self.cards, found)
        have = frame.collect_schema()
        for one in found:
            wanted, code = conditions.expression(one, have.get(one["column"]), self.find, self.name)
            frame = frame.filter(wanted)
            lines.append(f".filter({code})")
        column, down = conditions.SORTS[state["sort"]]
        if column:
            frame = frame.sort(column, descending=down, nulls_last=True, maintain_order=True)
            how = f"descending={down}, nulls_last=True, maintain_order=True"
            lines.append(f".sort({column!r}, {how})")
        if without:
            frame = frame.drop(without)
            names = ", ".join(map(repr, without))
            lines.append(f".drop({names})  # must be read out of each card")
        body = "\n".join(f"    {line}" for line in [self.start, *lines])
        return frame, f"import polars as pl\n\nimport cardlab as cl\n\nselection = (\n{body}\n)"

    def mask(self, condition: dict[str, Any]) -> Bits:
        """Give the cards that fit a condition."""
        return self._fitting(json.dumps(condition, sort_keys=True))

    def _mask(self, condition: dict[str, Any]) -> Bits:
        column = condition["column"]
        if column in self.makers and column not in self.schema and condition["op"] != "section":
            made = self.facet(column)
            known = [value for value in condition["value"] if value in made.values]
            return np.asarray(made.mask({**condition, "value": known}))
        found: Bits | None = self._facets[column].mask(condition) if self.loaded(column) else None
        if found is not None:
            return found
        frame, _ = conditions.with_columns(self.cards, [condition])
        dtype = frame.collect_schema().get(column)
        wanted, _ = conditions.expression(condition, dtype, self.find, self.name)
        return pack(collect(frame.select(fits=wanted.fill_null(False)))["fits"].to_numpy())

    def found(self, condition: dict[str, Any]) -> Future[pl.Series]:
        """Look for the ids of a condition beside all else."""
        return self._looked(json.dumps(condition, sort_keys=True))

    def find(self, condition: dict[str, Any]) -> pl.Series:
        """Wait for the ids of a condition."""
        return self.found(condition).result()

    def left(self, found: Iterable[dict[str, Any]], *, but: str | None = None) -> Bits:
        """Give the cards that fit all conditions but those on one column."""
        mask = self.everything.copy()
        for condition in found:
            if condition["column"] != but and self.knows(condition):
                mask &= self.mask(condition)
        return mask

    def counts(self, column: str, found: list[dict[str, Any]]) -> Any:
        """Count the cards of each value that conditions on other columns leave; the last are kept.

        So a condition makes only those columns be counted again for which it leaves other cards.
        """
        left = self.left(found, but=column)
        last = self._counted.get(column)
        if last is None or not np.array_equal(last[0], left):
            self._counted[column] = last = left, count(self.facet(column).bits, left)
        return last[1]

    def knows(self, condition: dict[str, Any]) -> bool:
        """Say whether a condition can be asked of these cards; one of other cards may not."""
        needs = {"search": ("text", "tags"), "section": ("text",)}.get(condition["op"])
        if needs:
            return any(name in self.schema for name in needs)
        return self.has(condition["column"])

    @cached_property
    def everything(self) -> Bits:
        """All cards."""
        return pack(np.ones(self.n, dtype=bool))

    def rows(self, mask: Bits, sort: str, start: int, stop: int) -> list[list[Any]]:
        """Give some of the cards that are left, in order: row, id and what stands beside."""
        places = self._in_order(mask, sort)[start:stop]
        part = self.listed[places]
        cells = [shown(part[name]) for name in part.columns]
        return [list(row) for row in zip(places.tolist(), *cells, strict=True)]

    def _in_order(self, mask: Bits, sort: str) -> Any:
        key = (mask.tobytes(), sort)
        if self._places[0] != key:
            left, order = unpack(mask, self.n), self._order(sort)
            self._places = key, np.flatnonzero(left) if order is None else order[left[order]]
        return self._places[1]

    def _sorted(self, sort: str) -> Any:
        column, down = conditions.SORTS[sort]
        if not column:
            return None
        wanted = pl.arg_sort_by(column, descending=down, nulls_last=True, maintain_order=True)
        return self.listed.select(wanted).to_series().to_numpy()

    @property
    def sorts(self) -> list[str]:
        """How these cards can be sorted."""
        have = self.listed.columns
        return [
            name for name, (column, _) in conditions.SORTS.items() if not column or column in have
        ]

    # ---- facets that no column of the cards gives: clusters on a map, and sections

    def lay_out(self, points: Any = None, labels: Any = None) -> None:
        """Lay the cards out, and let their clusters be filtered by."""
        points = atlas(self.cards) if points is None else points
        points = points.map if isinstance(points, Atlas) else points
        same_size(points.height, self.n, name="points", of="cards")
        layers = [name for name in LAYERS if name in points.columns]
        made = plot_map(points, labels=labels, layers=layers, max_points=max(self.n, 1))
        self.map, self.points = made.to_dict(), (points, labels)
        is_placed = pl.col("x").is_finite() & pl.col("y").is_finite()
        placed = points.with_row_index("row").filter(is_placed)
        self.order = placed.sort("id", "x", "y", maintain_order=True)["row"].to_numpy()
        if not layers and "cluster" in points.columns:
            layers, clusters = ["cluster"], points["cluster"]
            named = {} if labels is None else dict(labels.select("cluster", "label").iter_rows())
            words = {
                number: f"{number}: {named[number]}" if named.get(number) else f"{number}"
                for number in clusters.drop_nulls().unique()
                if number >= 0
            }
            said = clusters.replace_strict(words, default=None, return_dtype=pl.String)
            points = points.with_columns(cluster=said)
        for layer in layers:
            self.makers[layer] = partial(facet_of, points.lazy(), layer, 1_000)
        self.layers = layers

    def read_sections(self) -> None:
        """Let the sections that cards fill be filtered by, once they are asked for."""
        self.makers["section"] = self._sections

    def _sections(self) -> Facet:
        states = card_coverage(self.cards).filter(pl.col("state") == "filled")
        filled = states.group_by("id", maintain_order=True).agg(section=pl.col("section"))
        ids = self.listed.lazy().select("id")
        cards = ids.join(filled.lazy(), on="id", how="left", maintain_order="left")
        return facet_of(cards, "section")

    # ---- one card

    def card(self, row: int) -> dict[str, Any]:
        """Give a card by its row: its facts and body, as what a page may show."""
        found = self._row(row, "id", "tags", "text", *_FACTS)
        facts = [
            [name, shorten(_fact(found[name]), 400)]
            for name in _FACTS
            if found.get(name) not in (None, [])
        ]
        body = found.get("text")
        more = max(len(body or "") - MAX_SHOWN, 0)
        return {
            "row": row,
            "id": printable(str(found["id"])),
            "facts": facts,
            "tags": [printable(str(tag)) for tag in (found.get("tags") or [])[:MAX_TAGS]],
            "html": None if body is None else as_html(body[:MAX_SHOWN]),
            "more": more,
        }

    def problems(self, row: int) -> list[str]:
        """Say what is wrong with a card."""
        return [
            ": ".join(printable(str(part)) for part in one.values() if part)
            for one in self._row(row, "problems").get("problems") or []
        ]

    def _row(self, row: int, *names: str) -> dict[str, Any]:
        have = [name for name in names if name in self.schema]
        return collect(self.cards.slice(row, 1).select(have)).row(0, named=True) if have else {}

    def place(self, mask: Bits, sort: str, row: int) -> int:
        """Give where in the list a card stands; -1 where it is not left."""
        found = np.flatnonzero(self._in_order(mask, sort) == row)
        return int(found[0]) if len(found) else -1


def as_html(body: str) -> str:
    """Render a card's Markdown with nothing in it that acts, loads or leads away."""
    from ..report.sanitize import clean_html
    from ..text.markdown import to_html

    return clean_html(to_html(body))


def _fact(value: Any) -> str:
    parts = value if isinstance(value, list) else [value]
    return ", ".join(printable(f"{v:%Y-%m-%d}" if hasattr(v, "year") else str(v)) for v in parts)


def shown(values: pl.Series) -> list[Any]:
    """Give the cells of a column of the list of cards."""
    if values.dtype.is_temporal():
        return values.dt.strftime("%Y-%m-%d").to_list()
    if values.dtype == pl.String:
        return [printable(v or "(no id)")[:200] for v in values]
    return values.to_list()


def counted(engine: Engine, column: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    """Give what is drawn of a column: of how many cards each value is, and of how many left."""
    head: Mapping[str, Any] = {"column": column, "label": conditions.label_of(column)}
    if not engine.loaded(column):
        return {**head, "kind": "none"}
    facet = engine.facet(column)
    of, n = facet.of.tolist(), engine.counts(column, found).tolist()
    words = [v if v is None or facet.kind == "bins" else printable(v)[:120] for v in facet.values]
    more = {"kind": facet.kind, "words": words, "values": facet.values, "of": of, "n": n}
    return {**head, **more, "n_distinct": facet.n_distinct}
