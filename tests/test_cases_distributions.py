"""Inputs that go wrong in licences, languages, counts of them and what is drawn of these."""

from __future__ import annotations

import time

import duckdb
import polars as pl
import pytest
from conftest import real_file

import cardlab as cl
from cardlab.language_checks import language_problems
from cardlab.languages import SUSPICIOUS, language_codes
from cardlab.licenses import find_license, license_problems
from cardlab.licenses.reading import read_license
from cardlab.licenses.tables import rows_of

LICENSE_CLASSES = {
    "weak copyleft": [
        *("ms-pl", "MS-PL", "Microsoft Public License", "ms-rl", "MS-LPL", "eupl-1.1", "eupl-1.2"),
        *("EUPL-1.0", "mpl-2.0", "MPL-1.1", "lgpl-2.1", "lgpl-3.0", "lgpl", "lppl-1.3c"),
        *("LPPL-1.2", "CECILL-C", "ofl-1.1", "epl-2.0"),
    ],
    "share-alike": [
        *("odbl", "ODbL-1.0", "Open Database License", "cc-by-sa-4.0", "cc-by-sa-3.0", "cc-by-sa"),
        *("CC-BY-SA-2.5", "cdla-sharing-1.0", "cdla-sharing", "gfdl", "GFDL-1.3-only", "lgpl-lr"),
        *("LAL-1.3", "https://creativecommons.org/licenses/by-sa/4.0/"),
        "https://opendatacommons.org/licenses/odbl/1-0/",
    ],
    "permissive": [
        *("wtfpl", "WTFPL v2", "cdla-permissive-1.0", "cdla-permissive-2.0", "cdla-permissive"),
        *("odc-by", "afl-3.0", "apple-ascl", "openmdw"),
    ],
    "public domain": ["pddl", "cc0-1.0", "unlicense"],
    "strong copyleft": ["osl-3.0", "agpl-3.0", "gpl", "CECILL-2.1"],
    "use-restricted": [
        *("captchakraken-source-available-v1.1", "source-available", "acme-apps-only"),
        *("mobile-apps-only", "nvidia-internal", "acme-internal-use-only", "cc-by-nd-4.0"),
        *("apache-2.0-with-commons-clause", "bigcode-openrail-m"),
    ],
    "custom": [
        *("apache-2.0-with-naming-clause", "mit-with-attribution", "apache-2.0-modified"),
        *("research-preview-see-card", "custom-see-readme", "other"),
    ],
    "unknown": [
        *("unspecified-base-model-license", "unspecified", "not-specified-by-author", "cc"),
        *("unknown", "unknown-base-license"),
    ],
    "non-commercial": [
        *("cc-by-nc-sa-4.0", "CC-BY-NC-SA-2.5", "mit-with-non-commercial-clause", "research-only"),
    ],
}


@pytest.mark.parametrize(
    ("license_class", "text"),
    [(name, text) for name, texts in LICENSE_CLASSES.items() for text in texts],
)
def test_N17_classes_go_by_the_terms(license_class, text):
    assert find_license(text).license_class == license_class


def test_N17_every_row_says_where_its_class_is_from():
    for table in ("licenses", "license_families"):
        for row in rows_of(table):
            known = row["source"].startswith(("https://", "the name itself", "assumed", "the Hub"))
            assert known, row
    listed = license_problems(pl.DataFrame({"license": ["yi", "acme-internal", "MIT", "odbl 1.0"]}))
    source = dict(listed.select("value", "source").iter_rows())
    assert source["yi"] == "assumed"
    assert source["acme-internal"] == "the name itself"
    assert source["MIT"] == "https://spdx.org/licenses/MIT.html"
    # what LicenseDB says otherwise is said
    reasons = {row["keyword"]: row["reason"] for row in rows_of("licenses")}
    assert "LicenseDB: Public Domain" in reasons["wtfpl"]
    assert "LicenseDB: Permissive" in reasons["ms-pl"]


def test_N17_share_alike_stands_between_weak_and_strong_copyleft():
    cards = pl.DataFrame(
        {
            "id": ["o/base", "o/child", "o/sibling"],
            "license": [["odbl"], ["mpl-2.0"], ["gpl-3.0"]],
            "base_model": [[], ["o/base"], ["o/base"]],
        }
    )
    found = cl.license_conflicts(cards)
    assert found.select("id", "license_class", "base_class").rows() == [
        ("o/child", "weak copyleft", "share-alike")
    ]
    text = cl.plot_lineage(cl.lineage_changes(cl.with_licenses(cards))).to_json()
    assert "share-alike" in text


LANGUAGES = {
    "en-fr": ("en", "fr"),
    "fr-de": ("fr", "de"),
    "en_fr": ("en", "fr"),
    "EN-FR": ("en", "fr"),
    "en-zh": ("en", "zh"),
    "de-en": ("de", "en"),
    "hi-bn": ("hi", "bn"),
    "en-vi": ("en", "vi"),
    "eng-fra": ("en", "fr"),
    "en-fr-de": ("en", "fr", "de"),
    "eng_Latn-fra_Latn": ("en", "fr"),
    "en, fr": ("en", "fr"),
    "en/fr": ("en", "fr"),
    "en de nl es": ("en", "de", "nl", "es"),
    "English and French": ("en", "fr"),
    "English-French": ("en", "fr"),
    "fr-FR": ("fr",),
    "en-FR": ("en",),
    "ja-JA": ("ja",),
    "pt-br": ("pt",),
    "pt-BR": ("pt",),
    "fr-ca": ("fr",),
    "es-ar": ("es",),
    "zh-tw": ("zh",),
    "zh-hans": ("zh",),
    "zh_CN": ("zh",),
    "en-us": ("en",),
    "sr-latn": ("sr",),
    "es-419": ("es",),
    "zh-cmn": ("zh",),
    "fiu-vro": ("vro",),
    "bat-smg": ("sgs",),
    "roa-rup": ("rup",),
    "zh-min-nan": ("nan",),
    "zh-yue": ("yue",),
    "zh-classical": ("lzh",),
    "be-x-old": ("be",),
    "nds-nl": ("nds",),
    "map-bms": ("jv",),
    "cbk-zam": ("cbk",),
    "simple": ("en",),
    "English": ("en",),
    "english": ("en",),
    "Deutsch": ("de",),
    "Français": ("fr",),
    "中文": ("zh",),
    "日本語": ("ja",),
    "Русский": ("ru",),
    "Simplified Chinese": ("zh",),
    "Chinese (Simplified)": ("zh",),
    "English (en)": ("en",),
    "[en]": ("en",),
    "multilingual": (),
    "code": (),
    "jp": (),
    "music": (),
    "python": (),
    "scientific english": (),
}


@pytest.mark.parametrize(("text", "codes"), LANGUAGES.items())
def test_N18_all_languages_of_a_value(text, codes):
    assert language_codes(text) == codes


def test_N18_pairs_count_in_each_language_on_every_engine():
    values = [["en-fr", "en"], ["fr-de"], ["English", "kr"], None, []]
    cards = pl.DataFrame({"languages": values}, schema={"languages": pl.List(pl.String)})
    expected = {"en": 2, "fr": 2, "de": 1, "kr": 1}
    table = duckdb.connect().from_arrow(cards.to_arrow())
    for frame in (cards, cards.lazy(), table):
        counts = cl.language_counts(frame)
        assert dict(counts.select("language", "n_cards").iter_rows()) == expected
        assert set(counts["n_declared"]) == {3}
    grouped = cl.language_counts(cards.with_columns(task=pl.lit("t")), by="task")
    assert dict(grouped.select("language", "n_cards").iter_rows()) == expected
    added = cl.with_languages(cards.lazy()).collect()["language_codes"].to_list()
    assert added == [["en", "fr"], ["fr", "de"], ["en", "kr"], None, []]
    raw = cl.language_counts(cards, raw=True)
    assert dict(raw.select("language", "language_code").iter_rows())["en-fr"] == "en, fr"


@pytest.mark.parametrize("value", [*SUSPICIOUS, "und", "mul", "multilingual"])
def test_N18_what_is_probably_not_meant_is_listed(value):
    cards = pl.DataFrame({"languages": [[value], ["en"]]})
    found = language_problems(cards)
    assert found["value"].to_list() == [value]
    if value in SUSPICIOUS:
        row = cl.language_counts(cards).filter(pl.col("language") == value).row(0, named=True)
        assert row["name"] is None  # no page says Kanuri where Korean may be meant
        assert found["perhaps"][0] == SUSPICIOUS[value]


def test_N18_no_pair_of_real_cards_is_read_as_one_language():
    cards = cl.scan_cards(real_file("hub_2022_cards.librarian.parquet"))
    found = language_problems(cards)
    pairs = found.filter(pl.col("value").str.contains(r"^[a-z]{2}-[a-z]{2}$"))
    assert pairs.height >= 15
    for value, code, reason in pairs.select("value", "code", "reason").iter_rows():
        assert code == value.replace("-", ", ") and reason == "several languages in one value"
    named = dict(found.select("value", "code").iter_rows())
    assert named["English"] == "en" and named["Chinese"] == "zh" and named["sv-SE"] == "sv"


def test_U03_lists_of_licences_cost_the_same_lazily(tmp_path):
    cards = cl.make_cards(20_000, text=False, embedding_dim=0).select("id", "license", "languages")
    path = tmp_path / "cards.parquet"
    cards.write_parquet(path, row_group_size=2_000)
    read_license.cache_clear()

    def seconds(run):
        taken = []
        for _ in range(3):
            start = time.process_time()
            run()
            taken.append(time.process_time() - start)
        return min(taken)

    def read():
        return cl.read_cards(path, columns=["id", "license", "languages"])

    def lazily(add, *columns):
        return add(cl.scan_cards(path)).select(columns).collect(engine="streaming")

    whole = read()
    spoken = lazily(cl.with_languages, "language_codes")
    assert spoken.equals(cl.with_languages(whole).select("language_codes"))
    columns = ("license_spdx", "license_class")
    lazy = seconds(lambda: lazily(cl.with_licenses, *columns))
    assert lazily(cl.with_licenses, *columns).equals(cl.with_licenses(whole).select(columns))
    # each string is read once, however many batches there are
    distinct = whole["license"].explode().drop_nulls().n_unique()
    assert read_license.cache_info().misses == distinct
    eager = seconds(lambda: cl.with_licenses(whole)) + seconds(read)
    assert lazy < 1.5 * eager + 0.2
