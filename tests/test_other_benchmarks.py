"""The benchmarks of families and maps run where only the package's own dependencies are there."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.mark.parametrize(
    ("name", "ways"),
    [("families", {"cardlab", "all pairs"}), ("projection", {"cardlab pca", "cardlab tsne"})],
)
def test_ways_are_in_the_table(name, ways):
    code = [sys.executable, "-m", "benchmarks", name, "--sizes", "300", "--runs", "1"]
    out = subprocess.run(code, capture_output=True, text=True, cwd=ROOT, check=False)
    assert out.returncode == 0, out.stderr
    rows = [line.split(" | ") for line in out.stdout.splitlines() if line.startswith("| 300 | ")]
    assert ways <= {row[1] for row in rows}
