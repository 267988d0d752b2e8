"""The two OpenAI APIs: how a question is put to each, and what of the reply can be used.

The Responses API and chat completions ask and answer the same in different words. This module
knows no retries, no keys and no labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from openai import AsyncOpenAI

Api = Literal["responses", "chat"]
APIS: tuple[Api, ...] = ("responses", "chat")
MAX_TOKENS = 1000
UNREADABLE = "the endpoint's reply could not be read"
DECLINED = "the judge declined to answer"
CUT = "the judge's reply was cut off"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `group` sorts questions whose beginnings are equal next to each other."""

    id: str
    group: str
    instructions: str
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class Form(Generic[T]):
    """What a usable reply is: its JSON schema, and the reader (None: not usable)."""

    name: str
    schema: dict[str, Any]
    read: Callable[[str], T | None]


@dataclass(slots=True)
class Usage:
    """Calls that were made, and tokens counted in what was answered."""

    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """text, or the problem that left none; tokens as the endpoint counts them (calls is 0)."""

    text: str = ""
    problem: str = ""
    tokens: Usage = field(default_factory=Usage)


def settings(api: Api, model: str, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Greedy, short, by a strict JSON schema; the endpoint keeps nothing; gpt-5 does not reason first."""
    layout = {"name": name, "schema": schema, "strict": True}
    if api == "chat":
        response = {"type": "json_schema", "json_schema": layout}
        return {"response_format": response, "max_tokens": MAX_TOKENS, "temperature": 0}
    found: dict[str, Any] = {
        "text": {"format": {"type": "json_schema", **layout}},
        "max_output_tokens": MAX_TOKENS,
        "store": False,
        "temperature": 0,
    }
    return found | ({"reasoning": {"effort": "none"}} if model.startswith("gpt-5") else {})


async def ask(
    api: Api, client: AsyncOpenAI, model: str, instructions: str, message: str, chosen: dict[str, Any]
) -> Reply:
    """One call. What is no reply of this API (a page, half a body, other fields) is UNREADABLE.

    Raises openai's errors for a status that is no success, or no answer at all.
    """
    from openai import APIResponseValidationError

    try:
        if api == "responses":
            found: Any = await client.responses.create(
                model=model, instructions=instructions, input=message, **chosen
            )
        else:
            turns: Any = [
                {"role": "system", "content": instructions},
                {"role": "user", "content": message},
            ]
            found = await client.chat.completions.create(model=model, messages=turns, **chosen)
    except (ValueError, APIResponseValidationError):  # a body that is not the JSON its header promised
        return Reply(problem=UNREADABLE)
    try:
        return _response(found) if api == "responses" else _chat(found)
    except (AttributeError, IndexError, TypeError):  # JSON, or a page, that lacks what the API promises
        return Reply(problem=UNREADABLE)


def _response(found: Any) -> Reply:
    tokens = Usage()
    if found.usage is not None:
        details = found.usage.input_tokens_details
        cached = (details and details.cached_tokens) or 0
        tokens = Usage(0, found.usage.input_tokens, cached, found.usage.output_tokens)
    parts = [part for one in found.output if one.type == "message" for part in one.content]
    if any(part.type == "refusal" for part in parts):
        return Reply(problem=DECLINED, tokens=tokens)
    if found.status == "incomplete":
        return Reply(problem=CUT, tokens=tokens)
    return Reply("".join(part.text for part in parts if part.type == "output_text"), tokens=tokens)


def _chat(found: Any) -> Reply:
    tokens = Usage()
    if found.usage is not None:
        details = found.usage.prompt_tokens_details
        cached = (details and details.cached_tokens) or 0
        tokens = Usage(0, found.usage.prompt_tokens, cached, found.usage.completion_tokens)
    choice = found.choices[0]
    if choice.message.refusal or choice.finish_reason == "content_filter":
        return Reply(problem=DECLINED, tokens=tokens)
    if choice.finish_reason == "length":
        return Reply(problem=CUT, tokens=tokens)
    return Reply(choice.message.content or "", tokens=tokens)
