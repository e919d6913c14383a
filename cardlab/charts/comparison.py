"""Two corpora side by side: distances with the level of chance, and the values behind them."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import polars as pl

from ..colors import ACCENT, FAINT, GRID, WARM
from ..comparison.compare import two_names
from ..schema import NoFigure, at_least, shorten
from .base import (
    bars,
    beside,
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
