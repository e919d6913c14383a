"""Licences that contradict each other: by hand, against plain Python, and on real cards."""

from __future__ import annotations

import json

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cardlab as cl
from cardlab.licenses.problems import ORDERED, license_conflicts
from cardlab.licenses.reading import CLASSES, read_license
from cardlab.schema import CardlabError, MissingColumn

SCHEMA = {
    "id": pl.String,
    "license": pl.List(pl.String),
    "base_model": pl.List(pl.String),
    "metadata": pl.String,
    "tags": pl.List(pl.String),
}


def graph(rows):
    return pl.DataFrame(rows, schema=list(SCHEMA.items())[:3], orient="row")


def tagged(rows):
    schema = [(name, SCHEMA[name]) for name in ("id", "metadata", "tags")]
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_the_order_is_that_of_the_classes():
    assert [name for name in CLASSES if name in ORDERED] == list(ORDERED)
    assert set(CLASSES) - set(ORDERED) == {"undeclared", "unknown", "custom"}


def test_a_child_that_asks_for_less_than_its_parent():
    cards = graph(
        [
            ("base", ["llama2"], []),
            ("free", ["MIT"], ["base"]),
            ("same", ["llama3"], ["base"]),
            ("more", ["cc-by-nc-4.0"], ["base"]),
            ("both", ["mit", "llama2"], ["base"]),
            ("grandchild", ["mit"], ["free"]),
            ("other", ["other"], ["base"]),
            ("silent", None, ["base"]),
            ("none", [], ["base"]),
            ("unknown", ["own terms"], ["base"]),
            ("of-unknown", ["mit"], ["unknown", "silent", "absent"]),
            ("self", ["mit"], ["self"]),
            ("twice", ["mit"], ["base", "base", None]),
            (None, ["mit"], ["base"]),
        ]
    )
    found = license_conflicts(cards)
    assert found["id"].to_list() == ["free", "twice"]
    assert set(found["kind"]) == {"more_permissive_than_base"}
    assert found.drop("id", "kind").unique().rows() == [
        (["MIT"], None, "base", ["llama2"], "permissive", "model-specific")
    ]


def test_cycles_and_several_cards_of_one_id():
    cards = graph(
        [
            ("a", ["mit"], ["b"]),
            ("b", ["gpl-3.0"], ["a"]),
            ("b", ["llama2"], ["a"]),
            ("a", ["mit"], ["b"]),
        ]
    )
    found = license_conflicts(cards)
    assert found.select("id", "base_model", "base_license").rows() == [
        ("a", "b", ["GPL-3.0"]),
        ("a", "b", ["llama2"]),
    ]
    assert license_conflicts(cards.reverse()).equals(found)


def test_front_matter_against_tags():
    cards = tagged(
        [
            ("same", '{"license": "MIT"}', ["license:mit", "x"]),
            ("differs", '{"license": "mit"}', ["license:apache-2.0"]),
            ("list", '{"license": ["mit", "apache 2.0"]}', ["license:apache-2.0", "license:mit"]),
            ("more", '{"license": ["mit", "own"]}', ["license:mit"]),
            ("tag only", "{}", ["license:mit"]),
            ("front only", '{"license": "mit"}', []),
            ("neither", '{"license": null}', ["x"]),
            ("mapping", '{"license": {"name": "mit"}}', ["x"]),
            ("no tags", '{"license": "mit"}', None),
            ("no front", None, ["license:mit"]),
            ("broken", "{", ["license:mit"]),
            ("a list", "[]", ["license:mit"]),
            ("bracket", '{"license": "[mit"}', ["license:[mit"]),
        ]
    )
    found = license_conflicts(cards)
    assert found.select("kind", "id", "declared", "tagged").rows() == [
        ("only_in_front_matter", "front only", ["MIT"], []),
        ("only_in_tags", "tag only", [], ["MIT"]),
        ("tags_disagree", "differs", ["MIT"], ["Apache-2.0"]),
        ("tags_disagree", "more", ["MIT", "own"], ["MIT"]),
    ]
    assert found["base_model"].null_count() == found["base_license"].null_count() == 4


def test_without_front_matter_the_column_is_compared_with_the_tags():
    cards = pl.DataFrame(
        [
            ("same", ["MIT"], ["license:mit"]),
            ("only tag", None, ["license:mit"]),
            ("empty", [], ["license:mit"]),
            ("only column", ["mit"], ["x"]),
            ("neither", None, ["x"]),
            ("no tags", ["mit"], None),
            ("named", ["lfm1.0"], ["license:other"]),
            ("named and more", ["mit", "lfm1.0"], ["license:mit", "license:other"]),
            ("a keyword", ["mit"], ["license:other"]),
            ("a keyword and a name", ["mit", "lfm1.0"], ["license:other"]),
            ("nothing for other", ["mit"], ["license:mit", "license:other"]),
            ("other than other", ["lfm1.0"], ["license:other", "license:mit"]),
        ],
        schema={"id": pl.String, "license": pl.List(pl.String), "tags": pl.List(pl.String)},
        orient="row",
    )
    found = license_conflicts(cards)
    assert found.select("kind", "id").rows() == [
        ("only_in_front_matter", "only column"),
        ("only_in_tags", "empty"),
        ("only_in_tags", "only tag"),
        ("tags_disagree", "a keyword"),
        ("tags_disagree", "a keyword and a name"),
        ("tags_disagree", "nothing for other"),
        ("tags_disagree", "other than other"),
    ]
    table = duckdb.connect().from_arrow(cards.to_arrow())
    assert license_conflicts(table).equals(found)
    derived = cl.scan_cards(cards.select("id", "tags"))
    assert license_conflicts(derived).is_empty()


def test_a_parent_whose_other_licence_has_a_name():
    cards = graph([("base", ["other"], []), ("child", ["mit"], ["base", "BASE", "child"])])
    assert license_conflicts(cards).is_empty()
    names = pl.Series("license_name", ["qwen-research", None])
    found = license_conflicts(cards.with_columns(names))
    assert found.select("id", "base_model", "base_license", "base_class").rows() == [
        ("child", "base", ["qwen-research"], "non-commercial")
    ]


def test_several_parents_are_compared_each():
    cards = graph(
        [
            ("a", ["llama2"], []),
            ("b", ["apache-2.0"], []),
            ("c", ["gpl-3.0"], []),
            ("merge", ["mit"], ["c", "b", "a", "dangling"]),
            ("merge", ["mit"], ["a"]),
        ]
    )
    found = license_conflicts(cards)
    assert found.select("id", "base_model").rows() == [("merge", "a"), ("merge", "c")]


def test_both_kinds_sorted():
    cards = pl.DataFrame(
        [
            ("b", ["mit"], ["a"], '{"license": "mit"}', ["license:gpl-3.0"]),
            ("a", ["gpl-3.0"], [], '{"license": "mit"}', ["license:gpl-3.0"]),
        ],
        schema=SCHEMA,
        orient="row",
    )
    found = license_conflicts(cards.lazy())
    assert found.select("kind", "id").rows() == [
        ("more_permissive_than_base", "b"),
        ("tags_disagree", "a"),
        ("tags_disagree", "b"),
    ]
    table = duckdb.connect().from_arrow(cards.to_arrow())
    assert license_conflicts(table).equals(found)


def test_no_conflicts_and_errors():
    empty = license_conflicts(graph([]))
    assert empty.is_empty() and empty.schema["base_license"] == pl.List(pl.String)
    assert license_conflicts(tagged([])).schema == empty.schema
    nulls = pl.DataFrame({"id": ["a"], "metadata": [None], "tags": [None]})
    assert license_conflicts(nulls).schema == empty.schema
    one = pl.DataFrame({"id": ["a"], "metadata": ["{}"], "tags": ["license:mit"]})
    assert license_conflicts(one)["tagged"].to_list() == [["MIT"]]
    with pytest.raises(CardlabError, match="'metadata' is"):
        license_conflicts(one.with_columns(metadata=pl.struct(license="id")))
    with pytest.raises(MissingColumn, match="'license', 'base_model'"):
        license_conflicts(pl.DataFrame({"id": ["a"], "tags": [["x"]]}))
    with pytest.raises(MissingColumn, match="'id'"):
        license_conflicts(pl.DataFrame({"license": [["mit"]], "base_model": [["x"]]}))
    with pytest.raises(CardlabError, match="lists of strings"):
        license_conflicts(pl.DataFrame({"id": ["a"], "license": ["mit"], "base_model": [1]}))


names = st.sampled_from(["mit", "MIT", "cc0-1.0", "gpl-3.0", "llama2", "other", "own", "openrail"])
licenses = st.one_of(st.none(), st.lists(names, max_size=2))
rows = st.tuples(
    st.sampled_from("abcd"), licenses, st.one_of(st.none(), st.lists(st.sampled_from("abcdX")))
)


def rank(declared):
    classes = [read_license(text).license_class for text in declared or []]
    worst = max(classes, key=CLASSES.index, default="undeclared")
    return ORDERED.index(worst) if worst in ORDERED else None


@given(st.lists(rows, max_size=8))
@settings(deadline=None)
def test_against_plain_python(cards):
    expected = set()
    for card, declared, parents in cards:
        for parent, base, _ in cards:
            mine, theirs = rank(declared), rank(base)
            known = parent in (parents or []) and parent != card
            if known and mine is not None and theirs is not None and mine < theirs:
                expected.add((card, parent, named(declared), named(base)))
    found = license_conflicts(graph(cards)).select("id", "base_model", "declared", "base_license")
    assert found.height == len(expected)
    assert {(a, b, tuple(c), tuple(d)) for a, b, c, d in found.rows()} == expected


def named(declared):
    return tuple(dict.fromkeys(read_license(text).name for text in declared))


@given(st.lists(st.tuples(licenses, licenses), max_size=6))
@settings(deadline=None)
def test_tags_against_plain_python(pairs):
    cards = tagged(
        [
            (str(i), json.dumps({"license": front}), [f"license:{text}" for text in tags or []])
            for i, (front, tags) in enumerate(pairs)
        ]
    )
    expected = [
        str(i) for i, (a, b) in enumerate(pairs) if set(named(a or [])) != set(named(b or []))
    ]
    assert sorted(license_conflicts(cards)["id"].to_list()) == expected


@pytest.mark.parametrize(("name", "n"), [("models_radar_2026", 70), ("model_cards.seed", 6)])
def test_real_cards(data, name, n):
    cards = cl.scan_cards(str(data / f"{name}.parquet"))
    found = license_conflicts(cards)
    light = cards.select("id", "license", "base_model").collect()
    base = dict(light.select("id", "license").iter_rows())
    expected = set()
    for card, declared, parents in light.iter_rows():
        for parent in set(parents or []) & set(base) - {card}:
            mine, theirs = rank(declared), rank(base[parent])
            if mine is not None and theirs is not None and mine < theirs:
                expected.add((card, parent))
    children = found.filter(pl.col("kind") == "more_permissive_than_base")
    assert set(children.select("id", "base_model").iter_rows()) == expected
    assert children.height == n
    tags = found.filter(pl.col("kind") != "more_permissive_than_base")
    for kind, declared, tagged in tags.select("kind", "declared", "tagged").rows():
        assert set(declared) != set(tagged)
        assert (kind == "only_in_tags") == (declared == [])
        assert (kind == "only_in_front_matter") == (tagged == [])
