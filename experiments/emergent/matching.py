"""Two ways of steering compared at the same narrow effect, or after equal epochs: which spreads further?

For a matched effect the pair of arms whose narrow effects are nearest is chosen on one half of the narrow
items and reported on the other; broad items choose nothing, so all of them report.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from steer.metrics import gap
from steer.results.estimates import EqualEpochs, MatchedEffects
from steer.types import Outcome


def matched(
    narrow: Sequence[Outcome],
    broad: Sequence[Outcome],
    firsts: Sequence[str],
    seconds: Sequence[str],
) -> MatchedEffects | None:
    """The pair nearest in narrow effect among those whose effects both exclude 0; None without one.

    Ties go to the larger effect. Which half chooses is drawn.
    """
    ids = sorted({row.scenario for row in narrow})
    chosen = set(random.Random(0).sample(ids, len(ids) // 2))
    choose_on = [row for row in narrow if row.scenario in chosen]
    report_on = [row for row in narrow if row.scenario not in chosen]
    effects = {arm: _effect(choose_on, arm) for arm in dict.fromkeys((*firsts, *seconds))}
    pairs = [
        (abs(a - b), -(abs(a) + abs(b)), first, second)
        for first in firsts
        for second in seconds
        if first != second and (a := effects[first]) is not None and (b := effects[second]) is not None
    ]
    if not pairs:
        return None
    _, _, first, second = min(pairs)
    near = gap(_of(report_on, first, second), first, second)
    far = gap(_of(broad, first, second), first, second)
    a, b = effects[first], effects[second]
    if a is None or b is None or near.points_all is None or near.ci_all is None:
        return None
    if far.points_all is None or far.ci_all is None:
        return None
    return MatchedEffects(first, second, (a, b), near.points_all, near.ci_all, far.points_all, far.ci_all)


def equal_epochs(
    narrow: Sequence[Outcome],
    broad: Sequence[Outcome],
    firsts: Mapping[int, str],
    seconds: Mapping[int, str],
) -> list[EqualEpochs]:
    """Arms by epochs trained, {epochs: arm}: the two of every number of epochs that both have."""
    found: list[EqualEpochs] = []
    for epochs in sorted(firsts.keys() & seconds.keys()):
        first, second = firsts[epochs], seconds[epochs]
        near, far = (gap(_of(rows, first, second), first, second) for rows in (narrow, broad))
        found.append(
            EqualEpochs(first, second, epochs, near.points_all, near.ci_all, far.points_all, far.ci_all)
        )
    return found


def _effect(rows: Sequence[Outcome], arm: str) -> float | None:
    """Points against baseline, None where the interval includes 0."""
    found = gap(_of(rows, arm, "baseline"), arm, "baseline")
    if found.points_all is None or found.ci_all is None or found.ci_all[0] <= 0 <= found.ci_all[1]:
        return None
    return found.points_all


def _of(rows: Sequence[Outcome], *arms: str) -> list[Outcome]:
    return [row for row in rows if row.arm in arms]
