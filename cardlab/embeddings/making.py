"""Vectors for cards that come without."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from .. import schema
from . import store
from .encoders import BATCH, TAGS_FOLLOW, Encoder, Model, encoder
from .lsa import lsa
from .matrix import Floats, blanked, usable
from .points import whole_number
from .words import card_texts

Progress = bool | Callable[[int, int], object]


def embed(
    cards: Any,
    *,
    model: str | os.PathLike[str] | Model = "lsa",
    n_components: int = 128,
    random_state: int = 0,
    column: str | None = None,
    max_tokens: int | None = None,
    save: str | os.PathLike[str] | None = None,
    name: str | None = None,
    progress: Progress = False,
) -> Floats:
    """Compute a vector for each card from what it says.

    Parameters
    ----------
    cards : frame
        Cards with ``text``, ``tags`` or both. Where ``text`` is missing or null for all cards,
        the tags alone are used. Of one card the first 20,000 characters of the text are read,
        and of its tags the free ones (no prefix such as ``license:``, no task, library, language
        or tag of the Hub) up to 2,000 characters, so that memory is bounded by the number of
        cards.
    model : {"lsa"}, str, path or callable, default "lsa"
        - ``"lsa"``: TF-IDF of the words (sublinear counts; prose without code, HTML and
          addresses; words of three letters or more, in at least two cards unless the corpus is
          tiny; the commonest 50,000), reduced by truncated SVD. Nothing is downloaded.
        - Any other string or path: a sentence-transformers model (extra ``embed``), the name of
          one on the Hub or a local folder, for which nothing is downloaded.
        - A callable takes a list of at most 256 texts and gives a matrix with a row for each.

        A model reads each card as passages (its words as :func:`plain_text` gives them, cut as
        :func:`passages` cuts, then a line of the free tags; the raw text of a card without
        words) and the card's vector is the mean of theirs. Cards that say the same are read once.
    n_components : int, default 128
        Columns asked of ``"lsa"``. There are fewer where the corpus has fewer cards, words or
        independent directions. A model decides by itself.
    random_state : int, default 0
        Seed of the randomised SVD. The same cards and seed give the same vectors.
    column : str, optional
        A column of strings (Markdown) or of lists of strings (passages, such as
        ``input_texts``) that a model reads instead of text and tags, whole.
    max_tokens : int, optional
        Tokens of a passage at most. By default as many as a sentence-transformers model reads,
        by its own tokenizer; 512 by the estimate of :func:`passages` for a callable.
    save : path, optional
        A ``.parquet`` file, or a folder that then gets ``embeddings.MODEL.parquet``: ``id``,
        ``text_hash``, ``embeddings`` (fixed-size lists of float32, null where not usable), and
        how they were made in the file's metadata. The next call takes from it the vectors of
        all cards that say what they said, and computes only the others; ``"lsa"`` takes all or
        none, as each of its vectors depends on all cards. Needs ``id``.
    name : str, optional
        The name of the model in the saved file: needed to save what a callable gives.
    progress : bool or callable, default False
        True writes to standard error how many cards are done; a callable gets cards done and
        cards in all after each batch. ``"lsa"`` has none.

    Returns
    -------
    np.ndarray of float32, shape (n_cards, k)
        Rows of length 1 with ``"lsa"``, as they come from a model (means of passages are not
        scaled). A row is all NaN for a card without text and tags, for one that shares no word
        with another card, and where a model gave no usable vector.

    Raises
    ------
    MissingColumn
        The cards have neither ``text`` nor ``tags``, or no `column`, or no ``id`` to save with.
    NoFigure
        No card says anything.
    CardlabError
        A model that cannot be loaded (without the extra: with the line that installs it), a
        callable that gives something other than a row for each text, or a file at `save` that
        holds something else.

    Notes
    -----
    Deerwester et al. (1990), Indexing by latent semantic analysis, JASIS 41(6); the SVD after
    Halko, Martinsson and Tropp (2011), SIAM Review 53(2). Reimers and Gurevych (2019),
    Sentence-BERT.
    """
    whole_number(n_components, 1, name="n_components")
    whole_number(random_state, 0, name="random_state")
    if max_tokens is not None:
        whole_number(max_tokens, 8, name="max_tokens")
    is_lsa = isinstance(model, str) and model == "lsa"
    if is_lsa and column is not None:
        raise schema.CardlabError("column is for a model; 'lsa' reads text and tags.")
    if save is not None:
        schema.require(cards, "id")
        if callable(model) and not name:
            raise schema.CardlabError(
                "to save what a callable gives, name the model: embed(cards, model=..., "
                "name='...', save=...). Vectors of another model under the same name would be "
                "taken for its own."
            )
    if is_lsa:
        return _with_lsa(cards, n_components, random_state, save)
    documents = _documents(cards, column)
    ready = encoder(model, max_tokens=max_tokens, name=name)
    return _with_model(cards, documents, ready, column, save, progress)


def _with_lsa(
    cards: Any, n_components: int, random_state: int, save: str | os.PathLike[str] | None
) -> Floats:
    texts = said(cards)
    if save is None:
        return lsa(texts, n_components, random_state).x
    path = store.place(save, "lsa")
    settings = {"model": "lsa", "n_components": n_components, "random_state": random_state}
    text_hash = store.keys(texts.select(pl.concat_str("text", "tags", separator="\0")).to_series())
    x, known = store.stored(path, text_hash, settings)
    if not known.all():
        x = lsa(texts, n_components, random_state).x
        settings["texts"] = store.corpus(text_hash)
        store.write(path, _ids(cards), text_hash, x, settings)
    return x


def _with_model(
    cards: Any,
    documents: pl.Series,
    model: Encoder,
    column: str | None,
    save: str | os.PathLike[str] | None,
    progress: Progress,
) -> Floats:
    """Read the distinct documents that are not stored, the longest first, batch by batch."""
    text_hash = store.keys(documents)
    settings = {"model": model.name, "max_tokens": model.max_tokens, "column": column}
    path = None if save is None else store.place(save, str(model.name))
    x, known = (
        np.empty((len(documents), 0), np.float32),
        pl.repeat(False, len(documents), eager=True),
    )
    if path is not None:
        x, known = store.stored(path, text_hash, settings)
    todo = (
        pl.DataFrame({"text_hash": text_hash, "known": known})
        .with_row_index("row")
        .filter(~pl.col("known"))
        .group_by("text_hash")
        .agg("row", first=pl.col("row").min())
    )
    whole = documents.list.join("") if documents.dtype == schema.STRINGS else documents
    sizes = whole.str.len_chars()
    # By content, not by place: the vectors do not depend on the order of the cards.
    todo = todo.with_columns(size=sizes.gather(todo["first"])).sort(
        "size", "text_hash", descending=[True, False]
    )
    if done := int(known.sum()):
        _report(progress, done, len(documents))
    for batch in todo.iter_slices(BATCH):
        passages = [model.passages(text) for text in documents.gather(batch["first"]).to_list()]
        says = [i for i, found in enumerate(passages) if found]
        if says:
            part = model.mean([passages[i] for i in says])
            if not x.shape[1]:
                x = np.full((len(documents), part.shape[1]), np.nan, dtype=np.float32)
            _same_width(part.shape[1], x.shape[1])
            for i, vector in zip(says, part, strict=True):
                x[batch["row"][i].to_numpy()] = vector
        done += int(batch["row"].list.len().sum())
        _report(progress, done, len(documents))
    if not x.shape[1]:
        raise schema.NoFigure(f"none of the {len(x):,} cards has a passage to embed.")
    x = blanked(x, usable(x), owned=True)
    if path is not None and (todo.height or not path.exists()):
        store.write(path, _ids(cards), text_hash, x, settings)
    return x


def said(cards: Any) -> pl.DataFrame:
    """Collect what the cards say, as ``text`` and ``tags``; raises NoFigure where none does."""
    texts = card_texts(cards)
    if not texts.select((pl.col("text") + pl.col("tags")).str.contains(r"\S").any()).item():
        raise schema.NoFigure(
            f"none of the {texts.height:,} cards has a text or a free tag to compute a vector from."
        )
    return texts


def _documents(cards: Any, column: str | None) -> pl.Series:
    """Give what a model reads of each card: a string, or a list of passages."""
    if column is None:
        text = pl.col("text").str.replace_all(TAGS_FOLLOW, " ", literal=True).str.strip_chars()
        document = pl.concat_str(text, "tags", separator=TAGS_FOLLOW)
        return said(cards).select(document).to_series()
    schema.require(cards, column)
    found = schema.collect(schema.lazy(cards).select(column)).to_series()
    if found.dtype == pl.String:
        return found.fill_null("")
    if found.dtype == schema.STRINGS:
        return found.fill_null(pl.Series([[]], dtype=schema.STRINGS))
    raise schema.CardlabError(
        f"column {column!r} must hold strings or lists of strings; it is {found.dtype}."
    )


def _ids(cards: Any) -> pl.Series:
    return schema.collect(schema.lazy(cards).select("id")).to_series().cast(pl.String)


def _same_width(found: int, expected: int) -> None:
    if found != expected:
        raise schema.CardlabError(
            f"the model gave vectors of {found} numbers, earlier ones have {expected}."
        )


def _report(progress: Progress, done: int, total: int) -> None:
    if callable(progress):
        progress(done, total)
    elif progress:
        end = "\n" if done == total else ""
        print(f"\rembed: {done:,} of {total:,} cards", end=end, file=sys.stderr, flush=True)
