"""Random draws of whole cards: the values of a card stay together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Side:
    """The values of a column in one corpus, as numbers of a list of names.

    `single` counts the cards with one value, value by value; cards with several are in `code`,
    one card after another, with `lengths`. The other cards of `n_cards` have none.
    """

    n_cards: int
    single: Any
    code: Any
    lengths: Any

    @property
    def n_values(self) -> int:
        """Different values that there are names for."""
        return len(self.single)

    @property
    def n_declared(self) -> int:
        """Cards with any value."""
        return int(self.single.sum()) + len(self.lengths)

    @property
    def counts(self) -> Any:
        """Cards of each value."""
        return self.single + np.bincount(self.code, minlength=len(self.single))

    @property
    def weights(self) -> Any:
        """Cards of each value, one with several being shared equally among them."""
        each = np.repeat(1 / self.lengths, self.lengths)
        found: Any = self.single + np.bincount(self.code, weights=each, minlength=len(self.single))
        return found


def side_of(lengths: Any, code: Any, n_values: int) -> Side:
    """Tell cards with one value from those with several: `lengths` of cards, and their values."""
    lengths = lengths.astype(np.int64)
    alone = np.repeat(lengths == 1, lengths)
    single = np.bincount(code[alone], minlength=n_values)
    return Side(len(lengths), single, code[~alone], lengths[lengths > 1])


class Draws:
    """Random draws of whole cards of one corpus, and the values on them.

    A card with several values counts in each of them, or with `shared` is shared equally among
    them.
    """

    def __init__(self, side: Side, generator: np.random.Generator, *, shared: bool = True) -> None:
        from scipy.sparse import csr_array

        self._side, self._generator = side, generator
        self._n_several = len(side.lengths)
        # cards with the same single value, or with none, are alike: only their number is drawn
        self._kinds = np.append(side.single, [self._n_several, side.n_cards - side.n_declared])
        ends = np.append(0, np.cumsum(side.lengths))
        each = np.repeat(1 / side.lengths if shared else np.ones(self._n_several), side.lengths)
        shape = (self._n_several, len(side.single))
        self._several = csr_array((each, side.code, ends), shape=shape)

    @property
    def n_numbers(self) -> int:
        """Numbers that are held for each draw."""
        return self._n_several + len(self._kinds)

    def resamples(self, size: int) -> Any:
        """Draw as many cards as there are, with replacement, `size` times."""
        n_cards = self._side.n_cards
        drawn = self._generator.multinomial(n_cards, self._kinds / n_cards, size=size)
        times = np.zeros((size, self._n_several))
        for row, n in enumerate(drawn[:, -2]):
            if n:
                cards = self._generator.integers(self._n_several, size=n)
                times[row] = np.bincount(cards, minlength=self._n_several)
        return drawn[:, :-2] + times @ self._several

    def parts(self, n_cards: int, size: int) -> Any:
        """Draw some of the cards without replacement, `size` times."""
        drawn = self._generator.multivariate_hypergeometric(
            self._kinds, n_cards, size=size, method="marginals"
        )
        times = np.zeros((size, self._n_several))
        for row, n in enumerate(drawn[:, -2]):
            chosen = self._generator.choice(self._n_several, size=n, replace=False, shuffle=False)
            times[row, chosen] = 1
        return drawn[:, :-2] + times @ self._several
