"""Sentences that hold: what was planted is said, and nothing else; each equals plain Python."""

from __future__ import annotations

import datetime as dt
import re

import altair as alt
import numpy as np
import polars as pl
import pytest
from conftest import real_file

import cardlab as cl
from cardlab import _claims

CLASSES = ["mit", "gpl-3.0", "cc-by-nc-4.0", "openrail", "llama2", "cc0-1.0"]
TASKS = ["text-generation", "fill-mask", "translation", "image-classification"]
LIBRARIES = ["transformers", "diffusers", "timm", "keras", "spacy"]
LANGUAGES = ["en", "fr", "de", "es", "zh", "ja", "ko", "it"]
WORDS = [f"word{number}" for number in range(30)]


def corpus(seed: int, *planted: str, alike: float = 0.5, n: int = 1500) -> pl.DataFrame:
    """Cards of 300 authors of Zipf sizes, whose values are equally frequent but for the planted."""
    draws = np.random.default_rng(seed)
    weight = 1 / np.arange(1, 301)
    author = draws.choice(300, n, p=weight / weight.sum())

    def of(values: list, odds: list[float] | None = None) -> list:
        own, each = draws.choice(len(values), 300, p=odds), draws.choice(len(values), n, p=odds)
        return [values[i] for i in np.where(draws.random(n) < alike, own[author], each)]

    licensed = of([True, False], [0.9, 0.1] if "licensed" in planted else None)
    license_, task = of(CLASSES), of(TASKS)
    if "contrast" in planted:
        license_ = [
            "gpl-3.0" if t == "translation" and draws.random() < 0.8 else name
            for name, t in zip(license_, task, strict=True)
        ]
    tagged = np.array([of([True, False], [0.1, 0.9]) for _ in WORDS])
    if "pair" in planted:
        tagged[1] = np.where(draws.random(n) < 0.85, tagged[0], tagged[1])
    begin = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
    days = draws.uniform(0, 700, n)
    speaks, descends = of([True, False]), of([True, False])
    return pl.DataFrame(
        {
            "id": [f"a{a}/m{i}" for i, a in enumerate(author)],
            "author": [f"a{a}" for a in author],
            "license": [[x] if y else [] for x, y in zip(license_, licensed, strict=True)],
            "languages": [[x] if y else [] for x, y in zip(of(LANGUAGES), speaks, strict=True)],
            "base_model": [[f"b/x{draws.integers(40)}"] if y else [] for y in descends],
            "pipeline_tag": task,
            "library_name": of(LIBRARIES),
            "tags": [[w for w, on in zip(WORDS, row, strict=True) if on] for row in tagged.T],
            "created_at": [begin + dt.timedelta(days=day) for day in days],
        }
    )


def said(cards: pl.DataFrame, **options) -> pl.DataFrame:
    """What holds, but for how few authors make most cards, which Zipf's sizes plant everywhere."""
    found = cl.findings(cards, **options)
    assert found.columns == [
        *("topic", "finding", "value", "low", "high", "n", "of"),
        *("strength", "held", "reason", "figure"),
    ]
    assert (found["held"] == found["reason"].is_null()).all()
    return found.filter(pl.col("held") & (pl.col("topic") != "authors"))


@pytest.mark.parametrize("alike", [0.0, 1.0])
def test_random_corpora_say_nothing(alike):
    assert said(corpus(1, alike=alike))["finding"].to_list() == []


@pytest.mark.verify
def test_at_most_one_false_sentence_in_twenty_random_corpora():
    corpora = [corpus(100 + number, alike=number % 3 / 2) for number in range(20)]
    sentences = [sentence for cards in corpora for sentence in said(cards)["finding"]]
    assert len(sentences) <= 1, sentences


def test_a_planted_corpus_says_what_was_planted():
    cards = corpus(2, "licensed", "pair", "contrast", alike=0.0)
    found = said(cards)
    whole = {row["topic"]: row for row in found.iter_rows(named=True)}
    assert set(whole) <= {"licences", "tags", "contrasts"}
    n = cards["license"].list.len().gt(0).sum()
    licensed = found.filter(pl.col("finding").str.contains("declare a licence:")).row(0, named=True)
    assert (licensed["n"], licensed["of"], licensed["value"]) == (n, 1500, n / 1500)
    assert licensed["low"] < 0.9 < licensed["high"]
    both = cards.filter(
        pl.col("tags").list.contains("word0") & pl.col("tags").list.contains("word1")
    )
    assert f"{both.height:,} of" in whole["tags"]["finding"]
    assert {"word0", "word1"} <= set(re.findall(r"word\d+", whole["tags"]["finding"]))
    gpl = pl.col("license").list.contains("gpl-3.0")
    declared = cards.filter(pl.col("license").list.len() > 0)
    here, others = (
        declared.filter(of).select(gpl.mean()).item()
        for of in (pl.col("pipeline_tag") == "translation", pl.col("pipeline_tag") != "translation")
    )
    contrast = found.filter(pl.col("finding").str.contains("for translation")).row(0, named=True)
    assert contrast["value"] == pytest.approx(here - others)
    assert contrast["low"] < here - others < contrast["high"]


def test_what_rests_on_one_author_or_too_few_is_not_said_as_that_of_a_corpus():
    cards = corpus(3, alike=0.0)
    # one author alone declares licences, on a fifth of all cards
    big = cards.head(400).with_columns(author=pl.lit("big"), license=pl.lit(["mit"]))
    rest = cards.tail(1100).with_columns(license=pl.lit([], dtype=pl.List(pl.String)))
    found = cl.findings(pl.concat([big, rest]))
    licensed = found.filter(pl.col("finding").str.contains("declare a licence"))
    assert licensed["held"].sum() == 0
    alone = cards.with_columns(author=pl.col("author").replace_strict({}, default="one"))
    assert not cl.findings(alone)["held"].any()


@pytest.mark.parametrize("n_cards", [40, 60, 100])
def test_few_cards_give_no_finding_of_a_wide_interval(n_cards):
    found = cl.findings(cl.make_cards(n_cards, random_state=1))
    wide = found.filter(pl.col("reason").str.starts_with("its interval is wide"))
    assert wide.height >= 2
    shares = found.filter(pl.col("held") & ~pl.col("topic").is_in(["growth", "tags", "contrasts"]))
    width, value = shares["high"] - shares["low"], shares["value"]
    assert ((width <= 0.05) | ((width <= 0.3) & (width <= 1.3 * value))).all()


def test_without_the_largest_author_is_said_where_it_changes_much():
    cards = corpus(4, "licensed", alike=0.0)
    # the largest author declares one on every other card, all others on nine of ten
    drops = (pl.col("author") == "a0") & (pl.int_range(pl.len()) % 2 == 0)
    none = pl.lit([], dtype=pl.List(pl.String))
    found = said(cards.with_columns(license=pl.when(drops).then(none).otherwise("license")))
    licensed = found.filter(pl.col("topic") == "licences")["finding"].to_list()
    assert any("Without a0, 89 %" in sentence for sentence in licensed), licensed


def test_figures_are_calls_that_show_them():
    cards = corpus(2, "licensed", "pair", "contrast", alike=0.0)
    found = cl.findings(cards)
    assert found.filter("held").height
    for call in found.filter("held")["figure"].unique():
        assert isinstance(eval(call, {"cl": cl, "cards": cards}), alt.TopLevelMixin)


def test_another_corpus_and_its_name():
    ours = corpus(5, "contrast", alike=0.0).with_columns(license=pl.lit(["mit"]))
    found = said(ours, baseline=corpus(6, alike=0.0), names=("ours", "the Hub"))
    apart = found.filter(pl.col("topic") == "comparison")["finding"].to_list()
    assert any(
        "ours declare a permissive licence" in text and "of the Hub:" in text for text in apart
    )


def test_no_cards_no_authors_and_the_same_twice():
    cards = corpus(7, "licensed")
    with pytest.raises(cl.NoFigure, match="no cards"):
        cl.findings(cards.clear())
    independent = cl.findings(cards.drop("author"))
    assert "authors" not in independent["topic"]
    assert independent.equals(cl.findings(cards, cluster=None))
    assert cl.findings(cards).equals(cl.findings(cards.sample(fraction=1, shuffle=True, seed=1)))


def test_of_a_census_shares_are_exact_however_few_the_authors():
    cards = corpus(2, "licensed", "contrast", alike=0.0).with_columns(author=pl.lit("ours"))
    assert not cl.findings(cards).filter("held").height
    found = said(cards, population="census")
    licensed = found.filter(pl.col("finding").str.contains("of the cards declare a licence"))
    row = licensed.row(0, named=True)
    n = cards["license"].list.len().gt(0).sum()
    assert f": {n:,} of 1,500 (" in row["finding"] and row["value"] == n / 1500
    assert row["low"] is None and row["high"] is None
    contrast = found.filter(pl.col("topic") == "contrasts")
    assert contrast.height and not contrast["finding"].str.contains("taken as drawn").any()
    with pytest.raises(cl.CardlabError, match="population"):
        cl.findings(cards, population="all")


def test_of_many_texts_a_part_is_drawn_and_the_sentence_says_so(monkeypatch):
    monkeypatch.setattr(_claims, "MAX_READ", 120)
    text = pl.format("# {}\n\nA model of its own kind and words, number {}.", "id", "id")
    cards = corpus(8, alike=0.0, n=400).with_columns(text=text)
    found = cl.findings(cards).filter(pl.col("topic") == "documentation")
    assert found.height and found["finding"].str.contains("of 120 drawn at random").all()
    assert cl.findings(cards, random_state=1).height


def test_real_cards_by_plain_python():
    cards = cl.read_cards(real_file("model_cards.seed.parquet"))
    found = cl.findings(cards)
    held = found.filter("held")
    declared = [row for row in cards["license"].to_list() if row and any(row)]
    whole = held.filter(pl.col("finding").str.contains("of the cards declare a licence"))
    assert whole.row(0, named=True)["n"] == len(declared)
    assert 0.68 < whole["low"][0] < 0.72 and 0.81 < whole["high"][0] < 0.85
    for row in held.drop_nulls("low").iter_rows(named=True):
        assert row["low"] <= row["value"] <= row["high"]
    doubling = found.filter(pl.col("topic") == "growth").row(0, named=True)
    assert not doubling["held"] and doubling["reason"]
    assert held.group_by("topic").len()["len"].max() <= 2
