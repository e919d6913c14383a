"""Families of copied texts are found, exact and near, whatever the order of the cards."""

from __future__ import annotations

import itertools
import re
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cardlab as cl
from cardlab.coverage.bodies import is_generated
from cardlab.families import SIZE, read_shingles, rows_per_band

COLUMNS = [
    *("family", "name", "kind", "n_cards", "card_share", "n_texts", "n_exact", "shared_share"),
    *("shared_low", "example_id", "n_total", "n_blank"),
]
NO_BLANKS = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"


def frame(texts: list[str | None]) -> pl.DataFrame:
    ids = [f"a/{i:04}" for i in range(len(texts))]
    return pl.DataFrame({"id": ids, "text": pl.Series(texts, dtype=pl.String)})


def groups(cards: pl.DataFrame, column: str) -> set[frozenset[str]]:
    kept = cards.drop_nulls(column).group_by(column).agg("id")
    return {frozenset(ids) for ids in kept["id"]}


def shingles(text: str) -> set[tuple[str, ...]]:
    """The rule as it is written down, in plain Python, for texts in scripts with blanks."""
    words = re.findall(r"\w+", text)
    return {tuple(words[i : i + 3]) for i in range(max(len(words) - 2, 1))} if words else set()


def jaccard(a: set, b: set) -> float:
    return len(a & b) / len(a | b)


def test_planted_families_are_found_exactly():
    cards = cl.make_cards(1500, embedding_dim=0).rename({"family": "planted"})
    found = cl.with_families(cards)
    assert groups(found, "family") == groups(found, "planted")
    families = cl.template_families(cards)
    assert families.columns == COLUMNS
    assert set(families["kind"]) == {"exact"}
    assert set(families["shared_share"]) == {1.0}
    sizes = Counter(cards["planted"].drop_nulls().to_list())
    assert families["n_cards"].to_list() == sorted(sizes.values(), reverse=True)
    assert (families["n_total"] == 1500).all()
    blank = sum(not (text or "").strip() for text in cards["text"])
    assert set(families["n_blank"]) == {blank}
    assert families["n_exact"].sum() == sum(sizes.values()) - len(sizes)


def test_near_copies_are_found_with_their_family():
    """Every second card of a family has one word changed: two such differ in six shingles."""
    cards = cl.make_cards(1500, embedding_dim=0).rename({"family": "planted"})
    rng = np.random.default_rng(0)
    texts = cards["text"].to_list()
    for i, family in enumerate(cards["planted"]):
        if family is not None and i % 2:
            words = texts[i].split(" ")
            words[int(rng.integers(len(words)))] = f"changed{i}"
            texts[i] = " ".join(words)
    changed = cards.with_columns(pl.Series("text", texts))
    found = cl.with_families(changed)
    both = found.filter(pl.col("planted").is_not_null())
    assert groups(found, "family") == groups(found, "planted")
    assert both["family"].null_count() == 0
    families = cl.template_families(changed)
    assert "near" in set(families["kind"])
    assert families["shared_low"].min() > 0.85


def test_no_pair_at_the_threshold_is_missed_or_made_up(data):
    """Of about 1,000 real cards, those in families against all pairs compared one by one."""
    cards = cl.read_cards(data / "model_cards.seed.parquet", columns=["id", "text"]).head(1000)
    cards = cards.filter(~pl.col("text").str.contains(NO_BLANKS))
    sets = sorted(((len(s), i, s) for i, t in cards.iter_rows() if (s := shingles(t))))
    alike = set()
    for at, (size, card, own) in enumerate(sets):
        for other_size, other, others in sets[at + 1 :]:
            if size < 0.9 * other_size:
                break  # too few to have nine tenths in common
            if jaccard(own, others) >= 0.9:
                alike.add((card, other))
    assert len(alike) > 100
    found = cl.with_families(cards)
    near = {card for pair in alike for card in pair}
    grouped = set(found.drop_nulls("family")["id"])
    assert grouped <= near
    # where families would overlap, one gets a text, and another may be left alone
    assert len(grouped) >= 0.98 * len(near)
    family = dict(found.select("id", "family").iter_rows())
    together = {pair for pair in alike if family[pair[0]] == family[pair[1]]}
    assert len(together) >= 0.97 * len(alike)


def test_copies_of_the_seed_equal_python(data):
    cards = cl.read_cards(data / "model_cards.seed.parquet", columns=["id", "text"])
    found = cl.template_families(cards)
    texts = Counter(text for text in cards["text"].to_list() if text.strip())
    assert found["n_exact"].sum() == sum(texts.values()) - len(texts) == 82
    every = Counter(cards["text"].to_list())
    assert sum(every.values()) - len(every) == 110  # the blank ones, which are no family, included
    assert set(found["n_blank"]) == {30}
    roberta = found.filter(pl.col("example_id").str.starts_with("nyu-mll/roberta"))
    assert roberta.select("kind", "n_cards", "n_exact").rows() == [("exact", 13, 12)]
    assert "roberta" in roberta["name"][0]


@pytest.mark.parametrize(
    "name",
    [
        "sampled_cards_2024.seed.parquet",
        "dataset_cards.librarian.parquet",
        "broken_front_matter.seed.parquet",
    ],
)
def test_copies_of_other_real_cards_equal_python(data, name):
    cards = cl.read_cards(data / name, columns=["id", "text"])
    found = cl.template_families(cards)
    texts = [text for text in cards["text"].to_list() if text and text.strip()]
    assert found["n_exact"].sum() == len(texts) - len(set(texts))


def test_the_order_of_the_cards_makes_no_difference(data):
    cards = cl.read_cards(data / "sampled_cards_2024.seed.parquet", columns=["id", "text"])
    first = cl.template_families(cards, threshold=0.7)
    assert first.height > 3
    shuffled = cards.sample(fraction=1, shuffle=True, seed=3)
    assert cl.template_families(shuffled, threshold=0.7).equals(first)
    assert cl.template_families(cards.lazy(), threshold=0.7).equals(first)


def test_a_chain_of_small_changes_does_not_become_one_family():
    words = [f"w{i}" for i in range(400)]
    chain = [" ".join(words[step : step + 200]) for step in range(0, 200, 5)]
    found = cl.with_families(frame(chain))
    families = cl.template_families(frame(chain))
    assert found["family"].n_unique() > 5
    assert families["shared_low"].min() >= 2 * 0.9 - 1
    sets = [shingles(text) for text in chain]
    for text, last in itertools.pairwise(sets):
        assert jaccard(text, last) >= 0.9  # each is a near copy of the next


def test_what_counts_as_a_word():
    text = "one two three four five"
    spaced = "one  two,\nthree; four: **five**!"
    found = cl.template_families(frame([text, spaced, text.upper()]), threshold=1)
    assert found.select("kind", "n_cards", "n_exact", "shared_share").rows() == [
        ("near", 2, 0, 1.0)
    ]


def test_short_blank_and_wordless_texts():
    cards = frame(["one two", "one two!", "one", "!?", "!?", "?!", "", None, " \n", "two one"])
    found = cl.with_families(cards)
    assert groups(found, "family") == {
        frozenset({"a/0000", "a/0001"}),
        frozenset({"a/0003", "a/0004"}),
    }
    assert cl.template_families(cards)["n_blank"].to_list() == [3, 3]
    assert cl.template_families(cards)["name"].to_list() in (["one, two", None], ["two, one", None])


def test_names_are_words_that_a_reader_sees():
    text = "<sup>1</sup> <sup>2</sup> <!-- hidden hidden hidden --> https://example.org/a parrot"
    assert cl.template_families(frame([text, text]))["name"].to_list() == ["parrot"]
    open_tag = "<" * 400_000 + " parrot"  # ends, and soon
    assert cl.template_families(frame([open_tag, open_tag]))["name"].to_list() == ["parrot"]


@pytest.mark.parametrize(
    "text",
    [
        "这是一个用于文本分类的模型卡片它说明了训练数据和限制" * 3,
        "โมเดลนี้ใช้สำหรับจำแนกข้อความภาษาไทย" * 4,
    ],
)
def test_scripts_without_blanks(text):
    """One run of letters would be one word, and any change would make another text of it."""
    other = "これは全く別の文章です" * 9
    changed = text[:-1] + "新"
    found = cl.with_families(frame([text, changed, other]), threshold=0.8)
    assert found["family"].to_list() == [0, 0, None]


def test_hostile_texts():
    long_line = "x" * 486_441
    large = "word " * 150_000
    odd = [
        "\x1b]0;x\x07 \x1b[31m",
        "\u202eabc def ghi",
        "</script><script>",
        "\ufeff\u200b",
        "a\x00b",
    ]
    cards = frame([long_line, long_line, large, large + "\n", *odd, *odd])
    found = cl.with_families(cards)
    assert found["family"].drop_nulls().n_unique() == 2 + len(odd)
    many = " ".join(f"w{i}" for i in range(40_000))  # compared by a sample of its shingles
    near = frame([many, many.replace("w7 ", "v7 "), many[: len(many) // 2]])
    assert cl.with_families(near)["family"].to_list() == [0, 0, None]


any_text = st.text("ab \n.,語ก\u0301\x00", max_size=30) | st.none()


@settings(max_examples=60, deadline=None)
@given(st.lists(any_text, max_size=12))
def test_equal_texts_are_together_and_nothing_fails(texts):
    found = cl.with_families(frame(texts))
    assert found["text"].to_list() == texts
    by_text: dict[str, set] = {}
    for text, family in found.select("text", "family").iter_rows():
        if text is None or not text.strip():
            assert family is None
        else:
            by_text.setdefault(text, set()).add(family)
    assert all(len(families) == 1 for families in by_text.values())
    copied = [text for text, n in Counter(texts).items() if n > 1 and text in by_text]
    assert all(by_text[text] != {None} for text in copied)


def test_shingles_equal_the_rule():
    """As many different shingles as plain Python counts, and none shared between rows."""
    cards = cl.make_cards(60, embedding_dim=0).filter(pl.col("text").str.contains(r"\w"))
    cards = cards.filter(~pl.col("text").str.contains(r"[^\x00-\x7f]"))
    wanted = {text: len(shingles(text)) for text in cards["text"]}
    found: dict[str, int] = {}
    texts = {
        int(row[1]): row[0]
        for row in cards.select("text", pl.col("text").hash(seed=0).alias("key")).iter_rows()
    }
    for batch in read_shingles(cards.lazy()):
        starts = np.append(0, batch.ends)
        for at, key in enumerate(batch.keys.tolist()):
            found[texts[key]] = len(set(batch.hashes[starts[at] : starts[at + 1]].tolist()))
    assert found == wanted


def test_bands_meet_nearly_all_pairs():
    for threshold in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0):
        rows = rows_per_band(threshold)
        assert SIZE % rows == 0
        assert 1 - (1 - threshold**rows) ** (SIZE // rows) >= 0.999


def test_lazy_stays_lazy_and_counts_take_the_column():
    cards = cl.make_cards(300, embedding_dim=0)
    lazy = cl.with_families(cards.lazy())
    assert isinstance(lazy, pl.LazyFrame)
    found = lazy.collect()
    assert found.drop("family").equals(cards.drop("family"))
    first = pl.col("family").is_null() | pl.col("family").is_first_distinct()
    once = cl.license_counts(found.sort("id").filter(first)).sort("license")
    n_families = cl.license_counts(found, families="family").sort("license")["n_families"]
    assert once["n_cards"].to_list() == n_families.to_list()
    counted = cl.tag_counts(found, families="family", top=5)
    by_text = cl.tag_counts(found, families="text", top=5)
    assert counted.equals(by_text)
    assert (
        cl.with_families(cards.select("id", "text").to_pandas())
        .collect()["family"]
        .equals(found["family"])
    )


def test_none_and_errors():
    empty = cl.template_families(frame([]))
    assert (empty.height, empty.columns) == (0, COLUMNS)
    assert cl.template_families(frame(["a b c", "d e f", None])).equals(empty)
    assert cl.with_families(frame([]))["family"].dtype == pl.Int64
    assert cl.with_families(frame([None, "a"]))["family"].to_list() == [None, None]
    with pytest.raises(cl.MissingColumn, match="'text'"):
        cl.template_families(pl.DataFrame({"id": ["a"]}))
    for threshold in (0.4, 1.1, True, "0.9", float("nan")):
        with pytest.raises(cl.CardlabError, match="at least 0.5 and at most 1"):
            cl.with_families(frame(["a"]), threshold=threshold)
    with pytest.raises(cl.CardlabError, match="by must be one of 'text', 'structure', not 'title'"):
        cl.with_families(frame(["a"]), by="title")


# ---- Families by structure: cards made from one template.


def filled(rng: np.random.Generator, sentences: list[str]) -> str:
    """A card of one template: five sentences of its own among what a tool writes."""
    name = "-".join(rng.choice([*"bertgpqllamavit"], 9)) + f"-{rng.integers(99)}b"
    rows = "\n".join(f"| {rng.choice(sentences)} | {rng.random():.3f} |" for _ in range(9))
    return f"""# {name}

This model is a tuned version of [{name}](https://example.org/{name}) on the {name}/data set.

## How it was trained

- rate of learning: {rng.random():.5f}
- Schedule of the rate: {rng.choice(sentences)}

| measure | value |
|---|---|
{rows}

## What it is for

{" ".join(sentences)} More is needed here: whoever made the model has not said what it can do,
what it must not be used for, and which texts it has read. Please complete this card.
"""


def words(rng: np.random.Generator, n: int) -> str:
    return " ".join("".join(rng.choice([*"aeioubdgklmnprst"], 7)) for _ in range(n)) + "."


def test_cards_of_a_template_are_one_family_by_structure_only():
    rng = np.random.default_rng(0)
    made = [filled(rng, [words(rng, 4) for _ in range(3)]) for _ in range(25)]
    by_hand = [
        "\n\n".join(
            f"## {title}\n\n{words(rng, 40)}" for title in ("Use", "Data", "Limits", "Cite")
        )
        for _ in range(25)
    ]
    cards = frame(made + by_hand)
    assert cl.with_families(cards)["family"].null_count() == 50
    found = cl.with_families(cards, by="structure")["family"].to_list()
    assert found == [0] * 25 + [None] * 25  # equal headings alone make no family
    table = cl.template_families(cards, by="structure")
    assert table.select("n_cards", "n_texts").rows() == [(25, 25)]
    of_the_template = set(re.findall("[a-z]+", filled(rng, [""]).lower()))
    assert set(table["name"][0].split(", ")) <= of_the_template
    lazy = cl.with_families(cards.lazy(), by="structure").collect()
    assert lazy["family"].to_list() == found
    assert lazy.drop("family").equals(cards)


def test_a_quoted_card_of_another_model_does_not_count():
    rng = np.random.default_rng(1)
    made = [
        filled(rng, [""]) + f"\n# Original model card: maker's model {i}\n\n" + words(rng, 300)
        for i in range(6)
    ]
    assert cl.with_families(frame(made), by="structure")["family"].to_list() == [0] * 6
    under = [text.replace("Original model card", "What we did to it") for text in made]
    assert cl.with_families(frame(under), by="structure")["family"].null_count() == 6


@pytest.mark.parametrize(("n_headings", "together"), [(4, True), (3, False)])
def test_four_headings_in_a_row_make_up_for_some_likeness(n_headings, together):
    """Of 200 words 115 are common: a likeness of 0.4, where 0.5 is asked for, or 0.35."""
    rng = np.random.default_rng(2)
    titles, common = ("Use", "Data", "Limits", "Cite")[:n_headings], words(rng, 115)
    made = [
        "\n\n".join(f"## {title}\n\n{words(rng, 85 // n_headings)}" for title in titles) + common
        for _ in range(8)
    ]
    found = cl.with_families(frame(made), by="structure")["family"].to_list()
    assert found == [0 if together else None] * 8


#: Series of real cards that a program or one hand filled in: file -> authors (None: what says that
#: a program wrote it), and the number of their cards.
SERIES = {
    "hub_2022_cards.librarian.parquet": {
        None: 1278, "Helsinki-NLP": 1297, "huggingartists": 184, "espnet": 183, "SEBIS": 274,
        "MultiBertGunjanPatrick": 170, "sentence-transformers": 66,
    },
    "sampled_cards_2024.seed.parquet": {None: 118},
}  # fmt: skip


def test_real_cards_of_one_template_are_in_few_families(data):
    """At least nine of ten cards of each series are in the five largest families of it."""
    for name, series in SERIES.items():
        cards = cl.read_cards(data / name, columns=["id", "author", "text"])
        cards = cards.filter(pl.col("text").str.contains(r"\S"))
        machine = pl.Series("machine", map(is_generated, cards["text"]))
        whole = cards.height < 1000 or pl.col("author").is_in(list(filter(None, series)))
        found = cl.with_families(cards.filter(whole | machine), by="structure")
        machine = pl.Series(map(is_generated, found["text"]))
        for author, n_cards in series.items():
            chosen = machine if author is None else found["author"] == author
            sizes = found.filter(chosen)["family"].drop_nulls().value_counts()["count"]
            assert chosen.sum() == n_cards, author
            assert sizes.top_k(5).sum() >= 0.9 * n_cards, author


@pytest.fixture(scope="module")
def seed_by_structure(data):
    """The cards of the seed, each alone in a family below 0 where no other is like it."""
    cards = cl.read_cards(data / "model_cards.seed.parquet", columns=["id", "author", "text"])
    return cl.with_families(cards, by="structure").with_columns(
        pl.coalesce("family", -1 - pl.int_range(pl.len())).alias("family")
    )


def test_quantised_models_of_one_author_are_in_few_families(seed_by_structure):
    """Though most of each card is that of the model it was made from; three GGML ones differ."""
    quantised = seed_by_structure.filter(pl.col("author") == "TheBloke")
    kinds = quantised.filter(pl.col("id").str.contains("(GPTQ|GGML|GGUF|AWQ)$"))["family"]
    assert kinds.value_counts()["count"].top_k(5).sum() >= 0.93 * len(kinds)
    for suffix, least in {"GPTQ": 0.9, "GGML": 0.88, "GGUF": 1.0, "AWQ": 0.8}.items():
        theirs = quantised.filter(pl.col("id").str.ends_with(suffix))["family"]
        assert theirs.value_counts()["count"].top_k(3).sum() >= least * len(theirs), suffix


def test_different_real_cards_of_one_author_are_apart(seed_by_structure):
    found = seed_by_structure
    for author, n_least in {"facebook": 55, "microsoft": 55, "nvidia": 15}.items():
        theirs = found.filter(pl.col("author") == author)["family"]
        assert theirs.n_unique() >= n_least, author
        assert theirs.value_counts()["count"].max() <= max(8, 0.1 * len(theirs)), author
    of = dict(found.select("id", "family").iter_rows())
    # equal headings, filled by hand with texts that differ; one author's cards of several models
    for one, other in [
        ("xlnet/xlnet-base-cased", "FacebookAI/xlm-roberta-large"),
        ("shrugging-grace/tweetclassifier", "funnel-transformer/large"),
        ("openai-community/gpt2-xl", "openai-community/openai-gpt"),
        ("akhooli/gpt2-small-arabic", "akhooli/gpt2-small-arabic-poetry"),
        ("facebook/bart-large-mnli", "facebook/wav2vec2-base-960h"),
    ]:
        assert of[one] != of[other], (one, other)


def test_structure_does_not_depend_on_the_order_of_the_cards(data):
    cards = cl.read_cards(data / "sampled_cards_2024.seed.parquet", columns=["id", "text"])
    first = cl.template_families(cards, by="structure")
    assert first["n_cards"].sum() > 200
    assert first["shared_low"].min() >= 0.25  # half of the threshold, however long the chain
    shuffled = cards.sample(fraction=1, shuffle=True, seed=5)
    assert cl.template_families(shuffled.lazy(), by="structure").equals(first)
    # equal texts are one structure; what has none left stands for itself
    short = frame(["v1.0", "v1.0", "v1.1", "- a: 1", "- a: 2"])
    assert cl.with_families(short, by="structure")["family"].to_list() == [0, 0, None, None, None]
