"""Doubling times and concentration: by hand, against numpy, and by their invariants."""

from __future__ import annotations

import datetime as dt
import math
import re

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from sklearn.linear_model import PoissonRegressor

import cardlab as cl
from cardlab.overview.doubling import exponential, regression
from cardlab.schema import DATE_FLOOR
from cardlab.shares.counting import gini

FLOOR = dt.datetime.fromisoformat(DATE_FLOOR)
MONDAY = dt.datetime(2023, 1, 2, tzinfo=dt.UTC)
WEEK = dt.timedelta(weeks=1)
INSTANT = pl.Datetime("us", "UTC")
RESULT = (
    *("doubling_weeks", "low", "high", "rate", "reason", "departure", "dispersion"),
    *("autocorrelation", "start", "end", "n_periods", "n_cards", "dated_share", "floor_share"),
    *("newest_share", "n_at_floor", "n_null", "n_implausible", "floors"),
)


def created(dates):
    return pl.DataFrame({"created_at": dates}, schema={"created_at": INSTANT})


def weekly(counts):
    """So many new cards in each week, evenly spread over it."""
    return created(
        [
            MONDAY + week * WEEK + WEEK * (i + 0.5) / n
            for week, n in enumerate(counts)
            for i in range(n)
        ]
    )


def steady(n_weeks=40, doubling=8, first=10):
    """As near to new cards that double every `doubling` weeks as whole cards come."""
    return weekly([round(first * 2 ** (week / doubling)) for week in range(n_weeks)])


def test_new_cards_that_double_every_eight_weeks():
    row = cl.doubling_time(steady()).row(0, named=True)
    assert tuple(row) == RESULT
    assert row["low"] < row["doubling_weeks"] < row["high"] < 9
    assert row["doubling_weeks"] == pytest.approx(8, rel=0.01)
    assert row["rate"] == pytest.approx(math.log(2) / row["doubling_weeks"])
    assert row["reason"] is None
    assert (row["dispersion"], row["autocorrelation"]) == (0, 0)
    # the weeks of the oldest and of the newest card may not be whole
    assert (row["start"], row["end"]) == (MONDAY + WEEK, MONDAY + 39 * WEEK)
    assert (row["n_periods"], row["dated_share"], row["floor_share"]) == (38, 1, 0)
    counts = [round(10 * 2 ** (week / 8)) for week in range(40)]
    assert row["n_cards"] == sum(counts[1:-1])
    recent = sum(counts[-4:]) + round(counts[-5] * 2 / 7)
    assert row["newest_share"] == pytest.approx(recent / sum(counts), rel=0.01)


@pytest.mark.parametrize("every", ["1d", "2w", "1mo"])
def test_weeks_whatever_the_period(every):
    row = cl.doubling_time(steady(90, 14, 6), every=every).row(0, named=True)
    assert row["doubling_weeks"] == pytest.approx(14, rel=0.05)
    assert row["low"] < 14 < row["high"]


def test_the_line_is_that_of_a_poisson_regression():
    rng = np.random.default_rng(3)
    new = rng.poisson(4 * np.exp(0.03 * np.arange(80))).astype(float)
    place = np.linspace(-1, 1, 80)
    terms = np.stack([np.ones(80), place], axis=1)
    fit = regression(new, np.ones(80), terms)
    known = PoissonRegressor(alpha=0, tol=1e-10, max_iter=1000).fit(place[:, None], new)
    assert fit.coefficient[1] == pytest.approx(known.coef_[0], rel=0.02)
    if not fit.dispersion:
        assert np.allclose(fit.coefficient, [known.intercept_, known.coef_[0]], atol=1e-5)
    # Pearson's chi-squared is what it should be where counts scatter more than by chance
    bundles = rng.negative_binomial(2, 2 / (2 + 60 * np.exp(place)))
    fit = regression(bundles.astype(float), np.ones(80), terms)
    assert fit.residual @ fit.residual == pytest.approx(78, rel=1e-4)
    assert 0.25 < fit.dispersion < 1


def test_the_floor_and_nulls_are_left_out_and_counted():
    cards = steady()
    beside = FLOOR + dt.timedelta(microseconds=1)
    second = FLOOR + dt.timedelta(seconds=1)
    never = [dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in (1, 9999)]
    more = pl.concat([cards, created([FLOOR, second, FLOOR, None, *never])]).sample(
        fraction=1, shuffle=True, seed=0
    )
    plain, marked = (cl.doubling_time(c).row(0, named=True) for c in (cards, more))
    assert [marked[name] for name in RESULT[:12]] == [plain[name] for name in RESULT[:12]]
    assert [marked[name] for name in RESULT[15:]] == [3, 1, 2, [FLOOR, second]]
    n = cards.height
    assert marked["dated_share"] == (n + 3) / (n + 6)
    assert marked["floor_share"] == 3 / (n + 3)
    assert cl.growth(created([beside])).select("n_total", "at_floor").row(0) == (1, 0)


def test_bounds_take_whole_periods_and_dates_of_any_kind():
    cards = steady()
    text = cl.doubling_time(cards, start="2023-01-18", end="2023-09-06")
    assert text.select("start", "end").row(0) == (MONDAY + 3 * WEEK, MONDAY + 35 * WEEK)
    assert text.equals(
        cl.doubling_time(cards, start=dt.date(2023, 1, 23), end=dt.datetime(2023, 9, 4))
    )
    assert text.equals(cl.doubling_time(cards, start="2023-01-23T02:00+02:00", end="2023-09-04"))
    assert cl.doubling_time(cards, end="2030-01-01").equals(cl.doubling_time(cards))
    parts = cl.doubling_time(cards, sensitivity=True)
    assert parts["window"].to_list()[:2] == ["all", "first half"]
    assert parts[:1].drop("window").equals(cl.doubling_time(cards))
    half = cl.doubling_time(cards, end=MONDAY + 20 * WEEK)
    assert parts[1:2].drop("window").equals(half)


def test_the_same_from_another_engine():
    cards = steady()
    first = cl.doubling_time(cards)
    assert cl.doubling_time(cards.lazy()).equals(first)
    assert cl.doubling_time(duckdb.sql("FROM cards")).equals(first)
    curve = cl.doubling_time(cards, curve=True)
    assert curve.select(RESULT).unique().equals(first)
    inside = curve.filter("in_fit")
    assert inside["n_new"].sum() == first["n_cards"][0]
    assert (inside["fitted_low"] < inside["fitted"]).all()
    assert (inside["fitted"] < inside["fitted_high"]).all()
    assert np.allclose(inside["fitted"], inside["n_new"], atol=1.5)
    assert curve.filter(~pl.col("in_fit"))["fitted"].to_list() == [None, None]


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ([30] * 60, "did not grow beyond chance"),
        ([100 + week for week in range(60)], "did not double: they grew by"),
        ([2 + week for week in range(100)], "slowed down|straight line"),
        ([100 + 5 * week for week in range(60)], "slowed down|straight line"),
        ([week**2 // 10 for week in range(100)], "slowed down"),
        ([round(800 / (1 + math.exp((50 - week) / 8))) for week in range(100)], "slowed"),
        ([round(10 * 2 ** (week / 40) + (week > 50) * 2 ** (week / 6 - 5)) for week in range(99)],
         "sped up|30 days"),
        ([*[5] * 60, 900], "916 cards came in the 30 days"),
        ([round(4 * 2 ** (w / 30)) * (9 if w % 13 == 0 else 1) for w in range(120)], "about 13"),
        ([round(9 * 2 ** (w / 40) * (1.2 + math.sin(w / 8))) for w in range(120)], "about|beyond"),
        ([1, 400, *[1] * 60, 300, *[1, 2] * 30, 900, 2, 3, 500, *[1, 2, 3] * 9], "few|beyond"),
        ([2**week for week in range(8)], "cards in 6 whole periods; at least 30 in 10"),
        ([1] * 25, "23 cards in 23 whole periods"),
    ],
)  # fmt: skip
def test_no_number_where_growth_is_not_exponential(counts, why):
    row = cl.doubling_time(weekly(counts)).row(0, named=True)
    assert [row[name] for name in ("doubling_weeks", "low", "high", "rate")] == [None] * 4
    assert re.search(why, row["reason"]), row["reason"]
    assert not cl.doubling_time(weekly(counts), curve=True)["fitted"].count()


def arrivals(rng, kind, n_weeks, doubling, first):
    """New cards of weeks: by chance, in bundles, or in runs of many and of few."""
    line = first * 2 ** (np.arange(n_weeks) / doubling)
    if kind == "gamma-Poisson":
        line = line * rng.gamma(2, 1 / 2, n_weeks)
    if kind.startswith("AR(1)"):
        alike = float(kind.split()[1])
        noise = rng.standard_normal(n_weeks + 200)
        noise = lfilter([0.3 * math.sqrt(1 - alike**2)], [1, -alike], noise)
        line = line * np.exp(noise[200:] - 0.045)
    return rng.poisson(line).astype(float)


def covered(kinds, lengths, doublings, n_runs):
    """How often a number was given, and how often its interval holds the truth, by kind."""
    rng = np.random.default_rng(0)
    found = {}
    for kind in kinds:
        given = []
        for n_weeks in lengths:
            for doubling in doublings:
                for _ in range(n_runs):
                    first = 3 if n_weeks < 8 * doubling else 1
                    new = arrivals(rng, kind, n_weeks, doubling, first)
                    row = exponential(new, np.ones(n_weeks))[0]
                    if row.get("reason") is None:
                        given.append(row["low"] <= doubling <= (row["high"] or math.inf))
        found[kind] = len(given), np.mean(given)
    return found


def test_intervals_hold_the_doubling_time():
    fewest = {"Poisson": 18, "gamma-Poisson": 18, "AR(1) 0.5": 8, "AR(1) 0.95": 0}
    for kind, (n_given, share) in covered(fewest, [120], [25], 25).items():
        assert n_given >= fewest[kind], kind
        assert share >= 0.85, kind


@pytest.mark.verify
@pytest.mark.parametrize(
    ("kind", "n_runs", "fewest", "least"),
    [
        ("Poisson", 100, 500, 0.93),
        ("gamma-Poisson", 100, 400, 0.93),
        ("AR(1) 0.5", 100, 300, 0.93),
        ("AR(1) 0.95", 250, 300, 0.93),
    ],
)
def test_intervals_hold_the_doubling_time_of_any_length(kind, n_runs, fewest, least):
    found = covered((kind,), (40, 80, 150), (10, 25, 50, 80, 1e9), n_runs)
    assert found[kind][0] >= fewest
    assert found[kind][1] >= least


def test_doubling_time_refuses_what_it_cannot_do():
    cards = steady()
    with pytest.raises(cl.MissingColumn, match="created_at"):
        cl.doubling_time(pl.DataFrame({"id": ["a"]}))
    with pytest.raises(cl.NoFigure, match="none of the 3 cards has a true .* 1 have none, 2 have"):
        cl.doubling_time(created([FLOOR, FLOOR, None]))
    for bounds in ({"start": "2030-01-01"}, {"end": "2020-01-01"}, {"every": "1y"}):
        row = cl.doubling_time(cards, **bounds).row(0, named=True)
        assert row["reason"] == "0 cards in 0 whole periods; at least 30 in 10 are needed"
        assert row["start"] is None
        assert cl.doubling_time(cards, curve=True, **bounds)["in_fit"].sum() == 0
    for wrong, message in (
        ({"every": "week"}, "every must be like"),
        ({"start": "soon"}, "start must be a date"),
        ({"end": 2018}, "end must be a date"),
        ({"start": "2023-02-01", "end": "2023-01-01"}, "start must not be later than end"),
    ):
        with pytest.raises(cl.CardlabError, match=message):
            cl.doubling_time(cards, **wrong)
    with pytest.raises(cl.CardlabError, match="'created_at' must hold dates, not String"):
        cl.doubling_time(pl.DataFrame({"created_at": ["2023-01-01"]}))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 300), min_size=2, max_size=150),
    st.sampled_from(["1d", "1w", "2w", "1mo"]),
    st.randoms(use_true_random=False),
)
def test_doubling_time_holds_for_any_dates(days, every, random):
    dates = [MONDAY + dt.timedelta(days=day) for day in days]
    found = cl.doubling_time(created(dates), every=every)
    row = found.row(0, named=True)
    assert (row["reason"] is None) == (row["doubling_weeks"] is not None)
    if row["reason"] is None:
        assert 0 < row["low"] <= row["doubling_weeks"]
        assert row["high"] is None or row["high"] >= row["doubling_weeks"]
    random.shuffle(dates)
    assert cl.doubling_time(created(dates), every=every).equals(found)


HELD = pl.DataFrame(
    {
        "author": ["a", "a", "b", "c", "c", None, "d"],
        "downloads": [5, 1, 2, 0, None, 9, 0],
        "tags": [["x"]] * 7,
    }
)


def test_concentration_by_hand():
    row = cl.concentration(HELD).row(0, named=True)
    # groups hold 6, 2, 0, 0: sum of i * x is 3 * 2 + 4 * 6
    assert row == {
        **{"gini": 2 * 30 / (4 * 8) - 5 / 4, "top_1_share": 0.75, "top_10_share": 1.0},
        **{"top_100_share": 1.0, "n_zero": 2, "n_groups": 4, "n_cards": 5, "n_null": 2},
        "total": 8.0,
    }


def test_concentration_of_single_cards_and_of_their_number():
    alone = cl.concentration(HELD, by=None).row(0, named=True)
    assert (alone["n_groups"], alone["n_cards"], alone["n_null"]) == (6, 6, 1)
    assert (alone["top_1_share"], alone["n_zero"], alone["total"]) == (9 / 17, 2, 17)
    cards = cl.concentration(HELD, column=None).row(0, named=True)
    assert (cards["n_groups"], cards["n_cards"], cards["n_null"]) == (4, 6, 1)
    assert (cards["top_1_share"], cards["n_zero"], cards["total"]) == (1 / 3, 0, 6)
    assert cards["gini"] == pytest.approx(2 * (1 * 1 + 2 * 1 + 3 * 2 + 4 * 2) / (4 * 6) - 5 / 4)


@pytest.mark.parametrize("options", [{}, {"by": None}, {"column": None}])
def test_concentration_from_another_engine(options):
    expected = cl.concentration(HELD, **options)
    assert cl.concentration(HELD.lazy(), **options).equals(expected)
    assert cl.concentration(duckdb.sql("FROM HELD"), **options).equals(expected)
    assert cl.concentration(HELD.to_pandas(), **options).equals(expected)


def test_concentration_where_nobody_holds_anything():
    row = cl.concentration(HELD.with_columns(downloads=0)).row(0, named=True)
    assert [row[name] for name in ("gini", "top_1_share", "top_100_share")] == [None] * 3
    assert (row["n_zero"], row["total"]) == (4, 0)
    assert cl.concentration(HELD.with_columns(downloads=0)).schema["gini"] == pl.Float64


def test_concentration_refuses_what_it_cannot_do():
    with pytest.raises(cl.MissingColumn, match="likes"):
        cl.concentration(HELD, column="likes")
    with pytest.raises(cl.NoFigure, match="none of the 7 cards has a value in 'n' and 'author'"):
        cl.concentration(HELD.with_columns(n=pl.lit(float("nan"))), column="n")
    for options, message in (
        ({"column": "author", "by": None}, "must hold numbers, not String"),
        ({"by": "tags"}, "must belong to one group"),
        ({"column": None, "by": None}, "must differ"),
        ({"by": "downloads"}, "must differ"),
    ):
        with pytest.raises(cl.CardlabError, match=message):
            cl.concentration(HELD, **options)
    for value in (-1, float("inf")):
        with pytest.raises(cl.CardlabError, match="below 0 or infinite"):
            cl.concentration(HELD.with_columns(downloads=value))


def test_concentration_of_real_downloads(data):
    cards = cl.read_cards(data / "models_2022.parquet")
    row = cl.concentration(cards).row(0, named=True)
    held: dict[str, int] = {}
    for author, n in cards.select("author", "downloads").rows():
        held[author] = held.get(author, 0) + n
    largest = sorted(held.values(), reverse=True)
    assert row["total"] == sum(largest)
    assert row["n_groups"] == len(held)
    assert row["n_zero"] == largest.count(0)
    for k in (1, 10, 100):
        assert row[f"top_{k}_share"] == pytest.approx(sum(largest[:k]) / sum(largest), abs=1e-12)
    # Gini by its other formula: the area above the Lorenz curve, twice
    lorenz = np.cumsum([0, *largest[::-1]]) / sum(largest)
    area = float(((lorenz[1:] + lorenz[:-1]) / 2).mean())
    assert row["gini"] == pytest.approx(1 - 2 * area, abs=1e-12)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=40), st.randoms())
def test_gini_is_the_mean_difference(values, random):
    found = gini(values)
    if not sum(values):
        assert np.isnan(found)
        return
    x = np.array(values, dtype=float)
    differences = np.abs(x[:, None] - x).mean() / (2 * x.mean())
    assert found == pytest.approx(differences, abs=1e-9)
    assert 0 <= found <= 1 - 1 / x.size + 1e-12
    random.shuffle(values)
    assert gini(values) == found
    assert gini([*values, 0, 0], zeros=False) == pytest.approx(gini(x[x > 0]), abs=1e-12)
    shuffled = cl.concentration(pl.DataFrame({"likes": values}), column="likes", by=None)
    assert shuffled["gini"][0] == pytest.approx(found, abs=1e-12)
    tops = shuffled.select("top_1_share", "top_10_share", "top_100_share").row(0)
    assert 0 < tops[0] <= tops[1] <= tops[2] == 1
