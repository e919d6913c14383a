"""Lineage: graphs by hand, a plain-Python reference, deep and broken graphs, real cards."""

from __future__ import annotations

from functools import partial

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cardlab as cl
from cardlab._lineage import lineage, lineage_summary
from cardlab.schema import CardlabError, MissingColumn

SCHEMA = {"id": pl.String, "base_model": pl.List(pl.String)}


def graph(rows):
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def figures(rows, *names):
    found = lineage(graph(rows)).unique(maintain_order=True)
    return {row[0]: row[1:] for row in found.select("id", *names).iter_rows()}


def summary(cards):
    return lineage_summary(cards).row(0, named=True)


def test_a_line_and_what_is_not_in_the_corpus():
    rows = [("c", ["b"]), ("a", ["absent"]), ("b", ["a", "elsewhere"]), ("z", None), ("y", [])]
    found = lineage(graph(rows))
    assert found.columns == [
        "id",
        "n_parents",
        "n_known_parents",
        "parent_ids",
        "root",
        "depth",
        "in_cycle",
        "n_children",
        "n_descendants",
        "relation",
    ]
    assert found.rows() == [
        ("a", 1, 0, ["absent"], "a", 0, False, 1, 2, None),
        ("b", 2, 1, ["a", "elsewhere"], "a", 1, False, 1, 1, None),
        ("c", 1, 1, ["b"], "a", 2, False, 0, 0, None),
        ("y", 0, 0, [], "y", 0, False, 0, 0, None),
        ("z", None, None, None, "z", 0, False, 0, 0, None),
    ]
    assert summary(graph(rows)) == {
        "n_cards": 5,
        "n_without_id": 0,
        "n_models": 5,
        "n_declared": 4,
        "n_with_parent": 3,
        "n_with_known_parent": 2,
        "n_merges": 1,
        "n_edges": 4,
        "n_dangling": 2,
        "n_dangling_parents": 2,
        "n_self": 0,
        "n_cycles": 0,
        "n_in_cycle": 0,
        "n_without_root": 0,
        "n_roots": 3,
        "n_families": 1,
        "max_depth": 2,
    }
    assert lineage_summary(graph(rows), by="family").rows() == [("a", 3, 3 / 5, 2)]


def test_the_first_known_parent_leads():
    rows = [("m", ["absent", "b", "a"]), ("a", []), ("b", ["r"]), ("r", []), ("n", ["a", "m"])]
    assert figures(rows, "root", "depth", "n_children", "n_descendants") == {
        "r": ("r", 0, 1, 2),
        "b": ("r", 1, 1, 1),
        "a": ("a", 0, 2, 1),
        "m": ("r", 2, 1, 0),
        "n": ("a", 1, 0, 0),
    }


def test_a_diamond_counts_each_model_once():
    rows = [("top", []), ("l", ["top"]), ("r", ["top"]), ("low", ["l", "r"])]
    assert figures(rows, "root", "depth", "n_descendants")["top"] == ("top", 0, 3)
    assert summary(graph(rows))["n_merges"] == 1


def test_what_names_itself_or_nothing_or_twice():
    rows = [("a", ["a", "", " ", None]), ("b", ["a", "a", "b", "A"])]
    found = figures(rows, "n_parents", "parent_ids", "root", "in_cycle")
    assert found == {"a": (0, [], "a", False), "b": (2, ["a", "A"], "a", False)}
    counted = summary(graph(rows))
    assert (counted["n_self"], counted["n_edges"], counted["n_dangling"]) == (2, 2, 1)


@pytest.mark.parametrize("length", [2, 3, 4, 7, 8])
def test_a_cycle_with_a_tail(length):
    ring = [(f"r{i}", [f"r{(i + 1) % length}"]) for i in range(length)]
    rows = [*ring, ("t1", ["r0"]), ("t2", ["t1"]), ("alone", [])]
    found = figures(rows, "root", "depth", "in_cycle", "n_descendants")
    for i in range(length):
        assert found[f"r{i}"] == (None, None, True, length + 1)
    assert found["t1"] == (None, None, False, 1)
    assert found["t2"] == (None, None, False, 0)
    counted = summary(graph(rows))
    assert (counted["n_cycles"], counted["n_in_cycle"]) == (1, length)
    assert (counted["n_without_root"], counted["n_roots"], counted["max_depth"]) == (
        length + 2,
        1,
        0,
    )
    assert lineage_summary(graph(rows), by="family").is_empty()


def test_a_cycle_that_a_second_parent_closes():
    rows = [("root", []), ("a", ["root", "b"]), ("b", ["a"])]
    assert figures(rows, "root", "depth", "in_cycle") == {
        "root": ("root", 0, False),
        "a": ("root", 1, True),
        "b": ("root", 2, True),
    }
    assert summary(graph(rows))["n_without_root"] == 0


def test_cards_of_one_id_are_one_model_and_cards_without_an_id_are_left_out():
    rows = [("a", None), ("a", ["x"]), ("b", ["a"]), ("a", ["y", "x"]), (None, ["a"])]
    found = lineage(graph(rows))
    assert found.select("id", "parent_ids", "n_descendants").rows() == [
        *[("a", ["x", "y"], 1)] * 3,
        ("b", ["a"], 0),
    ]
    counted = summary(graph(rows))
    assert (counted["n_cards"], counted["n_models"], counted["n_without_id"]) == (5, 2, 1)
    assert (counted["n_declared"], counted["n_merges"]) == (2, 1)
    assert lineage_summary(graph(rows), by="family").rows() == [("a", 2, 1.0, 1)]


def test_relations_come_from_the_tags():
    tags = [
        ["x", "base_model:a", "base_model:finetune:a"],
        ["base_model:adapter:a", "base_model:merge:b"],
        ["base_model:own:a", "xbase_model:merge:a", None],
        None,
    ]
    cards = graph([(str(i), ["a"]) for i in range(4)]).with_columns(
        pl.Series("tags", tags, dtype=pl.List(pl.String))
    )
    found = lineage(cards).sort("id")
    assert found["relation"].to_list() == ["finetune", "adapter", None, None]
    twice = pl.concat([cards.with_columns(id=pl.lit("m")).reverse()])
    assert lineage(twice)["relation"].to_list() == ["adapter"] * 4


def test_ten_thousand_deep():
    n = 10_000
    rows = [(f"m{i}", [f"m{i - 1}"] if i else []) for i in range(n)]
    found = lineage(graph(rows[::-1]))
    assert found["id"].to_list() == [f"m{i}" for i in range(n)]
    assert found["depth"].to_list() == list(range(n))
    assert found["n_descendants"].to_list() == list(range(n))[::-1]
    assert set(found["root"]) == {"m0"}
    assert lineage_summary(graph(rows), by="family").rows() == [("m0", n, 1.0, n - 1)]
    ring = lineage(graph([("m0", [f"m{n - 1}"]), *rows[1:]]))
    assert ring["in_cycle"].all() and set(ring["n_descendants"]) == {n - 1}
    assert ring["root"].null_count() == ring["depth"].null_count() == n


def test_families_are_cut_and_ties_go_by_name():
    rows = [(f"{family}{i}", [f"{family}0"] if i else []) for family in "cab" for i in range(3)]
    rows += [("b9", ["b0"]), ("single", [])]
    found = lineage_summary(graph(rows), top=None, by="family")
    assert found["root"].to_list() == ["b0", "a0", "c0"]
    assert found["card_share"].to_list() == [4 / 11, 3 / 11, 3 / 11]
    assert lineage_summary(graph(rows), top=2, by="family").equals(found.head(2))


def test_nothing_and_errors():
    assert lineage(graph([])).is_empty()
    assert lineage(graph([])).schema == lineage(graph([("a", ["b"])])).schema
    assert summary(graph([]))["max_depth"] is None
    assert summary(graph([]))["n_roots"] == 0
    assert lineage_summary(graph([]), by="family").is_empty()
    for function in (lineage, lineage_summary, partial(lineage_summary, by="family")):
        with pytest.raises(MissingColumn, match="'base_model'"):
            function(pl.DataFrame({"id": ["a"]}))
        with pytest.raises(CardlabError, match="must be a frame|no such file or folder"):
            function(["a"])
        with pytest.raises(CardlabError, match="lists of strings"):
            function(pl.DataFrame({"id": ["a"], "base_model": [{"x": 1}]}))
    with pytest.raises(CardlabError, match="top must be"):
        lineage_summary(graph([]), top=0, by="family")


def test_strings_other_engines_and_only_the_columns_that_are_needed(tmp_path):
    cards = graph([("a", []), ("b", ["a"]), ("c", ["b", "x"]), ("d", None)]).with_columns(
        tags=pl.lit(["base_model:merge:a"], dtype=pl.List(pl.String)), text=pl.lit("body")
    )
    found = lineage(cards)
    cards.write_parquet(tmp_path / "cards.parquet")
    assert lineage(pl.scan_parquet(tmp_path / "cards.parquet")).equals(found)
    broken = cards.lazy().with_columns(text=pl.col("text").cast(pl.Int64))
    assert lineage(broken).equals(found)
    table = duckdb.connect().from_arrow(cards.to_arrow())
    assert lineage(table).equals(found)
    assert lineage_summary(table).equals(lineage_summary(cards))
    assert lineage(cards.to_arrow()).equals(found)
    one = pl.DataFrame({"id": ["a", "b", "c"], "base_model": ["", "a", None]})
    assert figures_of(one) == {"a": [], "b": ["a"], "c": None}


def figures_of(cards):
    return dict(lineage(cards).select("id", "parent_ids").iter_rows())


def reference(cards):
    """Follow every line and every path by hand."""
    parents: dict = {}
    for card, named in cards:
        if card is not None:
            mine = parents.setdefault(card, {})
            mine.update(dict.fromkeys(p for p in named if p and p != card))
    known = {card: [p for p in named if p in parents] for card, named in parents.items()}

    def line(card):
        seen = [card]
        while known[seen[-1]]:
            if known[seen[-1]][0] in seen:
                return seen, False
            seen.append(known[seen[-1]][0])
        return seen, True

    def ancestors(card):
        found, todo = set(), list(known[card])
        while todo:
            if (model := todo.pop()) not in found:
                found.add(model)
                todo += known[model]
        return found

    rows = {}
    for card in parents:
        way, ends = line(card)
        rows[card] = (
            list(parents[card]),
            way[-1] if ends else None,
            len(way) - 1 if ends else None,
            card in ancestors(card),
            sum(card in named for named in known.values()),
            sum(card in line(other)[0] for other in parents) - 1,
        )
    return rows


models = st.sampled_from("abcdefgh")
named = st.lists(st.one_of(models, st.sampled_from(["X", "", "Y"])), max_size=3)


@given(st.lists(st.tuples(st.one_of(models, st.none()), named), max_size=12))
@settings(deadline=None, max_examples=200)
def test_against_plain_python(cards):
    expected = reference(cards)
    found = lineage(graph(cards))
    columns = ("parent_ids", "root", "depth", "in_cycle", "n_children", "n_descendants")
    assert {row[0]: row[1:] for row in found.select("id", *columns).iter_rows()} == expected
    assert found.height == sum(card is not None for card, _ in cards)
    counted = summary(graph(cards))
    roots = [row[1] for row in expected.values()]
    assert counted["n_models"] == len(expected)
    assert counted["n_roots"] == sum(row[2] == 0 for row in expected.values())
    assert counted["n_in_cycle"] == sum(row[3] for row in expected.values())
    assert counted["n_without_root"] == roots.count(None)
    assert counted["n_self"] == len({card for card, parents in cards if card and card in parents})
    families = lineage_summary(graph(cards), top=None, by="family")
    assert dict(families.select("root", "n_cards").iter_rows()) == {
        root: roots.count(root) for root in roots if root is not None and roots.count(root) > 1
    }


@pytest.mark.parametrize(
    "name", ["models_radar_2026", "model_cards.seed", "models_frameworks_2026"]
)
def test_real_cards(data, name):
    cards = cl.scan_cards(str(data / f"{name}.parquet"))
    found = lineage(cards)
    light = cards.select("id", "base_model").collect()
    assert found["id"].sort().equals(light["id"].sort())
    ids = set(light["id"])
    parents: dict = {}
    for card, bases in light.iter_rows():
        parents.setdefault(card, {}).update(dict.fromkeys(set(bases or []) - {card}))
    once = found.unique("id")
    assert {c: set(p or []) for c, p in once.select("id", "parent_ids").iter_rows()} == {
        card: set(named) for card, named in parents.items()
    }
    counted = summary(cards)
    assert counted["n_models"] == len(ids) and counted["n_cards"] == light.height
    assert counted["n_edges"] == sum(map(len, parents.values()))
    assert counted["n_dangling"] == sum(len(set(p) - ids) for p in parents.values())
    assert counted["n_roots"] + once.filter(pl.col("depth") > 0).height == len(ids)
    children = once["n_children"].sum()
    assert children == counted["n_edges"] - counted["n_dangling"]
    assert counted["n_cycles"] == 0
    families = lineage_summary(cards, top=None, by="family")
    assert families.height == counted["n_families"]
    # the descendants of all roots are the models that are none
    below = once.filter(pl.col("depth") == 0)["n_descendants"].sum()
    assert below == counted["n_models"] - counted["n_roots"]


def test_known_families_of_real_cards(data):
    radar = lineage_summary(
        cl.scan_cards(str(data / "models_radar_2026.parquet")), top=1, by="family"
    )
    # by the column, where a merge names several (`a/b, c/d`), and three whose tags alone name one
    assert radar.select("root", "n_cards", "max_depth").rows() == [("Qwen/Qwen3.8-27B", 605, 3)]
    seed = lineage_summary(cl.scan_cards(str(data / "model_cards.seed.parquet")))
    assert seed.select("n_edges", "n_dangling", "n_merges", "n_roots").rows() == [
        (339, 204, 11, 2447)
    ]


def test_shares_of_relations_know_authors():
    """Forty quantised models of one maker say less than as many of forty."""
    own = [
        {"id": f"a{i:02}/m", "base_model": ["base/m"], "tags": ["base_model:finetune:base/m"]}
        for i in range(40)
    ]
    series = [
        {"id": f"q/m{i:02}", "base_model": ["base/m"], "tags": ["base_model:quantized:base/m"]}
        for i in range(40)
    ]
    cards = pl.DataFrame(own + series)
    cards = cards.with_columns(author=pl.col("id").str.split("/").list.first())
    found = cl.lineage_summary(cards, by="relation").row(1, named=True)
    alone = cl.lineage_summary(cards, by="relation", cluster=None).row(1, named=True)
    assert found["edge_share"] == alone["edge_share"] == 0.5
    assert (found["n_authors"], found["top_author"], found["is_reliable"]) == (1, "q", False)
    assert found["edge_high"] - found["edge_low"] > 3 * (alone["edge_high"] - alone["edge_low"])
    changes = cl.lineage_changes(cards, column="author", by="relation")
    assert changes.filter(pl.col("relation") == "quantized")["n_authors"].to_list() == [1]
    census = cl.lineage_summary(cards, by="relation", population="census")
    assert census["edge_low"].null_count() == 2
