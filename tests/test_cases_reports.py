"""Inputs that go wrong on the way to a page: downloads, sizes, signals, terminals, arguments."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
import unicodedata
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import polars as pl
import pytest
from browser import opened_report, write_notebook
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from wheels import pinned

import cardlab as cl
from cardlab import notebook as nb
from cardlab.__main__ import main
from cardlab.charts.base import MOST_BYTES, picture
from cardlab.report.export import Progress, export_report, export_reports, scratch_folder
from cardlab.report.outputs import FIGURE_ROOM, PAGE_ROOM, Outputs
from cardlab.report.page import check_page, render_page
from cardlab.schema import ReportError

VEGALITE = "application/vnd.vegalite.v5+json"
TABLE = "application/vnd.cardlab.table.v1+json"
FACTS = "application/vnd.cardlab.facts.v1+json"
MAP = "application/vnd.cardlab.map.v1+json"
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.4.1.json"
BARS: dict[str, Any] = {
    "$schema": SCHEMA,
    "data": {"values": [{"tag": "a", "n": 1}]},
    "mark": "bar",
    "encoding": {"x": {"field": "n", "type": "quantitative"}, "y": {"field": "tag"}},
}
MEGABYTE = 1_000_000


def output(data: dict[str, Any]) -> Any:
    return nbformat.NotebookNode(output_type="display_data", data=data, metadata={})


def page_of(*bundles: dict[str, Any]) -> tuple[str, Outputs]:
    """The page of a notebook whose cells gave these outputs, and what was counted in it."""
    cells = [new_markdown_cell("# A page\n\nIs all of it as it should be?")]
    shown = [new_output("display_data", data=json.loads(json.dumps(b))) for b in bundles]
    cells += [new_code_cell("x", outputs=[one]) for one in shown]
    for number, cell in enumerate(cells):
        cell["id"] = f"c{number}"
    outputs = Outputs()
    html = render_page(new_notebook(cells=cells), name="page", outputs=outputs)
    check_page(html, name="page", figures=outputs.figures)
    return html, outputs


def table(columns: dict[str, list[Any]], kind: str = "text", **more: Any) -> dict[str, Any]:
    heads = [{"name": name, "label": name, "kind": kind} for name in columns]
    return {TABLE: {"caption": "A table", "columns": heads, "data": list(columns.values()), **more}}


# --- downloads

FORMULAS = [
    *("=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＋1", "－1+1", "＠x"),
    *(
        " =1",
        "\u00a0=1",
        "\u200b=1",
        "\ufeff=1",
        "\u2060\u200d =1",
        "\x00=1",
        "\x1b=1",
        "\u3000＝1",
    ),
    *("\u202e=1", "\u00ad=1", "\u3164=1", "\u2800=1", "﹦1", "﹢1", "﹣1+1", "﹫x", "\u2212 1+1"),
    *(
        "\x7f+1+1",
        "\u180e-1+1",
        "\u034f@x",
        '=HYPERLINK("http://x.example","x")',
        "=cmd|' /C calc'!A0",
    ),
]


def runs(text: str) -> bool:
    """Whether a spreadsheet might take a cell for a formula."""
    seen = re.sub(r"^[\s\u034f\u115f\u1160\u3164\u2800\ufffd]+", "", text)
    while seen and unicodedata.category(seen[0])[0] in "CZ":
        seen = re.sub(r"^[\s\u034f\u115f\u1160\u3164\u2800\ufffd]+", "", seen[1:])
    plain = unicodedata.normalize("NFKC", seen)
    number = re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text)
    return (
        bool((plain[:1] in set("=+-@\u2212") and plain) or text[:1] in set("\t\r\n")) and not number
    )


def fields(text: str) -> list[str]:
    """The fields of a CSV as they are written, with their quotes."""
    return re.findall(r'(?:^|,|\r\n)("(?:[^"]|"")*"|[^",\r\n]*)(?=,|\r\n|$)', text)


def a_map(names: list[str]) -> dict[str, Any]:
    """A map of points; the third column of its download is the group."""
    points = pl.DataFrame({"id": names, "x": range(len(names)), "y": range(len(names))})
    points = points.with_columns(x=pl.col("x").cast(float), y=pl.col("y") % 97 * 1.0)
    groups = pl.Series("group", [FORMULAS[i % 6] for i in range(len(names))])
    return {MAP: cl.plot_map(points.with_columns(groups), color="group").to_dict()}


@pytest.mark.browser
def test_S05_no_cell_of_a_download_is_a_formula(tmp_path):
    assert all(map(runs, FORMULAS))
    n = len(FORMULAS)
    lists = [["en", text] for text in FORMULAS]
    columns = {"=head": FORMULAS, "list": lists, "number": [-5.5] * n, "text": ["-5", "a,b"] * n}
    columns["text"] = columns["text"][:n]
    nested = {"deep": [[["x", text], {"k": text}, -3, None, True] for text in FORMULAS]}
    values = [
        {"+tag": text, "n": -i, "list": pair}
        for i, (text, pair) in enumerate(zip(FORMULAS, lists, strict=True))
    ]
    chart = {
        **BARS,
        "data": {"values": values},
        "encoding": {"x": {"field": "n", "type": "quantitative"}},
    }
    names = [*FORMULAS, *(f"o/{i}" for i in range(10_001))]
    path = tmp_path / "page.html"
    path.write_text(
        page_of(table({**columns, **nested}), {VEGALITE: chart}, a_map(names))[0], "utf-8"
    )
    saved = {}
    with opened_report(path) as seen:
        seen.page.evaluate("() => window.cardlabMaps[0]")
        buttons = {"table": "#table-1 .top button", "chart": "#chart-1 [data-save=csv]"}
        buttons["map"] = "#map-1 .tools button"
        for name, button in buttons.items():
            with seen.page.expect_download() as info:
                seen.page.locator(button).first.click()
            saved[name] = Path(info.value.path()).read_bytes().decode("utf-8-sig")
        assert seen.errors == [] and seen.requests == []
    for name, text in saved.items():
        for field in fields(text):
            bare = re.fullmatch(r"|-?\d+(\.\d+)?([eE]-?\d+)?|true|false", field)
            assert bare or field.startswith('"'), (name, field)
        rows = list(csv.reader(io.StringIO(text, newline="")))
        assert len(rows) == 1 + {"table": n, "chart": n, "map": len(names)}[name]
        for cell in (cell for row in rows for cell in row):
            for item in cell.split("; "):
                assert not runs(item), (name, cell)
    rows = list(csv.DictReader(io.StringIO(saved["table"], newline="")))
    assert {row["number"] for row in rows} == {"-5.5"} and '"-5.5"' not in saved["table"]
    assert [row["text"] for row in rows[:2]] == ["-5", "a,b"]
    assert rows[0]["list"] == "en; '=1+1"
    assert rows[0]["deep"] == 'x; \'=1+1; {"k":"=1+1"}; -3; ; true'


# --- what killed runs leave

SLOW = """
import os, time
from joblib import Parallel, delayed
def wait(folder):
    open(os.path.join(folder, f"pid-{os.getpid()}"), "w").close()
    time.sleep(90)
open(os.path.join(FOLDER, f"pid-{os.getpid()}"), "w").close()
Parallel(n_jobs=2)(delayed(wait)(FOLDER) for _ in range(2))
"""


def ends(pid: int) -> bool:
    """Whether a process is gone within a few seconds; a zombie is."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text():
                return True
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_S08_nothing_remains_of_a_run_that_is_ended(tmp_path, number):
    out, pids = tmp_path / "out", tmp_path / "pids"
    pids.mkdir()
    path = write_notebook(
        tmp_path / "slow.ipynb", ["# Slow", (SLOW.replace("FOLDER", repr(str(pids))),)]
    )
    command = [
        sys.executable,
        "-m",
        "cardlab",
        "report",
        "--notebook",
        str(path),
        "--out",
        str(out),
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    before = set(os.listdir("/dev/shm"))
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as run:
        deadline = time.monotonic() + 120
        while len(list(pids.iterdir())) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert len(list(tmp_path.glob("cardlab-*"))) == len(list(out.glob(".cardlab-*"))) == 1
        run.send_signal(number)
        _, messages = run.communicate(timeout=120)
    for file in pids.iterdir():
        assert ends(int(file.name.removeprefix("pid-"))), file.name
    if number == signal.SIGTERM:
        assert run.returncode == 143
        assert "cardlab: terminated; reports written so far are whole" in messages
        assert "Traceback" not in messages
    else:
        assert len(list(tmp_path.glob("cardlab-*"))) == len(list(out.glob(".cardlab-*"))) == 1
        with scratch_folder(tmp_path), scratch_folder(out, prefix=".cardlab-"):
            pass  # what the next run does
    assert list(tmp_path.glob("cardlab-*")) == list(out.iterdir()) == []
    mine = {file.name.removeprefix("pid-") for file in pids.iterdir()}
    deadline = time.monotonic() + 60  # joblib's tracker removes them once all others are gone
    while left := [
        name
        for name in set(os.listdir("/dev/shm")) - before
        if mine & set(re.findall(r"\d+", name))
    ]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def test_S08_runs_at_once_leave_each_others_folders_alone(tmp_path):
    foreign = tmp_path / "cardlab-mine"
    foreign.mkdir()
    (tmp_path / "cardlab-notes.gone").mkdir()
    (tmp_path / "cardlab-notes.gone" / "note").touch()
    gone = tmp_path / "cardlab-a_b8c7d6.gone"  # a run that was killed while it removed this
    gone.mkdir()
    (gone / "page.html").touch()
    begun = tmp_path / "cardlab-12345678"  # and one that had not yet locked its own
    begun.mkdir()
    os.utime(begun, (0, 0))
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "in-use").touch()
    (tmp_path / "cardlab-link").symlink_to(tmp_path / "target")
    with scratch_folder(tmp_path) as first:
        (first / "page.html").touch()
        code = (
            "from pathlib import Path; from cardlab.report.export import scratch_folder\n"
            f"with scratch_folder(Path({str(tmp_path)!r})) as folder: print(folder)"
        )
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        assert done.stderr == ""
        assert not Path(done.stdout.strip()).exists()
        with scratch_folder(tmp_path) as second:
            assert first != second
        assert (first / "page.html").exists()
    assert not first.exists() and not gone.exists() and not begun.exists()
    assert (tmp_path / "cardlab-notes.gone" / "note").exists()
    assert foreign.exists() and (tmp_path / "target" / "in-use").exists()


# --- the size of a page


def long(i: int) -> str:
    """A megabyte that begins as others do."""
    return "x" * (MEGABYTE - 6) + f"{i:06d}"


def test_S09_long_texts_are_cut_and_said_to_be():
    texts = [long(i) for i in range(6)]
    chart = {
        **BARS,
        "title": {"text": texts[0], "subtitle": texts},
        "datasets": {"d": [{"tag": t, "n": 1, t: t} for t in texts]},
        "data": {"name": "d"},
        "params": [{"name": "p", "value": texts[0], "bind": {"input": "select", "options": texts}}],
        "transform": [{"filter": f"datum.tag != '{texts[0]}'"}],
    }
    chart["encoding"] = {
        **BARS["encoding"],
        "y": {"field": "tag", "sort": texts, "title": texts[0]},
    }
    giant = a_map([*texts, *(f"o/{i}" for i in range(10_001))])
    bundles = [
        {VEGALITE: chart, "text/plain": texts[0]},
        table(
            {
                texts[0]: texts,
                "list": [[t, "y"] * 3 for t in texts],
                "dict": [{t: t} for t in texts],
            }
        ),
        table({"many": [["tag"] * 400_000]}, caption=texts[0]),
        {FACTS: {"facts": [{"label": t, "value": t, "note": t} for t in texts]}},
        nb.note("{t}", t=texts[0])._repr_mimebundle_(),
        {"text/markdown": f"# {texts[0]}\n\n{texts[1]} [a](https://x.example/{texts[2]})"},
        {"text/html": f'<p title="{texts[0]}">{texts[1]}</p><b>{"&amp;" * MEGABYTE}</b>'},
        {"text/plain": texts[0]},
        {**giant, "text/plain": texts[0]},
    ]
    html, outputs = page_of(*bundles)
    assert (outputs.figures["chart"], outputs.figures["table"], outputs.figures["map"]) == (1, 2, 1)
    assert html.count('<p class="cut">') == len(bundles)
    assert "[cut: 1,000,000 characters" in html
    assert len(html) < 4_000_000  # a formula of a megabyte is not cut, it would be another one
    seen = re.sub(r"<(script|style).*?</\1>", "", html, flags=re.DOTALL)
    assert max(map(len, re.findall(r"[^<>]+", seen))) < 200_000
    spec = json.loads(re.findall(r'class="spec">(.*?)</script>', html)[0])
    tags = [row["tag"] for row in spec["datasets"]["d"]]
    assert len(set(tags)) == 6  # texts that begin alike stay apart
    assert spec["encoding"]["y"]["sort"] == tags == spec["params"][0]["bind"]["options"]
    assert spec["transform"] == chart["transform"]


def test_S09_what_a_page_has_no_room_for_is_left_out_and_said():
    rng = np.random.default_rng(0)
    rows = {"a": rng.random(150_000).tolist(), "b": [f"o/model-{i}" for i in range(150_000)]}
    html, outputs = page_of(table(rows, n_total=2_000_000))
    shown, total = re.search(r"The first ([\d,]+) of ([\d,]+) rows", html).groups()
    assert total == "150,000" and 50_000 < int(shown.replace(",", "")) < 150_000
    assert outputs.figures["table"] == 1 and len(html) < FIGURE_ROOM
    values = [{"tag": f"t{i}", "n": float(v)} for i, v in enumerate(rng.random(80_000))]
    one = {VEGALITE: {**BARS, "data": {"values": values}}, "text/plain": "Bars."}
    html, outputs = page_of(*[one] * 5, {"text/html": "<p>the last word</p>"})
    assert outputs.figures["chart"] == 3 or outputs.figures["chart"] == 4
    assert html.count("A chart was left out: of its") == 5 - outputs.figures["chart"]
    assert "the last word" in html and len(html) < PAGE_ROOM + 2_000_000
    png = base64.b64encode(rng.bytes(2_000_000)).decode()
    html, _ = page_of(*[{"image/png": png, "text/plain": "noise"}] * 6)
    assert html.count("<img") == 4 and html.count("An output was left out: of its") == 2


def test_S09_a_report_of_cards_with_giant_texts(tmp_path):
    cards = cl.make_cards(60, text=False).with_row_index("row")
    giant = pl.col("row").map_elements(long, return_dtype=pl.String)
    few = pl.col("row") < 6
    cards = cards.with_columns(
        pl.when(few).then(giant).otherwise(pl.col(name)).alias(name)
        for name in ("id", "library_name")
    ).with_columns(tags=pl.when(few).then(pl.concat_list("tags", giant)).otherwise("tags"))
    path = export_report("06", tmp_path, source=cards.drop("row"))
    html = path.read_text("utf-8")
    assert path.stat().st_size < 1_000_000
    assert max(map(len, re.findall(r"x+", html))) < 200_000


# --- terminals


def command(*arguments: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "cardlab", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        check=False,
    )


@pytest.fixture(scope="module")
def odd(tmp_path_factory) -> Path:
    """A corpus whose name and cards hold letters that a terminal may lack, or act on."""
    path = tmp_path_factory.mktemp("corpus") / "kartén.parquet"
    texts = ["模型/é", "o/\x1b[31mred", "o/\u202egnp", "o/𝔘"]
    pl.DataFrame({"id": texts, "library_name": texts, "tags": [texts] * 4}).write_parquet(path)
    return path


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
        {"PYTHONIOENCODING": "latin-1:strict"},
    ],
)
def test_S10_a_terminal_that_lacks_the_letters(odd, tmp_path, env):
    made = tmp_path / "é.parquet"
    done = command("sample", "--cards", "3", str(made), **env)
    assert (done.returncode, done.stderr) == (0, b"") and made.exists()
    if "LC_ALL" not in env:
        done = command("profile", str(odd), **env)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"\\u6a21\\u578b/" in done.stdout and b"\x1b" not in done.stdout


def test_S10_nobody_reads_on(odd):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command_line = [sys.executable, "-m", "cardlab", "profile", str(odd)]
    for closed in (
        {"stdout": subprocess.PIPE},
        {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT},
    ):
        with subprocess.Popen(
            command_line, env=env, **{"stderr": subprocess.PIPE, **closed}
        ) as run:
            run.stdout.close()
            messages = run.stderr.read() if run.stderr else b""
            assert run.wait(60) == 141
        assert messages == b""
    progress = Progress(1)
    reading, writing = os.pipe()
    os.close(reading)
    broken = os.fdopen(writing, "w")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", broken)
        progress(1, "x", "started")  # the run goes on
        patch.setattr("sys.stderr", None)
        Progress(1)(1, "x", "FAILED: y")
    with contextlib.suppress(BrokenPipeError):
        broken.close()


def test_S10_a_full_disk_is_said(odd):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cardlab", "profile", str(odd)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1 and b"No space left" in done.stderr


def test_S10_controls_in_names_reach_no_terminal(tmp_path, capsys):
    name = "a\x1b[31m\u202eb"
    said: list[str] = []
    Progress(1, said.append)(1, name, "started")
    assert said == ["[1/1] a\ufffd[31m\ufffdb  started"]
    for arguments in (
        ["report", "--notebook", f"{name}.ipynb"],
        ["report", str(tmp_path / name)],
        ["report", "--set", f"{name}=1"],
        ["report", "--set", f"top={name}"],
        ["report", "--out", str(tmp_path / "file" / name)],
        ["profile", str(tmp_path / name)],
        ["sample", str(tmp_path / name / "x.parquet")],
        ["notebooks", str(tmp_path / "file")],
    ):
        (tmp_path / "file").touch()
        assert main(arguments) == 1
        printed = capsys.readouterr()
        assert printed.err.startswith("cardlab: ") and printed.out == ""
        assert "\x1b" not in printed.err and "\u202e" not in printed.err
    with pytest.raises(SystemExit):
        main(["report", "a", name])
    assert "\x1b" not in capsys.readouterr().err


# --- arguments


@pytest.fixture
def nothing_runs(monkeypatch):
    monkeypatch.setattr(
        "cardlab.report.export.execute", lambda *a, **k: pytest.fail("a kernel ran")
    )


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["sample", "--cards", "-5", "x.parquet"], "n_cards must be 0 or more, not -5"),
        (["sample", "--seed", "-1", "x.parquet"], "random_state must be 0 or more"),
        (["sample", "x.csv"], "must end in .parquet"),
        (["sample", "no/x.parquet"], "there is no folder 'no'"),
        (["sample", "folder.parquet"], "it is a folder"),
        (["sample", "file/x.parquet"], "there is no folder 'file'"),
        (["notebooks", "file"], "'file' is a file"),
        (["profile", "missing.parquet"], "no such file"),
        (["report", "missing.parquet"], "no such file"),
        (["report", "file"], "file"),
        (["report", "--out", "file"], "'file': it is a file. Nothing was run"),
        (["report", "--out", "file/sub"], "'file/sub': Not a directory. Nothing was run"),
        (["report", "--out", "folder"], "06-explore-cards.html is a folder. Nothing was run"),
        (["report", "--jobs", "0"], "jobs must be a whole number of at least 1, not 0"),
        (["report", "--notebook", "99"], "no notebook '99'"),
        (["report", "--notebook", "list.ipynb"], "cannot be read as a notebook"),
        (["report", "--notebook", "odd.ipynb"], "cannot be read as a notebook"),
        (["report", "--notebook", "empty.ipynb"], "cannot be read as a notebook"),
        (["report", "--set", "top=abc"], "'top' of 02-tag-cooccurrence takes a whole number"),
        (["report", "--set", "top=2.5"], "takes a whole number, by default 200; it was given 2.5"),
        (["report", "--set", "top=True"], "takes a whole number"),
        (["report", "--set", "top=None"], "takes a whole number"),
        (["report", "--set", "leave_out=hub"], "takes a list such as ['a', 'b']"),
        (["report", "--set", "leave_out=[1]"], "takes a list"),
        (["report", "--set", "leave_out_shared=true"], "takes True or False"),
        (["report", "--set", "tip=1"], "no parameter 'tip'; it knows baseline"),
        (["report", "--set", "top"], "--set takes KEY=VALUE"),
        (["report", "--set", "source=x"], "Name the corpus with source="),
        (["report", "--set", "baseline=missing.parquet"], "missing.parquet"),
        (["report", "--notebook", "08", "--set", "baseline=file"], "file"),
    ],
)
def test_U05_bad_arguments_are_refused_at_once(tmp_path, monkeypatch, capsys, arguments, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "folder" / "06-explore-cards.html").mkdir(parents=True)
    (tmp_path / "list.ipynb").write_text("[]")
    (tmp_path / "empty.ipynb").touch()
    (tmp_path / "odd.ipynb").write_text('{"cells": 5, "nbformat": 4, "metadata": {}}')
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("cardlab: ") and printed.err.count("\n") == 1
    assert reason in printed.err
    assert not (tmp_path / "reports").exists() and not list(tmp_path.glob("x.*"))


@pytest.mark.usefixtures("nothing_runs")
def test_U05_bad_arguments_of_the_functions(tmp_path):
    for wrong, reason in (
        ({"notebooks": "7"}, "no notebook '7'"),
        ({"notebooks": []}, "at least one notebook"),
        ({"notebooks": 6}, "at least one notebook"),
        ({"notebooks": [6]}, "named by text or a path"),
        ({"jobs": 0}, "jobs must be"),
        ({"jobs": 1.5}, "jobs must be"),
        ({"timeout": -1}, "timeout must be"),
        ({"parameters": "top=1"}, "parameters must map"),
        ({"parameters": {"top": "abc"}}, "takes a whole number"),
        ({"parameters": {"query": 5}}, "takes a text"),
        ({"parameters": {"layer": [5]}}, "takes a whole number or a text"),
        ({"parameters": {"baseline": 5}}, "baseline must be"),
        ({"source": 5}, "int is no source of cards"),
    ):
        with pytest.raises(cl.CardlabError, match=reason):
            export_reports(output=tmp_path / "out", **wrong)
        assert not (tmp_path / "out").exists()
    with pytest.raises(ReportError, match="takes a whole number"):
        export_report("07", tmp_path / "x.html", parameters={"top": "abc"})
    (tmp_path / "file").touch()
    with pytest.raises(ReportError, match="it is a file"):
        export_report("07", tmp_path / "file" / "x.html")


def test_U05_what_may_be_meant_is_taken(tmp_path, monkeypatch):
    runs: list[dict[str, Any]] = []

    def keep(source: Any, output: Any, **given: Any) -> list[Path]:
        runs.append(given)
        return []

    monkeypatch.setattr("cardlab.report.export.export_reports", keep)
    for text, value in (
        ("query=2024", "2024"),
        ("query=None", None),
        ("query='5'", "5"),
        ("layer=50", 50),
        ("layer=coarse", "coarse"),
        ("top=5", 5),
        ("leave_out=['hub']", ["hub"]),
        ("leave_out_shared=True", True),
    ):
        assert main(["report", "--set", text]) == 0
        assert runs[-1]["parameters"] == {text.split("=")[0]: value}
    monkeypatch.undo()
    called: list[Any] = []
    monkeypatch.setattr(
        "cardlab.report.export.export_all", lambda work, *a, **k: called.append(work) or {}
    )
    for names in ("06", Path("06-explore-cards"), ["06"], ("06-explore-cards",)):
        export_reports(None, tmp_path, notebooks=names, parameters={"query": "x"})
        assert [job.name for job in called.pop()] == ["06-explore-cards"]


# --- pictures beside charts


def png_size(content: str) -> tuple[int, int]:
    data = base64.b64decode(content, validate=True)
    assert data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) <= MOST_BYTES
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


@pytest.mark.browser
def test_U06_charts_bring_a_picture(tmp_path, monkeypatch):
    from nbconvert import HTMLExporter

    texts = ["</svg><script>window.__pwned=1</script>", "$x$", "模型", "<img src=//x.example>"]
    bars = cl.plot_counts(cl.tag_counts(pl.DataFrame({"tags": [texts, texts[:2]]})))
    many = [{"x": i * 7919 % 10_007, "y": i * 104_729 % 10_007, "c": i % 9} for i in range(10_000)]
    fields = {
        "x": {"field": "x", "type": "quantitative"},
        "y": {"field": "y", "type": "quantitative"},
    }
    fields["color"] = {"field": "c", "type": "nominal"}
    points = {"$schema": SCHEMA, "data": {"values": many}, "mark": "point", "encoding": fields}
    points |= {"width": 640, "height": 480}
    content, about = picture(points)
    assert png_size(content["image/png"])[0] >= 0.65 * about["image/png"]["width"]
    bundle, metadata = bars._repr_mimebundle_()
    assert set(bundle) == {VEGALITE, "text/plain", "image/png"}
    width, height = png_size(bundle["image/png"])
    assert width == pytest.approx(2 * metadata["image/png"]["width"], abs=2) and height > 100
    shown = new_output("display_data", data=bundle, metadata=metadata)
    html, _ = HTMLExporter().from_notebook_node(
        new_notebook(cells=[new_code_cell("x", outputs=[shown])])
    )
    pictures = re.findall(r'<img[^>]*src="data:image/png;base64,[^>]*>', html)
    assert len(pictures) == 1 and f'width="{metadata["image/png"]["width"]}"' in pictures[0]
    page = tmp_path / "pictures.html"
    page.write_text(
        f"<h1>{pictures[0]}</h1><img src='data:image/png;base64,{content['image/png']}'>"
    )
    with opened_report(page) as seen:
        sizes = seen.page.evaluate("[...document.images].map((i) => i.naturalWidth)")
        colours = seen.page.evaluate(
            "(() => { const c = document.createElement('canvas'); const i = document.images[0];"
            "c.width = i.naturalWidth; c.height = i.naturalHeight; const x = c.getContext('2d');"
            "x.drawImage(i, 0, 0); const d = x.getImageData(0, 0, c.width, c.height).data;"
            "return new Set(Array.from({length: d.length / 4}, (_, k) => d[4 * k])).size; })()"
        )
    assert sizes[0] == width and sizes[1] > 400 and 10 < colours <= 256
    # a page draws the chart itself
    html, outputs = page_of(bundle)
    assert outputs.figures["chart"] == 1 and "<img" not in html
    monkeypatch.setenv("CARDLAB_PICTURES", "0")
    assert set(bars._repr_mimebundle_()[0]) == {VEGALITE, "text/plain"}


def test_U06_what_asks_for_something_gets_no_picture():
    for change in (
        {"data": {"url": "http://127.0.0.1:9/x.json"}},
        {"data": {"url": "file:///etc/hostname"}},
        {"mark": {"type": "image", "url": "http://127.0.0.1:9/x.png"}},
        {"mark": 5},
    ):
        assert picture({**BARS, **change}) == ({}, {})
    assert picture({}) == ({}, {})


# --- wheels


def test_U04_every_exact_version_has_a_wheel_where_the_readme_says_so():
    found = tomllib.loads((ROOT / "tests/wheels.toml").read_text("utf-8"))
    hint = "run `python tests/wheels.py`"
    assert set(found["everywhere"]) | set(found["missing"]) == set(pinned()), hint
    readme = " ".join((ROOT / "README.md").read_text("utf-8").split())
    sentence = re.search(r"Every exact version has a wheel [^.]*(?:\.\d[^.]*)*\.", readme)[0]
    first, last = found["pythons"][0], found["pythons"][-1]
    assert f"Python {first} to {last}" in sentence
    assert f'requires-python = ">={first}"' in (ROOT / "pyproject.toml").read_text("utf-8")
    named = {
        f"{system} {machine}"
        for system, machines in re.findall(r"(Linux|macOS|Windows) \(([^)]*)\)", sentence)
        for machine in machines.split(", ")
    }
    assert named == set(found["platforms"])
    missing = {
        f"{line.split('==')[0]} on {where.split(',')[0]}"
        for line, places in found["missing"].items()
        for where in places
    }
    assert set(re.findall(r"([A-Za-z]\w+ on (?:Linux|macOS|Windows) [\w-]+)", sentence)) == missing
    # and nothing that the package itself needs
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = {re.split(r"[><=\[]", line)[0].lower() for line in project["dependencies"]}
    assert not {line.split("==")[0].lower() for line in found["missing"]} & needed


# --- malformed charts


def rendered(data: dict[str, Any]) -> tuple[str, Outputs]:
    outputs = Outputs()
    html = outputs.render(output(data))
    n = outputs.figures["chart"] + outputs.figures["table"] + outputs.figures["map"]
    assert n == html.count("<figure") + html.count('<section class="table"')
    return html, outputs


def test_S12_chart_with_a_list_of_inputs():
    chart = {**BARS, "params": [{"name": "a", "bind": {"input": ["range"], "min": [1]}}]}
    html, outputs = rendered({VEGALITE: chart})
    assert outputs.figures["chart"] == 1
    assert json.loads(re.findall(r'class="spec">(.*?)</script>', html)[0])["params"][0]["bind"] == {
        "input": "text",
        "min": [1],
    }
    hostile = {"input": "image", "src": "//x.example", "onerror": "window.__pwned=1"}
    for bind in ([hostile], [[hostile]], {"0": [hostile]}, 5, None, {"input": None}, {"input": {}}):
        params = [{"name": "a", "select": "point", "bind": bind}]
        html, outputs = rendered({VEGALITE: {**BARS, "params": params}})
        assert outputs.figures["chart"] == 1 and "onerror" not in html and "//x.example" not in html


DEEP: Any = "x"
for _ in range(3_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "change",
    [
        {"params": 5},
        {"params": {"bind": {"input": []}}},
        {"params": [{"bind": {"input": {"a": 1}, "options": 5}}]},
        {"layer": 5},
        {"layer": [5, None, {"mark": ["image"]}, {"layer": {"layer": []}}]},
        {"hconcat": [[], {}, {"params": [[]]}]},
        {"vconcat": {"a": None}},
        {"repeat": {"layer": 5}, "spec": []},
        {"datasets": 5},
        {"datasets": {"a": 5, "b": None, "c": {"d": 1}}},
        {"data": []},
        {"data": {"values": {"url": "x"}}},
        {"mark": {"type": {"type": []}}},
        {"encoding": {"x": [[[]]]}},
        {"$schema": 5},
        {"$schema": f"https://vega.github.io/schema/vega-lite/v{'9' * 5000}.json"},
        {"title": DEEP},
        {"n": 10**5000},
        {"title": float("nan"), "description": {"a": []}},
        {"usermeta": 5},
    ],
)
def test_S12_no_shape_of_a_chart_ends_the_export(change):
    html, outputs = rendered({VEGALITE: {**BARS, **change}})
    assert outputs.figures["chart"] == 1 or "A chart was left out: " in html
    check_page(
        "<!DOCTYPE html><meta charset='utf-8'><meta http-equiv='Content-Security-Policy' "
        f"content='x'><h1>T</h1>some words for the page {html}</html>",
        name="x",
        figures=outputs.figures,
    )


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "input",
                    "bind",
                    "values",
                    "data",
                    "columns",
                    "facts",
                    "mark",
                    "url",
                    "name",
                    "type",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(
    mime=st.sampled_from([VEGALITE, TABLE, FACTS, MAP, "text/html", "text/markdown", "image/png"]),
    value=ANY,
)
def test_S12_no_output_ends_the_export(mime, value):
    data = {**BARS, **value} if mime == VEGALITE and isinstance(value, dict) else value
    for bundle in ({mime: data}, {mime: data, "text/plain": value}):
        assert isinstance(Outputs().render(output(bundle)), str)
