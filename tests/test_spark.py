"""Cards on Spark: the same figures, and nothing but results at the driver."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import public, real_file
from polars.testing import assert_frame_equal

import cardlab as cl
from cardlab.comparison.changes import compare_ids

#: All that is run on real cards in the long form; a frame of them, or its vectors, comes first.
ANALYSES: dict[str, dict[str, Any]] = {
    "card_coverage": {},
    "concentration": {"column": None},
    "cooccurrence": {},
    "crosstab": {"rows": "license", "columns": "pipeline_tag"},
    "diversity": {"column": "license"},
    "documentation_gaps": {},
    "doubling_time": {},
    "findings": {},
    "growth": {"by": "library_name"},
    "language_counts": {},
    "language_problems": {},
    "length_ecdf": {"by": "library_name"},
    "length_histogram": {},
    "length_outliers": {},
    "length_relation": {"measure": "n_links", "to": "n_words"},
    "length_summary": {"measure": "n_sections", "by": "license"},
    "license_conflicts": {},
    "license_counts": {"by": "pipeline_tag"},
    "lineage_changes": {},
    "lineage_summary": {},
    "problems": {},
    "profile": {},
    "search": {"query": "summarise news"},
    "section_coverage": {"by": "library_name"},
    "share_trends": {"column": "license"},
    "tag_counts": {},
    "tag_trends": {},
    "tag_variants": {},
    "template_families": {"by": "structure"},
    "unmapped_headings": {},
}
COLUMNS: dict[str, dict[str, Any]] = {
    "with_families": {},
    "with_languages": {},
    "with_licenses": {},
    "with_passages": {},
    "with_period": {"every": "1q"},
    "with_plain_text": {},
    "with_sections": {},
    "with_text_lengths": {},
}
LISTING = ("concentration", "cooccurrence", "crosstab", "growth", "license_counts")
LISTING += ("license_conflicts", "lineage_summary", "profile", "problems", "tag_counts", "findings")


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """A session with two executors' threads, whose clock is not in UTC."""
    lacking = None if shutil.which("java") else "Java, which is not on the path"
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        lacking = "the extra `spark`: pip install 'cardlab[spark]'"
    if lacking:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"Spark needs {lacking}")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "Asia/Tokyo",
        "spark.log.level": "ERROR",
        # short work: what is compiled for long work costs more than it gains
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.codegen.wholeStage": "false",
    }
    session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    yield session
    session.stop()


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch, spark: Any) -> list[int]:
    """How many rows the driver was given, each time that it asked for any."""
    found: list[int] = []
    frame = type(spark.range(1))

    def counting(name: str) -> Any:
        original = getattr(frame, name)

        def counted(self: Any, *args: Any) -> Any:
            rows = original(self, *args)
            found.append(rows.num_rows if name == "toArrow" else len(rows))
            return rows

        return counted

    for name in ("collect", "toArrow", "toPandas"):
        monkeypatch.setattr(frame, name, counting(name))
    return found


def same(found: Any, expected: Any) -> None:
    assert_frame_equal(found, expected, rel_tol=1e-9, abs_tol=1e-9)


def hostile(n_cards: int = 150) -> pl.DataFrame:
    """Cards with odd values in every column, of which Python has to read most."""
    cards = cl.make_cards(n_cards, random_state=3).drop("embeddings")
    odd = pl.int_range(pl.len()) % 7 == 0
    return cards.select(
        pl.exclude("license", "created_at", "metadata", "languages"),
        pl.when(~odd).then("metadata").otherwise(pl.lit("[1")).alias("metadata"),
        pl.when(~odd)
        .then(pl.col("created_at").cast(pl.String))
        .otherwise(pl.lit("soon"))
        .alias("createdAt"),
        pl.col("id").alias("a `strange.` name"),
    )


def test_a_frame_and_a_path_are_read_as_polars_reads_them(spark, tmp_path, collected):
    raw = hostile()
    raw.write_parquet(tmp_path / "cards.parquet", row_group_size=50)
    expected = cl.read_cards(raw)
    assert expected["problems"].list.len().sum() > 20
    path = cl.scan_cards(tmp_path / "cards.parquet", engine="spark")
    assert sum(collected) <= raw.height  # it was looked at, 1,000 cards at most
    same(cl.read_cards(path), expected)
    frame = spark.createDataFrame(raw.head(20).to_arrow())
    assert (
        cl.scan_cards(frame, on_error="skip").count()
        == cl.read_cards(raw.head(20), on_error="skip").height
        < 20
    )
    with pytest.raises(cl.SourceError, match="soon"):
        cl.scan_cards(frame, on_error="raise")


def test_only_what_is_asked_for_is_read(spark, tmp_path):
    hostile(40).write_parquet(tmp_path / "cards.parquet")
    cards = cl.scan_cards(tmp_path / "cards.parquet", engine="spark")
    plan = cards.groupBy("license").count()._jdf.queryExecution().toString()
    read = plan.rpartition("ReadSchema")[2]
    assert "tags" in read and "metadata" in read
    assert "text" not in read and "createdAt" not in read


def test_the_driver_is_given_results_alone(spark, collected):
    cards = cl.make_cards(3_000, random_state=1)
    frame = spark.createDataFrame(cards.drop("embeddings").to_arrow())
    found = cl.license_counts(frame.repartition(3), by="pipeline_tag")
    assert sum(collected) == 1
    same(found, cl.license_counts(cards, by="pipeline_tag"))
    del collected[:]
    added = cl.with_families(cl.with_licenses(cl.with_period(frame)))
    assert sum(collected) == 0
    expected = cl.with_families(cl.with_licenses(cl.with_period(cards)))
    new = ["period", "at_floor", "license_class", "family"]
    of_spark = pl.DataFrame(added.groupBy(*new).count().toArrow())
    same(
        of_spark.sort(new), expected.group_by(new).len("count").cast({"count": pl.Int64}).sort(new)
    )


@pytest.mark.verify
def test_clusters_and_sections_are_found_on_the_executors(spark):
    cards = cl.make_cards(120, random_state=2).drop("embeddings")
    frame = spark.createDataFrame(cards.to_arrow())
    same(cl.section_coverage(frame), cl.section_coverage(cards))
    with_vectors = cl.embed(frame, n_components=8)
    x = cl.embed(cards, n_components=8)
    clusters = cl.cluster(with_vectors, n_clusters=3).select("id", "embeddings", "cluster")
    found = pl.DataFrame(clusters.toArrow()).sort("id")
    order = cards["id"].arg_sort()
    np.testing.assert_allclose(cl.vectors(found), x[order], atol=1e-9)
    assert found["cluster"].to_list() == cl.cluster(x, n_clusters=3)[order].tolist()


def test_errors_are_those_of_polars_and_say_what_to_do(spark, monkeypatch, tmp_path):
    frame = spark.createDataFrame(pl.DataFrame({"id": ["a/b"], "tags": [["x"]]}).to_arrow())
    with pytest.raises(cl.MissingColumn) as missing:
        cl.license_counts(frame)
    assert missing.value.columns == ("license",)
    with pytest.raises(cl.NoFigure):
        cl.growth(frame.selectExpr("id", "CAST(NULL AS TIMESTAMP) AS created_at"))
    with pytest.raises(cl.CardlabError, match=r"read_cards\(cards.limit"):
        cl.explore(frame)
    with pytest.raises(cl.SourceError, match="no column `id`"):
        cl.scan_cards(frame.drop("id"))
    with pytest.raises(cl.SourceError, match="parquet and JSON lines, not CSV"):
        cl.scan_cards(tmp_path / "cards.csv", engine="spark")
    with pytest.raises(cl.SourceError, match="Spark cannot read it"):
        cl.scan_cards(tmp_path / "none.parquet", engine="spark")
    from pyspark.sql import SparkSession

    from cardlab import _spark

    monkeypatch.setattr(SparkSession, "getActiveSession", lambda: None)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(cl.CardlabError, match="openjdk-17"):
        _spark.session()
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(cl.CardlabError, match=r"pip install 'cardlab\[spark\]'"):
        _spark.session()


# ---- The long form: everything, on real cards.


@pytest.fixture(scope="module")
def real(spark: Any) -> tuple[pl.DataFrame, Any]:
    path = real_file("model_cards.seed.parquet")
    return cl.read_cards(path), cl.scan_cards(path, engine="spark").cache()


@pytest.mark.verify
@pytest.mark.parametrize("name", ANALYSES)
def test_analyses_are_those_of_polars(name, real, collected):
    cards, frame = real
    function = public(name)
    try:
        expected = function(cards, **ANALYSES[name])
    except cl.NoFigure as error:
        with pytest.raises(type(error)):
            function(frame, **ANALYSES[name])
        return
    found = function(frame, **ANALYSES[name])
    assert sum(collected) <= 3  # one row for each time that the task was sent what it reads
    same(found, expected)


@pytest.mark.verify
@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_those_of_polars(name, real, collected):
    cards, frame = real
    made = public(name)(frame, **COLUMNS[name])
    assert sum(collected) == 0
    expected = public(name)(cards, **COLUMNS[name])
    found = pl.DataFrame(made.drop("problems").toArrow())
    new = [n for n in expected.columns if n not in cards.columns]
    by = ["id", "sha"]
    same(found.select(*by, *new).sort(by), expected.select(*by, *new).sort(by))


@pytest.mark.verify
def test_real_sources_are_read_as_polars_reads_them(spark):
    for name in ("model_cards.librarian.parquet", "models_radar_2026.parquet"):
        path = real_file(name)
        raw = pl.read_parquet(path).head(3_000)
        frame = cl.scan_cards(spark.createDataFrame(raw.to_arrow()))
        same(cl.read_cards(frame), cl.read_cards(raw))


@pytest.mark.verify
@pytest.mark.parametrize("name", LISTING)
def test_listings_give_the_same_figures(name, spark):
    raw = pl.read_parquet(real_file("models_radar_2026.parquet"))
    cards = cl.read_cards(raw)
    frame = cl.scan_cards(spark.createDataFrame(raw.to_arrow()))
    given = ANALYSES[name]
    try:
        expected = public(name)(cards, **given)
    except cl.NoFigure as error:
        with pytest.raises(type(error)):
            public(name)(frame, **given)
        return
    same(public(name)(frame, **given), expected)


@pytest.mark.verify
def test_an_atlas_and_two_corpora_are_those_of_polars(real):
    cards, frame = real
    found, expected = cl.atlas(frame), cl.atlas(cards)
    for part in ("labels", "layers", "names", "stability"):
        same(getattr(found, part), getattr(expected, part))
    first = cards["created_at"].is_null()
    halves = cards.filter(first), cards.filter(~first)
    given = frame.filter("created_at IS NULL"), frame.filter("created_at IS NOT NULL")
    same(cl.compare(*given), cl.compare(*halves))
    same(compare_ids(*given), compare_ids(*halves))
