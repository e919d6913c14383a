"""A folder of README files -> raw rows ``id, sha, card``, read in batches when asked for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from polars.io.plugins import register_io_source

from ..schema import PROBLEMS, printable, shorten

_BATCH = 500
_REVISION = re.compile(r"[0-9a-f]{7,40}")
_SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "sha": pl.String,
    "card": pl.String,
    "__problems": PROBLEMS,
}


class CardFile(NamedTuple):
    """Where one card lies, the model it belongs to, and its revision where the layout says it."""

    path: Path
    id: str
    sha: str | None = None


def find_cards(root: Path) -> list[CardFile]:
    """Find the cards below a folder (or the one card that is named), sorted by path.

    Notes
    -----
    - ``ORG/NAME/README.md`` and ``NAME/README.md``; a README below a model's own folder belongs to
      that model and is no card. Folders above ``ORG`` are collections and not part of the id.
    - ``ORG/NAME/REVISION/README.md`` where REVISION is 7-40 hexadecimal digits.
    - ``models--ORG--NAME/snapshots/REVISION/README.md``: the revision that ``refs/main`` names,
      or all where there is none.
    - ``ORG/NAME.md`` in folders without any ``README.md``.
    - ``README.md`` in the root itself only where there is nothing else: one model's folder.
    """
    if root.is_file():
        stem = root.resolve().parent if root.name.lower() == "readme.md" else root.with_suffix("")
        return [CardFile(root, "/".join(_last_two(stem.resolve())))]
    found = _walk(root)
    cached = [card for card in found if "snapshots" in card.parts]
    cards = [_cached(root, card) for card in cached]
    plain = [card for card in found if "snapshots" not in card.parts]
    collections = _collections(plain)
    cards += [_plain(root, card, collections) for card in plain]
    kept = [card for card in cards if card is not None]
    if not kept and (root / "README.md").is_file():
        return [_root_card(root)]
    return sorted(kept)


def scan_folder(cards: list[CardFile]) -> pl.LazyFrame:
    """Scan the cards' files lazily; a file that cannot be read is a null card with a problem."""

    def batches(
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        names = list(_SCHEMA) if with_columns is None else with_columns
        wanted = cards if n_rows is None else cards[:n_rows]
        for start in range(0, max(len(wanted), 1), _BATCH):
            frame = _read(wanted[start : start + _BATCH], names)
            yield frame if predicate is None else frame.filter(predicate)

    return register_io_source(batches, schema=_SCHEMA, is_pure=True)


def _read(cards: list[CardFile], names: list[str]) -> pl.DataFrame:
    data: dict[str, list[object]] = {"id": [c.id for c in cards], "sha": [c.sha for c in cards]}
    if "card" in names or "__problems" in names:
        texts, problems = (
            zip(*(_text(card.path) for card in cards), strict=True) if cards else ((), ())
        )
        data |= {"card": list(texts), "__problems": list(problems)}
    return pl.DataFrame({name: data[name] for name in names}, schema={n: _SCHEMA[n] for n in names})


def _text(path: Path) -> tuple[str | None, list[dict[str, str]]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        return None, [_problem("unreadable", f"{path.name}: {error.strerror or error}")]
    try:
        return content.decode("utf-8"), []
    except UnicodeDecodeError as error:
        detail = f"byte {error.start} is not UTF-8; such bytes became U+FFFD"
        return content.decode("utf-8", "replace"), [_problem("not_utf8", detail)]


def _problem(kind: str, detail: str) -> dict[str, str]:
    return {"column": "text", "problem": kind, "detail": shorten(printable(detail), 300)}


def _walk(root: Path) -> list[Path]:
    """Give the paths of possible cards relative to the root, without those inside a model."""
    found: list[Path] = []
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith("."))
        here = Path(folder).relative_to(root)
        cards = sorted(name for name in names if name.lower().endswith(".md"))
        own = [name for name in cards if name.lower() == "readme.md"]
        if here == Path() and own:
            continue  # a collection's own README; or one model's, see find_cards
        found += [here / name for name in (own[:1] or cards)]
        if own:
            below.clear()
    return found


def _collections(cards: list[Path]) -> set[str]:
    """Give the first-level folders below which lie ORG/NAME, so that they are not an ORG."""
    deep: dict[str, int] = {}
    for card in cards:
        parts = _model_parts(card)
        deep[parts[0]] = max(deep.get(parts[0], 0), len(parts))
    return {name for name, depth in deep.items() if depth > 2}


def _model_parts(card: Path) -> tuple[str, ...]:
    parts = card.parent.parts if card.name.lower() == "readme.md" else card.with_suffix("").parts
    if len(parts) > 2 and _REVISION.fullmatch(parts[-1]):
        return parts[:-1]
    return parts


def _plain(root: Path, card: Path, collections: set[str]) -> CardFile:
    whole = card.parent.parts
    parts = _model_parts(card)
    sha = whole[-1] if card.name.lower() == "readme.md" and len(whole) > len(parts) else None
    if parts[0] in collections and len(parts) > 1:
        parts = parts[1:]
    return CardFile(root / card, "/".join(parts[-2:]), sha)


def _cached(root: Path, card: Path) -> CardFile | None:
    parts = card.parts
    at = parts.index("snapshots")
    if at == 0 or len(parts) <= at + 2:
        return None
    repository, revision = parts[at - 1], parts[at + 1]
    main = root.joinpath(*parts[:at], "refs", "main")
    if main.is_file() and main.read_text(errors="replace").strip() != revision:
        return None
    name = repository.removeprefix("models--").removeprefix("datasets--").replace("--", "/", 1)
    return CardFile(root / card, name, revision)


def _root_card(root: Path) -> CardFile:
    whole = root.resolve()
    if whole.parent.name == "snapshots":
        name = whole.parent.parent.name.removeprefix("models--").replace("--", "/", 1)
        return CardFile(root / "README.md", name, whole.name)
    return CardFile(root / "README.md", "/".join(_last_two(whole)))


def _last_two(path: Path) -> list[str]:
    return [part for part in path.parts[-2:] if part != path.anchor]
