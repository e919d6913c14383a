"""Texts of at most so many tokens, and the columns of texts of a frame, for an embedding model."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import polars as pl

from ..frames import as_polars
from ..schema import CardlabError, Frame, at_least, one_of, printable, require
from .recipe import PREFIX, seed_input, seed_parts, seed_text
from .sections import Section, plain_text, section_texts

# ---- Counting tokens: by the tokenizer of a model, or by an estimate that needs none.

#: Gives the number of tokens of each text.
Counter = Callable[[list[str]], list[int]]

#: One match is about one token: six letters of Latin, three digits, four letters of another
#: alphabet, two of Hangul, one Chinese or Japanese character, one mark or a run of the same rule.
TOKEN_ESTIMATE = (
    r"[A-Za-z]{1,6}|[0-9]{1,3}|[\p{Han}\p{Hiragana}\p{Katakana}]|\p{Hangul}{1,2}"
    r"|[\p{L}\p{M}]{1,4}|#{1,6}|-{1,16}|={1,16}|[^\s\p{L}\p{M}]"
)


def estimated_tokens(texts: list[str]) -> list[int]:
    """Estimate how many word pieces a multilingual tokenizer would make of each text.

    Of the nine different texts whose counts the 18-column data set gives it misses 9 % of the
    tokens, of a text at most 15 % or five of them; for a limit that must hold, hand over the
    tokenizer itself.
    """
    return pl.Series(texts, dtype=pl.String).str.count_matches(TOKEN_ESTIMATE).to_list()


def token_counter(tokenizer: Any, *, special: bool = True) -> Counter:
    """Turn what the caller calls a tokenizer into a function that counts tokens.

    A ``tokenizers.Tokenizer``, its file or folder, and what transformers wraps around one count
    what they add themselves (``[CLS]`` and the like) if `special`; truncation and padding are
    left aside. A callable takes one text and gives a number, a list of tokens, or a mapping with
    ``input_ids``. None: :func:`estimated_tokens`.
    """
    if tokenizer is None:
        return estimated_tokens
    if isinstance(tokenizer, (str, os.PathLike)):
        path = Path(tokenizer).expanduser()
        path = path / "tokenizer.json" if path.is_dir() else path
        if not path.is_file():
            raise _no_tokenizer(f"there is no file {printable(str(path))!r}")
        tokenizer = _loaded(path, path.stat().st_mtime_ns)
    tokenizer = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if hasattr(tokenizer, "encode_batch"):
        if tokenizer.truncation or tokenizer.padding:
            tokenizer = type(tokenizer).from_str(tokenizer.to_str())
            tokenizer.no_truncation()
            tokenizer.no_padding()
        options = {} if special else {"add_special_tokens": False}
        return lambda texts: [len(one.ids) for one in tokenizer.encode_batch(texts, **options)]
    if callable(tokenizer):
        return lambda texts: [_number(tokenizer(text)) for text in texts]
    raise _no_tokenizer(f"not {type(tokenizer).__name__}")


def _no_tokenizer(reason: str) -> CardlabError:
    return CardlabError(
        "tokenizer must be a tokenizers.Tokenizer, the tokenizer.json of one or its folder, a "
        "function from a text to its tokens or their number, or None for an estimate: "
        f"{reason}."
    )


@lru_cache(maxsize=1)  # each batch of cards asks for it
def _loaded(path: Path, changed: int) -> Any:
    """Load a tokenizer from its file, anew where the file has `changed`."""
    try:
        from tokenizers import Tokenizer  # type: ignore[import-not-found]
    except ImportError as error:
        raise CardlabError(
            "to read a tokenizer from a file, the package tokenizers is needed. Install it with "
            "python -m pip install 'cardlab[seed]'."
        ) from error
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # it raises no other kind
        raise _no_tokenizer(
            f"{printable(str(path))!r} is none ({printable(str(error))})"
        ) from error


def _number(tokens: Any) -> int:
    if hasattr(tokens, "keys") and "input_ids" in tokens:
        tokens = tokens["input_ids"]
    tokens = getattr(tokens, "ids", tokens)
    if isinstance(tokens, Sequence) and not isinstance(tokens, str):
        return len(tokens)
    try:
        number = int(tokens)
    except (TypeError, ValueError):
        number = -1
    if number < 0 or number != tokens:
        raise CardlabError(
            "the tokenizer must give the tokens of a text, or how many they are; it gave "
            f"{type(tokens).__name__}."
        )
    return number


# ---- Texts of at most so many tokens, for an embedding model.


def passages(
    markdown: str | Sequence[Section] | Sequence[str],
    *,
    tokenizer: Any = None,
    max_tokens: int = 512,
    prefix: str = "",
    tags: Iterable[str] | None = None,
) -> list[str]:
    r"""Cut the words of a card into passages for an embedding model.

    Parameters
    ----------
    markdown : str, or sequence of Section or of str
        The body of one card, or its sections as :func:`sections` gives them, or plain texts.
    tokenizer : tokenizers.Tokenizer, path or callable, optional
        Counts tokens: a ``tokenizers.Tokenizer``, its ``tokenizer.json`` or the folder that holds
        that (extra ``seed``), or a function from a text to its tokens or their number. Without
        one they are estimated (about a token for six letters of Latin, three digits, one mark,
        one Chinese character), often 15 % too few: leave room.
    max_tokens : int
        Most tokens of a passage, `prefix` included.
    prefix : str
        What each passage begins with, as some models want (``"passage: "``).
    tags : iterable of str, optional
        Tags for a first line ``TAGS``.

    Returns
    -------
    list of str
        As many sections as fit stand together. A section that is too long is cut between
        sentences, a sentence between words, a word anywhere. Only a single character of more than
        `max_tokens` exceeds them. Without words and tags, no passage.

    Raises
    ------
    CardlabError
        `max_tokens` is no whole number above 0, the prefix alone takes it all, or the tokenizer
        is none.

    Examples
    --------
    >>> cl.passages("# Uses\n\nFor speech. Not for music.", max_tokens=8)
    ['# Uses\n\nFor speech.', 'Not for music.']
    """
    count = counting(tokenizer, max_tokens, prefix)
    if isinstance(markdown, str):
        texts = section_texts(markdown)
    else:
        texts = [_text(part) if isinstance(part, Section) else part for part in markdown]
    first = [tags_line(tags)] if tags is not None else []
    return packed(first + texts, count, max_tokens, prefix)


def counting(tokenizer: Any, max_tokens: int, prefix: str, *, special: bool = True) -> Counter:
    """Check the arguments, and give the counter of tokens."""
    at_least(max_tokens, 1, name="max_tokens")
    if not isinstance(prefix, str):
        raise CardlabError(f"prefix must be a text, not {type(prefix).__name__}.")
    count = token_counter(tokenizer, special=special)
    if prefix and (taken := count([prefix])[0]) >= max_tokens:
        raise CardlabError(
            f"the prefix {prefix!r} has {taken} tokens, which leaves no room in max_tokens="
            f"{max_tokens}. Raise max_tokens or shorten the prefix."
        )
    return count


def tags_line(tags: Iterable[str]) -> str:
    """Give the first text of a card: its tags, a ``#`` before each and ``-`` for ``:``."""
    return "TAGS\n" + " ".join("#" + tag.replace(":", "-") for tag in tags) + " \n"


def packed(
    texts: list[str], count: Counter, max_tokens: int, prefix: str, sizes: list[int] | None = None
) -> list[str]:
    """Join texts, in order, to passages of at most `max_tokens`; `sizes`, if known, in tokens."""
    taken = count([prefix])[0] if prefix else 0
    parts = [text if text.endswith("\n") else text + "\n\n" for text in texts if text.strip()]
    if sizes is None or len(parts) < len(texts):
        sizes = count(parts) if parts else []
    passages_ = _filled(parts, sizes, count, max_tokens - taken)
    # tokens at a seam may differ from those of the parts, so what is handed over is counted
    done: list[str] = []
    pending = [passage.strip() for passage in reversed(passages_)]
    totals = count([prefix + passage for passage in pending]) if pending else []
    while pending:
        passage, size = pending.pop(), totals.pop()
        halves = _pieces(passage) if size > max_tokens else []
        if len(halves) < 2:
            done.append(prefix + passage)
            continue
        middle = len(halves) // 2
        rest = ["".join(halves[middle:]).strip(), "".join(halves[:middle]).strip()]
        rest = [part for part in rest if part]
        pending += rest
        totals += count([prefix + part for part in rest])
    return done


def _filled(
    parts: list[str], sizes: list[int], count: Counter, room: int, *, within: bool = False
) -> list[str]:
    """Put parts together as long as they fit; cut those that do not fit alone.

    `within` a section the first piece of a long part follows what stands before it.
    """
    passages_: list[str] = []
    current, used = "", 0
    for part, size in zip(parts, sizes, strict=True):
        if used + size <= room:
            current, used = current + part, used + size
            continue
        pieces = _pieces(part) if size > room else []
        if len(pieces) > 1:
            pieces = [current, *pieces] if current and within else pieces
            if current and not within:
                passages_.append(current)
            *full, current = _filled(pieces, count(pieces), count, room, within=True)
            passages_ += full
            used = count([current])[0]
            continue
        if current:
            passages_.append(current)
        current, used = part, size
    return [*passages_, current] if current else passages_


def _pieces(text: str) -> list[str]:
    """Cut a text into its sentences; one sentence into words; one word into halves."""
    for boundary in (_SENTENCE_END, _BLANKS):
        ends = [match.end() for match in boundary.finditer(text)]
        if ends and ends[-1] == len(text):
            ends.pop()
        if ends:
            pairs = zip([0, *ends], [*ends, len(text)], strict=True)
            return [text[start:end] for start, end in pairs]
    half = len(text) // 2
    return [text[:half], text[half:]] if half else [text]


def _text(section: Section) -> str:
    head = f"{'#' * section.level} {section.title}".strip()
    return "\n\n".join(part for part in (head, plain_text(section.body)) if part)


# A full stop with a blank after it, the full stops of other scripts without, or the end of a line
_SENTENCE_END = re.compile(
    r"(?:(?<![.!?…])[.!?…]++[\"'”’»)\]]*+(?=\s)|[。！？｡؟۔।॥။።]++[\"'”’」』）)]*+|\n)\s*+"
)
_BLANKS = re.compile(r"\s++")


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
    results: Iterable[pl.DataFrame] = map(make, batches)
    if jobs != 1 and len(batches) > 1:
        # The parser holds Python's lock, so threads gain nothing. joblib's processes are started
        # afresh (a fork would copy polars' locks), need no guarded main module, and stay for the
        # next call; few batches are on their way at a time, so memory stays flat
        from joblib import Parallel, cpu_count, delayed

        n = min(cpu_count() if jobs < 0 else jobs, len(batches))
        pool = Parallel(n_jobs=n, return_as="generator", batch_size=1, pre_dispatch="2*n_jobs")
        results = pool(delayed(make)(batch) for batch in batches)
    made = [pl.DataFrame(schema=schema)]
    for result in results:
        made.append(result)
        progress.step(result.height)
    progress.end()
    return pl.concat(made)


class Progress:
    """A line on the terminal, or below a notebook's cell, once the work takes seconds."""

    def __init__(self, total: int | None, what: str = "cards") -> None:
        self.total, self.what, self.done = total, what, 0
        self.shown, self.written = time.monotonic() + 1.5, False

    def step(self, n: int) -> None:
        """Count `n` more cards as done, and say so at most twice a second."""
        self.done += n
        now = time.monotonic()
        # in the kernel of a report nobody looks on, and a page must not tell a slow machine
        seen = "ipykernel" in sys.modules and os.environ.get("CARDLAB_PICTURES") != "0"
        if now - self.shown < 0.5 or not (sys.stderr.isatty() or seen):
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
