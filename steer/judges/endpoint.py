"""Structured questions to an OpenAI-compatible endpoint: many at once, each answered or given up on.

`preflight` finds the way of asking that brings a usable reply: the Responses API or chat
completions, with the schema enforced or without. Retries, with the waits the server asks for, are
the openai client's. This module knows no labels and no scenarios; the key comes from the
environment and goes nowhere else.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypedDict, TypeVar

from steer.errors import UserError, choose
from steer.judges import apis
from steer.judges.apis import (
    APIS,
    CONCURRENCY,
    CUT,
    DECLINED,
    SCHEMA,
    TIMEOUT,
    UNREADABLE,
    Form,
    Question,
    Reply,
    Usage,
    Way,
)
from steer.judges.pool import Gate, ask_all, in_thread
from steer.judges.refusals import complaint, explain, redact, said
from steer.judges.urls import OPENAI, check, place
from steer.texts import JsonObject

if TYPE_CHECKING:
    from openai import AsyncOpenAI

KEY = "OPENAI_API_KEY"
BASE_URL = "OPENAI_BASE_URL"
RETRIES = 10
PREFLIGHT_RETRIES = 2
ROOMS = (1_000, 8_000, 32_000)  # tokens of a reply: more, once thinking has used up less
AGAIN = "\n\nYour last reply could not be used. Reply with the JSON object alone."
THIS_QUESTION = (400, 413, 422)  # what an endpoint may say of one question, and answer others
NO_USE = "no usable reply, asked twice"
_THINKS_FIRST = re.compile(r"(?:^|/)(?:gpt-[5-9]|gpt-oss|o\d)")

T = TypeVar("T")


class Access(TypedDict, total=False):
    """How an endpoint is reached; the fields of `Endpoint`, and what is said of them there."""

    base_url: str | None
    concurrency: int
    per_minute: int
    max_calls: int | None
    api: Literal["auto", "chat", "responses"]
    timeout: float


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Why a question got no usable reply; `final` is False where asking later may bring one."""

    why: str
    final: bool


Found = tuple[str, T | Unanswered]
"""(question's id, its reply or why there is none)."""


@dataclass(slots=True)
class Endpoint:
    """A model behind a base URL.

    concurrency: questions in flight at most. per_minute: HTTP requests a minute at most, retries
    included (0: no bound). max_calls: calls after which no question is asked any more (retries and
    the pre-flight are not counted); one that needs its second call then stays open. timeout: seconds
    for one whole reply.
    way: found by `preflight`; usable: whether its reply there could be used.
    """

    model: str
    base_url: str | None = None
    concurrency: int = CONCURRENCY
    per_minute: int = 0
    max_calls: int | None = None
    api: Literal["auto", "chat", "responses"] = "auto"
    timeout: float = TIMEOUT
    usage: Usage = field(default_factory=Usage)
    way: Way | None = None
    usable: bool = True
    stopped: bool = False
    _key: str = field(default="", repr=False)
    _room: int = 0  # index into ROOMS
    _silent: int = 0  # questions in a row without a reply in time

    def __post_init__(self) -> None:
        self.base_url = self.base_url or os.environ.get(BASE_URL) or None
        self._key = os.environ.get(KEY, "")
        if not self._key:
            raise UserError(
                f"no key for judge model {self.model!r}: set the environment variable {KEY} "
                f"(any word, if the endpoint needs none)"
            )
        if not re.fullmatch(r"[!-~]+", self._key):
            raise UserError(
                f"the key in {KEY} holds a space, a line break or a letter outside ASCII: set it anew"
            )
        if self.base_url is not None:
            check(self.base_url, KEY)
        choose(self.api, ("auto", *APIS), what="API")
        for name in ("concurrency", "max_calls"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name.replace('_', '-')} {value}: give a whole number from 1")
        if self.per_minute < 0:
            raise UserError(f"per-minute {self.per_minute}: give a whole number from 0 (no bound)")
        if not 0 < self.timeout < float("inf"):
            raise UserError(f"judge-timeout {self.timeout:g}: give a number of seconds above 0")

    @property
    def name(self) -> str:
        """`openai:MODEL`, where it is unless with OpenAI, and how it is asked, once that is known."""
        at = place(self.base_url)
        way = self.way and self.way.api + ("+schema" if self.way.schema else "")
        return f"openai:{self.model}" + (f"@{at}" if at else "") + (f"({way})" if way else "")

    @property
    def account(self) -> dict[str, Usage]:
        """What this process has used so far, under the endpoint's name."""
        return {self.name: self.usage}

    @property
    def notes(self) -> list[str]:
        """What a reader of its replies should know of how they were got."""
        found = [f"judge {self.name} answers through the {self.way.api} API"] if self.way else []
        if self.way and self.way.dropped:
            found.append(f"the endpoint does not take {', '.join(self.way.dropped)}: asked without")
        if not self.usable:
            found.append("the endpoint gave no usable reply to the question that tests it")
        if self.stopped:
            found.append(f"stopped at --max-calls {self.max_calls}: repeat the command to judge the rest")
        return found

    def redact(self, text: str) -> str:
        """`text` without the key, which a server may repeat."""
        return redact(text, self._key)

    # --- before any model is loaded ----------------------------------------------------------

    def preflight(self, question: Question, form: Form[T]) -> None:
        """Ask a real question in every way until one brings a usable reply.

        A way that brings a reply, if not a usable one, is better than none. UserError if none does.
        """
        in_thread(lambda: self._settle(question, form))

    async def _settle(self, question: Question, form: Form[T]) -> None:
        from openai import APIStatusError, APITimeoutError, OpenAIError

        ways = [Way(api) for api in (APIS if self.api == "auto" else (self.api,))]
        poor: Way | None = None
        failed: dict[int, UserError] = {}  # by how little it tells
        async with self._client(retries=PREFLIGHT_RETRIES) as client:
            while ways:
                way = ways.pop(0)
                try:
                    async with asyncio.timeout(self.timeout):
                        way, found, why = await self._fit(way, client, question, form)
                except APIStatusError as error:
                    failed[error.status_code in (404, 405)] = self._explain(error)
                    if way.schema and error.status_code not in (401, 403, 404, 405, 429):
                        ways.append(way.without(SCHEMA[way.api]))
                    continue
                except (TimeoutError, APITimeoutError) as error:
                    failed.setdefault(0, self._explain(error))
                    continue
                except OpenAIError as error:
                    raise self._explain(error) from None
                if found is not None:
                    self.way = way
                    return
                if why == UNREADABLE:
                    failed.setdefault(2, self._explain(None))
                    continue
                poor = poor or way
                if way.schema:
                    ways.append(way.without(SCHEMA[way.api]))
        if poor is None:
            raise failed[min(failed)]
        self.way, self.usable = poor, False

    async def _fit(
        self, way: Way, client: AsyncOpenAI, question: Question, form: Form[T]
    ) -> tuple[Way, T | None, str]:
        """Ask, leaving out or lowering one by one the settings that the endpoint complains of."""
        from openai import APIStatusError

        while True:
            try:
                return way, *await self._reply(way, client, question, form, counted=False)
            except APIStatusError as error:
                setting = complaint(error, self._settings(way, form, ROOMS[0]))
                if not setting:
                    raise
                way = way.without(setting)

    # --- asking ------------------------------------------------------------------------------

    def ask(self, questions: Iterable[Question], form: Form[T]) -> Iterator[Found[T]]:
        """What was found for each question, as answers come, in any order; after `preflight`.

        `questions` is read on another thread. Once `max_calls` is reached the rest of the questions
        get nothing, and `stopped` is set; an endpoint that fails for good raises UserError.
        """

        @asynccontextmanager
        async def opened() -> AsyncGenerator[Callable[[Question], Awaitable[Found[T] | None]]]:
            async with self._client(RETRIES) as client:
                yield lambda question: self._one(client, question, form)

        yield from ask_all(questions, opened, group=lambda q: q.group, workers=self.concurrency)

    async def _one(self, client: AsyncOpenAI, question: Question, form: Form[T]) -> Found[T] | None:
        """None alone when calls ran out."""
        from openai import APIStatusError, OpenAIError

        assert self.way is not None
        try:
            found, why = await self._reply(self.way, client, question, form, counted=True)
        except _Spent:
            self.stopped = True
            return None
        except TimeoutError as error:
            self._silent += 1
            if self._silent >= max(2, self.concurrency):  # the endpoint, not this question
                raise self._explain(error) from None
            return question.id, Unanswered(f"no whole reply in {self.timeout:g} s", final=False)
        except APIStatusError as error:
            if error.status_code not in THIS_QUESTION:
                raise self._explain(error) from None
            text = said(error.response.content, self._key)
            why = f"the endpoint refused the question ({error.status_code}{f': {text}' if text else ''})"
            return question.id, Unanswered(why, final=False)
        except OpenAIError as error:
            raise self._explain(error) from None
        self._silent = 0
        return question.id, Unanswered(why, why in (DECLINED, NO_USE)) if found is None else found

    async def _reply(
        self, way: Way, client: AsyncOpenAI, question: Question, form: Form[T], *, counted: bool
    ) -> tuple[T | None, str]:
        """The reply, asked for again once where it is of no use, and with more room where it was cut."""
        from openai import APIStatusError

        again, room, reply = "", self._room, Reply()
        while True:
            try:
                reply = await self._call(way, client, question, form, room, again, counted=counted)
            except APIStatusError as error:
                if reply.problem != CUT or error.status_code not in THIS_QUESTION:
                    raise
                return None, f"{CUT} at {ROOMS[room - 1]:,} tokens, and the endpoint gives no more"
            self._room = max(self._room, room)
            if reply.problem == CUT:
                if room + 1 == len(ROOMS):
                    return None, f"{CUT} at {ROOMS[room]:,} tokens"
                room += 1
                continue
            found = None if reply.problem else form.read(reply.text)
            if found is not None or again:
                return found, reply.problem or NO_USE
            again = AGAIN

    async def _call(
        self,
        way: Way,
        client: AsyncOpenAI,
        question: Question,
        form: Form[T],
        room: int,
        again: str,
        *,
        counted: bool,
    ) -> Reply:
        if counted and self.max_calls is not None and self.usage.calls >= self.max_calls:
            raise _Spent
        self.usage.calls += counted
        chosen = self._settings(way, form, ROOMS[room])
        texts = question.instructions, question.message + again
        try:
            reply = await apis.ask(way.api, client, self.model, *texts, chosen)
        except TimeoutError:
            if not counted:
                raise
            reply = await apis.ask(way.api, client, self.model, *texts, chosen)
        self.usage.input_tokens += reply.tokens.input_tokens
        self.usage.cached_tokens += reply.tokens.cached_tokens
        self.usage.output_tokens += reply.tokens.output_tokens
        return reply

    def _settings(self, way: Way, form: Form[T], room: int) -> JsonObject:
        return apis.settings(way, form, room, reasons=bool(_THINKS_FIRST.search(self.model)))

    @asynccontextmanager
    async def _client(self, retries: int) -> AsyncGenerator[AsyncOpenAI]:
        from steer.judges.client import open_client

        gate = Gate(self.per_minute)
        async with open_client(self.base_url, retries=retries, seconds=self.timeout, gate=gate) as client:
            yield client

    def _explain(self, error: Exception | None) -> UserError:
        return explain(
            error, where=self.base_url or OPENAI, model=self.model, key=self._key, seconds=self.timeout
        )


class _Spent(Exception):
    """No call is left."""
