"""Several models: pairwise differences of rates, and the trend of steerability over capability.

Models that answered the same scenarios are compared like arms of one run: paired by scenario, which is
the unit however many samples it has. `python -m benchmarks.across_models` measures how often two models
that do not differ seem to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, cast

from steer.gaps import gaps
from steer.results.estimates import RateDifference, Trend
from steer.scenarios import identity
from steer.store import RunStore
from steer.types import Outcome


def answered(store: RunStore, judge: str) -> list[Outcome]:
    """A run's outcomes, each scenario under the identity of its id and text: that is what runs can share."""
    shared = {scenario.id: identity([scenario]) for scenario in store.scenarios()}
    return [Outcome(o.arm, shared[o.scenario], o.category, o.sample, o.status) for o in store.outcomes(judge)]


def rate_differences(models: Mapping[str, Sequence[Outcome]], arm: str) -> list[RateDifference]:
    """Every pair of the models that have the arm, in the order given, from `answered` outcomes."""
    rows = [
        Outcome(model, o.scenario, o.category, o.sample, o.status)
        for model, outcomes in models.items()
        for o in outcomes
        if o.arm == arm
    ]
    have = {row.arm for row in rows}
    found = gaps(rows, list(combinations([model for model in models if model in have], 2)))
    return [RateDifference(g.first, g.second, g.pairs, g.points_all, g.ci_all, g.p, g.p_holm) for g in found]


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
