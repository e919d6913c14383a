"""Doubling times and concentration: by hand, against numpy, and by their invariants."""

from __future__ import annotations

import datetime as dt
import math

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cardlab as cl
from cardlab.overview.doubling import _cut_offs
from cardlab.schema import DATE_FLOOR
from cardlab.shares.counting import gini

FLOOR = dt.datetime.fromisoformat(DATE_FLOOR)
MONDAY = dt.datetime(2023, 1, 2, tzinfo=dt.UTC)
WEEK = dt.timedelta(weeks=1)
PUBLISHED = {"origin": "2018-11-01", "start": "2020-04-30", "every": "1w"}
INSTANT = pl.Datetime("us", "UTC")


def created(dates):
    return pl.DataFrame({"created_at": dates}, schema={"created_at": INSTANT})


def doubling_weekly(n_weeks=8):
    """2, 4, 8 ... cards before the end of each week."""
    new = [2, *(2**week for week in range(1, n_weeks))]
    return created([MONDAY + week * WEEK for week, n in enumerate(new) for _ in range(n)])


def by_polyfit(dates, first, every, start, last):
    """The rate with nothing of cardlab's: a loop over cut-offs and numpy's own fit."""
    when, counts = first, []
    while when <= last:
        if when >= start:
            counts.append(sum(date < when for date in dates))
        when += every
    rate = np.polyfit(np.arange(len(counts)), np.log(counts), 1)[0]
    return rate, len(counts), counts[-1]


def test_a_corpus_that_doubles_every_week():
    row = cl.doubling_time(doubling_weekly()).row(0, named=True)
    assert list(row) == [
        *("rate", "doubling_weeks", "low", "high", "n_periods", "n_cards", "n_at_floor", "n_null"),
        *("n_implausible", "floors"),
    ]
    assert row["rate"] == pytest.approx(math.log(2), abs=1e-12)
    assert [row[name] for name in ("doubling_weeks", "low", "high")] == pytest.approx([1, 1, 1])
    assert (row["n_periods"], row["n_cards"], row["n_at_floor"], row["n_null"]) == (8, 256, 0, 0)


def test_weeks_whatever_the_period():
    cards = doubling_weekly(9)
    two = cl.doubling_time(cards, every="2w", origin=MONDAY, end=MONDAY + 8 * WEEK)
    assert two["rate"][0] == pytest.approx(math.log(4), abs=1e-12)
    assert two["doubling_weeks"][0] == pytest.approx(1, abs=1e-12)
    days = cl.doubling_time(cards, every="1d").row(0, named=True)
    assert days["doubling_weeks"] == pytest.approx(1, rel=0.1)
    # 32, 512 and 8192 cards before February, March and April: 59 days in two months
    months = cl.doubling_time(doubling_weekly(14), every="1mo", end="2023-04-01")
    assert months["rate"][0] == pytest.approx(math.log(16), abs=1e-12)
    assert months["doubling_weeks"][0] == pytest.approx(59 / 2 / 7 / 4, abs=1e-12)


def test_a_card_at_a_cut_off_is_not_before_it():
    # 1, 2, 4 before the three cut-offs, of which the last is the first after the newest card
    cards = created([MONDAY, MONDAY + WEEK, *[MONDAY + 2 * WEEK] * 2])
    row = cl.doubling_time(cards).row(0, named=True)
    assert (row["n_periods"], row["n_cards"]) == (3, 4)
    assert row["rate"] == pytest.approx(math.log(2))


def test_the_floor_and_nulls_are_left_out_and_counted():
    cards = doubling_weekly()
    beside = FLOOR + dt.timedelta(microseconds=1)
    second = FLOOR + dt.timedelta(seconds=1)
    never = [dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in (1, 9999)]
    more = pl.concat([cards, created([FLOOR, second, FLOOR, None, *never])]).sample(
        fraction=1, shuffle=True, seed=0
    )
    plain, marked = cl.doubling_time(cards), cl.doubling_time(more)
    assert marked.row(0)[:6] == plain.row(0)[:6]
    assert marked.row(0)[6:] == (3, 1, 2, [FLOOR, second])
    assert cl.growth(created([beside])).select("n_total", "at_floor").row(0) == (1, 0)


def test_bounds_are_inclusive_and_take_dates_of_any_kind():
    cards = doubling_weekly()
    text = cl.doubling_time(cards, start="2023-01-16", end="2023-02-06")
    assert text.select("n_periods", "n_cards").row(0) == (4, 32)
    assert text.equals(
        cl.doubling_time(cards, start=dt.date(2023, 1, 16), end=dt.datetime(2023, 2, 6))
    )
    assert text.equals(cl.doubling_time(cards, start="2023-01-16T02:00+02:00", end="2023-02-12"))
    assert cl.doubling_time(cards, end="2030-01-01").equals(cl.doubling_time(cards))
    assert cl.doubling_time(cards, origin="2022-12-05").equals(cl.doubling_time(cards))


def test_the_published_method_on_the_part_we_hold(data):
    cards = cl.scan_cards(data / "models_2022.parquet").select("id", "created_at")
    dates = cards.collect()["created_at"].drop_nulls().to_list()
    instant = [dt.datetime(*day, tzinfo=dt.UTC) for day in ((2018, 11, 1), (2020, 4, 30))]
    # their list of weeks ends with the first one after the newest model, of 2022-09-30
    last = dt.datetime(2022, 10, 6, tzinfo=dt.UTC)
    rate, n_periods, n_cards = by_polyfit(dates, instant[0], WEEK, instant[1], last)
    row = cl.doubling_time(cards, **PUBLISHED).row(0, named=True)
    assert n_periods == row["n_periods"] == 128
    assert n_cards == row["n_cards"] == 41_082
    assert row["rate"] == pytest.approx(rate, abs=1e-9, rel=0)
    assert row["doubling_weeks"] == pytest.approx(math.log(2) / rate, abs=1e-9, rel=0)
    assert row["low"] < row["doubling_weeks"] < row["high"]
    assert (row["n_at_floor"], row["n_null"]) == (0, 113)


def test_the_same_from_another_engine_and_for_the_same_seed():
    cards = doubling_weekly().filter(pl.int_range(pl.len()) % 3 > 0)
    first = cl.doubling_time(cards)
    assert first["low"][0] < first["high"][0]
    assert cl.doubling_time(cards.lazy()).equals(first)
    assert cl.doubling_time(duckdb.sql("FROM cards")).equals(first)
    assert not cl.doubling_time(cards, random_state=1).equals(first)
    other = cl.doubling_time(cards, n_boot=7)
    assert other.row(0)[:2] == first.row(0)[:2]


def test_no_upper_end_where_it_may_not_grow():
    cards = created([MONDAY] * 10 + [MONDAY + 10 * WEEK] * 12)
    row = cl.doubling_time(cards).row(0, named=True)
    assert row["high"] is None
    assert row["low"] < row["doubling_weeks"]
    assert cl.doubling_time(cards).schema["high"] == pl.Float64


def test_doubling_time_refuses_what_it_cannot_do():
    cards = doubling_weekly()
    with pytest.raises(cl.MissingColumn, match="created_at"):
        cl.doubling_time(pl.DataFrame({"id": ["a"]}))
    with pytest.raises(cl.NoFigure, match="none of the 3 cards has a true .* 1 have none, 2 have"):
        cl.doubling_time(created([FLOOR, FLOOR, None]))
    with pytest.raises(cl.NoFigure, match="at least 3 cut-offs .* there are 2"):
        cl.doubling_time(cards, end="2023-01-22")
    for bounds in ({"start": "2030-01-01"}, {"origin": "2030-01-01"}):
        with pytest.raises(cl.NoFigure, match="there are 0"):
            cl.doubling_time(cards, **bounds)
    still = created([MONDAY, MONDAY + 9 * WEEK])
    with pytest.raises(cl.NoFigure, match="does not grow .* 1 cards at each of 4 cut-offs"):
        cl.doubling_time(still, end="2023-02-01")
    for wrong, message in (
        ({"every": "week"}, "every must be like"),
        ({"start": "soon"}, "start must be a date"),
        ({"origin": 2018}, "origin must be a date"),
        ({"start": "2023-02-01", "end": "2023-01-01"}, "start must not be later than end"),
        ({"n_boot": 0}, "n_boot must be a whole number"),
        ({"random_state": -1}, "random_state must be"),
    ):
        with pytest.raises(cl.CardlabError, match=message):
            cl.doubling_time(cards, **wrong)
    with pytest.raises(cl.CardlabError, match="'created_at' must hold dates, not String"):
        cl.doubling_time(pl.DataFrame({"created_at": ["2023-01-01"]}))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 300), min_size=2, max_size=60),
    st.sampled_from(["1d", "1w", "2w", "1mo"]),
    st.randoms(use_true_random=False),
)
def test_doubling_time_holds_for_any_dates(days, every, random):
    dates = [MONDAY + dt.timedelta(days=day) for day in days]
    try:
        found = cl.doubling_time(created(dates), every=every, n_boot=50)
    except cl.NoFigure:
        return
    row = found.row(0, named=True)
    assert row["rate"] > 0
    assert row["low"] <= row["doubling_weeks"]
    assert row["high"] is None or row["high"] >= row["doubling_weeks"]
    assert row["n_cards"] == len(days)
    random.shuffle(dates)
    assert cl.doubling_time(created(dates), every=every, n_boot=50).equals(found)


@given(st.dates(dt.date(2022, 1, 1), dt.date(2024, 12, 31)), st.sampled_from(["1mo", "1q", "1y"]))
def test_the_last_cut_off_is_after_the_newest_card(origin, every):
    newest = dt.datetime(2027, 3, 31, 12, tzinfo=dt.UTC)
    first = dt.datetime.combine(origin, dt.time(), dt.UTC)
    dates = created([first, *[first + dt.timedelta(days=400)] * 2, newest])["created_at"]
    cuts = _cut_offs(dates, every, origin=first, start=None, end=None)
    assert cuts[0] == first
    assert cuts[-2] <= newest < cuts[-1]


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
