"""Licences and languages with their intervals: cardlab beside what a user would write instead.

Every way gets the same parquet file and gives the same figures: on how many cards each licence
and each language is, a card once, its share of all cards and its 95 % Wilson interval. cardlab
also does what the others do not: one name for each licence and one code for each language; so
its strings are counted raw for the comparison of the results, and normalised for the time of a
way of its own. Each run is a process of its own, the ways take turns, and the time is from
opening the file to the tables, imports not counted: once as the first thing in the process, where
tables of names are read and threads are started, and once again.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import itertools
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

from .cooccurrence import write_cards

COLUMNS = ("license", "languages")
Shares = Iterable[tuple[str, str, int, float, float]]
_Z = 1.959963984540054


def with_cardlab(path: str, *, raw: bool = False) -> Shares:
    import cardlab as cl

    cards = cl.scan_cards(path)
    columns = ("n_cards", "share_low", "share_high")
    licenses = cl.license_counts(cards, raw=raw).select("license", *columns)
    languages = cl.language_counts(cards, raw=raw).select("language", *columns)
    for column, counts in zip(COLUMNS, (licenses, languages), strict=True):
        for row in counts.iter_rows():
            yield column, *row


def with_cardlab_raw(path: str) -> Shares:
    return with_cardlab(path, raw=True)


def with_pandas(path: str) -> Shares:
    import numpy as np
    import pandas as pd

    cards = pd.read_parquet(path, columns=list(COLUMNS))
    for column in COLUMNS:
        # a card may repeat a value, which counts once
        values = cards[column].explode().dropna().rename_axis("card").reset_index()
        counts = values.drop_duplicates()[column].value_counts()
        low, high = _wilson(counts.to_numpy(), len(cards), np.sqrt)
        for value, n, least, most in zip(counts.index, counts, low, high, strict=True):
            yield column, value, int(n), float(least), float(most)


def with_pandas_plain(path: str) -> Shares:
    import numpy as np
    import pandas as pd

    cards = pd.read_parquet(path, columns=list(COLUMNS))
    for column in COLUMNS:
        counts = cards[column].explode().value_counts()
        low, high = _wilson(counts.to_numpy(), len(cards), np.sqrt)
        for value, n, least, most in zip(counts.index, counts, low, high, strict=True):
            yield column, value, int(n), float(least), float(most)


def with_duckdb(path: str) -> Shares:
    import duckdb

    total = duckdb.sql(f"SELECT count(*) FROM '{path}'").fetchall()[0][0]
    for column in COLUMNS:
        counts = duckdb.sql(
            f"SELECT value, count(*) FROM (SELECT unnest(list_distinct({column})) AS value "
            f"FROM '{path}') GROUP BY value"
        ).fetchall()
        for value, n in counts:
            low, high = _wilson(n, total, math.sqrt)
            yield column, value, n, low, high


def with_polars(path: str) -> Shares:
    import polars as pl

    for column in COLUMNS:
        cards = pl.scan_parquet(path).select(column)
        total = cards.select(pl.len()).collect().item()
        values = cards.select(pl.col(column).list.unique().explode()).drop_nulls()
        for value, n in values.group_by(column).len().collect(engine="streaming").iter_rows():
            low, high = _wilson(n, total, math.sqrt)
            yield column, value, n, low, high


def reading_only(path: str) -> Shares:
    """Read the two columns with polars and count nothing: the least that any way has to do."""
    import polars as pl

    pl.scan_parquet(path).select(COLUMNS).collect(engine="streaming")
    return ()


def _wilson(n: Any, total: int, root: Callable[[Any], Any]) -> tuple[Any, Any]:
    share, scale = n / total, 1 + _Z**2 / total
    middle = (share + _Z**2 / (2 * total)) / scale
    half = _Z / scale * root(share * (1 - share) / total + _Z**2 / (4 * total**2))
    return middle - half, middle + half


_OWN = (
    *("cardlab.cards", "cardlab.licenses", "cardlab.languages", "narwhals.stable.v2"),
    *("langcodes.tag_parser", "language_data.name_data", "license_expression"),
)
WAYS: dict[str, tuple[Callable[[str], Shares], tuple[str, ...]]] = {
    "cardlab": (with_cardlab, _OWN),
    "cardlab, raw": (with_cardlab_raw, _OWN),
    "pandas, explode + value_counts": (with_pandas_plain, ("pandas", "pyarrow.parquet")),
    "pandas, a card once": (with_pandas, ("pandas", "pyarrow.parquet")),
    "DuckDB": (with_duckdb, ("duckdb",)),
    "polars, explode + group_by": (with_polars, ("polars",)),
    "polars, reading only": (reading_only, ("polars",)),
}
#: Ways that count other things: one name for each licence; a repeated value twice; nothing.
NOT_COMPARED = ("cardlab", "pandas, explode + value_counts", "polars, reading only")


def run_here(way: str, path: str) -> dict[str, Any]:
    """Run one way in this process: seconds, and a digest of what it found."""
    function, modules = WAYS[way]
    for module in modules:
        importlib.import_module(module)
    seconds = {}
    for time_of in ("first", "again"):
        start = time.perf_counter()
        rows = list(function(path))
        seconds[time_of] = time.perf_counter() - start
    found = sorted((c, v, n, round(low, 12), round(high, 12)) for c, v, n, low, high in rows)
    digest = hashlib.sha256(repr(found).encode()).hexdigest()
    return {**seconds, "values": len(rows), "digest": digest}


def run_apart(way: str, path: str) -> dict[str, Any]:
    """Run one way in a fresh process."""
    code = [sys.executable, "-m", "benchmarks.distributions", way, path]
    out = subprocess.run(code, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(out.stdout)
    return found


def table(*, size: int, runs: int) -> str:
    """Run all ways and give the medians as a Markdown table."""
    measured: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        path = write_cards(folder, size)
        for _, way in itertools.product(range(runs), WAYS):  # the ways take turns
            measured[way].append(run_apart(way, path))
            print(f"{size:>9,} {way:<32}{measured[way][-1]['first']:8.2f} s", file=sys.stderr)
    digests = {run["digest"] for way in WAYS if way not in NOT_COMPARED for run in measured[way]}
    if len(digests) != 1:
        raise SystemExit("the ways do not agree on the shares")
    seconds = {
        way: [median(run[time_of] for run in done) for time_of in ("first", "again")]
        for way, done in measured.items()
    }
    own, read = seconds["cardlab"], seconds["polars, reading only"]
    n_values = measured["cardlab, raw"][0]["values"]
    lines = [
        f"Shares of licences and languages with intervals, {size:,} cards; the same {n_values:,} "
        "raw shares from cardlab, pandas, DuckDB and polars:",
        "",
        "| way | first, s | x cardlab | x reading | again, s | x cardlab | x reading |",
        "|---|---|---|---|---|---|---|",
    ]
    for way, values in seconds.items():
        cells = [
            f"{value:.3f} | {value / own[at]:.1f} | {value / read[at]:.1f}"
            for at, value in enumerate(values)
        ]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=list(WAYS))
    parser.add_argument("path")
    asked = parser.parse_args()
    print(json.dumps(run_here(asked.way, asked.path)))
