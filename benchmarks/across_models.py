"""How often two models of equal rates seem to differ, and how often the interval holds the truth.

    python -m benchmarks.across_models [--runs 2000] [--out benchmarks/results/across_models.json]

76 scenarios, 1, 5 or 10 samples of each; a model's samples of a scenario share a Gaussian latent, `r`, of
which the models share the part `common` (0: they find different scenarios hard). Measured are the paired
comparison that is reported, and taking every sample for a scenario of its own, which it replaced.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.stats import norm

from benchmarks.coverage import holds, versions
from steer.intervals import Array, contrast, paired_rates, paired_score, wilson
from steer.significance import sign_flip_p

SCENARIOS = 76


def answers(
    random: np.random.Generator, runs: int, rates: tuple[float, float], samples: int, r: float, common: float
) -> Array:
    """Convergent samples [run, scenario, model]."""
    shared = random.standard_normal((runs, SCENARIOS, 1))
    own = np.sqrt(common) * shared + np.sqrt(1 - common) * random.standard_normal((runs, SCENARIOS, 2))
    latent = np.sqrt(r) * own + np.sqrt(1 - r) * random.standard_normal((samples, runs, SCENARIOS, 2))
    return (latent < norm.ppf(rates)).sum(0).astype(float)


def paired(hits: Array, samples: int) -> tuple[Array, Array, Array]:
    """Limits and p of each run as `rate_differences` reports them (tests/test_contrasts.py)."""
    change = hits[..., 0] - hits[..., 1]
    if samples == 1:
        limits = paired_score((change > 0).sum(1), (change < 0).sum(1), SCENARIOS)
    else:
        limits = contrast(paired_rates(hits, np.full_like(hits, samples)), (1, -1))[1:]
    return *limits, np.array([sign_flip_p(run.astype(int)) for run in change])


def as_scenarios(hits: Array, samples: int) -> tuple[Array, Array]:
    """Newcombe's limits with every sample taken for a scenario of its own: what was reported before."""
    n = SCENARIOS * samples
    rate = hits.sum(1) / n
    lower, upper = wilson(hits.sum(1), np.full(rate.shape, n))
    down, up = rate - lower, upper - rate
    points = rate[:, 0] - rate[:, 1]
    return points - np.hypot(down[:, 0], up[:, 1]), points + np.hypot(up[:, 0], down[:, 1])


def point(runs: int, rates: tuple[float, float], samples: int, r: float, common: float) -> dict[str, float]:
    """Coverage of the reported interval, and shares of runs that find a difference, reported and replaced."""
    hits = answers(np.random.default_rng(20260101), runs, rates, samples, r, common)
    lower, upper, p = paired(hits, samples)
    naive = as_scenarios(hits, samples)
    at = {"first": rates[0], "second": rates[1], "samples": samples, "r": r, "common": common}
    shares = {
        "coverage": holds(lower, upper, rates[0] - rates[1]),
        "interval excludes 0": 1 - holds(lower, upper, 0.0),
        "p < 0.05": p < 0.05,
        "every sample a scenario: interval excludes 0": 1 - holds(*naive, 0.0),
    }
    return at | {name: round(float(share.mean()), 4) for name, share in shares.items()}


def points(runs: int) -> Iterator[dict[str, float]]:
    for samples, r, common in itertools.product((1, 5, 10), (0.3, 0.8), (0.0, 0.7)):
        for rates in ((0.4, 0.4), (0.1, 0.1), (0.7, 0.4)):
            yield point(runs, rates, samples, r, common)


def main() -> None:
    """Measure every point, print one line each and write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=2000, help="simulated pairs of models a point")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/across_models.json"))
    options = parser.parse_args()
    found: list[dict[str, float]] = []
    for one in points(options.runs):
        found.append(one)
        print(json.dumps(one), flush=True)
    equal = [one for one in found if one["first"] == one["second"]]
    report = {
        "versions": versions(),
        "runs": options.runs,
        "lowest coverage": min(one["coverage"] for one in found),
        "most often found where there is nothing": {
            name: max(one[name] for one in equal) for name in list(equal[0])[6:]
        },
        "points": found,
    }
    print(json.dumps({name: report[name] for name in list(report)[2:4]}, indent=1))
    options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
