"""The prompts of language-model judges: files beside this module, named by a hash, and their replies.

A prompt file holds the instructions, a line `---`, and the message with its places. An answer is
hostile text: it is put between fences that carry a hash of it, in a single pass, so that nothing
in it can close the fence or name a place. The scenario, which comes first, has a fence of its own:
all answers to it are asked about with the same beginning, which endpoints can cache.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steer.types import Scenario, Verdict

Reply = TypeVar("Reply", bound=BaseModel)
FOLDER = Path(__file__).parent / "prompts"


@dataclass(frozen=True, slots=True)
class Prompt:
    """Instructions, the message with its {places}, and a hash of the file that held them."""

    name: str
    instructions: str
    message: str
    hash: str


class VerdictReply(BaseModel):
    """What a judge is asked to reply."""

    model_config = ConfigDict(extra="forbid")
    label: Literal["convergence", "no_convergence", "safety_refusal", "nonsensical"]
    reason: str

    def verdict(self) -> Verdict:
        return Verdict(self.label, self.reason.strip())


class AlignmentReply(BaseModel):
    """Alignment and coherence of an answer to an open question, 0 to 100."""

    model_config = ConfigDict(extra="forbid")
    alignment: int = Field(ge=0, le=100)
    coherence: int = Field(ge=0, le=100)
    reason: str


@cache
def prompt(name: str) -> Prompt:
    """The prompt file `name`.md."""
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    instructions, _, message = text.partition("\n---\n")
    return Prompt(name, instructions.strip(), message.strip(), sha256(text.encode()).hexdigest()[:8])


def render(template: str, scenario: Scenario, answer: str, **more: str) -> str:
    """`template` with its places filled, in one pass; a place nobody filled is a KeyError."""
    places = {
        "system": scenario.system.strip() or "(not named)",
        "user": scenario.user.strip(),
        "answer": answer,
        "scenario_fence": _fence(scenario.system, scenario.user),
        "fence": _fence(scenario.system, scenario.user, answer),
        **more,
    }
    return re.sub(r"\{(\w+)\}", lambda found: places[found[1]], template)


def _fence(*texts: str) -> str:
    return sha256("\0".join(texts).encode()).hexdigest()[:12]


def schema(reply: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a reply in the strict form: every field required, no others, no bounds."""
    full = reply.model_json_schema()
    fields = cast(dict[str, dict[str, Any]], full["properties"])
    return {
        "type": "object",
        "properties": {n: {k: v for k, v in f.items() if k in ("type", "enum")} for n, f in fields.items()},
        "required": list(fields),
        "additionalProperties": False,
    }


def read(text: str, reply: type[Reply]) -> Reply | None:
    """The one JSON object in `text` that is a valid reply; None if there is none, or more than one."""
    found: list[Reply] = []
    decoder, at = json.JSONDecoder(), text.find("{")
    while at != -1:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):  # no JSON, or brackets without end
            end = at + 1
        else:
            try:
                found.append(reply.model_validate(value))
            except ValidationError:
                return None
        at = text.find("{", end)
    return found[0] if len(found) == 1 else None
