"""Licences of cards: one name for each, what it asks for, and how many cards declare it."""
