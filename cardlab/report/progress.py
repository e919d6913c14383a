"""What a run says while it runs."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from .sanitize import visible

# Between two lines about cells of one notebook, where lines cannot be overwritten.
_SECONDS_BETWEEN = 10.0


class Progress:
    """Lines such as ``[3/6] 02-tag-cooccurrence  cell 7/12``.

    Parameters
    ----------
    total : int
        Number of notebooks.
    say : callable, optional
        Gets each line. By default lines go to stderr, where on a terminal the lines about cells
        overwrite one another.
    """

    def __init__(self, total: int, say: Callable[[str], None] | None = None) -> None:
        self._total = total
        self._say = say
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}
        self._open_line = False
        self._overwrites = say is None and sys.stderr is not None and sys.stderr.isatty()

    def started(self, number: int, name: str) -> None:
        """Say that a notebook has started."""
        self._last[name] = time.monotonic()
        self._line(f"{self._prefix(number, name)}  started")

    def cell(self, number: int, name: str, *, done: int, total: int) -> None:
        """Say how many cells are done, unless that was said a moment ago."""
        now = time.monotonic()
        if not self._overwrites and now - self._last.get(name, 0.0) < _SECONDS_BETWEEN:
            return
        self._last[name] = now
        self._line(f"{self._prefix(number, name)}  cell {done}/{total}", passing=True)

    def finished(self, number: int, name: str, *, seconds: float, n_bytes: int) -> None:
        """Say that a report is written."""
        size = f"{n_bytes / 1000:,.0f} kB"
        self._line(f"{self._prefix(number, name)}  finished in {seconds:.1f} s, {size}")

    def failed(self, number: int, name: str, *, reason: str) -> None:
        """Say that a notebook failed."""
        first_line = next(iter(reason.splitlines()), "")
        self._line(f"{self._prefix(number, name)}  FAILED: {first_line}")

    def _prefix(self, number: int, name: str) -> str:
        return f"[{number}/{self._total}] {name}"

    def _line(self, text: str, *, passing: bool = False) -> None:
        text = visible(text)
        with self._lock:
            if self._say is not None:
                self._say(text)
                return
            start = "\r\x1b[K" if self._open_line else ""
            self._open_line = passing and self._overwrites
            end = "" if self._open_line else "\n"
            # Nobody may read on: that is no reason to end the run.
            with suppress(OSError, ValueError, AttributeError):
                sys.stderr.write(f"{start}{text}{end}")
                sys.stderr.flush()
