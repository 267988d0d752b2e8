"""Intervals and tests against computations that share no code with them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar

from benchmarks import coverage
from steer import intervals
from steer.intervals import contrast, contrast_interval, paired_rates
from steer.resampling import bootstrap_weights, percentile_interval, resampled_rates
from steer.significance import holm, sign_flip_p

Z2 = intervals.Z**2


def flat(found: tuple[float, tuple[float, float]] | None) -> list[float]:
    """Estimate, lower, upper."""
    assert found is not None
    return [found[0], *found[1]]


def hand_wilson(x: float, n: float) -> tuple[float, float]:
    """The roots of (x/n - p)^2 = z^2 p (1 - p) / n."""
    roots = np.roots([1 + Z2 / n, -(2 * x / n + Z2 / n), (x / n) ** 2])
    return float(min(roots)), float(max(roots))


@pytest.mark.parametrize(("x", "n"), [(0, 71), (71, 71), (3, 71), (35, 71), (1, 38), (19, 76), (2.5, 30.5)])
def test_a_rate_has_wilsons_interval_by_the_quadratic_formula(x: float, n: float):
    assert intervals.rate_interval(x, n) == pytest.approx(hand_wilson(x, n), abs=1e-9)


@pytest.mark.parametrize(("x", "n"), [(0, 12), (1, 12), (12, 12), (5, 11), (1, 1)])
def test_a_rate_of_few_trials_is_widened_to_the_exact_interval(x: int, n: int):
    def tail(p: float, at_least: bool) -> float:
        terms = range(x, n + 1) if at_least else range(x + 1)
        return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in terms) - 0.025

    low = 0.0 if x == 0 else brentq(lambda p: tail(p, True), 0, 1)
    high = 1.0 if x == n else brentq(lambda p: tail(p, False), 0, 1)
    wilson = hand_wilson(x, n)
    expected = min(low, wilson[0]), max(high, wilson[1])
    assert intervals.rate_interval(x, n) == pytest.approx(expected, abs=1e-9)


def test_no_trials_is_no_estimate():
    assert intervals.rate_interval(0, 0) is None
    assert intervals.paired_interval(0, 0, 0) is None
    rates = paired_rates([[1, 0], [1, 0]], [[1, 0], [1, 0]])
    assert contrast_interval(rates, (1, -1)) is None


def likelihood_statistic(b: int, c: int, n: int, difference: float) -> float:
    """Tango's score statistic with the restricted maximum of the trinomial likelihood found numerically."""
    low, high = max(0.0, -difference), min(1.0, (1 - difference) / 2)

    def loss(q: float) -> float:
        cells = ((b, q + difference), (c, q), (n - b - c, 1 - 2 * q - difference))
        return -sum(k * math.log(max(p, 1e-300)) for k, p in cells if k)

    q = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-13}).x
    return (b - c - n * difference) / math.sqrt(n * (2 * q + difference * (1 - difference)))


@pytest.mark.parametrize(
    ("b", "c", "n"), [(48, 0, 71), (18, 1, 71), (0, 0, 71), (3, 7, 71), (5, 5, 38), (36, 1, 38), (0, 9, 76)]
)
def test_a_paired_interval_inverts_the_score_test(b: int, c: int, n: int):
    estimate = (b - c) / n
    z = intervals.Z
    low = brentq(lambda d: likelihood_statistic(b, c, n, d) - z, -1 + 1e-9, estimate - 1e-7)
    high = brentq(lambda d: likelihood_statistic(b, c, n, d) + z, estimate + 1e-7, 1 - 1e-9)
    assert intervals.paired_interval(b, c, n) == pytest.approx((low, high), abs=1e-5)


def test_a_paired_interval_at_the_ends_and_without_a_change():
    assert intervals.paired_interval(0, 0, 71) == pytest.approx((-Z2 / (71 + Z2), Z2 / (71 + Z2)), abs=1e-9)
    lower, upper = intervals.paired_interval(71, 0, 71) or (0, 0)
    assert upper == 1.0
    assert lower == pytest.approx((71 - Z2) / (71 + Z2), abs=1e-9)


@pytest.mark.parametrize(("b", "c", "n"), [(7, 2, 30), (0, 4, 12)])
def test_swapping_the_arms_mirrors_every_interval(b: int, c: int, n: int):
    lower, upper = intervals.paired_interval(b, c, n) or (0, 0)
    assert intervals.paired_interval(c, b, n) == pytest.approx((-upper, -lower), abs=1e-9)


def test_mover_without_correction_for_unpaired_arms_is_newcombes_published_example():
    # Newcombe 1998, table II(a): 56/70 against 48/80, method 10: 0.0524 to 0.3339.
    one, two = hand_wilson(56, 70), hand_wilson(48, 80)
    rates = intervals.PairedRates(
        value=np.array([0.8, 0.6]),
        lower=np.array([one[0], two[0]]),
        upper=np.array([one[1], two[1]]),
        effective=np.array([70.0, 80.0]),
        correlation=np.eye(2),
    )
    assert flat(contrast_interval(rates, (1, -1))) == pytest.approx([0.2, 0.0524, 0.3339], abs=5e-5)


def test_mover_equals_a_scenario_by_scenario_computation():
    random = np.random.default_rng(4)
    trials = random.integers(0, 2, (40, 2))
    hits = trials * random.integers(0, 2, (40, 2))
    p, low, high, residual = [], [], [], []
    for arm in range(2):
        rows = [int(hits[i, arm]) for i in range(40) if trials[i, arm]]
        p.append(sum(rows) / len(rows))
        lower, upper = intervals.exact(sum(rows), len(rows))
        low.append(p[-1] - lower)
        high.append(upper - p[-1])
        residual.append([(hits[i, arm] - p[-1]) if trials[i, arm] else 0 for i in range(40)])
    cross = sum(a * b for a, b in zip(*residual, strict=True))
    scale = [sum(a * a for a in arm) + 0.5 for arm in residual]
    r = cross / math.sqrt(scale[0] * scale[1])
    down = math.sqrt(low[0] ** 2 + high[1] ** 2 - 2 * r * low[0] * high[1])
    up = math.sqrt(high[0] ** 2 + low[1] ** 2 - 2 * r * high[0] * low[1])
    gap = p[0] - p[1]
    found = contrast_interval(paired_rates(hits, trials), (1, -1))
    assert flat(found) == pytest.approx([gap, gap - down, gap + up], abs=1e-9)


def test_repeating_every_sample_buys_no_precision_and_independent_samples_do():
    random = np.random.default_rng(5)
    once = random.integers(0, 2, (38, 2))
    single = contrast_interval(paired_rates(once, np.ones((38, 2))), (1, -1))
    repeated = paired_rates(5 * once, np.full((38, 2), 5))
    assert repeated.effective == pytest.approx([38, 38])
    assert flat(contrast_interval(repeated, (1, -1))) == pytest.approx(flat(single), abs=1e-9)
    assert paired_rates(random.binomial(5, 0.5, (38, 2)), np.full((38, 2), 5)).effective.min() > 120
    assert paired_rates(np.zeros((38, 1)), np.full((38, 1), 5)).effective == pytest.approx([38])


@pytest.mark.parametrize(
    "differences", [[1, 1, -1, 0, 1, 1], [2, -1, 2, 1, 0, 2], [1] * 6, [0, 0], [3, -1, -1, 2]]
)
def test_the_sign_flip_p_enumerates_every_flip(differences: list[int]):
    observed = abs(sum(differences))
    flips = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True))) >= observed
        for signs in itertools.product((-1, 1), repeat=len(differences))
    ]
    assert sign_flip_p(differences) == pytest.approx(sum(flips) / len(flips))


@pytest.mark.parametrize(("b", "c"), [(0, 0), (18, 0), (7, 3), (5, 5), (1, 12)])
def test_with_one_sample_the_p_is_mcnemars_exact_binomial(b: int, c: int):
    n = b + c
    tail = 2 * sum(math.comb(n, k) for k in range(min(b, c) + 1)) / 2**n
    assert sign_flip_p([1] * b + [-1] * c + [0] * 20) == pytest.approx(min(1.0, tail))


def test_holm_by_hand_and_a_test_that_was_not_made_does_not_count():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.02, None, 0.03]) == [pytest.approx(0.04), None, pytest.approx(0.04)]
    assert holm([None]) == [None]


def test_the_bootstrap_keeps_category_sizes_and_is_the_seeds():
    categories = ["a", "b", "a", "b", "b", "c"]
    weights = bootstrap_weights(categories, seed=3, resamples=50)
    for category in "abc":
        members = [i for i, name in enumerate(categories) if name == category]
        assert (weights[:, members].sum(1) == len(members)).all()
    assert (weights == bootstrap_weights(categories, seed=3, resamples=50)).all()
    assert (weights != bootstrap_weights(categories, seed=4, resamples=50)).any()
    hits = np.array([[1, 0], [1, 1], [0, 0], [0, 1], [1, 1], [0, 0]])
    rates = resampled_rates(weights, hits, np.ones_like(hits))
    drawn = [i for i, w in enumerate(weights[7]) for _ in range(int(w))]
    assert rates[7] == pytest.approx(hits[drawn].mean(0))
    assert percentile_interval([np.nan, np.nan]) is None


def test_coverage_of_rates_and_gaps_over_all_is_93_percent_everywhere_on_the_grid():
    for n in coverage.SIZES:
        points = [*coverage.rates(intervals.score, n), *coverage.paired(n, intervals.paired_score)]
        assert min(point.coverage for point in points) >= 0.93
        assert min(point.narrowest for point in points) > 0.04


@pytest.mark.parametrize("family", ["over_valid", "two_gaps", "clustered"])
def test_coverage_of_simulated_gaps_is_93_percent_and_no_width_is_zero(family: str):
    random = np.random.default_rng(7)
    for n in (12, 71):
        points = list(getattr(coverage, family)(n, 150, random))
        # Binomial noise of a point at 93 %: three standard errors of 150 runs, and the mean has next to none.
        assert min(point.coverage for point in points) >= 0.93 - 3 * math.sqrt(0.93 * 0.07 / 150)
        assert np.mean([point.coverage for point in points]) >= 0.95
        assert min(point.narrowest for point in points) > 0.01


def test_contrasts_are_vectorised_over_runs():
    random = np.random.default_rng(8)
    trials = random.integers(0, 2, (3, 30, 4)) | (np.arange(30) < 2)[None, :, None]
    hits = trials * random.integers(0, 2, (3, 30, 4))
    together = contrast(paired_rates(hits, trials), (1, -1, -1, 1))
    for run in range(3):
        alone = contrast(paired_rates(hits[run], trials[run]), (1, -1, -1, 1))
        assert [part[run] for part in together] == pytest.approx([float(part) for part in alone])
