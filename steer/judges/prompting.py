"""The prompts of language-model judges, a task's or a file's, named by a hash, and their replies.

A prompt holds the instructions, a line `---`, and the message with its places. An answer is
hostile text: it is put between fences that carry a hash of it, in a single pass, so that nothing
in it can close the fence or name a place. The scenario, which comes first, has a fence of its own:
all answers to it are asked about with the same beginning, which endpoints can cache.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, create_model

from steer.task import JudgePrompt, TaskRecord
from steer.texts import JsonObject
from steer.types import Scenario

Reply = TypeVar("Reply", bound=BaseModel)
FOLDER = Path(__file__).parent / "prompts"
LONGEST_REASON = 2_000  # characters
CLOSE = "</think>"
TAIL = 20_000  # characters in which a reply is searched that is not all of the text
REPLY = (
    "Reply with one JSON object: `label`, and `reason`, one short sentence that names what in the answer "
    "decided it."
)
AFTER = "The labels stand after the answer, each beside a letter."
LETTERED = "\n\nWhich label fits the answer?\n{options}\nReply with one letter."
TWICE = "\0twice"
"""Stands for an object that holds a name twice."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Instructions, the message with its {places}, and a hash of the file that held them."""

    name: str
    instructions: str
    message: str
    hash: str


def _as_label(value: Any) -> Any:
    return re.sub(r"[\s-]+", "_", value.strip().lower()) if isinstance(value, str) else value


def _as_reason(value: Any) -> str:
    """Text that can be stored: no halves of surrogate pairs, and no book."""
    text = value if isinstance(value, str) else ""
    return text[:LONGEST_REASON].encode("utf-8", "replace").decode().strip()


Reason = Annotated[str, BeforeValidator(_as_reason)]


class VerdictReply(BaseModel):
    """What a judge is asked to reply, a label of its task; fields nobody asked for are passed over."""

    label: str
    reason: Reason = ""


class AlignmentReply(BaseModel):
    """Alignment and coherence of an answer to an open question, 0 to 100."""

    alignment: int = Field(ge=0, le=100)
    coherence: int = Field(ge=0, le=100)
    reason: Reason = ""


@cache
def prompt(name: str) -> Prompt:
    """The prompt file `name`.md."""
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    instructions, _, message = text.partition("\n---\n")
    return Prompt(name, instructions.strip(), message.strip(), sha256(text.encode()).hexdigest()[:8])


def verdict_reply(task: TaskRecord) -> type[VerdictReply]:
    """The reply of a judge that chooses among the task's labels."""
    labels: Any = Literal[tuple(label.name for label in task.labels)]
    label: Any = (Annotated[labels, BeforeValidator(_as_label)], ...)
    return create_model("VerdictReply", __base__=VerdictReply, label=label)


def verdict_prompt(task: TaskRecord) -> Prompt:
    """A task's prompt, with its labels' definitions and the form of the reply put in."""
    labels = "\n".join(
        f"- `{label.name}`: " + label.definition.replace("\n", "\n  ") for label in task.labels
    )
    return _composed(task, f"{_told(task).instructions.replace('{labels}', labels)}\n\n{REPLY}", "")


def letters_prompt(task: TaskRecord) -> Prompt:
    """A task's prompt for a judge that replies with a letter: {options} stand after the answer."""
    return _composed(task, _told(task).instructions.replace("{labels}", AFTER), LETTERED)


def _told(task: TaskRecord) -> JudgePrompt:
    if task.prompt is None:
        raise ValueError(f"the task {task.name!r} has no judge's prompt")
    return task.prompt


def _composed(task: TaskRecord, instructions: str, ending: str) -> Prompt:
    message = _told(task).message + ending
    text = f"{instructions}\n\n---\n\n{message}\n"
    return Prompt(task.name, instructions, message, sha256(text.encode()).hexdigest()[:8])


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


def schema(reply: type[BaseModel]) -> JsonObject:
    """The JSON schema of a reply in the strict form: every field required, no others, no bounds."""
    full = reply.model_json_schema()
    fields = cast("dict[str, JsonObject]", full["properties"])
    return {
        "type": "object",
        "properties": {n: {k: v for k, v in f.items() if k in ("type", "enum")} for n, f in fields.items()},
        "required": list(fields),
        "additionalProperties": False,
    }


def read(text: str, reply: type[Reply]) -> Reply | None:
    """The last valid reply among the JSON objects in `text`, after the last thought; None if there is none.

    An object that says a thing twice is no reply, and what came before it is withdrawn. Only the
    last TAIL characters are searched, so that no text takes long.
    """
    text = text.rpartition(CLOSE)[2].strip()
    with suppress(ValueError, RecursionError):  # not JSON alone
        if isinstance(whole := _DECODER.decode(text), dict):
            return _valid(whole, reply)
    text = text[-TAIL:]
    found: Reply | None = None
    start = _OBJECT.search(text)
    while start is not None:
        end = start.end()
        try:
            value, end = _DECODER.raw_decode(text, start.start())
        except RecursionError:  # brackets without end
            return None
        except ValueError:
            pass
        else:
            found = None if TWICE in value else _valid(value, reply) or found
        start = _OBJECT.search(text, end)
    return found


def _valid(value: Any, reply: type[Reply]) -> Reply | None:
    try:
        return reply.model_validate(value) if isinstance(value, dict) and TWICE not in value else None
    except ValidationError:
        return None


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    found = {name.strip().lower(): value for name, value in pairs}
    return found if len(found) == len(pairs) else {TWICE: True}


_OBJECT = re.compile(r'\{\s*"')
_DECODER = json.JSONDecoder(object_pairs_hook=_object)
