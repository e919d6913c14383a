"""Families of copied texts: cardlab beside what a user would write with datasketch.

Every way gets the same parquet file of ids and texts: the synthetic corpus, with one or two words
changed on half of the cards of its planted families. The time is from opening the file to the
families. Precision and recall are of the pairs of cards in one family. The exact way compares all
pairs of the texts whose sets of shingles are of a like size; it says what is there to be found,
and is run at the least size only.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .apart import CARDS, Figures, Later, Options, Run, Task

cl, pl, pq = Later("cardlab"), Later("polars"), Later("pyarrow.parquet")
datasketch, sparse = Later("datasketch"), Later("scipy.sparse")

SIZES, SUFFIX = "2000,20000,200000", CARDS
THRESHOLD = 0.9
#: The family of each card that has one.
Labels = dict[str, Any]


def write(path: str, size: int, options: Options) -> None:
    """Make cards, and change one or two words of half of those in planted families."""
    cards = cl.make_cards(size, embedding_dim=0).select("id", "text", planted="family")
    rng = np.random.default_rng(0)
    texts = cards["text"].to_list()
    for at, family in enumerate(cards["planted"]):
        if family is not None and rng.random() < 0.5:
            words = texts[at].split(" ")
            for place in rng.integers(len(words), size=rng.integers(1, 3)):
                words[place] = f"changed{place}"
            texts[at] = " ".join(words)
    # as the Hub's files are: some thousand cards in a row group
    cards.with_columns(pl.Series("text", texts)).write_parquet(path, row_group_size=10_000)


def judge(run: Run) -> Figures:
    """Compare the pairs of cards in one family with the planted ones."""
    truth = dict(pl.read_parquet(run.path, columns=["id", "planted"]).drop_nulls().iter_rows())
    both = {card: (run.found[card], truth[card]) for card in run.found.keys() & truth.keys()}
    sizes = (Counter(labels.values()).values() for labels in (run.found, truth, both))
    found, there, right = (sum(n * (n - 1) // 2 for n in each) for each in sizes)
    return {"precision": right / max(found, 1), "recall": right / max(there, 1)}


FAMILIES = Task("Families of copied texts", judge=judge)
TASKS = {"families": FAMILIES}


@FAMILIES.way("cardlab", "cardlab.families", "rensa", "polars")
def with_cardlab(path: str) -> Labels:
    found = cl.with_families(pl.scan_parquet(path), threshold=THRESHOLD).select("id", "family")
    return dict(found.drop_nulls("family").collect(engine="streaming").iter_rows())


@FAMILIES.way("datasketch, MinHashLSH", "datasketch", "pyarrow.parquet", "scipy.sparse.csgraph")
def with_datasketch(path: str) -> Labels:
    lsh, signs = datasketch.MinHashLSH(threshold=THRESHOLD, num_perm=128), {}
    for card, shingles in _shingled(path):
        signs[card] = datasketch.MinHash(num_perm=128)
        signs[card].update_batch(["\t".join(shingle).encode() for shingle in shingles])
        lsh.insert(card, signs[card])
    return _chained((card, other) for card, sign in signs.items() for other in lsh.query(sign))


@FAMILIES.way("all pairs", "pyarrow.parquet", "scipy.sparse.csgraph", least_only=True)
def all_pairs(path: str) -> Labels:
    sets = sorted((len(shingles), card, shingles) for card, shingles in _shingled(path))
    pairs = []
    for at, (size, card, own) in enumerate(sets):
        for other_size, other, others in itertools.islice(sets, at + 1, None):
            if size < THRESHOLD * other_size:
                break  # too few to have that share in common
            both = len(own & others)
            if both >= THRESHOLD * (size + other_size - both):
                pairs.append((card, other))
    return _chained(pairs)


def _shingled(path: str) -> Iterator[tuple[str, set[tuple[str, ...]]]]:
    """Give the cards that have a word, with their sets of three words in a row."""
    table = pq.read_table(path, columns=["id", "text"])
    for card, text in zip(*(column.to_pylist() for column in table.columns), strict=True):
        if words := re.findall(r"\w+", text or ""):
            yield card, {tuple(words[i : i + 3]) for i in range(max(len(words) - 2, 1))}


def _chained(pairs: Iterable[tuple[str, str]]) -> Labels:
    """Put all that is connected into one family, however long the chain."""
    numbers: dict[str, int] = {}
    coded = [[numbers.setdefault(card, len(numbers)) for card in pair] for pair in pairs]
    a, b = np.array(coded, dtype=np.int64).reshape(-1, 2).T
    graph = sparse.coo_array((np.ones(len(a)), (a, b)), shape=(len(numbers), len(numbers)))
    labels = sparse.csgraph.connected_components(graph, directed=False)[1]
    return dict(zip(numbers, labels.tolist(), strict=True))
