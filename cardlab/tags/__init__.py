"""Which tags cards carry, of what kind, which go together, and which rise."""

from .communities import community_quality, tag_communities
from .counts import tag_counts
from .kinds import KINDS, tag_kind, with_tag_kinds
from .pairs import cooccurrence
from .trends import tag_trends
from .variants import apply_variants, tag_variants

__all__ = [
    "KINDS",
    "apply_variants",
    "community_quality",
    "cooccurrence",
    "tag_communities",
    "tag_counts",
    "tag_kind",
    "tag_trends",
    "tag_variants",
    "with_tag_kinds",
]
