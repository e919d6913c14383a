"""Pairs of tags: cardlab beside what a user would write with the usual libraries.

Every way gets the same parquet file and gives the same pairs: the most frequent tags (ties by
name), a tag once a card, pairs on five cards or more, with the number of cards. Each run is a
process of its own, the ways take turns, and the time is from opening the file to the table of
pairs, imports not counted. Memory is the peak of the process less its size after the imports.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import itertools
import json
import math
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

MIN_CARDS = 5
Pairs = Iterable[tuple[str, str, int]]


def with_cardlab(path: str, top: int) -> Pairs:
    import polars as pl

    import cardlab as cl

    found = cl.cooccurrence(pl.scan_parquet(path), top=top, min_cards=MIN_CARDS)
    return found.select("tag_a", "tag_b", "n_cards").iter_rows()


def with_pandas(path: str, top: int) -> Pairs:
    import pandas as pd

    tags = pd.read_parquet(path, columns=["tags"])["tags"].explode().dropna()
    rows = tags.rename_axis("card").rename("tag").reset_index().drop_duplicates()
    counts = rows.groupby("tag").size().reset_index(name="n")
    first = counts.sort_values(["n", "tag"], ascending=[False, True]).head(top)["tag"]
    rows = rows[rows["tag"].isin(first)]
    both = rows.merge(rows, on="card", suffixes=("_a", "_b"))
    both = both[both["tag_a"] < both["tag_b"]]
    n = both.groupby(["tag_a", "tag_b"]).size()
    return ((a, b, int(k)) for (a, b), k in n[n >= MIN_CARDS].items())


def with_counter(path: str, top: int) -> Pairs:
    import pyarrow.parquet as pq

    cards = [set(tags or ()) for tags in pq.read_table(path, columns=["tags"])["tags"].to_pylist()]
    counts = Counter(itertools.chain.from_iterable(cards))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    first = {tag for tag, _ in ranked[:top]}
    pairs = Counter(
        pair for tags in cards for pair in itertools.combinations(sorted(tags & first), 2)
    )
    return ((a, b, n) for (a, b), n in pairs.items() if n >= MIN_CARDS)


def with_scikit_learn(path: str, top: int) -> Pairs:
    import numpy as np
    import pyarrow.parquet as pq
    from sklearn.feature_extraction.text import CountVectorizer

    cards = [tags or [] for tags in pq.read_table(path, columns=["tags"])["tags"].to_pylist()]
    every = CountVectorizer(analyzer=lambda tags: tags, binary=True)
    x = every.fit_transform(cards)
    n, names = np.asarray(x.sum(axis=0)).ravel(), every.get_feature_names_out()
    first = np.sort(np.lexsort((names, -n))[:top])
    x = x[:, first]
    both, names = (x.T @ x).tocoo(), names[first]
    return (
        (names[a], names[b], int(n))
        for a, b, n in zip(both.row, both.col, both.data, strict=True)
        if a < b and n >= MIN_CARDS
    )


def with_duckdb(path: str, top: int) -> Pairs:
    import duckdb

    return duckdb.sql(
        f"""
        WITH cards AS (SELECT row_number() OVER () AS card, list_distinct(tags) AS tags
                       FROM '{path}'),
        rows AS (SELECT card, unnest(tags) AS tag FROM cards),
        first AS (SELECT tag FROM rows GROUP BY tag ORDER BY count(*) DESC, tag LIMIT {top}),
        kept AS (SELECT card, tag FROM rows SEMI JOIN first USING (tag))
        SELECT a.tag, b.tag, count(*) FROM kept a JOIN kept b ON a.card = b.card AND a.tag < b.tag
        GROUP BY ALL HAVING count(*) >= {MIN_CARDS}
        """
    ).fetchall()


def counting_only(path: str, _top: int) -> Pairs:
    """Count the tags with polars and pair nothing: the least that any way has to do."""
    import polars as pl

    tags = pl.scan_parquet(path).select(pl.col("tags").explode())
    return tags.group_by("tags").len().collect(engine="streaming").head(0).iter_rows()


WAYS: dict[str, tuple[Callable[[str, int], Pairs], tuple[str, ...]]] = {
    "cardlab": (with_cardlab, ("cardlab.tags", "scipy.special", "narwhals.stable.v2")),
    "pandas self-merge": (with_pandas, ("pandas", "pyarrow.parquet")),
    "Counter over combinations": (with_counter, ("pyarrow.parquet",)),
    "CountVectorizer, X.T @ X": (
        with_scikit_learn,
        ("sklearn.feature_extraction.text", "pyarrow.parquet"),
    ),
    "DuckDB self-join": (with_duckdb, ("duckdb",)),
    "polars, counting only": (counting_only, ("polars",)),
}
NO_PAIRS = "polars, counting only"


def run_here(way: str, path: str, top: int) -> dict[str, Any]:
    """Run one way in this process: seconds, added peak memory in MB, and what it found."""
    function, modules = WAYS[way]
    for module in modules:
        importlib.import_module(module)
    before = peak()
    start = time.perf_counter()
    found = function(path, top)
    rows = found if isinstance(found, list) else list(found)
    seconds = time.perf_counter() - start
    added = peak() - before
    digest = hashlib.sha256(repr(sorted((a, b, int(n)) for a, b, n in rows)).encode()).hexdigest()
    return {"seconds": seconds, "mb": added, "pairs": len(rows), "digest": digest}


def peak() -> float:
    """Give the most memory that this process has held, in MB."""
    unit = 2**20 if platform.system() == "Darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def run_apart(way: str, path: str, top: int) -> dict[str, Any]:
    """Run one way in a fresh process."""
    code = [sys.executable, "-m", "benchmarks.cooccurrence", way, path, "--top", str(top)]
    out = subprocess.run(code, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(out.stdout)
    return found


def write_cards(folder: str, size: int) -> str:
    """Write a corpus of tags in a process of its own, whose memory is given back."""
    path = str(Path(folder) / f"cards-{size}.parquet")
    code = (
        "import sys, cardlab as cl;"
        "cl.make_cards(int(sys.argv[1]), text=False, embedding_dim=0).write_parquet(sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, str(size), path], check=True)
    return path


def table(*, sizes: list[int], runs: int, top: int = 200, ways: list[str] | None = None) -> str:
    """Run all ways at all sizes and give the medians as a Markdown table."""
    chosen = {name: WAYS[name] for name in ways} if ways else WAYS
    medians: dict[str, dict[int, tuple[float, float]]] = {way: {} for way in chosen}
    n_pairs = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            path = write_cards(folder, size)
            measured: dict[str, list[dict[str, Any]]] = {way: [] for way in chosen}
            for _, way in itertools.product(range(runs), chosen):  # the ways take turns
                measured[way].append(run_apart(way, path, top))
                print(f"{size:>9,} {way:<28}{measured[way][-1]['seconds']:8.2f} s", file=sys.stderr)
            digests = {run["digest"] for way in chosen if way != NO_PAIRS for run in measured[way]}
            if len(digests) > 1:
                raise SystemExit(f"the ways do not agree on the pairs of {size:,} cards")
            n_pairs[size] = max(int(run["pairs"]) for runs_ in measured.values() for run in runs_)
            for way, done in measured.items():
                medians[way][size] = tuple(
                    median(run[key] for run in done) for key in ("seconds", "mb")
                )
    return _written(medians, n_pairs, top)


def _written(
    medians: dict[str, dict[int, tuple[float, float]]], n_pairs: dict[int, int], top: int
) -> str:
    sizes = list(n_pairs)
    heads = [f"{size:,} cards: s / added MB / x cardlab" for size in sizes]
    lines = [
        f"Pairs of the {top} most frequent tags; the same pairs from all ways: "
        + ", ".join(f"{n:,} of {size:,} cards" for size, n in n_pairs.items()),
        "",
        "| way | " + " | ".join(heads) + " | growth |",
        "|---" * (len(sizes) + 2) + "|",
    ]
    own = medians.get("cardlab", {})
    for way, found in medians.items():
        cells = []
        for size in sizes:
            seconds, mb = found[size]
            ratio = f" / {seconds / own[size][0]:.1f}" if own else ""
            cells.append(f"{seconds:.2f} / {mb:,.0f}{ratio}")
        growth = exponent({size: found[size][0] for size in sizes})
        lines.append(f"| {way} | " + " | ".join(cells) + f" | {growth} |")
    lines.append("")
    lines.append("growth: slope of log seconds on log cards, 1 where time grows as the cards do")
    return "\n".join(lines)


def exponent(seconds: dict[int, float]) -> str:
    """Fit log seconds by log cards with least squares."""
    if len(seconds) < 2:
        return "-"
    x, y = [math.log(size) for size in seconds], [math.log(s) for s in seconds.values()]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return f"{above / sum((a - mean_x) ** 2 for a in x):.2f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=list(WAYS))
    parser.add_argument("path")
    parser.add_argument("--top", type=int, default=200)
    asked = parser.parse_args()
    print(json.dumps(run_here(asked.way, asked.path, asked.top)))
