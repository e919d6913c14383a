"""Notebooks at work: each in a kernel and a thread of its own, each page written when whole."""

from __future__ import annotations

import datetime
import os
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import NotebookFailedError, NotebookFailure, ReportError
from .execute import Kernels, execute
from .notebooks import inject_parameters, shown_parameters
from .outputs import Outputs, hidden_paths
from .progress import Progress
from .source import Source, labelled


@dataclass
class Job:
    """One notebook of a run."""

    path: Path
    notebook: Any
    output: Path
    values: dict[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The notebook's name, and its page's."""
        return self.path.stem


@dataclass
class Run:
    """What the notebooks of one run share."""

    source: Source
    folder: Path
    pages: Path
    timeout: int
    siblings: frozenset[str] = frozenset()
    kernels: Kernels = field(default_factory=Kernels)


def export_all(
    work: list[Job], run: Run, *, jobs: int, progress: Progress
) -> dict[str, NotebookFailure]:
    """Export every notebook; return those that failed."""
    failures: dict[str, NotebookFailure] = {}
    lock = threading.Lock()

    def one(number: int, job: Job) -> None:
        start = time.monotonic()
        progress.started(number, job.name)

        def on_cell(done: int, total: int) -> None:
            progress.cell(number, job.name, done=done, total=total)

        try:
            export_one(job, run, on_cell=on_cell)
        except (ReportError, OSError) as error:
            failure = (
                error.failure
                if isinstance(error, NotebookFailedError)
                else NotebookFailure(job.name, None, "", str(error))
            )
            with lock:
                failures[job.name] = failure
            progress.failed(number, job.name, reason=f"{failure.cell or '-'}: {failure.error}")
            return
        seconds = time.monotonic() - start
        progress.finished(number, job.name, seconds=seconds, n_bytes=job.output.stat().st_size)

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        futures = [pool.submit(one, number, job) for number, job in enumerate(work, 1)]
        for future in wait_for(futures, run.kernels):
            future.result()
    return failures


def wait_for(futures: list[Future[Any]], kernels: Kernels) -> list[Future[Any]]:
    """Wait for all; when the user interrupts, end the kernels first."""
    try:
        # In short steps: an endless wait is not interrupted on every platform.
        while wait(futures, timeout=0.25).not_done:
            pass
    except BaseException:
        for future in futures:
            future.cancel()
        kernels.stop()
        raise
    return futures


def export_one(job: Job, run: Run, *, on_cell: Callable[[int, int], None] | None = None) -> None:
    """Run one notebook and write its page, or raise and leave the old page as it is."""
    from .check import check_page
    from .exporter import ReportExporter

    scratch = run.folder / f"k{secrets.token_hex(4)}"
    scratch.mkdir()
    executed = execute(
        inject_parameters(job.notebook, job.values, name=job.name),
        name=job.name,
        scratch=scratch,
        kernels=run.kernels,
        timeout=run.timeout,
        on_cell=on_cell,
    )
    hidden = hidden_paths(run.source.value, label=run.source.label, scratch=scratch)
    given = {key: value for key, value in job.values.items() if key != "source"}
    if given.get("baseline") is not None:
        label = labelled(given["baseline"])
        hidden |= hidden_paths(given["baseline"], label=label, scratch=scratch)
        given["baseline"] = label
    outputs = Outputs(hidden=hidden, siblings=run.siblings)
    about = {
        "name": job.name,
        "corpus": run.source.label,
        "day": today(),
        "parameters": shown_parameters(job.notebook, given, name=job.name),
        "outputs": outputs,
    }
    exporter = ReportExporter()  # type: ignore[no-untyped-call]
    html, _ = exporter.from_notebook_node(executed, {"cardlab": about})

    def check(text: str) -> None:
        check_page(
            text,
            name=job.name,
            n_charts=outputs.n_charts,
            n_tables=outputs.n_tables,
            n_maps=outputs.n_maps,
        )

    write_page(job.output, html, folder=run.pages, check=check)


def write_page(path: Path, html: str, *, folder: Path, check: Callable[[str], None]) -> None:
    """Put a page in its place in one step, after writing it to ``folder`` and checking it there."""
    temporary = folder / path.name
    temporary.write_text(html, encoding="utf-8", newline="\n")
    check(temporary.read_text(encoding="utf-8"))
    os.replace(temporary, path)


def today() -> str:
    """Return the day, from SOURCE_DATE_EPOCH where a build is to be repeatable."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "").strip()
    if epoch.isdigit():
        return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).date().isoformat()
    return datetime.date.today().isoformat()
