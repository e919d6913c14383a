"""A chart as a small picture, where none is drawn: nbconvert, GitHub, nbviewer."""

from __future__ import annotations

import base64
import json
import os
import zlib
from contextlib import suppress
from typing import Any

import numpy as np

#: Where this environment variable is "0", charts have no pictures: a report draws them itself.
SWITCH = "CARDLAB_PICTURES"
#: Bytes of a picture at most; where a chart needs more, it gets fewer pixels.
MOST_BYTES = 100_000
_SCALES = (2, 1.5, 1, 0.7)
_LARGE = 500_000  # characters of SVG: thousands of marks, too many bytes in any case
_PNG = "image/png"


def picture(spec: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Draw a Vega-Lite chart as PNG, without a network.

    Parameters
    ----------
    spec : dict
        A chart's specification.

    Returns
    -------
    content : dict
        ``image/png`` in base64; nothing for a chart that takes data or images from elsewhere or
        cannot be drawn, and where the environment variable ``CARDLAB_PICTURES`` is ``0``.
    about : dict
        Its width in the page, as nbconvert reads it.
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
            png = _smaller(vl_convert.svg_to_png(svg, scale=scale))
            if len(png) <= MOST_BYTES:
                width = int(int.from_bytes(png[16:20], "big") / scale)
                return {_PNG: base64.b64encode(png).decode()}, {_PNG: {"width": width}}
    return {}, {}


def _smaller(png: bytes) -> bytes:
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
