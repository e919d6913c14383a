"""What all charts are made of: their look, pictures and data, the parts they share, their words."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from math import cos, pi, sin
from typing import Any, NamedTuple, TypeVar, cast

import altair as alt
import numpy as np
import polars as pl
import polars.selectors as cs

from ..colors import ACCENT, CATEGORIES, FAINT, GRID, INK, PAPER, SEQUENTIAL, WARM
from ..overview.time import FLOORS
from ..schema import CardlabError, NoFigure, is_share, label, printable

C = TypeVar("C", bound=alt.TopLevelMixin)

# ---- A chart as a small picture, where none is drawn: nbconvert, GitHub, nbviewer.

#: Where this environment variable is "0", charts have no pictures: a report draws them itself.
SWITCH = "CARDLAB_PICTURES"
#: Bytes of a picture at most; where a chart needs more, it gets fewer pixels.
MOST_BYTES = 100_000
_SCALES = (2, 1.5, 1, 0.7)
_LARGE = 500_000  # characters of SVG: thousands of marks, too many bytes in any case
_PNG = "image/png"


def picture(spec: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Draw a Vega-Lite chart as PNG, without a network: base64, and its width for nbconvert.

    Nothing for a chart that takes data or images from elsewhere or cannot be drawn.
    """
    # data from an address would be missing, and the picture empty
    if os.environ.get(SWITCH) == "0" or '"url": ' in json.dumps(spec, default=str):
        return {}, {}
    import vl_convert

    # What Vega refuses, the one who draws the chart will say.
    with suppress(ValueError):
        svg = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
        scales = _SCALES[2:] if len(svg) > _LARGE else _SCALES
        for scale in scales if "<image" not in svg else ():  # the next step would fetch it
            png = smaller(vl_convert.svg_to_png(svg, scale=scale))
            if len(png) <= MOST_BYTES:
                width = int(int.from_bytes(png[16:20], "big") / scale)
                return {_PNG: base64.b64encode(png).decode()}, {_PNG: {"width": width}}
    return {}, {}


def smaller(png: bytes) -> bytes:
    """Give a PNG of resvg 256 colours, which takes a fifth of the bytes.

    The commonest colours stay as they are; the others, at the edges of letters and marks, become
    the nearest of them.
    """
    chunks: dict[bytes, bytes] = {}
    place = 8
    while place < len(png):
        end = place + 8 + int.from_bytes(png[place : place + 4], "big")
        kind = png[place + 4 : place + 8]
        chunks[kind] = chunks.get(kind, b"") + png[place + 8 : end]
        place = end + 4
    width, height = np.frombuffer(chunks[b"IHDR"], ">u4", 2)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    if rows.shape[1] != 1 + 4 * width or (rows[:, 0] != 1).any():
        return png  # not as resvg writes: red, green, blue, alpha, each less the one to its left
    pixels = np.cumsum(rows[:, 1:].reshape(height, width, 4), axis=1, dtype=np.uint8)
    whole = pixels[..., :3].astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    found, codes, counts = np.unique(whole, return_inverse=True, return_counts=True)
    colors = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1)
    kept = colors[np.argsort(-counts, kind="stable")[:256]]
    nearest = [((kept - color) ** 2).sum(axis=1).argmin() for color in colors]
    indexed = np.array(nearest, np.uint8)[codes.reshape(height, width)]
    lines = np.insert(indexed, 0, 0, axis=1)  # a filter of none, before each line
    head = chunks[b"IHDR"][:8] + bytes([8, 3, 0, 0, 0])
    parts = [(b"IHDR", head), (b"PLTE", kept.astype(np.uint8).tobytes())]
    parts += [(b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")]
    return png[:8] + b"".join(
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        for kind, data in parts
    )


# ---- The look that all charts share, and how they reach a notebook without a network.

WIDTH = 640
MAX_ROWS_SHOWN = 10_000

_MIME = "application/vnd.vegalite.v5+json"


@alt.theme.register("cardlab", enable=False)
def _theme() -> alt.theme.ThemeConfig:
    words = {"labelColor": INK, "titleColor": FAINT}
    small = {"titleFontWeight": "normal", "labelFontSize": 11, "titleFontSize": 11}
    config = {
        "background": PAPER,  # set, so that a dark page shows the chart on a light card
        "font": "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif",
        "padding": 12,
        "axis": {
            **words,
            **small,
            **{"gridColor": GRID, "domainColor": GRID, "tickColor": GRID, "labelLimit": 240},
            "maxExtent": 280,  # beyond it a title would stand on the labels
        },
        "legend": {**words, **small, "labelLimit": 200, "titleLimit": 320},
        "title": {
            **{"anchor": "start", "frame": "group", "offset": 12, "color": INK, "fontSize": 15},
            **{"fontWeight": 600, "subtitleColor": FAINT, "subtitleFontSize": 12},
            "subtitlePadding": 4,
        },
        "header": words,
        "view": {"stroke": None, "continuousWidth": WIDTH},
        "range": {"category": CATEGORIES, "heatmap": SEQUENTIAL, "ramp": SEQUENTIAL},
        **{mark: {"color": ACCENT} for mark in ("bar", "point", "rect")},
        "line": {"color": ACCENT, "strokeWidth": 2},
        "text": {"color": INK, "fontSize": 11},
    }
    return {"config": config}  # type: ignore[typeddict-item]


#: What every object of JavaScript has. Vega finds groups in such objects: the tag "constructor"
#: would be a group that is there already, and no part of its chart would be drawn.
_INHERITED = {
    *("__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__", "__proto__"),
    *("constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable"),
    *("toLocaleString", "toString", "valueOf"),
}


def distinct(spec: Any) -> Any:
    """Put a blank of no width behind words of a chart that JavaScript would take for its own."""
    if isinstance(spec, dict):
        return {distinct(key): distinct(value) for key, value in spec.items()}
    if isinstance(spec, list):
        return [distinct(value) for value in spec]
    return f"{spec}\u200b" if isinstance(spec, str) and spec in _INHERITED else spec


#: How JupyterLab shows charts: its dark theme turns light and dark around and keeps the hues, when
#: it is chosen, too. It takes the place of the style of vega-embed, whose menu is styled as well.
_IN_LAB = """
[data-jp-theme-light=false] .vega-embed canvas { filter: invert(0.93) hue-rotate(180deg); }
.vega-embed { position: relative; display: inline-block; padding-right: 36px; }
.vega-embed details { position: absolute; top: 0; right: 0; }
.vega-embed summary { list-style: none; cursor: pointer; color: var(--jp-ui-font-color1); }
.vega-embed summary svg { width: 18px; height: 18px; fill: currentcolor; stroke: currentcolor; }
.vega-embed .vega-actions { position: absolute; right: 0; z-index: 9; white-space: nowrap;
  background: var(--jp-layout-color1); border: 1px solid var(--jp-border-color1); }
.vega-embed .vega-actions a { display: block; padding: 4px 12px; color: var(--jp-ui-font-color1); }
"""


def shown(spec: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give a chart in the forms that front ends ask for, and what they must know of its picture.

    The MIME type that JupyterLab draws by itself, its words as text, and a picture for whoever
    draws nothing. No HTML: JupyterLab would prefer that, and altair's own asks for a network.
    """
    words = str(spec.get("description", "A chart."))
    drawn = distinct(spec)
    content, about = picture(drawn)
    about |= {_MIME: {"embed_options": {"defaultStyle": _IN_LAB}}}
    return {_MIME: drawn, "text/plain": words, **content}, about


alt.renderers.register("cardlab", lambda spec, **_: shown(spec))


def use_theme() -> None:
    """Switch altair to cardlab's look and to drawing without a network, for this session."""
    alt.theme.enable("cardlab")
    alt.renderers.enable("cardlab")


# a look or renderer that the user chose before stays
if alt.theme.active == "default":
    alt.theme.enable("cardlab")
if alt.renderers.active in ("default", "html"):
    alt.renderers.enable("cardlab")


# ---- What all charts are made of: checks, data, words, tooltips, axes.


def clean(frame: pl.DataFrame) -> pl.DataFrame:
    """Replace the active characters in all strings of a small frame; a list becomes one string."""
    joined = frame.with_columns(cs.list().cast(pl.List(pl.String)).list.join(", "))
    return joined.with_columns(pl.col(pl.String).map_elements(printable, return_dtype=pl.String))


def values(frame: pl.DataFrame) -> alt.InlineData:
    """Give a small frame as a chart's data: clean, dates as ISO text, no infinite numbers."""
    if not frame.height:
        raise NoFigure(_NO_ROWS)
    if frame.height > MAX_ROWS_SHOWN:
        raise CardlabError(
            f"a chart shows at most {MAX_ROWS_SHOWN:,} rows, this frame has {frame.height:,}. "
            "Aggregate or sample it first."
        )
    dates, numbers = (cs.date() | cs.datetime()).cast(pl.Datetime), cs.float()
    rows = clean(frame).with_columns(
        dates.dt.strftime("%Y-%m-%dT%H:%M:%SZ"), pl.when(numbers.is_finite()).then(numbers)
    )
    return alt.InlineData(values=rows.to_dicts())


_NO_ROWS = "there are no rows to draw."


def need(frame: Any, *columns: str, made_by: str, none: str = _NO_ROWS) -> None:
    """Check that a frame is what a plot draws: which call makes one, or what has no rows."""
    have = frame.columns if isinstance(frame, pl.DataFrame) else None
    missing = list(columns) if have is None else [c for c in columns if c not in have]
    if missing:
        found = type(frame).__name__ if have is None else ", ".join(have)
        raise CardlabError(
            f"this plot draws the frame that {made_by} gives; missing "
            f"{', '.join(missing)}, found {found}."
        )
    if not frame.height:
        raise NoFigure(none)


def one_group(frame: pl.DataFrame, by: str, *, made_by: str) -> None:
    """Refuse a frame of several groups where one would hide the other, by name."""
    groups = frame[by].unique(maintain_order=True)
    if len(groups) > 1:
        shown = ", ".join(printable(repr(group)) for group in groups.head(3))
        raise CardlabError(
            f"this plot draws one group, and this frame of {made_by} has {len(groups):,} in its "
            f"column {by!r} ({shown}{' ...' if len(groups) > 3 else ''}). Draw one of them: "
            f"frame.filter(pl.col({by!r}) == group)."
        )


def finish(
    chart: C, *, title: str, subtitle: str | Iterable[str], description: str, **size: int
) -> C:
    """Put title, denominator and description on a chart.

    The description is what a screen reader says and what stands beneath the figure.
    """
    lines = [subtitle] if isinstance(subtitle, str) else list(subtitle)
    header = alt.TitleParams(printable(title), subtitle=[printable(line) for line in lines if line])
    return chart.properties(title=header, description=printable(description), **size)


def tooltips(frame: pl.DataFrame, *names: str, **said: str) -> list[alt.Tooltip]:
    """Give tooltips for the columns that are there, with their labels, formatted by type.

    What a chart makes itself, or what the caller names, is `said`: column=label.
    """
    tips: dict[str, alt.Tooltip] = {}
    for name in (name for name in names if name in frame.columns):
        dtype, title = frame.schema[name], tip_title(said.get(name, label(name)))
        while title in tips:  # Vega would show the last of two lines of one name
            title += "\u200b"
        if dtype.is_numeric():
            text = ".1%" if is_share(name) else ",d" if dtype.is_integer() else ",.3~g"
            tips[title] = alt.Tooltip(name, type="quantitative", title=title, format=text)
        elif dtype.is_temporal():
            tips[title] = alt.Tooltip(f"utcyearmonthdate({name}):T", title=title, format="%Y-%m-%d")
        else:
            tips[title] = alt.Tooltip(name, type="nominal", title=title)
    return list(tips.values())


def tip_title(name: str) -> str:
    """Give a line's name in a tooltip, which may be that of a column.

    JupyterLab's tooltip would load what is called ``image``, unescaped, and make a heading of a
    ``title``: with a blank of no width behind, they are names like others.
    """
    name = printable(name)
    return f"{name}\u200b" if name in ("image", "title", "__proto__") else name


def share_axis(
    field: str, title: str | None = None, *, ticks: int = 6, ends: bool = True, format: str = ".0%"
) -> alt.X:
    """Give an axis of percentages, from 0 to 100 where `ends`."""
    x = alt.X(f"{field}:Q", title=label(field) if title is None else title)
    x = x.axis(format=format, tickCount=ticks)
    return x.scale(domain=[0, 1]) if ends else x


def each(shown: pl.DataFrame, name: str = "shown", *, step: int = 20, **axis: Any) -> alt.Chart:
    """Begin a chart with a row for each name, in the order of the frame."""
    y = alt.Y(f"{name}:N", sort=shown[name].unique(maintain_order=True).to_list(), title=None)
    chart = alt.Chart(values(shown), height=alt.Step(step))
    return chart.encode(y=y.axis(**axis) if axis else y)


def bars(base: alt.Chart, x: alt.X, tips: list[alt.Tooltip], **look: Any) -> alt.Chart:
    """Draw a bar in each row."""
    bar = base.mark_bar(**{"color": ACCENT, "opacity": 0.85, **look})
    return cast(alt.Chart, bar.encode(x=x, tooltip=tips))


def interval(base: alt.Chart, name: str, **look: Any) -> alt.Chart:
    """Draw the thin line of an interval in each row, whose ends are the columns _low and _high."""
    rule = base.mark_rule(**{"color": INK, **look})
    return cast(alt.Chart, rule.encode(x=f"{name}_low:Q", x2=f"{name}_high:Q"))


def interval_words(low: pl.Series, said: str) -> str:
    """Say what shows the interval, or that there is none, as of a census."""
    return said if low.count() else "without intervals"


def beside(base: alt.Chart, x: Any, field: str, *, format: str = ",d", **look: Any) -> alt.Chart:
    """Write a number to the right of each bar or point."""
    text = base.mark_text(align="left", color=FAINT, **look)
    return cast(alt.Chart, text.encode(x=x, text=alt.Text(f"{field}:Q", format=format)))


def cells(
    base: alt.Chart, color: alt.Color, tips: list[alt.Tooltip], n: str, *, dark: str, **legend: Any
) -> list[alt.Chart]:
    """Draw a heatmap and the number of each cell, white where the cell is dark."""
    color = color.legend(orient="top", gradientLength=200, **legend)
    ink = alt.condition(dark, alt.value(PAPER), alt.value(INK))
    text = base.mark_text(fontSize=10, color=INK)
    return [
        base.mark_rect().encode(color=color, tooltip=tips),
        text.encode(text=alt.Text(f"{n}:Q", format=",d"), color=ink),
    ]


def time_axis(field: str = "period", **axis: Any) -> alt.X:
    """Give an axis of dates: they are UTC, and a reader's own time zone would move months."""
    style = {"format": "%Y-%m", "labelOverlap": True, **axis}
    return alt.X(f"{field}:T", title=None, scale=alt.Scale(type="utc"), axis=alt.Axis(**style))


def layered(*charts: alt.Chart | alt.LayerChart, **given: Any) -> alt.LayerChart:
    """Lay charts over each other; none of ours has facets, whose layers altair would turn round."""
    return cast(alt.LayerChart, alt.layer(*charts, **given))


def percent(share: float) -> str:
    """Write a 0-1 share as a percentage for a caption."""
    return f"{100 * share:.1f} %"


def number(n: int, noun: str) -> str:
    """Write how many there are of a thing: one card, 1,200 cards."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def cut_to(shown: int, of: int, noun: str) -> str:
    """Say that only the first rows are drawn, where it is so."""
    return f"The first {shown:,} of {of:,} {noun}. " if shown < of else ""


def not_declared(column: str) -> pl.Expr:
    """Give the labels of a column, with words where the value is null."""
    return pl.col(column).cast(pl.String).fill_null("not declared")


# ---- Names in a picture, none over another.

#: Widths in units of the font size, rather too wide than too narrow: no font is known here.
_WIDE, _NARROW, _HIGH = 1.1, 0.62, 1.35
#: How far from its point a name may stand, in pixels, and the steps on the way.
_REACH, _RING = 72, 8
#: Left, top, right, bottom, in pixels.
Box = tuple[float, float, float, float]


class Name(NamedTuple):
    """A name, the point it is of, and where it stands, in pixels."""

    text: str
    group: int
    x: float
    y: float
    left: float
    top: float
    width: float
    height: float

    @property
    def middle(self) -> tuple[float, float]:
        """Where the middle of the text is."""
        return self.left + self.width / 2, self.top + self.height / 2


def place(
    names: Iterable[tuple[int, str, float, float]],
    *,
    width: float,
    height: float,
    radius: Sequence[float] = (),
    size: float = 11,
) -> list[Name]:
    """Find a place for each name (group, text, point in pixels), the first ones first.

    A name stands in the picture and over no other, at its point or within 72 pixels; where points
    have a radius, at the side of its own and over none of them. What finds no place is left out.
    """
    names, placed = list(names), list[Name]()
    taken = [(x - r, y - r, x + r, y + r) for (_, _, x, y), r in zip(names, radius, strict=False)]
    for i, (group, text, x, y) in enumerate(names):
        wide = (unicodedata.east_asian_width(c) in "WF" or c.isupper() for c in text)
        w, h = size * sum(_WIDE if is_wide else _NARROW for is_wide in wide), size * _HIGH
        for dx, dy in _beside(w / 2, h / 2, radius[i] + 3) if radius else _around():
            box = (x + dx - w / 2, y + dy - h / 2, x + dx + w / 2, y + dy + h / 2)
            inside = box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height
            if inside and not any(overlap(box, other) for other in taken):
                taken.append(box)
                placed.append(Name(text, group, x, y, *box[:2], w, h))
                break
    return placed


def overlap(box: Box, other: Box) -> bool:
    """Say whether two boxes have a part in common."""
    beside = box[0] >= other[2] or other[0] >= box[2]
    return not (beside or box[1] >= other[3] or other[1] >= box[3])


def _around() -> Iterator[tuple[float, float]]:
    """Give ways from a point, the shortest first."""
    yield 0, 0
    for distance in range(_RING, _REACH + 1, _RING):
        for step in range(12):
            angle = 2 * pi * (step + 3) / 12
            yield distance * 1.6 * cos(angle), distance * sin(angle)


def _beside(half: float, high: float, gap: float) -> Iterator[tuple[float, float]]:
    """Give ways to the right and left of a point, beneath and above it."""
    for up in (0, -1.5 * high, 1.5 * high):
        yield gap + half, up
        yield -gap - half, up
    yield 0, gap + high
    yield 0, -gap - high


# ---- Dates that are none on charts that have time: labelled rules, and words for the subtitle.

_HUB = FLOORS[0].date()


def floors(frame: pl.DataFrame, x: alt.X, field: str = "period") -> list[alt.LayerChart]:
    """Mark by dashed rules the floors that cards are at, and the Hub's if it is within the chart.

    `frame` has ``floors``, as all analyses of time give it, and in `field` the chart's dates.
    """
    days = {floor.date() for floor in _floors(frame)}
    dates = frame[field].cast(pl.Date)
    if frame.height and dates.min() <= _HUB <= dates.max():  # type: ignore[operator]
        days.add(_HUB)
    if not days:
        return []
    rows = [{field: f"{day}T23:29:04Z", "label": "date floor"} for day in sorted(days)]
    tip = [
        alt.Tooltip("label:N", title="here is a"),
        alt.Tooltip(f"utcyearmonthdate({field}):T", title="on", format="%Y-%m-%d"),
    ]
    base = alt.Chart(alt.InlineData(values=rows)).encode(x=x)
    text = base.mark_text(color=WARM, align="left", baseline="top", dx=4, dy=1, fontSize=10)
    return [
        layered(
            base.mark_rule(color=WARM, strokeDash=[4, 3]).encode(tooltip=tip),
            text.encode(y=alt.value(0), text="label:N"),
        )
    ]


def floor_words(frame: pl.DataFrame, n_at_floor: int, *, left_out: bool) -> str:
    """Count the cards without a true date, for a subtitle."""
    others = [floor for floor in _floors(frame) if floor.date() != _HUB]
    where = f"the Hub's date floor ({_HUB}, the date of all that is older)"
    if others:
        hub = "a date floor: " if len(others) == len(_floors(frame)) else f"{where} or "
        named = ", ".join(f"{floor:%Y-%m-%d %H:%M:%S}" for floor in others)
        where = f"{hub}{named} UTC, where more cards are dated than can have been made,"
    undated = next(name for name in ("n_undated", "n_null") if name in frame.columns)
    return (
        f"{number(n_at_floor, 'card')} at {where} {'left out' if left_out else 'included'}; "
        f"{frame[undated][0]:,} without a date and {frame['n_implausible'][0]:,} with an "
        "impossible one left out"
    )


def _floors(frame: pl.DataFrame) -> list[dt.datetime]:
    return list(frame["floors"][0]) if frame.height else []
