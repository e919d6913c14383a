"""What the front matter declares: licences, languages, data sets."""

from __future__ import annotations

import numpy as np
import polars as pl

from ._columns import Plan
from ._draw import Ints, Ragged, draw, word_series, zipf_shares
from ._topics import Topic

# Weight of each declaration among the cards that declare a licence. Upper case, free text and
# two licences at once are what real cards hold.
LICENSES: dict[tuple[str, ...], float] = {
    ("apache-2.0",): 46,
    ("mit",): 21,
    ("other",): 7,
    ("cc-by-4.0",): 3.5,
    ("cc-by-nc-4.0",): 4,
    ("creativeml-openrail-m",): 2,
    ("llama2",): 1.5,
    ("llama3",): 1.5,
    ("openrail",): 1.5,
    ("gemma",): 1.5,
    ("gpl-3.0",): 1.2,
    ("bsd-3-clause",): 1,
    ("cc-by-sa-4.0",): 1.5,
    ("cc-by-nc-sa-4.0",): 1.2,
    ("afl-3.0",): 1,
    ("unknown",): 0.8,
    ("MIT",): 0.8,
    ("Apache License 2.0",): 0.3,
    ("Free for research; ask the authors before commercial use",): 0.3,
    ("apache-2.0", "mit"): 0.5,
    ("llama2", "other"): 0.4,
}
_LICENSE_SHARE = 0.775  # of the cards with front matter, so that 3 of 10 cards declare none

_LANGUAGE_CODES = (
    "en zh fr de es ru ja it pt ko ar hi nl pl tr sv vi fi id no fa da uk cs ro hu el he th bg "
    "ca sk hr sl et lv lt sr bn ta te ur ms sw eu gl is ga mk sq ka hy az kk uz mn ne si km lo "
    "my am so ha yo ig zu xh af cy mt lb fo eo la sa mr gu kn ml pa or as tg ky tt ba cv sah "
    "ceb jv su ht mg ny sn st tn ts wo ln lg rw qu gn ay br oc sc"
)
_LANGUAGES = tuple(_LANGUAGE_CODES.split())
# Values of `language` that are not the code that is meant.
_RAW_LANGUAGES = ("multilingual", "eng", "jp", "EN", "English", "zh-CN", "code")
LANGUAGE_VALUES = _LANGUAGES + _RAW_LANGUAGES
_EN = 0
_LANGUAGE_SHARE = 0.45


def licenses(plan: Plan, topics: tuple[Topic, ...], rng: np.random.Generator) -> Ragged:
    """Draw codes into `license_values()`: topic-dependent; 3 of 10 cards have none."""
    values = license_values()
    declarations = list(LICENSES)
    width = max(map(len, declarations))
    codes = np.array([[values.index(v) for v in d] + [-1] * (width - len(d)) for d in declarations])
    weights = np.array(list(LICENSES.values()))
    chosen = np.zeros(plan.n_cards, dtype=np.int64)
    for number, topic in enumerate(topics):
        liking = np.array([topic.licenses.get(d[0], 1.0) for d in declarations])
        members = np.flatnonzero(plan.topic == number)
        shares = weights * liking / (weights @ liking)
        chosen[members] = draw(rng, shares, len(members))
    declared = plan.declares & (rng.random(plan.n_cards) < _LICENSE_SHARE)
    return Ragged.from_columns(codes[chosen]).where(declared)


def license_values() -> list[str]:
    return list(dict.fromkeys(value for declaration in LICENSES for value in declaration))


def languages(plan: Plan, topics: tuple[Topic, ...], rng: np.random.Generator) -> Ragged:
    """Draw codes into `LANGUAGE_VALUES`: about 45 % of the cards, English on most of them."""
    n_cards = plan.n_cards
    lean = np.array([topic.language_share for topic in topics])[plan.topic]
    # Scaled so that the topics differ and the whole has the share of the Hub.
    mean = float((lean * plan.declares).mean()) if n_cards else 1.0
    chance = np.minimum(0.97, lean * _LANGUAGE_SHARE / max(mean, 1e-9))
    declared = plan.declares & (rng.random(n_cards) < chance)
    many = declared & (rng.random(n_cards) < 0.009 + 0.02 * (lean > 0.8))
    n_values = np.where(rng.random(n_cards) < 0.82, 1, 2 + rng.geometric(0.5, n_cards).clip(max=6))
    english = rng.random(n_cards) < 0.7
    others = np.where(declared & ~many, n_values - english, 0)
    # One skewed draw for all the languages that are not English, dirt included but rare.
    shares = zipf_shares(len(_LANGUAGES) - 1, exponent=1.1, shift=2) * 0.94
    dirt = np.full(len(_RAW_LANGUAGES), 0.06 / len(_RAW_LANGUAGES))
    card = np.repeat(np.arange(n_cards), others)
    value = 1 + draw(rng, np.concatenate([shares, dirt]), len(card))
    has_english = np.flatnonzero((declared & ~many & english) | many)
    # A card of many: each language with the card's own chance, 10 to 100 of them.
    crowd = np.flatnonzero(many)
    chosen = rng.random((len(crowd), len(_LANGUAGES))) < rng.uniform(0.12, 0.8, (len(crowd), 1))
    row, column = np.nonzero(chosen)
    return Ragged.from_pairs(
        np.concatenate([has_english, card, crowd[row]]),
        np.concatenate([np.full(len(has_english), _EN), value, column]),
        n_cards,
    )


def dataset_names(n_cards: int, topics: tuple[Topic, ...]) -> tuple[pl.Series, int]:
    """Name data sets, topic by topic, and say how many a topic has; grows with the corpus."""
    a_topic = max(4, int(0.5 * n_cards**0.8 / len(topics)))
    stems = [topic.datasets[i % len(topic.datasets)] for topic in topics for i in range(a_topic)]
    # The first few of a topic are its well-known ones, the rest are somebody's own.
    ending = "-" + word_series(np.arange(len(stems)), n_syllables=3)
    known = np.arange(len(stems)) % a_topic
    first = known < np.repeat([len(topic.datasets) for topic in topics], a_topic)
    return pl.Series(stems) + pl.select(
        pl.when(pl.Series(first)).then(pl.lit("")).otherwise(ending)
    ).to_series(), a_topic


def datasets(plan: Plan, a_topic: int, rng: np.random.Generator) -> Ragged:
    """Draw one to three data sets of the topic for three cards in ten."""
    counts = _some(plan, rng, share=0.34)
    card = np.repeat(np.arange(plan.n_cards), counts)
    rank = draw(rng, zipf_shares(a_topic, exponent=0.9, shift=3), len(card))
    return Ragged.from_pairs(card, plan.topic[card] * a_topic + rank, plan.n_cards)


def arxiv_ids(n_cards: int, n_topics: int) -> tuple[pl.Series, int]:
    """Make paper numbers, topic by topic, and say how many a topic has."""
    a_topic = max(6, int(0.2 * n_cards**0.75 / n_topics))
    number = np.arange(a_topic * n_topics, dtype=np.int64)
    year = pl.Series(15 + number % 10).cast(pl.String)
    month = pl.Series(1 + number * 7 % 12).cast(pl.String).str.zfill(2)
    serial = pl.Series(number * 7_919 % 99_991).cast(pl.String).str.zfill(5)
    return year + month + "." + serial, a_topic


def arxiv(plan: Plan, a_topic: int, rng: np.random.Generator) -> Ragged:
    """Draw one to three papers of the topic for a sixth of the cards (linked in the text too)."""
    counts = _some(plan, rng, share=0.18)
    card = np.repeat(np.arange(plan.n_cards), counts)
    rank = draw(rng, zipf_shares(a_topic, exponent=0.9, shift=1), len(card))
    return Ragged.from_pairs(card, plan.topic[card] * a_topic + rank, plan.n_cards)


def _some(plan: Plan, rng: np.random.Generator, *, share: float) -> Ints:
    """Draw 1, 2 or 3 for a share of the cards with front matter, else 0."""
    has = plan.declares & (rng.random(plan.n_cards) < share)
    return np.where(has, 1 + draw(rng, np.array([0.75, 0.18, 0.07]), plan.n_cards), 0)
