"""Inspect's messages as chat templates take them, with an arm's suffix; a model's tool calls read back.

It does not know engines or how an arm is steered otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageTool,
    ContentReasoning,
    ContentText,
)
from inspect_ai.tool import ToolInfo

from steer.chat import Message, template_of
from steer.errors import UserError
from steer.suffixes import compose

if TYPE_CHECKING:
    from steer.types import LoadedModel
    from steergap.arguments import Turn


def spoken(messages: Sequence[ChatMessage]) -> list[Message]:
    """The conversation without blank system texts. Calls are numbered, so that it says nothing of their ids.

    Raises UserError for what is no text, and for an answer that is to be continued.
    """
    numbers: dict[str, str] = {}
    found = [_message(message, numbers) for message in messages]
    found = [m for m in found if m["role"] != "system" or m["content"].strip()]
    if not any(m["role"] == "user" for m in found):
        raise UserError("the conversation has no user message: a model is asked by one")
    if found[-1]["role"] == "assistant":
        raise UserError("the conversation ends with the assistant's turn: an answer cannot be continued here")
    return found


def _message(message: ChatMessage, numbers: dict[str, str]) -> Message:
    parts = [] if isinstance(message.content, str) else message.content
    for part in parts:
        if not isinstance(part, ContentText | ContentReasoning):
            raise UserError(f"a message of the {message.role} holds {part.type}: only text can be given here")
    found: Message = {"role": message.role, "content": message.text}
    if isinstance(message, ChatMessageAssistant):
        if thought := "\n".join(p.reasoning for p in parts if isinstance(p, ContentReasoning)):
            found["reasoning_content"] = thought
        if calls := message.tool_calls:
            found["tool_calls"] = [
                {
                    "id": numbers.setdefault(
                        call.id, f"{len(numbers):09d}"
                    ),  # Mistral's have nine characters
                    "type": "function",
                    "function": {"name": call.function, "arguments": call.arguments},
                }
                for call in calls
            ]
    if isinstance(message, ChatMessageTool):
        if message.error is not None:
            found["content"] = f"Error: {message.error.message}"
        found["name"] = message.function or ""
        found["tool_call_id"] = numbers.setdefault(message.tool_call_id or "", f"{len(numbers):09d}")
    return found


def with_suffix(messages: Sequence[Message], user: str, system: str, *, turn: Turn) -> list[Message]:
    """The suffix `user` joined to the last or first user message, the suffix `system` to the system text."""
    found = list(messages)
    if user:
        asked = [i for i, m in enumerate(found) if m["role"] == "user"]
        at = asked[-1 if turn == "last" else 0]
        found[at] = {**found[at], "content": compose(found[at]["content"], user)}
    if system:
        said = found.pop(0)["content"] if found[0]["role"] == "system" else ""
        found.insert(0, {"role": "system", "content": compose(said, system).strip()})
    return found


def offered(tools: Sequence[ToolInfo]) -> list[dict[str, Any]]:
    """Tools as templates take them."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters.model_dump(exclude_none=True),
            },
        }
        for tool in tools
    ]


def call_format(loaded: LoadedModel) -> str:
    """How a model of this template writes calls: one of Inspect's names for it. UserError for any other.

    Inspect reads them by the model's name, and a folder may have any: so the template is asked.
    """
    template = template_of(loaded.tokenizer) or ""
    if "<tool_call>" in template and "arguments" in template and "<function=" not in template:
        return "qwen-instruct"  # JSON in tags: Qwen 2.5 and 3, Hermes
    if "<|python_tag|>" in template and "parameters" in template:
        return "llama"
    if "[TOOL_CALLS]" in template and "[ARGS]" not in template:
        return "mistral"
    raise UserError(
        f"how {loaded.name!r} calls tools is not read here: known are the calls of Qwen 2.5 and 3, Llama 3 "
        "and Mistral (v1 to v3); take one of these, or a task without tools"
    )


def read_calls(text: str, tools: Sequence[ToolInfo], form: str) -> ChatMessageAssistant:
    """The answer with its calls read as Inspect reads those of local models; malformed ones say so."""
    from inspect_ai.model._providers.util.hf_handler import HFHandler

    return HFHandler(form).parse_assistant_response(text, list(tools))
