"""A map of up to ten thousand points as a chart of altair."""

from __future__ import annotations

import re
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt
import polars as pl

from .base import FAINT, INK, finish, tip_title
from .map_groups import Groups
from .map_names import Name, middles, place
from .map_points import Placed

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
