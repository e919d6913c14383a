"""``compare_ids``: which cards were added, removed, changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from .._public import taking_sources
from ..frames import narrow
from ..schema import COLUMNS, CardlabError, collect
from .compare import asked, columns_of, require_of

#: Columns that follow from ``id``, or that no reader compares.
_LEFT_OUT = ("id", "author", "embeddings")
#: Columns that an engine other than polars does not hand over unasked.
_LARGE = ("text", "metadata")


@taking_sources
def compare_ids(a: Any, b: Any, *, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """List the cards that were added, removed or changed from one corpus to another.

    Parameters
    ----------
    a, b : frame
        With ``id``. `a` is one's own corpus or the newer state, `b` the Hub or the older one.
    columns : sequence of str, optional
        What is compared of a card that both have. Default: the canonical columns that both have,
        but for ``author`` and ``embeddings`` (and, of engines other than polars, ``text`` and
        ``metadata``, which they would hand over whole). ``downloads`` and ``likes`` are among
        them, and change all the time.

    Returns
    -------
    pl.DataFrame
        One row a card that is not the same in both, by ``change`` and ``id``:

        - ``id``;
        - ``change``: ``added`` (in `a` only), ``removed`` (in `b` only), ``changed``;
        - ``columns`` (list of str): what differs, in the order of `columns`; null unless changed;
        - ``n_ids_a``, ``n_ids_b``: different ids of each corpus, and ``n_shared``: those in both.

    Raises
    ------
    MissingColumn
        A corpus lacks ``id`` or one of `columns`; the message says which.

    Notes
    -----
    A value that is null on one side only has changed, as has null against an empty list; a list
    in another order has not. An id that a corpus has several times is compared with all its
    cards, whatever their order. Cards without an id are left out. Of every value only a hash of 64
    bits is kept.

    Examples
    --------
    >>> from cardlab.comparison.changes import compare_ids
    >>> old = {"id": ["a", "b"], "likes": [1, 2]}
    >>> compare_ids({"id": ["b", "c"], "likes": [3, 4]}, old)["id", "change", "columns"].rows()
    [('c', 'added', None), ('b', 'changed', ['likes']), ('a', 'removed', None)]
    """
    require_of(a, "a", "id")
    require_of(b, "b", "id")
    chosen = _compared(a, b, columns)
    require_of(a, "a", *chosen)
    require_of(b, "b", *chosen)
    types = [narrow(side, chosen).collect_schema() if chosen else {} for side in (a, b)]
    alike = {name: types[0][name] == types[1][name] for name in chosen}
    marks_a, marks_b = _once_an_id(*(_hashed(side, chosen, alike) for side in (a, b)))
    both = marks_a.join(marks_b, on="id", suffix=" b")
    differs = [
        pl.when(pl.col(f"column {at}") != pl.col(f"column {at} b")).then(pl.lit(name))
        for at, name in enumerate(chosen)
    ]
    none = pl.lit(None, pl.List(pl.String))
    listed = pl.concat_list(differs).list.drop_nulls() if differs else none
    parts = {
        "added": marks_a.join(marks_b, on="id", how="anti").select("id", columns=none),
        "removed": marks_b.join(marks_a, on="id", how="anti").select("id", columns=none),
        "changed": both.select("id", columns=listed).filter(pl.col("columns").list.len() > 0),
    }
    return (
        pl.concat(
            part.select("id", pl.lit(change).alias("change"), "columns")
            for change, part in parts.items()
        )
        .sort("change", "id")
        .with_columns(
            pl.lit(marks_a.height, pl.Int64).alias("n_ids_a"),
            pl.lit(marks_b.height, pl.Int64).alias("n_ids_b"),
            pl.lit(both.height, pl.Int64).alias("n_shared"),
        )
    )


def _compared(a: Any, b: Any, columns: Sequence[str] | None) -> list[str]:
    if columns is not None:
        return asked(columns)
    have_a, have_b = columns_of(a, "a"), columns_of(b, "b")
    own = all(isinstance(side, (pl.DataFrame, pl.LazyFrame)) for side in (a, b))
    left_out = _LEFT_OUT if own else (*_LEFT_OUT, *_LARGE)
    return [name for name in COLUMNS if name in have_a and name in have_b and name not in left_out]


def _hashed(cards: Any, columns: list[str], alike: dict[str, bool]) -> pl.DataFrame:
    """Give each id once, with a hash of each column of its cards."""
    frame = narrow(cards, list(dict.fromkeys(["id", *columns])))
    schema = frame.collect_schema()
    hashes = [
        _hash(name, schema[name], alike[name]).alias(f"column {at}")
        for at, name in enumerate(columns)
    ]
    kept = frame.select(pl.col("id").cast(pl.String), *hashes).filter(pl.col("id").is_not_null())
    return collect(kept)


def _once_an_id(a: pl.DataFrame, b: pl.DataFrame) -> list[pl.DataFrame]:
    """Put the cards of each id together, where either corpus has an id several times."""
    if all(rows["id"].n_unique() == rows.height for rows in (a, b)):
        return [a, b]
    return [
        rows.group_by("id").agg(pl.exclude("id").sort()).with_columns(pl.exclude("id").hash(seed=0))
        for rows in (a, b)
    ]


def _hash(name: str, dtype: pl.DataType, alike: bool) -> pl.Expr:
    value = pl.col(name)
    if dtype == pl.Object:
        raise CardlabError(f"column {name!r} holds Python objects, which cannot be compared.")
    if isinstance(dtype, pl.List):
        if not alike or dtype.inner.is_nested():
            raise CardlabError(
                f"column {name!r} is {dtype}, or differs in type between the two corpora; "
                "cardlab.scan_cards(source) gives both the same columns."
            )
        value = value.list.sort()
    elif not alike:
        value = value.cast(pl.String)
    return value.hash(seed=0)
