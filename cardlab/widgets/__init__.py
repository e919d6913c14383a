"""Explorers: from a picture to the cards, and to the code that gives them."""

from __future__ import annotations

from typing import Any

from ..schema import require
from .explorer import Explorer

__all__ = ["CardBrowser", "ClusterExplorer", "LengthExplorer", "TagExplorer", "explore", "link"]


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
        The cards that are left, in the order of the list, with the columns of `cards` but those
        that must be read out of each card of a raw file (front matter, texts): ``code`` names
        them, and ``select("id", "text")`` gives any.
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

    Examples
    --------
    >>> english = {"column": "language_codes", "op": "any", "value": ["en"]}
    >>> browser = cl.CardBrowser(cl.make_cards(200), state={"conditions": [english]})
    >>> browser.selection.collect().height
    61
    """

    panels = ("facets", "cards")


class TagExplorer(Explorer):
    """See which tags are on the same cards, and read the cards of a pair.

    Parameters, attributes and errors are those of :class:`CardBrowser`. The state has beside them
    ``measure`` (``n_cards``, ``npmi``, ``lift``, ``jaccard``), ``kinds`` of tags (see
    :func:`cardlab.tag_kind`) and ``support``: cards with both at least. Of the tags the 24 on most
    cards are shown; measures are those of :func:`cardlab.cooccurrence`, on the cards that are left.

    Examples
    --------
    >>> explorer = cl.TagExplorer(cl.make_cards(200), state={"measure": "npmi"})
    >>> explorer.selection.collect().height
    200
    """

    panels = ("pairs", "cards")

    def _prepare(self) -> None:
        require(self._engine.cards, "tags")


class LengthExplorer(Explorer):
    """Choose cards by the length of their texts, and see which sections they fill.

    Parameters, attributes and errors are those of :class:`CardBrowser`. The state has beside them
    ``length`` (a measure of :func:`cardlab.with_text_lengths`) and ``by`` (a column of groups, or
    ``""``). The sections are those of :func:`cardlab.card_coverage`, read when they are asked for.

    Examples
    --------
    >>> explorer = cl.LengthExplorer(cl.make_cards(200), state={"by": "pipeline_tag"})
    >>> explorer.state["length"], explorer.state["by"]
    ('n_words', 'pipeline_tag')
    """

    panels = ("lengths", "cards")

    def _prepare(self) -> None:
        require(self._engine.cards, "text")
        self._engine.read_sections()


class ClusterExplorer(Explorer):
    """Choose cards on a map, by roping points in or by their clusters, and read them.

    Parameters, attributes and errors are those of :class:`CardBrowser`, and these. The state has
    ``layer`` beside them: which clusters stand beside the map, ``""`` for the coarsest.

    Parameters
    ----------
    points : Atlas or pl.DataFrame, optional
        From :func:`cardlab.atlas`, by default the one that it makes of the cards; or from
        :func:`~.map_points`, a row for each card in their order: ``id``, ``x``, ``y``, the
        columns to colour by and, to choose clusters, ``cluster``.
    labels : pl.DataFrame, optional
        Names of clusters: ``cluster``, ``label`` from :func:`cardlab.cluster_summary`.

    Examples
    --------
    >>> from cardlab.embeddings.project import map_points
    >>> cards = cl.make_cards(200)
    >>> points = map_points(cards, x=cl.vectors(cards), method="pca")
    >>> cl.ClusterExplorer(cards, points=points).selection.collect().height
    200
    """

    panels = ("points", "cards")

    def _prepare(self, points: Any = None, labels: Any = None) -> None:
        self._engine.lay_out(points, labels)


class _All(Explorer):
    """All explorers in one, of which each filters the others."""

    def _prepare(self, points: Any = None, labels: Any = None) -> None:
        have, parts = self._engine.schema, ["facets"]
        if "tags" in have:
            parts.append("pairs")
        if "text" in have:
            parts.append("lengths")
            self._engine.read_sections()
        if points is not None:
            parts.append("points")
            self._engine.lay_out(points, labels)
        self.panels = (*parts, "cards")


def explore(source: Any, **given: Any) -> Explorer:
    """Lay out the explorers that a corpus has columns for; what is chosen in one filters all.

    Parameters
    ----------
    source : frame or any source of cards
        The cards, with ``id``. Tags need ``tags``, lengths ``text``, the map `points`.
    **given
        ``columns`` and ``state`` as in :class:`CardBrowser`, ``points`` and ``labels`` as in
        :class:`ClusterExplorer`.

    Returns
    -------
    Explorer
        One widget, with the attributes of :class:`CardBrowser` and the states of all.

    Raises
    ------
    MissingColumn, CardlabError
        As in these.

    Examples
    --------
    >>> explorer = cl.explore(cl.make_cards(200))
    >>> list(explorer.state["conditions"]), explorer.selection.collect().height
    ([], 200)
    """
    return _All(source, **given)


class link:
    """Let what is chosen in one explorer filter another, and the other way round.

    Parameters
    ----------
    one, other : explorers
        Of the same cards, or of others with the same ids. What only one has a column for reaches
        the other as a list of ids. The first begins.

    Attributes
    ----------
    unlink : callable
        Ends it.

    Examples
    --------
    >>> tags, lengths = cl.TagExplorer(cl.make_cards(200)), cl.LengthExplorer(cl.make_cards(200))
    >>> linked = cl.link(tags, lengths)  # until linked.unlink()
    >>> tags.state["conditions"] == lengths.state["conditions"]
    True
    """

    def __init__(self, one: Explorer, other: Explorer) -> None:
        self._ends = (one, other)
        #: What each got from the other in other words, and must not give back.
        self._lent: dict[Explorer, list[Any]] = {one: [], other: []}
        self._is_busy = False
        for end in self._ends:
            end.observe(self._carry, names="state")
        self._carry({"owner": one})

    def unlink(self) -> None:
        """Let each be by itself again."""
        for end in self._ends:
            end.unobserve(self._carry, names="state")

    def _carry(self, change: Any) -> None:
        giver = change["owner"]
        taker = self._ends[giver is self._ends[0]]
        if self._is_busy:
            return
        lent, given = [], []
        for one in giver.state["conditions"]:
            if one in self._lent[giver]:
                continue
            if taker._engine.knows(one):
                given.append(one)
            elif giver._engine.knows(one):
                lent.append(giver._engine.as_ids(one))
        own = [
            one
            for one in taker.state["conditions"]
            if not giver._engine.knows(one) and one not in self._lent[taker]
        ]
        self._lent[taker] = lent
        self._is_busy = True
        try:
            if taker.state["conditions"] != [*own, *given, *lent]:
                taker.state = {"conditions": [*own, *given, *lent]}
        finally:
            self._is_busy = False
