"""Every notebook runs on synthetic, real, broken and poor corpora."""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from in_process import export

import cardlab as cl
from cardlab import notebook, replication

REPORTS = 9
NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


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


@pytest.mark.verify  # every run opens all pages of a hostile synthetic corpus
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
        pytest.param("sampled_cards_2024.seed.parquet", marks=pytest.mark.verify),
        "broken_front_matter.seed.parquet",
        "seed_full_columns.parquet",
    ],
)
def test_on_poor_real_corpora(data, tmp_path, name):
    run(data / name, tmp_path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem[:2])
def test_a_census_is_one_in_every_figure(path):
    """A page is asked for as of a sample or a census, and no figure of it is the other."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    asked = 'population = "sample"' in code
    for call in ast.walk(ast.parse(code)):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        module = {"cl": cl, "replication": replication}.get(ast.unparse(call.func.value))
        function = getattr(module, call.func.attr, None)
        if not inspect.isfunction(function) or not asked:
            continue
        if "population" in inspect.signature(function).parameters:
            given = {word.arg: ast.unparse(word.value) for word in call.keywords}
            assert given.get("population") == "population", ast.unparse(call)
    assert code.count("nb.taken_for(population)") == asked


def test_a_page_says_what_its_cards_are_taken_for():
    assert "a sample of more" in str(notebook.taken_for("sample"))
    assert "all there are (a census)" in str(notebook.taken_for("census"))
    with pytest.raises(cl.CardlabError, match="population must be one of 'sample', 'census'"):
        notebook.taken_for("all")


def test_words_are_held_against_a_model():
    """How far LSA and a sentence model agree: with LSA itself as the model, and with noise."""
    cells = json.loads(NOTEBOOKS[4].read_text("utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells]
    (code,) = [source for source in sources if "nearest by words alone" in source]
    cards = cl.make_cards(150, embedding_dim=0)
    by_words = cl.embed(cards)
    noise = np.random.default_rng(0).normal(size=(150, 16))
    shares = []
    for x in (by_words, noise):
        said: list[object] = []
        names = {"cl": cl, "pl": pl, "nb": notebook, "cards": cards, "display": said.append}
        n_usable = int(np.isfinite(x).all(axis=1).sum())
        exec(code, names | {"model": "folder", "x": x, "ids": cards["id"], "n_usable": n_usable})
        shares += re.findall(
            r"by the model, (\d+)%.* over ([\d,]+) cards; by chance ([\d.]+)%", str(said[-1])
        )
    (same, n, chance), (other, _, _) = shares
    assert same == "100" and int(n) > 140 and 6 < float(chance) < 7.5
    assert int(other) <= 10
