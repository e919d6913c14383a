"""Tolerant reading of one card: its YAML front matter, its body, and what was wrong with it.

Cards are written by hand, by scripts and by strangers, so nothing here raises: what cannot be read
becomes None and a problem (see :func:`cardlab.schema.problem`) that says why.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from functools import lru_cache
from typing import Any, NamedTuple

import yaml

from .schema import RELATIONS, folded, printable, problem, shorten

#: Keys of the front matter that become columns, and other spellings of them that occur.
_SPELLINGS: dict[str, tuple[str, ...]] = {
    "language": ("languages",),
    "license": ("licenses", "licence", "licences"),
    "tags": ("tag",),
    "datasets": ("dataset",),
    "base_model": ("base_models",),
    "library_name": ("library",),
    "pipeline_tag": ("pipeline_tags",),
}
_KEYS = {folded(name): key for key, also in _SPELLINGS.items() for name in (key, *also)}
KEYS = "|".join(_SPELLINGS)
#: A line that divides, and one that only front matter has: a key of the Hub, as the Hub writes it.
RULE = r"(?m)^---[ \t]*\r*$"
KEY_LINE = rf"(?m)^[\"']?(?:{KEYS}|languages|widget|model-index)[\"']?[ \t]*:"

_STRING = r'"[^"\\\x00-\x1f]*"'
_VALUE = rf"(?:{_STRING}|-?(?:0|[1-9][0-9]{{0,14}})(?:\.[0-9]{{1,15}})?|true|false|null)"
_ITEM = rf"{_STRING}: ?(?:{_VALUE}|\[(?:{_VALUE}(?:, ?{_VALUE})*)?\])"
#: JSON that is an object beyond doubt: without escapes, and nothing in it but values and lists of
#: them. Three of four cards have no other, and a parser takes four to ten times as long.
FLAT_JSON = rf"^\{{(?:{_ITEM}(?:, ?{_ITEM})*)?\}}$"

#: Keys whose values are names or codes: kept as the strings that were written, so that
#: ``no`` stays Norwegian, ``3.10`` stays a version and ``2020-01-01`` stays a tag.
AS_WRITTEN = frozenset(
    (*_SPELLINGS, "languages", "license_name", "license_link", "base_model_relation", "metrics")
)

#: libyaml's parser recurses on the C stack and dies there; real cards nest about ten deep.
MAX_DEPTH = 100
#: A few lines of aliases can stand for billions of values; the largest real block has 60,000.
MAX_VALUES = 1_000_000
#: Python refuses to write longer numbers than of 4,300 digits.
_MAX_BITS = 14_000

_FENCE = re.compile(r"---[ \t]*\r*(?:\n|\Z)")
_CLOSING = re.compile(r"^---[ \t]*\r*(?:\n|\Z)", re.MULTILINE)
#: Front matter as other tools write it.
_OTHER = re.compile(r"\ufeff?(?:\+\+\+[ \t]*\r*\n(?:.*\n)*?\+\+\+|---[ \t]*\r(?!\n)[^\n]*\r---)")
_BLANK = re.compile(r"\ufeff?\s*")
_NESTING = re.compile(r"[\[\]{}]")
_RUN_OF_INDICATORS = re.compile(rf"(?:[-?:][ \t]+){{{MAX_DEPTH}}}")
_DEEP_INDENT = re.compile(rf"^[ \t]{{{2 * MAX_DEPTH}}}[ \t]*[^\s#]", re.MULTILINE)
_ARXIV = re.compile(r"\d{4}\.\d{4,5}(?!\d)")
#: What stands before an id: links to arXiv and to the Hub's page of a paper, BibTeX's ``eprint``.
_BEFORE_ARXIV = re.compile(
    r"""(?:arxiv\.org/(?:abs|pdf|html)/|(?:huggingface\.co|hf\.co)/papers/
    |\beprint\s{0,9}=\s{0,9}[{"]\s{0,9}(?:arxiv:)?)\Z""",
    re.IGNORECASE | re.VERBOSE,
)

#: What was found wrong: items of the column `problems`.
Problems = list[dict[str, str]]


class Card(NamedTuple):
    """One card taken apart.

    ``metadata`` is None where a front matter block is there but cannot be read, and an empty
    mapping where there is none.
    """

    metadata: dict[str, Any] | None
    body: str
    problems: Problems


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """SafeLoader that leaves dates as the strings that were written (JSON has no dates).

    Keys are strings as JSON's are: numbers as keys can be chosen so that all have one hash.
    """

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[str, Any]:
        self.flatten_mapping(node)
        mapping: dict[str, Any] = {}
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key that is a list or a mapping", key.start_mark
                )
            mapping[key.value] = self.construct_object(item, deep=deep)
        return mapping


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def split_card(card: str) -> tuple[str | None, str, int]:
    """Split a card into its front matter block, its body, and the block's first line in the card.

    The block stands between the first line that is not blank, if it is ``---``, and the next such
    line. Without a first the block is None and the line 0; without a next only the block is None.
    """
    blank = _BLANK.match(card)
    start = blank.end() if blank else 0
    fence = _FENCE.match(card, start)
    if fence is None or (start and card[start - 1] not in "\n\r\ufeff"):
        return None, card, 0
    line = card.count("\n", 0, fence.end()) + 1
    closing = _CLOSING.search(card, fence.end())
    if closing is None:
        return None, card, line
    return card[fence.end() : closing.start()], card[closing.end() :], line


def read_card(card: str) -> Card:
    """Read one card: front matter, body and problems.

    YAML 1.1 as PyYAML reads it (libyaml where present), except that the values of
    :data:`AS_WRITTEN` and all keys and dates stay the strings that were written. Front matter that
    does not stand at the top is text, to the Hub as to us, and said to be there.
    """
    block, body, line = split_card(card)
    if block is None:
        if line:
            begins = max(line - 1, 1)  # a card may end there
            detail = f"line {begins}: the front matter begins but no closing --- follows"
            return Card(None, body, [problem("metadata", "unterminated", detail)])
        if other := _OTHER.match(card):
            what = "TOML" if other[0].startswith("+") else "lines that end in a bare CR"
            detail = f"line 1: front matter in {what} is not read; it is YAML between --- lines"
            return Card({}, body, [problem("metadata", "front_matter_in_text", detail)])
        return Card({}, body, front_matter_in(body))
    metadata, problems = read_block(block, line=line)
    if split_card(body)[0] is not None:  # a second block right below the first
        problems += front_matter_in(body, line=card.count("\n", 0, len(card) - len(body)) + 1)
    return Card(metadata, body, problems)


def read_text(text: str) -> Card | None:
    """Read a text that may still hold its front matter; None where it does not.

    A text may begin with a rule: front matter has a key of the Hub's and can be read. What has
    the key and cannot be read stays text, with a problem.
    """
    block, body, line = split_card(text)
    if block is None or not re.search(KEY_LINE, block):
        return None
    metadata, problems = read_block(block, line=line)
    return Card(metadata, body if metadata is not None else text, problems)


def front_matter_in(text: str, *, line: int = 1) -> Problems:
    """List what reads as front matter in a text, where the Hub does not look for it.

    `line` is the number of the text's first line in its card.
    """
    rules = [rule.span() for rule in itertools.islice(re.finditer(RULE, text), 20)]
    for (start, end), (close, _) in itertools.pairwise(rules):
        block = text[end + 1 : close]
        if re.search(KEY_LINE, block) and read_block(block)[0]:
            number = line + text.count("\n", 0, start)
            detail = f"line {number}: front matter that does not stand at the top is not read"
            return [problem("metadata", "front_matter_in_text", detail)]
    return []


def read_block(block: str, *, line: int = 1) -> tuple[dict[str, Any] | None, Problems]:
    """Read a front matter block (without its ``---`` lines); see :func:`read_card`."""
    text = re.sub(r"\r+\n?", "\n", block.lstrip("\ufeff"))
    # libyaml refuses most controls; a stray one in a description is no reason to lose the rest
    text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]", "\ufffd", text)
    problems: Problems = []
    try:
        value = _construct(text, line, problems)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {line + mark.line}: " if mark else ""
        detail = where + str(error.problem or error.context)
        return None, [problem("metadata", "yaml_error", " ".join(detail.split()))]
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        detail = f"line {line}: {' '.join(str(error).split()) or type(error).__name__}"
        return None, [problem("metadata", "yaml_error", detail)]
    if value is None:
        return {}, []
    if not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else f"one {type(value).__name__}"
        detail = f"line {line}: the front matter is {kind}, not `key: value` lines"
        return None, [problem("metadata", "not_a_mapping", detail)]
    fields(value, problems)
    return value, problems


def to_json(metadata: dict[str, Any]) -> str:
    """Write front matter as JSON, with numbers that JSON lacks (NaN, infinity) as null."""
    try:
        return json.dumps(metadata, ensure_ascii=False, allow_nan=False)
    except ValueError:
        finite = json.loads(json.dumps(metadata), parse_constant=lambda _: None)
        return json.dumps(finite, ensure_ascii=False)


def read_values(value: Any) -> tuple[list[str], list[Any]]:
    """Give a field that may be a scalar, a list or missing as strings, and the mappings in it.

    Strings come without blanks, in order, lists inside lists as one. ``False`` is the Norwegian
    code ``no`` as YAML 1.1 reads it; numbers that JSON lacks are no values.
    """
    if isinstance(value, str):  # by far the most
        text = value.strip()
        return [text] if text else [], []
    values, others, left = [], [], [value]
    while left:
        item = left.pop()
        if isinstance(item, (list, tuple)):
            left.extend(reversed(item))
        elif isinstance(item, dict):
            others += [item] if item else []
        elif isinstance(item, bool):
            values.append("yes" if item else "no")
        elif item is not None and not (isinstance(item, float) and not math.isfinite(item)):
            text = item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
            text = text.strip()
            values += [text] if text else []
    return values, others


def strings(value: Any) -> list[str]:
    """Give the values of :func:`read_values`."""
    return read_values(value)[0]


def fields(metadata: dict[str, Any], problems: Problems | None = None) -> dict[str, Any]:
    """Take the canonical columns out of front matter; None or empty for what is not said.

    Other spellings of a key are read where the key itself says nothing. `problems` takes what was
    found: ``key_alias``, and ``bad_value`` for what could not be read.
    """
    said: Problems = [] if problems is None else problems
    keys: dict[str, list[str]] = {}
    for key in metadata:
        known = _known_key(key)
        if known is not None:
            keys.setdefault(known, []).append(key)
    found: dict[str, list[str]] = {}
    for key, spellings in keys.items():
        found[key] = []
        for name in sorted(spellings, key=lambda name: name != key):
            values, others = read_values(metadata[name])
            values = list(dict.fromkeys(values))
            column = "languages" if key == "language" else key
            if others:
                said.append(problem(column, "bad_value", not_a_name(others)))
            if name != key and values and not set(values) <= set(found[key]):
                how = "left out beside" if found[key] else "read as"
                detail = f"`{printable(name)}:` {how} `{key}:`, which the Hub knows"
                if found[key]:
                    detail = _shown(f"{detail}: ", values)
                said.append(problem(column, "key_alias", detail))
            found[key] = found[key] or values
    one: dict[str, Any] = {}
    for key in ("library_name", "pipeline_tag"):
        values = found.get(key, [])
        one[key] = values[0] if values else None
        if len(values) > 1:
            said.append(problem(key, "bad_value", not_one(values)))
    ways, others = read_values(metadata.get("base_model_relation"))
    relation = next((name for name in RELATIONS if [name] == [*map(str.lower, ways)]), None)
    if (ways or others) and relation is None:
        detail = _shown(f"not one of {', '.join(RELATIONS)}: ", ways + others)
        said.append(problem("base_model_relation", "bad_value", detail))
    lists = {key: found.get(key, []) for key in ("license", "base_model", "datasets")}
    also = {"languages": found.get("language", []), "free_tags": found.get("tags", [])}
    return {**one, **lists, **also, "relation": relation}


@lru_cache(maxsize=4096)
def _known_key(key: str) -> str | None:
    return _KEYS.get(folded(key))


def not_a_name(others: list[Any]) -> str:
    """Say that mappings stand where names are expected."""
    return _shown("a mapping, not a name: ", others)


def not_one(values: list[str]) -> str:
    """Say that several values stand where one is expected."""
    return _shown("several values, of which the first was taken: ", values)


def _shown(prefix: str, values: Any) -> str:
    return shorten(prefix + printable(json.dumps(values, ensure_ascii=False, default=str)), 300)


def arxiv_ids(card: str) -> list[str]:
    """Give the arXiv ids that a card links to or names in BibTeX, in order, each once."""
    ids = (
        found[0]
        for found in _ARXIV.finditer(card)
        if _BEFORE_ARXIV.search(card, max(0, found.start() - 50), found.start())
    )
    return list(dict.fromkeys(ids))


def hub_tags(known: dict[str, Any], arxiv: list[str]) -> list[str]:
    """Derive a card's tags as the Hub does: library, task, free tags, languages, prefixed ones.

    Licences are in lower case there. What the Hub adds by itself (``region:us``,
    ``endpoints_compatible``) is not derived.
    """
    tags = [known["library_name"], known["pipeline_tag"], *known["free_tags"], *known["languages"]]
    for prefix, values in (
        ("dataset", known["datasets"]),
        ("arxiv", arxiv),
        ("base_model", known["base_model"]),
        (f"base_model:{known['relation']}", known["base_model"] if known["relation"] else []),
        ("license", [value.lower() for value in known["license"]]),
    ):
        tags += [f"{prefix}:{value}" for value in values]
    return list(dict.fromkeys(tag for tag in tags if tag))


def _construct(text: str, line: int, problems: Problems) -> Any:
    depth = 0
    for bracket in _NESTING.findall(text):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise ValueError(f"brackets nest more than {MAX_DEPTH} deep")
    if _RUN_OF_INDICATORS.search(text) or _DEEP_INDENT.search(text):
        raise ValueError(f"the block nests more than {MAX_DEPTH} deep")
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if "*" in text and "&" in text:
            _refuse_size(node)
        _keep_as_written(node, line, problems)
        return plain(loader.construct_document(node))
    finally:
        loader.dispose()


def _refuse_size(node: yaml.Node) -> None:
    """Count the values with every alias written out, before anything is written out."""
    sizes: dict[int, int] = {}  # 0 while a value is being counted

    def size(item: yaml.Node) -> int:
        if id(item) not in sizes:
            sizes[id(item)] = 0
            inside = item.value if isinstance(item, yaml.CollectionNode) else ()
            if isinstance(item, yaml.MappingNode):
                inside = itertools.chain.from_iterable(inside)
            sizes[id(item)] = 1 + sum(map(size, inside))
        if not 0 < sizes[id(item)] <= MAX_VALUES:
            raise ValueError(
                f"aliases stand for more than {MAX_VALUES:,} values"
                if sizes[id(item)]
                else "an alias stands inside its own anchor"
            )
        return sizes[id(item)]

    size(node)


def _keep_as_written(node: yaml.Node, line: int, problems: Problems) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    first: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag.endswith(":merge"):
            continue
        before = first.setdefault(key.value, value)
        if before is not value and not (
            isinstance(value.value, str) and before.value == value.value
        ):
            where = (
                f"line {line + key.start_mark.line}: `{printable(key.value[:60])}:` stands twice"
            )
            problems.append(problem("metadata", "repeated_key", f"{where}; the last one is read"))
        if key.value in AS_WRITTEN or _known_key(key.value):
            left = [value]
            while left:
                item = left.pop()
                if isinstance(item, yaml.SequenceNode):
                    left.extend(item.value)
                # an empty value is null whether it is written ~, null or not at all
                elif isinstance(item, yaml.ScalarNode) and not item.tag.endswith(":null"):
                    item.tag = "tag:yaml.org,2002:str"


def plain(value: Any) -> Any:
    """Give what YAML built as what JSON knows: lists, numbers, strings."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        return hex(value)  # Python writes no such number in decimals
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
