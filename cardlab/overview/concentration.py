"""How unequally downloads, likes or cards are spread over authors."""

from __future__ import annotations

import math
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl

from ..schema import CardlabError, NoFigure, at_least, collect, lazy, require
from ..shares.counting import gini

#: The shares of the largest groups that are given.
TOP = (1, 10, 100)


def concentration(
    cards: Any,
    *,
    column: str | None = "downloads",
    by: str | None = "author",
    curve: bool = False,
    n_points: int = 200,
) -> pl.DataFrame:
    """Say how much of a column's total is held by few groups of cards.

    Parameters
    ----------
    cards : frame
        With `column` and `by`, of which only these are read. Polars, or any that narwhals knows.
    column : str, optional
        Numbers, 0 or more, which are added up for each group. None: the number of cards.
    by : str, optional
        Whose cards belong together: a column of single values. None: each card is its own group.
    curve : bool
        Give the Lorenz curve as well: which share of the total the smallest groups hold together.
    n_points : int
        At most so many points of the curve, at least 2; the largest groups are all among them
        while there is room, since that is where the curve bends.

    Returns
    -------
    pl.DataFrame
        One row: ``gini`` (0-1 over all groups, those with 0 too; 0: all hold the same),
        ``top_1_share``, ``top_10_share``, ``top_100_share`` (0-1, share of the total that the 1,
        10 and 100 largest groups hold; 1 where there are no more groups), ``n_zero`` (groups that
        hold 0), ``n_groups``, ``n_cards`` (cards counted), ``n_null`` (cards left out, as `column`
        or `by` is null or not a number), ``total`` (of `column` over the cards counted). Where
        the total is 0, ``gini`` and the shares are null.

        With `curve` a row for each point from (0, 0) to (1, 1): ``group_share`` (0-1, of the
        groups, those that hold least first), ``held_share`` (0-1, of the total, that they hold
        together), ``n_groups`` and ``held`` (the same as numbers), then on all rows the columns
        above, of which ``n_groups`` is called ``n_all_groups``.

    Raises
    ------
    MissingColumn, NoFigure
        The cards lack `column` or `by`, or no card has both; or with `curve` the total is 0.
    CardlabError
        `column` holds no numbers, or one below 0 or infinite; `by` is a list column; or both are
        None or the same.

    Notes
    -----
    M. O. Lorenz, "Methods of measuring the concentration of wealth", Publications of the American
    Statistical Association 9 (1905), 209-219. The Gini coefficient is twice the area between the
    curve and the diagonal (of all points, not of those that are kept here).

    Examples
    --------
    >>> cl.concentration(cl.make_cards(200))["gini", "top_10_share", "n_groups"].row(0)
    (0.736..., 0.728..., 63)
    """
    at_least(n_points, 2, name="n_points")
    held, n_cards, n_null = _held(cards, column, by)
    total = float(held.sum())
    shares: dict[str, float | None] = {
        f"top_{k}_share": min(float(held[:k].sum()) / total, 1.0) if total else None for k in TOP
    }
    figures = pl.DataFrame(
        {
            "gini": float(gini(held)) if total else None,
            **shares,
            "n_zero": int((held == 0).sum()),
            "n_groups": held.size,
            "n_cards": n_cards,
            "n_null": n_null,
            "total": total,
        },
        schema_overrides=dict.fromkeys(["gini", *shares], pl.Float64),
    )
    if not curve:
        return figures
    if not total:
        raise NoFigure(f"the {held.size:,} groups hold nothing of {column!r}: there is no curve.")
    points = _lorenz(held, n_points)
    return points.join(figures.rename({"n_groups": "n_all_groups"}), how="cross")


def _lorenz(held: np.ndarray, n_points: int) -> pl.DataFrame:
    """Give the points of the curve, of all groups or evenly fewer."""
    sums = np.append(0.0, np.cumsum(held[::-1]))
    n = held.size
    if n + 1 > n_points:  # half of the points for the largest groups, ever farther apart
        near = n - np.unique(np.geomspace(1, n, n_points // 2).astype(np.int64)) + 1
        even = np.linspace(0, n, n_points - near.size).astype(np.int64)
        kept = np.unique(np.concatenate([near, even, [0, n]]))
    else:
        kept = np.arange(n + 1)
    return pl.DataFrame(
        {
            "group_share": kept / n,
            "held_share": np.minimum(sums[kept] / sums[-1], 1.0),
            "n_groups": kept,
            "held": sums[kept],
        }
    )


def check_single(schema: Any, numbers: str | None, by: str | None) -> None:
    """Raise a CardlabError unless a column holds numbers, and another one group for each card."""
    if numbers is not None and not schema[numbers].is_numeric():
        raise CardlabError(f"column {numbers!r} must hold numbers, not {schema[numbers]}.")
    if by is not None and schema[by].is_nested():
        raise CardlabError(
            f"by={by!r}: a card must belong to one group, and the column is {schema[by]}. "
            "Explode it first if a card may count as a whole in each of its values."
        )


def _held(cards: Any, column: str | None, by: str | None) -> tuple[np.ndarray, int, int]:
    """Give what each group holds, most first, the cards counted and those left out."""
    if column == by:
        raise CardlabError("column and by must differ: give a column to add up, or by, or both.")
    names = [name for name in (column, by) if name is not None]
    require(cards, *names)
    frame = lazy(cards)
    check_single(frame.collect_schema(), column, by)
    values = nw.lit(1) if column is None else nw.col(column)
    groups = nw.lit(0) if by is None else nw.col(by)
    rows = collect(frame.select(values.cast(nw.Float64).alias("value"), groups.alias("group")))
    known = rows.with_columns(pl.col("value").fill_nan(None)).drop_nulls()
    n_null = rows.height - known.height
    if not known.height:
        wanted = " and ".join(repr(name) for name in names)
        raise NoFigure(f"none of the {n_null:,} cards has a value in {wanted}.")
    sums = known if by is None else known.group_by("group").agg(pl.col("value").sum())
    held = np.sort(sums["value"].to_numpy())[::-1]
    least = float(known["value"].to_numpy().min())
    if least < 0 or not math.isfinite(float(held.sum())):
        raise CardlabError(
            f"column {column!r} has values below 0 or infinite, of which no shares can be made: "
            f"the least is {least:g}. Filter the cards first."
        )
    return held, known.height, n_null
