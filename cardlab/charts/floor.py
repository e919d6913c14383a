"""Dates that are none on charts that have time: labelled rules, and words for the subtitle."""

from __future__ import annotations

import datetime as dt
from typing import Any

import altair as alt
import polars as pl

from ..overview.time import FLOORS
from .base import WARM

_HUB = FLOORS[0].date()


def floor_marks(frame: pl.DataFrame, *, time: str) -> list[str]:
    """Give the days to mark: those of the floors that cards are at, and the Hub's if it is within.

    Parameters
    ----------
    frame : pl.DataFrame
        With ``floors``, as all analyses of time give it, and the column `time`.
    time : str
        The column whose first and last value are the ends of the chart.
    """
    days = {floor.date() for floor in _floors(frame)}
    ends = [frame[time].min(), frame[time].max()]
    first, last = (end.date() if isinstance(end, dt.datetime) else end for end in ends)
    if first is not None and first <= _HUB <= last:  # type: ignore[operator]
        days.add(_HUB)
    return [day.isoformat() for day in sorted(days)]


def floor_rule(x: alt.X, marks: list[str], *, field: str) -> Any:
    """Draw the floors as dashed rules, each with its name at the upper end."""
    rows = [{field: f"{day}T23:29:04Z", "label": "date floor"} for day in marks]
    base = alt.Chart(alt.InlineData(values=rows))
    tip = [
        alt.Tooltip("label:N", title="here is a"),
        alt.Tooltip(f"utcyearmonthdate({field}):T", title="on", format="%Y-%m-%d"),
    ]
    rule = base.mark_rule(color=WARM, strokeDash=[4, 3]).encode(x=x, tooltip=tip)
    text = base.mark_text(color=WARM, align="left", baseline="top", dx=4, dy=1, fontSize=10).encode(
        x=x, y=alt.value(0), text="label:N"
    )
    return alt.layer(rule, text)


def floor_words(frame: pl.DataFrame, n_at_floor: int, *, left_out: bool) -> str:
    """Count the cards without a true date, for a subtitle."""
    others = [floor for floor in _floors(frame) if floor.date() != _HUB]
    where = f"the Hub's date floor ({_HUB}, the date of all that is older)"
    if others:
        hub = "a date floor: " if len(others) == len(_floors(frame)) else f"{where} or "
        named = ", ".join(f"{floor:%Y-%m-%d %H:%M:%S}" for floor in others)
        where = f"{hub}{named} UTC, where more cards are dated than can have been made,"
    cards = "1 card" if n_at_floor == 1 else f"{n_at_floor:,} cards"
    undated = next(name for name in ("n_undated", "n_null") if name in frame.columns)
    return (
        f"{cards} at {where} {'left out' if left_out else 'included'}; "
        f"{frame[undated][0]:,} without a date and {frame['n_implausible'][0]:,} with an "
        "impossible one left out"
    )


def _floors(frame: pl.DataFrame) -> list[dt.datetime]:
    return list(frame["floors"][0]) if frame.height else []
