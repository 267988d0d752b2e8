"""Structured questions to an OpenAI-compatible endpoint: many at once, each answered or given up on.

The Responses API is used where the endpoint has it, chat completions elsewhere; `preflight` finds
out with one call. Retries, with the waits the server asks for, are the openai client's. This
module knows no labels and no scenarios; the key comes from the environment and goes nowhere else.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from steer.errors import UserError
from steer.judges.apis import APIS, UNREADABLE, Api, Form, Question, Reply, Usage, ask, settings
from steer.judges.pool import Gate, ask_all, in_thread

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI, OpenAIError

KEY = "OPENAI_API_KEY"
BASE_URL = "OPENAI_BASE_URL"
OPENAI = "https://api.openai.com/v1"
RETRIES = 10
TIMEOUT = 120.0
PREFLIGHT_SECONDS = 50.0  # for the whole of it, retries and waits included
PREFLIGHT_TIMEOUT = 12.0  # for one call of it
AGAIN = "\n\nYour last reply could not be used. Reply with the JSON object alone."
OTHER_API = (400, 404, 405, 422, 501)  # what an endpoint may say of an API that it does not have
LATER = "; verdicts so far are kept, repeat the command to continue"

T = TypeVar("T")


@dataclass(slots=True)
class Endpoint:
    """A model behind a base URL.

    concurrency: questions in flight at most. per_minute: HTTP requests a minute at most, retries
    included (0: no bound). max_calls: calls after which no question is asked any more (retries and
    the pre-flight are not counted); one that needs its second call then stays open.
    api, dropped: found by `preflight`: which API it speaks, which settings it does not know.
    """

    model: str
    base_url: str | None = None
    concurrency: int = 16
    per_minute: int = 0
    max_calls: int | None = None
    usage: Usage = field(default_factory=Usage)
    api: Api | None = None
    dropped: tuple[str, ...] = ()
    stopped: bool = False

    def __post_init__(self) -> None:
        self.base_url = self.base_url or os.environ.get(BASE_URL) or None
        key = os.environ.get(KEY, "")
        if not key:
            raise UserError(
                f"no key for judge model {self.model!r}: set the environment variable {KEY} "
                f"(any word, if the endpoint needs none)"
            )
        if not re.fullmatch(r"[!-~]+", key):
            raise UserError(
                f"the key in {KEY} holds a space, a line break or a letter outside ASCII: set it anew"
            )
        if self.base_url is not None:
            _check(self.base_url)
        for name in ("concurrency", "max_calls"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name.replace('_', '-')} {value}: give a whole number from 1")
        if self.per_minute < 0:
            raise UserError(f"per-minute {self.per_minute}: give a whole number from 0 (no bound)")

    @property
    def host(self) -> str:
        """The endpoint's host, with its port if it names one, or "" for OpenAI's own."""
        where = urlsplit(self.base_url or "")
        return f"{where.hostname}:{where.port}" if where.port else where.hostname or ""

    @property
    def name(self) -> str:
        """`openai:MODEL`, and where it is, unless with OpenAI."""
        return f"openai:{self.model}" + (f"@{self.host}" if self.host else "")

    @property
    def account(self) -> dict[str, Usage]:
        """What this process has used so far, under the endpoint's name."""
        return {self.name: self.usage}

    # --- before any model is loaded ----------------------------------------------------------

    def preflight(self, form: Form[T]) -> None:
        """Ask one short question; UserError, within a minute, if the endpoint cannot answer it."""
        question = Question("preflight", "", "Reply with a JSON object.", "This only tests the connection.")
        in_thread(lambda: self._settle(question, form))

    async def _settle(self, question: Question, form: Form[T]) -> None:
        from openai import APIStatusError, OpenAIError

        try:
            async with (
                asyncio.timeout(PREFLIGHT_SECONDS),
                self.client(retries=2, timeout=PREFLIGHT_TIMEOUT) as client,
            ):
                for api in APIS:
                    try:
                        reply = await self._try(api, client, question, form)
                    except APIStatusError as error:
                        if api != APIS[-1] and error.status_code in OTHER_API:
                            continue
                        raise self._explain(error) from None
                    except OpenAIError as error:
                        raise self._explain(error) from None
                    if reply.problem != UNREADABLE:
                        return
        except TimeoutError:
            raise UserError(
                f"judge endpoint {self._where!r} gave no answer in {PREFLIGHT_SECONDS:.0f} s: "
                f"check --base-url, or try again later{LATER}"
            ) from None
        raise UserError(
            f"what {self._where!r} answers is no reply of an OpenAI-compatible API: check --base-url (these "
            "end in /v1)"
        )

    async def _try(self, api: Api, client: AsyncOpenAI, question: Question, form: Form[T]) -> Reply:
        """Ask by one API, leaving out one by one the settings that the endpoint complains of."""
        from openai import APIStatusError

        self.api, self.dropped = api, ()
        while True:
            try:
                return await self._call(client, question, form)
            except APIStatusError as error:
                setting = _unknown_setting(error, self._settings(form))
                if not setting:
                    raise
                self.dropped = (*self.dropped, setting)

    # --- asking ------------------------------------------------------------------------------

    def ask(self, questions: Iterable[Question], form: Form[T]) -> Iterator[tuple[str, T | None, str]]:
        """(id, reply or None, why not) for each question, as answers come, in any order.

        `questions` is read on another thread. Once `max_calls` is reached the rest of the questions
        get nothing, and `stopped` is set; an endpoint that fails for good raises UserError.
        """
        if self.api is None:
            self.preflight(form)

        @asynccontextmanager
        async def opened() -> AsyncGenerator[
            Callable[[Question], Awaitable[tuple[str, T | None, str] | None]]
        ]:
            async with self.client(RETRIES, TIMEOUT) as client:
                yield lambda question: self._one(client, question, form)

        yield from ask_all(questions, opened, group=lambda q: q.group, workers=self.concurrency)

    async def _one(
        self, client: AsyncOpenAI, question: Question, form: Form[T]
    ) -> tuple[str, T | None, str] | None:
        """The reply, asked for at most twice, or None and why; None alone when calls ran out."""
        from openai import APIStatusError, OpenAIError

        problem = ""
        for again in ("", AGAIN):
            if self.max_calls is not None and self.usage.calls >= self.max_calls:
                self.stopped = True
                return None
            self.usage.calls += 1
            try:
                reply = await self._call(client, question, form, again)
            except APIStatusError as error:
                if error.status_code in (400, 413, 422):  # this question, not the endpoint
                    return question.id, None, f"the endpoint refused the question ({error.status_code})"
                raise self._explain(error) from None
            except OpenAIError as error:
                raise self._explain(error) from None
            found = None if reply.problem else form.read(reply.text)
            if found is not None:
                return question.id, found, ""
            problem = reply.problem
        return question.id, None, problem or "no usable reply, asked twice"

    async def _call(self, client: AsyncOpenAI, question: Question, form: Form[T], again: str = "") -> Reply:
        assert self.api is not None
        message = question.message + again
        reply = await ask(self.api, client, self.model, question.instructions, message, self._settings(form))
        self.usage.input_tokens += reply.tokens.input_tokens
        self.usage.cached_tokens += reply.tokens.cached_tokens
        self.usage.output_tokens += reply.tokens.output_tokens
        return reply

    def _settings(self, form: Form[T]) -> dict[str, Any]:
        assert self.api is not None
        wanted = settings(self.api, self.model, form.name, form.schema)
        return {name: value for name, value in wanted.items() if name not in self.dropped}

    @asynccontextmanager
    async def client(self, retries: int, timeout: float) -> AsyncGenerator[AsyncOpenAI]:
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        gate = Gate(self.per_minute)

        async def wait(_: object) -> None:
            await gate.wait()

        http = DefaultAsyncHttpxClient(event_hooks={"request": [wait]})
        async with AsyncOpenAI(
            base_url=self.base_url, max_retries=retries, timeout=timeout, http_client=http
        ) as client:
            yield client

    # --- what went wrong ---------------------------------------------------------------------

    @property
    def _where(self) -> str:
        return (self.base_url or OPENAI).partition("?")[0]

    def _explain(self, error: OpenAIError) -> UserError:
        from openai import APIConnectionError, APIStatusError

        where = self._where
        if isinstance(error, APIConnectionError):
            return UserError(
                f"no answer from judge endpoint {where!r}: check --base-url and the network{LATER}"
            )
        if isinstance(error, APIStatusError):
            if error.status_code in (401, 403):
                return UserError(
                    f"{where!r} refuses the key in {KEY}: set one that may use {self.model!r}{LATER}"
                )
            if error.status_code == 404:
                return UserError(
                    f"{where!r} has no model {self.model!r}, or is no OpenAI-compatible base URL "
                    f"(these end in /v1): check openai:MODEL and --base-url{LATER}"
                )
            said = _said(error)
            return UserError(
                f"{where!r} answered {error.status_code} for {self.model!r}{f' ({said})' if said else ''}: "
                f"check openai:MODEL and --base-url, or try again later{LATER}"
            )
        return UserError(f"judge endpoint {where!r}: {type(error).__name__}{LATER}")


def _check(base_url: str) -> None:
    """Refuse what is no http(s) URL, and one that carries a secret: errors and run.yaml would show it."""
    if "@" in base_url.partition("//")[2].partition("/")[0]:
        raise UserError(
            f"the judge's base URL holds a user name or password: give it without; keys go in {KEY}"
        )
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # half an IPv6 address, or a port that is none
        usable = False
    if not usable:
        raise UserError(f"judge base URL {base_url!r}: write http(s)://HOST/v1")


def _said(error: APIStatusError) -> str:
    """What the endpoint said of it, on one short line, without the key it may repeat."""
    body: Any = error.body
    message = body.get("message") if isinstance(body, dict) else None  # pyright: ignore[reportUnknownMemberType]
    if not isinstance(message, str):
        return ""
    line = " ".join(message.replace(os.environ.get(KEY, "") or "\0", "[key]").split())
    return line if len(line) <= 160 else line[:157] + "..."


def _unknown_setting(error: APIStatusError, chosen: dict[str, Any]) -> str:
    """The setting of ours that a 400 or 422 complains of, or ""."""
    if error.status_code not in (400, 422):
        return ""
    said = f"{getattr(error, 'param', '')} {error.message}".lower()
    return next((name for name in chosen if re.search(rf"\b{name}\b", said)), "")
