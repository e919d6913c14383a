"""Vectors, clusters, keywords and projections, on planted data and on real cards."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from conftest import real_file
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, silhouette_score

import cardlab as em
from cardlab.embeddings.lsa import MAX_TEXT, prose
from cardlab.embeddings.project import trustworthiness
from cardlab.embeddings.vectors import usable
from cardlab.schema import CardlabError, MissingColumn, NoFigure

pytestmark = pytest.mark.filterwarnings("error")


def plant(
    n: int, d: int, *, k: int = 12, noise: float = 0.1, seed: int = 0, uneven: float = 0.0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Vectors around `k` unit centres, and the centre of each."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(k, d))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    share = np.arange(1, k + 1) ** -uneven
    topic = rng.choice(k, n, p=share / share.sum())
    x = centres[topic] + noise * rng.normal(size=(n, d))
    return x.astype(np.float32), topic


def frame_of(rows: list[list[float | None] | None], dtype: pl.DataType) -> pl.DataFrame:
    return pl.DataFrame({"embeddings": pl.Series(rows, dtype=dtype)})


LIST = pl.List(pl.Float32)
SUBJECTS = ["speech audio voice", "image pixel camera", "reward agent policy"]


def talking_cards(n: int = 60) -> tuple[pl.DataFrame, npt.NDArray[np.int64]]:
    """Cards of three subjects in turn, each with words of its own."""
    topic = np.arange(n) % 3
    return pl.DataFrame(
        {
            "id": [f"org/card-{i:03d}" for i in range(n)],
            "text": [f"# Title\nThe {SUBJECTS[t]} of number {i}." for i, t in enumerate(topic)],
            "tags": [
                [SUBJECTS[t].split()[0], "everywhere", "region:us", f"license:{'ab'[t % 2]}"]
                for t in topic
            ],
        }
    ), topic


@pytest.fixture(scope="module")
def real() -> pl.DataFrame:
    return pl.read_parquet(real_file("model_cards.seed.parquet")).gather_every(4).head(600)


# vectors


@pytest.mark.parametrize(
    "dtype", [LIST, pl.List(pl.Float64), pl.Array(pl.Float32, 3), pl.Array(pl.Float64, 3)]
)
def test_vectors_of_every_layout_are_equal(dtype: pl.DataType) -> None:
    rows = [[1.0, 2.0, 3.0], None, [4.0, float("nan"), 6.0], [0.0, 0.0, 0.0], [7.0, None, 9.0]]
    rows += [[1.5, 0.0, -2.0], [float("inf"), 0.0, 0.0]]
    x = em.vectors(frame_of(rows, dtype))
    assert x.dtype == np.float32
    nan = [np.nan] * 3
    np.testing.assert_array_equal(x, [[1, 2, 3], nan, nan, nan, nan, [1.5, 0, -2], nan])
    assert usable(x).tolist() == [True, False, False, False, False, True, False]


def test_vectors_of_wrong_lengths_stay_aligned() -> None:
    rows = [[1.0], [1.0, 2.0], [], None, [3.0, 4.0], [1.0, 2.0, 3.0], [5.0, 6.0]]
    x = em.vectors(frame_of(rows, LIST))
    assert usable(x).tolist() == [False, True, False, False, True, False, True]
    np.testing.assert_array_equal(x[[1, 4, 6]], [[1, 2], [3, 4], [5, 6]])
    tie = em.vectors(frame_of([[1.0], [1.0, 2.0]], LIST))
    assert tie.shape == (2, 2)


@pytest.mark.parametrize("dtype", [LIST, pl.Array(pl.Float32, 8)])
def test_vectors_in_memory_are_not_copied(dtype: pl.DataType) -> None:
    cards = pl.DataFrame({"embeddings": plant(50, 8)[0]}).cast({"embeddings": dtype})
    assert np.shares_memory(em.vectors(cards), em.vectors(cards))
    before = cards.clone()
    unit = em.vectors(cards, normalize=True)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)
    assert cards.equals(before)


def test_vectors_of_slices_chunks_lazy_and_other_frames(tmp_path: Path) -> None:
    cards = pl.DataFrame({"id": [str(i) for i in range(50)], "embeddings": plant(50, 8)[0]})
    expected = em.vectors(cards)
    for dtype in (LIST, pl.Array(pl.Float32, 8)):
        typed = cards.cast({"embeddings": dtype})
        chunked = pl.concat([typed.head(20), typed.slice(20)], rechunk=False)
        np.testing.assert_array_equal(em.vectors(chunked), expected)
        np.testing.assert_array_equal(em.vectors(typed.slice(7, 11)), expected[7:18])
        np.testing.assert_array_equal(em.vectors(typed.lazy()), expected)
        np.testing.assert_array_equal(em.vectors(nw.from_native(typed)), expected)
        np.testing.assert_array_equal(em.vectors(typed.to_arrow()), expected)
        typed.write_parquet(tmp_path / "cards.parquet")
        scanned = pl.scan_parquet(tmp_path / "cards.parquet")
        np.testing.assert_array_equal(em.vectors(scanned), expected)


def test_vectors_errors_say_what_is_there() -> None:
    with pytest.raises(MissingColumn, match=r"embeddings"):
        em.vectors(pl.DataFrame({"id": ["a"]}))
    with pytest.raises(NoFigure, match=r"null for 2 of 2"):
        em.vectors(frame_of([None, None], LIST))
    with pytest.raises(NoFigure, match=r"null for 2 of 2"):
        em.vectors(pl.DataFrame({"embeddings": [None, None]}))
    with pytest.raises(NoFigure, match=r"of 4 cards 1 have none, 1 have one of a length.*2 have"):
        em.vectors(frame_of([None, [0.0, 0.0], [0.0, 0.0], [1.0]], LIST))
    with pytest.raises(NoFigure):
        em.vectors(frame_of([[], []], LIST))
    with pytest.raises(CardlabError, match=r"lists of numbers.*String"):
        em.vectors(pl.DataFrame({"embeddings": ["[1, 2]"]}))
    with pytest.raises(CardlabError, match=r"shape \(3,\)"):
        usable([1, 2, 3])


row = st.none() | st.lists(
    st.none() | st.floats(width=32, allow_nan=True, allow_infinity=True), max_size=4
)


@given(st.lists(row, min_size=1, max_size=12))
@settings(max_examples=150, deadline=None)
def test_vectors_keep_each_card_in_its_row(rows: list[list[float | None] | None]) -> None:
    cards = frame_of(rows, LIST)
    try:
        x = em.vectors(cards)
    except NoFigure:
        return
    good = usable(x)
    assert len(x) == len(rows)
    assert np.isnan(x[~good]).all()
    for given_row, kept, found in zip(rows, good, x, strict=True):
        fits = given_row is not None and len(given_row) == x.shape[1]
        values = np.array(given_row, dtype=np.float32) if fits else np.zeros(1, np.float32)
        assert kept == bool(fits and np.isfinite(values).all() and values.any())
        if kept:
            np.testing.assert_array_equal(found, values)


# embed


def test_lsa_brings_cards_of_a_subject_together() -> None:
    cards, topic = talking_cards()
    x = em.embed(cards)
    assert x.dtype == np.float32
    assert len(x) == 60 >= x.shape[1]
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, rtol=1e-5)
    assert adjusted_rand_score(topic, em.cluster(x, n_clusters=3)) == 1
    np.testing.assert_array_equal(x, em.embed(cards.lazy()))
    assert em.embed(cards, n_components=2).shape == (60, 2)


def test_lsa_leaves_cards_without_words_as_nan() -> None:
    cards, _ = talking_cards()
    bare = pl.lit(None, pl.String)
    empty = pl.col("id").is_in(["org/card-001", "org/card-005"])
    cards = cards.with_columns(
        text=pl.when(empty).then(bare).otherwise("text"),
        tags=pl.when(empty).then(pl.lit(["license:mit"])).otherwise("tags"),
    )
    assert np.flatnonzero(~usable(em.embed(cards))).tolist() == [1, 5]


def test_lsa_uses_tags_where_there_is_no_text() -> None:
    cards, topic = talking_cards()
    without = em.embed(cards.drop("text"))
    np.testing.assert_array_equal(without, em.embed(cards.with_columns(text=None)))
    assert adjusted_rand_score(topic, em.cluster(without, n_clusters=3)) == 1
    assert em.embed(cards.drop("tags")).shape[0] == 60
    with pytest.raises(MissingColumn, match=r"text"):
        em.embed(cards.select("id"))


def test_lsa_of_tiny_and_wordless_corpora() -> None:
    for texts in (["a single walrus"], ["walrus"], ["walrus swims"] * 30):
        x = em.embed(pl.DataFrame({"text": texts}))
        assert x.shape == (len(texts), 1)
        assert np.abs(x) == pytest.approx(1)
    for texts in ([""], [None], ["the of 12 <b></b>"]):
        with pytest.raises(NoFigure):
            em.embed(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}))


def test_callable_models_get_batches_and_are_checked() -> None:
    sizes: list[int] = []

    def model(texts: list[str]) -> npt.NDArray[np.float64]:
        sizes.append(len(texts))
        return np.array([[len(text), text.count("speech")] for text in texts], dtype=float)

    cards, _ = talking_cards(600)
    cards = cards.with_columns(
        text=pl.when(pl.col("id") == "org/card-003").then(pl.lit(" \n")).otherwise("text"),
        tags=pl.when(pl.col("id") == "org/card-003").then(None).otherwise("tags"),
    )
    x = em.embed(cards, model=model)
    assert sizes == [256, 256, 87]
    assert np.flatnonzero(~usable(x)).tolist() == [3]
    assert x[0, 1] == 2  # Once in the text, once among the free tags.
    with pytest.raises(CardlabError, match=r"\(256, 2\).*\(255, 2\)"):
        em.embed(cards, model=lambda texts: model(texts)[:255])
    with pytest.raises(CardlabError, match=r"matrix"):
        em.embed(cards, model=lambda texts: np.ones(len(texts)))


def test_markup_code_and_addresses_are_no_words() -> None:
    text = """<!-- comment --> <img src="x.png" alt="alternative"> [anchor](https://e.org/path)
```python
import torch
```
~~~
tilde
~~~
See https://example.org/address and `inline` in org/name or file.json; data:image/png;base64,iVB
@article{key,
  title={Entitled},
}
closing words
```
never closed"""
    stripped = pl.select(prose(pl.lit(text))).item()
    assert re.findall(r"[a-z]{4,}", stripped) == ["anchor", "closing", "words"]


HOSTILE = [
    "\x00\x01\x1b[31mred\x1b[0m control \u202e bidi \ud7ff",
    "x" * 500_000,
    "a b" * 200_000,
    "<" * 50_000,
    "```" * 20_000,
    "](" * 50_000 + "(" * 1_000,
    "<img src=x onerror=alert(1)>" * 1_000,
    "@a{" * 10_000,
    "\u0e01\u0e33 \u4e2d\u6587 \u0130stanbul \U0001f600",
]


def test_hostile_text_breaks_nothing() -> None:
    cards, topic = talking_cards(30)
    bad = pl.DataFrame({"id": [f"bad/{i}" for i in range(len(HOSTILE))], "text": HOSTILE})
    cards = pl.concat([cards, bad], how="diagonal")
    x = em.embed(cards)
    assert usable(x)[:30].all()
    labels = np.concatenate([topic, np.full(len(HOSTILE), 3)])
    keywords = em.cluster_keywords(cards, labels=labels)
    assert keywords["keyword"].str.contains(r"^\p{L}{3,}$").all()
    assert em.cluster_summary(cards, labels=labels, x=x).height == 4


def test_only_the_beginning_of_a_long_text_counts() -> None:
    cards, _ = talking_cards()
    longer = cards.with_columns(text=pl.col("text").str.pad_end(MAX_TEXT, " ") + "unheard")
    np.testing.assert_array_equal(em.embed(longer), em.embed(cards))


# cluster


def test_clusters_are_numbered_by_size_then_first_card() -> None:
    x, topic = plant(600, 16, uneven=1.0)
    labels = em.cluster(x, n_clusters=12)
    sizes = np.bincount(labels)
    assert (np.diff(sizes) <= 0).all()
    assert adjusted_rand_score(topic, labels) >= 0.95
    even = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    assert em.cluster(even, n_clusters=3).tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_clusters_do_not_depend_on_the_order_of_cards() -> None:
    x, _ = plant(400, 128, noise=0.3)
    x[100:150] = x[:50]
    order = np.random.default_rng(1).permutation(len(x))
    straight = em.cluster(x, n_clusters=5)
    assert straight.dtype == np.int32
    np.testing.assert_array_equal(straight, em.cluster(x, n_clusters=5))
    np.testing.assert_array_equal(straight[100:150], straight[:50])
    assert adjusted_rand_score(straight[order], em.cluster(x[order], n_clusters=5)) == 1


def test_unusable_rows_have_no_cluster() -> None:
    x, _ = plant(200, 8, k=3)
    clean = em.cluster(x, n_clusters=3)
    holes = np.insert(x, [0, 50, 200], np.nan, axis=0)
    holes[51] = 0
    labels = em.cluster(holes, n_clusters=3)
    assert np.flatnonzero(labels == -1).tolist() == [0, 51, 202]
    np.testing.assert_array_equal(labels[labels >= 0], clean)


def test_impossible_numbers_of_clusters_are_refused() -> None:
    x = np.repeat(np.eye(4, dtype=np.float32), 5, axis=0)
    with pytest.raises(CardlabError, match=r"n_clusters is 5, but there are only 4 distinct.*20"):
        em.cluster(x, n_clusters=5)
    for wrong in (1, 2.5, True, "many", None):
        with pytest.raises(CardlabError, match=r"n_clusters"):
            em.cluster(x, n_clusters=wrong)  # type: ignore[arg-type]
    with pytest.raises(CardlabError, match=r"method"):
        em.cluster(x, method="dbscan")
    with pytest.raises(CardlabError, match=r"random_state"):
        em.cluster(x, n_clusters=2, random_state=-1)
    with pytest.raises(NoFigure, match=r"2 of 4 are usable"):
        em.cluster([[1, 0], [0, 1], [0, 0], [0, 0]], n_clusters=2)


def test_extreme_vectors_cluster_quietly() -> None:
    x, topic = plant(300, 8, k=3)
    for scale in (1e30, 1e-30):
        scaled = em.cluster(x * np.float32(scale), n_clusters=3)
        assert adjusted_rand_score(topic, scaled) >= 0.95
    assert em.cluster(np.eye(3), n_clusters=2).shape == (3,)


def test_many_cards_cluster_in_batches() -> None:
    x, topic = plant(52_000, 8, noise=0.05)
    labels = em.cluster(x, n_clusters=12)
    assert adjusted_rand_score(topic, labels) >= 0.95
    np.testing.assert_array_equal(labels, em.cluster(x, n_clusters=np.int64(12)))


# keywords and summary


def test_keywords_tell_clusters_apart() -> None:
    cards, topic = talking_cards()
    keywords = em.cluster_keywords(cards, labels=topic, top=3)
    assert keywords.schema == {"cluster": pl.Int32, "keyword": pl.String, "score": pl.Float64}
    for cluster, subject in enumerate(SUBJECTS):
        found = keywords.filter(cluster=cluster)
        assert set(found["keyword"]) == set(subject.split())
    assert keywords.equals(keywords.sort("cluster", -pl.col("score"), "keyword"))


def test_keywords_are_c_tf_idf_by_hand() -> None:
    cards = pl.DataFrame({"text": ["apple apple pear", "pear plum"]})
    keywords = em.cluster_keywords(cards, labels=[0, 1])
    apple = 1 + np.log(2)
    mean = (apple + 1 + 2) / 2
    expected = {
        (0, "apple"): apple / (apple + 1) * np.log(1 + mean / apple),
        (0, "pear"): 1 / (apple + 1) * np.log(1 + mean / 2),
        (1, "plum"): 0.5 * np.log(1 + mean / 1),
        (1, "pear"): 0.5 * np.log(1 + mean / 2),
    }
    found = {(c, word): score for c, word, score in keywords.iter_rows()}
    assert found == pytest.approx(expected)
    assert list(found) == list(expected)


def test_keywords_occur_in_two_cards_of_a_cluster() -> None:
    cards = pl.DataFrame({"text": ["common loner loner"] + ["common walrus"] * 3})
    assert em.cluster_keywords(cards, labels=[0] * 4)["keyword"].to_list() == ["common", "walrus"]
    assert "loner" in em.cluster_keywords(cards, labels=[0, 0, 1, 1])["keyword"].to_list()


def test_summary_describes_each_cluster() -> None:
    cards, topic = talking_cards()
    labels = topic.copy()
    labels[-3:] = -1
    x = np.eye(3, dtype=np.float32)[topic]
    x[0] = [1, 0.5, 0]
    table = em.cluster_summary(cards, labels=labels, x=x)
    assert table["cluster"].to_list() == [0, 1, 2]
    assert table["n_cards"].to_list() == [19, 19, 19]
    assert table["card_share"].to_list() == pytest.approx([1 / 3] * 3)
    for subject, label in zip(SUBJECTS, table["label"], strict=True):
        assert set(label.split(", ")) == set(subject.split())
    assert table["top_tags"].to_list() == [["speech"], ["image"], ["reward"]]
    assert table["top_license"].to_list() == ["a", "b", "a"]
    assert table["example_ids"][0].to_list() == [f"org/card-{i:03d}" for i in (3, 6, 9, 12, 15)]
    assert table["cohesion"][1] == pytest.approx(1)
    assert 0.9 < table["cohesion"][0] < 1


def test_summary_of_bare_cards() -> None:
    cards = pl.DataFrame({"id": ["b", "a", "c"]})
    table = em.cluster_summary(cards, labels=[0, 0, 1])
    assert table.rows() == [
        (0, 2, 2 / 3, None, [], None, [], ["a", "b"], None),
        (1, 1, 1 / 3, None, [], None, [], ["c"], None),
    ]
    cards, topic = talking_cards()
    full = em.cluster_summary(cards, labels=topic, x=np.eye(3)[topic])
    assert table.schema == full.schema
    null = cards.with_columns(text=None, tags=None, license=None)
    assert em.cluster_summary(null, labels=topic)["label"].null_count() == 3


def test_summary_without_some_vectors() -> None:
    cards = pl.DataFrame({"id": ["a", "b", "c"], "license": [["mit", "gpl"], ["mit"], None]})
    x = [[np.nan, np.nan], [1, 0], [np.nan, np.nan]]
    table = em.cluster_summary(cards, labels=[0, 0, 1], x=x)
    assert table["example_ids"].to_list() == [["b", "a"], ["c"]]
    assert table["cohesion"].to_list() == [1, None]
    assert table["top_license"].to_list() == ["mit", None]


def test_wrong_sizes_name_both() -> None:
    cards, topic = talking_cards()
    with pytest.raises(CardlabError, match=r"60 cards.*59"):
        em.cluster_keywords(cards, labels=topic[:59])
    with pytest.raises(CardlabError, match=r"60 cards.*59"):
        em.cluster_summary(cards, labels=topic, x=np.ones((59, 2)))
    with pytest.raises(CardlabError, match=r"whole numbers"):
        em.cluster_summary(cards, labels=topic / 2)
    with pytest.raises(NoFigure, match=r"60 cards"):
        em.cluster_summary(cards, labels=[-1] * 60)
    with pytest.raises(CardlabError, match=r"30 vectors.*29"):
        trustworthiness(np.ones((30, 3)), np.ones((29, 2)))
    with pytest.raises(CardlabError, match=r"tags.*String"):
        em.cluster_summary(pl.DataFrame({"id": ["a"], "tags": ["a;b"]}), labels=[0])


# project


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_project_is_aligned_and_repeats(method: str) -> None:
    x, topic = plant(150, 60, k=3, noise=0.02)
    x[7] = np.nan
    xy = em.project(x, method=method)
    assert xy.shape == (150, 2)
    assert xy.dtype == np.float32
    assert np.flatnonzero(np.isnan(xy).any(axis=1)).tolist() == [7]
    np.testing.assert_array_equal(xy, em.project(x, method=method))
    order = np.random.default_rng(0).permutation(150)
    np.testing.assert_array_equal(xy[order], em.project(x[order], method=method))
    kept = usable(x)
    assert (xy[kept].max(axis=0) >= -xy[kept].min(axis=0)).all()
    assert silhouette_score(xy[kept], topic[kept]) > 0.5
    assert trustworthiness(x, xy) > (0.9 if method == "tsne" else 0.7)


def test_project_of_few_and_flat_vectors() -> None:
    assert em.project(np.eye(3)).shape == (3, 2)
    flat = em.project(np.arange(1, 21, dtype=float)[:, None], method="pca")
    assert (flat[:, 1] == 0).all()
    assert np.unique(flat[:, 0]).size == 20
    assert (em.project(np.ones((5, 3))) == 0).all()
    assert np.isfinite(em.project(np.arange(1, 21, dtype=float)[:, None])).all()
    with pytest.raises(NoFigure):
        em.project(np.zeros((5, 3)))
    with pytest.raises(CardlabError, match=r"tsne.*'pca'"):
        em.project(np.eye(3), method="tsne")
    with pytest.raises(CardlabError, match=r"method"):
        em.project(np.eye(3), method="umap")


def test_trustworthiness_knows_truth_from_chance() -> None:
    x, _ = plant(2500, 2, k=4)
    assert trustworthiness(x, x) == pytest.approx(1)
    chance = np.random.default_rng(0).normal(size=x.shape)
    assert trustworthiness(x, chance) == pytest.approx(0.5, abs=0.05)
    with pytest.raises(NoFigure, match=r"more than 20"):
        trustworthiness(x[:20], x[:20])


# the whole, and the cost of having it


def test_real_cards_from_text_to_labels(real: pl.DataFrame) -> None:
    x = em.embed(real, n_components=64)
    assert usable(x).mean() > 0.95
    np.testing.assert_array_equal(x, em.embed(real, n_components=64))
    labels = em.cluster(x, n_clusters=10)
    np.testing.assert_array_equal(labels >= 0, usable(x))
    table = em.cluster_summary(real, labels=labels, x=x)
    assert table["n_cards"].sum() == usable(x).sum()
    assert table["card_share"].sum() == pytest.approx(1)
    assert table["label"].null_count() == 0
    assert table["cohesion"].is_between(0, 1).all()
    words = [word for label in table["label"] for word in label.split(", ")]
    assert len(words) == len(set(words))
    keywords = em.cluster_keywords(real, labels=labels)
    markup = {"href", "div", "img", "https", "http", "src", "html", "import", "github", "png"}
    assert not markup & set(keywords["keyword"])
    spoken = {"speech", "audio", "sentence", "diffusion", "gguf", "retrieval", "classification"}
    assert len(spoken & set(keywords["keyword"])) >= 4


def test_import_is_cheap() -> None:
    code = (
        "import sys, cardlab.embeddings; "
        "print([m for m in ('sklearn', 'scipy', 'pandas', 'altair') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", done.stdout
