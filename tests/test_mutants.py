"""Damaged files: read, or SourceError; no panic, no abort, no hang, no row lost in silence.

Mutants of good files (bits flipped, bytes cut off, repeated, dropped or zeroed) are read by
processes of their own, which say what came of it. `make test` reads 40 of them, a process for many;
`make verify` reads 300, a process for each: a copy of one that has only imported what it needs.
"""

from __future__ import annotations

import csv
import io
import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cardlab as cl

ROWS = 60
#: A process's own time for one file, and after which time of the clock it counts as hanging.
SECONDS, PATIENCE = 5.0, 120.0
SHAPES = ("flip", "flips", "cut", "repeat", "drop", "zero", "ends")

WORKER = """
import json, os, sys, time, warnings
import cardlab as cl
ANALYSES, problems = (cl.tag_counts, cl.license_counts, cl.profile), cl.problems
if "apart" in sys.argv:  # what each copy would import again
    import cardlab.cards.canonical, cardlab.cards.files, cardlab.cards.records
    import cardlab.embeddings.neighbors, joblib, langcodes, scipy.special, sklearn.cluster
warnings.simplefilter("ignore")

def tell(path):
    began = time.process_time()
    try:
        cards = cl.read_cards(path)
        told = {"rows": cards.height, "problems": problems(cards).height}
        for analysis in ANALYSES:
            try:
                analysis(cl.scan_cards(path))
            except cl.NoFigure:
                pass
    except cl.SourceError as error:
        told = {"refused": str(error)}
    except BaseException as error:
        told = {"raised": f"{type(error).__module__}.{type(error).__name__}: {error}"[:300]}
    print(json.dumps({**told, "seconds": time.process_time() - began}), flush=True)

print("ready", flush=True)
for line in sys.stdin:
    path = line.strip()
    if "apart" not in sys.argv:
        tell(path)
    elif child := os.fork():
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            print(json.dumps({"died": code}), flush=True)
    else:
        tell(path)
        os._exit(0)
"""


class Reader:
    """A process that reads the files it is told to; a new one takes its place when it dies.

    `apart`: it lets a copy of itself read each.
    """

    def __init__(self, *, apart: bool = False) -> None:
        self.way = ["apart"] if apart else []
        self.process: subprocess.Popen[str] | None = None

    def _answer(self) -> dict[str, Any]:
        assert self.process is not None
        try:
            line = self.lines.get(timeout=PATIENCE)
        except queue.Empty:
            self.close()
            return {"hangs": PATIENCE}
        if line:
            return {} if line == "ready\n" else json.loads(line)
        code = self.process.wait()
        self.close()
        return {"died": code}

    def _start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, *self.way],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.lines: queue.Queue[str] = queue.Queue()
        output = self.process.stdout

        def follow(lines: queue.Queue[str] = self.lines) -> None:
            for line in output:
                lines.put(line)
            lines.put("")

        threading.Thread(target=follow, daemon=True).start()
        assert self._answer() == {}, "the reader did not start"

    def read(self, path: Path) -> dict[str, Any]:
        if self.process is None:
            self._start()
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):  # it has ended, and so have its copies
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()
            self.process = None


def good_files(folder: Path) -> dict[str, bytes]:
    """Cards in each format, by several writers, with and without compression."""
    cards = cl.make_cards(ROWS, embedding_dim=4, random_state=3).drop("text_lists", strict=False)
    table = cards.to_arrow()
    flat = cards.select("id", pl.col("license").list.first(), "created_at", "text")

    def stream(path: Path, compression: str | None) -> None:
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with pa.ipc.new_stream(str(path), table.schema, options=options) as writer:
            writer.write_table(table, max_chunksize=25)

    plain = {"compression": "none", "use_dictionary": False, "data_page_version": "2.0"}
    writers = {
        "zstd.parquet": lambda path: cards.write_parquet(path, row_group_size=25),
        "snappy.parquet": lambda path: pq.write_table(table, path, row_group_size=25),
        "plain.parquet": lambda path: pq.write_table(table, path, **plain),
        "plain.arrow": lambda path: cards.write_ipc(path, record_batch_size=25),
        "zstd.arrow": lambda path: cards.write_ipc(path, compression="zstd", record_batch_size=25),
        "lz4.arrow": lambda path: cards.write_ipc(path, compression="lz4"),
        "stream.arrow": lambda path: stream(path, None),
        "zstd-stream.arrow": lambda path: stream(path, "zstd"),
        "cards.jsonl": cards.write_ndjson,
        "cards.csv": flat.write_csv,
        "cards.json": cards.write_json,
    }
    found = {}
    for name, write in writers.items():
        write(folder / name)
        found[name] = (folder / name).read_bytes()
    return found


def mutant(content: bytes, shape: str, draw: random.Random) -> bytes:
    """A damaged copy."""
    damaged, size = bytearray(content), len(content)
    at, length = draw.randrange(size), draw.randint(1, min(4096, size // 4))
    if shape in ("flip", "flips"):
        for _ in range(1 if shape == "flip" else draw.randint(2, 50)):
            damaged[draw.randrange(size)] ^= 1 << draw.randrange(8)
    elif shape == "ends":  # headers and footers, where the lengths stand
        for _ in range(draw.randint(1, 3)):
            place = draw.randrange(min(2000, size))
            damaged[draw.choice((place, size - 1 - place))] ^= 1 << draw.randrange(8)
    elif shape == "cut":
        del damaged[at:]
    elif shape == "repeat":
        damaged[at:at] = damaged[at : at + length]
    elif shape == "drop":
        del damaged[at : at + length]
    else:
        damaged[at : at + length] = bytes(len(damaged[at : at + length]))
    return bytes(damaged)


def mutants(folder: Path, count: int, seed: int) -> list[Path]:
    """Write damaged files, each format and each kind of damage in turn."""
    files = good_files(folder)
    paths = []
    for number in range(count):
        name = list(files)[number % len(files)]
        shape = SHAPES[(number // len(files) + number) % len(SHAPES)]
        path = folder / f"{number:03}-{shape}-{name}"
        path.write_bytes(mutant(files[name], shape, random.Random(f"{seed}-{number}")))
        paths.append(path)
    return paths


def expected(path: Path) -> int | None:
    """Rows that plain Python finds in a damaged file; those of the good one where it finds none."""
    content = path.read_bytes()
    if path.suffix == ".jsonl":
        return sum(bool(line.strip()) for line in content.split(b"\n"))
    text = content.decode("utf-8", "surrogateescape")
    if path.suffix == ".csv":
        return sum(bool(row) for row in csv.reader(io.StringIO(text, newline=""))) - 1
    if path.suffix == ".json":
        return len(json.loads(text))
    return ROWS


def fault(path: Path, told: dict[str, Any]) -> str | None:
    """What is wrong with what came of a damaged file."""
    if not {"rows", "refused"} & set(told):
        return f"{path.name}: {told}"
    if told["seconds"] > SECONDS:
        return f"{path.name}: {told['seconds']:.1f} s"
    if "rows" in told and told["rows"] != expected(path):
        return f"{path.name}: {told['rows']} of {expected(path)} rows"
    return None


def test_S04_mutants(tmp_path):
    reader = Reader()
    try:
        told = [(path, reader.read(path)) for path in mutants(tmp_path, 40, seed=1)]
    finally:
        reader.close()
    assert [wrong for path, answer in told if (wrong := fault(path, answer))] == []
    kinds = ["refused" if "refused" in answer else "read" for _, answer in told]
    assert min(kinds.count("refused"), kinds.count("read")) >= 5, "the damage is not what it was"


def test_S04_lengths_that_end_the_process(tmp_path):
    """Numbers of values below zero, for which polars asks for exabytes; and footers, by the bit."""
    reader, wrong, told = Reader(), [], []
    try:
        for name, content in good_files(tmp_path).items():
            path = tmp_path / f"damaged-{name}"
            places = range(len(content) - 12, len(content) - 600, -37)
            if name.endswith("parquet"):
                places = [
                    *places,
                    *numbers_of_values(pq.ParquetFile(tmp_path / name).metadata, content),
                ]
            elif not name.endswith("arrow"):
                continue
            for place in places:
                damaged = bytearray(content)
                damaged[place] ^= 1
                path.write_bytes(damaged)
                told.append(reader.read(path))
                wrong.append(fault(path, told[-1]))
                # a number of values below zero is never read
                assert place in range(len(content) - 600, len(content)) or "refused" in told[-1]
    finally:
        reader.close()
    assert [fault for fault in wrong if fault] == []
    assert len(told) > 140


def numbers_of_values(metadata: pq.FileMetaData, content: bytes) -> list[int]:
    """Where the first pages of some columns say how many values they hold; bit 1 is the sign."""
    found = []
    for column in range(0, metadata.num_columns, 4):
        start = metadata.row_group(0).column(column).data_page_offset
        header = content[start : start + 24]
        # a page of version 1 is the field 5, one of version 2 the field 8; its first is the number
        found.append(
            start
            + next(header.index(mark) for mark in (b"\x2c\x15", b"\x5c\x15") if mark in header)
            + 2
        )
    return found


@pytest.mark.verify
def test_S04_mutants_in_processes_of_their_own(tmp_path):
    reader = Reader(apart=True)
    try:
        told = [(path, reader.read(path)) for path in mutants(tmp_path, 300, seed=2)]
    finally:
        reader.close()
    assert [wrong for path, answer in told if (wrong := fault(path, answer))] == []
