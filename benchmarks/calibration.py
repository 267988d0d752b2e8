"""Is a sweep's answer calibrated: simulated sweeps and dose curves, through the code that reports.

    python -m benchmarks.calibration [--sweeps 2000] [--out benchmarks/results/calibration.json]

Sweeps: 11 layers x 6 magnitudes x 2 signs over 76 scenarios in six categories rates as different
as the published baselines' (5 % to 95 %); arms share a Gaussian latent per scenario, correlation `r`.
Null: no cell does anything. Power: the best cell's true gap is 30 points.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from benchmarks.coverage import versions
from experiments import tug
from experiments.compare import exchange
from experiments.contrasts import shared_counts
from experiments.sweep.choice import (
    Candidate,
    Cap,
    Chosen,
    MeasuredCell,
    NothingChosen,
    choose_in,
    halves,
    members,
    pool,
    symmetric,
)
from steer.gaps import gap
from steer.intervals import Array, contrast, paired_rates
from steer.outcomes import Table, tabulate
from steer.resampling import bootstrap_weights, resampled_rates
from steer.types import STATUSES, Outcome

Row = dict[str, float | None]

CATEGORIES = ((11, 0.1), (20, 0.95), (10, 0.05), (11, 0.1), (13, 0.75), (11, 0.7))
"""Scenarios and baseline rate of each category: about as far apart as in the published baselines."""

ALIKE = ((76, 0.5),)
"""Scenarios that do not differ, so that chance moves more of them: arms share only what `r` says."""

LAYERS = tuple(range(10, 21))
SIZES = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6)


def category_of(categories: Sequence[tuple[int, float]] = CATEGORIES) -> dict[str, str]:
    """Scenario id -> category."""
    return {f"{c}#{i:02}": f"c{c}" for c, (count, _) in enumerate(categories) for i in range(count)}


def simulate(
    random: np.random.Generator,
    shifts: Mapping[str, float],
    r: float,
    nonsense: Mapping[str, float] | None = None,
    categories: Sequence[tuple[int, float]] = CATEGORIES,
) -> Table:
    """A table of arms (name -> shift of the latent, in standard deviations), paired by scenario."""
    of = category_of(categories)
    base = norm.ppf(np.repeat([rate for _, rate in categories], [count for count, _ in categories]))
    shape = (len(of), len(shifts))
    latent = [
        np.sqrt(r) * random.standard_normal((shape[0], 1)) + np.sqrt(1 - r) * random.standard_normal(shape)
        for _ in range(2)
    ]
    converges = latent[0] < base[:, None] + np.array(list(shifts.values()))
    broken = latent[1] < norm.ppf([(nonsense or {}).get(arm, 0.0) for arm in shifts])
    codes = [STATUSES.index(status) for status in ("broken", "hit", "miss")]
    return Table(
        arms=tuple(shifts),
        scenarios=tuple(of),
        categories=tuple(of.values()),
        scenario=np.arange(len(of)),
        codes=np.where(broken, codes[0], np.where(converges, codes[1], codes[2])),
        propensity=np.full(shape, np.nan),
    )


def rows_of(table: Table, arms: Collection[str]) -> list[Outcome]:
    """The arms' rows as outcomes."""
    columns = [(i, arm) for i, arm in enumerate(table.arms) if arm in arms]
    return [
        Outcome(arm, scenario, category, 0, STATUSES[table.codes[row, column]])
        for row, (scenario, category) in enumerate(zip(table.scenarios, table.categories, strict=True))
        for column, arm in columns
    ]


def true_rate(shift: float, categories: Sequence[tuple[int, float]] = CATEGORIES) -> float:
    """The expected convergence rate of an arm over the categories."""
    counts, base = np.array(categories).T
    return float(counts @ norm.cdf(norm.ppf(base) + shift) / counts.sum())


def shift_for(rate: float, categories: Sequence[tuple[int, float]] = CATEGORIES) -> float:
    """The shift that gives a rate."""
    return float(brentq(lambda shift: true_rate(shift, categories) - rate, -8, 8))


def cells(layers: Sequence[int] = LAYERS, sizes: Sequence[float] = SIZES) -> list[MeasuredCell]:
    """The sweep's cells; drift grows with the magnitude."""
    return [
        MeasuredCell(f"L{layer}{sign * size:+g}", layer, sign * size, drift=size**2)
        for layer, size, sign in itertools.product(layers, sizes, (1, -1))
    ]


def screened(table: Table, pairs: Sequence[Candidate], keep: int) -> list[Candidate]:
    """The pairs of the `keep` cells that are the furthest apart in a table of other scenarios."""
    rate = dict(zip(table.arms, table.has("hit").mean(0), strict=True))
    return sorted(pairs, key=lambda pair: rate[pair.minus] - rate[pair.plus])[: keep // 2]


def sweeps(
    runs: int,
    *,
    points: float,
    r: float,
    grid: Sequence[MeasuredCell],
    seed: int,
    isolated: bool = False,
    categories: Sequence[tuple[int, float]] = CATEGORIES,
    keep: int = 0,
) -> Row:
    """Share of sweeps with a reported p below 0.05, and the mean gap when selecting and when reporting.

    points: the best pair's true gap over valid rows (over all, 4 % less); the layer's effect falls off
    from layer 15 with a width of two layers and grows with |magnitude| up to 0.45. isolated: only that
    pair does anything. keep: so many cells are chosen from, screened anew for each sweep on as many scenarios
    of their own; 0 is all.
    """
    random = np.random.default_rng(seed)
    half = halves(category_of(categories), seed=0)
    candidates, cap, middle = symmetric(grid), Cap(0.15, drift=None), true_rate(0.0, categories)
    shifts: dict[str, float] = {}
    for cell in grid:
        profile = np.exp(-(((cell.layer - 15) / 2) ** 2) / 2) * min(abs(cell.magnitude) / 0.45, 1)
        if isolated:
            profile = float((cell.layer, abs(cell.magnitude)) == (15, 0.45))
        moved = middle + np.sign(cell.magnitude) * profile * points / 200
        shifts[cell.arm] = shift_for(moved, categories) if points else 0.0
    nonsense = {cell.arm: abs(cell.magnitude) / 12 for cell in grid}
    found: list[tuple[float, float, float, float]] = []
    for _ in range(runs):
        if keep:
            candidates = screened(simulate(random, shifts, r, categories=categories), symmetric(grid), keep)
        table = simulate(random, shifts, r, nonsense, categories)
        chosen = [choose_in(table, candidates, members(half, number), cap) for number in (0, 1)]
        whole = choose_in(table, candidates, set(half), cap)
        first, second = chosen
        if isinstance(first, NothingChosen) or isinstance(second, NothingChosen):
            continue  # no cell under the cap: nothing is reported
        assert isinstance(whole, Chosen)
        pairs = [one.candidate for one in (first, second, whole)]
        rows = rows_of(table, {arm for pair in pairs for arm in (pair.plus, pair.minus)})
        report = gap(pool(rows, (first, second), half, plus="+", minus="-").outcomes, "+", "-")
        naive = gap(rows, whole.candidate.plus, whole.candidate.minus)
        assert report.p is not None
        assert report.points_all is not None
        assert naive.p is not None
        selected = (first.points + second.points) / 2
        found.append((report.p, naive.p, selected, report.points_all))
    table = np.array(found)
    return {
        "sweeps": runs,
        "reported": len(found),
        "r": r,
        "true gap of the best pair": points,
        "p < 0.05, cross-fitted": float((table[:, 0] < 0.05).mean()),
        "p < 0.05, chosen and tested on the same scenarios": float((table[:, 1] < 0.05).mean()),
        "mean points when selecting": round(float(table[:, 2].mean()), 2),
        "mean points reported": round(float(table[:, 3].mean()), 2),
    }


CURVES: Mapping[str, tuple[tuple[float, ...], float]] = {
    "rising": ((0.40, 0.43, 0.47, 0.56, 0.66, 0.76, 0.80), 0.70),
    "steep": ((0.40, 0.41, 0.45, 0.60, 0.85, 0.90, 0.92), 0.72),
    "saturating": ((0.40, 0.50, 0.58, 0.66, 0.70, 0.72, 0.73), 0.69),
    "non-monotone": ((0.40, 0.45, 0.52, 0.62, 0.70, 0.60, 0.50), 0.66),
    "from the floor": ((0.05, 0.06, 0.08, 0.12, 0.20, 0.30, 0.40), 0.25),
    "weak suffix": ((0.40, 0.42, 0.44, 0.46, 0.48, 0.52, 0.55), 0.50),
    "never reached": ((0.40, 0.41, 0.42, 0.45, 0.48, 0.50, 0.52), 0.70),
    "at the last dose": ((0.40, 0.43, 0.47, 0.56, 0.66, 0.76, 0.80), 0.80),
}
"""Rates at magnitude 0 and at SIZES, and the suffix's rate."""


def exchange_coverage(
    runs: int, *, r: float, share: float, seed: int, bootstrap: bool = True
) -> dict[str, Row]:
    """How often the exchange rate's interval (or bound) holds the true first crossing, curve by curve.

    One category, nonsense up to 10 % with the magnitude, over valid rows. A "percentile" column gives the
    same for the quantiles of the resampled crossings, and how often either is only a bound.
    """
    random = np.random.default_rng(seed)
    axis = np.array([0.0, *SIZES])
    one = ((76, 0.5),)
    report: dict[str, Row] = {}
    for name, (levels, suffix) in CURVES.items():
        aim = share * suffix + (1 - share) * levels[0]
        truth = float(exchange.first_crossing(axis, np.array(levels)[None] - aim)[0])
        arms = ["base", *(f"v{size}" for size in SIZES), "suffix"]
        shifts = {arm: shift_for(rate, one) for arm, rate in zip(arms, (*levels, suffix), strict=True)}
        nonsense = {f"v{size}": size / 6 for size in SIZES}
        doses = [exchange.Dose(f"v{size}", size) for size in SIZES]
        held, closed, held_closed, held_percentile = 0, 0, 0, 0
        for _ in range(runs):
            rows = rows_of(simulate(random, shifts, r, nonsense, one), arms)
            found = exchange.exchange_rate(
                rows, doses, baseline="base", suffix="suffix", sign=1, over="valid", share=share
            )
            lower, upper = found.ci or (found.at_least if found.at_least is not None else 0.0, np.inf)
            holds = lower - 1e-9 <= truth <= upper + 1e-9
            held += holds
            closed += found.ci is not None
            held_closed += holds and found.ci is not None
            if bootstrap:
                lower, upper = percentile(rows, arms, share, axis)
                held_percentile += lower - 1e-9 <= truth <= upper + 1e-9
        report[name] = {
            "truth": round(truth, 4) if np.isfinite(truth) else None,
            "runs": runs,
            "coverage": held / runs,
            "only a bound": (runs - closed) / runs,
            "coverage where it has two ends": held_closed / closed if closed else None,
        }
        if bootstrap:
            report[name]["coverage, percentile bootstrap"] = held_percentile / runs
    return report


def percentile(
    rows: Sequence[Outcome], arms: Sequence[str], share: float, axis: Array
) -> tuple[float, float]:
    """The alternative that was turned down: quantiles of the resampled crossings."""
    table = tabulate(rows, arms)
    rates = resampled_rates(
        bootstrap_weights(table.categories, seed=0, resamples=1000), *shared_counts(table, "valid")
    )
    aim = share * rates[:, -1] + (1 - share) * rates[:, 0]
    drawn = exchange.first_crossing(axis, rates[:, :-1] - aim[:, None])
    if np.isinf(drawn).mean() > 0.025:
        return float(np.quantile(drawn, 0.05, method="inverted_cdf")), np.inf
    lower, upper = np.quantile(drawn, [0.025, 0.975], method="inverted_cdf")
    return float(lower), float(upper)


TUGS = (
    (0.4, 0.7, 0.1, 0.3),
    (0.4, 0.9, 0.05, 0.05),
    (0.2, 0.5, 0.02, 0.3),
    (0.5, 0.8, 0.5, 0.8),
    (0.4, 0.5, 0.1, 0.2),
)
"""Rates of (0, 0), (0, attack), (defence, 0), (defence, attack)."""


def tug_coverage(runs: int, *, r: float, seed: int) -> dict[str, Row]:
    """How often U's interval holds the truth when there is an estimate, and how often there is none."""
    random = np.random.default_rng(seed)
    one = ((76, 0.5),)
    report: dict[str, Row] = {}
    for rates in TUGS:
        truth = (rates[3] - rates[2]) / (rates[1] - rates[0])
        shifts = {arm: shift_for(rate, one) for arm, rate in zip(("0", "a", "d", "da"), rates, strict=True)}
        held, told = 0, 0
        for _ in range(runs):
            rows = rows_of(simulate(random, shifts, r, categories=one), shifts)
            found = tug.tug_of_war(rows, baseline="0", attack="a", defence="d", both="da", over="all")
            if found.ci is not None:
                told += 1
                low, high = found.ci
                held += (low is None or low <= truth) and (high is None or truth <= high)
        name = ", ".join(f"{rate:g}" for rate in rates)
        report[name] = {
            "u": round(truth, 3),
            "coverage": held / told if told else None,
            "estimates": told / runs,
        }
    return report


def weak_attacks(runs: int, *, scenarios: int, r: float, seed: int) -> dict[str, Row]:
    """U of attacks that a defence takes nothing from (true U 1), by the attack's true effect in points."""
    random = np.random.default_rng(seed)
    report: dict[str, Row] = {}
    for effect in (0.1, 0.15, 0.2, 0.3, 0.4):
        edge = norm.ppf([0.4, 0.4 + effect, 0.1, 0.1 + effect])
        shared = random.standard_normal((runs, scenarios, 1))
        latent = np.sqrt(r) * shared + np.sqrt(1 - r) * random.standard_normal((runs, scenarios, 4))
        hits = (latent < edge).astype(float)
        alone, lower, upper = contrast(paired_rates(hits, np.ones_like(hits)), (-1, 1, 0, 0))
        near = np.minimum(abs(lower), abs(upper))
        told = (lower > 0) | (upper < 0)
        clear = told & (near >= tug.CLEAR * abs(alone))
        with np.errstate(divide="ignore", invalid="ignore"):
            u = (hits[..., 3] - hits[..., 2]).mean(1) / alone
        report[f"+{100 * effect:g} points"] = {
            "reported": round(float(told.mean()), 3),
            "median U reported": round(float(np.median(u[told])), 2),
            "reported, not called weak": round(float(clear.mean()), 3),
            "median U not called weak": round(float(np.median(u[clear])), 2),
        }
    return report


def main() -> None:
    """Simulate everything, print it and write the JSON."""
    parser = argparse.ArgumentParser(description="Calibration of the sweep and of the exchange rate.")
    parser.add_argument("--sweeps", type=int, default=2000)
    parser.add_argument("--curves", type=int, default=150, help="simulated dose curves each")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/calibration.json"))
    options = parser.parse_args()
    stages: dict[str, Callable[[], object]] = {}
    alone = partial(sweeps, options.sweeps // 4, points=30, grid=cells(), seed=2, isolated=True)
    for r in (0.9, 0.5, 0.3):
        stages[f"30-point sweeps, one isolated pair, r = {r}"] = partial(alone, r=r)
        title = f"30-point sweeps, one isolated pair, every scenario at 50 %, r = {r}"
        stages[title] = partial(alone, r=r, categories=ALIKE)
    for r in (0.9, 0.5):
        stages |= {
            f"null sweeps, r = {r}": partial(sweeps, options.sweeps, points=0, r=r, grid=cells(), seed=1),
            f"null sweeps, screened to 12 cells, r = {r}": partial(
                sweeps, options.sweeps, points=0, r=r, grid=cells(), seed=6, keep=12
            ),
            f"30-point sweeps, r = {r}": partial(
                sweeps, options.sweeps // 4, points=30, r=r, grid=cells(), seed=2
            ),
            f"tug of war, r = {r}": partial(tug_coverage, 2 * options.curves, r=r, seed=4),
        }
        for n in (38, 76):
            stages[f"U of attacks that keep all, {n} scenarios, r = {r}"] = partial(
                weak_attacks, 4000, scenarios=n, r=r, seed=5
            )
        for share in (1.0, 0.5):
            title = f"exchange rate at {share:g} of the suffix's effect, r = {r}"
            stages[title] = partial(exchange_coverage, options.curves, r=r, share=share, seed=3)
    report: dict[str, object] = {"versions": versions()}
    for title, stage in stages.items():
        report[title] = stage()
        print(json.dumps({title: report[title]}, indent=1), flush=True)
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
