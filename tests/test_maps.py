"""Maps of points: who is on them, what colours them, where names stand, what a page may hold."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import gzip
import itertools
import json
import re

import altair as alt
import numpy as np
import polars as pl
import pytest
import vl_convert
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import cardlab as cl
from cardlab.charts.base import distinct, overlap, place
from cardlab.charts.map import MIME, PointMap
from cardlab.charts.scatter import MAX_CLUSTERS, groups_of, middles
from cardlab.report.outputs import Outputs, checked_map
from cardlab.report.page import check_page, render_page
from cardlab.schema import ReportError

HOSTILE = "</script><img src=x onerror=window.__pwned=1>\x1b[2J\u202e\n"
NAMES = pl.DataFrame(
    {
        "cluster": range(6),
        "label": ["speech, audio", "images", None, "code", HOSTILE, "translation"],
        "is_stable": [True, True, False, True, True, None],
    }
)


def cards(n: int, *, seed: int = 0) -> pl.DataFrame:
    """Points in six clusters, with columns of every kind that can colour them."""
    rng = np.random.default_rng(seed)
    cluster = rng.choice(6, n, p=[0.3, 0.25, 0.2, 0.1, 0.1, 0.05])
    xy = rng.normal(size=(6, 2))[cluster] * 20 + rng.normal(size=(n, 2))
    tasks = np.array(["text-generation", "__proto__", "constructor", HOSTILE, None], dtype=object)
    return pl.DataFrame(
        {
            "id": [f"org-{i % 97}/model-{i:06d}" for i in range(n - 2)] + [HOSTILE, "__proto__"],
            "x": xy[:, 0].astype(np.float32),
            "y": xy[:, 1].astype(np.float32),
            "cluster": cluster.astype(np.int32),
            "task": pl.Series(tasks[rng.integers(0, 5, n)].tolist(), dtype=pl.String),
            "license": [[["mit"], ["mit", "gpl-3.0"], [], None][i % 4] for i in range(n)],
            "created_at": [dt.date(2022 + i % 3, 5, 1) for i in range(n)],
        }
    )


COLORS = ["cluster", "task", "license", "created_at"]


def groups(frame: pl.DataFrame, column: str, **options) -> dict[str, int]:
    found = groups_of(frame, column, **{"top": 10, **options})
    counted = np.bincount(found.codes, minlength=len(found.labels)).tolist()
    assert counted == found.counts
    assert len(found.labels) == len(found.colors) == len(found.shapes) == len(found.counts)
    return dict(zip(found.labels, found.counts, strict=True))


# what colours a point


def test_groups_are_the_largest_then_other_then_undeclared():
    frame = pl.DataFrame({"task": ["b", "b", "a", "a", "c", "d", None, "  ", "\x1b"]})
    found = groups(frame, "task", top=3)
    assert found == {"a": 2, "b": 2, "(empty)": 1, "other": 3, "not declared": 1}
    assert list(found) == ["a", "b", "(empty)", "other", "not declared"]
    assert groups(frame.filter(pl.col("task") == "a"), "task") == {"a": 2}
    assert groups(pl.DataFrame({"t": [None, None]}), "t") == {"not declared": 2}


def test_years_and_lists_and_numbers_are_groups_too():
    frame = cards(12)
    assert groups(frame, "created_at") == {"2022": 4, "2023": 4, "2024": 4}
    assert groups(frame, "license") == {"mit": 3, "several": 3, "not declared": 6}
    assert list(groups(pl.DataFrame({"v": [10, 9, 9, None]}), "v")) == ["9", "10", "not declared"]
    assert groups(pl.DataFrame({"v": [0.5, float("nan")]}), "v") == {"0.5": 1, "not declared": 1}
    assert groups(pl.DataFrame({"v": [True, False, True]}), "v") == {"true": 2, "false": 1}
    with pytest.raises(cl.CardlabError, match="column 'v', which is Struct"):
        groups(pl.DataFrame({"v": [{"a": 1}]}), "v")


def test_sixty_clusters_differ_in_colour_or_shape():
    frame = pl.DataFrame({"cluster": [*range(70), *[-1] * 90, None, *[-2] * 80]})
    found = groups_of(frame, "cluster", top=3)
    last = {"other": 10, "noise (HDBSCAN)": 80, "no usable vector": 90, "no cluster": 1}
    assert dict(zip(found.labels[-4:], found.counts[-4:], strict=True)) == last
    assert len(set(zip(found.colors, found.shapes, strict=True))) == MAX_CLUSTERS + len(last)
    assert groups(pl.DataFrame({"cluster": [-2, -2, 1]}), "cluster") == {
        "1": 1,
        "noise (HDBSCAN)": 2,
    }
    # In another column these are numbers like all others.
    assert list(groups(pl.DataFrame({"v": [-2, -1, 0]}), "v")) == ["-2", "-1", "0"]


def test_noise_has_no_name_on_the_map():
    frame = pl.DataFrame({"cluster": [0, 0, -2, -2, -2, -1]})
    found = groups_of(frame, "cluster", top=3)
    assert [text for _, text, _ in middles(found, np.zeros((6, 2)))] == ["0"]


def test_clusters_that_do_not_come_back_are_marked():
    found = groups(cards(400), "cluster", labels=NAMES)
    assert "2 (unstable)" in found
    assert "5 translation" in found
    assert not any("\x1b" in label or "\u202e" in label for label in found)
    by_card = cards(400).with_columns(is_stable=pl.col("cluster") != 3)
    assert "3 (unstable)" in groups(by_card, "cluster")
    labels = pl.DataFrame({"cluster": [0, 1], "label": ["a" * 70 + " (unstable)", "b"]})
    summary = labels.with_columns(is_stable=pl.Series([False, True]))
    for given_labels in (labels, summary):
        found = groups(pl.DataFrame({"cluster": [0, 0, 1]}), "cluster", labels=given_labels)
        assert [name.count(" (unstable)") for name in found] == [1, 0]


# names without overlap


@settings(max_examples=50)
@given(st.lists(st.tuples(st.text(max_size=30), st.floats(0, 400), st.floats(0, 300)), max_size=12))
def test_names_neither_overlap_nor_leave_the_map(wanted):
    names = [(i, text, x, y) for i, (text, x, y) in enumerate(wanted)]
    found = place(names, width=400, height=300)
    boxes = [(n.left, n.top, n.left + n.width, n.top + n.height) for n in found]
    assert not any(overlap(a, b) for a, b in itertools.combinations(boxes, 2))
    for name in found:
        assert name.left >= 0 and name.top >= 0
        assert name.left + name.width <= 400 and name.top + name.height <= 300
    # Whatever is given first and fits has a place.
    assert not names or (found and found[0].group == 0) or len(names[0][1]) > 15


def test_names_of_crowded_clusters_find_places():
    rng = np.random.default_rng(0)
    names = [(i, f"{i} word, other", *rng.uniform(180, 320, 2)) for i in range(12)]
    assert len(place(names, width=560, height=480)) == 12


# the chart of up to ten thousand points


def spec_of(frame: pl.DataFrame, **options) -> dict:
    chart = cl.plot_map(frame, color=COLORS, labels=NAMES, **options)
    assert isinstance(chart, alt.LayerChart)
    return chart.to_dict()


def test_subtitle_says_how_many_how_made_and_how_far_to_trust():
    frame = cards(300).with_columns(x=pl.when(pl.int_range(300) < 7).then(None).otherwise("x"))
    spec = spec_of(frame, method="t-SNE (x 1.0) of 293 distinct vectors", trust=0.934)
    text = " | ".join(spec["title"]["subtitle"])
    assert "293 of 300 cards; 7 without a usable vector left out" in text
    assert "t-SNE (x 1.0) of 293 distinct vectors" in text
    assert "trustworthiness 0.93 (1: neighbours here are neighbours, 0.5: chance)" in text
    assert len(spec["datasets"]["points"]) == 293
    sampled = spec_of(frame, max_points=100)
    assert sampled["title"]["subtitle"][0].startswith("an even sample of 100 of 293 of 300 cards")
    assert len(sampled["datasets"]["points"]) == 100


def test_chart_draws_whatever_colours_it_and_does_not_depend_on_order():
    frame = cards(300)
    spec = spec_of(frame, max_points=200)
    shuffled = frame.sample(fraction=1, shuffle=True, seed=3)
    assert spec == spec_of(shuffled, max_points=200)
    text = json.dumps(spec)
    assert "\\u001b" not in text and "\\u202e" not in text
    for by in range(len(COLORS)):
        params = [{**p, "value": by} if p["name"] == "colour_by" else p for p in spec["params"]]
        svg = vl_convert.vegalite_to_svg({**spec, "params": params}, vl_version="6.4")
        legend = groups_of(frame, COLORS[by], top=10, labels=NAMES)
        assert svg.count('class="mark-symbol role-legend-symbol"') == len(legend.labels)
        colors = re.findall(r'fill="(#[0-9a-f]{6})"', svg)
        assert set(legend.colors) <= set(colors)
        assert "NaN" not in svg and "undefined" not in svg


def test_no_word_of_a_card_is_part_of_an_expression():
    spec = spec_of(cards(200))
    odd = cards(50).with_columns(pl.col("task").alias("x'+alert(1)+'"))
    chart = cl.plot_map(odd, color=["x'+alert(1)+'", "cluster"]).to_dict()
    for found in (spec, chart):
        expressions = re.findall(
            r'"(?:expr|calculate|test|labelExpr)": "([^"]*)"', json.dumps(found)
        )
        assert len(expressions) > 10
        assert not any("alert" in e or "script" in e or "__proto__" in e for e in expressions)


def test_wrong_arguments_say_what_is_right():
    frame = cards(20)
    with pytest.raises(cl.CardlabError, match="missing year, found id, x"):
        cl.plot_map(frame, color=["cluster", "year"])
    with pytest.raises(cl.CardlabError, match="a column's name or several"):
        cl.plot_map(frame, color=[])
    with pytest.raises(cl.CardlabError, match="max_points must be a whole number"):
        cl.plot_map(frame, max_points=0)
    one = frame.head(1)
    assert cl.plot_map(one).to_dict()["title"]
    bare = cl.plot_map(frame.select("x", "y", "task"), color="task").to_dict()
    assert "mark_text" not in str(bare)


# the canvas above


@pytest.fixture(scope="module")
def large() -> PointMap:
    made = cl.plot_map(cards(10_500), color=COLORS, labels=NAMES, title=HOSTILE, trust=0.9)
    assert isinstance(made, PointMap)
    return made


@pytest.fixture(scope="module")
def found(large) -> dict:
    return large.to_dict()


def unpack(text: str) -> bytes:
    return gzip.decompress(base64.b64decode(text))


def test_large_map_holds_every_point_once(found):
    frame = cards(10_500)
    assert "judged on 1,000 cards" in found["subtitle"][1]
    n, k = found["n_points"], len(found["columns"])
    data = unpack(found["points"])
    assert (n, k, len(data)) == (10_500, 4, 10_500 * 8)
    ids = unpack(found["cards"]).decode().split("\n")
    assert len(ids) == len(set(ids)) == n
    at = {name: i for i, name in enumerate(ids)}
    x, y = np.frombuffer(data, "<u2", count=2 * n).reshape(2, n).astype(float)
    rows = [at[name] for name in frame["id"][:1000]]
    given = frame.select("x", "y").to_numpy()
    span = np.ptp(given, axis=0).max()
    back = np.stack([x, y], axis=1)[rows] / 65535 * span + given.min(axis=0)
    np.testing.assert_allclose(back, given[:1000], atol=span / 65535)
    codes = np.frombuffer(data, np.uint8, offset=4 * n)[:n][rows]
    labels = [group["label"] for group in found["columns"][0]["groups"]]
    assert [labels[code].split()[0] for code in codes] == frame["cluster"][:1000].cast(
        str
    ).to_list()
    for name in found["names"]:
        assert labels[name["group"]].split()[0] == name["text"].split()[0]


def test_large_map_brings_a_sample_that_jupyterlab_draws(large, monkeypatch):
    bundle, _ = large._repr_mimebundle_()
    assert set(bundle) == {MIME, "application/vnd.vegalite.v5+json", "text/plain", "image/png"}
    spec = bundle["application/vnd.vegalite.v5+json"]
    assert len(spec["datasets"]["points"]) == 10_000
    assert "an even sample of 10,000 of 10,500 cards" in spec["title"]["subtitle"][0]
    assert "a report made of this notebook draws 10,500" in spec["title"]["subtitle"]
    assert repr(large).startswith("PointMap: Scatter of 10,500 cards")
    monkeypatch.setattr("cardlab.charts.map.MAX_ROWS_SHOWN", 500)
    few = PointMap(large._placed)
    # altair finds nothing wrong with it
    spec = few._repr_mimebundle_()[0]["application/vnd.vegalite.v5+json"]
    assert distinct(few.chart.to_dict()) == spec


def test_large_map_does_not_depend_on_order(found):
    shuffled = cards(10_500).sample(fraction=1, shuffle=True, seed=1)
    again = cl.plot_map(shuffled, color=COLORS, labels=NAMES, title=HOSTILE, trust=0.9)
    assert again.to_dict() == found


# what the exporter lets through


def page_of(bundle: dict) -> tuple[str, object]:
    output = new_output("display_data", data=json.loads(json.dumps(bundle)))
    cells = [
        new_markdown_cell("# A map\n\nWhere are the cards, and which?"),
        new_code_cell("m", outputs=[output]),
    ]
    outputs = Outputs()
    return render_page(new_notebook(cells=cells), name="map", outputs=outputs), outputs


def test_page_holds_the_map_and_not_its_stand_in(found):
    stand_in = {"$schema": "https://vega.github.io/schema/vega-lite/v6.4.1.json"}
    bundle = {MIME: found, "application/vnd.vegalite.v5+json": stand_in, "text/plain": HOSTILE}
    html, outputs = page_of(bundle)
    check_page(html, name="map", n_maps=1)
    assert (outputs.n_maps, outputs.n_charts) == (1, 0)
    assert page_of(bundle)[0] == html
    assert "</script><img" not in html and "\u202e" not in html and "\x1b" not in html
    with pytest.raises(ReportError, match="1 maps instead of 2"):
        check_page(html, name="map", n_maps=2)


def test_ids_are_packed_and_come_back(found):
    words, points, packed = checked_map(found)
    data, n = unpack(packed), words["n_points"]
    before, ids = "", []
    for shared, rest in zip(data[:n], data[n:].decode().split("\n"), strict=True):
        before = before[:shared] + rest
        ids.append(before)
    assert ids == unpack(found["cards"]).decode().split("\n")
    planes = np.frombuffer(unpack(points), np.uint8)
    x = planes[:n].astype("<u2") | planes[n : 2 * n].astype("<u2") << 8
    assert x.tobytes() == unpack(found["points"])[: 2 * n]


def packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data)).decode()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"n_points": 10_499}, "not those of|too long"),
        ({"n_points": -1}, "points: '-1' is not from"),
        ({"n_points": True}, "points"),
        ({"n_points": 10**12}, "points"),
        ({"points": packed(bytes(10_500 * 9))}, "too long"),
        (
            {"points": packed(bytes(10_500 * 4) + b"\xff" * 10_500 * 4)},
            "groups that column 'cluster'",
        ),
        ({"points": "!"}, "damaged"),
        ({"points": None}, "missing"),
        ({"points": packed(bytes(10_500 * 8))[:-40]}, "damaged"),
        ({"cards": packed(b"only one")}, "1 ids for 10,500 points"),
        ({"cards": packed(b"\xff")}, "utf-8"),
        ({"columns": []}, "no column"),
        ({"columns": None}, "list"),
        ({"names": [{"text": "a", "group": 0, "point": 10_500}]}, "point of a name"),
        ({"names": [{"text": 3, "group": 0, "point": 1}]}, "text"),
        ({"subtitle": "a"}, "list"),
    ],
)
def test_malformed_maps_are_refused(found, change, reason):
    bundle = {MIME: {**found, **change}, "text/plain": "a map"}
    with pytest.raises((ValueError, KeyError, TypeError), match=reason):
        checked_map(bundle[MIME])
    html, outputs = page_of(bundle)
    assert outputs.n_maps == 0
    assert "A map was left out" in html


@pytest.mark.parametrize("key", ["color", "shape", "label", "n"])
def test_looks_that_are_none_are_refused(found, key):
    found = copy.deepcopy(found)
    found["columns"][0]["groups"][0][key] = "red;background:url(//x)" if key != "label" else None
    with pytest.raises(ValueError, match="colour|shape|text|cards of a group"):
        checked_map(found)
    del found["columns"][0]["groups"][0][key]
    with pytest.raises(KeyError):
        checked_map(found)


def test_few_bytes_that_would_be_gigabytes_are_refused(found):
    bomb = packed(bytes(50_000_000))
    with pytest.raises(ValueError, match="too long"):
        checked_map({**found, "points": bomb})
    for nothing in (None, [], "a", 3, {}):
        with pytest.raises((ValueError, TypeError)):
            checked_map(nothing)
