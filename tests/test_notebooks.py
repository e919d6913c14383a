"""Every notebook runs on synthetic, real, broken and poor corpora."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest
from in_process import export

import cardlab as cl

REPORTS = 9


def run(source, folder) -> list[str]:
    written = export(source, folder)
    pages = [path for path in written if path.name != "index.html"]
    # what has no page is named by the index, with the reason
    index = (folder / "index.html").read_text("utf-8")
    assert len(pages) + index.count("has no page") == REPORTS
    return [path.read_text("utf-8") for path in pages]


#: Columns of files and gates, which only some listings of the Hub have.
OF_FILES = ("'parameters'", "'formats'", "'gated'")


def missing(page: str) -> list[str]:
    said = re.findall(r'class="lack">([^<]*) <em>', page.replace("&#x27;", "'"))
    return [line for line in said if not any(name in line for name in OF_FILES)]


def test_on_a_small_synthetic_corpus(tmp_path):
    pages = run(cl.make_cards(300), tmp_path)
    assert all("Traceback" not in page for page in pages)
    # The first weeks of so few cards are not steady enough for a doubling time.
    said = [line for page in pages for line in missing(page)]
    assert all("did not grow exponentially" in line for line in said)
    assert len(said) <= 1


def test_on_a_slice_of_the_real_cards(data, tmp_path):
    cards = pl.scan_parquet(data / "model_cards.librarian.parquet").gather_every(9).collect()
    pages = run(cards, tmp_path)
    # the cards came without the downloads of their models, half without the day on which they
    # were made, and few of a slice are each other's
    known = ("downloads", "both ends in this corpus", "a corpus declares no value", "creation date")
    said = [line for page in pages for line in missing(page)]
    assert [line for line in said if not any(reason in line for reason in known)] == []
    assert len(said) <= 6
    assert all(len(page.encode()) < 3_000_000 for page in pages)


def test_on_a_corpus_with_ids_only(tmp_path):
    """Every section that needs more says so, and no notebook fails."""
    pages = run(pl.DataFrame({"id": ["a/b", "a/c", "d"]}), tmp_path)
    written = [path.stem for path in sorted(tmp_path.glob("0*.html"))]
    assert written == ["01-corpus-overview", "06-explore-cards", "07-replication"]
    assert any("no column 'created_at'" in line for line in missing(pages[0]))
    index = (tmp_path / "index.html").read_text("utf-8").replace("&#39;", "'")
    assert "no column 'license'" in index and "no column 'text'" in index


def test_without_structure_no_clusters_are_found(tmp_path):
    draws = np.random.default_rng(0).standard_normal((400, 16)).astype("float32")
    cards = cl.make_cards(400).with_columns(embeddings=pl.Series(draws))
    export(cards, tmp_path, notebooks=["05"])
    page = (tmp_path / "05-embedding-clusters.html").read_text("utf-8")
    assert set(missing(page)) == {"no stable clusters were found, so none is described."}
    assert "Layers of 400 cards" not in page
    assert "clusters of 0 of 400 cards" not in page


@pytest.mark.parametrize(
    "name",
    [
        "sampled_cards_2024.seed.parquet",
        "broken_front_matter.seed.parquet",
        "seed_full_columns.parquet",
    ],
)
def test_on_poor_real_corpora(data, tmp_path, name):
    run(data / name, tmp_path)
