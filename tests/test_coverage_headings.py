"""Headings mean what a reader takes them to mean, in nine languages."""

from __future__ import annotations

from typing import get_args

import polars as pl
import pytest
from conftest import real_file
from hypothesis import given, settings
from hypothesis import strategies as st

import cardlab as cl
from cardlab.coverage.bodies import judge
from cardlab.coverage.coverage import heading_meanings, unmapped_headings
from cardlab.coverage.headings import (
    Standard,
    asked_for,
    coverage_sections,
    definitions,
    fold,
    meaning,
    phrase,
    standard_for,
)

STANDARDS = list(definitions()["standards"])
CONCEPTS = definitions()["concepts"]
KINDS = ("whole", "anywhere", "weak", "otherwise", "first", "under")
LANGUAGES = {"en", "zh", "fr", "de", "es", "pt", "ru", "ja", "ko"}


def sections_of(heading: str, standard: str = "huggingface") -> list[str]:
    cards = pl.DataFrame({"id": ["a/b"], "text": [f"# b\n\n## {heading}\n\nText.\n"]})
    rows = heading_meanings(cards, standard=standard).filter(pl.col("heading") != "b")
    return rows["sections"].explode().to_list()


@pytest.mark.parametrize(
    ("heading", "concepts"),
    [
        ("Training data", {"training_data"}),
        ("Training", {"training"}),
        ("Training and evaluation data", {"training_data", "testing_data"}),
        ("Evaluation data", {"testing_data"}),
        ("Evaluation", {"evaluation"}),
        ("Usage", {"getting_started"}),
        ("Uses", {"intended_use"}),
        ("Intended uses & limitations", {"intended_use", "limitations"}),
        ("Bias, Risks, and Limitations", {"bias", "ethics", "limitations"}),
        ("License of the dataset", {"training_data"}),
        ("2.1) 🚀 **How to Use** :", {"getting_started"}),
        ("II. Out-of-Scope Use [optional]", {"out_of_scope"}),
        ("Model Architecture and Objective", {"architecture"}),
        ("Hardware and Software", {"hardware", "software"}),
        ("Model Card Authors", {"card_authors"}),
        ("Model Card Contact", {"contact"}),
        ("How to fine-tune", {"downstream_use"}),
        ("Fine-tuning", {"training"}),
        ("快速使用（Quickstart）", {"getting_started"}),
        ("训练数据", {"training_data"}),
        ("Données d'entraînement", {"training_data"}),
        ("Einschränkungen", {"limitations"}),
        ("Cómo usar", {"getting_started"}),
        ("Uso pretendido", {"intended_use"}),
        ("Как использовать", {"getting_started"}),
        ("学習データ", {"training_data"}),
        ("학습 데이터", {"training_data"}),
        ("環境への影響", {"environment"}),
        ("Birds", set()),
    ],
)
def test_meaning(heading, concepts):
    assert set(meaning(heading).concepts) == concepts


# the sections of Liang et al. as a native would head them
SEVEN = {
    "Training": "训练过程 Entraînement Trainingsverfahren Entrenamiento Treinamento Обучение "
    "学習 훈련",
    "Evaluation": "评估 Évaluation Auswertung Evaluación Avaliação Оценка 評価 평가",
    "Limitations": "局限性 Limites Einschränkungen Limitaciones Limitações Ограничения "
    "制限事項 한계",
    "Intended Uses": "预期用途 Utilisations_prévues Verwendungszweck Usos_previstos "
    "Usos_pretendidos Назначение 想定用途 용도",
    "Environmental Impact": "环境影响 Impact_environnemental Umweltauswirkungen Impacto_ambiental "
    "Pegada_de_carbono Углеродный_след 環境への影響 환경_영향",
    "Citation": "引用 Citation Zitierung Cita Citação Цитирование 引用方法 인용",
    "How to Start": "快速开始 Utilisation Nutzung Cómo_usar Como_usar Использование 使い方 사용법",
}


@pytest.mark.parametrize(("section", "words"), SEVEN.items(), ids=list(SEVEN))
def test_languages(section, words):
    headings = [word.replace("_", " ") for word in words.split()]
    assert len(headings) == 8
    for heading in headings:
        assert sections_of(heading, "liang2024") == [section], heading
        assert sections_of(heading.upper() + ":", "liang2024") == [section], heading


def test_every_standard_is_readable():
    for standard in STANDARDS:
        rows = coverage_sections(standard)
        assert rows["section"].n_unique() == rows.height
        assert (rows["weight"] == 1).all()
        assert rows["asks"].str.len_chars().min() > 3
        assert set(rows["concepts"].explode()) <= set(CONCEPTS)
        assert (rows["concepts"].list.len() > 0).all()
    assert set(definitions()["standards"]) == set(get_args(Standard))
    text = str(definitions()["standards"]["eu_gpai"]).lower()
    assert "coverage" in text and "complian" not in text


def test_what_is_said_of_data_sets_is_of_models_their_training_data():
    """New words for data sets take nothing from a standard for models."""
    of_data = dict(coverage_sections("huggingface_datasets").select("section", "concepts").rows())
    sections = ("Dataset Structure", "Curation Rationale", "Annotations")
    parts = {concept for name in sections for concept in of_data[name]} | {"data_source"}
    for standard, section in (
        *(("huggingface", "Training Data"), ("mitchell2019", "Training Data")),
        *(("liang2024", "Training"), ("eu_gpai", "Data: type, provenance and how obtained")),
    ):
        rows = coverage_sections(standard).filter(pl.col("section") == section)
        assert parts <= {*rows["concepts"].item()}, standard


def test_cards_of_data_sets_are_held_against_their_own_template():
    cards = cl.scan_cards(real_file("dataset_cards.librarian.parquet"))
    assert standard_for(cards) == "huggingface_datasets"
    assert standard_for(cl.make_cards(50)) == standard_for(cards.drop("kind")) == "liang2024"
    covered = cl.section_coverage(cards, standard="huggingface_datasets")
    filled = dict(covered.select("section", "n_filled").rows())
    # below: cards with words of their own under these headings, by a regular expression
    rough = {
        **{"Annotations": 409, "Curation Rationale": 469, "Dataset Structure": 1562},
        "Personal and Sensitive Information": 275,
    }
    for section, n in rough.items():
        assert abs(filled[section] - n) < 0.08 * n, section


def test_every_concept_is_asked_for_or_says_why_not():
    for name, concept in CONCEPTS.items():
        assert concept["means"], name
        assert (name in asked_for()) != ("reason" in concept), name
        assert set(concept) <= {*KINDS, "means", "part_of", "reason", "shared", "yields"}, name
        for kind in KINDS:
            table = concept.get(kind, {})
            assert set(table) <= (LANGUAGES if kind != "under" else set(definitions()["families"]))
    for field, concepts in definitions()["metadata"].items():
        assert set(concepts) <= set(CONCEPTS), field
    spoken = {
        name: {lang for kind in KINDS[:3] for lang in c.get(kind, {})}
        for name, c in CONCEPTS.items()
    }
    complete = [name for name, languages in spoken.items() if languages >= LANGUAGES]
    assert len(complete) > 0.9 * len(CONCEPTS)


def test_no_phrase_is_dead_or_twice():
    twice, dead = [], []
    for name, concept in CONCEPTS.items():
        seen = set()
        for kind in KINDS[:4]:
            for language, phrases in concept.get(kind, {}).items():
                for text in phrases:
                    folded = (language, phrase(text))  # two languages may write a word alike
                    if folded in seen:
                        twice.append((name, text))
                    seen.add(folded)
                    if name not in meaning(text).concepts:
                        dead.append((name, kind, text, meaning(text).concepts))
    assert twice == []
    assert dead == []


def test_patterns_have_their_word():
    for table in (
        definitions()["placeholders"]["anywhere"],
        definitions()["boilerplate"]["phrases"],
    ):
        for word, pattern in table:
            assert word == word.casefold() and word.strip(), word
            plain = pattern.replace("\\", "").replace("(?:", "").replace("?", "")
            assert all(part in plain for part in word.split()), (word, pattern)


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ("1. Training-Datas:", "training data"),
        ("Évaluation", "evaluation"),
        ("IV. Use Cases", "use case"),
        ("4-bit", "4 bit"),
        ("Uses", "uses"),
        ("📌", ""),
        ("", ""),
    ],
)
def test_fold(heading, words):
    assert fold(heading) == words


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_heading_and_text(text):
    text = text.encode("utf-8", "replace").decode()
    told = meaning(text)
    assert set(told.concepts) <= set(CONCEPTS)
    assert 0 < judge(text).state <= 4


def test_reasons():
    text = (
        "# Falcon\n\n## 中文\n\nx\n\n## Table of contents\n\nx\n\n## Falcon 7B\n\nx\n\n"
        "## Discord\n\nx\n\n## 📌\n\nx\n\n## Happy hacking!\n\nx\n\n## Quux\n\nx\n\n"
        "## About Tiiuae\n\nx\n\n## Available files\n\nx\n"
    )
    cards = pl.DataFrame({"id": ["tiiuae/falcon-7b"], "text": [text]})
    rows = unmapped_headings(cards)
    found = {row["heading"]: row["reason"] for row in rows.iter_rows(named=True)}
    assert found.pop("Quux") is None
    assert set(found) == {
        *("中文", "Table of contents", "Falcon 7B", "Discord", "📌", "Happy hacking!"),
        "Available files",
    }
    assert all(found.values())
    assert found["中文"] == "a language"
    assert "Available files" not in unmapped_headings(cards, standard="eu_gpai")["heading"]
    assert rows.head(2).equals(unmapped_headings(cards, top=2))


def test_headings_of_popular_cards():
    """At least 95 % of the verified cards' headings map, or are listed with a reason."""
    cards = cl.read_cards(real_file("cards/popular-2025"))
    rows = heading_meanings(cards)
    known = rows.filter((pl.col("sections").list.len() > 0) | pl.col("reason").is_not_null())
    assert rows["n_headings"].sum() > 380
    assert known["n_headings"].sum() / rows["n_headings"].sum() >= 0.95
    mapped = rows.filter(pl.col("sections").list.len() > 0)
    assert mapped["n_headings"].sum() / rows["n_headings"].sum() >= 0.85


def test_headings_of_all_cards():
    """Most headings of cards that nobody chose are understood too, in no more than four places."""
    cards = cl.read_cards(real_file("sampled_cards_2024.seed.parquet"))
    rows = heading_meanings(cards)
    known = rows.filter((pl.col("sections").list.len() > 0) | pl.col("reason").is_not_null())
    assert known["n_headings"].sum() / rows["n_headings"].sum() >= 0.95
    assert (rows["concepts"].list.len() <= 4).mean() > 0.99
    unmapped = unmapped_headings(cards)
    assert unmapped.height == rows.filter(pl.col("sections").list.len() == 0).height
