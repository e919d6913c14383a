"""Neighbours and near-duplicates: cardlab beside scikit-learn, faiss and plain numpy.

Every way gets the same ``.npy`` file of planted vectors (``make_cards``: twelve topics, families of
near copies) and gives the ten nearest cards of each of 1,000, or all pairs with a cosine of 0.98
or more. Recall is the share of the neighbours, or pairs, of brute force in float64. Each run is a
process of its own, the ways take turns; time is from the matrix in memory to the result, and
memory is the peak of the process less what it had with the matrix loaded. Ways whose package is
not installed are named and left out.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import itertools
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

TOP, THRESHOLD, N_QUERIES = 10, 0.98, 1_000
#: Pairs of rows found, as two columns.
Found = Any


def _queries(n: int) -> Any:
    return np.sort(np.random.default_rng(0).choice(n, min(N_QUERIES, n), replace=False))


def neighbors_cardlab(x: Any) -> Found:
    import cardlab as cl

    ids = [f"{i:08d}" for i in range(len(x))]
    found = cl.neighbors(x, ids=ids, query=[ids[i] for i in _queries(len(x))], top=TOP)
    return found.select("query", "id").cast({"query": int, "id": int}).to_numpy()


def neighbors_scikit_learn(x: Any) -> Found:
    from sklearn.neighbors import NearestNeighbors

    rows = _queries(len(x))
    fitted = NearestNeighbors(n_neighbors=TOP + 1, metric="cosine", algorithm="brute").fit(x)
    return _without_self(rows, fitted.kneighbors(x[rows], return_distance=False))


def neighbors_faiss(x: Any) -> Found:
    return _with_faiss(x, "Flat")


def neighbors_faiss_hnsw(x: Any) -> Found:
    return _with_faiss(x, "HNSW32")


def _with_faiss(x: Any, kind: str) -> Found:
    import faiss

    rows = _queries(len(x))
    index = faiss.index_factory(x.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
    index.add(x)
    return _without_self(rows, index.search(x[rows], TOP + 1)[1])


def _without_self(rows: Any, near: Any) -> Found:
    pairs = []
    for row, found in zip(rows, near, strict=True):
        pairs += [(row, other) for other in found if other != row][:TOP]
    return np.array(pairs)


def pairs_cardlab(x: Any) -> Found:
    import cardlab as cl

    found = cl.near_duplicates(x, ids=[f"{i:08d}" for i in range(len(x))], threshold=THRESHOLD)
    return found.select("id_a", "id_b").cast(int).to_numpy()


def pairs_numpy(x: Any) -> Found:
    """Multiply all blocks out in float32: what exact search costs without pruning."""
    found = []
    for i, j in itertools.combinations_with_replacement(range(0, len(x), 2048), 2):
        a, b = np.nonzero(x[i : i + 2048] @ x[j : j + 2048].T >= THRESHOLD)
        pairs = np.column_stack([a + i, b + j])
        found.append(pairs[pairs[:, 0] < pairs[:, 1]])
    return np.concatenate(found)


def pairs_faiss(x: Any) -> Found:
    import faiss

    index = faiss.IndexFlatIP(x.shape[1])
    index.add(x)
    found = []
    for start in range(0, len(x), 4096):
        limits, _, other = index.range_search(x[start : start + 4096], THRESHOLD)
        own = start + np.repeat(np.arange(len(limits) - 1), np.diff(limits.astype(np.int64)))
        found.append(np.column_stack([own, other])[own < other])
    return np.concatenate(found)


WAYS: dict[str, dict[str, tuple[Callable[[Any], Found], str]]] = {
    "neighbours": {
        "cardlab": (neighbors_cardlab, "cardlab.embeddings"),
        "sklearn.NearestNeighbors": (neighbors_scikit_learn, "sklearn.neighbors"),
        "faiss flat": (neighbors_faiss, "faiss"),
        "faiss HNSW32": (neighbors_faiss_hnsw, "faiss"),
    },
    "near-duplicates": {
        "cardlab": (pairs_cardlab, "cardlab.embeddings"),
        "numpy, all blocks": (pairs_numpy, "numpy"),
        "faiss range search": (pairs_faiss, "faiss"),
    },
}


def run_here(task: str, way: str, path: str) -> dict[str, Any]:
    """Run one way in this process: seconds, added peak memory in MB, and the share it found."""
    function, module = WAYS[task][way]
    importlib.import_module(module)
    x = np.load(path)
    function(np.ascontiguousarray(x[:64]))  # Imports and the threads' start are not counted.
    before = _peak()
    start = time.perf_counter()
    found = function(x)
    seconds = time.perf_counter() - start
    added = _peak() - before
    recall, n = _recall(task, x, np.asarray(found, dtype=np.int64))
    return {"seconds": seconds, "mb": added, "recall": recall, "n": n}


def _recall(task: str, x: Any, found: Any) -> tuple[float, int]:
    """Compare with brute force in float64, of the first 200 cards that are asked for.

    Neighbours as far away as the last one are as good: ties.
    """
    if task == "near-duplicates":
        found = np.concatenate([found, found[:, ::-1]])
    wanted, right = 0, 0
    for row in _queries(len(x))[:200]:
        cosine = x @ x[row].astype(np.float64)
        mine = cosine[found[found[:, 0] == row, 1]]
        cosine[row] = -2
        if task == "neighbours":
            least = np.partition(cosine, len(x) - TOP)[len(x) - TOP]
            wanted, right = wanted + TOP, right + int((mine >= least - 1e-9).sum())
        else:
            wanted += int((cosine >= THRESHOLD).sum())
            right += int((mine >= THRESHOLD).sum())
    return right / max(wanted, 1), len(found)


def _peak() -> float:
    unit = 2**20 if platform.system() == "Darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def run_apart(task: str, way: str, path: str) -> dict[str, Any]:
    """Run one way in a fresh process."""
    code = [sys.executable, "-m", "benchmarks.neighbors", "--run", task, way, path]
    out = subprocess.run(code, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(out.stdout)
    return found


def write_vectors(folder: str, size: int, dim: int) -> str:
    """Write planted vectors in a process of its own, whose memory is given back."""
    path = str(Path(folder) / f"vectors-{size}.npy")
    code = (
        "import sys, numpy as np, cardlab as cl;"
        "cards = cl.make_cards(int(sys.argv[1]), text=False, embedding_dim=int(sys.argv[2]));"
        "np.save(sys.argv[3], cl.vectors(cards, normalize=True))"
    )
    subprocess.run([sys.executable, "-c", code, str(size), str(dim), path], check=True)
    return path


def table(*, sizes: list[int], runs: int, dim: int = 768, ways: list[str] | None = None) -> str:
    """Run all ways at all sizes and give the medians as a Markdown table."""
    heads = [f"{size:,} x {dim}: s / added MB / recall / x cardlab" for size in sizes]
    lines = ["| task | way | " + " | ".join(heads) + " |", "|---" * (len(sizes) + 2) + "|"]
    missing = set()
    cells: dict[tuple[str, str], list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            path = write_vectors(folder, size, dim)
            for task, all_ways in WAYS.items():
                chosen = [way for way in all_ways if ways is None or way in ways]
                for way in list(chosen):
                    if importlib.util.find_spec(all_ways[way][1].split(".")[0]) is None:
                        missing.add(all_ways[way][1])
                        chosen.remove(way)
                measured: dict[str, list[dict[str, Any]]] = {way: [] for way in chosen}
                for _, way in itertools.product(range(runs), chosen):  # the ways take turns
                    measured[way].append(run_apart(task, way, path))
                    took = measured[way][-1]["seconds"]
                    print(f"{size:>9,} {task:<16}{way:<26}{took:8.2f} s", file=sys.stderr)
                own = [run["seconds"] for run in measured.get("cardlab", [])]
                for way, done in measured.items():
                    seconds, mb, recall = (
                        median(run[key] for run in done) for key in ("seconds", "mb", "recall")
                    )
                    if way == "cardlab" and recall < 1:
                        raise SystemExit(f"cardlab's {task} are not those of brute force")
                    ratio = f" / {seconds / median(own):.1f}" if own else ""
                    cell = f"{seconds:.2f} / {mb:,.0f} / {recall:.4f}{ratio}"
                    cells.setdefault((task, way), []).append(cell)
    lines += [f"| {task} | {way} | " + " | ".join(row) + " |" for (task, way), row in cells.items()]
    if missing:
        lines += ["", f"not installed, left out: {', '.join(sorted(missing))}"]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.neighbors", description=__doc__)
    parser.add_argument("--sizes", default="50000,200000", help="numbers of cards")
    parser.add_argument("--runs", type=int, default=3, help="runs of each way at each size")
    parser.add_argument("--dim", type=int, default=768, help="numbers in a vector")
    parser.add_argument("--ways", default=None, help="only these ways, with commas between")
    parser.add_argument("--run", nargs=3, default=None, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.run:
        print(json.dumps(run_here(*asked.run)))
    else:
        own_ways = asked.ways.split(",") if asked.ways else None
        own_sizes = [int(size) for size in asked.sizes.split(",")]
        print(table(sizes=own_sizes, runs=asked.runs, dim=asked.dim, ways=own_ways))
