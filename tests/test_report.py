"""Reports without a browser: running notebooks, parameters, failures, and the pages' text."""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from browser import write_notebook

from cardlab.report import notebooks as notebooks_module
from cardlab.report.execute import kernel_environment
from cardlab.report.export import export_report, export_reports
from cardlab.report.notebooks import (
    copy_notebooks,
    inject_parameters,
    literal,
    prepared_source,
    read_notebook,
)
from cardlab.schema import CardlabError, MissingSourceError, ReportError
from cardlab.text.passages import Progress

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.4.1.json"
SPEC: dict[str, Any] = {
    "$schema": SCHEMA,
    "data": {"values": [{"tag": "a", "n": 1}, {"tag": "b", "n": 2}]},
    "mark": "bar",
    "encoding": {
        "x": {"field": "n", "type": "quantitative"},
        "y": {"field": "tag", "type": "nominal"},
    },
}
SIMPLE: list[str | tuple[str, ...]] = [
    "# A title\n\nWhat is the *question*?",
    ("source = None\ntop = 10\nname = 'x'", "parameters"),
    "## A section",
    (
        f"spec = {SPEC!r}\n"
        "display({'application/vnd.vegalite.v5+json': spec, 'text/plain': 'Two bars.'}, raw=True)",
    ),
    (
        "display({'application/vnd.cardlab.facts.v1+json': {'facts': [{'label': 'Top', "
        "'value': str(top), 'note': name}]}}, raw=True)",
    ),
    ("print('source is', source)\nprint({'b', 'a', 'c'}, object())",),
]


def cells(*items: str | tuple[str, ...]) -> list[str | tuple[str, ...]]:
    return list(items)


@pytest.fixture(autouse=True)
def _one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1750000000")


@pytest.fixture
def simple(tmp_path: Path) -> Path:
    return write_notebook(tmp_path / "01-simple.ipynb", SIMPLE)


class Page(HTMLParser):
    """The text and the scripts of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.metas: list[dict[str, str | None]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words: list[str] = []
        self._script: dict[str, str | None] | None = None
        self._in_style = False
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        self._script = dict(attrs) if tag == "script" else None
        if tag == "meta":
            self.metas.append(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        self._script, self._in_style = None, False

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts.append((self._script, data))
        elif not self._in_style:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_a_notebook_becomes_one_page(simple: Path, tmp_path: Path) -> None:
    output = export_report(simple, tmp_path / "page.html", parameters={"top": 3, "name": "é <b>"})
    page = Page(output)
    assert "A title" in page.text
    assert "Top 3 é <b>" in page.text
    assert "source is None" in page.text
    assert "bundled synthetic corpus" in page.text
    assert "2025-06-15" in page.text
    assert page.source.count('<figure class="chart"') == 1
    assert 'aria-label="Two bars."' in page.source
    assert "Code cells 4" in page.text
    assert "injected" not in page.source
    assert list(tmp_path.glob(".*")) == []


def test_the_policy_names_exactly_the_scripts(simple: Path, tmp_path: Path) -> None:
    page = Page(export_report(simple, tmp_path / "page.html"))
    assert page.metas[0] == {"charset": "utf-8"}
    assert page.metas[1]["http-equiv"] == "Content-Security-Policy"
    policy = str(page.metas[1]["content"])
    blocks = {attrs.get("id"): text for attrs, text in page.scripts if attrs.get("id")}
    vega = gzip.decompress(base64.b64decode(str(blocks["vega"]))).decode()
    running = [text for attrs, text in page.scripts if "type" not in attrs]
    hashes = [
        "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
        for text in [*running, vega]
    ]
    assert policy == (
        f"default-src 'none'; script-src {' '.join(hashes)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; connect-src 'none'; base-uri 'none'; "
        "form-action 'none'"
    )


def test_a_page_without_charts_carries_no_vega(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "plain.ipynb", cells("# Words\n\nOnly a few words here."))
    output = export_report(path, tmp_path / "plain.html")
    assert output.stat().st_size < 40_000


def test_two_runs_are_byte_identical(simple: Path, tmp_path: Path) -> None:
    first = export_reports(output=tmp_path / "a", notebooks=[simple], progress=lambda line: None)
    second = export_reports(output=tmp_path / "b", notebooks=[simple], progress=lambda line: None)
    assert [path.name for path in first] == ["01-simple.html", "index.html"]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()


def test_an_unknown_parameter_is_refused_and_the_known_are_named(
    simple: Path, tmp_path: Path
) -> None:
    with pytest.raises(ReportError, match=r"no parameter 'topp'; it knows source, top, name"):
        export_report(simple, tmp_path / "page.html", parameters={"topp": 3})
    assert not (tmp_path / "page.html").exists()


def test_a_notebook_without_a_parameters_cell(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "own.ipynb", cells("# Mine\n\nA few words of mine.", ("1",)))
    with pytest.raises(ReportError, match="no cell tagged 'parameters'"):
        export_report(path, tmp_path / "own.html", parameters={"top": 1})
    assert export_report(path, tmp_path / "own.html").exists()


def test_two_parameters_cells_are_refused(tmp_path: Path) -> None:
    path = write_notebook(
        tmp_path / "own.ipynb", cells("# Mine", ("a = 1", "parameters"), ("b = 1", "parameters"))
    )
    with pytest.raises(ReportError, match="2 cells tagged 'parameters'"):
        export_report(path, tmp_path / "own.html")


@pytest.mark.parametrize(
    "value",
    [None, True, 3, -0.5, 'it\'s "x"\n</script>', [1, "a", None], {"a": [1.5], "b": {"c": "d"}}],
)
def test_a_parameter_survives_being_written_as_source(value: object) -> None:
    assert eval(literal(value)) == value


def test_a_parameter_must_be_plain() -> None:
    with pytest.raises(ReportError, match="'when' is a set"):
        literal({1}, name="when")
    assert literal(float("inf")) == "float('inf')"


def test_the_injected_cell_stands_after_the_parameters(simple: Path) -> None:
    notebook = read_notebook(simple)
    result = inject_parameters(notebook, {"top": 2, "source": "x"}, name="n")
    assert result.cells[2].source == "top = 2\nsource = 'x'"
    assert result.cells[2].metadata.tags == ["injected-parameters"]
    assert len(notebook.cells) == len(result.cells) - 1


def test_a_failure_leaves_the_earlier_page_and_writes_the_others(tmp_path: Path) -> None:
    good = write_notebook(tmp_path / "01-good.ipynb", cells("# Good\n\nIs all of it well?"))
    bad_cells = cells(
        "# Bad <i>\n\nIs it?",
        ("fail = False", "parameters"),
        ("# a comment",),
        ("\nif fail:\n    raise ValueError('\\x1b[31mno luck\\x1b[0m')",),
    )
    bad = write_notebook(tmp_path / "02-bad.ipynb", bad_cells)
    never = write_notebook(tmp_path / "03-never.ipynb", cells("# Never\n\nOh.", ("1 / 0",)))
    out = tmp_path / "out"
    lines: list[str] = []
    export_reports(output=out, notebooks=[bad], progress=lines.append)
    before = (out / "02-bad.html").read_bytes()
    with pytest.raises(ReportError) as caught:
        export_reports(
            output=out,
            notebooks=[good, bad, never],
            parameters={"fail": True},
            progress=lines.append,
        )
    message = str(caught.value)
    assert "2 of 3 notebooks failed" in message
    assert "- 02-bad, cell 3: ValueError: no luck\n    if fail:" in message
    assert "- 03-never, cell 1: ZeroDivisionError: division by zero\n    1 / 0" in message
    assert "\x1b" not in message
    assert (out / "02-bad.html").read_bytes() == before
    assert "Good" in Page(out / "01-good.html").text
    assert not (out / "03-never.html").exists()
    index = Page(out / "index.html").text
    assert index.count("Failed in the latest run") == 2
    assert index.count("This page is of an earlier run.") == 1
    assert "Bad <i>" in index
    assert any(line.startswith("[2/3] 02-bad  FAILED") for line in lines)


def test_a_cell_that_takes_too_long(tmp_path: Path) -> None:
    path = write_notebook(
        tmp_path / "slow.ipynb", cells("# Slow", ("import time; time.sleep(30)",))
    )
    with pytest.raises(ReportError, match="cell 1: took longer than 1 s"):
        export_report(path, tmp_path / "slow.html", timeout=1)


def test_a_dead_kernel(tmp_path: Path) -> None:
    path = write_notebook(
        tmp_path / "dead.ipynb",
        cells("# Dead", ("import os; os.write(2, b'no room\\n'); os._exit(1)",)),
    )
    with pytest.raises(ReportError, match="cell 1: the kernel died"):
        export_report(path, tmp_path / "dead.html")


def test_a_missing_source_is_refused_at_once(
    simple: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cardlab.report.export.export_one", lambda *a, **k: pytest.fail("it ran"))
    for missing in ("no/such.parquet", "no-*.parquet", [__file__, "nothing"], []):
        with pytest.raises(MissingSourceError):
            export_report(simple, tmp_path / "page.html", source=missing)
        with pytest.raises(FileNotFoundError):
            export_reports(missing, tmp_path / "out", notebooks=[simple])
    assert not (tmp_path / "out").exists()


def test_a_local_source_becomes_absolute_and_its_label_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "a.parquet").touch()
    (tmp_path / "shards [v1]").mkdir()
    (tmp_path / "shards [v1]" / "a.csv").touch()
    expected: list[tuple[Any, Any, str]] = [
        ("cards/a.parquet", str(tmp_path / "cards/a.parquet"), "a.parquet"),
        (Path("cards"), str(tmp_path / "cards"), "cards"),
        ("cards/*.parquet", str(tmp_path / "cards/*.parquet"), "cards/*.parquet"),
        (["cards", "cards/a.parquet"], None, "cards and 1 more"),
        ("shards [v1]/*.csv", str(tmp_path / "shards [v1]/*.csv"), "shards [v1]/*.csv"),
        ("hf://datasets/org/name/a.parquet", "hf://datasets/org/name/a.parquet", "org/name"),
        ("https://u:p@h.example/d/a.csv?key=1", "https://u:p@h.example/d/a.csv?key=1", "a.csv"),
        (None, None, "bundled synthetic corpus"),
    ]
    for given, value, label in expected:
        with prepared_source(given, folder=tmp_path) as source:
            assert source.label == label
            assert value is None or source.value == value


def test_frames_become_files_that_are_gone_afterwards(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": ["a/b", "c/d"]})
    others = []
    if importlib.util.find_spec("pyarrow") and importlib.util.find_spec("pandas"):
        others = [frame.to_arrow(), frame.to_pandas()]
    for given in (frame, frame.lazy(), frame.to_dicts(), iter(frame.to_dicts()), *others):
        with prepared_source(given, folder=tmp_path) as source:
            assert pl.read_parquet(str(source.value))["id"].to_list() == ["a/b", "c/d"]
            assert source.label == "a frame in memory (2 rows)"
        assert list(tmp_path.iterdir()) == []
    with (
        pytest.raises(CardlabError, match="int is no source of cards"),
        prepared_source(3, folder=tmp_path),
    ):
        pass


def test_the_source_reaches_the_notebook_and_its_path_stays_out_of_the_page(
    simple: Path, tmp_path: Path
) -> None:
    data = tmp_path / "deep" / "model_cards.seed.parquet"
    data.parent.mkdir()
    data.touch()
    output = export_report(simple, tmp_path / "page.html", source=data)
    page = Page(output)
    assert "source is model_cards.seed.parquet" in page.text
    assert str(tmp_path) not in page.source


def test_the_kernel_ignores_the_users_start_up_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    startup = tmp_path / "home" / ".ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "x.py").write_text("hacked = 1")
    (tmp_path / "start.py").write_text("hacked = 1")
    kernel = tmp_path / "home" / ".local" / "share" / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(
        json.dumps({"argv": ["/bin/false"], "display_name": "no", "language": "python"})
    )
    before = sorted((tmp_path / "home").rglob("*"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("IPYTHONDIR", raising=False)
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "start.py"))
    code = (
        "import sys, cardlab.report\nprint('hacked' in globals(), sys.executable, "
        "cardlab.report.__file__)"
    )
    path = write_notebook(tmp_path / "n.ipynb", cells("# Kernel\n\nWhich one is it?", (code,)))
    text = Page(export_report(path, tmp_path / "n.html")).text
    assert f"False {sys.executable}" in text
    assert sorted((tmp_path / "home").rglob("*")) == before


def test_the_kernel_finds_the_package_from_a_checkout(tmp_path: Path) -> None:
    env = kernel_environment(tmp_path)
    assert env["IPYTHONDIR"].startswith(str(tmp_path))
    assert "PYTHONSTARTUP" not in env


def test_the_import_stays_quick() -> None:
    heavy = "nbclient nbconvert vl_convert nh3 mistune pandas altair IPython zmq jinja2"
    code = (
        "import sys, cardlab.report; "
        f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    parent = str(Path(notebooks_module.__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": parent}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True
    )
    assert done.stdout.strip() == "[]"


def test_copied_notebooks_are_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    curated = tmp_path / "curated"
    curated.mkdir()
    for name in ("01-a", "02-b"):
        write_notebook(curated / f"{name}.ipynb", cells(f"# {name}\n\nWhat is this for?"))
    monkeypatch.setattr(notebooks_module, "notebooks_folder", lambda: curated)
    copies = copy_notebooks(tmp_path / "mine")
    assert [path.name for path in copies] == ["01-a.ipynb", "02-b.ipynb"]
    copies[1].unlink()
    assert copy_notebooks(tmp_path / "mine") == copies
    write_notebook(copies[0], cells("# Changed"))
    changed = copies[0].read_bytes()
    copies[1].unlink()
    with pytest.raises(ReportError, match=r"1 of 2 notebooks .* 01-a.ipynb. Nothing was written"):
        copy_notebooks(tmp_path / "mine")
    assert copies[0].read_bytes() == changed
    assert not copies[1].exists()
    assert notebooks_module.find_notebook("02").name == "02-b.ipynb"
    assert notebooks_module.find_notebook("01-a").name == "01-a.ipynb"
    with pytest.raises(ReportError, match=r"no notebook '7'\. The curated ones are 01-a, 02-b"):
        notebooks_module.find_notebook("7")


def test_notebooks_with_one_name_and_a_notebook_called_index(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    one = write_notebook(tmp_path / "a.ipynb", cells("# A"))
    two = write_notebook(tmp_path / "x" / "a.ipynb", cells("# A"))
    index = write_notebook(tmp_path / "index.ipynb", cells("# I"))
    with pytest.raises(ReportError, match="More than one notebook is called a"):
        export_reports(output=tmp_path / "out", notebooks=[one, two])
    with pytest.raises(ReportError, match="rename it"):
        export_reports(output=tmp_path / "out", notebooks=[index])


def test_a_parameter_goes_where_it_is_known(tmp_path: Path) -> None:
    one = write_notebook(
        tmp_path / "a.ipynb",
        cells("# A\n\nDoes it get it?", ("top = 1", "parameters"), ("print(top)",)),
    )
    two = write_notebook(
        tmp_path / "b.ipynb", cells("# B\n\nOr does it not?", ("u = 1", "parameters"))
    )
    run = {"output": tmp_path / "out", "notebooks": [one, two], "progress": lambda line: None}
    paths = export_reports(parameters={"top": 5}, **run)  # type: ignore[arg-type]
    assert "top 5" in Page(paths[0]).text
    assert "top" not in Page(paths[1]).text.split("Skip to the report")[1]
    with pytest.raises(ReportError, match="no parameter 'tip'; it knows top, u"):
        export_reports(parameters={"tip": 5}, **run)  # type: ignore[arg-type]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are different there")
def test_an_interrupt_ends_the_kernels(tmp_path: Path) -> None:
    code = f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))"
    path = write_notebook(tmp_path / "slow.ipynb", cells("# Slow", (f"{code}\ntime.sleep(60)",)))
    script = (
        "from cardlab import export_reports\n"
        f"export_reports(output={str(tmp_path / 'out')!r}, notebooks=[{str(path)!r}])"
    )
    parent = str(Path(notebooks_module.__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": parent, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", script], env=env, stderr=subprocess.PIPE) as run:
        deadline = time.monotonic() + 120
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        run.send_signal(signal.SIGINT)
        _, messages = run.communicate(timeout=120)
    assert b"KeyboardInterrupt" in messages
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert list(tmp_path.glob("cardlab-*")) == []
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("switch", ["0", "1"])
def test_no_page_tells_how_slow_its_machine_was(switch, monkeypatch, capsys) -> None:
    monkeypatch.setenv("CARDLAB_PICTURES", switch)
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    progress = Progress(5, "draws")
    progress.shown = float("-inf")  # as long ago as can be
    progress.step(5)
    progress.end()
    assert capsys.readouterr().err == ("" if switch == "0" else "\r5 of 5 draws\n")
