"""How sure a share is where cards come in bundles: those of one author are alike.

In prose these are authors; `cluster` is the term of survey software for any such column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import polars as pl

from ..schema import CardlabError, column_names, lazy, one_of, require

#: Whether the cards are a sample of what their authors could have written, or all there are.
Population = Literal["sample", "census"]
#: What a table of shares says of authors, in this order.
AUTHOR_COLUMNS = (
    *("design_effect", "n_effective", "n_authors", "top_author", "top_author_share"),
    "is_reliable",
)
#: What :func:`designs` gives beside the columns of a value.
DESIGN = ("design_effect", "n_all_authors", "n_effective_authors", *AUTHOR_COLUMNS[2:5])

#: Fewest effective cards, authors, and effective authors of a figure to be relied on, and the
#: widths of an interval that is narrow, or wide, by itself and beside its share (Parker 2017).
MIN_EFFECTIVE, MIN_AUTHORS, MIN_EFFECTIVE_AUTHORS = 30, 10, 20
NARROW, WIDE, WIDE_RATIO = 0.05, 0.30, 1.3

_STEP = 1 << 32  # more than there are authors


def author_column(cards: Any, cluster: str | None, population: str) -> str | None:
    """Name the column of authors, or None where the cards count as independent.

    `cluster` must be a column of single values; ``"author"``, the default everywhere, may be
    missing. Of a census nothing is estimated.
    """
    one_of(population, ("sample", "census"), name="population")
    if cluster is None or population == "census":
        return None
    if not isinstance(cluster, str):
        raise CardlabError(f"cluster must be the name of one column or None, not {cluster!r}.")
    if cluster == "author" and cluster not in column_names(cards):
        return None
    require(cards, cluster)
    if (dtype := lazy(cards).collect_schema()[cluster]).is_nested():
        raise CardlabError(
            f"cluster={cluster!r}: a card must belong to one author, in a column of single values, "
            f"and this one is {dtype}. Use 'author', or None to take cards as independent."
        )
    return cluster


def wilson(
    n: Any, total: Any, *, confidence: float = 0.95, design_effect: Any = 1.0, n_authors: Any = None
) -> tuple[Any, Any]:
    """Give the ends of the Wilson score interval of shares, n of total: numbers or arrays.

    0-1, with low <= n / total <= high; NaN where `total` is 0 or a number is missing. E. B. Wilson,
    "Probable inference, the law of succession, and statistical inference", Journal of the American
    Statistical Association 22 (1927), 209-212; without correction for continuity. By itself it
    takes the cards for a random sample; with a `design_effect` they count as so many fewer, and
    with `n_authors` the normal quantile is that of t with one degree less (Korn and Graubard 1998).
    """
    from scipy.special import ndtri, stdtrit

    if not 0 < confidence < 1:
        raise CardlabError(f"confidence must be above 0 and below 1, not {confidence!r}.")
    n, total = np.asarray(n, dtype=float), np.asarray(total, dtype=float)
    if np.any(n < 0) or np.any(n > total):
        raise CardlabError("a share needs counts between 0 and their total: 0 <= n <= total.")
    level = (1 + confidence) / 2
    z = ndtri(level)
    if n_authors is not None:
        z = stdtrit(np.maximum(np.asarray(n_authors, dtype=float) - 1, 1), level)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = n / total
        size = total / design_effect
        scale = 1 + z**2 / size
        middle = (share + z**2 / (2 * size)) / scale
        half = z / scale * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2))
    # rounding may put an end an ulp beyond the share, or beyond 0 and 1
    low = np.clip(middle - half, 0, share)
    high = np.clip(middle + half, share, 1)
    return low[()], high[()]


def difference(a: tuple[Any, Any, Any], b: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
    """Give a - b and its interval from those of two figures of different authors.

    Each is ``(figure, low, high)``. R. G. Newcombe, "Interval estimation for the difference between
    independent proportions", Statistics in Medicine 17 (1998), 873-890, method 10.
    """
    found, low_a, high_a = a
    other, low_b, high_b = b
    gap = found - other
    low = gap - np.hypot(found - low_a, high_b - other)
    return gap, low, gap + np.hypot(high_a - found, other - low_b)


def designs(
    counts: pl.DataFrame,
    sizes: pl.DataFrame,
    *,
    by: Sequence[str],
    value: Sequence[str],
    author: str = "author",
) -> pl.DataFrame:
    """Say how many independent cards a share is worth, and who stands behind it.

    `counts` has ``*by, *value, author, n``: on how many cards of a group (`by`) and an author each
    value is; `sizes` has ``*by, author, n``: the cards that the share is of. Null stands for cards
    without an author, each of which is an author of its own. Gives a row for each value of a
    group: ``*by, *value, *DESIGN``, of which ``n_authors``, ``top_author`` (the author of most of
    its cards, null where none of them has one; ties by name) and ``top_author_share`` (0-1, of
    its cards) are about the cards with the value, the others about the group.

    Notes
    -----
    The design effect (1 or more: variance of the share beside that of independent cards) is the
    mean of two: linearisation with the residuals of authors, ``r = n - p N``, each divided by the
    root of ``1 - N / N_all`` (Bell and McCaffrey 2002), and ``1 + icc * (Kish - 1)`` with the
    intra-class correlation of the analysis of variance and Kish's factor of the sizes. The first
    alone is too small where a few large authors happen to be near the mean, the second alone takes
    large authors to be like small ones. Where all cards have the value,
    or none, it is Kish's factor. One pass: sums over authors of ``n^2``, ``n N`` and ``N^2``.
    """
    names = sizes[author].cast(pl.String).drop_nulls().unique().sort()
    code = pl.col(author).cast(pl.String).cast(pl.Enum(names)).to_physical().cast(pl.Int64)
    alone = pl.col("code").is_null()  # so many authors of one card each
    alike = pl.when(alone).then("n").otherwise(1).cast(pl.Float64)
    own = pl.when(alone).then(1).otherwise(pl.col("n")).cast(pl.Float64)
    whole, keys = pl.col("n_all"), [*by, *value]
    of_group = sizes.select(*by, "n", code=code).select(*by, "code", size=own, alike=alike)
    of_group = of_group.with_columns(
        (pl.col("alike") * pl.col("size")).sum().over(by).alias("n_all"),
    ).with_columns((1 / (1 - pl.col("size") / whole).clip(1e-9)).alias("weight"))
    squares = pl.col("alike") * pl.col("size") ** 2
    groups = of_group.group_by(by).agg(
        whole.first(),
        pl.col("alike").sum().alias("n_all_authors"),
        squares.sum().alias("squares"),
        (squares * pl.col("weight")).sum().alias("bb"),
    )
    one = pl.col("alike") * pl.col("own")
    aa = one * pl.col("own") * pl.col("weight")
    # the author of most cards, and among equals the first by name, has the largest number
    rank = pl.col("own").cast(pl.Int64) * _STEP - pl.col("code").fill_null(_STEP - 1)
    found = (
        counts.select(*keys, "n", code=code)
        .select(*keys, "code", own=own, alike=alike)
        .join(of_group.drop("alike", "n_all"), on=[*by, "code"], nulls_equal=True)
        .group_by(keys)
        .agg(
            one.sum().alias("n"),
            aa.sum().alias("aa"),
            (one * pl.col("size") * pl.col("weight")).sum().alias("ab"),
            (one * pl.col("own") / pl.col("size")).sum().alias("within"),
            pl.col("alike").sum().cast(pl.Int64).alias("n_authors"),
            rank.max().alias("rank"),
        )
        .join(groups, on=by, nulls_equal=True)
    )
    most = (pl.col("rank") + _STEP - 1) // _STEP
    return found.select(
        *keys,
        design_effect(found).round_sig_figs(10),  # sums of floats hang on their order
        pl.col("n_all_authors").cast(pl.Int64),
        (whole**2 / pl.col("squares")).alias("n_effective_authors"),
        "n_authors",
        (most * _STEP - pl.col("rank"))
        .replace_strict(
            pl.int_range(len(names), eager=True), names, default=None, return_dtype=pl.String
        )
        .alias("top_author"),
        (most / pl.col("n")).alias("top_author_share"),
    )


def design_effect(sums: pl.DataFrame) -> pl.Series:
    """Give the design effect of shares from sums over authors, as :func:`designs` says."""
    n, n_all, n_authors, squares, aa, ab, bb, within = (
        sums[name].to_numpy().astype(float)
        for name in ("n", "n_all", "n_all_authors", "squares", "aa", "ab", "bb", "within")
    )
    kish, p = squares / n_all, n / n_all
    with np.errstate(divide="ignore", invalid="ignore"):
        linear = (aa - 2 * p * ab + p**2 * bb) / (n * (1 - p))
        between = (within - n * p) / (n_authors - 1)
        inside = (n - within) / (n_all - n_authors)
        inside = np.where(n_all > n_authors, inside, between)  # one card each: none to see
        typical = (n_all - kish) / (n_authors - 1)
        icc = (between - inside) / (between + (typical - 1) * inside)
    icc = np.where(np.isfinite(icc), np.clip(icc, 0, 1), 1.0)
    effect = (np.maximum(linear, 1) + 1 + icc * (kish - 1)) / 2
    known = (n > 0) & (n < n_all) & (n_authors > 1) & np.isfinite(effect)
    effect = np.where(known, effect, kish)
    return pl.Series("design_effect", np.clip(effect, 1, np.maximum(n_all, 1)))


def interval(
    n: pl.Series,
    total: pl.Series | int,
    share: str,
    ends: str,
    *,
    design: pl.DataFrame | None = None,
    census: bool = False,
) -> list[pl.Series]:
    """Give the column of a share, n of total, and those of its ends; null where there is none.

    `design` has a row of :func:`designs` for each share; without one cards are independent. Of a
    census the ends are null.
    """
    whole = np.asarray(total if isinstance(total, int) else total.to_numpy(), dtype=float)
    held: dict[str, Any] = {}
    if design is not None:
        held = {"design_effect": design["design_effect"], "n_authors": design["n_all_authors"]}
    low, high = wilson(n.to_numpy(), whole, **{name: of.to_numpy() for name, of in held.items()})
    none = np.full(len(n), np.nan)
    found = {share: n / total, f"{ends}_low": none if census else low}
    found[f"{ends}_high"] = none if census else high
    return [pl.Series(name, of, dtype=pl.Float64).fill_nan(None) for name, of in found.items()]


def author_columns(
    shares: pl.DataFrame, design: pl.DataFrame, *, total: str, share: str, ends: str
) -> pl.DataFrame:
    """Add :data:`AUTHOR_COLUMNS` to shares, of whose rows `design` has one of :func:`designs` each.

    ``is_reliable``: at least 30 effective cards, 10 authors with the value, 20 effective authors of
    the group, and an interval at most 0.05 wide, or at most 0.30 and 1.3 times its share. J. D.
    Parker and others, "National Center for Health Statistics data presentation standards for
    proportions", Vital and Health Statistics 2 (175), 2017, has the 30 and the widths.
    """
    width = pl.col(f"{ends}_high") - pl.col(f"{ends}_low")
    narrow = (width <= NARROW) | ((width <= WIDE) & (width <= WIDE_RATIO * pl.col(share)))
    enough = (
        (pl.col("n_effective") >= MIN_EFFECTIVE)
        & (design["n_authors"] >= MIN_AUTHORS)
        & (design["n_effective_authors"] >= MIN_EFFECTIVE_AUTHORS)
    )
    return shares.with_columns(
        design["design_effect"],
        (pl.col(total) / design["design_effect"]).alias("n_effective"),
        *design.select(AUTHOR_COLUMNS[2:5]),
    ).with_columns((enough & narrow).fill_null(False).alias("is_reliable"))


def author_shares(
    counts: pl.DataFrame,
    sizes: pl.DataFrame,
    *,
    by: Sequence[str],
    value: Sequence[str],
    author: str = "author",
) -> pl.DataFrame:
    """Give the shares of values in groups, of counts as :func:`designs` takes them, in one frame.

    ``*by, *value, n, n_all, share, share_low, share_high`` (0-1, 95 %), :data:`AUTHOR_COLUMNS`.
    """
    whole = sizes.group_by(by).agg(pl.col("n").sum().cast(pl.Int64).alias("n_all"))
    found = (
        counts.group_by(*by, *value)
        .agg(pl.col("n").sum().cast(pl.Int64))
        .join(whole, on=by, nulls_equal=True)
        .join(
            designs(counts, sizes, by=by, value=value, author=author),
            on=[*by, *value],
            nulls_equal=True,
        )
        .sort(*by, *value)
    )
    design = found.select(DESIGN)
    shares = found.drop(DESIGN)
    ends = interval(found["n"], found["n_all"], "share", "share", design=design)
    return author_columns(
        shares.with_columns(ends), design, total="n_all", share="share", ends="share"
    )
