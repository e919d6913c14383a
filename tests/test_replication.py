"""The published figures of a study: the same methods, on the part of its listing held here."""

from __future__ import annotations

import datetime as dt
import json
import math
from importlib.resources import files

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cardlab as cl
from cardlab import replication
from cardlab.charts.counts import plot_card_rates
from cardlab.replication import PUBLISHED

#: The study's own names of domains, where they differ from ours.
STUDY = {"reinfocement_learning": "reinforcement_learning"}


@pytest.fixture(scope="module")
def study(data):
    return pl.read_parquet(data / "models_2022.parquet")


def here(compared):
    return dict(compared.select("figure", "here").iter_rows())


def test_growth_is_the_published_method(study, data):
    """Weekly cut-offs, strictly before, a line by least squares: with numpy alone."""
    created = study["creation_time"].drop_nulls().to_list()
    cut = dt.datetime(2018, 11, 1, tzinfo=dt.UTC)
    cuts = []
    while not cuts or cuts[-1] <= max(created):
        cuts.append(cut)
        cut += dt.timedelta(weeks=1)
    counts = np.searchsorted(np.sort(np.array(created)), np.array(cuts), side="left")
    kept = np.array([c >= dt.datetime(2020, 4, 30, tzinfo=dt.UTC) for c in cuts])
    rate = np.polyfit(np.arange(kept.sum()), np.log(counts[kept]), 1)[0]
    found = here(replication.replicate(cl.scan_cards(data / "models_2022.parquet")))
    assert found["growth of the log count a week"] == pytest.approx(rate, rel=1e-9)
    assert found["doubling time"] == pytest.approx(math.log(2) / rate, rel=1e-9)
    assert found["growth a week"] == pytest.approx(math.exp(rate) - 1, rel=1e-9)
    assert found["weekly cut-offs in the fit"] == kept.sum() == 128
    assert found["models"] == study.height
    assert found["models with a card"] == sum(study["has_modelcard"].to_list())
    if study.height == 74_970:  # the whole listing: the published figures themselves
        for figure, published, _ in PUBLISHED:
            if published is None:  # not in the study
                continue
            assert found[figure] == pytest.approx(published, rel=2e-3), figure


@pytest.mark.parametrize(
    ("by", "column"), [("pipeline_tag", "task_category"), ("task_domain", "task_domain")]
)
def test_card_rates_equal_plain_python(study, data, by, column):
    wanted = {}
    for group, has, loads in study.select(column, "has_modelcard", "downloads").iter_rows():
        row = wanted.setdefault(group, [0, 0, 0, 0])
        row[0] += 1
        row[1] += bool(has)
        row[2] += loads or 0
        row[3] += (loads or 0) * bool(has)
    total = sum(row[2] for row in wanted.values())
    found = replication.card_rates(cl.scan_cards(data / "models_2022.parquet"), by=by)
    assert found.height == len(wanted)
    for row in found.iter_rows(named=True):
        n, n_with_card, loads, to_cards = wanted[row[by]]
        assert (row["n_models"], row["n_with_card"], row["downloads"]) == (n, n_with_card, loads)
        assert row["model_share"] == pytest.approx(n / study.height)
        assert row["card_rate"] == pytest.approx(n_with_card / n)
        assert row["rate_low"] <= row["card_rate"] <= row["rate_high"]
        assert row["download_share"] == pytest.approx(loads / total)
        assert row["card_download_share"] == (pytest.approx(to_cards / loads) if loads else None)
    ranked = [(-row["n_models"], row[by]) for row in found.iter_rows(named=True)]
    assert ranked == sorted(ranked)


def test_domains_are_those_of_the_study(study):
    """Wherever the study gave a task a domain, ours is the same."""
    tasks = study.select(pl.col("task_category").alias("pipeline_tag"), "task_domain").unique()
    known = tasks.filter(pl.col("task_domain") != "unknown")
    ours = replication.with_task_domains(known.drop("task_domain"))["task_domain"]
    assert ours.to_list() == known["task_domain"].replace(STUDY).to_list()
    assert known.height > 20


def test_every_task_of_the_hub_has_a_domain():
    listed = json.loads(files("cardlab").joinpath("data/tag_kinds.json").read_text("utf-8"))
    tasks = pl.DataFrame({"pipeline_tag": listed["task"]})
    assert "unknown" not in replication.with_task_domains(tasks)["task_domain"].to_list()
    odd = pl.LazyFrame({"pipeline_tag": ["no-such-task", None]})
    assert replication.with_task_domains(odd).collect()["task_domain"].to_list() == [
        "unknown",
        None,
    ]


def test_given_domains_are_kept(data):
    cards = cl.scan_cards(data / "models_2022.parquet")
    assert replication.with_task_domains(cards).collect().equals(cards.collect())


def test_the_text_says_who_has_a_card():
    cards = pl.DataFrame({"id": list("abcd"), "text": ["# a", " \n\t", "", None]})
    row = replication.card_rates(cards).row(0, named=True)
    assert (row["n_models"], row["n_with_card"]) == (4, 1)
    assert "downloads" not in row


def test_downloads_that_are_not_known():
    cards = pl.DataFrame(
        {
            "id": list("abcde"),
            "has_modelcard": [True, False, True, None, True],
            "downloads": [6, 2, None, 0, None],
            "task": ["x", "x", "y", None, "y"],
        }
    )
    found = {
        row["task"]: row for row in replication.card_rates(cards, by="task").iter_rows(named=True)
    }
    assert found["x"]["card_download_share"] == 0.75
    assert found["x"]["download_share"] == 1
    assert found["y"]["n_no_downloads"] == 2 and found["y"]["card_download_share"] is None
    assert found[None]["n_with_card"] == 0
    nothing = replication.card_rates(cards.with_columns(downloads=pl.lit(0)))
    assert nothing["download_share"].to_list() == [None]


models = st.lists(
    st.tuples(
        st.booleans() | st.none(),
        st.integers(0, 10**9) | st.none(),
        st.sampled_from(["a", "b", "</script>", None]),
    ),
    min_size=1,
    max_size=30,
)


@settings(deadline=None)
@given(models)
def test_engines_agree_and_shares_add_up(rows):
    schema = {"has_modelcard": pl.Boolean, "downloads": pl.Int64, "task": pl.String}
    cards = pl.DataFrame(rows, schema=schema, orient="row")
    found = replication.card_rates(cards, by="task")
    assert found["model_share"].sum() == pytest.approx(1)
    assert found["n_models"].sum() == len(rows)
    assert found.equals(replication.card_rates(duckdb.from_arrow(cards.to_arrow()), by="task"))
    shares = found["download_share"].drop_nulls()
    assert not len(shares) or shares.sum() == pytest.approx(1)


def test_what_a_corpus_lacks_is_said():
    bare = pl.DataFrame({"id": ["a", "b"]})
    compared = replication.replicate(bare)
    assert here(compared)["models"] == 2
    assert compared.filter(pl.col("here").is_null())["note"].null_count() == 0
    assert "has_modelcard" in compared["note"][1] and "created_at" in compared["note"][3]
    with pytest.raises(cl.MissingColumn, match="has_modelcard"):
        replication.card_rates(bare)
    with pytest.raises(cl.MissingColumn, match="pipeline_tag"):
        replication.with_task_domains(bare)
    with pytest.raises(cl.CardlabError, match="booleans"):
        replication.card_rates(bare.with_columns(has_modelcard=pl.lit("yes")))
    with pytest.raises(cl.CardlabError, match="must hold numbers"):
        replication.card_rates(bare.with_columns(has_modelcard=True, downloads=pl.lit("many")))
    with pytest.raises(cl.CardlabError, match="one group"):
        replication.card_rates(bare.with_columns(has_modelcard=True, tags=pl.lit(["a"])), by="tags")
    with pytest.raises(cl.NoFigure, match="no models"):
        replication.card_rates(bare.with_columns(has_modelcard=True).head(0))


def test_the_chart_says_its_denominator(data):
    rates = replication.card_rates(cl.scan_cards(data / "models_2022.parquet"), by="task_domain")
    spec = plot_card_rates(rates).to_dict()
    n_models, n_cards = rates["n_models"].sum(), rates["n_with_card"].sum()
    assert f"{n_cards:,} of {n_models:,} models" in spec["title"]["subtitle"][0]
    assert len(spec["hconcat"]) == 3
    without = plot_card_rates(rates.select(rates.columns[:7]))
    assert len(without.to_dict()["hconcat"]) == 2
