"""Sentences: a small grammar in English, and a smaller one in four other languages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from ._topics import Topic

T = TypeVar("T")
_BLOCK = 65_536


class Stream:
    """Random picks for text; draws from the generator in blocks, which is much quicker."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._left: list[float] = []

    def uniform(self) -> float:
        if not self._left:
            self._left = self._rng.random(_BLOCK).tolist()
        return self._left.pop()

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self.uniform() * len(options))]

    def chance(self, share: float) -> bool:
        return self.uniform() < share

    def number(self, low: int, high: int) -> int:
        """Draw a whole number from low to high, both included."""
        return low + int(self.uniform() * (high - low + 1))


# n0, n1: nouns, v: a verb, a: an adjective (an: with its article), all of the topic; d: a number.
_PATTERNS = (
    "The model {v} each {n0} before it looks at the {n1}.",
    "We kept the {a} {n0} apart from every other {n1} while training.",
    "In our trials {an} {n0} mattered more than the size of the {n1}.",
    "It {v} the {n0} well, though {an} {n1} can still confuse it.",
    "About {d} % of the {n0} examples came with {an} {n1}.",
    "Do not expect a good {n0} when the {n1} is {a}.",
    "Each {n0} was checked by hand against its {n1}.",
    "For {an} {n0} one needs roughly {d} steps until the {n1} settles.",
    "Compared with our last release, the {n0} is less {a} and the {n1} more stable.",
    "Whoever changes the {n0} should measure the {n1} again.",
    "The {n0} and the {n1} share one schedule; only the {a} part was tuned.",
    "Users told us that it {v} too eagerly when the {n0} is {a}.",
    "We removed {d} cases whose {n0} contradicted the {n1}.",
    "Small changes to the {n0} leave the {a} {n1} as it was.",
    "Where the {n0} is missing, the model {v} what is left of the {n1}.",
    "Our notes on the {a} {n0} explain how the {n1} was chosen.",
)

# Nouns, and patterns for two of them.
_FOREIGN: dict[str, tuple[str, tuple[str, ...]]] = {
    "es": (
        "modelo texto corpus ejemplo resultado conjunto error ajuste prueba palabra",
        (
            "Este {0} se entrenó con un {1} pequeño.",
            "El {0} mejora cuando el {1} es claro.",
            "Cada {0} se revisó a mano junto con su {1}.",
        ),
    ),
    "ru": (
        "модель текст корпус пример результат набор ошибка обучение проверка слово",
        (
            "Здесь {0} и {1} описаны вместе.",
            "Каждый {0} проверен вручную, а {1} взят отдельно.",
            "Если {0} короткий, то {1} теряется.",
        ),
    ),
    "zh": (
        "模型 文本 语料 样本 结果 数据集 误差 训练 测试 词语",
        (
            "这个{0}使用了较小的{1}。",
            "当{0}清楚时，{1}会更好。",
            "每个{0}都与{1}一起经过人工检查。",
        ),
    ),
    "ar": (
        "النموذج النص المتن المثال الناتج المجموعة الخطأ التدريب الاختبار الكلمة",
        (
            "يعتمد {0} على {1} صغير.",
            "يتحسن {0} عندما يكون {1} واضحا.",
            "تمت مراجعة {0} يدويا مع {1}.",
        ),
    ),
}
FOREIGN_LANGUAGES = frozenset(_FOREIGN)


def sentence(stream: Stream, topic: Topic) -> str:
    pick = stream.pick
    adjective = pick(topic.adjectives)
    return pick(_PATTERNS).format(
        n0=pick(topic.nouns),
        n1=pick(topic.nouns),
        v=pick(topic.verbs),
        a=adjective,
        an=f"{article(adjective)} {adjective}",
        d=stream.number(2, 95),
    )


def article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def paragraph(stream: Stream, topic: Topic, n_sentences: int) -> str:
    return " ".join(sentence(stream, topic) for _ in range(n_sentences))


def foreign_paragraph(stream: Stream, language: str, topic: Topic, n_sentences: int) -> str:
    """Write in another language; now and then a word of the topic stays English."""
    nouns, patterns = _FOREIGN[language]
    words = (*nouns.split(), *topic.nouns[:4])
    made = (
        stream.pick(patterns).format(stream.pick(words), stream.pick(words))
        for _ in range(n_sentences)
    )
    return ("" if language == "zh" else " ").join(made)
