"""Tables as they are passed around, 20 rows each with the names that their makers gave.

What is read of them is held against plain Python on the same rows, and every column of theirs has
to be somewhere.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pytest
from in_process import export

import cardlab as cl
from cardlab.schema import SCHEMAS, canonical_name

RELATIONS = ("finetune", "adapter", "merge", "quantized")
GB = 2**30


@dataclass
class Model:
    """One repository, as all schemas are written from it."""

    n: int
    id: str
    license: str | None
    languages: list[str]
    created: dt.datetime
    parents: dict[str, list[str]]
    body: str
    formats: list[str]
    parameters: int | None
    tags: list[str] = field(default_factory=list)

    @property
    def front(self) -> dict[str, Any]:
        said = {"license": self.license, "language": self.languages, "tags": ["free"]}
        return {key: value for key, value in said.items() if value}

    @property
    def card(self) -> str:
        return f"---\n{json.dumps(self.front)}\n---\n{self.body}"

    @property
    def when(self) -> str:
        return self.created.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def model(n: int, *, prefix: str = "") -> Model:
    name = [f"o{k % 4}/m{k}" for k in range(20)]
    relation = RELATIONS[n % 4]
    parents = {relation: [name[n - 12], "far/away"][: 1 + n % 2]} if n >= 12 else {}
    made = Model(
        n,
        name[n],
        ("mit", "apache-2.0", None, "cc-by-4.0")[n % 4],
        ([], ["en"], ["de", "fr"])[n % 3],
        dt.datetime(2022 + n % 3, 5, 1 + n, 12, tzinfo=dt.UTC),
        parents,
        "# T\n\n" + "word " * (n + 1),
        sorted([["safetensors"], ["gguf", "pytorch"], []][n % 3]),
        1000 * n if n % 2 else None,
    )
    made.tags = ["free", *(prefix + code for code in made.languages)]
    made.tags += [f"license:{made.license}"] if made.license else []
    for how, ids in parents.items():
        made.tags += [f"base_model:{i}" for i in ids] + [f"base_model:{how}:{i}" for i in ids]
    return made


MODELS = [model(n) for n in range(20)]
SETS = [model(n, prefix="language:") for n in range(20)]
ENDS = {"safetensors": "a.safetensors", "gguf": "x/b.GGUF", "pytorch": "model.bin"}


def siblings(m: Model) -> list[str]:
    return ["README.md", "config.json", *(ENDS[name] for name in m.formats)]


def parents_of(m: Model) -> list[str]:
    return [i for ids in m.parents.values() for i in ids]


def base(m: Model) -> dict[str, Any] | None:
    for how, ids in m.parents.items():
        return {"relation": how, "models": [{"_id": f"x{i}", "id": i} for i in ids]}
    return None


def listing(m: Model) -> dict[str, Any]:
    return {
        "_id": f"621f{m.n}",
        "id": m.id,
        "author": m.id.split("/")[0],
        "createdAt": m.when,
        "lastModified": m.when,
        "downloads": m.n,
        "downloadsAllTime": 100 * m.n,
        "likes": 2 * m.n,
        "trendingScore": 0.5,
        "pipeline_tag": "text-generation",
        "library_name": "transformers",
        "tags": m.tags,
        "private": False,
    }


def hub_stats(folder: Any) -> Any:
    rows = [
        listing(m)
        | {
            "cardData": json.dumps(m.front),
            "gated": ["False", "auto"][m.n % 2],
            "siblings": [{"rfilename": name} for name in siblings(m)],
            "baseModels": base(m),
            "safetensors": m.parameters and {"parameters": {"F32": 1}, "total": m.parameters},
            "gguf": None,
        }
        for m in MODELS
    ]
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(folder / "models.parquet")
    return folder / "models.parquet"


def weekly(folder: Any) -> Any:
    rows = [
        listing(m)
        | {
            "cardData": m.front,
            "siblings": siblings(m),
            "baseModels": json.dumps(base(m)) if m.parents else None,
            "safetensors": json.dumps({"parameters": {"I8": 1}, "total": m.parameters}),
            "gguf": None,
        }
        for m in MODELS
    ]
    (folder / "w").mkdir()
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(folder / "w" / "models.parquet")
    return folder / "w"


def hub_stats_sets(folder: Any) -> Any:
    rows = [
        {key: value for key, value in listing(m).items() if key not in ("pipeline_tag",)}
        | {"cardData": json.dumps(m.front), "description": "d", "mainSize": m.n * GB, "key": ""}
        for m in SETS
    ]
    pl.DataFrame(rows).drop("library_name").write_parquet(folder / "datasets.parquet")
    return folder / "datasets.parquet"


def api(folder: Any) -> Any:
    rows = [
        listing(m)
        | {
            "modelId": m.id,
            "sha": "ab",
            "gated": ["auto", False][m.n % 2],
            "cardData": m.front,
            "siblings": [{"rfilename": name} for name in siblings(m)],
            "usedStorage": m.n * GB,
            "model-index": [{"name": "x", "results": []}] if m.n == 3 else None,
            **({"safetensors": {"total": m.parameters}} if m.parameters else {}),
            **({"baseModels": base(m)} if m.parents else {}),
        }
        for m in MODELS
    ]
    (folder / "models.json").write_text(json.dumps(rows), encoding="utf-8")
    return folder / "models.json"


def objects(folder: Any) -> Any:
    class ModelInfo:
        def __init__(self, **fields: Any) -> None:
            vars(self).update(fields)

    class Sibling(ModelInfo):
        pass

    return [
        ModelInfo(
            id=m.id,
            author=m.id.split("/")[0],
            created_at=m.created,
            tags=m.tags,
            gated=["manual", False][m.n % 2],
            card_data=ModelInfo(**m.front),
            siblings=[Sibling(rfilename=name, size=None) for name in siblings(m)],
            safetensors=ModelInfo(parameters={"F32": 1}, total=m.parameters)
            if m.parameters
            else None,
            base_models=base(m),
            downloads_all_time=100 * m.n,
        )
        for m in MODELS
    ]


def librarian(folder: Any) -> Any:
    rows = [
        {
            "modelId": m.id,
            "author": m.id.split("/")[0],
            "last_modified": m.created,
            "downloads": m.n,
            "likes": 2 * m.n,
            "library_name": "transformers",
            "tags": m.tags,
            "pipeline_tag": "fill-mask",
            "createdAt": m.created,
            "card": m.card,
        }
        for m in MODELS
    ]
    pl.DataFrame(rows).write_parquet(folder / "cards.parquet")
    return folder / "cards.parquet"


def librarian_sets(folder: Any) -> Any:
    rows = [
        {
            "datasetId": m.id,
            "author": m.id.split("/")[0],
            "last_modified": m.created,
            "downloads": m.n,
            "likes": 2 * m.n,
            "tags": m.tags,
            "task_categories": ["question-answering"],
            "createdAt": m.created,
            "card": m.card,
        }
        for m in SETS
    ]
    pl.DataFrame(rows).write_parquet(folder / "sets.parquet")
    return folder / "sets.parquet"


def ecosystem(folder: Any) -> Any:
    rows = [
        {
            "model_id": m.id,
            "likes": m.n,
            "trendingScore": 0.0,
            "private": False,
            "downloads": m.n,
            "tags": str(m.tags),
            "pipeline_tag": "text-generation",
            "library_name": "transformers",
            "createdAt": m.when,
            "regions": "['us']",
            "licenses": str([m.license] if m.license else []),
            "arxiv_papers": "['2501.00001']",
            "datasets": "[]",
            "parent_model": str(parents_of(m)),
            **{f"{how}_parent": str(m.parents.get(how, [])) for how in RELATIONS},
            "languages": str(m.languages),
            "modelCard": m.card,
            "ratelimit_retries": 0.0,
            "exception_raised": None,
        }
        for m in MODELS
    ]
    pl.DataFrame(rows).write_csv(folder / "ecosystem.csv")
    return folder / "ecosystem.csv"


def tree(folder: Any) -> Any:
    record = lambda m: {  # noqa: E731
        **{k: v for k, v in listing(m).items() if k not in ("_id", "downloadsAllTime")},
        "modelId": m.id,
        "tags": [tag for tag in m.tags if not tag.startswith("base_model")],
        "card_data": "\n".join(f"{k}: {json.dumps(v)}" for k, v in m.front.items()),
        "safetensors": {"parameters": {"F32": 1}, "total": m.parameters} if m.parameters else None,
        "siblings": [f"RepoSibling(rfilename='{name}', size=None)" for name in siblings(m)],
        "usedStorage": m.n * GB,
    }
    made = {"finetune": "children", "adapter": "adapters", "quantized": "quantized"}
    made["merge"] = "merges"
    rows = []
    for m in MODELS:
        below = {
            name: [f"https://huggingface.co/{c.id}" for c in MODELS if m.id in c.parents.get(h, ())]
            for h, name in made.items()
        }
        rows.append(
            {"": m.n, "model_id": m.id, "card": m.card, "metadata": json.dumps(record(m))}
            | {"depth": 0, **{name: str(ids) for name, ids in below.items()}}
            | {f"{name}_count": len(ids) for name, ids in below.items()}
        )
    pl.DataFrame(rows).write_csv(folder / "tree.csv")
    return folder / "tree.csv"


def community(folder: Any) -> Any:
    rows = [
        {
            "id": f"models/{m.id}",
            "name": m.id.split("/")[1],
            "type": "model",
            "author": m.id.split("/")[0],
            "sha": "ab",
            "last_modified": m.created.strftime("%Y-%m-%d %H:%M:%S"),
            "private": 0,
            "card_data": json.dumps(m.front),
            "gated": m.n % 2,
            "likes": m.n,
        }
        for m in MODELS
    ]
    with sqlite3.connect(folder / "hfc.db") as opened:
        names = list(rows[0])
        opened.execute(f"CREATE TABLE repository ({', '.join(names)})")
        opened.execute("CREATE TABLE tag (name)")
        marks = ", ".join("?" * len(names))
        opened.executemany(
            f"INSERT INTO repository VALUES ({marks})", [tuple(row.values()) for row in rows]
        )
    return f"{folder / 'hfc.db'}::repository"


def peatmoss(folder: Any) -> Any:
    rows = [
        {
            "context_id": m.id,
            "sha": "ab",
            "lastModified": m.when,
            "tags": ["free"],
            "author": m.id.split("/")[0],
            "framework": "bert",
            "library": "transformers",
            "likes": m.n,
            "downloads": m.n,
            "repo_url": f"https://huggingface.co/{m.id}",
            "datasets": None,
            "language": m.languages,
            "license": m.license,
            "paper": ["https://arxiv.org/abs/2501.00001"],
        }
        for m in MODELS
    ]
    (folder / "peatmoss.json").write_text(json.dumps(rows), encoding="utf-8")
    return folder / "peatmoss.json"


def peatmoss_table(folder: Any) -> Any:
    with sqlite3.connect(folder / "PeaTMOSS.db") as opened:
        opened.execute(
            "CREATE TABLE model (id INTEGER, context_id TEXT, sha TEXT, downloads INTEGER)"
        )
        opened.executemany(
            "INSERT INTO model VALUES (?, ?, 'ab', ?)", [(m.n, m.id, m.n) for m in MODELS]
        )
    return folder / "PeaTMOSS.db"


def torrent(folder: Any) -> Any:
    rows = [
        {
            "id": m.n,
            "LatestGitCommitSHA": "ab",
            "ModelHub": {"ModelHubName": "Hub", "ModelHubURL": "https://h"},
            "ModelName": m.id.split("/")[1],
            "ModelOwner": m.id.split("/")[0],
            "ModelURL": "https://h/m",
            "ModelOwnerURL": "https://h/o",
            "ModelPaperDOIs": [],
            "ModelTask": "image_classification",
        }
        for m in MODELS
    ]
    (folder / "torrent.json").write_text(json.dumps(rows), encoding="utf-8")
    return folder / "torrent.json"


def viewer(folder: Any) -> Any:
    rows = [
        {
            "row_idx": m.n,
            "row": {"modelId": m.id, "tags": m.tags, "createdAt": m.when, "card": m.card},
            "truncated_cells": [],
        }
        for m in MODELS
    ]
    page = {"features": [{"feature_idx": 0, "name": "modelId"}], "rows": rows, "partial": False}
    (folder / "rows.json").write_text(json.dumps(page), encoding="utf-8")
    return folder / "rows.json"


def kaggle(folder: Any) -> Any:
    rows = [
        {
            "Id": m.n,
            "OwnerUserId": 7,
            "CreationDate": m.created.strftime("%m/%d/%Y %H:%M:%S"),
            "TotalViews": m.n,
            "TotalDownloads": 100 * m.n,
            "TotalVotes": 2 * m.n,
            "CurrentSlug": m.id.split("/")[1],
            "LicenseName": m.license,
        }
        for m in MODELS
    ]
    pl.DataFrame(rows).write_csv(folder / "Models.csv")
    return folder / "Models.csv"


def modelscope(folder: Any) -> Any:
    rows = [
        {
            "Path": m.id.split("/")[0],
            "Name": m.id.split("/")[1],
            "ChineseName": "名",
            "CreatedTime": int(m.created.timestamp()),
            "LastUpdatedTime": int(m.created.timestamp()),
            "License": m.license,
            "Downloads": m.n,
        }
        for m in MODELS
    ]
    (folder / "modelscope.json").write_text(json.dumps(rows), encoding="utf-8")
    return folder / "modelscope.json"


def replication(folder: Any) -> Any:
    rows = [{"model": m.id, "downloads": m.n, "task": "fill-mask", "sha": "ab"} for m in MODELS]
    pl.DataFrame(rows).write_csv(folder / "downloads.csv")
    return folder / "downloads.csv"


def duck(folder: Any) -> Any:
    duckdb = pytest.importorskip("duckdb")
    frame = pl.read_parquet(librarian(folder))  # noqa: F841
    with duckdb.connect(str(folder / "hub.duckdb")) as opened:
        opened.execute("CREATE TABLE cards AS SELECT * FROM frame")
        opened.execute("CREATE TABLE other AS SELECT 1 AS x")
    return folder / "hub.duckdb"


ALL = {"license", "languages", "tags", "created", "parents", "lengths"}
NO_TEXT = ALL - {"lengths"}
CORPORA: dict[Callable[[Any], Any], tuple[set[str], list[Model]]] = {
    hub_stats: (NO_TEXT | {"formats", "parameters"}, MODELS),
    weekly: (NO_TEXT | {"formats", "parameters"}, MODELS),
    hub_stats_sets: (NO_TEXT - {"parents"}, SETS),
    api: (NO_TEXT | {"formats", "parameters"}, MODELS),
    objects: (NO_TEXT | {"formats", "parameters"}, MODELS),
    librarian: (ALL, MODELS),
    librarian_sets: (ALL - {"parents"}, SETS),
    ecosystem: (ALL, MODELS),
    tree: (ALL - {"tags"} | {"formats", "parameters"}, MODELS),
    community: ({"license", "languages"}, MODELS),
    peatmoss: ({"license", "languages"}, MODELS),
    peatmoss_table: (set(), MODELS),
    torrent: (set(), MODELS),
    viewer: (ALL, MODELS),
    kaggle: ({"license", "created"}, MODELS),
    modelscope: ({"license", "created"}, MODELS),
    replication: (set(), MODELS),
    duck: (ALL, MODELS),
}


def counted(frame: pl.DataFrame, name: str, n: str = "n_cards") -> dict[Any, int]:
    return {value: count for value, count in frame.select(name, n).iter_rows() if count}


def columns_of(source: Any) -> set[str]:
    if isinstance(source, list):
        return set(vars(source[0]))
    text = str(source)
    if "::" in text or text.endswith((".db", ".duckdb")):
        return set()  # a table's columns are told below
    if text.endswith(".csv"):
        return set(pl.read_csv(source).columns)
    if text.endswith(".json"):
        rows = json.loads(source.read_text("utf-8"))
        rows = [item["row"] for item in rows["rows"]] if isinstance(rows, dict) else rows
        return {key for row in rows for key in row}
    return set(pl.scan_parquet(source).collect_schema())


@pytest.mark.parametrize("write", CORPORA, ids=lambda write: write.__name__)
def test_a_schema_is_read_as_plain_python_reads_it(tmp_path, write):
    has, models = CORPORA[write]
    source = write(tmp_path)
    cards = cl.read_cards(source)
    ids = [str(m.n) if write is kaggle else m.id for m in models]
    assert cards["id"].to_list() == ids
    lost = cl.problems(cards).filter(~pl.col("problem").is_in(["guessed_column", "null_metadata"]))
    assert lost.filter(~pl.col("problem").str.contains("unknown|not_a_l")).rows() == []
    kept = {name.removeprefix("source_") for name in cards.columns}
    for name in columns_of(source):
        assert name in kept or canonical_name(name) in {*kept, "card"} or name in SCHEMAS["parents"]
    if "license" in has:
        expected = Counter(m.license for m in models if m.license)
        assert counted(cl.license_counts(cards, raw=True), "license") == expected
    if "languages" in has:
        expected = Counter(code for m in models for code in m.languages)
        assert counted(cl.language_counts(cards, raw=True), "language") == expected
    if "tags" in has:
        assert counted(cl.tag_counts(cards), "tag") == Counter(t for m in models for t in m.tags)
    if "created" in has:
        growth = cl.growth(cards, every="1y")
        years = {period.year: n for period, n in growth.select("period", "n_new").iter_rows()}
        assert years == Counter(m.created.year for m in models)
    if "parents" in has:
        here = {m.id for m in models}
        links = [(how, i) for m in models for how, ids in m.parents.items() for i in ids]
        # a tree lists children: it has no parents but its own
        links = [(how, i) for how, i in links if i in here or write is not tree]
        edges = Counter(how for how, _ in links)
        counts = cl.lineage_summary(cards, by="relation", cluster=None)
        assert counted(counts, "relation", "n_edges") == edges
        assert cl.lineage_summary(cards)["n_edges"].item() == sum(edges.values())
        assert counts["n_known"].sum() == sum(i in here for _, i in links)
    if "lengths" in has:
        words = cl.with_text_lengths(cards)["n_words"].to_list()
        assert words == [len(m.body.split()) for m in models]
    if "formats" in has:
        assert cards["formats"].to_list() == [m.formats for m in models]
        assert cards["parameters"].to_list() == [m.parameters for m in models]


def test_what_the_hub_says_of_files_gates_and_all_downloads(tmp_path):
    cards = cl.read_cards(api(tmp_path))
    assert cards["gated"].to_list() == ["auto", "no"] * 10
    assert cards["file_size"].to_list() == [n * GB for n in range(20)]
    assert cards["downloads_all_time"].to_list() == [100 * n for n in range(20)]
    assert json.loads(cards["model_index"][3]) == [{"name": "x", "results": []}]
    assert cards["model_index"].null_count() == 19
    assert cl.read_cards(community(tmp_path))["gated"].to_list() == ["no", "yes"] * 10


def test_what_only_has_the_name_of_a_number_is_kept(tmp_path):
    given = [{"id": "o/a", "parameters": {"lr": 0.1}, "file_size": "1.2 GB", "kind": "Chat"}]
    cards = cl.read_cards(given)
    row = cards.row(0, named=True)
    assert (row["source_parameters"], row["source_file_size"]) == ('{"lr": 0.1}', "1.2 GB")
    assert row["kind"] == "Chat" and "parameters" not in row and row["problems"] == []
    page = {"model": "made by x", "rows": [{"id": "o/a", "parameters": 7.0}]}
    (tmp_path / "x.json").write_text(json.dumps(page), encoding="utf-8")
    assert cl.read_cards(tmp_path / "x.json").select("id", "parameters").rows() == [("o/a", 7)]


def test_what_cards_are_cards_of(tmp_path):
    for write, kind in ((librarian_sets, "dataset"), (hub_stats_sets, "dataset")):
        assert cl.read_cards(write(tmp_path))["kind"].to_list() == [kind] * 20
    community_cards = cl.read_cards(community(tmp_path))
    assert community_cards["kind"].to_list() == ["model"] * 20
    assert "kind" not in cl.scan_cards(librarian(tmp_path)).collect_schema()
    old = pl.read_parquet(librarian_sets(tmp_path)).with_columns(tags=pl.lit(["x"]))
    assert cl.read_cards(old)["languages"].to_list() == [m.languages for m in SETS]
    lone = {"id": "o/a", "card": "---\nlicense: mit\ntask_categories: [x]\n---\n"}
    folder = cl.read_cards([lone, {"id": "o/b", "card": "# B"}])
    assert folder["kind"].to_list() == ["dataset"] * 2
    assert cl.problems(folder)["problem"].to_list() == ["guessed_column"]
    spaces = cl.read_cards([{"id": "spaces/o/a", "sdk": "gradio"}, {"id": "spaces/b", "sdk": None}])
    assert spaces.select("id", "kind").rows() == [("o/a", "space"), ("b", "space")]


def test_reports_show_files_and_gates_and_link_to_data_sets(tmp_path):
    files = {"formats": ["gguf"], "gated": "auto", "parameters": 7}
    sets = pl.read_parquet(librarian_sets(tmp_path)).with_columns(
        pl.lit(value).alias(name) for name, value in files.items()
    )
    export(pl.concat([sets, sets[:1]]), tmp_path, notebooks=["01"])
    page = (tmp_path / "01-corpus-overview.html").read_text("utf-8")
    for title in ("Median number of parameters by year", "Formats of the weights", "Gates before"):
        assert title in page
    assert '"hub":"datasets/"' in page.replace('": ', '":')
    assert "data sets; they are meant where this page says models" in page


def test_a_guess_is_said_once_with_what_overrules_it(tmp_path):
    source = replication(tmp_path)
    cards = cl.read_cards(source)
    said = cl.problems(cards).filter(problem="guessed_column")
    assert said.select("id", "column").rows() == [(None, "id")]
    assert "columns={'model': 'another name'}" in said["detail"].item()
    with pytest.raises(cl.SourceError, match="columns={'theirs': 'id'}"):
        cl.read_cards(source, columns={"model": "nickname"})
    named = cl.read_cards(source, columns={"model": "id", "task": "library_name"})
    assert cl.problems(named).is_empty()
    assert named["library_name"].to_list() == ["fill-mask"] * 20
    with pytest.raises(cl.SourceError, match="no columns 'modle' to rename. It has: downloads"):
        cl.scan_cards(source, columns={"modle": "id"})
    given = [{"id": "o/a", "full": "p/b", "license": "mit", "terms": "other"}]
    both = cl.read_cards(given, columns={"full": "id", "terms": "license"})
    assert both.select("id", "source_id", "license", "source_license").rows() == [
        ("p/b", "o/a", ["other"], "mit")
    ]
    assert both["problems"].to_list() == [[]]


def test_a_parent_that_is_no_id_is_a_problem(tmp_path):
    given = {
        "o/a": "https://huggingface.co/p/q/tree/main",
        "o/b": "./models/llama",
        "o/c": "https://example.org/m",
        "o/d": ["p/q", r"C:\models\x", "p/q/checkpoint-7", "hf.co/p/r"],
        "o/e": "p/q, p/s",
    }
    cards = cl.read_cards([{"id": i, "base_model": parents} for i, parents in given.items()])
    assert cards["base_model"].to_list() == [["p/q"], [], [], ["p/q", "p/r"], ["p/q", "p/s"]]
    found = cl.problems(cards).filter(problem="not_a_model_id")
    assert found["id"].to_list() == ["o/a", "o/b", "o/c", "o/d"]
    assert found["detail"].to_list()[3].endswith(r"C:\models\x, p/q/checkpoint-7, hf.co/p/r")
    assert cl.lineage_summary(cards)["n_dangling_parents"].item() == 3  # p/q, p/r and p/s
    card = "---\nbase_model: https://huggingface.co/p/q\n---\n"
    front = cl.read_cards([{"id": "o/a", "card": card}])
    assert front["base_model"].to_list() == [["p/q"]]
    assert front["problems"].list.len().to_list() == [1]


def test_tables_of_a_database_are_named(tmp_path):
    source = community(tmp_path)
    assert cl.read_cards(source.partition("::")[0]).equals(cl.read_cards(source))
    with pytest.raises(cl.SourceError, match=r"no table 'models'.*repository, tag.*hfc\.db::repo"):
        cl.scan_cards(f"{tmp_path / 'hfc.db'}::models")
    with pytest.raises(cl.SourceError, match="no such file"):
        cl.scan_cards(f"{tmp_path / 'none.db'}::models")
    lazy = cl.scan_cards(source).filter(pl.col("id") == "o1/m1").select("id", "license")
    assert lazy.collect().rows() == [("o1/m1", ["apache-2.0"])]
    with sqlite3.connect(tmp_path / "bytes.db") as opened:
        opened.execute("CREATE TABLE m (id, card)")
        opened.execute("INSERT INTO m VALUES ('o/a', CAST(X'61FF' AS TEXT))")
    odd = cl.read_cards(tmp_path / "bytes.db")
    assert odd["text"].to_list() == ["a\ufffd"]
    assert [found["problem"] for found in odd["problems"][0]] == ["not_utf8"]
    (tmp_path / "broken.db").write_bytes((tmp_path / "bytes.db").read_bytes()[:1500])
    with pytest.raises(cl.SourceError, match="1,500 bytes of 8,192, the file is truncated"):
        cl.read_cards(tmp_path / "broken.db")
    with sqlite3.connect(tmp_path / "bytes.db") as opened:
        opened.execute("INSERT INTO m VALUES ('o/b', CAST('---\nlicense: mit\n---' AS BLOB))")
        opened.execute("CREATE TABLE none (id, license)")
    cards = cl.read_cards(f"{tmp_path / 'bytes.db'}::m")
    assert cards["license"].to_list() == [[], ["mit"]]
    empty = cl.read_cards(f"{tmp_path / 'bytes.db'}::none")
    assert empty.height == 0 and {"id", "license"} <= set(empty.columns)


def test_duckdb_has_schemas_and_types_that_polars_has_not(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    source = tmp_path / "hub.duckdb"
    with duckdb.connect(str(source)) as opened:
        opened.execute(
            "CREATE SCHEMA old; CREATE TABLE old.models AS SELECT 'o/z' AS id; "
            "CREATE TABLE models AS SELECT 'o/a' AS id, ['x'] AS tags, '1 day'::INTERVAL AS i, "
            "'01'::BIT AS b, [i] AS j, union_value(x := 1) AS u, "
            "map {'k': 'v'} AS datasets, '12:00:00+01'::TIMETZ AS t"
        )
    with pytest.raises(cl.SourceError, match="It has the tables: models, old.models"):
        cl.scan_cards(source)
    assert cl.read_cards(f"{source}::old.models")["id"].to_list() == ["o/z"]
    cards = cl.read_cards(f"{source}::models")
    assert cards.select("id", "tags", "i", "u").rows() == [("o/a", ["x"], "1 day", "1")]
    assert [p["column"] for p in cards["problems"][0]] == ["datasets"]  # a mapping is no name
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(cl.SourceError, match="DuckDB says"):
        cl.read_cards(f"{source}::models")


def test_addresses_on_the_hub_are_ids(tmp_path):
    given = [
        "https://huggingface.co/o/a/tree/main",
        "hf.co/datasets/o/b?x=1",
        "https://www.huggingface.co/gpt2",
        "o/c",
        "/o/d",
    ]
    cards = cl.read_cards([{"page": address} for address in given], columns={"page": "id"})
    assert cards["id"].to_list() == ["o/a", "o/b", "gpt2", "o/c", "/o/d"]
    assert cards["kind"].to_list() == ["model", "dataset", "model", "model", "model"]
    found = cl.problems(cards).select("id", "column", "problem").rows()
    assert found == [("/o/d", "id", "not_a_model_id")]


@pytest.mark.parametrize("join", [", ", "|", "; "])
def test_names_that_a_text_joins_are_parted(join):
    given = {"id": ["o/a", "o/b", "o/c"], "tags": [f"x{join}y z", "", "x"]}
    given |= {"language": [f"en{join}fr", None, "de"], "author": ["a, b", "a, b", "c"]}
    cards = cl.read_cards(pl.DataFrame(given))
    assert cards["tags"].to_list() == [["x", "y z"], [], ["x"]]
    assert cards["languages"].to_list() == [["en", "fr"], None, ["de"]]
    assert cards["author"].to_list() == given["author"]
    said = cl.problems(cards).filter(problem="guessed_column")
    # tags with semicolons are a known form
    assert said["column"].to_list() == ["languages", "tags"][: 1 if join == "; " else 2]
    # lists stay as they are, and so does a text without any
    kept = cl.read_cards(pl.DataFrame(given).with_columns(pl.concat_list("tags")))
    assert kept["tags"].to_list() == [[given["tags"][0]], [], ["x"]]
    rare = pl.DataFrame({"id": ["o/a"] * 20, "tags": ["a, b", *["x"] * 19]})
    assert cl.read_cards(rare)["tags"].to_list()[0] == ["a, b"]


def test_a_record_as_python_prints_it_gives_its_fields():
    rows = [{"model_id": m.id, "fullJson": str({**listing(m), "x": None})} for m in MODELS]
    cards = cl.read_cards(rows)
    assert cards["tags"].to_list() == [m.tags for m in MODELS]
    assert cards["created_at"].to_list() == [m.created for m in MODELS]
    assert cards["downloads_all_time"].to_list() == [100 * m.n for m in MODELS]
    assert cards["source_fullJson"].to_list() == [row["fullJson"] for row in rows]


def test_cells_that_the_viewer_cut_are_said(tmp_path):
    page = {"rows": [{"row": {"id": "o/a", "text": "begin"}, "truncated_cells": ["text"]}]}
    (tmp_path / "rows.json").write_text(json.dumps(page), encoding="utf-8")
    (found,) = cl.read_cards(tmp_path / "rows.json")["problems"][0]
    assert (found["column"], found["problem"]) == ("text", "truncated")
