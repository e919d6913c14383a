"""Licences of cards: one name for each, what it asks for, and how many cards declare it."""

from .checks import license_problems
from .counts import class_counts, license_counts
from .named import with_license_names
from .names import find_license, with_licenses
from .tables import CLASSES, License

__all__ = [
    "CLASSES",
    "License",
    "class_counts",
    "find_license",
    "license_counts",
    "license_problems",
    "with_license_names",
    "with_licenses",
]
