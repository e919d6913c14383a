"""Vectors without any model: latent semantic analysis of the cards themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .matrix import Floats, blanked, usable
from .points import one_thread
from .words import word_counts

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

#: Directions that carry less than this share of the strongest one are rounding errors.
_NEGLIGIBLE = 1e-5


@dataclass(frozen=True)
class Lsa:
    """The vectors of a corpus, and how another text is laid among them."""

    x: Floats
    words: npt.NDArray[np.str_]
    weigh: Any
    directions: npt.NDArray[np.float64] | None

    def fold_in(self, texts: list[str]) -> Floats:
        """Give texts that were not among the cards their vectors; NaN without a known word."""
        frame = pl.DataFrame({"text": texts, "tags": [""] * len(texts)})
        counts, _ = word_counts(frame, vocabulary=self.words)
        weights = self.weigh.transform(counts.astype(np.float64))
        x = weights.toarray() if self.directions is None else weights @ self.directions
        x = np.asarray(x, dtype=np.float32)
        return blanked(x, (np.diff(counts.indptr) > 0) & usable(x), normalize=True)


def lsa(texts: pl.DataFrame, n_components: int, random_state: int) -> Lsa:
    """Weigh the words of the cards by TF-IDF and reduce them by truncated SVD."""
    from sklearn.feature_extraction.text import TfidfTransformer

    counts, words = word_counts(texts)
    weigh = TfidfTransformer(sublinear_tf=True)
    weights = weigh.fit_transform(counts.astype(np.float64))
    x, directions = _reduced(weights, n_components, random_state)
    values: Floats = x.astype(np.float32)
    has_words = np.diff(counts.indptr) > 0
    return Lsa(
        blanked(values, has_words & usable(values), normalize=True), words, weigh, directions
    )


def _reduced(
    weights: csr_matrix, n_components: int, random_state: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64] | None]:
    from sklearn.decomposition import TruncatedSVD

    if weights.shape[1] == 1:
        # A single word: there is nothing to reduce.
        return weights.toarray(), None
    k = min(n_components, *weights.shape)
    svd = TruncatedSVD(k, n_iter=7, random_state=random_state)
    # The share of the variance, which is not used, is 0 / 0 where all cards are alike.
    with one_thread(), np.errstate(invalid="ignore", divide="ignore"):
        x = svd.fit_transform(weights)
    kept = svd.singular_values_ > _NEGLIGIBLE * svd.singular_values_[0]
    return x[:, kept], svd.components_[kept].T
