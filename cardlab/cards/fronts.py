"""What front matter and odd values say, a batch of cards at a time: loading that needs Python."""

from __future__ import annotations

import ast
import datetime as dt
import json
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from .. import frontmatter
from ..schema import COLUMNS, CONTROLS, INSTANT, PROBLEM, PROBLEMS, STRINGS, problem
from .records import NOT_UTF8

FRONT = pl.Struct(
    {
        "metadata": pl.String,
        "library_name": pl.String,
        "pipeline_tag": pl.String,
        "languages": STRINGS,
        "license": STRINGS,
        "base_model": STRINGS,
        "datasets": STRINGS,
        "arxiv": STRINGS,
        "tags": STRINGS,
        "problems": PROBLEMS,
    }
)
#: ``base_model:finetune:ORG/NAME`` says how; the parent itself is ORG/NAME.
_RELATION = r"^(?:adapter|finetune|merge|quantized):"
#: A value of a list or text column, and what was lost when it was read.
LIST = pl.Struct({"value": STRINGS, "detail": pl.String})
TEXT = pl.Struct({"value": pl.String, "detail": pl.String})
#: A text as Python prints it; a numpy array of such texts: ``['a' 'b']``, over several lines.
_TEXT = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_ARRAY = re.compile(rf"\[\s*(?:{_TEXT.pattern})(?:\s+(?:{_TEXT.pattern}))*\s*\]", re.DOTALL)
_ODD_ESCAPE = re.compile(r"""\\[^\\'"abfnrtv\n]""")
Reader = Callable[[pl.Series], pl.Series]
#: Texts that stand for nothing where a number, a date or front matter is expected.
NOTHING = ("", "null", "None", "none", "nan", "NaN", "NaT", "<NA>")
#: A list or mapping that is written as text.
WRITTEN = r"^\s*(?:[\[{]|set\(|\(\s*['\"])"
#: Front matter that is no JSON: keys of YAML, or a mapping as Python prints it.
_NO_JSON = r"^\s*(?:\{\s*'|[A-Za-z_][\w-]*:(?:\s|$))"
_UNREADABLE = dict.fromkeys(FRONT.to_schema())
#: In JSON: keys that are not as the Hub writes them (``dataset: {...}`` belongs to results), and
#: keys that hold more than a string or a list of strings. What it finds is read by Python.
_ODD_JSON = (
    r'"(?:languages|licen[cs]es|licence|tag|[Bb]ase_models|library|pipeline_tags'
    r'|base_model_relation|[LTDBP][A-Za-z _-]*|(?:base|library|pipeline)[ -]?[A-Za-z]+)"\s*:'
    r'|"dataset"\s*:\s*["\[]'
    rf'|"(?:{frontmatter.KEYS})"\s*:\s*(?:\{{|\[[^\]]*[\[{{])|"(?:library_name|pipeline_tag)"\s*:\s*\['
)
_ONE = r'(?:"[^"\\\x00-\x1f\[{]*"|0|[1-9][0-9]{0,14}|true|false|null)'
_KEY = r'license|language|tags|datasets|base_model|[^LTDBPltdbp"\\\x00-\x1f][^"\\\x00-\x1f]*'
_ITEM = (
    rf'(?:"(?:{_KEY})": ?(?:{_ONE}|\[(?:{_ONE}(?:, ?{_ONE})*)?\])'
    rf'|"(?:library_name|pipeline_tag)": ?{_ONE})'
)
#: JSON of which all is well: an object of values and lists of them, without what is odd above.
_SURE_JSON = rf"^\{{(?:{_ITEM}(?:, ?{_ITEM})*)?\}}$"
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
#: What is remembered of front matter, in bytes: about that of 200,000 cards.
_REMEMBERED = 2**28


class Remembered:
    """Reads each text once in a process, however often a lazy frame is collected.

    Known are the hash of a text and what was read. When that takes more than
    :data:`_REMEMBERED`, the older half is forgotten. A changed file has another hash.
    """

    def __init__(self, read: Callable[[str], dict[str, Any]]) -> None:
        self._read = read
        self._seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
        self._known = pl.DataFrame(schema={"key": pl.UInt64, "front": FRONT})
        self._lock = threading.Lock()

    def __call__(self, texts: pl.Series, *, field: str | None = None) -> pl.Series:
        """Give what is said by each text: structs of :data:`FRONT`, or one field of them."""
        part = pl.col("front") if field is None else pl.col("front").struct.field(field)
        given = texts.is_not_null()
        asked = texts.filter(given)
        key = asked.hash(self._seed).alias("key")
        known = self._known
        texts_by_key = pl.DataFrame([key, asked.alias("text")]).unique("key")
        new = texts_by_key.join(known, on="key", how="anti")
        if new.height:
            read = pl.Series("front", [self._read(text) for text in new["text"]], dtype=FRONT)
            more = new.select("key", read)
            known = pl.concat([known, more])
            self._remember(more)
        parts = known.select("key", part.alias("part")).rechunk()
        found = key.to_frame().join(parts, on="key", how="left", maintain_order="left")["part"]
        return _laid_out(given, found)

    def _remember(self, more: pl.DataFrame) -> None:
        with self._lock:
            # another thread may have read the same meanwhile
            known = pl.concat([self._known, more.join(self._known, on="key", how="anti")])
            if known.estimated_size() > _REMEMBERED:
                known = known.tail(known.height // 2)
            # batches come by hundreds of cards: few chunks, and not a copy of all for each
            self._known = known.rechunk() if known.n_chunks() > 16 else known


def _front(metadata: dict[str, Any] | None, problems: Any, arxiv: Any) -> dict[str, Any]:
    if metadata is None:
        return {**_UNREADABLE, "arxiv": arxiv, "problems": problems}
    known = frontmatter.fields(metadata)
    return {
        **known,
        "metadata": frontmatter.to_json(metadata),
        "arxiv": arxiv,
        "tags": frontmatter.hub_tags(known, arxiv),
        "problems": problems,
    }


def _front_of_card(card: str) -> dict[str, Any]:
    metadata, _, problems = frontmatter.read_card(card)
    return _front(metadata, problems, frontmatter.arxiv_ids(card))


def _front_of_text(text: str, *, whole: bool) -> dict[str, Any]:
    found = frontmatter.read_text(text)
    if found is None:
        return _front({}, [], frontmatter.arxiv_ids(text)) if whole else _UNREADABLE
    arxiv = None if found.metadata is None else frontmatter.arxiv_ids(text)
    return _front(found.metadata, found.problems, arxiv)


def _front_of_json(text: str) -> dict[str, Any]:
    value = _object(text)
    found = _UNREADABLE if value is None else _front(value, [], [])
    return {**found, "metadata": None, "arxiv": None}


#: Read the front matter of whole cards; null fields where a card is null or broken.
read_cards = Remembered(_front_of_card)
#: Read the front matter that texts still hold; without any, nothing is declared, or known.
read_texts = Remembered(partial(_front_of_text, whole=True))
read_some_texts = Remembered(partial(_front_of_text, whole=False))
#: Take the canonical columns out of front matter that a source gives as JSON.
read_metadata = Remembered(_front_of_json)


def _object(text: str | None) -> dict[str, Any] | None:
    try:
        value = None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def json_problems(metadata: pl.Series) -> pl.Series:
    """List what is wrong with front matter that should be JSON, where it is given."""
    doubtful = ~metadata.str.contains(_SURE_JSON).fill_null(True)
    others = metadata.filter(doubtful)
    odd = others.str.contains(_ODD_JSON)
    try:
        others.str.json_decode(pl.Struct({"": pl.Null}))  # half the time of any other check
    except pl.exceptions.ComputeError:  # some are no objects, or no JSON
        odd |= ~others.str.json_path_match("$").str.starts_with("{").fill_null(False)
    found = pl.Series([_problems_of_json(text) for text in others.filter(odd)], dtype=PROBLEMS)
    return _laid_out(doubtful, _laid_out(odd, found, []), [])


def _problems_of_json(text: str) -> list[dict[str, str]]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return [problem("metadata", "bad_json", str(error))]
    if not isinstance(value, dict):
        detail = f"the front matter is JSON, but {type(value).__name__}, not an object"
        return [problem("metadata", "not_a_mapping", detail)]
    problems: frontmatter.Problems = []
    frontmatter.fields(value, problems)
    return problems


def text_problems(texts: pl.Series) -> pl.Series:
    """List front matter that texts hold and that is not read, where they are given."""
    found = [frontmatter.front_matter_in(text) for text in texts.drop_nulls()]
    return _laid_out(texts.is_not_null(), pl.Series(found, dtype=PROBLEMS), [])


def _laid_out(places: pl.Series, values: pl.Series, other: Any = None) -> pl.Series:
    """Lay out the values of a few rows as those of all."""
    if values.null_count() == len(values) and (other is None or values.is_empty()):
        return pl.Series(values.name, [other], dtype=values.dtype).new_from_index(0, len(places))
    rows = places.cum_sum().cast(pl.UInt32) * places.cast(pl.UInt32)
    return pl.concat([pl.Series([other], dtype=values.dtype), values], rechunk=True).gather(rows)


def each(function: Callable[[Any], Any], dtype: Any) -> Reader:
    """Make a reader of whole columns of one of single values; nulls stay nulls."""

    def read(values: pl.Series) -> pl.Series:
        found = [function(value) for value in values.drop_nulls().to_list()]
        return _laid_out(values.is_not_null(), pl.Series(found, dtype=dtype))

    return read


def after_prefix(tags: pl.Series, *, prefix: str) -> pl.Series:
    """Give what tags say after a prefix, each once; nulls cost nothing, as they would in lists."""
    item = pl.element().str.strip_prefix(prefix)
    item = item.str.replace(_RELATION, "") if prefix == "base_model:" else item
    said = pl.first().list.filter(pl.element().str.starts_with(prefix))
    said = said.list.eval(item.filter(item != "").unique(maintain_order=True))
    found = tags.drop_nulls().to_frame().select(said).to_series()
    return _laid_out(tags.is_not_null(), found)


def body_of_card(card: str) -> str:
    """Give the body of a whole card, without parsing its front matter."""
    return frontmatter.split_card(card)[1]


def body_of_text(both: dict[str, str | None]) -> str | None:
    """Give a ``text`` without the front matter that it still holds.

    ``given`` is the front matter that the source gives as JSON: what stands in the text and is not
    given was left there on purpose.
    """
    if both["text"] is None:
        return None
    card = frontmatter.read_text(both["text"])
    given = _object(both["given"])
    if card is None or (given is not None and not set(card.metadata or ()) <= set(given)):
        return both["text"]
    return card.body


def _read_text(text: str) -> Any:
    """Read a list or mapping that is held as text: JSON, or as Python or a database prints it."""
    text = text.strip()
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    if _ARRAY.fullmatch(text):  # Python would read 'a' 'b' as one text
        return [ast.literal_eval(part) for part in _TEXT.findall(text)]
    with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
        if not _ODD_ESCAPE.search(text):  # Python warns of it
            return ast.literal_eval(text)
    # YAML reads what is half of either, and PostgreSQL's {a,"b c"}: keys without values
    value = (frontmatter.read_block(f"tags: {text}")[0] or {}).get("tags", text)
    bare = isinstance(value, dict) and not any(item is not None for item in value.values())
    return [*value] if bare else value


def read_written(text: str, *, name: str) -> dict[str, Any]:
    """Read the values of a column that are held as text."""
    value = _read_text(text)
    if name == "base_model" and isinstance(value, dict) and isinstance(value.get("models"), list):
        value = [model.get("id") if isinstance(model, dict) else model for model in value["models"]]
    return _read_odd(value, name)


# As expressions polars would look at each text once for every place in which one stands.


def read_texts_as(texts: pl.Series, *, name: str, part: str = "value") -> pl.Series:
    """Read the texts of a column, blanks as null, or give what was lost where that is the `part`.

    A text may hold a list or mapping.
    """
    odd = texts.str.contains(WRITTEN).fill_null(False)
    read = [read_written(text, name=name)[part] for text in texts.filter(odd)]
    found = pl.Series(read, dtype=pl.String)
    if part == "detail":
        return _laid_out(odd, found)
    texts = texts.str.strip_chars()
    texts = texts.scatter(odd.arg_true(), found) if read else texts
    return texts.set(texts == "", None)


def json_texts(texts: pl.Series) -> pl.Series:
    """Give front matter as JSON, whatever way it is written; null where a text holds nothing."""
    texts = texts.str.strip_chars()
    texts = texts.set(texts.is_in(NOTHING), None)
    odd = texts.str.contains(_NO_JSON).fill_null(False)
    read = [metadata_of(text) for text in texts.filter(odd)]
    return texts.scatter(odd.arg_true(), pl.Series(read, dtype=pl.String)) if read else texts


def with_keys(texts: pl.Series, *, keys: tuple[str, str]) -> pl.Series:
    """Keep the texts in which both of two patterns are found, of which the first is quick."""
    quick, sure = keys
    found = texts.str.contains(quick).fill_null(False)
    some = texts.filter(found)
    return _laid_out(found, some.set(~some.str.contains(sure), None))


def record(text: str) -> dict[str, Any]:
    """Read a whole record of the Hub's API; empty where the text is none."""
    value = _read_text(text)
    return value if isinstance(value, dict) else {}


def read_records(texts: pl.Series, *, dtype: pl.Struct) -> pl.Series:
    """Give some fields of whole records, as text; null where there is no text."""

    def fields(text: str) -> dict[str, str | None]:
        found = record(text)
        return {name: _field(found.get(name)) for name in dtype.to_schema()}

    return each(fields, dtype)(texts)


def _field(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return None if value == "None" else value
    return json.dumps(value, ensure_ascii=False, default=str)


def metadata_of(text: str) -> str:
    """Give front matter that is written as YAML, or as Python prints it, as JSON."""
    if text.lstrip().startswith("{"):
        metadata = record(text)
    else:
        metadata = frontmatter.read_block(text)[0] or {}
    return frontmatter.to_json(metadata) if metadata else text


def read_odd(values: pl.Series, *, name: str, dtype: pl.Struct) -> pl.Series:
    """Read values of a type that a column should not have, and say what of them was lost."""
    try:
        read = [_read_odd(value, name) for value in values.to_list()]
    except (OverflowError, pl.exceptions.PanicException) as error:  # dates in lists of any year
        lost = {"value": None, "detail": f"values of {values.dtype} cannot be read: {error}"}
        return each(lambda _: lost, dtype)(values.is_null().replace(True, None))
    return pl.Series(read, dtype=dtype)


def _read_odd(value: Any, name: str) -> dict[str, Any]:
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=str)
    if name == "metadata" and isinstance(value, (dict, list)):
        return {"value": frontmatter.to_json(frontmatter.plain(value)), "detail": None}
    texts, others = frontmatter.read_values(_without_nulls(value))
    detail = frontmatter.not_a_name(others) if others else None
    raw = b"".join(v for v in (value if isinstance(value, list) else [value]) if type(v) is bytes)
    if raw.decode("utf-8", "ignore").encode() != raw:
        detail = NOT_UTF8
    if COLUMNS.get(name) == STRINGS:
        return {"value": None if value is None else texts, "detail": detail}
    if name in ("text", "card"):
        whole = value.decode("utf-8", "replace") if isinstance(value, bytes) else "\n".join(texts)
        return {"value": whole if texts else None, "detail": detail}
    if len(texts) > 1:
        detail = frontmatter.not_one(texts)
    return {"value": texts[0] if texts else None, "detail": detail}


def _without_nulls(value: Any) -> Any:
    """Leave out what a struct of a table only has because another row has it."""
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if item is not None}
    return value


def instants(texts: pl.Series) -> pl.Series:
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


def join_problems(parts: pl.Series, *, labels: list[tuple[str, str]]) -> pl.Series:
    """Give details (one column for each of `labels`) and lists of problems as one list a card."""
    frame = parts.struct.unnest()
    details, lists = frame.columns[: len(labels)], frame.columns[len(labels) :]
    found = [pl.col(name).is_not_null() for name in details]
    found += [(pl.col(name).list.len() > 0).fill_null(False) for name in lists]
    hit = frame.select(pl.any_horizontal(found)).to_series()
    problems = [
        pl.concat_list(_problem_of(*label, pl.col(name))).list.drop_nulls()
        for name, label in zip(details, labels, strict=True)
    ]
    problems += [pl.col(name).fill_null(pl.lit([], PROBLEMS)) for name in lists]
    some = frame.filter(hit).select(pl.concat_list(problems)).to_series()
    return _laid_out(hit, some, [])


def unread_values(rows: pl.Series, *, says: list[pl.Expr], where: dict[str, str]) -> pl.Series:
    """List what `says` gives of the few rows that any of the fields `where` marks.

    Of all rows, lists would be copied to leave nearly all of them out.
    """
    frame = rows.struct.unnest()
    hit = frame.select(pl.any_horizontal(where.values())).to_series()
    details = frame.filter(hit).select(pl.struct(says)).to_series()
    labels = [(name, "unread_value") for name in where]
    return _laid_out(hit, join_problems(details, labels=labels), [])


def _problem_of(column: str, kind: str, detail: pl.Expr) -> pl.Expr:
    text = detail.str.replace_all(f"[{CONTROLS}]", "\ufffd")
    short = pl.when(text.str.len_chars() > 300).then(text.str.slice(0, 299) + "…").otherwise(text)
    parts = pl.lit(column).alias("column"), pl.lit(kind).alias("problem"), short.alias("detail")
    return pl.when(detail.is_not_null()).then(pl.struct(parts).cast(PROBLEM))
