"""What the points of a map are coloured by: the groups of a column, the largest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from ..schema import CardlabError, printable, shorten
from .base import CATEGORIES

#: Shapes of Vega; the canvas of a report draws the same.
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"]

#: Ten steps from warm to cold, each dark enough to be seen on white, for values with an order.
ORDERED = [
    *("#d98a00", "#d9652b", "#c9453f", "#b03060", "#8f2a80"),
    *("#6b2f98", "#4a3aa6", "#2f4aa8", "#1f5f9e", "#0f6f7f"),
]
OTHER = "#8d97a5"
MISSING = "#b9c0ca"

#: Different pairs of colour and shape: so many clusters can be told apart.
MAX_CLUSTERS = len(CATEGORIES) * len(SHAPES)
CLUSTER = "cluster"

#: What :func:`cardlab.cluster` says of points that are in no cluster, and their shapes.
_NO_CLUSTER = {
    "-2": ("noise (HDBSCAN)", "cross"),
    "-1": ("no usable vector", "square"),
    None: ("no cluster", "circle"),
}

#: What the columns of cards are called.
_HEADINGS = {
    "pipeline_tag": "task",
    "library_name": "library",
    "license_class": "licence class",
    "created_at": "year",
}
#: Columns that are coloured by where the caller names none, and the one group where none is there.
USUAL = (CLUSTER, *_HEADINGS)
ALL = "all"

_MAX_LABEL = 60
_DOUBT = " (unstable)"


@dataclass(frozen=True)
class Groups:
    """The groups of one column, and the group of each point."""

    column: str
    #: What stands in the legend: groups, then "other", then "not declared", where there are any.
    labels: list[str]
    counts: list[int]
    colors: list[str]
    shapes: list[str]
    #: Index into `labels` for each point.
    codes: npt.NDArray[np.uint8]

    def at(self, rows: npt.NDArray[np.int64]) -> Groups:
        """Keep the groups, with their counts, for some of the points."""
        return replace(self, codes=self.codes[rows])

    @property
    def heading(self) -> str:
        """The column's name in words."""
        if self.column in _HEADINGS:
            return _HEADINGS[self.column]
        return shorten(printable(self.column).replace("_", " "), 40)


def groups_of(
    points: pl.DataFrame, column: str, *, top: int, labels: pl.DataFrame | None = None
) -> Groups:
    """Sort the points into the `top` largest groups of a column, the others and the undeclared.

    Clusters are all kept, as far as there are shapes and colours for them. Numbers and years
    stand in their order and have colours with an order; other groups stand by size, then name.
    """
    frame = pl.DataFrame({"group": _texts(points, column)})
    clusters = column == CLUSTER
    # What has a fixed place at the end of the legend, whatever its size.
    last = _NO_CLUSTER if clusters else {None: ("not declared", "circle")}
    top = MAX_CLUSTERS if clusters else top
    sizes = (
        frame.drop_nulls()
        .filter(~pl.col("group").is_in([name for name in last if name is not None]))
        .group_by("group")
        .len()
        .sort("len", "group", descending=[True, False])
        .head(top)
    )
    names = sizes["group"].to_list()
    ordered = not clusters and _has_order(points.schema[column])
    if ordered:
        names.sort(key=lambda name: (float(name), name))
    # After the names: those without room, then what stands last.
    n_slots = len(names) + 1 + len(last)
    slot = dict(zip(last, range(len(names) + 1, n_slots), strict=True))
    of_name = {name: i for i, name in enumerate(names)}
    of_name |= {name: i for name, i in slot.items() if name is not None}
    texts, at = list(of_name), list(of_name.values())
    found = frame["group"].replace_strict(texts, at, default=len(names), return_dtype=pl.Int64)
    codes = np.where(frame["group"].is_null().to_numpy(), slot[None], found.to_numpy())
    counts = np.bincount(codes, minlength=n_slots)
    colors, shapes = _looks(len(names), ordered=ordered)
    shown = _cluster_names(names, points, labels) if clusters else names
    shown = [*shown, "other", *(label for label, _ in last.values())]
    colors = [*colors, OTHER, *[MISSING] * len(last)]
    shapes = [*shapes, "circle", *(shape for _, shape in last.values())]
    # The groups that stand at the end are there only where they have points.
    kept = [i for i in range(n_slots) if i < len(names) or counts[i]]
    renumbered = np.zeros(n_slots, dtype=np.uint8)
    renumbered[kept] = np.arange(len(kept))
    return Groups(
        column,
        [shown[i] for i in kept],
        [int(counts[i]) for i in kept],
        [colors[i] for i in kept],
        [shapes[i] for i in kept],
        renumbered[codes],
    )


def columns_of(color: str | Sequence[str] | None, have: Sequence[str]) -> list[str]:
    """Give the columns to colour by, each once."""
    if color is None:
        return [name for name in USUAL if name in have] or [ALL]
    columns = [color] if isinstance(color, str) else list(dict.fromkeys(color))
    if not columns or not all(isinstance(name, str) for name in columns):
        raise CardlabError(f"color must be a column's name or several of them, not {color!r}.")
    return columns


def _texts(points: pl.DataFrame, column: str) -> pl.Series:
    """Give a column as one short text a point, null where nothing is declared."""
    dtype, value = points.schema[column], pl.col(column)
    if isinstance(dtype, (pl.List, pl.Array)):
        items = value.cast(pl.List(pl.String)) if isinstance(dtype, pl.Array) else value
        items = items.list.eval(pl.element().cast(pl.String)).list.drop_nulls().list.unique()
        value = pl.when(items.list.len() > 1).then(pl.lit("several")).otherwise(items.list.first())
    elif isinstance(dtype, (pl.Datetime, pl.Date)):
        value = value.dt.year()
    elif dtype.is_float():
        value = pl.when(value.is_finite()).then(value)
    elif dtype.is_nested():
        raise CardlabError(f"points cannot be coloured by column {column!r}, which is {dtype}.")
    texts = points.select(value.cast(pl.String)).to_series()
    found = texts.drop_nulls().unique().to_list()
    return texts.replace_strict(
        found, [_label(text) for text in found], default=None, return_dtype=pl.String
    )


def _label(text: str) -> str:
    return shorten(printable(text).strip(), _MAX_LABEL) or "(empty)"


def _has_order(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or isinstance(dtype, (pl.Datetime, pl.Date))


def _cluster_names(
    names: list[str], points: pl.DataFrame, labels: pl.DataFrame | None
) -> list[str]:
    """Put the words of each cluster behind its number, and mark those that do not come back."""
    words: dict[str, str] = {}
    stable: dict[str, bool | None] = {}
    if labels is not None and "label" in labels.columns:
        words = {str(k): v for k, v in labels.select(CLUSTER, "label").iter_rows() if v}
    for frame in (points, labels):
        if frame is not None and "is_stable" in frame.columns and CLUSTER in frame.columns:
            judged = frame.drop_nulls(CLUSTER).group_by(CLUSTER).agg(pl.col("is_stable").all())
            stable |= {str(k): v for k, v in judged.iter_rows()}
    doubt = {name: _DOUBT for name, good in stable.items() if good is False}
    # A summary's labels may bear the mark already; it must neither come twice nor be cut off.
    doubt |= {name: _DOUBT for name, text in words.items() if text.endswith(_DOUBT)}
    said = [f"{name} {words.get(name, '').removesuffix(_DOUBT)}" for name in names]
    return [_label(text) + doubt.get(name, "") for name, text in zip(names, said, strict=True)]


def _looks(n: int, *, ordered: bool) -> tuple[list[str], list[str]]:
    """Give each of `n` groups a colour and a shape; no two have both in common up to sixty."""
    k = len(CATEGORIES)
    shapes = [SHAPES[(i % k + i // k) % len(SHAPES)] for i in range(n)]
    if ordered:
        steps = np.linspace(0, len(ORDERED) - 1, max(n, 2)).round().astype(int)
        return [ORDERED[step] for step in steps[:n]], shapes
    return [CATEGORIES[i % k] for i in range(n)], shapes
