"""Comparing finished runs: their arms side by side, when model, scenarios and judge are the same.

Where the runs hold a sweep's cells and a suffix pair, the vector is chosen out of fold and the two are
compared as `compare` does it. Nothing is generated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from experiments.across.compare_models import across, model_row
from experiments.across.models import answered
from experiments.across.tables import print_differences, print_rates
from experiments.compare.analyse import exchange, side_by_side, sides, tune_suffix, verdict
from experiments.options import Options
from experiments.sweep.choice import MeasuredCell, NothingChosen, cross_fit, halves, symmetric
from experiments.sweep.options import Cap
from experiments.sweep.run import Chosen, describe_choice
from steer import metrics
from steer.errors import UserError
from steer.results.across import ModelRow, Models
from steer.results.comparison import Comparison
from steer.results.estimates import ArmResult
from steer.results.record import updated
from steer.results.result import JudgeUsed, Result
from steer.results.sweep import Sweep
from steer.screen import Screen
from steer.show.terminal import print_evidence, print_judge, print_result
from steer.store import RunStore
from steer.store.config import ArmContent, Config, JudgeConfig, SweepConfig, VectorAddition
from steer.summary import GAPS, summarise
from steer.texts import JsonObject
from steer.types import Outcome

SAME = ("model", "scenarios", "judge", "sampling", "limits", "thinking")
"""What runs must share to be paired; else a difference could come from there."""

SAME_ACROSS = ("scenarios", "judge", "sampling")
"""What runs of different models must share: a model's limits and thinking are its own."""


@dataclass(slots=True, eq=False)
class Pool:
    """The arms of several runs on the same scenarios, each once.

    first: a run's folder and what it was told; sweep: what the first sweep was told.
    paraphrases: (pro, anti) arms of other wordings of the pool's own pair.
    """

    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    arms: dict[str, ArmResult] = field(default_factory=dict[str, ArmResult])
    one: Result | None = None
    contents: dict[str, ArmContent | None] = field(default_factory=dict[str, ArmContent | None])
    first: tuple[Path, Config] | None = None
    sweep: SweepConfig | None = None
    paraphrases: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def compare_runs(folders: Sequence[Path], options: Options) -> Result | Models:
    """Finished runs side by side: of one model their arms, paired; of several models one row a model."""
    configs = [_config(folder) for folder in folders]
    models = [config["model"] for config in configs]
    if all(model == models[0] for model in models):
        return _pooled(folders, options)
    if any(model in models[:place] for place, model in enumerate(models)):
        raise UserError(
            "some of these runs are of one model, others not: compare runs of one model, or one run a model"
        )
    return _across(folders, configs, options)


def _across(folders: Sequence[Path], configs: Sequence[Config], options: Options) -> Models:
    """Each model's rates and steerability gap; rates of models are compared scenario by scenario."""
    rows: dict[str, ModelRow] = {}
    outcomes: dict[str, list[Outcome]] = {}
    evidence: list[str] = []
    one: Result | None = None
    for folder, config in zip(folders, configs, strict=True):
        _require_same((folders[0], configs[0]), (folder, config), SAME_ACROSS)
        name = str(config["model"]["name"])
        name = name if name not in rows else str(folder)
        with RunStore(folder, writable=False) as store:
            one = summarise(store, config["judge"]["name"])
            outcomes[name] = answered(store, config["judge"]["name"])
        rows[name] = model_row(one, folder)
        evidence.append(one.evidence)
    assert one is not None, "there is at least one folder"
    found = across(rows, outcomes, one, "; ".join(dict.fromkeys(text for text in evidence if text)))
    if not options.quiet:
        screen = Screen()
        print_rates(screen, found, one.task.words.noun)
        print_differences(screen, found)
        print_judge(screen, one.judge)
        print_evidence(screen, found.evidence)
    return found


def _pooled(folders: Sequence[Path], options: Options) -> Result:
    """Pool the arms of runs on the same scenarios, model and judge; UserError says which field differs.

    An arm that several runs have by the same name and content counts once; one of the same name and
    another content is renamed RUN:ARM. The verdicts are those of each run's own judge, or of the one that
    the options name.
    """
    pool = Pool()
    for folder in folders:
        _add(pool, folder, options.judge)
    assert pool.one is not None, "there is at least one folder"
    arms, one = pool.arms, pool.one
    pairs = [(a, b) for a, b in GAPS if a in arms and b in arms]
    named = {name for pair in pairs for name in pair}
    pairs += [(name, "baseline") for name in arms if "baseline" in arms and name not in named | {"baseline"}]
    found = Result(
        arms=arms,
        gaps={f"{g.first}-{g.second}": g for g in metrics.gaps(pool.outcomes, pairs)},
        judge=JudgeUsed(name=one.judge.name, known_error=one.judge.known_error),
        config={"command": "compare", "runs": [str(folder) for folder in folders]},
        determinism=one.determinism,
        evidence=one.evidence,
        task=one.task,
    )
    found = suffix_and_vector(pool, found)
    if not options.quiet:
        screen = Screen()
        if found.sweep is not None and found.sweep.left_out:
            names = ", ".join(found.sweep.left_out)
            screen.note(f"not among the cells, for their span or operation is not the sweep's: {names}")
        print_result(screen, found, ", ".join(str(folder) for folder in folders))
    return found


def _add(pool: Pool, folder: Path, asked: str) -> None:
    with RunStore(folder, writable=False) as store:
        config = store.config()
        config["judge"] = _judge(store, config, folder, asked)
        judge = config["judge"]["name"]
        pool.first = pool.first or (folder, config)
        _require_same(pool.first, (folder, config), SAME)
        if "cap" in config and not pool.sweep:
            pool.sweep = cast("SweepConfig", config)
        found = summarise(store, judge)
        pool.one = pool.one or found
        renamed: dict[str, str] = {}
        for name in found.arms:
            content = config["arms"].get(name)
            if "race" in config and content and found.arms[name].scenarios < found.arms["baseline"].scenarios:
                continue  # a cell that was stopped
            if name in pool.contents and pool.contents[name] == content:
                pool.arms[name] = _completed(pool.arms[name], found.arms[name])
                continue
            renamed[name] = name if name not in pool.contents else f"{folder.name}:{name}"
            pool.contents[renamed[name]] = content
            pool.arms[renamed[name]] = found.arms[name]
        if all(config["arms"].get(side) == pool.contents.get(side) for side in ("pro", "anti")):
            every = [(f"pro paraphrase-{i}", f"anti paraphrase-{i}") for i in range(1, len(found.arms))]
            here = [pair for pair in every if all(renamed.get(name, name) == name for name in pair)]
            known = [pair for pair in here if pool.arms.keys() >= set(pair) <= found.arms.keys()]
            pool.paraphrases += [pair for pair in known if pair not in pool.paraphrases]
        pool.outcomes += [replace(o, arm=renamed[o.arm]) for o in store.outcomes(judge) if o.arm in renamed]


def _completed(known: ArmResult, other: ArmResult) -> ArmResult:
    """With the side effects that another run has measured of the same arm."""
    return replace(known, measures=other.measures | known.measures, lost=other.lost | known.lost)


def suffix_and_vector(pool: Pool, found: Result) -> Result:
    """With the choice, the gaps side by side, the exchange rate; as it is where runs lack an arm for them."""
    cells, left_out = _cells(pool)
    if not symmetric(cells) or not {"baseline", "pro", "anti"} <= pool.arms.keys():
        return found
    assert pool.sweep is not None, "there are cells"
    cap = Cap(**pool.sweep["cap"])
    seed = pool.sweep["scenarios"]["subset_seed"]
    half = halves({o.scenario: o.category for o in pool.outcomes}, seed=seed)
    fit = cross_fit(pool.outcomes, symmetric(cells), half, cap, plus="vector +", minus="vector -")
    choice = describe_choice(pool.outcomes, Chosen(half, tuple(cells), fit, fit), cap)
    sweep = Sweep(cells=(), halves=half, choice=updated(choice, asymmetric=None), left_out=tuple(left_out))
    if isinstance(fit, NothingChosen):
        return updated(found, sweep=sweep)
    pairs = [("pro", "anti"), *pool.paraphrases]
    tuned = tune_suffix(pool.outcomes, pairs, half, cap)
    two = sides(pool.outcomes, cells, fit, half, cap)
    gaps = side_by_side(pool.outcomes, fit, tuned, pairs)
    comparison = Comparison(
        verdict=verdict(gaps, found.task.words.noun),
        sides=gaps,
        exchange=exchange(pool.outcomes, two, pool.arms),
    )
    return updated(found, sweep=sweep, comparison=comparison)


def _own_additions(arms: Mapping[str, ArmContent | None], vector: str) -> dict[str, VectorAddition]:
    """Of the arms that add this vector and nothing else, what they add."""
    found: dict[str, VectorAddition] = {}
    for name, content in arms.items():
        if not content or len(content["additions"]) != 1:
            continue
        (addition,) = content["additions"]
        if content["suffix"] or content["system_suffix"] or content["adapter"]:
            continue
        if addition["vector"] == vector:
            found[name] = addition
    return found


def _cells(pool: Pool) -> tuple[list[MeasuredCell], list[str]]:
    """The arms that add the sweep's own vector, at its span and operation; and the arms left out for those.

    A cell of another span or operation is no further dose of the same curve.
    """
    if pool.sweep is None:
        return [], []
    vector = pool.sweep["vector"]
    own = {_way(one) for one in _own_additions(pool.sweep["arms"], vector).values()}
    additions = _own_additions(pool.contents, vector)
    left_out = [name for name, one in additions.items() if _way(one) not in own]
    found = [
        MeasuredCell(
            name,
            one["layer"],
            one["magnitude"],
            math.inf if "drift" in pool.arms[name].lost else pool.arms[name].measures.get("drift"),
        )
        for name, one in additions.items()
        if name not in left_out
    ]
    return found if all(cell.drift is not None for cell in found) else [], left_out


def _way(addition: VectorAddition) -> tuple[str, str]:
    return addition["span"], addition["operation"]


def _judge(store: RunStore, config: Config, folder: Path, asked: str) -> JudgeConfig:
    """The run's own judge, or the one asked for by name if it has judged the run."""
    if asked == "auto":
        return config["judge"]
    known = store.judges()
    if asked not in known:
        raise UserError(
            f"run {str(folder)!r} has no verdicts of {asked!r}: those of {', '.join(known) or 'none'} are "
            "there; judge it first"
        )
    return {"name": asked}


def _config(folder: Path) -> Config:
    with RunStore(folder, writable=False) as store:
        config = store.config()
    if "judge" not in config:
        raise UserError(f"run {str(folder)!r} has no configuration: start it again, or leave it out")
    return config


def _require_same(first: tuple[Path, Config], other: tuple[Path, Config], fields: Sequence[str]) -> None:
    for name in fields:
        differing = _differing(name, first[1].get(name), other[1].get(name))
        if differing is not None:
            path, old, new = differing
            raise UserError(
                f"runs {str(first[0])!r} and {str(other[0])!r} differ in {path} ({old!r} and {new!r}): "
                "only runs that share it can be compared"
            )


def _differing(path: str, old: Any, new: Any) -> tuple[str, Any, Any] | None:
    """The first field in which two JSON values differ, with both values."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return None if old == new else (path, old, new)
    before, after = cast("JsonObject", old), cast("JsonObject", new)
    parts = (_differing(f"{path}.{k}", before.get(k), after.get(k)) for k in sorted({*before, *after}))
    return next((part for part in parts if part is not None), None)
