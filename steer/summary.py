"""From a run store to `summary.json`: the one account of a run that tables, reports and exports share."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from steer import judges, metrics, propensity
from steer.atomic import write_atomically
from steer.echoes import Echoes, echoes, gap_without
from steer.finite import finite
from steer.gaps import movement
from steer.outcomes import UNLABELLED
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


def summarise(store: RunStore, judge: str) -> dict[str, Any]:
    """Arms, gaps, categories, configuration and what is promised, as plain JSON values."""
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
    costs = _costs(store, judge, echoed)
    arms = metrics.arm_metrics(outcomes)
    chosen = propensity.described(
        outcomes,
        names,
        pairs,
        {"suffix": propensity.SUFFIXES} if propensity.SUFFIXES.keys() <= set(names) else {},
    )
    if chosen:
        chosen["mass_lost"] = mass_lost({name: cost.get("mass") for name, cost in costs.items()}, settings)
    return {
        "arms": {name: asdict(arms[name]) | asdict(settings[name]) | costs[name] for name in names},
        "gaps": {f"{g.first}-{g.second}": asdict(g) for g in metrics.gaps(outcomes, pairs)},
        "movement": {f"{first}-{second}": movement_of(outcomes, first, second) for first, second in pairs},
        "categories": {
            category: {name: asdict(found[name]) for name in names if name in found}
            for category, found in metrics.category_metrics(outcomes).items()
        },
        **({"propensity": chosen} if chosen else {}),
        "unlabelled": _unlabelled(store, judge, {name: arms[name] for name in names}),
        "echo": {
            "shares": echoed.shares,
            "gaps": {f"{a}-{b}": asdict(gap_without(outcomes, echoed, a, b)) for a, b in pairs},
        },
        "judge": {
            "name": judge,
            "known_error": judges.known_error(judge),
            "usage": store.usage(),
        },
        "config": config,
        "task": spoken_of(store.task()),
        "provenance": store.meta_json("provenance", {}),
        "determinism": determinism(config["model"]["dtype"]),
        "evidence": store.meta("evidence") or "",
    }


def mass_lost(mass: Mapping[str, float | None], settings: Mapping[str, Setting]) -> list[str]:
    """Arms under which the options hold less than half of what they hold at baseline."""
    base = next((mass[name] for name, setting in settings.items() if setting.arm == "baseline"), None)
    return [
        name
        for name, held in mass.items()
        if base and held is not None and held < propensity.MASS_KEPT * base
    ]


def spoken_of(task: TaskRecord) -> dict[str, Any]:
    """What a reader needs of the task."""
    return task.model_dump(mode="json", include={"name", "title", "words", "labels"})


def movement_of(outcomes: Sequence[Outcome], first: str, second: str) -> dict[str, Any]:
    """Per category, the scenarios that moved the right way, the wrong way, or could not move."""
    return {category: asdict(found) for category, found in movement(outcomes, first, second).items()}


def _unlabelled(store: RunStore, judge: str, arms: Mapping[str, metrics.ArmMetrics]) -> dict[str, Any]:
    """Rows without a label by arm, and why, the commonest reason first."""
    counts = {name: arm.n + arm.missing - arm.valid - arm.broken for name, arm in arms.items()}
    counts = {name: n for name, n in counts.items() if n}
    reasons = Counter(
        _why(row)
        for name in counts
        for row in store.rows(judge, arm=name)
        if row.status in UNLABELLED or row.status == "missing"
    )
    return {"arms": counts, "reasons": dict(reasons.most_common())}


def _why(row: Row) -> str:
    if row.status == "truncated":
        return "its thinking did not end within the limit"
    if row.status == "missing":
        return "not generated or not judged yet"
    return (row.error if row.status == "failed" else row.reason) or row.status


def _costs(store: RunStore, judge: str, echoed: Echoes) -> dict[str, dict[str, Any]]:
    """Per arm: tokens, seconds, answers cut by the limit, echoes of a suffix, and what was measured.

    A measure of answers (subject: response key) is averaged over the arm's rows; a measure of the
    arm itself (subject: `arm:NAME`) is taken as it is. `lost`: how many of a measure came out not finite;
    they are in no mean.
    """
    measures = {str(row[0]): store.measures(str(row[0])) for row in store.query(MEASURE_NAMES)}
    costs: dict[str, dict[str, Any]] = {}
    for name in store.arms():
        total = {"prompt_tokens": 0, "answer_tokens": 0, "seconds": 0.0, "cut": 0}
        values: dict[str, list[float]] = {measure: [] for measure in measures}
        for row in store.rows(judge, arm=name):
            total["prompt_tokens"] += row.prompt_tokens
            total["answer_tokens"] += row.answer_tokens
            total["seconds"] += row.seconds
            total["cut"] += row.finish == "length"
            for measure, known in measures.items():
                if (value := known.get(row.key)) is not None:
                    values[measure].append(value)
        echo = sum(arm == name for arm, *_ in echoed.rows)
        costs[name] = total | {"seconds": round(total["seconds"], 3), "echo": echo}
        for measure, known in measures.items():
            own = known.get(f"arm:{name}")
            every = values[measure] if own is None else [own]
            finite = [value for value in every if math.isfinite(value)]
            if f"arm:{name}" in known or every:
                # fsum: the mean does not depend on the order of the scenarios
                costs[name][measure] = math.fsum(finite) / len(finite) if finite else None
            if len(finite) < len(every):
                costs[name].setdefault("lost", {})[measure] = len(every) - len(finite)
    return costs


def write(folder: Path, summary: dict[str, Any]) -> Path:
    """`summary.json`, replaced whole."""
    path = folder / "summary.json"
    text = json.dumps(finite(summary), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(path, (text + "\n").encode())
    return path
