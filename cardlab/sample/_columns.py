"""The plan of the synthetic corpus, and all its columns that are not text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pyarrow as pa

from ._prose import (
    WORDS,
    Bools,
    Ints,
    Topic,
    draw,
    joined,
    lists,
    lists_of_pairs,
    lists_of_rows,
    word_series,
    zipf_shares,
)

# The Hub began to record creation dates here; every older model has this instant.
DATE_FLOOR = datetime(2022, 3, 2, 23, 29, 4, tzinfo=UTC)
LAST_DATE = datetime(2024, 10, 1, tzinfo=UTC)
_FLOOR_SHARE = 0.06
_SPAN_SECONDS = (LAST_DATE - DATE_FLOOR).total_seconds()
_GROWTH_RATE = -np.log(_FLOOR_SHARE) / _SPAN_SECONDS
# The number of cards, those at the floor included, doubles in this time from floor to end.
DOUBLING_WEEKS = float(np.log(2) / _GROWTH_RATE / (7 * 86_400))

_NO_TAGS_SHARE = 0.01
_NO_FRONT_MATTER_SHARE = 0.08
_UNREADABLE_SHARE = 0.002
_FAMILY_SHARE = 0.15
_MEAN_FAMILY = 12
_MAX_FAMILIES_A_TOPIC = 40
_LICENSE_SHARE = 0.775  # of the cards with front matter, so that 3 of 10 cards declare none
_LANGUAGE_SHARE = 0.45
# Length of the noise against the unit length of a centre: close cards of one topic have a cosine
# of about 0.9, cards of two topics about 0.
_NOISE = 0.35
_COPY_NOISE = 0.02
_BETWEEN_SHARE = 0.02
BLOCK = 50_000

PLANTED_PAIRS: list[tuple[str, str]] = [(a, b) for a, b in WORDS["planted_pairs"]]
_PAIR_SHARE = 0.012
_PAIR_BROKEN = 0.015
_TRAINER_TAG = "generated_from_trainer"
_MEAN_TOPIC_TAGS = 1.5
_MEAN_BACKGROUND_TAGS = 0.7
_SPELLING_SHARE = 0.02
# Chance of each on a card; of the Hub's tags, only the last stands on every card with tags.
_FRAMEWORKS = {"pytorch": 0.4, "tf": 0.05, "jax": 0.03, "tensorboard": 0.13,
               "safetensors": 0.6, "gguf": 0.1, "onnx": 0.03}  # fmt: skip
_HUB_TAGS = {"autotrain_compatible": 0.2, "endpoints_compatible": 0.5, "region:us": 1.1}
_LINEAGE = ("finetune", "quantized", "adapter", "merge")


@dataclass(frozen=True)
class Plan:
    """What is planted in each card, and what its front matter is like."""

    topics: tuple[Topic, ...]
    n_regular: int  # rows from here on are replaced by hostile ones
    topic: Ints
    family: Ints  # -1: a text of its own
    declares: Bools  # has front matter that could be read
    unreadable: Bools  # has front matter that could not
    tagless: Bools

    @property
    def n_cards(self) -> int:
        return len(self.topic)

    def model_types(self) -> tuple[list[str], int]:
        """List the model types topic by topic, and say how many each takes: the most any has."""
        kinds = [topic.model_types for topic in self.topics]
        width = max(map(len, kinds))
        return [of[i % len(of)] for of in kinds for i in range(width)], width


def make_plan(
    n_cards: int, topics: tuple[Topic, ...], n_regular: int, rng: np.random.Generator
) -> Plan:
    """Draw what each card is; rows from `n_regular` on stay bare, as hostile ones replace them."""
    n_topics = len(topics)
    floor = min(0.02, 0.5 / n_topics)  # of Zipf-like shares: half an even share of many topics
    topic = draw(rng, floor + (1 - n_topics * floor) * zipf_shares(n_topics), n_cards)
    state = rng.random(n_cards)
    unreadable = state < _UNREADABLE_SHARE
    if n_cards >= 50 and not unreadable.any():
        unreadable[int(state[:n_regular].argmin())] = True
    tagless = (state >= 1 - _NO_TAGS_SHARE) & ~unreadable
    bare = (state >= 1 - _NO_TAGS_SHARE - _NO_FRONT_MATTER_SHARE) | unreadable
    bare[n_regular:] = True
    family = _families(topic, n_topics, n_regular, rng)
    return Plan(topics, n_regular, topic, family, ~bare, unreadable, tagless)


def _families(topic: Ints, n_topics: int, n_regular: int, rng: np.random.Generator) -> Ints:
    """Give 15 % of the cards a family: of one topic, and with two members at least."""
    n_cards = len(topic)
    wanted = int(n_cards * _FAMILY_SHARE / (_MEAN_FAMILY * n_topics))
    a_topic = min(max(1, wanted), _MAX_FAMILIES_A_TOPIC)
    member = rng.random(n_cards) < _FAMILY_SHARE
    member[n_regular:] = False
    number = topic * a_topic + draw(rng, zipf_shares(a_topic, exponent=0.7), n_cards)
    size = np.bincount(number[member], minlength=n_topics * a_topic)
    return np.where(member & (size[number] >= 2), number, -1)


# --- who, when, of what kind, how popular ----------------------------------------------------


def shas(n_cards: int, rng: np.random.Generator) -> pl.Series:
    """Draw 40 hexadecimal digits a card."""
    drawn = [None, pa.py_buffer(rng.bytes(20 * n_cards))]
    digests = pa.FixedSizeBinaryArray.from_buffers(pa.binary(20), n_cards, drawn)
    return pl.Series("sha", digests.cast(pa.binary())).bin.encode("hex")


def dates(plan: Plan, rng: np.random.Generator) -> pl.DataFrame:
    """Draw `created_at` (exponential growth from the floor on) and `last_modified`, in seconds."""
    n_cards = plan.n_cards
    u = rng.random(n_cards)
    age = np.log1p(u * np.expm1(_GROWTH_RATE * _SPAN_SECONDS)) / _GROWTH_RATE
    age[rng.random(n_cards) < _FLOOR_SHARE] = 0
    # Which card gets which date leans with the topic: even topics rise, odd ones fall. Only the
    # order is drawn here, so the growth of the whole stays what it is.
    lean = np.where(plan.topic % 2 == 0, 0.35, -0.35) + rng.normal(size=n_cards)
    created = np.empty(n_cards, dtype=np.int64)
    created[np.argsort(lean)] = np.sort(age).astype(np.int64)
    untouched = rng.random(n_cards) < 0.3
    later = np.where(untouched, 0, rng.exponential(60 * 86_400, n_cards)).astype(np.int64)
    modified = np.minimum(created + later, int(_SPAN_SECONDS))
    seconds = pl.DataFrame({"created_at": created, "last_modified": modified})
    start = int(DATE_FLOOR.timestamp())
    return seconds.select(((pl.all() + start) * 1_000_000).cast(pl.Datetime("us", "UTC")))


def draw_names(plan: Plan, rng: np.random.Generator) -> pl.DataFrame:
    """Make `id` (unique) and `author`: few authors with many cards, many with one.

    Two in a hundred ids have no organisation; their `author` is null.
    """
    n_cards = plan.n_cards
    n_authors = max(3, int(0.6 * n_cards**0.93))
    number = draw(rng, zipf_shares(n_authors, exponent=0.95, shift=5), n_cards)
    kind = pl.Series(["", "ai-", "team-", "lab-"]).gather(number % 4)
    author = kind + word_series(number, n_syllables=3 if n_cards < 200_000 else 4)
    model_types, width = plan.model_types()
    stem = pl.Series(model_types).gather(plan.topic * width + rng.integers(width, size=n_cards))
    endings = pl.Series(["", "-v2", "-7b", "-small", "-finetuned", "-base", "-gguf", "-en"])
    ending = endings.gather(draw(rng, zipf_shares(len(endings)), n_cards))
    # The word of a permuted row number is what makes the id unique.
    word = word_series(rng.permutation(n_cards), n_syllables=4)
    frame = pl.DataFrame({"author": author, "name": stem + "-" + word + ending})
    alone = pl.Series(rng.random(n_cards) < 0.02)
    return frame.select(
        pl.when(alone).then("name").otherwise(pl.format("{}/{}", "author", "name")).alias("id"),
        pl.when(~alone).then("author").alias("author"),
    )


def popularity(n_cards: int, rng: np.random.Generator) -> pl.DataFrame:
    """Draw `downloads` (three in ten none, else a Pareto tail) and `likes` that follow them."""
    tail = rng.random(n_cards).clip(1e-9) ** (-1 / 0.85) - 1
    downloads = np.where(rng.random(n_cards) < 0.3, 0, 1 + 8 * tail).clip(max=2e8)
    liking = 0.03 * downloads**0.6 * rng.lognormal(0, 0.8, n_cards)
    likes = rng.poisson(liking.clip(max=50_000))
    return pl.DataFrame({"downloads": downloads.astype(np.int64), "likes": likes.astype(np.int64)})


def draw_kinds(plan: Plan, rng: np.random.Generator) -> pl.DataFrame:
    """Draw `library_name` (four in ten null) and `pipeline_tag` (about a third null)."""
    n_cards = plan.n_cards
    own = [topic.library for topic in plan.topics]
    # Mostly the topic's own library; now and then one of the three that occur everywhere.
    other = len(own) + draw(rng, np.array([0.6, 0.3, 0.1]), n_cards)
    code = np.where(rng.random(n_cards) < 0.85, plan.topic, other)
    no_library = plan.tagless | (rng.random(n_cards) < 0.4)
    no_task = plan.tagless | (rng.random(n_cards) < 0.34)
    library = pl.Series([*own, "transformers", "peft", "keras"]).gather(code)
    task = pl.Series([topic.task for topic in plan.topics]).gather(plan.topic)
    return pl.select(
        pl.when(~pl.Series(no_library)).then(library).alias("library_name"),
        pl.when(~pl.Series(no_task)).then(task).alias("pipeline_tag"),
    )


# --- what the front matter declares ----------------------------------------------------------


def draw_licenses(plan: Plan, rng: np.random.Generator) -> pl.Series:
    """Draw licences by the taste of the topic; three of ten cards have none."""
    weights = np.array([weight for weight, *_ in WORDS["licenses"]])
    declarations = [values for _, *values in WORDS["licenses"]]
    strings = list(dict.fromkeys(value for values in declarations for value in values))
    width = max(map(len, declarations))
    codes = np.array(
        [[strings.index(v) for v in d] + [-1] * (width - len(d)) for d in declarations]
    )
    chosen = np.zeros(plan.n_cards, dtype=np.int64)
    for number, topic in enumerate(plan.topics):
        liking = np.array([topic.licenses.get(values[0], 1.0) for values in declarations])
        members = np.flatnonzero(plan.topic == number)
        shares = weights * liking / (weights @ liking)
        chosen[members] = draw(rng, shares, len(members))
    declared = plan.declares & (rng.random(plan.n_cards) < _LICENSE_SHARE)
    return joined([lists_of_rows(codes[chosen], pl.Series(strings))], declared)


def draw_languages(plan: Plan, rng: np.random.Generator) -> pl.Series:
    """Draw languages of about 45 % of the cards, English on most of them."""
    codes, raw = WORDS["languages"].split(), WORDS["raw_languages"]
    n_cards = plan.n_cards
    lean = np.array([topic.language_share for topic in plan.topics])[plan.topic]
    # Scaled so that the topics differ and the whole has the share of the Hub.
    mean = float((lean * plan.declares).mean()) if n_cards else 1.0
    chance = np.minimum(0.97, lean * _LANGUAGE_SHARE / max(mean, 1e-9))
    declared = plan.declares & (rng.random(n_cards) < chance)
    many = declared & (rng.random(n_cards) < 0.009 + 0.02 * (lean > 0.8))
    n_values = np.where(rng.random(n_cards) < 0.82, 1, 2 + rng.geometric(0.5, n_cards).clip(max=6))
    english = rng.random(n_cards) < 0.7
    others = np.where(declared & ~many, n_values - english, 0)
    # One skewed draw for all the languages that are not English, dirt included but rare.
    shares = zipf_shares(len(codes) - 1, exponent=1.1, shift=2) * 0.94
    dirt = np.full(len(raw), 0.06 / len(raw))
    card = np.repeat(np.arange(n_cards), others)
    value = 1 + draw(rng, np.concatenate([shares, dirt]), len(card))
    # English is the first of the codes.
    has_english = np.flatnonzero((declared & ~many & english) | many)
    # A card of many: each language with the card's own chance, 10 to 100 of them.
    crowd = np.flatnonzero(many)
    chosen = rng.random((len(crowd), len(codes))) < rng.uniform(0.12, 0.8, (len(crowd), 1))
    row, column = np.nonzero(chosen)
    return lists_of_pairs(
        np.concatenate([has_english, card, crowd[row]]),
        np.concatenate([np.zeros(len(has_english), dtype=np.int64), value, column]),
        n_cards,
        pl.Series([*codes, *raw]),
    )


def datasets(plan: Plan, rng: np.random.Generator) -> pl.Series:
    """Draw one to three data sets of the topic for three cards in ten.

    Their number grows with the corpus: the first few of a topic are its well-known ones, the
    rest are somebody's own.
    """
    a_topic = max(4, int(0.5 * plan.n_cards**0.8 / len(plan.topics)))
    known = [of.datasets[i % len(of.datasets)] for of in plan.topics for i in range(a_topic)]
    first = [i < len(of.datasets) for of in plan.topics for i in range(a_topic)]
    own = "-" + word_series(np.arange(len(known)), n_syllables=3)
    ending = pl.select(pl.when(pl.Series(first)).then(pl.lit("")).otherwise(own)).to_series()
    return _of_topic(plan, pl.Series(known) + ending, rng, share=0.34, shift=3)


def arxiv(plan: Plan, rng: np.random.Generator) -> pl.Series:
    """Draw one to three papers of the topic for a sixth of the cards (linked in the text too)."""
    a_topic = max(6, int(0.2 * plan.n_cards**0.75 / len(plan.topics)))
    number = np.arange(a_topic * len(plan.topics), dtype=np.int64)
    year = pl.Series(15 + number % 10).cast(pl.String)
    month = pl.Series(1 + number * 7 % 12).cast(pl.String).str.zfill(2)
    serial = pl.Series(number * 7_919 % 99_991).cast(pl.String).str.zfill(5)
    return _of_topic(plan, year + month + "." + serial, rng, share=0.18, shift=1)


def _of_topic(
    plan: Plan, strings: pl.Series, rng: np.random.Generator, *, share: float, shift: float
) -> pl.Series:
    """Draw one to three of the strings of the topic for a share of the front matters."""
    a_topic = len(strings) // len(plan.topics)
    has = plan.declares & (rng.random(plan.n_cards) < share)
    counts = np.where(has, 1 + draw(rng, np.array([0.75, 0.18, 0.07]), plan.n_cards), 0)
    card = np.repeat(np.arange(plan.n_cards), counts)
    rank = draw(rng, zipf_shares(a_topic, exponent=0.9, shift=shift), len(card))
    return lists_of_pairs(card, plan.topic[card] * a_topic + rank, plan.n_cards, strings)


# --- tags, in parts that are joined card by card, and the front matter as JSON ----------------


def free_tags(plan: Plan, rng: np.random.Generator) -> pl.Series:
    """Draw the tags an author writes: of the topic, of the planted pairs, of the background."""
    parts = [
        _topic_tags(plan, rng),
        _planted(plan, rng),
        _background(plan, rng),
        _of_flags((plan.family >= 0)[:, None], [_TRAINER_TAG]),
    ]
    return joined(parts, plan.declares)


def _topic_tags(plan: Plan, rng: np.random.Generator) -> pl.Series:
    """Draw each tag of the topic with its own chance; a few in another spelling."""
    tags = [tag for topic in plan.topics for tag in topic.tags]
    width = len(plan.topics[0].tags)
    chance = np.minimum(0.6, _MEAN_TOPIC_TAGS * zipf_shares(width, exponent=0.6))
    card, rank = np.nonzero(rng.random((plan.n_cards, width), dtype=np.float32) < chance)
    code = plan.topic[card] * width + rank
    code[rng.random(len(code)) < _SPELLING_SHARE] += len(tags)
    other = [tag.replace("-", "_") if "-" in tag else tag.capitalize() for tag in tags]
    return lists(card, code, plan.n_cards, pl.Series(tags + other))


def _planted(plan: Plan, rng: np.random.Generator) -> pl.Series:
    """Put each planted pair on about 1.2 % of the cards, whatever their topic."""
    able = np.flatnonzero(plan.declares)
    wanted = max(min(8, plan.n_cards // 25), round(_PAIR_SHARE * plan.n_cards))
    wanted = min(wanted, len(able))
    cards, values = [], []
    for number in range(len(PLANTED_PAIRS)):
        chosen = rng.choice(able, size=wanted, replace=False)
        for side in (0, 1):
            kept = rng.random(wanted) >= _PAIR_BROKEN
            cards.append(chosen[kept])
            values.append(np.full(int(kept.sum()), 2 * number + side))
    tags = pl.Series([tag for pair in PLANTED_PAIRS for tag in pair])
    return lists_of_pairs(np.concatenate(cards), np.concatenate(values), plan.n_cards, tags)


def _background(plan: Plan, rng: np.random.Generator) -> pl.Series:
    """Draw Zipfian tags without structure.

    The number a card has is Poisson: then the counts of any two tags are independent (among the
    cards with front matter), which a fixed or an overdispersed number would not give.
    """
    size = max(20, int(0.9 * plan.n_cards**0.825))
    counts = rng.poisson(_MEAN_BACKGROUND_TAGS, plan.n_cards)
    card = np.repeat(np.arange(plan.n_cards), counts)
    value = draw(rng, zipf_shares(size, shift=20), len(card))
    tags = word_series(np.arange(size), n_syllables=3)
    return lists_of_pairs(card, value, plan.n_cards, tags)


def lineage(
    plan: Plan, ids: pl.Series, created: pl.Series, rng: np.random.Generator
) -> tuple[pl.Series, pl.Series]:
    """Let a quarter of the cards name an older card of their topic, mostly one of a few.

    Hostile cards are no parents: their ids are replaced. Returns the ids of the parents, and the
    tags `base_model:ID` and `base_model:KIND:ID`.
    """
    age = created.to_physical().to_numpy()
    parent = np.full(plan.n_cards, -1, dtype=np.int64)
    for topic in np.unique(plan.topic):
        members = np.flatnonzero(plan.topic == topic)
        members = members[np.argsort(age[members], kind="stable")]
        # Parents are the oldest of a topic, and older than their child: no card is its own
        # ancestor.
        candidates = np.minimum(np.arange(len(members)), int(len(members) ** 0.6) + 1)
        older = np.floor(candidates * rng.random(len(members)) ** 5).astype(np.int64)
        parent[members[1:]] = members[older[1:]]
    named = (parent >= 0) & (parent < plan.n_regular)
    has = plan.declares & named & (rng.random(plan.n_cards) < 0.28)
    kind = draw(rng, np.array([0.62, 0.2, 0.13, 0.05]), plan.n_cards)
    used, plain = np.unique(parent[has], return_inverse=True)
    pairs, typed = np.unique(used[plain] * 4 + kind[has], return_inverse=True)
    codes = np.full((len(has), 2), -1, dtype=np.int64)
    codes[has] = np.column_stack([plain, len(used) + typed])
    kinds = pl.Series("id", _LINEAGE).gather(pairs % 4)
    strings = pl.concat([ids.gather(used), kinds + ":" + ids.gather(pairs // 4)])
    return lists_of_rows(codes[:, :1], strings), lists_of_rows(codes, "base_model:" + strings)


def hub_tags(
    plan: Plan,
    base: pl.DataFrame,
    declared: dict[str, pl.Series],
    line: pl.Series,
    rng: np.random.Generator,
) -> pl.Series:
    """Put all the tags of a card into the Hub's order."""
    has_library = base["library_name"].is_not_null().to_numpy()
    names = ("library_name", "pipeline_tag")
    library, task = base.select(
        pl.concat_list(name).list.drop_nulls().alias(name) for name in names
    )
    parts = [
        library,
        _software(plan, base["created_at"], has_library, rng),
        _model_types(plan, has_library, rng),
        task,
        declared["free"],
        declared["languages"],
        declared["datasets"].list.eval("dataset:" + pl.element()),
        declared["arxiv"].list.eval("arxiv:" + pl.element()),
        line,
        declared["license"].list.eval("license:" + pl.element()),
        _of_flags(_flags(plan, _HUB_TAGS, rng), [*_HUB_TAGS]),
    ]
    return joined(parts, ~plan.tagless).alias("tags")


def _flags(plan: Plan, chances: dict[str, float], rng: np.random.Generator) -> Bools:
    """Draw a column of flags for each tag."""
    return rng.random((plan.n_cards, len(chances))) < np.array(list(chances.values()))


def _software(
    plan: Plan, created: pl.Series, has_library: Bools, rng: np.random.Generator
) -> pl.Series:
    """Draw the formats that the Hub reads from the files of a model with a library."""
    flags = _flags(plan, _FRAMEWORKS, rng)
    recent = np.where(created.dt.year().to_numpy() >= 2023, 1.0, 0.25)
    flags[:, list(_FRAMEWORKS).index("safetensors")] &= rng.random(plan.n_cards) < recent
    return _of_flags(flags & has_library[:, None], [*_FRAMEWORKS])


def _model_types(plan: Plan, has_library: Bools, rng: np.random.Generator) -> pl.Series:
    """Draw the architecture, which the Hub reads where there is a library."""
    types, width = plan.model_types()
    code = plan.topic * width + draw(rng, zipf_shares(width), plan.n_cards)
    known = has_library & (rng.random(plan.n_cards) < 0.8)
    return lists_of_rows(np.where(known, code, -1)[:, None], pl.Series(types))


def _of_flags(flags: Bools, tags: list[str]) -> pl.Series:
    """Make the lists of a row of flags a card, a flag for each tag."""
    card, code = np.nonzero(flags)
    return lists(card, code, len(flags), pl.Series(tags))


def metadata(base: pl.DataFrame, plan: Plan, rng: np.random.Generator) -> pl.Series:
    """Write the front matter as JSON, put together as strings: nothing here needs escaping.

    `base` has the declared columns and `free`. A single value stands as a string or as a list of
    one, as authors write both; Norwegian is `false`, as YAML 1.1 reads `no`.
    """
    n_cards = base.height
    # Chances that a single language, licence and base model stand as a string, in this order.
    loose = pl.Series(rng.random((n_cards, 3)) < [0.6, 0.9, 0.7])
    names_library = pl.Series(rng.random(n_cards) < 0.7)
    names_task = pl.Series(rng.random(n_cards) < 0.7)

    def field(key: str, column: str, single: int | None = None) -> pl.Expr:
        values = '["' + pl.col(column).list.join('", "') + '"]'
        if single is not None:
            bare = (pl.col(column).list.len() == 1) & loose.arr.get(single)
            values = pl.when(bare).then(values.str.slice(1).str.head(-1)).otherwise(values)
        if key == "language":
            values = values.str.replace('"no"', "false", literal=True)
        present = pl.col(column).list.len() > 0
        return pl.when(present).then(pl.format('"{}": {}', pl.lit(key), values))

    def scalar(column: str, named: pl.Series) -> pl.Expr:
        return pl.when(named).then(pl.format('"{}": "{}"', pl.lit(column), pl.col(column)))

    fields = [
        field("language", "languages", 0),
        field("license", "license", 1),
        scalar("library_name", names_library),
        field("tags", "free"),
        field("datasets", "datasets"),
        field("base_model", "base_model", 2),
        scalar("pipeline_tag", names_task),
    ]
    written = "{" + pl.concat_str(fields, separator=", ", ignore_nulls=True) + "}"
    readable = ~pl.Series(plan.unreadable)
    whole = pl.when(pl.Series(plan.declares)).then(written).when(readable).then(pl.lit("{}"))
    return base.select(whole.alias("metadata")).to_series()


# --- vectors ---------------------------------------------------------------------------------


def draw_embeddings(plan: Plan, dim: int, rng: np.random.Generator) -> Iterator[pl.Series]:
    """Draw unit vectors, `BLOCK` cards at a time; 2 % of the cards between two centres.

    A vector is the centre of the topic + noise. Cards of a family have nearly the same, as cards
    with the same text do.
    """
    n_topics = len(plan.topics)
    centres = _centres(n_topics, dim, rng)
    n_families = int(plan.family.max(initial=-1)) + 1
    family_noise = _noise(n_families, dim, rng)
    for start in range(0, max(plan.n_cards, 1), BLOCK):  # no card is a block too
        rows = slice(start, start + BLOCK)
        topic, family = plan.topic[rows], plan.family[rows]
        x = centres[topic]
        alone = family < 0
        between = alone & (rng.random(len(topic)) < _BETWEEN_SHARE)
        second = centres[rng.integers(n_topics, size=len(topic))]
        weight = rng.uniform(0.3, 0.5, (len(topic), 1)).astype(np.float32)
        x = np.where(between[:, None], (1 - weight) * x + weight * second, x)
        own = _noise(len(topic), dim, rng)
        if n_families:
            copied = family_noise[family.clip(0)] + own * (_COPY_NOISE / _NOISE)
            own = np.where(alone[:, None], own, copied)
        x += own
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        yield pl.Series("embeddings", x, dtype=pl.Array(pl.Float32, dim))


def _centres(n_topics: int, dim: int, rng: np.random.Generator) -> np.ndarray:
    """Draw unit vectors: at right angles where there is room, else in any direction."""
    directions = rng.normal(size=(n_topics, dim))
    if n_topics <= dim:
        directions = np.linalg.qr(directions.T)[0].T
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    return np.asarray(directions / lengths, dtype=np.float32)


def _noise(n: int, dim: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((n, dim), dtype=np.float32) * np.float32(_NOISE / np.sqrt(dim))
