"""The openai client, with bounds: on the time and size of a reply, and on the rate of requests.

httpx bounds each read, not the whole: a byte now and then, or a body without end, would hold a
command for ever. The waits and retries that a status asks for are the openai client's own.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from httpx2 import Request, Response, Timeout
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from steer.judges.apis import parsed
from steer.judges.pool import Gate
from steer.texts import JsonObject

MOST_BYTES = 4 * 2**20
CONNECT_SECONDS = 10.0
REDIRECTS = 5
NOT_KEPT = ("content-encoding", "content-length", "transfer-encoding")


class Bounded(DefaultAsyncHttpxClient):
    """Reads whole replies of at most MOST_BYTES within `seconds`; a longer one is cut, a slower one raises.

    TimeoutError is not openai's to retry, so that an endpoint that never answers costs its caller no
    ten waits. A body whose only news is an error, under a status of success, gets the error's status.
    """

    def __init__(self, seconds: float, gate: Gate) -> None:
        # compressed bodies could grow beyond any bound, so none is asked for and none is unpacked
        super().__init__(
            timeout=Timeout(None, connect=CONNECT_SECONDS), headers={"accept-encoding": "identity"}
        )
        self._seconds, self._gate = seconds, gate

    async def send(self, request: Request, **more: Any) -> Response:
        await self._gate.wait()
        more |= {"stream": True, "follow_redirects": False}
        async with asyncio.timeout(self._seconds):
            got, body = await self._whole(request, **more)
            for _ in range(REDIRECTS):
                if got.next_request is not None:
                    got, body = await self._whole(got.next_request, **more)
        kept = [(k, v) for k, v in got.headers.multi_items() if k.lower() not in NOT_KEPT]
        status = _error_inside(body) if got.status_code == 200 else 0
        return Response(status or got.status_code, headers=kept, content=body, request=got.request)

    async def _whole(self, request: Request, **more: Any) -> tuple[Response, bytes]:
        got = await super().send(request, **more)
        body = bytearray()
        try:
            async for chunk in got.aiter_raw():
                body += chunk
                if len(body) > MOST_BYTES:
                    break
        finally:
            await got.aclose()
        return got, bytes(body[:MOST_BYTES])


def _error_inside(body: bytes) -> int:
    """The status of an error in a body (502 if it names none); 0: there is none."""
    found = parsed(body) if b'"error"' in body else None
    error = cast("JsonObject", found).get("error") if isinstance(found, dict) else None
    if not error:
        return 0
    code = str(cast("JsonObject", error).get("code")) if isinstance(error, dict) else ""
    return int(code) if code in map(str, range(400, 600)) else 502


def open_client(base_url: str | None, *, retries: int, seconds: float, gate: Gate) -> AsyncOpenAI:
    return AsyncOpenAI(
        base_url=base_url,
        max_retries=retries,
        timeout=Timeout(None, connect=CONNECT_SECONDS),
        http_client=Bounded(seconds, gate),
    )
