"""Families of cards that share a text, to the letter or nearly, or the template beneath it."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl

from .frames import as_polars, in_batches, narrow, text_key
from .schema import CardlabError, Frame, collect, one_of, require

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
        part = pl.col("words").list.len().cast(pl.Int64).cum_sum() // _WORDS_AT_ONCE
        for _, some in hashed.group_by(part, maintain_order=True):
            n_words = some["words"].list.len().to_numpy().astype(np.int64)
            values = some["words"].explode(empty_as_null=False, keep_nulls=False).to_numpy()
            yield Batch(some["key"].to_numpy(), *_shingles(values, n_words))


def _new_texts(query: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Run a query with ``key`` a batch of rows at a time; the first row of each key only."""
    seen: set[int] = set()
    for rows in in_batches(query, _BATCH):
        new = rows.unique("key", keep="first", maintain_order=True)
        new = new.filter([key not in seen for key in new["key"]])
        seen.update(new["key"])
        yield new


def _shingles(words: Any, n_words: Any) -> tuple[Any, Any]:
    """Make shingles of the hashes of words, and say where those of each text end."""
    n_shingles = np.where(n_words > 0, np.maximum(n_words - SHINGLE + 1, 1), 0)
    text_ends = np.cumsum(n_words)
    place = _ranges(text_ends - n_words, n_shingles)
    # a text of fewer words is one shingle: what would lie beyond it counts as no word
    last = np.repeat(text_ends, n_shingles)
    padded = np.append(words, np.zeros(SHINGLE, dtype=np.uint64))
    mixed = np.zeros(len(place), dtype=np.uint64)
    for step in range(SHINGLE):
        word = np.where(place + step < last, padded[place + step], np.uint64(0))
        mixed = spread(mixed + word + _SPREAD[0])
    return mixed, np.cumsum(n_shingles)


def _ranges(starts: Any, sizes: Any) -> Any:
    """Give the whole numbers from each start, so many of each, one range after another."""
    ends = np.cumsum(sizes)
    return np.repeat(starts - ends + sizes, sizes) + np.arange(ends[-1] if len(ends) else 0)


def spread(numbers: Any) -> Any:
    """Spread numbers evenly over 64 bits (the finaliser of splitmix64)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _SPREAD[1]
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _SPREAD[2]
    return numbers ^ (numbers >> np.uint64(31))


# ---- What is left of a text where the slots of its template are masked.

#: What no reader sees: addresses, comments, tags of HTML.
_UNSEEN = r"(?is)<!--.*?-->|</?[a-z][^<>]*>|\bhttps?://\S*"
#: And the card of another model beneath a card, as those who quantise models quote it.
_NOT_OWN = (
    r"(?ims)^(?:#+[ \t]*original\b[^\n]{0,30}?\b(?:card|description|readme)\b"
    rf"|original model (?:card|description):?[ \t\r]*$).*\z|{_UNSEEN}"
)
#: What fills a slot: what follows a label in a list, a row of a table, a name (a version, a path).
_SLOT = (
    r"(?m)^([ \t]*(?:[-*+•]|\d+[.)])[ \t]+[^:\n]{1,40}:).*|^[ \t]*\|.*"
    r"|\]\([^()\s]*\)|\S*[\d/@\\]\S*"
)
#: Bytes of letters below which nothing is left to compare: such a text stands for itself.
_BARE = 20
_NO_LETTERS = r"[^\p{L}\p{M}]+", " "


def structure() -> pl.Expr:
    """Give the words of ``text`` without what fills its slots, in lower case."""
    text = pl.col("text").cast(pl.String)
    bare = text.str.replace_all(_NOT_OWN, " ").str.replace_all(_SLOT, "$1 ")
    words = bare.str.replace_all(*_NO_LETTERS).str.to_lowercase()
    return pl.when(words.str.len_bytes() >= _BARE).then(words).otherwise(text).alias("text")


#: Headings in a row that two cards of one template share, and the part of the threshold that their
#: likeness must then have.
_RUN, _HEADED = 4, 0.7


def heading_runs() -> pl.Expr:
    """Give hashes of each few headings of ``text`` in a row, without what fills their slots."""
    heads = pl.col("text").cast(pl.String).str.replace_all(_NOT_OWN, " ")
    heads = heads.str.extract_all(r"(?m)^ {0,3}#{1,6}[ \t].*")
    bare = pl.element().str.replace_all(r"\S*[\d/@\\_-]\S*", " ").str.replace_all(*_NO_LETTERS)
    heads = heads.list.eval(bare.str.to_lowercase().str.strip_chars())
    heads = heads.list.eval(pl.element().filter(pl.element() != ""))
    run = pl.concat_str([pl.element().shift(-step) for step in range(_RUN)], separator="\n")
    return heads.list.eval(run.drop_nulls().hash(seed=0)).alias("runs")


# ---- Names for families: the words of their examples.

_NAME_WORD = r"\p{L}[\p{L}\p{M}\p{N}_-]+"
_SHORTEST, _LONGEST = 3, 24
_WORDS = 4


def names_of(cards: pl.LazyFrame, keys: pl.Series) -> list[str | None]:
    """Name texts by their commonest words, those before others that few of the texts use.

    Up to four words of 3 to 24 letters, ranked by how often the text has them, times
    ``log((1 + n) / m)`` where m of the n texts have the word, then by name.
    """
    rows = cards.select(text_key().alias("key"), pl.col("text").cast(pl.String))
    plain = pl.col("text").str.replace_all(_UNSEEN, " ").str.to_lowercase()
    found = pl.concat(
        new.select("key", plain.str.extract_all(_NAME_WORD).alias("word"))
        .explode("word", empty_as_null=False, keep_nulls=False)
        .filter(pl.col("word").str.len_chars().is_between(_SHORTEST, _LONGEST))
        .group_by("key", "word")
        .len()
        for new in _new_texts(rows.filter(pl.col("key").is_in(keys.implode())))
    )
    rare = ((1 + keys.len()) / pl.len().over("word")).log()
    ranked = (
        found.with_columns((pl.col("len") * rare).alias("weight"))
        .sort("key", "weight", "word", descending=[False, True, False])
        .group_by("key", maintain_order=True)
        .agg(pl.col("word").head(_WORDS).str.join(", "))
    )
    named = keys.to_frame().join(ranked, on="key", how="left", maintain_order="left")
    return named["word"].to_list()


# ---- MinHash signatures and bands: which texts may be alike, without comparing all pairs.

#: Numbers of a signature: four bytes each, 512 for a text.
SIZE = 128
#: Share of the pairs at the threshold that the bands must let through.
_RECALL = 0.997
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


def kept_shingles(cards: pl.LazyFrame, keys: Any) -> dict[int, Any]:
    """Read the texts with these keys once more: the distinct shingles of each, 32 bits, sorted.

    Of a text with more than `_KEPT` only the smallest are kept, and one more as a sign of it: those
    are a random sample, in which any two texts can be compared.
    """
    found: dict[int, Any] = {}
    for batch in read_shingles(cards, only=keys) if len(keys) else ():
        hashes = (batch.hashes >> np.uint64(32)).astype(np.uint32)
        for key, own in zip(batch.keys.tolist(), np.split(hashes, batch.ends[:-1]), strict=True):
            found[key] = np.unique(own)[: _KEPT + 1].copy()
    return found


def similarity(a: Any, b: Any) -> float:
    """Give the Jaccard similarity of two sets of :func:`kept_shingles`, 0-1."""
    tops = [side[_KEPT - 1] for side in (a, b) if len(side) > _KEPT]
    if tops:
        a, b = (side[: np.searchsorted(side, min(tops), side="right")] for side in (a, b))
    both = len(np.intersect1d(a, b, assume_unique=True))
    return both / (len(a) + len(b) - both)


# ---- Distinct texts, and the families that stand around some of them.

#: Standard errors of a signature's estimate within which a pair is compared exactly.
_DOUBT = 3.0


class Candidates:
    """Texts by the buckets that they share: in each band, those with the same numbers."""

    def __init__(self, signs: Any, threshold: float) -> None:
        from scipy.sparse import csr_array

        rows = rows_per_band(threshold)
        self.signs, n_buckets = signs, 0
        #: The bucket of each text in each band, numbered through all bands.
        self.buckets = np.empty((len(signs), SIZE // rows), dtype=np.int32)
        for number in range(self.buckets.shape[1]):
            band = np.full(len(signs), number * rows, dtype=np.uint64)
            for column in range(number * rows, (number + 1) * rows):
                band = spread(band + signs[:, column])
            distinct, which = np.unique(band, return_inverse=True)
            self.buckets[:, number] = which + n_buckets
            n_buckets += len(distinct)
        starts = np.arange(0, self.buckets.size + 1, self.buckets.shape[1])
        inside = np.ones(self.buckets.size, dtype=bool), self.buckets.ravel(), starts
        texts = csr_array(inside, shape=(len(signs), max(n_buckets, 1))).tocsc()
        #: Texts, bucket by bucket, where those of each begin and how many it has.
        self.texts, self.starts, self.sizes = texts.indices, texts.indptr, np.diff(texts.indptr)
        self.least = threshold - _DOUBT * np.sqrt(threshold * (1 - threshold) / SIZE)

    def degree(self) -> Any:
        """Count, over all bands, the others in each text's buckets; a text without words has 0."""
        worded = (self.signs != np.iinfo(np.uint32).max).any(axis=1)
        return np.where(worded, (self.sizes - 1)[self.buckets].sum(axis=1), 0)

    def of(self, text: int, free: Any) -> Any:
        """Give the texts that may be near copies of one, those that are `free` only.

        What is no longer free leaves the buckets: in those of a large family it would be met by
        each of its members anew.
        """
        own = self.buckets[text]
        starts, sizes = self.starts[own], self.sizes[own]
        shared = self.texts[_ranges(starts, sizes)]
        kept = free[shared]
        left = np.bincount(np.repeat(np.arange(len(own)), sizes)[kept], minlength=len(own))
        self.texts[_ranges(starts, left)] = shared[kept]
        self.sizes[own] = left
        mates = np.unique(shared[kept])
        return mates[(self.signs[mates] == self.signs[text]).mean(axis=1) >= self.least]


def find_families(cards: pl.LazyFrame, known: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Put the texts of cards into families; `known` has ``id`` and the ``key`` of its text.

    With :func:`heading_runs` as well, texts that share one need to be less alike. A row for each
    different text that is in a family: ``key``, ``n`` (its cards), ``id`` (the first of them),
    ``family`` (the largest first, then by the id of the example), ``like`` (its likeness to the
    example) and ``example`` (whether the family stands around it).
    """
    read = [(batch.keys, signatures(batch)) for batch in read_shingles(cards)]
    key = np.concatenate([np.empty(0, dtype=np.uint64), *(keys for keys, _ in read)])
    signs = np.concatenate([np.empty((0, SIZE), dtype=np.uint32), *(signed for _, signed in read)])
    by_key, lower = known.group_by("key"), 1.0
    runs: dict[int, set[int]] = {}
    if "runs" in known.columns:
        lower = _HEADED
        each = by_key.agg(pl.col("runs").explode().drop_nulls().unique())
        runs = {own: set(of) for own, of in each.iter_rows() if of}
    candidates = Candidates(signs, threshold * lower)
    degree = candidates.degree()
    of_key = by_key.agg(pl.len().cast(pl.Int64).alias("n"), pl.col("id").min().cast(pl.String))
    texts = pl.DataFrame({"key": key, "degree": degree})
    texts = texts.join(of_key, on="key", how="left", maintain_order="left").with_row_index("row")
    down = [True, True, False, False]
    order = texts.sort("n", "degree", "id", "key", descending=down, nulls_last=True)["row"]
    sets = kept_shingles(cards, key[degree > 0])
    around, like = _grown(candidates, sets, runs, texts, order.to_list(), threshold)
    texts = (
        texts.with_columns(pl.Series("around", around), pl.Series("like", like))
        .filter(pl.col("around") >= 0)
        .with_columns(example=pl.col("row") == pl.col("around"))
    )
    numbers = (
        texts.group_by("around")
        .agg(pl.col("n").sum(), pl.col("id", "key").filter("example").first())
        .sort("n", "id", "key", descending=[True, False, False], nulls_last=True)
        .select("around", pl.int_range(pl.len(), dtype=pl.Int64).alias("family"))
    )
    return texts.join(numbers, on="around", maintain_order="left")


def _grown(
    candidates: Candidates,
    sets: dict[int, Any],
    runs: dict[int, set[int]],
    texts: pl.DataFrame,
    order: list[int],
    threshold: float,
) -> tuple[Any, Any]:
    """Let families grow around texts, in this order.

    Gives the place of the text that the family of each stands around (-1: in none), and the
    likeness to it.
    """
    keys, n_cards = texts["key"].to_list(), texts["n"].to_numpy()
    free, loosest = np.ones(len(keys), dtype=bool), max(2 * threshold - 1, threshold / 2)
    around, like = np.full(len(keys), -1, dtype=np.int64), np.ones(len(keys))

    def near(text: int, others: Any, least: float, lower: float) -> tuple[Any, Any]:
        own, headings = sets[keys[text]], runs.get(keys[text], set())
        found = np.array([similarity(own, sets[keys[other]]) for other in others.tolist()], float)
        enough = found >= least
        for at in np.flatnonzero(~enough & (found >= lower)) if headings else ():
            enough[at] = not headings.isdisjoint(runs.get(keys[others[at]], ()))
        return others[enough], found[enough]

    for centre in order:
        if not free[centre]:
            continue
        free[centre] = False
        members = [centre]
        for member in members if keys[centre] in sets else ():  # grows while it is read
            mates, alike = near(member, candidates.of(member, free), threshold, _HEADED * threshold)
            if member != centre:
                mates, alike = near(centre, mates, loosest, loosest)
            like[mates] = alike
            free[mates] = False
            members.extend(mates.tolist())
        if n_cards[members].sum() > 1:
            around[members] = centre
    return around, like


# ---- ``template_families`` and ``with_families``.

_SCHEMA = {
    "family": pl.Int64, "name": pl.String, "kind": pl.String, "n_cards": pl.Int64,
    "card_share": pl.Float64, "n_texts": pl.Int64, "n_exact": pl.Int64,
    "shared_share": pl.Float64, "shared_low": pl.Float64, "example_id": pl.String,
    "n_total": pl.Int64, "n_blank": pl.Int64,
}  # fmt: skip


#: By what cards are of one family, and the likeness from which they are where none is given.
_LIKE = {"text": 0.9, "structure": 0.5}
By = Literal["text", "structure"]


def template_families(
    cards: Any, *, by: By = "text", threshold: float | None = None
) -> pl.DataFrame:
    """Find the cards that share a text, to the letter or nearly, or that fill in one template.

    Parameters
    ----------
    cards : frame
        With ``id`` and ``text``. A lazy polars frame is read three or four times, batch by batch;
        of a text some 500 bytes are kept, up to 4 kB more of one that may have a near copy. An
        engine other than polars hands over its ids and texts.
    by : {'text', 'structure'}, default 'text'
        What is compared. ``'structure'`` is a text without what fills the slots of a template, as
        automatic cards and series of one author have them; see the Notes.
    threshold : float, optional
        Jaccard similarity of the sets of shingles from which two texts are near copies: at least
        0.5, at most 1. 1 leaves copies that differ only in white space and punctuation. By default
        0.9 by text and 0.5 by structure.

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

        By structure, a text stands in each of these for what is left of it. No rows where no two
        cards share a text.

    Raises
    ------
    MissingColumn
        The cards lack ``id`` or ``text``.
    CardlabError
        `threshold` is not between 0.5 and 1, or `by` is none of the two.

    Notes
    -----
    A shingle is three consecutive words; a word is a run of letters, digits and underscores, and
    in scripts that set no blanks between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese)
    each single character. Punctuation and white space do not count, case does. A text of one or
    two words is one shingle; one without any word has exact copies only.

    Candidates come from MinHash signatures in bands (A. Z. Broder, "On the resemblance and
    containment of documents", 1997; P. Indyk and R. Motwani, 1998): two texts at the threshold
    meet with a chance of 0.997 or more. They are then compared by their shingles: exactly up to
    1,024 different ones, beyond by a sample of as many, whose standard error is below 0.01.

    Likeness is not transitive: a chain of small changes may lead to a wholly different text. A
    family therefore stands around one text, that with the most copies (then with the most
    candidates, then the first by id), and takes in what is a near copy of any of its cards *and*
    like that text by at least ``2 * threshold - 1``, and half of `threshold`. A text stays with
    the family that grew first, and one that is a near copy of it only may be left alone. The order
    of the cards makes no difference.

    Of the texts only a hash of 64 bits tells exact copies: of two million different ones, two
    have the same with a chance of one in ten million.

    By structure the headings and sentences of a text count, in lower case, but none of what one
    card has in place of another's: addresses, names (words with a digit, a slash, an ``@``), the
    rows of tables, in lists what follows a label and its colon, and the card of the original model
    beneath its heading. Where less than 20 bytes are left, the text stands for itself. Of texts
    that share four headings in a row, 0.7 of the threshold is enough. Cards whose headings alone
    are equal are no family: the same headings may be filled by different texts.

    Examples
    --------
    >>> families = cl.template_families(cl.make_cards(200))
    >>> families["kind", "n_cards", "n_texts", "example_id"].row(0)
    ('exact', 9, 1, 'ai-leglimo/llama-diplesafla')
    """
    texts, frame, keys = _find(cards, by, threshold)
    if texts.is_empty():
        return pl.DataFrame(schema=_SCHEMA)
    names = names_of(frame, texts.filter("example").sort("family")["key"])
    n, like, one = pl.col("n"), pl.col("like"), pl.col("n_texts") == 1
    return (
        texts.group_by("family")
        .agg(
            n.sum().alias("n_cards"),
            pl.len().cast(pl.Int64).alias("n_texts"),
            ((like * n).sum() / n.sum()).alias("shared_share"),
            like.min().alias("shared_low"),
            pl.col("id").filter("example").first().alias("example_id"),
        )
        .sort("family")
        .with_columns(
            pl.Series("name", names, dtype=pl.String),
            pl.when(one).then(pl.lit("exact")).otherwise(pl.lit("near")).alias("kind"),
            (pl.col("n_cards") / keys.len()).alias("card_share"),
            (pl.col("n_cards") - pl.col("n_texts")).alias("n_exact"),
            pl.lit(keys.len()).alias("n_total"),
            pl.lit(keys.null_count()).alias("n_blank"),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in _SCHEMA.items())
    )


def with_families(cards: Frame, *, by: By = "text", threshold: float | None = None) -> Frame:
    """Add the family of each card that shares its text, or its template, with another.

    Parameters
    ----------
    cards : frame
        With ``id`` and ``text``, as for :func:`template_families`.
    by, threshold : optional
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
    What has no ``families=`` counts each family once where it gets
    ``cards.sort("id").filter(pl.col("family").is_null() | pl.col("family").is_first_distinct())``.

    The texts are read at once, also those of a lazy frame: no card's family is known before all
    are. A lazy frame reads them once more where ``family`` is asked for.

    Examples
    --------
    >>> cards = cl.with_families(cl.make_cards(200))
    >>> cl.tag_counts(cards, families="family")["tag", "n_cards", "n_families"].row(0)
    ('region:us', 199, 175)
    """
    texts = _find(cards, by, threshold)[0]
    compared = structure() if by == "structure" else pl.col("text")
    number = text_key("family").replace_strict(
        texts["key"], texts["family"], default=None, return_dtype=pl.Int64
    )
    added: Frame = as_polars(cards).with_columns(compared.alias("family")).with_columns(number)
    return added


#: The families of the last corpus, by the hashes of its ids and texts: who asks for a table and
#: for a column has them found once.
_found: dict[tuple[str, float, bytes], pl.DataFrame] = {}


def _find(
    cards: Any, by: str, threshold: float | None
) -> tuple[pl.DataFrame, pl.LazyFrame, pl.Series]:
    """Give the families, the frame of ids and of what is compared, and the key of each card's."""
    one_of(by, _LIKE, name="by")
    least = _LIKE[by] if threshold is None else threshold
    number = isinstance(least, (int, float)) and not isinstance(least, bool)
    if not number or not 0.5 <= least <= 1:
        raise CardlabError(f"threshold must be at least 0.5 and at most 1, not {threshold!r}.")
    require(cards, "id", "text")
    frame = narrow(cards, ["id", "text"])
    if by == "structure":
        frame = frame.with_columns(structure(), heading_runs())
    known = collect(frame.select("id", text_key().alias("key"), pl.col("^runs$")))
    rows = blake2b(
        known.select("id", "key").hash_rows(seed=0).to_numpy().tobytes(), digest_size=16
    ).digest()
    corpus = by, float(least), rows
    if corpus not in _found:
        texts = find_families(frame, known, float(least))
        if len(_found) >= len(_LIKE):  # by text and by structure, of one corpus
            _found.clear()
        _found[corpus] = texts
    return _found[corpus], frame, known["key"]
