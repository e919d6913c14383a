"""Vectors of cards: take or compute them, cluster, describe and draw what lies together.

``vectors`` or ``embed`` gives a matrix with a row for each card; everything else takes such a
matrix, or the labels that ``cluster`` makes of it, in the order of the cards.
"""
