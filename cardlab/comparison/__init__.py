"""Two corpora side by side: one's own and the Hub, or one corpus at two times."""

from .changes import compare_ids
from .distances import TOPICS, compare
from .values import compare_values

__all__ = ["TOPICS", "compare", "compare_ids", "compare_values"]
