"""How often the analyses give a false alarm on the cards at hand, where nothing is to be found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from .comparison.compare import DERIVED, TOPICS, compare
from .frames import Coded, as_polars
from .schema import CardlabError, NoFigure, at_least, column_names, one_of
from .shares.authors import author_column
from .shares.counting import numbered
from .tags.cooccurrence import considered, table_of_pairs
from .text.columns import Progress

Control = Literal["cooccurrence", "compare"]
_SCHEMA = {
    **{"control": pl.String, "column": pl.String, "author_share": pl.Float64},
    **{"n_draws": pl.Int64, "n_tests": pl.Int64, "n_false": pl.Int64, "false_share": pl.Float64},
    **{"n_false_q": pl.Int64, "false_q_share": pl.Float64},
}
_FALSE = 0.05


def negative_control(
    cards: Any,
    *,
    of: Control = "cooccurrence",
    author_shares: Sequence[float] = (0.5, 0.2, 0.05),
    n_draws: int = 20,
    cluster: str | None = "author",
    random_state: int = 0,
    **options: Any,
) -> pl.DataFrame:
    """Say how often pairs of tags, or two corpora, come out as beyond chance where nothing is.

    Parameters
    ----------
    cards : frame
        As for :func:`cooccurrence` or :func:`compare`.
    of : {"cooccurrence", "compare"}
        What is tried: pairs of the tags with properties that are drawn at random for each author,
        or two random halves of the authors as two corpora.
    author_shares : sequence of float
        The chance (0-1) of an author to have a property; halves are at 0.5.
    n_draws : int
        Properties of each chance, or halves.
    cluster : str or None, default "author"
        The column of authors. None takes cards as independent in the tests, though the
        properties are those of ``author`` still: what is then found is what authors pretend.
    random_state : int
        Seed of the draws.
    **options
        What else :func:`cooccurrence` takes, but `families`; or ``columns`` of :func:`compare`.

    Returns
    -------
    pl.DataFrame
        One row a chance, or a column that is compared:

        - ``control`` (`of`), ``column``, ``author_share``, ``n_draws``;
        - ``n_tests``: pairs of a tag with a random property that were tested, or halves;
        - ``n_false`` of them with p < 0.05, ``false_share`` (0-1; 0.05 is what p promises);
        - ``n_false_q``, ``false_q_share``: the same with q < 0.05; null for corpora, which have no
          q. Shares are null without a test.

    Raises
    ------
    NoFigure
        The cards have no column of authors, fewer than two authors, or nothing to be tested.
    MissingColumn, CardlabError
        As those two raise them.

    Notes
    -----
    M. Lipsitch and others, "Negative controls: a tool for detecting confounding and bias in
    observational studies", Epidemiology 21 (2010), 383-388. All properties of one chance are tags
    of the same cards at once, beside the true ones.
    """
    one_of(of, get_args(Control), name="of")
    at_least(n_draws, 1, name="n_draws")
    at_least(random_state, 0, name="random_state")
    for share in author_shares:
        if not 0 < share < 1:
            raise CardlabError(f"author_shares must be above 0 and below 1, not {share!r}.")
    by = author_column(cards, "author" if cluster is None else cluster, "sample")
    if by is None:
        raise NoFigure("the cards have no column 'author'; name another with cluster=.")
    generator = np.random.default_rng(random_state)
    if of == "compare":
        rows = _halves(cards, by, cluster, n_draws, generator, **options)
    else:
        rows = _properties(cards, by, cluster, author_shares, n_draws, generator, **options)
    found = pl.DataFrame(list(rows), schema=_SCHEMA)
    if not found["n_tests"].sum():
        raise NoFigure("nothing could be tested: too few cards or authors have the same values.")
    return found.with_columns(
        pl.when(pl.col("n_tests") > 0).then(pl.col(f"n_{part}") / pl.col("n_tests")).alias(share)
        for part, share in (("false", "false_share"), ("false_q", "false_q_share"))
    )


def _properties(
    cards: Any,
    by: str,
    cluster: str | None,
    author_shares: Sequence[float],
    n_draws: int,
    generator: np.random.Generator,
    *,
    min_authors: int = 5,
    **options: Any,
) -> Iterator[dict[str, Any]]:
    """Give the false alarms of the tags with random properties of authors, for each chance."""
    coded, author, _ = considered(cards, by, **options)
    n_authors = _enough(author)
    progress = Progress(len(author_shares), "chances")
    for share in author_shares:
        has = generator.random((n_authors, n_draws)) < share
        more = _with_properties(coded, has[author])
        given = None if cluster is None else author
        found = table_of_pairs(
            more, given, min_cards=options.get("min_cards", 5), min_authors=min_authors
        )
        # the tag that comes first in a pair is one of the cards', the other a property
        is_random = [
            pl.col(f"tag_{side}").is_in(more.names[len(coded.names) :].implode()) for side in "ab"
        ]
        found = found.filter(~is_random[0] & is_random[1]).drop_nulls("p_value")
        yield {
            **{"control": "cooccurrence", "column": options.get("column", "tags")},
            **{"author_share": share, "n_draws": n_draws, "n_tests": found.height},
            "n_false": int((found["p_value"] < _FALSE).sum()),
            "n_false_q": int((found["q_value"] < _FALSE).sum()),
        }
        progress.step(1)
    progress.end()


def _with_properties(coded: Coded, has: Any) -> Coded:
    """Add a value for each column of `has`, whose rows are the cards; their names come last."""
    names = pl.Series([f"\U0010ffff{number:06}" for number in range(has.shape[1])])
    card, code = np.nonzero(has)
    every = np.append(coded.of_each(np.arange(coded.n_cards)), card)
    order = np.argsort(every, kind="stable")
    codes = np.append(coded.code, code + len(coded.names))[order]
    return Coded(pl.concat([coded.names, names]), codes, coded.lengths + has.sum(axis=1))


def _halves(
    cards: Any,
    by: str,
    cluster: str | None,
    n_draws: int,
    generator: np.random.Generator,
    *,
    columns: Sequence[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """Give how many random halves of the authors are found apart, for each column."""
    have, asked = column_names(cards), list(TOPICS if columns is None else columns)
    frame = as_polars(cards).lazy()
    made = [DERIVED[name] for name in asked if name not in have and name in DERIVED]
    for make in dict.fromkeys(make for base, make in made if base in have):
        frame = make(frame)
    have = frame.collect_schema().names()
    kept = [name for name in asked if name in have]
    held = frame.select(list(dict.fromkeys([by, *kept]))).collect()
    given: dict[str, Any] = {
        "columns": kept if columns is None and kept else columns,
        "cluster": cluster,
    }
    author = numbered(held[by])
    n_authors = _enough(author)
    progress, found = Progress(n_draws, "draws"), []
    for _ in range(n_draws):
        half = pl.Series(generator.permutation(n_authors)[author] < n_authors // 2)
        seed = int(generator.integers(1 << 31))
        apart = compare(held.filter(half), held.filter(~half), random_state=seed, **given)
        found.append(apart.drop_nulls("p_value").select("column", "p_value"))
        progress.step(1)
    progress.end()
    for name, p_value in (
        pl.concat(found)
        .group_by("column", maintain_order=True)
        .agg("p_value")
        .sort("column")
        .rows()
    ):
        yield {
            **{"control": "compare", "column": name, "author_share": 0.5, "n_draws": n_draws},
            **{"n_tests": len(p_value), "n_false": sum(p <= _FALSE for p in p_value)},
        }


def _enough(author: Any) -> int:
    """Count the authors, or say that there are too few to draw."""
    n_authors = int(author.max(initial=-1)) + 1
    if n_authors < 2:
        raise NoFigure(
            f"the cards have {n_authors} author(s); a negative control draws among two or more."
        )
    return n_authors
