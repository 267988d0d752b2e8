"""Static figures of a run for papers and slides: SVG and PNG by matplotlib, tables as Markdown.

They show what `summary.json` holds and compute nothing. Every figure of a fixture says so in itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steer.errors import UserError
from steer.report import tables, view, words
from steer.report.tables import Table
from steer.screen import plain
from steer.summary import about_real_models

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

Draw = Callable[[Mapping[str, Any]], "Figure | None"]


def write_figures(folder: Path, out: Path) -> list[Path]:
    """Write the figures of the run in `folder`, each as SVG and PNG, and `tables.md`, into `out`.

    Raises UserError where matplotlib is missing or `out` cannot be written.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        raise UserError(
            "--figures needs matplotlib, which is not installed: pip install -e '.[figures]'"
        ) from None
    import logging

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # absent fonts are no news
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    summary = view.read_summary(folder)
    paths: list[Path] = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(STYLE):
            for name, draw in FIGURES.items():
                figure = draw(summary)
                if figure is None:
                    continue
                if summary["evidence"]:
                    figure.text(0.995, 0.005, plain(summary["evidence"]), ha="right", color=MUTED, size=7)
                for suffix, dpi in (("svg", None), ("png", 200)):
                    path = out / f"{name}.{suffix}"
                    figure.savefig(
                        path,
                        dpi=dpi,
                        bbox_inches="tight",
                        metadata={"Date": None} if suffix == "svg" else None,
                    )
                    paths.append(path)
                plt.close(figure)
        paths.append(out / "tables.md")
        paths[-1].write_text(markdown(folder), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write to {str(out)!r}: {error.strerror}; give another --figures") from error
    return paths


# --- Markdown ------------------------------------------------------------------------------

TITLES = {
    "arms": "Arms",
    "side_by_side": "Suffix and vector side by side",
    "gaps": "Gaps",
    "controls": "Controls",
    "exchange": "Exchange rate",
    "tug": "Tug of war",
    "tug_arms": "Suffix and vector together",
    "spillover": "Narrow and broad",
    "defence": "The trained vector under a defence",
    "versus": "Adapter against vector",
    "coherence": "How each arm was made, and its coherence",
    "energy": "Energy of the components",
    "frontier": "Undominated arms",
    "transfer": "Transfer",
    "costs": "Costs",
    "categories": "By category",
    "items": "Scenarios that moved the wrong way, or could not move",
    "agreement": "Agreement between judges",
    "cells": "Cells (selection)",
}


def markdown(folder: Path) -> str:
    """Headline and tables of a run as Markdown, with the judge and the evidence named."""
    run = view.load(folder, budget=0)
    lines = [f"# {_inert(run.headline.sentence)}", ""]
    if run.headline.aside:
        lines += [f"{_inert(run.headline.aside)}.", ""]
    lines += [*(f"- {_inert(detail)}" for detail in run.headline.details), ""]
    known = run.known_error or "how far it errs is not known"
    lines += [f"{_inert(run.title)} · judge: {_inert(run.judge)} ({_inert(known)})", ""]
    if run.evidence:
        bearing = about_real_models(run.evidence)
        lines += [
            f"**Evidence: {_inert(run.evidence)}.**{f' {bearing.capitalize()}.' if bearing else ''}",
            "",
        ]
    for name, title in TITLES.items():
        if name in run.tables:
            lines += [f"## {title}", "", *table_lines(run.tables[name]), ""]
    lines += [f"Repeat: `{plain(run.repeat).replace('`', '')}`", ""]
    return "\n".join(lines)


def table_lines(table: Table) -> list[str]:
    """A table in Markdown: first column left, the others right."""
    rows = [table.columns, *table.rows]
    rule = "|" + "|".join([":--", *["--:"] * (len(table.columns) - 1)]) + "|"
    lines = ["| " + " | ".join(_inert(cell) for cell in row) + " |" for row in rows]
    return [lines[0], rule, *lines[1:]]


def _inert(text: str) -> str:
    """Text that Markdown and the HTML in it leave alone, on one line."""
    shown = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "\\`*_[]|!#":
        shown = shown.replace(mark, f"\\{mark}")
    return " ".join(shown.split())


# --- figures -------------------------------------------------------------------------------


def _label(text: str, most: int = 36) -> str:
    shown = plain(text).replace("\n", " ")
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _frame(rows: int, *, width: float = 6.6, row: float = 0.34) -> tuple[Figure, Axes]:
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, 0.9 + row * rows))


def _estimates(
    names: Sequence[str],
    marks: Sequence[tuple[int, float | None, Sequence[float] | None, str, str, bool, float]],
    xlabel: str,
) -> Figure:
    """Rows of estimates with intervals: (row, x, interval, colour, marker, hollow, shift)."""
    figure, axes = _frame(len(names))
    for row, x, ci, colour, marker, hollow, shift in marks:
        if x is None:
            continue
        y = row + shift
        if ci is not None:
            axes.plot([ci[0], ci[1]], [y, y], color=colour, lw=1 if hollow else 1.8, solid_capstyle="butt")
        face = "white" if hollow else colour
        axes.plot([x], [y], marker, color=colour, markerfacecolor=face, ms=4.5 if hollow else 5.5)
    axes.set_yticks(range(len(names)), [_label(name) for name in names], color=INK)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x", color=RULE, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(xlabel)
    return figure


def arms_figure(summary: Mapping[str, Any]) -> Figure | None:
    """Convergence of every arm but cells and controls, chosen cells included, on both denominators."""
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
        names, marks, "convergence, %, with 95 % intervals (filled: of all; hollow: of valid)"
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
    for key, title in tables.SIDE_NAMES.items():
        if sides.get(key) is None:
            continue
        kind = "cell" if key.startswith("vector") else "suffix"
        colour, marker = COLOURS[kind], MARKERS.get(kind, "o")
        if key.startswith("difference"):
            colour, marker = INK, "s"
        value, ci = tables.side_estimate(sides[key], "all")
        marks.append((len(names), value, ci, colour, marker, False, 0.0))
        names.append(title)
    figure = _estimates(names, marks, "percentage points of all answers, with paired 95 % intervals")
    figure.axes[0].axvline(0, color=FAINT, lw=1, zorder=0)
    return figure


def heat_figure(summary: Mapping[str, Any]) -> Figure | None:
    """Layer by magnitude: convergence against baseline, nonsense, fluency and drift."""
    cells: list[Mapping[str, Any]] = summary.get("cells") or []
    if not cells:
        return None
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    arms, chosen = summary["arms"], summary.get("choice", {}).get("chosen_arms", [])
    first = (cells[0]["vector"], cells[0]["span"], cells[0]["operation"])
    cells = [c for c in cells if (c["vector"], c["span"], c["operation"]) == first]
    layers = sorted({c["layer"] for c in cells})
    magnitudes = sorted({c["magnitude"] for c in cells})
    measures: list[tuple[str, Callable[[Mapping[str, Any]], float | None], str]] = [
        ("convergence against baseline, points", lambda c: c["points_all"], "+.0f"),
        ("nonsense, %", lambda c: _times(100, arms[c["arm"]]["nonsensical_all"]), ".0f"),
        ("fluency, nats a token", lambda c: arms[c["arm"]].get("fluency"), ".1f"),
        ("drift, nats a token", lambda c: arms[c["arm"]].get("drift"), ".2f"),
    ]
    measures = [m for m in measures if any(m[1](c) is not None for c in cells)]
    size = (3.6 * min(2, len(measures)), (0.9 + 0.24 * len(layers)) * ((len(measures) + 1) // 2))
    figure, grid = plt.subplots((len(measures) + 1) // 2, min(2, len(measures)), figsize=size, squeeze=False)
    for axes, (title, value, spec) in zip(grid.flat, measures, strict=False):
        z = np.full((len(layers), len(magnitudes)), np.nan)
        for c in cells:
            found = value(c)
            z[layers.index(c["layer"]), magnitudes.index(c["magnitude"])] = np.nan if found is None else found
        most = float(np.nanmax(np.abs(z))) or 1.0
        signed = spec.startswith("+")
        colours = LinearSegmentedColormap.from_list("", DIVERGING if signed else SEQUENTIAL)
        low = -most if signed else 0.0 if title.startswith(("nonsense", "drift")) else float(np.nanmin(z))
        axes.pcolormesh(z, cmap=colours, vmin=low, vmax=most, edgecolors="white", linewidth=1.2)
        for c in cells:
            row, column = layers.index(c["layer"]), magnitudes.index(c["magnitude"])
            if np.isnan(z[row, column]):
                continue
            strong = abs(z[row, column] - (0 if signed else low)) > 0.6 * (most - (0 if signed else low))
            text = format(z[row, column], spec).replace("-", "−")
            place = (column + 0.5, row + 0.5)
            axes.text(*place, text, ha="center", va="center", size=6.5, color="white" if strong else INK)
            if c["arm"] in chosen:
                axes.add_patch(Rectangle((column, row), 1, 1, fill=False, ec=INK, lw=1.6, clip_on=False))
        axes.set_title(title)
        axes.set_xticks(np.arange(len(magnitudes)) + 0.5, [words.signed(m) for m in magnitudes], size=7)
        axes.set_yticks(np.arange(len(layers)) + 0.5, [str(layer) for layer in layers], size=7)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("magnitude")
        axes.set_ylabel("layer")
    for axes in grid.flat[len(measures) :]:
        axes.set_visible(False)
    figure.tight_layout()
    return figure


def _times(scale: float, value: float | None) -> float | None:
    return None if value is None else scale * value


def dose_figure(summary: Mapping[str, Any]) -> Figure | None:
    """Convergence and nonsense against magnitude, a line a layer; suffixes and baseline across."""
    cells: list[Mapping[str, Any]] = summary.get("cells") or []
    if not cells:
        return None
    import matplotlib.pyplot as plt

    arms = summary["arms"]
    chosen_arms = summary.get("choice", {}).get("chosen_arms", [])
    chosen = {f["layer"] for f in summary.get("choice", {}).get("folds", [])}
    chosen |= {c["layer"] for c in cells if c["arm"] in chosen_arms}
    first = (cells[0]["vector"], cells[0]["span"], cells[0]["operation"])
    kinds = {name: words.kind_of(summary, name) for name in arms}
    baseline = next((name for name, kind in kinds.items() if kind == "baseline"), None)
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(6.6, 4.4), sharex=True, gridspec_kw={"height_ratios": [3, 1]}
    )
    for layer in sorted({c["layer"] for c in cells}, key=lambda one: (one in chosen, one)):
        row = {
            c["magnitude"]: arms[c["arm"]]
            for c in cells
            if c["layer"] == layer and (c["vector"], c["span"], c["operation"]) == first
        }
        if baseline is not None:
            row.setdefault(0.0, arms[baseline])
        points = [(m, a) for m, a in sorted(row.items()) if a["rate_all"] is not None]
        if not points:
            continue
        x = [m for m, _ in points]
        strong = layer in chosen
        look: dict[str, Any] = {"color": COLOURS["cell"] if strong else FAINT, "lw": 2 if strong else 0.8}
        upper.plot(x, [100 * a["rate_all"] for _, a in points], "o-", ms=4 if strong else 2, **look)
        lower.plot(x, [100 * a["nonsensical_all"] for _, a in points], "o-", ms=3 if strong else 1.5, **look)
        if strong:
            band = [[100 * a["rate_all_ci"][end] for _, a in points] for end in (0, 1)]
            upper.fill_between(x, band[0], band[1], color=COLOURS["cell"], alpha=0.13, lw=0)
            last = points[-1][1]["rate_all"]
            upper.annotate(
                f"layer {layer}",
                (x[-1], 100 * last),
                (6, 0),
                textcoords="offset points",
                va="center",
                color=COLOURS["cell"],
            )
    placed = -100.0
    lines = [(arms[n]["rate_all"], n) for n, k in kinds.items() if k in ("baseline", "suffix")]
    for rate, name in sorted((rate, name) for rate, name in lines if rate is not None):
        colour = COLOURS[kinds[name]]
        upper.axhline(100 * rate, color=colour, lw=1, ls=":" if kinds[name] == "baseline" else "--", zorder=0)
        placed = max(100 * rate + 1, placed + 6)
        upper.text(
            0.005, placed, _label(name, 18), transform=upper.get_yaxis_transform(), color=colour, size=8
        )
    for axes, label in ((upper, "converge, %"), (lower, "nonsense, %")):
        axes.grid(color=RULE, lw=0.8)
        axes.set_axisbelow(True)
        axes.set_ylabel(label)
    upper.set_ylim(-3, 105)
    lower.set_ylim(bottom=0)
    lower.set_xlabel("magnitude")
    figure.tight_layout()
    return figure


def tug_figure(summary: Mapping[str, Any]) -> Figure | None:
    """The attack's effect alone and under the defence, against magnitude."""
    entries = [e for n, e in summary.get("tug", {}).items() if n != "table" and e["curve"]]
    if not entries:
        return None
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(1, len(entries), figsize=(3.4 * len(entries), 2.8), squeeze=False)
    for axes, entry in zip(grid[0], entries, strict=True):
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
    return _matrix(found["from"], found["to"], found["points"], "measured on", "vector of", signed=True)


def _matrix(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    xlabel: str,
    ylabel: str,
    *,
    signed: bool,
) -> Figure:
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap

    z = np.array([[np.nan if v is None else v for v in row] for row in values], dtype=float)
    figure, axes = _frame(len(rows), width=1.6 + 0.85 * len(columns), row=0.42)
    most = max(1.0, float(np.nanmax(np.abs(z)))) if signed else 100.0
    colours = LinearSegmentedColormap.from_list("", DIVERGING if signed else SEQUENTIAL)
    axes.pcolormesh(
        z, cmap=colours, vmin=-most if signed else 0, vmax=most, edgecolors="white", linewidth=1.5
    )
    for (row, column), value in np.ndenumerate(z):
        if not np.isnan(value):
            text = format(value, "+.0f" if signed else ".0f").replace("-", "−")
            colour = "white" if abs(value) > 0.6 * most else INK
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour, size=8)
    axes.set_xticks(np.arange(len(columns)) + 0.5, [_label(c, 14) for c in columns])
    axes.set_yticks(np.arange(len(rows)) + 0.5, [_label(r, 20) for r in rows])
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
        name = tables.SIDE_EFFECTS[effect]
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
                    _label(p["arm"], 14),
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


FIGURES: dict[str, Draw] = {
    "arms": arms_figure,
    "gaps": gaps_figure,
    "side-by-side": sides_figure,
    "heat": heat_figure,
    "dose": dose_figure,
    "tug": tug_figure,
    "frontier": frontier_figure,
    "transfer": transfer_figure,
}
