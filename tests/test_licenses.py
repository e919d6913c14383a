"""Licences: the table, the names, the classes, and counts of real cards against plain Python."""

from __future__ import annotations

import csv
from collections import Counter
from importlib.resources import files

import duckdb
import polars as pl
import pytest
from conftest import real_file
from hypothesis import given, settings
from hypothesis import strategies as st

from cardlab.cards import scan_cards
from cardlab.licenses.counts import license_counts, with_licenses
from cardlab.licenses.reading import CLASSES, read_license
from cardlab.schema import CardlabError, MissingColumn

TABLE = list(
    csv.DictReader(
        files("cardlab").joinpath("data", "licenses.csv").read_text("utf-8").splitlines()
    )
)
HOSTILE = [
    "mit\x00",
    "\x1b[31mmit",
    "</script>",
    "x" * 10_000,
    "\u202emit",
    "",
    " ",
    "MIT\nApache-2.0",
]

declared = st.one_of(
    st.sampled_from(["mit", "MIT", "llama2", "other", "GPL-3.0", "own terms"]), st.text()
)
lists = st.one_of(st.none(), st.lists(declared, max_size=4))


def real(name):
    return scan_cards(real_file(name))


def frame(values):
    return pl.DataFrame({"license": values}, schema={"license": pl.List(pl.String)})


def test_the_table_has_the_hubs_keywords_each_with_class_and_reason():
    assert len(TABLE) == len({row["keyword"] for row in TABLE}) == 83
    assert {row["license_class"] for row in TABLE} == set(CLASSES) - {"undeclared"}
    for row in TABLE:
        assert row["keyword"] == row["keyword"].strip().lower()
        assert row["name"]
        assert row["reason"]
        assert row["source"].startswith(("https://", "the Hub's list of keywords (", "assumed"))
        assert None not in row
        found = read_license(row["keyword"])[:2]
        assert found == (row["spdx"] or row["keyword"], row["license_class"])
    ids = [row["spdx"] for row in TABLE if row["spdx"]]
    assert len(ids) == len(set(ids))


def test_the_table_agrees_with_licensedb_where_it_has_the_licence():
    from cardlab.licenses.reading import spdx

    ids = spdx()[0]
    differ = {
        row["keyword"]
        for row in TABLE
        if row["spdx"].lower() in ids
        and ids[row["spdx"].lower()].license_class != row["license_class"]
    }
    assert differ == {"wtfpl", "ms-pl"}  # their reasons say what LicenseDB has
    assert all("LicenseDB" in row["reason"] for row in TABLE if row["keyword"] in differ)
    # the ids themselves are SPDX's; the one exception is younger than the list that is shipped
    strange = {row["spdx"] for row in TABLE if row["spdx"].lower() not in {*ids, ""}}
    assert strange <= {"OpenMDW-1.0"}


@pytest.mark.parametrize(
    ("text", "name", "license_class"),
    [
        ("apache-2.0", "Apache-2.0", "permissive"),
        ("Apache 2.0", "Apache-2.0", "permissive"),
        ("apache license 2.0", "Apache-2.0", "permissive"),
        (" MIT ", "MIT", "permissive"),
        ("CC_BY_SA 4.0", "CC-BY-SA-4.0", "share-alike"),
        ("bsl-1.0", "BSL-1.0", "permissive"),
        ("BUSL-1.1", "BUSL-1.1", "use-restricted"),
        ("bsl-1.1", "BUSL-1.1", "use-restricted"),
        ("GPLv3+", "GPL-3.0-or-later", "strong copyleft"),
        ("GNU General Public License v3.0", "GPL-3.0", "strong copyleft"),
        ("The MIT License (MIT)", "MIT", "permissive"),
        ("license: mit", "MIT", "permissive"),
        ("MIT?", "MIT?", "unknown"),
        ("Apache License, Version 2.0", "Apache-2.0", "permissive"),
        ("cc-by-2-0", "CC-BY-2.0", "permissive"),
        ("CC\u2011BY\u20114.0", "CC-BY-4.0", "permissive"),
        ("CC BY-NC-SA 4.0 International", "CC-BY-NC-SA-4.0", "non-commercial"),
        ("cc-by-nc", "cc-by-nc", "non-commercial"),
        ("bsd-3-clause-lbnl", "BSD-3-Clause-LBNL", "permissive"),
        ("gpl-3.0", "GPL-3.0", "strong copyleft"),
        ("GPL-3.0-or-later", "GPL-3.0-or-later", "strong copyleft"),
        ("gpl-3.0+", "GPL-3.0-or-later", "strong copyleft"),
        ("gpl", "gpl", "strong copyleft"),
        ("cc", "cc", "unknown"),
        ("cc-by-nc-sa-1.0", "CC-BY-NC-SA-1.0", "non-commercial"),
        ("polyform-noncommercial-1.0.0", "PolyForm-Noncommercial-1.0.0", "non-commercial"),
        ("odc-by", "ODC-By-1.0", "permissive"),
        ("LLAMA2", "llama2", "model-specific"),
        ("openrail++", "openrail++", "use-restricted"),
        ("other", "other", "custom"),
        ("unknown", "unknown", "unknown"),
        ("PUBLIC DOMAIN NOTICE", "public-domain-notice", "public domain"),
        ("MIT or Apache-2.0", "MIT OR Apache-2.0", "permissive"),
        ("llama2 OR mit", "llama2 OR MIT", "permissive"),
        ("llama2 and mit", "llama2 AND MIT", "model-specific"),
        ("mit, mit", "MIT", "permissive"),
        ("mit, gpl-3.0", "MIT AND GPL-3.0", "strong copyleft"),
        ("(mit or gpl-3.0) and cc0", "(MIT OR GPL-3.0) AND CC0-1.0", "permissive"),
        ("mit or own terms", "mit or own terms", "unknown"),
        ("mit and (gpl-3.0", "mit and (gpl-3.0", "unknown"),
        ("gpl-3.0-or-later and mit", "GPL-3.0-or-later AND MIT", "strong copyleft"),
        ("apache-2.0-and-gemma-terms", "Apache-2.0 AND gemma", "model-specific"),
        ("Apache-2.0 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception", "permissive"),
        (
            "GPL-2.0-only with Classpath-exception-2.0",
            "GPL-2.0-only WITH Classpath-exception-2.0",
            "weak copyleft",
        ),
        ("MIT WITH mit", "MIT WITH mit", "unknown"),
        ("https://opensource.org/licenses/MIT/", "MIT", "permissive"),
        ("HTTP://creativecommons.org/licenses/by-nc/4.0", "CC-BY-NC-4.0", "non-commercial"),
        ("https://example.org/license", "https://example.org/license", "unknown"),
        ("https://opensource.org/licenses/own", "https://opensource.org/licenses/own", "unknown"),
        ("lfm1.0", "lfm1.0", "model-specific"),
        ("LFM 1.0", "lfm-1.0", "model-specific"),
        ("openmdw-1.1", "openmdw-1.1", "permissive"),
        ("qwen", "qwen", "model-specific"),
        ("qwen-research", "qwen-research", "non-commercial"),
        ("nvidia-open-model-license", "nvidia-open-model-license", "model-specific"),
        ("exaone", "exaone", "non-commercial"),
        ("acme-community-license", "acme-community-license", "model-specific"),
        ("acme-license-1.0", "acme-license-1.0", "custom"),
        ("custom license", "other", "custom"),
        ("modified-mit", "modified-mit", "custom"),
        ("see-base-model", "see-base-model", "custom"),
        ("none", "none", "unknown"),
        ("open source license", "open source license", "unknown"),
        ("mit for code, weights non-commercial", "mit for code, weights non-commercial", "unknown"),
        ("389-exception", "389-exception", "unknown"),
        ("LicenseRef-scancode-abrms", "LicenseRef-scancode-abrms", "unknown"),
    ],
)
def test_names_and_classes(text, name, license_class):
    assert read_license(text)[:2] == (name, license_class)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_not_recognised_stays_as_written(text):
    assert read_license(text)[:2] == (text, "unknown")


@given(declared)
def test_a_name_has_the_name_and_class_of_what_it_names(text):
    found = read_license(text)[:2]
    assert read_license(found[0])[:2] == found


def test_with_licenses_adds_two_columns_and_keeps_null_apart_from_empty():
    cards = frame([["MIT", "mit"], None, [], ["llama2", "other"], ["apache-2.0", "other"], [None]])
    found = with_licenses(cards)
    assert found.columns == ["license", "license_spdx", "license_class"]
    assert found["license"].equals(cards["license"])
    assert found["license_spdx"].to_list() == [
        ["MIT"],
        None,
        [],
        ["llama2", "other"],
        ["Apache-2.0", "other"],
        [],
    ]
    assert found["license_class"].to_list() == [
        "permissive",
        "undeclared",
        "undeclared",
        "model-specific",
        "custom",
        "undeclared",
    ]
    assert with_licenses(found).equals(found)
    strings = with_licenses(pl.DataFrame({"license": ["MIT", None]}))
    assert strings["license_spdx"].to_list() == [["MIT"], None]


def test_the_most_restrictive_class_wins():
    samples = {row["license_class"]: row["keyword"] for row in TABLE}
    order = CLASSES[1:]
    for i, low in enumerate(order):
        for high in order[i:]:
            found = with_licenses(
                frame([[samples[high], samples[low]], [samples[low], samples[high]]])
            )
            assert found["license_class"].to_list() == [high, high]


def test_lazy_in_lazy_out_and_no_other_column_read(tmp_path):
    cards = frame([["mit"]]).with_columns(text=pl.lit("body"), id=pl.lit("a"))
    cards.write_parquet(tmp_path / "cards.parquet")
    found = with_licenses(pl.scan_parquet(tmp_path / "cards.parquet"))
    assert isinstance(found, pl.LazyFrame)
    assert "PROJECT 1/3 COLUMNS" in found.select("license_spdx", "license_class").explain()
    assert found.collect().equals(with_licenses(cards))


def test_counts_by_hand():
    cards = frame([["MIT", "mit"], ["mit"], None, [], ["llama2", "other"], ["own\x00terms"]])
    found = license_counts(cards)
    assert found.columns == [
        "license",
        "license_class",
        "n_cards",
        "n_declared",
        "card_share",
        "share_low",
        "share_high",
        "n_group",
        "declared_share",
        "declared_low",
        "declared_high",
    ]
    assert found.select("license", "license_class", "n_cards", "n_declared").rows() == [
        ("MIT", "permissive", 2, 4),
        ("llama2", "model-specific", 1, 4),
        ("other", "custom", 1, 4),
        ("own\x00terms", "unknown", 1, 4),
    ]
    assert found["card_share"].to_list() == [2 / 6, 1 / 6, 1 / 6, 1 / 6]
    raw = license_counts(cards, raw=True)
    assert raw.select("license", "license_class", "n_cards").rows()[:2] == [
        ("mit", "permissive", 2),
        ("MIT", "permissive", 1),
    ]
    assert license_counts(cards, classes=True).select("license_class", "n_cards").rows() == [
        ("permissive", 2),
        ("undeclared", 2),
        ("model-specific", 1),
        ("unknown", 1),
    ]


@given(values=st.lists(lists, max_size=12), random=st.randoms(use_true_random=False))
@settings(deadline=None)
def test_invariants(values, random):
    found = license_counts(frame(values))
    again = [[*value, *value] if value else value for value in values]
    random.shuffle(again)
    assert license_counts(frame(again)).equals(found)
    for n, n_declared, share, low, high in found.select(
        "n_cards", "n_declared", "card_share", "share_low", "share_high"
    ).rows():
        assert 1 <= n <= n_declared <= len(values)
        assert 0 <= low <= share <= high <= 1
    classes = license_counts(frame(values), classes=True)
    assert classes["n_cards"].sum() == len(values)
    per_card = Counter(with_licenses(frame(values))["license_class"])
    assert dict(classes.select("license_class", "n_cards").iter_rows()) == per_card
    names = Counter(
        name for row in with_licenses(frame(values))["license_spdx"].to_list() for name in row or []
    )
    assert dict(found.select("license", "n_cards").iter_rows()) == names


def test_hostile_strings_count_the_same_on_duckdb():
    cards = frame([HOSTILE, HOSTILE[:3], ["mit"], None])
    table = duckdb.connect().from_arrow(cards.to_arrow())
    for raw in (True, False):
        found = license_counts(cards, raw=raw)
        assert found.height == len(HOSTILE) + 1
        assert found["n_cards"].max() == 2
        assert license_counts(table, raw=raw).equals(found)
    assert license_counts(table, classes=True).equals(license_counts(cards, classes=True))


def test_no_cards():
    for cards in (frame([]), frame([None, []])):
        assert license_counts(cards).is_empty()
        assert license_counts(cards, raw=True).is_empty()
        assert license_counts(cards).schema["license_class"] == pl.String
        assert license_counts(cards, classes=True)["n_cards"].sum() == cards.height


def test_errors():
    with pytest.raises(MissingColumn, match="front matter"):
        license_counts(pl.DataFrame({"id": ["a"]}))
    with pytest.raises(MissingColumn):
        with_licenses(pl.DataFrame({"id": ["a"]}))
    with pytest.raises(CardlabError, match="Rename yours first"):
        license_counts(frame([["mit"]]), by="license")


@pytest.mark.parametrize(
    "name",
    [
        "model_cards.seed",
        "models_radar_2026",
        "models_frameworks_2026",
        "dataset_cards.librarian",
        "models_vendors_2026",
    ],
)
def test_raw_counts_of_real_cards_equal_plain_python(name):
    cards = real(f"{name}.parquet").select("id", "license", "library_name").collect()
    found = license_counts(cards, raw=True)
    expected = Counter(item for row in cards["license"] if row is not None for item in set(row))
    assert dict(found.select("license", "n_cards").iter_rows()) == expected
    assert set(found["n_declared"]) == {sum(bool(row) for row in cards["license"].to_list())}
    names = Counter(
        item
        for row in cards["license"]
        if row is not None
        for item in {read_license(text).name for text in row}
    )
    assert dict(license_counts(cards).select("license", "n_cards").iter_rows()) == names
    by = Counter(
        (library, item)
        for row, library in cards.select("license", "library_name").iter_rows()
        for item in set(row or [])
    )
    grouped = license_counts(cards, by="library_name", raw=True)
    assert {
        (g, v): n for g, v, n in grouped.select("library_name", "license", "n_cards").iter_rows()
    } == by


def test_known_counts_of_real_cards():
    cards = real("model_cards.seed.parquet")
    raw = dict(license_counts(cards, raw=True).select("license", "n_cards").iter_rows())
    assert (raw["apache-2.0"], raw["mit"], raw["MIT"]) == (717, 371, 12)
    named = dict(license_counts(cards).select("license", "n_cards").iter_rows())
    assert (named["Apache-2.0"], named["MIT"]) == (717, 383)
    assert (
        license_counts(cards, classes=True)["n_cards"].sum()
        == cards.select(pl.len()).collect().item()
    )
