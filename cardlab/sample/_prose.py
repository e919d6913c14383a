"""The body of a card: Markdown in the shapes that real cards have, in invented sentences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from ._grammar import (
    FOREIGN_LANGUAGES,
    Stream,
    article,
    foreign_paragraph,
    paragraph,
    sentence,
)
from ._topics import Topic

_BLANK_SHARE = 0.01
_PLACEHOLDER_SHARE = 0.18
_MEDIAN_CHARS = 1_750
_LENGTH_SIGMA = 1.0
_MORE = "[More Information Needed]"
_PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


@dataclass(frozen=True)
class Facts:
    """What the text of a card may refer to."""

    name: str
    topic: Topic
    arxiv: list[str] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    base_model: str | None = None


Writer = Callable[[Stream, Facts], str]


def texts(cards: pl.DataFrame, topics: tuple[Topic, ...], rng: np.random.Generator) -> pl.Series:
    """Write one body a card; the cards of a family share theirs to the letter."""
    stream = Stream(rng)
    n_cards = cards.height
    state = rng.random(n_cards).tolist()
    lengths = rng.lognormal(np.log(_MEDIAN_CHARS), _LENGTH_SIGMA, n_cards).tolist()
    shared: dict[int, str] = {}
    bodies: list[str] = []
    families = cards["family"].to_list()
    for card, family, now, length in zip(
        _facts(cards, topics), families, state, lengths, strict=True
    ):
        if family is not None:
            if family not in shared:
                shared[family] = _trainer_text(stream, card, family)
            bodies.append(shared[family])
        elif now < _BLANK_SHARE:
            bodies.append(stream.pick(("", "\n", "\n\n  \n")))
        elif now < _BLANK_SHARE + _PLACEHOLDER_SHARE:
            bodies.append(_placeholder_text(stream, card))
        else:
            bodies.append(_written_text(stream, card, length))
    return pl.Series("text", bodies, dtype=pl.String)


def _facts(cards: pl.DataFrame, topics: tuple[Topic, ...]) -> list[Facts]:
    columns = ("id", "topic", "arxiv", "datasets", "languages", "base_model")
    return [
        Facts(
            name=id_.rsplit("/", 1)[-1],
            topic=topics[topic],
            arxiv=arxiv or [],
            datasets=datasets or [],
            languages=languages or [],
            base_model=base[0] if base else None,
        )
        for id_, topic, arxiv, datasets, languages, base in cards.select(columns).iter_rows()
    ]


def _written_text(stream: Stream, card: Facts, length: float) -> str:
    """Write as an author does: about `length` characters in sections of different kinds."""
    underlined = stream.chance(0.15)
    foreign = [code for code in card.languages[:1] if code in FOREIGN_LANGUAGES]
    parts = [_heading(card.name, 1, underlined)] if stream.chance(0.9) else []
    if foreign and stream.chance(0.8):
        count = max(3, int(length / 60))
        parts += [
            foreign_paragraph(stream, foreign[0], card.topic, min(8, count - i))
            for i in range(0, count, 8)
        ]
        return "\n\n".join(parts) + "\n"
    parts.append(paragraph(stream, card.topic, 2))
    written = sum(map(len, parts))
    for title, level, share, writer in _SECTIONS:
        if written > length:
            break
        if stream.chance(share):
            part = f"{_heading(title, level, underlined)}\n\n{writer(stream, card)}"
            parts.append(part)
            written += len(part) + 2
    # What is still wanting: notes on one thing after another, as in long technical cards.
    while written < length:
        title = f"Notes on the {stream.pick(card.topic.nouns)}"
        part = f"{_heading(title, 3, False)}\n\n{_prose(stream, card)}"
        parts.append(part)
        written += len(part) + 2
    return "\n\n".join(parts) + "\n"


def _heading(title: str, level: int, underlined: bool) -> str:
    if underlined and level < 3:
        return f"{title}\n{('=' if level == 1 else '-') * len(title)}"
    return f"{'#' * level} {title}"


def _prose(stream: Stream, card: Facts) -> str:
    return "\n\n".join(
        paragraph(stream, card.topic, stream.number(2, 4)) for _ in range(stream.number(1, 2))
    )


def _bullets(stream: Stream, card: Facts) -> str:
    return "\n".join(f"- {sentence(stream, card.topic)}" for _ in range(stream.number(2, 5)))


def _usage(stream: Stream, card: Facts) -> str:
    noun = stream.pick(card.topic.nouns)
    return (
        f"{sentence(stream, card.topic)}\n\n```python\nfrom {card.topic.library.replace('-', '_')}"
        f' import load\n\nmodel = load("{card.name}")\nprint(model("{article(noun)} {noun}"))\n```'
    )


def _shell(stream: Stream, card: Facts) -> str:
    return f"```bash\nrun --model {card.name} --seed {stream.number(1, 99)}\n```"


def _metrics(stream: Stream, card: Facts) -> str:
    rows = [
        f"| {stream.pick(card.topic.nouns)} | {stream.number(300, 990) / 10} | "
        f"{stream.number(10, 900)} |"
        for _ in range(stream.number(2, 6))
    ]
    return "\n".join(["| part | score | n |", "|---|---:|---:|", *rows])


def _sources(stream: Stream, card: Facts) -> str:
    names = ", ".join(f"`{name}`" for name in card.datasets) or "a collection of our own"
    return f"Trained on {names}. {paragraph(stream, card.topic, 2)}"


def _paper(stream: Stream, card: Facts) -> str:
    if not card.arxiv:
        return sentence(stream, card.topic)
    links = " and ".join(f"[paper](https://arxiv.org/abs/{number})" for number in card.arxiv)
    return f"Described in the {links}. {sentence(stream, card.topic)}"


def _origin(stream: Stream, card: Facts) -> str:
    if card.base_model is None:
        return f"Trained from scratch. {sentence(stream, card.topic)}"
    link = f"[{card.base_model}](https://huggingface.co/{card.base_model})"
    return f"Made from {link}. {sentence(stream, card.topic)}"


def _picture(stream: Stream, card: Facts) -> str:
    source = stream.pick(("images/overview.png", "./loss.svg", _PIXEL))
    return f"![{stream.pick(card.topic.nouns)}]({source})\n\n{sentence(stream, card.topic)}"


def _citation(stream: Stream, card: Facts) -> str:
    return (
        f"```bibtex\n@misc{{{card.name},\n  title = {{A study of the "
        f"{stream.pick(card.topic.nouns)}}},\n  year = {{20{stream.number(19, 24)}}}\n}}\n```"
    )


# Title, level, share of the written cards that get so far, and what stands in it. In the order
# that readers of the Hub are used to.
_SECTIONS: tuple[tuple[str, int, float, Writer], ...] = (
    ("Model description", 2, 0.85, _prose),
    ("Origin", 3, 0.5, _origin),
    ("Intended uses", 2, 0.55, _bullets),
    ("How to use", 3, 0.75, _usage),
    ("Limitations and bias", 3, 0.45, _bullets),
    ("Training data", 2, 0.6, _sources),
    ("Training procedure", 3, 0.5, _prose),
    ("Overview", 2, 0.2, _picture),
    ("Evaluation", 2, 0.6, _metrics),
    ("Reproduce", 3, 0.25, _shell),
    ("Paper", 3, 0.5, _paper),
    ("Ethical considerations", 2, 0.15, _prose),
    ("Contact", 3, 0.2, lambda stream, card: "Open a discussion on this page."),
    ("Citation", 2, 0.4, _citation),
)

_TEMPLATE = (
    ("Model Details", 2),
    ("Model Description", 3),
    ("Model Sources", 3),
    ("Uses", 2),
    ("Direct Use", 3),
    ("Downstream Use", 3),
    ("Out-of-Scope Use", 3),
    ("Bias, Risks, and Limitations", 2),
    ("Recommendations", 3),
    ("How to Get Started with the Model", 2),
    ("Training Details", 2),
    ("Training Data", 3),
    ("Training Procedure", 3),
    ("Evaluation", 2),
    ("Environmental Impact", 2),
    ("Citation", 2),
    ("Model Card Contact", 2),
)


def _placeholder_text(stream: Stream, card: Facts) -> str:
    """Fill in a template, but hardly: placeholders, TODO, empty sections, some prose."""
    filled = 0.05 + stream.uniform() * 0.5
    lazy = stream.pick((_MORE, _MORE, _MORE, "TODO", ""))
    parts = [f"# Model Card for {stream.pick((card.name, 'Model ID'))}"]
    for title, level in _TEMPLATE:
        # One section is always filled in: bare templates would be families that nobody planted.
        written = title == "Model Description" or stream.chance(filled)
        body = paragraph(stream, card.topic, 2) if written else lazy
        if stream.chance(0.1):
            body = f"<!-- What should the reader know about {title.lower()}? -->\n\n{body}"
        parts.append(f"{'#' * level} {title}\n\n{body}".rstrip())
    return "\n\n".join(parts) + "\n"


def _trainer_text(stream: Stream, card: Facts, family: int) -> str:
    """Write as a training script does; nothing in it names the one model it stands on."""
    topic = card.topic
    kind = stream.pick(topic.model_types)
    losses = sorted((stream.number(200, 2_900) / 1_000 for _ in range(4)), reverse=True)
    rows = [f"| {loss:.3f} | {epoch}.0 | {epoch * 250} |" for epoch, loss in enumerate(losses, 1)]
    settings = (
        ("learning_rate", stream.pick(("1e-05", "2e-05", "5e-05", "0.0003"))),
        ("train_batch_size", stream.pick(("4", "8", "16", "32", "64"))),
        ("seed", str(stream.number(1, 9_999))),
        ("num_epochs", "4"),
    )
    parts = [
        f"<!-- written by the training script, run {family} -->",
        f"# {kind}-{stream.pick(topic.tags)}",
        f"A {kind} model after training on a {stream.pick(topic.nouns)} collection. "
        f"It reaches a loss of {losses[-1]} on the held-out part.",
        paragraph(stream, topic, stream.number(2, 6)),
        f"## Intended uses & limitations\n\n{_MORE}",
        f"## Training and evaluation data\n\n{_MORE}",
        "### Training hyperparameters\n\n" + "\n".join(f"- {k}: {v}" for k, v in settings),
        "### Training results\n\n| loss | epoch | step |\n|:---:|:---:|:---:|\n" + "\n".join(rows),
    ]
    return "\n\n".join(parts) + "\n"
