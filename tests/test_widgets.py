"""The explorer's state as a frame and as code, without a browser."""

from __future__ import annotations

import polars as pl
import pytest

import cardlab as cl
from cardlab.widgets import MAX_LISTED


@pytest.fixture(scope="module")
def cards() -> pl.DataFrame:
    return cl.read_cards(cl.make_cards(400))


def same_by_code(browser, cards) -> pl.DataFrame:
    names = {"cards": cards}
    exec(browser.code, names)
    return names["selection"]


def test_controls_narrow_the_selection_and_the_code_agrees(cards):
    browser = cl.CardBrowser(cards.lazy())
    assert browser.selection.height == 400
    assert browser.found.value == "400 of 400 cards, the first 200 listed"
    assert len(browser.listed.options) == MAX_LISTED
    license_ = browser.filters["license"].options[1][1]
    browser.filters["license"].value = license_
    expected = cards.filter(pl.col("license").list.contains(license_)).sort("id")
    assert browser.selection["id"].to_list() == expected["id"].to_list()
    task = browser.filters["pipeline_tag"].options[1][1]
    browser.filters["pipeline_tag"].value = task
    browser.query.value = "A"
    browser.order.value = "most downloads"
    found = browser.selection
    assert found.equals(same_by_code(browser, cards))
    assert found["downloads"].is_sorted(descending=True)
    assert all("a" in card.lower() for card in found["id"])
    browser.tag.value = "no such tag '\"\\"
    assert browser.selection.height == 0
    assert browser.card.value == "<em>No card fits.</em>"
    assert same_by_code(browser, cards).height == 0


def test_opening_a_card_shows_it_escaped(cards):
    browser = cl.CardBrowser(cards)
    hostile = cards.with_row_index().filter(pl.col("id").str.starts_with("mallory/"))
    assert hostile.height >= 6
    browser.query.value = "mallory/"
    for row in hostile["index"]:
        browser.listed.value = row
        shown = browser.card.value.lower()
        for active in ("<script", "<img", "<iframe", "<meta", "<a ", "<svg", "\x1b", "\u202e"):
            assert active not in shown


def test_a_corpus_with_ids_only():
    browser = cl.CardBrowser(pl.DataFrame({"id": ["b", "a"]}))
    assert browser.selection["id"].to_list() == ["a", "b"]
    assert "no text in this corpus" in browser.card.value
    with pytest.raises(cl.MissingColumn):
        cl.CardBrowser(pl.DataFrame({"x": [1]}))


def test_bodies_are_read_one_at_a_time(tmp_path):
    cl.make_cards(50).write_parquet(tmp_path / "c.parquet")
    browser = cl.CardBrowser(cl.scan_cards(tmp_path / "c.parquet"))
    assert "text" not in browser.selection.columns
    assert "<pre" in browser.card.value
