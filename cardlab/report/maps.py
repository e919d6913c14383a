"""A map of many points as a page may hold it: checked, and packed into few bytes."""

from __future__ import annotations

import base64
import binascii
import gzip
import re
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from .sanitize import MAX_TEXT, Cuts, visible

MAP = "application/vnd.cardlab.map.v1+json"

_MAX_POINTS = 2_000_000
_MAX_COLUMNS = 16
_MAX_NAMES = 1_000
_SHAPES = {"circle", "square", "triangle-up", "diamond", "cross", "triangle-down"}
_COLOR = re.compile(r"#[0-9a-f]{6}")


def checked_map(found: Any, cuts: Cuts | None = None) -> tuple[dict[str, Any], str, str]:
    """Return what a page holds of a map, or raise ValueError.

    Returns
    -------
    words : dict
        Title, subtitle, columns with their groups, names, ``n_points``; every text visible.
    points : str
        Gzipped in base64: the low bytes of all x, the high bytes of all x, the same of y, then
        for each column the group of each point.
    cards : str
        Gzipped in base64: for each id how many letters it has in common with the one before
        (a byte), then the rest of each, a line each, as UTF-8.
    """
    if not isinstance(found, Mapping):
        raise ValueError("it is no map")
    cuts = cuts or Cuts()
    n = _number(found.get("n_points"), 1, _MAX_POINTS, what="points")
    columns = [_column(column, cuts) for column in _list(found.get("columns"), _MAX_COLUMNS)]
    if not columns:
        raise ValueError("it has no column to colour by")
    data = _unpacked(found.get("points"), n * (4 + len(columns)))
    if len(data) != n * (4 + len(columns)):
        raise ValueError(f"its data are not those of {n:,} points and {len(columns)} columns")
    codes = np.frombuffer(data, np.uint8, offset=4 * n).reshape(len(columns), n)
    for column, code in zip(columns, codes, strict=True):
        if int(code.max()) >= len(column["groups"]):
            raise ValueError(f"points are in groups that column {column['name']!r} lacks")
    cards = visible(_unpacked(found.get("cards"), 4 * MAX_TEXT * n).decode("utf-8")).split("\n")
    cards = [card if len(card) <= MAX_TEXT else cuts(card) for card in cards]
    if len(cards) != n:
        raise ValueError(f"it has {len(cards):,} ids for {n:,} points")
    words = {
        "title": _text(found.get("title"), cuts),
        "subtitle": [_text(line, cuts) for line in _list(found.get("subtitle"), 20)],
        "n_points": n,
        "columns": columns,
        "names": [_name(name, n, cuts) for name in _list(found.get("names"), _MAX_NAMES)],
    }
    # Low and high bytes apart compress better.
    planes = np.frombuffer(data, np.uint8, count=4 * n).reshape(2, n, 2).transpose(0, 2, 1)
    return words, _packed(planes.tobytes() + data[4 * n :]), _packed(_front_coded(cards))


def _column(column: Any, cuts: Cuts) -> dict[str, Any]:
    groups = [
        {
            "label": _text(group["label"], cuts),
            "n": _number(group["n"], 0, 2**53, what="cards of a group"),
            "color": _one_of(group["color"], _COLOR.fullmatch(str(group["color"])), "colour"),
            "shape": _one_of(group["shape"], group["shape"] in _SHAPES, "shape"),
        }
        for group in _list(column["groups"], 256)
    ]
    return {
        "name": _text(column["name"], cuts),
        "label": _text(column["label"], cuts),
        "groups": groups,
    }


def _name(name: Any, n_points: int, cuts: Cuts) -> dict[str, Any]:
    return {
        "text": _text(name["text"], cuts),
        "group": _number(name["group"], 0, 255, what="group of a name"),
        "point": _number(name["point"], 0, n_points - 1, what="point of a name"),
    }


def _number(value: Any, low: int, high: int, *, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{what}: {visible(str(value))[:40]!r} is not from {low:,} to {high:,}")
    return value


def _one_of(value: Any, known: object, what: str) -> str:
    if not known:
        raise ValueError(f"{visible(str(value))[:40]!r} is no {what} of a map")
    return str(value)


def _list(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"a list of at most {most} was expected")
    return value


def _text(value: Any, cuts: Cuts) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a text was expected, not {type(value).__name__}")
    return cuts(value)


def _unpacked(value: Any, most: int) -> bytes:
    """Unpack, but no more than there may be: a few bytes can hold gigabytes of zeros."""
    text = "".join(value) if isinstance(value, list) else value
    if not isinstance(text, str):
        raise ValueError("its data are missing")
    try:
        unzip = zlib.decompressobj(wbits=31)
        data = unzip.decompress(base64.b64decode(text, validate=True), most + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"its data are damaged ({error})") from error
    if len(data) > most or not unzip.eof:
        raise ValueError("its data are damaged or too long")
    return data


def _front_coded(cards: list[str]) -> bytes:
    """Leave out of each id what it has in common with the one before."""
    shared, rests, before = bytearray(), [], ""
    for card in cards:
        most = min(len(card), len(before), 255)
        same = 0
        # A letter beyond the basic plane is two units in the page's script.
        while same < most and card[same] == before[same] and card[same] <= "\uffff":
            same += 1
        shared.append(same)
        rests.append(card[same:])
        before = card
    return bytes(shared) + "\n".join(rests).encode()


def _packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode("ascii")
