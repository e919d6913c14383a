"""Intervals that know that cards of one author belong together."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import cardlab as cl
from cardlab._claims import Share
from cardlab.shares.authors import (
    author_column,
    author_columns,
    author_shares,
    designs,
    difference,
    interval,
    wilson,
)
from cardlab.shares.counting import CardlabError
from cardlab.text.lengths import length_relation


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


def test_a_difference_knows_authors_who_have_cards_on_both_sides() -> None:
    assert difference((0.3, 0.2, 0.4), (0.3, 0.2, 0.4), 1.0) == (0, 0, 0)
    rng, hits, width = np.random.default_rng(3), {0: 0, 1: 0}, {0: 0.0, 1: 0.0}
    for _ in range(300):
        size = np.minimum(rng.zipf(1.9, 300), 80)
        liking, here = rng.beta(0.4 * 7 / 3, 0.6 * 7 / 3, 300), rng.binomial(size, 0.4)
        sides = [Share(of, rng.binomial(of, liking)) for of in (here, size - here)]
        ends = [tuple(side.numbers[name] for name in ("value", "low", "high")) for side in sides]
        alike = sides[0].residual @ sides[1].residual / (sides[0].spread * sides[1].spread) ** 0.5
        for knows in hits:
            _, low, high = difference(ends[0], ends[1], knows * alike)
            hits[knows] += low <= 0 <= high
            width[knows] += high - low
    assert 0.92 * 300 <= hits[1] <= 0.98 * 300 < hits[0]
    assert width[1] < 0.8 * width[0]


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


# ---- Do the intervals hold? Authors, their sizes and their cards are drawn anew in each run.

#: Sizes of authors: by rank, by Zipf's law with two exponents, and with one author who has a part.
KINDS = ("rank", "zipf 2", "zipf 2.5", "one 0.2", "one 0.3")


def sizes_of(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Draw how many cards each author of each run has."""
    name, _, number = kind.partition(" ")
    if name == "rank":
        of_rank = shape[1] / np.arange(1, shape[1] + 1)
        return np.ceil(np.minimum(of_rank, 400) * rng.uniform(0.7, 1.5, shape)).astype(int)
    sizes = np.minimum(rng.zipf(float(number) if name == "zipf" else 2.2, shape), 400)
    if name == "one":
        part = float(number)
        sizes[:, 0] = np.round(sizes[:, 1:].sum(axis=1) * part / (1 - part))
    return sizes


def liking(p: float, icc: float, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Draw the share of each author's cards that have it."""
    if icc in (0, 1):
        return np.full(shape, p) if icc == 0 else (rng.random(shape) < p).astype(float)
    return rng.beta(p * (1 - icc) / icc, (1 - p) * (1 - icc) / icc, shape)


def simulated(
    kind: str, n_authors: int, p: float, icc: float, *, runs: int, seed: int = 0
) -> pl.DataFrame:
    """Give the share and its interval in each of the runs."""
    rng, shape = np.random.default_rng(seed), (runs, n_authors)
    sizes = sizes_of(kind, shape, rng).ravel()
    run = np.repeat(np.repeat(np.arange(runs), n_authors), sizes)
    code = np.repeat(1 + rng.permutation(sizes.size), sizes)
    has = rng.random(run.size) < np.repeat(liking(p, icc, shape, rng).ravel(), sizes)
    none = pl.Series([None] * (1 + sizes.size), dtype=pl.String)
    (design,) = designs((run[has], code[has]), (run, code), group=np.arange(runs), names=none)
    counts = pl.DataFrame({"n": np.bincount(run[has], minlength=runs), "n_all": np.bincount(run)})
    found = interval(counts["n"], counts["n_all"], "share", "share", design=design)
    naive = wilson(counts["n"].to_numpy(), counts["n_all"].to_numpy())
    return author_columns(
        counts.with_columns(found), design, total="n_all", share="share"
    ).with_columns(naive=(naive[0] <= p) & (p <= naive[1]))


def held(found: pl.DataFrame, p: float) -> pl.Series:
    return found.select((pl.col("share_low") <= p) & (pl.col("share_high") >= p)).to_series()


@pytest.mark.parametrize(("kind", "p", "icc"), [("rank", 0.3, 0.5), ("zipf 2.5", 0.9, 0.1)])
def test_intervals_of_shares_hold_where_those_of_independent_cards_do_not(
    kind: str, p: float, icc: float
) -> None:
    found = simulated(kind, 300, p, icc, runs=300)
    reliable = found.filter("is_reliable")
    assert reliable.height > 200
    assert 0.92 <= held(reliable, p).mean() <= 0.985  # type: ignore[operator]
    assert found["naive"].mean() < (0.4 if kind == "rank" else 0.9)  # type: ignore[operator]


def values_of(kind: str, n_authors: int, icc: float, *, runs: int, seed: int = 0) -> pl.DataFrame:
    """Give cards with a number whose median is 0, alike within authors, in each of the runs."""
    rng, shape = np.random.default_rng(seed), (runs, n_authors)
    sizes = sizes_of(kind, shape, rng).ravel()
    run = np.repeat(np.repeat(np.arange(runs), n_authors), sizes)
    own = np.repeat(rng.normal(size=sizes.size), sizes)
    value = icc**0.5 * own + (1 - icc) ** 0.5 * rng.normal(size=own.size)
    author = np.repeat(np.arange(sizes.size), sizes)
    return pl.DataFrame({"author": author, "run": run, "value": value, "other": own})


def medians(cards: pl.DataFrame) -> pl.DataFrame:
    found = cl.length_summary(cards, measure="value", by="run").filter("is_reliable")
    return found.with_columns(held=(pl.col("median_low") <= 0) & (pl.col("median_high") >= 0))


def test_intervals_of_medians_hold() -> None:
    found = medians(values_of("zipf 2.5", 300, 0.5, runs=200))
    assert found.height > 120
    assert 0.91 <= found["held"].mean() <= 0.99  # type: ignore[operator]


def test_a_rank_correlation_knows_authors() -> None:
    runs = values_of("zipf 2.5", 200, 1.0, runs=40).partition_by("run")
    rng, inside = np.random.default_rng(1), {None: 0, "author": 0}
    for cards in runs:  # both are the author's own, and one has nothing to do with the other
        alike = dict.fromkeys(cards["author"].unique().sort())
        alike = {author: rng.normal() for author in alike}
        both = cards.with_columns(other=pl.Series([alike[author] for author in cards["author"]]))
        for cluster in inside:
            row = length_relation(both, measure="value", to="other", cluster=cluster)
            low, high = row.select("spearman_low", "spearman_high").row(0)
            inside[cluster] += low <= 0 <= high
    assert inside["author"] >= 35 and inside[None] <= 30


@pytest.mark.verify
def test_intervals_of_shares_and_differences_cover_95_percent() -> None:
    cells = [
        (kind, n_authors, p, icc)
        for kind in KINDS
        for n_authors in (60, 300, 2000)
        for p in (0.02, 0.1, 0.3, 0.5, 0.9)
        for icc in (0, 0.1, 0.5, 1)
    ]
    rows = []
    before: dict[float, pl.DataFrame] = {}
    for cell in cells:
        _, n_authors, p, icc = cell
        runs = 500 if n_authors < 2000 else 250
        found = simulated(*cell, runs=runs, seed=len(rows))
        sure = found["is_reliable"]
        row = {"cell": str(cell), "n": sure.sum(), "share": held(found.filter(sure), p).mean()}
        other = before.get(icc)
        if other is not None and other.height == runs:
            columns = ("share", "share_low", "share_high")
            pair = [tuple(of[name].to_numpy() for name in columns) for of in (found, other)]
            _, low, high = difference(*pair)
            both = (sure & other["is_reliable"]).to_numpy()
            truth = p - other["p"][0]
            hits = ((low <= truth) & (truth <= high))[both]
            row |= {"n_both": hits.size, "difference": hits.sum() / max(hits.size, 1)}
        before[icc] = found.with_columns(p=pl.lit(p))
        rows.append(row)
    table = pl.DataFrame(rows, infer_schema_length=None)
    for figure, n in (("share", "n"), ("difference", "n_both")):
        known = table.filter(pl.col(n) >= 100)
        error = (0.05 * 0.95 / known[n]).sqrt()
        pooled = (known[figure] * known[n]).sum() / known[n].sum()
        assert 0.94 <= pooled <= 0.97
        assert (known[figure] > 0.93 - 3 * error).all()
        within = (known[figure] > 0.93 - 2 * error) & (known[figure] < 0.97 + 2 * error)
        assert within.mean() >= 0.9  # type: ignore[operator]


@pytest.mark.verify
def test_intervals_of_medians_cover_95_percent() -> None:
    for kind in ("rank", "zipf 2", "zipf 2.5"):
        for n_authors in (60, 300):
            for icc in (0.0, 0.1, 0.5, 1.0):
                found = medians(values_of(kind, n_authors, icc, runs=500))
                if found.height >= 100:
                    error = (0.05 * 0.95 / found.height) ** 0.5
                    share = found["held"].mean()
                    assert 0.93 - 3 * error < share < 0.97 + 3 * error  # type: ignore[operator]
