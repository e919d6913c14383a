"""Every analysis of cards without texts at growing sizes, for ``benchmarks/README.md``.

Each is timed from opening the file to the result, after a run on the first 1,000 cards in the same
process, beside the mere reading of the columns that it uses, and what one would write in DuckDB or
pandas for the counts alone: without names of licences, intervals or what is known of authors.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from . import cooccurrence
from .apart import CARDS, Later, Options, Task, markdown, measured, write_cards

cl, pl, pd, duckdb = map(Later, ("cardlab", "polars", "pandas", "duckdb"))
alt, base = Later("altair"), Later("cardlab.charts.base")
SIZES, SUFFIX = "250000,500000,1000000,2000000", CARDS
_PLACE = Path(__file__).with_name("README.md")


#: The columns that each analysis reads.
READ = {
    "profile": "*",
    "problems": "*",
    "growth": "created_at",
    "tag_counts": "tags library_name pipeline_tag languages author",
    "cooccurrence": "tags library_name pipeline_tag languages author",
    "license_counts": "license author",
    "license classes": "license author",
    "language_counts": "languages author",
    "crosstab": "license pipeline_tag author",
    "lineage_summary": "id base_model",
    "tag_trends": "tags created_at author",
    "share_trends": "pipeline_tag created_at author",
    "license_conflicts": "id tags metadata license base_model",
    "compare": "id tags license languages pipeline_tag library_name downloads author",
}


def halves(cards: Any, **given: Any) -> Any:
    is_used = pl.col("downloads") > 0
    return cl.compare(cards.filter(is_used), cards.filter(~is_used), **given)


#: Analyses that are more than a call of the function of that name.
MADE_UP: dict[str, Callable[..., Any]] = {
    "license classes": lambda cards: cl.license_counts(cards, classes=True),
    "crosstab": lambda cards, **given: cl.crosstab(
        cl.with_licenses(cards), rows="pipeline_tag", columns="license_class", **given
    ),
    "share_trends": lambda cards: cl.share_trends(cards, column="pipeline_tag"),
    "compare": halves,
}
#: Those that give shares with and without authors.
_OF_AUTHORS = ("tag_counts", "cooccurrence", "license_counts", "language_counts", "crosstab")
_LISTS = {"tag_counts": "tags", "license_counts": "license", "language_counts": "languages"}
_SQL = {
    **{
        name: f"SELECT v, count(*) FROM (SELECT unnest(list_distinct({column})) AS v FROM cards) "
        "GROUP BY v"
        for name, column in _LISTS.items()
    },
    "growth": "SELECT date_trunc('month', created_at)::VARCHAR, count(*) FROM cards GROUP BY 1",
    "share_trends": "SELECT date_trunc('year', created_at)::VARCHAR, pipeline_tag, count(*) "
    "FROM cards GROUP BY ALL",
    "crosstab": "SELECT pipeline_tag, license, count(*) FROM cards GROUP BY ALL",
    "lineage_summary": "SELECT count(*), count(c.id) FROM (SELECT id, unnest(list_distinct("
    "base_model)) AS parent FROM cards) e LEFT JOIN (SELECT DISTINCT id FROM cards) c "
    "ON c.id = e.parent",
}


def write(path: str, size: int, options: Options) -> None:
    write_cards(path, size, options)
    pl.scan_parquet(path).head(1000).sink_parquet(_few(path))


def _few(path: str) -> str:
    return f"{path}.few{CARDS}"


def analyse(cards: Any, analysis: str, **given: Any) -> Any:
    return (MADE_UP.get(analysis) or getattr(cl, analysis))(cards, **given)


def _scanned(path: str, **given: Any) -> Any:
    return analyse(cl.scan_cards(path), **given)


def _read(path: str, *, analysis: str) -> Any:
    return pl.scan_parquet(path).select(READ[analysis].split()).collect(engine="streaming")


def _with_duckdb(path: str, *, analysis: str) -> Any:
    if analysis == "cooccurrence":
        return cooccurrence.with_duckdb((path, 200))
    return duckdb.sql(f"WITH cards AS (FROM '{path}') {_SQL[analysis]}").fetchall()


def _with_pandas(path: str, *, analysis: str) -> Any:
    column = _LISTS.get(analysis, "created_at")
    values = pd.read_parquet(path, columns=[column])[column]
    values = values.explode() if analysis in _LISTS else values.dt.strftime("%Y-%m")
    return values.value_counts()


def _task(name: str) -> Task:
    task = Task(name, warm=_few, judge=lambda run: {"peak MB": run.peak})
    way = partial(task.way, compared=False, analysis=name)
    way("cardlab", "cardlab.cards")(_scanned)
    way("reading", "polars")(_read)
    if name in _OF_AUTHORS:
        way("without authors", "cardlab.cards", cluster=None)(_scanned)
    if name in _SQL or name == "cooccurrence":
        way("DuckDB", "duckdb")(_with_duckdb)
    if name in _LISTS or name == "growth":
        way("pandas", "pandas", "pyarrow.parquet")(_with_pandas)
    return task


TASKS = {name: _task(name) for name in READ}


def report(options: Options) -> str:
    """Measure all, and write the tables and the chart of them beside this file."""
    runs = measured("figures", options)[1]
    found = pl.DataFrame([{"analysis": name, **run} for name, each in runs.items() for run in each])
    found = found.group_by("analysis", "way", "cards").agg(pl.col("s", "peak MB").median())
    own, most = found.filter(way="cardlab").sort("cards"), found["cards"].max()
    largest = found.filter(cards=most)
    x, y = pl.col("cards").log(), pl.col("s").log()
    table = own.pivot("cards", index="analysis", values="s")
    seconds = {size: f"{int(size):,} cards, s" for size in table.columns[1:]}
    more = (
        own.group_by("analysis").agg(growth=pl.cov(x, y) / x.var()),
        largest.filter(way="cardlab").select("analysis", GiB=pl.col("peak MB") / 2**10),
        largest.pivot("way", index="analysis", values="s"),
    )
    for part in more:
        table = table.join(part, on="analysis")
    ways = [way for way in ("reading", "without authors", "DuckDB", "pandas") if way in table]
    ratios = ((pl.col("cardlab") / pl.col(way)).alias(f"x {way}") for way in ways)
    table = table.rename(seconds).with_columns(ratios).drop("cardlab", *ways)
    drawn = largest.sort("s", "analysis", "way", descending=True)
    _chart(drawn, most).save(str(_PLACE.with_name("figures.svg")))
    packages = ("cardlab", "polars", "numpy", "scipy", "duckdb", "pandas")
    text = _PAGE.format(
        date=dt.datetime.now(dt.UTC).date(),
        machine=f"{os.cpu_count()} cores ({platform.machine()}), {platform.system()}, "
        f"Python {platform.python_version()}",
        versions=", ".join(f"{name} {version(name)}" for name in packages if find_spec(name)),
        runs=options.runs,
        load=f"{os.getloadavg()[2]:.1f}",
        total=f"{largest.filter(way='cardlab')['s'].sum():.0f}",
        most=f"{most:,}",
        table=markdown(table.sort("analysis")),
    )
    _PLACE.write_text(text, "utf-8")
    return text


def _chart(rows: Any, most: int) -> Any:
    """Draw the seconds of each way at the largest size."""
    points = base.each(rows, "analysis").mark_point(filled=True, size=60)
    x, color = alt.X("s:Q", title="seconds"), alt.Color("way:N", title=None)
    words = f"Seconds from opening the file to the result, {most:,} cards, log scale"
    chart = points.encode(x=x.scale(type="log"), color=color)
    title = "What each analysis takes"
    return base.finish(chart, title=title, subtitle=words, description=words)


_PAGE = """# What the analyses take

Written by `make bench BENCH=figures` on {date}, on {machine}.
{versions}.
Medians of {runs} run(s), each in a process of its own, the ways in turn; load of the machine {load}
(above 1 for each core, all of it is slower by what runs beside it). Cards of `make_cards` without
texts, from one parquet file; the clock runs from opening it to the result, after the same on its
first 1,000 cards.

All analyses of {most} cards together: {total} s.

`growth` is the slope of log seconds on log cards; GiB the most memory that the process held
(VmHWM). This and all ratios are of the largest size: to reading the same columns with polars, to
the same without authors (`cluster=None`), and to counting alone (without names of licences,
intervals and authors) as one would write it for DuckDB, in SQL, or pandas.

{table}

![Seconds of each analysis, beside reading, DuckDB and pandas](figures.svg)
"""
