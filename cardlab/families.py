"""Families of cards that share a text, to the letter or nearly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from .frames import as_polars, narrow, text_key
from .schema import CardlabError, Frame, collect, require, unreadable

# ---- Texts as sets of word shingles, read batch by batch; of a text only numbers are kept.

#: Consecutive words that make one shingle.
SHINGLE = 3

# scripts that set no blanks between words: each of their characters stands for a word
_NO_BLANKS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = rf"[{_NO_BLANKS}]|[[\p{{L}}\p{{M}}\p{{N}}_]--[{_NO_BLANKS}]]+"

#: Cards of a batch: a few megabytes of text, however many cards there are.
_BATCH = 1024
#: Words that are handled at once, so that a batch of very long cards is taken in parts.
_WORDS_AT_ONCE = 2_000_000

# odd constants that spread 64 bits (splitmix64, and the golden ratio)
_SPREAD = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)


class Batch(NamedTuple):
    """Shingles of some texts that no earlier batch had.

    `hashes` are those of one text after another, repeated as in the text; they end at `ends`.
    """

    keys: Any
    hashes: Any
    ends: Any


def read_shingles(cards: pl.LazyFrame, *, only: Any = None) -> Iterator[Batch]:
    """Read each text that is not blank once, a batch at a time; `only` those with these keys."""
    kept = cards.select(pl.col("text").cast(pl.String), text_key().alias("key"))
    wanted = pl.col("key").is_not_null()
    if only is not None:
        wanted &= pl.col("key").is_in(pl.Series(only, dtype=pl.UInt64).implode())
    words = pl.col("text").str.extract_all(_WORD).list.eval(pl.element().hash(seed=0))
    for new in _new_texts(kept.filter(wanted)):
        hashed = new.select("key", words.alias("words"))
        n_words = hashed["words"].list.len().to_numpy().astype(np.int64)
        part = np.cumsum(n_words) // _WORDS_AT_ONCE
        starts = np.flatnonzero(np.diff(part, prepend=-1))
        for begin, end in zip(starts, np.append(starts[1:], new.height), strict=False):
            some = hashed[int(begin) : int(end)]
            values = some["words"].explode(empty_as_null=False, keep_nulls=False).to_numpy()
            yield Batch(some["key"].to_numpy(), *_shingles(values, n_words[begin:end]))


def _new_texts(query: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Run a query with ``key`` a batch of rows at a time; the first row of each key only."""
    seen: set[int] = set()
    try:
        batches = query.collect_batches(chunk_size=_BATCH, engine="streaming")
        for batch in batches:  # a row group may come whole, however large
            for rows in batch.iter_slices(_BATCH):
                new = rows.unique("key", keep="first", maintain_order=True)
                new = new.filter([key not in seen for key in new["key"]])
                seen.update(new["key"])
                yield new
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError, OSError) as error:
        raise unreadable(error) from error


def _shingles(words: Any, n_words: Any) -> tuple[Any, Any]:
    """Make shingles of the hashes of words, and say where those of each text end."""
    n_shingles = np.where(n_words > 0, np.maximum(n_words - SHINGLE + 1, 1), 0)
    ends, text_ends = np.cumsum(n_shingles), np.cumsum(n_words)
    place = np.arange(int(n_shingles.sum())) - np.repeat(ends - n_shingles, n_shingles)
    place += np.repeat(text_ends - n_words, n_shingles)
    # a text of fewer words is one shingle: what would lie beyond it counts as no word
    last = np.repeat(text_ends, n_shingles)
    padded = np.append(words, np.zeros(SHINGLE, dtype=np.uint64))
    mixed = np.zeros(len(place), dtype=np.uint64)
    for step in range(SHINGLE):
        word = np.where(place + step < last, padded[place + step], np.uint64(0))
        mixed = spread(mixed + word + _SPREAD[0])
    return mixed, ends


def spread(numbers: Any) -> Any:
    """Spread numbers evenly over 64 bits (the finaliser of splitmix64)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _SPREAD[1]
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _SPREAD[2]
    return numbers ^ (numbers >> np.uint64(31))


# ---- Names for families: the words of their examples.

_NAME_WORD = r"\p{L}[\p{L}\p{M}\p{N}_-]+"
#: What no reader sees: addresses, comments, tags of HTML.
_UNSEEN = r"(?is)<!--.*?-->|</?[a-z][^<>]*>|\bhttps?://\S*"
_SHORTEST, _LONGEST = 3, 24
_WORDS = 4


def names_of(cards: pl.LazyFrame, keys: Any) -> list[str | None]:
    """Name texts by their commonest words, those before others that few of the texts use.

    Up to four words of 3 to 24 letters, ranked by how often the text has them, times
    ``log((1 + n) / m)`` where m of the n texts have the word, then by name.
    """
    wanted = pl.Series("key", keys, dtype=pl.UInt64)
    rows = cards.select(text_key().alias("key"), pl.col("text").cast(pl.String))
    plain = pl.col("text").str.replace_all(_UNSEEN, " ").str.to_lowercase()
    found = pl.concat(
        new.select("key", plain.str.extract_all(_NAME_WORD).alias("word"))
        .explode("word", empty_as_null=False, keep_nulls=False)
        .filter(pl.col("word").str.len_chars().is_between(_SHORTEST, _LONGEST))
        .group_by("key", "word")
        .len()
        for new in _new_texts(rows.filter(pl.col("key").is_in(wanted.implode())))
    )
    rare = ((1 + wanted.len()) / pl.len().over("word")).log()
    ranked = (
        found.with_columns((pl.col("len") * rare).alias("weight"))
        .sort("key", "weight", "word", descending=[False, True, False])
        .group_by("key", maintain_order=True)
        .agg(pl.col("word").head(_WORDS).str.join(", "))
    )
    named = wanted.to_frame().join(ranked, on="key", how="left", maintain_order="left")
    return named["word"].to_list()


# ---- MinHash signatures and bands: which texts may be alike, without comparing all pairs.

#: Numbers of a signature: four bytes each, 512 for a text.
SIZE = 128
#: Share of the pairs at the threshold that the bands must let through.
_RECALL = 0.999
#: Hashes of a text that are kept to compare it exactly; longer texts are compared by a sample.
_KEPT = 1024
_SEED = 1


def signatures(texts: Batch) -> Any:
    """Give the signature of each text, an array of `SIZE` numbers a row."""
    starts = np.append(0, texts.ends).astype(np.uint64)
    try:
        from rensa import RMinHash
    except ImportError:  # there is no wheel for each machine; numpy takes longer
        signs = np.full((len(texts.keys), SIZE), np.iinfo(np.uint32).max, dtype=np.uint32)
        worded = np.flatnonzero(np.diff(starts))
        seeds = np.arange(1, SIZE + 1, dtype=np.uint64) * _SPREAD[0]
        for number, seed in enumerate(seeds if len(worded) else ()):
            mixed = spread(texts.hashes + seed) >> np.uint64(32)
            signs[worded, number] = np.minimum.reduceat(mixed, starts[worded].astype(np.int64))
        return signs
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(texts.hashes, starts, SIZE, _SEED)
    return np.array(matrix.to_rows(), dtype=np.uint32).reshape(-1, SIZE)


def rows_per_band(threshold: float) -> int:
    """Choose the longest bands that still meet nearly all pairs at the threshold.

    Two texts of Jaccard similarity s share a band of r numbers with a chance of ``s**r``, and any
    of the bands with ``1 - (1 - s**r)**(SIZE / r)``.
    """
    for rows in (32, 16, 8, 4, 2):
        if 1 - (1 - threshold**rows) ** (SIZE // rows) >= _RECALL:
            return rows
    return 1


@dataclass
class Buckets:
    """Texts that share a band: for each band, its texts bucket by bucket, and where each is."""

    order: list[Any]
    first: list[Any]
    bucket: list[Any]

    def degree(self) -> Any:
        """Count, over all bands, the others in each text's buckets."""
        return sum(
            np.diff(first)[bucket] - 1
            for first, bucket in zip(self.first, self.bucket, strict=True)
        )

    def mates(self, text: int, free: Any) -> Any:
        """Give the texts that share a bucket with one, those that are `free` only."""
        found = [mates[free[mates]] for mates in self._shared(text)]
        return np.unique(np.concatenate(found))

    def _shared(self, text: int) -> Iterator[Any]:
        for order, first, bucket in zip(self.order, self.first, self.bucket, strict=True):
            at = bucket[text]
            yield order[first[at] : first[at + 1]]


def bucketed(signs: Any, rows: int) -> Buckets:
    """Put texts into buckets, band by band."""
    order, first, bucket = [], [], []
    for begin in range(0, SIZE, rows):
        band = np.full(len(signs), begin, dtype=np.uint64)
        for column in range(begin, begin + rows):
            band = spread(band + signs[:, column])
        sort = np.argsort(band, kind="stable").astype(np.int32)
        new = np.append(True, np.diff(band[sort]) != 0)
        which = np.empty(len(signs), dtype=np.int32)
        which[sort] = np.cumsum(new, dtype=np.int32) - 1
        order.append(sort)
        first.append(np.append(np.flatnonzero(new), len(signs)).astype(np.int32))
        bucket.append(which)
    return Buckets(order, first, bucket)


@dataclass
class Sets:
    """The distinct shingles of some texts, 32 bits each, to compare pairs by.

    Of a text with more than `_KEPT` shingles only the smallest hashes are kept (`cut`): those
    below the largest of them are a random sample, in which any two texts can be compared.
    """

    hashes: Any
    begin: Any
    end: Any
    cut: Any

    @classmethod
    def read(cls, cards: pl.LazyFrame, key: Any, maybe: Any) -> Sets:
        """Read the texts at the places `maybe` of `key` once more, and keep their shingles."""
        n_kept, cut = np.zeros(len(key), dtype=np.int64), np.zeros(len(key), dtype=bool)
        parts, order = [np.empty(0, dtype=np.uint32)], [np.empty(0, dtype=np.int64)]
        place = dict(zip(key[maybe].tolist(), maybe.tolist(), strict=True))
        for batch in read_shingles(cards, only=key[maybe]) if len(maybe) else ():
            lengths = np.diff(batch.ends, prepend=0)
            # the number of the text above the hash: one sort brings each text's in order
            row = np.repeat(np.arange(len(lengths), dtype=np.uint64), lengths)
            hashes = np.unique(row << np.uint64(32) | batch.hashes >> np.uint64(32))
            row = (hashes >> np.uint64(32)).astype(np.int64)
            count = np.bincount(row, minlength=len(lengths))
            rank = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
            parts.append((hashes & np.uint64(0xFFFFFFFF)).astype(np.uint32)[rank < _KEPT])
            order.append(np.array([place[text] for text in batch.keys.tolist()], dtype=np.int64))
            n_kept[order[-1]], cut[order[-1]] = np.minimum(count, _KEPT), count > _KEPT
        end, read = np.zeros(len(key), dtype=np.int64), np.concatenate(order)
        end[read] = np.cumsum(n_kept[read])
        return cls(np.concatenate(parts), end - n_kept, end, cut)

    def similarity(self, place: int, others: Any) -> Any:
        """Give the Jaccard similarity of one text to each of some others, 0-1."""
        return np.array([self._pair(place, other) for other in others.tolist()], dtype=float)

    def _pair(self, one: int, other: int) -> float:
        a, b = (self.hashes[self.begin[at] : self.end[at]] for at in (one, other))
        tops = [side[-1] for side, at in ((a, one), (b, other)) if self.cut[at]]
        if tops:
            a, b = (side[: np.searchsorted(side, min(tops), side="right")] for side in (a, b))
        both = len(np.intersect1d(a, b, assume_unique=True))
        return both / (len(a) + len(b) - both)


# ---- Distinct texts, and the families that stand around some of them.

#: Standard errors of a signature's estimate within which a pair is compared exactly.
_DOUBT = 3.0


@dataclass
class Texts:
    """All distinct texts that are not blank, and what was found of each.

    `copies` counts the cards of each and `first_id` is their first id. `family` is -1 where the
    text is in none, and `like` is its likeness to the text that the family stands around, whose
    place among the texts is in `example`, family by family.
    """

    key: Any
    copies: Any
    first_id: pl.Series
    family: Any
    like: Any
    example: list[int]


def find_families(cards: pl.LazyFrame, known: pl.DataFrame, threshold: float) -> Texts:
    """Put the texts of cards into families; `known` has ``id`` and the ``key`` of its text."""
    batches = [(batch.keys, signatures(batch)) for batch in read_shingles(cards)]
    keys = [np.empty(0, dtype=np.uint64), *(keys for keys, _ in batches)]
    key = np.concatenate(keys)
    counted = known.group_by("key").agg(pl.len().cast(pl.Int64), pl.col("id").min())
    found = pl.DataFrame({"key": key}).join(counted, on="key", how="left", maintain_order="left")
    texts = Texts(
        key=key,
        copies=found["len"].to_numpy(),
        first_id=found["id"].cast(pl.String),
        family=np.full(len(key), -1, dtype=np.int64),
        like=np.ones(len(key)),
        example=[],
    )
    if not len(key):
        return texts
    signs = np.concatenate([signed for _, signed in batches])
    # a text without words is like no other
    worded = np.flatnonzero((signs != np.iinfo(np.uint32).max).any(axis=1))
    degree = np.zeros(len(key), dtype=np.int64)
    buckets = bucketed(signs[worded], rows_per_band(threshold))
    degree[worded] = buckets.degree()
    sets = Sets.read(cards, key, np.flatnonzero(degree))
    rank = found.with_columns(pl.Series("degree", degree), texts.first_id.alias("id")).select(
        pl.arg_sort_by(
            "len", "degree", "id", "key", descending=[True, True, False, False], nulls_last=True
        )
    )
    _grow(
        texts,
        _Near(buckets, sets, signs, worded, threshold),
        order=rank.to_series().to_list(),
        degree=degree,
    )
    _number(texts)
    return texts


@dataclass
class _Near:
    """Near copies of a text, among those that have no family yet."""

    buckets: Buckets
    sets: Sets
    signs: Any
    worded: Any
    threshold: float

    def __post_init__(self) -> None:
        self._row = np.full(len(self.signs), -1, dtype=np.int64)
        self._row[self.worded] = np.arange(len(self.worded))
        spread = np.sqrt(self.threshold * (1 - self.threshold) / SIZE)
        self._doubt = self.threshold - _DOUBT * spread

    def of(self, text: int, free: Any) -> tuple[Any, Any]:
        """Give the near copies of a text that are `free`, ascending, and their likeness to it."""
        mates = self.worded[self.buckets.mates(int(self._row[text]), free[self.worded])]
        estimate = (self.signs[mates] == self.signs[text]).mean(axis=1)
        mates = mates[estimate >= self._doubt]
        like = self.sets.similarity(text, mates)
        near = like >= self.threshold
        return mates[near], like[near]


def _grow(texts: Texts, near: _Near, *, order: list[int], degree: Any) -> None:
    """Let families grow around texts, those with the most copies first."""
    free = np.ones(len(order), dtype=bool)
    for centre in order:
        if not free[centre]:
            continue
        free[centre] = False
        members = [centre]
        if degree[centre]:
            for member in members:  # grows while it is read
                mates, like = near.of(member, free)
                if member != centre and len(mates):
                    like = near.sets.similarity(centre, mates)
                    inside = like >= 2 * near.threshold - 1
                    mates, like = mates[inside], like[inside]
                texts.like[mates] = like
                free[mates] = False
                members.extend(mates.tolist())
        if texts.copies[members].sum() > 1:
            texts.family[members] = len(texts.example)
            texts.example.append(centre)


def _number(texts: Texts) -> None:
    """Put the families in order: the most cards first, then by the id of the example."""
    if not texts.example:
        return
    grouped = texts.family >= 0
    n_cards = np.bincount(texts.family[grouped], weights=texts.copies[grouped])
    order = pl.DataFrame(
        {"n": n_cards, "id": texts.first_id.gather(texts.example), "key": texts.key[texts.example]}
    ).select(pl.arg_sort_by("n", "id", "key", descending=[True, False, False], nulls_last=True))
    old = order.to_series().to_numpy()
    new = np.empty(len(old), dtype=np.int64)
    new[old] = np.arange(len(old))
    texts.family[grouped] = new[texts.family[grouped]]
    texts.example[:] = [texts.example[at] for at in old]


# ---- ``template_families`` and ``with_families``.

_SCHEMA = {
    "family": pl.Int64, "name": pl.String, "kind": pl.String, "n_cards": pl.Int64,
    "card_share": pl.Float64, "n_texts": pl.Int64, "n_exact": pl.Int64,
    "shared_share": pl.Float64, "shared_low": pl.Float64, "example_id": pl.String,
    "n_total": pl.Int64, "n_blank": pl.Int64,
}  # fmt: skip


def template_families(cards: Any, *, threshold: float = 0.9) -> pl.DataFrame:
    """Find the cards that share a text, to the letter or nearly.

    Parameters
    ----------
    cards : frame
        With ``id`` and ``text``. A lazy polars frame is read three or four times, batch by batch;
        of a text some 500 bytes are kept, up to 4 kB more of one that may have a near copy. An
        engine other than polars hands over its ids and texts.
    threshold : float, default 0.9
        Jaccard similarity of the sets of shingles from which two texts are near copies: at least
        0.5, at most 1. 1 leaves copies that differ only in white space and punctuation.

    Returns
    -------
    pl.DataFrame
        One row a family of two cards or more, the largest first, then by ``example_id``:

        - ``family`` (Int64): its number, from 0, as in :func:`with_families`;
        - ``name``: the commonest words of its example that few other families use;
        - ``kind``: ``exact`` where all its cards have one text to the letter, else ``near``;
        - ``n_cards``, ``card_share`` (0-1, of all cards);
        - ``n_texts`` (different texts) and ``n_exact`` (cards that repeat, to the letter, the
          text of another: ``n_cards - n_texts``);
        - ``shared_share``, ``shared_low``: mean over its cards, and least, of the Jaccard
          similarity to the example (0-1; 1 for exact copies);
        - ``example_id``: the first id of the text that the family stands around;
        - ``n_total`` (cards looked at) and ``n_blank`` (of these, blank or without a text: they
          are in no family).

        No rows where no two cards share a text.

    Raises
    ------
    MissingColumn
        The cards lack ``id`` or ``text``.
    CardlabError
        `threshold` is not between 0.5 and 1.

    Notes
    -----
    A shingle is three consecutive words; a word is a run of letters, digits and underscores, and
    in scripts that set no blanks between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese)
    each single character. Punctuation and white space do not count, case does. A text of one or
    two words is one shingle; one without any word has exact copies only.

    Candidates come from MinHash signatures in bands (A. Z. Broder, "On the resemblance and
    containment of documents", 1997; P. Indyk and R. Motwani, 1998): two texts at the threshold
    meet with a chance of 0.999 or more. They are then compared by their shingles: exactly up to
    1,024 different ones, beyond by a sample of as many, whose standard error is below 0.01.

    Likeness is not transitive: a chain of small changes may lead from one text to a wholly
    different one. A family therefore stands around one text, that with the most copies (then
    with the most candidates, then the first by id), and takes in what is a near copy of any of
    its cards *and* at least ``2 * threshold - 1`` like that text. Where two families would overlap,
    the text stays with the one that grew first, and one that is a near copy of it only may be left
    alone. The order of the cards makes no difference.

    Of the texts only a hash of 64 bits tells exact copies: of two million different ones, two
    have the same with a chance of one in ten million.
    """
    texts, frame, keys = _find(cards, threshold)
    if not texts.example:
        return pl.DataFrame(schema=_SCHEMA)
    names = names_of(frame, texts.key[texts.example])
    n_total = keys.len()
    copies = pl.col("copies")
    rows = (
        pl.DataFrame({"family": texts.family, "copies": texts.copies, "like": texts.like})
        .filter(pl.col("family") >= 0)
        .group_by("family")
        .agg(
            copies.sum().alias("n_cards"),
            pl.len().cast(pl.Int64).alias("n_texts"),
            ((pl.col("like") * copies).sum() / copies.sum()).alias("shared_share"),
            pl.col("like").min().alias("shared_low"),
        )
        .sort("family")
    )
    one = pl.col("n_texts") == 1
    return rows.with_columns(
        pl.Series("name", names, dtype=pl.String),
        pl.when(one).then(pl.lit("exact")).otherwise(pl.lit("near")).alias("kind"),
        (pl.col("n_cards") / n_total).alias("card_share"),
        (pl.col("n_cards") - pl.col("n_texts")).alias("n_exact"),
        texts.first_id.gather(texts.example).alias("example_id"),
        pl.lit(n_total).alias("n_total"),
        pl.lit(keys.null_count()).alias("n_blank"),
    ).select(pl.col(name).cast(dtype) for name, dtype in _SCHEMA.items())


def with_families(cards: Frame, *, threshold: float = 0.9) -> Frame:
    """Add the family of each card that shares its text with another.

    Parameters
    ----------
    cards : frame
        With ``id`` and ``text``, as for :func:`template_families`.
    threshold : float, default 0.9
        As there.

    Returns
    -------
    pl.DataFrame or pl.LazyFrame
        `cards` (lazy if it was lazy) with ``family`` (Int64), the number of
        :func:`template_families`; null where a card shares its text with none, or has none. A
        column of that name is replaced. Counts take it as ``families="family"``.

    Raises
    ------
    MissingColumn, CardlabError
        As in :func:`template_families`.

    Notes
    -----
    The texts are read at once, also those of a lazy frame: no card's family is known before all
    are. A lazy frame reads them once more where ``family`` is asked for.
    """
    texts = _find(cards, threshold)[0]
    order = np.argsort(texts.key)
    keys, family = texts.key[order], texts.family[order]

    def look_up(values: pl.Series) -> pl.Series:
        if not len(keys):
            return pl.Series(values.name, [None] * values.len(), dtype=pl.Int64)
        wanted = values.fill_null(0).to_numpy()
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        there = (keys[at] == wanted) & values.is_not_null().to_numpy() & (family[at] >= 0)
        numbers = pl.Series(values.name, family[at], dtype=pl.Int64)
        return numbers.set(~pl.Series(there), None)

    frame = as_polars(cards)
    number = text_key().map_batches(look_up, return_dtype=pl.Int64, is_elementwise=True)
    added: Frame = frame.with_columns(number.alias("family"))
    return added


#: The families of the last corpus, by the hashes of its ids and texts: who asks for a table and
#: for a column has them found once.
_found: dict[tuple[bytes, float], Texts] = {}


def _find(cards: Any, threshold: float) -> tuple[Texts, pl.LazyFrame, pl.Series]:
    """Give the families, the frame of ids and texts, and the key of each card's text."""
    number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
    if not number or not 0.5 <= threshold <= 1:
        raise CardlabError(f"threshold must be at least 0.5 and at most 1, not {threshold!r}.")
    require(cards, "id", "text")
    frame = narrow(cards, ["id", "text"])
    known = collect(frame.select("id", text_key().alias("key")))
    rows = known.hash_rows(seed=0).to_numpy().tobytes()
    corpus = blake2b(rows, digest_size=16).digest(), float(threshold)
    if corpus not in _found:
        texts = find_families(frame, known, float(threshold))
        _found.clear()
        _found[corpus] = texts
    return _found[corpus], frame, known["key"]
