"""Raw columns of a source -> the canonical columns, as lazy polars expressions.

Whatever needs Python for each card (front matter) sits in one column of structs that polars
computes only when a column that follows from it is asked for.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import polars as pl

from .. import frontmatter
from ..schema import (
    ALIASES,
    COLUMNS,
    INSTANT,
    PROBLEM,
    PROBLEMS,
    STRINGS,
    SourceError,
    printable,
    shorten,
)
from .fronts import FRONT, bodies, json_problems, read_cards, read_metadata

_LISTS = ("tags", "languages", "arxiv", "license", "base_model", "datasets")
_PREFIX = {
    "license": "license:",
    "base_model": "base_model:",
    "datasets": "dataset:",
    "arxiv": "arxiv:",
}
#: ``base_model:finetune:ORG/NAME`` says how; the parent itself is ORG/NAME.
_RELATION = r"^(?:adapter|finetune|merge|quantized):"
_NUMBER = re.compile(r"\d+(?:\.\d*)?(?:e\+?\d+)?", re.IGNORECASE)
#: ``2022-03-02 23:29:04 +0000``, ``... UTC``: what ISO 8601 writes without the space, or as Z.
_ZONE = re.compile(r"\s*(?:UTC|GMT)$|\s+(?=[+-]\d\d:?\d\d$)")
#: Digits of a time since 1970, from 1973 to 2286 -> its parts of a second; other lengths are none.
_PER_SECOND = {
    digits: 1000**power for power in range(4) for digits in (9 + 3 * power, 10 + 3 * power)
}
#: The Hub's own, and those that polars, pandas and pyarrow write.
_FORMS = tuple(f"%Y-%m-%dT%H:%M:%S%.f{zone}" for zone in ("Z", "%z", "Z", "", " UTC"))
_WRITTEN_TOGETHER = {8: "%Y%m%d", 14: "%Y%m%d%H%M%S"}


def to_canonical(raw: pl.LazyFrame, label: str) -> pl.LazyFrame:
    """Rename, type and derive the canonical columns of a raw frame.

    Parameters
    ----------
    raw : pl.LazyFrame
        The source as it is. ``__problems`` may carry what the reader found wrong.
    label : str
        The source's name, for the error.

    Raises
    ------
    SourceError
        There is no ``id`` and no alias of it.
    """
    frame = _rename(raw, label)
    have = frame.collect_schema()
    wanted: dict[str, pl.Expr] = {}
    found = [pl.col("__problems")] if "__problems" in have else []
    for name in (name for name in COLUMNS if name in have):
        wanted[name], problem = _typed(name, have[name])
        if problem is not None:
            found.append(problem)
    found.append(_where(pl.col("id").is_null(), "id", "no_id", pl.lit("the card has no id")))
    frame = _without_pointers(frame, have, found)
    frame, front = _front_matter(frame, have)
    wanted |= _derived(have, wanted, front)
    if "card" in have:
        found.append(pl.col("__front").struct.field("problems"))
    elif "metadata" in wanted:
        found += _metadata_problems(wanted["metadata"])
    known = {name: wanted[name] for name in COLUMNS if name in wanted}
    others = [n for n in have if n not in known and n not in ("card", "problems", "__problems")]
    if "problems" in have:  # a frame that was canonical already keeps what was found then
        found = [pl.col("problems")]
    return frame.select(
        *(expression.alias(name) for name, expression in known.items()),
        *others,
        _join(found).alias("problems"),
    )


def _rename(raw: pl.LazyFrame, label: str) -> pl.LazyFrame:
    have = [name for name in raw.collect_schema().names() if name != "__problems"]
    names = {}
    for canonical, aliases in ALIASES.items():
        alias = next((alias for alias in aliases if alias in have), None)
        if canonical not in have and alias is not None:
            names[alias] = canonical
    if "id" not in have and "id" not in names.values():
        raise SourceError(
            f"{label}: these are not cards: no column `id` and no alias of it "
            f"({', '.join(ALIASES['id'])}). Found: "
            f"{shorten(', '.join(printable(name) for name in have), 300) or 'no columns at all'}. "
            "Rename the column that holds `org/name` to `id`."
        )
    return raw.rename(names)


def _typed(name: str, dtype: pl.DataType) -> tuple[pl.Expr, pl.Expr | None]:
    """Give one known column in its canonical type, and what was lost on the way."""
    column = pl.col(name)
    if name == "embeddings":
        return column, None
    if name in _LISTS:
        return _as_list(column, dtype, separator=";" if name == "tags" else None), None
    if name == "metadata" and isinstance(dtype, pl.Struct):
        return column.struct.json_encode(), None
    if COLUMNS[name] == INSTANT:
        return _as_instant(column, dtype)
    if COLUMNS[name] == pl.Int64:
        if dtype.is_integer():
            return column.cast(pl.Int64, strict=False), None
        typed = column.cast(pl.Float64, strict=False).cast(pl.Int64, strict=False)
        return typed, _lost(column, typed, name, "bad_value", "not a whole number: ")
    return (column if dtype == pl.String else column.cast(pl.String)), None


def _as_list(column: pl.Expr, dtype: pl.DataType, *, separator: str | None) -> pl.Expr:
    if isinstance(dtype, (pl.List, pl.Array)):
        if isinstance(dtype, pl.Array):
            column = column.arr.to_list()
        # does the same as list.drop_nulls in a fraction of the time
        return column.cast(STRINGS).list.filter(pl.element().is_not_null())
    text = column.cast(pl.String)
    if separator is None:
        plain = pl.when(text == "").then(pl.lit([], STRINGS)).otherwise(pl.concat_list(text))
    else:
        parts = text.str.split(separator).list.eval(pl.element().filter(pl.element() != ""))
        plain = parts
    listed = text.map_batches(_written_lists, return_dtype=STRINGS, is_elementwise=True)
    return (
        pl.when(text.is_null())
        .then(None)
        .when(text.str.starts_with("["))
        .then(listed)
        .otherwise(plain)
    )


def _written_lists(texts: pl.Series) -> pl.Series:
    """Read lists that a CSV or JSON file holds as text: JSON, or Python's own way to print them."""
    if not texts.str.starts_with("[").any():
        return pl.Series([None] * len(texts), dtype=STRINGS)
    return pl.Series([_written_list(text) for text in texts], dtype=STRINGS)


def _written_list(text: str | None) -> list[str] | None:
    if text is None or not text.startswith("["):
        return None
    try:
        return frontmatter.strings(json.loads(text))
    except (ValueError, RecursionError):
        block, _ = frontmatter.read_block(f"tags: {text}")  # YAML reads 'single quotes' too
        return frontmatter.strings((block or {}).get("tags")) or [text]


def _as_instant(column: pl.Expr, dtype: pl.DataType) -> tuple[pl.Expr, pl.Expr | None]:
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is None:
            return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"), None
        return column.dt.convert_time_zone("UTC").cast(INSTANT), None
    if dtype == pl.Date:
        return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"), None
    name = column.meta.output_name()
    column = column.fill_nan(None) if dtype.is_float() else column
    text = column.cast(pl.String).str.strip_chars().replace("", None)
    typed = text.map_batches(_instants, return_dtype=INSTANT, is_elementwise=True)
    return typed, _lost(text, typed, name, "bad_date", "not a date (ISO 8601, or since 1970): ")


def _instants(texts: pl.Series) -> pl.Series:
    """Read dates: the commonest forms at polars' speed, any other once per distinct value."""
    read, flat = pl.Series([None], dtype=INSTANT).new_from_index(0, len(texts)), texts
    for form in _FORMS:
        if read.null_count() == texts.null_count():
            return read
        typed = flat.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)
        # an hour of an offset can lead out of the years that Python knows
        read = read.fill_null(typed.set(~typed.dt.year().is_between(1, 9999), None))
        flat = flat.str.replace(" ", "T", literal=True)
    others = texts.filter(read.is_null() & texts.is_not_null()).unique()
    known = pl.Series([_instant(text) for text in others], dtype=INSTANT)
    return read.fill_null(texts.replace_strict(others, known, default=None, return_dtype=INSTANT))


def _instant(text: str) -> dt.datetime | None:
    """Read one date: ISO 8601, digits alone, a time since 1970, or the form of HTTP headers."""
    try:
        if _NUMBER.fullmatch(text):
            return _since_1970(text)
        try:
            value = dt.datetime.fromisoformat(_ZONE.sub("", text.upper().replace("/", "-")))
        except ValueError:
            value = parsedate_to_datetime(text)
        return value.replace(tzinfo=value.tzinfo or dt.UTC).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def _since_1970(text: str) -> dt.datetime | None:
    number = float(text)
    digits = len(str(int(number)))
    if digits in _WRITTEN_TOGETHER:
        return dt.datetime.strptime(text, _WRITTEN_TOGETHER[digits]).replace(tzinfo=dt.UTC)
    if digits not in _PER_SECOND:
        return None
    return dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(seconds=number / _PER_SECOND[digits])


def _without_pointers(frame: pl.LazyFrame, have: pl.Schema, found: list[pl.Expr]) -> pl.LazyFrame:
    """Take the pointers that Git LFS leaves where a file was not fetched for no card's text."""
    for name in (n for n in ("card", "text") if have.get(n) == pl.String):
        pointer = pl.col(name).str.starts_with("version https://git-lfs.github.com/spec/")
        detail = "a Git LFS pointer, not the card: fetch it with `git lfs pull`"
        # before the text is taken away, so that the problem can be told
        frame = frame.with_columns(pointer.fill_null(False).alias(f"__pointer_{name}"))
        found.append(_where(pl.col(f"__pointer_{name}"), "text", "lfs_pointer", pl.lit(detail)))
        frame = frame.with_columns(pl.when(~pl.col(f"__pointer_{name}")).then(name).alias(name))
    return frame


def _front_matter(
    frame: pl.LazyFrame, have: pl.Schema
) -> tuple[pl.LazyFrame, Callable[[str], pl.Expr] | None]:
    """Add the struct of what the front matter says, and give the way to take a field of it."""
    if "card" in have:
        card = pl.col("card").cast(pl.String)
        frame = frame.with_columns(
            card.map_batches(read_cards, return_dtype=FRONT, is_elementwise=True).alias("__front"),
            card.map_batches(bodies, return_dtype=pl.String, is_elementwise=True).alias("__body"),
        )
    elif "metadata" in have:
        metadata = _typed("metadata", have["metadata"])[0]
        fronts = metadata.map_batches(read_metadata, return_dtype=FRONT, is_elementwise=True)
        frame = frame.with_columns(fronts.alias("__front"))
    else:
        return frame, None
    return frame, lambda name: pl.col("__front").struct.field(name)


def _metadata_problems(metadata: pl.Expr) -> list[pl.Expr]:
    """Find front matter that is missing or no JSON object; Python only sees what looks wrong."""
    reason = pl.lit("the source gives no front matter here: unreadable, or never collected")
    whole = metadata.str.json_path_match("$")
    suspect = metadata.is_not_null() & ~whole.str.starts_with("{").fill_null(False)
    checked = pl.when(suspect).then(metadata)
    return [
        _where(metadata.is_null(), "metadata", "null_metadata", reason),
        checked.map_batches(json_problems, return_dtype=PROBLEMS, is_elementwise=True),
    ]


def _derived(
    have: pl.Schema, typed: dict[str, pl.Expr], front: Callable[[str], pl.Expr] | None
) -> dict[str, pl.Expr]:
    """Give the canonical columns that the source lacks but that follow from what it has."""
    new: dict[str, pl.Expr] = {}
    if "author" not in typed:
        parts = pl.col("id").cast(pl.String).str.splitn("/", 2)
        new["author"] = pl.when(parts.struct.field("field_1").is_not_null()).then(
            parts.struct.field("field_0")
        )
    for name, prefix in _PREFIX.items():
        if name not in typed and "tags" in typed:
            new[name] = _after_prefix(typed["tags"], prefix)
    if front is not None:
        for name in (
            "library_name",
            "pipeline_tag",
            "languages",
            "license",
            "base_model",
            "datasets",
        ):
            if name not in typed and name not in new:
                new[name] = front(name)
    if front is not None and "tags" not in typed:
        new["tags"] = front("tags")
    if front is not None and "card" in have:
        for name in ("arxiv", "metadata"):
            if name not in typed and name not in new:
                new[name] = front(name)
        if "text" not in typed:
            new["text"] = pl.col("__body")
    return new


def _after_prefix(tags: pl.Expr, prefix: str) -> pl.Expr:
    element = pl.element().filter(pl.element().str.starts_with(prefix)).str.strip_prefix(prefix)
    if prefix == "base_model:":
        element = element.str.replace(_RELATION, "")
    return tags.list.eval(element.unique(maintain_order=True))


def _where(condition: pl.Expr, column: str, kind: str, detail: pl.Expr) -> pl.Expr:
    """Give a list of one problem where the condition holds, else an empty list."""
    problem = pl.struct(
        pl.lit(column).alias("column"), pl.lit(kind).alias("problem"), detail.alias("detail")
    ).cast(PROBLEM)
    return pl.when(condition).then(pl.concat_list(problem)).otherwise(pl.lit([], PROBLEMS))


def _lost(before: pl.Expr, after: pl.Expr, column: str, kind: str, prefix: str) -> pl.Expr:
    value = before.cast(pl.String).str.slice(0, 100)
    return _where(
        before.is_not_null() & after.is_null(),
        column,
        kind,
        pl.format("{}{}", pl.lit(prefix), value),
    )


def _join(lists: list[pl.Expr]) -> pl.Expr:
    return pl.concat_list([item.fill_null(pl.lit([], PROBLEMS)) for item in lists])
