"""Notebooks run in the process of the tests: the pages of a report without the start of a kernel.

What a kernel adds (its start, its imports, its messages) is tried by the tests of `report` and on
the corpora of `test_curated_offline`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbformat.v4 import new_output
from traitlets.config import Config

import cardlab as cl
from cardlab import notebook as nb


def execute(notebook: Any, *, scratch: Path, **_: Any) -> Any:
    """Run a notebook in place, as `cardlab.report.execute.execute` does in a kernel."""
    here = os.getcwd()
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    nb.say_no_figure(shell)
    try:
        os.chdir(scratch)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                # within the trap of a cell: what is its last line is captured too
                with shell.display_trap, capture_output() as shown:
                    shell.run_cell(cell.source).raise_error()
                cell.outputs = [
                    new_output("display_data", data=one.data, metadata=one.metadata)
                    for one in shown.outputs
                ]
                if said := shown.stdout + shown.stderr:
                    cell.outputs.append(new_output("stream", text=said))
    finally:
        os.chdir(here)
        InteractiveShell.clear_instance()
    return notebook


def export(source: Any, folder: Path, **given: Any) -> list[Path]:
    """Export reports, one notebook after the other, without kernels."""
    with (
        patch("cardlab.report.export.execute", execute),
        patch.dict(os.environ, {"CARDLAB_PICTURES": "0"}),
    ):
        return cl.export_reports(source, folder, jobs=1, progress=lambda line: None, **given)
