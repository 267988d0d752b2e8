"""Propensity of choices: its mean by arm, paired differences, and its slope over how hard was steered.

The scenario is the unit. Intervals are the bootstrap's over scenarios, stratified by category and joint for
all arms. The slope is the steerability of Tan et al. 2024 (arXiv 2407.12404): of the least-squares line
through a scenario's propensity m at every magnitude l,

    s = sum_l (l - mean l) (m(l) - mean m) / sum_l (l - mean l)^2,

in nats a unit of magnitude; a scenario with s < 0 moves the wrong way. A pair of suffixes has the magnitudes
-1 (anti), 0 (baseline) and 1 (pro). It knows outcomes, no models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from steer.intervals import Array, Interval
from steer.resampling import bootstrap_weights, percentile_interval
from steer.significance import sign_flip_p
from steer.types import Outcome

SEED = 0
MASS_KEPT = 0.5
"""Of the baseline's mass (`steer.choices`): an arm that keeps less is flagged, no cell is chosen there."""

SUFFIXES = {"anti": -1.0, "baseline": 0.0, "pro": 1.0}
"""The magnitudes of a pair of suffixes and of nothing."""


@dataclass(frozen=True, slots=True)
class Nats:
    """A mean over n scenarios, in nats, with its interval; None where nothing was scored."""

    n: int
    nats: float | None
    ci: Interval | None


@dataclass(frozen=True, slots=True)
class Shift:
    """First minus second arm, in nats, over the scenarios that both have.

    p: sign test of the scenarios' differences. wrong_way: share of scenarios with a difference below 0.
    """

    first: str
    second: str
    n: int
    nats: float | None
    ci: Interval | None
    p: float | None
    wrong_way: float | None


@dataclass(frozen=True, slots=True)
class Steerability:
    """Slopes over magnitude: their mean, nats a unit, and the share of scenarios that move the wrong way."""

    n: int
    slope: float | None
    ci: Interval | None
    wrong_way: float | None
    scenarios: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Propensities:
    """values: [scenario, arm] nats, the mean of a scenario's samples; NaN where an arm has none."""

    arms: tuple[str, ...]
    scenarios: tuple[str, ...]
    categories: tuple[str, ...]
    values: Array

    def of(self, arm: str) -> Array:
        return self.values[:, self.arms.index(arm)]


def propensities(outcomes: Sequence[Outcome]) -> Propensities | None:
    """The table of what was chosen; None where no row is a choice."""
    category = {row.scenario: row.category for row in outcomes}
    arms = tuple(dict.fromkeys(row.arm for row in outcomes))
    scenarios = tuple(sorted(category))
    place = {name: i for i, name in enumerate(scenarios)}
    column = {name: i for i, name in enumerate(arms)}
    total, count = np.zeros((2, len(scenarios), len(arms)))
    for row in outcomes:
        if row.propensity is not None:
            total[place[row.scenario], column[row.arm]] += row.propensity
            count[place[row.scenario], column[row.arm]] += 1
    if not count.any():
        return None
    with np.errstate(invalid="ignore"):
        return Propensities(arms, scenarios, tuple(category[name] for name in scenarios), total / count)


def average(table: Propensities, values: Array) -> Nats:
    """The mean of values [scenario], NaN left out."""
    known = ~np.isnan(values)
    if not known.any():
        return Nats(0, None, None)
    categories = [category for category, there in zip(table.categories, known, strict=True) if there]
    drawn = bootstrap_weights(categories, seed=SEED) @ values[known] / int(known.sum())
    return Nats(int(known.sum()), float(values[known].mean()), percentile_interval(drawn))


def shift(table: Propensities, first: str, second: str) -> Shift:
    """How far the first arm's propensity is above the second's."""
    change = table.of(first) - table.of(second)
    found = average(table, change)
    signs = np.sign(change[~np.isnan(change)]).astype(int)
    some = found.n > 0
    return Shift(
        first,
        second,
        found.n,
        found.nats,
        found.ci,
        sign_flip_p(signs) if some else None,
        float((signs < 0).mean()) if some else None,
    )


def steerability(table: Propensities, magnitudes: Mapping[str, float]) -> Steerability:
    """Slopes over arms of known magnitude, of the scenarios that have all of them."""
    sizes = np.array(list(magnitudes.values()))
    centred = sizes - sizes.mean()
    rows = np.stack([table.of(arm) for arm in magnitudes], axis=1)
    slopes = rows @ centred / float(centred @ centred)
    found = average(table, slopes)
    known = {
        name: float(slope) for name, slope in zip(table.scenarios, slopes, strict=True) if not np.isnan(slope)
    }
    wrong = [slope < 0 for slope in known.values()]
    return Steerability(found.n, found.nats, found.ci, sum(wrong) / len(wrong) if wrong else None, known)
