"""Explorers: controls over the cards, whose state can be taken on as a frame and as code.

Built from ipywidgets' own controls; a card's words only ever reach escaped text.
"""

from __future__ import annotations

import html
from typing import Any

import ipywidgets as widgets
import polars as pl

from .frames import as_polars
from .notebook import NO_MATH
from .schema import as_frame, collect, printable, require

#: Cards listed at a time, and characters of a body shown.
MAX_LISTED = 200
MAX_SHOWN = 20_000

#: How the cards can be sorted, and by which columns: ties by id.
_SORTS = {
    "id": (["id"], [False]),
    "most downloads": (["downloads", "id"], [True, False]),
    "newest": (["created_at", "id"], [True, False]),
}
_HEAVY = ("text", "metadata", "embeddings", "problems")


class CardBrowser(widgets.VBox):  # type: ignore[misc]
    """Search the cards and read one.

    Parameters
    ----------
    cards : frame
        With ``id``; what else is there of ``tags``, ``license``, ``languages``, ``pipeline_tag``,
        ``library_name``, ``downloads``, ``created_at`` and ``text`` can be searched or is shown.
        Everything but ``text`` is held in memory; a card's body is read when it is opened.

    Attributes
    ----------
    selection : pl.DataFrame
        The cards that the controls leave, all their columns but ``text``, in the listed order.
    code : str
        The polars calls that give the same frame from ``cards``.

    Raises
    ------
    MissingColumn
        The cards have no ``id``.
    """

    def __init__(self, cards: Any) -> None:
        cards = as_frame(cards)
        have = require(cards, "id")
        self._all = as_polars(cards).lazy().with_row_index("__row")
        self._cards = collect(self._all.select(pl.exclude(*_HEAVY)))
        #: The drop-downs by column; set ``.filters["license"].value`` as a click would.
        self.filters: dict[str, widgets.Dropdown] = {}
        self.query = widgets.Text(description="id contains", continuous_update=False)
        self.tag = widgets.Text(description="has tag", continuous_update=False)
        for column in ("pipeline_tag", "library_name", "license"):
            if column in have:
                self.filters[column] = self._dropdown(column)
        sorts = [name for name, (columns, _) in _SORTS.items() if columns[0] in have]
        self.order = widgets.Dropdown(options=sorts, description="sort by")
        self.found = widgets.Label()
        self.listed = widgets.Select(options=[], rows=12, layout=widgets.Layout(width="40%"))
        self.card = widgets.HTML(layout=widgets.Layout(width="60%", padding="0 0 0 12px"))
        self.card.add_class("cardlab-card")
        controls = [self.query, *([self.tag] if "tags" in have else []), *self.filters.values()]
        row = widgets.Layout(flex_flow="row wrap")
        super().__init__(
            [
                widgets.Box([*controls, self.order], layout=row),
                self.found,
                widgets.HBox([self.listed, self.card]),
            ]
        )
        for name in NO_MATH:
            self.add_class(name)
        for control in (*controls, self.order):
            control.style.description_width = "initial"  # so that none is cut
            control.observe(self._refresh, names="value")
        self.listed.observe(self._open, names="value")
        self._refresh()

    @property
    def selection(self) -> pl.DataFrame:
        """The cards that the controls leave, in the listed order."""
        return self._found().drop("__row")

    @property
    def code(self) -> str:
        """The calls that give :attr:`selection` without the widget."""
        columns, descending = _SORTS[self.order.value]
        lines = ["import polars as pl", "", "selection = (", "    cards.lazy()"]
        lines += [f"    .filter({text})" for text, _ in self._conditions()]
        lines.append(f"    .sort({columns}, descending={descending}, nulls_last=True)")
        return "\n".join([*lines, f"    .select(pl.exclude{_HEAVY})", "    .collect()", ")"])

    def _dropdown(self, column: str) -> Any:
        values = self._cards[column]
        if isinstance(values.dtype, pl.List):
            values = values.list.unique().explode()
        counts = values.drop_nulls().value_counts().rows()
        ranked = sorted(counts, key=lambda pair: (-pair[1], pair[0]))[:100]
        options = [("any", None), *((f"{printable(v)[:60]} ({n:,})", v) for v, n in ranked)]
        return widgets.Dropdown(options=options, index=0, description=column.replace("_", " "))

    def _conditions(self) -> list[tuple[str, pl.Expr]]:
        """Give each condition as code and as the expression that the code says."""
        found = []
        query, tag = self.query.value.strip().lower(), self.tag.value.strip()
        if query:
            code = f"pl.col('id').str.to_lowercase().str.contains({query!r}, literal=True)"
            found.append((code, pl.col("id").str.to_lowercase().str.contains(query, literal=True)))
        values = {"tags": tag or None, **{name: one.value for name, one in self.filters.items()}}
        for column, value in values.items():
            if value is None:
                continue
            if isinstance(self._cards.schema[column], pl.List):
                code = f"pl.col({column!r}).list.contains({value!r})"
                found.append((code, pl.col(column).list.contains(value)))
            else:
                found.append((f"pl.col({column!r}) == {value!r}", pl.col(column) == value))
        return found

    def _found(self) -> pl.DataFrame:
        columns, descending = _SORTS[self.order.value]
        frame = self._cards.filter(pl.lit(True), *(wanted for _, wanted in self._conditions()))
        return frame.sort(columns, descending=descending, nulls_last=True)

    def _refresh(self, _: Any = None) -> None:
        found = self._found()
        shown = found.head(MAX_LISTED)
        cut = f", the first {shown.height:,} listed" if found.height > shown.height else ""
        self.found.value = f"{found.height:,} of {self._cards.height:,} cards{cut}"
        self.listed.options = [
            (printable(str(card)), row) for row, card in shown.select("__row", "id").iter_rows()
        ]
        self.listed.index = 0 if shown.height else None
        self._open()

    def _open(self, _: Any = None) -> None:
        row = self.listed.value
        if row is None:
            self.card.value = "<em>No card fits.</em>"
            return
        card = collect(self._all.filter(pl.col("__row") == row)).row(0, named=True)
        self.card.value = _card_html(card)


def _card_html(card: dict[str, Any]) -> str:
    """Write one card as escaped text: no markup of the card's own survives."""
    facts = []
    for name in ("pipeline_tag", "library_name", "license", "languages", "downloads", "created_at"):
        value = card.get(name)
        if value not in (None, []):
            text = ", ".join(map(str, value[:20])) if isinstance(value, list) else f"{value}"
            facts.append(f"<b>{name.replace('_', ' ')}</b> {_escaped(text)}")
    tags = " · ".join(_escaped(str(tag)) for tag in (card.get("tags") or [])[:60])
    body = card.get("text")
    if body is None:
        shown = "<em>no text in this corpus</em>"
    else:
        cut = f"\n… {len(body) - MAX_SHOWN:,} more characters" if len(body) > MAX_SHOWN else ""
        style = "white-space: pre-wrap; word-break: normal; overflow-wrap: anywhere"
        style += "; max-height: 480px; overflow: auto; line-height: 1.35"
        shown = f'<pre style="{style}">{_escaped(body[:MAX_SHOWN], lines=True)}{cut}</pre>'
    return (
        f"<h3>{_escaped(str(card['id']))}</h3><p>{' &nbsp; '.join(facts)}</p>"
        f"<p><small>{tags}</small></p>{shown}"
    )


def _escaped(text: str, *, lines: bool = False) -> str:
    kept = printable(text) if lines else " ".join(printable(text).split())
    return html.escape(kept)
