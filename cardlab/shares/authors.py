"""How sure a share is where cards come in bundles: those of one author are alike.

In prose these are authors; `cluster` is the term of survey software for any such column.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import polars as pl

from ..frames import runs
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
MIN_EFFECTIVE, MIN_AUTHORS, MIN_EFFECTIVE_AUTHORS = 30, 10, 15
NARROW, WIDE, WIDE_RATIO = 0.05, 0.30, 1.3
#: Numbers up to which a table of places is quicker than a search.
_TABLE = 1 << 25


def author_column(
    cards: Any, cluster: str | None, population: str, *counted: str | None
) -> str | None:
    """Name the column of authors, or None where the cards count as independent.

    `cluster` must be a column of single values; ``"author"``, the default everywhere, may be
    missing. Cards that are counted, or grouped, by their author are independent; of a census
    nothing is estimated.
    """
    one_of(population, ("sample", "census"), name="population")
    if cluster is None or population == "census" or cluster in counted:
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
    if not 0 < confidence < 1:
        raise CardlabError(f"confidence must be above 0 and below 1, not {confidence!r}.")
    n, total = np.asarray(n, dtype=float), np.asarray(total, dtype=float)
    if np.any(n < 0) or np.any(n > total):
        raise CardlabError("a share needs counts between 0 and their total: 0 <= n <= total.")
    level = (1 + confidence) / 2
    z: Any = NormalDist().inv_cdf(level)
    if n_authors is not None:
        from scipy.special import stdtrit

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


def difference(
    a: tuple[Any, Any, Any], b: tuple[Any, Any, Any], correlation: Any = 0.0
) -> tuple[Any, Any, Any]:
    """Give a - b and its interval from those of two figures, with their correlation by authors.

    Each is ``(figure, low, high)``. R. G. Newcombe, "Interval estimation for the difference between
    independent proportions", Statistics in Medicine 17 (1998), 873-890, method 10; where authors
    are in both, as he has it for pairs: "Improved confidence intervals for the difference between
    binomial proportions based on paired data", the same, 2635-2650, method 10.
    """
    found, low_a, high_a = a
    other, low_b, high_b = b

    def beside(one: Any, two: Any) -> Any:
        both = 2 * np.clip(correlation, -1, 1) * one * two
        return np.sqrt(np.maximum(one**2 + two**2 - both, 0))

    gap = found - other
    low = gap - beside(found - low_a, high_b - other)
    return gap, low, gap + beside(high_a - found, other - low_b)


def author_codes(authors: pl.Series) -> tuple[Any, pl.Series]:
    """Give the number of the author of each card, 0 for none, and the names by number."""
    found = authors.cast(pl.String).to_arrow().dictionary_encode()  # half the time of a Categorical
    names = pl.Series(found.dictionary, dtype=pl.String)
    code = found.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 1
    return code, pl.concat([pl.Series([None], dtype=pl.String), names])


def designs(
    value: tuple[Any, Any], *of: tuple[Any, Any], group: Any, names: pl.Series
) -> list[pl.DataFrame]:
    """Say how many independent cards shares are worth, and who stands behind them.

    `value` has the values, numbered from 0, and the :func:`author_codes` of the cards with any, one
    for each value; each `of` the groups, numbered from 0, and the codes of all cards that the
    shares are of. `group` has the group of each value, `names` the names of the codes; each card
    without an author is one of its own. Gives for each `of` the :data:`DESIGN` of each value, of
    which ``n_authors``, ``top_author`` (the author of most of its cards, ties by name; null where
    none of them has one) and ``top_author_share`` (0-1, of its cards) are about the cards with the
    value, the others about its group.

    Notes
    -----
    The design effect (1 or more: variance of the share beside that of independent cards) is the
    mean of two: linearisation with the residuals of authors, ``r = n - p N``, each divided by the
    root of ``1 - N / N_all`` (Bell and McCaffrey 2002), and ``1 + icc * (Kish - 1)`` with the
    intra-class correlation of the analysis of variance and Kish's factor of the sizes. The first
    alone is too small where a few large authors happen to be near the mean, the second alone takes
    large authors to be like small ones. Where all cards have the value, or none, it is Kish's
    factor. Simulated (500 runs a cell; 60 to 2,000 authors of Zipf sizes or with one who has 20 or
    30 % of the cards, shares of 0.02 to 0.9, intra-class correlation of 0 to 1), nominal 95 %
    intervals of what is called reliable cover in 96 % of runs, half of the cells in 94.8-97.2 %;
    linearisation alone in 60-98 %.
    """
    n_values = len(group)
    n_groups = 1 + max(int(at.max(initial=0)) for at in (group, *(at for at, _ in of)))
    # place and author in one number, by which pairs are found again
    bits, group = len(names).bit_length(), group.astype(np.int64)

    def counted(place: Any, author: Any) -> tuple[Any, ...]:
        place, author, n = runs(place, author)
        alike, own = np.where(author == 0, n, 1), np.where(author == 0, 1, n)
        return place, author.astype(np.int64), alike.astype(float), own.astype(float)

    what, author, alike, own = counted(*value)
    n_own = alike * own
    n, squares = np.bincount(what, n_own, n_values), n_own * own
    n_authors = np.bincount(what, alike, n_values).astype(np.int64)
    behind = _behind(what, author, own, names, n)
    behind.insert_column(0, pl.Series("n_authors", n_authors))
    pair, found = (group[what] << bits) | author, []
    for cards in of:
        at, who, many, size = counted(*cards)
        groups, weight = _of_groups(at, many, size, n_groups)
        sums = {name: of_group[group] for name, of_group in groups.items()}
        # of a value that is no part of these cards there is no share
        at = _places((at << bits) | who, pair, n_groups << bits)
        size, weight = (np.append(of_size, 1.0)[at] for of_size in (size, weight))
        sums["aa"] = np.bincount(what, squares * weight, n_values)
        sums["ab"] = np.bincount(what, n_own * size * weight, n_values)
        sums["within"] = np.bincount(what, squares / size, n_values)
        found.append(_designed(n, sums).hstack(behind))
    return found


def _places(key: Any, wanted: Any, end: int) -> Any:
    """Find numbers below `end` among the ascending ones of `key`; its length for none."""
    if end > _TABLE:
        at = np.searchsorted(key, wanted)
        return np.where(np.append(key, -1)[at] == wanted, at, len(key))
    table = np.full(end, len(key))
    table[key] = np.arange(len(key))
    return table[wanted]


def _of_groups(at: Any, many: Any, size: Any, n_groups: int) -> tuple[dict[str, Any], Any]:
    """Give the sums of each group over its authors, and the weight of each author's residual."""
    n_all = np.bincount(at, many * size, n_groups)
    weight = 1 / (1 - size / n_all[at]).clip(1e-9)
    sums = {
        "n_all_authors": np.bincount(at, many, n_groups),
        "squares": np.bincount(at, many * size**2, n_groups),
        "bb": np.bincount(at, many * size**2 * weight, n_groups),
    }
    return {"n_all": n_all} | sums, weight


def _designed(n: Any, sums: dict[str, Any]) -> pl.DataFrame:
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = _design_effect(n, **sums)
        n_effective = sums["n_all"] ** 2 / sums["squares"]
    return pl.DataFrame(
        {
            # the last digits of a sum of floats hang on its order
            "design_effect": pl.Series(effect).round_sig_figs(10),
            "n_all_authors": sums["n_all_authors"].astype(np.int64),
            "n_effective_authors": n_effective,
        }
    ).fill_nan(None)


def _behind(value: Any, author: Any, own: Any, names: pl.Series, n: Any) -> pl.DataFrame:
    """Name the author of most cards of each value, and its share of them."""
    most = np.zeros(len(n))
    np.maximum.at(most, value, own)
    leads = own == most[value]
    leading = pl.DataFrame({"value": value[leads], "name": names.gather(author[leads])})
    top = leading.group_by("value").agg(pl.col("name").min())
    rows = pl.DataFrame({"value": np.arange(len(n))}, schema_overrides={"value": pl.Int64})
    with np.errstate(divide="ignore", invalid="ignore"):
        share = pl.Series("top_author_share", most / n)
    joined = rows.join(top, on="value", how="left", maintain_order="left")
    return joined.select(pl.col("name").alias("top_author"), share.fill_nan(None))


def _design_effect(
    n: Any, n_all: Any, n_all_authors: Any, squares: Any, aa: Any, ab: Any, bb: Any, within: Any
) -> Any:
    """Give the design effect of shares from sums over authors, as :func:`designs` says."""
    with np.errstate(divide="ignore", invalid="ignore"):
        p = n / n_all
        linear, spread = aa - 2 * p * ab + p**2 * bb, n * (1 - p)
        effect = _mean_of_two(linear, within - n * p, spread, n_all, n_all_authors, squares)
        kish = squares / n_all
    known = (n > 0) & (n < n_all) & (n_all_authors > 1) & np.isfinite(effect)
    return np.clip(np.where(known, effect, kish), 1, np.maximum(n_all, 1))


def _mean_of_two(
    linear: Any, between: Any, spread: Any, n_all: Any, n_authors: Any, squares: Any
) -> Any:
    """Give the mean of both effects, of sums of squares: by authors, between them, and in all."""
    kish = squares / n_all
    inside = (spread - between) / (n_all - n_authors)
    between = between / (n_authors - 1)
    inside = np.where(n_all > n_authors, inside, between)  # one card each: none to see
    typical = (n_all - kish) / (n_authors - 1)
    icc = (between - inside) / (between + (typical - 1) * inside)
    icc = np.where(np.isfinite(icc), np.clip(icc, 0, 1), 1.0)
    return (np.maximum(linear / spread, 1) + 1 + icc * (kish - 1)) / 2


def mean_effect(residual: Any, authors: pl.Series) -> tuple[float, int]:
    """Give the design effect of the mean of some numbers, of which the mean is 0, and the authors.

    As :func:`designs` has it for shares.
    """
    code, names = author_codes(authors)
    alone = code == 0
    code[alone] = len(names) + np.arange(alone.sum())
    _, code = np.unique(code, return_inverse=True)
    return _effect_of_sums(np.bincount(code, residual), np.bincount(code), (residual**2).sum())


def share_effect(n: Any, of: Any) -> tuple[float, int]:
    """Give the design effect of one share, `n` of `of` cards of each author, and the authors.

    As :func:`designs` has it; who has no card of these does not count.
    """
    n, of = n[of > 0], of[of > 0]
    share = n.sum() / max(of.sum(), 1)
    return _effect_of_sums(n - share * of, of, n.sum() * (1 - share))


def _effect_of_sums(residual: Any, size: Any, spread: float) -> tuple[float, int]:
    """Give the design effect of a mean, from the residuals and the cards of each author."""
    n, squares = size.sum(), (size.astype(float) ** 2).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        linear = (residual**2 / (1 - size / n).clip(1e-9)).sum()
        between = (residual**2 / size).sum()
        effect = _mean_of_two(linear, between, spread, n, len(size), squares)
    effect = effect if len(size) > 1 and spread > 0 and np.isfinite(effect) else squares / n
    return float(np.clip(effect, 1, n)), len(size)


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
    shares: pl.DataFrame,
    design: pl.DataFrame,
    *,
    total: str | pl.Expr,
    share: str | None = None,
    ends: str = "share",
) -> pl.DataFrame:
    """Add :data:`AUTHOR_COLUMNS` to shares, of whose rows `design` has one of :func:`designs` each.

    ``is_reliable``: at least 30 effective cards, 10 authors with the value, 15 effective authors of
    the group, and of a share an interval at most 0.05 wide, or at most 0.30 and 1.3 times it. J. D.
    Parker and others, "National Center for Health Statistics data presentation standards for
    proportions", Vital and Health Statistics 2 (175), 2017, has the 30 and the widths.
    """
    whole = pl.col(total) if isinstance(total, str) else total
    enough = (
        (pl.col("n_effective") >= MIN_EFFECTIVE)
        & (design["n_authors"] >= MIN_AUTHORS)
        & (design["n_effective_authors"] >= MIN_EFFECTIVE_AUTHORS)
    )
    if share is not None:
        width = pl.col(f"{ends}_high") - pl.col(f"{ends}_low")
        enough &= (width <= NARROW) | ((width <= WIDE) & (width <= WIDE_RATIO * pl.col(share)))
    return shares.with_columns(
        design["design_effect"],
        (whole / design["design_effect"]).alias("n_effective"),
        *design.select(AUTHOR_COLUMNS[2:5]),
    ).with_columns(enough.fill_null(False).alias("is_reliable"))


def author_shares(
    cards: pl.DataFrame, *, by: str, value: str, author: str | None = "author", census: bool = False
) -> pl.DataFrame:
    """Give the share of each group's cards that have a value, and how sure it is.

    `cards` has a row for each card of a group (`by`, not null), which may be in several: `value`
    (bool), and `author` unless cards are independent. Gives ``by, n, n_all, share, share_low,
    share_high`` (0-1, 95 %), with an author :data:`AUTHOR_COLUMNS`, sorted by group.
    """
    found = cards.group_by(by).agg(
        pl.col(value).sum().cast(pl.Int64).alias("n"), pl.len().cast(pl.Int64).alias("n_all")
    )
    found = found.sort(by, nulls_last=True)
    design = None
    if author is not None and not census:
        design = designs_of(found, cards.filter(value), cards, by=[by], author=author)
    return with_interval(found, "n", "n_all", design, census=census)


def designs_of(
    shares: pl.DataFrame,
    have: pl.DataFrame,
    cards: pl.DataFrame,
    *,
    by: Sequence[str],
    value: Sequence[str] = (),
    author: str,
) -> pl.DataFrame:
    """Give the :func:`designs` of the rows of `shares`, which have the names `by` and `value`.

    `have` has a row for each card with a value (``*by, *value, author``), `cards` one for each card
    that the shares are of (``*by, author``).
    """
    groups = cards.select(by).unique(maintain_order=True).with_row_index("__designs_group")
    rows = shares.select(*by, *value).with_row_index("__designs_row")
    rows = rows.join(groups, on=by, how="left", nulls_equal=True, maintain_order="left")
    of_value = have.join(rows, on=[*by, *value], nulls_equal=True)
    of_group = cards.join(groups, on=by, nulls_equal=True)
    code, names = author_codes(pl.concat([of_value[author], of_group[author]]))
    (found,) = designs(
        (of_value["__designs_row"].to_numpy(), code[: of_value.height]),
        (of_group["__designs_group"].to_numpy(), code[of_value.height :]),
        group=rows["__designs_group"]
        .fill_null(groups.height)
        .to_numpy(),  # a group may have no cards
        names=names,
    )
    return found


def with_interval(
    shares: pl.DataFrame,
    n: str,
    total: str,
    design: pl.DataFrame | None,
    *,
    name: str = "share",
    ends: str = "share",
    census: bool = False,
) -> pl.DataFrame:
    """Add a share, its interval, and what is known of authors."""
    found = interval(shares[n], shares[total], name, ends, design=design, census=census)
    shares = shares.with_columns(found)
    if design is None:
        return shares
    return author_columns(shares, design, total=total, share=name, ends=ends)
