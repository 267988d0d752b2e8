"""How the figures look: colours, marks, type and frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steer.screen import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, FAINT, RULE = "#16191d", "#59626d", "#a5adb6", "#e2e5e9"
COLOURS = {
    "baseline": MUTED,
    "suffix": "#6b46a8",
    "cell": "#0b7569",
    "both": "#7d6200",
    "adapter": "#7d6200",
    "control": FAINT,
    "other": FAINT,
}
MARKERS = {"suffix": "D", "both": "s", "adapter": "^"}
DIVERGING = ("#23689b", "#f3f3f1", "#b13a24")
SEQUENTIAL = ("#f3f3f1", "#4a3b78")
STYLE: dict[Any, Any] = {
    "font.family": ["Inter", "Helvetica Neue", "Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "steergap",
}


def short(text: str, most: int = 36) -> str:
    shown = plain(text).replace("\n", " ")
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def frame(rows: int, *, width: float = 6.6, row: float = 0.34) -> tuple[Figure, Axes]:
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, 0.9 + row * rows))
