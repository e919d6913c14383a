"""Any source becomes one canonical frame; nothing is lost silently."""

from __future__ import annotations

import datetime as dt
import json
from functools import cache

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cardlab as cl
from cardlab import schema
from cardlab.cards.folder import find_cards
from cardlab.cards.sources import corpus_hash

UTC = dt.UTC


def only(frame: pl.DataFrame, kind: str) -> list[str]:
    """Ids of the cards with one kind of problem."""
    found = frame.select("id", "problems").explode("problems").unnest("problems")
    return found.filter(pl.col("problem") == kind)["id"].to_list()


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# ------------------------------------------------------------------------------------ real files


@cache
def read(path):
    """Real cards, read once for the tests that look at them."""
    return cl.read_cards(path)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("model_cards.seed.parquet", 2577),
        ("model_cards.librarian.parquet", 2577),
        ("broken_front_matter.seed.parquet", 11),
        ("broken_front_matter.librarian.parquet", 11),
        ("sampled_cards_2024.seed.parquet", 472),
        ("seed_full_columns.parquet", 3),
        ("dataset_cards.librarian.parquet", 3410),
        ("models_radar_2026.parquet", 9931),
        ("models_frameworks_2026.parquet", 6157),
        ("models_vendors_2026.parquet", 2036),
        ("models_2022.parquet", 41195),
        ("models_meta_2023.jsonl", 402),
        ("sampled_cards_2024.counts.csv", 472),
    ],
)
def test_real_sources(data, name, rows):
    cards = read(data / name)
    assert cards.height == rows
    assert cards["id"].null_count() == 0
    for column, dtype in schema.COLUMNS.items():
        if column in cards.columns and column != "embeddings":
            assert cards.schema[column] == dtype, column


def test_both_schemas_give_the_same_cards(data):
    seed = read(data / "model_cards.seed.parquet")
    librarian = read(data / "model_cards.librarian.parquet")
    same = ["id", "author", "created_at", "library_name", "pipeline_tag", "tags", "license"]
    for column in [*same, "base_model", "datasets", "text"]:
        assert seed[column].equals(librarian[column], null_equal=True), column
    pairs = zip(seed["languages"].to_list(), librarian["languages"].to_list(), strict=True)
    differ = {card for card, (a, b) in zip(seed["id"], pairs, strict=True) if a != b}
    # `languages:` is read as `language:`; and what the one could not read, the other holds empty
    aliases = cl.problems(librarian).filter(problem="key_alias", column="languages")["id"]
    assert differ == {*aliases, *only(seed, "null_metadata")}


def test_figures_of_the_seed(data):
    cards = read(data / "model_cards.seed.parquet")
    assert cards.select(pl.col("languages").list.contains("en").sum()).item() == 1071
    assert cards.select(pl.col("tags").list.contains("en").sum()).item() == 1072
    assert cards["text"].str.len_chars().sum() == 15_407_203
    assert cards.filter(id="NbAiLab/nb-bert-base-ner")["languages"].to_list() == [["no"]]
    assert only(cards, "null_metadata") == [
        "lighteternal/stsb-xlm-r-greek-transfer",
        "TokenBender/llama2-7b-chat-hf-codeCherryPop-qLoRA-merged",
    ]


def test_hub_listings(data):
    radar = read(data / "models_radar_2026.parquet")
    raw = pl.read_parquet(data / "models_radar_2026.parquet")
    assert radar["created_at"].null_count() == 0
    for own, tags, license_ in zip(raw["license"], raw["tags"], radar["license"], strict=True):
        tagged = [tag.removeprefix("license:") for tag in tags if tag.startswith("license:")]
        assert license_.to_list() == (tagged if own is None else [own])
    assert radar["downloads"].equals(raw["downloads_30d"], check_names=False)
    frameworks = read(data / "models_frameworks_2026.parquet")
    tags = pl.read_parquet(data / "models_frameworks_2026.parquet")["tags"].to_list()
    assert frameworks["tags"].to_list() == [
        [tag.strip() for tag in text.split(";") if tag.strip()] for text in tags
    ]
    meta = read(data / "models_meta_2023.jsonl")
    text = (data / "models_meta_2023.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.split("\n") if line]
    metas = [line["meta"] or {} for line in lines]
    licenses = [found.get("license", found.get("licence")) for found in metas]
    expected = [[x] if isinstance(x, str) else x or [] for x in licenses]
    assert [x or [] for x in meta["license"].to_list()] == expected


def test_folder_of_real_cards(data):
    cards = cl.read_cards(data / "cards", columns=["id", "problems", "text"])
    rows = pl.read_csv(data / "model_cards.provenance.csv", infer_schema=False)
    tree = rows.filter(pl.col("id").is_not_null(), in_tree="1")
    paths = {str(c.path.relative_to(data)): c.id for c in find_cards(data / "cards")}
    assert {path: paths[path] for path in tree["tree_path"]} == dict(
        zip(tree["tree_path"], tree["id"], strict=True)
    )
    assert cards.height == len(paths)
    assert cards["text"].null_count() == 0
    broken = tree.filter(
        pl.col("front_matter").is_in(["broken_yaml", "not_mapping", "unterminated"])
    )
    lost = ("yaml_error", "not_a_mapping", "unterminated")
    assert set(broken["id"]) - {"lighteternal/stsb-xlm-r-greek-transfer"} <= {
        card for kind in lost for card in only(cards, kind)
    }


def test_lazy_counting_never_reads_text(data):
    cards = cl.scan_cards(data / "model_cards.seed.parquet")
    plan = cards.select(pl.col("tags").list.len(), "license").explain()
    assert "PROJECT 1/11 COLUMNS" in plan
    calls: list[int] = []
    texts = pl.LazyFrame({"id": ["a"], "card": ["---\nlicense: mit\n---\n"], "tags": [["x"]]})
    spied = texts.with_columns(
        pl.col("card").map_batches(lambda s: (calls.append(1), s)[1], return_dtype=pl.String)
    )
    cl.tag_counts(cl.scan_cards(spied))
    assert calls == []
    assert cl.scan_cards(spied).select("text").collect()["text"].to_list() == [""]
    assert calls


# -------------------------------------------------------------------------------- folder layouts


def test_folder_layouts(tmp_path):
    write(tmp_path, "org/one/README.md", "---\nlicense: mit\n---\nx")
    write(tmp_path, "org/one/onnx/README.md", "not a card of its own")
    write(tmp_path, "two/README.md", "no org")
    write(tmp_path, "org/three/0123abc/README.md", "a revision")
    write(tmp_path, "org/one/config.json", "{}")
    write(tmp_path, "org/one/train.csv", "a,b\n")
    write(tmp_path, ".git/x/README.md", "hidden")
    write(tmp_path, "README.md", "about the collection")
    cards = cl.read_cards(tmp_path)
    assert dict(cards.select("id", "sha").iter_rows()) == {
        "org/one": None,
        "two": None,
        "org/three": "0123abc",
    }
    assert cards.filter(id="org/one").select("author", "license").row(0) == ("org", ["mit"])
    assert cards.filter(id="two")["author"].to_list() == [None]


def test_one_models_folder_and_one_file(tmp_path):
    write(tmp_path, "org/name/README.md", "---\ntags: [a]\n---\nbody")
    for source in (tmp_path / "org/name", str(tmp_path / "org/name/README.md")):
        cards = cl.read_cards(source)
        assert cards.select("id", "tags", "text").row(0) == ("org/name", ["a"], "body")


def test_hub_cache(tmp_path):
    base = "models--org--my--name"
    write(tmp_path, f"{base}/snapshots/aaa/README.md", "old")
    write(tmp_path, f"{base}/snapshots/bbb/README.md", "new")
    write(tmp_path, f"{base}/refs/main", "bbb")
    write(tmp_path, "models--solo/snapshots/ccc/README.md", "solo")
    cards = cl.read_cards(tmp_path)
    assert cards.select("id", "sha", "text").rows() == [
        ("org/my--name", "bbb", "new"),
        ("solo", "ccc", "solo"),
    ]


def test_unreadable_and_undecodable_files_are_kept(tmp_path):
    write(tmp_path, "o/good/README.md", "fine")
    write(tmp_path, "o/latin/README.md", b"caf\xe9")
    (tmp_path / "o/gone").mkdir()
    (tmp_path / "o/gone/README.md").symlink_to(tmp_path / "nowhere")
    cards = cl.read_cards(tmp_path)
    assert cards.sort("id").select("id", "text").rows() == [
        ("o/gone", None),
        ("o/good", "fine"),
        ("o/latin", "caf\ufffd"),
    ]
    assert only(cards, "unreadable") == ["o/gone"]
    assert only(cards, "not_utf8") == ["o/latin"]
    assert cl.read_cards(tmp_path, on_error="skip")["id"].to_list() == ["o/good"]
    with pytest.raises(cl.SourceError, match=r"o/gone.*unreadable"):
        cl.scan_cards(tmp_path, on_error="raise")


# -------------------------------------------------------------------------- tables and JSON, dirt


FRAME = pl.DataFrame(
    {
        "modelId": ["o/a", "b"],
        "tags": ["x;license:mit;base_model:finetune:o/p;base_model:o/p", None],
        "createdAt": ["2022-03-02T23:29:04.000Z", "not a date"],
        "downloads": ["12", "many"],
        "own": [1.5, None],
    }
)


def check_frame(cards: pl.DataFrame) -> None:
    assert cards["id"].to_list() == ["o/a", "b"]
    assert cards["author"].to_list() == ["o", None]
    assert cards["license"].to_list() == [["mit"], None]
    assert cards["base_model"].to_list() == [["o/p"], None]
    assert cards["created_at"].to_list() == [dt.datetime(2022, 3, 2, 23, 29, 4, tzinfo=UTC), None]
    assert cards["downloads"].to_list() == [12, None]
    assert cards["own"].to_list() == [1.5, None]
    assert only(cards, "bad_date") == ["b"]
    assert only(cards, "bad_value") == ["b"]


@pytest.mark.parametrize("kind", ["parquet", "csv", "ndjson", "ipc", "ipc_stream", "json"])
def test_formats(tmp_path, kind):
    name = {"ipc": "arrow", "ipc_stream": "arrow", "ndjson": "jsonl"}.get(kind, kind)
    path = tmp_path / f"cards.{name}"
    getattr(FRAME, f"write_{kind}")(path)
    check_frame(cl.read_cards(path))
    check_frame(cl.read_cards(str(tmp_path)))
    check_frame(cl.read_cards(str(tmp_path / f"*.{name}")))


class Dataset:
    """What `datasets.Dataset` shows of itself."""

    def __init__(self, table: pa.Table) -> None:
        self.data = type("Data", (), {"table": table})()
        self.features, self._indices = {}, None


@pytest.mark.parametrize(
    "give",
    [
        lambda f: f,
        lambda f: f.lazy(),
        lambda f: f.to_arrow(),
        lambda f: pd.DataFrame(f.to_dict(as_series=False)),
        lambda f: f.to_dicts(),
        lambda f: Dataset(f.to_arrow()),
        lambda f: [f.head(1), f.tail(1)],
    ],
    ids=["polars", "lazy", "pyarrow", "pandas", "records", "datasets", "list"],
)
def test_frames_in_memory(give):
    check_frame(cl.read_cards(give(FRAME)))


def test_scalar_or_list_is_always_a_list(tmp_path):
    rows = [
        {"id": "a", "license": "mit", "language": ["en", None], "cardData": {"datasets": "d"}},
        {
            "id": "b",
            "license": ["mit", "other"],
            "language": "no",
            "cardData": {"base_model": ["m"]},
        },
        {"id": "c", "license": None, "language": False},
    ]
    path = write(tmp_path, "x.jsonl", "\n".join(map(json.dumps, rows)))
    for cards in (cl.read_cards(path), cl.read_cards(rows), cl.read_cards(pd.DataFrame(rows))):
        assert cards["license"].to_list() == [["mit"], ["mit", "other"], None]
        assert cards["languages"].to_list()[:2] == [["en"], ["no"]]
        assert cards["datasets"].to_list() == [["d"], [], None]
        assert cards["base_model"].to_list() == [[], ["m"], None]


def test_lists_written_as_text(tmp_path):
    text = 'id,tags,license\na,"[""x"", ""y""]",mit\nb,"[\'x, y\', \'z\']","[""mit""]"\nc,x;y,\n'
    cards = cl.read_cards(write(tmp_path, "x.csv", text))
    assert cards["tags"].to_list() == [["x", "y"], ["x, y", "z"], ["x", "y"]]
    assert cards["license"].to_list() == [["mit"], ["mit"], []]  # the last by its tags


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("['x' 'y z'\n \"it's\"]", ["x", "y z", "it's"]),  # a numpy array
        ("['a' 'b\\'c']", ["a", "b'c"]),
        ("('x', 'y')", ["x", "y"]),
        ("('x',)", ["x"]),
        ("{'y', 'x'}", ["x", "y"]),
        ("set()", []),
        ("['x', None, 'y']", ["x", "y"]),
        (r"['it\'s', 'x']", ["it's", "x"]),
        (r"['\d+', 'x']", [r"\d+", "x"]),
        ('{x,"y z"}', ["x", "y z"]),  # PostgreSQL
        ("{}", []),
        ("(not a list)", ["(not a list)"]),
        ("[" * 5_000, ["[" * 5_000]),
        ("(" * 5_000 + "'", ["(" * 5_000 + "'"]),
    ],
)
@pytest.mark.filterwarnings("error")
def test_lists_as_other_tools_print_them(text, tags):
    cards = cl.read_cards(pl.DataFrame({"id": ["a"], "tags": [text]}))
    assert cards["tags"].to_list() == [tags]
    assert cards["problems"].to_list() == [[]]


def test_bad_json_lines_are_kept(tmp_path):
    text = '{"id": "a", "n": 1}\n{broken\n\n[1, 2]\n{"id": "b", "n": "text"}\n'
    cards = cl.read_cards(write(tmp_path, "x.jsonl", text))
    assert cards["id"].to_list() == ["a", None, None, "b"]
    problems = cl.problems(cards)
    assert problems.filter(problem="bad_json").height == 2
    assert problems.filter(problem="no_id").height == 2
    assert cards["n"].to_list() == ["1", None, None, "text"]  # a column of two types is text
    assert cl.scan_cards(tmp_path / "x.jsonl").select("id").head(1).collect().item() == "a"


def test_cards_as_bytes_and_mappings_of_arrow_are_read():
    cards = cl.read_cards(pl.DataFrame({"id": ["a"], "card": [b"---\nlicense: mit\n---\n\xff"]}))
    assert cards["license"].to_list() == [["mit"]]
    assert [found["problem"] for found in cards["problems"][0]] == ["bad_value"]
    mapping = pa.array([[("k", "v")]], type=pa.map_(pa.string(), pa.string()))
    cards = cl.read_cards(pa.table({"id": ["a"], "tags": mapping}))
    assert cards["tags"].to_list() == [[]]
    assert [found["problem"] for found in cards["problems"][0]] == ["bad_value"]


def test_nulls_and_empty_lists_differ():
    cards = cl.read_cards(pl.DataFrame({"id": ["a", "b"], "tags": [[], None]}))
    assert cards["license"].to_list() == [[], None]


def test_what_is_canonical_stays_as_it_is():
    once = cl.read_cards(cl.make_cards(60))
    assert cl.read_cards(once).equals(once)
    assert cl.read_cards(once.drop("problems")).equals(once)


def test_columns_argument():
    cards = cl.read_cards(FRAME, columns=["tags", "id", "text"])
    assert cards.columns == ["id", "tags"]


@pytest.mark.parametrize(
    "text",
    [
        "2020-11-18T18:22:28+00:00",
        "2020-11-18T20:22:28+02:00",
        "2020-11-18 18:22:28.000Z",
        "2020-11-18 18:22:28",
    ],
)
def test_dates_are_utc(text):
    cards = cl.read_cards(pl.DataFrame({"id": ["a"], "created_at": [text]}))
    assert cards["created_at"].to_list() == [dt.datetime(2020, 11, 18, 18, 22, 28, tzinfo=UTC)]


# ------------------------------------------------------------------------------------------ errors


def error_of(source) -> str:
    with pytest.raises(cl.SourceError) as caught:
        cl.read_cards(source)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_errors_name_source_finding_and_what_is_accepted(tmp_path):
    not_cards = tmp_path / "t.parquet"
    pl.DataFrame({"x": [1], "y": ["a"]}).write_parquet(not_cards)
    assert "no column `id`" in error_of(not_cards)
    assert "Found: x, y" in error_of(not_cards)
    truncated = tmp_path / "cut.parquet"
    truncated.write_bytes(not_cards.read_bytes()[:-20])
    assert "cut.parquet: cannot be read as parquet" in error_of(truncated)
    assert "no such file or folder" in error_of(tmp_path / "missing.parquet")
    assert "Accepted:" in error_of(tmp_path / "missing.parquet")
    (tmp_path / "empty").mkdir()
    assert "it is empty" in error_of(tmp_path / "empty")
    write(tmp_path, "zero.csv", "")
    assert "0 bytes" in error_of(tmp_path / "zero.csv")
    write(tmp_path, "x.txt", "words")
    assert "cannot tell the format" in error_of(tmp_path / "x.txt")
    write(tmp_path, "bad.json", '{"a": ')
    assert "cannot be read as JSON" in error_of(tmp_path / "bad.json")
    assert "no file matches" in error_of(str(tmp_path / "*.nothing"))
    write(tmp_path, "both/a.parquet", not_cards.read_bytes())
    write(tmp_path, "both/o/n/README.md", "x")
    assert "holds both" in error_of(tmp_path / "both")
    write(tmp_path, "mixed/a.parquet", not_cards.read_bytes())
    write(tmp_path, "mixed/b.csv", "id\n1\n")
    assert "several formats" in error_of(tmp_path / "mixed")


def test_wrong_types_are_refused():
    with pytest.raises(cl.SourceError, match=r"int is no source of cards\. Accepted"):
        cl.read_cards(3)
    with pytest.raises(cl.CardlabError, match="on_error must be one of"):
        cl.scan_cards(FRAME, on_error="ignore")
    with pytest.raises(cl.SourceError, match="no such file or folder"):
        cl.tag_counts("cards.parquet")


def test_missing_column_says_what_there_is_and_how_to_get_it():
    with pytest.raises(cl.MissingColumn, match=r"no column 'text'.*It has: id.*To get it: read"):
        cl.length_summary(pl.DataFrame({"id": ["a"]}))


def test_a_file_damaged_in_its_middle(tmp_path):
    path = tmp_path / "x.parquet"
    pl.DataFrame({"id": [f"a/{i}" for i in range(5000)], "tags": [["x"]] * 5000}).write_parquet(
        path
    )
    content = bytearray(path.read_bytes())
    content[200:4000] = bytes(3800)
    path.write_bytes(bytes(content))
    assert "could not be read to the end" in error_of(path) or "cannot be read" in error_of(path)


# ------------------------------------------------------------------------------------- properties


values = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    st.lists(st.text(max_size=10), max_size=3),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
)
names = ("tags", "license", "language", "createdAt", "downloads", "cardData", "card", "x")
card_records = st.lists(
    st.fixed_dictionaries({"id": st.text(max_size=10)}, optional=dict.fromkeys(names, values)),
    min_size=1,
    max_size=6,
)


def check_kept(given):
    cards = cl.read_cards(given)
    ids = [record["id"] for record in given]
    assert cards["id"].to_list() == pl.Series(ids).str.strip_chars().replace("", None).to_list()
    unnamed = cl.problems(cards).filter(problem="no_id")
    assert unnamed.height == cards["id"].null_count()


@settings(max_examples=60, deadline=None)
@given(card_records)
def test_any_records_are_kept(given):
    check_kept(given)


@pytest.mark.verify
@settings(max_examples=150, deadline=None)
@given(card_records)
def test_any_of_more_records_are_kept(given):
    check_kept(given)


def test_corpus_hash(tmp_path):
    a = write(tmp_path, "a/o/n/README.md", "x").parent.parent.parent
    b = write(tmp_path, "b/o/n/README.md", "x").parent.parent.parent
    assert corpus_hash(a) == corpus_hash(str(b))
    write(tmp_path, "b/o/n/README.md", "y")
    assert corpus_hash(a) != corpus_hash(b)
    assert corpus_hash(FRAME) == corpus_hash(FRAME.clone()) != corpus_hash(FRAME.reverse())
    assert corpus_hash("https://example.org/x.parquet") is None
    assert corpus_hash(FRAME.lazy()) is None


def test_remote_sources_are_handed_to_polars(monkeypatch):
    """Without a network: what would be opened, and a failure that is told plainly."""
    opened: list[object] = []

    def scan(files, **_):
        opened.extend(files)
        return FRAME.lazy()

    monkeypatch.setattr(pl, "scan_parquet", scan)
    check_frame(cl.read_cards("hf://datasets/org/name"))
    check_frame(cl.read_cards("s3://bucket/cards.parquet"))
    assert opened == ["hf://datasets/org/name/**/*.parquet", "s3://bucket/cards.parquet"]
    assert "read from local files" in error_of("https://example.org/cards.jsonl")


@pytest.mark.parametrize("kind", ["parquet", "csv", "ipc"])
def test_shards_that_differ_lose_no_column(tmp_path, kind):
    """One shard lacks the text, another has tags as one string: both are read in full."""
    first = pl.DataFrame({"id": ["a"], "tags": ["x"]})
    if kind != "csv":
        first = first.with_columns(pl.concat_list("tags"))
    second = pl.DataFrame({"id": ["b"], "tags": ["x;y"], "text": ["body"], "own": [1]})
    ending = {"ipc": "arrow"}.get(kind, kind)
    for number, frame in enumerate((first, second, first.with_columns(id=pl.lit("c")))):
        getattr(frame, f"write_{kind}")(tmp_path / f"{number}.{ending}")
    cards = cl.read_cards(tmp_path)
    assert cards.sort("id").select("id", "tags", "text", "own").rows() == [
        *(("a", ["x"], None, None), ("b", ["x", "y"], "body", 1), ("c", ["x"], None, None))
    ]
