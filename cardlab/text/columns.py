"""The text columns of the 18-column data set, for any cards."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal

import polars as pl

from ..frames import as_polars
from ..schema import CardlabError, Frame, at_least, one_of, require
from .passages import counting, packed, tags_line
from .recipe import PREFIX, seed_input, seed_parts, seed_text
from .sections import section_texts

# ---- One function over batches of cards: in order, with progress, on several cores when it pays.

#: Bytes of text of a batch, and how many a card counts for at least: so it is 2,000 cards at most.
BATCH_BYTES, LEAST_BYTES = 4_000_000, 2_000
#: Text below which starting further processes costs more than it saves.
MIN_BYTES_FOR_PROCESSES = 48_000_000

#: Gives the new columns of a batch of cards, a row for each card. It goes to other processes.
Make = Callable[[pl.DataFrame], pl.DataFrame]


def _run(
    columns: pl.DataFrame, make: Make, schema: dict[str, Any], jobs: int | None, progress: Progress
) -> pl.DataFrame:
    """Apply `make` to batches of the cards and put the results together in order."""
    sizes = columns["text"].str.len_bytes().fill_null(0).cast(pl.Int64)
    if jobs is None:
        jobs = -1 if int(sizes.sum()) >= MIN_BYTES_FOR_PROCESSES else 1
    part = sizes.clip(LEAST_BYTES).cum_sum() // BATCH_BYTES
    batches = [batch for _, batch in columns.group_by(part, maintain_order=True)]
    made = [pl.DataFrame(schema=schema)]
    for result in _results(batches, make, jobs):
        made.append(result)
        progress.step(result.height)
    progress.end()
    return pl.concat(made)


def _results(batches: list[pl.DataFrame], make: Make, jobs: int) -> Iterable[pl.DataFrame]:
    if jobs == 1 or len(batches) < 2:
        return map(make, batches)
    # The parser holds Python's lock, so threads gain nothing. joblib's processes are started
    # afresh (a fork would copy polars' locks), need no guarded main module, and stay for the
    # next call; few batches are on their way at a time, so memory stays flat
    from joblib import Parallel, cpu_count, delayed

    workers = min(cpu_count() if jobs < 0 else jobs, len(batches))
    pool = Parallel(n_jobs=workers, return_as="generator", batch_size=1, pre_dispatch="2*n_jobs")
    results: Iterable[pl.DataFrame] = pool(delayed(make)(batch) for batch in batches)
    return results


class Progress:
    """A line on the terminal, or below a notebook's cell, once the work takes seconds."""

    def __init__(self, total: int | None, what: str = "cards") -> None:
        self.total, self.what = total, what
        self.done = 0
        self.shown = time.monotonic() + 1.5
        self.written = False

    def step(self, n: int) -> None:
        """Count `n` more cards as done, and say so at most twice a second."""
        self.done += n
        now = time.monotonic()
        if now - self.shown < 0.5 or not (sys.stderr.isatty() or "ipykernel" in sys.modules):
            return
        self.shown = now
        self.written = True
        of = f" of {self.total:,}" if self.total is not None else ""
        sys.stderr.write(f"\r{self.done:,}{of} {self.what}")
        sys.stderr.flush()

    def end(self) -> None:
        """End the line, where there is one and all is done."""
        if self.written and (self.total is None or self.done >= self.total):
            sys.stderr.write("\n" if self.total is not None else "")


# ---- The text columns of the 18-column data set, for any cards.

_TEXTS = pl.List(pl.String)
_SCHEMA: dict[str, Any] = {
    "tags_str": pl.String,
    "text_str": pl.String,
    "text_lists": _TEXTS,
    "processed_texts": _TEXTS,
    "tokens_length": pl.List(pl.Int64),
    "input_texts": _TEXTS,
}


#: How the columns are made: as said below, or as the 18-column data set made them.
Recipe = Literal["seed"] | None


def with_plain_text(cards: Frame, *, recipe: Recipe = None, jobs: int | None = None) -> Frame:
    """Add ``text_str``, the words of each card.

    Parameters
    ----------
    cards : frame
        With ``text``.
    recipe : {"seed"}, optional
        ``"seed"`` makes the column as the 18-column data set did: links become their text and
        addresses ``URL`` before the Markdown is read; code blocks and tables are left out; headings
        of level 1 and 2 are underlined, those below are ``#`` lines; what is bold, a picture or
        ``*`` and ``_`` in a sentence is written as Markdown. Blank lines are those of
        markdownify 0.11.6. Ten times slower.
    jobs : int, optional
        Processes; by default one for each core where there are more than 48 MB of text, else one.

    Returns
    -------
    pl.DataFrame or pl.LazyFrame
        `cards` (lazy if it was lazy) with ``text_str`` (string): what :func:`plain_text` gives;
        null where ``text`` is null, empty where it has no words.

    Raises
    ------
    MissingColumn
        The cards have no ``text``.

    Examples
    --------
    >>> cl.with_plain_text(cl.read_cards({"id": ["a"], "text": ["# A *model*"]}))["text_str"][0]
    '# A model'
    """
    return _with(cards, ["text_str"], jobs, recipe=recipe)


def with_sections(cards: Frame, *, recipe: Recipe = None, jobs: int | None = None) -> Frame:
    r"""Add ``text_str``, the words of each card, and ``text_lists``, those of each section.

    Parameters
    ----------
    cards, recipe, jobs
        As in :func:`with_plain_text`.

    Returns
    -------
    pl.DataFrame or pl.LazyFrame
        What :func:`with_plain_text` gives, and ``text_lists`` (list of string): one text for each
        section, its heading as a ``#`` line before it, and one for what stands before the first
        heading, if there are words. Null where ``text`` is null. By the recipe ``"seed"`` a part
        begins at each ``#`` line of ``text_str``, so that headings of level 1 and 2 begin none, and
        **what stands before the first is in no part** (``cardlab.text.recipe.recipe_losses``
        counts it).

    Raises
    ------
    MissingColumn
        The cards have no ``text``.

    Examples
    --------
    >>> cards = cl.read_cards({"id": ["a"], "text": ["# Uses\n\nFor speech."]})
    >>> cl.with_sections(cards)["text_lists"].to_list()
    [['# Uses\n\nFor speech.']]
    """
    return _with(cards, ["text_str", "text_lists"], jobs, recipe=recipe)


def with_passages(
    cards: Frame,
    *,
    tokenizer: Any = None,
    max_tokens: int = 512,
    prefix: str | None = None,
    recipe: Recipe = None,
    jobs: int | None = None,
) -> Frame:
    r"""Add the six text columns of the 18-column data set, ready for an embedding model.

    Parameters
    ----------
    cards : frame
        With ``text``; with ``tags`` they become the first line.
    tokenizer : tokenizers.Tokenizer, path or callable, optional
        As in :func:`passages`. Without one ``tokens_length`` is an **estimate**, and there is no
        ``recipe="seed"``, which counts with that of the model's family (XLM-R) and leaves out the
        tokens that it adds itself.
    max_tokens : int
        Most tokens of an entry of ``input_texts``, `prefix` included.
    prefix : str, optional
        What each entry of ``input_texts`` begins with; by default nothing, by the recipe
        ``"seed"`` ``"passage: "``.
    recipe : {"seed"}, optional
        As in :func:`with_sections`.
    jobs : int, optional
        As in :func:`with_plain_text`. In several processes the tokenizer is copied to each.

    Returns
    -------
    pl.DataFrame or pl.LazyFrame
        `cards` (lazy if it was lazy) with these columns, in place of any of the same name:

        - ``tags_str``: ``TAGS``, and below it each tag as ``#tag`` with ``-`` for ``:``; null
          where the tags are;
        - ``text_str``, ``text_lists``: as :func:`with_sections`;
        - ``processed_texts`` (list of string): ``tags_str``, a blank and a line end; then
          ``text_lists``;
        - ``tokens_length`` (list of Int64): tokens of each of these;
        - ``input_texts`` (list of string): these in passages, as :func:`passages` packs them; by
          the recipe ``"seed"`` one text of all, cut at `max_tokens` (rows of that data set that
          are longer are not known).

        The last three are null where both ``tags`` and ``text`` are.

    Raises
    ------
    MissingColumn
        The cards have no ``text``.
    CardlabError
        As in :func:`passages`.

    Examples
    --------
    >>> cards = cl.read_cards({"id": ["a"], "tags": [["asr"]], "text": ["# Uses\n\nSpeech."]})
    >>> cl.with_passages(cards)["input_texts"].to_list()
    [['TAGS\n#asr \n# Uses\n\nSpeech.']]
    """
    if recipe == "seed" and tokenizer is None:
        raise CardlabError(
            'recipe="seed" counts tokens as its model does: give tokenizer= the tokenizer.json of '
            "an XLM-R or multilingual E5 model, or the folder that holds it. with_sections needs "
            "none."
        )
    if prefix is None:
        prefix = PREFIX if recipe == "seed" else ""
    options = {"tokenizer": tokenizer, "max_tokens": max_tokens, "prefix": prefix}
    counting(**options)  # what is wrong is said before any card is read
    return _with(cards, list(_SCHEMA), jobs, recipe=recipe, **options)


def _with(cards: Frame, columns: list[str], jobs: int | None, **options: Any) -> Frame:
    """Add some of the columns; a lazy frame does the work if one of them is asked for."""
    one_of(options["recipe"], [None, "seed"], name="recipe")
    if jobs is not None:
        at_least(jobs, 1, name="jobs")
    have = require(cards, "text")
    frame = as_polars(cards)
    needs = ["text", "tags"] if "tags" in have and "tags_str" in columns else ["text"]
    make = partial(text_columns, columns=columns, **options)
    schema = {name: _SCHEMA[name] for name in columns}
    progress = Progress(frame.height if isinstance(frame, pl.DataFrame) else None)
    helper = "__batches"

    def each(values: pl.Series) -> pl.Series:
        return _run(values.struct.unnest(), make, schema, jobs, progress).to_struct(values.name)

    batch = pl.struct(needs).map_batches(each, return_dtype=pl.Struct(schema), is_elementwise=True)
    fields = (pl.col(helper).struct.field(name).alias(name) for name in schema)
    added: Frame = frame.with_columns(batch.alias(helper)).with_columns(fields).drop(helper)
    return added


def text_columns(
    batch: pl.DataFrame,
    *,
    columns: list[str],
    tokenizer: Any = None,
    max_tokens: int = 512,
    prefix: str = "",
    recipe: Recipe = None,
) -> pl.DataFrame:
    """Give the text columns of one batch of cards, whichever engine it comes from."""

    def column(values: Iterable[Any], none: Iterable[bool], dtype: Any = _TEXTS) -> pl.Series:
        nulled = [None if no else value for no, value in zip(none, values, strict=True)]
        return pl.Series(nulled, dtype=dtype)

    null = batch["text"].is_null()
    if recipe == "seed":
        text_str = column((seed_text(text or "") for text in batch["text"]), null, pl.String)
        texts = [seed_parts(text or "") for text in text_str]
        text_lists = column(texts, null)
    else:
        texts = [section_texts(text or "") for text in batch["text"]]
        text_lists = column(texts, null)
        text_str = text_lists.list.join("\n\n")
    made = {"text_str": text_str, "text_lists": text_lists}
    if "tags_str" in columns:
        count = counting(tokenizer, max_tokens, prefix, special=recipe is None)
        tags = batch["tags"].cast(_TEXTS) if "tags" in batch.columns else [None] * batch.height
        lines = pl.Series(
            [None if one is None else tags_line(one.drop_nulls()) for one in tags], dtype=pl.String
        )
        full = [
            parts if line is None else [line, *parts]
            for line, parts in zip(lines, texts, strict=True)
        ]
        # one call for all texts of the batch: tokenizers count many at once in parallel
        flat = [text for parts in full for text in parts]
        counts = iter(count(flat) if flat else [])
        sizes = [[next(counts) for _ in parts] for parts in full]
        inputs = [
            packed(parts, count, max_tokens, prefix, size)
            if recipe is None
            else seed_input(parts, count, max_tokens, prefix)
            for parts, size in zip(full, sizes, strict=True)
        ]
        none = null & lines.is_null()
        made["tags_str"] = lines.str.strip_suffix(" \n")
        made["processed_texts"] = column(full, none)
        made["tokens_length"] = column(sizes, none, pl.List(pl.Int64))
        made["input_texts"] = column(inputs, none)
    return pl.DataFrame({name: made[name] for name in columns})
