"""A sweep: what a vector does at every layer and magnitude, which cell to choose, and how sure we are.

First the suffix arms and all cells, then, at the layers that were chosen, the controls. Choice and
report never share a scenario (see `experiments.choice`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.choice import (
    Cap,
    CrossFit,
    MeasuredCell,
    NothingChosen,
    asymmetric,
    cross_fit,
    halves,
    symmetric,
)
from experiments.grid import Cell, cells, parse_magnitudes
from experiments.measures import measure_answers, measure_drift, measure_probes
from experiments.options import Options
from experiments.running import add_arms, run_arms
from experiments.session import Session, open_session
from experiments.suffix import suffix_arms
from experiments.sweep_choice import SweepChoice
from experiments.sweep_tables import print_plan, print_sweep
from experiments.vector_source import Control, VectorChoice, control_arms, controls_for, vector_for
from steer import summary as summaries
from steer.errors import UserError
from steer.metrics import gaps
from steer.store import RunStore
from steer.types import Arm, Outcome
from vectors.capture import parse_layers
from vectors.vector import SteeringVector

CONTROL_PERCENTILE = 95


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """A cross-fitted choice with what it was made from."""

    half: dict[str, int]
    measured: tuple[MeasuredCell, ...]
    fit: CrossFit | NothingChosen
    secondary: CrossFit | NothingChosen


def vector_sweep(options: Options, choice: SweepChoice) -> tuple[dict[str, Any], Path | None]:
    """Open a session and run the sweep: see `run_sweep`."""
    _magnitudes(choice)  # a mistyped grid is answered before a model is loaded
    return run_sweep(open_session(options), choice)


def run_sweep(session: Session, choice: SweepChoice) -> tuple[dict[str, Any], Path | None]:
    """Run the sweep; its summary, and the folder that holds everything (None for a dry run)."""
    options, magnitudes = session.options, _magnitudes(choice)
    layers = parse_layers(choice.layers, session.loaded.n_layers)
    if options.dry_run:
        return {"plan": print_plan(session, layers, magnitudes, choice)}, None
    vector = vector_for(session, choice.vector)
    grid = cells(vector, layers, magnitudes, span=choice.vector.span, operation=choice.vector.operation)
    halves({s.id: s.category for s in session.scenarios}, seed=options.seed)  # too few: say so now
    print_plan(session, layers, magnitudes, choice)
    suffixes = suffix_arms(session.suffixes)
    config = {"vector": vector.id, "cap": asdict(choice.cap), "controls": choice.vector.controls}
    folder, store = run_arms(session, "vector-sweep", [*suffixes, *(cell.arm for cell in grid)], **config)
    with store:
        arms = [*suffixes, *(cell.arm for cell in grid)]
        drift = measure_drift(session, store, arms)
        chosen = choose_cells(store.outcomes(session.judge.name), grid, drift, choice.cap, options.seed)
        controls: dict[str, tuple[Control, int, float, Arm]] = {}
        if isinstance(chosen.fit, CrossFit):
            controls = run_controls(session, store, choice.vector, vector, chosen.fit)
            best = {name for c in chosen.fit.chosen for name in (c.candidate.plus, c.candidate.minus)}
            measure_probes(session, store, [a for a in arms if a.name in best or a in suffixes])
        measure_answers(session, store)
        found = summarise(session, store, grid, chosen, controls, choice)
        summaries.write(folder, found)
    if not options.quiet:
        print_sweep(session.screen, found, folder)
    return found, folder


def _magnitudes(choice: SweepChoice) -> tuple[float, ...]:
    if choice.vector.operation == "ablate":
        return (1.0,)
    return parse_magnitudes(choice.magnitudes)


def choose_cells(
    outcomes: Sequence[Outcome], grid: Sequence[Cell], drift: dict[str, float], cap: Cap, seed: int
) -> Chosen:
    """Cross-fit one layer at plus and minus a magnitude, and secondarily any two cells."""
    half = halves({o.scenario: o.category for o in outcomes}, seed=seed)
    measured = tuple(MeasuredCell(c.arm.name, c.layer, c.magnitude, drift[c.arm.name]) for c in grid)
    candidates = symmetric(measured)
    if not candidates:
        raise UserError(
            "no magnitude stands with both signs in the grid, so no cell can be chosen at plus and minus: "
            "give --magnitudes such as -0.2,0.2"
        )
    return Chosen(
        half,
        measured,
        cross_fit(outcomes, candidates, half, cap, plus="vector +", minus="vector -"),
        cross_fit(outcomes, asymmetric(measured), half, cap, plus="best +", minus="best -"),
    )


def run_controls(
    session: Session, store: RunStore, choice: VectorChoice, vector: SteeringVector, fit: CrossFit
) -> dict[str, tuple[Control, int, float, Arm]]:
    """Controls at both signs of the cells that were chosen on either half."""
    places = {
        (c.candidate.layer, sign * c.candidate.magnitude)
        for c in fit.chosen
        for sign in (1, -1)
        if c.candidate.layer is not None and c.candidate.magnitude is not None
    }
    layers, magnitudes = zip(*sorted(places), strict=True)
    found = control_arms(controls_for(session, choice, vector), layers, magnitudes, choice)
    add_arms(session, store, [arm for *_, arm in found.values()])
    return found


def summarise(
    session: Session,
    store: RunStore,
    grid: Sequence[Cell],
    chosen: Chosen,
    controls: dict[str, tuple[Control, int, float, Arm]],
    choice: SweepChoice,
) -> dict[str, Any]:
    """The usual summary, with every cell (selection), the controls, and the choice (report)."""
    found = summaries.summarise(store, session.judge.name)
    outcomes = store.outcomes(session.judge.name)
    against = gaps(outcomes, [(cell.arm.name, "baseline") for cell in grid])
    found["cells"] = [
        {
            "arm": cell.arm.name,
            "layer": cell.layer,
            "magnitude": cell.magnitude,
            "span": choice.vector.span,
            "operation": choice.vector.operation,
            "vector": cell.arm.additions[0].vector,
            "role": "selection",
            **{k: v for k, v in asdict(g).items() if k not in ("first", "second")},
        }
        for cell, g in zip(grid, against, strict=True)
    ]
    found["arm_kinds"] = {
        **{arm.name: "baseline" if not arm.suffix else "suffix" for arm in suffix_arms(session.suffixes)},
        **{cell.arm.name: "cell" for cell in grid},
        **dict.fromkeys(controls, "control"),
    }
    found["controls"] = control_gaps(outcomes, controls)
    found["controls_range"] = controls_range(found["controls"])
    found["choice"] = describe_choice(outcomes, chosen, choice.cap)
    return found


def control_gaps(
    outcomes: Sequence[Outcome], controls: dict[str, tuple[Control, int, float, Arm]]
) -> list[dict[str, Any]]:
    """Each control's gap against the baseline."""
    found = gaps(outcomes, [(name, "baseline") for name in controls])
    return [
        {"arm": name, "kind": control.kind, "layer": layer, "magnitude": magnitude}
        | {"points_all": g.points_all, "ci_all": g.ci_all, "points_valid": g.points_valid}
        for (name, (control, layer, magnitude, _)), g in zip(controls.items(), found, strict=True)
    ]


def controls_range(controls: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The 95th percentile of the random directions' |points| over all items."""
    sizes = [abs(c["points_all"]) for c in controls if c["kind"] == "random" and c["points_all"] is not None]
    return {
        "n": len(sizes),
        "abs_points_95": float(np.percentile(sizes, CONTROL_PERCENTILE)) if sizes else None,
    }


def describe_choice(outcomes: Sequence[Outcome], chosen: Chosen, cap: Cap) -> dict[str, Any]:
    """The headline: pooled out-of-fold gaps; selection numbers are marked as such."""
    if isinstance(chosen.fit, NothingChosen):
        return {"none": str(chosen.fit), "cap": asdict(cap)}
    described = _report(outcomes, chosen.fit) | {"cap": asdict(cap), "role": "report"}
    described["chosen_arms"] = sorted(
        {name for c in chosen.fit.chosen for name in (c.candidate.plus, c.candidate.minus)}
    )
    if isinstance(chosen.secondary, CrossFit):
        described["asymmetric"] = _report(outcomes, chosen.secondary) | {"role": "secondary"}
    return described


def _report(outcomes: Sequence[Outcome], fit: CrossFit) -> dict[str, Any]:
    pooled = [*(o for o in outcomes if o.arm == "baseline"), *fit.outcomes]
    pairs = [(fit.plus, fit.minus), (fit.plus, "baseline"), ("baseline", fit.minus)]
    spread, up, down = gaps(pooled, pairs)
    return {
        "folds": [
            {
                "choose_on": "AB"[i],
                "report_on": "BA"[i],
                "plus": c.candidate.plus,
                "minus": c.candidate.minus,
                "layer": c.candidate.layer,
                "magnitude": c.candidate.magnitude,
                "points_selection": c.points,
                "drift": c.candidate.drift,
            }
            for i, c in enumerate(fit.chosen)
        ],
        "movement": summaries.movement_of(pooled, fit.plus, fit.minus),
        "plus-minus": asdict(spread),
        "plus": asdict(up),
        "minus": asdict(down),
    }
