"""What a run's configuration says, as the store and `summary.json` hold it."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from steer.types import Operation, Sees, Span, Unit


class GateContent(TypedDict):
    direction: str
    layer: int
    threshold: float


class AdditionContent(TypedDict):
    """direction: its digest. vector: provenance, not content."""

    direction: str
    layer: int
    magnitude: float
    span: Span
    operation: Operation
    unit: Unit
    norm: float | None
    projection: list[float] | None
    vector: NotRequired[str]
    tokens: NotRequired[int]
    within: NotRequired[list[int | None]]
    gate: NotRequired[GateContent]


class ArmContent(TypedDict):
    suffix: str
    system_suffix: str
    additions: list[AdditionContent]
    adapter: str


class ModelConfig(TypedDict):
    name: str
    weights: str
    dtype: str
    files: NotRequired[str]


class ScenariosConfig(TypedDict):
    """An imported run has the identity alone."""

    identity: str
    n: int
    per_category: int | None
    subset_seed: int
    context: str


class SamplingConfig(TypedDict):
    temperatures: list[float]
    samples: int
    seed: int


class LimitsConfig(TypedDict):
    prompt: int
    new: int
    positions: NotRequired[int]


class JudgeConfig(TypedDict):
    name: str
    sees: NotRequired[Sees]


class Config(TypedDict):
    """What decides a run's rows, of every command; most add more, which nobody reads back."""

    command: str
    version: NotRequired[str]
    model: ModelConfig
    scenarios: ScenariosConfig
    task: NotRequired[dict[str, str]]
    suffixes: NotRequired[str]
    arms: dict[str, ArmContent]
    sampling: SamplingConfig
    limits: LimitsConfig
    thinking: NotRequired[bool]
    judge: JudgeConfig
    date: NotRequired[str]


class SweepConfig(Config):
    """The vector's id, and the bounds of the choice."""

    vector: str
    cap: dict[str, float]
