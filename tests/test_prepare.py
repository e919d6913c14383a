"""A corpus that was prepared is its source; whatever ends a run, what is read is whole."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from browser import write_notebook
from conftest import real_file
from test_same_results import CALLS, CORPORA

import cardlab as cl
from cardlab.__main__ import main
from cardlab.cards import prepare as made
from cardlab.cards import sources
from cardlab.cards.prepare import MANIFEST, prepare
from cardlab.scratch import worked_in
from cardlab.text.lengths import MEASURES


def some_cards(n: int = 90) -> pl.DataFrame:
    body = "# Title\n\nWords of card {}, [a link](https://example.org).\n"
    return pl.DataFrame(
        {
            "id": [f"org{i % 7}/model{n - i:03}" for i in range(n)],
            "card": [
                f"---\nlicense: {'mit' if i % 2 else 'GPL-3.0'}\n---\n{body}" for i in range(n)
            ],
            "downloads": range(n),
        }
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "cards.parquet"
    some_cards().write_parquet(path)
    return path


def files(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in out.glob("data-*/*.parquet")}


def is_whole(out: Path, source: Any) -> None:
    """The folder holds the source's cards, and nothing but what its manifest names."""
    read, cards = cl.read_cards(out), cl.read_cards(source)
    assert read.select(cards.columns).sort("id").equals(cards.sort("id"))
    manifest = json.loads((out / MANIFEST).read_text())
    named = [name for shard in manifest["shards"] for name in shard["files"]]
    assert sorted(path.name for path in out.iterdir()) == [
        f"data-{manifest['fingerprint']}",
        MANIFEST,
    ]
    assert sorted(path.name for path in out.glob("data-*/*")) == sorted(named)


# ---- What is there.


def same_results(name: str, tmp_path: Path, rows: int | None, calls: list[str]) -> None:
    path = real_file(CORPORA[name])
    if rows is not None:
        pl.scan_parquet(path).head(rows).sink_parquet(tmp_path / "some.parquet")
        path = tmp_path / "some.parquet"
    out = prepare(path, tmp_path / "out", rows=1000)
    source, prepared = cl.read_cards(path), cl.read_cards(out)
    in_order = pl.concat(part.sort("id", maintain_order=True) for part in source.iter_slices(1000))
    assert prepared.select(source.columns).equals(in_order)
    checked = 0
    for call in calls:
        names, analysis = CALLS[call]
        if name in names:
            expected, found = analysis(source), analysis(cl.scan_cards(out))
            assert found.equals(expected), call
            checked += 1
    assert checked > 3
    lengths = cl.with_text_lengths(in_order).select(*MEASURES)
    assert prepared.select(*MEASURES).equals(lengths)
    assert prepared["license_class"].equals(cl.with_licenses(in_order)["license_class"])
    assert prepared["language_codes"].equals(cl.with_languages(in_order)["language_codes"])
    assert prepared["family"].equals(cl.with_families(in_order)["family"])


#: Not those whose calls take cards by their place or know no other corpus, nor those that show
#: the first values or columns.
TABLES = [
    *("problems", "tag_counts", "cooccurrence", "tag_communities", "tag_variants", "lineage"),
    *("license_counts", "license_counts by task", "license_conflicts", "language_counts"),
    *("language_counts by task", "crosstab", "search"),
]


@pytest.mark.parametrize("name", ["seed", "hub"])
def test_results_are_those_of_the_source(name, tmp_path):
    calls = ["problems", "tag_counts", "cooccurrence", "license_counts", "language_counts"]
    same_results(name, tmp_path, 150, calls)


@pytest.mark.verify
@pytest.mark.parametrize("name", ["seed", "hub"])
def test_all_results_are_those_of_the_source(name, tmp_path):
    same_results(name, tmp_path, None, TABLES)


def test_front_matter_is_not_parsed_again(source, tmp_path, monkeypatch):
    out = prepare(source, tmp_path / "out")
    expected = cl.license_counts(source), cl.length_summary(source)

    def parsed(*_: Any) -> None:
        raise AssertionError("front matter or Markdown was parsed")

    for name in ("cardlab.frontmatter.read_card", "cardlab.cards.fronts.read_metadata"):
        monkeypatch.setattr(name, parsed)
    monkeypatch.setattr("cardlab.text.lengths.to_html", parsed)
    assert cl.license_counts(out).equals(expected[0])
    assert cl.length_summary(out).equals(expected[1])
    assert cl.length_summary(out, measure="n_links")["mean"].to_list() == [1.0]


def test_only_the_files_that_are_asked_for_are_read(source, tmp_path):
    """Rows, filters and counts are right whichever files are read; texts lie apart."""
    out = prepare(source, tmp_path / "out", rows=40)
    cards, whole = cl.scan_cards(out), cl.read_cards(out)
    texts = next(out.glob("data-*/texts-00001.parquet"))
    assert pl.read_parquet_schema(texts).names() == ["metadata", "text"]
    texts.write_bytes(bytes(texts.stat().st_size))
    ids = cards.select("id", "downloads").collect()
    assert ids.equals(whole.select("id", "downloads"))
    assert cards.select(pl.len()).collect().item() == 90
    assert cards.head(3).select("id").collect().height == 3
    assert cards.filter(pl.col("downloads") > 50).select("id").collect().height == 39
    with pytest.raises(cl.SourceError):
        cl.schema.collect(cards.select("text"))


@pytest.mark.parametrize(
    "give",
    [
        lambda cards, path: cards,
        lambda cards, path: cards.lazy(),
        lambda cards, path: [cards.head(50), cards.tail(40)],
        lambda cards, path: cards.to_dicts(),
        lambda cards, path: (cards.write_ndjson(path / "c.jsonl"), str(path / "c.jsonl"))[1],
    ],
)
def test_any_source_is_prepared(give, tmp_path):
    cards = some_cards().with_columns(embeddings=pl.lit([0.5, 1.0]), n_words=pl.lit(1))
    out = prepare(give(cards, tmp_path), tmp_path / "out", rows=20)
    is_whole(out, cards)
    assert [path.name[:7] for path in sorted(out.glob("data-*/*-00004*"))] == [
        *("cards-0", "familie", "texts-0", "vectors")
    ]
    assert cl.read_cards(out)["n_words"].sum() == 90  # a column of the source's own stays


def test_no_cards_are_prepared_too(tmp_path):
    is_whole(prepare(some_cards().head(0), tmp_path / "out"), some_cards().head(0))


def test_the_manifest_says_what_was_prepared(tmp_path):
    path = real_file("model_cards.seed.parquet")
    pl.scan_parquet(path).head(500).drop("text").sink_parquet(tmp_path / "c.parquet")
    found = json.loads((prepare(tmp_path / "c.parquet", tmp_path / "o") / MANIFEST).read_text())
    counts = cl.read_cards(tmp_path / "c.parquet")["problems"].list.len().sum()
    assert found["n_cards"] == 500 and sum(found["problems"].values()) == counts > 0
    assert len(found["sha256"]) == 64 and found["source"].endswith("c.parquet")
    assert found["versions"]["cardlab"] == cl.__version__


# ---- What goes wrong.


def stopping(monkeypatch: pytest.MonkeyPatch, after: int, error: BaseException) -> None:
    """Let writing end in an error after so many files."""
    write, left = made._write, iter(range(after))

    def broken(*args: Any) -> Any:
        if next(left, None) is None:
            raise error
        return write(*args)

    monkeypatch.setattr(made, "_write", broken)


def test_an_interrupted_run_never_looks_whole_and_goes_on(source, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        stopping(patch, 5, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            prepare(source, out, rows=20)
    with pytest.raises(cl.SourceError, match="not finished.*goes on where it was"):
        cl.scan_cards(out)
    before = files(out)
    assert len(before) == 5 and before.pop("cards-00002.parquet")
    is_whole(prepare(source, out, rows=20), source)
    again = files(out)
    assert {name: again[name] for name in before} == before
    prepare(source, out, rows=20)
    assert files(out) == again


def test_what_was_there_stays_until_the_new_is_whole(source, tmp_path, monkeypatch):
    out = prepare(source, tmp_path / "out", rows=20)
    old = some_cards()
    some_cards(60).write_parquet(source)
    with monkeypatch.context() as patch:
        stopping(patch, 3, OSError(28, "No space left on device"))
        with pytest.raises(cl.CardlabError, match="No space left.*as it was.*run it again"):
            prepare(source, out, rows=20)
    assert cl.read_cards(out).height == old.height
    is_whole(prepare(source, out, rows=20), source)


def test_a_damaged_file_is_named_and_its_shard_alone_made_again(source, tmp_path):
    out = prepare(source, tmp_path / "out", rows=20)
    before = files(out)
    damaged = next(out.glob("data-*/texts-00002.parquet"))
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1])
    with pytest.raises(cl.SourceError, match=r"texts-00002.parquet has .* bytes"):
        cl.scan_cards(out)
    damaged.write_bytes(content[:100] + b"x" + content[101:])
    is_whole(prepare(source, out, rows=20), source)
    anew = {name for name, when in files(out).items() if when != before[name]}
    assert {name for name in anew if "families" not in name} == {
        *("cards-00002.parquet", "texts-00002.parquet")
    }


@pytest.mark.parametrize("change", ["replaced", "truncated"])
def test_a_source_that_changes_meanwhile_is_refused(source, tmp_path, change):
    out = prepare(source, tmp_path / "out")
    some_cards(80).write_parquet(source)

    def meanwhile(_: str) -> None:
        if change == "replaced":
            some_cards(70).write_parquet(tmp_path / "new.parquet")
            os.replace(tmp_path / "new.parquet", source)
        else:
            os.truncate(source, source.stat().st_size // 2)

    with pytest.raises(cl.SourceError, match="changed while it was read"):
        prepare(source, out, rows=20, progress=meanwhile)
    assert cl.read_cards(out).height == 90
    some_cards(60).write_parquet(source)
    is_whole(prepare(source, out, rows=20), source)


def test_two_runs_do_not_mix(source, tmp_path):
    out = prepare(source, tmp_path / "out")
    with worked_in(out), pytest.raises(cl.CardlabError, match="another run is writing"):
        prepare(some_cards(10), out)
    is_whole(out, source)
    (tmp_path / "other" / "mine").mkdir(parents=True)
    for folder, said in (("other", "holds other files .mine."), ("cards.parquet", "exists")):
        with pytest.raises(cl.CardlabError, match=said):
            prepare(source, tmp_path / folder)
    with pytest.raises(cl.CardlabError, match="lies in the source"):
        prepare(out, out)


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of this kind")
def test_a_full_disk_leaves_what_was_there(source, tmp_path):
    out = prepare(source, tmp_path / "out")
    some_cards(20_000).write_parquet(source)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(cl.CardlabError, match="cannot be written.*make room"):
            prepare(source, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert cl.read_cards(out).height == 90
    assert not list(out.glob("data-*/*.part"))
    is_whole(prepare(source, out), source)


def test_the_command(source, tmp_path, capfd):
    assert main(["prepare", str(source), str(tmp_path / "out"), "--rows", "50"]) == 0
    said = capfd.readouterr()
    assert said.out == f"{tmp_path / 'out'}\n"
    assert said.err == "shard 1: 50 cards\nshard 2: 40 cards\n"
    is_whole(tmp_path / "out", source)


# ---- Sources that are far away.


class Far(BaseHTTPRequestHandler):
    """Serves files, each request as `server.ill` has it: whole, late, cut, dropped or refused."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        content = self.server.files[self.path]
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        start = int(first) if first else max(len(content) - int(last), 0)
        end = min(int(last) + 1 if first and last else len(content), len(content))
        ill = next(self.server.ill) if self.command == "GET" else ""
        if ill == "late":
            time.sleep(0.05)
        if ill != "dropped":
            self.send_response(503 if ill == "refused" else 206)
            self.send_header("Content-Length", str(end - start))
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
            self.send_header("ETag", f'"{zlib.crc32(content)}"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content[start : (start + end) // 2 if ill == "cut" else end])
        if ill in ("dropped", "cut"):
            self.close_connection = True
            self.connection.shutdown(2)


@contextmanager
def far(ill: Iterator[str], **files: bytes) -> Iterator[tuple[Any, list[str]]]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Far)
    server.files = {f"/{name}.parquet": content for name, content in files.items()}
    server.ill = ill
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server, [f"http://127.0.0.1:{server.server_port}{path}" for path in server.files]
    finally:
        server.shutdown()
        server.server_close()


def test_a_remote_source_that_drops_delays_and_truncates(tmp_path):
    """All bytes come in the end, and a run that is done again asks for none of them."""
    asked: list[str] = []

    def ill() -> Iterator[str]:
        for kind in cycle(("dropped", "", "late", "cut", "", "refused", "")):
            asked.append(kind)
            yield kind

    content = {}
    for name, half in (("a", some_cards().head(45)), ("b", some_cards().tail(45))):
        half.write_parquet(tmp_path / name)
        content[name] = (tmp_path / name).read_bytes()
    with far(ill(), **content) as (server, urls):
        out = prepare(urls, tmp_path / "out", rows=20)
        assert {"dropped", "late", "cut", "refused"} <= {*asked}
        is_whole(out, some_cards())
        before = files(out)
        prepare(urls, out, rows=20)
        assert files(out) == before
        server.files["/b.parquet"] = content["a"]  # another version has another ETag
        prepare(urls, out, rows=20)
    assert sorted(cl.read_cards(out)["id"]) == sorted([*some_cards()["id"].head(45)] * 2)


def test_a_server_that_says_nothing_is_given_up(monkeypatch, tmp_path):
    monkeypatch.setattr(sources, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connects, and never reads
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/cards.parquet"
        for read in (cl.read_cards, lambda source: prepare(source, tmp_path / "out")):
            with pytest.raises(cl.SourceError, match=r"not answered for 0.3 s.*try again"):
                read(url)
    assert not (tmp_path / "out").exists()
    for url in ("s3://nobody/cards.parquet", "http://127.0.0.1:1/two words.parquet", "http://["):
        assert sources.version_of(url) == [None]


def test_a_source_that_breaks_off_is_read_on_from_there(source, tmp_path, monkeypatch):
    """No shard is made twice."""
    read, write, written, breaks = made.in_batches, made._written, [], iter([25, 45])

    def breaking(query: pl.LazyFrame, rows: int) -> Iterator[pl.DataFrame]:
        left = next(breaks, 1000)
        for batch in read(query, 5):
            left -= batch.height
            if left < 0:
                raise cl.SourceError("the connection was lost")
            yield batch

    monkeypatch.setattr(made, "in_batches", breaking)
    monkeypatch.setattr(made, "_written", lambda *a: (written.append(a[2]), write(*a))[1])
    for _ in range(2):
        with pytest.raises(cl.SourceError, match="connection was lost"):
            prepare(source, tmp_path / "out", rows=20)
    is_whole(prepare(source, tmp_path / "out", rows=20), source)
    assert written == [0, 1, 2, 3, 4]


# ---- Kills, and limits of memory.

PREPARE = "import sys; from cardlab.cards.prepare import prepare; prepare(*sys.argv[1:3], rows=500)"
# The same, and the process ends itself, as a kill would, at its n-th step in the folder: opening,
# making, renaming or removing. No clock decides, so that a slow machine sees the same.
KILLED = f"""
import os, signal, sys
folder, left = os.path.dirname(sys.argv[2]), int(sys.argv[3])
def step(event, args):
    global left
    if event == "open" or event.startswith("os."):
        if args and str(args[0]).startswith(folder + os.sep):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(step)
{PREPARE}
print(-left)
"""


def read_rows(folder: Path) -> int:
    """Say how many cards a corpus has, all of them with their texts."""
    read = cl.read_cards(folder)
    assert read["text"].null_count() == 0
    return read.height


def kills(n: int, tmp_path: Path, n_cards: int, seed: int) -> None:
    """Kill runs at any step; each time the earlier corpus is there, at last the new one."""
    source, out, first = tmp_path / "cards.parquet", tmp_path / "out", some_cards(50)
    some_cards(n_cards).write_parquet(source)
    call = [sys.executable, "-c", KILLED, str(source), str(out)]
    whole = subprocess.run([*call, "0"], check=True, stdout=subprocess.PIPE, text=True)
    is_whole(out, source)
    n_killed = 0
    for at in random.Random(seed).sample(range(1, int(whole.stdout)), n):
        if read_rows(out) != 50:  # a run that went on from an earlier one has fewer steps
            shutil.rmtree(out)
            prepare(first, out)
        status = subprocess.run([*call, str(at)]).returncode
        assert (status, read_rows(out)) in (
            (0, n_cards),
            (-signal.SIGKILL, 50),
            (-signal.SIGKILL, n_cards),
        )
        n_killed += status != 0
    assert n_killed >= n / 2
    subprocess.run([*call, "0"], check=True)
    is_whole(out, source)


def test_killed_runs_leave_what_was_there(tmp_path):
    kills(3, tmp_path, 2_000, seed=0)


@pytest.mark.verify
def test_twenty_killed_runs_leave_what_was_there(tmp_path):
    kills(20, tmp_path, 40_000, seed=1)


@pytest.mark.verify
@pytest.mark.skipif(sys.platform != "linux", reason="no limits of this kind")
def test_too_little_memory_is_said(tmp_path):
    """A process that its machine ends is spoken of by the command that started it."""
    source, out = tmp_path / "cards.parquet", tmp_path / "out"
    body = pl.concat_str(["card", pl.lit(" many words" * 2_000)]).alias("card")
    some_cards(20_000).with_columns(body).write_parquet(source)
    prepare(some_cards(50), out)
    call = [sys.executable, "-m", "cardlab", "prepare", str(source), str(out)]

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1_800_000_000, 1_800_000_000))

    done = subprocess.run(call, preexec_fn=limited, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "not have been enough memory" in done.stderr.splitlines()[-1]
    assert cl.read_cards(out).height == 50
    some_cards(200).write_parquet(source)
    subprocess.run(call, check=True)
    is_whole(out, source)


@pytest.mark.verify
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_twenty_killed_reports_leave_pages_that_are_whole(source, tmp_path):
    """Each page is the earlier or the new one, to the byte; the next run leaves nothing else."""
    draw, out, other = random.Random(2), tmp_path / "out", tmp_path / "other"
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    cells = ("source = None", "parameters"), ("import polars as pl\npl.read_parquet(source)",)
    notebooks = [
        write_notebook(tmp_path / f"{name}.ipynb", [f"# {name}", *cells]) for name in ("one", "two")
    ]

    def call(folder: Path) -> list[str]:
        report = [sys.executable, "-m", "cardlab", "report", str(source), "--out", str(folder)]
        return report + [text for path in notebooks for text in ("--notebook", str(path))]

    def pages() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in out.glob("*.html")}

    subprocess.run(call(out), env=env, check=True)
    earlier = pages()
    some_cards(60).write_parquet(source)
    start = time.monotonic()
    subprocess.run(call(other), env=env, check=True)
    took = time.monotonic() - start
    new = {path.name: path.read_bytes() for path in other.glob("*.html")}
    assert earlier.keys() == new.keys() and earlier["one.html"] != new["one.html"]
    for _ in range(20):
        process = subprocess.Popen(call(out), env=env)
        time.sleep(draw.random() * took)
        process.kill()
        process.wait()
        found = pages()
        assert found.keys() == new.keys()
        assert all(page in (earlier[name], new[name]) for name, page in found.items())
    subprocess.run(call(out), env=env, check=True)
    assert pages() == new and sorted(path.name for path in out.iterdir()) == sorted(new)
    assert not list(tmp_path.glob("cardlab-*"))
