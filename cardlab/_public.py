"""What each public function does before its own work: it takes sources of cards, and keywords."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import partial, wraps
from importlib import import_module
from inspect import Parameter, isfunction, signature
from typing import Any, TypeVar, cast

from .schema import SourceError, as_frame, is_spark

F = TypeVar("F", bound=Callable[..., Any])
_FRAMES = {"cards", "a", "b"}

#: Names of version 0.1 that moved, by where they are now, and those that became an argument.
_MOVED = {
    "comparison.changes": "compare_ids",
    "notebook": "key_figures note provenance require show_table usable use_theme where_possible",
    "replication": "card_rates replicate with_task_domains",
    "charts.counts": "plot_card_rates",
    "coverage.coverage": "heading_meanings unmapped_headings",
    "coverage.headings": "coverage_sections",
    "embeddings.describe_clusters": "between_clusters cluster_agreement",
    "embeddings.neighbors": "shared_vectors",
    "embeddings.project": "map_points trustworthiness",
    "embeddings.vectors": "vector_problems",
    "licenses.problems": "license_problems",
    "text.lengths": "length_histogram length_outliers length_relation text_problems",
}
_BECAME: dict[str, tuple[str, dict[str, Any]]] = {
    "class_counts": ("license_counts", {"classes": True}),
    "community_quality": ("tag_communities", {"quality": True}),
    "growth_fit": ("doubling_time", {"curve": True}),
    "lineage_families": ("lineage_summary", {"by": "family"}),
    "lineage_relations": ("lineage_summary", {"by": "relation"}),
    "lorenz": ("concentration", {"curve": True}),
    "plot_share_trends": ("plot_trends", {}),
    "with_license_names": ("with_licenses", {"names": True}),
}


def public(name: str, home: Mapping[str, str]) -> Any:
    """Find what a public name stands for, in the module where it is at home.

    A name of version 0.1 still works, and warns of what took its place.

    Raises
    ------
    AttributeError
        There is no such name; the message gives the nearest.
    """
    moved = next((room for room, names in _MOVED.items() if name in names.split()), None)
    if moved:
        _warn(name, f"cardlab.{moved}.{name}")
        return getattr(import_module(f"cardlab.{moved}"), name)
    if name in _BECAME:
        now, given = _BECAME[name]
        told = "".join(f", {key}={value!r}" for key, value in given.items())
        _warn(name, f"cardlab.{now}(...{told})")
        return partial(public(now, home), **given)
    if name not in home:
        said = f"module 'cardlab' has no attribute {name!r}{meant(name, home)}"
        raise AttributeError(said, name=name, obj=None)  # else Python adds a second guess
    value = getattr(import_module(home[name]), name)
    if not isfunction(value):
        return value
    # `vectors` takes the path of a file of vectors
    return taking_sources(value, paths=name != "vectors")


def _warn(name: str, now: str) -> None:
    warnings.warn(f"cardlab.{name} is {now} now.", DeprecationWarning, stacklevel=4)


def taking_sources(function: F, *, paths: bool = True) -> F:
    """Let a function take whatever ``scan_cards`` takes where it takes a frame of cards.

    A keyword that it does not have ends in an error that names the nearest it has. `paths` as
    False leaves paths to the function itself.
    """
    called = signature(function)
    parameters = called.parameters
    names = list(parameters)
    any_keyword = any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values())

    def given(name: str, value: Any) -> Any:
        if name not in names and not any_keyword:
            known = meant(name, names) or f". It has: {', '.join(names)}."
            raise TypeError(f"{function.__name__}() has no keyword {name!r}{known}")
        if name not in _FRAMES or (not paths and isinstance(value, (str, os.PathLike))):
            return value
        try:
            return as_frame(value)
        except SourceError as error:
            if name == "cards":
                raise
            which = "first" if name == "a" else "second"
            raise SourceError(f"the {which} corpus ({name}): {error}") from error

    @wraps(function)
    def taking(*args: Any, **kwargs: Any) -> Any:
        placed = [given(name, value) for name, value in zip(names, args, strict=False)]
        named = {name: given(name, value) for name, value in kwargs.items()}
        if "names" in names and "names" not in named and len(args) == 2:
            from .cards.sources import told_apart

            named |= {"names": told} if (told := told_apart(*args)) else {}
        placed += args[len(names) :]
        if any(map(is_spark, (*placed, *named.values()))):
            return import_module("cardlab._spark").run(
                function, called.bind(*placed, **named).arguments
            )
        return function(*placed, **named)

    setattr(sys.modules[function.__module__], function.__name__, taking)  # so that it pickles
    return cast(F, taking)


def meant(name: str, known: Iterable[str]) -> str:
    """Say which known name is nearest to one that is not known; empty when none is near."""
    nearest = get_close_matches(name, known, n=1)
    return f". Did you mean {nearest[0]!r}?" if nearest else ""
