"""The atlas: layers of clusters that come back, on planted data and on real cards."""

from __future__ import annotations

import sys
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from conftest import real_file
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

import cardlab as cl
from cardlab.embeddings import consensus, names
from cardlab.embeddings.consensus import LAYERS, MIN_AUTHORS, MIN_CARDS
from cardlab.embeddings.names import own_words
from cardlab.schema import CardlabError, MissingColumn, NoFigure

Floats = npt.NDArray[np.float32]


def planted(
    n_upper: int, n_lower: int, *, n: int = 1200, seed: int = 0
) -> tuple[pl.DataFrame, Floats, npt.NDArray[Any]]:
    """Cards of 200 authors around centres that themselves lie around centres."""
    rng = np.random.default_rng(seed)
    upper = rng.normal(size=(n_upper, 32)) / np.sqrt(32)
    lower = upper[:, None] + 0.5 * rng.normal(size=(n_upper, n_lower, 32)) / np.sqrt(32)
    topic = rng.integers(n_upper * n_lower, size=n)
    x = lower.reshape(-1, 32)[topic] + 0.08 * rng.normal(size=(n, 32))
    ids = [f"author{i % 200}/card{i}" for i in range(n)]
    return pl.DataFrame({"id": ids}), x.astype(np.float32), topic


def codes(found: cl.Atlas, layer: str) -> npt.NDArray[Any]:
    return found.labels[layer].fill_null(-1).to_numpy()


@pytest.fixture(scope="module")
def seed() -> tuple[pl.DataFrame, Floats]:
    cards = cl.read_cards(real_file("model_cards.seed.parquet"))
    return cards, cl.embed(cards)


@pytest.fixture(scope="module")
def real(seed) -> cl.Atlas:
    return cl.atlas(*seed)


@pytest.mark.parametrize(
    ("n_upper", "n_lower"),
    [
        (4, 5),
        *(pytest.param(*n, marks=pytest.mark.verify) for n in [(4, 3), (3, 4), (5, 5), (6, 8)]),
    ],
)
def test_planted_hierarchies_are_found_at_both_levels(n_upper: int, n_lower: int) -> None:
    cards, x, topic = planted(n_upper, n_lower)
    found = cl.atlas(cards, x)
    fine = [adjusted_rand_score(topic, codes(found, layer)) for layer in LAYERS]
    above = [adjusted_rand_score(topic // n_lower, codes(found, layer)) for layer in LAYERS]
    assert max(fine) >= 0.9
    assert max(above) >= 0.9
    assert above.index(max(above)) < fine.index(max(fine))


@pytest.mark.parametrize(
    "k", [2, 12, *(pytest.param(k, marks=pytest.mark.verify) for k in (3, 4, 5))]
)
def test_planted_clusters_are_found(k: int) -> None:
    rng = np.random.default_rng(1)
    topic = rng.integers(k, size=900)
    x = rng.normal(size=(k, 24))[topic] + 0.4 * rng.normal(size=(900, 24))
    found = cl.atlas(pl.DataFrame({"id": [str(i) for i in range(900)]}), x)
    for layer, least in (("together_30", 0.99), ("together_50", 0.98)):
        assert adjusted_rand_score(topic, codes(found, layer)) >= least


@pytest.mark.parametrize(
    "kind",
    [
        "long",
        *(
            pytest.param(k, marks=pytest.mark.verify)
            for k in ("normal", "sphere", "circle", "cube")
        ),
    ],
)
def test_no_clusters_where_there_are_none(kind: str) -> None:
    rng = np.random.default_rng(3)
    x = rng.uniform(size=(360, 24)) if kind == "cube" else rng.normal(size=(360, 24))
    if kind == "long":
        x *= np.arange(1, 25) ** -1.0
    if kind == "sphere":
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    if kind == "circle":
        x = x[:, :2]
    found = cl.atlas(pl.DataFrame({"id": [str(i) for i in range(360)]}), x)
    assert found.layers.height == found.names.height == found.stability.height == 0
    assert found.labels.columns == ["id", *LAYERS]
    assert all(found.labels[layer].null_count() == 360 for layer in LAYERS)
    assert "no stable clusters" in repr(found)


def test_layers_are_nested_and_described(real: cl.Atlas) -> None:
    assert real.layers["layer"].to_list() == list(LAYERS)
    for above, below in pairwise(LAYERS):
        pairs = real.labels.select(above, below).drop_nulls().unique()
        assert pairs[below].is_unique().all(), (above, below)
        held = real.labels.filter(pl.col(below).is_not_null())
        assert held[above].null_count() == 0
        own = real.names.filter(layer=below).sort("cluster")
        lies = pairs.filter(pl.col(below) == pl.col(below)).sort(below)[above].to_list()
        assert own["parent"].to_list() == lies
    sizes = real.labels.group_by(cluster="together_50").len().drop_nulls()
    told = real.stability.filter(layer="together_50")
    assert dict(told.select("cluster", "n_cards").iter_rows()) == dict(sizes.iter_rows())
    assert (real.stability["n_cards"] >= MIN_CARDS).all()
    assert (real.stability["n_authors"] >= MIN_AUTHORS).all()
    for layer, least in (("together_30", 0.3), ("together_50", 0.5), ("together_70", 0.7)):
        assert (real.stability.filter(layer=layer)["together"] >= least - 0.05).all()
    assert real.stability["comes_back"].is_between(0, 1).all()
    assert real.stability["template_share"].is_between(0, 1).all()
    ids = dict(real.labels.select("id", "together_50").iter_rows())
    assert all(
        ids[card] == cluster
        for cluster, cards in told.select("cluster", "example_ids").iter_rows()
        for card in cards
    )


def test_layers_of_real_cards_follow_their_tasks(seed, real: cl.Atlas) -> None:
    task = seed[0]["pipeline_tag"]
    least = {"together_30": (0.6, 0.97), "together_50": (0.6, 0.9), "together_70": (0.6, 0.75)}
    for layer, (agreement, held) in least.items():
        both = task.is_not_null() & real.labels[layer].is_not_null()
        own = real.labels[layer].filter(both).to_numpy()
        assert adjusted_mutual_info_score(task.filter(both).to_numpy(), own) >= agreement
        row = real.layers.row(by_predicate=pl.col("layer") == layer, named=True)
        assert row["card_share"] >= held
    assert (real.layers["largest_share"] <= 0.25).all()
    assert 8 <= real.layers["n_clusters"][0] <= 15


@pytest.mark.parametrize("n", [700, pytest.param(2577, marks=pytest.mark.verify)])
def test_order_and_seed_have_no_say(seed, n: int) -> None:
    cards, x = (part[:n] for part in seed)
    first = cl.atlas(cards, x)
    assert first.names.height >= 6
    order = np.random.default_rng(3).permutation(n)
    again = cl.atlas(cards[order], x[order], random_state=1)
    for layer in LAYERS:
        assert adjusted_rand_score(codes(first, layer)[order], codes(again, layer)) == 1
    assert again.names.equals(first.names)
    assert again.stability.drop("example_ids").equals(first.stability.drop("example_ids"))


def test_the_last_digit_has_no_say(seed) -> None:
    """Machines differ in it, and in the signs of axes: neither may draw other authors."""
    cards, x = (part[:700] for part in seed)
    rng = np.random.default_rng(4)
    distinct, point = np.unique(x, axis=0, return_inverse=True)
    digits = 1 + 1e-6 * rng.standard_normal(distinct.shape)[point.ravel()]
    other = (x * digits * rng.choice([-1, 1], x.shape[1])).astype(np.float32)
    first, again = cl.atlas(cards, x), cl.atlas(cards, other)
    for layer in LAYERS:
        assert adjusted_rand_score(codes(first, layer), codes(again, layer)) >= 0.99


@pytest.mark.verify
def test_other_draws_of_authors_give_all_but_the_same_layers(seed) -> None:
    """What the runs hold is theirs only in so far as other runs hold it as well."""
    cards, x = seed
    authors = cards["id"].str.split("/").list.first().rank("dense").to_numpy() - 1
    good = np.isfinite(x[:, 0])
    own = np.unique(authors[good], return_inverse=True)[1]
    weights = 1 / np.sqrt(np.bincount(own)[own])
    nodes = consensus.Nodes(consensus.directions(x[good], weights), np.arange(good.sum()), own)
    found = [
        consensus.layers(
            nodes, consensus.together(consensus.runs(nodes, (15, 35), 120, seed=i)), coarse=False
        )
        for i in (5, 6)
    ]
    for layer in ("together_30", "together_50", "together_70"):
        a, b = (consensus.kept(nodes, each[layer]) for each in found)
        both = (a >= 0) & (b >= 0)
        assert adjusted_rand_score(a[both], b[both]) >= 0.8


def test_no_author_decides() -> None:
    cards, x, _ = planted(4, 5, n=800)
    one = np.random.default_rng(0).normal(size=32).astype(np.float32)
    x[:300] = one + 0.02 * np.random.default_rng(1).normal(size=(300, 32))
    cards = cards.with_columns(
        id=pl.when(pl.int_range(pl.len()) < 300).then(pl.format("vendor/{}", "id")).otherwise("id")
    )
    found = cl.atlas(cards, x)
    # 300 cards of one author are no cluster, and leave those of the others as they are
    assert found.labels["together_50"].head(300).null_count() == 300
    rest, others = cl.atlas(cards[300:], x[300:]), codes(found, "together_50")[300:]
    assert adjusted_rand_score(codes(rest, "together_50"), others) >= 0.95


def test_names_are_short_distinct_and_of_the_topic(real: cl.Atlas) -> None:
    for (_,), of_layer in real.names.group_by("layer"):
        assert of_layer["name"].is_unique().all()
    words = real.names["name"].str.replace(":", ",").str.split(",").list.len()
    assert words.max() <= 4
    said = " ".join(real.names.filter(layer="together_50")["name"])
    for subject in ("speech", "diffusion", "similarity", "whisper", "squad"):
        assert subject in said
    assert "needed" not in said
    parents = real.names.select(parent="cluster", above="name", layer="layer")
    for above, below in pairwise(LAYERS):
        own = real.names.filter(layer=below).drop("layer")
        pairs = own.join(parents.filter(layer=above), on="parent")
        other = pairs.filter(pl.col("name") != pl.col("above")).select("name", "above")
        words = [[set(name.replace(":", ",").split(", ")) for name in row] for row in other.rows()]
        assert np.mean([bool(name - above) for name, above in words]) >= 0.9


def test_lines_of_templates_are_told_from_ones_own() -> None:
    template = "More information needed\n## Uses"
    texts = pl.DataFrame(
        {"text": [f"{template}\nabout whale number {i}" for i in range(4)], "tags": [""] * 4}
    )
    own, share = own_words(texts.with_columns(author=pl.int_range(4)), labels=True)
    assert own["text"].to_list() == [f"about whale number {i}" for i in range(4)]
    letters = len(template.replace("\n", ""))
    np.testing.assert_allclose(share, letters / (letters + len("about whale number 0")))
    own, share = own_words(texts.with_columns(author=0), labels=True)  # of one author
    assert own["text"].equals(texts["text"])
    assert not share.any()


def test_vectors_do_not_see_what_many_cards_have_word_for_word() -> None:
    form = "annotations creation dataset curators licensing information supporting leaderboards\n"
    subjects = ["whale ocean fish plankton harbour", "planet orbit comet galaxy telescope"]
    mine = [" ".join(f"{subjects[i % 2]}" for _ in range(4)) + f" number {i}" for i in range(24)]
    # twelve carry the form, of both subjects alike
    texts = [form * 8 * (i < 12) + text for i, text in enumerate(mine)]
    x = cl.embed(pl.DataFrame({"id": [str(i) for i in range(24)], "text": texts}), n_components=4)
    like, subject = x @ x.T, np.arange(24) % 2
    same, carried = subject[:, None] == subject, np.arange(24) < 12
    assert like[same].min() > like[~same].max() + 0.5
    np.testing.assert_allclose(like[0, carried & same[0]], 1, atol=1e-4)
    # a line of one author alone is no template, however many cards have it
    alone = cl.embed(
        pl.DataFrame({"id": [f"a/{i}" for i in range(24)], "text": texts}), n_components=4
    )
    assert (alone @ alone.T)[0, carried].min() > (alone @ alone.T)[0, ~carried].max()
    order = np.random.default_rng(0).permutation(24)
    cards = pl.DataFrame({"id": [str(i) for i in range(24)], "text": texts})
    np.testing.assert_array_equal(cl.embed(cards[order], n_components=4), x[order])
    few = cl.embed(pl.DataFrame({"id": list("abcdef"), "text": [form] * 6}), n_components=2)
    assert np.isfinite(few).all()  # cards of nothing else are read whole


def test_many_cards_are_grouped_by_near_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consensus, "_NODES", 800)
    monkeypatch.setattr(consensus, "_MICRO", 500)
    monkeypatch.setattr(names, "_READ", 1000)
    cards, x, topic = planted(5, 5, n=1500)
    found = cl.atlas(cards, x)
    assert adjusted_rand_score(topic, codes(found, "together_50")) >= 0.95
    order = np.random.default_rng(0).permutation(1500)
    again = cl.atlas(cards[order], x[order])
    assert adjusted_rand_score(codes(found, "coarse")[order], codes(again, "coarse")) == 1


def test_vectors_are_taken_or_made(tmp_path) -> None:
    cards = cl.make_cards(60)
    given = cl.atlas(cards)
    np.testing.assert_array_equal(given.vectors, cl.vectors(cards))
    np.save(tmp_path / "x.npy", given.vectors)
    assert cl.atlas(cards.drop("embeddings"), tmp_path / "x.npy").labels.equals(given.labels)
    made = cl.atlas(cards.drop("embeddings"))
    np.testing.assert_allclose(
        made.vectors, cl.embed(cards.sort("id"))[cards["id"].arg_sort().arg_sort()], atol=1e-6
    )
    points = given.map
    assert points.columns[-4:] == list(LAYERS)
    assert points.height == 60
    drawn = cl.plot_map(points, layers=list(LAYERS))
    assert "60 cards" in drawn.subtitle[0]


def test_what_cannot_be_an_atlas() -> None:
    cards = cl.make_cards(30)
    with pytest.raises(MissingColumn, match="id"):
        cl.atlas(cards.drop("id"))
    with pytest.raises(CardlabError, match=r"vectors.*30 cards.*29"):
        cl.atlas(cards, np.ones((29, 3)))
    with pytest.raises(NoFigure, match=r"usable"):
        cl.atlas(cards, np.full((30, 3), np.nan))
    few = cl.atlas(cards.head(12))
    assert "no stable clusters" in repr(few)


def test_word_vectors_in_a_folder_embed_cards(tmp_path, monkeypatch) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "model2vec"}')
    cards = pl.DataFrame({"id": ["a", "b"], "text": ["whale", "moon"], "tags": [["sea"], None]})
    monkeypatch.setitem(sys.modules, "model2vec", None)
    with pytest.raises(CardlabError, match=r"cardlab\[embed\]"):
        cl.embed(cards, model=tmp_path)
    heard: list[str] = []

    class StaticModel:
        @classmethod
        def from_pretrained(cls, folder: str) -> StaticModel:
            assert folder == str(tmp_path.resolve())
            return cls()

        def encode(self, texts: list[str]) -> Floats:
            heard.extend(texts)
            return np.array([[len(text), 1] for text in texts], dtype=np.float32)

    monkeypatch.setitem(sys.modules, "model2vec", SimpleNamespace(StaticModel=StaticModel))
    x = cl.embed(cards, model=tmp_path)
    assert x.shape == (2, 2)
    assert "sea" in " ".join(heard)
