"""A sweep: what a vector does at every layer and magnitude, which cell to choose, and how sure we are.

First the suffix arms and all cells, then, at the layers that were chosen, the controls. Choice and
report never share a scenario (see `experiments.sweep.choice`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from experiments.measures import mass_kept, measure_answers, measure_drift, measure_probes
from experiments.options import Options
from experiments.running import EVERYWHERE, run_arms
from experiments.session import Session, open_session
from experiments.suffix import suffix_arms
from experiments.sweep.choice import (
    Cap,
    CrossFit,
    MeasuredCell,
    NothingChosen,
    asymmetric,
    cross_fit,
    fit_halves,
    halves,
    paired,
)
from experiments.sweep.choice import Chosen as Selected
from experiments.sweep.controls import Controls, choosing_arms, run_controls
from experiments.sweep.gating import check_gate, gated
from experiments.sweep.grid import ABLATED, Cell, cells, parse_magnitudes
from experiments.sweep.options import SweepChoice
from experiments.sweep.out_of_fold import (
    GAPS,
    beyond,
    control_effects,
    described,
    steerability_of,
    three_pairs,
    three_shifts,
)
from experiments.sweep.plan import PLACES, print_plan
from experiments.sweep.race import MISS, STAGES, Raced, check_race, expected, run_race, start
from experiments.sweep.screening import check_screen, screen
from experiments.sweep.vector_source import (
    Control,
    control_ids,
    controls_for,
    count_controls,
    extraction_answers,
    vector_for,
)
from steer import judges, results
from steer import summary as summaries
from steer.errors import UserError
from steer.gaps import movement
from steer.metrics import gaps
from steer.results.record import Plan, updated
from steer.results.result import Result
from steer.results.sweep import CapUsed, CellResult, Choice, Fold, Folded, Race, Sweep
from steer.show.terminal import print_result
from steer.store import RunStore
from steer.types import Outcome
from vectors.capture import parse_layers
from vectors.vector import SteeringVector, flagged


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """A cross-fitted choice with what it was made from. measured: cells that ran on all scenarios; of a race
    not every one. secondary: None of a race."""

    half: dict[str, int]
    measured: tuple[MeasuredCell, ...]
    fit: CrossFit | NothingChosen
    secondary: CrossFit | NothingChosen | None
    raced: bool = False


def vector_sweep(options: Options, choice: SweepChoice) -> tuple[Result | Plan, Path | None]:
    """Open a session and run the sweep: see `run_sweep`."""
    sweep_magnitudes(options, choice)  # a mistyped grid is answered before a model is loaded
    with open_session(options) as session:
        return run_sweep(session, choice)


def run_sweep(session: Session, choice: SweepChoice) -> tuple[Result | Plan, Path | None]:
    """Run the sweep; its result, and the folder that holds everything (None for a dry run)."""
    options = session.options
    magnitudes = sweep_magnitudes(options, choice)
    layers = parse_layers(choice.layers, session.loaded.n_layers)
    check_gate(choice.vector, layers)
    halves({s.id: s.category for s in session.scenarios}, seed=options.subset_seed)  # too few: say so now
    suffixes = suffix_arms(session.suffixes)
    if choice.screen:
        check_screen(choice.screen, len(layers) * len(magnitudes))
    if choice.race:
        check_race(session, magnitudes)
    count = choice.screen or len(layers) * len(magnitudes)
    plan = print_plan(
        session,
        cells=count,
        suffixes=len(suffixes),
        controls=count_controls(session, choice.vector),
        choosing=choosing_arms(session, choice, count),
        probed=len(suffixes) + PLACES,
        extraction=extraction_answers(session, choice.vector),
        race=expected(session, count) if choice.race else {},
    )
    if options.dry_run:
        return Plan(plan=plan), None
    before = judges.usage(session.judge)
    choice = replace(choice, vector=gated(session, choice.vector))
    how = choice.vector
    vector = vector_for(session, how, layers)
    grid = cells(vector, layers, magnitudes, how)
    screened = screen(session, grid, choice.screen, choice.cap) if choice.screen else None
    grid = screened.cells if screened else grid
    arms = [*suffixes, *(cell.arm for cell in grid)]
    beside = controls_for(session, choice.vector, vector)
    config = what_decides(choice, vector, beside)
    if screened:
        config["screened"] = {"on": screened.found.identity, "kept": choice.screen}
    only = start(session, grid) if choice.race else EVERYWHERE
    folder, store = run_arms(session, "vector-sweep", arms, before=before, only=only, **config)
    with store:
        drift = measure_drift(session, store, arms)
        raced = run_race(session, store, grid, drift, choice.cap) if choice.race else None
        outcomes, kept = store.outcomes(session.judge.name), mass_kept(store)
        chosen = choose_cells(outcomes, grid, drift, choice.cap, options.subset_seed, kept=kept, raced=raced)
        controls = Controls()
        if isinstance(chosen.fit, CrossFit):
            controls = run_controls(session, store, choice, beside, grid, chosen.fit, chosen.half)
            best = chosen_arms(chosen.fit)
            measure_probes(session, store, [a for a in arms if a.name in best or a in suffixes])
        measure_answers(session, store)
        found = summarise(session, store, grid, chosen, controls, choice)
        assert found.sweep is not None
        screening = screened.found if screened else None
        flags = tuple(flagged(vector, layers))
        found = updated(found, sweep=updated(found.sweep, vector_flags=flags, screening=screening))
        results.write(folder, found)
    if not options.quiet:
        print_result(session.screen, found, folder)
    return found, folder


def what_decides(choice: SweepChoice, vector: SteeringVector, beside: Sequence[Control]) -> dict[str, Any]:
    """Of a run's configuration, what the vector, its controls and its choice add."""
    config: dict[str, Any] = {"vector": vector.id, "cap": asdict(choice.cap), "controls": control_ids(beside)}
    if choice.race:
        config["race"] = [STAGES, MISS]
    if choice.nulls_choose:
        config["nulls"] = "choose"
    return config


def sweep_magnitudes(options: Options, choice: SweepChoice) -> tuple[float, ...]:
    """The grid's magnitudes; UserError where nothing could be chosen from them."""
    if len(options.temperatures) > 1:
        raise UserError(
            f"--temperature {' '.join(f'{t:g}' for t in options.temperatures)}: a sweep has one temperature; "
            "give one, and repeat the command for another"
        )
    if choice.vector.operation == "ablate":
        if choice.screen:
            raise UserError("--screen: it keeps both signs of a magnitude, and ablate has none: leave it out")
        return (ABLATED,)
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
    raced: Raced | None = None,
) -> Chosen:
    """Cross-fit one layer at plus and minus a magnitude, and secondarily any two cells; ablated, one layer
    against the baseline.

    kept: by arm, the share of the baseline's mass; empty where answers were judged. raced: what a race left
    to choose from; any two cells would need the whole grid.
    """
    half = halves({o.scenario: o.category for o in outcomes}, seed=seed)
    measured = tuple(
        MeasuredCell(c.arm.name, c.layer, c.magnitude, drift[c.arm.name], kept.get(c.arm.name, 1.0))
        for c in grid
        if raced is None or len(raced.rows[c.arm.name]) == len(half)
    )
    if raced is not None:
        fit = fit_halves(outcomes, raced.left, half, cap, plus="vector +", minus="vector -")
        return Chosen(half, measured, fit, None, raced=True)
    others = asymmetric(measured) or paired(measured)
    return Chosen(
        half,
        measured,
        cross_fit(outcomes, paired(measured), half, cap, plus="vector +", minus="vector -"),
        cross_fit(outcomes, others, half, cap, plus="best +", minus="best -"),
    )


def chosen_arms(fit: CrossFit) -> set[str]:
    """The cells chosen on either half."""
    return {name for c in fit.chosen for name in (c.candidate.plus, c.candidate.minus)}


def summarise(
    session: Session,
    store: RunStore,
    grid: Sequence[Cell],
    chosen: Chosen,
    controls: Controls,
    choice: SweepChoice,
    kinds: Mapping[str, str] = summaries.NO_KINDS,
) -> Result:
    """What every run has, with every cell (selection), the controls, and the choice (report).

    kinds: of arms besides suffixes, cells and controls.
    """
    whole = [cell.arm for cell in chosen.measured]
    every = {cell.arm.name: "cell" if cell.arm.name in whole else "stopped" for cell in grid}
    every |= {arm.name: "control" for arm in controls.arms} | dict(kinds)
    found = summaries.summarise(store, session.judge.name, every)
    outcomes = store.outcomes(session.judge.name)
    against = dict(zip(whole, gaps(outcomes, [(name, "baseline") for name in whole]), strict=True))
    chosen_on = folds_of(chosen.fit)
    cells = tuple(
        CellResult(
            arm=cell.arm.name,
            layer=cell.layer,
            magnitude=cell.magnitude,
            span=choice.vector.span,
            operation=choice.vector.operation,
            vector=cell.arm.additions[0].vector,
            chosen_on=tuple(chosen_on.get(cell.arm.name, ())),
            gap=against.get(cell.arm.name),
            stopped_after=None if cell.arm.name in against else found.arms[cell.arm.name].n,
        )
        for cell in grid
    )
    made = describe_choice(outcomes, chosen, choice.cap)
    rows = sum(found.arms[cell.arm.name].n for cell in grid)
    race = Race(rows=rows, of=len(grid) * found.arms["baseline"].n) if chosen.raced else None
    sweep = Sweep(cells=cells, halves=chosen.half, choice=made, race=race)
    if isinstance(chosen.fit, NothingChosen) or made.report is None:
        return updated(found, sweep=sweep)
    folded = [*chosen.fit.pair, *(one for pair in controls.pairs for one in (pair.plus, pair.minus))]
    effects = control_effects(controls.pairs, outcomes, chosen.half)
    sweep = updated(
        sweep,
        out_of_fold=described(folded, outcomes, chosen.half, found.arms),
        controls=effects,
        beyond_random=beyond(made.report, effects, "random"),
        beyond_contrasts=beyond(made.report, effects, "contrast", choosing=controls.choosing),
    )
    if found.propensity is not None:
        slope = steerability_of(chosen.fit, chosen.measured, outcomes, chosen.half)
        slopes = found.propensity.steerability | {"vector, out of fold": slope}
        found = updated(found, propensity=updated(found.propensity, steerability=slopes))
    return updated(found, sweep=sweep)


def folds_of(fit: CrossFit | NothingChosen) -> dict[str, list[str]]:
    """The halves that a cell was chosen on, by arm."""
    found: dict[str, list[str]] = {}
    if isinstance(fit, CrossFit):
        for half, one in zip("AB", fit.chosen, strict=True):
            for arm in (one.candidate.plus, one.candidate.minus):
                found.setdefault(arm, []).append(half)
    return found


def describe_choice(outcomes: Sequence[Outcome], chosen: Chosen, cap: Cap) -> Choice:
    """The headline: pooled out-of-fold gaps; selection numbers are marked as such."""
    used = CapUsed(nonsense=cap.nonsense, drift=cap.drift)
    if isinstance(chosen.fit, NothingChosen):
        return Choice(cap=used, none=str(chosen.fit))
    second = chosen.secondary
    return Choice(
        cap=used,
        report=_report(outcomes, chosen.fit),
        chosen_arms=tuple(sorted(chosen_arms(chosen.fit))),
        asymmetric=_report(outcomes, second) if isinstance(second, CrossFit) else None,
    )


def _report(outcomes: Sequence[Outcome], fit: CrossFit) -> Folded:
    pooled = [*(o for o in outcomes if o.arm == "baseline"), *fit.outcomes]
    three = gaps(pooled, three_pairs(fit.plus, fit.minus))
    first, second = (_fold(place, one) for place, one in enumerate(fit.chosen))
    return Folded(
        folds=(first, second),
        movement=movement(pooled, fit.plus, fit.minus),
        gaps=dict(zip(GAPS, three, strict=True)),
        shifts=three_shifts(pooled, fit.plus, fit.minus),
    )


def _fold(place: int, one: Selected) -> Fold:
    drift = one.candidate.drift
    return Fold(
        choose_on="AB"[place],
        report_on="BA"[place],
        plus=one.candidate.plus,
        minus=one.candidate.minus,
        layer=one.candidate.layer,
        magnitude=one.candidate.magnitude,
        points_selection=one.points,
        points_selection_valid=one.points_valid,
        nats_selection=one.nats,
        drift=None if drift == math.inf else drift,
    )
