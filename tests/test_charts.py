"""Charts carry a title, a denominator, a description, and nothing that can run."""

from __future__ import annotations

import altair as alt
import polars as pl
import pytest
import vl_convert

import cardlab as cl
from cardlab import charts
from cardlab import notebook as nb
from cardlab.charts.base import MAX_ROWS_SHOWN
from cardlab.text.lengths import length_histogram, length_relation

HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[2J\u202e"


@pytest.fixture(scope="module")
def cards() -> pl.DataFrame:
    return cl.read_cards(cl.make_cards(300))


@pytest.fixture(scope="module")
def every_chart(cards):
    crosstab = cl.crosstab(cards, rows="pipeline_tag", columns="license")
    return {
        "tags": cl.plot_counts(cl.tag_counts(cards)),
        "licenses": cl.plot_counts(cl.license_counts(cards)),
        "classes": cl.plot_counts(cl.license_counts(cards, classes=True)),
        "languages": cl.plot_counts(cl.language_counts(cards)),
        "npmi": cl.plot_cooccurrence(cl.cooccurrence(cards)),
        "lift": cl.plot_cooccurrence(cl.cooccurrence(cards), measure="lift"),
        "jaccard": cl.plot_cooccurrence(cl.cooccurrence(cards), measure="jaccard"),
        "growth": cl.plot_growth(cl.growth(cards)),
        "growth by": cl.plot_growth(cl.growth(cards, by="license")),
        "crosstab": cl.plot_crosstab(crosstab, rows="task", columns="licence"),
        "ecdf": cl.plot_lengths(cl.length_ecdf(cards)),
        "ecdf by": cl.plot_lengths(cl.length_ecdf(cards, by="pipeline_tag")),
        "histogram": cl.plot_lengths(length_histogram(cards)),
        "medians": cl.plot_lengths(cl.length_summary(cards, by="pipeline_tag")),
    }


def test_every_chart_has_title_denominator_and_description(every_chart):
    assert len(every_chart) == 14
    for name, chart in every_chart.items():
        spec = chart.to_dict()
        assert spec["title"]["text"], name
        subtitle = " ".join(spec["title"]["subtitle"])
        assert any(c.isdigit() for c in subtitle), name
        assert len(spec["description"]) > 20, name
        assert "url" not in str(spec.get("data", "")), name
        assert spec["config"]["background"] == "#ffffff", name


def test_every_chart_draws(every_chart):
    for name, chart in every_chart.items():
        svg = vl_convert.vegalite_to_svg(chart.to_dict(), vl_version="6.4")
        marks = svg.count("<path") + svg.count("<text")
        assert marks > 10, name
        assert "NaN" not in svg, name


def test_renderer_gives_a_mime_type_that_needs_no_network(every_chart):
    assert alt.renderers.active == "cardlab"
    bundle, _ = every_chart["tags"]._repr_mimebundle_(None, None)
    assert set(bundle) == {"application/vnd.vegalite.v5+json", "text/plain", "image/png"}
    assert bundle["text/plain"] == every_chart["tags"].to_dict()["description"]


def test_use_theme_switches_back():
    alt.renderers.enable("mimetype")
    nb.use_theme()
    assert (alt.renderers.active, alt.theme.active) == ("cardlab", "cardlab")


def test_hostile_strings_lose_their_controls():
    counts = cl.tag_counts(pl.DataFrame({"tags": [[HOSTILE, "b"]]}))
    spec = str(cl.plot_counts(counts, title=HOSTILE).to_dict())
    assert "\\x1b" not in repr(spec)
    assert "\u202e" not in spec


def test_empty_frames_say_so(cards):
    none = pl.DataFrame({"tags": [[]]}, schema={"tags": pl.List(pl.String)})
    with pytest.raises(cl.NoFigure, match="no rows"):
        cl.plot_counts(cl.tag_counts(none))
    with pytest.raises(cl.NoFigure, match="no two tags"):
        cl.plot_cooccurrence(cl.cooccurrence(none))
    nowhere = pl.DataFrame({"x": [float("nan")], "y": [0.0], "cluster": [0]})
    with pytest.raises(cl.NoFigure, match="none of the 1 cards has a place"):
        cl.plot_map(nowhere)


def test_wrong_frames_say_which_call_makes_the_right_one(cards):
    with pytest.raises(cl.CardlabError, match=r"that growth gives; missing period"):
        cl.plot_growth(cards)
    with pytest.raises(cl.CardlabError, match="length_ecdf, length_histogram or length_summary"):
        cl.plot_lengths(cards)
    with pytest.raises(cl.CardlabError, match="found list"):
        cl.plot_counts([1])  # type: ignore[arg-type]
    with pytest.raises(cl.CardlabError, match="at most 10,000 rows"):
        charts.base.values(pl.DataFrame({"x": range(MAX_ROWS_SHOWN + 1)}))


def test_one_tag_and_two_tags_draw():
    two = cl.cooccurrence(pl.DataFrame({"tags": [["a", "b"], ["a"]]}), min_cards=1)
    assert cl.plot_cooccurrence(two).to_dict()


def test_groups_of_lengths_keep_their_colours():
    """A group has the colour of its place in `order`, whatever else is in the frame."""
    few = pl.DataFrame({"group": ["b"] * 9 + ["a"] * 3 + [None] * 2, "n": range(14)})
    curves = cl.length_ecdf(few, measure="n", by="group")

    def colours(frame, order):
        scale = cl.plot_lengths(frame, order=order).to_dict()["encoding"]["color"]["scale"]
        return dict(zip(scale["domain"], scale["range"], strict=True))

    first, second, third = charts.base.CATEGORIES[:3]
    assert colours(curves, None) == {"b": first, "a": second, "not declared": third}
    assert colours(curves, ["a", "b"]) == {"a": first, "b": second, "not declared": third}
    assert colours(curves, ["x", "a", None]) == {
        **{"a": second, "not declared": third},
        "b": charts.base.CATEGORIES[3],
    }
    summary = cl.length_summary(few, measure="n", by="group")
    rows = cl.plot_lengths(summary, order=["a", None, "b"]).to_dict()["layer"][0]["encoding"]["y"]
    assert rows["sort"] == ["a", "not declared", "b"]
    with pytest.raises(cl.CardlabError, match="order must be a list of groups"):
        cl.plot_lengths(curves, order="ab")


def test_curves_have_a_legend():
    words = pl.DataFrame({"group": ["one", "two"] * 5, "n": range(10)})
    chart = cl.plot_lengths(cl.length_ecdf(words, measure="n", by="group"))
    svg = vl_convert.vegalite_to_svg(chart.to_dict(), vl_version="6.4")
    assert ">one</text>" in svg and ">two</text>" in svg


def test_medians_that_lie_close_have_ticks():
    cards = pl.DataFrame({"group": ["one", "two"] * 20, "n": range(120, 360, 6)})
    chart = cl.plot_lengths(cl.length_summary(cards, measure="n", by="group"))
    svg = vl_convert.vegalite_to_svg(chart.to_dict(), vl_version="6.4")
    assert ">200</text>" in svg and ">300</text>" in svg and ">0</text>" not in svg


def test_a_relation_to_nothing_but_zeros_has_an_axis():
    cards = pl.DataFrame({"n": range(40), "likes": [0] * 39 + [1]})
    chart = cl.plot_lengths(length_relation(cards, measure="n", to="likes"))
    svg = vl_convert.vegalite_to_svg(chart.to_dict(), vl_version="6.4")
    assert ",000,000<" not in svg and ">1</text>" in svg


def test_families_are_named_by_number_and_small_shares_are_told_apart():
    texts = [f"own words of card {i} alpha{i} beta{i}" for i in range(400)]
    texts += ["the same words here"] * 3 + ["the same words there"] * 2
    cards = pl.DataFrame({"id": [f"a/{i}" for i in range(405)], "text": texts})
    chart = cl.plot_counts(cl.template_families(cards)).to_dict()
    assert chart["layer"][0]["encoding"]["y"]["sort"][0].startswith("0: ")
    svg = vl_convert.vegalite_to_svg(chart, vl_version="6.4")
    assert ">0.2%<" in svg
    assert "family" in str(chart["layer"][0]["encoding"]["tooltip"][0])


def test_bars_are_of_the_cards_that_declare_any_where_asked(cards):
    """A title about these cards has bars of the same denominator, and no bar for the others."""
    counts = cl.license_counts(cards, classes=True)
    spec = cl.plot_counts(counts, declared=True).to_dict()
    n_declared = counts["n_declared"][0]
    assert n_declared < cards.height
    assert f"of {n_declared:,} cards that declare any" in " ".join(spec["title"]["subtitle"])
    rows = next(rows for rows in spec["datasets"].values() if "card_share" in rows[0])
    assert "undeclared" not in {row["shown"] for row in rows}
    for row in rows:
        assert row["card_share"] == pytest.approx(row["n_cards"] / n_declared)
        assert row["share_low"] <= row["card_share"] <= row["share_high"]
    with pytest.raises(cl.CardlabError, match="declared_share"):
        cl.plot_counts(cl.tag_counts(cards), declared=True)


def test_two_looks_of_one_group_have_one_legend(cards):
    curves = cl.concentration(cards, column="downloads", by="author", curve=True)
    several = pl.concat(curves.with_columns(of=pl.lit(name)) for name in ("b", "a"))
    drawn = vl_convert.vegalite_to_vega(cl.plot_concentration(several, group="of").to_dict())
    assert [("stroke" in one, "strokeDash" in one) for one in drawn["legends"]] == [(True, True)]


def test_what_has_no_rows_is_no_layer(cards):
    """Vega warns of an axis that it finds no ends of."""
    undated = cards.with_columns(created_at=pl.when(pl.int_range(pl.len()) < 60).then("created_at"))
    curve = cl.doubling_time(undated, curve=True)
    assert curve["doubling_weeks"][0] is None and curve.height
    marks = [
        [
            layer["mark"]["type"]
            for layer in cl.plot_doubling(one).to_dict()["layer"][:3]
            if "mark" in layer
        ]
        for one in (curve, cl.doubling_time(cards, curve=True))
    ]
    assert marks == [["point"], ["area", "point", "line"]]
