"""What cardlab reads from 8,113 cards alone, held against what the Hub read from them in 2022.

The Hub's own records name licences, data sets, papers and languages of each model among its tags.
Every difference is listed here with its reason, by id where it is a card's own.
"""

from __future__ import annotations

import json
import re

import polars as pl
import pytest
from conftest import real_file

import cardlab as cl

#: `license: [...]` under a key of another spelling, which the Hub passed over and cardlab lists.
OTHER_KEY = {
    "license": {
        "Ferch423/gpt2-small-portuguese-wikipediabio",
        "Skoltech/russian-inappropriate-messages",
        "Skoltech/russian-sensitive-topics",
    },
    "datasets": {
        "Narsil/pet-segmentation",
        "benjaminbeilharz/bert-base-uncased-empatheticdialogues-sentiment-classifier",
        "hiiamsid/est5-base-qg",
        "julien-c/wine-quality",
        "keras-io/ctc_asr",
        "keras-io/semantic-segmentation",
        "keras-io/swin-transformers",
        "keras-io/timeseries_transformer_classification",
        "pszemraj/gpt-neo-tiny-borat",
        "risingodegua/wine-quality-model",
        "scikit-learn-examples/example",
        "shaina/CoQUAD_MPNet",
    },
}
PREFIX = {"license": "license:", "datasets": "dataset:", "arxiv": "arxiv:"}
#: Papers until 2014 have four digits after the dot; the Hub then looked for five.
OLD_PAPER = re.compile(r"\d{4}\.\d{4}")
#: Mappings for data sets, whose names cardlab reads and whose other keys it lists.
MAPPINGS = {
    "comodoro/wav2vec2-xls-r-300m-sr-cv8",
    "leduytan93/Fine-Tune-XLSR-Wav2Vec2-Speech2Text-Vietnamese",
    "vasilis/wav2vec2-large-xlsr-53-finnish",
    "vasilis/wav2vec2-large-xlsr-53-greek",
}
#: Cards without front matter, whose models are named after a country; the Hub read its language.
NORWAY = {f"Helsinki-NLP/opus-mt-{source}-NORWAY": {"no"} for source in ("es", "fi", "sv")}


@pytest.fixture(scope="module")
def cards() -> pl.DataFrame:
    """The cards, read without the Hub's tags."""
    raw = pl.read_parquet(real_file("hub_2022_cards.librarian.parquet"))
    return cl.read_cards(raw.select("modelId", "card"))


@pytest.fixture(scope="module")
def hub() -> dict[str, set[str]]:
    lines = real_file("hub_2022_listing.jsonl").read_text("utf-8").splitlines()
    records = [json.loads(line) for line in lines if line.strip()]
    return {record["modelId"]: set(record["tags"]) for record in records}


@pytest.fixture(scope="module")
def listed(cards) -> dict[str, set[tuple[str, str]]]:
    found: dict[str, set[tuple[str, str]]] = {}
    for card, column, kind in cl.problems(cards).select("id", "column", "problem").iter_rows():
        found.setdefault(card, set()).add((column, kind))
    return found


def test_no_row_of_the_listing_is_lost(cards, hub):
    listing = cl.read_cards(real_file("hub_2022_listing.jsonl"))
    assert listing["id"].to_list() == list(hub)
    assert cards.height == 8113
    assert set(cards["id"]) <= set(hub)


@pytest.mark.parametrize("column", ["license", "datasets"])
def test_licences_and_data_sets_are_those_of_the_hub(cards, hub, listed, column):
    more, fewer = set(), set()
    for card, values in cards.select("id", column).iter_rows():
        own = {value.lower() if column == "license" else value for value in values or ()}
        theirs = {t.removeprefix(PREFIX[column]) for t in hub[card] if t.startswith(PREFIX[column])}
        more |= {card} if own - theirs else set()
        fewer |= {card} if theirs - own else set()
    # the Hub then read front matter that does not stand at the top; cardlab lists such cards
    assert all(("metadata", "front_matter_in_text") in listed[card] for card in fewer)
    read_elsewhere = {card for card in more if (column, "bad_value") in listed.get(card, ())}
    assert more - read_elsewhere == OTHER_KEY[column]
    assert all((column, "key_alias") in listed[card] for card in more - read_elsewhere)
    assert read_elsewhere == (MAPPINGS if column == "datasets" else set())


def test_papers_are_those_of_the_hub(cards, hub):
    others = {}
    for card, values in cards.select("id", "arxiv").iter_rows():
        theirs = {tag.removeprefix("arxiv:") for tag in hub[card] if tag.startswith("arxiv:")}
        assert theirs <= set(values or ()), card
        if new := {v for v in set(values or ()) - theirs if not OLD_PAPER.fullmatch(v)}:
            others[card] = new
    # a file of the paper rather than its page, which the Hub did not take
    assert others == {"mervenoyan/PubMedBERT-QNLI": {"2007.15779"}}


def test_languages_are_those_of_the_hub(cards, hub, listed):
    more, fewer = {}, {}
    for card, languages, tags in cards.select("id", "languages", "tags").iter_rows():
        own = {value.lower() for value in languages or ()}
        theirs = {tag.lower() for tag in hub[card]}
        if own - theirs:
            more[card] = own - theirs
        codes = {tag for tag in hub[card] if re.fullmatch("[a-z]{2}", tag)} - {"tf"}
        # a free tag may look like a code ("qa"), and one may stand in the model's name: the Hub
        # then took the languages of a translation model from there
        known = own | {tag.lower() for tag in tags or ()} | set(re.split(r"[-_/.]", card.lower()))
        in_text = ("metadata", "front_matter_in_text") in listed.get(card, ())
        if codes - known and not in_text:
            fewer[card] = codes - known
    assert more == {"Marc/pegasus_xsum_gigaword": {"english"}}  # no code; cardlab lists it
    assert ("languages", "not_a_language") in listed["Marc/pegasus_xsum_gigaword"]
    assert fewer == NORWAY
