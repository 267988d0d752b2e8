"""Spill-over: how much of an effect on the narrow task shows where the intervention was not made from.

    spill-over = broad effect / narrow effect, both arm minus baseline

1 means that the model changed everywhere alike, 0 that only the narrow task did. There is no estimate
where the narrow effect's interval includes 0: a ratio to nothing is nothing.

Interval: a joint Bayesian bootstrap (Rubin 1981) over scenarios, both arms of a scenario together, with
half a pseudo-scenario at +1 and at -1 in each set. Without those, effects at the floor (no scenario
moved) would get intervals of zero width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from steer.gaps import gap
from steer.intervals import TAIL, Array, Interval
from steer.outcomes import tabulate
from steer.resampling import RESAMPLES
from steer.results.estimates import OpenInterval, Spillover
from steer.types import Outcome

PSEUDO = 0.5
"""Weight of the pseudo-scenarios at +1 and -1."""


def spillover(
    narrow: Sequence[Outcome],
    broad: Sequence[Outcome],
    arm: str,
) -> Spillover:
    """Effects of `arm` on narrow and broad items, and their ratio. Outcomes may hold other arms too."""
    near, far = (gap(_of(rows, arm, "baseline"), arm, "baseline") for rows in (narrow, broad))
    near_changes, far_changes = (changes(rows, arm, "baseline") for rows in (narrow, broad))
    ratio, ci, why = None, None, ""
    if near.points_all is None or near.ci_all is None or far.points_all is None:
        why = "no item with an outcome under both arms"
    elif near.ci_all[0] <= 0 <= near.ci_all[1]:
        why = "the narrow effect's interval includes 0"
    else:
        ratio = far.points_all / near.points_all
        ci = ratio_interval(near_changes, far_changes)
    return Spillover(
        arm=arm,
        narrow_points=near.points_all,
        narrow_ci=near.ci_all,
        narrow_items=len(near_changes),
        broad_points=far.points_all,
        broad_ci=far.ci_all,
        broad_items=len(far_changes),
        ratio=ratio,
        ratio_ci=ci and _open(ci),
        why_none=why,
    )


def _open(ci: Interval) -> OpenInterval:
    """An infinite end is None."""
    low, high = (end if math.isfinite(end) else None for end in ci)
    return low, high


def changes(outcomes: Sequence[Outcome], arm: str, baseline: str) -> Array:
    """Arm minus baseline of each scenario, [scenario] in [-1, 1]: the mean over its paired samples."""
    table = tabulate(_of(outcomes, arm, baseline), (arm, baseline))
    absent, hits = table.has("missing"), table.has("hit")
    both = ~(absent[:, 0] | absent[:, 1])
    moved = (hits[:, 0].astype(np.int64) - hits[:, 1]) * both
    trials = table.count(both)
    return table.count(moved)[trials > 0] / trials[trials > 0]


def ratio_interval(narrow: Array, broad: Array, *, resamples: int = RESAMPLES) -> Interval:
    """95 % interval of mean(broad) / mean(narrow) for per-scenario changes in [-1, 1].

    A draw whose narrow effect has crossed 0 says nothing of the ratio's size: it counts as infinite on
    the side of its broad effect, so that the interval opens rather than closes.
    """
    random = np.random.default_rng(0)
    sign = 1.0 if narrow.mean() >= 0 else -1.0
    near = sign * _means(narrow, random, resamples)
    far = sign * _means(broad, random, resamples)
    ratios = np.where(near > 0, far / np.maximum(near, 1e-12), np.copysign(np.inf, far))
    # a drawn value, not one between two draws: draws may be infinite
    lower, upper = np.quantile(ratios, [TAIL, 1 - TAIL], method="nearest")
    return float(lower), float(upper)


def _means(values: Array, random: np.random.Generator, resamples: int) -> Array:
    """Means under Dirichlet weights, [resample]."""
    extended = np.concatenate([values, [1.0, -1.0]])
    shape = np.concatenate([np.ones(len(values)), [PSEUDO, PSEUDO]])
    return random.dirichlet(shape, resamples) @ extended


def _of(outcomes: Sequence[Outcome], *arms: str) -> list[Outcome]:
    return [row for row in outcomes if row.arm in arms]
