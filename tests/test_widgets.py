"""Explorers without a browser: what is chosen, as a frame, as code, and as what is seen."""

from __future__ import annotations

import asyncio
import threading

import polars as pl
import pytest
from test_maps import card_ids

import cardlab as cl
from cardlab.frontmatter import read_card
from cardlab.widgets.conditions import ids_found
from cardlab.widgets.engine import MAX_SHOWN, as_html
from cardlab.widgets.facets import facet_of, unpack


@pytest.fixture(scope="module")
def cards() -> pl.DataFrame:
    return cl.read_cards(cl.make_cards(400))


def told(explorer, kind="hello", **more):
    """Do what the page does; give what it is sent."""
    sent = []
    explorer.send = sent.append
    explorer._receive(explorer, {"type": kind, "seq": 7, **more}, [])
    return sent


def seen(explorer, *columns):
    told(explorer)
    for column in columns or explorer._columns:
        told(explorer, "load", column=column)
    return explorer.view


def where(column, op, value):
    return {"column": column, "op": op, "value": value}


CONDITIONS = [
    [where("tags", "all", ["pytorch"])],
    [where("tags", "all", ["pytorch", "transformers"]), where("id", "contains", "A")],
    [where("tags", "any", ["pytorch", None])],
    [where("license_class", "any", ["permissive", "undeclared"])],
    [where("language_codes", "any", ["en", "de"]), where("pipeline_tag", "any", [None])],
    [where("created_at", "between", ["2022-06-01", "2023-06-01"])],
    [where("created_at", "between", ["2022-06-03T10:20:30", None])],
    [where("downloads", "between", [100, None]), where("likes", "between", [3, 77])],
    [where("n_words", "between", [100, 500])],
    [where("text", "any", [None]), where("id", "search", "speech recognition")],
    [where("id", "search", "speech recognition")],
    [where("section", "section", "How to Get Started with the Model")],
    [where("id", "ids", ["a", "b"])],
    [where("tags", "all", ["no such tag '\"\\\n{x}"])],
]


def test_a_search_keeps_nothing_else_waiting(cards, monkeypatch):
    """What is quick is answered while a search runs, and drawn anew when it has found its cards."""
    goes_on = threading.Event()
    place, late = "cardlab.widgets.conditions.ids_found", lambda *given: goes_on.wait(60)
    monkeypatch.setattr(place, lambda *given: late() and ids_found(*given))

    async def typed(query):
        goes_on.clear()
        told(browser, "state", state={"conditions": [where("id", "search", query)]})
        assert (browser.view["searching"], browser.view["selected"]) == (True, cards.height)
        (rows,) = told(browser, "rows", start=60, stop=90)
        assert len(rows["rows"]) == 30
        goes_on.set()
        while browser.view["searching"]:
            await asyncio.sleep(0.01)
        return browser.view

    browser = cl.CardBrowser(cards)
    seen(browser)
    view = asyncio.run(typed("speech recognition"))
    assert view["selected"] == browser.selection.collect().height < cards.height
    view = asyncio.run(typed("!"))
    assert (view["selected"], view["error"][:13]) == (cards.height, "the query '!'")


@pytest.mark.parametrize("given", ["eager", "lazy", "pandas", "file"])
def test_the_code_gives_the_selection(cards, given, tmp_path):
    """The same cards in the same order: as a frame, as code, and as the list that is seen."""
    cards.write_parquet(tmp_path / "cards.parquet")
    source = {
        "eager": cards,
        "lazy": cards.lazy(),
        "pandas": cards.to_pandas(),
        "file": str(tmp_path / "cards.parquet"),
    }[given]
    browser = cl.LengthExplorer(source)
    seen(browser)
    n_found = 0
    first = ["eager", "lazy", "pandas", "file"].index(given)
    for n, conditions in enumerate(CONDITIONS[first % 3 :: 3] if given != "lazy" else CONDITIONS):
        browser.state = {
            "conditions": conditions,
            "sort": ["as they come", "most downloads", "newest", "by id"][n % 4],
        }
        names = {"cards": source}
        exec(browser.code, names)
        found = browser.selection.collect()
        assert found.equals(names["selection"].collect())
        assert set(found.columns) >= set(cards.columns)
        assert browser.view["selected"] == found.height, conditions
        assert browser.view["error"] == ""
        (rows,) = told(browser, "rows", start=0, stop=400)
        assert [row[1] for row in rows["rows"]] == found["id"].to_list()
        n_found += 0 < found.height < cards.height
    assert n_found >= 3


def test_what_conditions_mean(cards):
    browser = cl.CardBrowser(cards)

    def found(*conditions):
        browser.state = {"conditions": list(conditions)}
        return browser.selection.collect()

    tags = pl.col("tags").list
    both = tags.contains("pytorch") & tags.contains("transformers")
    assert found(where("tags", "all", ["pytorch", "transformers"])).equals(cards.filter(both))
    either = tags.contains("pytorch") | tags.contains("diffusers")
    assert found(where("tags", "any", ["pytorch", "diffusers"])).equals(cards.filter(either))
    day = pl.datetime(2022, 6, 1, time_zone="UTC")
    since = found(where("created_at", "between", ["2022-06-01", None]))
    assert since.equals(cards.filter(pl.col("created_at") >= day))
    none = found(where("license_class", "any", ["undeclared"]))["id"]
    declared = pl.col("license").list.len().fill_null(0) == 0
    assert none.to_list() == cards.filter(declared)["id"].to_list()
    some = found(where("downloads", "between", [10, 100]))
    assert some.equals(cards.filter((pl.col("downloads") >= 10) & (pl.col("downloads") < 100)))


def test_each_column_is_counted_on_what_the_others_leave(cards):
    browser = cl.CardBrowser(cards)
    seen(browser)
    chosen = where("pipeline_tag", "any", ["text-generation"])
    browser.state = {"conditions": [chosen]}
    columns = {found["column"]: found for found in browser.view["facets"]["columns"]}
    left = cards.filter(pl.col("pipeline_tag") == "text-generation")
    assert 0 < left.height < cards.height
    for name in ("library_name", "author"):
        at = columns[name]
        counts = dict(left[name].value_counts().iter_rows())
        got = dict(zip(at["values"], at["n"], strict=True))
        assert {value: n for value, n in got.items() if n and value in counts} == {
            value: n for value, n in counts.items() if value in got
        }
    own = columns["pipeline_tag"]  # what was chosen does not take away what could be chosen
    assert own["n"] == own["of"]
    assert sum(columns["downloads"]["n"]) == left["downloads"].drop_nulls().len()


def test_bins_hold_what_their_ends_say(cards):
    for column in ("created_at", "downloads", "likes"):
        facet = facet_of(cards.lazy(), column)
        for i, (low, high) in enumerate(zip(facet.values, facet.values[1:], strict=False)):
            mask = unpack(facet.bits[i], cards.height)
            browser = cl.CardBrowser(
                cards, state={"conditions": [where(column, "between", [low, high])]}
            )
            assert cards.filter(mask)["id"].equals(browser.selection.collect()["id"])
    numbers = pl.DataFrame({"x": [-0.5, 0.25, None, float("nan"), 1.0]})
    facet = facet_of(numbers.lazy(), "x")
    assert [unpack(row, 5).sum() for row in facet.bits] and facet.values[0] <= -0.5
    assert sum(unpack(row, 5).sum() for row in facet.bits) == 3
    assert facet_of(pl.LazyFrame({"x": [None]}, {"x": pl.Int64}), "x").values == []


def test_a_state_can_be_kept_and_set(cards):
    first = cl.TagExplorer(cards)
    changes = []
    first.observe(lambda change: changes.append(change.new), names="selection_changed")
    seen(first, "tags")
    first.state = {"conditions": [where("tags", "all", ["pytorch"])], "measure": "lift"}
    first.state = {"support": 3}
    told(first, "card", row=17)
    assert changes == [1]
    second = cl.TagExplorer(cards.lazy(), state=first.state)
    assert second.state == first.state
    assert second.state["open"] == 17
    assert second.code == first.code
    seen(second, "tags")
    first._receive(first, {"type": "hello", "seq": 7}, [])
    assert second.view == first.view


def test_what_is_no_state_is_refused(cards):
    browser = cl.CardBrowser(cards)
    before = browser.state
    for state, said in [
        ({"colour": 1}, "has no 'colour'. It has: conditions, sort, open"),
        ({"sort": "size"}, "sort must be one of 'as they come'"),
        ({"conditions": [{"column": "tags"}]}, "a mapping with column, op and value"),
        ({"conditions": [where("tag", "any", ["x"])]}, "the cards have no column 'tag'"),
        ({"conditions": [where("tags", "any", "x")]}, "it must be a list of strings"),
        ({"conditions": [where("tags", "like", ["x"])]}, "op must be one of"),
        ({"conditions": [where("downloads", "between", [1, "x"])]}, "in numbers or ISO dates"),
        ({"conditions": [where("downloads", "between", [float("nan"), 1])]}, "numbers or ISO"),
        ({"conditions": [where("id", "search", " ")]}, "it must be a string"),
    ]:
        with pytest.raises(cl.CardlabError, match=said.replace("[", r"\[")):
            browser.state = state
        assert browser.state == before
    with pytest.raises(cl.MissingColumn):
        cl.CardBrowser(pl.DataFrame({"x": [1]}))
    with pytest.raises(cl.MissingColumn, match="no column 'nope'"):
        cl.CardBrowser(cards, columns=["nope"])
    with pytest.raises(cl.MissingColumn, match="no column 'text'"):
        cl.LengthExplorer(cards.drop("text"))
    # from the page it is said, and the explorer stays what it was
    told(browser, "state", state={"conditions": [where("x", "any", ["y"])]})
    assert "no column 'x'" in browser.view["error"]
    assert browser.view["state"] == before


def test_pairs_are_those_of_cooccurrence(cards):
    explorer = cl.TagExplorer(cards)
    view = seen(explorer, "tags")["pairs"]
    table = cl.cooccurrence(cards, min_cards=1, top=None)
    known = {(a, b): row for a, b, *row in table.select("tag_a", "tag_b", "n_cards", "npmi").rows()}
    assert len(view["ranked"]) > 10
    for i, j in view["ranked"]:
        a, b = sorted((view["tags"][i], view["tags"][j]))
        n, npmi = known[a, b]
        assert view["both"][i][j] == n
        assert view["values"][i][j] == pytest.approx(npmi, abs=1e-4)
    for measure in ("n_cards", "lift", "jaccard"):
        explorer.state = {"measure": measure, "support": 20}
        view = explorer.view["pairs"]
        i, j = view["ranked"][0]
        a, b = sorted((view["tags"][i], view["tags"][j]))
        wanted = table.filter(tag_a=a, tag_b=b)[measure].item()
        assert view["values"][i][j] == pytest.approx(wanted, abs=1e-4)
        assert all(view["both"][i][j] >= 20 for i, j in view["ranked"])


def test_lengths_by_group_add_up(cards):
    explorer = cl.LengthExplorer(cards)
    seen(explorer, "n_words", "pipeline_tag")
    explorer.state = {"by": "pipeline_tag"}
    view = explorer.view["lengths"]
    words = cl.with_text_lengths(cards)["n_words"]
    assert sum(view["found"]["n"]) == words.drop_nulls().len()
    for part in view["parts"]:
        name = None if part["label"] == "none" else part["label"]
        group = words.filter(cards["pipeline_tag"].eq_missing(pl.Series([name], dtype=pl.String)))
        assert sum(part["n"]) == group.drop_nulls().len()
    assert view["sections"]["kind"] == "none"
    told(explorer, "load", column="section")
    sections = explorer.view["lengths"]["sections"]
    filled = cl.card_coverage(cards).filter(pl.col("state") == "filled")["section"]
    got = {v: n for v, n in zip(sections["values"], sections["n"], strict=True) if v is not None}
    assert got == dict(filled.value_counts().iter_rows())


def test_a_card_is_read_by_its_row_and_shown_without_markup_of_its_own(cards):
    browser = cl.CardBrowser(cards)
    hostile = cards.with_row_index().filter(pl.col("id").str.starts_with("mallory/"))
    assert hostile.height >= 6
    for row in hostile["index"]:
        ((sent,),) = [told(browser, "card", row=row)]
        card = sent["card"]
        assert card["id"] == cards["id"][row]
        shown = str(card).lower()
        for active in ("<script", "<iframe", "<meta", "<svg", "onerror=", "\x1b", "\u202e"):
            assert active not in (card["html"] or "").lower()
            assert active not in shown or active.isprintable()
    assert as_html("[x](javascript:alert) <a href='vbscript:x'>y</a>").count("href") == 0
    long = pl.DataFrame({"id": ["x"], "text": ["a" * (MAX_SHOWN + 5)]})
    (sent,) = told(cl.CardBrowser(long), "card", row=0)
    assert sent["card"]["more"] == 5


def test_a_corpus_with_ids_only():
    browser = cl.CardBrowser(pl.DataFrame({"id": ["b", None, "a"]}))
    view = seen(browser)
    assert view["facets"]["columns"] == []
    assert [row[1] for row in view["rows"]["rows"]] == ["b", "(no id)", "a"]
    (sent,) = told(browser, "card", row=0)
    assert sent["card"]["html"] is None
    empty = cl.CardBrowser(pl.DataFrame({"id": []}, {"id": pl.String}))
    assert seen(empty)["rows"]["rows"] == []


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
    cl.make_cards(50).write_parquet(tmp_path / "c.parquet")
    browser = cl.CardBrowser(cl.scan_cards(tmp_path / "c.parquet"))
    assert browser._engine._facets == {}
    assert isinstance(browser.selection, pl.LazyFrame)
    told(browser)
    assert browser._engine._facets == {}  # the first view has the list alone
    assert "text" not in browser._engine.listed.columns


def test_a_selection_of_raw_cards_reads_none_of_them_unasked(tmp_path, monkeypatch):
    """Front matter and texts are there for the asking, and the code says what was left out."""
    fm = "---\nlanguage: {}\nlibrary_name: x\nlicense: mit\ntags: [a]\n---\n# Library: {}\n"
    raw = pl.DataFrame({"id": [f"o/{n}" for n in range(40)]}).with_columns(
        card=pl.Series([fm.format(["de", "en"][n % 2], n) for n in range(40)]),
        tags=pl.lit(["license:mit"]),
        library_name=pl.lit("keras"),
        downloads=pl.int_range(40),
    )
    raw.write_parquet(tmp_path / "raw.parquet")
    browser = cl.CardBrowser(str(tmp_path / "raw.parquet"))
    browser.state = {"conditions": [where("downloads", "between", [10, None])]}
    names = {"cards": str(tmp_path / "raw.parquet")}
    with monkeypatch.context() as no:
        no.setattr("cardlab.frontmatter.read_card", None)  # any call of it fails
        found = browser.selection.collect()
        exec(browser.code, names)
        assert names["selection"].collect().equals(found)
    assert found["id"].to_list() == raw["id"][10:].to_list()
    assert {"license", "tags", "library_name"} <= {*found.columns}
    assert not {"text", "metadata", "languages", "problems"} & {*found.columns}
    assert "'languages', 'metadata'" in browser.code
    more = browser.select("id", "languages", "text").collect()
    assert more["languages"][0].to_list() == ["de"]
    assert more["text"].str.strip_chars()[0] == "# Library: 10"
    whole = cl.read_cards(raw).filter(pl.col("downloads") >= 10)
    assert browser.select().collect().equals(whole)
    with pytest.raises(cl.MissingColumn, match="likes"):
        browser.select("likes")


def test_a_selection_reads_the_front_matter_of_its_own_cards_only(tmp_path, monkeypatch):
    fm = "---\nlanguage: {}\nlicense: mit\n---\n# Task {}\n"
    raw = pl.DataFrame({"id": [f"o/{n}" for n in range(60)]}).with_columns(
        card=pl.Series([fm.format(["de", "en"][n % 2], n) for n in range(60)]),
        pipeline_tag=pl.Series(["fill-mask", "translation", None] * 20),
    )
    raw.write_parquet(tmp_path / "raw.parquet")
    read, once = [], read_card
    monkeypatch.setattr(
        "cardlab.frontmatter.read_card", lambda card: read.append(card) or once(card)
    )
    chosen = where("pipeline_tag", "any", ["translation"])
    browser = cl.CardBrowser(str(tmp_path / "raw.parquet"), state={"conditions": [chosen]})
    found = browser.select("id", "languages").collect()
    assert found["languages"].list.first().to_list() == ["en", "de"] * 10
    assert sorted(read) == sorted(raw.filter(pipeline_tag="translation")["card"])


@pytest.fixture(scope="module")
def places(cards) -> pl.DataFrame:
    n = pl.int_range(cards.height)
    return cards.select("id").with_columns(
        x=(n % 19).cast(float), y=n / 19, cluster=n % 4, pipeline_tag=cards["pipeline_tag"]
    )


def test_cards_are_roped_in_and_chosen_by_cluster(cards, places):
    named = pl.DataFrame({"cluster": [0, 1, 2, 3], "label": ["cats", "dogs", None, "cats"]})
    without = places.with_columns(
        x=pl.when(pl.col("id") != places["id"][7]).then("x"),
        cluster=pl.when(pl.col("id") != places["id"][7]).then("cluster").otherwise(-1),
    )
    explorer = cl.ClusterExplorer(cards, points=without, labels=named)
    seen(explorer, "cluster")
    clusters = explorer.view["points"]["clusters"]
    assert clusters["values"] == ["0: cats", "1: dogs", "2", "3: cats", None]
    assert sum(clusters["n"]) == cards.height
    explorer.state = {"conditions": [where("cluster", "any", ["1: dogs", "no such"])]}
    names = {"cards": cards}
    exec(explorer.code, names)
    wanted = cards.filter(places["cluster"] == 1)
    assert names["selection"].collect().equals(wanted)
    assert explorer.selection.collect().equals(wanted)
    # the point that has no place is none of the map, and all others are where their ids are
    (sent,) = told(explorer, "map")
    assert sent["map"]["n_points"] == cards.height - 1
    ids = card_ids(sent["map"])
    told(explorer)
    roped = {"conditions": [*explorer.state["conditions"], where("id", "ids", [0, 5, 9])]}
    for seq in (8, 9):  # each is answered, also the same again: the page waits for its number
        explorer._receive(explorer, {"type": "state", "state": roped, "seq": seq}, [])
        assert explorer.view["seq"] == seq
    found = explorer.selection.collect()["id"]
    assert set(found) == {ids[i] for i in (0, 5, 9)} & set(wanted["id"])
    # the page is told of ids by a name, and gives that back
    told(explorer, "state", state=explorer.view["state"])
    assert explorer.view["error"] == ""
    assert explorer.selection.collect()["id"].equals(found)
    told(explorer, "state", state={"conditions": roped["conditions"][:1]})
    assert explorer.selection.collect().equals(wanted)


def test_linked_explorers_leave_the_same_cards(cards, places):
    one, other = cl.TagExplorer(cards), cl.ClusterExplorer(cards, points=places)
    linked = cl.link(one, other)
    chosen = where("tags", "all", ["pytorch"])

    def both():
        found = one.selection.collect()
        assert found.equals(other.selection.collect())
        return found.height

    one.state = {"conditions": [chosen]}
    first = both()
    other.state = {"conditions": [chosen, where("cluster", "any", ["1"])]}
    assert 0 < both() < first < cards.height
    assert [condition["op"] for condition in one.state["conditions"]] == ["all", "ids"]
    one.state = {"conditions": [where("id", "contains", "e"), *one.state["conditions"]]}
    assert 0 < both() < first
    other.state = {"conditions": [chosen]}  # what was lent goes with what it stood for
    assert both() == first
    assert one.state["conditions"] == [chosen]
    linked.unlink()
    one.state = {"conditions": []}
    assert other.state["conditions"] == [chosen]


def test_all_in_one_has_what_the_cards_have(cards, places):
    assert cl.explore(cards.select("id", "author")).shown == ["facets", "cards"]
    assert cl.explore(cards.drop("embeddings")).shown == ["facets", "pairs", "lengths", "cards"]
    explorer = cl.explore(cards, points=places)
    assert explorer.shown == ["facets", "pairs", "lengths", "points", "cards"]
    seen(explorer, "tags", "n_words", "cluster")
    before = explorer.view
    explorer.state = {
        "conditions": [where("cluster", "any", ["0"]), where("tags", "all", ["pytorch"])]
    }
    after = explorer.view
    for part in ("pairs", "lengths", "points"):
        assert after[part] != before[part]
    assert sum(after["lengths"]["found"]["n"]) <= after["selected"] < cards.height / 4
