"""The benchmark of neighbours runs, and cardlab finds what brute force finds."""

from __future__ import annotations

import subprocess
import sys

from conftest import ROOT, table_rows


def test_ways_are_in_the_table_with_their_recall():
    ways = "cardlab,sklearn.NearestNeighbors"
    code = [sys.executable, "-m", "benchmarks", "neighbors", "--sizes", "600", "--runs", "1"]
    code += ["--dim", "80", "--ways", ways]
    out = subprocess.run(code, capture_output=True, text=True, cwd=ROOT, check=False)
    assert out.returncode == 0, out.stderr
    rows = table_rows(out.stdout)
    assert [row["way"] for row in rows] == ["cardlab", "sklearn.NearestNeighbors", "cardlab"]
    assert all(row["recall"] == "1.000" for row in rows)
    assert rows[0]["x cardlab"] == "1.000" != rows[1]["x cardlab"]
