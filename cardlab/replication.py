"""The figures of a published study, by its methods, on any corpus.

W. Liang and others, "What's documented in AI? Systematic analysis of 32K AI model cards"
(arXiv 2402.05160), studied a listing of the Hub of 2022: how fast it grew, which models come with
a card, and whose downloads those are.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import math
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl

from .frames import as_polars
from .overview.concentration import check_single, concentration
from .overview.time import read_dates
from .schema import CardlabError, Frame, NoFigure, collect, count, lazy, require
from .shares.authors import AUTHOR_COLUMNS, Population, author_column, designs_of, with_interval
from .shares.counting import check_by

#: The study's cut-offs: every week from the first of these, and in its fit from the second.
CUT_OFFS = (dt.datetime(2018, 11, 1, tzinfo=dt.UTC), dt.datetime(2020, 4, 30, tzinfo=dt.UTC))

#: What the study found on its 74,970 models: figure, value, unit. Its Gini is that of models; that
#: of their authors is given beside it, since it is another figure of nearly the same size.
PUBLISHED: tuple[tuple[str, float | None, str], ...] = (
    ("models", 74_970.0, "models"),
    ("models with a card", 32_111.0, "models"),
    ("share of models with a card", 32_111 / 74_970, "share"),
    ("growth of the log count a week", 0.031067, "per week"),
    ("growth a week", 0.0316, "share"),
    ("doubling time", 22.31, "weeks"),
    ("weekly cut-offs in the fit", 128.0, "weeks"),
    ("Gini of downloads, per model", 0.997, "Gini"),
    ("Gini of downloads, per author", None, "Gini"),
)

_GROUP, _AUTHOR = "__group", "__author"
_RESULTS = (
    *("n_models", "model_share", "n_with_card", "card_rate", "rate_low", "rate_high"),
    *("n_no_downloads", "downloads", "download_share", "card_download_share"),
)


def card_rates(
    cards: Any,
    *,
    by: str | None = None,
    cluster: str | None = "author",
    population: Population = "sample",
) -> pl.DataFrame:
    """Say how many models come with a card, and whose downloads those are.

    Parameters
    ----------
    cards : frame
        A row a model, with ``has_modelcard`` (bool) or, without that, ``text`` (a model has a
        card where it is not blank), and `by`. Polars, or any that narwhals knows.
    by : str, optional
        A column of single values to group by, such as ``pipeline_tag`` or ``task_domain``; null
        is a group of its own.
    cluster, population : str, optional
        Whose models are alike, and whether they are a sample: as in :func:`license_counts`.

    Returns
    -------
    pl.DataFrame
        ``[by,] n_models``, ``model_share`` (0-1, of all models), ``n_with_card``, ``card_rate``
        (0-1, of the group's models; a null in ``has_modelcard`` is none), ``rate_low``,
        ``rate_high`` (its 95 % interval). Where the corpus has ``downloads`` also
        ``n_no_downloads`` (models of the group whose downloads are not known; they are in none of
        the next three), ``downloads`` (their sum), ``download_share`` (0-1, of the downloads of
        all models) and ``card_download_share`` (0-1, the part of the group's downloads that goes
        to models with a card; null where the group has none). Where authors are known last
        ``design_effect`` to ``is_reliable``, of ``card_rate``, as in :func:`license_counts`. Most
        models first, then by group.

    Raises
    ------
    MissingColumn
        There is neither ``has_modelcard`` nor ``text``, or no column `by`.
    CardlabError
        ``has_modelcard`` is not a column of booleans, ``downloads`` not one of numbers, or `by`
        is a list column or the name of a result column.
    NoFigure
        There are no models.
    """
    check_by(by, _RESULTS)
    author = author_column(cards, cluster, population, by)
    rows, has_downloads = _presence(cards, by, author)
    if not rows.height:
        raise NoFigure("there are no models.")
    loads = pl.col("downloads")
    counts = (
        rows.group_by(_GROUP)
        .agg(
            pl.len().cast(pl.Int64).alias("n_models"),
            pl.col("card").sum().cast(pl.Int64).alias("n_with_card"),
            loads.null_count().cast(pl.Int64).alias("n_no_downloads"),
            loads.sum(),
            loads.filter("card").sum().alias("with_card"),
        )
        .sort("n_models", _GROUP, descending=[True, False], nulls_last=True)
    )
    design, census = None, population == "census"
    if author is not None:
        design = designs_of(counts, rows.filter("card"), rows, by=[_GROUP], author=_AUTHOR)
    held = {"name": "card_rate", "ends": "rate"}
    counts = with_interval(counts, "n_with_card", "n_models", design, census=census, **held)
    n_models, total = pl.col("n_models"), loads.sum()
    result = counts.with_columns(
        (n_models / n_models.sum()).alias("model_share"),
        pl.when(total > 0).then(loads / total).alias("download_share"),
        pl.when(loads > 0).then(pl.col("with_card") / loads).alias("card_download_share"),
    )
    group = [] if by is None else [pl.col(_GROUP).alias(by)]
    also = () if design is None else AUTHOR_COLUMNS
    return result.select(*group, *(_RESULTS if has_downloads else _RESULTS[:6]), *also)


def _presence(cards: Any, by: str | None, author: str | None) -> tuple[pl.DataFrame, bool]:
    """Give for each model whether it has a card, its group, downloads and author, if any."""
    have = require(cards, *([] if by is None else [by]))
    if "has_modelcard" not in have and "text" not in have:
        require(cards, "has_modelcard", "text")
    frame = lazy(cards)
    schema = frame.collect_schema()
    check_single(schema, "downloads" if "downloads" in have else None, by)
    if "has_modelcard" in have and schema["has_modelcard"] != nw.Boolean:
        kind = schema["has_modelcard"]
        raise CardlabError(f"column 'has_modelcard' must hold booleans, not {kind}.")
    card = (
        nw.col("has_modelcard") if "has_modelcard" in have else nw.col("text").str.contains(r"\S")
    )
    loads = nw.col("downloads") if "downloads" in have else nw.lit(None, dtype=nw.Int64)
    wide = nw.Float64 if "downloads" in have and schema["downloads"].is_float() else nw.Int64
    read = frame.select(
        card.fill_null(False).alias("card"),
        (nw.lit(0) if by is None else nw.col(by)).alias(_GROUP),
        loads.cast(wide).alias("downloads"),
        *([] if author is None else [nw.col(author).cast(nw.String).alias(_AUTHOR)]),
    )
    return collect(read), "downloads" in have


def with_task_domains(cards: Frame) -> Frame:
    """Add the domain of each model's task.

    Parameters
    ----------
    cards : frame
        With ``pipeline_tag``.

    Returns
    -------
    pl.DataFrame or pl.LazyFrame
        A lazy frame where `cards` is lazy, with ``task_domain`` (str): ``nlp``,
        ``computer_vision``, ``multimodal``, ``audio``, ``tabular``, ``reinforcement_learning`` or
        ``other``, as the Hub groups its tasks (``data/task_domains.json``); ``unknown`` where the
        task is not one of the Hub's, null where it is null. Cards that have the column keep it.

    Raises
    ------
    MissingColumn
        The cards have neither ``task_domain`` nor ``pipeline_tag``.
    """
    added: Frame = as_polars(cards)
    if "task_domain" not in require(cards):
        require(cards, "pipeline_tag")
        task = pl.col("pipeline_tag")
        domain = task.replace_strict(_domains(), default="unknown", return_dtype=pl.String)
        known = pl.when(task.is_not_null()).then(domain)
        added = as_polars(cards).with_columns(known.alias("task_domain"))
    return added


def published_growth(cards: Any) -> pl.DataFrame:
    """Fit the growth of a corpus as the study did: a straight line through its log count.

    Parameters
    ----------
    cards : frame
        With ``created_at``, of which only that column is read.

    Returns
    -------
    pl.DataFrame
        A row for each weekly cut-off that has cards before it: ``cut_off`` (instant, UTC),
        ``n_total`` (cards created strictly before it), ``in_fit`` (bool, from 2020-04-30 to the
        first cut-off after the newest card), ``fitted`` (cards, null outside the fit), and the
        same on all rows: ``rate`` (growth of the log of the count a week), ``doubling_weeks``
        (``ln 2 / rate``), ``n_periods`` (cut-offs in the fit), ``n_cards`` (cards before the last),
        ``n_at_floor``, ``n_null``, ``n_implausible`` (cards left out) and ``floors``.

    Raises
    ------
    MissingColumn, NoFigure
        There is no ``created_at``, no card has a true date, or fewer than half have any; fewer
        than three cut-offs are in the fit, or the line misses one by more than a factor of 2.

    Notes
    -----
    Least squares. There is no interval: neighbouring points share almost all their cards.
    :func:`cardlab.doubling_time` has one, of the new cards.
    """
    rows, dated = read_dates(cards)
    if not dated.true.count():
        raise dated.none_is_true()
    possible = dated.possible.count()
    if 2 * possible < rows.height:
        raise NoFigure(f"only {possible:,} of the {rows.height:,} cards have a creation date.")
    dates, week = dated.true.drop_nulls().sort(), dt.timedelta(weeks=1)
    first, start = CUT_OFFS
    cuts = pl.datetime_range(first, max(dates[-1], start) + week, week, eager=True, time_unit="us")
    counts = dates.search_sorted(cuts, side="left").to_numpy().astype(np.int64)
    inside = (cuts >= start).to_numpy() & (counts > 0)
    if inside.sum() < 3:
        raise NoFigure(f"{inside.sum()} weekly cut-offs since {start:%Y-%m-%d} have cards before.")
    log, place = np.log(counts[inside]), np.arange(inside.sum())
    rate, height = np.polyfit(place, log, 1)
    fitted = np.full(counts.size, np.nan)
    fitted[inside] = np.exp(height + rate * place)
    missed = np.abs(log - height - rate * place)
    if rate <= 0 or missed.max() > math.log(2):
        worst = cuts.filter(inside)[int(missed.argmax())]
        raise NoFigure(
            f"the corpus did not grow exponentially: at {worst:%Y-%m-%d} the line is off by a "
            f"factor of {math.exp(missed.max()):.1f}."
        )
    points = {"cut_off": cuts, "n_total": counts, "in_fit": inside, "fitted": fitted}
    table = pl.DataFrame(points).with_columns(
        pl.col("fitted").fill_nan(None),
        rate=pl.lit(rate),
        doubling_weeks=pl.lit(math.log(2) / rate),
        n_periods=pl.lit(log.size),
        n_cards=pl.lit(int(counts[-1])),
    )
    table = table.with_columns(dated.columns("n_at_floor", "n_undated", "n_implausible"))
    return table.filter(pl.col("n_total") > 0).rename({"n_undated": "n_null"})


def replicate(cards: Any) -> pl.DataFrame:
    """Set the figures of the study beside those of a corpus, by the same methods.

    Parameters
    ----------
    cards : frame
        A row a model, with ``created_at`` and ``has_modelcard`` or ``text``; without one of them
        its figures are null. They equal the published ones on the study's own listing alone.

    Returns
    -------
    pl.DataFrame
        ``figure``, ``published`` (float; on 74,970 models; null where the study does not give it),
        ``here`` (float, null where this corpus cannot have it), ``low``, ``high`` (95 % interval
        of the share, of :func:`card_rates`; else null, as in the study), ``unit`` and ``note``
        (str: why it is null). The figures are in the order of the study.

    Notes
    -----
    The Gini coefficients are those of :func:`cardlab.concentration`, with ``by=None`` and
    ``by="author"``; growth is :func:`published_growth`. The study's own methods know neither
    authors nor a census, so neither can be chosen here: :func:`card_rates` takes both.
    """
    found: list[tuple[Any, ...]] = []  # value, low, high and note of each figure

    def add(n_figures: int, make: Callable[[], list[tuple[Any, ...]]]) -> None:
        try:
            found.extend((*figure, *[None] * (4 - len(figure))) for figure in make())
        except NoFigure as error:
            found.extend([(None, None, None, str(error))] * n_figures)

    def carded() -> list[tuple[Any, ...]]:
        row = card_rates(cards).row(0, named=True)
        return [(row["n_with_card"],), (row["card_rate"], row["rate_low"], row["rate_high"])]

    def grown() -> list[tuple[Any, ...]]:
        row = published_growth(cards).row(0, named=True)
        rate = row["rate"]
        return [(rate,), (math.expm1(rate),), (row["doubling_weeks"],), (row["n_periods"],)]

    add(1, lambda: [(count(cards),)])
    add(2, carded)
    add(4, grown)
    for by in (None, "author"):
        add(1, lambda by=by: [(concentration(cards, by=by)["gini"].item(),)])  # type: ignore[misc]
    own = pl.DataFrame(
        found,
        schema=dict.fromkeys(("here", "low", "high"), pl.Float64) | {"note": pl.String},
        orient="row",
        strict=False,
    )
    published = pl.DataFrame(PUBLISHED, schema=["figure", "published", "unit"], orient="row")
    columns = ("figure", "published", "here", "low", "high", "unit", "note")
    return published.hstack(own).select(columns)


@functools.cache
def _domains() -> dict[str, str]:
    """Read which domain the Hub puts each task in."""
    listed = json.loads(files("cardlab").joinpath("data/task_domains.json").read_text("utf-8"))
    listed.pop("source")
    return {task: domain for domain, tasks in listed.items() for task in tasks}
