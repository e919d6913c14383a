"""Tolerant reading of one card: its YAML front matter, its body, and what was wrong with it.

Cards are written by hand, by scripts and by strangers, so nothing here raises: what cannot be read
becomes None and a :class:`Problem` that says why.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NamedTuple

import yaml

from .schema import printable, shorten

#: Keys whose values are names or codes: kept as the strings that were written, so that
#: ``no`` stays Norwegian, ``3.10`` stays a version and ``2020-01-01`` stays a tag.
AS_WRITTEN = frozenset(
    (
        *("language", "languages", "tags", "license", "license_name", "license_link", "datasets"),
        *("base_model", "base_model_relation", "library_name", "pipeline_tag", "metrics"),
    )
)

#: libyaml's parser recurses on the C stack and dies there; real cards nest about ten deep.
MAX_DEPTH = 100
#: A few lines of aliases can stand for billions of values; the largest real block has 60,000.
MAX_VALUES = 1_000_000

_FENCE = re.compile(r"---[ \t]*\r*(?:\n|\Z)")
_CLOSING = re.compile(r"^---[ \t]*\r*(?:\n|\Z)", re.MULTILINE)
_BLANK = re.compile(r"\ufeff?\s*")
_NESTING = re.compile(r"[\[\]{}]")
_RUN_OF_INDICATORS = re.compile(rf"(?:[-?:][ \t]+){{{MAX_DEPTH}}}")
_DEEP_INDENT = re.compile(rf"^[ \t]{{{2 * MAX_DEPTH}}}[ \t]*[^\s#]", re.MULTILINE)
_ARXIV = re.compile(r"arxiv\.org/(?:abs|pdf)/(\d{4}\.\d{4,5})", re.IGNORECASE)


class Problem(NamedTuple):
    """What could not be taken as it was: the column, the kind, and the reason in words."""

    column: str
    problem: str
    detail: str


class Card(NamedTuple):
    """One card taken apart.

    ``metadata`` is None where a front matter block is there but cannot be read, and an empty
    mapping where there is none.
    """

    metadata: dict[str, Any] | None
    body: str
    problems: list[Problem]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """SafeLoader that leaves dates as the strings that were written (JSON has no dates)."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def split_card(card: str) -> tuple[str | None, str, int]:
    """Split a card into its front matter block and its body.

    The block begins where the first line that is not blank is ``---`` and ends at the next such
    line; a byte order mark before it does not count.

    Returns
    -------
    block : str or None
        The text between the two lines, or None where there is no block or it never closes.
    body : str
        What follows the block; the whole card where there is no block or it never closes.
    line : int
        Number of the block's first line in the card (1-based); 0 where no block begins.
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

    Parameters
    ----------
    card : str
        The README as it stands, with its front matter.

    Returns
    -------
    Card
        ``(metadata, body, problems)``. Problems are of kind ``unterminated``, ``not_a_mapping``,
        ``yaml_error`` or ``key_alias``; their details give the line of the card.

    Notes
    -----
    YAML 1.1 as PyYAML reads it (libyaml where present), except that the values of
    :data:`AS_WRITTEN` and all dates stay the strings that were written.
    """
    block, body, line = split_card(card)
    if block is None:
        if line:
            detail = f"line {line - 1}: the front matter begins but no closing --- follows"
            return Card(None, body, [Problem("metadata", "unterminated", detail)])
        return Card({}, body, [])
    metadata, problems = read_block(block, line=line)
    return Card(metadata, body, problems)


def read_block(block: str, *, line: int = 1) -> tuple[dict[str, Any] | None, list[Problem]]:
    """Read a front matter block (without its ``---`` lines); see :func:`read_card`."""
    text = re.sub(r"\r+\n?", "\n", block.lstrip("\ufeff"))
    # libyaml refuses most controls; a stray one in a description is no reason to lose the rest
    text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]", "\ufffd", text)
    try:
        _refuse_depth(text)
        value = _construct(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {line + mark.line}: " if mark else ""
        return None, [_yaml_error(where + str(error.problem or error.context))]
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        return None, [_yaml_error(f"line {line}: {str(error) or type(error).__name__}")]
    if value is None:
        return {}, []
    if not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else f"one {type(value).__name__}"
        detail = f"line {line}: the front matter is {kind}, not `key: value` lines"
        return None, [Problem("metadata", "not_a_mapping", detail)]
    problems = []
    if "languages" in value and "language" not in value:
        problems.append(
            Problem(
                "languages", "key_alias", "`languages:` read as `language:`, which the Hub knows"
            )
        )
    return value, problems


def to_json(metadata: dict[str, Any]) -> str:
    """Write front matter as JSON, with numbers that JSON lacks (NaN, infinity) as null."""
    try:
        return json.dumps(metadata, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(metadata), ensure_ascii=False)


def strings(value: Any) -> list[str]:
    """Give a field that may be a scalar, a list or missing as a list of strings.

    ``False`` is the Norwegian code ``no`` as YAML 1.1 reads it. Mappings inside are left out.
    """
    if value is None or isinstance(value, dict):
        return []
    if isinstance(value, (list, tuple)):
        return [text for item in value if not isinstance(item, list) for text in strings(item)]
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    text = str(value)
    return [text] if text.strip() else []


def each_once(value: Any) -> list[str]:
    """Give :func:`strings` of a value with repeated items left out."""
    return list(dict.fromkeys(strings(value)))


def fields(metadata: dict[str, Any]) -> dict[str, Any]:
    """Take the canonical columns out of front matter; None or empty for what is not said."""

    def first(key: str) -> str | None:
        return next(iter(strings(metadata.get(key))), None)

    return {
        "library_name": first("library_name"),
        "pipeline_tag": first("pipeline_tag"),
        "languages": each_once(metadata.get("language", metadata.get("languages"))),
        "license": each_once(metadata.get("license")),
        "base_model": each_once(metadata.get("base_model")),
        "datasets": each_once(metadata.get("datasets")),
        "free_tags": each_once(metadata.get("tags")),
    }


def arxiv_ids(card: str) -> list[str]:
    """Give the arXiv ids that a card links to (abs or pdf), in order, each once."""
    return list(dict.fromkeys(_ARXIV.findall(card)))


def hub_tags(known: dict[str, Any], arxiv: list[str]) -> list[str]:
    """Derive a card's tags as the Hub does: library, task, free tags, languages, prefixed ones.

    What the Hub adds by itself (``region:us``, ``endpoints_compatible``) is not derived.
    """
    tags = [known["library_name"], known["pipeline_tag"], *known["free_tags"], *known["languages"]]
    for prefix, values in (
        ("dataset", known["datasets"]),
        ("arxiv", arxiv),
        ("base_model", known["base_model"]),
        ("license", known["license"]),
    ):
        tags += [f"{prefix}:{value}" for value in values]
    return list(dict.fromkeys(tag for tag in tags if tag))


def _construct(text: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if "*" in text and "&" in text:
            _refuse_size(node)
        _keep_as_written(node)
        return _plain_keys(loader.construct_document(node))
    finally:
        loader.dispose()


def _refuse_depth(text: str) -> None:
    depth = 0
    for bracket in _NESTING.findall(text):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise ValueError(f"brackets nest more than {MAX_DEPTH} deep")
    if _RUN_OF_INDICATORS.search(text) or _DEEP_INDENT.search(text):
        raise ValueError(f"the block nests more than {MAX_DEPTH} deep")


def _refuse_size(node: yaml.Node) -> None:
    """Count the values with every alias written out, before anything is written out."""
    sizes: dict[int, int] = {}

    def size(item: yaml.Node) -> int:
        if id(item) in sizes:
            if sizes[id(item)] < 0:
                raise ValueError("an alias stands inside its own anchor")
            return sizes[id(item)]
        sizes[id(item)] = -1
        total = 1
        if isinstance(item, yaml.SequenceNode):
            total += sum(size(child) for child in item.value)
        elif isinstance(item, yaml.MappingNode):
            total += sum(size(key) + size(value) for key, value in item.value)
        if total > MAX_VALUES:
            raise ValueError(f"aliases stand for more than {MAX_VALUES:,} values")
        sizes[id(item)] = total
        return total

    size(node)


def _keep_as_written(node: yaml.Node) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value in AS_WRITTEN:
            for item in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                # an empty value is null whether it is written ~, null or not at all
                if isinstance(item, yaml.ScalarNode) and not item.tag.endswith(":null"):
                    item.tag = "tag:yaml.org,2002:str"


def _plain_keys(value: Any) -> Any:
    """Give what YAML built as what JSON knows: string keys, lists, numbers, strings."""
    if isinstance(value, dict):
        return {str(key): _plain_keys(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain_keys(item) for item in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _yaml_error(detail: str) -> Problem:
    return Problem("metadata", "yaml_error", shorten(printable(" ".join(detail.split())), 300))
