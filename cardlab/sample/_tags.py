"""Free tags, lineage, the Hub's own tags, and the front matter as JSON.

Tags are made in parts, which are joined card by card.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from . import _draw
from ._columns import Plan
from ._draw import Bools, draw, word_series, zipf_shares

PLANTED_PAIRS: tuple[tuple[str, str], ...] = tuple((a, b) for a, b in _draw.WORDS["planted_pairs"])
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


def free_tags(plan: Plan, rng: np.random.Generator) -> pl.Series:
    """Draw the tags an author writes: of the topic, of the planted pairs, of the background."""
    parts = [
        _topic_tags(plan, rng),
        _planted(plan, rng),
        _background(plan, rng),
        _of_flags((plan.family >= 0)[:, None], [_TRAINER_TAG]),
    ]
    return _draw.joined(parts, plan.declares)


def _topic_tags(plan: Plan, rng: np.random.Generator) -> pl.Series:
    """Draw each tag of the topic with its own chance; a few in another spelling."""
    tags = [tag for topic in plan.topics for tag in topic.tags]
    width = len(plan.topics[0].tags)
    chance = np.minimum(0.6, _MEAN_TOPIC_TAGS * zipf_shares(width, exponent=0.6))
    card, rank = np.nonzero(rng.random((plan.n_cards, width), dtype=np.float32) < chance)
    code = plan.topic[card] * width + rank
    code[rng.random(len(code)) < _SPELLING_SHARE] += len(tags)
    other = [tag.replace("-", "_") if "-" in tag else tag.capitalize() for tag in tags]
    return _draw.lists(card, code, plan.n_cards, pl.Series(tags + other))


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
    return _draw.lists_of_pairs(np.concatenate(cards), np.concatenate(values), plan.n_cards, tags)


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
    return _draw.lists_of_pairs(card, value, plan.n_cards, tags)


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
    return _draw.lists_of_rows(codes[:, :1], strings), _draw.lists_of_rows(
        codes, "base_model:" + strings
    )


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
    return _draw.joined(parts, ~plan.tagless).alias("tags")


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
    return _draw.lists_of_rows(np.where(known, code, -1)[:, None], pl.Series(types))


def _of_flags(flags: Bools, tags: list[str]) -> pl.Series:
    """Make the lists of a row of flags a card, a flag for each tag."""
    card, code = np.nonzero(flags)
    return _draw.lists(card, code, len(flags), pl.Series(tags))


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
