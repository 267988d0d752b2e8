"""A sweep's cells: heat maps over layer and magnitude, and dose against response."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from steer.figures.look import COLOURS, DIVERGING, FAINT, INK, RULE, SEQUENTIAL, short
from steer.report import words

if TYPE_CHECKING:
    from matplotlib.figure import Figure


LINES = 6
"""Suffixes and baselines that run across the doses at most: more cannot be told apart."""


def heat_figure(summary: Mapping[str, Any]) -> Figure | None:
    """Layer by magnitude: hits against baseline, nonsense, fluency and drift."""
    cells: list[Mapping[str, Any]] = summary.get("cells") or []
    if not cells:
        return None
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    noun = words.spoken(summary)["noun"]
    arms, chosen = summary["arms"], summary.get("choice", {}).get("chosen_arms", [])
    first = (cells[0]["vector"], cells[0]["span"], cells[0]["operation"])
    cells = [c for c in cells if (c["vector"], c["span"], c["operation"]) == first]
    layers = sorted({c["layer"] for c in cells})
    magnitudes = sorted({c["magnitude"] for c in cells})
    # (title, value, its format, the least that full colour stands for, so that little looks like little)
    measures: list[tuple[str, Callable[[Mapping[str, Any]], float | None], str, float]] = [
        (f"{noun} against baseline, points", lambda c: c["points_all"], "+.0f", 10),
        ("nonsense, %", lambda c: _times(100, arms[c["arm"]]["broken_all"]), ".0f", 10),
        ("fluency, nats a token", lambda c: arms[c["arm"]].get("fluency"), ".2f", 1),
        ("drift, nats a token", lambda c: arms[c["arm"]].get("drift"), "z.2f", 0.1),
    ]
    measures = [m for m in measures if any(m[1](c) is not None for c in cells)]
    size = (3.6 * min(2, len(measures)), (0.9 + 0.24 * len(layers)) * ((len(measures) + 1) // 2))
    figure, grid = plt.subplots((len(measures) + 1) // 2, min(2, len(measures)), figsize=size, squeeze=False)
    for axes, (title, value, spec, least) in zip(grid.flat, measures, strict=False):
        z = np.full((len(layers), len(magnitudes)), np.nan)
        for c in cells:
            found = value(c)
            z[layers.index(c["layer"]), magnitudes.index(c["magnitude"])] = np.nan if found is None else found
        most = max(least, float(np.nanmax(np.abs(z))))
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


def _is_plain(name: str, kind: str) -> bool:
    """Whether an arm is a suffix in its first wording, appended by the user alone."""
    return kind == "suffix" and "paraphrase" not in name and " by builder" not in name


def _times(scale: float, value: float | None) -> float | None:
    return None if value is None else scale * value


def dose_figure(summary: Mapping[str, Any]) -> Figure | None:
    """Hits and nonsense against magnitude, a line a layer; suffixes and baseline across."""
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
        lower.plot(x, [100 * a["broken_all"] for _, a in points], "o-", ms=3 if strong else 1.5, **look)
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
    lines = [(arms[n]["rate_all"], n) for n, k in kinds.items() if k == "baseline" or _is_plain(n, k)]
    for rate, name in sorted((rate, name) for rate, name in lines[:LINES] if rate is not None):
        colour = COLOURS[kinds[name]]
        upper.axhline(100 * rate, color=colour, lw=1, ls=":" if kinds[name] == "baseline" else "--", zorder=0)
        placed = max(100 * rate + 1, placed + 6)
        upper.text(
            0.005, placed, short(name, 18), transform=upper.get_yaxis_transform(), color=colour, size=8
        )
    for axes, label in ((upper, f"{words.spoken(summary)['noun']}, %"), (lower, "nonsense, %")):
        axes.grid(color=RULE, lw=0.8)
        axes.set_axisbelow(True)
        axes.set_ylabel(label)
    upper.set_ylim(-3, 105)
    lower.set_ylim(0, max(10, lower.get_ylim()[1]))  # little nonsense looks little
    lower.set_xlabel("magnitude")
    figure.tight_layout()
    return figure
