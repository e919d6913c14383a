"""Cosines of vectors: quick in float32 to find candidates, exact in float64 to judge them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from .blocks import Floats, rows_of
from .matrix import matrix, same_size, usable

Rows = npt.NDArray[np.int64]

#: Decimals of a cosine: what float64 leaves uncertain neither orders nor excludes a pair.
DECIMALS = 12


@dataclass(frozen=True)
class Directions:
    """The usable rows of a matrix, to be compared by direction.

    Attributes
    ----------
    x : np.ndarray of float32
        The vectors as given, or scaled where their squares do not fit into float32.
    rows : np.ndarray of int
        The usable rows of `x`.
    length : np.ndarray of float64
        The length of each row of `x`; NaN where it is not usable.
    """

    x: Floats
    rows: Rows
    length: npt.NDArray[np.float64]

    @classmethod
    def of(cls, x: npt.ArrayLike, *, name: str = "x") -> Directions:
        """Measure the lengths, block by block."""
        values = matrix(x, name=name)
        good = usable(values)
        length = np.full(len(values), np.nan)
        step = rows_of(values.shape[1])
        for start in range(0, len(values), step):
            block = values[start : start + step].astype(np.float64)
            length[start : start + step] = np.sqrt(np.einsum("ij,ij->i", block, block))
        length[~good] = np.nan
        used = length[good]
        if used.size and not (used.min() > 1e-12 and used.max() < 1e12):
            scaled = np.full_like(values, np.nan)
            rows = np.flatnonzero(good)
            # Powers of two: no digit changes.
            scaled[rows] = np.ldexp(
                values[rows].astype(np.float64), -np.frexp(length[rows])[1][:, None]
            )
            return cls.of(scaled)
        return cls(values, np.flatnonzero(good), length)

    @property
    def error(self) -> float:
        """How far a float32 product of two unit vectors can be from their cosine, at most."""
        return float(self.x.shape[1] + 8) * 2.0**-23

    def unit(self, rows: Rows | slice) -> Floats:
        """Give some rows at length 1."""
        return self.x[rows] / self.length[rows].astype(np.float32)[:, None]

    def exact(self, first: Rows, second: Rows, *, other: Directions | None = None) -> Any:
        """Give the cosines of pairs of rows, in float64 and rounded to 12 decimals."""
        other = other or self
        found = np.empty(len(first))
        step = max(rows_of(self.x.shape[1]) // 2, 1)
        for start in range(0, len(first), step):
            part = slice(start, start + step)
            a, b = first[part], second[part]
            product = np.einsum(
                "ij,ij->i", self.x[a].astype(np.float64), other.x[b].astype(np.float64)
            )
            found[part] = product / (self.length[a] * other.length[b])
        return np.clip(np.round(found, DECIMALS), -1, 1)


def checked_ids(ids: Any, n: int) -> pl.Series:
    """Take the ids of the rows, as strings: a sequence, a column, or a frame with ``id``."""
    if schema.is_frame(ids):
        ids = schema.unindexed(ids)
        schema.require(ids, "id")
        values = schema.collect(schema.lazy(ids).select("id")).to_series()
    elif schema.is_series(ids):
        values = nw.from_native(ids, series_only=True).to_polars()
    elif isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
        values = pl.Series([ids], dtype=pl.Object)
    else:
        values = pl.Series(ids if hasattr(ids, "__arrow_c_array__") else list(ids), strict=False)
    if values.dtype.is_nested() or values.dtype == pl.Object:
        raise schema.CardlabError(
            "ids must be the ids of the cards in the order of the vectors: a list of strings, a "
            f"column such as cards['id'], or the cards themselves; not {type(ids).__name__}"
            + (f" of {values.dtype}." if values.dtype.is_nested() else ".")
        )
    same_size(len(values), n, name="ids", of="vectors")
    return values.cast(pl.String).alias("id")


def alphabetical(ids: pl.Series) -> Rows:
    """Give the place of each row when the rows stand in the order of their ids."""
    order = ids.to_frame("id").with_row_index("row").sort("id", "row")["row"].to_numpy()
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place


def unknown(missing: list[str], n: int) -> schema.CardlabError:
    """Say which ids are not among the cards."""
    shown = ", ".join(repr(schema.shorten(schema.printable(name), 80)) for name in missing[:3])
    return schema.CardlabError(
        f"{len(missing):,} of the ids asked for are not among the {n:,} cards: {shown}. "
        "Ids are written as in the column id, upper and lower case alike."
    )
