"""The points of a map as they are drawn: places, ids, groups, and what is said about them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from ..schema import printable, shorten
from .map_groups import CLUSTER, Groups

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
