"""Two columns of the cards side by side, against what independence would give."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from .frames import narrow
from .schema import NoFigure, at_least, collect, count, require
from .shares.authors import (
    Population,
    author_codes,
    author_column,
    author_columns,
    designs,
    interval,
)


def crosstab(
    cards: Any,
    *,
    rows: str,
    columns: str,
    top: int = 20,
    cluster: str | None = "author",
    population: Population = "sample",
) -> pl.DataFrame:
    """Count cards by the values of two columns, beside what independence would give.

    Parameters
    ----------
    cards : frame
        With both columns: strings or lists of strings. In a list column a card counts in each
        of its values.
    rows, columns : str
        Names of the two columns.
    top : int
        Only the most frequent values of each (ties by name).
    cluster, population : str, optional
        Whose cards are alike, and whether the cards are a sample: as in :func:`license_counts`.

    Returns
    -------
    pl.DataFrame
        ``row``, ``column``, ``n_cards``, ``row_share`` (0-1: of the cards that have this row value
        and any column value), ``row_low``, ``row_high`` (its 95 % interval; null of a census),
        ``expected`` (n_row n_column / n, over the cards that have a value in both), ``residual``
        (adjusted standardised residual, Haberman 1973: about N(0, 1) by chance; null where it is
        not defined), ``n_row``, ``n_column`` (cards with the value), ``n_total`` (cards that have a
        value in both). Where authors are known also ``design_effect`` to ``is_reliable``, of
        ``row_share``, as in :func:`license_counts`, and the residual is divided by the root of the
        design effect (J. N. K. Rao and A. J. Scott 1984). Every cell of the kept values is there,
        also those with 0 cards. Rows and columns by frequency.

    Raises
    ------
    MissingColumn, NoFigure
        A column is missing, or no card has a value in both.

    Examples
    --------
    >>> table = cl.crosstab(cl.make_cards(200), rows="pipeline_tag", columns="library_name")
    >>> table["row", "column", "n_cards", "expected"].row(0)
    ('text-generation', 'transformers', 19, 9.617...)
    """
    at_least(top, 1, name="top")
    require(cards, rows, columns)
    author = author_column(cards, cluster, population, rows, columns)
    frame = _both(cards, rows, columns, author)
    once = frame["card"].is_unique().all()
    total = frame.height if once else frame["card"].n_unique()
    if not total:
        raise NoFigure(
            f"none of the {count(cards):,} cards has a value in {rows!r} and {columns!r}."
        )
    n = pl.len() if once else pl.col("card").n_unique()
    margin = {
        side: frame.group_by(side)
        .agg(n.cast(pl.Int64).alias(f"n_{side}"))
        .sort([f"n_{side}", side], descending=[True, False])
        .head(top)
        .with_row_index(f"at_{side}")
        for side in ("row", "column")
    }
    cells = frame.group_by("row", "column").agg(pl.len().cast(pl.Int64).alias("n_cards"))
    share_row, share_column = pl.col("n_row") / total, pl.col("n_column") / total
    variance = pl.col("expected") * (1 - share_row) * (1 - share_column)
    table = (
        margin["row"]
        .join(margin["column"], how="cross")
        .join(cells, on=["row", "column"], how="left")
        .with_columns(
            pl.col("n_cards").fill_null(0),
            (pl.col("n_row") * share_column).alias("expected"),
            pl.lit(total, pl.Int64).alias("n_total"),
        )
        .sort("at_row", "at_column")
    )
    design = None
    if author is not None:
        design = _design(frame, margin["row"], margin["column"])
        variance *= design["design_effect"]
    census = population == "census"
    shares = interval(
        *(table["n_cards"], table["n_row"], "row_share", "row"), design=design, census=census
    )
    residual = (pl.col("n_cards") - pl.col("expected")) / variance.sqrt()
    table = table.with_columns(*shares, pl.when(variance > 0).then(residual).alias("residual"))
    table = table.select(
        *("row", "column", "n_cards", "row_share", "row_low", "row_high", "expected", "residual"),
        *("n_row", "n_column", "n_total"),
    )
    if design is None:
        return table
    return author_columns(table, design, total="n_row", share="row_share", ends="row")


def _design(frame: pl.DataFrame, rows: pl.DataFrame, columns: pl.DataFrame) -> pl.DataFrame:
    """Say how many independent cards the share of each cell in its row is worth."""
    code, names = author_codes(frame["author"])
    kept = (
        frame.with_columns(author=code)
        .join(rows.select("row", "at_row"), on="row")
        .join(columns.select("column", "at_column"), on="column", how="left")
    )
    own = kept if frame["card"].is_unique().all() else kept.unique(["card", "at_row"])
    cells = kept.drop_nulls("at_column")
    place = pl.col("at_row").cast(pl.Int64) * columns.height + pl.col("at_column")
    (found,) = designs(
        (cells.select(place).to_series().to_numpy(), cells["author"].to_numpy()),
        (own["at_row"].to_numpy(), own["author"].to_numpy()),
        group=np.repeat(np.arange(rows.height), columns.height),
        names=names,
    )
    return found


def _both(cards: Any, rows: str, columns: str, author: str | None) -> pl.DataFrame:
    """Give one row for each card and pair of its values: ``card, row, column[, author]``."""
    names = {"row": rows, "column": columns} | ({} if author is None else {"author": author})
    frame = narrow(cards, names)
    schema = frame.collect_schema()
    frame = frame.with_row_index("card")
    for side in ("row", "column"):
        if isinstance(schema[side], pl.List):
            frame = frame.explode(side, empty_as_null=False, keep_nulls=False)
        frame = frame.with_columns(pl.col(side).cast(pl.String))
    frame = frame.drop_nulls(["row", "column"])
    several = any(isinstance(schema[side], pl.List) for side in ("row", "column"))
    return collect(frame.unique(["card", "row", "column"]) if several else frame)
