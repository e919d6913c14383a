"""The cards whose vectors point most nearly where another card's, or another vector, points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from .._public import taking_sources
from ..families import kept_shingles, similarity
from ..frames import narrow, text_key
from .points import drawn, row_hashes
from .vectors import (
    Floats,
    Rows,
    checked_ids,
    matrix,
    pieces,
    rows_of,
    same_size,
    usable,
    vectors,
    whole_number,
)

#: Cosines that are held at once: 64 MB.
_COSINES = 2**24


def neighbors(x: npt.ArrayLike, *, ids: Any, query: Any, top: int = 10) -> pl.DataFrame:
    """Find the cards nearest to a card or to a vector, by cosine, exactly.

    Parameters
    ----------
    x : array-like of numbers, shape (n, d)
        The vectors of the cards.
    ids : sequence of str, length n, or frame with ``id``
        The ids of the cards.
    query : str, list of str, or array-like of numbers
        The id of a card, or several; or a vector of d numbers, or a matrix of several.
    top : int, default 10
        Neighbours of each at most.

    Returns
    -------
    pl.DataFrame
        ``query`` (str: the id that was asked for; of vectors their number, from 0), ``rank``
        (int, from 1), ``id`` (str), ``similarity`` (float, the cosine, -1 to 1, in float64 and
        rounded to 12 decimals). In the order of the queries, then by rank; ties by id. A card is
        no neighbour of itself. Rows without a usable vector are nobody's neighbours.

    Raises
    ------
    NoFigure
        No card, or no card or vector that is asked for, has a usable vector.
    CardlabError
        An id that is not among the cards or is there twice, a vector of another length, or more
        or fewer ids than vectors.

    Notes
    -----
    All cosines are computed as float32 products in blocks of 64 MB, and every card that they
    cannot exclude is judged in float64: the result is that of brute force in float64. 1,000
    queries among a million vectors of 768 take some 10 to 30 seconds on two cores.

    Examples
    --------
    >>> cards = cl.make_cards(200)
    >>> cl.neighbors(cl.vectors(cards), ids=cards, query=cards["id"][1], top=1).row(0)
    ('team-flinono/stable-diffusion-bresokraho-gguf', 1,
    'ai-thihople/stable-diffusion-xl-krototovi-finetuned', 0.923...)
    """
    whole_number(top, 1, name="top")
    cards = Directions.of(x)
    names = checked_ids(ids, len(cards.x))
    if not len(cards.rows):
        raise schema.NoFigure(f"none of the {len(cards.x):,} vectors is usable.")
    asked, labels, rows = _asked(cards, names, query)
    kept = np.flatnonzero(np.isfinite(asked.length[rows]))
    if not len(kept):
        raise schema.NoFigure("none of what is asked for has a usable vector.")
    place = alphabetical(names)
    found: list[tuple[Rows, Rows, Rows, npt.NDArray[np.float64]]] = []
    step = max(_COSINES // len(cards.rows), 1)
    for start in range(0, len(kept), step):
        some = kept[start : start + step]
        near = _near(cards, asked.unit(rows[some]), top)
        for number, row, candidates in zip(some, rows[some], near, strict=True):
            if asked is cards:
                candidates = candidates[candidates != row]
            exact = cards.exact(candidates, np.full(len(candidates), row), other=asked)
            best = np.lexsort((place[candidates], -exact))[:top]
            rank = np.arange(1, len(best) + 1)
            found.append((np.full(len(best), number), rank, candidates[best], exact[best]))
    number, rank, other, cosine = map(np.concatenate, zip(*found, strict=True))
    queries = pl.Series(labels, dtype=pl.String).gather(number)
    nearest = {"query": queries, "rank": rank, "id": names.gather(other), "similarity": cosine}
    return pl.DataFrame(nearest).cast({"rank": pl.Int32})


def _asked(cards: Directions, names: pl.Series, query: Any) -> tuple[Directions, list[str], Rows]:
    """Give where the vectors asked for lie, what each is called, and its row there."""
    if isinstance(query, str):
        query = [query]
    if isinstance(query, pl.Series):
        query = query.to_list()
    if isinstance(query, (list, tuple)) and query and all(isinstance(q, str) for q in query):
        wanted = pl.Series(query)
        rows, twice = rows_of(wanted, names)
        if missing := wanted.filter(rows.is_null()).unique(maintain_order=True).to_list():
            shown = (repr(schema.shorten(schema.printable(name), 80)) for name in missing[:3])
            raise schema.CardlabError(
                f"{len(missing):,} of the ids asked for are not among the {len(names):,} cards: "
                f"{', '.join(shown)}. Ids are written as in the column id, upper and lower case "
                "alike."
            )
        if len(twice):
            raise schema.CardlabError(
                f"the id {schema.printable(twice[0])!r} is there more than once, so that it does "
                "not say which card is meant. Ask with the card's vector instead."
            )
        return cards, list(query), rows.to_numpy().astype(np.int64)
    try:
        values = np.atleast_2d(np.asarray(query))
    except ValueError:
        values = np.empty(0)
    if values.ndim != 2 or values.shape[1] != cards.x.shape[1] or values.dtype.kind not in "fiu":
        raise schema.CardlabError(
            f"query must be an id, a list of ids, or vectors of {cards.x.shape[1]} numbers as the "
            "cards have them."
        )
    numbers = np.arange(len(values))
    return Directions.of(values, name="query"), [str(i) for i in numbers], numbers


def _near(cards: Directions, asked: Floats, top: int) -> list[Rows]:
    """Give for each vector the rows that can be among the `top` and one more (itself)."""
    n = len(cards.rows)
    cosine = np.empty((len(asked), n), dtype=np.float32)
    step = max(_COSINES // max(cards.x.shape[1], len(asked)), 1)
    for start in range(0, n, step):
        rows = cards.rows[start : start + step]
        np.matmul(asked, cards.unit(rows).T, out=cosine[:, start : start + step])
    k = min(top + 1, n)
    found = []
    for row in cosine:
        least = np.partition(row, n - k)[n - k]
        found.append(cards.rows[np.flatnonzero(row >= least - 2 * cards.error)])
    return found


def alphabetical(ids: pl.Series) -> Rows:
    """Give the place of each row when the rows stand in the order of their ids."""
    order = ids.to_frame("id").with_row_index("row").sort("id", "row")["row"].to_numpy()
    return np.argsort(order)


# ---- Cosines of vectors: quick in float32 to find candidates, exact in float64 to judge them.

#: Numbers of one side of the pairs that are judged in one go: 16 MB of float64.
_CELLS = 2**21

#: Decimals of a cosine: what float64 leaves uncertain neither orders nor excludes a pair.
DECIMALS = 12


@dataclass(frozen=True)
class Directions:
    """The usable rows of a matrix, to be compared by direction."""

    #: The vectors as given, or scaled where their squares do not fit into float32.
    x: Floats
    #: The usable rows of `x`.
    rows: Rows
    #: The length of each row of `x`; NaN where it is not usable.
    length: npt.NDArray[np.float64]

    @classmethod
    def of(cls, x: npt.ArrayLike, *, name: str = "x") -> Directions:
        """Measure the lengths, block by block."""
        values = matrix(x, name=name)
        good = usable(values)
        rows = np.flatnonzero(good)
        length = np.full(len(values), np.nan)
        for piece in pieces(values):
            block = values[piece].astype(np.float64)
            length[piece] = np.sqrt(np.einsum("ij,ij->i", block, block))
        length[~good] = np.nan
        if len(rows) and not (length[rows].min() > 1e-12 and length[rows].max() < 1e12):
            scaled = np.full_like(values, np.nan)
            # Powers of two: no digit changes.
            powers = -np.frexp(length[rows])[1][:, None]
            scaled[rows] = np.ldexp(values[rows].astype(np.float64), powers)
            return cls.of(scaled)
        return cls(values, rows, length)

    @property
    def error(self) -> float:
        """How far a float32 product of two unit vectors can be from their cosine, at most."""
        return float(self.x.shape[1] + 8) * 2.0**-23

    def unit(self, rows: Rows | slice) -> Floats:
        """Give some rows at length 1."""
        return self.x[rows] / self.length[rows].astype(np.float32)[:, None]

    def exact(self, first: Rows, second: Rows, *, other: Directions | None = None) -> Any:
        """Give the cosines of pairs of rows, in float64 and rounded to 12 decimals."""
        other = other or self
        found = np.empty(len(first))
        step = max(_CELLS // self.x.shape[1], 1)
        for start in range(0, len(first), step):
            a, b = first[start : start + step], second[start : start + step]
            left, right = self.x[a].astype(np.float64), other.x[b].astype(np.float64)
            product = np.einsum("ij,ij->i", left, right)
            found[start : start + step] = product / (self.length[a] * other.length[b])
        return np.clip(np.round(found, DECIMALS), -1, 1)


# ---- Pairs of cards whose vectors are nearly the same, all of them, without comparing all
# numbers.

#: Rows of a block: a block of cosines is 16 MB.
_ROWS = 2_048

#: Directions in which pairs are looked at first, and rows on which these are found.
_FIRST = 64
_SAMPLE = 20_000

#: Where more than this share of a block's pairs remains, the whole block is multiplied out.
_DENSE = 1e-3


def near_duplicates(
    x: npt.ArrayLike,
    *,
    ids: Any,
    threshold: float = 0.98,
    cards: Any = None,
    likeness: float = 0.8,
    max_pairs: int = 5_000_000,
) -> pl.DataFrame:
    """Find all pairs of cards whose vectors have a cosine of at least `threshold`.

    Parameters
    ----------
    x, ids
        As :func:`neighbors` takes them; rows that are not usable are in no pair.
    threshold : float, default 0.98
        The least cosine: above 0, at most 1.
    cards : frame, optional
        The cards of the vectors, with ``text``. Of the pairs those are kept whose texts are alike
        too: like vectors alone do not say so, least of all those of stubs and templates.
    likeness : float, default 0.8
        With `cards`, the least likeness of two texts: above 0, at most 1.
    max_pairs : int, default 5,000,000
        Pairs at most. 10,000 copies of one card alone are 50 million pairs:
        :func:`~.shared_vectors` gives such copies as groups.

    Returns
    -------
    pl.DataFrame
        ``id_a``, ``id_b`` (str, in alphabetical order), ``similarity`` (float, the cosine in
        float64, rounded to 12 decimals): the most similar first, ties by id. Each pair of rows
        once. With `cards` also ``text_similarity`` (float, 0-1: the Jaccard similarity of the
        texts' shingles of three words, as in :func:`template_families`); a blank text is in no
        pair.

    Raises
    ------
    MissingColumn
        `cards` have no ``text``.
    CardlabError
        There are more than `max_pairs` pairs, or more or fewer ids or cards than vectors.

    Notes
    -----
    Exact at any size: the pairs of a brute-force search in float64. In a basis of the first 64
    principal directions, a cosine is at most the product in these plus the product of the two
    remainders' lengths (Cauchy-Schwarz); what this cannot exclude is multiplied out in float32,
    and what that cannot exclude in float64. Memory: the vectors, 65 / d of them again, and
    blocks of 16 MB; time grows with the square of the vectors.

    A likeness of 0.8 is what Lee and others (2022, Deduplicating Training Data Makes Language
    Models Better) take for near copies; different pairs of texts take some 0.1 ms each.

    Examples
    --------
    >>> cards = cl.make_cards(200)
    >>> cl.near_duplicates(cl.vectors(cards), ids=cards).row(0)
    ('ai-sabreve/wav2vec2-glaflotowe-v2', 'team-mibrithe/whisper-bripligleli', 0.999...)
    """
    for name, value in (("threshold", threshold), ("likeness", likeness)):
        if not isinstance(value, (int, float)) or not 0 < value <= 1:
            raise schema.CardlabError(f"{name} must be above 0 and at most 1, not {value!r}.")
    whole_number(max_pairs, 1, name="max_pairs")
    vectors = Directions.of(x)
    names = checked_ids(ids, len(vectors.x))
    if cards is not None:
        schema.require(cards, "text")
        same_size(schema.count(cards), len(vectors.x), name="cards", of="vectors")
    found = [(vectors.rows[:0], vectors.rows[:0], np.zeros(0))]
    n_pairs = 0
    for a, b in _close(vectors, threshold):
        exact = vectors.exact(a, b)
        kept = exact >= threshold
        found.append((a[kept], b[kept], exact[kept]))
        n_pairs += int(kept.sum())
        if n_pairs > max_pairs:
            raise schema.CardlabError(
                f"more than {max_pairs:,} pairs have a cosine of at least {threshold}. Raise "
                "threshold or max_pairs; cardlab.embeddings.neighbors.shared_vectors(cards) gives "
                "exact copies as groups."
            )
    first, second, cosine = map(np.concatenate, zip(*found, strict=True))
    one, other = np.sort(alphabetical(names)[np.stack([first, second])], axis=0)
    ordered = names.sort()
    pairs = pl.DataFrame(
        {"id_a": ordered.gather(one), "id_b": ordered.gather(other), "similarity": cosine}
    )
    if cards is not None:
        alike = _texts_alike(cards, first, second)
        pairs = pairs.with_columns(text_similarity=alike).filter(alike >= likeness)
    return pairs.sort(
        "similarity", "id_a", "id_b", descending=[True, False, False], nulls_last=True
    )


def _texts_alike(cards: Any, first: Rows, second: Rows) -> pl.Series:
    """Compare the texts of pairs of rows, those of many copies once; null where one is blank."""
    frame = narrow(cards, ["text"])
    keys = schema.collect(frame.select(key=text_key()))["key"]
    pairs = pl.DataFrame({"a": keys.gather(first), "b": keys.gather(second)})
    pairs = pairs.select(a=pl.min_horizontal("a", "b"), b=pl.max_horizontal("a", "b"))
    pairs = pairs.with_columns(blank=keys.gather(first).is_null() | keys.gather(second).is_null())
    different = pairs.filter(pl.col("a") != pl.col("b"), ~pl.col("blank")).unique()
    wanted = pl.concat([different["a"], different["b"]]).unique()
    sets = kept_shingles(frame, wanted) if len(wanted) else {}
    alike = [
        similarity(sets[a], sets[b]) if len(sets[a]) and len(sets[b]) else None
        for a, b, _ in different.iter_rows()
    ]
    different = different.select("a", "b", like=pl.Series(alike, dtype=pl.Float64))
    there = pairs.join(different, on=["a", "b"], how="left", maintain_order="left")
    same = pl.when(pl.col("a") == pl.col("b")).then(1.0).otherwise("like")
    return there.select(pl.when(~pl.col("blank")).then(same).alias("like")).to_series()


def _close(cards: Directions, threshold: float) -> Iterator[tuple[Rows, Rows]]:
    """Give pairs of rows, among them all whose cosine is at least `threshold`."""
    rows, head = cards.rows, _head(cards)
    least = threshold - 8 * cards.error
    for i in range(0, len(rows), _ROWS):
        one, unit = rows[i : i + _ROWS], cards.unit(rows[i : i + _ROWS])
        for j in range(i, len(rows), _ROWS):
            other = rows[j : j + _ROWS]
            maybe = head[i : i + _ROWS] @ head[j : j + _ROWS].T >= least
            if np.count_nonzero(maybe) > _DENSE * maybe.size and unit.shape[1] > head.shape[1]:
                maybe = unit @ cards.unit(other).T >= least
            a, b = np.nonzero(np.triu(maybe, 1) if i == j else maybe)
            yield one[a], other[b]


def _head(cards: Directions) -> Floats:
    """Give coordinates of the rows whose products are never less than their cosines.

    The last is the length of what the first principal directions leave out.
    """
    rows = cards.rows
    if cards.x.shape[1] <= _FIRST + 1:
        return cards.unit(rows)
    sample = cards.unit(rows[drawn(len(rows), _SAMPLE, 0)])
    basis = np.linalg.eigh((sample.T @ sample).astype(np.float64))[1][:, -_FIRST:]
    basis = np.ascontiguousarray(basis, dtype=np.float32)
    head = np.empty((len(rows), _FIRST + 1), dtype=np.float32)
    for start in range(0, len(rows), _ROWS):
        part = slice(start, start + _ROWS)
        head[part, :-1] = first = cards.unit(rows[part]) @ basis
        left = 1 - np.einsum("ij,ij->i", first, first, dtype=np.float64)
        # Rounding may make the rest too small, and the bound with it: never.
        head[part, -1] = np.sqrt(np.maximum(left, 0) + 4 * cards.error)
    return head


# ---- Cards whose vector is another card's too.


@taking_sources
def shared_vectors(
    cards: Any, *, x: npt.ArrayLike | None = None, same_text: bool | None = None
) -> pl.DataFrame:
    """Find cards that have one and the same vector, and whether they say the same.

    A vector that stands for different texts is not the cards' own: it was made from what they
    share, or by mistake. Everything made of it takes these cards for copies.

    Parameters
    ----------
    cards : frame
        Cards with ``id`` and ``text``, of which only hashes are held, and with ``embeddings``
        unless `x` is given. Without ``text`` it is not known whether the texts are the same.
    x : array-like of numbers, shape (n_cards, d), optional
        The vectors of the cards.
    same_text : bool, optional
        Only groups whose cards all have one text (True: copies), or have different ones (False:
        the fault).

    Returns
    -------
    pl.DataFrame
        One row for each vector that several cards have, the largest group first, ties by the
        first id: ``group`` (int, from 0), ``n_cards`` (int), ``card_share`` (float, 0-1, of the
        cards with a usable vector), ``n_texts`` (int, distinct texts; a missing one counts as
        one text; null without ``text``), ``same_text`` (bool), ``ids`` (list of str, sorted).
        The sum of ``card_share`` over ``same_text=False`` is the share of cards whose vector is
        not their own.

    Raises
    ------
    MissingColumn
        The cards have no ``id``, or neither they nor the call have vectors.
    NoFigure
        No card has a usable vector.
    CardlabError
        `x` has more or fewer rows than there are cards.

    Examples
    --------
    >>> from cardlab.embeddings.neighbors import shared_vectors
    >>> cards = {"id": ["a", "b"], "text": ["One.", "Two."], "embeddings": [[1.0, 0.0], [1.0, 0.0]]}
    >>> shared_vectors(cards)["n_cards", "n_texts", "same_text", "ids"].row(0)
    (2, 2, False, ['a', 'b'])
    """
    if same_text is not None:
        schema.one_of(same_text, (True, False), name="same_text")
    have = schema.require(cards, "id")
    given = vectors(cards) if x is None else matrix(x)
    columns = narrow(cards, [name for name in ("id", "text") if name in have])
    text = pl.col("text").cast(pl.String).hash() if "text" in have else pl.lit(None, pl.UInt64)
    frame = schema.collect(columns.select(pl.col("id").cast(pl.String), text=text))
    same_size(len(given), frame.height, name="x", of="cards")
    rows = np.flatnonzero(usable(given))
    if not len(rows):
        raise schema.NoFigure(f"none of the {len(given):,} vectors is usable.")
    frame = frame[rows].with_columns(vector=pl.Series(row_hashes(given, rows)))
    n_texts = pl.col("text").n_unique().cast(pl.Int64) if "text" in have else pl.lit(None, pl.Int64)
    groups = (
        frame.filter(pl.col("vector").is_duplicated())
        .group_by("vector")
        .agg(pl.len().cast(pl.Int64).alias("n_cards"), n_texts=n_texts, ids=pl.col("id").sort())
        .with_columns(same_text=pl.col("n_texts") == 1, card_share=pl.col("n_cards") / len(rows))
        .sort("n_cards", pl.col("ids").list.first(), "vector", descending=[True, False, False])
    )
    if same_text is not None:
        groups = groups.filter(pl.col("same_text") == same_text)
    number = pl.int_range(pl.len(), dtype=pl.Int32).alias("group")
    return groups.select(number, "n_cards", "card_share", "n_texts", "same_text", "ids")
