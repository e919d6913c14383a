"""How far the states of sections agree with readers' labels, and shares mended by that.

``data/coverage_validation.csv`` has the counts, which ``python -m benchmarks coverage`` makes from
the labels of ``tests/validation``.
"""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import Any

import numpy as np
import polars as pl

from ..shares.counting import interval
from .headings import Standard, check_standard, sections_of

#: Fewest labelled cards with a section, and without it, that say how often it is found.
MIN_LABELLED = 10
CORRECTED = ("filled_share_corrected", "corrected_low", "corrected_high")
COUNTS = ("true_positive", "false_positive", "false_negative", "true_negative")


@functools.cache
def _counts() -> pl.DataFrame:
    data = files("cardlab").joinpath("data/coverage_validation.csv").read_bytes()
    return pl.read_csv(data, schema_overrides=dict.fromkeys(COUNTS, pl.Int64))


def coverage_validation(
    standard: Standard = "huggingface", *, half: str | None = None
) -> pl.DataFrame:
    """Say how well each section of a standard is found, by the labels of 150 cards that were read.

    Parameters
    ----------
    standard : str
        One of those of :func:`cardlab.section_coverage`.
    half : str, optional
        ``"tuned"`` (the cards whose errors were looked at to mend the words) or ``"held_out"``
        (those that were only counted); both by default.

    Returns
    -------
    pl.DataFrame
        ``section``, in the standard's order; the labelled cards where it is filled and found so
        (``true_positive``), found and not filled (``false_positive``), filled and not found
        (``false_negative``), neither (``true_negative``); ``precision`` and ``recall`` (0-1, null
        of no cards) with ``_low`` and ``_high`` (95 % Wilson; at most two cards are of one author).
        All null where the section is in no labels.

    Raises
    ------
    CardlabError
        There is no such standard.

    Notes
    -----
    Filled by the labels: text of the card's own under a heading or label that means the section,
    or content that is it by its form. A sentence in passing is none. Who read them, and by which
    rules, is in ``tests/validation/README.md``.
    """
    check_standard(standard)
    own = _counts().filter(pl.col("standard") == standard)
    own = own if half is None else own.filter(pl.col("half") == half)
    sums = own.group_by("section").agg(pl.col(COUNTS).sum())
    names = pl.DataFrame({"section": [item.name for item in sections_of(standard)]})
    found = names.join(sums, on="section", how="left", maintain_order="left")
    hit = found["true_positive"]
    return found.with_columns(
        *interval(hit, hit + found["false_positive"], "precision", "precision"),
        *interval(hit, hit + found["false_negative"], "recall", "recall"),
    )


def with_corrected(shares: pl.DataFrame, standard: Standard) -> pl.DataFrame:
    """Add what :func:`corrected` gives to the frame of sections of a standard, before ``n_cards``.

    Where authors are known, the cards are so many as their ``design_effect`` leaves; of a census,
    which has no interval of its own, only the labels are uncertain.
    """
    counts = coverage_validation(standard).select("section", *COUNTS)
    labelled = shares.select("section").join(
        counts, on="section", how="left", maintain_order="left"
    )
    effect = pl.col("design_effect") if "design_effect" in shares.columns else pl.lit(1.0)
    effect = pl.when(pl.col("share_low").is_null()).then(1e-9).otherwise(effect)
    found = corrected(
        shares["n_filled"],
        shares["n_cards"],
        labelled,
        shares.select(effect).to_series().to_numpy(),
    )
    place = shares.columns.index("n_cards")
    return shares.select(*shares.columns[:place], *found, *shares.columns[place:])


def corrected(
    n_filled: pl.Series, n_cards: pl.Series, labelled: pl.DataFrame, design_effect: Any = 1.0
) -> list[pl.Series]:
    """Give the shares that readers would find, from those found, and their 95 % intervals.

    `labelled` has the :data:`COUNTS` of the section of each share. ``filled_share_corrected``,
    ``corrected_low``, ``corrected_high``: 0-1, null where fewer than 10 labelled cards have the
    section or lack it, or where it is found no more often with it than without. W. J. Rogan and
    B. Gladen, "Estimating prevalence from the results of a screening test", American Journal of
    Epidemiology 107 (1978), 71-76; Z. Lang and J. Reiczigel, "Confidence limits for prevalence of
    disease adjusted for estimated sensitivity and specificity", Preventive Veterinary Medicine 113
    (2014), 13-22, with the cards that the share is worth (`design_effect`) for their number.
    """
    z = 1.959964
    hits, false_alarms, misses, passes = labelled.select(COUNTS).cast(pl.Float64).to_numpy().T
    n_with, n_without = hits + misses, false_alarms + passes
    x, n = (of.cast(pl.Float64).to_numpy() for of in (n_filled, n_cards))
    with np.errstate(divide="ignore", invalid="ignore"):
        power = hits / n_with + passes / n_without - 1
        share = np.clip((x / n - false_alarms / n_without) / power, 0, 1)
        size = n / design_effect
        p = (x / n * size + z**2 / 2) / (size + z**2)
        seen, spared = (hits + 1) / (n_with + 2), (passes + 1) / (n_without + 2)
        variances = seen * (1 - seen) / (n_with + 2), spared * (1 - spared) / (n_without + 2)
        true = (p + spared - 1) / (seen + spared - 1)
        shift = 2 * z**2 * (true * variances[0] - (1 - true) * variances[1])
        spread = p * (1 - p) / (size + z**2)
        spread += true**2 * variances[0] + (1 - true) ** 2 * variances[1]
        half = z * np.sqrt(spread) / (seen + spared - 1)
    enough = (np.minimum(n_with, n_without) >= MIN_LABELLED) & (power > 0)
    middle = true + shift
    found = share, np.clip(middle - half, 0, share), np.clip(middle + half, share, 1)
    return [
        pl.Series(name, np.where(enough, of, np.nan), dtype=pl.Float64).fill_nan(None)
        for name, of in zip(CORRECTED, found, strict=True)
    ]
