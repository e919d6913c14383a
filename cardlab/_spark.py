"""Cards on Spark: the executors do what needs Python, and the driver sees results alone.

A column that polars makes card by card (of front matter, licences, lengths ...) is a column of
Spark that the executors make of Arrow batches, when it is asked for. An analysis runs as it is, in
one task on an executor: this is sent the columns that are read, keeps them on its disk, and gives
the result back, a single row.
"""

from __future__ import annotations

import os
import pickle
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial, reduce
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
import pyarrow as pa

from .cards import LOST, check_there, refuse_lost
from .cards.canonical import front_matter_in_texts, guessed_in, to_canonical
from .cards.records import lazily
from .cards.schemas import renamed
from .cards.sources import READERS
from .coverage.reading import READ, with_read
from .embeddings.cluster import cluster
from .embeddings.embed import spoken
from .embeddings.lsa import card_texts, lsa
from .embeddings.vectors import usable, vectors
from .sample.make import make_cards
from .schema import (
    CardlabError,
    NoFigure,
    SourceError,
    canonical_name,
    collect,
    is_spark,
    printable,
    problem,
    require,
)
from .text.lengths import MEASURES, needs_of

Make = Callable[[pl.LazyFrame], pl.LazyFrame]

#: What adds columns of which each card's follow from that card alone.
_BY_CARD = (
    *("with_languages", "with_licenses", "with_passages", "with_plain_text", "with_sections"),
    "with_text_lengths",
)
#: What adds columns that follow from one other column, but hang on all cards: that column and
#: what is read beside it, and the columns that are added.
_BY_VALUE = {
    "cluster": (("embeddings",), ("cluster",)),
    "with_families": (("text", "id"), ("family",)),
    "with_period": (("created_at",), ("period", "at_floor")),
}
#: Columns that are sent only where they are known to be read.
_LARGE = ("card", "text", "metadata", "embeddings", "problems", READ)
#: Cards at which a source is looked at, to see what it is.
_LOOK_AT = 1_000
#: Cards of which LSA and the atlas are made where there are more, drawn by a hash of their ids.
_FIT_ON = 50_000
_KEY = "__cardlab_key"


# ---- Sources.


def scan_spark(source: Any, on_error: str, columns: Mapping[str, str]) -> Any:
    """Give the canonical columns of a frame or a path of Spark as a frame of Spark."""
    raw, label = source, "frame of Spark"
    if not is_spark(source):
        raw, label = _opened(source), printable(str(source))
    check_there(columns, raw.columns, label)
    names = renamed(pl.LazyFrame(schema=dict.fromkeys(raw.columns, pl.Null)), columns)
    raw, said = raw.toDF(*names.collect_schema()), tuple(columns.values())
    told: list[str | None] = []

    def look(*about: Any) -> str | None:
        told.append(front_matter_in_texts(*about))
        return told[0]

    some = [name for name in raw.columns if canonical_name(name) in ("id", "text", "metadata")]
    if any(canonical_name(name) == "text" for name in some):
        sample = raw.select(*map(_column, some)).limit(_LOOK_AT).toArrow()
        to_canonical(pl.DataFrame(sample).lazy(), label, said=said, in_text=look)
    make = partial(_canonical, label=label, said=said, in_text=told[0] if told else None)
    F = _functions()
    cards = _with_made(raw, make, apart=True)
    if "problems" not in raw.columns:
        cards = _with_guesses(cards, guessed_in(raw.columns, label, said))
    if on_error == "null":
        return cards
    lost = F.exists("problems", lambda found: found["problem"].isin(*LOST))
    if on_error == "skip":
        return cards.filter(~lost)
    refuse_lost(collect(cards.filter(lost).select("id", "problems").limit(1)), label)
    return cards


def _with_guesses(cards: Any, guesses: list[tuple[str, str]]) -> Any:
    """Say with the first card what the names of columns were taken to mean."""
    if not guesses:
        return cards
    F = _functions()
    said = [problem(name, "guessed_column", detail) for name, detail in guesses]
    each = [F.struct(*(F.lit(v).alias(k) for k, v in one.items())) for one in said]
    both = F.concat(F.array(*each), "problems").cast(cards.schema["problems"].dataType)
    first = F.monotonically_increasing_id() == 0
    return cards.withColumn("problems", F.when(first, both).otherwise(F.col("problems")))


def _canonical(
    raw: pl.LazyFrame, *, label: str, said: tuple[str, ...], in_text: str | None
) -> pl.LazyFrame:
    return to_canonical(raw, label, said=said, in_text=lambda *_: in_text)


def _opened(source: Any) -> Any:
    """Let Spark read the files of a path."""
    if not isinstance(source, (str, os.PathLike)):
        raise SourceError(
            f"engine='spark' reads a path or a frame of Spark, not {type(source).__name__}. Frames "
            "of another engine: spark.createDataFrame(...), or leave out the engine."
        )
    path = os.fspath(source)
    kind = READERS.get(Path(path.rstrip("/*")).suffix.lower(), "parquet")
    reader = session().read
    if kind not in ("parquet", "JSON lines"):
        raise SourceError(
            f"{printable(path)}: engine='spark' reads parquet and JSON lines, not {kind}. Read it "
            "with Spark, and give the frame: cardlab.scan_cards(spark.read...)."
        )
    try:
        return reader.parquet(path) if kind == "parquet" else reader.json(path)
    except Exception as error:  # Spark's own, of whichever version
        raise SourceError(f"{printable(path)}: Spark cannot read it: {error}") from error


def session() -> Any:
    """Give the session of Spark that is there, or start one.

    A CardlabError without PySpark or Java says how to install them.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise CardlabError(
            "engine='spark' needs PySpark, which is not installed: pip install 'cardlab[spark]'."
        ) from None
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    if not (shutil.which("java") or {"JAVA_HOME", "SPARK_REMOTE"} & os.environ.keys()):
        raise CardlabError(
            "engine='spark' needs Java 17 or later, which is not on the path: "
            "apt-get install openjdk-17-jre-headless, or conda install -c conda-forge openjdk=17."
        )
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    return SparkSession.builder.getOrCreate()


# ---- Columns that the executors make of Arrow batches.


class _Plan:
    """What `make` makes of cards with these columns, and which of them that reads."""

    def __init__(self, make: Make, schema: Mapping[str, Any]) -> None:
        self.rows, self.asked = pl.DataFrame(schema=schema), set[str]()
        self.source = lazily(self._batches, dict(schema))
        self.made = make(self.source)

    def _batches(self, names: list[str]) -> Iterator[pl.DataFrame]:
        self.asked.update(names)
        yield self.rows.select(names)

    def reads(self, name: str) -> tuple[str, ...]:
        self.asked.clear()
        self.made.select(name).collect()
        return tuple(sorted(self.asked))


class _Maker:
    """Makes some columns of a batch, as one array: of structs where they are several."""

    def __init__(self, make: Make, schema: Mapping[str, Any], reads: tuple[str, ...]) -> None:
        self.make, self.schema, self.reads = make, schema, reads
        self.types: dict[str, pa.DataType] = {}
        self._plan: _Plan | None = None

    @property
    def type(self) -> pa.DataType:
        types = list(self.types.items())
        return types[0][1] if len(types) == 1 else pa.struct(types)

    def __call__(self, *columns: pa.Array) -> pa.Array:
        if self._plan is None:  # once in a task
            self._plan = _Plan(self.make, self.schema)
        self._plan.rows = _polars(pa.table(list(columns), names=list(self.reads)))
        rows = self._plan.made.select(*self.types).collect()
        arrays = [rows[name].to_arrow().cast(type) for name, type in self.types.items()]
        if len(arrays) == 1:
            return arrays[0]
        return pa.StructArray.from_arrays(arrays, fields=list(self.type))


def _udf(maker: _Maker) -> Callable[..., Any]:
    return lambda *columns: maker(*columns)  # without hints, as Spark cannot read those of a class


def _with_made(frame: Any, make: Make, *, apart: bool = False) -> Any:
    """Give the columns that `make` makes, those it leaves alone as they are.

    What Python makes of the same columns is made at once, unless each is to stand `apart`, since
    what is read is remembered.
    """
    from pyspark.sql.pandas.types import from_arrow_type

    schema = _schema(frame)
    plan = _Plan(make, schema)
    types = plan.made.collect_schema()
    makers: dict[Any, _Maker] = {}
    made: dict[str, _Maker] = {}
    for name, dtype in types.items():
        said = plan.made.select(name).explain()
        if name in schema and said == plan.source.select(name).explain():
            continue
        reads = plan.reads(name)
        alone = apart or "python_udf" not in said
        made[name] = makers.setdefault((reads, alone and name), _Maker(make, schema, reads))
        made[name].types[name] = _type(dtype)
    columns = {name: _column(name) for name in types if name not in made}
    for maker in makers.values():
        function = _functions().arrow_udf(_udf(maker), from_arrow_type(maker.type))
        column = function(*map(_column, maker.reads))
        several = len(maker.types) > 1
        columns |= {name: column[name] if several else column for name in maker.types}
    return frame.select(*(columns[name].alias(name) for name in types))


def _functions() -> Any:
    return import_module("pyspark.sql.functions")


def _column(name: str) -> Any:
    return _functions().col("`" + name.replace("`", "``") + "`")


def _schema(frame: Any) -> dict[str, Any]:
    return dict(rows_of(frame.limit(0)).schema)


def rows_of(frame: Any) -> pl.DataFrame:
    """Collect a frame of Spark."""
    return _polars(frame.toArrow())


def _polars(rows: Any) -> pl.DataFrame:
    """Give Arrow's rows as polars, with dates in UTC: Spark gives them in the session's zone."""
    frame = pl.DataFrame(rows)
    return frame.with_columns(cs.datetime(time_zone="*").dt.convert_time_zone("UTC"))


def _type(dtype: Any) -> pa.DataType:
    """Give the type that Spark has for one of polars."""
    if isinstance(dtype, (pl.List, pl.Array)):
        return pa.list_(_type(dtype.inner))
    if isinstance(dtype, pl.Struct):
        return pa.struct([(field.name, _type(field.dtype)) for field in dtype.fields])
    if isinstance(dtype, pl.Datetime):
        return pa.timestamp("us", dtype.time_zone and "UTC")
    if dtype.is_unsigned_integer():
        return pa.int64()
    if dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        return pa.string()
    return pa.binary() if dtype == pl.Binary else pl.Series(dtype=dtype).to_arrow().type


# ---- Analyses, in one task on an executor.


def run(function: Any, arguments: dict[str, Any]) -> Any:
    """Run a public function on frames of Spark."""
    module, name = function.__module__, function.__name__
    room = module.split(".")[1]
    if room == "cards":
        return function(**arguments)
    frames = {key: value for key, value in arguments.items() if is_spark(value)}
    options = {key: value for key, value in arguments.items() if key not in frames}
    if room in ("charts", "notebook", "report", "widgets"):
        raise CardlabError(
            f"{name} holds its cards in this process, and does not take a frame of Spark. Give it "
            "some of them: cardlab.read_cards(cards.limit(10_000))."
        )
    call = partial(_called, module, name, options)
    (first, cards), *_ = frames.items()
    if name == "embed":
        return _embedded(cards, call, options)
    if name in _BY_CARD:
        return _with_made(cards, call)
    if name in _BY_VALUE:
        reads, new = _BY_VALUE[name]
        call = partial(_clustered, options) if name == "cluster" else call
        return _by_value(cards, call, (options["column"],) if "column" in options else reads, new)
    if name == "atlas":
        frames = {first: _drawn(cards)}
    elif room in ("text", "coverage"):
        only = {options.get("measure", "n_words")} if room == "text" else set(MEASURES)
        frames = {key: _with_lengths(frame, only) for key, frame in frames.items()}
    if room == "coverage":
        frames = {key: _with_made(frame, with_read) for key, frame in frames.items()}
    return _result(call, frames)


def _called(module: str, name: str, options: dict[str, Any], *cards: Any, **frames: Any) -> Any:
    return getattr(import_module(module), name)(*cards, **frames, **options)


def _with_lengths(frame: Any, only: set[str]) -> Any:
    """Add the lengths that the cards lack, each to be counted where it is asked for."""
    have = {*frame.columns}
    lacking = [name for name in MEASURES if name in only - have and {*needs_of([name])} <= have]
    lengths = {"measures": lacking}
    call = partial(_called, "cardlab.text.lengths", "with_text_lengths", lengths)
    return _with_made(frame, call) if lacking else frame


def _result(call: Callable[..., Any], frames: dict[str, Any]) -> Any:
    """Let one task run an analysis, until it has been sent all columns that it reads."""
    schemas = {key: _schema(frame) for key, frame in frames.items()}
    reads = _dry(call, schemas)
    while True:
        work = partial(_answered, call=call, schemas=schemas, reads=reads)
        ((answer,),) = _sent(frames, reads).mapInArrow(work, "answer binary").collect()
        result, absent, said = pickle.loads(answer)
        if not any(absent.values()):
            break
        narrow = {key: {*schema}.difference(_LARGE) for key, schema in schemas.items()}
        reads = {key: reads[key] | absent[key] | narrow[key] for key in reads}
    for warning in said:
        warnings.warn(warning, stacklevel=4)
    if isinstance(result, Exception):
        raise result
    return result


def _dry(call: Callable[..., Any], schemas: dict[str, Any]) -> dict[str, set[str]]:
    """Say which columns an analysis reads, of a few cards that are made up."""
    cards = make_cards(200)
    plans: dict[str, _Plan] = {}
    for key, schema in schemas.items():
        rows = cards.select(
            (pl.col(name) if cards.schema.get(name) == dtype else _any(dtype)).alias(name)
            for name, dtype in schema.items()
        )
        plans[key] = _Plan(lambda source: source, schema)
        plans[key].rows = rows
    try:
        result = call(**{key: plan.source for key, plan in plans.items()})
        collect(result) if isinstance(result, pl.LazyFrame) else result
    except Exception:  # it cannot be said of these; the task says what it lacks
        pass
    return {key: plan.asked or {next(iter(schemas[key]))} for key, plan in plans.items()}


def _any(dtype: Any) -> pl.Expr:
    """Give values of a type."""
    if dtype.is_numeric():
        return (pl.int_range(pl.len()) % 7).cast(dtype)
    value: Any = {pl.String: "a", pl.List(pl.String): ["a"]}.get(dtype)
    return pl.repeat(value, pl.len(), dtype=dtype)


def _sent(frames: dict[str, Any], reads: Mapping[str, set[str]]) -> Any:
    """Put the columns that are read of all frames into one partition, each row in its order."""
    F = _functions()

    place = F.monotonically_increasing_id().alias("at")
    parts = [
        frame.select(
            F.lit(key).alias("of"),
            place,
            *(_column(name).alias(f"{key}{i}") for i, name in enumerate(sorted(reads[key]))),
        )
        for key, frame in frames.items()
    ]
    one = next(iter(frames.values())).sparkSession.range(1)  # so that the task runs without cards
    whole = reduce(
        lambda a, b: a.unionByName(b, allowMissingColumns=True),
        [*parts, one.select(F.lit("").alias("of"), F.lit(-1).cast("long").alias("at"))],
    )
    return whole.repartition(1).sortWithinPartitions("of", "at")


def _answered(
    batches: Iterator[pa.RecordBatch],
    *,
    call: Callable[..., Any],
    schemas: dict[str, Any],
    reads: dict[str, set[str]],
) -> Iterator[pa.RecordBatch]:
    """Run an analysis on an executor: one row with the result, what it lacked, and warnings."""
    absent: dict[str, set[str]] = {key: set() for key in schemas}
    with TemporaryDirectory(prefix="cardlab-") as folder:
        sources = _kept(batches, Path(folder), schemas, reads, absent)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            try:
                result = call(**sources)
                result = collect(result) if isinstance(result, pl.LazyFrame) else result
            except Exception as error:
                if not any(absent.values()) and not isinstance(error, CardlabError):
                    raise
                result = error
    said = [each.message for each in caught if isinstance(each.message, UserWarning)]
    pickler = import_module("pyspark.cloudpickle")  # which knows functions too
    answer = pickler.dumps((None if any(absent.values()) else result, absent, said))
    yield pa.RecordBatch.from_arrays([pa.array([answer], pa.binary())], names=["answer"])


def _kept(
    batches: Iterator[pa.RecordBatch],
    folder: Path,
    schemas: dict[str, Any],
    reads: dict[str, set[str]],
    absent: dict[str, set[str]],
) -> dict[str, pl.LazyFrame]:
    """Keep what was sent in files of a folder, and scan it; `absent` says what was not sent."""
    files: dict[str, list[Path]] = {key: [] for key in schemas}
    for number, batch in enumerate(batches):
        rows = _polars(batch)
        for key in schemas:
            own = rows.filter(pl.col("of") == key)
            if own.height:
                file = folder / f"{key}-{number}.arrow"
                names = {f"{key}{i}": name for i, name in enumerate(sorted(reads[key]))}
                own.select(*names).rename(names).write_ipc(file)
                files[key].append(file)

    def read(key: str, names: list[str]) -> Iterator[pl.DataFrame]:
        if not reads[key].issuperset(names):
            absent[key].update(names)
            raise SourceError(f"columns that were not sent: {names}")
        yield pl.DataFrame(schema={name: schemas[key][name] for name in names})
        for file in files[key]:
            yield pl.read_ipc(file, columns=names).select(names)

    return {key: lazily(partial(read, key), schema) for key, schema in schemas.items()}


# ---- Columns that hang on all cards: found in one task, and joined where the rows are.


def _by_value(
    frame: Any, call: Callable[..., Any], reads: tuple[str, ...], new: tuple[str, ...]
) -> Any:
    """Add columns that follow from the values of one column, once all of them are known."""
    F = _functions()
    from pyspark.sql.pandas.types import from_arrow_schema

    require(frame, *reads)
    keyed = frame.withColumn(_KEY, F.coalesce(F.md5(_column(reads[0]).cast("string")), F.lit("")))
    before, schemas = _schema(frame), {"cards": _schema(keyed)}
    types = call(pl.LazyFrame(schema=before)).collect_schema()
    layout = pa.schema([(_KEY, pa.string()), *((name, _type(types[name])) for name in new)])

    def found(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with TemporaryDirectory(prefix="cardlab-") as folder:
            sources = _kept(batches, Path(folder), schemas, sent, {"cards": set()})
            rows = collect(call(**sources).select(_KEY, *new)).unique(_KEY)
            yield from rows.to_arrow().cast(layout).to_batches()

    sent = {"cards": {_KEY, *reads}}
    known = _sent({"cards": keyed}, sent).mapInArrow(found, from_arrow_schema(layout))
    return keyed.drop(*new).join(known, on=_KEY, how="left").drop(_KEY)


# ---- Vectors: what makes them is fitted in one task, and the executors apply it to each batch.


def _drawn(cards: Any) -> Any:
    """Give at most so many cards as something is fitted on."""
    F = _functions()

    if cards.count() <= _FIT_ON:
        return cards
    return cards.orderBy(F.xxhash64("id"), "id").limit(_FIT_ON)


def _embedded(cards: Any, call: Callable[..., Any], options: dict[str, Any]) -> Any:
    """Add ``embeddings``, of LSA that was fitted on some cards, or of a model on each executor."""
    if options.get("save") is not None:
        raise CardlabError(
            "save= keeps vectors in a file of this machine; on Spark write the frame that comes "
            "back: cardlab.embed(cards).write.parquet(path)."
        )
    model, column = options.get("model", "lsa"), options.get("column")
    if isinstance(model, str) and model == "lsa" and column is None:
        call = _result(partial(_fitted, call), {"cards": _drawn(cards)})
    reads = [column] if column else [n for n in ("text", "tags") if n in cards.columns]
    require(cards, *(reads or ("text", "tags")))
    return _with_made(cards, partial(_with_vectors, call, reads))


def _fitted(call: Callable[..., Any], cards: pl.LazyFrame) -> Callable[[pl.DataFrame], Any]:
    """Fit LSA, and give what lays other cards among those it was fitted on."""
    _, _, options = call.args  # type: ignore[attr-defined]
    lay = lsa(spoken(cards), options.get("n_components", 128), options.get("random_state", 0))[1]
    return partial(_laid, lay)


def _laid(lay: Callable[..., Any], cards: pl.DataFrame) -> Any:
    return lay(card_texts(cards))


def _with_vectors(
    vectors_of: Callable[[pl.DataFrame], Any], reads: list[str], cards: pl.LazyFrame
) -> pl.LazyFrame:
    dtype = pl.List(pl.Float32)

    def read(values: pl.Series) -> pl.Series:
        try:
            x = vectors_of(values.struct.unnest()) if len(values) else np.empty((0, 1))
        except NoFigure:  # none of these says anything
            x = np.full((len(values), 1), np.nan)
        lists = pl.Series(np.asarray(x, dtype=np.float32)).arr.to_list()
        return lists.set(pl.Series(~usable(x)), None) if len(x) else lists

    made = pl.struct(reads).map_batches(read, return_dtype=dtype, is_elementwise=True)
    return cards.with_columns(made.alias("embeddings"))


def _clustered(options: dict[str, Any], cards: pl.LazyFrame) -> pl.LazyFrame:
    """Add the cluster of each card, of its vector."""
    have = [name for name in (_KEY, "embeddings") if name in cards.collect_schema()]
    rows = collect(cards.select(have))
    labels = cluster(vectors(rows), **options) if rows.height else None
    return rows.with_columns(cluster=pl.Series(labels, dtype=pl.Int32)).lazy()
