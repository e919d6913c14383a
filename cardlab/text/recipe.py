"""The text columns as the 18-column data set made them: what it dropped stays dropped.

Its steps, as far as its rows tell: links to their text and addresses to ``URL`` by patterns;
CommonMark to HTML; code blocks and tables left out; HTML to Markdown as markdownify 0.11.6 did it,
whose blank lines no later version keeps; parts from each ``#`` line on.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter as Counts
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from ..frames import narrow
from ..schema import NoFigure, column_names, require
from .markdown import MAX_NESTING, to_html

if TYPE_CHECKING:
    from .passages import Counter

#: What its model, of the E5 family, reads before each text.
PREFIX = "passage: "


def seed_text(markdown: str) -> str:
    """Give ``text_str`` of a card; headings of the first two levels are underlined."""
    # no link ends after the last bracket, where the pattern would look for one again and again
    end = markdown.rfind(")") + 1
    linked = _LINK.sub(lambda found: found[1] if found[2] else found[0], markdown[:end])
    html = to_html(_ADDRESS.sub("URL", linked + markdown[end:]))
    return _markdown(_tree(html)).strip()


def seed_parts(text: str) -> list[str]:
    """Split ``text_str`` at its ``#`` lines; what stands before the first is in no part."""
    return [part.strip() for part in _PART.split(text)[1:]]


def seed_input(parts: list[str], count: Counter, max_tokens: int, prefix: str) -> list[str]:
    """Join all parts behind the prefix, cut where they have more than `max_tokens`."""
    whole = prefix + "".join(parts)
    if count([whole])[0] > max_tokens:
        over = bisect_right(range(len(whole)), max_tokens, key=lambda end: count([whole[:end]])[0])
        whole = whole[: over - 1]
    return [whole]


# What fails to be a link is taken as a whole too, so that no bracket is looked at twice
_LINK = re.compile(r"\[([^\]]++)(\]\([^)]++\))?")
_ADDRESS = re.compile(r"https?://\S+")
_PART = re.compile(r"^(?=#{1,6} )", re.MULTILINE)


# ---- What such columns lack of their own cards.

_SAID = r"\S+"
_HEADINGS = r"(?m)^#{1,6} |^[^\n]*\S[^\n]*\n(?:=+|-+)[ \t]*$"


def recipe_losses(cards: Any) -> pl.DataFrame:
    """Count what the text columns that a corpus brings leave out of their own cards.

    Parameters
    ----------
    cards : frame
        With ``text_str`` and ``text_lists``, as the 18-column data set and :func:`with_sections`
        have them; with ``text`` and ``input_texts`` the last row is counted too.

    Returns
    -------
    pl.DataFrame
        ``lost``, ``n_lost``, ``n_total``, ``lost_share`` (0-1; null of nothing), a row for each of:

        - ``"words"`` and ``"headings"`` of ``text_str`` that are in no entry of ``text_lists``
          (headings as ``#`` lines or underlined);
        - ``"beginnings"``: cards with words of which some are in no entry;
        - ``"whole cards"``: those of them that have no entry, so that only tags stand for them;
        - ``"other card"``: cards with the very ``input_texts`` of a card with another text; one
          model gives both one vector.

        Facts of these cards, so without an interval. Cards whose ``text_str`` or ``text_lists`` is
        null are not counted.

    Raises
    ------
    MissingColumn
        The cards lack ``text_str`` or ``text_lists``.
    NoFigure
        No card has both.
    """
    require(cards, "text_str", "text_lists")
    pair = ["text", "input_texts"]
    twins = set(pair) <= set(column_names(cards))
    parts = pl.col("text_lists").list.join("\n\n\n", ignore_nulls=True)
    counts = {
        f"{what}_{where}": of.str.count_matches(pattern)
        for what, pattern in (("words", _SAID), ("headings", _HEADINGS))
        for where, of in (("all", pl.col("text_str")), ("kept", parts))
    }
    inputs = pl.col("input_texts").list.join("\0", ignore_nulls=True)
    hashes = {"text": pl.col("text").hash(), "input": inputs.hash()} if twins else {}
    found = (
        narrow(cards, ["text_str", "text_lists", *pair] if twins else ["text_str", "text_lists"])
        .drop_nulls(["text_str", "text_lists"])
        .select(**counts, **hashes)
        .collect(engine="streaming")
    )
    if found.is_empty():
        raise NoFigure("no card has both text_str and text_lists.")
    lost = pl.col("words_all") > pl.col("words_kept")
    rows = {
        what: (pl.max_horizontal(whole - pl.col(f"{what}_kept"), 0), whole)
        for what in ("words", "headings")
        for whole in [pl.col(f"{what}_all").cast(pl.Int64)]
    }
    rows |= {"beginnings": (lost, pl.col("words_all") > 0)}
    rows |= {"whole cards": (lost & (pl.col("words_kept") == 0), pl.col("words_all") > 0)}
    if twins:
        known = pl.col("text").is_not_null() & pl.col("input").is_not_null()
        rows |= {"other card": (known & (pl.col("text").n_unique().over("input") > 1), known)}
    return pl.concat(
        found.select(
            lost=pl.lit(what), n_lost=some.cast(pl.Int64).sum(), n_total=whole.cast(pl.Int64).sum()
        )
        for what, (some, whole) in rows.items()
    ).with_columns(lost_share=pl.col("n_lost") / pl.when(pl.col("n_total") > 0).then("n_total"))


# ---- HTML to Markdown.

_LISTS = ("ul", "ol")
_NESTED = (*_LISTS, "li", "thead", "tbody", "tfoot", "tr", "td", "th")
_MARKS = {
    **{"b": "**", "strong": "**", "em": "*", "i": "*", "del": "~~", "s": "~~"},
    **{"kbd": "`", "samp": "`", "sub": "", "sup": ""},
}
_HEADING = re.compile(r"h([1-9])").fullmatch
_VOID = re.compile(
    "area|base|basefont|bgsound|br|col|command|embed|frame|hr|image|img|input|isindex|keygen|link|"
    "menuitem|meta|nextid|param|source|spacer|track|wbr"
).fullmatch
_SPACES = " \t\n\r\f\v"
_BLANKS = re.compile(r"[\t ]+")


class _Node(NamedTuple):
    """An element; a comment is one without a name."""

    name: str
    attributes: dict[str, str | None]
    children: list[_Node | str]


class _Tree(HTMLParser):
    """Elements as they are written: one that is never closed holds what follows.

    Code blocks and tables stand in nothing, so that the texts around them are one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.open = [_Node("", {}, [])]
        self.names = Counts[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = _Node(tag, dict(attrs), [])
        if tag not in ("pre", "table"):
            self.open[-1].children.append(node)
        if not _VOID(tag):
            self.open.append(node)
            self.names[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        while self.names[tag]:
            name = self.open.pop().name
            self.names[name] -= 1
            if name == tag:
                break

    def handle_data(self, data: str) -> None:
        children = self.open[-1].children
        if children and isinstance(children[-1], str):
            children[-1] += data
        else:
            children.append(data)

    handle_pi = handle_data

    def unknown_decl(self, data: str) -> None:
        self.handle_data(data.removeprefix("CDATA["))

    def handle_comment(self, data: str) -> None:
        self.open[-1].children.append(_Node("", {}, []))

    def handle_decl(self, decl: str) -> None:
        self.handle_comment(decl)


def _tree(html: str) -> _Node:
    """Parse HTML as the standard library does; what it refuses to read becomes text.

    So does what never ends, to which it would look for an end from each of its signs.
    """
    for sign, ends in (("<!--", "-->"), ("<", ">")):
        end = html.rfind(ends) + 1
        html = html[:end] + html[end:].replace(sign, "&lt;" + sign[1:])
    for text in (html, html.replace("<!", "&lt;!")):
        tree = _Tree()
        try:
            tree.feed(text)
            tree.close()
            break
        except AssertionError:  # of a declaration that it does not know
            continue
    return tree.open[0]


class _Place(NamedTuple):
    """Where an element stands: in what, as which part, before more than lists, and how deep."""

    parent: _Node
    number: int
    gap: bool
    inline: bool
    items: int
    quotes: int


def _markdown(root: _Node) -> str:
    """Write a tree as Markdown, the innermost first: no card is nested too deep for a loop."""
    place = _Place(root, 0, False, False, 0, 0)
    order = [(root, place, _children(root))]
    for tag, place, children in order:  # which grows by the children of each
        inline = place.inline or bool(_HEADING(tag.name)) or tag.name in ("td", "th")
        deep = (place.items + (tag.name == "li"), place.quotes + (tag.name == "blockquote"))
        pairs = zip(children, [*children[1:], None], strict=False)
        for number, (child, after) in enumerate(pairs):
            if isinstance(child, _Node):
                gap = after is not None and not _is(after, _LISTS)
                order.append((child, _Place(tag, number, gap, inline, *deep), _children(child)))
    said: dict[int, str] = {}
    for tag, place, children in reversed(order):
        texts = [
            said.pop(id(child))
            if isinstance(child, _Node)
            else _words(child, before_list=tag.name == "li" and _is(after, _LISTS))
            for child, after in zip(children, [*children[1:], None], strict=False)
        ]
        said[id(tag)] = _element(tag, "".join(texts), place)
    return said[id(root)]


def _children(tag: _Node) -> list[_Node | str]:
    """Give what is in an element; blanks alone are one line end, or none at the edges of lists."""
    kept = []
    beside = zip([None, *tag.children], tag.children, [*tag.children[1:], None], strict=False)
    for before, child, after in beside:
        if isinstance(child, str) and not child.strip(_SPACES):
            at_edge = before is None or after is None or _is(before, _NESTED) or _is(after, _NESTED)
            if at_edge and tag.name in _NESTED:
                continue
            child = "\n" if "\n" in child else " "
        kept.append(child)
    return kept


def _is(node: _Node | str | None, names: tuple[str, ...]) -> bool:
    return isinstance(node, _Node) and node.name in names


def _words(text: str, *, before_list: bool) -> str:
    """Write a text; what Markdown would take for emphasis is escaped."""
    words = _BLANKS.sub(" ", text).replace("*", r"\*").replace("_", r"\_")
    return words.rstrip() if before_list else words


def _element(tag: _Node, inner: str, place: _Place) -> str:
    """Write one element around what is in it."""
    name = tag.name
    if name == "code":
        return f"'{inner}'"
    if name in _MARKS or name == "a":
        words = inner.strip()
        if not words:
            return ""
        if name == "a":
            return _link(tag, inner)
        words = _MARKS[name] + words + _MARKS[name]
        return " " * inner.startswith(" ") + words + " " * inner.endswith(" ")
    if name == "img":
        alt, source = tag.attributes.get("alt") or "", tag.attributes.get("src") or ""
        return alt if place.inline else f"![{alt}]({source}{_title(tag)})"
    if name == "li":
        sign = "*"
        if place.parent.name == "ol":
            start = str(place.parent.attributes.get("start") or 1)
            start = start if re.fullmatch("[0-9]{1,9}", start) else "1"
            sign = f"{int(start) + place.number}."
        return f"{sign} {inner.strip()}\n"
    if name in _LISTS:
        if place.items:
            begin = "\n\t" if inner and place.items < MAX_NESTING else "\n"
            return "\n" + (begin + inner.replace("\n", begin))[1:].rstrip()
        return f"{inner}\n" if place.gap else inner
    return _block(name, inner, place)


def _block(name: str, inner: str, place: _Place) -> str:
    """Write what stands in lines of its own; any other element is what is in it."""
    if name == "hr":
        return "\n\n---\n\n"
    if place.inline:
        return "" if name == "br" else inner
    if name == "br":
        return "  \n"
    if name == "p":
        return f"{inner}\n\n" if inner else ""
    if name == "blockquote":
        if place.quotes >= MAX_NESTING:
            return inner
        return "\n> " + inner.replace("\n", "\n> ") + "\n\n" if inner else ""
    if level := _HEADING(name):
        title = inner.rstrip()
        if level[1] not in "12":
            return f"{'#' * int(level[1])} {title}\n\n"
        return f"{title}\n{'=-'[level[1] == '2'] * len(title)}\n\n" if title else ""
    return inner


def _link(tag: _Node, inner: str) -> str:
    """Write a link that was written in HTML, or goes by a reference."""
    target, words = tag.attributes.get("href"), inner.strip()
    if not target:
        return words
    if not tag.attributes.get("title") and words.replace(r"\_", "_") == target:
        return f"<{target}>"
    words = f"[{words}]({target}{_title(tag)})"
    return " " * inner.startswith(" ") + words + " " * inner.endswith(" ")


def _title(tag: _Node) -> str:
    title = str(tag.attributes.get("title") or "").replace('"', r"\"")
    return f' "{title}"' if title else ""
