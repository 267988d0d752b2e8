"""The figures of a run: one Vega-Lite specification each, which the page embeds and files are made from.

They show what `summary.json` holds and compute no estimate. What a specification says of colours is
names; `look.config` says what those mean in light and dark, on a screen and on a phone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from steer.show import emergent, words
from steer.show.figures.arms import arms_of
from steer.show.figures.cells import cells_of, heat_figures
from steer.show.figures.comparison import frontier_figures, spill_figure, transfer_figure
from steer.show.figures.curves import dial_figure, tug_figure
from steer.show.figures.dose import dose_figures
from steer.show.figures.estimates import (
    arms_figure,
    categories_figure,
    controls_figure,
    gaps_figure,
    models_figure,
    propensity_figure,
    sides_figure,
    together_figure,
)
from steer.show.figures.figure import Figure

__all__ = ["Figure", "figures_of", "models"]


def figures_of(summary: Mapping[str, Any]) -> dict[str, Figure]:
    """Every figure that the run has, by a name that a file can have too."""
    return {name: figure for name, figure in _figures(summary) if figure is not None}


def _figures(summary: Mapping[str, Any]) -> Iterator[tuple[str, Figure | None]]:
    arms, choice, noun = arms_of(summary), summary.get("choice", {}), words.spoken(summary)["noun"]
    tug: Mapping[str, Any] = summary.get("tug", {})
    main = [arm for arm in arms.values() if arm.main]
    yield "arms", arms_figure([arm for arm in main if not (tug and arm.kind == "both")], noun)
    if "propensity" in summary:
        yield "propensity", propensity_figure(summary["propensity"]["arms"], main)
    yield "gaps", gaps_figure(summary["gaps"], arms, noun)
    if "side_by_side" in summary:
        yield "sides", sides_figure(summary["side_by_side"], noun)
    if summary.get("cells"):
        cells = cells_of(summary["cells"], arms)
        baseline = next((arm for arm in arms.values() if arm.kind == "baseline"), None)
        yield from heat_figures(cells, baseline, noun).items()
        chosen = [fold["layer"] for fold in choice.get("folds", ())]
        chosen += [cell.layer for cell in cells if cell.arm.chosen]
        yield from dose_figures(cells, arms, chosen, noun).items()
    if summary.get("controls_out_of_fold"):
        yield "controls", controls_figure(choice, summary["controls_out_of_fold"], summary["beyond_random"])
    for i, (name, entry) in enumerate(
        ((n, e) for n, e in tug.items() if n != "table" and e["curve"]), start=1
    ):
        yield f"tug-{i}", tug_figure(name, entry)
    if tug:
        yield "together", together_figure([row["arm"] for row in tug["table"]], arms, noun)
    yield from frontier_figures(summary.get("frontier") or (), arms).items()
    if "transfer" in summary:
        yield "transfer", transfer_figure(summary["transfer"])
    kinds = {arm.name: arm.kind for arm in arms.values()}
    for i, (broad, found) in enumerate(summary.get("spillover", {}).items(), start=1):
        yield f"spill-{i}", spill_figure(broad, found, kinds)
    dials = summary.get("dials", ())
    for i, dial in enumerate(dict.fromkeys(row["dial"] for row in dials), start=1):
        yield f"dial-{i}", dial_figure(dial, [row for row in dials if row["dial"] == dial])
    compared = [arm for arm in main if arm.plain or arm.chosen]
    yield "categories", categories_figure(summary["categories"], compared, noun)


def models(runs: Sequence[tuple[str, Mapping[str, Any]]]) -> Figure | None:
    """Effects across runs (model, spill-over) that have one; None where fewer than two have."""
    return models_figure(runs, emergent.MAIN) if len(runs) > 1 else None
