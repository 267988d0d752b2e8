"""A sweep: what a vector does at every layer and magnitude, which cell to choose, and how sure we are.

First the suffix arms and all cells, then, at the layers that were chosen, the controls. Choice and
report never share a scenario (see `experiments.choice`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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
from experiments.grid import Cell, cell_name, cells, parse_magnitudes
from experiments.measures import mass_kept, measure_answers, measure_drift, measure_probes
from experiments.options import Options
from experiments.out_of_fold import (
    Composite,
    ControlPair,
    beyond_random,
    control_effects,
    described,
    steerability_of,
    three_shifts,
)
from experiments.running import add_arms, run_arms
from experiments.screening import check_screen, screen
from experiments.session import Session, open_session
from experiments.suffix import suffix_arms
from experiments.sweep_choice import SweepChoice
from experiments.sweep_plan import PLACES, print_plan
from experiments.sweep_tables import print_sweep
from experiments.vector_source import (
    Control,
    VectorChoice,
    control_arms,
    control_ids,
    controls_for,
    extraction_answers,
    vector_for,
)
from steer import judges
from steer import summary as summaries
from steer.errors import UserError
from steer.metrics import gaps
from steer.store import RunStore
from steer.types import Arm, Outcome
from vectors.capture import parse_layers
from vectors.vector import flagged

Placed = tuple[Control, int, float, Arm]
"""A control at a layer and magnitude, and the arm that runs it."""


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """A cross-fitted choice with what it was made from."""

    half: dict[str, int]
    measured: tuple[MeasuredCell, ...]
    fit: CrossFit | NothingChosen
    secondary: CrossFit | NothingChosen


def vector_sweep(options: Options, choice: SweepChoice) -> tuple[dict[str, Any], Path | None]:
    """Open a session and run the sweep: see `run_sweep`."""
    sweep_magnitudes(options, choice)  # a mistyped grid is answered before a model is loaded
    with open_session(options) as session:
        return run_sweep(session, choice)


def run_sweep(session: Session, choice: SweepChoice) -> tuple[dict[str, Any], Path | None]:
    """Run the sweep; its summary, and the folder that holds everything (None for a dry run)."""
    options = session.options
    magnitudes = sweep_magnitudes(options, choice)
    layers = parse_layers(choice.layers, session.loaded.n_layers)
    halves({s.id: s.category for s in session.scenarios}, seed=options.seed)  # too few: say so now
    suffixes = suffix_arms(session.suffixes)
    if choice.screen:
        check_screen(choice.screen, len(layers) * len(magnitudes))
    plan = print_plan(
        session,
        cells=choice.screen or len(layers) * len(magnitudes),
        suffixes=len(suffixes),
        controls=choice.vector.controls,
        probed=PLACES,
        extraction=extraction_answers(session, choice.vector),
    )
    if options.dry_run:
        return {"plan": plan}, None
    before = judges.usage(session.judge)
    vector = vector_for(session, choice.vector, layers)
    grid = cells(vector, layers, magnitudes, span=choice.vector.span, operation=choice.vector.operation)
    screened = screen(session, grid, choice.screen, choice.cap) if choice.screen else None
    grid = screened.cells if screened else grid
    arms = [*suffixes, *(cell.arm for cell in grid)]
    beside = controls_for(session, choice.vector, vector)
    config = {"vector": vector.id, "cap": asdict(choice.cap), "controls": control_ids(beside)}
    if screened:
        config["screened"] = {"on": screened.summary["identity"], "kept": choice.screen}
    folder, store = run_arms(session, "vector-sweep", arms, before=before, **config)
    with store:
        drift = measure_drift(session, store, arms)
        chosen = choose_cells(
            store.outcomes(session.judge.name), grid, drift, choice.cap, options.seed, kept=mass_kept(store)
        )
        controls: dict[str, Placed] = {}
        if isinstance(chosen.fit, CrossFit):
            controls = run_controls(session, store, choice.vector, beside, chosen.fit)
            best = chosen_arms(chosen.fit)
            measure_probes(session, store, [a for a in arms if a.name in best or a in suffixes])
        measure_answers(session, store)
        found = summarise(session, store, grid, chosen, controls, choice)
        found["vector_flags"] = flagged(vector, layers)
        if screened:
            found["screening"] = screened.summary
        summaries.write(folder, found)
    if not options.quiet:
        print_sweep(session.screen, found, folder)
    return found, folder


def sweep_magnitudes(options: Options, choice: SweepChoice) -> tuple[float, ...]:
    """The grid's magnitudes; UserError where nothing could be chosen from them."""
    if len(options.temperatures) > 1:
        raise UserError(
            f"--temperature {' '.join(f'{t:g}' for t in options.temperatures)}: a sweep has one temperature; "
            "give one, and repeat the command for another"
        )
    found = parse_magnitudes(choice.magnitudes)
    if not any(-magnitude in found for magnitude in found):
        raise UserError(
            f"--magnitudes {choice.magnitudes!r}: none stands with both signs, so no cell can be chosen at "
            "plus and minus: give some, as -0.2,0.2"
        )
    return found


def choose_cells(
    outcomes: Sequence[Outcome],
    grid: Sequence[Cell],
    drift: Mapping[str, float],
    cap: Cap,
    seed: int,
    *,
    kept: Mapping[str, float],
) -> Chosen:
    """Cross-fit one layer at plus and minus a magnitude, and secondarily any two cells.

    kept: by arm, the share of the baseline's mass; empty where answers were judged.
    """
    half = halves({o.scenario: o.category for o in outcomes}, seed=seed)
    measured = tuple(
        MeasuredCell(c.arm.name, c.layer, c.magnitude, drift[c.arm.name], kept.get(c.arm.name, 1.0))
        for c in grid
    )
    return Chosen(
        half,
        measured,
        cross_fit(outcomes, symmetric(measured), half, cap, plus="vector +", minus="vector -"),
        cross_fit(outcomes, asymmetric(measured), half, cap, plus="best +", minus="best -"),
    )


def chosen_arms(fit: CrossFit) -> set[str]:
    """The cells chosen on either half."""
    return {name for c in fit.chosen for name in (c.candidate.plus, c.candidate.minus)}


def run_controls(
    session: Session, store: RunStore, choice: VectorChoice, beside: Sequence[Control], fit: CrossFit
) -> dict[str, Placed]:
    """Controls at both signs of the cells that were chosen on either half, with their drift."""
    places = {
        (c.candidate.layer, sign * c.candidate.magnitude)
        for c in fit.chosen
        for sign in (1, -1)
        if c.candidate.layer is not None and c.candidate.magnitude is not None
    }
    layers, magnitudes = zip(*sorted(places), strict=True)
    found = control_arms(beside, layers, magnitudes, choice)
    arms = [arm for *_, arm in found.values()]
    add_arms(session, store, arms)
    measure_drift(session, store, arms)
    return found


def summarise(
    session: Session,
    store: RunStore,
    grid: Sequence[Cell],
    chosen: Chosen,
    controls: dict[str, Placed],
    choice: SweepChoice,
) -> dict[str, Any]:
    """The usual summary, with every cell (selection), the controls, and the choice (report)."""
    found = summaries.summarise(store, session.judge.name)
    outcomes = store.outcomes(session.judge.name)
    against = gaps(outcomes, [(cell.arm.name, "baseline") for cell in grid])
    chosen_on = folds_of(chosen.fit)
    found["cells"] = [
        {
            **found["arms"][cell.arm.name],
            "arm": cell.arm.name,
            "layer": cell.layer,
            "magnitude": cell.magnitude,
            "span": choice.vector.span,
            "operation": choice.vector.operation,
            "vector": cell.arm.additions[0].vector,
            "role": "selection",
            "chosen_on": chosen_on.get(cell.arm.name, []),
            **{k: v for k, v in asdict(g).items() if k not in ("first", "second")},
        }
        for cell, g in zip(grid, against, strict=True)
    ]
    found["halves"] = chosen.half
    found["arm_kinds"] = {
        **{arm.name: "baseline" if not arm.suffix else "suffix" for arm in suffix_arms(session.suffixes)},
        **{cell.arm.name: "cell" for cell in grid},
        **dict.fromkeys(controls, "control"),
    }
    found["choice"] = describe_choice(outcomes, chosen, choice.cap)
    if isinstance(chosen.fit, CrossFit):
        pairs = control_pairs(chosen.fit, controls)
        made = [*vector_composites(chosen.fit), *(one for pair in pairs for one in (pair.plus, pair.minus))]
        found["out_of_fold"] = described(made, outcomes, chosen.half, found["arms"])
        found["controls_out_of_fold"] = control_effects(pairs, outcomes, chosen.half)
        if "propensity" in found:
            slope = steerability_of(chosen.fit, chosen.measured, outcomes, chosen.half)
            found["propensity"]["steerability"]["vector, out of fold"] = slope
        found["beyond_random"] = beyond_random(found["choice"], found["controls_out_of_fold"])
    return found


def folds_of(fit: CrossFit | NothingChosen) -> dict[str, list[str]]:
    """The halves that a cell was chosen on, by arm."""
    found: dict[str, list[str]] = {}
    if isinstance(fit, CrossFit):
        for half, one in zip("AB", fit.chosen, strict=True):
            for arm in (one.candidate.plus, one.candidate.minus):
                found.setdefault(arm, []).append(half)
    return found


def vector_composites(fit: CrossFit) -> list[Composite]:
    """The chosen vector's two arms, out of fold."""
    first, second = (chosen.candidate for chosen in fit.chosen)
    return [
        Composite(fit.plus, (first.plus, second.plus)),
        Composite(fit.minus, (first.minus, second.minus)),
    ]


def control_pairs(fit: CrossFit, controls: dict[str, Placed]) -> list[ControlPair]:
    """Every control at the chosen cells, put together as the vector's arms are."""
    kinds = {control.name: control.kind for control, *_ in controls.values()}
    places = [(chosen.candidate.layer, chosen.candidate.magnitude) for chosen in fit.chosen]

    def signed(name: str, sign: int) -> Composite:
        first, second = (
            cell_name(layer, sign * size, f"{name} ")
            for layer, size in places
            if layer is not None and size is not None
        )
        return Composite(f"{name} {'+' if sign > 0 else '-'}", (first, second))

    return [ControlPair(name, kind, signed(name, 1), signed(name, -1)) for name, kind in kinds.items()]


def describe_choice(outcomes: Sequence[Outcome], chosen: Chosen, cap: Cap) -> dict[str, Any]:
    """The headline: pooled out-of-fold gaps; selection numbers are marked as such."""
    if isinstance(chosen.fit, NothingChosen):
        return {"none": str(chosen.fit), "cap": asdict(cap)}
    found = _report(outcomes, chosen.fit) | {"cap": asdict(cap), "role": "report"}
    found["chosen_arms"] = sorted(chosen_arms(chosen.fit))
    if isinstance(chosen.secondary, CrossFit):
        found["asymmetric"] = _report(outcomes, chosen.secondary) | {"role": "report, secondary"}
    return found


def _report(outcomes: Sequence[Outcome], fit: CrossFit) -> dict[str, Any]:
    pooled = [*(o for o in outcomes if o.arm == "baseline"), *fit.outcomes]
    pairs = [(fit.plus, fit.minus), (fit.plus, "baseline"), ("baseline", fit.minus)]
    spread, up, down = gaps(pooled, pairs)
    shifts = three_shifts(pooled, fit.plus, fit.minus)
    return {
        **({"propensity": shifts} if shifts else {}),
        "folds": [
            {
                "choose_on": "AB"[i],
                "report_on": "BA"[i],
                "plus": c.candidate.plus,
                "minus": c.candidate.minus,
                "layer": c.candidate.layer,
                "magnitude": c.candidate.magnitude,
                "points_selection": c.points,
                "points_selection_valid": c.points_valid,
                **({} if c.nats is None else {"nats_selection": c.nats}),
                "drift": None if c.candidate.drift == math.inf else c.candidate.drift,
            }
            for i, c in enumerate(fit.chosen)
        ],
        "movement": summaries.movement_of(pooled, fit.plus, fit.minus),
        "plus-minus": asdict(spread),
        "plus": asdict(up),
        "minus": asdict(down),
    }
