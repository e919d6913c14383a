"""The frames that the analyses give on real cards, held against those kept in a file.

A change of structure must not change a result. ``python tests/test_same_results.py`` writes the
file anew; what a commit changes in it is what that commit changes for users.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import real_file

import cardlab as cl
from cardlab.coverage.coverage import unmapped_headings

KEPT = Path(__file__).with_suffix(".json")
CORPORA = {
    "seed": "model_cards.seed.parquet",
    "radar": "models_radar_2026.parquet",
    "vendors": "models_vendors_2026.parquet",
    "study": "models_2022.parquet",
    "hub": "hub_2022_cards.librarian.parquet",
    "data sets": "dataset_cards.librarian.parquet",
}
#: Analysis -> (corpora, call). Frames of a handful of columns each; the texts of the smaller
#: corpora only, so that all takes about half a minute.
CALLS: dict[str, tuple[tuple[str, ...], Callable[[pl.DataFrame], Any]]] = {
    "columns": (tuple(CORPORA), lambda c: c.drop("text", "metadata", "embeddings", strict=False)),
    "profile": (("seed", "radar", "study"), cl.profile),
    "problems": (tuple(CORPORA), cl.problems),
    "growth": (("radar", "vendors", "study"), cl.growth),
    "doubling_time": (("radar", "vendors", "study"), cl.doubling_time),
    "share_trends": (("radar", "vendors"), lambda c: cl.share_trends(c, column="pipeline_tag")),
    "concentration": (("radar", "study"), cl.concentration),
    "tag_counts": (("seed", "radar", "hub"), cl.tag_counts),
    "cooccurrence": (("seed", "radar", "hub"), cl.cooccurrence),
    "cooccurrence by authors": (("seed",), lambda c: cl.cooccurrence(c, families="author")),
    "tag_communities": (("seed", "radar"), lambda c: cl.tag_communities(cl.cooccurrence(c))),
    "tag_trends": (("radar", "vendors"), cl.tag_trends),
    "tag_variants": (("seed", "radar"), cl.tag_variants),
    "license_counts": (("seed", "radar", "hub", "data sets"), cl.license_counts),
    "license_counts by task": (
        ("seed", "radar"),
        lambda c: cl.license_counts(c, by="pipeline_tag", families="author"),
    ),
    "class_counts": (
        ("seed", "radar"),
        lambda c: cl.license_counts(c, weight="downloads", classes=True),
    ),
    "license_conflicts": (("seed", "radar"), cl.license_conflicts),
    "language_counts": (("seed", "radar", "hub", "data sets"), cl.language_counts),
    "language_counts by task": (
        ("seed",),
        lambda c: cl.language_counts(c, by="pipeline_tag", macrolanguages=True),
    ),
    "crosstab": (
        ("seed", "radar"),
        lambda c: cl.crosstab(c, rows="pipeline_tag", columns="library_name"),
    ),
    "lineage": (("seed", "radar"), cl.lineage),
    "lineage_changes": (
        ("radar",),
        lambda c: cl.lineage_changes(cl.with_licenses(c), column="license_class"),
    ),
    "with_text_lengths": (
        ("seed", "hub"),
        lambda c: cl.with_text_lengths(c).drop("text", "metadata", "problems", strict=False),
    ),
    "length_summary": (
        ("seed",),
        lambda _: cl.length_summary(sections().cards, by="pipeline_tag"),
    ),
    "section_coverage": (
        ("seed",),
        lambda _: cl.section_coverage(sections(), standard="huggingface"),
    ),
    "card_coverage": (("seed",), lambda _: cl.card_coverage(sections(), standard="mitchell2019")),
    "documentation_gaps": (("seed",), lambda _: cl.documentation_gaps(sections())),
    "unmapped_headings": (("seed",), lambda _: unmapped_headings(sections())),
    "template_families": (("seed", "data sets"), cl.template_families),
    "compare": (("seed",), lambda c: cl.compare(c.head(1200), c.tail(1300), n_permutations=20)),
    "compare_values": (
        ("seed",),
        lambda c: cl.compare_values(c.head(1200), c.tail(1300), column="tags"),
    ),
    "search": (("seed",), lambda c: cl.search(c, "speech recognition", top=50)),
}


def digest(frame: pl.DataFrame) -> dict[str, Any]:
    """Rows, and for each column its type and what its values add up to.

    Floats: how many there are, their sum and their sum weighted by place, to be held against
    within 1e-9 (other machines add in another order). All else: a sum over CRC-32 of the values
    as text, weighted by place.
    """
    out: dict[str, Any] = {"rows": frame.height}
    place = np.arange(1, frame.height + 1, dtype=np.float64)
    for name, column in zip(frame.columns, frame.get_columns(), strict=True):
        if column.dtype.is_float():
            values = column.to_numpy().astype(np.float64)
            known = np.isfinite(values)
            kept = np.where(known, values, 0.0)
            out[name] = [
                int(known.sum()),
                float(kept.sum()),
                float(kept @ place / max(len(place), 1)),
            ]
        else:
            out[name] = _crc(column)
    return out


def _crc(column: pl.Series) -> int:
    from zlib import crc32

    if column.dtype.is_nested():
        frame = pl.DataFrame({"v": column})
        text = frame.select(pl.struct("v").struct.json_encode()).to_series().to_list()
    else:
        text = column.cast(pl.String).to_list()
    return crc32("\n".join("\0" if value is None else value for value in text).encode())


@cache
def corpus(name: str) -> pl.DataFrame:
    return cl.read_cards(real_file(CORPORA[name]))


@cache
def sections() -> Any:
    """The sections and lengths of the seed's cards, parsed once for all that asks for them."""
    return cl.read_sections(corpus("seed"))


def results(call: str, name: str) -> Any:
    try:
        return digest(CALLS[call][1](corpus(name)))
    except cl.NoFigure as nothing:
        return str(nothing)


def same(was: Any, now: Any) -> bool:
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        return all(
            math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) for a, b in zip(was, now, strict=True)
        )
    return bool(was == now)


@pytest.mark.parametrize(
    ("call", "name"), [(k, n) for k, (names, _) in CALLS.items() for n in names]
)
def test_results_on_real_cards_are_those_kept(call: str, name: str) -> None:
    was, now = json.loads(KEPT.read_text())[call][name], results(call, name)
    if isinstance(was, str) or isinstance(now, str):
        assert now == was
        return
    assert list(now) == list(was)
    assert not [column for column in was if not same(was[column], now[column])]


if __name__ == "__main__":
    only = sys.argv[1:]
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for call, (names, _) in CALLS.items():
        if not only or call in only:
            kept[call] = {name: results(call, name) for name in names}
    KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
