"""Explorers: from a picture to the cards, and to the code that gives them."""

from __future__ import annotations

from typing import Any

import polars as pl

from ..coverage.coverage import card_coverage
from ..schema import require
from .explorer import Explorer
from .facets import facet_of

__all__ = ["CardBrowser", "LengthExplorer", "TagExplorer", "explore", "link"]


class CardBrowser(Explorer):
    """Search the cards, filter them by what they declare, and read one.

    Parameters
    ----------
    cards : frame or any source of cards
        With ``id``; what else is there of the usual columns can be filtered by. Columns are read
        when they are first shown, a card's text when the card is opened.
    columns : sequence of str, optional
        The columns to filter by: strings, lists of strings, numbers or dates; also what follows
        from others (``license_class``, ``language_codes``, lengths). By default licence class,
        languages, task, library, author, tags, date and downloads, as far as they are there.
    state : mapping, optional
        Where to begin, as :attr:`state` gives it; a part of it is enough.

    Attributes
    ----------
    selection : pl.LazyFrame
        The cards that are left, in the order of the list, with all columns of `cards`.
    code : str
        The calls that assign the same frame to ``selection``, from the variable ``cards``.
    state : dict
        ``conditions`` (list of mappings ``column``, ``op``, ``value``), ``sort``, ``open`` (the row
        of the card that is read) and what the explorer has beside; set it to move the explorer.
    selection_changed : int
        How often the selection has changed: ``explorer.observe(f, names="selection_changed")``.

    Raises
    ------
    MissingColumn
        The cards have no ``id``, or none of a name in `columns`.
    CardlabError
        `state` has a part that is not known.
    """

    panels = ("facets", "cards")


class TagExplorer(Explorer):
    """See which tags are on the same cards, and read the cards of a pair.

    Parameters, attributes and errors are those of :class:`CardBrowser`. The state has beside them
    ``measure`` (``n_cards``, ``npmi``, ``lift``, ``jaccard``), ``kinds`` of tags (see
    :func:`cardlab.tag_kind`) and ``support``: cards with both at least. Of the tags the 24 on most
    cards are shown; measures are those of :func:`cardlab.cooccurrence`, on the cards that are left.
    """

    panels = ("pairs", "cards")

    def _prepare(self) -> None:
        require(self._engine.cards, "tags")


class LengthExplorer(Explorer):
    """Choose cards by the length of their texts, and see which sections they fill.

    Parameters, attributes and errors are those of :class:`CardBrowser`. The state has beside them
    ``length`` (a measure of :func:`cardlab.with_text_lengths`) and ``by`` (a column of groups, or
    ``""``). The sections are those of :func:`cardlab.card_coverage`, read when they are asked for.
    """

    panels = ("lengths", "cards")

    def _prepare(self) -> None:
        require(self._engine.cards, "text")
        _with_sections(self._engine)


def _with_sections(engine: Any) -> None:
    """Let the sections that cards fill be filtered by, once they are asked for."""

    def read() -> Any:
        states = card_coverage(engine.cards).filter(pl.col("state") == "filled")
        filled = states.group_by("id", maintain_order=True).agg(section=pl.col("section"))
        cards = (
            engine.listed.lazy()
            .select("id")
            .join(filled.lazy(), on="id", how="left", maintain_order="left")
        )
        return facet_of(cards, "section")

    engine.makers["section"] = read


def explore(cards: Any, **given: Any) -> Explorer:
    """Lay out the explorers that a corpus has columns for, linked: each filters the others."""
    return Explorer(cards, **given)


def link(a: Explorer, b: Explorer) -> Any:
    """Let what is chosen in one explorer filter the other, and the other way round."""
    return None
