"""Vectors for cards that come without: latent semantic analysis, or a model of the caller's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from .matrix import Floats, blanked, matrix, usable
from .points import one_thread, whole_number
from .words import card_texts, word_counts

Model = Callable[[list[str]], npt.ArrayLike]

#: Texts that a callable gets at a time.
_BATCH = 256

#: Directions that carry less than this share of the strongest one are rounding errors.
_NEGLIGIBLE = 1e-5


def embed(
    cards: Any, *, model: str | Model = "lsa", n_components: int = 128, random_state: int = 0
) -> Floats:
    """Compute a vector for each card from what it says.

    Parameters
    ----------
    cards : frame
        Cards with ``text``, ``tags`` or both. Where ``text`` is missing or null for all cards,
        the tags alone are used. Of one card the first 20,000 characters of the text are read,
        and of its tags the free ones (no prefix such as ``license:``, not added by the Hub) up
        to 2,000 characters, so that memory is bounded by the number of cards.
    model : {"lsa"} or callable, default "lsa"
        - ``"lsa"``: TF-IDF of the words (sublinear counts; prose without code, HTML and
          addresses; words of three letters or more, in at least two cards unless the corpus is
          tiny; the commonest 50,000), reduced by truncated SVD. Nothing is downloaded.
        - A callable takes a list of at most 256 texts (the raw text, then a line of the free
          tags) and gives a matrix with a row for each.
    n_components : int, default 128
        Columns asked of ``"lsa"``. There are fewer where the corpus has fewer cards, words or
        independent directions. A callable decides by itself.
    random_state : int, default 0
        Seed of the randomised SVD. The same cards and seed give the same vectors.

    Returns
    -------
    np.ndarray of float32, shape (n_cards, k)
        Rows of length 1 with ``"lsa"``, as they come with a callable. A row is all NaN for a
        card without text and tags, for one that shares no word with another card, and where a
        callable gave no usable vector.

    Raises
    ------
    MissingColumn
        The cards have neither ``text`` nor ``tags``.
    NoFigure
        No card says anything.
    CardlabError
        An unknown model, or a callable that gives something other than a row for each text.

    Notes
    -----
    Deerwester et al. (1990), Indexing by latent semantic analysis, JASIS 41(6); the SVD after
    Halko, Martinsson and Tropp (2011), SIAM Review 53(2).
    """
    whole_number(n_components, 1, name="n_components")
    whole_number(random_state, 0, name="random_state")
    if not callable(model) and model != "lsa":
        raise schema.CardlabError(
            f"model must be 'lsa' or a callable that takes a list of texts, not {model!r}. Names "
            "of sentence-transformers models are not understood: load the model yourself and "
            "give its `encode`."
        )
    texts = card_texts(cards)
    if not texts.select((pl.col("text") + pl.col("tags")).str.contains(r"\S").any()).item():
        raise schema.NoFigure(
            f"none of the {texts.height:,} cards has a text or a free tag to compute a vector from."
        )
    if callable(model):
        return _embed_with(model, texts)
    return _lsa(texts, n_components, random_state)


def _lsa(texts: pl.DataFrame, n_components: int, random_state: int) -> Floats:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer

    counts, _ = word_counts(texts)
    weights = TfidfTransformer(sublinear_tf=True).fit_transform(counts.astype(np.float64))
    if weights.shape[1] == 1:
        # A single word: there is nothing to reduce.
        x = weights.toarray()
    else:
        k = min(n_components, *weights.shape)
        svd = TruncatedSVD(k, n_iter=7, random_state=random_state)
        # The share of the variance, which is not used, is 0 / 0 where all cards are alike.
        with one_thread(), np.errstate(invalid="ignore", divide="ignore"):
            x = svd.fit_transform(weights)
        x = x[:, svd.singular_values_ > _NEGLIGIBLE * svd.singular_values_[0]]
    x = x.astype(np.float32)
    has_words = np.diff(counts.indptr) > 0
    return blanked(x, has_words & usable(x), normalize=True)


def _embed_with(model: Model, texts: pl.DataFrame) -> Floats:
    """Send the cards that say something through a callable, batch by batch."""
    document = pl.concat_str("text", "tags", separator="\n\n").str.strip_chars()
    says = texts.select((document.str.len_chars() > 0).alias("says")).to_series()
    rows = np.flatnonzero(says.to_numpy())
    x: Floats | None = None
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        part = matrix(model(texts[batch].select(document).to_series().to_list()), name="the result")
        if x is None:
            x = np.full((texts.height, part.shape[1]), np.nan, dtype=np.float32)
        if part.shape != (len(batch), x.shape[1]):
            raise schema.CardlabError(
                f"the model must give a matrix of shape {(len(batch), x.shape[1])} for a batch of "
                f"{len(batch)} texts; it gave {part.shape}."
            )
        x[batch] = part
    assert x is not None  # The caller has made sure that a card says something.
    return blanked(x, usable(x))
