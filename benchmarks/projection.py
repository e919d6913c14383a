"""Maps of planted clusters: cardlab beside the libraries that it might have used.

``python -m benchmarks.projection --sizes 20000,100000``. Every way gets the same vectors (40
clusters in eight families, each spread along directions of its own, 100 columns) and gives a place
for each. Each run is a process of its own; the time is without imports. Of each map are told:
trustworthiness and kept neighbours (share of the ten nearest that are among the ten nearest on the
map), both for 1,000 cards among all, and the share of these whose cluster their ten neighbours on
the map tell. A way that is not installed is left out and named.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np

N_CLUSTERS = 40
N_NEIGHBORS = 10
N_JUDGED = 1_000


def planted(n: int, d: int = 100) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    families = rng.normal(size=(8, d)) * 1.2
    centres = families[rng.integers(0, 8, N_CLUSTERS)] + rng.normal(size=(N_CLUSTERS, d)) * 0.6
    topic = rng.choice(N_CLUSTERS, n, p=rng.dirichlet(np.full(N_CLUSTERS, 2.0)))
    along = rng.normal(size=(N_CLUSTERS, 6, d)) * 0.35
    x = np.empty((n, d), dtype=np.float32)
    for start in range(0, n, 5_000):
        part = topic[start : start + 5_000]
        spread = np.einsum("nr,nrd->nd", rng.normal(size=(len(part), 6)), along[part])
        noise = rng.normal(size=(len(part), d)) * 0.35
        x[start : start + 5_000] = centres[part] + spread + noise
    return x, topic


def by_cardlab(method: str) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        import cardlab as cl

        return cl.project(x, method=method)

    return run


def by_umap(x: Any) -> Any:
    return import_module("umap").UMAP(random_state=0, n_jobs=1).fit_transform(x)


def by_pacmap(x: Any) -> Any:
    return import_module("pacmap").PaCMAP(random_state=0).fit_transform(x)


def by_opentsne(x: Any) -> Any:
    return np.asarray(import_module("openTSNE").TSNE(n_jobs=1, random_state=0).fit(x))


WAYS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "cardlab pca": (by_cardlab("pca"), "sklearn.decomposition"),
    "cardlab tsne": (by_cardlab("tsne"), "sklearn.manifold"),
    "cardlab opentsne": (by_cardlab("opentsne"), "openTSNE"),
    "openTSNE, all vectors": (by_opentsne, "openTSNE"),
    "UMAP": (by_umap, "umap"),
    "PaCMAP": (by_pacmap, "pacmap"),
}


def judge(x: Any, topic: Any, xy: Any) -> dict[str, float]:
    """Compare the neighbours on the map with those in truth, for some cards among all."""
    from scipy.spatial import cKDTree

    n, k = len(x), N_NEIGHBORS
    n_judged = min(N_JUDGED, n)
    judged = np.random.default_rng(0).choice(n, n_judged, replace=False)
    shown = cKDTree(xy).query(xy[judged], k + 1)[1]
    away = (x[judged] ** 2).sum(axis=1)[:, None] + (x**2).sum(axis=1) - 2 * x[judged] @ x.T
    away[np.arange(n_judged), judged] = np.inf
    penalty = kept = told = 0.0
    for i, card in enumerate(judged):
        near = [j for j in shown[i] if j != card][:k]
        ranks = [(away[i] < away[i, j]).sum() + 1 for j in near]
        penalty += sum(max(0, rank - k) for rank in ranks)
        kept += sum(rank <= k for rank in ranks) / k
        told += np.bincount(topic[near]).argmax() == topic[card]
    trust = 1 - 2 * penalty / (n_judged * k * (2 * n - 3 * k - 1))
    return {"trust": trust, "kept": kept / n_judged, "told": told / n_judged}


def run_here(way: str, size: int) -> dict[str, Any]:
    """Run one way in this process."""
    function, module = WAYS[way]
    x, topic = planted(size)
    start = time.perf_counter()
    import_module(module)
    imports = time.perf_counter() - start
    start = time.perf_counter()
    xy = np.asarray(function(x), dtype=np.float32)
    seconds = time.perf_counter() - start
    unit = 2**20 if platform.system() == "Darwin" else 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    digest = hashlib.sha256(xy.tobytes()).hexdigest()[:8]
    found = {"seconds": seconds, "imports": imports, "mb": peak, "digest": digest}
    return found | judge(x, topic, xy)


def run_apart(way: str, size: int) -> dict[str, Any]:
    """Run one way in a fresh process."""
    code = [sys.executable, "-m", "benchmarks.projection", "--way", way, "--sizes", str(size)]
    out = subprocess.run(code, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(out.stdout.splitlines()[-1])
    return found


def table(sizes: list[int], runs: int) -> str:
    """Run all ways that are there, in turns, and give medians as a Markdown table."""
    absent = [way for way, (_, module) in WAYS.items() if find_spec(module.split(".")[0]) is None]
    ways = [way for way in WAYS if way not in absent]
    lines = [
        "| vectors | way | seconds | import | peak MB | trustworthiness | kept | told | repeats |",
        "|---" * 9 + "|",
    ]
    for size in sizes:
        measured: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
        for _ in range(runs):
            for way in ways:
                measured[way].append(run_apart(way, size))
                print(f"{size:>9,} {way:<24}{measured[way][-1]['seconds']:8.1f} s", file=sys.stderr)
        for way, done in measured.items():
            m = {key: median(run[key] for run in done) for key in done[0] if key != "digest"}
            same = "-" if runs == 1 else str(len({run["digest"] for run in done}) == 1)
            lines.append(
                f"| {size:,} | {way} | {m['seconds']:.1f} | {m['imports']:.1f} | {m['mb']:,.0f} "
                f"| {m['trust']:.4f} | {m['kept']:.3f} | {m['told']:.3f} | {same} |"
            )
    if absent:
        lines += ["", f"not installed: {', '.join(absent)}"]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.projection", description=__doc__)
    parser.add_argument("--sizes", default="20000", help="numbers of vectors, commas between")
    parser.add_argument("--runs", type=int, default=1, help="runs of each way at each size")
    parser.add_argument("--way", choices=list(WAYS), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    sizes = [int(size) for size in asked.sizes.split(",")]
    if asked.way:
        print(json.dumps(run_here(asked.way, sizes[0])))
    else:
        print(table(sizes, asked.runs))
