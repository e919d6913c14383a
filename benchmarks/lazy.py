"""What an analysis costs on a lazy frame, against a frame that has been read.

Each analysis is timed on the cards of ``read_cards(file)``, and then on ``scan_cards(file)``, after
a run on the first cards; the ratio is that of the lazy seconds to the others plus those of reading
the columns that the analysis uses. Both have to give the same. Three files hold the same cards: as
written by polars, with row groups of 5,000 rows (many small batches), and with the tags alone, so
that licences and base models have to be taken out of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from . import figures
from .apart import CARDS, Figures, Later, Options, Run, Task, write_cards

cl, pl = Later("cardlab"), Later("polars")
SIZES, SUFFIX = "200000,1000000", CARDS
_MADE = ("license", "languages", "base_model", "datasets", "arxiv", "metadata")
_OF_FIGURES = (
    *("license_counts", "license classes", "language_counts", "license_conflicts", "crosstab"),
    *("compare", "tag_counts", "problems"),
)
#: The columns that each analysis reads.
READ = {name: figures.READ[name] for name in _OF_FIGURES} | {
    "with_licenses": "license",
    "with_languages": "languages",
    "language_problems": "languages",
    "share_trends": "license created_at",
    "lineage": "id base_model tags",
    "lineage_changes": "id base_model license",
    "with_tag_kinds": "tags library_name pipeline_tag languages",
}
NOT_OF_TAGS = ("with_languages", "language_counts", "language_problems")


def _held(cards: Any, *names: str) -> Any:
    cards = cards.select(names)
    return cards.collect(engine="streaming") if isinstance(cards, pl.LazyFrame) else cards


#: Analyses that are more than a call of the function of that name.
MADE_UP: dict[str, Callable[[Any], Any]] = {
    "with_licenses": lambda c: _held(cl.with_licenses(c), "license_spdx", "license_class"),
    "with_languages": lambda c: _held(cl.with_languages(c), "language_codes"),
    "share_trends": lambda c: cl.share_trends(cl.with_licenses(c), column="license_class"),
    "compare": lambda c: figures.halves(c, n_permutations=20),
    "lineage_changes": lambda c: cl.lineage_changes(cl.with_licenses(c)),
    "with_tag_kinds": lambda c: cl.with_tag_kinds(cl.tag_counts(c), cards=c),
}


def write(path: str, size: int, options: Options) -> None:
    write_cards(path, size, options)
    cards = pl.scan_parquet(path)
    cards.sink_parquet(_file(path, "groups"), row_group_size=5000)
    cards.drop(_MADE).sink_parquet(_file(path, "tags"))


def _file(path: str, kind: str) -> str:
    return path if kind == "whole" else str(Path(path).with_suffix(f".{kind}{CARDS}"))


def load(path: str, options: Options, *, kind: str) -> tuple[str, Any]:
    file = _file(path, kind)
    return file, cl.read_cards(file)


def analyse(data: tuple[str, Any], *, analysis: str) -> Any:
    own = MADE_UP.get(analysis)
    return own(data[1]) if own else figures.analyse(data[1], analysis)


def judge(run: Run) -> Figures:
    """Time the reading of the columns and the analysis of the lazy frame."""
    file, cards = run.data
    used = [column for column in READ[run.way].split() if column in ("*", *cards.columns)]
    start = time.perf_counter()
    cl.scan_cards(file).select(used).collect(engine="streaming")
    middle = time.perf_counter()
    found = analyse((file, cl.scan_cards(file)), analysis=run.way)
    lazy, reading = time.perf_counter() - middle, middle - start
    if not found.equals(run.found):
        raise SystemExit("the lazy frame gives another result")
    return {"reading, s": reading, "lazy, s": lazy, "ratio": lazy / (run.seconds + reading)}


def _task(title: str, kind: str, *, without: tuple[str, ...] = ()) -> Task:
    task = Task(
        f"Analyses of {title}: seconds of a frame that has been read, of reading, and lazy",
        load=partial(load, kind=kind),
        warm=lambda data: (data[0], cl.scan_cards(data[0]).head(1000)),
        judge=judge,
        against=(),
    )
    for name in READ:
        if name not in without:
            task.way(name, "cardlab.cards", analysis=name)(analyse)
    return task


TASKS = {
    "whole": _task("a file as polars writes it", "whole"),
    "groups": _task("a file of small row groups", "groups"),
    "tags": _task("tags alone, which tell no languages", "tags", without=NOT_OF_TAGS),
}
