"""The page around a map: its data as a script reads them, its frame, and what colours its points.

The script, ``map.js``, stands with the others in ``report/template``, whose pages hold maps too.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..colors import CATEGORIES, ORDERED, style
from ..schema import CardlabError, label, printable, shorten

#: The MIME types of what pages draw by our scripts, and of why there is no figure.
MIME, EXPLORER, TABLE, FACTS, FINDINGS, LACKING = (
    f"application/vnd.cardlab.{kind}.v1+json"
    for kind in ("map", "explorer", "table", "facts", "findings", "lacking")
)
#: Colours that depend on the page: of groups that are not told apart, and of what is not known.
OTHER, MISSING = "other", "missing"

TEMPLATES = Path(__file__).resolve().parent.parent / "report" / "template"
#: A frame that runs its own script and no other, in an origin of its own; links open beside it.
_SANDBOX = "allow-scripts allow-downloads allow-popups allow-popups-to-escape-sandbox"
#: JupyterLab leaves the frame and the style out of what it does not trust: a picture is left.
_STYLE = (
    ".cardlab-map iframe{width:100%;border:0}.cardlab-map iframe~*{display:none}"
    "[data-jp-theme-light=false] .cardlab-map iframe{color-scheme:dark}"
    "[data-jp-theme-light=true] .cardlab-map iframe{color-scheme:light}"
)


def compact(value: Any, **given: Any) -> str:
    """Write JSON without blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), **given)


def json_block(value: Any) -> str:
    """Write JSON that can stand inside a ``<script>`` element."""
    text = compact(value, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def packed(content: str | bytes) -> str:
    """Gzip in base64, the same bytes each time."""
    data = content.encode(errors="replace") if isinstance(content, str) else content
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode("ascii")


@lru_cache(maxsize=32)
def asset(name: str) -> str:
    """Give the text of a file of the template folder."""
    return (TEMPLATES / name).read_text("utf-8")


def hashed(script: str) -> str:
    """Name a script as a Content-Security-Policy does."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def packed_lines(lines: Sequence[str]) -> str:
    """Pack texts in an order: how many letters each shares with the last, and the rest of each."""
    common = [os.path.commonprefix(two) for two in pairwise(["", *lines])]  # noqa: RUF071
    # only where a script counts letters alike; a byte each
    shared = [min(len(part), 255) if part.isascii() else 0 for part in common]
    rest = "\n".join(line[n:] for line, n in zip(lines, shared, strict=True))
    return packed(bytes(shared) + rest.encode())


def lines_of(data: bytes, n: int) -> list[str]:
    """Give the texts that were packed so."""
    rest, lines = data[n:].decode().split("\n"), [""]
    if len(rest) != n:
        raise ValueError(f"it has {len(rest):,} ids for {n:,} points")
    for shared, part in zip(data[:n], rest, strict=True):
        lines.append(lines[-1][:shared] + part)
    return lines[1:]


def figure(data: Mapping[str, Any], description: str, own: str = "map-1") -> str:
    """Write the element that the script finds a map in."""
    words = html.escape(printable(description))
    return (
        f'<figure class="map" id="{own}" aria-label="{words}"><noscript><p>This map is '
        "drawn by a script; its description stands below.</p></noscript>"
        f'<figcaption dir="auto">{words}</figcaption>'
        f'<script type="application/json" class="data">{json_block(data)}</script></figure>'
    )


def in_frame(
    body: str,
    words: str,
    scripts: tuple[str, ...],
    look: str,
    *,
    kind: str,
    beside: str,
    height: int = 820,
) -> str:
    """Write a cell's output as a frame with a page of its own that can load nothing.

    `beside` it stands what is seen where the frame is left out.
    """
    script = "\n".join(map(asset, ("shared.js", *scripts)))
    policy = f"default-src 'none'; script-src {hashed(script)}; style-src 'unsafe-inline'"
    page = (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" '
        f'content="light dark"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{html.escape(printable(words))}</title>"
        f"<style>{style()}{asset(look)}"
        "* { box-sizing: border-box; } body { margin: 0; color: var(--text); "
        f"font: 1rem/1.5 system-ui, sans-serif; }}</style>{body}<script>{script}</script></html>"
    )
    return (
        f'<div class="cardlab-map cardlab-{kind}"><style>{_STYLE}</style>'
        f'<iframe title="{html.escape(printable(words))}" style="height:{height}px" '
        f'sandbox="{_SANDBOX}" srcdoc="{html.escape(page)}"></iframe>{beside}</div>'
    )


CLUSTER = "cluster"
#: What stands at the end of the legend, whatever its size: what :func:`cardlab.cluster` says of
#: points that are in no cluster, and nulls.
_NO_CLUSTER: dict[str | None, str] = {"-2": "noise (HDBSCAN)", "-1": "no usable vector"}
_NULL = {"cluster": "no cluster", "layer": "between", "": "not declared"}

_MAX_LABEL = 60
#: Groups of a column that a point can name, areas of one, and groups with names on the map.
_MOST, _AREAS, _NAMED = 240, 1_000, 60


@dataclass(frozen=True)
class Groups:
    """The groups of one column, and the group of each point."""

    column: str
    #: The column's name in words.
    heading: str
    #: The groups by size, or in their order; then "other" and what is not known, if there is any.
    labels: list[str]
    counts: list[int]
    #: Of each a colour, ``other`` or ``missing``.
    colors: list[str]
    #: Index into `labels` for each point.
    codes: npt.NDArray[np.uint16]
    #: How fine the column is among layers of clusters, from 0; None where it is no layer.
    layer: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give what a page reads of the column."""
        looks = zip(self.labels, self.counts, self.colors, strict=True)
        groups = [{"label": text, "n": n, "color": color} for text, n, color in looks]
        return {"name": self.column, "label": self.heading, "layer": self.layer, "groups": groups}

    def at(self, rows: npt.NDArray[np.int64]) -> Groups:
        """Give the same groups for some of the points."""
        return replace(self, codes=self.codes[rows])


def groups_of(
    points: pl.DataFrame,
    column: str,
    *,
    top: int,
    labels: pl.DataFrame | None = None,
    layer: int | None = None,
) -> Groups:
    """Sort the points into groups, the largest first, then what is not known.

    The `top` largest have colours of their own, numbers and years in their order; of clusters and
    layers all have one, and none that of a large cluster close by.
    """
    areas, dtype = column == CLUSTER or layer is not None, points.schema[column]
    texts = _texts(points, column).alias("group")
    last = [*(_NO_CLUSTER if column == CLUSTER else ()), None]
    sizes = texts.filter(~texts.is_in([name for name in last if name])).value_counts(name="n")
    sizes = sizes.drop_nulls().sort("n", "group", descending=[True, False])
    names = sizes.head(_AREAS if areas else _MOST)["group"].to_list()
    n_colored = len(names) if areas else min(top, len(CATEGORIES), len(names))
    ordered = not areas and (dtype.is_numeric() or dtype.is_temporal())
    if ordered:
        names[:n_colored] = sorted(names[:n_colored], key=lambda name: (float(name), name))
    n = len(names)
    # After the names: those without room, then what stands last; each only where it has points.
    of = dict(zip(names, range(n), strict=True)) | {name: n + 1 + i for i, name in enumerate(last)}
    codes = texts.replace_strict(list(of), list(of.values()), default=n, return_dtype=pl.Int64)
    counts = np.bincount(codes.to_numpy(), minlength=n + 1 + len(last))
    null = _NULL["layer" if layer is not None else column if column == CLUSTER else ""]
    said = [*names, "other", *(_NO_CLUSTER.get(name, null) for name in last)]
    if column == CLUSTER and labels is not None and "label" in labels.columns:
        words = {str(k): v for k, v in labels.select(CLUSTER, "label").rows()}
        said[:n] = [_label(f"{name} {words.get(name) or ''}") for name in names]
    if areas:
        colors = _apart(points.select("x", "y").to_numpy(), codes.to_numpy(), n)
    else:
        steps = np.linspace(0, len(ORDERED) - 1, max(n_colored, 2)).round().astype(int)
        colors = [ORDERED[i] for i in steps] if ordered else CATEGORIES
    colors = [*colors[:n_colored], *[OTHER] * (n + 1 - n_colored), *[MISSING] * len(last)]
    kept = [i for i in range(len(said)) if i < n or counts[i]]
    renumbered = np.zeros(len(said), dtype=np.uint16)
    renumbered[kept] = np.arange(len(kept))
    heading = "year" if column == "created_at" else shorten(printable(label(column)), 40)
    return Groups(
        *(column, heading, [said[i] for i in kept], counts[kept].tolist()),
        *([colors[i] for i in kept], renumbered[codes.to_numpy()], layer),
    )


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


def _apart(xy: npt.NDArray[np.floating], codes: npt.NDArray[np.int64], n: int) -> list[str]:
    """Colour areas, the largest first, each unlike those whose middles are near."""
    middles = np.array([np.median(xy[codes == group], axis=0) for group in range(n)])
    chosen = np.zeros(n, dtype=np.int64)
    for group in range(1, n):
        near = 1 / (((middles[:group] - middles[group]) ** 2).sum(axis=1) + 1e-12)
        chosen[group] = np.bincount(chosen[:group], near, minlength=len(CATEGORIES)).argmin()
    return [CATEGORIES[color] for color in chosen]


# ---- Names of groups on a map.

#: Letters of a name on the map; the legend has it in full.
_MAX_LETTERS = 32
_CELLS = 64


def peaks(groups: Groups, xy: npt.NDArray[np.floating]) -> list[tuple[int, str, int]]:
    """Give of the largest groups their number, short name, and the point where they are densest.

    Groups may be bent or scattered: their middle may lie where none of them is.
    """
    from scipy.ndimage import gaussian_filter

    named = groups.column == CLUSTER or groups.layer is not None
    wanted = [g for g, color in enumerate(groups.colors) if color != MISSING and groups.counts[g]]
    wanted.sort(key=lambda g: (-groups.counts[g], g))
    cells = ((xy - xy.min(axis=0)) / (np.ptp(xy, axis=0).max() or 1) * (_CELLS - 1)).astype(int)
    flat = cells @ [1, _CELLS]
    found = []
    for group in wanted if named else wanted[:_NAMED]:
        members = np.flatnonzero(groups.codes == group)
        if not len(members):
            continue
        counted = np.bincount(flat[members], minlength=_CELLS**2).reshape(_CELLS, _CELLS)
        dense = gaussian_filter(counted.astype(float), 1.5).ravel()[flat[members]]
        at = xy[members[dense >= dense.max() * (1 - 1e-9)]]
        nearest = ((xy[members] - at.mean(axis=0)) ** 2).sum(axis=1).argmin()
        text = groups.labels[group]
        short = shorten(text, _MAX_LETTERS)
        found.append((group, short, int(members[nearest])))
    return found
