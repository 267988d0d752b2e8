"""One path or two? Whether suffix and vector move the model through the same place.

The suffix's gap is run again with the vector's direction taken out of the stream from a layer on, chosen on
one half of the scenarios and reported on the other, and with what that is held against: random directions,
shuffled labels, another concept, the contrast's first axes. The mirror: the chosen vector with the suffix's
own mean shift taken out. Beside it, where either moves the stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from experiments.extraction.extract import extraction_source, plain_contrast
from experiments.measures import mass_kept, measure_answers, measure_drift
from experiments.mechanism.mediation import together
from experiments.mechanism.shifts import counterpart, stream_shifts
from experiments.mechanism.taken_out import Runner, Source, of_suffix, of_vector
from experiments.options import Options, VectorChoice, parse_ranks
from experiments.running import run_arms
from experiments.session import Session, evaluation, open_session, vectors_cache
from experiments.suffix import suffix_arms
from experiments.sweep import run as vector_sweep
from experiments.sweep.choice import CrossFit, halves
from experiments.sweep.controls import Controls
from experiments.sweep.grid import Cell, cells
from experiments.sweep.options import Cap, MechanismChoice
from experiments.sweep.plan import print_plan
from experiments.sweep.vector_source import (
    controls_for,
    count_controls,
    extraction_answers,
    vector_for,
)
from steer import judges, results
from steer.errors import UserError
from steer.results.mechanism import Mechanism
from steer.results.record import Plan, updated
from steer.results.result import Result
from steer.show.terminal import print_result
from steer.store import RunStore
from vectors.activations import Captured, capture_contrast
from vectors.capture import parse_layers
from vectors.contrasts import Contrast, extraction_scenarios
from vectors.contrasts import suffix as suffix_contrast
from vectors.directions import equal_weights, mean_difference
from vectors.lens import lens
from vectors.rank import check_k, subspace
from vectors.vector import SteeringVector, flagged, ranges

RANKS = parse_ranks(MechanismChoice().ranks)
"""Where nobody says others."""

NULLS = 4
"""Unrelated contrasts that are taken out at most: two arms a layer each."""


def mechanism(options: Options, choice: MechanismChoice) -> tuple[Result | Plan, Path | None]:
    """Open a session and run the experiment: see `run_mechanism`."""
    check_choice(choice.vector)
    vector_sweep.sweep_magnitudes(options, choice.sweep)
    with open_session(options) as session:
        return run_mechanism(session, choice)


def run_mechanism(session: Session, choice: MechanismChoice) -> tuple[Result | Plan, Path | None]:
    """Run the experiment; its result, and the folder that holds everything (None for a dry run)."""
    check_choice(choice.vector)
    options, ranks = session.options, parse_ranks(choice.ranks)
    magnitudes = vector_sweep.sweep_magnitudes(options, choice.sweep)
    layers = parse_layers(choice.layers, session.loaded.n_layers)
    halves({s.id: s.category for s in session.scenarios}, seed=options.subset_seed)  # too few: say so now
    suffixes = suffix_arms(session.suffixes)
    plan = print_plan(
        session,
        cells=len(layers) * len(magnitudes),
        suffixes=len(suffixes),
        controls=0,
        probed=0,
        extraction=extraction_answers(session, choice.vector),
        together=most_arms(session, choice.vector, len(layers), len(ranks)),
    )
    if options.dry_run:
        return Plan(plan=plan), None
    before = judges.usage(session.judge)
    vector = vector_for(session, choice.vector, layers)
    source = prepare(session, choice.vector, vector, layers, ranks)
    grid = cells(vector, layers, magnitudes, choice.vector)
    arms = [*suffixes, *(cell.arm for cell in grid)]
    config = vector_sweep.what_decides(choice.sweep, vector, source.beside)
    folder, store = run_arms(session, "mechanism", arms, before=before, **config, ranks=list(ranks))
    with store:
        drift = measure_drift(session, store, arms)
        outcomes, kept = store.outcomes(session.judge.name), mass_kept(store)
        chosen = vector_sweep.choose_cells(outcomes, grid, drift, choice.cap, options.subset_seed, kept=kept)
        told, ran = investigate(session, store, choice.vector, source, grid, chosen, choice.cap)
        measure_answers(session, store)
        kinds = dict.fromkeys(ran, "other")
        found = vector_sweep.summarise(session, store, grid, chosen, Controls(), choice.sweep, kinds)
        assert found.sweep is not None
        flags = tuple(flagged(vector, layers))
        found = updated(found, mechanism=told, sweep=updated(found.sweep, vector_flags=flags))
        results.write(folder, found)
    if not options.quiet:
        print_result(session.screen, found, folder)
    return found, folder


def check_choice(choice: VectorChoice) -> None:
    """Raise UserError for what leaves nothing to be held against, or takes out what is to be added."""
    if choice.controls < 1:
        raise UserError("--controls 0: what a direction carries is held against random ones: give 1 or more")
    if choice.operation != "add":
        raise UserError(
            f"--operation {choice.operation}: the mechanism is looked for by ablating and clamping what is "
            "added: leave it out"
        )
    if choice.gate_layer is not None or choice.tokens is not None:
        raise UserError(
            "--gate, --first-tokens: what is taken out is out of every row: leave them out for mechanism"
        )


def most_arms(session: Session, choice: VectorChoice, layers: int, ranks: int) -> int:
    """Arms with something taken out, at most: of the suffix at every layer, of either where it is chosen."""
    beside = count_controls(session, few(choice))
    return 4 * layers + 4 * (1 + beside + ranks + 1) + 4 * (2 + choice.controls)


def few(choice: VectorChoice) -> VectorChoice:
    """The choice with as many unrelated contrasts as are taken out."""
    return replace(choice, nulls=min(choice.nulls, NULLS))


def prepare(
    session: Session,
    choice: VectorChoice,
    vector: SteeringVector,
    layers: tuple[int, ...],
    ranks: tuple[int, ...],
) -> Source:
    """Read what the grid's layers need, and refuse what lacks it before anything is generated."""
    loaded, task, suffixes = session.loaded, session.task, session.suffixes
    needed = range(layers[0], loaded.n_layers)
    if missing := [layer for layer in needed if layer not in vector.directions]:
        raise UserError(
            f"the vector has no direction at layers {ranges(missing)}, and it is taken out from layer "
            f"{layers[0]} on: extract it at all layers"
        )
    for text in (suffixes.pair.pro, suffixes.pair.anti):
        counterpart(loaded, text, suffixes.neutral)
    others = [*session.scenarios, *evaluation(session.options)]
    items = extraction_scenarios(extraction_source(task), evaluation=others)
    own = suffix_contrast(
        loaded, items, suffixes=replace(suffixes, paraphrases=(suffixes.pair,)), thinking=session.thinking
    )
    notes: list[str] = []
    made = own
    if choice.vector is None and choice.file is None and choice.contrast != "response":
        made = plain_contrast(
            loaded,
            task,
            items,
            choice.contrast,
            evaluation=others,
            suffixes=suffixes,
            thinking=session.thinking,
        )
    else:
        notes.append("the pairs that the vector was made of are not at hand: ranks are of the suffix's own")

    def captured(contrast: Contrast) -> Captured:
        rows = sum(len(contrast.rows(side)) for side in contrast.sides)
        with session.screen.progress(capture=rows) as tick:
            every = range(loaded.n_layers)  # as an extraction keeps them
            return capture_contrast(
                loaded, contrast, every, cache=vectors_cache() / "cache", tick=lambda n: tick("capture", n)
            )

    shifts = captured(own)
    pairs = shifts if made is own else captured(made)
    weights = equal_weights(shifts.strata)
    spaces = {layer: subspace(pairs.at("positive", layer) - pairs.at("negative", layer)) for layer in needed}
    for space in spaces.values():
        check_k(max(ranks, default=0), space.rank)
    shift = SteeringVector(
        {
            layer: mean_difference(shifts.at("positive", layer), shifts.at("negative", layer), weights)
            for layer in needed
        },
        replace(vector.provenance, contrast="the suffix's own", method="mean-difference", details={}),
    )
    beside = controls_for(session, few(choice), vector)
    return Source(vector, beside, shift, spaces, layers, ranks, tuple(notes))


def investigate(
    session: Session,
    store: RunStore,
    choice: VectorChoice,
    source: Source,
    grid: Sequence[Cell],
    chosen: vector_sweep.Chosen,
    cap: Cap,
) -> tuple[Mechanism, Sequence[str]]:
    """Run what is taken out, in an open run that holds suffixes and grid; what it shows, and the new arms."""
    runner = Runner(session, store, chosen.half)
    notes = list(source.notes)
    suffix = of_suffix(runner, source, choice.span, cap, notes)
    mirror, steered = None, None
    if isinstance(chosen.fit, CrossFit):
        mirror, steered = of_vector(runner, source, choice, grid, chosen.fit)
    else:
        notes.append(f"the vector's side is not told: {chosen.fit}")
    axes = {"vector": source.vector}
    axes |= {one.name: one.vector for one in source.beside if one.kind in ("label", "concept")}
    moved = tuple(stream_shifts(session, store, axes, steered, chosen.half, notes))
    others = f"; the other way round, {mirror.word}: {mirror.sentence}" if mirror is not None else ""
    found = Mechanism(
        word=together(suffix.word, None if mirror is None else mirror.word),
        verdict=f"{suffix.word}: {suffix.sentence}{others}",
        suffix=suffix,
        vector=mirror,
        shifts=moved,
        lens=tuple(lens(session.loaded, {k: source.vector.directions[k] for k in source.layers})),
        notes=tuple(notes),
    )
    return found, tuple(runner.ran)
