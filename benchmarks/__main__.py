"""``python -m benchmarks``: prints a table for each benchmark."""

from __future__ import annotations

import argparse

from . import cooccurrence


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--sizes", default="100000,300000,1000000", help="numbers of cards, with commas between"
    )
    parser.add_argument("--runs", type=int, default=3, help="runs of each way at each size")
    parser.add_argument("--top", type=int, default=200, help="most frequent tags that are paired")
    parser.add_argument("--ways", default=None, help="only these ways, with commas between")
    chosen = parser.parse_args()
    sizes = [int(size) for size in chosen.sizes.split(",")]
    ways = chosen.ways.split(",") if chosen.ways else None
    print(cooccurrence.table(sizes=sizes, runs=chosen.runs, top=chosen.top, ways=ways))


main()
