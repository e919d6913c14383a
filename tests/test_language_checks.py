"""What is odd about declared languages: reasons by hand, invariants, and real cards."""

from __future__ import annotations

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cardlab as cl
from cardlab.languages import (
    COUNTRIES,
    SPECIAL,
    SUSPICIOUS,
    language_code,
    language_counts,
    language_problems,
)
from cardlab.schema import MissingColumn

values = st.one_of(
    st.sampled_from(
        ["en", "EN", "eng", "en_US", "zh-yue", "zh-cmn", "no-bok", "kr", "jp", "de-en"]
    ),
    st.text(max_size=8),
    st.text("abcdehnrxz0123456789-_ ", max_size=12),
)


def frame(lists):
    return pl.DataFrame({"languages": lists}, schema={"languages": pl.List(pl.String)})


def reason(value):
    rows = language_problems(frame([[value]])).select("code", "reason", "perhaps").rows()
    return rows[0] if rows else None


@pytest.mark.parametrize(
    ("value", "code", "why", "perhaps"),
    [
        ("EN", "en", "upper case", None),
        (" en ", "en", "blanks around it", None),
        ("en_US", "en", "_ for -; region dropped", None),
        ("pt-BR", "pt", "region dropped", None),
        ("zh-Hant", "zh", "script dropped", None),
        ("ca-valencia", "ca", "variant dropped", None),
        ("en-US-x-foo", "en", "region dropped; extension dropped", None),
        ("iw", "he", "retired code", None),
        ("mol", "ro", "retired code", None),
        ("zh-yue", "yue", "a code of Wikipedia", None),
        ("zh-cmn", "zh", "extended language dropped", None),
        ("i-klingon", "tlh", "retired code", None),
        ("en-GB-oed", "en", "retired code", None),
        ("sgn-us", "ase", "retired code", None),
        ("KOR", "ko", "upper case; three letters for two", None),
        ("ger", "de", "three letters for two", None),
        ("deu", "de", "three letters for two", None),
        ("hbs", "sh", "three letters for two", None),
        ("tgl-PH", "tl", "three letters for two; region dropped", None),
        ("kr", None, "valid, but perhaps not meant", "ko"),
        ("KR", None, "valid, but perhaps not meant", "ko"),
        ("unk", None, "valid, but perhaps not meant", "und"),
        ("jp", None, "a country's code", "ja"),
        ("CN", None, "a country's code", "zh"),
        ("cz", None, "a country's code", "cs"),
        ("gr", None, "a country's code", "el"),
        ("english", "en", "a language's name", None),
        ("Simplified Chinese", "zh", "a language's name", None),
        ("multilingual", None, "a word of the Hub, no language", None),
        ("Code", None, "a word of the Hub, no language", None),
        ("de-en", "de, en", "several languages in one value", None),
        ("en, fr", "en, fr", "several languages in one value", None),
        ("en-jp", "en", "region dropped", "en, ja"),
        ("'en-US'", "en", "marks around it; region dropped", None),
        ("und", "und", "no particular language", None),
        ("", None, "empty", None),
        (" ", None, "empty", None),
        ("protein", None, "no valid code", None),
        ("x-private", None, "no valid code", None),
        ("\x1b[31men", None, "no valid code", None),
        ("english " * 1000, None, "no valid code", None),
    ],
)
def test_reasons(value, code, why, perhaps):
    assert reason(value) == (code, why, perhaps)


@pytest.mark.parametrize("value", ["en", "no", "sh", "tl", "yue", "ee", "tw"])
def test_a_plain_code_is_no_problem(value):
    assert reason(value) is None


def test_the_lists_say_what_they_claim():
    for country, code in COUNTRIES.items():
        assert language_code(country) is None
        assert language_code(code) == code
    for suspicious, code in SUSPICIOUS.items():
        assert language_code(suspicious) is None
        assert language_code(code) == code != suspicious


def test_counts_by_hand():
    found = language_problems(frame([["EN", "EN", "jp"], ["EN"], ["en"], None, []]))
    assert found.rows() == [
        ("EN", "en", "English", 2, 2 / 5, "upper case", None),
        ("jp", None, None, 1, 1 / 5, "a country's code", "ja"),
    ]
    assert language_problems(frame([["en"], None])).is_empty()
    assert language_problems(frame([])).schema == found.schema
    with pytest.raises(MissingColumn, match="languages"):
        language_problems(pl.DataFrame({"id": ["a"]}))


@given(st.lists(st.one_of(st.none(), st.lists(values, max_size=4)), max_size=8))
@settings(deadline=None)
def test_every_value_that_is_not_its_own_code_has_a_reason(lists):
    found = language_problems(frame(lists))
    said = {value for row in lists for value in row or []}
    odd = {value for value in said if language_code(value) != value}
    assert odd <= set(found["value"]) <= odd | set(SPECIAL)
    for value, code, why, n in found.select("value", "code", "reason", "n_cards").rows():
        assert code == language_code(value) and why
        assert n == sum(value in (row or []) for row in lists)
    assert language_problems(frame(lists[::-1])).equals(found)


def test_the_same_on_duckdb():
    cards = frame([["EN", "jp"], ["EN", "en"], None])
    table = duckdb.connect().from_arrow(cards.to_arrow())
    assert language_problems(table).equals(language_problems(cards))


@pytest.mark.parametrize("name", ["models_radar_2026", "model_cards.seed"])
def test_real_cards(data, name):
    cards = cl.scan_cards(str(data / f"{name}.parquet"))
    found = language_problems(cards)
    raw = language_counts(cards, raw=True)
    odd = raw.filter(
        pl.Series([language_code(value) != value or value in SPECIAL for value in raw["language"]])
    )
    assert found.select("value", "n_cards").rows() == odd.select("language", "n_cards").rows()
    assert found["reason"].null_count() == 0
    assert dict(found.select("value", "perhaps").iter_rows()).get("jw") is None
    assert found.row(0)[0] == "multilingual"
