"""How often the 95 % intervals of agreement, and of gaps corrected by labels, hold the truth.

    python -m benchmarks.agreement [--runs 400] [--out benchmarks/results/agreement.json]

Agreement: a judge is right at rate `accuracy`, whatever the label; convergence at rate `base`; rows of one
scenario share a Gaussian latent, `r`. Corrected gaps: arms of N scenarios that share a latent, a judge of
given sensitivity and specificity in either arm, labels drawn at random in either arm.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from benchmarks.coverage import versions
from experiments.judging.agreement import FIGURES
from steer.intervals import Array
from steer.judges.agreement import KINDS, corrected_gap, interval

Pair = tuple[float, float]


def tables(random: np.random.Generator, n: int, rows: int, r: float, accuracy: float, base: float) -> Array:
    """Confusion counts [scenario, 4, 4] of n scenarios with some rows each."""
    shared = random.standard_normal((n, 1, 2))
    latent = np.sqrt(r) * shared + np.sqrt(1 - r) * random.standard_normal((n, rows, 2))
    truth, wrong = np.moveaxis(latent < norm.ppf([base, 1 - accuracy]), -1, 0)
    counts = np.zeros((n, len(KINDS), len(KINDS)))
    np.add.at(counts, (np.arange(n)[:, None], 1 - truth.astype(int), 1 - (truth ^ wrong).astype(int)), 1)
    return counts


def agreement(runs: int, n: int, rows: int, r: float, accuracy: float, base: float) -> dict[str, Any]:
    """By figure: the share of the intervals that hold the truth, and their mean width."""
    random = np.random.default_rng(20260101)
    true = np.zeros((len(KINDS), len(KINDS)))
    true[:2, :2] = [
        [base * accuracy, base * (1 - accuracy)],
        [(1 - base) * (1 - accuracy), (1 - base) * accuracy],
    ]
    found: dict[str, list[tuple[bool, float]]] = {name: [] for name in FIGURES}
    for _ in range(runs):
        counts = tables(random, n, rows, r, accuracy, base)
        for name, figure in FIGURES.items():
            limits = interval(counts, figure)
            if limits is not None:
                held = limits[0] - 1e-9 <= float(figure(true)) <= limits[1] + 1e-9
                found[name].append((held, limits[1] - limits[0]))
    means = {name: np.mean(values, axis=0).round(4).tolist() for name, values in found.items()}
    return {
        "at": {"scenarios": n, "rows": rows, "r": r, "accuracy": accuracy, "base": base},
        "coverage": {name: mean[0] for name, mean in means.items()},
        "width": {name: mean[1] for name, mean in means.items()},
        "narrowest": min(width for values in found.values() for _, width in values),
    }


@dataclass(frozen=True, slots=True)
class Setting:
    """Of either arm: its true rate, and the judge's sensitivity and specificity there."""

    rates: Pair
    sensitivity: Pair
    specificity: Pair


def corrected(runs: int, n: int, labels: int, r: float, at: Setting) -> float:
    """The share of corrected gaps whose interval holds the true gap."""
    random = np.random.default_rng(20260101)
    truth = 100 * (at.rates[0] - at.rates[1])
    held = 0
    for _ in range(runs):
        shared = random.standard_normal((n, 1, 2))
        latent = np.sqrt(r) * shared + np.sqrt(1 - r) * random.standard_normal((n, 2, 2))
        true = latent[..., 0] < norm.ppf(at.rates)
        luck = norm.cdf(latent[..., 1])
        said = np.where(true, luck < at.sensitivity, luck > at.specificity)
        judge, known = (
            [{(str(i), 0): bool(values[i, arm]) for i in drawn} for arm, drawn in enumerate(rows)]
            for values, rows in (
                (said, [range(n)] * 2),
                (true, [random.permutation(n)[:labels] for _ in "ab"]),
            )
        )
        got = corrected_gap((judge[0], judge[1]), (known[0], known[1]))
        assert got is not None
        assert got.ci is not None
        held += got.ci[0] <= truth <= got.ci[1]
    return held / runs


SETTINGS = [
    Setting(rates, *judge)
    for rates in ((0.8, 0.1), (0.3, 0.05), (0.5, 0.5), (0.1, 0.02))
    for judge in (((0.7, 0.7), (0.95, 0.95)), ((0.9, 0.9), (0.9, 0.9)), ((0.98, 0.98), (0.98, 0.98)))
]


def agreements(runs: int) -> Iterator[dict[str, Any]]:
    judges = ((0.9, 0.5), (0.97, 0.5), (0.97, 0.1), (0.8, 0.2), (0.6, 0.3))
    for n, rows, rs in (
        (12, 1, (0.0,)),
        (20, 1, (0.0,)),
        (20, 3, (0.3, 0.8)),
        (60, 1, (0.0,)),
        (240, 1, (0.0,)),
    ):
        for r, judge in itertools.product(rs, judges):
            yield agreement(runs, n, rows, r, *judge)


def corrections(runs: int) -> Iterator[dict[str, Any]]:
    for (n, labels), r in itertools.product(((76, 12), (300, 12), (76, 20), (300, 20), (76, 60)), (0.0, 0.7)):
        coverage = [corrected(runs, n, labels, r, at) for at in SETTINGS]
        worst = SETTINGS[int(np.argmin(coverage))]
        yield {
            "at": {"scenarios": n, "labels an arm": labels, "r": r, "settings": len(SETTINGS)},
            "lowest coverage": round(min(coverage), 4),
            "mean coverage": round(float(np.mean(coverage)), 4),
            "worst": [worst.rates, worst.sensitivity, worst.specificity],
        }


def main() -> None:
    """Measure everything, print one line each and write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=400, help="simulated judges a point; gaps: twice these")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/agreement.json"))
    options = parser.parse_args()
    report: dict[str, Any] = {"versions": versions(), "runs": options.runs}
    for name, points in (
        ("agreement", agreements(options.runs)),
        ("corrected gaps", corrections(2 * options.runs)),
    ):
        report[name] = []
        for one in points:
            report[name].append(one)
            print(json.dumps(one), flush=True)
    figures = report["agreement"]
    report["lowest coverage"] = {
        **{name: min(one["coverage"][name] for one in figures) for name in FIGURES},
        "corrected gap": min(one["lowest coverage"] for one in report["corrected gaps"]),
    }
    report["narrowest"] = min(one["narrowest"] for one in figures)
    print(json.dumps({name: report[name] for name in ("lowest coverage", "narrowest")}, indent=1))
    options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
