"""The curated reports of the real and of the hostile corpus, opened without a network."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from accessible import LOOKS, looked_at
from browser import browser_or_skip, open_report

import cardlab as cl

PAGES = [
    "01-corpus-overview",
    "02-tag-cooccurrence",
    "03-licenses",
    "04-text-lengths",
    "05-embedding-clusters",
    "06-explore-cards",
    "07-replication",
    "08-compare-corpora",
    "09-languages",
    "index",
]
#: Charts that each page has on a corpus that has every column.
CHARTS = dict(zip(PAGES, [4, 4, 5, 5, 1, 0, 2, 4, 3, 0], strict=True))
#: Of these, the charts that a corpus cannot have: the count of neither lies along the study's line,
#: and the real one has no downloads; of the hostile one no column is further apart than chance.
LACKING = {
    "real": {"04-text-lengths": 1, "07-replication": 1},
    "hostile": {"07-replication": 1, "08-compare-corpora": 3},
}


#: Pages of the real corpus that every run makes; the long form makes all of them.
SOME = ["02-tag-cooccurrence", "04-text-lengths"]


@pytest.fixture(scope="module")
def real(data, tmp_path_factory) -> Path:
    browser_or_skip()
    folder = tmp_path_factory.mktemp("real")
    source = data / "model_cards.seed.parquet"
    cl.export_reports(source, folder, notebooks=SOME, progress=lambda line: None)
    return folder


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> Path:
    browser_or_skip()
    folder = tmp_path_factory.mktemp("whole")
    cl.export_reports(data / "model_cards.seed.parquet", folder, progress=lambda line: None)
    return folder


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    browser_or_skip()
    return attacked(tmp_path_factory.mktemp("hostile"))


def attacked(folder: Path) -> Path:
    """Report on a corpus in which a tenth of the cards is hostile."""
    cards = cl.make_cards(700)
    attacks = cards.filter(cards["id"].str.starts_with("mallory/"))
    assert attacks.height >= 10
    corpus = pl.concat([cards.head(150), *[attacks] * 5])
    with pytest.MonkeyPatch.context() as day:
        day.setenv("SOURCE_DATE_EPOCH", "1700000000")
        cl.export_reports(corpus, folder, parameters={"min_cards": 2}, progress=lambda line: None)
    return folder


@pytest.mark.parametrize(
    ("corpus", "page"),
    [
        *(("real", page) for page in SOME),
        *(("hostile", page) for page in PAGES),
        *(pytest.param("whole", page, marks=pytest.mark.verify) for page in PAGES),
    ],
)
def test_page(corpus, page, request):
    path = request.getfixturevalue(corpus) / f"{page}.html"
    assert path.stat().st_size < 3_000_000
    lacking = LACKING["hostile" if corpus == "hostile" else "real"].get(page, 0)
    seen = open_report(path)
    assert seen["requests"] == []
    assert seen["errors"] == []
    assert seen["dialogs"] == []
    assert not seen["pwned"]
    assert seen["n_charts"] == len(seen["marks"])
    assert seen["n_charts"] == CHARTS[page] - lacking
    for marks in seen["marks"]:
        assert sum(marks.values()) >= 5
    if page != "index":
        assert seen["n_tables"] >= 1
        assert str(path.parent) not in path.read_text("utf-8")


def test_figures_of_the_real_corpus(real):
    """What a reader sees is what was counted by other means."""
    text = open_report(real / "02-tag-cooccurrence.html")["text"]
    assert "2,577" in text
    for number in ("1,072", "717", "542", "371"):
        assert number in text
    lengths = open_report(real / "04-text-lengths.html")["text"]
    for number in ("30\nof 2,577", "376", "1,709,982"):
        assert number in lengths


@pytest.mark.verify
@pytest.mark.parametrize("corpus", ["whole", "hostile"])
def test_no_page_breaks_a_rule_of_accessibility(corpus, request):
    paths = sorted(request.getfixturevalue(corpus).glob("*.html"))
    assert len(paths) >= 9
    found = {(path.name, look): looked_at(path, look) for path in paths for look in LOOKS}
    assert {where: faults for where, faults in found.items() if faults} == {}


@pytest.mark.verify
def test_two_exports_are_equal_to_the_byte(hostile, tmp_path):
    first, again = (
        {path.name: path.read_bytes() for path in folder.glob("*.html")}
        for folder in (hostile, attacked(tmp_path))
    )
    assert len(first) >= 9
    assert [name for name in first | again if first.get(name) != again.get(name)] == []
