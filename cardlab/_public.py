"""What each public function does before its own work: it takes sources of cards, and keywords."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import wraps
from importlib import import_module
from inspect import Parameter, isfunction, signature
from typing import Any

from .schema import SourceError, as_frame

_FRAMES = {"cards", "a", "b"}


def public(name: str, home: Mapping[str, str]) -> Any:
    """Find what a public name stands for, in the module where it is at home.

    Raises
    ------
    AttributeError
        There is no such name; the message gives the nearest.
    """
    if name not in home:
        said = f"module 'cardlab' has no attribute {name!r}{meant(name, home)}"
        raise AttributeError(said, name=name, obj=None)  # else Python adds a second guess
    value = getattr(import_module(home[name]), name)
    if not isfunction(value):
        return value
    # `vectors` takes the path of a file of vectors
    return _taking_sources(value, paths=name != "vectors")


def _taking_sources(function: Any, *, paths: bool) -> Any:
    """Let a function take whatever ``scan_cards`` takes where it takes a frame of cards.

    A keyword that it does not have ends in an error that names the nearest it has. `paths` as
    False leaves paths to the function itself.
    """
    parameters = signature(function).parameters
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
        return function(*placed, *args[len(names) :], **named)

    setattr(sys.modules[function.__module__], function.__name__, taking)  # so that it pickles
    return taking


def meant(name: str, known: Iterable[str]) -> str:
    """Say which known name is nearest to one that is not known; empty when none is near."""
    nearest = get_close_matches(name, known, n=1)
    return f". Did you mean {nearest[0]!r}?" if nearest else ""
