"""Neighbours and near-duplicates: cardlab beside scikit-learn, faiss and plain numpy.

Every way gets the same planted vectors (``make_cards``: twelve topics, families of near copies)
and gives the ten nearest cards of each of 1,000, or all pairs with a cosine of 0.98 or more. The
time is from the matrix in memory to the result. Recall is the share of the neighbours, or pairs,
of brute force in float64; cardlab's has to be 1.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from .apart import Figures, Later, Options, Run, Task

cl, faiss, neighbors = Later("cardlab"), Later("faiss"), Later("sklearn.neighbors")

SIZES, SUFFIX = "50000,200000", ".npy"
TOP, THRESHOLD, N_QUERIES = 10, 0.98, 1_000
#: Pairs of rows found, as two columns.
Found = Any


def write(path: str, size: int, options: Options) -> None:
    cards = cl.make_cards(size, text=False, embedding_dim=options.dim)
    np.save(path, cl.vectors(cards, normalize=True))


def _queries(n: int) -> Any:
    return np.sort(np.random.default_rng(0).choice(n, min(N_QUERIES, n), replace=False))


def judge(run: Run, *, pairs: bool) -> Figures:
    """Compare with brute force in float64, of the first 200 cards that are asked for.

    Neighbours as far away as the last one are as good: ties.
    """
    x, found = run.data, np.asarray(run.found, dtype=np.int64)
    found = np.concatenate([found, found[:, ::-1]]) if pairs else found
    wanted, right = 0, 0
    for row in _queries(len(x))[:200]:
        cosine = x @ x[row].astype(np.float64)
        mine = cosine[found[found[:, 0] == row, 1]]
        cosine[row] = -2
        if pairs:
            wanted += int((cosine >= THRESHOLD).sum())
            right += int((mine >= THRESHOLD).sum())
        else:
            least = np.partition(cosine, len(x) - TOP)[len(x) - TOP]
            wanted, right = wanted + TOP, right + int((mine >= least - 1e-9).sum())
    if run.way == "cardlab" and right < wanted:
        raise SystemExit("cardlab's are not those of brute force")
    return {"recall": right / max(wanted, 1)}


NEIGHBOURS = Task(
    "The ten nearest cards of each of 1,000",
    load=lambda path, options: np.load(path),
    warm=lambda x: np.ascontiguousarray(x[:64]),
    judge=partial(judge, pairs=False),
)
PAIRS = replace(
    NEIGHBOURS,
    title="All pairs with a cosine of 0.98 or more",
    judge=partial(judge, pairs=True),
    ways={},
)
TASKS = {"neighbours": NEIGHBOURS, "near-duplicates": PAIRS}


@NEIGHBOURS.way("cardlab", "cardlab.embeddings.neighbors")
def neighbors_cardlab(x: Any) -> Found:
    ids = [f"{i:08d}" for i in range(len(x))]
    found = cl.neighbors(x, ids=ids, query=[ids[i] for i in _queries(len(x))], top=TOP)
    return found.select("query", "id").cast({"query": int, "id": int}).to_numpy()


@NEIGHBOURS.way("sklearn.NearestNeighbors", "sklearn.neighbors")
def neighbors_scikit_learn(x: Any) -> Found:
    rows = _queries(len(x))
    model = neighbors.NearestNeighbors(n_neighbors=TOP + 1, metric="cosine", algorithm="brute")
    return _without_self(rows, model.fit(x).kneighbors(x[rows], return_distance=False))


@NEIGHBOURS.way("faiss HNSW32", "faiss", kind="HNSW32")
@NEIGHBOURS.way("faiss flat", "faiss", kind="Flat")
def neighbors_faiss(x: Any, *, kind: str) -> Found:
    rows = _queries(len(x))
    index = faiss.index_factory(x.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
    index.add(x)
    return _without_self(rows, index.search(x[rows], TOP + 1)[1])


def _without_self(rows: Any, near: Any) -> Found:
    found = [(row, other[other != row][:TOP]) for row, other in zip(rows, near, strict=True)]
    return np.array([(row, one) for row, others in found for one in others])


@PAIRS.way("cardlab", "cardlab.embeddings.neighbors")
def pairs_cardlab(x: Any) -> Found:
    found = cl.near_duplicates(x, ids=[f"{i:08d}" for i in range(len(x))], threshold=THRESHOLD)
    return found.select("id_a", "id_b").cast(int).to_numpy()


@PAIRS.way("numpy, all blocks", "numpy")
def pairs_numpy(x: Any) -> Found:
    """Multiply all blocks out in float32: what exact search costs without pruning."""
    found = []
    for i, j in itertools.combinations_with_replacement(range(0, len(x), 2048), 2):
        a, b = np.nonzero(x[i : i + 2048] @ x[j : j + 2048].T >= THRESHOLD)
        pairs = np.column_stack([a + i, b + j])
        found.append(pairs[pairs[:, 0] < pairs[:, 1]])
    return np.concatenate(found)


@PAIRS.way("faiss range search", "faiss")
def pairs_faiss(x: Any) -> Found:
    index = faiss.IndexFlatIP(x.shape[1])
    index.add(x)
    found = []
    for start in range(0, len(x), 4096):
        limits, _, other = index.range_search(x[start : start + 4096], THRESHOLD)
        own = start + np.repeat(np.arange(len(limits) - 1), np.diff(limits.astype(np.int64)))
        found.append(np.column_stack([own, other])[own < other])
    return np.concatenate(found)
