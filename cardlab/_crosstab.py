"""Two columns of the cards side by side, against what independence would give."""

from __future__ import annotations

from typing import Any

import polars as pl

from .frames import narrow
from .schema import NoFigure, at_least, collect, count, require


def crosstab(cards: Any, *, rows: str, columns: str, top: int = 20) -> pl.DataFrame:
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

    Returns
    -------
    pl.DataFrame
        ``row``, ``column``, ``n_cards``, ``row_share`` (0-1: of the cards that have this row
        value and any column value), ``expected`` (n_row n_column / n, over the cards that have a
        value in both), ``residual`` (adjusted standardised residual, Haberman 1973: about N(0, 1)
        by chance; null where it is not defined), ``n_row``, ``n_column`` (cards with the value),
        ``n_total`` (cards that have a value in both). Every cell of the kept values is there, also
        those with 0 cards. Rows and columns by frequency.

    Raises
    ------
    MissingColumn, NoFigure
        A column is missing, or no card has a value in both.
    """
    at_least(top, 1, name="top")
    require(cards, rows, columns)
    frame = _both(cards, rows, columns)
    total = frame["card"].n_unique()
    if not total:
        raise NoFigure(
            f"none of the {count(cards):,} cards has a value in {rows!r} and {columns!r}."
        )
    margin = {
        side: frame.group_by(side)
        .agg(pl.col("card").n_unique().cast(pl.Int64).alias(f"n_{side}"))
        .sort([f"n_{side}", side], descending=[True, False])
        .head(top)
        .with_row_index(f"at_{side}")
        for side in ("row", "column")
    }
    cells = frame.group_by("row", "column").agg(
        pl.col("card").n_unique().cast(pl.Int64).alias("n_cards")
    )
    share_row, share_column = pl.col("n_row") / total, pl.col("n_column") / total
    variance = pl.col("expected") * (1 - share_row) * (1 - share_column)
    return (
        margin["row"]
        .join(margin["column"], how="cross")
        .join(cells, on=["row", "column"], how="left")
        .with_columns(
            pl.col("n_cards").fill_null(0),
            (pl.col("n_row") * share_column).alias("expected"),
        )
        .with_columns(
            (pl.col("n_cards") / pl.col("n_row")).alias("row_share"),
            pl.when(variance > 0)
            .then((pl.col("n_cards") - pl.col("expected")) / variance.sqrt())
            .alias("residual"),
        )
        .sort("at_row", "at_column")
        .with_columns(pl.lit(total, pl.Int64).alias("n_total"))
        .select(
            *("row", "column", "n_cards", "row_share", "expected", "residual"),
            *("n_row", "n_column", "n_total"),
        )
    )


def _both(cards: Any, rows: str, columns: str) -> pl.DataFrame:
    """Give one row for each card and pair of its values: ``card, row, column``."""
    frame = narrow(cards, {"row": rows, "column": columns})
    schema = frame.collect_schema()
    frame = frame.with_row_index("card")
    for side in ("row", "column"):
        if isinstance(schema[side], pl.List):
            frame = frame.explode(side, empty_as_null=False, keep_nulls=False)
        frame = frame.with_columns(pl.col(side).cast(pl.String))
    return collect(frame.drop_nulls(["row", "column"]).unique())
