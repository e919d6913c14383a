"""A folder of README files -> raw rows ``id, sha, card``, read in batches when asked for."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from ..schema import PROBLEMS, printable, problem
from .records import encoding_of, lazily, series

_BATCH = 500
_REVISION = re.compile(r"[0-9a-f]{7,40}")
_CACHED = re.compile(r"(models|datasets|spaces)--(.+)")
_SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "sha": pl.String,
    "card": pl.String,
    "__problems": PROBLEMS,
}
#: What only lies in a model's own folder, never in that of an organisation or a collection.
_OF_A_MODEL = (".safetensors", ".bin", ".gguf", ".onnx", ".pt", ".pth", ".h5", ".msgpack", ".ckpt")
_CONFIGURATIONS = {"config.json", "adapter_config.json", "model_index.json", "tokenizer.json"}


_Parts = tuple[str, ...]


class CardFile(NamedTuple):
    """Where one card lies, the model it belongs to, and its revision where the layout says it."""

    path: Path
    id: str
    sha: str | None = None
    note: str = ""


class _Folder(NamedTuple):
    """What a folder holds: a README, other Markdown, a model's files, or a cached repository."""

    readme: str | None
    others: list[str]
    model: bool
    cached: re.Match[str] | None


def find_cards(root: Path, *, warn: bool = False) -> list[CardFile]:
    """Find the cards below a folder (or the one card that is named), sorted by path.

    Notes
    -----
    - ``ORG/NAME/README.md`` and ``NAME/README.md``; a README below a model's own folder belongs to
      that model and is no card. Folders above ``ORG`` are collections and not part of the id.
      The README of an organisation or a collection is no card.
    - ``ORG/NAME/REVISION/README.md`` where REVISION is 7-40 hexadecimal digits.
    - ``models--ORG--NAME/snapshots/REVISION/README.md``: the revision that ``refs/main`` names,
      or all where there is none. Data sets and Spaces of the cache are left out where there are
      models (`warn` says so), and read where there is nothing else.
    - ``ORG/NAME.md`` in folders without any ``README.md``.
    - ``README.md`` in the root itself where a model's files lie beside it, or nothing below.
    """
    if root.is_file():
        stem = root.resolve().parent if root.name.lower() == "readme.md" else root.with_suffix("")
        return [_card(root, _last_two(stem.resolve()))]
    folders = _walk(root)
    found = [*_cached(root, folders, warn=warn), *_plain(root, folders)]
    readme = folders[()].readme if () in folders else None
    if readme and not folders[()].cached and (folders[()].model or not found):
        return [_card(root / readme, _last_two(root.resolve()))]
    return sorted(found)


def scan_folder(cards: list[CardFile]) -> pl.LazyFrame:
    """Scan the cards' files lazily; a file that cannot be read is a null card with a problem."""

    def batches(names: list[str]) -> Iterator[pl.DataFrame]:
        for start in range(0, max(len(cards), 1), _BATCH):
            yield _read(cards[start : start + _BATCH], names)

    return lazily(batches, _SCHEMA)


def _read(cards: list[CardFile], names: list[str]) -> pl.DataFrame:
    data: dict[str, list[Any]] = {"id": [c.id for c in cards], "sha": [c.sha for c in cards]}
    if "card" in names or "__problems" in names:
        read = [_text(card) for card in cards]
        data |= {"card": [text for text, _ in read], "__problems": [found for _, found in read]}
    return pl.DataFrame([series(name, data[name], _SCHEMA[name]) for name in names])


def _text(card: CardFile) -> tuple[str | None, list[dict[str, str]]]:
    found = []
    if "\ufffd" in card.id:
        detail = f"the folder's name is not UTF-8: {os.fsencode(card.path.parent)!r}"
        found.append(problem("id", "not_utf8", detail))
    if card.note:
        found.append(problem("text", "passed_over", card.note))
    try:
        content = card.path.read_bytes()
    except OSError as error:
        detail = f"{card.path.name}: {error.strerror or error}"
        return None, [*found, problem("text", "unreadable", detail)]
    try:
        encoding = encoding_of(content)
        return content.decode("utf-8" if encoding.startswith("utf-8") else encoding), found
    except UnicodeDecodeError as error:
        detail = f"byte {error.start} is not UTF-8; such bytes became U+FFFD"
        return content.decode("utf-8", "replace"), [*found, problem("text", "not_utf8", detail)]


def _walk(root: Path) -> dict[_Parts, _Folder]:
    """Give the folders that hold Markdown, by their path's parts; not those inside a model."""
    found = {}
    start = root.resolve()
    for path, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith("."))
        pages = sorted(name for name in names if name.lower().endswith(".md"))
        here = Path(path).relative_to(root).parts
        *_, repository, snapshots, _ = ("", "", *start.parts, *here)
        cached = _CACHED.fullmatch(repository) if snapshots == "snapshots" else None
        if cached:
            below.clear()
        if not pages:
            continue
        readme = next((name for name in pages if name.lower() == "readme.md"), None)
        others = [name for name in pages if name.lower() != "readme.md"]
        model = any(name in _CONFIGURATIONS or name.endswith(_OF_A_MODEL) for name in names)
        found[here] = _Folder(readme, others, model, cached)
        if readme and model:
            below.clear()
    return found


def _cached(root: Path, folders: dict[_Parts, _Folder], *, warn: bool) -> list[CardFile]:
    kinds: dict[str, list[CardFile]] = {}
    for here, folder in folders.items():
        if folder.cached is None or folder.readme is None:
            continue
        path = root.joinpath(*here).resolve()
        main = path.parent.parent / "refs" / "main"
        if main.is_file() and main.read_text(errors="replace").strip() != path.name:
            continue
        card = _card(path / folder.readme, folder.cached[2].split("--", 1), path.name)
        kinds.setdefault(folder.cached[1], []).append(card)
    read = next((kind for kind in ("models", "datasets", "spaces") if kind in kinds), "models")
    left_out = [f"{len(cards):,} of {kind}" for kind, cards in kinds.items() if kind != read]
    if warn and left_out:
        warnings.warn(
            f"{printable(str(root))}: the cards of {read} are read; left out: "
            f"{' and '.join(left_out)}. Name their folders to read those.",
            stacklevel=2,
        )
    return kinds.get(read, [])


def _plain(root: Path, folders: dict[_Parts, _Folder]) -> list[CardFile]:
    below: dict[_Parts, list[_Parts]] = {}
    for here, folder in folders.items():
        for depth in range(len(here) if folder.readme and not folder.cached else 0):
            below.setdefault(here[:depth], []).append(here)
    flat = any(len(here) == 1 and f.others and not f.readme for here, f in folders.items())
    level = cache(partial(_level, folders, below))
    found: list[tuple[_Parts, str, str]] = []  # folder, name of the page, note
    models: set[_Parts] = set()
    for here, folder in folders.items():
        part = any(here[:depth] in models for depth in range(1, len(here)))
        if part or folder.cached or (not here and folder.readme):
            continue
        # a tree of ORG/NAME.md, where a README in ORG is no card
        if folder.readme is None or (flat and folder.others and len(here) == 1):
            found += [(here, name, "") for name in folder.others]
        elif here not in below or folder.model or level(here[:-1]) == "models":
            models.add(here)
            inside = ", ".join("/".join(inner[len(here) :]) for inner in below.get(here, ()))
            note = f"README.md taken as parts of this card, not as cards: {inside}"
            found.append((here, folder.readme, note if inside else ""))
    names = [_model_parts(here, page) for here, page, _ in found]
    collections = {parts[0] for parts in names if len(parts) > 2}  # below these lie ORG/NAME
    cards = []
    for (here, page, note), parts in zip(found, names, strict=True):
        sha = here[-1] if page.lower() == "readme.md" and len(here) > len(parts) else None
        whole = parts[1:] if parts[0] in collections and len(parts) > 1 else parts
        cards.append(_card(root.joinpath(*here, page), whole[-2:], sha, note))
    return cards


def _level(
    folders: dict[_Parts, _Folder], below: dict[_Parts, list[_Parts]], parent: _Parts
) -> str:
    """Tell what the folders in `parent` are that have a README and others below it.

    Their neighbours show it: some have cards below and no README of their own (these are
    organisations or collections), or a README and nothing below (models). Where neither is there,
    or both, the first level holds organisations, as the root does, and all others models with
    parts.
    """
    depth = len(parent) + 1
    beside = {inner[:depth] for inner in below[parent] if not _REVISION.fullmatch(inner[-1])}
    cards = {path for path in beside if path in folders and folders[path].readme}
    hold, alone = bool(beside - cards), bool(cards - set(below))
    if hold != alone:
        return "organisations" if hold else "models"
    return "organisations" if depth == 1 else "models"


def _model_parts(here: _Parts, page: str) -> _Parts:
    if page.lower() != "readme.md":
        return (*here, page[: -len(".md")])
    return here[:-1] if len(here) > 2 and _REVISION.fullmatch(here[-1]) else here


def _card(path: Path, names: Sequence[str], sha: str | None = None, note: str = "") -> CardFile:
    # a name that is not UTF-8 (old archives) comes with halves of characters
    return CardFile(path, re.sub("[\ud800-\udfff]", "\ufffd", "/".join(names)), sha, note)


def _last_two(path: Path) -> list[str]:
    return [part for part in path.parts[-2:] if part != path.anchor]
