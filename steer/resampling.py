"""Bootstrap over scenarios, stratified by category: for what has no closed-form interval.

Arms are resampled jointly (one draw of scenarios serves all of them), which keeps their pairing.
A scenario is drawn with all of its samples: with several, this is the cluster bootstrap.
It knows numbers and category names, no labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from steer.intervals import TAIL, Array, Interval

RESAMPLES = 4000


def bootstrap_weights(categories: Sequence[str], *, seed: int, resamples: int = RESAMPLES) -> Array:
    """How often each scenario is drawn: [resample, scenario], every category keeping its size.

    Deterministic by seed; permuting the categories' names or order only permutes the draws.
    """
    weights = np.zeros((resamples, len(categories)))
    random = np.random.default_rng(seed)
    names = np.asarray(categories, dtype=object)
    for category in sorted(set(categories)):
        members = np.flatnonzero(names == category)
        size = members.size
        drawn = random.integers(size, size=(resamples, size)) + size * np.arange(resamples)[:, None]
        weights[:, members] = np.bincount(drawn.ravel(), minlength=resamples * size).reshape(-1, size)
    return weights


def resampled_rates(weights: Array, hits: ArrayLike, trials: ArrayLike) -> Array:
    """Rates [resample, arm] of counts [scenario, arm]; NaN where a resample drew no trial."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return (weights @ np.asarray(hits, float)) / (weights @ np.asarray(trials, float))


def percentile_interval(draws: ArrayLike) -> Interval | None:
    """The central 95 % of the draws; draws without a value (NaN) are left out, None if all are."""
    known = np.asarray(draws, float)
    known = known[~np.isnan(known)]
    if known.size == 0:
        return None
    lower, upper = np.quantile(known, [TAIL, 1 - TAIL])
    return float(lower), float(upper)
