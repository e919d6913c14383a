"""cardlab: loaders, analyses, charts and widgets for people who study or curate model cards.

``import cardlab as cl``; a name's module is imported when the name is first used, so that the
import itself is quick.
"""

from __future__ import annotations

import ast
from importlib import import_module
from inspect import isfunction
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

# The stub beside this file is the one list of public names: editors and type checkers read where
# each is defined, and so does `__getattr__`.
_STUB = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
_HOME = {
    alias.name: node.module
    for node in _STUB.body
    if isinstance(node, ast.ImportFrom) and node.level
    for alias in node.names
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        from ._public import meant

        said = f"module 'cardlab' has no attribute {name!r}{meant(name, __all__)}"
        raise AttributeError(said, name=name, obj=None)  # else Python adds a second guess
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    if isfunction(value):
        from ._public import public

        # `vectors` takes the path of a file of vectors
        value = public(value, paths=name != "vectors")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
