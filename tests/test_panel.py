"""Snapshots of one corpus: every figure is what DuckDB gives by SQL of its own."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest

import cardlab as cl

LICENSES = ["mit", "apache-2.0", "openrail", "llama3", "other"]


def write_weeks(folder: Path, n_weeks: int, n_cards: int, seed: int = 0) -> list[Path]:
    """Weekly listings of cards that come, go, are left out once, and change; two weeks missing."""
    rng = np.random.default_rng(seed)
    n = n_cards * 3 // 2
    cards = pl.DataFrame({"n": range(n)}).select(
        pl.format("org{}/model{}", pl.col("n") % (n // 20 + 1), "n").alias("id"),
        pl.format("org{}", pl.col("n") % (n // 20 + 1)).alias("author"),
    )
    start = np.maximum(rng.integers(-n_weeks, n_weeks, n), 0)
    end = start + rng.geometric(2 / n_weeks, n) * 2
    monthly = np.floor(rng.lognormal(4, 2, n))
    total = monthly * rng.integers(1, 20, n)
    license, task = rng.integers(0, 6, n), rng.integers(0, 9, n)
    base = rng.integers(0, n, n)
    paths = []
    for week in range(n_weeks):
        total = np.where(rng.random(n) < 0.01, total * 0.9, total + monthly / 4).round()
        monthly = np.floor(monthly * rng.lognormal(0, 0.1, n))
        license = np.where(rng.random(n) < 0.01, rng.integers(0, 6, n), license)
        base = np.where(rng.random(n) < 0.01, rng.integers(0, n, n), base)
        if week in (3, 4):
            continue
        listing = cards.with_columns(
            pl.Series("downloads", monthly).cast(pl.Int64),
            pl.Series("downloads_all_time", total).cast(pl.Int64),
            pl.Series("license", [*LICENSES, None])
            .gather(license)
            .reshape((-1, 1))
            .arr.to_list()
            .list.drop_nulls(),
            pl.Series("pipeline_tag", [*"abcdefgh", None]).gather(task),
            pl.concat_list(cards["id"].gather(base).alias("base_model")),
        ).with_columns(
            pl.when(pl.col("license").list.len() > 0).then("license"),
            pl.when(pl.Series(base % 3 == 0)).then("base_model"),
        )
        listed = (start <= week) & (week < end) & (rng.random(n) > 0.01)
        date = dt.date(2024, 1, 1) + dt.timedelta(weeks=week)
        paths.append(folder / f"models-{date}.parquet")
        listing.filter(pl.Series(listed)).write_parquet(paths[-1])
    return paths


SQL = {
    "snapshots": """
        with pairs as (select distinct week from s where week > 0),
        entry as (select b.week, b.id from s b anti join s a on a.week = b.week - 1 and a.id = b.id
            where b.week > 0),
        leave as (select a.week + 1 as week from s a anti join s b on b.week = a.week + 1
            and a.id = b.id where a.week < (select max(week) from s)),
        top as (select week, id from s qualify
            row_number() over (partition by week order by downloads desc, id) <= 25),
        new_top as (select week, count(*) as n from (select b.week, b.id from top b anti join top a
            on a.week = b.week - 1 and a.id = b.id where b.week > 0) group by week),
        stay as (select b.week, b.downloads x, a.downloads y,
            b.downloads_all_time - a.downloads_all_time g
            from s b join s a on a.week = b.week - 1 and a.id = b.id),
        ranked as (select week, g,
            rank() over (partition by week order by x)
                + (count(*) over (partition by week, x) - 1) / 2 rx,
            rank() over (partition by week order by y)
                + (count(*) over (partition by week, y) - 1) / 2 ry
            from stay),
        grown as (select week, corr(rx, ry) rho, sum(g) filter (g >= 0) added,
            count(*) filter (g >= 0) counted, count(*) filter (g < 0) fallen
            from ranked group by week),
        held as (select week, author, sum(downloads) h from s group by week, author),
        placed as (select *, row_number() over (partition by week order by h) i,
            row_number() over (partition by week order by h desc) d,
            count(*) over (partition by week) n
            from held),
        gini as (select week,
            2 * sum(i * h) / (any_value(n) * sum(h)) - (any_value(n) + 1) / any_value(n) g,
            sum(h) filter (d <= 10) / sum(h) t from placed group by week)
        select p.week, (select count(*) from s where week = p.week) n_cards,
            (select count(*) from entry where week = p.week) n_entries,
            (select count(*) from entry e where week = p.week and exists
                (select 1 from s where s.id = e.id and s.week < e.week)) n_returns,
            (select count(*) from leave where week = p.week) n_exits,
            coalesce(t.n, 0) / 25 top_turnover, rho rank_correlation, added downloads_between,
            counted n_counted, fallen n_fallen, g gini, gini.t top_10_share
        from pairs p left join new_top t using (week) join grown using (week) join gini using (week)
        order by week""",
    "shares": """
        select value, week, count(*) n_cards, count(*) / any_value(n) card_share from
            (select week, unnest(license) as value, n from s join
                (select week, count(*) n from s group by week) using (week))
        group by all order by value, week""",
    "changes": """
        select b.week, a.base_model[1] as before, b.base_model[1] as after, count(*) n_cards
        from s b join s a on a.week = b.week - 1 and a.id = b.id
        where a.base_model is distinct from b.base_model group by all
        order by b.week, n_cards desc, before nulls last, after nulls last""",
}


def by_duckdb(paths: list[Path]) -> dict[str, pl.DataFrame]:
    files = " union all ".join(
        f"select {week} as week, * from '{path}'" for week, path in enumerate(paths)
    )
    with duckdb.connect() as connection:
        connection.execute(f"create table s as {files}")
        return {
            name: pl.DataFrame(connection.sql(query).to_arrow_table())
            for name, query in SQL.items()
        }


def same_as_duckdb(paths: list[Path], found: cl.overview.panel.Panel) -> None:
    snapshots, shares, changes = found
    week = {date: number for number, date in enumerate(snapshots["date"])}
    said = by_duckdb(paths)
    for name in said["snapshots"].columns[1:]:
        theirs = said["snapshots"][name].cast(pl.Float64)
        ours = snapshots[name][1:].cast(pl.Float64)
        assert ((ours - theirs).abs() <= 1e-9 * theirs.abs().clip(1)).all(), name
    of = shares.filter(pl.col("column") == "license").filter(pl.col("n_cards") > 0)
    weeks = pl.col("date").replace_strict(week, return_dtype=pl.Int64).alias("week")
    ours = of.select("value", weeks, "n_cards", "card_share").sort("value", "week")
    assert ours.rows() == said["shares"].rows()
    one = (pl.col(name).list.first() for name in ("before", "after"))
    ours = changes.filter(pl.col("column") == "base_model").select(weeks, *one, "n_cards")
    assert ours.rows() == said["changes"].rows()


def test_every_figure_is_that_of_duckdb(tmp_path):
    paths = write_weeks(tmp_path, 9, 400)
    found = cl.panel(tmp_path, top=25)
    same_as_duckdb(paths, found)
    assert found.snapshots["n_missed"].to_list() == [None, 0, 0, 2, 0, 0, 0]
    assert found.snapshots["n_returns"].sum() > 10
    assert cl.panel(paths[::-1], top=25).snapshots.equals(found.snapshots)


def listing(**columns: list) -> pl.DataFrame:
    return pl.DataFrame({"id": ["a/x", "a/y", "b/z"], **columns})


def test_what_a_listing_lacks_is_null_and_its_rows_are_left_out():
    """No column is needed but ids; a snapshot that cannot be read is named by its date."""
    first = listing(license=[["mit"], [], None])
    last = listing(license=[["mit", "other"], None, None], likes=[3, 1, 2])
    last = pl.concat([last, last.head(1)])
    found = cl.panel({"2024-01-01": first, dt.date(2024, 2, 1): last}, by="likes")
    row = found.snapshots.row(1, named=True)
    assert (row["n_cards"], row["n_left_out"], row["n_days"], row["n_missed"]) == (3, 1, 31, 0)
    assert row["n_top"] == 3 and row["top_turnover"] is None and row["rank_correlation"] is None
    assert row["downloads_between"] is None and row["gini"] is not None
    assert found.changes.select("before", "after", "n_cards", "n_both").rows() == [
        ([], None, 1, 3),
        (["mit"], ["mit", "other"], 1, 3),
    ]
    mit, other = found.shares.partition_by("value")
    assert mit["card_share"].to_list() == [1 / 3, 1 / 3] and other["n_cards"].to_list() == [0, 1]
    with pytest.raises(cl.SourceError, match="the snapshot of 2024-01-02: .*no such file"):
        cl.panel({"2024-01-01": first, "2024-01-02": "nowhere.parquet"})


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ({}, "there is no snapshot"),
        (["a-2024-13-01.parquet"], "has no date, such as 2025-01-06"),
        ([("2024-01-01", 1), ("20240101", 2)], "has the date of another snapshot"),
    ],
)
def test_snapshots_without_dates_of_their_own_are_refused(sources, said):
    with pytest.raises(cl.CardlabError, match=said):
        cl.panel(sources)


def test_columns_that_no_snapshot_has_are_refused():
    with pytest.raises(cl.MissingColumn, match="no snapshot has a column 'lisense'"):
        cl.panel({"2024-01-01": listing()}, columns=["lisense"])
    with pytest.raises(cl.CardlabError, match="2024-01-01: column 'id' must hold numbers"):
        cl.panel({"2024-01-01": listing()}, by="id")


MEASURED = """
import json, resource, sys, time
import cardlab
start = time.monotonic()
found = cardlab.panel(sys.argv[1], top=25)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps([time.monotonic() - start, peak, len(found.snapshots)]))
"""


@pytest.mark.verify
@pytest.mark.alone
def test_a_hundred_weeks_of_200_000_cards(tmp_path):
    paths = write_weeks(tmp_path, 102, 280_000)
    assert pl.scan_parquet(paths).select(pl.len()).collect().item() > 100 * 200_000
    done = subprocess.run([sys.executable, "-c", MEASURED, str(tmp_path)], capture_output=True)
    seconds, gib, n = json.loads(done.stdout)
    print(f"{n} weeks: {seconds:.1f} s, {gib:.2f} GiB")
    assert n == 100 and seconds < 60 and gib < 4
    same_as_duckdb(paths, cl.panel(paths, top=25))
