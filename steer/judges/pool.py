"""Threads and the event loop under `steer.judges.endpoint`: a feeder, workers, and a bound on the rate.

It knows questions and answers pass through; it knows no API.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from steer.judges.endpoint import Endpoint, Form, Question

WINDOW = 256  # questions held for sorting, so that those with a common beginning follow each other

T = TypeVar("T")


class Pool(Generic[T]):
    """One event loop on a thread of its own: a feeder, and `concurrency` workers."""

    def __init__(
        self, endpoint: Endpoint, form: Form[T], loop: asyncio.AbstractEventLoop, out: queue.SimpleQueue[Any]
    ) -> None:
        self.endpoint, self.form, self.loop, self.out = endpoint, form, loop, out
        self.room = threading.Semaphore(WINDOW)
        self.waiting: asyncio.PriorityQueue[tuple[str, int, Question | None]] = asyncio.PriorityQueue()
        self.task: asyncio.Task[None] | None = None
        self.cancelled = False

    def run(self, questions: Iterable[Question]) -> None:
        asyncio.set_event_loop(self.loop)
        self.task = self.loop.create_task(self._work())
        threading.Thread(target=self._feed, args=(questions,), daemon=True).start()
        try:
            self.loop.run_until_complete(self.task)
            self.out.put(None)
        except asyncio.CancelledError:
            self.out.put(None)
        except BaseException as error:  # carried to the thread that asked
            self.out.put(error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error)
        finally:
            self.loop.close()

    def cancel(self) -> None:
        self.cancelled = True
        self.room.release()
        if self.task is not None and not self.loop.is_closed():
            self._post(self.task.cancel)

    def _post(self, call: Callable[..., object], *args: object) -> None:
        try:
            self.loop.call_soon_threadsafe(call, *args)
        except RuntimeError:  # the loop has just closed: nothing is left to tell it
            return

    def _feed(self, questions: Iterable[Question]) -> None:
        try:
            for n, question in enumerate(questions):
                self.room.acquire()
                if self.cancelled:
                    return
                self._post(self.waiting.put_nowait, (question.group, n, question))
        except BaseException as error:  # carried to the thread that asked
            self.out.put(error)
        finally:
            for n in range(self.endpoint.concurrency):  # sorts after every group
                self._post(self.waiting.put_nowait, ("\U0010ffff", n, None))

    async def _work(self) -> None:
        async with self.endpoint.client() as client, asyncio.TaskGroup() as group:
            for _ in range(self.endpoint.concurrency):
                group.create_task(self._worker(client))

    async def _worker(self, client: AsyncOpenAI) -> None:
        while (question := (await self.waiting.get())[2]) is not None:
            found = await self.endpoint.one(client, question, self.form)
            self.room.release()
            if found is not None:
                self.out.put((question.id, *found))


class Gate:
    """Lets `per_minute` requests a minute through, evenly; 0 lets all through."""

    def __init__(self, per_minute: int) -> None:
        self.gap = 60 / per_minute if per_minute else 0.0
        self.next = 0.0

    async def wait(self) -> None:
        if not self.gap:
            return
        at = max(self.next, time.monotonic())
        self.next = at + self.gap
        await asyncio.sleep(at - time.monotonic())


def in_thread(work: Callable[[], Any]) -> None:
    """Run a coroutine to its end on a thread of its own: the caller's may already have a loop."""
    failed: list[BaseException] = []

    def target() -> None:
        try:
            asyncio.run(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
