"""A chart as a small picture, for readers who see no interactive one: nbconvert, GitHub, nbviewer."""

from __future__ import annotations

import base64
import os
import zlib
from typing import Any

import numpy as np

#: Where this environment variable is "0", charts have no pictures: a report draws them itself.
SWITCH = "CARDLAB_PICTURES"
#: Bytes of a picture at most; where a chart needs more, it gets fewer pixels.
MOST_BYTES = 100_000
_SCALES = (2, 1.5, 1, 0.7)


def picture(spec: dict[str, Any]) -> str | None:
    """Draw a Vega-Lite chart as PNG in base64, without a network.

    Parameters
    ----------
    spec : dict
        A chart's specification.

    Returns
    -------
    str or None
        None for a chart that takes data or images from elsewhere or cannot be drawn, and where
        the environment variable ``CARDLAB_PICTURES`` is ``0``.
    """
    if os.environ.get(SWITCH) == "0":
        return None
    import vl_convert

    try:
        svg = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
        if "<image" in svg:  # the second step would fetch it
            return None
        for scale in _SCALES:
            png = _smaller(vl_convert.svg_to_png(svg, scale=scale))
            if len(png) <= MOST_BYTES:
                return base64.b64encode(png).decode("ascii")
    except ValueError:  # what Vega refuses; whoever draws the chart itself says why
        return None
    return None


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
    found, codes, counts = np.unique(
        pixels[..., :3].astype(np.int32) @ [1 << 16, 1 << 8, 1],
        return_inverse=True,
        return_counts=True,
    )
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
