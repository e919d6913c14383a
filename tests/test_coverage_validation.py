"""Sections are found as readers find them, as often as is said, and shares are mended by that."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from conftest import real_file

import cardlab as cl
from benchmarks import coverage
from cardlab.coverage.headings import (
    COUNTS,
    corrected,
    coverage_sections,
    coverage_validation,
    with_corrected,
)
from cardlab.schema import CardlabError

LABELS = pl.read_csv(coverage.LABELS)
NAMES = ("filled_share_corrected", "corrected_low", "corrected_high")


def test_the_labels_are_a_sample_that_others_can_count():
    assert LABELS.columns == [
        *("file", "id", "half", "reader", "language", "standard", "section", "label", "shown_by")
    ]
    cards = LABELS.unique(["file", "id"])
    assert cards.height == 150
    assert cards["language"].count() >= 20
    authors = cards["id"].str.split("/").list.first()
    assert authors.value_counts()["count"].max() <= 2
    assert LABELS.unique(["file", "id", "standard", "section"]).height == LABELS.height
    assert set(LABELS["label"].drop_nulls()) == {"filled", "mention", "placeholder", "empty"}
    for (standard,), rows in LABELS.drop_nulls("section").group_by("standard"):
        assert set(rows["section"]) <= set(coverage_sections(standard)["section"])
    # the half that was only counted is no part of the other
    assert cards.group_by("half").len().sort("half").rows() == [("held_out", 66), ("tuned", 84)]


def test_what_the_package_says_of_itself_is_what_the_labels_give():
    real_file("hub_2022_cards.librarian.parquet")
    rows = coverage.compared()
    kept = pl.read_csv(coverage.COUNTED)
    assert coverage.counts(rows).equals(kept.cast(dict.fromkeys(COUNTS, pl.Int64)))
    found = (
        coverage.overall(rows)
        .filter(pl.col("shown by") == "all")
        .rows_by_key("cards", include_key=False)
    )
    _, n_found, precision, low, high, n_filled, recall, *_ = found["held_out"][0]
    assert n_found > 200
    assert n_filled > 250
    assert low < precision < high
    assert precision > 0.85
    assert recall > 0.82


def test_sections_of_one_standard_speak_for_those_of_another():
    rows = coverage.labelled()
    wide = rows.filter(half="held_out").pivot("section", index=["id", "standard"], values="label")
    own, seven = (wide.filter(standard=name).sort("id") for name in ("huggingface", "liang2024"))
    parts = ["Direct Use", "Downstream Use", "Out-of-Scope Use"]
    best = own.select(pl.max_horizontal(*parts))[:, 0]
    assert seven["Intended Uses"].equals(best, check_names=False)
    assert seven["Environmental Impact"].equals(own["Environmental Impact"], check_names=False)
    # part of this section is in a section of the template that asks for more
    assert rows.filter(section="Model properties: inputs and outputs").height == 0


def test_precision_and_recall_of_a_section():
    whole = coverage_validation("liang2024")
    halves = [coverage_validation("liang2024", half=half) for half in ("tuned", "held_out")]
    assert whole["section"].to_list() == coverage_sections("liang2024")["section"].to_list()
    for name in COUNTS:
        assert (halves[0][name] + halves[1][name]).equals(whole[name])
    row = whole.filter(section="Limitations").row(0, named=True)
    assert sum(row[name] for name in COUNTS) == 150
    hit, alarm, miss = (row[name] for name in COUNTS[:3])
    assert row["precision"] == hit / (hit + alarm)
    assert row["recall"] == hit / (hit + miss)
    assert row["recall_low"] < row["recall"] <= row["recall_high"]
    with pytest.raises(CardlabError, match="standard"):
        coverage_validation("liang")


def labelled(hits, false_alarms, misses, passes, rows=1):
    counts = zip(COUNTS, (hits, false_alarms, misses, passes), strict=True)
    return pl.DataFrame({name: np.broadcast_to(of, rows) for name, of in counts})


def one(n, total, *counts, **more):
    found = corrected(pl.Series([n]), pl.Series([total]), labelled(*counts), **more)
    return tuple(series[0] for series in found)


def test_a_share_is_mended_by_what_is_missed_and_seen_wrongly():
    share, low, high = one(300, 1000, 90, 5, 10, 95)
    assert share == pytest.approx((0.3 - 0.05) / (0.9 - 0.05))
    assert low < share < high
    assert one(300, 1000, 10_000, 0, 0, 10_000)[0] == pytest.approx(0.3)
    wide = one(300, 1000, 90, 5, 10, 95, design_effect=20)
    assert wide[0] == share
    assert wide[2] - wide[1] > 1.2 * (high - low)
    fewer = one(300, 1000, 18, 1, 2, 19)
    assert fewer[0] == pytest.approx(share)
    assert fewer[2] - fewer[1] > 1.5 * (high - low)
    assert one(0, 1000, 90, 5, 10, 95)[0] == 0  # fewer found than would be seen wrongly
    assert one(1000, 1000, 90, 5, 10, 95)[0] == 1


@pytest.mark.parametrize("counts", [(8, 0, 1, 141), (120, 4, 21, 5), (10, 90, 10, 40)])
def test_too_few_labels_or_no_better_than_chance_give_no_figure(counts):
    assert one(30, 100, *counts) == (None, None, None)


@pytest.mark.parametrize(
    ("true", "recall", "spared", "n"), [(0.1, 0.85, 0.98, 400), (0.3, 0.9, 0.99, 2000)]
)
def test_the_interval_holds_the_true_share(true, recall, spared, n):
    rng, rows = np.random.default_rng(3), 3000
    have = rng.binomial(n, true, rows)
    found = rng.binomial(have, recall) + rng.binomial(n - have, 1 - spared)
    hits, passes = rng.binomial(40, recall, rows), rng.binomial(110, spared, rows)
    counts = labelled(hits, 110 - passes, 40 - hits, passes, rows)
    share, low, high = corrected(pl.Series(found), pl.Series([n] * rows), counts)
    assert 0.94 <= ((low <= true) & (true <= high)).mean() <= 0.995
    assert abs(share.mean() - true) < abs(found.mean() / n - true) / 2 + 0.002


def test_coverage_has_the_mended_share_beside_the_raw_one():
    cards = cl.read_cards(real_file("sampled_cards_2024.seed.parquet"))
    found = cl.section_coverage(cards)
    counts = coverage_validation("huggingface").select("section", *COUNTS)
    own = found.select("section").join(counts, on="section", how="left", maintain_order="left")
    effect = found["design_effect"].to_numpy()
    assert (effect > 1).any()
    for series in corrected(found["n_filled"], found["n_cards"], own, effect):
        assert found[series.name].equals(series)
    said = found.drop_nulls("filled_share_corrected")
    assert 10 < said.height < found.height
    assert said.filter(~pl.col("filled_share_corrected").is_between(*NAMES[1:])).height == 0
    missed = said.filter(section="Model Sources").row(0, named=True)
    assert missed["filled_share_corrected"] > missed["filled_share"]


def test_authors_widen_the_mended_interval_and_a_census_leaves_the_labels():
    share = {"section": ["Citation"], "n_filled": [300], "share_low": [0.27], "n_cards": [1000]}
    widths = {}
    for name, more in {"plain": {}, "authors": {"design_effect": [25.0]}, "census": {}}.items():
        low = {"share_low": pl.Series([None if name == "census" else 0.27], dtype=pl.Float64)}
        frame = pl.DataFrame({**share, **low, **more})
        found = with_corrected(frame, "huggingface")
        assert found.columns == [*frame.columns[:3], *NAMES, *frame.columns[3:]]
        widths[name] = (found["corrected_high"] - found["corrected_low"]).item()
    assert widths["authors"] > 2 * widths["plain"] > 2 * widths["census"] > 0


def states(text, card_id="o/own"):
    cards = pl.DataFrame({"id": [card_id], "text": [text]})
    rows = cl.card_coverage(cards).filter(pl.col("state") != "absent")
    return dict(rows.select("section", "state").rows())


@pytest.mark.parametrize(
    ("body", "section", "state"),
    [
        ("License: MIT\n\nA tagger.", "License", "filled"),
        ("Authors:\n[Ada](https://a.org),\n[Bo](https://b.org)", "Developed by", "filled"),
        ("Paper: https://arxiv.org/abs/1706.03762", "Model Sources", "filled"),
        ("<p><b>Training data.</b>\n\nTwo million articles.", "Training Data", "filled"),
        ("Output: a cat on a mat", "Model Description", None),
        ("language: ig", "Language(s)", None),
        ("We say it so: License: MIT", "License", None),
    ],
)
def test_a_label_on_a_line_of_its_own(body, section, state):
    assert states(f"# own\n\n{body}\n").get(section) == state


FORMULA = "This model is a fine-tuned version of [x/y](https://h.co/x/y) on {} dataset."


@pytest.mark.parametrize(
    ("body", "section", "state"),
    [
        (FORMULA.format("the glue"), "Finetuned from model", "filled"),
        (FORMULA.format("the glue"), "Training Data", "filled"),
        (FORMULA.format("an unknown"), "Training Data", None),
        (FORMULA.format("the None"), "Training Data", None),
        ("```\ntrain.py --learning_rate 3e-5 -n 2\n```", "Training Hyperparameters", "filled"),
        ("It learned at a learning rate of 3e-5 for a week.", "Training Hyperparameters", None),
        ("- Transformers 4.9.0\n- Pytorch 1.9.0+cu102", "Software", "filled"),
        ("```\npip install transformers\n```", "Software", None),
        ("> Created by [Ada](https://a.org)", "Developed by", "filled"),
        ("A tagger created by somebody.", "Developed by", None),
        ("|layers|heads|\n|-|-|\n|12|12|", "Model Architecture and Objective", "filled"),
        ("- Loss: 0.1\n- Accuracy: 0.93", "Results", "filled"),
        ("| Metric | Value |\n| --- | --- |\n| Accuracy | 0.83 |", "Results", "filled"),
        ("[GitHub](https://g.co/a) | [Paper](https://p.co/b)", "Model Sources", "filled"),
        ("See the [paper](https://p.co/b) for more.", "Model Sources", None),
        ("```\n<|im_start|>user\nhi<|im_end|>\n```", "How to Get Started with the Model", "filled"),
    ],
)  # fmt: skip
def test_content_that_is_a_section_by_its_form(body, section, state):
    assert states(f"# own\n\nA tagger.\n\n{body}\n").get(section) == state


def test_code_under_evaluation_that_loads_the_cards_own_model_shows_how_to_start():
    code = '```python\nname = "{}"\n\nmodel = AutoModel.from_pretrained(name)\n```\n'
    text = "# own\n\n## Evaluation\n\n" + code
    section = "How to Get Started with the Model"
    assert states(text.format("o/own"))[section] == "filled"
    assert section not in states(text.format("o/other"))


def test_addresses_alone_are_no_summary():
    for lead in (
        "[English](Readme_en.md)",
        "https://a.org\nhttps://b.org",
        "<Gallery />",
        "![x](y)",
    ):
        assert states(f"{lead}\n\n## Results\n\nGood.\n").get("Model Summary") == "empty", lead
    assert states("# own\n\nA [tagger](https://a.org) of words.\n")["Model Summary"] == "filled"


def test_a_part_fills_the_section_that_it_is_a_part_of():
    text = "# own\n\n## Training procedure\n\n### {}\n\n- {}\n"
    whole, part = "Training Procedure", "Training Hyperparameters"
    found = states(text.format("Training hyperparameters", "seed: 42"))
    assert found == {whole: "filled", part: "filled"}
    assert whole not in states(text.format("Framework versions", "Pytorch 1.9.0"))
    assert whole not in states("# own\n\n## Training hyperparameters\n\n- seed: 42\n")


def test_uses_alone_fill_no_limits_and_code_says_neither():
    text = "# own\n\n## Intended uses & limitations\n\n{}\n"
    limits, uses = "Bias, Risks, and Limitations", "Direct Use"
    found = states(text.format("It summarises legal texts."))
    assert (found[uses], found.get(limits)) == ("filled", None)
    assert states(text.format("It summarises texts, but not long ones."))[limits] == "filled"
    begun = states(text.format("```python\nrun()\n```\n[More Information Needed]"))
    assert (begun[uses], begun[limits]) == ("placeholder", "placeholder")


def test_the_lead_may_stand_under_the_models_name_below_an_empty_title():
    text = "## ESPnet2 model\n\n### `o/own`\n\nIt was trained by Ada.\n\n### Results\n\nGood.\n"
    assert states(text)["Model Summary"] == "filled"
    named = "# A title\n\n## Details of own\n\nIt tags words.\n"
    assert states(named) == {"Model Description": "filled"}
    later = "# A title\n\nA lead.\n\n## own\n\nText.\n"
    rows = cl.card_coverage(pl.DataFrame({"id": ["o/own"], "text": [later]}))
    assert rows.filter(section="Model Summary")["n_words"].item() == 2
