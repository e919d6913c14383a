"""Cards that answer a query, by its words or by its meaning."""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice, zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from ..frames import in_batches, narrow
from .embed import Encoder, Model, encoder, spoken
from .lsa import free_tags, lsa, strings
from .neighbors import Directions
from .vectors import Floats, ids_of, matrix, same_size, usable, whole_number

# ---- The part of a card that answers a query, in a line.

#: Where words of the query stand in a snippet.
HITS = pl.List(pl.Struct({"start": pl.Int32, "end": pl.Int32}))

#: Letters of scripts that put no blanks between words.
SPACED = re.compile("[぀-ヿ㐀-鿿\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")

#: A word, and what stands between words.
_WORD, _BETWEEN = r"[\p{L}\p{M}\p{N}]+", r"[^\p{L}\p{M}\p{N}]+"

_WIDTH = 240
#: Characters of a card among which the best part is sought, and hits that are looked at.
_MAX_TEXT = 2_000_000
_MAX_HITS = 10_000


def query_words(query: str) -> list[str]:
    """Give the distinct words of a query in alphabetical order, as the words of cards are read."""
    lower = pl.select(pl.lit(query).str.to_lowercase().str.extract_all(_WORD)).item()
    return sorted(set(lower))


def snippet(text: str, words: list[str]) -> tuple[str, list[dict[str, int]]]:
    """Cut the part of a text with the most different words of a query, and say where they are."""
    text = text[:_MAX_TEXT]
    found = _places(text, words)
    start = _window(found)
    if start > 0:
        # Begin at a word, a little before the first hit.
        blank = text.find(" ", max(start - 40, 0), start)
        start = blank + 1 if blank >= 0 else start
    # White space shrinks: more is cut than can be shown, but not all of a long line.
    part = schema.printable(" ".join(text[start : start + 4 * _WIDTH].split()))
    ahead, room = "… " if start > 0 else "", _WIDTH
    shown = ahead + schema.shorten(part, room - len(ahead))
    return shown, [{"start": a, "end": b} for a, b, _ in _places(shown, words)]


def _places(text: str, words: list[str]) -> list[tuple[int, int, str]]:
    """Find the words of the query in a text, in their order."""
    if not words:
        return []
    # The longest first, so that of two words with one beginning the whole one is found.
    ordered = sorted(words, key=lambda word: (-len(word), word))
    whole = [re.escape(word) for word in ordered if not SPACED.search(word)]
    parts = [re.escape(word) for word in ordered if SPACED.search(word)]
    if whole:
        parts.append(rf"(?<![^\W_])(?:{'|'.join(whole)})(?![^\W_])")
    found = islice(re.finditer("|".join(parts), text, re.IGNORECASE), _MAX_HITS)
    return [(match.start(), match.end(), match.group().lower()) for match in found]


def _window(found: list[tuple[int, int, str]]) -> int:
    """Give where the part begins that has the most different words, then the most hits."""
    starts = [start for start, _, _ in found]

    def told(i: int) -> tuple[int, int]:
        inside = found[i : bisect_left(starts, starts[i] + _WIDTH - 60)]
        return len({word for _, _, word in inside}), len(inside)

    return starts[max(range(len(found)), key=told)] if found else 0


# ---- Cards that answer a query, by its words or by its meaning.

#: Characters of a query at most: a question, not a card.
_MAX_QUERY = 1_000

#: BM25: how soon repetition stops to count, and how much a long card pays for its length.
_K1, _B = 1.2, 0.75

#: How often a word counts that stands in what names a card, or in its text.
_WEIGHTS = {"named": 3, "text": 1}

#: Ranks of words and of vectors together: cards of each ranking, how far the first stand out, and
#: what a rank by vectors weighs; the vector asked for is that of so many of the best by words.
_RANKED, _STAND_OUT, _WEIGHT, _BEST = 200, 10, 0.15, 3

#: Rows whose words are counted at a time, of texts and of names alone.
_BATCH, _BATCH_OF_NAMES = 2_000, 16_000

_RESULT: dict[str, Any] = {"id": pl.String, "score": pl.Float64, "snippet": pl.String, "hits": HITS}


def search(
    cards: Any,
    query: str,
    *,
    top: int = 20,
    model: str | os.PathLike[str] | Model | None = None,
    x: npt.ArrayLike | None = None,
    random_state: int = 0,
) -> pl.DataFrame:
    """Find the cards that answer a query best.

    Parameters
    ----------
    cards : frame
        Cards with ``id``, and ``text``, ``tags`` or both. Read in batches; no text is held but
        that of the cards found.
    query : str
        Words, at most 1,000 characters. Everything but letters and digits separates words; there
        are no operators.
    top : int, default 20
        Cards at most.
    model : optional
        Without it, the words of the query are looked for: whole words, upper and lower case
        alike, in id, text, task, library and tags (but those with a prefix other than a task's, or
        that the Hub added); of scripts without blanks between words (Chinese, Thai ...) anywhere.
        With a model, as :func:`embed` takes it, only cards whose vectors are nearest to the
        query's: ``"lsa"`` is computed for this call; any other model needs `x`.
    x : array-like of numbers, shape (n_cards, d), optional
        With a model, the vectors that ``embed(cards, model=model)`` gave. Without one, any vectors
        of the cards: those like the best cards by words are found too, and both rankings count.
    random_state : int, default 0
        Seed of ``"lsa"``.

    Returns
    -------
    pl.DataFrame
        The best first, ties by id: ``id`` (str; null where the card has none); ``score`` (float:
        above 0, BM25, without an upper end; with a model the cosine, -1 to 1; with vectors alone
        what the ranks sum to, above 0, below 0.11); ``snippet`` (str,
        at most 240 characters of the text where most of the query's words stand, or with a model
        of the passage nearest to the query; white space is one blank, what a terminal could act
        on is U+FFFD, **not** escaped for HTML; ``""`` without text); ``hits`` (list of structs
        ``start``, ``end``: where words of the query stand in the snippet, in characters). No rows
        where no card has a word of the query.

    Raises
    ------
    MissingColumn
        The cards have no ``id``, or neither ``text`` nor ``tags``.
    CardlabError
        A query that is empty, too long or without letters and digits; a model without `x`; `x`
        of other sizes.

    Notes
    -----
    Robertson and Zaragoza (2009), The Probabilistic Relevance Framework: BM25 and Beyond; k1 is
    1.2, b 0.75, the weight of a word log(1 + (N - n + 0.5) / (n + 0.5)); a word of id, tags, task
    or library counts three times. `x` is compared with the mean of the vectors of the three best
    cards by words, the n-th of weight 1 / sqrt(n) (Rocchio 1971); a card's score is then 1 / (10 +
    its rank by words) + 0.15 / (10 + its rank by vectors), among 200 each (reciprocal rank
    fusion, Cormack and others 2009). Queries of a few words make poor vectors of their own.

    Examples
    --------
    >>> cl.search(cl.make_cards(200), "speech recognition", top=1)["id", "score"].row(0)
    ('demebro/wav2vec2-bremidere-small', 9.767...)
    """
    whole_number(top, 1, name="top")
    if not isinstance(query, str) or not query.strip():
        raise schema.CardlabError("query must be a string of words, such as 'speech to text'.")
    if len(query) > _MAX_QUERY:
        raise schema.CardlabError(
            f"query must have at most {_MAX_QUERY:,} characters, not {len(query):,}. To find cards "
            "like a whole text, use cardlab.neighbors."
        )
    words = query_words(query)
    have = schema.require(cards, "id")
    if "text" not in have and "tags" not in have:
        schema.require(cards, "text", "tags")
    if model is None:
        if not words:
            raise schema.CardlabError(
                f"the query {schema.shorten(schema.printable(query), 60)!r} has no letter or digit."
            )
        found = _by_words(cards, words)
        if x is not None:
            values = matrix(x)
            same_size(len(values), schema.count(cards), name="x", of="cards")
            found = _by_both(found, values, ids_of(cards))
        return _result(cards, found, lambda text: snippet(text, words), top)
    split, values = _model(cards, model, x, random_state)
    asked = matrix(split.model([query]), name="the result of the model")
    if asked.shape != (1, values.shape[1]):
        raise schema.CardlabError(
            f"the model gives vectors of {asked.shape[-1]} numbers and x has {values.shape[1]}: "
            "x must be what embed(cards, model=...) gave with this very model."
        )
    if not usable(asked)[0]:
        return pl.DataFrame(schema=_RESULT)  # The cards have none of these words.
    near = _by_meaning(values, asked)
    if not near.height:
        raise schema.NoFigure(f"none of the {len(values):,} vectors is usable.")
    near = near.with_columns(id=ids_of(cards).gather(near["row"]))

    def part(text: str) -> Any:
        return snippet(_nearest_passage(text, split, asked), words)

    return _result(cards, near, part, top)


def _by_words(cards: Any, words: list[str]) -> pl.DataFrame:
    """Score by BM25 the cards that have a word: ``id``, ``row`` and ``score``."""
    names = ("id", "text", "tags", "pipeline_tag", "library_name")
    frame = narrow(cards, [name for name in names if name in schema.column_names(cards)])
    empty = frame.head(0).collect()
    name, have = pl.col("id").cast(pl.String), empty.columns
    tags = strings(empty, "tags", schema.STRINGS)
    tags = free_tags(tags.list.eval(pl.element().str.replace(r"^task_\w+:", "")), but=["hub"])
    others = [strings(empty, name, pl.String) for name in names[3:] if name in have]
    named = [name, *([tags.list.join(" ")] if "tags" in have else []), *others]
    parts = {"named": pl.concat_str(*named, separator=" ", ignore_nulls=True)}
    if "text" in have:
        parts["text"] = strings(empty, "text", pl.String)
    size = _BATCH if "text" in have else _BATCH_OF_NAMES
    batches = chain([empty], in_batches(frame, size))

    def counted(batch: pl.DataFrame) -> pl.DataFrame:
        return _counted(batch.select(name, **parts), words)

    with ThreadPoolExecutor(2) as two:  # two at a time, of which each is small
        pairs = zip_longest(batches, batches, fillvalue=empty)
        table = pl.concat(part for pair in pairs for part in two.map(counted, pair))
    length = pl.when(pl.col("0") > 0).then("0").otherwise(2)
    damp = _K1 * (1 - _B + _B * length / length.mean())
    scores = []
    for i in range(1, len(words) + 1):
        often = pl.col(str(i))
        n_with = (often > 0).sum()
        weight = ((pl.len() - n_with + 0.5) / (n_with + 0.5)).log1p()
        scores.append(weight * often * (_K1 + 1) / (often + damp))
    table = table.select("id", row=pl.int_range(pl.len()), score=pl.sum_horizontal(scores))
    return table.filter(pl.col("score") > 0)


def _counted(batch: pl.DataFrame, words: list[str]) -> pl.DataFrame:
    """Count all words of ``named`` and ``text`` as ``0``, and those of the query as ``1`` on.

    Apart, so that a name is not written as often as it counts; only what has the letters of a word
    at all is parted into words. Between these stand two blanks: each has its own on both sides,
    and is counted as it is.
    """
    weights = {part: weight for part, weight in _WEIGHTS.items() if part in batch.columns}
    parts = pl.col(*weights)
    lower = batch.with_columns((" " + parts + " ").str.to_lowercase().name.keep())
    apart = pl.when(parts.str.contains_any(words)).then(parts).str.replace_all(_BETWEEN, "  ")
    said = lower.with_columns(apart.name.suffix(" said"))
    counts = [[pl.col(part).str.count_matches(_WORD) for part in weights]]
    for word in words:
        whole = word if SPACED.search(word) else f" {word} "
        found = [pl.col(f"{part} said").str.count_matches(whole, literal=True) for part in weights]
        counts.append(found)
    often = ((n * weight for n, weight in zip(ns, weights.values(), strict=True)) for ns in counts)
    return said.select("id", **{str(i): pl.sum_horizontal(n) for i, n in enumerate(often)})


def _by_both(found: pl.DataFrame, values: Floats, ids: pl.Series) -> pl.DataFrame:
    """Join the ranks by words with those by likeness to the best cards of them."""
    ranks = _first(found, _RANKED)
    best = ranks["row"].head(_BEST).to_numpy()
    cards = Directions.of(values)
    kept = np.isfinite(cards.length[best])
    if not kept.any():
        return found
    weights = np.arange(1, len(best) + 1)[kept] ** -0.5
    near = _by_meaning(values, (weights @ cards.unit(best[kept]))[None].astype(np.float32))
    near = _first(near.with_columns(id=ids.gather(near["row"])), _RANKED)
    both = pl.concat(
        frame.select("id", "row", score=weight / (_STAND_OUT + 1 + pl.int_range(pl.len())))
        for frame, weight in ((ranks, 1.0), (near.cast({"row": ranks.schema["row"]}), _WEIGHT))
    )
    return both.group_by("row").agg(pl.first("id"), pl.sum("score"))


def _first(found: pl.DataFrame, n: int) -> pl.DataFrame:
    """Give the cards that are found best, ties by id."""
    return found.sort("score", "id", "row", descending=[True, False, False]).head(n)


def _model(
    cards: Any, model: str | os.PathLike[str] | Model, x: npt.ArrayLike | None, random_state: int
) -> tuple[Encoder, Floats]:
    """Give what encodes a query, and the vectors of the cards that it gave."""
    if isinstance(model, str) and model == "lsa":
        if x is not None:
            raise schema.CardlabError(
                "with model='lsa' the vectors are computed here, since the query must be laid "
                "among them: leave out x."
            )
        values, fold_in = lsa(spoken(cards), 128, random_state)
        return Encoder(fold_in, "lsa", 200), values
    if x is None:
        raise schema.CardlabError(
            "a model needs the vectors it gave the cards: x = cardlab.embed(cards, model=...), "
            "then search(cards, query, model=..., x=x)."
        )
    values = matrix(x)
    same_size(len(values), schema.count(cards), name="x", of="cards")
    return encoder(model), values


def _by_meaning(values: Floats, asked: Floats) -> pl.DataFrame:
    """Give the usable rows, and the cosine of each with the vector asked for, in float64."""
    cards = Directions.of(values)
    alike = cards.exact(cards.rows, np.zeros_like(cards.rows), other=Directions.of(asked))
    return pl.DataFrame({"row": cards.rows, "score": alike})


def _nearest_passage(text: str, split: Encoder, asked: Floats) -> str:
    """Give the passage of a text whose vector is nearest to the one asked for."""
    passages = split.passages(text[:20_000])[:64]
    if not passages:
        return ""
    near = _by_meaning(matrix(split.model(passages)), asked)
    best = near.sort("score", descending=True, maintain_order=True)["row"]
    return passages[best[0] if near.height else 0]


def _result(cards: Any, found: pl.DataFrame, part: Callable[[str], Any], top: int) -> pl.DataFrame:
    """Keep the best cards, ties by id, read them, and cut the snippet from each."""
    best = _first(found.with_columns(pl.col("score").round(12)), top)
    best = best.cast({"row": pl.get_index_type()})
    names = [name for name in ("id", "text") if name in schema.column_names(cards)]
    frame = narrow(cards, names).with_row_index("row")
    wanted = frame.filter(pl.col("row").is_in(best["row"].sort().implode()))
    texts = schema.collect(wanted.drop("id"))
    rows = best.join(texts, on="row", how="left", maintain_order="left").to_dicts()
    made = [(row["id"], row["score"], *part(row.get("text") or "")) for row in rows]
    return pl.DataFrame(made, schema=_RESULT, orient="row")
