"""Inputs that go wrong: texts, sections, vectors and their charts."""

from __future__ import annotations

import re
import time

import numpy as np
import polars as pl
import pytest
import vl_convert

import cardlab as cl

WIDE = "|a" * 40_000 + "|\n" + "|-" * 40_000 + "|\n" + "|b\n" * 12


# ------------------------------------------------------------------ tables of very many columns


def test_S01_a_table_of_very_many_columns_is_read_in_no_time_and_listed():
    cards = pl.DataFrame(
        {"id": ["o/wide", "o/plain"], "text": [f"# A\n\n{WIDE}\n## License\n\n[MIT](x)\n", "# B"]}
    )
    begin = time.process_time()
    lengths = cl.with_text_lengths(cards).row(0, named=True)
    covered = cl.card_coverage(cards).filter(section="License", id="o/wide")
    words = cl.with_sections(cards)["text_lists"].to_list()
    assert time.process_time() - begin < 2
    text = cards["text"][0]
    assert lengths["n_chars"] == len(text)
    assert lengths["n_words"] == len(text.split())
    assert (lengths["n_tables"], lengths["n_links"], lengths["n_sections"]) == (1, 1, 2)
    assert covered["state"].to_list() == ["filled"]
    assert words == [["# A", "## License\n\nMIT"], ["# B"]]
    listed = cl.text_problems(cards)
    assert listed.columns == cl.problems(cards).columns
    assert listed.rows() == [
        ("o/wide", "text", "too_large", "a table of 40,000 columns, of which 128 were read")
    ]
    assert cl.text_problems(cards.lazy()).equals(listed)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("head", "rule"),
    [
        ("|a" * 300 + "|", "|-" * 300 + "|"),
        ("a|" * 299 + "a", "-|" * 299 + "-"),
        ("|a" * 300, "| :-: " * 300 + "|"),
        ("> " + "|a" * 300, "> " + "|-" * 300),
        ("1. " + "|a\\|b" * 300 + "|", "   " + "|-" * 300 + "|"),
        ("- > " + "|a" * 300 + "|", "  > " + "|-" * 300 + "|"),
    ],
)
def test_S01_tables_of_every_kind_stay_tables(end, head, rule):
    text = end.join(["Before", "", head, rule, "|b", "", "# After [x](y)"])
    row = cl.with_text_lengths(pl.DataFrame({"id": ["a"], "text": [text]})).row(0, named=True)
    assert (row["n_tables"], row["n_links"], row["n_sections"]) == (1, 1, 1)
    assert cl.text_problems(pl.DataFrame({"id": ["a"], "text": [text]})).height == 1
    assert [part.title for part in cl.sections(text)] == ["", "After x"]


def test_S01_what_is_no_table_or_small_is_left_alone(data):
    several = "|a" * 300 + "|\n" + "|-" * 299 + "|\n|b|\n"  # the rule does not fit its head
    assert cl.text_problems(pl.DataFrame({"id": ["a"], "text": [several]})).is_empty()
    assert "|a|a" in cl.plain_text(several)
    for name in ("model_cards.seed.parquet", "hub_2022_cards.librarian.parquet"):
        assert cl.text_problems(cl.scan_cards(data / name)).is_empty()


def test_S01_long_cards_and_lines_of_addresses():
    mails = " ".join(f"a{i}@b.org" for i in range(150))
    text = f"{mails}\n\nhttp://a.b/{')' * 50_000}\n"
    cards = pl.DataFrame({"id": ["a"], "text": [text]})
    assert cl.with_text_lengths(cards)["n_links"].to_list() == [101]
    assert cl.text_problems(cards)["detail"].to_list() == [
        "a line of more than 100 signs @, of which so many were read"
    ]
    long = "# A\n\n" + "word " * 400_000 + "\n\n# B\n\nend\n"
    cards = pl.DataFrame({"id": ["a"], "text": [long]})
    assert cl.text_problems(cards)["detail"].str.contains("2,000,000 were taken apart").all()
    assert cl.with_text_lengths(cards)["n_words"][0] == len(long.split())


# ------------------------------------------------------------------- charts of one single value


def words(*lengths: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [f"o/{i}" for i in range(len(lengths))],
            "text": ["w " * n for n in lengths],
            "task": ["ab"[i % 2] for i in range(len(lengths))],
            "downloads": [*range(len(lengths))],
        }
    )


def axis_labels(chart) -> list[list[str]]:
    """The labels that are drawn at each axis, read from the picture."""
    picture = vl_convert.vegalite_to_svg(chart.to_dict())
    axes = re.split(r'class="mark-text role-axis-label', picture)[1:]
    shown = re.compile(r"<text(?![^>]* opacity=\"0\")[^>]*>([^<]+)</text>")
    return [shown.findall(axis.split("</g>")[0]) for axis in axes]


LENGTHS = [[15] * 40, [15], [0], [0] * 40, [1], [161] * 20 + [169] * 20, [1_234_567], [3, 400]]


@pytest.mark.parametrize("lengths", LENGTHS, ids=lambda n: f"{len(n)} of {n[0]}")
def test_F32_charts_of_one_length_have_true_labels(lengths):
    cards = words(*lengths)
    measured = cl.with_text_lengths(cards, measures=["n_words"]).drop("text")
    made = {
        "medians": cl.plot_lengths(cl.length_summary(measured, by="task")),
        "curve": cl.plot_lengths(cl.length_ecdf(measured)),
        "bars": cl.plot_lengths(cl.length_histogram(measured)),
        "coverage": cl.plot_coverage(cl.section_coverage(cards, standard="liang2024")),
        "values": cl.plot_comparison(cl.compare_values(measured, measured, column="n_words")),
    }
    for name, chart in made.items():
        for labels in axis_labels(chart):
            assert len(labels) == len(set(labels)), (name, labels)
        numbers = [labels for labels in axis_labels(chart) if re.match(r"[\d,]+$", labels[0])]
        if name in ("medians", "curve", "bars"):
            ends = [int(label.replace(",", "")) for label in numbers[0]]
            assert len(ends) >= 2, (name, ends)
            assert ends[0] <= min(lengths), (name, ends)
            # among many, the last label may have no room
            assert max(lengths) <= ends[-1] or len(ends) > 4, (name, ends)
    one = made["bars"].to_dict()["title"]["subtitle"][0]
    assert one.startswith("1 card;" if len(lengths) == 1 else f"{len(lengths)} cards;")


def test_F32_a_curve_of_one_length_is_a_line():
    chart = cl.plot_lengths(cl.length_ecdf(words(15, 15))).to_dict()
    (rows,) = chart["datasets"].values() if "datasets" in chart else [chart["data"]["values"]]
    assert [row["cumulative_share"] for row in rows] == [0, 1]
    relation = cl.length_relation(
        words(*range(3, 23)).with_columns(downloads=pl.int_range(pl.len()) // 19)
    )
    for labels in axis_labels(cl.plot_lengths(relation)):
        assert len(labels) == len(set(labels))


# -------------------------------------------------------------------------- two corpora compared


def spoken(*codes: tuple[str, int], n: int) -> pl.DataFrame:
    languages = [[code] for code, times in codes for _ in range(times)]
    return pl.DataFrame(
        {"id": range(n), "languages": languages + [None] * (n - len(languages))},
        schema_overrides={"languages": pl.List(pl.String)},
    )


def test_N04_most_apart_is_the_largest_sure_difference_of_shares():
    # by the divergence fi comes first: none against a few
    a = spoken(("es", 19), ("zh", 300), ("fi", 7), n=1000)
    b = spoken(("es", 18), ("zh", 200), n=1000)
    found = cl.compare_values(a, b, column="language_codes")
    assert found["value"].to_list() == ["zh", "fi", "es", None]
    assert found["is_apart"].to_list() == [True, False, False, True]
    chart = cl.plot_comparison(found, names=["ours", "Hub"]).to_dict()
    assert chart["title"]["subtitle"][-1] == "Most apart: zh, 30.0 % in ours against 20.0 % in Hub"
    assert "Most apart: zh, 30.0 % in ours" in chart["description"]
    same = cl.compare_values(a, a, column="language_codes")
    chart = cl.plot_comparison(same).to_dict()
    assert "Most apart: nothing" in chart["description"]
    assert "Most apart: nothing" in chart["title"]["subtitle"][-1]


def test_N04_chance_among_many_values_is_seldom_called_apart():
    """Twenty pairs of samples of one population of 200 values: hardly any names a difference."""
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(200, 0.3))
    wrong = 0
    for _ in range(20):
        sides = [
            pl.DataFrame({"id": range(800), "v": rng.choice(200, 800, p=shares)}) for _ in "ab"
        ]
        sides = [side.with_columns(pl.col("v").cast(pl.String)) for side in sides]
        wrong += cl.compare_values(*sides, column="v")["is_apart"].any()
    assert wrong <= 2


def test_N15_bins_of_lengths_come_by_size():
    a, b = words(*range(0, 5000, 7)), words(*range(0, 900, 3))
    found = cl.compare_values(a, b, column="n_words")
    lows = [int(v.split()[0].replace(",", "")) for v in found["value"].drop_nulls()]
    assert len(lows) > 8
    assert lows == sorted(lows)
    chart = cl.plot_comparison(found, top=6).to_dict()
    drawn = chart["layer"][0]["encoding"]["y"]["sort"]
    ends = [int(v.split()[0].replace(",", "")) for v in drawn]
    assert len(ends) == 6
    assert ends == sorted(ends)
    biggest = found.sort(pl.col("share_difference").abs(), descending=True)["value"].head(6)
    assert set(drawn) == set(biggest)
    assert "Largest difference first" not in str(chart["title"])


# ------------------------------------------------------------------------ far longer than others


def test_N16_far_is_by_robust_distance_in_groups_large_enough():
    rng = np.random.default_rng(1)
    usual = [int(n) for n in rng.lognormal(5, 0.3, 60)]
    wild = [int(n) for n in rng.lognormal(5, 2, 60)]
    frame = pl.DataFrame(
        {
            "id": [f"a/{i}" for i in range(61)] + [f"b/{i}" for i in range(61)] + ["c/x"] * 18,
            "n": [*usual, 2_000, *wild, 2_600, *[14] * 17, 9_000],
            "task": ["a"] * 61 + ["b"] * 61 + ["c"] * 18,
        }
    )
    found = cl.length_outliers(frame, measure="n", by="task", top=200)
    assert found["id"][0] == "a/60"  # unusual in its group, though the ratio of another is larger
    assert found.filter(id="b/60")["ratio"][0] > found["ratio"][0]
    assert "c" not in found["group"]
    assert found["robust_z"].null_count() == 0
    assert found["robust_z"].is_sorted(descending=True)
    log = np.log1p(np.array([*usual, 2_000]))
    mad = np.median(np.abs(log - np.median(log)))
    assert found["robust_z"][0] == pytest.approx(0.6745 * (log[-1] - np.median(log)) / mad)
    short = cl.length_outliers(frame, measure="n", by="task", side="short", top=200)
    assert short["robust_z"].is_sorted()
    assert (short["robust_z"] < 0).all()
