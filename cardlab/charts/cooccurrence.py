"""Heatmaps: pairs of tags (which measure, which kind of tag), and cross tables."""

from __future__ import annotations

import math
from typing import Any, Literal

import altair as alt
import numpy as np
import polars as pl
import polars.selectors as cs

from ..colors import DIVERGING, INK, PAPER
from ..schema import CardlabError, NoFigure, at_least, one_of, shorten
from ..tags.communities import findings
from ..tags.cooccurrence import FOUND
from ..tags.kinds import KINDS, with_tag_kinds
from .base import cells, clean, finish, layered, need, not_declared, percent, tooltips, values

_MEASURES = {"npmi": "NPMI", "lift": "lift", "jaccard": "Jaccard", "n_cards": "cards with both"}
_ALL = "all kinds"
_LONGEST = 30
_BEYOND = (pl.col("q_value") < FOUND).fill_null(False)
_SENT = (
    *("row", "column", "n_cards", "n_row", "n_column", "npmi", "lift", "jaccard", "share"),
    *("q_value", "kind", "group"),  # as a tooltip has them
    *("same", "beyond", *(f"shade_{name}" for name in _MEASURES)),
)


def plot_cooccurrence(
    pairs: pl.DataFrame,
    *,
    measure: Literal["npmi", "lift", "jaccard", "n_cards"] = "npmi",
    communities: pl.DataFrame | None = None,
    top: int = 30,
) -> alt.Chart:
    """Draw pairs of tags as a heatmap in which the reader can change the measure and the kind.

    Parameters
    ----------
    pairs : pl.DataFrame
        From :func:`cardlab.cooccurrence`.
    measure : {"npmi", "lift", "jaccard", "n_cards"}
        What the colour shows at first.
    communities : pl.DataFrame, optional
        From :func:`cardlab.tag_communities`: tags of a community stand side by side, and its
        cells have a frame.
    top : int
        Only the tags on most cards; 60 can be read, 100 are the most that are drawn.

    Returns
    -------
    alt.Chart
        Two drop-downs: what the colour shows (NPMI, lift, Jaccard, cards with both), and of
        which kind the tags of the rows are. NPMI and lift are blue above and brown below chance.
        Pale are pairs that may be chance: with a q-value of 0.05 or more, or of too few authors.
        Empty cells are pairs that `pairs` does not have (never, or on too few cards, together),
        and those that follow from one another by how tags are made.

    Raises
    ------
    NoFigure
        There are no pairs.

    Examples
    --------
    >>> cl.plot_cooccurrence(cl.cooccurrence(cl.make_cards(200), kinds=["free"])).description
    'Heatmap of 18 by 18 tags, tags that go together side by side. ...'
    """
    none, columns = "no two tags are together on enough cards.", ("n_cards", *list(_MEASURES)[:3])
    need(pairs, "tag_a", "tag_b", *columns, "q_value", made_by="cooccurrence", none=none)
    at_least(top, 2, name="top")
    one_of(measure, _MEASURES, name="measure")
    columns = ("tag", "community", "label")
    if communities is None:
        communities = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    else:
        need(communities, *columns, made_by="tag_communities", none="there are no communities.")
    n_pairs, pairs = pairs.height, findings(pairs)
    if not pairs.height:
        raise NoFigure(none)
    sizes = pl.concat(
        pairs.select(pl.col(f"tag_{side}").alias("tag"), pl.col(f"n_{side}").alias("n"))
        for side in "ab"
    )
    sizes = sizes.unique().sort(["n", "tag"], descending=[True, False])
    kept = sizes.head(min(top, 100))["tag"].to_list()
    inside = pairs.filter(pl.col("tag_a").is_in(kept) & pl.col("tag_b").is_in(kept))
    if not inside.height:
        raise NoFigure(f"none of the {len(kept)} most frequent tags go together; raise top.")
    group = dict(communities.select("tag", "community").rows())
    order = sorted(_seriated(inside, kept), key=lambda tag: group.get(tag, len(group)))
    # doublings from chance to the strongest lift, and powers of ten to the most cards
    spread = math.log2(max(float(inside["lift"].max() or 0), 2))  # type: ignore[arg-type]
    most = math.log10(max(int(inside["n_cards"].max() or 0), 2))  # type: ignore[arg-type]
    cells, names = _cells(inside, order, communities, spread, most)
    chart = _drawn(cells, names, measure, spread, most)
    total = round(pairs["n_cards"][0] / pairs["support"][0])
    beyond = inside.filter(_BEYOND)
    best = (beyond if beyond.height else inside).row(0, named=True)
    return finish(
        chart,
        title="Pairs of tags",
        subtitle=[
            f"{len(order)} most frequent of {sizes.height:,} tags in pairs; {inside.height:,} of "
            f"{len(order) * (len(order) - 1) // 2:,} pairs are on enough of {total:,} cards, "
            f"{beyond.height:,} beyond chance (q < {FOUND:g}); the others are pale",
            "Beneath: the measure that is shown, and the kind of the rows. Empty: too few cards, "
            f"or tags that follow from one another ({n_pairs - pairs.height:,} pairs)",
        ],
        description=(
            f"Heatmap of {len(order)} by {len(order)} tags, tags that go together side by side. "
            f"{beyond.height} of {inside.height} pairs are beyond chance. First of "
            f"{'these' if beyond.height else 'all'}: {best['tag_a']} and {best['tag_b']}, on "
            f"{best['n_cards']:,} cards. A reader can choose the measure and the kind of tag."
        ),
    )


def _cells(
    inside: pl.DataFrame, order: list[str], communities: pl.DataFrame, spread: float, most: float
) -> tuple[pl.DataFrame, list[str]]:
    """Give both cells of each pair with its shades, and the names on the axes in `order`.

    A shade puts its measure on one scale from -1 over 0 (chance, or none) to 1.
    """
    both = pl.concat(
        inside.with_columns(
            **{"row": f"tag_{a}", "column": f"tag_{b}", "n_row": f"n_{a}", "n_column": f"n_{b}"},
            share=f"confidence_{a}{b}",
        )
        for a, b in ("ab", "ba")
    )
    # short names; where two would be equal both keep their number
    about = with_tag_kinds(pl.DataFrame({"tag": order}))
    short = clean(about.select(name=pl.Series([shorten(tag, _LONGEST) for tag in order])))
    numbered = pl.format("{} ({})", "name", pl.int_range(1, pl.len() + 1))
    twice = pl.when(pl.col("name").is_duplicated()).then(numbered)
    about = about.hstack(short.select(twice.otherwise("name").alias("name")))
    groups = communities.select("tag", "community", group="label")
    about = about.join(groups, on="tag", how="left", maintain_order="left")
    for side in ("row", "column"):
        both = both.join(about, left_on=side, right_on="tag", suffix="_of", maintain_order="left")
        both = both.rename({"name": f"{side}_name"})
    cells = both.with_columns(
        row="row_name",
        column="column_name",
        same=(pl.col("community") == pl.col("community_of")).fill_null(False),
        beyond=_BEYOND,
        shade_npmi="npmi",
        shade_lift=(pl.col("lift").log(2) / spread).clip(-1, 1),
        shade_jaccard="jaccard",
        shade_n_cards=pl.col("n_cards").log10() / most,
    ).select(_SENT)
    return clean(cells.with_columns(cs.float().round_sig_figs(4))), about["name"].to_list()


def _drawn(
    cells: pl.DataFrame, order: list[str], first: str, spread: float, most: float
) -> alt.Chart:
    kinds = [kind for kind in KINDS if kind in set(cells["kind"].drop_nulls())]
    measures, words = list(_MEASURES), list(_MEASURES.values())
    measure = alt.binding_select(options=measures, labels=words, name="Measure ")
    kind = alt.binding_select(options=[_ALL, *kinds], name="Rows ")
    step = alt.Step(max(11, min(22, 660 // max(len(order), 1))))
    # one scale for all measures; the legend writes what a shade means for the chosen one
    legend = alt.Legend(
        title="less and more often than by chance",
        orient="top",
        values=[-1, -0.5, 0, 0.5, 1],
        gradientLength=260,
        labelExpr=(
            "measure === 'npmi' ? format(datum.value, '.1f') : "
            f"measure === 'lift' ? 'x ' + format(pow(2, datum.value * {spread:.6f}), '.2~g') : "
            "datum.value < 0 ? '' : measure === 'jaccard' ? format(datum.value, '.0%') : "
            f"format(pow(10, datum.value * {most:.6f}), ',.2~s')"
        ),
    )
    tips = tooltips(
        cells,
        *_SENT[:12],
        **{"row": "tag", "column": "with", "n_cards": "cards with both", "n_row": "of the first"},
        **{"n_column": "of the second", "share": "first → second", "kind": "kind of the first"},
        group="its group",
    )
    axis: dict[str, Any] = {"labelLimit": 230, "labelFontSize": 10, "labelOverlap": False}
    color = alt.Color("shade:Q", legend=legend)
    chart: alt.Chart = (
        alt.Chart(values(cells), width=step, height=step)
        .transform_filter(f"kind === '{_ALL}' || datum.kind === kind")
        .transform_calculate(shade="datum['shade_' + measure]")
        .mark_rect(strokeWidth=0.6)
        .encode(
            x=alt.X("column:N", sort=order, title=None).axis(**axis, ticks=False, labelAngle=-90),
            y=alt.Y("row:N", sort=order, title=None).axis(**axis, ticks=False),
            color=color.scale(domain=[-1, 1], domainMid=0, range=DIVERGING),
            stroke=alt.condition("datum.same", alt.value(INK), alt.value(PAPER)),
            fillOpacity=alt.condition("datum.beyond", alt.value(1), alt.value(0.4)),
            tooltip=tips,
        )
        .add_params(
            alt.param(name="measure", value=first, bind=measure),
            alt.param(name="kind", value=_ALL, bind=kind),
        )
    )
    return chart


def _seriated(pairs: pl.DataFrame, tags: list[str]) -> list[str]:
    """Order tags so that those with a high NPMI stand side by side (average linkage)."""
    if len(tags) < 3:
        return tags
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    place = {tag: at for at, tag in enumerate(tags)}
    distance = np.full((len(tags), len(tags)), 1.0)
    np.fill_diagonal(distance, 0.0)
    for a, b, npmi in pairs.select("tag_a", "tag_b", "npmi").iter_rows():
        distance[place[a], place[b]] = distance[place[b], place[a]] = 1 - max(npmi, 0.0)
    tree = linkage(squareform(distance, checks=False), method="average", optimal_ordering=True)
    return [tags[at] for at in leaves_list(tree)]


# ---- Cross tables.

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

    Examples
    --------
    >>> cards = cl.with_licenses(cl.make_cards(200))
    >>> table = cl.crosstab(cards, rows="pipeline_tag", columns="license_class")
    >>> cl.plot_crosstab(table, rows="task", columns="licence class").description
    'Table of task by licence class. ...'
    """
    need(table, "row", "column", "n_cards", "residual", "n_total", made_by="crosstab")
    if table.select("row", "column").is_duplicated().any():
        raise CardlabError(
            "this plot draws one cross table, and this frame has cells more than once: draw the "
            "rows of one table."
        )
    shown = clean(table).with_columns(
        not_declared("row"), not_declared("column"), pl.col("residual").clip(-10, 10).alias("shade")
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
    said = "No cell is beyond chance, or it is one of few cards."
    if (told := shown.filter(_TOLD)).height:
        most = told.sort("residual", descending=True, maintain_order=True).row(0, named=True)
        said = (
            f"Most above chance: {most['row']} with {most['column']}, {most['n_cards']:,} of "
            f"{most['n_row']:,} cards ({percent(most['row_share'])})."
        )
    return finish(
        layered(*cells(base, color, tips, "n_cards", dark="abs(datum.shade) > 7.5")),
        title=title or f"{rows.capitalize()} by {columns}",
        subtitle=[
            f"{shown['n_total'][0]:,} cards with both; the {len(row_order)} by "
            f"{len(column_order)} most frequent values",
            "Number: cards; colour: more (blue) or fewer (brown) than by chance",
        ],
        description=f"Table of {rows} by {columns}. {said}",
    )
