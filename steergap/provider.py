"""The provider `steergap/MODEL`: a local model under the arm that its `-M` arguments describe.

Rows of all arms of a process run on one engine, those that wait at the same time in one batch. A row's
random numbers are a hash of (seed, messages without the suffix, epoch), so that a log does not depend on
how many rows run at once, and arms share them. What cannot be honoured is refused by name.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from dataclasses import asdict, replace
from typing import Any

from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ContentReasoning,
    ContentText,
    GenerateConfig,
    ModelAPI,
    ModelCall,
    ModelOutput,
    ModelUsage,
)
from inspect_ai.tool import ToolChoice, ToolFunction, ToolInfo

from steer import chat, window
from steer.errors import UserError
from steer.plan import arm_content, digest, fitted, is_effective
from steer.sampling import TEMPERATURES, stream_of
from steer.types import Limits, Request, Response
from steergap import conversation
from steergap.arguments import Turn, arm_of, read
from steergap.models import ready

CONNECTIONS = 64
"""Rows at once where neither --max-connections nor Inspect's adaptive limit says how many."""

HONOURED = frozenset(
    (
        *("max_tokens", "temperature", "stop_seqs", "seed"),
        # what Inspect itself does around a provider, or a provider need not do
        *("max_retries", "timeout", "attempt_timeout", "stream_idle_timeout", "max_connections"),
        *("adaptive_connections", "system_message", "max_tool_output", "internal_tools", "cache"),
        *("cache_prompt", "reasoning_history", "fail_on_refusal", "batch", "parallel_tool_calls"),
    )
)
NEUTRAL = {
    **dict.fromkeys(("top_p", "num_choices", "best_of"), 1),
    **dict.fromkeys(("frequency_penalty", "presence_penalty", "logprobs"), 0),
}
"""Settings that ask for nothing at this value."""


class SteeredAPI(ModelAPI):
    """One arm of one model. Raises PrerequisiteError, which Inspect prints in a line, for bad arguments."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 - Inspect's own signature
        **model_args: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        try:
            refuse(config)
            arguments = read(model_args)
            self._ready = ready(arguments.choice(model_name))
            self._loaded = replace(self._ready.loaded, context=arguments.context)
            self._arm = arm_of(arguments, self._loaded)
        except UserError as error:
            raise PrerequisiteError(in_line(error)) from None
        self._turn: Turn = arguments.turn
        self._additions = tuple(a for a in self._arm.additions if is_effective(a))
        self._arm_id = digest(arm_content(self._arm))[:16]
        self._thinking = chat.is_thinking(self._loaded) or bool(arguments.thinking)
        self._asked: Counter[tuple[str, str]] = Counter()

    def max_connections(self) -> int:
        return CONNECTIONS

    def connection_key(self) -> str:
        return self.model_name

    def collapse_user_messages(self) -> bool:
        return True  # many templates want turns to alternate

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput | tuple[ModelOutput, ModelCall]:
        began = time.monotonic()
        try:
            refuse(config)
            form = self._call_format(tools, tool_choice)
            request = self._request(input, tools, config)
            if isinstance(request, str):
                return ModelOutput.from_content(
                    self.model_name, "", stop_reason="model_length", error=request
                )
            enough = config.max_connections or 0
            waiting = self._ready.desk.submit(request.key, request, enough=enough)
            response = await asyncio.wrap_future(waiting)
            self._check(request, response)
        except UserError as error:
            raise PrerequisiteError(in_line(error)) from None
        output, text = self._output(request, response, tools, form, config.stop_seqs or [])
        output.time = time.monotonic() - began
        call = {"prompt": self._text(request.prompt_ids), "temperature": request.temperature}
        call |= {"stream": request.stream, "max_tokens": request.limits.new, "arm": self._arm_id}
        return output, ModelCall.create(call, {"output": text})

    def _call_format(self, tools: list[ToolInfo], tool_choice: ToolChoice) -> str:
        if not tools:
            return ""
        if tool_choice == "any" or isinstance(tool_choice, ToolFunction):
            raise UserError(f"tool_choice {tool_choice!r}: a local model cannot be made to call; use 'auto'")
        return conversation.call_format(self._loaded)

    def _request(
        self, input: list[ChatMessage], tools: list[ToolInfo], config: GenerateConfig
    ) -> Request | str:
        """The row to generate, or why the conversation is longer than the model."""
        loaded = self._loaded
        messages, offered = conversation.spoken(input), conversation.offered(tools)
        steered = conversation.with_suffix(
            messages, self._arm.suffix, self._arm.system_suffix, turn=self._turn
        )
        ids = chat.render_messages(loaded, steered, thinking=self._thinking, tools=offered)
        longest = window.named(loaded.module)
        if longest and len(ids) >= longest:
            return f"the prompt has {len(ids)} tokens, the model {longest} positions"
        new = config.max_tokens or loaded.new_tokens or (8096 if self._thinking else 1024)
        limits = fitted(Limits(len(ids), new), len(ids), loaded.window)
        if limits.new == 1 and self._additions and all(a.span == "generated" for a in self._additions):
            raise UserError("span generated edits from the second token on, and there is room for one only")
        temperature = config.temperature or 0.0
        stream = self._stream(messages, config.seed or 0) if temperature else 0
        row = [ids, self._arm_id, temperature, stream, limits.new]
        return Request(
            key=digest(row),
            prompt_ids=ids,
            stop_ids=loaded.stop_ids,
            additions=self._additions,
            temperature=temperature,
            stream=stream,
            limits=limits,
        )

    def _stream(self, messages: list[chat.Message], seed: int) -> int:
        """Of a sample's n-th call with the same messages; of the n-th at all outside of an evaluation."""
        from inspect_ai.log._samples import sample_active

        sample, asked = sample_active(), digest(messages)
        attempt = (sample.id if sample is not None else "", asked)
        call = self._asked[attempt]
        self._asked[attempt] += 1
        return stream_of(seed, f"{asked} {call}" if call else asked, sample.epoch - 1 if sample else 0)

    def _check(self, request: Request, response: Response) -> None:
        """Raise UserError for a row that failed, or was not steered where the arm says so."""
        if response.finish == "failed":
            raise UserError(response.error)
        for addition, applied in zip(request.additions, response.applied, strict=True):
            could = addition.span != "generated" or len(response.output_ids) > 1
            if could and not applied.positions and applied.fired is not False:
                raise UserError(
                    f"the arm edited no position at layer {applied.layer} (span {addition.span}): "
                    "this answer is not steered and is no result"
                )

    def _output(
        self, request: Request, response: Response, tools: list[ToolInfo], form: str, stops: list[str]
    ) -> tuple[ModelOutput, str]:
        loaded = self._loaded
        answer = chat.read_answer(loaded.tokenizer, response.output_ids, request.stop_ids, request.prompt_ids)
        text, stop = answer.text, "stop" if response.finish == "stop" else "max_tokens"
        if ends := [text.index(end) for end in stops if end in text]:
            text, stop = text[: min(ends)], "stop"
        if form:
            message = conversation.read_calls(text, tools, form)
            stop = "tool_calls" if message.tool_calls else stop
        else:
            message = ChatMessageAssistant(content=text)
        message.model, message.source = self.model_name, "generate"
        if answer.thinking:
            message.content = [ContentReasoning(reasoning=answer.thinking), ContentText(text=message.text)]
        given, made = len(request.prompt_ids), len(response.output_ids)
        output = ModelOutput(
            model=self.model_name,
            choices=[ChatCompletionChoice.model_validate({"message": message, "stop_reason": stop})],
            usage=ModelUsage(input_tokens=given, output_tokens=made, total_tokens=given + made),
            metadata={
                "arm": self._arm_id,
                "weights": loaded.weights,
                "dtype": loaded.dtype,
                "engine": self._ready.engine.name,
                "vectors": [addition.vector for addition in request.additions],
                "applied": [asdict(applied) for applied in response.applied],
                **({"evidence": loaded.evidence} if loaded.evidence else {}),
            },
        )
        return output, self._text(response.output_ids)

    def _text(self, ids: tuple[int, ...]) -> str:
        tokenizer: Any = self._loaded.tokenizer
        return str(tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))


def refuse(config: GenerateConfig) -> None:
    """Raise UserError for a setting that the engines cannot honour."""
    for name, value in config.model_dump(exclude_none=True).items():
        if name not in HONOURED and value != NEUTRAL.get(name, []):
            raise UserError(
                f"{name}={value!r} cannot be honoured: tokens are chosen greedily or from the whole softmax, "
                "by temperature and seed alone; leave it out"
            )
    least, most = TEMPERATURES
    if config.temperature and not least <= config.temperature <= most:
        raise UserError(
            f"temperature {config.temperature:g}: allowed are 0 (greedy) and {least:g} to {most:g}"
        )


def in_line(error: UserError) -> str:
    """An error's words with this provider's arguments for the commands' flags; Inspect prints it by rich."""
    from rich.markup import escape

    return escape(re.sub(r"--(engine|dtype|context|batch) ", r"-M \1=", str(error)))
