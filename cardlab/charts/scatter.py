"""A map of up to ten thousand points as a chart of altair."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import cos, pi, sin
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt
import polars as pl

from ..schema import CardlabError, printable, shorten
from .base import CATEGORIES, FAINT, INK, finish, tip_title

# ---- What the points of a map are coloured by: the groups of a column, the largest first.

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


# ---- The points of a map as they are drawn: places, ids, groups, and what is said about them.

_MAX_ID = 200

#: Letters of a line of the subtitle.
_LINE = 96


@dataclass(frozen=True)
class Placed:
    """Points with a place, in an order of their own, each with its group in every column."""

    xy: npt.NDArray[np.float64]
    ids: pl.Series
    groups: list[Groups]
    title: str
    #: How the places were found.
    about: str
    n_points: int
    n_cards: int

    def sample(self, n: int, random_state: int) -> Placed:
        """Draw `n` points evenly; all where there are no more."""
        if n >= len(self.ids):
            return self
        rows = np.random.default_rng(random_state).choice(len(self.ids), n, replace=False)
        return self._at(np.sort(rows))

    def by_cluster(self) -> Placed:
        """Put the points of a cluster together, in their order."""
        clusters = self.clusters
        return self if clusters is None else self._at(np.argsort(clusters.codes, kind="stable"))

    def _at(self, rows: npt.NDArray[np.int64]) -> Placed:
        return replace(
            self, xy=self.xy[rows], ids=self.ids[rows], groups=[g.at(rows) for g in self.groups]
        )

    @property
    def clusters(self) -> Groups | None:
        """The column whose names stand on the map."""
        return next((group for group in self.groups if group.column == CLUSTER), None)

    @property
    def subtitle(self) -> list[str]:
        """How many of how many cards are shown, and how they came to their places."""
        n, shown = self.n_points, len(self.ids)
        of = f" of {self.n_cards:,}" if n < self.n_cards else ""
        counted = f"{n:,}{of} cards"
        if shown < n:
            counted = f"an even sample of {shown:,} of {counted}"
        if n < self.n_cards:
            counted += f"; {self.n_cards - n:,} without a usable vector left out"
        return [counted, *_lines(self.about)]

    @property
    def description(self) -> str:
        """What a screen reader says."""
        first = self.groups[0]
        sizes = sorted(zip(first.counts, first.labels, strict=True), key=lambda g: (-g[0], g[1]))
        largest = "; ".join(f"{label} ({n:,})" for n, label in sizes[:3])
        others = ", ".join(group.heading for group in self.groups[1:])
        return (
            f"Scatter of {len(self.ids):,} cards in two dimensions by likeness of their vectors, "
            f"coloured by {first.heading}, {len(first.labels)} groups; largest: {largest}. "
            + (f"Other colours to choose: {others}. " if others else "")
            + "Distances between far groups mean little."
        )

    def names(self) -> list[str]:
        """Give the ids as a reader may see them."""
        found = self.ids.cast(pl.String).fill_null("(no id)").to_list()
        return [shorten(printable(name.replace("\n", " ")), _MAX_ID) for name in found]


def _lines(text: str) -> list[str]:
    """Break a long sentence at its semicolons."""
    lines: list[str] = []
    for part in filter(None, text.split("; ")):
        if lines and len(lines[-1]) + len(part) + 2 <= _LINE:
            lines[-1] += f"; {part}"
        else:
            lines.append(part)
    return lines


# ---- Names of clusters on a map, none over another.

#: Letters of a name on the map; the legend has it in full.
MAX_LETTERS = 32

#: Widths in units of the font size, rather too wide than too narrow: no font is known here.
_WIDE, _NARROW, _HEIGHT_map_names = 1.1, 0.62, 1.35

#: How far from its cluster a name may stand, in pixels, and the steps on the way.
_REACH, _RING = 72, 8


@dataclass(frozen=True)
class Name:
    """A cluster's name, the point in its middle, and where the name stands, in pixels."""

    text: str
    group: int
    x: float
    y: float
    left: float
    top: float
    width: float
    height: float


def middles(groups: Groups, xy: npt.NDArray[np.floating]) -> list[tuple[int, str, int]]:
    """Give for each cluster its group, its short name and the point nearest its middle.

    The middle is the median of both axes; a point of the cluster stands for it, because the
    median of a bent cluster may lie outside it.
    """
    found = []
    for group, label in enumerate(groups.labels):
        members = np.flatnonzero(groups.codes == group)
        if not len(members) or not label[:1].isdigit():
            continue
        at = xy[members]
        distance = ((at - np.median(at, axis=0)) ** 2).sum(axis=1)
        found.append((group, short_name(label), int(members[distance.argmin()])))
    return found


def short_name(label: str) -> str:
    """Cut a cluster's label to what a map has room for; the mark of doubt stays."""
    mark = " (unstable)"
    if label.endswith(mark):
        return shorten(label.removesuffix(mark), MAX_LETTERS) + mark
    return shorten(label, MAX_LETTERS)


def place(
    names: list[tuple[int, str, float, float]], *, width: float, height: float, size: float = 11
) -> list[Name]:
    """Find a place for each name, the first ones first: at its point, else beside it.

    Parameters
    ----------
    names : list of (group, text, x, y)
        The points in pixels.
    width, height : float
        Of the map in pixels; no name stands beyond.
    size : float
        Of the font in pixels.

    Returns
    -------
    list of Name
        Those that found a free place within 72 pixels of their point.
    """
    placed: list[Name] = []
    for group, text, x, y in names:
        w, h = _width(text) * size, _HEIGHT_map_names * size
        for left, top in _candidates(x - w / 2, y - h / 2):
            inside = left >= 0 and top >= 0 and left + w <= width and top + h <= height
            if inside and not any(
                left < o.left + o.width
                and o.left < left + w
                and top < o.top + o.height
                and o.top < top + h
                for o in placed
            ):
                placed.append(Name(text, group, x, y, left, top, w, h))
                break
    return placed


def _candidates(left: float, top: float) -> list[tuple[float, float]]:
    """Give places around one, the nearest first."""
    found = [(left, top)]
    for distance in range(_RING, _REACH + 1, _RING):
        for step in range(12):
            angle = 2 * pi * (step + 3) / 12
            found.append((left + distance * 1.6 * cos(angle), top + distance * sin(angle)))
    return found


def _width(text: str) -> float:
    return sum(
        _WIDE if unicodedata.east_asian_width(letter) in "WF" or letter.isupper() else _NARROW
        for letter in text
    )


# ---- A map of up to ten thousand points as a chart of altair.

_WIDTH, _HEIGHT = 560, 480
_DATA = "points"

#: Space around the outermost points, as a share of the larger side.
_MARGIN = 0.04

#: Names that a row of the data has already.
_TAKEN = {"x", "y", "card", "slot", "picked"}


def scatter(placed: Placed, *, note: str = "") -> Any:
    """Draw points with a colour and a shape for each group, and the clusters' names."""
    keys = _keys(placed.groups)
    sides = _sides(placed.xy)
    layers = [_points(placed, keys, sides), *_names(placed, sides)]
    chart = finish(
        alt.layer(*layers),
        title=placed.title,
        subtitle=[*placed.subtitle, *([note] if note else [])],
        description=placed.description,
    ).properties(width=_WIDTH, height=_HEIGHT)
    # Last, and by name: altair copies and checks a chart's data at each step of its making.
    chart.datasets = {_DATA: _rows(placed, keys)}
    return chart


def _rows(placed: Placed, keys: list[str]) -> list[dict[str, Any]]:
    """Give a row for each point: place, id and the name of its group in each column."""
    columns = {
        key: pl.Series(np.array(group.labels, dtype=object)[group.codes], dtype=pl.String)
        for key, group in zip(keys, placed.groups, strict=True)
    }
    places = {"x": placed.xy[:, 0].round(4), "y": placed.xy[:, 1].round(4)}
    return pl.DataFrame({**places, "card": placed.names(), **columns}).to_dicts()


def _points(placed: Placed, keys: list[str], sides: npt.NDArray[np.float64]) -> Any:
    groups = placed.groups
    n = max(len(group.labels) for group in groups)
    slots = list(range(n))
    # The colours of a column are found by number: no word of a card is part of an expression.
    legend = alt.Legend(
        title=groups[0].heading if len(groups) == 1 else None,
        values=alt.ExprRef("slots[colour_by]"),
        labelExpr="names[colour_by][datum.value]",
        columns=1 if n <= 36 else 2,
        symbolLimit=n,
        symbolOpacity=1,
        labelLimit=230,
    )
    return (
        alt.Chart(alt.NamedData(name=_DATA))
        .mark_point(filled=True, size=22 if len(placed.ids) > 2000 else 34)
        .transform_calculate(
            slot="indexof(names[colour_by], datum[keys[colour_by]])",
            picked="pick < 0 || names[floor(pick / 1000)][pick % 1000] == "
            "datum[keys[floor(pick / 1000)]]",
        )
        .encode(
            x=_axis(alt.X, "x", sides[:, 0]),
            y=_axis(alt.Y, "y", sides[:, 1]),
            color=alt.Color("slot:N", legend=legend, scale=_scale(slots, "colors")),
            shape=alt.Shape("slot:N", legend=legend, scale=_scale(slots, "shapes")),
            opacity=alt.condition("datum.picked", alt.value(0.75), alt.value(0.05)),
            tooltip=[
                alt.Tooltip("card:N"),
                *(
                    alt.Tooltip(f"{key}:N", title=tip_title(group.heading))
                    for key, group in zip(keys, groups, strict=True)
                ),
            ],
        )
        .add_params(*_params(groups, keys))
    )


def _scale(slots: list[int], name: str) -> alt.Scale:
    return alt.Scale(
        domain=slots, range=[alt.ExprRef(f"{name}[colour_by][{slot}]") for slot in slots]
    )


def _params(groups: list[Groups], keys: list[str]) -> list[alt.Parameter]:
    """Give what the expressions look up, and one or two boxes to choose from."""
    n = max(len(group.labels) for group in groups)
    found = [
        alt.param(name="names", value=[group.labels for group in groups]),
        alt.param(name="slots", value=[list(range(len(group.labels))) for group in groups]),
        alt.param(name="colors", value=[_filled(group.colors, n, FAINT) for group in groups]),
        alt.param(name="shapes", value=[_filled(group.shapes, n, "circle") for group in groups]),
        alt.param(name="keys", value=keys),
    ]
    if len(groups) > 1:
        by = alt.binding_select(
            options=list(range(len(groups))),
            labels=[group.heading for group in groups],
            name="colour by ",
        )
        found.append(alt.param(name="colour_by", value=0, bind=by))
    else:
        found.append(alt.param(name="colour_by", value=0))
    options, labels = [-1], ["all cards"]
    for i, group in enumerate(groups):
        prefix = f"{group.heading}: " if len(groups) > 1 else ""
        options += [1000 * i + slot for slot in range(len(group.labels))]
        labels += [
            f"{prefix}{label} ({size:,})"
            for label, size in zip(group.labels, group.counts, strict=True)
        ]
    pick = alt.binding_select(options=options, labels=labels, name="show ")
    return [*found, alt.param(name="pick", value=-1, bind=pick)]


def _filled(values: list[str], n: int, filler: str) -> list[str]:
    return values + [filler] * (n - len(values))


def _names(placed: Placed, sides: npt.NDArray[np.float64]) -> list[Any]:
    """Write the clusters' names beside their middles, with a line to those that moved away."""
    clusters = placed.clusters
    if clusters is None:
        return []
    low, high = sides
    per_unit = np.array([_WIDTH, _HEIGHT]) / (high - low)
    at = (placed.xy - low) * per_unit
    at[:, 1] = _HEIGHT - at[:, 1]
    wanted = [(group, text, *at[i]) for group, text, i in middles(clusters, placed.xy)]
    found = place(wanted, width=_WIDTH, height=_HEIGHT)
    if not found:
        return []

    def row(name: Name) -> dict[str, Any]:
        middle = np.array([name.left + name.width / 2, name.top + name.height / 2])
        ends = np.array([[name.x, name.y], middle])
        ends[:, 1] = _HEIGHT - ends[:, 1]
        (x, y), (x2, y2) = (ends / per_unit + low).round(4).tolist()
        return {"name": name.text, "x": x, "y": y, "x2": x2, "y2": y2}

    base = alt.Chart(alt.InlineData(values=[row(name) for name in found]))
    text = base.encode(x="x2:Q", y="y2:Q", text="name:N")
    return [
        base.mark_rule(color=INK, strokeWidth=0.7, opacity=0.6).encode(
            x="x:Q", y="y:Q", x2="x2:Q", y2="y2:Q"
        ),
        text.mark_text(fontWeight=600, stroke="#ffffff", strokeWidth=3.5, strokeJoin="round"),
        text.mark_text(fontWeight=600, color=INK),
    ]


def _axis(kind: Any, name: str, ends: npt.NDArray[np.float64]) -> Any:
    hide = alt.Axis(labels=False, ticks=False, grid=False, domain=False, title=None)
    return kind(f"{name}:Q", axis=hide, scale=alt.Scale(domain=ends.tolist(), nice=False))


def _sides(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Give the corners of the picture: a unit is as long on one axis as on the other."""
    low, high = xy.min(axis=0), xy.max(axis=0)
    size = np.array([_WIDTH, _HEIGHT])
    unit = float(((high - low) / size).max()) * (1 + 2 * _MARGIN) or 1 / _WIDTH
    return np.stack([(low + high) / 2 - size * unit / 2, (low + high) / 2 + size * unit / 2])


def _keys(groups: list[Groups]) -> list[str]:
    """Name the columns in the data: their own names where these are plain words."""
    keys = []
    for i, group in enumerate(groups):
        plain = re.fullmatch(r"[A-Za-z]\w*", group.column, re.ASCII) and group.column not in _TAKEN
        keys.append(group.column if plain else f"column_{i}")
    return keys
