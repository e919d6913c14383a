"""Profile, problems and growth, against hand-made cases and plain Python."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cardlab as cl
from cardlab.schema import DATE_FLOOR

FLOOR = dt.datetime.fromisoformat(DATE_FLOOR)


def test_profile_by_hand():
    cards = pl.DataFrame(
        {
            "id": ["a", "bb", None],
            "tags": [["x", "y"], [], None],
            "n": [1, 1, None],
            "v": [[1.0, 2.0], None, [3.0, 4.0]],
        },
        schema_overrides={"v": pl.Array(pl.Float32, 2)},
    )
    rows = {row["column"]: row for row in cl.profile(cards).iter_rows(named=True)}
    assert rows["id"] | {"dtype": "", "column": ""} == {
        **{"column": "", "dtype": "", "n_null": 1, "null_share": 1 / 3, "n_unique": 2},
        **{"length_min": 1, "length_median": 1.5, "length_max": 2, "examples": ["a (1)", "bb (1)"]},
    }
    tags = rows["tags"]
    assert (tags["n_null"], tags["n_unique"], tags["length_min"], tags["length_max"]) == (
        1,
        2,
        0,
        2,
    )
    assert tags["examples"] == ["x, y"]
    assert (rows["n"]["n_unique"], rows["n"]["length_min"]) == (1, None)
    assert (rows["v"]["n_unique"], rows["v"]["length_max"], rows["v"]["n_null"]) == (None, 2, 1)


def test_profile_of_no_cards():
    frame = cl.profile(pl.DataFrame(schema={"id": pl.String, "tags": pl.List(pl.String)}))
    assert frame["null_share"].to_list() == [None, None]
    assert frame["n_unique"].to_list() == [0, 0]


def test_profile_equals_plain_python(data):
    cards = cl.read_cards(data / "model_cards.seed.parquet")
    rows = {row["column"]: row for row in cl.profile(cards).iter_rows(named=True)}
    for column in ("id", "pipeline_tag", "text", "metadata"):
        values = cards[column].to_list()
        known = [v for v in values if v is not None]
        assert rows[column]["n_null"] == len(values) - len(known)
        assert rows[column]["n_unique"] == len(set(known))
        assert rows[column]["length_max"] == max(map(len, known))
    first = Counter(cards["pipeline_tag"].drop_nulls()).most_common(1)[0]
    assert rows["pipeline_tag"]["examples"][0] == f"{first[0]} ({first[1]})"
    assert rows["tags"]["n_unique"] == len({tag for tags in cards["tags"] for tag in tags})


def test_profile_shows_no_active_characters():
    cards = pl.DataFrame({"id": ["\x1b[2Jx\u202ey"]})
    assert cl.profile(cards)["examples"][0].to_list() == ["\ufffd[2Jx\ufffdy (1)"]


def test_problems_of_values():
    cards = cl.read_cards(
        pl.DataFrame(
            {
                "id": ["a", "a", "b", "c"],
                "license": [["mit"], ["PUBLIC DOMAIN NOTICE"], [], None],
                "languages": [["en", "pt-BR"], ["english", "no"], ["multilingual"], None],
                "metadata": ['{"license": "mit"}', '{"license": ["x"]}', "{}", "[1]"],
                "tags": [["license:mit"], ["license:mit"], ["license:mit"], []],
            }
        )
    )
    found = cl.problems(cards).select("id", "column", "problem").rows()
    assert found == [
        ("a", "id", "duplicate_id"),
        ("a", "id", "duplicate_id"),
        ("a", "languages", "not_a_language"),
        ("a", "license", "not_a_license"),
        ("c", "metadata", "not_a_mapping"),
        ("a", "license", "tags_disagree"),
    ]


def test_problems_of_the_real_broken_cards(data):
    found = cl.problems(cl.scan_cards(data / "broken_front_matter.librarian.parquet"))
    counts = Counter(found["problem"])
    assert counts["unterminated"] == 1
    assert counts["not_a_mapping"] == 1
    assert counts["yaml_error"] in (8, 9)  # libyaml reads one that the reference parser refuses
    assert counts["duplicate_id"] == 8
    assert found.filter(problem="unterminated")["detail"][0].startswith("line 1:")


def test_every_real_frame_has_its_problems_listed(data):
    seed = cl.problems(cl.scan_cards(data / "model_cards.seed.parquet"))
    assert Counter(seed["problem"]) == {
        **{"null_metadata": 2, "not_a_license": 3, "not_a_language": 4},
        **{"key_alias": 13, "front_matter_in_text": 2, "unknown_language": 13},
    }
    one = cl.problems(cl.scan_cards(data / "model_cards.seed.parquet"), columns="license")
    assert one.equals(seed.filter(column="license"))


def test_problems_of_licenses_and_languages_that_have_the_shape_of_an_id():
    cards = pl.DataFrame(
        {
            "id": ["a", "b", "c", "d"],
            "license": [["acme"], ["mit", "no words"], ["unknown"], ["apache2", "data"]],
            "languages": [["kr", "en"], ["code"], ["xq", "jp", "not one"], ["English"]],
        }
    )
    found = cl.problems(cards).rows()
    assert found == [
        ("c", "languages", "not_a_language", "'not one'"),
        ("d", "languages", "not_a_language", "'English'"),
        ("b", "license", "not_a_license", "'no words'"),
        ("a", "languages", "unknown_language", "'kr': valid, but perhaps not meant; perhaps ko"),
        (
            *("c", "languages", "unknown_language"),
            "'xq': no valid code, 'jp': a country's code; perhaps ja",
        ),
        ("a", "license", "unknown_license", "'acme': names no licence that is known here"),
        ("d", "license", "unknown_license", "'data': names no licence that is known here"),
    ]
    assert cl.problems(duckdb.sql("FROM cards")).rows() == found
    assert cl.problems(cards.lazy(), columns=["license"]).rows() == [found[2], *found[-2:]]
    with pytest.raises(cl.MissingColumn, match="'licence'"):
        cl.problems(cards, columns="licence")


def test_problems_of_vectors_and_texts():
    wide = "\n".join(["|a" * 300 + "|", "|-" * 300 + "|", "|b"])
    cards = pl.DataFrame(
        {
            "id": ["a", "b", "c", "d", "e", "f"],
            "text": ["x", "y", wide, "x", "x", "x"],
            "embeddings": [[1.0, 2.0], [1.0, 2.0], None, [0.0, 0.0], [float("nan"), 1.0], [3.0]],
        }
    )
    found = cl.problems(cards)
    assert found.select("id", "column", "problem").rows() == [
        ("e", "embeddings", "not_finite_vector"),
        ("c", "embeddings", "null_vector"),
        ("a", "embeddings", "shared_vector"),
        ("b", "embeddings", "shared_vector"),
        ("c", "text", "too_large"),
        ("f", "embeddings", "wrong_length_vector"),
        ("d", "embeddings", "zero_vector"),
    ]
    assert cl.problems(cards, columns="text")["detail"].to_list() == [
        "a table of 300 columns, of which 128 were read"
    ]
    odd = cl.problems(cards.with_columns(embeddings=pl.lit("x")))
    assert odd.select("id", "problem").rows() == [(None, "not_vectors"), ("c", "too_large")]
    assert cl.problems(cards.drop("text", "embeddings")).is_empty()


def test_growth_by_hand():
    cards = pl.DataFrame(
        {
            "created_at": [
                FLOOR,
                FLOOR,
                FLOOR + dt.timedelta(days=1),
                FLOOR + dt.timedelta(days=70),
                None,
            ],
            "task": ["x", "y", "x", None, "x"],
        }
    )
    grown = cl.growth(cards)
    assert grown.select("n_implausible", "n_undated", "floors").unique().rows() == [(0, 1, [FLOOR])]
    rows = grown.select("period", "n_new", "n_total", "at_floor").rows()
    month = [dt.datetime(2022, m, 1, tzinfo=dt.UTC) for m in (3, 4, 5)]
    assert rows == [(month[0], 3, 3, 2), (month[1], 0, 3, 0), (month[2], 1, 4, 0)]
    grouped = cl.growth(cards, by="task")
    assert grouped.filter(group="x")["n_total"].to_list() == [2, 2, 2]
    assert grouped.filter(pl.col("group").is_null())["n_new"].to_list() == [0, 0, 1]
    assert cl.growth(duckdb.sql("FROM cards"), by="task").equals(grouped)


def test_growth_equals_plain_python(data):
    for name in ("models_2022.parquet", "models_radar_2026.parquet"):
        cards = cl.read_cards(data / name)
        known = cards["created_at"].drop_nulls().to_list()
        expected = Counter((when.year, when.month) for when in known)
        grown = cl.growth(cards)
        assert {
            (p.year, p.month): n for p, n in grown.select("period", "n_new").rows() if n
        } == expected
        assert grown["n_total"].to_list()[-1] == len(known)
        second = FLOOR + dt.timedelta(seconds=1)
        assert grown["at_floor"].sum() == known.count(FLOOR) + known.count(second)


def test_growth_refuses_what_it_cannot_do():
    with pytest.raises(cl.CardlabError, match="every must be like '1mo'"):
        cl.growth(pl.DataFrame({"created_at": [FLOOR]}), every="month")
    with pytest.raises(
        cl.NoFigure, match="none of the 1 cards has a true creation date: 1 have none"
    ):
        cl.growth(
            pl.DataFrame({"created_at": [None]}, schema={"created_at": pl.Datetime("us", "UTC")})
        )
    with pytest.raises(cl.MissingColumn, match="created_at"):
        cl.growth(pl.DataFrame({"id": ["a"]}))


@given(
    st.lists(
        st.datetimes(dt.datetime(2018, 1, 1), dt.datetime(2027, 1, 1)), min_size=1, max_size=40
    ),
    st.sampled_from(["1d", "2w", "1mo", "1q", "1y"]),
)
def test_growth_adds_up(dates, every):
    cards = pl.DataFrame({"created_at": dates}).with_columns(
        pl.col("created_at").dt.replace_time_zone("UTC")
    )
    if every == "1d":
        cards = cards.head(3).filter(
            pl.col("created_at") < pl.col("created_at").min() + pl.duration(days=90)
        )
    grown = cl.growth(cards, every=every)
    assert grown["n_new"].sum() == cards.height == grown["n_total"][-1]
    assert (grown["at_floor"] <= grown["n_new"]).all()
    assert grown["period"].is_sorted()
    assert grown["n_total"].is_sorted()
