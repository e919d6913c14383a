"""Vectors without any model: latent semantic analysis of the cards themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import polars as pl

from .. import schema
from ..tags.kinds import known_tags
from .points import one_thread
from .vectors import Floats, blanked, usable

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

# ---- What a card says, as words: its prose without markup, code and addresses, and its free
# tags.

#: Characters of one card that are looked at, and characters of its tags: a card can hold
#: half a megabyte of results or thousands of tags, and would take the memory of all others.
MAX_TEXT = 20_000
MAX_TAGS = 2_000

#: Words that are kept, the commonest first.
MAX_WORDS = 50_000

#: Fewer cards than this are a tiny corpus, where a word may occur in a single card.
_TINY = 20
_BATCH = 1_000

#: A word is a run of letters of any script, three or more; digits and underscores separate.
_WORD = r"[^\W\d_]{3,}"

#: A tag of the kind ``license:mit``; these name other things than the subject of a card.
_PREFIXED = r"^[A-Za-z_-]+:"

#: Kinds of tags that name other things than the subject of a card.
_NOT_FREE = ("hub", "library", "task", "language")

#: What is taken out of Markdown before words are counted, in this order.
_NOT_PROSE = (
    r"(?s)<!--.*?(?:-->|\z)",
    r"(?ms)^[ \t]*(?:```.*?(?:^[ \t]*```|\z)|~~~.*?(?:^[ \t]*~~~|\z))",
    r"`[^`\n]*`",
    r"(?is)<(?:style|script|svg)\b.*?(?:</(?:style|script|svg)>|\z)",
    r"(?i)\b(?:https?|ftp)://[^\s<>\"')\]]+|\bwww\.[^\s<>\"')\]]+",
    r"(?i)\bdata:[a-z]+/[^\s<>\"')\]]+",
    r"\]\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*\)",
    r"</?[A-Za-z][^<>]*>",
    r"(?ms)^[ \t]*@[A-Za-z]+\{.*?(?:^[ \t]*\}|\n[ \t]*\n|\}[ \t]*$|\z)",
    r"&[A-Za-z]+;",
    # Paths, file names, addresses, hashes, encoded images, rulers.
    r"[\w.-]+@[\w-]+\.[\w.-]+|[A-Za-z0-9_~.-]+/[A-Za-z0-9_~./-]+",
    r"\b[\w-]+\.(?:py|json|txt|md|png|jpe?g|gif|svg|csv|bin|pt|pth|html|sh|ya?ml|com|org)\b",
    r"[A-Za-z0-9+/=_.%-]{50,}",
)

#: Code, and in it names of classes, which say what a model does.
_CODE = "|".join(_NOT_PROSE[1:3])
_CLASS = r"\b[A-Z]\w*[a-z]\w*[A-Z]\w*\b"

#: Words of HTML, of citations, of code, and those that model cards say whatever they are about,
#: beside scikit-learn's English stop words.
_FURNITURE = frozenset(
    word
    for line in (
        "align alt amp arxiv badge bibtex blockquote bold border center class color com div doi",
        "gif head height href html http https img jpeg jpg lang left link links margin nbsp org",
        "padding png rel right shields small span src srcset strong style sub sup svg table",
        "target tbody thead title toc width www xmlns",
        "archiveprefix article author booktitle citation cite editor eprint eprinttype",
        "inproceedings journal misc month pages primaryclass publisher url volume year",
        "args assert class def elif else env eval false func import int json lambda len list",
        "none null pip print python range return self str true tuple var void yaml",
        "card cards face github hub hugging huggingface markdown model models readme repo",
        "repository disclaimer introduced mentioned released releasing team written",
        "fine finetune finetuned finetuning pre pretrained train trained training tuned tuning",
        "based use used uses using advise available details different example examples",
        "following intended latest like new note please primary provide provided section",
        "aren couldn didn doesn don hadn hasn haven isn let needn shouldn wasn weren won wouldn",
    )
    for word in line.split()
)


def card_texts(cards: Any) -> pl.DataFrame:
    """Collect what each card says, never null: `text` (capped), free `tags`; and its `author`."""
    have = schema.lazy(cards).collect_schema()
    if not {"text", "tags"} & set(have):
        schema.require(cards, "text", "tags")
    wanted = [nw.col(name) for name in ("text", "tags", "id", "author") if name in have]
    if have.get("text") == nw.String:
        wanted[0] = nw.col("text").str.head(MAX_TEXT)
    frame = schema.collect(schema.lazy(cards).select(*wanted))
    text = strings(frame, "text", pl.String)
    tags = free_tags(strings(frame, "tags", schema.STRINGS)).list.join(" ").str.head(MAX_TAGS)
    return frame.select(text=text.fill_null(""), tags=tags.fill_null(""), author=authors(frame))


def authors(frame: pl.DataFrame) -> pl.Series:
    """Give the author of each card, by the id where none is told; else it is one of its own."""
    told, card = (
        pl.lit(None, pl.String)
        if dtype is None or dtype.is_nested() or dtype in (pl.Binary, pl.Object)
        else pl.col(name).cast(pl.String, strict=False)
        for name, dtype in ((name, frame.schema.get(name)) for name in ("author", "id"))
    )
    own = (pl.format("/{}", card), pl.format("#{}", pl.int_range(pl.len())))
    return frame.select(author=pl.coalesce(told, card.str.extract(r"^([^/]+)/"), *own)).to_series()


def strings(frame: pl.DataFrame, name: str, dtype: Any) -> pl.Expr:
    """Give a column that must be of a canonical type; null for one that is not there."""
    actual = frame.schema.get(name, pl.Null)
    if actual not in (dtype, pl.Null, pl.List(pl.Null)):
        raise schema.CardlabError(
            f"column {name!r} must be {dtype}, not {actual}: give the cards that "
            "cardlab.scan_cards(source) makes of a source."
        )
    there = pl.col(name) if name in frame.columns else pl.repeat(None, pl.len())
    return there.cast(dtype)


def free_tags(tags: pl.Expr, *, but: Sequence[str] = _NOT_FREE) -> pl.Expr:
    """Keep of each card's tags the free ones, each once: neither with a prefix nor of these kinds.

    Which tag is of which kind says ``data/tag_kinds.json``, as for :func:`cardlab.tag_kind`.
    """
    tag = pl.element()
    own = ~tag.str.contains(rf"{_PREFIXED}|^\s*$") & ~tag.is_in(known_tags(*but))
    return tags.list.eval(tag.filter(own)).list.unique(maintain_order=True)  # null is not own


def prose(text: pl.Expr) -> pl.Expr:
    """Strip comments, code, HTML, addresses and file names from Markdown."""
    for pattern in _NOT_PROSE:
        text = text.str.replace_all(pattern, " ")
    return text


def classes(text: pl.Expr) -> pl.Expr:
    """Give the names of classes in the code of a card, each once, whole and in parts."""
    names = text.str.extract_all(_CODE).list.join(" ").str.extract_all(_CLASS)
    whole = names.list.unique(maintain_order=True).list.join(" ")
    return pl.concat_str(whole, whole.str.replace_all("([a-z0-9])([A-Z])", "$1 $2"), separator=" ")


#: A line is of a template where so many authors have it word for word; a card that has fewer words
#: of its own is read whole.
_AUTHORS, _OWN = 3, 20


def _lines(texts: pl.DataFrame, *, labels: bool = False) -> pl.DataFrame:
    """Give the lines of each card with a key that is the same for the same line.

    With `labels` what stands before a colon is one as well: of "Made by: us" the second is own.
    """
    text = pl.col("text").str.replace_all(r":\s", ":\n") if labels else pl.col("text")
    author, row = pl.col("author").rank("dense"), pl.int_range(pl.len())
    lines = texts.select(text.str.split("\n").alias("line"), author, row=row).explode("line")
    lines = lines.with_columns(pl.col("line").str.strip_chars()).filter(pl.col("line") != "")
    return lines.with_columns(key=pl.col("line").str.to_lowercase().hash())


def _templates(lines: pl.DataFrame) -> pl.DataFrame:
    """Give the keys of the lines that so many have."""
    many = pl.col("author").n_unique() >= _AUTHORS
    return lines.group_by("key").agg(is_template=many).filter("is_template").select("key")


def own_words(
    texts: pl.DataFrame, *, labels: bool = False, known: pl.DataFrame | None = None
) -> tuple[pl.DataFrame, npt.NDArray[np.float64]]:
    """Take out the lines of templates, and say what share of each card's letters they are.

    Those are the `known` ones, or else what many authors of these cards have.
    """
    lines = _lines(texts, labels=labels)
    shared = (_templates(lines) if known is None else known).with_columns(is_template=True)
    lines = lines.join(shared, on="key", how="left", maintain_order="left")
    size, own = pl.col("line").str.len_chars(), pl.col("is_template").is_null()
    found = lines.group_by("row", maintain_order=True).agg(
        text=pl.col("line").filter(own).str.join("\n"),
        share=1 - size.filter(own).sum() / size.sum(),
    )
    rows = texts.select(pl.int_range(pl.len()).alias("row"), "tags")
    told = rows.join(found, on="row", how="left", maintain_order="left")
    return told.select(pl.col("text").fill_null(""), "tags"), told["share"].fill_null(0).to_numpy()


def word_counts(texts: pl.DataFrame) -> tuple[csr_matrix, CountVectorizer]:
    """Count the words of each card in its prose and its free tags, and give what counted them."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer

    for least in (1,) if texts.height < _TINY else (2, 1):
        counter = CountVectorizer(
            token_pattern=_WORD,
            stop_words=sorted(ENGLISH_STOP_WORDS.union(_FURNITURE)),
            min_df=least,
            max_features=MAX_WORDS,
            dtype=np.float64,
        )
        # The only way for it to fail on strings: no word is left.
        with suppress(ValueError):
            counts = counter.fit_transform(_documents(texts))
            counts.sort_indices()
            return counts, counter
    raise schema.NoFigure(
        f"none of the {texts.height:,} cards has a word of three letters or more in its text "
        "or free tags, apart from stop words, code and markup."
    )


def stem(word: pl.Expr) -> pl.Expr:
    """Drop the s of a plural."""
    plural = word.str.ends_with("s") & ~word.str.ends_with("ss") & (word.str.len_chars() > 4)
    return pl.when(plural).then(word.str.head(-1)).otherwise(word)


def _documents(texts: pl.DataFrame) -> Iterator[str]:
    """Give the words of one card at a time, so that no second copy of all text is held."""
    both = pl.concat_str(prose(pl.col("text")), pl.col("tags"), separator=" ")
    for batch in texts.iter_slices(_BATCH):
        yield from batch.select(both).to_series()


# ---- Vectors without any model: latent semantic analysis of the cards themselves.

#: Directions that carry less than this share of the strongest one are rounding errors.
_NEGLIGIBLE = 1e-5


def lsa(
    texts: pl.DataFrame, n_components: int, random_state: int
) -> tuple[Floats, Callable[[list[str] | pl.DataFrame], Floats]]:
    """Weigh the words of the cards and reduce them, as :func:`cardlab.embed` says.

    Gives their vectors, and what lays other texts, or :func:`card_texts`, among them. Lines of
    templates say how a card was made, not what it is about.
    """
    from sklearn.feature_extraction.text import TfidfTransformer

    known = _templates(_lines(texts))

    def own(texts: pl.DataFrame) -> pl.DataFrame:
        text = own_words(texts, known=known)[0]["text"]
        few = text.str.count_matches(_WORD) < _OWN
        return texts.with_columns(
            text=pl.when(few).then("text").otherwise(text),
            # twice: few words, which the author chose to say what the card is about
            tags=pl.concat_str("tags", "tags", classes(pl.col("text")), separator=" "),
        )

    counts, counter = word_counts(own(texts))
    weigh = TfidfTransformer(sublinear_tf=True).fit(counts)
    # sums are rounded by the order of their parts, which would have a say in the last directions
    order = texts.select(pl.arg_sort_by("text", "tags")).to_series().to_numpy()
    directions = _directions(weigh.transform(counts[order]), n_components, random_state)

    def laid(counts: csr_matrix) -> Floats:
        x = (weigh.transform(counts) @ directions).astype(np.float32)
        return blanked(x, (np.diff(counts.indptr) > 0) & usable(x), normalize=True, owned=True)

    def fold_in(others: list[str] | pl.DataFrame) -> Floats:
        if isinstance(others, list):
            asked = pl.DataFrame({"text": others, "tags": [""] * len(others)})
            return laid(counter.transform(_documents(asked)))
        return laid(counter.transform(_documents(own(others))))

    return laid(counts), fold_in


def _directions(
    weights: csr_matrix, n_components: int, random_state: int
) -> npt.NDArray[np.float64]:
    """Find the directions of the weights, one a column."""
    from sklearn.decomposition import TruncatedSVD

    if weights.shape[1] == 1:  # a single word: there is nothing to reduce
        return np.ones((1, 1))
    k = min(n_components, *weights.shape)
    # Exact: a drawn start would have a say in the last directions. Of all of them the other is too.
    way = "arpack" if k < min(weights.shape) else "randomized"
    svd = TruncatedSVD(k, algorithm=way, random_state=random_state)
    # The share of the variance, which is not used, is 0 / 0 where all cards are alike.
    with one_thread(), np.errstate(invalid="ignore", divide="ignore"):
        svd.fit(weights)
    kept = svd.singular_values_ > _NEGLIGIBLE * svd.singular_values_[0]
    return np.asarray(svd.components_[kept].T)
