"""The Hub's date floor on charts that have time: a labelled rule, and words for the subtitle."""

from __future__ import annotations

import datetime as dt
from typing import Any

import altair as alt

from ..schema import DATE_FLOOR
from .base import WARM

FLOOR = dt.datetime.fromisoformat(DATE_FLOOR)


def floor_within(first: Any, last: Any, n_at_floor: int) -> bool:
    """Say whether the floor belongs on a chart: cards are at it, or its periods span it."""
    if n_at_floor:
        return True
    day = FLOOR.date()
    ends = [value.date() if isinstance(value, dt.datetime) else value for value in (first, last)]
    return None not in ends and ends[0] <= day <= ends[1]


def floor_rule(x: alt.X, *, field: str, label: str | None = "date floor") -> Any:
    """Draw the floor as a dashed rule, with its name at the upper end."""
    base = alt.Chart(alt.InlineData(values=[{field: DATE_FLOOR, "label": label or ""}]))
    tip = [
        alt.Tooltip("label:N", title="the Hub's"),
        alt.Tooltip(f"utcyearmonthdate({field}):T", title="on", format="%Y-%m-%d"),
    ]
    rule = base.mark_rule(color=WARM, strokeDash=[4, 3]).encode(x=x, tooltip=tip)
    if label is None:
        return rule
    text = base.mark_text(color=WARM, align="left", baseline="top", dx=4, dy=1, fontSize=10).encode(
        x=x, y=alt.value(0), text="label:N"
    )
    return alt.layer(rule, text)


def floor_words(n_at_floor: int, *, left_out: bool) -> str:
    """Count the cards at the floor, for a subtitle."""
    cards = "1 card" if n_at_floor == 1 else f"{n_at_floor:,} cards"
    what = "left out" if left_out else "included"
    return f"{cards} at the Hub's date floor (2022-03-02, the date of all that is older) {what}"
