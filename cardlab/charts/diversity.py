"""How varied counts are, and how unequally a total is held."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from ..colors import ACCENT, CATEGORIES, FAINT, INK
from ..schema import CardlabError, label, printable
from .base import (
    beside,
    clean,
    cut_to,
    each,
    finish,
    interval,
    layered,
    need,
    not_declared,
    percent,
    tooltips,
    values,
)

#: What is drawn of a table of diversity, and of one of groups at equal coverage.
_PANELS, _OF_GROUPS = ("hill_1", "hill_2", "gini"), ("hill_1_equal", "hill_1", "gini")
_ENDS = ("", "_low", "_high")
_OTHERS = (
    *("n_values", "n_total", "n_declared", "n_authors", "coverage", "coverage_equal", "chao1"),
    *("shannon_chao_shen", "largest_card_share", "top_author", "top_author_share"),
    *("hill_1_without", "led_by_one", "led_by"),
)
_TIPS = ("n_authors", "coverage", "largest_card_share", "top_author", "top_author_share", "led_by")
#: Cards that a group needs to be named as the most varied.
_TOLD = 20
#: The largest holders that are marked on a curve.
_TOP = (1, 10, 100)


def plot_diversity(
    table: pl.DataFrame, *, group: str | None = None, title: str | None = None, top: int = 25
) -> alt.HConcatChart:
    """Draw Hill numbers and Gini of each group with their intervals.

    Parameters
    ----------
    table : pl.DataFrame
        From :func:`cardlab.diversity`, with `by` or several of them one below the other. Groups of
        cards are drawn at equal coverage; one that a card or an author leads is said to be so, and
        is never named as the most varied.
    group : str, optional
        The column that names the rows; the first one that is no measure where it is left out.
    title : str, optional
        Instead of the general one.
    top : int
        Only the first rows.

    Returns
    -------
    alt.HConcatChart
        Point: the measure; rule: its 95 % interval. Each panel has a scale of its own.

    Raises
    ------
    NoFigure
        The frame has no rows.

    Examples
    --------
    >>> table = cl.diversity(cl.make_cards(200), column="license", by="library_name", n_boot=50)
    >>> cl.plot_diversity(table).description
    'Diversity of 12 groups by library_name. ...'
    """
    equal = "hill_1_equal" in getattr(table, "columns", ()) and table["hill_1_equal"].count() > 0
    drawn = _OF_GROUPS if equal else _PANELS
    ends = [f"{name}_{end}" for name in drawn for end in ("low", "high")]
    need(table, *drawn, *ends, "n_values", "n_total", made_by="diversity")
    own = ("shannon", "simpson", *_PANELS, *_OF_GROUPS)
    measures = [f"{name}{end}" for name in own for end in _ENDS]
    group = group or next((n for n in table.columns if n not in {*measures, *_OTHERS}), None)
    if group is not None:
        need(table, group, made_by="diversity")
    if table.height > (1 if group is None else table[group].n_unique()):
        raise CardlabError(
            "this frame has several rows of one name, which would lie over each other: name the "
            f"column that tells them apart (group=), or keep the rows of one; it is {group!r} now."
        )
    name = pl.lit("all") if group is None else not_declared(group)
    led = pl.col("led_by_one") if "led_by_one" in table.columns else pl.lit(False)
    who = pl.col("led_by") if "led_by" in table.columns else pl.lit(None, pl.String)
    by_one = pl.format("{} (led by {})", name, who.fill_null("one card"))
    by_one = pl.when(led).then(by_one).otherwise(name)
    shown = clean(table.head(top)).with_columns(
        pl.col(ends).cast(pl.Float64), shown=by_one, led=led
    )
    others = [name for name in _OTHERS if name in shown.columns]
    shown = shown.select("shown", "led", *drawn, *ends, *others)
    panels = [_panel(shown, name, first=name == drawn[0]) for name in drawn]
    several = "" if group is None else f" by {group}"
    least, most = min(shown["n_total"]), max(shown["n_total"])
    sizes = f", {least:,} to {most:,} a group" if shown.height > 1 else ""
    hint = "order 2 weighs common ones more"
    if equal:
        level = percent(*shown["coverage_equal"].drop_nulls().head(1))
        hint = f"compare groups at equal coverage ({level} of what more authors would declare)"
    return finish(
        alt.hconcat(*panels, spacing=14),
        title=title or f"How varied the values are{several}",
        subtitle=[
            f"{cut_to(shown.height, table.height, 'groups')}{shown['n_total'].sum():,} counted in "
            f"all{sizes}; {_intervals(shown)}",
            f"Hill numbers: as varied as so many equally common values; {hint}",
            "Gini: 0 all equally common, 1 one has all",
            f"Grey: led by {_leaders(shown)}, without which it is less than half or more than "
            "twice as varied"
            if shown["led"].any()
            else "",
        ],
        description=f"Diversity of {shown.height} groups{several}. {_most_varied(shown, drawn[0])}",
    )


def _intervals(shown: pl.DataFrame) -> str:
    """Say what the rules are, or why there are none."""
    n_none = shown["hill_1_low"].null_count()
    if n_none == 0:
        return "rules: 95 % interval"
    why = "of counts of several values a card, or cards an author"
    if "led_by_one" in shown.columns:
        why = "of one card or author"
    return f"{'rules: 95 % interval; ' if n_none < shown.height else ''}no interval {why}"


def _most_varied(shown: pl.DataFrame, by: str) -> str:
    """Name the most varied group, where it is more than one card and surely above the next."""
    size = "n_declared" if "n_declared" in shown.columns else "n_total"
    own = shown.filter(~pl.col("led") & (pl.col(size) >= _TOLD)).drop_nulls(by)
    own = own.sort(by, descending=True, maintain_order=True)
    n_led = int(shown["led"].sum())
    led = f" Led by {_leaders(shown)}: {n_led:,} of {shown.height:,}." if n_led else ""
    if not own.height:
        return f"None of {_TOLD} cards or more.{led}"
    first = own.row(0, named=True)
    ends = (first[f"{by}_low"], first[f"{by}_high"])
    if own.height > 1 and (None in ends or ends[0] <= own[by][1]):
        return f"No group is surely the most varied.{led}"
    interval = "" if None in ends else f" ({ends[0]:.1f} to {ends[1]:.1f})"
    return (
        f"Most varied: {first['shown']}, as varied as {first[by]:.1f} equally common values"
        f"{interval} of {first['n_values']:,}.{led}"
    )


def _leaders(shown: pl.DataFrame) -> str:
    known = "top_author" in shown.columns and shown["top_author"].count() > 0
    return "one card or author" if known else "one card"


def _panel(shown: pl.DataFrame, name: str, *, first: bool) -> alt.LayerChart:
    """Draw one measure of all groups; the names stand at the first panel only."""
    axis: dict[str, Any] = {"labels": first, "ticks": False, "domain": False, "grid": True}
    base = each(shown, step=22, **axis, labelLimit=180).properties(width=190)
    end, is_gini = f"{name}_high", name == "gini"
    x = alt.X(f"{name}_low:Q", title=label(name)).axis(tickCount=5)
    x = x.scale(domain=[0, 1], padding=8) if is_gini else x.scale(zero=True, padding=8)
    tips = ("shown", "n_values", "n_total", name, f"{name}_low", end, "n_declared")
    point = base.mark_point(filled=True, size=60, opacity=1).encode(
        x=f"{name}:Q",
        color=alt.condition("datum.led", alt.value(FAINT), alt.value(ACCENT)),
        tooltip=tooltips(shown, *tips, *_TIPS, shown="group"),
    )
    at = name if shown[end].null_count() else end
    digits = ".2f" if is_gini else ",.1f"
    number = beside(base, f"{at}:Q", name, format=digits, dx=6, fontSize=10)
    return layered(interval(base, name, strokeWidth=1.5).encode(x=x), point, number)


def plot_concentration(
    curve: pl.DataFrame, *, group: str | None = None, title: str | None = None
) -> alt.LayerChart:
    """Draw which share of a total the largest holders have together, the largest first.

    Parameters
    ----------
    curve : pl.DataFrame
        From :func:`cardlab.concentration` with ``curve=True``; several one below the
        other where `group` names them.
    group : str, optional
        A column that names the curves (at most ten are drawn, the first ones).
    title : str, optional
        Instead of the general one.

    Returns
    -------
    alt.LayerChart
        The Lorenz curve read from its upper end, on a log scale of holders: totals such as
        downloads are held by so few that the curve itself would only hug its corner. Points: the
        1, 10 and 100 largest.

    Raises
    ------
    NoFigure
        The frame has no rows.

    Examples
    --------
    >>> cl.plot_concentration(cl.concentration(cl.make_cards(200), curve=True)).description
    'Share of the total by number of largest holders. 63 holders, 6 of them with nothing; ...'
    """
    own = ["group_share", "held_share", "n_groups", "gini", "n_all_groups", "n_cards"]
    own += [f"top_{n}_share" for n in _TOP] + ([] if group is None else [group])
    need(curve, *own, "n_zero", "n_null", made_by="concentration(curve=True)")
    if group is None and curve.select("gini", "n_all_groups", "n_cards").n_unique() > 1:
        raise CardlabError(
            "this frame holds several curves: name the column that tells them apart (group=)."
        )
    shown = clean(curve).with_columns(
        curve=pl.lit("all") if group is None else not_declared(group),
        largest=pl.col("n_all_groups") - pl.col("n_groups"),
        share=1 - pl.col("held_share"),
    )
    heads = shown.unique("curve", keep="first", maintain_order=True).head(len(CATEGORIES))
    names, fields = heads["curve"].to_list(), ("curve", "largest", "share", "gini")
    drawn = shown.filter(pl.col("curve").is_in(names) & (pl.col("largest") > 0)).select(fields)
    several = len(names) > 1
    marks = pl.concat(
        heads.filter(pl.col("n_all_groups") >= n)
        .with_columns(pl.lit(n).alias("largest"), pl.col(f"top_{n}_share").alias("share"))
        .select(fields)
        for n in _TOP
    )
    title_of = "curve" if group is None else printable(group)
    legend = alt.Legend(orient="top", symbolType="stroke", symbolSize=300) if several else None
    # one legend shows both, where both have these names as their domain
    look: dict[str, Any] = {"scale": alt.Scale(domain=names), "title": title_of, "legend": legend}
    said = {"curve": title_of, "largest": "largest holders", "share": "hold together"}
    tips = tooltips(drawn, *fields, **said)
    x = alt.X("largest:Q", title="number of the largest holders (log scale)")
    x = x.scale(type="log", nice=False).axis(format=",d", tickCount=6)
    y = alt.Y("share:Q", title="share of the total").axis(format=".0%", tickCount=6)
    y = y.scale(domain=[0, 1])
    line, base = (alt.Chart(values(rows)).encode(x=x, y=y) for rows in (drawn, marks))
    layers = [
        line.mark_line(interpolate="monotone", strokeWidth=2).encode(
            color=alt.Color("curve:N", **look),
            strokeDash=alt.StrokeDash("curve:N", **look),
            tooltip=tips,
        ),
        base.mark_point(filled=True, size=40, opacity=1, color=INK).encode(tooltip=tips),
    ]
    if not several:
        layers.append(beside(base, x, "share", format=".1%", dx=8, dy=6, fontSize=10))
    told = [_told(head, several) for head in heads.iter_rows(named=True)]
    return finish(
        layered(*layers).properties(width=560, height=320),
        title=title or "How much is held by how few",
        subtitle=[*told[:4], *([f"… and {len(told) - 4} more"] if len(told) > 4 else [])],
        description=f"Share of the total by number of largest holders. {'; '.join(told)}.",
    )


def _told(row: dict[str, Any], several: bool) -> str:
    name = f"{row['curve']}: " if several else ""
    left = f", {row['n_null']:,} cards left out" if row["n_null"] else ""
    return (
        f"{name}{row['n_all_groups']:,} holders, {row['n_zero']:,} of them with nothing; "
        f"{row['n_cards']:,} cards{left}; Gini {row['gini']:.3f}; "
        f"the largest holds {percent(row['top_1_share'])}"
    )
