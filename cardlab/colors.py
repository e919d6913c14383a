"""All colours: of charts, of maps, and of pages, whose style sheet reads them as variables."""

from __future__ import annotations

import json

PAPER, INK, FAINT, GRID = "#ffffff", "#22262e", "#667085", "#e4e7ec"
ACCENT, SOFT, WARM, PEACH = "#3b5bdb", "#a5b4f4", "#d9730d", "#f3c69b"
#: Edges of a network.
TIE = "#98a2b3"

#: Ten colours that keep their order of lightness for colour-blind readers (after Okabe and Ito).
CATEGORIES = [
    *(ACCENT, WARM, "#0f8a6a", "#b4438f", "#8a6d00"),
    *("#0d8bb5", "#c4302b", "#6b5bd0", "#4d7c0f", "#7a5548"),
]
SEQUENTIAL = ["#f4f6ff", "#c9d3fb", "#8fa3f3", "#4f6be3", "#24399e"]
DIVERGING = ["#b3541e", "#eaa877", "#f5f5f5", "#93a5ee", "#2a44b8"]
#: Ten steps from warm to cold, each dark enough to be seen on white, for values with an order.
ORDERED = [
    *("#d98a00", "#d9652b", "#c9453f", "#b03060", "#8f2a80"),
    *("#6b2f98", "#4a3aa6", "#2f4aa8", "#1f5f9e", "#0f6f7f"),
]

#: What each of these is on a dark page: light on dark, in the same order of lightness from there.
DARK = {
    **{PAPER: "#1b2128", INK: "#e4e8ee", FAINT: "#a5afbd", GRID: "#343c47"},
    **{SOFT: "#5563b3", PEACH: "#8a5f33", TIE: "#6f7b8c"},
    **dict(
        zip(
            [*CATEGORIES, *SEQUENTIAL, *DIVERGING, *ORDERED],
            [
                *("#7f97f5", "#f0a050", "#3cc49e", "#e08ac4", "#d1b23c"),
                *("#4cc0e8", "#f2827e", "#a99bf7", "#9ccc5a", "#c9a294"),
                *("#232a36", "#2f3b6b", "#4a5fb8", "#7f97f5", "#c3cefc"),
                *("#e0935a", "#734620", "#252b34", "#3d4c94", "#8fa2f5"),
                *("#f2b04d", "#f08f5c", "#ea7d78", "#e0789f", "#cf7bc4"),
                *("#b48be0", "#9b92f0", "#84a5f2", "#74bde8", "#62c9d6"),
            ],
            strict=True,
        )
    ),
}

_LIGHT = {
    **{"page": "#f7f8fa", "card": PAPER, "line": "#dde1e7", "text": "#1d232b", "soft": "#596372"},
    **{"accent": "#0b5cad", "accent-soft": "#e6f0fa", "warn": "#8a4b00", "warn-soft": "#fff4e2"},
    **{"bad": "#a3222a", "bad-soft": "#fdecec", "code": "#f1f3f6", "shade": "#0000002e"},
    **{"kw": "#7a2f9e", "str": "#1b6e3c", "num": "#9a4a00", "com": "#5f6975", "fn": "#0b5cad"},
    # groups of a map that are not told apart, are not known, are not picked
    **{"other": "#8d97a5", "missing": "#b9c0ca", "pale": "#dfe3e9"},
}
#: The groups of a map that have no colour of their own, on paper.
PLAIN = {name: _LIGHT[name] for name in ("other", "missing")}
_DARK = {
    **{"page": "#14181e", "card": DARK[PAPER], "line": "#343c47", "text": "#e4e8ee"},
    **{"soft": "#a5afbd", "accent": "#82b8f2", "accent-soft": "#1d3147", "warn": "#f0bd72"},
    **{"warn-soft": "#382a14", "bad": "#f39a9f", "bad-soft": "#3d1f22", "code": "#10141a"},
    **{"shade": "#000000b0"},
    **{"kw": "#d3a4ee", "str": "#8fd3a6", "num": "#f0b27a", "com": "#98a2af", "fn": "#82b8f2"},
    **{"other": "#7d8794", "missing": "#57606b", "pale": "#2d343d"},
}
#: The same on a light and on a dark page: pictures, and the box at a pointer.
_BOTH = {**{"paper": PAPER, "tip": _LIGHT["text"], "tip-text": PAPER, "tip-key": "#b9c4d2"}}


def style() -> str:
    """Give the colours as variables of CSS, of light and dark pages; what is printed is light."""
    light, dark, both = map(_variables, (_LIGHT, _DARK, _BOTH))
    return (
        f":root {{ {both} }}\n"
        f":root, figure[data-print] {{ {light} color-scheme: light; }}\n"
        "@media screen and (prefers-color-scheme: dark) {\n"
        f'  :root:not([data-theme="light"]) {{ {dark} color-scheme: dark; }}\n'
        "}\n"
        f'@media screen {{ :root[data-theme="dark"] {{ {dark} color-scheme: dark; }} }}\n'
    )


def script() -> str:
    """Give the colours of a dark page by those of a light one, for the scripts of a page."""
    return f"const cardlabDark = {json.dumps(DARK)};"


def lab_style() -> str:
    """Give the same for what stands in JupyterLab, by its theme."""
    light, dark, both = map(_variables, (_LIGHT, _DARK, _BOTH))
    return (
        f".clx, .tip {{ {both} {light} }}\n"
        f'[data-jp-theme-light="false"] :is(.clx, .tip) {{ {dark} color-scheme: dark; }}\n'
    )


def _variables(colors: dict[str, str]) -> str:
    return " ".join(f"--{name}: {color};" for name, color in colors.items())
