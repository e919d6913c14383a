"""Periods of cards, shares over periods, the fitted line and the Lorenz curve."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import duckdb
import numpy as np
import polars as pl
import pytest
from conftest import real_file

import cardlab as cl
from cardlab.replication import published_growth
from cardlab.shares.counting import gini

FLOOR = dt.datetime(2022, 3, 2, 23, 29, 4, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
CARDS = pl.DataFrame(
    {
        "created_at": [FLOOR, FLOOR - 80 * DAY, FLOOR + DAY, FLOOR + DAY, FLOOR + 800 * DAY, None],
        "license": [["a"], ["a", "b"], ["b", "c", "b"], [], ["a", "d"], ["a"]],
        "task": ["x", "x", None, "other values", "y", "x"],
    }
)


def test_periods_by_hand():
    found = cl.with_period(CARDS)
    years = [None, dt.date(2021, 1, 1), *[dt.date(2022, 1, 1)] * 2, dt.date(2024, 1, 1), None]
    assert found["period"].to_list() == years
    assert found["at_floor"].to_list() == [True, False, False, False, False, None]
    lazy = cl.with_period(CARDS.lazy(), every="1q")
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.collect()["period"][2] == dt.date(2022, 1, 1)
    naive = CARDS.with_columns(pl.col("created_at").dt.replace_time_zone(None))
    assert (
        cl.with_period(naive)
        .select("period", "at_floor")
        .equals(found.select("period", "at_floor"))
    )


def test_share_trends_by_hand():
    found = cl.share_trends(CARDS, column="license", top=2)
    cells = {
        (row["value"], row["part"], row["period"].year): (row["n_cards"], row["n_period"])
        for row in found.to_dicts()
    }
    assert len(cells) == found.height == 4 * 4
    assert cells["a", "value", 2021] == (1, 1)
    assert cells["b", "value", 2022] == (1, 2)
    assert cells[None, "other values", 2022] == (1, 2)
    assert cells[None, "other values", 2024] == (1, 1)
    assert cells[None, "not declared", 2022] == (1, 2)
    assert cells["a", "value", 2023] == (0, 0)
    assert found.filter(period=dt.date(2023, 1, 1))["card_share"].null_count() == 4
    assert set(found.select("n_values", "n_at_floor", "n_undated").iter_rows()) == {(4, 1, 1)}
    assert cl.share_trends(duckdb.sql("FROM CARDS"), column="license", top=2).equals(found)


def test_a_value_named_like_a_part_is_a_value():
    found = cl.share_trends(CARDS, column="task", top=1)
    assert found.filter(part="value")["value"].unique().to_list() == ["other values"]
    assert found.filter(part="other values")["n_cards"].sum() == 2
    shares = found.group_by("period").agg(pl.col("card_share").sum())["card_share"]
    assert all(share in (0, pytest.approx(1)) for share in shares)


@pytest.mark.parametrize("column", ["license", "pipeline_tag"])
def test_share_trends_equal_plain_python(column):
    cards = cl.read_cards(real_file("models_frameworks_2026.parquet"))
    found = cl.share_trends(cards, column=column, every="1y", top=3)
    shown = set(found.filter(part="value")["value"])
    expected, total = Counter(), Counter()
    for created, value in cards.select("created_at", column).iter_rows():
        if created is None or created - FLOOR in (dt.timedelta(0), dt.timedelta(seconds=1)):
            continue
        values = {value} - {None} if column == "pipeline_tag" else set(value or [])
        total[created.year] += 1
        for name in values & shown:
            expected[name, "value", created.year] += 1
        expected[None, "other values", created.year] += bool(values - shown)
        expected[None, "not declared", created.year] += not values
    for row in found.to_dicts():
        year = row["period"].year
        assert row["n_cards"] == expected[row["value"], row["part"], year]
        assert row["n_period"] == total[year]


def test_growth_counts_cards_without_a_group_of_a_list_column():
    grown = cl.growth(CARDS, every="1y", by="license")
    assert grown.filter(pl.col("group").is_null())["n_new"].sum() == 1
    assert grown.filter(group="b")["n_new"].sum() == 2
    assert cl.growth(duckdb.sql("FROM CARDS"), every="1y", by="license").equals(grown)


def test_the_fit_of_the_study_is_a_straight_line():
    fit = published_growth(cl.scan_cards(real_file("models_2022.parquet")))
    inside = fit.filter("in_fit")
    assert inside.height == fit["n_periods"][0] == 128
    slope, height = np.polyfit(np.arange(128), np.log(inside["n_total"].to_numpy()), 1)
    assert fit["rate"][0] == pytest.approx(slope)
    assert np.allclose(inside["fitted"], np.exp(height + slope * np.arange(128)))
    assert fit.filter(~pl.col("in_fit"))["fitted"].null_count() == fit.height - 128
    assert fit["cut_off"].is_sorted()
    assert fit["n_total"][-1] == fit["n_cards"][0] == 41_082
    assert fit.select("n_at_floor", "n_null").unique().row(0) == (0, 113)


@pytest.mark.parametrize("n_points", [2, 50, 20_000])
def test_the_lorenz_curve_of_real_downloads(n_points):
    cards = cl.read_cards(real_file("models_2022.parquet"))
    curve = cl.concentration(cards, n_points=n_points, curve=True)
    assert curve.height <= n_points + 2
    assert curve.select("group_share", "held_share").row(0) == (0, 0)
    assert curve.select("group_share", "held_share").row(-1) == (1, 1)
    assert curve["held_share"].is_sorted()
    sums = cards.group_by("author").agg(pl.col("downloads").sum())["downloads"].sort()
    known = np.append(0, np.cumsum(sums.to_numpy()))
    assert np.allclose(curve["held"], known[curve["n_groups"].to_numpy()])
    if n_points > curve["n_all_groups"][0]:
        area = np.trapezoid(curve["held_share"], curve["group_share"])
        assert 1 - 2 * area == pytest.approx(gini(sums.to_numpy()))


def test_errors():
    with pytest.raises(cl.CardlabError, match="every must be like"):
        cl.with_period(CARDS, every="year")
    with pytest.raises(cl.CardlabError, match="must hold dates"):
        cl.with_period(CARDS, column="task")
    with pytest.raises(cl.MissingColumn, match="'likes'"):
        cl.share_trends(CARDS, column="likes")
    with pytest.raises(cl.NoFigure, match="1 have none, 1 have the Hub's floor"):
        cl.share_trends(CARDS[[0, 5]], column="license")
    zero = pl.DataFrame({"author": ["a"], "downloads": [0]})
    with pytest.raises(cl.NoFigure, match="hold nothing"):
        cl.concentration(zero, curve=True)
    with pytest.raises(cl.CardlabError, match="n_points"):
        cl.concentration(zero, n_points=1, curve=True)
