"""What a corpus holds, what was wrong with it, and how it grew."""

from .growth import date_floor, growth
from .problems import problems
from .profile import profile

__all__ = ["date_floor", "growth", "problems", "profile"]
