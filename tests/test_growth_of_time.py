"""Time grows with the length of a card, not with its square: tables, Markdown, HTML and YAML."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import linregress

import cardlab as cl
from cardlab.text.lengths import text_problems

Shape = Callable[[int], str]


def again(unit: str) -> Shape:
    return lambda n: unit * max(1, n // len(unit))


def numbered(line: str, first: str = "") -> Shape:
    return lambda n: first + "".join(line.format(i) for i in range(n // (len(line) + 3)))


def sparse(n: int, columns: int, rows: int) -> str:
    return "|a" * columns + "|\n" + "|-" * columns + "|\n" + "|b\n" * rows


def within(lead: str) -> Shape:
    return lambda n: "".join(f"{lead}{line}\n" for line in sparse(n, n // 6, n // 12).splitlines())


MARKDOWN: dict[str, Shape] = {
    "one wide table": lambda n: sparse(n, n // 4, 12),
    "wide and long": lambda n: sparse(n, n // 6, n // 12),
    "a hundred columns, empty rows": lambda n: sparse(n, 100, n // 3),
    "few columns, empty rows": lambda n: sparse(n, 30, n // 3),
    "square": lambda n: (
        ("|a" * math.isqrt(n // 2) + "|\n")
        + ("|-" * math.isqrt(n // 2) + "|\n")
        + ("|b" * math.isqrt(n // 2) + "|\n") * math.isqrt(n // 2)
    ),
    "long": lambda n: "|a|b|\n|-|-|\n" + "|1|2|\n" * (n // 6),
    "ragged": lambda n: "|a|b|\n|-|-|\n" + "".join("|x" * (i % 50) + "|\n" for i in range(n // 50)),
    "no outer marks": lambda n: "a|" * (n // 4) + "a\n" + "-|" * (n // 4) + "-\n" + "b\n" * 12,
    "in a quote": within("> "),
    "in a list": lambda n: "- x\n\n" + within("  ")(n),
    "in a list of a quote": lambda n: "> - x\n>\n" + within(">   ")(n),
    "many small": again("|a|b|\n|-|-|\n|1|2|\n\n"),
    "many wide": again("|a" * 90 + "|\n" + "|-" * 90 + "|\n|b\n|c\n\n"),
    "with carriage returns": lambda n: sparse(n, n // 6, n // 12).replace("\n", "\r"),
    "rows that divide": again("|-|-|\n"),
    "a head that does not fit": lambda n: "|a" * (n // 4) + "|\n" + "|-" * (n // 4 + 1) + "|\n",
    "escaped marks": lambda n: "|" + "a\\|" * (n // 3) + "|\n|-|\n",
    "a paragraph before it": lambda n: "text\n" * (n // 10) + sparse(n, 40, n // 8),
    "links in cells": lambda n: "|a|\n|-|\n" + "|[b](c)|\n" * (n // 9),
    "HTML tables": again("<table><tr><td>a</td></tr></table>\n"),
    "HTML tables that never end": again("<table>"),
    "headings in an HTML table": lambda n: "<table>" + again("<h2>a</h2><td>")(n),
    "headings": again("# a\n"),
    "underlined headings": again("a\n=\n"),
    "HTML headings": again("<h1>a</h1>\n"),
    "HTML headings that never end": again("<h1>"),
    "definitions of links": numbered("[a{}]: /u\n"),
    "definitions that are used": lambda n: (
        numbered("[a{}]: /u\n")(n // 2) + "\n" + numbered("[a{}] ")(n // 2)
    ),
    "a long definition, used": lambda n: "[a]: /" + "u" * (n // 2) + "\n\n" + "[a] " * (n // 8),
    "footnotes": lambda n: numbered("[^{}]: x\n")(n // 2) + numbered("[^{}] ")(n // 2),
    "stars": lambda n: "*" * n,
    "emphasis that opens": again("*a **a _b "),
    "brackets that open": lambda n: "[" * n,
    "brackets that close": lambda n: "]" * n,
    "nested brackets": lambda n: "[" * (n // 2) + "a" + "]" * (n // 2),
    "links that never end": again("[a]("),
    "pictures in pictures": lambda n: "![" * (n // 6) + "a" + "](b)" * (n // 6),
    "backticks": lambda n: "`" * n,
    "backticks of all lengths": lambda n: "".join("e" + "`" * i for i in range(math.isqrt(2 * n))),
    "code": again("```\na\n"),
    "comments": again("<!-- a -->\n"),
    "comments that never end": again("<!-- "),
    "a deep list": lambda n: "".join(" " * (2 * i) + "- a\n" for i in range(math.isqrt(n))),
    "a deep list in a line": again("- "),
    "items": again("- a\n\n"),
    "numbered items": numbered("{}. a\n"),
    "deep quotes": lambda n: ">" * n + "a",
    "quotes and lazy lines": again("> a\nb\n"),
    "addresses": again("http://a.b/c "),
    "addresses of e-mail": again("a@b.c "),
    "an address and brackets": lambda n: "http://a.b/" + ")" * n,
    "an address and marks": lambda n: "http://a.b/" + ").*" * (n // 3),
    "entities": again("&amp;"),
    "tags that never end": again("<a "),
    "attributes": lambda n: "<a " + 'b="c" ' * (n // 6),
    "scripts": again("<script>\n"),
    "one word": lambda n: "x" * n,
    "blank lines": lambda n: "\n" * n,
    "blanks": lambda n: " " * n,
    "labelled fields": again("- **License:** mit\n"),
    "placeholders": again("[More Information Needed]\n"),
    "promises": again("The data will be released soon, "),
    "references": again("@article{a, title={b}}\n"),
    "references that never end": again("@article{a, "),
    "shortcodes": lambda n: "# " + ":a:" * (n // 3),
    "paths": again("a/b."),
    "backslashes": lambda n: "\\" * n,
}

YAML: dict[str, Shape] = {
    "keys": numbered("k{}: v\n"),
    "one key": again("a: b\n"),
    "integer keys": numbered("{}: v\n"),
    "keys of one hash": lambda n: "".join(f"{i * (2**61 - 1)}: v\n" for i in range(n // 24)),
    "anchors": numbered("- &a{0} v\n- *a{0}\n"),
    "one alias": numbered("k{}: *a\n", "a: &a b\n"),
    "merged keys": numbered("k{}: {{<<: *a}}\n", "a: &a {b: c}\n"),
    "a flow sequence": lambda n: "a: [" + "b, " * (n // 3) + "]\n",
    "a flow mapping": lambda n: "a: {" + numbered("b{}: c, ")(n) + "}\n",
    "a sequence": lambda n: "a:\n" + "- b\n" * (n // 4),
    "nested sequences": lambda n: "a: " + "[" * (n // 2) + "]" * (n // 2) + "\n",
    "nested mappings": lambda n: "".join(" " * i + "a:\n" for i in range(math.isqrt(2 * n))),
    "nested items": lambda n: "- " * (n // 2) + "a\n",
    "brackets": lambda n: "a: " + "[{" * (n // 2),
    "a long scalar": lambda n: "a: " + "b " * (n // 2) + "\n",
    "a scalar of many lines": lambda n: "a: b\n" + "  b\n" * (n // 4),
    "a quoted scalar": lambda n: "a: '" + "''" * (n // 2) + "'\n",
    "escapes": lambda n: 'a: "' + "\\n" * (n // 2) + '"\n',
    "a quote that never ends": lambda n: "a: '" + "b\n " * (n // 3),
    "a literal block": lambda n: "a: |\n" + "  b\n" * (n // 4),
    "a folded block": lambda n: "a: >\n" + "  b\n\n" * (n // 5),
    "remarks": lambda n: "# a\n" * (n // 4) + "a: b\n",
    "blank lines": lambda n: "a: b" + "\n" * n,
    "a long key": lambda n: "a" * n + ": b\n",
    "a long number": lambda n: "a: " + "1" * n + "\n",
    "a set": lambda n: "a: !!set {" + numbered("b{}, ")(n) + "}\n",
    "tags": lambda n: "tags:\n" + numbered("- t{}\n")(n),
    "results": again("- type: x\n  metrics:\n  - type: y\n    value: 1.0\n"),
    "carriage returns": lambda n: "\r" * n + "a: b\n",
    "colons": lambda n: "a" + ": a" * (n // 3) + "\n",
}


def of_markdown(text: str) -> None:
    """Everything that takes a text apart."""
    cards = pl.DataFrame({"id": ["o/a"], "text": [text]})
    cl.with_text_lengths(cards)
    cl.with_sections(cards)
    cl.section_coverage(cards)
    text_problems(cards)
    cl.search(cards, "model of a card")


def of_yaml(block: str) -> None:
    cl.read_cards(pl.DataFrame({"id": ["o/a"], "card": [f"---\n{block}---\n# A\n"]}))


def seconds(work: Callable[[str], None], text: str, n: int) -> float:
    best = math.inf
    for _ in range(n):
        begin = time.process_time()
        work(text)
        best = min(best, time.process_time() - begin)
    return best


def least(work: Callable[[str], None], shape: Shape) -> str | None:
    """What is wrong with how time grows from one length to four times of it."""
    short, long = shape(5_000), shape(20_000)
    work(short[:100])
    before, after = seconds(work, short, 2), seconds(work, long, 2)
    grown = len(long) / len(short)
    return None if after < before * grown**1.3 + 0.03 else f"{before:.3f} s, then {after:.3f} s"


def whole(work: Callable[[str], None], shape: Shape) -> str | None:
    """What is wrong with how time grows over five doublings."""
    texts = [shape(6_000 * 2**step) for step in range(6)]
    # the longer it takes, the less chance weighs
    taken = [seconds(work, text, n) for text, n in zip(texts, (4, 4, 4, 2, 2, 2), strict=True)]
    # what every call takes, however short the card, says nothing of growth
    floor = seconds(work, "a: b\n", 5)
    points = [(len(t), s - floor) for t, s in zip(texts, taken, strict=True) if s - floor > 0.03]
    if len(points) < 3:
        return None if taken[-1] < 0.2 else f"{taken[-1]:.3f} s"  # 0.2 MB in no time
    slope = linregress(*np.log(points).T).slope
    # five analyses together
    fits = slope < 1.3 and taken[-1] < 20e-6 * len(texts[-1]) + 0.2
    return None if fits else f"exponent {slope:.2f}: {points}"


def assert_once_of_three(look: Callable[..., str | None], *given: Any) -> None:
    """Measure again what another process may have disturbed: too fast growth fails each time."""
    wrong = []
    while (found := look(*given)) is not None:
        wrong.append(found)
        assert len(wrong) < 3, wrong


CASES = [(of_markdown, shape) for shape in MARKDOWN.values()]
CASES += [(of_yaml, shape) for shape in YAML.values()]
IDS = [f"of_markdown: {name}" for name in MARKDOWN] + [f"of_yaml: {name}" for name in YAML]


@pytest.mark.parametrize(("work", "shape"), CASES, ids=IDS)
def test_S01_four_times_the_length_takes_about_four_times_as_long(work, shape):
    assert_once_of_three(least, work, shape)


@pytest.mark.verify
@pytest.mark.alone
@pytest.mark.parametrize(("work", "shape"), CASES, ids=IDS)
def test_S01_no_exponent_above_1_3_in_five_doublings(work, shape):
    assert_once_of_three(whole, work, shape)


def test_S01_what_grows_as_the_square_is_seen():
    def square(text: str) -> None:
        sum(range(len(text) ** 2 // 25))

    with pytest.raises(AssertionError):
        assert_once_of_three(least, square, again("a"))
