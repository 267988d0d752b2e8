"""How often two models that converge equally often seem to differ, and how often the interval holds the truth.

    python -m benchmarks.across_models [--runs 1000] [--out benchmarks/results/across_models.json]

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

from benchmarks.coverage import versions
from experiments.across_models import rate_differences
from steer.intervals import independent_interval
from steer.significance import fisher_p
from steer.types import Outcome

SCENARIOS = 76
ROWS = [(f"s{i:02}", f"c{i % 6}") for i in range(SCENARIOS)]


def answers(
    random: np.random.Generator, rates: tuple[float, float], samples: int, r: float, common: float
) -> dict[str, list[Outcome]]:
    """One run of either model, "a" and "b"."""
    shared = random.standard_normal((SCENARIOS, 1))
    found: dict[str, list[Outcome]] = {}
    for model, rate in zip("ab", rates, strict=True):
        own = np.sqrt(common) * shared + np.sqrt(1 - common) * random.standard_normal((SCENARIOS, 1))
        latent = np.sqrt(r) * own + np.sqrt(1 - r) * random.standard_normal((SCENARIOS, samples))
        found[model] = [
            Outcome("baseline", scenario, category, j, "convergence" if hit else "no_convergence")
            for (scenario, category), row in zip(ROWS, latent < norm.ppf(rate), strict=True)
            for j, hit in enumerate(row)
        ]
    return found


def point(runs: int, rates: tuple[float, float], samples: int, r: float, common: float) -> dict[str, float]:
    """Coverage of the reported interval, and shares of runs that find a difference, reported and replaced."""
    random = np.random.default_rng(20260101)
    truth = 100 * (rates[0] - rates[1])
    held, excluded, found, naive, fisher = np.zeros(5)
    for _ in range(runs):
        models = answers(random, rates, samples, r, common)
        (one,) = rate_differences(models, "baseline")
        assert one.ci is not None
        assert one.p is not None
        held += one.ci[0] <= truth <= one.ci[1]
        excluded += not one.ci[0] <= 0 <= one.ci[1]
        found += one.p < 0.05
        a, b = (sum(o.status == "convergence" for o in rows) for rows in models.values())
        n = SCENARIOS * samples
        ci = independent_interval(a, n, b, n)
        assert ci is not None
        naive += not ci[0] <= 0 <= ci[1]
        fisher += fisher_p(a, n, b, n) < 0.05
    shares = {
        "coverage": held,
        "interval excludes 0": excluded,
        "p < 0.05": found,
        "every sample a scenario: interval excludes 0": naive,
        "every sample a scenario: p < 0.05": fisher,
    }
    at = {"first": rates[0], "second": rates[1], "samples": samples, "r": r, "common": common}
    return at | {name: round(float(count / runs), 4) for name, count in shares.items()}


def points(runs: int) -> Iterator[dict[str, float]]:
    for samples, r, common in itertools.product((1, 5, 10), (0.3, 0.8), (0.0, 0.7)):
        for rates in ((0.4, 0.4), (0.1, 0.1), (0.7, 0.4)):
            yield point(runs, rates, samples, r, common)


def main() -> None:
    """Measure every point, print one line each and write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000, help="simulated pairs of models a point")
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
