"""Search by words and by meaning: scores by hand, snippets, hostile queries and cards."""

from __future__ import annotations

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
    # Words of id, text and free tags together; `unspeechable` is another word.
    often = {"a/one": (2, 11), "c/three": (1, 8), "d/four": (1, 3)}
    mean = (11 + 7 + 8 + 3 + 3) / 5
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
    assert found.row(0, named=True)["snippet"] == "Speech to text in German. Speech is hard."
    assert len(found.row(0, named=True)["hits"]) == 3
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
    with pytest.raises(CardlabError, match=r"x needs the model"):
        em.search(CARDS, "images", x=x)
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
