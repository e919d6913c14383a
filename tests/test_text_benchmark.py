"""The ways of the benchmark of texts run, agree on the lengths, and are in the tables."""

from __future__ import annotations

import subprocess
import sys

from conftest import ROOT


def test_all_ways_agree_and_are_in_the_tables():
    code = [sys.executable, "-m", "benchmarks", "text", "--runs", "1"]
    code += ["--sizes", "300", "--words", "60", "--hostile", "2000"]
    out = subprocess.run(code, capture_output=True, text=True, cwd=ROOT, check=False)
    assert out.returncode == 0, out.stderr
    rows = [line.split(" | ") for line in out.stdout.splitlines() if line.startswith("| ")]
    ways = [row[0].removeprefix("| ") for row in rows]
    assert ways.count("cardlab") == 2
    assert {"pandas", "plain Python", "mistune, tree", "comrak alone, HTML"} <= set(ways)
    assert "the same from all but polars'" in out.stdout
