"""A synthetic corpus of model cards of any size, with planted structure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from numbers import Integral

import numpy as np
import polars as pl

from ..schema import CardlabError
from . import _columns
from ._prose import add_passages, n_hostile, texts, topics, with_hostile

# One stream of random numbers for each part: leaving out a part changes no other.
_STREAMS = (
    "plan", "sha", "dates", "names", "popularity", "kinds", "licenses", "languages", "datasets",
    "arxiv", "free", "lineage", "tags", "metadata", "text", "embeddings",
)  # fmt: skip

_ORDER = (
    "sha", "last_modified", "library_name", "text", "metadata", "pipeline_tag", "id", "tags",
    "created_at", "arxiv", "languages", "tags_str", "text_str", "text_lists", "processed_texts",
    "tokens_length", "input_texts", "embeddings",
    "author", "downloads", "likes", "license", "base_model", "datasets", "topic", "family",
)  # fmt: skip


def make_cards(
    n_cards: int = 2000,
    *,
    n_topics: int = 12,
    embedding_dim: int = 64,
    text: bool = True,
    random_state: int = 0,
) -> pl.DataFrame:
    """Make a synthetic corpus of model cards with planted structure.

    The first 18 columns are those of the data set that this project began with, then come the
    other canonical columns and what was planted. All the sentences are invented by a small
    grammar. Equal arguments give equal frames.

    Parameters
    ----------
    n_cards : int, default 2000
        Number of cards, 0 or more.
    n_topics : int, default 12
        Number of planted topics, 1 or more. Those beyond twelve are made of invented words.
    embedding_dim : int, default 64
        Length of the vectors; 0 leaves out `embeddings`.
    text : bool, default True
        False leaves out `text` and the six columns made of it, and makes a million cards in
        seconds. The other columns are the same.
    random_state : int, default 0
        Seed, 0 or more.

    Returns
    -------
    pl.DataFrame
        - `sha` String, 40 hexadecimal digits
        - `created_at`, `last_modified` Datetime(us, UTC), the second never before the first
        - `library_name`, `pipeline_tag` String, null on four of ten cards and on a third
        - `text` String, the body without front matter; blank on 1 %
        - `metadata` String, JSON of the front matter; `{}` on a tenth; null where it could not
          be read
        - `id` String, unique; `author/name`, or `name` on 2 %
        - `tags` List[String] in the Hub's order; empty on 1 %
        - `arxiv`, `languages` List[String], raw values
        - `tags_str`, `text_str` String; `text_lists`, `processed_texts`, `input_texts`
          List[String]; `tokens_length` List[Int64] (a token is a word or a punctuation mark)
        - `embeddings` Array[Float32, embedding_dim], of unit length
        - `author` String, null for an id without one; `downloads`, `likes` Int64
        - `license`, `base_model`, `datasets` List[String]
        - `topic` Int32, `family` Int32 (null: a text of its own): what was planted

        Null and empty differ: where `metadata` is null, so are `languages`, `license`,
        `base_model` and `datasets`; an empty list says that nothing was declared.

    Notes
    -----
    Planted, for analyses to find:

    - Topics of Zipf-like shares (none below 2 % with 12). The cards of a topic share a task,
      mostly a library, model types, words, a taste in licences, ten free tags that occur together
      (a community) and a cluster of embeddings: a centre of unit length and noise of a third of
      that; 2 % of the cards lie between two.
    - `PLANTED_PAIRS`: pairs of free tags that are nearly always together, each on about 1.2 % of
      the cards (on eight or fewer in a small corpus): the highest NPMI of all the free tags.
    - Background tags: Zipfian over a vocabulary that grows with the corpus, independent of topic
      and of each other among the cards with front matter. One topic tag in fifty is spelt with
      `_` or a capital.
    - Families: 15 % of the cards share one of a number of texts, written as if by a training
      script, and nearly one vector; a family has two cards or more and lies in one topic.
    - Growth: 6 % of the cards stand at the Hub's `DATE_FLOOR`; from there to `LAST_DATE` the
      number of cards doubles in `DOUBLING_WEEKS` weeks. Even topics rise, the others fall.
    - Lineage: a quarter of the cards name an older card of their topic as `base_model`.
    - Licences: undeclared on three of ten cards; upper case, free text, two at once occur.
      Languages: declared on 45 %, mostly `en`; some cards have dozens, some raw values are not
      codes; Norwegian is `false` in `metadata` now and then, as YAML 1.1 reads `no`.
    - Placeholders on a fifth of the cards and on the families; downloads with a Pareto tail and
      many zeros. Apart from blank ones, no two texts outside a family are equal.
    - Hostile strings (script, terminal escapes, tags of 300 letters, a card of 400 tags ...) in
      the last cards, all of the author `mallory`: one in fifty cards, at most 14.

    ``cardlab sample --cards 1000000 FOLDER`` writes the same cards to shards, a block at a time.

    Raises
    ------
    TypeError, ValueError
        For an argument of the wrong kind or out of range.

    Examples
    --------
    >>> cards = cl.make_cards(200)
    >>> cards.shape, cards["id"].n_unique()
    ((200, 26), 200)
    """
    return pl.concat(
        card_blocks(
            n_cards,
            n_topics=n_topics,
            embedding_dim=embedding_dim,
            text=text,
            random_state=random_state,
        )
    )


def card_blocks(
    n_cards: int,
    *,
    n_topics: int = 12,
    embedding_dim: int = 64,
    text: bool = True,
    random_state: int = 0,
) -> Iterator[pl.DataFrame]:
    """Make the cards of :func:`make_cards` in blocks: texts and vectors of one at a time."""
    n_cards = _checked("n_cards", n_cards, 0)
    n_topics = _checked("n_topics", n_topics, 1)
    embedding_dim = _checked("embedding_dim", embedding_dim, 0)
    if not isinstance(text, bool | np.bool_):
        raise TypeError(f"text must be True or False, not {text!r}")
    generator = np.random.default_rng(_checked("random_state", random_state, 0))
    rngs = dict(zip(_STREAMS, generator.spawn(len(_STREAMS)), strict=True))

    n_regular = n_cards - n_hostile(n_cards)
    plan = _columns.make_plan(n_cards, topics(n_topics), n_regular, rngs["plan"])
    regular = _without_text(plan, rngs)
    whole = with_hostile(regular)
    bodies = texts(regular, plan.topics, rngs["text"])
    vectors = _columns.draw_embeddings(plan, embedding_dim, rngs["embeddings"])
    for start in range(0, max(n_cards, 1), _columns.BLOCK):  # no card is a block too
        cards = whole[start : start + _columns.BLOCK]
        if text:
            body = pl.Series("text", [*islice(bodies, cards.height)], dtype=pl.String)
            cards = add_passages(cards.with_columns(body))
        if embedding_dim:
            cards = cards.with_columns(next(vectors))
        yield cards.select(name for name in _ORDER if name in cards.columns)


def _checked(name: str, value: int, least: int) -> int:
    """Return the argument as an int; True is none here, though Python takes it for 1."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an int of {least} or more, not {value!r}")
    if value < least:
        raise CardlabError(f"{name} must be {least} or more, not {value}")
    return int(value)


def _without_text(plan: _columns.Plan, rngs: dict[str, np.random.Generator]) -> pl.DataFrame:
    """All the columns that need neither a sentence nor a vector."""
    base = pl.concat(
        [
            _columns.shas(plan.n_cards, rngs["sha"]).to_frame(),
            _columns.dates(plan, rngs["dates"]),
            _columns.draw_names(plan, rngs["names"]),
            _columns.popularity(plan.n_cards, rngs["popularity"]),
            _columns.draw_kinds(plan, rngs["kinds"]),
        ],
        how="horizontal",
    )
    declared = {
        "languages": _columns.draw_languages(plan, rngs["languages"]),
        "datasets": _columns.datasets(plan, rngs["datasets"]),
        "arxiv": _columns.arxiv(plan, rngs["arxiv"]),
        "license": _columns.draw_licenses(plan, rngs["licenses"]),
        "free": _columns.free_tags(plan, rngs["free"]),
    }
    parents, line = _columns.lineage(plan, base["id"], base["created_at"], rngs["lineage"])
    base = base.with_columns(
        _columns.hub_tags(plan, base, declared, line, rngs["tags"]),
        parents.alias("base_model"),
        *(values.alias(name) for name, values in declared.items()),
        topic=pl.Series(plan.topic, dtype=pl.Int32),
        family=pl.Series(plan.family, dtype=pl.Int32),
    )
    readable = ~pl.Series(plan.unreadable)
    unknown = ("languages", "license", "base_model", "datasets")
    return base.with_columns(
        _columns.metadata(base, plan, rngs["metadata"]),
        pl.when(pl.col("family") >= 0).then("family"),
        *(pl.when(readable).then(name) for name in unknown),
    ).drop("free")
