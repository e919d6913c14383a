"""Two corpora side by side: distances with the level of chance, and the values behind them."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import polars as pl

from ..colors import ACCENT, GRID, WARM
from ..schema import CardlabError, NoFigure, at_least, shorten
from ..shares.counting import wilson
from .base import (
    bars,
    clean,
    each,
    finish,
    interval,
    layered,
    need,
    number,
    percent,
    tooltips,
)

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
    names: Sequence[str] = ("a", "b"),
    top: int = 20,
    title: str | None = None,
) -> alt.LayerChart:
    """Draw two corpora side by side: distances by column, or shares by value.

    Parameters
    ----------
    compared : pl.DataFrame
        From :func:`cardlab.compare` (a bar for each column, with its 95 % interval and the level
        that chance gives) or from :func:`cardlab.compare_values` (two dots for each of the values
        whose shares differ most, each with its 95 % interval; bins of numbers by size). The
        subtitle names the largest difference that chance among all values does not account for.
    names : sequence of two str
        What the corpora are called.
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
    """
    at_least(top, 1, name="top")
    named = [str(name) for name in names] if not isinstance(names, str) else [names]
    if len(named) != 2 or named[0] == named[1]:
        raise CardlabError(f"names must be two different strings, not {names!r}.")
    if "contribution_share" in getattr(compared, "columns", ()):
        return _shares(compared, named, top, title)
    needed = ("column", "distance", "null_high", "n_cards_a", "n_cards_b")
    need(compared, *needed, made_by="compare or compare_values")
    return _distances(compared, named, top, title)


def _distances(
    compared: pl.DataFrame, names: list[str], top: int, title: str | None
) -> alt.LayerChart:
    drawn = compared.drop_nulls("distance").head(top)
    if not drawn.height:
        raise NoFigure("no column has values in both corpora, so there is no distance to draw.")
    label = pl.col("column").replace(_TOPICS)
    shown = clean(drawn).with_columns(
        pl.when(label.is_duplicated()).then("column").otherwise(label).alias("shown")
    )
    x = alt.X("distance:Q", title="Jensen-Shannon distance (0: equal, 1: nothing in common)")
    tips = tooltips(
        shown,
        *("column", "distance", "distance_low", "distance_high", "null_high", "p_value"),
        *("n_values", "n_declared_a", "n_declared_b"),
        n_declared_a=f"with a value, {names[0]}",
        n_declared_b=f"with a value, {names[1]}",
    )
    base = each(shown, step=28)
    chance = base.mark_tick(color=WARM, thickness=3, size=22).encode(x="null_high:Q", tooltip=tips)
    told = "; ".join(f"{row['shown']} {row['distance']:.2f}" for row in shown.to_dicts())
    return finish(
        layered(
            bars(base, x.scale(domain=[0, 1]), tips, height=14), interval(base, "distance"), chance
        ),
        title=title or "How far apart the two corpora are",
        subtitle=[
            _cards(shown, names),
            "Thin line: 95 % interval; orange mark: 95 % of random parts of both together are "
            "closer than this",
        ],
        description=f"Bars of Jensen-Shannon distances, {' against '.join(names)}: {told}.",
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
    *("share_difference_low", "share_difference_high", "contribution_share"),
)


def _most_apart(known: pl.DataFrame, names: list[str]) -> str:
    """Name the value with the largest difference that chance does not account for."""
    sure = known.filter("is_apart") if "is_apart" in known.columns else known.clear()
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
            n_total=f"n_cards_{side}",
        )
        for side, name in zip("ab", names, strict=True)
    ]
    dots = pl.concat(sides).sort("rank", maintain_order=True)
    low, high = wilson(dots["n_cards"].to_numpy(), np.maximum(dots["n_total"].to_numpy(), 1))
    dots = dots.with_columns(share_low=low, share_high=high)
    return dots.select(*_TIPS, "share_a", "share_b")


def _cards(compared: pl.DataFrame, names: list[str]) -> str:
    """Say how many cards each corpus has."""
    sizes = (compared["n_cards_a"][0], compared["n_cards_b"][0])
    sides = (f"{name}: {number(n, 'card')}" for name, n in zip(names, sizes, strict=True))
    return " against ".join(sides)
