"""What cards say and how long they are: words, sections, passages, lengths."""

from .columns import with_passages, with_plain_text, with_sections
from .lengths import MEASURES, text_problems, with_text_lengths
from .outline import Section, sections
from .packing import passages
from .plain import plain_text
from .relations import length_outliers, length_relation
from .summaries import MAX_POINTS, length_ecdf, length_histogram, length_summary

__all__ = [
    "MAX_POINTS",
    "MEASURES",
    "Section",
    "length_ecdf",
    "length_histogram",
    "length_outliers",
    "length_relation",
    "length_summary",
    "passages",
    "plain_text",
    "sections",
    "text_problems",
    "with_passages",
    "with_plain_text",
    "with_sections",
    "with_text_lengths",
]
