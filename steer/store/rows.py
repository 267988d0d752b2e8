"""What goes into a run store and comes out of it."""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from steer.errors import understood
from steer.types import Applied, Choices, Option, Response, Status


@dataclass(frozen=True, slots=True)
class PlanRow:
    """Who asked for a response: a scenario under an arm. Equal arms share a response key."""

    scenario: str
    arm: str
    sample: int
    response: str
    prompt: str


@dataclass(frozen=True, slots=True)
class Setting:
    """What the rows under one name are of: an arm, at a temperature (None where the run has no record)."""

    arm: str
    temperature: float | None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as sent: its texts after steering by suffix, and its token ids."""

    id: str
    system: str
    user: str
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response with its decoded text: thinking apart from the answer, `complete` if it closed.

    measures: what is known of it already, by name.
    """

    response: Response
    thinking: str
    answer: str
    complete: bool
    engine: str
    measures: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class Row:
    """One planned row with all that is known of it, as reports and exports read it.

    label: the task's word for its role, where the judge chose among the task's labels; else "".
    """

    arm: str
    scenario: str
    category: str
    sample: int
    key: str
    system: str
    user: str
    prompt_tokens: int
    answer_tokens: int
    thinking: str
    answer: str
    finish: str
    error: str
    applied: tuple[Applied, ...]
    seconds: float
    status: Status
    reason: str
    label: str


def pack_choices(choices: Choices | None) -> str:
    """As JSON; "" for none."""
    return "" if choices is None else json.dumps(asdict(choices))


def unpack_choices(text: str) -> Choices | None:
    if not text:
        return None
    with understood("the options of a scenario"):
        found = json.loads(text)
        options = tuple(Option(**option) for option in found.pop("options"))
        return Choices(options, **found)


def pack(ids: Sequence[int]) -> bytes:
    """Token ids as little-endian int32."""
    return array("i", ids).tobytes()


def unpack(blob: bytes) -> tuple[int, ...]:
    out = array("i")
    out.frombytes(blob)
    return tuple(out)
