"""The benchmark of neighbours runs, and cardlab finds what brute force finds."""

from __future__ import annotations

import subprocess
import sys

from conftest import ROOT


def test_ways_are_in_the_table_with_their_recall():
    ways = "cardlab,sklearn.NearestNeighbors"
    code = [sys.executable, "-m", "benchmarks.neighbors", "--sizes", "600", "--runs", "1"]
    code += ["--dim", "80", "--ways", ways]
    out = subprocess.run(code, capture_output=True, text=True, cwd=ROOT, check=False)
    assert out.returncode == 0, out.stderr
    rows = [line.strip("| ").split(" | ") for line in out.stdout.splitlines() if " / " in line]
    assert [row[:2] for row in rows[1:]] == [
        ["neighbours", "cardlab"],
        ["neighbours", "sklearn.NearestNeighbors"],
        ["near-duplicates", "cardlab"],
    ]
    assert all(" / 1.0000 / " in row[2] for row in rows[1:])
