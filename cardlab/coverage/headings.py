"""What a heading means, by the words of ``data/sections.toml``, and how often that is right."""

from __future__ import annotations

import functools
import itertools
import re
import tomllib
import unicodedata
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl

from ..frames import narrow
from ..schema import STRINGS, CardlabError, collect, column_names, one_of
from ..shares.counting import interval

# ---- What each standard asks for, and what answers it: ``data/sections.toml``, read and checked.

#: The keys of the data file's standards, for editors; what is allowed stands there.
Standard = Literal["huggingface", "mitchell2019", "liang2024", "eu_gpai", "huggingface_datasets"]


class Item(NamedTuple):
    """A section of a standard: what it asks for, and the concepts that answer it."""

    name: str
    concepts: tuple[str, ...]
    asks: str
    weight: float


@functools.cache
def definitions() -> dict[str, Any]:
    """Read the data file."""
    return tomllib.loads(files("cardlab").joinpath("data/sections.toml").read_text("utf-8"))


@functools.cache
def listed(table: str, key: str) -> frozenset[str]:
    """Give one list of the data file, to look words up in."""
    return frozenset(definitions()[table][key])


@functools.cache
def folded(table: str, key: str) -> frozenset[str]:
    """Give one list of the data file, to look folded headings up in."""
    return frozenset(map(fold, definitions()[table][key]))


def check_standard(standard: str) -> None:
    """Raise a CardlabError unless the data file has this standard."""
    one_of(standard, definitions()["standards"], name="standard")


def standard_for(cards: Any) -> Standard:
    """Give the standard that cards are held against unless another is asked for.

    ``"huggingface_datasets"`` where most are known (``kind``) to be of data sets.
    """
    if "kind" not in column_names(cards):
        return "liang2024"
    of_sets = (pl.col("kind") == "dataset").fill_null(False).mean()
    share = collect(narrow(cards, ["kind"]).select(of_sets)).item()
    return "huggingface_datasets" if (share or 0) > 0.5 else "liang2024"


@functools.cache
def sections_of(standard: str) -> tuple[Item, ...]:
    """Give the sections of a standard, in its own order."""
    check_standard(standard)
    return tuple(
        Item(item["name"], tuple(item["concepts"]), item["asks"], float(item.get("weight", 1)))
        for item in definitions()["standards"][standard]["sections"]
    )


@functools.cache
def fields_of(standard: str) -> dict[str, tuple[str, ...]]:
    """Give the sections that each field of the front matter answers."""
    items = sections_of(standard)
    return {
        field: tuple(item.name for item in items if set(item.concepts) & set(concepts))
        for field, concepts in definitions()["metadata"].items()
    }


def coverage_sections(standard: Standard = "huggingface") -> pl.DataFrame:
    """List the sections of a standard, in its own order, and what is taken to answer each.

    ``section``, ``asks`` (what it asks for), ``weight`` (in a score; 1 unless the data file says
    otherwise), ``concepts`` (list of str: what headings and labels mean), ``metadata_fields`` (list
    of str: fields of the front matter that answer it). All of it, with the headings in nine
    languages, is in ``cardlab/data/sections.toml``.
    """
    fields = fields_of(standard).items()
    rows = [
        (name, asks, weight, concepts, [field for field, names in fields if name in names])
        for name, concepts, asks, weight in sections_of(standard)
    ]
    types: Any = {"section": pl.String, "asks": pl.String, "weight": pl.Float64}
    types |= {"concepts": STRINGS, "metadata_fields": STRINGS}
    return pl.DataFrame(rows, types, orient="row")


def weights_of(standard: str, weights: Mapping[str, float] | None) -> dict[str, float]:
    """Give the weight of each section: the data file's, or the caller's in its place.

    A CardlabError where a name is no section, a weight no number of at least 0, or all are 0.
    """
    own = {item.name: item.weight for item in sections_of(standard)}
    for name, weight in (weights or {}).items():
        one_of(name, own, name="weights: a section")
        good = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if not good or not 0 <= weight < float("inf"):
            raise CardlabError(
                f"weights[{name!r}] must be a number of at least 0, not {weight!r}. Sections that "
                "are not named keep their weight; 0 leaves one out."
            )
        own[name] = float(weight)
    if not any(own.values()):
        raise CardlabError("weights: all are 0, so there is nothing to score by. Give one above 0.")
    return own


# ---- What a heading means: its words compared with those of ``data/sections.toml``.

#: Headings longer than this are prose; only so much of them is read.
MAX_CHARS = 200
#: A heading that names more is a list of what stands elsewhere ("Usage | Evaluation | License").
MAX_CONCEPTS = 4

_CJK = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7a3\uff66-\uff9f"
_HAS_CJK = re.compile(f"[{_CJK}]")
_ACCENTS = re.compile("[\u0300-\u036f\ufe0e\ufe0f\u200d]")
_OPTIONAL = re.compile(r"[\[(]\s*(?:optional|if applicable|if any)\s*[\])]")
_NUMBER = re.compile(
    r"(?:step\s+)?(?:[\[(]?\d{1,2}(?:\.\d{1,2}){0,3}[.):\]、]|\d{1,2}(?:\.\d{1,2}){1,3}|[ivx]{1,5}[.)]|[a-h][.)])\s+|\d\ufe0f?\u20e3\s*"
)
_BREAK = re.compile(r"[,/:;|()\[\]{}+–—•·、，：；（）【】「」/?？!！]|(?<=\s)-(?=\s)")
_BLANKS = str.maketrans({"'": " ", "’": " ", "&": " and "})
_NOT_WORD = re.compile(rf"[^\w{_CJK}|]+|_+")
_SPLIT_CJK = re.compile(f"([{_CJK}]+)")


class Meaning(NamedTuple):
    """What a heading says by itself.

    `words` is the heading as it is compared, `concepts` what it names, sorted. It is `weak` where
    it has only words that mean less than the section it stands in ("summary"), and `complete` where
    all of its words are accounted for.
    """

    words: str
    concepts: tuple[str, ...]
    weak: bool
    complete: bool


def fold(title: str) -> str:
    """Give a heading as it is compared: words in lower case, parts divided by ``|``.

    Without accents, emoji, numbering, markup, punctuation, hyphens, the s of a plural, and the
    template's "[optional]".
    """
    text = unicodedata.normalize("NFKC", title[:MAX_CHARS]).casefold()
    text = _OPTIONAL.sub(" ", text).replace("(s)", "s").lstrip(" *_#>~`-–—•")
    text = _NUMBER.sub("", text.lstrip(), count=1) if _NUMBER.match(text.lstrip()) else text
    text = _ACCENTS.sub("", unicodedata.normalize("NFD", text))
    text = unicodedata.normalize("NFC", text).translate(_BLANKS)
    text = _NOT_WORD.sub(" ", _BREAK.sub("|", text))
    text = _SPLIT_CJK.sub(r" \1 ", text) if _HAS_CJK.search(text) else text
    words = [_singular(word) for word in text.replace("|", " | ").split()]
    if words == ["use"] and "uses" in text:
        words = ["uses"]  # alone, "Uses" is what it is for and "Use" is how
    return re.sub(r"(?:^\| ?)|(?: ?\|)+$", "", re.sub(r"\|(?: \|)+", "|", " ".join(words))).strip()


def _singular(word: str) -> str:
    """Drop the s of a plural, as English, French, Spanish and Portuguese write it."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word[-1] == "s" and word[-2] != "s" else word


class _Words(NamedTuple):
    """The phrases of the data file, folded: what each means."""

    whole: dict[str, frozenset[str]]
    anywhere: dict[str, frozenset[str]]
    weak: dict[str, frozenset[str]]
    first: dict[str, frozenset[str]]
    otherwise: dict[str, frozenset[str]]
    under: dict[str, dict[str, str]]
    cjk: re.Pattern[str]
    longest: int


def phrase(text: str) -> str:
    """Fold a phrase of the data file: as a heading, without its parts."""
    folded = fold(text).replace("| ", "").replace(" |", "")
    return folded.replace(" ", "") if _HAS_CJK.search(folded) else folded


@functools.cache
def _known() -> _Words:
    kinds = ("whole", "anywhere", "weak", "first", "otherwise")
    tables: dict[str, dict[str, frozenset[str]]] = {kind: {} for kind in kinds}
    under: dict[str, dict[str, str]] = {}
    for concept, definition in definitions()["concepts"].items():
        for kind, table in tables.items():
            for text in map(phrase, itertools.chain(*definition.get(kind, {}).values())):
                table[text] = table.get(text, frozenset()) | {concept}
        for family, phrases in definition.get("under", {}).items():
            under.setdefault(family, {}).update({phrase(text): concept for text in phrases})
    cjk = sorted(filter(_HAS_CJK.search, tables["anywhere"]), key=len, reverse=True)
    longest = max(text.count(" ") + 1 for text in [*tables["anywhere"], *tables["otherwise"]])
    return _Words(
        **tables, under=under, cjk=re.compile("|".join(map(re.escape, cjk))), longest=longest
    )


@functools.lru_cache(maxsize=200_000)
def meaning(title: str) -> Meaning:
    """Say what a heading means by itself, without the sections it stands in."""
    known = _known()
    words = fold(title)
    bare = phrase(title)
    exact = known.whole.get(bare, frozenset())
    if "|" not in words:  # else each part speaks for itself
        exact |= known.anywhere.get(bare, frozenset())
    if exact:
        return Meaning(words, tuple(sorted(exact)), False, True)
    if bare in known.weak:
        return Meaning(words, tuple(sorted(known.weak[bare])), True, True)
    lead, colon, rest = title[:MAX_CHARS].partition(":")
    if colon and fold(lead) in folded("words", "leads") and (told := meaning(rest)).concepts:
        return told._replace(words=words)
    found, faint, complete = _named(words.split(), known.anywhere)
    if not found and not faint:
        found, faint, complete = _named(words.split(), known.otherwise)
    named = found or faint or known.first.get(words.partition(" ")[0], frozenset())
    if len(named) > MAX_CONCEPTS:
        return Meaning(words, ("contents",), False, True)
    return Meaning(words, tuple(sorted(named)), not found and bool(faint), complete)


def _named(
    tokens: list[str], anywhere: dict[str, frozenset[str]]
) -> tuple[set[str], set[str], bool]:
    """Give the concepts that a heading names, those that it names weakly, and whether fully."""
    known = _known()
    faint: set[str] = set()
    found, spent = _spend(tokens, anywhere)
    complete = bool(tokens)
    for part in _parts(tokens, spent):
        text = " ".join(part)
        text = text.replace(" ", "") if _HAS_CJK.search(text) else text
        if named := known.whole.get(text) or known.otherwise.get(text):
            found |= named
        elif text in known.weak:
            faint |= known.weak[text]
        else:
            complete = False
    return found, faint, complete and bool(found or faint)


def _spend(tokens: list[str], anywhere: dict[str, frozenset[str]]) -> tuple[set[str], set[int]]:
    """Find the phrases in a heading, and the places of the words that are so accounted for.

    At each word the longest phrase counts, and its words count for nothing else.
    """
    known = _known()
    found: set[str] = set()
    spent: set[int] = set()
    at = 0
    while at < len(tokens):
        for size in range(min(known.longest, len(tokens) - at), 0, -1):
            # no phrase has the sign between parts, so none goes on beyond the end of one
            if named := anywhere.get(" ".join(tokens[at : at + size])):
                found |= named
                spent.update(range(at, at + size))
                at += size - 1
                break
        at += 1
    for i, token in enumerate(tokens):  # where nothing divides words, phrases are looked for inside
        if i not in spent and _HAS_CJK.search(token):
            # together with the words beside it: Korean puts blanks where it likes
            run = list(itertools.takewhile(_HAS_CJK.search, tokens[i:]))
            hits = known.cjk.findall("".join(run))
            found.update(*(known.anywhere[hit] for hit in hits))
            if hits and len("".join(hits)) * 2 >= len("".join(run)):
                spent.update(range(i, i + len(run)))
    return found, spent


def _parts(tokens: list[str], spent: set[int]) -> list[list[str]]:
    """Divide a heading at its punctuation and its "and"; leave out parts that are accounted for."""
    parts: list[list[int]] = [[]]
    for at, token in enumerate(tokens):
        if token == "|" or (token in listed("words", "joining") and at not in spent):
            parts.append([])
        else:
            parts[-1].append(at)
    return [[tokens[at] for at in part] for part in parts if not spent.issuperset(part)]


@functools.lru_cache(maxsize=50_000)
def under(title: str, parents: tuple[str, ...]) -> str | None:
    """Give the concept that a heading means only inside a section of one of `parents`."""
    families = definitions()["families"]
    for family, named in _known().under.items():
        if not set(families[family]).isdisjoint(parents) and (found := named.get(phrase(title))):
            return found
    return None


@functools.cache
def asked_for() -> frozenset[str]:
    """Give the concepts that a section of any standard names."""
    standards = map(sections_of, definitions()["standards"])
    return frozenset(c for items in standards for item in items for c in item.concepts)


#: Fewest labelled cards with a section, and without it, that say how often it is found.
MIN_LABELLED = 10
CORRECTED = ("filled_share_corrected", "corrected_low", "corrected_high")
COUNTS = ("true_positive", "false_positive", "false_negative", "true_negative")


def coverage_validation(
    standard: Standard = "huggingface", *, half: str | None = None
) -> pl.DataFrame:
    """Say how well each section of a standard is found, by the labels of 150 cards that were read.

    Parameters
    ----------
    standard : str
        One of those of :func:`cardlab.section_coverage`.
    half : str, optional
        ``"tuned"`` (the cards whose errors were looked at to mend the words) or ``"held_out"``
        (those that were only counted); both by default.

    Returns
    -------
    pl.DataFrame
        ``section``, in the standard's order; the labelled cards where it is filled and found so
        (``true_positive``), found and not filled (``false_positive``), filled and not found
        (``false_negative``), neither (``true_negative``); ``precision`` and ``recall`` (0-1, null
        of no cards) with ``_low`` and ``_high`` (95 % Wilson; at most two cards are of one author).
        All null where the section is in no labels.

    Raises
    ------
    CardlabError
        There is no such standard.

    Notes
    -----
    Filled by the labels: text of the card's own under a heading or label that means the section,
    or content that is it by its form. A sentence in passing is none. Who read them, and by which
    rules, is in ``tests/validation/README.md``.
    """
    check_standard(standard)
    data = files("cardlab").joinpath("data/coverage_validation.csv").read_bytes()
    counts = pl.read_csv(data, schema_overrides=dict.fromkeys(COUNTS, pl.Int64))
    own = counts.filter(standard=standard, **({} if half is None else {"half": half}))
    sums = own.group_by("section").agg(pl.col(COUNTS).sum())
    names = pl.DataFrame({"section": [item.name for item in sections_of(standard)]})
    found = names.join(sums, on="section", how="left", maintain_order="left")
    hit = found["true_positive"]
    return found.with_columns(
        *interval(hit, hit + found["false_positive"], "precision", "precision"),
        *interval(hit, hit + found["false_negative"], "recall", "recall"),
    )


def with_corrected(shares: pl.DataFrame, standard: Standard) -> pl.DataFrame:
    """Add what :func:`corrected` gives to the frame of sections of a standard, before ``n_cards``.

    Where authors are known, the cards are so many as their ``design_effect`` leaves; of a census,
    which has no interval of its own, only the labels are uncertain.
    """
    labelled = shares.select("section").join(
        coverage_validation(standard), on="section", how="left", maintain_order="left"
    )
    effect = pl.col("design_effect") if "design_effect" in shares.columns else pl.lit(1.0)
    effect = pl.when(pl.col("share_low").is_null()).then(1e-9).otherwise(effect)
    worth = shares.select(effect).to_series().to_numpy()
    found = corrected(shares["n_filled"], shares["n_cards"], labelled, worth)
    place = shares.columns.index("n_cards")
    return shares.select(*shares.columns[:place], *found, *shares.columns[place:])


def corrected(
    n_filled: pl.Series, n_cards: pl.Series, labelled: pl.DataFrame, design_effect: Any = 1.0
) -> list[pl.Series]:
    """Give the shares that readers would find, from those found, and their 95 % intervals.

    `labelled` has the :data:`COUNTS` of the section of each share. ``filled_share_corrected``,
    ``corrected_low``, ``corrected_high``: 0-1, null where fewer than 10 labelled cards have the
    section or lack it, or where it is found no more often with it than without. W. J. Rogan and
    B. Gladen, "Estimating prevalence from the results of a screening test", American Journal of
    Epidemiology 107 (1978), 71-76; Z. Lang and J. Reiczigel, "Confidence limits for prevalence of
    disease adjusted for estimated sensitivity and specificity", Preventive Veterinary Medicine 113
    (2014), 13-22, with the cards that the share is worth (`design_effect`) for their number.
    """
    z = 1.959964
    hits, false_alarms, misses, passes = labelled.select(COUNTS).cast(pl.Float64).to_numpy().T
    n_with, n_without = hits + misses, false_alarms + passes
    x, n = (of.cast(pl.Float64).to_numpy() for of in (n_filled, n_cards))
    with np.errstate(divide="ignore", invalid="ignore"):
        power = hits / n_with + passes / n_without - 1
        share = np.clip((x / n - false_alarms / n_without) / power, 0, 1)
        size = n / design_effect
        p = (x / n * size + z**2 / 2) / (size + z**2)
        seen, spared = (hits + 1) / (n_with + 2), (passes + 1) / (n_without + 2)
        variances = seen * (1 - seen) / (n_with + 2), spared * (1 - spared) / (n_without + 2)
        true = (p + spared - 1) / (seen + spared - 1)
        shift = 2 * z**2 * (true * variances[0] - (1 - true) * variances[1])
        spread = p * (1 - p) / (size + z**2)
        spread += true**2 * variances[0] + (1 - true) ** 2 * variances[1]
        half = z * np.sqrt(spread) / (seen + spared - 1)
    enough = (np.minimum(n_with, n_without) >= MIN_LABELLED) & (power > 0)
    middle = true + shift
    found = share, np.clip(middle - half, 0, share), np.clip(middle + half, share, 1)
    return [
        pl.Series(name, np.where(enough, of, np.nan), dtype=pl.Float64).fill_nan(None)
        for name, of in zip(CORRECTED, found, strict=True)
    ]
