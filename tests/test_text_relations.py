"""Outliers of length, what length goes with, periods and sizes of metadata."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from scipy import stats

import cardlab as cl
from cardlab.text.lengths import length_outliers, length_relation


def test_only_the_measures_asked_for():
    cards = pl.DataFrame({"text": ["a b\nc", None], "metadata": ['{"é":1}', None]})
    found = cl.with_text_lengths(cards, measures=["n_words", "n_metadata_chars"])
    assert found.columns == ["text", "metadata", "n_words", "n_metadata_chars"]
    assert found["n_words"].to_list() == [3, None]
    assert found["n_metadata_chars"].to_list() == [7, None]
    assert "n_metadata_chars" in cl.with_text_lengths(cards).columns
    assert "n_metadata_chars" not in cl.with_text_lengths(cards.select("text")).columns
    only = cl.with_text_lengths(cards.select("metadata"), measures=["n_metadata_chars"])
    assert only["n_metadata_chars"][0] == 7
    with pytest.raises(cl.CardlabError, match="each of measures must be one of"):
        cl.with_text_lengths(cards, measures=["words"])
    with pytest.raises(cl.MissingColumn, match="no column 'metadata'"):
        cl.length_summary(cards.select("text"), measure="n_metadata_chars")


def test_metadata_is_as_long_as_python_says(data):
    cards = cl.read_cards(data / "model_cards.seed.parquet", columns=["id", "metadata"])
    found = cl.with_text_lengths(cards, measures=["n_metadata_chars"])
    for text, n in found.select("metadata", "n_metadata_chars").iter_rows():
        assert n == (None if text is None else len(text))


def test_periods_of_a_date():
    days = [dt.date(2023, 1, 5), dt.date(2023, 12, 31), dt.date(2024, 2, 1), None]
    cards = pl.DataFrame({"n": [1, 3, 5, 7], "created_at": days})
    found = cl.length_summary(cards, measure="n", by="created_at")
    assert dict(found.select("group", "p50").rows()) == {"2023": 2.0, "2024": 5.0, None: 7.0}
    found = cl.length_ecdf(cards, measure="n", by="created_at", every="1mo")
    assert set(found["group"]) == {"2023-01", "2023-12", "2024-02", None}
    with pytest.raises(cl.CardlabError, match="every must be like '1mo'"):
        cl.length_summary(cards, measure="n", by="created_at", every="monthly")


def test_outliers():
    cards = pl.DataFrame(
        {
            "id": list("abcdefgh"),
            "n": [10, 10, 12, 1000, 8, 1, 2, 0],
            "library_name": ["x"] * 5 + ["y"] * 3,
        }
    )
    found = length_outliers(cards, measure="n", top=2, min_cards=3)
    assert found["id"].to_list() == ["d", "c"]
    assert found["ratio"].to_list() == [1000 / 9, 12 / 9]
    assert found["robust_z"][0] > 3.5 > found["robust_z"][1]
    by = length_outliers(cards, measure="n", by="library_name", side="short", top=9, min_cards=3)
    assert set(by["id"]) == {"h", "e"}
    assert by["robust_z"].is_sorted()
    assert by.filter(id="h").select("group", "ratio", "group_median").rows() == [("y", 0, 1)]
    same = pl.DataFrame({"id": ["a", "b", "c"], "n": [0, 0, 5]})
    assert length_outliers(same, measure="n").height == 0  # three cards have no usual length
    mean = np.log(6) / 3  # half of them are equal, so the mean deviation is the unit
    row = length_outliers(same, measure="n", min_cards=3).row(0)
    assert row[3:5] == (0.0, None)
    assert row[5] == pytest.approx(np.log(6) / (1.2533 * mean))
    with pytest.raises(cl.CardlabError, match="side must be one of"):
        length_outliers(same, measure="n", side="both")


def test_relation_equals_scipy(data):
    columns = ["id", "text", "downloads"]
    cards = cl.read_cards(data / "dataset_cards.librarian.parquet", columns=columns)
    found = length_relation(cards, measure="n_chars")
    pairs = cards.select(pl.col("text").str.len_chars(), "downloads").drop_nulls()
    rho = stats.spearmanr(pairs["text"], pairs["downloads"]).statistic
    assert found["spearman"].unique().to_list() == [pytest.approx(rho)]
    assert (found["spearman_low"] < rho).all() and (found["spearman_high"] > rho).all()
    assert found["n_cards"].sum() == found["n_total"][0] == pairs.height
    assert found.height == 10 and found["n_cards"].min() > 250
    for row in found.iter_rows(named=True):
        mine = pairs.filter(pl.col("text").is_between(row["low"], row["high"]))["downloads"]
        assert (len(mine), mine.median()) == (row["n_cards"], row["median"])
        assert row["median_low"] <= row["median"] <= row["median_high"]
    chart = cl.plot_lengths(found, measure="n_chars").to_dict()
    assert f"Spearman {rho:+.2f} (95 % " in str(chart["title"])
    census = length_relation(cards, measure="n_chars", population="census")
    title = str(cl.plot_lengths(census, measure="n_chars").to_dict()["title"])
    assert f"Spearman {rho:+.2f} over" in title and "without intervals" in title
    assert "95 %" not in title


def test_relation_interval_covers():
    """Of 300 planted samples the interval holds the true rank correlation in about 95 %."""
    rng = np.random.default_rng(0)
    truth = 6 / np.pi * np.arcsin(0.6 / 2)  # of a normal pair with correlation 0.6
    inside = 0
    for _ in range(300):
        x, y = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 100).T
        row = length_relation(pl.DataFrame({"v": x, "likes": y}), measure="v", to="likes").row(
            0, named=True
        )
        inside += row["spearman_low"] <= truth <= row["spearman_high"]
    assert 0.91 <= inside / 300 <= 0.99


def test_relation_without_a_figure():
    cards = pl.DataFrame({"n": [1, 2, 3], "downloads": [1, None, 3], "id": list("abc")})
    with pytest.raises(cl.NoFigure, match="2 of 3 cards have both 'n' and 'downloads'"):
        length_relation(cards, measure="n")
    with pytest.raises(cl.CardlabError, match="to must name a column of numbers"):
        length_relation(cards, measure="n", to="id")
    with pytest.raises(cl.MissingColumn, match="no column 'likes'"):
        length_relation(cards, measure="n", to="likes")
    ties = pl.DataFrame({"n": [1] * 15 + [2] * 5, "downloads": range(20)})
    found = length_relation(ties, measure="n")
    assert found.select("bin", "low", "n_cards").rows() == [(1, 1, 15), (2, 2, 5)]
