"""The comparison: suffix, vector, both together and controls, on the same scenarios, in one run.

Stage one runs the suffix arms (default and paraphrases) and a coarse grid of cells, and chooses on
one half of the scenarios for the other. Stage two runs, at the chosen layers, the controls and the
tug of war. `experiments.comparing` computes what is said of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from experiments.choice import Cap, CrossFit, NothingChosen, halves
from experiments.compare_tables import print_comparison
from experiments.comparing import (
    SIDE_EFFECTS,
    Side,
    both_name,
    exchange,
    frontier,
    side_by_side,
    sides,
    tug,
    tune_suffix,
)
from experiments.contrasts import relabel
from experiments.grid import COARSE_LAYERS, COARSE_MAGNITUDES, Cell, cells, parse_magnitudes
from experiments.measures import measure_answers, measure_drift, measure_probes
from experiments.options import Options
from experiments.running import add_arms, run_arms
from experiments.session import Session, open_session
from experiments.suffix import suffix_arms
from experiments.sweep_choice import SweepChoice
from experiments.sweep_tables import print_plan
from experiments.transfer import transfer as run_transfer
from experiments.vector_source import VectorChoice, control_arms, controls_for, vector_for
from experiments.vector_sweep import choose_cells, run_controls
from experiments.vector_sweep import summarise as summarise_sweep
from steer import summary as summaries
from steer.store import RunStore
from steer.suffixes import PARAPHRASES
from steer.types import Arm, Outcome
from vectors.capture import parse_layers
from vectors.vector import SteeringVector


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareChoice:
    """The grid that the vector is chosen from, and what else is run."""

    layers: str = COARSE_LAYERS
    magnitudes: str = COARSE_MAGNITUDES
    vector: VectorChoice = field(default_factory=VectorChoice)
    cap: Cap = field(default_factory=lambda: Cap(nonsense=0.1, drift=1.0))
    transfer: bool = False

    @property
    def sweep(self) -> SweepChoice:
        return SweepChoice(layers=self.layers, magnitudes=self.magnitudes, vector=self.vector, cap=self.cap)


def compare(options: Options, choice: CompareChoice) -> tuple[dict[str, Any], Path | None]:
    """Open a session and run the comparison: see `run_compare`."""
    parse_magnitudes(choice.magnitudes)  # a mistyped grid is answered before a model is loaded
    return run_compare(open_session(options), choice)


def run_compare(session: Session, choice: CompareChoice) -> tuple[dict[str, Any], Path | None]:
    """Run the comparison; its summary, and the folder that holds everything (None for a dry run)."""
    options, magnitudes = session.options, parse_magnitudes(choice.magnitudes)
    layers = parse_layers(choice.layers, session.loaded.n_layers)
    halves({s.id: s.category for s in session.scenarios}, seed=options.seed)
    numbers = print_plan(session, layers, magnitudes, choice.sweep)
    if options.dry_run:
        return {"plan": numbers}, None
    vector = vector_for(session, choice.vector)
    grid = cells(vector, layers, magnitudes, span=choice.vector.span, operation=choice.vector.operation)
    suffixes = [*suffix_arms(session.suffixes), *paraphrase_arms()]
    arms = [*suffixes, *(cell.arm for cell in grid)]
    config = {"vector": vector.id, "cap": asdict(choice.cap), "controls": choice.vector.controls}
    folder, store = run_arms(session, "compare", arms, **config, transfer=choice.transfer)
    with store:
        found = _compared(session, store, choice, vector, grid, suffixes)
        summaries.write(folder, found)
    if not options.quiet:
        print_comparison(session.screen, found, folder)
    return found, folder


def paraphrase_arms() -> list[Arm]:
    """Pro and anti of every paraphrase: what an untuned choice of words would have done."""
    return [
        Arm(f"{side} {pair.name}", text)
        for pair in PARAPHRASES
        for side, text in (("pro", pair.pro), ("anti", pair.anti))
    ]


def suffix_pairs() -> list[tuple[str, str]]:
    """(pro, anti) arm names of the default and of every paraphrase."""
    return [("pro", "anti"), *((f"pro {pair.name}", f"anti {pair.name}") for pair in PARAPHRASES)]


def _compared(
    session: Session,
    store: RunStore,
    choice: CompareChoice,
    vector: SteeringVector,
    grid: Sequence[Cell],
    suffixes: Sequence[Arm],
) -> dict[str, Any]:
    judge = session.judge.name
    drift = measure_drift(session, store, [*suffixes, *(cell.arm for cell in grid)])
    chosen = choose_cells(store.outcomes(judge), grid, drift, choice.cap, session.options.seed)
    if isinstance(chosen.fit, NothingChosen):
        measure_answers(session, store)
        return summarise_sweep(session, store, grid, chosen, {}, choice.sweep)
    controls = run_controls(session, store, choice.vector, vector, chosen.fit)
    two = sides(store.outcomes(judge), chosen.measured, chosen.fit, chosen.half, choice.cap)
    tug_arms = plan_tug(session, grid, chosen.fit, two)
    tug_arms += random_tug(session, choice.vector, vector, chosen.fit, two)
    add_arms(session, store, tug_arms)
    transferred = run_transfer(session, store, choice.vector, chosen.fit) if choice.transfer else None
    best = {name for c in chosen.fit.chosen for name in (c.candidate.plus, c.candidate.minus)}
    measure_probes(session, store, [*suffixes[:4], *(cell.arm for cell in grid if cell.arm.name in best)])
    measure_answers(session, store)

    found = summarise_sweep(session, store, grid, chosen, controls, choice.sweep)
    found["arm_kinds"] |= {arm.name: "suffix" for arm in suffixes[1:]}
    found["arm_kinds"] |= {arm.name: "both" for arm in tug_arms}
    outcomes = store.outcomes(judge)
    tuned = tune_suffix(outcomes, suffix_pairs(), chosen.half, choice.cap)
    found["side_by_side"] = side_by_side(outcomes, chosen.fit, tuned, suffix_pairs())
    found["suffix_tuning"] = (
        str(tuned)
        if isinstance(tuned, NothingChosen)
        else [{"plus": c.candidate.plus, "minus": c.candidate.minus} for c in tuned.chosen]
    )
    found["exchange"] = exchange(two, found["arms"], dose_effects(found["arms"], grid, chosen.fit, two))
    combined = combine(outcomes, grid, chosen.fit, chosen.half, two)
    found["tug"] = tug(outcomes, two, combined) | {
        "table": [{"arm": a.name} | _rates(found["arms"][a.name]) for a in tug_arms]
    }
    found["frontier"] = frontier(
        outcomes, found["arms"], [*(a.name for a in suffixes[1:]), *(c.arm.name for c in grid)]
    )
    if transferred is not None:
        found["transfer"] = transferred(store.outcomes(judge))
    found["costs"] = costs(found, vector, len(grid), len(suffix_pairs()))
    found["verdict"] = found["side_by_side"]["verdict"]
    return found


def at_layer(grid: Sequence[Cell], layer: int | None, magnitude: float) -> Cell | None:
    """The cell of a place in the grid, if it was run."""
    return next((c for c in grid if c.layer == layer and c.magnitude == magnitude), None)


def plan_tug(session: Session, grid: Sequence[Cell], fit: CrossFit, two: Mapping[str, Side]) -> list[Arm]:
    """Each defence with every dose of the attack on either chosen layer; neutral and the system message
    at the matched dose only; and suffix against suffix, builder against user, either order."""
    texts = {arm.name: arm.suffix for arm in suffix_arms(session.suffixes)}
    arms: dict[str, Arm] = {}
    for defence, attack in (("anti", "pro"), ("pro", "anti")):
        side = two[attack]
        for dose in side.doses:
            for fold in fit.chosen:
                cell = at_layer(grid, fold.candidate.layer, side.sign * dose.size)
                if cell is None:
                    continue
                name = f"{defence} & {cell.arm.name}"
                arms[name] = Arm(name, texts[defence], additions=cell.arm.additions)
                if side.matched is not None and dose.size == side.matched.size:
                    name = f"neutral & {cell.arm.name}"
                    arms[name] = Arm(name, texts.get("neutral", ""), additions=cell.arm.additions)
                    name = f"{defence} by builder & {cell.arm.name}"
                    arms[name] = Arm(name, system_suffix=texts[defence], additions=cell.arm.additions)
        arms[f"{defence} by builder"] = Arm(f"{defence} by builder", system_suffix=texts[defence])
        name = f"{defence} by builder & {attack} by user"
        arms[name] = Arm(name, texts[attack], system_suffix=texts[defence])
    return list(arms.values())


def random_tug(
    session: Session, choice: VectorChoice, vector: SteeringVector, fit: CrossFit, two: Mapping[str, Side]
) -> list[Arm]:
    """Each suffix with a random direction at the matched magnitude: what adding anything at all does."""
    controls = [c for c in controls_for(session, choice, vector) if c.kind == "random"][:1]
    texts = {arm.name: arm.suffix for arm in suffix_arms(session.suffixes)}
    found: list[Arm] = []
    for side in two.values():
        layers = [fold.candidate.layer for fold in fit.chosen if fold.candidate.layer is not None]
        if side.matched is None:
            continue
        sizes = [side.sign * side.matched.size] * len(layers)
        for _, _, _, arm in control_arms(controls, layers, sizes, choice).values():
            for suffix, text in texts.items():
                if text:
                    found.append(replace(arm, name=f"{suffix} & {arm.name}", suffix=text))
    return list({arm.name: arm for arm in found}.values())


def combine(
    outcomes: Sequence[Outcome],
    grid: Sequence[Cell],
    fit: CrossFit,
    half: Mapping[str, int],
    two: Mapping[str, Side],
) -> dict[tuple[str, str], list[Outcome]]:
    """Out-of-fold outcomes of each defence with each dose, on the layers chosen on the other half."""
    ran = {o.arm for o in outcomes}
    found: dict[tuple[str, str], list[Outcome]] = {}
    for defence, attack in (("anti", "pro"), ("pro", "anti")):
        side = two[attack]
        for dose in side.doses:
            pair = [at_layer(grid, fold.candidate.layer, side.sign * dose.size) for fold in fit.chosen]
            names = [f"{defence} & {cell.arm.name}" for cell in pair if cell is not None]
            if len(names) == 2 and set(names) <= ran:
                where = {scenario: names[1 - number] for scenario, number in half.items()}
                found[defence, dose.arm] = relabel(outcomes, both_name(defence, dose.arm), where)
    return found


def dose_effects(
    arms: Mapping[str, Mapping[str, Any]], grid: Sequence[Cell], fit: CrossFit, two: Mapping[str, Side]
) -> dict[str, dict[str, Any]]:
    """Side effects of each dose: the mean over the two folds' cells."""
    found: dict[str, dict[str, Any]] = {}
    for side in two.values():
        for dose in side.doses:
            pair = [at_layer(grid, fold.candidate.layer, side.sign * dose.size) for fold in fit.chosen]
            known = [arms[cell.arm.name] for cell in pair if cell is not None]
            found[dose.arm] = {effect: _mean([arm.get(effect) for arm in known]) for effect in SIDE_EFFECTS}
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if values and len(known) == len(values) else None


def costs(
    found: Mapping[str, Any], vector: SteeringVector, n_cells: int, n_pairs: int
) -> dict[str, dict[str, Any]]:
    """What either way of steering costs: tokens and seconds a run, and what it took to get there."""
    arms = found["arms"]
    base = arms["baseline"]
    chosen = found["choice"]["chosen_arms"]
    details = vector.provenance.details
    return {
        "suffix": {
            "prompt_tokens": arms["pro"]["prompt_tokens"] - base["prompt_tokens"],
            "seconds": arms["pro"]["seconds"] + arms["anti"]["seconds"],
            "extraction_generations": 0,
            "extraction_pairs": 0,
            "judge_calls": arms["pro"]["n"] + arms["anti"]["n"],
            "tuned_over": n_pairs,
        },
        "vector": {
            "prompt_tokens": 0,
            "seconds": sum(arms[name]["seconds"] for name in chosen),
            "extraction_generations": details.get("generations", 0),
            "extraction_pairs": vector.provenance.pairs,
            "judge_calls": sum(arms[name]["n"] for name in chosen),
            "tuned_over": n_cells,
        },
    }


def _rates(arm: Mapping[str, Any]) -> dict[str, Any]:
    names = ("rate_all", "rate_all_ci", "rate_valid", "nonsensical_all", "refusal_valid")
    return {name: arm[name] for name in names}
