"""The ways of the benchmark of pairs give the same pairs, and the table says how long they took."""

from __future__ import annotations

import subprocess
import sys

from conftest import ROOT


def test_all_ways_agree_and_are_in_the_table():
    code = [
        sys.executable,
        "-m",
        "benchmarks",
        "cooccurrence",
        "--sizes",
        "500,1000",
        "--runs",
        "1",
        "--top",
        "50",
    ]
    out = subprocess.run(code, capture_output=True, text=True, cwd=ROOT, check=False)
    assert out.returncode == 0, out.stderr
    rows = [line.split(" | ") for line in out.stdout.splitlines() if line.startswith("| ")]
    assert rows[0][0] == "| way"
    assert {row[0].removeprefix("| ") for row in rows[1:]} == {
        "cardlab",
        "pandas self-merge",
        "Counter over combinations",
        "CountVectorizer, X.T @ X",
        "DuckDB self-join",
        "polars, counting only",
    }
    assert all(len(row) == 4 for row in rows)
    assert "the same pairs from all ways" in out.stdout


def test_the_shares_of_licences_and_languages_agree_too():
    code = [sys.executable, "-m", "benchmarks", "distributions", "--sizes", "500", "--runs", "1"]
    out = subprocess.run(code, capture_output=True, text=True, cwd=ROOT, check=False)
    assert out.returncode == 0, out.stderr
    rows = [line.split(" | ") for line in out.stdout.splitlines() if line.startswith("| ")]
    assert len(rows) == 8
    assert {"| cardlab", "| DuckDB", "| polars, reading only"} <= {row[0] for row in rows}
