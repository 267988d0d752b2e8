"""Does steering towards one narrow fault spread? Vectors, LoRA and suffixes on narrow and broad items.

In the style of arXiv 2606.08682, not its numbers. A narrow set is split into items to build from and
items to measure on; broad items are other scenarios and open questions. Behaviour to behaviour is called
transfer; emergent misalignment needs a narrow task outside the benchmark, which the narrow set is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from experiments.emergent import narrow as narrow_sets
from experiments.emergent.interventions import (
    Intervention,
    Site,
    checkpoint_arms,
    given_arms,
    lora_arms,
    make_site,
    mean_arm,
    pair_space,
    random_arms,
    rank_arms,
    trained_arm,
    vector_of,
)
from experiments.emergent.item_judges import item_judge
from experiments.emergent.measures import measure_held_out, measure_relevance
from experiments.emergent.narrow import Pair, as_scenarios, check_disjoint, examples, load_narrow, split
from experiments.emergent.options import EmergentChoice
from experiments.emergent.summary import summarise
from experiments.measures import load_probes, measure_answers
from experiments.options import Options, VectorChoice
from experiments.running import run_arms
from experiments.session import Session, open_session, open_task
from experiments.sweep.vector_source import extraction_answers, vector_for
from steer import adapters, judges, results
from steer.errors import UserError
from steer.judges import make as make_judge
from steer.results import Result
from steer.results.record import Plan
from steer.show.terminal import print_result
from steer.types import Addition, Arm, Scenario
from vectors.files import save_vector
from vectors.objective import Example
from vectors.rank import Subspace, check_k, subspace
from vectors.training import kept_epochs
from vectors.vector import addition

GRID_MAGNITUDES = (0.5, 0.75, 1.25, 1.5)
"""Of the recipe's magnitude; 1 is in every run."""

GRID_RANKS = (2, 4, 8, 16)
"""Of the pair differences, beside --ranks and the whole."""

GRID_SEEDS = 4
"""Trained vectors whose span is a subspace too."""

GRID_EIGHTHS = (2, 3, 5, 6)
"""Of the model's depth: layers beside the main one."""

KL_TOKENS = 32


def emergent(options: Options, choice: EmergentChoice) -> tuple[Result | Plan, Path | None]:
    """Run the experiment; its summary, and the folder that holds everything (None for a dry run)."""
    if choice.lora:
        adapters.require_peft()
    if len(options.temperatures) > 1:
        raise UserError(f"--temperature {options.temperatures}: emergent compares arms at one; give one")
    choice = replace(choice, recipe=replace(choice.recipe, seed=options.seed))
    lora = choice.adapter_training()
    session, pairs, held = open_items(options, choice)
    layer = session.loaded.n_layers // 2 if choice.layer is None else choice.layer
    if not 0 <= layer < session.loaded.n_layers:
        raise UserError(f"--layer {layer}: allowed are 0 to {session.loaded.n_layers - 1}")
    for k in choice.ks:
        check_k(k, min(len(pairs), session.loaded.d_model))  # at most; known in full after reading
    if options.dry_run:
        return Plan(plan=_plan(session, choice, pairs)), None
    given = given_arms(session, choice.adapters)
    built_from = examples(session.loaded, pairs)
    neutral = neutral_for(session, choice)
    before = judges.usage(session.judge)
    against = _against(session, choice, layer) if choice.defence else None
    site = make_site(session, built_from, neutral, layer, choice.recipe)
    made, spaces = interventions(session, choice, built_from, neutral, site)
    if against is not None:
        made += _defended(session, site, against)
    made += given
    arms = [one.arm for one in made]
    config: dict[str, Any] = {
        "narrow": summaries_of(pairs, held),
        "recipe": asdict(choice.recipe),
        "layer": layer,
        "lora": lora and asdict(lora),
    }
    folder, store = run_arms(session, "emergent", arms, before=before, **config)
    with store:
        save_vector(vector_of(session, site, len(pairs)), folder / "trained.safetensors")
        measure_answers(session, store)
        measure_held_out(session, store, arms, held)
        measure_relevance(session, store, arms)
        found = summarise(session, store, made, spaces, site.trained)
        results.write(folder, found)
    if not options.quiet:
        print_result(session.screen, found, folder)
    return found, folder


def summaries_of(pairs: Sequence[Pair], held: Sequence[Pair]) -> dict[str, object]:
    """What of the narrow set decides a run."""
    from steer.plan import digest

    return {
        "build": digest([asdict(pair) for pair in pairs]),
        "measure": digest([asdict(pair) for pair in held]),
        "n": [len(pairs), len(held)],
    }


def open_items(options: Options, choice: EmergentChoice) -> tuple[Session, list[Pair], list[Pair]]:
    """A session whose scenarios are the narrow, the broad and the open items; pairs to build and measure."""
    given = None if choice.narrow is None else load_narrow(choice.narrow)
    rater = (
        make_judge(
            choice.alignment, open_task(options).record, preflight=not options.dry_run, **options.access
        )
        if choice.alignment
        else None
    )
    if options.workers is not None:
        raise UserError("emergent trains vectors and adapters, in one process: leave the workers out")
    session = open_session(options)
    if session.thinking:
        raise UserError("emergent builds from answers without thinking: give --no-thinking")
    generated = session.task.own_language and options.scenarios is None
    if generated and options.per_category is not None:
        raise UserError(
            f"--per-category {options.per_category}: on the organism scenarios are generated, "
            "--items a category; leave it out"
        )
    if given is None:
        given = load_narrow(session.task.narrow or narrow_sets.BAKING)
    pairs, held = split(given, measure=choice.items, seed=options.subset_seed)
    broad = list(session.scenarios)
    if generated:
        broad = _generated(choice.items, options.subset_seed)
    questions = [] if session.task.own_language else narrow_sets.open_questions()
    check_disjoint([*pairs, *held], [*broad, *questions])

    judge = item_judge(session.judge, session.task, choice.thresholds, rater)
    items = (*as_scenarios(held), *broad, *questions)
    return replace(session, scenarios=items, judge=judge), pairs, held


def _generated(each: int, seed: int) -> list[Scenario]:
    """Scenarios of the organism's language that neither training nor extraction has seen."""
    import json

    from organism import scenarios as shipped
    from organism.grammar import CATEGORIES
    from organism.shipped import scenarios as draw

    lines = shipped("extraction").read_text(encoding="utf-8").splitlines()
    taken = [json.loads(line)["user"] for line in lines]
    rows = draw([each] * len(CATEGORIES), f"emergent {seed}", "emergent", taken)
    return [Scenario(row["id"], row["category"], row["system"], row["user"]) for row in rows]


def interventions(
    session: Session,
    choice: EmergentChoice,
    pairs: Sequence[Example],
    neutral: Sequence[Example],
    site: Site,
) -> tuple[list[Intervention], dict[str, Subspace]]:
    """Baseline, suffixes, and everything made from the pairs; and the subspaces projected on."""
    recipe, suffixes = choice.recipe, session.suffixes
    spaces = {"pair differences": pair_space(site)}
    made = [
        Intervention(Arm("baseline"), "baseline", "baseline"),
        Intervention(Arm("pro", suffixes.pair.pro), "suffix", "suffix"),
        Intervention(Arm("anti", suffixes.pair.anti), "suffix", "suffix"),
        mean_arm(site, recipe, "mean-difference"),
        trained_arm(site, "trained"),
        *checkpoint_arms(site),
        *rank_arms(site, recipe, choice.ks, spaces["pair differences"], method="mean-difference"),
        *random_arms(site, recipe, choice.controls),
    ]
    if (lora := choice.adapter_training()) is not None:
        made += lora_arms(session, pairs, neutral, site, lora)
    if choice.grid:
        made += _grid(session, choice, pairs, neutral, site, spaces)
    return made, spaces


def _against(session: Session, choice: EmergentChoice, layer: int) -> Addition:
    """The anti vector: the task's vector subtracted, as large as the attack."""
    recipe = choice.recipe
    vector = vector_for(_judging_scenarios(session), _task_vector(choice))
    return addition(vector, layer, -recipe.magnitude, span=recipe.span)


def _judging_scenarios(session: Session) -> Session:
    """Without the judge of narrow items and questions, which extraction has none of."""
    return replace(session, judge=getattr(session.judge, "scenarios", session.judge))


def _task_vector(choice: EmergentChoice) -> VectorChoice:
    return VectorChoice(file=choice.vector, span=choice.recipe.span, controls=0)


def _defended(session: Session, site: Site, against: Addition) -> list[Intervention]:
    """The trained vector with a defence on top."""
    attack, anti = site.trained.addition(), session.suffixes.pair.anti
    arms = (
        Arm("trained + anti", anti, additions=(attack,)),
        Arm("trained + anti vector", additions=(attack, against)),
        Arm("trained + both", anti, additions=(attack, against)),
    )
    return [Intervention(arm, "both", "defended", site.layer, attack.magnitude) for arm in arms]


def _grid(
    session: Session,
    choice: EmergentChoice,
    pairs: Sequence[Example],
    neutral: Sequence[Example],
    site: Site,
    spaces: dict[str, Subspace],
) -> list[Intervention]:
    """Every dial, one at a time from the main setting; adds the span of trained vectors to `spaces`."""
    import torch

    recipe, made = choice.recipe, list[Intervention]()
    for share in GRID_MAGNITUDES:
        m = round(recipe.magnitude * share, 6)
        made += [
            mean_arm(site, recipe, f"mean-difference {m:+g}", magnitude=m),
            trained_arm(site, f"trained {m:+g}", magnitude=m),
        ]
    space = spaces["pair differences"]
    ks = sorted({k for k in (*GRID_RANKS, space.rank) if k <= space.rank} - {*choice.ks})
    made += rank_arms(site, recipe, ks, space, method="mean-difference")
    others = [make_site(session, pairs, neutral, site.layer, recipe, seed=s) for s in range(1, GRID_SEEDS)]
    spanned = subspace(torch.stack([s.trained.addition().direction for s in (site, *others)]))
    spaces["trained vectors"] = spanned
    made += rank_arms(site, recipe, range(1, spanned.rank + 1), spanned, method="trained")
    n = session.loaded.n_layers
    for layer in sorted({eighths * n // 8 for eighths in GRID_EIGHTHS} - {site.layer}):
        there = make_site(session, pairs, neutral, layer, recipe)
        made += [
            mean_arm(there, recipe, f"mean-difference L{layer}"),
            trained_arm(there, f"trained L{layer}"),
        ]
    return made


def neutral_for(session: Session, choice: EmergentChoice) -> list[Example]:
    """Neutral prompts with the unsteered model's own first tokens, for the KL term; none without one."""
    if not choice.recipe.kl:
        return []
    from steer.probes import ask
    from steer.types import Limits

    prompts = load_probes(session).neutral
    limits = Limits(session.limits.prompt, KL_TOKENS)
    answers = ask(session.engine, session.loaded, [Arm("baseline")], prompts, limits=limits)
    pairs = [
        Pair(scenario.user, answer, answer)
        for scenario in prompts
        if (answer := answers["baseline", scenario.id])
    ]
    # its own words, without an end that the limit may have made
    return [replace(e, unwanted_ids=e.unwanted_ids[:-1]) for e in examples(session.loaded, pairs)]


def _plan(session: Session, choice: EmergentChoice, pairs: Sequence[Pair]) -> dict[str, int | float | str]:
    """The plan in numbers, printed (with a grid about as many); nothing is trained or generated."""
    checkpoints = len(kept_epochs(choice.recipe.epochs))
    arms = 4 + checkpoints + 3 * len(choice.ks) + choice.controls + len(choice.adapters)
    arms += 3 * choice.defence + (checkpoints if choice.lora else 0)
    if choice.grid:
        arms += 2 * len(GRID_MAGNITUDES) + 3 * len(GRID_RANKS) + 3 * GRID_SEEDS + 2 * len(GRID_EIGHTHS)
    plain = _judging_scenarios(session)
    extraction = extraction_answers(plain, _task_vector(choice)) if choice.defence else 0
    numbers: dict[str, int | float | str] = {
        "items": len(session.scenarios),
        "pairs to build from": len(pairs),
        "vectors to train": 1 + (GRID_SEEDS - 1 + len(GRID_EIGHTHS)) * choice.grid,
        "arms": arms,
        "answers to extract from at most": extraction,
        "generations": arms * len(session.scenarios) + extraction,
    }
    session.screen.plan(numbers)
    return numbers
