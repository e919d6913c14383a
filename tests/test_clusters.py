"""Clusters at scale, their number, HDBSCAN, and what lies between clusters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    pairwise_distances_argmin,
)

import cardlab as cl
from cardlab.embeddings import cluster as kmeans
from cardlab.embeddings import points as parallel
from cardlab.embeddings.describe_clusters import between_clusters, cluster_agreement
from cardlab.embeddings.points import Points
from cardlab.schema import CardlabError, MissingColumn, NoFigure

Floats = npt.NDArray[np.float32]


def plant(
    n: int, d: int, *, k: int = 6, noise: float = 0.1, seed: int = 0
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Vectors around `k` unit centres, and the centre of each."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(k, d))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    topic = rng.choice(k, n)
    return (centres[topic] + noise * rng.normal(size=(n, d))).astype(np.float32), topic


# points


def test_points_are_the_distinct_vectors_in_an_order_of_their_own() -> None:
    x, _ = plant(300, 5)
    x[200:260] = x[:60]
    x[260] = -0.0
    x[260, 0] = 1
    x[261] = 0.0
    x[261, 0] = 1
    x[262] = np.nan
    points = Points.of(x, 0)
    distinct = np.unique(np.delete(x, 262, axis=0) + 0, axis=0)
    assert len(points.copies) == len(distinct)
    assert points.copies.sum() == len(points.rows) == 299
    for rows in np.split(points.rows, np.cumsum(points.copies)[:-1]):
        assert (x[rows] == x[rows[0]]).all()
    order = np.random.default_rng(1).permutation(len(x))
    np.testing.assert_array_equal(Points.of(x[order], 0).values, points.values)


@given(
    st.lists(st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.0]), min_size=2, max_size=2), min_size=3)
)
@settings(max_examples=60, deadline=None)
def test_equal_vectors_are_one_point(rows: list[list[float]]) -> None:
    x = np.array(rows, dtype=np.float32)
    good = x.any(axis=1)
    if good.sum() < 3:
        with pytest.raises(NoFigure):
            Points.of(x, 0)
        return
    points = Points.of(x, 0)
    assert len(points.copies) == len({tuple(row) for row in x[good] + 0})
    assert sorted(points.rows) == np.flatnonzero(good).tolist()


def test_keys_that_collide_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    x, _ = plant(200, 4)
    x[50:70] = x[:20]
    expected = Points.of(x, 0)
    from cardlab.embeddings import points as module

    scan = module._scan
    monkeypatch.setattr(module, "_scan", lambda x: (scan(x)[0], scan(x)[1] % 3, scan(x)[2]))
    found = Points.of(x, 0)
    assert sorted(found.copies) == sorted(expected.copies)


def test_assignment_in_blocks_is_the_nearest_centre() -> None:
    x, _ = plant(5000, 150, k=20, noise=0.5)
    points = Points.of(x, 0)
    centres = points.take(np.arange(0, 5000, 250))
    found = kmeans.assign(points, centres)
    np.testing.assert_array_equal(found, pairwise_distances_argmin(points.values, centres))
    np.testing.assert_array_equal(found, kmeans.nearest(points.values, centres))


# k-means


def test_large_matrices_are_fitted_on_a_part_and_assigned_as_a_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(kmeans, "FIT_ROWS", 2000)
    monkeypatch.setattr(kmeans, "_RACE_ROWS", 1000)
    x, topic = plant(6000, 120, k=10, noise=0.2)
    x[5000:5100] = x[:100]
    labels = cl.cluster(x, n_clusters=10)
    topic[5000:5100] = topic[:100]
    whole = KMeans(10, n_init=10, random_state=0).fit_predict(x)
    assert adjusted_rand_score(topic, labels) >= adjusted_rand_score(topic, whole) - 0.01
    np.testing.assert_array_equal(labels[5000:5100], labels[:100])
    order = np.random.default_rng(0).permutation(len(x))
    shuffled = cl.cluster(x[order], n_clusters=10)
    assert adjusted_rand_score(labels[order], shuffled) == 1
    np.save(tmp_path / "x.npy", x)
    on_disk = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(cl.cluster(on_disk, n_clusters=10), labels)


def test_more_clusters_than_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kmeans, "FIT_ROWS", 50)
    x, _ = plant(400, 6)
    assert cl.cluster(x, n_clusters=60).max() == 59


@pytest.mark.parametrize("method", ["kmeans", "hdbscan"])
def test_clusters_do_not_depend_on_the_number_of_cores(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, _ = plant(5000, 110, k=8, noise=0.2)
    asked = {"n_clusters": 8} if method == "kmeans" else {}
    found = []
    for cores in (1, 2, 5):
        monkeypatch.setattr(parallel, "_n_cores", lambda cores=cores: cores)
        found.append(cl.cluster(x, method=method, **asked))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


# hdbscan


def test_hdbscan_finds_dense_regions_and_tells_noise_from_unusable() -> None:
    x, topic = plant(600, 8, k=4, noise=0.05)
    rng = np.random.default_rng(5)
    far = (4 * rng.normal(size=(40, 8))).astype(np.float32)
    copies = np.repeat(far[:1], 30, axis=0)
    x = np.vstack([x, far, copies, np.full((2, 8), np.nan, dtype=np.float32)])
    labels = cl.cluster(x, method="hdbscan")
    assert set(labels) == {-2, -1, 0, 1, 2, 3}
    assert np.flatnonzero(labels == -1).tolist() == [670, 671]
    # Copies of one card are no cluster of their own.
    assert (labels[600:670] == -2).all()
    inside = labels[:600] >= 0
    assert inside.mean() > 0.9
    assert adjusted_rand_score(topic[inside], labels[:600][inside]) == 1
    summary = cl.cluster_summary(pl.DataFrame({"id": [str(i) for i in range(672)]}), labels=labels)
    assert summary["n_cards"].sum() == (labels >= 0).sum()
    order = rng.permutation(len(x))
    np.testing.assert_array_equal(cl.cluster(x[order], method="hdbscan") < 0, labels[order] < 0)


def test_hdbscan_of_many_cards_places_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    from cardlab.embeddings import cluster as density

    monkeypatch.setattr(density, "_MANY", 400)
    x, topic = plant(1200, 6, k=3, noise=0.05)
    x[:20] += 30 * np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    labels = cl.cluster(x, method="hdbscan")
    assert (labels[:20] == -2).all()
    inside = labels >= 0
    assert inside.mean() > 0.8
    assert adjusted_rand_score(topic[inside], labels[inside]) == 1


def test_hdbscan_says_what_it_cannot_do() -> None:
    x, _ = plant(60, 4)
    with pytest.raises(CardlabError, match=r"'hdbscan' finds the number.*min_cluster_size"):
        cl.cluster(x, method="hdbscan", n_clusters=3)
    with pytest.raises(CardlabError, match=r"min_cluster_size"):
        cl.cluster(x, method="hdbscan", min_cluster_size=1)
    assert set(cl.cluster(x[:8], method="hdbscan")) == {-2}


def test_languages_of_a_cluster() -> None:
    cards = pl.DataFrame({"id": list("abc"), "languages": [["en", "de"], ["en", "en"], None]})
    summary = cl.cluster_summary(cards, labels=[0, 0, 1])
    assert summary["top_languages"].to_list() == [["en", "de"], []]


# clusters and what cards declare, and each other


def test_agreement_with_task_and_library() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=2000)
    task = np.where(rng.random(2000) < 0.3, None, np.array(list("wxyz"))[labels])
    cards = pl.DataFrame(
        {
            "pipeline_tag": pl.Series(task.tolist(), dtype=pl.String),
            "library_name": rng.choice(["p", "q"], 2000),
            "arxiv": pl.Series([None] * 2000, dtype=pl.String),
        }
    )
    labels = np.where(rng.random(2000) < 0.1, -1, labels)
    table = cluster_agreement(
        cards, labels=labels, columns=["library_name", "arxiv", "pipeline_tag"]
    )
    assert table["column"].to_list() == ["pipeline_tag", "library_name", "arxiv"]
    first, second, third = table.rows(named=True)
    known = np.array([t is not None for t in task]) & (labels >= 0)
    assert first["n_cards"] == known.sum()
    assert (first["n_values"], first["ami"], first["ari"]) == (4, pytest.approx(1), 1)
    assert second["n_cards"] == (labels >= 0).sum()
    expected = adjusted_mutual_info_score(
        cards["library_name"].to_numpy()[labels >= 0], labels[labels >= 0]
    )
    assert second["ami"] == pytest.approx(expected)
    assert second["ami_low"] < 0 < second["ami_high"] < 0.05
    assert (third["n_cards"], third["ami"], third["ari"]) == (0, None, None)
    default = cluster_agreement(cards, labels=labels)
    assert default.equals(table.head(2))


def test_agreement_refuses_lists_and_missing_columns() -> None:
    cards = pl.DataFrame({"tags": [["a"], ["b"]], "id": ["a", "b"]})
    with pytest.raises(CardlabError, match=r"'tags' is List.*one value"):
        cluster_agreement(cards, labels=[0, 1], columns=["tags"])
    with pytest.raises(MissingColumn, match=r"pipeline_tag"):
        cluster_agreement(cards, labels=[0, 1])
    few = cluster_agreement(cards, labels=[0, 1], columns="id")
    assert few["ami_low"].to_list() == [None]


def test_cards_between_clusters_come_first() -> None:
    x = np.array([[1, 0], [1.1, 0], [0.9, 0], [9, 0], [9.1, 0], [5.2, 0.1], [4.8, 0.1]])
    x = np.vstack([x, [[np.nan, 0]]]).astype(np.float32)
    labels = [0, 0, 0, 1, 1, 1, 0, -1]
    table = between_clusters(x, labels=labels, ids=list("abcdefgh"))
    assert table.columns == ["id", "cluster", "second", "margin"]
    assert set(table["id"].head(2)) == {"f", "g"}
    assert table.height == 7
    assert table["margin"].is_sorted()
    centre, other = x[[0, 1, 2, 6]].mean(axis=0), x[[3, 4, 5]].mean(axis=0)
    near, far = np.linalg.norm(x[6] - centre), np.linalg.norm(x[6] - other)
    row = table.filter(id="g").row(0)
    assert row[:3] == ("g", 0, 1)
    assert row[3] == pytest.approx((far - near) / max(near, far), abs=1e-5)
    wrong = between_clusters(x, labels=[1, 0, 0, 1, 1, 1, 0, -1], ids=list("abcdefgh"), top=1)
    assert wrong["id"].to_list() == ["a"]
    assert wrong["margin"][0] < 0
    with pytest.raises(NoFigure, match=r"only one cluster"):
        between_clusters(x, labels=[0] * 8, ids=list("abcdefgh"))
    with pytest.raises(CardlabError, match=r"ids.*8 vectors.*7"):
        between_clusters(x, labels=labels, ids=list("abcdefg"))
