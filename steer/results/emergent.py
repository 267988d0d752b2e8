"""What a run with a narrow task found."""

from __future__ import annotations

from steer.metrics import ArmMetrics
from steer.results.estimates import EqualEpochs, MatchedEffects, Spillover
from steer.results.record import Record


class Made(Record):
    """How an arm was made; dials that do not apply are None."""

    method: str
    layer: int | None
    magnitude: float | None
    epochs: int | None
    k: int | None
    kept: float | None


class ControlRange(Record):
    """The largest |points| of n control directions of the vectors' norm."""

    n: int
    narrow_points: float | None
    broad_points: float | None


class DialPoint(Record):
    """A point along one dial of a method, all other dials at the main setting."""

    dial: str
    method: str
    value: float
    broad_set: str
    effects: Spillover


class Training(Record):
    """Mean loss of every epoch, in order, and the last one's share of the first's."""

    losses: tuple[float, ...]
    last_over_first: float


class Emergent(Record):
    """A run with a narrow task. sets: rates by set; spillover, matched, equal_epochs, control_range: by
    broad set; energy: of each component of each subspace, the strongest first."""

    interventions: dict[str, Made]
    sets: dict[str, dict[str, ArmMetrics]]
    spillover: dict[str, dict[str, Spillover]]
    matched: dict[str, MatchedEffects | None]
    equal_epochs: dict[str, tuple[EqualEpochs, ...]]
    control_range: dict[str, ControlRange]
    dials: tuple[DialPoint, ...]
    energy: dict[str, tuple[float, ...]]
    notes: tuple[str, ...]
    training: Training
