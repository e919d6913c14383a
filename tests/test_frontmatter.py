"""Front matter is read tolerantly, and what is wrong is said."""

from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cardlab as cl
from cardlab import frontmatter
from cardlab.frontmatter import read_card


def kinds(card: str) -> list[str]:
    return [problem["problem"] for problem in read_card(card).problems]


def test_plain_card():
    card = read_card("---\nlicense: mit\ntags:\n- a\n---\n# Title\n")
    assert card == ({"license": "mit", "tags": ["a"]}, "# Title\n", [])


@pytest.mark.parametrize(
    "value", ["no", "No", "on", "off", "yes", "y", "3.10", "2020-01-01", "1e5"]
)
def test_values_stay_as_written(value):
    card = read_card(f"---\nlanguage: {value}\ntags: [{value}, x]\n---\n")
    assert card.metadata == {"language": value, "tags": [value, "x"]}
    assert frontmatter.fields(card.metadata)["languages"] == [value]


def test_false_of_yaml_is_norwegian():
    assert frontmatter.strings(False) == ["no"]
    assert frontmatter.strings([False, "en", None, {"a": 1}]) == ["no", "en"]


def test_other_values_keep_their_types():
    metadata = read_card(
        "---\ninference: false\nn: 3\nx: 1.5\ndate: 2020-01-01\nq: ~\n---\n"
    ).metadata
    assert metadata == {"inference": False, "n": 3, "x": 1.5, "date": "2020-01-01", "q": None}


@pytest.mark.parametrize(
    "card",
    [
        "\ufeff---\nlicense: mit\n---\nbody",
        "---\r\nlicense: mit\r\n---\r\nbody",
        "---\r\r\nlicense: mit\r\r\n---\r\r\nbody",
        "\n\n---\nlicense: mit\n---\nbody",
        "\ufeff\n  \n---  \nlicense: mit\n---\t\nbody",
    ],
)
def test_byte_order_marks_line_ends_and_blank_lines(card):
    assert read_card(card) == ({"license": "mit"}, "body", [])


def test_no_front_matter_keeps_everything():
    for text in ("", "# Title\n---\nx\n---\n", "-- -\n", "----\na: b\n----\n", "text ---\n---"):
        assert read_card(text) == ({}, text, [])


def test_empty_block():
    assert read_card("---\n---\nbody") == ({}, "body", [])
    assert read_card("---\n# only a comment\n---\nbody").metadata == {}


def test_unterminated():
    card = read_card("\n---\nlicense: mit\nbody")
    assert card.metadata is None
    assert card.body == "\n---\nlicense: mit\nbody"
    assert card.problems[0]["problem"] == "unterminated"
    assert card.problems[0]["detail"].startswith("line 2:")


def test_not_a_mapping():
    assert kinds("---\n- language: pt\n---\n") == ["not_a_mapping"]
    assert kinds("---\njust words\n---\n") == ["not_a_mapping"]


def test_yaml_errors_name_the_line():
    card = read_card("---\nlicense: mit\nmodel: a: b\n---\nbody")
    assert card.metadata is None
    assert card.body == "body"
    assert card.problems[0]["problem"] == "yaml_error"
    assert card.problems[0]["detail"].startswith("line 3:")
    assert kinds("---\na:\tb\n\tc: d\n---\n") == ["yaml_error"]


def test_languages_key_is_read_and_said():
    card = read_card("---\nlanguages: [en]\n---\n")
    assert frontmatter.fields(card.metadata)["languages"] == ["en"]
    assert kinds("---\nlanguages: [en]\n---\n") == ["key_alias"]
    both = read_card("---\nlanguages: [en]\nlanguage: de\n---\n")
    assert frontmatter.fields(both.metadata)["languages"] == ["de"]
    assert [(p["column"], p["problem"]) for p in both.problems] == [("languages", "key_alias")]
    assert 'left out beside `language:`, which the Hub knows: ["en"]' in both.problems[0]["detail"]
    assert kinds("---\nlanguages: [en]\nlanguage: [de, en]\n---\n") == []


@pytest.mark.parametrize(
    "block",
    [
        "[" * 100_000,
        "a: " + "{" * 5_000,
        "- " * 50_000 + "a",
        "? " * 50_000 + "a",
        "\n".join(" " * depth + "a:" for depth in range(1_000)),
        "a: &a [x, x]\n"
        + "\n".join(f"b{i}: &b{i} [*{'a' if not i else f'b{i - 1}'}, *a]" for i in range(3)),
        "a0: &a0 [x]\n"
        + "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)),
        "a: &a [*a]",
        "!!python/object/apply:os.system [echo]",
        "a: !!binary '*not base64*'",
        "<<: 3",
        "\x00\x07: \x1b[2J",
        "? [a, b]\n: c",
        "a: .nan\nb: -.inf",
    ],
)
def test_hostile_blocks_end_in_a_value_or_a_problem(block):
    card = read_card(f"---\n{block}\n---\nbody")
    assert card.body == "body"
    assert (card.metadata is None) == bool(card.problems)
    if card.metadata is not None:
        json.loads(
            frontmatter.to_json(card.metadata), parse_constant=lambda name: pytest.fail(name)
        )


def test_aliases_are_written_out_when_they_are_few():
    card = read_card("---\nbase: &b {x: 1}\na: *b\nc: {<<: *b, y: 2}\n---\n")
    assert card.metadata == {"base": {"x": 1}, "a": {"x": 1}, "c": {"x": 1, "y": 2}}


def test_hub_tags_in_the_hubs_order():
    metadata = read_card(
        "---\nlicense: mit\nlanguage: [en, no]\ntags: [x, en]\ndatasets: d\nlibrary_name: l\n"
        "pipeline_tag: p\nbase_model: o/m\nbase_model_relation: merge\n---\n"
    ).metadata
    tags = frontmatter.hub_tags(frontmatter.fields(metadata), ["2001.00001"])
    assert tags == [
        "l",
        "p",
        "x",
        "en",
        "no",
        "dataset:d",
        "arxiv:2001.00001",
        "base_model:o/m",
        "base_model:merge:o/m",
        "license:mit",
    ]


@pytest.mark.parametrize(
    ("said", "read"),
    [
        *(("quantized", True), (" Quantized", True), (["quantized"], True), ([], None), ("", None)),
        *(("quantised", False), (["merge", "quantized"], False), ({"a": 1}, False), (7, False)),
    ],
)
def test_how_a_model_was_made_from_its_parents(said, read):
    front = json.dumps({"base_model": ["o/m", "o/n"], "base_model_relation": said})
    sources = {"card": f"---\n{front}\n---\n"}, {"metadata": front}, {"cardData": front}
    for source in sources:
        cards = cl.read_cards(pl.DataFrame({"id": ["a/b"]} | {k: [v] for k, v in source.items()}))
        assert cards["base_model"].to_list() == [["o/m", "o/n"]]
        found = [tag for tag in cards["tags"][0] if tag.count(":") == 2]
        assert found == ["base_model:quantized:o/m", "base_model:quantized:o/n"] * (read is True)
        kinds = cl.problems(cards)["column", "problem"].rows()
        assert kinds == [("base_model_relation", "bad_value")] * (read is False)


def test_arxiv_links():
    text = "https://arxiv.org/abs/1909.11942v2 arxiv.org/pdf/1909.11942.pdf http://ARXIV.org/abs/2001.12345"
    assert frontmatter.arxiv_ids(text) == ["1909.11942", "2001.12345"]


yaml_like = st.text(alphabet="-:#[]{}&*!|>'\"%@`?,~ \n\r\tab01.\ufeff\x00\x85\u2028é", max_size=300)


@settings(max_examples=300, deadline=None)
@given(yaml_like)
def test_never_raises_and_never_loses_the_body(block):
    card = read_card(f"---\n{block}\n---\nthe body")
    assert card.body.endswith("the body")
    lost = ("unterminated", "not_a_mapping", "yaml_error")
    assert (card.metadata is None) == any(p["problem"] in lost for p in card.problems)
    read_card(block)
    if card.metadata is not None:
        assert isinstance(json.loads(frontmatter.to_json(card.metadata)), dict)
        frontmatter.fields(card.metadata)


def test_real_cards_equal_what_others_read(data):
    """The same cards in two schemas: our reading of the one gives the columns of the other."""
    seed = pl.read_parquet(data / "model_cards.seed.parquet")
    cards = pl.read_parquet(data / "model_cards.librarian.parquet")
    assert seed["id"].equals(cards["modelId"], check_names=False)
    # libyaml reads tabs that the reference parser refused
    tabs = "lighteternal/stsb-xlm-r-greek-transfer"
    n_metadata = 0
    for row, text in zip(seed.iter_rows(named=True), cards["card"], strict=True):
        card = read_card(text)
        assert card.body == row["text"], row["id"]
        if row["metadata"] is None:
            assert card.metadata is None or row["id"] == tabs
            continue
        expected = json.loads(row["metadata"], parse_constant=lambda name: None)
        assert card.metadata is not None
        ours = json.loads(frontmatter.to_json(card.metadata))
        for key in frontmatter.AS_WRITTEN & set(expected):  # there, False is the code `no`
            assert frontmatter.strings(ours[key]) == frontmatter.strings(expected[key]), row["id"]
            del ours[key], expected[key]
        assert ours == expected, row["id"]
        n_metadata += 1
    assert n_metadata == 2575


def test_real_broken_cards(data):
    cards = pl.read_parquet(data / "broken_front_matter.librarian.parquet")
    found = {row["modelId"]: kinds(row["card"]) for row in cards.iter_rows(named=True)}
    assert found.pop("lighteternal/stsb-xlm-r-greek-transfer") in ([], ["yaml_error"])
    assert found.pop("adalbertojunior/PTT5-SMALL-SUM") == ["not_a_mapping"]
    assert found.pop("TokenBender/llama2-7b-chat-hf-codeCherryPop-qLoRA-merged") == ["unterminated"]
    assert set(map(tuple, found.values())) == {("yaml_error",)}


@pytest.mark.parametrize(
    "card", ["+++\nlicense = 'mit'\n+++\n# A", "---\rlicense: mit\r---\r# A", "+++\r\n+++\r\n"]
)
def test_front_matter_of_other_kinds_is_said(card):
    found = frontmatter.read_card(card)
    assert found.metadata == {} and found.body == card
    assert [problem["problem"] for problem in found.problems] == ["front_matter_in_text"]
    assert not frontmatter.read_card(card.lstrip("+-")).problems


def test_a_card_of_one_rule_names_its_line():
    assert frontmatter.read_card("---").problems[0]["detail"].startswith("line 1:")


def test_flat_json_is_never_other_than_a_parser_reads_it():
    texts = [
        '{"a": 01}',
        '{"a": 1,}',
        '{"a": "b\n"}',
        '{"a": [1, ]}',
        "[1]",
        '{"a": {}} ',
        "{'a': 1}",
    ]
    texts += [
        '{"license": "mit", "license": ["x"]}',
        '{"license": "a\\"b"}',
        '{"license": "é", "n": -0.5}',
    ]
    texts += [
        '{"tags": ["license"], "license": "mit"}',
        '{"m": {"license": "x"}}',
        "{}",
        '{"a": true} x',
    ]
    flat = pl.Series(texts).str.contains(frontmatter.FLAT_JSON).to_list()
    assert flat == [False] * 7 + [True, False, True, True, False, True, False]
    for text in pl.Series(texts).filter(pl.Series(flat)):
        assert isinstance(json.loads(text), dict)
    cards = {
        "id": [f"ann/{n}" for n in range(len(texts))],
        "metadata": texts,
        "tags": [[]] * len(texts),
    }
    frame = cl.read_cards(cards)
    bad = cl.problems(frame).filter(pl.col("problem").is_in(["bad_json", "not_a_mapping"]))
    assert set(bad["id"]) == {f"ann/{n}" for n in (0, 1, 2, 3, 4, 13)}
    declared = cl.license_conflicts(frame).select("id", "declared").rows()
    assert dict(declared) == {"ann/7": ["x"], "ann/8": ['a"b'], "ann/9": ["é"], "ann/10": ["MIT"]}
