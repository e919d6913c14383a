"""The errors a report can end with."""

from __future__ import annotations

from dataclasses import dataclass

from ..schema import CardlabError


class ReportError(CardlabError):
    """A report could not be made; the message says which one and why."""


class MissingSourceError(ReportError, FileNotFoundError):
    """The corpus to report on does not exist; nothing was run."""


@dataclass(frozen=True)
class NotebookFailure:
    """Where one notebook stopped."""

    name: str
    cell: int | None
    first_line: str
    error: str

    def __str__(self) -> str:
        place = f"cell {self.cell}" if self.cell else "no cell"
        source = f"\n    {self.first_line}" if self.first_line else ""
        return f"{self.name}, {place}: {self.error}{source}"


class NotebookFailedError(ReportError):
    """One notebook stopped with an error; ``failure`` holds the details."""

    def __init__(self, failure: NotebookFailure) -> None:
        super().__init__(str(failure))
        self.failure = failure
