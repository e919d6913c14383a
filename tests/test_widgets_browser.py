"""The explorer in a real JupyterLab: move a control, and the cards change."""

from __future__ import annotations

import re

from conftest import ROOT
from lab import jupyterlab, opened_lab, run_all


def test_search_and_filter_in_jupyterlab(tmp_path):
    name = "06-explore-cards.ipynb"
    with (
        jupyterlab({name: (ROOT / "notebooks" / name).read_bytes()}) as (address, _),
        opened_lab(address, name) as seen,
    ):
        search_and_filter(seen, tmp_path)


def search_and_filter(seen, tmp_path):
    from playwright.sync_api import expect

    page = seen.page
    run_all(seen)
    counter = page.locator(".widget-label", has_text="of 2,000 cards")
    page.locator(".cardlab-card").first.scroll_into_view_if_needed(timeout=120_000)
    counter.wait_for(timeout=120_000)
    assert counter.inner_text().startswith("2,000 of 2,000 cards")

    drop_down = page.locator(".widget-dropdown", has_text="pipeline tag").locator("select")
    drop_down.select_option(index=1)
    expect(counter).not_to_have_text(re.compile("^2,000 of"), timeout=30_000)
    narrowed = int(counter.inner_text().split(" of ")[0].replace(",", ""))
    assert 0 < narrowed < 2000

    drop_down.select_option(index=0)
    query = page.locator(".widget-text", has_text="id contains").locator("input")
    expect(counter).to_have_text(re.compile("^2,000 of"), timeout=30_000)
    query.click()
    query.press_sequentially("mallory/")
    query.press("Enter")
    expect(counter).to_have_text(re.compile(r"^\d{1,2} of 2,000 cards$"), timeout=30_000)
    options = page.locator(".widget-select select option").all_inner_texts()
    assert options
    assert all(text.startswith("mallory/") for text in options)
    for number in range(len(options)):
        page.locator(".widget-select select").select_option(index=number)
        page.wait_for_timeout(150)
    card = page.locator(".cardlab-card").first
    assert card.locator("script, img, iframe, meta, a, svg").count() == 0
    assert not page.evaluate("window.__pwned")
    page.screenshot(path=tmp_path / "lab.png")
