"""From texts to prompt ids by the model's chat template.

The way back, from output ids to thinking and answer, is in steer.thoughts, whose names that callers need are
also here. It does not know scenarios, suffixes or steering.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, cast

from steer import templates, thoughts
from steer.errors import UserError
from steer.texts import JsonObject
from steer.thoughts import Answer, answer_start, read_answer
from steer.types import DATE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from steer.types import LoadedModel

__all__ = ["Answer", "answer_start", "read_answer", "render", "render_messages"]


class Message(TypedDict):
    """A template's message. tool_calls: `{"id", "type": "function", "function": {"name", "arguments"}}`."""

    role: str
    content: str
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[list[JsonObject]]
    name: NotRequired[str]
    tool_call_id: NotRequired[str]


SWITCHES = ("enable_thinking", "thinking", "reasoning")
"""What templates call the switch for thinking."""

NO_SYSTEM = "--context user puts it before the user's text, --context none leaves it out"


def render(loaded: LoadedModel, system: str, user: str, *, thinking: bool) -> tuple[int, ...]:
    """Prompt ids [position] of a system text (left out when blank) and a user text.

    `thinking` is what Qwen's templates call enable_thinking; other templates ignore it. A tokenizer
    without a template (a base model's) gets the texts with a blank line after each, and the special
    tokens it puts before plain text. Raises UserError where the template fails, leaves a text out or
    opens no answer, and for tokens that the model does not have.
    """
    return render_messages(loaded, _texts(system, user), thinking=thinking)


def render_messages(
    loaded: LoadedModel, messages: Sequence[Message], *, thinking: bool, tools: Sequence[JsonObject] = ()
) -> tuple[int, ...]:
    """Prompt ids [position] of a conversation, as `render` makes them of two texts.

    tools: as templates take them (`{"type": "function", "function": {"name", ...}}`). UserError also where
    the template shows the model no tools, or there is none for more than a system and a user text.
    """
    tokenizer: Any = loaded.tokenizer
    if template_of(loaded.tokenizer) is None:
        if tools or [m["role"] for m in messages] not in (["user"], ["system", "user"]):
            raise UserError(
                f"{loaded.name!r} has no chat template: it takes a system and a user text, no turns or tools"
            )
        plain = "".join(f"{m['content'].strip()}\n\n" for m in messages if m["content"].strip())
        ids = tuple(tokenizer(plain).input_ids)
        while ids and ids[-1] in loaded.stop_ids:  # some tokenizers end every text
            ids = ids[:-1]
        return known(loaded, ids)
    text = _apply(loaded, messages, thinking=thinking, tools=tools)
    last = tokenizer(text.rstrip(), add_special_tokens=False).input_ids[-1:]
    if last and last[0] in loaded.stop_ids:
        raise UserError(
            f"the chat template of {loaded.name!r} ends a prompt with the stop token "
            f"{tokenizer.convert_ids_to_tokens(last[0])!r}: make it open an answer (add_generation_prompt)"
        )
    return known(loaded, tuple(tokenizer(text, add_special_tokens=False).input_ids))


def known(loaded: LoadedModel, ids: tuple[int, ...]) -> tuple[int, ...]:
    """The ids, if the model has them all; UserError else."""
    if loaded.n_tokens and ids and max(ids) >= loaded.n_tokens:
        token = cast("Any", loaded.tokenizer).convert_ids_to_tokens(max(ids))
        raise UserError(
            f"the tokenizer of {loaded.name!r} writes {token!r} as token {max(ids)}, and the model has "
            f"{loaded.n_tokens}: give the model the tokenizer it was trained with"
        )
    return ids


def template_of(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """The chat template; of several named ones the `default`. UserError if there is none among them."""
    held: str | dict[str, str] | None = tokenizer.chat_template
    if isinstance(held, dict):
        if "default" not in held:
            raise UserError(
                f"the tokenizer has the chat templates {', '.join(sorted(held))} and no default: "
                "name the one to use 'default' in the model's folder"
            )
        return held["default"]
    return held


def reads_clock(loaded: LoadedModel) -> bool:
    """Whether the prompt depends on what day it is."""
    return "strftime_now" in (template_of(loaded.tokenizer) or "")


def takes_system(loaded: LoadedModel) -> bool:
    """Whether a system text of its own reaches the model."""
    return template_of(loaded.tokenizer) is None or not _fault(loaded, "Be kind.", "Go on.")


def is_thinking(loaded: LoadedModel) -> bool:
    """Whether the model always thinks: its template opens the thinking itself, or is gpt-oss's.

    A model that can do both (Qwen3-0.6B) is False here, and thinks when asked to.
    """
    template = template_of(loaded.tokenizer)
    return template is not None and (thoughts.HARMONY in template or bool(open_thought(loaded)))


def open_thought(loaded: LoadedModel) -> str:
    """What ends the thought that the template opens unasked; "" where it opens none."""
    return thoughts.opened(_apply(loaded, _texts("", "x"), thinking=False))


def before_answer(loaded: LoadedModel) -> tuple[str, str]:
    """(some prompt's text, what ends the thought that it opens): what an answer would follow at once."""
    template = template_of(loaded.tokenizer)
    if template is None:
        return "x\n\n", ""
    if thoughts.HARMONY in template:
        return _apply(loaded, _texts("", "x"), thinking=False), f"{thoughts.HARMONY}final<|message|>"
    end = open_thought(loaded)
    return _apply(loaded, _texts("", "x"), thinking=False), f"\n{end}\n\n" if end else ""


def has_switch(loaded: LoadedModel) -> bool:
    """Whether a prompt that asks for thinking differs from one that does not."""
    if template_of(loaded.tokenizer) is None:
        return False
    asked, not_asked = (_apply(loaded, _texts("", "x"), thinking=thinking) for thinking in (True, False))
    return asked != not_asked


def turn_end(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The special token that the template puts right after what an assistant says; None without one."""
    template, said = template_of(tokenizer), "I will."
    if template is None:
        return None
    turns: list[Message] = [{"role": "user", "content": "Will you?"}, {"role": "assistant", "content": said}]
    try:
        text = templates.render(template, _variables(tokenizer, turns, answer=False), date=DATE)
    except templates.TemplateFault:
        return None  # said where a prompt is rendered
    after = text.rpartition(said)[2].lstrip() if said in text else ""
    ids = cast("Any", tokenizer)(after, add_special_tokens=False).input_ids
    token = cast("dict[int, Any]", tokenizer.added_tokens_decoder).get(ids[0]) if ids else None
    if token is None or not token.special:
        return None
    parts = any(mark in template and end.startswith(str(token)) for mark, end in thoughts.MARKS)
    return None if parts else ids[0]  # where it ends a thought too, it is no end of a turn


def _texts(system: str, user: str) -> list[Message]:
    said: list[Message] = [{"role": "system", "content": system}] if system.strip() else []
    return [*said, {"role": "user", "content": user}]


def _apply(
    loaded: LoadedModel, messages: Sequence[Message], *, thinking: bool, tools: Sequence[JsonObject] = ()
) -> str:
    said = list(messages)
    if loaded.context == "user" and [m["role"] for m in said[:2]] == ["system", "user"]:
        system, user = (m["content"] for m in said[:2])
        said = _texts("", f"{system.strip()}\n\n{user}") + said[2:]
    variables = _variables(loaded.tokenizer, said, answer=True) | dict.fromkeys(SWITCHES, thinking)
    variables["tools"] = list(tools) or None
    why, text = "", ""
    try:
        text = templates.render(template_of(loaded.tokenizer) or "", variables, date=loaded.date)
    except templates.TemplateFault as fault:
        why = str(fault)
    else:
        if dropped := [m["role"] for m in said if not _holds(text, m["content"])]:
            why = f"it leaves the {dropped[0]}'s text out"
        if hidden := [tool["function"]["name"] for tool in tools if tool["function"]["name"] not in text]:
            raise UserError(
                f"the chat template of {loaded.name!r} shows the model no tools (first: {hidden[0]!r}): "
                "take a model whose template does"
            )
    if not why:
        return text
    if said[0]["role"] == "system" and not _fault(loaded, "", said[1]["content"] if said[1:] else "x"):
        raise UserError(f"the chat template of {loaded.name!r} takes no system text ({why}): {NO_SYSTEM}")
    raise UserError(
        f"the chat template of {loaded.name!r} fails ({why}): mend it in the model's folder, "
        "or take it out for a model of plain text"
    )


def _fault(loaded: LoadedModel, system: str, user: str) -> bool:
    try:
        _apply(loaded, _texts(system, user), thinking=False)
    except UserError:
        return True
    return False


def _holds(text: str, part: str) -> bool:
    """Whether a text holds another, blanks aside."""
    return "".join(part.split()) in "".join(text.split())


def _variables(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, answer: bool
) -> JsonObject:
    """What a template is given; `answer`: it is to open one."""
    return {
        **tokenizer.special_tokens_map,
        "messages": list(messages),
        "tools": None,
        "documents": None,
        "add_generation_prompt": answer,
    }
