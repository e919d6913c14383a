"""Licences of cards: one name for each, what it asks for, and how many cards declare it."""

from .counts import class_counts, license_counts
from .names import CLASSES, SPELLINGS, License, find_license, with_licenses

__all__ = [
    "CLASSES",
    "SPELLINGS",
    "License",
    "class_counts",
    "find_license",
    "license_counts",
    "with_licenses",
]
