"""Kinds by evidence, families and communities of tags."""

from __future__ import annotations

import duckdb
import numpy as np
import polars as pl
import pytest
from sklearn.metrics import adjusted_rand_score

import cardlab as cl
from cardlab.sample._columns import PLANTED_PAIRS
from cardlab.sample._prose import topics
from cardlab.tags.communities import tag_communities


def frame(**columns):
    lists = {
        name: pl.Series(values, dtype=pl.List(pl.String))
        for name, values in columns.items()
        if isinstance(next((v for v in values if v is not None), None), list)
    }
    return pl.DataFrame(columns | lists)


def kinds_of(counts):
    return dict(counts.select("tag", "kind").rows())


# kinds


def test_columns_say_of_what_kind_a_tag_is():
    cards = frame(
        tags=[["newlib", "xyz", "license:mit"], ["newlib", "xyz"], ["newlib"], ["newlib", "odd"]],
        library_name=["newlib", "newlib", "newlib", None],
        pipeline_tag=["license:mit", None, "absent", "odd"],
        languages=[["xyz"], ["xyz", "qqq"], None, ["odd", None]],
    )
    expected = {"newlib": "library", "xyz": "language", "license:mit": "license", "odd": "task"}
    counts = cl.tag_counts(cards)
    assert kinds_of(counts) == expected
    assert kinds_of(cl.with_tag_kinds(counts.drop("kind"), cards=cards)) == expected
    assert kinds_of(cl.tag_counts(cards.select("tags")))["newlib"] == "free"
    assert cl.tag_counts(cards.lazy()).equals(counts)
    assert cl.tag_counts(duckdb.sql("FROM cards")).equals(counts)
    assert cl.tag_counts(cards, kinds="library")["tag"].to_list() == ["newlib"]


def test_half_of_the_cards_is_not_most_of_them():
    cards = frame(tags=[["lib"], ["lib"]], library_name=["lib", None])
    assert kinds_of(cl.tag_counts(cards)) == {"lib": "free"}


def test_rare_language_codes_of_real_cards(data):
    cards = cl.scan_cards(data / "model_cards.seed.parquet")
    kinds = kinds_of(cl.tag_counts(cards))
    assert cl.tag_kind("zyp") == "free"
    assert kinds["zyp"] == "language"
    assert kinds["en"] == "language"
    assert kinds["transformers"] == "library"


# families


def test_families_count_once_by_their_first_card():
    cards = frame(
        id=["b", "a", "c", "d", "e"],
        tags=[["x"], ["x", "y"], ["x", "z"], ["x", "y"], None],
        text=["same", "same", "same", " \n", None],
        family=["f", "f", "f", None, None],
    )
    for families in ("text", "family"):
        found = cl.tag_counts(cards, families=families).sort("tag")
        rows = found.select("tag", "n_cards", "n_families", "family_share").rows()
        assert rows == [("x", 4, 2, 2 / 3), ("y", 2, 2, 2 / 3), ("z", 1, 0, 0.0)]
        assert cl.tag_counts(cards.lazy(), families=families).sort("tag").equals(found)
        pairs = cl.cooccurrence(cards, families=families, min_cards=1)
        rows = pairs.select("tag_a", "tag_b", "n_cards", "n_families", "family_share").rows()
        assert sorted(rows) == [("x", "y", 2, 2, 2 / 3), ("x", "z", 1, 0, 0.0)]
        assert pairs.filter(tag_b="z").select("family_npmi", "family_q_value").row(0) == (-1, 1)
    plain = cl.cooccurrence(cards, min_cards=1)
    assert pairs.select(plain.columns).equals(plain)
    with pytest.raises(cl.MissingColumn, match="'id'"):
        cl.tag_counts(cards.drop("id"), families="text")
    with pytest.raises(cl.MissingColumn, match="'nothing'"):
        cl.tag_counts(cards, families="nothing")


def test_planted_families_are_found_by_text():
    cards = cl.make_cards(600, embedding_dim=0)
    by_text = cl.tag_counts(cards, families="text").sort("tag")
    first = cards.sort("id").filter(
        (pl.col("text").str.strip_chars() == "") | pl.col("text").is_first_distinct()
    )
    expected = dict(cl.tag_counts(first).select("tag", "n_cards").rows())
    found = dict(by_text.select("tag", "n_families").rows())
    assert {tag: n for tag, n in found.items() if n} == expected


def test_measures_of_families_equal_those_of_the_first_cards():
    cards = cl.make_cards(800, text=False, embedding_dim=0)
    family = pl.coalesce(pl.col("family").cast(pl.String), "id")
    first = cards.sort("id").unique(family, keep="first", maintain_order=True)
    pairs = cl.cooccurrence(cards, families="family", top=50)
    kept = pl.concat([pairs["tag_a"], pairs["tag_b"]]).unique().to_list()
    own = first.with_columns(pl.col("tags").list.filter(pl.element().is_in(kept)))
    again = cl.cooccurrence(own, top=None, min_cards=1)
    both = pairs.filter(pl.col("n_families") > 0).join(again, on=["tag_a", "tag_b"])
    assert both.height == pairs.filter(pl.col("n_families") > 0).height
    assert both["n_families"].to_list() == both["n_cards_right"].to_list()
    np.testing.assert_allclose(both["family_share"], both["support_right"])
    np.testing.assert_allclose(both["family_npmi"], both["npmi_right"], atol=1e-12)


@pytest.mark.parametrize("column", ["languages", "arxiv", "datasets", "base_model", "license"])
def test_pairs_of_other_columns(data, column):
    cards = cl.read_cards(data / "model_cards.librarian.parquet")
    found = cl.cooccurrence(cards, column=column, min_cards=2)
    assert found.height
    tags = set(found["tag_a"]) | set(found["tag_b"])
    row = found.row(0, named=True)
    both = {row["tag_a"], row["tag_b"]}
    lists = cards[column].to_list()
    assert row["n_cards"] == sum(both <= set(values or ()) for values in lists)
    assert tags <= {value for values in lists for value in values or ()}


def test_one_card_with_thousands_of_tags_is_one_card():
    bulk = [f"t{i:04}" for i in range(4000)]
    cards = frame(tags=[bulk, *[["a", "b", None, "b"]] * 9])
    found = cl.cooccurrence(cards, min_cards=2)
    assert found.select("tag_a", "tag_b", "n_cards").rows() == [("a", "b", 9)]
    top = cl.cooccurrence(cards, top=50, min_cards=1)
    assert top.height == 48 * 47 // 2 + 1


# communities

CARDS = cl.make_cards(2000, text=False, embedding_dim=0)


def planted():
    return {tag: place for place, topic in enumerate(topics(12)) for tag in topic.tags}


@pytest.mark.parametrize("weight", ["npmi", "lift"])
def test_planted_communities_are_found(weight):
    pairs = cl.cooccurrence(CARDS, kinds=["free"], top=None)
    found = tag_communities(pairs, weight=weight)
    topic = planted()
    known = found.filter(pl.col("tag").is_in(list(topic)))
    assert known.height > 60
    truth = [topic[tag] for tag in known["tag"]]
    assert adjusted_rand_score(truth, known["community"]) >= 0.9
    group = dict(found.select("tag", "community").rows())
    assert all(group[a] == group[b] for a, b in PLANTED_PAIRS)
    check_communities(found, pairs)
    assert tag_communities(pairs, weight=weight).equals(found)
    with_quality = tag_communities(pairs, weight=weight, quality=True)
    assert with_quality[:, :5].equals(found)
    quality = with_quality.row(0, named=True)
    assert quality["ari_low"] >= 0.9
    assert quality["ari_low"] <= quality["ari_mean"] <= 1
    assert quality["modularity"] > 0.8
    assert quality["n_communities"] == found["community"].n_unique()
    assert quality["n_tags"] == found.height


def check_communities(found, pairs):
    assert found["tag"].is_unique().all()
    sizes = found.group_by("community", maintain_order=True).agg(
        pl.len(), pl.col("tag").min(), pl.col("centrality").sum(), pl.col("label").n_unique()
    )
    assert sizes["community"].to_list() == list(range(sizes.height))
    keys = [(-n, tag) for n, tag in sizes.select("len", "tag").rows()]
    assert keys == sorted(keys)
    np.testing.assert_allclose(sizes["centrality"], 1)
    assert set(sizes["label"]) == {1}
    counts = dict(pairs.select("tag_a", "n_a").rows()) | dict(pairs.select("tag_b", "n_b").rows())
    assert all(counts[tag] == n for tag, n in found.select("tag", "n_cards").rows())
    first = found.group_by("community", maintain_order=True).first()
    assert all(row["label"].startswith(row["tag"]) for row in first.iter_rows(named=True))


def test_rows_in_another_order_give_the_same_communities():
    pairs = cl.cooccurrence(CARDS, kinds=["free", "library", "task"])
    expected = tag_communities(pairs, n_runs=2)
    assert tag_communities(pairs.sort("n_cards", "tag_b"), n_runs=2).equals(expected)


def test_no_edges_give_no_communities():
    pairs = cl.cooccurrence(frame(tags=[["a", "b"]] * 4), min_cards=1)
    found = tag_communities(pairs)
    assert found.height == 0
    assert found.columns == ["tag", "community", "n_cards", "centrality", "label"]
    assert tag_communities(pairs, quality=True).schema["modularity"] == pl.Float64


def test_communities_refuse_what_they_cannot_use(monkeypatch):
    from cardlab.tags import communities

    pairs = cl.cooccurrence(CARDS, kinds=["free"])
    with pytest.raises(cl.CardlabError, match="weight must be one of"):
        tag_communities(pairs, weight="n_cards")
    with pytest.raises(cl.CardlabError, match="q_value must be above 0"):
        tag_communities(pairs, q_value=0)
    with pytest.raises(cl.MissingColumn, match="'npmi'"):
        tag_communities(pairs.drop("npmi"))
    with pytest.raises(cl.CardlabError, match="n_runs"):
        tag_communities(pairs, n_runs=1, quality=True)
    monkeypatch.setattr(communities, "MAX_EDGES", 3)
    with pytest.raises(cl.CardlabError, match=r"at most 3 .* Set top="):
        tag_communities(pairs)


def test_pairs_of_planted_topics_share_their_community():
    pairs = cl.cooccurrence(CARDS, kinds=["free"], top=None)
    strong = pairs.filter((pl.col("q_value") < 0.01) & (pl.col("npmi") > 0))
    topic = planted()
    same = [
        topic[a] == topic[b]
        for a, b in strong.select("tag_a", "tag_b").rows()
        if a in topic and b in topic
    ]
    assert len(same) > 50
    assert sum(same) / len(same) > 0.95


def test_variants_are_applied_where_they_are_given():
    cards = pl.DataFrame(
        {"tags": [["Text-Generation", "x"], ["text-generation", "x"], ["text-generation"]]}
    )
    variants = cl.tag_variants(cards)
    assert variants.select("tag", "canonical").rows() == [("Text-Generation", "text-generation")]
    for given in (variants, {"Text-Generation": "text-generation"}):
        counts = cl.tag_counts(cards, variants=given)
        assert dict(counts.select("tag", "n_cards").rows()) == {"text-generation": 3, "x": 2}
        pairs = cl.cooccurrence(cards.lazy(), min_cards=1, variants=given)
        assert pairs.select("tag_a", "tag_b", "n_cards").rows() == [("text-generation", "x", 2)]
        other = duckdb.sql("SELECT *, 'long' AS text FROM cards")
        assert cl.tag_counts(other, variants=given).equals(counts)
    assert cl.tag_counts(cards).height == 3
