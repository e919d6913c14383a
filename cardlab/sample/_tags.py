"""Free tags, lineage, the Hub's own tags, and the front matter as JSON."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from ._columns import Plan
from ._draw import Ints, Ragged, draw, interleave, word_series, zipf_shares
from ._topics import Topic

# Two free tags that stand on the same cards, whatever the topic, and hardly ever without each
# other: the strongest pairs of free tags that an analysis of co-occurrence can find.
PLANTED_PAIRS: tuple[tuple[str, str], ...] = (
    ("amber-lattice", "slow-cooling"),
    ("brass-compass", "night-sailing"),
    ("copper-kiln", "glaze-recipes"),
    ("drift-ledger", "tidal-merge"),
    ("ember-index", "smoke-signals"),
    ("fjord-protocol", "granite-seed"),
    ("harbour-eval", "lighthouse-set"),
    ("juniper-mix", "orchard-notes"),
)
_PAIR_SHARE = 0.012
_PAIR_BROKEN = 0.015
_TRAINER_TAG = "generated_from_trainer"
_MEAN_TOPIC_TAGS = 1.5
_MEAN_BACKGROUND_TAGS = 0.7
_SPELLING_SHARE = 0.02
_FRAMEWORKS = ("pytorch", "tf", "jax", "tensorboard", "safetensors", "gguf", "onnx")
_HUB_TAGS = ("autotrain_compatible", "endpoints_compatible", "region:us")
_LINEAGE = ("finetune", "quantized", "adapter", "merge")


class Dictionary:
    """Strings by code, put together from parts; `add` says where a part begins."""

    def __init__(self) -> None:
        self._parts: list[pl.Series] = []
        self._size = 0

    def add(self, strings: pl.Series | list[str] | tuple[str, ...]) -> int:
        part = pl.Series(strings, dtype=pl.String)
        start, self._size = self._size, self._size + len(part)
        self._parts.append(part.alias("value"))
        return start

    def series(self) -> pl.Series:
        return pl.concat(self._parts)


def free_tags(
    plan: Plan, topics: tuple[Topic, ...], names: Dictionary, rng: np.random.Generator
) -> Ragged:
    """Draw the tags an author writes: of the topic, of the planted pairs, of the background."""
    parts = [
        _topic_tags(plan, topics, names, rng),
        _planted(plan, names, rng),
        _background(plan, names, rng),
        Ragged.from_flags((plan.family >= 0)[:, None], [names.add([_TRAINER_TAG])]),
    ]
    return interleave(parts).where(plan.declares)


def _topic_tags(
    plan: Plan, topics: tuple[Topic, ...], names: Dictionary, rng: np.random.Generator
) -> Ragged:
    """Draw each tag of the topic with its own chance; a few in another spelling."""
    width = len(topics[0].tags)
    start = names.add([tag for topic in topics for tag in topic.tags])
    other = names.add([_respelled(tag) for topic in topics for tag in topic.tags])
    chance = np.minimum(0.6, _MEAN_TOPIC_TAGS * zipf_shares(width, exponent=0.6))
    drawn = rng.random((plan.n_cards, width), dtype=np.float32) < chance
    tags = Ragged.from_flags(drawn, np.arange(start, start + width))
    codes = tags.values + np.repeat(plan.topic, tags.counts) * width
    codes[rng.random(len(codes)) < _SPELLING_SHARE] += other - start
    return Ragged(tags.counts, codes)


def _respelled(tag: str) -> str:
    return tag.replace("-", "_") if "-" in tag else tag.capitalize()


def _planted(plan: Plan, names: Dictionary, rng: np.random.Generator) -> Ragged:
    """Put each planted pair on about 1.2 % of the cards, whatever their topic."""
    start = names.add([tag for pair in PLANTED_PAIRS for tag in pair])
    able = np.flatnonzero(plan.declares)
    cards, values = [], []
    for number in range(len(PLANTED_PAIRS)):
        wanted = max(min(8, plan.n_cards // 25), round(_PAIR_SHARE * plan.n_cards))
        wanted = min(wanted, len(able))
        chosen = rng.choice(able, size=wanted, replace=False)
        for side in (0, 1):
            kept = rng.random(wanted) >= _PAIR_BROKEN
            cards.append(chosen[kept])
            values.append(np.full(int(kept.sum()), start + 2 * number + side))
    return Ragged.from_pairs(np.concatenate(cards), np.concatenate(values), plan.n_cards)


def _background(plan: Plan, names: Dictionary, rng: np.random.Generator) -> Ragged:
    """Draw Zipfian tags without structure.

    The number a card has is Poisson: then the counts of any two tags are independent (among the
    cards with front matter), which a fixed or an overdispersed number would not give.
    """
    size = max(20, int(0.9 * plan.n_cards**0.825))
    start = names.add(word_series(np.arange(size), n_syllables=3))
    counts = rng.poisson(_MEAN_BACKGROUND_TAGS, plan.n_cards)
    card = np.repeat(np.arange(plan.n_cards), counts)
    value = draw(rng, zipf_shares(size, shift=20), len(card))
    return Ragged.from_pairs(card, value, plan.n_cards).shifted(start)


@dataclass(frozen=True)
class Lineage:
    """`parent` is the row of the card that a card was made from (-1: none); `kind` how."""

    parent: Ints
    kind: Ints


def lineage(plan: Plan, created: Ints, n_regular: int, rng: np.random.Generator) -> Lineage:
    """Let a quarter of the cards name an older card of their topic, mostly one of a few.

    Rows from `n_regular` on are no parents: their ids are replaced by hostile ones.
    """
    parent = np.full(plan.n_cards, -1, dtype=np.int64)
    for topic in np.unique(plan.topic):
        members = np.flatnonzero(plan.topic == topic)
        members = members[np.argsort(created[members], kind="stable")]
        # Parents are the oldest of a topic, and older than their child: no card is its own
        # ancestor.
        candidates = np.minimum(np.arange(len(members)), int(len(members) ** 0.6) + 1)
        older = np.floor(candidates * rng.random(len(members)) ** 5).astype(np.int64)
        parent[members[1:]] = members[older[1:]]
    has = plan.declares & (parent < n_regular) & (rng.random(plan.n_cards) < 0.28)
    kind = draw(rng, np.array([0.62, 0.2, 0.13, 0.05]), plan.n_cards)
    return Lineage(np.where(has, parent, -1), kind)


def _lineage_tags(line: Lineage, ids: pl.Series, names: Dictionary) -> Ragged:
    """Make `base_model:ID` and `base_model:KIND:ID`."""
    has = line.parent >= 0
    used, position = np.unique(line.parent[has], return_inverse=True)
    plain = names.add("base_model:" + ids.gather(used))
    pairs, pair = np.unique(used[position] * 4 + line.kind[has], return_inverse=True)
    kinds = pl.Series(_LINEAGE, dtype=pl.String).gather(pairs % 4)
    typed = names.add("base_model:" + kinds + ":" + ids.gather(pairs // 4))
    codes = np.full((len(has), 2), -1, dtype=np.int64)
    codes[has] = np.column_stack([plain + position, typed + pair])
    return Ragged.from_columns(codes)


def _software(
    plan: Plan, base: pl.DataFrame, names: Dictionary, rng: np.random.Generator
) -> Ragged:
    """Draw the formats that the Hub reads from the files of a model with a library."""
    start = names.add(_FRAMEWORKS)
    has_library = base["library_name"].is_not_null().to_numpy()
    year = base["created_at"].dt.year().to_numpy()
    recent = np.where(year >= 2023, 1.0, 0.25)
    chance = np.array([0.4, 0.05, 0.03, 0.13, 0.6, 0.1, 0.03])
    flags = rng.random((plan.n_cards, len(_FRAMEWORKS))) < chance
    flags[:, 4] &= rng.random(plan.n_cards) < recent
    return Ragged.from_flags(flags & has_library[:, None], start + np.arange(len(_FRAMEWORKS)))


def _model_types(
    plan: Plan,
    base: pl.DataFrame,
    topics: tuple[Topic, ...],
    names: Dictionary,
    rng: np.random.Generator,
) -> Ragged:
    """Draw the architecture, which the Hub reads where there is a library."""
    width = max(len(topic.model_types) for topic in topics)
    start = names.add([t.model_types[i % len(t.model_types)] for t in topics for i in range(width)])
    code = start + plan.topic * width + draw(rng, zipf_shares(width), plan.n_cards)
    known = base["library_name"].is_not_null().to_numpy() & (rng.random(plan.n_cards) < 0.8)
    return Ragged.from_columns(np.where(known, code, -1)[:, None])


def _hub_tags(plan: Plan, names: Dictionary, rng: np.random.Generator) -> Ragged:
    """Draw what the Hub adds itself; only `region:us` stands on every card with tags."""
    start = names.add(_HUB_TAGS)
    chance = np.array([0.2, 0.5, 1.1])
    flags = rng.random((plan.n_cards, len(_HUB_TAGS))) < chance
    return Ragged.from_flags(flags, start + np.arange(len(_HUB_TAGS)))


def _column_tag(column: pl.Series, names: Dictionary) -> Ragged:
    """Turn a nullable string column into at most one tag a card."""
    values = column.drop_nulls().unique().sort()
    start = names.add(values)
    code = column.cast(pl.Enum(values)).to_physical().cast(pl.Int64) + start
    return Ragged.from_columns(code.fill_null(-1).to_numpy()[:, None])


def hub_tags(
    plan: Plan,
    base: pl.DataFrame,
    topics: tuple[Topic, ...],
    declared: dict[str, tuple[Ragged, pl.Series]],
    free: Ragged,
    line: Lineage,
    names: Dictionary,
    rng: np.random.Generator,
) -> pl.Series:
    """Put all the tags of a card into the Hub's order.

    `declared` has the codes and the strings of `languages`, `datasets`, `arxiv` and `license`;
    `free` has codes into `names`.
    """

    def prefixed(column: str, prefix: str) -> Ragged:
        codes, strings = declared[column]
        return codes.shifted(names.add(prefix + strings))

    parts = [
        _column_tag(base["library_name"], names),
        _software(plan, base, names, rng),
        _model_types(plan, base, topics, names, rng),
        _column_tag(base["pipeline_tag"], names),
        free,
        prefixed("languages", ""),
        prefixed("datasets", "dataset:"),
        prefixed("arxiv", "arxiv:"),
        _lineage_tags(line, base["id"], names),
        prefixed("license", "license:"),
        _hub_tags(plan, names, rng),
    ]
    return interleave(parts).where(~plan.tagless).to_lists(names.series()).alias("tags")


def metadata(base: pl.DataFrame, plan: Plan, rng: np.random.Generator) -> pl.Series:
    """Write the front matter as JSON, put together as strings: nothing here needs escaping.

    `base` has the declared columns and `free`. A single value stands as a string or as a list of
    one, as authors write both; Norwegian is `false`, as YAML 1.1 reads `no`.
    """
    n_cards = base.height
    frame = base.with_columns(
        pl.Series("loose", rng.random((n_cards, 3)) < [0.6, 0.9, 0.7]),
        pl.Series("names_library", rng.random(n_cards) < 0.7),
        pl.Series("names_task", rng.random(n_cards) < 0.7),
    )

    def field(key: str, column: str, loose: int | None = None) -> pl.Expr:
        values = '["' + pl.col(column).list.join('", "') + '"]'
        if loose is not None:
            single = (pl.col(column).list.len() == 1) & pl.col("loose").arr.get(loose)
            values = pl.when(single).then(values.str.slice(1).str.head(-1)).otherwise(values)
        if key == "language":
            values = values.str.replace('"no"', "false", literal=True)
        present = pl.col(column).list.len() > 0
        return pl.when(present).then(pl.format('"{}": {}', pl.lit(key), values))

    def scalar(column: str, flag: str) -> pl.Expr:
        return pl.when(pl.col(flag)).then(pl.format('"{}": "{}"', pl.lit(column), pl.col(column)))

    fields = [
        field("language", "languages", 0),
        field("license", "license", 1),
        scalar("library_name", "names_library"),
        field("tags", "free"),
        field("datasets", "datasets"),
        field("base_model", "base_model", 2),
        scalar("pipeline_tag", "names_task"),
    ]
    joined = pl.concat_str(fields, separator=", ", ignore_nulls=True)
    written = frame.select("{" + joined + "}").to_series()
    return pl.select(
        pl.when(pl.Series(plan.declares))
        .then(written)
        .when(~pl.Series(plan.unreadable))
        .then(pl.lit("{}"))
        .alias("metadata")
    ).to_series()
