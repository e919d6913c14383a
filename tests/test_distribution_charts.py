"""Charts of shares over time, doubling, variety, concentration and lineage."""

from __future__ import annotations

import datetime as dt
import json
import re

import polars as pl
import pytest
import vl_convert
from conftest import ROOT, real_file

import cardlab as cl
from cardlab.licenses.problems import ORDERED
from cardlab.replication import published_growth
from cardlab.schema import HEADINGS, label

HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[2J\u202e\n" + "w" * 400
FLOOR = dt.datetime(2022, 3, 2, 23, 29, 4, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def cards():
    columns = ["id", "license", "base_model", "tags", "created_at", "pipeline_tag"]
    cards = cl.scan_cards(real_file("models_frameworks_2026.parquet"))
    return cl.with_licenses(cards.select(*columns, "downloads", "author").collect())


@pytest.fixture(scope="module")
def every_chart(cards):
    by_task = cl.license_counts(cards, by="pipeline_tag")
    curves = pl.concat(
        cl.concentration(cards, by=by, curve=True).with_columns(whose=pl.lit(str(by)))
        for by in ("author", None)
    )
    return {
        "shares": cl.plot_trends(cl.share_trends(cards, column="license_class", every="1q")),
        "shares of lists": cl.plot_trends(cl.share_trends(cards, column="license", top=2)),
        "doubling": cl.plot_doubling(cl.doubling_time(cards, curve=True)),
        "doubling, study": cl.plot_doubling(
            published_growth(cl.scan_cards(real_file("models_2022.parquet")))
        ),
        "doubling, held": cl.plot_doubling(
            cl.doubling_time(cl.make_cards(text=False, embedding_dim=0), curve=True)
        ),
        "diversity": cl.plot_diversity(cl.diversity(cl.license_counts(cards), n_boot=50)),
        "diversity by": cl.plot_diversity(
            cl.diversity(by_task, by="pipeline_tag", n_boot=50), top=8
        ),
        "concentration": cl.plot_concentration(cl.concentration(cards, curve=True)),
        "concentrations": cl.plot_concentration(curves, group="whose"),
        "lineage": cl.plot_lineage(cl.lineage_changes(cards, order=ORDERED)),
        "lineage by": cl.plot_lineage(
            cl.lineage_changes(cards, order=ORDERED, by="relation", pairs=False)
        ),
        "lineage of lists": cl.plot_lineage(cl.lineage_changes(cards, column="license_spdx")),
        "growth": cl.plot_growth(cl.growth(cards, every="1q")),
        "growth by": cl.plot_growth(cl.growth(cards, every="1q", by="license_class")),
        "trends": cl.plot_trends(cl.tag_trends(cards, every="1q"), top=3),
    }


def test_every_chart_has_title_denominator_and_description_and_draws(every_chart):
    for name, chart in every_chart.items():
        spec = chart.to_dict()
        assert spec["title"]["text"], name
        assert any(c.isdigit() for c in " ".join(spec["title"]["subtitle"])), name
        assert len(spec["description"]) > 20, name
        assert '"url"' not in json.dumps(spec), name
        svg = vl_convert.vegalite_to_svg(spec, vl_version="6.4")
        assert svg.count("<path") + svg.count("<text") > 10, name
        assert "NaN" not in svg, name


#: What charts name themselves: a row or group by its kind, and columns that they make.
OWN = {
    *("shown", "group", "row", "column", "curve", "kind", "change", "use", "tag", "value"),
    *("largest", "share", "cards", "label"),
}


def test_every_column_that_a_chart_encodes_has_one_label(every_chart):
    """A tooltip calls a column what a table does, and never two lines the same."""
    seen = set()

    def walk(part):
        if isinstance(part, dict):
            tips = part.get("tooltip")
            titles = [tip.get("title") for tip in tips] if isinstance(tips, list) else []
            assert len(titles) == len(set(titles)), titles
            for tip in tips if isinstance(tips, list) else []:
                name = tip["field"]
                seen.add(name)
                if name not in OWN:
                    # new cards stand beside all new cards; a rule is "on" a day
                    assert tip["title"] in (label(name), "new cards with it", "on"), tip
                    known = name in HEADINGS or name.endswith(("_low", "_high"))
                    assert known or name == "period", name
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    for chart in every_chart.values():
        walk({key: part for key, part in chart.to_dict().items() if key != "datasets"})
    assert len(seen - OWN) > 20


def test_no_colour_is_written_outside_the_palette():
    for path in (ROOT / "cardlab").rglob("*"):
        if path.suffix in (".py", ".js", ".css") and path.name != "colors.py":
            screen = path.read_text("utf-8").split("@media print")[0]
            assert not re.findall(r"[\"' ]#(?:[0-9a-f]{3}){1,2}\b", screen), path


@pytest.mark.parametrize("name", ["shares", "doubling", "growth", "growth by", "trends"])
def test_the_date_floor_is_marked_and_counted_on_every_chart_with_time(every_chart, name):
    spec = every_chart[name].to_dict()
    svg = vl_convert.vegalite_to_svg(spec, vl_version="6.4")
    assert ">date floor<" in svg
    assert "291 cards at the Hub's date floor" in " ".join(spec["title"]["subtitle"])


def test_the_floor_is_counted_but_not_marked_where_the_corpus_is_younger():
    cards = pl.DataFrame(
        {"created_at": [FLOOR + dt.timedelta(days=400 + i) for i in range(90)], "task": "t"}
    )
    for chart in (
        cl.plot_growth(cl.growth(cards)),
        cl.plot_trends(cl.share_trends(cards, column="task", every="1mo")),
    ):
        spec = json.dumps(chart.to_dict())
        assert "0 cards at the Hub's date floor" in spec
        assert '"date floor"' not in spec


def test_hostile_labels_lose_their_controls_and_draw():
    n = 40
    cards = pl.DataFrame(
        {
            "id": [f"m{i}" for i in range(n)],
            "base_model": [None] + ["m0"] * (n - 1),
            "created_at": [FLOOR + dt.timedelta(days=40 * i) for i in range(n)],
            "kind": [HOSTILE, "b"] * (n // 2),
            "downloads": range(n),
        }
    )
    counts = cl.tag_counts(cards, column="kind").with_columns(group=pl.lit(HOSTILE))
    charts = [
        cl.plot_trends(cl.share_trends(cards, column="kind"), title=HOSTILE),
        cl.plot_lineage(cl.lineage_changes(cards, column="kind")),
        cl.plot_diversity(cl.diversity(counts, by="group", n_boot=10)),
        cl.plot_concentration(
            cl.concentration(cards, by="kind", curve=True).with_columns(group=pl.lit(HOSTILE)),
            group="group",
        ),
    ]
    for chart in charts:
        spec = chart.to_dict()
        text = json.dumps(spec, ensure_ascii=False)
        assert "\x1b" not in text
        assert "\\u001b" not in text
        assert "\u202e" not in text
        assert "<svg" in vl_convert.vegalite_to_svg(spec, vl_version="6.4")


def test_wrong_and_empty_frames_say_so(cards):
    for plot, made_by in (
        (cl.plot_trends, "tag_trends or share_trends"),
        (cl.plot_doubling, "doubling_time"),
        (cl.plot_diversity, "diversity"),
        (cl.plot_concentration, "concentration"),
        (cl.plot_lineage, "lineage_changes"),
    ):
        with pytest.raises(
            cl.CardlabError, match=rf"that {made_by}(\(curve=True\))? gives; missing"
        ):
            plot(cards)
    with pytest.raises(cl.NoFigure, match="none of the 0 edges"):
        cl.plot_lineage(cl.lineage_changes(cards.head(0)))
    with pytest.raises(cl.NoFigure, match="no rows"):
        cl.plot_trends(cl.share_trends(cards, column="license").head(0))


def test_lineage_says_how_often_licences_get_less_restrictive(cards):
    changes = cl.lineage_changes(cards, order=ORDERED)
    said = " ".join(cl.plot_lineage(changes).to_dict()["title"]["subtitle"])
    n_less = changes.filter(change="earlier")["n_edges"].sum()
    assert "less restrictive" in said
    assert f"({n_less})" in said
    assert f"of {changes['n_edges'].sum():,} edges" in said


def test_diversity_of_each_group_is_that_of_its_rows(cards):
    counts = cl.license_counts(cards, by="pipeline_tag")
    found = cl.diversity(counts, by="pipeline_tag", n_boot=20)
    for row in found.head(5).to_dicts():
        alone = counts.filter(pl.col("pipeline_tag").eq_missing(pl.lit(row["pipeline_tag"])))
        own = cl.diversity(alone, n_boot=20).row(0, named=True)
        assert {name: row[name] for name in own} == own
    assert found["n_total"].is_sorted(descending=True)
    with pytest.raises(cl.CardlabError, match="no group"):
        cl.diversity(counts, by="n_cards")
