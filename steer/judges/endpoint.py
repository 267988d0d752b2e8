"""Structured questions to an OpenAI-compatible endpoint: many at once, each answered or given up on.

The Responses API is used where the endpoint has it, chat completions elsewhere; `preflight` finds
out with one call. Retries, with the waits the server asks for, are the openai client's. This
module knows no labels and no scenarios; the key comes from the environment and goes nowhere else.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import urlsplit

from steer.errors import UserError
from steer.judges.pool import Gate, Pool, in_thread

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI, OpenAIError

KEY = "OPENAI_API_KEY"
BASE_URL = "OPENAI_BASE_URL"
RETRIES = 10
TIMEOUT = 120.0
PREFLIGHT_TIMEOUT = 12.0
MAX_TOKENS = 1000
AGAIN = "\n\nYour last reply could not be used. Reply with the JSON object alone."

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
    """What was asked of the endpoint so far: calls that were answered, and their tokens."""

    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0


@dataclass(slots=True)
class Endpoint:
    """A model behind a base URL.

    concurrency: questions in flight at most. per_minute: HTTP requests a minute at most, retries
    included (0: no bound). max_calls: answered calls after which no question is asked any more.
    api, dropped: found by `preflight`: which API it speaks, which settings it does not know.
    """

    model: str
    base_url: str | None = None
    concurrency: int = 16
    per_minute: int = 0
    max_calls: int | None = None
    usage: Usage = field(default_factory=Usage)
    api: str = ""
    dropped: tuple[str, ...] = ()
    stopped: bool = False

    def __post_init__(self) -> None:
        self.base_url = self.base_url or os.environ.get(BASE_URL) or None
        if not os.environ.get(KEY):
            raise UserError(
                f"no key for judge model {self.model!r}: set the environment variable {KEY} "
                f"(any word, if the endpoint needs none)"
            )
        for name in ("concurrency", "max_calls"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name.replace('_', '-')} {value}: give a whole number from 1")

    @property
    def host(self) -> str:
        """The endpoint's host, or "" for OpenAI's own."""
        return urlsplit(self.base_url).hostname or self.base_url if self.base_url else ""

    # --- before any model is loaded ----------------------------------------------------------

    def preflight(self, form: Form[T]) -> None:
        """Ask one short question; UserError, within a minute, if the endpoint cannot answer it."""
        question = Question("preflight", "", "Reply with a JSON object.", "This only tests the connection.")
        in_thread(lambda: self._settle(question, form))

    async def _settle(self, question: Question, form: Form[T]) -> None:
        from openai import APIStatusError, OpenAIError

        async with self.client(retries=2, timeout=PREFLIGHT_TIMEOUT) as client:
            for api in ("responses", "chat"):
                self.api = api
                while True:
                    try:
                        await self._call(client, question, form)
                        return
                    except APIStatusError as error:
                        setting = _unknown_setting(error, self._settings(form))
                        if setting:
                            self.dropped = (*self.dropped, setting)
                            continue
                        if (
                            api == "responses"
                            and error.status_code in (404, 405, 501)
                            and not _no_model(error)
                        ):
                            self.dropped = ()
                            break
                        raise self._explain(error) from None
                    except OpenAIError as error:
                        raise self._explain(error) from None

    # --- asking ------------------------------------------------------------------------------

    def ask(self, questions: Iterable[Question], form: Form[T]) -> Iterator[tuple[str, T | None, str]]:
        """(id, reply or None, why not) for each question, as answers come, in any order.

        `questions` is read on another thread. Once `max_calls` is reached the rest of the questions
        get nothing, and `stopped` is set; an endpoint that fails for good raises UserError.
        """
        if not self.api:
            self.preflight(form)
        out: queue.SimpleQueue[tuple[str, T | None, str] | BaseException | None] = queue.SimpleQueue()
        loop = asyncio.new_event_loop()
        pool = Pool(self, form, loop, out)
        thread = threading.Thread(target=pool.run, args=(questions,), daemon=True)
        thread.start()
        try:
            while (found := out.get()) is not None:
                if isinstance(found, BaseException):
                    raise found
                yield found
        finally:
            pool.cancel()

    async def one(
        self, client: AsyncOpenAI, question: Question, form: Form[T]
    ) -> tuple[T | None, str] | None:
        """The reply, asked for at most twice, or None and why; None alone when calls ran out."""
        from openai import APIStatusError, OpenAIError

        problem = ""
        for again in ("", AGAIN):
            if self.max_calls is not None and self.usage.calls >= self.max_calls:
                self.stopped = True
                return None
            self.usage.calls += 1
            try:
                text, problem = await self._call(client, question, form, again)
            except APIStatusError as error:
                if error.status_code in (400, 413, 422):  # this question, not the endpoint
                    return None, f"the endpoint refused the question ({error.status_code})"
                raise self._explain(error) from None
            except OpenAIError as error:
                raise self._explain(error) from None
            reply = form.read(text) if not problem else None
            if reply is not None:
                return reply, ""
        return None, problem or "no usable reply, asked twice"

    def _settings(self, form: Form[T]) -> dict[str, Any]:
        if self.api == "responses":
            layout = {"type": "json_schema", "name": form.name, "schema": form.schema, "strict": True}
            settings: dict[str, Any] = {
                "text": {"format": layout},
                "max_output_tokens": MAX_TOKENS,
                "store": False,
            }
            if self.model.startswith("gpt-5"):
                settings["reasoning"] = {"effort": "none"}
        else:
            layout = {"name": form.name, "schema": form.schema, "strict": True}
            settings = {
                "response_format": {"type": "json_schema", "json_schema": layout},
                "max_tokens": MAX_TOKENS,
            }
        settings["temperature"] = 0
        return {name: value for name, value in settings.items() if name not in self.dropped}

    async def _call(
        self, client: AsyncOpenAI, question: Question, form: Form[T], again: str = ""
    ) -> tuple[str, str]:
        """(text, problem): a truncated or refused reply is a problem, never a text."""
        message = question.message + again
        if self.api == "responses":
            found = await client.responses.create(
                model=self.model, instructions=question.instructions, input=message, **self._settings(form)
            )
            if found.usage is not None:
                cached = found.usage.input_tokens_details
                self._count(
                    found.usage.input_tokens, cached and cached.cached_tokens, found.usage.output_tokens
                )
            parts = [p for o in found.output if o.type == "message" for p in o.content]
            if any(p.type == "refusal" for p in parts):
                return "", "the judge declined to answer"
            if found.status == "incomplete":
                return "", "the judge's reply was cut off"
            return found.output_text, ""
        chat = await client.chat.completions.create(
            model=self.model,
            messages=[
                {"role": "system", "content": question.instructions},
                {"role": "user", "content": message},
            ],
            **self._settings(form),
        )
        if chat.usage is not None:
            cached = chat.usage.prompt_tokens_details
            self._count(
                chat.usage.prompt_tokens, cached and cached.cached_tokens, chat.usage.completion_tokens
            )
        choice = chat.choices[0] if chat.choices else None
        if choice is None:
            return "", "an empty reply"
        if choice.message.refusal or choice.finish_reason == "content_filter":
            return "", "the judge declined to answer"
        if choice.finish_reason == "length":
            return "", "the judge's reply was cut off"
        return choice.message.content or "", ""

    def _count(self, sent: int, cached: int | None, received: int) -> None:
        self.usage.input_tokens += sent
        self.usage.cached_tokens += cached or 0
        self.usage.output_tokens += received

    @asynccontextmanager
    async def client(
        self, retries: int | None = None, timeout: float = TIMEOUT
    ) -> AsyncGenerator[AsyncOpenAI]:
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        gate = Gate(self.per_minute)

        async def wait(_: object) -> None:
            await gate.wait()

        http = DefaultAsyncHttpxClient(event_hooks={"request": [wait]})
        async with AsyncOpenAI(
            base_url=self.base_url,
            max_retries=RETRIES if retries is None else retries,
            timeout=timeout,
            http_client=http,
        ) as client:
            yield client

    def _explain(self, error: OpenAIError) -> UserError:
        from openai import APIConnectionError, APIStatusError

        where = self.base_url or "https://api.openai.com/v1"
        again = "; verdicts so far are kept, repeat the command to continue"
        if isinstance(error, APIConnectionError):
            return UserError(
                f"no answer from judge endpoint {where!r}: check --base-url and the network{again}"
            )
        if isinstance(error, APIStatusError):
            if error.status_code in (401, 403):
                return UserError(
                    f"{where!r} refuses the key in {KEY}: set one that may use {self.model!r}{again}"
                )
            if error.status_code == 404:
                return UserError(
                    f"{where!r} has no model {self.model!r}, or is no OpenAI-compatible base URL "
                    f"(these end in /v1): check openai:MODEL and --base-url{again}"
                )
            return UserError(
                f"{where!r} answered {error.status_code} for {self.model!r}, retried in vain{again}"
            )
        return UserError(f"judge endpoint {where!r}: {type(error).__name__}{again}")


def _unknown_setting(error: APIStatusError, settings: dict[str, Any]) -> str:
    """The setting of ours that a 400 or 422 complains of, or ""."""
    if error.status_code not in (400, 422):
        return ""
    said = f"{getattr(error, 'param', '')} {error.message}".lower()
    return next((name for name in settings if name in said), "")


def _no_model(error: APIStatusError) -> bool:
    return getattr(error, "code", "") == "model_not_found" or "model" in error.message.lower()
