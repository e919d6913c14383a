"""Vectors of cards: take or compute them, cluster, describe and draw what lies together.

``vectors`` or ``embed`` gives a matrix with a row for each card; everything else takes such a
matrix, or the labels that ``cluster`` makes of it, in the order of the cards.
"""

from __future__ import annotations

from .clusters import cluster, cluster_stability
from .copies import near_duplicates
from .describe import cluster_keywords, cluster_summary
from .making import embed
from .matrix import usable, vectors
from .nearest import neighbors
from .projection import project
from .quality import shared_vectors, vector_problems
from .retrieval import search
from .trust import trustworthiness

__all__ = [
    "cluster",
    "cluster_keywords",
    "cluster_stability",
    "cluster_summary",
    "embed",
    "near_duplicates",
    "neighbors",
    "project",
    "search",
    "shared_vectors",
    "trustworthiness",
    "usable",
    "vector_problems",
    "vectors",
]
