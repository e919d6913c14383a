"""Inputs that go wrong in licences, languages, counts of them and what is drawn of these."""

from __future__ import annotations

import ast
import json
import time
from collections import Counter
from functools import partial

import duckdb
import numpy as np
import polars as pl
import pytest
from conftest import ROOT, real_file

import cardlab as cl
from cardlab import notebook as nb
from cardlab import replication
from cardlab.charts.base import tooltips
from cardlab.charts.counts import plot_card_rates
from cardlab.languages import SUSPICIOUS, language_codes, language_problems
from cardlab.licenses.problems import license_problems
from cardlab.licenses.reading import read_license, rows_of
from cardlab.schema import HEADINGS, is_share
from cardlab.text.lengths import length_histogram

#: Numbers of 0 to 1 that are an index or a probability, no share of anything.
INDICES = {
    *(
        "simpson",
        "simpson_low",
        "simpson_high",
        "gini",
        "gini_low",
        "gini_high",
        "p_value",
        "q_value",
    ),
    *("npmi", "leverage", "family_npmi", "family_q_value", "lift", "shannon_low"),
}
COLUMNS_N05 = ["id", "author", "languages"]

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
    assert read_license(text).license_class == license_class


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
    raw = pl.scan_parquet(real_file("hub_2022_cards.librarian.parquet")).select("modelId", "card")
    front = pl.col("card").str.head(1_000)
    some = raw.filter(front.str.contains(r"[-:] (?:[a-z]{2}-[a-z]{2}|sv-SE|English|Chinese)\s"))
    found = language_problems(cl.read_cards(some.collect()))
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


def test_N05_one_card_makes_no_headline():
    many = [f"x{i:04}" for i in range(2_111)]
    lists = [many, ["en"], ["fr"], ["en"], *[["en"], ["fr"], ["de", "en"]] * 10, None, []]
    tasks = ["led"] * 4 + ["own"] * 32
    cards = pl.DataFrame({"languages": lists, "task": tasks})
    found = cl.diversity(cards, column="languages", by="task", n_boot=200)
    led, own = (found.filter(pl.col("task") == name).row(0, named=True) for name in ("led", "own"))
    assert led["led_by_one"] and not own["led_by_one"]
    assert led["largest_card_share"] == 2_111 / 2_114
    assert led["hill_1_without"] < 2  # en twice, fr once
    assert led["hill_1_high"] - led["hill_1_low"] > 1_000  # whole cards are drawn
    assert 1 < own["hill_1_low"] < own["hill_1"] < own["hill_1_high"] <= 3
    spec = cl.plot_diversity(found).to_dict()
    assert "Most varied: own" in spec["description"]
    assert "Led by one card: 1 of 2" in spec["description"]
    assert "led (led by one card)" in str(spec["datasets"])
    assert any("led by one card" in line for line in spec["title"]["subtitle"])
    # a table of counts cannot know which values stand on one card: it gives no interval
    counts = cl.language_counts(cards, by="task")
    table = cl.diversity(counts, by="task", n_boot=200)
    assert table["hill_1"].to_list() == pytest.approx(found["hill_1"].to_list())
    assert table["hill_1_low"].null_count() == 2
    subtitle = " ".join(cl.plot_diversity(table).to_dict()["title"]["subtitle"])
    assert "no interval of counts of several values a card" in subtitle


def test_N05_cards_are_drawn_whole_as_in_a_plain_loop():
    lists = [["a", "b", "c"], ["a"], ["b", "d"], ["a"], ["e", "f"]] * 4
    cards = pl.DataFrame({"v": lists})
    generator = np.random.default_rng(5)
    drawn = []
    for _ in range(2_000):
        chosen = [lists[i] for i in generator.integers(len(lists), size=len(lists))]
        p = np.array(list(Counter(v for row in chosen for v in row).values()), dtype=float)
        drawn.append(1 / ((p / p.sum()) ** 2).sum())
    row = cl.diversity(cards, column="v", n_boot=2_000).row(0, named=True)
    spread = np.quantile(drawn, [0.025, 0.975]) - np.mean(drawn)
    low, high = row["hill_2"] + spread
    assert row["hill_2_low"] == pytest.approx(low, abs=0.1)
    assert row["hill_2_high"] == pytest.approx(min(high, 6), abs=0.1)
    single = cl.diversity(pl.DataFrame({"v": [["a", "b"]]}), column="v").row(0, named=True)
    assert single["hill_1"] == pytest.approx(2) and single["led_by_one"]
    assert single["hill_1_low"] is single["hill_1_high"] is single["hill_1_without"] is None


def test_N05_no_group_of_real_cards_is_led_in_silence():
    cards = cl.read_cards(real_file("model_cards.seed.parquet"), columns=COLUMNS_N05)
    cards = cl.with_languages(cards)
    found = cl.diversity(cards, column="language_codes", by="author", n_boot=20)
    counts = cl.diversity(cl.language_counts(cards, by="author"), by="author", n_boot=1)
    same = found.join(counts, on="author", nulls_equal=True, suffix="_of_counts")
    assert same.height == found.height
    assert np.allclose(same["hill_1"], same["hill_1_of_counts"])
    for author, without in found.sample(25, seed=1).select("author", "hill_1_without").iter_rows():
        own = cards.filter(pl.col("author").eq_missing(pl.lit(author)))["language_codes"]
        rows = sorted((row for row in own.to_list() if row), key=len)[:-1]
        p = np.array(list(Counter(v for row in rows for v in row).values()), dtype=float)
        if len(rows) == 0:
            assert without is None
        elif len({len(row) for row in [*rows, max(own.drop_nulls(), key=len)]}) == len(rows) + 1:
            p /= p.sum()
            assert without == pytest.approx(np.exp(-(p * np.log(p)).sum()))
    assert found["led_by_one"].any()


def test_N05_nor_does_a_cell_of_one_card_or_a_corpus_of_one():
    tasks = ["a"] * 60 + ["b"] * 60 + ["c"] * 2
    classes = ["x"] * 45 + ["y"] * 15 + ["x"] * 15 + ["y"] * 45 + ["x", "z"]
    cards = pl.DataFrame({"task": tasks, "class": classes})
    table = cl.crosstab(cards, rows="task", columns="class")
    worst = table.sort("residual", descending=True).row(0, named=True)
    assert (worst["row"], worst["n_cards"]) == ("c", 1)
    said = cl.plot_crosstab(table).to_dict()["description"]
    assert "a with x, 45 of 60 cards" in said or "b with y, 45 of 60 cards" in said
    few = cl.crosstab(cards.tail(2), rows="task", columns="class")
    assert "No cell is beyond chance" in cl.plot_crosstab(few).to_dict()["description"]
    lone = cl.diversity(cards.tail(1), column="class")
    spec = cl.plot_diversity(lone).to_dict()
    assert "no interval of one card" in spec["title"]["subtitle"][0]
    assert "Most varied" not in spec["description"]


@pytest.fixture(scope="module")
def made():
    return cl.with_licenses(cl.read_cards(cl.make_cards(300, embedding_dim=0)))


@pytest.mark.parametrize(
    "count", [cl.license_counts, partial(cl.license_counts, classes=True), cl.language_counts]
)
@pytest.mark.parametrize("by", ["pipeline_tag", "library_name", "languages", "license"])
def test_N12_counts_by_a_column_are_refused_by_name_or_drawn_for_one_group(made, count, by):
    if (count, by) == (cl.license_counts, "license"):
        return  # refused by the count itself: the column is in its result
    counts = count(made, by=by)
    with pytest.raises(cl.CardlabError, match=f"in its column '{by}'"):
        cl.plot_counts(counts)
    one = counts.filter(
        pl.col(by) == "transformers"
        if by == "library_name"
        else pl.col(by) == counts[by].drop_nulls()[0]
    )
    spec = cl.plot_counts(one).to_dict()
    said = " ".join([*spec["title"]["subtitle"], spec["description"]])
    assert f"{one['n_group'][0]:,} cards of {by}: {one[by][0]}" in said
    bars = next(iter(spec["datasets"].values()))
    assert len({bar["shown"] for bar in bars}) == len(bars) == min(one.height, 25)


def test_N12_no_bar_hides_another():
    counts = pl.DataFrame({"tag": ["a\x1b", "a\x00"], "n_cards": [2, 1], "card_share": [0.5, 0.25]})
    bars = next(iter(cl.plot_counts(counts).to_dict()["datasets"].values()))
    assert len({bar["shown"] for bar in bars}) == 2


def test_N12_nor_does_any_other_chart_of_groups(made):
    measured = cl.with_text_lengths(made)
    with pytest.raises(cl.CardlabError, match="in its column 'group'"):
        cl.plot_lengths(length_histogram(measured, by="pipeline_tag"))
    with pytest.raises(cl.CardlabError, match="more than once"):
        cl.plot_coverage(cl.section_coverage(made, by="pipeline_tag"))
    varied = cl.diversity(made, column="license_spdx", by="pipeline_tag", n_boot=5)
    twice = [varied.with_columns(pl.lit(name).alias("which")) for name in "ab"]
    with pytest.raises(cl.CardlabError, match="lie over each other"):
        cl.plot_diversity(pl.concat(twice))
    table = cl.crosstab(made, rows="pipeline_tag", columns="license_class")
    with pytest.raises(cl.CardlabError, match="cells more than once"):
        cl.plot_crosstab(pl.concat([table, table]))
    curves = [cl.concentration(made, by=by, curve=True) for by in ("author", "pipeline_tag")]
    with pytest.raises(cl.CardlabError, match="several curves"):
        cl.plot_concentration(pl.concat(curves))
    rates = plot_card_rates(replication.card_rates(made)).to_dict()
    assert "all models with 300 of 300" in rates["description"]


def shown(frame):
    """What a table says of each column: its label and its kind."""
    bundle = nb.show_table(frame, caption="x")._repr_mimebundle_()
    columns = bundle["application/vnd.cardlab.table.v1+json"]["columns"]
    return {column["name"]: (column["label"], column["kind"]) for column in columns}


def test_N13_a_share_and_its_bounds_have_one_unit_in_tables_and_charts(made):
    pairs = cl.cooccurrence(made, kinds=["free", "task"], min_cards=2)
    frames = {
        "licences": cl.license_counts(made),
        "classes": cl.license_counts(made, classes=True),
        "languages": cl.language_counts(made),
        "relations": cl.lineage_summary(made, by="relation"),
        "changes": cl.lineage_changes(made),
        "rates": replication.card_rates(made),
        "variety": cl.diversity(made, column="license_spdx", n_boot=5),
        "pairs": pairs,
    }
    for name, frame in frames.items():
        columns = shown(frame)
        for column, (label, kind) in columns.items():
            if column.endswith("_low"):
                stem = column.removesuffix("_low")
                # share_low belongs to card_share, edge_low to edge_share
                whole = next(
                    c for c in (f"{stem}_share", "card_share", "card_rate", stem) if c in columns
                )
                assert kind == columns[f"{stem}_high"][1] == columns[whole][1], (name, column)
                assert (label, columns[f"{stem}_high"][0]) == ("95 % from", "to"), (name, column)
            if kind == "float" and frame[column].drop_nulls().is_between(0, 1).all():
                assert column in INDICES, (name, column)  # what is no percentage is named here
            assert (kind == "share") <= is_share(column)
    assert shown(pairs)["jaccard"][1] == shown(pairs)["confidence_ab"][1] == "share"
    tip = tooltips(pairs, "jaccard")[0]
    assert tip.to_dict()["format"] == ".1%"


def test_N13_a_word_means_one_thing(made):
    assert shown(cl.lineage_summary(made, by="relation"))["n_edges"][0] == "edges"
    assert "pairs beyond chance" not in HEADINGS.values()
    counts = cl.license_counts(made, families="text")
    assert shown(counts)["n_families"][0] == "cards, copies once"
    # a notebook gives no column another name than all others do
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            if cell["cell_type"] != "code":
                continue
            for node in ast.walk(ast.parse("".join(cell["source"]))):
                if isinstance(node, ast.keyword) and node.arg == "labels":
                    node = node.value
                elif not (isinstance(node, ast.Assign) and "heads" in ast.unparse(node.targets[0])):
                    continue
                for known in ast.walk(node):
                    if isinstance(known, ast.Dict):
                        for key, value in zip(known.keys, known.values, strict=True):
                            name = getattr(key, "value", None)
                            if name in HEADINGS:
                                assert ast.literal_eval(value) == HEADINGS[name], (path.name, name)


def test_N13_mixed_units_of_a_study_are_shown_as_they_are_named(made):
    found = replication.replicate(made)
    share = found.filter(pl.col("unit") == "share")
    assert share["here"].drop_nulls().is_between(0, 1).all()  # 0-1 in a frame
    cells = json.loads((ROOT / "notebooks" / "07-replication.ipynb").read_text("utf-8"))["cells"]
    code = next("".join(cell["source"]) for cell in cells if "heads = " in "".join(cell["source"]))
    *lines, last = ast.parse(code).body
    names = {"pl": pl, "cl": cl, "nb": nb, "compared": found, "n_models": 300}
    exec(compile(ast.Module(lines, []), "07", "exec"), names)
    bundle = eval(compile(ast.Expression(last.value), "07", "eval"), names)._repr_mimebundle_()
    table = bundle["application/vnd.cardlab.table.v1+json"]
    rows = dict(zip((c["name"] for c in table["columns"]), table["data"], strict=True))
    at = rows["figure"].index("share of models with a card")  # a percentage on the page
    assert (rows["unit"][at], rows["here"][at]) == ("%", pytest.approx(100 * share["here"][0]))


def test_N20_changes_along_the_edges_with_the_defaults(made):
    cards = made.drop("license_class", "license_spdx")
    expected = cl.lineage_changes(made)
    assert expected["n_edges"].sum() > 0
    table = duckdb.connect().from_arrow(cards.drop("problems").to_arrow())
    for frame in (cards, cards.lazy(), table):
        assert cl.lineage_changes(frame).equals(expected)
    spoken = cl.lineage_changes(cards, column="language_codes")
    assert spoken.equals(cl.lineage_changes(cl.with_languages(cards), column="language_codes"))
    named = cl.lineage_changes(cards, column="license_spdx", by="relation", pairs=False)
    assert named.equals(cl.lineage_changes(made, column="license_spdx", by="relation", pairs=False))
    for column, hint in (("license_class", "with_licenses"), ("language_codes", "with_languages")):
        with pytest.raises(cl.MissingColumn, match=hint):
            cl.lineage_changes(cards.select("id", "base_model"), column=column)
        with pytest.raises(cl.MissingColumn, match=hint):
            cl.crosstab(cards, rows="pipeline_tag", columns=column)


def test_N22_both_gini_figures_are_given_and_named():
    listing = cl.scan_cards(real_file("models_2022.parquet"))
    rows = {row["figure"]: row for row in replication.replicate(listing).to_dicts()}
    model, author = rows["Gini of downloads, per model"], rows["Gini of downloads, per author"]
    assert model["published"] == 0.997 and author["published"] is None
    for row, by in ((model, "id"), (author, "author")):
        held = listing.group_by(by).agg(pl.col("downloads").sum()).collect()["downloads"]
        ordered = np.sort(held.to_numpy().astype(float))
        n = len(ordered)
        gini = 2 * (ordered * np.arange(1, n + 1)).sum() / (n * ordered.sum()) - (n + 1) / n
        assert row["here"] == pytest.approx(gini, abs=1e-9)
    assert round(model["here"], 3) == 0.997 and round(author["here"], 3) == 0.998
    poor = replication.replicate(pl.DataFrame({"id": ["a"], "downloads": [3]}))
    notes = dict(poor.select("figure", "note").iter_rows())
    assert "author" in notes["Gini of downloads, per author"]
