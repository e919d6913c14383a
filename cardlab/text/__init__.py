"""How long cards are, and what they are made of."""

from .lengths import (
    MAX_POINTS,
    MEASURES,
    length_ecdf,
    length_histogram,
    length_summary,
    with_text_lengths,
)

__all__ = [
    "MAX_POINTS",
    "MEASURES",
    "length_ecdf",
    "length_histogram",
    "length_summary",
    "with_text_lengths",
]
