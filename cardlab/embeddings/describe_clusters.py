"""What the cards of a cluster have in common: label, tags, licence, languages, examples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from .._public import taking_sources
from ..frames import narrow
from .lsa import card_texts, free_tags, stem, strings, word_counts
from .points import BLOCK, Ints, Points, in_blocks
from .vectors import Floats, checked_ids, checked_labels, matrix, same_size, usable, whole_number

# ---- The words that tell clusters apart.

#: In a cluster with fewer cards a word or tag need only occur in one of them.
TINY_CLUSTER = 4


def cluster_keywords(
    cards: Any,
    *,
    labels: npt.ArrayLike,
    top: int = 8,
) -> pl.DataFrame:
    """Find the words that tell each cluster from the others.

    Parameters
    ----------
    cards : frame
        Cards with ``text``, ``tags`` or both, of which the words are read that :func:`embed`
        reads for ``"lsa"``, without stop words of English and of markup. Scripts that put no
        blanks between words (Chinese, Thai ...) give whole runs of letters.
    labels : array-like of int, shape (n_cards,)
        The cluster of each card, in the order of the cards; negative for none.
    top : int, default 8
        Keywords of each cluster at most.

    Returns
    -------
    pl.DataFrame
        ``cluster`` (int), ``keyword`` (str), ``score`` (float, above 0): the c-TF-IDF, the share
        of the word among the words of the cluster times log(1 + A / f), where f is how often
        it occurs in all clusters and A the mean number of words of a cluster. Within one card a
        word counts as 1 + log(occurrences), so that one card cannot speak for its cluster. A
        keyword occurs in two cards of its cluster, or in one where the cluster has fewer than
        four. By cluster, then falling score, then keyword; a cluster whose cards share no word
        has no rows.

    Raises
    ------
    MissingColumn
        The cards have neither ``text`` nor ``tags``.
    NoFigure
        No card is in a cluster, or none has a word.
    CardlabError
        There are more or fewer labels than cards, or they are not whole numbers.

    Notes
    -----
    Grootendorst (2022), BERTopic: neural topic modeling with a class-based TF-IDF procedure.

    Examples
    --------
    >>> cards = cl.make_cards(200)
    >>> labels = cl.cluster(cl.vectors(cards), n_clusters=12)
    >>> cl.cluster_keywords(cards, labels=labels, top=1).row(0)
    (0, 'story', 0.054...)
    """
    from scipy.sparse import csr_matrix

    whole_number(top, 1, name="top")
    label = checked_labels(labels, schema.count(cards), of="cards")
    counts, counter = word_counts(card_texts(cards).filter(pl.Series(label >= 0)))
    clusters, member = np.unique(label[label >= 0], return_inverse=True)
    sizes = np.bincount(member)
    counts.data = 1 + np.log(counts.data)
    of_cluster = csr_matrix((np.ones(len(member)), (member, np.arange(len(member)))))
    # Two sums over the cards of each cluster, with an entry for the same words.
    said, n_cards = ((of_cluster @ each).tocoo() for each in (counts, counts.sign()))
    length = np.array([counts[member == i].sum() for i in range(len(clusters))])
    of_word = np.asarray(counts.sum(axis=0)).ravel()
    weight = np.log1p(of_word.sum() / len(clusters) / of_word)
    score = said.data / length[said.row] * weight[said.col]
    words = pl.Series(counter.get_feature_names_out(), dtype=pl.String)
    return (
        pl.DataFrame({"cluster": clusters[said.row], "word": said.col, "score": score})
        .filter(n_cards.data >= np.where(sizes[said.row] >= TINY_CLUSTER, 2, 1))
        .sort("cluster", "score", "word", descending=[False, True, False])
        .group_by("cluster", maintain_order=True)
        .head(top)
        .select("cluster", pl.lit(words).gather(pl.col("word")).alias("keyword"), "score")
    )


# ---- What the cards of a cluster have in common: label, tags, licence, languages, examples.

#: Keywords of a cluster among which its label is sought, and words in a label.
_CANDIDATES = 25
_LABEL_WORDS = 3

#: Columns whose values stand among the tags of a card, but are no subject.
_DECLARED = ("library_name", "pipeline_tag", "languages")

#: Languages of a cluster that are named.
_LANGUAGES = 3


def cluster_summary(
    cards: Any,
    *,
    labels: npt.ArrayLike,
    x: npt.ArrayLike | None = None,
    top: int = 5,
) -> pl.DataFrame:
    """Describe each cluster in one row.

    Parameters
    ----------
    cards : frame
        Cards with ``id``; ``text``, ``tags``, ``license`` and ``languages`` are used where they
        are there.
    labels : array-like of int, shape (n_cards,)
        The cluster of each card, in the order of the cards; negative for none.
    x : array-like of numbers, shape (n_cards, d), optional
        The vectors of the cards, for the examples and the cohesion.
    top : int, default 5
        Tags and examples of each cluster at most.

    Returns
    -------
    pl.DataFrame
        One row for each cluster, by its number; cards without a cluster are not listed.

        - ``cluster`` (int), ``n_cards`` (int), ``card_share`` (float, 0-1, of the clustered).
        - ``label`` (str): up to three keywords, each in the label of one cluster only, the one
          where it scores highest; where none is left, the cluster's best keyword. Null where
          the cards have no words.
        - ``top_tags`` (list of str): the free tags (no prefix, not added by the Hub, and neither
          the library, the task nor a language, as :func:`tag_kind` or the card says) with the
          largest share of the cluster's cards *minus* share of the other cards in clusters: only
          differences above 0, and tags on two cards of the cluster (one where it has fewer than
          four). Ties by name. Empty where there are none.
        - ``top_license`` (str): what most of its cards declare, from ``license``, else from the
          ``license:`` tags; of equals the first by name. Null where none is declared.
        - ``top_languages`` (list of str): the three that most of its cards declare, as they are
          written there; ties by name.
        - ``example_ids`` (list of str): the cards whose direction is nearest the cluster's
          centre, ties by id; without `x` the first by id.
        - ``cohesion`` (float): mean cosine of the cards to the centre, the mean of their unit
          vectors; 1 where all point one way, about 0 where they point anywhere. Null without `x`.

    Raises
    ------
    MissingColumn
        The cards have no column ``id``.
    NoFigure
        No card is in a cluster.
    CardlabError
        `labels` or `x` has more or fewer rows than there are cards.

    Examples
    --------
    >>> cards = cl.make_cards(200)
    >>> labels = cl.cluster(cl.vectors(cards), n_clusters=12)
    >>> cl.cluster_summary(cards, labels=labels)["cluster", "n_cards", "label"].row(0)
    (0, 55, 'story, reply, chatbot')
    """
    whole_number(top, 1, name="top")
    have = schema.require(cards, "id")
    names = [name for name in ("id", "tags", "license", *_DECLARED) if name in have]
    frame = schema.collect(narrow(cards, names))
    label = checked_labels(labels, frame.height, of="cards")
    frame = (
        frame.with_columns(pl.col("id").cast(pl.String), cluster=pl.Series(label))
        .with_columns(cosine=pl.lit(None, pl.Float64) if x is None else _cosines(matrix(x), label))
        .filter(pl.col("cluster") >= 0)
        .with_columns(size=pl.len().over("cluster").cast(pl.Int64))
    )
    # Rounded, so that copies of one card tie and their ids decide.
    near = pl.col("cosine").round(6)
    summary = (
        frame.sort(near, "id", descending=[True, False], nulls_last=True)
        .group_by(cluster="cluster", n_cards="size", maintain_order=True)
        .agg(example_ids=pl.col("id").drop_nulls().head(top), cohesion=pl.mean("cosine"))
    )
    tag, languages = pl.element(), strings(frame, "languages", schema.STRINGS)
    licenses = strings(frame, "tags", schema.STRINGS).list.eval(
        tag.filter(tag.str.starts_with("license:")).str.strip_prefix("license:")
    )
    if "license" in frame.columns:
        licenses = strings(frame, "license", schema.STRINGS)
    for part in (
        _label_texts(cards, label),
        _top_tags(frame, top),
        _first(_counted(frame, licenses), "n", 1, "top_license"),
        _first(_counted(frame, languages), "n", _LANGUAGES, "top_languages"),
    ):
        summary = summary.join(part, on="cluster", how="left")
    return summary.sort("cluster").select(
        *("cluster", "n_cards", (pl.col("n_cards") / frame.height).alias("card_share"), "label"),
        pl.col("top_tags").fill_null([]),
        pl.col("top_license").list.first(),
        pl.col("top_languages").fill_null([]),
        *("example_ids", "cohesion"),
    )


def _cosines(x: Floats, label: Ints) -> pl.Series:
    """Give the cosine of each row to the centre of its cluster, null where there is none."""
    same_size(len(x), len(label), name="x", of="cards")
    rows = np.flatnonzero((label >= 0) & usable(x))
    clusters, member = np.unique(label[rows], return_inverse=True)
    blocks = [slice(at, at + BLOCK) for at in range(0, len(rows), BLOCK)]

    def units(block: slice) -> npt.NDArray[np.float64]:
        wide = x[rows[block]].astype(np.float64)
        wide /= np.linalg.norm(wide, axis=1, keepdims=True)
        return wide

    centres = np.zeros((len(clusters), x.shape[1]))
    for block in blocks:
        np.add.at(centres, member[block], units(block))
    # A centre at the origin has no direction; the cosine to it is 0.
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-300)
    cosine = np.full(len(x), np.nan)
    for block in blocks:
        cosine[rows[block]] = (units(block) * centres[member[block]]).sum(axis=1)
    return pl.Series(cosine, nan_to_null=True)


def _label_texts(cards: Any, label: Ints) -> pl.DataFrame:
    """Put the keywords that a cluster has for itself into its label, else its best one."""
    try:
        keywords = cluster_keywords(cards, labels=label, top=_CANDIDATES)
    except schema.NoFigure:  # cards without words can be described all the same
        return pl.DataFrame(schema={"cluster": pl.Int32, "label": pl.String})
    word = pl.col("keyword")
    # Singular and plural are one; it belongs to the cluster where it scores highest.
    owner = pl.col("cluster").sort_by("score", "cluster", descending=[True, False]).first()
    is_own = owner.over("stem") == pl.col("cluster")
    is_own &= pl.struct("cluster", "stem").is_first_distinct()
    texts = keywords.with_columns(stem=stem(word)).with_columns(is_own=is_own).group_by("cluster")
    own = word.filter("is_own").head(_LABEL_WORDS).str.join(", ")
    return texts.agg(label=pl.when(pl.col("is_own").any()).then(own).otherwise(word.first()))


def _top_tags(frame: pl.DataFrame, top: int) -> pl.DataFrame:
    """Find the free tags that a cluster has more often than the others."""
    free = free_tags(strings(frame, "tags", schema.STRINGS))
    for name in _DECLARED:  # what the card declares is no subject, whether a list knows it or not
        dtype = schema.STRINGS if name == "languages" else pl.String
        said = pl.concat_list(strings(frame, name, dtype)).fill_null([])
        free = free.list.set_difference(said)
    everywhere = pl.col("n").sum().over("value")
    outside = (everywhere - pl.col("n")) / (frame.height - pl.col("size")).clip(1)
    more = _counted(frame, free).with_columns(more=pl.col("n") / pl.col("size") - outside)
    needed = pl.when(pl.col("size") >= TINY_CLUSTER).then(2).otherwise(1)
    return _first(more.filter(pl.col("more") > 0, pl.col("n") >= needed), "more", top, "top_tags")


def _counted(frame: pl.DataFrame, values: pl.Expr) -> pl.DataFrame:
    """Count the cards of each cluster that have a value."""
    each = frame.select("cluster", "size", value=values.list.unique()).explode("value")
    return each.drop_nulls("value").group_by("cluster", "size", "value").agg(n=pl.len())


def _first(counts: pl.DataFrame, by: str, n: int, name: str) -> pl.DataFrame:
    """Keep of each cluster the values with the most, ties by name."""
    ordered = counts.sort(by, "value", descending=[True, False])
    return ordered.group_by("cluster").agg(pl.col("value").head(n).alias(name))


# ---- How clusters stand to what the cards declare, and to each other.

#: Parts of which each is left out once for an interval.
_PARTS = 20

#: Rows of which an interval is taken: expected agreement takes time that grows with them.
_INTERVAL_ROWS = 20_000

_AGREEMENT: dict[str, Any] = {
    **{"column": pl.String, "n_cards": pl.Int64, "n_values": pl.Int64},
    **dict.fromkeys(("ami", "ami_low", "ami_high", "ari"), pl.Float64),
}


@taking_sources
def cluster_agreement(
    cards: Any,
    *,
    labels: npt.ArrayLike,
    columns: Iterable[str] = ("pipeline_tag", "library_name"),
    random_state: int = 0,
) -> pl.DataFrame:
    """Measure how far clusters follow what the cards declare, such as task and library.

    Parameters
    ----------
    cards : frame
        Cards with the columns asked for; only these are read.
    labels : array-like of int, shape (n_cards,)
        The cluster of each card, in the order of the cards; negative for none.
    columns : iterable of str
        Columns with one value a card. Lists (tags, languages) cannot be compared.
    random_state : int, default 0
        Seed of the parts for the interval.

    Returns
    -------
    pl.DataFrame
        One row for each column, the largest ``ami`` first, ties by name.

        - ``column`` (str); ``n_cards`` (int), the cards in a cluster that declare a value: the
          others are left out; ``n_values`` (int), how many different ones they declare.
        - ``ami`` (float): adjusted mutual information, 1 where cluster and value tell each
          other exactly, 0 where no more than by chance (slightly negative values occur).
        - ``ami_low``, ``ami_high`` (float): 95 % interval from the jackknife over 20 random
          parts of the cards, of at most 20,000 cards. Null with fewer than 40 cards.
        - ``ari`` (float): adjusted Rand index; lower where clusters split a value in parts.

        The agreement is null where no card declares a value.

    Raises
    ------
    MissingColumn
        A column is not there.
    NoFigure
        No card is in a cluster.
    CardlabError
        A column holds lists, or there are more or fewer labels than cards.

    Notes
    -----
    Vinh, Epps and Bailey (2010), Information theoretic measures for clusterings comparison, with
    the arithmetic mean of the entropies; Hubert and Arabie (1985), Comparing partitions.

    Examples
    --------
    >>> from cardlab.embeddings.describe_clusters import cluster_agreement
    >>> cards = cl.make_cards(200)
    >>> labels = cl.cluster(cl.vectors(cards), n_clusters=12)
    >>> cluster_agreement(cards, labels=labels)["column", "n_cards", "n_values", "ari"].row(0)
    ('pipeline_tag', 136, 12, 1.0)
    """
    names = [*dict.fromkeys([columns] if isinstance(columns, str) else columns)]
    seed = whole_number(random_state, 0, name="random_state")
    schema.require(cards, *names)
    frame = schema.collect(narrow(cards, names))
    label = checked_labels(labels, frame.height, of="cards")
    for name, dtype in frame.schema.items():
        if dtype.is_nested():
            raise schema.CardlabError(
                f"column {name!r} is {dtype}; clusters can be compared with columns of one value a "
                "card only, such as pipeline_tag and library_name."
            )
    rows = [_agreement(name, frame[name], label, seed) for name in frame.columns]
    table = pl.DataFrame(rows, schema=_AGREEMENT, orient="row")
    return table.sort("ami", "column", descending=[True, False], nulls_last=True)


def _agreement(name: str, values: pl.Series, label: Ints, seed: int) -> tuple[Any, ...]:
    from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

    known = values.is_not_null().to_numpy() & (label >= 0)
    codes = values.filter(known).rank("dense").to_numpy().astype(np.int64)
    own = label[known]
    n = len(own)
    n_values = len(np.unique(codes))
    ami = ari = low = high = None
    if n:
        ami = float(adjusted_mutual_info_score(codes, own))
        ari = float(adjusted_rand_score(codes, own))
    if n >= 2 * _PARTS:
        # In the order of the pairs, so that the order of the cards has no say.
        drawn = np.random.default_rng(seed).permutation(n)[:_INTERVAL_ROWS]
        chosen = np.lexsort((own, codes))[drawn]
        parts = np.arange(len(drawn)) % _PARTS
        kept = [chosen[parts != part] for part in range(_PARTS)]
        left_out = [adjusted_mutual_info_score(codes[rows], own[rows]) for rows in kept]
        deviation = np.sqrt((_PARTS - 1) * np.var(left_out)) * np.sqrt(len(drawn) / n)
        low = float(max(-1.0, ami - 1.96 * deviation))
        high = float(min(1.0, ami + 1.96 * deviation))
    return (name, n, n_values, ami, low, high, ari)


def between_clusters(
    x: npt.ArrayLike,
    *,
    labels: npt.ArrayLike,
    ids: Any,
    top: int = 20,
) -> pl.DataFrame:
    """List the cards that lie between two clusters.

    Parameters
    ----------
    x, ids
        As :func:`neighbors` takes them.
    labels
        The cluster of each row, negative for none, as :func:`cluster` gives them.
    top : int, default 20
        Cards at most.

    Returns
    -------
    pl.DataFrame
        ``id`` (str), ``cluster`` (int), ``second`` (int, the other cluster whose centre is
        nearest), ``margin`` (float, -1 to 1): the distance to that centre less the distance to
        the own one, as a share of the larger. 0 is half way; negative where another centre is
        nearer than the own, as can be with HDBSCAN. Smallest margin first, ties by id. Centres
        are means of the vectors in their principal components. Copies of one vector are all
        listed.

    Raises
    ------
    NoFigure
        Fewer than 3 vectors are usable, or fewer than two clusters have a usable one.
    CardlabError
        `labels` or `ids` have more or fewer rows than `x`.

    Notes
    -----
    The simplified silhouette of Hruschka, Campello and Castro (2006), Evolving clusters in
    gene-expression data.

    Examples
    --------
    >>> from cardlab.embeddings.describe_clusters import between_clusters
    >>> x, cards = cl.vectors(cl.make_cards(200)), cl.make_cards(200, text=False)
    >>> between = between_clusters(x, labels=cl.cluster(x, n_clusters=12), ids=cards, top=1)
    >>> between.row(0)
    ('lab-veplino/stable-diffusion-xl-themihegla', 1, 10, 0.331...)
    """
    from scipy.spatial.distance import cdist

    whole_number(top, 1, name="top")
    x = matrix(x)
    label = checked_labels(labels, len(x), of="vectors")
    names = checked_ids(ids, len(x))
    points = Points.of(x, 0)
    inside = label[points.rows] >= 0
    rows, of_row = points.rows[inside], points.point_of_row[inside]
    found, own = np.unique(label[rows], return_inverse=True)
    if len(found) < 2:
        raise schema.NoFigure(
            "there is nothing between clusters: only one cluster has usable vectors."
        )
    values = points.values
    centres = [values[of_row[own == i]].mean(axis=0, dtype=np.float64) for i in range(len(found))]

    def measure(block: slice) -> npt.NDArray[np.float64]:
        distance = cdist(values[of_row[block]], centres)
        at = np.arange(len(distance))
        near = distance[at, own[block]]
        distance[at, own[block]] = np.inf
        second = distance.argmin(axis=1)
        far = distance[at, second]
        return np.stack([second, (far - near) / np.maximum(np.maximum(near, far), 1e-300)])

    second, margin = np.concatenate(in_blocks(measure, len(rows)), axis=1)
    # Rounded, so that ids decide between equal vectors.
    other, margin = found[second.astype(np.int64)], margin.round(6)
    table = pl.DataFrame(
        {"id": names[rows], "cluster": label[rows], "second": other, "margin": margin}
    )
    return table.sort("margin", "id", "cluster").head(top)
