"""Vectors of cards: take or compute them, cluster, describe and draw what lies together.

``vectors`` or ``embed`` gives a matrix with a row for each card; everything else takes such a
matrix, or the labels that ``cluster`` makes of it, in the order of the cards.
"""

from __future__ import annotations

from .choice import cluster_curve
from .clusters import cluster
from .copies import near_duplicates
from .describe import cluster_summary
from .keywords import cluster_keywords
from .making import embed
from .matrix import usable, vectors
from .nearest import neighbors
from .projection import map_points, project
from .quality import shared_vectors, vector_problems
from .relations import between_clusters, cluster_agreement
from .retrieval import search
from .stability import cluster_jaccard, cluster_stability
from .trust import trustworthiness

__all__ = [
    "between_clusters",
    "cluster",
    "cluster_agreement",
    "cluster_curve",
    "cluster_jaccard",
    "cluster_keywords",
    "cluster_stability",
    "cluster_summary",
    "embed",
    "map_points",
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
