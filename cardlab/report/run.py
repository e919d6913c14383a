"""Notebooks in, offline HTML pages out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ..schema import at_least
from .errors import NotebookFailure, ReportError
from .index import index_cards
from .jobs import Job, Run, export_all, export_one, today, wait_for, write_page
from .notebooks import (
    find_notebook,
    inject_parameters,
    known_parameters,
    literal,
    read_notebook,
    refuse_other_kinds,
    refuse_unknown,
    selected_notebooks,
)
from .page import introduction
from .progress import Progress
from .scratch import ended_by_signals, scratch_folder
from .source import Source, prepared_source, resolved


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
    from .exporter import render_index

    cards = index_cards(folder, failures=failures, introductions=introductions)
    path = folder / "index.html"
    html = render_index(cards, day=today())
    write_page(path, html, folder=pages, check=lambda text: check_page(text, name="index"))
    return path
