"""Where the real data are, and what the tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from browser import close_browser
from hypothesis import settings

# Kernels and commands that tests start share what is compiled, whatever the environment says.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# The pace of a machine decides no test: a deadline of 200 ms failed on a busy one.
settings.register_profile("any pace", deadline=None)
settings.load_profile("any pace")

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"


def real_file(name: str = "") -> Path:
    """A file of real cards; without it tests fail in CI and say why they skip elsewhere."""
    path = DATA / name
    if not path.exists():
        message = f"the real cards are not here: no {path}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real cards."""
    return real_file()


@pytest.fixture(scope="module", autouse=True)
def _browser() -> Iterator[None]:
    yield
    close_browser()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run fast tests first: those with a browser or a kernel last."""
    pages = ("test_report", "test_curated_offline", "test_widgets_browser", "test_jupyterlab")
    slow = ("test_notebooks", *pages)
    items.sort(key=lambda item: any(name in item.nodeid for name in slow))


def table_rows(markdown: str) -> list[dict[str, str]]:
    """Read the Markdown tables that a benchmark prints: a row as its cells by column."""
    rows, heads = [], None
    for line in markdown.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            heads = None
        elif heads is None:
            heads = cells
        elif set(line) - set("|-"):
            rows.append(dict(zip(heads, cells, strict=True)))
    return rows


def public(name: str) -> Any:
    """Give what a public name stands for, at the top or where it moved to."""
    import cardlab
    from cardlab import _public

    room = next((room for room, names in _public._MOVED.items() if name in names.split()), None)
    return getattr(import_module(f"cardlab.{room}") if room else cardlab, name)
