"""One harness for all benchmarks: each way in a process of its own, and one kind of table.

A benchmark is a module of this package with ``write``, which writes the data to a file (named
with ``SUFFIX``), ``SIZES``, the numbers of cards where none are given, and ``TASKS``: what is
timed, in which ways, and how a result is judged.

Each run is a process of its own, so that no way finds the modules, threads or memory of another;
the ways take turns, so that a busy minute of the machine meets all of them. The clock runs from
the loaded data to the result, imports not counted. Added memory is the peak of the process less
what it was before the clock started. What is told is the median of the runs.
"""

from __future__ import annotations

import hashlib
import itertools
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any


class Later:
    """A module imported when first used: the process of one way holds no other's libraries."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)


cl, pl = Later("cardlab"), Later("polars")
CARDS = ".parquet"
#: The command line, as a namespace.
Options = Any
#: A run that has ended: `way`, `path`, `data`, `found`, `seconds` of the run, seconds of its
#: `imports`, `peak` memory in MB.
Run = Any
#: Numbers, of which medians are told, and ``result``, a string that the ways have to agree on.
Figures = dict[str, Any]


@dataclass(frozen=True)
class Way:
    """A way of doing the work, from the data to the result."""

    run: Callable[[Any], Any]
    modules: tuple[str, ...]  # imported before the clock starts; left out where one is missing
    compared: bool = True  # its result has to be that of the other ways
    least_only: bool = False  # too slow for any but the least size
    prepare: Callable[[Any], Any] = lambda data: data  # what `run` gets; not timed

    @property
    def absent(self) -> bool:
        return any(find_spec(module.split(".")[0]) is None for module in self.modules)


@dataclass(frozen=True)
class Task:
    """What the ways do."""

    title: str
    load: Callable[[str, Options], Any] = lambda path, options: path  # the file -> the data
    warm: Callable[[Any], Any] | None = None  # the data -> those of a run before the clock starts
    judge: Callable[[Run], Figures] = lambda run: {}
    against: tuple[str, ...] = ("cardlab",)  # ways whose seconds the others are divided by
    sizes: Callable[[Options], list[int]] = lambda options: options.sizes
    ways: dict[str, Way] = field(default_factory=dict)

    def way(
        self,
        name: str,
        *modules: str,
        compared: bool = True,
        least_only: bool = False,
        **fixed: Any,
    ) -> Callable[[Any], Any]:
        """Make the function below a way, with some arguments fixed; the lowest way comes first."""

        def add(run: Any) -> Any:
            self.ways[name] = Way(partial(run, **fixed), modules, compared, least_only)
            return run

        return add


def write_cards(path: str, size: int, options: Options) -> None:
    """Write a corpus without texts and vectors, which most benchmarks read."""
    cl.make_cards(size, text=False, embedding_dim=0).write_parquet(path)


def digest(found: Any) -> str:
    """Give the same few letters for the same rows in any order, or the same array."""
    data = found.tobytes() if hasattr(found, "tobytes") else repr(sorted(found)).encode()
    return hashlib.sha256(data).hexdigest()[:8]


def report(name: str, options: Options) -> str:
    """Run a benchmark and give its tables as Markdown."""
    tasks, runs = measured(name, options)
    module = import_module(f"benchmarks.{name}")
    parts = [f"{tasks[key].title}\n\n{_table(tasks[key], of)}\n" for key, of in runs.items() if of]
    parts += [module.extra(options)] if hasattr(module, "extra") else []
    ways = {name: way for task in tasks.values() for name, way in task.ways.items()}
    parts += [f"not installed, left out: {name}" for name, way in ways.items() if way.absent]
    return "\n".join(parts)


def measured(name: str, options: Options) -> tuple[dict[str, Task], dict[str, list[Figures]]]:
    """Run a benchmark and give its tasks, and the figures of all runs of each."""
    module = import_module(f"benchmarks.{name}")
    tasks: dict[str, Task] = module.TASKS
    options.sizes = [int(size) for size in (options.sizes or module.SIZES).split(",")]
    runs: dict[str, list[Figures]] = {key: [] for key in tasks}
    for size in sorted({size for task in tasks.values() for size in task.sizes(options)}):
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / f"cards-{size}{module.SUFFIX}")
            _apart(module.write, path, size, options)
            for (key, task), _ in itertools.product(tasks.items(), range(options.runs)):
                for way, of in task.ways.items():
                    wanted = [min(task.sizes(options))] if of.least_only else task.sizes(options)
                    left_out = options.ways and way not in options.ways.split(",")
                    if size not in wanted or left_out or of.absent:
                        continue
                    figures = _apart(_run, name, key, way, path, options)
                    runs[key].append({"cards": size, "way": way, **figures})
                    print(f"{size:>9,} {key:<16}{way:<32}{figures['s']:8.2f} s", file=sys.stderr)
    return tasks, runs


def _apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process that has just begun."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        return executor.submit(function, *arguments).result()


def _run(name: str, key: str, way_name: str, path: str, options: Options) -> Figures:
    task: Task = import_module(f"benchmarks.{name}").TASKS[key]
    way = task.ways[way_name]
    run = SimpleNamespace(way=way_name, path=path, data=task.load(path, options))
    start = time.perf_counter()
    for module in way.modules:
        import_module(module)
    run.imports = time.perf_counter() - start
    data = way.prepare(run.data)
    if task.warm:
        _drained(way.run(task.warm(data)))
    before, start = _peak(), time.perf_counter()
    run.found = _drained(way.run(data))
    run.seconds, run.peak = time.perf_counter() - start, _peak()
    return {"s": run.seconds, "added MB": run.peak - before, "result": None, **task.judge(run)}


def _drained(found: Any) -> Any:
    return list(found) if isinstance(found, Iterator) else found


def _peak() -> float:
    """Give the most memory that this process has held, in MB.

    Where getrusage alone tells it, a process begins with the peak of the one that started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**10
    unit = 2**20 if platform.system() == "Darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _table(task: Task, runs: list[Figures]) -> str:
    """Tell medians and ratios, after a look at whether the ways agree."""
    frame, result = pl.DataFrame(runs), pl.col("result")
    once = pl.when(result.n_unique() == 1).then(result.first()).otherwise(pl.lit("differs"))
    rows = frame.group_by("cards", "way", maintain_order=True).agg(
        pl.selectors.numeric().median(), once.alias("result")
    )
    compared = [name for name, way in task.ways.items() if way.compared]
    n_results = frame.filter(pl.col("way").is_in(compared)).group_by("cards").agg(result.n_unique())
    if (n_results["result"].max() or 0) > 1:
        raise SystemExit(f"{task.title}: the ways do not agree\n{markdown(rows)}")
    rows = rows if rows["result"].count() else rows.drop("result")
    ratios = []
    for other in task.against:
        base = pl.col("s").filter(pl.col("way") == other).first().over("cards")
        ratios.append((pl.col("s") / base).alias(f"x {other}"))
    rows = rows.select("cards", "way", "s", *ratios, pl.exclude("cards", "way", "s"))
    if rows["cards"].n_unique() > 1:
        # the slope of log seconds on log cards: 1 where time grows as the cards do
        x, y = pl.col("cards").log(), pl.col("s").log()
        rows = rows.with_columns(growth=(pl.cov(x, y) / x.var()).over("way"))
    return markdown(rows)


def markdown(rows: Any) -> str:
    with pl.Config(
        tbl_formatting="MARKDOWN",
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_width_chars=-1,
        fmt_str_lengths=100,
        float_precision=3,
        thousands_separator=",",
    ):
        return str(rows)
