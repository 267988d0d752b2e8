"""Several models: pairwise differences of rates, and the trend of steerability over capability.

Models answer the same scenarios, but their rates are compared as independent (Newcombe's interval,
Fisher's p): published tables give counts only, and the pairing they leave out would narrow the intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, cast

from steer.intervals import Interval, independent_interval
from steer.significance import fisher_p, holm


@dataclass(frozen=True, slots=True)
class RateDifference:
    """First minus second rate, in points; p is Fisher's, p_holm over all pairs compared together."""

    first: str
    second: str
    points: float | None
    ci: Interval | None
    p: float | None
    p_holm: float | None


def rate_differences(counts: Mapping[str, tuple[int, int]]) -> list[RateDifference]:
    """Every pair of models, in the order given, from (convergent, counted) rows of each."""
    found = [_difference(a, b, counts[a], counts[b]) for a, b in combinations(counts, 2)]
    corrected = holm([one.p for one in found])
    return [replace(one, p_holm=p) for one, p in zip(found, corrected, strict=True)]


def _difference(first: str, second: str, one: tuple[int, int], two: tuple[int, int]) -> RateDifference:
    ci = independent_interval(*one, *two)
    if ci is None:
        return RateDifference(first, second, None, None, None, None)
    points = 100 * (one[0] / one[1] - two[0] / two[1])
    return RateDifference(first, second, points, (100 * ci[0], 100 * ci[1]), fisher_p(*one, *two), None)


@dataclass(frozen=True, slots=True)
class Trend:
    """Points of steerability per unit of capability, by least squares over models; t interval.

    It says how well a line over *these models, as a sample of models,* is known: with three of them, hardly.
    """

    models: int
    slope: float
    ci: Interval
    p: float


def trend(capability: Sequence[float], steerability: Sequence[float]) -> Trend | None:
    """None with fewer than three models or without a difference in capability."""
    models = len(capability)
    if models < 3 or len(set(capability)) < 2:
        return None
    from scipy.stats import linregress, t

    line = cast("Any", linregress(capability, steerability))
    slope, error = float(line.slope), float(line.stderr)
    half = float(t.ppf(0.975, models - 2)) * error
    return Trend(models, slope, (slope - half, slope + half), float(line.pvalue))
