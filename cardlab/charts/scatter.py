"""The points of a map: what colours them, where names stand, and up to 10,000 as a chart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt
import polars as pl

from ..colors import CATEGORIES, FAINT, INK, MISSING, ORDERED, OTHER, PAPER
from ..labels import label
from ..schema import CardlabError, printable, shorten
from .base import finish, layered, place, tip_title

# ---- What the points of a map are coloured by: the groups of a column, the largest first.

#: Shapes of Vega; the canvas of a report draws the same.
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"]
#: Different pairs of colour and shape: so many clusters can be told apart.
MAX_CLUSTERS = len(CATEGORIES) * len(SHAPES)
CLUSTER = "cluster"
#: What has a fixed place at the end of the legend, whatever its size, and its shape: what
#: :func:`cardlab.cluster` says of points that are in no cluster, and nulls of other columns.
_NO_CLUSTER: dict[str | None, tuple[str, str]] = {
    "-2": ("noise (HDBSCAN)", "cross"),
    "-1": ("no usable vector", "square"),
    None: ("no cluster", "circle"),
}
_NOT_DECLARED: dict[str | None, tuple[str, str]] = {None: ("not declared", "circle")}

_MAX_LABEL = 60
_DOUBT = " (unstable)"


@dataclass(frozen=True)
class Groups:
    """The groups of one column, and the group of each point."""

    column: str
    #: The column's name in words.
    heading: str
    #: What stands in the legend: groups, then "other", then "not declared", where there are any.
    labels: list[str]
    counts: list[int]
    colors: list[str]
    shapes: list[str]
    #: Index into `labels` for each point.
    codes: npt.NDArray[np.uint8]

    def looks(self) -> list[dict[str, Any]]:
        """Give what the legend shows of each group."""
        looks = zip(self.labels, self.counts, self.colors, self.shapes, strict=True)
        return [{"label": a, "n": n, "color": c, "shape": s} for a, n, c, s in looks]


def groups_of(
    points: pl.DataFrame, column: str, *, top: int, labels: pl.DataFrame | None = None
) -> Groups:
    """Sort the points into the `top` largest groups of a column, the others and the undeclared.

    Clusters are all kept, as far as there are shapes and colours for them. Numbers and years
    stand in their order and have colours with an order; other groups stand by size, then name.
    """
    clusters, dtype = column == CLUSTER, points.schema[column]
    last = _NO_CLUSTER if clusters else _NOT_DECLARED
    texts = _texts(points, column).alias("group")
    sizes = texts.filter(~texts.is_in([name for name in last if name])).value_counts(name="n")
    sizes = sizes.drop_nulls().sort("n", "group", descending=[True, False])
    names = sizes.head(MAX_CLUSTERS if clusters else top)["group"].to_list()
    ordered = not clusters and (dtype.is_numeric() or dtype.is_temporal())
    if ordered:
        names.sort(key=lambda name: (float(name), name))
    n, k = len(names), len(CATEGORIES)
    steps = np.linspace(0, len(ORDERED) - 1, max(n, 2)).round().astype(int)[:n]
    said = _cluster_names(names, points, labels) if clusters else names
    looks = [  # no two of up to sixty groups have both colour and shape in common
        (said[i], ORDERED[steps[i]] if ordered else CATEGORIES[i % k], SHAPES[(i % k + i // k) % 6])
        for i in range(n)
    ]
    looks += [("other", OTHER, "circle")]
    looks += [(words, MISSING, shape) for words, shape in last.values()]
    # After the names: those without room, then what stands last; each only where it has points.
    of = dict(zip(names, range(n), strict=True))
    of |= {name: n + 1 + i for i, name in enumerate(last)}
    codes = texts.replace_strict(list(of), list(of.values()), default=n, return_dtype=pl.Int64)
    counts = np.bincount(codes.to_numpy(), minlength=len(looks))
    kept = [i for i in range(len(looks)) if i < n or counts[i]]
    renumbered = np.zeros(len(looks), dtype=np.uint8)
    renumbered[kept] = np.arange(len(kept))
    shown, colors, shapes = (list(found) for found in zip(*(looks[i] for i in kept), strict=True))
    heading = "year" if column == "created_at" else shorten(printable(label(column)), 40)
    counted = counts[kept].tolist()
    return Groups(column, heading, shown, counted, colors, shapes, renumbered[codes.to_numpy()])


def _texts(points: pl.DataFrame, column: str) -> pl.Series:
    """Give a column as one short text a point, null where nothing is declared."""
    dtype, value = points.schema[column], pl.col(column)
    if isinstance(dtype, (pl.List, pl.Array)):
        items = value.cast(pl.List(pl.String)).list.drop_nulls().list.unique()
        value = pl.when(items.list.len() > 1).then(pl.lit("several")).otherwise(items.list.first())
    elif isinstance(dtype, (pl.Datetime, pl.Date)):
        value = value.dt.year()
    elif dtype.is_float():
        value = pl.when(value.is_finite()).then(value)
    elif dtype.is_nested():
        raise CardlabError(f"points cannot be coloured by column {column!r}, which is {dtype}.")
    texts = points.select(value.cast(pl.String)).to_series()
    found = texts.drop_nulls().unique()
    return texts.replace_strict(
        found, [_label(text) for text in found], default=None, return_dtype=pl.String
    )


def _label(text: str) -> str:
    return shorten(printable(text).strip(), _MAX_LABEL) or "(empty)"


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
    # A summary's labels may bear the mark already; it must neither come twice nor be cut off.
    doubted = {name for name, good in stable.items() if good is False}
    doubted |= {name for name, text in words.items() if text.endswith(_DOUBT)}
    return [
        _label(f"{name} {words.get(name, '').removesuffix(_DOUBT)}") + _DOUBT * (name in doubted)
        for name in names
    ]


# ---- The points of a map as they are drawn: places, ids, groups, and what is said about them.

_MAX_ID = 200
_LINE = 96  # letters of a line of the subtitle


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
        groups = [replace(group, codes=group.codes[rows]) for group in self.groups]
        return replace(self, xy=self.xy[rows], ids=self.ids[rows], groups=groups)

    @property
    def clusters(self) -> Groups | None:
        """The column whose names stand on the map."""
        return next((group for group in self.groups if group.column == CLUSTER), None)

    @property
    def subtitle(self) -> list[str]:
        """How many of how many cards are shown, and how they came to their places."""
        n, shown = self.n_points, len(self.ids)
        counted = f"{n:,} of {self.n_cards:,} cards" if n < self.n_cards else f"{n:,} cards"
        if shown < n:
            counted = f"an even sample of {shown:,} of {counted}"
        if n < self.n_cards:
            counted += f"; {self.n_cards - n:,} without a usable vector left out"
        lines: list[str] = []
        for part in filter(None, self.about.split("; ")):
            if lines and len(lines[-1]) + len(part) + 2 <= _LINE:
                lines[-1] += f"; {part}"
            else:
                lines.append(part)
        return [counted, *lines]

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


# ---- Names of clusters on a map.

#: Letters of a name on the map; the legend has it in full.
MAX_LETTERS = 32


def middles(groups: Groups, xy: npt.NDArray[np.floating]) -> list[tuple[int, str, int]]:
    """Give for each cluster its group, its short name and the point nearest its middle.

    The middle is the median of both axes; a point of the cluster stands for it, because the
    median of a bent cluster may lie outside it.
    """
    found = []
    for group, text in enumerate(groups.labels):
        members = np.flatnonzero(groups.codes == group)
        if not len(members) or not text[:1].isdigit():
            continue
        at = xy[members]
        distance = ((at - np.median(at, axis=0)) ** 2).sum(axis=1)
        short = shorten(text.removesuffix(_DOUBT), MAX_LETTERS) + _DOUBT * text.endswith(_DOUBT)
        found.append((group, short, int(members[distance.argmin()])))
    return found


# ---- A map of up to ten thousand points as a chart of altair.

_WIDTH, _HEIGHT = 560, 480
_DATA = "points"

#: Space around the outermost points, as a share of the larger side.
_MARGIN = 0.04


def scatter(placed: Placed, *, note: str = "") -> alt.LayerChart:
    """Draw points with a colour and a shape for each group, and the clusters' names."""
    keys = [f"column_{i}" for i in range(len(placed.groups))]
    # the corners of the picture: a unit is as long on one axis as on the other
    low, high = placed.xy.min(axis=0), placed.xy.max(axis=0)
    size = np.array([_WIDTH, _HEIGHT])
    unit = float(((high - low) / size).max()) * (1 + 2 * _MARGIN) or 1 / _WIDTH
    corner = (low + high) / 2 - size * unit / 2
    chart = finish(
        layered(_points(placed, keys, corner, unit), *_names(placed, corner, unit)),
        title=placed.title,
        subtitle=[*placed.subtitle, note],
        description=placed.description,
        width=_WIDTH,
        height=_HEIGHT,
    )
    # Last, and by name: altair copies and checks a chart's data at each step of its making.
    columns = {
        key: pl.Series(np.array(group.labels, dtype=object)[group.codes], dtype=pl.String)
        for key, group in zip(keys, placed.groups, strict=True)
    }
    x, y = placed.xy.T.round(4)
    rows = pl.DataFrame({"x": x, "y": y, "card": placed.names(), **columns})
    chart.datasets = {_DATA: rows.to_dicts()}
    return chart


def _points(
    placed: Placed, keys: list[str], corner: npt.NDArray[np.float64], unit: float
) -> alt.Chart:
    groups = placed.groups
    n = max(len(group.labels) for group in groups)
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
    color, shape = (
        kind("slot:N", legend=legend).scale(
            domain=list(range(n)),
            range=[alt.ExprRef(f"{name}[colour_by][{slot}]") for slot in range(n)],
        )
        for kind, name in ((alt.Color, "colors"), (alt.Shape, "shapes"))
    )
    hide = alt.Axis(labels=False, ticks=False, grid=False, domain=False, title=None)
    x, y = (
        kind(f"{name}:Q", axis=hide).scale(domain=[low, low + steps * unit], nice=False)
        for kind, name, low, steps in zip(
            (alt.X, alt.Y), "xy", corner.tolist(), (_WIDTH, _HEIGHT), strict=True
        )
    )
    tips = [alt.Tooltip("card:N")]
    for key, group in zip(keys, groups, strict=True):
        tips.append(alt.Tooltip(f"{key}:N", title=tip_title(group.heading)))
    chart: alt.Chart = (
        alt.Chart(alt.NamedData(name=_DATA))
        .mark_point(filled=True, size=22 if len(placed.ids) > 2000 else 34)
        .transform_calculate(
            slot="indexof(names[colour_by], datum[keys[colour_by]])",
            picked="pick < 0 || names[floor(pick / 1000)][pick % 1000] == "
            "datum[keys[floor(pick / 1000)]]",
        )
        .encode(
            x=x,
            y=y,
            color=color,
            shape=shape,
            opacity=alt.condition("datum.picked", alt.value(0.75), alt.value(0.05)),
            tooltip=tips,
        )
        .add_params(*_params(groups, keys, n))
    )
    return chart


def _params(groups: list[Groups], keys: list[str], n: int) -> list[alt.Parameter]:
    """Give what the expressions look up, and one or two boxes to choose from."""
    options, labels = [-1], ["all cards"]
    for i, group in enumerate(groups):
        prefix = f"{group.heading}: " if len(groups) > 1 else ""
        options += [1000 * i + slot for slot in range(len(group.labels))]
        sized = zip(group.labels, group.counts, strict=True)
        labels += [f"{prefix}{label} ({size:,})" for label, size in sized]
    by: dict[str, Any] = {}
    if len(groups) > 1:
        of, headings = list(range(len(groups))), [group.heading for group in groups]
        by = {"bind": alt.binding_select(options=of, labels=headings, name="colour by ")}
    pick = alt.binding_select(options=options, labels=labels, name="show ")
    looked_up: dict[str, list[Any]] = {
        "names": [group.labels for group in groups],
        "slots": [list(range(len(group.labels))) for group in groups],
        "colors": [group.colors + [FAINT] * (n - len(group.colors)) for group in groups],
        "shapes": [group.shapes + ["circle"] * (n - len(group.shapes)) for group in groups],
        "keys": keys,
    }
    return [
        *(alt.param(name=name, value=value) for name, value in looked_up.items()),
        alt.param(name="colour_by", value=0, **by),
        alt.param(name="pick", value=-1, bind=pick),
    ]


def _names(placed: Placed, corner: npt.NDArray[np.float64], unit: float) -> list[alt.Chart]:
    """Write the clusters' names beside their middles, with a line to those that moved away."""
    clusters = placed.clusters
    if clusters is None:
        return []
    at = (placed.xy - corner) / unit
    at[:, 1] = _HEIGHT - at[:, 1]
    wanted = [(group, text, *at[i]) for group, text, i in middles(clusters, placed.xy)]
    rows = []
    for name in place(wanted, width=_WIDTH, height=_HEIGHT):
        ends = np.array([(name.x, name.y), name.middle])
        ends[:, 1] = _HEIGHT - ends[:, 1]
        (x, y), (x2, y2) = (ends * unit + corner).round(4).tolist()
        rows.append({"name": name.text, "x": x, "y": y, "x2": x2, "y2": y2})
    if not rows:
        return []
    base = alt.Chart(alt.InlineData(values=rows))
    text = base.encode(x="x2:Q", y="y2:Q", text="name:N")
    return [
        base.mark_rule(color=INK, strokeWidth=0.7, opacity=0.6).encode(
            x="x:Q", y="y:Q", x2="x2:Q", y2="y2:Q"
        ),
        text.mark_text(fontWeight=600, stroke=PAPER, strokeWidth=3.5, strokeJoin="round"),
        text.mark_text(fontWeight=600, color=INK),
    ]
