"""Vectors for cards that come without."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from ..text.passages import Counter, Recipe, estimated_tokens, packed, with_passages
from ..text.sections import section_texts
from .lsa import card_texts, lsa
from .vectors import Floats, blanked, ids_of, matrix, parquet_columns, rows_of, usable, whole_number

# ---- Models that turn texts into vectors: sentence-transformers, or a callable of the caller's.

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
        total = np.add.reduceat(np.concatenate(parts).astype(np.float64), np.cumsum(n) - n, axis=0)
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


def encoder(
    model: Any, *, max_tokens: int | None = None, name: str | None = None, scaled: bool = True
) -> Encoder:
    """Make ready a callable, or load a model by name or folder; `scaled` as it scales itself."""
    if callable(model):
        return Encoder(model, name, max_tokens or _MAX_TOKENS)
    if not isinstance(model, (str, os.PathLike)):
        raise schema.CardlabError(
            "model must be 'lsa', the name or folder of a sentence-transformers model, or a "
            f"callable that takes a list of texts, not {type(model).__name__}."
        )
    if words := _static(Path(model).expanduser().resolve(), max_tokens, name):
        return words
    loaded, folder = _load(str(model))
    for at, (_, module) in reversed([*enumerate(loaded.named_children())]):
        if not scaled and type(module).__name__ == "Normalize":
            del loaded[at]

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


def _static(folder: Path, max_tokens: int | None, name: str | None) -> Encoder | None:
    """Load word vectors of model2vec, if that is what a folder holds."""
    kind = None
    with suppress(OSError, ValueError, AttributeError):
        kind = json.loads((folder / "config.json").read_text("utf-8")).get("model_type")
    if kind != "model2vec" or (folder / "modules.json").exists():
        return None
    try:
        from model2vec import StaticModel  # type: ignore[import-not-found]
    except ImportError as error:
        raise schema.CardlabError(
            f"{schema.printable(str(folder))!r} holds a model2vec model, and that package is not "
            "here. Install it with python -m pip install 'cardlab[embed]'."
        ) from error
    loaded = StaticModel.from_pretrained(str(folder))
    filed = name or f"{folder.name}@{_fingerprint(folder)}"
    return Encoder(loaded.encode, filed, max_tokens or _MAX_TOKENS)


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


# ---- Vectors that were computed, kept beside the cards so that they are computed once.

#: Where the file says how its vectors were made.
_KEY = b"cardlab.embed"


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


def keys(documents: pl.Series, among: str = "") -> pl.Series:
    """Hash what each card says, and `among` which cards: 32 hexadecimal digits."""
    texts = (text if isinstance(text, str) else json.dumps(text.to_list()) for text in documents)
    made = [hashlib.blake2b(f"{among}{t}".encode(), digest_size=16).hexdigest() for t in texts]
    return pl.Series("text_hash", made, dtype=pl.String)


def gathered(text_hash: pl.Series, kept: pl.Series, x: Floats) -> Floats:
    """Give each card the kept vector of what it says, NaN where there is none."""
    rows = rows_of(text_hash, kept)[0]
    x = x[rows.fill_null(0).to_numpy()]
    x[rows.is_null().to_numpy()] = np.nan
    return x


def kept_in(path: Path | None, settings: dict[str, Any]) -> tuple[pl.Series, Floats]:
    """Read the hashes and the vectors of a file of these settings, NaN where it has none.

    Nothing where there is no file. One of something else, made otherwise, or not as it was
    written is an error.
    """
    import pyarrow.parquet as pq

    if path is None or not path.exists():
        return pl.Series("text_hash", dtype=pl.String), np.empty((0, 0), dtype=np.float32)
    try:
        told = (pq.read_schema(path).metadata or {}).get(_KEY)
    except Exception as error:  # Damaged and forged files raise errors of a dozen kinds.
        raise _refused(path, "is there but no Parquet file that can be read") from error
    if told is None:
        raise _refused(
            path, "is there and was not written by cardlab.embed, so it is left alone", "Save"
        )
    try:
        made = dict(json.loads(told))
        frame = parquet_columns(path, ["text_hash", "embeddings"])
        x = np.array(frame["embeddings"].to_numpy(), dtype=np.float32, ndmin=2)
        text_hash = frame["text_hash"].cast(pl.String)
        is_whole = made.pop("sum", None) == _sum(text_hash, x)
    except (Exception, pl.exceptions.PanicException) as error:
        raise _refused(path, f"is not as cardlab.embed wrote it: {error}") from error
    if made != settings:
        raise _refused(
            path, f"holds vectors made with {json.dumps(made)}, not with {json.dumps(settings)}"
        )
    if not is_whole:
        raise _refused(path, "is not as cardlab.embed wrote it: the sum of what it holds differs")
    return text_hash, x


def _refused(path: Path, reason: str, then: str = "Remove it, or save") -> schema.CardlabError:
    said = schema.shorten(schema.printable(reason), 500)
    return schema.CardlabError(
        f"{schema.printable(str(path))!r} {said}. {then} elsewhere (a folder gives each model a "
        "file of its own)."
    )


def _sum(text_hash: pl.Series, x: Floats) -> str:
    """Sum up what a file holds, in the order of its rows; what is not usable is one NaN."""
    digest = hashlib.blake2b("\n".join([str(x.shape), *text_hash]).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(x).data)
    return digest.hexdigest()


def write(
    path: Path, cards: Any, text_hash: pl.Series, x: Floats, settings: dict[str, Any]
) -> None:
    """Write vectors beside their place, then move them there: a reader never sees half a file."""
    import pyarrow.parquet as pq

    good = usable(x)
    columns = {"id": ids_of(cards), "text_hash": text_hash, "embeddings": x}
    frame = pl.DataFrame(columns).with_columns(pl.when(pl.Series(good)).then("embeddings"))
    made = json.dumps({**settings, "sum": _sum(text_hash, blanked(x, good))})
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        pq.write_table(
            table.replace_schema_metadata({_KEY: made}),
            part,
            compression="zstd",
            use_dictionary=False,
            row_group_size=16_384,
        )
        part.replace(path)
    except OSError as error:
        raise schema.CardlabError(
            f"the vectors could not be saved as {schema.printable(str(path))!r}: "
            f"{schema.printable(str(error))}."
        ) from error
    finally:
        part.unlink(missing_ok=True)


# ---- Vectors for cards that come without.

Progress = bool | Callable[[int, int], object]


def embed(
    cards: Any,
    *,
    model: str | os.PathLike[str] | Model = "lsa",
    n_components: int = 128,
    random_state: int = 0,
    column: str | None = None,
    max_tokens: int | None = None,
    save: str | os.PathLike[str] | None = None,
    name: str | None = None,
    recipe: Recipe = None,
    progress: Progress = False,
) -> Floats:
    """Compute a vector for each card from what it says.

    Parameters
    ----------
    cards : frame
        Cards with ``text``, ``tags`` or both. Of a card the first 20,000 characters of the text
        are read, and of its tags the free ones (no prefix such as ``license:``, no task,
        library, language or tag of the Hub) up to 2,000 characters.
    model : {"lsa"}, str, path or callable, default "lsa"
        - ``"lsa"``: TF-IDF of the words (sublinear counts; prose without HTML, addresses, code but
          for names of classes, and lines that three authors have word for word, unless a card has
          fewer than 20 other words; words of three letters or more, in at least two cards unless
          the corpus is tiny; the commonest 50,000; a free tag counts twice), reduced by exact
          truncated SVD. Nothing is downloaded.
        - Any other string or path: a sentence-transformers model (extra ``embed``), the name of
          one on the Hub or a local folder, for which nothing is downloaded; or the local folder of
          a model2vec model.
        - A callable takes a list of at most 256 texts and gives a matrix with a row for each.

        A model reads each card as passages (its words as :func:`plain_text` gives them, cut as
        :func:`passages` cuts, then a line of the free tags; the raw text of a card without
        words) and the card's vector is the mean of theirs. Cards that say the same are read once.
    n_components : int, default 128
        Columns asked of ``"lsa"``; fewer where the corpus has fewer cards, words or directions.
    random_state : int, default 0
        Seed of the SVD. The same cards give the same vectors, in any order.
    column : str, optional
        A column of strings (Markdown) or of lists of strings (passages, such as
        ``input_texts``) that a model reads instead of text and tags, whole.
    max_tokens : int, optional
        Tokens of a passage at most. By default as many as a sentence-transformers model reads,
        by its own tokenizer; 512 by the estimate of :func:`passages` for a callable.
    save : path, optional
        A ``.parquet`` file, or a folder that then gets ``embeddings.MODEL.parquet``: ``id``,
        ``text_hash``, ``embeddings`` (fixed-size lists of float32, null where not usable), and
        how they were made in the file's metadata. The next call takes from it the vectors of
        all cards that say what they said, and computes only the others; ``"lsa"`` takes all or
        none, as each of its vectors depends on all cards. Needs ``id``.
    name : str, optional
        The name of the model in the saved file: needed to save what a callable gives.
    recipe : {"seed"}, optional
        ``"seed"`` makes the vectors of the 18-column data set, where `model` is its model (of 768
        numbers, by mean pooling; the multilingual E5 of this size): of ``input_texts``, made by
        :func:`with_passages` with the model's tokenizer where the cards have none, and without
        the step to length 1 that the model may end with.
    progress : bool or callable, default False
        True writes to standard error how many cards are done; a callable gets cards done and
        cards in all after each batch. ``"lsa"`` has none.

    Returns
    -------
    np.ndarray of float32, shape (n_cards, k)
        Rows of length 1 with ``"lsa"``, as they come from a model (means of passages are not
        scaled). A row is all NaN for a card without text and tags, for one that shares no word
        with another card, and where a model gave no usable vector.

    Raises
    ------
    MissingColumn
        The cards have neither ``text`` nor ``tags``, or no `column`, or no ``id`` to save with.
    NoFigure
        No card says anything.
    CardlabError
        A model that cannot be loaded (without the extra: with the line that installs it), a
        callable that gives something other than a row for each text, or a file at `save` that
        holds something else.

    Notes
    -----
    Deerwester et al. (1990), Indexing by latent semantic analysis, JASIS 41(6); the SVD by ARPACK
    (Lehoucq, Sorensen and Yang 1998). Reimers and Gurevych (2019),
    Sentence-BERT.

    Examples
    --------
    >>> cl.embed(cl.make_cards(200), n_components=16).shape
    (200, 16)
    """
    whole_number(n_components, 1, name="n_components")
    whole_number(random_state, 0, name="random_state")
    if max_tokens is not None:
        whole_number(max_tokens, 8, name="max_tokens")
    if save is not None:
        schema.require(cards, "id")
        if callable(model) and not name:
            raise schema.CardlabError(
                "to save what a callable gives, name the model: embed(cards, model=..., "
                "name='...', save=...). Vectors of another model under the same name would be "
                "taken for its own."
            )
    schema.one_of(recipe, [None, "seed"], name="recipe")
    if isinstance(model, str) and model == "lsa":
        if column is not None or recipe is not None:
            what = "column is" if recipe is None else "recipe is"
            raise schema.CardlabError(f"{what} for a model; 'lsa' reads text and tags.")
        return _with_lsa(cards, n_components, random_state, save)
    ready = encoder(model, max_tokens=max_tokens, name=name, scaled=recipe is None)
    if recipe is not None:
        column = column or "input_texts"
        if column == "input_texts" and column not in schema.column_names(cards):
            count = None if callable(model) else lambda text: ready.count([text])[0]
            cards = with_passages(cards, tokenizer=count, recipe=recipe, jobs=1)
    return _with_model(cards, ready, column, save, progress, recipe)


def _with_lsa(
    cards: Any, n_components: int, random_state: int, save: str | os.PathLike[str] | None
) -> Floats:
    texts = spoken(cards)
    if save is None:
        return lsa(texts, n_components, random_state)[0]
    path = place(save, "lsa")
    settings = {"model": "lsa", "n_components": n_components, "random_state": random_state}
    said = texts.select(pl.concat_str("text", "tags", "author", separator="\0")).to_series()
    # Each vector depends on what all of the authors say, in whichever order the cards come.
    corpus = hashlib.sha256("\n".join(keys(said).sort()).encode()).hexdigest()
    text_hash = keys(said, corpus)
    kept, x = kept_in(path, settings)
    if text_hash.is_in(kept.implode()).all():
        return gathered(text_hash, kept, x)
    x, _ = lsa(texts, n_components, random_state)
    write(path, cards, text_hash, x, settings)
    return x


def _with_model(
    cards: Any,
    model: Encoder,
    column: str | None,
    save: str | os.PathLike[str] | None,
    progress: Progress,
    recipe: Recipe,
) -> Floats:
    """Read the distinct documents that are not stored, the longest first, batch by batch."""
    documents = _documents(cards, column)
    text_hash = keys(documents)
    settings = {"model": model.name, "max_tokens": model.max_tokens, "column": column}
    settings |= {"recipe": recipe} if recipe else {}
    path = None if save is None else place(save, str(model.name))
    kept, x = kept_in(path, settings)
    whole = documents.list.join("") if documents.dtype == schema.STRINGS else documents
    # Ordered by content, not by place: the vectors do not depend on the order of the cards.
    sizes = pl.DataFrame({"text_hash": text_hash, "size": whole.str.len_chars()})
    each = sizes.with_row_index("row").group_by("text_hash", "size")
    todo = each.agg(pl.col("row").first(), n_cards=pl.len())
    todo = todo.join(kept.to_frame(), on="text_hash", how="anti")
    todo = todo.sort("size", "text_hash", descending=[True, False])
    parts = [x] if len(x) else []
    if done := len(documents) - int(todo["n_cards"].sum()):
        _report(progress, done, len(documents))
    for batch in todo.iter_slices(BATCH):
        passages = [model.passages(said) for said in documents.gather(batch["row"]).to_list()]
        if any(passages):
            parts.append(model.mean([found for found in passages if found]))
            kept = kept.append(batch["text_hash"].filter(list(map(bool, passages))))
            if parts[-1].shape[1] != parts[0].shape[1]:
                raise schema.CardlabError(
                    f"the model gave vectors of {parts[-1].shape[1]} numbers, earlier ones have "
                    f"{parts[0].shape[1]}."
                )
        done += int(batch["n_cards"].sum())
        _report(progress, done, len(documents))
    if not parts:
        raise schema.NoFigure(f"none of the {len(documents):,} cards has a passage to embed.")
    x = gathered(text_hash, kept, np.concatenate(parts))
    x = blanked(x, usable(x), owned=True)
    if path is not None and (todo.height or not path.exists()):
        write(path, cards, text_hash, x, settings)
    return x


def spoken(cards: Any) -> pl.DataFrame:
    """Collect what the cards say, as ``text`` and ``tags``; raises NoFigure where none does."""
    texts = card_texts(cards)
    if not texts.select((pl.col("text") + pl.col("tags")).str.contains(r"\S").any()).item():
        raise schema.NoFigure(
            f"none of the {texts.height:,} cards has a text or a free tag to compute a vector from."
        )
    return texts


def _documents(cards: Any, column: str | None) -> pl.Series:
    """Give what a model reads of each card: a string, or a list of passages."""
    if column is None:
        text = pl.col("text").str.replace_all(TAGS_FOLLOW, " ", literal=True).str.strip_chars()
        document = pl.concat_str(text, "tags", separator=TAGS_FOLLOW)
        return spoken(cards).select(document).to_series()
    schema.require(cards, column)
    found = schema.collect(schema.lazy(cards).select(column)).to_series()
    if found.dtype == pl.String:
        return found.fill_null("")
    if found.dtype == schema.STRINGS:
        return found.fill_null(pl.Series([[]], dtype=schema.STRINGS))
    raise schema.CardlabError(
        f"column {column!r} must hold strings or lists of strings; it is {found.dtype}."
    )


def _report(progress: Progress, done: int, total: int) -> None:
    if callable(progress):
        progress(done, total)
    elif progress:
        end = "\n" if done == total else ""
        print(f"\rembed: {done:,} of {total:,} cards", end=end, file=sys.stderr, flush=True)
