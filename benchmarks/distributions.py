"""Licences and languages with their intervals: cardlab beside what a user would write instead.

Every way gets the same parquet file and gives the same figures: on how many cards each licence
and each language is, a card once, its share of all cards and its 95 % Wilson interval. cardlab
also does what the others do not: one name for each licence and one code for each language; so
its strings are counted raw for the comparison of the results, and normalised for the time of a
way of its own. The time is from opening the file to the tables: once as the first thing in the
process, where tables of names are read and threads are started, and once again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from .apart import CARDS, Figures, Later, Run, Task, digest, write_cards

cl, duckdb, pd, pl = Later("cardlab"), Later("duckdb"), Later("pandas"), Later("polars")

SIZES, SUFFIX, write = "1000000", CARDS, write_cards
COLUMNS = ("license", "languages")
Shares = Iterable[tuple[str, str, int, float, float]]
_Z = 1.959963984540054


def judge(run: Run) -> Figures:
    rounded = ((c, v, n, round(low, 12), round(high, 12)) for c, v, n, low, high in run.found)
    return {"result": f"{len(run.found):,} shares, {digest(rounded)}"}


FIRST = Task(
    "Shares of licences and languages with intervals, first in a process",
    judge=judge,
    against=("cardlab", "polars, reading only"),
)
AGAIN = replace(FIRST, title="The same, once again in the process", warm=lambda path: path)
TASKS = {"first": FIRST, "again": AGAIN}
PANDAS = ("pandas", "pyarrow.parquet")
OWN = (
    *("cardlab.cards", "cardlab.licenses.counts", "cardlab.languages", "narwhals.stable.v2"),
    *("langcodes.tag_parser", "language_data.name_data", "license_expression"),
)


@FIRST.way("cardlab, raw", *OWN, raw=True)
@FIRST.way("cardlab", *OWN, compared=False, raw=False)
def with_cardlab(path: str, *, raw: bool) -> Shares:
    cards = cl.scan_cards(path)
    columns = ("n_cards", "share_low", "share_high")
    # the other ways know no authors
    licenses = cl.license_counts(cards, cluster=None, raw=raw).select("license", *columns)
    languages = cl.language_counts(cards, cluster=None, raw=raw).select("language", *columns)
    for column, counts in zip(COLUMNS, (licenses, languages), strict=True):
        for row in counts.iter_rows():
            yield column, *row


@FIRST.way("pandas, a card once", *PANDAS, once=True)
@FIRST.way("pandas, explode + value_counts", *PANDAS, compared=False, once=False)
def with_pandas(path: str, *, once: bool) -> Shares:
    """Count values; a value that a card repeats counts once only where `once` is true."""
    cards = pd.read_parquet(path, columns=list(COLUMNS))
    for column in COLUMNS:
        values = cards[column].explode()
        if once:
            rows = values.dropna().rename_axis("card").reset_index()
            values = rows.drop_duplicates()[column]
        counts = values.value_counts()
        low, high = _wilson(counts.to_numpy(), len(cards), np.sqrt)
        for value, n, least, most in zip(counts.index, counts, low, high, strict=True):
            yield column, value, int(n), float(least), float(most)


@FIRST.way("DuckDB", "duckdb")
def with_duckdb(path: str) -> Shares:
    total = duckdb.sql(f"SELECT count(*) FROM '{path}'").fetchall()[0][0]
    for column in COLUMNS:
        counts = duckdb.sql(
            f"SELECT value, count(*) FROM (SELECT unnest(list_distinct({column})) AS value "
            f"FROM '{path}') GROUP BY value"
        ).fetchall()
        for value, n in counts:
            yield column, value, n, *_wilson(n, total, math.sqrt)


@FIRST.way("polars, explode + group_by", "polars")
def with_polars(path: str) -> Shares:
    for column in COLUMNS:
        cards = pl.scan_parquet(path).select(column)
        total = cards.select(pl.len()).collect().item()
        values = cards.select(pl.col(column).list.unique().explode()).drop_nulls()
        for value, n in values.group_by(column).len().collect(engine="streaming").iter_rows():
            yield column, value, n, *_wilson(n, total, math.sqrt)


# the two columns are read and nothing is counted: the least that any way has to do
FIRST.way("polars, reading only", "polars", compared=False)(
    lambda path: pl.scan_parquet(path).select(COLUMNS).collect(engine="streaming")[:0].rows()
)


def _wilson(n: Any, total: int, root: Callable[[Any], Any]) -> tuple[Any, Any]:
    share, scale = n / total, 1 + _Z**2 / total
    middle = (share + _Z**2 / (2 * total)) / scale
    half = _Z / scale * root(share * (1 - share) / total + _Z**2 / (4 * total**2))
    return middle - half, middle + half
