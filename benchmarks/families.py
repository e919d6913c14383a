"""Families of copied texts: cardlab beside what a user would write with datasketch.

Every way gets the same parquet file of ids and texts: the synthetic corpus, with one or two words
changed on half of the cards of its planted families. Each run is a process of its own, the ways
take turns, and the time is from opening the file to the families, imports not counted. Memory is
the peak of the process less its size after the imports. The exact way compares all pairs of the
texts whose sets of shingles are of a like size; it says what is there to be found, and is run at
the least size only. A way whose package is not installed is named and left out.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from .cooccurrence import peak

THRESHOLD = 0.9

Labels = dict[str, Any]


def with_cardlab(path: str) -> Labels:
    import polars as pl

    import cardlab as cl

    found = cl.with_families(pl.scan_parquet(path), threshold=THRESHOLD).select("id", "family")
    return dict(found.drop_nulls("family").collect(engine="streaming").iter_rows())


def with_datasketch(path: str) -> Labels:
    import pyarrow.parquet as pq
    from datasketch import MinHash, MinHashLSH

    lsh, signs = MinHashLSH(threshold=THRESHOLD, num_perm=128), {}
    table = pq.read_table(path, columns=["id", "text"])
    for card, text in zip(*(column.to_pylist() for column in table.columns), strict=True):
        if shingles := _shingles(text):
            signs[card] = MinHash(num_perm=128)
            signs[card].update_batch(["\t".join(shingle).encode() for shingle in shingles])
            lsh.insert(card, signs[card])
    return _chained((card, other) for card, sign in signs.items() for other in lsh.query(sign))


def all_pairs(path: str) -> Labels:
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["id", "text"])
    cards = zip(*(column.to_pylist() for column in table.columns), strict=True)
    sets = sorted(((len(s), card, s) for card, text in cards if (s := _shingles(text))))
    return _chained(_alike(sets))


def _alike(sets: list[tuple[int, str, set[Any]]]) -> Any:
    for at, (size, card, own) in enumerate(sets):
        for other_size, other, others in itertools.islice(sets, at + 1, None):
            if size < THRESHOLD * other_size:
                break  # too few to have that share in common
            both = len(own & others)
            if both >= THRESHOLD * (size + other_size - both):
                yield card, other


def _shingles(text: str | None) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text or "")
    return {tuple(words[i : i + 3]) for i in range(max(len(words) - 2, 1))} if words else set()


def _chained(pairs: Any) -> Labels:
    """Put all that is connected into one family, however long the chain."""
    root: dict[str, str] = {}

    def find(card: str) -> str:
        while root.setdefault(card, card) != card:
            root[card] = root[root[card]]
            card = root[card]
        return card

    for a, b in pairs:
        root[find(a)] = find(b)
    members = defaultdict(list)
    for card in root:
        members[find(card)].append(card)
    families = [cards for cards in members.values() if len(cards) > 1]
    return {card: at for at, cards in enumerate(families) for card in cards}


WAYS: dict[str, tuple[Callable[[str], Labels], tuple[str, ...]]] = {
    "cardlab": (with_cardlab, ("cardlab.families", "rensa", "polars")),
    "datasketch, MinHashLSH": (with_datasketch, ("datasketch", "pyarrow.parquet")),
    "all pairs": (all_pairs, ("pyarrow", "pyarrow.parquet")),
}


def run_here(way: str, path: str) -> dict[str, Any]:
    """Run one way in this process: seconds, added peak memory in MB, and pairs right and wrong."""
    function, modules = WAYS[way]
    for module in modules:
        importlib.import_module(module)
    before = peak()
    start = time.perf_counter()
    labels = function(path)
    seconds = time.perf_counter() - start
    added = peak() - before
    return {"seconds": seconds, "mb": added, **_agreement(path, labels)}


def _agreement(path: str, labels: Labels) -> dict[str, float]:
    """Compare the pairs of cards in one family with the planted ones."""
    import polars as pl

    truth = dict(pl.read_parquet(path, columns=["id", "planted"]).drop_nulls().iter_rows())
    counts: list[dict[Any, int]] = [defaultdict(int) for _ in range(3)]
    for card in labels.keys() | truth.keys():
        keys = labels.get(card), truth.get(card), (labels.get(card), truth.get(card))
        for count, key in zip(counts, keys, strict=True):
            if key is not None and not (isinstance(key, tuple) and None in key):
                count[key] += 1
    found, there, both = (sum(n * (n - 1) // 2 for n in count.values()) for count in counts)
    return {"precision": both / max(found, 1), "recall": both / max(there, 1)}


def write_cards(folder: str, size: int) -> str:
    """Write the corpus in a process of its own, whose memory is given back."""
    path = str(Path(folder) / f"texts-{size}.parquet")
    code = "import sys; from benchmarks.families import make; make(int(sys.argv[1]), sys.argv[2])"
    subprocess.run([sys.executable, "-c", code, str(size), path], check=True)
    return path


def make(size: int, path: str) -> None:
    """Make cards, and change one or two words of half of those in planted families."""
    import numpy as np
    import polars as pl

    import cardlab as cl

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


def table(*, sizes: list[int], runs: int, ways: list[str] | None = None) -> str:
    """Run the ways at all sizes and give the medians as a Markdown table."""
    absent = [name for name, (_, modules) in WAYS.items() if not find_spec(modules[0])]
    lines = [
        "| cards | way | s | x cardlab | added MB | pairs: precision | recall |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            path = write_cards(folder, size)
            chosen = [
                way
                for way in ways or WAYS
                if way not in absent and (way != "all pairs" or size == min(sizes))
            ]
            measured: dict[str, list[dict[str, Any]]] = {way: [] for way in chosen}
            for _, way in itertools.product(range(runs), chosen):  # the ways take turns
                code = [sys.executable, "-m", "benchmarks.families", way, path]
                out = subprocess.run(code, capture_output=True, text=True, check=True)
                measured[way].append(json.loads(out.stdout))
                print(f"{size:>9,} {way:<28}{measured[way][-1]['seconds']:8.2f} s", file=sys.stderr)
            medians = {
                way: {key: median(run[key] for run in done) for key in done[0]}
                for way, done in measured.items()
            }
            for way, found in medians.items():
                ratio = found["seconds"] / medians.get("cardlab", found)["seconds"]
                pairs = f"{found['precision']:.3f} | {found['recall']:.3f}"
                lines.append(
                    f"| {size:,} | {way} | {found['seconds']:.1f} | {ratio:.1f} "
                    f"| {found['mb']:,.0f} | {pairs} |"
                )
    if absent:
        lines += ["", f"not installed, left out: {', '.join(absent)}"]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=list(WAYS))
    parser.add_argument("path")
    asked = parser.parse_args()
    print(json.dumps(run_here(asked.way, asked.path)))
