"""The ways of the benchmark of pairs give the same pairs, and the table says how long they took."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import ROOT, table_rows


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
    rows = table_rows(out.stdout)
    assert {row["way"] for row in rows} == {
        "cardlab",
        "pandas self-merge",
        "Counter over combinations",
        "CountVectorizer, X.T @ X",
        "DuckDB self-join",
        "polars, counting only",
    }
    assert [row["cards"] for row in rows] == ["500"] * 6 + ["1,000"] * 6
    found = [row["result"] for row in rows if row["way"] != "polars, counting only"]
    assert len(set(found[:5])) == len(set(found[5:])) == 1
    assert all(int(text.split(" pairs")[0].replace(",", "")) > 100 for text in found)


@pytest.mark.verify
def test_the_shares_of_licences_and_languages_agree_too():
    code = [sys.executable, "-m", "benchmarks", "distributions", "--sizes", "500", "--runs", "1"]
    out = subprocess.run(code, capture_output=True, text=True, cwd=ROOT, check=False)
    assert out.returncode == 0, out.stderr
    rows = table_rows(out.stdout)
    assert len(rows) == 2 * 7
    assert {"cardlab", "DuckDB", "polars, reading only"} <= {row["way"] for row in rows}
    raw = ("cardlab, raw", "pandas, a card once", "DuckDB", "polars, explode + group_by")
    assert len({row["result"] for row in rows if row["way"] in raw}) == 1
