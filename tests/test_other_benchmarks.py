"""The harness of the benchmarks; and those of families, maps and lazy frames run.

They do where only the package's own dependencies are there.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, table_rows

import cardlab as cl
from benchmarks import clustering, figures
from benchmarks.apart import Task, _table


@pytest.mark.parametrize(
    ("name", "ways"),
    [
        ("families", {"cardlab", "all pairs"}),
        pytest.param("projection", {"cardlab pca", "cardlab tsne"}, marks=pytest.mark.verify),
        pytest.param("atlas", {"cardlab", "KMeans, 20"}, marks=pytest.mark.verify),
    ],
)
def test_ways_are_in_the_table(name, ways):
    code = [sys.executable, "-m", "benchmarks", name, "--sizes", "300", "--runs", "1"]
    out = subprocess.run(code, capture_output=True, text=True, cwd=ROOT, check=False)
    assert out.returncode == 0, out.stderr
    rows = table_rows(out.stdout)
    assert {row["cards"] for row in rows} == {"300"}
    assert ways <= {row["way"] for row in rows}


def test_lazy_frames_are_held_against_read_ones():
    code = [sys.executable, "-m", "benchmarks", "lazy", "--sizes", "300", "--runs", "1"]
    code += ["--ways", "license_counts"]
    out = subprocess.run(code, capture_output=True, text=True, cwd=ROOT, check=False)
    assert out.returncode == 0, out.stderr
    rows = table_rows(out.stdout)
    assert [row["way"] for row in rows] == ["license_counts"] * 3
    for row in rows:
        whole = float(row["s"]) + float(row["reading, s"])
        assert float(row["ratio"]) == pytest.approx(float(row["lazy, s"]) / whole, rel=0.5)


def test_ways_of_the_figures_count_the_same(tmp_path):
    path = str(tmp_path / "cards.parquet")
    cl.make_cards(300, text=False, embedding_dim=0).write_parquet(path)
    ways = {name: task.ways for name, task in figures.TASKS.items()}
    own = dict(ways["tag_counts"]["cardlab"].run(path).select("tag", "n_cards").iter_rows())
    for counts in (
        dict(ways["tag_counts"]["DuckDB"].run(path)),
        ways["tag_counts"]["pandas"].run(path).to_dict(),
    ):
        assert own == {tag.strip(): n for tag, n in counts.items()}
    new = ways["growth"]["cardlab"].run(path)["n_new"]
    for way in ("DuckDB", "pandas"):
        counts = ways["growth"][way].run(path)
        months = [n for _, n in counts] if way == "DuckDB" else counts.to_list()
        assert sorted(months) == sorted(new.filter(new > 0))
    edges = ways["lineage_summary"]["cardlab"].run(path)
    ((n_edges, n_known),) = ways["lineage_summary"]["DuckDB"].run(path)
    assert (n_edges, n_known) == (edges["n_edges"][0], (edges["n_edges"] - edges["n_dangling"])[0])
    for name in ("crosstab", "share_trends", "cooccurrence", "license_counts"):
        assert ways[name]["DuckDB"].run(path)


@pytest.fixture
def task():
    task = Task("Sums", against=("cardlab", "plain"))
    for name in ("cardlab", "plain"):
        task.way(name, "math")(sum)
    task.way("other", "math", compared=False)(sum)
    return task


def run(cards, way, seconds, result):
    return {"cards": cards, "way": way, "s": seconds, "added MB": 1.0, "result": result}


def test_medians_ratios_and_growth(task):
    runs = [run(1000, "cardlab", s, "a") for s in (1.0, 9.0, 2.0)]
    runs += [
        run(1000, "plain", 8.0, "a"),
        run(1000, "other", 1.0, "b"),
        run(1000, "other", 1.0, "c"),
    ]
    runs += [run(4000, "cardlab", 8.0, "d"), run(4000, "plain", 128.0, "d")]
    rows = table_rows(_table(task, runs))
    assert [row["s"] for row in rows] == ["2.000", "8.000", "1.000", "8.000", "128.000"]
    assert [row["x cardlab"] for row in rows] == ["1.000", "4.000", "0.500", "1.000", "16.000"]
    assert [row["x plain"] for row in rows] == ["0.250", "1.000", "0.125", "0.062", "1.000"]
    assert [row["growth"] for row in rows] == ["1.000", "2.000", "null", "1.000", "2.000"]
    assert [row["result"] for row in rows] == ["a", "a", "differs", "d", "d"]


@pytest.mark.parametrize("results", [("a", "b"), ("a", None)])
def test_ways_that_do_not_agree_end_the_benchmark(task, results):
    runs = [
        run(10, way, 1.0, found) for way, found in zip(("cardlab", "plain"), results, strict=True)
    ]
    with pytest.raises(SystemExit, match="the ways do not agree"):
        _table(task, runs)


@pytest.mark.parametrize("way", ["cardlab", "KMeans.predict", clustering.PRODUCT])
def test_what_assigns_is_still_there(way):
    x = np.random.default_rng(0).normal(size=(120, clustering.DIM)).astype(np.float32)
    found = clustering.assignment(x, way=way)()
    assert len(found[0] if isinstance(found, tuple) else found) == len(x)


def test_an_error_of_a_way_ends_the_benchmark_with_its_message():
    code = [sys.executable, "-m", "benchmarks", "clustering", "--sizes", "10", "--runs", "1"]
    out = subprocess.run(code, capture_output=True, text=True, cwd=ROOT, check=False)
    assert out.returncode == 1
    assert out.stderr.splitlines()[-1] == "clustering needs at least 8,192 cards, not 10."
