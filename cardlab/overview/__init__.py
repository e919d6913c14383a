"""What a corpus holds, what was wrong with it, how it grew, and who holds how much of it."""

from .columns import profile
from .dates import growth
from .findings import problems
from .inequality import concentration
from .rates import doubling_time

__all__ = ["concentration", "doubling_time", "growth", "problems", "profile"]
