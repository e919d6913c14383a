"""Languages: codes, names, macrolanguages, and counts of real cards against plain Python."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import duckdb
import polars as pl
import pytest
from conftest import real_file
from hypothesis import given, settings
from hypothesis import strategies as st

from cardlab.cards import scan_cards
from cardlab.languages import (
    SUSPICIOUS,
    language_code,
    language_codes,
    language_counts,
    language_name,
    with_languages,
)
from cardlab.schema import CardlabError, MissingColumn

codes = st.one_of(
    st.sampled_from(["en", "EN", "eng", "en_US", "nb", "no", "iw", "he", "code", "English"]),
    st.text(),
    st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", max_size=12),
)
lists = st.one_of(st.none(), st.lists(codes, max_size=4))


def real(name):
    return scan_cards(real_file(name))


def frame(values):
    return pl.DataFrame({"languages": values}, schema={"languages": pl.List(pl.String)})


def as_dict(counts):
    return dict(counts.select("language", "n_cards").iter_rows())


@pytest.mark.parametrize(
    ("text", "code", "name"),
    [
        ("en", "en", "English"),
        ("EN", "en", "English"),
        (" en ", "en", "English"),
        ("en-US", "en", "English"),
        ("zh_CN", "zh", "Chinese"),
        ("zh-Hant", "zh", "Chinese"),
        ("sr-Latn", "sr", "Serbian"),
        ("eng", "en", "English"),
        ("ger", "de", "German"),
        ("iw", "he", "Hebrew"),
        ("in", "id", "Indonesian"),
        ("zh-yue", "yue", "Cantonese"),
        ("i-klingon", "tlh", "Klingon"),
        ("cmn", "cmn", "Mandarin Chinese"),
        ("nb", "nb", "Norwegian Bokmål"),
        ("no", "no", "Norwegian"),
        ("sh", "sh", "Serbo-Croatian"),
        ("hbs", "sh", "Serbo-Croatian"),
        ("tl", "tl", "Tagalog"),
        ("tgl-PH", "tl", "Tagalog"),
        ("fil", "fil", "Filipino"),
        ("prs", "prs", "Dari"),
        ("fr-de", "fr, de", "French, German"),
        ("fr-CA", "fr", "French"),
        ("English", "en", "English"),
        ("'en-US'", "en", "English"),
        ("und", "und", "Unknown language"),
        ("qaa", "qaa", None),
    ],
)
def test_codes_and_names(text, code, name):
    assert (language_code(text), language_name(text)) == (code, name)


@pytest.mark.parametrize(
    "text",
    [
        *("code", "multilingual", "jp", "scientific English", "en-multilingual", "tl-XX1", "x-own"),
        *(
            "en\x00",
            "ŋ",
            "",
            " ",
            "-",
            "en-",
            "e" * 10_000,
            "en-" * 5_000,
        ),
    ],
)
def test_what_is_no_code_stays_as_written_without_a_name(text):
    assert language_code(text) is None
    assert language_name(text) is None
    assert with_languages(frame([[text]]))["language_codes"].to_list() == [[text]]
    assert language_counts(frame([[text]])).select("language", "name").rows() == [(text, None)]


@given(codes)
@settings(deadline=None)
def test_a_code_has_itself_as_code(text):
    code = language_code(text)
    assert code is None or language_code(code) == code


def test_every_macrolanguage_is_a_code_and_no_member_of_another():
    from langcodes.data_dicts import MACROLANGUAGES

    counted = language_counts(frame([[member] for member in MACROLANGUAGES]), macrolanguages=True)
    assert set(counted["language"]) == set(MACROLANGUAGES.values())
    assert not set(MACROLANGUAGES) & set(MACROLANGUAGES.values())
    assert set(counted.filter(pl.col("name").is_null())["language"]) <= set(SUSPICIOUS)


def test_with_languages_adds_one_column_and_keeps_null_apart_from_empty():
    cards = frame([["en", "EN", "code"], None, [], ["nb", "no", "iw"], [None]])
    found = with_languages(cards)
    assert found.columns == ["languages", "language_codes"]
    assert found["languages"].equals(cards["languages"])
    assert found["language_codes"].to_list() == [["en", "code"], None, [], ["nb", "no", "he"], []]
    strings = with_languages(pl.DataFrame({"languages": ["ENG", None]}))
    assert strings["language_codes"].to_list() == [["en"], None]


def test_lazy_in_lazy_out_and_no_other_column_read(tmp_path):
    cards = frame([["eng"]]).with_columns(text=pl.lit("body"), id=pl.lit("a"))
    cards.write_parquet(tmp_path / "cards.parquet")
    found = with_languages(pl.scan_parquet(tmp_path / "cards.parquet"))
    assert isinstance(found, pl.LazyFrame)
    assert "PROJECT 1/3 COLUMNS" in found.select("language_codes").explain()
    assert found.collect().equals(with_languages(cards))


def test_counts_by_hand():
    cards = frame([["en", "EN"], ["eng", "nb"], ["nn", "no"], ["cmn", "zh"], None, [], ["code"]])
    found = language_counts(cards)
    assert found.columns == [
        "language",
        "name",
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
    assert as_dict(found) == {"en": 2, "cmn": 1, "code": 1, "nb": 1, "nn": 1, "no": 1, "zh": 1}
    assert found.row(0, named=True)["card_share"] == 2 / 7
    assert set(found["n_declared"]) == {5}
    merged = language_counts(cards, macrolanguages=True)
    assert as_dict(merged) == {"en": 2, "no": 2, "code": 1, "zh": 1}
    assert as_dict(language_counts(cards, raw=True))["EN"] == 1
    names = dict(language_counts(cards, raw=True).select("language", "name").iter_rows())
    assert names["eng"] == names["EN"] == "English"
    assert names["code"] is None


@given(values=st.lists(lists, max_size=10), random=st.randoms(use_true_random=False))
@settings(deadline=None)
def test_invariants(values, random):
    again = [[*value, *value] if value else value for value in values]
    random.shuffle(again)
    for choice in ({}, {"macrolanguages": True}, {"raw": True}):
        found = language_counts(frame(values), **choice)
        assert language_counts(frame(again), **choice).equals(found)
        for n, n_declared, share, low, high in found.select(
            "n_cards", "n_declared", "card_share", "share_low", "share_high"
        ).rows():
            assert 1 <= n <= n_declared <= len(values)
            assert 0 <= low <= share <= high <= 1


def test_one_card_with_thousands_of_languages_and_hostile_strings():
    many = [
        f"{a}{b}{c}"
        for a in "abcdefghij"
        for b in "abcdefghijklmnopqrst"
        for c in "abcdefghijklmnopqrstu"
    ]
    cards = frame([[*many[:4024], "x" * 10_000, "en\x00\x1b"], ["en\x00\x1b"], many[:2] * 2])
    table = duckdb.connect().from_arrow(cards.to_arrow())
    found = language_counts(cards, raw=True)
    assert found.height == 4026
    assert found["n_cards"].sum() == 4029
    for choice in ({}, {"macrolanguages": True}, {"raw": True}):
        assert language_counts(table, **choice).equals(language_counts(cards, **choice))
    assert as_dict(language_counts(cards))["en\x00\x1b"] == 2


def test_no_cards():
    for cards in (frame([]), frame([None, []])):
        found = language_counts(cards)
        assert found.is_empty()
        assert found.schema["name"] == pl.String
        assert with_languages(cards).height == cards.height


def test_errors():
    with pytest.raises(MissingColumn, match="'languages'"):
        language_counts(pl.DataFrame({"id": ["a"]}))
    with pytest.raises(MissingColumn):
        with_languages(pl.DataFrame({"id": ["a"]}))
    with pytest.raises(CardlabError, match="one of the two"):
        language_counts(frame([["en"]]), raw=True, macrolanguages=True)
    cards = frame([["en"]]).with_columns(name=pl.lit("n"))
    with pytest.raises(CardlabError, match="Rename yours first"):
        language_counts(cards, by="name")


def test_langcodes_is_imported_when_first_used():
    code = "import sys, cardlab.languages; sys.exit('langcodes' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1]).returncode == 0
    )


@pytest.mark.parametrize(
    "name",
    ["model_cards.seed", "models_radar_2026", "dataset_cards.librarian"],
)
def test_raw_counts_of_real_cards_equal_plain_python(name):
    cards = real(f"{name}.parquet").select("id", "languages", "license").collect()
    expected = Counter(item for row in cards["languages"] if row is not None for item in set(row))
    found = language_counts(cards, raw=True)
    assert as_dict(found) == expected
    assert set(found["n_declared"]) == {sum(bool(row) for row in cards["languages"].to_list())}
    coded = Counter(
        item
        for row in cards["languages"]
        if row is not None
        for item in {code for text in row for code in language_codes(text) or [text]}
    )
    assert as_dict(language_counts(cards)) == coded
    by = Counter(
        (license_, item)
        for row, licenses in cards.select("languages", "license").iter_rows()
        for item in set(row or [])
        for license_ in set(licenses or []) or {None}
    )
    grouped = language_counts(cards, by="license", raw=True).select(
        "license", "language", "n_cards"
    )
    assert {(group, value): n for group, value, n in grouped.iter_rows()} == by


def test_known_counts_of_real_cards():
    cards = real("model_cards.seed.parquet")
    assert as_dict(language_counts(cards, raw=True))["en"] == 1071
    found = language_counts(cards)
    assert found.row(0)[:2] == ("en", "English")
    assert found.row(0, named=True)["n_cards"] >= 1071


def test_a_listing_without_languages_says_so():
    with pytest.raises(MissingColumn, match="languages"):
        language_counts(real("models_frameworks_2026.parquet"))
