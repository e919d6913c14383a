"""Maps of points: who is on them, what colours them, where names stand, what a page may hold."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import gzip
import hashlib
import itertools
import json
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import cardlab as cl
from cardlab.charts.base import SWITCH, overlap, place
from cardlab.charts.canvas import MIME, groups_of, peaks
from cardlab.charts.map import PointMap
from cardlab.colors import CATEGORIES
from cardlab.report.formats import as_markdown
from cardlab.report.outputs import Outputs, checked_map
from cardlab.report.page import check_page, render_page
from cardlab.schema import ReportError

HOSTILE = "</script><img src=x onerror=window.__pwned=1>\x1b[2J\u202e\n"
NAMES = pl.DataFrame(
    {
        "cluster": range(6),
        "label": ["speech, audio", "images", None, "code", HOSTILE, "translation"],
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
    assert len(found.labels) == len(found.colors) == len(found.counts)
    return dict(zip(found.labels, found.counts, strict=True))


# what colours a point


def test_the_largest_groups_have_colours_and_all_have_names():
    frame = pl.DataFrame({"task": ["b", "b", "a", "a", "c", "d", None, "  ", "\x1b"]})
    found = groups_of(frame, "task", top=3)
    assert found.labels == ["a", "b", "(empty)", "c", "d", "\ufffd", "not declared"]
    assert found.counts == [2, 2, 1, 1, 1, 1, 1]
    assert found.colors == [*CATEGORIES[:3], "other", "other", "other", "missing"]
    assert groups(frame.filter(pl.col("task") == "a"), "task") == {"a": 2}
    assert groups(pl.DataFrame({"t": [None, None]}), "t") == {"not declared": 2}
    many = pl.DataFrame({"t": [f"{i}" for i in range(1_300)]})
    found = groups_of(many, "t", top=40)
    assert (len(found.labels), found.labels[-1], found.counts[-1]) == (241, "other", 1_060)
    assert len(set(found.colors)) == len(CATEGORIES) + 1 == 11


def test_years_and_lists_and_numbers_are_groups_too():
    frame = cards(12)
    assert groups(frame, "created_at") == {"2022": 4, "2023": 4, "2024": 4}
    assert groups(frame, "license") == {"mit": 3, "several": 3, "not declared": 6}
    assert list(groups(pl.DataFrame({"v": [10, 9, 9, None]}), "v")) == ["9", "10", "not declared"]
    years = pl.DataFrame({"v": [2020, 2019, 2021, 2021, 2022]})
    assert groups_of(years, "v", top=2).labels == ["2019", "2021", "2020", "2022"]
    assert groups(pl.DataFrame({"v": [0.5, float("nan")]}), "v") == {"0.5": 1, "not declared": 1}
    assert groups(pl.DataFrame({"v": [True, False, True]}), "v") == {"true": 2, "false": 1}
    with pytest.raises(cl.CardlabError, match="column 'v', which is Struct"):
        groups(pl.DataFrame({"v": [{"a": 1}]}), "v")


def test_clusters_close_by_differ_in_colour():
    rng = np.random.default_rng(0)
    xy = np.repeat(np.stack(np.meshgrid(range(7), range(7)), axis=-1).reshape(-1, 2), 5, axis=0)
    order = rng.permutation(49)
    frame = pl.DataFrame({"x": xy[:, 0], "y": xy[:, 1], "cluster": np.repeat(order, 5)})
    for column, layer in (("cluster", None), ("cluster", 1)):
        found = groups_of(frame, column, top=3, layer=layer)
        assert len(found.labels) == 49
        assert set(found.colors) == set(CATEGORIES)
        color = {int(name): c for name, c in zip(found.labels, found.colors, strict=True)}
        grid = order.reshape(7, 7)
        by_color = np.vectorize(color.get)(grid)
        for pair in ((by_color[1:], by_color[:-1]), (by_color[:, 1:], by_color[:, :-1])):
            assert not (pair[0] == pair[1]).any()


def test_what_is_in_no_cluster_has_no_name_on_the_map():
    frame = pl.DataFrame({"cluster": [0, 0, -2, -2, -2, -1, None]})
    frame = frame.with_columns(x=pl.int_range(7), y=0)
    found = groups_of(frame, "cluster", top=3)
    last = {"noise (HDBSCAN)": 3, "no usable vector": 1, "no cluster": 1}
    assert dict(zip(found.labels, found.counts, strict=True)) == {"0": 2, **last}
    assert [text for _, text, _ in peaks(found, frame.select("x", "y").to_numpy())] == ["0"]
    # In another column these are numbers like all others.
    assert list(groups(pl.DataFrame({"v": [-2, -1, 0]}), "v")) == ["-2", "-1", "0"]


def test_a_name_stands_where_its_group_is_dense():
    rng = np.random.default_rng(1)
    ring = np.linspace(0, 2 * np.pi, 300)
    bent = np.stack([np.cos(ring), np.sin(ring)], axis=1) * 10
    dense = rng.normal([10, 0], 0.2, (400, 2))
    frame = pl.DataFrame(np.concatenate([bent, dense]), schema=["x", "y"])
    found = groups_of(frame.with_columns(t=pl.lit("a")), "t", top=1)
    ((_, text, point),) = peaks(found, frame.to_numpy())
    assert text == "a"
    assert np.hypot(*(frame.to_numpy()[point] - [10, 0])) < 1


def test_clusters_are_named_by_number_and_words():
    found = groups(cards(400), "cluster", labels=NAMES)
    assert {"2", "5 translation"} <= set(found)
    assert not any("\x1b" in label or "\u202e" in label for label in found)


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


# the map


def drawn(frame: pl.DataFrame, **options) -> dict:
    return cl.plot_map(frame, color=COLORS, labels=NAMES, **options).to_dict()


def test_subtitle_says_how_many_how_made_and_how_far_to_trust():
    frame = cards(300).with_columns(x=pl.when(pl.int_range(300) < 7).then(None).otherwise("x"))
    found = drawn(frame, method="t-SNE (x 1.0) of 293 distinct vectors", trust=0.934)
    text = " | ".join(found["subtitle"])
    assert "293 of 300 cards; 7 without a usable vector left out" in text
    assert "t-SNE (x 1.0) of 293 distinct vectors" in text
    assert "trustworthiness 0.93 (1: neighbours here are neighbours, 0.5: chance)" in text
    assert found["n_points"] == 293
    sampled = drawn(frame, max_points=100)
    assert sampled["subtitle"][0].startswith("an even sample of 100 of 293 of 300 cards")
    assert sampled["n_points"] == 100


def test_layers_come_first_and_authors_are_read_from_the_ids():
    frame = cards(300)
    region = pl.col("cluster") // 2
    frame = frame.with_columns(region=pl.format("region {}", region), fine=pl.col("task"))
    made = cl.plot_map(frame, layers=["region", "fine"], labels=NAMES).to_dict()
    columns = {column["name"]: column for column in made["columns"]}
    assert list(columns) == ["region", "fine", "cluster", "created_at", "author"]
    assert [column["layer"] for column in made["columns"]] == [0, 1, None, None, None]
    assert columns["fine"]["groups"][-1]["label"] == "between"
    authors = {group["label"]: group["n"] for group in columns["author"]["groups"]}
    assert authors["org-0"] == 4
    names = {(name["column"], name["text"]) for name in made["names"]}
    assert {(0, "region 0"), (0, "region 1"), (0, "region 2")} < names
    assert not any(text == "between" for _, text in names)


def test_wrong_arguments_say_what_is_right():
    frame = cards(20)
    with pytest.raises(cl.CardlabError, match="missing year, found id, x"):
        cl.plot_map(frame, color=["cluster", "year"])
    with pytest.raises(cl.CardlabError, match="a column's name or several"):
        cl.plot_map(frame, color=[])
    with pytest.raises(cl.CardlabError, match="max_points must be a whole number"):
        cl.plot_map(frame, max_points=0)
    with pytest.raises(cl.CardlabError, match="missing fine"):
        cl.plot_map(frame, layers=["cluster", "fine"])
    one = frame.head(1)
    assert cl.plot_map(one).to_dict()["n_points"] == 1
    bare = cl.plot_map(frame.select("x", "y", "task"), color="task").to_dict()
    assert [column["name"] for column in bare["columns"]] == ["task"]


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


def card_ids(found: dict) -> list[str]:
    """Read the ids of a map's points, each without what it shares with the one before."""
    told, n, ids = unpack(found["cards"]), found["n_points"], [""]
    for shared, rest in zip(told[:n], told[n:].decode().split("\n"), strict=True):
        ids.append(ids[-1][:shared] + rest)
    return ids[1:]


def test_ids_of_any_kind_are_those_that_were_given():
    ids = ["a/𝒳1", "a/𝒳2", "a/b", "a/bé", "a/béc", "", "x" * 200, "x" * 200 + "y", "a/b"]
    made = cl.plot_map(pl.DataFrame({"id": ids, "x": range(9), "y": range(9)})).to_dict()
    assert card_ids(made) == sorted([name[:199] + "…" if len(name) > 200 else name for name in ids])


def test_large_map_holds_every_point_once(found):
    frame = cards(10_500)
    assert "judged on 1,000 cards" in found["subtitle"][1]
    n, k = found["n_points"], len(found["columns"])
    data = unpack(found["points"])
    assert (n, k, len(data)) == (10_500, 4, 10_500 * 12)
    ids = card_ids(found)
    assert len(ids) == len(set(ids)) == n
    at = {name: i for i, name in enumerate(ids)}
    planes = np.frombuffer(data, np.uint8).reshape(2 + k, 2, n).astype(int)
    x, y, codes, *_ = planes[:, 0] + 256 * planes[:, 1]
    rows = [at[name] for name in frame["id"][:1000]]
    given = frame.select("x", "y").to_numpy()
    span = np.ptp(given, axis=0).max()
    back = np.stack([x, y], axis=1)[rows] / 65528 * span + given.min(axis=0)
    np.testing.assert_allclose(back, given[:1000], atol=span / 8191)
    codes = codes[rows]
    labels = [group["label"] for group in found["columns"][0]["groups"]]
    assert [labels[code].split()[0] for code in codes] == frame["cluster"][:1000].cast(
        str
    ).to_list()
    for name in found["names"]:
        group = found["columns"][name["column"]]["groups"][name["group"]]
        assert group["label"].startswith(name["text"].rstrip("…"))


def test_jupyterlab_gets_a_frame_that_can_load_nothing_and_a_picture(large, monkeypatch):
    bundle = large._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/png", "text/plain"}
    assert base64.b64decode(bundle["image/png"])[:4] == b"\x89PNG"
    shown = _Elements(bundle["text/html"])
    assert [tag for tag, _ in shown.found] == ["div", "div", "style", "iframe", "img"]
    assert "mathjax_ignore" in shown.found[0][1]["class"]
    frame, picture = shown.found[3][1], shown.found[4][1]
    assert picture["src"] == f"data:image/png;base64,{bundle['image/png']}"
    assert frame["sandbox"].split() == [
        *("allow-scripts", "allow-downloads", "allow-popups", "allow-popups-to-escape-sandbox")
    ]
    assert set(frame) == {"title", "sandbox", "srcdoc", "style"}
    inside = _Elements(frame["srcdoc"])
    policies = [a["content"] for tag, a in inside.found if a.get("http-equiv")]
    script = inside.texts[-1].encode()
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    assert policies == [
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'"
    ]
    assert not {"img", "a", "link", "iframe"} & {tag for tag, _ in inside.found}
    monkeypatch.setenv(SWITCH, "0")  # in a report
    assert set(large._repr_mimebundle_()) == {MIME, "text/plain"}
    assert repr(large).startswith("PointMap: Scatter of 10,500 cards")


class _Elements(HTMLParser):
    """The elements of a page, and the texts of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self.texts.append("")

    def handle_data(self, data):
        if self.found and self.found[-1][0] == "script" and self.texts:
            self.texts[-1] += data


def test_a_page_of_a_map_becomes_markdown_with_its_picture(found, tmp_path):
    """The map is read back from the page to the last point and group, and drawn."""
    again = PointMap.read(found)
    same = ("n_points", "columns", "points", "title")
    assert {key: again.to_dict()[key] for key in same} == {key: found[key] for key in same}
    shown = new_output("display_data", {MIME: found, "text/plain": "Points."})
    cells = [new_markdown_cell("# A"), new_code_cell("m", outputs=[shown])]
    page = render_page(new_notebook(cells=cells), name="a", outputs=Outputs())
    (tmp_path / "a.html").write_text(page, "utf-8")
    as_markdown([tmp_path / "a.html"], tmp_path)
    assert "![Points.](files/a-map-1.png)" in (tmp_path / "a.md").read_text("utf-8")
    drawn = (tmp_path / "files" / "a-map-1.png").read_bytes()
    assert drawn == base64.b64decode(again.picture())


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


def test_page_holds_the_map(found):
    bundle = {MIME: found, "text/plain": HOSTILE}
    html, outputs = page_of(bundle)
    check_page(html, name="map", figures={"map": 1})
    assert (outputs.figures["map"], outputs.figures["chart"]) == (1, 0)
    assert page_of(bundle)[0] == html
    assert "</script><img" not in html and "\u202e" not in html and "\x1b" not in html
    with pytest.raises(ReportError, match="1 maps instead of 2"):
        check_page(html, name="map", figures={"map": 2})
    kept = checked_map(found)
    for name in ("points", "cards"):
        assert unpack(kept[name]) == unpack(found[name])
    assert {**found, "points": "", "cards": "", "description": ""} == {
        **kept, "points": "", "cards": "", "description": ""
    }  # fmt: skip


def packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data)).decode()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"n_points": 10_499}, "not those of|too long"),
        ({"n_points": -1}, "points: '-1' is not from"),
        ({"n_points": True}, "points"),
        ({"n_points": 10**12}, "points"),
        ({"points": packed(bytes(10_500 * 13))}, "too long"),
        (
            {"points": packed(bytes(10_500 * 4) + b"\xff" * 10_500 * 8)},
            "groups that column 'cluster'",
        ),
        ({"points": "!"}, "damaged"),
        ({"points": None}, "missing"),
        ({"points": packed(bytes(10_500 * 12))[:-40]}, "damaged"),
        ({"cards": packed(b"only one")}, "1 ids for 10,500 points"),
        ({"cards": packed(bytes(10_500) + b"\xff")}, "utf-8"),
        ({"columns": []}, "no column"),
        ({"columns": None}, "list"),
        ({"names": [{"text": "a", "column": 0, "group": 0, "point": 10_500}]}, "point of a name"),
        ({"names": [{"text": 3, "column": 0, "group": 0, "point": 1}]}, "text"),
        ({"names": [{"text": "a", "column": 9, "group": 0, "point": 1}]}, "column of a name"),
        ({"names": [{"text": "a", "column": 0, "group": 99, "point": 1}]}, "group of a name"),
        ({"subtitle": "a"}, "list"),
    ],
)
def test_malformed_maps_are_refused(found, change, reason):
    bundle = {MIME: {**found, **change}, "text/plain": "a map"}
    with pytest.raises((ValueError, KeyError, TypeError), match=reason):
        checked_map(bundle[MIME])
    html, outputs = page_of(bundle)
    assert outputs.figures["map"] == 0
    assert "A map was left out" in html


@pytest.mark.parametrize("key", ["color", "label", "n"])
def test_looks_that_are_none_are_refused(found, key):
    found = copy.deepcopy(found)
    found["columns"][0]["groups"][0][key] = "red;background:url(//x)" if key != "label" else None
    with pytest.raises(ValueError, match="colour|text|cards of a group"):
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
