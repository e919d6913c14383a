"""Search by words and by meaning: scores by hand, snippets, hostile queries and cards."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from conftest import real_file
from hypothesis import given, settings
from hypothesis import strategies as st

import cardlab as em
from cardlab.embeddings.embed import spoken
from cardlab.embeddings.lsa import lsa
from cardlab.embeddings.search import query_words, snippet
from cardlab.schema import CardlabError, MissingColumn

CARDS = pl.DataFrame(
    {
        "id": ["a/one", "b/two", "c/three", "d/four", "e/five"],
        "text": [
            "Speech to text in German. Speech is hard.",
            "A card about images.",
            "# Title\n\nspeech_recognition for GERMAN\tradio",
            None,
            "unspeechable",
        ],
        "tags": [["audio", "license:mit"], ["vision"], [], ["speech"], None],
    }
)


def test_scores_are_bm25_by_hand() -> None:
    found = em.search(CARDS, "speech")
    assert found.columns == ["id", "score", "snippet", "hits"]
    # Words of the text, and three times those of id and free tags; `unspeechable` is another word.
    often = {"a/one": (2, 8 + 9), "c/three": (1, 6 + 6), "d/four": (3, 9)}
    mean = (17 + (4 + 9) + 12 + 9 + (1 + 6)) / 5
    weight = np.log(1 + (5 - 3 + 0.5) / (3 + 0.5))
    expected = {
        name: weight * n * 2.2 / (n + 1.2 * (0.25 + 0.75 * length / mean))
        for name, (n, length) in often.items()
    }
    assert dict(found.select("id", "score").iter_rows()) == pytest.approx(expected)
    assert found["id"].to_list() == sorted(expected, key=lambda name: -expected[name])


def test_snippets_and_hits() -> None:
    found = em.search(CARDS, "German speech")
    for row in found.iter_rows(named=True):
        for hit in row["hits"]:
            assert row["snippet"][hit["start"] : hit["end"]].lower() in ("german", "speech")
    assert dict(found.select("id", "snippet").iter_rows())["d/four"] == ""
    (one,) = found.filter(pl.col("id") == "a/one").iter_rows(named=True)
    assert one["snippet"] == "Speech to text in German. Speech is hard."
    assert len(one["hits"]) == 3
    far = "x " * 5_000 + "alpha " + "y " * 5_000 + "the alpha beta <b>gamma</b>" + " z" * 5_000
    text, hits = snippet(far, ["alpha", "beta", "gamma"])
    assert len(hits) == 3
    assert len(text) <= 240
    assert text.startswith("… ")
    assert "<b>gamma</b>" in text


def test_the_same_from_lazy_other_frames_and_any_order(tmp_path: Path) -> None:
    CARDS.write_parquet(tmp_path / "cards.parquet")
    expected = em.search(CARDS, "speech german vision")
    assert expected.equals(
        em.search(pl.scan_parquet(tmp_path / "cards.parquet"), "vision German speech")
    )
    assert expected.equals(em.search(nw.from_native(CARDS), "speech german vision"))
    assert expected.equals(em.search(CARDS.reverse(), "speech german vision"))
    assert em.search(CARDS, "speech german vision", top=2).equals(expected.head(2))
    ties = pl.DataFrame({"id": ["b/x", "a/x"], "text": ["owl", "owl"]})
    assert em.search(ties, "owl")["id"].to_list() == ["a/x", "b/x"]
    assert em.search(CARDS.drop("text"), "speech")["id"].to_list() == ["d/four"]
    assert em.search(CARDS.drop("tags"), "vision").height == 0
    assert em.search(CARDS, "nowhere").schema == expected.schema
    assert em.search(CARDS.head(0), "nowhere").height == 0


def test_words_of_scripts_without_blanks_are_found_inside() -> None:
    cards = pl.DataFrame({"id": ["a"], "text": ["这是一个中文模型。"]})
    row = em.search(cards, "中文").row(0, named=True)
    assert [row["snippet"][h["start"] : h["end"]] for h in row["hits"]] == ["中文"]


def test_queries_that_are_none_are_refused() -> None:
    for query in ("", "  \n", None, 7):
        with pytest.raises(CardlabError, match=r"query must be a string of words"):
            em.search(CARDS, query)  # type: ignore[arg-type]
    with pytest.raises(CardlabError, match=r"at most 1,000 characters, not 1,000,000"):
        em.search(CARDS, "x" * 1_000_000)
    with pytest.raises(CardlabError, match=r"'\.\*\(\[' has no letter"):
        em.search(CARDS, ".*([")
    with pytest.raises(MissingColumn, match=r"'id'"):
        em.search(CARDS.drop("id"), "speech")
    with pytest.raises(MissingColumn, match=r"text"):
        em.search(CARDS.select("id"), "speech")


@given(st.text(min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_any_query_ends_in_cards_or_in_a_reason(query: str) -> None:
    cards = pl.DataFrame(
        {"id": ["a"], "text": [f"before {query} after".encode("utf-8", "replace").decode()]}
    )
    try:
        found = em.search(cards, query)
    except CardlabError:
        assert not query_words(query)
        return
    assert found.height == 1


def test_snippets_of_hostile_cards_are_quiet() -> None:
    texts = [
        "\x1b[31m speech\x1b[0m \u202e\x00 <script>alert(1)</script>",
        "speech " * 100_000,
        "x" * 600_000 + " speech",
        "\n" * 50_000 + "speech",
        "\u0130" * 100 + " SPEECH",
    ]
    cards = pl.DataFrame({"id": [str(i) for i in range(len(texts))], "text": texts})
    found = em.search(cards, "speech")
    assert found.height == len(texts)
    for row in found.iter_rows(named=True):
        assert len(row["snippet"]) <= 240
        assert not set(row["snippet"]) & set("\x1b\x00\u202e\n")
        assert row["hits"]
        for hit in row["hits"]:
            assert row["snippet"][hit["start"] : hit["end"]].lower() == "speech"


def count_letters(texts: list[str]) -> npt.NDArray[np.float64]:
    return np.array([[text.lower().count(c) for c in "aegimnst"] for text in texts], dtype=float)


def test_search_by_meaning() -> None:
    x = em.embed(CARDS, model=count_letters)
    found = em.search(CARDS, "images about a card", model=count_letters, x=x)
    assert found.row(0, named=True)["id"] == "b/two"
    assert found.row(0, named=True)["snippet"] == "A card about images."
    assert found["score"].is_between(-1, 1).all()
    nearest = em.neighbors(x, ids=CARDS["id"], query=count_letters(["images about a card"]))
    assert nearest["id"].to_list() == found["id"].to_list()
    with pytest.raises(CardlabError, match=r"needs the vectors"):
        em.search(CARDS, "images", model=count_letters)
    with pytest.raises(CardlabError, match=r"vectors of 8 numbers and x has 3"):
        em.search(CARDS, "images", model=count_letters, x=x[:, :3])
    with pytest.raises(CardlabError, match=r"each of the 5 cards.*it has 2"):
        em.search(CARDS, "images", model=count_letters, x=x[:2])
    with pytest.raises(CardlabError, match=r"leave out x"):
        em.search(CARDS, "images", model="lsa", x=x)


def test_lsa_lays_a_query_among_the_cards() -> None:
    words = ["speech audio voice", "image pixel camera", "reward agent policy"]
    cards = pl.DataFrame(
        {"id": [f"{i:02d}" for i in range(30)], "text": [f"The {words[i % 3]}." for i in range(30)]}
    )
    found = em.search(cards, "a camera", model="lsa", top=10)
    assert found["id"].to_list() == [f"{i:02d}" for i in range(1, 30, 3)]
    assert em.search(cards, "walrus", model="lsa").height == 0


def test_real_cards_are_found() -> None:
    cards = pl.scan_parquet(real_file("model_cards.seed.parquet"))
    found = em.search(cards, "German BERT named entity", top=10)
    assert "german" in found["id"][0].lower()
    whole = cards.select("id", "text").collect()
    plain = {
        name
        for name, text in whole.filter(pl.col("text").str.contains("(?i)speecht5")).iter_rows()
        if "SpeechT5" in text
    }
    assert plain <= set(em.search(cards, "SpeechT5", top=2_000)["id"])


def test_a_damaged_source_is_named(tmp_path: Path) -> None:
    file = tmp_path / "cards.parquet"
    pl.concat([CARDS] * 2_000).write_parquet(file, compression="uncompressed")
    broken = bytearray(file.read_bytes())
    broken[200:6_000] = b"\xff" * 5_800
    file.write_bytes(broken)
    with pytest.raises(CardlabError, match=r"could not be read to the end"):
        em.search(pl.scan_parquet(file), "speech")


# words and vectors together, and what names a card


def test_tags_tasks_and_libraries_are_words_that_count_more() -> None:
    cards = pl.DataFrame(
        {
            "id": ["a/one", "b/two", "c/three", "d/four", "e/five"],
            "text": ["speech recognition", *["much else of some length here"] * 4],
            "tags": [[], ["task_categories:speech-recognition"], ["license:speech"], [], []],
            "pipeline_tag": [None, None, None, "automatic-speech-recognition", None],
            "library_name": [None, None, None, None, "Speech_Brain"],
        }
    )
    found = em.search(cards, "speech recognition")
    assert found["id"].to_list() == ["b/two", "d/four", "a/one", "e/five"]
    assert em.search(cards.drop("pipeline_tag", "library_name"), "brain").height == 0


def test_cards_like_the_best_are_found_without_the_words() -> None:
    cards = pl.DataFrame({"id": list("abcdef"), "text": ["owl owl", "owl", *["bird"] * 3, None]})
    x = np.array([[1, 0], [0.9, 0.1], [0, 1], [1, 0.05], [-1, 0], [np.nan, 0]])
    found = em.search(cards, "owl", x=x)
    # by words a, b; by their vectors d, which lies between them; c and e are unlike them
    assert found["id"].to_list() == ["a", "b", "d", "c", "e"]
    ranks = {"a": (1, 2), "b": (2, 3), "d": (None, 1), "c": (None, 4), "e": (None, 5)}
    expected = {
        name: (1 / (10 + words) if words else 0) + 0.15 / (10 + vectors)
        for name, (words, vectors) in ranks.items()
    }
    assert dict(found.select("id", "score").iter_rows()) == pytest.approx(expected)
    assert em.search(cards, "wren", x=x).height == 0
    unknown = em.search(cards, "owl", x=np.full((6, 2), np.nan))
    assert unknown["id"].to_list() == ["a", "b"]
    order = [3, 5, 1, 0, 4, 2]
    assert found.equals(em.search(cards[order], "owl", x=x[order]))
    with pytest.raises(CardlabError, match=r"each of the 6 cards.*it has 2"):
        em.search(cards, "owl", x=x[:2])


def plain_bm25(ids: list[str], words: list[Counter[str]], query: str) -> list[str]:
    """BM25 over words that all count alike."""
    length = np.array([each.total() for each in words])
    score = np.zeros(len(words))
    for word in query_words(query):
        often = np.array([each[word] for each in words])
        n = (often > 0).sum()
        weight = np.log1p((len(words) - n + 0.5) / (n + 0.5))
        score += weight * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * length / length.mean()))
    return [ids[i] for i in np.lexsort((np.array(ids), -score)) if score[i] > 0]


def judged(found: list[str], answers: list[str]) -> tuple[float, float]:
    """The reciprocal rank of the first answer, and the share of answers among the first five."""
    good = [any(fnmatch(name, answer) for answer in answers) for name in found[:50]]
    return 1 / (1 + good.index(True)) if True in good else 0.0, sum(good[:5]) / 5


@pytest.mark.verify
def test_thirty_judged_queries_are_answered_better_than_by_words_or_vectors_alone() -> None:
    searches = tomllib.loads((Path(__file__).parent / "judged_searches.toml").read_text("utf-8"))
    scores: dict[str, list[tuple[float, float]]] = {}
    by_corpus = itertools.groupby(searches["search"], key=lambda search: search["corpus"])
    for corpus, asked in by_corpus:
        cards = em.read_cards(real_file(corpus))
        ids = cards["id"].to_list()
        tags = pl.col("tags").list.join(" ").fill_null("")
        said = cards.select(pl.concat_str("id", pl.col("text").fill_null(""), tags, separator=" "))
        words = [Counter(re.findall(r"[^\W_]+", text.lower())) for text in said.to_series()]
        x, fold_in = lsa(spoken(cards), 128, 0)
        for search in asked:
            query = search["query"]
            found = {
                "plain words": plain_bm25(ids, words, query),
                "words": em.search(cards, query, top=50)["id"].to_list(),
                "vectors": em.neighbors(x, ids=ids, query=fold_in([query]), top=50)["id"].to_list(),
                "both": em.search(cards, query, x=x, top=50)["id"].to_list(),
            }
            for way, best in found.items():
                scores.setdefault(way, []).append(judged(best, search["answers"]))
                scores.setdefault(f"{corpus}: {way}", []).append(scores[way][-1])
    mean = {way: np.mean(found, axis=0).round(3) for way, found in scores.items()}
    print("".join(f"\n{way}: rank {a:.3f}, five {b:.3f}" for way, (a, b) in mean.items()))
    assert len(scores["both"]) == 30
    assert (mean["both"] > mean["plain words"]).all()
    assert (mean["both"] > mean["vectors"] + 0.1).all()
    assert (mean["both"] >= mean["words"]).all()
