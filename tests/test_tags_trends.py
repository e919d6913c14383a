"""Variants and trends of tags."""

from __future__ import annotations

import datetime as dt
import math

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

import cardlab as cl
from cardlab.sample._columns import DATE_FLOOR
from cardlab.sample._draw import topics
from cardlab.tags.trends import slopes, tag_trends
from cardlab.tags.variants import folded, tag_variants

CARDS = cl.make_cards(2000, text=False, embedding_dim=0)


def frame(**columns):
    lists = {
        name: pl.Series(values, dtype=pl.List(pl.String))
        for name, values in columns.items()
        if isinstance(next((v for v in values if v is not None), None), list)
    }
    return pl.DataFrame(columns | lists)


def planted():
    return {tag: place for place, topic in enumerate(topics(12)) for tag in topic.tags}


# variants


def test_variants_by_hand():
    tags = [
        *["text-generation"] * 3,
        *("Text-Generation", "text_generation", "textgeneration", "Text Generation"),
        *["agent"] * 2,
        *("Agents", "agents", "llama-3.1", "llama-31", "llama_3_1", "IT", "it"),
        *("license:mit", "license:MIT", "dataset:Squad", "dataset:squad", "x:Y", "x:y"),
        *("bus", "buss", "__", "c++", "c", "ＮＥＲ", "NER"),
    ]
    found = tag_variants(frame(tags=[[tag] for tag in tags]))
    assert dict(found.select("tag", "canonical").rows()) == {
        **dict.fromkeys(
            ("Text-Generation", "text_generation", "textgeneration", "Text Generation"),
            "text-generation",
        ),
        **dict.fromkeys(("Agents", "agents"), "agent"),
        **{"llama_3_1": "llama-3.1", "ＮＥＲ": "NER"},
    }
    reasons = dict(found.select("tag", "reason").rows())
    assert reasons["Text-Generation"] == "differs in case"
    assert reasons["text_generation"] == "differs in separators"
    assert reasons["Text Generation"] == "differs in case and separators"
    assert reasons["agents"] == "differs in plural"
    assert reasons["Agents"] == "differs in plural and case"
    assert reasons["ＮＥＲ"] == "differs in Unicode form"
    assert found.filter(tag="text_generation").select("n_cards", "n_canonical").row(0) == (1, 3)


def test_ties_go_to_the_known_name():
    cards = frame(tags=[["Sentence Transformers"], ["sentence-transformers"], ["B-b"], ["b_b"]])
    assert dict(tag_variants(cards).select("tag", "canonical").rows()) == {
        "Sentence Transformers": "sentence-transformers",
        "b_b": "B-b",
    }


def test_planted_spellings_are_found():
    found = tag_variants(CARDS)
    known = planted()
    pairs = dict(found.select("tag", "canonical").rows())
    every = set(cl.tag_counts(CARDS)["tag"])
    respelled = {
        other: tag
        for tag in known
        for other in (tag.replace("-", "_"), tag.capitalize())
        if other != tag and other in every
    }
    assert len(respelled) > 20
    assert {tag: pairs.get(tag) for tag in respelled} == respelled


def test_applying_variants_changes_only_the_tags_it_names():
    cards = frame(tags=[["A", "x", "a"], ["a", "A"], None, [], ["x", None]], id=list("abcde"))
    for variants in ({"A": "a"}, pl.DataFrame({"tag": ["A"], "canonical": ["a"]})):
        for source in (cards, cards.lazy()):
            counts = dict(cl.tag_counts(source, variants=variants).select("tag", "n_cards").rows())
            assert counts == {"a": 2, "x": 2}
    renamed = dict(cl.tag_counts(cards, variants={"A": "new"}).select("tag", "n_cards").rows())
    assert renamed == {"a": 2, "new": 2, "x": 2}
    assert cl.tag_counts(cards, variants={}).equals(cl.tag_counts(cards))
    assert cards["tags"][0].to_list() == ["A", "x", "a"]
    with pytest.raises(cl.CardlabError, match="variants must be"):
        cl.tag_counts(cards, variants=["A"])


@pytest.mark.parametrize("column", ["datasets", "base_model", "arxiv", "license"])
def test_names_have_no_variants(column):
    with pytest.raises(cl.CardlabError, match="holds names"):
        tag_variants(frame(**{column: [["a"]]}), column=column)


words = st.lists(st.text("aAbB12-_. s:", min_size=1, max_size=6), min_size=1, max_size=12)


@settings(max_examples=100, deadline=None)
@given(words)
def test_variants_are_idempotent_and_keep_prefixes(tags):
    cards = frame(tags=[[tag] for tag in tags])
    found = tag_variants(cards)
    assert set(found["tag"]).isdisjoint(found["canonical"])
    assert not any(":" in tag for tag in [*found["tag"], *found["canonical"]])
    merged = cl.tag_counts(cards, variants=found)
    again = tag_variants(
        frame(tags=[[tag] * n for tag, n in merged.select("tag", "n_cards").rows()])
    )
    assert set(again["tag"]).isdisjoint(found["tag"])
    assert all(folded(tag) == folded(folded(tag)) for tag in tags)


# trends


def test_trends_by_hand():
    floor = DATE_FLOOR
    months = [1] * 10 + [2] * 20 + [4] * 10 + [5]
    dates = [dt.datetime(2023, month, 5, tzinfo=dt.UTC) for month in months]
    tags = [["a"]] * 10 + [["a", "b"], ["b"]] * 10 + [["b", "b"]] * 9 + [["a"]] * 2
    cards = frame(
        tags=[*tags, ["a", "old"], ["b"], ["b"]],
        created_at=[*dates, floor, None, dt.datetime(9999, 12, 31, tzinfo=dt.UTC)],
    )
    found = tag_trends(cards, every="1mo")
    assert found["tag"].unique(maintain_order=True).to_list() == ["b", "a"]
    b = found.filter(tag="b")
    assert b["period"].dt.month().to_list() == [1, 2, 3, 4, 5]
    assert b["n_cards"].to_list() == [0, 20, 0, 9, 0]
    assert b["n_period"].to_list() == [10, 20, 0, 10, 1]
    assert b["card_share"].to_list() == [0, 1, None, 0.9, 0]
    assert b["share_low"].to_list()[2] is None
    assert found.select("n_at_floor", "n_undated", "n_implausible").unique().rows() == [(1, 1, 1)]
    assert b["first_seen"][0] == dates[10]
    assert found.filter(tag="a")["first_seen"][0] == floor
    low, slope, high = b.select("slope_low", "slope", "slope_high").row(0)
    assert low < slope < high
    assert slope == slopes(np.array([[0, 20, 0, 9]]), np.array([10, 20, 0, 10]))[0][0]
    assert tag_trends(duckdb.sql("FROM cards"), every="1mo").equals(found)
    with pytest.raises(cl.NoFigure, match="none of the 1 cards has a true creation date"):
        tag_trends(cards[41:42])
    with pytest.raises(cl.CardlabError, match="every must be like"):
        tag_trends(cards, every="month")
    with pytest.raises(cl.MissingColumn, match="created_at"):
        tag_trends(cards.drop("created_at"))


def test_two_periods_give_no_slope():
    dates = [dt.datetime(2023, month, 5, tzinfo=dt.UTC) for month in (1, 2)]
    found = tag_trends(frame(tags=[["a"], ["a"]], created_at=dates), every="1mo")
    assert found["slope"].to_list() == [None, None]


def test_slope_equals_logistic_regression_with_many_cards():
    rng = np.random.default_rng(0)
    total = np.full(8, 20_000)
    share = 1 / (1 + np.exp(2 - 0.2 * np.arange(8)))
    number = rng.binomial(total, share)
    slope, error = slopes(number[None, :], total)
    x = np.repeat(np.arange(8.0), 2)[:, None]
    y, weight = np.tile([1, 0], 8), np.stack([number, total - number], axis=1).ravel()
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x, y, sample_weight=weight)
    assert slope[0] == pytest.approx(model.coef_[0, 0], abs=1e-4)
    assert abs(slope[0] - 0.2) < 4 * error[0]


def test_intervals_hold_the_planted_slope():
    rng = np.random.default_rng(1)
    total = np.array([50, 80, 0, 100, 200, 300])
    number = rng.binomial(total, 1 / (1 + np.exp(2 - 0.3 * np.arange(6))), size=(400, 6))
    slope, error = slopes(number, total)
    assert (np.abs(slope - 0.3) < 1.96 * error).mean() >= 0.93
    never, always = slopes(np.array([[0] * 6, total]), total)[0]
    assert math.isfinite(never)
    assert never == pytest.approx(-always)


def test_planted_trends_are_seen():
    cards = cl.make_cards(20_000, text=False, embedding_dim=0)
    found = tag_trends(cards, kinds=["task"], top=12).unique("tag", maintain_order=True)
    rises = {topic.task: place % 2 == 0 for place, topic in enumerate(topics(12))}
    for row in found.iter_rows(named=True):
        assert (row["slope_low"] > 0) if rises[row["tag"]] else (row["slope_high"] < 0)
    assert found["slope"].to_list() == sorted(found["slope"], reverse=True)


def test_trends_equal_plain_python(data):
    cards = cl.read_cards(data / "models_radar_2026.parquet")
    found = tag_trends(cards, top=5)
    dated = [
        (f"{at.year}-{(at.month - 1) // 3}", set(tags))
        for at, tags in cards.select("created_at", "tags").rows()
        if at != DATE_FLOOR
    ]
    for row in found.iter_rows(named=True):
        period = f"{row['period'].year}-{(row['period'].month - 1) // 3}"
        inside = [tags for at, tags in dated if at == period]
        assert row["n_period"] == len(inside)
        assert row["n_cards"] == sum(row["tag"] in tags for tags in inside)
