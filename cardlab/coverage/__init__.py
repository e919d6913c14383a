"""What cards document: headings held against the sections that standards ask for.

``standards`` (the data file) -> ``headings`` (what a heading means), ``bodies`` (what stands
beneath it) -> ``blocks`` (one card) -> ``census`` (all cards) -> ``counts``, ``gaps``, ``listing``.
"""

from .bodies import STATES
from .counts import card_coverage, section_coverage
from .gaps import documentation_gaps
from .listing import heading_meanings, unmapped_headings
from .standards import STANDARDS, coverage_sections

__all__ = [
    "STANDARDS",
    "STATES",
    "card_coverage",
    "coverage_sections",
    "documentation_gaps",
    "heading_meanings",
    "section_coverage",
    "unmapped_headings",
]
