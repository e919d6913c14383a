"""A corpus written once for reading again: shards of canonical and derived columns, checked."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from .. import __version__
from ..frames import in_batches
from ..schema import CardlabError, SourceError, at_least, collect, printable
from ..scratch import ended_by_signals, worked_in
from .sources import REMOTE, corpus_hash, open_source, version_of

MANIFEST, _UNFINISHED = "prepared.json", "unfinished.json"
_FORMAT = "cardlab corpus 1"
#: Cards of a shard, and of a group of its rows.
ROWS, _GROUP = 50_000, 10_000
#: Columns in files of their own, so that the others can be kept and copied without them.
_APART = {
    **dict.fromkeys(("text", "metadata", "tags_str", "text_str", "text_lists"), "texts"),
    **dict.fromkeys(("processed_texts", "input_texts"), "texts"),
    "embeddings": "vectors",
    "family": "families",
}

# ---- One run: what is there already, the shards, then what is known of all cards together.


def prepare(
    source: Any,
    folder: str | os.PathLike[str],
    *,
    columns: Mapping[str, str] | None = None,
    rows: int = ROWS,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Write a corpus once, so that it is read again without its front matter being parsed.

    Parameters
    ----------
    source, columns
        As in :func:`cardlab.scan_cards`.
    folder : str or path
        A new or empty folder, or one that was prepared before: what is there stays until the new
        corpus is whole.
    rows : int
        Cards of a shard, at least 1; about as many are in memory at once.
    progress : callable, optional
        Gets a line of text for each shard.

    Returns
    -------
    Path
        The folder, which :func:`cardlab.scan_cards` reads. In it are ``prepared.json`` (the
        source, its SHA-256, date, versions, columns, problems by column and kind, size and SHA-256
        of each file) and parquet files: ``cards-...``, ``texts-...`` (bodies, and front matter as
        JSON), ``vectors-...``, ``families-...``. Cards and nulls are those of the source; those of
        a shard stand in order of their ids, so that who reads a few passes over most.

    Raises
    ------
    SourceError
        The source cannot be read, or changed meanwhile.
    CardlabError
        The folder holds other files, lies in the source, or is written to by another run; or files
        cannot be written: no rights, no room.

    Notes
    -----
    Beside the columns of :func:`cardlab.scan_cards` stand those that follow from them, where the
    source has none of their names: ``license_spdx`` and ``license_class`` (:func:`with_licenses`),
    ``language_codes`` (:func:`with_languages`), lengths and sections (:func:`with_text_lengths`),
    and ``family`` (:func:`with_families`). What takes such a column by its name finds it there.

    A run that was interrupted goes on with the first shard that is missing or whose checksum does
    not stand, if the source is the same: by its SHA-256; of URLs by ETag, date and size, or the
    commit of a data set of the Hub. What has neither, such as a lazy frame, is read anew. Of remote
    files polars asks for the columns and rows of a shard, ten times where a server fails.
    """
    from . import scan_cards

    at_least(rows, 1, name="rows")
    out = Path(folder).expanduser()
    cards = scan_cards(source, columns=columns)
    _refuse(out, source)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with ended_by_signals(), worked_in(out):
            mark = _mark(source)
            state = _begun(out, source, cards, mark, rows=rows, renamed=columns)
            if state.get("n_cards") is None or None in state["shards"]:
                _fill(out, state, cards, rows, progress or (lambda line: None))
                if mark is not None and _mark(source) != mark:
                    shutil.rmtree(_data(out, state))
                    (out / _UNFINISHED).unlink()
                    raise SourceError(
                        f"{state['source']}: changed while it was read, so that its shards do not "
                        "go together. None of them was kept; run it again."
                    )
                _finish(out, state)
            _remove_others(out, state)
    except (OSError, *_UNWRITTEN) as error:
        raise CardlabError(
            f"cannot be written to {str(out)!r}: {printable(str(error))}. What was there is as it "
            "was; make room, or name a folder that you can write to, and run it again: whole "
            "shards are kept."
        ) from error
    return out


#: What polars raises where a file cannot be written, or holds what no file can.
_UNWRITTEN = (pl.exceptions.ComputeError, pl.exceptions.PanicException)


def _refuse(out: Path, source: Any) -> None:
    """Refuse a folder that holds something else, or is part of the source."""
    ours = (MANIFEST, _UNFINISHED, "unfinished.part", ".in-use")
    found = sorted(out.iterdir()) if out.is_dir() else []
    other = [p.name for p in found if p.name not in ours and not p.name.startswith("data-")]
    if other:
        raise CardlabError(
            f"{str(out)!r} holds other files ({printable(other[0])}): name a new or empty folder, "
            "or one that was prepared before."
        )
    top = Path(source).expanduser() if isinstance(source, (str, os.PathLike)) else None
    if top and top.is_dir() and out.resolve().is_relative_to(top.resolve()):
        raise CardlabError(f"{str(out)!r} lies in the source: name a folder elsewhere.")


def _begun(out: Path, source: Any, cards: pl.LazyFrame, mark: Any, **asked: Any) -> dict[str, Any]:
    """Give what an earlier run left of the same source, None for shards that do not stand."""
    columns = {name: str(dtype) for name, dtype in cards.collect_schema().items()}
    versions = {"cardlab": __version__, "polars": pl.__version__}
    told = json.dumps([mark or secrets.token_hex(), asked, columns, versions], default=dict)
    fingerprint = hashlib.sha256(told.encode()).hexdigest()[:16]
    for name in (_UNFINISHED, MANIFEST):
        state = _read(out / name)
        if state.get("fingerprint") == fingerprint:
            data = _data(out, state)
            state["shards"] = [s if _stands(data, s) else None for s in state["shards"]]
            return state
    return {
        "format": _FORMAT,
        "fingerprint": fingerprint,
        "source": _named(source),
        "sha256": mark if isinstance(mark, str) else None,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {**versions, "python": platform.python_version()},
        "n_cards": None,
        "shards": [],
    }


def _fill(
    out: Path, state: dict[str, Any], cards: pl.LazyFrame, rows: int, say: Callable[[str], None]
) -> None:
    """Make the shards that are not there, then what is known of all cards together."""
    data, shards = _data(out, state), state["shards"]
    data.mkdir(exist_ok=True)
    for part in data.glob("*.part"):  # of a run that was killed
        part.unlink()
    _save(out, state)
    first = shards.index(None) if None in shards else len(shards)
    for number, shard in enumerate(_shards(cards, rows, first), start=first):
        if number < len(shards) and shards[number] is not None:
            continue
        whole = _with_derived(shard.sort("id", nulls_last=True, maintain_order=True))
        state["columns"] = {name: str(dtype) for name, dtype in whole.schema.items()}
        shards[number : number + 1] = [_written(data, whole, number)]
        _save(out, state)
        say(f"shard {number + 1:,}: {shard.height:,} cards")
    _add_families(data, state)


def _shards(cards: pl.LazyFrame, rows: int, first: int) -> Iterator[pl.DataFrame]:
    """Read the cards in pieces of so many, from one of them on; of no cards, one without any."""
    parts: list[pl.DataFrame] = []
    n, empty = 0, True
    for batch in in_batches(cards.slice(first * rows), rows):
        while n + batch.height >= rows:
            yield pl.concat([*parts, batch.head(rows - n)])
            batch, parts, n, empty = batch.slice(rows - n), [], 0, False
        parts.append(batch)
        n += batch.height
    if n or (empty and not first):
        yield pl.concat(parts) if parts else collect(cards.head(0))


def _with_derived(shard: pl.DataFrame) -> pl.DataFrame:
    """Add what follows from a shard's columns, where it has no columns of these names."""
    from ..languages import with_languages
    from ..licenses.counts import with_licenses
    from ..text.lengths import with_text_lengths

    adds: dict[str, Callable[[Any], Any]] = {
        "license": with_licenses,
        "languages": with_languages,
        "text": with_text_lengths,
    }
    parts = [shard.drop("problems")]
    for name, add in adds.items():
        if name in shard.columns:
            parts.append(add(shard).drop(shard.columns, strict=False))
    return pl.concat([*parts, shard.select("problems")], how="horizontal")


def _add_families(data: Path, state: dict[str, Any]) -> None:
    """Write the family of each card, which is known when all are; the files are short."""
    from ..families import with_families

    if "family" in state["columns"] or "text" not in state["columns"]:
        return
    texts = _frame(data, state).select("id", "text")
    family = collect(with_families(texts).select("family"))
    at = 0
    for number, shard in enumerate(state["shards"]):
        shard["files"] |= _write(data, "families", number, family.slice(at, shard["n_cards"]))
        at += shard["n_cards"]
    problems = state["columns"].pop("problems")
    state["columns"] |= {"family": str(pl.Int64), "problems": problems}


def _finish(out: Path, state: dict[str, Any]) -> None:
    """Put the manifest in its place, which in one step makes the corpus the one that is read."""
    state["n_cards"] = sum(shard["n_cards"] for shard in state["shards"])
    found: Counter[str] = Counter()
    for shard in state["shards"]:
        found.update(shard["problems"])
    state["problems"] = dict(sorted(found.items()))
    _save(out, state)
    (out / _UNFINISHED).replace(out / MANIFEST)


def _remove_others(out: Path, state: dict[str, Any]) -> None:
    (out / _UNFINISHED).unlink(missing_ok=True)
    for left in out.glob("data-*"):
        if left != _data(out, state):
            shutil.rmtree(left, ignore_errors=True)


# ---- Files: written beside their place, summed, and moved.


def _data(out: Path, state: dict[str, Any]) -> Path:
    return out / f"data-{state['fingerprint']}"


def _read(path: Path) -> dict[str, Any]:
    """Read a manifest; empty where there is none that is ours."""
    with suppress(OSError, ValueError):
        state = json.loads(path.read_text("utf-8"))
        if isinstance(state, dict) and state.get("format") == _FORMAT:
            return state
    return {}


def _save(out: Path, state: dict[str, Any]) -> None:
    part = out / "unfinished.part"
    part.write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
    part.replace(out / _UNFINISHED)


def _written(data: Path, shard: pl.DataFrame, number: int) -> dict[str, Any]:
    """Write the files of a shard, and say what is in it."""
    kinds: dict[str, list[str]] = {}
    for name in shard.columns:
        kinds.setdefault(_APART.get(name, "cards"), []).append(name)
    files: dict[str, Any] = {}
    for kind, names in kinds.items():
        files |= _write(data, kind, number, shard.select(names))
    found = shard["problems"].explode(empty_as_null=False, keep_nulls=False).struct.unnest()
    named = pl.format("{}: {}", "column", "problem").alias("kind")
    problems = dict(found.group_by(named).len().sort("kind").iter_rows())
    return {"n_cards": shard.height, "problems": problems, "files": files}


def _write(data: Path, kind: str, number: int, rows: pl.DataFrame) -> dict[str, Any]:
    path = data / f"{kind}-{number:05}.parquet"
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:  # polars takes no path that is not UTF-8
            rows.write_parquet(file, row_group_size=_GROUP)
        told = {"bytes": part.stat().st_size, "sha256": _sha256(part)}
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return {path.name: told}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stands(data: Path, shard: dict[str, Any] | None) -> bool:
    with suppress(OSError):
        return shard is not None and all(
            _sha256(data / name) == told["sha256"] for name, told in shard["files"].items()
        )
    return False


# ---- What a source is called, and what tells it from its next version.


def _named(source: Any) -> str:
    items = source if isinstance(source, (list, tuple)) else [source]
    if not all(isinstance(item, (str, os.PathLike)) for item in items):
        return f"in memory ({type(source).__name__})"
    return ", ".join(printable(str(item)) for item in items)


def _mark(source: Any) -> Any:
    """Give a source's SHA-256, or what servers tell of its URLs; None where nothing does."""
    items = source if isinstance(source, (list, tuple)) else [source]
    urls = [item for item in items if isinstance(item, str) and item.startswith(REMOTE)]
    if not urls or len(urls) < len(items):
        return corpus_hash(source)
    marks = [version_of(url) for url in urls]
    return marks if all(map(any, marks)) else None


# ---- Reading it again.


def open_prepared(source: Any) -> pl.LazyFrame | None:
    """Give the cards of a folder that was prepared; None for any other source.

    Raises
    ------
    SourceError
        The folder is not finished, or files are missing or have not the size they were given.
    """
    if not isinstance(source, (str, os.PathLike)):
        return None
    name = os.path.expanduser(os.fspath(source))
    if not os.path.isdir(name):
        return None
    folder, label = Path(name), printable(str(name))
    state = _read(folder / MANIFEST)
    if not state:
        if _read(folder / _UNFINISHED):
            raise SourceError(
                f"{label}: this corpus is not finished, as `cardlab prepare` was interrupted or is "
                "still at work. Run the same command again: it goes on where it was."
            )
        return None
    data = _data(folder, state)
    for shard in state["shards"]:
        for file, told in shard["files"].items():
            path = data / file
            size = path.stat().st_size if path.is_file() else None
            if size != told["bytes"]:
                found = "is missing" if size is None else f"has {size:,} bytes, not as written"
                raise SourceError(
                    f"{label}: {file} {found} ({told['bytes']:,} bytes). Run the same `cardlab "
                    "prepare` again: it makes only what does not stand."
                )
    return _frame(data, state)


def _frame(data: Path, state: dict[str, Any]) -> pl.LazyFrame:
    """Scan the files of all shards; those of the kinds whose columns are asked for."""
    kinds: dict[str, list[Path]] = {}
    for shard in state["shards"]:
        for name in shard["files"]:
            kinds.setdefault(name.partition("-")[0], []).append(data / name)
    scans = [open_source(tuple(files))[0][0] for files in kinds.values()]
    if len(scans) == 1:
        return scans[0]
    schemas = [scan.collect_schema() for scan in scans]
    types = {name: dtype for schema in schemas for name, dtype in schema.items()}
    order = {name: types[name] for name in state["columns"]}

    def rows(
        names: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        wanted = list(order) if names is None else names
        used = [s for s, schema in zip(scans, schemas, strict=True) if {*wanted} & {*schema}]
        # a frame put beside others reads a column of each, also where none is asked for
        query = pl.concat(used or scans[:1], how="horizontal").select(wanted)
        query = query if n_rows is None else query.head(n_rows)
        query = query if predicate is None else query.filter(predicate)
        yield from query.collect_batches(maintain_order=True, engine="streaming")

    return register_io_source(rows, schema=order, is_pure=True)
