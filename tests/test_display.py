"""What notebooks show is escaped in every form, and carries its denominators."""

from __future__ import annotations

import math

import polars as pl
import pytest

import cardlab as cl

HOSTILE = "<script>x</script>\x1b[2J\u202e"
TABLE = "application/vnd.cardlab.table.v1+json"
FACTS = "application/vnd.cardlab.facts.v1+json"


def bundle(shown) -> dict:
    return shown._repr_mimebundle_()


def test_note():
    shown = cl.note("{n:,} of {name}", n=12_345, name=HOSTILE)
    html = bundle(shown)["text/html"]
    assert "12,345 of &lt;script&gt;" in html
    assert "\x1b" not in html + repr(shown)
    assert "\u202e" not in html


def test_key_figures():
    shown = cl.key_figures(
        {"cards": 2577, "with text": (30, 120), "none": (0, 0), HOSTILE: HOSTILE}
    )
    facts = bundle(shown)[FACTS]["facts"]
    assert facts[0] == {"label": "cards", "value": "2,577", "note": ""}
    assert facts[1] == {"label": "with text", "value": "30", "note": "of 120 (25.0 %)"}
    assert facts[2]["note"] == "of 0"
    assert "<script>" not in bundle(shown)["text/html"]
    assert "with text: 30 of 120 (25.0 %)" in repr(shown)


def test_table():
    frame = pl.DataFrame(
        {
            "name": [HOSTILE, None],
            "n_cards": [1234, 5],
            "card_share": [0.5, math.nan],
            "tags": [["a", HOSTILE], []],
            "when": pl.Series(["2024-01-02T03:04:05", None]).str.to_datetime(),
        }
    )
    shown = cl.show_table(frame, caption="A table", labels={"name": "who"}, max_rows=1)
    table = bundle(shown)[TABLE]
    assert [c["kind"] for c in table["columns"]] == ["text", "int", "share", "list", "date"]
    assert [c["label"] for c in table["columns"]][:3] == ["who", "cards", "share of cards"]
    assert table["n_total"] == 2
    assert table["data"][1:3] == [[1234], [0.5]]
    assert table["data"][4] == ["2024-01-02"]
    html = bundle(shown)["text/html"]
    assert "&lt;script&gt;" in html
    assert "<script>" not in html
    assert "First 1 of 2 rows." in html
    assert "\x1b" not in html
    assert bundle(cl.show_table(frame, caption="x"))[TABLE]["data"][2] == [0.5, None]


def test_numbers_are_written_out():
    frame = pl.DataFrame({"x": [74_970.0, 9_999.5, -123_456_789.4, 0.031_07, 2e-9, 1e300]})
    html = bundle(cl.show_table(frame, caption="x"))["text/html"]
    shown = ["74,970", "10,000", "-123,456,789", "0.03107", "2e-09", "1e+300"]
    assert all(f">{text}</td>" in html for text in shown)
    facts = bundle(cl.key_figures({"a": 1234.5, "b": 22.31}))[FACTS]["facts"]
    assert [fact["value"] for fact in facts] == ["1,234", "22.3"]


def test_empty_table_is_no_figure():
    with pytest.raises(cl.NoFigure, match="would have no rows"):
        cl.show_table(pl.DataFrame({"a": []}), caption="nothing")


def test_where_possible_catches_only_missing_figures(capsys):
    with cl.where_possible():
        cl.growth(pl.DataFrame({"id": ["a"]}))
    assert "No figure here: this corpus has no column 'created_at'" in capsys.readouterr().out
    with pytest.raises(ZeroDivisionError), cl.where_possible():
        1 / 0  # noqa: B018
    with pytest.raises(cl.CardlabError), cl.where_possible():
        cl.cluster(None, n_clusters="many")


def test_provenance_tells_all_but_the_path(tmp_path):
    path = tmp_path / "secret" / "corpus.parquet"
    path.parent.mkdir()
    cl.make_cards(3).write_parquet(path)
    cards = cl.read_cards(path)
    parameters = {"source": str(path), "top": 3}
    table = bundle(cl.provenance(cards, source=str(path), parameters=parameters))[TABLE]
    rows = dict(zip(*table["data"], strict=True))
    assert rows["source"] == "secret/corpus.parquet"
    assert len(rows["SHA-256 of the source"]) == 64
    assert (rows["cards"], rows["parameter top"]) == ("3", "3")
    assert str(tmp_path) not in str(table)
    assert {"Python", "cardlab", "polars", "altair", "scikit-learn"} <= set(rows)
    again = bundle(cl.provenance(cards, source=str(path), parameters=parameters))[TABLE]
    assert again == table
