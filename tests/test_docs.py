"""The book and the README run, and name what there is; each public name is documented."""

from __future__ import annotations

import doctest
import functools
import inspect
import os
import re
import shutil
import subprocess
import sys
import tomllib
from urllib.parse import unquote

import polars as pl
import pytest
from accessible import LOOKS, faults
from browser import browser_context
from conftest import ROOT

import cardlab as cl

README = (ROOT / "README.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
NAMES = [name for name in cl.__all__ if not name.startswith("__")]
#: Charts, whose return value is a picture; the examples' invented cards, made once.
DRAWN = {name for name in NAMES if name.startswith("plot_")}
CARDS = functools.cache(cl.make_cards)


def test_the_lines_of_the_readme_run(capsys):
    assert len(EXAMPLES) == 1
    names: dict[str, object] = {}
    exec(EXAMPLES[0], names)
    assert capsys.readouterr().out.count("authors are taken as drawn") >= 2
    assert names["chart"].to_dict()["title"]


def test_what_the_readme_leads_to_is_there():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(targets) >= 10
    for target in targets:
        assert (ROOT / target).is_file(), target


def test_names_in_the_book_exist():
    pages = [README, *(path.read_text("utf-8") for path in (ROOT / "docs").rglob("*.md"))]
    for name in re.findall(r"\bcl\.(\w+)", "\n".join(pages)):
        assert hasattr(cl, name), name
    listed = (ROOT / "docs/notebooks.md").read_text("utf-8")
    notebooks = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert set(re.findall(r"^\| `(\d\d-[\w-]+)`", listed, flags=re.MULTILINE)) == notebooks


def test_every_dependency_has_its_purpose_in_the_book():
    table = (ROOT / "docs/install.md").read_text("utf-8")
    named = re.findall(r"^\| ([^|]+) \|[^|]+\| [\d.]+ \|$", table, flags=re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = sorted(re.split("[>=]", one)[0] for one in project["dependencies"])
    assert sorted(", ".join(named).split(", ")) == needed


def test_hashes_are_of_the_exact_versions():
    def plain(pin: str) -> str:
        return re.sub("[-_.]+", "-", pin.split("==")[0].lower()) + "==" + pin.split("==")[1]

    lines = (ROOT / "hashes.txt").read_text("utf-8").splitlines()
    hashed = {plain(line.split()[0]) for line in lines if re.match(r"[\w.-]+==", line)}
    pinned = (ROOT / "constraints.txt").read_text("utf-8").split()
    exact = {plain(pin) for pin in pinned if "==" in pin}
    names = {pin.split("==")[0] for pin in exact}
    assert {pin for pin in hashed if pin.split("==")[0] in names} <= exact
    assert len(hashed & exact) > 150
    assert sum("--hash=sha256:" in line for line in lines) > len(hashed)


def test_the_version_is_said_once():
    assert f"version: {cl.__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")


def test_ten_minutes_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs/guide/ten-minutes.md").read_text("utf-8")
    blocks = re.findall(r"```\{ran\}\n(.*?)```", page, flags=re.DOTALL)
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert len(blocks) >= 8
    assert names["cards"].height > 200 and names["gaps"].height == 3
    assert capsys.readouterr().out.count(" authors are taken as drawn).") >= 3


def test_every_name_has_its_place_in_the_reference():
    pages = [path.read_text("utf-8") for path in (ROOT / "docs/reference").glob("*.md")]
    listed = re.findall(r"^   (\w+)$", "\n".join(pages), flags=re.MULTILINE)
    assert sorted(listed) == sorted(NAMES)


@pytest.fixture(scope="module")
def said():
    """What the examples need: the docstring of each public name."""
    return {name: inspect.getdoc(getattr(cl, name)) or "" for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_documented_and_its_example_runs(name, said, monkeypatch):
    text = said[name]
    parts = re.findall(r"^([A-Z][A-Za-z ]+)\n-{3,}$", text, flags=re.MULTILINE)
    assert parts[-1] == "Examples"
    known = {"Parameters", "Returns", "Attributes", "Raises", "Notes", "Examples"}
    assert set(parts) <= known
    if inspect.isfunction(getattr(cl, name)):
        assert parts[0] == "Parameters"
        assert name in DRAWN or "Returns" in parts
        for parameter in inspect.signature(getattr(cl, name)).parameters:
            assert re.search(rf"^[\w, *]*\b{parameter}\b[\w, ]*( :|$)", text, re.MULTILINE), (
                parameter
            )
    monkeypatch.setattr(cl, "make_cards", CARDS)
    parser, told = doctest.DocTestParser(), []
    test = parser.get_doctest(text, {"cl": cl, "pl": pl}, name, None, 0)
    assert 1 <= sum(not one.source.startswith("from ") for one in test.examples) <= 3
    assert test.examples[-1].want or doctest.SKIP in test.examples[-1].options
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    doctest.DocTestRunner(verbose=False, optionflags=flags).run(test, out=told.append)
    assert not told, "".join(told)


def test_nothing_names_this_machine():
    for path in ROOT.rglob("*"):
        inside = path.relative_to(ROOT).parts
        if not path.is_file() or inside[0].startswith(".") or path.suffix in (".png", ".html"):
            continue
        if any(part in ("__pycache__", "dist", "build", "_build", "generated") for part in inside):
            continue
        text = path.read_text("utf-8")
        assert not re.search(r"/(?:home|root|Users)/[a-z]", text), path


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """The book as `make docs` builds it, but for its two reports."""
    source, made = tmp_path_factory.mktemp("book") / "docs", tmp_path_factory.mktemp("made")
    shutil.copytree(ROOT / "docs", source, ignore=shutil.ignore_patterns("_build", "generated"))
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*command, str(source), str(made)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return made


@pytest.mark.verify
def test_the_links_of_the_book_lead_somewhere(book):
    pages = {path: path.read_text("utf-8") for path in book.resolve().rglob("*.html")}
    assert len(pages) > 120
    ids = {path: set(re.findall(r'\bid="([^"]+)"', text)) for path, text in pages.items()}
    broken = []
    for path, text in pages.items():
        for link in re.findall(r'<(?:a|img|link|script)\b[^>]*?\b(?:href|src)="([^"]+)"', text):
            if re.match(r"https?:|data:|mailto:", link):
                assert not re.search(rf'<(?:img|link|script)\b[^>]*"{re.escape(link)}', text), link
                continue
            place, _, mark = unquote(link).partition("#")
            at = (path.parent / place.partition("?")[0]).resolve() if place else path
            if "reports" in at.relative_to(book.resolve()).parts[:1]:
                continue  # which `make docs` writes next
            if not at.is_file() or (mark and at.suffix == ".html" and mark not in ids[at]):
                broken.append(f"{path.name}: {link}")
    assert not broken


@pytest.mark.verify
@pytest.mark.browser
def test_the_book_asks_for_nothing_and_is_accessible(book):
    wanted = sorted(p for p in book.rglob("*.html") if "generated" not in p.parts)
    wanted += sorted(book.glob("reference/generated/*.html"))[::12]
    for look in LOOKS:
        with browser_context(**LOOKS[look]) as context:
            page, asked = context.new_page(), []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            for path in wanted:
                page.goto(path.as_uri())
                assert faults(page) == [], (path.name, look)
            assert not [url for url in asked if not url.startswith(("file:", "data:"))]
