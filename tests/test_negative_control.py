"""Pairs of tags respect authors, and what is drawn at random is not found."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from conftest import real_file
from polars.testing import assert_frame_equal

import cardlab as cl
from cardlab._findings import _with_properties
from cardlab.frames import Coded
from cardlab.tags import cooccurrence as pairs

CORPORA = {
    "seed": "model_cards.seed.parquet",
    "radar": "models_radar_2026.parquet",
    "hub": "hub_2022_cards.librarian.parquet",
}


def cards_of(name: str) -> pl.DataFrame:
    cards = cl.scan_cards(real_file(CORPORA[name]))
    wanted = ["id", "author", "tags", "library_name", "pipeline_tag", "languages", "license"]
    have = cards.collect_schema().names()
    return cards.select([column for column in wanted if column in have]).collect()


def bundles(seed: int, n_authors: int = 400) -> pl.DataFrame:
    """Cards of authors of Zipf sizes; 30 tags, half of which an author has on all cards or none."""
    rng = np.random.default_rng(seed)
    author = np.repeat(np.arange(n_authors), np.minimum(rng.zipf(1.8, n_authors), 80))
    shares = np.geomspace(0.4, 0.05, 30)
    on = rng.random((len(author), 30)) < shares
    on[:, ::2] = (rng.random((n_authors, 30)) < shares)[author][:, ::2]
    names = np.array([f"t{number:02}" for number in range(30)])
    tags = [names[row].tolist() for row in on]
    return pl.DataFrame({"tags": tags, "author": [f"a{number}" for number in author]})


@pytest.mark.parametrize(("chunk", "dense"), [(250_000, 16_000_000), (300, 16_000_000), (300, 50)])
def test_authors_of_pairs_equal_plain_python(monkeypatch, chunk, dense):
    monkeypatch.setattr(pairs, "_CHUNK", chunk)
    monkeypatch.setattr(pairs, "_DENSE", dense)
    cards = bundles(0, 60).with_columns(
        pl.when(pl.int_range(pl.len()) % 7 > 0).then("author").alias("author")
    )
    authors: dict[tuple[str, str], Counter[object]] = {}
    for number, (tags, author) in enumerate(cards.iter_rows()):
        for pair in combinations(sorted(tags), 2):
            own = number if author is None else author
            authors.setdefault(pair, Counter())[own] += 1
    found = cl.cooccurrence(cards, min_cards=1)
    assert found.height == len(authors)
    for row in found.iter_rows(named=True):
        counts = authors[row["tag_a"], row["tag_b"]]
        assert row["n_authors"] == len(counts)
        assert row["top_author_share"] == max(counts.values()) / row["n_cards"]
        assert (row["p_value"] is None) == (row["q_value"] is None) == (len(counts) < 5)
    shuffled = cards.sample(fraction=1, shuffle=True, seed=3)
    assert cl.cooccurrence(shuffled, min_cards=1).equals(found)


def test_without_authors_cards_are_independent():
    cards = bundles(1, 60)
    plain = cl.cooccurrence(cards.drop("author"))
    assert cl.cooccurrence(cards, cluster=None).equals(plain)
    assert "n_authors" not in plain.columns
    alone = cards.with_row_index("own").rename({"author": "maker"})
    with pytest.raises(cl.MissingColumn, match="'nobody'"):
        cl.cooccurrence(alone, cluster="nobody")
    each = cl.cooccurrence(alone, cluster="own", min_authors=1)
    assert each["n_authors"].to_list() == each["n_cards"].to_list()
    again = each.drop("n_authors", "top_author_share").sort("tag_a", "tag_b")
    assert_frame_equal(again, plain.sort("tag_a", "tag_b"))


def test_the_variance_is_that_of_authors_who_change_places():
    rng = np.random.default_rng(2)
    size, n_authors = 4, 300
    author = np.repeat(np.arange(n_authors), size)
    chances = rng.beta(0.5, 1.5, (2, n_authors))  # alike within an author, but not the same
    a, b = rng.random((2, len(author))) < chances[:, author]
    lengths = a + b.astype(int)
    code = np.concatenate([np.flatnonzero(card) for card in np.stack([a, b], axis=1)])
    coded = Coded(pl.Series(["a", "b"]), code, lengths)
    *sums, n_authors_of = pairs._by_size(coded, author)
    expected, variance, independent = (rows.prod(axis=1).sum() for rows in sums)
    assert n_authors_of.tolist() == [len(set(author[on])) for on in (a, b)]
    assert expected == pytest.approx(a.sum() * b.sum() / len(author))
    assert independent == pytest.approx(len(author) * a.var() * b.var())
    blocks = b.reshape(n_authors, size)
    drawn = [(a & rng.permuted(rng.permutation(blocks), axis=1).ravel()).sum() for _ in range(3000)]
    assert np.mean(drawn) == pytest.approx(expected, rel=0.02)
    assert np.var(drawn) == pytest.approx(variance, rel=0.1)
    assert variance > 1.3 * independent


def test_a_pair_of_many_authors_is_found_and_one_of_one_author_is_not():
    cards = bundles(3)
    sizes = cards["author"].value_counts().sort("count", "author")
    many = sizes.filter(pl.col("count") == 1)["author"][:12]
    largest = sizes["author"][-1]
    own = pl.when(pl.col("author").is_in(many.implode())).then(pl.lit(["many a", "many b"]))
    own = own.when(pl.col("author") == largest).then(pl.lit(["one a", "one b"]))
    planted = cards.with_columns(pl.col("tags").list.concat(own.otherwise(pl.lit([]))))
    found = cl.cooccurrence(planted)
    assert found.row(0)[:2] == ("many a", "many b")
    assert found["q_value"][0] < 1e-6
    one = found.filter(pl.col("tag_a") == "one a", pl.col("tag_b") == "one b")
    assert one.select("n_authors", "top_author_share", "q_value").row(0) == (1, 1.0, None)
    # the pairs beyond chance come first, each part by NPMI
    held = (found["q_value"] < 0.05).fill_null(False)
    assert held.to_list() == sorted(held, reverse=True)
    for part in (found.filter(held), found.filter(~held)):
        assert part["npmi"].is_sorted(descending=True)
    naive = cl.cooccurrence(planted, cluster=None)
    assert naive.filter(pl.col("tag_a") == "one a", pl.col("q_value") < 1e-9).height


def test_what_is_drawn_at_random_is_seldom_found():
    cards = bundles(4)
    found = cl.negative_control(cards, n_draws=15, random_state=1)
    assert found["author_share"].to_list() == [0.5, 0.2, 0.05]
    assert found["n_draws"].to_list() == [15] * 3
    total = found.select("n_tests", "n_false", "n_false_q").sum().row(0)
    assert total[0] > 800
    assert 0.02 < total[1] / total[0] < 0.08
    assert total[2] / total[0] <= 0.01
    assert cl.negative_control(cards, n_draws=15, random_state=1).equals(found)
    # a test that takes cards as independent finds authors
    naive = cl.negative_control(cards, n_draws=15, random_state=1, cluster=None)
    assert naive["false_share"].min() > 0.15
    with pytest.raises(cl.NoFigure, match="nothing could be tested"):
        cl.negative_control(cards, n_draws=2, min_cards=10_000)


def test_control_of_two_corpora():
    cards = bundles(5, 150)
    found = cl.negative_control(cards, of="compare", n_draws=3, columns=["tags"])
    assert found.select("what", "column", "n_draws", "n_tests", "n_false_q").rows() == [
        ("compare", "tags", 3, 3, None)
    ]
    assert found["false_share"][0] == found["n_false"][0] / 3
    # what compare makes is made once; cards as independent are found apart, as each has an author
    own = cards.with_columns(license=pl.col("author").str.replace("a", ""))
    naive = cl.negative_control(own, of="compare", n_draws=3, cluster=None)
    assert naive["column"].to_list() == ["license_class", "license_spdx", "tags"]
    assert naive.filter(pl.col("column") == "tags")["n_false"][0] == 3
    with pytest.raises(cl.MissingColumn, match="nothing"):
        cl.negative_control(cards, of="compare", columns=["nothing"])


def test_control_refuses_what_it_cannot_use():
    cards = bundles(6, 20)
    with pytest.raises(cl.NoFigure, match="no column 'author'"):
        cl.negative_control(cards.drop("author"))
    with pytest.raises(cl.NoFigure, match="1 author"):
        cl.negative_control(cards.with_columns(author=pl.lit("a")))
    with pytest.raises(cl.CardlabError, match="author_shares must be above 0"):
        cl.negative_control(cards, author_shares=[1.0])
    with pytest.raises(cl.CardlabError, match="of must be one of"):
        cl.negative_control(cards, of="pairs")


@pytest.mark.verify
@pytest.mark.parametrize("name", CORPORA)
def test_false_alarms_on_real_cards(name):
    found = cl.negative_control(cards_of(name), n_draws=100, random_state=2)
    total = found.select("n_tests", "n_false", "n_false_q").sum().row(0)
    assert total[0] > 5000
    assert 0.03 <= total[1] / total[0] <= 0.06
    assert (found["false_q_share"] <= 0.01).all()


@pytest.mark.verify
@pytest.mark.parametrize("n_authors", [10, 20, 50])
def test_planted_pairs_are_found_on_real_cards(n_authors):
    """As many authors have one of the two alone; each on about half of the cards."""
    coded, author, _ = pairs.considered(cards_of("seed"), "author")
    rng, n_found = np.random.default_rng(n_authors), 0
    for _ in range(100):
        role = np.full(author.max() + 1, 3)
        chosen = rng.permutation(len(role))[: 3 * n_authors]
        role[chosen] = np.repeat([0, 1, 2], n_authors)
        first = np.zeros(len(author), dtype=bool)
        first[np.unique(author, return_index=True)[1]] = True
        on = (first | (rng.random(len(author)) < 0.5))[:, None]
        has = on & np.stack([np.isin(role, part)[author] for part in ((0, 1), (0, 2))], axis=1)
        more = _with_properties(coded, has)
        found = pairs.table_of_pairs(more, author, min_cards=5, min_authors=5)
        planted = found.filter(pl.col("tag_a") == more.names[-2], pl.col("tag_b") == more.names[-1])
        n_found += (planted["q_value"] < 0.05).sum()
    assert n_found >= 80
