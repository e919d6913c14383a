"""Untrusted text to HTML that cannot act.

A card's author decides what stands in tags, titles and tables. Everything that reaches a page
goes through one of these functions: escaped, cleaned with nh3, or stored as data.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

#: Characters of one text (a cell, an id, a caption), of one list, and of one run of printed text
#: that a page keeps.
MAX_TEXT, MAX_LIST, MAX_PRINTED = 2_000, 100_000, 100_000

# C0 and C1 controls but tab and newline, the bidirectional controls, and lone surrogates (which
# cannot be written as UTF-8 at all).
_ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_ANSI = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles and links
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b[@-_]"
)
_TAG_OR_TEXT = re.compile(r'<(?:[^<>"]|"[^"]*")*>|[^<]+')
_HALF_ENTITY = re.compile(r"&[#\w]{0,32}\Z")
_DATA_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+")
_LINK = re.compile(r"(?:https?://|mailto:|#)[^\x00-\x20]*", re.IGNORECASE)
_NOTEBOOK_LINK = re.compile(r"(?:\./)?([\w-]+)\.ipynb(#[\w-]*)?")
_ALLOWED_CLASS = re.compile(r"cl-[a-z0-9-]{1,40}|dataframe")

_TAGS = {
    *("a", "abbr", "b", "bdi", "blockquote", "br", "caption", "cite", "code", "col", "colgroup"),
    *("dd", "del", "details", "dfn", "div", "dl", "dt", "em", "figcaption", "figure", "hr", "i"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre"),
    *("q", "s", "samp", "small", "span", "strong", "sub", "summary", "sup", "table", "tbody"),
    *("td", "tfoot", "th", "thead", "time", "tr", "u", "ul", "var", "wbr"),
}
_ATTRIBUTES = {
    "*": {"class", "title", "lang", "dir"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan", "align"},
    "th": {"colspan", "rowspan", "scope", "align"},
    "ol": {"start"},
    "col": {"span"},
    "details": {"open"},
    "time": {"datetime"},
}
# The words inside these are no text for a reader.
_DROPPED_WITH_CONTENT = {
    *("script", "style", "iframe", "object", "embed", "template", "noscript", "svg", "math"),
    *("title", "textarea", "select", "noembed", "noframes", "xmp", "plaintext"),
}


def visible(text: str) -> str:
    """Replace what would act on a reader's screen instead of being seen."""
    return _ACTING.sub("\ufffd", text.replace("\r\n", "\n"))


@dataclass
class Cuts:
    """Makes texts visible and short, and counts those that it cut."""

    n: int = 0

    def __call__(self, text: str, most: int = MAX_TEXT) -> str:
        """Give a text of about ``most`` characters; a hash tells apart what begins alike."""
        if len(text) <= most:
            return visible(text)
        self.n += 1
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        return visible(f"{text[:most]}… [cut: {len(text):,} characters, {digest}]")

    def items(self, value: Any) -> Any:
        """Give a list whose items have ``MAX_LIST`` characters at most, a mapping as short text."""
        if not isinstance(value, (list, dict)) or len(json.dumps(value)) <= MAX_LIST:
            return value
        if isinstance(value, dict):
            return self(json.dumps(value, ensure_ascii=False))
        room, kept = MAX_LIST, 0
        while (room := room - len(json.dumps(value[kept]))) > 0:
            kept += 1
        self.n += 1
        return [*value[:kept], f"… [cut: {len(value):,} items]"]

    def markup(self, fragment: str) -> str:
        """Cut the long texts of cleaned HTML, whose tags stay whole."""

        def short(match: re.Match[str]) -> str:
            if match[0].startswith("<") or len(match[0]) <= MAX_PRINTED:
                return match[0]
            self.n += 1
            kept = _HALF_ENTITY.sub("", match[0][:MAX_PRINTED])
            return f"{kept}… [cut: {len(match[0]):,} characters]"

        return _TAG_OR_TEXT.sub(short, fragment)


def strip_ansi(text: str) -> str:
    """Remove terminal colours and the other escape sequences."""
    return _ANSI.sub("", text)


def escape(text: str) -> str:
    """Return text as HTML that shows it, controls made visible."""
    return html.escape(visible(text))


def markdown(text: str, *, siblings: Collection[str] = ()) -> str:
    """Return Markdown as HTML; raw HTML in it is shown, not obeyed.

    Links to the notebooks of `siblings`, reports in the same folder, become links to these.
    """
    import mistune

    render = mistune.create_markdown(escape=True, plugins=["table", "strikethrough", "footnotes"])
    rendered = render(visible(text))
    assert isinstance(rendered, str)
    return clean_html(rendered, siblings=siblings)


def clean_html(fragment: str, *, siblings: Collection[str] = ()) -> str:
    """Return an HTML fragment with only harmless tags, attributes, links and images.

    No ids, so that nothing can stand in for an element that our scripts look up; no styles; of
    the classes only ours (``cl-...``) and ``dataframe``.
    """
    import nh3

    def keep(tag: str, attribute: str, value: str) -> str | None:
        if attribute == "src":
            return value if _DATA_IMAGE.fullmatch(value) else None
        if attribute == "href" and len(value) > MAX_TEXT:
            return None
        if attribute == "href":
            link = _NOTEBOOK_LINK.fullmatch(value)
            if link and link[1] in siblings:
                return f"{link[1]}.html{link[2] or ''}"
            return value if _LINK.fullmatch(value) else None
        if attribute == "class":
            return " ".join(filter(_ALLOWED_CLASS.fullmatch, value.split())) or None
        return value if len(value) <= MAX_TEXT else f"{value[:MAX_TEXT]}…"

    return visible(
        nh3.clean(
            fragment,
            tags=_TAGS,
            clean_content_tags=_DROPPED_WITH_CONTENT,
            attributes=_ATTRIBUTES,
            attribute_filter=keep,
            url_schemes={"http", "https", "mailto", "data"},
            link_rel="noopener noreferrer",
        )
    )


def text_of(fragment: str) -> str:
    """Return the text of cleaned HTML on one line."""
    return " ".join(html.unescape(re.sub(r"<[^<>]*>", "", fragment)).split())


def visible_values(value: Any, shown: Callable[[str], str] = visible) -> Any:
    """Apply ``shown`` to every string and key of a JSON value; NaN becomes None."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, dict):
        return {shown(str(key)): visible_values(item, shown) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [visible_values(item, shown) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
