"""What the package imports is declared, and what is declared is imported."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent
#: Declared, but never imported under that name: what it is there for.
NOT_IMPORTED = {
    "jupyterlab": "where people open the notebooks",
    "ipykernel": "the kernel that reports are run in",
    "ipywidgets": "what anywidget builds on, and what draws the explorers in JupyterLab",
}
#: Imported where it is there, and declared by an extra.
EXTRAS = {
    **{"model2vec": "embed", "sentence-transformers": "embed"},
    **{"duckdb": "duckdb", "opentsne": "map", "pyspark": "spark", "tokenizers": "seed"},
}


def imported() -> dict[str, str]:
    """Distributions that the package's modules import, and one module that does."""
    found: dict[str, str] = {}
    distributions = packages_distributions()
    for path in sorted((ROOT / "cardlab").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                names = [a.value for a in node.args if isinstance(a, ast.Constant)]
            for name in names:
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and top != "cardlab":
                    told = distributions.get(top, [top])[0]
                    found.setdefault(normal(told), f"{path.relative_to(ROOT)}: {name}")
    return found


def normal(requirement: str) -> str:
    name = re.match(r"[\w.-]+", requirement)
    assert name
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def test_imports_are_declared_and_the_other_way_round():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {normal(line) for line in project["dependencies"]}
    extras = {
        normal(line): extra
        for extra in set(EXTRAS.values())
        for line in project["optional-dependencies"][extra]
    }
    assert extras == EXTRAS
    found = imported()
    undeclared = {name: where for name, where in found.items() if name not in declared}
    assert not undeclared.keys() - EXTRAS.keys(), undeclared
    assert declared - found.keys() == NOT_IMPORTED.keys()
    assert EXTRAS.keys() <= found.keys()
