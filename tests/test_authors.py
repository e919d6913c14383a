"""Intervals that know that cards of one author belong together."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from cardlab.shares.authors import (
    author_column,
    author_shares,
    designs,
    difference,
    wilson,
)
from cardlab.shares.counting import CardlabError


def bundles(seed: int = 0, n_authors: int = 40) -> pl.DataFrame:
    """Cards of a few large and many small authors in two groups, some without an author."""
    rng = np.random.default_rng(seed)
    sizes = np.minimum(rng.zipf(1.8, n_authors), 60)
    author = np.repeat(np.arange(n_authors), sizes)
    liking = rng.beta(0.6, 1.0, n_authors)
    has = rng.random(author.size) < liking[author]
    names = [None if i % 9 == 0 else f"a{i:02}" for i in author]
    group = np.where(rng.random(author.size) < 0.3, "x", "y")
    return pl.DataFrame({"author": names, "group": group, "has": has})


def by_loops(cards: pl.DataFrame) -> tuple[float, float, int, str | None, float]:
    """Give the design effect and the others from one loop over authors."""
    own = [(row["author"] or object(), row["has"]) for row in cards.iter_rows(named=True)]
    authors: dict[object, list[bool]] = {}
    for author, has in own:
        authors.setdefault(author, []).append(has)
    n_all, n = len(own), sum(has for _, has in own)
    p, size = n / n_all, np.array([len(of) for of in authors.values()])
    with_it = np.array([sum(of) for of in authors.values()])
    residual = with_it - p * size
    linear = (residual**2 / (1 - size / n_all)).sum() / (n_all * p * (1 - p))
    kish = (size**2).sum() / n_all
    between = (size * (with_it / size - p) ** 2).sum() / (len(size) - 1)
    inside = (with_it * (1 - with_it / size)).sum() / (n_all - len(size))
    typical = (n_all - kish) / (len(size) - 1)
    icc = np.clip((between - inside) / (between + (typical - 1) * inside), 0, 1)
    named = {a: sum(of) for a, of in authors.items() if isinstance(a, str) and sum(of)}
    most = max(with_it)
    top = min(a for a, k in named.items() if k == most)
    effect = (max(linear, 1) + 1 + icc * (kish - 1)) / 2
    return effect, n_all / kish, int((with_it > 0).sum()), top, most / n


@pytest.mark.parametrize("seed", range(3))
def test_designs_are_those_of_a_loop_over_authors(seed: int) -> None:
    cards = bundles(seed)
    sizes = cards.group_by("group", "author").agg(n=pl.len())
    counts = cards.filter("has").group_by("group", "has", "author").agg(n=pl.len())
    found = designs(counts, sizes, by=["group"], value=["has"])
    assert found.height == 2
    for row in found.iter_rows(named=True):
        effect, n_effective_authors, *who = by_loops(cards.filter(group=row["group"]))
        assert row["design_effect"] == pytest.approx(effect, rel=1e-9)
        assert row["n_effective_authors"] == pytest.approx(n_effective_authors)
        assert [row["n_authors"], row["top_author"]] == who[:2]
        assert row["top_author_share"] == pytest.approx(who[2])


def test_where_all_cards_have_it_or_one_author_made_all_it_is_kishs_factor() -> None:
    cards = pl.DataFrame({"author": [*"aaaabbc", None], "g": 0, "v": "v"})
    sizes = cards.group_by("g", "author").agg(n=pl.len())
    counts = cards.group_by("g", "v", "author").agg(n=pl.len())
    found = author_shares(counts, sizes, by=["g"], value=["v"]).row(0, named=True)
    assert found["design_effect"] == pytest.approx((16 + 4 + 1 + 1) / 8)
    assert found["share_high"] == 1 and found["share_low"] < 0.5 and not found["is_reliable"]
    one = cards.filter(author="a").with_columns(v=pl.Series([*"uuvv"]))
    sizes = one.group_by("g", "author").agg(n=pl.len())
    counts = one.group_by("g", "v", "author").agg(n=pl.len())
    found = author_shares(counts, sizes, by=["g"], value=["v"])
    assert found["n_effective"].to_list() == [1, 1]
    assert found.select("n_authors", "top_author", "top_author_share").rows() == [(1, "a", 1.0)] * 2


def test_cards_of_one_author_each_are_all_but_independent() -> None:
    cards = pl.DataFrame({"author": [f"a{i}" for i in range(400)], "g": 0, "v": [*"uvvv"] * 100})
    sizes = cards.group_by("g", "author").agg(n=pl.len())
    counts = cards.group_by("g", "v", "author").agg(n=pl.len())
    found = author_shares(counts, sizes, by=["g"], value=["v"])
    assert found["design_effect"].max() == pytest.approx(1, abs=0.002)
    ends = np.stack(wilson(found["n"].to_numpy(), 400))
    assert np.abs(found.select("share_low", "share_high").to_numpy().T - ends).max() < 0.001
    assert found["is_reliable"].all()


def test_a_difference_is_newcombes() -> None:
    # R. G. Newcombe (1998), table II: 56/70 against 48/80, method 10
    pair = [(n / of, *wilson(n, of)) for n, of in ((56, 70), (48, 80))]
    assert difference(*pair) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_which_column_says_who_made_a_card() -> None:
    cards = pl.DataFrame({"id": ["a/x"], "org": ["a"], "many": [["a"]]})
    assert author_column(cards, "author", "sample") is None
    assert author_column(cards, "org", "sample") == "org"
    assert author_column(cards, "org", "census") is None
    assert author_column(cards, None, "sample") is None
    with pytest.raises(CardlabError, match="'owner'"):
        author_column(cards, "owner", "sample")
    with pytest.raises(CardlabError, match="single"):
        author_column(cards, "many", "sample")
    with pytest.raises(CardlabError, match="'sample', 'census'"):
        author_column(cards, "org", "all")
