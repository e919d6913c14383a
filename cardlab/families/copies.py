"""``template_families`` and ``with_families``."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ..schema import CardlabError, collect, count, lazy, require, to_lazy_polars
from .grouping import Texts, find_families
from .naming import names_of
from .shingles import SHINGLE, text_key

__all__ = ["SHINGLE", "template_families", "with_families"]

_SCHEMA = {
    "family": pl.Int64, "name": pl.String, "kind": pl.String, "n_cards": pl.Int64,
    "card_share": pl.Float64, "n_texts": pl.Int64, "n_exact": pl.Int64,
    "shared_share": pl.Float64, "shared_low": pl.Float64, "example_id": pl.String,
    "n_total": pl.Int64, "n_blank": pl.Int64,
}  # fmt: skip


def template_families(cards: Any, *, threshold: float = 0.9) -> pl.DataFrame:
    """Find the cards that share a text, to the letter or nearly.

    Parameters
    ----------
    cards : frame
        With ``id`` and ``text``. A lazy polars frame is read two or three times, batch by batch;
        of a text some 500 bytes are kept, up to 4 kB more of one that may have a near copy. An
        engine other than polars hands over its ids and texts.
    threshold : float, default 0.9
        Jaccard similarity of the sets of shingles from which two texts are near copies: at least
        0.5, at most 1. 1 leaves copies that differ only in white space and punctuation.

    Returns
    -------
    pl.DataFrame
        One row a family of two cards or more, the largest first, then by ``example_id``:

        - ``family`` (Int64): its number, from 0, as in :func:`with_families`;
        - ``name``: the commonest words of its example that few other families use;
        - ``kind``: ``exact`` where all its cards have one text to the letter, else ``near``;
        - ``n_cards``, ``card_share`` (0-1, of all cards);
        - ``n_texts`` (different texts) and ``n_exact`` (cards that repeat, to the letter, the
          text of another: ``n_cards - n_texts``);
        - ``shared_share``, ``shared_low``: mean over its cards, and least, of the Jaccard
          similarity to the example (0-1; 1 for exact copies);
        - ``example_id``: the first id of the text that the family stands around;
        - ``n_total`` (cards looked at) and ``n_blank`` (of these, blank or without a text: they
          are in no family).

        No rows where no two cards share a text.

    Raises
    ------
    MissingColumn
        The cards lack ``id`` or ``text``.
    CardlabError
        `threshold` is not between 0.5 and 1.

    Notes
    -----
    A shingle is three consecutive words; a word is a run of letters, digits and underscores, and
    in scripts that set no blanks between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese)
    each single character. Punctuation and white space do not count, case does. A text of one or
    two words is one shingle; one without any word has exact copies only.

    Candidates come from MinHash signatures in bands (A. Z. Broder, "On the resemblance and
    containment of documents", 1997; P. Indyk and R. Motwani, 1998): two texts at the threshold
    meet with a chance of 0.999 or more. They are then compared by their shingles: exactly up to
    1,024 different ones, beyond by a sample of as many, whose standard error is below 0.01.

    Likeness is not transitive: a chain of small changes may lead from one text to a wholly
    different one. A family therefore stands around one text, that with the most copies (then
    with the most candidates, then the first by id), and takes in what is a near copy of any of
    its cards *and* at least ``2 * threshold - 1`` like that text. Where two families would overlap,
    the text stays with the one that grew first, and one that is a near copy of it only may be left
    alone. The order of the cards makes no difference.

    Of the texts only a hash of 64 bits tells exact copies: of two million different ones, two
    have the same with a chance of one in ten million.
    """
    texts = _find(cards, threshold)
    if not texts.example:
        return pl.DataFrame(schema=_SCHEMA)
    frame = _lazy_texts(cards)
    names = names_of(frame, texts.key[texts.example])
    n_total, n_read = count(frame), int(texts.copies.sum())
    copies = pl.col("copies")
    rows = (
        pl.DataFrame({"family": texts.family, "copies": texts.copies, "like": texts.like})
        .filter(pl.col("family") >= 0)
        .group_by("family")
        .agg(
            copies.sum().alias("n_cards"),
            pl.len().cast(pl.Int64).alias("n_texts"),
            ((pl.col("like") * copies).sum() / copies.sum()).alias("shared_share"),
            pl.col("like").min().alias("shared_low"),
        )
        .sort("family")
    )
    one = pl.col("n_texts") == 1
    return rows.with_columns(
        pl.Series("name", names, dtype=pl.String),
        pl.when(one).then(pl.lit("exact")).otherwise(pl.lit("near")).alias("kind"),
        (pl.col("n_cards") / n_total).alias("card_share"),
        (pl.col("n_cards") - pl.col("n_texts")).alias("n_exact"),
        texts.first_id.gather(texts.example).alias("example_id"),
        pl.lit(n_total).alias("n_total"),
        pl.lit(n_total - n_read).alias("n_blank"),
    ).select(pl.col(name).cast(dtype) for name, dtype in _SCHEMA.items())


def with_families(cards: Any, *, threshold: float = 0.9) -> Any:
    """Add the family of each card that shares its text with another.

    Parameters
    ----------
    cards : frame
        With ``id`` and ``text``, as for :func:`template_families`.
    threshold : float, default 0.9
        As there.

    Returns
    -------
    pl.DataFrame or pl.LazyFrame
        `cards` (lazy if it was lazy) with ``family`` (Int64), the number of
        :func:`template_families`; null where a card shares its text with none, or has none. A
        column of that name is replaced. Counts take it as ``families="family"``.

    Raises
    ------
    MissingColumn, CardlabError
        As in :func:`template_families`.

    Notes
    -----
    The texts are read at once, also those of a lazy frame: no card's family is known before all
    are. A lazy frame reads them once more where ``family`` is asked for.
    """
    texts = _find(cards, threshold)
    order = np.argsort(texts.key)
    keys, family = texts.key[order], texts.family[order]

    def look_up(values: pl.Series) -> pl.Series:
        if not len(keys):
            return pl.Series(values.name, [None] * values.len(), dtype=pl.Int64)
        wanted = values.fill_null(0).to_numpy()
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        there = (keys[at] == wanted) & values.is_not_null().to_numpy() & (family[at] >= 0)
        numbers = pl.Series(values.name, family[at], dtype=pl.Int64)
        return numbers.set(~pl.Series(there), None)

    frame = cards if isinstance(cards, (pl.DataFrame, pl.LazyFrame)) else to_lazy_polars(cards)
    number = text_key().map_batches(look_up, return_dtype=pl.Int64, is_elementwise=True)
    return frame.with_columns(number.alias("family"))


def _lazy_texts(cards: Any) -> pl.LazyFrame:
    """Give ids and texts lazily; an engine other than polars hands them over."""
    if isinstance(cards, (pl.DataFrame, pl.LazyFrame)):
        return cards.lazy().select("id", "text")
    return collect(lazy(cards).select("id", "text")).lazy()


def _find(cards: Any, threshold: float) -> Texts:
    number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
    if not number or not 0.5 <= threshold <= 1:
        raise CardlabError(f"threshold must be at least 0.5 and at most 1, not {threshold!r}.")
    require(cards, "id", "text")
    return find_families(_lazy_texts(cards), threshold=float(threshold))
