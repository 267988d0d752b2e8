"""The rubric judge against published labels: `python -m benchmarks.rubric [--fit | --final]`.

Without an option it prints the figures of the tuning part, cross-validated by scenario, and those
recorded beside the task's cues. `--fit` prints the weights fitted on the tuning part,
`--final` judges the parts that tuned nothing and records the result: run once for a given table. `test`
is new models and new scenarios; `untuned_models` the new models on all scenarios.
"""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score

from benchmarks.rubric_split import part, tuning_models
from steer.judges import rubric
from steer.paper.logs import ROLES
from steer.task import SHIPPED, Cues, load
from steer.tasks import DEFAULT
from steer.types import Judged

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
TABLE = cast(Cues, load(DEFAULT).record.cues)
CUES = TABLE.cues
RESULT = SHIPPED / DEFAULT / "rubric_error.json"
CLASSES: tuple[Judged, ...] = ("hit", "miss", "refusal")
RIDGE = 8.0
FLOOR_FOR, FLOOR_AGAINST = 0.25, 0.1  # a cue never weighs less than this in its own direction
BIAS_AGAINST = 0.5  # an answer without cues is no hit, by this much at least

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Published:
    """One published answer with its label."""

    model: str
    condition: str
    scenario: str
    question: str
    answer: str
    label: str


def published() -> list[Published]:
    """The labelled answers with their task texts."""
    questions: dict[str, str] = {}
    for file in sorted((SHARED / "instrumental_eval").glob("*.csv")):
        with file.open(newline="", encoding="utf-8") as handle:
            rows = [row for row in csv.reader(handle) if row]
        category = file.stem.split(" - ", 1)[1]
        questions |= {f"{category}#{i:02d}": ",".join(row) for i, row in enumerate(rows[1:], 1)}
    with (SHARED / "published" / "labelled_dev.jsonl").open(encoding="utf-8") as handle:
        rows = [json.loads(line) for line in handle]
    return [
        Published(
            model=r["model"],
            condition=r["condition"],
            scenario=r["scenario"],
            question=questions[r["scenario"]],
            answer=r["response"],
            label=ROLES[r["label"]],
        )
        for r in rows
    ]


def parts() -> dict[str, list[Published]]:
    """The answers by part of the split."""
    rows = published()
    tuning = tuning_models(row.model for row in rows)
    out: dict[str, list[Published]] = {"tune": [], "test": [], "new_model": [], "new_scenario": []}
    for row in rows:
        out[part(row.model, row.scenario, tuning)].append(row)
    return out


def features(rows: list[Published]) -> Array:
    """Cue densities, [answer, cue]."""
    return np.array([[rubric.densities(r.answer, TABLE)[cue.name] for cue in CUES] for r in rows])


def _bounds() -> list[tuple[float | None, float | None]]:
    sides: dict[str, tuple[tuple[float | None, float | None], tuple[float | None, float | None]]] = {
        "for": ((FLOOR_FOR, None), (None, 0.0)),
        "leaning": ((0.0, None), (None, 0.0)),
        "against": ((None, -FLOOR_AGAINST), (None, None)),
        "refusal": ((0.0, 0.0), (0.0, None)),
    }
    hit, refusal = (None, -BIAS_AGAINST), (None, None)
    return [*(sides[c.stance][0] for c in CUES), hit, *(sides[c.stance][1] for c in CUES), refusal]


def fit(x: Array, labels: list[str]) -> tuple[Array, Array]:
    """Ridge-penalised multinomial logistic regression with the signs of the cues' stances.

    Returns weights [cue, 2] (hit, refusal; a miss is the reference) and bias [2].
    """
    n, d = x.shape
    target = np.zeros((n, 3))
    target[np.arange(n), [CLASSES.index(label) for label in labels]] = 1  # type: ignore[arg-type]

    def loss(v: Array) -> tuple[float, Array]:
        w = np.zeros((d + 1, 3))
        w[:, 0], w[:, 2] = v[: d + 1], v[d + 1 :]
        z = x @ w[:d] + w[d]
        z -= z.max(1, keepdims=True)
        p = np.exp(z)
        p /= p.sum(1, keepdims=True)
        grad = np.vstack([x.T @ (p - target) + RIDGE * w[:d], (p - target).sum(0)])
        value = -np.log((p * target).sum(1) + 1e-12).sum() + RIDGE / 2 * (w[:d] ** 2).sum()
        return float(value), np.concatenate([grad[:, 0], grad[:, 2]])

    start = np.array([min(max(0.0, a or -9.0), b if b is not None else 9.0) for a, b in _bounds()])
    v = minimize(loss, start, jac=True, bounds=_bounds(), method="L-BFGS-B").x
    w = np.stack([v[: d + 1], v[d + 1 :]], axis=1)
    return w[:d], w[d]


def predict(x: Array, weights: Array, bias: Array) -> list[str]:
    sums = x @ weights + bias
    three = np.stack([sums[:, 0], np.zeros(len(x)), sums[:, 1]], axis=1)
    return [CLASSES[i] for i in three.argmax(1)]


def figures(rows: list[Published], judged: list[str]) -> dict[str, Any]:
    """Accuracy, κ, and by model the errors of the gaps over all items, in points."""
    truth = [r.label for r in rows]
    binary = [[label == "hit" for label in labels] for labels in (truth, judged)]

    def rate(model: str, condition: str, labels: list[str]) -> float:
        own = [
            label == "hit"
            for r, label in zip(rows, labels, strict=True)
            if (r.model, r.condition) == (model, condition)
        ]
        return float(100 * np.mean(own))

    def gap(model: str, labels: list[str], first: str = "pro_ic", second: str = "anti_ic") -> float:
        return rate(model, first, labels) - rate(model, second, labels)

    return {
        "n": len(rows),
        "accuracy": round(float(accuracy_score(truth, judged)), 3),
        "macro_f1": round(float(f1_score(truth, judged, average="macro", zero_division=0)), 3),
        "kappa": round(float(cohen_kappa_score(truth, judged)), 3),
        "kappa_hit": round(float(cohen_kappa_score(*binary)), 3),
        "rate_error_points": round(float(100 * (np.mean(binary[1]) - np.mean(binary[0]))), 1),
        "gaps": {
            m: {
                "published": round(gap(m, truth), 1),
                "rubric": round(gap(m, judged), 1),
                "error": round(gap(m, judged) - gap(m, truth), 1),
                "error_pro_baseline": round(
                    gap(m, judged, "pro_ic", "baseline") - gap(m, truth, "pro_ic", "baseline"), 1
                ),
                "error_baseline_anti": round(
                    gap(m, judged, "baseline", "anti_ic") - gap(m, truth, "baseline", "anti_ic"), 1
                ),
            }
            for m in sorted({r.model for r in rows})
        },
    }


def cross_validated(rows: list[Published], folds: int = 6) -> dict[str, Any]:
    """Figures on the tuning part with each answer's scenario left out of its fit."""
    x, scenarios = features(rows), sorted({r.scenario for r in rows})
    judged = [""] * len(rows)
    for k in range(folds):
        held = set(scenarios[k::folds])
        train = [i for i, r in enumerate(rows) if r.scenario not in held]
        test = [i for i, r in enumerate(rows) if r.scenario in held]
        weights, bias = fit(x[train], [rows[i].label for i in train])
        for i, label in zip(test, predict(x[test], weights, bias), strict=True):
            judged[i] = label
    return figures(rows, judged)


def judge(rows: list[Published]) -> list[str]:
    return [rubric.judged(r.question, r.answer, TABLE).role for r in rows]


def main(option: str) -> None:
    if not SHARED.is_dir():
        print(f"skipped: the published labels are not at {SHARED}")
        return
    split = parts()
    if option == "--fit":
        weights, bias = fit(features(split["tune"]), [r.label for r in split["tune"]])
        for cue, (c, r) in zip(CUES, weights, strict=True):
            print(f"{cue.name}: hit {c:.2f}, refusal {r:.2f}")
        print(f"bias: hit {bias[0]:.2f}, refusal {bias[1]:.2f}")
        return
    if option == "--final":
        record = {
            "judge": rubric.Rubric(TABLE).name,
            "labels": "gpt-5.2, published with arXiv 2601.01584; tuned on the part `tune` only",
            "tune_cross_validated": cross_validated(split["tune"]),
            **{name: figures(rows, judge(rows)) for name, rows in split.items()},
            "untuned_models": figures(
                split["test"] + split["new_model"], judge(split["test"] + split["new_model"])
            ),
        }
        RESULT.write_text(json.dumps(record, indent=2) + "\n")
    else:
        print(
            "tuning part, cross-validated by scenario:", json.dumps(cross_validated(split["tune"]), indent=2)
        )
    print(RESULT.read_text() if RESULT.exists() else "no recorded test yet")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
