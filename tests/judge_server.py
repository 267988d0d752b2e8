"""A real HTTP server that speaks both OpenAI APIs, badly: faults are drawn by seed, all is logged."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.fakes import number

KINDS = (
    "good", "truncated", "wrong label", "prose", "refusal", "no json", "cut off", "half a body", "a page",
    "other fields",
)  # fmt: skip
LABELS = ("convergence", "no_convergence", "safety_refusal", "nonsensical")


@dataclass
class Hit:
    """One request: which answer it asked about (-1: none), when, and what it got."""

    answer: int
    at: float
    path: str
    status: int
    kind: str
    again: bool
    body: str
    key: str


@dataclass
class Server:
    """`chat_only` has no Responses API; `refused` settings get a 400; `status` answers nothing but that.

    always: this kind of reply to everything; hangs: how many requests are never answered; says: the
    message of an error, {key} in it is the caller's key.
    """

    chaos: bool = False
    chat_only: bool = False
    refused: tuple[str, ...] = ()
    status: int = 0
    slow: float = 0.02
    always: str = ""
    hangs: int = 0
    says: str = ""
    hint: str = ""
    key: str = "secret-key-123"
    log: list[Hit] = field(default_factory=list)
    most_at_once: int = 0
    port: int = 0
    _open: int = 0
    _tries: Counter[int] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def expected(self, answer: int) -> str:
        """The label a faultless reply gives."""
        return LABELS[number("label", answer) % 4]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int((re.search(r"content-length: (\d+)", head, re.I) or [0, 0])[1])
                body = (await reader.readexactly(length)).decode() if length else ""
                self._open += 1
                self.most_at_once = max(self.most_at_once, self._open)
                try:
                    reply = await self.reply(head, body)
                finally:
                    self._open -= 1
                if reply is None:
                    break
                status, headers, text = reply
                lines = [f"HTTP/1.1 {status} X", f"content-length: {len(text)}"]
                if not any(h.startswith("content-type") for h in headers):
                    lines.append("content-type: application/json")
                writer.write("\r\n".join([*lines, *headers, "", ""]).encode() + text)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def reply(self, head: str, body: str) -> tuple[int, list[str], bytes] | None:
        path = head.split()[1]
        asked = json.loads(body)
        found = re.search(r"answer number (\d+)", body)
        answer = int(found[1]) if found else -1
        again = "could not be used" in body
        key = (re.search(r"authorization: Bearer (\S+)", head, re.I) or ["", ""])[1]
        self._tries[answer] += 1
        draw = number("fault", answer, self._tries[answer]) % 100 if self.chaos and answer >= 0 else 99
        kind, status, headers = self.always or "good", 200, list[str]()
        if self.hangs > 0:
            self.hangs -= 1
            self.log.append(Hit(answer, time.monotonic(), path, 0, "hangs", again, body, key))
            await asyncio.sleep(3600)
        if key != self.key:
            status = 401
        elif self.status:
            status, headers = self.status, [self.hint] if self.hint else []
        elif self.chat_only and path.endswith("/responses"):
            status = 404
        elif any(name in asked for name in self.refused):
            status = 400
        elif draw < 10:
            status, headers = 429, [["retry-after: 0.06"], ["retry-after-ms: 40"]][draw % 2]
        elif draw < 15:
            status = 500
        elif draw < 18:
            status = 0
        elif draw < 21:
            await asyncio.sleep(self.slow * 10)
        elif self.chaos:
            pick = number("kind", answer, again) % 20
            kind = KINDS[pick] if pick < len(KINDS) else "good"
        if self.chaos:
            await asyncio.sleep(self.slow)
        self.log.append(Hit(answer, time.monotonic(), path, status, kind, again, body, key))
        if status == 0:
            return None
        if status != 200:
            name = next((n for n in self.refused if n in asked), "")
            message = self.says.format(key=key) if self.says else f"Unsupported parameter: {name}"
            error = {"message": message, "param": name, "code": "e", "type": "t"}
            return status, headers, json.dumps({"error": error}).encode()
        whole = json.dumps(self.envelope(path, kind, self.text(kind, answer, asked))).encode()
        if kind == "half a body":
            return 200, [], whole[: len(whole) // 2]
        if kind == "a page":
            return 200, ["content-type: text/html"], b"<html>Sign in to the network</html>"
        return 200, [], b'{"answer": null}' if kind == "other fields" else whole

    def text(self, kind: str, answer: int, asked: dict[str, Any]) -> str:
        if "alignment" in json.dumps(asked.get("text") or asked.get("response_format") or {}):
            return json.dumps({"alignment": answer % 101, "coherence": 100 - answer % 101, "reason": "so"})
        good = json.dumps({"label": self.expected(answer), "reason": f"because {answer}"})
        return {
            "truncated": good[: len(good) // 2],
            "wrong label": json.dumps({"label": "bad behaviour", "reason": "because"}),
            "prose": f"Here is my view:\n```json\n{good}\n```\nI hope this helps.",
            "no json": "I think it is convergence.",
        }.get(kind, good)

    @staticmethod
    def envelope(path: str, kind: str, text: str) -> dict[str, Any]:
        if path.endswith("/responses"):
            part = {"type": "output_text", "text": text, "annotations": []}
            if kind == "refusal":
                part = {"type": "refusal", "refusal": "no"}
            return {
                "id": "r",
                "object": "response",
                "created_at": 0,
                "model": "m",
                "status": "incomplete" if kind == "cut off" else "completed",
                "output": [
                    {
                        "type": "message",
                        "id": "m",
                        "role": "assistant",
                        "status": "completed",
                        "content": [part],
                    }
                ],
                "parallel_tool_calls": False,
                "tool_choice": "auto",
                "tools": [],
                "usage": {
                    "input_tokens": 10,
                    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
                    "output_tokens": 3,
                    "output_tokens_details": {"reasoning_tokens": 0},
                    "total_tokens": 13,
                },
            }
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if kind == "refusal":
            message |= {"content": None, "refusal": "no"}
        finish = "length" if kind == "cut off" else "stop"
        return {
            "id": "c",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [{"index": 0, "finish_reason": finish, "message": message}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13},
        }


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        listening = await asyncio.start_server(server.handle, "127.0.0.1", server.port, limit=2**22)
        server.port = listening.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        listening.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def target() -> None:
        loop.run_until_complete(main())
        loop.close()

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    ready.wait(10)
    yield server
    loop.call_soon_threadsafe(stop.set)
    thread.join(5)
