"""A Vega-Lite spec as a page may hold it, and the one copy of Vega that draws all of them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from .sanitize import visible, visible_values

VEGALITE = "application/vnd.vegalite.v5+json"

# The keys under which data stand: their rows may hold any key, also one called "url".
_DATA_KEYS = {"datasets", "values"}
# Under these stand formulas, which half a text would break.
_FORMULAS = {
    *("and", "calculate", "expr", "filter", "labelExpr", "not", "or", "signal", "test", "update"),
}
_BIND_INPUTS = {"range", "select", "radio", "checkbox", "text", "number", "date", "color"}
_BIND_KEYS = {"input", "min", "max", "step", "options", "labels", "name", "debounce", "placeholder"}
_SCHEMA = re.compile(r"https://vega\.github\.io/schema/vega-lite/v(\d+)(?:\.(\d+))?[\d.]*\.json")
_bundle_lock = threading.Lock()


class RefusedChartError(ValueError):
    """A spec that a page must not hold; the message says why."""


def checked_spec(
    spec: Any, shown: Callable[[str], str] = visible
) -> tuple[dict[str, Any], tuple[int, int]]:
    """Return a spec without anything that loads or overrides, and its Vega-Lite version.

    Parameters
    ----------
    spec : dict
        As altair gives it.
    shown : callable
        Applied to every text but formulas: makes it visible, and may cut it.

    Raises
    ------
    RefusedChartError
        When the spec wants data from a URL, draws images, or is not Vega-Lite.
    """
    if not isinstance(spec, dict):
        raise RefusedChartError("it is not a Vega-Lite specification")
    schema = _SCHEMA.fullmatch(str(spec.get("$schema", "")))
    if schema is None:
        raise RefusedChartError("it is not a Vega-Lite specification")
    # usermeta can replace the loader and every other option that we set.
    kept = {key: value for key, value in spec.items() if key not in {"$schema", "usermeta"}}
    return _walk(kept, shown), (int(schema[1]), int(schema[2] or 0))


def _walk(value: Any, shown: Callable[[str], str], key: str = "") -> Any:
    """Copy a spec, refusing what would load and trimming what would set attributes."""
    if isinstance(value, list):
        return [_walk(item, shown, key) for item in value]
    if not isinstance(value, dict):
        return visible_values(value, visible if key in _FORMULAS else shown)
    if "url" in value:
        raise RefusedChartError("it takes data or images from a URL, and a report asks for nothing")
    mark = value.get("mark")
    if "image" in (mark, mark.get("type") if isinstance(mark, dict) else None):
        raise RefusedChartError("it draws images, and a report asks for nothing")
    result: dict[str, Any] = {}
    for name, item in value.items():
        if name in _DATA_KEYS:
            result[name] = visible_values(item, shown)
        elif name == "bind" and isinstance(item, (dict, str)):
            result[name] = visible_values(_bind(item), shown)
        elif name == "bind":
            continue  # a list would be searched for a field's input by its number
        else:
            result[shown(str(name))] = _walk(item, shown, name)
    return result


def _bind(bind: Any) -> Any:
    """Keep of an input element's attributes those that only say what it asks for.

    Vega sets every other key as an attribute: ``onfocus`` is one, and so is ``src``.
    """
    if not isinstance(bind, dict):
        return bind
    if "input" not in bind:
        return {key: _bind(item) for key, item in bind.items() if isinstance(item, dict)}
    kept = {key: item for key, item in bind.items() if key in _BIND_KEYS}
    if not isinstance(kept["input"], str) or kept["input"] not in _BIND_INPUTS:
        kept["input"] = "text"
    return kept


def vega_script(version: tuple[int, int]) -> str:
    """Return Vega, Vega-Lite and vega-embed as one script, for specs up to ``version``."""
    with _bundle_lock:
        return _vega_script(version)


@lru_cache(maxsize=4)
def _vega_script(version: tuple[int, int]) -> str:
    import vl_convert

    shipped = {
        (int(major), int(minor)): name
        for name in vl_convert.get_vegalite_versions()
        for major, minor in [name.lstrip("v").replace("_", ".").split(".")[:2]]
    }
    # Never older than the spec: an older Vega-Lite ignores what it does not know.
    fitting = [known for known in sorted(shipped) if known[0] == version[0] and known >= version]
    chosen = shipped[fitting[0] if fitting else max(shipped)]
    bundle = vl_convert.javascript_bundle(vl_version=chosen)  # type: ignore[call-arg]
    # Its top level declares names such as n and t, which must not become the page's.
    return f"(()=>{{{bundle}\n}})();"
