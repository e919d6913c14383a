"""Intervals that know that cards of one author belong together."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from cardlab.shares.authors import (
    author_column,
    author_shares,
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


def by_loops(cards: pl.DataFrame) -> tuple[float, int, str, float]:
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
    return effect, int((with_it > 0).sum()), top, most / n


@pytest.mark.parametrize("seed", range(3))
def test_shares_are_those_of_a_loop_over_authors(seed: int) -> None:
    cards = bundles(seed)
    found = author_shares(cards, by="group", value="has")
    assert found["group"].to_list() == ["x", "y"]
    for row in found.iter_rows(named=True):
        own = cards.filter(group=row["group"])
        assert (row["n"], row["n_all"]) == (own["has"].sum(), own.height)
        effect, *who = by_loops(own)
        assert row["design_effect"] == pytest.approx(effect, rel=1e-9)
        assert row["n_effective"] == pytest.approx(own.height / effect)
        assert [row["n_authors"], row["top_author"]] == who[:2]
        assert row["top_author_share"] == pytest.approx(who[2])
        assert 0 <= row["share_low"] < row["share"] < row["share_high"] <= 1


def test_where_all_cards_have_it_or_one_author_made_all_it_is_kishs_factor() -> None:
    cards = pl.DataFrame({"author": [*"aaaabbc", None], "g": 0, "has": True})
    found = author_shares(cards, by="g", value="has").row(0, named=True)
    assert found["design_effect"] == pytest.approx((16 + 4 + 1 + 1) / 8)
    assert found["share_high"] == 1 and found["share_low"] < 0.5 and not found["is_reliable"]
    one = cards.filter(author="a").with_columns(has=pl.Series([True, True, False, False]))
    found = author_shares(one, by="g", value="has").row(0, named=True)
    assert (found["n_effective"], found["n_authors"], found["top_author"]) == (1, 1, "a")


def test_cards_of_one_author_each_are_all_but_independent() -> None:
    has = pl.Series([True, False, False, False] * 100)
    cards = pl.DataFrame({"author": [f"a{i}" for i in range(400)], "g": 0, "has": has})
    found = author_shares(cards, by="g", value="has").row(0, named=True)
    assert found["design_effect"] == pytest.approx(1, abs=0.002) and found["is_reliable"]
    alone = author_shares(cards, by="g", value="has", author=None).row(0, named=True)
    assert "design_effect" not in alone and alone["share_low"] == wilson(100, 400)[0]
    for end in ("share_low", "share_high"):
        assert found[end] == pytest.approx(alone[end], abs=0.001)
    census = author_shares(cards, by="g", value="has", census=True).row(0, named=True)
    assert (census["share"], census["share_low"], census["share_high"]) == (0.25, None, None)


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
