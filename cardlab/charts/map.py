"""Cards as a map of points, of any size: what is on it, and how it reaches a page."""

from __future__ import annotations

import base64
import gzip
import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..colors import INK, PAPER, PLAIN
from ..embeddings.project import TRUST_SAMPLE
from ..schema import CardlabError, NoFigure, at_least, printable, shorten
from .base import SWITCH, need, place, smaller
from .canvas import CLUSTER, MIME, Groups, figure, groups_of, in_frame, packed, packed_lines, peaks

#: Columns that are coloured by where the caller names none, and the one group where none is there.
USUAL = (CLUSTER, "pipeline_tag", "library_name", "license_class", "created_at", "author")
ALL = "all"
#: Points of a map by default: with the ids of all of them it stays under 2 MB in a report.
_MAX_POINTS = 100_000
_MAX_ID = 200
_LINE = 96  # letters of a line of the subtitle
#: Steps of an axis, a tenth of a pixel each, and how far apart in two bytes: finer ones take room.
_STEPS, _STEP = 2**13 - 1, 2**3


@dataclass(frozen=True)
class PointMap:
    """A map of points, with the id and the groups of each; :func:`cardlab.plot_map` makes it.

    JupyterLab and reports draw it on a canvas; who does neither shows a picture of it.
    """

    xy: npt.NDArray[np.float64]
    ids: pl.Series
    groups: list[Groups]
    title: str
    #: How the places were found.
    about: str
    n_points: int
    n_cards: int

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

    @cached_property
    def names(self) -> list[dict[str, Any]]:
        """The names of groups: ``column`` and ``group`` by number, ``text``, ``point``."""
        return [
            {"column": column, "group": group, "text": text, "point": point}
            for column, groups in enumerate(self.groups)
            for group, text, point in peaks(groups, self.xy)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Give what the script of a page draws, as plain values.

        Returns
        -------
        dict
            ``title``, ``subtitle`` (lines), ``description``; ``n_points``; ``columns``, each with
            ``name``, ``label``, ``layer`` and ``groups`` (``label``, ``n``, ``color``); ``names``;
            ``points``, gzipped in base64: the low bytes of all x, their high bytes, the same of y,
            then of the group of each point in each column; ``cards``, gzipped in base64: a byte
            for each id, how many letters it has in common with the one before, then the rest of
            each, a line each.
        """
        low, span = self.xy.min(axis=0), float(np.ptp(self.xy, axis=0).max()) or 1.0
        # a step is as long on one axis as on the other
        steps = ((self.xy - low) / span * _STEPS).round().astype("<u2") * _STEP
        planes = np.stack([*steps.T, *(group.codes for group in self.groups)]).astype("<u2")
        ids = self.ids.cast(pl.String).fill_null("(no id)").to_list()
        cards = [shorten(printable(name.replace("\n", " ")), _MAX_ID) for name in ids]
        return {
            **{"title": self.title, "subtitle": self.subtitle, "description": self.description},
            "n_points": len(self.ids),
            "columns": [group.to_dict() for group in self.groups],
            "names": self.names,
            # low and high bytes apart compress better
            "points": packed(
                planes.view(np.uint8).reshape(*planes.shape, 2).swapaxes(1, 2).tobytes()
            ),
            "cards": packed_lines(cards),
        }

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> PointMap:
        """Take what :meth:`to_dict` gave, without the ids: a finished page has its picture."""
        n = data["n_points"]
        planes = np.frombuffer(gzip.decompress(base64.b64decode(data["points"])), dtype=np.uint8)
        low, high = planes.reshape(-1, 2, n).swapaxes(0, 1).astype(np.uint16)
        x, y, *codes = low | high << 8
        groups = []
        for column, own in zip(data["columns"], codes, strict=True):
            labels, counts, colors = (
                [group[key] for group in column["groups"]] for key in ("label", "n", "color")
            )
            heads = column["name"], column["label"]
            groups.append(Groups(*heads, labels, counts, colors, own, column.get("layer")))
        xy = np.stack([x, y], axis=1).astype(float)
        return cls(xy, pl.repeat("", n, eager=True), groups, data["title"], "", n, n)

    def sample(self, n: int, random_state: int) -> PointMap:
        """Draw `n` points evenly; all where there are no more."""
        if n >= len(self.ids):
            return self
        rows = np.random.default_rng(random_state).choice(len(self.ids), n, replace=False)
        rows.sort()
        groups = [group.at(rows) for group in self.groups]
        return replace(self, xy=self.xy[rows], ids=self.ids[rows], groups=groups)

    def picture(self) -> str:
        """Draw at most 10,000 of the points in the first colours, with names: PNG in base64."""
        import vl_convert

        few, width, height, margin = self.sample(10_000, 0), 560, 480, 20
        low, span = self.xy.min(axis=0), np.ptp(self.xy, axis=0)
        unit = float((span / (width - 2 * margin, height - 2 * margin)).max()) or 1.0
        corner = np.array([width, height]) / 2 - span / unit / 2

        def at(xy: npt.NDArray[np.float64]) -> list[list[float]]:
            """Give pixels, of which the first are at the top."""
            x, y = ((xy - low) / unit + corner).T
            return np.stack([x, height - y], axis=1).round(1).tolist()  # type: ignore[no-any-return]

        paths = []
        for group, color in enumerate(self.groups[0].colors):
            dots = at(few.xy[few.groups[0].codes == group])
            line = "".join(f"M{x} {y}h.01" for x, y in dots)
            paths.append(f'<path d="{line}" stroke="{PLAIN.get(color, color)}"/>')
        wanted = [name for name in self.names if name["column"] == 0]
        spots = at(self.xy[[name["point"] for name in wanted]])
        named = [(n["group"], n["text"], *spot) for n, spot in zip(wanted, spots, strict=True)]
        texts = "".join(
            f'<text x="{name.middle[0]:.1f}" y="{name.middle[1] + 4:.1f}">{html.escape(name.text)}'
            "</text>"
            for name in place(named, width=width, height=height)
        )
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
            f'<rect width="100%" height="100%" fill="{PAPER}"/><g stroke-width="4" fill="none" '
            f'stroke-linecap="round" opacity=".8">{"".join(paths)}</g><g font-family="sans-serif" '
            f'font-size="11" font-weight="600" text-anchor="middle" fill="{INK}" stroke="{PAPER}" '
            f'stroke-width="3" paint-order="stroke" stroke-linejoin="round">{texts}</g></svg>'
        )
        return base64.b64encode(smaller(vl_convert.svg_to_png(svg, scale=1.5))).decode()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        data = self.to_dict()
        if os.environ.get(SWITCH) == "0":  # a report, which draws the data itself
            return {MIME: data, "text/plain": self.description}
        from ..notebook import Shown  # which reads the charts' theme

        picture, words, parts = self.picture(), self.description, ("map.js", "maps.js")
        image = (
            f'<img alt="{html.escape(words)}" width="560" src="data:image/png;base64,{picture}">'
        )
        frame = in_frame(figure(data, words), words, parts, "map.css", kind="map", beside=image)
        return Shown(frame, words, {"image/png": picture})._repr_mimebundle_()

    def __repr__(self) -> str:
        return f"PointMap: {self.description}"


def plot_map(
    points: Any,
    *,
    color: str | Sequence[str] | None = None,
    layers: Sequence[str] = (),
    labels: pl.DataFrame | None = None,
    title: str = "Map of the cards",
    method: object = None,
    trust: object = None,
    top: int = 10,
    max_points: int = _MAX_POINTS,
    random_state: int = 0,
) -> PointMap:
    """Draw cards as points; near points have similar vectors.

    Parameters
    ----------
    points : pl.DataFrame, or array of shape (n, 2)
        From :func:`~.map_points`; or any frame with ``x``, ``y``, ``id`` and the columns to
        colour by: text, numbers, dates (by year), lists (more than one item is "several"). Points
        without coordinates are left out and counted. What :func:`cardlab.project` gives is drawn
        without names and colours.
    color : str or sequence of str, optional
        The columns that give colours: a reader of the map chooses one, and sees the first to begin
        with. By default the layers, ``cluster``, task, library, licence class, year and author, as
        far as they are there (the author also by the id). The column ``cluster`` holds numbers as
        :func:`cardlab.cluster` gives them: -1 is "no usable vector", -2 "noise (HDBSCAN)".
    layers : sequence of str
        Columns of clusters within clusters, from coarse to fine, by name; null is "between". Where
        one of them gives the colours, the names of finer ones come on zooming in.
    labels : pl.DataFrame, optional
        ``cluster``, ``label`` from :func:`cardlab.cluster_summary`: names for ``cluster``.
    title : str
    method : optional
        How the places were found, for the subtitle: the second value of
        ``project(..., return_info=True)``, or a text. By default the column ``method``.
    trust : optional
        How far the picture can be trusted, for the subtitle: :func:`~.trustworthiness`
        (0-1), or a text. By default the column ``trustworthiness``.
    top : int
        Groups of each column with a colour of their own, at most 10; clusters and layers all have
        one. The others are grey, and named where they are pointed at.
    max_points : int
        Beyond, an even sample by `random_state` is drawn, and the subtitle says so.
    random_state : int

    Returns
    -------
    PointMap
        What JupyterLab and reports draw: moved, enlarged and searched by mouse, finger and keys,
        with names where there is room, and the facts of a card and its page on the Hub (if its id
        can be one) on a click. The same for any order of the rows.

    Raises
    ------
    NoFigure
        No point has coordinates.
    CardlabError
        A column is missing, or cannot give colours.

    Examples
    --------
    >>> from cardlab.embeddings.project import map_points
    >>> cards = cl.make_cards(200)
    >>> points = map_points(cards, x=cl.vectors(cards), method="pca")
    >>> cl.plot_map(points, color="pipeline_tag").n_cards
    200
    """
    points, method = _placed(points, method)
    columns = [color] if isinstance(color, str) else list(dict.fromkeys(color or ()))
    if color is None:
        if "author" not in points.columns and points.schema.get("id") == pl.String:
            author = points["id"].str.extract(r"^([^/]+)/").alias("author")
            several = author.drop_nulls().is_duplicated().any()
            points = points.with_columns(author) if several else points
        columns = [*layers, *(name for name in USUAL if name in points.columns)] or [ALL]
        points = points if columns != [ALL] else points.with_columns(pl.lit("cards").alias(ALL))
    if not columns or not all(isinstance(name, str) for name in columns):
        raise CardlabError(f"color must be a column's name or several of them, not {color!r}.")
    need(points, "x", "y", *columns, *layers, made_by="map_points")
    at_least(max_points, 1, name="max_points")
    at_least(top, 1, name="top")
    kept = points.filter(pl.col("x").is_finite() & pl.col("y").is_finite())
    if not kept.height:
        raise NoFigure(f"none of the {points.height:,} cards has a place on the map.")
    kept = kept.sort([name for name in ("id", "x", "y") if name in kept.columns])
    if layers or CLUSTER in kept.columns:
        columns = list(dict.fromkeys([*columns, *(layers or [CLUSTER])]))
    layer = {name: i for i, name in enumerate(layers)}
    shared: dict[str, Any] = {"top": top, "labels": labels}
    groups = [groups_of(kept, name, layer=layer.get(name), **shared) for name in columns]
    return PointMap(
        xy=kept.select("x", "y").to_numpy().astype(np.float64),
        ids=kept["id"] if "id" in kept.columns else pl.Series("id", [""] * kept.height),
        groups=groups,
        title=printable(title),
        about=_about(
            _told(points, "method") if method is None else method,
            _told(points, "trustworthiness") if trust is None else trust,
            kept.height,
        ),
        n_points=kept.height,
        n_cards=points.height,
    ).sample(max_points, random_state)


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
    return points[column].drop_nulls().first() if column in points.columns else None


def _about(method: object, trust: object, n_points: int) -> str:
    """Say how the places were found and how far they can be trusted."""
    if isinstance(trust, (float, np.floating)):
        judged = f", judged on {TRUST_SAMPLE:,} cards" if n_points > TRUST_SAMPLE else ""
        trust = (
            f"trustworthiness {trust:.2f} (1: neighbours here are neighbours, 0.5: chance{judged})"
        )
    parts = [str(part) for part in (method, trust) if part is not None]
    return printable("; ".join(parts))
