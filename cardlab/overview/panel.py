"""Many dated snapshots of one corpus: who comes and goes, what moves, and what cards change."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from ..cards.sources import data_files, matches
from ..frames import as_polars, lists_in
from ..schema import (
    STRINGS,
    CardlabError,
    MissingColumn,
    NoFigure,
    as_frame,
    at_least,
    collect,
    printable,
    require,
    shorten,
)
from .concentration import check_single, concentration

#: Columns whose values are counted, and those whose changes are, where the cards have them.
COUNTED = ("license", "pipeline_tag", "library_name")
CHANGING = ("license", "base_model")
TOTAL = "downloads_all_time"
_DATE = re.compile(r"(?<!\d)(20\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?([0-2]\d|3[01])(?!\d)")
_RANK, _TOTAL, _AUTHOR, _BEFORE = "__rank", "__total", "__author", "__before"
_KEY, _ROW, _HASH = "__key", "__row", "__hash "

_SNAPSHOT: dict[str, Any] = {
    "date": pl.Date,
    "n_days": pl.Int64,
    "n_missed": pl.Int64,
    "n_cards": pl.Int64,
    "n_left_out": pl.Int64,
    "n_entries": pl.Int64,
    "n_returns": pl.Int64,
    "n_exits": pl.Int64,
    "n_top": pl.Int64,
    "top_turnover": pl.Float64,
    "rank_correlation": pl.Float64,
    "n_ranked": pl.Int64,
    "downloads_between": pl.Int64,
    "n_counted": pl.Int64,
    "n_fallen": pl.Int64,
    "gini": pl.Float64,
    "top_10_share": pl.Float64,
    "top_100_share": pl.Float64,
}

_CHANGE: dict[str, Any] = {"date": pl.Date, "column": pl.String, "before": STRINGS}
_CHANGE |= {"after": STRINGS, "n_cards": pl.Int64, "n_both": pl.Int64}


class Panel(NamedTuple):
    """What :func:`panel` gives: a frame by snapshot, one by value, one by kind of change."""

    snapshots: pl.DataFrame
    shares: pl.DataFrame
    changes: pl.DataFrame


def panel(
    sources: Any,
    *,
    by: str = "downloads",
    total: str = TOTAL,
    columns: Sequence[str] = COUNTED,
    changes: Sequence[str] = CHANGING,
    top: int = 100,
) -> Panel:
    """Follow one corpus over dated snapshots, such as a listing for each week.

    Parameters
    ----------
    sources : mapping, sequence or path
        Dates (or ISO texts) -> sources of :func:`cardlab.scan_cards`; or pairs of these; or paths,
        a glob or a folder of files whose names have a date each (``models-2025-01-06.parquet``).
        Snapshots are read one after another: two are in memory at once.
    by : str
        Numbers by which cards are ranked, and whose concentration over authors is given.
    total : str
        A count that only grows, such as all downloads ever.
    columns, changes : sequence of str
        Columns (strings or lists of strings) whose values are counted, and those whose changes
        are; what no snapshot has is passed over.
    top : int
        Cards of the ranks whose turnover is given, and values of a column that are counted.

    Returns
    -------
    Panel
        Three frames, which unpack as ``snapshots, shares, changes``.

        ``snapshots``: ``date``; ``n_days`` since the one before; ``n_missed`` (snapshots that are
        missing between, by the median of ``n_days``: a gap, over which all that follows adds up);
        ``n_cards``; ``n_left_out`` (rows without an id, or with one that the snapshot had);
        ``n_entries``, ``n_exits`` (ids that the one before had not, or alone had), ``n_returns``
        (entries that an earlier one had); ``n_top`` (cards of the top ranks, ties by id),
        ``top_turnover`` (0-1, of these: not among them before); ``rank_correlation`` (Spearman's
        of ``n_ranked`` cards, those with `by` in both); ``downloads_between`` (growth of `total`
        over ``n_counted`` cards, those with it in both where it did not fall), ``n_fallen`` (where
        it did); ``gini``, ``top_10_share``, ``top_100_share`` of `by` over authors, as in
        :func:`concentration`. Null where there is no snapshot before, or no such column.

        ``shares``: ``column``, ``value``, ``date``, ``n_cards``, ``n_declared`` (cards with any
        value), ``n_total``, ``card_share`` (0-1, of ``n_total``): a row for each date, for
        the `top` values of each column on most cards of all snapshots.

        ``changes``: ``date``, ``column``, ``before``, ``after`` (lists, sorted; null: not
        declared), ``n_cards``, ``n_both`` (cards of both snapshots); of a date most first.

    Raises
    ------
    CardlabError
        There is no snapshot, one has no date or the date of another, `by` or `total` holds no
        numbers, or a column no strings.
    SourceError
        A snapshot cannot be read; the message names its date.
    MissingColumn
        A column that was asked for by name is in no snapshot.

    Notes
    -----
    All are counts of what the listings hold, so that nothing here has an interval. A card that
    is renamed leaves and enters. What a listing leaves out (a cut at some rank) is an exit too.

    Examples
    --------
    >>> cards = cl.make_cards(200)
    >>> found = cl.panel({"2025-01-06": cards.head(150), "2025-01-13": cards.tail(150)})
    >>> found.snapshots["n_cards", "n_entries", "n_exits"].row(1)
    (150, 50, 50)
    """
    at_least(top, 1, name="top")
    dated = _dated(sources)
    names = list(dict.fromkeys([*columns, *changes]))
    found: set[str] = set()
    seen = pl.DataFrame(schema={_KEY: pl.UInt64})
    before = pl.DataFrame()
    rows: list[dict[str, Any]] = []
    counts, changed = [], []
    for date, source in dated:
        row: dict[str, Any] = {"date": date}
        try:
            now, have = _read(source, by, total, names, row)
        except CardlabError as error:
            raise type(error)(f"the snapshot of {date}: {error}") from None
        found |= have
        counts += [_counted(now, name, date) for name in columns if name in have]
        new = now.select(_KEY).join(seen, on=_KEY, how="anti")
        if rows:
            # of lists the hashes alone, since few of them changed
            plain = [f.select(pl.exclude(*names, "id")).with_row_index(_ROW) for f in (now, before)]
            stayed = plain[0].join(plain[1], on=_KEY, how="inner", suffix=_BEFORE)
            n_entries = now.height - stayed.height
            row |= {"n_entries": n_entries, "n_returns": n_entries - new.height}
            row |= {"n_exits": before.height - stayed.height} | _moves(before, now, stayed, top)
            both = (name for name in changes if name in now.columns and name in before.columns)
            changed += [_changed(before, now, stayed, name, date) for name in both]
        rows.append(row)
        seen, before = pl.concat([seen, new]), now
    missing = {*names, by, total} - found - {*COUNTED, *CHANGING, "downloads", TOTAL}
    if missing:
        raise MissingColumn(
            f"no snapshot has a column {', '.join(map(repr, sorted(missing)))}. The last has: "
            f"{shorten(', '.join(map(printable, sorted(have))), 400)}.",
            *sorted(missing),
        )
    return Panel(
        _with_gaps(rows), _shares(counts, top), pl.concat([pl.DataFrame(schema=_CHANGE), *changed])
    )


def _dated(sources: Any) -> list[tuple[dt.date, Any]]:
    """Give dates and sources in order of time."""
    if isinstance(sources, (str, os.PathLike)):
        path = Path(sources).expanduser()
        sources = data_files(path) if path.is_dir() else matches(path)
    pairs = sources.items() if isinstance(sources, Mapping) else sources
    found: dict[dt.date, Any] = {}
    for item in pairs:
        if isinstance(item, (str, os.PathLike)):
            item = os.path.basename(os.fspath(item)), item
        given, source = item
        date = _date(given)
        if date is None or date in found:
            reason = "the date of another snapshot" if date else "no date, such as 2025-01-06"
            raise CardlabError(
                f"{printable(str(given))!r} has {reason}. Give dates with their sources: "
                "{'2025-01-06': source, ...}."
            )
        found[date] = source
    if not found:
        raise CardlabError("there is no snapshot: give dates with sources, or files with dates.")
    return sorted(found.items(), key=lambda item: item[0])


def _date(given: Any) -> dt.date | None:
    """Read a date, or the last one in a name."""
    if isinstance(given, dt.datetime):
        return given.date()
    for parts in reversed(_DATE.findall(given) if isinstance(given, str) else []):
        with suppress(ValueError):
            return dt.date(*map(int, parts))
    return given if isinstance(given, dt.date) else None


def _read(
    source: Any, by: str, total: str, names: list[str], row: dict[str, Any]
) -> tuple[pl.DataFrame, set[str]]:
    """Read one snapshot, each id once; what it has; and what is said of it alone into `row`."""
    cards = as_frame(source)
    have = {*require(cards, "id")}
    frame = as_polars(cards, *sorted({"id", "author", by, total, *names} & have)).lazy()
    for name in {by, total} & have:
        check_single(frame.collect_schema(), name, None)
    read = [pl.col("id").cast(pl.String)]
    for own, name, dtype in ((_RANK, by, pl.Float64), (_TOTAL, total, pl.Int64)):
        value = pl.col(name) if name in have else pl.lit(None)
        read.append(value.cast(dtype, strict=False).alias(own))
    read += [pl.col("author").alias(_AUTHOR)] if "author" in have else []
    read += [lists_in(frame, name) for name in names if name in have]
    rows = collect(frame.select(read))
    key = pl.col("id").hash(seed=0).alias(_KEY)
    lists = (pl.col(name).hash(seed=0).alias(_HASH + name) for name in names if name in have)
    now = rows.drop_nulls("id").with_columns(key, *lists).filter(pl.col(_KEY).is_first_distinct())
    row |= {"n_cards": now.height, "n_left_out": rows.height - now.height}
    with suppress(NoFigure):
        held = concentration(now, column=_RANK, by=_AUTHOR if "author" in have else None)
        row |= held.select("gini", "top_10_share", "top_100_share").row(0, named=True)
    return now.drop(_AUTHOR, strict=False), have


def _moves(
    before: pl.DataFrame, now: pl.DataFrame, stayed: pl.DataFrame, top: int
) -> dict[str, Any]:
    """Say what moved between two snapshots: the top ranks, all ranks, and what was added."""
    tops = [
        frame.drop_nulls(_RANK).top_k(top, by=[_RANK, "id"], reverse=[False, True]).select("id")
        for frame in (before, now)
    ]
    entered = tops[1].join(tops[0], on="id", how="anti").height
    ranked = stayed.drop_nulls([_RANK, _RANK + _BEFORE])
    alike = ranked.select(pl.corr(_RANK, _RANK + _BEFORE, method="spearman").fill_nan(None))
    grown = (stayed[_TOTAL] - stayed[_TOTAL + _BEFORE]).drop_nulls()
    kept = grown.filter(grown >= 0)
    return {
        "n_top": tops[1].height,
        "top_turnover": entered / tops[1].height if tops[0].height and tops[1].height else None,
        "rank_correlation": alike.item(),
        "n_ranked": ranked.height,
        "downloads_between": kept.sum() if grown.len() else None,
        "n_counted": kept.len(),
        "n_fallen": grown.len() - kept.len(),
    }


def _counted(now: pl.DataFrame, name: str, date: dt.date) -> pl.DataFrame:
    """Count the cards of each value of a column."""
    lists = now[name].list.unique()
    values = lists.explode(empty_as_null=False, keep_nulls=False).drop_nulls().alias("value")
    return values.value_counts(name="n_cards").select(
        pl.lit(name).alias("column"),
        "value",
        pl.lit(date).alias("date"),
        pl.col("n_cards").cast(pl.Int64),
        pl.lit((now[name].list.len() > 0).sum(), pl.Int64).alias("n_declared"),
        pl.lit(now.height, pl.Int64).alias("n_total"),
    )


def _shares(counts: list[pl.DataFrame], top: int) -> pl.DataFrame:
    """Give the largest values of each column at every date that has the column."""
    layout = {"column": pl.String, "value": pl.String, "date": pl.Date}
    layout |= dict.fromkeys(("n_cards", "n_declared", "n_total"), pl.Int64)
    counted = pl.concat([pl.DataFrame(schema=layout), *counts])
    largest = (
        counted.group_by("column", "value")
        .agg(pl.col("n_cards").sum().alias("n"))
        .sort(["n", "value"], descending=[True, False])
        .filter(pl.int_range(pl.len()).over("column") < top)
    )
    dates = counted.select("column", "date", "n_declared", "n_total").unique()
    return (
        largest.join(dates, on="column")
        .join(counted.drop("n_declared", "n_total"), on=["column", "value", "date"], how="left")
        .sort(["column", "n", "value", "date"], descending=[False, True, False, False])
        .with_columns(pl.col("n_cards").fill_null(0))
        .select(*layout, (pl.col("n_cards") / pl.col("n_total")).alias("card_share"))
    )


def _changed(
    before: pl.DataFrame, now: pl.DataFrame, stayed: pl.DataFrame, name: str, date: dt.date
) -> pl.DataFrame:
    """Count what cards that stayed changed a column from and to."""
    differ = stayed.filter(pl.col(_HASH + name) != pl.col(_HASH + name + _BEFORE))
    sides = {"before": (before, _ROW + _BEFORE), "after": (now, _ROW)}
    lists = pl.DataFrame({k: f[name].gather(differ[row]) for k, (f, row) in sides.items()})
    lists = lists.select(pl.all().list.drop_nulls().list.unique().list.sort())
    return (
        lists.filter(pl.col("before").ne_missing(pl.col("after")))
        .group_by("before", "after")
        .agg(pl.len().cast(pl.Int64).alias("n_cards"))
        .sort(["n_cards", "before", "after"], descending=[True, False, False], nulls_last=True)
        .select(
            pl.lit(date).alias("date"),
            pl.lit(name).alias("column"),
            *("before", "after", "n_cards"),
            pl.lit(stayed.height, pl.Int64).alias("n_both"),
        )
    )


def _with_gaps(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Say how far apart snapshots are, and how many are missing between."""
    n_days = pl.col("date").diff().dt.total_days()
    missed = (n_days / n_days.median()).round().cast(pl.Int64) - 1
    return pl.DataFrame(rows, schema=_SNAPSHOT).with_columns(
        n_days.alias("n_days"), missed.clip(0).alias("n_missed")
    )
