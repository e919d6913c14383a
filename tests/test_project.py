"""The files around the package agree with each other."""

from __future__ import annotations

import json
import re
import tomllib

import pytest
from conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def name_of(requirement: str) -> str:
    return re.split(r"[\s<>=!~\[;]", requirement.strip())[0].lower().replace("_", "-")


def bound_of(requirement: str) -> str:
    return re.sub(r"^[A-Za-z0-9_.-]+", "", requirement.strip()).replace(" ", "")


def test_environment_has_the_same_dependencies():
    text = (ROOT / "environment.yml").read_text("utf-8")
    listed = re.findall(r"^ +- (.+)$", text.split("dependencies:")[1], flags=re.MULTILINE)
    conda = {name_of(line): bound_of(line) for line in listed if not line.startswith("pip:")}
    assert conda.pop("python") == PROJECT["project"]["requires-python"]
    assert conda.pop("pip", "") == ""
    wanted = {name_of(line): bound_of(line) for line in PROJECT["project"]["dependencies"]}
    assert conda == wanted


def test_constraints_pin_everything_and_name_no_address():
    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[^\s/]+", line) for line in lines)
    pinned = {name_of(line) for line in lines}
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = {*PROJECT["project"]["dependencies"], *extras["test"], *extras["dev"]}
    assert {name_of(line) for line in wanted} - {"cardlab"} <= pinned


def test_make_lists_every_target():
    text = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.search(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE).group(1).split())
    assert targets == set(re.findall(r"^([a-z]+):.*## ", text, flags=re.MULTILINE))
    assert {"reports", "lab", "test", "lint", "bench"} <= targets


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_clean(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)
    tagged = [cell["metadata"].get("tags", []) for cell in code]
    assert sum("parameters" in tags for tags in tagged) == 1
    assert any("summary" in tags for tags in tagged)
    lines = [line for cell in code for line in "".join(cell["source"]).splitlines()]
    assert not any(line.startswith(("def ", "class ", "!", "%")) for line in lines)
    assert "".join(cells[0]["source"]).startswith("# ")
    assert "?" in "".join(cells[0]["source"])
    assert "nb.provenance(" in "".join(code[-1]["source"])
    assert len({cell["id"] for cell in cells}) == len(cells)


def test_all_notebooks_are_there():
    assert [path.stem for path in NOTEBOOKS] == [
        "01-corpus-overview",
        "02-tag-cooccurrence",
        "03-licenses",
        "04-text-lengths",
        "05-embedding-clusters",
        "06-explore-cards",
        "07-replication",
        "08-compare-corpora",
        "09-languages",
    ]


def test_modules_fit_one_sitting():
    long = {
        str(path.relative_to(ROOT)): n
        for path in (ROOT / "cardlab").rglob("*.py")
        if (n := len(path.read_text("utf-8").splitlines())) > 750
    }
    assert long == {}


def test_versions_agree():
    import cardlab

    assert cardlab.__version__ == PROJECT["project"]["version"]
    assert f"## {cardlab.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
