"""Cards are split at their headings, their words kept, and packed for a model."""

from __future__ import annotations

import subprocess
import sys

import polars as pl
import pytest
from conftest import real_file
from hypothesis import example, given, settings
from hypothesis import strategies as st

import cardlab as cl
from cardlab.text import sections as plain
from cardlab.text.passages import estimated_tokens

CARD = """Before <b>it</b>, see [a link](https://a.b/c) or https://d.e/f.

# First *one* `x<y` [here](http://a) :rocket: ![no](i.png) #

- item with `code`. Next sentence.
  ## In a list
> # In a quote
> quoted &amp; kept

Underlined
over two
===

```python
# no heading
https://in.code
```

|head|er|
|-|-|
|ce|ll|

<!-- # no <h1>no</h1> -->

<div align="center">
# no heading
<H2 class="x">In <b>HTML</b></H2><h3>right after</h3> &copy; 2020
</div>

`<h1>` in code and # in text

    # no heading in indented code

1. one<br>more

####### seven is too many
<h4>never closed

the end
"""


def titles(markdown: str) -> list[tuple[int, str]]:
    return [(section.level, section.title) for section in cl.sections(markdown)]


def test_headings_of_every_kind():
    assert titles(CARD) == [
        (0, ""),
        (1, "First one x<y here"),
        (2, "In a list"),
        (1, "In a quote"),
        (1, "Underlined over two"),
        (2, "In HTML"),
        (3, "right after"),
        (4, "never closed"),
    ]


def test_bodies_are_the_source_between_headings():
    found = cl.sections(CARD)
    assert found[0].body == CARD[: CARD.index("# First")]
    assert found[2].body == ""
    assert found[3].body == "> quoted &amp; kept\n\n"
    assert found[5].body == ""
    assert found[6].body.startswith(" &copy; 2020\n</div>") and "seven" in found[6].body
    assert found[7].body == "\nthe end\n"


def test_plain_text():
    text = cl.plain_text(CARD)
    for kept in [
        "Before it, see a link or URL.",
        "# First one x<y here\n\n",
        "* item with 'code'. Next sentence.",
        "quoted & kept",
        "© 2020",
        "'<h1>' in code and # in text",
        "* one\nmore",
        "####### seven is too many",
        "#### never closed\n\nthe end",
    ]:
        assert kept in text
    for dropped in ["https", "in.code", "ll|", "|head", "i.png", "<b>", "div", "indented", "-->"]:
        assert dropped not in text
    assert "\n\n\n" not in text and text == text.strip()


@pytest.mark.parametrize(
    ("markdown", "found"),
    [
        ("", []),
        (" \n\t\n", []),
        ("no heading", [(0, "", "no heading")]),
        ("---\nlicense: mit\ntags:\n- a\n---\n# T\nx", [(1, "T", "x")]),
        ("\n---\n# T\n---\nx", [(0, "", "\n---\n"), (1, "T", "---\nx")]),
        ('<div align="center">\n<h1>T</h1>\n</div>', [(1, "T", "\n</div>")]),
        ("<h1>T</h1>\r\n\r\n# U\r\nx\r# V", [(1, "T", "\r\n\r\n"), (1, "U", "x\r"), (1, "V", "")]),
        ("# <h2>T</h2>\nx", [(1, "T", "x")]),
        ("<script>\n<h1>no</h1>\n</script>", [(0, "", "<script>\n<h1>no</h1>\n</script>")]),
        ("#\nx", [(1, "", "x")]),
        ("cardlab-h0 <h1>T</h1>", [(0, "", "cardlab-h0 "), (1, "T", "")]),
        ('<h1 data-sourcepos="9:1-9:9">T</h1>', [(1, "T", "")]),
        ("\ufeff# T\n\x00", [(1, "T", "\x00")]),
    ],
)
def test_section_edges(markdown, found):
    assert cl.sections(markdown) == [cl.Section(*section) for section in found]


def test_tables_in_html_are_kept_where_they_only_arrange():
    page = "<table><tr><td>\n<h2>T</h2>\nwords\n</td></tr></table>"
    assert cl.plain_text(page) == "## T\n\nwords"
    assert cl.plain_text("<TABLE><tr><td>12</td></tr></TABLE>after") == "after"
    assert cl.plain_text("<table> never closed") == "never closed"


markup = st.text("#`|-[]()!<>/h12ab \n\r\t*_~:.\"'&;=\\\x00\ufeffé漢。", max_size=120)
tags = ["<h1>", "</h1>", "<h2 ", "<H3>", "<!--", "-->", "<pre>", "</pre>", "<table>", "</table>"]
tags += [
    "<script>",
    "</script>",
    "<br>",
    "&lt;",
    "&#38;",
    "&nbsp;",
    "# ",
    "\n# ",
    "\n===\n",
    "\n\n",
]
tags += [
    "https://a.b/c.",
    "```\n",
    "> ",
    "- ",
    "1. ",
    "|a|\n|-|\n",
    "cardlab-h0",
    "---\n",
    "a: b\n",
]
tags += ["data-sourcepos=", "\0", ":smile:", "![x](y)", "[x](y)", " ", "a", "。", "\u2028", "😀"]
any_card = (
    st.text(st.characters(codec="utf-8"), max_size=100)
    | markup
    | st.lists(st.sampled_from(tags), max_size=25).map("".join)
)


@settings(max_examples=1000, deadline=None)
@given(any_card, st.integers(1, 40))
@example("\ud800# T", 3)
@example("\x80<SCRIPT><H1\n=", 1)
def test_no_card_ends_in_an_exception(markdown, max_tokens):
    found = cl.sections(markdown)
    source = markdown.encode("utf-8", "replace").decode()
    place = 0
    for section in found:  # bodies are parts of the source, in its order
        place = source.index(section.body, place) + len(section.body)
        assert 0 <= section.level <= 6
    texts = plain.section_texts(markdown)
    assert len(texts) in (len(found), len(found) - 1, len(found) + 1)
    assert cl.plain_text(markdown) == "\n\n".join(texts)
    assert plain.section_texts(source) == texts
    for passage in cl.passages(markdown, max_tokens=max_tokens):
        assert estimated_tokens([passage])[0] <= max_tokens or len(passage) == 1


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("ab .!?\n。漢#'", max_size=60), max_size=6), st.integers(1, 30))
def test_passages_lose_nothing_and_keep_the_limit(texts, max_tokens):
    for tokenizer in (None, len, str.split):
        found = cl.passages(texts, tokenizer=tokenizer, max_tokens=max_tokens)
        size = {None: lambda t: estimated_tokens([t])[0], len: len}.get(
            tokenizer, lambda t: len(t.split())
        )
        assert all(size(passage) <= max_tokens for passage in found)
        assert "".join("".join(found).split()) == "".join("".join(texts).split())


def test_passages_break_at_sections_then_sentences_then_words():
    one, two = "# A\n\nFirst one. Second one! 第三。第四。", "# B\n\nword " + "x" * 20
    words = {"tokenizer": lambda text: len(text.split())}
    assert cl.passages([one, two], max_tokens=20, **words) == [f"{one}\n\n{two}"]
    assert cl.passages([one, two], max_tokens=8, **words) == [one, two]
    assert cl.passages([one], max_tokens=4, **words) == [
        "# A\n\nFirst one.",
        "Second one! 第三。第四。",
    ]
    assert cl.passages([two], tokenizer=len, max_tokens=11) == ["# B\n\nword", "x" * 11, "x" * 9]
    assert cl.passages("", max_tokens=1) == []
    prefixed = cl.passages([one], prefix="passage: ", tags=["license:mit", "en"])
    assert prefixed == ["passage: TAGS\n#license-mit #en \n" + one]
    assert cl.passages(cl.sections(one + "\n\n" + two)) == cl.passages(one + "\n\n" + two)


class Batches:
    """Stands for a tokenizers.Tokenizer, which may have been told to cut and to pad."""

    def __init__(self, cut: int | None = 3) -> None:
        self.truncation, self.padding = cut, None

    def to_str(self) -> str:
        return ""

    @classmethod
    def from_str(cls, _: str) -> Batches:
        return cls(None)

    def no_truncation(self) -> None:
        self.truncation = None

    no_padding = no_truncation

    def encode_batch(self, texts: list[str]) -> list[object]:
        words = [text.split()[: self.truncation] for text in texts]
        return [type("Encoding", (), {"ids": ids})() for ids in words]


def test_tokenizers_of_several_kinds_and_none():
    text = "one two three four five six"
    by = [Batches(), str.split, lambda t: {"input_ids": t.split()}, lambda t: len(t.split())]
    for tokenizer in by:
        assert cl.passages([text], tokenizer=tokenizer, max_tokens=4) == [
            "one two three four",
            "five six",
        ]
    with pytest.raises(cl.CardlabError, match="tokenizer must be"):
        cl.passages("a", tokenizer="bert-base-uncased")
    with pytest.raises(cl.CardlabError, match="it gave NoneType"):
        cl.passages("a", tokenizer=lambda text: None)
    with pytest.raises(cl.CardlabError, match="max_tokens must be a whole number of at least 1"):
        cl.passages("a", max_tokens=0)
    with pytest.raises(cl.CardlabError, match="leaves no room in max_tokens=2"):
        cl.with_passages(pl.DataFrame({"text": ["a"]}), prefix="passage: ", max_tokens=2)


def flat(text: str) -> str:
    return " ".join(text.split())


def test_columns_of_the_seed(data):
    seed = pl.read_parquet(data / "seed_full_columns.parquet")
    ours = cl.with_passages(seed, prefix="passage: ")
    assert ours.columns == seed.columns
    assert ours["tags_str"].equals(seed["tags_str"])
    assert (ours["processed_texts"].list.first() == seed["processed_texts"].list.first()).all()
    for mine, theirs in zip(ours.to_dicts(), seed.to_dicts(), strict=True):
        in_passages = flat(" ".join(p.removeprefix("passage: ") for p in mine["input_texts"]))
        lines = [line for line in theirs["text_str"].split("\n") if "<" not in line]
        lines = [line for line in lines if line.strip("=-")]
        assert len(lines) > 50
        for line in lines:
            assert flat(line) in flat(mine["text_str"])
            assert flat(line) in flat(" ".join(mine["text_lists"]))
            assert flat(line) in in_passages
        assert "Disclaimer: The team releasing ALBERT" in mine["input_texts"][0]
        # that data set's own texts, as its tokenizer counted them
        for guess, n in zip(
            estimated_tokens(theirs["processed_texts"]), theirs["tokens_length"], strict=True
        ):
            assert 0 <= n - guess <= max(0.15 * n, 5)
    assert ours["input_texts"].list.first().n_unique() == 3
    assert ours["input_texts"].n_unique() == 3


def sources(name: str) -> pl.DataFrame:
    return cl.read_cards(real_file(name), columns=["id", "text", "tags"]).filter(
        pl.col("text").is_not_null()
    )


@pytest.mark.parametrize(
    ("name", "every"),
    [
        ("model_cards.seed.parquet", 2),
        ("sampled_cards_2024.seed.parquet", 1),
        ("dataset_cards.librarian.parquet", 4),
    ],
)
def test_real_cards(name, every):
    cards = sources(name).gather_every(every)
    found = cl.with_sections(cards)
    for markdown, text, parts in found.select("text", "text_str", "text_lists").iter_rows():
        assert plain.section_texts(markdown) == parts  # one card or many: the same
        assert "\n\n".join(parts) == text
        sections = cl.sections(markdown)
        heads = [f"{'#' * s.level} {s.title}".strip() for s in sections if s.level]
        for part, head in zip(parts[len(parts) - len(heads) :], heads, strict=True):
            assert part.split("\n\n")[0] == head or "URL" in part  # for a title with an address
        place = 0
        for section in sections:
            place = markdown.index(section.body, place) + len(section.body)
        assert ("data-sourcepos" in text) <= ("data-sourcepos" in markdown)
        assert ("cardlab-h" in text) <= ("cardlab-h" in markdown)


def test_lazy_and_null_and_no_tags():
    cards = pl.DataFrame(
        {"text": ["# A\nx", None, "", None], "tags": [["a:b"], ["c"], [], None]},
        schema={"text": pl.String, "tags": pl.List(pl.String)},
    )
    eager = cl.with_passages(cards)
    assert eager["tags_str"].to_list() == ["TAGS\n#a-b", "TAGS\n#c", "TAGS\n", None]
    assert eager["text_str"].to_list() == ["# A\n\nx", None, "", None]
    assert eager["text_lists"].to_list() == [["# A\n\nx"], None, [], None]
    assert eager["input_texts"].to_list()[3] is None
    lazy = cl.with_passages(cards.lazy())
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.collect().equals(eager) and lazy.collect(engine="streaming").equals(eager)
    none = cl.with_passages(cards.select("text"))
    assert none["tags_str"].null_count() == 4
    assert none["input_texts"].to_list() == [["# A\n\nx"], None, [], None]
    assert cl.with_plain_text(cards.clear())["text_str"].to_list() == []
    with pytest.raises(cl.MissingColumn, match="no column 'text'"):
        cl.with_sections(cards.select("tags"))
    with pytest.raises(cl.CardlabError, match="jobs must be"):
        cl.with_sections(cards, jobs=0)


def test_other_engines_and_processes_give_the_same():
    import duckdb

    cards = cl.make_cards(600, random_state=3, embedding_dim=0).select("id", "text", "tags")
    alone = cl.with_passages(cards, jobs=1)
    assert cl.with_passages(cards, jobs=2).equals(alone)
    table = cards.to_arrow()
    other = cl.with_passages(duckdb.from_arrow(table)).collect()
    assert other.sort("id").equals(alone.sort("id"))


ADVERSARIES = [
    *("[", "`", "<!--", "|", ">", "* ", "[a](", "![", "|a|b\n|-|-\n", "- a\n ", "<a <a", "&amp;"),
    *(
        "*_",
        "**a",
        "_a_*",
        "<h1",
        "<h1 ",
        "<h1>",
        "<h1>\n\n",
        "# a\n",
        "a\n=\n",
        "<script",
        "</pre",
    ),
    *(
        "<pre",
        "<table>",
        "<table><h1>",
        "&#1",
        "http://",
        "www.",
        "a@",
        ".",
        ". ",
        "\r",
        "\n",
        "\t",
    ),
    *("<!", "<?", "<![CDATA[", "---\na:\n", ":a", "漢。", "<br", "<code", "'\"", "x" * 999 + "\n"),
]


def test_hostile_megabytes_end():
    """A parser of quadratic time would take hours, one that recurses would end the process."""
    code = f"""
import cardlab as cl
for unit in {ADVERSARIES!r}:
    text = unit * (100_000 // len(unit))
    cl.sections(text), cl.plain_text(text), cl.passages(text[:30_000])
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=300, check=False)
    assert done.returncode == 0
