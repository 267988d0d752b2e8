"""Gap against tries: what the best of k tries does out of fold, and how sure that is.

It knows outcomes and which try comes before which, no models.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from math import comb

import numpy as np

from experiments.contrasts import rates_of, weighted
from experiments.sweep.choice import Candidate, OutOfFold, members
from steer.intervals import Array, Z
from steer.outcomes import tabulate
from steer.results import Estimate
from steer.results.comparison import TriesPoint
from steer.types import Outcome

DRAWS = 500
"""Resamples of the tries that were drawn."""


def curve(
    outcomes: Sequence[Outcome],
    orders: Sequence[Sequence[Candidate]],
    half: Mapping[str, int],
    tries: int,
    steps: Sequence[int],
    drawn: Collection[str] = (),
) -> tuple[TriesPoint, ...]:
    """The expected gap of the best of k tries drawn at random from `tries`, at every step up to that.

    orders[h]: the tries that may be chosen on half h, best first; the other half reports. That the r-th of
    them is the best of k has the chance C(tries - r, k - 1) / C(tries, k). Where none of k may be chosen
    nothing is done to the model: a gap of 0. drawn: plus arms of tries in whose place another seed would
    have made others. An interval is of scenarios, with the order as it is, and of those draws (a bootstrap
    over them): independent, so the squares of what either adds to an end are added.
    """
    rows: list[Outcome] = []
    arms: list[str] = []
    nothing = Candidate("baseline", "baseline")
    places = max(map(len, orders))
    for place in range(places):
        first, second = (order[place] if place < len(order) else nothing for order in orders)
        pair = (first.plus, second.plus), (first.minus, second.minus)
        for sign, (one, other) in zip("+-", pair, strict=True):
            arm = OutOfFold(f"{place} {sign}", (one, other))
            rows += arm.rows(outcomes, half)
            arms.append(arm.name)
    if not arms:
        return ()
    rates = rates_of(rows, arms, "all")
    redrawn = _redrawn(outcomes, orders, half, sorted(drawn)) if drawn else []
    found: list[TriesPoint] = []
    for k in (step for step in steps if step <= tries):
        chances = [comb(tries - 1 - place, k - 1) / comb(tries, k) for place in range(tries)]
        gap = weighted(rates, [sign * chance for chance in chances[:places] for sign in (1, -1)])
        found.append(TriesPoint(tries=k, gap=gap and _widened(gap, Z * _spread(redrawn, chances))))
    return tuple(found)


def _redrawn(
    outcomes: Sequence[Outcome],
    orders: Sequence[Sequence[Candidate]],
    half: Mapping[str, int],
    drawn: Sequence[str],
) -> list[tuple[Array, Array]]:
    """For a half that may choose any: what each try of its order adds to the gap, in points, on the half
    that reports [try], and how often each is there in every resample [resample, try]."""
    often = np.random.default_rng(0).multinomial(len(drawn), [1 / len(drawn)] * len(drawn), DRAWS)
    found: list[tuple[Array, Array]] = []
    for number, order in enumerate(orders):
        if not order:
            continue
        table = tabulate(outcomes, [arm for one in order for arm in (one.plus, one.minus)])
        report = np.isin(table.scenario, [table.scenarios.index(s) for s in members(half, 1 - number)])
        hits = (table.has("hit") & report[:, None]).sum(0) / len(table.scenario)
        points = 100 * (hits[0::2] - hits[1::2])
        times = np.ones((DRAWS, len(order)))
        for place, one in enumerate(order):
            if one.plus in drawn:
                times[:, place] = often[:, drawn.index(one.plus)]
        found.append((points, times))
    return found


def _spread(redrawn: Sequence[tuple[Array, Array]], chances: Sequence[float]) -> float:
    """Standard deviation in points over the resamples; a try that is there twice has two places."""
    upto = np.concatenate([[0.0], np.cumsum(chances)])
    total = np.zeros(DRAWS)
    for points, times in redrawn:
        ends = times.cumsum(1).astype(int)
        total += ((upto[ends] - upto[ends - times.astype(int)]) * points).sum(1)
    return float(total.std())


def _widened(gap: Estimate, by: float) -> Estimate:
    lower, upper = (math.hypot(gap.points - end, by) for end in gap.ci)
    return Estimate(gap.points, (max(-100.0, gap.points - lower), min(100.0, gap.points + upper)))
