"""Is a vector's rank among unrelated contrasts calibrated? Simulated sweeps whose vector is one of them.

    python -m benchmarks.nulls [--sweeps 500] [--out benchmarks/results/nulls.json]

Layers x magnitudes x signs over the 76 scenarios of `benchmarks.calibration`. The vector's cell is chosen on
either half, 20 nulls are pushed there, and all are reported on the other half. What any of these directions
does at a cell is drawn from one law (`WORLDS`), so p should be uniform. It is where a direction's effect at
one layer says what it is at another; where layers are independent, the vector that chose one is ahead.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.stats import kstest, norm

from benchmarks.calibration import CATEGORIES, LAYERS, Row, category_of, cells
from benchmarks.coverage import versions
from experiments.choice import Cap, NothingChosen, choose_in, halves, members, placed, symmetric
from experiments.out_of_fold import bound_of
from steer.intervals import Array, contrast, paired_rates
from steer.outcomes import Table
from steer.types import STATUSES

NULLS = 20
SIZES = (0.1, 0.2, 0.3)
WORLDS: Mapping[str, tuple[float, float]] = {
    "directions do nothing": (0.0, 1.0),
    "as much at every layer": (0.4, 1.0),
    "neighbouring layers alike, 0.95": (0.4, 0.95),
    "every layer for itself": (0.4, 0.0),
}
"""Of a direction's effect at magnitude 0.3: its spread in standard deviations of the latent, and the
correlation of neighbouring layers."""


def effects(random: np.random.Generator, spread: float, alike: float) -> Array:
    """[direction, layer]: the vector's first; stationary over layers."""
    drawn = random.standard_normal((1 + NULLS, len(LAYERS)))
    for layer in range(1, len(LAYERS)):
        drawn[:, layer] = alike * drawn[:, layer - 1] + np.sqrt(1 - alike**2) * drawn[:, layer]
    return spread * drawn


def sweep(
    random: np.random.Generator, spread: float, alike: float, r: float
) -> tuple[float, float, bool] | None:
    """(p, p with ties broken at random, whether beyond) of a sweep; None where nothing was chosen."""
    grid, of = cells(LAYERS, SIZES), category_of()
    half = halves(of, seed=int(random.integers(2**31)))
    base = norm.ppf(np.repeat([rate for _, rate in CATEGORIES], [count for count, _ in CATEGORIES]))
    shared = random.standard_normal((len(of), 1))
    does = effects(random, spread, alike)

    def hits(shifts: Array) -> Array:
        """[scenario, arm]"""
        own = random.standard_normal((len(of), len(shifts)))
        return np.sqrt(r) * shared + np.sqrt(1 - r) * own < base[:, None] + shifts

    def shift(direction: int, layer: int, magnitude: float) -> float:
        return does[direction, LAYERS.index(layer)] * magnitude / max(SIZES)

    hit = hits(np.array([shift(0, cell.layer, cell.magnitude) for cell in grid]))
    codes = np.where(hit, STATUSES.index("hit"), STATUSES.index("miss"))
    names = tuple(cell.arm for cell in grid)
    scenario = np.arange(len(of))
    table = Table(names, tuple(of), tuple(of.values()), scenario, codes, np.full(codes.shape, np.nan))
    own, nulls = np.zeros((len(of), 2)), np.zeros((len(of), NULLS, 2))
    for number in (0, 1):
        found = choose_in(table, symmetric(grid), members(half, number), Cap(drift=None), half=number)
        if isinstance(found, NothingChosen):
            return None
        layer, size = placed(found.candidate)
        report = np.array([half[name] != number for name in of])
        arms = [names.index(name) for name in (found.candidate.plus, found.candidate.minus)]
        own[report] = hit[report][:, arms]
        there = [shift(1 + null, layer, sign * size) for null in range(NULLS) for sign in (1, -1)]
        nulls[report] = hits(np.array(there)).reshape(len(of), NULLS, 2)[report]
    gap, lower, upper = contrast(paired_rates(own[None], np.ones_like(own)[None]), (1, -1))
    points = 100 * (nulls[..., 0] - nulls[..., 1]).mean(0)
    bound = bound_of(list(points), 100 * float(gap[0]), (100 * float(lower[0]), 100 * float(upper[0])))
    assert bound.p is not None
    larger = int((np.abs(points) > abs(100 * gap[0]) + 1e-9).sum())
    count = bound.p * (1 + NULLS)
    broken = (larger + random.random() * (count - larger)) / (1 + NULLS)
    return bound.p, broken, bool(bound.beyond)


def world(runs: int, spread: float, alike: float, *, r: float, seed: int) -> Row:
    """Uniformity of p (ties broken at random) and how often it is 0.05 or less, or the verdict `beyond`."""
    random = np.random.default_rng(seed)
    found = [one for _ in range(runs) if (one := sweep(random, spread, alike, r)) is not None]
    p, broken, beyond = (np.array(column) for column in zip(*found, strict=True))
    return {
        "sweeps": len(found),
        "Kolmogorov-Smirnov p": round(float(kstest(broken, "uniform").pvalue), 4),
        "p <= 0.05": float((p <= 0.05).mean()),
        "p <= 0.05, ties broken at random": float((broken <= 0.05).mean()),
        "beyond": float(beyond.mean()),
    }


def main() -> None:
    """Simulate every world, print it and write the JSON."""
    parser = argparse.ArgumentParser(description="Calibration of a vector's rank among unrelated contrasts.")
    parser.add_argument("--sweeps", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/nulls.json"))
    options = parser.parse_args()
    found: dict[str, Row] = {}
    for name, (spread, alike) in WORLDS.items():
        for r in (0.5, 0.9):
            title = f"{name}, r = {r}"
            found[title] = world(options.sweeps, spread, alike, r=r, seed=22)
            print(title, found[title], flush=True)
    options.out.write_text(json.dumps({"versions": versions(), "found": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
