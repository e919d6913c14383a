"""Pairs of tags as a heatmap that answers: which measure, and which kind of tag."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from ..schema import NoFigure, at_least, one_of, shorten
from ..tags.communities import findings
from ..tags.kinds import KINDS, with_tag_kinds
from .base import DIVERGING, INK, clean, finish, need, tooltips, values

_MEASURES = {"npmi": "NPMI", "lift": "lift", "jaccard": "Jaccard", "n_cards": "cards with both"}
_ALL = "all kinds"
_LONGEST = 30
_SENT = (
    *("row", "column", "n_cards", "n_row", "n_column", "npmi", "lift", "jaccard", "share"),
    *("q_value", "kind", "group", "same", *(f"shade_{name}" for name in _MEASURES)),
)


def plot_cooccurrence(
    pairs: pl.DataFrame,
    *,
    measure: str = "npmi",
    communities: pl.DataFrame | None = None,
    top: int = 30,
) -> Any:
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
        Empty cells are pairs that `pairs` does not have (never, or on too few cards, together),
        and those that follow from one another by how tags are made.

    Raises
    ------
    NoFigure
        There are no pairs.
    """
    made_by = "cooccurrence"
    need(pairs, "tag_a", "tag_b", "n_cards", "npmi", "lift", "jaccard", made_by=made_by)
    at_least(top, 2, name="top")
    one_of(measure, _MEASURES, name="measure")
    if communities is not None:
        need(communities, "tag", "community", "label", made_by="tag_communities")
    n_pairs, pairs = pairs.height, findings(pairs)
    if not pairs.height:
        raise NoFigure("no two tags are together on enough cards.")
    sizes = _tag_sizes(pairs)
    kept = sizes.head(min(top, 100))["tag"].to_list()
    inside = pairs.filter(pl.col("tag_a").is_in(kept) & pl.col("tag_b").is_in(kept))
    if not inside.height:
        raise NoFigure(f"none of the {len(kept)} most frequent tags go together; raise top.")
    order = _ordered(inside, kept, communities)
    cells, names = _cells(inside, order, communities)
    chart = _drawn(cells, [names[tag] for tag in order], measure)
    total = round(pairs["n_cards"][0] / pairs["support"][0])
    best = inside.row(0, named=True)
    return finish(
        chart,
        title="Pairs of tags",
        subtitle=[
            f"{len(order)} most frequent of {sizes.height:,} tags in pairs; {inside.height:,} of "
            f"{len(order) * (len(order) - 1) // 2:,} pairs are on enough of {total:,} cards",
            "Beneath: the measure that is shown, and the kind of the rows. Empty: too few cards, "
            f"or tags that follow from one another ({n_pairs - pairs.height:,} pairs)",
        ],
        description=(
            f"Heatmap of {len(order)} by {len(order)} tags, tags that go together side by side. "
            f"Highest NPMI: {best['tag_a']} and {best['tag_b']}, on {best['n_cards']:,} cards. A "
            "reader can choose the measure and the kind of tag."
        ),
    )


def _ordered(inside: pl.DataFrame, kept: list[str], communities: pl.DataFrame | None) -> list[str]:
    """Order tags so that those that go together are neighbours, community by community."""
    order = _seriated(inside, kept)
    if communities is None:
        return order
    group = dict(communities.select("tag", "community").rows())
    return sorted(order, key=lambda tag: group.get(tag, len(group)))


def _cells(
    inside: pl.DataFrame, order: list[str], communities: pl.DataFrame | None
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Give both cells of each pair with a shade for each measure, and the names on the axes."""
    sides = [{"row": "tag_a", "column": "tag_b"}, {"row": "tag_b", "column": "tag_a"}]
    ends = [("n_a", "n_b", "confidence_ab"), ("n_b", "n_a", "confidence_ba")]
    both = pl.concat(
        inside.with_columns(n_row=n_row, n_column=n_column, share=share).with_columns(**side)
        for side, (n_row, n_column, share) in zip(sides, ends, strict=True)
    )
    kinds = with_tag_kinds(pl.DataFrame({"tag": order}))
    both = both.join(kinds, left_on="row", right_on="tag", how="left", maintain_order="left")
    both = both.with_columns(group=pl.lit(None, dtype=pl.String), same=pl.lit(False))
    if communities is not None:
        number = dict(communities.select("tag", "community").rows())
        label = dict(communities.select("tag", "label").rows())
        row, column = (
            pl.col(name).replace_strict(number, default=None, return_dtype=pl.Int64)
            for name in ("row", "column")
        )
        both = both.with_columns(
            (row == column).fill_null(False).alias("same"),
            pl.col("row")
            .replace_strict(label, default=None, return_dtype=pl.String)
            .alias("group"),
        )
    names = _short_names(order)
    replaced = [pl.col(name).replace_strict(names) for name in ("row", "column")]
    sent = both.with_columns(*replaced, *_shades(inside)).select(_SENT)
    floats = [name for name, dtype in sent.schema.items() if dtype.is_float()]
    return clean(sent.with_columns(pl.col(floats).round_sig_figs(4))), names


def _short_names(tags: list[str]) -> dict[str, str]:
    """Shorten names for the axes; where two would be equal both keep their number."""
    short = {tag: clean(pl.DataFrame({"t": [shorten(tag, _LONGEST)]}))["t"][0] for tag in tags}
    seen = list(short.values())
    return {
        tag: f"{name} ({number})" if seen.count(name) > 1 else name
        for number, (tag, name) in enumerate(short.items(), start=1)
    }


def _shades(inside: pl.DataFrame) -> list[pl.Expr]:
    """Put each measure on one scale from -1 over 0 (chance, or none) to 1."""
    spread, most = _spread(inside), math.log10(max(_largest(inside, "n_cards"), 2))
    return [
        pl.col("npmi").alias("shade_npmi"),
        (pl.col("lift").log(2) / spread).clip(-1, 1).alias("shade_lift"),
        pl.col("jaccard").alias("shade_jaccard"),
        (pl.col("n_cards").log10() / most).alias("shade_n_cards"),
    ]


def _largest(frame: pl.DataFrame, column: str) -> float:
    return float(frame[column].max() or 1)  # type: ignore[arg-type]


def _spread(inside: pl.DataFrame) -> float:
    """Give the doublings from chance to the strongest lift."""
    return max(math.log2(max(_largest(inside, "lift"), 1.01)), 1.0)


def _drawn(cells: pl.DataFrame, order: list[str], first: str) -> Any:
    kinds = [kind for kind in KINDS if kind in set(cells["kind"].drop_nulls())]
    measure = alt.param(
        name="measure",
        value=first,
        bind=alt.binding_select(
            options=list(_MEASURES), labels=list(_MEASURES.values()), name="Measure "
        ),
    )
    kind = alt.param(
        name="kind", value=_ALL, bind=alt.binding_select(options=[_ALL, *kinds], name="Rows ")
    )
    step = max(11, min(22, 660 // max(len(order), 1)))
    spread = math.log2(max(_largest(cells, "lift"), 2))
    most = math.log10(max(_largest(cells, "n_cards"), 2))
    # one scale for all measures; the legend writes what a shade means for the chosen one
    legend = alt.Legend(
        title="below and above chance",
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
    names = {
        "row": "tag",
        "column": "with",
        "n_cards": "cards with both",
        "n_row": "cards with the first",
        "n_column": "cards with the second",
        "npmi": "NPMI",
        "lift": "lift",
        "jaccard": "Jaccard",
        "share": "of the first's cards, with the second",
        "q_value": "q",
        "kind": "kind of the first",
        "group": "its group",
    }
    axis = alt.Axis(labelLimit=230, labelFontSize=10, labelOverlap=False, ticks=False)
    return (
        alt.Chart(values(cells), width=alt.Step(step), height=alt.Step(step))
        .transform_filter(f"kind === '{_ALL}' || datum.kind === kind")
        .transform_calculate(shade="datum['shade_' + measure]")
        .mark_rect(strokeWidth=0.6)
        .encode(
            x=alt.X("column:N", sort=order, title=None, axis=_turned(axis)),
            y=alt.Y("row:N", sort=order, title=None, axis=axis),
            color=alt.Color(
                "shade:Q",
                scale=alt.Scale(domain=[-1, 1], domainMid=0, range=DIVERGING),
                legend=legend,
            ),
            stroke=alt.condition("datum.same", alt.value(INK), alt.value("#ffffff")),
            tooltip=tooltips(cells, names),
        )
        .add_params(measure, kind)
    )


def _turned(axis: alt.Axis) -> alt.Axis:
    turned = axis.copy()
    turned.labelAngle = -90
    return turned


def _tag_sizes(pairs: pl.DataFrame) -> pl.DataFrame:
    sides = [
        pairs.select(pl.col(f"tag_{side}").alias("tag"), pl.col(f"n_{side}").alias("n"))
        for side in ("a", "b")
    ]
    return pl.concat(sides).unique().sort(["n", "tag"], descending=[True, False])


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
