"""Run notebooks and export them as HTML reports that work offline.

This package knows notebooks and their outputs; it never imports an analysis.
"""

from __future__ import annotations

from .errors import MissingSourceError, ReportError
from .notebooks import copy_notebooks, curated_notebooks, notebooks_folder
from .run import export_report, export_reports

__all__ = [
    "MissingSourceError",
    "ReportError",
    "copy_notebooks",
    "curated_notebooks",
    "export_report",
    "export_reports",
    "notebooks_folder",
]
