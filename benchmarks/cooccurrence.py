"""Pairs of tags: cardlab beside what a user would write with the usual libraries.

Every way gets the same parquet file and gives the same pairs: the most frequent tags (ties by
name), a tag once a card, pairs on five cards or more, with the number of cards. The time is from
opening the file to the table of pairs.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable

import numpy as np

from .apart import CARDS, Figures, Later, Run, Task, digest, write_cards

cl, duckdb, pd, pl = Later("cardlab"), Later("duckdb"), Later("pandas"), Later("polars")
kinds = Later("cardlab.tags.kinds")
pq, feature_extraction = Later("pyarrow.parquet"), Later("sklearn.feature_extraction.text")

SIZES, SUFFIX, write = "100000,300000,1000000", CARDS, write_cards
MIN_CARDS = 5
#: The file, and how many tags are paired.
Data = tuple[str, int]
Pairs = Iterable[tuple[str, str, int]]


def judge(run: Run) -> Figures:
    found = digest((a, b, int(n)) for a, b, n in run.found)
    return {"result": f"{len(run.found):,} pairs, {found}"}


PAIRS = Task(
    "Pairs of the most frequent tags", load=lambda path, options: (path, options.top), judge=judge
)
TASKS = {"pairs": PAIRS}


@PAIRS.way("cardlab", "cardlab.tags.cooccurrence", "scipy.special", "narwhals.stable.v2")
def with_cardlab(data: Data) -> Pairs:
    path, top = data
    cards = pl.scan_parquet(path)
    # the others know no authors
    found = cl.cooccurrence(cards, kinds=kinds.KINDS, top=top, min_cards=MIN_CARDS, cluster=None)
    return found.select("tag_a", "tag_b", "n_cards").iter_rows()


@PAIRS.way("pandas self-merge", "pandas", "pyarrow.parquet")
def with_pandas(data: Data) -> Pairs:
    path, top = data
    tags = pd.read_parquet(path, columns=["tags"])["tags"].explode().dropna()
    rows = tags.rename_axis("card").rename("tag").reset_index().drop_duplicates()
    counts = rows.groupby("tag").size().reset_index(name="n")
    first = counts.sort_values(["n", "tag"], ascending=[False, True]).head(top)["tag"]
    rows = rows[rows["tag"].isin(first)]
    both = rows.merge(rows, on="card", suffixes=("_a", "_b"))
    both = both[both["tag_a"] < both["tag_b"]]
    n = both.groupby(["tag_a", "tag_b"]).size()
    return ((a, b, int(k)) for (a, b), k in n[n >= MIN_CARDS].items())


def _tags(path: str) -> list[set[str]]:
    return [{*(tags or ())} for tags in pq.read_table(path, columns=["tags"])["tags"].to_pylist()]


@PAIRS.way("Counter over combinations", "pyarrow.parquet")
def with_counter(data: Data) -> Pairs:
    path, top = data
    cards = _tags(path)
    counts = Counter(itertools.chain.from_iterable(cards))
    first = set(sorted(counts, key=lambda tag: (-counts[tag], tag))[:top])
    kept = (sorted(tags & first) for tags in cards)
    pairs = Counter(pair for tags in kept for pair in itertools.combinations(tags, 2))
    return ((a, b, n) for (a, b), n in pairs.items() if n >= MIN_CARDS)


@PAIRS.way("CountVectorizer, X.T @ X", "sklearn.feature_extraction.text", "pyarrow.parquet")
def with_scikit_learn(data: Data) -> Pairs:
    path, top = data
    every = feature_extraction.CountVectorizer(analyzer=lambda tags: tags, binary=True)
    x = every.fit_transform(_tags(path))
    n, names = np.asarray(x.sum(axis=0)).ravel(), every.get_feature_names_out()
    first = np.sort(np.lexsort((names, -n))[:top])
    x = x[:, first]
    both, names = (x.T @ x).tocoo(), names[first]
    return (
        (names[a], names[b], int(n))
        for a, b, n in zip(both.row, both.col, both.data, strict=True)
        if a < b and n >= MIN_CARDS
    )


@PAIRS.way("DuckDB self-join", "duckdb")
def with_duckdb(data: Data) -> Pairs:
    path, top = data
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


@PAIRS.way("polars, counting only", "polars", compared=False)
def counting_only(data: Data) -> Pairs:
    """Count the tags with polars and pair nothing: the least that any way has to do."""
    tags = pl.scan_parquet(data[0]).select(pl.col("tags").explode())
    return tags.group_by("tags").len().collect(engine="streaming").head(0).iter_rows()
