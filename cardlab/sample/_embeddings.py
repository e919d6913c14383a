"""Vectors with one planted cluster a topic."""

from __future__ import annotations

import numpy as np
import polars as pl

from ._columns import Plan

# Length of the noise against the unit length of a centre: close cards of one topic have a cosine
# of about 0.9, cards of two topics about 0.
_NOISE = 0.35
_COPY_NOISE = 0.02
_BETWEEN_SHARE = 0.02
_BLOCK = 50_000


def embeddings(plan: Plan, n_topics: int, dim: int, rng: np.random.Generator) -> pl.Series:
    """Draw unit vectors: centre of the topic + noise; 2 % of the cards between two centres.

    Cards of a family have nearly the same vector, as cards with the same text do.
    """
    centres = _centres(n_topics, dim, rng)
    n_families = int(plan.family.max(initial=-1)) + 1
    family_noise = _noise(n_families, dim, _NOISE, rng)
    out = np.empty((plan.n_cards, dim), dtype=np.float32)
    # In blocks: a million cards of 768 would need several copies of 3 GB at once.
    for start in range(0, plan.n_cards, _BLOCK):
        rows = slice(start, min(start + _BLOCK, plan.n_cards))
        topic, family = plan.topic[rows], plan.family[rows]
        x = centres[topic]
        alone = family < 0
        between = alone & (rng.random(len(topic)) < _BETWEEN_SHARE)
        second = centres[rng.integers(n_topics, size=len(topic))]
        weight = rng.uniform(0.3, 0.5, (len(topic), 1)).astype(np.float32)
        x = np.where(between[:, None], (1 - weight) * x + weight * second, x)
        own = _noise(len(topic), dim, _NOISE, rng)
        if n_families:
            copied = family_noise[family.clip(0)] + own * (_COPY_NOISE / _NOISE)
            own = np.where(alone[:, None], own, copied)
        x += own
        out[rows] = x / np.linalg.norm(x, axis=1, keepdims=True)
    return pl.Series("embeddings", out, dtype=pl.Array(pl.Float32, dim))


def _centres(n_topics: int, dim: int, rng: np.random.Generator) -> np.ndarray:
    """Draw unit vectors: at right angles where there is room, else in any direction."""
    directions = rng.normal(size=(n_topics, dim))
    if n_topics <= dim:
        directions = np.linalg.qr(directions.T)[0].T
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    return np.asarray(directions / lengths, dtype=np.float32)


def _noise(n: int, dim: int, length: float, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((n, dim), dtype=np.float32) * np.float32(length / np.sqrt(dim))
