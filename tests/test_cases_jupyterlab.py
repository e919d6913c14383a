"""Inputs that go wrong where a notebook shows them: dollar signs, and columns called `image`."""

from __future__ import annotations

import html
import inspect
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import altair as alt
import numpy as np
import polars as pl
import pytest

import cardlab as cl
from cardlab import notebook as nb
from cardlab import replication
from cardlab.charts.base import tip_title
from cardlab.charts.counts import plot_card_rates

TEXTS = [
    r"$\href{https://x.example/}{click}$",
    "price $5 and $6",
    r"\(\href{javascript:alert(1)}{x}\)",
    r"\[ \sum x^2 \]",
    r"$$\unicode{x202e}$$",
    r"\begin{align}a\\b\end{align}",
    r"see \ref{x} and \eqref{y}, 5\$",
    '</div><img src=x onerror="alert(1)">',
]
#: Names of columns that some program between a card and its reader takes to mean something.
NAMES = ["image", "title", "href", "__proto__", "field"]
VEGALITE = "application/vnd.vegalite.v5+json"


class Typeset(HTMLParser):
    """What MathJax 2, 3 or 4 would look at, and all that a reader sees."""

    def __init__(self, ignored: str) -> None:
        super().__init__()
        self.ignored, self.depth, self.seen, self.shown = ignored, 0, "", ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if self.depth or self.ignored in dict(attrs).get("class", "").split():
            self.depth += 1

    def handle_endtag(self, tag: str) -> None:
        self.depth -= self.depth > 0

    def handle_data(self, data: str) -> None:
        self.shown += data
        self.seen += "" if self.depth else data


def assert_as_written(markup: str, text: str) -> None:
    for ignored in ("mathjax_ignore", "tex2jax_ignore"):
        reader = Typeset(ignored)
        reader.feed(markup)
        assert text in reader.shown
        assert reader.seen.strip() == ""
        assert reader.depth == 0
    assert "mathjax_process" not in markup
    assert "tex2jax_process" not in markup


@pytest.mark.parametrize("text", TEXTS)
def test_S02_dollar_signs_stay_what_they_are(text, capsys, monkeypatch):
    frame = pl.DataFrame({"id": [text], "tags": [[text, "b"]], text: [text]})
    bundles = [
        nb.show_table(frame, caption=text),
        nb.note("{x}", x=text),
        nb.note(text.replace("{", "{{").replace("}", "}}")),
        nb.key_figures({text: text}),
        nb.provenance(frame, source=text, query=text),
    ]
    shown: list[Any] = []
    monkeypatch.setattr(nb, "display", shown.append)
    with nb.where_possible():
        raise cl.NoFigure(text)
    assert len(shown) == 1
    for bundle in [*bundles, *shown]:
        data = bundle._repr_mimebundle_()
        assert not {"text/markdown", "text/latex", "application/javascript"} & set(data)
        # a parameter is shown as Python writes it
        written = text if bundle is not bundles[-1] else repr(text)[1:-1]
        assert_as_written(data["text/html"], written)


@pytest.mark.parametrize("text", TEXTS)
def test_S02_the_browser_is_kept_from_mathematics(text):
    cards = pl.DataFrame(
        {
            "id": [f"o/{text}", "o/plain"],
            "tags": [[text], []],
            "license": [[text], ["mit"]],
            "pipeline_tag": [text, None],
            "text": [f"# {text}\n\n{text}\n", ""],
        }
    )
    browser = cl.CardBrowser(cards)
    sent = []
    browser.send = sent.append
    assert {"mathjax_ignore", "tex2jax_ignore"} <= set(browser._dom_classes)
    browser._receive(browser, {"type": "hello", "seq": 1}, [])
    for column in browser._columns:
        browser._receive(browser, {"type": "load", "column": column, "seq": 2}, [])
    browser._receive(browser, {"type": "card", "row": 0}, [])
    card = sent[-1]["card"]
    # the script that shows them makes text nodes of words, and of markup no more than elements
    assert {card["id"], *card["tags"]} == {f"o/{text}", text}
    assert [text, text] == [value for name, value in card["facts"] if name[0] in "pl"]
    assert not re.search(
        r"<(script|style|iframe|svg|math)|<[^<>]*(\bon\w+=|src=|javascript:)", card["html"]
    )
    words = {word for found in browser.view["facets"]["columns"] for word in found.get("words", ())}
    assert text in words
    assert text not in browser.view["said"]


def test_S02_nor_does_a_page_of_nbconvert_typeset_them():
    from nbconvert import HTMLExporter
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    shown = [nb.note("{x}", x=text) for text in TEXTS]
    outputs = [new_output("display_data", note._repr_mimebundle_()) for note in shown]
    notebook = new_notebook(cells=[new_code_cell("pass", outputs=outputs)])
    page, _ = HTMLExporter().from_notebook_node(notebook)
    # its MathJax has the class that is left alone by default
    assert "tex2jax" in page.lower()
    assert not re.search(r"(ignore|process)(Html)?Class", page)
    reader = Typeset("tex2jax_ignore")
    reader.feed(page)
    for text in TEXTS:
        assert text in reader.shown
        assert text not in reader.seen


def test_S02_only_one_place_makes_html():
    """What a notebook may show is made by `notebook`, and by no other module."""
    made = [
        path.relative_to(path.parents[1]).as_posix()
        for path in sorted(cl_files())
        if re.search(r"text/(html|markdown|latex)\"\s*:|_repr_(html|markdown|latex)_", read(path))
    ]
    assert made == ["cardlab/notebook.py"]
    widgets = [path.name for path in cl_files() if re.search(r"\bHTML(Math)?\(", read(path))]
    assert widgets == []  # those of `widgets` are scripts, which make text nodes
    for path in files("cardlab.widgets").iterdir():
        if path.name.endswith(".js"):
            assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write", read(path))


def cl_files() -> Iterator[Any]:
    from pathlib import Path

    return (p for p in Path(inspect.getfile(cl)).parent.rglob("*.py") if "report" not in p.parts)


def read(path: Any) -> str:
    return path.read_text("utf-8")


def tips(spec: Any) -> Iterator[dict[str, Any]]:
    """Give all tooltips of a chart, however deep it is nested."""
    if isinstance(spec, list):
        for part in spec:
            yield from tips(part)
    elif isinstance(spec, dict):
        for key, value in spec.items():
            if key == "tooltip" and isinstance(value, list):
                yield from value
            elif key == "tooltip":
                yield {"whole": value}
            elif key not in ("datasets", "values"):
                yield from tips(value)


def keys(spec: Any) -> Iterator[str]:
    """Give all words of a chart's structure, but not of its data."""
    if isinstance(spec, list):
        for part in spec:
            yield from keys(part)
    elif isinstance(spec, dict):
        for key, value in spec.items():
            yield key
            if key not in ("datasets", "values"):
                yield from keys(value)


def assert_quiet(chart: Any) -> dict[str, Any]:
    """What JupyterLab gets of a chart loads nothing, whatever is pointed at."""
    from IPython.core.formatters import DisplayFormatter

    spec = DisplayFormatter().format(chart)[0][VEGALITE]
    found = list(tips(spec))
    assert found
    for tip in found:
        # without a title, vega takes the name of the field
        name = tip.get("title", tip.get("field"))
        assert name is not None, tip
        assert name not in ("image", "title", "__proto__"), tip
    assert not {"href", "url", "usermeta"} & set(keys(spec))
    marks = re.findall(r"'(?:type|mark)': '(\w+)'", str(spec))
    assert "image" not in marks
    return spec


def assert_quiet_map(made: Any) -> dict[str, Any]:
    """What JupyterLab gets of a map is a frame of no origin, whose page may load nothing."""
    from IPython.core.formatters import DisplayFormatter

    bundle = DisplayFormatter().format(made)[0]
    assert set(bundle) == {"text/html", "image/png", "text/plain"}
    tags = re.findall(r"<(\w+)([^>]*)>", bundle["text/html"])
    assert [tag for tag, _ in tags] == ["div", "div", "style", "iframe", "img"]
    frame, picture = tags[3][1], tags[4][1]
    assert set(re.findall(r' ([\w-]+)="', frame)) == {"title", "sandbox", "srcdoc", "style"}
    assert "allow-same-origin" not in frame and ' src="data:image/png;base64,' in picture
    page = html.unescape(re.search(r' srcdoc="([^"]*)"', frame)[1])
    policy = re.search(r'"Content-Security-Policy" content="([^"]*)"', page)[1]
    assert re.fullmatch(
        r"default-src 'none'; script-src 'sha256-[^' ]+'; style-src 'unsafe-inline'", policy
    )
    assert not re.search(r"<(?:img|link|iframe|a|svg|object)\b", page)
    return json.loads(re.search(r'class="data">(.*?)</script>', page)[1])


def corpus(name: str) -> pl.DataFrame:
    made = cl.read_cards(cl.make_cards(300))
    urls = pl.Series([f"http://127.0.0.1:9/{i % 3}.png" for i in range(300)])
    return made.with_columns(urls.alias(name))


@pytest.mark.parametrize("name", NAMES)
def test_S03_no_tooltip_is_an_image(name):
    cards = corpus(name)
    urls = set(cards[name])
    table = cl.crosstab(cards, rows=name, columns="pipeline_tag", top=5)
    spec = assert_quiet(cl.plot_crosstab(table, rows=name, columns="task"))
    assert urls <= {row["row"] for rows in spec["datasets"].values() for row in rows}
    table = cl.crosstab(cards, rows="pipeline_tag", columns=name, top=5)
    assert_quiet(cl.plot_crosstab(table, rows="task", columns=name))
    places = np.random.default_rng(0).normal(size=(300, 2))
    points = cards.select("id", "pipeline_tag", name, x=places[:, 0], y=places[:, 1])
    for color in (name, [name, "pipeline_tag"], ["pipeline_tag", name]):
        found = assert_quiet_map(cl.plot_map(points, color=color))
        labels = {group["label"] for column in found["columns"] for group in column["groups"]}
        assert urls <= labels


def test_S03_nor_in_a_large_map():
    points = pl.DataFrame({"image": ["http://127.0.0.1:9/i.png", "b"] * 5_500})
    points = points.with_row_index("id").with_columns(x=pl.col("id") % 97 * 1.0, y=pl.col("id") / 9)
    assert_quiet_map(cl.plot_map(points.cast({"id": pl.String}), color="image"))


@pytest.mark.parametrize("name", ["image", "images", "title", "group"])
def test_S03_nor_in_any_chart_that_takes_a_name(name, monkeypatch):
    monkeypatch.setenv("CARDLAB_PICTURES", "0")  # nothing here looks at them
    cards = corpus("pipeline_tag" if name == "group" else name)
    name = "pipeline_tag" if name == "group" else name
    counts = (
        cards.group_by(name)
        .len("n_cards")
        .with_columns(card_share=pl.col("n_cards") / 300, n_total=300)
    )
    counts = counts.sort("n_cards", name, descending=[True, False])
    charts = [
        cl.plot_counts(counts, label=name),
        cl.plot_counts(counts),
        cl.plot_diversity(cl.diversity(counts, by=name), group=name),
        cl.plot_growth(cl.growth(cards, by=name)),
        cl.plot_trends(cl.share_trends(cards, column=name)),
        plot_card_rates(replication.card_rates(cards, by=name)),
        cl.plot_concentration(cl.concentration(cards, column=None, by=name, curve=True)),
        cl.plot_concentration(
            cl.concentration(cards, column=None, by="author", curve=True).with_columns(
                pl.lit("x").alias(name)
            ),
            group=name,
        ),
        cl.plot_comparison(cl.compare_values(cards.head(150), cards.tail(150), column=name)),
    ]
    measured = cl.with_text_lengths(cards)
    for made in (cl.length_summary, cl.length_ecdf):
        lengths = made(measured, measure="n_words", by=name)
        charts += [cl.plot_lengths(lengths, measure="n_words")]
    for chart in charts:
        assert_quiet(chart)


def test_S03_a_name_is_told_apart_and_still_read():
    assert tip_title("image") == "image\u200b"
    assert tip_title("images") == "images"
    assert tip_title("a\u202eb") == "a\ufffdb"


WORDS = ["constructor", "__proto__", "toString", "valueOf", "hasOwnProperty", "plain"]


def test_S03_words_that_javascript_knows_are_words_of_a_chart():
    cards = pl.DataFrame({"id": [f"o/{i}" for i in range(60)], "constructor": WORDS * 10})
    spec = assert_quiet(
        cl.plot_crosstab(cl.crosstab(cards, rows="constructor", columns="id", top=6))
    )
    rows = next(iter(spec["datasets"].values()))
    shown = {row["row"] for row in rows}
    assert shown == {word if word == "plain" else f"{word}\u200b" for word in WORDS}
    # order, data and names agree, also where a column has such a name
    points = cards.with_columns(x=pl.int_range(60) * 1.0, y=pl.int_range(60) % 7 * 1.0)
    found = assert_quiet_map(cl.plot_map(points, color="constructor"))
    (column,) = found["columns"]
    assert {group["label"]: group["n"] for group in column["groups"]} == dict.fromkeys(WORDS, 10)
    own = alt.Chart(cards).mark_bar().encode(x="constructor:N", y="count()", tooltip=["id:N"])
    spec = assert_quiet(own)
    field = spec["encoding"]["x"]["field"]
    assert {row[field] for row in next(iter(spec["datasets"].values()))} == shown
