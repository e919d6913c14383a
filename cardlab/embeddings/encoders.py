"""Models that turn texts into vectors: sentence-transformers, or a callable of the caller's."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import schema
from ..text.packing import packed
from ..text.plain import section_texts
from ..text.tokens import Counter, estimated_tokens
from .matrix import Floats, matrix

Model = Callable[[list[str]], npt.ArrayLike]

#: Texts that a model gets at a time.
BATCH = 256

#: Tokens of a passage for a callable, which does not say how many it reads.
_MAX_TOKENS = 512

#: Stands between the text of a card and its tags, which are no Markdown.
TAGS_FOLLOW = "\0"


@dataclass(frozen=True)
class Encoder:
    """A model, the name its vectors are filed under, and how long its passages may be."""

    model: Model
    name: str | None
    max_tokens: int
    count: Counter = estimated_tokens

    def mean(self, documents: list[list[str]]) -> Floats:
        """Give each document the mean of its passages' vectors."""
        passages = [passage for document in documents for passage in document]
        parts: list[Floats] = []
        for start in range(0, len(passages), BATCH):
            batch = passages[start : start + BATCH]
            part = matrix(self.model(batch), name="the result of the model")
            width = parts[0].shape[1] if parts else part.shape[1]
            if part.shape != (len(batch), width):
                raise schema.CardlabError(
                    f"the model must give a matrix of shape {(len(batch), width)} for a batch of "
                    f"{len(batch)} texts; it gave {part.shape}."
                )
            parts.append(part)
        n = np.array([len(document) for document in documents])
        first = np.concatenate([[0], np.cumsum(n)[:-1]])
        total = np.add.reduceat(np.concatenate(parts).astype(np.float64), first, axis=0)
        with np.errstate(over="ignore"):
            mean: Floats = (total / n[:, None]).astype(np.float32)
        return mean

    def passages(self, document: str | list[str | None]) -> list[str]:
        """Split what a card says; a list of texts is taken as passages already."""
        if not isinstance(document, str):
            return [passage for passage in document if passage and passage.strip()]
        text, _, tags = document.partition(TAGS_FOLLOW)
        # A card that is all code or tables has no words, but is a card all the same.
        texts = section_texts(text) or [text.strip()]
        return packed([*texts, tags], self.count, self.max_tokens, "")


def encoder(model: Any, *, max_tokens: int | None = None, name: str | None = None) -> Encoder:
    """Make ready a callable, or load a sentence-transformers model by name or folder."""
    if callable(model):
        return Encoder(model, name, max_tokens or _MAX_TOKENS)
    if not isinstance(model, (str, os.PathLike)):
        raise schema.CardlabError(
            "model must be 'lsa', the name or folder of a sentence-transformers model, or a "
            f"callable that takes a list of texts, not {type(model).__name__}."
        )
    loaded, folder = _load(str(model))

    def encode(texts: list[str]) -> npt.ArrayLike:
        result: npt.ArrayLike = loaded.encode(texts, convert_to_numpy=True, show_progress_bar=False)
        return result

    def count(texts: list[str]) -> list[int]:
        tokens = loaded.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        return [len(found) for found in tokens]

    # Two tokens that mark the beginning and the end are the model's own.
    limit = max(int(loaded.max_seq_length or _MAX_TOKENS) - 2, 1)
    filed = name or (str(model) if folder is None else f"{folder.name}@{_fingerprint(folder)}")
    return Encoder(encode, filed, min(max_tokens or limit, limit), count)


def _load(model: str) -> tuple[Any, Path | None]:
    folder = Path(model).expanduser()
    local = folder.is_dir()
    if not local and (folder.is_absolute() or model.startswith(("./", "../", "~"))):
        raise schema.CardlabError(f"there is no folder {schema.printable(model)!r} with a model.")
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise schema.CardlabError(
            f"model {schema.printable(model)!r} is neither 'lsa' or a callable, so it is taken for "
            "a sentence-transformers model, and that package is not here. Install it with "
            "python -m pip install 'cardlab[embed]'."
        ) from error
    try:
        loaded = SentenceTransformer(
            str(folder) if local else model,
            local_files_only=local or os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0"),
        )
    except Exception as error:  # Whatever the libraries beneath raise: there are dozens of kinds.
        reason = schema.shorten(schema.printable(" ".join(str(error).split())), 300)
        raise schema.CardlabError(
            f"the sentence-transformers model {schema.printable(model)!r} could not be loaded: "
            f"{reason}. Without a network give the path of a folder that holds the model, or use "
            "model='lsa', which needs none."
        ) from error
    return loaded, folder.resolve() if local else None


def _fingerprint(folder: Path) -> str:
    """Hash the files of a model: two that were trained differently have the same names."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0")
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()[:12]
