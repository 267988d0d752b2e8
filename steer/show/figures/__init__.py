"""The figures of a run: one Vega-Lite specification each, which the page embeds and files are made from.

They show what a `Result` holds and compute no estimate. What a specification says of colours is
names; `look.config` says what those mean in light and dark, on a screen and on a phone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from steer.results import Result
from steer.results.estimates import Spillover
from steer.results.sweep import Sweep
from steer.show import emergent
from steer.show.figures.arms import Arm, arms_of
from steer.show.figures.cells import cells_of, heat_figures
from steer.show.figures.comparison import frontier_figures, spill_figure, transfer_figure
from steer.show.figures.curves import dial_figure, tries_figure, tug_figure
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
from steer.show.figures.mechanism import left_figure, stream_figures

__all__ = ["Figure", "figures_of", "models"]


def figures_of(result: Result) -> dict[str, Figure]:
    """Every figure that the run has, by a name that a file can have too."""
    return {name: figure for name, figure in _figures(result) if figure is not None}


def _figures(result: Result) -> Iterator[tuple[str, Figure | None]]:
    arms, noun = arms_of(result), result.task.words.noun
    compared = result.comparison
    main = [arm for arm in arms.values() if arm.main]
    yield "arms", arms_figure([arm for arm in main if not (compared and arm.kind == "both")], noun)
    if result.propensity is not None:
        yield "propensity", propensity_figure(result.propensity.arms, main)
    yield "gaps", gaps_figure(result.gaps, arms, noun)
    if result.sweep is not None:
        yield from _of_sweep(result.sweep, arms, noun)
    if compared is not None:
        yield "sides", sides_figure(compared.sides, noun)
        if compared.tries is not None:
            yield "tries", tries_figure(compared.tries)
        for i, (name, tug) in enumerate(compared.tug.items(), start=1):
            yield f"tug-{i}", tug_figure(name, tug)
        yield "together", together_figure(compared.together, arms, noun)
        yield from frontier_figures(compared.frontier, arms).items()
        if compared.transfer is not None:
            yield "transfer", transfer_figure(compared.transfer)
    if result.mechanism is not None:
        yield "mediation-suffix", left_figure(result.mechanism.suffix)
        yield from stream_figures(result.mechanism.shifts).items()
    if result.emergent is not None:
        for i, (broad, found) in enumerate(result.emergent.spillover.items(), start=1):
            yield f"spill-{i}", spill_figure(broad, found, arms)
        dials = result.emergent.dials
        for i, dial in enumerate(dict.fromkeys(row.dial for row in dials), start=1):
            yield f"dial-{i}", dial_figure(dial, [row for row in dials if row.dial == dial])
    yield "categories", categories_figure(result.categories, [a for a in main if a.plain or a.chosen], noun)


def _of_sweep(sweep: Sweep, arms: Mapping[str, Arm], noun: str) -> Iterator[tuple[str, Figure | None]]:
    report = sweep.choice.report
    if sweep.cells:
        cells = cells_of(sweep.cells, arms)
        baseline = next((arm for arm in arms.values() if arm.kind == "baseline"), None)
        yield from heat_figures(cells, baseline, noun).items()
        chosen = [fold.layer for fold in report.folds if fold.layer is not None] if report else []
        chosen += [cell.layer for cell in cells if cell.arm.chosen]
        if whole := [cell for cell in cells if cell.stopped is None]:
            yield from dose_figures(whole, arms, chosen, noun).items()
    if sweep.controls and report is not None:
        yield "controls", controls_figure(report, sweep)


def models(runs: Sequence[tuple[str, Mapping[str, Mapping[str, Spillover]]]]) -> Figure | None:
    """Effects across runs (model, spill-over) that have one; None where fewer than two have."""
    return models_figure(runs, emergent.MAIN) if len(runs) > 1 else None
