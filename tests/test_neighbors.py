"""Neighbours and near-duplicates are those of brute force in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cardlab as em
from cardlab.embeddings import neighbors as copies
from cardlab.schema import CardlabError, MissingColumn, NoFigure

Matrix = npt.NDArray[np.float32]


def cosines(a: Any, b: Any) -> npt.NDArray[np.float64]:
    """The cosine of every row of one with every row of the other, one by one."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        a = a / np.sqrt((a**2).sum(axis=1, keepdims=True))
        b = b / np.sqrt((b**2).sum(axis=1, keepdims=True))
    return np.round(a @ b.T, 12).clip(-1, 1)


def names(n: int) -> list[str]:
    return [f"org/{i * 7919 % n:05d}" for i in range(n)]


def corpus(n: int = 3000, d: int = 96, seed: int = 0) -> Matrix:
    """Groups, near copies, copies, multiples, and rows that are not usable."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(12, d))[rng.integers(12, size=n)] + 0.35 * rng.normal(size=(n, d))
    x[100:200] = x[:100] + 0.02 * rng.normal(size=(100, d))
    x[200:230] = x[:30]
    x[230:260] = 3 * x[:30]
    x[260:290] = x[295]
    x = x.astype(np.float32)
    x[290], x[291], x[292, 2] = 0, np.nan, np.inf
    return x


def brute_pairs(x: Matrix, ids: list[str], threshold: float) -> set[tuple[str, str, float]]:
    found = cosines(x, x)
    a, b = np.nonzero(np.triu(np.nan_to_num(found, nan=-2) >= threshold, 1))
    return {(*sorted((ids[i], ids[j])), float(found[i, j])) for i, j in zip(a, b, strict=True)}


def test_neighbors_are_those_of_brute_force() -> None:
    x = corpus()
    ids = names(len(x))
    asked = [0, 7, 100, 200, 260, 299]
    found = em.neighbors(x, ids=ids, query=[ids[i] for i in asked], top=40)
    assert found.columns == ["query", "rank", "id", "similarity"]
    all_of = cosines(x[asked], x)
    for i, row in zip(asked, all_of, strict=True):
        order = sorted(
            (j for j in range(len(x)) if j != i and np.isfinite(row[j])),
            key=lambda j: (-row[j], ids[j]),
        )[:40]
        mine = found.filter(query=ids[i])
        assert mine["id"].to_list() == [ids[j] for j in order]
        np.testing.assert_allclose(mine["similarity"], row[order], rtol=0, atol=2e-12)
        assert mine["rank"].to_list() == list(range(1, 41))


def test_neighbors_of_vectors_and_of_one_card() -> None:
    x = corpus(500, 16)
    ids = names(500)
    one = em.neighbors(x, ids=ids, query=x[400], top=3)
    assert one.row(0) == ("0", 1, ids[400], 1.0)
    two = em.neighbors(x, ids=pl.Series(ids), query=x[[400, 401]], top=1)
    assert two["id"].to_list() == [ids[400], ids[401]]
    assert em.neighbors(x, ids=ids, query=ids[400], top=1_000).height == 496
    assert ids[400] not in em.neighbors(x, ids=ids, query=ids[400])["id"]


def test_neighbors_do_not_depend_on_the_order_of_cards() -> None:
    x, ids = corpus(800, 33), np.array(names(800))
    order = np.random.default_rng(1).permutation(800)
    straight = em.neighbors(x, ids=ids, query=list(ids[[0, 270]]), top=50)
    assert straight.equals(
        em.neighbors(x[order], ids=ids[order], query=list(ids[[0, 270]]), top=50)
    )
    pairs = em.near_duplicates(x, ids=ids, threshold=0.9)
    assert pairs.equals(em.near_duplicates(x[order], ids=ids[order], threshold=0.9))


@pytest.mark.parametrize("threshold", [0.9, 0.98, 0.9995, 1.0])
@pytest.mark.parametrize("d", [3, 65, 66, 200])
def test_near_duplicates_are_those_of_brute_force(
    d: int, threshold: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "_ROWS", 128)
    x = corpus(600, d)
    ids = names(600)
    found = em.near_duplicates(x, ids=ids, threshold=threshold)
    expected = brute_pairs(x, ids, threshold)
    assert {row[:2] for row in found.iter_rows()} == {row[:2] for row in expected}
    assert len(found) == len(expected)
    by_pair = {row[:2]: row[2] for row in expected}
    for a, b, cosine in found.iter_rows():
        assert cosine == pytest.approx(by_pair[a, b], abs=2e-12)
    assert found.equals(found.sort(-pl.col("similarity"), "id_a", "id_b"))


def test_pairs_on_the_border_are_judged_in_float64() -> None:
    """float32 cannot tell these cosines from the threshold; float64 can."""
    angles = np.arccos(0.98) + np.linspace(-2e-7, 2e-7, 41)
    x = np.zeros((42, 300), dtype=np.float32)
    x[0, 0] = 1
    x[1:, 0], x[1:, 1] = np.cos(angles), np.sin(angles)
    ids = names(42)
    found = em.near_duplicates(x, ids=ids, threshold=0.98).filter(
        (pl.col("id_a") == ids[0]) | (pl.col("id_b") == ids[0])
    )
    expected = (cosines(x[:1], x[1:]) >= 0.98).sum()
    assert 0 < expected < 41
    assert found.height == expected


@given(
    st.lists(st.lists(st.integers(-2, 2), min_size=3, max_size=3), min_size=2, max_size=14),
    st.sampled_from([0.5, 0.7, 0.98, 1.0]),
)
@settings(max_examples=150, deadline=None)
def test_any_small_vectors_pair_as_by_hand(rows: list[list[int]], threshold: float) -> None:
    x = np.array(rows, dtype=np.float32)
    ids = [f"{i:02d}" for i in range(len(x))]
    found = em.near_duplicates(x, ids=ids, threshold=threshold)
    expected = {row[:2] for row in brute_pairs(x, ids, threshold)}
    assert {row[:2] for row in found.iter_rows()} == expected
    assert found.select("id_a", "id_b").is_unique().all()


@pytest.mark.parametrize("scale", [2.0**-100, 2.0**100])
def test_the_size_of_vectors_does_not_matter(scale: float) -> None:
    x = corpus(300, 20)
    ids = names(300)
    scaled = (x.astype(np.float64) * scale).astype(np.float32)
    pairs = em.near_duplicates(scaled, ids=ids, threshold=0.95)
    assert pairs.select("id_a", "id_b").equals(
        em.near_duplicates(x, ids=ids, threshold=0.95).select("id_a", "id_b")
    )
    assert em.neighbors(scaled, ids=ids, query=ids[0], top=5)["similarity"][0] == 1


def test_too_many_copies_are_refused_before_they_fill_the_memory() -> None:
    x = np.ones((5_000, 4), dtype=np.float32)
    with pytest.raises(CardlabError, match=r"more than 5,000,000 pairs.*shared_vectors"):
        em.near_duplicates(x, ids=names(5_000))
    x = np.eye(2, dtype=np.float32)[np.arange(400) % 2] + np.float32(0.9)
    with pytest.raises(CardlabError, match=r"more than 50,000 pairs"):
        em.near_duplicates(x, ids=names(400), threshold=0.5, max_pairs=50_000)


def test_nothing_usable_and_wrong_arguments() -> None:
    x, ids = corpus(300, 8), names(300)
    assert em.near_duplicates(x[290:292], ids=ids[:2]).height == 0
    assert em.near_duplicates(x[:1], ids=ids[:1]).schema == {
        "id_a": pl.String,
        "id_b": pl.String,
        "similarity": pl.Float64,
    }
    with pytest.raises(NoFigure, match=r"none of the 2 vectors"):
        em.neighbors(x[290:292], ids=ids[:2], query=ids[0])
    with pytest.raises(NoFigure, match=r"asked for"):
        em.neighbors(x, ids=ids, query=ids[290])
    with pytest.raises(NoFigure, match=r"asked for"):
        em.neighbors(x, ids=ids, query=np.zeros(8))
    with pytest.raises(CardlabError, match=r"1 of the ids.*300 cards: 'no/such\ufffd\[31m'"):
        em.neighbors(x, ids=ids, query="no/such\x1b[31m")
    with pytest.raises(CardlabError, match=r"more than once"):
        em.neighbors(x, ids=["a"] * 300, query="a")
    for query in (np.ones(7), np.ones((2, 2, 8)), [], ["a", 1], None, [[1, 2], [3]]):
        with pytest.raises(CardlabError, match=r"query must be an id.*8 numbers"):
            em.neighbors(x, ids=ids, query=query)
    with pytest.raises(CardlabError, match=r"300 vectors.*it has 2"):
        em.neighbors(x, ids=["a", "b"], query="a")
    for threshold in (0, 1.1, "0.9", float("nan")):
        with pytest.raises(CardlabError, match=r"threshold"):
            em.near_duplicates(x, ids=ids, threshold=threshold)  # type: ignore[arg-type]


def test_pairs_of_like_vectors_are_copies_only_where_the_texts_are_alike() -> None:
    words = [f"word{i}" for i in range(60)]
    near = [*words[:59], "another"]  # one of 58 shingles differs on each side
    far = words[::-1]
    texts = [" ".join(words), " ".join(near), " ".join(far), " ".join(words), None, " ", "!", "?"]
    cards = pl.DataFrame({"id": list("abcdefgh"), "text": texts})
    x = np.ones((8, 4))
    assert em.near_duplicates(x, ids=cards).height == 8 * 7 / 2
    found = em.near_duplicates(x, ids=cards, cards=cards.lazy())
    pairs = {(a, b): like for a, b, _, like in found.iter_rows()}
    assert pairs == {
        ("a", "b"): pytest.approx(57 / 59),
        ("a", "d"): 1.0,
        ("b", "d"): pytest.approx(57 / 59),
    }
    assert found["similarity"].to_list() == [1.0] * 3
    exact = em.near_duplicates(x, ids=cards, cards=cards, likeness=1)
    assert exact["id_b"].to_list() == ["d"]
    order = [5, 2, 7, 0, 3, 1, 6, 4]
    assert found.equals(em.near_duplicates(x, ids=cards[order], cards=cards[order]))
    none = em.near_duplicates(np.eye(8), ids=cards, cards=cards)
    assert none.height == 0 and none.schema == found.schema
    with pytest.raises(CardlabError, match="each of the 8 vectors.*it has 2"):
        em.near_duplicates(x, ids=cards, cards=cards.head(2))
    with pytest.raises(CardlabError, match="likeness must be above 0"):
        em.near_duplicates(x, ids=cards, cards=cards, likeness=0)
    with pytest.raises(MissingColumn, match="text"):
        em.near_duplicates(x, ids=cards, cards=cards.select("id"))
