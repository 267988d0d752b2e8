"""Composite arms: each half's scenarios under the arm that was chosen on the other half.

What is reported of a chosen vector is reported of such an arm, and so is what stands beside it: its
controls, and the vector with a suffix. It knows outcomes and summaries, no models.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from experiments.choice import CrossFit, MeasuredCell
from experiments.contrasts import relabel
from steer.intervals import Interval
from steer.metrics import arm_metrics, gaps
from steer.propensity import propensities, shift, steerability
from steer.show import words
from steer.types import Outcome

PERCENTILE = 95
GAPS = ("plus-minus", "plus", "minus")
SIDE_EFFECTS = ("fluency", "compression", "distinct3", "drift", "capability", "over_refusal")


@dataclass(frozen=True, slots=True)
class Composite:
    """arms[h]: the arm that half h chose, which the scenarios of the other half report on."""

    name: str
    arms: tuple[str, str]

    def rows(self, outcomes: Sequence[Outcome], half: Mapping[str, int]) -> list[Outcome]:
        """Its outcomes, under its name."""
        return relabel(outcomes, self.name, {scenario: self.arms[1 - h] for scenario, h in half.items()})


def described(
    composites: Iterable[Composite],
    outcomes: Sequence[Outcome],
    half: Mapping[str, int],
    arms: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Counts and rates of each out of fold (report); side effects are the mean of its two arms'.

    arms: a summary's. Side effects choose nothing but through the cap, so they need no fold.
    """
    found: dict[str, dict[str, Any]] = {}
    for composite in composites:
        rates = arm_metrics(composite.rows(outcomes, half))[composite.name]
        pair = [arms[name] for name in composite.arms]
        effects = {effect: mean([arm.get(effect) for arm in pair]) for effect in SIDE_EFFECTS}
        found[composite.name] = {
            "role": "report",
            "arms": list(composite.arms),
            **asdict(rates),
            "cut": max(arm["cut"] for arm in pair),
            **{effect: value for effect, value in effects.items() if value is not None},
        }
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
    plus: Composite
    minus: Composite


def control_effects(
    pairs: Sequence[ControlPair], outcomes: Sequence[Outcome], half: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Each control's three gaps in points of all, as the chosen vector's are reported; of choices, in nats
    too."""
    baseline = [o for o in outcomes if o.arm == "baseline"]
    found: list[dict[str, Any]] = []
    for pair in pairs:
        plus, minus = pair.plus.name, pair.minus.name
        rows = [*baseline, *pair.plus.rows(outcomes, half), *pair.minus.rows(outcomes, half)]
        three = gaps(rows, [(plus, minus), (plus, "baseline"), ("baseline", minus)])
        points = {name: {"points": g.points_all, "ci": g.ci_all} for name, g in zip(GAPS, three, strict=True)}
        found.append({"control": pair.name, "kind": pair.kind, "role": "report", **points})
        if shifts := three_shifts(rows, plus, minus):
            found[-1]["propensity"] = shifts
    return found


def three_shifts(outcomes: Sequence[Outcome], plus: str, minus: str) -> dict[str, Any]:
    """The three gaps of a pair of arms in propensity; nothing where answers were judged."""
    table = propensities(outcomes)
    if table is None:
        return {}
    pairs = [(plus, minus), (plus, "baseline"), ("baseline", minus)]
    return {name: asdict(shift(table, *pair)) for name, pair in zip(GAPS, pairs, strict=True)}


def steerability_of(
    fit: CrossFit, cells: Sequence[MeasuredCell], outcomes: Sequence[Outcome], half: Mapping[str, int]
) -> dict[str, Any] | None:
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
            composite = Composite(f"vector {magnitude:+g}", (pair[0], pair[1]))
            curve[composite.name] = magnitude
            rows += composite.rows(outcomes, half)
    table = propensities(rows)
    return None if table is None else asdict(steerability(table, curve))


def beyond_random(choice: Mapping[str, Any], controls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Per gap: the largest of the random directions' |points|, their 95th percentile, and whether the
    vector's interval is beyond that; None where fewer than 19 directions have an estimate. Of choices, in
    nats too, under `propensity`.

    The percentile is the order statistic of rank 0.95 (n + 1): with 19 the largest, with fewer there is none.
    """
    random = [control for control in controls if control["kind"] == "random"]
    found: dict[str, Any] = {"directions": len(random)}
    for name in GAPS:
        sizes = [abs(one[name]["points"]) for one in random if one[name]["points"] is not None]
        bound, beyond = _beyond(sizes, choice[name]["ci_all"])
        found[name] = {"abs_points_max": max(sizes, default=None), "abs_points_95": bound, "beyond": beyond}
    if "propensity" in choice:
        found["propensity"] = {}
        for name in GAPS:
            nats = [abs(one["propensity"][name]["nats"]) for one in random]
            bound, beyond = _beyond(nats, choice["propensity"][name]["ci"])
            found["propensity"][name] = {
                "abs_nats_max": max(nats, default=None),
                "abs_nats_95": bound,
                "beyond": beyond,
            }
    return found


def _beyond(sizes: Sequence[float], ci: Interval | None) -> tuple[float | None, bool | None]:
    """The 95th percentile of sizes, and whether an interval is beyond it."""
    enough = len(sizes) >= words.ENOUGH
    bound = float(np.percentile(sizes, PERCENTILE, method="weibull")) if enough else None
    return bound, None if bound is None or ci is None else bool(ci[0] > bound or ci[1] < -bound)
