"""The synthetic corpus: its schema, and that what is planted can be found with plain means."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections import Counter
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import normalize

from cardlab.sample import _columns, _prose
from cardlab.sample._columns import DATE_FLOOR, DOUBLING_WEEKS, LAST_DATE, PLANTED_PAIRS
from cardlab.sample._prose import WRITTEN_TOPICS, topics, word_series
from cardlab.sample.make import card_blocks, make_cards

STRINGS = pl.List(pl.String)
WHEN = pl.Datetime("us", "UTC")
TEXT_COLUMNS = [
    "text", "tags_str", "text_str", "text_lists", "processed_texts", "tokens_length",
    "input_texts",
]  # fmt: skip


def schema(dim: int) -> dict[str, pl.DataType | type[pl.DataType]]:
    return {
        "sha": pl.String,
        "last_modified": WHEN,
        "library_name": pl.String,
        "text": pl.String,
        "metadata": pl.String,
        "pipeline_tag": pl.String,
        "id": pl.String,
        "tags": STRINGS,
        "created_at": WHEN,
        "arxiv": STRINGS,
        "languages": STRINGS,
        "tags_str": pl.String,
        "text_str": pl.String,
        "text_lists": STRINGS,
        "processed_texts": STRINGS,
        "tokens_length": pl.List(pl.Int64),
        "input_texts": STRINGS,
        "embeddings": pl.Array(pl.Float32, dim),
        "author": pl.String,
        "downloads": pl.Int64,
        "likes": pl.Int64,
        "license": STRINGS,
        "base_model": STRINGS,
        "datasets": STRINGS,
        "topic": pl.Int32,
        "family": pl.Int32,
    }


@pytest.fixture(scope="module")
def cards() -> pl.DataFrame:
    return make_cards(4000)


@pytest.fixture(scope="module")
def many() -> pl.DataFrame:
    return make_cards(40_000, text=False, embedding_dim=0)


def vectors(frame: pl.DataFrame) -> np.ndarray:
    return frame["embeddings"].to_numpy()


# --- shape, arguments, determinism ---------------------------------------------------------


@pytest.mark.parametrize("n_cards", [0, 1, 2, 5, 49, 50, 300])
def test_schema_at_any_size(n_cards: int) -> None:
    frame = make_cards(n_cards, embedding_dim=8)
    assert dict(frame.schema) == schema(8)
    assert list(frame.columns) == list(schema(8))
    assert frame.height == n_cards
    assert frame["id"].n_unique() == n_cards


@settings(max_examples=15, deadline=None, database=None)
@given(
    n_cards=st.integers(0, 120),
    n_topics=st.integers(1, 40),
    dim=st.integers(0, 20),
    text=st.booleans(),
    seed=st.integers(0, 2**40),
)
def test_any_arguments(n_cards: int, n_topics: int, dim: int, text: bool, seed: int) -> None:
    frame = make_cards(n_cards, n_topics=n_topics, embedding_dim=dim, text=text, random_state=seed)
    assert frame.height == n_cards
    assert ("embeddings" in frame.columns) == (dim > 0)
    assert ("text" in frame.columns) == text
    assert frame["topic"].is_between(0, n_topics - 1).all()


def test_one_card_without_library_or_task() -> None:
    frames = [make_cards(1, n_topics=1, embedding_dim=0, random_state=seed) for seed in range(40)]
    assert any(f["library_name"][0] is None and f["pipeline_tag"][0] is None for f in frames)


def test_same_arguments_same_frame() -> None:
    assert_frame_equal(make_cards(300), make_cards(300))
    other = make_cards(300, random_state=1)
    first = make_cards(300)
    for column in ("id", "sha", "tags", "text", "created_at", "downloads", "embeddings"):
        assert first[column].to_list() != other[column].to_list(), column


def test_cards_in_blocks_are_the_same(monkeypatch):
    whole = make_cards(700, embedding_dim=0)
    monkeypatch.setattr(_columns, "BLOCK", 345)  # the hostile cards stand in two of the blocks
    blocks = list(card_blocks(700, embedding_dim=0))
    assert [block.height for block in blocks] == [345, 345, 10]
    assert_frame_equal(pl.concat(blocks), whole)


# Of each column of `make_cards(700, n_topics=14)`, which has every kind of hostile card.
DIGESTS = {
    "sha": "e20a7261", "last_modified": "c1aa1f2d", "library_name": "de4c8107",
    "text": "f095f859", "metadata": "2b9429e0", "pipeline_tag": "1f753b94", "id": "805af0bf",
    "tags": "4f1e4e3a", "created_at": "1068864f", "arxiv": "1e0d24eb", "languages": "fcfdaa19",
    "tags_str": "c5f86f98", "text_str": "da10ee93", "text_lists": "4c583482",
    "processed_texts": "991fbe0f", "tokens_length": "1110328d", "input_texts": "64e552ca",
    "author": "1e003731", "downloads": "71606fc0", "likes": "ace2d7a2", "license": "aac21357",
    "base_model": "b87eaa11", "datasets": "5ca62ab0", "topic": "cf16721a", "family": "f330280a",
}  # fmt: skip


def test_the_corpus_of_a_seed_stays_what_it_is() -> None:
    """Figures in notebooks and documents are those of this corpus: changing it is a decision."""
    frame = make_cards(700, n_topics=14)
    vectors = frame["embeddings"].to_numpy()[[0, 350, 699], :2]
    expected = [[0.181, -0.081], [-0.0757, 0.0517], [-0.0198, -0.0697]]
    assert vectors == pytest.approx(np.array(expected), abs=1e-4)
    frame = frame.drop("embeddings")
    found = {c.name: hashlib.sha256(repr(c.to_list()).encode()).hexdigest()[:8] for c in frame}
    assert found == DIGESTS


def test_leaving_out_text_or_vectors_changes_nothing_else() -> None:
    full = make_cards(700)
    assert_frame_equal(make_cards(700, text=False), full.drop(TEXT_COLUMNS))
    assert_frame_equal(make_cards(700, embedding_dim=0), full.drop("embeddings"))


def test_numpy_numbers_are_taken() -> None:
    assert_frame_equal(make_cards(np.int64(10), embedding_dim=2), make_cards(10, embedding_dim=2))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_cards": -1}, ValueError, "n_cards must be 0 or more, not -1"),
        ({"n_cards": 1.5}, TypeError, "n_cards must be an int of 0 or more, not 1.5"),
        ({"n_cards": True}, TypeError, "n_cards must be an int"),
        ({"n_topics": 0}, ValueError, "n_topics must be 1 or more, not 0"),
        ({"embedding_dim": -64}, ValueError, "embedding_dim must be 0 or more"),
        ({"embedding_dim": "64"}, TypeError, "embedding_dim must be an int"),
        ({"random_state": None}, TypeError, "random_state must be an int of 0 or more, not None"),
        ({"random_state": -3}, ValueError, "random_state must be 0 or more"),
        ({"text": "no"}, TypeError, "text must be True or False, not 'no'"),
    ],
)
def test_wrong_arguments(
    arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make_cards(**arguments)


def test_docstring_names_every_column() -> None:
    doc = inspect.getdoc(make_cards) or ""
    assert [column for column in schema(8) if f"`{column}`" not in doc] == []


# --- topics ---------------------------------------------------------------------------------


def test_topic_shares(many: pl.DataFrame) -> None:
    shares = many["topic"].value_counts(normalize=True).sort("proportion")["proportion"]
    assert len(shares) == 12
    assert shares[0] > 0.02
    assert shares[-1] > 3 * shares[0]


@pytest.mark.parametrize("dim", [64, 768])
def test_kmeans_recovers_topics(dim: int) -> None:
    frame = make_cards(5000, embedding_dim=dim, text=False)
    x = vectors(frame)
    assert np.allclose(np.linalg.norm(x, axis=1), 1, atol=1e-5)
    labels = KMeans(12, n_init=3, random_state=0).fit_predict(x)
    assert adjusted_rand_score(frame["topic"], labels) >= 0.95


def test_some_cards_lie_between_clusters() -> None:
    frame = make_cards(3000, text=False)
    x, topic = vectors(frame), frame["topic"].to_numpy()
    centres = normalize(np.stack([x[topic == t].mean(axis=0) for t in range(12)]))
    best = np.sort(x @ centres.T, axis=1)
    assert 0.003 < np.mean(best[:, -1] - best[:, -2] < 0.25) < 0.06


def test_words_of_topics_cluster(cards: pl.DataFrame) -> None:
    written = cards.filter(pl.col("text").str.len_chars() > 200)
    tfidf = TfidfVectorizer(max_features=2500, sublinear_tf=True, max_df=0.3)
    x = normalize(
        TruncatedSVD(24, random_state=0).fit_transform(tfidf.fit_transform(written["text"]))
    )
    labels = KMeans(12, n_init=3, random_state=0).fit_predict(x)
    assert adjusted_rand_score(written["topic"], labels) > 0.6


def test_tasks_and_libraries_follow_topics(many: pl.DataFrame) -> None:
    tasks = many.drop_nulls("pipeline_tag").group_by("topic").agg(pl.col("pipeline_tag").n_unique())
    assert tasks["pipeline_tag"].to_list() == [1] * 12
    for number, topic in enumerate(WRITTEN_TOPICS):
        libraries = many.filter(pl.col("topic") == number)["library_name"].drop_nulls()
        assert (libraries == topic.library).mean() > 0.8


def test_licences_depend_on_topics(many: pl.DataFrame) -> None:
    declared = many.explode("license").drop_nulls("license")
    table = declared.pivot("license", index="topic", values="id", aggregate_function="len")
    counts = table.drop("topic").fill_null(0).to_numpy()
    expected = counts.sum(1, keepdims=True) * counts.sum(0) / counts.sum()
    cramer = np.sqrt(((counts - expected) ** 2 / expected).sum() / counts.sum() / 11)
    assert cramer > 0.15


def test_written_topics_are_apart() -> None:
    tags = [tag for topic in WRITTEN_TOPICS for tag in topic.tags]
    assert len(tags) == len(set(tags)) == 120
    assert {len(topic.tags) for topic in topics(30)} == {10}
    own = [set(topic.nouns) for topic in WRITTEN_TOPICS]
    assert max(len(a & b) for a, b in combinations(own, 2)) <= 2
    background = set(word_series(np.arange(262_144), n_syllables=3))
    assert len(background) == 262_144
    pairs = {tag for pair in PLANTED_PAIRS for tag in pair}
    models = {kind for topic in WRITTEN_TOPICS for kind in topic.model_types}
    assert not (background & (set(tags) | pairs | models))


# --- tags -----------------------------------------------------------------------------------


def free_tags(frame: pl.DataFrame) -> list[list[str]]:
    return [json.loads(text or "{}").get("tags", []) for text in frame["metadata"]]


def npmi_of_pairs(rows: list[list[str]], min_cards: int = 5) -> list[tuple[float, tuple[str, str]]]:
    n = len(rows)
    single = Counter(tag for row in rows for tag in set(row))
    frequent = {tag for tag, count in single.items() if count >= min_cards}
    pairs = Counter(p for row in rows for p in combinations(sorted(set(row) & frequent), 2))
    scored = [
        (math.log(c * n / single[a] / single[b]) / -math.log(c / n), (a, b))
        for (a, b), c in pairs.items()
    ]
    return sorted(scored, reverse=True)


@pytest.mark.parametrize(("n_cards", "seed"), [(2000, 0), (2000, 1), (2000, 2), (20_000, 0)])
def test_planted_pairs_are_the_strongest(n_cards: int, seed: int) -> None:
    frame = make_cards(n_cards, text=False, embedding_dim=0, random_state=seed)
    scored = npmi_of_pairs(free_tags(frame))
    assert {pair for _, pair in scored[:8]} == set(PLANTED_PAIRS)
    assert scored[7][0] > 0.93
    assert scored[8][0] < scored[7][0]


def test_topic_tags_are_communities(many: pl.DataFrame) -> None:
    of = {tag: number for number, topic in enumerate(WRITTEN_TOPICS) for tag in topic.tags}
    pairs = [pair for pair in npmi_of_pairs(free_tags(many)) if set(pair[1]) <= set(of)]
    assert len(pairs) == 12 * 45
    assert all(of[a] == of[b] and score > 0.1 for score, (a, b) in pairs)


def test_background_tags_are_without_structure(many: pl.DataFrame) -> None:
    common = {tag for pair in PLANTED_PAIRS for tag in pair} | {"generated_from_trainer"}
    known = common | {tag.lower().replace("_", "-") for t in WRITTEN_TOPICS for tag in t.tags}
    rows = [
        [t for t in row if t.lower().replace("_", "-") not in known and t not in known]
        for row in free_tags(many)
    ]
    single = Counter(tag for row in rows for tag in row)
    top = [tag for tag, _ in single.most_common(30)]
    assert single[top[0]] > 5 * single.most_common(400)[-1][1]
    pairs = Counter(p for row in rows for p in combinations(sorted(set(row) & set(top)), 2))
    n = many["metadata"].str.contains(":").sum()
    expected = {(a, b): single[a] * single[b] / n for a, b in combinations(sorted(top), 2)}
    deviation = [(pairs[p] - e) / math.sqrt(e) for p, e in expected.items()]
    assert abs(np.mean(deviation)) < 0.35
    assert 0.7 < np.std(deviation) < 1.3


def test_vocabulary_grows() -> None:
    sizes = [
        make_cards(n, text=False, embedding_dim=0)["tags"].explode().n_unique()
        for n in (2000, 10_000, 50_000)
    ]
    assert 2 < sizes[1] / sizes[0] < 5
    assert 2 < sizes[2] / sizes[1] < 5


def test_tags_in_the_hubs_order(cards: pl.DataFrame) -> None:
    regular = cards.filter(pl.col("author").ne_missing("mallory"))
    assert (regular["tags"].list.len() == regular["tags"].list.n_unique()).all()
    assert 8 < regular["tags"].list.len().mean() < 11
    order = ["dataset:", "arxiv:", "base_model:", "license:", "region:"]
    for row in regular.iter_rows(named=True):
        tags = row["tags"]
        if not tags:
            assert row["library_name"] is None
            assert row["pipeline_tag"] is None
            continue
        assert tags[-1] == "region:us"
        kinds = [order.index(p) for tag in tags for p in order if tag.startswith(p)]
        assert kinds == sorted(kinds)
        if row["library_name"]:
            assert tags[0] == row["library_name"]
        own = [f"license:{x}" for x in row["license"] or []]
        own += [f"dataset:{x}" for x in row["datasets"] or []]
        own += [f"arxiv:{x}" for x in row["arxiv"]] + (row["languages"] or [])
        own += [f"base_model:{x}" for x in row["base_model"] or []]
        assert set(own) <= set(tags)
        typed = [t for t in tags if t.startswith("base_model:")]
        assert len(typed) == 2 * len(row["base_model"] or [])


def test_lists_of_strings() -> None:
    words = pl.Series(["a", "b", "c"])
    a = _prose.lists_of_pairs(np.array([2, 0, 0, 2]), np.array([1, 0, 1, 1]), 4, words)
    b = _prose.lists_of_rows(np.array([[-1, 2], [0, 1], [-1, -1], [2, -1]]), words)
    assert a.to_list() == [["a", "b"], [], ["b"], []]
    both = [b, a.list.eval("+" + pl.element())]
    every = np.ones(4, dtype=bool)
    assert _prose.joined(both, every).to_list() == [["c", "+a", "+b"], ["a", "b"], ["+b"], ["c"]]
    kept = _prose.joined(both, np.array([True, False, False, True]))
    assert kept.to_list() == [["c", "+a", "+b"], [], [], ["c"]]
    none = _prose.lists_of_pairs(np.zeros(0, int), np.zeros(0, int), 2, words)
    assert none.to_list() == [[], []]
    assert none.dtype == STRINGS


# --- what cards declare ---------------------------------------------------------------------


def test_shares_of_declarations(many: pl.DataFrame) -> None:
    none = {
        c: float((many[c].list.len().fill_null(0) == 0).mean()) for c in ("license", "languages")
    }
    assert 0.27 < none["license"] < 0.33
    assert 0.5 < none["languages"] < 0.6
    declared = many["license"].explode().drop_nulls()
    share = dict(declared.value_counts(normalize=True).iter_rows())
    assert 0.33 < share["apache-2.0"] < 0.45
    assert 0.15 < share["mit"] < 0.25
    assert {
        "MIT",
        "other",
        "creativeml-openrail-m",
        "cc-by-nc-4.0",
        "llama2",
        "llama3",
        "openrail",
        "gemma",
    } <= set(share)
    assert (many["license"].list.len() == 2).any()
    assert any(" " in name for name in share)
    assert 0.37 < many["library_name"].null_count() / many.height < 0.44
    assert 0.31 < many["pipeline_tag"].null_count() / many.height < 0.39
    assert 0.07 < (many["metadata"] == "{}").mean() < 0.12
    assert 0.005 < (many["tags"].list.len() == 0).mean() < 0.015


def test_languages(many: pl.DataFrame) -> None:
    values = Counter(many["languages"].explode().drop_nulls())
    declaring = int((many["languages"].list.len() > 0).sum())
    assert values["en"] / declaring > 0.55
    assert {"no", "eng", "jp", "EN", "multilingual"} <= set(values)
    crowd = many.filter(pl.col("languages").list.len() >= 10)["languages"].list.len()
    assert 0.002 < len(crowd) / many.height < 0.02
    assert crowd.max() > 60


def test_metadata_says_what_the_columns_say(cards: pl.DataFrame) -> None:
    forms: dict[str, set[type]] = {"language": set(), "license": set(), "base_model": set()}
    norwegian = 0
    for row in cards.filter(pl.col("author").ne_missing("mallory")).iter_rows(named=True):
        if row["metadata"] is None:
            assert [row[c] for c in ("languages", "license", "base_model", "datasets")] == [
                None
            ] * 4
            continue
        data = json.loads(row["metadata"])
        for key, column in (("language", "languages"), ("license", "license"),
                            ("base_model", "base_model"), ("datasets", "datasets")):  # fmt: skip
            value = data.get(key, [])
            if key in data and key in forms:
                forms[key].add(type(value))
            listed = value if isinstance(value, list) else [value]
            norwegian += listed.count(False)
            assert ["no" if v is False else v for v in listed] == row[column]
        assert set(data.get("tags", [])) <= set(row["tags"])
    assert norwegian > 0
    assert forms["language"] >= {str, list}
    assert forms["license"] >= {str, list}
    assert 0 < cards["metadata"].null_count() < 30


def test_lineage_points_to_older_cards(many: pl.DataFrame) -> None:
    child = many.explode("base_model").drop_nulls("base_model")
    assert 0.2 < child.height / many.height < 0.3
    both = child.join(many, left_on="base_model", right_on="id", suffix="_parent")
    assert both.height == child.height
    assert (both["created_at"] >= both["created_at_parent"]).all()
    assert (both["topic"] == both["topic_parent"]).all()


# --- growth and popularity ------------------------------------------------------------------


def test_growth(many: pl.DataFrame) -> None:
    created = many["created_at"]
    assert created.min() == DATE_FLOOR
    assert created.max() <= LAST_DATE
    assert many["last_modified"].max() <= LAST_DATE
    assert (many["last_modified"] >= created).all()
    assert 0.05 < (created == DATE_FLOOR).mean() < 0.07
    weeks = (created.sort() - DATE_FLOOR).dt.total_seconds().to_numpy() / (7 * 86_400)
    total = np.arange(1, len(weeks) + 1)
    later = weeks > 0
    rate = np.polyfit(weeks[later], np.log(total[later]), 1)[0]
    assert math.log(2) / rate == pytest.approx(DOUBLING_WEEKS, rel=0.05)


def test_topics_rise_and_fall(many: pl.DataFrame) -> None:
    middle = many["created_at"].median()
    late = many.filter(pl.col("created_at") > middle)
    for topic in range(12):
        now = (late["topic"] == topic).mean()
        ever = (many["topic"] == topic).mean()
        assert (now > ever) == (topic % 2 == 0)


def test_popularity(many: pl.DataFrame) -> None:
    downloads = many["downloads"].sort(descending=True)
    assert 0.25 < (downloads == 0).mean() < 0.4
    assert downloads[: many.height // 100].sum() / downloads.sum() > 0.4
    logs = np.log1p(many.select("downloads", "likes").to_numpy())
    assert np.corrcoef(logs.T)[0, 1] > 0.3
    authors = many["author"].drop_nulls().value_counts(sort=True)["count"]
    assert authors[0] > 100 * authors.median()
    whole = many["author"].fill_null("") + "/"
    assert many["id"].str.starts_with(whole).sum() + many["author"].null_count() == many.height
    assert many["sha"].str.contains("^[0-9a-f]{40}$").all()


# --- text -----------------------------------------------------------------------------------


def test_lengths(cards: pl.DataFrame) -> None:
    n_chars = cards["text"].str.len_chars()
    assert 1200 < n_chars.median() < 1900
    assert 6000 < n_chars.quantile(0.95) < 10_000
    assert 0.004 < (cards["text"].str.strip_chars() == "").mean() < 0.02


@pytest.mark.parametrize(
    ("pattern", "least"),
    [
        (r"\[More Information Needed\]", 0.1),
        (r"TODO", 0.01),
        (r"(?m)^```python$", 0.2),
        (r"(?m)^\|", 0.2),
        (r"\[paper\]\(https://arxiv.org/abs/", 0.02),
        (r"!\[\S+\]\(data:image", 0.005),
        (r"!\[\S+\]\(images/", 0.005),
        (r"(?m)^=+$", 0.05),
        (r"(?m)^### ", 0.5),
        (r"\p{Han}", 0.004),
        (r"\p{Cyrillic}", 0.001),
        (r"\p{Arabic}", 0.001),
        (r"Cada ", 0.001),
    ],
)
def test_shapes_of_markdown(cards: pl.DataFrame, pattern: str, least: float) -> None:
    assert cards["text"].str.contains(pattern).mean() >= least


def test_families_share_one_text_and_nearly_one_vector(cards: pl.DataFrame) -> None:
    member = cards.drop_nulls("family")
    assert 0.12 < member.height / cards.height < 0.18
    families = member.group_by("family").agg(
        pl.len(), pl.col("text", "topic").n_unique(), first=pl.col("text").first()
    )
    assert families["len"].min() >= 2
    assert (families["text"] == 1).all()
    assert (families["topic"] == 1).all()
    assert families["first"].n_unique() == families.height
    for group in member.partition_by("family")[:20]:
        x = vectors(group)
        assert (x @ x.T).min() > 0.98


def test_no_other_text_occurs_twice() -> None:
    frame = make_cards(2500, embedding_dim=0, random_state=7).filter(
        pl.col("text").str.strip_chars() != ""
    )
    other = frame.filter(pl.col("family").is_null())["text"]
    assert other.n_unique() == len(other)
    shared = set(frame.drop_nulls("family")["text"])
    assert not shared & set(other)


def test_derived_columns(cards: pl.DataFrame) -> None:
    for row in cards.head(400).iter_rows(named=True):
        tags = " ".join("#" + tag.replace(":", "-") for tag in row["tags"])
        assert row["tags_str"] == "TAGS\n" + tags
        assert row["processed_texts"] == [row["tags_str"] + " \n", *row["text_lists"]]
        assert all(part.startswith("#") for part in row["text_lists"])
        assert len(row["tokens_length"]) == len(row["processed_texts"])
        assert all(text.startswith("passage: ") for text in row["input_texts"])
        joined = "".join(text.removeprefix("passage: ") for text in row["input_texts"])
        assert joined == "".join(row["processed_texts"])
        assert "```" not in row["text_str"]


# --- hostile strings and small corpora ------------------------------------------------------


def test_hostile_cards(cards: pl.DataFrame) -> None:
    hostile = cards.filter(pl.col("id").str.starts_with("mallory/"))
    assert hostile.height == 14
    assert cards.tail(14)["id"].to_list() == hostile["id"].to_list()
    assert (hostile["author"] == "mallory").all()
    assert hostile["family"].null_count() == 14
    everything = (
        "\n".join(text for column in ("id", "text") for text in hostile[column])
        + "\n".join(hostile["tags"].explode())
        + "\n".join(hostile["license"].explode())
    )
    for needle in (
        "</script><script>window.__pwned=1</script>",
        '<img src=x onerror="window.__pwned=1">',
        "javascript:",
        "\x1b]0;",
        "\x1b[2J",
        "\u202e",
        "\x9b",
        "<meta http-equiv=refresh",
        "<!--",
        "![pixel](https://",
        "datum['",
        "one, two, three",
    ):
        assert needle in everything
    assert "\x00" not in "".join(cards["text"]) + everything
    assert hostile["tags"].list.len().max() == 400
    assert hostile["tags"].explode().str.len_chars().max() == 300
    for text in hostile["metadata"]:
        json.loads(text)


@pytest.mark.parametrize(("n_cards", "least"), [(0, 0), (49, 0), (50, 1), (300, 6), (2000, 14)])
def test_hostile_in_proportion(n_cards: int, least: int) -> None:
    frame = make_cards(n_cards, text=False, embedding_dim=0)
    assert int(frame["id"].str.starts_with("mallory/").sum()) == least


def test_file_of_the_bundled_corpus_is_small(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "cards.parquet"
    frame = make_cards()
    frame.write_parquet(path)
    assert path.stat().st_size < 6_000_000
    assert_frame_equal(pl.read_parquet(path), frame)
