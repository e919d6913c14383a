"""How varied the values of a table of counts are: licences, languages, tags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from .schema import CardlabError, NoFigure, at_least, collect, lazy, require
from .shares import gini

#: Numbers that are held at once while resampling.
_AT_ONCE = 2_000_000

#: Least and greatest value of each measure over n values.
_BOUNDS: dict[str, Callable[[int], tuple[float, float]]] = {
    "shannon": lambda n: (0.0, float(np.log(n))),
    "simpson": lambda n: (0.0, 1.0 - 1.0 / n),
    "hill_1": lambda n: (1.0, float(n)),
    "hill_2": lambda n: (1.0, float(n)),
    "gini": lambda n: (0.0, 1.0),
}


def diversity(
    counts: Any, *, by: str | None = None, n_boot: int = 1000, random_state: int = 0
) -> pl.DataFrame:
    """Say how varied the values of a table of counts are.

    Parameters
    ----------
    counts : frame
        With ``n_cards``, a row for each value: from :func:`cardlab.license_counts`,
        :func:`cardlab.class_counts`, :func:`cardlab.language_counts`, :func:`cardlab.tag_counts`,
        all of its rows, and of one group unless `by` is given. Rows with null or 0 are left out.
    by : str, optional
        The column that the counts were made by: each of its values is measured by itself.
    n_boot : int, default 1000
        Bootstrap samples of the intervals, at least 1.
    random_state : int, default 0
        Seed of the bootstrap.

    Returns
    -------
    pl.DataFrame
        One row, or with `by` one for each group (first the column `by`; most counted first, then
        by name; a group with nothing to measure has no row). Each measure with ``_low`` and
        ``_high``, its 95 % interval:

        - ``shannon``: entropy in nats, 0 (one value has all) to the log of ``n_values``;
        - ``simpson``: ``1 - sum(p**2)``, 0-1: how often two draws differ (Gini-Simpson);
        - ``hill_1``, ``hill_2``: Hill numbers of order 1 and 2, ``exp(shannon)`` and
          ``1 / sum(p**2)``: as varied as so many values of equal size, 1 to ``n_values``;
        - ``gini``: inequality of the counts, 0 (all equal) to below 1;

        then ``n_values`` (values with a card) and ``n_total`` (sum of their counts: a card with
        several values is in it several times).

    Raises
    ------
    MissingColumn, NoFigure
        There is no ``n_cards`` or no column `by`, or nothing in it but 0 and null.
    CardlabError
        ``n_cards`` holds something else than whole numbers of at least 0.

    Notes
    -----
    p is a value's share of ``n_total``. C. E. Shannon, "A mathematical theory of communication",
    Bell System Technical Journal 27 (1948), 379-423; E. H. Simpson, "Measurement of diversity",
    Nature 163 (1949), 688; M. O. Hill, "Diversity and evenness: a unifying notation and its
    consequences", Ecology 54 (1973), 427-432.

    The interval says how far the measure varies from sample to sample: the distance of the 2.5 and
    97.5 percentiles of multinomial resamples (``n_total`` independent draws with the shares p)
    from their mean, laid around the measure and cut at its bounds. It does not mend that a sample
    lacks rare values: where many are on one or two cards (free tags, languages), ``shannon`` and
    the Hill numbers are too low for all cards that could have been written.
    """
    at_least(n_boot, 1, name="n_boot")
    at_least(random_state, 0, name="random_state")
    require(counts, "n_cards", *([] if by is None else [by]))
    if by is None:
        rows = collect(lazy(counts).select("n_cards"))["n_cards"]
        return pl.DataFrame(_measured(_counted(rows), n_boot, random_state))
    if by in ("n_cards", "n_values", "n_total", *_BOUNDS):
        raise CardlabError(f"by={by!r} is a column of the result or what is measured, no group.")
    table = collect(lazy(counts).select(by, "n_cards"))
    _counted(table["n_cards"])
    found: list[dict[str, Any]] = []
    groups = table.filter(pl.col("n_cards") > 0).partition_by(by, maintain_order=True)
    for part in groups:
        # the same seed for all, so that a group's figure does not hang on the others
        measured = _measured(_counted(part["n_cards"]), n_boot, random_state)
        found.append({by: part[by][0], **measured})
    return pl.DataFrame(found, schema_overrides={by: table.schema[by]}).sort(
        "n_total", by, descending=[True, False], nulls_last=True
    )


def _measured(found: np.ndarray, n_boot: int, random_state: int) -> dict[str, Any]:
    """Give each measure of the counts with its interval."""
    total = int(found.sum())
    generator = np.random.default_rng(random_state)
    rows = max(1, _AT_ONCE // found.size)
    drawn = [
        _measures(generator.multinomial(total, found / total, size=min(rows, n_boot - begin)))
        for begin in range(0, n_boot, rows)
    ]
    result: dict[str, Any] = {}
    for name, value in _measures(found[None, :]).items():
        samples = np.concatenate([part[name] for part in drawn])
        # a resample is less varied than what it is drawn from: only its spread is taken over
        low, high = value[0] + np.quantile(samples, [0.025, 0.975]) - samples.mean()
        least, most = _BOUNDS[name](found.size)
        result |= {
            name: float(value[0]),
            f"{name}_low": float(max(low, least)),
            f"{name}_high": float(min(high, most)),
        }
    return {**result, "n_values": found.size, "n_total": total}


def _counted(counts: pl.Series) -> np.ndarray:
    """Give the counts above 0, largest first, so that the order of the rows does not matter."""
    values = counts.drop_nulls()
    if not values.len():
        values = values.clear().cast(pl.Int64)
    number = values.dtype.is_numeric()
    whole = values.cast(pl.Int64, strict=False) if number else values
    if not number or whole.null_count() or (whole != values).any() or (whole < 0).any():
        raise CardlabError(
            "n_cards must hold whole numbers of at least 0, as license_counts(cards) gives them; "
            f"it is {values.dtype}, like {values.head(3).to_list()}."
        )
    found = np.sort(whole.filter(whole > 0).to_numpy())[::-1]
    if not found.size:
        raise NoFigure("there is nothing whose variety could be measured: no value has a card.")
    return found


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
