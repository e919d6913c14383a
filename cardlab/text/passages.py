"""Texts of at most so many tokens, for an embedding model."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from ..schema import CardlabError, at_least, printable
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
