"""Does a race choose what the whole grid would, and what does it save? Simulated sweeps, no model.

    python -m benchmarks.race [--sweeps 200] [--nulls 500] [--out benchmarks/results/race.json]

The sweeps of `benchmarks.calibration`: 66 pairs of cells over 76 scenarios, of which one pair, or its whole
neighbourhood, or none does anything. Each is raced by `experiments.sweep.race.race`, chosen from and reported
out of fold by the code that reports, and held against the same sweep whole.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.calibration import (
    CATEGORIES,
    Row,
    category_of,
    cells,
    rows_of,
    shift_for,
    simulate,
    true_rate,
)
from benchmarks.coverage import versions
from experiments.sweep.choice import Candidate, Cap, Chosen, choose_in, halves, members, pool, symmetric
from experiments.sweep.race import Rows, orders, race
from steer.gaps import gap
from steer.outcomes import Table
from steer.types import STATUSES

CAP = Cap(0.15, drift=None)
MISSING = STATUSES.index("missing")


def shifts(points: float, *, alone: bool) -> dict[str, float]:
    """Of each cell's latent: one pair at layer 15 parts the rates by `points`, and, unless it is alone, cells
    beside it by what falls off with the layer and grows with the magnitude."""
    middle = true_rate(0.0, CATEGORIES)
    found: dict[str, float] = {}
    for cell in cells():
        share = np.exp(-(((cell.layer - 15) / 2) ** 2) / 2) * min(abs(cell.magnitude) / 0.45, 1)
        share = float((cell.layer, abs(cell.magnitude)) == (15, 0.45)) if alone else float(share)
        found[cell.arm] = (
            shift_for(middle + np.sign(cell.magnitude) * share * points / 200) if points else 0.0
        )
    return found


def sweeps(runs: int, *, points: float, r: float, alone: bool, seed: int) -> Row:
    """Share of sweeps whose race chooses on both halves what the whole grid does, of its rows (also of the
    worst sweep), and of a reported p below 0.05, raced and whole."""
    random = np.random.default_rng(seed)
    of, pairs = category_of(), symmetric(cells())
    does = shifts(points, alone=alone)
    nonsense = {cell.arm: abs(cell.magnitude) / 12 for cell in cells()}
    found: list[tuple[bool, float, float, float]] = []
    for _ in range(runs):
        table = simulate(random, does, r, nonsense)
        draw = int(random.integers(2**31))
        half = halves(of, seed=draw)

        def measured(rows: Rows, table: Table = table) -> Table:
            ran = [[name in rows[arm] for arm in table.arms] for name in table.scenarios]
            return replace(table, codes=np.where(ran, table.codes, MISSING))

        raced = race(pairs, orders(half, of, seed=draw), CAP, measured)
        fit, whole = chosen(table, raced.left, half), chosen(table, (pairs, pairs), half)
        if fit is None or whole is None:
            continue  # no cell under the cap: nothing is reported
        arms = {arm for one in fit for arm in (one.candidate.plus, one.candidate.minus)}
        ran = sum(len(of) if arm in arms else len(rows) for arm, rows in raced.rows.items())
        same = [one.candidate for one in fit] == [one.candidate for one in whole]
        found.append((same, ran / table.codes.size, reported(table, fit, half), reported(table, whole, half)))
    same, share, p, p_whole = (np.array(column) for column in zip(*found, strict=True))
    return {
        "sweeps": len(found),
        "same choice": float(same.mean()),
        "share of the rows": round(float(share.mean()), 3),
        "of the worst sweep": round(float(share.max()), 3),
        "p < 0.05": float((p < 0.05).mean()),
        "p < 0.05, whole grid": float((p_whole < 0.05).mean()),
    }


def chosen(
    table: Table, pairs: Sequence[Sequence[Candidate]], half: Mapping[str, int]
) -> tuple[Chosen, Chosen] | None:
    """What the halves choose, each of its own pairs."""
    first, second = (choose_in(table, pairs[n], members(half, n), CAP) for n in (0, 1))
    return (first, second) if isinstance(first, Chosen) and isinstance(second, Chosen) else None


def reported(table: Table, fit: tuple[Chosen, Chosen], half: Mapping[str, int]) -> float:
    """p of the gap out of fold."""
    rows = rows_of(table, {arm for one in fit for arm in (one.candidate.plus, one.candidate.minus)})
    p = gap(pool(rows, fit, half, plus="+", minus="-").outcomes, "+", "-").p
    assert p is not None
    return p


def main() -> None:
    """Simulate every world, print it and write the JSON."""
    parser = argparse.ArgumentParser(description="What a race chooses, and what it saves.")
    parser.add_argument("--sweeps", type=int, default=200)
    parser.add_argument("--nulls", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/race.json"))
    options = parser.parse_args()
    worlds: dict[str, Callable[..., Row]] = {}
    for points in (30, 40, 60):
        run = partial(sweeps, options.sweeps, points=points, seed=22, alone=True)
        worlds[f"one pair of {points} points"] = run
    near = partial(sweeps, options.sweeps, points=40, seed=22, alone=False)
    worlds["a pair of 40 points, cells beside it work too"] = near
    worlds["no cell does anything"] = partial(sweeps, options.nulls, points=0, alone=True, seed=23)
    found: dict[str, Row] = {}
    for name, world in worlds.items():
        for r in (0.5, 0.9):
            title = f"{name}, r = {r}"
            found[title] = world(r=r)
            print(title, found[title], flush=True)
    options.out.write_text(json.dumps({"versions": versions(), "found": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
