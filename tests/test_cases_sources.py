"""Inputs that go wrong on their way in: every source is read in full, or says what it is not."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import inspect
import io
import json
import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import public
from hypothesis import given, settings
from hypothesis import strategies as st

import cardlab as cl
from cardlab import schema
from cardlab.cards import records
from cardlab.cards.sources import corpus_hash

UTC = dt.UTC
HUB_FLOOR = dt.datetime(2022, 3, 2, 23, 29, 4, tzinfo=UTC)


def found(cards: pl.DataFrame) -> list[tuple]:
    """All problems of a corpus as ``id, column, problem``."""
    return cl.problems(cards).select("id", "column", "problem").rows()


def ids(source: Any) -> list[str]:
    return sorted(cl.read_cards(source, columns=["id"])["id"].to_list())


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def refused(source: Any) -> str:
    with pytest.raises(cl.SourceError) as caught:
        cl.read_cards(source)
    return str(caught.value)


# ------------------------------------------------------------------------------------- no row lost


@pytest.mark.parametrize("ending", ["jsonl", "ndjson", "json", "csv", "parquet", "arrow"])
@pytest.mark.parametrize("rows", [1, 10_000, 10_001, 20_002])
def test_F01_no_record_is_lost_at_a_batch_boundary(tmp_path, ending, rows):
    frame = pl.DataFrame({"id": [f"o/{number:05d}" for number in range(rows)]})
    path = tmp_path / f"cards.{ending}"
    kind = {"jsonl": "ndjson", "arrow": "ipc"}.get(ending, ending)
    getattr(frame, f"write_{kind}")(path)
    cards = cl.scan_cards(path)
    assert cl.read_cards(cards)["id"].equals(frame["id"])
    # the same when only a part is asked for, and when rows are counted without any column
    assert cards.head(10_001).select("id").collect().height == min(rows, 10_001)
    assert cards.select(pl.len()).collect().item() == rows
    assert cards.filter(pl.col("id") == f"o/{rows - 1:05d}").collect().height == 1


def test_F01_several_files_and_folders(tmp_path, monkeypatch):
    for number in (1, 2):
        lines = (json.dumps({"id": f"{number}/{row:05d}"}) for row in range(6_000))
        write(tmp_path, {f"shards/{number}.jsonl": "\n".join(lines)})
    assert cl.read_cards(tmp_path / "shards").height == 12_000
    write(tmp_path, {f"cards/o/{number:04d}/README.md": "# x" for number in range(1_001)})
    assert ids(tmp_path / "cards") == [f"o/{number:04d}" for number in range(1_001)]
    monkeypatch.setattr(records, "_BATCH", 97)  # which leaves a rest in each shard
    assert cl.read_cards(tmp_path / "shards").height == 12_000


def test_F01_a_column_or_a_type_that_comes_late(tmp_path):
    rows: list[dict[str, Any]] = [{"id": f"o/{number}", "n": 1} for number in range(10_005)]
    rows += [{"id": "o/late", "license": "mit", "n": "one", "new": [1]}]
    path = write(tmp_path, {"x.jsonl": "\n".join(map(json.dumps, rows))}) / "x.jsonl"
    last = cl.read_cards(path).row(-1, named=True)
    assert (last["license"], last["n"], last["new"]) == (["mit"], "one", "[1]")
    assert last["problems"] == []


def test_F01_real_listing_loses_no_record(data):
    path = data / "hub_2022_listing.jsonl"
    with path.open(encoding="utf-8") as lines:
        truth = [json.loads(line) for line in lines]
    cards = cl.read_cards(path)
    assert cards["id"].to_list() == [row["modelId"] for row in truth]
    assert cards["tags"].to_list() == [row["tags"] for row in truth]
    assert cards["downloads"].to_list() == [row.get("downloads") for row in truth]
    assert [json.loads(x) for x in cards["siblings"]] == [row["siblings"] for row in truth]


# ------------------------------------------------------------------------------------- which file


def test_F02_characters_of_patterns_in_names_that_exist(tmp_path):
    right, wrong = pl.DataFrame({"id": ["o/right"]}), pl.DataFrame({"id": ["o/WRONG"]})
    for name, other in (("a[1]", "a1"), ("b*", "bb"), ("c?", "cc"), ("d{1}", "d1")):
        for ending in ("parquet", "csv", "arrow", "jsonl", "json"):
            kind = {"arrow": "ipc", "jsonl": "ndjson"}.get(ending, ending)
            path = tmp_path / f"{name}.{ending}"
            getattr(right, f"write_{kind}")(path)
            assert ids(str(path)) == ["o/right"]
            getattr(wrong, f"write_{kind}")(tmp_path / f"{other}.{ending}")
            assert ids(str(path)) == ["o/right"]
            assert corpus_hash(str(path)) != corpus_hash(str(tmp_path / f"{other}.{ending}"))
    for folder in ("shards [v1]", "shards *"):
        (tmp_path / folder).mkdir()
        right.write_parquet(tmp_path / folder / "0.parquet")
        for source in (tmp_path / folder, f"{tmp_path / folder}/*.parquet"):
            assert ids(source) == ["o/right"]
            assert corpus_hash(source) is not None
    assert ids(f"{tmp_path}/a[[]1].parquet") == ["o/right"]  # a pattern stays a pattern
    assert ids(f"{tmp_path}/[ab][1b].parquet") == ["o/WRONG", "o/WRONG"]


def test_F02_hidden_files_are_no_shards(tmp_path):
    write(
        tmp_path,
        {"a.csv": "id\no/a\n", ".a.csv": "id\no/x\n", ".ipynb_checkpoints/a.csv": "id\no/y\n"},
    )
    assert ids(tmp_path) == ["o/a"]


# ---------------------------------------------------------------------------------- folder of cards


def tree(folder: Path, *paths: str) -> Path:
    return write(folder, {path if "." in path else f"{path}/README.md": "# x" for path in paths})


@pytest.mark.parametrize(
    ("paths", "right"),
    [
        (["orgx", "orgx/a", "orgx/b", "orgy/c"], ["orgx/a", "orgx/b", "orgy/c"]),
        (["README.md", "orgx", "orgx/a", "orgx/b"], ["orgx/a", "orgx/b"]),
        (["orgx", "orgx/a", "orgy", "orgy/b"], ["orgx/a", "orgy/b"]),
        (["orgx", "orgx/a", "orgy/b", "alone"], ["alone", "orgx/a", "orgy/b"]),
        # a collection above the organisations, with a README of its own or one of theirs
        (["hub", "hub/orgx/a", "hub/orgy/b"], ["orgx/a", "orgy/b"]),
        (["hub/orgx", "hub/orgx/a", "hub/orgy/b"], ["orgx/a", "orgy/b"]),
        # what lies below a model belongs to it
        (["orgx/a", "orgx/a/onnx", "orgx/b"], ["orgx/a", "orgx/b"]),
        (["orgx", "orgx/a", "orgx/a/onnx", "orgx/b"], ["orgx/a", "orgx/b"]),
        (["a", "a/onnx", "b"], ["a", "b"]),
        (["a", "a/config.json", "a/onnx"], ["a"]),
        (["orgx/a", "orgx/a/0123abc", "orgx/b/0123abc"], ["orgx/a", "orgx/b"]),
        # pages named after their models
        (["orgx", "orgx/a.md", "orgx/b.md", "orgy/c.md"], ["orgx/a", "orgx/b", "orgy/c"]),
        (["orgx/a", "orgx/a/CHANGES.md", "orgx/b"], ["orgx/a", "orgx/b"]),
    ],
)
def test_F03_readmes_of_organisations_and_of_parts(tmp_path, paths, right):
    cards = cl.read_cards(tree(tmp_path, *paths))
    assert sorted(cards["id"]) == right
    # what is taken as a part of a card, for want of a model's files beside it, is told
    parts = "onnx" in " ".join(paths) and "config.json" not in " ".join(paths)
    assert ("passed_over" in cl.problems(cards)["problem"]) == (parts or "/0123abc" in paths[1])


def test_F03_a_models_own_folder_with_parts(tmp_path):
    folder = tree(tmp_path, "org/name", "org/name/config.json", "org/name/onnx") / "org/name"
    assert ids(folder) == ["org/name"]


def test_F05_names_that_are_not_utf8(tmp_path):
    for name in (b"o/\xff\xfe", b"\xe9org/c"):
        odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        odd.mkdir(parents=True)
        (odd / "README.md").write_text("---\nlicense: mit\n---\n# odd")
    tree(tmp_path, "o/b")
    cards = cl.read_cards(tmp_path)
    assert sorted(cards["id"]) == ["o/b", "o/\ufffd\ufffd", "\ufffdorg/c"]
    assert cards["text"].null_count() == 0
    odd_ids = [("o/\ufffd\ufffd", "id", "not_utf8"), ("\ufffdorg/c", "id", "not_utf8")]
    assert sorted(found(cards)) == odd_ids
    assert corpus_hash(tmp_path) is not None
    shard = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jsonl"))
    shard.write_text('{"id": "o/a"}')
    assert ids(shard) == ["o/a"]
    missing = refused(Path(os.fsdecode(b"/nowhere/\xff.parquet")))
    missing.encode()  # an error that can be shown


def test_F05_half_characters_in_records(tmp_path):
    """JSON can hold halves of characters, which no column of text can."""
    line = '{"id": "o/a", "text": "x\\ud83d", "tags": ["\\udc00"], "ok": "\\ud83d\\ude00"}'
    path = write(tmp_path, {"x.jsonl": line, "x.json": f"[{line}]"}) / "x.jsonl"
    for source in (path, path.with_suffix(".json"), [json.loads(line)]):
        card = cl.read_cards(source).row(0, named=True)
        assert (card["text"], card["tags"], card["ok"]) == ("x\ufffd", ["\ufffd"], "\U0001f600")
        assert [p["column"] for p in card["problems"]] == ["text", "tags"]


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n"


def test_F06_git_lfs_pointers_are_no_cards(tmp_path):
    write(tmp_path, {"o/a/README.md": POINTER, "o/b/README.md": "about " + POINTER})
    listed = pl.DataFrame({"id": ["o/a", "o/b"], "card": [POINTER, "about " + POINTER]})
    bodies = listed.rename({"card": "text"})
    for source in (tmp_path, listed, bodies, listed.to_dicts()):
        cards = cl.read_cards(source).sort("id")
        assert cards["text"].to_list() == [None, "about " + POINTER]
        assert found(cards) == [("o/a", "text", "lfs_pointer")]
        assert cl.read_cards(source, on_error="skip")["id"].to_list() == ["o/b"]
    for ending in ("parquet", "csv", "jsonl", "json", "arrow"):
        assert "git lfs pull" in refused(write(tmp_path, {f"x.{ending}": POINTER}) / f"x.{ending}")


def test_F07_the_cache_holds_more_than_models(tmp_path):
    hub = tmp_path / "hub"
    kinds = ("models--o--m", "datasets--o--d", "spaces--o--s")
    tree(hub, *(f"{kind}/snapshots/abc1234" for kind in kinds))
    with pytest.warns(UserWarning, match=r"left out: 1 of datasets and 1 of spaces"):
        assert ids(hub) == ["o/m"]
    # what is named is read: one repository, its snapshots, a revision
    for kind, name in zip(kinds, ("o/m", "o/d", "o/s"), strict=True):
        for below in (".", "snapshots", "snapshots/abc1234"):
            cards = cl.read_cards(hub / kind / below)
            assert cards.select("id", "sha").rows() == [(name, "abc1234")]
    tree(tmp_path / "sets", "datasets--o--d/snapshots/a1", "datasets--p/snapshots/a2")
    assert ids(tmp_path / "sets") == ["o/d", "p"]
    # parts of a model, and what has no card
    tree(hub, "models--o--m/snapshots/abc1234/onnx", "models--o--n/snapshots/abc1234/onnx")
    with pytest.warns(UserWarning, match="left out"):
        assert ids(hub) == ["o/m"]


# ---------------------------------------------------------------------------------------- encodings

LATIN = {
    "csv": b"id,text\no/a,caf\xe9\no/b,caf\xc3\xa9\n",
    "tsv": b"id\ttext\no/a\tcaf\xe9\no/b\tcaf\xc3\xa9\n",
    "jsonl": b'{"id":"o/a","text":"caf\xe9"}\n{"id":"o/b","text":"caf\xc3\xa9"}\n',
    "json": b'[{"id":"o/a","text":"caf\xe9"},{"id":"o/b","text":"caf\xc3\xa9"}]',
}


@pytest.mark.parametrize("ending", LATIN)
def test_F12_bytes_that_are_not_utf8_are_listed(tmp_path, ending):
    names = {f"x.{ending}": LATIN[ending], f"x.{ending}.gz": gzip.compress(LATIN[ending])}
    for name in names:
        cards = cl.read_cards(write(tmp_path, names) / name)
        assert cards.select("id", "text").rows() == [("o/a", "caf\ufffd"), ("o/b", "café")]
        assert found(cards) == [("o/a", "text", "not_utf8")]
        assert cl.read_cards(tmp_path / name, on_error="skip")["id"].to_list() == ["o/b"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("ending", LATIN)
def test_F12_other_encodings_are_read(tmp_path, ending, encoding):
    text = LATIN[ending].replace(b"\xe9", b"\xc3\xa9").decode().replace("café", "café 日本\u2028")
    path = write(tmp_path, {f"x.{ending}": text.encode(encoding)}) / f"x.{ending}"
    cards = cl.read_cards(path)
    assert cards["id"].to_list() == ["o/a", "o/b"]
    assert set(cards["text"]) == {"café 日本\u2028"}
    assert found(cards) == []


def test_F12_cards_in_other_encodings(tmp_path):
    text = "---\nlicense: mit\n---\n# café\n"
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le"):
        write(tmp_path, {f"o/{encoding}/README.md": text.encode(encoding)})
    cards = cl.read_cards(tmp_path)
    assert cards["license"].to_list() == [["mit"]] * 3
    assert set(cards["text"]) == {"# café\n"}
    assert found(cards) == []
    write(tmp_path, {"o/half/README.md": text.encode("utf-16")[:-1], "o/b/README.md": b"\0\xff"})
    assert {*found(cl.read_cards(tmp_path))} >= {("o/half", "text", "not_utf8")}


def test_F12_a_replacement_that_was_written_is_no_problem(tmp_path):
    write(tmp_path, {"x.csv": "id,text\no/a,caf\ufffd\n", "x.jsonl": '{"id":"a","text":"\ufffd"}'})
    for name in ("x.csv", "x.jsonl"):
        assert found(cl.read_cards(tmp_path / name)) == []


# ----------------------------------------------------------------------------------- shapes of JSON


@pytest.mark.parametrize("orient", ["columns", "index", "records", "split", "table"])
@pytest.mark.parametrize("name", ["id", "modelId"])
def test_F13_what_pandas_writes(tmp_path, orient, name):
    frame = pd.DataFrame({name: ["org/a", "org/b"], "tags": [["x"], ["y"]], "n": [1, 2]})
    frame.to_json(tmp_path / "x.json", orient=orient)
    cards = cl.read_cards(tmp_path / "x.json")
    assert cards.select("id", "author", "tags", "n").rows() == [
        ("org/a", "org", ["x"], 1),
        ("org/b", "org", ["y"], 2),
    ]
    if orient != "split":
        return
    frame.to_json(tmp_path / "y.json", orient="records", lines=True)
    assert ids(tmp_path / "y.json") == ["org/a", "org/b"]
    frame.to_json(tmp_path / "z.json", orient="values")
    assert "no column `id`" in refused(tmp_path / "z.json")


@pytest.mark.parametrize(
    "text",
    [
        '{"id": ["o/a", "o/b"], "tags": [["x"], ["y"]]}',
        '{"models": [{"id": "o/a", "tags": ["x"]}, {"id": "o/b", "tags": ["y"]}], "total": 2}',
        '{"o/a": {"tags": ["x"]}, "o/b": {"tags": ["y"]}}',
        '{"id": "o/a", "tags": ["x"]}\n{"id": "o/b", "tags": ["y"]}\n',
        '[\n{"id": "o/a", "tags": ["x"]},\n{"id": "o/b", "tags": ["y"]}\n]',
        '{"features": [{"name": "id"}], "rows": [{"n": 0, "row": {"id": "o/a", "tags": ["x"]}},'
        '{"n": 1, "row": {"id": "o/b", "tags": ["y"]}}]}',
    ],
    ids=["columns", "list inside", "by id", "lines", "document", "viewer's rows"],
)
def test_F13_other_shapes_of_json(tmp_path, text):
    rows = [("o/a", ["x"]), ("o/b", ["y"])]
    write(tmp_path, {"x.json": text, "x.jsonl": text})
    assert cl.read_cards(tmp_path / "x.json").select("id", "tags").rows() == rows
    if "\n" in text:
        assert cl.read_cards(tmp_path / "x.jsonl").select("id", "tags").rows() == rows


def test_F13_columns_of_different_lengths_are_refused(tmp_path):
    columns = {"id": ["o/a", "o/b"], "tags": [["x"]]}
    path = write(tmp_path, {"x.json": json.dumps(columns)}) / "x.json"
    for source in (columns, path):
        assert "2 values of 'id', but 1 of 'tags'" in refused(source)


# ------------------------------------------------------------------------------------------ memory


@pytest.mark.parametrize(
    "source",
    [
        pd.DataFrame({"id": ["o/a"]})["id"],
        pl.Series("id", ["o/a"]),
        pa.chunked_array([["o/a"]]),
        pa.array(["o/a"]),
        np.array([1, 2]),
        b"cards.parquet",
        3,
        None,
        [1, 2],
        [object()],
        {},
        [],
        iter(()),
        len,
    ],
    ids=lambda source: type(source).__name__,
)
def test_F35_what_is_no_corpus_is_refused_by_name(source):
    message = refused(source)
    assert "Read a source first" not in message
    assert "Accepted" in message or "no cards" in message or "no column `id`" in message


def test_F35_an_open_file(tmp_path):
    with (write(tmp_path, {"x.csv": "id\no/a\n"}) / "x.csv").open() as opened:
        assert "an open file" in refused(opened)


TYPES = {
    "extra": (1, [1]),
    "day": (dt.date(2024, 1, 1), "soon"),
    "nest": ({"a": 1}, "x"),
    "deep": ([1], [["x"]]),
    "flag": (True, "yes"),
    "when": (dt.datetime(2024, 1, 1), 5),
}


@pytest.mark.parametrize("kind", ["parquet", "ipc", "ndjson", "memory"])
def test_F37_columns_of_two_types_in_shards(tmp_path, kind):
    shards = [
        pl.DataFrame({"id": ["o/" + "ab"[n]], **{k: [v[n]] for k, v in TYPES.items()}})
        for n in (0, 1)
    ]
    source: Any = shards
    if kind != "memory":
        ending = {"ipc": "arrow", "ndjson": "jsonl"}.get(kind, kind)
        for number, shard in enumerate(shards):
            getattr(shard, f"write_{kind}")(tmp_path / f"{number}.{ending}")
        source = tmp_path
    cards = cl.read_cards(source).sort("id")
    assert cards["extra"].to_list() == ["1", "[1]"]
    assert [json.loads(x) for x in cards["deep"]] == [[1], [["x"]]]
    assert json.loads(cards["nest"][0]) == {"a": 1}
    assert cards["flag"].to_list() == ["true", "yes"]
    assert cards.columns[-1] == "problems"
    assert all(cards[name].null_count() == 0 for name in TYPES)


def test_F37_numbers_stay_numbers():
    frames = [
        pl.DataFrame({"id": ["a"], "x": [1], "v": [[1.5]]}),
        pl.DataFrame({"id": ["b"], "x": [2.5]}),
    ]
    cards = cl.read_cards([*frames, pl.DataFrame({"id": ["c"], "x": [None]})])
    assert cards["x"].to_list() == [1.0, 2.5, None]
    assert cards["v"].to_list() == [[1.5], None, None]


# ---------------------------------------------------------------------------- what librarians hold


class CardData:
    """The shape of ``huggingface_hub.ModelCardData``: an object that gives a dictionary."""

    def __init__(self, **known: Any) -> None:
        self.license, self.language, self.base_model = None, None, None
        self.__dict__.update(known)

    def to_dict(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if value is not None}


@dataclass
class Lfs(dict):
    size: int = 1

    def __post_init__(self) -> None:
        self.update(size=self.size)


@dataclass
class Sibling:
    rfilename: str
    lfs: Lfs | None = None


@dataclass
class SafeTensors:
    parameters: dict[str, int]
    total: int


@dataclass
class ModelInfo:
    """The shape of ``huggingface_hub.ModelInfo``: fields, objects inside, older names beside."""

    id: str
    author: str | None = None
    sha: str | None = "0123abc"
    created_at: dt.datetime | None = HUB_FLOOR
    last_modified: dt.datetime | None = None
    private: bool = False
    gated: bool | str | None = False
    downloads: int = 7
    tags: list[str] | None = field(default_factory=lambda: ["license:mit", "x"])
    pipeline_tag: str | None = None
    card_data: CardData | None = None
    siblings: list[Sibling] | None = None
    safetensors: SafeTensors | None = None
    config: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.lastModified, self.cardData = self.last_modified, self.card_data
        self._private = "not a field"


def model_infos() -> list[ModelInfo]:
    data = CardData(license="mit", language=["en", "de"], base_model="o/p")
    parts = {"siblings": [Sibling("README.md"), Sibling("w.bin", Lfs(5))]}
    full = ModelInfo("o/a", "o", card_data=data, safetensors=SafeTensors({"F32": 9}, 9), **parts)
    return [full, ModelInfo("o/b", gated="auto", created_at=None, tags=None)]


@pytest.mark.parametrize(
    "give",
    [list, tuple, iter, lambda infos: (info for info in infos), lambda infos: {"x": 1} and infos],
    ids=["list", "tuple", "iterator", "generator", "as they are"],
)
def test_U01_records_of_the_hubs_client(give):
    cards = cl.read_cards(give(model_infos()))
    first, second = cards.to_dicts()
    assert (first["id"], first["author"], first["license"]) == ("o/a", "o", ["mit"])
    assert (first["created_at"], second["created_at"]) == (HUB_FLOOR, None)
    assert (first["languages"], first["downloads"]) == (["en", "de"], 7)
    assert json.loads(first["metadata"])["base_model"] == "o/p"
    siblings = [{"rfilename": "README.md"}, {"rfilename": "w.bin", "lfs": {"size": 5}}]
    assert json.loads(first["siblings"]) == siblings
    assert json.loads(first["safetensors"]) == {"parameters": {"F32": 9}, "total": 9}
    assert (second["tags"], second["gated"], second["metadata"]) == (None, "auto", None)
    assert "_private" not in cards.columns
    assert "bad_date" not in cl.problems(cards)["problem"]
    assert ids(model_infos()[0]) == ["o/a"]


class Split:
    """The shape of ``datasets.Dataset``: a table of Arrow, features, items."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.data = type("Table", (), {"table": frame.to_arrow()})()
        self.features, self._indices = {}, None

    def with_format(self, kind: str) -> Split:
        return self

    def __getitem__(self, rows: Any) -> pa.Table:
        return self.data.table

    def __iter__(self) -> Any:
        return iter(self.data.table.to_pylist())


class Stream:
    """The shape of ``datasets.IterableDataset``: rows one after the other, no items."""

    features = None

    def __init__(self, frame: pl.DataFrame) -> None:
        self.rows = frame.to_dicts()

    def with_format(self, kind: str) -> Stream:
        return self

    def __iter__(self) -> Any:
        yield from self.rows


@dataclass(slots=True)
class Slots:
    id: str
    tags: list[str]


class Splits(dict):
    """The shape of ``datasets.DatasetDict``."""


A, B = (
    pl.DataFrame({"id": ["o/a"], "tags": [["x"]]}),
    pl.DataFrame({"id": ["o/b"], "tags": [["y"]]}),
)
BOTH = pl.concat([A, B])


@pytest.mark.parametrize(
    "give",
    [
        lambda _: Splits(train=Split(A), test=Split(B)),
        lambda _: {"train": A, "test": B.lazy()},
        lambda _: {"train": Stream(A), "test": Stream(B)},
        lambda _: Stream(BOTH),
        lambda _: BOTH.to_pandas().itertuples(),
        lambda _: {"o/a": SimpleNamespace(id="o/a", tags=["x"]), 2: Slots("o/b", ["y"])},
        lambda _: Split(BOTH),
        lambda _: BOTH.to_dict(as_series=False),
        lambda _: BOTH.to_dict(),
        lambda _: {"id": np.array(["o/a", "o/b"]), "tags": [["x"], ["y"]]},
        lambda _: iter(BOTH.to_dicts()),
        lambda _: map(dict, BOTH.to_dicts()),
        lambda _: {1: BOTH.to_dicts()[0], 2: BOTH.to_dicts()[1]}.values(),
        lambda _: (frame for frame in (A, B)),
        lambda _: [A.to_dicts(), B.to_dicts()],
        lambda folder: sorted(folder.glob("*.parquet")),
        lambda folder: (str(path) for path in sorted(folder.glob("*.parquet"))),
        lambda folder: [folder / "a.parquet", B],
        lambda folder: {"train": folder / "a.parquet", "test": folder / "b.parquet"},
    ],
)
def test_U01_whatever_holds_cards(tmp_path, give):
    A.write_parquet(tmp_path / "a.parquet")
    B.write_parquet(tmp_path / "b.parquet")
    cards = cl.read_cards(give(tmp_path))
    assert cards.select("id", "tags").rows() == [("o/a", ["x"]), ("o/b", ["y"])]


def test_U01_paths_of_cards_one_by_one(tmp_path):
    tree(tmp_path, "o/a", "o/b", "p/c")
    assert ids(tmp_path.rglob("README.md")) == ["o/a", "o/b", "p/c"]


#: Analyses that are not at the top, and take sources all the same.
MOVED = (
    *("cluster_agreement", "compare_ids", "length_histogram", "length_outliers"),
    *("length_relation", "map_points", "shared_vectors", "unmapped_headings"),
)
#: What some analyses need beside the cards.
NEEDED: dict[str, dict[str, Any]] = {
    "cluster_agreement": {"labels": np.arange(80) % 2},
    "cluster_keywords": {"labels": np.arange(80) % 2},
    "cluster_summary": {"labels": np.arange(80) % 2},
    "compare_values": {"column": "tags"},
    "crosstab": {"rows": "license", "columns": "pipeline_tag"},
    "map_points": {"x": np.random.default_rng(0).normal(size=(80, 4))},
    "search": {"query": "speech"},
    "share_trends": {"column": "license"},
}


def takers() -> list[str]:
    """The public functions that take cards, found by the names of their parameters."""
    functions = ((name, public(name)) for name in (*cl.__all__, *MOVED))
    return [
        name
        for name, function in functions
        if inspect.isfunction(function)
        and next(iter(inspect.signature(function).parameters), "") in ("cards", "a")
    ]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "cards.parquet"
    cards = cl.make_cards(80, embedding_dim=8, random_state=5)
    cards = cards.select(pl.col(*(name for name in schema.COLUMNS if name in cards.columns)))
    vectors = pl.col("embeddings").cast(schema.COLUMNS["embeddings"])
    cl.read_cards(cards.with_columns(vectors)).write_parquet(path)
    return path


def outcome(name: str, give: Any) -> Any:
    """What a function gives for cards from a source, or why it gives nothing."""
    function = public(name)
    frames = [n for n in inspect.signature(function).parameters if n in ("cards", "a", "b")]
    try:
        given = function(*(give() for _ in frames), **NEEDED.get(name, {}))
    except cl.CardlabError as error:
        return type(error), str(error)
    return given.collect() if isinstance(given, pl.LazyFrame) else given


@pytest.mark.parametrize("name", takers())
def test_U01_every_analysis_takes_what_scan_cards_takes(name, corpus):
    frame = cl.read_cards(corpus)
    with_cards = outcome(name, lambda: frame)
    assert with_cards is not None or name == "provenance"
    for give in (lambda: str(corpus), lambda: corpus, lambda: iter(frame.to_dicts())):
        given = outcome(name, give)
        if isinstance(with_cards, pl.DataFrame):
            assert given.equals(with_cards, null_equal=True)
        elif isinstance(with_cards, np.ndarray):
            assert np.allclose(given, with_cards, equal_nan=True)
        else:
            assert repr(given) == repr(with_cards)


def test_U01_the_list_of_analyses_is_whole():
    assert len(takers()) >= 45
    assert {"tag_counts", "compare", "with_licenses", "search", "embed", "vectors"} <= {*takers()}
    assert cl.CardBrowser(BOTH.to_dicts()).selection.collect().height == 2
    assert pickle.loads(pickle.dumps(cl.tag_counts)) is cl.tag_counts
    with pytest.raises(cl.SourceError, match="no such file or folder"):
        cl.tag_counts("cards.parquet")
    with pytest.raises(cl.SourceError, match="int is no source of cards"):
        cl.with_licenses(3)


# ------------------------------------------------------------------------ tables as they are passed


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["csv", "tsv", "csv.gz", "csv.bz2", "csv.zst", "csv.lz4"])
def test_U09_separators_and_compression(tmp_path, separator, ending):
    frame = pl.DataFrame(
        {"id": ["o/a", "o/b"], "text": ["a, b; c|d\te", "two\nlines"], "n": [1, 2]}
    )
    text = frame.write_csv(separator=separator)
    path = tmp_path / f"x.{ending}"
    with (
        pa.CompressedOutputStream(str(path), codec(ending))
        if "." in ending
        else path.open("wb") as f
    ):
        f.write(text.encode())
    cards = cl.read_cards(path)
    assert cards.select("id", "text", "n").rows() == frame.rows()
    assert cl.read_cards(tmp_path)["id"].to_list() == ["o/a", "o/b"]
    path.write_bytes(path.read_bytes()[:-10])  # cut off: never fewer rows in silence
    if "." in ending:
        assert "cannot be read as CSV" in refused(path)


def codec(ending: str) -> str:
    return {"gz": "gzip", "bz2": "bz2", "zst": "zstd", "lz4": "lz4"}[ending.rsplit(".")[-1]]


@pytest.mark.parametrize("ending", ["jsonl.gz", "json.gz", "ndjson.zst", "jsonl.bz2", "json.lz4"])
def test_U09_compressed_json(tmp_path, ending):
    rows = [{"id": f"o/{number}"} for number in range(10_001)]
    text = json.dumps(rows) if ending.startswith("json.") else "\n".join(map(json.dumps, rows))
    with pa.CompressedOutputStream(str(tmp_path / f"x.{ending}"), codec(ending)) as f:
        f.write(text.encode())
    assert cl.read_cards(tmp_path / f"x.{ending}").height == 10_001
    assert cl.read_cards(f"{tmp_path}/*.{ending}").height == 10_001


def test_U09_what_spreadsheets_write(tmp_path):
    text = 'sep=;\r\nid;tags;text\r\n"o/a";"x;y";"say ""hi"""\r\no/b;;\r\n'
    cards = cl.read_cards(write(tmp_path, {"x.csv": text}) / "x.csv")
    assert cards.select("id", "tags", "text").rows() == [
        ("o/a", ["x", "y"], 'say "hi"'),
        ("o/b", None, None),
    ]
    old_mac = write(tmp_path, {"y.csv": "id,text\ro/a,x\ro/b,y\r"}) / "y.csv"
    assert cl.read_cards(old_mac).select("id", "text").rows() == [("o/a", "x"), ("o/b", "y")]


def test_U09_rows_with_too_few_or_too_many_fields(tmp_path):
    text = "id,text,n\no/a,x,1\no/b,y\n\no/c,z,3,4\no/d,caf\xe9,5\n".encode("latin-1")
    cards = cl.read_cards(write(tmp_path, {"x.csv": text}) / "x.csv")
    assert cards.select("id", "text", "n").rows() == [
        *(("o/a", "x", 1), ("o/b", "y", None), ("o/c", "z", 3), ("o/d", "caf\ufffd", 5)),
    ]
    told = cl.problems(cards)
    assert told.select("id", "problem").rows() == [
        *(("o/b", "bad_row"), ("o/c", "bad_row"), ("o/d", "not_utf8")),
    ]
    assert "line 3: 2 fields, the header has 3" in told["detail"][0]
    assert "['4']" in told["detail"][1]
    # a quote inside a field that is not quoted is a character; one that never ends takes all rows
    text = 'id,text\no/a,5" screen\no/b,x\n'
    path = write(tmp_path, {"y.csv": text}) / "y.csv"
    assert cl.read_cards(path)["text"].to_list() == ['5" screen', "x"]
    path.write_text('id,text\no/a,"x\no/b,y\no/c,z\n')
    assert "a quote too many" in refused(path)


@pytest.mark.parametrize("kind", ["parquet", "csv", "ipc", "ndjson"])
def test_U09_folders_named_after_columns(tmp_path, kind):
    for license, year, name in (("mit", "2023", "o/a"), ("other%2Fx", "2024", "o/b")):
        folder = tmp_path / f"license={license}" / f"year={year}"
        folder.mkdir(parents=True)
        ending = {"ipc": "arrow", "ndjson": "jsonl"}.get(kind, kind)
        getattr(pl.DataFrame({"id": [name], "tags": ["x"]}), f"write_{kind}")(
            folder / f"0.{ending}"
        )
    null = tmp_path / "license=__HIVE_DEFAULT_PARTITION__" / "year=2024"
    null.mkdir(parents=True)
    getattr(pl.DataFrame({"id": ["o/c"], "tags": ["x"]}), f"write_{kind}")(null / f"0.{ending}")
    for source in (tmp_path, f"{tmp_path}/*/*/*.{ending}"):
        cards = cl.read_cards(source).sort("id")
        assert cards["license"].to_list() == [["mit"], ["other/x"], []]  # the last by its tags
        assert cards["year"].to_list() == ["2023", "2024", "2024"]
    assert "year" not in cl.read_cards(null / f"0.{ending}").columns


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.text('ab,;"\n\r\té', max_size=5), min_size=2, max_size=3), max_size=5))
def test_U09_any_csv_has_the_rows_that_python_finds(tmp_path_factory, rows):
    """Whatever the fields and however many: each row is there, and is told if it is not regular."""
    text = io.StringIO()
    csv.writer(text).writerows([["id", "a", "b"], *rows])
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    path.write_bytes(text.getvalue().encode())
    cards = cl.read_cards(path)
    assert cards["id"].fill_null("").to_list() == [row[0].strip() for row in rows]
    bad = cl.problems(cards).filter(problem="bad_row").height
    assert bad == sum(len(row) != 3 for row in rows)


# ------------------------------------------------------------------------------------------- dates

DATES = {
    "2022-03-02T23:29:04.000Z": HUB_FLOOR,
    "2022-03-02T23:29Z": HUB_FLOOR.replace(second=0),
    "2022-03-02t23:29:04z": HUB_FLOOR,
    "2022-03-03T00:29:04+0100": HUB_FLOOR,
    "2022-03-03 00:29:04 +01:00": HUB_FLOOR,
    "2022-03-02 23:29:04 UTC": HUB_FLOOR,
    "20220302T232904Z": HUB_FLOOR,
    "20220302": dt.datetime(2022, 3, 2, tzinfo=UTC),
    "20220302232904": HUB_FLOOR,
    "2022/03/02": dt.datetime(2022, 3, 2, tzinfo=UTC),
    "1646263744": HUB_FLOOR,
    "1646263744000": HUB_FLOOR,
    "1646263744000000": HUB_FLOOR,
    "1646263744000000000": HUB_FLOOR,
    "1646263744.0": HUB_FLOOR,
    "1.646263744e+12": HUB_FLOOR,
    "Wed, 02 Mar 2022 23:29:04 GMT": HUB_FLOOR,
    "0001-01-01": dt.datetime(1, 1, 1, tzinfo=UTC),
    "9999-12-31": dt.datetime(9999, 12, 31, tzinfo=UTC),
}
NO_DATES = ["0", "12", "2022", "20221301", "never", "0001-01-01T00:00:00+02:00", "9" * 400, "02/03"]


def test_U09_dates_as_they_are_written(tmp_path):
    written = [*DATES, *NO_DATES, None, " "]
    ids = [f"o/{number}" for number in range(len(written))]
    cards = cl.read_cards(pl.DataFrame({"id": ids, "createdAt": written}))
    assert cards["created_at"].to_list() == [DATES.get(text) for text in written]
    bad = cl.problems(cards).filter(problem="bad_date")
    assert bad["id"].to_list() == [f"o/{len(DATES) + n}" for n in range(len(NO_DATES))]
    for text, detail in zip(NO_DATES, bad["detail"], strict=True):
        assert text[:100] in detail
    path = tmp_path / "dates.csv"
    pl.DataFrame({"id": ids, "createdAt": written}).write_csv(path)
    assert cl.read_cards(path)["created_at"].equals(cards["created_at"], null_equal=True)


def test_U09_dates_as_numbers(tmp_path):
    """Seconds, milliseconds (pandas), microseconds, nanoseconds and written days, per type."""
    for numbers in ([1646263744, 0], [1646263744 * 10**3, 7], [1646263744 * 10**9, 2022]):
        records = [{"id": "o/a", "createdAt": numbers[0]}, {"id": "o/b", "createdAt": numbers[1]}]
        path = tmp_path / "dates.jsonl"
        path.write_text("\n".join(map(json.dumps, records)))
        sources = [
            records,
            path,
            pl.DataFrame(records),
            pl.DataFrame(records).cast({"createdAt": pl.Float64}),
        ]
        for source in sources:
            cards = cl.read_cards(source)
            assert cards["created_at"].to_list() == [HUB_FLOOR, None], (numbers, source)
            assert found(cards) == [("o/b", "created_at", "bad_date")]
    floats = pl.DataFrame({"id": ["o/a", "o/b"], "createdAt": [1646263744.0, float("nan")]})
    assert found(cl.read_cards(floats)) == []
    days = cl.read_cards(pl.DataFrame({"id": ["o/a"], "createdAt": [20220302]}))
    assert days["created_at"].to_list() == [dt.datetime(2022, 3, 2, tzinfo=UTC)]
