"""What a run's configuration says, as the store and `summary.json` hold it."""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from steer.types import Operation, Sees, Span, Unit

EXACT = ConfigDict(extra="forbid", allow_inf_nan=False)
"""How pydantic checks an arm that is read from a file."""

Layer = Annotated[int, Field(ge=0)]


@with_config(EXACT)
class GateContent(TypedDict):
    direction: str
    layer: Layer
    threshold: float


@with_config(EXACT)
class AdditionContent(TypedDict):
    """direction: its digest."""

    direction: str
    layer: Layer
    magnitude: float
    span: Span
    operation: Operation
    unit: Unit
    norm: float | None
    projection: Annotated[list[float], Field(min_length=2, max_length=2)] | None
    tokens: NotRequired[Annotated[int, Field(ge=1)]]
    within: NotRequired[list[int | None]]
    gate: NotRequired[GateContent]


@with_config(EXACT)
class VectorAddition(AdditionContent):
    """vector: the id of its file; provenance, not content."""

    vector: str


@with_config(EXACT)
class ArmContent(TypedDict):
    suffix: str
    system_suffix: str
    additions: list[VectorAddition]
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
