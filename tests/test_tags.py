"""Counts and pairs of tags equal plain Python; measures are as defined."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections import Counter

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cardlab as cl
from cardlab.tags import cooccurrence as pairs
from cardlab.tags.kinds import KINDS


def plain_counts(cards: pl.DataFrame, column: str = "tags") -> Counter[str]:
    return Counter(tag for tags in cards[column].to_list() for tag in set(tags or []))


def plain_pairs(cards: pl.DataFrame, kept: set[str]) -> Counter[tuple[str, str]]:
    return Counter(
        pair
        for tags in cards["tags"].to_list()
        for pair in itertools.combinations(sorted(kept & set(tags or [])), 2)
    )


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        *(("license:mit", "license"), ("dataset:a:b", "dataset"), ("arxiv:2001.1", "arxiv")),
        *(("base_model:finetune:o/n", "base_model"), ("region:us", "region")),
        *(("endpoints_compatible", "hub"), ("transformers", "library"), ("fill-mask", "task")),
        *(("en", "language"), ("doi:10.1/x", "other prefix"), ("https://a.b", "free")),
        *(("bert", "free"), ("", "free"), (":", "free"), ("text: with blank", "other prefix")),
    ],
)
def test_kinds(tag, kind):
    assert cl.tag_kind(tag) == kind
    assert kind in KINDS


def test_tag_list_has_no_tag_twice():
    import json
    from importlib.resources import files

    names = json.loads(files("cardlab").joinpath("data/tag_kinds.json").read_text("utf-8"))
    every = [tag for kind in ("task", "library", "hub", "language") for tag in names[kind]]
    assert sorted(every) == sorted(set(every))
    assert names["source"]


def test_counts_by_hand():
    cards = pl.DataFrame({"tags": [["a", "b", "a"], ["a"], [], None]})
    found = cl.tag_counts(cards)
    assert found.select("tag", "n_cards", "card_share").rows() == [("a", 2, 0.5), ("b", 1, 0.25)]
    assert (found["share_low"] < found["card_share"]).all()
    assert cl.tag_counts(cards, top=1)["tag"].to_list() == ["a"]
    assert cl.tag_counts(cards, kinds=["task"]).height == 0
    assert cl.tag_counts(duckdb.sql("FROM cards")).equals(found)
    with pytest.raises(cl.CardlabError, match="kinds must be one of"):
        cl.tag_counts(cards, kinds=["tasks"])


@pytest.mark.parametrize(
    "name",
    ["model_cards.seed.parquet", "models_radar_2026.parquet", "models_frameworks_2026.parquet"],
)
def test_real_counts_and_pairs_equal_plain_python(data, name):
    cards = cl.read_cards(data / name, columns=["id", "tags"])
    counts = plain_counts(cards)
    found = cl.tag_counts(cards)
    assert dict(found.select("tag", "n_cards").rows()) == counts
    top = {tag for tag, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:200]}
    expected = {pair: n for pair, n in plain_pairs(cards, top).items() if n >= 5}
    together = cl.cooccurrence(cards, kinds=KINDS)
    assert {
        (a, b): n for a, b, n in together.select("tag_a", "tag_b", "n_cards").rows()
    } == expected
    check_measures(together, cards.height, counts)


def check_measures(found: pl.DataFrame, total: int, counts: Counter[str]) -> None:
    """Hold every column against its definition, in plain Python."""
    for row in found.iter_rows(named=True):
        n, a, b = row["n_cards"], row["n_a"], row["n_b"]
        assert row["tag_a"] < row["tag_b"]
        assert (a, b) == (counts[row["tag_a"]], counts[row["tag_b"]])
        assert n <= min(a, b)
        close = {
            **{"support": n / total, "confidence_ab": n / a, "confidence_ba": n / b},
            **{"lift": n * total / (a * b), "jaccard": n / (a + b - n)},
            "leverage": n / total - a / total * b / total,
        }
        for name, value in close.items():
            assert row[name] == pytest.approx(value, rel=1e-9, abs=1e-15)
        if n < total:
            assert row["npmi"] == pytest.approx(
                math.log(row["lift"]) / -math.log(n / total), abs=1e-9
            )
        assert -1 <= row["npmi"] <= 1
        assert 0 <= row["p_value"] <= row["q_value"] <= 1


def test_seed_figures(data):
    counts = dict(
        cl.tag_counts(cl.scan_cards(data / "model_cards.seed.parquet"))
        .select("tag", "n_cards")
        .rows()
    )
    expected = {"en": 1072, "license:apache-2.0": 717, "transformers": 542, "license:mit": 371}
    assert {tag: counts[tag] for tag in expected} == expected


def test_g_test_equals_scipy():
    from scipy.stats import chi2_contingency

    rng = np.random.default_rng(0)
    cards = pl.DataFrame({"tags": [[t for t in "abc" if rng.random() < 0.4] for _ in range(300)]})
    for row in cl.cooccurrence(cards, min_cards=1).iter_rows(named=True):
        n, a, b = row["n_cards"], row["n_a"], row["n_b"]
        table = [[n, a - n], [b - n, 300 - a - b + n]]
        expected = chi2_contingency(table, correction=False, lambda_="log-likelihood").pvalue
        assert row["p_value"] == pytest.approx(expected, rel=1e-6)


def test_independent_tags_raise_few_alarms():
    rng = np.random.default_rng(1)
    shares = np.geomspace(0.3, 0.01, 60)
    names = np.array([f"t{i:02}" for i in range(60)])
    cards = pl.DataFrame({"tags": [names[rng.random(60) < shares].tolist() for _ in range(10_000)]})
    found = cl.cooccurrence(cards, min_cards=1)
    assert (found["q_value"] < 0.01).mean() <= 0.01


def test_planted_pairs_are_the_strongest():
    from cardlab.sample._columns import PLANTED_PAIRS

    found = cl.cooccurrence(cl.make_cards(2000), kinds=["free"], top=None).head(len(PLANTED_PAIRS))
    planted = {tuple(sorted(pair)) for pair in PLANTED_PAIRS}
    assert set(found.select("tag_a", "tag_b").rows()) == planted
    assert (found["q_value"] < 0.01).all()


def test_other_columns():
    cards = pl.DataFrame(
        {"languages": [["en", "de"], ["en", "de"], ["fr"]], "datasets": [["d"]] * 3}
    )
    found = cl.cooccurrence(cards, column="languages", min_cards=1)
    assert found.select("tag_a", "tag_b", "n_cards").rows() == [("de", "en", 2)]
    assert cl.tag_counts(cards, column="languages")["kind"].unique().to_list() == ["language"]
    assert cl.tag_counts(cards, column="datasets")["kind"].to_list() == ["dataset"]


def test_pairs_on_every_card_and_no_pairs():
    always = cl.cooccurrence(pl.DataFrame({"tags": [["a", "b"]] * 4}), min_cards=1)
    assert always.select("npmi", "lift", "p_value").row(0) == (1.0, 1.0, 1.0)
    none = cl.cooccurrence(
        pl.DataFrame({"tags": [["a"], None]}, schema={"tags": pl.List(pl.String)})
    )
    assert none.height == 0
    assert none.columns == always.columns


card_tags = st.lists(st.lists(st.sampled_from("abcdef"), max_size=8), min_size=1, max_size=25)


@settings(max_examples=100, deadline=None)
@given(card_tags, st.randoms())
def test_properties(tags, random):
    cards = pl.DataFrame({"tags": tags}, schema={"tags": pl.List(pl.String)})
    found = cl.cooccurrence(cards, min_cards=1)
    expected = plain_pairs(cards, set("abcdef"))
    assert {(a, b): n for a, b, n in found.select("tag_a", "tag_b", "n_cards").rows()} == expected
    check_measures(found, len(tags), plain_counts(cards))
    shuffled = [random.sample(card, len(card)) + card[:1] for card in tags]
    random.shuffle(shuffled)
    again = cl.cooccurrence(pl.DataFrame({"tags": shuffled}, schema=cards.schema), min_cards=1)
    assert again.equals(found)


def test_sparse_and_dense_counting_agree(monkeypatch):
    cards = cl.make_cards(400)
    dense = cl.cooccurrence(cards, top=None, min_cards=2)
    monkeypatch.setattr(pairs, "_DENSE", 500)
    assert cl.cooccurrence(cards, top=None, min_cards=2).equals(dense)


def test_hostile_sizes_are_refused_with_the_argument_to_set(monkeypatch):
    cards = pl.DataFrame({"tags": [[f"t{i}" for i in range(400)]]})
    monkeypatch.setattr(pairs, "MAX_PAIRS_COUNTED", 1000)
    with pytest.raises(cl.CardlabError, match=r"79,800 pairs of 400 tags.*Set\s+top="):
        cl.cooccurrence(cards, top=None, min_cards=1)
    monkeypatch.undo()
    monkeypatch.setattr(pairs, "MAX_PAIRS_RETURNED", 1000)
    with pytest.raises(cl.CardlabError, match="Set top= "):
        cl.cooccurrence(cards, top=None, min_cards=1)


@pytest.mark.parametrize(
    ("most_tags", "n_least", "gib"),
    [(1_400, 1_100_000, 1), pytest.param(5_000, 8_000_000, 4, marks=pytest.mark.verify)],
)
def test_all_pairs_of_the_real_cards_stay_below_4_gib(data, most_tags, n_least, gib):
    """One card has 4,045 tags; the peak is that of a process of its own.

    Not of getrusage: there a new process begins with the peak of the one that started it.
    """
    code = (
        "import cardlab as cl, polars as pl, re, sys; from cardlab.tags.kinds import KINDS;"
        "cards = cl.scan_cards(sys.argv[1]);"
        "cards = cards.with_columns(pl.col('tags').list.head(int(sys.argv[2])));"
        "found = cl.cooccurrence(cards, kinds=KINDS, top=None, min_cards=1);"
        "status = open('/proc/self/status').read();"
        "print(found.height, re.search(r'VmHWM:\\s+(\\d+)', status)[1])"
    )
    source = str(data / "model_cards.seed.parquet")
    out = subprocess.run(
        [sys.executable, "-c", code, source, str(most_tags)],
        capture_output=True,
        text=True,
        check=True,
    )
    n_pairs, peak_kib = map(int, out.stdout.split())
    assert n_pairs > n_least
    assert peak_kib < gib * 2**20


def test_crosstab_by_hand_and_against_scipy():
    from scipy.stats.contingency import expected_freq

    cards = pl.DataFrame(
        {
            "r": ["a", "a", "b", "b", None, "a"],
            "c": [["x"], ["x", "y"], ["y"], [], ["x"], ["x", "x"]],
        }
    )
    found = cl.crosstab(cards, rows="r", columns="c")
    assert found.select("row", "column", "n_cards", "n_total").rows() == [
        *(("a", "x", 3, 4), ("a", "y", 1, 4), ("b", "x", 0, 4), ("b", "y", 1, 4))
    ]
    assert found["expected"].to_list() == [3 * 3 / 4, 3 * 2 / 4, 1 * 3 / 4, 1 * 2 / 4]
    assert found["row_share"].to_list() == [1.0, 1 / 3, 0.0, 1.0]
    rng = np.random.default_rng(0)
    single = pl.DataFrame({"r": rng.choice(list("abc"), 500), "c": rng.choice(list("xyz"), 500)})
    table = cl.crosstab(single, rows="r", columns="c")
    observed = table.pivot("column", index="row", values="n_cards").drop("row").to_numpy()
    expected = table.pivot("column", index="row", values="expected").drop("row").to_numpy()
    np.testing.assert_allclose(expected, expected_freq(observed))
    rows, columns = observed.sum(1, keepdims=True) / 500, observed.sum(0, keepdims=True) / 500
    residual = (observed - expected) / np.sqrt(expected * (1 - rows) * (1 - columns))
    found = table.pivot("column", index="row", values="residual").drop("row").to_numpy()
    np.testing.assert_allclose(found, residual)
    with pytest.raises(cl.NoFigure, match="none of the 1 cards has a value in 'r' and 'c'"):
        cl.crosstab(cards.slice(4, 1), rows="r", columns="c")
