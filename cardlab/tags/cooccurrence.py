"""Which tags are on the same cards, and how far beyond chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from ..frames import Coded
from ..schema import CardlabError, at_least
from .counts import ranked
from .kinds import KINDS, NOT_PAIRED, checked_kinds, parted, read_tags
from .variants import folded, mapping_of

#: Pairs that one call counts or returns at most: beyond, memory is measured in tens of GiB.
MAX_PAIRS_COUNTED = 500_000_000
MAX_PAIRS_RETURNED = 20_000_000
#: Cells of a table of all pairs up to which it is held whole, and pairs that are counted at once.
_DENSE, _CHUNK = 16_000_000, 250_000
#: Share of a tag's cards that have the other too, from which on it is said to follow from it.
_FOLLOWS = 0.9


def cooccurrence(
    cards: Any,
    *,
    column: str = "tags",
    kinds: Sequence[str] | None = None,
    top: int | None = 200,
    min_cards: int = 5,
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
    families : str, optional
        Counts copies once as well, as in :func:`tag_counts`.
    variants : pl.DataFrame or mapping, optional
        Spellings to count as one, as in :func:`tag_counts`.

    Returns
    -------
    pl.DataFrame
        One row a pair with ``tag_a < tag_b``; with N = all cards and n = cards with:

        - ``n_cards`` (both), ``n_a``, ``n_b``;
        - ``support`` n_ab/N, ``confidence_ab`` n_ab/n_a, ``confidence_ba`` n_ab/n_b (0-1);
        - ``lift`` n_ab N/(n_a n_b) (0-inf, 1 by chance), ``leverage`` n_ab/N - n_a n_b/N^2;
        - ``jaccard`` n_ab/(n_a + n_b - n_ab) (0-1);
        - ``npmi`` ln(lift)/-ln(support) (-1 to 1, 0 by chance; 1 where both are on all cards;
          Bouma 2009);
        - ``p_value`` of the G-test of independence, 1 degree of freedom; ``q_value`` after
          Benjamini and Hochberg 1995 over all pairs of the tags considered, those on fewer than
          `min_cards` cards counted as p = 1;
        - with `families` also ``n_families``, ``family_share``, ``family_npmi`` and
          ``family_q_value``: the same where a family counts once, by its first card. Copies are
          not independent, so these q-values are the ones to trust in a corpus with many copies;
        - ``derived`` (bool): the two follow from one another by how tags are made, so that their
          meeting is no finding (see Notes). Communities, charts and the notebook leave them out.

        Highest NPMI first, then most cards, then names.

    Raises
    ------
    MissingColumn
        The cards have no such column.
    CardlabError
        The pairs would not fit in memory; the message says which argument to set.

    Notes
    -----
    Derived are: tags with one prefix and one value (``base_model:x``, ``base_model:finetune:x``);
    spellings of one word (``NeMo``, ``nemo``); and, where at least 90 % of the cards with one have
    the other, a value with and without its prefix (``squad``, ``dataset:squad``) and a word with
    what it is the prefix of (``diffusers``, ``diffusers:FluxPipeline``).

    A card with 4,000 tags has 8 million pairs and counts once for each, as any other card. Tags
    that are not among the `top`, or on fewer than `min_cards` cards, are dropped first: with
    ``top=200`` a card has 19,900 pairs at most. Pairs are counted in chunks of bounded size; if
    there are above 500 million in all, an error says what to set before any is counted.
    """
    at_least(min_cards, 1, name="min_cards")
    if top is not None:
        at_least(top, 2, name="top")
    if kinds is None and column == "tags":
        kinds = [kind for kind in KINDS if kind not in NOT_PAIRED]
    kinds = checked_kinds(kinds)
    coded, kind, first = read_tags(
        cards,
        column,
        families=families,
        mapping=mapping_of(variants),
        with_kinds=kinds is not None,
    )
    tags = ranked(coded, kind, kinds).filter(pl.col("n_cards") >= min_cards)
    tags = tags if top is None else tags.head(top)
    return _table(coded.only(tags["code"].sort().to_numpy()), first, min_cards)


def _table(coded: Coded, is_first: Any, min_cards: int) -> pl.DataFrame:
    """Count the pairs of the values that are considered, and measure them."""
    key, n_both = _count_pairs(coded)
    enough = n_both >= min_cards
    key, n_both = key[enough], n_both[enough]
    if len(key) > MAX_PAIRS_RETURNED:
        raise CardlabError(
            f"{len(key):,} pairs of {len(coded.names):,} tags are on at least {min_cards:,} cards; "
            f"at most {MAX_PAIRS_RETURNED:,} are returned. Set top= to consider fewer tags, or "
            f"min_cards= (now {min_cards}) to a higher number."
        )
    columns = _measures(key, n_both, coded.counts(), coded.n_cards)
    a, b = np.divmod(key, max(len(coded.names), 1))
    names = {"tag_a": coded.names.gather(a), "tag_b": coded.names.gather(b)}
    found = pl.DataFrame(names | columns | {"derived": _derived(names, columns)})
    if is_first is not None:
        found = found.with_columns(**_of_families(coded.of_cards(is_first), key)).select(
            pl.exclude("derived"), "derived"
        )
    return found.sort(["npmi", "n_cards", "tag_a", "tag_b"], descending=[True, True, False, False])


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
    follows = np.maximum(columns["confidence_ab"], columns["confidence_ba"]) >= _FOLLOWS
    return always | (one_prefix & (same | head) & follows)


def _of_families(once: Coded, key: Any) -> dict[str, pl.Series]:
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
    columns = _measures(key, n_both, once.counts(), once.n_cards)
    names = {"n_cards": "n_families", "support": "family_share"}
    names |= {name: f"family_{name}" for name in ("npmi", "q_value")}
    return {own: pl.Series(own, columns[name]) for name, own in names.items()}


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
        first, second = np.triu_indices(int(length), 1)
        begin = ends[:-1][lengths == length]
        # each chunk adds up a whole table of counts
        step = max(1, max(_CHUNK, counts.size) // len(first))
        for at in range(0, len(begin), step):
            # a row for each place in a card, so that a pair of places is a sum of two rows
            matrix = coded.code[begin[at : at + step] + np.arange(length)[:, None]]
            keys = (matrix * n_tags)[first] + matrix[second]
            counts += np.bincount(keys.ravel(), minlength=counts.size)
    key = np.flatnonzero(counts)
    return key, counts[key]


def _sparse_pairs(coded: Coded, ends: Any) -> tuple[Any, Any]:
    """Count pairs as a matrix of cards and tags, transposed, times itself: row a, column b."""
    from scipy.sparse import csr_array, triu

    ones = np.ones(len(coded.code), dtype=np.int32)
    on_card = csr_array((ones, coded.code, ends), shape=(coded.n_cards, len(coded.names)))
    pairs = triu(on_card.T.tocsr() @ on_card, k=1, format="csr")
    pairs.sort_indices()
    a = np.repeat(np.arange(len(coded.names)), np.diff(pairs.indptr))
    return a * len(coded.names) + pairs.indices, pairs.data.astype(np.int64)


def _measures(key: Any, n_both: Any, counts: Any, total: int) -> dict[str, Any]:
    """Compute all columns of numbers; `counts` are the cards of each tag that is considered."""
    from scipy.special import chdtrc

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
    p_value = chdtrc(1, _g_statistic(n_ab, n_a, n_b, total))
    return {
        "n_cards": n_both,
        "n_a": n_a.astype(np.int64),
        "n_b": n_b.astype(np.int64),
        "support": support,
        "confidence_ab": confidences[0],
        "confidence_ba": confidences[1],
        "lift": lift,
        "leverage": support - (n_a / total) * (n_b / total),
        "jaccard": jaccard,
        "npmi": np.clip(npmi, -1.0, 1.0),
        "p_value": p_value,
        "q_value": _benjamini_hochberg(p_value, len(counts) * (len(counts) - 1) // 2),
    }


def _g_statistic(n_ab: Any, n_a: Any, n_b: Any, total: int) -> Any:
    """Give 2 sum(O ln(O/E)) over the four cells of a pair (Sokal and Rohlf 1995, 17.4)."""
    from scipy.special import xlogy

    cells = (n_ab, n_a - n_ab, n_b - n_ab, total - n_a - n_b + n_ab)
    margins = (n_a, total - n_a, n_b, total - n_b)
    inside = sum(xlogy(cell, cell) for cell in cells) - sum(xlogy(m, m) for m in margins)
    return np.maximum(2 * (inside + xlogy(total, total)), 0.0)


def _benjamini_hochberg(p_value: Any, n_tests: int) -> Any:
    order = np.argsort(p_value, kind="stable")
    scaled = p_value[order] * n_tests / np.arange(1, len(order) + 1)
    q_value = np.empty_like(p_value)
    q_value[order] = np.minimum.accumulate(scaled[::-1])[::-1].clip(max=1.0)
    return np.maximum(q_value, p_value)  # rounding may put it an ulp below
