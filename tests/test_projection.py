"""Places on a map: planted clusters stay apart, whatever the order, the sample and the library."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from sklearn.manifold import trustworthiness as by_all_pairs
from sklearn.metrics import silhouette_score
from sklearn.neighbors import KNeighborsClassifier

import cardlab as cl
from cardlab.embeddings import project as projection
from cardlab.embeddings import project as trust
from cardlab.embeddings.points import Points, drawn, row_hashes
from cardlab.embeddings.project import place, trustworthiness


def planted(n: int, d: int = 20, k: int = 6, *, noise: float = 0.15, seed: int = 0):
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, k, n)
    x = rng.normal(size=(k, d))[topic] + rng.normal(size=(n, d)) * noise
    return x.astype(np.float32), topic


@pytest.fixture
def quick(monkeypatch):
    """Fit on 250 vectors, so that placing the others is tested in little time."""
    for method in projection._FITTED:
        monkeypatch.setitem(projection._FITTED, method, 250)


def method_or_skip(method: str) -> str:
    if method == "opentsne" and find_spec("openTSNE") is None:
        if os.environ.get("CI"):
            pytest.fail("openTSNE is not installed, and in CI it must be tested")
        pytest.skip("openTSNE (the extra [map]) is not installed")
    return method


@pytest.mark.parametrize("method", ["tsne", "opentsne"])
def test_planted_clusters_separate_and_held_out_cards_fall_into_theirs(quick, method):
    x, topic = planted(1500)
    xy, info = cl.project(x, method=method_or_skip(method), return_info=True)
    assert (info.method, info.n_distinct, info.n_fitted) == (method, 1500, 250)
    assert "250 of 1,500 distinct vectors, the others placed" in str(info)
    assert silhouette_score(xy, topic) > 0.6
    # The fitted ones tell the cluster of all others on the map.
    fitted = np.zeros(1500, dtype=bool)
    rows = Points.of(x, 0).first
    fitted[rows[np.argsort(row_hashes(x, rows))[drawn(1500, 250, 0)]]] = True
    model = KNeighborsClassifier(5).fit(xy[fitted], topic[fitted])
    assert model.score(xy[~fitted], topic[~fitted]) > 0.99
    assert trustworthiness(x, xy) > 0.9


@pytest.mark.parametrize("method", ["pca", "tsne", "opentsne"])
def test_places_do_not_depend_on_the_order_of_the_cards(quick, method):
    x, _ = planted(900)
    x[5] = np.nan
    x[600:700] = x[:100]  # copies
    x[7, 3], x[607, 3] = 0.0, -0.0
    method_or_skip(method)
    xy = cl.project(x, method=method)
    assert np.flatnonzero(np.isnan(xy).any(axis=1)).tolist() == [5, 605]
    order = np.random.default_rng(1).permutation(900)
    np.testing.assert_array_equal(xy[order], cl.project(x[order], method=method))
    kept = np.setdiff1d(np.arange(100), [5])
    np.testing.assert_array_equal(xy[kept], xy[600 + kept])
    # Few vectors: another seed is another sample of them.
    assert not np.array_equal(xy, cl.project(x, method=method, random_state=1), equal_nan=True)


def test_a_file_larger_than_memory_is_read_block_by_block(quick, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("cardlab.embeddings.project.BLOCK", 128)
    x, _ = planted(600)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(cl.project(mapped), cl.project(x))


def test_numbers_of_any_size_give_the_same_picture():
    x, _ = planted(60)
    expected = cl.project(x, method="pca")
    for scale in (2.0**-100, 2.0**100):
        xy = cl.project(x * np.float32(scale), method="pca")
        assert np.isfinite(xy).all()
        turned = np.corrcoef(np.concatenate([xy.T, expected.T]))
        assert np.abs(turned[[0, 1], [2, 3]]).min() > 0.999


def test_auto_does_not_look_at_what_is_installed(monkeypatch):
    x, _ = planted(60)
    before, info = cl.project(x, return_info=True)
    assert info.method == "tsne"
    assert str(info) == f"t-SNE ({info.library}) of 60 distinct vectors"
    monkeypatch.setattr(projection, "find_spec", lambda name: None)
    np.testing.assert_array_equal(before, cl.project(x))
    with pytest.raises(cl.CardlabError, match=r"pip install 'cardlab\[map\]'.*'tsne' and 'pca'"):
        cl.project(x, method="opentsne")


def test_what_is_said_of_principal_components():
    x, _ = planted(300, d=3)
    _, info = cl.project(x, method="pca", return_info=True)
    centred = x - x.mean(axis=0)
    share = np.linalg.svd(centred, compute_uv=False) ** 2
    assert info.variance_share == pytest.approx(share[:2].sum() / share.sum(), abs=1e-4)
    assert "principal components" in str(info) and "300 distinct" in str(info)
    assert cl.project(np.eye(3), return_info=True)[1].method == "pca"
    with pytest.raises(
        cl.CardlabError, match=r"'opentsne'|at least 10 distinct vectors; here are 3"
    ):
        cl.project(np.eye(3), method="opentsne")


def test_a_point_between_two_groups_is_not_placed_in_the_void():
    points = np.array([[0, 0], [0.1, 0], [10, 0], [10.1, 0]], dtype=np.float32)
    flat = points * np.float32(5)
    placed = place(points, flat, np.array([[5.0, 0]], dtype=np.float32))
    assert np.abs(flat - placed).sum(axis=1).min() < 1


def test_trustworthiness_is_the_textbook_one_and_its_sample_agrees(monkeypatch):
    x, _ = planted(800)
    xy = cl.project(x, method="pca")
    exact = by_all_pairs(x, xy, n_neighbors=10)
    assert trustworthiness(x, xy) == pytest.approx(exact, abs=1e-4)
    monkeypatch.setattr(trust, "TRUST_SAMPLE", 300)
    monkeypatch.setattr(trust, "BLOCK", 100)
    sampled = trustworthiness(x, xy)
    assert sampled == pytest.approx(exact, abs=0.02)
    order = np.random.default_rng(0).permutation(800)
    assert trustworthiness(x[order], xy[order]) == pytest.approx(sampled, abs=1e-9)
    assert trustworthiness(x, xy, random_state=1) != sampled


def test_trustworthiness_of_copies_on_one_spot():
    x, _ = planted(100)
    x = np.repeat(x, 30, axis=0)
    assert trustworthiness(x, cl.project(x, method="pca")) > 0.7
    assert trustworthiness(x, x[:, :20]) == pytest.approx(1, abs=1e-4)


def test_the_benchmark_judges_truth_and_chance():
    from benchmarks import projection as benchmark

    x, topic = benchmark.planted(1500, d=5)
    perfect = benchmark.quality(x.astype(np.float64), topic, x)
    assert perfect["trustworthiness"] == pytest.approx(1, abs=1e-6)
    assert perfect["kept"] > 0.999
    chance = benchmark.quality(x, topic, np.random.default_rng(0).normal(size=(1500, 2)))
    assert chance["trustworthiness"] == pytest.approx(0.5, abs=0.05)
    assert chance["told"] < 0.2
