"""Front matter and columns that go wrong, each with the value that is right."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from conftest import real_file

import cardlab as cl
from cardlab import frontmatter

NEW_YEAR = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def card(tmp_path):
    """Write one card with the given front matter, and give its folder."""

    def write(front: str, body: str = "# T\n\nhello\n") -> Path:
        root = tmp_path / f"cards{len(list(tmp_path.iterdir()))}"
        (root / "o" / "a").mkdir(parents=True)
        (root / "o" / "a" / "README.md").write_text(f"---\n{front}\n---\n{body}")
        return root

    return write


def row(source: Any, at: int = 0) -> dict[str, Any]:
    return cl.read_cards(source).row(at, named=True)


def listed(source: Any) -> list[tuple[str, str]]:
    found = cl.problems(cl.read_cards(source))
    return list(found.select("column", "problem").iter_rows())


@pytest.mark.parametrize(
    ("value", "right"),
    [
        (NEW_YEAR, NEW_YEAR),
        (dt.datetime(2024, 1, 1), NEW_YEAR),
        (dt.datetime(2024, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))), NEW_YEAR),
        (dt.date(2024, 1, 1), NEW_YEAR),
        (pd.Timestamp("2024-01-01"), NEW_YEAR),
        (pd.NaT, None),
        (None, None),
    ],
)
def test_F09_dates_that_are_objects(value, right):
    source = [{"id": "o/a", "createdAt": value, "lastModified": "2024-01-01"}]
    assert row(source)["created_at"] == right
    assert listed(source) == []
    mixed = pd.DataFrame({"id": ["o/a", "o/b"], "createdAt": [value, "2024-01-01"]}, dtype=object)
    assert row(mixed)["created_at"] == right
    assert row(mixed, 1)["created_at"] == NEW_YEAR
    assert listed(mixed) == []


def test_F10_a_null_among_structs_of_front_matter():
    frame = pl.DataFrame({"id": ["o/a", "o/b"], "cardData": [{"license": "mit"}, None]})
    for source in (frame, frame.to_arrow(), frame.to_dicts(), frame.to_pandas()):
        cards = cl.read_cards(source)
        assert (
            cards["metadata"].to_list() == ['{"license":"mit"}', None]
            or cards["metadata"][1] is None
        )
        assert cards["license"].to_list()[0] == ["mit"]
        assert set(listed(source)) <= {("metadata", "null_metadata")}
        assert cl.read_cards(source, on_error="raise").height == 2


@pytest.mark.parametrize(
    ("front", "column", "right"),
    [
        ("license: {name: mit}", "license", []),
        ("tags: [{task: translation}, pytorch]", "tags", ["pytorch"]),
        ("language: [{en: English}]", "languages", []),
        ("base_model: [{model: org/base}]", "base_model", []),
        ("datasets: [{name: squad}]", "datasets", []),
        ("datasets: [{name: squad}, glue]", "datasets", ["glue"]),
        ("library_name: {name: keras}", "library_name", None),
        ("pipeline_tag: {task: translation}", "pipeline_tag", None),
    ],
)
def test_F16_mappings_in_front_matter_are_listed(card, front, column, right):
    source = card(front)
    assert row(source)[column] == right
    assert (column, "bad_value") in listed(source)


@pytest.mark.parametrize(
    ("front", "column", "right"),
    [
        ("license: [[mit, apache-2.0]]", "license", ["mit", "apache-2.0"]),
        ("language: [[en, [de]]]", "languages", ["en", "de"]),
        ("datasets: [[squad]]", "datasets", ["squad"]),
        ("pipeline_tag: [translation]", "pipeline_tag", "translation"),
    ],
)
def test_F16_lists_in_lists_are_read(card, front, column, right):
    source = card(front)
    assert row(source)[column] == right
    assert listed(source) == []


@pytest.mark.parametrize(
    ("front", "column", "right"),
    [
        ("licenses: [mit]", "license", ["mit"]),
        ("licence: mit", "license", ["mit"]),
        ("License: mit", "license", ["mit"]),
        ("LICENSE: mit", "license", ["mit"]),
        ("languages: [en]", "languages", ["en"]),
        ("Language: en", "languages", ["en"]),
        ("dataset: squad", "datasets", ["squad"]),
        ("base-model: o/b", "base_model", ["o/b"]),
        ("pipeline-tag: translation", "pipeline_tag", "translation"),
    ],
)
def test_F18_other_spellings_of_keys(card, front, column, right):
    source = card(front)
    assert row(source)[column] == right
    assert listed(source) == [(column, "key_alias")]


def test_F20_derived_tags_of_licences_are_in_lower_case(card):
    assert row(card("license: MIT"))["tags"] == ["license:mit"]
    cards = cl.read_cards([card("license: MIT"), card("license: mit")])
    counts = cl.tag_counts(cards)
    assert counts.select("tag", "n_cards").rows() == [("license:mit", 2)]


@pytest.mark.parametrize(
    ("body", "right"),
    [
        ("```bibtex\n@misc{a, eprint={2110.12201}, archivePrefix={arXiv}}\n```\n", ["2110.12201"]),
        ("https://huggingface.co/papers/2106.09685", ["2106.09685"]),
        ("[paper](https://hf.co/papers/2106.09685)", ["2106.09685"]),
        ("https://arxiv.org/abs/1706.03762v5 and arxiv.org/pdf/1706.03762.pdf", ["1706.03762"]),
        ("version 2110.12201 of the code", []),
        ("https://huggingface.co/o/model-2106.09685", []),
    ],
)
def test_F21_papers_as_the_hub_takes_them(card, body, right):
    assert row(card("license: mit", f"# T\n\n{body}\n"))["arxiv"] == right


@pytest.mark.parametrize("own", [["none"], [["slow"]], [1], [{"a": 1}]])
def test_F29_a_column_of_the_source_named_problems(own):
    cards = cl.read_cards(pl.DataFrame({"id": ["o/a"], "problems": own}))
    assert cl.problems(cards).height == 0
    assert cards["source_problems"].to_list() == own


def test_F30_null_values_fall_back_row_by_row():
    source = [
        {"id": "o/a", "author": None, "license": None, "tags": ["license:mit"], "downloads": 5},
        {"id": "p/b", "author": "x", "license": "gpl-3.0", "tags": ["license:gpl-3.0"]},
    ]
    cards = cl.read_cards(source)
    assert cards["author"].to_list() == ["o", "x"]
    assert cards["license"].to_list() == [["mit"], ["gpl-3.0"]]
    assert cl.concentration(cards, column="downloads").height == 1
    front = {"library_name": "keras", "language": "en", "datasets": ["squad"]}
    front["pipeline_tag"] = "translation"
    nothing = dict.fromkeys(("library_name", "languages", "datasets", "pipeline_tag"))
    read = row([{"id": "o/a", "cardData": front, **nothing}])
    assert read["library_name"] == "keras"
    assert read["languages"] == ["en"]
    assert read["datasets"] == ["squad"]
    assert read["pipeline_tag"] == "translation"


def test_F31_text_that_holds_its_front_matter():
    text = "---\nlicense: mit\nlanguage: en\n---\n# T\n\nhello\n"
    source = [{"id": "o/a", "text": text}, {"id": "o/b", "text": "---\na rule first\n---\nbody"}]
    cards = cl.read_cards(source)
    assert cards["license"].to_list()[0] == ["mit"]
    assert cards["languages"].to_list()[0] == ["en"]
    assert cards["text"].to_list() == ["# T\n\nhello\n", "---\na rule first\n---\nbody"]
    lengths = cl.with_text_lengths(cards.head(1))
    assert lengths.select("n_words", "n_sections").row(0) == (3, 1)
    assert len(cl.sections(cards["text"][0])) == 1


def test_F31_bodies_of_real_cards_stay_as_they_are():
    file = real_file("model_cards.seed.parquet")
    raw = pl.read_parquet(file, columns=["text"])["text"]
    assert cl.read_cards(file)["text"].equals(raw)


def test_F34_blank_tags_are_none():
    source = [{"id": "o/a", "tags": ["", " ", "\t\n", "\u00a0", "x", None]}]
    assert row(source)["tags"] == ["x"]
    assert cl.tag_counts(cl.read_cards(source))["tag"].to_list() == ["x"]
    assert row([{"id": "o/a", "tags": "x; ;;y"}])["tags"] == ["x", "y"]


def test_S06_keys_of_one_hash_take_as_long_as_others():
    def seconds(step: int) -> float:
        n = 20_000
        block = "\n".join(f"{i * step}: x" for i in range(n))
        best = []
        for _ in range(3):
            begun = time.process_time()
            read = frontmatter.read_card(f"---\n{block}\n---\nbody")
            best.append(time.process_time() - begun)
        assert read.metadata is None or len(read.metadata) == n
        return min(best)

    # the integers i * (2**61 - 1) all have the hash 0: a dict of them takes seconds
    one_hash, many = seconds(2**61 - 1), seconds(2**60 - 1)
    assert one_hash < 3 * many


@pytest.mark.parametrize("tags", [["license:apache-2.0"], ["license:Apache-2.0"]])
def test_N10_licences_that_differ_in_writing_only(tags):
    def told(front: str) -> tuple[list[str], list[str]]:
        card = {"id": "o/a", "card": f"---\nlicense: {front}\n---\n# T\n", "tags": tags}
        cards = cl.read_cards([card])
        found = cl.problems(cards).filter(problem="tags_disagree")
        return found["id"].to_list(), cl.license_conflicts(cards)["id"].to_list()

    assert told("Apache 2.0") == ([], [])
    assert told("mit") == (["o/a"], ["o/a"])


def test_N10_one_definition_on_real_cards():
    cards = cl.read_cards(real_file("hub_2022_cards.librarian.parquet"))
    found = cl.problems(cards).filter(problem="tags_disagree")["id"].to_list()
    conflicts = cl.license_conflicts(cards).filter(kind="tags_disagree")["id"].to_list()
    assert sorted(found) == sorted(conflicts)


def test_U02_front_matter_is_parsed_once(monkeypatch):
    parsed = []
    read = frontmatter.read_block
    monkeypatch.setattr(
        frontmatter, "read_block", lambda *a, **k: parsed.append(1) or read(*a, **k)
    )
    raw = pl.read_parquet(real_file("model_cards.librarian.parquet"), columns=["modelId", "card"])
    cards = cl.scan_cards(raw.head(300).with_columns(pl.col("card") + "\n<!-- once -->"))
    first = cl.language_counts(cards)
    n_first = len(parsed)
    assert n_first > 0
    assert cl.language_counts(cards).equals(first)
    cl.license_counts(cards)
    assert len(parsed) == n_first


def test_U10_one_canonical_column_of_several():
    dates = {"last_modified": ["2024-01-01", None], "lastModified": [None, "2024-02-01"]}
    cards = cl.read_cards(pl.DataFrame({"id": ["o/a", "o/b"], **dates}))
    assert cards.columns == ["id", "author", "last_modified", "problems"]
    assert cards["last_modified"].dt.month().to_list() == [1, 2]


def test_U10_a_column_of_nulls_in_one_shard(tmp_path):
    pl.DataFrame({"id": ["o/a"], "lastModified": [None], "tags": [None]}).write_parquet(
        tmp_path / "a.parquet"
    )
    pl.DataFrame({"id": ["o/b"], "last_modified": ["2024-02-01"], "tags": [["x"]]}).write_parquet(
        tmp_path / "b.parquet"
    )
    (tmp_path / "c").mkdir()
    cards = cl.read_cards(tmp_path).sort("id")
    assert [name for name in cards.columns if "odified" in name] == ["last_modified"]
    assert cards["tags"].to_list() == [None, ["x"]]


def test_S12_text_license_in_problems():
    frame = pl.DataFrame({"id": ["o/a", "o/b", "o/c"], "license": ["mit", "my own terms!", None]})
    found = cl.problems(frame)
    assert found.select("id", "problem").rows() == [("o/b", "not_a_license")]


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("downloads", -5, "bad_value"),
        ("likes", 2.5, "bad_value"),
        ("downloads", "many", "bad_value"),
        ("downloads", 2.0**70, "bad_value"),
        ("createdAt", "0001-01-01", "implausible_date"),
        ("createdAt", "9999-12-31", "implausible_date"),
        ("createdAt", "yesterday", "bad_date"),
        ("id", "", "no_id"),
        ("id", "  ", "no_id"),
    ],
)
def test_values_that_cannot_be_are_listed(column, value, kind):
    source = [{"id": "o/a", column: value}, {"id": "o/b"}]
    assert kind in [problem for _, problem in listed(source)]
    assert cl.read_cards(source).height == 2
