"""The two OpenAI APIs: how a question is put to each, and what of the reply can be used.

The Responses API and chat completions ask and answer the same in different words. A body is read
as the JSON it is, whatever its fields hold: nothing in it can raise. This module knows no retries,
no keys and no labels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

from steer.texts import JsonObject

if TYPE_CHECKING:
    from openai import AsyncOpenAI

CONCURRENCY = 16
TIMEOUT = 120.0  # seconds for one whole reply

Api = Literal["responses", "chat"]
APIS: tuple[Api, ...] = ("responses", "chat")
SCHEMA: dict[Api, str] = {"responses": "text", "chat": "response_format"}
"""The setting that holds a reply to the schema."""

EFFORTS = ("none", "minimal", "low")
REASONING = ("reasoning", "reasoning_effort")
UNREADABLE = "the endpoint's reply could not be read"
DECLINED = "the judge declined to answer"
CUT = "the judge's reply was cut off"
MOST_TOKENS = 10**9  # a larger count is none

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
    schema: JsonObject
    read: Callable[[str], T | None]


@dataclass(frozen=True, slots=True)
class Way:
    """How an endpoint is asked: by which API, without which settings, with how much thought."""

    api: Api
    dropped: tuple[str, ...] = ()
    effort: str = EFFORTS[0]

    @property
    def schema(self) -> bool:
        """Whether the endpoint is told to hold its replies to the schema."""
        return SCHEMA[self.api] not in self.dropped

    def without(self, setting: str) -> Way:
        """The next thing to try where the endpoint complains of a setting."""
        if setting in REASONING and self.effort != EFFORTS[-1]:
            return replace(self, effort=EFFORTS[EFFORTS.index(self.effort) + 1])
        return replace(self, dropped=(*self.dropped, setting))


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


def settings(way: Way, form: Form[T], room: int, *, reasons: bool) -> JsonObject:
    """Greedy, of at most `room` tokens, by a strict JSON schema; the endpoint keeps nothing.

    reasons: the model thinks first unless told otherwise.
    """
    layout = {"name": form.name, "schema": form.schema, "strict": True}
    wanted: JsonObject = {"temperature": 0}
    if way.api == "chat":
        wanted |= {"response_format": {"type": "json_schema", "json_schema": layout}, "max_tokens": room}
        effort = {"reasoning_effort": way.effort}
    else:
        wanted |= {"text": {"format": {"type": "json_schema", **layout}}, "max_output_tokens": room}
        wanted |= {"store": False}
        effort = {"reasoning": {"effort": way.effort}}
    wanted |= effort if reasons else {}
    return {name: value for name, value in wanted.items() if name not in way.dropped}


async def ask(
    api: Api, client: AsyncOpenAI, model: str, instructions: str, message: str, chosen: JsonObject
) -> Reply:
    """One call. What is no reply of this API (a page, half a body, other fields) is UNREADABLE.

    Raises openai's errors for a status that is no success, or no answer at all.
    """
    if api == "responses":
        found = await client.responses.with_raw_response.create(
            model=model, instructions=instructions, input=message, **chosen
        )
        return _response(parsed(found.content))
    turns: Any = [{"role": "system", "content": instructions}, {"role": "user", "content": message}]
    found = await client.chat.completions.with_raw_response.create(model=model, messages=turns, **chosen)
    return _chat(parsed(found.content))


def parsed(body: bytes) -> Any:
    """The JSON of a body, or None: for what is none, too, and for brackets without end."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _response(found: Any) -> Reply:
    if not isinstance(_get(found, "output"), list):
        return Reply(problem=UNREADABLE)
    tokens = _tokens(found, "input", "output")
    items = list(_dicts(_get(found, "output")))
    messages = [item for item in items if _get(item, "type") == "message"]
    parts = [part for item in messages for part in _dicts(_get(item, "content"))]
    if any(_get(part, "type") == "refusal" for part in parts):
        return Reply(problem=DECLINED, tokens=tokens)
    if _get(found, "status") == "incomplete":
        why = _get(_get(found, "incomplete_details"), "reason")
        return Reply(problem=DECLINED if why == "content_filter" else CUT, tokens=tokens)
    said = "".join(_text(_get(item, "content")) for item in messages)
    thought = "".join(_text(_get(item, "content"), "reasoning_text") for item in items)
    return Reply(said if said.strip() else thought, tokens=tokens)


def _chat(found: Any) -> Reply:
    tokens = _tokens(found, "prompt", "completion")
    choice = next(_dicts(_get(found, "choices")), None)
    message = _get(choice, "message")
    if not isinstance(message, dict):
        return Reply(problem=UNREADABLE, tokens=tokens)
    if _get(message, "refusal") or _get(choice, "finish_reason") == "content_filter":
        return Reply(problem=DECLINED, tokens=tokens)
    if _get(choice, "finish_reason") == "length":
        return Reply(problem=CUT, tokens=tokens)
    places = (_text(_get(message, name)) for name in ("content", "reasoning_content", "reasoning"))
    return Reply(next((text for text in places if text.strip()), ""), tokens=tokens)


def _text(content: Any, *kinds: str) -> str:
    """A text, or what a list of parts says: of `kinds`, else of all that are no thought."""
    if isinstance(content, str):
        return "" if kinds else content
    parts = [
        part for part in _dicts(content) if _get(part, "type") in (kinds or ("text", "output_text", None))
    ]
    return "".join(text for part in parts if isinstance(text := _get(part, "text"), str))


def _tokens(found: Any, before: str, after: str) -> Usage:
    """Bookkeeping, never an error: a count that is missing or none is 0. Either API's names will do."""
    usage = _get(found, "usage")

    def count(*names: str) -> int:
        values = (_get(usage, f"{name}_tokens") for name in names)
        return next((int(n) for n in values if type(n) in (int, float) and 0 <= n < MOST_TOKENS), 0)

    details = (_get(usage, f"{name}_tokens_details") for name in (before, "input", "prompt"))
    cached = next((n for one in details if type(n := _get(one, "cached_tokens")) is int), 0)
    cached = cached if 0 <= cached < MOST_TOKENS else 0
    return Usage(0, count(before, "input", "prompt"), cached, count(after, "output", "completion"))


def _get(value: Any, name: str) -> Any:
    return cast("JsonObject", value).get(name) if isinstance(value, dict) else None


def _dicts(value: Any) -> Iterator[JsonObject]:
    """The objects in a list; nothing where it is none."""
    for one in cast(list[Any], value) if isinstance(value, list) else ():
        if isinstance(one, dict):
            yield one
