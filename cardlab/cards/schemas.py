"""What known schemas keep inside other columns -> columns by themselves: ``data/schemas.toml``.

Nothing here knows a schema by its name: a rule holds where its columns are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import polars as pl

from .. import frontmatter
from ..schema import SCHEMAS, STRINGS, canonical_name, collect, folded
from . import fronts
from .canonical import as_list

#: Rows that are looked at before a rule is said to hold.
_LOOK_AT = 100
_KINDS = tuple(SCHEMAS["kinds"])
_PREFIXED = rf"^({'|'.join(_KINDS)})s/(.+)"
_NUMBER = r"^\d+$"
#: How the text of a whole record of the Hub's API begins: with its id, which is no front matter.
_RECORD = re.compile(r"\s*\{.{0,500}?[\"'](?:modelId|id)[\"']\s*:\s*[\"']", re.DOTALL)
_HUB = r"^(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/"
#: What follows a repository in the address of a page of it.
_PAGE = r"(?:/(?:tree|blob|raw|resolve|discussions)(?:/.*)?)?/?(?:[?#].*)?$"
_NUMBERS = ("parameters", "file_size")
#: How a guess is overruled.
_OVERRULE = "to overrule it: scan_cards(source, columns={'theirs': 'id'})"
_BY_HAND = "to overrule it: scan_cards(source).with_columns(kind=pl.lit('model'))"
_ENDINGS = rf"\.(?:{'|'.join(SCHEMAS['formats'])})\b"


def renamed(raw: pl.LazyFrame, columns: Mapping[str, str]) -> pl.LazyFrame:
    """Rename columns as the user says; what had such a name is set aside as ``source_...``."""
    have = raw.collect_schema().names()
    new = {theirs: ours for theirs, ours in columns.items() if theirs in have}
    return raw.rename({**_aside([name for name in new.values() if name not in new], have), **new})


def fitted(raw: pl.LazyFrame) -> tuple[pl.LazyFrame, list[tuple[str, str]]]:
    """Add what the columns of a raw frame hold inside; gives it, and what was guessed for it.

    A guess is a canonical column and the sentence that says what it was read from.
    """
    raw = _dated(_unwrapped(raw))
    raw, guesses = _identified(raw)
    raw, parted = _parted(_set_aside(_with_parents(raw)))
    guesses += parted
    have = raw.collect_schema()
    known = {canonical_name(name) for name in have}
    made = {"parameters": _parameters(have), "formats": _formats(have)}
    return raw.with_columns(
        value.alias(name) for name, value in made.items() if value is not None and name not in known
    ), guesses


def _aside(names: list[str], have: list[str]) -> dict[str, str]:
    return {name: f"source_{name}" for name in names if name in have}


def _set_aside(raw: pl.LazyFrame) -> pl.LazyFrame:
    """Keep what has the name of a number and holds something else: a size in words, settings."""
    have = raw.collect_schema()
    named = [name for name in have if canonical_name(name) in _NUMBERS]
    looked = _look(raw, named)
    odd = [name for name in named if have[name].is_nested()]
    odd += [
        name
        for name in looked.columns
        if not looked[name].drop_nulls().str.contains(r"^\s*(?:\d+(?:\.0*)?)?\s*$").all()
    ]
    return raw.rename(_aside(odd, list(have)))


def _by_name(have: Any) -> dict[str, str]:
    return {folded(name): name for name in have}


def _look(raw: pl.LazyFrame, names: list[str]) -> pl.DataFrame:
    """Give the first values of some columns as text; not of those that hold lists and the like."""
    have = raw.collect_schema()
    plain = [name for name in names if have[name] == pl.String or have[name].is_integer()]
    return collect(raw.select(pl.col(plain).cast(pl.String)).head(_LOOK_AT))


def _parted(raw: pl.LazyFrame) -> tuple[pl.LazyFrame, list[tuple[str, str]]]:
    """Part texts at what joins names in many of the first: ``bert, en`` is no name of the Hub's."""
    have, guesses = raw.collect_schema(), []
    named = [name for name in have if canonical_name(name) in ("tags", "languages", "datasets")]
    texts = _look(raw, [name for name in named if have[name] == pl.String])
    for name in texts.columns:
        some = texts[name].str.strip_chars().replace("", None).drop_nulls()
        # a list that is written out is read as one, whatever is in it
        joins = (j for j in ";|," if some.str.contains(j, literal=True).sum() * 10 > len(some))
        join = next(joins, None)
        known = join == ";" and canonical_name(name) == "tags"  # as listings are passed around
        if join and not known and not some.str.contains(fronts.WRITTEN).any():
            raw = raw.with_columns(pl.col(name).str.split(join))
            overrule = f"to overrule it: scan_cards(frame.with_columns(pl.concat_list({name!r})))"
            said = f"`{name}` is text and is parted at each {join!r}; {overrule}"
            guesses.append((str(canonical_name(name)), said))
    return raw, guesses


def _unwrapped(raw: pl.LazyFrame) -> pl.LazyFrame:
    """Give the fields of whole records that a column holds as text, where no column has them."""
    rules = SCHEMAS["records"]
    have = raw.collect_schema()
    for name in (name for name in rules["columns"] if have.get(name) == pl.String):
        texts = _look(raw, [name])[name].drop_nulls()
        if not len(texts) or not _RECORD.match(texts[0]):
            continue
        keys = {key for text in texts for key in fronts.record(text)}
        here = {canonical_name(other) or other for other in have if other != name}
        fields: dict[str, str] = {}
        for key in (key for key in rules["fields"] if key in keys):
            if (canonical_name(key) or key) not in here:
                fields.setdefault(canonical_name(key) or key, key)
        dtype = pl.Struct(dict.fromkeys(fields.values(), pl.String))
        read = partial(fronts.read_records, dtype=dtype)
        whole = pl.col(name).map_batches(read, return_dtype=dtype, is_elementwise=True)
        raw = raw.with_columns(whole.alias("__record")).with_columns(
            pl.col("__record").struct.field(key).alias(key) for key in fields.values()
        )
        raw = raw.drop("__record").rename(_aside([name], list(have)))
        have = raw.collect_schema()
    return raw


def _dated(raw: pl.LazyFrame) -> pl.LazyFrame:
    """Write dates as ISO 8601 where a schema has a form of its own."""
    have = raw.collect_schema()
    forms = {n: form for n, form in SCHEMAS["dates"].items() if have.get(n) == pl.String}
    return raw.with_columns(
        pl.coalesce(pl.col(n).str.to_datetime(form, strict=False).dt.to_string("iso"), n).alias(n)
        for n, form in forms.items()
    )


def _identified(raw: pl.LazyFrame) -> tuple[pl.LazyFrame, list[tuple[str, str]]]:
    """Find the ids where ``id`` counts rows, or none is there; and what the cards are cards of."""
    have = raw.collect_schema().names()
    ids = [name for name in have if canonical_name(name) == "id"]
    types = [name for name in have if folded(name) in ("kind", "type")]
    looked = _look(raw, [*ids, *types])
    held = {name: looked[name].drop_nulls() for name in looked.columns}
    guesses = []
    held |= {name: pl.Series([], dtype=pl.String) for name in (*ids, *types) if name not in held}
    counting = [n for n in ids if len(held[n]) and held[n].str.contains(_NUMBER).all()]
    if len(counting) == len(ids):
        pairs = [pair for pair in SCHEMAS["joined"]["id"] if {*pair} <= {*have}]
        if pairs:
            raw = raw.rename(_aside(counting, have)).with_columns(
                pl.concat_str(*pairs[0], separator="/").alias("id")
            )
            said = " and ".join(f"`{part}`" for part in pairs[0])
            return raw, [("id", f"{said}, joined by a slash, are read as `id`; {_OVERRULE}")]
    elif counting:
        raw = raw.rename(_aside(counting, have))
        said = f"`{counting[0]}` counts rows and is kept as `source_{counting[0]}`"
        guesses = [("id", f"{said}; {_OVERRULE}")]
        ids = [name for name in ids if name not in counting]
    raw = _with_kind(raw, ids[:1], held)
    if "kind" not in raw.collect_schema() and (kind := _kind_by_keys(raw)):
        what = "data sets" if kind == "dataset" else "Spaces"
        said = f"front matter of most of the first cards has keys of {what}; {_BY_HAND}"
        return raw.with_columns(pl.lit(kind).alias("kind")), [*guesses, ("kind", said)]
    return raw, guesses


def _kind_by_keys(raw: pl.LazyFrame) -> str | None:
    """Tell by the keys of the first cards whether most are of one kind.

    Only of cards that came alone: no text is read of a table whose tags are to be counted.
    """
    names = have = raw.collect_schema()
    cards = [n for n in names if canonical_name(n) == "card" and have[n] == pl.String]
    if not cards or any(canonical_name(name) == "tags" for name in names):
        return None
    texts = _look(raw, cards[:1]).to_series().drop_nulls()
    texts = texts.filter(texts.str.contains(frontmatter.KEY_LINE))
    for kind, keys in SCHEMAS["keys"].items():
        if texts.str.contains(rf"(?m)^(?:{'|'.join(keys)}):").sum() * 2 > len(texts):
            return str(kind)
    return None


def _with_kind(raw: pl.LazyFrame, ids: list[str], held: dict[str, pl.Series]) -> pl.LazyFrame:
    """Say what the cards are cards of, where ids or columns do; ids lose what says it."""
    have = _by_name(raw.collect_schema())
    for name in ids:
        if held[name].str.contains(_HUB).any():
            raw = raw.with_columns(_of_address(pl.col(name)))
            held[name] = held[name].to_frame().select(_of_address(pl.col(name))).to_series()
        if len(held[name]) and held[name].str.contains(_PREFIXED).all():
            parts = pl.col(name).str.extract_groups(_PREFIXED).struct
            raw = raw.with_columns(parts.field("2").alias(name), parts.field("1").alias("__kind"))
            aside = _aside(["kind"], list(have.values()))
            return raw.rename({**aside, "__kind": "kind"})
    if "kind" not in have and "type" in have:
        words = held[have["type"]].str.to_lowercase().str.strip_suffix("s")
        if len(words) and words.is_in(_KINDS).all():
            return raw.with_columns(pl.col(have["type"]).alias("kind"))
    for kind, names in SCHEMAS["kinds"].items():
        if "kind" not in have and any(folded(name) in have for name in names):
            return raw.with_columns(pl.lit(kind).alias("kind"))
    return raw


def _of_address(address: pl.Expr) -> pl.Expr:
    """Give what an address on the Hub leads to: ``models/ORG/NAME``, ``datasets/ORG/NAME``."""
    path = address.str.strip_chars().str.replace(_HUB, "")
    path = pl.when(address.str.contains(_HUB)).then(path.str.replace(_PAGE, "")).otherwise(path)
    whole = pl.when(path.str.contains(_PREFIXED)).then(path).otherwise("models/" + path)
    return whole.name.keep()


def _with_parents(raw: pl.LazyFrame) -> pl.LazyFrame:
    """Turn the children that a tree lists around: columns of parents, of each relation."""
    have = raw.collect_schema()
    ids = [name for name in have if canonical_name(name) == "id"]
    listed = {n: relation for n, relation in SCHEMAS["children"].items() if n in have}
    if "depth" not in have or "children" not in have or not ids:
        return raw
    key = pl.col(ids[0]).cast(pl.String).alias("__id")
    for name, relation in listed.items():
        child = as_list("base_model", pl.col(name), have[name], [])
        child = child.list.eval(pl.element().str.replace(_HUB, "")).list.unique()
        parents = (
            raw.select(key.alias("__parent"), child.alias("__id"))
            .explode("__id", empty_as_null=False, keep_nulls=False)
            .group_by("__id", maintain_order=True)
            .agg(pl.col("__parent").unique(maintain_order=True).alias(f"{relation}_parent"))
        )
        if f"{relation}_parent" not in have:
            raw = raw.with_columns(key).join(parents, "__id", "left", maintain_order="left")
            raw = raw.drop("__id")
    return raw


def _parameters(have: pl.Schema) -> pl.Expr | None:
    """Give the number of parameters that a column counts among other things."""
    found = []
    for name, field in SCHEMAS["inside"]["parameters"]:
        dtype = have.get(name)
        if isinstance(dtype, pl.Struct) and field in dtype.to_schema():
            found.append(pl.col(name).struct.field(field).cast(pl.Int64, strict=False))
        elif dtype == pl.String:
            number = pl.col(name).str.extract(rf"[\"']{field}[\"']\s*:\s*(\d+)")
            found.append(number.cast(pl.Int64, strict=False))
    return pl.coalesce(found) if found else None


def _formats(have: pl.Schema) -> pl.Expr | None:
    """Give the formats of weights by the names of a repository's files; null without any list."""
    dtype, names = have.get("siblings"), pl.col("siblings")
    if isinstance(dtype, pl.List):
        if isinstance(dtype.inner, pl.Struct):
            if "rfilename" not in dtype.inner.to_schema():
                return None
            names = names.list.eval(pl.element().struct.field("rfilename"))
        elif dtype.inner != pl.String:
            return None
        names = names.list.join("\n")
    elif dtype != pl.String:
        return None
    ends = names.str.to_lowercase().str.extract_all(_ENDINGS)
    format_of = pl.element().str.slice(1).replace_strict(SCHEMAS["formats"], default=None)
    return ends.list.eval(format_of.unique().sort().drop_nulls()).cast(STRINGS)
