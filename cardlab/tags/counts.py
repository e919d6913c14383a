"""On how many cards each tag is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from ..frames import Coded
from ..schema import at_least
from ..shares.authors import Population, author_column, author_columns, designs, interval
from .kinds import checked_kinds, read_tags
from .variants import mapping_of


def tag_counts(
    cards: Any,
    *,
    column: str = "tags",
    kinds: Sequence[str] | None = None,
    top: int | None = None,
    families: str | None = None,
    variants: Any = None,
    cluster: str | None = "author",
    population: Population = "sample",
) -> pl.DataFrame:
    """Count on how many cards each tag is.

    Parameters
    ----------
    cards : frame
        With `column`, a list of strings. A frame of an engine other than polars hands over the
        columns that are needed, nothing else.
    column : str
        ``"tags"``, ``"languages"``, ``"arxiv"``, ``"datasets"``, ``"base_model"``, ``"license"``.
    kinds : sequence of str, optional
        Only tags of these kinds; see :func:`tag_kind` and :func:`with_tag_kinds`.
    top : int, optional
        Only the most frequent.
    families : str, optional
        Counts copies once as well. The name of a column of family ids (null: in no family), or
        ``"text"``: cards with exactly equal text are a family, those with a blank or no text are
        in none. A family has the tags of its first card by ``id``; a card in no family is one
        of its own. With an engine other than polars, make the column of ids there: it would
        hand over all texts.
    variants : pl.DataFrame or mapping, optional
        Spellings to count as one: ``tag`` and ``canonical`` as :func:`tag_variants` proposes
        them, filtered to what one agrees with, or a mapping of tag to canonical form. Nothing is
        merged without it.
    cluster, population : str, optional
        Whose cards are alike, and whether the cards are a sample: as in :func:`license_counts`.

    Returns
    -------
    pl.DataFrame
        ``tag``, ``kind``, ``n_cards`` (a tag counts once a card), ``card_share`` (0-1, of all
        cards), ``share_low``, ``share_high`` (its 95 % interval; null of a census); with `families`
        also ``n_families`` and ``family_share`` (0-1, of all families); where authors are known
        ``design_effect``, ``n_effective``, ``n_authors``, ``top_author``, ``top_author_share``,
        ``is_reliable``, all as in :func:`license_counts`. Most cards first, then by name.

    Raises
    ------
    MissingColumn
        The cards have no such column; with `families` they need ``id`` and that column too.
    CardlabError
        `column` holds neither strings nor lists of strings, `kinds` names no kind, or `variants`
        is neither a mapping nor such a frame.

    Notes
    -----
    Of the texts only a hash of 64 bits is kept: of two million different ones, two have the same
    with a chance of one in ten million.

    Examples
    --------
    >>> cl.tag_counts(cl.make_cards(200), kinds=["task"])["tag", "n_cards", "card_share"].row(0)
    ('text-generation', 34, 0.17)
    """
    if top is not None:
        at_least(top, 1, name="top")
    kinds = checked_kinds(kinds)
    mapping = mapping_of(variants)
    author = author_column(cards, cluster, population)
    coded, kind, first, who = read_tags(
        cards, column, families=families, mapping=mapping, author=author
    )
    found = ranked(coded, kind, kinds)
    found = found.head(top) if top is not None else found
    n_cards, design, census = found["n_cards"], None, population == "census"
    if who is not None:
        design = _design(coded, found["code"], *who[1])
    shares = interval(n_cards, coded.n_cards, "card_share", "share", design=design, census=census)
    found = found.with_columns(shares)
    if families is not None:
        once = coded.of_cards(first)
        n_families = once.counts()[found["code"].to_numpy()]
        found = found.with_columns(
            pl.Series("n_families", n_families, dtype=pl.Int64),
            pl.Series("family_share", n_families / max(once.n_cards, 1), dtype=pl.Float64),
        )
    found = found.drop("code")
    if design is None:
        return found
    total = pl.lit(coded.n_cards)
    return author_columns(found, design, total=total, share="card_share", ends="share")


def _design(coded: Coded, kept: pl.Series, code: Any, names: pl.Series) -> pl.DataFrame:
    """Say how many independent cards the shares of some values are worth, in their order."""
    place = np.full(len(coded.names), -1)
    place[kept.to_numpy()] = np.arange(len(kept))
    value, author = place[coded.code], coded.of_each(code)
    one = np.zeros(coded.n_cards, dtype=np.int64)
    if (place < 0).any():
        value, author = value[value >= 0], author[value >= 0]
    (found,) = designs(
        (value, author),
        (one, code),
        group=np.zeros(len(kept), dtype=np.int64),
        names=names,
    )
    return found


def ranked(coded: Coded, kind: pl.Series | None, kinds: list[str] | None) -> pl.DataFrame:
    """Rank the values that are on any card, those of some kinds only if `kinds` says so.

    Gives ``code``, ``tag``, ``kind`` (if given), ``n_cards``; most cards first, then by name.
    """
    counts = pl.Series("n_cards", coded.counts())
    found = pl.DataFrame({"code": np.arange(len(counts)), "tag": coded.names})
    found = found.with_columns([*([] if kind is None else [kind]), counts])
    found = found.filter(pl.col("n_cards") > 0)
    if kinds is not None:
        found = found.filter(pl.col("kind").is_in(kinds))
    # names ascend with their codes, which are quicker to compare
    return found.sort(["n_cards", "code"], descending=[True, False])
