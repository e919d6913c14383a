"""Clusters as a map of points, and how far they can be trusted."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from ..embeddings.project import TRUST_SAMPLE
from ..schema import CardlabError, NoFigure, at_least, printable
from .base import MAX_ROWS_SHOWN, need, shown
from .scatter import CLUSTER, Placed, groups_of, middles, scatter

# ---- A map of more points than altair can draw: a few bytes a point, for a script of the report.

MIME = "application/vnd.cardlab.map.v1+json"

#: Steps of an axis: a point takes two bytes for each of its coordinates.
_STEPS = 2**16 - 1


class PointMap:
    """A map of points that a report draws in full, with the id of each under the pointer.

    :func:`cardlab.plot_map` makes one of more than 10,000 points. JupyterLab draws :attr:`chart`
    in its place.
    """

    def __init__(self, placed: Placed, random_state: int = 0) -> None:
        # Points of one cluster stand together: their places compress better.
        self._placed = placed.by_cluster()
        self._random_state = random_state

    @cached_property
    def chart(self) -> alt.LayerChart:
        """An even sample of 10,000 of the points as a chart of altair."""
        sample = self._placed.sample(MAX_ROWS_SHOWN, self._random_state)
        note = f"a report made of this notebook draws {len(self._placed.ids):,}"
        return scatter(sample, note=note)

    def to_dict(self) -> dict[str, Any]:
        """Give what a report draws, as plain values.

        Returns
        -------
        dict
            ``title``, ``subtitle`` (lines), ``description``; ``n_points``; ``columns``, each with
            ``name``, ``label`` and ``groups`` (``label``, ``n``, ``color``, ``shape``);
            ``names`` of clusters (``text``, ``group``, ``point``); ``points``, gzipped in base64:
            all x and then all y as little-endian uint16, then for each column the group of each
            point as uint8; ``cards``, the ids, a line each, gzipped in base64.
        """
        placed = self._placed
        columns = [
            {"name": group.column, "label": group.heading, "groups": group.looks()}
            for group in placed.groups
        ]
        found = middles(placed.clusters, placed.xy) if placed.clusters else []
        return {
            "title": placed.title,
            "subtitle": placed.subtitle,
            "description": placed.description,
            "n_points": len(placed.ids),
            "columns": columns,
            "names": [{"text": text, "group": g, "point": point} for g, text, point in found],
            "points": _packed(self._bytes()),
            "cards": _packed("\n".join(placed.names()).encode()),
        }

    def _bytes(self) -> bytes:
        """Write places and groups; a step is as long on one axis as on the other."""
        xy = self._placed.xy
        low, span = xy.min(axis=0), float(np.ptp(xy, axis=0).max()) or 1.0
        steps = ((xy - low) / span * _STEPS).round().astype("<u2")
        codes = [group.codes.tobytes() for group in self._placed.groups]
        return b"".join([steps[:, 0].tobytes(), steps[:, 1].tobytes(), *codes])

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        # Checked by the tests; checking 10,000 rows takes altair seconds.
        bundle, about = shown(self.chart.to_dict(validate=False))
        return {MIME: self.to_dict(), **bundle, "text/plain": self._placed.description}, about

    def __repr__(self) -> str:
        return f"PointMap: {self._placed.description}"


def _packed(data: bytes) -> str:
    """Gzip in base64, the same bytes each time."""
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode("ascii")


#: Columns that are coloured by where the caller names none, and the one group where none is there.
USUAL = (CLUSTER, "pipeline_tag", "library_name", "license_class", "created_at")
ALL = "all"
#: Points of a map by default: with the ids of all of them it stays under 2 MB in a report.
_MAX_POINTS = 100_000


def plot_map(
    points: Any,
    *,
    color: str | Sequence[str] | None = None,
    labels: pl.DataFrame | None = None,
    title: str = "Map of the cards",
    method: object = None,
    trust: object = None,
    top: int = 10,
    max_points: int = _MAX_POINTS,
    random_state: int = 0,
) -> alt.LayerChart | PointMap:
    """Draw cards as points; near points have similar vectors.

    Parameters
    ----------
    points : pl.DataFrame, or array of shape (n, 2)
        From :func:`cardlab.map_points`; or any frame with ``x``, ``y``, ``id`` and the columns to
        colour by: text, numbers, dates (by year), lists (more than one item is "several"). Points
        without coordinates are left out and counted. With ``is_stable`` (bool), here or in
        `labels`, clusters that do not come back are marked "(unstable)". What
        :func:`cardlab.project` gives is drawn without names and colours.
    color : str or sequence of str, optional
        The column that gives colour and shape; of several the reader of the figure chooses one,
        and sees the first to begin with. By default ``cluster``, task, library, licence class and
        year, as far as they are there. The column ``cluster`` holds numbers as
        :func:`cardlab.cluster` gives them: -1 is "no usable vector", -2 "noise (HDBSCAN)".
    labels : pl.DataFrame, optional
        ``cluster``, ``label`` from :func:`cardlab.cluster_summary`. Where the points have a
        ``cluster``, its names stand on the map, as many as there is room for.
    title : str
    method : optional
        How the places were found, for the subtitle: the second value of
        ``project(..., return_info=True)``, or a text. By default the column ``method``.
    trust : optional
        How far the picture can be trusted, for the subtitle: :func:`cardlab.trustworthiness`
        (0-1), or a text. By default the column ``trustworthiness``.
    top : int
        Groups of each column other than ``cluster``; all others are one group, "other".
        Of the clusters up to 60 are kept.
    max_points : int
        Beyond, an even sample by `random_state` is drawn, and the subtitle says so.
    random_state : int

    Returns
    -------
    alt.LayerChart or PointMap
        Up to 10,000 points a chart of altair; above a :class:`cardlab.charts.map.PointMap`,
        which a report draws in full and JupyterLab as an even sample of 10,000. Neither depends
        on the order of the rows.

    Raises
    ------
    NoFigure
        No point has coordinates.
    CardlabError
        A column is missing, or cannot give colours.
    """
    points, method = _placed(points, method)
    columns = [color] if isinstance(color, str) else list(dict.fromkeys(color or ()))
    if color is None:
        columns = [name for name in USUAL if name in points.columns] or [ALL]
        points = points if columns != [ALL] else points.with_columns(pl.lit("cards").alias(ALL))
    if not columns or not all(isinstance(name, str) for name in columns):
        raise CardlabError(f"color must be a column's name or several of them, not {color!r}.")
    need(points, "x", "y", *columns, made_by="map_points")
    at_least(max_points, 1, name="max_points")
    at_least(top, 1, name="top")
    kept = points.filter(pl.col("x").is_finite() & pl.col("y").is_finite())
    if not kept.height:
        raise NoFigure(f"none of the {points.height:,} cards has a place on the map.")
    kept = kept.sort([name for name in ("id", "x", "y") if name in kept.columns])
    if CLUSTER in kept.columns and CLUSTER not in columns:
        columns = [*columns, CLUSTER]
    placed = Placed(
        xy=kept.select("x", "y").to_numpy().astype(np.float64),
        ids=kept["id"] if "id" in kept.columns else pl.Series("id", [""] * kept.height),
        groups=[groups_of(kept, name, top=top, labels=labels) for name in columns],
        title=printable(title),
        about=_about(
            _told(points, "method") if method is None else method,
            _told(points, "trustworthiness") if trust is None else trust,
            kept.height,
        ),
        n_points=kept.height,
        n_cards=points.height,
    )
    shown = placed.sample(max_points, random_state)
    return scatter(shown) if len(shown.ids) <= MAX_ROWS_SHOWN else PointMap(shown, random_state)


def _placed(points: Any, method: object) -> tuple[pl.DataFrame, object]:
    """Give the points as a frame, of one or of places as ``project`` gives them."""
    if isinstance(points, tuple) and len(points) == 2:
        points, method = points[0], points[1] if method is None else method
    if isinstance(points, pl.DataFrame):
        need(points, "x", "y", made_by="map_points")
        return points, method
    xy = np.asarray(points) if isinstance(points, (np.ndarray, list)) else np.empty(0)
    if xy.ndim != 2 or xy.shape[1] != 2 or xy.dtype.kind not in "fiu":
        shape = f", of shape {xy.shape}" if isinstance(points, np.ndarray) else ""
        raise CardlabError(
            f"plot_map draws points, not {type(points).__name__}{shape}: give it "
            "map_points(cards, x=x, labels=labels), or the places alone, project(x)."
        )
    return pl.DataFrame({"x": xy[:, 0], "y": xy[:, 1]}), method


def _told(points: pl.DataFrame, column: str) -> object:
    """Give what a column says in every row of a map's points."""
    known = points[column].drop_nulls() if column in points.columns else None
    return known[0] if known is not None and len(known) else None


def _about(method: object, trust: object, n_points: int) -> str:
    """Say how the places were found and how far they can be trusted."""
    if isinstance(trust, (float, np.floating)):
        judged = f", judged on {TRUST_SAMPLE:,} cards" if n_points > TRUST_SAMPLE else ""
        trust = (
            f"trustworthiness {trust:.2f} (1: neighbours here are neighbours, 0.5: chance{judged})"
        )
    parts = [str(part) for part in (method, trust) if part is not None]
    return printable("; ".join(parts))
