"""How far clusters can be trusted, for each number of them."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from ..colors import ACCENT, CATEGORIES, FAINT, INK
from .base import finish, layered, need, tooltips, values

#: The lines that a frame can have: column -> name in the legend, colour, dashes.
_LINES = {
    "jaccard_mean": ("come back (Jaccard)", CATEGORIES[1], [1, 0]),
    "ari_mean": ("runs agree (adjusted Rand)", ACCENT, [6, 2]),
    "silhouette": ("lie apart (silhouette)", CATEGORIES[2], [2, 2]),
    "silhouette_null": ("silhouette without clusters", FAINT, [1, 3]),
}
_TIPS = (
    *("n_clusters", "jaccard_mean", "stable_share", "ari_mean", "ari_low", "ari_seeds"),
    *("silhouette", "silhouette_null"),
)


def plot_stability(stability: pl.DataFrame, *, chosen: int | None = None) -> alt.LayerChart:
    """Draw how well clusters come back from run to run, for each number of clusters.

    Parameters
    ----------
    stability : pl.DataFrame
        From :func:`cardlab.cluster_stability`.
    chosen : int, optional
        The number of clusters in use, marked; the chosen one is marked anyway.

    Returns
    -------
    alt.LayerChart

    Raises
    ------
    NoFigure
        The frame has no rows.
    """
    of_runs = ("n_clusters", "ari_mean", "ari_low", "silhouette")
    need(stability, *of_runs, made_by="cluster_stability")
    found = stability.filter("is_chosen") if "is_chosen" in stability.columns else None
    if chosen is None and found is not None and found.height:
        chosen = int(found["n_clusters"][0])
    layers = _layers(stability)
    if chosen is not None:
        mark = alt.Chart(alt.InlineData(values=[{"n_clusters": int(chosen)}]))
        layers.append(mark.mark_rule(color=INK, strokeDash=[4, 3]).encode(x="n_clusters:Q"))
    verdict = f"dashed: the {chosen} in use" if chosen is not None else ""
    if found is not None and not found.height:
        verdict = "; ".join(filter(None, ["no stable clusters were found", verdict]))
    spoken = verdict[:1].upper() + verdict[1:]
    best = stability.sort(["ari_mean", "n_clusters"], descending=[True, False]).row(0, named=True)
    return finish(
        layered(*layers),
        title="Would the clusters come back?",
        subtitle=[
            "1: the same clusters in every run, 0: no better than chance; thin lines down to the "
            "weakest 5 % of pairs of runs",
            verdict,
        ],
        description=(
            f"Mean adjusted Rand between runs for {stability.height} numbers of clusters; highest "
            f"at {best['n_clusters']} ({best['ari_mean']:.2f})." + (f" {spoken}." * bool(verdict))
        ),
        width=520,
    )


def _layers(stability: pl.DataFrame) -> list[Any]:
    """Draw a line for each measure that the frame has, in colour and dashes."""
    lines = {column: look for column, look in _LINES.items() if column in stability.columns}
    names, colors, dashes = map(list, zip(*lines.values(), strict=True))
    # a row for each point of a line, with all its figures for the tooltip
    tidy = pl.concat(
        stability.select(
            *filter(stability.columns.__contains__, _TIPS), measure=pl.lit(name), value=column
        )
        for column, (name, _, _) in lines.items()
    )
    legend = alt.Legend(title=None, orient="bottom", columns=2, labelLimit=260)
    x = alt.X("n_clusters:Q", title="number of clusters").axis(tickMinStep=1, format="d")
    x = x.scale(zero=False, nice=False, padding=12)
    base = alt.Chart(values(tidy), height=260).encode(
        x=x,
        y=alt.Y("value:Q", title="0-1").scale(domainMax=1),
        color=alt.Color("measure:N", legend=legend).scale(domain=names, range=colors),
    )
    dash = alt.StrokeDash("measure:N", legend=legend).scale(domain=names, range=dashes)
    rule = alt.Chart(values(stability)).mark_rule(color=ACCENT, opacity=0.5)
    return [
        rule.encode(x=x, y="ari_low:Q", y2="ari_mean:Q"),
        base.mark_line().encode(strokeDash=dash),
        base.mark_point(filled=True, size=45, opacity=1).encode(tooltip=tooltips(tidy, *_TIPS)),
    ]
