"""Sections are counted by what cards say, in the state they say it."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from conftest import real_file
from hypothesis import given, settings
from hypothesis import strategies as st

import cardlab as cl
from cardlab import families
from cardlab.coverage import headings, reading
from cardlab.coverage.coverage import unmapped_headings
from cardlab.coverage.headings import coverage_sections, definitions
from cardlab.schema import CardlabError, MissingColumn, NoFigure
from cardlab.text import markdown

STANDARDS = list(definitions()["standards"])
COUNTS = ["n_filled", "n_placeholder", "n_boilerplate", "n_empty", "n_absent"]


def frame(*texts: str | None, **columns: list) -> pl.DataFrame:
    ids = [f"org/model-{number}" for number in range(len(texts))]
    return pl.DataFrame(
        {"id": ids, "text": list(texts), **columns}, schema_overrides={"text": pl.String}
    )


def states(text: str, standard: str = "huggingface", **columns: list) -> dict[str, str]:
    rows = cl.card_coverage(frame(text, **columns), standard=standard)
    return {
        row["section"]: row["state"]
        for row in rows.iter_rows(named=True)
        if row["state"] != "absent"
    }


TEMPLATE = """# Model Card for Model ID

<!-- Provide a quick summary of what the model is/does. -->

## Model Details

### Model Description

<!-- Provide a longer summary of what this model is. -->

- **Developed by:** Ada
- **Funded by [optional]:** [More Information Needed]
- **Shared by [optional]:** [More Information Needed]
- **Model type:** [More Information Needed]
- **Language(s) (NLP):** Danish
- **License:** [More Information Needed]
- **Finetuned from model [optional]:** [More Information Needed]

### Model Sources [optional]

- **Repository:** [More Information Needed]

## Uses

<!-- Address questions around how the model is intended to be used. -->

### Direct Use

[More Information Needed]

### Out-of-Scope Use

Not for medical advice.

## Bias, Risks, and Limitations

[More Information Needed]

### Recommendations

Users (both direct and downstream) should be made aware of the risks, biases and limitations of the
model. More information needed for further recommendations.

## Training Details

### Training Data

TODO

### Training Procedure

#### Training Hyperparameters

- **Training regime:** [More Information Needed] <!--fp32, fp16 mixed precision -->

## Environmental Impact

Carbon emissions can be estimated using the [Machine Learning Impact
calculator](https://mlco2.github.io/impact#compute) presented in [Lacoste et al.
(2019)](https://arxiv.org/abs/1910.09700).

- **Hardware Type:** [More Information Needed]
- **Carbon Emitted:** [More Information Needed]

## Citation [optional]

**BibTeX:**

[More Information Needed]

**APA:**

[More Information Needed]

## Glossary [optional]

## Model Card Contact

ada@example.org
"""


def test_the_hub_template_half_filled():
    found = states(TEMPLATE)
    assert found == {
        **{"Model Summary": "placeholder", "Model Description": "filled"},
        **{"Developed by": "filled", "Funded by": "placeholder", "Shared by": "placeholder"},
        **{"Model type": "placeholder", "Language(s)": "filled", "License": "placeholder"},
        **{"Finetuned from model": "placeholder", "Model Sources": "placeholder"},
        **{"Direct Use": "placeholder", "Out-of-Scope Use": "filled"},
        **{"Bias, Risks, and Limitations": "placeholder", "Recommendations": "boilerplate"},
        **{"Training Data": "placeholder", "Training Hyperparameters": "placeholder"},
        **{"Environmental Impact": "placeholder", "Citation": "placeholder", "Glossary": "empty"},
        **{"Model Card Contact": "filled"},
    }


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ("Twelve sentences about birds.", "filled"),
        ("[More Information Needed]", "placeholder"),
        ("More information needed.", "placeholder"),
        ("**TODO**", "placeholder"),
        ("_Coming soon!_", "placeholder"),
        ("<!-- This should link to a Data Card if possible. -->", "placeholder"),
        ("<!-- end -->", "empty"),
        ("<div></div>\n\n---", "empty"),
        ("", "empty"),
        ("   \n\t\n", "empty"),
        ("![loss](loss.png)", "filled"),
        ("<https://example.org/data>", "filled"),
        ("We will describe it soon, but it is Wikipedia.", "filled"),
        ("Data: [More Information Needed]\nSize: 3 GB", "filled"),
        ("Data: [More Information Needed]\n\nSize: [More Information Needed]", "placeholder"),
        ("This model is a fine-tuned version of [a](b) on the None dataset.", "boilerplate"),
        ("Birds. This model is a fine-tuned version of [a](b) on the None dataset.", "filled"),
        ("待补充", "placeholder"),
        ("{{ training_data }}", "placeholder"),
    ],
)
def test_states_of_a_text(body, state):
    assert states(f"intro\n\n## Training Data\n\n{body}\n")["Training Data"] == state


def test_a_machine_is_told_from_an_author():
    body = "## Training procedure\n\nMore information needed\n"
    sign = (
        "<!-- This model card has been generated automatically according to the information the "
        "Trainer had access to. -->\n"
    )
    assert states(body) == {"Training Procedure": "placeholder"}
    assert states(sign + body) == {"Training Procedure": "boilerplate"}


def test_texts_that_many_cards_share():
    same = "The model may repeat what it has read, and nobody has looked at how often it does so."
    texts = [f"Card {n}\n\n## Limitations\n\n{same}\n\n## License\n\n{same}" for n in range(10)]
    copies = [
        "Copy\n\n## Limitations\n\nAll of these cards are one card that was copied ten times."
    ] * 10
    found = cl.section_coverage(frame(*texts, *copies)).filter(pl.col("n_absent") < 20)
    rows = {row["section"]: row for row in found.iter_rows(named=True)}
    limits = rows["Bias, Risks, and Limitations"]
    assert (limits["n_boilerplate"], limits["n_filled"]) == (10, 10)  # copies are one text
    assert rows["License"]["n_filled"] == 10  # a licence may be the same
    few = cl.section_coverage(frame(*texts[:9]))
    assert few["n_boilerplate"].sum() == 0
    assert cl.section_coverage(frame(*texts[:3]), min_shared=3)["n_boilerplate"].sum() == 3


def test_subsections_count_for_what_they_stand_in():
    text = (
        "# Bird\n\n## Training\n\n### On a Tuesday\n\nIt rained.\n\n"
        "## Evaluation\n\n### Data\n\nGulls.\n\n### Summary\n\nGood.\n"
    )
    assert states(text) == dict.fromkeys(
        ("Training Procedure", "Testing Data", "Results"), "filled"
    )
    assert states(text, "liang2024") == {"Training": "filled", "Evaluation": "filled"}


def test_code_holds_no_fields():
    text = "## Usage\n\n```yaml\n- License: MIT\n**Training data:** birds\n```\n"
    assert set(states(text)) == {"How to Get Started with the Model"}
    listed = (
        "## Details\n\n* **Licence**: MIT\n  and more\n* Colour: blue\n\n**Training Data** Birds."
    )
    assert {"License", "Training Data"} <= set(states(listed))


def test_front_matter_stands_beside_the_text():
    cards = frame(
        "## License\n\nMIT",
        "Nothing.",
        "Nothing.",
        metadata=['{"license": "mit"}', '{"co2_eq_emissions": 3, "license": null}', None],
        license=[["mit"], [], None],
        languages=[[], ["da"], None],
    )
    rows = cl.section_coverage(cards)
    found = {row["section"]: row for row in rows.iter_rows(named=True)}
    assert (found["License"]["n_in_metadata"], found["License"]["n_only_in_metadata"]) == (1, 0)
    assert (found["Language(s)"]["n_filled"], found["Language(s)"]["n_only_in_metadata"]) == (0, 1)
    assert found["Environmental Impact"]["n_only_in_metadata"] == 1
    each = cl.card_coverage(cards).filter(pl.col("in_metadata"))
    assert sorted(zip(each["id"], each["section"], strict=True)) == [
        ("org/model-0", "License"),
        ("org/model-1", "Environmental Impact"),
        ("org/model-1", "Language(s)"),
    ]


def test_groups_and_what_is_not_counted():
    cards = frame("## Citation\n\nMe 2020", "", None, tag=[["a", "b", "a"], [], ["a"]])
    found = cl.section_coverage(cards, standard="liang2024", by="tag")
    sizes = {row["tag"]: row["n_cards"] for row in found.iter_rows(named=True)}
    assert sizes == {"a": 1, "b": 1, None: 1}
    assert (found.group_by("tag").len()["len"] == 7).all()
    cited = found.filter(pl.col("section") == "Citation")
    assert dict(zip(cited["tag"], cited["n_filled"], strict=True)) == {"a": 1, "b": 1, None: 0}
    assert cl.section_coverage(cards)["n_cards"].unique().to_list() == [2]
    assert (found["share_low"] <= found["filled_share"]).all()
    assert (found["filled_share"] <= found["share_high"]).all()


def test_copies_count_once():
    own = "## Citation\n\nMe 2020"
    cards = frame(own, own, "## Citation\n\nTODO", "", "", family=[3, 3, 3, None, None])
    found = cl.section_coverage(cards, standard="liang2024", families="family")
    cited = found.row(by_predicate=pl.col("section") == "Citation", named=True)
    assert (cited["n_filled"], cited["n_cards"]) == (2, 5)
    assert (cited["n_filled_families"], cited["n_families"]) == (1, 3)
    assert cited["family_share"] == pytest.approx(1 / 3)
    exact = cl.section_coverage(cards, standard="liang2024", families="text")
    assert set(exact["n_families"]) == {4}
    # a family has what its first card has, and its group
    by = cards.with_columns(pl.Series("tag", ["a", "b", "b", "b", "b"]))
    groups = cl.section_coverage(by, standard="liang2024", families="family", by="tag")
    counted = groups.filter(pl.col("section") == "Citation").select("tag", "n_families")
    assert dict(counted.iter_rows()) == {"a": 1, "b": 2}
    only = by.head(3).filter(pl.col("tag") == "b").vstack(by.head(1))
    lone = cl.section_coverage(only, standard="liang2024", families="family", by="tag")
    assert lone.filter(pl.col("tag") == "b")["family_share"].is_null().all()
    with pytest.raises(MissingColumn, match="no column 'copies'"):
        cl.section_coverage(cards, families="copies")


def test_several_standards_in_one_reading(real_cards):
    real_cards = real_cards.head(120)
    found = cl.section_coverage(real_cards, standard=STANDARDS, families="text")
    assert found["standard"].unique(maintain_order=True).to_list() == list(STANDARDS)
    for standard in STANDARDS:
        rows = found.filter(pl.col("standard") == standard).drop("standard")
        alone = cl.section_coverage(real_cards, standard=standard, families="text")
        assert rows.equals(alone)
        plain = cl.section_coverage(real_cards, standard=standard)
        assert alone.select(plain.columns).equals(plain)
        once = real_cards.sort("id").filter(
            ~pl.col("text").str.contains(r"\S") | pl.col("text").is_first_distinct()
        )
        counted = cl.section_coverage(once, standard=standard, min_shared=10**6)["n_filled"]
        whole = cl.section_coverage(
            real_cards, standard=standard, families="text", min_shared=10**6
        )
        assert whole["n_filled_families"].to_list() == counted.to_list()
    for wrong in ([], ["eu_gpai", "eu_gpai"]):
        with pytest.raises(CardlabError, match="standard must name at least one standard"):
            cl.section_coverage(real_cards, standard=wrong)
    for wrong in (["eu"], 5, None, [["eu_gpai"]]):
        with pytest.raises(CardlabError, match="standard must be one of"):
            cl.section_coverage(real_cards, standard=wrong)


def test_per_card_agrees_with_counts(real_cards):
    real_cards = real_cards.head(200)
    for standard in ("huggingface", "eu_gpai"):
        each = cl.card_coverage(real_cards, standard=standard)
        counts = cl.section_coverage(real_cards, standard=standard)
        names = coverage_sections(standard)["section"].to_list()
        assert counts["section"].to_list() == names
        assert each.height == real_cards.height * len(names)
        assert (counts.select(COUNTS).sum_horizontal() == real_cards.height).all()
        for state in ("filled", "placeholder", "boilerplate", "empty", "absent"):
            own = each.filter(pl.col("state") == state)["section"].value_counts()
            told = dict(own.iter_rows())
            wanted = [told.get(name, 0) for name in names]
            assert counts[f"n_{state}"].to_list() == wanted


@pytest.fixture(scope="module")
def real_cards() -> pl.DataFrame:
    return cl.read_cards(real_file("sampled_cards_2024.seed.parquet"))


def test_same_on_any_batch_size_and_frame(real_cards, monkeypatch):
    real_cards = real_cards.head(200)
    whole = cl.section_coverage(real_cards, by="pipeline_tag")
    gaps = cl.documentation_gaps(real_cards)
    monkeypatch.setattr(reading, "BATCH", 37)
    assert cl.section_coverage(real_cards.lazy(), by="pipeline_tag").equals(whole)
    assert cl.documentation_gaps(real_cards.to_arrow()).equals(gaps)


def test_worklist():
    good = "\n\n".join(
        f"## {name}\n\nSomething of its own about {name}."
        for name in ("Training", "Evaluation", "Intended Uses", "Limitations", "Citation")
    )
    cards = frame(
        *("", good, good + "\n\n## Usage\n\nTODO", "", "", None),
        downloads=[10, 1000, 100, None, 0, 5],
        created_at=[dt.datetime(2024, 1, day, tzinfo=dt.UTC) for day in (1, 2, 3, 4, 5, 9)],
    )
    found = cl.documentation_gaps(cards, standard="liang2024")
    assert found["id"].to_list() == [f"org/model-{n}" for n in (1, 2, 0, 4, 3)]
    assert found["missing"][0].to_list() == ["Environmental Impact", "How to Start"]
    assert found["unfinished"].to_list() == [[], ["How to Start"], [], [], []]
    assert found["score"].to_list() == pytest.approx([2000 / 7, 200 / 7, 10, 0, None])
    assert found["n_missing"].to_list() == [2, 2, 7, 7, 7]
    assert set(found["ranked_by"]) == {"downloads"}
    by_age = cl.documentation_gaps(cards, standard="liang2024", rank_by="age", top=1)
    assert by_age["id"].to_list() == ["org/model-0"]
    aged = cl.documentation_gaps(cards.drop("downloads"), standard="liang2024")
    assert set(aged["ranked_by"]) == {"age"}
    plain = cl.documentation_gaps(cards.select("id", "text"), standard="liang2024")
    assert set(plain["ranked_by"]) == {"gaps"}
    assert plain["downloads"].null_count() == plain.height
    text = found.with_columns(pl.col("missing", "unfinished").list.join("; ")).write_csv()
    assert "Environmental Impact; How to Start" in text


def test_weights():
    cards = frame("## Citation\n\nMe, 2024", downloads=[8])
    found = cl.documentation_gaps(cards, standard="liang2024", weights={"Citation": 0})
    assert found["n_missing"].item() == 6 and found["missing_share"].item() == 1
    heavy = cl.documentation_gaps(cards, standard="liang2024", weights={"Citation": 6})
    assert heavy["missing_share"].item() == pytest.approx(0.5)
    only = dict.fromkeys(coverage_sections("liang2024")["section"], 0) | {"Citation": 1}
    assert not cl.documentation_gaps(cards, standard="liang2024", weights=only).height
    with pytest.raises(CardlabError, match="all are 0"):
        cl.documentation_gaps(cards, standard="liang2024", weights=dict.fromkeys(only, 0))
    with pytest.raises(CardlabError, match="a section must be one of"):
        cl.documentation_gaps(cards, weights={"Birds": 1})
    with pytest.raises(CardlabError, match="at least 0"):
        cl.documentation_gaps(cards, weights={"License": float("nan")})


def test_front_matter_closes_a_gap_if_asked():
    cards = frame("", metadata=['{"license": "mit"}'])
    assert "License" not in cl.documentation_gaps(cards)["missing"][0]
    assert "License" in cl.documentation_gaps(cards, metadata=False)["missing"][0]


def test_errors():
    cards = frame("text")
    with pytest.raises(MissingColumn, match="'text'"):
        cl.section_coverage(cards.drop("text"))
    with pytest.raises(MissingColumn, match="'downloads'"):
        cl.documentation_gaps(cards, rank_by="downloads")
    with pytest.raises(CardlabError, match="must name a number"):
        cl.documentation_gaps(cards, rank_by="id")
    for call in (
        cl.section_coverage,
        cl.card_coverage,
        cl.documentation_gaps,
        unmapped_headings,
    ):
        with pytest.raises(CardlabError, match="standard must be one of"):
            call(cards, standard="iso")
    with pytest.raises(CardlabError, match="'section'"):
        cl.section_coverage(cards.with_columns(section=pl.lit(1)), by="section")
    with pytest.raises(NoFigure, match="none of the 1 cards"):
        cl.section_coverage(frame(None))
    with pytest.raises(NoFigure, match="heading"):
        unmapped_headings(cards)


marks = st.sampled_from(
    [
        *(
            "# ",
            "\n## ",
            "\n",
            "\r\n",
            "<!--",
            "-->",
            "**",
            "__",
            ": ",
            "- ",
            "|",
            "```",
            "[",
            "](",
        ),
        *(
            "License",
            "training data",
            "[More Information Needed]",
            "TODO",
            "概要",
            "<b>",
            "</script>",
        ),
        *("\x1b[2J", "\u202e", "\x00", "{{", "&amp;", "1. ", "Uses", "(s)", "<details>", "====\n"),
    ]
)
hostile = st.lists(marks | st.text(max_size=6), max_size=40).map("".join)


@settings(max_examples=60, deadline=None)
@given(st.lists(hostile, min_size=1, max_size=4))
def test_any_text_is_counted_once(texts):
    cards = frame(*(text.encode("utf-8", "replace").decode() for text in texts))
    for standard in STANDARDS[:2]:
        found = cl.section_coverage(cards, standard=standard)
        assert (found.select(COUNTS).sum_horizontal() == len(texts)).all()
    for row in cl.card_coverage(cards).iter_rows(named=True):
        assert "\x1b" not in (row["heading"] or "")


@pytest.mark.parametrize(
    "piece",
    [
        *("[", "`", "<!--", "|", "> ", "**a", "- License: x\n", "License:\n", "# \n", "<b>", "a: "),
        *("|layers |", "<a x><b>paper", "[paper](x)"),
    ],
)
def test_long_repetitions_end(piece):
    cards = frame("## Training data\n\n" + piece * (100_000 // len(piece)))
    assert cl.section_coverage(cards)["n_cards"].unique().to_list() == [1]


def test_plot(real_cards):
    coverage = cl.section_coverage(real_cards, standard="liang2024")
    spec = cl.plot_coverage(coverage).to_dict()
    assert "472 cards" in spec["title"]["subtitle"][0]
    assert spec["layer"][0]["encoding"]["y"]["sort"] == coverage["section"].to_list()
    rows = spec["datasets"][spec["layer"][0]["data"]["name"]]
    assert len(rows) == 7 * 5
    assert sum(row["share"] for row in rows) == pytest.approx(7)
    assert "share_low" in {tip["field"] for tip in spec["layer"][0]["encoding"]["tooltip"]}
    with pytest.raises(CardlabError, match="more than once"):
        cl.plot_coverage(pl.concat([coverage, coverage]))
    with pytest.raises(NoFigure):
        cl.plot_coverage(coverage.clear())
    with pytest.raises(CardlabError, match="section_coverage"):
        cl.plot_coverage(coverage.drop("n_empty"))


def test_a_corpus_read_once_gives_what_its_cards_give(real_cards):
    cards = cl.with_families(real_cards.head(150))
    read = cl.read_sections(cards.lazy())
    assert repr(read).startswith("<sections of ")
    lengths = cl.with_text_lengths(cards)
    assert read.cards.equals(lengths.select(read.cards.columns))
    assert not {"text", "metadata", "embeddings"} & set(read.cards.columns)
    several = {"standard": STANDARDS, "by": "pipeline_tag", "families": "family", "min_shared": 3}
    assert cl.section_coverage(read, **several).equals(cl.section_coverage(cards, **several))
    assert cl.card_coverage(read, min_shared=3).equals(cl.card_coverage(cards, min_shared=3))
    assert cl.documentation_gaps(read).equals(cl.documentation_gaps(cards))
    assert unmapped_headings(read).equals(unmapped_headings(cards))
    narrow = cl.read_sections(cards, keep=["author"], lengths=False)
    assert narrow.cards.columns == ["id", "author"]
    with pytest.raises(MissingColumn, match="family"):
        cl.section_coverage(narrow, families="family")
    with pytest.raises(CardlabError, match="must be a frame"):
        cl.tag_counts(read)


def test_yaml_left_in_a_text_is_in_its_lengths_and_in_no_section():
    cards = frame("---\ntitle: a\n---\n\n# b\n", "<h1>a</h1>\n\nText.", None)
    read = cl.read_sections(cards)
    assert read.cards.equals(cl.with_text_lengths(cards).drop("text"))
    assert read.cards["n_sections"].to_list() == [2, 1, None]
    assert cl.sections(cards["text"][0])[0].title == "b"


def test_a_notebook_parses_and_shingles_each_text_once(real_cards, monkeypatch):
    cards = real_cards.head(60).unique("text", maintain_order=True)
    parsed, shingled = [], []
    render = markdown._renderer
    monkeypatch.setattr(
        markdown, "_renderer", lambda links: lambda text: parsed.append(text) or render(links)(text)
    )
    monkeypatch.setattr(
        families,
        "signatures",
        lambda batch, real=families.signatures: shingled.extend(batch.keys) or real(batch),
    )
    table = cl.template_families(cards)
    cards = cl.with_families(cards)
    read = cl.read_sections(cards)
    cl.length_summary(read.cards, measure="n_links")
    cl.section_coverage(read, standard=STANDARDS, families="family")
    cl.section_coverage(read, by="pipeline_tag")
    cl.card_coverage(read)
    cl.documentation_gaps(read, standard="liang2024")
    unmapped_headings(read)
    assert table.width
    assert len(parsed) == cards["text"].count()
    assert (
        len(shingled) == len(set(shingled)) == cards["text"].filter(cards["text"] != "").n_unique()
    )


def test_a_fifth_standard_takes_one_table_of_the_data_file(monkeypatch):
    fifth = {
        "name": "A house rule",
        "source": "https://example.org",
        "sections": [
            {"name": "Licence", "concepts": ["license"], "asks": "Under which licence?"},
            {"name": "Who", "concepts": ["developers", "contact"], "asks": "Whom to ask?"},
        ],
    }
    table = {**definitions(), "standards": {**definitions()["standards"], "house": fifth}}
    monkeypatch.setattr(headings, "definitions", lambda: table)
    cards = frame("# a\n\n## Contact\n\nada@example.org\n", license=[["mit"]])
    found = cl.section_coverage(cards, standard="house")
    assert found["section"].to_list() == ["Licence", "Who"]
    assert found["n_filled"].to_list() == [0, 1]
    assert found["n_in_metadata"].to_list() == [1, 0]
    assert cl.documentation_gaps(cards, standard="house", metadata=False)["missing"][
        0
    ].to_list() == ["Licence"]
    headings.sections_of.cache_clear()
    headings.fields_of.cache_clear()
