"""Vectors that were computed, kept beside the cards so that they are computed once."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from .. import schema
from .blocks import Floats, Source, fill
from .files import open_vectors
from .matrix import usable

#: Where the file says how its vectors were made.
_KEY = b"cardlab.embed"
_ROWS = 16_384


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
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    none = np.empty((len(wanted), 0), dtype=np.float32), pl.repeat(False, len(wanted), eager=True)
    if not path.exists():
        return none
    name = schema.printable(str(path))
    try:
        found = (pq.read_schema(path).metadata or {}).get(_KEY)
    except (pa.ArrowInvalid, OSError) as error:
        raise schema.CardlabError(
            f"{name!r} is there but no Parquet file that can be read. Remove it or save elsewhere."
        ) from error
    if found is None:
        raise schema.CardlabError(
            f"{name!r} is there and was not written by cardlab.embed, so it is left alone. "
            "Save elsewhere."
        )
    made = json.loads(found)
    whole = made.pop("texts", None)
    if made != settings:
        raise schema.CardlabError(
            f"{name!r} holds vectors made with {json.dumps(made)}, not with "
            f"{json.dumps(settings)}. Remove it, or save elsewhere (a folder gives each model a "
            "file of its own)."
        )
    if whole is not None and whole != corpus(wanted):
        return none  # Each of these vectors depends on all of the cards.
    there = pl.read_parquet(path, columns=["text_hash"]).with_row_index("row")
    there = there.unique("text_hash", keep="first")
    rows = (
        wanted.to_frame("text_hash")
        .join(there, on="text_hash", how="left", maintain_order="left")["row"]
        .cast(pl.Int64)
    )
    if rows.null_count() == len(rows):
        return none
    source = open_vectors(path)
    x, _ = fill(
        Source(len(wanted), source.blocks, lambda: None, rows=rows.fill_null(-1).to_numpy())
    )
    return x, rows.is_not_null()


def write(
    path: Path, ids: pl.Series, text_hash: pl.Series, x: Floats, settings: dict[str, Any]
) -> None:
    """Write vectors beside their place, then move them there: a reader never sees half a file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

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
            for start in range(0, len(x), _ROWS):
                rows = slice(start, start + _ROWS)
                block = np.ascontiguousarray(x[rows])
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
