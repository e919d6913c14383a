"""What a corpus holds, what was wrong with it, how it grew, and who holds how much of it."""

from .columns import profile
from .findings import problems
from .inequality import concentration, lorenz
from .time import doubling_time, growth, growth_fit, share_trends, with_period

__all__ = [
    "concentration",
    "doubling_time",
    "growth",
    "growth_fit",
    "lorenz",
    "problems",
    "profile",
    "share_trends",
    "with_period",
]
