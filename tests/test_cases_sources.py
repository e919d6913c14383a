"""Inputs that go wrong on their way in: every source is read in full, or says what it is not."""

from __future__ import annotations

import datetime as dt
import json

import polars as pl

import cardlab as cl

UTC = dt.UTC
HUB_FLOOR = dt.datetime(2022, 3, 2, 23, 29, 4, tzinfo=UTC)


def found(cards: pl.DataFrame) -> list[tuple]:
    """All problems of a corpus as ``id, column, problem``."""
    return cl.problems(cards).select("id", "column", "problem").rows()


# ------------------------------------------------------------------------------------------- dates

DATES = {
    "2022-03-02T23:29:04.000Z": HUB_FLOOR,
    "2022-03-02T23:29Z": HUB_FLOOR.replace(second=0),
    "2022-03-02t23:29:04z": HUB_FLOOR,
    "2022-03-03T00:29:04+0100": HUB_FLOOR,
    "2022-03-03 00:29:04 +01:00": HUB_FLOOR,
    "2022-03-02 23:29:04 UTC": HUB_FLOOR,
    "20220302T232904Z": HUB_FLOOR,
    "20220302": dt.datetime(2022, 3, 2, tzinfo=UTC),
    "20220302232904": HUB_FLOOR,
    "2022/03/02": dt.datetime(2022, 3, 2, tzinfo=UTC),
    "1646263744": HUB_FLOOR,
    "1646263744000": HUB_FLOOR,
    "1646263744000000": HUB_FLOOR,
    "1646263744000000000": HUB_FLOOR,
    "1646263744.0": HUB_FLOOR,
    "1.646263744e+12": HUB_FLOOR,
    "Wed, 02 Mar 2022 23:29:04 GMT": HUB_FLOOR,
    "0001-01-01": dt.datetime(1, 1, 1, tzinfo=UTC),
    "9999-12-31": dt.datetime(9999, 12, 31, tzinfo=UTC),
}
NO_DATES = ["0", "12", "2022", "20221301", "never", "0001-01-01T00:00:00+02:00", "9" * 400, "02/03"]


def test_U09_dates_as_they_are_written(tmp_path):
    written = [*DATES, *NO_DATES, None, " "]
    ids = [f"o/{number}" for number in range(len(written))]
    cards = cl.read_cards(pl.DataFrame({"id": ids, "createdAt": written}))
    assert cards["created_at"].to_list() == [DATES.get(text) for text in written]
    bad = cl.problems(cards).filter(problem="bad_date")
    assert bad["id"].to_list() == [f"o/{len(DATES) + n}" for n in range(len(NO_DATES))]
    for text, detail in zip(NO_DATES, bad["detail"], strict=True):
        assert text[:100] in detail
    path = tmp_path / "dates.csv"
    pl.DataFrame({"id": ids, "createdAt": written}).write_csv(path)
    assert cl.read_cards(path)["created_at"].equals(cards["created_at"], null_equal=True)


def test_U09_dates_as_numbers(tmp_path):
    """Seconds, milliseconds (pandas), microseconds, nanoseconds and written days, per type."""
    for numbers in ([1646263744, 0], [1646263744 * 10**3, 7], [1646263744 * 10**9, 2022]):
        records = [{"id": "o/a", "createdAt": numbers[0]}, {"id": "o/b", "createdAt": numbers[1]}]
        path = tmp_path / "dates.jsonl"
        path.write_text("\n".join(map(json.dumps, records)))
        sources = [
            records,
            path,
            pl.DataFrame(records),
            pl.DataFrame(records).cast({"createdAt": pl.Float64}),
        ]
        for source in sources:
            cards = cl.read_cards(source)
            assert cards["created_at"].to_list() == [HUB_FLOOR, None], (numbers, source)
            assert found(cards) == [("o/b", "created_at", "bad_date")]
    floats = pl.DataFrame({"id": ["o/a", "o/b"], "createdAt": [1646263744.0, float("nan")]})
    assert found(cl.read_cards(floats)) == []
    days = cl.read_cards(pl.DataFrame({"id": ["o/a"], "createdAt": [20220302]}))
    assert days["created_at"].to_list() == [dt.datetime(2022, 3, 2, tzinfo=UTC)]
