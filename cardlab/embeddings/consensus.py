"""What is grouped together in most of many runs: layers of clusters within clusters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from .cluster import nearest
from .points import Indices, drawn, on_all_cores
from .vectors import Floats

Weights = npt.NDArray[np.float64]

#: The layers, from coarse to fine, and the share of the runs in which their cards are together.
_LOOSEST = 0.3
LAYERS = {"coarse": None, "together_30": _LOOSEST, "together_50": 0.5, "together_70": 0.7}

#: Fewest cards and authors of a cluster.
MIN_CARDS, MIN_AUTHORS = 10, 3

#: Numbers of groups of the runs, and of those of the coarse layer; how many runs there are of each.
_MANY = (6, 42)
_COARSE = (2, 14)
N_RUNS = 480
_N_COARSE = 120

#: Regions of the coarse layer, and the step that may leave fewer or larger ones: of planted
#: hierarchies it is 0.2 or more, of three real corpora at most 0.08.
_FEWEST, _MOST, _WIDE = 8, 15, 0.15

#: Share of the variance between two groups, along the line through their middles, above which they
#: are two clusters: of a normal cloud it is 0.64, of a uniform one 0.75, of a circle 0.81.
_APART = 0.88

#: Starts of a run, of which the best is kept. With one, at 15-35 groups, the layer of 50 % of one
#: corpus held 87 % of its cards; to 40 groups at most, 48 planted clusters do not come out.
_STARTS = 3

#: Steps of a run: where a few points still move, other runs tell as much.
_STEPS = 8

#: Directions that vectors are reduced to: of 20 to 128 those of which the clusters of two
#: corpora followed the task best.
_WIDTH = 64

#: How much more often pairs that are together once must be together again than in clouds without
#: clusters, and the runs that tell.
_MARGIN, _NULL_RUNS = 0.1, 24

#: Nodes of the hierarchy: distinct vectors, or where there are more, groups of near ones.
_NODES, _FIT_ROWS = 5_000, 20_000
_MICRO = 3_000


def unit(values: Floats) -> Floats:
    """Give vectors at length 1."""
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.maximum(length, np.float32(1e-12)))


def author_weights(author: Indices) -> Weights:
    """Give what each card weighs: an author counts as the root of the number of its cards."""
    return 1 / np.sqrt(np.bincount(author)[author])


def directions(x: Floats, weights: Weights) -> Floats:
    """Give vectors as directions in the axes that carry most of them, as unit vectors.

    Scaled to one length again after they were reduced: else cards of which the axes say little
    would all lie in the middle, and be one large cluster.
    """
    x = unit(x)
    if x.shape[1] > _WIDTH:
        wide = x.astype(np.float64)
        axes = np.linalg.eigh((wide * weights[:, None]).T @ wide)[1][:, : -_WIDTH - 1 : -1]
        x = unit((wide @ axes).astype(np.float32))
    return np.ascontiguousarray(x)


@dataclass(frozen=True)
class Nodes:
    """Directions that are grouped, and the node and the author of each card.

    Cards with one vector are one node, which cannot fall into two clusters.
    """

    values: Floats
    of_card: Indices
    #: The author of each card, numbered by name.
    author: Indices

    @classmethod
    def of(cls, x: Floats, of_card: Indices, author: Indices, seed: int = 0) -> Nodes:
        """Take vectors as nodes, or groups of near ones where there are many."""
        weights = np.bincount(of_card, author_weights(author)).astype(np.float64)
        values = directions(x, weights)
        if len(values) <= _NODES:
            return cls(values, of_card, author)
        from sklearn.cluster import KMeans

        model = KMeans(_MICRO, init="random", n_init=1, max_iter=5, random_state=seed)
        on_all_cores(model.fit, [values[drawn(len(values), _FIT_ROWS, seed)]])
        micro = nearest(values, model.cluster_centers_)
        kept, micro = np.unique(micro, return_inverse=True)
        return cls(unit(model.cluster_centers_[kept]), micro[of_card], author)

    @cached_property
    def weights(self) -> Weights:
        """What each node weighs: its cards, as :func:`author_weights` has them."""
        return self.summed(author_weights(self.author))

    def summed(self, weights: Weights) -> Weights:
        """Add up what the cards of each node weigh."""
        return np.bincount(self.of_card, weights, len(self.values)).astype(np.float64)

    def part(self, cards: npt.NDArray[np.bool_]) -> Nodes:
        """Keep some of the cards, and the nodes that these have."""
        there, of_card = np.unique(self.of_card[cards], return_inverse=True)
        authors = np.unique(self.author[cards], return_inverse=True)[1]
        return Nodes.of(self.values[there], of_card, authors)

    def draws(self, n: int, seed: int) -> Iterator[Weights]:
        """Draw authors with replacement, and give what each node weighs then."""
        rng = np.random.default_rng(seed)
        own, n_authors = author_weights(self.author), int(self.author.max()) + 1
        for _ in range(n):
            times = np.bincount(rng.integers(n_authors, size=n_authors), minlength=n_authors)
            yield self.summed(own * times[self.author])


def runs(
    nodes: Nodes, numbers: tuple[int, int], n_runs: int, *, n_starts: int = _STARTS, seed: int = 0
) -> list[npt.NDArray[np.int16]]:
    """Group the nodes again and again, of other authors and into other numbers of groups."""
    ks = np.linspace(*numbers, n_runs).round().astype(int)
    seeds = np.random.SeedSequence(seed).generate_state(n_runs)

    def best(job: tuple[Weights, int, int]) -> npt.NDArray[np.int16]:
        weights, k, seed = job
        rng = np.random.default_rng(seed)
        starts = (_one_start(nodes.values, weights, rng.random(k)) for _ in range(n_starts))
        return max(starts, key=lambda found: found[1])[0]

    return on_all_cores(best, list(zip(nodes.draws(n_runs, seed), ks, seeds, strict=True)))


def _one_start(
    values: Floats, weights: Weights, draws: Weights
) -> tuple[npt.NDArray[np.int16], float]:
    """Run spherical k-means from k-means++; gives the groups, and how near their points are.

    A batch of products, which BLAS does quickest.
    """
    k = len(draws)
    centres = np.empty((k, values.shape[1]), dtype=np.float32)
    far, chance = np.full(len(values), np.inf, dtype=np.float32), weights
    for i in range(k):
        total = np.cumsum(chance)
        if total[-1] <= 0:
            centres = centres[:i]
            break
        at = min(int(np.searchsorted(total, draws[i] * total[-1], "right")), len(values) - 1)
        centres[i] = values[at]
        np.minimum(far, np.maximum(1 - values @ centres[i], 0), out=far)
        far[far < 1e-6] = 0  # rounding, where vectors are equal
        chance = weights * far
    every, weight = np.arange(len(values)), weights.astype(np.float32)
    labels = np.zeros(0, dtype=np.int64)
    for _ in range(_STEPS):
        found = (values @ centres.T).argmax(axis=1)
        if np.array_equal(found, labels):
            break
        labels = found
        member = np.zeros((len(centres), len(values)), dtype=np.float32)
        member[labels, every] = weight
        sums = member @ values
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(length > 1e-9, sums / np.maximum(length, 1e-9), centres)
    return labels.astype(np.int16), float(length.sum())


def together(found: list[npt.NDArray[np.int16]]) -> Floats:
    """Give for each pair of nodes the share of the runs in which they are in one group.

    Fred and Jain (2005), Combining multiple clusterings using evidence accumulation.
    """
    from scipy.sparse import csr_matrix

    labels = np.stack(found)
    n_runs, n = labels.shape
    starts = np.concatenate([[0], np.cumsum(labels.max(axis=1).astype(np.int64) + 1)])
    columns = (labels + starts[:-1, None]).T.ravel()
    ones = np.ones(n_runs * n, dtype=np.float32)
    member = csr_matrix((ones, columns, np.arange(0, n_runs * n + 1, n_runs)), (n, starts[-1]))
    shares: Floats = (member @ member.T).toarray() / np.float32(n_runs)
    return shares


def again(shares: Floats, weights: Weights) -> float:
    """Say how often pairs of nodes that are together once are together in another run."""
    weight = weights.astype(np.float32)
    once = weight @ shares @ weight - float((weight**2 * shares.diagonal()).sum())
    twice = weight @ (shares * shares) @ weight - float((weight**2).sum())
    return float(twice / once) if once > 0 else 0.0


def _without_clusters(nodes: Nodes) -> Iterator[Nodes]:
    """Draw a normal and a uniform cloud that is spread as widely in each direction."""
    rng, weights = np.random.default_rng(0), nodes.weights
    mean = np.average(nodes.values, axis=0, weights=weights)
    wide = nodes.values - mean
    variance, axes = np.linalg.eigh((wide * weights[:, None]).T @ wide / weights.sum())
    spread = np.sqrt(np.maximum(variance, 0))
    for draws in (rng.standard_normal(wide.shape), rng.uniform(-(3**0.5), 3**0.5, wide.shape)):
        cloud = ((draws * spread) @ axes.T + mean).astype(np.float32)
        yield Nodes(unit(cloud), nodes.of_card, nodes.author)


def consensus(nodes: Nodes) -> tuple[Floats, tuple[int, int]] | None:
    """Give the shares of runs with many groups, or with the few that show most beyond chance.

    None where no number of groups shows more than in clouds without clusters.
    """
    clouds = list(_without_clusters(nodes))

    def beyond(numbers: tuple[int, int]) -> float:
        if numbers[1] * MIN_CARDS > len(nodes.values):
            return 0.0
        seen, *chance = [
            again(together(runs(part, numbers, _NULL_RUNS)), nodes.weights)
            for part in (nodes, *clouds)
        ]
        return seen - max(chance)

    found = _MANY
    if beyond(_MANY) <= _MARGIN:
        highest, few = max((beyond((k, k)), -k) for k in range(2, _MANY[0]))
        if highest <= _MARGIN:
            if not _two(nodes):
                return None
            few = -2  # clouds that are as wide fall in two as well, though not apart
        found = (-few, -few)
    return together(runs(nodes, found, N_RUNS)), found


def _two(nodes: Nodes) -> bool:
    """Say whether nodes lie in two groups with a gap between them."""
    label, weights = runs(nodes, (2, 2), 1)[0], nodes.weights
    if len(nodes.values) < 2 * MIN_CARDS or label.max() < 1:
        return False
    first, second = (
        np.average(nodes.values[label == i], axis=0, weights=weights[label == i]) for i in (0, 1)
    )
    along = nodes.values @ (second - first)
    part = np.bincount(label, weights) / weights.sum()
    between = part[0] * part[1] * float((second - first) @ (second - first)) ** 2
    mean = np.average(along, weights=weights)
    return bool(between > _APART * np.average((along - mean) ** 2, weights=weights))


def _tree(shares: Floats, way: str = "average") -> npt.NDArray[np.float64]:
    """Join what is together most often first."""
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    apart = 1 - shares
    np.fill_diagonal(apart, 0)
    return np.asarray(linkage(squareform(apart, checks=False), way))


def layers(nodes: Nodes, shares: Floats, *, coarse: bool) -> dict[str, Indices]:
    """Cut the hierarchy at each layer; gives the group of each node, whatever its size."""
    from scipy.cluster.hierarchy import fcluster

    tree = _tree(shares)
    above, cuts = np.zeros(len(shares), dtype=np.int64), {}
    for name, share in LAYERS.items():
        groups = fcluster(tree, 1 - (share or _LOOSEST) + 1e-6, criterion="distance") - 1
        if share:
            above = cuts[name] = _placed(nodes, shares, groups, above, share)
        elif coarse:
            above = cuts[name] = _coarse(nodes, groups)
    return cuts


def _placed(nodes: Nodes, shares: Floats, groups: Indices, above: Indices, share: float) -> Indices:
    """Join nodes of no cluster to the nearest, of the same one above, as long as one is that near.

    As near as the share of the layer says: by the cosine to the middle of its cards, where each is
    a vector of the groups that it was in.
    """
    held = kept(nodes, groups) >= 0
    clusters = np.unique(groups[nodes.of_card[held]])
    # A large group is no cluster because its authors are few: it stays apart from those of others.
    free = (np.bincount(groups[nodes.of_card]) < MIN_CARDS)[groups]
    weight = nodes.weights[:, None].astype(np.float32)
    while len(clusters):
        member = (groups[:, None] == clusters) * weight
        member /= member.sum(axis=0)
        often = shares @ member
        often /= np.sqrt((member * often).sum(axis=0))
        often[above[:, None] != above[member.argmax(axis=0)]] = 0
        joins = free & ~member.any(axis=1) & (often.max(axis=1) >= share)
        if not joins.any():
            break
        groups = np.where(joins, clusters[often.argmax(axis=1)], groups)
    return groups


def _coarse(nodes: Nodes, groups: Indices) -> Indices:
    """Join the groups of the loosest layer by runs of few groups: to 8-15 regions, for a reader.

    Cut where the hierarchy has its longest step, and into fewer only where that is a wide one; if
    there is such a cut, where no region has more than a quarter of the cards.
    """
    from scipy.cluster.hierarchy import fcluster

    n = int(groups.max()) + 1
    if n < 3:
        return groups
    member = np.zeros((n, len(groups)), dtype=np.float32)
    member[groups, np.arange(len(groups))] = nodes.weights
    member /= member.sum(axis=1, keepdims=True)
    # from one start: the best of several would see the clusters within regions again
    coarse = runs(nodes, _COARSE, _N_COARSE, n_starts=1)
    shares = member @ together(coarse) @ member.T
    tree = _tree(np.clip((shares + shares.T) / 2, 0, 1), "complete")
    of_group = np.bincount(groups[nodes.of_card], minlength=n)
    steps = np.concatenate([[0], tree[:, 2], [1]])
    cuts = []
    for low, step in zip(steps[:-1], np.diff(steps), strict=True):
        cut = fcluster(tree, low, criterion="distance") - 1
        regions = np.bincount(cut, weights=of_group)
        n_regions = int((regions >= MIN_CARDS).sum())
        if 2 <= n_regions <= _MOST:
            narrow = regions.max() <= of_group.sum() / 4
            cuts.append((step > _WIDE, n_regions >= _FEWEST, narrow, step, -low, cut))
    if not cuts:
        return groups
    # A step far longer than those of a continuum is what the corpus itself shows.
    wide = [cut for cut in cuts if cut[0] and cut[4] < 0] or [cut for cut in cuts if cut[0]]
    chosen = max(wide, key=lambda cut: cut[3]) if wide else max(cuts, key=lambda cut: cut[1:5])
    return np.asarray(chosen[5][groups])


def kept(nodes: Nodes, groups: Indices) -> Indices:
    """Give the cluster of each card, the largest 0; -1 in groups of few cards or authors."""
    group = groups[nodes.of_card]
    n = int(groups.max()) + 1
    size = np.bincount(group, minlength=n)
    pairs = np.unique(np.stack([group, nodes.author]), axis=1)
    good = (size >= MIN_CARDS) & (np.bincount(pairs[0], minlength=n) >= MIN_AUTHORS)
    # Of equal ones that whose first node comes first: nodes stand in an order of their own.
    first = np.full(n, len(groups))
    np.minimum.at(first, groups, np.arange(len(groups)))
    order = np.lexsort((first, -size))
    rank = np.full(n, -1)
    rank[order[good[order]]] = np.arange(good.sum())
    return np.asarray(rank[group])


# ---- How sure the clusters of each layer are.

#: Halves of the authors of which the clusters are found anew, and the runs for each.
_HALVES, _HALF_RUNS = 4, N_RUNS // 4


def sureness(
    nodes: Nodes, found: tuple[Floats, tuple[int, int]], labels: Indices
) -> dict[str, pl.DataFrame]:
    """Say how often the cards of each cluster are together, and how it comes back from halves."""
    shares, numbers = found
    scores: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in LAYERS}
    n_authors = int(nodes.author.max()) + 1
    for i in range(_HALVES):
        inside = (np.random.default_rng(i).permutation(n_authors) < n_authors / 2)[nodes.author]
        part = nodes.part(inside)
        of_half = together(runs(part, numbers, _HALF_RUNS, seed=i + 1))
        groups = layers(part, of_half, coarse=True)
        for name, label in zip(LAYERS, labels, strict=True):
            scores[name].append(_jaccard(label[inside], groups[name][part.of_card]))
    result = {}
    for name, label in zip(LAYERS, labels, strict=True):
        n = int(label.max(initial=-1)) + 1
        member = np.zeros((n, len(nodes.values)))
        np.add.at(member, (label[label >= 0], nodes.of_card[label >= 0]), 1)
        size = member.sum(axis=1)
        pairs = ((member @ shares) * member).sum(axis=1) - size
        back = [np.pad(each, (0, n - len(each))) for each in scores[name]]
        sure = {"together": pairs / (size * (size - 1)), "comes_back": np.mean(back, axis=0)}
        result[name] = pl.DataFrame({"cluster": np.arange(n, dtype=np.int32), **sure})
    return result


def _jaccard(labels: Indices, others: Indices) -> npt.NDArray[np.float64]:
    """Give for each cluster the largest similarity with a group of another grouping."""
    n = int(labels.max(initial=-1)) + 1
    both = np.zeros((n + 1, int(others.max(initial=-1)) + 1))
    np.add.at(both, (labels, others), 1)  # the last row is that of -1
    union = both.sum(axis=1)[:, None] + both.sum(axis=0) - both
    best: npt.NDArray[np.float64] = (both / np.maximum(union, 1)).max(axis=1, initial=0)[:n]
    return best


def nearness(nodes: Nodes, labels: Indices) -> Floats:
    """Give the cosine of each card to the middle of its cluster."""
    result = np.zeros(labels.shape, dtype=np.float32)
    weights = author_weights(nodes.author)[:, None].astype(np.float32)
    for near, label in zip(result, labels, strict=True):
        inside = np.flatnonzero(label >= 0)
        sums = np.zeros((int(label.max(initial=-1)) + 1, nodes.values.shape[1]), dtype=np.float32)
        own = nodes.values[nodes.of_card[inside]]
        np.add.at(sums, label[inside], own * weights[inside])
        near[inside] = (own * unit(sums)[label[inside]]).sum(axis=1)
    return result
