"""How often the sections that are found are there: by the labels of 150 cards that were read.

The labels are those of ``tests/validation``, the texts stand in ``../shared/data``. With
``--write`` the counts go to ``cardlab/data/coverage_validation.csv``, where notebooks read them.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

import cardlab as cl
from cardlab.coverage.headings import COUNTS, definitions, sections_of
from cardlab.shares.counting import interval

from .apart import markdown

ROOT = Path(__file__).resolve().parent.parent
LABELS = ROOT / "tests" / "validation" / "sections.csv"
TEXTS = ROOT.parent / "shared" / "data"
COUNTED = ROOT / "cardlab" / "data" / "coverage_validation.csv"
#: What a card has for a section, the least first: of several the last counts.
STATES = pl.Enum(["absent", "mention", "empty", "placeholder", "filled"])
HERE, FOUND = pl.col("label") == "filled", pl.col("state") == "filled"


def labelled() -> pl.DataFrame:
    """Give the label of each card and section: of the standards labelled, and those made of them.

    A section of another standard has the best label of the template's sections whose headings it
    asks for too, where these are all that it asks for.
    """
    rows = pl.read_csv(LABELS)
    cards = rows.select("file", "id", "half", "language").unique(maintain_order=True)
    rows = rows.drop_nulls("section").select(
        *("file", "id", "standard", "section"), pl.col("label").cast(STATES), "shown_by"
    )
    parts = {item.name: set(item.concepts) for item in sections_of("huggingface")}
    own = rows["standard"].unique().to_list()
    made = []
    for standard in definitions()["standards"].keys() - {"huggingface_datasets"}:  # models' cards
        for item in sections_of(standard):
            asked = [name for name, concepts in parts.items() if concepts <= set(item.concepts)]
            if standard in own:
                made.append((standard, item.name, standard, item.name))
            elif set().union(*(parts[name] for name in asked)) == set(item.concepts):
                made += [(standard, item.name, "huggingface", name) for name in asked]
    columns = ["for", "of", "standard", "section"]
    found = pl.DataFrame(made, schema=columns, orient="row").join(cards, how="cross")
    found = found.join(rows, on=["file", "id", "standard", "section"], how="left")
    return (
        found.with_columns(pl.col("label").fill_null("absent"))
        .group_by("half", "language", "file", "id", "for", "of")
        .agg(pl.col("label").max(), pl.col("shown_by").first())
        .rename({"for": "standard", "of": "section"})
    )


def compared() -> pl.DataFrame:
    """Add what is found: ``state`` and ``evidence``, by each card alone.

    So no text counts as boilerplate because other cards have it too.
    """
    labels = labelled()
    found = []
    for (name,), of in labels.select("file", "id").unique().sort("file").group_by("file"):
        if not (path := TEXTS / str(name)).exists():
            raise SystemExit(f"the labelled cards are not here: no {path}")
        known = cs.by_name("id", "modelId", require_all=False).is_in(of["id"].implode())
        cards = cl.read_cards(pl.scan_parquet(path).filter(known).collect())
        read = cl.read_sections(cards, lengths=False)
        for standard in labels["standard"].unique():
            states = cl.card_coverage(read, standard=standard, min_shared=10**9)
            where = {"file": pl.lit(name), "standard": pl.lit(standard)}
            found.append(states.select("id", "section", "state", "evidence", **where))
    key = ["file", "id", "standard", "section"]
    return labels.join(pl.concat(found), on=key, how="inner", validate="1:1")


def counts(rows: pl.DataFrame) -> pl.DataFrame:
    """Count the cards of each half and section by what is there and what is found."""
    order = [(s, item.name) for s in definitions()["standards"] for item in sections_of(s)]
    places = pl.DataFrame(order, schema=["standard", "section"], orient="row").with_row_index("at")
    kinds = HERE & FOUND, ~HERE & FOUND, HERE & ~FOUND, ~HERE & ~FOUND
    sums = {name: kind.sum().cast(pl.Int64) for name, kind in zip(COUNTS, kinds, strict=True)}
    counted = rows.group_by("half", "standard", "section").agg(**sums)
    counted = counted.join(places, on=["standard", "section"])
    return counted.sort("half", "at", descending=[True, False]).drop("at")


def rate(rows: pl.DataFrame, true: pl.Expr) -> list[float | int | None]:
    """Give a share of rows and its 95 % interval, the cards drawn again 2,000 times."""
    sums = rows.group_by("file", "id").agg(true.sum().alias("n"), pl.len().alias("of"))
    n, of = sums.sort("file", "id").select("n", "of").cast(pl.Int64).to_numpy().T
    if not len(of):
        return [0, None, None, None]
    draws = np.random.default_rng(0).multinomial(len(of), np.full(len(of), 1 / len(of)), 2000)
    ends = np.quantile(draws @ n / (draws @ of), [0.025, 0.975])
    return [int(of.sum()), n.sum() / of.sum(), *ends.tolist()]


def overall(rows: pl.DataFrame) -> pl.DataFrame:
    """Give precision and recall of the template's sections, by how a section shows."""
    heading, evident = pl.col("evidence").is_null(), pl.col("evidence").is_not_null()
    by = {
        "all": (pl.lit(True), pl.lit(True)),
        "heading, label or place": (heading, pl.col("shown_by") == "heading"),
        "content without one": (evident, pl.col("shown_by") == "content"),
    }
    groups = {half: pl.col("half") == half for half in ("tuned", "held_out")}
    groups["not English"] = pl.col("language").is_not_null()
    told, table = pl.col("label").is_in(["filled", "mention"]), []
    for (group, inside), (name, (found_so, shown_so)) in product(groups.items(), by.items()):
        own = rows.filter(inside, standard="huggingface")
        found, there = own.filter(FOUND, found_so), own.filter(HERE, shown_so)
        too = rate(own.filter(told), FOUND)[1] if name == "all" else None
        table.append([group, name, *rate(found, HERE), *rate(there, FOUND), too])
    ends = ["n", "", "low", "high"]
    heads = [f"{what} {end}".strip() for what in ("precision", "recall") for end in ends]
    heads = ["cards", "shown by", *heads, "recall, mentions too"]
    return pl.DataFrame(table, schema=heads, orient="row", infer_schema_length=None)


def by_section(counted: pl.DataFrame) -> pl.DataFrame:
    """Give precision and recall by section: of all cards with an interval, of the held-out ones."""
    key = ["standard", "section"]
    halves = {"": counted, "held out ": counted.filter(half="held_out")}
    table = counted.select(key).unique(maintain_order=True)
    for name, of in halves.items():
        sums = of.group_by(key).agg(pl.col(COUNTS).sum())
        for what, other in (("precision", "false_positive"), ("recall", "false_negative")):
            hit, head = sums["true_positive"], f"{name}{what}"
            ends = interval(hit, hit + sums[other], head, head)
            n = (hit + sums[other]).alias(f"{head} n")
            sums = sums.with_columns(n, *(ends if not name else ends[:1]))
        table = table.join(sums.drop(COUNTS), on=key, how="left", maintain_order="left")
    return table


def by_state(rows: pl.DataFrame) -> pl.DataFrame:
    """Count the template's sections by what is there and by what is found."""
    own = rows.filter(standard="huggingface").sort("label", descending=True)
    table = own.group_by("half", "label", "state", maintain_order=True).len()
    table = table.pivot("state", index=["half", "label"], values="len", sort_columns=True)
    table = table.fill_null(0).sort("half", descending=True, maintain_order=True)
    return table.with_columns(pl.col("label").cast(pl.String))


def report(options: Any) -> str:
    """Compare, print, and write if asked."""
    rows = compared()
    counted = counts(rows)
    if options.write:
        counted.write_csv(COUNTED)
    n_cards = rows.select("file", "id").n_unique()
    tables = {
        f"Sections of the Hub's template in {n_cards} cards": overall(rows),
        "What is there (label), and how many of it are found so": by_state(rows),
        "By section, all cards and the held-out half": by_section(counted),
    }
    return "\n".join(f"{title}\n\n{markdown(table)}\n" for title, table in tables.items())
