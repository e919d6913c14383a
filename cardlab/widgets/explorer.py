"""What all explorers are: a state, the cards that it leaves, the code of the same, and a view."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from importlib.resources import files
from typing import Any

import anywidget
import numpy as np
import polars as pl
import traitlets

from ..charts.base import SWITCH
from ..charts.canvas import EXPLORER, asset
from ..colors import lab_style
from ..notebook import NO_MATH
from ..schema import CardlabError, one_of, printable, require
from . import conditions, panels, twin
from .engine import USUAL, Engine
from .facets import count

#: Rows of the list that come with a view, so that the first need not be asked for.
_ROWS = 60
#: The scripts of explorers.
_SCRIPTS = ("panels.js", "points.js", "explorer.js")


def twin_script() -> str:
    """Give what lets explorers of a page, which has the scripts of maps, work without a kernel."""
    return _texts(*_SCRIPTS, "twin.js") + "\ncardlabTwin.start();\n"


def _texts(*names: str) -> str:
    folder = files("cardlab.widgets")
    return "".join(folder.joinpath(name).read_text("utf-8") for name in names)


class Explorer(anywidget.AnyWidget):  # type: ignore[misc]
    """What all explorers are; make one of those that follow from it."""

    _esm = "".join(map(asset, ("shared.js", "map.js"))) + _texts(*_SCRIPTS)
    _esm += "\nexport default { render: cardlabExplorer.render };\n"
    _css = lab_style() + asset("map.css") + _texts("explorer.css")

    #: What is seen, one part below the other.
    panels: tuple[str, ...] = ()
    shown: Any = traitlets.List().tag(sync=True)
    view = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict()
    selection_changed = traitlets.Int()

    _seq = 0
    _is_opening = False

    def __init__(
        self,
        cards: Any,
        *,
        columns: Sequence[str] | None = None,
        state: Mapping[str, Any] | None = None,
        **given: Any,
    ) -> None:
        self._engine = Engine(cards)
        self._ids: dict[str, list[str]] = {}
        self._prepare(**given)
        for column in columns or ():
            if not self._engine.has(column):
                require(self._engine.cards, conditions.DERIVED.get(column, (column,))[0])
        wanted = USUAL if columns is None else columns
        self._columns = [column for column in wanted if self._engine.has(column)]
        self._options = {
            name: value
            for part in self.panels
            for name, value in panels.OPTIONS.get(part, {}).items()
        }
        start = {"conditions": [], "sort": "as they come", "open": None, **self._options}
        super().__init__(shown=list(self.panels), state={**start, **(state or {})})
        for name in NO_MATH:
            self.add_class(name)
        self.on_msg(self._receive)

    def _prepare(self) -> None:
        """Let the engine know of what only one explorer has."""

    @property
    def selection(self) -> pl.LazyFrame:
        """The cards that are left, in the order of the list, lazy; see `select` for more."""
        return self._engine.selected(self.state, self._engine.slow)[0]

    def select(self, *columns: str) -> pl.LazyFrame:
        """Give :attr:`selection` with these columns, also such as are read out of each card.

        Parameters
        ----------
        *columns : str
            Of `cards`; all of them where none is named.

        Raises
        ------
        MissingColumn
            The cards have no such column.
        """
        frame = self._engine.selected(self.state)[0]
        require(frame, *columns)
        return frame.select(columns) if columns else frame

    @property
    def code(self) -> str:
        """The calls that give :attr:`selection` from the variable ``cards``, without the widget."""
        return self._engine.selected(self.state, self._engine.slow)[1]

    def _repr_mimebundle_(self, **more: Any) -> Any:
        found = super()._repr_mimebundle_(**more)
        if os.environ.get(SWITCH) != "0" or found is None:  # not a report
            return found
        bundle, about = found if isinstance(found, tuple) else (found, {})
        return {**bundle, EXPLORER: twin.twin(self)}, about

    @traitlets.validate("state")
    def _checked(self, proposal: Any) -> dict[str, Any]:
        state = {**getattr(self, "_last", {}), **proposal["value"]}
        unknown = sorted(map(str, {*state} - {"conditions", "sort", "open", *self._options}))
        if unknown:
            raise CardlabError(
                f"a state of {type(self).__name__} has no {printable(unknown[0])!r}. It has: "
                f"conditions, sort, open{''.join(', ' + name for name in self._options)}."
            )
        one_of(state["sort"], conditions.SORTS, name="sort")
        have = {**self._engine.schema, **dict.fromkeys(self._engine.makers)}
        state["conditions"] = [conditions.checked(one, have) for one in state["conditions"]]
        for name, default in self._options.items():
            panels.check_option(name, state[name], default)
        self._last = state
        return state

    @traitlets.observe("state")
    def _follow(self, change: Any) -> None:
        before = change.old if isinstance(change.old, dict) else {}
        differ = {key for key in change.new if before.get(key) != change.new[key]}
        if self.view and not (self._is_opening and differ <= {"open"}):
            self._draw()
        if before and differ & {"conditions", "sort"}:
            self.selection_changed += 1

    def _draw(self, **more: Any) -> None:
        """Send what is to be seen now."""
        engine, found = self._engine, self.state["conditions"]
        kept, runs, error = self._answered()
        state = {**self.state, "conditions": kept}
        left = engine.left(kept)
        parts = {part: getattr(panels, part)(engine, state, self._columns) for part in self.panels}
        known = [one for one in found if engine.knows(one)]
        self.view = {
            "seq": self._seq,
            "n": engine.n,
            "selected": int(count(left)),
            "said": [conditions.said(one) for one in found],
            "ignored": len(found) - len(known),
            "searching": runs,
            "state": {**state, "conditions": [self._short(one) for one in found]},
            "sorts": engine.sorts,
            "rows": {"start": 0, "rows": engine.rows(left, state["sort"], 0, _ROWS)},
            "beside": engine.listed.columns[1:],
            "error": error,
            **parts,
            **more,
        }

    def _answered(self) -> tuple[list[dict[str, Any]], bool, str]:
        """Give the conditions that can be drawn now, whether searches run, and what they lack."""
        kept, runs, wrong, loop = [], False, [], None
        with suppress(RuntimeError):  # without a loop nothing would draw what is found later
            loop = asyncio.get_running_loop()
        for one in self.state["conditions"]:
            if one["op"] == "search" and self._engine.knows(one):
                run = self._engine.found(one)
                if loop is not None and not run.done():
                    runs = True
                    run.add_done_callback(lambda _: loop.call_soon_threadsafe(self._draw_late))
                    continue
                if isinstance(error := run.exception(), CardlabError):
                    wrong.append(printable(str(error)))
                    continue
            kept.append(one)
        return kept, runs, " ".join(wrong)

    def _draw_late(self) -> None:
        """Draw what a search has found, once."""
        if self.view["searching"]:
            self._draw()

    def _receive(self, _: Any, message: dict[str, Any], __: Any) -> None:
        """Answer what was done on the screen."""
        kind, seq = message.get("type"), message.get("seq")
        if kind in ("state", "load", "hello"):
            self._seq = int(seq or 0)
        try:
            if kind == "state":
                drawn = self.view
                self.state = self._long(message["state"])
                if self.view is drawn:  # the same state again is drawn, as the page waits for it
                    self._draw()
            elif kind == "load":
                self._engine.facet(message["column"])
                self._draw()
            elif kind == "hello":
                self._draw()
            elif kind == "rows":
                left = self._engine.left(self._answered()[0])
                start, stop = int(message["start"]), int(message["stop"])
                rows = self._engine.rows(left, self.state["sort"], start, min(stop, start + 500))
                self.send({"type": "rows", "start": start, "rows": rows, "seq": seq})
            elif kind == "card":
                self._open(int(message["row"]))
            elif kind == "problems":  # after the card: they are what takes longest of it
                row = int(message["row"])
                self.send({"type": kind, "row": row, "problems": self._engine.problems(row)})
            elif kind == "map":
                self.send({"type": "map", "map": self._engine.map})
            elif kind == "code":
                self.send({"type": "code", "code": self.code})
        except CardlabError as error:
            self._draw(error=printable(str(error)))

    def _open(self, row: int) -> None:
        """Show a card; that alone changes nothing else of the view."""
        self._is_opening = True
        try:
            self.state = {"open": row}
        finally:
            self._is_opening = False
        self.send({"type": "card", "card": self._engine.card(row)})

    def _short(self, condition: dict[str, Any]) -> dict[str, Any]:
        """Leave many ids in the kernel: the page gets a name for them."""
        if condition["op"] != "ids":
            return condition
        key = "ids " + sha256("\n".join(condition["value"]).encode()).hexdigest()[:16]
        self._ids[key] = condition["value"]
        return {**condition, "value": [key]}

    def _long(self, state: dict[str, Any]) -> dict[str, Any]:
        """Put the ids back that the page has the name of, or the points of."""
        given = state.get("conditions")
        if not isinstance(given, list):
            return state
        known = []
        for one in given:
            if isinstance(one, dict) and one.get("op") == "ids" and one.get("value"):
                value = one["value"]
                if isinstance(value[0], int):  # points that were roped in
                    rows = np.sort(self._engine.order[np.asarray(value, dtype=np.int64)])
                    value = self._engine.listed["id"][rows].drop_nulls().to_list()
                else:
                    value = self._ids.get(value[0], value)
                one = {**one, "value": value}
            known.append(one)
        return {**state, "conditions": known}
