"""What is wrong with the cards of a folder, file by file: ``cardlab check``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from .cards import read_cards
from .cards.folder import find_cards
from .coverage.coverage import card_coverage
from .licenses.problems import license_conflicts
from .overview.problems import problems
from .schema import CardlabError, printable

#: What breaks a card: front matter that cannot be read, and a licence that names no terms.
ERRORS = (
    *("unterminated", "not_a_mapping", "yaml_error", "not_utf8", "unreadable", "lfs_pointer"),
    *("not_a_license", "unknown_license", "tags_disagree"),
)


def check(folder: str | Path, *, standard: str | None = None) -> pl.DataFrame:
    """List what is wrong with each card of a folder.

    Parameters
    ----------
    folder : path
        Cards as :func:`cardlab.scan_cards` finds them in a folder; or one ``README.md``.
    standard : str, optional
        Say also which of its sections each card lacks; see :func:`cardlab.section_coverage`.

    Returns
    -------
    pl.DataFrame
        ``file`` (str), ``level`` (``error`` for :data:`ERRORS`, else ``warning``), ``problem``
        (of :func:`cardlab.problems`, a kind of :func:`cardlab.license_conflicts`, or
        ``missing_sections``), ``detail`` (str). By file, errors first.

    Raises
    ------
    SourceError, CardlabError
        There are no cards, or there is no such standard.
    """
    if not Path(folder).is_dir() and Path(folder).suffix.lower() != ".md":
        raise CardlabError(f"{printable(str(folder))} is no folder of cards (ORG/NAME/README.md).")
    cards = read_cards(folder)
    listed = find_cards(Path(folder))
    files = pl.DataFrame({"id": [c.id for c in listed], "file": [str(c.path) for c in listed]})
    conflict = license_conflicts(cards).filter(kind="more_permissive_than_base")
    told = "{}, made from {}: {}"
    said = pl.format(told, "license_class", "base_model", "base_class").alias("detail")
    found = [
        problems(cards).select("id", "problem", "detail"),
        conflict.select("id", pl.col("kind").alias("problem"), said),
    ]
    if standard:
        states = card_coverage(cards, standard=standard)  # type: ignore[arg-type]
        lacking = states.filter(pl.col("state") != "filled", ~pl.col("in_metadata"))
        names = lacking.group_by("id").agg(detail=pl.col("section").str.join(", "))
        found.append(names.select("id", pl.lit("missing_sections").alias("problem"), "detail"))
    level = pl.when(pl.col("problem").is_in(ERRORS)).then(pl.lit("error"))
    table = pl.concat(found).join(files.unique("id", keep="first"), "id", how="left")
    table = table.with_columns(level.otherwise(pl.lit("warning")).alias("level"))
    return table.select("file", "level", "problem", "detail").sort(pl.all(), nulls_last=True)


def marked(found: pl.DataFrame) -> list[str]:
    """Write each row as a command of GitHub's workflows, which marks the file."""

    def escaped(text: str, *, more: Sequence[tuple[str, str]] = ()) -> str:
        for plain, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), *more):
            text = text.replace(plain, code)
        return printable(text)

    of_property = ((":", "%3A"), (",", "%2C"))
    return [
        f"::{level} file={escaped(file or '', more=of_property)},title={problem}::{escaped(detail)}"
        for file, level, problem, detail in found.iter_rows()
    ]
