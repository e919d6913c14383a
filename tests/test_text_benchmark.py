"""The ways of the benchmark of texts run, agree on the lengths, and are in the tables."""

from __future__ import annotations

import subprocess
import sys

from conftest import ROOT, table_rows


def test_all_ways_agree_and_are_in_the_tables():
    code = [sys.executable, "-m", "benchmarks", "text", "--runs", "1"]
    code += ["--sizes", "300", "--words", "60", "--hostile", "2000"]
    out = subprocess.run(code, capture_output=True, text=True, cwd=ROOT, check=False)
    assert out.returncode == 0, out.stderr
    rows = table_rows(out.stdout)
    ways = [row.get("way") for row in rows]
    assert ways.count("cardlab") == 2
    assert {"pandas", "plain Python", "mistune, tree", "comrak alone, HTML"} <= set(ways)
    lengths = ("cardlab", "pandas", "plain Python")
    assert len({row["result"] for row in rows[:4] if row["way"] in lengths}) == 1
    hostile = [row for row in rows if "repeated" in row]
    assert len(hostile) == 27
    assert all(float(row["x half the size"]) >= 0 for row in hostile)
