"""Shares of licences and languages: both denominators, families, weights, raw beside normalised."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from functools import partial

import duckdb
import polars as pl
import pytest
from conftest import real_file
from hypothesis import given, settings
from hypothesis import strategies as st

import cardlab as cl
from cardlab.frames import map_items
from cardlab.licenses.reading import read_license
from cardlab.schema import CardlabError, MissingColumn
from cardlab.shares.counting import count_values, wilson

CARDS = pl.DataFrame(
    {
        "id": ["b", "a", "c", "d", "e", "f"],
        "license": [["mit", "MIT"], ["apache-2.0"], ["mit"], None, [], ["own\x1b"]],
        "family": ["x", "x", None, "y", "y", None],
        "downloads": [10, 5, None, 30, 5, 0],
        "text": ["same", "same", " ", None, "other", "more"],
        "task": ["s", "s", "t", "t", None, None],
    }
)
SCHEMA = {
    "id": pl.String,
    "license": pl.List(pl.String),
    "tags": pl.List(pl.String),
    "family": pl.String,
    "downloads": pl.Int64,
}
items = st.lists(st.one_of(st.sampled_from(["a", "A", "b"]), st.none()), max_size=3)
rows_of_cards = st.lists(
    st.tuples(
        st.sampled_from("pqrs"),
        st.one_of(st.none(), items),
        st.one_of(st.none(), items),
        st.sampled_from(["f", "g", None]),
        st.one_of(st.none(), st.integers(0, 100)),
    ),
    max_size=8,
    unique_by=lambda row: row[0],
)


def relation(frame):
    return duckdb.connect().from_arrow(frame.to_arrow())


def reference(rows, by):
    """Plain Python: {(group, value): (n_cards, n_families, weight)} and the same of each group."""
    first = {}
    for card, _, _, family, _ in sorted(rows, key=lambda row: row[0]):
        if family is not None:
            first.setdefault(family, card)
    values, groups = {}, {}
    for card, licenses, tags, family, downloads in rows:
        adds = (1, int(family is None or first[family] == card), downloads or 0)
        inside = {None} if by is None else {tag for tag in tags or [] if tag is not None} or {None}
        for group in inside:
            found = {item.lower() for item in licenses or [] if item is not None}
            for store, key in ((groups, group), *((values, (group, v)) for v in found)):
                old = store.get(key, (0, 0, 0))
                store[key] = tuple(a + b for a, b in zip(old, adds, strict=True))
    return values, groups


@pytest.mark.parametrize("by", [None, "tags"])
@given(rows=rows_of_cards)
@settings(deadline=None, max_examples=40)
def test_families_and_weights_equal_plain_python_on_both_engines(by, rows):
    cards = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    more = {"by": by, "families": "family", "weight": "downloads"}
    found = count_values(cards, "license", rename=str.lower, **more)
    values, groups = reference(rows, by)
    keys = [None] * found.height if by is None else found["tags"].to_list()
    own = found.select("n_cards", "n_families", "weight").rows()
    assert dict(zip(zip(keys, found["value"], strict=True), own, strict=True)) == values
    whole = found.select("n_group", "n_group_families", "weight_group").rows()
    assert all(row == groups[key] for key, row in zip(keys, whole, strict=True))
    assert count_values(relation(cards), "license", rename=str.lower, **more).equals(found)
    lists = {"derive": lambda values: map_items(values, str.lower)}
    assert count_values(cards, "license", **lists, **more).equals(found)


def test_both_denominators_by_hand():
    found = cl.license_counts(CARDS)
    row = found.row(0, named=True)
    assert (row["license"], row["n_cards"], row["n_declared"], row["n_group"]) == ("MIT", 2, 4, 6)
    assert (row["card_share"], row["declared_share"]) == (2 / 6, 2 / 4)
    assert (row["declared_low"], row["declared_high"]) == wilson(2, 4)
    classes = {
        row["license_class"]: row for row in cl.license_counts(CARDS, classes=True).to_dicts()
    }
    assert classes["permissive"]["declared_share"] == 3 / 4
    assert classes["undeclared"]["card_share"] == 2 / 6
    assert classes["undeclared"]["declared_share"] is None
    assert {row["n_declared"] for row in classes.values()} == {4}


def test_families_and_weights_by_hand():
    found = cl.license_counts(CARDS, families="family", weight="downloads")
    rows = {row["license"]: row for row in found.to_dicts()}
    # of family x card a comes first: its licence is Apache's
    assert (rows["MIT"]["n_families"], rows["MIT"]["family_share"]) == (1, 1 / 4)
    assert rows["Apache-2.0"]["n_families"] == 1
    assert (rows["MIT"]["weight"], rows["MIT"]["weight_share"]) == (10, 10 / 50)
    assert set(found["n_weighted"]) == {5}
    texts = cl.license_counts(CARDS, families="text")
    assert dict(texts.select("license", "n_families").iter_rows())["MIT"] == 1
    assert texts.row(0, named=True)["family_share"] == 1 / 5
    nothing = cl.license_counts(CARDS.filter(id="f"), weight="downloads").row(0, named=True)
    assert (nothing["weight"], nothing["weight_share"]) == (0, None)
    floats = cl.license_counts(
        CARDS.with_columns(downloads=pl.Series([1.5, 0.5, float("nan"), None, 0.0, 0.0])),
        weight="downloads",
    )
    assert floats.row(0, named=True)["weight"] == 1.5
    assert set(floats["n_weighted"]) == {4}


def test_raw_and_normalised_stand_side_by_side():
    found = cl.license_counts(CARDS, raw=True)
    assert found.select("license", "license_spdx", "n_cards").rows() == [
        ("mit", "MIT", 2),
        ("MIT", "MIT", 1),
        ("apache-2.0", "Apache-2.0", 1),
        ("own\x1b", "own\x1b", 1),
    ]
    languages = pl.DataFrame({"languages": [["eng", "EN"], ["english"]]})
    codes = cl.language_counts(languages, raw=True).select("language", "language_code").rows()
    assert set(codes) == {("eng", "en"), ("EN", "en"), ("english", "en")}


def test_errors():
    with pytest.raises(MissingColumn, match="'likes'"):
        cl.license_counts(CARDS, weight="likes")
    with pytest.raises(MissingColumn, match="'group'"):
        cl.license_counts(CARDS, families="group", classes=True)
    with pytest.raises(CardlabError, match="must hold numbers"):
        cl.license_counts(CARDS, weight="task")
    for bad in ([-1] * 6, [float("inf")] * 6):
        cards = CARDS.with_columns(downloads=pl.Series(bad))
        with pytest.raises(CardlabError, match="below 0 or infinite"):
            cl.license_counts(cards, weight="downloads")
        with pytest.raises(CardlabError, match="below 0 or infinite"):
            cl.license_counts(cards, weight="downloads", classes=True)
    with pytest.raises(CardlabError, match="Rename yours first"):
        cl.license_counts(CARDS.rename({"task": "weight"}), by="weight")


def test_only_the_two_columns_of_a_file_are_read(tmp_path):
    path = tmp_path / "cards.parquet"
    cl.make_cards(50, text=False, embedding_dim=0).write_parquet(path)

    def failing(name):
        def read(_):
            raise AssertionError(f"{name} was read")

        return pl.col(name).map_batches(read, return_dtype=pl.String)

    cards = cl.scan_cards(path)
    watched = cards.with_columns(failing("metadata"), failing("sha"), failing("library_name"))
    for count in (cl.license_counts, partial(cl.license_counts, classes=True), cl.language_counts):
        assert count(watched).equals(count(cards))


@pytest.mark.parametrize("name", ["models_radar_2026.parquet", "models_frameworks_2026.parquet"])
def test_real_weights_and_families_equal_plain_python(name):
    columns = ["id", "author", "license", "downloads", "pipeline_tag"]
    cards = cl.scan_cards(real_file(name)).select(columns).collect()
    found = cl.license_counts(cards, families="author", weight="downloads", by="pipeline_tag")
    weights, sizes, all_sizes = Counter(), Counter(), Counter()
    first = {}
    for place, row in enumerate(cards.rows(named=True)):
        if row["author"] is not None:
            first.setdefault(row["author"], []).append((row["id"], place))
    leaders = {min(places)[1] for places in first.values()}
    for place, row in enumerate(cards.rows(named=True)):
        leads = row["author"] is None or place in leaders
        all_sizes[row["pipeline_tag"]] += leads
        for license_ in {read_license(text).name for text in row["license"] or []}:
            weights[row["pipeline_tag"], license_] += row["downloads"] or 0
            sizes[row["pipeline_tag"], license_] += leads
    for row in found.rows(named=True):
        key = row["pipeline_tag"], row["license"]
        assert (row["weight"], row["n_families"]) == (weights[key], sizes[key])
        share = sizes[key] / all_sizes[key[0]] if all_sizes[key[0]] else None
        assert row["family_share"] == share
    assert found.height == len(weights)


def test_classes_of_real_cards_by_period_equal_plain_python():
    cards = cl.with_period(cl.scan_cards(real_file("models_frameworks_2026.parquet")), every="1y")
    found = cl.license_counts(cards, by="period", classes=True)
    expected = Counter()
    floor = dt.datetime(2022, 3, 2, 23, 29, 4, tzinfo=dt.UTC)
    rows = cl.with_licenses(cards).select("created_at", "license_class", "at_floor").collect()
    for created, name, at_floor in rows.iter_rows():
        assert at_floor == (created - floor in (dt.timedelta(0), dt.timedelta(seconds=1)))
        year = None if at_floor else dt.date(created.year, 1, 1)
        expected[year, name] += 1
    assert {
        (period, name): n
        for period, name, n in found.select("period", "license_class", "n_cards").iter_rows()
    } == expected
