"""Frontier: which arms are undominated in effect against a side effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trade:
    """An arm's effect (points in the intended direction) and one side effect (less is better).

    None where there is no estimate: such an arm is on no frontier and dominates none.
    """

    arm: str
    effect: float | None
    cost: float | None


def undominated(trades: Sequence[Trade]) -> list[str]:
    """Arms that no other beats: none has at least their effect at no more cost, with either better.

    In order of cost; arms equal in both stand together.
    """
    known = [(t.cost, -t.effect, t.arm) for t in trades if t.cost is not None and t.effect is not None]
    kept: list[str] = []
    best: tuple[float, float] | None = None  # (cost, -effect) of the last arm kept
    for cost, loss, arm in sorted(known):
        if best is None or loss < best[1] or (cost, loss) == best:
            kept.append(arm)
            best = cost, loss
    return kept
