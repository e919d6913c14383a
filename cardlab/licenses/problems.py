"""Declared licences that are no keyword of the Hub, and what each was taken for."""

from __future__ import annotations

from typing import Any

import polars as pl

from ..frames import lists_in, map_items, narrow
from ..frontmatter import FLAT_JSON
from ..schema import STRINGS, collect, one_of, require
from ..shares.counting import count_values, with_share
from .counts import in_json, with_licenses
from .reading import CLASSES, keywords, name_of, read_license


def license_problems(cards: Any, *, column: str = "license") -> pl.DataFrame:
    """List the declared licences that are no keyword of the Hub, and what they were taken for.

    Parameters
    ----------
    cards : frame
        With `column`; polars, or any that narwhals knows.
    column : {"license", "tags", "license_name"}
        What to list: the column ``license`` (list of str, or str), the ``license:`` tags, or the
        names that :func:`cardlab.with_licenses` adds with ``names=True``.

    Returns
    -------
    pl.DataFrame
        ``value`` (str, as declared), ``license`` (str, the name that
        :func:`cardlab.with_licenses` gives it), ``license_class`` (str, one of
        :data:`cardlab.licenses.reading.CLASSES`), ``n_cards`` (cards that declare the value),
        ``card_share`` (0-1, of all cards, with or without a licence), ``reason`` (str, how it was
        recognised or why not), ``detail`` (str, the reason in words; of a keyword that of its
        class), ``source`` (str, where the terms are published that its class goes by; ``the name
        itself`` where that says it; ``assumed`` where nobody here has read the terms; null of an
        expression and of what is unknown). Most cards first, then by value. Reasons:

        - ``case``: a keyword but for case, blanks and underscores; ``SPDX id``; ``spelling``;
          ``address`` (of a licence's text, or of nothing known); ``expression``: several
          licences; ``family``: a pattern of ``data/license_families.csv``;
        - ``keyword``: a keyword that says no class (``unknown``, ``cc``);
        - ``no licence``: says that there is none, or only where to look; ``free text``: nothing
          that is known; ``empty``. Their class is ``unknown``.

        A keyword with a class has no row; every other value has one.

    Raises
    ------
    MissingColumn
        The cards have no such column.
    CardlabError
        `column` is none of the three, or holds neither strings nor lists of strings.
    """
    one_of(column, ("license", "tags", "license_name"), name="column")
    require(cards, column)
    if column == "tags":
        frame = narrow(cards, ["tags"])
        cards = frame.select(_tagged(frame).alias("tags"))
    counts = with_share(count_values(cards, column))
    readings = [read_license(value) for value in counts["value"]]
    names = ("license", "license_class", "reason", "detail", "source")
    found = pl.DataFrame(readings, schema=dict.fromkeys(names, pl.String), orient="row")
    return (
        counts.hstack(found)
        .select("value", *names[:2], "n_cards", "card_share", *names[2:])
        .filter((pl.col("reason") != "keyword") | (pl.col("license_class") == "unknown"))
    )


def _tagged(frame: pl.LazyFrame) -> pl.Expr:
    """Give the values of the ``license:`` tags."""
    tag = pl.element()
    values = lists_in(frame, "tags").list.filter(tag.str.starts_with("license:"))
    return values.list.eval(tag.str.strip_prefix("license:")).alias("tagged")


# ---- Licences that contradict each other: within a card, and between a card and its base model.

#: Classes that say how much a licence asks for, the least restrictive first; the others of
#: :data:`cardlab.licenses.reading.CLASSES` (undeclared, unknown, custom) are not compared.
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
        With ``id``; ``tags`` and ``metadata``, or else ``license``, for the kinds about tags;
        ``license`` and ``base_model`` (list of str, or str) for the one about base models, and
        ``license_name`` and ``license_link`` where :func:`cardlab.with_licenses` added them.
        Polars, or any that narwhals knows. Where only some of these columns are there, only what
        they show is looked for.

    Returns
    -------
    pl.DataFrame
        ``id``, ``kind``, ``declared``, ``tagged``, ``base_model``, ``base_license``,
        ``license_class``, ``base_class``, sorted by kind, id and base model. Kinds:

        - ``tags_disagree``: the licences in the front matter (``declared``, list of str) and in
          the ``license:`` tags (``tagged``, list of str) are not the same set;
          ``only_in_front_matter`` and ``only_in_tags``: one of the two names none, and is an
          empty list. ``base_...`` and ``license_class`` are null. A card whose front matter or
          tags are null or unreadable is not compared. Cards without ``metadata`` are compared by
          their ``license`` instead; a tag ``other`` agrees with a licence there that is no
          keyword of the Hub, since it may be the name of what is ``other``.
        - ``more_permissive_than_base``: the class of the card's licences (``declared``,
          ``license_class``) asks for less than that of a direct parent in the corpus
          (``base_model``, ``base_license``, ``base_class``), in the order of :data:`ORDERED`.
          ``tagged`` is null.

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
    The kind about base models is a question, not a verdict: the order of classes is coarse, the
    parent's terms may allow other terms for what is made from it, and a card may stand for an
    adapter only. Of several licences on one card the most restrictive counts; a card or parent of
    which that is undeclared, unknown or custom is not compared. Ids are compared exactly, case
    included. Several cards of one id are each compared, equal rows once.

    Examples
    --------
    >>> cards = {"id": ["ann/a"], "license": [["mit"]], "tags": [["license:apache-2.0"]]}
    >>> cl.license_conflicts(cards)["kind", "declared", "tagged"].row(0)
    ('tags_disagree', ['MIT'], ['Apache-2.0'])
    """
    have = set(require(cards, "id"))
    read = ("id", "tags", "metadata", "license", "base_model", "license_name", "license_link")
    frame = narrow(cards, [name for name in read if name in have])
    found = []
    if {"metadata", "tags"} <= have:
        both = front_matter_and_tags(frame).select("id", "declared", "tagged")
        found.append(against_tags(collect(both.filter(pl.col("tagged").is_not_null()))))
    elif {"license", "tags"} <= have:
        none = pl.lit([], STRINGS)
        both = frame.filter(pl.col("tags").is_not_null()).select(
            "id", lists_in(frame, "license").fill_null(none).alias("declared"), _tagged(frame)
        )
        found.append(_against_tags(collect(both)).filter(~_names_of_other()))
    if {"license", "base_model"} <= have:
        found.append(_against_parents(frame))
    if not found:
        require(cards, "license", "base_model")
    layout = pl.DataFrame(schema=_LAYOUT)
    rows = pl.concat([layout, *found], how="diagonal_relaxed").select(*_LAYOUT)
    # a list is no key to sort by: what tells equal cards apart is its text
    keys = (pl.col(name).list.join(",") for name in ("declared", "tagged", "base_license"))
    return rows.unique(maintain_order=True).sort("kind", "id", "base_model", *keys, nulls_last=True)


def front_matter_and_tags(cards: pl.LazyFrame) -> pl.LazyFrame:
    """Add the licences of the front matter (``declared``, a text) and of the tags (``tagged``).

    ``tagged`` is null where either cannot be read, or both are seen to say the same.
    """
    lists_in(cards, "metadata")
    metadata, declared, tagged = pl.col("metadata"), pl.col("declared"), pl.col("tagged")
    is_flat, times = pl.col("is_flat"), pl.col("times")
    named = metadata.str.count_matches('"license"', literal=True)
    one = pl.when(times == 1).then(metadata).str.extract(r'"license": ?"([^"]+)"')
    # nearly all cards say the same in both places: that is seen before any list is made
    same = (tagged.list.len() == 1) & (tagged.list.first() == declared)
    same &= declared.str.contains(r"^[^\s\[{]")
    # a JSON parser takes ten times as long, and is asked only where there is more to see
    unlike = tagged.is_not_null() & declared.is_null()
    others = pl.when(unlike & (times.fill_null(2) > 0)).then(metadata)
    # only where it names no licence is there a doubt whether it can be read
    silent = pl.when(unlike & ~is_flat).then(metadata).str.json_path_match("$")
    known = declared.is_not_null() | is_flat | silent.str.starts_with("{")
    return (
        cards.with_columns(metadata.cast(pl.String), _tagged(cards))
        # step by step, since polars looks at a text for each place in which an expression stands
        .with_columns(is_flat=metadata.str.contains(FLAT_JSON))
        .with_columns(times=pl.when(is_flat).then(named))
        .with_columns(declared=one)
        .with_columns(tagged=pl.when(~same.fill_null(False)).then(tagged))
        .with_columns(pl.coalesce(declared, others.str.json_path_match("$.license")))
        .with_columns(tagged=pl.when(known).then(tagged))
        .drop("is_flat", "times")
    )


def against_tags(rows: pl.DataFrame) -> pl.DataFrame:
    """List the cards whose :func:`front_matter_and_tags` name different licences."""
    texts = rows["declared"].drop_nulls().unique()
    lists = pl.Series("lists", [in_json(text) for text in texts], dtype=STRINGS)
    rows = rows.filter(pl.col("tagged").is_not_null())
    rows = rows.join(pl.DataFrame({"declared": texts, "lists": lists}), on="declared", how="left")
    declared = pl.col("lists").fill_null(pl.lit([], STRINGS)).alias("declared")
    return _against_tags(rows.select("id", declared, "tagged"))


def _against_tags(rows: pl.DataFrame) -> pl.DataFrame:
    """List the cards whose declared licences are not those of their tags."""
    declared, tagged = pl.col("declared"), pl.col("tagged")
    rows = rows.filter(declared.ne_missing(tagged))  # equal as written is equal by name
    kind = (
        pl.when(declared.list.len() == 0)
        .then(pl.lit("only_in_tags"))
        .when(tagged.list.len() == 0)
        .then(pl.lit("only_in_front_matter"))
        .otherwise(pl.lit("tags_disagree"))
    )
    return (
        rows.with_columns(map_items(rows[name], name_of) for name in ("declared", "tagged"))
        .filter(declared.list.set_symmetric_difference(tagged).list.len() > 0)
        .select("id", kind.alias("kind"), "declared", "tagged")
    )


def _names_of_other() -> pl.Expr:
    """Whether what differs is the tag ``other``, and names that are no keyword of the Hub."""
    more = pl.col("declared").list.set_difference("tagged")
    hub = [known.name for known in keywords().values()]
    own = ~more.list.eval(pl.element().is_in(hub)).list.any() & (more.list.len() > 0)
    fewer = pl.col("tagged").list.set_difference("declared")
    return own & (fewer.list.len() == 1) & (fewer.list.first() == "other")


def _against_parents(cards: pl.LazyFrame) -> pl.DataFrame:
    """Compare the class of each card with that of its direct parents in the corpus."""
    lists_in(cards, "license")
    rank = pl.col("license_class").replace_strict(
        list(ORDERED), list(range(len(ORDERED))), default=None, return_dtype=pl.Int8
    )
    listed = with_licenses(cards).with_columns(lists_in(cards, "base_model"), rank.alias("rank"))
    rows = collect(listed.select("id", "base_model", "license_spdx", "license_class", "rank"))
    rows = rows.filter(pl.col("id").is_not_null() & pl.col("rank").is_not_null())
    rows = rows.rename({"license_spdx": "declared"})
    parents, suffix = rows.drop("base_model"), "_of_base"
    return (
        rows.explode("base_model", empty_as_null=False, keep_nulls=False)
        .filter(pl.col("base_model") != pl.col("id"))
        .join(parents, left_on="base_model", right_on="id", suffix=suffix)
        .filter(pl.col("rank") < pl.col(f"rank{suffix}"))
        .rename({f"declared{suffix}": "base_license", f"license_class{suffix}": "base_class"})
        .with_columns(pl.lit("more_permissive_than_base").alias("kind"))
    )
