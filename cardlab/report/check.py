"""Look at a finished page before it takes the place of an older one."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

from ..schema import ReportError

_LOADING_TAGS = {"iframe", "object", "embed", "link", "base", "frame", "video", "audio", "source"}
_LOADING_ATTRIBUTES = {"src", "srcset", "data", "poster", "background", "action", "formaction"}
_STYLE_LOADS = re.compile(r"url\(|@import|image-set\(", re.IGNORECASE)


class _Reader(HTMLParser):
    """Collects what a page would load, run and show."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.problems: list[str] = []
        self.n_charts = self.n_tables = self.n_maps = self.n_h1 = 0
        self.has_policy = False
        self._inside: str | None = None
        self._text: list[str] = []
        self.n_words = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        classes = found.get("class", "").split()
        self.n_charts += tag == "figure" and "chart" in classes
        self.n_maps += tag == "figure" and "map" in classes
        self.n_tables += tag == "section" and "table" in classes
        self.n_h1 += tag == "h1"
        if tag in _LOADING_TAGS:
            self.problems.append(f"a <{tag}> element")
        for name, value in found.items():
            loads = name in _LOADING_ATTRIBUTES and not value.startswith("data:")
            if loads or name.startswith("on") or (name == "style" and _STYLE_LOADS.search(value)):
                self.problems.append(f"<{tag} {name}=...>")
        if tag == "meta" and "http-equiv" in found:
            if found["http-equiv"] == "Content-Security-Policy":
                self.has_policy = True
            else:
                self.problems.append(f"<meta http-equiv={found['http-equiv']!r}>")
        if tag in {"script", "style"}:
            kind = found.get("type", "")
            self._inside = "json" if kind == "application/json" else tag if not kind else "data"
            self._text = []

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"script", "style"} or self._inside is None:
            return
        text = "".join(self._text)
        if self._inside == "json":
            try:
                json.loads(text)
            except ValueError as error:
                self.problems.append(f"a block of broken JSON ({error})")
        elif self._inside == "style" and _STYLE_LOADS.search(text):
            self.problems.append("a style sheet that loads something")
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside is None:
            self.n_words += len(data.split())
        else:
            self._text.append(data)


def check_page(
    html: str, *, name: str, n_charts: int = 0, n_tables: int = 0, n_maps: int = 0
) -> None:
    """Raise a ReportError unless a page is whole, loads nothing and holds what it should."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    problems = list(reader.problems)
    if not html.rstrip().endswith("</html>"):
        problems.append("it does not end with </html>")
    if not reader.has_policy:
        problems.append("no Content-Security-Policy")
    if reader.n_h1 != 1:
        problems.append(f"{reader.n_h1} h1 headings instead of one")
    if reader.n_words < 5:
        problems.append("no text")
    for word, found, expected in (
        ("charts", reader.n_charts, n_charts),
        ("tables", reader.n_tables, n_tables),
        ("maps", reader.n_maps, n_maps),
    ):
        if found != expected:
            problems.append(f"{found} {word} instead of {expected}")
    if problems:
        raise ReportError(
            f"The page of {name} was not written, because it has {'; '.join(problems[:5])}. "
            "Please report this: a page should never come out so."
        )
