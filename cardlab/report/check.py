"""Look at a finished page before it takes the place of an older one."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser

from ..schema import ReportError

_LOADING_TAGS = {"iframe", "object", "embed", "link", "base", "frame", "video", "audio", "source"}
_LOADING_ATTRIBUTES = {"src", "srcset", "data", "poster", "background", "action", "formaction"}
_STYLE_LOADS = re.compile(r"url\(|@import|image-set\(", re.IGNORECASE)


class _Reader(HTMLParser):
    """Collects what a page would load, and counts what it shows."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.problems: list[str] = []
        self.counts: Counter[str] = Counter()
        self._inside = ""  # json, style, or what else is no text
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.counts.update([tag, *(f"{tag}.{name}" for name in found.get("class", "").split())])
        if tag in _LOADING_TAGS:
            self.problems.append(f"a <{tag}> element")
        for name, value in found.items():
            loads = name in _LOADING_ATTRIBUTES and not value.startswith("data:")
            if loads or name.startswith("on") or (name == "style" and _STYLE_LOADS.search(value)):
                self.problems.append(f"<{tag} {name}=...>")
        if tag == "meta" and "http-equiv" in found:
            self.counts[found["http-equiv"]] += 1
            if found["http-equiv"] != "Content-Security-Policy":
                self.problems.append(f"<meta http-equiv={found['http-equiv']!r}>")
        if tag in {"script", "style"}:
            self._inside, self._text = found.get("type", "") or tag, ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self._text += data
        else:
            self.counts["words"] += len(data.split())

    def handle_endtag(self, tag: str) -> None:
        if self._inside == "application/json":
            try:
                json.loads(self._text)
            except ValueError as error:
                self.problems.append(f"a block of broken JSON ({error})")
        elif self._inside == "style" and _STYLE_LOADS.search(self._text):
            self.problems.append("a style sheet that loads something")
        self._inside = ""


def check_page(
    html: str, *, name: str, n_charts: int = 0, n_tables: int = 0, n_maps: int = 0
) -> None:
    """Raise a ReportError unless a page is whole, loads nothing and holds what it should."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    problems, counts = reader.problems, reader.counts
    if not html.rstrip().endswith("</html>"):
        problems.append("it does not end with </html>")
    if not counts["Content-Security-Policy"]:
        problems.append("no Content-Security-Policy")
    if counts["words"] < 5:
        problems.append("no text")
    expected = {"h1": 1, "figure.chart": n_charts, "section.table": n_tables, "figure.map": n_maps}
    words = ("h1 headings", "charts", "tables", "maps")
    problems += [
        f"{counts[key]} {word} instead of {n}"
        for word, (key, n) in zip(words, expected.items(), strict=True)
        if counts[key] != n
    ]
    if problems:
        raise ReportError(
            f"The page of {name} was not written, because it has {'; '.join(problems[:5])}. "
            "Please report this: a page should never come out so."
        )
