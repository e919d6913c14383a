"""One function over batches of cards: in order, with progress, on several cores when it pays."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl

from ..schema import at_least, to_lazy_polars

#: A batch is full at so many cards, or so many bytes of text.
BATCH_CARDS = 2_000
BATCH_BYTES = 4_000_000
#: Text below which starting further processes costs more than it saves.
MIN_BYTES_FOR_PROCESSES = 48_000_000

#: Gives the new columns of a batch of cards, a row for each card. It goes to other processes.
Make = Callable[[pl.DataFrame], pl.DataFrame]


def with_batches(
    cards: Any, needs: list[str], make: Make, schema: dict[str, Any], *, jobs: int | None
) -> Any:
    """Add the columns that `make` gives for the columns `needs`; the first of these is the text.

    Parameters
    ----------
    cards : frame
        A DataFrame gives a DataFrame; a LazyFrame, or a frame of another engine, a LazyFrame that
        does the work when it is collected, and only if one of the columns is asked for.
    needs : list of str
        Columns that `make` gets.
    make : callable
        The same for every engine: on a cluster it runs over the same batches.
    schema : dict
        The new columns and their types.
    jobs : int, optional
        Processes; by default as many as there are cores, for large corpora only.
    """
    if jobs is not None:
        at_least(jobs, 1, name="jobs")
    if isinstance(cards, pl.DataFrame):
        made = run(cards.select(needs), make, schema, jobs=jobs, progress=Progress(cards.height))
        return cards.with_columns(made)
    progress = Progress(None)
    helper = "__batches"

    def each(columns: pl.Series) -> pl.Series:
        made = run(columns.struct.unnest(), make, schema, jobs=jobs, progress=progress)
        return made.to_struct(columns.name)

    batch = pl.struct(needs).map_batches(each, return_dtype=pl.Struct(schema), is_elementwise=True)
    return (
        to_lazy_polars(cards)
        .with_columns(batch.alias(helper))
        .with_columns(pl.col(helper).struct.field(name).alias(name) for name in schema)
        .drop(helper)
    )


def run(
    columns: pl.DataFrame, make: Make, schema: dict[str, Any], *, jobs: int | None, progress: Any
) -> pl.DataFrame:
    """Apply `make` to batches of the cards and put the results together in order."""
    sizes = columns.to_series(0).str.len_bytes().fill_null(0)
    if jobs is None:
        jobs = _cores() if int(sizes.sum()) >= MIN_BYTES_FOR_PROCESSES else 1
    batches = list(_bounds(sizes))
    made = []
    for result in _results((columns[a:b] for a, b in batches), make, min(jobs, len(batches))):
        made.append(result)
        progress.step(result.height)
    progress.end()
    return pl.concat(made) if made else pl.DataFrame(schema=schema)


def _results(batches: Iterator[pl.DataFrame], make: Make, jobs: int) -> Iterator[pl.DataFrame]:
    if jobs <= 1:
        yield from map(make, batches)
        return
    # The parser holds Python's lock, so threads gain nothing. joblib's processes are started
    # afresh (a fork would copy polars' locks), need no guarded main module, and stay for the
    # next call; few batches are on their way at a time, so memory stays flat
    from joblib import Parallel, delayed

    pool = Parallel(n_jobs=jobs, return_as="generator", batch_size=1, pre_dispatch="2*n_jobs")
    yield from pool(delayed(make)(batch) for batch in batches)


def _bounds(sizes: pl.Series) -> Iterator[tuple[int, int]]:
    """Give where each batch begins and ends."""
    start, room = 0, BATCH_BYTES
    for row, size in enumerate(sizes.to_list()):
        if row > start and (size > room or row - start >= BATCH_CARDS):
            yield start, row
            start, room = row, BATCH_BYTES
        room -= size
    if len(sizes) > start:
        yield start, len(sizes)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Progress:
    """A line on the terminal, or below a notebook's cell, once the work takes seconds."""

    def __init__(self, total: int | None) -> None:
        self.total = total
        self.done = 0
        self.started = time.monotonic()
        self.shown = self.started + 1.5
        self.written = False

    def step(self, n: int) -> None:
        """Count `n` more cards as done, and say so at most twice a second."""
        self.done += n
        now = time.monotonic()
        if now - self.shown < 0.5 or not (sys.stderr.isatty() or "ipykernel" in sys.modules):
            return
        self.shown = now
        self.written = True
        of = f" of {self.total:,}" if self.total is not None else ""
        sys.stderr.write(f"\r{self.done:,}{of} cards")
        sys.stderr.flush()

    def end(self) -> None:
        """End the line, where there is one and all is done."""
        if self.written and (self.total is None or self.done >= self.total):
            sys.stderr.write("\n" if self.total is not None else "")
