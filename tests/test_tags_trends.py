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
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression

import cardlab as cl
from cardlab.sample._columns import DATE_FLOOR
from cardlab.sample._prose import topics
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
    alone = slopes(np.array([[0, 20, 0, 9]]), np.array([10, 20, 0, 10]))[0][0]
    assert slope == pytest.approx(alone, rel=1e-12)
    assert tag_trends(duckdb.sql("FROM cards"), every="1mo").equals(found)
    exact = tag_trends(cards.with_columns(author=pl.lit("us")), every="1mo", population="census")
    none = ["share_low", "share_high", "slope_low", "slope_high", "design_effect", "n_effective"]
    assert exact.drop(*none, "is_reliable").equals(found.drop(*none, "is_reliable"))
    assert exact.select(none).null_count().row(0) == (exact.height,) * 6
    assert exact["is_reliable"].all() and not found["is_reliable"].any()
    drawn = cl.plot_trends(exact).to_dict()
    shown = [row for rows in drawn["datasets"].values() for row in rows if "direction" in row]
    assert {row["tag"]: row["direction"] for row in shown} == {"a": "falls", "b": "rises"}
    assert "without intervals" in str(drawn["title"])
    with pytest.raises(cl.CardlabError, match="'sample', 'census'"):
        tag_trends(cards, population="all")
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
    slope, low, high = slopes(number[None, :], total)[:3]
    x = np.repeat(np.arange(8.0), 2)[:, None]
    y, weight = np.tile([1, 0], 8), np.stack([number, total - number], axis=1).ravel()
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x, y, sample_weight=weight)
    assert slope[0] == pytest.approx(model.coef_[0, 0], abs=1e-4)
    assert abs(slope[0] - 0.2) < high[0] - low[0] < 0.1


def test_intervals_hold_the_planted_slope():
    rng = np.random.default_rng(1)
    total = np.array([50, 80, 0, 100, 200, 300])
    number = rng.binomial(total, 1 / (1 + np.exp(2 - 0.3 * np.arange(6))), size=(400, 6))
    _, low, high = slopes(number, total)[:3]
    assert ((low < 0.3) & (high > 0.3)).mean() >= 0.93
    never, always = slopes(np.array([[0] * 6, total]), total)[0]
    assert math.isfinite(never)
    assert never == pytest.approx(-always)


@pytest.mark.parametrize("begins", [4, 8, 11])
def test_a_rare_tag_that_begins_late_has_an_interval_with_ends(begins):
    total = np.linspace(200, 500, 12).round()
    number = np.where(np.arange(12) >= begins, np.arange(12), 0)[None, :]
    slope, low, high = (of[0] for of in slopes(number, total)[:3])
    assert 0 < low < slope < high < 40
    if begins == 11:  # only in the last period: no likelihood of the cards alone ends
        return
    assert slope - low < high - slope  # a likelihood is not as steep above as below
    # by a search that has nothing of cardlab's, without the cards that are added
    place = np.arange(12) - np.average(np.arange(12), weights=total)

    def likelihood(beta, height):
        odds = height + beta * place
        return (number[0] * odds - total * np.logaddexp(0, odds)).sum()

    grid = np.linspace(-25, 0, 2500)
    best = [max(likelihood(beta, height) for height in grid) for beta in (low, slope)]
    effect = slopes(number, total).design_effect[0]
    assert 2 * (best[1] - best[0]) / effect == pytest.approx(2.228**2, rel=0.25)


def bundled(rng, n_authors, share, alike, first=0.0, n_tags=1, *, at_once=False):
    """Cards of authors of Zipf sizes, of whom some have a tag more often: author, period, tags.

    The largest has the part `first` of all. No tag is on more or fewer cards later. With `at_once`
    all cards of an author are of one period.
    """
    part = 1 / np.arange(1, n_authors + 1)
    part[0] = part[1:].sum() * first / (1 - first) if first else part[0]
    sizes = np.maximum(np.round(part / part.sum() * 10 * n_authors), 1).astype(int)
    author = np.repeat(np.arange(n_authors), sizes)
    when = np.exp(2 * np.arange(8) / 8)
    drawn = rng.choice(8, n_authors if at_once else len(author), p=when / when.sum())
    own = np.full((n_tags, n_authors), share)
    if alike == 1:
        own = (rng.random(own.shape) < share).astype(float)
    elif alike:
        times = (1 - alike) / alike
        own = rng.beta(share * times, (1 - share) * times, own.shape)
    tags = rng.random((n_tags, len(author))) < own[:, author]
    return author, drawn[author] if at_once else drawn, tags


def false_trends(n_draws, cells, n_authors):
    """How often a constant tag is said to rise, and to fall, of those that can be relied on."""
    rng, said = np.random.default_rng(0), []
    for size in n_authors:
        for cell in cells * n_draws:
            author, period, tags = bundled(rng, size, *cell, n_tags=20)
            whole = csr_array((np.ones(len(author)), (author, period)), shape=(size, 8))
            own = [csr_array((1.0 * tag, (author, period)), shape=(size, 8)) for tag in tags]
            number = np.array([tag.sum(axis=0) for tag in own])
            fit = slopes(number, whole.sum(axis=0), (whole, own))
            said += [*zip(fit.slope_low > 0, fit.slope_high < 0, fit.is_reliable, strict=True)]
    kept = [found[:2] for found in said if found[2]]
    return len(kept), *np.mean(kept, axis=0)


def test_a_constant_tag_of_authors_of_all_sizes_rarely_rises():
    cells = [(0.1, 0, 0.3), (0.3, 0.1, 0), (0.5, 0.5, 0.2), (0.4, 1, 0)]
    n, rises, falls = false_trends(1, cells, (60, 250))
    assert n > 90
    assert max(rises, falls) < 0.07


def test_a_trend_of_few_large_authors_is_less_sure():
    author, period, tags = bundled(np.random.default_rng(1), 200, 0.3, 1, at_once=True)
    dates = [dt.datetime(2023, 1 + month, 5, tzinfo=dt.UTC) for month in period]
    names = [["x"] if has else ["y"] for has in tags[0]]
    cards = frame(author=[str(a) for a in author], tags=names, created_at=dates)
    known, alone = (tag_trends(cards, every="1mo", cluster=c) for c in ("author", None))
    row, other = (of.filter(tag="x").row(0, named=True) for of in (known, alone))
    assert row["slope"] == pytest.approx(other["slope"])
    assert row["slope_low"] < 0 < row["slope_high"]
    assert row["design_effect"] > 10
    assert row["n_authors"] == len(set(author[tags[0]]))
    assert row["n_effective"] == pytest.approx(tags[0].sum() / row["design_effect"])
    assert not row["is_reliable"]
    assert other["n_authors"] is None
    wide, narrow = ((of["share_high"] - of["share_low"]).sum() for of in (known, alone))
    assert wide > narrow
    assert tag_trends(cards.drop("author"), every="1mo").equals(alone)
    assert tag_trends(cards.rename({"author": "who"}), every="1mo", cluster="who").equals(known)
    # cards without an author are authors of their own
    nobody = cards.with_columns(author=pl.lit(None, dtype=pl.String))
    row = tag_trends(nobody, every="1mo").filter(tag="x").row(0, named=True)
    assert row["n_authors"] == tags[0].sum()
    assert row["design_effect"] < 1.1


@pytest.mark.verify
@pytest.mark.parametrize("alike", [0, 0.1, 0.5, 1])
def test_constant_tags_rise_in_a_fortieth_of_the_draws(alike):
    cells = [(share, alike, first) for share in (0.02, 0.1, 0.5) for first in (0, 0.3)]
    n, rises, falls = false_trends(5, cells, (60, 250, 1000))
    assert n >= 300
    assert max(rises, falls) <= 0.035
    assert 0.93 <= 1 - rises - falls <= 0.99


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
