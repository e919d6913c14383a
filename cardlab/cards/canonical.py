"""Raw columns of a source -> the canonical columns, as lazy polars expressions.

Whatever needs Python for each card (front matter) sits in columns of structs that polars computes
only when a column that follows from them is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, NamedTuple

import polars as pl

from .. import frontmatter
from ..schema import (
    ALIASES,
    COLUMNS,
    FRONT_MATTER,
    GUESSES,
    INSTANT,
    PROBLEM,
    PROBLEMS,
    RELATIONS,
    SCHEMAS,
    STRINGS,
    SourceError,
    canonical_name,
    collect,
    folded,
    printable,
    shorten,
)
from . import fronts

_LISTS = [name for name, dtype in COLUMNS.items() if dtype == STRINGS]
_PREFIX = {
    "license": "license:",
    "base_model": "base_model:",
    "datasets": "dataset:",
    "arxiv": "arxiv:",
}
#: Days since 1970 of the first and the last day that Python knows.
_DAYS = (-719_162, 2_932_896)
_PER_DAY = {"days": 1, "ms": 86_400 * 10**3, "us": 86_400 * 10**6, "ns": 86_400 * 10**9}
#: Rows that are looked at before a column of a file is said to have no nulls.
_LOOK_AT = 10_000

#: Front matter is parsed for the nulls of one column only where it has such a key; the word alone
#: is soon found.
_KEY = {
    name: (
        f"(?i){word}",
        rf"(?im)(?:^|[{{,?])(?:\s|[\"']|[!&]\S+\s)*{word}[^\s:]*(?:[ -]+[^\s:]*)?\s*:",
    )
    for name, word in (("library_name", "librar"), ("pipeline_tag", "pipeline"))
}
#: What a source may write for what the Hub says of a gate, and for what there are cards of.
_WORDS = {
    "gated": {"false": "no", "true": "yes", "0": "no", "1": "yes"},
    "kind": {f"{kind}{s}": kind for kind in SCHEMAS["kinds"] for s in ("", "s")},
}
#: A list of strings that is written as text, without any escape; its strings.
_QUOTED = r"""'[^'\\]*'|"[^"\\]*\""""
_SIMPLE = rf"^\s*\[\s*(?:(?:{_QUOTED})(?:\s*,\s*(?:{_QUOTED}))*)?\s*\]\s*$"
_RULE_FIRST = r"\A[\s\x{FEFF}]*---[ \t]*\r*\n"

_ROW = "__cardlab_row"
_PARENTS: dict[str, str] = SCHEMAS["parents"]
#: What is no id of a model: an address, a path, or what lies inside of a repository.
_NO_ID = r"://|^[./~]|^[A-Za-z]:[\\/]|\\|^(?:www\.)?(?:huggingface\.co|hf\.co)/|/.*/"
#: What is no id of a card: a folder of cards may be deeper than ORG/NAME.
_NO_NAME = r"://|^[/~]|/$|\\|^(?:huggingface\.co|hf\.co)/"
#: Several ids in one text, as merges are written.
_JOINED = r"^[^\s,/]+/[^\s,/]+(?:, [^\s,/]+/[^\s,/]+)+$"
_ON_HUB = r"^(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+)"

_FIELDS = {*fronts.FRONT.to_schema()} - {"problems"}


class Finding(NamedTuple):
    """What could not be taken as it was: column, kind, and the detail (null where all was well)."""

    column: str
    kind: str
    detail: pl.Expr


def to_canonical(
    raw: pl.LazyFrame,
    label: str,
    *,
    said: Collection[str] = (),
    guesses: Collection[tuple[str, str]] = (),
    in_text: Callable[..., str | None] | None = None,
) -> pl.LazyFrame:
    """Rename, type and derive the canonical columns of a raw frame.

    ``__problems`` in it may carry what the reader found wrong. A SourceError names the source by
    its `label` where there is no ``id`` and no alias of it. Columns that the user `said` to mean
    something are taken alone; `guesses` are said with the first card, as what is guessed here.
    Where `raw` is but a batch, `in_text` says in place of :func:`front_matter_in_texts` whether
    texts hold front matter, and nothing is said of the first card.
    """
    raw = _set_aside(raw)
    names = _names(raw.collect_schema(), label, said)
    guesses = [] if in_text else [*guesses, *_guessed(names)]
    if guesses and "problems" not in raw.collect_schema():
        raw = raw.with_row_index(_ROW)
    have = raw.collect_schema()
    first = pl.col(_ROW) == 0
    found = [_finding(first, n, "guessed_column", pl.lit(d)) for n, d in guesses if _ROW in have]
    typed = {name: _one_column(name, columns, have, found) for name, columns in names.items()}
    typed |= _parents(typed, have, found)
    used = {*_PARENTS, *(column for columns in names.values() for column in columns)}
    given = [name for name in ("__problems", "problems") if name in have]
    others = [name for name in have if name not in used and name not in (*given, _ROW)]
    # every expression sees the raw columns here, and what nobody asks for is never computed
    frame = raw.select(
        *(expression.alias(name) for name, expression in typed.items()),
        *others,
        *(_given_problems(name, have[name]).alias(f"__cardlab_{name}") for name in given),
        *(finding.detail.alias(f"__cardlab_{n}") for n, finding in enumerate(found)),
    )
    found = [f._replace(detail=pl.col(f"__cardlab_{n}")) for n, f in enumerate(found)]
    look = in_text or front_matter_in_texts
    derived = _Derived(frame, set(typed), look, plan=raw.explain(optimized=False))
    wanted = {name: derived.column(name) for name in COLUMNS}
    lists = [pl.col(f"__cardlab_{name}") for name in given]
    if "problems" in given:  # a frame that was canonical already keeps what was found then
        found, lists = [], lists[-1:]
    else:
        lists += derived.problems()
        found += derived.findings
        found.append(_finding(pl.col("id").is_null(), "id", "no_id", pl.lit("the card has no id")))
    frame, wanted = derived.laid_out(wanted)
    return frame.select(
        *(column.alias(name) for name, column in wanted.items() if column is not None),
        *others,
        _joined(found, lists).alias("problems"),
    )


def _set_aside(raw: pl.LazyFrame) -> pl.LazyFrame:
    """Keep a source's own column ``problems`` under another name."""
    have = raw.collect_schema()
    renamed: dict[str, str] = {}
    for name in ("problems", "__problems"):
        if name in have and _given_problems(name, have[name]) is None:
            new = f"source_{name.strip('_')}"
            while new in have or new in renamed.values():
                new += "_"
            renamed[name] = new
    return raw.rename(renamed)


def _given_problems(name: str, dtype: pl.DataType) -> Any:
    """Give a column as lists of problems, in any order of their parts; None if it has none."""
    inner = dtype.inner if isinstance(dtype, pl.List) else dtype
    if inner == pl.Null:
        return pl.lit([], PROBLEMS)
    parts = inner.to_schema() if isinstance(inner, pl.Struct) and inner is not dtype else {}
    if set(parts) != set(PROBLEM.to_schema()) or not set(parts.values()) <= {pl.String, pl.Null}:
        return None
    in_order = (pl.element().struct.field(part) for part in PROBLEM.to_schema())
    return pl.col(name).list.eval(pl.struct(*in_order).cast(PROBLEM))


def _names(have: pl.Schema, label: str, said: Collection[str]) -> dict[str, list[str]]:
    """Give the columns of the source that mean each canonical column, the surest first."""
    names: dict[str, list[str]] = {}
    for name in have:
        canonical = canonical_name(name)
        if canonical is not None:
            names.setdefault(canonical, []).append(name)
    for canonical, columns in names.items():
        guesses = [folded(name) for name in GUESSES.get(canonical, ())]
        spellings = (canonical, *ALIASES.get(canonical, ()), *GUESSES.get(canonical, ()))
        columns.sort(key=lambda name: spellings.index(name) if name in spellings else 99)
        if canonical in ("id", "embeddings"):  # `ID` beside `id` may count rows
            del columns[1 + sum(name in spellings for name in columns[1:]) :]
        if canonical == "embeddings" or canonical in said:
            del columns[1:]
        sure = [name for name in columns if folded(name) not in guesses]
        names[canonical] = sure or columns[:1]
    if "id" not in names:
        found = ", ".join(printable(name) for name in have if name != "__problems")
        raise SourceError(
            f"{label}: these are not cards: no column `id` and no alias of it "
            f"({', '.join(ALIASES['id'])}). Found: {shorten(found, 300) or 'no columns at all'}. "
            "Say which column holds `org/name`: scan_cards(source, columns={'theirs': 'id'})."
        )
    return names


def guessed_in(
    columns: Collection[str], label: str, said: Collection[str]
) -> list[tuple[str, str]]:
    """Give what is guessed of columns of these names."""
    return _guessed(_names(pl.Schema(dict.fromkeys(columns, pl.Null())), label, said))


def _guessed(names: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Say which columns were taken to mean something by a name that may mean something else."""
    return [
        (
            canonical,
            f"`{printable(column)}` is read as `{canonical}`; if it is none, rename it: "
            f"scan_cards(source, columns={{{printable(column)!r}: 'another name'}})",
        )
        for canonical, (column, *_) in names.items()
        if folded(column) in map(folded, GUESSES.get(canonical, ()))
    ]


def _parents(
    typed: dict[str, pl.Expr], have: pl.Schema, found: list[Finding]
) -> dict[str, pl.Expr]:
    """Unite what all columns of parents say: the parents, each once, and how they were used."""
    lists, relations = [typed[n] for n in ("base_model",) if n in typed], []
    for name, relation in ((n, r) for n, r in _PARENTS.items() if n in have):
        column, dtype = pl.col(name), have[name]
        kind = pl.lit(relation or None, pl.String)
        if isinstance(dtype, pl.Struct) and {"models", "relation"} <= {*dtype.to_schema()}:
            kind = column.struct.field("relation")
            column = column.struct.field("models").list.eval(pl.element().struct.field("id"))
            dtype = STRINGS
        elif not relation and dtype == pl.String:
            kind = column.str.extract(r"[\"']relation[\"']\s*:\s*[\"'](\w+)")
        parents = _typed("base_model", column, dtype, found)
        lists.append(parents)
        ids = _as_ids(parents)
        some = pl.when(ids.list.len() > 0, kind.is_in(RELATIONS)).then(kind + ":")
        relations.append((some + ids.list.join("\n" + some)).str.split("\n"))
    if not relations:
        return {}
    united = {"base_model": lists}
    if "base_model_relation" not in typed:
        united["base_model_relation"] = relations
    none = pl.lit([], STRINGS)
    return {
        name: pl.when(pl.any_horizontal(value.is_not_null() for value in lists)).then(
            pl.concat_list(value.fill_null(none) for value in values).list.unique(
                maintain_order=True
            )
        )
        for name, values in united.items()
    }


def _one_column(name: str, columns: list[str], have: pl.Schema, found: list[Finding]) -> pl.Expr:
    """Give one canonical column, row by row from the first of its columns that says something.

    What cannot be taken as it is goes to `found`, here and in all that follows.
    """
    value = _typed(name, pl.col(columns[0]), have[columns[0]], found)
    for column in columns[1:]:
        other = _typed(name, pl.col(column), have[column], found)
        differ = _alike(name, value) != _alike(name, other)
        said = [
            pl.format("`{}` says {}", pl.lit(n), _as_text(name, pl.when(differ).then(v)))
            for n, v in ((columns[0], value), (column, other))
        ]
        detail = pl.format("{}, {}; the first was taken", *said)
        found.append(Finding(name, "columns_disagree", detail))
        value = pl.coalesce(value, other)
    return value


def _alike(name: str, value: pl.Expr) -> pl.Expr:
    """Give what two columns must share to say the same."""
    if name in _LISTS:
        return value.list.eval(pl.element().str.to_lowercase()).list.sort()
    if COLUMNS.get(name) == INSTANT:
        return value.dt.truncate("1s")
    if name in ("library_name", "pipeline_tag"):
        return value.str.to_lowercase().str.replace_all(r"[_ ]", "-")
    return value


def _as_text(name: str, value: pl.Expr) -> pl.Expr:
    text = value.list.join(", ") if name in _LISTS else value.cast(pl.String)
    return text.str.slice(0, 60)


def _typed(name: str, column: pl.Expr, dtype: pl.DataType, found: list[Finding]) -> pl.Expr:
    """Give one known column in its canonical type."""
    if name == "embeddings":
        return column
    kind = COLUMNS.get(name, pl.String)
    if dtype in (pl.Datetime, pl.Date):
        days = column.to_physical() // _PER_DAY[getattr(dtype, "time_unit", "days")]
        known = pl.when(days.is_between(*_DAYS)).then(column)
        problem = "bad_date" if kind == INSTANT else "bad_value"
        # beyond these years polars panics and Python raises, even to write the date
        found.append(_lost(column.to_physical(), known, name, problem, "no date: "))
        column = known
    if _is_odd(name, dtype):
        output = fronts.LIST if name in _LISTS else fronts.TEXT
        odd = _mapped(column, partial(fronts.read_odd, name=name, dtype=output), output)
        found.append(Finding(name, "bad_value", odd.struct.field("detail")))
        column = odd.struct.field("value")
        dtype = STRINGS if name in _LISTS else pl.String()
    text = column if dtype.is_nested() else column.cast(pl.String)
    if name in _LISTS:
        return as_list(name, column, dtype, found)
    if dtype.is_nested():  # polars writes JSON of structs only: {"x":...}
        written = pl.struct(column.alias("x")).struct.json_encode().str.slice(5).str.head(-1)
        return pl.when(column.is_not_null()).then(written)
    if kind == INSTANT:
        return _as_instant(name, column, dtype, found)
    if kind == pl.Int64:
        count = _as_count(column, dtype)
        detail = "not a whole number of 0 or more: "
        # numbers are not written out as text to see that they are something
        given = column.fill_nan(None) if dtype.is_numeric() else _something(text)
        found.append(_lost(given, count, name, "bad_value", detail))
        return count
    if name in ("text", "card"):
        pointer = text.str.starts_with("version https://git-lfs.github.com/spec/")
        fetch = pl.lit("a Git LFS pointer, not the card: fetch it with `git lfs pull`")
        found.append(_finding(pointer, "text", "lfs_pointer", fetch))
        return pl.when(~pointer).then(text)
    if name in ("metadata", "model_index"):
        return _mapped(text, fronts.json_texts, pl.String)
    if name == "id":
        own = text.str.strip_chars()
        says = "no ORG/NAME, but an address or a path: " + own.str.slice(0, 200)
        found.append(_finding(own.str.contains(_NO_NAME), name, "not_a_model_id", says))
    if name in _WORDS:
        text = text.str.strip_chars().str.to_lowercase().replace_strict(_WORDS[name], default=text)
    lost = _mapped(text, partial(fronts.read_texts_as, name=name, part="detail"), pl.String)
    found.append(Finding(name, "bad_value", lost))
    return _mapped(text, partial(fronts.read_texts_as, name=name), pl.String)


def _is_odd(name: str, dtype: pl.DataType) -> bool:
    """Whether a column is of a type that only Python reads, value by value."""
    if isinstance(dtype, (pl.List, pl.Array)):
        inner = dtype.inner
        return name not in _LISTS or not (inner in _PLAIN or inner.is_integer())  # type: ignore[union-attr]
    if name == "model_index" and dtype.is_nested():
        return False
    if isinstance(dtype, pl.Struct) and name == "metadata":
        return bool(re.search("Binary|Object|Duration|Float|Decimal", str(dtype)))
    if dtype.is_float():  # NaN is nothing, and 3.0 no name
        return COLUMNS.get(name, pl.String) in (pl.String, STRINGS)
    if name in _LISTS and (dtype == pl.Boolean or dtype.is_temporal()):
        return True
    return dtype in (pl.Struct, pl.Binary, pl.Object, pl.Duration, pl.Map)


_PLAIN = (pl.String, pl.Null, pl.Categorical, pl.Enum)


def _something(text: pl.Expr) -> pl.Expr:
    """Strip a text; null where it stands for nothing."""
    text = text.str.strip_chars()
    return pl.when(~text.is_in(fronts.NOTHING)).then(text)


def _as_count(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Give whole numbers of 0 or more; null for all others."""
    value = column if dtype.is_numeric() else column.cast(pl.String).str.strip_chars()
    number = value.cast(pl.Float64, strict=False)
    whole = pl.when((number == number.floor()) & number.is_between(0, 2.0**63, closed="left"))
    count = whole.then(number).cast(pl.Int64, strict=False)
    if dtype.is_numeric() and not dtype.is_integer():
        return count
    exact = value.cast(pl.Int64, strict=False)
    return pl.coalesce(pl.when(exact >= 0).then(exact), count)


def as_list(name: str, column: pl.Expr, dtype: pl.DataType, found: list[Finding]) -> pl.Expr:
    """Give lists of strings without nulls and blanks."""
    if isinstance(dtype, (pl.List, pl.Array)):
        lists = (column.arr.to_list() if isinstance(dtype, pl.Array) else column).cast(STRINGS)
    else:
        text = column.cast(pl.String)
        plain = text.str.split(";") if name == "tags" else pl.concat_list(text)
        empty = text == "[]"  # by far the most
        some = pl.when(~empty).then(text)
        simple = some.str.contains(_SIMPLE)
        quoted = some.str.extract_all(_QUOTED).list.eval(pl.element().str.slice(1).str.head(-1))
        others = pl.when(~simple).then(some)
        lists = pl.when(empty).then(pl.lit([], STRINGS)).when(simple).then(quoted)
        lists = lists.otherwise(_written(name, others, plain, found))
    item = pl.element()
    return lists.list.eval(item.str.strip_chars()).list.filter(item != "")


def _written(name: str, text: pl.Expr, plain: pl.Expr, found: list[Finding]) -> pl.Expr:
    """Read the texts that hold a list or mapping, and give `plain` for the others."""
    odd = text.str.contains(fronts.WRITTEN)
    read = _each(pl.when(odd).then(text), partial(fronts.read_written, name=name), fronts.LIST)
    others = pl.when(text.is_not_null()).then(plain)
    found.append(Finding(name, "bad_value", read.struct.field("detail")))
    return pl.when(odd).then(read.struct.field("value")).otherwise(others)


def _as_instant(name: str, column: pl.Expr, dtype: pl.DataType, found: list[Finding]) -> pl.Expr:
    if dtype in (pl.Datetime, pl.Date):
        if getattr(dtype, "time_zone", None):
            return column.dt.convert_time_zone("UTC").cast(INSTANT)
        return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    text = _something(column.cast(pl.String))
    typed = _mapped(text, fronts.instants, INSTANT)
    expected = "not a date (ISO 8601, or since 1970): "
    found.append(_lost(text, typed, name, "bad_date", expected))
    return typed


class _Way(NamedTuple):
    """One way to a column: from which column, how that is read, and what that gives of all rows."""

    column: str
    source: pl.Expr
    read: Callable[[pl.Expr], pl.Expr]
    whole: pl.Expr


class _Derived:
    """The canonical columns: as given, and where that is null, as follows from the others.

    What a card's tags say of it stands before its front matter. Columns of large files that say
    something in their first rows are taken as they are, lest counting them read the text of every
    card; what the nulls among them leave out is in :attr:`findings`.
    """

    def __init__(
        self, frame: pl.LazyFrame, have: set[str], look: Callable[..., str | None], *, plan: str
    ) -> None:
        self.have = have
        self.findings: list[Finding] = []
        self._bare = pl.lit(True)  # where no front matter is given beside the text
        if "metadata" in have:
            self._bare = pl.col("metadata").fill_null("{}") == "{}"
        self._in_text = look(frame, have, self._bare, plan)
        #: Columns that hold front matter, and what reads it.
        self._sources: dict[str, tuple[pl.Expr, fronts.Remembered]] = {}
        if "card" in have:
            self._sources["card"] = pl.col("card"), fronts.read_cards
        elif self._in_text:
            read = fronts.read_texts if self._in_text == "most" else fronts.read_some_texts
            self._sources["text"] = pl.when(self._bare).then(pl.col("text")), read
        if "metadata" in have:
            self._sources["metadata"] = pl.col("metadata"), fronts.read_metadata
        self._frame = frame
        several = [name for name in COLUMNS if name in have and len(self._ways(name)) > 1]
        #: The columns that are taken as they are, and whether nulls may come in later rows.
        self._settled, self._later = _settled(frame, several, plan)
        #: Where a column is null and others would say something, and the ways to that.
        self._unread: dict[str, tuple[pl.Expr, list[_Way]]] = {}

    def column(self, name: str) -> pl.Expr | None:
        """Give one canonical column; None where nothing gives it."""
        ways = self._ways(name)
        if not ways:
            return None
        if name == "base_model":
            return self._ids(self._first(name, ways))
        return self._first(name, ways)

    def laid_out(self, wanted: dict[str, Any]) -> tuple[pl.LazyFrame, dict[str, Any]]:
        """Give the frame, with front matter after what needs none of it.

        polars moves a filter before what it does not need, but not into an expression: a filter of
        tasks then leaves the front matter of other cards unread.
        """
        first = {
            name: column.alias(f"__cardlab_own_{name}")
            for name, column in wanted.items()
            if column is not None and name != "text" and FRONT_MATTER not in str(column)
        }
        last = (
            _mapped(source, read, fronts.FRONT).alias(f"{FRONT_MATTER}{name}")
            for name, (source, read) in self._sources.items()
        )
        own = {name: pl.col(f"__cardlab_own_{name}") for name in first}
        return self._frame.with_columns(first.values()).with_columns(last), {**wanted, **own}

    def _first(self, name: str, ways: list[_Way]) -> pl.Expr:
        """Give what the first way says, and of later nulls only that others would say more."""
        settled = [n for n, way in enumerate(ways, start=1) if way.column in self._settled]
        n_used = settled[0] if settled else len(ways)
        if self._later and ways[n_used:]:
            # of the nulls alone: to look for keys in all front matter takes longer than the rest
            null = ways[n_used - 1].whole.is_null()
            sources = (way.source for way in self._ways(name, null)[n_used:])
            given = pl.any_horizontal(source.is_not_null() for source in sources)
            self._unread[name] = null & given, ways[n_used:]
        return _first_of(ways[:n_used])

    def _ids(self, parents: pl.Expr) -> pl.Expr:
        """Give parents by their ids; what is an address or a path is said to be none."""
        item = pl.element()
        parted = item.str.contains(_JOINED)
        items = pl.when(parted).then(item.str.split(", ")).otherwise(pl.concat_list(item))
        joined = parents.list.eval(parted).list.any()
        parents = pl.when(joined).then(parents.list.eval(items.explode())).otherwise(parents)
        odd = parents.list.eval(item.filter(item.str.contains(_NO_ID)))
        says = "no id of a model, but an address or a path: " + odd.list.join(", ")
        self.findings.append(_finding(odd.list.len() > 0, "base_model", "not_a_model_id", says))
        return pl.when(odd.list.len() > 0).then(_as_ids(parents)).otherwise(parents)

    def problems(self) -> list[pl.Expr]:
        """Give lists of what is wrong with front matter, and of front matter in texts."""
        lists = [pl.col(f"{FRONT_MATTER}{n}").struct.field("problems") for n in self._sources]
        if "card" in self.have:
            return lists[:1] + self._unread_values()
        if "metadata" in self.have:
            metadata = self.column("metadata")
            assert metadata is not None  # it is among the columns
            detail = "the source gives no front matter here: unreadable, or never collected"
            null = _finding(metadata.is_null(), "metadata", "null_metadata", pl.lit(detail))
            self.findings.append(null)
            lists[-1] = _mapped(pl.col("metadata"), fronts.json_problems, PROBLEMS)
        if "text" in self.have:
            text = self.column("text")
            assert text is not None
            odd = text.str.contains(frontmatter.RULE) & text.str.contains(frontmatter.KEY_LINE)
            odd &= self._bare | text.str.contains(_RULE_FIRST)
            lists.append(_mapped(pl.when(odd).then(text), fronts.text_problems, PROBLEMS))
        return lists + self._unread_values()

    def _unread_values(self) -> list[pl.Expr]:
        """Give a list of what nulls of settled columns leave unread, if that is looked at."""
        if not self._unread:
            return []
        says, where = [], {name: f"{_ROW}_{name}" for name in self._unread}
        for name, (_, ways) in self._unread.items():
            left = _first_of(ways, pl.col(where[name]))
            text = left.list.join(", ") if COLUMNS[name] == STRINGS else left.cast(pl.String)
            prefix = "null here, where the card's tags or front matter say "
            detail = pl.when(text != "").then(prefix + text.str.slice(0, 200))
            says.append(detail.alias(name))
        needed = {name for detail in says for name in detail.meta.root_names()} - {*where.values()}
        masks = [mask.alias(where[name]) for name, (mask, _) in self._unread.items()]
        rows = pl.struct(*masks, *sorted(needed))
        return [_mapped(rows, partial(fronts.unread_values, says=says, where=where), PROBLEMS)]

    def _ways(self, name: str, rows: pl.Expr | None = None) -> list[_Way]:
        """Give the ways to a column, the surest first; keys are looked for in some rows, or all."""
        ways = []

        def add(column: str, source: pl.Expr, read: Any = lambda source: source) -> None:
            ways.append(_Way(column, source, read, read(source)))

        if name in self.have:
            add(name, self._own_text() if name == "text" and self._in_text else pl.col(name))
        if name == "author":
            add("id", pl.col("id"), lambda ids: ids.str.extract("^([^/]*)/"))
        if name in _PREFIX and "tags" in self.have:
            prefixed = partial(fronts.after_prefix, prefix=_PREFIX[name])
            add("tags", pl.col("tags"), partial(_mapped, function=prefixed, dtype=STRINGS))
        of_sets = name == "languages" and {"kind", "tags"} <= self.have
        tags = pl.when(pl.col("kind") == "dataset").then(pl.col("tags"))
        if of_sets:  # data sets have prefixed tags
            add("", tags, lambda source: _some(_languages(source)))
        for source, (texts, read) in self._sources.items():
            if name == "text" and source == "card":
                add(source, texts, partial(_each, function=fronts.body_of_card, dtype=pl.String))
            elif name in _FIELDS and (source != "metadata" or name not in ("arxiv", "metadata")):
                if name in _KEY:
                    texts = texts if rows is None else pl.when(rows).then(texts)
                    texts = _mapped(texts, partial(fronts.with_keys, keys=_KEY[name]), pl.String)
                some = partial(_mapped, function=partial(read, field=name), dtype=COLUMNS[name])
                whole = pl.col(f"{FRONT_MATTER}{source}").struct.field(name)
                ways.append(_Way("", texts, some, whole))
        if of_sets:  # none in front matter either
            add("", tags, _languages)
        return ways

    def _own_text(self) -> pl.Expr:
        """Give the texts without the front matter that they still hold."""
        given = pl.lit(None, pl.String)
        if "metadata" in self.have:
            given = pl.when(~self._bare).then(pl.col("metadata"))
        begins = pl.col("text").str.contains(_RULE_FIRST)
        both = pl.when(begins).then(pl.struct("text", given.alias("given")))
        return pl.coalesce(_each(both, fronts.body_of_text, pl.String), pl.col("text"))


def _first_of(ways: list[_Way], rows: pl.Expr | None = None) -> pl.Expr:
    """Give what the first way says, and of its nulls only what the others do; or of some rows."""
    first, *others = ways
    value = first.whole if rows is None else first.read(pl.when(rows).then(first.source))
    for way in others:
        null = value.is_null() if rows is None else value.is_null() & rows
        value = pl.coalesce(value, way.read(pl.when(null).then(way.source)))
    return value


def front_matter_in_texts(
    frame: pl.LazyFrame, have: set[str], bare: pl.Expr, plan: str
) -> str | None:
    """Say whether ``text`` still holds front matter: in most of the texts looked at, or some."""
    if "text" not in have:
        return None
    text = pl.col("text")
    if not plan.startswith("DF "):
        frame = frame.head(_LOOK_AT // 10)
    begins = pl.when(text.str.contains(_RULE_FIRST)).then(text)
    holds = begins.str.contains(frontmatter.KEY_LINE).fill_null(False)
    counts = collect(frame.select(holds.sum().alias("held"), text.count().alias("all"))).row(0)
    if not counts[0]:
        return None
    held = collect(frame.filter(holds).select(text, bare.alias("bare")).head(100))
    if not any(card and card.metadata for card in map(frontmatter.read_text, held["text"])):
        return None
    if counts[0] * 2 > counts[1]:
        return "most"
    return "some" if held["bare"].any() else None


def _settled(frame: pl.LazyFrame, names: list[str], plan: str) -> tuple[set[str], bool]:
    """Say by the first rows which columns are taken as they are, and whether more rows follow.

    What is in memory or read by Python anyway may be null: to see that it is not costs nothing.
    """
    if not names or plan.startswith(("DF ", "PYTHON SCAN")):
        return set(), False
    rows = frame.head(_LOOK_AT + 1).select(
        pl.len().alias("__cardlab_len"), pl.col(names).null_count()
    )
    counts = collect(rows).row(0, named=True)
    n_rows = counts.pop("__cardlab_len")
    later = n_rows > _LOOK_AT
    allowed = n_rows - 1 if later else 0
    return {name for name, n_null in counts.items() if n_null <= allowed}, later


def _as_ids(parents: pl.Expr) -> pl.Expr:
    """Give ids for addresses on the Hub, and nothing for what is no id."""
    item = pl.element()
    ids = pl.when(item.str.contains(_NO_ID)).then(item.str.extract(_ON_HUB)).otherwise(item)
    return parents.list.eval(ids.drop_nulls().unique(maintain_order=True))


def _languages(tags: pl.Expr) -> pl.Expr:
    return _mapped(tags, partial(fronts.after_prefix, prefix="language:"), STRINGS)


def _some(lists: pl.Expr) -> pl.Expr:
    return pl.when(lists.list.len() > 0).then(lists)


def _mapped(source: pl.Expr, function: fronts.Reader, dtype: Any) -> pl.Expr:
    return source.map_batches(function, return_dtype=dtype, is_elementwise=True)


def _each(source: pl.Expr, function: Any, dtype: Any) -> pl.Expr:
    return _mapped(source, fronts.each(function, dtype), dtype)


def _finding(condition: pl.Expr, column: str, kind: str, detail: pl.Expr) -> Finding:
    return Finding(column, kind, pl.when(condition).then(detail))


def _lost(before: pl.Expr, after: pl.Expr, column: str, kind: str, prefix: str) -> Finding:
    # only what was lost is written out as text
    lost = pl.when(before.is_not_null() & after.is_null()).then(before)
    value = lost.cast(pl.String).str.slice(0, 100)
    return Finding(column, kind, pl.format("{}{}", pl.lit(prefix), value))


def _joined(found: list[Finding], lists: list[pl.Expr]) -> pl.Expr:
    """Give what was found as one list of problems a card."""
    parts = [finding.detail.alias(f"detail_{n}") for n, finding in enumerate(found)]
    parts += [part.alias(f"list_{n}") for n, part in enumerate(lists)]
    labels = [(finding.column, finding.kind) for finding in found]
    return _mapped(pl.struct(parts), partial(fronts.join_problems, labels=labels), PROBLEMS)
