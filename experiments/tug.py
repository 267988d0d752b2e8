"""Tug of war: a defence by suffix against an attack by vector (or the mirror of it).

U, the share of the attack's solo effect that it keeps under the defence:
U = [r(defence, attack) - r(defence, 0)] / [r(0, attack) - r(0, 0)]. 1: the defence takes nothing away;
0: it stops the attack; below 0: it turns it round. The interaction is the numerator minus the
denominator, in points. It knows outcomes, no models.
"""

from __future__ import annotations

from collections.abc import Sequence

from experiments.contrasts import Over, rates_of, weighted
from steer.intervals import PairedRates, contrast_interval
from steer.results.estimates import TugOfWar
from steer.types import Outcome

FARTHEST = 1e6

CLEAR = 1 / 3
"""Share of the attack's own effect that the near end of its interval keeps, or the attack is weak: a weak one
is reported only in the runs in which it looks strong, and U divides by that (`benchmarks.calibration`)."""

WEAK = "weak attack: U tends to be too small"


def tug_of_war(
    outcomes: Sequence[Outcome], *, baseline: str, attack: str, defence: str, both: str, over: Over
) -> TugOfWar:
    """U of the arms (0, 0), (0, attack), (defence, 0), (defence, attack), on the same scenarios.

    The interval is Fieller's: the values u for which the interval of numerator - u * denominator
    includes 0. It is bounded because the denominator's own interval does not include 0.
    """
    rates = rates_of(outcomes, (baseline, attack, defence, both), over)
    alone = weighted(rates, (-1, 1, 0, 0))
    under = weighted(rates, (0, 0, -1, 1))
    interaction = weighted(rates, (1, -1, -1, 1))
    if alone is None or under is None:
        return TugOfWar(None, None, alone, under, interaction, "an arm has no row with a label")
    if not alone.excludes_zero:
        reason = "no estimate: the interval of the attack's own effect includes 0"
        return TugOfWar(None, None, alone, under, interaction, reason)
    u = under.points / alone.points
    ci = _limit(rates, u, -1), _limit(rates, u, 1)
    reasons = [WEAK] if min(map(abs, alone.ci)) < CLEAR * abs(alone.points) else []
    reasons += [f"its interval has no end within {FARTHEST:g}"] if None in ci else []
    return TugOfWar(u, ci, alone, under, interaction, "; ".join(reasons))


def _limit(rates: PairedRates, inside: float, side: int) -> float | None:
    """The end of the set of u around `inside` that the data do not reject, by doubling and bisection."""

    def rejected(u: float) -> bool:
        found = contrast_interval(rates, (u, -u, -1, 1))
        return found is not None and not found[1][0] <= 0 <= found[1][1]

    step = 1.0
    while not rejected(inside + side * step):
        step *= 2
        if step > FARTHEST:
            return None
    near, far = (0.0 if step == 1.0 else step / 2), step
    for _ in range(50):
        middle = (near + far) / 2
        near, far = (near, middle) if rejected(inside + side * middle) else (middle, far)
    return inside + side * near
