"""From a run store to a `Result`: the one account of a run that tables, reports and exports share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType

from steer import judges, metrics, propensity
from steer.echoes import Echoes, echoes, gap_without
from steer.gaps import movement
from steer.outcomes import UNLABELLED
from steer.results.estimates import ArmResult
from steer.results.result import Echo, JudgeUsed, Propensity, Result, TaskWords, Unlabelled
from steer.store import Row, RunStore, Setting
from steer.task import TaskRecord
from steer.types import Outcome

GAPS = (
    ("pro", "anti"),
    ("pro", "baseline"),
    ("baseline", "anti"),
    ("pro", "neutral"),
    ("neutral", "anti"),
)


NO_KINDS: Mapping[str, str] = MappingProxyType({})
MEASURE_NAMES = "SELECT DISTINCT name FROM measures ORDER BY name"


def determinism(dtype: str) -> str:
    """What a repetition of the run may be held to."""
    if dtype in ("float32", "float64"):
        return "exact text (fp32 up to ties of the two likeliest tokens under 1e-4)"
    if dtype == "unknown":
        return "not known: the answers were generated elsewhere"
    return "statistical: batching moves 16-bit logits, so single answers may differ and rates agree"


def about_real_models(evidence: str) -> str:
    """What has to be said beside evidence that was planted; "" where it is of real models."""
    return "nothing here says anything about real models" if "planted" in evidence else ""


def summarise(
    store: RunStore,
    judge: str,
    kinds: Mapping[str, str] = NO_KINDS,
) -> Result:
    """What every run has: arms, gaps, categories, configuration and what is promised.

    kinds: of arms that are neither the baseline nor a suffix.
    """
    outcomes = store.outcomes(judge)
    config = store.config()
    names = store.arms()
    settings = store.settings()
    named = {setting: name for name, setting in settings.items()}
    pairs = [
        (named[Setting(first, t)], named[Setting(second, t)])
        for t in dict.fromkeys(setting.temperature for setting in settings.values())
        for first, second in GAPS
        if {Setting(first, t), Setting(second, t)} <= named.keys()
    ]
    echoed = echoes(store)
    found = metrics.arm_metrics(outcomes)
    measured = {name: store.measures(name) for (name,) in store.query(MEASURE_NAMES)}
    arms = {
        name: _arm(rows, echoed, name, settings[name], found[name], measured, kinds)
        for name in names
        for rows in [list(store.rows(judge, arm=name))]
    }
    return Result(
        arms=arms,
        gaps={f"{g.first}-{g.second}": g for g in metrics.gaps(outcomes, pairs)},
        movement={f"{first}-{second}": movement(outcomes, first, second) for first, second in pairs},
        categories={
            category: {name: of[name] for name in names if name in of}
            for category, of in metrics.category_metrics(outcomes).items()
        },
        propensity=_propensity(outcomes, arms, pairs),
        unlabelled=_unlabelled(store, judge, arms),
        echo=Echo(
            shares=echoed.shares, gaps={f"{a}-{b}": gap_without(outcomes, echoed, a, b) for a, b in pairs}
        ),
        judge=JudgeUsed(name=judge, known_error=judges.known_error(judge), usage=store.usage()),
        config=config,
        task=spoken_of(store.task()),
        provenance=store.meta_json("provenance", {}),
        determinism=determinism(config["model"]["dtype"]),
        evidence=store.meta("evidence") or "",
    )


def _propensity(
    outcomes: Sequence[Outcome], arms: Mapping[str, ArmResult], pairs: Sequence[tuple[str, str]]
) -> Propensity | None:
    """Arms, shifts and the suffixes' slope in nats; None where answers were judged."""
    table = propensity.propensities(outcomes)
    if table is None:
        return None
    curves = {"suffix": propensity.SUFFIXES} if propensity.SUFFIXES.keys() <= arms.keys() else {}
    return Propensity(
        arms={arm: propensity.average(table, table.of(arm)) for arm in arms},
        gaps={f"{first}-{second}": propensity.shift(table, first, second) for first, second in pairs},
        steerability={name: propensity.steerability(table, curve) for name, curve in curves.items()},
        mass_lost=mass_lost(arms),
    )


def mass_lost(arms: Mapping[str, ArmResult]) -> tuple[str, ...]:
    """Arms under which the options hold less than half of what they hold at baseline."""
    mass = {name: arm.measures.get("mass") for name, arm in arms.items()}
    base = next((mass[name] for name, arm in arms.items() if arm.arm == "baseline"), None)
    least = propensity.MASS_KEPT * base if base else 0
    return tuple(name for name, held in mass.items() if held is not None and held < least)


def spoken_of(task: TaskRecord) -> TaskWords:
    """What a reader needs of the task."""
    return TaskWords(name=task.name, title=task.title, words=task.words, labels=task.labels)


def _unlabelled(store: RunStore, judge: str, arms: Mapping[str, ArmResult]) -> Unlabelled:
    """Rows without a label by arm, and why, the commonest reason first."""
    counts = {name: arm.n + arm.missing - arm.valid - arm.broken for name, arm in arms.items()}
    counts = {name: n for name, n in counts.items() if n}
    reasons = Counter(
        _why(row)
        for name in counts
        for row in store.rows(judge, arm=name)
        if row.status in UNLABELLED or row.status == "missing"
    )
    return Unlabelled(arms=counts, reasons=dict(reasons.most_common()))


def _why(row: Row) -> str:
    if row.status == "truncated":
        return "its thinking did not end within the limit"
    if row.status == "missing":
        return "not generated or not judged yet"
    return (row.error if row.status == "failed" else row.reason) or row.status


def _arm(
    rows: Sequence[Row],
    echoed: Echoes,
    name: str,
    setting: Setting,
    rates: metrics.ArmMetrics,
    measured: Mapping[str, Mapping[str, float | None]],
    kinds: Mapping[str, str],
) -> ArmResult:
    """Rates, tokens, seconds, answers cut by the limit, echoes of a suffix, and what was measured.

    A measure of answers (subject: response key) is averaged over the arm's rows; a measure of the
    arm itself (subject: `arm:NAME`) is taken as it is.
    """
    measures: dict[str, float | None] = {}
    lost: dict[str, int] = {}
    for measure, known in measured.items():
        own = known.get(f"arm:{name}")
        every = [v for row in rows if (v := known.get(row.key)) is not None] if own is None else [own]
        finite = [value for value in every if math.isfinite(value)]
        if f"arm:{name}" in known or every:
            # fsum: the mean does not depend on the order of the scenarios
            measures[measure] = math.fsum(finite) / len(finite) if finite else None
        if len(finite) < len(every):
            lost[measure] = len(every) - len(finite)
    return ArmResult(
        **asdict(rates),
        arm=setting.arm,
        temperature=setting.temperature,
        kind=kinds.get(setting.arm, "baseline" if setting.arm == "baseline" else "suffix"),
        prompt_tokens=sum(row.prompt_tokens for row in rows),
        answer_tokens=sum(row.answer_tokens for row in rows),
        seconds=round(sum(row.seconds for row in rows), 3),
        cut=sum(row.finish == "length" for row in rows),
        echo=sum(arm == name for arm, *_ in echoed.rows),
        measures=measures,
        lost=lost,
    )
