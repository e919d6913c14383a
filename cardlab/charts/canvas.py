"""A map of more points than altair can draw: a few bytes a point, for a script of the report."""

from __future__ import annotations

import base64
import gzip
from functools import cached_property
from typing import Any

import numpy as np

from .base import MAX_ROWS_SHOWN, shown
from .map_altair import scatter
from .map_names import middles
from .map_points import Placed

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
    def chart(self) -> Any:
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
            {
                "name": group.column,
                "label": group.heading,
                "groups": [
                    {"label": label, "n": n, "color": color, "shape": shape}
                    for label, n, color, shape in zip(
                        group.labels, group.counts, group.colors, group.shapes, strict=True
                    )
                ],
            }
            for group in placed.groups
        ]
        clusters = placed.clusters
        found = middles(clusters, placed.xy) if clusters else []
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
