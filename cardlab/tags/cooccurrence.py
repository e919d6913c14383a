"""Which tags are on the same cards, and how far beyond chance."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import polars as pl

from ..frames import Coded, runs
from ..schema import CardlabError, at_least
from ..shares.authors import author_column
from ..shares.counting import numbered
from .counts import ranked
from .kinds import KINDS, NOT_PAIRED, checked_kinds, parted, read_tags
from .variants import folded, mapping_of

#: Pairs that one call counts or returns at most: beyond, memory is measured in tens of GiB.
MAX_PAIRS_COUNTED = 500_000_000
MAX_PAIRS_RETURNED = 20_000_000
#: Cells of a table of all pairs up to which it is held whole, and pairs that are counted at once.
_DENSE, _CHUNK = 16_000_000, 250_000
#: Pairs with a q-value below this stand first where authors are known.
FOUND = 0.05
#: Share of a tag's cards that have the other too, from which on it is said to follow from it.
FOLLOWS = 0.9


def cooccurrence(
    cards: Any,
    *,
    column: str = "tags",
    kinds: Sequence[str] | None = None,
    top: int | None = 200,
    min_cards: int = 5,
    min_authors: int = 5,
    cluster: str | None = "author",
    families: str | None = None,
    variants: Any = None,
) -> pl.DataFrame:
    """Say which tags are on the same cards, and how far beyond chance.

    Parameters
    ----------
    cards : frame
        With `column`, a list of strings. A value counts once a card.
    column : str
        As in :func:`tag_counts`.
    kinds : sequence of str, optional
        Only tags of these kinds; see :func:`tag_kind`. By default, of ``tags`` all but
        ``language``, ``hub`` and ``region``: one multilingual card pairs hundreds of language
        codes, and what the Hub adds by itself is on nearly all cards. All are ``KINDS`` of
        ``cardlab.tags``.
    top : int or None
        Only the most frequent tags (ties by name); None takes all.
    min_cards : int
        Only pairs on at least so many cards.
    min_authors : int
        Only pairs on cards of at least so many authors are tested: what fewer do says little of
        others.
    cluster : str or None, default "author"
        The column of authors, whose cards are alike. None, and the default where there is no such
        column: cards count as independent. A card of which it is null is an author of its own.
    families : str, optional
        Counts copies once as well, as in :func:`tag_counts`.
    variants : pl.DataFrame or mapping, optional
        Spellings to count as one, as in :func:`tag_counts`.

    Returns
    -------
    pl.DataFrame
        One row a pair with ``tag_a < tag_b``; with N = all cards and n = cards with:

        - ``n_cards`` (both), ``n_a``, ``n_b``;
        - with authors ``n_authors`` (of cards with both), and ``top_author_share``: the share
          (0-1) of these cards that one author made;
        - ``support`` n_ab/N, ``confidence_ab`` n_ab/n_a, ``confidence_ba`` n_ab/n_b (0-1);
        - ``lift`` n_ab N/(n_a n_b) (0-inf, 1 by chance), ``leverage`` n_ab/N - n_a n_b/N^2;
        - ``jaccard`` n_ab/(n_a + n_b - n_ab) (0-1);
        - ``npmi`` ln(lift)/-ln(support) (-1 to 1, 0 by chance; 1 where both are on all cards;
          Bouma 2009);
        - ``p_value`` of a G-test of independence that respects authors (see Notes), null below
          `min_authors`; ``q_value`` after Benjamini and Hochberg 1995 over all pairs of the tags
          considered that `min_authors` authors have, those on fewer than `min_cards` cards, or of
          too few authors, counted as p = 1;
        - with `families` also ``n_families``, ``family_share``, ``family_npmi`` and
          ``family_q_value``: the same where a family counts once, by its first card;
        - ``derived`` (bool): the two follow from one another by how tags are made, so that their
          meeting is no finding (see Notes). Communities, charts and the notebook leave them out.

        First the pairs with a q-value below 0.05, then the others; of each, highest NPMI first,
        then most cards, then names. Without authors all by NPMI.

    Raises
    ------
    MissingColumn
        The cards have no such column.
    CardlabError
        The pairs would not fit in memory; the message says which argument to set.

    Notes
    -----
    With authors, what chance gives is the n_ab of authors who change places with others that have
    about as many cards (from one power of two to the next), and the G-statistic is divided by the
    design effect, its variance beside that of independent cards (Rao and Scott 1984): the cards of
    an author who has a tag on all or on none of them count as one. A property drawn at random for
    each author has p < 0.05 in 3-6 % of its pairs on real corpora, with cards taken as independent
    in half; :func:`negative_control` measures it on the cards at hand.

    Derived are: tags with one prefix and one value (``base_model:x``, ``base_model:finetune:x``);
    spellings of one word (``NeMo``, ``nemo``); and, where at least 90 % of the cards with one have
    the other, a value with and without its prefix (``squad``, ``dataset:squad``) and a word with
    what it is the prefix of (``diffusers``, ``diffusers:FluxPipeline``).

    A card with 4,000 tags has 8 million pairs and counts once for each, as any other card. Tags
    that are not among the `top`, or on fewer than `min_cards` cards, are dropped first: with
    ``top=200`` a card has 19,900 pairs at most. Pairs are counted in chunks of bounded size; if
    there are above 500 million in all, an error says what to set before any is counted.

    Examples
    --------
    >>> pairs = cl.cooccurrence(cl.make_cards(200), kinds=["free"])
    >>> pairs["tag_a", "tag_b", "n_cards", "npmi", "n_authors"].row(0)
    ('amber-lattice', 'slow-cooling', 8, 1.0, 8)
    """
    coded, author, first = considered(
        cards,
        cluster,
        column=column,
        kinds=kinds,
        top=top,
        min_cards=min_cards,
        families=families,
        variants=variants,
    )
    return table_of_pairs(coded, author, first, min_cards=min_cards, min_authors=min_authors)


def considered(
    cards: Any,
    cluster: str | None,
    *,
    column: str = "tags",
    kinds: Sequence[str] | None = None,
    top: int | None = 200,
    min_cards: int = 5,
    families: str | None = None,
    variants: Any = None,
) -> tuple[Coded, Any, Any]:
    """Read the values that are paired, authors, and first cards of families, or None of these."""
    at_least(min_cards, 1, name="min_cards")
    if top is not None:
        at_least(top, 2, name="top")
    if kinds is None and column == "tags":
        kinds = [kind for kind in KINDS if kind not in NOT_PAIRED]
    kinds = checked_kinds(kinds)
    coded, kind, first, who = read_tags(
        cards,
        column,
        families=families,
        mapping=mapping_of(variants),
        with_kinds=kinds is not None,
        author=author_column(cards, cluster, "sample"),
    )
    tags = ranked(coded, kind, kinds).filter(pl.col("n_cards") >= min_cards)
    tags = tags if top is None else tags.head(top)
    author = None if who is None else numbered(*who)
    return coded.only(tags["code"].sort().to_numpy()), author, first


def table_of_pairs(
    coded: Coded, author: Any, is_first: Any = None, *, min_cards: int, min_authors: int
) -> pl.DataFrame:
    """Count the pairs of the values that are considered, and measure them."""
    at_least(min_authors, 1, name="min_authors")
    key, n_both = _count_pairs(coded)
    enough = n_both >= min_cards
    key, n_both = key[enough], n_both[enough]
    if len(key) > MAX_PAIRS_RETURNED:
        raise CardlabError(
            f"{len(key):,} pairs of {len(coded.names):,} tags are on at least {min_cards:,} cards; "
            f"at most {MAX_PAIRS_RETURNED:,} are returned. Set top= to consider fewer tags, or "
            f"min_cards= (now {min_cards}) to a higher number."
        )
    columns = _measures(key, n_both, coded, author, min_authors)
    a, b = np.divmod(key, max(len(coded.names), 1))
    names = {"tag_a": coded.names.gather(a), "tag_b": coded.names.gather(b)}
    found = pl.DataFrame(names | columns)
    if is_first is not None:
        authors = None if author is None else author[is_first]
        found = found.with_columns(
            _of_families(coded.of_cards(is_first), authors, key, min_authors)
        )
    found = found.with_columns(derived=_derived(names, columns))
    first = (pl.col("q_value") < (0 if author is None else FOUND)).fill_null(False)
    down = [True, True, True, False, False]
    return found.sort([first, "npmi", "n_cards", "tag_a", "tag_b"], descending=down)


def _derived(names: dict[str, pl.Series], columns: dict[str, Any]) -> Any:
    """Mark the pairs whose tags follow from one another by how tags are made."""
    tags = pl.concat(names.values()).unique().sort()
    words: dict[str, int] = {"": -1}  # of separators only: like no other
    rows = [[words.setdefault(folded(part), len(words)) for part in parted(tag)] for tag in tags]
    prefix, value = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    a, b = (tags.search_sorted(side).to_numpy() for side in names.values())
    same = (value[a] == value[b]) & (value[a] >= 0)
    always = same & (prefix[a] == prefix[b])
    one_prefix = (prefix[a] < 0) != (prefix[b] < 0)
    head = ((prefix[a] < 0) & (value[a] == prefix[b])) | ((prefix[b] < 0) & (value[b] == prefix[a]))
    follows = np.maximum(columns["confidence_ab"], columns["confidence_ba"]) >= FOLLOWS
    return always | (one_prefix & (same | head) & follows)


def _of_families(once: Coded, author: Any, key: Any, min_authors: int) -> list[pl.Series]:
    """Give the measures of the pairs `key` where each family counts once."""
    n_both = (
        pl.DataFrame({"key": key})
        .join(
            pl.DataFrame(_count_pairs(once), schema=["key", "n"]),
            on="key",
            how="left",
            maintain_order="left",
        )["n"]
        .fill_null(0)
        .to_numpy()
    )
    columns = _measures(key, n_both, once, author, min_authors)
    names = {"n_cards": "n_families", "support": "family_share"}
    names |= {name: f"family_{name}" for name in ("npmi", "q_value")}
    return [pl.Series(own, columns[name]) for name, own in names.items()]


def _count_pairs(coded: Coded) -> tuple[Any, Any]:
    """Count the pairs of codes on the same card: keys ``a * n_tags + b`` and numbers of cards.

    Of few tags, the cards with the same number of them form one matrix, whose pairs of columns are
    counted in chunks that stay in the processor's cache: six times as quick as a sparse product,
    which counts those of many tags, whose table would not fit in memory.
    """
    lengths, n_tags = coded.lengths, len(coded.names)
    n_pairs = int((lengths * (lengths - 1) // 2).sum())
    if n_pairs > MAX_PAIRS_COUNTED:
        raise CardlabError(
            f"the cards have {n_pairs:,} pairs of {n_tags:,} tags, the longest card "
            f"{int(lengths.max()):,} tags; at most {MAX_PAIRS_COUNTED:,} pairs are counted. Set "
            "top= to consider fewer tags, or min_cards= to leave out rare ones."
        )
    ends = np.append(0, np.cumsum(lengths))
    if n_tags * n_tags > _DENSE:
        return _sparse_pairs(coded, ends)
    counts = np.zeros(n_tags * n_tags, dtype=np.int64)
    for length in np.unique(lengths[lengths > 1]):
        begin = ends[:-1][lengths == length]
        # each chunk adds up a whole table of counts
        step = max(1, max(_CHUNK, counts.size) // int(length * (length - 1) // 2))
        for at in range(0, len(begin), step):
            keys = _keys(coded, begin[at : at + step], length)
            counts += np.bincount(keys.ravel(), minlength=counts.size)
    key = np.flatnonzero(counts)
    return key, counts[key]


def _keys(coded: Coded, begin: Any, length: int, dtype: Any = np.int64) -> Any:
    """Give the keys of the pairs on cards with `length` codes from `begin` on: a card a column."""
    first, second = np.triu_indices(int(length), 1)
    # a row for each place in a card, so that a pair of places is a sum of two rows
    matrix = coded.code[begin + np.arange(length)[:, None]].astype(dtype)
    return (matrix * len(coded.names))[first] + matrix[second]


def _sparse_pairs(coded: Coded, ends: Any) -> tuple[Any, Any]:
    """Count pairs as a matrix of cards and tags, transposed, times itself: row a, column b."""
    from scipy.sparse import csr_array, triu

    ones = np.ones(len(coded.code), dtype=np.int32)
    on_card = csr_array((ones, coded.code, ends), shape=(coded.n_cards, len(coded.names)))
    pairs = triu(on_card.T.tocsr() @ on_card, k=1, format="csr")
    pairs.sort_indices()
    a = np.repeat(np.arange(len(coded.names)), np.diff(pairs.indptr))
    return a * len(coded.names) + pairs.indices, pairs.data.astype(np.int64)


def _count_authors(coded: Coded, author: Any, key: Any) -> tuple[Any, Any]:
    """Count the authors of each of the pairs `key`, ascending, and the most cards of one author.

    Of some authors at a time the pairs of all cards are sorted by author; one with too many for
    that is counted alone.
    """
    n_keys = len(coded.names) ** 2
    begin = np.append(0, np.cumsum(coded.lengths))[:-1]
    n_pairs = coded.lengths * (coded.lengths - 1) // 2
    order = np.flatnonzero(n_pairs)
    order = order[runs(author[order], np.arange(len(order)))[1]]
    last = np.flatnonzero(np.diff(author[order], append=-1))
    done = np.append(0, np.cumsum(n_pairs[order]))[last + 1]
    step = max(_CHUNK, len(key))
    ends = (np.diff(done // step, append=-1) != 0) | (np.diff(done, prepend=0) > step)
    place = np.full(n_keys, -1) if n_keys <= _DENSE else None
    if place is not None:
        place[key] = np.arange(len(key))
    n_authors, most = np.zeros((2, len(key)), dtype=np.int64)

    def of_some(cards: Any) -> tuple[Any, Any]:
        if n_pairs[cards].sum() > 2 * step:
            is_theirs = np.zeros(coded.n_cards, dtype=bool)
            is_theirs[cards] = True
            pair, n_cards = _count_pairs(coded.of_cards(is_theirs))
        else:
            lengths, own = coded.lengths[cards], author[cards] - author[cards[0]]
            # half as long numbers are sorted in half the time
            dtype: Any = np.int32 if (int(own[-1]) + 1) * n_keys < 1 << 31 else np.int64
            first = (own * n_keys).astype(dtype)
            alike = [(length, lengths == length) for length in np.unique(lengths)]
            keys = [_keys(coded, begin[cards[of]], n, dtype) + first[of] for n, of in alike]
            pair, n_cards = np.unique(np.concatenate([*map(np.ravel, keys)]), return_counts=True)
            pair %= n_keys
        at = np.searchsorted(key, pair).clip(max=len(key) - 1) if place is None else place[pair]
        kept = (key[at] == pair) if place is None else at >= 0
        return at[kept], n_cards[kept]

    with ThreadPoolExecutor(2) as two:  # most is sorting, without Python's lock
        parts = np.split(order, last[ends] + 1)[:-1]
        for some in range(0, len(parts), 8):  # few are held at once
            for at, n_cards in two.map(of_some, parts[some : some + 8]):
                n_authors += np.bincount(at, minlength=len(key))
                np.maximum.at(most, at, n_cards)
    return n_authors, most


def _by_size(coded: Coded, author: Any) -> tuple[Any, Any, Any, Any]:
    """Give what is to be expected of pairs if authors of like size changed places, and authors.

    Like in size are authors with as many cards, from one power of two to the next. Three arrays
    have a row for each class and a column for each tag: the sum over rows of the products of two
    columns is the expected n_ab, its variance, and its variance if cards were independent. With a
    tag on A of an author's n cards, and on the share p of the cards of the class, the squares are
    ``(A - n p)^2 / n`` between authors and ``A - A^2 / n`` within them. Last the authors of each
    tag.
    """
    n_tags, sizes = len(coded.names), np.bincount(author)
    of_author, tag, n = runs(coded.of_each(author), coded.code)
    # whole numbers are summed first, and in their order, so that no sum hangs on that of the cards
    alike = (
        pl.DataFrame({"tag": tag, "size": sizes[of_author], "n": n})
        .group_by("tag", "size")
        .agg(
            pl.len().alias("authors"), pl.col("n").sum(), (pl.col("n") ** 2).sum().alias("squares")
        )
        .sort("tag", "size")
    )
    tag, size, authors, n, squares = (of.to_numpy() for of in alike)
    sizes = sizes[sizes > 0]  # of families, an author may have no card that counts
    of_class = np.frexp(sizes)[1] - 1  # 1 for 2 and 3 cards, 2 for 4 to 7
    n_classes = int(of_class.max(initial=0)) + 1
    at = tag * n_classes + np.frexp(size)[1] - 1
    sums = [np.bincount(at, of, minlength=n_tags * n_classes) for of in (n, squares / size)]
    on, means = (of.reshape(n_tags, n_classes).T for of in sums)
    n_authors = np.bincount(of_class, minlength=n_classes)[:, None]
    n_cards = np.maximum(np.bincount(of_class, sizes, minlength=n_classes)[:, None], 1)
    between = (means - on**2 / n_cards) / np.sqrt(np.maximum(n_authors, 1))
    within = (on - means) / np.sqrt(np.maximum(n_cards - n_authors, 1))
    expected, independent = on / np.sqrt(n_cards), on * (1 - on / n_cards) / np.sqrt(n_cards)
    variance = np.concatenate([between, within])
    return expected, variance, independent, np.bincount(tag, authors, minlength=n_tags)


def _measures(key: Any, n_both: Any, coded: Coded, author: Any, min_authors: int) -> dict[str, Any]:
    """Compute all columns of numbers of the pairs `key` of the tags that are considered."""
    from scipy.special import chdtrc

    counts, total = coded.counts(), coded.n_cards
    a, b = np.divmod(key, max(len(counts), 1))
    n_a, n_b, n_ab = (numbers.astype(np.float64) for numbers in (counts[a], counts[b], n_both))
    with np.errstate(divide="ignore", invalid="ignore"):
        support = n_ab / total
        lift = n_ab * total / (n_a * n_b)
        # ln(1) / -ln(1) where a pair is on every card: bound together as far as can be
        npmi = np.where(n_ab == total, 1.0, np.log(lift) / -np.log(support))
        npmi[n_ab == 0] = -1.0  # the limit: never together
        confidences = n_ab / n_a, n_ab / n_b
        jaccard = n_ab / (n_a + n_b - n_ab)
    n_tested, of_authors = len(counts), {}
    tested = np.ones(len(key), dtype=bool)
    if author is None:
        statistic = _g_statistic(n_ab, n_a, n_b, total, n_a * n_b / total)
    else:
        *by_size, n_of_tag = _by_size(coded, author)
        sums = (sum((row[a] * row[b] for row in rows), np.zeros(len(key))) for rows in by_size)
        expected, variance, independent = sums
        with np.errstate(divide="ignore", invalid="ignore"):
            effect = np.fmax(variance / independent, 1)
            statistic = _g_statistic(n_ab, n_a, n_b, total, expected) / effect
            statistic[(n_ab > expected) != (lift > 1)] = 0  # what sizes of authors explain
            n_authors, most = _count_authors(coded, author, key)
            share = pl.Series(most / n_ab).fill_nan(None)
        tested, n_tested = n_authors >= min_authors, int((n_of_tag >= min_authors).sum())
        of_authors = {"n_authors": n_authors, "top_author_share": share}
    p_value = np.where(tested, chdtrc(1, statistic), np.nan)
    q_value = np.full(len(key), np.nan)
    q_value[tested] = _benjamini_hochberg(p_value[tested], n_tested * (n_tested - 1) // 2)
    return {
        "n_cards": n_both,
        "n_a": n_a.astype(np.int64),
        "n_b": n_b.astype(np.int64),
        **of_authors,
        "support": support,
        "confidence_ab": confidences[0],
        "confidence_ba": confidences[1],
        "lift": lift,
        "leverage": support - (n_a / total) * (n_b / total),
        "jaccard": jaccard,
        "npmi": np.clip(npmi, -1.0, 1.0),
        "p_value": pl.Series(p_value).fill_nan(None),
        "q_value": pl.Series(q_value).fill_nan(None),
    }


def _g_statistic(n_ab: Any, n_a: Any, n_b: Any, total: int, expected: Any) -> Any:
    """Give 2 sum(O ln(O/E)) over the four cells of a pair (Sokal and Rohlf 1995, 17.4)."""
    from scipy.special import xlogy

    found, chance = (
        (both, n_a - both, n_b - both, total - n_a - n_b + both) for both in (n_ab, expected)
    )
    cells = zip(found, chance, strict=True)
    inside = sum(xlogy(cell, cell) - xlogy(cell, np.maximum(e, 0)) for cell, e in cells)
    return np.maximum(2 * inside, 0.0)


def _benjamini_hochberg(p_value: Any, n_tests: int) -> Any:
    order = np.argsort(p_value, kind="stable")
    scaled = p_value[order] * n_tests / np.arange(1, len(order) + 1)
    q_value = np.empty_like(p_value)
    q_value[order] = np.minimum.accumulate(scaled[::-1])[::-1].clip(max=1.0)
    return np.maximum(q_value, p_value)  # rounding may put it an ulp below
