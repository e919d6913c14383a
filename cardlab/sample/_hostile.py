"""Cards whose strings would do harm, if anything of a card were run or obeyed.

Every one belongs to the author `mallory`. They replace the last rows of the corpus, so that
`cards.head()` is fit to be shown. What they try is to set `window.__pwned`, to change the title
or the screen of a terminal, to load something from outside, or to break a parser of lists.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import polars as pl

AUTHOR = "mallory"
SCRIPT = "</script><script>window.__pwned=1</script>"
IMAGE = '<img src=x onerror="window.__pwned=1">'
_REMOTE = "https://tracker.invalid"

Card = dict[str, Any]


def _script(card: Card) -> None:
    card["text"] = f"# Closing tags\n\n{SCRIPT}\n\n### Usage\n\nText after {SCRIPT}."


def _image(card: Card) -> None:
    card["text"] = f"# {IMAGE}\n\n### {IMAGE}\n\nA heading that is an image: {IMAGE}\n"
    _tag(card, IMAGE, SCRIPT)


def _link(card: Card) -> None:
    card["text"] = (
        "# Links\n\n[click me](javascript:window.__pwned=1) and <a href='JaVaScRiPt:window."
        "__pwned=1'>here</a>\n\n[data](data:text/html,<script>window.__pwned=1</script>)\n"
    )


def _terminal(card: Card) -> None:
    card["text"] = "# Terminal\n\n\x1b]0;renamed window\x07\x1b[2J\x1b[31mred\x1b[0m and on\n"
    _tag(card, "\x1b[2Jcleared")


def _bidi(card: Card) -> None:
    card["text"] = "# Direction\n\nThe file is called model\u202egnp.exe\u202c, or so it looks.\n"
    _tag(card, "safe\u202egnp.exe")


def _odd_tags(card: Card) -> None:
    card["text"] = "# Odd tags\n\nThe tags of this card hold commas, blanks and 300 letters.\n"
    _tag(card, "one, two, three", "  blanks around  ", "tab\there", "x" * 300, "a;b", 'quo"te')


def _many_tags(card: Card) -> None:
    card["text"] = "# Many tags\n\nFour hundred tags, which are 79,800 pairs from one card.\n"
    card["tags"] = [f"bulk-label-{number:03d}" for number in range(400)]
    card["metadata"] = json.dumps({"tags": card["tags"]})


def _license(card: Card) -> None:
    card["text"] = "# Licence\n\nThe licence is a piece of HTML.\n"
    card["license"] = [f"free {IMAGE}"]
    card["tags"] = [t for t in card["tags"] if not t.startswith("license:")]
    card["tags"].append(f"license:free {IMAGE}")
    card["metadata"] = json.dumps({"license": card["license"][0]})


def _controls(card: Card) -> None:
    card["text"] = (
        "# Controls\n\nC1 \x85\x9b31m\x90 and \x0b a vertical tab\x7f, \u200bzero\ufeff.\n"
    )


def _expression(card: Card) -> None:
    card["text"] = (
        "# Expression\n\n{{constructor.constructor('window.__pwned=1')()}} ${window.__pwned=1} "
        "datum['x'] === warn(event.view) `${7*7}` {% raw %}\n"
    )
    _tag(card, "datum['downloads'] > 0 || warn(1)", "{{7*7}}", "a.b[0]")


def _remote(card: Card) -> None:
    card["text"] = (
        f"# Remote\n\n![pixel]({_REMOTE}/pixel.png)\n\n"
        f"<style>@import url({_REMOTE}/a.css)</style>\n\n<iframe src='{_REMOTE}'></iframe>\n"
    )


def _refresh(card: Card) -> None:
    card["text"] = (
        f'# Refresh\n\n<meta http-equiv=refresh content="0;url={_REMOTE}">\n'
        f"<base href='{_REMOTE}'>\n"
    )


def _comment(card: Card) -> None:
    card["text"] = "# Comment\n\n<!-- a comment that never ends\n\n```\na fence that never ends\n"
    _tag(card, "<!--", "-->")


def _identity(card: Card) -> None:
    card["id"] = f'{AUTHOR}/"><svg onload="window.__pwned=1">'
    card["text"] = "# Name\n\nThe name of this card is a piece of HTML.\n"


# The first come first where the corpus is small.
_KINDS: tuple[tuple[str, Callable[[Card], None]], ...] = (
    ("script", _script),
    ("image-handler", _image),
    ("link", _link),
    ("terminal", _terminal),
    ("bidi", _bidi),
    ("odd-tags", _odd_tags),
    ("many-tags", _many_tags),
    ("license", _license),
    ("controls", _controls),
    ("expression", _expression),
    ("remote", _remote),
    ("refresh", _refresh),
    ("comment", _comment),
    ("identity", _identity),
)


def n_hostile(n_cards: int) -> int:
    """Count the hostile of `n_cards`: one in fifty, at most one of each kind."""
    return min(len(_KINDS), n_cards // 50)


def with_hostile(cards: pl.DataFrame) -> pl.DataFrame:
    """Make the last cards of the corpus hostile; `cards` need not have `text`."""
    count = n_hostile(cards.height)
    if not count:
        return cards
    start = cards.height - count
    rows = cards.tail(count).to_dicts()
    for row, (kind, change) in zip(rows, _KINDS, strict=False):
        row.update(_blank_card(row, kind))
        change(row)
    changed = [{name: row[name] for name in cards.columns} for row in rows]
    return pl.concat([cards.head(start), pl.DataFrame(changed, schema=cards.schema)])


def _blank_card(row: Card, kind: str) -> Card:
    """Return values that say nothing but a licence, before the kind's own change."""
    kept = [tag for tag in ("region:us", "license:mit", row["pipeline_tag"]) if tag]
    return {
        "id": f"{AUTHOR}/{kind}",
        "author": AUTHOR,
        "family": None,
        "tags": kept[::-1],
        "license": ["mit"],
        "languages": [],
        "arxiv": [],
        "datasets": [],
        "base_model": [],
        "library_name": None,
        "metadata": json.dumps({"license": "mit"}),
    }


def _tag(card: Card, *tags: str) -> None:
    card["tags"] = [*tags, *card["tags"]]
    card["metadata"] = json.dumps({"license": "mit", "tags": list(tags)})
