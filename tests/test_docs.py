"""The examples of the README run, and it names what there is."""

from __future__ import annotations

import re

import pytest
from conftest import ROOT

import cardlab as cl

README = (ROOT / "README.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_examples_run(number):
    names: dict[str, object] = {}
    exec(EXAMPLES[number], names)
    frames = [name for name in names if name in ("pairs", "licensed", "by_class", "longest")]
    assert frames
    assert all(names[name].height > 0 for name in frames)


def test_there_are_examples_and_the_picture():
    assert len(EXAMPLES) == 2
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target


def test_names_in_the_readme_exist():
    for name in re.findall(r"\bcl\.(\w+)", README):
        assert hasattr(cl, name), name
    notebooks = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert set(re.findall(r"^\| `(\d\d-[\w-]+)`", README, flags=re.MULTILINE)) == notebooks


def test_folders_in_the_readme_exist():
    for name in ("cardlab", "notebooks", "tests", "benchmarks", "reports"):
        assert (ROOT / name).is_dir()
        assert f"{name}/" in README


def test_nothing_names_this_machine():
    for path in ROOT.rglob("*"):
        inside = path.relative_to(ROOT).parts
        if not path.is_file() or inside[0].startswith(".") or path.suffix in (".png", ".html"):
            continue
        if any(part in ("__pycache__", "dist", "build") for part in inside):
            continue
        text = path.read_text("utf-8")
        assert not re.search(r"/(?:home|root|Users)/[a-z]", text), path
