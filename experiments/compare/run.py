"""The comparison: suffix, vector, both together and controls, on the same scenarios, in one run.

Stage one runs the suffix arms (default and paraphrases) and a coarse grid of cells, and chooses on
one half of the scenarios for the other. Stage two runs, at the chosen layers, the controls and the
tug of war. `experiments.compare.analyse` computes what is said of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from experiments.compare.analyse import (
    Side,
    both_name,
    exchange,
    frontier,
    side_by_side,
    sides,
    tug,
    tune_suffix,
    verdict,
    verdict_tuned,
)
from experiments.compare.exchange import MATCHED
from experiments.compare.transfer import recipe as transfer_recipe
from experiments.compare.transfer import transfer as run_transfer
from experiments.compare.transfer import transfer_answers, transfer_arms
from experiments.compare.tries import check_budget, wordings
from experiments.compare.tug_arms import COLUMNS, ROWS, TUGS, TugPlan, at_layer, kind_of, plan_tug
from experiments.compare.tuning import Tuning, describe, halving_answers, halving_scenarios, tune
from experiments.measures import mass_kept, measure_answers, measure_drift, measure_probes
from experiments.mechanism.run import RANKS, check_choice, investigate, most_arms, prepare
from experiments.mechanism.taken_out import Source
from experiments.options import Options
from experiments.running import EVERYWHERE, add_arms, run_arms
from experiments.session import Session, open_session, open_task
from experiments.suffix import suffix_arms
from experiments.sweep.choice import CrossFit, NothingChosen, OutOfFold, halves, paired
from experiments.sweep.controls import Controls, choosing_arms, run_controls
from experiments.sweep.gating import check_gate, gated
from experiments.sweep.grid import Cell, cells
from experiments.sweep.options import CompareChoice
from experiments.sweep.out_of_fold import described
from experiments.sweep.plan import PLACES, print_plan
from experiments.sweep.race import check_race, expected, run_race, start
from experiments.sweep.run import choose_cells, chosen_arms, sweep_magnitudes, what_decides
from experiments.sweep.run import summarise as summarise_sweep
from experiments.sweep.vector_source import (
    Control,
    controls_for,
    count_controls,
    extraction_answers,
    vector_for,
)
from steer import judges, results
from steer import suffixes as suffix_files
from steer.results.comparison import Comparison, Cost, Together
from steer.results.estimates import ArmResult
from steer.results.record import Plan, updated
from steer.results.result import Result
from steer.results.sweep import Sweep
from steer.show.terminal import print_result
from steer.store import RunStore
from steer.suffixes import SuffixSet
from steer.types import Arm, Outcome
from vectors.capture import parse_layers
from vectors.vector import SteeringVector, flagged


def compare(options: Options, choice: CompareChoice) -> tuple[Result | Plan, Path | None]:
    """Open a session and run the comparison: see `run_compare`."""
    sweep_magnitudes(options, choice.sweep)  # a mistyped grid is answered before a model is loaded
    if choice.transfer:
        transfer_recipe(choice.vector)
    if choice.mechanism:
        check_choice(choice.vector)
    if choice.suffix_budget is not None:
        own = suffix_files.load(options.suffixes, open_task(options).suffixes)
        check_budget(own, choice.suffix_budget, choice.rewriter)
    with open_session(options) as session:
        return run_compare(session, choice)


def run_compare(session: Session, choice: CompareChoice) -> tuple[Result | Plan, Path | None]:
    """Run the comparison; its result, and the folder that holds everything (None for a dry run)."""
    options = session.options
    magnitudes = sweep_magnitudes(options, choice.sweep)
    layers = parse_layers(choice.layers, session.loaded.n_layers)
    check_gate(choice.vector, layers)
    halves({s.id: s.category for s in session.scenarios}, seed=options.subset_seed)  # too few: say so now
    suffixes = [*suffix_arms(session.suffixes), *paraphrase_arms(session.suffixes)]
    extraction = extraction_answers(session, choice.vector)
    together = _most_together(len(magnitudes)) + (transfer_arms(session) if choice.transfer else 0)
    if choice.mechanism:
        together += most_arms(session, choice.vector, len(layers), len(RANKS))
    if choice.race:
        check_race(session, magnitudes)
    budget = choice.suffix_budget
    numbers = print_plan(
        session,
        cells=len(layers) * len(magnitudes),
        suffixes=len(suffixes) + (2 * (budget - len(wordings(session.suffixes))) if budget else 0),
        controls=count_controls(session, choice.vector),
        choosing=choosing_arms(session, choice.sweep, len(layers) * len(magnitudes)),
        probed=len(suffix_arms(session.suffixes)) + 2 * PLACES,  # chosen cells, and suffixes against them
        extraction=extraction + (transfer_answers(session, choice.vector) if choice.transfer else 0),
        together=together,
        race=expected(session, len(layers) * len(magnitudes), of_layers=len(layers)) if choice.race else {},
        halving=halving_answers(budget, len(halving_scenarios(session))) if budget else 0,
    )
    if options.dry_run:
        return Plan(plan=numbers), None
    before = judges.usage(session.judge)
    choice = replace(choice, vector=gated(session, choice.vector))
    how = choice.vector
    vector = vector_for(session, how, layers)
    grid = cells(vector, layers, magnitudes, how)
    tuning = tune(session, choice, budget) if budget else None
    arms = [*suffixes, *(tuning.arms if tuning else ()), *(cell.arm for cell in grid)]
    beside = controls_for(session, choice.vector, vector)
    source = prepare(session, choice.vector, vector, layers, RANKS) if choice.mechanism else None
    config = what_decides(choice.sweep, vector, beside) | {"transfer": choice.transfer}
    only = start(session, grid) if choice.race else EVERYWHERE
    folder, store = run_arms(session, "compare", arms, before=before, only=only, **config)
    with store:
        found = _compared(session, store, choice, vector, beside, grid, suffixes, source, tuning)
        found = updated(found, sweep=updated(_sweep(found), vector_flags=tuple(flagged(vector, layers))))
        results.write(folder, found)
    if not options.quiet:
        print_result(session.screen, found, folder)
    return found, folder


def _most_together(magnitudes: int) -> int:
    """Arms of the tug of war where the two halves choose different layers."""
    return 2 * (len(ROWS) * (len(COLUMNS) - 1) + magnitudes) + 2 * len(TUGS)


def paraphrase_arms(suffixes: SuffixSet) -> list[Arm]:
    """Pro and anti of every paraphrase: what an untuned choice of words would have done."""
    return [
        Arm(f"{side} {pair.name}", text)
        for pair in suffixes.paraphrases
        for side, text in (("pro", pair.pro), ("anti", pair.anti))
    ]


def suffix_pairs(suffixes: SuffixSet) -> list[tuple[str, str]]:
    """(pro, anti) arm names of the default and of every paraphrase."""
    return [("pro", "anti"), *((f"pro {pair.name}", f"anti {pair.name}") for pair in suffixes.paraphrases)]


def _compared(
    session: Session,
    store: RunStore,
    choice: CompareChoice,
    vector: SteeringVector,
    beside: Sequence[Control],
    grid: Sequence[Cell],
    suffixes: Sequence[Arm],
    source: Source | None,
    tuning: Tuning | None,
) -> Result:
    judge = session.judge.name
    drift = measure_drift(session, store, [*suffixes, *(cell.arm for cell in grid)])
    raced = run_race(session, store, grid, drift, choice.cap, layers=True) if choice.race else None
    seed, kept = session.options.subset_seed, mass_kept(store)
    chosen = choose_cells(store.outcomes(judge), grid, drift, choice.cap, seed, kept=kept, raced=raced)
    how, taken = (
        investigate(session, store, choice.vector, source, grid, chosen, choice.cap) if source else (None, ())
    )
    tries = tuning.arms if tuning else []
    kinds = dict.fromkeys([*taken, *(arm.name for arm in tries)], "other")
    if isinstance(chosen.fit, NothingChosen):
        measure_answers(session, store)
        found = summarise_sweep(session, store, grid, chosen, Controls(), choice.sweep, kinds)
        return updated(found, mechanism=how)
    controls = run_controls(session, store, choice.sweep, beside, grid, chosen.fit, chosen.half)
    two = sides(store.outcomes(judge), chosen.measured, chosen.fit, chosen.half, choice.cap)
    random = next((control for control in beside if control.kind == "random"), None)
    pulled = plan_tug(session.suffixes, grid, chosen.fit, two, random, choice.vector)
    known = {arm.name for arm in suffixes} | {arm.name for arm in (*(c.arm for c in grid), *controls.arms)}
    tug_arms = [arm for name, arm in pulled.arms.items() if name not in known]
    add_arms(session, store, list(pulled.arms.values()))  # a control's, too: on all scenarios here
    pairs = suffix_pairs(session.suffixes)
    among = tuning.finalists if tuning else pairs
    tuned = tune_suffix(store.outcomes(judge), among, chosen.half, choice.cap)
    square = {arm for folded in pulled.square.values() for arm in folded.arms}
    square |= chosen_arms(tuned) if isinstance(tuned, CrossFit) else set()
    measure_drift(session, store, [arm for arm in [*tries, *tug_arms] if arm.name in square])
    transferred, read_transfer = (
        run_transfer(session, store, choice.vector, chosen.fit, chosen.half)
        if choice.transfer
        else ((), None)
    )
    best = chosen_arms(chosen.fit) | {arm for pair in _opposed(pulled) for arm in pair.arms}
    every = [*suffixes[: len(suffix_arms(session.suffixes))], *(cell.arm for cell in grid), *tug_arms]
    measure_probes(session, store, [arm for arm in every if arm.name in best or arm in suffixes])
    measure_answers(session, store)

    kinds |= {arm.name: kind_of(arm) for arm in tug_arms} | dict.fromkeys(transferred, "other")
    found = summarise_sweep(session, store, grid, chosen, controls, choice.sweep, kinds)
    outcomes = store.outcomes(judge)
    beside_vector = [*(tuned.pair if isinstance(tuned, CrossFit) else ()), *_opposed(pulled)]
    folded = described(beside_vector, outcomes, chosen.half, found.arms)
    sweep = _sweep(found)
    found = updated(found, sweep=updated(sweep, out_of_fold=sweep.out_of_fold | folded))
    gaps = side_by_side(outcomes, chosen.fit, tuned, pairs)
    by_builder = _by_builder(pulled, outcomes, chosen.half)
    judged = verdict_tuned if tuning else verdict
    comparison = Comparison(
        verdict=judged(gaps, session.task.record.words.noun),
        sides=gaps,
        exchange=exchange(outcomes, two, found.arms),
        tug=tug(outcomes, two, combine(outcomes, grid, chosen.fit, chosen.half, two), by_builder),
        together=tuple(arm.name for arm in tug_arms),
        square=tug_square(pulled, outcomes, chosen.half, found.arms),
        frontier=frontier(
            outcomes, found.arms, [*(a.name for a in suffixes[1:]), *(c.arm for c in chosen.measured)]
        ),
        transfer=None if read_transfer is None else read_transfer(outcomes),
        costs=costs(
            found, vector, len(grid), len(tuning.order if tuning else pairs), tuning.answers if tuning else 0
        ),
        tries=tuning
        and describe(
            tuning,
            tuned,
            outcomes,
            paired(chosen.measured),
            chosen.half,
            choice.cap,
        ),
    )
    return updated(found, comparison=comparison, mechanism=how)


def _sweep(found: Result) -> Sweep:
    assert found.sweep is not None, "summarise_sweep gives every result one"
    return found.sweep


def _opposed(pulled: TugPlan) -> list[OutOfFold]:
    """Either suffix against the vector of the other sign, at the dose matched on the other half."""
    places = (("anti", "vector +"), ("pro", "vector -"))
    return [pulled.square[place] for place in places if place in pulled.square]


def _by_builder(
    pulled: TugPlan, outcomes: Sequence[Outcome], half: Mapping[str, int]
) -> dict[str, list[Outcome]]:
    """Outcomes of each defence in the system message and the matched vector, for `builder_tug`."""
    found: dict[str, list[Outcome]] = {}
    for defence, column in (("anti", "vector +"), ("pro", "vector -")):
        place = (f"{defence} by builder", column)
        if place in pulled.square:
            together = OutOfFold(f"{place[0]} & dose", pulled.square[place].arms)
            found[defence] = together.rows(outcomes, half)
    return found


def tug_square(
    pulled: TugPlan, outcomes: Sequence[Outcome], half: Mapping[str, int], arms: Mapping[str, ArmResult]
) -> tuple[Together, ...]:
    """Every suffix with every vector at matched solo effect, row by row (report)."""
    found = described(pulled.square.values(), outcomes, half, arms)
    return tuple(
        Together(suffix=row, vector=column, arm=found[one.name])
        for (row, column), one in sorted(
            pulled.square.items(), key=lambda item: (ROWS.index(item[0][0]), COLUMNS.index(item[0][1]))
        )
    )


def combine(
    outcomes: Sequence[Outcome],
    grid: Sequence[Cell],
    fit: CrossFit,
    half: Mapping[str, int],
    two: Mapping[str, Side],
) -> dict[tuple[str, str], list[Outcome]]:
    """Out-of-fold outcomes of each defence with each dose, and with the one matched on the other half."""
    ran = {o.arm for o in outcomes}
    found: dict[tuple[str, str], list[Outcome]] = {}
    for defence, attack in TUGS:
        side = two[attack]
        for dose in side.doses:
            pair = [at_layer(grid, fold.candidate.layer, side.sign * dose.size) for fold in fit.chosen]
            names = [f"{defence} & {cell.arm.name}" for cell in pair if cell is not None]
            if len(names) == 2 and set(names) <= ran:
                together = OutOfFold(both_name(defence, dose.arm), (names[0], names[1]))
                found[defence, dose.arm] = together.rows(outcomes, half)
        if side.matched is not None:
            first, second = (both_name(defence, name) for name in side.matched.arms)
            together = OutOfFold(both_name(defence, MATCHED), (first, second))
            found[defence, MATCHED] = together.rows(outcomes, half)
    return found


def costs(found: Result, vector: SteeringVector, n_cells: int, n_pairs: int, halving: int) -> dict[str, Cost]:
    """What either way of steering costs: a steered answer, and what it took to get there.

    halving: answers that the tries were halved by.
    """
    arms = found.arms
    scenarios = arms["baseline"].n
    details = vector.provenance.details
    own, suffixed = details.get("own answers", []), details.get("answers", 0)
    generations = sum(int(line.rpartition(": ")[2]) for line in own) if isinstance(own, list) else 0
    generations += suffixed if isinstance(suffixed, int) else 0

    def each(names: Sequence[str], spent: Callable[[ArmResult], float]) -> float:
        return sum(spent(arms[name]) for name in names) / max(1, sum(arms[name].n for name in names))

    def way(names: Sequence[str], tuned_over: int, judged: int, generations: int, pairs: int) -> Cost:
        tokens, plain_tokens = (each(some, lambda arm: arm.prompt_tokens) for some in (names, ["baseline"]))
        seconds, plain_seconds = (each(some, lambda arm: arm.seconds) for some in (names, ["baseline"]))
        return Cost(
            prompt_tokens_more_an_answer=round(tokens - plain_tokens, 1),
            seconds_an_answer=round(seconds, 4),
            seconds_a_baseline_answer=round(plain_seconds, 4),
            extraction_generations=generations,
            extraction_pairs=pairs,
            arms_tuned_over=tuned_over,
            judge_calls_to_choose=judged,
            judge_calls_to_report=2 * scenarios,
        )

    sweep = _sweep(found)
    judged = sweep.race.rows if sweep.race else n_cells * scenarios
    return {
        "suffix": way(["pro", "anti"], 2 * n_pairs, 2 * n_pairs * scenarios, halving, 0),
        "vector": way(sweep.choice.chosen_arms, n_cells, judged, generations, vector.provenance.pairs),
    }
