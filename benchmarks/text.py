"""Lengths and words of cards: cardlab beside what a user would write with the usual libraries.

Every way gets the same parquet file of cards with text; the time is from opening the file to the
result. Lengths must be the same from all ways. Words are those of ``--words`` cards. In the end
hostile texts are parsed, to see how their time grows.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from .apart import CARDS, Later, Options, Task, digest, markdown

cl, pd, pl, pq = map(Later, ("cardlab", "pandas", "polars", "pyarrow.parquet"))
comrak, markdown_it, mistune = map(Later, ("comrak", "markdown_it", "mistune"))

SIZES, SUFFIX = "200000", CARDS
OWN = ("cardlab.text.passages", "comrak", "joblib", "numpy")
MEASURES = ["n_chars", "n_words", "n_lines"]


def write(path: str, size: int, options: Options) -> None:
    """Write cards with text, made up or repeated from a file of real ones (``--source``)."""
    if options.source:
        cards = cl.read_cards(options.source, columns=["id", "text"]).drop_nulls("text")
    else:
        cards = cl.make_cards(min(size, 20_000), embedding_dim=0)
    times = -(-size // cards.height)
    pl.concat([cards.select("text")] * times).head(size).write_parquet(path)


LENGTHS = Task(
    "Characters, words and lines", judge=lambda run: {"result": digest(run.found.astype("int64"))}
)
WORDS = Task("Words and sections", sizes=lambda options: [options.words])
TASKS = {"lengths": LENGTHS, "words": WORDS}


@LENGTHS.way("cardlab", "cardlab.text.lengths", "numpy")
def lengths_with_cardlab(path: str) -> Any:
    cards = cl.with_text_lengths(pl.scan_parquet(path), measures=MEASURES)
    return cards.select(MEASURES).collect(engine="streaming").to_numpy()


@LENGTHS.way("polars, plain expressions", "polars", "numpy", compared=False)
def lengths_with_polars(path: str) -> Any:
    """The plain expressions, which count words and lines a little differently from Python."""
    text = pl.col("text")
    words, lines = text.str.count_matches(r"\S+"), text.str.count_matches("\n") + 1
    found = pl.scan_parquet(path).select(text.str.len_chars(), words=words, lines=lines)
    return found.collect(engine="streaming").to_numpy()


@LENGTHS.way("pandas", "pandas", "pyarrow.parquet")
def lengths_with_pandas(path: str) -> Any:
    text = pd.read_parquet(path, columns=["text"])["text"]
    lines = text.map(lambda t: len(t.splitlines()))
    return np.stack([text.str.len(), text.str.split().str.len(), lines], axis=1)


LENGTHS.way("plain Python", "numpy", "pyarrow.parquet")(
    lambda path: np.array([(len(t), len(t.split()), len(t.splitlines())) for t in _texts(path)])
)


@WORDS.way("cardlab, 2 processes", *OWN, jobs=2)
@WORDS.way("cardlab", *OWN, jobs=1)
def words_with_cardlab(path: str, *, jobs: int) -> int:
    texts = cl.with_sections(pl.read_parquet(path, columns=["text"]), jobs=jobs)["text_lists"]
    heading = pl.element().str.contains(r"\A#{1,6}(?: |\n|\z)").cast(pl.Int64)
    return int(texts.list.eval(heading).list.sum().sum())


@WORDS.way("cardlab, card by card", *OWN)
def one_by_one(path: str) -> int:
    n = 0
    for text in _texts(path):
        cl.plain_text(text)
        n += sum(section.level > 0 for section in cl.sections(text))
    return n


@WORDS.way("comrak alone, HTML", "pyarrow.parquet", "comrak")
def html_with_comrak(path: str) -> int:
    """The parser alone, with the options that cardlab asks for."""
    extensions, rendering = comrak.ExtensionOptions(), comrak.RenderOptions()
    extensions.table = rendering.unsafe_ = rendering.sourcepos = True
    render = comrak.render_markdown
    htmls = (render(text, extensions, render_options=rendering) for text in _texts(path))
    return sum(len(html) for html in htmls)


@WORDS.way("mistune, tree", "pyarrow.parquet", "mistune")
def tree_with_mistune(path: str) -> int:
    parse = mistune.create_markdown(renderer=None, plugins=["table", "url"])
    return sum(node["type"] == "heading" for text in _texts(path) for node in parse(text))


@WORDS.way("markdown-it-py, tokens", "pyarrow.parquet", "markdown_it")
def tree_with_markdown_it(path: str) -> int:
    parse = markdown_it.MarkdownIt("commonmark").enable("table").parse
    return sum(token.type == "heading_open" for text in _texts(path) for token in parse(text))


def _texts(path: str) -> list[str]:
    return pq.read_table(path, columns=["text"])["text"].to_pylist()


HOSTILE = [
    *("[[[[", "`", "<!--", "|", ">", "* ", "- a\n ", "[a](", "![", "|a|b\n|-|-\n", "<a <a"),
    *("&amp;", "&#1", "*_", "**a", "<h1>", "<h1 ", "<script", "<table><h1>", "# a\n", "a\n=\n"),
    *("http://", "a@", "。", ". ", "\r", "x"),
]


def _seconds(text: str) -> float:
    start = time.process_time()
    cl.plain_text(text), cl.sections(text), cl.passages(text)
    return time.process_time() - start


def extra(options: Options) -> str:
    """Give the seconds that hostile texts take, and how they grow where the text doubles."""
    rows = []
    for unit in HOSTILE:
        half, whole = (_seconds(unit * (options.hostile // n // len(unit))) for n in (2, 1))
        rows.append((repr(unit).replace("|", "&#124;"), whole, whole / half))
    columns = ["repeated", "seconds of processor", "x half the size"]
    title = f"Plain text, sections and passages of one hostile card of {options.hostile:,} letters"
    return f"{title}\n\n{markdown(pl.DataFrame(rows, schema=columns, orient='row'))}\n"
