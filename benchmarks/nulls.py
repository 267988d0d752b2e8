"""Is a vector's rank among unrelated contrasts calibrated? Simulated sweeps whose vector is one of them.

    python -m benchmarks.nulls [--sweeps 500] [--out benchmarks/results/nulls.json]

Layers x magnitudes x signs over the 76 scenarios of `benchmarks.calibration`. The vector's cell is chosen on
either half, 20 nulls are pushed there or choose cells of their own (`--nulls-choose`), and all are reported
on the other half. What any of these directions does at a cell is drawn from one law (`WORLDS`), so p should
be uniform. Pushed at the vector's cells it is where a direction's effect at one layer says what it is at
another; where layers are independent, the vector that chose one is ahead of them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from scipy.stats import kstest, norm

from benchmarks.calibration import CATEGORIES, LAYERS, Row, category_of, cells
from benchmarks.coverage import versions
from experiments.sweep.choice import Candidate, Cap, Chosen, choose_in, halves, members, symmetric
from experiments.sweep.controls import either
from experiments.sweep.out_of_fold import TIE, bound_of
from steer.intervals import Array, contrast, paired_rates
from steer.outcomes import Table
from steer.types import STATUSES

NULLS = 20
SIZES = (0.1, 0.2, 0.3)
WAYS: Mapping[str, tuple[bool, bool]] = {
    "nulls at its cells": (False, False),
    "nulls at their own cells": (True, False),
    "nulls at their own cells, it either way round as they are": (True, True),
}
"""Whether nulls choose their cells (and their sign), and whether the vector has no right sign either: only
then is it one of them in all respects."""

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
    random: np.random.Generator, spread: float, alike: float, r: float, *, choosing: bool, unsigned: bool
) -> tuple[float, float, bool] | None:
    """(p, p with ties broken at random, whether beyond) of a sweep; None where nothing was chosen.

    choosing, unsigned: see `WAYS`.
    """
    grid, of = cells(LAYERS, SIZES), category_of()
    half = halves(of, seed=int(random.integers(2**31)))
    base = norm.ppf(np.repeat([rate for _, rate in CATEGORIES], [count for count, _ in CATEGORIES]))
    shared = random.standard_normal((len(of), 1))
    does = effects(random, spread, alike)
    layers = np.array([LAYERS.index(cell.layer) for cell in grid])
    sizes = np.array([cell.magnitude for cell in grid]) / max(SIZES)

    def hits(direction: int) -> Array:
        """[scenario, cell]"""
        own = random.standard_normal((len(of), len(grid)))
        return np.sqrt(r) * shared + np.sqrt(1 - r) * own < base[:, None] + does[direction, layers] * sizes

    def chosen(hit: Array, pairs: Sequence[Candidate]) -> tuple[Chosen, Chosen] | None:
        codes = np.where(hit, STATUSES.index("hit"), STATUSES.index("miss"))
        names = tuple(cell.arm for cell in grid)
        table = Table(
            names, tuple(of), tuple(of.values()), np.arange(len(of)), codes, np.full(hit.shape, np.nan)
        )
        first, second = (choose_in(table, pairs, members(half, n), Cap(drift=None), half=n) for n in (0, 1))
        return (first, second) if isinstance(first, Chosen) and isinstance(second, Chosen) else None

    def reported(hit: Array, fit: tuple[Chosen, Chosen]) -> Array:
        """[scenario, sign]: under what the other half chose."""
        index = {cell.arm: number for number, cell in enumerate(grid)}
        places = [[index[one.candidate.plus], index[one.candidate.minus]] for one in reversed(fit)]
        return np.stack([hit[i, places[half[name]]] for i, name in enumerate(of)]).astype(float)

    ran = [hits(direction) for direction in range(1 + NULLS)]
    signed, both = symmetric(grid), either(symmetric(grid))
    fit = chosen(ran[0], both if unsigned else signed)
    if fit is None:
        return None
    own = reported(ran[0], fit)
    nulls = [reported(hit, (chosen(hit, both) if choosing else fit) or fit) for hit in ran[1:]]
    gap, lower, upper = contrast(paired_rates(own[None], np.ones_like(own)[None]), (1, -1))
    points = [100 * (null[:, 0] - null[:, 1]).mean() for null in nulls]
    bound = bound_of(points, 100 * float(gap[0]), (100 * float(lower[0]), 100 * float(upper[0])))
    assert bound.p is not None
    larger = int((np.abs(points) > abs(100 * gap[0]) + TIE).sum())
    count = bound.p * (1 + NULLS)
    broken = (larger + random.random() * (count - larger)) / (1 + NULLS)
    return bound.p, broken, bool(bound.beyond)


def world(runs: int, spread: float, alike: float, *, r: float, way: tuple[bool, bool], seed: int) -> Row:
    """Uniformity of p (ties broken at random) and how often it is 0.05 or less, or the verdict `beyond`."""
    random = np.random.default_rng(seed)
    choosing, unsigned = way
    ran = [sweep(random, spread, alike, r, choosing=choosing, unsigned=unsigned) for _ in range(runs)]
    found = [one for one in ran if one is not None]
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
        for r, (said, way) in product((0.5, 0.9), WAYS.items()):
            title = f"{name}, r = {r}, {said}"
            found[title] = world(options.sweeps, spread, alike, r=r, way=way, seed=22)
            print(title, found[title], flush=True)
    options.out.write_text(json.dumps({"versions": versions(), "found": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
