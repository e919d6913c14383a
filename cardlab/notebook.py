"""What notebooks show beside charts: key figures, sentences, tables, where the cards came from.

``from cardlab import notebook as nb`` in a notebook also lets each cell whose figure this corpus
cannot have show a line that says why, in place of an error; see :func:`say_no_figure`. Everything
that may hold a card's words is escaped here; nothing of a card becomes markup.
"""

from __future__ import annotations

import ast
import datetime as dt
import html
import math
import os
import platform
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import altair as alt
import polars as pl
from IPython import get_ipython
from IPython.display import display

from . import __version__
from .cards.sources import corpus_hash, told_apart
from .charts.base import SWITCH, use_theme
from .charts.canvas import FACTS, FINDINGS, LACKING, TABLE, compact, in_frame, packed
from .embeddings.vectors import usable
from .frames import as_polars
from .overview.time import judge
from .schema import (
    CardlabError,
    NoFigure,
    collect,
    column_names,
    count,
    is_share,
    label,
    one_of,
    printable,
    require,
    shorten,
)

__all__ = [
    "key_figures",
    "note",
    "provenance",
    "require",
    "say_no_figure",
    "show_findings",
    "show_table",
    "taken_for",
    "titled",
    "told_apart",
    "usable",
    "use_theme",
    "where_possible",
]

C = TypeVar("C", bound=alt.TopLevelMixin)
#: Why there is no figure, in words, and the columns that are missing, or these words.
_Reason = tuple[str, list[str]]
#: What the value of a finding is, where it is no share; and sentences on what did not hold.
_VALUES = {
    **dict.fromkeys(("contrasts", "tags", "comparison"), "difference"),
    **{"trends": "ratio", "growth": "weeks"},
}
_MOST_OTHERS = 30
#: Letters of a line of a title, which JupyterLab does not break.
_LINE = 84
#: Rows that JupyterLab shows of a table; the report's own table shows and searches all it has.
_ROWS_IN_LAB = 20
#: What cards are of, in words.
_KINDS = {"model": "models", "dataset": "data sets", "space": "Spaces"}
_PACKAGES = ("polars", "altair", "scikit-learn", "numpy")

#: What MathJax leaves alone: 3 and 4 (JupyterLab) go by the first, 2 (nbconvert) by the second.
NO_MATH = ("mathjax_ignore", "tex2jax_ignore")


class Shown:
    """Something a notebook shows, in every form that a front end may ask for.

    Its HTML is kept from MathJax: dollar signs and backslashes of a card stay what they are.
    """

    def __init__(self, markup: str, plain: str, others: Mapping[str, Any] | None = None) -> None:
        kept = f'<div class="{" ".join(NO_MATH)}">{markup}</div>'
        self._bundle = {**(others or {}), "text/html": kept, "text/plain": plain}

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return self._bundle

    def __repr__(self) -> str:
        return str(self._bundle["text/plain"])


def note(template: str, **values: Any) -> Shown:
    """Show a sentence with figures in it: ``{name}`` places, filled as by :meth:`str.format`.

    Strings may come from cards: they are shown, never interpreted.
    """
    safe = {k: printable(v) if isinstance(v, str) else v for k, v in values.items()}
    text = template.format(**safe)
    return Shown(f'<p class="cl-note">{html.escape(text)}</p>', text)


def taken_for(population: str) -> Shown:
    """Say whether the cards are taken for a sample of more or for all there are."""
    one_of(population, _TAKEN_FOR, name="population")
    return note(_TAKEN_FOR[population])


_TAKEN_FOR = {
    "sample": "These cards are taken for a sample of more: intervals say where the figures of all "
    "may lie.",
    "census": "These cards are taken for all there are (a census): shares of them are exact and "
    "have no interval.",
}


def key_figures(figures: Mapping[str, Any]) -> Shown:
    """Show a few numbers: label -> a number or string, or ``(n, total)`` for a part of a whole."""
    facts = []
    for words, value in figures.items():
        n, total = value if isinstance(value, tuple) else (value, None)
        share = f" ({100 * n / total:.1f} %)" if total else ""
        beside = "" if total is None else f"of {total:,}{share}"
        if isinstance(n, str):
            text = printable(n)
        else:
            text = f"{n:,}" if beside or isinstance(n, int) else _number(n, 3)
        facts.append({"label": words, "value": text, "note": beside})
    cells = "".join(
        f'<div class="cl-fact"><strong>{html.escape(fact["value"])}</strong> '
        f"{html.escape(fact['label'])} <small>{html.escape(fact['note'])}</small></div>"
        for fact in facts
    )
    plain = "\n".join(f"{f['label']}: {f['value']} {f['note']}".rstrip() for f in facts)
    return Shown(cells, plain, {FACTS: {"facts": facts}})


def show_findings(found: pl.DataFrame, *topics: str) -> Shown:
    """Show what :func:`cardlab.findings` said on some topics, and folded, what does not hold.

    In a report each has a small picture and a link to its figure: see :func:`titled`.
    """
    about = found.filter(pl.col("topic").is_in(topics)) if topics else found
    said = [
        {name: row[name] for name in ("topic", "figure", "value", "low", "high", "strength")}
        | {"text": printable(row["finding"]), "kind": _VALUES.get(row["topic"], "share")}
        for row in about.filter("held").iter_rows(named=True)
    ]
    rest = about.filter(~pl.col("held")).select(text="finding", reason="reason").head(_MOST_OTHERS)
    others = rest.with_columns(pl.all().map_elements(printable, return_dtype=pl.String)).to_dicts()
    lines = [item["text"] for item in said] or ["Nothing is certain enough to be said."]
    shown = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    folded = "".join(
        f"<li>{html.escape(item['text'])} <em>{html.escape(item['reason'])}</em></li>"
        for item in others
    )
    more = (
        f"<details><summary>Looked for, not found or not said</summary><ul>{folded}</ul></details>"
    )
    written = f"<ul>{shown}</ul>{more if others else ''}"
    return Shown(written, "\n".join(lines), {FINDINGS: {"said": said, "others": others}})


def titled(
    chart: C, found: pl.DataFrame, *topics: str, figure: str = "", of: int | None = None
) -> C:
    """Give a chart the strongest finding on its topics as title, its own as the line beneath.

    `figure` is a part of the call of the findings that are meant, `of` the number of cards that the
    chart's shares, and so its title's, are of. Where none holds, the title stays as it is.
    """
    held = found.filter("held", pl.col("topic").is_in(topics))
    held = held.filter(pl.col("figure").str.contains(figure, literal=True))
    if not held.height:
        return chart
    # a report links all findings on these topics to the chart
    chart = chart.properties(usermeta={"topics": list(topics)})
    held = held if of is None else held.filter(pl.col("of") == of)
    if not held.height:
        return chart
    own = chart.to_dict()["title"]
    lines = textwrap.wrap(printable(held["finding"][0]), _LINE)
    beneath = [own["text"], *own.get("subtitle", [])]
    return chart.properties(title=alt.TitleParams(lines, subtitle=beneath))


def show_table(
    frame: pl.DataFrame,
    *,
    caption: str,
    labels: Mapping[str, str] | None = None,
    max_rows: int = 1000,
    empty: str | None = None,
    folded: bool = False,
    todo: str = "",
) -> Shown:
    """Show a small frame as a table; in a report it can be sorted, searched and downloaded.

    Parameters
    ----------
    frame : pl.DataFrame
        Shown in its order.
    caption : str
        What the table says, with its denominator.
    labels : mapping, optional
        Column name -> heading. Columns without one show their name in words.
    max_rows : int
        Only the first rows; the table says so.
    empty : str, optional
        The sentence to show for a frame without rows, which is an answer as well; without one
        it is a NoFigure.
    folded : bool
        Open only when somebody asks; in a report, behind the chart that it follows.
    todo : str
        What is to be done about its rows: the index of a report says it, with the table.
    """
    if not isinstance(frame, pl.DataFrame):
        raise CardlabError(f"show_table shows a polars DataFrame, not {type(frame).__name__}.")
    if not frame.height and empty is not None:
        return note("{empty}", empty=empty)
    if not frame.height:
        raise NoFigure(f"the table “{caption}” would have no rows.")
    shown, named = frame.head(max_rows), labels or {}
    columns = [
        {"name": name, "label": printable(named.get(name, label(name))), "kind": _kind(name, dtype)}
        for name, dtype in shown.schema.items()
    ]
    data = [[_cell(value) for value in column] for column in shown.iter_columns()]
    said = printable(caption)
    table = {"caption": said, "columns": columns, "data": data, "n_total": frame.height}
    table |= {"folded": folded, "todo": printable(todo)}
    plain = f"{caption}\n{shown.height:,} of {frame.height:,} rows, {len(columns)} columns"
    written = _in_lab(table, _html_table(table))
    if folded:
        written = f"<details><summary>{html.escape(said)}</summary>{written}</details>"
    return Shown(written, printable(plain), {TABLE: table})


@contextmanager
def where_possible() -> Iterator[None]:
    """Show a line that says why, instead of a figure that this corpus cannot have.

    For one turn of a loop; a whole cell needs no such guard. Any other error than
    :class:`cardlab.NoFigure` stops the notebook as it should.
    """
    try:
        yield
    except NoFigure as reason:
        _say(_said(reason))


def say_no_figure(shell: Any) -> None:
    """Let a cell that ends in a ``NoFigure`` show its reason as a line, and the notebook go on.

    What such a cell would have assigned is taken away where it is left over from an earlier run of
    the cell, and a later cell that asks for it shows the same reason. Any other error stops the
    notebook as it should. Importing this module in a notebook registers it in its `shell`.
    """
    missing: dict[str, _Reason] = {}  # name -> why the cell that assigns it could not
    earlier: dict[str, Any] = {}  # the names as they were before this cell
    maker: dict[str, str] = {}  # name -> the cell that last assigned it

    def reason(error: BaseException | None) -> _Reason | None:
        if isinstance(error, NameError):
            return missing.get(error.name or "")
        return _said(error) if isinstance(error, NoFigure) else None

    def remember(info: Any) -> None:
        earlier.clear()
        earlier.update(shell.user_ns)

    def show(
        ipython: Any, kind: type, error: BaseException, trace: Any, tb_offset: Any = None
    ) -> None:
        why = reason(error)
        if why is None:
            ipython.showtraceback((kind, error, trace), tb_offset=tb_offset)
        else:
            _say(why)

    def settle(result: Any) -> None:
        cell = getattr(result.info, "cell_id", None) or result.info.raw_cell
        why = reason(result.error_in_exec)
        for name in _assigned(result.info.raw_cell):
            untouched = shell.user_ns.get(name) is earlier.get(name)
            if why is None or not untouched:
                maker[name] = cell
                missing.pop(name, None)
            elif name not in shell.user_ns or maker.get(name) == cell:
                shell.user_ns.pop(name, None)
                missing[name] = why
        if why is not None:
            result.error_in_exec = None  # the kernel's answer is "ok", so that the cells below run
        earlier.clear()  # a matrix that was replaced must not stay in memory

    shell.set_custom_exc((NoFigure, NameError), show)
    shell.events.register("pre_run_cell", remember)
    shell.events.register("post_run_cell", settle)


def _assigned(source: str) -> set[str]:
    try:
        nodes = ast.walk(ast.parse(source))
    except SyntaxError:  # a magic; such a cell assigns nothing that we know of
        return set()
    return {
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _said(error: NoFigure) -> _Reason:
    return str(error), list(getattr(error, "columns", ())) or [str(error)]


def _say(reason: _Reason) -> None:
    text, lacks = reason
    line = note("No figure here: {text}", text=text)
    line._bundle[LACKING] = lacks
    display(line)  # type: ignore[no-untyped-call]


def provenance(cards: Any, *, source: Any = None, **parameters: Any) -> Shown:
    """Show what a notebook was made from: source, hash, cards, versions, parameters.

    `source` is what was passed to :func:`cardlab.scan_cards`, shown by its last parts only; where
    it is None the `cards` are hashed.
    """
    hashed = corpus_hash(cards if source is None else source)
    have = column_names(cards)
    held = [name for name in ("author", "created_at", "kind") if name in have]
    frame = collect(as_polars(cards).lazy().select(held)) if held else pl.DataFrame()
    about = {}
    if "kind" in held:
        kinds = frame["kind"].unique().sort().to_list()
        about["cards of"] = ", ".join(_KINDS.get(kind, "unknown") for kind in kinds)
    if "author" in held:
        about["authors"] = f"{frame['author'].drop_nulls().n_unique():,}"
    if "created_at" in held:
        days = judge(frame["created_at"]).true.drop_nulls().dt.strftime("%Y-%m-%d").sort()
        if len(days):
            about["dated"] = f"{days[0]} to {days[-1]} ({len(days):,} with a true date)"
    rows = {
        "source": _label(source),
        "SHA-256 of the source": hashed or "not hashed (remote or lazy)",
        "cards": f"{count(cards):,}",
        **about,
        **{f"parameter {key}": repr(value) for key, value in parameters.items()},
        "Python": platform.python_version(),
        **{"cardlab": __version__, **{package: version(package) for package in _PACKAGES}},
    }
    table = pl.DataFrame({"item": list(rows), "value": [printable(v) for v in rows.values()]})
    made = show_table(table, caption="What this page was made from", folded=True)
    made._bundle[TABLE]["about"] = True
    return made


def _kind(name: str, dtype: pl.DataType) -> str:
    if dtype.is_float() and is_share(name):
        return "share"
    of = {"list": (pl.List, pl.Array), "date": (pl.Date, pl.Datetime, pl.Time, pl.Duration)}
    known = next((kind for kind, types in of.items() if isinstance(dtype, types)), "text")
    return "int" if dtype.is_integer() else "float" if dtype.is_float() else known


def _cell(value: Any) -> Any:
    """Give a value as JSON can have it, and a reader may see it."""
    if isinstance(value, (pl.Series, list, tuple)):
        return [_cell(item) for item in value]
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()[:10]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, int) else printable(str(value))


def _in_lab(table: dict[str, Any], written: str) -> str:
    """Give a table that is cut as the reports do: sorted, searched, in pages. A report has its own.

    It stands in a frame of its own; where that is left out, as on GitHub, the first rows are seen.
    """
    if table["n_total"] <= _ROWS_IN_LAB or os.environ.get(SWITCH) == "0":
        return written
    words = html.escape(table["caption"])
    data = packed(compact(table))
    body = (
        f'<section class="table" id="table" aria-label="{words}"><p class="caption">{words}</p>'
        f'<script type="application/octet-stream" class="packed">{data}</script></section>'
    )
    scripts, look = ("tables.js",), "tables.css"
    return in_frame(body, table["caption"], scripts, look, kind="table", beside=written, height=560)


def _html_table(table: dict[str, Any]) -> str:
    head, columns = "", []
    for column, data in zip(table["columns"], table["data"], strict=True):
        kind = column["kind"]
        side = f"text-align: {'right' if kind in ('share', 'int', 'float') else 'left'}"
        whole = "" if kind in ("text", "list") else "; white-space: nowrap"
        head += f'<th style="{side}">{html.escape(column["label"])}</th>'
        texts = (html.escape(shorten(_text(value, kind), 120)) for value in data[:_ROWS_IN_LAB])
        columns.append([f'<td style="{side}{whole}">{text}</td>' for text in texts])
    rows = ["".join(cells) for cells in zip(*columns, strict=True)]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    more = table["n_total"] > len(rows)
    cut = f". First {len(rows):,} of {table['n_total']:,} rows." if more else ""
    caption = html.escape(table["caption"] + cut)
    # a narrow table would break it into many lines
    style = f"text-align: left{'' if len(caption) > 100 else '; white-space: nowrap'}"
    return (
        f'<table class="dataframe"><caption style="{style}">{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _text(value: Any, kind: str) -> str:
    """Write what stands in a cell."""
    if value is None:
        return "–"
    if kind == "share":
        return f"{100 * value:.1f} %"
    if kind == "int":
        return f"{value:,}"
    if kind == "float":
        return _number(value, 4)
    return ", ".join(_text(item, "text") for item in value) if kind == "list" else str(value)


def _number(value: float, digits: int) -> str:
    """Write so many digits, but all that stand before the point: no 7.497e+04."""
    long = 10**digits - 0.5 <= abs(value) < 1e15
    return f"{value:,.0f}" if long else f"{value:,.{digits}g}"


def _label(source: Any) -> str:
    if source is None:
        return "bundled synthetic corpus (make_cards)"
    if isinstance(source, (list, tuple)):
        return ", ".join(_label(item) for item in source)
    if not isinstance(source, (str, Path)):
        return f"frame in memory ({type(source).__name__})"
    return str(source) if "://" in str(source) else "/".join(Path(source).parts[-2:])


if get_ipython() is not None:
    say_no_figure(get_ipython())
