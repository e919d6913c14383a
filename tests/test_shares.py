"""Counting values per card: by hand, against another engine, and by its invariants."""

from __future__ import annotations

import math

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardlab.frames import as_lists, map_items
from cardlab.schema import CardlabError, MissingColumn
from cardlab.shares.counting import count_values, wilson, with_share

CARDS = pl.DataFrame(
    {
        "id": ["a", "b", "c", "d", "e", "f"],
        "license": [["mit", "mit"], None, [], ["x", None, "mit"], [None], ["x"]],
        "library": ["t", "t", None, "t", "u", None],
        "tags": [["p", "q", "p"], ["p"], None, [], [None, "q"], ["q"]],
    },
    schema_overrides={"license": pl.List(pl.String), "tags": pl.List(pl.String)},
)
RESULT = {"value": pl.String, "n_cards": pl.Int64, "n_group": pl.Int64, "n_declared": pl.Int64}

# few letters, so that values repeat within cards, between cards and between the two columns
items = st.lists(st.one_of(st.sampled_from("abc"), st.none()), max_size=4)
cards = st.lists(
    st.tuples(
        st.one_of(st.none(), items), st.one_of(st.none(), items), st.sampled_from(["g", "h", None])
    ),
    max_size=12,
)


def frame(rows):
    schema = {"license": pl.List(pl.String), "tags": pl.List(pl.String), "library": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def relation(data):
    """A DuckDB relation of a polars frame, with a connection of its own."""
    return duckdb.connect().from_arrow(data.to_arrow())


def reference(rows, by):
    """Plain Python: {(group, value): (n_cards, n_group, n_declared)}."""
    counts, groups, declared = {}, {}, {}
    for license_, tags, library in rows:
        found = {item for item in license_ or [] if item is not None}
        inside = {None: {None}, "library": {library}}.get(by)
        if by == "tags":
            inside = {tag for tag in tags or [] if tag is not None} or {None}
        for group in inside:
            groups[group] = groups.get(group, 0) + 1
            declared[group] = declared.get(group, 0) + bool(found)
            for value in found:
                counts[group, value] = counts.get((group, value), 0) + 1
    return {key: (n, groups[key[0]], declared[key[0]]) for key, n in counts.items()}


def test_counts_by_hand():
    found = count_values(CARDS, "license")
    assert found.schema == RESULT
    assert found.rows() == [("mit", 2, 6, 3), ("x", 2, 6, 3)]


def test_counts_by_a_scalar_keep_the_group_that_is_not_declared():
    found = count_values(CARDS, "license", by="library")
    assert found.columns == ["library", "value", "n_cards", "n_group", "n_declared"]
    assert found.rows() == [("t", "mit", 2, 3, 2), ("t", "x", 1, 3, 2), (None, "x", 1, 2, 1)]


def test_a_card_is_in_each_of_its_groups_once():
    found = count_values(CARDS, "license", by="tags")
    assert set(found.rows()) == {
        ("p", "mit", 1, 2, 1),
        ("q", "mit", 1, 3, 2),
        ("q", "x", 1, 3, 2),
        (None, "mit", 1, 2, 1),
        (None, "x", 1, 2, 1),
    }


def test_a_string_column_counts_as_lists_of_one():
    found = count_values(CARDS, "library", by="license")
    assert set(found.rows()) == {
        ("mit", "t", 2, 2, 2),
        ("x", "t", 1, 2, 1),
        (None, "t", 1, 3, 2),
        (None, "u", 1, 3, 2),
    }
    assert count_values(CARDS, "library").rows() == [("t", 3, 6, 4), ("u", 1, 6, 4)]


def test_by_may_be_the_counted_column():
    assert count_values(CARDS, "license", by="license").filter(license="x").rows() == [
        ("x", "x", 2, 2, 2),
        ("x", "mit", 1, 2, 2),
    ]


@pytest.mark.parametrize("by", [None, "library", "tags"])
@given(rows=cards)
@settings(deadline=None)
def test_counts_equal_plain_python(by, rows):
    found = count_values(frame(rows), "license", by=by)
    keys = [None] * found.height if by is None else found[by].to_list()
    values = found.select("n_cards", "n_group", "n_declared").rows()
    assert dict(zip(zip(keys, found["value"], strict=True), values, strict=True)) == reference(
        rows, by
    )


@pytest.mark.parametrize("by", [None, "library", "tags"])
@given(rows=cards)
@settings(deadline=None, max_examples=25)
def test_duckdb_and_lazy_polars_count_the_same(by, rows):
    data = frame(rows)
    found = count_values(data, "license", by=by)
    assert count_values(data.lazy(), "license", by=by).equals(found)
    assert count_values(relation(data), "license", by=by).equals(found)
    shout = {"derive": lambda lists: map_items(lists, str.upper)}
    found = count_values(data, "license", by=by, **shout)
    assert count_values(relation(data), "license", by=by, **shout).equals(found)


@given(rows=cards, random=st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_and_repeats_change_nothing_and_counts_are_nested(rows, random):
    found = count_values(frame(rows), "license", by="tags")
    again = [([*a, *a] if a else a, [*b, *b] if b else b, c) for a, b, c in rows]
    random.shuffle(again)
    assert count_values(frame(again), "license", by="tags").equals(found)
    assert found.filter(pl.col("n_cards") > pl.col("n_declared")).is_empty()
    assert found.filter(pl.col("n_declared") > pl.col("n_group")).is_empty()
    shares = with_share(found).select("share_low", "card_share", "share_high").rows()
    assert all(0 <= low <= share <= high <= 1 for low, share, high in shares)


@pytest.mark.parametrize("by", [None, "library", "tags"])
def test_arrow_tables_and_pandas_frames_count_the_same(by):
    found = count_values(CARDS, "license", by=by)
    assert count_values(CARDS.to_arrow(), "license", by=by).equals(found)
    pandas = pytest.importorskip("pandas")
    data = pandas.DataFrame(CARDS.to_dict(as_series=False))
    assert count_values(data, "license", by=by).equals(found)


def test_derive_sees_each_distinct_list_once():
    seen = []

    def derive(lists):
        seen.extend(lists.to_list())
        return lists

    many = pl.concat([CARDS] * 50)
    assert count_values(many, "license", derive=derive).rows() == [
        ("mit", 100, 300, 150),
        ("x", 100, 300, 150),
    ]
    assert len(seen) == 6


def failing(name):
    def read(_):
        raise AssertionError(f"{name} was read")

    return pl.col(name).map_batches(read, return_dtype=pl.String)


def test_only_the_columns_used_are_read():
    source = CARDS.lazy().with_columns(failing("id"))
    with pytest.raises(Exception, match="id was read"):
        source.collect()
    assert count_values(source, "license", by="library").height == 3
    assert count_values(source, "license", derive=as_lists).height == 2


def test_a_source_is_read_once():
    n_read = 0

    def read(column):
        nonlocal n_read
        n_read += len(column)
        return column

    source = CARDS.lazy().with_columns(
        pl.col("license").map_batches(read, return_dtype=pl.List(pl.String), is_elementwise=True)
    )
    count_values(source, "license", by="library")
    assert n_read == CARDS.height


@pytest.mark.parametrize("by", [None, "library"])
def test_no_cards_no_values_and_untyped_columns(by):
    empty = count_values(CARDS.clear(), "license", by=by)
    assert empty.is_empty()
    assert empty.columns[-4:] == list(RESULT)
    for untyped in ([None] * 6, [[]] * 6, [[None]] * 6):
        found = count_values(CARDS.with_columns(pl.Series("license", untyped)), "license", by=by)
        assert found.is_empty()
        assert found.schema["value"] == pl.String


def test_errors_name_what_is_wrong():
    with pytest.raises(MissingColumn, match="'licence'"):
        count_values(CARDS, "licence")
    with pytest.raises(MissingColumn, match="'author'"):
        count_values(CARDS, "license", by="author")
    with pytest.raises(CardlabError, match="Rename yours first"):
        count_values(CARDS.rename({"library": "value"}), "license", by="value")
    with pytest.raises(CardlabError, match="one column"):
        count_values(CARDS, "license", by=["library"])
    with pytest.raises(CardlabError, match="strings or lists"):
        count_values(CARDS.with_columns(license=pl.struct("id")), "license")


def test_wilson_against_published_values():
    # Newcombe (1998), Statistics in Medicine 17, table I, method 3
    for n, total, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
    ]:
        assert np.allclose(wilson(n, total), (low, high), atol=5e-5)


def test_wilson_of_arrays_and_of_nothing():
    low, high = wilson([0, 5, 10, 0], [10, 10, 10, 0])
    assert low[0] == 0
    assert high[2] == 1
    assert low[1] + high[1] == pytest.approx(1)
    assert math.isnan(low[3])
    assert math.isnan(high[3])
    assert wilson(5, 10, confidence=0.5)[0] > low[1]
    assert all(np.isnan(wilson(np.nan, 10)))


@pytest.mark.parametrize("bad", [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1), (1, 2, 0)])
def test_wilson_refuses_what_is_no_share(bad):
    with pytest.raises(CardlabError):
        wilson(bad[0], bad[1], confidence=bad[2])


@given(
    st.integers(1, 10**9).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))
)
def test_wilson_holds_the_share(pair):
    low, high = wilson(*pair)
    assert 0 <= low <= pair[0] / pair[1] <= high <= 1


def test_map_items_calls_once_for_each_item_and_keeps_null_and_empty():
    calls = []

    def lower(text):
        calls.append(text)
        return text.lower()

    values = pl.Series([["B", "a", "A", None], None, [], ["B"]] * 3)
    assert map_items(values, lower).to_list() == [["b", "a"], None, [], ["b"]] * 3
    assert sorted(calls) == ["A", "B", "a"]
    assert map_items(pl.Series(["A", None]), lower).to_list() == [["a"], None]
