"""From a run with a narrow task to its result: effects, spill-over, matching, dials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from statistics import fmean

from experiments.emergent.interventions import Intervention
from experiments.emergent.item_judges import ByCategory
from experiments.emergent.matching import equal_epochs, matched
from experiments.emergent.narrow import NARROW, OPEN_QUESTIONS
from experiments.emergent.spillover import spillover
from experiments.session import Session
from steer import judges, metrics
from steer import summary as summaries
from steer.results.emergent import ControlRange, DialPoint, Emergent, Made, Training
from steer.results.estimates import Spillover
from steer.results.record import updated
from steer.results.result import Result
from steer.store import RunStore
from steer.types import Outcome
from vectors.rank import Subspace
from vectors.training import Trained

SCENARIOS = "scenarios"
RANK = " rank-k"
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
    session: Session,
    store: RunStore,
    made: Sequence[Intervention],
    spaces: Mapping[str, Subspace],
    trained: Trained,
) -> Result:
    """The run's result; `arms` and `gaps` are over the task's scenarios, `emergent.sets` over each set."""
    judge = session.judge
    found = summaries.summarise(store, judge.name, {one.arm.name: one.kind for one in made})
    outcomes = store.outcomes(judge.name)
    sets = {name: rows for name, rows in _sets(outcomes).items() if rows}
    narrow = sets[NARROW]
    broad = {name: rows for name, rows in sets.items() if name != NARROW}
    per_set = {name: metrics.arm_metrics(rows) for name, rows in sets.items()}
    if SCENARIOS in sets:
        rates = per_set[SCENARIOS]
        arms = {
            name: replace(arm, **asdict(rates[name])) if name in rates else arm
            for name, arm in found.arms.items()
        }
        pairs = [(g.first, g.second) for g in found.gaps.values()]
        gaps = {f"{g.first}-{g.second}": g for g in metrics.gaps(sets[SCENARIOS], pairs)} if pairs else {}
        found = updated(found, arms=arms, gaps=gaps)
    if isinstance(judge, ByCategory):
        known = judges.known_error(judge.scenarios.name)
        found = updated(found, judge=updated(found.judge, known_error=known))
    steered = [one.arm.name for one in made if one.arm.name != "baseline"]
    spill = {name: {arm: spillover(narrow, rows, arm) for arm in steered} for name, rows in broad.items()}
    vectors = [one.arm.name for one in made if one.method == "trained"]
    loras = [one.arm.name for one in made if one.method == "lora"]
    checkpoints = [_by_epochs(made, method) for method in ("lora", "trained")]
    controls = [one.arm.name for one in made if one.kind == "control"]
    emergent = Emergent(
        interventions={
            one.arm.name: Made(
                method=one.method,
                layer=one.layer,
                magnitude=one.magnitude,
                epochs=one.epochs,
                k=one.k,
                kept=one.kept,
            )
            for one in made
        },
        sets=per_set,
        spillover=spill,
        matched={name: matched(narrow, rows, loras, vectors) for name, rows in broad.items()}
        if loras
        else {},
        equal_epochs={name: tuple(equal_epochs(narrow, rows, *checkpoints)) for name, rows in broad.items()},
        control_range={name: control_range([arms[one] for one in controls]) for name, arms in spill.items()},
        dials=dials(made, spill),
        energy={name: tuple(space.energy) for name, space in spaces.items()},
        notes=NOTES,
        training=training_curve(trained),
    )
    return updated(found, emergent=emergent)


def control_range(arms: Sequence[Spillover]) -> ControlRange:
    """How far control directions of the vectors' norm move narrow and broad items: the largest |points|."""

    def most(points: Iterable[float | None]) -> float | None:
        return max((abs(value) for value in points if value is not None), default=None)

    return ControlRange(
        n=len(arms),
        narrow_points=most(arm.narrow_points for arm in arms),
        broad_points=most(arm.broad_points for arm in arms),
    )


def training_curve(trained: Trained) -> Training:
    """Mean loss of every epoch, in order, and the last one's share of the first's."""
    steps = len(trained.losses) // trained.training.epochs
    losses = [fmean(trained.losses[at : at + steps]) for at in range(0, len(trained.losses), steps)]
    return Training(losses=tuple(losses), last_over_first=losses[-1] / losses[0])


def dials(
    made: Sequence[Intervention], spill: Mapping[str, Mapping[str, Spillover]]
) -> tuple[DialPoint, ...]:
    """Points to plot: along one dial of a method, all other dials at the main setting.

    For k there is a line a way: renormalised, as is, and on random subspaces. One value is no dial.
    """
    main = {one.method: one for one in made if one.arm.name == one.method}
    rows = [
        DialPoint(
            dial=dial,
            method=one.method.removesuffix(RANK),
            value=value,
            broad_set=name,
            effects=arms[one.arm.name],
        )
        for one in made
        for dial, value in _dials_of(one, main).items()
        for name, arms in spill.items()
    ]
    values: dict[tuple[str, str], set[float]] = {}
    for row in rows:
        values.setdefault((row.dial, row.method), set()).add(row.value)
    turned = [row for row in rows if len(values[row.dial, row.method]) > 1]
    return tuple(sorted(turned, key=lambda row: (row.dial, row.method, row.broad_set, row.value)))


def _dials_of(one: Intervention, main: Mapping[str, Intervention]) -> dict[str, float]:
    """The dials on which an arm is a point, and its value there."""
    if one.k is not None:
        return {"k": one.k}
    at = main.get(one.method)
    if at is None:
        return {}
    here, there = (
        {"magnitude": way.magnitude, "layer": way.layer, "epochs": way.epochs} for way in (one, at)
    )
    return {
        dial: value
        for dial, value in here.items()
        if value is not None and all(here[d] == there[d] for d in here if d != dial)
    }


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
