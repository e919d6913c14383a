"""Work on the rows of a large matrix block by block, on all cores, with one and the same result."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, TypeVar

Given = TypeVar("Given")
Result = TypeVar("Result")

#: Rows of a block: of 768 columns 3 MB, so that a block stays in the cache of its core.
BLOCK = 1_024


def one_thread() -> AbstractContextManager[Any]:
    """Keep numerical libraries to one thread: sums of several depend on which ends first."""
    limits: AbstractContextManager[Any] = _libraries().limit(limits=1)
    return limits


@cache
def _libraries() -> Any:
    """Find the numerical libraries; looking for them takes as long as a small fit."""
    # Only libraries that are loaded can be limited, and these load all of them.
    import scipy.linalg  # noqa: F401
    import sklearn.cluster  # noqa: F401
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


def on_all_cores(work: Callable[[Given], Result], items: Iterable[Given]) -> list[Result]:
    """Do independent pieces of work side by side; the results come in the order of the pieces.

    Each piece is done by one thread alone, so that neither their number nor which of them ends
    first can change a digit: two cores give what one gives, sooner.
    """

    def alone(item: Given) -> Result:
        # The number of threads of OpenMP is a setting of each thread.
        with one_thread():
            return work(item)

    todo = list(items)
    if len(todo) < 2:
        return [alone(item) for item in todo]
    with one_thread(), ThreadPoolExecutor(_n_cores()) as pool:
        return list(pool.map(alone, todo))


def in_blocks(work: Callable[[slice], Result], n: int) -> list[Result]:
    """Do a piece of work on each block of `n` rows.

    The blocks are the same whatever the machine, as what a matrix product gives for a row can
    depend on the number of rows beside it.
    """
    blocks = [slice(i, min(i + BLOCK, n)) for i in range(0, n, BLOCK)]
    with one_thread():
        if len(blocks) < 2:
            return [work(block) for block in blocks]
        with ThreadPoolExecutor(_n_cores()) as pool:
            return list(pool.map(work, blocks))


def _n_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
