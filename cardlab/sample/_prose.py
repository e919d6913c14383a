"""Lists, heavy-tailed draws and words, and the bodies of cards in invented sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from ..schema import words_of

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

# 64 syllables: a word is its number written in base 64. No pair of them makes an English word
# that one would not want in a notebook.
_ONSETS = ("l", "m", "n", "r", "s", "t", "v", "d", "w", "fl", "h", "kr", "th", "br", "gl", "pl")
_SYLLABLES = tuple(onset + vowel for vowel in "aeio" for onset in _ONSETS)


def lists(card: Ints, code: Ints, n_cards: int, strings: pl.Series) -> pl.Series:
    """Make a list of strings a card of (card, code) pairs, in order of the cards; empty without."""
    offsets = np.append(0, np.cumsum(np.bincount(card, minlength=n_cards)))
    values = strings.gather(code).to_arrow(compat_level=pl.CompatLevel.newest())
    return pl.Series(pa.LargeListArray.from_arrays(offsets, values))


def lists_of_rows(codes: Ints, strings: pl.Series) -> pl.Series:
    """Make the lists of one row of codes a card, where -1 is no value."""
    card, place = np.nonzero(codes >= 0)
    return lists(card, codes[card, place], len(codes), strings)


def lists_of_pairs(card: Ints, code: Ints, n_cards: int, strings: pl.Series) -> pl.Series:
    """Make the lists of pairs in any order; a pair that occurs twice counts once."""
    keys = np.sort(card * len(strings) + code)
    card, code = np.divmod(keys[np.diff(keys, prepend=-1) > 0], len(strings))
    return lists(card, code, n_cards, strings)


def joined(parts: list[pl.Series], keep: Bools) -> pl.Series:
    """Join lists card by card; empty where a card is not kept."""
    every = np.arange(len(keep))
    card = np.concatenate([np.repeat(every, part.list.len()) for part in parts])
    order = np.argsort(card, kind="stable")  # runs in order already: quicker than concat_list
    order = order[keep[card[order]]]
    values = [part.explode(empty_as_null=False, keep_nulls=False).alias("") for part in parts]
    return lists(card[order], order, len(keep), pl.concat(values))


def zipf_shares(n: int, *, exponent: float = 1.0, shift: float = 0.0) -> Floats:
    """Return the Zipf-Mandelbrot shares of n things; `shift` flattens the head."""
    weights = (np.arange(1, n + 1, dtype=np.float64) + shift) ** -exponent
    return np.asarray(weights / weights.sum())


def draw(rng: np.random.Generator, shares: Floats, size: int) -> Ints:
    """Draw codes with these shares (searching the sums is quicker than `choice`)."""
    codes = np.searchsorted(np.cumsum(shares), rng.random(size), side="right")
    return np.minimum(codes, len(shares) - 1).astype(np.int64)


def word_series(numbers: Ints, *, n_syllables: int) -> pl.Series:
    """Spell each number as a word without meaning, always the same one.

    Different numbers below 64**n_syllables have different words.
    """
    syllables = pl.Series(_SYLLABLES)
    size = 64**n_syllables
    # Multiplying by an odd number permutes the numbers, so that neighbours do not look alike.
    scrambled = (numbers * 2_654_435_761 + 40_503) % size
    digits = [
        syllables.gather((scrambled // 64**place) % 64).alias(str(place))
        for place in range(n_syllables)
    ]
    return pl.DataFrame(digits).select(pl.concat_str(pl.all()))[:, 0]


# ---- The themes of the synthetic corpus: task, library, model types, words and tags of a topic.

#: All the words of the corpus, as they stand in the file.
WORDS = words_of("sample")


@dataclass(frozen=True)
class Topic:
    """One planted theme. `licenses` multiplies the weight of a licence named in it."""

    task: str
    library: str
    model_types: tuple[str, ...]
    tags: tuple[str, ...]
    datasets: tuple[str, ...]
    nouns: tuple[str, ...]
    verbs: tuple[str, ...]
    adjectives: tuple[str, ...]
    licenses: dict[str, float] = field(default_factory=dict)
    language_share: float = 0.5


_LISTS = ("model_types", "tags", "datasets", "nouns", "verbs", "adjectives")
WRITTEN_TOPICS = tuple(
    Topic(**table | {name: tuple(table[name].split()) for name in _LISTS})
    for table in WORDS["topics"]
)


def topics(n_topics: int) -> tuple[Topic, ...]:
    """Return the first `n_topics` themes; beyond the written ones, of invented words."""
    made = [_made_topic(i) for i in range(max(0, n_topics - len(WRITTEN_TOPICS)))]
    return (*WRITTEN_TOPICS[:n_topics], *made)


def _made_topic(index: int) -> Topic:
    tasks = list(WORDS["more_tasks"].items())
    task, library = tasks[index % len(tasks)]
    # Two syllables more than a background tag has, so that no word can be one.
    words = tuple(word_series(np.arange(60 * index, 60 * index + 60), n_syllables=5))
    return Topic(
        task=task,
        library=library,
        model_types=words[:3],
        tags=words[3:13],
        datasets=tuple(f"{word}-set" for word in words[13:16]),
        nouns=words[16:36],
        verbs=tuple(f"{word}s" for word in words[36:46]),
        adjectives=words[46:58],
    )


T = TypeVar("T")
_BLANK_SHARE = 0.01
_PLACEHOLDER_SHARE = 0.18
_MEDIAN_CHARS = 1_750
_LENGTH_SIGMA = 1.0
_MORE = "[More Information Needed]"
_PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


@dataclass
class Author:
    """Writes one card. Every part is drawn, so the order of the draws is part of the corpus."""

    uniform: Callable[[], float]
    name: str
    topic: Topic
    arxiv: list[str]
    datasets: list[str]
    languages: list[str]
    base_model: list[str]

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self.uniform() * len(options))]

    def chance(self, share: float) -> bool:
        return self.uniform() < share

    def number(self, low: int, high: int) -> int:
        """Draw a whole number from low to high, both included."""
        return low + int(self.uniform() * (high - low + 1))

    def noun(self) -> str:
        return self.pick(self.topic.nouns)

    def sentence(self) -> str:
        adjective = self.pick(self.topic.adjectives)
        pattern: str = self.pick(WORDS["sentences"])
        return pattern.format(
            n0=self.noun(),
            n1=self.noun(),
            v=self.pick(self.topic.verbs),
            a=adjective,
            an=_with_article(adjective),
            d=self.number(2, 95),
        )

    def paragraph(self, n_sentences: int) -> str:
        return " ".join(self.sentence() for _ in range(n_sentences))

    def foreign_paragraph(self, language: str, n_sentences: int) -> str:
        """Write in another language; now and then a word of the topic stays English."""
        patterns = WORDS["foreign"][language]["sentences"]
        words = [*WORDS["foreign"][language]["nouns"].split(), *self.topic.nouns[:4]]
        made = (
            self.pick(patterns).format(self.pick(words), self.pick(words))
            for _ in range(n_sentences)
        )
        return ("" if language == "zh" else " ").join(made)

    # What stands in a section; `sections` in the file of words names these.

    def prose(self) -> str:
        n_paragraphs = self.number(1, 2)
        return "\n\n".join(self.paragraph(self.number(2, 4)) for _ in range(n_paragraphs))

    def bullets(self) -> str:
        return "\n".join(f"- {self.sentence()}" for _ in range(self.number(2, 5)))

    def usage(self) -> str:
        noun, module = self.noun(), self.topic.library.replace("-", "_")
        return (
            f"{self.sentence()}\n\n```python\nfrom {module} import load\n\n"
            f'model = load("{self.name}")\nprint(model("{_with_article(noun)}"))\n```'
        )

    def shell(self) -> str:
        return f"```bash\nrun --model {self.name} --seed {self.number(1, 99)}\n```"

    def metrics(self) -> str:
        rows = [
            f"| {self.noun()} | {self.number(300, 990) / 10} | {self.number(10, 900)} |"
            for _ in range(self.number(2, 6))
        ]
        return "\n".join(["| part | score | n |", "|---|---:|---:|", *rows])

    def sources(self) -> str:
        names = ", ".join(f"`{name}`" for name in self.datasets)
        return f"Trained on {names or 'a collection of our own'}. {self.paragraph(2)}"

    def paper(self) -> str:
        links = [f"[paper](https://arxiv.org/abs/{number})" for number in self.arxiv]
        said = f"Described in the {' and '.join(links)}. " if links else ""
        return said + self.sentence()

    def origin(self) -> str:
        links = [f"[{base}](https://huggingface.co/{base})" for base in self.base_model]
        said = f"Made from {links[0]}." if links else "Trained from scratch."
        return f"{said} {self.sentence()}"

    def picture(self) -> str:
        source = self.pick(("images/overview.png", "./loss.svg", _PIXEL))
        return f"![{self.noun()}]({source})\n\n{self.sentence()}"

    def contact(self) -> str:
        return "Open a discussion on this page."

    def citation(self) -> str:
        return (
            f"```bibtex\n@misc{{{self.name},\n  title = {{A study of the {self.noun()}}},\n"
            f"  year = {{20{self.number(19, 24)}}}\n}}\n```"
        )

    def written_text(self, length: float) -> str:
        """Write as an author does: about `length` characters in sections of different kinds."""
        underlined = self.chance(0.15)
        parts = [_heading(self.name, 1, underlined)] if self.chance(0.9) else []
        foreign = [code for code in self.languages[:1] if code in WORDS["foreign"]]
        if foreign and self.chance(0.8):
            left = max(3, int(length / 60))
            parts += [
                self.foreign_paragraph(foreign[0], min(8, left - i)) for i in range(0, left, 8)
            ]
            return "\n\n".join(parts) + "\n"
        parts.append(self.paragraph(2))
        written = sum(map(len, parts))
        for title, level, share, body in WORDS["sections"]:
            if written > length:
                break
            if self.chance(share):
                parts.append(f"{_heading(title, level, underlined)}\n\n{getattr(self, body)()}")
                written += len(parts[-1]) + 2
        # What is still wanting: notes on one thing after another, as in long technical cards.
        while written < length:
            parts.append(f"### Notes on the {self.noun()}\n\n{self.prose()}")
            written += len(parts[-1]) + 2
        return "\n\n".join(parts) + "\n"

    def placeholder_text(self) -> str:
        """Fill in a template, but hardly: placeholders, TODO, empty sections, some prose."""
        filled = 0.05 + self.uniform() * 0.5
        lazy = self.pick((_MORE, _MORE, _MORE, "TODO", ""))
        parts = [f"# Model Card for {self.pick((self.name, 'Model ID'))}"]
        for title, level in WORDS["template"]:
            # One section is always filled in: bare templates would be families that nobody planted.
            written = title == "Model Description" or self.chance(filled)
            body = self.paragraph(2) if written else lazy
            if self.chance(0.1):
                body = f"<!-- What should the reader know about {title.lower()}? -->\n\n{body}"
            parts.append(f"{'#' * level} {title}\n\n{body}".rstrip())
        return "\n\n".join(parts) + "\n"

    def trainer_text(self, family: int) -> str:
        """Write as a training script does; nothing in it names the one model it stands on."""
        template: str = WORDS["trainer"]
        return template.format(
            family=family,
            kind=self.pick(self.topic.model_types),
            losses=sorted((self.number(200, 2_900) / 1_000 for _ in range(4)), reverse=True),
            rate=self.pick(("1e-05", "2e-05", "5e-05", "0.0003")),
            batch=self.pick(("4", "8", "16", "32", "64")),
            seed=self.number(1, 9_999),
            tag=self.pick(self.topic.tags),
            noun=self.noun(),
            paragraph=self.paragraph(self.number(2, 6)),
        )


def _heading(title: str, level: int, underlined: bool) -> str:
    if underlined and level < 3:
        return f"{title}\n{('=' if level == 1 else '-') * len(title)}"
    return f"{'#' * level} {title}"


def _with_article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def texts(
    cards: pl.DataFrame, topics: tuple[Topic, ...], rng: np.random.Generator
) -> Iterator[str]:
    """Write one body a card; a family shares its own to the letter, the last are hostile."""
    state = rng.random(cards.height).tolist()
    lengths = rng.lognormal(np.log(_MEDIAN_CHARS), _LENGTH_SIGMA, cards.height).tolist()
    # One by one from blocks, which is much quicker than to ask the generator each time.
    blocks = (reversed(rng.random(65_536).tolist()) for _ in repeat(None))
    uniform = chain.from_iterable(blocks).__next__
    of_family: dict[int, str] = {}
    columns = ("family", "id", "topic", "arxiv", "datasets", "languages", "base_model")
    hostile = n_hostile(cards.height)
    rows = cards.select(columns).head(cards.height - hostile).iter_rows()
    for (family, id_, topic, *lists), now, length in zip(rows, state, lengths, strict=False):
        name = id_.rsplit("/", 1)[-1]
        author = Author(uniform, name, topics[topic], *(values or [] for values in lists))
        if family is not None:
            if family not in of_family:
                of_family[family] = author.trainer_text(family)
            yield of_family[family]
        elif now < _BLANK_SHARE:
            yield author.pick(("", "\n", "\n\n  \n"))
        elif now < _BLANK_SHARE + _PLACEHOLDER_SHARE:
            yield author.placeholder_text()
        else:
            yield author.written_text(length)
    yield from (kind["text"] for kind in _KINDS[:hostile])


# --- what is made of the body: the text-derived columns of the 18-column schema ---------------
#
# In the manner of that data set: `text_lists` has only what follows a line that begins with `#`,
# as there; cards whose headings are underlined have none. A token is a word or a punctuation
# mark here; no tokenizer is needed.

MAX_TOKENS = 512
_TOKEN = r"\w+|[^\w\s]"


def _underlined(match: re.Match[str]) -> str:
    title = match[2]
    return f"{title}\n{('=' if match[1] == '#' else '-') * max(3, len(title))}"


_PLAIN: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"(?ms)^```.*?^```[^\n]*$|<!--.*?-->", ""),  # code and comments
    (r"!\[[^\]\n]*\]\([^)\n]*\)", ""),  # images
    (r"\[([^\]\n]*)\]\([^)\n]*\)", r"\1"),  # links
    (r"https?://\S+", "URL"),
    (r"[*`]{1,3}(\S[^*`\n]*)[*`]{1,3}", r"\1"),  # emphasis
    (r"(?m)^(##?) +(\S[^\n]*)$", _underlined),
    (r"\n{2,}", "\n\n\n"),
)


def add_passages(cards: pl.DataFrame) -> pl.DataFrame:
    """Add the six derived columns, from `tags_str` to `input_texts`."""
    plain = [plain_of(text) for text in cards["text"]]
    tags = pl.col("tags").list.join(" #").str.replace_all(":", "-", literal=True)
    tokens = pl.element().str.count_matches(_TOKEN).cast(pl.Int64)
    out = cards.with_columns(
        tags_str="TAGS\n"
        + pl.when(pl.col("tags").list.len() > 0).then("#" + tags).otherwise(pl.lit("")),
        text_str=pl.Series(plain, dtype=pl.String),
        text_lists=pl.Series([*map(sections_of, plain)], dtype=pl.List(pl.String)),
    )
    out = out.with_columns(processed_texts=pl.concat_list(pl.col("tags_str") + " \n", "text_lists"))
    out = out.with_columns(tokens_length=pl.col("processed_texts").list.eval(tokens))
    both = out.select("processed_texts", "tokens_length").iter_rows()
    packed = [_packed(texts, lengths) for texts, lengths in both]
    return out.with_columns(input_texts=pl.Series(packed, dtype=pl.List(pl.String)))


def plain_of(text: str) -> str:
    """Drop code, images, addresses and emphasis; underline headings of level 1 and 2."""
    for pattern, replacement in _PLAIN:
        text = re.sub(pattern, replacement, text)
    return text.strip()


def sections_of(plain: str) -> list[str]:
    """Split into the parts that begin with a `#` line."""
    parts = (part.strip() for part in re.split(r"(?m)^(?=#)", plain))
    return [part for part in parts if part.startswith("#")]


def _packed(texts: list[str], lengths: list[int]) -> list[str]:
    """Join the texts in their order; a passage is full before it passes `MAX_TOKENS`."""
    passages: list[str] = []
    room = -1
    for text, length in zip(texts, lengths, strict=True):
        if room < length:
            passages.append("passage: ")
            room = MAX_TOKENS
        passages[-1] += text
        room -= length
    return passages


# ---- Cards whose strings would do harm, if anything of a card were run or obeyed.

AUTHOR = "mallory"
_KINDS: list[dict[str, Any]] = WORDS["hostile"]


def n_hostile(n_cards: int) -> int:
    """Count the hostile of `n_cards`: one in fifty, at most one of each kind."""
    return min(len(_KINDS), n_cards // 50)


def with_hostile(cards: pl.DataFrame) -> pl.DataFrame:
    """Make the last cards of the corpus hostile; their texts come from :func:`texts`."""
    count = n_hostile(cards.height)
    if not count:
        return cards
    rows = zip(cards.tail(count).to_dicts(), _KINDS, strict=False)
    changed = [row | _hostile(wanted, row["pipeline_tag"]) for row, wanted in rows]
    return pl.concat([cards.head(-count), pl.from_dicts(changed, schema=cards.schema)])


def _hostile(wanted: dict[str, Any], task: str | None) -> dict[str, Any]:
    """Return the values of a card that says what is wanted, and nothing else but a licence."""
    license, own = wanted.get("license", "mit"), wanted.get("tags", [])
    front = {"license": license} | ({"tags": own} if own else {})
    ends = ["license:mit", "region:us"] if license == "mit" else ["region:us", f"license:{license}"]
    tags = [*own, *filter(None, [task]), *ends]
    if "n_tags" in wanted:
        tags = [f"bulk-label-{number:03d}" for number in range(wanted["n_tags"])]
        front = {"tags": tags}
    return {
        "id": f"{AUTHOR}/{wanted.get('name', wanted['kind'])}",
        "author": AUTHOR,
        "family": None,
        "tags": tags,
        "license": [license],
        **{name: [] for name in ("languages", "arxiv", "datasets", "base_model")},
        "library_name": None,
        "metadata": json.dumps(front),
    }
