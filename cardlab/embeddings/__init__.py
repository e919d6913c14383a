"""Vectors of cards: take or compute them, cluster, describe and draw what lies together.

``vectors`` or ``embed`` gives a matrix with a row for each card; everything else takes such a
matrix, or the labels that ``cluster`` makes of it, in the order of the cards.
"""

from __future__ import annotations

from .clusters import cluster, cluster_stability
from .describe import cluster_keywords, cluster_summary
from .lsa import embed
from .matrix import usable, vectors
from .projection import project, trustworthiness

__all__ = [
    "cluster",
    "cluster_keywords",
    "cluster_stability",
    "cluster_summary",
    "embed",
    "project",
    "trustworthiness",
    "usable",
    "vectors",
]
