"""Lengths and words of cards: cardlab beside what a user would write with the usual libraries.

Every way gets the same parquet file of cards with text. Each run is a process of its own, the ways
take turns, and the time is from opening the file to the result, imports not counted. Lengths must
be the same from all ways. Memory is the peak
of the process less its size after the imports.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from .cooccurrence import peak

MEASURES = ["n_chars", "n_words", "n_lines"]


def lengths_with_cardlab(path: str) -> Any:
    import polars as pl

    import cardlab as cl

    cards = cl.with_text_lengths(pl.scan_parquet(path), measures=MEASURES)
    return cards.select(MEASURES).collect(engine="streaming").to_numpy()


def lengths_with_polars(path: str) -> Any:
    """The plain expressions, which count words and lines a little differently from Python."""
    import polars as pl

    text = pl.col("text")
    found = pl.scan_parquet(path).select(
        text.str.len_chars(),
        text.str.count_matches(r"\S+").alias("words"),
        (text.str.count_matches("\n") + 1).alias("lines"),
    )
    return found.collect(engine="streaming").to_numpy()


def lengths_with_pandas(path: str) -> Any:
    import pandas as pd

    text = pd.read_parquet(path, columns=["text"])["text"]
    return pd.DataFrame(
        {
            "n_chars": text.str.len(),
            "n_words": text.str.split().str.len(),
            "n_lines": text.map(lambda t: len(t.splitlines())),
        }
    ).to_numpy()


def lengths_with_python(path: str) -> Any:
    import numpy as np
    import pyarrow.parquet as pq

    texts = pq.read_table(path, columns=["text"])["text"].to_pylist()
    return np.array([(len(t), len(t.split()), len(t.splitlines())) for t in texts])


def words_with_cardlab(path: str, jobs: int = 1) -> int:
    import cardlab as cl

    texts = cl.with_sections(_cards(path), jobs=jobs)["text_lists"]
    return int(texts.list.eval(_starts_with_heading()).list.sum().sum())


def words_with_cardlab_2(path: str) -> int:
    return words_with_cardlab(path, jobs=2)


def one_by_one(path: str) -> int:
    import cardlab as cl

    n = 0
    for text in _texts(path):
        cl.plain_text(text)
        n += sum(section.level > 0 for section in cl.sections(text))
    return n


def html_with_comrak(path: str) -> int:
    """The parser alone, with the options that cardlab asks for."""
    import comrak

    extensions, rendering = comrak.ExtensionOptions(), comrak.RenderOptions()
    extensions.table = rendering.unsafe_ = rendering.sourcepos = True
    render = comrak.render_markdown
    htmls = (render(text, extensions, render_options=rendering) for text in _texts(path))
    return sum(len(html) for html in htmls)


def tree_with_mistune(path: str) -> int:
    import mistune

    parse = mistune.create_markdown(renderer=None, plugins=["table", "url"])
    return sum(node["type"] == "heading" for text in _texts(path) for node in parse(text))


def tree_with_markdown_it(path: str) -> int:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table")
    return sum(
        token.type == "heading_open" for text in _texts(path) for token in parser.parse(text)
    )


def _cards(path: str) -> Any:
    import polars as pl

    return pl.read_parquet(path, columns=["text"])


def _texts(path: str) -> list[str]:
    texts: list[str] = _cards(path)["text"].to_list()
    return texts


def _starts_with_heading() -> Any:
    import polars as pl

    return pl.element().str.contains(r"\A#{1,6}(?: |\n|\z)").cast(pl.Int64)


Way = tuple[Callable[[str], Any], tuple[str, ...]]
LENGTHS: dict[str, Way] = {
    "cardlab": (lengths_with_cardlab, ("cardlab.text", "numpy")),
    "polars, plain expressions": (lengths_with_polars, ("polars", "numpy")),
    "pandas": (lengths_with_pandas, ("pandas", "pyarrow.parquet")),
    "plain Python": (lengths_with_python, ("numpy", "pyarrow.parquet")),
}
NOT_EQUAL = "polars, plain expressions"
WORDS: dict[str, Way] = {
    "cardlab": (words_with_cardlab, ("cardlab.text.columns", "comrak", "numpy")),
    "cardlab, 2 processes": (words_with_cardlab_2, ("cardlab.text.columns", "joblib", "numpy")),
    "cardlab, card by card": (one_by_one, ("cardlab.text.columns", "comrak", "numpy")),
    "comrak alone, HTML": (html_with_comrak, ("polars", "comrak")),
    "mistune, tree": (tree_with_mistune, ("polars", "mistune")),
    "markdown-it-py, tokens": (tree_with_markdown_it, ("polars", "markdown_it")),
}
HOSTILE = [
    *("[[[[", "`", "<!--", "|", ">", "* ", "- a\n ", "[a](", "![", "|a|b\n|-|-\n", "<a <a"),
    *("&amp;", "&#1", "*_", "**a", "<h1>", "<h1 ", "<script", "<table><h1>", "# a\n", "a\n=\n"),
    *("http://", "a@", "。", ". ", "\r", "x"),
]


def run_here(way: str, path: str) -> dict[str, Any]:
    """Run one way in this process: seconds, added peak memory in MB, and what it found."""
    kind, name = way.split(":", 1)
    function, modules = (LENGTHS if kind == "lengths" else WORDS)[name]
    for module in modules:
        importlib.import_module(module)
    before = peak()
    start = time.perf_counter()
    found = function(path)
    seconds = time.perf_counter() - start
    added = peak() - before
    if kind == "lengths":
        found = hashlib.sha256(found.astype("int64").tobytes()).hexdigest()
    return {"seconds": seconds, "mb": added, "found": found}


def run_apart(way: str, path: str) -> dict[str, Any]:
    """Run one way in a fresh process."""
    code = [sys.executable, "-m", "benchmarks.text", way, path]
    out = subprocess.run(code, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(out.stdout)
    return found


def write_cards(folder: str, n: int, source: str | None) -> str:
    """Write `n` cards with text, made up or repeated from a file of real ones."""
    path = str(Path(folder) / f"cards-{n}.parquet")
    code = (
        "import sys, polars as pl, cardlab as cl;"
        "n, path, source = int(sys.argv[1]), *sys.argv[2:];"
        "cards = cl.read_cards(source, columns=['id', 'text']).drop_nulls('text') if source"
        " else cl.make_cards(min(n, 20_000), embedding_dim=0);"
        "times = -(-n // cards.height);"
        "pl.concat([cards.select('text')] * times).head(n).write_parquet(path)"
    )
    subprocess.run([sys.executable, "-c", code, str(n), path, source or ""], check=True)
    return path


def table(
    *, n_lengths: int, n_words: int, runs: int, source: str | None = None, size: int = 1_000_000
) -> str:
    """Run all ways and give the medians as Markdown tables."""
    with tempfile.TemporaryDirectory() as folder:
        lengths = _measure("lengths", LENGTHS, write_cards(folder, n_lengths, source), runs)
        words = _measure("words", WORDS, write_cards(folder, n_words, source), runs)
    digests = {run["found"] for way, done in lengths.items() if way != NOT_EQUAL for run in done}
    if len(digests) > 1:
        raise SystemExit("the ways do not agree on the lengths")
    lines = [f"Characters, words and lines of {n_lengths:,} cards, the same from all but polars'"]
    lines += ["own expressions, whose words and lines are not Python's", "", *_rows(lengths)]
    lines += ["", f"Words and sections of {n_words:,} cards", "", *_rows(words)]
    return "\n".join([*lines, "", *hostile(size)])


def _measure(
    kind: str, ways: dict[str, Way], path: str, runs: int
) -> dict[str, list[dict[str, Any]]]:
    measured: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for _, way in itertools.product(range(runs), ways):  # the ways take turns
        measured[way].append(run_apart(f"{kind}:{way}", path))
        print(f"{kind:<9}{way:<28}{measured[way][-1]['seconds']:8.2f} s", file=sys.stderr)
    return measured


def _rows(measured: dict[str, list[dict[str, Any]]]) -> list[str]:
    own = median(run["seconds"] for run in measured["cardlab"])
    lines = ["| way | seconds | added MB | x cardlab |", "|---|---|---|---|"]
    for way, done in measured.items():
        seconds, mb = (median(run[key] for run in done) for key in ("seconds", "mb"))
        lines.append(f"| {way} | {seconds:.2f} | {mb:,.0f} | {seconds / own:.2f} |")
    return lines


def hostile(size: int) -> list[str]:
    """Give the seconds that hostile texts take, and how they grow where the text doubles."""
    import cardlab as cl

    lines = [f"Plain text, sections and passages of one hostile card of {size:,} characters", ""]
    lines += ["| repeated | seconds of processor | x half the size |", "|---|---|---|"]
    for unit in HOSTILE:
        seconds = []
        for n in (size // 2, size):
            text = unit * (n // len(unit))
            start = time.process_time()
            cl.plain_text(text), cl.sections(text), cl.passages(text)
            seconds.append(time.process_time() - start)
        shown = repr(unit).replace("|", "&#124;")
        lines.append(f"| {shown} | {seconds[1]:.2f} | {seconds[1] / seconds[0]:.1f} |")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("way")
    parser.add_argument("path")
    asked = parser.parse_args()
    print(json.dumps(run_here(asked.way, asked.path)))
