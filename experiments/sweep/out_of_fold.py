"""Arms out of fold: each half's scenarios under the arm that was chosen on the other half.

What is reported of a chosen vector is reported of such an arm, and so is what stands beside it: its
controls, and the vector with a suffix. It knows outcomes and summaries, no models.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from experiments.sweep.choice import CrossFit, MeasuredCell, OutOfFold
from steer.intervals import Interval
from steer.metrics import arm_metrics, gaps
from steer.propensity import Shift, Steerability, propensities, shift, steerability
from steer.results.estimates import ArmResult, Estimate, FoldedArm
from steer.results.sweep import ENOUGH, BeyondNulls, Bound, ControlResult, Folded
from steer.types import Outcome

PERCENTILE = 95
TIE = 1e-9
"""Effects that differ by less were counted from equal numbers of rows."""

GAPS = ("plus-minus", "plus", "minus")


def described(
    folded: Iterable[OutOfFold],
    outcomes: Sequence[Outcome],
    half: Mapping[str, int],
    arms: Mapping[str, ArmResult],
) -> dict[str, FoldedArm]:
    """Counts and rates of each out of fold (report); side effects are the mean of its two arms'.

    arms: a result's. Side effects choose nothing but through the cap, so they need no fold.
    """
    found: dict[str, FoldedArm] = {}
    for one in folded:
        rates = arm_metrics(one.rows(outcomes, half))[one.name]
        pair = [arms[name] for name in one.arms]
        effects = {name: mean([arm.measures.get(name) for arm in pair]) for name in pair[0].measures}
        found[one.name] = FoldedArm(
            **asdict(rates),
            arms=one.arms,
            cut=max(arm.cut for arm in pair),
            measures={effect: value for effect, value in effects.items() if value is not None},
        )
    return found


def mean(values: Sequence[float | None]) -> float | None:
    """None where there are none, or one is missing."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


@dataclass(frozen=True, slots=True)
class ControlPair:
    """A control direction at both signs of the chosen cells, put together as the vector's arms are."""

    name: str
    kind: str
    plus: OutOfFold
    minus: OutOfFold


def control_effects(
    pairs: Sequence[ControlPair], outcomes: Sequence[Outcome], half: Mapping[str, int]
) -> tuple[ControlResult, ...]:
    """Each control's three gaps in points of all, as the chosen vector's are reported; of choices, in nats
    too."""
    baseline = [o for o in outcomes if o.arm == "baseline"]
    found: list[ControlResult] = []
    for pair in pairs:
        plus, minus = pair.plus.name, pair.minus.name
        rows = [*baseline, *pair.plus.rows(outcomes, half), *pair.minus.rows(outcomes, half)]
        three = gaps(rows, three_pairs(plus, minus))
        points = {
            name: None if g.points_all is None or g.ci_all is None else Estimate(g.points_all, g.ci_all)
            for name, g in zip(GAPS, three, strict=True)
        }
        shifts = three_shifts(rows, plus, minus)
        found.append(ControlResult(control=pair.name, kind=pair.kind, gaps=points, shifts=shifts))
    return tuple(found)


def three_pairs(plus: str, minus: str) -> list[tuple[str, str]]:
    """The pairs of arms of `GAPS`."""
    return [(plus, minus), (plus, "baseline"), ("baseline", minus)]


def three_shifts(outcomes: Sequence[Outcome], plus: str, minus: str) -> dict[str, Shift]:
    """The three gaps of a pair of arms in propensity; nothing where answers were judged."""
    table = propensities(outcomes)
    if table is None:
        return {}
    return {name: shift(table, *pair) for name, pair in zip(GAPS, three_pairs(plus, minus), strict=True)}


def steerability_of(
    fit: CrossFit, cells: Sequence[MeasuredCell], outcomes: Sequence[Outcome], half: Mapping[str, int]
) -> Steerability | None:
    """The vector's slope over magnitude, on the layer that the other half chose; None without choices.

    Magnitudes that one of the two layers lacks are left out.
    """
    places = {(cell.layer, cell.magnitude): cell.arm for cell in cells}
    first, second = (chosen.candidate.layer for chosen in fit.chosen)
    curve = {"baseline": 0.0}
    rows = [row for row in outcomes if row.arm == "baseline"]
    for magnitude in sorted({cell.magnitude for cell in cells}):
        pair = places.get((first or 0, magnitude)), places.get((second or 0, magnitude))
        if pair[0] is not None and pair[1] is not None:
            arm = OutOfFold(f"vector {magnitude:+g}", (pair[0], pair[1]))
            curve[arm.name] = magnitude
            rows += arm.rows(outcomes, half)
    table = propensities(rows)
    return None if table is None else steerability(table, curve)


def beyond(
    report: Folded, controls: Sequence[ControlResult], kind: str, *, choosing: bool = False
) -> BeyondNulls:
    """Per gap, in points and of choices in nats: the vector among the nulls of a kind (random directions, or
    unrelated contrasts), and whether its interval is beyond their 95th percentile.

    The percentile is the order statistic of rank 0.95 (n + 1): with 19 the largest, with fewer there is none.
    choosing: whether they chose their own cells.
    """
    nulls = [control for control in controls if control.kind == kind]
    points = {
        name: bound_of(
            [e.points for one in nulls if (e := one.gaps[name]) is not None], gap.points_all, gap.ci_all
        )
        for name, gap in report.gaps.items()
    }
    nats = {
        name: bound_of([n for one in nulls if (n := one.shifts[name].nats) is not None], shift.nats, shift.ci)
        for name, shift in report.shifts.items()
    }
    return BeyondNulls(directions=len(nulls), gaps=points, shifts=nats, choosing=choosing)


def bound_of(effects: Sequence[float], own: float | None, ci: Interval | None) -> Bound:
    """Where the vector's own effect, with its interval, stands among the nulls'."""
    sizes = np.abs(effects)
    bound = float(np.percentile(sizes, PERCENTILE, method="weibull")) if len(sizes) >= ENOUGH else None
    beyond = None if bound is None or ci is None else bool(ci[0] > bound or ci[1] < -bound)
    largest = float(sizes.max()) if len(sizes) else None
    if own is None or not len(sizes):
        return Bound(largest=largest, percentile_95=bound, beyond=beyond)
    larger, tied = int((sizes > abs(own) + TIE).sum()), int((np.abs(sizes - abs(own)) <= TIE).sum())
    return Bound(
        largest=largest,
        percentile_95=bound,
        beyond=beyond,
        percentile=100 * (len(sizes) - larger - tied / 2) / len(sizes),
        p=(1 + larger + tied) / (1 + len(sizes)),
    )
