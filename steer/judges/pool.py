"""Many questions at once for a caller without an event loop: a feeder, workers, and a bound on the rate.

It knows nothing of what is asked, or of whom.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

WINDOW = 256  # questions held for sorting, so that those with a common beginning follow each other

Q = TypeVar("Q")
A = TypeVar("A")
Ask = Callable[[Q], Awaitable[A | None]]
Opened = Callable[[], AbstractAsyncContextManager[Ask[Q, A]]]


def ask_all(
    questions: Iterable[Q], opened: Opened[Q, A], *, group: Callable[[Q], str], workers: int
) -> Iterator[A]:
    """What `ask` found for each question, as it comes, in any order; a None is passed over.

    opened: gives `ask` on the pool's event loop, and cleans up. questions: read on another thread,
    sorted by `group` within a window. The first error of either, after what came before it, is raised
    here; what is then in flight is dropped, as it is when the caller stops early.
    """
    pool = _Pool(opened, group, workers)
    threading.Thread(target=pool.run, args=(questions,), daemon=True).start()
    try:
        while (found := pool.out.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        pool.cancel()


class _Pool(Generic[Q, A]):
    """One event loop on a thread of its own."""

    def __init__(self, opened: Opened[Q, A], group: Callable[[Q], str], workers: int) -> None:
        self.opened, self.group, self.workers = opened, group, workers
        self.out: queue.SimpleQueue[A | BaseException | None] = queue.SimpleQueue()
        self.loop = asyncio.new_event_loop()
        self.room = threading.Semaphore(WINDOW)
        self.waiting: asyncio.PriorityQueue[tuple[str, int, Q | None]] = asyncio.PriorityQueue()
        self.task: asyncio.Task[None] | None = None
        self.cancelled = False

    def run(self, questions: Iterable[Q]) -> None:
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

    def _feed(self, questions: Iterable[Q]) -> None:
        try:
            for n, question in enumerate(questions):
                self.room.acquire()
                if self.cancelled:
                    return
                self._post(self.waiting.put_nowait, (self.group(question), n, question))
        except BaseException as error:  # carried to the thread that asked
            self.out.put(error)
        finally:
            for n in range(self.workers):  # sorts after every group
                self._post(self.waiting.put_nowait, ("\U0010ffff", n, None))

    async def _work(self) -> None:
        async with self.opened() as ask, asyncio.TaskGroup() as group:
            for _ in range(self.workers):
                group.create_task(self._worker(ask))

    async def _worker(self, ask: Ask[Q, A]) -> None:
        while (question := (await self.waiting.get())[2]) is not None:
            found = await ask(question)
            self.room.release()
            if found is not None:
                self.out.put(found)


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


def in_thread(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
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
