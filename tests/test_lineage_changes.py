"""What changes along the edges of the base models: by hand, in odd graphs, on real cards."""

from __future__ import annotations

from collections import Counter

import duckdb
import polars as pl
import pytest
from conftest import real_file

import cardlab as cl
from cardlab._lineage import CHANGES
from cardlab.licenses.problems import ORDERED
from cardlab.shares.counting import wilson

CARDS = pl.DataFrame(
    {
        "id": ["root", "a", "b", "merge", "self", "x", "y", None],
        "base_model": [
            None, ["root", "root"], ["root"], ["a", "gone", "b"], ["self"], ["y"], ["x"], ["root"],
        ],
        "tags": [
            [],
            ["base_model:root", "base_model:finetune:root", "base_model:adapter:root"],
            ["base_model:quantized:root"],
            ["base_model:merge:a", "base_model:merge:gone"],
            ["base_model:finetune:self"],
            None,
            ["base_model:finetune:x"],
            ["base_model:finetune:root"],
        ],
        "license_class": [
            "permissive", "permissive", "non-commercial", "permissive",
            "permissive", "undeclared", "permissive", "permissive",
        ],
        "language_codes": [
            ["en", "de"], ["de", "en"], ["en"], ["de", "en", "fr"], None, [], None, [],
        ],
    }
)  # fmt: skip


def by_change(found):
    return dict(found.group_by("change").agg(pl.col("n_edges").sum()).iter_rows())


def test_relations_by_hand():
    found = cl.lineage_summary(CARDS, by="relation")
    # a names root twice: one edge, of the relation that is tagged first; self is no edge
    assert found.select("relation", "n_edges", "n_known", "n_models", "n_all").rows() == [
        ("finetune", 2, 2, 2, 7),
        ("merge", 2, 1, 1, 7),
        (None, 2, 2, 2, 7),
        ("quantized", 1, 1, 1, 7),
    ]
    assert found["n_edges"].sum() == 7
    assert found.row(0, named=True)["edge_share"] == 2 / 7
    assert (found["edge_low"][0], found["edge_high"][0]) == wilson(2, 7)
    assert cl.lineage_summary(duckdb.sql("FROM CARDS"), by="relation").equals(found)


def test_changes_of_classes_by_hand():
    found = cl.lineage_changes(CARDS, order=ORDERED)
    cells = {
        (row["parent_value"], row["child_value"], row["change"]): row for row in found.to_dicts()
    }
    assert {key: row["n_edges"] for key, row in cells.items()} == {
        ("permissive", "permissive", "same"): 2,
        ("permissive", "non-commercial", "later"): 1,
        ("non-commercial", "permissive", "earlier"): 1,
        (None, "permissive", "parent not in corpus"): 1,
        ("permissive", None, "child undeclared"): 1,
        (None, "permissive", "parent undeclared"): 1,
    }
    same = cells["permissive", "permissive", "same"]
    assert (same["edge_share"], same["n_all"]) == (2 / 7, 7)
    assert (same["declared_share"], same["n_declared"]) == (2 / 4, 4)
    assert (same["declared_low"], same["declared_high"]) == wilson(2, 4)
    assert cells["permissive", None, "child undeclared"]["declared_share"] is None
    assert by_change(cl.lineage_changes(CARDS))["differs"] == 2
    assert cl.lineage_changes(duckdb.sql("FROM CARDS"), order=ORDERED).equals(found)


def test_changes_of_lists_compare_sets():
    found = cl.lineage_changes(CARDS, column="language_codes")
    assert by_change(found) == {
        "same": 1,  # a
        "narrower": 1,  # b
        "wider": 2,  # merge, of both
        "parent not in corpus": 1,
        "both undeclared": 2,
    }
    assert found.schema["parent_value"] == pl.List(pl.String)


def test_by_relation_and_without_pairs():
    found = cl.lineage_changes(CARDS, order=ORDERED, by="relation", pairs=False)
    assert found.columns[:3] == ["relation", "change", "n_edges"]
    sums = dict(found.group_by("relation").agg(pl.col("n_edges").sum()).iter_rows())
    assert sums == {"finetune": 2, "merge": 2, "quantized": 1, None: 2}
    assert dict(found.select("relation", "n_all").unique().iter_rows()) == sums
    only = cl.lineage_changes(CARDS, relations=["merge"], pairs=False)
    assert by_change(only) == {"same": 1, "parent not in corpus": 1}
    assert set(only["n_all"]) == {2}


def test_a_chain_of_ten_thousand_and_a_great_cycle_end_in_figures():
    n = 10_000
    names = [f"m{i}" for i in range(n)]
    chain = pl.DataFrame(
        {
            "id": names,
            "base_model": [[], *([name] for name in names[:-1])],
            "license_class": ["permissive"] * n,
            "tags": [[], *([f"base_model:finetune:{name}"] for name in names[:-1])],
        },
        schema_overrides={"base_model": pl.List(pl.String), "tags": pl.List(pl.String)},
    )
    cycle = chain.with_columns(base_model=pl.concat_list(pl.col("id").shift(-1, fill_value="m0")))
    for cards, edges in ((chain, n - 1), (cycle, n)):
        assert by_change(cl.lineage_changes(cards)) == {"same": edges}
    assert cl.lineage_summary(chain, by="relation")["n_edges"].to_list() == [n - 1]


def test_the_first_card_of_an_id_that_declares_speaks_for_it():
    cards = pl.DataFrame(
        {
            "id": ["p", "p", "p", "c"],
            "base_model": [None, None, None, "p"],
            "license_class": ["undeclared", "custom", "permissive", "custom"],
        }
    )
    assert by_change(cl.lineage_changes(cards)) == {"same": 1}


def test_no_edges_and_errors():
    lone = CARDS.head(1)
    assert cl.lineage_changes(lone, order=ORDERED, by="relation").is_empty()
    assert cl.lineage_summary(lone, by="relation").is_empty()
    with pytest.raises(cl.MissingColumn, match=r"with_licenses\(cards\)"):
        cl.lineage_changes(CARDS.drop("license_class"))
    with pytest.raises(cl.MissingColumn, match="'tags'"):
        cl.lineage_summary(CARDS.drop("tags"), by="relation")
    with pytest.raises(cl.CardlabError, match="relations must be one of"):
        cl.lineage_changes(CARDS, relations=["copy"])
    with pytest.raises(cl.CardlabError, match="by must be one of"):
        cl.lineage_changes(CARDS, by="author")
    with pytest.raises(cl.CardlabError, match="neither|must hold strings"):
        cl.lineage_changes(CARDS.with_columns(n=pl.lit(1)), column="n")


@pytest.mark.parametrize("name", ["models_radar_2026.parquet", "models_frameworks_2026.parquet"])
def test_changes_of_real_cards_equal_plain_python(name):
    cards = cl.with_licenses(cl.scan_cards(real_file(name)))
    rows = cards.select("id", "base_model", "license_class", "tags").collect().rows()
    value, parents, relation = {}, {}, {}
    for card, base, license_class, tags in rows:
        value.setdefault(card, None)
        if value[card] is None and license_class != "undeclared":
            value[card] = license_class
        named = parents.setdefault(card, [])
        named += [p for p in base or [] if p.strip() and p != card and p not in named]
        for tag in tags or []:
            parts = tag.split(":", 2)
            if len(parts) == 3 and parts[0] == "base_model":
                relation.setdefault((card, parts[2]), parts[1])
    expected = Counter(
        (relation.get((card, parent)), value.get(parent), value[card], parent in value)
        for card, named in parents.items()
        for parent in named
    )
    found = cl.lineage_changes(cards, order=ORDERED, by="relation")
    assert set(found["change"]) <= set(CHANGES)
    assert {
        (r, p, c, change != "parent not in corpus"): n
        for r, p, c, change, n in found.select(
            "relation", "parent_value", "child_value", "change", "n_edges"
        ).iter_rows()
    } == expected
    assert found["n_edges"].sum() == cl.lineage_summary(cards)["n_edges"][0]
    compared = found.drop_nulls("declared_share")
    sums = compared.group_by("relation").agg(pl.col("declared_share").sum())["declared_share"]
    assert all(total == pytest.approx(1) for total in sums)
