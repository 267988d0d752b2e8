"""How fast an effect fades over turns: its half-life, with an interval.

The model is a constant factor a turn, e_k = e_1 r^(k-1), half-life h = -1 / log2(r). For a given r the sums

    d_s(r) = sum over turns k > 1 of (y_ks - r^(k-1) y_1s),

y_ks the paired difference of scenario s at turn k, have mean 0, so r is in the interval where a t test of
that mean does not reject (Fieller's method: 1954, Journal of the Royal Statistical Society B 16:175). No
effect is divided by another, and an effect that is not clear at the first turn gets no interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from steer.intervals import TAIL, Array

RATIOS = np.concatenate([np.linspace(0.0, 1.5, 1501), np.linspace(1.51, 3.0, 150)])
"""Factors a turn that are tried: from gone at once to three times as strong."""


@dataclass(frozen=True, slots=True)
class HalfLife:
    """In turns. turns: None where the effect does not fade (infinite). ci: an end is None for infinite; None
    where every factor is rejected: the effect does not go that way."""

    turns: float | None
    ci: tuple[float | None, float | None] | None


def half_life(differences: Array) -> HalfLife | None:
    """differences: [scenario, turn], the arm's hit (1 or 0) less the baseline's at the same turn.

    None where there are fewer than two turns, or the first turn's effect is not clearly different from 0:
    what is not there cannot fade.
    """
    n, turns = differences.shape
    if turns < 2 or n < 2 or not _clear(differences[:, 0]):
        return None
    powers = RATIOS[:, None] ** np.arange(turns)  # [ratio, turn]
    sums = differences[:, 1:].sum(1)[:, None] - differences[:, :1] * powers[:, 1:].sum(1)  # [scenario, ratio]
    means = sums.mean(0)
    spread = sums.std(0, ddof=1) / math.sqrt(n)
    inside = RATIOS[np.abs(means) <= _quantile(n - 1) * spread]
    best = _turns(float(RATIOS[np.argmin(np.abs(means))]))
    return HalfLife(best, (_turns(float(inside[0])), _turns(float(inside[-1]))) if len(inside) else None)


def _clear(first: Array) -> bool:
    spread = float(first.std(ddof=1)) / math.sqrt(len(first))
    return abs(float(first.mean())) > _quantile(len(first) - 1) * spread


def _quantile(freedom: int) -> float:
    """Student's t: what is beyond it at either end is TAIL."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 1 - TAIL))


def _turns(ratio: float) -> float | None:
    if ratio >= 1:
        return None
    return 0.0 if ratio <= 0 else -1 / math.log2(ratio)
