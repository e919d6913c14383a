"""How varied the values of a table of counts are: licences, languages, tags."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl

from ..frames import Coded, as_lists, check_countable
from ..schema import CardlabError, NoFigure, at_least, collect, lazy, require
from ..shares.counting import Draws, gini, one_row_per_item

#: Numbers that are held at once while resampling.
_AT_ONCE = 2_000_000

#: Columns of the result that are no measure, the last four only of cards.
_OF_CARDS = (
    *("n_values", "n_total"),
    *("n_declared", "largest_card_share", "hill_1_without", "led_by_one"),
)

#: Least and greatest value of each measure over n values.
_BOUNDS: dict[str, Callable[[int], tuple[float, float]]] = {
    "shannon": lambda n: (0.0, float(np.log(n))),
    "simpson": lambda n: (0.0, 1.0 - 1.0 / n),
    "hill_1": lambda n: (1.0, float(n)),
    "hill_2": lambda n: (1.0, float(n)),
    "gini": lambda n: (0.0, 1.0),
}


_FLOATS = {f"{name}_{end}": pl.Float64 for name in _BOUNDS for end in ("low", "high")}


def diversity(
    counts: Any,
    *,
    column: str | None = None,
    by: str | None = None,
    n_boot: int = 1000,
    random_state: int = 0,
) -> pl.DataFrame:
    """Say how varied the values of a column, or of a table of counts, are.

    Parameters
    ----------
    counts : frame
        Cards with `column`, or a table of counts with ``n_cards``, a row for each value: from
        :func:`cardlab.license_counts`, :func:`cardlab.language_counts` or
        :func:`cardlab.tag_counts`, all of its rows, and of one group unless `by` is given.
        Rows of counts with null or 0 are left out.
    column : str, optional
        A column of the cards, strings or lists of strings, such as ``license_spdx`` or
        ``language_codes``; without it `counts` is a table of counts.
    by : str, optional
        A column to group by: of the cards (with a list column a card is in each of its groups,
        without a value in the group null), or the one that the counts were made by.
    n_boot : int, default 1000
        Bootstrap samples of the intervals, at least 1.
    random_state : int, default 0
        Seed of the bootstrap.

    Returns
    -------
    pl.DataFrame
        One row, or with `by` one for each group (first the column `by`; most counted first, then
        by name; a group with nothing to measure has no row). Each measure with ``_low`` and
        ``_high``, its 95 % interval, null where there is none:

        - ``shannon``: entropy in nats, 0 (one value has all) to the log of ``n_values``;
        - ``simpson``: ``1 - sum(p**2)``, 0-1: how often two draws differ (Gini-Simpson);
        - ``hill_1``, ``hill_2``: Hill numbers of order 1 and 2, ``exp(shannon)`` and
          ``1 / sum(p**2)``: as varied as so many values of equal size, 1 to ``n_values``;
        - ``gini``: inequality of the counts, 0 (all equal) to below 1;

        then ``n_values`` (values with a card) and ``n_total`` (sum of their counts: a card with
        several values is in it several times). Of cards also ``n_declared`` (cards with a value),
        ``largest_card_share`` (0-1, the part of ``n_total`` that the card with the most values
        has), ``hill_1_without`` (``hill_1`` without that card; null where no other has a value)
        and ``led_by_one`` (bool: without that card ``hill_1`` is less than half of itself, or
        there is no other).

    Raises
    ------
    MissingColumn, NoFigure
        There is no `column` or no ``n_cards``, no column `by`, or no value to measure.
    CardlabError
        ``n_cards`` holds something else than whole numbers of at least 0, `column` neither
        strings nor lists of strings, or `by` is a column of the result.

    Notes
    -----
    p is a value's share of ``n_total``. C. E. Shannon, "A mathematical theory of communication",
    Bell System Technical Journal 27 (1948), 379-423; E. H. Simpson, "Measurement of diversity",
    Nature 163 (1949), 688; M. O. Hill, "Diversity and evenness: a unifying notation and its
    consequences", Ecology 54 (1973), 427-432.

    The interval says how far the measure varies from sample to sample of cards: the distance of the
    2.5 and 97.5 percentiles of resamples (as many cards, drawn with replacement, each with all its
    values) from their mean, laid around the measure and cut at its bounds. One card has none, nor
    has a table of counts whose totals do not show that its cards have one value each: it does not
    say which values stand on one card. Where many values are on one or two cards (free tags),
    ``shannon`` and the Hill numbers are too low for all cards that could have been written.
    """
    at_least(n_boot, 1, name="n_boot")
    at_least(random_state, 0, name="random_state")
    if by in ("n_cards", *_OF_CARDS, *_BOUNDS):
        raise CardlabError(f"by={by!r} is a column of the result or what is measured, no group.")
    rows, of_group = _counts(counts, by) if column is None else _lists(counts, column, by)
    if not rows.height:
        raise NoFigure("there is nothing whose variety could be measured: no value has a card.")
    found: list[dict[str, Any]] = []
    for part in [rows] if by is None else rows.partition_by("__group", maintain_order=True):
        group = {} if by is None else {by: part["__group"][0]}
        # the same seed for all, so that a group's figure does not hang on the others
        found.append({**group, **of_group(part, n_boot, np.random.default_rng(random_state))})
    kinds = {} if by is None else {by: rows.schema["__group"]}
    if column is not None:
        kinds["hill_1_without"] = pl.Float64()
    table = pl.DataFrame(found, schema_overrides={**kinds, **_FLOATS})
    if by is None:
        return table
    return table.sort("n_total", by, descending=[True, False], nulls_last=True)


def _counts(counts: Any, by: str | None) -> tuple[pl.DataFrame, Any]:
    """Read the rows of a table of counts that have any, and how a group of them is measured."""
    have = require(counts, "n_cards", *([] if by is None else [by]))
    totals = [name for name in ("n_declared", "n_group", "card_share") if name in have]
    group = [] if by is None else [nw.col(by).alias("__group")]
    table = collect(lazy(counts).select(*group, "n_cards", *totals))
    values = table["n_cards"].drop_nulls()
    # as floats: narrow whole numbers cannot be held against a bound beyond them
    real = values.cast(pl.Float64) if values.dtype.is_numeric() else None
    if values.len() and (real is None or ((real % 1 != 0) | ~real.is_between(0, 2**62)).any()):
        raise CardlabError(
            "n_cards must hold whole numbers of at least 0, as license_counts(cards) gives them; "
            f"it is {values.dtype}, like {values.head(3).to_list()}."
        )
    return table.filter(pl.col("n_cards") > 0), _of_counts


def _lists(cards: Any, column: str, by: str | None) -> tuple[pl.DataFrame, Any]:
    """Read the cards that have a value, and how a group of them is measured."""
    require(cards, column, *([] if by is None else [by]))
    frame = lazy(cards).select(
        nw.col(column).alias("__value"), *([] if by is None else [nw.col(by).alias("__group")])
    )
    rows = collect(frame if by is None else one_row_per_item(frame, "__group"))
    check_countable(rows.schema["__value"], column)
    lists = as_lists(rows["__value"]).list.drop_nulls().list.unique(maintain_order=True)
    rows = rows.with_columns(lists.alias("__value")).filter(pl.col("__value").list.len() > 0)
    return rows, _of_cards


def _of_counts(table: pl.DataFrame, n_boot: int, generator: np.random.Generator) -> dict[str, Any]:
    """Measure counts, whose order does not matter: largest first."""
    values = np.sort(table["n_cards"].cast(pl.Int64).to_numpy())[::-1]
    total = int(values.sum())
    draw = None
    if _one_a_card(table, total):
        draw = functools.partial(generator.multinomial, total, values / total)
    return _measured(values, draw, n_boot, values.size)


def _one_a_card(table: pl.DataFrame, total: int) -> bool:
    """Say whether the totals of a table show that its cards have one value each."""
    most: dict[str, Any] = {
        name: table[name].max() for name in ("n_declared", "n_group") if name in table.columns
    }
    if most.get("n_declared") is not None:
        return total <= most["n_declared"] or total == most.get("n_group")
    return "card_share" not in table.columns or table["card_share"].sum() <= 1 + 1e-9


def _of_cards(rows: pl.DataFrame, n_boot: int, generator: np.random.Generator) -> dict[str, Any]:
    """Measure the values of cards, each with one or more, by whole cards."""
    lists = rows["__value"]
    lengths = lists.list.len().to_numpy()
    # numbers of the values in the order of their names
    items = lists.explode()
    code = items.rank("dense").to_numpy().astype(np.int64) - 1
    coded = Coded(items.unique().sort(), code, lengths)
    draws = Draws(coded, generator, shared=False)
    draw = draws.resamples if len(lengths) > 1 else None
    measured = _measured(coded.counts(), draw, n_boot, draws.n_numbers)
    largest = int(lengths.argmax())
    first = int(lengths[:largest].sum())
    its_own = code[first : first + lengths[largest]]
    rest = coded.counts() - np.bincount(its_own, minlength=len(coded.names))
    without = float(_measures(rest[None, :])["hill_1"][0]) if rest.any() else None
    return {
        **measured,
        "n_declared": len(lengths),
        "largest_card_share": float(lengths[largest] / lengths.sum()),
        "hill_1_without": without,
        "led_by_one": without is None or without < measured["hill_1"] / 2,
    }


def _measured(found: np.ndarray, draw: Any, n_boot: int, n_numbers: int) -> dict[str, Any]:
    """Give each measure of the counts with its interval, null where nothing can be drawn.

    `draw` makes so many resamples at once; each holds `n_numbers` numbers.
    """
    rows = max(1, _AT_ONCE // n_numbers)
    sizes = [min(rows, n_boot - begin) for begin in range(0, n_boot, rows)] if draw else []
    drawn = [_measures(draw(size=size)) for size in sizes]
    result: dict[str, Any] = {}
    for name, value in _measures(found[None, :]).items():
        low = high = None
        if drawn:
            samples = np.concatenate([part[name] for part in drawn])
            # a resample is less varied than what it is drawn from: only its spread is taken over
            ends = value[0] + np.quantile(samples, [0.025, 0.975]) - samples.mean()
            least, most = _BOUNDS[name](found.size)
            low, high = float(max(ends[0], least)), float(min(ends[1], most))
        result |= {name: float(value[0]), f"{name}_low": low, f"{name}_high": high}
    return {**result, "n_values": found.size, "n_total": int(found.sum())}


def _measures(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Give each measure of each row of counts."""
    total = counts.sum(axis=1)
    shares = counts / total[:, None]
    logs = np.log(shares, out=np.zeros_like(shares), where=counts > 0)
    shannon = np.maximum(-(shares * logs).sum(axis=1), 0)
    same = (shares**2).sum(axis=1)
    return {
        "shannon": shannon,
        "simpson": np.maximum(1 - same, 0),
        "hill_1": np.exp(shannon),
        "hill_2": 1 / same,
        "gini": gini(counts, zeros=False),
    }
