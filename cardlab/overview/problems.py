"""Which cards could not be taken as they were, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from ..frames import as_lists, narrow
from ..schema import (
    INSTANT,
    PROBLEMS,
    CardlabError,
    NoFigure,
    collect,
    printable,
    require,
    shorten,
)
from .time import implausible

_LAYOUT = {"id": pl.String, "column": pl.String, "problem": pl.String, "detail": pl.String}
_LICENSE_SHAPE = r"^[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}$"
#: A code of ISO 639 with or without region and script, and the two words that the Hub lists.
_LANGUAGE_SHAPE = r"^(?:[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8})*|multilingual|code)$"


def problems(cards: Any, *, columns: str | Sequence[str] | None = None) -> pl.DataFrame:
    """List every card whose front matter or value could not be taken as it was.

    Parameters
    ----------
    cards : frame
        From :func:`cardlab.scan_cards`, whose ``problems`` column says what went wrong while
        reading; any other frame is only checked for the other kinds.
    columns : str or sequence of str, optional
        Only what is wrong with these columns; the others are not looked at.

    Returns
    -------
    pl.DataFrame
        ``id``, ``column``, ``problem``, ``detail``, sorted by problem and id. Kinds:

        - reading: ``unterminated``, ``not_a_mapping``, ``yaml_error``, ``null_metadata`` (the
          source has none), ``key_alias``, ``bad_json``, ``bad_row`` (too few or too many fields),
          ``not_utf8``, ``unreadable``, ``lfs_pointer`` (the file itself was not fetched),
          ``front_matter_in_text``, ``passed_over`` (README files below a card, taken as its parts),
          ``truncated`` (the source gives only the beginning);
        - columns: ``guessed_column``: a name that may mean something else, a text that is parted,
          and what overrules it (once for the corpus, without an id);
        - values: ``bad_date``, ``bad_value``, ``no_id``, ``not_a_model_id`` (an address or
          a path in place of an id; a parent's on the Hub is read as the id it leads to);
        - ``implausible_date``: a date before 2016 or later than tomorrow, which no figure counts;
        - ``duplicate_id``: an id on several cards (each of them is listed);
        - ``not_a_license``, ``not_a_language``: values that do not have the shape of an id;
        - ``unknown_license``, ``unknown_language``: values that have the shape of an id, but name
          no licence that is known here, or have no code (:func:`cardlab.with_licenses` and
          :func:`cardlab.language_problems` say how values are read);
        - ``tags_disagree``: front matter and tags both name licences, and not the same ones, as in
          :func:`cardlab.license_conflicts`;
        - ``too_large``: a text that was not taken apart as a whole;
        - ``null_vector``, ``wrong_length_vector`` (not the commonest), ``not_finite_vector``,
          ``zero_vector``; ``shared_vector``: the vector stands for several texts, as in
          :func:`~.shared_vectors`; ``not_vectors``: the column holds something else (one
          row without an id).

    Examples
    --------
    >>> cl.problems({"id": ["ann/a"], "languages": [["en", "jp"]]}).row(0)
    ('ann/a', 'languages', 'unknown_language', "'jp': a country's code; perhaps ja")
    """
    names = [columns] if isinstance(columns, str) else columns
    have = require(cards, "id", *(names or ()))
    read = ("id", "problems", "metadata", "tags", *_CHECKS)
    frame = narrow(cards, [name for name in have if name in read])
    frame = frame.with_columns(pl.col("id").cast(pl.String))
    found = [pl.DataFrame(schema=_LAYOUT)]
    checks = [(column, check) for column, check in _CHECKS.items() if column in have]
    if {"metadata", "tags"} <= set(have):
        checks.append(("license", _disagreeing))
    checks = [(column, check) for column, check in checks if names is None or column in names]
    # what is narrow is read in one pass for all
    wanted = {"id", *(column for column, check in checks if check not in _WIDE)} & set(have)
    if ("license", _disagreeing) in checks:
        from ..licenses.problems import front_matter_and_tags

        frame = front_matter_and_tags(frame)
        wanted |= {"declared", "tagged"}
    listed = frame.collect_schema().get("problems") == PROBLEMS
    rows = collect(frame.select(wanted | {"problems"} if listed else wanted))
    if listed:
        some = rows.filter(pl.col("problems").list.len() > 0).explode("problems")
        said = some.select("id", pl.col("problems").struct.unnest())
        of_all = pl.col("problem") == "guessed_column"  # of the corpus, not of the card that has it
        found += [said.filter(~of_all), said.filter(of_all).with_columns(id=None).unique()]
    for column, check in checks:
        wrong = check(frame if check in _WIDE else rows.lazy(), column)
        found.append(wrong.with_columns(pl.lit(column).alias("column")).select(*_LAYOUT))
    table = pl.concat(found)
    if names is not None:
        table = table.filter(pl.col("column").is_in(list(names)))
    return table.sort("problem", "id", "column", "detail", nulls_last=True)


def _duplicates(frame: pl.LazyFrame, column: str) -> pl.DataFrame:
    ids = collect(frame.select(column).drop_nulls()).group_by(column).len()
    detail = pl.format("one of {} cards with this id", "len")
    listed = ids.filter(pl.col("len") > 1).select(
        column, pl.lit("duplicate_id").alias("problem"), detail.repeat_by("len").alias("detail")
    )
    return listed.explode("detail")


def _impossible(frame: pl.LazyFrame, column: str) -> pl.DataFrame:
    """List the dates that cannot be those of a card."""
    dtype = frame.collect_schema()[column]
    if not isinstance(dtype, (pl.Datetime, pl.Date)):
        return pl.DataFrame(schema=_LAYOUT)
    date = pl.col(column)
    wrong = implausible(date.cast(INSTANT, strict=False)).fill_null(True) & date.is_not_null()
    detail = date.dt.strftime("%Y-%m-%dT%H:%M:%SZ" if isinstance(dtype, pl.Datetime) else "%F")
    found = collect(frame.select("id", column).filter(wrong))
    return found.select("id", pl.lit("implausible_date").alias("problem"), detail.alias("detail"))


def _licenses(frame: pl.LazyFrame, column: str) -> pl.DataFrame:
    from ..licenses.reading import read_license

    def why(value: str) -> str | None:
        found = read_license(value)  # the Hub has keywords that name no terms: ``unknown``
        no_license = found.license_class == "unknown" and found.reason != "keyword"
        return found.detail if no_license else None

    return _unread(frame, column, "license", _LICENSE_SHAPE, why)


def _languages(frame: pl.LazyFrame, column: str) -> pl.DataFrame:
    from ..languages import why_no_code

    return _unread(frame, column, "language", _LANGUAGE_SHAPE, why_no_code)


def _unread(
    frame: pl.LazyFrame, column: str, what: str, shape: str, why: Callable[[str], str | None]
) -> pl.DataFrame:
    """List the cards with values that cannot be an id, and with ids that `why` says to be none."""
    rows = collect(frame.select("id", column))
    rows = rows.with_columns(as_lists(rows[column]).alias("value"))
    values = rows["value"].explode(empty_as_null=False, keep_nulls=False).drop_nulls().unique()
    shaped = values.str.contains(shape)
    unlike = {value: repr(printable(value[:60])) for value in values.filter(~shaped)}
    known = {value: why(value) for value in values.filter(shaped)}
    unread = {value: f"{value!r}: {reason}" for value, reason in known.items() if reason}
    found = [pl.DataFrame(schema={name: _LAYOUT[name] for name in ("id", "problem", "detail")})]
    n = pl.col("value").list.len()
    for kind, said in ((f"not_a_{what}", unlike), (f"unknown_{what}", unread)):
        if not said:
            continue
        wrong = pl.element().filter(pl.element().is_in(list(said))).replace(said)
        listed = rows.select("id", pl.lit(kind).alias("problem"), pl.col("value").list.eval(wrong))
        more = pl.when(n > 5).then(pl.format(" and {} more", n.cast(pl.Int64) - 5))
        detail = pl.col("value").list.head(5).list.join(", ") + more.otherwise(pl.lit(""))
        found.append(listed.filter(n > 0).select("id", "problem", detail.alias("detail")))
    return pl.concat(found)


def _disagreeing(frame: pl.LazyFrame, column: str) -> pl.DataFrame:
    """List the cards whose front matter and tags name different licences, as conflicts have it."""
    from ..licenses.problems import against_tags

    found = against_tags(collect(frame.select("id", "declared", "tagged")))
    found = found.filter(kind="tags_disagree").unique(maintain_order=True)
    front, tags = (pl.col(name).list.sort().list.join(", ") for name in ("declared", "tagged"))
    said = pl.format("front matter: {}; tags: {}", front, tags)
    detail = said.map_elements(lambda text: shorten(printable(text), 300), return_dtype=pl.String)
    return found.select("id", pl.col("kind").alias("problem"), detail.alias("detail"))


def _cut(frame: pl.LazyFrame, column: str) -> pl.DataFrame:
    """List the texts that were cut."""
    from ..text.lengths import text_problems
    from ..text.markdown import MAX_CHARS

    if frame.collect_schema()[column] != pl.String:
        return pl.DataFrame(schema=_LAYOUT)
    # only texts that can have been cut are taken apart for it, since that takes a hundred times as
    # long: too long ones, or with a hundred @, or with a table of seven columns. A narrower table
    # is never cut: it may have 2,000 cells, or four for each of its characters, of which a row has
    # at least two with its end.
    text = pl.col(column)
    wide = text.str.contains(r"(?:-:?[ \t]*\|[ \t:-]*){7}")
    signs = text.str.count_matches("@", literal=True) > 100
    return text_problems(frame.filter(wide | signs | (text.str.len_bytes() > MAX_CHARS)))


def _vectors(frame: pl.LazyFrame, column: str) -> pl.DataFrame:
    """List the cards without a usable vector, and those whose vector stands for other texts too."""
    from ..embeddings.neighbors import shared_vectors
    from ..embeddings.vectors import vector_problems

    try:
        found = vector_problems(frame.select("id", column))
    except CardlabError as error:
        return pl.DataFrame({"id": None, "problem": "not_vectors", "detail": str(error)})
    length = pl.format("{} numbers", "length").fill_null("no vector")
    kinds = [found.select("id", pl.format("{}_vector", "problem").alias("problem"), detail=length)]
    if "text" in frame.collect_schema():
        try:
            shared = shared_vectors(frame.select("id", "text", column), same_text=False)
        except NoFigure:
            return kinds[0]
        detail = pl.format("the vector of {} cards with {} texts", "n_cards", "n_texts")
        kinds.append(
            shared.select("ids", problem=pl.lit("shared_vector"), detail=detail)
            .explode("ids")
            .rename({"ids": "id"})
        )
    return pl.concat(kinds)


#: What looks at columns that are never held at once.
_WIDE = (_cut, _vectors)
#: What is looked at in which column.
_CHECKS: dict[str, Callable[[pl.LazyFrame, str], pl.DataFrame]] = {
    "id": _duplicates,
    **dict.fromkeys(("created_at", "last_modified"), _impossible),
    "license": _licenses,
    "languages": _languages,
    "text": _cut,
    "embeddings": _vectors,
}
