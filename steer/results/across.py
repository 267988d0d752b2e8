"""What several models' runs show together."""

from __future__ import annotations

from typing import Literal

from steer.gaps import Gap
from steer.metrics import ArmMetrics
from steer.results.estimates import GapDifference, RateDifference, Spillover, Trend
from steer.results.record import SCHEMA_VERSION, Record
from steer.results.result import JudgeUsed, TaskWords


class ModelRow(Record):
    """A model: its rates under baseline and suffixes, capability (None: not measured), and gaps.

    plan: of a dry run, what would be run.
    """

    folder: str
    arms: dict[str, ArmMetrics] = {}
    capability: float | None = None
    suffix: Gap | None = None
    vector: Gap | None = None
    difference: GapDifference | None = None
    plan: dict[str, int | float | str] | None = None


class Models(Record):
    """pairwise: by arm, each pair of models. trend: by way, of the gap over capability."""

    schema_version: Literal[3] = SCHEMA_VERSION
    models: dict[str, ModelRow]
    pairwise: dict[str, tuple[RateDifference, ...]] = {}
    trend: dict[str, Trend | None] = {}
    verdicts: tuple[str, ...] = ()
    judge: JudgeUsed | None = None
    task: TaskWords | None = None
    evidence: str = ""


class EmergentRow(Record):
    """What one way of steering did to one model, on the narrow task and on one broad set."""

    model: str
    method: str
    broad_set: str
    evidence: str
    folder: str
    effects: Spillover


class EmergentModels(Record):
    """The model dial: a row a model, method and broad set."""

    schema_version: Literal[3] = SCHEMA_VERSION
    models: tuple[EmergentRow, ...] = ()
