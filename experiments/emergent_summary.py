"""From a run with a narrow task to its summary: effects, spill-over, matching, dials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from experiments.interventions import Intervention
from experiments.item_judges import ByCategory
from experiments.matching import equal_epochs, matched
from experiments.narrow import NARROW, OPEN_QUESTIONS
from experiments.session import Session
from experiments.spillover import spillover
from steer import judges, metrics
from steer import summary as summaries
from steer.store import RunStore
from steer.types import Outcome
from vectors.rank import Subspace
from vectors.training import Trained

SCENARIOS = "scenarios"
RANK = " rank-k"
EFFECTS = ("narrow_points", "narrow_ci", "broad_points", "broad_ci", "ratio", "ratio_ci")
NOTES = (
    "In the style of arXiv 2606.08682, not its numbers: models, narrow sets, judge and prompts are others.",
    "Choices made where its details were not public here: narrow set, open questions and the judge's prompt "
    "were written for this project; a vector's length is its magnitude times the layer's mean residual norm, "
    "the same at training and at test, and the magnitude dial stretches the vector trained at the main "
    "magnitude; layer, magnitude, learning rates and epochs are defaults, not tuned for any model; the loss "
    "is a mean over answer tokens, end of turn included; subspaces are uncentred and of mean answer states; "
    "LoRA is on all linear layers of the blocks; the anti vector is the task's at the same "
    "magnitude.",
    "Effects are percentage points of all items against baseline, paired; spill-over is broad over narrow, "
    "without an estimate where the narrow interval includes 0.",
)


def summarise(
    session: Session, store: RunStore, made: Sequence[Intervention], spaces: Mapping[str, Subspace]
) -> dict[str, Any]:
    """The run's summary; `arms` and `gaps` are over the benchmark's scenarios, `sets` over each set.

    spillover: {broad set: {arm: effects and ratio}}. dials: one row a (dial, method, value). energy: of
    each component of each subspace, the strongest first.
    """
    judge = session.judge
    found = summaries.summarise(store, judge.name)
    outcomes = store.outcomes(judge.name)
    sets = {name: rows for name, rows in _sets(outcomes).items() if rows}
    narrow = sets[NARROW]
    broad = {name: rows for name, rows in sets.items() if name != NARROW}
    names = [one.arm.name for one in made]
    per_set = {
        name: {arm: asdict(m) for arm, m in metrics.arm_metrics(rows).items()} for name, rows in sets.items()
    }
    for arm, values in per_set.get(SCENARIOS, {}).items():
        found["arms"][arm] |= values
    gaps = [(g["first"], g["second"]) for g in found["gaps"].values()]
    if SCENARIOS in sets and gaps:
        found["gaps"] = {f"{g.first}-{g.second}": asdict(g) for g in metrics.gaps(sets[SCENARIOS], gaps)}
    if isinstance(judge, ByCategory):
        found["judge"]["known_error"] = judges.known_error(judge.scenarios.name)
    steered = [name for name in names if name != "baseline"]
    spill = {
        name: {arm: _finite(asdict(spillover(narrow, rows, arm))) for arm in steered}
        for name, rows in broad.items()
    }
    vectors = [one.arm.name for one in made if one.method == "trained"]
    loras = [one.arm.name for one in made if one.method == "lora"]
    checkpoints = [_by_epochs(made, method) for method in ("lora", "trained")]
    return found | {
        "arm_kinds": {one.arm.name: one.kind for one in made},
        "interventions": {
            one.arm.name: {
                "method": one.method,
                "layer": one.layer,
                "magnitude": one.magnitude,
                "epochs": one.epochs,
                "k": one.k,
                "kept": one.kept,
            }
            for one in made
        },
        "sets": per_set,
        "spillover": spill,
        "matched": {
            name: (pair := matched(narrow, rows, loras, vectors)) and asdict(pair)
            for name, rows in broad.items()
        }
        if loras
        else {},
        "equal_epochs": {
            name: [asdict(pair) for pair in equal_epochs(narrow, rows, *checkpoints)]
            for name, rows in broad.items()
        },
        "control_range": {
            name: control_range([arms[one.arm.name] for one in made if one.kind == "control"])
            for name, arms in spill.items()
        },
        "dials": dials(made, spill),
        "energy": {name: list(space.energy) for name, space in spaces.items()},
        "notes": list(NOTES),
    }


def control_range(arms: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How far control directions of the vectors' norm move narrow and broad items: the largest |points|."""

    def most(which: str) -> float | None:
        return max((abs(arm[which]) for arm in arms if arm[which] is not None), default=None)

    return {"n": len(arms), "narrow_points": most("narrow_points"), "broad_points": most("broad_points")}


def training_curve(trained: Trained) -> dict[str, Any]:
    """Mean loss of every epoch, in order, and the last one's share of the first's."""
    steps = len(trained.losses) // trained.training.epochs
    losses = [fmean(trained.losses[at : at + steps]) for at in range(0, len(trained.losses), steps)]
    return {"losses": losses, "last_over_first": losses[-1] / losses[0]}


def dials(made: Sequence[Intervention], spill: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows to plot: along one dial of a method, all other dials at the main setting.

    For k there is a line a way: renormalised, as is, and on random subspaces. One value is no dial.
    """
    main = {one.method: one for one in made if one.arm.name == one.method}
    rows: list[dict[str, Any]] = []
    for one in made:
        for dial in _dials_of(one, main):
            rows += [
                {
                    "dial": dial,
                    "method": one.method.removesuffix(RANK),
                    "value": getattr(one, dial),
                    "arm": one.arm.name,
                    "broad_set": name,
                    **{key: arms[one.arm.name][key] for key in EFFECTS},
                }
                for name, arms in spill.items()
            ]
    values: dict[tuple[str, str], set[float]] = {}
    for row in rows:
        values.setdefault((row["dial"], row["method"]), set()).add(row["value"])
    turned = [row for row in rows if len(values[row["dial"], row["method"]]) > 1]
    return sorted(turned, key=lambda row: (row["dial"], row["method"], row["broad_set"], row["value"]))


def _dials_of(one: Intervention, main: dict[str, Intervention]) -> list[str]:
    """The dials on which an arm is a point."""
    if one.k is not None:
        return ["k"]
    at = main.get(one.method)
    if at is None:
        return []
    found: list[str] = []
    for dial in ("magnitude", "layer", "epochs"):
        others = (d for d in ("magnitude", "layer", "epochs") if d != dial)
        if getattr(one, dial) is not None and all(getattr(one, d) == getattr(at, d) for d in others):
            found.append(dial)
    return found


def _by_epochs(made: Sequence[Intervention], method: str) -> dict[int, str]:
    """{epochs: arm} of a method at its main setting."""
    main = next((one for one in made if one.arm.name == method), None)
    return {
        one.epochs: one.arm.name
        for one in made
        if main is not None
        and one.method == method
        and one.epochs is not None
        and (one.layer, one.magnitude) == (main.layer, main.magnitude)
    }


def _sets(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    special = (NARROW, OPEN_QUESTIONS)
    return {
        NARROW: [row for row in outcomes if row.category == NARROW],
        SCENARIOS: [row for row in outcomes if row.category not in special],
        OPEN_QUESTIONS: [row for row in outcomes if row.category == OPEN_QUESTIONS],
    }


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: an open end of the ratio's interval is None."""
    if values["ratio_ci"] is not None:
        values["ratio_ci"] = [x if math.isfinite(x) else None for x in values["ratio_ci"]]
    return values
