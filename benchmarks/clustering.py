"""Clusters of vectors: cardlab beside what a user would write with the usual libraries.

Every way gets the same ``.npy`` file of float32 vectors: those of `make_cards` with 50 planted
topics of unequal size, and normal noise on top that is several times as long as the vectors, so
that the clusters are hard to find but still there. Each run is a process of its own, the ways
take turns, and the time is from the vectors in memory to the labels, imports not counted.
Memory is the peak of the whole process, imports included, as a multiple of the vectors.
Agreement is the adjusted Rand index with the planted topics. Inertia is the mean squared
distance of a vector to the mean of its cluster, in the full space, whatever the way fitted in.

The assignment of all vectors to 50 centres is timed in a process of its own as well, next to
plain float32 matrix products: of the same two matrices, and of square ones.
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
import numpy.typing as npt

K, DIM, SEED = 50, 768, 0
Vectors = npt.NDArray[np.float32]
Labels = npt.NDArray[Any]


def with_cardlab(x: Vectors) -> Labels:
    import cardlab as cl

    return cl.cluster(x, n_clusters=K, random_state=SEED)


def with_kmeans(x: Vectors) -> Labels:
    from sklearn.cluster import KMeans

    labels: Labels = KMeans(K, n_init=1, random_state=SEED).fit_predict(x)
    return labels


def with_minibatch(x: Vectors) -> Labels:
    from sklearn.cluster import MiniBatchKMeans

    labels: Labels = MiniBatchKMeans(K, n_init=3, random_state=SEED).fit_predict(x)
    return labels


def with_faiss(x: Vectors) -> Labels:
    import faiss

    kmeans = faiss.Kmeans(x.shape[1], K, seed=SEED, niter=25)
    kmeans.train(x)
    labels: Labels = kmeans.index.search(x, 1)[1].ravel()
    return labels


WAYS: dict[str, tuple[Callable[[Vectors], Labels], tuple[str, ...]]] = {
    "cardlab": (with_cardlab, ("cardlab.embeddings", "sklearn.cluster", "scipy.cluster.hierarchy")),
    "KMeans(n_init=1)": (with_kmeans, ("sklearn.cluster",)),
    "MiniBatchKMeans": (with_minibatch, ("sklearn.cluster",)),
    "faiss Kmeans": (with_faiss, ("faiss",)),
}


def run_here(way: str, path: str) -> dict[str, Any]:
    """Run one way in this process."""
    if way == "assignment":
        return assignment(path)
    function, modules = WAYS[way]
    for module in modules:
        importlib.import_module(module)
    x: Vectors = np.load(path)
    start = time.perf_counter()
    labels = function(x)
    seconds = time.perf_counter() - start
    peak = _peak()
    from sklearn.metrics import adjusted_rand_score

    topic = np.load(Path(path).with_suffix(".topic.npy"))
    return {
        "seconds": seconds,
        "memory": peak / x.nbytes,
        "ari": float(adjusted_rand_score(topic, labels)),
        "inertia": inertia(x, labels),
        "clusters": len(np.unique(labels)),
    }


def assignment(path: str, repeats: int = 5) -> dict[str, Any]:
    """Give rates in GFLOP/s, the best of some repeats each, taking turns."""
    from sklearn.cluster import KMeans

    from cardlab.embeddings.kmeans import assign
    from cardlab.embeddings.points import Points

    x: Vectors = np.load(path)
    points = Points.of(x, SEED)
    model = KMeans(K, n_init=1, max_iter=2, random_state=SEED).fit(x[: 20 * K])
    centres = np.ascontiguousarray(model.cluster_centers_.T)
    in_components = points.values[:K].copy()
    square = x[:4096].copy(), np.ascontiguousarray(x[4096 : 4096 + 4096].T)
    n_work = 2.0 * x.shape[0] * x.shape[1] * K
    works: dict[str, tuple[Callable[[], Any], float]] = {
        "cardlab": (lambda: assign(points, in_components), n_work),
        "KMeans.predict": (lambda: model.predict(x), n_work),
        "product of the same shape": (lambda: x @ centres, n_work),
        "product 4096 x 768 x 4096": (lambda: square[0] @ square[1], 2.0 * 4096 * DIM * 4096),
    }
    best = dict.fromkeys(works, 0.0)
    for _, name in itertools.product(range(repeats), works):
        work, flop = works[name]
        start = time.perf_counter()
        work()
        best[name] = max(best[name], flop / (time.perf_counter() - start) / 1e9)
    return best


def inertia(x: Vectors, labels: Labels) -> float:
    """Give the mean squared distance to the mean of the cluster."""
    total = 0.0
    for cluster in np.unique(labels):
        members = x[labels == cluster].astype(np.float64)
        total += float(((members - members.mean(axis=0)) ** 2).sum())
    return total / len(x)


def _peak() -> float:
    unit = 1 if platform.system() == "Darwin" else 2**10
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def run_apart(way: str, path: str) -> dict[str, Any]:
    """Run one way in a fresh process."""
    code = [sys.executable, "-m", "benchmarks.clustering", way, path]
    out = subprocess.run(code, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(out.stdout.splitlines()[-1])
    return found


def write_vectors(folder: str, size: int, noise: float) -> str:
    """Write vectors and topics in a process of its own, whose memory is given back."""
    path = str(Path(folder) / f"vectors-{size}.npy")
    code = [sys.executable, "-m", "benchmarks.clustering", "write", path]
    subprocess.run([*code, "--size", str(size), "--noise", str(noise)], check=True)
    return path


def write_here(path: str, size: int, noise: float) -> None:
    """Draw cards and add noise to their vectors."""
    import cardlab as cl

    cards = cl.make_cards(size, n_topics=K, embedding_dim=DIM, text=False, random_state=SEED)
    x = cl.vectors(cards).copy()
    rng = np.random.default_rng(SEED)
    for start in range(0, size, 10_000):
        block = x[start : start + 10_000]
        block += rng.standard_normal(block.shape, dtype=np.float32) * np.float32(noise / DIM**0.5)
    np.save(path, x)
    np.save(Path(path).with_suffix(".topic.npy"), cards["topic"].to_numpy())


def table(*, sizes: list[int], runs: int, noise: float = 4.0, ways: list[str] | None = None) -> str:
    """Run all ways at all sizes and give the medians as a Markdown table."""
    if min(sizes) < 2 * 4096:  # two blocks of which a product is timed
        raise SystemExit(f"clustering needs at least {2 * 4096:,} cards, not {min(sizes):,}.")
    chosen = ways or [w for w in WAYS if w != "faiss Kmeans" or importlib.util.find_spec("faiss")]
    lines = [
        f"{K} clusters of vectors of {DIM} numbers, noise {noise:g} times as long as the vectors",
        "",
        "| vectors | way | s | x cardlab | peak / vectors | adjusted Rand | inertia |",
        "|---|---|---|---|---|---|---|",
    ]
    rates = []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            path = write_vectors(folder, size, noise)
            measured: dict[str, list[dict[str, Any]]] = {way: [] for way in [*chosen, "assignment"]}
            for _, way in itertools.product(range(runs), measured):  # the ways take turns
                measured[way].append(run_apart(way, path))
                print(f"{size:>9,} {way:<18} {measured[way][-1]}", file=sys.stderr)
            middle = {
                way: {key: median(run[key] for run in done) for key in done[0]}
                for way, done in measured.items()
            }
            own = middle.get("cardlab", {}).get("seconds")
            for way in chosen:
                of = middle[way]
                ratio = f"{of['seconds'] / own:.1f}" if own else "-"
                lines.append(
                    f"| {size:,} | {way} | {of['seconds']:.2f} | {ratio} | {of['memory']:.2f} | "
                    f"{of['ari']:.3f} | {of['inertia']:.4f} |"
                )
            rates.append((size, middle["assignment"]))
            Path(path).unlink()
    lines += [
        "",
        "Assignment to the nearest centre, GFLOP/s (share of the product of one shape):",
        "",
    ]
    for size, rate in rates:
        plain = rate["product of the same shape"]
        shown = [f"{name} {value:.0f} ({value / plain:.2f})" for name, value in rate.items()]
        lines.append(f"- {size:,}: " + ", ".join(shown))
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=[*WAYS, "assignment", "write"])
    parser.add_argument("path")
    parser.add_argument("--size", type=int, default=200_000)
    parser.add_argument("--noise", type=float, default=4.0)
    asked = parser.parse_args()
    if asked.way == "write":
        write_here(asked.path, asked.size, asked.noise)
    else:
        print(json.dumps(run_here(asked.way, asked.path)))
