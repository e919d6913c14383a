"""What an analysis costs on a lazy frame, against a frame that has been read.

Each analysis is run on ``scan_cards(file)`` and on the cards of ``read_cards(file)``; the ratio is
that of the first to the second plus reading the columns that the analysis uses. Three files hold
the same cards: as written by polars, with row groups of 5,000 rows (many small batches), and with
the tags alone, so that licences, languages and base models have to be taken out of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from .cooccurrence import write_cards

FILES = {"columns": "one file", "groups": "small row groups", "tags": "tags alone"}
_MADE = ("license", "languages", "base_model", "datasets", "arxiv", "metadata")


def _analyses() -> dict[str, tuple[tuple[str, ...], Callable[[Any], Any]]]:
    """Give each analysis with the columns that it reads."""
    import polars as pl

    import cardlab as cl

    def held(cards: Any, *names: str) -> Any:
        cards = cards.select(names)
        return cards.collect(engine="streaming") if isinstance(cards, pl.LazyFrame) else cards

    def by_task(cards: Any) -> Any:
        return cl.crosstab(cl.with_licenses(cards), rows="pipeline_tag", columns="license_class")

    def passed_on(cards: Any) -> Any:
        return cl.lineage_changes(cl.with_licenses(cards))

    def halves(cards: Any) -> Any:
        first = pl.col("id").str.len_bytes() % 2 == 0
        return cl.compare(cards.filter(first), cards.filter(~first), n_boot=20)

    of_licenses = ("license_spdx", "license_class")
    return {
        "with_licenses": (("license",), lambda c: held(cl.with_licenses(c), *of_licenses)),
        "with_languages": (("languages",), lambda c: held(cl.with_languages(c), "language_codes")),
        "license_counts": (("license",), cl.license_counts),
        "class_counts": (("license",), cl.class_counts),
        "language_counts": (("languages",), cl.language_counts),
        "license_problems": (("license",), cl.license_problems),
        "language_problems": (("languages",), cl.language_problems),
        "license_conflicts": (
            ("id", "tags", "license", "base_model", "metadata"),
            cl.license_conflicts,
        ),
        "crosstab": (("license", "pipeline_tag"), by_task),
        "share_trends": (
            ("license", "created_at"),
            lambda c: cl.share_trends(cl.with_licenses(c), column="license_class"),
        ),
        "compare": (
            ("id", "tags", "license", "languages", "pipeline_tag", "library_name"),
            halves,
        ),
        "lineage": (("id", "base_model", "tags"), cl.lineage),
        "lineage_changes": (("id", "base_model", "license"), passed_on),
        "tag_counts": (("tags",), cl.tag_counts),
        "with_tag_kinds": (
            ("tags", "library_name", "pipeline_tag", "languages"),
            lambda c: cl.with_tag_kinds(cl.tag_counts(c), cards=c),
        ),
        "problems": (("id", "tags", "license", "languages", "metadata", "problems"), cl.problems),
    }


def run_here(path: str, names: list[str] | None = None) -> dict[str, dict[str, float]]:
    """Time the analyses on one file in this process, after a run on its first cards."""
    import cardlab as cl

    whole = cl.read_cards(path)
    found = {}
    for name, (columns, analysis) in _analyses().items():
        if names and name not in names:
            continue
        try:
            analysis(cl.scan_cards(path).head(1000))  # reads its tables and modules
        except cl.MissingColumn:  # tags alone tell no languages
            continue
        used = [column for column in columns if column in whole.columns]
        read, _ = _timed(lambda cards, used=used: cards.select(used).collect(), cl.scan_cards(path))
        eager, expected = _timed(analysis, whole)
        lazy, result = _timed(analysis, cl.scan_cards(path))
        if not result.equals(expected):
            raise SystemExit(f"{name}: the lazy frame gives another result")
        found[name] = {"read": read, "eager": eager, "lazy": lazy}
    return found


def _timed(analysis: Callable[[Any], Any], cards: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = analysis(cards)
    return time.perf_counter() - start, result


def run_apart(path: str, names: list[str] | None) -> dict[str, dict[str, float]]:
    """Time the analyses in a fresh process."""
    code = [sys.executable, "-m", "benchmarks.lazy", path, *(names or [])]
    out = subprocess.run(code, capture_output=True, text=True, check=False)
    if out.returncode:
        raise SystemExit(out.stderr)
    found: dict[str, dict[str, float]] = json.loads(out.stdout)
    return found


def table(*, sizes: list[int], runs: int, ways: list[str] | None = None) -> str:
    """Run all analyses on all files and give the medians as a Markdown table."""
    import polars as pl

    lines = [
        "Seconds on a frame that was read, to read its columns, and on a lazy frame; ratio: the "
        "third to the sum of the others.",
        "",
        "| cards | file | analysis | eager, s | reading, s | lazy, s | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            paths = {"columns": write_cards(folder, size)}
            cards = pl.scan_parquet(paths["columns"])
            paths |= {kind: str(Path(folder) / f"{kind}.parquet") for kind in ("groups", "tags")}
            cards.sink_parquet(paths["groups"], row_group_size=5000)
            cards.drop(_MADE).sink_parquet(paths["tags"])
            for kind, path in paths.items():
                timed = [run_apart(path, ways) for _ in range(runs)]
                for name in timed[0]:
                    eager, read, lazy = (
                        median(run[name][way] for run in timed) for way in ("eager", "read", "lazy")
                    )
                    lines.append(
                        f"| {size:,} | {FILES[kind]} | {name} | {eager:.2f} | {read:.2f} | "
                        f"{lazy:.2f} | {lazy / (eager + read):.2f} |"
                    )
                    print(lines[-1], file=sys.stderr)
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(run_here(sys.argv[1], sys.argv[2:] or None)))
