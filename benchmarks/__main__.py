"""``python -m benchmarks``: prints a table for each benchmark."""

from __future__ import annotations

import argparse

from . import cooccurrence, distributions


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--sizes", default="100000,300000,1000000", help="numbers of cards, with commas between"
    )
    parser.add_argument("--runs", type=int, default=3, help="runs of each way at each size")
    parser.add_argument("--top", type=int, default=200, help="most frequent tags that are paired")
    parser.add_argument("--ways", default=None, help="only these ways, with commas between")
    parser.add_argument(
        "--only", choices=("cooccurrence", "distributions"), help="only this benchmark"
    )
    chosen = parser.parse_args()
    sizes = [int(size) for size in chosen.sizes.split(",")]
    ways = chosen.ways.split(",") if chosen.ways else None
    if chosen.only != "distributions":
        print(cooccurrence.table(sizes=sizes, runs=chosen.runs, top=chosen.top, ways=ways))
    if chosen.only != "cooccurrence" and ways is None:
        print(distributions.table(size=sizes[-1], runs=chosen.runs))


main()
