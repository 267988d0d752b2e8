"""How often the 95 % intervals for rates and gaps hold the truth, over a grid.

    python -m benchmarks.coverage [--out benchmarks/results/coverage.json]

Rates 0.02-0.98, n = 12, 38, 71, 76. Single rates and gaps over all rows are enumerated exactly (binomial,
trinomial); gaps over valid rows (nonsense up to 50 %), differences of two gaps and several samples a
scenario are simulated: arms share a Gaussian latent per scenario, with correlation `r`. Each
family is measured with the interval that is reported and with the ones that were turned down.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.special import gammaln
from scipy.stats import binom, norm

from steer import intervals
from steer.intervals import Array, contrast, paired_rates
from steer.resampling import bootstrap_weights

RATES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
SIZES = (12, 38, 71, 76)
CORRELATIONS = (0.0, 0.5, 0.9, 0.99)
NONSENSE = ((0.0, 0.0), (0.1, 0.5), (0.5, 0.1), (0.5, 0.5))
Limits = Callable[[Array, Array], tuple[Array, Array]]


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the grid: where it is, the coverage there, and the interval's widths."""

    at: dict[str, float]
    coverage: float
    narrowest: float
    mean_width: float


def rates(limits: Limits, n: int, grid: Sequence[float] = RATES) -> Iterator[Point]:
    """A rate over valid rows, exactly: valid ~ Bin(n, 1 - nonsense), given at least one valid row."""
    by_trials = [limits(np.arange(k + 1.0), np.full(k + 1, float(k))) for k in range(1, n + 1)]
    for nonsense, rate in itertools.product((0.0, 0.1, 0.5), grid):
        weight = binom.pmf(np.arange(1, n + 1), n, 1 - nonsense)
        weight = weight / weight.sum()
        chance = [binom.pmf(np.arange(k + 1), k, rate) for k in range(1, n + 1)]
        held = [c @ holds(lo, hi, rate) for c, (lo, hi) in zip(chance, by_trials, strict=True)]
        width = [c @ (hi - lo) for c, (lo, hi) in zip(chance, by_trials, strict=True)]
        narrowest = min(float((hi - lo).min()) for lo, hi in by_trials)
        at = {"n": n, "rate": float(rate), "nonsense": nonsense}
        yield Point(at, float(weight @ np.array(held)), narrowest, float(weight @ np.array(width)))


def paired(n: int, limits: Callable[[Array, Array, int], tuple[Array, Array]]) -> Iterator[Point]:
    """A gap over all pairs, exactly: every table of discordant counts, at trinomial probability."""
    cells = np.array([(b, c) for b in range(n + 1) for c in range(n + 1 - b)], float)
    b, c = cells.T
    lower, upper = limits(b, c, n)
    ways = gammaln(n + 1) - gammaln(b + 1) - gammaln(c + 1) - gammaln(n - b - c + 1)
    for first, second in itertools.combinations_with_replacement(RATES, 2):
        least, most = max(0.0, first + second - 1), min(first, second)
        for share in (-0.5, 0.0, 0.3, 0.6, 0.9, 0.97):  # of the way from independence to the extreme
            alone = first * second
            both = alone + share * (most - alone) if share >= 0 else alone + share * (alone - least)
            only = np.maximum([first - both, second - both, 1 - first - second + both], 1e-300)
            only[2] = max(1 - only[0] - only[1], 1e-300)
            chance = np.exp(ways + b * np.log(only[0]) + c * np.log(only[1]) + (n - b - c) * np.log(only[2]))
            at = {"n": n, "first": first, "second": second, "correlation": share}
            held = float(chance @ holds(lower, upper, first - second))
            yield Point(at, held, float((upper - lower).min()), float(chance @ (upper - lower)))


def agresti_min(b: Array, c: Array, n: int) -> tuple[Array, Array]:
    """Wald limits after half a pseudo-item in each of the four cells (Agresti and Min 2005)."""
    first, second, size = b + 0.5, c + 0.5, n + 2
    half = intervals.Z * np.sqrt(first + second - (first - second) ** 2 / size) / size
    return (first - second) / size - half, (first - second) / size + half


def simulate(
    random: np.random.Generator,
    runs: int,
    n: int,
    arms: Sequence[tuple[float, float]],
    r: float,
    samples: int = 1,
) -> tuple[Array, Array]:
    """Counts [run, scenario, arm] of convergent and of valid samples; arms are (rate, nonsense)."""
    edge = norm.ppf(np.array(arms))
    shape = (runs, n, samples, len(arms), 2)
    shared = random.standard_normal((runs, n, 1, 1, 2))
    latent = np.sqrt(r) * shared + np.sqrt(1 - r) * random.standard_normal(shape)
    valid = latent[..., 1] > edge[:, 1]
    hits = (latent[..., 0] < edge[:, 0]) & valid
    return hits.sum(2).astype(float), valid.sum(2).astype(float)


def over_valid(n: int, runs: int, random: np.random.Generator, *, bootstrap: bool = False) -> Iterator[Point]:
    """A gap over valid rows by MOVER, or by the percentile bootstrap (one category; fewer points)."""
    spots = (0.02, 0.05, 0.1, 0.3, 0.5) if bootstrap else (0.02, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.98)
    rs = (0.0, 0.9) if bootstrap else CORRELATIONS
    for first, second in itertools.combinations_with_replacement(spots, 2):
        for r, (one, two) in itertools.product(rs, NONSENSE[::3] if bootstrap else NONSENSE):
            hits, trials = simulate(random, runs, n, [(first, one), (second, two)], r)
            lower, upper = percentile(hits, trials) if bootstrap else mover(hits, trials)
            at = {"n": n, "first": first, "second": second, "r": r, "nonsense": one, "its second": two}
            yield measured(at, lower, upper, first - second)


def mover(hits: Array, trials: Array) -> tuple[Array, Array]:
    """The interval that is reported over valid rows."""
    return contrast(paired_rates(hits, trials), (1, -1))[1:]


def percentile(hits: Array, trials: Array) -> tuple[Array, Array]:
    """The percentile bootstrap over one category; a run with an arm without valid rows has none."""
    weights = bootstrap_weights(["all"] * hits.shape[1], seed=0, resamples=1000)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = np.einsum("bs,rsa->rba", weights, hits) / np.einsum("bs,rsa->rba", weights, trials)
    gap = drawn[..., 0] - drawn[..., 1]
    known = ~np.isnan(gap).all(1)
    limits = np.full((2, len(gap)), np.nan)
    limits[:, known] = np.nanquantile(gap[known], [0.025, 0.975], axis=1)
    return limits[0], limits[1]


def two_gaps(n: int, runs: int, random: np.random.Generator) -> Iterator[Point]:
    """The difference of two gaps on the same scenarios (four arms), over valid rows."""
    settings = itertools.product(
        [(0.7, 0.05, 0.7, 0.05), (0.5, 0.02, 0.3, 0.1), (0.98, 0.02, 0.9, 0.3), (0.1, 0.05, 0.05, 0.02),
         (0.4, 0.4, 0.4, 0.4), (0.02, 0.02, 0.02, 0.02), (0.95, 0.5, 0.5, 0.05)],
        CORRELATIONS, (0.0, 0.3, 0.5),
    )  # fmt: skip
    for arms, r, nonsense in settings:
        hits, trials = simulate(random, runs, n, [(rate, nonsense) for rate in arms], r)
        lower, upper = contrast(paired_rates(hits, trials), (1, -1, -1, 1))[1:]
        at = {"n": n, **{f"arm {i}": rate for i, rate in enumerate(arms)}, "r": r, "nonsense": nonsense}
        yield measured(at, lower, upper, arms[0] - arms[1] - arms[2] + arms[3])


def clustered(n: int, runs: int, random: np.random.Generator) -> Iterator[Point]:
    """A gap of two arms over five samples a scenario, the samples alike to the degree r."""
    for first, second in itertools.combinations_with_replacement((0.02, 0.1, 0.3, 0.5, 0.9, 0.98), 2):
        for r, nonsense in itertools.product(CORRELATIONS, (0.0, 0.3)):
            hits, trials = simulate(random, runs, n, [(first, nonsense), (second, nonsense)], r, samples=5)
            lower, upper = mover(hits, trials)
            at = {"n": n, "samples": 5, "first": first, "second": second, "r": r, "nonsense": nonsense}
            yield measured(at, lower, upper, first - second)


def holds(lower: Array, upper: Array, truth: float) -> Array:
    """Whether the limits hold the truth, up to rounding."""
    return ((lower <= truth + 1e-9) & (truth <= upper + 1e-9)).astype(float)


def measured(at: dict[str, float], lower: Array, upper: Array, truth: float) -> Point:
    """Coverage over the runs that have an estimate (both arms have a valid row)."""
    known = ~np.isnan(lower)
    lower, upper = lower[known], upper[known]
    width = upper - lower
    return Point(at, float(holds(lower, upper, truth).mean()), float(width.min()), float(width.mean()))


def families(runs: int) -> dict[str, Iterator[Point]]:
    """Every family measured: name -> the points of its grid."""
    random = np.random.default_rng(20260101)
    chain = itertools.chain.from_iterable
    dense = np.arange(0.02, 0.981, 0.01).round(2)
    few = max(200, runs // 20)
    return {
        "rate, reported (Wilson; hull with exact below 28)": chain(rates(intervals.score, n) for n in SIZES),
        "rate, reported, every hundredth": chain(rates(intervals.score, n, dense.tolist()) for n in SIZES),
        "rate, Wilson alone": chain(rates(intervals.wilson, n) for n in SIZES),
        "gap over all, reported (Tango; hull with Bonett-Price below 28)": chain(
            paired(n, intervals.paired_score) for n in SIZES
        ),
        "gap over all, Tango alone": chain(paired(n, intervals.tango) for n in SIZES),
        "gap over all, Agresti-Min": chain(paired(n, agresti_min) for n in SIZES),
        "gap over valid, reported (MOVER, exact limits)": chain(over_valid(n, runs, random) for n in SIZES),
        "gap over valid, percentile bootstrap": chain(
            over_valid(n, few, random, bootstrap=True) for n in SIZES
        ),
        "difference of two gaps, reported": chain(two_gaps(n, runs, random) for n in SIZES),
        "gap, five samples a scenario, reported": chain(clustered(n, runs // 2, random) for n in SIZES),
    }


def summary(points: Sequence[Point]) -> dict[str, object]:
    """The worst points of a family, its share under 93 %, and its widths."""
    worst = sorted(points, key=lambda point: point.coverage)
    return {
        "points": len(points),
        "lowest_coverage": round(worst[0].coverage, 4),
        "mean_coverage": round(float(np.mean([point.coverage for point in points])), 4),
        "share_below_0.93": round(float(np.mean([point.coverage < 0.93 for point in points])), 4),
        "narrowest": round(min(point.narrowest for point in points), 4),
        "mean_width": round(float(np.mean([point.mean_width for point in points])), 4),
        "worst": [asdict(point) for point in worst[:3]],
    }


def versions() -> dict[str, str]:
    """What the numbers were computed with."""
    return {"python": platform.python_version()} | {p: version(p) for p in ("numpy", "scipy", "statsmodels")}


def main() -> None:
    """Measure every family, print one line each and write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5000, help="simulated runs a point")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/coverage.json"))
    options = parser.parse_args()
    report: dict[str, object] = {"versions": versions(), "runs": options.runs}
    for name, points in families(options.runs).items():
        start = time.perf_counter()
        found = summary(list(points))
        report[name] = found
        print(
            f"{name}: lowest {found['lowest_coverage']}, mean {found['mean_coverage']}, below 0.93 at "
            f"{found['share_below_0.93']} of {found['points']} points, narrowest {found['narrowest']}, "
            f"mean width {found['mean_width']}  ({time.perf_counter() - start:.0f} s)",
            flush=True,
        )
    options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
