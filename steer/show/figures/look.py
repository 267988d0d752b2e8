"""How the figures look: colours, marks, type. Charts name colours by what they stand for, so that one
specification serves light and dark, screen and paper; a configuration holds what the names mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from steer.screen import plain
from steer.texts import JsonObject

FONT = (
    'Inter, -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", '
    "Arial, sans-serif"
)
LIGHT = {
    **{"paper": "#ffffff", "raised": "#f6f7f8", "ink": "#16191d", "muted": "#59626d", "faint": "#a5adb6"},
    **{"rule": "#e2e5e9", "suffix": "#6b46a8", "vector": "#0b7569", "both": "#7d6200", "base": "#59626d"},
    **{"control": "#a5adb6", "up": "#b13a24", "down": "#23689b", "middle": "#f3f3f1", "depth": "#4a3b78"},
    **{"warn": "#fdf3d7", "warn-ink": "#5c4400", "focus": "#1f6feb"},
}
DARK = {
    **{"paper": "#14171b", "raised": "#1d2126", "ink": "#e8eaed", "muted": "#a3acb7", "faint": "#626b76"},
    **{"rule": "#2d333a", "suffix": "#b79df0", "vector": "#4fc0ae", "both": "#d9b44a", "base": "#a3acb7"},
    **{"control": "#6b7480", "up": "#ec7a5e", "down": "#6bb1e6", "middle": "#23272c", "depth": "#a896e0"},
    **{"warn": "#3a2f10", "warn-ink": "#f3dc9c", "focus": "#6cb0ff"},
}
MARKS = ("base", "suffix", "vector", "both", "control", "up", "down", "ink")
"""Colours that a mark may have: each is a parameter of the configuration, by its name."""

LINE, MOST = 17, 60
"""Characters of a name on a phone's line, and at most."""


class Look(NamedTuple):
    """A mark's colour, one of MARKS, and its shape: either tells kinds of arms apart."""

    colour: str
    shape: str


LOOKS = {
    "baseline": Look("base", "circle"),
    "suffix": Look("suffix", "diamond"),
    "cell": Look("vector", "circle"),
    "both": Look("both", "square"),
    "adapter": Look("both", "triangle-up"),
}
CONTROL = Look("control", "circle")


def look(kind: str) -> Look:
    return LOOKS.get(kind, CONTROL)


def styles() -> str:
    """The colours as the page's style sheet has them; paper is always light."""
    light, dark = (" ".join(f"--{k}: {v};" for k, v in colours.items()) for colours in (LIGHT, DARK))
    return (
        f":root {{ {light} --font: {FONT}; }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    )


def config(colours: Mapping[str, str], *, narrow: bool = False) -> JsonObject:
    """What Vega-Lite is told of colours, type and room. narrow: for a phone's width."""
    muted = {"labelColor": colours["muted"], "titleColor": colours["muted"]}
    return {
        "background": colours["paper"],
        "font": FONT,
        "params": [
            {"name": "narrow", "value": narrow},
            *({"name": name, "value": colours[name]} for name in MARKS),
        ],
        "view": {"stroke": None},
        "axis": {
            **muted,
            "domainColor": colours["rule"],
            "gridColor": colours["rule"],
            "tickColor": colours["rule"],
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "titlePadding": 8,
            "labelLimit": 110 if narrow else 180,
        },
        "legend": {
            **muted,
            "symbolOpacity": 1,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "gradientThickness": 7,
            "columns": 2 if narrow else 4,
        },
        "title": {"color": colours["muted"], "fontSize": 9, "fontWeight": "normal"},
        "range": {
            "diverging": [colours[name] for name in ("down", "middle", "up")],
            "ramp": [colours[name] for name in ("middle", "depth")],
        },
        "style": {
            "rows": {"labelColor": colours["ink"], "labelFontSize": 13, "labelLimit": 120 if narrow else 240},
            "bare": {"grid": False, "domain": False, "ticks": False, "labelAngle": 0},
            "across": {"color": colours["faint"], "strokeWidth": 1},
            "within": {"color": colours["control"], "opacity": 0.22},
            "filled": {"filled": True, "opacity": 1, "size": 90, "cursor": "pointer"},
            "hollow": {
                "fill": colours["paper"],
                "strokeWidth": 1.6,
                "opacity": 1,
                "size": 60,
                "cursor": "pointer",
            },
            "cell": {"stroke": colours["paper"], "strokeWidth": 2, "cursor": "pointer"},
            "number": {"fontSize": 11, "cursor": "pointer"},
            "chosen": {"filled": False, "color": colours["ink"], "strokeWidth": 2.5},
            "ring": {"color": colours["ink"], "strokeWidth": 2, "size": 110},
            "note": {"fontSize": 12, "align": "left", "baseline": "middle", "dx": 8, "limit": 0},
            "halo": {"stroke": colours["paper"], "strokeWidth": 4, "strokeJoin": "round"},
        },
    }


def short(text: str, most: int = MOST) -> str:
    shown = " ".join(plain(text).split())
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def in_two(text: str) -> str:
    """A long name with a line break in place of the space nearest its middle."""
    text = short(text)
    spaces = [i for i, c in enumerate(text) if c == " "]
    if len(text) <= LINE or not spaces:
        return text
    at = min(spaces, key=lambda i: abs(2 * i - len(text)))
    return f"{text[:at]}\n{text[at + 1 :]}"
