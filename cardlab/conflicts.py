"""Licences that contradict each other: within a card, and between a card and its base model.

A topic that stands after ``licenses`` and uses its names and classes.
"""

from __future__ import annotations

import json
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from .frontmatter import strings
from .licenses import CLASSES, find_license, with_licenses
from .schema import STRINGS, CardlabError, collect, lazy, require
from .shares import as_lists, map_items

#: Classes that say how much a licence asks for, the least restrictive first; the others of
#: :data:`cardlab.licenses.CLASSES` (undeclared, unknown, custom) are not compared.
ORDERED = tuple(name for name in CLASSES if name not in ("undeclared", "unknown", "custom"))

_LAYOUT: dict[str, Any] = {
    "id": pl.String,
    "kind": pl.String,
    "declared": STRINGS,
    "tagged": STRINGS,
    "base_model": pl.String,
    "base_license": STRINGS,
    "license_class": pl.String,
    "base_class": pl.String,
}


def license_conflicts(cards: Any) -> pl.DataFrame:
    """List the cards whose licence contradicts their own tags or their base model.

    Parameters
    ----------
    cards : frame
        With ``id``, and ``metadata`` and ``tags`` for the first kind, ``license`` and
        ``base_model`` (list of str, or str) for the second; polars, or any that narwhals knows.
        Where the columns of only one kind are there, only that one is looked for.

    Returns
    -------
    pl.DataFrame
        ``id``, ``kind``, ``declared``, ``tagged``, ``base_model``, ``base_license``,
        ``license_class``, ``base_class``, sorted by kind, id and base model. Kinds:

        - ``tags_disagree``: the licences in the front matter (``declared``, list of str) and in
          the ``license:`` tags (``tagged``, list of str) are not the same set; an empty list
          where one of the two names none. ``base_...`` and ``license_class`` are null. A card
          whose front matter or tags are null or unreadable is not compared.
        - ``more_permissive_than_base``: the class of the card's licences (``declared``,
          ``license_class``) asks for less than that of a direct parent in the corpus
          (``base_model``, ``base_license``, ``base_class``), in the order of :data:`ORDERED`:
          public domain < permissive < weak copyleft < strong copyleft < use-restricted <
          model-specific < non-commercial. ``tagged`` is null.

        Licences are named as in :func:`cardlab.with_licenses`, so that ``MIT`` and ``mit`` do not
        conflict. No conflicts give no rows.

    Raises
    ------
    MissingColumn
        The cards have no ``id``, or the columns of neither kind.
    CardlabError
        One of these columns holds neither strings nor lists of strings.

    Notes
    -----
    The second kind is a question, not a verdict: the order of classes is coarse, the parent's
    terms may allow other terms for what is made from it, and a card may stand for an adapter
    only. Of several licences on one card the most restrictive counts; a card or parent of which
    that is undeclared, unknown or custom is not compared. Parents that are not in the corpus and
    a card that names itself are left out; ids are compared exactly. Several cards of one id are
    each compared, equal rows once.
    """
    have = set(require(cards, "id"))
    found = []
    if {"metadata", "tags"} <= have:
        found.append(_against_tags(_columns(cards, "id", "metadata", "tags")))
    if {"license", "base_model"} <= have:
        found.append(_against_parents(_columns(cards, "id", "license", "base_model")))
    if not found:
        require(cards, "license", "base_model")
    rows = pl.concat([part.select(pl.col(n).cast(t) for n, t in _LAYOUT.items()) for part in found])
    # a list is no key to sort by: what tells equal cards apart is its text
    keys = [pl.col("declared").list.join(","), pl.col("tagged").list.join(",")]
    base = pl.col("base_license").list.join(",")
    return rows.unique(maintain_order=True).sort(
        "kind", "id", "base_model", *keys, base, nulls_last=True
    )


def _columns(cards: Any, *names: str) -> pl.LazyFrame:
    """Select some columns lazily; engines other than polars hand over just those."""
    if isinstance(cards, (pl.LazyFrame, pl.DataFrame)):
        return cards.lazy().select(names)
    return collect(lazy(cards).select(nw.col(name) for name in names)).lazy()


def _against_tags(cards: pl.LazyFrame) -> pl.DataFrame:
    """Compare the licences of the front matter with those of the tags."""
    _check(cards, "metadata", "tags")
    metadata, tag = pl.col("metadata").cast(pl.String), pl.element()
    front = metadata.str.json_path_match("$")
    is_list = isinstance(cards.collect_schema()["tags"], (pl.List, pl.Null))
    tags = pl.col("tags") if is_list else pl.concat_list(pl.col("tags").cast(pl.String))
    rows = collect(
        cards.filter(pl.col("tags").is_not_null() & front.str.starts_with("{")).select(
            "id",
            metadata.str.json_path_match("$.license").alias("declared"),
            tags.cast(STRINGS)
            .list.eval(tag.filter(tag.str.starts_with("license:")).str.strip_prefix("license:"))
            .alias("tagged"),
        )
    )
    texts = rows["declared"].drop_nulls().unique()
    lists = pl.Series("lists", [_listed(text) for text in texts], dtype=STRINGS)
    lists = map_items(lists, _name)
    known = pl.DataFrame({"declared": texts, "lists": lists})
    return (
        rows.with_columns(map_items(rows["tagged"], _name))
        .join(known, on="declared", how="left")
        .with_columns(pl.col("lists").fill_null(pl.lit([], STRINGS)).alias("declared"))
        .filter(pl.col("declared").list.set_symmetric_difference("tagged").list.len() > 0)
        .select("id", pl.lit("tags_disagree").alias("kind"), "declared", "tagged")
        .with_columns(pl.lit(None, _LAYOUT[name]).alias(name) for name in list(_LAYOUT)[4:])
    )


def _against_parents(cards: pl.LazyFrame) -> pl.DataFrame:
    """Compare the class of each card with that of its direct parents in the corpus."""
    _check(cards, "base_model", "license")
    rank = pl.col("license_class").replace_strict(
        list(ORDERED), list(range(len(ORDERED))), default=None, return_dtype=pl.Int8
    )
    rows = collect(with_licenses(cards).with_columns(rank.alias("rank"))).drop("license")
    rows = rows.with_columns(as_lists(rows["base_model"])).filter(
        pl.col("id").is_not_null() & pl.col("rank").is_not_null()
    )
    parents = rows.select(
        pl.col("id").alias("base_model"),
        pl.col("license_spdx").alias("base_license"),
        pl.col("license_class").alias("base_class"),
        pl.col("rank").alias("base_rank"),
    )
    return (
        rows.explode("base_model", empty_as_null=False, keep_nulls=False)
        .filter(pl.col("base_model") != pl.col("id"))
        .join(parents, on="base_model")
        .filter(pl.col("rank") < pl.col("base_rank"))
        .with_columns(
            pl.lit("more_permissive_than_base").alias("kind"),
            pl.col("license_spdx").alias("declared"),
            pl.lit(None, STRINGS).alias("tagged"),
        )
    )


def _check(cards: pl.LazyFrame, *names: str) -> None:
    """Raise a CardlabError unless the columns hold strings or lists of strings."""
    for name, dtype in cards.select(names).collect_schema().items():
        inner = dtype.inner if isinstance(dtype, pl.List) else dtype
        if inner not in (pl.String, pl.Null, pl.Categorical):
            raise CardlabError(
                f"column {name!r} is {dtype}: it must hold strings or lists of strings. "
                "cardlab.scan_cards(source) reads the cards' columns as such."
            )


def _listed(text: str) -> list[str]:
    """Give what JSON's path gave as a list: a string as it is, a list or mapping as JSON."""
    try:
        return strings(json.loads(text) if text.startswith(("[", "{")) else text)
    except (ValueError, RecursionError):
        return [text]


def _name(text: str) -> str:
    return find_license(text).name
