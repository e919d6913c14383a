"""Declared licences beyond the keywords: the tables of patterns, the problems, the names."""

from __future__ import annotations

import duckdb
import polars as pl
import pytest
from conftest import real_file
from hypothesis import given, settings
from hypothesis import strategies as st

import cardlab as cl
from cardlab.licenses.counts import with_licenses
from cardlab.licenses.problems import license_problems
from cardlab.licenses.reading import (
    CLASSES,
    LONGEST,
    keywords,
    patterns,
    read_license,
    rows_of,
    spdx,
    squeeze,
)
from cardlab.schema import CardlabError, MissingColumn

TABLES = ("license_spellings", "license_urls", "license_families")
FILES = [
    "model_cards.seed.parquet",
    "models_radar_2026.parquet",
    "models_frameworks_2026.parquet",
    "dataset_cards.librarian.parquet",
    "sampled_cards_2024.seed.parquet",
    "models_vendors_2026.parquet",
    "models_meta_2023.jsonl",
]
REASONS = {
    *("keyword", "case", "SPDX id", "spelling", "address", "expression", "family"),
    *("no licence", "free text", "empty"),
}

words = st.sampled_from(
    [row["example"] for table in TABLES for row in rows_of(table)]
    + [row["name"] for row in rows_of("licenses")]
    + ["MIT", "gpl v3", "AND", "or", "with", "(", ")", ",", "/", "license", "research", "nc", "+"]
)
texts = st.one_of(
    st.text(max_size=30),
    words,
    st.lists(words, max_size=4).map(" ".join),
    st.lists(st.sampled_from("abcmit-_. /&()+019v"), max_size=20).map("".join),
)


def frame(**columns):
    schema = {"license": pl.List(pl.String), "license_name": pl.String, "license_link": pl.String}
    return pl.DataFrame(columns, schema_overrides={name: schema.get(name) for name in columns})


@pytest.mark.parametrize("table", TABLES)
def test_no_row_of_a_table_is_dead_or_shadowed(table):
    rows = patterns(table)
    assert len({pattern.pattern for pattern, _ in rows}) == len(rows)
    for _, row in rows:
        assert None not in row and all(row.values())
        found = read_license(row["example"])
        said = f"{row['name']}: {row['reason']}" if "name" in row else row["reason"]
        assert found.detail == said
        if "license_class" in row:
            assert found.license_class == row["license_class"]
            assert row["license_class"] in CLASSES[1:]
        else:
            assert found.license_class != "unknown"


def test_squeezed_forms_are_of_one_licence():
    known = {}
    for key, found in spdx()[0].items():
        assert known.setdefault(squeeze(key), found.name) == found.name
    for row in rows_of("licenses"):
        titles = {row["name"]} if "*" not in row["name"] else set()
        for text in ({row["keyword"], row["spdx"]} | titles) - {""}:
            assert read_license(text)[:2] == read_license(row["keyword"])[:2]


@given(texts)
@settings(deadline=None, max_examples=400)
def test_reading_never_raises_and_settles(text):
    found = read_license(text)
    assert found.license_class in CLASSES[1:]
    assert found.reason in REASONS
    assert found.detail
    again = read_license(found.name)[:2]
    assert again == (found.name, found.license_class)
    if found.license_class == "unknown" and found.name not in keywords():
        assert found.name == text
    else:
        assert read_license(f" \t{text}\n")[:2] == again


@given(texts.filter(str.isascii))
@settings(deadline=None, max_examples=200)
def test_case_makes_no_difference(text):
    found = read_license(text)
    for other in (text.upper(), text.lower(), text.swapcase()):
        again = read_license(other)
        assert again.license_class == found.license_class
        if found.license_class != "unknown":
            assert again.name == found.name


@pytest.mark.parametrize(
    "unit",
    ["mit ", "a-", "-", "(", "mit and ", "https://a/", "cc-by-nc-", "1.", " ", "license-", "\x00"],
)
def test_long_strings_are_not_searched(unit):
    text = f"x{unit * (2**20 // len(unit))}x"
    assert read_license(text).reason == "free text"
    assert read_license(text)[:2] == (text, "unknown")
    longest = (unit * LONGEST)[: LONGEST - 1]
    assert read_license(f"x{longest}").license_class in CLASSES


def test_blanks_around_a_name_do_not_make_it_long():
    assert read_license(" " * 2**20 + "mit")[:2] == ("MIT", "permissive")


@pytest.mark.parametrize("name", FILES)
def test_every_value_of_real_cards_is_known_or_listed(name):
    cards = cl.scan_cards(str(real_file(name))).select("id", "license", "tags").collect()
    declared = {value for row in cards["license"] for value in (row if row is not None else [])}
    prefix = "license:"
    tagged = {
        tag.removeprefix(prefix)
        for row in cards["tags"]
        for tag in (row if row is not None else [])
        if tag.startswith(prefix)
    }
    assert declared
    for column, values in (("license", declared), ("tags", tagged)):
        listed = license_problems(cards, column=column)
        rows = {row["value"]: row for row in listed.iter_rows(named=True)}
        classified = {value for value in keywords() if read_license(value)[1] != "unknown"}
        assert set(rows) == values - classified
        for value, row in rows.items():
            assert row["reason"] in REASONS and row["detail"]
            assert (row["license"], row["license_class"]) == read_license(value)[:2]


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("models_radar_2026.parquet", 0.01),
        ("models_frameworks_2026.parquet", 0.01),
        ("model_cards.seed.parquet", 0.01),
    ],
)
def test_the_share_of_unknown_licences_among_those_declared(name, most):
    classes = cl.license_counts(cl.scan_cards(str(real_file(name))), classes=True)
    n_cards = dict(classes.select("license_class", "n_cards").iter_rows())
    n_declared = sum(n_cards.values()) - n_cards["undeclared"]
    assert 0 < n_cards["unknown"] / n_declared < most


def test_unknown_licences_of_radar_are_mostly_declared_unknown():
    listed = license_problems(cl.scan_cards(str(real_file("models_radar_2026.parquet"))))
    unknown = listed.filter(license_class="unknown")
    assert unknown.row(0)[0] == "unknown"
    assert unknown["n_cards"][0] > unknown["n_cards"].sum() / 2


def test_problems_by_hand():
    cards = frame(license=[["MIT", "mit"], ["MIT", "own words"], ["cc", "mit"], None, []])
    found = license_problems(cards)
    assert found.columns == [
        *("value", "license", "license_class", "n_cards", "card_share", "reason", "detail"),
        "source",
    ]
    assert found.drop("detail", "source").rows() == [
        ("MIT", "MIT", "permissive", 2, 2 / 5, "case"),
        ("cc", "cc", "unknown", 1, 1 / 5, "keyword"),
        ("own words", "own words", "unknown", 1, 1 / 5, "free text"),
    ]
    assert found["source"].to_list() == ["https://spdx.org/licenses/MIT.html", None, None]
    table = duckdb.connect().from_arrow(cards.to_arrow())
    assert license_problems(table).equals(found)
    assert license_problems(frame(license=[["mit"], None])).is_empty()
    assert license_problems(frame(license=[])).schema == found.schema


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (" MIT", "case"),
        ("CC_BY 4.0", "case"),
        ("MIT-0", "SPDX id"),
        ("odc-by-1.0", "SPDX id"),
        ("MIT License", "spelling"),
        ("https://opensource.org/licenses/MIT", "address"),
        ("https://example.org", "address"),
        ("mit or apache-2.0", "expression"),
        ("lfm1.0", "family"),
        ("N/A", "no licence"),
        ("", "empty"),
        ("x" * 500, "free text"),
    ],
)
def test_reasons(value, reason):
    assert license_problems(frame(license=[[value]]))["reason"].to_list() == [reason]


def test_problems_of_tags():
    tags = pl.DataFrame({"tags": [["license:MIT", "x"], ["license:mit"], None, ["MIT"]]})
    found = license_problems(tags, column="tags")
    assert found.select("value", "n_cards", "card_share").rows() == [("MIT", 1, 1 / 4)]
    table = duckdb.connect().from_arrow(tags.to_arrow())
    assert license_problems(table, column="tags").equals(found)
    joined = license_problems(pl.DataFrame({"tags": ["license:MIT", None]}), column="tags")
    assert joined["value"].to_list() == ["MIT"]
    with pytest.raises(MissingColumn, match="'license'"):
        license_problems(tags)
    with pytest.raises(CardlabError, match="column must be one of"):
        license_problems(tags, column="text")


FRONT = [
    (["other"], '{"license_name": "llama3.1", "license_link": "LICENSE"}'),
    (["Other", "mit"], '{"license_name": ["qwen-research", "x"]}'),
    (["other"], '{"license_name": "own words"}'),
    (["other"], '{"license_name": "x", "license_link": "https://opensource.org/licenses/MIT"}'),
    (["mit"], '{"license_name": "llama3.1"}'),
    (None, '{"license_name": "llama3.1"}'),
    ([], '{"license_name": {"a": 1}, "license_link": ""}'),
    (["own"], '{"license_name": null}'),
    (["other"], None),
    (["other"], "{"),
    (["other"], "[" * 10_000),
    ([None], '{"license_name": 3}'),
]


def fronts():
    license_, metadata = zip(*FRONT, strict=True)
    return pl.DataFrame(
        {"license": license_, "metadata": metadata}, schema_overrides={"metadata": pl.String}
    )


def test_names_beside_other():
    cards = fronts()
    named = with_licenses(cards, names=True)
    added = ["license_name", "license_link", "license_spdx", "license_class"]
    assert named.columns == ["license", "metadata", *added]
    assert named.drop(added).equals(cards)
    mit = "https://opensource.org/licenses/MIT"
    names = ["llama3.1", "qwen-research", "own words", "x", None, "llama3.1", *[None] * 5, "3"]
    assert named["license_name"].to_list() == names
    assert named["license_link"].to_list() == ["LICENSE", None, None, mit, *[None] * 8]
    assert with_licenses(cards.lazy(), names=True).collect().equals(named)
    assert with_licenses(named, names=True).equals(named)
    found = cl.with_licenses(named)
    assert found["license"].equals(cards["license"])
    assert found["license_spdx"].to_list() == [
        *(["llama3.1"], ["qwen-research", "MIT"], ["other"], ["MIT"], ["MIT"]),
        *(None, [], ["own"], ["other"], ["other"], ["other"], []),
    ]
    assert found["license_class"].to_list()[:4] == [
        *("model-specific", "non-commercial", "custom", "permissive")
    ]
    plain = cl.with_licenses(cards)["license_spdx"].to_list()
    assert plain[:2] == [["other"], ["other", "MIT"]]


def test_counts_use_the_names_where_they_are_given():
    named = with_licenses(fronts(), names=True).drop("metadata").with_columns(group=pl.lit("a"))
    counts = dict(cl.license_counts(named).select("license", "n_cards").iter_rows())
    assert counts == {"MIT": 3, "other": 4, "llama3.1": 1, "qwen-research": 1, "own": 1}
    raw = dict(cl.license_counts(named, raw=True).select("license", "n_cards").iter_rows())
    assert raw == {"other": 6, "Other": 1, "mit": 2, "own": 1}
    classes = cl.with_licenses(named)["license_class"].value_counts()
    assert dict(
        cl.license_counts(named, classes=True).select("license_class", "n_cards").iter_rows()
    ) == dict(classes.iter_rows())
    table = duckdb.connect().from_arrow(named.to_arrow())
    assert cl.license_counts(table, by="group").equals(cl.license_counts(named, by="group"))
    assert cl.license_counts(table, by="group", classes=True).equals(
        cl.license_counts(named.lazy(), by="group", classes=True)
    )
    assert license_problems(named, column="license_name")["value"].to_list() == [
        *("3", "own words", "qwen-research", "x")
    ]


def test_counting_reads_no_metadata(tmp_path):
    fronts().with_columns(id=pl.lit("a")).write_parquet(tmp_path / "cards.parquet")
    cards = cl.scan_cards(str(tmp_path / "cards.parquet"))
    assert "license_name" not in cl.with_licenses(cards).collect_schema()
    source = pl.scan_parquet(tmp_path / "cards.parquet")
    assert "metadata" not in cl.with_licenses(source.drop("id")).select("license_class").explain()


def test_errors_of_the_names():
    with pytest.raises(MissingColumn, match="'metadata'"):
        with_licenses(frame(license=[["mit"]]), names=True)
    with pytest.raises(CardlabError, match="'metadata' is"):
        with_licenses(frame(license=[["mit"]]).with_columns(metadata=1), names=True)
    with pytest.raises(CardlabError, match="'license_name' is"):
        cl.with_licenses(frame(license=[["other"]]).with_columns(license_name=1))


def test_names_of_real_cards():
    cards = cl.scan_cards(str(real_file("model_cards.seed.parquet")))
    named = with_licenses(cards, names=True).select("id", "license", "license_name", "license_link")
    named = named.collect()
    others = named.filter(pl.col("license").list.contains("other"))
    # the few licences beside `other` that are not named stay as they are
    assert others["license_name"].null_count() < others.height
    before = cl.license_counts(cards, classes=True).filter(license_class="custom")["n_cards"][0]
    after = cl.license_counts(named, classes=True).filter(license_class="custom")["n_cards"][0]
    assert after < 0.6 * before
    unknown = license_problems(named, column="license_name").filter(license_class="unknown")
    assert unknown["value"].to_list() == ["license"]
