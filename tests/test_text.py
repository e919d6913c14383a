"""Lengths equal plain Python's, and Markdown is read as Markdown."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cardlab as cl
from cardlab.text.lengths import MAX_POINTS, MEASURES, length_histogram


def lengths(text: str) -> dict[str, int]:
    return cl.with_text_lengths(pl.DataFrame({"text": [text]})).drop("text").row(0, named=True)


def test_parts_of_a_card():
    text = """Title
=====

Intro with a [link](https://a.b), a bare https://c.d and ![image](x.png).

## Section

```python
# no heading
![no](image)
```

| a | b |
|---|---|
| 1 | 2 |

<img src="y.png"> <!-- <img src="no.png"> <h1> -->

    indented <h1>
"""
    found = lengths(text)
    assert found == {
        **{"n_chars": len(text), "n_words": len(text.split()), "n_lines": len(text.splitlines())},
        **{"n_sections": 2, "n_code_blocks": 2, "n_tables": 1, "n_links": 2, "n_images": 2},
        "n_tokens": 109,
    }


def test_null_and_empty():
    frame = cl.with_text_lengths(pl.DataFrame({"text": [None, ""]}, schema={"text": pl.String}))
    assert set(frame.row(0)[1:]) == {None}
    assert set(frame.row(1)[1:]) == {0}


any_text = st.text(st.characters(codec="utf-8"), max_size=80) | st.text(
    "ab \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2028\u2029\u3000\u200b\ufeff", max_size=80
)


@settings(max_examples=300, deadline=None)
@given(any_text)
def test_equal_to_python(text):
    found = lengths(text)
    assert found["n_chars"] == len(text)
    assert found["n_words"] == len(text.split())
    assert found["n_lines"] == len(text.splitlines())


@settings(max_examples=200, deadline=None)
@given(st.text("#`|-[]()!<>ahimg/= \n*_~:.\"'&\\", max_size=200))
def test_no_markdown_fails(text):
    assert all(value >= 0 for value in lengths(text).values())


@pytest.mark.parametrize(
    "unit", ["[", "`", "<!--", "|", ">", "* ", "[a](", "![", "|a|b\n|-|-\n", "- a\n "]
)
def test_adversarial_markdown_ends(unit):
    text = unit * (300_000 // len(unit))
    # a parser of quadratic time would take hours, one that recurses would end the process
    assert lengths(text)["n_chars"] == len(text)


@pytest.mark.parametrize(
    "name",
    [
        "model_cards.seed.parquet",
        "sampled_cards_2024.seed.parquet",
        "dataset_cards.librarian.parquet",
        "broken_front_matter.librarian.parquet",
    ],
)
def test_real_cards_equal_python(data, name):
    # a pointer of Git LFS in the place of a card has no text: ten of the data sets
    cards = cl.read_cards(data / name, columns=["id", "text"]).drop_nulls("text")
    found = cl.with_text_lengths(cards)
    texts = cards["text"].to_list()
    assert found["n_chars"].to_list() == [len(t) for t in texts]
    assert found["n_words"].to_list() == [len(t.split()) for t in texts]
    assert found["n_lines"].to_list() == [len(t.splitlines()) for t in texts]
    assert (found["n_words"] == 0).sum() == sum(not t.strip() for t in texts)


def test_figures_of_the_seed(data):
    cards = cl.scan_cards(data / "model_cards.seed.parquet")
    chars = cl.length_summary(cards, measure="n_chars").row(0, named=True)
    assert (chars["n_cards"], chars["p50"], round(chars["p95"])) == (2577, 3525, 21434)
    words = cl.length_summary(cards, measure="n_words").row(0, named=True)
    assert (words["p50"], words["mean"] * 2577) == (376, pytest.approx(1_709_982))
    assert (cl.with_text_lengths(cards).collect()["n_words"] == 0).sum() == 30


def test_summary_equals_numpy():
    cards = cl.make_cards(400)
    found = cl.length_summary(cards, measure="n_chars", by="pipeline_tag")
    texts = cards.select("pipeline_tag", pl.col("text").str.len_chars())
    assert found["n_cards"].sum() == 400
    for row in found.iter_rows(named=True):
        mine = texts.filter(pl.col("pipeline_tag").eq_missing(pl.lit(row["group"])))[
            "text"
        ].to_numpy()
        assert row["n_cards"] == len(mine)
        assert row["mean"] == pytest.approx(mine.mean())
        for name, q in {"p05": 5, "p50": 50, "p99": 99}.items():
            assert row[name] == pytest.approx(np.percentile(mine, q))
        assert row["median_low"] <= row["p50"] <= row["median_high"]


@pytest.mark.parametrize("n", [1, 2, 3, 10, 41, 400])
def test_median_interval_is_that_of_a_bootstrap(n):
    """The limit without random numbers is where many random resamples lead."""
    rng = np.random.default_rng(n)
    x = np.sort(rng.lognormal(size=n))
    resamples = np.sort(x[rng.integers(0, n, (20_000, n))], axis=1)
    low, high = resamples[:, (n - 1) // 2], resamples[:, n // 2]  # the middle two, or one twice
    found = cl.length_summary(pl.DataFrame({"v": x}), measure="v").row(0, named=True)
    ranks = np.searchsorted(x, [found["median_low"], found["median_high"]])
    drawn = np.searchsorted(
        x,
        [
            np.quantile(low, 0.025, method="inverted_cdf"),
            np.quantile(high, 0.975, method="inverted_cdf"),
        ],
    )
    assert np.abs(ranks - drawn).max() <= 1


def test_median_interval_covers():
    """Of 400 samples of 60 the interval holds the true median in about 95 %."""
    draws = np.random.default_rng(0).exponential(size=(400, 60))
    frame = pl.DataFrame({"g": np.repeat(np.arange(400), 60).astype(str), "v": draws.ravel()})
    found = cl.length_summary(frame, measure="v", by="g")
    inside = ((found["median_low"] <= np.log(2)) & (found["median_high"] >= np.log(2))).mean()
    assert 0.92 <= inside <= 1.0


def test_lists_group_each_value_and_scan_stays_lazy():
    cards = pl.DataFrame({"text": ["a b", "c"], "tags": [["x", "y", "x"], None]})
    found = cl.length_summary(cards.lazy(), by="tags")
    assert dict(found.select("group", "n_cards").rows()) == {"x": 1, "y": 1, None: 1}
    assert isinstance(cl.with_text_lengths(cards.lazy()), pl.LazyFrame)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=600))
def test_ecdf_is_exact_and_small(values):
    found = cl.length_ecdf(pl.DataFrame({"n": values}), measure="n")
    assert found.height <= MAX_POINTS
    assert found["value"][0] == min(values)
    assert found.row(-1)[1:3] == (max(values), 1.0)
    for value, share in found.select("value", "cumulative_share").rows():
        assert share == pytest.approx(sum(v <= value for v in values) / len(values))
    assert found["value"].is_sorted()


def test_histogram_counts_every_card():
    values = [0, 1, 1, 2, 4, 5, 99, 100, 12_345]
    found = length_histogram(pl.DataFrame({"n": values}), measure="n")
    assert found["n_cards"].sum() == len(values)
    for low, high, n in found.select("low", "high", "n_cards").rows():
        assert n == sum(low <= v < high for v in values)


def test_errors():
    with pytest.raises(cl.CardlabError, match="measure must be one of 'n_chars'"):
        cl.length_summary(pl.DataFrame({"text": ["a"]}), measure="words")
    with pytest.raises(cl.CardlabError, match="must name a number"):
        cl.length_summary(pl.DataFrame({"text": ["a"], "id": ["b"]}), measure="id")
    with pytest.raises(cl.NoFigure, match="none of the 1 cards"):
        cl.length_ecdf(pl.DataFrame({"text": [None]}, schema={"text": pl.String}))
    assert set(MEASURES) - {"n_metadata_chars"} == set(lengths("x"))
