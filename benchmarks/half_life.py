"""Does the interval of an effect's half-life cover: simulated decays over turns.

    python -m benchmarks.half_life [--runs 2000] [--out benchmarks/results/half_life.json]

An arm and a baseline answer 76 scenarios over several turns; scenario, arm and turn share what `r` says. Only
runs whose first turn is clear get an interval, as in a report.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from pathlib import Path

import numpy as np
from scipy.stats import norm

from benchmarks.calibration import Row
from benchmarks.coverage import versions
from steer.half_life import half_life

HALF_LIVES = (0.5, 1.0, 3.0, math.inf)
"""In turns."""

SCENARIOS, BASELINE = 76, 0.3


def coverage(runs: int, *, true: float, turns: int, effect: float, r: float, seed: int) -> Row:
    """Share of the reported intervals that hold the true half-life, and of runs that have one.

    effect: at the first turn, as a difference of rates.
    """
    random = np.random.default_rng(seed)
    fade = 0.5 ** (np.arange(turns) / true) if math.isfinite(true) else np.ones(turns)
    edges = norm.ppf(np.stack([BASELINE + effect * fade, np.full(turns, BASELINE)]))  # [arm, turn]
    held, told = 0, 0
    for _ in range(runs):
        shared = random.standard_normal((SCENARIOS, 1, 1))
        latent = np.sqrt(r) * shared + np.sqrt(1 - r) * random.standard_normal((SCENARIOS, 2, turns))
        hits = (latent < edges).astype(float)
        found = half_life(hits[:, 0] - hits[:, 1])
        if found is not None:
            told += 1
            low, high = (math.inf if end is None else end for end in found.ci)
            held += low <= true <= high
    return {"coverage": held / told if told else None, "reported": told / runs}


def main() -> None:
    """Simulate every decay, print it and write the JSON."""
    parser = argparse.ArgumentParser(description="Coverage of the half-life's interval.")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/half_life.json"))
    options = parser.parse_args()
    found: dict[str, Row] = {}
    for true, turns, effect, r in itertools.product(HALF_LIVES, (2, 4), (0.25, 0.5), (0.3, 0.8)):
        title = f"half-life {true:g}, {turns} turns, {100 * effect:g} points at first, r = {r}"
        found[title] = coverage(options.runs, true=true, turns=turns, effect=effect, r=r, seed=22)
        print(title, found[title], flush=True)
    options.out.write_text(json.dumps({"versions": versions(), "found": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
