"""``python -m benchmarks [NAME]``: the same work side by side with what one would use instead."""

from __future__ import annotations

import argparse

from . import coverage, explorers, figures
from .apart import report

NAMES = ["cooccurrence", "distributions", "lazy", "text"]
NAMES += ["families", "atlas", "clustering", "neighbors", "projection"]
#: Those that are no ways side by side.
OWN = {"coverage": coverage.report, "explorers": explorers.report, "figures": figures.report}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", default="cooccurrence", choices=[*NAMES, *OWN, "all"])
    parser.add_argument("--sizes", default=None, help="numbers of cards, with commas between")
    parser.add_argument("--runs", type=int, default=3, help="runs of each way at each size")
    parser.add_argument("--ways", default=None, help="only these ways, with commas between")
    parser.add_argument("--top", type=int, default=200, help="cooccurrence: tags that are paired")
    parser.add_argument("--noise", type=float, default=4.0, help="clustering: length of the noise")
    parser.add_argument("--dim", type=int, default=768, help="neighbors: numbers in a vector")
    parser.add_argument("--words", type=int, default=5_000, help="text: cards that are parsed")
    parser.add_argument("--hostile", type=int, default=1_000_000, help="text: letters, hostile")
    parser.add_argument("--source", default=None, help="text, atlas, explorers: cards")
    parser.add_argument("--write", action="store_true", help="coverage: keep the counts")
    chosen = vars(parser.parse_args())
    name = chosen.pop("name")
    for each in NAMES if name == "all" else [name]:
        options = argparse.Namespace(**chosen)
        own = OWN.get(each)
        print(own(options) if own else report(each, options), flush=True)


if __name__ == "__main__":
    main()
