"""Where the notebooks are, how to copy them out, and how to give them parameters."""

from __future__ import annotations

import ast
import copy
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .errors import ReportError

PARAMETERS_TAG = "parameters"
INJECTED_TAG = "injected-parameters"


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


def copy_notebooks(folder: str | Path) -> list[Path]:
    """Copy the curated notebooks to a folder of one's own.

    Parameters
    ----------
    folder : str or Path
        Made when it does not exist. A notebook that is there already and differs from ours is
        somebody's work: then nothing at all is copied.

    Returns
    -------
    list of Path
        The notebooks in ``folder``, whether they were copied now or were there unchanged.
    """
    target = Path(folder)
    pairs = [(path, target / path.name) for path in curated_notebooks()]
    changed = [
        new.name for old, new in pairs if new.exists() and new.read_bytes() != old.read_bytes()
    ]
    if changed:
        raise ReportError(
            f"{len(changed)} of {len(pairs)} notebooks in {target} were changed: "
            f"{', '.join(changed)}. Nothing was written; choose another folder, or move them away."
        )
    target.mkdir(parents=True, exist_ok=True)
    for old, new in pairs:
        if not new.exists():
            new.write_bytes(old.read_bytes())
    return [new for _, new in pairs]


def find_notebook(name: str | Path) -> Path:
    """Return the notebook called ``name``: a path, a curated notebook's name, or its number."""
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


def read_notebook(path: Path) -> Any:
    """Read a notebook file, without the outputs somebody may have saved in it."""
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, nbformat.ValidationError) as error:
        raise ReportError(f"{path.name} cannot be read as a notebook: {error}") from error
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
            cell.execution_count = None
    return notebook


def tags(cell: Any) -> set[str]:
    """Return the tags of one cell."""
    return {str(tag) for tag in cell.get("metadata", {}).get("tags", [])}


def known_parameters(notebook: Any, *, name: str) -> dict[str, str] | None:
    """Return the parameters of a notebook with the source of their defaults.

    None when the notebook has no cell tagged ``parameters``.
    """
    cells = [cell for cell in notebook.cells if PARAMETERS_TAG in tags(cell)]
    if not cells:
        return None
    if len(cells) > 1:
        raise ReportError(f"{name} has {len(cells)} cells tagged 'parameters'; it must have one.")
    try:
        tree = ast.parse(cells[0].source)
    except SyntaxError as error:
        raise ReportError(f"The parameters cell of {name} is not valid Python: {error}") from error
    found: dict[str, str] = {}
    for statement in tree.body:
        targets: list[ast.expr] = []
        value: ast.expr | None = None
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign):
            targets, value = [statement.target], statement.value
        for target in targets:
            if isinstance(target, ast.Name) and value is not None:
                found[target.id] = ast.unparse(value)
    return found


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
    unknown = [parameter for parameter in given if parameter not in known]
    if unknown:
        named = ", ".join(repr(parameter) for parameter in unknown)
        raise ReportError(
            f"{name} has no parameter {named}; it knows {', '.join(known) or 'none'}."
        )


def inject_parameters(notebook: Any, values: Mapping[str, object], *, name: str) -> Any:
    """Return a copy of the notebook with one cell after its parameters that sets ``values``.

    A notebook without a cell tagged ``parameters`` is returned as it is when there is nothing to
    set, and refused otherwise.
    """
    from nbformat.v4 import new_code_cell

    known = known_parameters(notebook, name=name)
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
    place = next(i for i, cell in enumerate(result.cells) if PARAMETERS_TAG in tags(cell))
    cell = new_code_cell(source, metadata={"tags": [INJECTED_TAG]})  # type: ignore[no-untyped-call]
    cell["id"] = "injected-parameters"  # the random id of a new cell would differ each run
    result.cells.insert(place + 1, cell)
    return result


def shown_parameters(notebook: Any, values: Mapping[str, object], *, name: str) -> dict[str, str]:
    """Return all parameters as a reader should see them; the corpus has its own place."""
    shown = dict(known_parameters(notebook, name=name) or {})
    shown.update({key: literal(value, name=key) for key, value in values.items()})
    shown.pop("source", None)
    return shown
