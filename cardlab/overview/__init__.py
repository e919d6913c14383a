"""What a corpus holds, what was wrong with it, and how it grew."""

from .columns import profile
from .dates import date_floor, growth
from .findings import problems

__all__ = ["date_floor", "growth", "problems", "profile"]
