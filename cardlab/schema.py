"""The canonical columns, the names they go by elsewhere, and the errors of the whole package.

Every other module may import this one; this one imports none of them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from typing import Any, TypeVar

import narwhals.stable.v2 as nw
import polars as pl

#: Instant that the Hub gives to every repository made before it recorded creation times.
DATE_FLOOR = "2022-03-02T23:29:04Z"

STRINGS = pl.List(pl.String)
INSTANT = pl.Datetime("us", "UTC")

#: Canonical columns and their types. Only ``id`` must be there. ``embeddings`` is kept in the
#: layout the source has (``Array`` or ``List`` of floats): copying it would cost its size again.
COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "id": pl.String,
    "author": pl.String,
    "sha": pl.String,
    "created_at": INSTANT,
    "last_modified": INSTANT,
    "library_name": pl.String,
    "pipeline_tag": pl.String,
    "tags": STRINGS,
    "languages": STRINGS,
    "arxiv": STRINGS,
    "license": STRINGS,
    "base_model": STRINGS,
    "datasets": STRINGS,
    "metadata": pl.String,
    "text": pl.String,
    "downloads": pl.Int64,
    "downloads_all_time": pl.Int64,
    "likes": pl.Int64,
    "kind": pl.String,
    "base_model_relation": STRINGS,
    "parameters": pl.Int64,
    "file_size": pl.Int64,
    "formats": STRINGS,
    "gated": pl.String,
    "model_index": pl.String,
    "embeddings": pl.List(pl.Float32),
}


def words_of(name: str) -> dict[str, Any]:
    """Read one of the files of words in ``data/``."""
    return tomllib.loads(files("cardlab").joinpath(f"data/{name}.toml").read_text("utf-8"))


#: What known sources call things: ``data/schemas.toml``.
SCHEMAS: dict[str, Any] = words_of("schemas")
#: Names that known sources use for a canonical column, best first.
ALIASES: dict[str, list[str]] = SCHEMAS["aliases"]
#: Names that may mean something else beside what they stand for, and are then kept.
GUESSES: dict[str, list[str]] = SCHEMAS["guesses"]

#: What a card may say about how it was made from its parents, as the Hub tags it.
RELATIONS = ("finetune", "adapter", "merge", "quantized")

#: How the plan of a lazy frame calls what Python has to read out of each card's front matter.
FRONT_MATTER = "__cardlab_front_matter_"


def folded(name: str) -> str:
    """Fold the ways to write one name: case, and what stands between its words."""
    return name[:1].lower() + re.sub(r"[ _-]", "", name[1:]).lower()


#: Every column name that cardlab takes to mean something, and what it means.
_CANONICAL = {
    alias: name
    for names in (GUESSES, ALIASES)
    for name, aliases in names.items()
    for alias in (*aliases, name)
} | {name: name for name in COLUMNS}
KNOWN = {*_CANONICAL}
_FOLDED = {folded(alias): name for alias, name in _CANONICAL.items()}


def canonical_name(name: str) -> str | None:
    """Give the canonical column (or ``card``) that a column's name means, in any spelling."""
    return _FOLDED.get(folded(name))


#: Type of the ``problems`` column that ``cards.py`` adds.
PROBLEM = pl.Struct({"column": pl.String, "problem": pl.String, "detail": pl.String})
PROBLEMS = pl.List(PROBLEM)

#: Characters that a terminal or a browser may act on: C0 and C1 controls, bidi controls.
CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
#: Halves of characters cannot be written at all.
_ACTIVE = re.compile(f"[{CONTROLS}\ud800-\udfff]")


#: Cards that stay as they are, eager or lazy, when a column is added to them.
Frame = TypeVar("Frame", bound="pl.DataFrame | pl.LazyFrame")


class CardlabError(ValueError):
    """Base of every error that cardlab raises on purpose.

    Examples
    --------
    >>> try:
    ...     cl.tag_counts(cl.make_cards(200), kinds=["tasks"])
    ... except cl.CardlabError as error:
    ...     print(str(error).partition(" of ")[0])
    kinds must be one
    """


class SourceError(CardlabError):
    """A source could not be read as cards.

    Examples
    --------
    >>> try:
    ...     cl.scan_cards("nowhere.parquet")
    ... except cl.SourceError as error:
    ...     print(str(error).partition(":")[0])
    nowhere.parquet
    """


class NoFigure(CardlabError):
    """There is nothing to show for this corpus; the message says why.

    Examples
    --------
    >>> try:
    ...     cl.plot_counts(cl.tag_counts({"id": ["a"], "tags": [[]]}))
    ... except cl.NoFigure as error:
    ...     print(error)
    there are no rows to draw.
    """


class MissingColumn(NoFigure):
    """An analysis needs columns that the corpus lacks; ``columns`` names them.

    Examples
    --------
    >>> try:
    ...     cl.growth({"id": ["a"]})
    ... except cl.MissingColumn as error:
    ...     print(error.columns)
    ('created_at',)
    """

    def __init__(self, message: str, *columns: str) -> None:
        super().__init__(message)
        self.columns = columns


#: How to get a column that is not there, for the error that misses it.
_HOW_TO_GET = {
    "text": "read a source with the cards' bodies (`text`, `card`, a folder of README.md)",
    "metadata": "read a source with front matter (`metadata`, `card`, a folder of cards)",
    "embeddings": "compute vectors with cardlab.embed(cards), or read a source that has them",
    "languages": "read a source with front matter or a `languages` column",
    "license": "read a source with `tags`, front matter or a `license` column",
    "license_class": "with_licenses(cards), on cards that have a `license`",
    "license_spdx": "with_licenses(cards), on cards that have a `license`",
    "language_codes": "with_languages(cards), on cards that have `languages`",
    "n_words": "with_text_lengths(cards), on cards that have a `text`",
    "created_at": "read a listing of the Hub that gives `createdAt`",
    "downloads": "read a listing of the Hub that gives `downloads`",
    "parameters": "read a listing of the Hub that gives `safetensors`, or has `parameters`",
    "formats": "read a listing of the Hub that gives `siblings`, or has `formats`",
    "gated": "read a listing of the Hub that gives `gated`",
}


#: What polars raises while it reads a damaged file; a panic of Rust is no Exception at all.
_UNREADABLE = (
    pl.exceptions.ComputeError,
    pl.exceptions.OutOfBoundsError,
    pl.exceptions.PanicException,
    pl.exceptions.SchemaError,
    pl.exceptions.ShapeError,
)


def column_names(cards: Any) -> list[str]:
    """Give the column names of a frame, eager or lazy, without reading its rows."""
    return list(lazy(cards).collect_schema().names())


def is_frame(value: Any, *, series: bool = False) -> bool:
    """Tell a frame of any engine: polars, or one that narwhals knows; or one `series` of one."""
    try:
        nw.from_native(value, series_only=True) if series else nw.from_native(value)
    except TypeError:
        return False
    return True


def is_spark(value: Any) -> bool:
    """Tell a frame of Spark, classic or connected."""
    return type(value).__module__.startswith("pyspark.sql") and hasattr(value, "mapInArrow")


class Read:
    """What was read of cards already, and is taken in place of them by what knows it."""


def as_frame(cards: Any) -> Any:
    """Give a frame, or what was read, as it is, and scan any other source of cards."""
    if is_spark(cards):  # its attributes are columns
        return cards
    if cards is None or isinstance(cards, Read) or is_frame(cards):
        return unindexed(cards)
    return import_module("cardlab.cards").scan_cards(cards)


def unindexed(frame: Any) -> Any:
    """Make the named index of a pandas frame a column, as that is where its ids often are."""
    names = getattr(getattr(frame, "index", None), "names", None)
    if not names or any(name is None or name in frame.columns for name in names):
        return frame
    return frame.reset_index()


def require(cards: Any, *names: str) -> list[str]:
    """Check that a frame has the columns that an analysis needs.

    Returns
    -------
    list of str
        All column names of the frame.

    Raises
    ------
    MissingColumn
        Names the missing columns, what the frame has, and how to get them.
    """
    have = column_names(cards)
    missing = [name for name in names if name not in have]
    if missing:
        hints = "; ".join(_HOW_TO_GET[name] for name in missing if name in _HOW_TO_GET)
        raise MissingColumn(
            f"this corpus has no column {', '.join(map(repr, missing))}. "
            f"It has: {shorten(', '.join(map(printable, have)), 400)}."
            + (f" To get it: {hints}." if hints else ""),
            *missing,
        )
    return have


def lazy(cards: Any) -> nw.LazyFrame[Any]:
    """Wrap any supported frame as a narwhals LazyFrame."""
    try:
        frame: nw.LazyFrame[Any] = nw.from_native(cards).lazy()
        return frame
    except TypeError:
        raise CardlabError(
            f"cards must be a frame (polars, or one that narwhals knows), not "
            f"{type(cards).__name__}. Read a source first: cards = cardlab.scan_cards(source)."
        ) from None


def collect(frame: Any) -> pl.DataFrame:
    """Run a lazy query and give its rows as polars, whichever engine holds the data.

    Polars queries run on the streaming engine, which needs a fraction of the memory.
    """
    native = nw.to_native(frame, pass_through=True)
    if isinstance(native, pl.DataFrame):
        return native
    if isinstance(native, pl.LazyFrame):
        try:
            return native.collect(engine="streaming")
        except (*_UNREADABLE, OSError) as error:
            raise unreadable(error) from error
    spark = is_spark(native)  # whose dates are in the zone of its session
    read = import_module("cardlab._spark").rows_of if spark else _by_narwhals
    rows: pl.DataFrame = read(native)
    return rows


def _by_narwhals(native: Any) -> Any:
    return nw.from_native(native).lazy().collect("polars").to_native()


def unreadable(error: BaseException) -> SourceError:
    """Give the error that says that a source broke off while it was read."""
    reason = shorten(printable(" ".join(str(error).split())), 300).rstrip(".")
    return SourceError(
        f"the cards could not be read to the end: {reason}. The file may be damaged or may have "
        "changed while it was read."
    )


def count(cards: Any) -> int:
    """Count the cards without reading their columns."""
    return int(collect(lazy(cards).select(nw.len())).item())


def printable(text: str) -> str:
    """Replace what a terminal could act on (controls, bidi overrides) by U+FFFD."""
    return _ACTIVE.sub("\ufffd", text)


def shorten(text: str, width: int) -> str:
    """Cut a text to at most `width` characters, with an ellipsis where it was cut."""
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def problem(column: str, kind: str, detail: str) -> dict[str, str]:
    """Say what could not be taken as it was: one item of the ``problems`` column."""
    return {"column": column, "problem": kind, "detail": shorten(printable(detail), 300)}


def one_of(value: Any, allowed: Iterable[Any], *, name: str) -> None:
    """Raise a CardlabError unless `value` is among `allowed`."""
    allowed = list(allowed)
    if value not in allowed:
        raise CardlabError(f"{name} must be one of {', '.join(map(repr, allowed))}, not {value!r}.")


def at_least(value: Any, minimum: int, *, name: str) -> None:
    """Raise a CardlabError unless `value` is a whole number of at least `minimum`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise CardlabError(f"{name} must be a whole number of at least {minimum}, not {value!r}.")


# ---- The errors a report can end with.


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


# ---- What columns are called on screens, and their units: ``data/columns.toml``. A share is 0-1 in
# a frame and a percentage on a screen.

_LABELS = words_of("columns")

#: Column -> its heading in a table and its name in a tooltip.
HEADINGS: dict[str, str] = {
    name: said if isinstance(said, str) else said["label"] for name, said in _LABELS.items()
}
#: Columns that are shares of 0 to 1 though their names do not say so.
_SHARES = {name for name, said in _LABELS.items() if not isinstance(said, str)}


def label(name: str) -> str:
    """Give a column's heading; ends of an interval and names in words need none of their own."""
    ends = {"_low": "95 % from", "_high": "to"}
    usual = next((said for end, said in ends.items() if name.endswith(end)), None)
    return HEADINGS.get(name) or usual or name.replace("_", " ")


def is_share(name: str) -> bool:
    """Say whether a column holds shares of 0 to 1, by its name."""
    named = name.endswith(("share", "_rate")) or name.startswith(("share_", "rate_"))
    return named or name in _SHARES
