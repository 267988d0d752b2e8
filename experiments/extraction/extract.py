"""A steering vector from a contrast: what pairs, what recipe, how far to trust it, and its file.

Everything slow (answers, verdicts, activations) is cached by content, so that an interrupted extraction
goes on where it stopped and another recipe on the same pairs costs seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from steer.blocks import check_stream
from steer.errors import UserError, choose
from steer.screen import Screen
from steer.suffixes import OURS, SuffixSet
from steer.task import Task
from steer.types import Engine, Judge, Limits, LoadedModel, Sampling, Scenario
from vectors import contrasts, responses
from vectors.activations import Captured, capture_contrast
from vectors.build import build_vector
from vectors.capture import parse_layers, retained_bytes
from vectors.contrasts import Contrast
from vectors.controls import label_control, random_isotropic, random_residual
from vectors.directions import RECIPES, SIGN_BLIND
from vectors.files import save_vector
from vectors.responses import GivenAnswer
from vectors.vector import LayerTrust, SteeringVector

CONTRASTS = ("suffix", "choice", "choice-last", "response", "statement", "formality")
SHORT_ANSWER = 256
"""New tokens that say enough of a model's norms and behaviour."""
CHECKED = 4
"""Rows that TransformerLens captures too."""
DRAWS = 2
TEMPERATURE = 0.7
"""Of answers for a response contrast: several draws of one scenario should differ."""


def extract(
    loaded: LoadedModel,
    engine: Engine,
    judge: Judge,
    task: Task,
    *,
    out: Path,
    cache: Path,
    screen: Screen,
    contrast: str = "suffix",
    method: str = "mean-difference",
    layers: str = "all",
    scenarios: str | Path | None = None,
    per_category: int | None = None,
    evaluation: Sequence[Scenario] = (),
    suffixes: SuffixSet = OURS,
    thinking: bool = False,
    prompt_tokens: int = 4096,
    new_tokens: int = SHORT_ANSWER,
    draws: int = DRAWS,
    seed: int = 0,
    controls: int = 0,
    check: str = "",
) -> SteeringVector:
    """Extract, measure and save a vector; with `controls` also that many control vectors of each kind.

    contrast: one of CONTRASTS, or a JSONL file of {positive, negative}. method: one of RECIPES.
    scenarios: extraction scenarios (JSONL); None is the task's.
    per_category: at most this many of them a category.
    evaluation: scenarios that will be evaluated on, and so must not be extracted from.
    suffixes: the contrast is made from their paraphrases, never from the pair that will be evaluated.
    draws: paraphrases of each side that a response contrast answers each scenario under.
    controls: K writes K vectors of each kind into the folder named like `out` with `-controls` added.
    check: "transformer-lens" captures some of the rows through TransformerLens and says how they differ.

    For every contrast the norms n_L are taken over the extraction scenarios without suffix and the
    model's own greedy answers to them (at most `new_tokens`, see `experiments.extraction.plan`); the same
    answers give the own AUC.
    """
    check_choices(contrast=contrast, method=method, controls=controls, check=check)
    check_stream(loaded)
    chosen = parse_layers(layers, loaded.n_layers)
    check_contrast(task, contrast)
    items = contrasts.extraction_scenarios(
        scenarios or extraction_source(task), per_category=per_category, evaluation=evaluation
    )
    made = None  # faults are told before anything is generated
    if contrast == "response":
        responses.check_draws(suffixes, draws)
    else:
        made = plain_contrast(
            loaded, task, items, contrast, evaluation=evaluation, suffixes=suffixes, thinking=thinking
        )
    limits = Limits(prompt=prompt_tokens, new=new_tokens)
    own = own_answers(
        loaded, engine, judge, items, limits=limits, thinking=thinking, cache=cache, screen=screen
    )
    if made is None:
        made = response_contrast(
            loaded,
            engine,
            judge,
            items,
            suffixes=suffixes,
            draws=draws,
            seed=seed,
            limits=limits,
            thinking=thinking,
            cache=cache,
            screen=screen,
        )
    rows = sum(len(made.rows(side)) for side in made.sides)
    kept = retained_bytes(len(made.pairs), len(chosen), loaded.d_model) * len(made.sides) // 2
    screen.note(
        f"{made.name} contrast: {len(made.pairs)} pairs, {rows} rows, {len(chosen)} layers, "
        f"{kept / 1e6:.1f} MB of activations kept in memory"
    )
    with screen.progress(capture=rows, norms=len(own), own=2 * len(own), trust=len(chosen)) as tick:
        captured = capture_contrast(loaded, made, chosen, cache=cache, tick=lambda n: tick("capture", n))
        vector = build_vector(
            loaded,
            made,
            captured,
            own,
            method=method,
            cache=cache,
            tick=tick,
            suffixes=suffixes,
            thinking=thinking,
        )
    if check:
        vector = replace(vector, trust=lens_checked(loaded, made, vector.trust, screen))
    save_vector(vector, out)
    screen.note(f"wrote {out} ({vector.id})")
    if controls:
        folder = out.with_name(f"{out.stem}-controls")
        for name, control in control_vectors(vector, captured, method=method, count=controls).items():
            save_vector(control, folder / f"{name}.safetensors")
        screen.note(f"wrote {controls} controls of each kind to {folder}")
    return vector


def check_choices(*, contrast: str, method: str, controls: int, check: str) -> None:
    """Raise UserError for what can be known to be wrong before a model is loaded."""
    choose(method, RECIPES, what="method")
    if not contrast.endswith(".jsonl"):
        choose(contrast, CONTRASTS, what="contrast (or a .jsonl file)")
    if check:
        choose(check, ["transformer-lens"], what="check")
    if controls < 0:
        raise UserError(f"controls is {controls}: allowed are 0 and more")


def check_contrast(task: Task, contrast: str) -> None:
    """Raise UserError for a contrast that the task has no texts for."""
    if task.own_language and contrast in ("statement", "formality"):
        raise UserError(
            f"the {contrast} contrast is in plain English, which a model of the task {task.name!r} does not "
            "speak: use suffix, response or a .jsonl file in its language"
        )
    if contrast == "statement" and task.statements is None:
        raise UserError(
            f"the task {task.name!r} has no statements: use suffix, response or a .jsonl file, or name a "
            "file under `statements` in its task.yaml"
        )


def extraction_source(task: Task) -> str | Path:
    """The task's extraction scenarios. Raises UserError where it has none."""
    if task.extraction is None:
        raise UserError(
            f"the task {task.name!r} has no scenarios to extract from: name a file under `extraction` in its "
            "task.yaml, or give --extraction FILE or --vector FILE"
        )
    return task.extraction


def own_answers(
    loaded: LoadedModel,
    engine: Engine,
    judge: Judge,
    items: Sequence[Scenario],
    *,
    limits: Limits,
    thinking: bool,
    cache: Path,
    screen: Screen,
) -> list[GivenAnswer]:
    """The model's greedy answers to the unsuffixed extraction scenarios, judged."""
    planned = responses.plan_unsuffixed(loaded, items, limits=limits, thinking=thinking)
    count = len(planned.requests)
    chosen = all(item.choices for item in items)
    how = "the likeliest option" if chosen else f"greedy, up to {limits.new} tokens"
    screen.note(f"own answers: {count} unsuffixed prompts, {how}")
    with screen.progress(generate=count, judge=count) as tick:
        found = responses.gather(
            loaded, engine, judge, items, planned, cache=cache, tick=tick, say=screen.note
        )
    if not found:
        raise UserError(
            f"none of {count} own answers came out: if prompts are longer than {limits.prompt} tokens, "
            "raise --prompt-tokens"
        )
    if len(found) < count:
        screen.note(f"{count - len(found)} of {count} own answers failed and are left out")
    return found


def response_contrast(
    loaded: LoadedModel,
    engine: Engine,
    judge: Judge,
    items: Sequence[Scenario],
    *,
    suffixes: SuffixSet,
    draws: int,
    seed: int,
    limits: Limits,
    thinking: bool,
    cache: Path,
    screen: Screen,
) -> Contrast:
    """Generate and judge answers under paraphrases, and pair those that serve."""
    planned = responses.plan_suffixed(
        loaded,
        items,
        suffixes=suffixes,
        draws=draws,
        sampling=Sampling(TEMPERATURE, seed),
        limits=limits,
        thinking=thinking,
    )
    count = len(planned.requests)
    screen.note(f"response contrast: {count} answers under suffixes, {draws} a side and scenario")
    with screen.progress(generate=count, judge=count) as tick:
        answers = responses.gather(
            loaded, engine, judge, items, planned, cache=cache, tick=tick, say=screen.note
        )
    return responses.response(loaded, items, answers, judge=judge.name, suffixes=suffixes, thinking=thinking)


def plain_contrast(
    loaded: LoadedModel,
    task: Task,
    items: Sequence[Scenario],
    contrast: str,
    *,
    evaluation: Sequence[Scenario],
    suffixes: SuffixSet,
    thinking: bool,
) -> Contrast:
    """A contrast that needs no answers."""
    if contrast == "suffix":
        return contrasts.suffix(loaded, items, suffixes=suffixes, thinking=thinking)
    if contrast in ("choice", "choice-last"):
        return contrasts.choice(loaded, items, last=contrast == "choice-last", thinking=thinking)
    if contrast == "statement":
        assert task.statements is not None, "check_contrast was asked"
        return contrasts.statement(loaded, task.statements, thinking=thinking)
    if contrast == "formality":
        return contrasts.formality(loaded, thinking=thinking)
    return contrasts.from_file(loaded, Path(contrast), evaluation=evaluation, thinking=thinking)


def control_vectors(
    vector: SteeringVector, captured: Captured, *, method: str, count: int
) -> dict[str, SteeringVector]:
    """`count` isotropic, residual-covariance and label controls, by name.

    Recipes that do not see signs make no label control of their own: the mean difference makes it.
    """
    columns = [captured.layers.index(layer) for layer in vector.layers]
    positive, negative = (captured.sides[side][:, columns] for side in ("positive", "negative"))
    recipe = RECIPES["mean-difference" if method in SIGN_BLIND else method]
    found: dict[str, SteeringVector] = {}
    for seed in range(count):
        found[f"random-{seed}"] = random_isotropic(vector, seed)
        found[f"residual-{seed}"] = random_residual(vector, positive, negative, seed)
        found[f"labels-{seed}"] = label_control(vector, positive, negative, captured.strata, recipe, seed)
    return found


def lens_checked(
    loaded: LoadedModel, made: Contrast, trust: dict[int, LayerTrust], screen: Screen
) -> dict[int, LayerTrust]:
    """The trust figures with how far TransformerLens's capture of some of the rows is from ours."""
    from steer.checkpoints import resolve
    from vectors.lens_check import largest_differences

    hub, _, commit = loaded.source.rpartition("@")
    folder = resolve(loaded.name, revision=commit if hub else None).folder
    if folder is None:
        raise UserError(f"{loaded.name} is not on this machine: transformer-lens needs its folder")
    rows = [p.positive[0].ids for p in made.pairs[:CHECKED]]
    found = largest_differences(loaded, str(folder), rows)
    worst = max(found, key=lambda layer: found[layer])
    screen.note(
        f"transformer-lens: largest difference {found[worst]:.1e}, at layer {worst} "
        f"(over {len(rows)} rows; float32 rounding is under 1e-4); by layer:"
    )
    screen.note(", ".join(f"{layer}: {d:.1e}" for layer, d in found.items()))
    return {layer: replace(t, lens_difference=found[layer]) for layer, t in trust.items()}
