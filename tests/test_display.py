"""What notebooks show is escaped in every form, and carries its denominators."""

from __future__ import annotations

import math

import polars as pl
import pytest
from browser import opened_report

import cardlab as cl
from cardlab import notebook as nb
from cardlab.schema import printable

HOSTILE = "<script>x</script>\x1b[2J\u202e"
TABLE = "application/vnd.cardlab.table.v1+json"
FACTS = "application/vnd.cardlab.facts.v1+json"


def bundle(shown) -> dict:
    return shown._repr_mimebundle_()


def test_note():
    shown = nb.note("{n:,} of {name}", n=12_345, name=HOSTILE)
    html = bundle(shown)["text/html"]
    assert "12,345 of &lt;script&gt;" in html
    assert "\x1b" not in html + repr(shown)
    assert "\u202e" not in html


def test_key_figures():
    shown = nb.key_figures(
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
    shown = nb.show_table(frame, caption="A table", labels={"name": "who"}, max_rows=1)
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
    assert bundle(nb.show_table(frame, caption="x"))[TABLE]["data"][2] == [0.5, None]


def test_numbers_are_written_out():
    frame = pl.DataFrame({"x": [74_970.0, 9_999.5, -123_456_789.4, 0.031_07, 2e-9, 1e300]})
    html = bundle(nb.show_table(frame, caption="x"))["text/html"]
    shown = ["74,970", "10,000", "-123,456,789", "0.03107", "2e-09", "1e+300"]
    assert all(f">{text}</td>" in html for text in shown)
    facts = bundle(nb.key_figures({"a": 1234.5, "b": 22.31}))[FACTS]["facts"]
    assert [fact["value"] for fact in facts] == ["1,234", "22.3"]


def test_empty_table_is_no_figure():
    with pytest.raises(cl.NoFigure, match="would have no rows"):
        nb.show_table(pl.DataFrame({"a": []}), caption="nothing")


def test_where_possible_catches_only_missing_figures(capsys):
    with nb.where_possible():
        cl.growth(pl.DataFrame({"id": ["a"]}))
    assert "No figure here: this corpus has no column 'created_at'" in capsys.readouterr().out
    with pytest.raises(ZeroDivisionError), nb.where_possible():
        1 / 0  # noqa: B018
    with pytest.raises(cl.CardlabError), nb.where_possible():
        cl.cluster(None, n_clusters="many")


def test_an_empty_table_may_be_an_answer():
    shown = nb.show_table(pl.DataFrame({"a": []}), caption="odd", empty=f"None: {HOSTILE}{{x}}")
    assert "None: &lt;script&gt;" in bundle(shown)["text/html"]
    assert "{x}" in bundle(shown)["text/plain"]


@pytest.fixture
def shell():
    from IPython.core.interactiveshell import InteractiveShell

    made = InteractiveShell()
    nb.say_no_figure(made)
    made.run_cell("import cardlab as cl")
    return made


def test_a_cell_without_its_figure_says_so_and_the_notebook_goes_on(shell, capsys):
    first = shell.run_cell("a = 1\nraise cl.NoFigure('no dates')\nb, (c, d) = 2, (3, 4)")
    assert first.success
    assert "No figure here: no dates" in capsys.readouterr().out
    assert shell.user_ns["a"] == 1  # what came before the reason is there
    for name in "bcd":
        assert shell.run_cell(f"{name} + a").success
        assert "No figure here: no dates" in capsys.readouterr().out
    again = shell.run_cell("total = b + 1")  # and so is what hangs on it
    assert again.success
    assert shell.run_cell("total").success
    assert capsys.readouterr().out.count("No figure here: no dates") == 2
    assert shell.run_cell("b = 5\nb").result == 5
    assert "No figure" not in capsys.readouterr().out


def test_what_an_earlier_run_left_is_not_shown_for_this_one(shell, capsys):
    cell = "if lacking:\n    raise cl.NoFigure('no tags')\ncounts = [1]"
    shell.user_ns["lacking"] = False
    assert shell.run_cell(cell).success
    shell.user_ns["lacking"] = True
    assert shell.run_cell(cell).success
    assert "counts" not in shell.user_ns
    assert shell.run_cell("counts").success
    assert capsys.readouterr().out.count("No figure here: no tags") == 2


def test_what_another_cell_made_stays(shell):
    assert shell.run_cell("corpus = 3").success
    assert shell.run_cell("corpus = (_ for _ in ()).throw(cl.NoFigure('no text'))").success
    assert shell.run_cell("corpus").result == 3


@pytest.mark.parametrize("source", ["1 / 0", "unheard_of", "raise cl.CardlabError('odd')", "b ="])
def test_any_other_error_stops_the_notebook(shell, source, capsys):
    shell.run_cell("raise cl.NoFigure('no dates')\nb = 1")
    assert not shell.run_cell(source).success
    assert "Error" in capsys.readouterr().out.split("no dates")[-1]


def test_provenance_tells_all_but_the_path(tmp_path):
    path = tmp_path / "secret" / "corpus.parquet"
    path.parent.mkdir()
    cl.make_cards(3).write_parquet(path)
    cards = cl.read_cards(path)
    table = bundle(nb.provenance(cards, source=str(path), top=3))[TABLE]
    rows = dict(zip(*table["data"], strict=True))
    assert rows["source"] == "secret/corpus.parquet"
    assert len(rows["SHA-256 of the source"]) == 64
    assert (rows["cards"], rows["parameter top"]) == ("3", "3")
    assert str(tmp_path) not in str(table)
    assert {"Python", "cardlab", "polars", "altair", "scikit-learn"} <= set(rows)
    again = bundle(nb.provenance(cards, source=str(path), top=3))[TABLE]
    assert again == table


def test_a_page_says_once_what_the_corpus_lacks(capsys, monkeypatch):
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

    from cardlab.report.outputs import Outputs
    from cardlab.report.page import render_page

    shown = []
    monkeypatch.setattr(nb, "display", lambda it: shown.append(it._repr_mimebundle_()))
    for frame in (pl.DataFrame({"id": ["a"]}), pl.DataFrame({"id": ["a"], "other": [1]})):
        for figure in (cl.growth, cl.doubling_time, cl.tag_counts):
            with nb.where_possible():
                figure(frame)
    cells = [new_markdown_cell("# Title\n\nWhat is there?")]
    for number, data in enumerate(shown):
        cells.append(new_markdown_cell(f"## Part {number} <b>"))
        cells.append(new_code_cell("x", outputs=[new_output("display_data", data=data)]))
    html = render_page(new_notebook(cells=cells), name="x", outputs=Outputs())
    assert html.count("No figure here") == 1
    assert html.count('class="lack"') == 2  # no dates, no tags
    assert "“Part 0 &lt;b&gt;”; “Part 1 &lt;b&gt;”; “Part 3 &lt;b&gt;”; “Part 4 &lt;b&gt;”" in html
    assert "“Part 2 &lt;b&gt;”; “Part 5 &lt;b&gt;”" in html
    assert "<h2" not in html  # a section with nothing to show has no heading


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_long_table_is_sorted_and_searched_in_a_cell_too(tmp_path, monkeypatch, scheme):
    names = [HOSTILE, *(f"tag {i:02d}" for i in range(40))]
    frame = pl.DataFrame({"tag": names, "n_cards": range(41)})
    html = bundle(nb.show_table(frame, caption=f"Tags {HOSTILE}"))["text/html"]
    assert "iframe" not in bundle(nb.show_table(frame.head(20), caption="x"))["text/html"]
    path = tmp_path / "cell.html"
    path.write_text(f'<meta charset="utf-8"><div data-jp-theme-light="{scheme == "light"}">{html}')
    path.write_text(path.read_text().replace("True", "true").replace("False", "false"))
    # a frame is dark where its element is; the browser's own preference would decide for all
    with opened_report(path, color_scheme="null") as seen:
        page = seen.page
        assert not page.locator("table.dataframe").is_visible()
        table = page.frame_locator("iframe")
        assert table.locator(".status").inner_text() == "41 of 41 rows"
        assert table.locator("td").first.inner_text() == printable(HOSTILE)
        table.locator("input[type=search]").fill("tag 3")
        assert table.locator("tbody tr").count() == 10
        table.locator("th button").nth(1).click()
        assert table.locator("td").first.inner_text() == "tag 39"
        color = table.locator("section").evaluate("(e) => getComputedStyle(e).backgroundColor")
        assert color == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(27, 33, 40)")
        assert seen.requests == seen.dialogs == []
    monkeypatch.setenv("CARDLAB_PICTURES", "0")
    assert "iframe" not in bundle(nb.show_table(frame, caption="x"))["text/html"]
