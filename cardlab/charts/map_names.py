"""Names of clusters on a map, none over another."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
import numpy.typing as npt

from ..schema import shorten
from .map_groups import Groups

#: Letters of a name on the map; the legend has it in full.
MAX_LETTERS = 32

#: Widths in units of the font size, rather too wide than too narrow: no font is known here.
_WIDE, _NARROW, _HEIGHT = 1.1, 0.62, 1.35

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
        w, h = _width(text) * size, _HEIGHT * size
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
