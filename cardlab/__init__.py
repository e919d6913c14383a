"""cardlab: loaders, analyses, charts and widgets for people who study or curate model cards.

``import cardlab as cl``; what a name stands for is imported when it is first used, so that the
import itself is quick.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

__version__ = "0.2.0"

# The stub next to this file is the one list of public names: editors and type checkers read from
# it where a name is defined, and so does `__getattr__`.
_STUB = ast.parse(Path(__file__).with_suffix(".pyi").read_bytes())
_HOME = {
    alias.name: f"{__name__}.{node.module}"
    for node in _STUB.body
    if isinstance(node, ast.ImportFrom) and node.level
    for alias in node.names
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    from ._public import public

    globals()[name] = value = public(name, _HOME)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
