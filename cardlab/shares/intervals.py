"""How sure a share is, and how unequal numbers are."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from ..schema import CardlabError


def wilson(n: Any, total: Any, *, confidence: float = 0.95) -> tuple[Any, Any]:
    """Give the Wilson score interval of a share, n of total.

    Parameters
    ----------
    n, total : number or array of numbers
        Cards with the value, and all cards; 0 <= n <= total.
    confidence : float
        How often such intervals hold the true share: above 0, below 1.

    Returns
    -------
    low, high : float or array of float
        0-1, with low <= n / total <= high; NaN where `total` is 0 or a number is missing.

    Raises
    ------
    CardlabError
        `confidence` is not between 0 and 1, or a count is not between 0 and its total.

    Notes
    -----
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22 (1927), 209-212; without correction for
    continuity. It treats the cards as a random sample of cards that could have been written; for
    the whole Hub at one moment the share itself is exact.
    """
    if not 0 < confidence < 1:
        raise CardlabError(f"confidence must be above 0 and below 1, not {confidence!r}.")
    n, total = np.asarray(n, dtype=float), np.asarray(total, dtype=float)
    if np.any(n < 0) or np.any(n > total):
        raise CardlabError("a share needs counts between 0 and their total: 0 <= n <= total.")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = n / total
        scale = 1 + z**2 / total
        middle = (share + z**2 / (2 * total)) / scale
        half = z / scale * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    # rounding may put an end an ulp beyond the share, or beyond 0 and 1
    low = np.clip(middle - half, 0, share)
    high = np.clip(middle + half, share, 1)
    return low[()], high[()]


def gini(values: Any, *, zeros: bool = True) -> Any:
    """Give the Gini coefficient of the last axis of an array.

    Parameters
    ----------
    values : array of numbers
        0 or more each, in any order.
    zeros : bool
        Whether a 0 is a member with nothing; else it is no member.

    Returns
    -------
    float or array of float
        0 (all equal) to below 1 (one has all): ``2 * sum(i * x_i) / (n * sum(x)) - (n + 1) / n``
        over the members in ascending order, i from 1 to n. NaN where the sum is 0.

    Notes
    -----
    C. Gini, "Variabilita e mutabilita" (1912). Without correction for small n: of n members of
    which one has all it is 1 - 1 / n.
    """
    ordered = np.sort(np.asarray(values, dtype=float), axis=-1)
    length = ordered.shape[-1]
    n = length if zeros else np.count_nonzero(ordered, axis=-1)
    total = ordered.sum(axis=-1)
    ranked = ordered @ np.arange(1.0, length + 1) - (length - n) * total
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 2 * ranked / (n * total) - (n + 1) / np.asarray(n, dtype=float)
    return np.clip(found, 0, 1)[()]  # rounding may put it an ulp below 0
