"""Inputs that go wrong: dates that are none, growth that is none, pairs that are no findings."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import subprocess
import sys
import warnings
from functools import partial
from unittest.mock import patch

import altair as alt
import duckdb
import numpy as np
import polars as pl
import pytest
from conftest import ROOT, real_file
from IPython.core.interactiveshell import InteractiveShell

import cardlab as cl
from cardlab import notebook as nb
from cardlab import replication
from cardlab.overview import time
from cardlab.tags.kinds import KINDS
from cardlab.tags.trends import slopes

FLOOR = dt.datetime(2022, 3, 2, 23, 29, 4, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
DAY = dt.timedelta(days=1)
INSTANT = pl.Datetime("us", "UTC")
RNG = np.random.default_rng(0)


def created(dates, **columns):
    return pl.DataFrame({"created_at": dates, **columns}, schema_overrides={"created_at": INSTANT})


def steady(n=400, weeks=156, start=dt.datetime(2021, 1, 4, 3, 2, 1, tzinfo=dt.UTC)):
    """Dates of cards whose number doubles every half year."""
    place = np.log2(1 + np.arange(n) / n * (2 ** (weeks / 26) - 1)) * 26
    seconds = (place * 7 * 86_400).astype(int)
    return [start + int(s) * SECOND for s in seconds]


def rows_of(spec, part):
    """The rows that a part of a chart draws."""
    data = part.get("data", {})
    return spec["datasets"][data["name"]] if "name" in data else data.get("values", [])


def run(notebook: str, source) -> list[str]:
    """Run a notebook's code in this process: the words of all that it shows."""
    path = next((ROOT / "notebooks").glob(f"{notebook}*.ipynb"))
    shown: list[str] = []

    def display(thing):
        if isinstance(thing, alt.TopLevelMixin):
            spec = thing.to_dict()
            shown.extend([*spec["title"]["subtitle"], spec["description"]])
        else:
            shown.append(repr(thing))

    shell = InteractiveShell()
    nb.say_no_figure(shell)
    shell.user_ns["display"] = display
    with patch.object(nb, "display", display):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                result = shell.run_cell("".join(cell["source"]))
                result.raise_error()
                if result.result is not None:
                    display(result.result)
                if "parameters" in cell["metadata"].get("tags", []):
                    shell.user_ns["source"] = source
    return shown


# which dates are true


def everywhere(cards):
    """How many cards each function takes to be at a floor, and how many dates to be impossible."""
    cards = cards.with_columns(kind=pl.lit("a"), tags=pl.lit(["a"], dtype=pl.List(pl.String)))
    sums = [pl.col("at_floor").sum(), pl.col("n_implausible").first()]
    found = {
        "growth": cl.growth(cards).select(sums),
        "growth, by": cl.growth(cards, by="kind").select(sums),
        "shares": cl.share_trends(cards, column="kind").select("n_at_floor", "n_implausible"),
        "tags": cl.tag_trends(cards, every="1y").select("n_at_floor", "n_implausible"),
    }
    rows = {name: frame.row(0) for name, frame in found.items()}
    period = cl.with_period(cards)
    true = period["period"].count()
    lazy = cl.with_period(cards.lazy()).filter(pl.col("kind") == "a").collect()
    assert lazy.equals(period)
    known = cards["created_at"].count()
    n_floor = int(period["at_floor"].sum())
    return {*rows.values(), (n_floor, known - true - n_floor)}


@pytest.mark.parametrize(
    ("name", "n_floor"),
    [
        *(("models_vendors_2026.parquet", 161), ("models_frameworks_2026.parquet", 291)),
        *(("models_radar_2026.parquet", 2), ("models_2022.parquet", 0)),
        *(("model_cards.seed.parquet", 131), ("dataset_cards.librarian.parquet", 0)),
    ],
)
def test_N01_both_instants_are_the_floor_and_no_other_second_of_real_cards(name, n_floor):
    cards = cl.scan_cards(real_file(name)).select("created_at").collect()
    plain = sum(date in (FLOOR, FLOOR + SECOND) for date in cards["created_at"])
    assert plain == n_floor
    assert everywhere(cards) == {(n_floor, 0)}
    grown = cl.growth(cards)
    assert set(grown["floors"][0]) == set(cards["created_at"]) & {FLOOR, FLOOR + SECOND}


def test_N01_floors_do_not_bear_on_how_fast_a_corpus_doubles():
    cards = cl.scan_cards(real_file("models_vendors_2026.parquet")).select("created_at").collect()
    without = cards.filter(~pl.col("created_at").is_in([FLOOR, FLOOR + SECOND]))
    since = {"start": "2023-03-01"}  # when all of them had begun
    row, bare = cl.doubling_time(cards, **since), cl.doubling_time(without, **since)
    assert row.row(0)[:12] == bare.row(0)[:12]
    assert row["n_at_floor"][0] == 161
    assert row["low"][0] < 44 < row["high"][0]
    true = steady()
    third = [dt.datetime(2023, 5, 5, 12, 0, 7, tzinfo=dt.UTC)] * 200
    assert (
        cl.doubling_time(created(true + third)).row(0)[:12]
        == (cl.doubling_time(created(true)).row(0)[:12])
    )


@pytest.mark.parametrize("share", [0.06, 0.33, 0.9])
def test_N01_a_second_that_holds_too_many_dates_is_found_and_named(share):
    true = steady()
    n = int(len(true) * share / (1 - share)) + 1
    when = dt.datetime(2023, 5, 5, 12, 0, 7, tzinfo=dt.UTC)
    # in one second, with and without its parts; another one beside it
    dates = true + [when + dt.timedelta(microseconds=17 * i) for i in range(n)]
    assert everywhere(created(dates)) == {(n, 0)}
    two = created([*dates, *[when + SECOND] * (2 * n)])
    assert everywhere(two) == {(3 * n, 0)}
    grown = cl.growth(two)
    assert grown["floors"][0].to_list() == [when, when + SECOND]
    words = " ".join(cl.plot_growth(grown).to_dict()["title"]["subtitle"])
    assert "2023-05-05 12:00:07, 2023-05-05 12:00:08" in words
    assert f"{3 * n:,} cards at a date floor" in words
    assert cl.growth(duckdb.sql("FROM two")).equals(grown)


def batch():
    """A script makes 30 models a second for half a minute; nothing else is so quick."""
    start = dt.datetime(2023, 6, 1, 8, 0, 3, tzinfo=dt.UTC)
    return [start + dt.timedelta(milliseconds=33 * i) for i in range(900)]


@pytest.mark.parametrize(
    ("what", "dates"),
    [
        ("date only", [dt.datetime(2023, 1, 1 + i % 3, tzinfo=dt.UTC) for i in range(900)]),
        ("one day", [dt.datetime(2022, 3, 2, tzinfo=dt.UTC) + (i % 4) * DAY for i in range(400)]),
        ("minutes", [dt.datetime(2023, 1, 1, 9, i % 4, tzinfo=dt.UTC) for i in range(400)]),
        ("few", [*steady(30), *[dt.datetime(2023, 5, 5, 12, 0, 7, tzinfo=dt.UTC)] * 19]),
        ("batch", batch()),
        ("batch among others", [*steady(600), *batch()]),
        ("one commit", [*steady(1000), *[dt.datetime(2023, 6, 1, 8, 0, 3, tzinfo=dt.UTC)] * 40]),
        ("midnight", [*steady(), *[dt.datetime(2024, 1, 1, tzinfo=dt.UTC)] * 300]),
    ],
)
def test_N01_true_dates_stay(what, dates):
    assert everywhere(created(dates)) == {(0, 0)}


@pytest.mark.parametrize("unit", ["1d", "1m"])
def test_N01_the_floor_is_found_where_dates_have_no_seconds(unit):
    cards = cl.scan_cards(real_file("models_vendors_2026.parquet")).select("created_at").collect()
    cards = cards.with_columns(pl.col("created_at").dt.truncate(unit))
    at = pl.Series([FLOOR]).dt.truncate(unit)[0]
    n = (cards["created_at"] == at).sum()
    assert n >= 161
    assert everywhere(cards) == {(n, 0)}


IMPOSSIBLE = [
    *(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999)),
    *(dt.datetime(1970, 1, 1), dt.datetime(1899, 12, 30), dt.datetime(2015, 12, 31, 23, 59)),
    *(dt.datetime(2262, 4, 11), dt.datetime(2050, 1, 1)),
]


def test_N01_impossible_dates_are_listed_and_left_out_everywhere():
    dates = [date.replace(tzinfo=dt.UTC) for date in IMPOSSIBLE]
    cards = created([*steady(60), None, *dates], id=[f"o/{i}" for i in range(61 + len(dates))])
    far = pl.Series([2**62], dtype=pl.Int64).cast(INSTANT)  # a year that Python does not know
    cards = pl.concat([cards, pl.DataFrame({"created_at": far, "id": "o/far"})])
    assert everywhere(cards) == {(0, len(dates) + 1)}
    listed = cl.problems(cards)
    assert set(listed["problem"]) == {"implausible_date"}
    assert set(listed["column"]) == {"created_at"}
    wrong = cards["id"].tail(len(dates) + 1).to_list()
    assert set(listed["id"]) == set(wrong)
    assert "0001-01-01T00:00:00Z" in set(listed["detail"])
    assert cl.doubling_time(cards).select("n_null", "n_implausible").row(0) == (1, len(dates) + 1)
    assert cl.profile(cards)["n_null"].to_list() == [1, 0]
    later = cards.rename({"created_at": "last_modified"})
    assert set(cl.problems(later)["column"]) == {"last_modified"}
    assert cl.with_period(later, column="last_modified")["period"].null_count() == len(dates) + 2
    with pytest.raises(cl.NoFigure, match="8 have an impossible one"):
        cl.growth(cards.tail(8))


def test_N01_the_clock_decides_what_is_the_future(monkeypatch):
    tomorrow = dt.datetime.now(dt.UTC) + DAY
    written = dt.datetime.combine(time._WRITTEN, dt.time(), dt.UTC)
    dates = created([max(tomorrow, written), max(tomorrow, written) + 2 * DAY])
    assert cl.growth(dates).select("n_new", "n_implausible").row(0) == (1, 1)


# pages with odd dates, without cards, with one


def odd(n=60):
    dates = steady(n)
    dates[3], dates[5] = IMPOSSIBLE[0].replace(tzinfo=dt.UTC), IMPOSSIBLE[1].replace(tzinfo=dt.UTC)
    return cl.make_cards(n, embedding_dim=0).with_columns(
        created_at=pl.Series(dates, dtype=INSTANT)
    )


@pytest.mark.parametrize("notebook", ["01", "02", "03", "07", "08"])
def test_F26_one_impossible_date_does_not_stop_a_page(tmp_path, notebook):
    path = tmp_path / "odd.parquet"
    odd().write_parquet(path)
    shown = run(notebook, str(path))
    words = " ".join(shown)
    if notebook == "01":
        assert "Of 60 cards 58 have a creation date" in words
        assert "have a creation date: 58 of 60" in words
        assert "New cards double every" in words
    if notebook == "08":
        assert "2 of 60 cards have no date or an impossible one" in words
    else:
        assert "0 without a date and 2 with an impossible one left out" in words


@pytest.mark.parametrize("notebook", ["01", "02", "03", "04", "05", "06", "07", "08", "09"])
@pytest.mark.parametrize("n", [0, 1])
def test_F28_pages_without_cards_and_with_one(tmp_path, notebook, n):
    path = tmp_path / "few.parquet"
    cl.make_cards(60, embedding_dim=0).head(n).write_parquet(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=ResourceWarning)
        shown = run(notebook, str(path))
    assert shown


def test_F28_a_report_of_no_cards_is_whole(tmp_path):
    pl.DataFrame(schema={"id": pl.String, "created_at": INSTANT}).write_parquet(
        tmp_path / "no.parquet"
    )
    command = [sys.executable, "-m", "cardlab", "report", str(tmp_path / "no.parquet")]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out"), "--notebook", "07"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "none of the 0 cards has a true creation date" in (
        next((tmp_path / "out").glob("07*.html")).read_text("utf-8")
    )


def test_F28_no_analysis_of_no_cards_raises_anything_else():
    cards = cl.make_cards(60, embedding_dim=0)
    for few in (cards.head(0), cards.head(1), pl.DataFrame({"id": ["o/a"]})):
        for analysis in (
            *(
                cl.growth,
                cl.doubling_time,
                partial(cl.doubling_time, curve=True),
                cl.tag_trends,
                cl.tag_counts,
            ),
            *(
                cl.cooccurrence,
                cl.tag_variants,
                cl.profile,
                cl.problems,
                cl.concentration,
                partial(cl.concentration, curve=True),
            ),
            *(replication.card_rates, replication.replicate, cl.with_period),
            lambda c: cl.share_trends(c, column="license"),
            lambda c: cl.growth(c, by="tags"),
            lambda c: cl.plot_growth(cl.growth(c)),
            lambda c: cl.plot_trends(cl.tag_trends(c)),
            lambda c: cl.tag_communities(cl.cooccurrence(c)),
            lambda c: cl.tag_communities(cl.cooccurrence(c), quality=True),
            lambda c: cl.plot_cooccurrence(cl.cooccurrence(c)),
        ):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with contextlib.suppress(cl.NoFigure):
                    analysis(few)


# shares over time


def test_N02_a_constant_share_does_not_rise():
    for total in ([1, 9, 24, 105, 5834], [40, 50, 60, 105, 5834], [5834, 105, 24, 9, 1], [20] * 6):
        t = np.array(total)
        never_and_always = slopes(np.array([np.zeros_like(t), t]), t)
        assert never_and_always.slope.tolist() == [0, 0]
        assert np.isnan([never_and_always.slope_low, never_and_always.slope_high]).all()
        # as near to a constant share as whole cards come
        number = np.array([np.round(t * p) for p in (0.002, 0.1, 0.5, 0.9, 0.998)])
        slope, low, high = slopes(number, t)[:3]
        unsure = np.isnan(slope) | ((low < 0) & (high > 0)) | np.isnan(low)
        assert unsure.all(), (total, slope, low, high)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.5, 0.99, 0.999])
def test_N02_chance_alone_rarely_looks_like_a_trend(share):
    t = np.array([12, 40, 60, 105, 5834])
    number = np.random.default_rng(1).binomial(t, share, size=(2000, t.size))
    _, low, high = slopes(number, t)[:3]
    with np.errstate(invalid="ignore"):
        assert ((low > 0) | (high < 0)).mean() < 0.08
    assert max((low > 0).mean(), (high < 0).mean()) < 0.04


def test_N02_periods_with_few_cards_do_not_enter_a_slope():
    t, number = np.array([1, 2, 9, 40, 60, 80]), np.array([[1, 2, 9, 4, 6, 8]])
    assert slopes(number, t)[0][0] == slopes(number[:, 3:], t[3:])[0][0]
    assert np.isnan(slopes(number[:, :5], t[:5])[0][0])
    risen = slopes(np.array([[2, 8, 14, 20]]), np.array([20] * 4))
    assert risen.slope_low[0] > 0
    gone = slopes(np.array([[30, 0, 0]]), np.array([30, 30, 5000]))
    assert gone.slope_high[0] < 0


def unequal():
    """A year with two cards that all have a value, then full years with few."""
    dates = [dt.datetime(2019, 5, 1, 1, 2, 3, tzinfo=dt.UTC) + i * DAY for i in range(2)]
    kinds = ["x", "x"]
    for year, n in ((2020, 3), (2021, 6), (2022, 9)):
        dates += [dt.datetime(year, 5, 1, 1, 2, 3, tzinfo=dt.UTC) + i * DAY for i in range(100)]
        kinds += ["x"] * n + ["y"] * (100 - n)
    dates += [dt.datetime(2023, 5, 1, 1, 2, 3, tzinfo=dt.UTC)]
    return created(dates, kind=[*kinds, "x"], tags=[[kind] for kind in [*kinds, "x"]])


def test_N06_titles_of_small_multiples_agree_with_their_lines():
    spec = cl.plot_trends(cl.share_trends(unequal(), column="kind")).to_dict()
    rows = rows_of(spec, spec["vconcat"][0])
    of_x = [row for row in rows if row["shown"] == "x"]
    assert [row["period"][:4] for row in of_x] == ["2020", "2021", "2022"]
    assert {row["panel"] for row in of_x} == {"x\n3.0 % to 9.0 %"}
    assert "(2 of 5, 3 cards)" in " ".join(spec["title"]["subtitle"])
    few = cl.plot_trends(cl.share_trends(unequal().head(20), column="kind")).to_dict()
    rows = rows_of(few, few["vconcat"][0])
    assert {row["panel"] for row in rows if row["shown"] == "x"} == {"x\n5 cards"}
    assert "Hollow: periods" in " ".join(few["title"]["subtitle"])
    trends = cl.plot_trends(cl.tag_trends(unequal(), every="1y")).to_dict()
    periods = {row["period"][:4] for row in rows_of(trends, trends)}
    assert periods == {"2020", "2021", "2022"}
    assert "(2 of 5, 3 cards)" in " ".join(trends["title"]["subtitle"])


# growth


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("models_radar_2026.parquet", "8,998 cards came in the 30 days up to the newest"),
        ("models_vendors_2026.parquet", "210 cards came in the 30 days up to the newest"),
        ("models_frameworks_2026.parquet", "1,362 cards came in the 30 days up to the newest"),
        ("dataset_cards.librarian.parquet", "the growth of the new cards slowed down"),
        ("models_2022.parquet", "the growth of the new cards slowed down"),
        ("model_cards.seed.parquet", "only 1,165 of the 2,577 cards"),
    ],
)
def test_N03_no_doubling_time_where_growth_is_not_exponential(name, why):
    cards = cl.scan_cards(real_file(name))
    for found in (cl.doubling_time(cards), curve := cl.doubling_time(cards, curve=True)):
        assert why in found["reason"][0]
        assert found["doubling_weeks"][0] is found["low"][0] is found["rate"][0] is None
    said = " ".join(cl.plot_doubling(curve).to_dict()["title"]["subtitle"])
    assert f"No doubling time: {found['reason'][0]}" in said
    assert "double every" not in said


def test_N03_the_published_figure_stays_and_no_other_is_set_beside_it():
    cards = cl.scan_cards(real_file("models_2022.parquet"))
    study = replication.published_growth(cards)
    assert study["doubling_weeks"][0] == pytest.approx(25.336603836202066, abs=1e-12)
    for name in ("models_radar_2026.parquet", "models_vendors_2026.parquet"):
        found = replication.replicate(cl.scan_cards(real_file(name)))
        row = found.filter(figure="doubling time").row(0, named=True)
        assert row["here"] is None
        assert "did not grow exponentially" in row["note"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        words = " ".join(run("01", str(real_file("models_radar_2026.parquet"))))
    assert "ouble every" not in words


def test_N03_growth_of_other_shapes():
    weeks = [dt.datetime(2021, 1, 4, 3, tzinfo=dt.UTC) + i * 7 * DAY for i in range(156)]
    steps = {
        "linear": [week for week in weeks for _ in range(10)],
        "quadratic": [week for i, week in enumerate(weeks) for _ in range(i)],
        "a rush at the end": [*weeks, *[weeks[-1] + i * SECOND for i in range(4000)]],
        "long still": [*steady(), *[dt.datetime(2026, 1, 1, 3, tzinfo=dt.UTC)]],
        "hardly any": [*[weeks[0]] * 100, *weeks[50:60]],
    }
    for dates in steps.values():
        row = cl.doubling_time(created(dates)).row(0, named=True)
        assert row["reason"]
        assert row["doubling_weeks"] is row["rate"] is None
    undated = created([*steady(100), *[None] * 101])
    assert "only 100 of the 201 cards" in cl.doubling_time(undated)["reason"][0]
    # exponential from its first card on, where the number of all cards starts near zero
    row = cl.doubling_time(created(steady())).row(0, named=True)
    assert row["doubling_weeks"] == pytest.approx(26, rel=0.1)
    assert row["low"] < 26 < row["high"]


# pairs, communities


def test_N14_chart_and_table_number_the_groups_alike():
    pairs = cl.cooccurrence(cl.read_cards(real_file("model_cards.seed.parquet")))
    groups = cl.tag_communities(pairs)
    spec = cl.plot_network(pairs, groups, top=40).to_dict()
    n_groups = groups["community"].n_unique()
    kept = groups.sort(["n_cards", "tag"], descending=[True, False]).head(40)
    shown = kept["community"].n_unique()
    assert shown < n_groups
    said = f"in {shown} of {n_groups} groups"
    assert said in " ".join(spec["title"]["subtitle"])
    assert said in spec["description"]
    number = dict(groups.select("tag", "community").rows())
    nodes = [row for layer in spec["layer"] for row in rows_of(spec, layer)]
    nodes = [row for row in nodes if "group" in row and row["group"] != "other groups"]
    assert len(nodes) > 30
    assert all(int(row["group"].split()[0]) == number[row["tag"]] for row in nodes)


def test_N19_the_default_is_what_the_notebook_shows():
    cards = cl.scan_cards(real_file("models_frameworks_2026.parquet"))
    cards = cards.select("tags", "library_name", "pipeline_tag").collect()
    kinds = [kind for kind in KINDS if kind not in ("language", "hub", "region")]
    pairs = cl.cooccurrence(cards)
    assert pairs.equals(cl.cooccurrence(cards, kinds=kinds))
    assert cl.cooccurrence(cards.lazy()).equals(pairs)
    tags = cl.with_tag_kinds(pl.DataFrame({"tag": [*pairs["tag_a"], *pairs["tag_b"]]}), cards=cards)
    assert not set(tags["kind"]) & {"language", "hub", "region"}
    every = cl.cooccurrence(cards, kinds=KINDS)
    assert {"region:us", "en"} <= {*every["tag_a"], *every["tag_b"]}
    spoken = pl.DataFrame({"languages": [["en", "fr"]] * 6 + [["en"]] * 4})
    assert cl.cooccurrence(spoken, column="languages").height == 1


def tagged(*groups):
    """Cards with these tags, each ten times, and some with none of them."""
    return pl.DataFrame({"tags": [list(tags) for tags in groups for _ in range(10)] + [["z"]] * 50})


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("base_model:finetune:o/x", "base_model:o/x"),
        ("base_model:quantized:o/x-7B.v2", "base_model:o/x-7B.v2"),
        ("dataset:squad", "squad"),
        ("dataset:o/Squad_v2", "o/squad-v2"),
        ("license:apache-2.0", "Apache-2.0"),
        ("diffusers:FluxPipeline", "diffusers"),
        ("nemo", "NeMo"),
        ("sentence-transformers", "Sentence Transformers"),
        ("region:us", "us"),
        ("library:keras", "keras"),
    ],
)
def test_N21_pairs_that_follow_from_one_another_are_no_findings(a, b):
    cards = tagged([a, b], [a, b, "other"], [min(a, b, key=len), "more"], ["other", "more"])
    pairs = cl.cooccurrence(cards, kinds=KINDS)
    derived = pairs.filter("derived").select("tag_a", "tag_b").rows()
    assert derived == [tuple(sorted((a, b)))]
    groups = cl.tag_communities(pairs, q_value=1)
    without = pairs.filter(~pl.col("derived"))
    assert groups.equals(cl.tag_communities(without, q_value=1))
    spec = cl.plot_cooccurrence(pairs).to_dict()
    assert spec["title"]["subtitle"][1].endswith("(1 pairs)")
    cells = rows_of(spec, spec)
    assert not any({row["row"], row["column"]} == {a, b} for row in cells)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("dataset:squad", "dataset:squad_v2"),
        ("base_model:o/x", "base_model:o/y"),
        ("license:mit", "dataset:mit"),
        ("quantized", "base_model:quantized:o/x"),
        ("llama-3.1", "llama-31"),
        ("pytorch", "transformers"),
        ("arxiv:1234.5678", "dataset:squad"),
    ],
)
def test_N21_other_pairs_are_findings(a, b):
    pairs = cl.cooccurrence(tagged([a, b], [a, b]), kinds=KINDS)
    assert pairs.select("tag_a", "tag_b", "derived").rows() == [(*sorted((a, b)), False)]


def test_N21_what_is_derived_follows_on_real_cards():
    for name in ("models_radar_2026.parquet", "models_frameworks_2026.parquet"):
        cards = cl.scan_cards(real_file(name)).select("tags").collect()
        pairs = cl.cooccurrence(cards, top=2000, min_cards=3)
        derived = pairs.filter("derived")
        base = derived.filter(pl.col("tag_a").str.starts_with("base_model:"))
        assert base.height > 50
        assert (
            base.select(pl.max_horizontal("confidence_ab", "confidence_ba")).to_series().min() == 1
        )
        left = pairs.filter(~pl.col("derived"), pl.col("npmi") > 0.9)
        for one, other in left.select("tag_a", "tag_b").iter_rows():
            value = one.rpartition(":")[2]
            assert not (one.startswith("base_model:") and other.endswith(f":{value}"))


def test_N21_a_gemma_under_another_licence_is_a_finding():
    pairs = cl.cooccurrence(tagged(["gemma", "license:gemma"], ["gemma"], ["license:gemma"]))
    assert not pairs["derived"].any()


def test_N23_examples_are_different_values():
    cards = cl.scan_cards(real_file("models_2022.parquet"))
    frame = cards.select("downloads", "id").collect().sort("downloads")
    examples = dict(cl.profile(frame).select("column", "examples").rows())
    assert len(examples["downloads"]) == len(set(examples["downloads"])) == 3
    odd = pl.DataFrame(
        {
            "n": [0, 0, 0, 7, None],
            "l": [["x"], ["x"], [], ["y", "z"], None],
            "long": ["w" * 70 + "1", "w" * 70 + "2", "a", "a", "a"],
            "at": [dt.datetime(2023, 1, 1)] * 5,
            "v": pl.Series([[1.0, 2.0]] * 5, dtype=pl.Array(pl.Float32, 2)),
            "s": [{"a": 1}] * 5,
        }
    )
    found = dict(cl.profile(odd).select("column", "examples").rows())
    assert found["n"] == ["0", "7"]
    assert found["l"] == ["x", "y, z"]
    assert found["at"] == ["2023-01-01 00:00:00"]
    for name, values in found.items():
        assert len(values) == len(set(values)), name


def test_N24_families_without_a_tag_are_no_warning():
    cards = cl.scan_cards(real_file("models_radar_2026.parquet"))
    cards = cards.select("id", "author", "tags").collect()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pairs = cl.cooccurrence(cards, families="author")
    assert pairs["n_families"].min() == 0
    for name, dtype in pairs.schema.items():
        if dtype.is_float():
            assert pairs[name].is_finite().all(), name


# the same twice, and dates of other kinds


def test_S11_charts_are_equal_to_the_byte_from_run_to_run():
    code = """
import hashlib, json, sys, polars as pl, cardlab as cl
from cardlab.licenses.problems import ORDERED
cards = cl.read_cards(sys.argv[1], columns=["id", "license", "tags", "base_model", "created_at",
                                            "pipeline_tag", "library_name", "downloads", "author"])
cards = cl.with_licenses(cards)
pairs = cl.cooccurrence(cards, top=100)
changes = [cl.lineage_changes(cards, order=ORDERED),
           cl.lineage_changes(cards, column="license_spdx"),
           cl.lineage_changes(cards, order=ORDERED, by="relation", pairs=False)]
groups = cl.tag_communities(pairs, n_runs=2)
charts = [*map(cl.plot_lineage, changes), cl.plot_network(pairs, groups, top=20),
          cl.plot_cooccurrence(pairs, top=10), cl.plot_growth(cl.growth(cards, by="license_class")),
          cl.plot_trends(cl.tag_trends(cards)),
          cl.plot_trends(cl.share_trends(cards, column="license_class")),
          cl.plot_crosstab(cl.crosstab(cards, rows="author", columns="license", top=15)),
          cl.plot_concentration(cl.concentration(cards, curve=True))]
for chart in charts:
    print(hashlib.sha256(json.dumps(chart.to_dict()).encode()).hexdigest())
"""
    source = str(real_file("models_frameworks_2026.parquet"))
    found = [
        subprocess.run(
            [sys.executable, "-c", code, source],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed, "POLARS_MAX_THREADS": threads},
        ).stdout
        for seed, threads in (("1", "1"), ("2", "4"))
    ]
    assert len(found[0].split()) == 10
    assert found[0] == found[1]


def test_S12_dates_given_to_growth():
    naive = pl.DataFrame({"created_at": [dt.datetime(2023, 1, 31, 23), dt.datetime(2023, 3, 1)]})
    utc = naive.with_columns(pl.col("created_at").dt.replace_time_zone("UTC"))
    for cards in (
        *(naive, naive.lazy(), naive.with_columns(pl.col("created_at").dt.cast_time_unit("ns"))),
        *(
            utc.with_columns(pl.col("created_at").dt.convert_time_zone("Asia/Tokyo")),
            naive.to_pandas(),
        ),
    ):
        assert cl.growth(cards).equals(cl.growth(utc))
    days = cl.growth(naive.with_columns(pl.col("created_at").dt.date()))
    assert days["n_new"].to_list() == [1, 0, 1]
    text = naive.with_columns(
        pl.col("created_at").cast(pl.String), tags=pl.lit(["a"]), k=pl.lit("a")
    )
    for wrong, kind in ((text, "String"), (text.with_columns(created_at=1), "Int32")):
        for analysis in (
            *(
                cl.growth,
                cl.doubling_time,
                partial(cl.doubling_time, curve=True),
                cl.tag_trends,
                cl.with_period,
            ),
            lambda cards: cl.growth(cards, by="k"),
            lambda cards: cl.share_trends(cards, column="k"),
        ):
            with pytest.raises(cl.CardlabError, match=f"'created_at' must hold dates, not {kind}"):
                analysis(wrong)
    for every in ("99999y", "0d", "month", 3, "1mo2d"):
        with pytest.raises(cl.CardlabError, match="every must be like"):
            cl.growth(utc, every=every)
