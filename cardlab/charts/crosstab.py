"""A cross table as a heatmap."""

from __future__ import annotations

import altair as alt
import polars as pl

from ..colors import DIVERGING
from ..schema import CardlabError
from .base import cells, clean, finish, layered, need, not_declared, percent, tooltips, values

#: What a cell needs to be named: cards of its own and of its row, and a residual, below which it
#: may be chance.
_TOLD = (pl.col("n_cards") >= 5) & (pl.col("n_row") >= 20) & (pl.col("residual") > 3)


def plot_crosstab(
    table: pl.DataFrame, *, rows: str = "row", columns: str = "column", title: str | None = None
) -> alt.LayerChart:
    """Draw a cross table as a heatmap: cards in each cell, colour by what chance would not give.

    Parameters
    ----------
    table : pl.DataFrame
        From :func:`cardlab.crosstab`.
    rows, columns : str
        What the rows and columns are, for the axes.
    title : str, optional
        Instead of the one made from them.

    Returns
    -------
    alt.LayerChart
        Colour: the standardised residual, cut at -10 and 10; blue more, brown fewer cards than
        if rows and columns were independent.

    Raises
    ------
    NoFigure
        The table has no rows.
    """
    need(table, "row", "column", "n_cards", "residual", "n_total", made_by="crosstab")
    if table.select("row", "column").is_duplicated().any():
        raise CardlabError(
            "this plot draws one cross table, and this frame has cells more than once: draw the "
            "rows of one table."
        )
    shown = clean(table).with_columns(
        not_declared("row"),
        not_declared("column"),
        pl.col("residual").clip(-10, 10).alias("shade"),
    )
    row_order, column_order = (
        shown[name].unique(maintain_order=True).to_list() for name in ("row", "column")
    )
    fields = ("row", "column", "n_cards", "n_row", "n_column", "row_share", "expected", "residual")
    # wide enough for four digits with their comma
    cell = max(34, min(46, 580 // len(column_order)))
    base = alt.Chart(values(shown), width=alt.Step(cell), height=alt.Step(22)).encode(
        x=alt.X("column:N", sort=column_order, title=columns, axis=alt.Axis(labelAngle=-45)),
        y=alt.Y("row:N", sort=row_order, title=rows),
    )
    color = alt.Color("shade:Q", title="standardised residual, cut at ±10")
    color = color.scale(domain=[-10, 10], domainMid=0, range=DIVERGING)
    tips = tooltips(shown, *fields, row=rows, column=columns)
    return finish(
        layered(*cells(base, color, tips, "n_cards", dark="abs(datum.shade) > 7.5")),
        title=title or f"{rows.capitalize()} by {columns}",
        subtitle=[
            f"{shown['n_total'][0]:,} cards with both; the {len(row_order)} by "
            f"{len(column_order)} most frequent values",
            "Number: cards; colour: more (blue) or fewer (brown) than by chance",
        ],
        description=f"Table of {rows} by {columns}. {_most_above(shown)}",
    )


def _most_above(shown: pl.DataFrame) -> str:
    """Name the cell most above chance."""
    told = shown.filter(_TOLD)
    if not told.height:
        return "No cell is beyond chance, or it is one of few cards."
    most = told.sort("residual", descending=True, maintain_order=True).row(0, named=True)
    return (
        f"Most above chance: {most['row']} with {most['column']}, {most['n_cards']:,} of "
        f"{most['n_row']:,} cards ({percent(most['row_share'])})."
    )
