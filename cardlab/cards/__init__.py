"""Any source of model cards -> one canonical frame: ``scan_cards`` and ``read_cards``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from typing import Any

import polars as pl

from .. import schema
from .canonical import to_canonical
from .prepare import open_prepared
from .schemas import fitted, renamed
from .sources import grouped, is_record, listed, open_source, together

__all__ = ["read_cards", "scan_cards"]

#: Kinds of problems that mean that something was lost; the others only inform.
LOST = (
    "bad_date",
    "bad_json",
    "bad_row",
    "bad_value",
    "front_matter_in_text",
    "lfs_pointer",
    "no_id",
    "not_a_model_id",
    "not_a_mapping",
    "not_utf8",
    "truncated",
    "unread_value",
    "unreadable",
    "unterminated",
    "yaml_error",
)


def scan_cards(
    source: Any,
    *,
    on_error: str = "null",
    columns: Mapping[str, str] | None = None,
    engine: str | None = None,
) -> Any:
    """Open a source of cards lazily, with the canonical columns.

    Nothing but names and types is read until the frame is collected, and then only the columns
    that are asked for: counting tags never reads ``text``.

    Parameters
    ----------
    source : str, path, frame, records, or a list or an iterator of these
        - a parquet, Arrow, JSON, JSON lines or CSV file (the last three also ``.gz``, ``.zst``,
          ``.bz2``, ``.lz4``, in UTF-8, 16 or 32; CSV by comma, semicolon, tab or bar), a glob, or a
          folder of shards, whose folders may be named ``column=value``;
        - an ``hf://``, ``s3://``, ``gs://`` or ``https://`` URL of such files, or of a data set
          (``hf://datasets/ORG/NAME``: its parquet files);
        - a table of a SQLite or DuckDB database: ``hub.sqlite::models`` (or the file alone, where
          one table has ids);
        - a folder that ``cardlab prepare`` wrote: nothing of it is parsed again;
        - a folder of cards: ``ORG/NAME/README.md``, one model's folder with its ``README.md``,
          or the Hub cache (``models--ORG--NAME/snapshots/REVISION/README.md``; its data sets and
          Spaces are left out with a warning);
        - a frame in memory: polars, pandas, pyarrow, ``datasets.Dataset`` or ``DatasetDict``;
        - records: dictionaries or ``huggingface_hub.ModelInfo`` objects, or one dictionary of
          columns.
    on_error : {"null", "skip", "raise"}
        What to do with a card that cannot be read in full. ``"null"`` keeps it with what could be
        read (see :func:`cardlab.problems`), ``"skip"`` drops it, ``"raise"`` stops at the first
        with its id and line; the last two read all cards' front matter when used.
    columns : mapping, optional
        ``{"theirs": "ours"}``: what columns of the source are to be taken as, where their names do
        not say it or say something else. What was guessed stands among
        :func:`cardlab.problems`, as ``guessed_column``; any other name of yours overrules it.
    engine : {"spark"}, optional
        Let Spark read the files (parquet or JSON lines; a path or URL that Spark knows), and give
        a frame of Spark, as a `source` that is one does: ``docs/spark.md`` says more.

    Returns
    -------
    pl.LazyFrame
        One row per card: the columns of :data:`cardlab.schema.COLUMNS` that the source has or
        that follow from what it has, then its other columns as they are, then ``problems``
        (list of struct ``column, problem, detail``; empty where all was taken as it was).
        Null means missing; an empty list means that none was declared.

    Raises
    ------
    CardlabError
        PySpark or Java is asked for and not installed.
    SourceError
        The source is missing, empty, damaged, unreadable, a Git LFS pointer, or holds no cards (no
        ``id`` and no alias of it) or none of the `columns`; or, with ``on_error="raise"``, a card
        cannot be read in full.

    Notes
    -----
    ``license``, ``base_model``, ``datasets`` and ``arxiv`` are taken from a column of that name,
    else from the prefixed tags, else from the front matter; ``languages``, ``library_name`` and
    ``pipeline_tag`` from a column, else from the front matter. Cards without tags of their own
    get them as the Hub derives them.

    Examples
    --------
    >>> cards = cl.scan_cards([{"modelId": "ann/speech", "tags": ["license:mit"]}])
    >>> cards.select("id", "author", "license").collect().row(0)
    ('ann/speech', 'ann', ['mit'])
    """
    schema.one_of(on_error, ("null", "skip", "raise"), name="on_error")
    schema.one_of(engine, (None, "spark"), name="engine")
    names = dict(columns or {})
    if engine == "spark" or schema.is_spark(source):
        return import_module("cardlab._spark").scan_spark(source, on_error, names)
    source = listed(source)
    if isinstance(source, list) and source and not any(map(is_record, source)):
        parts = [
            _scan(part, on_error, names)
            if isinstance(part, tuple)
            else scan_cards(part, on_error=on_error, columns=names)
            for part in grouped(source)
        ]
        return together(parts)
    return _scan(source, on_error, names)


def read_cards(
    source: Any, *, on_error: str = "null", columns: Sequence[str] | Mapping[str, str] | None = None
) -> pl.DataFrame:
    """Read a source of cards into memory; see :func:`scan_cards`.

    Parameters
    ----------
    source, on_error
        As in :func:`scan_cards`.
    columns : sequence of str, or mapping, optional
        Read only these (those of them that the corpus has); by default all columns. A mapping
        renames, as in :func:`scan_cards`, and all are read.

    Returns
    -------
    pl.DataFrame
        The columns of :func:`scan_cards`, in its order.

    Raises
    ------
    SourceError
        As in :func:`scan_cards`, and when a file turns out to be damaged while it is read.

    Examples
    --------
    >>> cards = cl.read_cards({"id": ["ann/a", "bob/b"], "tags": [["license:mit"], []]})
    >>> cards["license"].to_list()
    [['mit'], []]
    """
    if isinstance(columns, Mapping):
        return schema.collect(scan_cards(source, on_error=on_error, columns=columns))
    cards = scan_cards(source, on_error=on_error)
    if columns is not None:
        cards = cards.select([name for name in schema.column_names(cards) if name in set(columns)])
    return schema.collect(cards)


def _scan(source: Any, on_error: str, columns: Mapping[str, str]) -> pl.LazyFrame:
    prepared = open_prepared(source)
    raw, label = open_source(source) if prepared is None else ([prepared], str(source))
    check_there(columns, {name for frame in raw for name in frame.collect_schema()}, label)
    parts = [] if prepared is None or columns else [prepared]
    for frame in raw if not parts else ():
        whole, guesses = fitted(renamed(frame, columns))
        parts.append(to_canonical(whole, label, said=columns.values(), guesses=guesses))
    cards = together(parts)
    if on_error == "null":
        return cards
    lost = pl.col("problems").list.eval(pl.element().struct.field("problem").is_in(LOST)).list.any()
    if on_error == "skip":
        return cards.filter(~lost)
    refuse_lost(schema.collect(cards.filter(lost).select("id", "problems").head(1)), label)
    return cards


def refuse_lost(first: pl.DataFrame, label: str) -> None:
    """Raise a SourceError that says what was lost of a card; `first` has it, or no row."""
    if first.height:
        problem = next(p for p in first["problems"][0] if p["problem"] in LOST)
        raise schema.SourceError(
            f"{label}: card {schema.printable(str(first['id'][0]))!r}: {problem['problem']} in "
            f"{problem['column']}: {problem['detail']}. Use on_error='null' to keep such cards "
            "with what could be read, or 'skip' to drop them."
        )


def check_there(columns: Mapping[str, str], have: Collection[str], label: str) -> None:
    """Raise a SourceError unless a source has all columns that are to be renamed."""
    if missing := sorted(columns.keys() - set(have)):
        raise schema.SourceError(
            f"{label}: there are no columns {', '.join(map(repr, missing))} to rename. It has: "
            f"{schema.shorten(', '.join(map(schema.printable, sorted(have))), 400)}."
        )
