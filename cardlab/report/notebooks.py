"""Where the notebooks are, how to copy them out, and how to give them parameters."""

from __future__ import annotations

import ast
import copy
import glob
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from ..schema import MissingSourceError, ReportError

PARAMETERS_TAG = "parameters"
INJECTED_TAG = "injected-parameters"

_KINDS: dict[type, str] = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list such as ['a', 'b']",
    dict: "a mapping",
}


def notebooks_folder() -> Path:
    """Return the folder of the curated notebooks.

    An installed wheel carries them inside the package; in a checkout they stand beside it.
    """
    package = Path(__file__).resolve().parent.parent
    places = [package / "notebooks", package.parent / "notebooks"]
    for place in places:
        if place.is_dir() and any(place.glob("*.ipynb")):
            return place
    looked = " and ".join(str(place) for place in places)
    raise ReportError(f"The curated notebooks were not found (looked in {looked}).")


def curated_notebooks() -> list[Path]:
    """Return the paths of the curated notebooks, in reading order."""
    return sorted(notebooks_folder().glob("*.ipynb"))


def copy_notebooks(folder: str | Path, *, keep: bool = False) -> list[Path]:
    """Copy the curated notebooks to a folder, and return their paths there.

    A notebook that is there already and differs from ours is somebody's work: it stays if we
    `keep` it, else nothing at all is copied.
    """
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise ReportError(f"{str(target)!r} is a file, and notebooks are copied into a folder.")
    pairs = [(path, target / path.name) for path in curated_notebooks()]
    there = [(old, new) for old, new in pairs if new.exists()]
    changed = [new.name for old, new in there if new.read_bytes() != old.read_bytes()]
    if changed and not keep:
        raise ReportError(
            f"{len(changed)} of {len(pairs)} notebooks in {target} were changed: "
            f"{', '.join(changed)}. Nothing was written; choose another folder, or move them away."
        )
    target.mkdir(parents=True, exist_ok=True)
    for old, new in set(pairs) - set(there):
        new.write_bytes(old.read_bytes())
    return [new for _, new in pairs]


def find_notebook(name: str | os.PathLike[str]) -> Path:
    """Return the notebook called ``name``: a path, a curated notebook's name, or its number."""
    if not isinstance(name, (str, os.PathLike)):
        raise ReportError(f"A notebook is named by text or a path, not {name!r}.")
    path = Path(name)
    if path.suffix == ".ipynb" and path.is_file():
        return path.resolve()
    known = curated_notebooks()
    stem = path.stem if path.suffix == ".ipynb" else str(name)
    exact = [item for item in known if item.stem == stem]
    found = exact or [item for item in known if item.stem.split("-")[0] == stem]
    if len(found) == 1:
        return found[0]
    names = ", ".join(item.stem for item in known)
    raise ReportError(
        f"There is no notebook {str(name)!r}. The curated ones are {names}; "
        "a notebook of your own is named by the path of its .ipynb file."
    )


def selected_notebooks(names: Any = None) -> list[Path]:
    """Return the notebooks of one name or several; all curated ones for None."""
    if names is None:
        return curated_notebooks()
    if isinstance(names, (str, os.PathLike)):
        return [find_notebook(names)]
    found = [find_notebook(name) for name in names] if isinstance(names, Iterable) else []
    if not found:
        raise ReportError(f"notebooks names at least one notebook, such as '06', not {names!r}.")
    return found


def read_notebook(path: Path) -> Any:
    """Read a notebook file, without the outputs somebody may have saved in it."""
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        for cell in notebook.cells:
            tags_of(cell), cell.source.strip(), cell.cell_type.strip()
    except Exception as error:  # of odd JSON nbformat makes a KeyError or an AttributeError
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ReportError(f"{path.name} cannot be read as a notebook: {reason}") from error
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
            cell.execution_count = None
    return notebook


def tags_of(cell: Any) -> set[str]:
    """Return the tags of one cell."""
    return {str(tag) for tag in cell.get("metadata", {}).get("tags", [])}


class Parameter(NamedTuple):
    """A name that the cell tagged ``parameters`` assigns.

    Its default as source, and as a value where that is plain; the kinds of value that it takes,
    by its annotation (``n: int | str = "auto"``), else by its default: none where anything may be
    meant. None also stands for no text.
    """

    source: str
    default: Any
    kinds: set[type]


def parameters_of(notebook: Any, *, name: str) -> dict[str, Parameter] | None:
    """Return the parameters of a notebook; None where no cell is tagged ``parameters``."""
    cells = [cell for cell in notebook.cells if PARAMETERS_TAG in tags_of(cell)]
    if not cells:
        return None
    if len(cells) > 1:
        raise ReportError(f"{name} has {len(cells)} cells tagged 'parameters'; it must have one.")
    try:
        tree = ast.parse(cells[0].source)
    except SyntaxError as error:
        raise ReportError(f"The parameters cell of {name} is not valid Python: {error}") from error
    found: dict[str, Parameter] = {}
    for statement in tree.body:
        if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or statement.value is None:
            continue
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        annotation, default = getattr(statement, "annotation", None), None
        with suppress(ValueError):  # made by a call: that says nothing
            default = ast.literal_eval(statement.value)
        said = ast.unparse(annotation) if annotation else type(default).__name__
        words = {word.split("[")[0].strip() for word in said.split("|")}
        kinds: set[type] = {kind for kind in _KINDS if kind.__name__ in words}
        more: dict[str, type] = {"float": int, "str": type(None), "None": type(None)}
        kinds |= {kind for word, kind in more.items() if kinds and word in words}
        one = Parameter(ast.unparse(statement.value), default, kinds)
        found |= {target.id: one for target in targets if isinstance(target, ast.Name)}
    return found


def refuse_other_kinds(notebook: Any, values: Mapping[str, object], *, name: str) -> None:
    """Raise a ReportError when a value is of a kind that its parameter does not take."""
    for key, (source, default, kinds) in (parameters_of(notebook, name=name) or {}).items():
        if key not in values or not kinds:
            continue
        given = values[key]
        fits = type(given) in kinds
        if fits and isinstance(given, list) and isinstance(default, list) and default:
            fits = {type(item) for item in given} <= {type(item) for item in default}
        if not fits:
            wanted = " or ".join(words for kind, words in _KINDS.items() if kind in kinds)
            raise ReportError(
                f"The parameter {key!r} of {name} takes {wanted}, by default {source}; it was "
                f"given {given!r}. Nothing was run."
            )


def literal(value: object, *, name: str = "value") -> str:
    """Return Python source for a parameter's value; only plain values are allowed."""
    if value is None or isinstance(value, (bool, int, str)):
        return repr(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"float({str(value)!r})"
    if isinstance(value, list):
        return f"[{', '.join(literal(item, name=name) for item in value)}]"
    if isinstance(value, dict):
        pairs = (
            f"{literal(key, name=name)}: {literal(item, name=name)}" for key, item in value.items()
        )
        return f"{{{', '.join(pairs)}}}"
    raise ReportError(
        f"The parameter {name!r} is a {type(value).__name__}; a parameter must be None, a bool, "
        "an int, a float, a str, or a list or dict of these."
    )


def refuse_unknown(given: Iterable[str], *, known: Iterable[str], name: str) -> None:
    """Raise a ReportError when a given parameter is not among the known ones."""
    known = list(known)
    unknown = ", ".join(repr(parameter) for parameter in given if parameter not in known)
    if unknown:
        raise ReportError(
            f"{name} has no parameter {unknown}; it knows {', '.join(known) or 'none'}."
        )


def inject_parameters(notebook: Any, values: Mapping[str, object], *, name: str) -> Any:
    """Return a copy of the notebook with one cell after its parameters that sets ``values``.

    A notebook without a cell tagged ``parameters`` is returned as it is when there is nothing to
    set, and refused otherwise.
    """
    from nbformat.v4 import new_code_cell

    known = parameters_of(notebook, name=name)
    result = copy.deepcopy(notebook)
    if not values:
        return result
    if known is None:
        raise ReportError(
            f"{name} has no cell tagged 'parameters', so that "
            f"{', '.join(repr(key) for key in values)} cannot be set. In JupyterLab, add the tag "
            "to the cell that holds the defaults (Property Inspector, Cell Tags)."
        )
    refuse_unknown(values, known=known, name=name)
    source = "\n".join(f"{key} = {literal(value, name=key)}" for key, value in values.items())
    place = next(i for i, cell in enumerate(result.cells) if PARAMETERS_TAG in tags_of(cell))
    cell = new_code_cell(source, metadata={"tags": [INJECTED_TAG]})  # type: ignore[no-untyped-call]
    cell["id"] = "injected-parameters"  # the random id of a new cell would differ each run
    result.cells.insert(place + 1, cell)
    return result


# ---- From whatever names a corpus to something a kernel in another folder can read.

BUNDLED = "bundled synthetic corpus"
_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")


class Source(NamedTuple):
    """A corpus as a notebook gets it (``value``) and as a reader sees it (``label``)."""

    value: str | list[str] | None
    label: str


@contextmanager
def prepared_source(source: Any, *, folder: Path) -> Iterator[Source]:
    """Check and resolve a source; a frame lives in ``folder`` as parquet while the block runs.

    Raises a MissingSourceError when a local path does not exist or a glob matches nothing.
    """
    if isinstance(source, (list, tuple)) and not source:
        raise MissingSourceError("The list of sources is empty.")
    if source is None:
        yield Source(None, BUNDLED)
    elif _is_named(source):
        yield Source(resolved(source), labelled(source))
    else:
        # A notebook may show the last parts of this path, which must not differ from run to run.
        import polars as pl

        from ..cards import scan_cards

        path = folder / "in-memory" / "frame.parquet"
        path.parent.mkdir()
        for method in ("to_polars", "toArrow"):  # ibis and others; Spark 4
            source = getattr(source, method)() if hasattr(source, method) else source
        frame = source if isinstance(source, (pl.DataFrame, pl.LazyFrame)) else scan_cards(source)
        frame.lazy().sink_parquet(path)  # streams: the corpus may be larger than memory
        n_rows = pl.scan_parquet(path).select(pl.len()).collect().item()
        try:
            yield Source(str(path), f"a frame in memory ({n_rows:,} rows)")
        finally:
            shutil.rmtree(path.parent, ignore_errors=True)


def _is_named(source: Any) -> bool:
    """Tell a path, glob or URL, or a list of these."""
    items = source if isinstance(source, (list, tuple)) else [source]
    return bool(items) and all(isinstance(item, (str, os.PathLike)) for item in items)


def resolved(source: Any) -> str | list[str]:
    """Check a path, glob, URL or list of these, and give it as any working directory can read it.

    Raises a MissingSourceError when a local path does not exist or a glob matches nothing.
    """
    if not _is_named(source):
        raise ReportError("A baseline must be a path, a glob, a folder, a URL or a list of these.")
    if isinstance(source, (list, tuple)):
        return [_absolute(item) for item in source]
    return _absolute(source)


def labelled(source: Any) -> str:
    """Name a path, glob, URL or list of these without telling where it lies."""
    if not isinstance(source, (list, tuple)):
        return _label(source)
    more = f" and {len(source) - 1} more" if len(source) > 1 else ""
    return _label(source[0]) + more


def _absolute(source: str | os.PathLike[str]) -> str:
    """Return the source as it can be read from any working directory."""
    text = os.fspath(source)
    if not isinstance(text, str):
        raise ReportError("The source must be text, not bytes.")
    if _URL.match(text):
        return text
    path = os.path.abspath(os.path.expanduser(text))
    if os.path.exists(path.partition("::")[0]):  # of a table the database
        return path
    if glob.has_magic(path):
        from ..cards.sources import matches

        if matches(Path(path)):
            return path
        raise MissingSourceError(f"No file matches {text!r} (looked for {path}). Nothing was run.")
    raise MissingSourceError(f"There is no file or folder {text!r} ({path}). Nothing was run.")


def _label(source: str | os.PathLike[str]) -> str:
    """Return a name for the corpus that tells nothing about the machine it lies on."""
    text = str(os.fspath(source))
    if _URL.match(text):
        parts = [unquote(part) for part in urlsplit(text).path.split("/") if part]
        if text.startswith("hf://"):
            return "/".join(parts[:2]) or "Hugging Face Hub"
        return parts[-1] if parts else "a URL"
    path = Path(os.path.abspath(os.path.expanduser(text)))
    if glob.has_magic(path.name) and path.parent.name:
        return f"{path.parent.name}/{path.name}"
    return path.name or "a folder"
