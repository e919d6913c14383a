"""What a corpus holds, what was wrong with it, how it grew, and who holds how much of it."""

from .columns import profile
from .dates import growth
from .findings import problems
from .fits import growth_fit
from .inequality import concentration, lorenz
from .periods import share_trends, with_period
from .rates import doubling_time

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
