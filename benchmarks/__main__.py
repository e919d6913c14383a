"""``python -m benchmarks [NAME]``: the same work side by side with what one would use instead."""

from __future__ import annotations

import argparse

from . import clustering, cooccurrence, distributions, families, lazy, neighbors, projection, text

#: The sizes (numbers of cards) at which each is run where none are given.
SIZES = {
    "cooccurrence": "100000,300000,1000000",
    "distributions": "1000000",
    "lazy": "200000,1000000",
    "text": "200000",
    "families": "2000,20000,200000",
    "clustering": "50000,100000,200000",
    "neighbors": "50000,200000",
    "projection": "20000,100000",
}


def run(name: str, chosen: argparse.Namespace) -> str:
    sizes = [int(size) for size in (chosen.sizes or SIZES[name]).split(",")]
    ways = chosen.ways.split(",") if chosen.ways else None
    runs = chosen.runs
    if name == "cooccurrence":
        return cooccurrence.table(sizes=sizes, runs=runs, top=chosen.top, ways=ways)
    if name == "distributions":
        return "\n".join(distributions.table(size=size, runs=runs) for size in sizes)
    if name == "text":
        return text.table(
            n_lengths=sizes[-1],
            n_words=chosen.words,
            runs=runs,
            source=chosen.source,
            size=chosen.hostile,
        )
    if name == "projection":
        return projection.table(sizes, runs)
    if name == "clustering":
        return clustering.table(sizes=sizes, runs=runs, noise=chosen.noise, ways=ways)
    timed = {"families": families.table, "lazy": lazy.table, "neighbors": neighbors.table}[name]
    return timed(sizes=sizes, runs=runs, ways=ways)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", default="cooccurrence", choices=[*SIZES, "all"])
    parser.add_argument("--sizes", default=None, help="numbers of cards, with commas between")
    parser.add_argument("--runs", type=int, default=3, help="runs of each way at each size")
    parser.add_argument("--ways", default=None, help="only these ways, with commas between")
    parser.add_argument("--top", type=int, default=200, help="cooccurrence: tags that are paired")
    parser.add_argument("--noise", type=float, default=4.0, help="clustering: length of the noise")
    parser.add_argument("--words", type=int, default=5_000, help="text: cards that are parsed")
    parser.add_argument("--hostile", type=int, default=1_000_000, help="text: letters, hostile")
    parser.add_argument("--source", default=None, help="text: real cards, which are repeated")
    chosen = parser.parse_args()
    for name in SIZES if chosen.name == "all" else [chosen.name]:
        print(run(name, chosen), flush=True)


main()
