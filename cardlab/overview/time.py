"""Time: which dates are true, periods, growth, shares over time.

What is no true date is decided here alone, by :func:`judge`, for every function and chart.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from ..frames import as_polars, map_items
from ..schema import (
    DATE_FLOOR,
    INSTANT,
    CardlabError,
    Frame,
    NoFigure,
    at_least,
    collect,
    lazy,
    require,
)
from ..shares.authors import Population, author_column, designs_of, with_interval
from ..shares.counting import count_values, one_row_per_item

#: The instants that the Hub gave to every repository made before it recorded creation times.
FLOORS = tuple(dt.datetime.fromisoformat(DATE_FLOOR) + dt.timedelta(seconds=n) for n in (0, 1))
#: No card is older: Hugging Face was founded in 2016, the oldest model of its listing is of 2019.
EARLIEST = dt.datetime(2016, 1, 1, tzinfo=dt.UTC)
#: This was written in that year, so that a clock which says less is wrong.
_WRITTEN = dt.date(2026, 12, 31)

# From here on many cards in one second were not made in it: repositories are made one after
# another, and of 60,000 dates of the Hub no second holds more than six. See :func:`_crowded`.
_CROWD, _CROWD_SHARE = 20, 0.05

#: What a row of shares is about: a value, all values beyond the largest, or cards without any.
PARTS = ("value", "other values", "not declared")

_EVERY = re.compile(r"[1-9]\d{0,3}(?:d|w|mo|q|y)")
_DATE, _VALUE, _PERIOD, _AUTHOR = "__date", "__value", "__period", "__author"


def check_every(every: Any) -> None:
    """Raise a CardlabError unless `every` is the length of a period."""
    if not isinstance(every, str) or not _EVERY.fullmatch(every):
        raise CardlabError(f"every must be like '1mo', '2w', '1d', '1q' or '1y', not {every!r}.")


@dataclass(frozen=True)
class Dated:
    """Which dates of a corpus are true.

    `true` has an instant for each card, null where there is no true one; `possible` those at a
    floor too; `at_floor` says which these are, null where there is no possible date. `floors` are
    the instants at which cards are that were not made then.
    """

    true: pl.Series
    possible: pl.Series
    at_floor: pl.Series
    floors: list[dt.datetime]
    n_undated: int
    n_implausible: int

    @property
    def n_at_floor(self) -> int:
        """Cards at a floor."""
        return int(self.at_floor.sum())

    def columns(self, *names: str) -> list[pl.Expr]:
        """Give what is left out as columns, the same on all rows."""
        return [
            *(pl.lit(getattr(self, name), pl.Int64).alias(name) for name in names),
            pl.lit(pl.Series([self.floors], dtype=pl.List(INSTANT))).first().alias("floors"),
        ]

    def none_is_true(self) -> NoFigure:
        """Say that no date is true, and what there is."""
        floors = ", ".join(f"{floor:%Y-%m-%dT%H:%M:%SZ}" for floor in self.floors)
        hub = "the Hub's floor" if set(self.floors) <= set(FLOORS) else "an instant that many share"
        counts = {
            "none": self.n_undated,
            f"{hub} ({floors})": self.n_at_floor,
            "an impossible one": self.n_implausible,
        }
        told = ", ".join(f"{n:,} have {what}" for what, n in counts.items() if n)
        return NoFigure(
            f"none of the {self.true.len():,} cards has a true creation date{told and ': '}{told}."
        )


def implausible(dates: pl.Expr) -> pl.Expr:
    """Say which instants cannot be those of a card: before 2016, or later than tomorrow."""
    today = max(dt.datetime.now(dt.UTC).date(), _WRITTEN)
    end = dt.datetime.combine(today, dt.time(), dt.UTC) + dt.timedelta(days=2)
    return (dates < EARLIEST) | (dates >= end)


def check_dates(dtype: Any, column: str) -> None:
    """Raise a CardlabError unless a column holds dates."""
    if not isinstance(dtype, (pl.Datetime, pl.Date, pl.Null)):
        raise CardlabError(
            f"column {column!r} must hold dates, not {dtype}. cardlab.scan_cards(source) reads the "
            "dates of cards as such."
        )


def judge(values: pl.Series, *, crowds: bool = True) -> Dated:
    """Decide which dates are true; those without a time zone are UTC.

    Not true are the floors: the two instants of the Hub, and with `crowds` any other second that
    is crowded (see :func:`_crowded`). Of dates without a time of day, the Hub's floor is its day
    where that is crowded. What cannot be a date of a card at all (:func:`implausible`) is none.
    """
    date = pl.col("date")
    frame = pl.DataFrame({"date": values.cast(INSTANT, strict=False)})
    frame = frame.select(pl.when(~implausible(date)).then(date))
    known = frame["date"].drop_nulls()
    floors = [*FLOORS, *(_crowded(known) if crowds else [])]
    second = date.dt.truncate("1s")
    frame = frame.with_columns((date.is_in(floors) | second.is_in(floors[2:])).alias("floor"))
    frame = frame.with_columns(pl.when(~pl.col("floor")).then(date).alias("true"))
    held = frame.filter("floor")["date"].dt.truncate("1s").unique().sort().to_list()
    n_undated = values.null_count()
    n_wrong = values.len() - n_undated - known.len()
    return Dated(frame["true"], frame["date"], frame["floor"], held, n_undated, n_wrong)


def read_dates(
    cards: Any, value: str | None = None, author: str | None = None
) -> tuple[pl.DataFrame, Dated]:
    """Read the creation dates, which are judged, a column beside them, and who made the cards."""
    require(cards, "created_at", *([value] if value else []))
    also = [nw.col(value).alias(_VALUE)] if value else []
    also += [nw.col(author).cast(nw.String).alias(_AUTHOR)] if author else []
    rows = collect(lazy(cards).select(nw.col("created_at").alias(_DATE), *also))
    check_dates(rows.schema[_DATE], "created_at")
    return rows.drop(_DATE) if value else rows, judge(rows[_DATE])


def _crowded(known: pl.Series) -> list[dt.datetime]:
    """Find the seconds that hold more cards than can have been made in them: with_period says how.

    Midnight is no second but a date without a time. Where no date has a time, or none has seconds,
    many cards share a day or a minute by right, and only that of the Hub's floor is looked at.
    """
    around = {"1d": 30 * 24 * 60, "1m": 60, "1s": 1}  # minutes
    unit = next((unit for unit in around if (known == known.dt.truncate(unit)).all()), "1s")
    far = dt.timedelta(minutes=around[unit])
    times, at = known.dt.truncate(unit).alias("at").sort(), pl.col("at")
    least = max(_CROWD, math.ceil(_CROWD_SHARE * known.len()))
    some = times.gather_every(least).unique()  # so many alike are on one of these places
    n = times.search_sorted(some, "right") - times.search_sorted(some, "left")
    crowds = pl.DataFrame([some, n.alias("n")]).filter(pl.col("n") >= least)
    crowds = crowds.sort("n", "at", descending=[True, False])
    if unit == "1s":
        crowds = crowds.filter(at != at.dt.truncate("1d"))
    else:
        crowds = crowds.filter(at == pl.lit(FLOORS[0]).dt.truncate(unit))
    found: list[dt.datetime] = []
    for when, n in crowds.iter_rows():
        near = at.is_between(when - far, when + far) & ~at.is_in([when, *found])
        if n > times.to_frame().filter(near).height:
            found.append(when)
    return found


def with_period(cards: Frame, *, every: str = "1y", column: str = "created_at") -> Frame:
    """Add the period of each card's date, so that counts can be made ``by="period"``.

    Parameters
    ----------
    cards : frame
        With `column`, dates or instants; those without a time zone are UTC.
    every : str
        Length of a period: a number and ``d``, ``w``, ``mo``, ``q`` or ``y``.
    column : str
        ``"created_at"`` or ``"last_modified"``, for example.

    Returns
    -------
    pl.DataFrame or pl.LazyFrame
        A lazy frame where `cards` is lazy, with these columns added:

        - ``period`` (date): the first day of the period. Null where there is no date or one that
          cannot be (before 2016, or later than tomorrow), and where the date is a floor, since the
          true period is unknown;
        - ``at_floor`` (bool): whether the date is a floor: one of the two instants that the Hub
          gave to everything older, 2022-03-02T23:29:04Z and :05Z, or, of ``created_at``, another
          second in which more cards are dated than can have been made (see Notes); null where
          ``period`` is null for another reason.

    Raises
    ------
    MissingColumn
        The cards have no such column.
    CardlabError
        `every` is not a period, or `column` holds no dates.

    Notes
    -----
    A second is a floor if at least 20 cards and 5 % of all dates lie in it, more than in the
    minute before and after it together: on the Hub no other second holds more than six cards.
    Dates without a time of day are not touched, unless the day of the Hub's floor holds more than
    the sixty days around it.

    Examples
    --------
    >>> cards = cl.with_period(cl.make_cards(200), every="1y")
    >>> counts = cl.license_counts(cards, by="period", classes=True)
    >>> counts["period", "license_class", "n_cards"].row(0)
    (datetime.date(2024, 1, 1), 'permissive', 66)
    """
    check_every(every)
    require(cards, column)
    frame = as_polars(cards)
    check_dates(frame.lazy().collect_schema()[column], column)

    def periods(values: pl.Series) -> pl.Series:
        dated = judge(values, crowds=column == "created_at")
        period = dated.true.dt.truncate(every).dt.date()
        return pl.DataFrame({"period": period, "at_floor": dated.at_floor}).to_struct()

    layout = pl.Struct({"period": pl.Date, "at_floor": pl.Boolean})
    both = pl.col(column).map_batches(periods, return_dtype=layout).struct.unnest()
    added: Frame = frame.with_columns(both)
    return added


def growth(cards: Any, *, every: str = "1mo", by: str | None = None) -> pl.DataFrame:
    """Count new and all cards by period.

    Parameters
    ----------
    cards : frame
        With ``created_at``: dates or instants, without a time zone in UTC.
    every : str
        Length of a period: a number and ``d``, ``w``, ``mo``, ``q`` or ``y``.
    by : str, optional
        A column to group by. With a list column a card counts in each of its groups; without a
        value it is in the group null.

    Returns
    -------
    pl.DataFrame
        With `by` first ``group`` (null: not declared), then ``period`` (start, UTC), ``n_new``,
        ``n_total`` (cumulative), ``at_floor`` (cards of ``n_new`` at a floor, see
        :func:`with_period`: not their true date), and the same on all rows ``n_implausible``,
        ``n_undated`` (cards left out: their date cannot be, or they have none) and ``floors``
        (list of the instants of the cards at a floor). Every period from the first to the last is
        there.

    Raises
    ------
    MissingColumn, NoFigure
        There is no ``created_at``, or none of its values is the date of a card.
    CardlabError
        `every` is not a period, or ``created_at`` holds no dates.

    Examples
    --------
    >>> cl.growth(cl.make_cards(200), every="1y")["n_new", "n_total", "at_floor"].rows()
    [(24, 24, 8), (46, 70, 0), (130, 200, 0)]
    """
    check_every(every)
    rows, dated = read_dates(cards, by)
    if not dated.possible.count():
        raise dated.none_is_true()
    period = dated.possible.dt.truncate(every).alias("period")
    rows = rows.with_columns(period, dated.at_floor.alias("at_floor")).drop_nulls("period")
    names = ["group"] if by else []
    if by:
        rows = collect(one_row_per_item(lazy(rows), _VALUE))
        rows = rows.with_columns(pl.col(_VALUE).cast(pl.String).alias("group"))
    counted = rows.group_by(*names, "period").agg(
        pl.len().cast(pl.Int64).alias("n_new"), pl.col("at_floor").sum().cast(pl.Int64)
    )
    ends = pl.col("period")
    periods = counted.select(pl.datetime_range(ends.min(), ends.max(), every, time_unit="us"))
    grid = counted.select("group").unique().join(periods, how="cross") if by else periods
    grown = grid.join(counted, on=[*names, "period"], how="left", nulls_equal=True)
    grown = grown.with_columns(pl.col("n_new", "at_floor").fill_null(0))
    grown = grown.sort(*names, "period", nulls_last=True)
    total = pl.col("n_new").cum_sum()
    return grown.select(
        *names,
        "period",
        "n_new",
        (total.over("group") if by else total).alias("n_total"),
        "at_floor",
        *dated.columns("n_implausible", "n_undated"),
    )


def share_trends(
    cards: Any,
    *,
    column: str,
    every: str = "1y",
    top: int = 8,
    cluster: str | None = "author",
    population: Population = "sample",
) -> pl.DataFrame:
    """Give the share of new cards with each value of a column, period by period.

    Parameters
    ----------
    cards : frame
        With ``created_at`` and `column`; only these and `cluster` are read.
    column : str
        Strings or lists of strings: ``license_class`` (:func:`with_licenses`),
        ``language_codes`` (:func:`with_languages`), ``pipeline_tag``. In a list column a card is
        in each of its values, so that shares may add to more than 1.
    every : str
        Length of a period: a number and ``d``, ``w``, ``mo``, ``q`` or ``y``.
    top : int
        The values on most of the cards that are counted here; the others are put together.
    cluster, population : str, optional
        Whose cards are alike, and whether the cards are a sample: as in :func:`license_counts`.

    Returns
    -------
    pl.DataFrame
        A row for each value and period, from the first period to the last: ``value`` (str, null
        for the last two of :data:`PARTS`), ``part`` (``value``; ``other values``: cards with any
        value beyond the `top`; ``not declared``: cards without a value), ``period`` (date, its
        first day), ``n_cards`` (new cards), ``n_period`` (all new cards of the period),
        ``card_share`` (0-1, of ``n_period``; null in a period without cards), ``share_low``,
        ``share_high`` (its 95 % interval), where authors are known ``design_effect`` to
        ``is_reliable`` as in :func:`license_counts`, and the same on all rows: ``n_values`` (values
        on any card), ``n_at_floor``, ``n_undated``, ``n_implausible`` (cards left out, see below)
        and ``floors`` (list of the instants of the cards at a floor). Most cards first, then by
        name, the other parts last; each by period.

    Raises
    ------
    MissingColumn, NoFigure
        The cards have no ``created_at`` or no such column, or no card has a true date.
    CardlabError
        `every` is not a period, or an argument is out of range.

    Notes
    -----
    Left out are cards without a date, with one that cannot be, and those at a floor (see
    :func:`with_period`). The last period may not be over; shares stand that, numbers do not.

    Examples
    --------
    >>> cards = cl.with_licenses(cl.make_cards(200))
    >>> shares = cl.share_trends(cards, column="license_class").filter(value="permissive")
    >>> shares["value", "n_cards", "n_period", "card_share"].row(-1)
    ('permissive', 66, 130, 0.507...)
    """
    at_least(top, 1, name="top")
    check_every(every)
    author = author_column(cards, cluster, population, column)
    rows, dated = read_dates(cards, column, author)
    starts = dated.true.dt.truncate(every).dt.date().alias(_PERIOD)
    if not starts.count():
        raise dated.none_is_true()
    true = rows.with_columns(starts).drop_nulls(_PERIOD)
    values = count_values(true.lazy(), _VALUE)["value"]
    shares = _shares(true, values, top, every, census=population == "census")
    return shares.with_columns(
        pl.lit(len(values), pl.Int64).alias("n_values"),
        *dated.columns("n_at_floor", "n_undated", "n_implausible"),
    )


def _shares(
    dated: pl.DataFrame, values: pl.Series, top: int, every: str, *, census: bool
) -> pl.DataFrame:
    """Count the largest values, the others together and the cards without any, by period."""
    # a mark before each name, so that no name is taken for "all others"
    shown = {name: f"={name}" for name in values.head(top)}
    kinds = [(mark, name, PARTS[0]) for name, mark in shown.items()]
    kinds += [("others", None, PARTS[1])] if len(values) > top else []
    kinds += [("none", None, PARTS[2])]
    names = dict.fromkeys(("kind", "value", "part"), pl.String)
    kind = pl.DataFrame(kinds, schema=names, orient="row")
    lists = map_items(dated[_VALUE], lambda name: shown.get(name, "others")).alias("kind")
    has = pl.when(pl.col("kind").list.len() > 0).then("kind").otherwise(pl.lit(["none"]))
    have = dated.drop(_VALUE).with_columns(lists).with_columns(has).explode("kind")
    starts = pl.col(_PERIOD)
    spanned = dated.select(pl.date_range(starts.min(), starts.max(), every))
    sizes = dated.group_by(_PERIOD).agg(pl.len().cast(pl.Int64).alias("n_period"))
    cells = have.group_by(_PERIOD, "kind").agg(pl.len().cast(pl.Int64).alias("n_cards"))
    table = (
        kind.with_row_index("place")
        .join(spanned.join(sizes, on=_PERIOD, how="left"), how="cross")
        .join(cells, on=[_PERIOD, "kind"], how="left")
        .sort("place", _PERIOD)
        .with_columns(pl.col("n_cards", "n_period").fill_null(0))
    )
    design = None
    if _AUTHOR in dated.columns:
        design = designs_of(table, have, dated, by=[_PERIOD], value=["kind"], author=_AUTHOR)
    table = table.select("value", "part", starts.alias("period"), "n_cards", "n_period")
    return with_interval(table, "n_cards", "n_period", design, name="card_share", census=census)
