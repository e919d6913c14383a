"""Which tags become more common on new cards, and which less."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ..frames import Coded, check_countable, encode, narrow
from ..overview.time import check_dates, check_every, judge
from ..schema import NoFigure, at_least, require
from ..shares.authors import (
    MIN_AUTHORS,
    MIN_EFFECTIVE,
    Population,
    author_codes,
    author_column,
    designs,
    interval,
)
from ..shares.counting import numbered
from .kinds import checked_kinds, tag_kind

#: New cards in a period below which it does not enter a slope.
THIN = 10

_STEPS = 100
#: Effective authors of a slope below which it is not to be relied on.
_FEW_AUTHORS = 10
#: Effective cards that a tag of constant share would have before and after the middle card.
_EXPECTED = 5


def tag_trends(
    cards: Any,
    *,
    column: str = "tags",
    kinds: Sequence[str] | None = None,
    top: int = 20,
    every: str = "1q",
    cluster: str | None = "author",
    population: Population = "sample",
) -> pl.DataFrame:
    """Give the share of new cards with each tag by period, and whether it rises.

    Parameters
    ----------
    cards : frame
        With `column`, ``created_at`` (dates or instants; without a time zone in UTC) and, where
        there is one, `cluster`; only these are read.
    column : str
        As in :func:`tag_counts`.
    kinds : sequence of str, optional
        Only tags of these kinds, by :func:`tag_kind` (by name alone).
    top : int
        The tags on most of the cards that are counted here.
    every : str
        Length of a period: a number and ``d``, ``w``, ``mo``, ``q`` or ``y``.
    cluster : str or None
        The column of authors, whose cards are alike; where ``author`` is missing, and with None,
        cards are independent.
    population : {"sample", "census"}
        Of a census, such as all models of one's organisation, shares and slopes are exact: they
        have no interval, and ``is_reliable`` says that there is a slope.

    Returns
    -------
    pl.DataFrame
        A row for each tag and period, from the first period to the last: ``tag``, ``period``
        (start, UTC), ``n_cards`` (new cards with the tag), ``n_period`` (new cards),
        ``card_share``, ``share_low``, ``share_high`` (0-1, 95 %; null in a period without
        cards), then the same on all rows of a tag: ``slope``, ``slope_low``, ``slope_high`` (how
        much the log-odds of the tag change a period, 95 %; null if fewer than three periods have
        10 new cards or more; of a tag that is on all cards of these periods, or on none, the slope
        is 0 without an interval), ``design_effect`` (1 or more: variance of the slope beside that
        of independent cards; null without an interval), ``n_effective`` (cards with the tag in
        these periods, or without it if these are fewer, divided by it), ``n_authors`` (with the
        tag there; null without authors), ``is_reliable`` (at least 30 effective cards, of which at
        least 5 would lie before and 5 after the mean date were the share constant, 10 authors with
        the tag and 10 without, and 10 effective ones of the slope), ``first_seen`` (earliest
        ``created_at`` of a card with it), and on all rows ``n_at_floor``, ``n_undated``,
        ``n_implausible`` (cards left out, see below) and ``floors`` (list of the instants of the
        cards at a floor). Steepest rise first, then by tag and period.

    Raises
    ------
    MissingColumn, NoFigure
        There is no such column, or no card has a tag and a date that can be used.
    CardlabError
        `every` is not a period, ``created_at`` holds no dates, or an argument is out of range.

    Notes
    -----
    Left out are cards without a date, with one that cannot be, and those at a floor: their true
    period is unknown (:func:`cardlab.with_period` says what these are). ``first_seen`` does count
    the last, as "by then". The last period may not be over; shares stand that, numbers do not.

    The slope is that of a logistic regression of the tag on the number of the period, finite even
    where a tag is only in the last one: Firth's correction, but drawn towards the mean of the
    tag's shares instead of a half. (A half draws small periods more than large ones, so that a
    rare tag falls, and one that nearly all cards have rises, as soon as periods differ in size.)
    Its interval is that of the profile likelihood of the cards and of those that this adds
    (Heinze and Schemper 2002; Puhr and others 2017), which holds for tags that are rare or begin
    late. It is widened by the design effect, the mean of two: the delete-one jackknife over
    authors, and what authors of one intra-class correlation would give; the quantile is that of t
    with a degree less than there are authors. Without authors it is widened where the shares
    scatter more than chance would have it (Pearson's chi-squared), and the quantile has two degrees
    less than there are periods. A straight line in log-odds is a summary: look at the shares.

    Examples
    --------
    >>> trends = cl.tag_trends(cl.make_cards(500), kinds=["task"], every="1y")
    >>> trends["tag", "card_share", "slope", "is_reliable"].row(0)
    ('automatic-speech-recognition', 0.026..., 1.314..., False)
    """
    at_least(top, 1, name="top")
    check_every(every)
    kinds = checked_kinds(kinds)
    require(cards, column, "created_at")
    author = author_column(cards, cluster, population)
    names = {"tags": column, "created_at": "created_at"} | ({"author": author} if author else {})
    frame = narrow(cards, names)
    schema = frame.collect_schema()
    check_countable(schema["tags"], column)
    check_dates(schema["created_at"], "created_at")
    beside = [pl.col("created_at"), *([pl.col("author").cast(pl.String)] if author else [])]
    (coded,), rows = encode(frame, ["tags"], *beside)
    dated = judge(rows["created_at"])
    starts = dated.true.dt.truncate(every).alias("period")
    if not starts.count():
        raise dated.none_is_true()
    ends = pl.col("period").min(), pl.col("period").max()
    periods = starts.to_frame().select(pl.datetime_range(*ends, every, time_unit="us")).to_series()
    is_dated = starts.is_not_null().to_numpy()
    place = np.where(is_dated, periods.search_sorted(starts.fill_null(starts.min())), -1)
    codes = _commonest(coded, is_dated, kinds, top)
    few, n_periods = coded.only(np.sort(codes)), len(periods)
    # of each card with one of these tags: which tag, and the cell of tag and period
    card, tag = few.of_each(np.arange(few.n_cards)), np.argsort(codes)[few.code]
    seen = pl.DataFrame({"tag": tag, "first_seen": dated.possible[card]})
    first_seen = seen.group_by("tag").agg(pl.col("first_seen").min()).sort("tag")["first_seen"]
    card, tag = card[is_dated[card]], tag[is_dated[card]]
    cell = tag * n_periods + place[card]
    number = np.bincount(cell, minlength=len(codes) * n_periods)
    total = np.bincount(place[is_dated], minlength=n_periods)
    counted, design = (number.reshape(-1, n_periods), total), None
    if author:
        design, fitted = _with_authors(rows["author"], is_dated, place, cell, card, tag, counted)
    else:
        fitted = slopes(counted[0], total)
    fits = pl.DataFrame(fitted._asdict())
    if census := population == "census":
        nothing = pl.lit(np.nan).alias
        exact = ("slope_low", "slope_high", "design_effect", "n_effective")
        fits = fits.with_columns(map(nothing, exact), is_reliable=pl.col("slope").is_not_nan())
    row = np.repeat(np.arange(len(codes)), n_periods)
    n_cards, n_period = pl.Series("n_cards", number), pl.Series(np.tile(total, len(codes)))
    found = pl.DataFrame(
        [coded.names[codes][row].alias("tag"), pl.concat([periods] * len(codes)).alias("period")]
    ).with_columns(
        *(n_cards, n_period.alias("n_period")),
        *interval(n_cards, n_period, "card_share", "share", design=design, census=census),
        *fits[row],
        first_seen[row],
    )
    found = found.with_columns(
        pl.col(pl.Float64).fill_nan(None),
        *dated.columns("n_at_floor", "n_undated", "n_implausible"),
    )
    return found.sort(["slope", "tag", "period"], descending=[True, False, False], nulls_last=True)


def _commonest(coded: Coded, is_dated: Any, kinds: list[str] | None, top: int) -> Any:
    """Give the codes of the tags on most of the cards with a date, most first, ties by name."""
    n = np.bincount(coded.code[coded.of_each(is_dated)], minlength=len(coded.names))
    ranked = np.argsort(-n, kind="stable")[: np.count_nonzero(n)].tolist()
    wanted = (at for at in ranked if kinds is None or tag_kind(coded.names[at]) in kinds)
    codes = np.array([*islice(wanted, top)])
    if not len(codes):
        raise NoFigure("no card with a usable creation date has a tag that was asked for.")
    return codes


def _with_authors(
    authors: pl.Series, is_dated: Any, place: Any, cell: Any, card: Any, tag: Any, counted: Any
) -> tuple[Any, Slopes]:
    """Give the designs of all cells of tag and period, and the slopes, of authors as clusters."""
    number, total = counted
    n_tags, n_periods = number.shape
    code, called = author_codes(authors)
    at, who = np.flatnonzero(is_dated), numbered(authors, (code, called))
    parts = (cell, code[card]), (place[at], code[at])
    group = np.tile(np.arange(n_periods), n_tags)
    with ThreadPoolExecutor(1) as aside:  # most of both is done without Python's lock
        designing = aside.submit(designs, *parts, group=group, names=called)
        # of the smallest type, whose order is soonest found
        order = np.argsort(tag.astype(np.min_scalar_type(n_tags)), kind="stable")
        of_tags = np.split(card[order], np.cumsum(np.bincount(tag, minlength=n_tags))[:-1])
        held = _held(who, place, (int(who.max()) + 1, n_periods), [at, *of_tags])
        fitted = slopes(number, total, held)
    (design,) = designing.result()
    return design, fitted


def _held(who: Any, place: Any, shape: tuple[int, int], parts: list[Any]) -> tuple[Any, list[Any]]:
    """Give the cards of each author and period, all and those with each tag, as sparse arrays."""
    from scipy.sparse import csr_array

    whole, *own = (csr_array((np.ones(len(at)), (who[at], place[at])), shape=shape) for at in parts)
    return whole, own


class Slopes(NamedTuple):
    """How much the log-odds of each tag change a period, and how far that can be relied on."""

    slope: Any
    slope_low: Any
    slope_high: Any
    design_effect: Any
    n_effective: Any
    n_authors: Any
    is_reliable: Any


def slopes(number: Any, total: Any, held: tuple[Any, list[Any]] | None = None) -> Slopes:
    """Fit a logistic regression on the number of the period to each row of `number`.

    `number` has the cards with each tag in each period, `total` all cards of each period, `held`
    both by author (sparse: all, and of each tag). NaN where fewer than three periods have
    :data:`THIN` cards; where none or all cards of these have the tag, the slope is 0, its ends NaN.
    """
    from scipy.special import stdtrit

    used, n_tags = total >= THIN, len(number)
    nothing = np.full(n_tags, np.nan)
    no_authors = pl.Series([None] * n_tags, dtype=pl.Int64)
    if used.sum() < 3:
        none = dict.fromkeys(Slopes._fields[:5], nothing)
        return Slopes(**none, n_authors=no_authors, is_reliable=np.zeros(n_tags, dtype=bool))
    time = np.flatnonzero(used).astype(float)
    number, total = number[:, used].astype(float), total[used].astype(float)
    scale = max(float(np.ptp(time)), 1.0)
    x = (time - np.average(time, weights=total)) / scale
    terms = np.stack([np.ones_like(x), x], axis=1)
    start = (number.sum(axis=1) + 0.5) / (total.sum() + 1)
    share = (number / total).mean(axis=1, keepdims=True)
    line = np.stack([np.log(start / (1 - start)), np.zeros(n_tags)], axis=1)
    for _ in range(_STEPS):
        p, weight, inverse = _fit_at(line, terms, total)
        # Firth's weights, but towards the mean share of a period instead of a half
        hat = weight * np.einsum("pi,tij,pj->tp", terms, inverse, terms)
        score = (number - total * p + hat * (share - p)) @ terms
        step = np.einsum("tij,tj->ti", inverse, score)
        most = np.abs(step).max(axis=1, keepdims=True)
        line += step * np.minimum(1, 2 / np.maximum(most, 1e-300))
        if most.max(initial=0) < 1e-10:
            break
    p, weight, inverse = _fit_at(line, terms, total)
    n_with = number.sum(axis=1)
    fewer = np.minimum(n_with, total.sum() - n_with)
    if held is None:
        # how many times the shares scatter as much as by chance
        effect = np.maximum(((number - total * p) ** 2 / weight).sum(axis=1) / (len(total) - 2), 1)
        quantile, n_authors = stdtrit(len(total) - 2, 0.975), no_authors
        enough = np.ones(n_tags, dtype=bool)
    else:
        sizes, parts = held
        if not used.all():  # to look for all columns takes as long as all else
            sizes, parts = sizes[:, used], [own[:, used] for own in parts]
        each = zip(parts, p, inverse, strict=True)
        found = [_by_authors(own, sizes, of_tag, spread, terms) for own, of_tag, spread in each]
        effect, with_it, without, all_authors, effective = np.array(found).T
        n_authors = pl.Series(with_it.astype(np.int64))
        quantile = stdtrit(np.maximum(all_authors - 1, 1), 0.975)
        enough = (np.minimum(with_it, without) >= MIN_AUTHORS) & (effective >= _FEW_AUTHORS)
    added = number + hat * share, total + hat
    low, high = _profile(*added, x, line, quantile**2 * effect)
    still = (fewer == 0) | ~np.isfinite(effect)
    low, high = (np.where(still, np.nan, end / scale) for end in (low, high))
    n_effective = fewer / effect
    # on a few early cards, where a tag is hardly expected, that it is missing says nothing
    least = np.minimum(total[x < 0].sum(), total[x >= 0].sum()) * n_effective / total.sum()
    enough &= (n_effective >= MIN_EFFECTIVE) & (least >= _EXPECTED) & ~still
    slope = np.where(fewer == 0, 0.0, line[:, 1] / scale)
    return Slopes(slope, low, high, effect, n_effective, n_authors, enough)


def _by_authors(
    own: Any, sizes: Any, p: np.ndarray, inverse: np.ndarray, terms: np.ndarray
) -> tuple[float, ...]:
    """Say how much less a slope is worth because cards of one author are alike.

    Gives the design effect, the authors with the tag, without it, all, and the effective ones.
    """
    n, n_own = sizes.sum(axis=1), own.sum(axis=1)
    there = n > 0
    known = int((n_own > 0).sum()), int((n_own < n).sum()), int(there.sum())
    weight, direction = p * (1 - p), terms @ inverse[1]
    score = own @ terms - sizes @ (terms * p[:, None])
    # what the slope becomes without each author (CR3), from its part of the information
    part = sizes @ (weight[:, None] * np.stack([terms[:, 0], terms[:, 1], terms[:, 1] ** 2], 1))
    a, b, c = np.linalg.inv(inverse)[[0, 0, 1], [0, 1, 1]][:, None] - part.T
    determinant = a * c - b**2
    if known[2] < 2 or not n_own.sum() or n_own.sum() == n.sum() or (determinant <= 0).any():
        return (np.nan, *known, 0.0)
    change = (a * score[:, 1] - b * score[:, 0]) / determinant
    jackknife = (change**2).sum() * (1 - 1 / known[2])
    # authors of one intra-class correlation, that of the analysis of variance
    n, n_own = n[there], n_own[there]
    share, within = n_own.sum() / n.sum(), (n_own**2 / n).sum()
    typical = (n.sum() - (n**2).sum() / n.sum()) / (known[2] - 1)
    between = (within - n_own.sum() * share) / (known[2] - 1)
    inside = (n_own.sum() - within) / max(n.sum() - known[2], 1)
    alike = np.clip((between - inside) / max(between + (typical - 1) * inside, 1e-300), 0, 1)
    alone, whole = sizes @ (weight * direction**2), (sizes @ (np.sqrt(weight) * direction)) ** 2
    each = (1 - alike) * alone + alike * whole
    effect = max(float((jackknife + each.sum()) / 2 / inverse[1, 1]), 1.0)
    return (effect, *known, float(each.sum() ** 2 / (each**2).sum()))


def _profile(number: Any, total: Any, x: Any, line: Any, worst: Any) -> tuple[Any, Any]:
    """Give the slopes beside that of `line` at which twice the log-likelihood is lower by `worst`.

    The other coefficient is the best there.
    """

    def likelihood(slope: Any) -> Any:
        """Give the log-likelihood of each tag at a slope."""
        height = line[:, 0].copy()
        for _ in range(30):
            p = 1 / (1 + np.exp(-np.clip(height[:, None] + slope[:, None] * x, -30, 30)))
            gap = (number - total * p).sum(axis=1)
            step = gap / np.maximum((total * p * (1 - p)).sum(axis=1), 1e-12)
            height += np.clip(step, -1, 1)
            if np.abs(step).max(initial=0) < 1e-9:
                break
        odds = np.clip(height[:, None] + slope[:, None] * x, -30, 30)
        return (number * odds - total * np.logaddexp(0, odds)).sum(axis=1)

    best, ends = likelihood(line[:, 1]), []
    for side in (-1, 1):
        near, far = np.zeros(len(line)), np.ones(len(line))
        for step in range(60):
            middle = (near + far) / 2 if step > 12 else far
            inside = 2 * (best - likelihood(line[:, 1] + side * middle)) < worst
            near = np.where(inside, middle, near)
            far = np.where(inside, far * (2 if step <= 12 else 1), middle)
        ends.append(line[:, 1] + side * far)
    return ends[0], ends[1]


def _fit_at(line: Any, terms: Any, total: Any) -> tuple[Any, Any, Any]:
    """Give the fitted shares, their weights, and the inverse of the information of each line."""
    p = 1 / (1 + np.exp(-np.clip(line @ terms.T, -30, 30)))
    weight = total * p * (1 - p)
    information = np.einsum("tp,pi,pj->tij", weight, terms, terms)
    # a trace more than nothing on the diagonal, or where one period has all weight none exists
    ridge = 1e-13 * np.trace(information, axis1=1, axis2=2)[:, None, None] * np.eye(2)
    return p, weight, np.linalg.inv(information + ridge)
