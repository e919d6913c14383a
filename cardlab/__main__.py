"""The command line: ``cardlab report``, ``prepare``, ``check`` and others: ``--help``."""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import webbrowser
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn, get_args

from . import __version__
from .coverage.headings import Standard
from .schema import CardlabError, printable, shorten


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : list of str, optional
        The arguments; those of the process by default.

    Returns
    -------
    int
        Exit status: 0 where all went well, 1 where something failed (said on standard error),
        2 for arguments that cannot be understood, 130 after an interrupt, 143 when terminated,
        141 when nobody reads what is printed any more.
    """
    for stream in (sys.stdout, sys.stderr):  # a terminal may lack the letters of a card
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            return _run(argv)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where what goes wrong can be said
    except BrokenPipeError:
        _close_stdout()
        return 141
    except OSError as error:
        _close_stdout()
        return _say(str(error), 1)


def _run(argv: list[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    made = "shards" if arguments.run is _prepare else "reports"
    whole = f"{made} written so far are whole"
    try:
        return int(arguments.run(arguments))
    except BrokenPipeError:
        raise
    except CardlabError as error:
        return _say(str(error), 1)
    except OSError as error:
        place = f"{error.filename}: {error.strerror}" if error.strerror and error.filename else ""
        return _say(place or str(error), 1)
    except MemoryError:
        return _say("there is not enough memory for this", 1)
    except KeyboardInterrupt:
        return _say(f"interrupted; {whole}", 130)
    except SystemExit as end:  # a signal
        return _say(f"terminated; {whole}", int(end.code or 0))


def _say(message: str, status: int) -> int:
    with suppress(OSError):
        print(f"cardlab: {printable(message)}", file=sys.stderr, flush=True)
    return status


def _close_stdout() -> None:
    """Send what is still to be printed nowhere, lest Python complain of it when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="cardlab", description="Study a corpus of model cards.")
    parser.add_argument("--version", action="version", version=f"cardlab {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    source = "file, glob, folder or URL of cards; without it the bundled synthetic corpus"

    report = commands.add_parser("report", help="execute the notebooks and export HTML reports")
    report.add_argument("source", nargs="?", help=source)
    report.add_argument("--out", default="reports", metavar="DIR", help="default: reports")
    report.add_argument(
        "--notebook", action="append", metavar="NAME", help="only this one (repeatable): 02, a path"
    )
    report.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a notebook's parameter"
    )
    report.add_argument("--jobs", type=int, default=2, metavar="N", help="kernels at once (2)")
    said = "a folder of pages (html), one page of all (single), Markdown (md), or a PDF"
    forms = ("html", "single", "md", "pdf")
    report.add_argument("--format", choices=forms, default="html", help=said)
    report.add_argument("--open", action="store_true", help="show it in a browser when it is there")
    report.add_argument("--list", action="store_true", help="name the notebooks, and run nothing")
    report.set_defaults(run=_report)

    notebooks = commands.add_parser("notebooks", help="copy the notebooks into a folder")
    notebooks.add_argument("folder", metavar="DIR")
    notebooks.set_defaults(run=_notebooks)

    lab = commands.add_parser("lab", help="open the notebooks in JupyterLab, in a folder of yours")
    lab.add_argument("folder", nargs="?", default="notebooks", metavar="DIR", help="(notebooks)")
    lab.set_defaults(run=_lab)

    profile = commands.add_parser("profile", help="describe the columns of a corpus")
    profile.add_argument("source", nargs="?", help=source)
    profile.set_defaults(run=_profile)

    prepare = commands.add_parser("prepare", help="write a corpus once for reading it again")
    prepare.add_argument("source", help="file, glob, folder or URL of cards")
    prepare.add_argument("output", metavar="OUT", help="the folder, for any command's SOURCE")
    prepare.add_argument("--rows", type=int, default=50_000, metavar="N", help="of a shard (50000)")
    prepare.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    prepare.set_defaults(run=_prepare)

    check = commands.add_parser("check", help="say what is wrong with a folder's cards, for CI")
    check.add_argument("folder", metavar="FOLDER", help="of cards: ORG/NAME/README.md; or a README")
    said = "warn of its sections that are missing: " + ", ".join(get_args(Standard))
    check.add_argument("--standard", metavar="NAME", help=said)
    check.add_argument("--strict", action="store_true", help="fail for warnings too")
    check.set_defaults(run=_check)

    sample = commands.add_parser("sample", help="write a synthetic corpus")
    sample.add_argument("--cards", type=int, default=2000, metavar="N", help="default: 2000")
    sample.add_argument("--seed", type=int, default=0, metavar="N", help="random_state (0)")
    sample.add_argument(
        "output", metavar="OUT", help="a .parquet file; or a folder, for shards of 50,000 cards"
    )
    sample.set_defaults(run=_sample)
    return parser


def _report(arguments: argparse.Namespace) -> int:
    from .cards import scan_cards
    from .report.export import export_reports
    from .report.notebooks import parameters_of, read_notebook, selected_notebooks
    from .report.page import introduction

    if arguments.list:
        for path in selected_notebooks(arguments.notebook):
            print(f"{path.stem:<28} {introduction(read_notebook(path), name=path.stem)[0]}")
        return 0
    kinds: dict[str, set[type]] = {}
    for path in selected_notebooks(arguments.notebook):
        for name, found in (parameters_of(read_notebook(path), name=path.stem) or {}).items():
            kinds[name] = kinds.get(name, set()) | found.kinds
    parameters = dict(_assignment(text, kinds) for text in arguments.set)
    for corpus in (arguments.source, parameters.get("baseline")):
        if isinstance(corpus, (str, list)):
            scan_cards(corpus)  # what is no corpus is refused once, not by every notebook
    written = export_reports(
        arguments.source,
        arguments.out,
        notebooks=arguments.notebook,
        parameters=parameters or None,
        jobs=arguments.jobs,
        format=arguments.format,
    )
    one = len(written) == 1
    print(printable(str(written[0] if one else f"{len(written):,} files in {arguments.out}")))
    if arguments.open:
        begin = next((path for path in written if path.stem in ("index", "README")), written[0])
        webbrowser.open(begin.resolve().as_uri())
    return 0


def _assignment(text: str, kinds: dict[str, set[type]]) -> tuple[str, Any]:
    """Read ``key=value``: a Python literal where it is one that the parameter takes, else text."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise CardlabError(f"--set takes KEY=VALUE such as top=100, not {printable(text)!r}.")
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return name, value
    takes = kinds.get(name, set())
    return name, value if str in takes and type(found) not in takes else found


def _notebooks(arguments: argparse.Namespace) -> int:
    from .report.notebooks import copy_notebooks

    for path in copy_notebooks(Path(arguments.folder)):
        print(printable(str(path)))
    return 0


def _lab(arguments: argparse.Namespace) -> int:
    from .report.notebooks import copy_notebooks

    if find_spec("jupyterlab") is None:
        raise CardlabError("JupyterLab is not installed; install it: pip install jupyterlab")
    copy_notebooks(arguments.folder, keep=True)
    return subprocess.call([sys.executable, "-m", "jupyterlab", arguments.folder])


def _profile(arguments: argparse.Namespace) -> int:
    from .cards import scan_cards
    from .overview.problems import problems
    from .overview.profile import profile
    from .sample.make import make_cards

    cards = scan_cards(make_cards() if arguments.source is None else arguments.source)
    print(f"{'column':<18} {'type':<26} {'null':>7} {'unique':>10}  examples")
    for row in profile(cards).iter_rows(named=True):
        share = "-" if row["null_share"] is None else f"{100 * row['null_share']:.1f} %"
        unique = "-" if row["n_unique"] is None else f"{row['n_unique']:,}"
        name, dtype = shorten(printable(row["column"]), 18), shorten(row["dtype"], 26)
        examples = shorten("; ".join(row["examples"]), 80)
        print(f"{name:<18} {dtype:<26} {share:>7} {unique:>10}  {examples}")
    found = problems(cards)
    counts = found.group_by("problem").len().sort(["len", "problem"], descending=[True, False])
    for problem, n in counts.iter_rows():
        print(f"problem {problem}: {n:,}")
    return 0


#: What Rust says where it has no memory, or where one of its threads ended for the want of it.
_NO_MEMORY = re.compile("memory allocation of|JoinError::Panic")


def _prepare(arguments: argparse.Namespace) -> int:
    from .cards.prepare import prepare
    from .scratch import ended_by_signals

    rows = arguments.rows
    if not arguments.here:  # what ends a process, such as no more memory, is said by another
        call = [sys.executable, "-m", "cardlab", "prepare", "--here", "--rows", str(rows), "--"]
        call += [arguments.source, arguments.output]
        how: dict[str, Any] = {"stderr": subprocess.PIPE, "errors": "backslashreplace"}
        with ended_by_signals(), subprocess.Popen(call, **how) as work:
            try:
                for line in work.stderr or ():
                    _to_stderr(line.rstrip())
                    if _NO_MEMORY.search(line):  # polars may wait for ever for what failed
                        work.kill()
            except BaseException:
                work.terminate()
                raise
        if work.returncode >= 0:
            return work.returncode
        raise CardlabError(
            f"ended by {signal.Signals(-work.returncode).name}: there may not have been enough "
            "memory, or a file of the source was cut while it was read. What was there is as it "
            f"was. Run it again: it goes on where it was, or in less memory with --rows "
            f"{max(rows // 5, 1)}."
        )
    if sys.platform == "linux":  # a killed command takes its work with it
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    prepare(arguments.source, arguments.output, rows=rows, progress=_to_stderr)
    print(printable(arguments.output))
    return 0


def _to_stderr(line: str) -> None:
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _check(arguments: argparse.Namespace) -> int:
    from ._check import check, marked

    found = check(arguments.folder, standard=arguments.standard)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        lines = marked(found)
    else:
        lines = [
            f"{file}: {level}: {kind}: {said}" for file, level, kind, said in found.iter_rows()
        ]
    for line in lines:
        print(printable(line))
    n_errors = found.filter(level="error").height
    print(f"{n_errors:,} errors, {found.height - n_errors:,} warnings")
    return int(bool(found.height if arguments.strict else n_errors))


def _sample(arguments: argparse.Namespace) -> int:
    from .sample.make import card_blocks, make_cards

    output = Path(arguments.output)
    if output.suffix not in (".parquet", ""):
        raise CardlabError(f"the output must end in .parquet, not {output.name!r}; or be a folder.")
    reason = None if output.parent.is_dir() else f"there is no folder {str(output.parent)!r}"
    if output.suffix and output.is_dir():
        reason = "it is a folder"
    if not output.suffix and output.exists() and (output.is_file() or any(output.iterdir())):
        reason = "it is there already"
    part = output.with_name(output.name + ".part")
    if part.is_dir():
        reason = f"{printable(part.name)!r} beside it is a folder; move it away"
    if reason:
        raise CardlabError(f"cards cannot be written to {str(output)!r}: {reason}.")
    n_cards, seed = arguments.cards, arguments.seed
    try:
        if output.suffix:
            with part.open("wb") as file:  # before the cards are made; polars wants names in UTF-8
                make_cards(n_cards, random_state=seed).write_parquet(file)
        else:
            part.mkdir()
            done = 0
            for number, cards in enumerate(card_blocks(n_cards, random_state=seed)):
                with (part / f"cards-{number:05}.parquet").open("wb") as file:
                    cards.write_parquet(file)
                done += cards.height
                print(f"{done:,} of {n_cards:,} cards", file=sys.stderr)
        part.replace(output)
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        part.unlink(missing_ok=True)
    print(f"{n_cards:,} cards: {printable(str(output))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
