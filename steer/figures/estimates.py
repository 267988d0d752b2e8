"""Rates and gaps of arms, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from steer.figures.look import COLOURS, FAINT, INK, MARKERS, RULE, frame, short
from steer.report import comparison, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _estimates(
    names: Sequence[str],
    marks: Sequence[tuple[int, float | None, Sequence[float] | None, str, str, bool, float]],
    xlabel: str,
) -> Figure:
    """Rows of estimates with intervals: (row, x, interval, colour, marker, hollow, shift)."""
    figure, axes = frame(len(names))
    for row, x, ci, colour, marker, hollow, shift in marks:
        if x is None:
            continue
        y = row + shift
        if ci is not None:
            axes.plot([ci[0], ci[1]], [y, y], color=colour, lw=1 if hollow else 1.8, solid_capstyle="butt")
        face = "white" if hollow else colour
        axes.plot([x], [y], marker, color=colour, markerfacecolor=face, ms=4.5 if hollow else 5.5)
    axes.set_yticks(range(len(names)), [short(name) for name in names], color=INK)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x", color=RULE, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(xlabel)
    return figure


def arms_figure(summary: Mapping[str, Any]) -> Figure | None:
    """Hit rates of every arm but cells and controls, chosen cells included, on both denominators."""
    kinds = {name: words.kind_of(summary, name) for name in summary["arms"]}
    names = [n for n in words.main_arms(summary, list(kinds)) if kinds[n] != "both"]
    marks: list[tuple[int, float | None, Sequence[float] | None, str, str, bool, float]] = []
    for row, name in enumerate(names):
        arm = summary["arms"][name]
        for over, hollow, shift in (("all", False, -0.13), ("valid", True, 0.17)):
            rate, ci = arm[f"rate_{over}"], arm[f"rate_{over}_ci"]
            scaled = None if rate is None else 100 * rate
            look = COLOURS[kinds[name]], MARKERS.get(kinds[name], "o")
            marks.append((row, scaled, ci and [100 * v for v in ci], *look, hollow, shift))
    figure = _estimates(
        names,
        marks,
        f"{words.spoken(summary)['noun']}, %, with 95 % intervals (filled: of all; hollow: of valid)",
    )
    figure.axes[0].set_xlim(-2, 102)
    return figure


def gaps_figure(summary: Mapping[str, Any]) -> Figure | None:
    """Every gap of the summary on both denominators."""
    if not summary["gaps"]:
        return None
    marks: list[tuple[int, float | None, Sequence[float] | None, str, str, bool, float]] = []
    for row, gap in enumerate(summary["gaps"].values()):
        steered = gap["second"] if str(gap["first"]).startswith("baseline") else gap["first"]
        kind = words.kind_of(summary, steered) if steered in summary["arms"] else "cell"
        look = COLOURS[kind], MARKERS.get(kind, "o")
        marks.append((row, gap["points_all"], gap["ci_all"], *look, False, -0.13))
        marks.append((row, gap["points_valid"], gap["ci_valid"], *look, True, 0.17))
    label = "gap, percentage points, with 95 % intervals (filled: of all; hollow: of valid)"
    figure = _estimates(list(summary["gaps"]), marks, label)
    figure.axes[0].axvline(0, color=FAINT, lw=1, zorder=0)
    return figure


def sides_figure(summary: Mapping[str, Any]) -> Figure | None:
    """Suffix gap, vector gap and their difference."""
    sides = summary.get("side_by_side")
    if sides is None:
        return None
    names: list[str] = []
    marks: list[tuple[int, float | None, Sequence[float] | None, str, str, bool, float]] = []
    for key, title in comparison.SIDE_NAMES.items():
        if sides.get(key) is None:
            continue
        kind = "cell" if key.startswith("vector") else "suffix"
        colour, marker = COLOURS[kind], MARKERS.get(kind, "o")
        if key.startswith("difference"):
            colour, marker = INK, "s"
        value, ci = comparison.side_estimate(sides[key], "all")
        marks.append((len(names), value, ci, colour, marker, False, 0.0))
        names.append(title)
    figure = _estimates(names, marks, "percentage points of all answers, with paired 95 % intervals")
    figure.axes[0].axvline(0, color=FAINT, lw=1, zorder=0)
    return figure
