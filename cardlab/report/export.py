"""Notebooks in, offline HTML pages out."""

from __future__ import annotations

import datetime
import os
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..schema import NotebookFailedError, NotebookFailure, ReportError, at_least
from ..scratch import ended_by_signals, scratch_folder
from .execute import Kernels, execute
from .notebooks import (
    Source,
    find_notebook,
    inject_parameters,
    labelled,
    literal,
    parameters_of,
    prepared_source,
    read_notebook,
    refuse_other_kinds,
    refuse_unknown,
    resolved,
    selected_notebooks,
)
from .outputs import Outputs, hidden_paths
from .page import check_page, figures_in, introduction, render_index, render_page, thumbnail
from .sanitize import visible

# ---- What a run says while it runs.

# Between two lines about cells of one notebook, where lines cannot be overwritten.
_SECONDS_BETWEEN = 10.0


class Progress:
    """Lines such as ``[3/6] 02-tag-cooccurrence  cell 7/12``, for `say` or on stderr.

    On a terminal the lines about cells overwrite one another.
    """

    def __init__(self, total: int, say: Callable[[str], None] | None = None) -> None:
        self._total = total
        self._say = say
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}
        self._open_line = False
        self._overwrites = say is None and sys.stderr is not None and sys.stderr.isatty()

    def __call__(self, number: int, name: str, text: str, *, passing: bool = False) -> None:
        """Say something of a notebook; what passes only if nothing was said a moment ago."""
        now, line = time.monotonic(), visible(f"[{number}/{self._total}] {name}  {text}")
        with self._lock:
            lately = now - self._last.get(name, 0.0) < _SECONDS_BETWEEN
            if passing and lately and not self._overwrites:
                return
            self._last[name] = now
            if self._say is not None:
                self._say(line)
                return
            start = "\r\x1b[K" if self._open_line else ""
            self._open_line = passing and self._overwrites
            # Nobody may read on: that is no reason to end the run.
            with suppress(OSError, ValueError, AttributeError):
                sys.stderr.write(f"{start}{line}{'' if self._open_line else chr(10)}")
                sys.stderr.flush()


# ---- Notebooks at work: each in a kernel and a thread of its own, each page written when whole.


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
    #: Of a run over all notebooks, those whose page would say nothing, and why: it is not made.
    skips: bool = False
    nothing: dict[str, str] = field(default_factory=dict)
    kernels: Kernels = field(default_factory=Kernels)


def export_all(
    work: list[Job], run: Run, *, jobs: int, progress: Progress
) -> dict[str, NotebookFailure]:
    """Export every notebook; return those that failed."""
    failures: dict[str, NotebookFailure] = {}

    def one(number: int, job: Job) -> None:
        start = time.monotonic()
        progress(number, job.name, "started")

        def on_cell(done: int, total: int) -> None:
            progress(number, job.name, f"cell {done}/{total}", passing=True)

        try:
            export_one(job, run, on_cell=on_cell)
        except (ReportError, OSError) as error:
            failure = NotebookFailure(job.name, None, "", str(error))
            if isinstance(error, NotebookFailedError):
                failure = error.failure
            failures[job.name] = failure
            first_line = next(iter(failure.error.splitlines()), "")
            progress(number, job.name, f"FAILED: {failure.cell or '-'}: {first_line}")
            return
        if job.name in run.nothing:
            progress(number, job.name, f"has nothing to say: {run.nothing[job.name]}")
            return
        seconds, size = time.monotonic() - start, job.output.stat().st_size / 1000
        progress(number, job.name, f"finished in {seconds:.1f} s, {size:,.0f} kB")

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
    known = parameters_of(job.notebook, name=job.name) or {}
    shown = {key: parameter.source for key, parameter in known.items()}
    shown |= {key: literal(value) for key, value in job.values.items()}
    shown.pop("source", None)  # the corpus has its own place
    baseline = job.values.get("baseline")
    if baseline is not None:
        label = labelled(baseline)
        hidden |= hidden_paths(baseline, label=label, scratch=scratch)
        shown["baseline"] = literal(label)
    on_hub = run.source.value is not None  # what is made up is not
    outputs = Outputs(hidden=hidden, siblings=run.siblings, links=on_hub)
    html = render_page(
        executed,
        name=job.name,
        outputs=outputs,
        corpus=run.source.label,
        day=today(),
        parameters=shown,
        thumbnail=thumbnail,
    )
    if run.skips and outputs.nothing:
        run.nothing[job.name] = outputs.nothing
        job.output.unlink(missing_ok=True)
        return
    write_page(job.output, html, run.pages, outputs.figures)


def write_page(path: Path, html: str, folder: Path, figures: Mapping[str, int]) -> None:
    """Put a page in its place in one step, after writing it to ``folder`` and checking it there."""
    temporary = folder / path.name
    temporary.write_text(html, encoding="utf-8", newline="\n")
    check_page(temporary.read_text(encoding="utf-8"), name=path.stem, figures=figures)
    os.replace(temporary, path)


def today() -> str:
    """Return the day, from SOURCE_DATE_EPOCH where a build is to be repeatable."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "").strip()
    if epoch.isdigit():
        return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).date().isoformat()
    return datetime.date.today().isoformat()


# ---- Notebooks in, offline HTML pages out.


def export_report(
    notebook: str | Path,
    output: str | Path,
    *,
    source: Any = None,
    parameters: Mapping[str, object] | None = None,
    timeout: int = 600,
) -> Path:
    """Run one notebook and write it as one HTML file that works offline.

    Parameters
    ----------
    notebook : str or Path
        A curated notebook's name (``"02-tag-cooccurrence"`` or ``"02"``), or the path of a
        notebook of your own.
    output : str or Path
        The file to write, or an existing folder. An earlier report there stays as it is until
        the new one is complete and checked.
    source : optional
        The corpus, as for :func:`cardlab.scan_cards`; the notebook gets it as its parameter
        ``source``. Default: the notebook's own.
    parameters : mapping, optional
        Values for names that the notebook's cell tagged ``parameters`` assigns.
    timeout : int
        Seconds that one cell may take.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    ReportError
        The notebook failed (it names the cell), a parameter is unknown, or the source does not
        exist (then also a FileNotFoundError).

    Examples
    --------
    >>> cl.export_report("03", "licences.html", source="cards.parquet")  # doctest: +SKIP
    PosixPath('licences.html')
    """
    path = find_notebook(notebook)
    target = Path(output)
    target = target / f"{path.stem}.html" if target.is_dir() else target
    job = Job(path, read_notebook(path), target)
    with (
        _prepared([job], target.parent, source, parameters, timeout=timeout) as run,
        ThreadPoolExecutor(1) as pool,  # the caller may be a notebook, whose event loop is running
    ):
        wait_for([pool.submit(export_one, job, run)], run.kernels)[0].result()
    return target


def export_reports(
    source: Any = None,
    output: str | Path = "reports",
    *,
    notebooks: str | Path | Sequence[str | Path] | None = None,
    parameters: Mapping[str, object] | None = None,
    jobs: int = 2,
    progress: Callable[[str], None] | None = None,
    timeout: int = 600,
    format: str = "html",
) -> list[Path]:
    """Run the curated notebooks and write an HTML report of each, and an index page.

    Parameters
    ----------
    source, timeout
        As in :func:`export_report`. Default: the bundled synthetic corpus.
    output : str or Path
        The folder to write to.
    notebooks : str, Path, or sequence of these, optional
        Only these, each named as in :func:`export_report`.
    parameters : mapping, optional
        Values for the notebooks' parameters. A notebook that lacks one keeps its own course; one
        that no notebook knows is an error, and so is a value of another kind than its default.
    jobs : int
        Notebooks that run at once.
    progress : callable, optional
        Gets a line of text now and then. Default: they are printed to stderr.
    format : {"html", "single", "md", "pdf"}
        A folder of pages; one page that holds all; Markdown with pictures and CSV files, for a
        repository; or a PDF, printed by Chromium. One file may be named by `output`.

    Returns
    -------
    list of Path
        The reports in the order of their notebooks, then ``index.html``. Of all notebooks, one
        that the corpus has nothing for makes no page; the index says why.

    Raises
    ------
    ReportError
        Before anything runs: for an argument that cannot be meant, a folder that cannot be written
        to. After all others are written: naming every notebook that failed, the cell and the error.

    Examples
    --------
    >>> paths = cl.export_reports("cards.parquet", "reports")  # doctest: +SKIP
    """
    at_least(jobs, 1, name="jobs")
    if format != "html":
        from .formats import export_as

        given: dict[str, Any] = {"notebooks": notebooks, "parameters": parameters, "jobs": jobs}
        given |= {"progress": progress, "timeout": timeout}
        return export_as(format, output, lambda into: export_reports(source, into, **given))
    folder = Path(output)
    work = [
        Job(path, read_notebook(path), folder / f"{path.stem}.html")
        for path in selected_notebooks(notebooks)
    ]
    names = [job.name for job in work]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ReportError(f"More than one notebook is called {', '.join(twice)}.")
    if "index" in names:
        raise ReportError("A notebook called 'index' would overwrite the index page; rename it.")
    with _prepared(work, folder, source, parameters, timeout=timeout) as run:
        run.siblings, run.skips = frozenset(names), notebooks is None
        failures = export_all(work, run, jobs=jobs, progress=Progress(len(work), progress))
        without = [job for job in work if job.name in failures or job.name in run.nothing]
        about = {job.name: introduction(job.notebook, name=job.name) for job in without}
        html = render_index(
            folder, day=today(), failures=failures, introductions=about, nothing=run.nothing
        )
        write_page(folder / "index.html", html, run.pages, figures_in(html))
    if failures:
        listed = "\n".join(f"- {failures[name]}" for name in names if name in failures)
        raise ReportError(
            f"{len(failures)} of {len(work)} notebooks failed; {len(work) - len(failures)} reports "
            f"were written to {folder}.\n{listed}"
        )
    made = [job.output for job in work if job.name not in run.nothing]
    return [*made, folder / "index.html"]


@contextmanager
def _prepared(
    work: list[Job],
    folder: Path,
    source: Any,
    parameters: Mapping[str, object] | None,
    *,
    timeout: int,
) -> Iterator[Run]:
    """Check all that can be checked before anything runs, and make the folders of a run.

    One is for kernels and frames, one in `folder` for pages that are not checked yet. A signal
    that ends the run removes both.
    """
    at_least(timeout, 1, name="timeout")
    with (
        ended_by_signals(),
        scratch_folder(Path(tempfile.gettempdir())) as scratch,
        prepared_source(source, folder=scratch) as prepared,
        ExitStack() as out,
    ):
        _set_values(work, parameters, prepared)
        reason = next((f"{job.output.name} is a folder" for job in work if job.output.is_dir()), "")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            pages = out.enter_context(scratch_folder(folder, prefix=".cardlab-"))
        except FileExistsError:
            reason = "it is a file"
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
        if reason:
            raise ReportError(
                f"Reports cannot be written to {str(folder)!r}: {reason}. Nothing was run; name a "
                "folder that you can write to."
            )
        yield Run(prepared, scratch, pages, timeout)


def _set_values(work: list[Job], parameters: Mapping[str, object] | None, source: Source) -> None:
    """Give each job those of the values that it has; refuse what no job has or can take."""
    if not isinstance(parameters, (Mapping, type(None))):
        raise ReportError(f"parameters must map names to values, not {parameters!r}.")
    values = dict(parameters or {})
    if "source" in values:
        raise ReportError("Name the corpus with source=, not among the parameters.")
    for key, value in values.items():
        literal(value, name=key)  # refuse what cannot be injected before anything runs
    if values.get("baseline") is not None:  # a second corpus, named by path as the first
        values["baseline"] = resolved(values["baseline"])
    if source.value is not None:
        values = {"source": source.value, **values}
    known = {job.name: parameters_of(job.notebook, name=job.name) or {} for job in work}
    if len(work) > 1:
        everywhere = sorted(set().union(*known.values()))
        refuse_unknown(values, known=everywhere, name="This run")
    for job in work:
        if len(work) > 1 and "source" in values and "source" not in known[job.name]:
            raise ReportError(f"{job.name} has no parameter 'source'; it cannot take a corpus.")
        one = len(work) == 1  # which must know them all
        job.values = {key: value for key, value in values.items() if one or key in known[job.name]}
        inject_parameters(job.notebook, job.values, name=job.name)
        refuse_other_kinds(job.notebook, job.values, name=job.name)
