"""Confidence intervals for rates, and for differences of rates measured on the same scenarios.

All are 95 % intervals, in fractions. Every function is vectorised over leading axes, so that
`benchmarks/coverage.py` measures the very code that reports. It knows numbers, no arms and no labels.

Why no percentile bootstrap for a gap: on a third of the grid it covers under 93 %, near the floor as
little as 20 %, and its width is often 0 (`benchmarks/results/coverage.json`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Interval = tuple[float, float]

TAIL = 0.025
Z = 1.959963984540054
"""Normal quantile of 1 - TAIL."""

EDGE = 1e-9
"""Counts closer to 0 or to all than this are there (fractional counts carry rounding)."""

FEW = 28
"""Trials or pairs below which a score interval is widened to its hull with one that covers there."""


def rate_interval(successes: float, trials: float) -> Interval | None:
    """`score` limits of one rate; None when there is no trial to estimate from."""
    if trials == 0:
        return None
    lower, upper = score(successes, trials)
    return float(lower), float(upper)


def score(successes: ArrayLike, trials: ArrayLike) -> tuple[Array, Array]:
    """Wilson (1927) score limits of a rate; trials may be fractional (an effective number), never 0.

    Below 28 trials they are widened to the hull with Clopper and Pearson's: Wilson's alone cover only
    90-92 % at n = 12 near 5, 25 and 75 %, and with half of 12 rows valid.
    """
    lower, upper = wilson(successes, trials)
    few = np.broadcast_to(np.asarray(trials, float) < FEW, lower.shape)
    if not few.any():
        return lower, upper
    low, high = exact(successes, trials)
    return np.where(few, np.minimum(lower, low), lower), np.where(few, np.maximum(upper, high), upper)


def wilson(successes: ArrayLike, trials: ArrayLike) -> tuple[Array, Array]:
    """Wilson score limits, by statsmodels."""
    from statsmodels.stats.proportion import proportion_confint

    # Flat float arrays: statsmodels treats scalars and integers apart.
    x, n = np.broadcast_arrays(np.asarray(successes, float), np.asarray(trials, float))
    lower, upper = cast("tuple[Array, Array]", proportion_confint(x.ravel(), n.ravel(), method="wilson"))
    return lower.reshape(x.shape), upper.reshape(x.shape)


def paired_interval(only_first: int, only_second: int, pairs: int) -> Interval | None:
    """`paired_score` limits of one table of `pairs` items seen under both arms; None without pairs."""
    if pairs == 0:
        return None
    lower, upper = paired_score(only_first, only_second, pairs)
    return float(lower), float(upper)


def paired_score(only_first: ArrayLike, only_second: ArrayLike, pairs: int) -> tuple[Array, Array]:
    """Limits of the first minus the second rate from the discordant counts: Tango's score interval.

    Where one arm hits nearly always, the other nearly never, and pairs are few (2 % against
    98 %, n = 12) it covers only 92 %: below 28 pairs it is widened to its hull with Bonett and Price's.
    """
    lower, upper = tango(only_first, only_second, pairs)
    if pairs < FEW:
        low, high = bonett_price(only_first, only_second, pairs)
        return np.minimum(lower, low), np.maximum(upper, high)
    return lower, upper


def tango(only_first: ArrayLike, only_second: ArrayLike, pairs: int) -> tuple[Array, Array]:
    """Score limits for a paired difference (Tango 1998, Statistics in Medicine 17:891, eqs. 8-10).

    The limits are the differences D at which |b - c - nD| equals z standard errors, with the
    discordant probability at its restricted maximum-likelihood value; found by bisection.
    """
    b, c = np.broadcast_arrays(np.asarray(only_first, float), np.asarray(only_second, float))
    n = float(pairs)

    def excess(difference: Array) -> Array:
        """Squared score statistic times its variance, minus z^2 variances: negative inside."""
        linear = (2 * n - b + c) * difference - b - c
        constant = -c * difference * (1 - difference)
        q21 = (np.sqrt(np.maximum(linear**2 - 8 * n * constant, 0)) - linear) / (4 * n)
        variance = n * (2 * q21 + difference * (1 - difference))
        return (b - c - n * difference) ** 2 - Z**2 * np.maximum(variance, 0)

    estimate = (b - c) / n

    def limit(end: float) -> Array:
        inside, outside = estimate.copy(), np.full(b.shape, end)
        for _ in range(60):
            middle = (inside + outside) / 2
            beyond = excess(middle) > 0
            outside, inside = np.where(beyond, middle, outside), np.where(beyond, inside, middle)
        return inside

    return limit(-1.0), limit(1.0)


def bonett_price(only_first: ArrayLike, only_second: ArrayLike, pairs: int) -> tuple[Array, Array]:
    """Adjusted Wald limits for a paired difference: one pseudo-item in either discordant cell.

    Bonett and Price 2012, Journal of Educational and Behavioral Statistics 37:479.
    """
    first = (np.asarray(only_first, float) + 1) / (pairs + 2)
    second = (np.asarray(only_second, float) + 1) / (pairs + 2)
    half = Z * np.sqrt((first + second - (first - second) ** 2) / (pairs + 2))
    return np.maximum(first - second - half, -1.0), np.minimum(first - second + half, 1.0)


def exact(successes: ArrayLike, trials: ArrayLike) -> tuple[Array, Array]:
    """Clopper and Pearson (1934) limits, as beta quantiles; trials may be fractional, never 0."""
    from scipy.special import betaincinv  # scipy.stats.beta.ppf is this, in 150 times the time

    x, n = np.broadcast_arrays(np.asarray(successes, float), np.asarray(trials, float))
    some, rest = x > EDGE, n - x > EDGE
    lower = betaincinv(np.where(some, x, 1.0), n - x + 1, TAIL)
    upper = betaincinv(x + 1, np.where(rest, n - x, 1.0), 1 - TAIL)
    return np.where(some, lower, 0.0), np.where(rest, upper, 1.0)


@dataclass(frozen=True, slots=True)
class PairedRates:
    """Rates of several arms on the same scenarios, with what their contrasts need.

    value, lower, upper, effective: [..., arm]; value and limits are NaN for an arm without trials.
    lower, upper: Clopper and Pearson's limits at the effective number of trials (with several samples
    that is Korn and Graubard's interval). correlation: [..., arm, arm], of the rate *estimates*.
    """

    value: Array
    lower: Array
    upper: Array
    effective: Array
    correlation: Array


def paired_rates(hits: ArrayLike, trials: ArrayLike) -> PairedRates:
    """Ratio rates hits/trials of arms [..., scenario, arm], where trials may differ from arm to arm.

    A cell counts the samples of a scenario: with one sample, trials are 0 or 1 (1 = valid). The
    scenario is the unit: residuals hits - rate * trials, summed over a scenario's samples, give the
    covariance of two rates (linearised ratio; Cochran 1977, eq. 6.13) and the design effect by which
    the number of trials is divided (Korn and Graubard 1998, Survey Methodology 24:193), kept between
    1 and the samples a scenario, and at the latter where all rows or none are hits.

    Half a pseudo-scenario is added to each variance before correlating. To first order this is
    the continuity correction of Newcombe's method 10 (1998, Statistics in Medicine 17:2635); it keeps
    the matrix positive, and two arms that agree everywhere an interval of non-zero width.
    """
    x, t = np.asarray(hits, float), np.asarray(trials, float)
    total = t.sum(-2)
    scenarios = (t > 0).sum(-2)
    none = total == 0
    with np.errstate(invalid="ignore", divide="ignore"):
        value = x.sum(-2) / total
        residual = np.where(t > 0, x - value[..., None, :] * t, 0.0)
        covariance = np.einsum("...sa,...sb->...ab", residual, residual)
        squares = np.einsum("...aa->...a", covariance)
        samples = np.where(none, 1.0, total / scenarios)
        binomial = value * (1 - value) * total
        inflation = squares * (scenarios / np.maximum(scenarios - 1, 1)) / binomial
    effect = np.where(binomial > EDGE, np.clip(inflation, 1, samples), samples)
    effective = total / effect
    scale = np.sqrt(squares + 0.5 * samples * effect)
    correlation = covariance / (scale[..., :, None] * scale[..., None, :])
    diagonal = np.arange(x.shape[-1])
    correlation[..., diagonal, diagonal] = 1.0
    known = np.where(none, 1.0, effective)
    lower, upper = exact(np.where(none, 0.0, value) * known, known)
    return PairedRates(
        value, np.where(none, np.nan, lower), np.where(none, np.nan, upper), effective, correlation
    )


def contrast(rates: PairedRates, weights: ArrayLike) -> tuple[Array, Array, Array]:
    """Estimate, lower and upper limit [...] of sum(weights * rate) over arms; NaN where a rate is.

    weights: [arm], or [..., arm] for several contrasts of the same rates.

    MOVER (Zou, Huang and Zhang 2009, Computational Statistics and Data Analysis 53:1080): the
    distances of the single limits from their estimates are combined like standard errors, each on the
    side that its weight's sign asks for. Wilson's limits for the single rates (Newcombe's choice)
    would be 7 % narrower at n = 76 but cover only 88-92 % where one rate is near 0, the other near 1.
    """
    w = np.asarray(weights, float)
    estimate = (w * rates.value).sum(-1)
    down = np.where(w > 0, rates.value - rates.lower, rates.upper - rates.value) * w
    up = np.where(w > 0, rates.upper - rates.value, rates.value - rates.lower) * w

    def combine(distance: Array) -> Array:
        square = np.einsum("...a,...ab,...b->...", distance, rates.correlation, distance)
        return np.sqrt(np.maximum(square, 0))

    least, most = np.minimum(w, 0).sum(-1), np.maximum(w, 0).sum(-1)
    return estimate, np.maximum(estimate - combine(down), least), np.minimum(estimate + combine(up), most)


def contrast_interval(rates: PairedRates, weights: ArrayLike) -> tuple[float, Interval] | None:
    """`contrast` of one set of arms: (estimate, interval), or None where a rate has no estimate."""
    estimate, lower, upper = (float(part) for part in contrast(rates, weights))
    return None if np.isnan(estimate) else (estimate, (lower, upper))
