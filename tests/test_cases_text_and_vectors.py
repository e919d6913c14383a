"""Inputs that go wrong: texts, sections, vectors and their charts."""

from __future__ import annotations

import contextlib
import io
import random
import re
import time

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import vl_convert

import cardlab as cl
from cardlab import notebook as nb
from cardlab.embeddings.describe_clusters import between_clusters
from cardlab.embeddings.project import map_points, trustworthiness
from cardlab.tags.kinds import known_tags
from cardlab.text.lengths import length_histogram, length_outliers, length_relation, text_problems

WIDE = "|a" * 40_000 + "|\n" + "|-" * 40_000 + "|\n" + "|b\n" * 12


# ------------------------------------------------------------------ tables of very many columns


def test_S01_a_table_of_very_many_columns_is_read_in_no_time_and_listed():
    cards = pl.DataFrame(
        {"id": ["o/wide", "o/plain"], "text": [f"# A\n\n{WIDE}\n## License\n\n[MIT](x)\n", "# B"]}
    )
    begin = time.process_time()
    lengths = cl.with_text_lengths(cards).row(0, named=True)
    covered = cl.card_coverage(cards).filter(section="License", id="o/wide")
    words = cl.with_sections(cards)["text_lists"].to_list()
    assert time.process_time() - begin < 2
    text = cards["text"][0]
    assert lengths["n_chars"] == len(text)
    assert lengths["n_words"] == len(text.split())
    assert (lengths["n_tables"], lengths["n_links"], lengths["n_sections"]) == (1, 1, 2)
    assert covered["state"].to_list() == ["filled"]
    assert words == [["# A", "## License\n\nMIT"], ["# B"]]
    listed = text_problems(cards)
    assert listed.columns == cl.problems(cards).columns
    assert listed.rows() == [
        ("o/wide", "text", "too_large", "a table of 40,000 columns, of which 128 were read")
    ]
    assert text_problems(cards.lazy()).equals(listed)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("head", "rule"),
    [
        ("|a" * 300 + "|", "|-" * 300 + "|"),
        ("a|" * 299 + "a", "-|" * 299 + "-"),
        ("|a" * 300, "| :-: " * 300 + "|"),
        ("> " + "|a" * 300, "> " + "|-" * 300),
        ("1. " + "|a\\|b" * 300 + "|", "   " + "|-" * 300 + "|"),
        ("- > " + "|a" * 300 + "|", "  > " + "|-" * 300 + "|"),
    ],
)
def test_S01_tables_of_every_kind_stay_tables(end, head, rule):
    text = end.join(["Before", "", head, rule, "|b", "", "# After [x](y)"])
    row = cl.with_text_lengths(pl.DataFrame({"id": ["a"], "text": [text]})).row(0, named=True)
    assert (row["n_tables"], row["n_links"], row["n_sections"]) == (1, 1, 1)
    assert text_problems(pl.DataFrame({"id": ["a"], "text": [text]})).height == 1
    assert [part.title for part in cl.sections(text)] == ["", "After x"]


def test_S01_what_is_no_table_or_small_is_left_alone(data):
    several = "|a" * 300 + "|\n" + "|-" * 299 + "|\n|b|\n"  # the rule does not fit its head
    assert text_problems(pl.DataFrame({"id": ["a"], "text": [several]})).is_empty()
    assert "|a|a" in cl.plain_text(several)
    for name in ("model_cards.seed.parquet", "hub_2022_cards.librarian.parquet"):
        assert text_problems(cl.scan_cards(data / name)).is_empty()


def test_S01_long_cards_and_lines_of_addresses():
    mails = " ".join(f"a{i}@b.org" for i in range(150))
    text = f"{mails}\n\nhttp://a.b/{')' * 50_000}\n"
    cards = pl.DataFrame({"id": ["a"], "text": [text]})
    assert cl.with_text_lengths(cards)["n_links"].to_list() == [101]
    assert text_problems(cards)["detail"].to_list() == [
        "a line of more than 100 signs @, of which so many were read"
    ]
    long = "# A\n\n" + "word " * 400_000 + "\n\n# B\n\nend\n"
    cards = pl.DataFrame({"id": ["a"], "text": [long]})
    assert text_problems(cards)["detail"].str.contains("2,000,000 were taken apart").all()
    assert cl.with_text_lengths(cards)["n_words"][0] == len(long.split())


# ------------------------------------------------------------------- charts of one single value


def words(*lengths: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [f"o/{i}" for i in range(len(lengths))],
            "text": ["w " * n for n in lengths],
            "task": ["ab"[i % 2] for i in range(len(lengths))],
            "downloads": [*range(len(lengths))],
        }
    )


def axis_labels(chart) -> list[list[str]]:
    """The labels that are drawn at each axis, read from the picture."""
    picture = vl_convert.vegalite_to_svg(chart.to_dict())
    axes = re.split(r'class="mark-text role-axis-label', picture)[1:]
    shown = re.compile(r"<text(?![^>]* opacity=\"0\")[^>]*>([^<]+)</text>")
    return [shown.findall(axis.split("</g>")[0]) for axis in axes]


LENGTHS = [[15] * 40, [15], [0], [0] * 40, [1], [161] * 20 + [169] * 20, [1_234_567], [3, 400]]


@pytest.mark.parametrize("lengths", LENGTHS, ids=lambda n: f"{len(n)} of {n[0]}")
def test_F32_charts_of_one_length_have_true_labels(lengths):
    cards = words(*lengths)
    measured = cl.with_text_lengths(cards, measures=["n_words"]).drop("text")
    made = {
        "medians": cl.plot_lengths(cl.length_summary(measured, by="task")),
        "curve": cl.plot_lengths(cl.length_ecdf(measured)),
        "bars": cl.plot_lengths(length_histogram(measured)),
        "coverage": cl.plot_coverage(cl.section_coverage(cards, standard="liang2024")),
        "values": cl.plot_comparison(cl.compare_values(measured, measured, column="n_words")),
    }
    for name, chart in made.items():
        for labels in axis_labels(chart):
            assert len(labels) == len(set(labels)), (name, labels)
        numbers = [labels for labels in axis_labels(chart) if re.match(r"[\d,]+$", labels[0])]
        if name in ("medians", "curve", "bars"):
            ends = [int(label.replace(",", "")) for label in numbers[0]]
            assert len(ends) >= 2, (name, ends)
            assert ends[0] <= min(lengths), (name, ends)
            # among many, the last label may have no room
            assert max(lengths) <= ends[-1] or len(ends) > 4, (name, ends)
    one = made["bars"].to_dict()["title"]["subtitle"][0]
    assert one.startswith("1 card;" if len(lengths) == 1 else f"{len(lengths)} cards;")


def test_F32_a_curve_of_one_length_is_a_line():
    chart = cl.plot_lengths(cl.length_ecdf(words(15, 15))).to_dict()
    (rows,) = chart["datasets"].values() if "datasets" in chart else [chart["data"]["values"]]
    assert [row["cumulative_share"] for row in rows] == [0, 1]
    relation = length_relation(
        words(*range(3, 23)).with_columns(downloads=pl.int_range(pl.len()) // 19)
    )
    for labels in axis_labels(cl.plot_lengths(relation)):
        assert len(labels) == len(set(labels))


# -------------------------------------------------------------------------- two corpora compared


def spoken(*codes: tuple[str, int], n: int) -> pl.DataFrame:
    languages = [[code] for code, times in codes for _ in range(times)]
    return pl.DataFrame(
        {"id": range(n), "languages": languages + [None] * (n - len(languages))},
        schema_overrides={"languages": pl.List(pl.String)},
    )


def test_N04_most_apart_is_the_largest_sure_difference_of_shares():
    # by the divergence fi comes first: none against a few
    a = spoken(("es", 19), ("zh", 300), ("fi", 7), n=1000)
    b = spoken(("es", 18), ("zh", 200), n=1000)
    found = cl.compare_values(a, b, column="language_codes")
    assert found["value"].to_list() == ["zh", "fi", "es", None]
    assert found["is_apart"].to_list() == [True, False, False, True]
    chart = cl.plot_comparison(found, names=["ours", "Hub"]).to_dict()
    assert chart["title"]["subtitle"][-1] == "Most apart: zh, 30.0 % in ours against 20.0 % in Hub"
    assert "Most apart: zh, 30.0 % in ours" in chart["description"]
    same = cl.compare_values(a, a, column="language_codes")
    chart = cl.plot_comparison(same).to_dict()
    assert "Most apart: nothing" in chart["description"]
    assert "Most apart: nothing" in chart["title"]["subtitle"][-1]


def test_N04_chance_among_many_values_is_seldom_called_apart():
    """Twenty pairs of samples of one population of 200 values: hardly any names a difference."""
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(200, 0.3))
    wrong = 0
    for _ in range(20):
        sides = [
            pl.DataFrame({"id": range(800), "v": rng.choice(200, 800, p=shares)}) for _ in "ab"
        ]
        sides = [side.with_columns(pl.col("v").cast(pl.String)) for side in sides]
        wrong += cl.compare_values(*sides, column="v")["is_apart"].any()
    assert wrong <= 2


def test_N15_bins_of_lengths_come_by_size():
    a, b = words(*range(0, 5000, 7)), words(*range(0, 900, 3))
    found = cl.compare_values(a, b, column="n_words")
    lows = [int(v.split()[0].replace(",", "")) for v in found["value"].drop_nulls()]
    assert len(lows) > 8
    assert lows == sorted(lows)
    chart = cl.plot_comparison(found, top=6).to_dict()
    drawn = chart["layer"][0]["encoding"]["y"]["sort"]
    ends = [int(v.split()[0].replace(",", "")) for v in drawn]
    assert len(ends) == 6
    assert ends == sorted(ends)
    biggest = found.sort(pl.col("share_difference").abs(), descending=True)["value"].head(6)
    assert set(drawn) == set(biggest)
    assert "Largest difference first" not in str(chart["title"])


# ------------------------------------------------------------------------ far longer than others


def test_N16_far_is_by_robust_distance_in_groups_large_enough():
    rng = np.random.default_rng(1)
    usual = [int(n) for n in rng.lognormal(5, 0.3, 60)]
    wild = [int(n) for n in rng.lognormal(5, 2, 60)]
    frame = pl.DataFrame(
        {
            "id": [f"a/{i}" for i in range(61)] + [f"b/{i}" for i in range(61)] + ["c/x"] * 18,
            "n": [*usual, 2_000, *wild, 2_600, *[14] * 17, 9_000],
            "task": ["a"] * 61 + ["b"] * 61 + ["c"] * 18,
        }
    )
    found = length_outliers(frame, measure="n", by="task", top=200)
    assert found["id"][0] == "a/60"  # unusual in its group, though the ratio of another is larger
    assert found.filter(id="b/60")["ratio"][0] > found["ratio"][0]
    assert "c" not in found["group"]
    assert found["robust_z"].null_count() == 0
    assert found["robust_z"].is_sorted(descending=True)
    log = np.log1p(np.array([*usual, 2_000]))
    mad = np.median(np.abs(log - np.median(log)))
    assert found["robust_z"][0] == pytest.approx(0.6745 * (log[-1] - np.median(log)) / mad)
    short = length_outliers(frame, measure="n", by="task", side="short", top=200)
    assert short["robust_z"].is_sorted()
    assert (short["robust_z"] < 0).all()


# ----------------------------------------------------------------------- sections of model cards


def states(text: str, standard: str = "huggingface", card_id: str = "o/own") -> dict[str, str]:
    """The sections that a card has anything for, and their states."""
    cards = pl.DataFrame({"id": [card_id], "text": [text]})
    found = cl.card_coverage(cards, standard=standard).filter(pl.col("state") != "absent")
    return dict(found.select("section", "state").iter_rows())


@pytest.mark.parametrize(
    "heading",
    [
        *("Number of parameters", "Inference latency", "Inference speed", "Latency", "Throughput"),
        *("Speed", "Runtime benchmark", "推理速度", "Geschwindigkeit", "推論速度", "FLOPs"),
        *("Provided files, and GPTQ parameters", "Quantization config", "Using pre-trained models"),
        *("Load model and tokenizer", "Not seen in training"),
    ],
)
def test_N07_these_headings_are_no_training(heading):
    found = states(f"# own\n\n## {heading}\n\nSome words that say a lot.\n", "liang2024")
    assert "Training" not in found, found


@pytest.mark.parametrize(
    ("heading", "sections"),
    [
        ("Training time", {"Training"}),
        ("Speeds, Sizes, Times [optional]", {"Training"}),
        ("Training > Speed", {"Training"}),
        ("Evaluation > Speed", {"Evaluation"}),
        ("Sentiment Analysis", set()),
        ("Drop-in replacement", set()),
        ("Evaluation on the COCO dataset", {"Evaluation"}),
        ("Evaluated with lm-eval using vLLM", {"Evaluation"}),
        ("Human feedback", set()),
        ("Environmental sound", set()),
        ("Compute the embeddings", {"How to Start"}),
        ("Safety measures", {"Limitations"}),
        ("How to evaluate", {"Evaluation"}),
        ("What are the limitations?", {"Limitations"}),
        ("jpn-vie", set()),
        ("Dataset", {"Training"}),
        ("Datasets and metrics", {"Training", "Evaluation"}),
        ("Usage | Evaluation | Train | Contact | Citation | License", set()),
        ("Demo: How to use in ESPnet2", {"How to Start"}),
    ],
)
def test_N07_no_phrase_counts_for_another_concept(heading, sections):
    parts = heading.split(" > ")
    lines = [f"{'#' * (at + 2)} {part}" for at, part in enumerate(parts)]
    text = "# own\n\n" + "\n\n".join(lines) + "\n\nSome words that say a lot.\n"
    assert set(states(text, "liang2024")) == sections


def test_N07_one_word_fills_only_what_a_name_answers():
    one = "# own\n\n## {}\n\n{}\n"
    assert states(one.format("Tokenizer", "BPE"))["Preprocessing"] == "empty"
    assert states(one.format("Limitations", "Many."))["Bias, Risks, and Limitations"] == "empty"
    assert states("- **Intended use:** research")["Direct Use"] == "empty"
    assert states(one.format("Tokenizer", "BPE of 32,000 pieces"))["Preprocessing"] == "filled"
    for heading, section in [
        ("License", "License"),
        ("Training data", "Training Data"),
        ("Model type", "Model type"),
        ("Hardware", "Hardware"),
        ("Metrics", "Metrics"),
    ]:
        assert states(one.format(heading, "Word"))[section] == "filled"
    for body in ("[Colab](https://x.y)", "https://x.y/z", "![curve](a.png)", "本模型仅供研究使用"):
        assert states(one.format("Training", body))["Training Procedure"] == "filled", body


BIBTEX = "@article{doe2024,\n  title = {A paper},\n  author = {Doe, J.}\n}"
LOADS = "```python\nmodel = AutoModel.from_pretrained('o/own')\nmodel(**batch)\n```"


@pytest.mark.parametrize(
    ("text", "section", "evidence", "heading"),
    [
        (f"# own\n\n## References\n\n{BIBTEX}\n", "Citation", "a BibTeX entry", "References"),
        (f"{BIBTEX}\n", "Citation", "a BibTeX entry", ""),
        (f"# own\n\n```bibtex\n{BIBTEX}\n```\n", "Citation", "a BibTeX entry", "own"),
        (f"# own\n\n{LOADS}\n", "How to Start", "code that loads a model", "own"),
        (f"# own\n\n## Birds\n\n{LOADS}\n", "How to Start", "code that loads a model", "Birds"),
        (
            f"# own\n\n## Results\n\nGood.\n\n{LOADS}\n",
            "How to Start", "code that loads a model", "Results",
        ),
        (
            "# own\n\n```\npipe = pipeline('fill-mask', model='x')\n```\n",
            "How to Start", "code that loads a model", "own",
        ),
        (
            "# own\n\n```\nvllm serve o/own\n```\n",
            "How to Start", "a command that runs a model", "own",
        ),
        (
            "# own\n\n- CO2 emissions (in grams): 1.52\n",
            "Environmental Impact", "a figure of emissions", "own",
        ),
        (
            "# own\n\n|model|BLEU|\n|-|-|\n|own|31.2|\n", "Evaluation", "a table of scores", "own"
        ),
    ],
)  # fmt: skip
def test_N08_content_without_its_heading_is_evidence(text, section, evidence, heading):
    cards = pl.DataFrame({"id": ["o/own"], "text": [text]})
    row = cl.card_coverage(cards, standard="liang2024").filter(section=section).row(0, named=True)
    assert (row["state"], row["evidence"], row["heading"]) == ("filled", evidence, heading)
    counted = cl.section_coverage(cards, standard="liang2024").filter(section=section)
    assert counted.select("n_filled", "n_by_evidence").rows() == [(1, 1)]


def test_N08_licence_and_contact_in_a_sentence():
    text = (
        "# own\n\nThe model weights are released under the Apache 2.0 license. If you have any "
        "questions, please write to ada@example.org.\n"
    )
    cards = pl.DataFrame({"id": ["o/own"], "text": [text]})
    found = cl.card_coverage(cards).drop_nulls("evidence")
    assert dict(found.select("section", "evidence").iter_rows()) == {
        "License": "a sentence that names the licence",
        "Model Card Contact": "an address to write to",
    }


@pytest.mark.parametrize(
    ("text", "section"),
    [
        (
            "# own\n\n## Training\n\n```\nm = AutoModel.from_pretrained('bert')\n```\n",
            "How to Start",
        ),
        (f"# own\n\n<!-- {BIBTEX} -->\n\nText here.\n", "Citation"),
        ("# own\n\nWrite to a@b.org, @article is a mark.\n", "Citation"),
        ("# own\n\n|step|loss|\n|-|-|\n|1|0.2|\n", "Evaluation"),
        ("# own\n\nAccuracy\n---\n\n95 is a number.\n", "How to Start"),
    ],
)
def test_N08_what_is_not_certain_is_no_evidence(text, section):
    assert section not in states(text, "liang2024")


def test_N08_a_heading_comes_before_evidence_and_a_placeholder_after():
    text = f"# own\n\n## Citation\n\n[More Information Needed]\n\n## References\n\n{BIBTEX}\n"
    row = cl.card_coverage(pl.DataFrame({"id": ["o/own"], "text": [text]}))
    row = row.filter(section="Citation").row(0, named=True)
    assert (row["state"], row["evidence"]) == ("filled", "a BibTeX entry")
    text = f"# own\n\n## Citation\n\nDoe, 2024.\n\n## References\n\n{BIBTEX}\n"
    row = cl.card_coverage(pl.DataFrame({"id": ["o/own"], "text": [text]}))
    assert row.filter(section="Citation")["evidence"].to_list() == [None]


def test_N08_real_cards_with_bibtex_or_loading_code_have_these_sections(data):
    cards = cl.read_cards(data / "sampled_cards_2024.seed.parquet", columns=["id", "text"])
    covered = cl.card_coverage(cards, standard="liang2024").filter(pl.col("state") == "filled")
    for pattern, section, least in [
        (r"(?i)@(?:article|inproceedings|misc)\s*\{[^{}=,\n]*,\s*\w+\s*=", "Citation", 30),
        (r"\.from_pretrained\([\"'\w]", "How to Start", 60),
    ]:
        with_it = cards.filter(pl.col("text").str.contains(pattern))["id"]
        assert len(with_it) >= least
        have = covered.filter(section=section)["id"]
        assert with_it.is_in(have.implode()).mean() > (0.99 if section == "Citation" else 0.95)


PROMISES = [
    *("Training data will be released later", "Coming soon!", "TBD", "TODO: add the numbers."),
    *("Details to follow.", "Stay tuned!", "WIP", "This section is under construction."),
    *("We will release the code soon.", "Results will be added after publication of the paper."),
    *("- Data: TBD\n- Code: coming soon", "**Paper:** [link](x) will be available soon"),
    *(
        "训练数据将在后续公开。",
        "敬请期待",
        "学習データは後日公開予定です。",
        "추후 공개 예정입니다.",
    ),
    *("Die Daten werden demnächst veröffentlicht.", "Les données seront publiées plus tard."),
    *("Los datos se publicarán pronto.", "Os dados serão divulgados em breve."),
    "Данные будут опубликованы позже.",
]


@pytest.mark.parametrize("body", PROMISES)
def test_N09_promises_are_placeholders(body):
    assert states(f"# own\n\n## Training data\n\n{body}\n")["Training Data"] == "placeholder"
    longer = f"{body}\n\nSo far: 12,000 sentences of news, in three languages.\n"
    assert states(f"# own\n\n## Training data\n\n{longer}")["Training Data"] == "filled"


@pytest.mark.parametrize(
    "body",
    [
        "We trained on C4 and the code will be released soon.",
        "The model will follow instructions that are given in English.",
        "The corpus is C4; a cleaned version will be released soon.",
        "Any doubt, contact me on [Twitter](x) (the repository will be available soon).",
        "The texts were taken from news that were to be published in 2021.",
    ],
)
def test_N09_what_says_something_beside_a_promise_is_filled(body):
    assert states(f"# own\n\n## Training data\n\n{body}\n")["Training Data"] == "filled"


# --------------------------------------------------------------------------------- clusters


def test_N11_summaries_hold_only_free_tags():
    every = [*known_tags("hub", "library", "task", "language"), "license:mit", "region:us", " "]
    cards = pl.DataFrame(
        {
            "id": [f"o/{i}" for i in range(12)],
            "tags": [[*every, "asr", "ownlib", "tlh"]] * 6 + [[*every, "art"]] * 6,
            "library_name": ["ownlib"] * 6 + [None] * 6,
            "languages": [["tlh"]] * 6 + [None] * 6,
        }
    )
    labels = [0] * 6 + [1] * 6
    summary = cl.cluster_summary(cards, labels=labels)
    assert summary["top_tags"].to_list() == [["asr"], ["art"]]
    words = set(cl.cluster_keywords(cards.with_columns(text=pl.lit("")), labels=labels)["keyword"])
    assert words == {"asr", "art", "ownlib", "tlh"}  # what no list knows are words
    assert {"8-bit", "deploy_azure", "eval-results"} <= set(known_tags("hub"))
    assert all(cl.tag_kind(tag) == "hub" for tag in known_tags("hub"))


# ------------------------------------------------------------------------------- saved vectors


def letters(texts):
    return np.array([[len(t), t.count("e"), t.count("a"), 1.5] for t in texts], dtype=np.float32)


def refuse(texts):
    raise RuntimeError("computed anew")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    cards = pl.DataFrame({"id": [f"o/{i}" for i in range(60)]})
    cards = cards.with_columns(text=pl.format("text {} of words", "id"))
    file = tmp_path_factory.mktemp("vectors") / "v.parquet"
    x = cl.embed(cards, model=letters, name="letters", save=file)
    return cards, file, file.read_bytes(), x


def test_S07_no_damage_gives_other_vectors(saved):
    cards, file, raw, x = saved
    rng = random.Random(0)
    own = 0
    for number in range(150):
        content, at = bytearray(raw), rng.randrange(len(raw))
        if number % 3 == 0:
            content[at] ^= 1 << rng.randrange(8)
        elif number % 3 == 1:
            content = content[:at] + content[at + 16 :]
        else:
            content = content[:at] + content[at : at + 16] + content[at:]
        file.write_bytes(bytes(content))
        try:
            again = cl.embed(cards, model=refuse, name="letters", save=file)
        except cl.CardlabError as error:
            own += "emove it" in str(error) or "left alone" in str(error)
        else:
            np.testing.assert_array_equal(again, x)
    assert own > 100
    file.write_bytes(raw)
    np.testing.assert_array_equal(cl.embed(cards, model=refuse, name="letters", save=file), x)


@pytest.mark.parametrize(
    "made",
    [b"{", b"[]", b"7", b"null", b'{"model": 1}', b"\xff\xfe", b"[" * 100_000, b'{"sum": "0"}'],
)
def test_S07_forged_metadata(saved, made):
    cards, file, raw, _ = saved
    file.write_bytes(raw)
    table = pq.read_table(file)
    pq.write_table(table.replace_schema_metadata({b"cardlab.embed": made}), file)
    with pytest.raises(cl.CardlabError, match=r"emove it"):
        cl.embed(cards, model=letters, name="letters", save=file)
    told = pq.ParquetFile(io.BytesIO(raw)).schema_arrow.metadata
    forged = table.set_column(
        2, "embeddings", pa.array([[0.0] * 4] * 60, pa.list_(pa.float32(), 4))
    )
    pq.write_table(forged.replace_schema_metadata(told), file)
    with pytest.raises(cl.CardlabError, match="the sum of what it holds"):
        cl.embed(cards, model=letters, name="letters", save=file)
    pq.write_table(table.drop_columns(["text_hash"]).replace_schema_metadata(told), file)
    with pytest.raises(cl.CardlabError, match="is not as cardlab.embed wrote it"):
        cl.embed(cards, model=letters, name="letters", save=file)


def test_S07_damaged_files_of_given_vectors_end_in_our_error(tmp_path):
    x = np.arange(800, dtype=np.float32).reshape(100, 8)
    frame = pl.DataFrame({"id": [f"o/{i}" for i in range(100)], "embeddings": x})
    frame.write_parquet(tmp_path / "v.parquet")
    frame.write_ipc(tmp_path / "v.arrow", compression="zstd")
    np.save(tmp_path / "v.npy", x)
    rng = random.Random(1)
    for name in ("v.parquet", "v.arrow", "v.npy"):
        raw = (tmp_path / name).read_bytes()
        for number in range(60):
            content, at = bytearray(raw), rng.randrange(len(raw) if number % 2 else 400)
            content[at] ^= 1 << rng.randrange(8)
            file = tmp_path / f"{number}-{name}"
            file.write_bytes(bytes(content[: at + 1] if number % 5 == 0 else content))
            with contextlib.suppress(cl.CardlabError):
                assert cl.vectors(file).shape[1] >= 1


# ------------------------------------------------------------------------------- maps and ids


def test_U07_one_call_from_cards_vectors_and_labels_to_a_map():
    cards = cl.make_cards(120)
    x = cl.vectors(cards)
    labels = cl.cluster(x, n_clusters=4)
    points = map_points(cl.with_licenses(cards).lazy(), x=x, labels=labels)
    assert points.columns == [
        *("id", "x", "y", "cluster", "pipeline_tag", "library_name", "license_class"),
        *("created_at", "method", "trustworthiness"),
    ]
    assert points["id"].to_list() == cards["id"].to_list()
    np.testing.assert_array_equal(points["cluster"], labels)
    xy = cl.project(x)
    np.testing.assert_allclose(points.select("x", "y").to_numpy(), xy, equal_nan=True)
    assert points["trustworthiness"][0] == pytest.approx(trustworthiness(x, xy))
    said = str(cl.plot_map(points).to_dict()["subtitle"])
    assert "t-SNE" in said
    assert "trustworthiness 0." in said
    assert "licence class" in cl.plot_map(points).to_dict()["description"]
    with pytest.raises(cl.CardlabError, match="labels must have one row for each of the 120"):
        map_points(cards, x=x, labels=labels[:5])
    with pytest.raises(cl.CardlabError, match="x must have one row for each of the 120"):
        map_points(cards, x=x[:50])


def test_U07_places_alone_are_drawn_and_vectors_say_how():
    x = cl.vectors(cl.make_cards(120))
    n_usable = int(nb.usable(x).sum())
    for places in (cl.project(x), cl.project(x).tolist(), cl.project(x, return_info=True)):
        subtitle = cl.plot_map(places).to_dict()["subtitle"]
        assert subtitle[0].startswith(f"{n_usable:,}")
    assert "t-SNE" in str(subtitle)
    for wrong in (x, "x", None, np.zeros(5), cl.make_cards(3)):
        with pytest.raises(cl.CardlabError, match="map_points"):
            cl.plot_map(wrong)


def test_U08_ids_of_every_kind():
    frame = pl.DataFrame({"id": ["o/a", None, "o/c"], "text": ["speech a", "speech b", "c"]})
    x = np.random.default_rng(0).normal(size=(3, 4))
    wanted = [("o/a", 1, None), ("o/a", 2, "o/c")]
    pandas = frame.to_pandas()
    for ids in (
        *(frame["id"].to_list(), frame["id"], frame, frame.lazy(), frame.lazy().select("id")),
        *(frame["id"].to_arrow(), pandas, pandas["id"], pandas.set_index("id")),
        np.array(["o/a", None, "o/c"], dtype=object),
    ):
        found = cl.neighbors(x, ids=ids, query="o/a").drop("similarity")
        assert sorted(found.rows(), key=lambda row: row[1]) == found.rows()
        assert {row[2] for row in found.rows()} == {row[2] for row in wanted}
        assert cl.near_duplicates(x, ids=ids, threshold=0.9999).height == 0
        assert between_clusters(x, labels=[0, 0, 1], ids=ids).height <= 3
    for wrong in (None, 7, "o/a", [["a"], ["b"], ["c"]], x):
        with pytest.raises(cl.CardlabError, match="ids must be the ids of the cards"):
            cl.neighbors(x, ids=wrong, query="o/a")
    with pytest.raises(cl.MissingColumn, match="'id'"):
        cl.neighbors(x, ids=frame.lazy().select("text"), query="o/a")
    assert cl.search(frame, "speech")["id"].to_list() == [None, "o/a"]
    assert cl.search(frame, "speech", model="lsa")["id"].null_count() == 1


def test_U08_pandas_indexed_by_id():
    cards = cl.make_cards(30, embedding_dim=0).select("id", "text", "tags", "license")
    indexed = cards.to_pandas().set_index("id")
    assert cl.read_cards(indexed)["id"].to_list() == cards["id"].to_list()
    assert cl.search(indexed, "model").equals(cl.search(cards, "model"))
    assert cl.license_counts(indexed).equals(cl.license_counts(cards))
    covered = cl.card_coverage(indexed)
    assert covered.equals(cl.card_coverage(cards))
    plain = indexed.reset_index(drop=True)
    with pytest.raises(cl.MissingColumn, match="no column 'id'"):
        cl.search(plain, "model")
