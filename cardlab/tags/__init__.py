"""Which tags cards carry, of what kind, and which go together."""

from .counts import tag_counts
from .kinds import KINDS, tag_kind, with_tag_kinds
from .pairs import cooccurrence

__all__ = ["KINDS", "cooccurrence", "tag_counts", "tag_kind", "with_tag_kinds"]
