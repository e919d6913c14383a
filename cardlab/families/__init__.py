"""Families of cards that share a text, to the letter or nearly."""

from .copies import SHINGLE, template_families, with_families

__all__ = ["SHINGLE", "template_families", "with_families"]
