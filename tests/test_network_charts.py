"""Network, heatmap and trends of tags: what they draw, say and leave out."""

from __future__ import annotations

import itertools
import json
import math

import altair as alt
import polars as pl
import pytest
import vl_convert
from browser import browser_or_skip, opened_report, refresh, write_notebook

import cardlab as cl
from cardlab.charts.base import overlap
from cardlab.charts.cooccurrence import plot_cooccurrence
from cardlab.charts.network import _labelled, _placed, plot_network
from cardlab.charts.trends import plot_trends
from cardlab.tags.communities import tag_communities
from cardlab.tags.trends import tag_trends

KINDS = ["free", "library", "task", "license"]
CARDS = cl.make_cards(2000, text=False, embedding_dim=0)
PAIRS = cl.cooccurrence(CARDS, kinds=KINDS)
COMMUNITIES = tag_communities(PAIRS)
TRENDS = tag_trends(CARDS)
CHARTS = {
    "network": lambda: plot_network(PAIRS, COMMUNITIES),
    "pairs": lambda: plot_cooccurrence(PAIRS, communities=COMMUNITIES),
    "pairs alone": lambda: plot_cooccurrence(PAIRS, top=20),
    "trends": lambda: plot_trends(TRENDS),
}


def real(data, name):
    cards = cl.scan_cards(data / name)
    pairs = cl.cooccurrence(cards, kinds=KINDS)
    return pairs, tag_communities(pairs, n_runs=2), tag_trends(cards)


@pytest.mark.parametrize("name", list(CHARTS))
def test_charts_have_title_denominator_and_description(name):
    chart = CHARTS[name]()
    spec = chart.to_dict()
    assert spec["title"]["text"]
    assert any("card" in line for line in spec["title"]["subtitle"])
    assert len(spec["description"]) > 60
    assert CHARTS[name]().to_json() == chart.to_json()
    assert len(json.dumps(spec)) < 1_000_000
    assert len(vl_convert.vegalite_to_png(spec)) > 20_000


@pytest.mark.parametrize("name", ["model_cards.seed.parquet", "models_radar_2026.parquet"])
def test_real_cards_can_be_drawn(data, name):
    pairs, communities, trends = real(data, name)
    for chart in (
        plot_network(pairs, communities),
        plot_cooccurrence(pairs, communities=communities),
        plot_trends(trends),
    ):
        assert vl_convert.vegalite_to_svg(chart.to_dict()).count("<path") > 50


@pytest.mark.parametrize("top", [2, 10, 60])
def test_no_label_covers_another_or_a_point(top):
    kept = COMMUNITIES.sort(["n_cards", "tag"], descending=[True, False]).head(top)
    nodes = _placed(kept, PAIRS.head(0), 0)
    assert nodes["x"].is_between(0, 760).all()
    assert nodes["y"].is_between(0, 560).all()
    shown = _labelled(nodes)
    assert shown.height >= 0.7 * nodes.height
    radius = (pl.col("size") / math.pi).sqrt()
    boxes = [(x - r, y - r, x + r, y + r) for x, y, r in nodes.select("x", "y", radius).iter_rows()]
    narrow = []
    for _, text, x, y, on_phone in shown.iter_rows():
        half = 5.9 * len(text) / 2
        scaled = x * 290 / 760
        narrow += [(scaled - half, y - 6, scaled + half, y + 6)] if on_phone else []
        assert half < x < 760 - half and 6 < y < 554
        boxes.append((x - half, y - 6, x + half, y + 6))
    assert not any(overlap(a, b) for a, b in itertools.combinations(boxes, 2))
    assert narrow
    assert not any(overlap(a, b) for a, b in itertools.combinations(narrow, 2))


def test_few_groups_keep_their_colours_and_the_rest_are_named():
    spec = plot_network(PAIRS, COMMUNITIES).to_dict()
    point = next(layer for layer in spec["layer"] if layer["mark"]["type"] == "point")
    domain = point["encoding"]["color"]["scale"]["domain"]
    assert point["encoding"]["shape"]["scale"]["domain"] == domain
    assert len(domain) <= 10
    assert domain[-1] == "other groups"


def test_heatmap_has_two_menus_and_needs_no_eval():
    spec = plot_cooccurrence(PAIRS, communities=COMMUNITIES, top=60).to_dict()
    binds = {param["name"]: param["bind"] for param in spec["params"]}
    assert binds["measure"]["options"] == ["npmi", "lift", "jaccard", "n_cards"]
    assert binds["kind"]["options"][0] == "all kinds"
    assert set(binds["kind"]["options"][1:]) == set(KINDS)
    cells = pl.DataFrame(spec["datasets"][spec["data"]["name"]], infer_schema_length=None)
    assert cells["shade_npmi"].is_between(-1, 1).all()
    assert cells["shade_lift"].is_between(-1, 1).all()
    turned = cells.select(row="column", column="row", n_cards="n_cards")
    assert turned.join(cells, on=["row", "column", "n_cards"]).height == cells.height
    assert len(spec["encoding"]["x"]["sort"]) == 60


DRAWN = """
import cardlab as cl
from cardlab import plot_cooccurrence, plot_network, plot_trends, tag_communities, tag_trends

cards = cl.make_cards(1000, text=False, embedding_dim=0)
pairs = cl.cooccurrence(cards)
communities = tag_communities(pairs, n_runs=2)
display(plot_cooccurrence(pairs, communities=communities))
display(plot_network(pairs, communities))
display(plot_trends(tag_trends(cards)))
"""


@pytest.mark.browser
def test_menus_work_in_a_report_without_network_or_eval(tmp_path):
    browser_or_skip()
    notebook = write_notebook(tmp_path / "tags.ipynb", ["# Tags", (DRAWN,)])
    out = tmp_path / "tags.html"
    cl.export_report(notebook, out)
    with opened_report(out) as seen:
        assert (seen.errors, seen.requests, seen.n_charts) == ([], [], 3)
        before = seen.marks[0]["rect"]
        measure, kind = seen.page.query_selector_all("select")[:2]
        for label in ("lift", "Jaccard", "cards with both"):
            measure.select_option(label=label)
            refresh(seen)
            assert seen.marks[0]["rect"] == before
        kind.select_option(label="task")
        refresh(seen)
        assert 0 < seen.marks[0]["rect"] < before
        assert seen.errors == []


def test_trends_show_what_is_left_out():
    spec = plot_trends(TRENDS, top=6).to_dict()
    floor = TRENDS["n_at_floor"][0]
    assert spec["title"]["subtitle"][1].startswith(
        f"{floor} cards at the Hub's date floor (2022-03"
    )
    assert len(spec["facet"]["sort"]) == 6
    odds = [line.split("\n")[1] for line in spec["facet"]["sort"]]
    assert all(line.startswith("odds ") for line in odds)


def test_hostile_tags_cannot_act():
    names = ["</script><script>x</script>", "\x1b[2Jred", "safe\u202egnp", "a" * 300, "a" * 299]
    cards = pl.DataFrame({"tags": [names[:], names[:], ["z"], ["z"]] * 10})
    pairs = cl.cooccurrence(cards, min_cards=1)
    communities = tag_communities(pairs)
    for chart in (
        plot_cooccurrence(pairs, communities=communities),
        plot_network(pairs, communities),
    ):
        text = chart.to_json()
        assert "\\u001b" not in text
        assert "\u202e" not in json.loads(text)["description"]
    spec = plot_cooccurrence(pairs).to_dict()
    assert len(set(spec["encoding"]["x"]["sort"])) == 5


def test_nothing_to_draw_is_said():
    with pytest.raises(cl.NoFigure, match="no two tags"):
        plot_cooccurrence(PAIRS.clear())
    with pytest.raises(cl.NoFigure, match="no communities"):
        plot_network(PAIRS, COMMUNITIES.clear())
    with pytest.raises(cl.NoFigure, match="no tag"):
        plot_trends(TRENDS.clear())
    for draw, made_by in (
        (lambda: plot_cooccurrence(TRENDS), "cooccurrence"),
        (lambda: plot_network(PAIRS, PAIRS), "tag_communities"),
        (lambda: plot_trends(PAIRS), "tag_trends"),
    ):
        with pytest.raises(cl.CardlabError, match=made_by):
            draw()


def test_theme_is_kept():
    assert alt.theme.active == "cardlab"
