"""Notebooks in, offline HTML pages out."""

from __future__ import annotations

import datetime
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ..schema import NotebookFailedError, NotebookFailure, ReportError, at_least
from .execute import Kernels, execute
from .notebooks import (
    Source,
    find_notebook,
    inject_parameters,
    known_parameters,
    labelled,
    literal,
    prepared_source,
    read_notebook,
    refuse_other_kinds,
    refuse_unknown,
    resolved,
    selected_notebooks,
    shown_parameters,
)
from .outputs import Outputs, hidden_paths
from .page import index_cards, introduction
from .sanitize import visible

# ---- What a run says while it runs.

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
    from .page import ReportExporter

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


# ---- Folders that are gone when a run has ended, however it ended.

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# The system frees a lock when the process that holds it ends, also one that was killed. A number
# of a process could belong to another one by then, or to another container.
_LOCK = "in-use"


@contextmanager
def scratch_folder(parent: Path, *, prefix: str = "cardlab-") -> Iterator[Path]:
    """Yield a new folder that is gone afterwards; those that killed runs have left go too.

    Raises
    ------
    OSError
        Nothing can be written to ``parent``.
    """
    for left in parent.glob(f"{prefix}*"):
        _remove_where_dead(left)
    folder, lock = _claimed(parent, prefix)
    try:
        yield folder
    finally:
        lock.close()
        shutil.rmtree(folder, ignore_errors=True)


def _claimed(parent: Path, prefix: str) -> tuple[Path, IO[bytes]]:
    """Make a folder and take its lock, before another run takes it for a dead one's."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent)).resolve()
        lock = (folder / _LOCK).open("wb")
        try:
            _hold(lock)
        except (BlockingIOError, PermissionError):
            lock.close()
            continue
        except OSError:  # a file system without locks: nobody else can take this one either
            return folder, lock
        if (folder / _LOCK).exists():
            return folder, lock
        lock.close()


def _remove_where_dead(folder: Path) -> None:
    """Remove a folder of ours whose lock nobody holds."""
    with suppress(OSError):  # gone meanwhile, of another user, or in use
        if folder.is_symlink() or (sys.platform != "win32" and folder.stat().st_uid != os.getuid()):
            return
        with (folder / _LOCK).open("r+b") as lock:
            _hold(lock)
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)  # Windows keeps a file that is open


def _hold(lock: IO[bytes]) -> None:
    """Take a lock at once, or raise OSError."""
    if sys.platform == "win32":
        msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as an interrupt does: with SystemExit, 128 + its number.

    Where the program sees to a signal by itself, or the block does not run in the main thread,
    nothing changes.
    """

    def end(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_IGN)  # what follows is cleaning up
        raise SystemExit(128 + number)

    found = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]
    main = threading.current_thread() is threading.main_thread()
    ours = [n for n in found if main and n is not None and signal.getsignal(n) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


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
        The corpus: a path, glob, folder, URL, a list of these, or a frame in memory. The notebook
        gets it as its parameter ``source``. Default: the notebook's own.
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
        When the notebook fails, naming the cell; when a parameter is unknown; when the source
        does not exist (then also a FileNotFoundError). The old report is left untouched.
    """
    at_least(timeout, 1, name="timeout")
    path = find_notebook(notebook)
    target = Path(output)
    target = target / f"{path.stem}.html" if target.is_dir() else target
    job = Job(path, read_notebook(path), target)
    with (
        _scratch() as folder,
        prepared_source(source, folder=folder) as prepared,
        ExitStack() as out,
    ):
        job.values = _values(parameters, prepared)
        _check_values([job], strict=True)
        run = Run(prepared, folder, _page_folder(target.parent, [job], out), timeout)
        # In a thread, because the caller may be a notebook, whose event loop is running.
        with ThreadPoolExecutor(1) as pool:
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
) -> list[Path]:
    """Run the curated notebooks and write an HTML report of each, and an index page.

    Parameters
    ----------
    source : optional
        The corpus, as in :func:`export_report`. Default: the bundled synthetic corpus.
    output : str or Path
        The folder to write to.
    notebooks : str, Path, or sequence of these, optional
        Only these: names, numbers, or paths of notebooks of your own.
    parameters : mapping, optional
        Values for the notebooks' parameters. A notebook that lacks one keeps its own course; one
        that no notebook knows is an error, and so is a value of another kind than its default.
    jobs : int
        Notebooks that run at once.
    progress : callable, optional
        Gets a line of text now and then. Default: they are printed to stderr.
    timeout : int
        Seconds that one cell may take.

    Returns
    -------
    list of Path
        The reports in the order of their notebooks, then ``index.html``.

    Raises
    ------
    ReportError
        Before anything runs: for an argument that cannot be meant, a folder that cannot be
        written to. After all others are written: naming every notebook that failed, the cell and
        the error.
    """
    at_least(jobs, 1, name="jobs")
    at_least(timeout, 1, name="timeout")
    folder = Path(output)
    work = [
        Job(path, read_notebook(path), folder / f"{path.stem}.html")
        for path in selected_notebooks(notebooks)
    ]
    _refuse_same_names(work)
    with (
        _scratch() as scratch,
        prepared_source(source, folder=scratch) as prepared,
        ExitStack() as out,
    ):
        for job in work:
            job.values = _values(parameters, prepared)
        _check_values(work, strict=False)
        pages = _page_folder(folder, work, out)
        names = frozenset(job.name for job in work)
        run = Run(prepared, scratch, pages, timeout, siblings=names)
        failures = export_all(work, run, jobs=jobs, progress=Progress(len(work), progress))
        introductions = {
            job.name: introduction(job.notebook, name=job.name)
            for job in work
            if job.name in failures
        }
        index = _write_index(folder, failures, introductions, pages=pages)
    if failures:
        listed = "\n".join(f"- {failures[job.name]}" for job in work if job.name in failures)
        n_done = len(work) - len(failures)
        raise ReportError(
            f"{len(failures)} of {len(work)} notebooks failed; {n_done} reports were written to "
            f"{folder}.\n{listed}"
        )
    return [*(job.output for job in work), index]


@contextmanager
def _scratch() -> Iterator[Path]:
    """Yield a folder for kernels and frames; a signal that ends the run cleans up as well."""
    with ended_by_signals(), scratch_folder(Path(tempfile.gettempdir())) as folder:
        yield folder


def _page_folder(folder: Path, work: list[Job], stack: ExitStack) -> Path:
    """Make the folder of the reports, and in it one for pages that are not checked yet."""
    reason = next((f"{job.output.name} is a folder" for job in work if job.output.is_dir()), "")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pages = stack.enter_context(scratch_folder(folder, prefix=".cardlab-"))
    except FileExistsError:
        reason = "it is a file"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    if reason:
        raise ReportError(
            f"Reports cannot be written to {str(folder)!r}: {reason}. Nothing was run; name a "
            "folder that you can write to."
        )
    return pages


def _values(parameters: Mapping[str, object] | None, source: Source) -> dict[str, object]:
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
    return values


def _check_values(work: list[Job], *, strict: bool) -> None:
    """Refuse parameters that are not known, and drop from each job those it does not have."""
    known = {job.name: known_parameters(job.notebook, name=job.name) for job in work}
    if strict or len(work) == 1:
        for job in work:
            inject_parameters(job.notebook, job.values, name=job.name)
            refuse_other_kinds(job.notebook, job.values, name=job.name)
        return
    everywhere = {name for names in known.values() for name in names or {}}
    refuse_unknown(work[0].values if work else {}, known=sorted(everywhere), name="This run")
    for job in work:
        if "source" in job.values and "source" not in (known[job.name] or {}):
            raise ReportError(f"{job.name} has no parameter 'source'; it cannot take a corpus.")
        names = known[job.name] or {}
        job.values = {key: value for key, value in job.values.items() if key in names}
        refuse_other_kinds(job.notebook, job.values, name=job.name)


def _refuse_same_names(work: list[Job]) -> None:
    names = [job.name for job in work]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ReportError(f"More than one notebook is called {', '.join(twice)}.")
    if "index" in names:
        raise ReportError("A notebook called 'index' would overwrite the index page; rename it.")


def _write_index(
    folder: Path,
    failures: Mapping[str, NotebookFailure],
    introductions: Mapping[str, tuple[str, str]],
    *,
    pages: Path,
) -> Path:
    from .check import check_page
    from .page import render_index

    cards = index_cards(folder, failures=failures, introductions=introductions)
    path = folder / "index.html"
    html = render_index(cards, day=today())
    write_page(path, html, folder=pages, check=lambda text: check_page(text, name="index"))
    return path
