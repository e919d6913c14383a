"""The command line: ``cardlab report``, ``notebooks``, ``profile``, ``sample``."""

from __future__ import annotations

import argparse
import ast
import sys
from pathlib import Path
from typing import Any

from . import __version__
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
        2 for arguments that cannot be understood, 130 after an interrupt.
    """
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except CardlabError as error:
        print(f"cardlab: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"cardlab: {printable(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cardlab: interrupted; reports written so far are whole", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cardlab", description="Study a corpus of model cards.")
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
    report.set_defaults(run=_report)

    notebooks = commands.add_parser("notebooks", help="copy the notebooks into a folder")
    notebooks.add_argument("folder", metavar="DIR")
    notebooks.set_defaults(run=_notebooks)

    profile = commands.add_parser("profile", help="describe the columns of a corpus")
    profile.add_argument("source", nargs="?", help=source)
    profile.set_defaults(run=_profile)

    sample = commands.add_parser("sample", help="write a synthetic corpus")
    sample.add_argument("--cards", type=int, default=2000, metavar="N", help="default: 2000")
    sample.add_argument("--seed", type=int, default=0, metavar="N", help="random_state (0)")
    sample.add_argument("output", metavar="OUT.parquet")
    sample.set_defaults(run=_sample)
    return parser


def _report(arguments: argparse.Namespace) -> int:
    from .cards import scan_cards
    from .report import export_reports

    parameters = dict(_assignment(text) for text in arguments.set)
    if arguments.source is not None:
        scan_cards(arguments.source)  # what is no corpus is refused once, not by every notebook
    written = export_reports(
        arguments.source,
        arguments.out,
        notebooks=arguments.notebook,
        parameters=parameters or None,
        jobs=arguments.jobs,
    )
    print(f"{len(written):,} files in {printable(str(arguments.out))}")
    return 0


def _assignment(text: str) -> tuple[str, Any]:
    """Read ``key=value``: a Python literal where it is one, else the text itself."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise CardlabError(f"--set takes KEY=VALUE such as top=100, not {printable(text)!r}.")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def _notebooks(arguments: argparse.Namespace) -> int:
    from .report.notebooks import copy_notebooks

    for path in copy_notebooks(Path(arguments.folder)):
        print(printable(str(path)))
    return 0


def _profile(arguments: argparse.Namespace) -> int:
    from .cards import scan_cards
    from .overview import problems, profile
    from .sample import make_cards

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


def _sample(arguments: argparse.Namespace) -> int:
    from .sample import make_cards

    output = Path(arguments.output)
    if output.suffix != ".parquet":
        raise CardlabError(f"the output must end in .parquet, not {output.name!r}.")
    cards = make_cards(arguments.cards, random_state=arguments.seed)
    part = output.with_suffix(".parquet.part")
    cards.write_parquet(part)
    part.replace(output)
    print(f"{cards.height:,} cards, {len(cards.columns)} columns: {printable(str(output))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
