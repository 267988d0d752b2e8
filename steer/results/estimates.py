"""Estimates as a result holds them. Points are percentage points; None is no estimate, never 0."""

from __future__ import annotations

from dataclasses import dataclass, field

from steer.intervals import Interval
from steer.metrics import ArmMetrics

OpenInterval = tuple[float | None, float | None]
"""An end that is None lies too far off to be found, if anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult(ArmMetrics):
    """An arm of a run: its rates, what it took, and what was measured of it (`steer.measures`).

    arm, temperature: what the rows under this name are of. kind: baseline, suffix, cell, control, both,
    adapter, other, or stopped: a cell with a part of the rows. cut: answers that the limit ended. echo:
    answers that repeat a suffix. lost: how many values of a measure came out not finite; they are in no mean.
    """

    arm: str
    temperature: float | None
    kind: str
    prompt_tokens: int
    answer_tokens: int
    seconds: float
    cut: int
    echo: int
    measures: dict[str, float | None] = field(default_factory=dict[str, float | None])
    lost: dict[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedArm(ArmMetrics):
    """Each half's scenarios under the arm that the other half chose. cut, measures: of those two arms."""

    arms: tuple[str, str]
    cut: int
    measures: dict[str, float | None] = field(default_factory=dict[str, float | None])


def measure_of(arm: ArmResult | FoldedArm, name: str) -> float | None:
    """A measure of an arm, or a rate that its labels tell."""
    if name in ArmMetrics.__slots__:
        found: float | None = getattr(arm, name)
        return found
    return arm.measures.get(name)


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate in percentage points, with its interval."""

    points: float
    ci: Interval

    @property
    def excludes_zero(self) -> bool:
        return self.ci[0] > 0 or self.ci[1] < 0


@dataclass(frozen=True, slots=True)
class GapDifference:
    """The gap of `first` minus the gap of `second`, each a pair of arms.

    p: exact sign-flip test of the scenarios' differences, hits against everything else over
    rows that all four arms have.
    """

    first: tuple[str, str]
    second: tuple[str, str]
    rows: int
    over_all: Estimate | None
    over_valid: Estimate | None
    p: float | None


@dataclass(frozen=True, slots=True)
class Dose:
    """An arm of the dose curve. size: |magnitude| > 0.

    coherent: by half, whether it counts for the half's scenarios: under the cap where it was chosen.
    """

    arm: str
    size: float
    coherent: tuple[bool, bool] = (True, True)


@dataclass(frozen=True, slots=True)
class Reached:
    """Where a dose curve first reaches its target.

    size: |magnitude|; None when the curve never does, or (see reason) there is nothing to reach.
    ci: 95 %; None when there is only a bound. at_least: the lower bound that then stands in its place
        (97.5 % one-sided). never: share of resamples in which the curve never reaches the target.
    distance: the way from magnitude 0 to the target, in points.
    """

    size: float | None
    ci: Interval | None
    at_least: float | None
    never: float | None
    distance: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MatchedDose:
    """The cells whose own effect is nearest to a suffix's: chosen on a half, reported on the other.

    arms, sizes: cell and |magnitude| by the half that chose. reached: by half, whether any dose is as
    strong as the suffix there; where none is, the largest stands in.
    """

    arms: tuple[str, str]
    sizes: tuple[float, float]
    reached: tuple[bool, bool]


@dataclass(frozen=True, slots=True)
class TugOfWar:
    """u: None, with the reason, where the interval of the attack's solo effect includes 0. An end of its
    interval that lies too far off to be found is None, said in the reason too.

    alone, under_defence: the attack's effect without and with the defence; interaction: the second minus
    the first; all in points.
    """

    u: float | None
    ci: OpenInterval | None
    alone: Estimate | None
    under_defence: Estimate | None
    interaction: Estimate | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Spillover:
    """Effects in points of all items, paired intervals; the ratio and why there is none.

    narrow_items, broad_items: scenarios with an outcome under both arms.
    """

    arm: str
    narrow_points: float | None
    narrow_ci: Interval | None
    narrow_items: int
    broad_points: float | None
    broad_ci: Interval | None
    broad_items: int
    ratio: float | None
    ratio_ci: OpenInterval | None
    why_none: str = ""


@dataclass(frozen=True, slots=True)
class MatchedEffects:
    """Two arms of equal narrow effect: first minus second, so a narrow difference near 0 is a good match.

    chosen_points: each one's narrow effect against baseline on the half that chose. narrow: the
    difference on the other half; broad: on all broad items.
    """

    first: str
    second: str
    chosen_points: tuple[float, float]
    narrow_points: float
    narrow_ci: Interval
    broad_points: float
    broad_ci: Interval


@dataclass(frozen=True, slots=True)
class EqualEpochs:
    """first minus second in points, on all narrow and all broad items; None without an item of both."""

    first: str
    second: str
    epochs: int
    narrow_points: float | None
    narrow_ci: Interval | None
    broad_points: float | None
    broad_ci: Interval | None


@dataclass(frozen=True, slots=True)
class RateDifference:
    """First minus second rate of all answers, in points, over the `pairs` (scenario, sample) of both models.

    p: exact, McNemar's or (several samples) the sign-flip test of the scenarios; p_holm: over all pairs
    of models compared together. None where the models share no scenario.
    """

    first: str
    second: str
    pairs: int
    points: float | None
    ci: Interval | None
    p: float | None
    p_holm: float | None


@dataclass(frozen=True, slots=True)
class Trend:
    """Points of steerability per unit of capability, by least squares over models; t interval.

    It says how well a line over *these models, as a sample of models,* is known: with three of them, hardly.
    """

    models: int
    slope: float
    ci: Interval
    p: float
