"""Diversity of tables of counts: by hand, against numpy, and by its invariants."""

from __future__ import annotations

import math
from functools import partial

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cardlab as cl

MEASURES = ("shannon", "simpson", "hill_1", "hill_2", "gini")


def counted(counts):
    return pl.DataFrame({"n_cards": counts}, schema={"n_cards": pl.Int64})


def test_by_hand():
    row = cl.diversity(counted([2, 1, 1])).row(0, named=True)
    names = [f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high")]
    assert list(row) == [*names, "n_values", "n_total", "coverage", "chao1", "shannon_chao_shen"]
    # two of four cards have a value of their own; one value is on two: 3 + 3/4 * 2 * 1 / (2 * 2)
    assert (row["coverage"], row["chao1"]) == pytest.approx((1 / 2, 3.375))
    shen = -sum(q * math.log(q) / (1 - (1 - q) ** 4) for q in (0.25, 0.125, 0.125))
    assert row["shannon_chao_shen"] == pytest.approx(shen)
    expected = (1.5 * math.log(2), 1 - 3 / 8, 2**1.5, 8 / 3, 2 * 9 / (3 * 4) - 4 / 3)
    assert [row[name] for name in MEASURES] == pytest.approx(expected, abs=1e-12)
    assert (row["n_values"], row["n_total"]) == (3, 4)


def test_one_value_is_no_variety():
    row = cl.diversity(counted([7])).row(0, named=True)
    for name, value in zip(MEASURES, (0, 0, 1, 1, 0), strict=True):
        assert [row[name], row[f"{name}_low"], row[f"{name}_high"]] == [value] * 3


def test_equal_values_are_as_many_as_they_are():
    row = cl.diversity(counted([50] * 8)).row(0, named=True)
    assert row["shannon"] == pytest.approx(math.log(8))
    assert (row["hill_1"], row["hill_2"]) == pytest.approx((8, 8))
    assert row["gini"] == pytest.approx(0, abs=1e-12)
    assert row["hill_1_high"] <= 8 + 1e-9


def test_null_and_zero_rows_are_left_out():
    expected = cl.diversity(counted([5, 3]))
    assert cl.diversity(counted([None, 3, 0, 5])).equals(expected)
    assert cl.diversity(pl.DataFrame({"n_cards": [3.0, 5.0]})).equals(expected)


def test_other_engines_and_seeds():
    counts = counted([9, 4, 4, 1])
    first = cl.diversity(counts)
    assert cl.diversity(counts.lazy()).equals(first)
    assert cl.diversity(duckdb.sql("FROM counts")).equals(first)
    assert cl.diversity(counts).equals(first)
    assert not cl.diversity(counts, random_state=1).equals(first)


def test_the_interval_does_not_depend_on_how_much_is_drawn_at_once(monkeypatch):
    expected = cl.diversity(counted([9, 4, 4, 1]), n_boot=25)
    monkeypatch.setattr("cardlab.overview.diversity._AT_ONCE", 8)
    assert cl.diversity(counted([9, 4, 4, 1]), n_boot=25).equals(expected)


def test_the_interval_is_that_of_a_plain_loop():
    counts = np.array([60, 30, 8, 2])
    generator = np.random.default_rng(3)
    entropies = []
    for _ in range(200):
        shares = generator.multinomial(100, counts / 100) / 100
        entropies.append(-sum(p * math.log(p) for p in shares if p))
    row = cl.diversity(counted(counts), n_boot=200, random_state=3).row(0, named=True)
    spread = np.quantile(entropies, [0.025, 0.975]) - np.mean(entropies)
    expected = row["shannon"] + spread
    assert (row["shannon_low"], row["shannon_high"]) == pytest.approx(tuple(expected), abs=1e-12)


CLASSES = partial(cl.license_counts, classes=True, cluster=None)


@pytest.mark.parametrize("count", [cl.license_counts, CLASSES, partial(CLASSES, cluster="author")])
def test_real_tables(data, count):
    counts = count(cl.scan_cards(data / "model_cards.librarian.parquet"))
    row = cl.diversity(counts).row(0, named=True)
    p = counts["n_cards"].to_numpy() / counts["n_cards"].sum()
    assert row["shannon"] == pytest.approx(-(p * np.log(p)).sum(), abs=1e-12)
    assert row["simpson"] == pytest.approx(1 - (p**2).sum(), abs=1e-12)
    assert row["hill_1"] == pytest.approx(math.exp(row["shannon"]), abs=1e-9)
    assert row["hill_2"] == pytest.approx(1 / (p**2).sum(), abs=1e-9)
    assert (row["n_values"], row["n_total"]) == (counts.height, counts["n_cards"].sum())
    for name in MEASURES:
        if count is CLASSES:  # a card has one class, and counts by itself
            assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
        else:  # counts do not say which licences, or which cards, go together
            assert row[f"{name}_low"] is row[f"{name}_high"] is None


@pytest.mark.parametrize("count", [cl.language_counts, cl.tag_counts])
def test_real_tables_with_many_rare_values(data, count):
    cards = cl.scan_cards(data / "model_cards.librarian.parquet").head(400)
    counts = count(cards)
    row = cl.diversity(counts).row(0, named=True)
    assert row["n_values"] == counts.height
    assert all(row[f"{name}_{end}"] is None for name in MEASURES for end in ("low", "high"))
    column = "tags" if count is cl.tag_counts else "language_codes"
    drawn = cl.diversity(cl.with_languages(cards), column=column, n_boot=40).row(0, named=True)
    for name in MEASURES:
        assert drawn[name] == pytest.approx(row[name], abs=1e-9)
        assert drawn[f"{name}_low"] <= drawn[name] <= drawn[f"{name}_high"]


def test_refuses_what_it_cannot_do():
    with pytest.raises(cl.MissingColumn, match="n_cards"):
        cl.diversity(pl.DataFrame({"license": ["mit"]}))
    for empty in ([], [0, None]):
        with pytest.raises(cl.NoFigure, match="no value has a card"):
            cl.diversity(counted(empty))
    for wrong in ([-1, 2], [0.5], ["2"], [float("nan")], [1e300]):
        with pytest.raises(cl.CardlabError, match="whole numbers of at least 0"):
            cl.diversity(pl.DataFrame({"n_cards": wrong}))
    with pytest.raises(cl.CardlabError, match="n_boot must be"):
        cl.diversity(counted([1]), n_boot=0)
    with pytest.raises(cl.CardlabError, match="random_state must be"):
        cl.diversity(counted([1]), random_state="x")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=30), st.randoms())
def test_bounds_and_order(counts, random):
    found = cl.diversity(counted(counts), n_boot=30)
    row = found.row(0, named=True)
    n = len(counts)
    if sum(counts) == 1:
        assert row["shannon_low"] is None  # of one card
        return
    for end in ("", "_low", "_high"):
        assert 0 <= row[f"shannon{end}"] <= math.log(n) + 1e-9
        assert 0 <= row[f"simpson{end}"] <= 1 - 1 / n + 1e-9
        for name in ("hill_1", "hill_2"):
            assert 1 - 1e-9 <= row[f"{name}{end}"] <= n + 1e-6
        assert 0 <= row[f"gini{end}"] <= 1
    assert row["hill_2"] <= row["hill_1"] + 1e-9
    assert all(row[f"{name}_low"] <= row[f"{name}_high"] for name in MEASURES)
    random.shuffle(counts)
    assert cl.diversity(counted(counts), n_boot=30).equals(found)


@pytest.mark.parametrize("dtype", [pl.UInt8, pl.Int16, pl.UInt32, pl.UInt64, pl.Float32])
def test_counts_of_every_width_are_counts(dtype):
    counts = pl.DataFrame({"value": ["a", "b"], "n_cards": pl.Series([3, 1], dtype=dtype)})
    assert cl.diversity(counts)["n_total"].item() == 4
    assert cl.diversity(counts, by="value").height == 2


# ---- Authors: cards of one author are alike.


def written(rng, n_authors, p, icc, group="g"):
    """Cards of authors of Zipf sizes, those of one author as alike as `icc` says."""
    author = np.repeat(np.arange(n_authors), np.minimum(rng.zipf(1.7, n_authors), 200))
    own = rng.choice(len(p), n_authors, p=p)[author]
    drawn = rng.choice(len(p), len(author), p=p)
    value = np.where(rng.random(len(author)) < icc**0.5, own, drawn)
    return pl.DataFrame({"author": author, "value": value}).select(
        pl.format("{}{}", pl.lit(group), "author").alias("author"),
        pl.col("value").cast(pl.String),
        pl.lit(group).alias("group"),
    )


def falling(n_values, power=1.2):
    p = 1 / np.arange(1, n_values + 1) ** power
    return p / p.sum()


def covered(n_runs, n_truth, designs):
    """The share of runs in which an interval holds what so many authors show on average."""
    rng, found = np.random.default_rng(1), {}
    for n_values, n_authors, icc in designs:
        p, held = falling(n_values), np.zeros(len(MEASURES))
        truths = [
            cl.diversity(
                written(rng, n_authors, p, icc)["value"].value_counts(name="n_cards"), n_boot=1
            )
            for _ in range(n_truth)
        ]
        truth = pl.concat(truths).select(MEASURES).mean().row(0)
        for _ in range(n_runs):
            cards = written(rng, n_authors, p, icc)
            row = cl.diversity(cards, column="value", n_boot=100).row(0, named=True)
            ends = [(row[f"{name}_low"], row[f"{name}_high"]) for name in MEASURES]
            held += [low <= true <= high for (low, high), true in zip(ends, truth, strict=True)]
        found[n_values, n_authors, icc] = held / n_runs
    return found


def test_intervals_hold_what_as_many_authors_show():
    for design, shares in covered(50, 300, [(6, 100, 0.5), (60, 100, 1)]).items():
        assert shares.mean() >= 0.87, (design, shares)


@pytest.mark.verify
def test_intervals_hold_what_as_many_authors_show_in_all_designs():
    designs = [(k, n, icc) for k in (6, 60) for n in (60, 300) for icc in (0, 0.1, 0.5, 1)]
    found = covered(500, 600, designs)
    assert np.mean(list(found.values())) >= 0.93
    for design, shares in found.items():
        # of 500 runs the share that covers has a standard error of 0.013
        assert shares.min() >= 0.9 - 2 * 0.013, (design, dict(zip(MEASURES, shares, strict=True)))


def test_cards_of_one_author_count_as_one_draw():
    cards = written(np.random.default_rng(0), 80, falling(12), 0.8)
    found = cl.diversity(cards, column="value").row(0, named=True)
    alone = cl.diversity(cards, column="value", cluster=None).row(0, named=True)
    assert [found[name] for name in MEASURES] == [alone[name] for name in MEASURES]
    assert (found["n_authors"], alone["n_authors"]) == (80, cards.height)
    for name in MEASURES:
        wide, narrow = (row[f"{name}_high"] - row[f"{name}_low"] for row in (found, alone))
        assert wide > 1.5 * narrow
    # by hand: of the next author's cards, those whose value only one author has are unseen
    authors = cards.group_by("value").agg(pl.col("author").n_unique(), pl.len())
    once = authors.filter(pl.col("author") == 1)["len"].sum()
    assert found["coverage"] == pytest.approx(1 - once / cards.height)
    renamed = cl.diversity(cards.rename({"author": "maker"}), column="value", cluster="maker")
    assert renamed.row(0) == tuple(found.values())
    by_author = cl.diversity(cards, column="value", by="author")
    assert by_author["n_authors"].to_list() == by_author["n_declared"].to_list()


def test_groups_of_one_population_are_alike_at_equal_coverage():
    """Five times the authors look more varied, and are not where both cover as much."""
    rng, p = np.random.default_rng(2), falling(60)
    plain, equal = [], []
    for _ in range(12):
        cards = pl.concat([written(rng, 60, p, 0.5, "few"), written(rng, 300, p, 0.5, "many")])
        found = cl.diversity(cards, column="value", by="group", n_boot=40).sort("group")
        plain.append(found["hill_1"].to_list())
        equal.append(found["hill_1_equal"].to_list())
        assert found["coverage_equal"].n_unique() == 1
        assert found["coverage_equal"][0] <= found["coverage"].min() + 1e-12
        inside = pl.col("hill_1_equal").is_between("hill_1_equal_low", "hill_1_equal_high")
        assert found.select(inside).to_series().all()
    few, many = np.mean(plain, axis=0)
    assert many > 1.25 * few
    few, many = np.mean(equal, axis=0)
    assert many == pytest.approx(few, rel=0.15)
    tiny = cl.diversity(cards.group_by("group").head(4), column="value", by="group", n_boot=5)
    assert tiny["hill_1_equal"].null_count() == 2


def equal_covered(n_runs, designs, n_boot=40):
    """The share of runs whose interval holds what such runs give on average at their coverage."""
    rng, found = np.random.default_rng(3), {}
    for n_values, few, icc in designs:
        p, rows = falling(n_values), []
        for _ in range(n_runs):
            groups = [written(rng, few, p, icc, "few"), written(rng, 300, p, icc, "many")]
            cards = pl.concat(groups)
            rows.append(cl.diversity(cards, column="value", by="group", n_boot=n_boot))
        columns = ("hill_1_equal", "hill_1_equal_low", "hill_1_equal_high", "coverage_equal")
        for (group,), runs in pl.concat(rows).group_by("group"):
            value, low, high, level = (runs[name].to_numpy() for name in columns)
            # a few values are all seen, whoever is drawn
            degree = 2 if np.unique(level).size > n_runs / 2 else 0
            true = np.polynomial.Polynomial.fit(level, value, degree)(level)
            found[n_values, few, icc, group] = np.mean((low <= true) & (true <= high))
    return found


def test_intervals_at_equal_coverage_hold():
    for design, share in equal_covered(40, [(6, 60, 0.5), (60, 60, 1)], 20).items():
        # of 40 runs the share that covers has a standard error of 0.05
        assert share >= 0.85, (design, share)


@pytest.mark.verify
def test_intervals_at_equal_coverage_hold_in_all_designs():
    designs = [(k, few, icc) for k in (6, 60) for few in (60, 150) for icc in (0, 0.1, 0.5, 1)]
    for design, share in equal_covered(250, designs).items():
        # of 250 runs the share that covers has a standard error of 0.019
        assert share >= 0.9 - 2 * 0.019, (design, share)


def test_an_author_that_leads_is_named():
    others = pl.DataFrame({"author": [f"o{i}" for i in range(40)], "value": ["a", "b"] * 20})
    maker = pl.DataFrame({"author": "maker", "value": [f"v{i}" for i in range(60)]})
    uniform = pl.DataFrame({"author": "uniform", "value": ["a"] * 2000})
    varied = pl.DataFrame({"author": [f"p{i}" for i in range(60)], "value": map(str, range(60))})
    for cards, leader in ((maker, "maker"), (uniform, "uniform")):
        rest = others if leader == "maker" else varied
        row = cl.diversity(pl.concat([rest, cards]), column="value").row(0, named=True)
        assert (row["led_by_one"], row["led_by"], row["top_author"]) == (True, leader, leader)
        alone = cl.diversity(rest, column="value").row(0, named=True)
        assert row["hill_1_without"] == pytest.approx(alone["hill_1"])
        assert (alone["led_by_one"], alone["led_by"]) == (False, None)
    chart = cl.plot_diversity(
        cl.diversity(
            pl.concat([others, maker]).with_columns(task=pl.lit("t")), column="value", by="task"
        )
    ).to_dict()
    assert "t (led by maker)" in str(chart["datasets"])
    assert "Most varied" not in chart["description"]
