"""What differs: two corpora, or base models and what is made from them."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import polars as pl

from .._lineage import CHANGES
from ..colors import ACCENT, CATEGORIES, FAINT, GRID, INK, SEQUENTIAL, WARM
from ..comparison.compare import two_names
from ..licenses.reading import CLASSES
from ..schema import NoFigure, at_least, label, shorten
from .base import (
    bars,
    beside,
    cells,
    clean,
    each,
    finish,
    interval,
    interval_words,
    layered,
    need,
    number,
    percent,
    share_axis,
    tooltips,
    values,
)

#: A distance is beyond chance where at most this share of random parts are as far apart.
CHANCE = 0.05

_TOPICS = {
    "tags": "tags",
    "license_spdx": "licences",
    "license_class": "licence classes",
    "license": "licences",
    "language_codes": "languages",
    "languages": "languages",
    "pipeline_tag": "tasks",
    "library_name": "libraries",
    "n_words": "lengths in words",
    "n_chars": "lengths in characters",
}


def plot_comparison(
    compared: pl.DataFrame,
    *,
    names: Sequence[str] | None = None,
    top: int = 20,
    title: str | None = None,
) -> alt.LayerChart:
    """Draw two corpora side by side: distances by column, or shares by value.

    Parameters
    ----------
    compared : pl.DataFrame
        From :func:`cardlab.compare` (a bar for each column: its distance beyond chance, grey where
        chance gives as much) or from :func:`cardlab.compare_values` (two dots for each of the
        values whose shares differ most, each with its 95 % interval; bins of numbers by size). The
        subtitle names the largest difference that is beyond chance among all values.
    names : sequence of two str, optional
        What the corpora are called; those of the frame where they are left out.
    top : int
        Values or columns that are drawn, at least 1.
    title : str, optional
        Instead of the usual one.

    Returns
    -------
    alt.LayerChart

    Raises
    ------
    NoFigure
        There is nothing to draw: no rows, or a corpus that declares no value.
    CardlabError
        `names` are not two different strings, or the frame is of another call.

    Examples
    --------
    >>> a, b = cl.make_cards(200), cl.make_cards(200, random_state=1)
    >>> values = cl.compare_values(a, b, column="license_class", names=("ours", "the Hub"))
    >>> cl.plot_comparison(values).description
    'Pairs of dots: share of cards in ours and in the Hub. ...'
    """
    at_least(top, 1, name="top")
    of_values = "contribution_share" in getattr(compared, "columns", ())
    needed = () if of_values else ("column", "distance_beyond_chance", "p_value")
    need(compared, *needed, "n_cards_a", "n_cards_b", "name_a", made_by="compare or compare_values")
    named = two_names(compared.select("name_a", "name_b").row(0) if names is None else names)
    return (_shares if of_values else _distances)(compared, named, top, title)


def _distances(
    compared: pl.DataFrame, names: list[str], top: int, title: str | None
) -> alt.LayerChart:
    drawn = compared.drop_nulls("distance_beyond_chance").head(top)
    if not drawn.height:
        raise NoFigure("no column has values in both corpora, so there is no distance to draw.")
    label = pl.col("column").replace(_TOPICS)
    shown = clean(drawn).with_columns(
        pl.when(label.is_duplicated()).then("column").otherwise(label).alias("shown"),
        beyond=pl.col("p_value") <= CHANCE,
    )
    x = alt.X("distance_beyond_chance:Q", title="Jensen-Shannon distance, less what chance gives")
    tips = tooltips(
        shown,
        *("column", "distance_beyond_chance", "distance", "null_mean", "null_high", "p_value"),
        *("n_values", "n_declared_a", "n_authors_a", "n_declared_b", "n_authors_b"),
        **{f"n_declared_{side}": f"with a value, {n}" for side, n in zip("ab", names, strict=True)},
        **{f"n_authors_{side}": f"authors, {n}" for side, n in zip("ab", names, strict=True)},
    )
    base = each(shown, "shown", step=28)
    color = alt.condition("datum.beyond", alt.value(ACCENT), alt.value(FAINT))
    told = [f"{row['shown']} {row['distance_beyond_chance']:.2f}" for row in shown.to_dicts()]
    far = [text for text, beyond in zip(told, shown["beyond"], strict=True) if beyond]
    said = f"Beyond chance: {'; '.join(far) or 'nothing'}"
    return finish(
        layered(
            bars(base, x.scale(domain=[0, 1]), tips, height=14).encode(color=color),
            beside(base, x, "distance_beyond_chance", format=".2f", dx=6, fontSize=10),
        ),
        title=title or "How far apart the two corpora are",
        subtitle=[
            _cards(shown, names),
            "0: as random parts of both together, 1: nothing in common"
            + ("" if len(far) == len(told) else "; grey: not beyond chance"),
            said,
        ],
        description=f"Bars of Jensen-Shannon distances, {' against '.join(names)}. {said}.",
        width=460,
    )


def _shares(
    compared: pl.DataFrame, names: list[str], top: int, title: str | None
) -> alt.LayerChart:
    known = compared.drop_nulls(["value", "contribution_share"])
    if not known.height:
        raise NoFigure("a corpus declares no value here, so there are no shares to compare.")
    # those that differ most, in the order of the frame: by difference, or bins by size
    far = pl.col("share_difference").abs().rank("ordinal", descending=True) <= top
    drawn = known.filter(far)
    shown = clean(_one_row_a_dot(drawn, names))
    base = each(shown, "value", step=24)
    # two scales of one title and one legend become one
    color = alt.Color("corpus:N").scale(domain=names, range=[ACCENT, WARM])
    color = color.legend(title=None, orient="top")
    shape = alt.Shape("corpus:N").scale(domain=names, range=["circle", "diamond"])
    x = alt.X("share_a:Q", title="share of cards").axis(format="~%", tickCount=6)
    layers = [base.mark_rule(color=GRID, strokeWidth=5).encode(x=x, x2="share_b:Q")]
    # a little above and below the middle, so that intervals that overlap can be told apart
    for name, offset in zip(names, (-3, 3), strict=True):
        one = base.transform_filter(alt.FieldEqualPredicate(field="corpus", equal=name))
        one = one.encode(color=color)
        point = one.mark_point(filled=True, size=60, opacity=1, yOffset=offset).encode(
            x="card_share:Q",
            shape=shape.legend(title=None, orient="top"),
            tooltip=tooltips(shown, *_TIPS),
        )
        layers += [interval(one, "share", strokeWidth=1.5, yOffset=offset), point]
    by_size = not (-drawn["share_difference"].abs()).is_sorted()
    chosen = f"the {drawn.height:,} of {known.height:,} values that differ most"
    if drawn.height == known.height:
        chosen = number(known.height, "value")
    return finish(
        layered(*layers),
        title=title or "Shares of cards in the two corpora",
        subtitle=[
            f"{_cards(drawn, names)}; {chosen}",
            "Share of all cards of each corpus; lines: 95 % intervals, each for one value alone"
            + ("" if by_size else ". Largest difference first"),
            _most_apart(known, names),
        ],
        description=(
            f"Pairs of dots: share of cards in {names[0]} and in {names[1]}. "
            f"{_most_apart(known, names)}."
        ),
        width=460,
    )


_TIPS = (
    *("value", "corpus", "n_cards", "card_share", "share_low", "share_high", "share_difference"),
    *("share_difference_low", "share_difference_high", "q_value", "contribution_share"),
)


def _most_apart(known: pl.DataFrame, names: list[str]) -> str:
    """Name the value with the largest difference that chance does not account for."""
    sure = known.filter("is_apart")
    if not sure.height:
        return "Most apart: nothing; no difference is larger than chance would have it"
    row = sure.sort(pl.col("share_difference").abs(), descending=True).row(0, named=True)
    shares = (
        f"{percent(row[f'share_{side}'])} in {name}" for side, name in zip("ab", names, strict=True)
    )
    return f"Most apart: {shorten(row['value'], 60)}, {' against '.join(shares)}"


def _one_row_a_dot(drawn: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Give each value a row for each corpus, with the interval of its share."""
    sides = [
        drawn.with_row_index("rank").with_columns(
            corpus=pl.lit(name),
            n_cards=f"n_{side}",
            card_share=f"share_{side}",
            share_low=f"share_{side}_low",
            share_high=f"share_{side}_high",
        )
        for side, name in zip("ab", names, strict=True)
    ]
    dots = pl.concat(sides).sort("rank", maintain_order=True)
    return dots.select(*_TIPS, "share_a", "share_b")


def _cards(compared: pl.DataFrame, names: list[str]) -> str:
    """Say how many cards each corpus has."""
    sizes = (compared["n_cards_a"][0], compared["n_cards_b"][0])
    sides = (f"{name}: {number(n, 'card')}" for name, n in zip(names, sizes, strict=True))
    return " against ".join(sides)


#: Edges that can be compared.
_COMPARED = CHANGES[:6]
#: How a change of licence class is said.
_CLASS_WORDS = {
    "earlier": "less restrictive",
    "later": "more restrictive",
    "differs": "differs, not ranked",
}
_WORDS = {"earlier": "earlier in the order", "later": "later in the order"}
_FIGURES = ("n_edges", "declared_share", "declared_low", "declared_high", "n_declared", "n_all")


def plot_lineage(
    changes: pl.DataFrame, *, title: str | None = None, top: int = 12
) -> alt.LayerChart | alt.FacetChart:
    """Draw what becomes of a base model's value in the models made from it.

    Parameters
    ----------
    changes : pl.DataFrame
        From :func:`cardlab.lineage_changes`: with pairs of values a heatmap of the parent's by the
        child's, with ``pairs=False`` bars of what changes, by relation where it was asked for.
    title : str, optional
        Instead of the general one.
    top : int
        Only so many values of the parents and of the children, the most frequent ones.

    Returns
    -------
    alt.LayerChart or alt.FacetChart
        Only edges whose two ends are in the corpus and declare a value; the subtitle counts the
        others.

    Raises
    ------
    NoFigure
        No edge can be compared.

    Examples
    --------
    >>> cl.plot_lineage(cl.lineage_changes(cl.make_cards(500, text=False))).description
    'Table of base models by the models made from them, 57 edges: same 35.1 % (20), ...'
    """
    nothing = (
        "none of the {:,} edges between models and their base models has both ends in this corpus "
        "with a declared value."
    )
    need(changes, "change", "column", *_FIGURES, made_by="lineage_changes", none=nothing.format(0))
    sums = dict(changes.group_by("change").agg(pl.col("n_edges").sum()).iter_rows())
    total, n_all = sum(sums.get(change, 0) for change in _COMPARED), sum(sums.values())
    if not total:
        raise NoFigure(nothing.format(n_all))
    compared = changes.filter(pl.col("change").is_in(_COMPARED))
    is_class = compared["column"][0] == "license_class"
    words = _CLASS_WORDS if is_class else _WORDS
    said = ", ".join(
        f"{words.get(change, change)} {percent(sums[change] / total)} ({sums[change]:,})"
        for change in _COMPARED
        if sums.get(change)
    )
    left = [f"{sums[why]:,} {why}" for why in CHANGES[6:] if sums.get(why)]
    chart: alt.LayerChart | alt.FacetChart
    if "parent_value" in changes.columns:
        usual = "From base model to what is made from it"
        about = f"Table of base models by the models made from them, {total:,} edges: {said}."
        marks = "Framed: no change; number: edges; colour: share of the row"
        chart, drawn = _heatmap(compared, words, CLASSES if is_class else None, top)
    else:
        usual, about = "What changes from base model to what is made from it", f"Bars of {total:,}"
        about = f"{about} edges by what changes: {said}."
        marks = (
            f"{interval_words(changes['declared_low'], 'Thin lines: 95 % interval')}; number: edges"
        )
        chart, drawn = _bars(compared, words), total
    cut = f" ({drawn:,} in the most frequent values shown)" if drawn < total else ""
    return finish(
        chart,
        title=title or usual,
        subtitle=[
            f"{total:,} of {n_all:,} edges have both ends in the corpus and declared{cut}",
            f"Of these: {said}",
            f"Left out: {', '.join(left)}" if left else "No edge is left out",
            marks,
        ],
        description=about,
    )


def _heatmap(
    compared: pl.DataFrame, words: dict[str, str], ranked: Sequence[str] | None, top: int
) -> tuple[alt.LayerChart, int]:
    """Draw the base models' values by those made from them; give the number of edges drawn too."""
    ends = ("parent_value", "child_value")
    found = clean(compared.select(*ends, "change", "n_edges"))
    found = found.group_by(*ends, "change").agg(pl.col("n_edges").sum())
    orders = []
    for name in ends:
        sums = found.group_by(name).agg(pl.col("n_edges").sum())
        kept = sums.sort(["n_edges", name], descending=[True, False]).head(top)[name].to_list()
        orders.append([value for value in ranked if value in kept] if ranked else kept)
    n_row = pl.col("n_edges").sum().over("parent_value")
    shown = found.sort(*ends, "change").with_columns(
        n_parent=n_row,
        row_share=pl.col("n_edges") / n_row,
        change=pl.col("change").replace(words),
        same=pl.col("change") == "same",
    )
    shown = shown.filter(
        pl.col(name).is_in(order) for name, order in zip(ends, orders, strict=True)
    )
    tips = tooltips(shown, *ends, "change", "n_edges", "n_parent", "row_share")
    x = alt.X("child_value:N", sort=orders[1], title="the model made from it")
    y = alt.Y("parent_value:N", sort=orders[0], title=label("parent_value"))
    base = alt.Chart(values(shown), width=alt.Step(56), height=alt.Step(26)).encode(
        x=x.axis(labelAngle=-40, labelLimit=160), y=y.axis(labelLimit=160)
    )
    color = alt.Color("row_share:Q", title="share of the base models' row")
    color = color.scale(domain=[0, 1], range=SEQUENTIAL)
    dark = "datum.row_share > 0.55"
    heat, numbers = cells(base, color, tips, "n_edges", dark=dark, format=".0%")
    kept_same = base.transform_filter("datum.same")
    frames = kept_same.mark_rect(fillOpacity=0, stroke=INK, strokeWidth=1.5)
    return layered(heat, frames, numbers), int(shown["n_edges"].sum())


def _bars(compared: pl.DataFrame, words: dict[str, str]) -> alt.FacetChart:
    relation = pl.col("relation").fill_null("not said")
    row = relation if "relation" in compared.columns else pl.lit("all edges")
    shown = compared.with_columns(pl.format("{} (of {})", row, "n_declared").alias("row"))
    ranked = shown.sort("n_declared", "row", descending=[True, False])["row"]
    found = set(shown["change"])
    changed = [words.get(change, change) for change in _COMPARED if change in found]
    data = shown.with_columns(pl.col("change").replace(words)).select("row", "change", *_FIGURES)
    fields = ("row", "change", "n_edges", "declared_share", "declared_low", "declared_high")
    y = alt.Y("change:N", sort=changed, title=None)
    base = alt.Chart(height=alt.Step(20), width=440).encode(y=y)
    color = alt.Color("change:N", legend=None).scale(domain=changed, range=[FAINT, *CATEGORIES])
    x = share_axis("declared_share", "share of the edges that can be compared")
    bar = bars(base, x, tooltips(data, *fields, row="edges from")).encode(color=color)
    text = beside(base, "declared_high:Q", "n_edges", dx=5)
    facet = alt.Facet("row:N", sort=ranked.unique(maintain_order=True).to_list(), title=None)
    facet = facet.header(labelAngle=0, labelAlign="left", labelAnchor="start", labelFontWeight=600)
    layers = layered(bar, interval(base, "declared"), text, data=values(data))
    return layers.facet(facet=facet, columns=1, spacing=8)
