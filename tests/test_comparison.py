"""Two corpora side by side: distances, the values behind them, and changes card by card."""

from __future__ import annotations

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

import cardlab as cl
from cardlab.comparison.changes import compare_ids

NAMES = ["a", "b", "c", "d"]
lists = st.lists(st.lists(st.sampled_from(NAMES), max_size=3) | st.none(), min_size=1, max_size=12)


def tagged(tags: list, ids: str = "x") -> pl.DataFrame:
    column = pl.Series("tags", tags, dtype=pl.List(pl.String))
    return pl.DataFrame({"id": [f"{ids}/{i}" for i in range(len(tags))], "tags": column})


def weights(tags: list) -> np.ndarray:
    """A card shared equally among its values, in plain Python."""
    found = dict.fromkeys(NAMES, 0.0)
    for card in tags:
        for tag in set(card or ()):
            found[tag] += 1 / len(set(card))
    return np.array(list(found.values()))


@settings(max_examples=40, deadline=None)
@given(lists, lists)
def test_distance_equals_scipy(a, b):
    found = cl.compare(tagged(a), tagged(b, "y"), columns=["tags"], n_permutations=3).row(
        0, named=True
    )
    p, q = weights(a), weights(b)
    declared = [sum(bool(card) for card in side) for side in (a, b)]
    assert [found["n_declared_a"], found["n_declared_b"]] == declared
    assert [found["n_cards_a"], found["n_cards_b"]] == [len(a), len(b)]
    if not all(declared):
        assert found["distance"] is None
        return
    assert found["distance"] == pytest.approx(jensenshannon(p, q, base=2), abs=1e-7)
    assert found["divergence"] == pytest.approx(found["distance"] ** 2)
    assert 0 <= found["distance_beyond_chance"] <= found["distance"] <= 1
    assert 0 < found["p_value"] <= 1
    back = cl.compare(tagged(b), tagged(a, "y"), columns=["tags"], n_permutations=3)
    assert back["distance"][0] == pytest.approx(found["distance"])


@settings(max_examples=60, deadline=None)
@given(lists, lists)
def test_values_add_up(a, b):
    found = cl.compare_values(tagged(a), tagged(b, "y"), column="tags")
    for side, tags in (("a", a), ("b", b)):
        counted = {tag: sum(tag in (card or ()) for card in tags) for tag in NAMES}
        none = sum(not card for card in tags)
        got = dict(found.select("value", f"n_{side}").iter_rows())
        assert got == {t: n for t, n in counted.items() if t in got} | {None: none}
        assert sum(counted.values()) == sum(n for value, n in got.items() if value is not None)
        assert found[f"share_{side}"].to_list() == [n / len(tags) for n in found[f"n_{side}"]]
        shares = found[f"share_weighted_{side}"].drop_nulls()
        assert shares.sum() == pytest.approx(float(any(tags)))
    assert found["value"][-1] is None
    assert (found["share_difference_low"] <= found["share_difference"]).all()
    assert (found["share_difference"] <= found["share_difference_high"]).all()
    parts = found["contribution_share"].drop_nulls()
    assert parts.is_empty() or parts.sum() == pytest.approx(1) or parts.sum() == 0


def test_known_distances():
    same, other = tagged([["a"], ["b"]]), tagged([["c"], ["d"]], "y")
    assert cl.compare(same, same, columns=["tags"])["distance"][0] == 0
    assert cl.compare(same, other, columns=["tags"])["distance"][0] == 1
    # shares 1, 0 against a half each: 0.75 * log2(4 / 3) bits
    half = cl.compare(tagged([["a"]]), tagged([["a"], ["b"]], "y"), columns=["tags"])
    assert half["divergence"][0] == pytest.approx(
        0.5 * np.log2(4 / 3) + 0.25 * np.log2(2 / 3) + 0.25
    )


def test_newcombe_interval_of_the_paper():
    """Newcombe 1998, table II: 56/70 against 48/80, method 10: 0.0524 to 0.3339."""
    a = tagged([["a"]] * 56 + [[]] * 14)
    b = tagged([["a"]] * 48 + [[]] * 32, "y")
    row = cl.compare_values(a, b, column="tags").row(0, named=True)
    ends = [round(row[f"share_difference_{end}"], 4) for end in ("low", "high")]
    assert ends == [0.0524, 0.3339]


def test_chance_is_what_random_halves_give():
    """Parts of one corpus are beyond the level of chance about once in twenty, others always."""
    cards = cl.make_cards(2400, text=False, embedding_dim=0)
    shuffled = cards.sample(fraction=1, shuffle=True, seed=1)
    beyond = []
    for at in range(24):
        part = shuffled.slice(at * 100, 100)
        rest = shuffled.slice(((at + 7) % 24) * 100, 100)
        found = cl.compare(
            part, rest, columns=["pipeline_tag", "license"], n_permutations=60, random_state=at
        )
        beyond += (found["distance"] > found["null_high"]).to_list()
        assert (found["null_mean"] > 0.05).all()  # small samples are far apart by chance
    assert sum(beyond) <= 8
    apart = cl.compare(
        cards.filter(pl.col("topic") < 4),
        cards.filter(pl.col("topic") >= 4),
        columns=["pipeline_tag"],
    )
    assert apart["p_value"][0] == pytest.approx(1 / 201)
    assert apart["distance"][0] > apart["null_high"][0]


def test_less_chance_the_distance_is_that_of_large_samples():
    rng = np.random.default_rng(0)
    p, q = [0.5, 0.3, 0.2], [0.3, 0.4, 0.3]
    found = []
    for seed in range(20):
        drawn = [
            pl.DataFrame({"id": range(60), "v": np.array(NAMES[:3])[rng.choice(3, 60, p=shares)]})
            for shares in (p, q)
        ]
        found.append(cl.compare(*drawn, columns=["v"], n_permutations=60, random_state=seed))
    rows = pl.concat(found)
    true = jensenshannon(p, q, base=2) ** 2
    beyond = (rows["distance_beyond_chance"] ** 2).mean()
    assert beyond == pytest.approx(true, abs=0.4 * (rows["divergence"].mean() - true))
    assert rows["divergence"].mean() > 1.2 * true


def authored(rng, sizes, shares, icc, who="a"):
    """Cards of authors of these sizes, whose values are as alike as the correlation says."""
    author = np.repeat(np.arange(len(sizes)), sizes)
    kinds = len(shares)
    own = rng.choice(kinds, len(sizes), p=shares)[author]
    drawn = rng.choice(kinds, len(author), p=shares)
    value = np.where(rng.random(len(author)) < icc**0.5, own, drawn)  # two share the own: icc
    return pl.DataFrame({"author": author, "v": value}).with_columns(
        pl.format("{}{}", pl.lit(who), "author").alias("author"), pl.col("v").cast(pl.String)
    )


def zipf(rng, n_authors, most=60):
    return np.minimum(rng.zipf(1.7, n_authors), most)


@pytest.mark.parametrize("few", [True, False], ids=["one card an author", "as the other"])
def test_authors_alike_in_all_but_size_are_not_apart(few):
    """Cards of one author are alike, and in half of the runs the authors of one side are small."""
    rng = np.random.default_rng(3)
    told: dict[str, list[float]] = {"null": [], "planted": [], "cards": []}
    for _ in range(20):
        own = np.ones(120, int) if few else zipf(rng, 120)
        shares, other = [0.5, 0.3, 0.1, 0.1], [0.2, 0.3, 0.4, 0.1]
        b = authored(rng, zipf(rng, 150), shares, 0.5, "b")
        how = {"columns": ["v"], "n_permutations": 60}
        for name, of in (("null", shares), ("planted", other)):
            a = authored(rng, own, of, 0.5)
            told[name] += cl.compare(a, b, **how)["p_value"].to_list()
            if name == "null":
                told["cards"] += cl.compare(a, b, cluster=None, **how)["p_value"].to_list()
    n_apart = {name: sum(p <= 0.05 for p in found) for name, found in told.items()}
    assert n_apart["null"] <= 3
    assert n_apart["planted"] >= 14
    assert few or n_apart["cards"] >= 7  # as if each card were drawn by itself


def test_a_corpus_of_one_author_is_held_against_the_other_card_by_card():
    rng = np.random.default_rng(0)
    own = authored(rng, [80], [0.2, 0.3, 0.5], 0, "own")
    hub = authored(rng, zipf(rng, 200), [0.5, 0.3, 0.2], 0.2)
    for cards in (own, hub.filter(pl.col("author") == hub["author"].mode().sort()[0])):
        found = cl.compare(cards, hub, columns=["v"], n_permutations=99)
        assert found.equals(cl.compare(cards, hub, columns=["v"], n_permutations=99, cluster=None))
    assert cl.compare(own, hub, columns=["v"])["p_value"][0] < 0.05
    with pytest.raises(cl.MissingColumn, match=r"first corpus \(a\).*'maker'"):
        cl.compare(own, hub, columns=["v"], cluster="maker")


def test_same_seed_same_figures_and_columns_apart():
    a, b = cl.make_cards(300), cl.make_cards(300, random_state=1)
    first = cl.compare(a, b)
    assert first.equals(cl.compare(a.lazy(), b.lazy()))
    assert set(first["column"]) == {
        *("tags", "license_spdx", "license_class", "language_codes", "pipeline_tag"),
        *("library_name", "n_words"),
    }
    assert first["distance_beyond_chance"].is_sorted(descending=True)
    alone = cl.compare(a, b, columns=["license_class"])
    assert alone.equals(first.filter(pl.col("column") == "license_class"))


def test_shared_ids_are_counted_and_can_be_left_out():
    cards = cl.make_cards(400, text=False, embedding_dim=0)
    own = cards.head(50)
    kept = cl.compare(own, cards, columns=["tags"]).row(0, named=True)
    assert (kept["n_shared"], kept["n_cards_b"]) == (50, 400)
    apart = cl.compare(own, cards, columns=["tags"], leave_out_shared=True)
    assert apart.select("n_shared", "n_cards_b").rows() == [(50, 350)]
    assert apart["distance"][0] > kept["distance"]
    rest = cl.compare(own, cards.tail(350), columns=["tags"])
    assert rest["distance"].equals(apart["distance"])
    values = cl.compare_values(own, cards, column="tags", leave_out_shared=True)
    assert set(values["n_cards_b"]) == {350}
    with pytest.raises(cl.NoFigure, match="were left out"):
        cl.compare(cards, own, leave_out_shared=True)


def test_lengths_are_compared_by_bins():
    texts = [("w " * n).strip() for n in (0, 1, 3, 4, 120, 150)]
    a = pl.DataFrame({"id": range(6), "text": texts})
    b = pl.DataFrame({"id": range(6), "text": [*texts[:5], None]})
    found = cl.compare_values(a, b, column="n_words")
    assert dict(found.select("value", "n_a").iter_rows()) == {
        "0": 1, "1": 1, "2 to 4": 2, "100 to 199": 2, None: 0,
    }  # fmt: skip
    assert found.filter(pl.col("value") == "100 to 199").select("n_b", "n_declared_b").rows() == [
        (1, 5)
    ]
    odd = pl.DataFrame({"id": [1, 2, 3, 4, 5], "x": [-3.5, float("nan"), None, 1.5, 1e15]})
    values = cl.compare_values(odd, odd, column="x")
    assert set(values["value"]) == {"below 0", "1 to below 2", "500,000,000,000 and more", None}


def test_one_card_of_thousands_of_values_does_not_outweigh_the_rest():
    a = tagged([[f"t{i}" for i in range(4000)], *[["a"]] * 99])
    assert cl.compare(a, tagged([["a"]] * 100, "y"), columns=["tags"])["distance"][0] < 0.1


def test_changes_equal_python():
    a, b = cl.make_cards(200), cl.make_cards(200)
    before = b.head(180).with_columns(
        pl.when(pl.int_range(pl.len()) < 7).then(pl.lit("changed")).otherwise("text").alias("text"),
        tags=pl.col("tags").list.reverse(),
        library_name=pl.when(pl.int_range(pl.len()) != 3).then("library_name").fill_null("none"),
    )
    after = a.tail(190).sample(fraction=1, shuffle=True, seed=0)
    found = compare_ids(after, before)
    assert found.columns == ["id", "change", "columns", "n_ids_a", "n_ids_b", "n_shared"]
    old = {row["id"]: row for row in before.iter_rows(named=True)}
    new = {row["id"]: row for row in after.iter_rows(named=True)}
    assert set(found.filter(pl.col("change") == "added")["id"]) == new.keys() - old.keys()
    assert set(found.filter(pl.col("change") == "removed")["id"]) == old.keys() - new.keys()
    changed = {
        key: [name for name in ("library_name", "text") if old[key][name] != new[key][name]]
        for key in old.keys() & new.keys()
    }
    got = dict(found.filter(pl.col("change") == "changed").select("id", "columns").iter_rows())
    assert got == {key: names for key, names in changed.items() if names}
    assert set(found.select("n_ids_a", "n_ids_b", "n_shared").rows()) == {(190, 180, 170)}
    assert compare_ids(a, a).height == 0
    assert compare_ids(a, a.select("id")).height == 0


def test_changes_of_ids_that_occur_twice_and_of_nulls():
    a = pl.DataFrame({"id": ["x", "x", "y", "z", None], "license": [["b"], ["a"], None, [], ["q"]]})
    b = pl.DataFrame({"id": ["x", "y", "x", "z"], "license": [["a"], [], ["b"], []]})
    found = compare_ids(a, b)
    assert found.select("id", "change", "columns").rows() == [("y", "changed", ["license"])]
    once = compare_ids(a, b.head(2))
    assert once.filter(pl.col("id") == "x")["change"].to_list() == ["changed"]
    assert set(once["n_ids_a"]) == {3}


def test_real_snapshots_of_the_same_cards(data):
    """The two layouts of the same 2,577 cards hold the same ids, tags and texts."""
    a = cl.scan_cards(data / "model_cards.seed.parquet")
    b = cl.scan_cards(data / "model_cards.librarian.parquet")
    found = compare_ids(a, b, columns=["tags", "library_name"])
    assert found.height == 0
    tags = cl.compare(a, b, columns=["tags"], n_permutations=5)
    assert tags.select("distance", "n_cards_a", "n_cards_b", "n_shared").rows() == [
        (0, 2577, 2577, 2577)
    ]


def test_other_engines_hand_over_their_columns():
    a = cl.make_cards(120, text=False, embedding_dim=0).select("id", "tags", "license")
    b = cl.make_cards(120, text=False, embedding_dim=0, random_state=1).select(
        "id", "tags", "license"
    )
    wanted = cl.compare(a, b, n_permutations=10)
    with duckdb.connect() as connection:
        connection.register("a", a.to_arrow())
        connection.register("b", b.to_arrow())
        there = connection.table("a"), connection.table("b")
        assert cl.compare(*there, n_permutations=10).equals(wanted)
        assert compare_ids(*there).equals(compare_ids(a, b))


def test_errors_name_the_side():
    cards = cl.make_cards(60)
    with pytest.raises(cl.MissingColumn, match=r"second corpus \(b\).*'tags'"):
        cl.compare(cards, cards.drop("tags"), columns=["tags"])
    with pytest.raises(cl.MissingColumn, match=r"first corpus \(a\).*'license'"):
        cl.compare_values(cards.drop("license"), cards, column="license_class")
    with pytest.raises(cl.MissingColumn, match=r"first corpus \(a\).*'id'"):
        compare_ids(cards.drop("id"), cards)
    with pytest.raises(cl.NoFigure, match=r"second corpus \(b\) has no cards"):
        cl.compare(cards, cards.clear())
    with pytest.raises(cl.NoFigure, match="in common"):
        cl.compare(cards, cards.select("id"))
    with pytest.raises(cl.CardlabError, match=r"first corpus \(a\).*no source of cards"):
        cl.compare(7, cards)
    with pytest.raises(cl.CardlabError, match="created_at.*Datetime"):
        cl.compare(cards, cards, columns=["created_at"])
    with pytest.raises(cl.CardlabError, match="n_permutations"):
        cl.compare(cards, cards, n_permutations=0)


def test_charts():
    a, b = cl.make_cards(200), cl.make_cards(200, random_state=1)
    found = cl.compare(a, b, n_permutations=20, names=["ours", "Hub"])
    bars = cl.plot_comparison(found).to_dict()
    assert "ours: 200 cards against Hub: 200 cards" in bars["title"]["subtitle"][0]
    assert "mine: 200 cards" in str(cl.plot_comparison(found, names=["mine", "Hub"]).to_dict())
    # only what is beyond chance is named
    for p_value, said in ((0.05, "Beyond chance: t"), (0.06, "Beyond chance: nothing")):
        some = found.head(1).with_columns(column=pl.lit("t"), p_value=p_value)
        chart = cl.plot_comparison(some).to_dict()
        assert said in chart["description"] and said in chart["title"]["subtitle"][-1]
        assert ("grey" in str(chart["title"])) == (p_value > 0.05)
    values = cl.compare_values(a, b, column="tags")
    dots = cl.plot_comparison(values, names=["ours", "Hub"], top=7).to_dict()
    (rows,) = dots["datasets"].values() if "datasets" in dots else [dots["data"]["values"]]
    assert len(rows) == 14
    assert {row["corpus"] for row in rows} == {"ours", "Hub"}
    assert all(row["share_low"] <= row["card_share"] <= row["share_high"] for row in rows)
    with pytest.raises(cl.CardlabError, match="two different"):
        cl.plot_comparison(values, names=["a", "a"])
    with pytest.raises(cl.CardlabError, match="compare or compare_values"):
        cl.plot_comparison(cl.tag_counts(a))
    with pytest.raises(cl.NoFigure):
        cl.plot_comparison(values.clear())
    hostile = tagged([["</script>", "\u202eabc", "a.b[0]"]])
    drawn = cl.plot_comparison(cl.compare_values(hostile, tagged([["c"]], "y"), column="tags"))
    assert "\u202e" not in drawn.to_json()


def coverage(n_runs, seed=0):
    """Of differences, by design: the share held, of reliable ones, and that called apart."""
    rng = np.random.default_rng(seed)
    p, q = np.array([0.5, 0.3, 0.12, 0.05, 0.03]), np.array([0.3, 0.4, 0.12, 0.15, 0.03])
    found = {}
    for shared, icc in [(shared, icc) for shared in (False, True) for icc in (0, 0.1, 0.5, 1)]:
        rows = []
        for _ in range(n_runs):
            sides, n, luck = [], int(rng.integers(60, 400)), None
            for who, shares in (("a", p), ("b", q)):
                n = n if shared else int(rng.integers(60, 400))
                luck = luck if shared and luck is not None else rng.random(n)
                own = np.minimum(np.searchsorted(shares.cumsum(), luck), 4)
                author = np.repeat(np.arange(n), zipf(rng, n))
                drawn = rng.choice(5, len(author), p=shares)
                value = np.where(rng.random(len(author)) < icc**0.5, own[author], drawn)
                side = pl.DataFrame({"author": author, "v": value}).cast(pl.String)
                sides.append(side.with_columns(("" if shared else who) + pl.col("author")))
            rows.append(cl.compare_values(*sides, column="v").drop_nulls("value"))
        all_rows = pl.concat(rows).with_columns(pl.col("value").cast(pl.Int64))
        true = pl.lit(pl.Series(p - q)).gather(pl.col("value"))
        inside = true.is_between("share_difference_low", "share_difference_high")
        found[shared, icc] = all_rows.select(
            all=inside.mean(),
            reliable=inside.filter("is_reliable").mean(),
            equal=pl.col("is_apart").filter(pl.col("value").is_in([2, 4])).mean(),
            other=pl.col("is_apart").filter(~pl.col("value").is_in([2, 4])).mean(),
        ).row(0, named=True)
    return found


def test_intervals_of_differences_know_authors():
    found = coverage(12)
    assert np.mean([row["all"] for row in found.values()]) > 0.89
    assert np.mean([row["equal"] for row in found.values()]) <= 0.05
    assert all(row["other"] > 0.9 for (_, icc), row in found.items() if icc == 0)


@pytest.mark.verify
def test_intervals_of_differences_know_authors_in_all_designs():
    found = coverage(500)
    assert 0.94 <= np.mean([row["reliable"] for row in found.values()]) <= 0.97
    for design, row in found.items():
        # of 500 runs the share that covers has a standard error of 0.011
        assert 0.93 - 2 * 0.011 <= row["reliable"] <= 0.97 + 2 * 0.011, (design, row)
        assert row["equal"] <= 0.05, (design, row)


def test_two_sources_go_by_what_tells_them_apart(tmp_path):
    cards = cl.make_cards(60, embedding_dim=0)
    paths = []
    for name in ("mine/hub.parquet", "old/hub.parquet", "old/hub.ndjson"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        (cards.write_parquet if path.suffix == ".parquet" else cards.write_ndjson)(path)
        paths.append(path)
    columns = {"columns": ["tags"], "n_permutations": 2}
    for pair, names in (
        (paths[:2], ("mine", "old")),
        (paths[1:], ("hub.parquet", "hub.ndjson")),
        ([paths[0], cards], ("a", "b")),
        ([paths[0].parent, str(paths[1])], ("mine", "hub")),
    ):
        assert cl.compare(*pair, **columns).select("name_a", "name_b").row(0) == names
    values = cl.compare_values(*paths[:2], column="tags", names=("ours", "the Hub"))
    assert values.select("name_a", "name_b").unique().rows() == [("ours", "the Hub")]
    with pytest.raises(cl.CardlabError, match="two different"):
        cl.compare(cards, cards, names=["x", "x"])


def test_a_baseline_is_found_from_any_folder_and_its_path_is_not_shown(tmp_path, monkeypatch):
    """The kernel works elsewhere; a page tells nothing about the machine it was made on."""
    cards = cl.make_cards(80, embedding_dim=0)
    (tmp_path / "deep").mkdir()
    cards.head(60).write_parquet(tmp_path / "deep" / "hub.parquet")
    monkeypatch.chdir(tmp_path)
    given = {
        "baseline": "deep/hub.parquet", "leave_out_shared": True, "names": ["ours", "the Hub"],
    }  # fmt: skip
    path = cl.export_report("08", tmp_path / "out.html", source=cards, parameters=given)
    page = path.read_text("utf-8")
    assert str(tmp_path) not in page
    assert "hub.parquet" in page
    assert "cards, ours" in page and "cards, the Hub" in page
    assert "60" in page and "No figure here" in page  # all of its cards are in the source
    with pytest.raises(FileNotFoundError, match="nowhere"):
        cl.export_report("08", tmp_path / "out.html", parameters={"baseline": "nowhere.parquet"})
    with pytest.raises(cl.CardlabError, match="baseline must be"):
        cl.export_report("08", tmp_path / "out.html", parameters={"baseline": 7})
