"""What columns are called on screens, and in which unit they are shown: ``data/columns.toml``.

A share is 0-1 in a frame and a percentage on a screen.
"""

from __future__ import annotations

from .schema import words_of

_COLUMNS = words_of("columns")

#: Column -> its heading in a table and its name in a tooltip.
HEADINGS: dict[str, str] = {
    name: said if isinstance(said, str) else said["label"] for name, said in _COLUMNS.items()
}
#: Columns that are shares of 0 to 1 though their names do not say so.
_SHARES = {name for name, said in _COLUMNS.items() if not isinstance(said, str)}


def label(name: str) -> str:
    """Give a column's heading; ends of an interval and names in words need none of their own."""
    ends = {"_low": "95 % from", "_high": "to"}
    usual = next((said for end, said in ends.items() if name.endswith(end)), None)
    return HEADINGS.get(name) or usual or name.replace("_", " ")


def is_share(name: str) -> bool:
    """Say whether a column holds shares of 0 to 1, by its name."""
    named = name.endswith(("share", "_rate")) or name.startswith(("share_", "rate_"))
    return named or name in _SHARES
