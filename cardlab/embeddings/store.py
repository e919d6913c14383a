"""Vectors that were computed, kept beside the cards so that they are computed once."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from .. import schema
from ..cards.files import check_parquet
from .blocks import Floats
from .matrix import usable

#: Where the file says how its vectors were made.
_KEY = b"cardlab.embed"
_ROWS = 16_384

#: What reading a damaged or forged file can raise; pyarrow's errors are of these.
_DAMAGE = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError, NotImplementedError),
    *(OSError, RuntimeError, TypeError, ValueError),
)


def place(save: str | os.PathLike[str], model: str) -> Path:
    """Give the file for the vectors of a model: `save` itself, or in the folder `save`."""
    path = Path(save).expanduser()
    if path.is_dir():
        return path / f"embeddings.{re.sub(r'[^A-Za-z0-9._-]+', '-', model).strip('.-')}.parquet"
    if path.suffix.lower() != ".parquet":
        raise schema.CardlabError(
            f"save must be a .parquet file or a folder that is there, not "
            f"{schema.printable(str(path))!r}."
        )
    if not path.parent.is_dir():
        raise schema.CardlabError(
            f"there is no folder {schema.printable(str(path.parent))!r} to save vectors in."
        )
    return path


def keys(documents: pl.Series) -> pl.Series:
    """Hash what each card says: 32 hexadecimal digits."""
    made = []
    for start in range(0, len(documents), _ROWS):
        for text in documents[start : start + _ROWS].to_list():
            read = text if isinstance(text, str) else json.dumps(text)
            made.append(hashlib.blake2b(read.encode(), digest_size=16).hexdigest())
    return pl.Series("text_hash", made, dtype=pl.String)


def stored(path: Path, wanted: pl.Series, settings: dict[str, Any]) -> tuple[Floats, pl.Series]:
    """Read back the vectors of the cards that a file has.

    Returns the matrix, NaN where the file has no vector, and which cards it knows; no columns
    where there is no file.

    Raises
    ------
    CardlabError
        The file is of something else, was made otherwise, or is not as it was written.
    """
    none = np.empty((len(wanted), 0), dtype=np.float32), pl.repeat(False, len(wanted), eager=True)
    if not path.exists():
        return none
    name = schema.printable(str(path))
    made = _settings_of(path, name)
    whole, total = made.pop("texts", None), made.pop("sum", None)
    if made != settings:
        shown = schema.shorten(schema.printable(json.dumps(made)), 300)
        raise schema.CardlabError(
            f"{name!r} holds vectors made with {shown}, not with {json.dumps(settings)}. Remove "
            "it, or save elsewhere (a folder gives each model a file of its own)."
        )
    if whole is not None and whole != corpus(wanted):
        return none  # Each of these vectors depends on all of the cards.
    try:
        x, known, found = _read(path, wanted)
    except (*_DAMAGE, pl.exceptions.PanicException) as error:
        raise _damaged(name, schema.shorten(schema.printable(str(error)), 200)) from error
    if found != total:
        raise _damaged(name, "the sum of what it holds is not the one that was written")
    return (x, known) if known.any() else none


def _settings_of(path: Path, name: str) -> dict[str, Any]:
    """Read how the vectors of a file were made."""
    import pyarrow.parquet as pq

    try:
        found = (pq.read_schema(path).metadata or {}).get(_KEY)
    except _DAMAGE as error:
        raise schema.CardlabError(
            f"{name!r} is there but no Parquet file that can be read. Remove it or save elsewhere."
        ) from error
    if found is None:
        raise schema.CardlabError(
            f"{name!r} is there and was not written by cardlab.embed, so it is left alone. "
            "Save elsewhere."
        )
    try:
        made = json.loads(found)
    except (ValueError, RecursionError) as error:
        raise _damaged(name, "what it says of how its vectors were made is no JSON") from error
    if not isinstance(made, dict):
        raise _damaged(name, "what it says of how its vectors were made is no mapping")
    return made


def _damaged(name: str, reason: str) -> schema.CardlabError:
    return schema.CardlabError(
        f"{name!r} is not as cardlab.embed wrote it: {reason}. Remove it, and the vectors are "
        "computed anew; or save elsewhere."
    )


def _read(path: Path, wanted: pl.Series) -> tuple[Floats, pl.Series, str]:
    """Give the vectors of the cards wanted, which cards there are, and the sum of all."""
    import pyarrow.parquet as pq

    check_parquet(path)
    with pq.ParquetFile(path) as opened:
        texts = pl.Series(opened.read(columns=["text_hash"]).column(0)).cast(pl.String)
        there = pl.DataFrame({"text_hash": texts}).with_row_index("row")
        there = there.unique("text_hash", keep="first")
        rows = wanted.to_frame("text_hash").join(
            there, on="text_hash", how="left", maintain_order="left"
        )
        row = rows["row"].cast(pl.Int64).fill_null(-1).to_numpy()
        order = np.argsort(row, kind="stable")
        width = opened.schema_arrow.field("embeddings").type.list_size
        x = np.full((len(wanted), width), np.nan, dtype=np.float32)
        total = _Sum(width)
        start = 0
        for batch in opened.iter_batches(_ROWS, columns=["embeddings"]):
            vectors = batch.column(0)
            values = vectors.values.slice(vectors.offset * width, len(vectors) * width)
            block = np.array(values.to_numpy(zero_copy_only=False), dtype=np.float32)
            block = block.reshape(-1, width)
            block[np.asarray(vectors.is_null())] = np.nan
            total.add(texts[start : start + len(block)], block)
            low, high = np.searchsorted(row[order], (start, start + len(block)))
            x[order[low:high]] = block[row[order[low:high]] - start]
            start += len(block)
    return x, rows["row"].is_not_null(), total.said()


class _Sum:
    """A sum over all that a file holds, in the order of its rows."""

    def __init__(self, width: int) -> None:
        self.texts = hashlib.blake2b(str(width).encode())
        self.vectors = hashlib.blake2b()

    def add(self, text_hash: pl.Series, block: Floats) -> None:
        """Take further rows; what is not usable is NaN."""
        self.texts.update("".join(f"{text}\n" for text in text_hash.to_list()).encode())
        self.vectors.update(np.ascontiguousarray(block).view(np.uint8).data)

    def said(self) -> str:
        return hashlib.blake2b(
            self.texts.digest() + self.vectors.digest(), digest_size=16
        ).hexdigest()


def _blocks(x: Floats) -> Iterator[tuple[slice, Floats]]:
    for start in range(0, len(x), _ROWS):
        rows = slice(start, min(start + _ROWS, len(x)))
        block = np.array(x[rows])
        block[~usable(block)] = np.nan  # one NaN, whatever made it
        yield rows, block


def write(
    path: Path, ids: pl.Series, text_hash: pl.Series, x: Floats, settings: dict[str, Any]
) -> None:
    """Write vectors beside their place, then move them there: a reader never sees half a file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    total = _Sum(x.shape[1])
    for rows, block in _blocks(x):
        total.add(text_hash[rows], block)
    settings = {**settings, "sum": total.said()}
    fields = pa.schema(
        [
            ("id", pa.large_string()),
            ("text_hash", pa.large_string()),
            ("embeddings", pa.list_(pa.float32(), x.shape[1])),
        ],
        metadata={_KEY: json.dumps(settings)},
    )
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with pq.ParquetWriter(part, fields, compression="zstd", use_dictionary=False) as out:
            for rows, block in _blocks(x):
                vectors = pa.FixedSizeListArray.from_arrays(
                    pa.array(block.ravel()), x.shape[1], mask=pa.array(~usable(block))
                )
                names = [pa.array(s[rows].to_list(), pa.large_string()) for s in (ids, text_hash)]
                out.write_table(pa.table([*names, vectors], fields))
        part.replace(path)
    except OSError as error:
        raise schema.CardlabError(
            f"the vectors could not be saved as {schema.printable(str(path))!r}: "
            f"{schema.printable(str(error))}."
        ) from error
    finally:
        part.unlink(missing_ok=True)


def corpus(text_hash: pl.Series) -> str:
    """Hash what all cards together say, in whichever order they come."""
    return hashlib.sha256("\n".join(text_hash.sort()).encode()).hexdigest()
