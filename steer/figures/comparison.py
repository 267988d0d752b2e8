"""Suffix and vector against each other: tug of war, transfer, frontier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from steer.figures.look import COLOURS, DIVERGING, FAINT, INK, RULE, frame, short
from steer.report import comparison, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def tug_figure(summary: Mapping[str, Any]) -> Figure | None:
    """The attack's effect alone and under the defence, against magnitude."""
    entries = {n: e for n, e in summary.get("tug", {}).items() if n != "table" and e["curve"]}
    if not entries:
        return None
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(1, len(entries), figsize=(3.4 * len(entries), 2.8), squeeze=False)
    for axes, (title, entry) in zip(grid[0], entries.items(), strict=True):
        axes.set_title(title)
        for part, name, colour, style in (
            ("alone", "alone", COLOURS["cell"], "o-"),
            ("under_defence", f"under {entry['defence']}", COLOURS["both"], "s--"),
        ):
            known = [(p["size"], p[part]) for p in entry["curve"] if p[part] is not None]
            if not known:
                continue
            x = [size for size, _ in known]
            axes.plot(x, [e["points"] for _, e in known], style, color=colour, ms=4, label=name)
            axes.fill_between(
                x,
                [e["ci"][0] for _, e in known],
                [e["ci"][1] for _, e in known],
                color=colour,
                alpha=0.13,
                lw=0,
            )
        axes.axhline(0, color=FAINT, lw=1, zorder=0)
        axes.grid(color=RULE, lw=0.8)
        axes.set_axisbelow(True)
        axes.set_xlabel("|magnitude|")
        axes.legend(frameon=False)
    grid[0][0].set_ylabel("effect of the vector, points")
    figure.tight_layout()
    return figure


def transfer_figure(summary: Mapping[str, Any]) -> Figure | None:
    """A vector of one behaviour, measured on another."""
    found = summary.get("transfer")
    if found is None:
        return None
    return _matrix(found["from"], found["to"], found["points"], "measured on", "vector of")


def _matrix(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    xlabel: str,
    ylabel: str,
) -> Figure:
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap

    z = np.array([[np.nan if v is None else v for v in row] for row in values], dtype=float)
    figure, axes = frame(len(rows), width=1.6 + 0.85 * len(columns), row=0.42)
    most = max(1.0, float(np.nanmax(np.abs(z))))
    colours = LinearSegmentedColormap.from_list("", DIVERGING)
    axes.pcolormesh(z, cmap=colours, vmin=-most, vmax=most, edgecolors="white", linewidth=1.5)
    for (row, column), value in np.ndenumerate(z):
        if not np.isnan(value):
            text = format(value, "+.0f").replace("-", "−")
            colour = "white" if abs(value) > 0.6 * most else INK
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour, size=8)
    axes.set_xticks(np.arange(len(columns)) + 0.5, [short(c, 14) for c in columns])
    axes.set_yticks(np.arange(len(rows)) + 0.5, [short(r, 20) for r in rows])
    axes.set_ylim(len(rows), 0)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    return figure


def frontier_figure(summary: Mapping[str, Any]) -> Figure | None:
    """Effect against each side effect; undominated arms strong, suffixes as diamonds."""
    points: list[Mapping[str, Any]] = [
        p for p in summary.get("frontier") or [] if p["value"] is not None and p["effect_points"] is not None
    ]
    if not points:
        return None
    import matplotlib.pyplot as plt

    effects = list(dict.fromkeys(p["side_effect"] for p in points))
    size = (3.0 * len(effects), 2.8)
    figure, grid = plt.subplots(1, len(effects), figsize=size, sharey=True, squeeze=False)
    for axes, effect in zip(grid[0], effects, strict=True):
        name = comparison.SIDE_EFFECTS[effect]
        scale = 100 if name.endswith("%") else 1
        for p in (p for p in points if p["side_effect"] == effect):
            suffix = words.kind_of(summary, p["arm"]) == "suffix"
            colour = COLOURS["suffix" if suffix else "cell" if p["undominated"] else "control"]
            face = colour if p["undominated"] or not suffix else "white"
            x, y = scale * p["value"], p["effect_points"] * (-1 if p["direction"] == "down" else 1)
            axes.plot(
                [x],
                [y],
                "D" if suffix else "o",
                color=colour,
                mfc=face,
                ms=5.5 if suffix or p["undominated"] else 3,
            )
            if p["arm"] in ("pro", "anti"):
                axes.annotate(
                    short(p["arm"], 14),
                    (x, y),
                    (6, 0),
                    textcoords="offset points",
                    va="center",
                    color=colour,
                    size=8,
                )
        axes.axhline(0, color=FAINT, lw=1, zorder=0)
        axes.grid(color=RULE, lw=0.8)
        axes.set_axisbelow(True)
        axes.set_xlabel(name)
    grid[0][0].set_ylabel("points against baseline")
    figure.tight_layout()
    return figure
